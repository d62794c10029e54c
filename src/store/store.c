/* Opening, starting and closing a store. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "store/store_int.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define VOLUME_BYTES ((uint64_t)1 << 30)
#define MAP_BYTES    ((uint64_t)1 << 40)
#define STEP_MAX     ((uint64_t)64 << 20)
#define STEP_MIN     ((uint64_t)4 << 20)
#define STEP_DISK    256 /* a step is at most this part of the disk */

/* A step in proportion to the disk. */
static uint32_t step_for(int dir_fd)
{
	struct statvfs v;
	uint64_t step = STEP_MAX;

	if (fstatvfs(dir_fd, &v) == 0)
		step = (uint64_t)v.f_blocks * v.f_frsize / STEP_DISK;
	return (uint32_t)(step < STEP_MIN ? STEP_MIN : step > STEP_MAX ? STEP_MAX : step);
}

/* A subfolder, made when it is not there. */
static int open_sub(struct store *s, const char *name, int *ret_fd, err *e)
{
	if (mkdirat(s->dir_fd, name, 0700) == 0) {
		if (sync_folder(s->dir_fd, s->config.dir, e) < 0)
			return -1;
	} else if (errno != EEXIST) {
		return err_sys(e, ERR_IO, "folder \"%s/%s\"", s->config.dir, name);
	}
	*ret_fd = openat(s->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return err_sys(e, ERR_IO, "folder \"%s/%s\"", s->config.dir, name);
	return 0;
}

static int open_folders(struct store *s, err *e)
{
	s->dir_fd = open(s->config.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return err_sys(e, ERR_IO, "store folder \"%s\"", s->config.dir);
	s->lock_fd = openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return err_sys(e, ERR_IO, "lock file \"%s/lock\"", s->config.dir);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? err_set(e, ERR_EXISTS, "the store \"%s\" is in use by another program",
					 s->config.dir)
			       : err_sys(e, ERR_IO, "lock of the store \"%s\"", s->config.dir);
	if (open_sub(s, "volumes", &s->volumes_fd, e) < 0 || open_sub(s, "big", &s->big_fd, e) < 0 ||
		open_sub(s, "spool", &s->spool_fd, e) < 0 || open_sub(s, "keys", &s->keys_fd, e) < 0)
		return -1;
	return 0;
}

/*
 * The key file of no use any more goes where a person can look at it, then its checkpoint goes: in this
 * order, for a checkpoint must not meet another key file, and each for good before the next step.
 */
static int keep_damaged_keys(struct store *s, const err *why, err *e)
{
	uint32_t volumes;
	char name[64];

	if (highest_volume(s, &volumes, e) < 0)
		return -1;
	snprintf(name, sizeof name, "corrupt/%s-%lld", s->engine->file, (long long)clock_wall_s());
	if (mkdirat(s->dir_fd, "corrupt", 0700) < 0 && errno != EEXIST)
		return err_sys(e, ERR_IO, "folder \"corrupt\"");
	if (renameat(s->keys_fd, s->engine->file, s->dir_fd, name) < 0) {
		if (errno != ENOENT)
			return err_sys(e, ERR_IO, "moving the damaged key file away");
	} else if (volumes > 0) { /* else a crash while the store was made: there is no damage to speak of */
		s->report.corrupt++;
		REPORT(s,
			"the key file was damaged and is made anew from the log; the damaged one is %s "
			"(%.60s)",
			name, why->text);
	}
	if (sync_folder(s->keys_fd, "keys", e) < 0)
		return -1;
	return checkpoint_forget(s, e);
}

/* The key file is given up for what the log holds. */
static int rebuild(struct store *s, err *e)
{
	const err why = {.text = "as was asked for"};
	struct stat st;
	char name[16];

	volume_name(1, name);
	if (!s->engine->file)
		return err_set(e, ERR_DENIED, "this engine keeps nothing that could be made anew");
	if (fstatat(s->volumes_fd, name, &st, 0) < 0)
		return err_set(e, ERR_DENIED,
			"the log does not begin with volume 1, so the key file cannot be made anew from it: "
			"restore a backup");
	return keep_damaged_keys(s, &why, e);
}

static int open_and_check(struct store *s, const char *dir, err *e)
{
	if (checkpoint_restore(s, e) < 0 || s->engine->open(dir, s->config.map_bytes, &s->kv, e) < 0)
		return -1;
	return checkpoint_check(s, e);
}

/* The log holds all that the key file does: one that is of no use is made anew from it. */
static int open_engine(struct store *s, err *e)
{
	char *dir = NULL;
	err why = {0};

	if (asprintf(&dir, "%s/keys", s->config.dir) < 0)
		return err_set(e, ERR_TEMP, "out of memory");
	int rc = s->config.rebuild ? rebuild(s, &why) : 0;
	if (rc == 0)
		rc = open_and_check(s, dir, &why);
	if (rc < 0 && why.kind == ERR_CORRUPT && s->engine->file) {
		if (s->kv)
			s->engine->close(s->kv);
		s->kv = NULL;
		const err first = why;
		rc = keep_damaged_keys(s, &first, &why);
		if (rc == 0)
			rc = open_and_check(s, dir, &why);
	}
	free(dir);
	if (rc == 0)
		rc = checkpoint_open(s, &why);
	if (rc < 0 && e)
		*e = why;
	return rc;
}

static int open_all(struct store *s, err *e)
{
	uint64_t filled;

	if (open_folders(s, e) < 0)
		return -1;
	if (!s->config.volume_bytes)
		s->config.volume_bytes = VOLUME_BYTES;
	if (!s->config.map_bytes)
		s->config.map_bytes = MAP_BYTES;
	if (!s->config.step_bytes)
		s->config.step_bytes = step_for(s->dir_fd);
	if (open_engine(s, e) < 0 || tx_open(s, e) < 0 || store_recover(s, &filled, e) < 0)
		return -1;
	s->active = file_get(s, s->state.volume, e);
	if (!s->active || fill_open(s, filled, e) < 0)
		return -1;
	if (recover_leftovers(s, e) < 0 || batch_load(s, e) < 0)
		return -1;
	s->epoch = ++s->state.epoch;
	return group_write_state(s, e);
}

int store_open(const struct store_config *c, struct store **ret, err *e)
{
	struct store *s = calloc(1, sizeof *s);

	if (!s)
		return err_set(e, ERR_TEMP, "out of memory");
	s->config = *c;
	s->engine = c->engine;
	s->checkpoint.fd = -1;
	s->lock_fd = s->dir_fd = s->volumes_fd = s->big_fd = s->spool_fd = s->keys_fd = -1;
	s->fill.volume.fd = s->fill.engine.fd = s->fill.next.fd = s->fill.sealed_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	pthread_cond_init(&s->checkpoint.work, NULL);
	pthread_mutex_init(&s->files.lock, NULL);
	pthread_mutex_init(&s->fill.lock, NULL);
	pthread_cond_init(&s->fill.work, NULL);
	pthread_cond_init(&s->fill.progress, NULL);
	err why = {0};
	if (open_all(s, &why) < 0) {
		store_set_suspect(s, &why); /* no checkpoint of it */
		store_close(s);
		if (e)
			*e = why;
		return -1;
	}
	s->config.dir = NULL; /* the caller's; from here on only descriptors are used */
	*ret = s;
	return 0;
}

int store_start(struct store *s, err *e)
{
	sigset_t all, old;

	sigfillset(&all); /* signals are for the thread that waits for them */
	pthread_sigmask(SIG_BLOCK, &all, &old);
	int rc = fill_start(s, e);
	if (rc == 0)
		rc = checkpoint_start(s, e);
	if (rc == 0)
		rc = commit_start(s, e);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	commit_stop(s);
	checkpoint_stop(s);
	fill_close(s);
	checkpoint_close(s);
	tx_close(&s->tx);
	batch_free(&s->batches);
	files_close(s);
	if (s->kv)
		s->engine->close(s->kv);
	const int fds[] = {s->volumes_fd, s->big_fd, s->spool_fd, s->keys_fd, s->dir_fd, s->lock_fd};
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
	pthread_cond_destroy(&s->checkpoint.work);
	pthread_mutex_destroy(&s->files.lock);
	pthread_mutex_destroy(&s->fill.lock);
	pthread_cond_destroy(&s->fill.work);
	pthread_cond_destroy(&s->fill.progress);
	free(s);
}

const struct store_open_report *store_opened(const struct store *s)
{
	return &s->report;
}

uint64_t store_longest_group_us(struct store *s)
{
	return atomic_exchange(&s->longest_us, 0);
}

void store_stats(struct store *s, struct store_stats *ret)
{
	pthread_mutex_lock(&s->fill.lock); /* its copies of what the commit thread knows */
	*ret = (struct store_stats){
		.volume = s->fill.volume_number,
		.volume_used = s->fill.volume.used,
		.engine_bytes = s->fill.engine.fd >= 0 ? s->fill.engine.used : 0,
	};
	pthread_mutex_unlock(&s->fill.lock);
	ret->groups = atomic_load(&s->groups);
	ret->intents = atomic_load(&s->intents);
	ret->bytes = atomic_load(&s->bytes);
	ret->suspect = atomic_load(&s->suspect);
	ret->epoch = s->epoch;
}

void store_rest(struct store *s)
{
	if (s->engine->rest)
		s->engine->rest(s->kv);
}

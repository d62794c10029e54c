/*
 * Checkpoints of the engine. A group's answer waits for one flush, that of its record in the log; the
 * engine's commits stay in the page cache. So that a start need not replay the whole log, the engine's file
 * is brought to disk every now and then, and the file "keys/checkpoint" says which state of it is whole
 * there: the mark of that state (LMDB: the two meta pages) and the last log record in it. A start puts the
 * mark back, whatever the engine's file shows, and replays the log from there. Each step and why a power cut
 * at it does no harm:
 *
 * 1. Between two groups, on the commit thread: a snapshot (the pin) is begun and the mark is taken, both of
 * the same state, for only this thread commits. Its records are on disk already: a group's record is synced
 *    before the engine commits it. Nothing on disk has changed yet.
 * 2. The checkpoint thread syncs the engine's file. The pages of the pinned state were all written before
 * step 1, and none is written again while the pin lives: LMDB takes a page only when it was freed by a
 *    transaction older than the oldest snapshot. So after this they are on disk, all of them. Groups go on
 *    meanwhile: their pages go to places that are free in the pinned state and in that of the checkpoint
 *    before, whose pin lives, too. A cut here: the old file "checkpoint" holds, and so do its pages.
 * 3. It writes "checkpoint.new", syncs it, lets it change names with "checkpoint" and syncs the folder. A cut
 * leaves the old file or the new one, whole; pages of both states are on disk and pinned.
 * 4. Back on the commit thread the old pin is ended. From here on pages of the old state may be written over;
 *    no start will look for them.
 *
 * At open: the mark is put back and synced before the engine is opened; a cut between its two sectors leaves
 * "checkpoint" as it was, and the next open does it again. Then the state is pinned at once, before the
 * replay commits anything. What was free in the restored state may hold anything; the engine does not read
 * it. Replay makes checkpoints, too, so that it neither starts over after a cut nor lets the file grow
 * without end.
 *
 * No file "checkpoint": the engine's file was never written without syncs, for the first checkpoint is made
 * before the first such commit; it is right as it is (a store of format 1, or a new one). If its format row
 * says otherwise, or "checkpoint" is damaged or does not fit the engine's file, that file is moved to
 * corrupt/ and made anew from the log. The order there: the engine's file goes, then "checkpoint" (each
 * synced), then the new one is made; a "checkpoint" without engine's file is no harm.
 *
 * An error of a sync, or of the rename or after it, makes the store suspect (D2), and both pins stay: which
 * checkpoint is on disk is unknown. Lack of space for "checkpoint.new" leaves the old one in force, and
 * another try comes later.
 */
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/wire.h"
#include "store/store_int.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define NAME     "checkpoint"
#define NAME_NEW "checkpoint.new"
#define MAGIC    "PHcheck\n"
#define VERSION  1
#define EVERY_MS 2000
#define EVERY_BYTES                                                                                          \
	((uint64_t)64 << 20) /* of log, or of growth of the engine's file: pins keep it from reuse */
#define RETRY_MS 1000
/* The engine's file goes to disk in pieces, so that a flush of the commit thread waits behind one at most. */
#define PIECE ((uint64_t)4 << 20)

/* magic 8, version u16, 2 bytes zero, volume u32, sequence u64, end u64, file bytes u64, mark, CRC32C */
#define AT_MARK    40
#define FILE_BYTES (AT_MARK + KV_MARK_BYTES + 4)

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the file ---- */

static void encode(const struct checkpoint_data *d, uint8_t ret[FILE_BYTES])
{
	memset(ret, 0, FILE_BYTES);
	memcpy(ret, MAGIC, 8);
	ret[9] = VERSION;
	be32_put(ret + 12, d->volume);
	be64_put(ret + 16, d->sequence);
	be64_put(ret + 24, d->end);
	be64_put(ret + 32, d->mark.file_bytes);
	memcpy(ret + AT_MARK, d->mark.bytes, KV_MARK_BYTES);
	be32_put(ret + FILE_BYTES - 4, crc32c(0, ret, FILE_BYTES - 4));
}

static int decode(const uint8_t *p, size_t n, struct checkpoint_data *ret, err *e)
{
	if (n >= 10 && memcmp(p, MAGIC, 8) == 0 && (p[8] << 8 | p[9]) > VERSION)
		return err_set(e, ERR_DENIED, "the checkpoint of the key file was made by a newer program");
	if (n != FILE_BYTES || memcmp(p, MAGIC, 8) != 0 ||
		crc32c(0, p, FILE_BYTES - 4) != be32_get(p + FILE_BYTES - 4))
		return err_set(e, ERR_CORRUPT, "the checkpoint of the key file is damaged");
	ret->volume = be32_get(p + 12);
	ret->sequence = be64_get(p + 16);
	ret->end = be64_get(p + 24);
	ret->mark.file_bytes = be64_get(p + 32);
	memcpy(ret->mark.bytes, p + AT_MARK, KV_MARK_BYTES);
	return 0;
}

/* 1: there, 0: none, -1: error. */
static int load(const struct store *s, struct checkpoint_data *ret, err *e)
{
	uint8_t bytes[FILE_BYTES + 1];
	AUTO_FD fd = openat(s->keys_fd, NAME, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, ERR_IO, "checkpoint of the key file");
	ssize_t n = pread(fd, bytes, sizeof bytes, 0);
	if (n < 0)
		return err_sys(e, ERR_IO, "checkpoint of the key file");
	return decode(bytes, (size_t)n, ret, e) < 0 ? -1 : 1;
}

/* The old file is still in force. */
static int not_saved(err *e)
{
	bool passes =
		errno == ENOSPC || errno == EDQUOT || errno == EMFILE || errno == ENFILE || errno == ENOMEM;

	return err_sys(e, passes ? ERR_TEMP : ERR_IO, "writing the checkpoint of the key file");
}

/*
 * Makes the new file the one in force. The old one stays as "checkpoint.new" and is written over next time:
 * its block is there when the disk is full, and changes that make room need checkpoints. Not every file
 * system can.
 */
static int put_in_force(const struct store *s, err *e)
{
	if (renameat2(s->keys_fd, NAME_NEW, s->keys_fd, NAME, RENAME_EXCHANGE) == 0)
		return 0;
	if ((errno == ENOENT || errno == EINVAL || errno == ENOSYS) &&
		renameat(s->keys_fd, NAME_NEW, s->keys_fd, NAME) == 0)
		return 0;
	return err_sys(e, ERR_IO, "renaming the checkpoint of the key file");
}

/* Step 3. */
static int save(const struct store *s, const struct checkpoint_data *d, err *e)
{
	uint8_t bytes[FILE_BYTES];
	AUTO_FD fd = openat(s->keys_fd, NAME_NEW, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0)
		return not_saved(e);
	encode(d, bytes);
	ssize_t n = pwrite(fd, bytes, sizeof bytes, 0);
	if (n >= 0 && n < (ssize_t)sizeof bytes)
		return err_set(e, ERR_TEMP, "the checkpoint of the key file was written in part");
	if (n < 0 || fsync(fd) < 0)
		return not_saved(e);
	return put_in_force(s, e) < 0 ? -1 : sync_folder(s->keys_fd, "keys", e);
}

/* Steps 2 and 3. */
static int bring_to_disk(const struct store *s, const struct checkpoint_data *d, err *e)
{
	const struct checkpoint *c = &s->checkpoint;
	const unsigned through =
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

	for (uint64_t at = 0; at < d->mark.file_bytes; at += PIECE)
		if (sync_file_range(c->fd, (off_t)at, (off_t)PIECE, through) < 0)
			return err_sys(e, ERR_IO, "sync of the key file");
	if (fdatasync(c->fd) < 0)
		return err_sys(e, ERR_IO, "sync of the key file");
	return save(s, d, e);
}

/* Step 1. */
static int take(struct store *s, struct kv_txn **ret_pin, struct checkpoint_data *ret, err *e)
{
	struct store_state st = {0};
	struct kv_txn *pin;
	slice v;

	if (s->engine->begin(s->kv, false, &pin, e) < 0)
		return -1;
	int rc = s->engine->get(pin, STATE_KEY, &v, e);
	if (rc == 1 && !state_decode(v, &st))
		rc = err_set(e, ERR_CORRUPT, "the state row is damaged");
	if (rc < 0 || s->engine->mark(s->kv, &ret->mark, e) < 0) {
		s->engine->abort(pin);
		return -1;
	}
	ret->sequence = st.sequence;
	ret->volume = st.volume;
	ret->end = st.end;
	*ret_pin = pin;
	return 0;
}

static void took(struct store *s)
{
	s->checkpoint.log_bytes = 0;
	s->checkpoint.used = s->engine->used(s->kv);
}

/* ---- at open and close, on one thread ---- */

int checkpoint_restore(struct store *s, err *e)
{
	struct checkpoint *c = &s->checkpoint;

	if (!s->engine->mark)
		return 0;
	int rc = load(s, &c->data, e);
	if (rc <= 0)
		return rc;
	AUTO_FD fd = openat(s->keys_fd, s->engine->file, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? err_set(e, ERR_CORRUPT, "the key file is lost")
				       : err_sys(e, ERR_IO, "key file");
	rc = s->engine->restore(fd, &c->data.mark, e);
	if (rc == 0)
		return err_set(e, ERR_CORRUPT, "the key file does not fit its checkpoint");
	c->restored = rc == 1;
	return rc < 0 ? -1 : 0;
}

int checkpoint_check(struct store *s, err *e)
{
	const struct checkpoint *c = &s->checkpoint;
	struct store_state st = {0};
	unsigned format = 0;
	struct kv_txn *t;
	slice v;

	if (!s->engine->mark)
		return 0;
	if (s->engine->begin(s->kv, false, &t, e) < 0)
		return -1;
	int rc = s->engine->get(t, STATE_KEY, &v, e);
	bool state = rc == 1 && state_decode(v, &st);
	if (rc >= 0)
		rc = s->engine->get(t, FORMAT_KEY, &v, e);
	if (rc == 1 && unseal(FORMAT_KEY, &v, NULL) == 0 && v.n >= FORMAT_VALUE)
		format = (unsigned)(uint8_t)v.p[0] << 8 | (uint8_t)v.p[1];
	s->engine->abort(t);
	if (rc < 0)
		return -1;
	if (c->restored && c->data.sequence != (state ? st.sequence : 0))
		return err_set(e, ERR_CORRUPT, "the key file does not fit its checkpoint");
	if (!c->restored && format >= FORMAT_CHECKPOINT && format <= STORE_FORMAT)
		return err_set(e, ERR_CORRUPT, "the checkpoint of the key file is lost");
	return 0;
}

int checkpoint_forget(struct store *s, err *e)
{
	if (!s->engine->mark)
		return 0;
	s->checkpoint.restored = false;
	if (unlinkat(s->keys_fd, NAME, 0) < 0 && errno != ENOENT)
		return err_sys(e, ERR_IO, "removing the checkpoint of the key file");
	return sync_folder(s->keys_fd, "keys", e);
}

int checkpoint_now(struct store *s, err *e)
{
	struct checkpoint *c = &s->checkpoint;
	struct checkpoint_data d;
	struct kv_txn *pin;
	err why = {0};

	if (take(s, &pin, &d, e) < 0)
		return -1;
	if (bring_to_disk(s, &d, &why) < 0) {
		if (why.kind == ERR_TEMP)
			s->engine->abort(pin);
		else
			c->next_pin = pin; /* until close */
		if (e)
			*e = why;
		return -1;
	}
	if (c->pin)
		s->engine->abort(c->pin);
	c->pin = pin;
	c->data = d;
	took(s);
	return 0;
}

int checkpoint_open(struct store *s, err *e)
{
	struct checkpoint *c = &s->checkpoint;

	if (!s->engine->mark)
		return 0;
	c->every_ms = s->config.checkpoint_ms ? s->config.checkpoint_ms : EVERY_MS;
	c->every_bytes = s->config.checkpoint_bytes ? s->config.checkpoint_bytes : EVERY_BYTES;
	c->fd = openat(s->keys_fd, s->engine->file, O_RDWR | O_CLOEXEC);
	if (c->fd < 0)
		return err_sys(e, ERR_IO, "key file");
	if (!c->restored)
		return checkpoint_now(s, e);
	took(s);
	return s->engine->begin(s->kv, false, &c->pin, e);
}

int checkpoint_replayed(struct store *s, uint64_t bytes, err *e)
{
	struct checkpoint *c = &s->checkpoint;

	if (!c->pin)
		return 0;
	checkpoint_note(s, bytes);
	if (c->log_bytes < c->every_bytes && s->engine->used(s->kv) < c->used + c->every_bytes)
		return 0;
	err why = {0};
	if (checkpoint_now(s, &why) == 0 || why.kind == ERR_TEMP)
		return 0;
	if (e)
		*e = why;
	return -1;
}

void checkpoint_close(struct store *s)
{
	struct checkpoint *c = &s->checkpoint;

	/* what fails here costs the next start a replay */
	if (c->pin && c->log_bytes > 0 && !atomic_load(&s->suspect))
		(void)!checkpoint_now(s, NULL);
	if (c->next_pin)
		s->engine->abort(c->next_pin);
	if (c->pin)
		s->engine->abort(c->pin);
	c->pin = c->next_pin = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* ---- while groups go on ---- */

static void *checkpoint_thread(void *arg)
{
	struct store *s = arg;
	struct checkpoint *c = &s->checkpoint;

	pthread_setname_np(pthread_self(), "store-check");
	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!c->asked && !c->stop)
			pthread_cond_wait(&c->work, &s->lock);
		if (!c->asked)
			break;
		c->asked = false;
		pthread_mutex_unlock(&s->lock);
		err e = {0};
		int rc = bring_to_disk(s, &c->next, &e);
		if (rc < 0 && e.kind != ERR_TEMP)
			store_set_suspect(s, &e);
		pthread_mutex_lock(&s->lock);
		c->failed = rc < 0;
		c->done = true;
		pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int checkpoint_start(struct store *s, err *e)
{
	if (!s->engine->mark)
		return 0;
	int rc = pthread_create(&s->checkpoint.thread, NULL, checkpoint_thread, s);
	if (rc != 0) {
		errno = rc;
		return err_sys(e, ERR_TEMP, "start of the checkpoint thread");
	}
	s->checkpoint.running = true;
	return 0;
}

/* Step 4; or back to before step 1. */
static void settle(struct store *s)
{
	struct checkpoint *c = &s->checkpoint;

	if (atomic_load(&s->suspect))
		return;
	if (c->failed) {
		s->engine->abort(c->next_pin);
		c->log_bytes += c->next_bytes;
		c->due_ms = now_ms() + RETRY_MS;
	} else {
		s->engine->abort(c->pin);
		c->pin = c->next_pin;
		c->data = c->next;
	}
	c->next_pin = NULL;
}

void checkpoint_stop(struct store *s)
{
	struct checkpoint *c = &s->checkpoint;

	if (!c->running)
		return;
	pthread_mutex_lock(&s->lock);
	c->stop = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&s->lock);
	pthread_join(c->thread, NULL);
	c->running = false;
	if (c->done)
		settle(s);
	c->done = false;
}

void checkpoint_note(struct store *s, uint64_t bytes)
{
	struct checkpoint *c = &s->checkpoint;

	if (!c->log_bytes && !c->next_pin)
		c->due_ms = now_ms() + c->every_ms;
	c->log_bytes += bytes;
}

/* low: the file cannot grow, so what pins keep from reuse is needed. */
static bool due(const struct store *s, bool low)
{
	const struct checkpoint *c = &s->checkpoint;

	if (c->log_bytes == 0)
		return false;
	if (now_ms() >= c->due_ms)
		return true;
	return !c->failed &&
	       (low || c->log_bytes >= c->every_bytes || s->engine->used(s->kv) >= c->used + c->every_bytes);
}

static void begin(struct store *s)
{
	struct checkpoint *c = &s->checkpoint;
	err e = {0};

	if (take(s, &c->next_pin, &c->next, &e) < 0) {
		c->due_ms = now_ms() + RETRY_MS;
		if (e.kind != ERR_TEMP)
			store_set_suspect(s, &e);
		return;
	}
	c->next_bytes = c->log_bytes;
	c->due_ms = now_ms() + c->every_ms;
	took(s);
	pthread_mutex_lock(&s->lock);
	c->asked = true;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&s->lock);
}

/* Ends the one under way when it is done; wait: is done when it returns. */
static void finish(struct store *s, bool wait)
{
	struct checkpoint *c = &s->checkpoint;

	pthread_mutex_lock(&s->lock);
	while (wait && !c->done)
		pthread_cond_wait(&s->wake, &s->lock);
	bool done = c->done;
	c->done = false;
	pthread_mutex_unlock(&s->lock);
	if (done)
		settle(s);
}

void checkpoint_poll(struct store *s)
{
	struct checkpoint *c = &s->checkpoint;

	if (!c->running || atomic_load(&s->suspect))
		return;
	bool low = fill_low(s);
	if (c->next_pin)
		finish(s, low);
	if (c->next_pin || !due(s, low))
		return;
	begin(s);
	if (low && c->next_pin)
		finish(s, true);
}

bool checkpoint_wait(const struct store *s, struct timespec *ret_until)
{
	const struct checkpoint *c = &s->checkpoint;

	if (!c->running || c->next_pin || c->log_bytes == 0 || atomic_load(&s->suspect))
		return false;
	*ret_until = (struct timespec){
		.tv_sec = (time_t)(c->due_ms / 1000), .tv_nsec = (long)(c->due_ms % 1000) * 1000000};
	return true;
}

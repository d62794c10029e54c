/*
 * The filler: a thread that keeps zeroes ahead of the commit thread in the active volume and in the engine's
 * file, and makes the next volume before it is needed. Writing into allocated, zeroed blocks costs a flush no
 * journal commit.
 *
 * It never writes below `filled`, and the commit thread writes a volume only below it. The engine picks its
 * pages by itself: while it may go past `filled`, engine_busy keeps the filler off.
 */
#include "base/cleanup.h"
#include "limits.h"
#include "store/store_int.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#define UNIT ((uint64_t)1 << 20) /* filled between two looks at what is needed most */
#define AHEAD_VOLUME                                                                                         \
	((uint64_t)4 << 20) /* at least so much; the engine's groups are larger than they look               \
			     */
#define AHEAD_ENGINE ((uint64_t)16 << 20)
#define RESERVE      ((uint64_t)1 << 20) /* of a full disk: kept for intents without blobs, which make room */

/* A small store does not take a large step from the disk. */
static uint64_t ahead(const struct store *s, const struct fill_file *f)
{
	uint64_t least = f == &s->fill.engine ? AHEAD_ENGINE : AHEAD_VOLUME,
		 n = f->used > least ? f->used : least;

	return n < s->config.step_bytes ? n : s->config.step_bytes;
}

static bool wanted(const struct store *s, struct fill_file *f, uint64_t limit)
{
	if (f->fd < 0)
		return false;
	if (f->need > f->filled)
		return true;
	if (f->paused || f->filled >= limit)
		return false;
	uint64_t have = f->filled - f->used, want = ahead(s, f);
	if (have >= want)
		f->topping = false;
	else if (have <= want / 2)
		f->topping = true;
	return f->topping;
}

static bool next_wanted(const struct store *s)
{
	const struct fill *f = &s->fill;

	if (f->next.fd >= 0)
		return false;
	return f->next.need > 0 ||
	       (!f->next.paused && f->volume.used + s->config.step_bytes >= s->config.volume_bytes);
}

/* Notes how a try went; the lock is held. A failure other than a full disk is one of the medium: D2. */
static void settle(struct store *s, struct fill_file *f, int rc, const err *e)
{
	f->error = rc == 0 ? 0 : e->sys ? e->sys : ENOMEM;
	f->paused = rc < 0;
	if (rc < 0) {
		f->need = 0;
		if (e->kind == ERR_IO)
			store_set_suspect(s, e);
	}
	pthread_cond_broadcast(&s->fill.progress);
}

/* One unit; the lock is held, and let go meanwhile. */
static void top_up(struct store *s, struct fill_file *f)
{
	uint64_t from = f->filled, to = (from / UNIT + 1) * UNIT;
	bool engine = f == &s->fill.engine;
	err e = {0};

	s->fill.engine_filling = engine;
	pthread_mutex_unlock(&s->fill.lock);
	int rc = file_zero(f->fd, from, to, &e);
	pthread_mutex_lock(&s->fill.lock);
	s->fill.engine_filling = false;
	if (rc == 0)
		f->filled = to;
	settle(s, f, rc, &e);
}

static void make_next(struct store *s)
{
	uint32_t number = s->fill.volume_number + 1;
	uint64_t bytes = ahead(s, &s->fill.volume);
	err e = {0};

	pthread_mutex_unlock(&s->fill.lock);
	int fd = volume_create(s, number, bytes, &e);
	pthread_mutex_lock(&s->fill.lock);
	s->fill.next.fd = fd;
	s->fill.next.used = VOLUME_HEAD;
	s->fill.next.filled = bytes;
	s->fill.next.need = 0;
	settle(s, &s->fill.next, fd < 0 ? -1 : 0, &e);
}

static void cut_sealed(struct store *s)
{
	AUTO_FD fd = s->fill.sealed_fd;
	uint64_t size = s->fill.sealed_size;
	err e;

	s->fill.sealed_fd = -1;
	pthread_mutex_unlock(&s->fill.lock);
	if (ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0) {
		(void)err_sys(&e, ERR_IO, "giving back the unused end of a full volume");
		store_set_suspect(s, &e);
	}
	pthread_mutex_lock(&s->fill.lock);
}

/* One piece of work; false: there is none. The lock is held. */
static bool work(struct store *s)
{
	struct fill *f = &s->fill;

	if (wanted(s, &f->volume, s->config.volume_bytes))
		top_up(s, &f->volume);
	else if (!f->engine_busy && wanted(s, &f->engine, s->config.map_bytes))
		top_up(s, &f->engine);
	else if (f->next.fd >= 0 && f->next.need > f->next.filled)
		top_up(s, &f->next);
	else if (next_wanted(s))
		make_next(s);
	else if (f->sealed_fd >= 0)
		cut_sealed(s);
	else
		return false;
	return true;
}

static void *filler(void *arg)
{
	struct store *s = arg;
	struct fill *f = &s->fill;

	pthread_setname_np(pthread_self(), "store-fill");
	pthread_mutex_lock(&f->lock);
	while (!f->stop) {
		if (!atomic_load(&s->suspect) && work(s))
			continue;
		if (!f->volume.paused && !f->engine.paused && !f->next.paused) {
			pthread_cond_wait(&f->work, &f->lock);
			continue;
		}
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		if (pthread_cond_timedwait(&f->work, &f->lock, &until) == ETIMEDOUT)
			f->volume.paused = f->engine.paused = f->next.paused = false;
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* ---- for the commit thread ---- */

static int open_engine_file(struct store *s, err *e)
{
	struct stat st;

	if (!s->engine->file)
		return 0;
	s->fill.engine.fd = openat(s->keys_fd, s->engine->file, O_WRONLY | O_CLOEXEC);
	if (s->fill.engine.fd < 0 || fstat(s->fill.engine.fd, &st) < 0)
		return err_sys(e, ERR_IO, "key file \"%s\"", s->engine->file);
	s->fill.engine.used = s->engine->used(s->kv);
	s->fill.engine.filled =
		(uint64_t)st.st_size > s->fill.engine.used ? (uint64_t)st.st_size : s->fill.engine.used;
	return 0;
}

int fill_open(struct store *s, uint64_t filled, err *e)
{
	struct fill *f = &s->fill;
	char name[16];

	f->volume_number = s->state.volume;
	f->volume.used = s->state.end;
	f->volume.filled = filled;
	volume_name(s->state.volume, name);
	f->volume.fd = openat(s->volumes_fd, name, O_RDWR | O_CLOEXEC);
	if (f->volume.fd < 0)
		return err_sys(e, ERR_IO, "volume \"%s\"", name);
	return open_engine_file(s, e);
}

int fill_start(struct store *s, err *e)
{
	int rc = pthread_create(&s->fill.thread, NULL, filler, s);

	if (rc != 0) {
		errno = rc;
		return err_sys(e, ERR_TEMP, "start of the filling thread");
	}
	s->fill.running = true;
	return 0;
}

void fill_close(struct store *s)
{
	struct fill *f = &s->fill;

	if (f->running) {
		pthread_mutex_lock(&f->lock);
		f->stop = true;
		pthread_cond_broadcast(&f->work);
		pthread_mutex_unlock(&f->lock);
		pthread_join(f->thread, NULL);
		f->running = false;
	}
	const int fds[] = {f->volume.fd, f->engine.fd, f->next.fd, f->sealed_fd};
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	f->volume.fd = f->engine.fd = f->next.fd = f->sealed_fd = -1;
}

/* Waits until `f` is filled up to `to`; before the thread runs it does it itself. The lock is held. */
static int want(struct store *s, struct fill_file *f, uint64_t to, err *e)
{
	f->error = 0;
	while (f->filled < to && f->error == 0) {
		if (atomic_load(&s->suspect))
			return err_set(e, ERR_IO, "%s", s->why);
		f->need = to;
		if (!s->fill.running) {
			top_up(s, f);
			continue;
		}
		pthread_cond_signal(&s->fill.work);
		pthread_cond_wait(&s->fill.progress, &s->fill.lock);
	}
	f->need = 0;
	if (f->filled >= to)
		return 0;
	errno = f->error;
	return err_sys(e, ERR_TEMP, "the store cannot grow");
}

int fill_before(struct store *s, bool next, uint64_t volume_end, uint64_t engine_bytes, err *e)
{
	struct fill *f = &s->fill;
	struct fill_file *v = next ? &f->next : &f->volume;
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	if (v->filled < volume_end)
		rc = want(s, v, volume_end, e);
	if (rc == 0 && f->engine.fd >= 0 && f->engine.filled < f->engine.used + engine_bytes)
		rc = want(s, &f->engine, f->engine.used + engine_bytes, e);
	pthread_mutex_unlock(&f->lock);
	return rc;
}

void fill_engine_enter(struct store *s, uint64_t engine_bytes)
{
	struct fill *f = &s->fill;

	if (f->engine.fd < 0)
		return;
	pthread_mutex_lock(&f->lock);
	if (f->engine.used + engine_bytes > f->engine.filled) {
		f->engine_busy = true;
		while (f->engine_filling)
			pthread_cond_wait(&f->progress, &f->lock);
	}
	pthread_mutex_unlock(&f->lock);
}

void fill_engine_leave(struct store *s)
{
	struct fill *f = &s->fill;
	struct stat st;

	if (f->engine.fd < 0)
		return;
	pthread_mutex_lock(&f->lock);
	f->engine.used = s->engine->used(s->kv);
	if (f->engine_busy) {
		f->engine_busy = false;
		if (fstat(f->engine.fd, &st) == 0 && (uint64_t)st.st_size > f->engine.filled)
			f->engine.filled = (uint64_t)st.st_size;
	}
	if (f->engine.filled < f->engine.used)
		f->engine.filled = f->engine.used;
	if (f->engine.filled - f->engine.used <= ahead(s, &f->engine) / 2)
		pthread_cond_signal(&f->work);
	pthread_mutex_unlock(&f->lock);
}

void fill_volume_used(struct store *s, uint64_t used)
{
	struct fill *f = &s->fill;

	pthread_mutex_lock(&f->lock);
	f->volume.used = used;
	if (f->volume.filled - used <= ahead(s, &f->volume) / 2 || next_wanted(s))
		pthread_cond_signal(&f->work);
	pthread_mutex_unlock(&f->lock);
}

int fill_next_volume(struct store *s, err *e)
{
	struct fill *f = &s->fill;

	pthread_mutex_lock(&f->lock);
	f->next.error = 0;
	while (f->next.fd < 0 && f->next.error == 0 && !atomic_load(&s->suspect)) {
		f->next.need = 1;
		if (!f->running) {
			make_next(s);
			continue;
		}
		pthread_cond_signal(&f->work);
		pthread_cond_wait(&f->progress, &f->lock);
	}
	bool made = f->next.fd >= 0;
	errno = f->next.error;
	pthread_mutex_unlock(&f->lock);
	return made ? 0 : err_sys(e, ERR_TEMP, "no new volume can be made");
}

void fill_took_next(struct store *s, uint64_t old_used)
{
	struct fill *f = &s->fill;

	pthread_mutex_lock(&f->lock);
	if (f->sealed_fd >= 0)
		close(f->sealed_fd);
	f->sealed_fd = f->volume.fd;
	f->sealed_size = old_used;
	f->volume = f->next;
	f->volume_number++;
	f->next = (struct fill_file){.fd = -1};
	pthread_cond_signal(&f->work);
	pthread_mutex_unlock(&f->lock);
}

bool fill_low(struct store *s)
{
	struct fill *f = &s->fill;

	pthread_mutex_lock(&f->lock);
	bool volume = f->volume.error != 0 && f->volume.filled - f->volume.used < RESERVE;
	bool engine = f->engine.error != 0 && f->engine.filled - f->engine.used < RESERVE;
	pthread_mutex_unlock(&f->lock);
	return volume || engine;
}

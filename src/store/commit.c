/*
 * The commit thread. While it flushes one group the next gathers by itself; a lone intent waits for nobody.
 *
 * Order of a group, on which promise D1 rests: the intents run; the record is written and fdatasynced; the
 * engine commits (in memory, see checkpoint.c); on_group; the answers. After the first byte is written any
 * error makes the store suspect: what is on disk is unknown until it has been read again, and a sync that
 * failed once may not be asked again (D2).
 */
#include "base/clock.h"
#include "base/wire.h"
#include "limits.h"
#include "store/store_int.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#ifndef IOV_MAX
#define IOV_MAX 1024
#endif
#define ENGINE_LEAF ((uint64_t)4 << 10)  /* what one put mostly copies: rows of a group are neighbours */
#define ENGINE_PATH ((uint64_t)16 << 10) /* what it copies at most: the pages from the root down */
#define ENGINE_BASE ((uint64_t)64 << 10)

void store_set_suspect(struct store *s, const err *why)
{
	pthread_mutex_lock(&s->lock);
	if (!atomic_load(&s->suspect)) {
		memcpy(s->why, why->text, sizeof s->why);
		atomic_store(&s->suspect, true);
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- writing a group ---- */

/* Writes the iovs at an offset, all of them. It consumes the array. */
static int write_all(int fd, struct iovec *v, uint32_t n, uint64_t at, err *e)
{
	while (n > 0) {
		ssize_t rc = pwritev(fd, v, n < IOV_MAX ? (int)n : IOV_MAX, (off_t)at);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc < 0)
			return err_sys(e, ERR_IO, "write to the volume");
		if (rc == 0)
			return err_set(e, ERR_IO, "write to the volume: nothing was taken");
		at += (uint64_t)rc;
		for (size_t left = (size_t)rc; left > 0;) {
			size_t step = left < v->iov_len ? left : v->iov_len;

			v->iov_base = (char *)v->iov_base + step;
			v->iov_len -= step;
			left -= step;
			if (v->iov_len == 0)
				v++, n--;
		}
	}
	return 0;
}

/* What the engine's file may grow by: it copies pages, at most all it has, and adds the new rows. */
static uint64_t engine_growth(const struct store *s, const struct store_tx *tx, uint64_t op_bytes)
{
	uint64_t copied = omap_count(tx->overlay) * op_bytes;
	uint64_t has = s->engine->used ? s->engine->used(s->kv) : 0;

	return ENGINE_BASE + (copied < has ? copied : has) + 2 * tx->row_bytes;
}

/* What must be there before the group begins. The rare group that grows more writes the file's end itself. */
static uint64_t engine_need(const struct store *s, const struct store_tx *tx)
{
	uint64_t need = engine_growth(s, tx, ENGINE_LEAF);

	return need < s->config.step_bytes / 2 ? need : s->config.step_bytes / 2;
}

static int engine_write(struct store *s, struct kv_txn **txn, err *e)
{
	if (s->engine->begin(s->kv, true, txn, e) < 0)
		return -1;
	return tx_apply(&s->tx, *txn, e);
}

/*
 * The part after which nothing is certain until it has gone well. The write is put on its way, the engine's
 * pages are prepared in memory meanwhile, then both are waited for, log first.
 */
static int group_flush(struct store *s, int fd, uint64_t length, err *e)
{
	struct store_tx *tx = &s->tx;
	struct kv_txn *txn = NULL;

	for (size_t i = 0; i < tx->bigs_n; i++)
		tx->bigs[i]->taken = true;
	if (write_all(fd, tx->out.iov, tx->out.iov_n, tx->start, e) < 0)
		return -1;
	if (sync_file_range(fd, (off_t)tx->start, (off_t)record_space(length), SYNC_FILE_RANGE_WRITE) < 0)
		return err_sys(e, ERR_IO, "write to the volume");
	s->engine->abort(tx->snap); /* its pages may be used again by the engine */
	tx->snap = NULL;
	fill_engine_enter(s, engine_growth(s, tx, ENGINE_PATH));
	int rc = engine_write(s, &txn, e);
	if (rc == 0 && fdatasync(fd) < 0)
		rc = err_sys(e, ERR_IO, "sync of the volume");
	if (rc == 0) {
		rc = s->engine->commit(txn, e);
		txn = NULL;
	}
	if (txn)
		s->engine->abort(txn);
	fill_engine_leave(s);
	if (rc == 0 && atomic_load(&s->suspect)) /* the filler saw an error of the same medium */
		rc = err_set(e, ERR_IO, "%s", s->why);
	return rc;
}

/* The old volume's row, and a fresh count for the new one. */
static int put_sealed_row(struct store_tx *tx, uint32_t volume, uint64_t used, err *e)
{
	uint8_t key[VOLUME_KEY], value[VOLUME_VALUE];

	volume_key(volume, key);
	volume_row_encode(&(struct volume_row){used, tx->state.live}, value);
	tx->state.live = 0;
	return store_tx_put(tx, slice_make(key, sizeof key), slice_make(value, sizeof value), e);
}

static int put_format(struct store_tx *tx, err *e)
{
	uint8_t value[FORMAT_VALUE] = {STORE_FORMAT >> 8, STORE_FORMAT & 0xff};

	be64_put(value + 2, tx->store->id);
	return store_tx_put(tx, FORMAT_KEY, slice_make(value, sizeof value), e);
}

/* Begins a group: in the active volume, or in the next one when that is full. */
static int group_begin(struct store *s, bool *ret_next, err *e)
{
	/* No room for a new one: the old one goes on, as long as its zeroes last. */
	bool next = s->state.end >= s->config.volume_bytes && fill_next_volume(s, NULL) == 0;
	uint32_t volume = s->state.volume + (next ? 1 : 0);

	if (tx_begin(&s->tx, volume, next ? VOLUME_HEAD : s->state.end, e) < 0)
		return -1;
	tx_set_time(&s->tx);
	if (next && put_sealed_row(&s->tx, s->state.volume, s->state.end, e) < 0)
		return -1;
	if (s->new_format && put_format(&s->tx, e) < 0)
		return -1;
	tx_forget_undo(&s->tx); /* belongs to no intent */
	*ret_next = next;
	return 0;
}

static int group_write(struct store *s, bool next, uint32_t intents, err *e)
{
	struct store_tx *tx = &s->tx;
	struct store_file *file = s->active;
	uint64_t length;

	if (tx_make_record(tx, intents, &length, e) < 0 ||
		fill_before(s, next, tx->state.end, engine_need(s, tx), e) < 0)
		return -1;
	if (next && !(file = file_get(s, tx->state.volume, e)))
		return -1;
	if (group_flush(s, file->fd, length, e) < 0) {
		e->kind = ERR_IO; /* whatever it was: now it is certain to be nothing less */
		if (next)
			file_unref(file);
		return -1;
	}
	if (next) {
		file_unref(s->active);
		s->active = file;
		fill_took_next(s, s->state.end);
	}
	s->state = tx->state;
	s->new_format = false;
	batch_commit(tx);
	fill_volume_used(s, s->state.end);
	checkpoint_note(s, length);
	atomic_fetch_add(&s->groups, 1);
	atomic_fetch_add(&s->intents, intents);
	atomic_fetch_add(&s->bytes, length);
	return 0;
}

int group_write_state(struct store *s, err *e)
{
	bool next;
	int rc = group_begin(s, &next, e);

	if (rc == 0)
		rc = group_write(s, next, 0, e);
	tx_end(&s->tx);
	return rc;
}

/* ---- running intents ---- */

static bool has_batch(const struct store_intent *i)
{
	static const uint8_t none[16];

	return memcmp(i->batch, none, 16) != 0;
}

static int run_intent(struct store_tx *tx, struct store_intent *i)
{
	err *e = &i->error;

	if (has_batch(i)) {
		int rc = batch_find(tx, i->batch, i->answer, e);

		i->repeated = rc == 1;
		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
	if (i->run(tx, i->arg, e) < 0)
		return -1;
	if (tx->oom)
		return err_set(e, ERR_TEMP, "out of memory");
	if (has_batch(i))
		return batch_store(tx, i->batch, i->answer ? buf_slice(i->answer) : (slice){0}, e);
	return 0;
}

/* Runs one intent. One that fails leaves no trace. */
static void try_intent(struct store_tx *tx, struct store_intent *i)
{
	struct tx_mark mark;

	i->error = (err){0};
	i->repeated = false;
	tx_mark(tx, &mark);
	tx_set_time(tx);
	i->result = run_intent(tx, i) < 0 ? -1 : 0;
	if (i->result < 0)
		tx_rollback(tx, &mark);
	else
		tx_forget_undo(tx);
}

static void answer(struct store_intent *list)
{
	while (list) {
		struct store_intent *i = list;

		list = i->next; /* after the post it is not ours */
		loop_post(i->loop, &i->message);
	}
}

static void fail_all(struct store_intent *list, const err *e)
{
	for (struct store_intent *i = list; i; i = i->next)
		if (i->result == 0) {
			i->result = -1;
			i->error = *e;
		}
}

/* Files whose row is gone for good. */
static void unlink_drops(struct store *s)
{
	for (size_t i = 0; i < s->tx.drops_n; i++)
		big_unlink(s, s->tx.drops[i]);
}

/* Runs intents from the queue until the group is full. Returns the list of those that ran. */
static struct store_intent *group_run(struct store *s, uint32_t *ret_n)
{
	struct store_intent *list = s->first, *last = NULL;
	uint32_t n = 0;

	while (s->first && n < LIMIT_GROUP_COUNT && tx_size(&s->tx) < LIMIT_GROUP_BYTES) {
		last = s->first;
		s->first = last->next;
		try_intent(&s->tx, last);
		n++;
	}
	if (last)
		last->next = NULL;
	*ret_n = n;
	return list;
}

/* Takes everything that waits, for an error that concerns all. */
static struct store_intent *take_all(struct store *s)
{
	struct store_intent *list = s->first;

	s->first = NULL;
	for (struct store_intent *i = list; i; i = i->next)
		i->result = 0;
	return list;
}

static void group(struct store *s)
{
	struct store_tx *tx = &s->tx;
	struct store_intent *list;
	bool next = false;
	uint32_t n;
	err e = {0};

	if (atomic_load(&s->suspect)) {
		(void)err_set(&e, ERR_IO, "the store takes no changes until it is opened again: %s", s->why);
		list = take_all(s);
		fail_all(list, &e);
		answer(list);
		return;
	}
	if (group_begin(s, &next, &e) < 0) {
		tx_end(tx);
		list = take_all(s);
		fail_all(list, &e);
		answer(list);
		return;
	}
	list = group_run(s, &n);
	if (omap_count(tx->overlay) > 0) {
		if (group_write(s, next, n, &e) < 0) {
			if (e.kind == ERR_IO)
				store_set_suspect(s, &e);
			fail_all(list, &e);
		} else {
			unlink_drops(s);
			if (s->config.on_group && tx->notes_n > 0)
				s->config.on_group(s->config.arg, tx->notes, tx->notes_n);
		}
	}
	tx_end(tx);
	answer(list);
}

/* The same, and notes how long it took. */
static void timed_group(struct store *s)
{
	uint64_t from = clock_span_us();

	group(s);
	uint64_t took = clock_span_us() - from, longest = atomic_load(&s->longest_us);
	while (took > longest && !atomic_compare_exchange_weak(&s->longest_us, &longest, took))
		;
}

/* ---- the thread and its queue ---- */

/* Puts what was submitted behind the queue, oldest first. */
static void gather(struct store *s)
{
	struct store_intent *i = atomic_exchange(&s->submitted, NULL), *first = NULL, *last = i;

	while (i) {
		struct store_intent *older = i->next;

		i->next = first;
		first = i;
		i = older;
	}
	if (!first)
		return;
	if (s->first)
		s->last->next = first;
	else
		s->first = first;
	s->last = last;
}

/* Until something is submitted, or a checkpoint is due or done. */
static void sleep_until_called(struct store *s)
{
	struct timespec until;
	bool limited = checkpoint_wait(s, &until);

	pthread_mutex_lock(&s->lock);
	if (atomic_load(&s->submitted) || atomic_load(&s->stop) || s->checkpoint.done) {
		/* called already */
	} else if (limited) {
		(void)!pthread_cond_clockwait(&s->wake, &s->lock, CLOCK_MONOTONIC, &until);
	} else {
		pthread_cond_wait(&s->wake, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
}

static void *commit_thread(void *arg)
{
	struct store *s = arg;

	pthread_setname_np(pthread_self(), "store-commit");
	for (;;) {
		gather(s);
		if (s->first)
			timed_group(s);
		checkpoint_poll(s);
		if (s->first || atomic_load(&s->submitted))
			continue;
		if (atomic_load(&s->stop))
			return NULL;
		sleep_until_called(s);
	}
}

int commit_start(struct store *s, err *e)
{
	int rc = pthread_create(&s->thread, NULL, commit_thread, s);

	if (rc != 0) {
		errno = rc;
		return err_sys(e, ERR_TEMP, "start of the commit thread");
	}
	s->running = true;
	return 0;
}

void commit_stop(struct store *s)
{
	if (!s->running)
		return;
	pthread_mutex_lock(&s->lock);
	atomic_store(&s->stop, true);
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	s->running = false;
}

static void on_answer(struct loop_message *m)
{
	struct store_intent *i =
		(struct store_intent *)(void *)((char *)m - offsetof(struct store_intent, message));

	i->done(i);
}

void store_submit(struct store *s, struct store_intent *i)
{
	struct store_intent *head = atomic_load(&s->submitted);

	i->loop = loop_self();
	i->message = (struct loop_message){.run = on_answer};
	do
		i->next = head;
	while (!atomic_compare_exchange_weak(&s->submitted, &head, i));
	if (head)
		return; /* the thread has not come round yet since somebody rang */
	pthread_mutex_lock(&s->lock);
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

struct waiter {
	struct fiber *fiber;
	bool done;
};

static void wake_waiter(struct store_intent *i)
{
	struct waiter *w = i->waiter;

	w->done = true;
	fiber_wake(w->fiber);
}

int store_commit_intent(struct store *s, struct store_intent *i)
{
	struct waiter w = {.fiber = fiber_self()};

	i->waiter = &w;
	i->done = wake_waiter;
	store_submit(s, i);
	fiber_park_firmly(&w.done);
	return i->result;
}

int store_commit(struct store *s, store_run *run, void *arg, err *e)
{
	struct store_intent i = {.run = run, .arg = arg};

	if (store_commit_intent(s, &i) < 0 && e)
		*e = i.error;
	return i.result;
}

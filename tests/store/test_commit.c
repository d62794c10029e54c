/* Groups: what intents see, failures that stay alone, many producers, batch ids, volumes that fill up. */
#include "limits.h"
#include "store_test.h"

static const struct kv_engine *const engines[] = {&kv_lmdb, &kv_memory};

struct job {
	slice key, value;
	int fail; /* after the put */
	uint64_t id;
};

static int run_put(struct store_tx *tx, void *arg, err *e)
{
	struct job *j = arg;

	j->id = store_tx_next_id(tx);
	if (store_tx_put(tx, j->key, j->value, e) < 0)
		return -1;
	return j->fail ? err_set(e, ERR_CONFLICT, "as asked") : 0;
}

static void check_key(struct store *s, slice key, slice want, bool there)
{
	struct store_snap snap;
	slice v = {0};
	int rc = 0;

	must(store_snap_begin(s, &snap, &must_e));
	must(rc = store_snap_get(&snap, key, &v, &must_e));
	assert_int_equal(rc, there);
	if (there)
		assert_true(slice_eq(v, want));
	store_snap_end(&snap);
}

struct one {
	struct store *s;
	void (*test)(struct store *s);
};
static void call_one(void *arg)
{
	struct one *o = arg;

	o->test(o->s);
}
static void on_store(void (*test)(struct store *s))
{
	for (size_t i = 0; i < COUNT_OF(engines); i++) {
		struct test_dir d = test_dir_new();
		struct store_config c = test_config(&d, engines[i]);
		struct one o = {test_start(&c), test};

		test_on_fiber(call_one, &o);
		store_close(o.s);
		test_dir_free(&d);
	}
}

static void simple(struct store *s)
{
	struct job j = {S("Xone"), S("1"), 0, 0};
	err e = {0};

	must(store_commit(s, run_put, &j, &must_e));
	check_key(s, S("Xone"), S("1"), true);
	j = (struct job){S("Xtwo"), S("2"), 1, 0};
	assert_int_equal(store_commit(s, run_put, &j, &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
	check_key(s, S("Xtwo"), S("2"), false);
	struct store_stats st;
	store_stats(s, &st);
	assert_false(st.suspect);
	assert_int_equal(st.epoch, 1);
}
static void test_simple(void **state)
{
	(void)state;
	on_store(simple);
}

/* ---- one group with a failing intent in the middle ---- */

struct pending {
	struct store_intent intent;
	struct job job;
	char key[16], value[16];
	unsigned *left;
	struct fiber *waiter;
};
static void on_done(struct store_intent *i)
{
	struct pending *p = i->arg;

	if (--*p->left == 0)
		fiber_wake(p->waiter);
}
static int run_pending(struct store_tx *tx, void *arg, err *e)
{
	struct pending *p = arg;
	slice v;

	/* all change one shared row, too: what a failed one did to it must be undone, not what the others did
	 */
	int rc = store_tx_get(tx, S("Xshared"), &v, e);
	if (rc < 0)
		return -1;
	char text[200];
	int n = snprintf(text, sizeof text, "%.*s%s", rc ? (int)v.n : 0, rc ? v.p : "", p->key + 1);
	if (store_tx_put(tx, S("Xshared"), slice_make(text, (size_t)n), e) < 0)
		return -1;
	return run_put(tx, &p->job, e);
}

static void isolation(struct store *s)
{
	struct pending p[12] = {0};
	unsigned left = COUNT_OF(p);
	struct store_stats before, after;
	char want[64] = "";

	store_stats(s, &before);
	for (size_t i = 0; i < COUNT_OF(p); i++) {
		snprintf(p[i].key, sizeof p[i].key, "Xk%02zu", i);
		snprintf(p[i].value, sizeof p[i].value, "v%zu", i);
		p[i].job = (struct job){slice_of(p[i].key), slice_of(p[i].value), i % 3 == 1, 0};
		p[i].left = &left;
		p[i].waiter = fiber_self();
		p[i].intent = (struct store_intent){.run = run_pending, .arg = &p[i], .done = on_done};
		store_submit(s, &p[i].intent);
	}
	while (left > 0)
		fiber_park(FOREVER);
	for (size_t i = 0; i < COUNT_OF(p); i++) {
		bool failed = i % 3 == 1;

		assert_int_equal(p[i].intent.result, failed ? -1 : 0);
		if (failed)
			assert_int_equal(p[i].intent.error.kind, ERR_CONFLICT);
		else
			snprintf(want + strlen(want), sizeof want - strlen(want), "%s", p[i].key + 1);
		check_key(s, slice_of(p[i].key), slice_of(p[i].value), !failed);
	}
	check_key(s, S("Xshared"), slice_of(want), true);
	store_stats(s, &after);
	assert_true(after.groups - before.groups <= COUNT_OF(p));
}
static void test_isolation(void **state)
{
	(void)state;
	on_store(isolation);
}

/* ---- batch ids ---- */

static int run_counted(struct store_tx *tx, void *arg, err *e)
{
	struct store_intent *i = arg;
	slice v;
	uint32_t n = 0;

	if (store_tx_get(tx, S("Xcount"), &v, e) == 1)
		n = (uint32_t)(uint8_t)v.p[0];
	char next = (char)(n + 1);
	buf_reset(i->answer);
	buf_add_u64(i->answer, n + 1);
	return store_tx_put(tx, S("Xcount"), slice_make(&next, 1), e);
}

static void ask_batch(struct store *s, uint32_t id, const char *want, bool repeated)
{
	struct buf answer = BUF_INIT(LIMIT_BATCH_ANSWER);
	struct store_intent i = {.run = run_counted, .answer = &answer};

	memcpy(i.batch, &id, sizeof id);
	i.arg = &i;
	assert_int_equal(store_commit_intent(s, &i), 0);
	assert_int_equal(i.repeated, repeated);
	assert_true(slice_eq(buf_slice(&answer), slice_of(want)));
	buf_free(&answer);
}

static void batches(struct store *s)
{
	ask_batch(s, 1000, "1", false);
	ask_batch(s, 1001, "2", false);
	ask_batch(s, 1000, "1", true);
	ask_batch(s, 1001, "2", true);
}
static void batches_later(struct store *s)
{
	ask_batch(s, 1001, "2", true);
	ask_batch(s, 1002, "3", false);
}
static void test_batches(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(engines); i++) {
		struct test_dir d = test_dir_new();
		struct store_config c = test_config(&d, engines[i]);
		struct one o = {test_start(&c), batches};

		test_on_fiber(call_one, &o);
		store_close(o.s);
		o = (struct one){test_start(&c), batches_later};
		test_on_fiber(call_one, &o);
		store_close(o.s);
		test_dir_free(&d);
	}
}

/* The ring goes round: old ids are forgotten, the last 65,536 are not. */
static int run_many_batches(struct store_tx *tx, void *arg, err *e)
{
	uint32_t *from = arg;

	for (uint32_t i = 0; i < 4096; i++) {
		uint8_t id[16] = {1};

		memcpy(id + 4, &(uint32_t){*from + i}, 4);
		if (batch_store(tx, id, S("answer"), e) < 0)
			return -1;
	}
	*from += 4096;
	return 0;
}
static int run_find_batch(struct store_tx *tx, void *arg, err *e)
{
	uint8_t id[16] = {1};

	memcpy(id + 4, arg, 4);
	int rc = batch_find(tx, id, NULL, e);
	return rc < 0 ? -1 : rc ? 0 : err_set(e, ERR_MISSING, "not known");
}
static void ring(struct store *s)
{
	uint32_t from = 0;

	while (from < BATCH_SLOTS + 3 * 4096)
		must(store_commit(s, run_many_batches, &from, &must_e));
	for (uint32_t i = 0; i < from; i += 97) {
		int rc = store_commit(s, run_find_batch, &(uint32_t){i}, NULL);

		assert_int_equal(rc, i < from - BATCH_SLOTS ? -1 : 0);
	}
	assert_int_equal(s->batches.n, BATCH_SLOTS);
}
static void test_ring(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_memory);
	struct one o = {test_start(&c), ring};

	(void)state;
	test_on_fiber(call_one, &o);
	store_close(o.s);
	test_dir_free(&d);
}

/* ---- many producers on several loops ---- */

enum { PRODUCERS = 8, ROUNDS = 25, LOOPS = 3 };

struct producer {
	struct store *s;
	unsigned loop, number;
	uint64_t last_blob;
};

struct deliver {
	slice blob;
	char key[32];
	uint64_t id;
	uint8_t queue[16];
	unsigned loop;
};
static int run_deliver(struct store_tx *tx, void *arg, err *e)
{
	struct deliver *d = arg;
	char value[8];

	if (store_tx_blob(tx, d->blob, &d->id, e) < 0)
		return -1;
	for (int i = 0; i < 8; i++)
		value[i] = (char)(d->id >> (56 - 8 * i));
	store_tx_queue_id(tx, d->queue);
	store_tx_note(tx, d->loop, 7, d->id);
	return store_tx_put(tx, slice_of(d->key), slice_make(value, 8), e);
}

static void read_back(struct store *s, uint64_t id, slice want)
{
	struct store_snap snap;
	struct store_blob b;
	char *got = malloc(want.n + 1);
	int rc = 0;

	must(store_snap_begin(s, &snap, &must_e));
	must(rc = store_blob_find(&snap, id, &b, &must_e));
	store_snap_end(&snap);
	assert_int_equal(rc, 1);
	assert_int_equal(b.length, want.n);
	must(store_blob_read(&b, 0, got, want.n, &must_e));
	assert_memory_equal(got, want.p, want.n);
	if (want.n > 10) {
		must(store_blob_read(&b, 3, got, 5, &must_e));
		assert_memory_equal(got, want.p + 3, 5);
	}
	assert_int_equal(store_blob_read(&b, want.n, got, 1, NULL), -1);
	store_blob_release(&b);
	free(got);
}

static void fill_text(char *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)('a' + (seed + i * 7 + i / 26) % 26);
}

static void producer(void *arg)
{
	struct producer *p = arg;
	uint8_t queue[16] = {0};

	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t n = 100 + (p->number * 131 + round * 977) % 5000;
		char *mine = malloc(n);
		struct deliver d = {.blob = slice_make(mine, n), .loop = p->loop};

		fill_text(mine, n, p->loop * 100 + p->number * 10 + round);
		snprintf(d.key, sizeof d.key, "X%u.%02u.%03u", p->loop, p->number, round);
		must(store_commit(p->s, run_deliver, &d, &must_e));
		assert_true(memcmp(d.queue, queue, 16) > 0);
		memcpy(queue, d.queue, 16);
		read_back(p->s, d.id, d.blob);
		free(mine);
	}
}

struct loop_thread {
	struct store *s;
	unsigned number;
};
static void *loop_main(void *arg)
{
	struct loop_thread *t = arg;
	struct loop *l = loop_new("test");
	struct producer p[PRODUCERS];

	for (unsigned i = 0; i < PRODUCERS; i++) {
		p[i] = (struct producer){.s = t->s, .loop = t->number, .number = i};
		if (!fiber_start("producer", producer, &p[i]))
			abort();
	}
	loop_run(l);
	loop_free(l);
	return NULL;
}

struct watch {
	_Atomic unsigned notes;
};
static void on_group(void *arg, const struct store_note *notes, size_t n)
{
	struct watch *w = arg;

	for (size_t i = 0; i < n; i++)
		if (notes[i].mailbox == 7)
			w->notes++;
}

/* All that was answered is there after close and open, each key with its blob. */
static void check_all(struct store *s)
{
	struct store_snap snap;
	struct store_scan sc;
	slice k, v;
	unsigned n = 0;
	uint64_t last = 0;

	must(store_snap_begin(s, &snap, &must_e));
	must(store_scan_open(&snap, S("X"), &sc, &must_e));
	while (store_scan_next(&sc, &k, &v, NULL) == 1) {
		struct store_blob b;
		uint64_t id = 0;

		for (int i = 0; i < 8; i++)
			id = id << 8 | (uint8_t)v.p[i];
		assert_int_equal(store_blob_find(&snap, id, &b, NULL), 1);
		char *got = malloc(b.length);
		must(store_blob_read(&b, 0, got, b.length, &must_e));
		free(got);
		store_blob_release(&b);
		last = id > last ? id : last;
		n++;
	}
	store_scan_close(&sc);
	store_snap_end(&snap);
	assert_int_equal(n, LOOPS * PRODUCERS * ROUNDS);
	assert_true(atomic_load(&s->next_id) > last);
}

static void many(const struct kv_engine *engine, uint64_t volume_bytes)
{
	struct test_dir d = test_dir_new();
	struct watch w = {0};
	struct store_config c = test_config(&d, engine);

	c.volume_bytes = volume_bytes;
	c.on_group = on_group;
	c.arg = &w;
	struct store *s = test_start(&c);
	pthread_t id[LOOPS];
	struct loop_thread t[LOOPS];
	for (unsigned i = 0; i < LOOPS; i++) {
		t[i] = (struct loop_thread){s, i};
		assert_int_equal(pthread_create(&id[i], NULL, loop_main, &t[i]), 0);
	}
	for (unsigned i = 0; i < LOOPS; i++)
		pthread_join(id[i], NULL);
	assert_int_equal(w.notes, LOOPS * PRODUCERS * ROUNDS);
	struct store_stats st;
	store_stats(s, &st);
	assert_int_equal(st.intents, LOOPS * PRODUCERS * ROUNDS);
	if (volume_bytes)
		assert_true(st.volume > 2);
	check_all(s);
	store_close(s);
	s = test_open(&c);
	assert_int_equal(s->report.corrupt, 0);
	assert_false(s->report.cut);
	check_all(s);
	store_close(s);
	test_dir_free(&d);
}

static void test_many(void **state)
{
	(void)state;
	many(&kv_lmdb, 0);
	many(&kv_memory, 0);
}
static void test_many_volumes(void **state)
{
	(void)state;
	many(&kv_lmdb, 300000);
	many(&kv_memory, 300000);
}

/* ---- blobs: drop, big ones, damage ---- */

static int run_drop(struct store_tx *tx, void *arg, err *e)
{
	return store_tx_blob_drop(tx, *(uint64_t *)arg, e);
}
struct take_big {
	struct store_big *big;
	uint64_t id;
	bool fail;
};
static int run_big(struct store_tx *tx, void *arg, err *e)
{
	struct take_big *t = arg;

	if (store_tx_blob_file(tx, t->big, &t->id, e) < 0)
		return -1;
	return t->fail ? err_set(e, ERR_QUOTA, "full") : 0;
}

static unsigned files_in(int fd)
{
	unsigned n = 0;
	char name[20];

	for (uint64_t id = 0; id < 200; id++) {
		big_name(id, name);
		n += faccessat(fd, name, F_OK, 0) == 0;
	}
	return n;
}

static bool has_blob(struct store *s, uint64_t id)
{
	struct store_snap snap;
	struct store_blob b;

	must(store_snap_begin(s, &snap, &must_e));
	int rc = store_blob_find(&snap, id, &b, NULL);
	if (rc == 1)
		store_blob_release(&b);
	store_snap_end(&snap);
	return rc == 1;
}

static void blobs(struct store *s)
{
	char text[2000];
	struct deliver d = {.blob = slice_make(text, sizeof text), .key = "Xblob"};

	fill_text(text, sizeof text, 1);
	must(store_commit(s, run_deliver, &d, &must_e));
	uint64_t live = s->state.live;
	read_back(s, d.id, d.blob);
	must(store_commit(s, run_drop, &d.id, &must_e));
	assert_int_equal(s->state.live, live - sizeof text);
	assert_false(has_blob(s, d.id));
	assert_int_equal(store_commit(s, run_drop, &d.id, NULL), -1);

	err e;
	char *large = calloc(1, LIMIT_BLOB_INLINE + 1);
	struct deliver l = {.blob = slice_make(large, LIMIT_BLOB_INLINE + 1), .key = "Xlarge"};
	assert_int_equal(store_commit(s, run_deliver, &l, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	free(large);
}
static void test_blobs(void **state)
{
	(void)state;
	on_store(blobs);
}

static void bigs(struct store *s)
{
	int fd = -1;
	char text[2000];
	struct take_big t = {.fail = true};

	must(fd = store_spool_new(s, &must_e));
	fill_text(text, sizeof text, 4);
	assert_int_equal(pwrite(fd, text, sizeof text, 0), sizeof text);
	err e;
	struct store_big *b;
	assert_int_equal(store_big_finish(s, fd, sizeof text + 1, &b, &e), -1); /* longer than it is */
	assert_int_equal(files_in(s->big_fd), 0);

	must(store_big_finish(s, fd, sizeof text, &t.big, &must_e));
	assert_int_equal(pwrite(fd, "later", 5, 0), 5); /* the borrower goes on: no matter */
	assert_int_equal(store_commit(s, run_big, &t, &e), -1);
	assert_int_equal(files_in(s->big_fd), 1);
	t.fail = false;
	must(store_commit(s, run_big, &t, &must_e));
	store_big_drop(t.big);
	assert_int_equal(files_in(s->big_fd), 1);
	read_back(s, t.id, slice_make(text, sizeof text));
	must(store_commit(s, run_drop, &t.id, &must_e));
	assert_int_equal(files_in(s->big_fd), 0);
	assert_false(has_blob(s, t.id));

	must(store_big_finish(s, fd, 5, &b, &must_e));
	store_big_drop(b); /* no intent took it */
	assert_int_equal(files_in(s->big_fd), 0);
	close(fd);
}
static void test_bigs(void **state)
{
	(void)state;
	on_store(bigs);
}

/* Blobs through a window: in order, backwards, with gaps, written after the window was, and damaged. */
static void windows(struct store *s)
{
	enum { N = 60 };
	static char texts[N][5000];
	char got[5000];
	struct store_blob b[N];
	struct store_window w = {0};
	struct store_snap snap;
	err e = {0};

	for (unsigned i = 0; i < N; i++) {
		struct deliver d = {.blob = slice_make(texts[i], 1 + i * 83), .key = "Xwindow"};

		fill_text(texts[i], 1 + i * 83, i);
		must(store_commit(s, run_deliver, &d, &must_e));
		must(store_snap_begin(s, &snap, &must_e));
		assert_int_equal(store_blob_find(&snap, d.id, &b[i], &e), 1);
		store_snap_end(&snap);
		must(store_window_read(&w, &b[i], got, &must_e)); /* the window is older than the blob */
		assert_memory_equal(got, texts[i], b[i].length);
	}
	for (unsigned i = 0; i < 3 * N; i++) {
		unsigned k = i < N ? i : i < 2 * N ? 2 * N - 1 - i : i * 7 % N;

		must(store_window_read(&w, &b[k], got, &must_e));
		assert_memory_equal(got, texts[k], b[k].length);
	}
	assert_int_equal(pwrite(b[40].file->fd, "!", 1, (off_t)(b[40].offset + 100)), 1);
	store_window_reset(&w);
	for (unsigned i = 38; i < 43; i++)
		assert_int_equal(store_window_read(&w, &b[i], got, &e), i == 40 ? -1 : 0);
	assert_int_equal(e.kind, ERR_CORRUPT);
	store_window_reset(&w);
	for (unsigned i = 0; i < N; i++)
		store_blob_release(&b[i]);
}
static void test_windows(void **state)
{
	(void)state;
	on_store(windows);
}

static void damage(struct store *s)
{
	char text[3000], got[3000];
	struct deliver d = {.blob = slice_make(text, sizeof text), .key = "Xblob"};
	struct store_snap snap;
	struct store_blob b;
	err e = {0};

	fill_text(text, sizeof text, 1);
	must(store_commit(s, run_deliver, &d, &must_e));
	must(store_snap_begin(s, &snap, &must_e));
	assert_int_equal(store_blob_find(&snap, d.id, &b, &e), 1);
	store_snap_end(&snap);
	assert_int_equal(pwrite(b.file->fd, "!", 1, (off_t)(b.offset + 1000)), 1);
	assert_int_equal(store_blob_read(&b, 0, got, sizeof got, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	store_blob_release(&b);
}
static void test_damage(void **state)
{
	(void)state;
	on_store(damage);
}

static int pool_threads(void **state)
{
	(void)state;
	return setenv("UV_THREADPOOL_SIZE", "2", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simple),
		cmocka_unit_test(test_isolation),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_many_volumes),
		cmocka_unit_test(test_blobs),
		cmocka_unit_test(test_bigs),
		cmocka_unit_test(test_damage),
	};
	return cmocka_run_group_tests(tests, pool_threads, NULL);
}

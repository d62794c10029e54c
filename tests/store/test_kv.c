/* The engines keep one contract: every test runs against each of them. */
#include "store_test.h"

struct setup {
	const struct kv_engine *engine;
	struct test_dir dir;
	struct kv *kv;
};

static int open_engine(void **state, const struct kv_engine *engine)
{
	struct setup *t = calloc(1, sizeof *t);

	t->engine = engine;
	t->dir = test_dir_new();
	must(engine->open(t->dir.path, (uint64_t)1 << 30, &t->kv, &must_e));
	*state = t;
	return 0;
}
static int open_lmdb(void **state)
{
	return open_engine(state, &kv_lmdb);
}
static int open_memory(void **state)
{
	return open_engine(state, &kv_memory);
}
static int close_engine(void **state)
{
	struct setup *t = *state;

	t->engine->close(t->kv);
	test_dir_free(&t->dir);
	free(t);
	return 0;
}

static struct kv_txn *begin(struct setup *t, bool write)
{
	struct kv_txn *x = NULL;

	must(t->engine->begin(t->kv, write, &x, &must_e));
	return x;
}

static void put(struct setup *t, struct kv_txn *x, slice key, slice value)
{
	must(t->engine->put(x, key, value, &must_e));
}

static void check(struct setup *t, struct kv_txn *x, slice key, const char *want)
{
	slice v = {0};
	int rc = 0;

	must(rc = t->engine->get(x, key, &v, &must_e));
	assert_int_equal(rc, want ? 1 : 0);
	if (want)
		assert_true(slice_eq(v, slice_of(want)));
}

static void test_snapshots(void **state)
{
	struct setup *t = *state;
	struct kv_txn *w = begin(t, true);

	put(t, w, S("a"), S("1"));
	put(t, w, S("b"), S("2"));
	put(t, w, S("a"), S("one"));
	check(t, w, S("a"), "one");
	must(t->engine->commit(w, &must_e));

	struct kv_txn *before = begin(t, false);
	w = begin(t, true);
	put(t, w, S("a"), S("changed"));
	must(t->engine->del(w, S("b"), &must_e));
	must(t->engine->del(w, S("not there"), &must_e));
	check(t, w, S("b"), NULL);
	check(t, before, S("a"), "one");
	must(t->engine->commit(w, &must_e));
	check(t, before, S("a"), "one");
	check(t, before, S("b"), "2");
	struct kv_txn *after = begin(t, false);
	check(t, after, S("a"), "changed");
	check(t, after, S("b"), NULL);
	t->engine->abort(before);
	t->engine->abort(after);

	w = begin(t, true);
	put(t, w, S("a"), S("lost"));
	put(t, w, S("c"), S("lost"));
	must(t->engine->del(w, S("a"), &must_e));
	t->engine->abort(w);
	after = begin(t, false);
	check(t, after, S("a"), "changed");
	check(t, after, S("c"), NULL);
	t->engine->abort(after);
}

static void test_limits(void **state)
{
	struct setup *t = *state;
	struct kv_txn *w = begin(t, true);
	static const char long_key[KV_KEY_MAX + 1];
	err e;

	assert_int_equal(t->engine->put(w, (slice){0}, S("v"), &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_int_equal(t->engine->put(w, slice_make(long_key, KV_KEY_MAX + 1), S("v"), &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	put(t, w, slice_make(long_key, KV_KEY_MAX), S(""));
	check(t, w, slice_make(long_key, KV_KEY_MAX), "");
	must(t->engine->commit(w, &must_e));
}

static slice number_key(char space[16], unsigned n)
{
	snprintf(space, 16, "%05u", n);
	return slice_make(space, 5);
}

static void check_step(int rc, slice k, int want)
{
	char space[16];

	assert_int_equal(rc, want < 0 ? 0 : 1);
	if (want >= 0)
		assert_true(slice_eq(k, number_key(space, (unsigned)want)));
}

/* Even numbers are there; a cursor is walked from every place in both directions. */
static void check_walk(struct setup *t, struct kv_txn *x, int n)
{
	struct kv_cursor *c = NULL;
	char space[16];
	slice k, v;
	err e;

	must(t->engine->cursor_open(x, &c, &must_e));
	for (int i = 0; i < n; i++) {
		slice key = number_key(space, (unsigned)i);
		int up = i + i % 2, down = i - 1 - (i + 1) % 2;

		check_step(t->engine->seek(c, key, &k, &v, &e), k, up < n ? up : -1);
		if (up + 2 < n) {
			check_step(t->engine->next(c, &k, &v, &e), k, up + 2);
			check_step(t->engine->prev(c, &k, &v, &e), k, up);
		}
		check_step(t->engine->seek_before(c, key, &k, &v, &e), k, down);
		if (down >= 2)
			check_step(t->engine->prev(c, &k, &v, &e), k, down - 2);
	}
	check_step(t->engine->seek(c, (slice){0}, &k, &v, &e), k, 0);
	check_step(t->engine->seek(c, S("a"), &k, &v, &e), k, -1);
	check_step(t->engine->seek_before(c, S("a"), &k, &v, &e), k, n - 2);
	check_step(t->engine->next(c, &k, &v, &e), k, -1);
	check_step(t->engine->seek_before(c, (slice){0}, &k, &v, &e), k, -1);
	t->engine->cursor_close(c);
}

static void test_cursors(void **state)
{
	struct setup *t = *state;
	struct kv_txn *w = begin(t, true);
	char space[16];
	enum { N = 600 };

	for (unsigned i = 0; i < N; i += 2)
		put(t, w, number_key(space, i),
			S("some value that takes a little room in the pages of the tree"));
	check_walk(t, w, N);
	must(t->engine->commit(w, &must_e));
	struct kv_txn *r = begin(t, false);
	check_walk(t, r, N);
	t->engine->abort(r);
}

/* Random changes in many transactions, some aborted, against a plain table. */
static void test_random(void **state)
{
	struct setup *t = *state;
	static int model[500], trial[500];
	struct dice d = {7};
	char space[16], text[16];

	memset(model, 0, sizeof model);
	for (int round = 0; round < 60; round++) {
		struct kv_txn *w = begin(t, true);

		memcpy(trial, model, sizeof trial);
		for (int i = 0; i < 40; i++) {
			unsigned n = roll(&d, 500);

			trial[n] = roll(&d, 3) ? (int)roll(&d, 1000) + 1 : 0;
			snprintf(text, sizeof text, "%d", trial[n]);
			if (trial[n])
				put(t, w, number_key(space, n), slice_of(text));
			else
				must(t->engine->del(w, number_key(space, n), &must_e));
		}
		if (roll(&d, 4)) {
			must(t->engine->commit(w, &must_e));
			memcpy(model, trial, sizeof model);
		} else {
			t->engine->abort(w);
		}
		struct kv_txn *r = begin(t, false);
		for (unsigned n = 0; n < 500; n++) {
			snprintf(text, sizeof text, "%d", model[n]);
			check(t, r, number_key(space, n), model[n] ? text : NULL);
		}
		t->engine->abort(r);
	}
}

/* Readers on other threads must always see whole transactions: the two keys are equal in each. */
struct reading {
	struct setup *t;
	_Atomic bool *stop;
	unsigned seen, torn;
};

static void *reader(void *arg)
{
	struct reading *r = arg;
	err e;

	while (!*r->stop) {
		struct kv_txn *x;
		slice a = {0}, b = {0};

		if (r->t->engine->begin(r->t->kv, false, &x, &e) < 0)
			abort();
		int ra = r->t->engine->get(x, S("first"), &a, &e),
		    rb = r->t->engine->get(x, S("second"), &b, &e);
		r->seen++;
		if (ra != rb || (ra == 1 && !slice_eq(a, b)))
			r->torn++;
		r->t->engine->abort(x);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct setup *t = *state;
	_Atomic bool stop = false;
	struct reading r[3];
	pthread_t id[3];
	char text[16];

	for (int i = 0; i < 3; i++) {
		r[i] = (struct reading){t, &stop, 0, 0};
		assert_int_equal(pthread_create(&id[i], NULL, reader, &r[i]), 0);
	}
	for (int i = 0; i < 300; i++) {
		struct kv_txn *w = begin(t, true);

		snprintf(text, sizeof text, "%d", i);
		put(t, w, S("first"), slice_of(text));
		put(t, w, S("second"), slice_of(text));
		must(t->engine->commit(w, &must_e));
	}
	stop = true;
	for (int i = 0; i < 3; i++) {
		pthread_join(id[i], NULL);
		assert_int_equal(r[i].torn, 0);
	}
}

/* LMDB only: what was committed is there after close and open. */
static void test_durable(void **state)
{
	struct setup *t = *state;
	struct kv_txn *w = begin(t, true);

	put(t, w, S("kept"), S("yes"));
	must(t->engine->commit(w, &must_e));
	w = begin(t, true);
	put(t, w, S("not kept"), S("yes"));
	t->engine->abort(w);
	t->engine->close(t->kv);
	must(t->engine->open(t->dir.path, (uint64_t)1 << 30, &t->kv, &must_e));
	struct kv_txn *r = begin(t, false);
	check(t, r, S("kept"), "yes");
	check(t, r, S("not kept"), NULL);
	t->engine->abort(r);
	assert_true(t->engine->used(t->kv) >= 3 * 4096);
}

/* KiB of the engine's file that this process has mapped. */
static unsigned long mapped_kib(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long kib = 0, sum = 0;
	bool ours = false;
	char line[1024], mode[5];

	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "%*x-%*x %4s", mode) == 1)
			ours = strstr(line, "data.mdb") != NULL;
		else if (ours && sscanf(line, "Rss: %lu kB", &kib) == 1)
			sum += kib;
	}
	(void)fclose(f);
	return sum;
}

/* Mapped pages are let go, also while a snapshot is held, and what they hold is there afterwards. */
static void test_rest(void **state)
{
	struct setup *t = *state;
	struct kv_txn *w, *r;
	char key[16], value[1000];

	t->engine->rest(t->kv); /* nothing is there */
	w = begin(t, true);
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	for (int i = 0; i < 8000; i++) {
		(void)snprintf(key, sizeof key, "%06d", i);
		put(t, w, slice_of(key), slice_of(value));
	}
	must(t->engine->commit(w, &must_e));
	r = begin(t, false);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 8000; i++) {
			(void)snprintf(key, sizeof key, "%06d", i);
			check(t, r, slice_of(key), value);
		}
		assert_true(mapped_kib() >= 8000);
		t->engine->rest(t->kv);
		assert_true(mapped_kib() <= 256);
	}
	t->engine->abort(r);
}

#define BOTH(f)                                                                                              \
	{#f " (lmdb)", f, open_lmdb, close_engine, NULL},                                                    \
	{                                                                                                    \
#f " (memory)", f, open_memory, close_engine, NULL                                           \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_snapshots),
		BOTH(test_limits),
		BOTH(test_cursors),
		BOTH(test_random),
		BOTH(test_threads),
		{"test_durable (lmdb)", test_durable, open_lmdb, close_engine, NULL},
		{"test_rest (lmdb)", test_rest, open_lmdb, close_engine, NULL},
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

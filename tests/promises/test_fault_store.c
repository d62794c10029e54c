/*
 * Promise D2: whichever call fails, from the opening of a store to its close, nothing is acknowledged that is
 * not there afterwards. Every call on a file of the store is made to fail once, with several errors; then the
 * store is opened again and held against what was acknowledged.
 */
#include "../store/store_test.h"
#include "fault.h"
#include <time.h>

enum { ROWS = 5 };

struct trial {
	struct store *s;
	bool acked[ROWS + 1]; /* the last one: the big blob */
	uint64_t blob[ROWS + 1];
	bool suspect;
	unsigned i; /* the row under way */
	struct store_big *big;
};

static void fill_blob(char *p, size_t n, unsigned i)
{
	memset(p, (int)('a' + i), n);
}

static int run_row(struct store_tx *tx, void *arg, err *e)
{
	struct trial *t = arg;
	static const char text[3000];
	char key[8], id[8], bytes[3000];

	(void)text;
	snprintf(key, sizeof key, "X%u", t->i);
	fill_blob(bytes, sizeof bytes, t->i);
	if (t->big) {
		if (store_tx_blob_file(tx, t->big, &t->blob[t->i], e) < 0)
			return -1;
	} else {
		/* the bytes must stay until the answer: the scratch of an intent would not do */
		char *kept = (char *)t + sizeof *t + 3000 * (size_t)t->i;

		memcpy(kept, bytes, sizeof bytes);
		if (store_tx_blob(tx, slice_make(kept, sizeof bytes), &t->blob[t->i], e) < 0)
			return -1;
	}
	for (int i = 0; i < 8; i++)
		id[i] = (char)(t->blob[t->i] >> (56 - 8 * i));
	return store_tx_put(tx, slice_of(key), slice_make(id, sizeof id), e);
}

static void finish_big(struct trial *t)
{
	char bytes[3000];
	err e;
	int fd = store_spool_new(t->s, &e);

	if (fd < 0)
		return;
	fill_blob(bytes, sizeof bytes, ROWS);
	if (pwrite(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes)
		(void)!store_big_finish(t->s, fd, sizeof bytes, &t->big, &e);
	close(fd);
}

static void commit_rows(void *arg)
{
	struct trial *t = arg;
	bool suspect = false;

	for (t->i = 0; t->i <= ROWS; t->i++) {
		err e = {0};

		if (t->i == ROWS) {
			finish_big(t);
			if (!t->big)
				return;
		}
		t->acked[t->i] = store_commit(t->s, run_row, t, &e) == 0;
		if (!t->acked[t->i] && e.kind != ERR_IO && e.kind != ERR_TEMP)
			fail_msg("row %u: kind %s: %s", t->i, err_kind_name(e.kind), e.text);
		if (suspect && t->acked[t->i])
			fail_msg("row %u was taken by a suspect store", t->i);
		struct store_stats st;
		store_stats(t->s, &st);
		suspect = st.suspect;
		if (e.kind == ERR_IO && !suspect)
			fail_msg("row %u: %s, and the store goes on", t->i, e.text);
	}
	t->suspect = suspect;
	store_big_drop(t->big);
}

/* A row is there with its whole content, or not at all; an acknowledged one is there. */
static void check_row(struct store *s, const struct trial *t, unsigned i, const char *what)
{
	struct store_snap snap;
	struct store_blob b;
	char key[8], want[3000], got[3000];
	slice v;
	err e = {0};

	snprintf(key, sizeof key, "X%u", i);
	must(store_snap_begin(s, &snap, &must_e));
	int rc = store_snap_get(&snap, slice_of(key), &v, &e);
	if (rc < 0 || (rc == 0 && t->acked[i]))
		fail_msg("%s: row %u was acknowledged and is not there: %s", what, i, e.text);
	if (rc == 1) {
		uint64_t id = 0;

		for (int n = 0; n < 8; n++)
			id = id << 8 | (uint8_t)v.p[n];
		if (store_blob_find(&snap, id, &b, &e) != 1)
			fail_msg("%s: row %u has no content: %s", what, i, e.text);
		fill_blob(want, sizeof want, i);
		if (store_blob_read(&b, 0, got, sizeof got, &e) < 0 || memcmp(got, want, sizeof got) != 0)
			fail_msg("%s: row %u is damaged: %s", what, i, e.text);
		store_blob_release(&b);
	}
	store_snap_end(&snap);
}

/* One run with one fault. False: there was no n-th call any more. */
static bool one(const struct kv_engine *engine, unsigned n, int error)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, engine);
	struct trial *t = calloc(1, sizeof *t + 3000 * (ROWS + 1));
	char what[64];
	err e = {0};

	c.volume_bytes = 9000; /* several volumes in a few rows */
	c.step_bytes = 1u << 16;
	fault_arm(d.path, "any", n, error);
	if (store_open(&c, &t->s, &e) == 0 && store_start(t->s, &e) == 0)
		test_on_fiber(commit_rows, t);
	else
		assert_true(e.kind != ERR_NONE && e.text[0] != 0);
	if (t->s)
		store_close(t->s);
	const char *fired = fault_fired();
	fault_disarm();
	snprintf(what, sizeof what, "%s, call %u (%s), error %d", engine->name, n, fired ? fired : "none",
		error);
	if (store_open(&c, &t->s, &e) < 0)
		fail_msg("%s: does not open again: %s", what, e.text);
	/* LMDB itself can leave a key file half made; the store makes it anew */
	if (t->s->report.corrupt > 0 && !strstr(t->s->report.text, "key file was damaged"))
		fail_msg("%s: %s", what, t->s->report.text);
	for (unsigned i = 0; i <= ROWS; i++)
		check_row(t->s, t, i, what);
	if (!fired)
		for (unsigned i = 0; i <= ROWS; i++)
			assert_true(t->acked[i]);
	store_close(t->s);
	free(t);
	test_dir_free(&d);
	return fired != NULL;
}

static void every_call(int error)
{
	unsigned n = 1;

	while (one(&kv_lmdb, n, error))
		n++;
	print_message("%u calls failed one by one\n", n - 1);
	assert_true(n > (error == FAULT_SHORT ? 15 : 50)); /* the faults do reach the calls */
}

static void test_io_error(void **state)
{
	(void)state;
	every_call(EIO);
}
static void test_full_disk(void **state)
{
	(void)state;
	every_call(ENOSPC);
}
static void test_quota(void **state)
{
	(void)state;
	for (unsigned n = 1; one(&kv_memory, n, EDQUOT); n++)
		;
}
static void test_short_write(void **state)
{
	(void)state;
	every_call(FAULT_SHORT);
}

/* ---- a disk that is full for a while: refused before harm, room for removals, and back by itself (D11) ----
 */

struct full {
	struct store *s;
	unsigned taken, refused;
	char bytes[3000];
	uint64_t blob[2000];
	unsigned i;
};

static int run_fill(struct store_tx *tx, void *arg, err *e)
{
	struct full *f = arg;

	return store_tx_blob(tx, slice_make(f->bytes, sizeof f->bytes), &f->blob[f->taken], e);
}
static int run_remove(struct store_tx *tx, void *arg, err *e)
{
	struct full *f = arg;

	return store_tx_blob_drop(tx, f->blob[f->i], e);
}

static void until_full(void *arg)
{
	struct full *f = arg;
	err e = {0};

	while (f->taken < COUNT_OF(f->blob) && store_commit(f->s, run_fill, f, &e) == 0)
		f->taken++;
	assert_true(f->taken > 10 && f->taken < COUNT_OF(f->blob));
	assert_int_equal(e.kind, ERR_TEMP);
	assert_int_equal(e.sys, ENOSPC);
	for (f->i = 0; f->i < f->taken; f->i++) /* what makes room is taken still */
		must(store_commit(f->s, run_remove, f, &must_e));
	assert_int_equal(store_commit(f->s, run_fill, f, &e), -1);
	struct store_stats st;
	store_stats(f->s, &st);
	assert_false(st.suspect);
	fault_disarm(); /* somebody made room */
	for (int tries = 0; tries < 50 && store_commit(f->s, run_fill, f, &e) < 0; tries++)
		fiber_sleep(100);
	must(store_commit(f->s, run_fill, f, &must_e));
}

/* Waits until the filler has both files as far ahead as they should be. */
static void until_filled(struct store *s)
{
	bool done = false;

	while (!done) {
		struct fill *f = &s->fill;

		pthread_mutex_lock(&f->lock);
		done = f->volume.filled - f->volume.used >= 3u << 20 &&
		       f->engine.filled - f->engine.used >= 3u << 20;
		pthread_mutex_unlock(&f->lock);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

static void test_stays_full(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_lmdb);
	struct full *f = calloc(1, sizeof *f);

	(void)state;
	c.step_bytes = 4u << 20;
	f->s = test_start(&c);
	until_filled(f->s);
	fault_arm_from(d.path, "fallocate", 1, ENOSPC);
	test_on_fiber(until_full, f);
	store_close(f->s);
	f->s = test_open(&c);
	assert_int_equal(f->s->report.corrupt, 0);
	store_close(f->s);
	free(f);
	test_dir_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_io_error),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_short_write),
		cmocka_unit_test(test_stays_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The overlay of a group against a plain table: random puts, deletes, reads, walks and looks at last keys, in
 * intents of which some fail half-way, several to a group, over an engine that already holds rows.
 */
#include "store_test.h"

enum { KEYS = 240, PREFIXES = 3, INTENTS = 400, GROUP = 7 };

struct model {
	int value[KEYS]; /* 0: not there */
	struct dice dice;
};

/* Keys of one prefix lie together: Xa000 ... Xa079, Xb080 ... */
static slice model_key(char space[16], unsigned n)
{
	snprintf(space, 16, "X%c%03u", (char)('a' + n * PREFIXES / KEYS), n);
	return slice_make(space, 5);
}
static slice model_value(char space[16], int v)
{
	snprintf(space, 16, "%d", v);
	return slice_of(space);
}

static void check_pair(const struct model *m, slice k, slice v, int want)
{
	char key[16], value[16];

	assert_true(want >= 0);
	assert_true(slice_eq(k, model_key(key, (unsigned)want)));
	assert_true(slice_eq(v, model_value(value, m->value[want])));
}

/* The first key of from..end that is there, -1: none. */
static int model_next(const struct model *m, int from, int end)
{
	while (from < end && m->value[from] == 0)
		from++;
	return from < end ? from : -1;
}
static int model_last(const struct model *m, int from, int end)
{
	while (end > from && m->value[end - 1] == 0)
		end--;
	return end > from ? end - 1 : -1;
}

/* A walk over a prefix, or all, from the start or from some key. */
static void check_scan(struct store_scan *sc, const struct model *m, int from, int end, int seek)
{
	char space[16];
	slice k, v;
	int at = model_next(m, seek > from ? seek : from, end);
	int rc = seek < 0 ? store_scan_next(sc, &k, &v, NULL)
			  : store_scan_seek(sc, model_key(space, (unsigned)seek), &k, &v, NULL);

	for (; rc == 1; rc = store_scan_next(sc, &k, &v, NULL)) {
		check_pair(m, k, v, at);
		at = model_next(m, at + 1, end);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(at, -1);
	rc = store_scan_last(sc, &k, &v, NULL);
	at = model_last(m, from, end);
	assert_int_equal(rc, at >= 0);
	if (rc == 1) {
		check_pair(m, k, v, at);
		assert_int_equal(store_scan_next(sc, &k, &v, NULL), 0);
	}
	store_scan_close(sc);
}

/* which: a prefix, or PREFIXES for all of them */
static slice scan_range(unsigned which, int *ret_from, int *ret_end)
{
	static const slice prefix[] = {SLICE_INIT("Xa"), SLICE_INIT("Xb"), SLICE_INIT("Xc"), SLICE_INIT("X")};

	*ret_from = which < PREFIXES ? (int)which * KEYS / PREFIXES : 0;
	*ret_end = which < PREFIXES ? ((int)which + 1) * KEYS / PREFIXES : KEYS;
	return prefix[which];
}

static void check_tx(struct store_tx *tx, struct model *m)
{
	struct store_scan sc;
	char key[16], value[16];
	slice v;
	int from, end;
	unsigned n = roll(&m->dice, KEYS);

	assert_int_equal(store_tx_get(tx, model_key(key, n), &v, NULL), m->value[n] != 0);
	if (m->value[n])
		assert_true(slice_eq(v, model_value(value, m->value[n])));
	slice prefix = scan_range(roll(&m->dice, PREFIXES + 1), &from, &end);
	must(store_tx_scan(tx, prefix, &sc, &must_e));
	check_scan(&sc, m, from, end, (int)roll(&m->dice, KEYS + 1) - 1);
}

/* Deletes and puts while a walk is under way: it must neither lose its place nor show what is gone. */
static void change_while_walking(struct store_tx *tx, struct model *m)
{
	struct store_scan sc;
	char key[16], value[16];
	slice k, v;
	int rc, at = model_next(m, 0, KEYS);

	must(store_tx_scan(tx, S("X"), &sc, &must_e));
	while ((rc = store_scan_next(&sc, &k, &v, NULL)) == 1) {
		check_pair(m, k, v, at);
		if (roll(&m->dice, 3) == 0) {
			m->value[at] = 0;
			must(store_tx_del(tx, model_key(key, (unsigned)at), &must_e));
		}
		unsigned other = roll(&m->dice, KEYS);
		if (roll(&m->dice, 4) == 0) {
			m->value[other] = (int)roll(&m->dice, 99) + 1;
			must(store_tx_put(
				tx, model_key(key, other), model_value(value, m->value[other]), &must_e));
		}
		at = model_next(m, at + 1, KEYS);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(at, -1);
	store_scan_close(&sc);
}

static int run_random(struct store_tx *tx, void *arg, err *e)
{
	struct model *m = arg, before = *m;
	unsigned changes = roll(&m->dice, 30);
	char key[16], value[16];

	check_tx(tx, m);
	for (unsigned i = 0; i < changes; i++) {
		unsigned n = roll(&m->dice, KEYS);

		m->value[n] = roll(&m->dice, 5) < 3 ? (int)roll(&m->dice, 100000) + 1 : 0;
		if (m->value[n])
			must(store_tx_put(tx, model_key(key, n), model_value(value, m->value[n]), &must_e));
		else
			must(store_tx_del(tx, model_key(key, n), &must_e));
	}
	if (roll(&m->dice, 5) == 0)
		change_while_walking(tx, m);
	check_tx(tx, m);
	if (roll(&m->dice, 3) > 0)
		return 0;
	memcpy(m->value, before.value, sizeof m->value);
	return err_set(e, ERR_CONFLICT, "as asked");
}

static void check_store(struct store *s, struct model *m)
{
	struct store_snap snap;
	struct store_scan sc;
	int from, end;

	must(store_snap_begin(s, &snap, &must_e));
	for (unsigned i = 0; i <= PREFIXES; i++) {
		slice prefix = scan_range(i, &from, &end);

		must(store_scan_open(&snap, prefix, &sc, &must_e));
		check_scan(&sc, m, from, end, i % 2 ? (int)roll(&m->dice, KEYS) : -1);
	}
	store_snap_end(&snap);
}

struct group_test {
	struct store *s;
	struct model model;
	struct store_intent intents[GROUP];
	unsigned left;
	struct fiber *waiter;
};
static void on_done(struct store_intent *i)
{
	struct group_test *t = i->waiter;

	if (--t->left == 0)
		fiber_wake(t->waiter);
}

static void groups(void *arg)
{
	struct group_test *t = arg;

	t->waiter = fiber_self();
	for (int round = 0; round < INTENTS / GROUP; round++) {
		unsigned n = 1 + roll(&t->model.dice, GROUP);

		t->left = n;
		for (unsigned i = 0; i < n; i++) {
			t->intents[i] = (struct store_intent){
				.run = run_random, .arg = &t->model, .done = on_done, .waiter = t};
			store_submit(t->s, &t->intents[i]);
		}
		while (t->left > 0)
			fiber_park(FOREVER);
		check_store(t->s, &t->model);
	}
}

static void random_groups(const struct kv_engine *engine, uint64_t seed)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, engine);
	struct group_test t = {.s = test_start(&c), .model = {.dice = {seed}}};

	test_on_fiber(groups, &t);
	store_close(t.s);
	t.s = test_open(&c); /* what the log or the engine kept is the same */
	check_store(t.s, &t.model);
	store_close(t.s);
	test_dir_free(&d);
}

static void test_random_lmdb(void **state)
{
	(void)state;
	random_groups(&kv_lmdb, 1);
	random_groups(&kv_lmdb, 2);
}
static void test_random_memory(void **state)
{
	(void)state;
	for (uint64_t seed = 10; seed < 14; seed++)
		random_groups(&kv_memory, seed);
}

/* ---- values that strayed or changed are named ---- */

static int run_damage(struct store_tx *tx, void *arg, err *e)
{
	(void)arg;
	if (store_tx_put(tx, S("Xa"), S("the value of a"), e) < 0 ||
		store_tx_put(tx, S("Xb"), S("b's"), e) < 0)
		return -1;
	return 0;
}
static void damage(void *arg)
{
	must(store_commit(arg, run_damage, NULL, &must_e));
}
static void test_sealed(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_memory);
	struct store *s = test_start(&c);
	struct store_snap snap;
	struct kv_txn *w;
	slice v;
	err e = {0};

	(void)state;
	test_on_fiber(damage, s);
	must(kv_memory.begin(s->kv, false, &w, &must_e));
	assert_int_equal(kv_memory.get(w, S("Xa"), &v, &e), 1);
	char bytes[64];
	size_t n = v.n;
	memcpy(bytes, v.p, n);
	kv_memory.abort(w);
	for (size_t i = 0; i <= n; i++) { /* every byte changed, and the whole value under another key */
		slice key = i < n ? S("Xa") : S("Xb");

		if (i < n)
			bytes[i] ^= 4;
		must(kv_memory.begin(s->kv, true, &w, &must_e));
		must(kv_memory.put(w, key, slice_make(bytes, n), &must_e));
		must(kv_memory.commit(w, &must_e));
		must(store_snap_begin(s, &snap, &must_e));
		assert_int_equal(store_snap_get(&snap, key, &v, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_non_null(strstr(e.text, i < n ? "5861" : "5862"));
		store_snap_end(&snap);
		if (i < n)
			bytes[i] ^= 4;
	}
	store_close(s);
	test_dir_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_lmdb),
		cmocka_unit_test(test_random_memory),
		cmocka_unit_test(test_sealed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

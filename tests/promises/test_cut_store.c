/*
 * Promise D1 under power cuts. A store runs random intents; at a random call that changes its folder an image
 * is taken of what a power cut there might leave (cut.c says what that is). The image is opened and held
 * against the ledger: every acknowledged intent is there, none is there by halves, content is whole, ids go
 * on behind those that were given. Then the store goes on from that image until the next cut, which may fall
 * into the recovery itself. After some generations a new store is begun.
 *
 *   test_cut_store [cuts [seed]]
 */
#include "../store/store_test.h"
#include "cut.h"

enum {
	CUTS = 200,
	GENERATIONS = 20,
	KEYS = 24,
	PRODUCERS = 6,
	INTENTS = 60,
	BLOB_MAX = 3000,
	OPENING = 40,
	CALLS = 900
};

/* A serial's key is its remainder by KEYS; a key has one intent under way at most. */
struct ledger {
	_Atomic uint64_t acked[KEYS], sent[KEYS];
	_Atomic uint64_t id; /* the highest one acknowledged */
};

struct world {
	struct store *s;
	struct ledger now, at_cut;
	uint64_t counter;
	char image[64];
	struct dice dice;
	unsigned replayed, recovered, in_opening;
};

struct intent {
	struct world *w;
	uint64_t serial, blob;
	char bytes[BLOB_MAX];
};

static size_t blob_of(uint64_t serial, char ret[BLOB_MAX])
{
	struct dice d = {serial};
	size_t n = 1 + roll(&d, BLOB_MAX);

	for (size_t i = 0; i < n; i++)
		ret[i] = (char)(serial + i * 7);
	return n;
}

static void put64(char *p, uint64_t x)
{
	memcpy(p, &x, sizeof x);
}
static uint64_t get64(const char *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof x);
	return x;
}

/* X key: serial, blob, and something that makes the tree deeper; Y key: serial. The blob before is dropped.
 */
static int run(struct store_tx *tx, void *arg, err *e)
{
	struct intent *i = arg;
	char x[8], y[8], value[516] = "";
	slice old;
	unsigned key = (unsigned)(i->serial % KEYS);

	snprintf(x, sizeof x, "X%02u", key);
	snprintf(y, sizeof y, "Y%02u", key);
	int rc = store_tx_get(tx, slice_of(x), &old, e);
	if (rc < 0 || (rc == 1 && store_tx_blob_drop(tx, get64(old.p + 8), e) < 0))
		return -1;
	if (store_tx_blob(tx, slice_make(i->bytes, blob_of(i->serial, i->bytes)), &i->blob, e) < 0)
		return -1;
	put64(value, i->serial);
	put64(value + 8, i->blob);
	size_t n = 16 + (size_t)(i->serial % 500);
	if (store_tx_put(tx, slice_of(x), slice_make(value, n), e) < 0)
		return -1;
	return store_tx_put(tx, slice_of(y), slice_make(value, 8), e);
}

struct producer {
	struct world *w;
	unsigned number;
};

static void producer(void *arg)
{
	struct producer *p = arg;
	struct world *w = p->w;
	struct intent *i = calloc(1, sizeof *i);

	for (unsigned n = 0; n < INTENTS && !cut_fired(); n++) {
		unsigned key = p->number + PRODUCERS * roll(&w->dice, KEYS / PRODUCERS);

		i->serial = ++w->counter * KEYS + key;
		atomic_store(&w->now.sent[key], i->serial);
		must(store_commit(w->s, run, i, &must_e));
		atomic_store(&w->now.acked[key], i->serial);
		if (i->blob > atomic_load(&w->now.id))
			atomic_store(&w->now.id, i->blob);
	}
	free(i);
}

static void produce(void *arg)
{
	static struct producer p[PRODUCERS];

	for (unsigned i = 0; i < PRODUCERS; i++) {
		p[i] = (struct producer){arg, i};
		assert_non_null(fiber_start("producer", producer, &p[i]));
	}
}

static void copy_words(_Atomic uint64_t *to, _Atomic uint64_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		atomic_store(&to[i], atomic_load(&from[i]));
}

/* What was acknowledged before the image, what was sent before its end. */
static void on_cut(void *arg)
{
	struct world *w = arg;

	copy_words(w->at_cut.acked, w->now.acked, KEYS);
	atomic_store(&w->at_cut.id, atomic_load(&w->now.id));
	cut_image(w->image);
	copy_words(w->at_cut.sent, w->now.sent, KEYS);
}

static void check_key(struct world *w, struct store_snap *snap, unsigned key, unsigned generation)
{
	static char want[BLOB_MAX], got[BLOB_MAX];
	char x[8], y[8];
	uint64_t acked = atomic_load(&w->now.acked[key]), sent = atomic_load(&w->now.sent[key]);
	struct store_blob b;
	slice vx = {0}, vy = {0};
	err e = {0};

	snprintf(x, sizeof x, "X%02u", key);
	snprintf(y, sizeof y, "Y%02u", key);
	int there = store_snap_get(snap, slice_of(x), &vx, &e);
	if (there != store_snap_get(snap, slice_of(y), &vy, &e) || there < 0)
		fail_msg("generation %u, key %u: half an intent: %s", generation, key, e.text);
	uint64_t serial = there ? get64(vx.p) : 0;
	if (serial < acked || serial > sent || (serial && serial % KEYS != key))
		fail_msg("generation %u, key %u: acknowledged %" PRIu64 ", sent %" PRIu64
			 ", there is %" PRIu64,
			generation, key, acked, sent, serial);
	if (there) {
		uint64_t id = get64(vx.p + 8);

		assert_int_equal(get64(vy.p), serial);
		if (store_blob_find(snap, id, &b, &e) != 1)
			fail_msg("generation %u, key %u: no content: %s", generation, key, e.text);
		assert_int_equal(b.length, blob_of(serial, want));
		must(store_blob_read(&b, 0, got, b.length, &must_e));
		assert_memory_equal(got, want, b.length);
		store_blob_release(&b);
		if (id > atomic_load(&w->now.id))
			atomic_store(&w->now.id, id);
	}
	atomic_store(&w->now.acked[key], serial); /* what was seen once stays */
	atomic_store(&w->now.sent[key], serial);
}

static void check_all(struct world *w, unsigned generation)
{
	struct store_snap snap;
	const struct store_open_report *report = store_opened(w->s);
	struct store_scan sc;
	slice k, v;
	unsigned blobs = 0, rows = 0;

	if (report->corrupt > 0)
		fail_msg("generation %u: %s", generation, report->text);
	w->recovered++;
	w->replayed += report->replayed > 0;
	must(store_snap_begin(w->s, &snap, &must_e));
	for (unsigned key = 0; key < KEYS; key++) {
		check_key(w, &snap, key, generation);
		rows += atomic_load(&w->now.acked[key]) > 0;
	}
	must(store_scan_open(&snap, S("B"), &sc, &must_e));
	while (store_scan_next(&sc, &k, &v, NULL) == 1)
		blobs++;
	store_scan_close(&sc);
	store_snap_end(&snap);
	assert_int_equal(blobs, rows); /* none was left, none was lost */
	if (atomic_load(&w->s->next_id) <= atomic_load(&w->now.id))
		fail_msg("generation %u: ids are given twice", generation);
}

/* From one image to the next. */
static void live(struct world *w, const char *dir, unsigned generation)
{
	struct store_config c = {.dir = dir,
		.engine = &kv_lmdb,
		.map_bytes = 1u << 28,
		.volume_bytes = 50000,
		.step_bytes = 1u << 16,
		.checkpoint_ms = 1 + roll(&w->dice, 4),
		.checkpoint_bytes = roll(&w->dice, 2) ? 20000 : 2000000};
	err e = {0};

	cut_watch(dir, w->dice.x);
	cut_at(1 + roll(&w->dice, roll(&w->dice, 2) ? CALLS : OPENING), on_cut, w);
	if (store_open(&c, &w->s, &e) < 0)
		fail_msg("generation %u: the image does not open: %s", generation, e.text);
	w->in_opening += cut_fired();
	check_all(w, generation);
	if (!cut_fired()) {
		must(store_start(w->s, &must_e));
		test_on_fiber(produce, w);
	}
	store_close(w->s);
	if (!cut_fired())
		on_cut(w);
	cut_unwatch();
}

static unsigned cuts = CUTS;
static uint64_t seed = 1;

static void test_cuts(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct test_dir dir = test_dir_new(), next;

	(void)state;
	w->dice.x = seed;
	for (unsigned i = 0; i < cuts; i++) {
		if (i % GENERATIONS == 0) {
			memset(&w->now, 0, sizeof w->now);
			test_dir_free(&dir);
			dir = test_dir_new();
		}
		next = test_dir_new();
		snprintf(w->image, sizeof w->image, "%s", next.path);
		live(w, dir.path, i);
		test_dir_free(&dir);
		dir = next;
		memcpy(&w->now, &w->at_cut, sizeof w->now);
	}
	test_dir_free(&dir);
	print_message("%u cuts, %u of them while a store was opened; %u recoveries replayed records\n", cuts,
		w->in_opening, w->replayed);
	if (cuts >= CUTS)
		assert_true(w->in_opening > cuts / 50 && w->replayed > cuts / 4);
	free(w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cuts)};

	if (argc > 1)
		cuts = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

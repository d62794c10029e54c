/*
 * Micro-benchmark of the store: N fibers commit a 4 KiB blob and six rows each, as a delivery does. One line
 * per N:
 *
 *   bench_store [folder] [seconds]
 *
 * The folder should lie on the disk that counts; what it leaves there is removed.
 */
#include "base/wire.h"
#include "io/worker.h"
#include "store/store.h"
#include <ftw.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

enum { BLOB = 4096, ROWS = 6, SAMPLES = 1 << 20 };

struct bench {
	struct store *s;
	uint64_t end_us;
	uint32_t *took; /* microseconds of each commit */
	size_t n;
	uint32_t message[200]; /* per account */
	char blob[BLOB];
	unsigned failed;
};

struct producer {
	struct bench *b;
	uint32_t account;
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* account row, entry block, message, summary, change; the sixth is the blob's own */
static int run(struct store_tx *tx, void *arg, err *e)
{
	static const struct {
		uint8_t kind;
		uint16_t bytes, share; /* value; so many messages use one row */
	} rows[ROWS - 1] = {{0, 60, 0}, {3, 1200, 64}, {4, 80, 1}, {5, 300, 1}, {6, 20, 1}};
	struct producer *p = arg;
	static const char value[2000];
	uint8_t key[14] = {'A'};
	uint32_t n = p->b->message[p->account]++;
	uint64_t blob;

	if (store_tx_blob(tx, slice_make(p->b->blob, BLOB), &blob, e) < 0)
		return -1;
	for (size_t i = 0; i < ROWS - 1; i++) {
		slice old;

		be32_put(key + 1, p->account);
		key[5] = rows[i].kind;
		be64_put(key + 6, rows[i].share ? n / rows[i].share : 0);
		if (rows[i].share != 1 && store_tx_get(tx, slice_make(key, sizeof key), &old, e) < 0)
			return -1;
		size_t bytes = rows[i].share > 1 ? rows[i].bytes * (n % rows[i].share + 1) / rows[i].share
						 : rows[i].bytes;
		if (store_tx_put(tx, slice_make(key, sizeof key), slice_make(value, bytes), e) < 0)
			return -1;
	}
	return 0;
}

static void producer(void *arg)
{
	struct producer *p = arg;
	struct bench *b = p->b;
	err e;

	for (;;) {
		uint64_t from = now_us();

		if (from >= b->end_us)
			return;
		if (store_commit(b->s, run, p, &e) < 0) {
			b->failed++;
			fprintf(stderr, "%s\n", e.text);
			return;
		}
		if (b->n < SAMPLES)
			b->took[b->n++] = (uint32_t)(now_us() - from);
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int measure(struct bench *b, unsigned producers, double seconds)
{
	struct producer p[200];
	struct store_stats before, after;
	struct loop *l = loop_new("bench");

	b->n = 0;
	b->end_us = now_us() + (uint64_t)(seconds * 1e6);
	store_stats(b->s, &before);
	for (unsigned i = 0; i < producers; i++) {
		p[i] = (struct producer){b, i};
		if (!fiber_start("producer", producer, &p[i]))
			return -1;
	}
	uint64_t from = now_us();
	loop_run(l);
	double took = (double)(now_us() - from) / 1e6;
	loop_free(l);
	store_stats(b->s, &after);
	if (b->failed || b->n == 0)
		return -1;
	qsort(b->took, b->n, sizeof *b->took, by_number);
	printf("store producers=%-3u %8.0f intents/s %7.0f groups/s %6.1f MB/s  p50 %u us  p99 %u us  max %u "
	       "us\n",
		producers, (double)(after.intents - before.intents) / took,
		(double)(after.groups - before.groups) / took,
		(double)(after.bytes - before.bytes) / took / 1e6, b->took[b->n / 2],
		b->took[b->n * 99 / 100], b->took[b->n - 1]);
	fflush(stdout);
	return 0;
}

static void measure_snapshots(struct store *s)
{
	enum { N = 1000000 };
	uint64_t from = now_us();
	struct store_snap snap;

	for (int i = 0; i < N; i++) {
		if (store_snap_begin(s, &snap, NULL) < 0)
			return;
		store_snap_end(&snap);
	}
	printf("store snapshot %.0f ns\n", (double)(now_us() - from) * 1e3 / N);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

int main(int argc, char **argv)
{
	char dir[200];
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 3;
	static struct bench b;
	err e = {0};
	static const unsigned producers[] = {1, 10, 50, 200};
	int rc = 0;

	snprintf(dir, sizeof dir, "%s/bench-store-XXXXXX", argc > 1 ? argv[1] : ".");
	if (!mkdtemp(dir)) {
		perror(dir);
		return 1;
	}
	b.took = calloc(SAMPLES, sizeof *b.took);
	struct store_config c = {.dir = dir, .engine = &kv_lmdb};
	if (!b.took || store_open(&c, &b.s, &e) < 0 || store_start(b.s, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	for (size_t i = 0; rc == 0 && i < COUNT_OF(producers); i++)
		rc = measure(&b, producers[i], seconds);
	measure_snapshots(b.s);
	store_close(b.s);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(b.took);
	return rc < 0;
}

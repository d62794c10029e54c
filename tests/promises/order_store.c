/*
 * The program whose system calls test_order_store.py looks at. It says on standard output, one unbuffered
 * line each, when an intent runs and when it was answered: "run 7", "answer 7". Several producers, several
 * volumes, a big blob.
 */
#include "store/store.h"
#include <fcntl.h>
#include <stdio.h>

enum { PRODUCERS = 5, ROUNDS = 6 };

struct row {
	struct store *s;
	unsigned number;
	struct store_big *big;
	char blob[2000];
};

static void say(const char *what, unsigned number)
{
	char line[32];
	int n = snprintf(line, sizeof line, "%s %u\n", what, number);

	if (write(1, line, (size_t)n) != n)
		abort();
}

static int run(struct store_tx *tx, void *arg, err *e)
{
	struct row *r = arg;
	uint64_t id;
	char key[16];

	say("run", r->number);
	snprintf(key, sizeof key, "X%04u", r->number);
	int rc = r->big ? store_tx_blob_file(tx, r->big, &id, e)
			: store_tx_blob(tx, slice_make(r->blob, sizeof r->blob), &id, e);
	return rc < 0 ? -1 : store_tx_put(tx, slice_of(key), S("value"), e);
}

static void commit(struct row *r)
{
	err e;

	if (store_commit(r->s, run, r, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	say("answer", r->number);
}

static void producer(void *arg)
{
	struct row *r = arg;
	unsigned first = r->number * ROUNDS;

	for (unsigned i = 0; i < ROUNDS; i++) {
		r->number = first + i;
		commit(r);
	}
}

static void big(void *arg)
{
	struct row *r = arg;
	err e;
	int fd = store_spool_new(r->s, &e);

	if (fd < 0 || pwrite(fd, r->blob, sizeof r->blob, 0) != (ssize_t)sizeof r->blob ||
		store_big_finish(r->s, fd, sizeof r->blob, &r->big, &e) < 0)
		exit(1);
	say("big", r->number);
	commit(r);
	store_big_drop(r->big);
	close(fd);
}

int main(int argc, char **argv)
{
	static struct row rows[PRODUCERS + 1];
	struct store *s;
	err e = {0};
	struct loop *l = loop_new("order");

	if (argc != 2 || !l)
		return 2;
	struct store_config c = {.dir = argv[1],
		.engine = &kv_lmdb,
		.map_bytes = 1u << 30,
		.volume_bytes = 20000,
		.step_bytes = 65536,
		.checkpoint_ms = 1};
	if (store_open(&c, &s, &e) < 0 || store_start(s, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	for (unsigned i = 0; i <= PRODUCERS; i++) {
		rows[i] = (struct row){.s = s, .number = i};
		if (i == PRODUCERS)
			rows[i].number = 1000;
		if (!fiber_start("row", i < PRODUCERS ? producer : big, &rows[i]))
			return 1;
	}
	loop_run(l);
	loop_free(l);
	store_close(s);
	return 0;
}

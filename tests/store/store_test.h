/* What the tests of the store share: a folder that goes away, a fiber to run on, an intent that writes some
 * keys. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "store/store_int.h"

struct test_dir {
	char path[64];
};

static inline struct test_dir test_dir_new(void)
{
	struct test_dir d;

	snprintf(d.path, sizeof d.path, "%s/posthouse-store-XXXXXX", "/tmp");
	assert_non_null(mkdtemp(d.path));
	return d;
}

static inline int test_dir_remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static inline void test_dir_free(struct test_dir *d)
{
	nftw(d->path, test_dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct store_config test_config(const struct test_dir *d, const struct kv_engine *engine)
{
	return (struct store_config){
		.dir = d->path, .engine = engine, .map_bytes = (uint64_t)1 << 30, .step_bytes = 1u << 20};
}

#define must(call)                                                                                           \
	do {                                                                                                 \
		err must_e = {0};                                                                            \
		int must_rc = (call);                                                                        \
		if (must_rc < 0)                                                                             \
			fail_msg("%s: %s (%s)", #call, must_e.text, must_e.where ? must_e.where : "");       \
	} while (0)

static inline struct store *test_open(const struct store_config *c)
{
	struct store *s = NULL;

	must(store_open(c, &s, &must_e));
	return s;
}

static inline struct store *test_start(const struct store_config *c)
{
	struct store *s = test_open(c);

	must(store_start(s, &must_e));
	return s;
}

/* Runs fn(arg) on a fiber of a fresh loop until all fibers have ended. */
static inline void test_on_fiber(fiber_fn *fn, void *arg)
{
	struct loop *l = loop_new("test");

	assert_non_null(l);
	assert_non_null(fiber_start("test", fn, arg));
	loop_run(l);
	loop_free(l);
}

/* A small generator of one's own: the same sequence everywhere. */
struct dice {
	uint64_t x;
};
static inline uint32_t roll(struct dice *d, uint32_t n)
{
	d->x = d->x * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(d->x >> 33) % n;
}

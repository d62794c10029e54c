#include "base/omap.h"
#include "base/wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_basics(void **state)
{
	struct omap *m = omap_new();
	const struct omap_node *a, *b;

	(void)state;
	assert_null(omap_first(m));
	assert_null(omap_last(m));
	assert_null(omap_ge(m, S("")));
	assert_null(omap_before(m, S("x")));
	assert_null(omap_get(m, S("")));
	assert_false(omap_del(m, S("a")));
	assert_true(omap_put(m, S("b"), S("2")));
	assert_true(omap_put_flag(m, S("a"), (slice){0}, 7));
	assert_true(omap_put(m, S(""), S("empty key")));
	assert_true(omap_put(m, S("a\0"), S("nul")));
	assert_true(omap_put(m, S("\xff"), S("high")));
	assert_int_equal(omap_count(m), 5);
	a = omap_get(m, S("a"));
	assert_int_equal(a->flags, 7);
	assert_int_equal(a->value.n, 0);
	assert_true(slice_eq(omap_first(m)->key, S("")));
	assert_ptr_equal(omap_next(omap_first(m)), a);
	assert_true(slice_eq(omap_next(a)->key, S("a\0")));
	assert_true(slice_eq(omap_last(m)->value, S("high")));
	assert_null(omap_next(omap_last(m)));
	assert_null(omap_prev(omap_first(m)));
	assert_ptr_equal(omap_ge(m, S("a")), a);
	assert_true(slice_eq(omap_before(m, S("b"))->key, S("a\0")));
	assert_null(omap_before(m, S("")));
	assert_null(omap_ge(m, S("\xff\0")));

	/* a node stays where it is while others come and go; its value is replaced */
	b = omap_get(m, S("b"));
	assert_true(omap_del(m, S("a")));
	assert_false(omap_del(m, S("a")));
	assert_null(omap_get(m, S("a")));
	assert_true(omap_put(m, S("b"), S("longer than before")));
	assert_ptr_equal(omap_get(m, S("b")), b);
	assert_true(slice_eq(b->value, S("longer than before")));
	assert_true(slice_eq(omap_prev(b)->key, S("a\0")));
	assert_true(omap_put_flag(m, S("b"), slice_skip(b->value, 7), 1)); /* of itself */
	assert_true(slice_eq(b->value, S("than before")));
	assert_true(omap_put(m, b->value, b->key));
	assert_true(slice_eq(omap_get(m, S("than before"))->value, S("b")));
	omap_clear(m);
	assert_int_equal(omap_count(m), 0);
	assert_int_equal(omap_bytes(m), 0);
	assert_null(omap_first(m));
	assert_null(omap_last(m));
	assert_true(omap_put(m, S("k"), S("v")));
	assert_true(slice_eq(omap_last(m)->key, S("k")));
	omap_free(m);
	omap_free(NULL);
}

/* The model: what each of the keys 0..KEYS-1 holds, as the length and byte of its value; -1 is absent. */
enum { KEYS = 3000 };

static slice key_of(uint32_t i, uint8_t bytes[8])
{
	be32_put(bytes, i * 2);
	memset(bytes + 4, 'k', 4);
	return slice_make(bytes, 4 + i % 5); /* of several lengths */
}

static void assert_same(struct omap *m, const int32_t *model)
{
	const struct omap_node *at = omap_first(m), *prev = NULL;
	size_t count = 0;
	uint8_t bytes[8];

	for (uint32_t i = 0; i < KEYS; i++) {
		slice key = key_of(i, bytes);
		uint8_t above[4], below[4];

		assert_ptr_equal(omap_ge(m, key), at);
		assert_ptr_equal(omap_before(m, key), prev);
		be32_put(above, i * 2 + 1);
		be32_put(below, i * 2);
		assert_ptr_equal(omap_ge(m, slice_make(below, 4)), at);
		if (model[i] < 0) {
			assert_null(omap_get(m, key));
			assert_ptr_equal(omap_ge(m, slice_make(above, 4)), at);
			continue;
		}
		assert_ptr_equal(omap_get(m, key), at);
		assert_true(slice_eq(at->key, key));
		assert_int_equal(at->value.n, model[i]);
		assert_int_equal(at->flags, i + (uint32_t)model[i]);
		for (size_t k = 0; k < at->value.n; k++)
			assert_int_equal((uint8_t)at->value.p[k], (i + (uint32_t)model[i]) & 255);
		assert_ptr_equal(omap_prev(at), prev);
		prev = at;
		at = omap_next(at);
		count++;
	}
	assert_null(at);
	assert_ptr_equal(omap_last(m), prev);
	assert_int_equal(omap_count(m), count);
}

static void test_model(void **state)
{
	static const uint32_t sizes[] = {0, 1, 15, 16, 17, 100, 1024, 1025, 3000};
	struct omap *m = omap_new();
	int32_t *model = malloc(KEYS * sizeof *model);
	uint32_t x = 99;
	char value[3000];

	(void)state;
	assert_non_null(model);
	for (size_t i = 0; i < KEYS; i++)
		model[i] = -1;
	for (int round = 0; round < 10; round++) {
		for (int step = 0; step < 5000; step++) {
			uint8_t bytes[8];
			uint32_t i, size;

			x = x * 1664525 + 1013904223;
			i = (x >> 8) % KEYS;
			/* rounds grow and shrink the map in turn */
			if ((x >> 28) < (round % 2 ? 11U : 4U)) {
				assert_int_equal(omap_del(m, key_of(i, bytes)), model[i] >= 0);
				model[i] = -1;
				continue;
			}
			size = sizes[(x >> 20) % (sizeof sizes / sizeof *sizes)];
			memset(value, (int)((i + size) & 255), size);
			assert_true(omap_put_flag(m, key_of(i, bytes), slice_make(value, size), i + size));
			model[i] = (int32_t)size;
		}
		assert_same(m, model);
	}
	omap_clear(m);
	for (size_t i = 0; i < KEYS; i++)
		model[i] = -1;
	assert_same(m, model);
	free(model);
	omap_free(m);
}

/* What is deleted or replaced is used again: a map that lives long does not grow. */
static void test_reuse(void **state)
{
	struct omap *m = omap_new();
	size_t settled = 0;
	char value[2000];
	uint8_t bytes[8];

	(void)state;
	memset(value, 'v', sizeof value);
	for (int round = 0; round < 400; round++) {
		for (uint32_t i = 0; i < 100; i++)
			assert_true(omap_put(m, key_of(i, bytes), slice_make(value, (i * 19 + 5) % 2000)));
		for (uint32_t i = 0; i < 100; i++)
			assert_true(omap_del(m, key_of(i, bytes)));
		if (round == 200)
			settled = omap_bytes(m);
	}
	/* heights are dice, so a few more pieces of the rarer sizes may still come */
	assert_true(omap_bytes(m) < settled + settled / 4);
	omap_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basics),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_reuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

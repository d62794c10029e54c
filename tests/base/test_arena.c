#include "base/arena.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool all_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static void test_zeroed_and_apart(void **state)
{
	struct arena *a = arena_new(1 << 20);
	char *got[300];
	uint32_t x = 1;

	(void)state;
	assert_non_null(a);
	assert_int_equal(arena_used(a), 0);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < 300; i++) {
			size_t n = i * 5 + 1, align = (size_t)1 << (x >> 28 & 7);

			x = x * 1664525 + 1013904223;
			got[i] = arena_alloc(a, n, 1, align);
			assert_non_null(got[i]);
			assert_int_equal((uintptr_t)got[i] % align, 0);
			assert_true(all_zero(got[i], n));
			memset(got[i], (int)(i % 255 + 1), n);
		}
		for (size_t i = 0; i < 300; i++)
			for (size_t k = 0; k < i * 5 + 1; k++)
				assert_int_equal((uint8_t)got[i][k], i % 255 + 1);
		arena_reset(a);
		assert_int_equal(arena_used(a), 0);
	}
	arena_free(a);
	arena_free(NULL);
}

static void test_cap(void **state)
{
	struct arena *a = arena_new(10000);
	size_t got = 0;

	(void)state;
	assert_null(arena_alloc(a, 10001, 1, 1));
	assert_null(arena_alloc(a, SIZE_MAX / 2 + 1, 2, 8));
	assert_null(arena_alloc(a, SIZE_MAX, 1, 1));
	assert_null(arena_alloc(a, SIZE_MAX / 4, 8, 8));
	assert_int_equal(arena_used(a), 0);
	while (arena_alloc(a, 100, 1, 1))
		got++;
	assert_int_equal(got, 100);
	assert_int_equal(arena_used(a), 10000);
	assert_null(arena_alloc(a, 1, 1, 1));
	arena_reset(a);
	assert_non_null(arena_alloc(a, 10000, 1, 1));
	arena_free(a);

	/* padding counts: a cap is a cap */
	a = arena_new(1000);
	for (got = 0; arena_alloc(a, 1, 1, 64); got++)
		;
	assert_true(got <= 17);
	arena_free(a);

	a = arena_new(SIZE_MAX);
	assert_null(arena_alloc(a, SIZE_MAX, 1, 16));
	assert_null(arena_alloc(a, PTRDIFF_MAX, 1, 16));
	arena_free(a);
}

static void test_large_and_small(void **state)
{
	struct arena *a = arena_new(1 << 24);
	char *first = arena_alloc(a, 10, 1, 1), *large, *second;

	(void)state;
	large = arena_alloc(a, 1 << 20, 1, 4096);
	assert_non_null(large);
	assert_int_equal((uintptr_t)large % 4096, 0);
	memset(large, 'x', 1 << 20);
	second = arena_alloc(a, 10, 1, 1);
	/* the large one got its own block: the room in the first is still used */
	assert_ptr_equal(second, first + 10);
	assert_non_null(arena_alloc(a, 0, 8, 8));
	arena_free(a);

	a = arena_new(1 << 24);
	large = arena_alloc(a, 1 << 20, 1, 1); /* and may be the very first */
	assert_non_null(large);
	assert_non_null(arena_alloc(a, 8, 1, 8));
	arena_reset(a);
	assert_non_null(arena_alloc(a, 8, 1, 8));
	arena_free(a);
}

static void test_reset_keeps_small_block(void **state)
{
	struct arena *a = arena_new(1 << 20);
	char *first = arena_alloc(a, 100, 1, 1), *again;

	(void)state;
	arena_secret(a);
	memset(first, 's', 100);
	arena_reset(a);
	again = arena_alloc(a, 100, 1, 1);
	assert_ptr_equal(again, first);
	assert_true(all_zero(again, 100));
	arena_free(a);
}

static void test_text(void **state)
{
	struct arena *a = arena_new(200);
	slice s = arena_copy(a, S("a\0b"));

	(void)state;
	assert_true(slice_eq(s, S("a\0b")));
	assert_int_equal(s.p[3], '\0');
	s = arena_copy(a, (slice){0});
	assert_non_null(s.p);
	assert_int_equal(s.n, 0);
	assert_int_equal(s.p[0], '\0');
	s = arena_fmt(a, "%s-%d", "x", 12);
	assert_true(slice_eq(s, S("x-12")));
	assert_int_equal(s.p[4], '\0');
	s = arena_fmt(a, "%200d", 1);
	assert_null(s.p);
	assert_int_equal(s.n, 0);
	assert_null(arena_copy(a, slice_make("", SIZE_MAX)).p);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed_and_apart),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_large_and_small),
		cmocka_unit_test(test_reset_keeps_small_block),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

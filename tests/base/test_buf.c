#include "base/buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_buf(const struct buf *b, slice want)
{
	assert_int_equal(b->n, want.n);
	assert_true(slice_eq(buf_slice(b), want));
}

static void test_add(void **state)
{
	struct buf b = {.max = 100};

	(void)state;
	buf_add(&b, (slice){0});
	assert_null(b.p);
	buf_add(&b, S("ab"));
	buf_add_c(&b, '-');
	buf_addz(&b, "cd");
	buf_addz(&b, NULL);
	buf_add_u64(&b, 0);
	buf_add_u64(&b, 18446744073709551615U);
	buf_addf(&b, "<%d>", -5);
	assert_buf(&b, S("ab-cd018446744073709551615<-5>"));
	assert_false(b.failed);
	buf_free(&b);
	assert_null(b.p);
	assert_int_equal(b.max, 100);
	buf_add(&b, S("again"));
	assert_buf(&b, S("again"));
	buf_free(&b);
}

static void test_limit(void **state)
{
	struct buf b = BUF_INIT(8);

	(void)state;
	buf_add(&b, S("12345678"));
	assert_false(b.failed);
	assert_true(b.cap <= 8);
	buf_add_c(&b, '9');
	assert_true(b.failed);
	assert_buf(&b, S("12345678"));
	/* what is missing in the middle stays seen: nothing is added behind a gap */
	buf_truncate(&b, 4);
	buf_add(&b, S("x"));
	assert_buf(&b, S("1234"));
	assert_null(buf_room(&b, 0));
	buf_reset(&b);
	buf_addf(&b, "%s", "12345678");
	assert_false(b.failed);
	assert_buf(&b, S("12345678"));
	buf_reset(&b);
	buf_addf(&b, "%s", "123456789");
	assert_true(b.failed);
	assert_buf(&b, S(""));
	buf_reset(&b);
	assert_null(buf_room(&b, SIZE_MAX));
	buf_free(&b);
	assert_false(b.failed);

	struct buf none = {0};
	buf_addf(&none, "%s", "");
	assert_false(none.failed);
	buf_add_c(&none, 'a');
	assert_true(none.failed);
	buf_free(&none);
}

static void test_growth(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	size_t grown = 0, cap = 0;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		buf_add_c(&b, (char)i);
		grown += b.cap != cap;
		cap = b.cap;
	}
	assert_true(grown < 20); /* doubling, not creeping */
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(b.p[i], (char)i);
	buf_addf(&b, "%0200d", 7);
	assert_int_equal(b.n, 100200);
	assert_true(slice_ends(buf_slice(&b), S("0007")));
	buf_free(&b);
}

static void test_room(void **state)
{
	struct buf b = BUF_INIT(1000);
	char *to = buf_room(&b, 300);

	(void)state;
	assert_non_null(to);
	memset(to, 'x', 300);
	buf_grow(&b, 200);
	assert_int_equal(b.n, 200);
	to = buf_room(&b, 800);
	assert_ptr_equal(to, b.p + 200);
	memset(to, 'y', 800);
	assert_int_equal(b.p[199], 'x');
	assert_null(buf_room(&b, 801));
	buf_free(&b);
}

static void test_consume(void **state)
{
	struct buf b = BUF_INIT(100);

	(void)state;
	buf_consume(&b, 5);
	buf_add(&b, S("abcdef"));
	buf_consume(&b, 0);
	buf_consume(&b, 2);
	assert_buf(&b, S("cdef"));
	buf_truncate(&b, 9);
	buf_truncate(&b, 3);
	assert_buf(&b, S("cde"));
	buf_consume(&b, 99);
	assert_buf(&b, S(""));
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_consume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/cleanup.h"
#include "base/slice.h"
/* cmocka wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_slice(slice got, slice want)
{
	assert_int_equal(got.n, want.n);
	assert_true(slice_eq(got, want));
}

static void test_sub(void **state)
{
	(void)state;
	assert_slice(slice_sub(S("abcdef"), 2, 3), S("cde"));
	assert_slice(slice_sub(S("abcdef"), 4, 9), S("ef"));
	assert_slice(slice_sub(S("abcdef"), 9, 1), S(""));
	assert_slice(slice_sub(S("abcdef"), 1, SIZE_MAX), S("bcdef"));
	assert_slice(slice_skip(S("abc"), 3), S(""));
	assert_null(slice_sub((slice){0}, 3, 3).p);
	assert_slice(slice_of(NULL), S(""));
}

static void test_compare(void **state)
{
	(void)state;
	assert_true(slice_eq((slice){0}, S("")));
	assert_false(slice_eq(S("a"), S("b")));
	assert_true(slice_eq(S("a\0b"), S("a\0b")));
	assert_false(slice_eq(S("a\0b"), S("a\0c")));
	assert_true(slice_ieq(S("MaIl"), S("mAiL")));
	assert_false(slice_ieq(S("@"), S("`"))); /* differ in the case bit, and are no letters */
	assert_false(slice_ieq(S("[\xc3\x84"), S("{\xc3\xa4")));
	assert_true(slice_cmp(S("a"), S("b")) < 0);
	assert_true(slice_cmp(S("b"), S("a")) > 0);
	assert_true(slice_cmp(S("a"), S("aa")) < 0);
	assert_true(slice_cmp(S("\xff"), S("a")) > 0); /* unsigned */
	assert_int_equal(slice_cmp((slice){0}, S("")), 0);
	assert_true(slice_starts(S("abc"), S("ab")) && slice_starts(S("abc"), S("")));
	assert_false(slice_starts(S("ab"), S("abc")) || slice_starts(S("abc"), S("AB")));
	assert_true(slice_istarts(S("abc"), S("AB")));
	assert_false(slice_istarts(S("ab"), S("ABC")) || slice_istarts(S("abc"), S("AC")));
	assert_true(slice_ends(S("abc"), S("bc")) && slice_ends(S("abc"), S("")));
	assert_false(slice_ends(S("bc"), S("abc")) || slice_ends(S("abc"), S("BC")));
	assert_true(slice_iends(S("abc"), S("BC")));
	assert_false(slice_iends(S("bc"), S("ABC")) || slice_iends(S("abc"), S("BB")));
}

static void test_trim(void **state)
{
	(void)state;
	assert_slice(slice_trim(S(" \t\r\n a b \r\n")), S("a b"));
	assert_slice(slice_trim(S(" \t ")), S(""));
	assert_slice(slice_trim(S("\0 ")), S("\0"));
	assert_slice(slice_trim((slice){0}), S(""));
}

static void test_find(void **state)
{
	(void)state;
	assert_int_equal(slice_find(S("hello"), S("llo")), 2);
	assert_int_equal(slice_find(S("hello"), S("LLO")), -1);
	assert_int_equal(slice_find(S("hello"), S("")), 0);
	assert_int_equal(slice_find((slice){0}, (slice){0}), 0);
	assert_int_equal(slice_find((slice){0}, S("a")), -1);
	assert_int_equal(slice_find(S("ab"), S("abc")), -1);
	assert_int_equal(slice_find_c(S("a:b:c"), ':'), 1);
	assert_int_equal(slice_rfind_c(S("a:b:c"), ':'), 3);
	assert_int_equal(slice_find_c(S("abc"), ':'), -1);
	assert_int_equal(slice_find_c((slice){0}, 0), -1);
	assert_int_equal(slice_rfind_c((slice){0}, 0), -1);
}

/* What slice_ifind must say, the slow way. */
static ptrdiff_t ifind_plain(slice hay, slice needle)
{
	for (size_t i = 0; i + needle.n <= hay.n; i++)
		if (slice_ieq(slice_sub(hay, i, needle.n), needle))
			return (ptrdiff_t)i;
	return -1;
}

static void test_ifind(void **state)
{
	(void)state;
	assert_int_equal(slice_ifind(S("Say HELLO"), S("hello")), 4);
	assert_int_equal(slice_ifind(S("hhHhello"), S("HELLO")), 3);
	assert_int_equal(slice_ifind(S("a=B"), S("=b")), 1);
	assert_int_equal(slice_ifind(S("hell"), S("hello")), -1);
	assert_int_equal(slice_ifind(S("hellO"), S("hello")), 0);
	assert_int_equal(slice_ifind(S("xhell"), S("hello")), -1);
	assert_int_equal(slice_ifind(S("abc"), S("")), 0);
	assert_int_equal(slice_ifind((slice){0}, S("a")), -1);

	/* Small alphabet, all lengths: many false starts, so that the slow path for repeating text runs too.
	 */
	char hay[600];
	uint32_t x = 12345;
	for (int round = 0; round < 3000; round++) {
		size_t n = 0;
		for (size_t i = 0; i < sizeof hay; i++) {
			x = x * 1664525 + 1013904223;
			hay[i] = "aAaaAaAb"[x >> 29];
		}
		n = x >> 8 & 31;
		slice whole = slice_make(hay, sizeof hay - (x >> 16 & 63));
		slice needle = slice_sub(whole, whole.n - n - (x >> 5 & 3), n);
		assert_int_equal(slice_ifind(whole, needle), ifind_plain(whole, needle));
	}
}

/* The text is made to be slow: compared at every place it would take 10^11 steps, and the test its time
 * limit. */
static void test_ifind_repeating(void **state)
{
	size_t n = 4000000, m = 50000;
	char *hay = malloc(n), *needle = malloc(m);

	(void)state;
	assert_true(hay && needle);
	memset(hay, 'a', n);
	memset(needle, 'A', m);
	needle[m - 1] = 'b';
	assert_int_equal(slice_ifind(slice_make(hay, n), slice_make(needle, m)), -1);
	hay[n - 1] = 'B';
	assert_int_equal(slice_ifind(slice_make(hay, n), slice_make(needle, m)), n - m);
	free(hay);
	free(needle);
}

static void test_cut(void **state)
{
	slice in = S("a:bc::"), head = S("untouched");

	(void)state;
	assert_true(slice_cut(&in, ':', &head));
	assert_slice(head, S("a"));
	assert_true(slice_cut(&in, ':', &head));
	assert_slice(head, S("bc"));
	assert_true(slice_cut(&in, ':', &head));
	assert_slice(head, S(""));
	assert_slice(in, S(""));
	head = S("untouched");
	in = S("rest");
	assert_false(slice_cut(&in, ':', &head));
	assert_slice(head, S("untouched"));
	assert_slice(in, S("rest"));
}

static void test_word(void **state)
{
	slice in = S("  MAIL\tFROM:<a@b>  "), word;

	(void)state;
	assert_true(slice_word(&in, &word));
	assert_slice(word, S("MAIL"));
	assert_slice(in, S("\tFROM:<a@b>  "));
	assert_true(slice_word(&in, &word));
	assert_slice(word, S("FROM:<a@b>"));
	assert_false(slice_word(&in, &word));
	assert_slice(word, S("FROM:<a@b>"));
	in = (slice){0};
	assert_false(slice_word(&in, &word));
}

static void test_numbers(void **state)
{
	static const struct {
		slice text;
		uint64_t max;
		bool ok;
		uint64_t want;
	} cases[] = {
		{SLICE_INIT("0"), 0, true, 0},
		{SLICE_INIT("1"), 0, false, 0},
		{SLICE_INIT("007"), 10, true, 7},
		{SLICE_INIT("10"), 10, true, 10},
		{SLICE_INIT("11"), 10, false, 0},
		{SLICE_INIT("18446744073709551615"), UINT64_MAX, true, UINT64_MAX},
		{SLICE_INIT("18446744073709551616"), UINT64_MAX, false, 0},
		{SLICE_INIT("184467440737095516150"), UINT64_MAX, false, 0},
		{SLICE_INIT("99999999999999999999"), UINT64_MAX, false, 0},
		{SLICE_INIT(""), UINT64_MAX, false, 0},
		{SLICE_INIT("-1"), UINT64_MAX, false, 0},
		{SLICE_INIT("+1"), UINT64_MAX, false, 0},
		{SLICE_INIT(" 1"), UINT64_MAX, false, 0},
		{SLICE_INIT("1\0"), UINT64_MAX, false, 0},
		{SLICE_INIT("1\xb2"), UINT64_MAX, false, 0},
	};
	uint32_t small = 77;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t got = 77;

		assert_int_equal(slice_to_u64(cases[i].text, cases[i].max, &got), cases[i].ok);
		assert_true(got == (cases[i].ok ? cases[i].want : 77));
	}
	assert_false(slice_to_u32(S("4294967296"), UINT32_MAX, &small));
	assert_int_equal(small, 77);
	assert_true(slice_to_u32(S("4294967295"), UINT32_MAX, &small));
	assert_true(small == UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sub),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_ifind),
		cmocka_unit_test(test_ifind_repeating),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_word),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

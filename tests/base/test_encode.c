#include "base/cleanup.h"
#include "base/encode.h"
#include "base/hash.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* RFC 4648, 10, and bytes over 127. */
static const struct {
	slice plain, coded;
} base64_cases[] = {
	{SLICE_INIT(""), SLICE_INIT("")},
	{SLICE_INIT("f"), SLICE_INIT("Zg==")},
	{SLICE_INIT("fo"), SLICE_INIT("Zm8=")},
	{SLICE_INIT("foo"), SLICE_INIT("Zm9v")},
	{SLICE_INIT("foob"), SLICE_INIT("Zm9vYg==")},
	{SLICE_INIT("fooba"), SLICE_INIT("Zm9vYmE=")},
	{SLICE_INIT("foobar"), SLICE_INIT("Zm9vYmFy")},
	{SLICE_INIT("\0test\0pass"), SLICE_INIT("AHRlc3QAcGFzcw==")},
	{SLICE_INIT("\xff\xef\xbe\xfb"), SLICE_INIT("/+++"
						    "+w==")},
};

static void test_base64(void **state)
{
	static const slice bad[] = {
		SLICE_INIT("Zg"),
		SLICE_INIT("Zg="),
		SLICE_INIT("="),
		SLICE_INIT("===="),
		SLICE_INIT("Z==="),
		SLICE_INIT("Zh=="),
		SLICE_INIT("Zm9="),
		SLICE_INIT("Zg==Zg=="),
		SLICE_INIT("Z=8="),
		SLICE_INIT("Zm9v\n"),
		SLICE_INIT("Zm 9"),
		SLICE_INIT("Zm-_"),
		SLICE_INIT("Zm9\0"),
		SLICE_INIT("Zm9\xff"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(base64_cases); i++) {
		struct buf b = BUF_INIT(100);

		buf_add_c(&b, '>');
		base64_encode(&b, base64_cases[i].plain);
		assert_true(slice_eq(slice_skip(buf_slice(&b), 1), base64_cases[i].coded));
		buf_reset(&b);
		buf_add_c(&b, '>');
		assert_true(base64_decode(&b, base64_cases[i].coded));
		assert_true(slice_eq(slice_skip(buf_slice(&b), 1), base64_cases[i].plain));
		buf_free(&b);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct buf b = BUF_INIT(100);

		assert_false(base64_decode(&b, bad[i]));
		buf_free(&b);
	}
	struct buf small = BUF_INIT(3);
	assert_false(base64_decode(&small, S("Zm9vYg==")));
	assert_true(small.failed);
	buf_reset(&small);
	base64_encode(&small, S("a"));
	assert_true(small.failed);
	buf_free(&small);
}

static void test_hex(void **state)
{
	struct buf b = BUF_INIT(100);

	(void)state;
	hex_encode(&b, S("\x00\x9f\xa5\xff"));
	assert_true(slice_eq(buf_slice(&b), S("009fa5ff")));
	buf_reset(&b);
	assert_true(hex_decode(&b, S("009FA5ff")));
	assert_true(slice_eq(buf_slice(&b), S("\x00\x9f\xa5\xff")));
	assert_true(hex_decode(&b, S("")));
	assert_false(hex_decode(&b, S("0")));
	assert_false(hex_decode(&b, S("0g")));
	assert_false(hex_decode(&b, S("/0")));
	assert_false(hex_decode(&b, S(" 1")));
	buf_free(&b);
}

static void test_base32(void **state)
{
	uint8_t id[16] = {0}, back[16], prev_id[16] = {0};
	char text[27], prev[27];

	(void)state;
	base32_id(id, text);
	assert_string_equal(text, "00000000000000000000000000");
	id[15] = 31;
	base32_id(id, text);
	assert_string_equal(text, "0000000000000000000000000z");
	memset(id, 0xff, sizeof id);
	base32_id(id, text);
	assert_string_equal(text, "7zzzzzzzzzzzzzzzzzzzzzzzzz");
	/* ULID's published example: 2016-07-30T23:54:10.259Z */
	static const uint8_t known[16] = {0x01, 0x56, 0x3e, 0x3a, 0xb5, 0xd3, 0xd6, 0x76, 0x4c, 0x61, 0xef,
		0xb9, 0x93, 0x02, 0xbd, 0x5b};
	base32_id(known, text);
	assert_string_equal(text, "01arz3ndektsv4rrffq69g5fav");

	memset(prev, 0, sizeof prev);
	for (int i = 0; i < 1000; i++) {
		random_bytes(id, sizeof id);
		base32_id(id, text);
		assert_true(base32_id_parse(slice_of(text), back));
		assert_memory_equal(id, back, 16);
		if (i > 0)
			assert_int_equal(
				memcmp(id, prev_id, 16) < 0, memcmp(text, prev, sizeof text - 1) < 0);
		memcpy(prev_id, id, 16);
		memcpy(prev, text, sizeof text);
	}
	assert_true(base32_id_parse(S("O1ARZ3NDEKTSV4RRFFQ69G5FAV"), back));
	assert_memory_equal(back, known, 16);
	assert_true(base32_id_parse(S("oIarz3ndektsv4rrffq69g5fav"), back) == true);
	memcpy(back, known, 16);
	assert_false(base32_id_parse(S("81arz3ndektsv4rrffq69g5fav"), back));
	assert_false(base32_id_parse(S("01arz3ndektsv4rrffq69g5fa"), back));
	assert_false(base32_id_parse(S("01arz3ndektsv4rrffq69g5favx"), back));
	assert_false(base32_id_parse(S("01arz3ndektsv4rrffq69g5fau"), back));
	assert_false(base32_id_parse(S("01arz3ndektsv4rrffq69g5fa\0"), back));
	assert_memory_equal(back, known, 16);
}

static void test_utf8(void **state)
{
	static const struct {
		slice s;
		bool ok;
	} cases[] = {
		{SLICE_INIT(""), true},
		{SLICE_INIT("plain text, rather long"), true},
		{SLICE_INIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), true},
		{SLICE_INIT("\xc2\x80"), true},
		{SLICE_INIT("\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80"), true},
		{SLICE_INIT("\xf4\x8f\xbf\xbf"), true},
		{SLICE_INIT("\xed\x9f\xbf\xee\x80\x80"), true},
		{SLICE_INIT("\x80"), false},
		{SLICE_INIT("longer plain text and then\xff"), false},
		{SLICE_INIT("\xc0\xaf"), false},         /* overlong */
		{SLICE_INIT("\xc1\xbf"), false},         /* overlong */
		{SLICE_INIT("\xe0\x9f\xbf"), false},     /* overlong */
		{SLICE_INIT("\xf0\x8f\xbf\xbf"), false}, /* overlong */
		{SLICE_INIT("\xed\xa0\x80"), false},     /* surrogate */
		{SLICE_INIT("\xed\xbf\xbf"), false},     /* surrogate */
		{SLICE_INIT("\xf4\x90\x80\x80"), false}, /* past U+10FFFF */
		{SLICE_INIT("\xf5\x80\x80\x80"), false},
		{SLICE_INIT("\xf8\x88\x80\x80\x80"), false},
		{SLICE_INIT("\xc3"), false},
		{SLICE_INIT("\xe2\x82"), false},
		{SLICE_INIT("\xf0\x9f\x98"), false},
		{SLICE_INIT("\xe2\x28\xa1"), false},
		{SLICE_INIT("\xc3\xa4\xa4"), false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(utf8_valid(cases[i].s), cases[i].ok);
	assert_true(ascii_only(S("twelve chars")));
	assert_false(ascii_only(S("twelve char\x80")));
	assert_false(ascii_only(S("\xc3\xa4twelve char")));
	assert_true(ascii_only((slice){0}));
}

/* Every character that there is, through the decoder. */
static void test_utf8_next(void **state)
{
	(void)state;
	for (uint32_t c = 1; c <= 0x10ffff; c++) {
		char b[4];
		size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
		uint32_t rest = c, got = 0;

		for (size_t i = n; i-- > 1; rest >>= 6)
			b[i] = (char)(0x80 | (rest & 63));
		b[0] = (char)(leads[n] | rest);
		if (c >= 0xd800 && c <= 0xdfff) {
			assert_int_equal(utf8_next(slice_make(b, n), &got), 0);
			continue;
		}
		assert_int_equal(utf8_next(slice_make(b, n), &got), n);
		assert_int_equal(got, c);
	}
}

static void test_utf8_cut(void **state)
{
	slice s = S("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z");
	static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};

	(void)state;
	for (size_t max = 0; max < COUNT_OF(want); max++)
		assert_int_equal(utf8_cut(s, max), want[max]);
	/* bytes that are no UTF-8 are cut where it is said */
	assert_int_equal(utf8_cut(S("\x80\x80\x80\x80\x80\x80\x80"), 5), 5);
	assert_int_equal(utf8_cut(S("ab\x80\x80\x80\x80\x80"), 4), 4);
	assert_int_equal(utf8_cut(S("\xff\xff\xff"), 2), 2);
	assert_int_equal(utf8_cut((slice){0}, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base32),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_utf8_next),
		cmocka_unit_test(test_utf8_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

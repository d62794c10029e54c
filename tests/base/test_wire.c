#include "base/cleanup.h"
#include "base/wire.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_round_trip(void **state)
{
	struct buf b = BUF_INIT(1000);

	(void)state;
	wire_put_u8(&b, 0xfe);
	wire_put_u16(&b, 0x1234);
	wire_put_u32(&b, 0x89abcdef);
	wire_put_u64(&b, 0x0123456789abcdef);
	wire_put_bytes(&b, S("bytes"));
	wire_put_bytes(&b, (slice){0});
	wire_put_raw(&b, S("raw"));
	assert_true(slice_eq(buf_slice(&b), S("\xfe\x12\x34\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"
					      "\x05"
					      "bytes"
					      "\0"
					      "raw")));
	struct rd r = rd_of(buf_slice(&b));
	assert_int_equal(rd_u8(&r), 0xfe);
	assert_int_equal(rd_u16(&r), 0x1234);
	assert_int_equal(rd_u32(&r), 0x89abcdef);
	assert_true(rd_u64(&r) == 0x0123456789abcdef);
	assert_true(slice_eq(rd_bytes(&r, 5), S("bytes")));
	assert_int_equal(rd_bytes(&r, 0).n, 0);
	assert_false(rd_done(&r));
	assert_true(slice_eq(rd_raw(&r, 3), S("raw")));
	assert_true(rd_done(&r));
	assert_int_equal(rd_raw(&r, 0).n, 0);
	assert_true(rd_done(&r));
	assert_int_equal(rd_u8(&r), 0);
	assert_true(r.bad);
	buf_free(&b);
}

static void test_var(void **state)
{
	static const struct {
		uint64_t v;
		slice bytes;
	} cases[] = {
		{0, SLICE_INIT("\0")},
		{127, SLICE_INIT("\x7f")},
		{128, SLICE_INIT("\x80\x01")},
		{300, SLICE_INIT("\xac\x02")},
		{16384, SLICE_INIT("\x80\x80\x01")},
		{UINT64_MAX, SLICE_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
	};
	static const slice bad[] = {
		SLICE_INIT(""), SLICE_INIT("\x80"), SLICE_INIT("\x80\0"),   /* zero in two bytes */
		SLICE_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),     /* 65 bits */
		SLICE_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00"), /* 11 bytes */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf b = BUF_INIT(10);
		struct rd r = rd_of(cases[i].bytes);

		wire_put_var(&b, cases[i].v);
		assert_true(slice_eq(buf_slice(&b), cases[i].bytes));
		assert_true(rd_var(&r) == cases[i].v);
		assert_true(rd_done(&r));
		buf_free(&b);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct rd r = rd_of(bad[i]);

		assert_true(rd_var(&r) == 0);
		assert_true(r.bad);
	}
}

/* After the first bad field all is 0 or empty, whatever stands there. */
static void test_sticky(void **state)
{
	struct rd r = rd_of(S("\x03"
			      "abcdefghijklmnop"));

	(void)state;
	assert_null(rd_bytes(&r, 2).p);
	assert_true(r.bad);
	assert_int_equal(rd_u8(&r), 0);
	assert_int_equal(rd_u16(&r), 0);
	assert_int_equal(rd_u32(&r), 0);
	assert_true(rd_u64(&r) == 0);
	assert_true(rd_var(&r) == 0);
	assert_int_equal(rd_raw(&r, 1).n, 0);
	assert_false(rd_done(&r));

	r = rd_of(S("\x10"
		    "short"));
	assert_int_equal(rd_bytes(&r, SIZE_MAX).n, 0);
	assert_true(r.bad);
	r = rd_of(S("1234567"));
	assert_true(rd_u64(&r) == 0);
	assert_true(r.bad);
}

static void test_seal(void **state)
{
	struct buf b = BUF_INIT(100);

	(void)state;
	buf_add(&b, S("head"));
	wire_put_raw(&b, S("123456789"));
	wire_seal(&b, 4);
	assert_true(slice_eq(buf_slice(&b), S("head123456789\xe3\x06\x92\x83")));
	for (size_t i = 4; i < b.n; i++) {
		slice s = slice_skip(buf_slice(&b), 4);

		b.p[i] ^= 16;
		assert_false(wire_unseal(&s));
		assert_int_equal(s.n, 13);
		b.p[i] ^= 16;
		s = slice_skip(buf_slice(&b), 4);
		assert_true(wire_unseal(&s));
		assert_true(slice_eq(s, S("123456789")));
	}
	slice small = S("abc");
	assert_false(wire_unseal(&small));
	slice empty = S("\0\0\0\0");
	assert_true(wire_unseal(&empty));
	assert_int_equal(empty.n, 0);
	buf_free(&b);
}

static void test_fixed(void **state)
{
	uint8_t b[8];

	(void)state;
	be64_put(b, 0x0102030405060708);
	assert_memory_equal(b, "\1\2\3\4\5\6\7\10", 8);
	assert_true(be64_get(b) == 0x0102030405060708);
	be32_put(b, 0xfffefdfc);
	assert_true(be32_get(b) == 0xfffefdfc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_var),
		cmocka_unit_test(test_sticky),
		cmocka_unit_test(test_seal),
		cmocka_unit_test(test_fixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

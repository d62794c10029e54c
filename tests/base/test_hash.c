#include "base/cleanup.h"
#include "base/hash.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* RFC 3720, B.4, and the check value of the polynomial. */
static void test_crc_vectors(void **state)
{
	uint8_t zeros[32] = {0}, ones[32], up[32], down[32];

	(void)state;
	memset(ones, 0xff, sizeof ones);
	for (uint8_t i = 0; i < 32; i++) {
		up[i] = i;
		down[i] = (uint8_t)(31 - i);
	}
	const struct {
		const void *p;
		size_t n;
		uint32_t want;
	} cases[] = {
		{NULL, 0, 0},
		{"123456789", 9, 0xe3069283},
		{zeros, 32, 0x8a9136aa},
		{ones, 32, 0x62a8ab43},
		{up, 32, 0x46dd794e},
		{down, 32, 0x113fdb5c},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(crc32c(0, cases[i].p, cases[i].n), cases[i].want);
		assert_int_equal(crc32c_portable(0, cases[i].p, cases[i].n), cases[i].want);
	}
}

/* The hardware's and the tables' words agree, at every length and place, whole and in two pieces. */
static void test_crc_agree(void **state)
{
	uint8_t bytes[200], many[5000]; /* many: long enough for each kind of round several times */

	(void)state;
	random_bytes(many, sizeof many);
	for (size_t n = 200; n <= sizeof many; n += 7)
		assert_int_equal(
			crc32c_portable(7, many + sizeof many - n, n), crc32c(7, many + sizeof many - n, n));
	random_bytes(bytes, sizeof bytes);
	for (size_t from = 0; from < 9; from++)
		for (size_t n = 0; n + from <= sizeof bytes; n++) {
			uint32_t want = crc32c(0, bytes + from, n);

			assert_int_equal(crc32c_portable(0, bytes + from, n), want);
			assert_int_equal(crc32c(crc32c_portable(0, bytes + from, n / 3), bytes + from + n / 3,
						 n - n / 3),
				want);
		}
}

/* Expected values: CPython 3.11, whose hash of bytes is SipHash-1-3, with a zero key. */
static void test_siphash(void **state)
{
	static const uint64_t zero[2] = {0, 0}, one[2] = {1, 0};
	static const struct {
		slice in;
		uint64_t want;
	} cases[] = {
		{SLICE_INIT("a"), 0x407448d2b89b1813},
		{SLICE_INIT("abcdefg"), 0x6db12aae9070f506},
		{SLICE_INIT("abcdefgh"), 0x3f7b849c0b8e35ea},
		{SLICE_INIT("\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16"), 0xf30eb725bb91c9ea},
		{SLICE_INIT("The quick brown fox jumps over the lazy dog"), 0x8df676d3d00c451e},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_true(hash_keyed(zero, cases[i].in) == cases[i].want);
		assert_true(hash_keyed(one, cases[i].in) != cases[i].want);
		assert_true(hash_seeded(cases[i].in) == hash_seeded(cases[i].in));
		assert_true(hash_seeded(cases[i].in) != cases[i].want);
	}
	assert_true(hash_seeded((slice){0}) == hash_seeded(S("")));
	assert_true(hash_seeded(S("a")) != hash_seeded(S("b")));
}

static void test_random(void **state)
{
	uint8_t bytes[1000] = {0};
	size_t zeros = 0;

	(void)state;
	random_bytes(bytes, sizeof bytes - 1);
	for (size_t i = 0; i < sizeof bytes - 1; i++)
		zeros += bytes[i] == 0;
	assert_true(zeros < 100);
	assert_int_equal(bytes[sizeof bytes - 1], 0);
	assert_true(random_u64() != random_u64());
}

static void test_secret_eq(void **state)
{
	char a[] = "same secret", b[] = "same secret";

	(void)state;
	assert_true(secret_eq(a, b, sizeof a));
	for (size_t i = 0; i < sizeof b; i++) {
		b[i] ^= (char)0x80;
		assert_false(secret_eq(a, b, sizeof a));
		b[i] ^= (char)0x80;
	}
	assert_true(secret_eq(NULL, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc_vectors),
		cmocka_unit_test(test_crc_agree),
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_secret_eq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "mail/text.h"
#include "support.h"

static void test_names(void **state)
{
	static const struct {
		const char *utf8, *utf7;
	} cases[] = {
		{"", ""},
		{"INBOX", "INBOX"},
		{"a&b", "a&-b"},
		{"&", "&-"},
		{"&&", "&-&-"},
		{"Entw\xc3\xbcrfe", "Entw&APw-rfe"},
		{"~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
			"~peter/mail/&U,BTFw-/&ZeVnLIqe-"},
		{"\xf0\x9f\x93\xac", "&2D3c7A-"},
		{"\xe2\x98\x83\xf0\x9f\x93\xac&\xc3\xa9", "&JgPYPdzs-&-&AOk-"},
	};
	struct buf b = BUF_INIT(200);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&b);
		assert_true(mail_utf7_write(&b, slice_of(cases[i].utf8)));
		assert_true(slice_eq(buf_slice(&b), slice_of(cases[i].utf7)));
		buf_reset(&b);
		assert_true(mail_utf7_read(&b, slice_of(cases[i].utf7)));
		assert_true(slice_eq(buf_slice(&b), slice_of(cases[i].utf8)));
	}
	buf_free(&b);
}

static void test_refused(void **state)
{
	static const char *const bad7[] = {"&", "a&", "&AP", "&APw", "&A-", "&AP-",
		"&APx-" /* padding bits */, "&AGE-" /* "a" */, "&AEEA-", "&2D0-" /* lone high surrogate */,
		"&3Kw-" /* lone low */, "&2D0A6Q-", "&APw-&APw-" /* superfluous shift */, "\xc3\xbc", "a\tb",
		"a\x7f", "&AP/-", "&AP=-", "&APwA-", "&ZeVnLIqe"};
	static const char *const bad8[] = {"\xff", "a\nb", "\x7f", "\xed\xa0\x80", "\xc3"};
	struct buf b = BUF_INIT(200);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad7); i++) {
		buf_reset(&b);
		if (mail_utf7_read(&b, slice_of(bad7[i])))
			fail_msg("accepted: %s", bad7[i]);
	}
	for (size_t i = 0; i < COUNT_OF(bad8); i++)
		assert_false(mail_utf7_write(&b, slice_of(bad8[i])));
	buf_free(&b);
}

/* Every code point goes and comes back; the form read back is the only one accepted. */
static void test_all_points(void **state)
{
	struct buf one = BUF_INIT(64), two = BUF_INIT(64), three = BUF_INIT(64);
	(void)state;
	for (uint32_t v = 0x80; v < 0x110000; v += v < 0x10000 ? 1 : 61) {
		char z[4];
		size_t n = 0;
		if (v >= 0xD800 && v < 0xE000)
			continue;
		if (v < 0x800) {
			z[n++] = (char)(0xC0 | v >> 6);
		} else {
			if (v < 0x10000) {
				z[n++] = (char)(0xE0 | v >> 12);
			} else {
				z[n++] = (char)(0xF0 | v >> 18);
				z[n++] = (char)(0x80 | (v >> 12 & 63));
			}
			z[n++] = (char)(0x80 | (v >> 6 & 63));
		}
		z[n++] = (char)(0x80 | (v & 63));
		buf_reset(&one);
		buf_reset(&two);
		buf_reset(&three);
		buf_add(&one, (slice){z, n});
		buf_addz(&one, v & 1 ? "x" : "");
		buf_add(&one, (slice){z, n});
		assert_true(mail_utf7_write(&two, buf_slice(&one)));
		assert_true(mail_utf7_read(&three, buf_slice(&two)));
		assert_true(slice_eq(buf_slice(&one), buf_slice(&three)));
	}
	buf_free(&one);
	buf_free(&two);
	buf_free(&three);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_all_points),
	};
	return cmocka_run_group_tests_name("mail/text", tests, NULL, NULL);
}

#include "mail/header.h"
#include "support.h"

static void dump(struct buf *out, slice in)
{
	struct mail_header_scan scan = mail_header_begin(in);
	struct mail_field f;
	size_t at = 0;
	while (mail_header_next(&scan, &f)) {
		assert_int_equal(f.offset, at);
		assert_ptr_equal(f.whole.p, in.p + at);
		at += f.whole.n;
		buf_addf(out, "[%.*s|", (int)f.name.n, f.name.p);
		mail_header_unfold(out, f.value);
		buf_add_c(out, ']');
	}
	buf_addf(out, "%zu", mail_header_length(in));
}

static void test_fields(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", "0"},
		{"\r\n", "2"},
		{"\n", "1"},
		{"A: b\r\n\r\nbody", "[A|b]8"},
		{"A: b\n\nbody", "[A|b]6"},
		{"A: b\nC:d\r\n\r\n", "[A|b][C|d]12"},
		{"A: b", "[A|b]4"},
		{"A:\r\n b\r\n\tc\r\nD: e\r\n\r\nx", "[A|b\tc][D|e]20"},
		{"A: b\r\n \r\n c\r\n\r\n", "[A|b  c]15"},
		{"A :b\r\n\r\n", "[A|b]8"},
		{"no colon here\r\nA: b\r\n\r\n", "[|no colon here][A|b]23"},
		{"From x y\r\nA: b\r\n\r\n", "[|From x y][A|b]18"},
		{" starts folded\r\nA: b\r\n\r\n", "[|starts folded][A|b]24"},
		{": empty name\r\n\r\n", "[|: empty name]16"},
		{"A: b\rc\r\n\r\n", "[A|b c]10"},
		{"A: b\r\r\n\r\n", "[A|b]9"},
	};
	struct buf b = BUF_INIT(4096);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		slice in = slice_of(cases[i].in);
		char *exact = exact_copy(in);
		buf_reset(&b);
		dump(&b, slice_make(exact, in.n));
		if (!slice_eq(buf_slice(&b), slice_of(cases[i].out)))
			fail_msg("%s\n  gives %.*s", cases[i].in, (int)b.n, b.p);
		free(exact);
	}
	buf_free(&b);
}

static void test_find(void **state)
{
	struct mail_field f;
	struct arena *a = arena_new(4096);
	slice m = S("Subject: one\r\nTO: a\r\nto: b\r\n\r\nCc: in the body\r\n");
	(void)state;
	assert_true(mail_header_find(m, S("To"), &f));
	check_slice(mail_header_unfolded(a, f.value), S("a"));
	assert_int_equal(f.offset, 14);
	assert_false(mail_header_find(m, S("Cc"), &f));
	check_slice(mail_header_unfolded(a, S("  plain ")), S("plain"));
	check_slice(mail_header_unfolded(a, S(" a\r\n b\r\n")), S("a b"));
	arena_free(a);
}

static void test_big(void **state)
{
	struct buf b = BUF_INIT(32 * MEGABYTE);
	struct mail_header_scan scan;
	struct mail_field f;
	size_t n = 0;
	(void)state;
	while (b.n < 11 * MEGABYTE)
		buf_addz(&b, "a:\r\n b\r\n");
	scan = mail_header_begin(buf_slice(&b));
	while (mail_header_next(&scan, &f))
		n++;
	assert_true(scan.pos <= 10 * MEGABYTE && n > MEGABYTE);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_big),
	};
	return cmocka_run_group_tests_name("mail/header", tests, NULL, NULL);
}

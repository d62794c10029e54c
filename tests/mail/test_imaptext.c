#include "mail/imaptext.h"
#include "support.h"

static void test_strings(void **state)
{
	static const struct {
		slice in;
		const char *out;
	} cases[] = {
		{SLICE_INIT(""), "\"\""},
		{SLICE_INIT("a b"), "\"a b\""},
		{SLICE_INIT("a\"b\\c"), "\"a\\\"b\\\\c\""},
		{SLICE_INIT("a\r\nb"), "{4}\r\na\r\nb"},
		{SLICE_INIT("\xc3\xb6"), "{2}\r\n\xc3\xb6"},
		{SLICE_INIT("a\tb"), "{3}\r\na\tb"},
		{SLICE_INIT("a\0b"), "{3}\r\na?b"},
		{SLICE_INIT("\x7f"), "{1}\r\n\x7f"},
	};
	struct buf b = BUF_INIT(10000);
	char longish[2000];
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&b);
		mail_imap_string(&b, cases[i].in);
		check_slice(buf_slice(&b), slice_of(cases[i].out));
	}
	buf_reset(&b);
	mail_imap_nstring(&b, (slice){0});
	check_slice(buf_slice(&b), S("NIL"));
	memset(longish, 'x', sizeof longish);
	buf_reset(&b);
	mail_imap_string(&b, slice_make(longish, sizeof longish));
	assert_true(slice_starts(buf_slice(&b), S("{2000}\r\nxxx")));
	buf_free(&b);
}

static void test_envelopes(void **state)
{
#define V(...) ((struct mail_envelope){__VA_ARGS__})
	struct arena *a = arena_new(65536);
	struct buf b = BUF_INIT(MEGABYTE);
	const struct {
		struct mail_envelope v;
		const char *out;
	} cases[] = {
		{V(.date = {0}), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{V(.date = S(""), .subject = S(""), .to = S(""), .message_id = S("")),
			"(\"\" \"\" NIL NIL NIL NIL NIL NIL NIL \"\")"},
		{V(.from = S("a@b"), .sender = S("c@d")),
			"(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) ((NIL NIL \"a\" \"b\")) "
			"NIL NIL NIL NIL NIL)"},
		{V(.from = S("a@b"), .sender = S(" "), .reply_to = S("(none)")),
			"(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
			"NIL NIL NIL NIL NIL)"},
		{V(.to = S("undisclosed-recipients:;")),
			"(NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) "
			"NIL NIL NIL NIL)"},
		{V(.cc = S("someone, <@r:x@y>")),
			"(NIL NIL NIL NIL NIL NIL ((NIL NIL \"someone\" \"MISSING_DOMAIN\")(NIL \"@r\" \"x\" "
			"\"y\")) NIL NIL NIL)"},
		{V(.bcc = S("J <>"), .in_reply_to = S("<a> <b>")),
			"(NIL NIL NIL NIL NIL NIL NIL ((\"J\" NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\")) "
			"\"<a> <b>\" NIL)"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&b);
		mail_imap_envelope(&b, &cases[i].v, a);
		check_slice(buf_slice(&b), slice_of(cases[i].out));
		assert_true(mail_imap_list_check(buf_slice(&b)));
	}
	/* a list cut inside of a group still closes it */
	buf_reset(&b);
	mail_imap_addresses(&b, S("g: a@b, c@d;"), 2, a);
	check_slice(buf_slice(&b), S("((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL))"));
	buf_free(&b);
	arena_free(a);
}

static void test_check(void **state)
{
	static const struct {
		slice in;
		bool good;
	} cases[] = {
		{SLICE_INIT("(NIL)"), true},
		{SLICE_INIT("(NIL \"a\" 12 (NIL))"), true},
		{SLICE_INIT("((NIL)(NIL) \"x\")"), true},
		{SLICE_INIT("((NIL) (NIL))"), true},
		{SLICE_INIT("({3}\r\na\r\n)"), true},
		{SLICE_INIT("({0}\r\n)"), true},
		{SLICE_INIT("({1}\r\n) NIL)"), true},
		{SLICE_INIT("({1}\r\n)(NIL))"), false}, /* the literal's byte is no list */
		{SLICE_INIT("(\"a\\\"b\\\\\")"), true},
		{SLICE_INIT(""), false},
		{SLICE_INIT("NIL"), false},
		{SLICE_INIT("()"), false},
		{SLICE_INIT("(NIL"), false},
		{SLICE_INIT("(NIL))"), false},
		{SLICE_INIT("(NIL)(NIL)"), false},
		{SLICE_INIT("(NIL) "), false},
		{SLICE_INIT("( NIL)"), false},
		{SLICE_INIT("(NIL )"), false},
		{SLICE_INIT("(NIL  NIL)"), false},
		{SLICE_INIT("(NIL\r\nNIL)"), false},
		{SLICE_INIT("(NIL\"a\")"), false},
		{SLICE_INIT("(\"a\"NIL)"), false},
		{SLICE_INIT("(NIL(NIL))"), false},
		{SLICE_INIT("((NIL)NIL)"), false},
		{SLICE_INIT("(atom)"), false},
		{SLICE_INIT("(NILS)"), false},
		{SLICE_INIT("(\"a\r\n\")"), false},
		{SLICE_INIT("(\"\xc3\xb6\")"), false},
		{SLICE_INIT("(\"a\\b\")"), false},
		{SLICE_INIT("(\"a)"), false},
		{SLICE_INIT("(\"a\\)"), false},
		{SLICE_INIT("({5}\r\nabc)"), false},
		{SLICE_INIT("({3}\nabc)"), false},
		{SLICE_INIT("({3+}\r\nabc)"), false},
		{SLICE_INIT("({99999999999999999999999}\r\nabc)"), false},
		{SLICE_INIT("({18446744073709551615}\r\nabc)"), false},
		{SLICE_INIT("({3}\r\na\0b)"), false},
		{SLICE_INIT("(-1)"), false},
		{SLICE_INIT("(123456789012345678901)"), false},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *exact = exact_copy(cases[i].in);
		if (mail_imap_list_check(slice_make(exact, cases[i].in.n)) != cases[i].good)
			fail_msg("%.*s", (int)cases[i].in.n, cases[i].in.p);
		free(exact);
	}
	struct buf b = BUF_INIT(10000);
	for (int n = 255; n <= 257; n++) {
		buf_reset(&b);
		for (int i = 0; i < n; i++)
			buf_add_c(&b, '(');
		buf_addz(&b, "NIL");
		for (int i = 0; i < n; i++)
			buf_add_c(&b, ')');
		assert_int_equal(mail_imap_list_check(buf_slice(&b)), n <= 256);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_envelopes),
		cmocka_unit_test(test_check),
	};
	return cmocka_run_group_tests_name("mail/imaptext", tests, NULL, NULL);
}

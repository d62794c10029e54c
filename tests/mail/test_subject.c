/* The base subject: RFC 5256 2.1. */
#include "mail/subject.h"
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include "base/cleanup.h"

static void test_table(void **state)
{
	static const struct {
		const char *in, *out;
		bool reply;
	} cases[] = {
		{"", "", false},
		{"   ", "", false},
		{"hello", "hello", false},
		{" hello \t world\r\n again ", "hello world again", false},
		{"Re: hello", "hello", true},
		{"re:hello", "hello", true},
		{"RE : hello", "hello", true},
		{"Fw: hello", "hello", true},
		{"FWD: hello", "hello", true},
		{"Fwd hello", "Fwd hello", false},
		{"Rex: hello", "Rex: hello", false},
		{"Re: Re: fw: RE: hello", "hello", true},
		{"Re[2]: hello", "hello", true},
		{"Re [2] : hello", "hello", true},
		{"Re[2][3]: hello", "Re[2][3]: hello", false},
		{"hello (fwd)", "hello", true},
		{"hello (FWD) (fwd)  ", "hello", true},
		{"hello(fwd)", "hello", true},
		{"(fwd)", "", true},
		{"[list] hello", "hello", false},
		{"[list] Re: hello", "hello", true},
		{"Re: [list] hello", "hello", true},
		{"Re: [a] [b]Re: [c] hello", "hello", true},
		{"[list]", "[list]", false},
		{"[a][b]", "[b]", false},
		{"[a] [b] (fwd)", "[b]", true},
		{"Re:", "", true},
		{"Re: [list]", "[list]", true},
		{"[a[b] hello", "[a[b] hello", false},
		{"[unclosed hello", "[unclosed hello", false},
		{"hello [list]", "hello [list]", false},
		{"[fwd: hello]", "hello", true},
		{"[Fwd: Re: hello (fwd)]", "hello", true},
		{"[fwd: [fwd: [list] hello]]", "hello", true},
		{"Re: [fwd: hello] (fwd)", "hello", true},
		{"[fwd: hello", "[fwd: hello", false},
		{"[fwd:]", "", true},
		{"[fwd: a] b", "b", false}, /* a blob like any other */
		{"\xe5\x9b\x9e\xe5\xa4\x8d: hello", "\xe5\x9b\x9e\xe5\xa4\x8d: hello", false},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf b = BUF_INIT(1000);

		buf_addz(&b, "kept|");
		bool reply = mail_subject_base(&b, slice_of(cases[i].in));
		slice got = slice_skip(buf_slice(&b), 5);
		if (!slice_starts(buf_slice(&b), S("kept|")) || !slice_eq(got, slice_of(cases[i].out)) ||
			reply != cases[i].reply)
			fail_msg("\"%s\" gives \"%.*s\" %d", cases[i].in, (int)got.n, got.p, reply);
		buf_free(&b);
	}
}

/* What comes out stays as it is when it goes in again. */
static void test_stable(void **state)
{
	static const char *const bits[] = {
		"re:", "fw:", "fwd", "[fwd:", "]", "[a]", "[", "(fwd)", " ", "x", "re", ":", "\t"};
	uint32_t seed = 7;
	(void)state;
	for (int round = 0; round < 200000; round++) {
		struct buf in = BUF_INIT(1000), once = BUF_INIT(1000), twice = BUF_INIT(1000);
		int n = round % 9;

		for (int i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			buf_addz(&in, bits[(seed >> 16) % COUNT_OF(bits)]);
		}
		(void)mail_subject_base(&once, buf_slice(&in));
		bool again = mail_subject_base(&twice, buf_slice(&once));
		if (again || !slice_eq(buf_slice(&once), buf_slice(&twice)))
			fail_msg("\"%.*s\" gives \"%.*s\", that \"%.*s\"", (int)in.n, in.p, (int)once.n,
				once.p, (int)twice.n, twice.p);
		buf_free(&in);
		buf_free(&once);
		buf_free(&twice);
	}
}

static void test_linear(void **state)
{
	static const char *const hostile[] = {
		"[]", "re:", "[a] re:", "(fwd)", "[fwd:", "[", "re [", "fwd: [x] "};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(hostile); i++) {
		struct buf in = BUF_INIT(4 << 20), out = BUF_INIT(8 << 20);

		while (in.n < 1 << 20)
			buf_addz(&in, hostile[i]);
		(void)mail_subject_base(&out, buf_slice(&in)); /* the test's time limit judges */
		assert_false(out.failed);
		buf_free(&in);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_stable),
		cmocka_unit_test(test_linear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

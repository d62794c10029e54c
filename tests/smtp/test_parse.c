/* Command lines, MAIL and RCPT with their parameters, BDAT, names in EHLO, xtext. */
#include "smtp/parse.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_line(void **state)
{
	static const struct {
		slice in;
		const char *verb, *args;
	} good[] = {
		{SLICE_INIT("NOOP"), "NOOP", ""},
		{SLICE_INIT("  noop \t "), "noop", ""},
		{SLICE_INIT("MAIL FROM:<a@b>  SIZE=1 "), "MAIL", "FROM:<a@b>  SIZE=1"},
		{SLICE_INIT("rcpt\tto:a@b"), "rcpt", "to:a@b"},
		{SLICE_INIT(""), "", ""},
		{SLICE_INIT("   "), "", ""},
		{SLICE_INIT("VRFY j\xc3\xb6rg"), "VRFY", "j\xc3\xb6rg"},
	};
	static const slice bad[] = {SLICE_INIT("NOOP\r"), SLICE_INIT("NO\0OP"), SLICE_INIT("NOOP \x7f"),
		SLICE_INIT("VRFY \xff"), SLICE_INIT("\x16\x03\x01")};
	struct smtp_line line;
	err e;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(smtp_line_parse(good[i].in, &line, &e), 0);
		assert_true(slice_eq(line.verb, slice_of(good[i].verb)));
		assert_true(slice_eq(line.args, slice_of(good[i].args)));
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(smtp_line_parse(bad[i], &line, &e), -1);
}

static enum smtp_fault mail(const char *args, struct arena *a, struct smtp_envelope *env)
{
	size_t n = strlen(args);
	char *exact = malloc(n + 1); /* no NUL behind it, and gone afterwards: nothing may point into it */
	err e = {0};

	memcpy(exact, args, n);
	*env = (struct smtp_envelope){0};
	enum smtp_fault f = smtp_mail_parse(slice_make(exact, n), a, env, &e);
	assert_true(f == SMTP_FAULT_NONE || e.text[0]);
	memset(exact, 'x', n);
	free(exact);
	return f;
}

static void test_mail(void **state)
{
	static const struct {
		const char *args;
		enum smtp_fault fault;
	} cases[] = {
		{"FROM:<>", SMTP_FAULT_NONE},
		{"from : <a@b.example>", SMTP_FAULT_NONE},
		{"FROM: a@b.example", SMTP_FAULT_NONE},
		{"from:a@b.example SIZE=10", SMTP_FAULT_NONE},
		{"FROM:<@x.example,@y.example:a@b.example>", SMTP_FAULT_NONE},
		{"FROM:<\"a b\"@b.example> SIZE=0", SMTP_FAULT_NONE},
		{"FROM:<a@[192.0.2.1]>", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> body=8bitmime smtputf8 RET=hdrs ENVID=x+2By AUTH=<>", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> AUTH=e+3Dmc2@example.com", SMTP_FAULT_NONE},
		{"FROM:<\xc3\xa9@b.example> SMTPUTF8", SMTP_FAULT_NONE},
		{"<a@b.example>", SMTP_FAULT_WORD},
		{"TO:<a@b.example>", SMTP_FAULT_WORD},
		{"FROM <a@b.example>", SMTP_FAULT_WORD},
		{"FROM:", SMTP_FAULT_ADDRESS},
		{"FROM:<a@b.example", SMTP_FAULT_ADDRESS},
		{"FROM:<a@b.example>x", SMTP_FAULT_ADDRESS},
		{"FROM:<a b@c.example>", SMTP_FAULT_ADDRESS},
		{"FROM:<a@-b.example>", SMTP_FAULT_ADDRESS},
		{"FROM:<\xc3\xa9@b.example>", SMTP_FAULT_UTF8},
		{"FROM:<a@b.example> SIZE", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> SIZE=", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> SIZE=-1", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> SIZE=99999999999999999999", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> SIZE=000000000000000000001", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BODY=9BIT", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> SMTPUTF8=1", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> RET=HEADERS", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> ENVID=", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> ENVID=a+0Ab", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> ENVID=a+2b", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> AUTH=nobody", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> HOLDFOR=1", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> HOLDFOR=999999999", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> HOLDFOR", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> HOLDFOR=", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> HOLDFOR=0", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> HOLDFOR=01", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> HOLDFOR=-1", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> HOLDFOR=1000000000", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> HOLDFOR=1h", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> holduntil=2026-11-24t15:00:00z", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> HOLDUNTIL=2026-11-24T23:00:00+08:00", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> HOLDUNTIL=2026-11-24", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> HOLDUNTIL=3600", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> HOLDUNTIL=", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> HOLDUNTIL=2026-11-24T15:00:00Z HOLDFOR=5", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> HOLDFOR=5 HOLDUNTIL=2026-11-24T15:00:00Z", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> HOLDFOR=5 HOLDFOR=5", SMTP_FAULT_PARAM},
		{"FROM:<a@b.example> BY=120;R", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> by=+120;nt", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> BY=0;N", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> BY=-999999999;NT", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> BY=0;R", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BY=-0;R", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BY=-1;R", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BY=1000000000;R", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BY=;R", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BY=-;N", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BY=--1;N", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BY=120", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BY=120;", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BY=120;X", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BY=120;RR", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BY=120;RTT", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> BY=120;R BY=120;R", SMTP_FAULT_PARAM},
		{"FROM:<a@b.example> MT-PRIORITY=9", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> mt-priority=-9", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> MT-PRIORITY=10", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> MT-PRIORITY=03", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> MT-PRIORITY=+3", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> MT-PRIORITY=-0", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> MT-PRIORITY=-", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> MT-PRIORITY=", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> RequireTLS", SMTP_FAULT_NONE},
		{"FROM:<a@b.example> REQUIRETLS=1", SMTP_FAULT_VALUE},
		{"FROM:<a@b.example> SIZE=1 SIZE=1", SMTP_FAULT_PARAM},
		{"FROM:<a@b.example> NOTIFY=NEVER", SMTP_FAULT_PARAM},
		{"FROM:<a@b.example> =", SMTP_FAULT_PARAM},
		{"FROM:<a@b.example> FOO", SMTP_FAULT_PARAM},
	};
	struct arena *a = arena_new(65536);
	struct smtp_envelope env;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum smtp_fault f = mail(cases[i].args, a, &env);
		if (f != cases[i].fault)
			fprintf(stderr, "%s: %d, not %d\n", cases[i].args, (int)f, (int)cases[i].fault);
		assert_int_equal(f, cases[i].fault);
	}
	assert_int_equal(
		mail("FROM:<\"a b\"@b.example> BODY=BINARYMIME RET=FULL ENVID=x+2By AUTH=a+3Db@c SIZE=77", a,
			&env),
		0);
	assert_true(slice_eq(env.sender_local, S("a b")));
	assert_true(slice_eq(env.sender.domain, S("b.example")));
	assert_int_equal(env.body, SMTP_BODY_BINARYMIME);
	assert_int_equal(env.ret, SMTP_RET_FULL);
	assert_int_equal(env.size, 77);
	assert_true(slice_eq(env.id, S("x+y")));
	assert_true(slice_eq(env.auth, S("a=b@c")));
	assert_true(env.hold == SMTP_HOLD_NONE && !env.by_mode && !env.has_priority && !env.require_tls);
	assert_int_equal(
		mail("FROM:<a@b.example> HOLDUNTIL=2026-11-24T15:00:00Z BY=-7;nT MT-PRIORITY=-3 REQUIRETLS",
			a, &env),
		0);
	assert_true(env.hold == SMTP_HOLD_UNTIL && env.hold_s == 1795532400);
	assert_true(env.by_mode == 'N' && env.by_trace && env.by_s == -7);
	assert_true(env.has_priority && env.priority == -3 && env.require_tls);
	assert_int_equal(mail("FROM:<a@b.example> HOLDFOR=77 BY=+8;r", a, &env), 0);
	assert_true(env.hold == SMTP_HOLD_FOR && env.hold_s == 77);
	assert_true(env.by_mode == 'R' && !env.by_trace && env.by_s == 8);
	arena_free(a);
}

static void test_rcpt(void **state)
{
	static const struct {
		const char *args;
		enum smtp_fault fault;
		uint8_t notify;
		const char *original;
	} cases[] = {
		{"TO:<b@c.example>", SMTP_FAULT_NONE, 0, ""},
		{"to:<Postmaster>", SMTP_FAULT_NONE, 0, ""},
		{"TO:<b@c.example> NOTIFY=NEVER", SMTP_FAULT_NONE, SMTP_NOTIFY_NEVER, ""},
		{"TO:<b@c.example> notify=success,DELAY ORCPT=rfc822;b+2Bx@c.example", SMTP_FAULT_NONE,
			SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY, "rfc822;b+x@c.example"},
		{"TO:<b@c.example> NOTIFY=NEVER,DELAY", SMTP_FAULT_VALUE, 0, ""},
		{"TO:<b@c.example> NOTIFY=", SMTP_FAULT_VALUE, 0, ""},
		{"TO:<b@c.example> NOTIFY=DELAY,", SMTP_FAULT_VALUE, 0, ""},
		{"TO:<b@c.example> NOTIFY=DELAY,DELAY", SMTP_FAULT_VALUE, 0, ""},
		{"TO:<b@c.example> ORCPT=rfc822", SMTP_FAULT_VALUE, 0, ""},
		{"TO:<b@c.example> ORCPT=;x", SMTP_FAULT_VALUE, 0, ""},
		{"TO:<b@c.example> ORCPT=rfc822;", SMTP_FAULT_VALUE, 0, ""},
		{"TO:<b@c.example> ORCPT=rf_c;x", SMTP_FAULT_VALUE, 0, ""},
		{"TO:<b@c.example> ORCPT=rfc822;a=b", SMTP_FAULT_VALUE, 0, ""},
		{"TO:<b@c.example> SIZE=1", SMTP_FAULT_PARAM, 0, ""},
		{"TO:<>", SMTP_FAULT_ADDRESS, 0, ""},
		{"TO:<nobody>", SMTP_FAULT_ADDRESS, 0, ""},
		{"TO:<\xc3\xa9@c.example>", SMTP_FAULT_UTF8, 0, ""},
	};
	struct arena *a = arena_new(65536);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct smtp_recipient r = {0};
		err e = {0};
		enum smtp_fault f = smtp_rcpt_parse(slice_of(cases[i].args), false, a, &r, &e);
		if (f != cases[i].fault)
			fprintf(stderr, "%s: %d, not %d\n", cases[i].args, (int)f, (int)cases[i].fault);
		assert_int_equal(f, cases[i].fault);
		assert_int_equal(r.notify, cases[i].notify);
		assert_true(slice_eq(r.original, slice_of(cases[i].original)));
	}
	arena_free(a);
}

static void test_no_memory(void **state)
{
	struct smtp_envelope env;

	(void)state;
	for (size_t cap = 0; cap < 40; cap++) { /* never a crash, and success only with all of it */
		struct arena *a = arena_new(cap);
		enum smtp_fault f = mail("FROM:<abc@def.example> ENVID=x", a, &env);
		assert_true(f == SMTP_FAULT_MEMORY || f == SMTP_FAULT_NONE);
		if (f == SMTP_FAULT_NONE)
			assert_true(env.sender.local.p && env.sender.domain.p && env.id.p);
		arena_free(a);
	}
}

static void test_bdat(void **state)
{
	uint64_t size;
	bool last;
	err e;

	(void)state;
	assert_int_equal(smtp_bdat_parse(S("0"), &size, &last, &e), 0);
	assert_true(size == 0 && !last);
	assert_int_equal(smtp_bdat_parse(S("86 last"), &size, &last, &e), 0);
	assert_true(size == 86 && last);
	assert_int_equal(smtp_bdat_parse(S("9223372036854775807"), &size, &last, &e), 0);
	static const slice bad[] = {SLICE_INIT(""), SLICE_INIT("x"), SLICE_INIT("1 LAST x"),
		SLICE_INIT("1 x"), SLICE_INIT("-1"), SLICE_INIT("+1"), SLICE_INIT("1x"),
		SLICE_INIT("9223372036854775808"), SLICE_INIT("99999999999999999999999999")};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(smtp_bdat_parse(bad[i], &size, &last, &e), -1);
}

static void test_helo(void **state)
{
	static const char *const good[] = {"a.example", "localhost", "[192.0.2.1]", "[IPv6:2001:db8::1]",
		"my_pc", "192.0.2.1", "\xc3\xbcmlaut.example"};
	static const char *const bad[] = {"", "a b", "(x)", "<a>", "a\\b", "a;b", "\xff", "a,b"};
	char longest[300];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(smtp_helo_valid(slice_of(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(smtp_helo_valid(slice_of(bad[i])));
	memset(longest, 'a', sizeof longest);
	assert_true(smtp_helo_valid(slice_make(longest, 255)));
	assert_false(smtp_helo_valid(slice_make(longest, 256)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_rcpt),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_bdat),
		cmocka_unit_test(test_helo),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

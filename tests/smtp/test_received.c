/* The trace field and the names of the protocols in it. */
#include "smtp/received.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_names(void **state)
{
	static const struct {
		struct smtp_trace t;
		const char *name;
	} cases[] = {
		{{.extended = false}, "SMTP"},
		{{.extended = true}, "ESMTP"},
		{{.extended = true, .tls = SLICE_INIT("T")}, "ESMTPS"},
		{{.extended = true, .authenticated = true}, "ESMTPA"},
		{{.extended = true, .authenticated = true, .tls = SLICE_INIT("T")}, "ESMTPSA"},
		{{.extended = true, .utf8 = true}, "UTF8SMTP"},
		{{.extended = true, .utf8 = true, .authenticated = true, .tls = SLICE_INIT("T")},
			"UTF8SMTPSA"},
		{{.lmtp = true, .extended = true}, "LMTP"},
		{{.lmtp = true, .extended = true, .tls = SLICE_INIT("T")}, "LMTPS"},
		{{.lmtp = true, .extended = true, .utf8 = true}, "UTF8LMTP"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_true(slice_eq(smtp_protocol_name(&cases[i].t), slice_of(cases[i].name)));
}

static void check(struct smtp_envelope *env, const char *want)
{
	struct buf out = BUF_INIT(4096);

	smtp_received_format(&out, env, S("qid"), (struct mail_date){1767225600, 60});
	buf_add_c(&out, 0);
	assert_string_equal(out.p, want);
	buf_free(&out);
}

static void test_field(void **state)
{
	struct smtp_recipient r[2] = {
		{.path = {.kind = MAIL_PATH_IS_MAILBOX, .local = S("bob"), .domain = S("b.example")}}};
	struct smtp_envelope env = {.recipients = r, .n = 1};

	(void)state;
	env.trace = (struct smtp_trace){.helo = S("client.example"),
		.address = S("192.0.2.1"),
		.name = S("host.example"),
		.host = S("mx.example"),
		.tls = S("TLSv1.3 TLS_AES_256_GCM_SHA384"),
		.extended = true};
	check(&env, "Received: from client.example (host.example [192.0.2.1])\r\n"
		    "\tby mx.example (Posthouse) with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
		    "\tid qid for <bob@b.example>;\r\n"
		    "\tThu, 1 Jan 2026 01:00:00 +0100\r\n");
	env.n = 2; /* nobody learns who else got it */
	env.trace.name = env.trace.tls = (slice){0};
	env.trace.address = S("2001:db8::1");
	check(&env, "Received: from client.example ([IPv6:2001:db8::1])\r\n"
		    "\tby mx.example (Posthouse) with ESMTP\r\n"
		    "\tid qid;\r\n"
		    "\tThu, 1 Jan 2026 01:00:00 +0100\r\n");
	env.trace = (struct smtp_trace){.host = S("mx.example"), .lmtp = true, .extended = true};
	check(&env, "Received: from unknown\r\n"
		    "\tby mx.example (Posthouse) with LMTP\r\n"
		    "\tid qid;\r\n"
		    "\tThu, 1 Jan 2026 01:00:00 +0100\r\n");
	env.trace = (struct smtp_trace){.helo = S("laptop.home"),
		.address = S("192.0.2.1"),
		.name = S("dsl.example"),
		.host = S("mx.example"),
		.extended = true,
		.authenticated = true,
		.hidden = true};
	check(&env, "Received: by mx.example (Posthouse) with ESMTPA\r\n"
		    "\tid qid;\r\n"
		    "\tThu, 1 Jan 2026 01:00:00 +0100\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_field)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

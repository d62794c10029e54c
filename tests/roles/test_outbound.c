/* The outbound role among servers that answer this and that. */
#include "out_world.h"
#include "queue/route.h"
#include "queue/row.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MX(preference, name) "\0" preference name "\4test\0"
#define A(last)              "\177\0\1" last

static const struct world_record zone[] = {
	{"good.test", DNS_MX, SLICE_INIT(MX("\12", "\2m1"))},
	{"m1.test", DNS_A, SLICE_INIT(A("\1"))},
	{"m2.test", DNS_A, SLICE_INIT(A("\2"))},
	{"m3.test", DNS_A, SLICE_INIT(A("\3"))},
	{"m4.test", DNS_A, SLICE_INIT(A("\4"))},
	{"m5.test", DNS_A, SLICE_INIT(A("\5"))},
	{"m6.test", DNS_A, SLICE_INIT(A("\6"))},
	{"m7.test", DNS_A, SLICE_INIT(A("\7"))},
	{"m8.test", DNS_A, SLICE_INIT(A("\10"))},
	{"m9.test", DNS_A, SLICE_INIT(A("\11"))},
	{"mx.test", DNS_A, SLICE_INIT(A("\77"))}, /* nobody listens there */
	{"my.test", DNS_A, SLICE_INIT(A("\76"))},
	{"mz.test", DNS_A, SLICE_INIT(A("\75"))},
	{"me.test", DNS_A, SLICE_INIT(A("\1"))},
	{"next.test", DNS_MX, SLICE_INIT(MX("\12", "\2mx"))},
	{"next.test", DNS_MX, SLICE_INIT(MX("\24", "\2m2"))},
	{"next.test", DNS_MX, SLICE_INIT(MX("\36", "\2m1"))},
	{"two.test", DNS_A, SLICE_INIT(A("\2"))}, /* its banner is no, the second address is good */
	{"two.test", DNS_A, SLICE_INIT(A("\1"))},
	{"busy.test", DNS_MX, SLICE_INIT(MX("\12", "\2m2"))},
	{"soft.test", DNS_MX, SLICE_INIT(MX("\12", "\2m3"))},
	{"softhard.test", DNS_MX, SLICE_INIT(MX("\12", "\2m3"))},
	{"softhard.test", DNS_MX, SLICE_INIT(MX("\24", "\2m2"))},
	{"null.test", DNS_MX, SLICE_INIT("\0\0\0")},
	{"loop.test", DNS_MX, SLICE_INIT(MX("\12", "\2me"))},
	{"self.test", DNS_MX, SLICE_INIT(MX("\12", "\2m4"))},
	{"noaddr.test", DNS_MX, SLICE_INIT(MX("\12", "\4none"))},
	{"bare.test", DNS_TXT, SLICE_INIT("\1x")},
	{"plain.test", DNS_A, SLICE_INIT(A("\5"))}, /* implicit; offers nothing */
	{"dead.test", DNS_MX, SLICE_INIT(MX("\12", "\2mx"))},
	{"dead2.test", DNS_MX, SLICE_INIT(MX("\12", "\2my"))},
	{"dead3.test", DNS_MX, SLICE_INIT(MX("\12", "\2mz"))},
	{"once.test", DNS_MX, SLICE_INIT(MX("\12", "\2m6"))},
	{"cut.test", DNS_MX, SLICE_INIT(MX("\12", "\2m7"))},
	{"slow.test", DNS_MX, SLICE_INIT(MX("\12", "\2m8"))},
	{"xn--bcher-kva.test", DNS_A, SLICE_INIT(A("\5"))},
	{"relay.test", DNS_A, SLICE_INIT(A("\11"))},
	{"tls.test", DNS_A, SLICE_INIT(A("\12"))},
	{"wrong.test", DNS_A, SLICE_INIT(A("\12"))}, /* its certificate is for tls.test */
	{"tlsbroken.test", DNS_A, SLICE_INIT(A("\13"))},
	{"unproved.test", DNS_A, SLICE_INIT(A("\12"))}, /* without DNSSEC */
	{"by.test", DNS_MX, SLICE_INIT(MX("\12", "\2m1"))},
	{"by.test", DNS_MX, SLICE_INIT(MX("\24", "\2mb"))}, /* the only one with DELIVERBY */
	{"bydown.test", DNS_MX, SLICE_INIT(MX("\12", "\2m3"))},
	{"bydown.test", DNS_MX, SLICE_INIT(MX("\24", "\2m1"))},
	{"mb.test", DNS_A, SLICE_INIT(A("\14"))},
};

static struct world_server servers_[] = {
	{.ip = "127.0.1.1"},
	{.ip = "127.0.1.2", .banner = "554 5.7.1 go away"},
	{.ip = "127.0.1.3", .banner = "421 4.3.2 too busy"},
	{.ip = "127.0.1.4", .banner = "220 Me.test ESMTP"},
	{.ip = "127.0.1.5", .ehlo = "SIZE;"},
	{.ip = "127.0.1.6", .hang_up_after = 1},
	{.ip = "127.0.1.7", .close_at_end = true},
	{.ip = "127.0.1.8", .slow_ms = 30},
	{.ip = "127.0.1.9", .login = true, .ehlo = "AUTH PLAIN LOGIN;"},
	{.ip = "127.0.1.10", .tls = true, .ehlo = "PIPELINING;REQUIRETLS;AUTH PLAIN;"},
	{.ip = "127.0.1.11", .tls_broken = true},
	{.ip = "127.0.1.12", .ehlo = "PIPELINING;DELIVERBY;"},
};

static struct world_server *server(struct world *w, unsigned n)
{
	return &w->servers[n - 1];
}

static struct transmit_result send_to(struct world *w, const char *recipient)
{
	struct transmit_job j = world_job(w, "a@sender.test", recipient);
	struct transmit_result r = {0};

	assert_int_equal(world_send(w, &j, S("Subject: x\r\n\r\nhello\r\n"), &r, NULL), 0);
	assert_int_equal(r.n, 1);
	return r;
}

static void play(void (*run)(struct world *))
{
	static struct world w;
	static struct world_server servers[COUNT_OF(servers_)];

	memcpy(servers, servers_, sizeof servers);
	w = (struct world){.servers = servers,
		.servers_n = COUNT_OF(servers),
		.zone = zone,
		.zone_n = COUNT_OF(zone),
		.run = run};
	world_run(&w);
}

/* What comes of one recipient at each domain. */
static void outcomes(struct world *w)
{
	static const struct {
		const char *to, *host;
		enum transmit_outcome outcome;
		enum transmit_reach reach;
		uint16_t code;
		uint8_t subject, detail;
		enum smtp_stage_out stage;
	} cases[] = {
		{"ann@good.test", "m1.test", TRANSMIT_SENT, TRANSMIT_TALKED, 250, 0, 0, SMTP_AT_END},
		{"bad@good.test", "m1.test", TRANSMIT_REFUSED, TRANSMIT_TALKED, 550, 1, 1, SMTP_AT_RCPT},
		{"later@good.test", "m1.test", TRANSMIT_RETRY, TRANSMIT_TALKED, 450, 2, 1, SMTP_AT_RCPT},
		{"gone@good.test", "m1.test", TRANSMIT_RETRY, TRANSMIT_TALKED, 421, 3, 2, SMTP_AT_RCPT},
		{"ann@next.test", "m1.test", TRANSMIT_SENT, TRANSMIT_TALKED, 250, 0, 0, SMTP_AT_END},
		{"ann@two.test", "two.test", TRANSMIT_SENT, TRANSMIT_TALKED, 250, 0, 0, SMTP_AT_END},
		{"ann@busy.test", "m2.test", TRANSMIT_REFUSED, TRANSMIT_TALKED, 554, 7, 1, SMTP_AT_BANNER},
		{"ann@soft.test", "m3.test", TRANSMIT_RETRY, TRANSMIT_TALKED, 421, 3, 2, SMTP_AT_BANNER},
		{"ann@softhard.test", "m2.test", TRANSMIT_RETRY, TRANSMIT_TALKED, 421, 3, 2, SMTP_AT_BANNER},
		{"ann@null.test", "", TRANSMIT_REFUSED, TRANSMIT_NO_TRY, 556, 1, 10, SMTP_AT_CONNECT},
		{"ann@loop.test", "", TRANSMIT_REFUSED, TRANSMIT_NO_TRY, 554, 4, 6, SMTP_AT_CONNECT},
		{"ann@self.test", "m4.test", TRANSMIT_REFUSED, TRANSMIT_TALKED, 554, 4, 6, SMTP_AT_BANNER},
		{"ann@noaddr.test", "", TRANSMIT_REFUSED, TRANSMIT_NO_TRY, 550, 4, 4, SMTP_AT_CONNECT},
		{"ann@bare.test", "", TRANSMIT_REFUSED, TRANSMIT_NO_TRY, 550, 1, 2, SMTP_AT_CONNECT},
		{"ann@nobody.test", "", TRANSMIT_REFUSED, TRANSMIT_NO_TRY, 550, 1, 2, SMTP_AT_CONNECT},
		{"ann@temp.test", "", TRANSMIT_RETRY, TRANSMIT_NO_TRY, 0, 0, 0, SMTP_AT_CONNECT},
		{"ann@dead.test", "mx.test", TRANSMIT_RETRY, TRANSMIT_UNREACHABLE, 0, 0, 0, SMTP_AT_CONNECT},
		{"ann@cut.test", "m7.test", TRANSMIT_UNKNOWN, TRANSMIT_TALKED, 0, 0, 0, SMTP_AT_END},
		{"ann@[127.0.1.1]", "127.0.1.1", TRANSMIT_SENT, TRANSMIT_TALKED, 250, 0, 0, SMTP_AT_END},
		{"ann@[127.0.1.99]", "127.0.1.99", TRANSMIT_RETRY, TRANSMIT_UNREACHABLE, 0, 0, 0,
			SMTP_AT_CONNECT},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct transmit_result r = send_to(w, cases[i].to);
		const struct transmit_outcome_row *row = &r.rows[0];

		if (row->outcome != cases[i].outcome || r.reach != cases[i].reach ||
			row->code != cases[i].code || row->stage != cases[i].stage)
			print_error("%s: outcome %u reach %u code %u stage %u: %.*s\n", cases[i].to,
				row->outcome, r.reach, row->code, row->stage, (int)row->text.n, row->text.p);
		assert_int_equal(row->outcome, cases[i].outcome);
		assert_int_equal(r.reach, cases[i].reach);
		assert_int_equal(row->code, cases[i].code);
		assert_int_equal(row->stage, cases[i].stage);
		assert_int_equal(row->status[1], cases[i].subject);
		assert_int_equal(row->status[2], cases[i].detail);
		assert_true(slice_eq(r.host, slice_of(cases[i].host)));
		assert_true(row->outcome == TRANSMIT_SENT || row->text.n > 0);
		assert_false(r.relayed);
	}
	assert_string_equal(server(w, 1)->last, "Subject: x\n\nhello\n");
}

static void test_outcomes(void **state)
{
	(void)state;
	play(outcomes);
}

/* Recipients of one message, each with its own answer, in the job's order. */
static void several(struct world *w)
{
	static struct transmit_recipient four[] = {{SLICE_INIT("ann@good.test"), {0, 0}, 0},
		{SLICE_INIT("bad@good.test"), {0, 0}, 0}, {SLICE_INIT("\303\244@good.test"), {0, 0}, 0},
		{SLICE_INIT("later@good.test"), SLICE_INIT("rfc822;x@y"), NOTIFY_SUCCESS}};
	static const enum transmit_outcome want[] = {
		TRANSMIT_SENT, TRANSMIT_REFUSED, TRANSMIT_REFUSED, TRANSMIT_RETRY};
	struct transmit_job j = world_job(w, "a@sender.test", "ann@good.test");
	struct transmit_result r;

	j.recipients = four;
	j.n = COUNT_OF(four);
	j.head = S("Delivered-To: list@me.test\r\n");
	j.envelope_id = S("id7");
	j.ret = RET_HDRS;
	assert_int_equal(world_send(w, &j, S("Subject: x\r\n\r\nhello"), &r, NULL), 0);
	assert_int_equal(r.n, 4);
	for (size_t i = 0; i < r.n; i++)
		assert_int_equal(r.rows[i].outcome, want[i]);
	assert_int_equal(r.rows[2].code, 550);
	assert_int_equal(r.rows[2].status[1], 6);
	assert_int_equal(r.rows[2].status[2], 7);
	assert_true(r.rows[0].dsn_passed);
	assert_false(r.rows[3].dsn_passed);
	assert_string_equal(server(w, 1)->last, "Delivered-To: list@me.test\nSubject: x\n\nhello\n");
	assert_non_null(strstr(server(w, 1)->envelope, "ENVID=id7"));
	assert_non_null(strstr(server(w, 1)->envelope, "NOTIFY=SUCCESS"));
	assert_int_equal(server(w, 1)->messages, 1);
}

static void test_several(void **state)
{
	(void)state;
	play(several);
}

/* One connection for one message after the other; one that was closed meanwhile is replaced without a word.
 */
static void reuse(struct world *w)
{
	for (int i = 0; i < 5; i++)
		assert_int_equal(send_to(w, "ann@good.test").rows[0].outcome, TRANSMIT_SENT);
	assert_int_equal(server(w, 1)->connections, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(send_to(w, "ann@once.test").rows[0].outcome, TRANSMIT_SENT);
		fiber_sleep(i * 5);
	}
	assert_int_equal(server(w, 6)->connections, 3);
	assert_int_equal(server(w, 6)->messages, 3);
	/* another way of talking is another connection, and so is another name */
	struct transmit_job j = world_job(w, "a@sender.test", "ann@other.test");
	struct transmit_result r;
	j.route = (struct transmit_route){.id = 3, .host = S("m1.test"), .port = w->port};
	assert_int_equal(world_send(w, &j, S("x\r\n"), &r, NULL), 0);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
	assert_true(r.relayed);
	assert_int_equal(server(w, 1)->connections, 2);
	for (int i = 0; i < LIMIT_HOST_MESSAGES; i++)
		assert_int_equal(send_to(w, "ann@good.test").rows[0].outcome, TRANSMIT_SENT);
	assert_int_equal(server(w, 1)->connections, 3);
}

static void test_reuse(void **state)
{
	(void)state;
	play(reuse);
}

struct crowd {
	struct world *w;
	const char *to;
	unsigned sent, left;
	struct fiber *starter;
};

static void one_of_crowd(void *arg)
{
	struct crowd *c = arg;

	c->sent += send_to(c->w, c->to).rows[0].outcome == TRANSMIT_SENT;
	if (--c->left == 0)
		fiber_wake(c->starter);
}

static void limit(struct world *w)
{
	struct crowd c = {w, "ann@slow.test", 0, 30, fiber_self()};

	w->role.settings->queue_host_concurrency = 3;
	for (int i = 0; i < 30; i++)
		assert_non_null(fiber_start("crowd", one_of_crowd, &c));
	while (c.left > 0)
		fiber_park(FOREVER);
	assert_int_equal(c.sent, 30);
	assert_int_equal(server(w, 8)->most, 3);
	assert_int_equal(server(w, 8)->connections, 3); /* handed on, one to the next */
	assert_int_equal(server(w, 8)->messages, 30);
}

static void test_limit(void **state)
{
	(void)state;
	play(limit);
}

/* A server without any extension gets 7 bits, and addresses it can read. */
static void plain(struct world *w)
{
	struct transmit_job j = world_job(w, "a@b\303\274cher.test", "ann@b\303\274cher.test");
	struct transmit_result r;

	j.domain = S("xn--bcher-kva.test");
	assert_int_equal(world_send(w, &j,
				 S("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
				   "Content-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n\r\nthe letter "
				   "\303\244 is one of many\r\n"),
				 &r, NULL),
		0);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
	assert_false(r.rows[0].dsn_passed);
	assert_non_null(strstr(server(w, 5)->envelope, "<a@xn--bcher-kva.test>"));
	assert_non_null(strstr(server(w, 5)->envelope, "<ann@xn--bcher-kva.test>"));
	assert_null(strstr(server(w, 5)->envelope, "BODY"));
	assert_non_null(strstr(server(w, 5)->last, "=C3=A4"));
	/* where it is offered nothing is changed */
	j = world_job(w, "a@b.test", "ann@good.test");
	assert_int_equal(world_send(w, &j, S("Subject: x\r\n\r\n\303\244\r\n"), &r, NULL), 0);
	assert_non_null(strstr(server(w, 1)->last, "\303\244"));
	assert_non_null(strstr(server(w, 1)->envelope, "BODY=8BITMIME"));
	/* a sender that has no other form */
	j = world_job(w, "\303\244@b.test", "ann@plain.test");
	assert_int_equal(world_send(w, &j, S("x\r\n"), &r, NULL), 0);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_REFUSED);
	assert_int_equal(r.rows[0].status[2], 7);
	/* REQUIRETLS to one that has no TLS */
	j = world_job(w, "a@b.test", "ann@plain.test");
	j.flags = QUEUE_TLS_ONLY;
	assert_int_equal(world_send(w, &j, S("x\r\n"), &r, NULL), 0);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_REFUSED);
	assert_int_equal(r.rows[0].code, 550);
	assert_int_equal(r.rows[0].status[2], 30);
}

/* BY=;R goes to nobody who does not know it; BY=;N to anybody. Twice: over a connection that lay idle too. */
static void deliver_by(struct world *w)
{
	static const struct {
		const char *to;
		char mode;
		enum transmit_outcome outcome;
		const char *host;
	} cases[] = {
		{"ann@by.test", 'R', TRANSMIT_SENT, "mb.test"},
		{"ann@by.test", 'N', TRANSMIT_SENT, "m1.test"},
		{"ann@by.test", 'R', TRANSMIT_SENT, "mb.test"},
		{"ann@good.test", 'R', TRANSMIT_REFUSED, "m1.test"},
		{"ann@bydown.test", 'R', TRANSMIT_RETRY, "m1.test"}, /* who is busy now may know it */
		{"ann@bydown.test", 'N', TRANSMIT_SENT, "m1.test"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct transmit_job j = world_job(w, "a@sender.test", cases[i].to);
		struct transmit_result r;

		j.has_by = true;
		j.by_seconds = 120;
		j.by_mode = cases[i].mode;
		assert_int_equal(world_send(w, &j, S("x\r\n"), &r, NULL), 0);
		assert_int_equal(r.rows[0].outcome, cases[i].outcome);
		assert_true(slice_eq(r.host, slice_of(cases[i].host)));
		assert_int_equal(r.rows[0].code == 550, cases[i].outcome == TRANSMIT_REFUSED);
	}
	assert_int_equal(server(w, 12)->messages, 2);
	assert_int_equal(server(w, 1)->messages, 2);
	assert_non_null(strstr(server(w, 12)->envelope, "BY=120;R"));
}

static void test_deliver_by(void **state)
{
	(void)state;
	play(deliver_by);
}

static void test_plain(void **state)
{
	(void)state;
	play(plain);
}

static struct transmit_result send_tls(
	struct world *w, const char *to, uint8_t flags, const struct transmit_route *route)
{
	struct transmit_job j = world_job(w, "a@b.test", to);
	struct transmit_result r;

	j.flags = flags;
	if (route)
		j.route = *route;
	assert_int_equal(world_send(w, &j, S("x\r\n"), &r, NULL), 0);
	return r;
}

static void tls(struct world *w)
{
	struct transmit_route to_wrong = {.id = 4,
				      .host = S("wrong.test"),
				      .port = w->port,
				      .tls = ROUTE_TLS_STARTTLS},
			      to_good = to_wrong;
	struct transmit_result r = send_tls(w, "ann@tls.test", 0, NULL);

	assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
	assert_true(slice_starts(r.tls, S("TLSv1.3")) && r.verified);
	r = send_tls(w, "ann@wrong.test", 0, NULL);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
	assert_true(slice_starts(r.tls, S("TLSv1.3")) && !r.verified);
	r = send_tls(w, "ann@tlsbroken.test", 0, NULL);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
	assert_int_equal(r.tls.n, 0);
	assert_int_equal(server(w, 11)->connections, 2);

	r = send_tls(w, "ann@tls.test", QUEUE_TLS_ONLY, NULL);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
	assert_true(r.verified);
	assert_non_null(strstr(server(w, 10)->envelope, "REQUIRETLS"));
	static const char *const cannot[] = {"ann@wrong.test", "ann@tlsbroken.test", "ann@good.test"};
	for (size_t i = 0; i < COUNT_OF(cannot); i++) {
		r = send_tls(w, cannot[i], QUEUE_TLS_ONLY, NULL);
		assert_int_equal(r.rows[0].outcome, TRANSMIT_REFUSED);
		assert_int_equal(r.rows[0].code, 550);
		assert_int_equal(r.rows[0].status[2], 30);
	}
	r = send_tls(w, "ann@unproved.test", QUEUE_TLS_ONLY, NULL);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_REFUSED);
	assert_int_equal(r.rows[0].status[2], 30);
	assert_int_equal(r.reach, TRANSMIT_NO_TRY);
	r = send_tls(w, "ann@unproved.test", 0, NULL);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
	/* a smart host must be who it says, unless its owner said otherwise */
	r = send_tls(w, "ann@x.test", 0, &to_wrong);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_RETRY);
	to_wrong.flags = ROUTE_UNVERIFIED;
	r = send_tls(w, "ann@x.test", 0, &to_wrong);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
	assert_false(r.verified);
	to_wrong = (struct transmit_route){
		.id = 5, .host = S("wrong.test"), .port = w->port, .tls = ROUTE_TLS_MAY, .user = S("user")};
	r = send_tls(w, "ann@x.test", 0, &to_wrong); /* no password for a stranger */
	assert_int_equal(r.rows[0].outcome, TRANSMIT_RETRY);
	to_good.host = S("tls.test");
	to_good.user = S("user");
	r = send_tls(w, "ann@x.test", 0, &to_good);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
	assert_true(r.verified);
}

static void test_tls(void **state)
{
	(void)state;
	play(tls);
}

/* A memory file, and a body that is not what was said. */
static void content(struct world *w)
{
	static char large[200000];
	struct transmit_job j = world_job(w, "a@b.test", "ann@good.test");
	struct transmit_result r;
	struct buf job = BUF_INIT(TRANSMIT_JOB_MAX);
	struct msg_transmit_reply reply;
	struct channel_answer hold;
	err e = {0};

	for (size_t i = 0; i < sizeof large; i++)
		large[i] = i % 50 == 48 ? '\r' : i % 50 == 49 ? '\n' : 'x';
	assert_int_equal(world_send(w, &j, slice_make(large, sizeof large), &r, NULL), 0);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
	assert_int_equal(server(w, 1)->last_n, sizeof large / 50 * 49);

	transmit_job_encode(&job, &j);
	AUTO_FD spool = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(spool >= 0);
	assert_int_equal(write(spool, large, sizeof large), sizeof large);
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", spool);
	AUTO_FD reader = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(reader >= 0);
	struct msg_transmit m = {
		.job = buf_slice(&job), .body_size = sizeof large, .place = 2, .body_file = reader};
	assert_int_equal(ask_transmit(w->backend, &m, &reply, &hold, loop_now() + 5000, &e), 0);
	channel_answer_free(&hold);
	assert_int_equal(server(w, 1)->messages, 2);
	const struct msg_transmit wrong[] = {
		{.job = m.job, .body_size = sizeof large, .place = 2, .body_file = spool},
		{.job = m.job, .body_size = sizeof large + 1, .place = 2, .body_file = reader},
		{.job = m.job, .body_size = sizeof large, .place = 1, .body_file = reader},
		{.job = m.job, .body_size = sizeof large, .place = 3, .body_file = reader},
		{.job = m.job, .body_size = sizeof large, .place = 2, .body_file = -1},
		{.job = m.job, .body_size = 3, .body = S("ab"), .body_file = -1},
		{.job = m.job, .body_size = 2, .body = S("ab"), .body_file = reader},
		{.job = S("x"), .body_size = 2, .body = S("ab"), .body_file = -1},
	};
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		assert_int_equal(
			ask_transmit(w->backend, &wrong[i], &reply, &hold, loop_now() + 5000, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
	}
	buf_free(&job);
}

static void test_content(void **state)
{
	(void)state;
	play(content);
}

static struct transmit_route relay(const struct world *w, uint8_t flags)
{
	return (struct transmit_route){.id = 7,
		.host = S("relay.test"),
		.port = w->port,
		.mechanism = ROUTE_MECH_PLAIN,
		.flags = (uint8_t)(flags | ROUTE_CLEAR_OK),
		.user = S("user")};
}

static void routes(struct world *w)
{
	struct transmit_job j = world_job(w, "a@b.test", "ann@good.test");
	struct transmit_result r;

	j.route = relay(w, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(world_send(w, &j, S("x\r\n"), &r, NULL), 0);
		assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
		assert_true(r.relayed);
		assert_true(slice_eq(r.host, S("relay.test")));
	}
	assert_int_equal(w->secrets, 1); /* the second went over the same connection */
	assert_int_equal(server(w, 9)->connections, 1);
	j.route.id = 9;
	assert_int_equal(world_send(w, &j, S("x\r\n"), &r, NULL), 0);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_RETRY); /* no secret */
	j.route = relay(w, 0);
	j.route.id = 8;
	j.route.user = S("somebody");
	assert_int_equal(world_send(w, &j, S("x\r\n"), &r, NULL), 0);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_RETRY); /* the owner can mend it */
	assert_int_equal(r.rows[0].code, 535);
	assert_int_equal(r.rows[0].stage, SMTP_AT_AUTH);
	j.route.source = S("127.0.0.44");
	j.route.user = S("user");
	assert_int_equal(world_send(w, &j, S("x\r\n"), &r, NULL), 0);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
	assert_int_equal(server(w, 1)->messages, 0);
}

static void test_routes(void **state)
{
	(void)state;
	play(routes);
}

static void send_fallback(struct world *w, const char *to, bool relayed)
{
	struct transmit_job j = world_job(w, "a@b.test", to);
	struct transmit_result r;

	j.route = relay(w, ROUTE_FALLBACK);
	assert_int_equal(world_send(w, &j, S("x\r\n"), &r, NULL), 0);
	assert_int_equal(r.rows[0].outcome, TRANSMIT_SENT);
	assert_int_equal(r.relayed, relayed);
}

/* The smart host takes what cannot be sent straight; after three dead domains in a row all of it. */
static void fallback(struct world *w)
{
	send_fallback(w, "ann@good.test", false);
	send_fallback(w, "ann@dead.test", true);
	send_fallback(w, "ann@dead.test", true);
	send_fallback(w, "ann@dead.test", true); /* one dead domain says nothing of the others */
	send_fallback(w, "ann@good.test", false);
	send_fallback(w, "ann@dead.test", true);
	send_fallback(w, "ann@dead2.test", true);
	send_fallback(w, "ann@good.test", false);
	send_fallback(w, "ann@dead.test", true);
	send_fallback(w, "ann@dead2.test", true);
	send_fallback(w, "ann@dead3.test", true);
	send_fallback(w, "ann@good.test", true);
	/* a refusal is a refusal */
	struct transmit_job j = world_job(w, "a@b.test", "ann@null.test");
	struct transmit_result r;
	w->out.direct_closed_until = 0;
	j.route = relay(w, ROUTE_FALLBACK);
	assert_int_equal(world_send(w, &j, S("x\r\n"), &r, NULL), 0);
	assert_int_equal(r.rows[0].code, 556);
}

static void test_fallback(void **state)
{
	(void)state;
	play(fallback);
}

static struct msg_route_test_reply try_route(
	struct world *w, const struct transmit_job *j, struct channel_answer *hold)
{
	struct buf job = BUF_INIT(TRANSMIT_JOB_MAX);
	struct msg_route_test_reply reply = {0};

	transmit_job_encode(&job, j);
	assert_int_equal(ask_route_test(w->backend, &(struct msg_route_test){.job = buf_slice(&job)}, &reply,
				 hold, loop_now() + 10000, NULL),
		0);
	buf_free(&job);
	return reply;
}

static void route_test(struct world *w)
{
	struct transmit_job j = world_job(w, "", "ann@good.test");
	struct channel_answer hold;

	j.n = 0;
	struct msg_route_test_reply r = try_route(w, &j, &hold);
	assert_true(r.good);
	assert_true(slice_find(r.dialogue, S("S: 220 mail.test")) >= 0);
	assert_true(slice_find(r.dialogue, S("C: EHLO me.test\n")) >= 0);
	assert_true(slice_find(r.text, S("m1.test")) >= 0);
	channel_answer_free(&hold);
	j.route = relay(w, 0);
	r = try_route(w, &j, &hold);
	assert_true(r.good);
	assert_true(slice_find(r.dialogue, S("235")) >= 0);
	assert_true(slice_find(r.dialogue, S("AHVzZXIAc2VjcmV0")) < 0); /* the secret is not shown */
	channel_answer_free(&hold);
	j.route = (struct transmit_route){0};
	j.domain = S("next.test"); /* the second host says no, the third is good */
	r = try_route(w, &j, &hold);
	assert_true(r.good);
	assert_true(slice_find(r.dialogue, S("554 5.7.1 go away")) >= 0);
	channel_answer_free(&hold);
	j.domain = S("null.test");
	r = try_route(w, &j, &hold);
	assert_false(r.good);
	assert_true(slice_starts(r.text, S("556 ")));
	channel_answer_free(&hold);
	assert_int_equal(server(w, 1)->messages, 0);
}

static void test_route_test(void **state)
{
	(void)state;
	play(route_test);
}

static void lose(void *arg)
{
	struct crowd *c = arg;
	struct transmit_job j = world_job(c->w, "a@b.test", c->to);
	struct transmit_result r;
	err e;

	assert_int_equal(world_send(c->w, &j, S("x\r\n"), &r, &e), -1);
	assert_int_equal(e.kind, ERR_CLOSED);
	c->left--;
}

/* The backend ends while messages are under way: nothing stays behind. */
static void backend_ends(struct world *w)
{
	struct crowd c = {w, "ann@slow.test", 0, 10, fiber_self()};

	server(w, 8)->slow_ms = 500;
	w->role.settings->queue_host_concurrency = 2; /* others wait in line */
	for (int i = 0; i < 10; i++)
		assert_non_null(fiber_start("crowd", lose, &c));
	fiber_sleep(50);
	assert_int_equal(w->out.works_n, 10);
	channel_close(w->backend, "dies");
	w->backend = NULL;
	fiber_sleep(50);
	assert_int_equal(c.left, 0);
	assert_int_equal(w->out.works_n, 0);
}

static void test_backend_ends(void **state)
{
	(void)state;
	play(backend_ends);
}

struct draining {
	struct world *w;
	struct transmit_result amid, waiting;
	unsigned left;
};

static void send_amid(void *arg)
{
	struct draining *d = arg;

	d->amid = send_to(d->w, "ann@slow.test");
	d->left--;
}

static void send_waiting(void *arg)
{
	struct draining *d = arg;

	d->waiting = send_to(d->w, "ann@slow.test");
	d->left--;
}

static void drain(struct world *w)
{
	struct draining d = {.w = w, .left = 2};

	server(w, 8)->slow_ms = 200;
	w->role.settings->queue_host_concurrency = 1;
	assert_non_null(fiber_start("amid", send_amid, &d));
	fiber_sleep(50);
	assert_non_null(fiber_start("waiting", send_waiting, &d));
	fiber_sleep(20);
	w->role.draining = true;
	out_pool_drain(w->out.pool);
	out_work_cancel(&w->out, false);
	fiber_sleep(20);
	assert_int_equal(d.left, 1);
	assert_int_equal(d.waiting.reach, TRANSMIT_BUSY);
	assert_int_equal(d.waiting.rows[0].outcome, TRANSMIT_RETRY);
	fiber_sleep(300);
	assert_int_equal(d.left, 0);
	assert_int_equal(d.amid.rows[0].outcome, TRANSMIT_SENT);
	assert_int_equal(send_to(w, "ann@good.test").reach, TRANSMIT_BUSY);
}

static void test_drain(void **state)
{
	(void)state;
	play(drain);
}

/* In line for a server at its limit, and not for ever. */
static void line(struct world *w)
{
	struct out_pool *p = w->out.pool;
	struct out_kind kind = {.tls = SMTP_TLS_NONE};
	struct out_server *s, *t;
	struct out_conn *c;
	uint64_t at = loop_now();

	assert_int_equal(out_pool_take(p, S("x"), 25, &kind, 1, FOREVER, &s, &c), OUT_PLACE);
	assert_int_equal(out_pool_take(p, S("x"), 25, &kind, 1, loop_now() + 30, &t, &c), OUT_BUSY);
	assert_true(loop_now() >= at + 30);
	assert_int_equal(out_pool_take(p, S("x"), 26, &kind, 1, FOREVER, &t, &c), OUT_PLACE);
	out_pool_leave(p, t);
	out_server_down(s, loop_now() + 50);
	out_pool_leave(p, s);
	assert_true(out_pool_is_down(p, S("x"), 25));
	assert_false(out_pool_is_down(p, S("x"), 26));
	assert_true(out_pool_sweep(p));
	fiber_sleep(60);
	assert_false(out_pool_is_down(p, S("x"), 25));
	assert_false(out_pool_sweep(p)); /* all forgotten */
}

static void test_line(void **state)
{
	(void)state;
	play(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_deliver_by),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_fallback),
		cmocka_unit_test(test_route_test),
		cmocka_unit_test(test_backend_ends),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The SMTP client against scripted servers: a table of dialogues, each played whole and byte by byte, with
 * what must become of the connection and of each recipient; then every dialogue cut off after every step.
 */
#include "auth/key.h"
#include "base/clock.h"
#include "base/encode.h"
#include "io/loop.h"
#include "io/tls.h"
#include "limits.h"
#include "scripted_server.h"
#include "smtp/client.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* What a case needs beyond one recipient and the content "hello\r\n". */
enum {
	LMTP = 1,
	WHOLE = 2,    /* not byte by byte: the order in which bytes come matters */
	TWICE = 4,    /* the message is sent again over the same connection, if that is usable */
	BINARY = 8,   /* BODY=BINARYMIME */
	EIGHT = 16,   /* BODY=8BITMIME */
	UTF8 = 32,    /* needs SMTPUTF8 */
	REQUIRE = 64, /* REQUIRETLS */
	EXTRAS = 128, /* ENVID, RET, NOTIFY, ORCPT, BY, MT-PRIORITY */
	SHORT = 256,  /* time-outs of 100 ms */
	BIG = 512,    /* 3 MB of content */
	MAY = 1024,   /* TLS */
	MUST = 2048,
	IMPLICIT = 4096,
	TRUST = 8192,  /* the context demands a good certificate */
	LOGIN = 16384, /* user and secret; in the clear on loopback */
	ODD = 32768,   /* the second recipient is no address, the third is not ASCII */
};

struct test {
	const char *name, *script;
	/*
	 * How it was opened and by what reply, then each recipient's reply and whether the connection is
	 * usable, for each message. A reply is its code, a letter for its stage (c b h s a m r d e) and a `?`
	 * when the outcome is unknown.
	 */
	const char *expect;
	unsigned flags;
	unsigned rcpts; /* 0: 1 */
	const char *content;
	enum smtp_client_mechanism mechanism;
	const char *text; /* stands in the last reply's text */
};

static const struct test tests[] = {
#include "client_cases.inc"
};

/* ---- one run ---- */

struct world {
	struct pair_key {
		struct key *key;
		struct buf cert;
	} key;
	struct tls_context *server, *any, *trusting;
};

struct run {
	const struct test *test;
	const struct world *world;
	struct scripted server;
	struct stream *server_io, *io;
	struct smtp_client_config config;
	struct buf said; /* the dialogue */
	char result[512], text[SMTP_REPLY_TEXT];
	bool certain; /* it was called certain that a message is not there, though the server has read it */
};

static int sign(void *arg, uint32_t key_id, uint16_t scheme, slice tbs, struct buf *ret_signature)
{
	struct world *w = arg;
	err e;

	(void)key_id;
	fiber_yield();
	return key_tls_sign(w->key.key, scheme, tbs, ret_signature, &e);
}

static void note(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct run *r, const char *fmt, ...)
{
	size_t n = strlen(r->result);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->result + n, sizeof r->result - n, fmt, ap);
	va_end(ap);
}

static void note_reply(struct run *r, const struct smtp_reply *reply)
{
	/* Once the server has it all, a reply that does not come must not be taken for a refusal. */
	if (reply->code == 0 && r->server.content_read && !reply->unknown)
		r->certain = true;
	note(r, " %u%c%s", reply->code, "cbhsamrde"[reply->stage], reply -> unknown ? "?" : "");
	snprintf(r->text, sizeof r->text, "%s", reply->text);
	assert_true(reply->code == 0 || (reply->code >= 200 && reply->code < 600));
	assert_true(reply->text[0] || reply->code);
	assert_true(!reply->unknown || (reply->code == 0 && reply->stage == SMTP_AT_END));
	assert_true(utf8_valid(slice_of(reply->text)));
	for (const char *p = reply->text; *p; p++)
		assert_true((unsigned char)*p >= ' ' && *p != 0x7f);
}

static void on_dialogue(void *arg, bool out, slice line)
{
	struct run *r = arg;

	buf_addf(&r->said, "%c: %.*s\n", out ? 'C' : 'S', (int)(line.n < 300 ? line.n : 300), line.p);
}

static slice big_content(void)
{
	static char text[3000000];

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : (char)('a' + i % 23);
	return slice_make(text, sizeof text);
}

static void send_one(struct run *r, struct smtp_client *c)
{
	static const char *const addresses[] = {
		"r1@y.example", "r2@y.example", "r3@y.example", "r4@y.example"};
	unsigned f = r->test->flags;
	struct smtp_client_rcpt rcpts[4] = {0};
	struct smtp_client_message m = {.sender = S("s@x.example"),
		.rcpts = rcpts,
		.n = r->test->rcpts ? r->test->rcpts : 1,
		.content = slice_of(r->test->content ? r->test->content : "hello\r\n")};
	int rc;

	if (f & BIG)
		m.content = big_content();
	m.size = m.content.n;
	m.body = f & BINARY ? SMTP_BODY_BINARYMIME : f & EIGHT ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT;
	m.smtputf8 = f & UTF8;
	m.require_tls = f & REQUIRE;
	for (size_t i = 0; i < m.n; i++)
		rcpts[i].address = slice_of(addresses[i]);
	if (f & ODD) {
		rcpts[1].address = S("x> NOTIFY=NEVER\r\nRSET");
		rcpts[2].address = S("\xC3\xA4@y.example");
	}
	if (f & EXTRAS) {
		m.envelope_id = S("id+1=x");
		m.ret = SMTP_RET_HDRS;
		m.has_by = m.by_trace = true;
		m.by_seconds = 120;
		m.by_mode = 'R';
		m.priority = -3;
		m.head = S("Delivered-To: x\r\n");
		rcpts[0].notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY;
		rcpts[0].original = S("rfc822;a+b@z.example");
	}
	rc = smtp_client_send(c, &m);
	for (size_t i = 0; i < m.n; i++)
		note_reply(r, &rcpts[i].reply);
	note(r, smtp_client_usable(c) ? " usable" : " not");
	assert_int_equal(rc, smtp_client_usable(c) ? 0 : rc);
	if (rc < 0)
		assert_false(smtp_client_usable(c));
}

static void client(void *arg)
{
	static const char *const opens[] = {"ok", "refused", "tls", "auth", "broken"};
	struct run *r = arg;
	struct smtp_reply reply;
	struct smtp_client *c;
	enum smtp_open opened = smtp_client_open(r->io, &r->config, &c, &reply);

	note(r, "%s", opens[opened]);
	assert_true((opened == SMTP_OPEN_OK) == (c != NULL));
	if (opened != SMTP_OPEN_OK) {
		note_reply(r, &reply);
		return;
	}
	send_one(r, c);
	if (r->test->flags & TWICE && smtp_client_usable(c)) {
		note(r, " |");
		send_one(r, c);
	}
	smtp_client_quit(c);
}

static void server(void *arg)
{
	struct run *r = arg;

	scripted_serve(&r->server, r->server_io);
}

static void configure(struct run *r)
{
	unsigned f = r->test->flags;

	r->config = (struct smtp_client_config){.host = S("client.example.test"),
		.peer = S("mx.example.test"),
		.lmtp = f & LMTP,
		.tls = f & MAY        ? SMTP_TLS_MAY
		       : f & MUST     ? SMTP_TLS_MUST
		       : f & IMPLICIT ? SMTP_TLS_IMPLICIT
				      : SMTP_TLS_NONE,
		.tls_context = f & TRUST ? r->world->trusting : r->world->any,
		.mechanism = r->test->mechanism,
		.clear_ok = true,
		.dialogue = on_dialogue,
		.arg = r};
	if (f & LOGIN) {
		r->config.user = S("user");
		r->config.secret = S("pencil");
	}
	if (f & SHORT)
		r->config.banner_ms = r->config.command_ms = r->config.data_ms = r->config.block_ms =
			r->config.end_ms = 100;
	r->server.script = r->test->script;
	r->server.tls = r->world->server;
}

static void play(struct run *r)
{
	struct loop *l = loop_new("test");
	int fd[2];

	configure(r);
	r->said = BUF_INIT(1 << 24);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	r->server_io = stream_new(fd[0]);
	r->io = stream_new(fd[1]);
	stream_timeout(r->server_io, 20000);
	assert_non_null(fiber_start("server", server, r));
	assert_non_null(fiber_start("client", client, r));
	loop_run(l);
	loop_free(l);
}

static bool good(struct run *r)
{
	const struct test *t = r->test;
	bool ok = !strcmp(r->result, t->expect) && !r->server.failed[0] &&
		  (!t->text || strstr(r->text, t->text));

	/* A connection that works is not just dropped. */
	bool works = !strncmp(t->expect, "refused", 7) || slice_ends(slice_of(t->expect), S("usable"));
	ok = ok && (!works || r->server.quit || strstr(t->script, "QUIT"));
	if (!ok)
		fprintf(stderr, "%s%s:\n  got  %s\n  want %s\n  text %s (want %s)\n  server %s\n%.*s",
			t->name, r->server.bytes ? " (byte by byte)" : "", r->result, t->expect, r->text,
			t->text ? t->text : "-", r->server.failed, (int)r->said.n,
			r->said.n ? r->said.p : "");
	/* Secrets never show. */
	if (slice_find(buf_slice(&r->said), S("pencil")) >= 0 ||
		slice_find(buf_slice(&r->said), S("cGVuY2ls")) >= 0)
		ok = false;
	buf_free(&r->said);
	return ok;
}

static void test_table(void **state)
{
	unsigned bad = 0;

	for (size_t i = 0; i < COUNT_OF(tests); i++)
		for (int bytes = 0; bytes < (tests[i].flags & WHOLE ? 1 : 2); bytes++) {
			struct run r = {.test = &tests[i], .world = *state, .server.bytes = bytes};

			play(&r);
			bad += !good(&r);
		}
	printf("%zu cases\n", COUNT_OF(tests));
	assert_int_equal(bad, 0);
}

static bool has(const char *script, const char *step)
{
	size_t n = strlen(step);

	for (const char *p = script; p; p = strchr(p, '\n'), p = p ? p + 1 : p)
		if (!strncmp(p, step, n))
			return true;
	return false;
}

/* Every dialogue is cut off after every step, and in the middle of what the step says. */
static void test_cut(void **state)
{
	unsigned played = 0;

	for (size_t i = 0; i < COUNT_OF(tests); i++) {
		struct test t = tests[i];
		unsigned steps = scripted_steps(t.script);

		if (t.flags & (SHORT | BIG) || has(t.script, "P:") || has(t.script, "S*60000"))
			continue;
		t.flags &= ~(unsigned)TWICE;
		for (unsigned k = 1; k <= steps; k++)
			for (size_t cut = 0; cut < 8; cut += 2) {
				struct run r = {
					.test = &t, .world = *state, .server = {.steps = k, .cut = cut}};

				play(&r);
				buf_free(&r.said);
				if (r.certain || !r.result[0])
					fail_msg("%s, step %u, cut %zu: %s", t.name, k, cut, r.result);
				played++;
			}
	}
	printf("%u dialogues\n", played);
	assert_true(played > 1000);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	slice names[] = {S("mx.example.test")};
	struct buf key = BUF_INIT(4096);
	err e;

	if (!w || tls_library_init(&e) < 0)
		return -1;
	w->key.cert = BUF_INIT(8192);
	if (key_selfsigned_make(names, 1, clock_wall_s(), &key, &w->key.cert, &e) < 0)
		return -1;
	w->key.key = key_load(buf_slice(&key), &e);
	buf_free(&key);
	w->server = tls_server_context_new(buf_slice(&w->key.cert), 0, sign, w, &e);
	w->any = tls_client_context_new(TLS_CHECK_REPORT, S(""), &e);
	w->trusting = tls_client_context_new(TLS_CHECK_DEMAND, buf_slice(&w->key.cert), &e);
	*state = w;
	return w->key.key && w->server && w->any && w->trusting ? 0 : -1;
}

static int teardown(void **state)
{
	struct world *w = *state;

	tls_context_free(w->server);
	tls_context_free(w->any);
	tls_context_free(w->trusting);
	key_free(w->key.key);
	buf_free(&w->key.cert);
	free(w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest all[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_cut)};

	alarm(120);
	return cmocka_run_group_tests(all, setup, teardown);
}

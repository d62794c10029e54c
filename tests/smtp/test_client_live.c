/*
 * The SMTP client against servers with a mind of their own: SCRAM with both proofs, a server that writes
 * before it reads, a cancelled wait, idle connections.
 */
#include "base/encode.h"
#include "io/loop.h"
#include "io/worker.h"
#include "smtp/client.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct ends {
	struct stream *server, *client;
	struct smtp_client_config config;
	struct fiber *client_fiber;
	void *arg;
};

static void run(struct ends *e, fiber_fn *server, fiber_fn *client)
{
	struct loop *l = loop_new("test");
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	e->server = stream_new(fd[0]);
	e->client = stream_new(fd[1]);
	stream_timeout(e->server, 20000);
	e->config.host = S("client.example.test");
	assert_non_null(fiber_start("server", server, e));
	e->client_fiber = fiber_start("client", client, e);
	assert_non_null(e->client_fiber);
	loop_run(l);
	loop_free(l);
}

static void say(const struct ends *e, const char *text)
{
	assert_true(stream_write(e->server, slice_of(text)) == 0 && stream_flush(e->server) == 0);
}

static slice hear(const struct ends *e)
{
	slice line;

	assert_true(stream_read_line(e->server, 16000, &line, NULL) >= 0);
	return line;
}

static void greet(const struct ends *e, const char *extensions)
{
	say(e, "220 mx\r\n");
	hear(e);
	say(e, "250-mx\r\n");
	say(e, extensions);
}

static struct smtp_client *opened(struct ends *e)
{
	struct smtp_client *c;
	struct smtp_reply reply;

	if (smtp_client_open(e->client, &e->config, &c, &reply) != SMTP_OPEN_OK)
		fail_msg("%s", reply.text);
	return c;
}

/* ---- SCRAM ---- */

enum { HONEST, LIES, GREEDY };

struct scram {
	int server;
	const char *secret; /* as the server knows it */
	enum smtp_open opened;
	char text[SMTP_REPLY_TEXT];
};

static void mac(const uint8_t *key, slice text, uint8_t ret[32])
{
	unsigned n = 32;

	HMAC(EVP_sha256(), key, 32, (const unsigned char *)text.p, text.n, ret, &n);
}

static void say_challenge(const struct ends *e, slice text)
{
	struct buf b = BUF_INIT(2000);

	base64_encode(&b, text);
	stream_printf(e->server, "334 %.*s\r\n", (int)b.n, b.p);
	stream_flush(e->server);
	buf_free(&b);
}

static slice decode(struct buf *b, slice line)
{
	assert_true(base64_decode(b, line));
	return buf_slice(b);
}

/* As RFC 5802 3 has it, apart from the client's code. False: a wrong proof. */
static bool check_proof(
	const struct scram *s, slice first_bare, slice server_first, slice final, uint8_t sign[32])
{
	uint8_t salted[32], client[32], stored[32], signature[32], server[32];
	struct buf auth = BUF_INIT(4000), proof = BUF_INIT(64);
	ptrdiff_t at = slice_find(final, S(",p="));

	assert_true(at > 0);
	decode(&proof, slice_skip(final, (size_t)at + 3));
	assert_int_equal(proof.n, 32);
	buf_addf(&auth, "%.*s,%.*s,%.*s", (int)first_bare.n, first_bare.p, (int)server_first.n,
		server_first.p, (int)at, final.p);
	PKCS5_PBKDF2_HMAC(s->secret, (int)strlen(s->secret), (const unsigned char *)"salt", 4, 4096,
		EVP_sha256(), 32, salted);
	mac(salted, S("Client Key"), client);
	SHA256(client, 32, stored);
	mac(stored, buf_slice(&auth), signature);
	for (int i = 0; i < 32; i++)
		client[i] = (uint8_t)(signature[i] ^ (uint8_t)proof.p[i]);
	mac(salted, S("Server Key"), server);
	mac(server, buf_slice(&auth), sign);
	SHA256(client, 32, signature);
	buf_free(&auth);
	buf_free(&proof);
	return !memcmp(signature, stored, 32);
}

static void scram_server(void *arg)
{
	struct ends *e = arg;
	struct scram *s = e->arg;
	struct buf first = BUF_INIT(2000), answer = BUF_INIT(2000), final = BUF_INIT(2000), v = BUF_INIT(100);
	slice line, bare;
	uint8_t sign[32];

	greet(e, "250 AUTH PLAIN SCRAM-SHA-256\r\n");
	line = hear(e);
	assert_true(slice_starts(line, S("AUTH SCRAM-SHA-256 ")));
	bare = slice_skip(decode(&first, slice_skip(line, 19)), 3);
	assert_true(slice_starts(bare, S("n=us=3Der,r=")));
	buf_addf(&answer, "r=%.*sSERVER,s=c2FsdA==,i=%s", (int)(bare.n - 12), bare.p + 12,
		s->server == GREEDY ? "100000000" : "4096");
	say_challenge(e, buf_slice(&answer));
	line = hear(e);
	if (s->server == GREEDY) {
		assert_true(slice_eq(line, S("*")));
		say(e, "501 ended\r\n");
	} else if (!check_proof(s, bare, buf_slice(&answer), decode(&final, line), sign)) {
		say(e, "535 5.7.8 wrong\r\n");
	} else {
		if (s->server == LIES)
			sign[31] ^= 1;
		buf_addz(&v, "v=");
		base64_encode(&v, slice_make(sign, 32));
		say_challenge(e, buf_slice(&v));
		line = hear(e);
		assert_true(slice_eq(line, s->server == LIES ? S("*") : S("")));
		say(e, s->server == LIES ? "501 ended\r\n" : "235 in\r\n");
	}
	line = hear(e);
	assert_true(slice_eq(line, S("QUIT")));
	stream_close(e->server);
	buf_free(&first);
	buf_free(&answer);
	buf_free(&final);
	buf_free(&v);
}

static void scram_client(void *arg)
{
	struct ends *e = arg;
	struct scram *s = e->arg;
	struct smtp_client *c;
	struct smtp_reply reply;

	s->opened = smtp_client_open(e->client, &e->config, &c, &reply);
	snprintf(s->text, sizeof s->text, "%s", reply.text);
	smtp_client_quit(c);
}

static void test_scram(void **state)
{
	static const struct {
		int server;
		const char *secret;
		enum smtp_open opened;
		const char *text;
	} cases[] = {{HONEST, "pencil", SMTP_OPEN_OK, "in"}, {HONEST, "pen", SMTP_OPEN_AUTH, "wrong"},
		{LIES, "pencil", SMTP_OPEN_AUTH, "the server did not prove that it knows the password"},
		{GREEDY, "pencil", SMTP_OPEN_AUTH, "the server asks for too many SCRAM rounds"}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct scram s = {.server = cases[i].server, .secret = cases[i].secret};
		struct ends e = {
			.config = {.user = S("us=er"), .secret = S("pencil"), .clear_ok = true}, .arg = &s};

		run(&e, scram_server, scram_client);
		assert_int_equal(s.opened, cases[i].opened);
		assert_string_equal(s.text, cases[i].text);
	}
}

static void refused_client(void *arg)
{
	struct ends *e = arg;
	struct smtp_client *c;
	struct smtp_reply reply;

	assert_int_equal(smtp_client_open(e->client, &e->config, &c, &reply), SMTP_OPEN_AUTH);
	assert_string_equal(reply.text, "the log-in would go out without TLS");
}

static void auth_server(void *arg)
{
	struct ends *e = arg;

	greet(e, "250 AUTH PLAIN\r\n");
	assert_true(slice_eq(hear(e), S("QUIT")));
	stream_close(e->server);
}

static void test_no_tls(void **state)
{
	struct ends e = {.config = {.user = S("user"), .secret = S("pencil")}};

	(void)state;
	run(&e, auth_server, refused_client);
}

/* ---- a long envelope ---- */

enum { MANY = 3000 };

/* Answers each command with a long reply and reads on only when that is gone. */
static void talkative_server(void *arg)
{
	struct ends *e = arg;
	int small = 4096, rcpts = 0;
	char filler[1001];

	memset(filler, 'x', sizeof filler - 1);
	filler[sizeof filler - 1] = 0;
	setsockopt(stream_fd(e->server), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	greet(e, "250-DSN\r\n250 PIPELINING\r\n");
	for (;;) {
		slice line = hear(e);

		if (slice_eq(line, S("DATA")))
			break;
		rcpts += slice_starts(line, S("RCPT"));
		stream_printf(e->server, "%s-%s\r\n", rcpts % 2 ? "550" : "250", filler);
		stream_printf(e->server, "%s %s\r\n", rcpts % 2 ? "550" : "250", filler);
		say(e, "");
	}
	assert_int_equal(rcpts, MANY);
	say(e, "354\r\n");
	while (!slice_eq(hear(e), S(".")))
		;
	say(e, "250 ok\r\n");
	hear(e);
	stream_close(e->server);
}

static void many_client(void *arg)
{
	struct ends *e = arg;
	struct smtp_client *c = opened(e);
	struct smtp_client_rcpt *rcpts = calloc(MANY, sizeof *rcpts);
	struct smtp_client_message m = {.sender = S(""), .content = S("x\r\n"), .rcpts = rcpts, .n = MANY};

	assert_non_null(rcpts);
	for (size_t i = 0; i < MANY; i++) {
		rcpts[i].address = S("somebody.with.a.long.name@a.domain.with.a.long.name.example");
		rcpts[i].notify = SMTP_NOTIFY_FAILURE;
		rcpts[i].original = S("rfc822;somebody.with.a.long.name@a.domain.with.a.long.name.example");
	}
	assert_int_equal(smtp_client_send(c, &m), 0);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(rcpts[i].reply.code, i % 2 ? 250 : 550);
		assert_int_equal(strlen(rcpts[i].reply.text), i % 2 ? 2 : SMTP_REPLY_TEXT - 1);
	}
	free(rcpts);
	smtp_client_quit(c);
}

/* ---- ends that are told ---- */

static void silent_server(void *arg)
{
	struct ends *e = arg;

	greet(e, "250 CHUNKING\r\n");
	for (int i = 0; i < 2; i++) {
		hear(e);
		say(e, "250 ok\r\n");
	}
	assert_true(slice_starts(hear(e), S("BDAT ")));
	assert_true(slice_eq(hear(e), S("x")));
	fiber_cancel(e->client_fiber);
	fiber_sleep(20);
	stream_free(e->server);
}

static void cancelled_client(void *arg)
{
	struct ends *e = arg;
	struct smtp_client *c = opened(e);
	struct smtp_client_rcpt r = {.address = S("a@b.example")};
	struct smtp_client_message m = {.content = S("x\r\n"), .rcpts = &r, .n = 1};

	assert_int_equal(smtp_client_send(c, &m), -1);
	assert_true(r.reply.code == 0 && r.reply.unknown && r.reply.stage == SMTP_AT_END);
	assert_string_equal(r.reply.text, "given up after the message was sent");
	assert_false(smtp_client_usable(c));
	smtp_client_quit(c);
}

static void test_cancel(void **state)
{
	struct ends e = {0};

	(void)state;
	run(&e, silent_server, cancelled_client);
}

static void idle_server(void *arg)
{
	struct ends *e = arg;

	greet(e, "250-SIZE 12345\r\n250 PIPELINING\r\n");
	assert_true(slice_eq(hear(e), S("RSET")));
	say(e, "250 ok\r\n");
	fiber_sleep(10);
	if (e->arg)
		say(e, e->arg);
	else
		stream_free(e->server);
	if (e->arg) {
		fiber_sleep(30);
		stream_free(e->server);
	}
}

static void idle_client(void *arg)
{
	struct ends *e = arg;
	struct smtp_client *c = opened(e);
	bool verified;

	assert_int_equal(smtp_client_extensions(c), SMTP_EXT_SIZE | SMTP_EXT_PIPELINING);
	assert_true(smtp_client_max_size(c) == 12345);
	assert_null(smtp_client_tls_info(c, &verified));
	assert_false(verified);
	assert_string_equal(smtp_client_tls_why(c), "there is no TLS");
	assert_true(smtp_client_usable(c));
	assert_int_equal(smtp_client_reset(c), 0);
	assert_int_equal(smtp_client_transactions(c), 0);
	assert_true(smtp_client_usable(c));
	fiber_sleep(20);
	assert_false(smtp_client_usable(c));
	assert_int_equal(smtp_client_reset(c), -1);
	smtp_client_quit(c);
}

static void test_idle(void **state)
{
	char late[] = "421 too late\r\n";
	struct ends closed = {0}, told = {.arg = late};

	(void)state;
	run(&closed, idle_server, idle_client);
	run(&told, idle_server, idle_client);
}

static void test_many(void **state)
{
	struct ends e = {0};

	(void)state;
	run(&e, talkative_server, many_client);
}

static int setup(void **state)
{
	struct loop *l = loop_new("workers");

	(void)state;
	worker_start(2);
	loop_free(l);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_scram), cmocka_unit_test(test_no_tls),
		cmocka_unit_test(test_many), cmocka_unit_test(test_cancel), cmocka_unit_test(test_idle)};

	alarm(60);
	return cmocka_run_group_tests(tests, setup, NULL);
}

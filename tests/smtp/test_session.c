/* What a talk cannot show: STARTTLS with real TLS and what changes with it; reply lines; a flood of content.
 */
#include "fake_server.h"
#include "io/loop.h"
#include "io/tls.h"
#include "limits.h"
#include "smtp/reply.h"
#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

struct ends {
	struct fake_world *world;
	struct stream *server, *client;
	struct tls_context *client_context;
	EVP_PKEY *key;
};

static int sign(void *arg, uint32_t key_id, uint16_t scheme, slice tbs, struct buf *ret_signature)
{
	struct ends *e = arg;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	unsigned char signature[128];
	size_t n = sizeof signature;

	assert_int_equal(key_id, 7);
	assert_int_equal(scheme, 0x0403); /* ecdsa_secp256r1_sha256 */
	fiber_yield();
	assert_int_equal(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, e->key), 1);
	assert_int_equal(EVP_DigestSign(c, signature, &n, (const unsigned char *)tbs.p, tbs.n), 1);
	buf_add(ret_signature, slice_make(signature, n));
	EVP_MD_CTX_free(c);
	return 0;
}

static struct tls_context *server_context(struct ends *e)
{
	X509 *x = X509_new();
	BIO *out = BIO_new(BIO_s_mem());
	char *pem;
	err why;

	e->key = EVP_EC_gen("P-256");
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_version(x, X509_VERSION_3);
	X509_set_pubkey(x, e->key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
		(const unsigned char *)"mx.example.test", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_true(X509_sign(x, e->key, EVP_sha256()) > 0);
	PEM_write_bio_X509(out, x);
	long n = BIO_get_mem_data(out, &pem);
	struct tls_context *ctx = tls_server_context_new(slice_make(pem, (size_t)n), 7, sign, e, &why);
	assert_non_null(ctx);
	BIO_free(out);
	X509_free(x);
	return ctx;
}

static void say(const struct ends *e, const char *text)
{
	assert_int_equal(stream_write(e->client, slice_of(text)), 0);
}

/* The last line of the next reply must match; `seen`, when given, must or must not stand in one of its lines.
 */
static void hear(const struct ends *e, const char *pattern, const char *seen, bool wanted)
{
	bool found = false;
	slice line;

	do {
		assert_true(stream_read_line(e->client, 1000, &line, NULL) >= 0);
		found |= seen && slice_find(line, slice_of(seen)) >= 0;
	} while (line.n > 3 && line.p[3] == '-');
	if (!talk_match(slice_of(pattern), line))
		fail_msg("%.*s is not %s", (int)line.n, line.p, pattern);
	if (seen)
		assert_int_equal(found, wanted);
}

static void serve(void *arg)
{
	struct ends *e = arg;

	fake_world_serve(e->world, e->server);
	stream_close(e->server);
}

static void run(struct ends *e, fiber_fn *server, fiber_fn *client)
{
	struct loop *l = loop_new("test");
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	e->server = stream_new(fd[0]);
	e->client = stream_new(fd[1]);
	assert_non_null(fiber_start("serve", server, e));
	assert_non_null(fiber_start("client", client, e));
	loop_run(l);
	loop_free(l);
}

static void tls_client(void *arg)
{
	struct ends *e = arg;
	const char *why;

	hear(e, "220 *", NULL, false);
	say(e, "EHLO client.example\r\n");
	hear(e, "250 HELP", "STARTTLS", true);
	say(e, "EHLO client.example\r\n");
	hear(e, "250 HELP", "REQUIRETLS", false);
	say(e, "AUTH PLAIN AGFsaWNlAHB3\r\n");
	hear(e, "538 5.7.11 *", NULL, false);
	say(e, "STARTTLS\r\n");
	hear(e, "220 2.0.0 *", NULL, false);
	if (stream_start_tls(e->client, e->client_context, false, &why) < 0)
		fail_msg("%s", why);
	say(e, "MAIL FROM:<alice@example.test>\r\n");
	hear(e, "503 5.5.1 *", NULL, false); /* no EHLO under TLS yet */
	say(e, "EHLO client.example\r\n");
	hear(e, "250 HELP", "STARTTLS", false);
	say(e, "EHLO client.example\r\n");
	hear(e, "250 HELP", "250-REQUIRETLS", true);
	say(e, "EHLO client.example\r\nSTARTTLS\r\n");
	hear(e, "250 HELP", "250-AUTH PLAIN LOGIN", true);
	hear(e, "503 5.5.1 *", NULL, false);
	say(e, "MAIL FROM:<alice@example.test>\r\nAUTH PLAIN AGFsaWNlAHB3\r\n");
	hear(e, "530 5.7.0 Log in first*", NULL, false);
	hear(e, "235 2.7.0 *", NULL, false);
	say(e, "MAIL FROM:<alice@example.test> REQUIRETLS\r\nRCPT TO:<bob@b.example>\r\nDATA\r\n");
	hear(e, "250 2.1.0 *", NULL, false);
	hear(e, "250 2.1.5 *", NULL, false);
	hear(e, "354 *", NULL, false);
	say(e, "hello\r\n.\r\nQUIT\r\n");
	hear(e, "250 2.0.0 *", NULL, false);
	hear(e, "221 2.0.0 *", NULL, false);
	stream_close(e->client);
}

static void test_starttls(void **state)
{
	struct ends e = {.world = fake_world_new()};
	struct fake_world *w = e.world;
	err why;

	(void)state;
	assert_int_equal(tls_library_init(&why), 0);
	w->config = smtp_config_default(SMTP_SUBMISSION, w->config.host);
	snprintf(w->user, sizeof w->user, "alice");
	snprintf(w->secret, sizeof w->secret, "pw");
	struct tls_context *server = w->tls_context = server_context(&e);
	e.client_context = tls_client_context_new(TLS_CHECK_NONE, (slice){0}, &why);
	assert_non_null(e.client_context);
	run(&e, serve, tls_client);
	assert_int_equal(w->messages, 1);
	assert_int_equal(w->end, SMTP_END_QUIT);
	assert_true(talk_match(S("*with ESMTPSA (TLSv1.3 *"), buf_slice(&w->received)));
	assert_true(talk_match(S("*tls-only*"), buf_slice(&w->envelope)));
	fake_world_free(w);
	tls_context_free(server);
	tls_context_free(e.client_context);
	EVP_PKEY_free(e.key);
}

enum { FLOOD_LINES = 400000 };

/* 30 MB under a limit of 1,000 octets: nothing of it is kept, and the session goes on afterwards. */
static void flood_client(void *arg)
{
	struct ends *e = arg;

	hear(e, "220 *", NULL, false);
	say(e, "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@b.example>\r\nDATA\r\n");
	hear(e, "250 HELP", NULL, false);
	hear(e, "250 *", NULL, false);
	hear(e, "250 *", NULL, false);
	hear(e, "354 *", NULL, false);
	for (int i = 0; i < FLOOD_LINES; i++)
		say(e, "..ne of many lines that nobody keeps, as long as a line of mail usually is\r\n");
	say(e, ".\r\nNOOP\r\nQUIT\r\n");
	hear(e, "552 5.3.4 *", NULL, false);
	hear(e, "250 2.0.0 *", NULL, false);
	hear(e, "221 *", NULL, false);
	stream_close(e->client);
}

static void test_flood(void **state)
{
	struct ends e = {.world = fake_world_new()};

	(void)state;
	e.world->config.max_message = 1000;
	run(&e, serve, flood_client);
	assert_true(e.world->message.n <= 1000 && e.world->message.cap <= 4096);
	assert_int_equal(e.world->aborts, 1);
	fake_world_free(e.world);
}

/* Replies over 512 octets are broken at blanks; strangers' bytes cannot end a line or start a new one. */
static void reply_server(void *arg)
{
	struct ends *e = arg;
	struct smtp_session *s = &e->world->session;
	char text[900];

	s->config = &e->world->config;
	s->io = e->server;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	smtp_reply(s, 250, "2.0.0", "%s", text);
	memset(text, ' ', sizeof text - 1);
	for (size_t i = 0; i < sizeof text - 1; i += 2)
		text[i] = 'y';
	smtp_reply(s, 550, "5.0.0", "%s", text);
	smtp_reply(s, 250, NULL, "a\r\x01\x7f\xc3\xa9z\nb");
	s->envelope.smtputf8 = true;
	smtp_reply(s, 250, NULL, "\xc3\xa9");
	smtp_reply(s, 250, NULL, "\xff");
	stream_close(e->server);
}

static size_t reply_lines(const struct ends *e, const char *code)
{
	size_t lines = 0;
	slice line;

	do {
		assert_true(stream_read_line(e->client, LIMIT_SMTP_REPLY, &line, NULL) >= 0);
		assert_true(slice_starts(line, slice_of(code)));
		lines++;
	} while (line.p[3] == '-');
	assert_int_equal(line.p[3], ' ');
	return lines;
}

static void reply_client(void *arg)
{
	struct ends *e = arg;

	assert_int_equal(reply_lines(e, "250"), 2);
	assert_int_equal(reply_lines(e, "550"), 2);
	hear(e, "250 b", "250-a?????z", true);
	hear(e, "250 \xc3\xa9", NULL, false);
	hear(e, "250 ?", NULL, false);
	stream_close(e->client);
}

static void test_replies(void **state)
{
	struct ends e = {.world = fake_world_new()};

	(void)state;
	run(&e, reply_server, reply_client);
	fake_world_free(e.world);
}

/* Idle sessions are many: the struct stays small. */
static_assert(sizeof(struct smtp_session) <= 1536, "a session is at most 1.5 KiB");

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_starttls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * TLS with the private key elsewhere: every kind of key in both versions, handshakes whose sign callback
 * really parks and that cross each other, a cancelled one, a refused one, tickets, names, and what a peer's
 * end looks like.
 */
#include "auth/key.h"
#include "base/clock.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tls.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { RSA2048, P256, P384, ED25519, KINDS };

static const char *const kind_names[] = {"RSA", "P-256", "P-384", "ED25519"};

struct pair {
	struct key *key;
	struct buf cert;
};

struct world {
	struct pair pairs[KINDS];
	unsigned signing, most; /* sign callbacks under way, and the most at once */
	unsigned signatures;
	int refuse;        /* answer this instead of signing */
	bool spoil;        /* hand another text to the key */
	uint64_t delay_ms; /* how long the other process takes */
};

static int ask(void *arg, uint32_t key_id, uint16_t scheme, slice tbs, struct buf *ret_signature)
{
	struct world *w = arg;
	char wrong[160] = "";
	err e;
	int rc;

	assert_int_equal(ERR_peek_error(), 0);
	if (++w->signing > w->most)
		w->most = w->signing;
	rc = fiber_sleep(w->delay_ms);
	w->signing--;
	if (rc == -ECANCELED || w->refuse)
		return rc == -ECANCELED ? rc : w->refuse;
	w->signatures++;
	if (w->spoil)
		tbs = slice_make(wrong, sizeof wrong);
	return key_tls_sign(w->pairs[key_id].key, scheme, tbs, ret_signature, &e) < 0 ? -EACCES : 0;
}

/* One side of a handshake and a short talk, on a fiber of its own. */
struct side {
	struct tls_context *ctx;
	SSL_CTX *raw; /* the client is OpenSSL itself */
	SSL_SESSION *resume;
	const char *host;
	int fd, rc;
	bool resumed, abrupt;
	char info[64], why[100], got[16], peer[64];
	uint8_t names;
	struct fiber *fiber;
};

static int talk(struct tls *t, struct side *s)
{
	ssize_t n;

	while ((n = tls_read(t, s->got, sizeof s->got - 1)) == TLS_WANT_READ)
		fiber_sleep(1);
	if (n < 0)
		return (int)n;
	if (tls_write(t, "world", 5) != 5)
		return -EIO;
	while ((n = tls_read(t, s->why, sizeof s->why)) == TLS_WANT_READ)
		fiber_sleep(1);
	return (int)n;
}

static void serve(void *arg)
{
	struct side *s = arg;
	struct tls *t = tls_new(s->ctx, s->fd, true);

	assert_non_null(t);
	while ((s->rc = tls_handshake(t)) == TLS_WANT_READ || s->rc == TLS_WANT_WRITE)
		fiber_sleep(1);
	(void)snprintf(s->info, sizeof s->info, "%s", tls_info(t));
	s->resumed = tls_resumed(t);
	if (s->rc == 0)
		s->rc = talk(t, s);
	if (s->rc < 0)
		(void)snprintf(s->why, sizeof s->why, "%s", tls_why(t));
	assert_int_equal(ERR_peek_error(), 0);
	tls_free(t);
	close(s->fd);
}

static int turn(SSL *ssl, int rc)
{
	int kind = SSL_get_error(ssl, rc);

	ERR_clear_error();
	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
		return fiber_sleep(1) == 0;
	return 0;
}

static void note_peer(SSL *ssl, struct side *s)
{
	X509 *x = SSL_get0_peer_certificate(ssl);

	if (x)
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, s->peer, sizeof s->peer);
}

static void connect_raw(void *arg)
{
	struct side *s = arg;
	SSL *ssl = SSL_new(s->raw);
	int rc;

	SSL_set_fd(ssl, s->fd);
	if (s->resume)
		SSL_set_session(ssl, s->resume);
	if (s->host)
		(void)SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
			(void *)(uintptr_t)s->host);
	do {
		ERR_clear_error();
		rc = SSL_connect(ssl);
	} while (rc != 1 && turn(ssl, rc));
	s->rc = rc == 1 ? 0 : -1;
	if (rc == 1) {
		note_peer(ssl, s);
		SSL_write(ssl, "hello", 5);
		do {
			ERR_clear_error();
			rc = SSL_read(ssl, s->got, sizeof s->got - 1);
		} while (rc <= 0 && turn(ssl, rc));
		SSL_SESSION_free(s->resume);
		s->resume = SSL_get1_session(ssl);
		if (!s->abrupt)
			SSL_shutdown(ssl);
	}
	ERR_clear_error();
	SSL_free(ssl);
	close(s->fd);
}

static void connect_ours(void *arg)
{
	struct side *s = arg;
	struct tls *t = tls_new(s->ctx, s->fd, false);

	assert_non_null(t);
	if (s->host)
		assert_int_equal(tls_client_name(t, slice_of(s->host)), 0);
	while ((s->rc = tls_handshake(t)) == TLS_WANT_READ || s->rc == TLS_WANT_WRITE)
		fiber_sleep(1);
	if (s->rc == 0) {
		assert_int_equal(tls_write(t, "hello", 5), 5);
		while ((s->rc = (int)tls_read(t, s->got, sizeof s->got - 1)) == TLS_WANT_READ)
			fiber_sleep(1);
		assert_int_equal(tls_shutdown(t), 0);
	}
	(void)snprintf(s->why, sizeof s->why, "%s", tls_why(t));
	tls_free(t);
	close(s->fd);
}

static void socket_pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

/* Runs n handshakes at once; the clients are OpenSSL's when raw is set. */
static void run(struct side *servers, struct side *clients, size_t n)
{
	struct loop *l = loop_new("test");

	for (size_t i = 0; i < n; i++) {
		int fd[2];

		socket_pair(fd);
		servers[i].fd = fd[0];
		clients[i].fd = fd[1];
		servers[i].fiber = fiber_start("server", serve, &servers[i]);
		clients[i].fiber =
			fiber_start("client", clients[i].raw ? connect_raw : connect_ours, &clients[i]);
		assert_true(servers[i].fiber && clients[i].fiber);
	}
	loop_run(l);
	loop_free(l);
}

static SSL_CTX *raw_client(int version)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_min_proto_version(c, version);
	SSL_CTX_set_max_proto_version(c, version);
	return c;
}

static void test_kinds(void **state)
{
	struct world *w = *state;
	err e;

	for (uint32_t kind = 0; kind < KINDS; kind++)
		for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
			struct side server = {0}, client = {.raw = raw_client(v)};
			unsigned before = w->signatures;

			server.ctx =
				tls_server_context_new(buf_slice(&w->pairs[kind].cert), kind, ask, w, &e);
			if (!server.ctx)
				fail_msg("%s", e.text);
			run(&server, &client, 1);
			assert_int_equal(client.rc, 0);
			assert_int_equal(server.rc, -ENODATA); /* the client said goodbye */
			assert_string_equal(server.got, "hello");
			assert_string_equal(client.got, "world");
			assert_memory_equal(server.info, v == TLS1_2_VERSION ? "TLSv1.2 " : "TLSv1.3 ", 8);
			assert_int_equal(w->signatures, before + 1);
			tls_context_free(server.ctx);
			SSL_SESSION_free(client.resume);
			SSL_CTX_free(client.raw);
		}
}

static void test_crossing(void **state)
{
	struct world *w = *state;
	struct side servers[8] = {0}, clients[8] = {0};
	struct tls_context *ctx[KINDS];
	err e;

	w->most = 0;
	for (uint32_t k = 0; k < KINDS; k++)
		ctx[k] = tls_server_context_new(buf_slice(&w->pairs[k].cert), k, ask, w, &e);
	for (size_t i = 0; i < 8; i++) {
		servers[i].ctx = ctx[i % KINDS];
		clients[i].raw = raw_client(i < 4 ? TLS1_3_VERSION : TLS1_2_VERSION);
	}
	run(servers, clients, 8);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(servers[i].rc, -ENODATA);
		assert_int_equal(clients[i].rc, 0);
		SSL_SESSION_free(clients[i].resume);
		SSL_CTX_free(clients[i].raw);
	}
	assert_true(w->most >= 2); /* they did cross in the callback */
	for (size_t k = 0; k < KINDS; k++)
		tls_context_free(ctx[k]);
}

struct canceller {
	struct side *server;
	struct world *w;
};

static void cancel_when_signing(void *arg)
{
	struct canceller *c = arg;

	while (!c->w->signing)
		fiber_sleep(1);
	fiber_cancel(c->server->fiber);
}

/* One of two crossing handshakes is cancelled inside OpenSSL's state machine: it unwinds, the other goes on.
 */
static void test_cancel(void **state)
{
	struct world *w = *state;
	struct side servers[2] = {0}, clients[2] = {0};
	struct canceller c = {&servers[0], w};
	struct loop *l;
	err e;

	servers[0].ctx = servers[1].ctx =
		tls_server_context_new(buf_slice(&w->pairs[P256].cert), P256, ask, w, &e);
	assert_non_null(servers[0].ctx);
	w->delay_ms = 50;
	l = loop_new("test");
	for (int i = 0; i < 2; i++) {
		int fd[2];

		socket_pair(fd);
		servers[i].fd = fd[0];
		clients[i].fd = fd[1];
		clients[i].raw = raw_client(TLS1_3_VERSION);
		servers[i].fiber = fiber_start("server", serve, &servers[i]);
		assert_non_null(fiber_start("client", connect_raw, &clients[i]));
	}
	assert_non_null(fiber_start("cancel", cancel_when_signing, &c));
	loop_run(l);
	loop_free(l);
	w->delay_ms = 3;
	assert_int_equal(servers[0].rc, -ECANCELED);
	assert_string_equal(servers[0].why, "cancelled during the handshake");
	assert_int_equal(clients[0].rc, -1);
	assert_int_equal(servers[1].rc, -ENODATA);
	assert_int_equal(clients[1].rc, 0);
	SSL_SESSION_free(clients[1].resume);
	SSL_CTX_free(clients[0].raw);
	SSL_CTX_free(clients[1].raw);
	tls_context_free(servers[0].ctx);
}

static void test_refused(void **state)
{
	struct world *w = *state;
	err e;

	for (int i = 0; i < 2; i++) {
		struct side server = {0}, client = {.raw = raw_client(TLS1_3_VERSION)};

		server.ctx = tls_server_context_new(buf_slice(&w->pairs[RSA2048].cert), RSA2048, ask, w, &e);
		w->refuse = i == 0 ? -EIO : 0;
		w->spoil = i == 1;
		run(&server, &client, 1);
		assert_int_equal(server.rc, i == 0 ? -EIO : -EACCES);
		assert_string_equal(server.why, "the holder of the private key did not sign");
		assert_int_equal(client.rc, -1);
		w->refuse = 0;
		w->spoil = false;
		SSL_CTX_free(client.raw);
		tls_context_free(server.ctx);
	}
}

static void test_tickets(void **state)
{
	struct world *w = *state;
	uint8_t one[TLS_TICKET_KEY], two[TLS_TICKET_KEY], three[TLS_TICKET_KEY];
	err e;

	memset(one, 1, sizeof one);
	memset(two, 2, sizeof two);
	memset(three, 3, sizeof three);
	for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
		struct side server = {0}, client = {.raw = raw_client(v)};
		unsigned before;

		server.ctx = tls_server_context_new(buf_slice(&w->pairs[P256].cert), P256, ask, w, &e);
		run(&server, &client, 1); /* no keys: nothing to resume by */
		assert_false(SSL_SESSION_has_ticket(client.resume));
		tls_context_ticket_keys(server.ctx, one, NULL);
		run(&server, &client, 1);
		assert_false(server.resumed);
		before = w->signatures;
		run(&server, &client, 1);
		assert_true(server.resumed);
		tls_context_ticket_keys(server.ctx, two, one); /* the older generation is honoured */
		run(&server, &client, 1);
		assert_true(server.resumed);
		tls_context_ticket_keys(server.ctx, three, two); /* and was renewed */
		run(&server, &client, 1);
		assert_true(server.resumed);
		assert_int_equal(w->signatures, before);
		tls_context_ticket_keys(server.ctx, one, NULL); /* unknown: a whole handshake, no failure */
		run(&server, &client, 1);
		assert_false(server.resumed);
		assert_int_equal(client.rc, 0);
		SSL_SESSION_free(client.resume);
		SSL_CTX_free(client.raw);
		tls_context_free(server.ctx);
	}
}

static void make_named(const char *name, struct pair *ret)
{
	slice names[] = {slice_of(name)};
	struct buf key = BUF_INIT(4096);
	err e;

	ret->cert = BUF_INIT(8192);
	assert_int_equal(key_selfsigned_make(names, 1, clock_wall_s(), &key, &ret->cert, &e), 0);
	ret->key = key_load(buf_slice(&key), &e);
	assert_non_null(ret->key);
	buf_free(&key);
}

static void pair_free(struct pair *p)
{
	key_free(p->key);
	buf_free(&p->cert);
}

static void test_names(void **state)
{
	static const struct {
		const char *ask, *get;
	} cases[] = {{"mail.example.org", "mail.example.org"}, {"imap.example.org", "*.example.org"},
		{"a.b.example.org", "first.test"}, {"other.test", "first.test"}, {NULL, "first.test"}};
	struct world w = {.delay_ms = 1};
	struct tls_context *ctx;
	err e;

	(void)state;
	make_named("first.test", &w.pairs[0]);
	make_named("*.example.org", &w.pairs[1]);
	make_named("mail.example.org", &w.pairs[2]);
	make_named("mail.example.org", &w.pairs[3]);
	ctx = tls_server_context_new(buf_slice(&w.pairs[0].cert), 0, ask, &w, &e);
	assert_non_null(ctx);
	for (uint32_t i = 1; i < 4; i++)
		assert_int_equal(tls_server_context_add(ctx, buf_slice(&w.pairs[i].cert), i, &e), 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct side server = {.ctx = ctx},
			    client = {.raw = raw_client(TLS1_3_VERSION), .host = cases[i].ask};

		run(&server, &client, 1);
		assert_int_equal(client.rc, 0);
		assert_string_equal(client.peer, cases[i].get);
		SSL_SESSION_free(client.resume);
		SSL_CTX_free(client.raw);
	}
	tls_context_free(ctx);
	for (size_t i = 0; i < 4; i++)
		pair_free(&w.pairs[i]);
}

/* Two kinds of key under the same names: the client's algorithms choose. */
static void test_two_kinds(void **state)
{
	struct world *w = *state;
	struct tls_context *ctx = NULL;
	err e;

	ctx = tls_server_context_new(buf_slice(&w->pairs[RSA2048].cert), RSA2048, ask, w, &e);
	assert_int_equal(tls_server_context_add(ctx, buf_slice(&w->pairs[ED25519].cert), ED25519, &e), 0);
	for (int i = 0; i < 2; i++) {
		struct side server = {.ctx = ctx}, client = {.raw = raw_client(TLS1_3_VERSION)};

		SSL_CTX_set1_sigalgs_list(client.raw, i == 0 ? "RSA-PSS+SHA256" : "ed25519");
		run(&server, &client, 1);
		assert_int_equal(client.rc, 0);
		SSL_SESSION_free(client.resume);
		SSL_CTX_free(client.raw);
	}
	tls_context_free(ctx);
}

static void test_client(void **state)
{
	static const struct {
		const char *host;
		bool trust, good;
	} cases[] = {
		{"localhost", true, true}, {"elsewhere.test", true, false}, {"elsewhere.test", false, true}};
	struct world w = {.delay_ms = 1};
	struct pair other;
	struct side server = {0}, client = {0};
	err e;

	(void)state;
	make_named("localhost", &w.pairs[0]);
	make_named("localhost", &other);
	server.ctx = tls_server_context_new(buf_slice(&w.pairs[0].cert), 0, ask, &w, &e);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		client = (struct side){.host = cases[i].host};
		client.ctx = tls_client_context_new(
			cases[i].trust ? TLS_CHECK_DEMAND : TLS_CHECK_NONE, buf_slice(&w.pairs[0].cert), &e);
		assert_non_null(client.ctx);
		run(&server, &client, 1);
		assert_int_equal(client.rc, cases[i].good ? 5 : -EPROTO);
		if (!cases[i].good)
			assert_string_equal(client.why, "the certificate is for another name");
		tls_context_free(client.ctx);
	}
	client = (struct side){.host = "localhost",
		.ctx = tls_client_context_new(TLS_CHECK_DEMAND, buf_slice(&other.cert), &e)};
	run(&server, &client, 1);
	assert_int_equal(client.rc, -EPROTO);
	tls_context_free(client.ctx);
	tls_context_free(server.ctx);
	pair_free(&w.pairs[0]);
	pair_free(&other);
}

static void test_end(void **state)
{
	struct world *w = *state;
	struct side server = {0}, client = {.raw = raw_client(TLS1_3_VERSION), .abrupt = true};
	err e;

	server.ctx = tls_server_context_new(buf_slice(&w->pairs[P256].cert), P256, ask, w, &e);
	run(&server, &client, 1);
	assert_int_equal(server.rc, -ECONNRESET);
	SSL_SESSION_free(client.resume);
	SSL_CTX_free(client.raw);
	client = (struct side){.raw = raw_client(TLS1_1_VERSION)};
	SSL_CTX_set_security_level(client.raw, 0);
	run(&server, &client, 1);
	assert_int_equal(server.rc, -EPROTO);
	assert_string_equal(server.why, "unsupported protocol");
	SSL_CTX_free(client.raw);
	client = (struct side){.raw = raw_client(TLS1_2_VERSION)};
	SSL_CTX_set_cipher_list(
		client.raw, "AES128-SHA256:ECDHE-ECDSA-AES128-SHA256"); /* no secrecy or no AEAD */
	run(&server, &client, 1);
	assert_int_equal(server.rc, -EPROTO);
	assert_string_equal(server.why, "no shared cipher");
	SSL_CTX_free(client.raw);
	tls_context_free(server.ctx);
}

/* Through stream.c, 1 MiB each way, over small socket buffers. */
#define BULK 1048576

struct bulk {
	struct tls_context *ctx;
	int fd;
	bool server;
	size_t got;
	int rc;
	char info[64];
};

static void bulk_end(void *arg)
{
	struct bulk *b = arg;
	struct stream *s = stream_new(b->fd);
	const char *why = NULL;
	char block[4096];
	slice have;

	stream_timeout(s, 20000);
	b->rc = stream_start_tls(s, b->ctx, b->server, &why);
	for (size_t i = 0; b->rc == 0 && i < BULK / sizeof block; i++) {
		memset(block, (int)('a' + i % 26), sizeof block);
		if (b->server) { /* one way first, then the other */
			b->rc = stream_read_exact(s, block, sizeof block);
			assert_int_equal(block[17], (char)('a' + i % 26));
		} else {
			b->rc = stream_write(s, slice_make(block, sizeof block));
		}
	}
	if (b->server && b->rc == 0)
		b->rc = stream_write(s, S("all here\r\n"));
	if (b->rc == 0)
		b->rc = stream_flush(s);
	if (b->rc == 0 && !b->server)
		b->rc = (int)stream_read_line(s, 100, &have, NULL);
	(void)snprintf(b->info, sizeof b->info, "%s", stream_tls_info(s) ? stream_tls_info(s) : "");
	stream_close(s);
}

static void test_stream(void **state)
{
	struct world *w = *state;
	struct bulk server = {.server = true}, client = {0};
	struct loop *l = loop_new("test");
	int fd[2];
	err e;

	socket_pair(fd);
	server.fd = fd[0];
	client.fd = fd[1];
	server.ctx = tls_server_context_new(buf_slice(&w->pairs[P256].cert), P256, ask, w, &e);
	client.ctx = tls_client_context_new(TLS_CHECK_NONE, S(""), &e);
	assert_non_null(fiber_start("server", bulk_end, &server));
	assert_non_null(fiber_start("client", bulk_end, &client));
	loop_run(l);
	loop_free(l);
	assert_int_equal(server.rc, 0);
	assert_true(client.rc >= 0);
	assert_memory_equal(client.info, "TLSv1.3 ", 8);
	tls_context_free(server.ctx);
	tls_context_free(client.ctx);
}

static void test_bad_certificates(void **state)
{
	static const char junk[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	struct world *w = *state;
	err e;

	assert_null(tls_server_context_new(S(""), 0, ask, w, &e));
	assert_null(tls_server_context_new(S("no PEM at all"), 0, ask, w, &e));
	assert_string_equal(e.text, "no certificate in the PEM text");
	assert_null(tls_server_context_new(slice_of(junk), 0, ask, w, &e));
	assert_null(tls_client_context_new(TLS_CHECK_REPORT, slice_of(junk), &e));
	assert_int_equal(ERR_peek_error(), 0);
}

/* A certificate for "localhost" signed by its own key, of any kind. */
static void make_like(EVP_PKEY *key, const char *name, struct pair *ret)
{
	X509 *x = X509_new();
	BIO *cert = BIO_new(BIO_s_mem()), *pem = BIO_new(BIO_s_mem());
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
	char *p;
	long n;
	err e;

	X509_set_version(x, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(
		X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_add_ext(x, san, -1);
	X509_EXTENSION_free(san);
	assert_true(X509_sign(x, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
	PEM_write_bio_X509(cert, x);
	PEM_write_bio_PKCS8PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(cert, &p);
	ret->cert = BUF_INIT(16384);
	buf_add(&ret->cert, slice_make(p, (size_t)n));
	n = BIO_get_mem_data(pem, &p);
	ret->key = key_load(slice_make(p, (size_t)n), &e);
	assert_non_null(ret->key);
	assert_int_equal(key_matches(ret->key, buf_slice(&ret->cert), &e), 0);
	BIO_free(cert);
	BIO_free(pem);
	X509_free(x);
	EVP_PKEY_free(key);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	err e;

	if (!w || tls_library_init(&e) < 0)
		return -1;
	w->delay_ms = 3;
	make_like(EVP_RSA_gen(2048), kind_names[RSA2048], &w->pairs[RSA2048]);
	make_like(EVP_EC_gen("P-256"), kind_names[P256], &w->pairs[P256]);
	make_like(EVP_EC_gen("P-384"), kind_names[P384], &w->pairs[P384]);
	make_like(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), kind_names[ED25519], &w->pairs[ED25519]);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < KINDS; i++)
		pair_free(&w->pairs[i]);
	free(w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_crossing),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_tickets),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_two_kinds),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_bad_certificates),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/*
 * The client's side of TLS: certificates of every broken kind under each of the three checks, names and
 * addresses, SNI, old servers.
 */
#include "io/loop.h"
#include "io/stream.h"
#include "io/tls.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

struct authority {
	EVP_PKEY *key;
	X509 *cert;
	slice pem;
};

struct world {
	struct authority known, stranger;
	EVP_PKEY *key;
};

enum kind {
	GOOD,
	EXPIRED,
	FUTURE,
	SELF_SIGNED,
	STRANGER,
	OTHER_NAME,
	WILDCARD,
	CN_ONLY,
	ADDRESSES,
	SHORT_KEY,
	OLD_HASH,
	CLIENT_ONLY,
	FORGED,
};

static const struct {
	enum kind kind;
	const char *host;
	const char *why; /* "": it is good */
} cases[] = {
	{GOOD, "mx.example.test", ""},
	{GOOD, "MX.example.test.", ""},
	{GOOD, "mx.example.tes", "the certificate is for another name"},
	{GOOD, "", "it is not known whom the certificate must be for"},
	{GOOD, "192.0.2.1", "the certificate is for another address"},
	{EXPIRED, "mx.example.test", "the certificate has expired"},
	{FUTURE, "mx.example.test", "the certificate is not valid yet"},
	{SELF_SIGNED, "mx.example.test", "the certificate is self-signed"},
	{STRANGER, "mx.example.test", "the certificate is of an unknown issuer"},
	{OTHER_NAME, "mx.example.test", "the certificate is for another name"},
	{WILDCARD, "mx.example.test", ""},
	{WILDCARD, "a.mx.example.test", "the certificate is for another name"},
	{CN_ONLY, "mx.example.test", "the certificate is for another name"},
	{ADDRESSES, "192.0.2.1", ""},
	{ADDRESSES, "2001:db8::1", ""},
	{ADDRESSES, "2001:DB8:0::1", ""},
	{ADDRESSES, "192.0.2.2", "the certificate is for another address"},
	{ADDRESSES, "mx.example.test", "the certificate is for another name"},
	{SHORT_KEY, "mx.example.test", "the certificate's key is too short"},
	{OLD_HASH, "mx.example.test", "the certificate is signed with a broken hash"},
	{CLIENT_ONLY, "mx.example.test", "the certificate is not for a server"},
	{FORGED, "mx.example.test", "a signature of the certificate is wrong"},
};

/* ---- certificates ---- */

static void extend(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

static X509 *certify(EVP_PKEY *key, const char *name, const char *san, const struct authority *by, long from,
	long to, const EVP_MD *md, const char *usage)
{
	X509 *x = X509_new();
	EVP_PKEY *signer = by ? by->key : key;

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	X509_gmtime_adj(X509_getm_notBefore(x), from);
	X509_gmtime_adj(X509_getm_notAfter(x), to);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(
		X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, by ? X509_get_subject_name(by->cert) : X509_get_subject_name(x));
	if (san)
		extend(x, NID_subject_alt_name, san);
	if (usage)
		extend(x, NID_ext_key_usage, usage);
	if (!by && !san)
		extend(x, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(x, signer, md) > 0);
	return x;
}

static struct authority authority_new(const char *name)
{
	struct authority a = {.key = EVP_EC_gen("P-256")};
	BIO *out = BIO_new(BIO_s_mem());
	char *p;
	long n;

	a.cert = certify(a.key, name, NULL, NULL, -60, 3600, EVP_sha256(), NULL);
	PEM_write_bio_X509(out, a.cert);
	n = BIO_get_mem_data(out, &p);
	a.pem = slice_make(memcpy(malloc((size_t)n), p, (size_t)n), (size_t)n);
	BIO_free(out);
	return a;
}

static void authority_free(struct authority *a)
{
	EVP_PKEY_free(a->key);
	X509_free(a->cert);
	free((void *)(uintptr_t)a->pem.p);
}

static X509 *make(const struct world *w, enum kind kind, EVP_PKEY *key)
{
	static const char name[] = "DNS:mx.example.test";
	const struct authority *by = kind == SELF_SIGNED ? NULL : kind == STRANGER ? &w->stranger : &w->known;
	struct authority forger = {w->stranger.key, w->known.cert, {0}};
	const char *san = kind == OTHER_NAME  ? "DNS:other.test"
			  : kind == WILDCARD  ? "DNS:*.example.test"
			  : kind == CN_ONLY   ? "DNS:a.test"
			  : kind == ADDRESSES ? "IP:192.0.2.1,IP:2001:db8::1"
					      : name;

	return certify(key, "mx.example.test", san, kind == FORGED ? &forger : by,
		kind == FUTURE ? 1800 : -3600, kind == EXPIRED ? -60 : 3600,
		kind == OLD_HASH ? EVP_sha1() : EVP_sha256(), kind == CLIENT_ONLY ? "clientAuth" : NULL);
}

/* ---- a handshake ---- */

struct run {
	SSL_CTX *server;
	struct tls_context *client;
	const char *host;
	int fd[2];
	int rc;
	char why[128], verdict[128], info[64], sni[64], got[8];
	bool verified;
};

static void serve(void *arg)
{
	struct run *r = arg;
	SSL *ssl = SSL_new(r->server);
	int rc;

	SSL_set_fd(ssl, r->fd[0]);
	do {
		ERR_clear_error();
		rc = SSL_accept(ssl);
	} while (rc != 1 && SSL_get_error(ssl, rc) == SSL_ERROR_WANT_READ && fiber_sleep(1) == 0);
	if (rc == 1) {
		const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

		(void)snprintf(r->sni, sizeof r->sni, "%s", name ? name : "");
		SSL_write(ssl, "hello\n", 6);
	}
	ERR_clear_error();
	SSL_free(ssl);
	close(r->fd[0]);
}

static void connect_client(void *arg)
{
	struct run *r = arg;
	struct stream *s = stream_new(r->fd[1]);
	const char *why = "", *verdict;
	slice line;

	stream_timeout(s, 10000);
	r->verified = stream_tls_verified(s, &verdict);
	assert_false(r->verified);
	r->rc = stream_start_tls_client(s, r->client, slice_of(r->host), &why);
	(void)snprintf(r->why, sizeof r->why, "%s", r->rc < 0 ? why : "");
	r->verified = stream_tls_verified(s, &verdict);
	(void)snprintf(r->verdict, sizeof r->verdict, "%s", verdict);
	(void)snprintf(r->info, sizeof r->info, "%s", stream_tls_info(s));
	if (r->rc == 0)
		assert_int_equal(stream_read_line(s, 10, &line, NULL), 5);
	assert_int_equal(ERR_peek_error(), 0);
	stream_free(s);
}

static void run(struct run *r)
{
	struct loop *l = loop_new("test");

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, r->fd), 0);
	assert_non_null(fiber_start("server", serve, r));
	assert_non_null(fiber_start("client", connect_client, r));
	loop_run(l);
	loop_free(l);
}

static SSL_CTX *server_context(X509 *x, EVP_PKEY *key)
{
	SSL_CTX *s = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_security_level(s, 0);
	assert_int_equal(SSL_CTX_use_certificate(s, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(s, key), 1);
	return s;
}

static void test_certificates(void **state)
{
	const struct world *w = *state;
	EVP_PKEY *weak = EVP_RSA_gen(1024);
	struct tls_context *ctx[3];
	err e;

	for (int check = 0; check < 3; check++) {
		ctx[check] = tls_client_context_new((enum tls_check)check, w->known.pem, &e);
		assert_non_null(ctx[check]);
	}
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		EVP_PKEY *key = cases[i].kind == SHORT_KEY ? weak : w->key;
		X509 *x = make(w, cases[i].kind, key);
		SSL_CTX *server = server_context(x, key);

		for (int check = 0; check < 3; check++) {
			struct run r = {.server = server, .client = ctx[check], .host = cases[i].host};
			bool good = !*cases[i].why, demand = check == TLS_CHECK_DEMAND;

			run(&r);
			if ((r.rc == 0) != (good || !demand) ||
				strcmp(r.why, demand ? cases[i].why : "") != 0)
				fail_msg("case %zu check %d: %d %s", i, check, r.rc, r.why);
			if (r.rc == 0 &&
				(r.verified != (good && check != TLS_CHECK_NONE) ||
					(check == TLS_CHECK_REPORT && strcmp(r.verdict, cases[i].why) != 0)))
				fail_msg("case %zu check %d: %s", i, check, r.verdict);
		}
		SSL_CTX_free(server);
		X509_free(x);
	}
	for (int check = 0; check < 3; check++)
		tls_context_free(ctx[check]);
	EVP_PKEY_free(weak);
}

/* A name is sent, without its dot; an address is not (RFC 6066 3). */
static void test_sni(void **state)
{
	static const char *const hosts[][2] = {{"mx.example.test", "mx.example.test"},
		{"mx.example.test.", "mx.example.test"}, {"192.0.2.1", ""}, {"2001:db8::1", ""}, {"", ""}};
	const struct world *w = *state;
	X509 *x = make(w, GOOD, w->key);
	struct run r = {.server = server_context(x, w->key)};
	err e;

	r.client = tls_client_context_new(TLS_CHECK_REPORT, S(""), &e); /* no roots: nothing is good */
	for (size_t i = 0; i < COUNT_OF(hosts); i++) {
		r.host = hosts[i][0];
		run(&r);
		assert_int_equal(r.rc, 0);
		assert_string_equal(r.sni, hosts[i][1]);
		assert_false(r.verified);
	}
	r.host = "\x01 no name \xff but sent all the same";
	run(&r);
	assert_int_equal(r.rc, 0);
	tls_context_free(r.client);
	SSL_CTX_free(r.server);
	X509_free(x);
	assert_null(tls_client_context_new(TLS_CHECK_DEMAND, S(""), &e));
}

/* What old servers still speak is taken when nothing is demanded, and only then; never below TLS 1.2. */
static void test_old_servers(void **state)
{
	static const struct {
		const char *ciphers;
		int version;
		bool report, demand;
	} olds[] = {{"ECDHE-ECDSA-AES128-GCM-SHA256", TLS1_2_VERSION, true, true},
		{"ECDHE-ECDSA-AES128-SHA", TLS1_2_VERSION, true, false},
		{"ECDHE-ECDSA-NULL-SHA", TLS1_2_VERSION, false, false},
		{"ALL", TLS1_1_VERSION, false, false}};
	const struct world *w = *state;
	X509 *x = make(w, GOOD, w->key);
	err e;

	for (size_t i = 0; i < COUNT_OF(olds); i++)
		for (int demand = 0; demand < 2; demand++) {
			struct run r = {.server = server_context(x, w->key), .host = "mx.example.test"};

			SSL_CTX_set_max_proto_version(r.server, olds[i].version);
			SSL_CTX_set_min_proto_version(r.server, TLS1_VERSION);
			assert_int_equal(SSL_CTX_set_cipher_list(r.server, olds[i].ciphers), 1);
			r.client = tls_client_context_new(
				demand ? TLS_CHECK_DEMAND : TLS_CHECK_REPORT, w->known.pem, &e);
			run(&r);
			if ((r.rc == 0) != (demand ? olds[i].demand : olds[i].report))
				fail_msg("%s %d: %d %s", olds[i].ciphers, demand, r.rc, r.why);
			tls_context_free(r.client);
			SSL_CTX_free(r.server);
		}
	X509_free(x);
}

static int setup(void **state)
{
	static struct world w;
	err e;

	signal(SIGPIPE, SIG_IGN); /* the servers here are OpenSSL's own */
	if (tls_library_init(&e) < 0)
		return -1;
	w.known = authority_new("Known CA");
	w.stranger = authority_new("Unknown CA");
	w.key = EVP_EC_gen("P-256");
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	authority_free(&w->known);
	authority_free(&w->stranger);
	EVP_PKEY_free(w->key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_certificates), cmocka_unit_test(test_sni),
		cmocka_unit_test(test_old_servers)};

	return cmocka_run_group_tests(tests, setup, teardown);
}

#include "io/tls.h"
#include "io/tls_int.h"
#include "limits.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* RFC 9325: forward secrecy and AEAD only; finite-field DH is left out (slow for us, cheap for an attacker).
 */
#define CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS     "X25519:P-256:P-384"
#define SIGALGS                                                                                              \
	"ed25519:ECDSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"                    \
	"RSA+SHA256:RSA+SHA384:RSA+SHA512"
/* What an opportunistic client also takes: whatever an old server has is better than no TLS. */
#define CIPHERS_12_ANY                                                                                       \
	CIPHERS_12 ":DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:RSA+AESGCM:RSA+AES:!aNULL:!eNULL"
#define GROUPS_ANY     GROUPS ":P-521"
#define SIGALGS_ANY    SIGALGS ":ed448:ECDSA+SHA512:ECDSA+SHA224:RSA+SHA224:ECDSA+SHA1:RSA+SHA1"
#define AUTH_LEVEL     2 /* of a certificate that is called good: 112 bits, no SHA-1 */
#define CERT_CHAIN_MAX 10

struct ticket_key {
	uint8_t name[16], aes[32], mac[32];
};

_Static_assert(sizeof(struct ticket_key) == TLS_TICKET_KEY, "a ticket key is its three parts");

struct tls_context {
	atomic_uint refs;
	bool server;
	enum tls_check check; /* a client's */
	uint8_t ticket_keys;  /* 0, 1 or 2 */
	/*
	 * What the sign callback said last. Between its return and tls_handshake's own nothing parks, so this
	 * is the answer for the handshake that just failed.
	 */
	int sign_error;
	tls_sign_fn *sign;
	void *arg;
	BIO_METHOD *bio;
	struct ticket_key tickets[2];
	size_t n; /* OpenSSL contexts: one a set of names; clients have one */
	SSL_CTX *ssl[LIMIT_TLS_CERTS];
};

struct tls {
	SSL *ssl;
	struct tls_context *ctx;
	int fd;
	int sys;       /* errno of the last failing system call, positive */
	bool busy;     /* in tls_handshake, perhaps parked in the sign callback */
	bool finished; /* the handshake is done */
	bool named;    /* it is known whom the certificate must be for */
	const char *why;
	char info[64];
};

int tls_library_init(err *e)
{
	uint8_t seed[32];

	if (!OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
				      OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
		    NULL) ||
		RAND_bytes(seed, sizeof seed) != 1) {
		ERR_clear_error();
		return err_set(e, ERR_IO, "OpenSSL did not start");
	}
	return tls_provider_load(e);
}

/* The descriptor as a BIO: no SIGPIPE, and the errno is kept. */

static int bio_write(BIO *b, const char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t did;

	BIO_clear_retry_flags(b);
	do
		did = send(t->fd, p, (size_t)n, MSG_NOSIGNAL);
	while (did < 0 && errno == EINTR);
	if (did >= 0)
		return (int)did;
	if (errno == EAGAIN)
		BIO_set_retry_write(b);
	else
		t->sys = errno;
	return -1;
}

static int bio_read(BIO *b, char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t did;

	BIO_clear_retry_flags(b);
	do
		did = recv(t->fd, p, (size_t)n, 0);
	while (did < 0 && errno == EINTR);
	if (did > 0)
		return (int)did;
	if (did == 0) {
		BIO_set_flags(b, BIO_FLAGS_IN_EOF);
		return 0;
	}
	if (errno == EAGAIN)
		BIO_set_retry_read(b);
	else
		t->sys = errno;
	return -1;
}

static long bio_ctrl(BIO *b, int command, long n, void *p)
{
	(void)n, (void)p;
	if (command == BIO_CTRL_EOF)
		return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
	return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

/* Made per context, so that the process has no global for it. The type number is free for ours: only filters
 * look. */
static BIO_METHOD *bio_method_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 127, "descriptor");

	if (!m || !BIO_meth_set_write(m, bio_write) || !BIO_meth_set_read(m, bio_read) ||
		!BIO_meth_set_ctrl(m, bio_ctrl) || !BIO_meth_set_create(m, bio_create)) {
		BIO_meth_free(m);
		return NULL;
	}
	return m;
}

/* Contexts */

static int ssl_error(err *e, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	(void)err_set(e, ERR_SYNTAX, "%s: %s", what, why ? why : "refused by OpenSSL");
	ERR_clear_error();
	return -1;
}

static void context_unref(struct tls_context *c)
{
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < c->n; i++)
		SSL_CTX_free(c->ssl[i]);
	BIO_meth_free(c->bio);
	OPENSSL_cleanse(c->tickets, sizeof c->tickets);
	free(c);
}

void tls_context_free(struct tls_context *c)
{
	if (c)
		context_unref(c);
}

/* OpenSSL's macros for the two lists cast const away, which it never writes to. */
static bool set_list(SSL_CTX *s, int command, const char *list)
{
	return SSL_CTX_ctrl(s, command, 0, (void *)(uintptr_t)list) == 1;
}

static bool set_algorithms(SSL_CTX *s, bool any)
{
	return SSL_CTX_set_cipher_list(s, any ? CIPHERS_12_ANY : CIPHERS_12) &&
	       set_list(s, SSL_CTRL_SET_GROUPS_LIST, any ? GROUPS_ANY : GROUPS) &&
	       set_list(s, SSL_CTRL_SET_SIGALGS_LIST, any ? SIGALGS_ANY : SIGALGS);
}

static SSL_CTX *ssl_ctx_new(struct tls_context *c)
{
	SSL_CTX *s = SSL_CTX_new(c->server ? TLS_server_method() : TLS_client_method());
	bool any = !c->server && c->check != TLS_CHECK_DEMAND;

	if (!s)
		return NULL;
	SSL_CTX_set_mode(s, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(s, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
				       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
				       SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(s, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(s, 0);
	SSL_CTX_set_read_ahead(s, 1);
	if (any) /* harmless without renegotiation */
		SSL_CTX_set_options(s, SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_security_level(s, any ? 0 : AUTH_LEVEL);
	SSL_CTX_set_app_data(s, c);
	if (!SSL_CTX_set_min_proto_version(s, TLS1_2_VERSION) || !set_algorithms(s, any) ||
		!SSL_CTX_set_session_id_context(s, (const unsigned char *)"posthouse", 9)) {
		SSL_CTX_free(s);
		return NULL;
	}
	return s;
}

static struct tls_context *context_new(bool server, enum tls_check check, err *e)
{
	struct tls_context *c = calloc(1, sizeof *c);

	if (c) {
		atomic_init(&c->refs, 1);
		c->server = server;
		c->check = check;
		c->bio = bio_method_new();
		if (c->bio)
			return c;
		free(c);
	}
	(void)err_set(e, ERR_TEMP, "out of memory for a TLS context");
	return NULL;
}

/* A certificate that asks for a pass phrase is none. */
static int no_password(char *p, int n, int writing, void *arg)
{
	(void)p, (void)n, (void)writing, (void)arg;
	return -1;
}

static void free_chain(STACK_OF(X509) * *s)
{
	sk_X509_pop_free(*s, X509_free);
}

/* All certificates of a PEM text, in order; at least one and at most max. */
static STACK_OF(X509) * read_certs(slice pem, int max, err *e)
{
	AUTO(free_chain) STACK_OF(X509) *certs = sk_X509_new_null();
	STACK_OF(X509) * ret;
	BIO *in = pem.n && pem.n < INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	X509 *x;

	while (in && certs && sk_X509_num(certs) < max &&
		(x = PEM_read_bio_X509(in, NULL, no_password, NULL)))
		if (!sk_X509_push(certs, x))
			X509_free(x);
	BIO_free(in);
	if (ERR_peek_last_error() && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		ssl_error(e, "certificate");
		return NULL;
	}
	ERR_clear_error();
	if (!certs || !sk_X509_num(certs)) {
		(void)err_set(e, ERR_SYNTAX, "no certificate in the PEM text");
		return NULL;
	}
	ret = certs;
	certs = NULL;
	return ret;
}

static const ASN1_OCTET_STRING *cert_names(const X509 *x)
{
	int at = X509_get_ext_by_NID(x, NID_subject_alt_name, -1);

	return at < 0 ? NULL : X509_EXTENSION_get_data(X509_get_ext(x, at));
}

/* Same subject names, so that only the kind of key tells the two apart. */
static bool same_names(const X509 *a, const X509 *b)
{
	const ASN1_OCTET_STRING *na = cert_names(a), *nb = cert_names(b);

	return na && nb && !ASN1_OCTET_STRING_cmp(na, nb);
}

static bool key_kind_differs(X509 *a, X509 *b)
{
	return EVP_PKEY_get_base_id(X509_get0_pubkey(a)) != EVP_PKEY_get_base_id(X509_get0_pubkey(b));
}

static bool cert_matches(X509 *x, const char *host, bool wildcards)
{
	unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

	return X509_check_host(x, host, 0, wildcards ? flags : flags | X509_CHECK_FLAG_NO_WILDCARDS, NULL) ==
	       1;
}

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
	struct tls_context *c = arg;
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	if (!host || c->n < 2)
		return SSL_TLSEXT_ERR_OK;
	for (int wildcards = 0; wildcards < 2; wildcards++)
		for (size_t i = 0; i < c->n; i++)
			if (cert_matches(SSL_CTX_get0_certificate(c->ssl[i]), host, wildcards)) {
				if (i > 0)
					SSL_set_SSL_CTX(ssl, c->ssl[i]);
				return SSL_TLSEXT_ERR_OK;
			}
	return SSL_TLSEXT_ERR_OK; /* unknown: the first certificate; the client decides what it thinks of it
				   */
}

/* 1: key is set, 2: set, but a new ticket should follow, 0: no key of ours, -1: failure. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int making)
{
	struct tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct ticket_key *k = NULL;
	char digest[] = "SHA256";
	OSSL_PARAM params[3];
	int ok;

	for (unsigned i = 0; i < c->ticket_keys && !k; i++)
		if (making || !memcmp(c->tickets[i].name, name, sizeof c->tickets[i].name))
			k = &c->tickets[i];
	if (!k)
		return 0;
	if (making) {
		memcpy(name, k->name, sizeof k->name);
		if (RAND_bytes(iv, 16) != 1)
			return -1;
	}
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof k->mac);
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[2] = OSSL_PARAM_construct_end();
	ok = making ? EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv)
		    : EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv);
	if (!ok || !EVP_MAC_CTX_set_params(mac, params))
		return -1;
	return k == &c->tickets[0] ? 1 : 2;
}

static int set_certs(struct tls_context *c, SSL_CTX *ssl, STACK_OF(X509) * certs, uint32_t key_id, err *e)
{
	X509 *leaf = sk_X509_value(certs, 0);
	EVP_PKEY *key = tls_provider_key(X509_get0_pubkey(leaf), key_id, c->sign, c->arg, &c->sign_error, e);
	STACK_OF(X509) * rest;
	int ok;

	if (!key)
		return -1;
	rest = X509_chain_up_ref(certs);
	if (rest)
		X509_free(sk_X509_shift(rest));
	ok = rest && SSL_CTX_use_cert_and_key(ssl, leaf, key, rest, 1);
	sk_X509_pop_free(rest, X509_free);
	EVP_PKEY_free(key);
	return ok ? 0 : ssl_error(e, "certificate");
}

int tls_server_context_add(struct tls_context *c, slice chain_pem, uint32_t key_id, err *e)
{
	AUTO(free_chain) STACK_OF(X509) *certs = read_certs(chain_pem, CERT_CHAIN_MAX, e);
	SSL_CTX *ssl;
	X509 *leaf;

	if (!certs)
		return -1;
	leaf = sk_X509_value(certs, 0);
	for (size_t i = 0; i < c->n; i++) {
		X509 *other = SSL_CTX_get0_certificate(c->ssl[i]);

		if (same_names(leaf, other) && key_kind_differs(leaf, other))
			return set_certs(c, c->ssl[i], certs, key_id, e);
	}
	if (c->n == LIMIT_TLS_CERTS)
		return err_set(e, ERR_LIMIT, "more than %d certificates", LIMIT_TLS_CERTS);
	ssl = ssl_ctx_new(c);
	if (!ssl)
		return ssl_error(e, "TLS context");
	if (!SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket) ||
		set_certs(c, ssl, certs, key_id, e) < 0) {
		SSL_CTX_free(ssl);
		return -1;
	}
	SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
	SSL_CTX_set_tlsext_servername_arg(ssl, c);
	c->ssl[c->n++] = ssl;
	return 0;
}

struct tls_context *tls_server_context_new(
	slice chain_pem, uint32_t key_id, tls_sign_fn *sign, void *arg, err *e)
{
	struct tls_context *c = context_new(true, TLS_CHECK_NONE, e);

	if (!c)
		return NULL;
	c->sign = sign;
	c->arg = arg;
	if (tls_server_context_add(c, chain_pem, key_id, e) == 0)
		return c;
	context_unref(c);
	return NULL;
}

void tls_context_ticket_keys(
	struct tls_context *c, const uint8_t now[TLS_TICKET_KEY], const uint8_t before[TLS_TICKET_KEY])
{
	memcpy(&c->tickets[0], now, TLS_TICKET_KEY);
	if (before)
		memcpy(&c->tickets[1], before, TLS_TICKET_KEY);
	c->ticket_keys = before ? 2 : 1;
	for (size_t i = 0; i < c->n; i++) {
		SSL_CTX_clear_options(c->ssl[i], SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(c->ssl[i], 1);
	}
}

/* Looks at the peer's chain, strictly whatever the handshake allows; what comes of it is the context's
 * matter.
 */
static int on_peer_chain(X509_STORE_CTX *chain, void *arg)
{
	const struct tls_context *c = arg;
	int good;

	if (c->check == TLS_CHECK_NONE)
		return 1;
	X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(chain), AUTH_LEVEL);
	good = X509_verify_cert(chain);
	if (good <= 0 && X509_STORE_CTX_get_error(chain) == X509_V_OK)
		X509_STORE_CTX_set_error(chain, X509_V_ERR_UNSPECIFIED);
	ERR_clear_error();
	return good > 0 || c->check == TLS_CHECK_REPORT;
}

struct tls_context *tls_client_context_new(enum tls_check check, slice roots_pem, err *e)
{
	AUTO(free_chain) STACK_OF(X509) *roots = NULL;
	struct tls_context *c;
	X509_STORE *store;

	if ((roots_pem.n || check == TLS_CHECK_DEMAND) && !(roots = read_certs(roots_pem, INT_MAX, e)))
		return NULL;
	c = context_new(false, check, e);
	if (!c)
		return NULL;
	c->ssl[0] = ssl_ctx_new(c);
	if (!c->ssl[0])
		goto fail;
	c->n = 1;
	store = SSL_CTX_get_cert_store(c->ssl[0]);
	for (int i = 0; roots && i < sk_X509_num(roots); i++)
		if (!X509_STORE_add_cert(store, sk_X509_value(roots, i)))
			goto fail;
	SSL_CTX_set_verify_depth(c->ssl[0], CERT_CHAIN_MAX);
	SSL_CTX_set_cert_verify_callback(c->ssl[0], on_peer_chain, c);
	SSL_CTX_set_verify(c->ssl[0], check == TLS_CHECK_DEMAND ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return c;
fail:
	ssl_error(e, "TLS context");
	context_unref(c);
	return NULL;
}

/* Connections */

struct tls *tls_new(struct tls_context *ctx, int fd, bool server)
{
	struct tls *t = server == ctx->server ? calloc(1, sizeof *t) : NULL;
	BIO *bio;

	if (!t)
		return NULL;
	t->fd = fd;
	t->why = "";
	t->ssl = SSL_new(ctx->ssl[0]);
	bio = t->ssl ? BIO_new(ctx->bio) : NULL;
	if (!bio) {
		SSL_free(t->ssl);
		free(t);
		ERR_clear_error();
		return NULL;
	}
	BIO_set_data(bio, t);
	SSL_set_bio(t->ssl, bio, bio);
	if (server)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
	t->ctx = ctx;
	atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	assert(!t->busy); /* a fiber is inside OpenSSL's state machine */
	SSL_free(t->ssl);
	ERR_clear_error();
	context_unref(t->ctx);
	free(t);
}

int tls_client_name(struct tls *t, slice host)
{
	char z[256];
	unsigned char address[16];
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	bool ok;

	if (host.n > 1 && host.p[host.n - 1] == '.')
		host.n--;
	if (!host.n || host.n >= sizeof z || memchr(host.p, '\0', host.n) || t->ctx->server)
		return -EINVAL;
	memcpy(z, host.p, host.n);
	z[host.n] = '\0';
	SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (inet_pton(AF_INET, z, address) == 1 || inet_pton(AF_INET6, z, address) == 1)
		ok = X509_VERIFY_PARAM_set1_ip_asc(param, z) == 1;
	else
		ok = SSL_set_tlsext_host_name(t->ssl, z) == 1 && SSL_set1_host(t->ssl, z) == 1;
	ERR_clear_error();
	t->named = ok;
	return ok ? 0 : -EINVAL;
}

/* What X509_verify_cert found, as a sentence for a log. */
static const char *verify_text(long error)
{
	static const struct {
		long error;
		const char *text;
	} texts[] = {
		{X509_V_ERR_CERT_HAS_EXPIRED, "the certificate has expired"},
		{X509_V_ERR_CERT_NOT_YET_VALID, "the certificate is not valid yet"},
		{X509_V_ERR_HOSTNAME_MISMATCH, "the certificate is for another name"},
		{X509_V_ERR_IP_ADDRESS_MISMATCH, "the certificate is for another address"},
		{X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "the certificate is self-signed"},
		{X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "the certificate is of an unknown issuer"},
		{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "the certificate is of an unknown issuer"},
		{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "the certificate is of an unknown issuer"},
		{X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "the certificate is of an unknown issuer"},
		{X509_V_ERR_CERT_SIGNATURE_FAILURE, "a signature of the certificate is wrong"},
		{X509_V_ERR_EE_KEY_TOO_SMALL, "the certificate's key is too short"},
		{X509_V_ERR_CA_KEY_TOO_SMALL, "the key of the certificate's issuer is too short"},
		{X509_V_ERR_CA_MD_TOO_WEAK, "the certificate is signed with a broken hash"},
		{X509_V_ERR_INVALID_PURPOSE, "the certificate is not for a server"},
		{X509_V_ERR_CERT_CHAIN_TOO_LONG, "the certificate's chain is too long"},
	};

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (texts[i].error == error)
			return texts[i].text;
	return X509_verify_cert_error_string(error);
}

bool tls_verified(const struct tls *t, const char **ret_why)
{
	const char *why = "";
	long error = SSL_get_verify_result(t->ssl);

	if (t->ctx->check == TLS_CHECK_NONE)
		why = "the certificate was not looked at";
	else if (!SSL_get0_peer_certificate(t->ssl))
		why = "there is no certificate";
	else if (error != X509_V_OK)
		why = verify_text(error);
	else if (!t->named)
		why = "it is not known whom the certificate must be for";
	*ret_why = why;
	return !*why;
}

/* What a failing call means; empties the error queue. */
static int result(struct tls *t, int rc)
{
	int kind = SSL_get_error(t->ssl, rc);
	unsigned long code = ERR_peek_error();
	long verify;
	int ret;

	if (kind == SSL_ERROR_WANT_READ)
		return TLS_WANT_READ;
	if (kind == SSL_ERROR_WANT_WRITE)
		return TLS_WANT_WRITE;
	if (kind == SSL_ERROR_ZERO_RETURN) {
		t->why = "the peer ended TLS";
		ret = -ENODATA;
	} else if (kind == SSL_ERROR_SYSCALL && t->sys) {
		t->why = err_sys_text(t->sys);
		ret = -t->sys;
	} else if (kind == SSL_ERROR_SYSCALL ||
		   (ERR_GET_LIB(code) == ERR_LIB_SSL &&
			   ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)) {
		t->why = "the peer closed the connection without ending TLS";
		ret = -ECONNRESET;
	} else {
		verify = SSL_get_verify_result(t->ssl);
		t->why = t->ctx->check == TLS_CHECK_DEMAND && verify != X509_V_OK
				 ? verify_text(verify)
				 : ERR_reason_error_string(code);
		if (!t->why)
			t->why = "TLS failed";
		ret = -EPROTO;
	}
	ERR_clear_error();
	return ret;
}

static void note_info(struct tls *t)
{
	(void)snprintf(
		t->info, sizeof t->info, "%s %s", SSL_get_version(t->ssl), SSL_get_cipher_name(t->ssl));
}

int tls_handshake(struct tls *t)
{
	int rc, sign_error;

	ERR_clear_error();
	if (t->ctx->check == TLS_CHECK_DEMAND && !t->named) {
		t->why = "it is not known whom the certificate must be for";
		return -EPROTO;
	}
	t->busy = true;
	rc = SSL_do_handshake(t->ssl);
	t->busy = false;
	sign_error = t->ctx->sign_error;
	t->ctx->sign_error = 0;
	if (rc == 1) {
		t->finished = true;
		note_info(t);
		ERR_clear_error();
		return 0;
	}
	rc = result(t, rc);
	if (rc == -EPROTO && sign_error) {
		t->why = sign_error == -ECANCELED ? "cancelled during the handshake"
						  : "the holder of the private key did not sign";
		rc = sign_error;
	}
	return rc;
}

ssize_t tls_read(struct tls *t, void *p, size_t n)
{
	size_t got;
	int rc;

	ERR_clear_error();
	rc = SSL_read_ex(t->ssl, p, n, &got);
	return rc == 1 ? (ssize_t)got : result(t, rc);
}

ssize_t tls_write(struct tls *t, const void *p, size_t n)
{
	size_t did;
	int rc;

	ERR_clear_error();
	rc = SSL_write_ex(t->ssl, p, n, &did);
	return rc == 1 ? (ssize_t)did : result(t, rc);
}

int tls_shutdown(struct tls *t)
{
	int rc;

	if (!t->finished)
		return 0;
	ERR_clear_error();
	rc = SSL_shutdown(t->ssl);
	return rc >= 0 ? 0 : result(t, rc);
}

/* Part of a record that was read ahead is nothing that can be given, so a look is not enough. */
bool tls_pending(struct tls *t)
{
	char c;
	size_t got;
	int kind;

	if (SSL_pending(t->ssl) > 0)
		return true;
	if (!SSL_has_pending(t->ssl))
		return false;
	ERR_clear_error();
	if (SSL_peek_ex(t->ssl, &c, 1, &got))
		return true;
	kind = SSL_get_error(t->ssl, 0);
	return kind != SSL_ERROR_WANT_READ &&
	       kind != SSL_ERROR_WANT_WRITE; /* tls_read will say what is wrong */
}

const char *tls_info(const struct tls *t)
{
	return t->info;
}

bool tls_resumed(const struct tls *t)
{
	return SSL_session_reused(t->ssl) == 1;
}

const char *tls_why(const struct tls *t)
{
	return t->why;
}

/* RFC 5929 4.1: the hash of the certificate's own signature, but no weaker than SHA-256. */
static bool end_point(const struct tls *t, uint8_t ret[TLS_BINDING], size_t *ret_n)
{
	X509 *x = SSL_is_server(t->ssl) ? SSL_get_certificate(t->ssl) : NULL;
	int hash = NID_undef;
	unsigned n = 0;

	if (!x || !X509_get_signature_info(x, &hash, NULL, NULL, NULL) || hash == NID_undef)
		return false;
	if (hash == NID_md5 || hash == NID_sha1)
		hash = NID_sha256;
	const EVP_MD *md = EVP_get_digestbynid(hash);
	if (!md || EVP_MD_get_size(md) > TLS_BINDING || !X509_digest(x, md, ret, &n))
		return false;
	*ret_n = n;
	return true;
}

bool tls_binding(const struct tls *t, slice name, uint8_t ret[TLS_BINDING], size_t *ret_n)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	bool got = false;

	if (!t->finished)
		return false;
	if (slice_eq(name, S("tls-server-end-point"))) {
		got = end_point(t, ret, ret_n);
	} else if (slice_eq(name, S("tls-exporter")) && SSL_version(t->ssl) == TLS1_3_VERSION &&
		   SSL_export_keying_material(
			   t->ssl, ret, 32, label, sizeof label - 1, (const uint8_t *)"", 0, 1) == 1) {
		*ret_n = 32;
		got = true;
	}
	ERR_clear_error();
	return got;
}

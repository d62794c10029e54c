/*
 * TLS over OpenSSL 3: contexts without a private key, and the non-parking half that stream.c drives.
 *
 * A server context has the certificate chain only. What must be signed in a handshake goes, whole, to a
 * callback that asks another process; the text is checked there (auth/key.h) before a key touches it. TLS 1.2
 * with (EC)DHE and AEAD, and 1.3; no renegotiation, no compression, no session cache, no early data (RFC
 * 9325).
 *
 * One `struct tls` belongs to one fiber. tls_handshake of a server may PARK in the callback, in the middle of
 * OpenSSL's state machine: until it has returned the object must not be freed. To end it cancel the fiber;
 * the callback then returns -ECANCELED and tls_handshake the same. Nothing else here parks. OpenSSL's error
 * queue is per thread: it is empty whenever control leaves this file.
 */
#pragma once
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include <sys/types.h>

struct tls;
struct tls_context;

/*
 * Once a process, before the sandbox: OpenSSL without its config file, random generator seeded, texts loaded,
 * so that nothing is opened later. -1: err.
 */
int tls_library_init(err *e);

/*
 * Signs `tbs` with the private key key_id. scheme: a TLS SignatureScheme (RFC 8446 4.2.3), in TLS 1.2 too.
 * The signature goes to ret_signature as it stands on the wire (ECDSA: DER). Returns 0 or a negative errno.
 * May park; the OpenSSL error queue is clean when it is called.
 */
PARKS typedef int tls_sign_fn(
	void *arg, uint32_t key_id, uint16_t scheme, slice tbs, struct buf *ret_signature);

/*
 * A server's context. chain_pem: leaf first (RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519). NULL: err.
 * sign and arg must outlive the context.
 */
MUST_USE struct tls_context *tls_server_context_new(
	slice chain_pem, uint32_t key_id, tls_sign_fn *sign, void *arg, err *e);
/*
 * One more certificate, chosen by the client's SNI: exact names first, then wildcards, in the order added;
 * the first one answers for all other names. One with the same names and another kind of key stands beside
 * it, and the client's algorithms choose. At most LIMIT_TLS_CERTS. Before the first tls_new. -1: err.
 */
int tls_server_context_add(struct tls_context *c, slice chain_pem, uint32_t key_id, err *e);

#define TLS_TICKET_KEY 80 /* 16 name, 32 AES-256 key, 32 HMAC-SHA-256 key */
/*
 * Session ticket keys, made by `auth` for all frontends: new tickets get `now`, those of `before` (NULL:
 * none) are still honoured and renewed. Without keys there are no tickets. May be called again at any time.
 */
void tls_context_ticket_keys(
	struct tls_context *c, const uint8_t now[TLS_TICKET_KEY], const uint8_t before[TLS_TICKET_KEY]);

enum tls_check {
	TLS_CHECK_NONE, /* the certificate is not looked at */
	/*
	 * Opportunistic TLS (RFC 7435): any certificate will do, weak keys, old signatures and ciphers too,
	 * since the other choice is none at all; tls_verified tells what it was worth. TLS 1.2 at least in
	 * any case.
	 */
	TLS_CHECK_REPORT,
	TLS_CHECK_DEMAND, /* a certificate of a trusted issuer for the peer's name, or no connection */
};

/*
 * A client's context. roots_pem: certificates to trust; may be empty unless they are DEMANDed: then none is
 * good. Nothing is read from files, here or later. NULL: err.
 */
MUST_USE struct tls_context *tls_client_context_new(enum tls_check check, slice roots_pem, err *e);

/* A context is shared by its connections, which hold it; the maker's hold ends with tls_context_free. NULL is
 * fine. */
void tls_context_free(struct tls_context *c);

/* The descriptor must be non-blocking and stays the caller's. NULL: out of memory, or `server` does not fit
 * ctx. */
MUST_USE struct tls *tls_new(struct tls_context *ctx, int fd, bool server);
void tls_free(struct tls *t); /* sends nothing; NULL is fine */
/*
 * Client, before the handshake: whom the certificate must be for. A name is also sent (SNI, RFC 6066 3), with
 * its final dot gone; an IP address as text ("192.0.2.1", "2001:db8::1") is not. Without a call no
 * certificate is good. 0 or -EINVAL.
 */
int tls_client_name(struct tls *t, slice host);
/*
 * Client, after the handshake or when it failed: is the certificate of a trusted issuer and for the peer?
 * *ret_why: if not, a sentence why, else "". Lives for ever. Always false under TLS_CHECK_NONE.
 */
bool tls_verified(const struct tls *t, const char **ret_why);

/*
 * The calls below return >= 0, or TLS_WANT_*: wait until the descriptor is readable (or writable) and call
 * again with the same arguments (the buffer may have moved; a write may offer more behind the same bytes).
 * Otherwise a negative errno, which is final: -ENODATA (the peer said close_notify), -ECONNRESET (gone
 * without it), -EPIPE, -ECANCELED (by the sign callback), -EPROTO (see tls_why), or what the callback
 * returned. Always read until TLS_WANT_READ before waiting: the library reads ahead.
 */
#define TLS_WANT_READ  (-0x10001)
#define TLS_WANT_WRITE (-0x10002)

PARKS int tls_handshake(struct tls *t); /* 0: done. Parks only in the sign callback. */
ssize_t tls_read(struct tls *t, void *p, size_t n);
ssize_t tls_write(struct tls *t, const void *p, size_t n); /* may take less than n; n > 0 */
int tls_shutdown(struct tls *t); /* sends close_notify, does not wait for the peer's; 0: sent */

/* True when a tls_read would return something at once (bytes, the end or an error) that was read ahead. */
bool tls_pending(struct tls *t);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", after the handshake. Lives as long as t. */
const char *tls_info(const struct tls *t);
#define TLS_BINDING 64 /* bytes at most */
/*
 * What ties a log-in to this connection, after the handshake: "tls-exporter" (RFC 9266; TLS 1.3 only, since
 * before it the exporter is safe with one extension and clients differ about its context) and
 * "tls-server-end-point" (RFC 5929 4; a server's, whose certificate is signed with a hash). False: not to be
 * had.
 */
bool tls_binding(const struct tls *t, slice name, uint8_t ret[TLS_BINDING], size_t *ret_n);
/* True when the handshake resumed a session. */
bool tls_resumed(const struct tls *t);
/* A sentence about the last failure, "" if there was none. Lives until the next call on t. */
const char *tls_why(const struct tls *t);

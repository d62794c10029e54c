/*
 * Private keys of TLS, and what they may be used for: a key here signs a server's handshake text and nothing
 * else, so a frontend that has fallen into wrong hands cannot have certificates requests, mail or tokens
 * signed by it. Keys for DKIM are other objects. Nothing here parks; a signature takes 50 us (P-256) to 3 ms
 * (RSA of 4096 bits).
 */
#pragma once
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

struct key;

/*
 * A private key in PEM (PKCS#8 or the older forms, not under a pass phrase): RSA of 2048 to 4096 bits, P-256,
 * P-384 or Ed25519. NULL: err with a sentence for the owner. The text is the caller's to wipe.
 */
MUST_USE struct key *key_load(slice pem, err *e);
void key_free(struct key *k); /* wipes; NULL is fine */
/* Whether the first certificate of the chain was made for this key; -1: err. */
int key_matches(const struct key *k, slice chain_pem, err *e);

/*
 * Signs `text` by a TLS SignatureScheme (RFC 8446 4.2.3). ERR_DENIED: the text is not a server's handshake
 * text (key_text_check), or the scheme does not fit it or the key. The signature has its form on the wire.
 */
int key_tls_sign(const struct key *k, uint16_t scheme, slice text, struct buf *ret_signature, err *e);

enum key_text { KEY_TEXT_BAD, KEY_TEXT_TLS12, KEY_TEXT_TLS13 };
/*
 * Which handshake text this is. TLS 1.3 (RFC 8446 4.4.3): 64 spaces, "TLS 1.3, server CertificateVerify",
 * NUL, a hash of 32 or 48 bytes. TLS 1.2 (RFC 8422 5.4): client random, server random, and exactly one ECDH
 * public key on X25519, P-256 or P-384. Nothing can be both: after 64 bytes one has 'T', the other 3.
 * Finite-field DH is not offered, so not signed.
 */
enum key_text key_text_check(slice text);

/*
 * A P-256 key and a certificate signed by itself, for a start without any: valid from a day before now_s for
 * 397 days (the most that clients take). names: host names or IP addresses, at least one, at most
 * LIMIT_SELFSIGNED_NAMES. Both come out as PEM; ret_key holds a secret.
 */
int key_selfsigned_make(const slice *names, size_t n, int64_t now_s, struct buf *ret_key,
	struct buf *ret_certificate, err *e);

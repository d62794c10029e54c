#include "auth/key.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum kind { KIND_RSA, KIND_P256, KIND_P384, KIND_ED25519 };

struct key {
	enum kind kind;
	EVP_PKEY *pkey;
};

#define BIT(kind) (1u << (kind))

static const struct {
	uint16_t scheme;
	bool pss;
	uint8_t kinds_12, kinds_13; /* 1.3 ties the curve to the hash and has no PKCS#1 */
	const char *digest;
} schemes[] = {
	{0x0401, false, BIT(KIND_RSA), 0, "SHA256"},
	{0x0501, false, BIT(KIND_RSA), 0, "SHA384"},
	{0x0601, false, BIT(KIND_RSA), 0, "SHA512"},
	{0x0804, true, BIT(KIND_RSA), BIT(KIND_RSA), "SHA256"},
	{0x0805, true, BIT(KIND_RSA), BIT(KIND_RSA), "SHA384"},
	{0x0806, true, BIT(KIND_RSA), BIT(KIND_RSA), "SHA512"},
	{0x0403, false, BIT(KIND_P256) | BIT(KIND_P384), BIT(KIND_P256), "SHA256"},
	{0x0503, false, BIT(KIND_P256) | BIT(KIND_P384), BIT(KIND_P384), "SHA384"},
	{0x0807, false, BIT(KIND_ED25519), BIT(KIND_ED25519), NULL},
};

static int no_password(char *p, int n, int writing, void *arg)
{
	(void)p, (void)n, (void)writing, (void)arg;
	return -1;
}

static int kind_of(EVP_PKEY *p, enum kind *ret, err *e)
{
	char curve[32] = "";

	if (EVP_PKEY_is_a(p, "RSA")) {
		int bits = EVP_PKEY_get_bits(p);

		if (bits < 2048 || bits > 4096)
			return err_set(e, ERR_SYNTAX, "the RSA key has %d bits, not 2048 to 4096", bits);
		*ret = KIND_RSA;
		return 0;
	}
	if (EVP_PKEY_is_a(p, "ED25519")) {
		*ret = KIND_ED25519;
		return 0;
	}
	if (EVP_PKEY_is_a(p, "EC") && EVP_PKEY_get_group_name(p, curve, sizeof curve, NULL)) {
		if (!strcmp(curve, "prime256v1")) {
			*ret = KIND_P256;
			return 0;
		}
		if (!strcmp(curve, "secp384r1")) {
			*ret = KIND_P384;
			return 0;
		}
		return err_set(e, ERR_SYNTAX, "the key's curve is %s, not P-256 or P-384", curve);
	}
	return err_set(e, ERR_SYNTAX, "the key is neither RSA, P-256, P-384 nor Ed25519");
}

struct key *key_load(slice pem, err *e)
{
	BIO *in = pem.n && pem.n < 65536 ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	EVP_PKEY *p = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;
	struct key *k = NULL;
	enum kind kind;

	BIO_free(in);
	ERR_clear_error();
	if (!p)
		(void)err_set(e, ERR_SYNTAX,
			"no private key in the PEM text, or it is under a pass phrase (openssl pkey takes "
			"that off)");
	else if (kind_of(p, &kind, e) == 0 && !(k = calloc(1, sizeof *k)))
		(void)err_set(e, ERR_TEMP, "out of memory for a key");
	if (!k) {
		EVP_PKEY_free(p);
		return NULL;
	}
	k->kind = kind;
	k->pkey = p;
	return k;
}

void key_free(struct key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

int key_matches(const struct key *k, slice chain_pem, err *e)
{
	BIO *in =
		chain_pem.n && chain_pem.n < 1048576 ? BIO_new_mem_buf(chain_pem.p, (int)chain_pem.n) : NULL;
	X509 *leaf = in ? PEM_read_bio_X509(in, NULL, no_password, NULL) : NULL;
	bool same = leaf && EVP_PKEY_eq(X509_get0_pubkey(leaf), k->pkey) == 1;

	BIO_free(in);
	ERR_clear_error();
	if (!leaf)
		return err_set(e, ERR_SYNTAX, "no certificate in the PEM text");
	X509_free(leaf);
	return same ? 0 : err_set(e, ERR_SYNTAX, "the first certificate belongs to another key");
}

static int sign(const struct key *k, bool pss, const char *digest, slice text, struct buf *ret, err *e)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *param;
	size_t n = (size_t)EVP_PKEY_get_size(k->pkey);
	unsigned char *out = (unsigned char *)buf_room(ret, n);
	int ok = ctx && out && EVP_DigestSignInit_ex(ctx, &param, digest, NULL, NULL, k->pkey, NULL) == 1;

	if (ok && pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(param, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(param, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestSign(ctx, out, &n, (const unsigned char *)text.p, text.n) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	if (!ok)
		return err_set(e, ERR_IO, "OpenSSL did not sign");
	buf_grow(ret, n);
	return 0;
}

int key_tls_sign(const struct key *k, uint16_t scheme, slice text, struct buf *ret_signature, err *e)
{
	enum key_text kind = key_text_check(text);

	if (kind == KEY_TEXT_BAD)
		return err_set(e, ERR_DENIED, "what was to be signed is no TLS handshake text");
	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		unsigned kinds = kind == KEY_TEXT_TLS13 ? schemes[i].kinds_13 : schemes[i].kinds_12;

		if (schemes[i].scheme == scheme && kinds & BIT(k->kind))
			return sign(k, schemes[i].pss, schemes[i].digest, text, ret_signature, e);
	}
	return err_set(e, ERR_DENIED, "signature scheme 0x%04x does not fit the key or the text", scheme);
}

#include "auth/key.h"
#include "base/hash.h"
#include "limits.h"
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY       86400
#define DAYS      397 /* more is refused by clients (CA/Browser Forum, 6.3.2) */
#define NAME_ROOM 256

static bool name_plain(slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alpha(name.p[i]) && !ascii_is_digit(name.p[i]) && !memchr(".-:*", name.p[i], 4))
			return false;
	return name.n > 0 && name.n < NAME_ROOM;
}

static GENERAL_NAME *general_name(slice name)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_OCTET_STRING *ip;
	ASN1_IA5STRING *dns;
	char z[NAME_ROOM];

	memcpy(z, name.p, name.n);
	z[name.n] = '\0';
	ip = g ? a2i_IPADDRESS(z) : NULL;
	if (ip) {
		GENERAL_NAME_set0_value(g, GEN_IPADD, ip);
		return g;
	}
	dns = g ? ASN1_IA5STRING_new() : NULL;
	if (!dns || !ASN1_STRING_set(dns, z, (int)name.n)) {
		ASN1_IA5STRING_free(dns);
		GENERAL_NAME_free(g);
		return NULL;
	}
	GENERAL_NAME_set0_value(g, GEN_DNS, dns);
	return g;
}

static int add_names(X509 *x, const slice *names, size_t n)
{
	GENERAL_NAMES *all = GENERAL_NAMES_new();
	int ok = all != NULL;

	for (size_t i = 0; ok && i < n; i++) {
		GENERAL_NAME *g = general_name(names[i]);

		ok = g && sk_GENERAL_NAME_push(all, g) > 0;
		if (!ok)
			GENERAL_NAME_free(g);
	}
	ok = ok && X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, X509V3_ADD_DEFAULT) == 1;
	GENERAL_NAMES_free(all);
	return ok;
}

static int add_ext(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	int ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	return ok;
}

static int set_serial(X509 *x)
{
	uint8_t bytes[16];
	BIGNUM *n;
	int ok;

	random_bytes(bytes, sizeof bytes);
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, never zero */
	n = BN_bin2bn(bytes, sizeof bytes, NULL);
	ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
	BN_free(n);
	return ok;
}

static int fill(X509 *x, EVP_PKEY *key, const slice *names, size_t n, int64_t now_s)
{
	/* a common name has at most 64 bytes (RFC 5280, ub-common-name); the names proper are the alternative
	 * ones */
	slice cn = names[0].n <= 64 ? names[0] : S("posthouse");
	X509_NAME *subject = X509_get_subject_name(x);
	time_t from = (time_t)(now_s - DAY), to = from + (time_t)DAYS * DAY;

	return X509_set_version(x, X509_VERSION_3) && set_serial(x) &&
	       ASN1_TIME_set(X509_getm_notBefore(x), from) && ASN1_TIME_set(X509_getm_notAfter(x), to) &&
	       X509_set_pubkey(x, key) &&
	       X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, (const unsigned char *)cn.p,
		       (int)cn.n, -1, 0) &&
	       X509_set_issuer_name(x, subject) && add_ext(x, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_ext(x, NID_key_usage, "critical,digitalSignature") &&
	       add_ext(x, NID_ext_key_usage, "serverAuth") &&
	       add_ext(x, NID_subject_key_identifier, "hash") && add_names(x, names, n) &&
	       X509_sign(x, key, EVP_sha256()) > 0;
}

static int take_text(BIO *from, struct buf *ret)
{
	char *p;
	long n = from ? BIO_get_mem_data(from, &p) : 0;

	if (n > 0)
		buf_add(ret, slice_make(p, (size_t)n));
	return n > 0 && !ret->failed;
}

int key_selfsigned_make(
	const slice *names, size_t n, int64_t now_s, struct buf *ret_key, struct buf *ret_certificate, err *e)
{
	EVP_PKEY *key;
	X509 *x;
	BIO *key_text, *cert_text;
	int ok;

	for (size_t i = 0; i < n; i++)
		if (!name_plain(names[i]))
			return err_set(
				e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is no host name", SLICE_ARG(names[i]));
	if (n == 0 || n > LIMIT_SELFSIGNED_NAMES)
		return err_set(e, ERR_LIMIT, "a certificate takes 1 to %d names", LIMIT_SELFSIGNED_NAMES);
	key = EVP_EC_gen("P-256");
	x = X509_new();
	key_text = BIO_new(BIO_s_secmem());
	cert_text = BIO_new(BIO_s_mem());
	ok = key && x && key_text && cert_text && fill(x, key, names, n, now_s) &&
	     PEM_write_bio_PKCS8PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) &&
	     PEM_write_bio_X509(cert_text, x) && take_text(key_text, ret_key) &&
	     take_text(cert_text, ret_certificate);
	BIO_free(key_text);
	BIO_free(cert_text);
	X509_free(x);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok ? 0 : err_set(e, ERR_IO, "OpenSSL did not make a certificate");
}

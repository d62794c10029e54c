/*
 * An OpenSSL provider for keys whose private half is in another process: KEYMGMT and SIGNATURE for RSA, EC
 * and Ed25519.
 *
 * It implements digest-sign only and hands the whole text over, not a digest: who holds the key can then
 * refuse everything that is not a TLS handshake. There is no raw signing and no decryption, so none can be
 * asked for.
 */
#include "base/cleanup.h"
#include "io/tls_int.h"
#include <errno.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#define PARAM_KEY "posthouse-key" /* import parameter: pointer to the parts of a key */
/* 64 spaces, context and SHA-384 in 1.3: 146 bytes; randoms and ECDH parameters in 1.2: 201. DHE is not
 * offered. */
#define SIGN_TEXT_MAX 512

enum kind { KIND_RSA, KIND_EC, KIND_ED25519 };

static const char *const kind_names[] = {"RSA", "EC", "ED25519"};

struct remote_key {
	enum kind kind;
	EVP_PKEY *pub; /* in the default provider */
	uint32_t id;
	tls_sign_fn *sign; /* NULL: a bare public key, imported for a comparison */
	void *arg;
	int *error;
};

/* Key management */

static struct remote_key *key_new(enum kind kind)
{
	struct remote_key *k = calloc(1, sizeof *k);

	if (k)
		k->kind = kind;
	return k;
}

static void *key_new_rsa(void *provider)
{
	(void)provider;
	return key_new(KIND_RSA);
}

static void *key_new_ec(void *provider)
{
	(void)provider;
	return key_new(KIND_EC);
}

static void *key_new_ed25519(void *provider)
{
	(void)provider;
	return key_new(KIND_ED25519);
}

static void key_free(void *key)
{
	struct remote_key *k = key;

	if (k)
		EVP_PKEY_free(k->pub);
	free(k);
}

static int key_has(const void *key, int selection)
{
	const struct remote_key *k = key;

	if (!k->pub)
		return 0;
	return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || k->sign;
}

static int key_match(const void *a, const void *b, int selection)
{
	const struct remote_key *ka = a, *kb = b;

	(void)selection;
	return ka->pub && kb->pub && EVP_PKEY_eq(ka->pub, kb->pub) == 1;
}

/* Either our own parts, or the public numbers of a certificate's key that libssl wants compared. */
static int key_import(void *key, int selection, const OSSL_PARAM params[])
{
	struct remote_key *k = key;
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, PARAM_KEY);
	EVP_PKEY_CTX *ctx;
	const void *parts;
	size_t n;
	int ok;

	if (p) {
		if (!OSSL_PARAM_get_octet_ptr(p, &parts, &n) || n != sizeof *k)
			return 0;
		*k = *(const struct remote_key *)parts;
		return EVP_PKEY_up_ref(k->pub);
	}
	if (!(selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY))
		return 0;
	ctx = EVP_PKEY_CTX_new_from_name(NULL, kind_names[k->kind], "provider=default");
	ok = ctx && EVP_PKEY_fromdata_init(ctx) > 0 &&
	     EVP_PKEY_fromdata(ctx, &k->pub, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)params) > 0;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static int key_export(void *key, int selection, OSSL_CALLBACK *take, void *arg)
{
	const struct remote_key *k = key;

	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)
		return 0;
	return EVP_PKEY_export(k->pub, EVP_PKEY_PUBLIC_KEY, take, arg);
}

static const OSSL_PARAM *key_types_import(int selection)
{
	static const OSSL_PARAM types[] = {OSSL_PARAM_octet_ptr(PARAM_KEY, NULL, 0), OSSL_PARAM_END};

	(void)selection;
	return types;
}

static int key_get_params(void *key, OSSL_PARAM params[])
{
	const struct remote_key *k = key;

	return k->pub && EVP_PKEY_get_params(k->pub, params);
}

static const OSSL_PARAM *key_gettable(void *provider)
{
	static const OSSL_PARAM known[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)provider;
	return known;
}

static const char *key_operation_ec(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

/* Signing */

struct signing {
	const struct remote_key *key; /* lives as long as the EVP_PKEY that OpenSSL holds meanwhile */
	char digest[16];              /* "" for Ed25519 */
	bool pss;
	size_t n;
	char text[SIGN_TEXT_MAX];
};

static const struct {
	enum kind kind;
	bool pss;
	const char *digest;
	uint16_t scheme;
} schemes[] = {
	{KIND_RSA, true, "SHA2-256", 0x0804},
	{KIND_RSA, true, "SHA2-384", 0x0805},
	{KIND_RSA, true, "SHA2-512", 0x0806},
	{KIND_RSA, false, "SHA2-256", 0x0401},
	{KIND_RSA, false, "SHA2-384", 0x0501},
	{KIND_RSA, false, "SHA2-512", 0x0601},
	{KIND_EC, false, "SHA2-256", 0x0403},
	{KIND_EC, false, "SHA2-384", 0x0503},
	{KIND_ED25519, false, "", 0x0807},
};

static uint16_t scheme_of(const struct signing *s)
{
	for (size_t i = 0; i < COUNT_OF(schemes); i++)
		if (schemes[i].kind == s->key->kind && schemes[i].pss == s->pss &&
			!strcmp(schemes[i].digest, s->digest))
			return schemes[i].scheme;
	return 0;
}

static void *sign_new(void *provider, const char *propq)
{
	(void)provider, (void)propq;
	return calloc(1, sizeof(struct signing));
}

static void sign_free(void *ctx)
{
	free(ctx);
}

/* The padding arrives as a number or as a name, depending on who translates. */
static int sign_set_params(void *ctx, const OSSL_PARAM params[])
{
	struct signing *s = ctx;
	const OSSL_PARAM *p = params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
	const char *name = NULL;
	int pad = 0;

	if (!p)
		return 1;
	if (p->data_type == OSSL_PARAM_UTF8_STRING ? !OSSL_PARAM_get_utf8_string_ptr(p, &name)
						   : !OSSL_PARAM_get_int(p, &pad))
		return 0;
	if (name)
		pad = !strcmp(name, OSSL_PKEY_RSA_PAD_MODE_PSS)       ? RSA_PKCS1_PSS_PADDING
		      : !strcmp(name, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) ? RSA_PKCS1_PADDING
								      : 0;
	if (pad != RSA_PKCS1_PSS_PADDING && pad != RSA_PKCS1_PADDING)
		return 0;
	s->pss = pad == RSA_PKCS1_PSS_PADDING;
	return 1;
}

/* The salt's length is not stored: a TLS scheme fixes it to the digest's, and the other side signs by the
 * scheme. */
static const OSSL_PARAM *sign_settable(void *ctx, void *provider)
{
	static const OSSL_PARAM known[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)ctx, (void)provider;
	return known;
}

static int sign_init(void *ctx, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signing *s = ctx;
	EVP_MD *md;

	s->key = key;
	s->n = 0;
	s->digest[0] = '\0';
	if (digest && *digest) { /* one spelling: "SHA256" and "SHA2-256" are the same */
		md = EVP_MD_fetch(NULL, digest, NULL);
		if (!md)
			return 0;
		(void)snprintf(s->digest, sizeof s->digest, "%s", EVP_MD_get0_name(md));
		EVP_MD_free(md);
	}
	return sign_set_params(s, params);
}

static int sign_update(void *ctx, const unsigned char *p, size_t n)
{
	struct signing *s = ctx;

	if (n > sizeof s->text - s->n)
		return 0;
	if (n)
		memcpy(s->text + s->n, p, n);
	s->n += n;
	return 1;
}

/* Parks in the callback. What OpenSSL left in this thread's error queue must not meet other fibers' errors.
 */
static int sign_final(void *ctx, unsigned char *sig, size_t *sig_n, size_t room)
{
	struct signing *s = ctx;
	const struct remote_key *k = s->key;
	size_t max = (size_t)EVP_PKEY_get_size(k->pub);
	uint16_t scheme = scheme_of(s);
	struct buf out = BUF_INIT(max);
	int rc;

	if (!sig) {
		*sig_n = max;
		return 1;
	}
	if (!k->sign || !scheme || room < max)
		return 0;
	ERR_clear_error();
	rc = k->sign(k->arg, k->id, scheme, slice_make(s->text, s->n), &out);
	ERR_clear_error();
	if (rc >= 0 && (out.failed || !out.n))
		rc = -EPROTO;
	*k->error = rc < 0 ? rc : 0;
	if (rc >= 0) {
		memcpy(sig, out.p, out.n);
		*sig_n = out.n;
	}
	buf_free(&out);
	return rc >= 0;
}

static int sign_once(
	void *ctx, unsigned char *sig, size_t *sig_n, size_t room, const unsigned char *text, size_t text_n)
{
	struct signing *s = ctx;

	if (!sig)
		return sign_final(s, NULL, sig_n, room);
	s->n = 0;
	return sign_update(s, text, text_n) && sign_final(s, sig, sig_n, room);
}

/* Tables */

#define FN(id, fn)                                                                                           \
	{                                                                                                    \
		(id), (void (*)(void))(fn)                                                                   \
	}

#define KEY_FUNCTIONS(create, operation)                                                                     \
	FN(OSSL_FUNC_KEYMGMT_NEW, create), FN(OSSL_FUNC_KEYMGMT_FREE, key_free),                             \
		FN(OSSL_FUNC_KEYMGMT_HAS, key_has), FN(OSSL_FUNC_KEYMGMT_MATCH, key_match),                  \
		FN(OSSL_FUNC_KEYMGMT_IMPORT, key_import),                                                    \
		FN(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_types_import),                                        \
		FN(OSSL_FUNC_KEYMGMT_EXPORT, key_export),                                                    \
		FN(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_types_import),                                        \
		FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                                            \
		FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable),                                         \
		FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, operation),                                       \
	{                                                                                                    \
		0, NULL                                                                                      \
	}

static const OSSL_DISPATCH keys_rsa[] = {KEY_FUNCTIONS(key_new_rsa, NULL)};
static const OSSL_DISPATCH keys_ec[] = {KEY_FUNCTIONS(key_new_ec, key_operation_ec)};
static const OSSL_DISPATCH keys_ed25519[] = {KEY_FUNCTIONS(key_new_ed25519, NULL)};

static const OSSL_DISPATCH signatures[] = {
	FN(OSSL_FUNC_SIGNATURE_NEWCTX, sign_new),
	FN(OSSL_FUNC_SIGNATURE_FREECTX, sign_free),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, sign_init),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, sign_update),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, sign_final),
	FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sign_once),
	FN(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, sign_set_params),
	FN(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, sign_settable),
	{0, NULL},
};

#define PROPERTIES "provider=posthouse"

/* libssl knows a key's kind by these names. */
static const OSSL_ALGORITHM algorithms_key[] = {
	{"RSA:rsaEncryption", PROPERTIES, keys_rsa, "RSA, private half elsewhere"},
	{"EC:id-ecPublicKey", PROPERTIES, keys_ec, "EC, private half elsewhere"},
	{"ED25519", PROPERTIES, keys_ed25519, "Ed25519, private half elsewhere"},
	{NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM algorithms_sign[] = {
	{"RSA:rsaEncryption", PROPERTIES, signatures, "asks the holder of the key"},
	{"ECDSA", PROPERTIES, signatures, "asks the holder of the key"},
	{"ED25519", PROPERTIES, signatures, "asks the holder of the key"},
	{NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *provider_query(void *provider, int operation, int *no_store)
{
	(void)provider;
	*no_store = 0;
	return operation == OSSL_OP_KEYMGMT     ? algorithms_key
	       : operation == OSSL_OP_SIGNATURE ? algorithms_sign
						: NULL;
}

static const OSSL_DISPATCH provider_functions[] = {
	FN(OSSL_FUNC_PROVIDER_QUERY_OPERATION, provider_query),
	{0, NULL},
};

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
	void **ret_context)
{
	(void)in;
	*out = provider_functions;
	*ret_context = (void *)(uintptr_t)handle; /* must not be NULL; nothing here uses it */
	return 1;
}

int tls_provider_load(err *e)
{
	/* OpenSSL's own state is the process's, so are these: unloading them would leave keys without their
	 * functions. */
	static OSSL_PROVIDER *kept[2];

	if (kept[1])
		return 0;
	/*
	 * The preference: everything that is not explicitly ours (peers' keys, verification) is done by
	 * OpenSSL itself, although both providers know the same names.
	 */
	kept[0] = OSSL_PROVIDER_load(NULL, "default");
	if (kept[0] && OSSL_PROVIDER_add_builtin(NULL, "posthouse", provider_init))
		kept[1] = OSSL_PROVIDER_load(NULL, "posthouse");
	if (!kept[1] || !EVP_set_default_properties(NULL, "?provider=default")) {
		ERR_clear_error();
		return err_set(e, ERR_IO, "OpenSSL did not take the key provider");
	}
	return 0;
}

EVP_PKEY *tls_provider_key(EVP_PKEY *pub, uint32_t key_id, tls_sign_fn *sign, void *arg, int *error, err *e)
{
	struct remote_key parts = {.pub = pub, .id = key_id, .sign = sign, .arg = arg, .error = error};
	struct remote_key *ptr = &parts;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_ptr(PARAM_KEY, (void **)&ptr, sizeof parts), OSSL_PARAM_END};
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *key = NULL;

	while (!EVP_PKEY_is_a(pub, kind_names[parts.kind]))
		if (++parts.kind == COUNT_OF(kind_names)) {
			(void)err_set(e, ERR_SYNTAX, "the certificate's key is neither RSA, EC nor Ed25519");
			return NULL;
		}
	ctx = EVP_PKEY_CTX_new_from_name(NULL, kind_names[parts.kind], PROPERTIES);
	if (!ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) <= 0)
		(void)err_set(e, ERR_IO, "OpenSSL did not take the key");
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return key;
}

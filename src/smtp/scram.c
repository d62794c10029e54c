#include "smtp/scram.h"
#include "base/encode.h"
#include "base/hash.h"
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

void smtp_scram_begin(struct smtp_scram *s, slice secret, const char *nonce)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t random[SCRAM_NONCE];

	*s = (struct smtp_scram){.secret = secret, .auth = BUF_INIT(3 * SCRAM_MESSAGE)};
	random_bytes(random, sizeof random);
	for (size_t i = 0; i < SCRAM_NONCE && (!nonce || nonce[i]); i++)
		s->nonce[i] = nonce ? nonce[i] : letters[random[i] % 64];
}

void smtp_scram_end(struct smtp_scram *s)
{
	if (s->auth.p)
		OPENSSL_cleanse(s->auth.p, s->auth.cap);
	buf_free(&s->auth);
	OPENSSL_cleanse(s, sizeof *s);
}

bool smtp_scram_first(struct smtp_scram *s, slice user, struct buf *out)
{
	buf_addz(&s->auth, "n=");
	for (size_t i = 0; i < user.n; i++)
		if (user.p[i] == '=' || user.p[i] == ',')
			buf_addz(&s->auth, user.p[i] == '=' ? "=3D" : "=2C");
		else
			buf_add_c(&s->auth, user.p[i]);
	buf_addf(&s->auth, ",r=%s", s->nonce);
	buf_addz(out, "n,,");
	buf_add(out, buf_slice(&s->auth));
	return !s->auth.failed && !out->failed;
}

/* Takes "x=value" off the head of a message, up to the comma. */
static bool take_field(slice *message, char name, slice *ret)
{
	slice field = *message;

	if (slice_cut(message, ',', &field) == false)
		*message = slice_skip(*message, message->n);
	if (field.n < 2 || field.p[0] != name || field.p[1] != '=')
		return false;
	*ret = slice_skip(field, 2);
	return true;
}

static bool take_salt(struct smtp_scram *s, slice text)
{
	struct buf salt = BUF_INIT(sizeof s->salt);
	bool ok = base64_decode(&salt, text) && !salt.failed && salt.n > 0;

	if (ok)
		memcpy(s->salt, salt.p, salt.n);
	s->salt_n = ok ? salt.n : 0;
	buf_free(&salt);
	return ok;
}

const char *smtp_scram_server_first(struct smtp_scram *s, slice message)
{
	slice whole = message, nonce, salt, rounds;
	uint32_t n;

	if (message.n > SCRAM_MESSAGE || !take_field(&message, 'r', &nonce) ||
		!take_field(&message, 's', &salt) || !take_field(&message, 'i', &rounds) ||
		!slice_to_u32(rounds, UINT32_MAX, &n))
		return "the server's SCRAM message is malformed"; /* "m=" included: RFC 5802 5.1 */
	if (nonce.n <= strlen(s->nonce) || !slice_starts(nonce, slice_of(s->nonce)))
		return "the server's SCRAM nonce is not made of ours";
	if (!take_salt(s, salt))
		return "the server's SCRAM salt is malformed";
	if (n < SCRAM_ROUNDS)
		return "the server asks for so few SCRAM rounds that the password could be guessed";
	if (n > SCRAM_ROUNDS_MAX)
		return "the server asks for too many SCRAM rounds";
	s->rounds = n;
	buf_add_c(&s->auth, ',');
	buf_add(&s->auth, whole);
	buf_addz(&s->auth, ",c=biws,r="); /* biws: "n,,", no channel binding */
	buf_add(&s->auth, nonce);
	return s->auth.failed ? "the server's SCRAM message is too long" : NULL;
}

void smtp_scram_derive(void *scram)
{
	struct smtp_scram *s = scram;

	s->derived = PKCS5_PBKDF2_HMAC(s->secret.p, (int)s->secret.n, s->salt, (int)s->salt_n, (int)s->rounds,
			     EVP_sha256(), sizeof s->salted, s->salted) == 1;
	ERR_clear_error();
}

static bool mac(const uint8_t key[SCRAM_KEY], slice text, uint8_t ret[SCRAM_KEY])
{
	unsigned n = 0;

	return HMAC(EVP_sha256(), key, SCRAM_KEY, (const unsigned char *)text.p, text.n, ret, &n) &&
	       n == SCRAM_KEY;
}

bool smtp_scram_final(struct smtp_scram *s, struct buf *out)
{
	uint8_t client[SCRAM_KEY], stored[SCRAM_KEY], proof[SCRAM_KEY];
	slice text = buf_slice(&s->auth);
	ptrdiff_t at = slice_find(text, S(",c=biws,r=")); /* a nonce holds no comma */
	bool ok = s->derived && at >= 0 && mac(s->salted, S("Client Key"), client) &&
		  SHA256(client, sizeof client, stored) && mac(stored, text, proof);

	if (ok) {
		for (size_t i = 0; i < sizeof proof; i++)
			proof[i] ^= client[i];
		buf_add(out, slice_skip(text, (size_t)at + 1));
		buf_addz(out, ",p=");
		base64_encode(out, slice_make(proof, sizeof proof));
	}
	OPENSSL_cleanse(client, sizeof client);
	OPENSSL_cleanse(stored, sizeof stored);
	return ok && !out->failed;
}

bool smtp_scram_verify(struct smtp_scram *s, slice message)
{
	uint8_t server[SCRAM_KEY], signature[SCRAM_KEY];
	struct buf said = BUF_INIT(64);
	slice v;
	bool ok = message.n <= SCRAM_MESSAGE && take_field(&message, 'v', &v) && base64_decode(&said, v) &&
		  said.n == sizeof signature && s->derived && mac(s->salted, S("Server Key"), server) &&
		  mac(server, buf_slice(&s->auth), signature) &&
		  secret_eq(said.p, signature, sizeof signature);

	OPENSSL_cleanse(server, sizeof server);
	buf_free(&said);
	return ok;
}

#include "auth/scram.h"
#include "base/encode.h"
#include "base/hash.h"
#include "limits.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#define NONCE 18 /* bytes of ours: 144 bits, 24 characters */

struct place {
	uint8_t id[SCRAM_EXCHANGE_SIZE];
	uint64_t until; /* 0: free */
	struct scram_exchange x;
	char *text; /* name, then server_first */
};

struct scram_exchanges {
	struct place all[LIMIT_SCRAM_EXCHANGES];
};

struct scram_exchanges *scram_exchanges_new(void)
{
	return calloc(1, sizeof(struct scram_exchanges));
}

void scram_exchanges_free(struct scram_exchanges *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < LIMIT_SCRAM_EXCHANGES; i++)
		free(x->all[i].text);
	free(x);
}

void scram_server_first(const struct verifier_scram *v, slice client, struct buf *out)
{
	uint8_t nonce[NONCE];

	random_bytes(nonce, sizeof nonce);
	buf_addz(out, "r=");
	buf_add(out, client);
	base64_encode(out, slice_make(nonce, sizeof nonce));
	buf_addz(out, ",s=");
	base64_encode(out, slice_make(v->salt, SALT_SIZE));
	buf_addf(out, ",i=%u", v->iterations);
}

static bool same_net(const uint8_t a[16], const uint8_t b[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(a, b, memcmp(a, mapped, sizeof mapped) == 0 ? 16 : 8) == 0;
}

int scram_exchange_begin(struct scram_exchanges *x, const struct scram_exchange *given, bool local,
	uint64_t now_ms, uint8_t ret_id[SCRAM_EXCHANGE_SIZE], err *e)
{
	struct place *at = NULL;
	unsigned of_one = 0;
	size_t n = given->name.n, m = given->server_first.n;

	for (size_t i = 0; i < LIMIT_SCRAM_EXCHANGES; i++) {
		struct place *p = &x->all[i];

		if (p->until <= now_ms)
			at = at ? at : p;
		else
			of_one += same_net(p->x.address, given->address);
	}
	if (!at || (!local && of_one >= LIMIT_SCRAM_OF_ONE))
		return err_set(e, ERR_TEMP, "too many log-ins at once");
	char *text = malloc(n + m + 1);
	if (!text)
		return err_set(e, ERR_TEMP, "out of memory");
	if (n)
		memcpy(text, given->name.p, n);
	if (m)
		memcpy(text + n, given->server_first.p, m);
	free(at->text);
	*at = (struct place){.until = now_ms + SCRAM_EXCHANGE_TTL_MS, .x = *given, .text = text};
	at->x.name = slice_make(text, n);
	at->x.server_first = slice_make(text + n, m);
	random_bytes(at->id, sizeof at->id);
	memcpy(ret_id, at->id, sizeof at->id);
	return 0;
}

int scram_exchange_take(struct scram_exchanges *x, const uint8_t id[SCRAM_EXCHANGE_SIZE], uint8_t protocol,
	uint64_t session, uint64_t now_ms, struct scram_exchange *ret, err *e)
{
	struct place found = {0};

	for (size_t i = 0; i < LIMIT_SCRAM_EXCHANGES; i++)
		if (x->all[i].until > now_ms && secret_eq(x->all[i].id, id, SCRAM_EXCHANGE_SIZE)) {
			found = x->all[i];
			x->all[i] = (struct place){0};
			break;
		}
	if (!found.until || found.x.protocol != protocol || found.x.session != session) {
		free(found.text);
		return err_set(e, ERR_DENIED, "no such log-in is under way");
	}
	*ret = found.x;
	return 0;
}

void scram_exchange_end(struct scram_exchange *taken)
{
	free((char *)(uintptr_t)taken->name.p); /* the one block: see struct place */
	*taken = (struct scram_exchange){0};
}

static bool mac(const uint8_t key[HASH_SIZE], slice text, uint8_t ret[HASH_SIZE])
{
	unsigned n = 0;

	return HMAC(EVP_sha256(), key, HASH_SIZE, (const uint8_t *)text.p, text.n, ret, &n) && n == HASH_SIZE;
}

bool scram_proves(const struct verifier_scram *v, slice bare, slice server_first, slice unproven,
	const uint8_t proof[HASH_SIZE], uint8_t ret_signature[HASH_SIZE])
{
	struct buf text = BUF_INIT(2 * (size_t)LIMIT_SCRAM_MESSAGE + 1024);
	uint8_t client[HASH_SIZE], stored[HASH_SIZE], signature[HASH_SIZE];
	unsigned n;

	buf_add(&text, bare);
	buf_add_c(&text, ',');
	buf_add(&text, server_first);
	buf_add_c(&text, ',');
	buf_add(&text, unproven);
	bool ok = !text.failed && mac(v->stored_key, buf_slice(&text), client) &&
		  mac(v->server_key, buf_slice(&text), signature);
	for (size_t i = 0; i < HASH_SIZE && ok; i++)
		client[i] ^= proof[i];
	ok = ok && EVP_Digest(client, HASH_SIZE, stored, &n, EVP_sha256(), NULL) == 1 &&
	     secret_eq(stored, v->stored_key, HASH_SIZE);
	if (ok)
		memcpy(ret_signature, signature, HASH_SIZE);
	OPENSSL_cleanse(client, sizeof client);
	OPENSSL_cleanse(signature, sizeof signature);
	buf_free(&text);
	return ok;
}

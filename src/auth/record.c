#include "auth/record.h"
#include "base/hash.h"
#include "base/wire.h"
#include "limits.h"
#include <argon2.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/mman.h>

/* OWASP's and RFC 9106's second choice: 33 ms here; raise it and new secrets get it, old ones keep theirs. */
#define ARGON_MEMORY_KIB 19456
#define ARGON_PASSES     2
#define ARGON_LANES      1
/* Above RFC 7677's least of 4096. The client pays the same at each log-in. */
#define SCRAM_ITERATIONS 10000

/* What a record may ask for. */
#define ARGON_MEMORY_MAX 262144
#define ARGON_PASSES_MAX 16
#define ARGON_LANES_MAX  4
#define SCRAM_LEAST      4096
#define SCRAM_MOST       1000000

_Static_assert(
	ARGON_MEMORY_KIB <= ARGON_MEMORY_MAX && SCRAM_ITERATIONS >= SCRAM_LEAST, "our own costs are allowed");

static void put(struct buf *out, const uint8_t *p, size_t n)
{
	wire_put_raw(out, slice_make(p, n));
}

void record_write(const struct record *r, struct buf *out)
{
	size_t from = out->n;

	wire_put_u8(out, RECORD_VERSION);
	wire_put_u8(out, r->scram.iterations ? 2 : 1);
	wire_put_u8(out, VERIFIER_ARGON2ID);
	wire_put_u32(out, r->argon.memory_kib);
	wire_put_u32(out, r->argon.passes);
	wire_put_u32(out, r->argon.lanes);
	put(out, r->argon.salt, SALT_SIZE);
	put(out, r->argon.hash, HASH_SIZE);
	if (r->scram.iterations) {
		wire_put_u8(out, VERIFIER_SCRAM_SHA_256);
		wire_put_u32(out, r->scram.iterations);
		put(out, r->scram.salt, SALT_SIZE);
		put(out, r->scram.stored_key, HASH_SIZE);
		put(out, r->scram.server_key, HASH_SIZE);
	}
	wire_seal(out, from);
}

static void take(struct rd *r, uint8_t *p, size_t n)
{
	slice s = rd_raw(r, n);

	if (s.n == n)
		memcpy(p, s.p, n);
}

static bool read_argon(struct rd *in, struct verifier_argon2id *v)
{
	v->memory_kib = rd_u32(in);
	v->passes = rd_u32(in);
	v->lanes = rd_u32(in);
	take(in, v->salt, SALT_SIZE);
	take(in, v->hash, HASH_SIZE);
	return !in->bad && v->lanes >= 1 && v->lanes <= ARGON_LANES_MAX && v->passes >= 1 &&
	       v->passes <= ARGON_PASSES_MAX && v->memory_kib >= 8 * v->lanes &&
	       v->memory_kib <= ARGON_MEMORY_MAX;
}

static bool read_scram(struct rd *in, struct verifier_scram *v)
{
	v->iterations = rd_u32(in);
	take(in, v->salt, SALT_SIZE);
	take(in, v->stored_key, HASH_SIZE);
	take(in, v->server_key, HASH_SIZE);
	return !in->bad && v->iterations >= SCRAM_LEAST && v->iterations <= SCRAM_MOST;
}

int record_read(slice raw, struct record *ret, err *e)
{
	struct record r = {0};
	struct rd in;
	uint8_t count;
	bool good = wire_unseal(&raw);

	in = rd_of(raw);
	if (!good || rd_u8(&in) != RECORD_VERSION)
		return err_set(e, ERR_CORRUPT, "a record of secrets is damaged or of a newer version");
	count = rd_u8(&in);
	for (uint8_t i = 0; good && i < count; i++) {
		uint8_t kind = rd_u8(&in);

		if (kind == VERIFIER_ARGON2ID && !r.argon.passes)
			good = read_argon(&in, &r.argon);
		else if (kind == VERIFIER_SCRAM_SHA_256 && !r.scram.iterations)
			good = read_scram(&in, &r.scram);
		else
			good = false;
	}
	if (!good || !rd_done(&in) || !r.argon.passes)
		return err_set(e, ERR_CORRUPT, "a record of secrets holds what it may not");
	*ret = r;
	return 0;
}

bool scram_derive(slice secret, struct verifier_scram *v)
{
	uint8_t salted[HASH_SIZE], client_key[HASH_SIZE];
	unsigned n;
	bool ok =
		PKCS5_PBKDF2_HMAC(secret.p, (int)secret.n, v->salt, SALT_SIZE, (int)v->iterations,
			EVP_sha256(), HASH_SIZE, salted) == 1 &&
		HMAC(EVP_sha256(), salted, HASH_SIZE, (const uint8_t *)"Client Key", 10, client_key, &n) &&
		HMAC(EVP_sha256(), salted, HASH_SIZE, (const uint8_t *)"Server Key", 10, v->server_key, &n) &&
		EVP_Digest(client_key, HASH_SIZE, v->stored_key, &n, EVP_sha256(), NULL) == 1;

	explicit_bzero(salted, sizeof salted);
	explicit_bzero(client_key, sizeof client_key);
	return ok;
}

/*
 * A hash's memory comes straight from the system and goes back at once: malloc would keep it (78 MiB after
 * four). Huge pages save the 4,864 page faults, a third of the time.
 */
static int take_memory(uint8_t **ret, size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*ret = p == MAP_FAILED ? NULL : p;
	if (*ret)
		(void)madvise(p, n, MADV_HUGEPAGE);
	return *ret ? ARGON2_OK : ARGON2_MEMORY_ALLOCATION_ERROR;
}

static void give_memory(uint8_t *p, size_t n)
{
	munmap(p, n);
}

/* The library's types want pointers to what it does not change; it does not clear the secret without being
 * told to. */
static bool argon(const struct verifier_argon2id *v, slice secret, uint8_t hash[HASH_SIZE])
{
	uint8_t salt[SALT_SIZE];
	argon2_context c = {
		.out = hash,
		.outlen = HASH_SIZE,
		.pwd = (uint8_t *)(uintptr_t)secret.p,
		.pwdlen = (uint32_t)secret.n,
		.salt = salt,
		.saltlen = SALT_SIZE,
		.t_cost = v->passes,
		.m_cost = v->memory_kib,
		.lanes = v->lanes,
		.threads = 1,
		.version = ARGON2_VERSION_13,
		.allocate_cbk = take_memory,
		.free_cbk = give_memory,
		.flags = ARGON2_DEFAULT_FLAGS,
	};

	memcpy(salt, v->salt, sizeof salt);
	return argon2_ctx(&c, Argon2_id) == ARGON2_OK;
}

static struct record todays_costs(void)
{
	struct record r = {
		.argon = {.memory_kib = ARGON_MEMORY_KIB, .passes = ARGON_PASSES, .lanes = ARGON_LANES},
		.scram = {.iterations = SCRAM_ITERATIONS},
	};

	random_bytes(r.argon.salt, SALT_SIZE);
	random_bytes(r.scram.salt, SALT_SIZE);
	return r;
}

void record_decoy(struct record *ret)
{
	*ret = todays_costs();
	random_bytes(ret->argon.hash, HASH_SIZE);
	random_bytes(ret->scram.stored_key, HASH_SIZE);
	random_bytes(ret->scram.server_key, HASH_SIZE);
}

int record_make(slice secret, struct record *ret)
{
	struct record r = todays_costs();

	if (!argon(&r.argon, secret, r.argon.hash) || !scram_derive(secret, &r.scram))
		return -1;
	*ret = r;
	return 0;
}

int record_check(const struct record *r, slice secret)
{
	uint8_t hash[HASH_SIZE];
	bool ok = argon(&r->argon, secret, hash);
	bool same = ok && secret_eq(hash, r->argon.hash, HASH_SIZE);

	explicit_bzero(hash, sizeof hash);
	return ok ? same : -1;
}

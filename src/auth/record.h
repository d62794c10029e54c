/*
 * The record of one account's secrets as it lies on disk: a list of verifiers. Pure; nothing parks.
 *
 *   u8 version, u8 count, then each verifier: u8 kind, its fields (base/wire.h); a CRC32C at the end.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define RECORD_VERSION 1
#define SALT_SIZE      16
#define HASH_SIZE      32

enum verifier_kind { VERIFIER_ARGON2ID = 1, VERIFIER_SCRAM_SHA_256 = 2 };

struct verifier_argon2id { /* RFC 9106 */
	uint32_t memory_kib, passes, lanes;
	uint8_t salt[SALT_SIZE], hash[HASH_SIZE];
};

struct verifier_scram { /* RFC 5802, RFC 7677 */
	uint32_t iterations;
	uint8_t salt[SALT_SIZE], stored_key[HASH_SIZE], server_key[HASH_SIZE];
};

struct record {
	struct verifier_argon2id argon; /* always there */
	struct verifier_scram scram;    /* iterations 0: there is none */
};

void record_write(const struct record *r, struct buf *out);
/*
 * ERR_CORRUPT: damaged, without an argon2id verifier, or with costs outside of what this program ever wrote
 * (so that a damaged record cannot ask for a gigabyte). Verifiers of unknown kinds are refused too: a newer
 * version has written it.
 */
int record_read(slice raw, struct record *ret, err *e);

/*
 * New verifiers of a secret, with fresh salts and today's costs. Takes some 40 ms and 19 MiB: on a worker
 * only. -1: out of memory.
 */
int record_make(slice secret, struct record *ret);
/* One that no secret fits and that costs a check as much as any: random bytes in place of hashes. Hashes
 * nothing itself. */
void record_decoy(struct record *ret);
/* Whether the secret is the record's; as long and as large as record_make. 1 yes, 0 no, -1 out of memory. */
int record_check(const struct record *r, slice secret);

/* SCRAM's keys from a secret (RFC 5802 3). False: OpenSSL failed. */
bool scram_derive(slice secret, struct verifier_scram *v);

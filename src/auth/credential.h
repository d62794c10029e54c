/*
 * The secrets of accounts: verifiers in an LMDB folder of the auth role's own, and the checking of passwords
 * on the worker pool. Never a clear secret on disk; in memory only for the length of a call.
 *
 * Wrong password, unknown user and account without a secret give the same answer after the same work. A good
 * secret is remembered for 10 minutes as a keyed hash under a key of this start; a change of the account's
 * epoch or of its record ends that. The same wrong secret tried again is refused without a hash. When too
 * many checks wait: ERR_TEMP.
 */
#pragma once
#include "base/cleanup.h"
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stdint.h>

struct credentials;

/*
 * Opens or makes the store in `folder` (relative to the working directory; it must be there). threads: the
 * pool's, which bounds the hashes at once (1 to LIMIT_HASH_THREADS).
 * NULL: err; ERR_CORRUPT when the store is of a newer version.
 */
MUST_USE struct credentials *credentials_open(const char *folder, unsigned threads, err *e);
void credentials_close(struct credentials *c); /* no call may be under way; NULL is fine */

/*
 * Sets the account's one secret (1 to LIMIT_SECRET bytes) and makes all its verifiers; durable when it
 * returns 0. Old sessions are ended by the caller, through the account's epoch. ERR_LIMIT, ERR_TEMP, ERR_IO.
 */
PARKS int secret_set(struct credentials *c, uint32_t account, slice secret, err *e);
/* Removes it; 0 also when there was none. Durable. */
PARKS int secret_remove(struct credentials *c, uint32_t account, err *e);
/* Whether the account has one. 1, 0, -1. */
int secret_exists(struct credentials *c, uint32_t account, err *e);

struct secret_question {
	uint32_t account; /* 0: no such user; the work is done all the same */
	uint32_t epoch;   /* the account's */
	slice name; /* as the client said it: tells unknown users apart in the memory of wrong secrets */
	slice secret;
	uint8_t address[16]; /* the client's, IPv4 mapped; from a lately good one the check goes first */
};

/*
 * 0: the secret is right. -1: ERR_DENIED (it is not, for whatever reason; e->text is the same for all of
 * them), ERR_TEMP (too many checks wait, or out of memory: [UNAVAILABLE]), ERR_CORRUPT, ERR_CANCELED. The
 * caller still has to look whether the account may log in, after and not before, and counts the failure
 * (auth/guess.h).
 */
PARKS int secret_check(struct credentials *c, const struct secret_question *q, err *e);

struct verifier_scram;
/*
 * The SCRAM verifier of the account (auth/record.h). 1; 0: there is none (account 0: no such user), and *ret
 * is one that no proof fits, with a salt that is always the same for this name (ASCII case folded), so that
 * nobody learns who has an account; -1. Both take as long.
 */
int secret_scram(struct credentials *c, uint32_t account, slice name, struct verifier_scram *ret, err *e);
/* A SCRAM log-in from this address was good: its next checks go first, as after secret_check. */
void secret_good_address(struct credentials *c, const uint8_t address[16]);

struct credentials_stats {
	uint64_t hashed, remembered_good, remembered_bad, refused_busy;
	unsigned running, waiting;
};
void credentials_stats(const struct credentials *c, struct credentials_stats *ret);

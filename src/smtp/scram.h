/*
 * The client's side of SCRAM-SHA-256 (RFC 5802, 7677), without channel binding. Pure texts; only the derived
 * key takes long and is computed apart. Nothing here parks.
 *
 * Order: smtp_scram_first, the server's first message to smtp_scram_server_first, smtp_scram_derive (on the
 * worker pool), smtp_scram_final, the server's last message to smtp_scram_verify.
 */
#pragma once
#include "base/buf.h"

#define SCRAM_NONCE   24 /* characters of our own */
#define SCRAM_SALT    256
#define SCRAM_ROUNDS  4096 /* RFC 7677 4: at least */
#define SCRAM_MESSAGE 3072 /* bytes of any message */
#define SCRAM_KEY     32
/* A server that asks for more only wants to see us work: some 150 ms of a core. */
#define SCRAM_ROUNDS_MAX 600000

struct smtp_scram {
	char nonce[SCRAM_NONCE + 1];
	slice secret; /* the caller's */
	struct buf
		auth; /* AuthMessage as it grows: client-first-bare,server-first,client-final-without-proof */
	uint8_t salt[SCRAM_SALT];
	size_t salt_n;
	unsigned rounds;
	uint8_t salted[SCRAM_KEY];
	bool derived;
};

/* nonce: up to SCRAM_NONCE printable characters without comma, for tests; NULL: random ones. */
void smtp_scram_begin(struct smtp_scram *s, slice secret, const char *nonce);
void smtp_scram_end(struct smtp_scram *s); /* wipes */
bool smtp_scram_first(struct smtp_scram *s, slice user, struct buf *out);
/* NULL, or a sentence about what is wrong with it. */
const char *smtp_scram_server_first(struct smtp_scram *s, slice message);
void smtp_scram_derive(void *scram); /* of struct smtp_scram; may run on any thread */
bool smtp_scram_final(struct smtp_scram *s, struct buf *out);
/* Did the server prove that it knows the secret, too? */
bool smtp_scram_verify(struct smtp_scram *s, slice message);

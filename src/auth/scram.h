/*
 * SCRAM-SHA-256 log-ins between their two questions (RFC 5802, 7677), and the check of a proof. Bounded; an
 * exchange is good once, for a minute, and for the frontend and protocol that began it. Nothing parks.
 */
#pragma once
#include "auth/record.h"

#define SCRAM_EXCHANGE_SIZE   16
#define SCRAM_EXCHANGE_TTL_MS 60000

struct scram_exchanges;

struct scram_exchange {
	uint64_t session; /* what tells the sessions of a frontend apart */
	uint8_t protocol;
	bool other;          /* the client asked to act as somebody else */
	uint8_t address[16]; /* the client's; IPv4 mapped */
	slice name;          /* as the client said it */
	slice server_first;  /* server-first-message; its nonce is ours, so no old proof fits it */
};

struct scram_exchanges *scram_exchanges_new(void); /* NULL: out of memory */
void scram_exchanges_free(struct scram_exchanges *x);

/* "r=...,s=...,i=..." with a nonce of ours behind the client's. client: valid by RFC 5802 7, at most
 * LIMIT_SCRAM_NONCE. */
void scram_server_first(const struct verifier_scram *v, slice client, struct buf *out);
/*
 * Keeps the exchange, slices copied. local: of this machine, not counted by address. ERR_TEMP: too many, in
 * all or of this address.
 */
int scram_exchange_begin(struct scram_exchanges *x, const struct scram_exchange *given, bool local,
	uint64_t now_ms, uint8_t ret_id[SCRAM_EXCHANGE_SIZE], err *e);
/*
 * Takes it out, whatever comes of it; ret's slices live until scram_exchange_end. ERR_DENIED: unknown, used,
 * expired, or of another session or protocol.
 */
int scram_exchange_take(struct scram_exchanges *x, const uint8_t id[SCRAM_EXCHANGE_SIZE], uint8_t protocol,
	uint64_t session, uint64_t now_ms, struct scram_exchange *ret, err *e);
void scram_exchange_end(struct scram_exchange *taken);

/*
 * Does the proof show the client's key for this verifier, over "bare,server_first,unproven" (RFC 5802 3)?
 * True, and the server's signature. Takes the same time either way.
 */
bool scram_proves(const struct verifier_scram *v, slice bare, slice server_first, slice unproven,
	const uint8_t proof[HASH_SIZE], uint8_t ret_signature[HASH_SIZE]);

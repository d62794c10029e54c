/* What the files of the auth role share. */
#pragma once
#include "auth/credential.h"
#include "auth/guess.h"
#include "auth/key.h"
#include "auth/scram.h"
#include "auth/ticket.h"
#include "limits.h"
#include "roles/common/role.h"

extern const struct sandbox auth_sandbox;

struct auth_role {
	struct role_run *role;
	struct key *key;
	uint32_t key_id;
	struct credentials *credentials;
	struct tickets *tickets;
	struct guesses *guesses;
	struct scram_exchanges *exchanges;
	uint64_t logins, failed, signs;
	uint8_t ticket_keys[2][80]; /* io/tls.h TLS_TICKET_KEY: now, before */
	unsigned ticket_keys_n;
};

enum verdict { VERDICT_OK = 1, VERDICT_BAD, VERDICT_LATER };
#define AUTH_TOO_MANY "Too many wrong passwords from your address; wait some minutes"

/* main.c */
/* Which account is this name? Only the backend knows. Not found is no error: account 0. */
PARKS int auth_look_up(struct auth_role *a, slice name, struct msg_account_lookup_reply *ret, err *e);
uint64_t auth_frontend_of(const struct channel_request *q);
/* This machine itself is not slowed down: its owner stands behind it. */
bool auth_is_loopback(const uint8_t address[16]);
/* Waits as long as the guesses of this address deserve. False: it may not try now. */
PARKS bool auth_may_try(struct auth_role *a, const uint8_t address[16]);

/* scram.c */
void auth_on_scram_first(struct channel_request *q, void *arg);
void auth_on_scram_final(struct channel_request *q, void *arg);

/* ticket_keys.c */
void auth_ticket_keys_give(struct role_run *r, uint8_t frontend); /* starts a fiber */
int auth_ticket_keys_start(struct auth_role *a, err *e);

/* key.c */
void auth_on_key(struct channel_request *q, void *arg);
void auth_on_sign(struct channel_request *q, void *arg);

/* relay.c */
void auth_on_relay_secret_set(struct channel_request *q, void *arg);
void auth_on_relay_secret_remove(struct channel_request *q, void *arg);
void auth_on_relay_secret(struct channel_request *q, void *arg);

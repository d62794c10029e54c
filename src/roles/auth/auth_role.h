/* What the files of the auth role share. */
#pragma once
#include "auth/credential.h"
#include "auth/guess.h"
#include "auth/key.h"
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
	uint64_t logins, failed, signs;
	uint8_t ticket_keys[2][80]; /* io/tls.h TLS_TICKET_KEY: now, before */
	unsigned ticket_keys_n;
};

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

/*
 * The rows of the store of secrets, for the files of this room. Not for others.
 *
 *   C account   its verifiers (auth/record.h)
 *   R route     the secret with which we log in at a smart host (auth/relay.h)
 *   S           the key that makes salts for names without an account
 */
#pragma once
#include "auth/credential.h"

enum credential_row { CREDENTIAL_ACCOUNT = 'C', CREDENTIAL_RELAY = 'R' };

/* Durable when it returns 0. value: the row; of an account its secret, of which the row is made; empty:
 * removes it. */
PARKS int credentials_write(
	struct credentials *c, enum credential_row kind, uint32_t id, slice value, err *e);
/* Calls take with the row, which is gone afterwards. 1; 0: there is none; -1, also when take says so. */
int credentials_read(struct credentials *c, enum credential_row kind, uint32_t id,
	int (*take)(slice value, void *arg, err *e), void *arg, err *e);

/*
 * One-time tickets: auth has checked a log-in and gives the frontend a number; the backend, which believes no
 * frontend, redeems it here and learns the account. Bound to account, protocol and session, good once and for
 * a minute.
 */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

#define TICKET_SIZE   16
#define TICKET_TTL_MS 60000

struct tickets;

struct tickets *tickets_new(void); /* NULL: out of memory */
void tickets_free(struct tickets *t);
/* ERR_TEMP: some LIMIT_TICKETS are under way. now_ms: loop_now(). session: what tells the sessions of a
 * frontend apart. */
int ticket_make(struct tickets *t, uint32_t account, uint8_t protocol, uint64_t session, uint64_t now_ms,
	uint8_t ret_ticket[TICKET_SIZE], err *e);
/*
 * ERR_DENIED: unknown, used, expired, or made for another protocol or session; the ticket is used up in every
 * case.
 */
int ticket_redeem(struct tickets *t, const uint8_t ticket[TICKET_SIZE], uint8_t protocol, uint64_t session,
	uint64_t now_ms, uint32_t *ret_account, err *e);

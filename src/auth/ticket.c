#include "auth/ticket.h"
#include "base/hash.h"
#include "base/wire.h"
#include "limits.h"
#include <stdlib.h>
#include <string.h>

/* Twice as many places as tickets, in sets: a random number nearly always finds room, and is drawn again
 * otherwise. */
#define WAYS  8
#define SETS  (2 * LIMIT_TICKETS / WAYS)
#define TRIES 8

struct ticket {
	uint8_t id[TICKET_SIZE];
	uint64_t session;
	uint64_t until; /* 0: free */
	uint32_t account;
	uint8_t protocol;
};

struct tickets {
	struct ticket all[SETS][WAYS];
};

struct tickets *tickets_new(void)
{
	return calloc(1, sizeof(struct tickets));
}

void tickets_free(struct tickets *t)
{
	if (!t)
		return;
	explicit_bzero(t, sizeof *t);
	free(t);
}

static struct ticket *set_of(struct tickets *t, const uint8_t id[TICKET_SIZE])
{
	return t->all[be32_get(id) % SETS];
}

int ticket_make(struct tickets *t, uint32_t account, uint8_t protocol, uint64_t session, uint64_t now_ms,
	uint8_t ret_ticket[TICKET_SIZE], err *e)
{
	uint8_t id[TICKET_SIZE];

	for (int i = 0; i < TRIES; i++) {
		struct ticket *set;

		random_bytes(id, sizeof id);
		set = set_of(t, id);
		for (size_t w = 0; w < WAYS; w++)
			if (set[w].until <= now_ms) {
				set[w] = (struct ticket){.session = session,
					.until = now_ms + TICKET_TTL_MS,
					.account = account,
					.protocol = protocol};
				memcpy(set[w].id, id, sizeof id);
				memcpy(ret_ticket, id, sizeof id);
				return 0;
			}
	}
	return err_set(e, ERR_TEMP, "too many log-ins at once");
}

int ticket_redeem(struct tickets *t, const uint8_t ticket[TICKET_SIZE], uint8_t protocol, uint64_t session,
	uint64_t now_ms, uint32_t *ret_account, err *e)
{
	struct ticket *set = set_of(t, ticket), found = {0};

	for (size_t w = 0; w < WAYS; w++)
		if (secret_eq(set[w].id, ticket, TICKET_SIZE) && set[w].until > now_ms) {
			found = set[w];
			set[w] = (struct ticket){0};
		}
	if (!found.until || found.protocol != protocol || found.session != session)
		return err_set(e, ERR_DENIED, "the log-in's ticket is not good");
	*ret_account = found.account;
	return 0;
}

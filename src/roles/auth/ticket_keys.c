/*
 * Keys of TLS session tickets: made here, given to all frontends, so that a client may resume at any of them.
 * A new generation every 12 hours; the one before is still honoured, so a ticket lives at most a day.
 */
#include "base/hash.h"
#include "base/log.h"
#include "roles/auth/auth_role.h"
#include <stdlib.h>
#include <string.h>

#define GENERATION_MS (12 * 3600 * UINT64_C(1000))
#define GIVE_MS       10000

struct gift {
	struct role_run *role;
	uint8_t frontend;
};

static void give(struct role_run *r, uint8_t frontend)
{
	const struct auth_role *a = r->state;
	struct msg_ticket_keys m = {
		.now = slice_make(a->ticket_keys[0], sizeof a->ticket_keys[0]),
		.before = slice_make(a->ticket_keys[1], a->ticket_keys_n > 1 ? sizeof a->ticket_keys[1] : 0),
	};
	struct msg_ticket_keys_reply reply;
	struct channel_answer hold;
	err e = {0};

	if (ask_ticket_keys(r->peers[ROLE_FRONTEND][frontend], &m, &reply, &hold, loop_now() + GIVE_MS, &e) ==
		0)
		channel_answer_free(&hold);
	else if (e.kind != ERR_CLOSED)
		log_event(LOG_WARN, "ticket_keys_not_given", F_U64("frontend", frontend), F_ERR(&e));
}

static void give_fiber(void *arg)
{
	struct gift *g = arg;

	give(g->role, g->frontend);
	free(g);
}

void auth_ticket_keys_give(struct role_run *r, uint8_t frontend)
{
	struct gift *g = calloc(1, sizeof *g);

	if (!g)
		return; /* no tickets from it until the next generation: clients do whole handshakes */
	*g = (struct gift){r, frontend};
	if (!fiber_start("tickets", give_fiber, g))
		free(g);
}

static void turn(struct auth_role *a)
{
	memcpy(a->ticket_keys[1], a->ticket_keys[0], sizeof a->ticket_keys[1]);
	random_bytes(a->ticket_keys[0], sizeof a->ticket_keys[0]);
	a->ticket_keys_n = a->ticket_keys_n < 2 ? a->ticket_keys_n + 1 : 2;
}

static void generations(void *arg)
{
	struct auth_role *a = arg;

	while (fiber_sleep(GENERATION_MS) == 0) {
		turn(a);
		for (uint8_t i = 0; i < ROLE_INSTANCES; i++)
			if (a->role->peers[ROLE_FRONTEND][i])
				give(a->role, i);
	}
}

int auth_ticket_keys_start(struct auth_role *a, err *e)
{
	turn(a);
	return fiber_start("tickets", generations, a) ? 0 : err_set(e, ERR_TEMP, "no memory");
}

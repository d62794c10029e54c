/*
 * What every role but the supervisor does alike: start, confinement, the channel to the supervisor, channels
 * to the other roles, settings that change at a reload, drain and end.
 *
 * A role is started by the supervisor with its channel on descriptor 3, the sealed settings on 4 and its home
 * folder on
 * 5. It ends when that channel ends.
 */
#pragma once
#include "base/settings.h"
#include "io/channel.h"
#include "io/loop.h"
#include "io/messages.h"
#include "io/sandbox.h"

#define ROLE_FD_CHANNEL  3
#define ROLE_FD_SETTINGS 4
#define ROLE_FD_HOME     5
#define ROLE_INSTANCES   16

struct role_run;

struct role_ops {
	enum role role;
	const struct sandbox *sandbox;
	unsigned workers; /* threads of the worker pool; 0: none */
	/* Before the confinement: libraries that must read files. May be NULL. */
	int (*prepare)(struct role_run *r, err *e);
	/* Inside it, before the threads are sealed off: open the folder, start threads. Not on a fiber. May
	 * be NULL. */
	int (*start)(struct role_run *r, err *e);
	/* Adds the role's handlers for messages to the table. */
	void (*handlers)(channel_handler **table);
	/* A channel came up (or went: up false). May be NULL. */
	void (*peer)(struct role_run *r, enum role peer, uint8_t instance, bool up);
	/* New settings are in r->settings. May be NULL. */
	void (*reload)(struct role_run *r, const struct settings *before);
	/* Refuse new work, bring sessions to an end; the answer goes out when it returns. On a fiber. May be
	 * NULL. */
	PARKS void (*drain)(struct role_run *r);
	/* Appends members to the JSON object of `posthouse status`, each with a comma in front. May be NULL.
	 */
	void (*status)(struct role_run *r, struct buf *json);
	/* Last, on the loop's own stack, when the supervisor is gone. May be NULL. */
	void (*end)(struct role_run *r);
};

struct role_run {
	const struct role_ops *ops;
	struct loop *loop;
	struct settings *settings;
	struct settings *next; /* announced, not yet in force */
	struct channel *supervisor;
	struct channel *peers[ROLE_COUNT][ROLE_INSTANCES];
	struct fiber_signal peer_changed; /* somebody came or went */
	struct sandbox_status sandbox;
	channel_handler *table[MESSAGE_COUNT];
	uint64_t started_ms;
	uint8_t instance;
	bool draining;
	void *state; /* of the role */
};

/* Has the log name what holds a loop for too long. For the loops that a role makes itself. */
void role_watch_loop(struct loop *l);

/* main() of every role is this. */
int role_main(int argc, char **argv, const struct role_ops *ops, void *state);

/*
 * The channel to a role (instance 0), waiting until the deadline for it to come back when it is down. NULL:
 * it did not.
 */
PARKS struct channel *role_peer_wait(struct role_run *r, enum role peer, uint64_t deadline);
static inline struct channel *role_peer(const struct role_run *r, enum role peer)
{
	return r->peers[peer][0];
}

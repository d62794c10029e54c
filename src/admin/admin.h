/*
 * The admin methods: one API for the command line, the admin page and scripts. A method stands in the table
 * of method.c with its parameters and the right it needs; its handler speaks to the mailbox room, and through
 * a table of functions to what lives in other roles.
 *
 * Sessions run on a fiber. Everything here that reaches the store or another role parks.
 */
#pragma once
#include "base/settings.h"
#include "io/stream.h"
#include "queue/clock.h"
#include "queue/schedule.h"
#include "store/store.h"

struct route; /* queue/route.h */

struct admin_dialogue { /* of a route that was tried */
	bool good;
	struct buf lines; /* "C: ...\n", "S: ...\n" */
	struct buf text;  /* a sentence */
};

/* What the role that runs a session does for it; ctx is the session's. */
struct admin_ops {
	/* Sets the account's password (and forgets the old one), or ends every verifier of the account. 0 or
	 * -1. */
	PARKS int (*secret_set)(void *ctx, uint32_t account, slice secret, err *e);
	PARKS int (*secret_remove)(void *ctx, uint32_t account, err *e);
	/* The same of a route's log-in at its smart host. */
	PARKS int (*relay_secret_set)(void *ctx, uint32_t route, slice secret, err *e);
	PARKS int (*relay_secret_remove)(void *ctx, uint32_t route, err *e);
	/* Goes the way of a message along the route up to the log-in, and tells what was said. 0, also when
	 * it is not good, or -1. */
	PARKS int (*route_test)(void *ctx, const struct route *r, struct admin_dialogue *ret, err *e);
	/* The rows of routes are others than before. */
	void (*routes_changed)(void *ctx);
	/* Appends the state of all roles, a JSON object. 0 or -1. */
	PARKS int (*status)(void *ctx, struct buf *ret_json, err *e);
	/* The settings in force; valid until the next park. */
	const struct settings *(*settings)(void *ctx);
	const struct queue_clock *(*queue_clock)(void *ctx);
	/* The destination (0: each) does not rest any longer. */
	void (*queue_wake)(void *ctx, uint64_t lane);
	/* 1 and the state of a destination, 0: not known. */
	int (*queue_lane)(void *ctx, uint64_t lane, struct schedule_lane_info *ret);
	/* Told of every call that was not only a look, after it ended. subject: its first parameter. */
	void (*audit)(void *ctx, const char *method, slice subject, uint32_t uid, enum err_kind result);
};

struct admin_session {
	struct stream *stream; /* stays the caller's */
	struct store *store;
	uint32_t uid; /* of the peer */
	bool allowed; /* may use every method; otherwise only those for all */
	const struct admin_ops *ops;
	void *ctx;
};

/* Once a process, before its sandbox stands: jansson wants a seed. */
void admin_prepare(void);

/* Answers requests until the peer goes, stays silent, or says something that is no frame. */
PARKS void admin_session_run(struct admin_session *s);

/*
 * One call without a socket: params is the text of a JSON object, or empty. Appends the answer, the whole
 * object with "result" or "error", to *out. Never fails otherwise than by such an answer.
 */
PARKS void admin_call(struct admin_session *s, slice method, slice params, struct buf *out);

/*
 * Makes the store follow the file: domains of `domain` blocks are added, their catch-alls set. Domains that
 * left the file stay in the store. 0 or -1 (the rest was tried all the same).
 */
PARKS int admin_apply(struct store *store, const struct settings *settings, err *e);

/* ---- the table, for documents and tests ---- */

enum admin_type { ADMIN_TEXT, ADMIN_BOOL, ADMIN_NUMBER, ADMIN_TEXTS };

struct admin_param {
	const char *name; /* NULL ends the list */
	enum admin_type type;
	bool required;
};
struct admin_method {
	const char *name;
	bool for_all; /* any local user may call it */
	bool changes; /* it is more than a look: audit hears of it */
	const struct admin_param *params;
};
/* The i-th method; NULL behind the last. */
const struct admin_method *admin_method_at(size_t i);

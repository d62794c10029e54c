/* What the files of the backend role share. */
#pragma once
#include "base/settings.h"
#include "io/stream.h"
#include "mailbox/account.h"
#include "mailbox/watch.h"
#include "mailbox/write.h"
#include "roles/common/role.h"
#include "store/store.h"
#include <pthread.h>

extern const struct sandbox backend_sandbox;

#define LOOPS_MAX 64

struct backend;

/* A loop thread: sessions live on it, it shares the store and posted messages with the others. Loop 0 is the
 * main one. */
struct back_loop {
	struct backend *b;
	struct loop *loop;
	struct watch_loop *watch;
	struct mailbox_codec *codec;
	struct back_session *sessions;
	_Atomic unsigned sessions_n;
	unsigned index;
	bool draining;
	pthread_t thread;
	struct fiber *keeper;
};

struct submitter { /* a logged-in submission session of a frontend */
	uint8_t handle[16];
	uint32_t account;
	uint8_t frontend;
	struct submitter *next;
};

#define SUBMITTER_SLOTS 4096 /* a power of two */

struct back_queue;
struct routes;

struct backend {
	struct role_run *role;
	struct store *store;
	struct watchers *watchers;
	struct back_loop loops[LOOPS_MAX];
	unsigned loops_n;
	struct submitter *submitters[SUBMITTER_SLOTS];
	size_t submitters_n;
	uint64_t id_counter;
	uint64_t delivered, sessions_total;
	unsigned visits; /* open connections of the control socket */
	uint16_t epoch;
	struct fiber *sweeper;
	struct back_queue *queue;
	struct routes *routes; /* never NULL once started */
};

static inline struct backend *backend_of(void *arg)
{
	return ((struct role_run *)arg)->state;
}

/* submit.c */
void back_on_submitter(struct channel_request *q, void *arg);
void back_on_submitter_end(struct channel_request *q, void *arg);
void back_on_sender_check(struct channel_request *q, void *arg);
void back_on_recipient(struct channel_request *q, void *arg);
/* The account behind a handle of that frontend; empty handle: 0 (from outside). false: no such handle. */
bool back_submitter(const struct backend *b, const struct channel *c, slice handle, uint32_t *ret_account);
void back_forget_frontend(struct backend *b, uint8_t frontend);
/* Asks auth for the account of a one-time ticket. */
/* from: the channel of the frontend that brought it. */
PARKS int back_redeem(struct backend *b, const struct channel *from, slice ticket, uint8_t protocol,
	uint32_t *ret_account, err *e);

/* An id for a message: never twice (D9), and in order. */
void back_make_id(struct backend *b, uint8_t id[16]);

/* queue.c: new before the store starts, start on the running loop. */
int back_queue_new(struct backend *b, err *e);
int back_queue_start(struct backend *b, err *e);
void back_queue_reload(struct backend *b);
PARKS void back_queue_drain(struct backend *b);
/* Lets a lane (0: all) try at once. */
void back_queue_wake(struct backend *b, uint64_t lane);
void back_queue_status(struct backend *b, struct buf *json);
void back_queue_free(struct backend *b);
/* From the commit thread, after each group. */
void back_queue_on_group(struct back_queue *q, const struct store_note *notes, size_t n);
const struct queue_clock *back_queue_clock(const struct backend *b);

/* deliver.c */
void back_on_deliver(struct channel_request *q, void *arg);
void back_on_spool(struct channel_request *q, void *arg);

/* loops.c */
int back_loops_start(struct backend *b, err *e);
void back_on_session(struct channel_request *q, void *arg);
/* Ends the sessions of all loops: they say goodbye; waits a little. */
PARKS void back_loops_drain(struct backend *b);
void back_loops_end(struct backend *b); /* after the main loop */
unsigned back_sessions(const struct backend *b);

/* control.c */
void back_on_control(struct channel_request *q, void *arg);
void back_on_account_lookup(struct channel_request *q, void *arg);

/* routes.c */
struct admin_dialogue;
struct route;
struct transmit_route;
int back_routes_load(struct backend *b, err *e); /* b->routes anew; the old ones are gone */
void back_routes_free(struct backend *b);
void back_route_job(const struct route *r, struct transmit_route *ret); /* slices lie in the route */
PARKS int back_relay_secret_set(void *backend, uint32_t route, slice secret, err *e); /* struct admin_ops */
PARKS int back_relay_secret_remove(void *backend, uint32_t route, err *e);
PARKS int back_route_test(void *backend, const struct route *r, struct admin_dialogue *ret, err *e);
void back_routes_changed(void *backend);

/* What the queue's methods share: whom a request means, and what is said of messages and recipients. */
#pragma once
#include "admin/call.h"
#include "queue/queue.h"

#define QUEUE_STATES_ALL (~0u)

#define QUEUE_STEP 20000 /* rows looked at on one snapshot: some 10 ms */

/* An answer has to fit into a frame: "next", "total" and the like have room besides. */
#define ADMIN_ANSWER (ADMIN_FRAME_MAX - 65536)

struct queue_want {
	char domain_bytes[256];
	slice domain;    /* of the recipient, canonical; empty: any */
	slice recipient; /* an address; empty: any */
	slice sender;    /* empty with has_sender: the null one */
	bool has_sender;
	unsigned states; /* 1 << enum queue_state */
};
/* Reads domain, sender, recipient; every state. -1: ERR_SYNTAX. */
int queue_want_read(const struct admin_call *c, struct queue_want *ret, err *e);
bool queue_want_message(const struct queue_want *w, const struct queue_message *m);
bool queue_want_recipient(const struct queue_want *w, const struct queue_recipient *r);
/* Whether recipients have to be looked at. */
bool queue_want_narrow(const struct queue_want *w);

void queue_put_id(json_t *o, const char *name, const uint8_t id[16]);
/* A text of strangers: what is not UTF-8 is replaced; left out when empty. */
void queue_put_words(json_t *o, const char *name, slice text);
/* A time of the queue's clock. */
void queue_put_time(const struct admin_call *c, json_t *o, const char *name, int64_t queue_us);
/* The state of a destination, when something is known of it. */
void queue_put_lane(const struct admin_call *c, json_t *o, uint64_t lane);
/* Bytes it will have in the answer. */
size_t queue_json_size(const json_t *o);

/* The id that a person means. -1: a sentence. */
int queue_id_find(struct store_snap *snap, slice prefix, uint8_t ret_id[16], err *e);

/*
 * The life of each message, durable: rows "E id number" in the order in which things happened, kept for the
 * setting `trace keep`. Queue ids begin with the time, so the rows lie by the time their messages came; what
 * is too old goes from the front. `posthouse trace` reads them.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "store/store.h"

enum queue_event {
	EVENT_RECEIVED = 1, /* taken over: from whom, for whom, by which way */
	EVENT_QUEUED,       /* waits to be sent to `recipient`, or to be released */
	EVENT_SENT,         /* the next server took it */
	EVENT_DELIVERED,    /* into a mailbox here, from the queue */
	EVENT_DEFERRED,     /* tried and put off */
	EVENT_FAILED,       /* given up */
	EVENT_REPORTED,     /* the sender was told (`report` names the report's id) */
	EVENT_NOT_REPORTED, /* nobody could be told */
	EVENT_HELD,
	EVENT_RELEASED,
	EVENT_RETRIED, /* somebody said: now */
	EVENT_DROPPED,
	EVENT_DUPLICATE, /* sent, and perhaps for the second time (D4) */
	EVENT_COUNT
};

enum event_field { /* texts of an event; on disk by number: only ever add */
	FIELD_SENDER = 1,
	FIELD_RECIPIENT,
	FIELD_RECIPIENTS, /* several, with blanks between, cut after some */
	FIELD_CLIENT,     /* IP of who brought it */
	FIELD_CLIENT_NAME,
	FIELD_HELO,
	FIELD_PROTOCOL,
	FIELD_USER,
	FIELD_TLS,
	FIELD_HOST, /* who was talked to */
	FIELD_IP,
	FIELD_REPLY,
	FIELD_STATUS, /* "5.1.1" */
	FIELD_CODE,
	FIELD_SIZE,
	FIELD_REASON, /* of queue/classify.h */
	FIELD_REPORT,
	FIELD_VIA,
	FIELD_NEXT, /* next try, wall clock, microseconds */
	FIELD_ATTEMPT,
	FIELD_MAILBOXES, /* copies put into INBOXes at once */
	FIELD_WAITING,   /* recipients put into the queue */
	FIELD_MESSAGE_ID,
	FIELD_VERIFIED, /* the server's certificate was good */
	FIELD_ROUTE,
	FIELD_COUNT
};

const char *queue_event_name(enum queue_event k);
const char *event_field_name(enum event_field f); /* as in JSON; NULL: not known */
bool event_field_is_number(enum event_field f);

/* Builds an event's value: begin, fields, then put it in an intent. Empty texts are left out; a text is cut
 * at 600 bytes. */
void event_begin(struct buf *out, enum queue_event kind, int64_t wall_us);
void event_text(struct buf *out, enum event_field f, slice text);
void event_number(struct buf *out, enum event_field f, uint64_t n);

/* Writes it under the message's id. */
int event_tx_put(struct store_tx *tx, const uint8_t id[16], const struct buf *event, err *e);

struct event { /* read; the fields are walked */
	enum queue_event kind;
	int64_t wall_us;
	slice fields;
};
int event_decode(slice in, struct event *ret, err *e);
bool event_next(struct event *ev, enum event_field *ret, slice *ret_text); /* false at the end */

/*
 * Calls see for each event in key order of messages from the id `low` to `high`, after the row `*after` (n 0:
 * from the start), until it returns false or LIMIT_EVENTS_LOOK rows were read. 1: there is more (after is
 * set), 0, -1.
 */
struct event_walk {
	uint8_t low[16], high[16];
	char after[40];
	size_t after_n;
	bool (*see)(void *arg, const uint8_t id[16], const struct event *ev);
	void *arg;
};
int event_walk(struct store_snap *snap, struct event_walk *w, err *e);

/* Takes the events of messages that came before wall_us away, in steps. 1: more to do, 0, -1. */
PARKS int event_sweep(struct store *s, int64_t wall_us, err *e);

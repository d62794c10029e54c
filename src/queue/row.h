/*
 * Rows of the queue: what waits to be sent to other servers, to be tried again here, or to be reported.
 *
 *   Q 0                            counters
 *   Q 1 id                         the message: sender, options, blob
 *   Q 2 id lane recipient          one recipient and what became of it so far
 *   Q 3 lane rank due id           a parcel: one message's recipients in one lane that are due together
 *   Q 4 lease                      parcels that were handed out and are not settled yet (D4)
 *   Q 5                            the clock's mark
 *   Q 7 id                         a route (queue/route.h)
 *
 * id: 16 bytes (store_tx_queue_id); recipient: u32 from 0; lane: u64, the hash of a domain, 0 for what is
 * done here; rank: u8, lower goes first; due and all other times: microseconds of the queue's clock
 * (queue/clock.h). Pure: encode and decode only.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "queue/schedule.h"

#define QUEUE_KEY_MAX 40

enum queue_ret { RET_UNSET, RET_FULL, RET_HDRS }; /* RFC 3461 4.3 */

enum queue_notify { /* RFC 3461 4.1; 0: not given */
	NOTIFY_NEVER = 1,
	NOTIFY_SUCCESS = 2,
	NOTIFY_FAILURE = 4,
	NOTIFY_DELAY = 8,
};

enum queue_message_flag {
	QUEUE_8BIT = 1,       /* BODY=8BITMIME */
	QUEUE_BINARY = 2,     /* BODY=BINARYMIME */
	QUEUE_SMTPUTF8 = 4,   /* came with SMTPUTF8 */
	QUEUE_TLS_ONLY = 8,   /* REQUIRETLS */
	QUEUE_REPORT = 16,    /* a report of our own: when it fails, postmaster hears of it */
	QUEUE_BY_RETURN = 32, /* DELIVERBY mode R: give up at by_us; else N: tell of the delay then */
	QUEUE_BY_TRACE = 64,
};

struct queue_message {     /* Q 1 */
	slice sender;      /* "local@domain", empty for <> */
	slice envelope_id; /* ENVID, as given (xtext decoded) */
	enum queue_ret ret;
	uint8_t flags;
	int8_t priority; /* MT-PRIORITY, RFC 6710 */
	uint64_t blob;
	uint64_t size;
	uint32_t account;    /* who submitted it; 0: came from outside */
	uint32_t recipients; /* in all; row numbers run below this */
	uint32_t open;       /* that have a row still */
	int64_t arrival_us;
	int64_t by_us;    /* DELIVERBY; 0: not asked */
	int64_t start_us; /* its life begins: arrival, or when it was released (RFC 4865); 0: arrival */
};

enum queue_state {
	QUEUE_WAITING = 1,
	QUEUE_HELD = 2,
	/* done, but the sender is to be told: its parcel lies in lane 0 */
	QUEUE_DELIVERED = 3,
	QUEUE_RELAYED = 4,
	QUEUE_FAILED = 5,
};

enum queue_recipient_flag {
	QUEUE_DELAY_TOLD = 1,    /* the delay notice was sent */
	QUEUE_DELAY_PENDING = 2, /* it is to be sent: a parcel of lane 0 sees to it */
	QUEUE_NO_TRY = 4,        /* last_reply is of our own making, nobody was asked */
	QUEUE_EXPANDED = 8,      /* lane 0: what its address leads to elsewhere has rows of its own */
};

struct queue_recipient { /* Q 2 */
	slice address;
	slice domain;   /* canonical; empty in lane 0 */
	slice original; /* ORCPT "type;address" (xtext decoded), empty when not given */
	slice via;      /* our address that forwards to this one; goes out as Delivered-To */
	uint8_t notify;
	uint8_t flags; /* enum queue_recipient_flag */
	enum queue_state state;
	uint32_t attempts;
	int64_t due_us; /* with rank and lane it names the parcel, unless held */
	uint8_t rank;
	int64_t tried_us; /* the last attempt; 0: none */
	/* what was said last */
	uint16_t code; /* 0: no server's reply */
	uint8_t status[3];
	slice host;
	slice last_reply; /* at most LIMIT_QUEUE_REPLY bytes */
};

enum { QUEUE_RANK_MOST = 18, QUEUE_RANK_RETRY = 128 };
/* Fresh mail by its priority, retries after all of it. */
static inline uint8_t queue_rank(int8_t priority, bool retry)
{
	return (uint8_t)(9 - priority + (retry ? QUEUE_RANK_RETRY : 0));
}

/* The lane of a canonical domain; empty: 0. Two domains may share one: whoever sends looks at the domain too.
 */
uint64_t queue_lane(slice domain);

/* Whether it is in this domain (canonical), be it elsewhere or here. */
bool queue_recipient_in(const struct queue_recipient *r, slice domain);

slice queue_key_counters(char out[QUEUE_KEY_MAX]);
slice queue_key_message(char out[QUEUE_KEY_MAX], const uint8_t id[16]);
slice queue_key_messages(char out[QUEUE_KEY_MAX]);                         /* prefix of all */
slice queue_key_recipients(char out[QUEUE_KEY_MAX], const uint8_t id[16]); /* prefix of one message's */
slice queue_key_recipient(char out[QUEUE_KEY_MAX], const uint8_t id[16], uint64_t lane, uint32_t recipient);
slice queue_key_parcel(char out[QUEUE_KEY_MAX], const struct parcel *p);
slice queue_key_parcels(char out[QUEUE_KEY_MAX]);             /* prefix of all */
slice queue_key_lane(char out[QUEUE_KEY_MAX], uint64_t lane); /* prefix of one lane's */
slice queue_key_lane_rank(char out[QUEUE_KEY_MAX], uint64_t lane, uint8_t rank);
slice queue_key_lease(char out[QUEUE_KEY_MAX], uint64_t lease);
slice queue_key_leases(char out[QUEUE_KEY_MAX]); /* prefix */
slice queue_key_clock(char out[QUEUE_KEY_MAX]);

/* False: not such a key. */
bool queue_key_parcel_read(slice key, struct parcel *ret); /* all but the account */
bool queue_key_recipient_read(slice key, uint8_t ret_id[16], uint64_t *ret_lane, uint32_t *ret_recipient);
bool queue_key_message_read(slice key, uint8_t ret_id[16]);

void queue_message_encode(struct buf *out, const struct queue_message *m);
int queue_message_decode(slice in, struct queue_message *ret, err *e); /* ERR_CORRUPT; slices lie in `in` */
void queue_recipient_encode(struct buf *out, const struct queue_recipient *r);
int queue_recipient_decode(slice in, struct queue_recipient *ret, err *e);

void queue_parcel_encode(struct buf *out, uint32_t account); /* the value of Q 3 */
int queue_parcel_decode(slice in, uint32_t *ret_account, err *e);

void queue_lease_encode(struct buf *out, const struct parcel *v, size_t n);
/* At most LIMIT_LEASE parcels into v. */
int queue_lease_decode(slice in, struct parcel *v, size_t *ret_n, err *e);

struct queue_mark { /* Q 5 */
	int64_t queue_us, wall_us;
};
void queue_mark_encode(struct buf *out, const struct queue_mark *m);
int queue_mark_decode(slice in, struct queue_mark *ret, err *e);

struct queue_counters { /* Q 0 */
	uint64_t messages, recipients;
};
void queue_counters_encode(struct buf *out, const struct queue_counters *c);
int queue_counters_decode(slice in, struct queue_counters *ret, err *e);

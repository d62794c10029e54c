/*
 * From an envelope and a message to one intent: aliases, catch-alls and +tags are resolved inside it, each
 * person gets one copy, what goes elsewhere becomes queue records. So one answer covers all recipients, and
 * it means: durable.
 */
#pragma once
#include "limits.h"
#include "mailbox/write.h"
#include "queue/clock.h"
#include "queue/row.h"

enum delivery_result {
	DELIVERY_OK = 1,         /* in the mailbox, or in the queue */
	DELIVERY_UNKNOWN = 2,    /* nobody has this address here: 550 5.1.1 */
	DELIVERY_RELAY = 3,      /* not our domain and the sender may not relay: 550 5.7.1 */
	DELIVERY_OVER_QUOTA = 4, /* 452 4.2.2 */
	DELIVERY_DISABLED = 5,   /* the account or domain is switched off: 550 5.2.1 */
	DELIVERY_LOOP = 6,       /* aliases point in a circle, or too many of them: 554 5.4.6 */
	DELIVERY_TEMP = 7,       /* could not be judged now: 451 4.3.0 */
};

struct delivery_recipient {
	slice localpart, domain; /* localpart unquoted; as given, for ORCPT and queue rows */
	slice original;          /* ORCPT, decoded, may be empty */
	uint8_t notify;          /* enum queue_notify */
	enum delivery_result ret_result;
};

struct delivery {
	slice sender; /* "local@domain", empty for <> */
	slice envelope_id;
	enum queue_ret ret;
	uint8_t flags;      /* enum queue_message_flag */
	uint32_t account;   /* who submitted it (it may relay); 0: from outside */
	bool relay;         /* it may go elsewhere although nobody submitted it: a report of our own */
	int8_t priority;    /* MT-PRIORITY, RFC 6710 */
	int64_t by_us;      /* DELIVERBY, the queue's clock; 0: not asked */
	int64_t release_us; /* the queue's clock: until then all of it waits in the queue; 0: goes at once */
	const struct queue_clock *clock; /* NULL: the wall clock */
	struct delivery_recipient *recipients;
	size_t n; /* at most LIMIT_RECIPIENTS */

	struct content content; /* Return-Path and Received are in it already */
	uint64_t blob;          /* not 0: the content is in the store already */
	/*
	 * It comes from the queue, and its one recipient has a row there, which waits until all that it leads
	 * to here have it. What it leads to elsewhere then becomes another message (ret_queue_id), but not
	 * when `expanded` says that it has rows already, unless nobody here is left.
	 */
	bool queued, expanded;
	/* What is kept of its coming for `trace`: an event as queue/event.h begins it, counts are added.
	 * NULL: none. */
	const struct buf *event;
	slice summary; /* plain */
	/* Zero: the intent makes one. Else a second delivery of this id to the same account is a no-op that
	   answers OK (D6). */
	uint8_t queue_id[16];
	uint8_t batch[16]; /* the asker's id of this question, may be zero: a repeat gets the first answer */
	/*
	 * The asker answers each recipient by itself (LMTP). Else one reply covers all: as soon as one
	 * recipient is OK, those who cannot take it now, or are gone since RCPT, become queue records (to be
	 * tried again, or bounced) and are OK.
	 */
	bool each_answered;
	/* Where it has been (delivery_delivered_to): such an address does not forward it again. */
	const slice *delivered_to;
	size_t n_delivered_to;

	uint8_t ret_queue_id[16];
	size_t ret_accounts; /* copies put into INBOXes */
	bool ret_local;      /* somebody here has it (of delivery_tx) */
	size_t ret_remote;   /* queue records made */
	bool ret_repeated;   /* the answer came from an earlier run */
};

/*
 * Delivers in one intent. 0: every recipient has its ret_result and those with DELIVERY_OK are durable; when
 * no recipient is OK nothing was stored. -1: nothing was stored (ERR_IO, ERR_TEMP, ERR_LIMIT, ERR_CORRUPT).
 * The file of a big content stays only when it was stored; the caller drops its handle in any case
 * (store_big_drop).
 */
PARKS int delivery_deliver(struct store *s, struct mailbox_codec *c, struct delivery *d, err *e);

/* Was this very question (d->batch, as many recipients) answered before? 1: the answer is in d; 0: no. */
PARKS int delivery_again(struct store *s, struct delivery *d, err *e);

/*
 * The same as a part of another intent. summary: as mailbox_codec_pack made it. Sets each recipient's
 * ret_result and ret_queue_id, ret_accounts, ret_remote. When no recipient is OK nothing was written.
 */
int delivery_tx(struct store_tx *tx, struct delivery *d, slice stored_summary, err *e);

/*
 * The addresses in the Delivered-To fields of a message that begins so, in canonical form, in the arena: at
 * most LIMIT_DELIVERED_TO; a field that holds no address is passed over. Returns their number. Pure.
 */
size_t delivery_delivered_to(slice message, struct arena *a, slice ret[LIMIT_DELIVERED_TO]);

struct delivery_verdict {
	enum delivery_result result;
	bool local;       /* goes to at least one account here */
	uint32_t account; /* when it goes to exactly one account, else 0 */
};
/*
 * The same judgement at RCPT time, on a snapshot; never parks. size: the announced SIZE, 0 when unknown.
 * may_relay: the session is logged in (or trusted). DELIVERY_OK with local false: it will go to the queue. 0
 * or -1.
 */
int delivery_recipient(struct store_snap *snap, slice localpart, slice domain, uint64_t size, bool may_relay,
	struct delivery_verdict *ret, err *e);
/* May the account use this address as envelope sender and in From? 1, 0, -1. */
int delivery_sender_allowed(struct store_snap *snap, uint32_t account, slice localpart, slice domain, err *e);

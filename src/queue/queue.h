/*
 * The queue in the store: reads on snapshots, the write half of each intent (queue_tx_*, on the commit
 * thread), and the intents that belong to the queue alone. What a settled try means for mailboxes and senders
 * is delivery's (delivery/settle.h).
 */
#pragma once
#include "base/arena.h"
#include "queue/clock.h"
#include "queue/row.h"
#include "store/store.h"

/* ---- inside an intent ---- */

/*
 * Of every parcel that is made a note is sent (store_tx_note): account 0, the lane as modseq, and in place of
 * the mailbox the second at which it is due.
 */
void queue_tx_tell(struct store_tx *tx, uint64_t lane, int64_t due_us);
static inline bool queue_note_read(const struct store_note *note, uint64_t *ret_lane, int64_t *ret_due_us)
{
	*ret_lane = note->modseq;
	*ret_due_us = (int64_t)note->mailbox * 1000000;
	return note->account == 0;
}

/* Writes the message row, holds its blob, counts it. m->open and m->recipients: the rows that were put. */
int queue_tx_add(struct store_tx *tx, const uint8_t id[16], const struct queue_message *m, err *e);
/*
 * Puts a recipient's row, and its parcel unless it is held. lane: queue_lane(domain), 0 for what is done
 * here. The caller counts (m->open).
 */
int queue_tx_put(struct store_tx *tx, const uint8_t id[16], uint64_t lane, uint32_t n, uint32_t account,
	const struct queue_recipient *r, err *e);
/*
 * The message, for changing: 1, 0 (gone: dropped meanwhile), -1. Its slices lie in the transaction's scratch
 * arena.
 */
int queue_tx_message(struct store_tx *tx, const uint8_t id[16], struct queue_message *ret, err *e);
/* One recipient: 1, 0, -1; slices in the scratch arena. */
int queue_tx_recipient(struct store_tx *tx, const uint8_t id[16], uint64_t lane, uint32_t n,
	struct queue_recipient *ret, err *e);
/* Takes a recipient's row away and counts m->open down. Its parcel stays (others may share it). */
int queue_tx_done(struct store_tx *tx, const uint8_t id[16], uint64_t lane, uint32_t n,
	struct queue_message *m, err *e);
int queue_tx_parcel_put(struct store_tx *tx, const struct parcel *p, err *e); /* and tells of it */
int queue_tx_parcel_del(struct store_tx *tx, const struct parcel *p, err *e);
/* The same, unless a recipient of it still waits: 1: it stays, 0: it is gone, -1. */
int queue_tx_parcel_leave(struct store_tx *tx, const struct parcel *p, err *e);
/* Writes the message row again, or, when nothing is open, takes message and blob away. */
int queue_tx_close(struct store_tx *tx, const uint8_t id[16], const struct queue_message *m, err *e);

/* All recipients of a message, of all lanes, in the scratch arena (at most LIMIT_QUEUE_ROWS). */
struct queue_found {
	uint64_t lane;
	uint32_t n;
	struct queue_recipient r;
};
int queue_tx_recipients(
	struct store_tx *tx, const uint8_t id[16], struct queue_found **ret, size_t *ret_n, err *e);

/* ---- reads, on a snapshot ---- */

int queue_get(
	struct store_snap *snap, const uint8_t id[16], struct queue_message *ret, err *e); /* 1, 0, -1 */
/* The recipients of a message, copied into the arena. lane UINT64_MAX: of all lanes. 0 or -1. */
int queue_recipients(struct store_snap *snap, struct arena *a, const uint8_t id[16], uint64_t lane,
	size_t max, struct queue_found **ret, size_t *ret_n, err *e);
/* Those of a parcel that wait: at most max. */
int queue_parcel_recipients(struct store_snap *snap, struct arena *a, const struct parcel *p, size_t max,
	struct queue_found **ret, size_t *ret_n, err *e);
/* Calls see for each message after the id `after` (NULL: from the first), oldest first, until it returns
 * false. */
int queue_each(struct store_snap *snap, const uint8_t after[16],
	bool (*see)(void *arg, const uint8_t id[16], const struct queue_message *m), void *arg, err *e);
/* The same for each recipient's row, by message and lane, from the id `from` on (NULL: from the first). */
int queue_each_recipient(struct store_snap *snap, const uint8_t from[16],
	bool (*see)(void *arg, const uint8_t id[16], uint64_t lane, const struct queue_recipient *r),
	void *arg, err *e);
int queue_count(struct store_snap *snap, struct queue_counters *ret, err *e);
/* The lowest and the highest id that begin with such a prefix; false: it is none. */
bool queue_id_range(slice prefix, uint8_t ret_low[16], uint8_t ret_high[16]);
/*
 * The id that a prefix of its 26 characters means. 1; 0: none; 2: several (ret is the first).
 */
int queue_find(struct store_snap *snap, slice prefix, uint8_t ret_id[16], err *e);

/* Parcels of a lane that are due by now_us, in order, from that rank on, that `take` wants: at most max, and
 * none behind LIMIT_QUEUE_PASSED that were passed over. */
struct queue_load {
	uint64_t lane;
	uint8_t from_rank;
	int64_t now_us;
	/* 1: take it; 0: it is known already; -1: pass over (its account has no room). */
	int (*take)(void *arg, const struct parcel *p);
	void *arg;
	struct parcel *ret; /* room for max */
	size_t max, ret_n;
	int64_t ret_next_due; /* of what is neither taken nor known, passed over or not; INT64_MAX: none */
	bool ret_skipped;     /* something was passed over */
};
int queue_load(struct store_snap *snap, struct queue_load *l, err *e);
/*
 * Lanes with their first due time, in key order after *lane (start with has = false): at most
 * LIMIT_QUEUE_LOOK a call. 1: call again, 0: that was all, -1.
 */
struct queue_look {
	bool has;
	uint64_t lane;
	bool (*see)(void *arg, uint64_t lane, int64_t due_us); /* false: no room; stop */
	void *arg;
};
int queue_look(struct store_snap *snap, struct queue_look *l, err *e);

/* ---- intents ---- */

/*
 * Writes down that these parcels are about to be tried, and the clock's mark. gone[i]: the parcel is not
 * there any more (dropped, held): do not try it. *ret_lease names the row.
 */
PARKS int queue_lease(struct store *s, const struct queue_clock *c, const struct parcel *v, size_t n,
	bool *gone, uint64_t *ret_lease, err *e);
PARKS int queue_lease_end(struct store *s, uint64_t lease, err *e);
int queue_tx_lease_end(struct store_tx *tx, uint64_t lease, err *e);
/*
 * The leases that the last run left: what of them is still there was under way when it was cut off, and may
 * have been delivered without our knowing. Each such recipient gets an event, and `see` is called for it (on
 * the commit thread); then the lease goes. Some at a time: 1: call again, 0: that was all, -1.
 */
PARKS int queue_adopt(
	struct store *s, void (*see)(void *arg, const uint8_t id[16], slice address), void *arg, err *e);
/* The same for one parcel whose outcome was lost. */
PARKS int queue_doubt(struct store *s, const struct parcel *p,
	void (*see)(void *arg, const uint8_t id[16], slice address), void *arg, err *e);

/* Rows of stores up to format 2 become today's, some at a time. 1: call again, 0: that was all, -1. */
PARKS int queue_upgrade(struct store *s, err *e);

PARKS int queue_mark(struct store *s, const struct queue_clock *c, err *e);
/* The mark of the last run; zeroes when there is none. */
int queue_mark_read(struct store_snap *snap, struct queue_mark *ret, err *e);

enum queue_action {
	QUEUE_RETRY,   /* due now */
	QUEUE_HOLD,    /* not until it is released */
	QUEUE_RELEASE, /* held ones are due now */
	QUEUE_DROP,    /* removed without a word to anybody */
	QUEUE_BOUNCE,  /* failed now; the sender gets it back, unless he wants no word or there is none */
};
#define QUEUE_CHANGE_MOST 100 /* messages of one intent */
/*
 * On up to QUEUE_CHANGE_MOST messages (n ids of 16 bytes), and of them only the recipients in `domain`
 * (canonical) when that is not empty. *ret_changed: the recipients concerned. Recipients already done, and
 * messages that are gone, are left alone. account: not 0: only what that account sent. text: of BOUNCE, said
 * to the sender.
 */
PARKS int queue_change(struct store *s, const struct queue_clock *c, const uint8_t *ids, size_t n,
	enum queue_action action, slice domain, uint32_t account, slice text, uint32_t *ret_changed, err *e);
/* The parcel's recipients in a domain that is ours by now: they are delivered here. */
PARKS int queue_rehome(
	struct store *s, const struct queue_clock *c, const struct parcel *p, slice domain, err *e);

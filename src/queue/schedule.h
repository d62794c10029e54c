/*
 * Which message goes next: the queue's plan in memory. Pure bookkeeping: it reads no store and sends nothing;
 * the role asks it, loads what it names, and tells it what happened. All times are microseconds of the
 * queue's clock (queue/clock.h).
 *
 * A lane is a destination: the hash of a recipient domain (lane 0: work done here: local deliveries that
 * could not be made at once, and reports). A parcel is one message's recipients in one lane: what is handed
 * out at once. In the store the parcels of a lane lie in the order of their due time; here only a lane's
 * first due time is kept, a bounded number of parcels that were loaded, and what is under way.
 *
 * Fair: lanes that may go take turns, whatever lies waiting in each. In a lane fresh parcels go before
 * retries, but every fourth is a retry when one is due; over all, destinations in trouble and retries take at
 * most three quarters of what may be under way. Feedback: a lane's window (parcels under way at once) begins
 * at `start`, grows by one a success up to `most`, is halved by a "slow down", and when `dead_after` parcels
 * in a row met a connection failure (or were told to slow down when there was but one at a time) the lane
 * rests: first `rest_min`, doubling to `rest_max`; while it rests its due parcels are handed out as "dead",
 * SCHEDULE_DEAD_MOST of a lane at a time, to be deferred without a try, so that their age and notices stay
 * right; after the rest one parcel tries, when those that began before it have ended. The same windows hold
 * for hosts (gates): a lane learns its gate from the first answer, many domains of one provider share it.
 *
 * Lane 0 never rests, has no gate, and is not counted in `total` but has as much again: local work waits for
 * no server. What was learned of lanes and gates is kept for ten minutes of silence, of a bounded number.
 *
 * No call costs more than O(log n) in the number of lanes but schedule_wake of all, schedule_configure and
 * schedule_stats.
 */
#pragma once
#include "base/cleanup.h"
#include "base/slice.h"

struct schedule;

#define SCHEDULE_DEAD_MOST 32 /* handed out as dead at once, of one lane */

struct schedule_config {
	uint32_t start, most;           /* window of a lane: 5, 20 */
	uint32_t gate_start, gate_most; /* of a host: 10, 50 */
	uint32_t account_most;          /* parcels under way of one account; 0: no limit */
	uint32_t total; /* parcels under way in all: at most 480, below the channel's credits; as many may be
			   out as dead */
	uint32_t dead_after;        /* 3 */
	int64_t rest_min, rest_max; /* 1 min, 30 min */
	size_t parcels;             /* most parcels loaded: 10,000 */
	size_t lanes; /* most lanes known: 65,536; those due last are left out beyond, and found again by the
			 next look over the store */
};

MUST_USE struct schedule *schedule_new(const struct schedule_config *c);
void schedule_free(struct schedule *s);
void schedule_configure(struct schedule *s, const struct schedule_config *c);

/*
 * Something of this lane is due at `due_us` (or earlier things are known already). False: there was no room,
 * and this lane or another one that is due later was left out: look over the store again when schedule_room
 * says so.
 */
bool schedule_note(struct schedule *s, uint64_t lane, int64_t due_us);
/*
 * A look over the store is worth while: half of the lanes are free again, or one that was left out is due
 * while others are not, and ten seconds have passed since the last look. SCHEDULE_WAIT's time reckons with
 * it.
 */
bool schedule_room(const struct schedule *s, int64_t now_us);
/* A look over all lanes of the store begins: those left out so far will be noted again. */
void schedule_look(struct schedule *s, int64_t now_us);

struct parcel {
	uint64_t lane;
	uint8_t rank;   /* of its index row: lower goes first; >= 128: a retry */
	int64_t due_us; /* as in its index row: rank, due and id name the row */
	uint8_t id[16];
	uint32_t account; /* who sent it, 0: from outside */
};

enum schedule_want {
	SCHEDULE_LOAD, /* load parcels of *ret_lane: those due by now and not known (schedule_knows), at most
			  *ret_n of them, in the order of their index rows from rank *ret_rank on (0: all;
			  128: retries only), call schedule_loaded in any case, then ask again */
	SCHEDULE_SEND, /* *ret is to be handed out; it counts as under way until schedule_done */
	SCHEDULE_DEAD, /* the same, but its destination rests: defer it without a try */
	SCHEDULE_WAIT, /* nothing now; ask again at *ret_at, or after the next note, done, back or wake
			  (INT64_MAX: only then) */
};
struct schedule_next {
	enum schedule_want want;
	struct parcel parcel; /* SEND, DEAD */
	uint64_t lane;        /* LOAD */
	uint32_t n;
	uint8_t rank;
	int64_t at_us; /* WAIT */
};
struct schedule_next schedule_next(struct schedule *s, int64_t now_us);
/*
 * Loaded or under way, by lane and id. When its row (rank, due) is not the one that is known, the lane is
 * loaded anew after that one ended: no row is forgotten, whether it is noted before or after schedule_done.
 */
bool schedule_knows(struct schedule *s, const struct parcel *p);
/* Whether a parcel of that account may be loaded now (its limit is not reached by those under way and
 * loaded). To be asked between SCHEDULE_LOAD and schedule_loaded, with those found so far in that load
 * counted by the schedule. */
bool schedule_account_room(struct schedule *s, uint32_t account);
/*
 * What was found: n new parcels; next_due: the first due time in the lane that is neither loaded nor under
 * way, those passed over included (INT64_MAX: none); of a load from rank 128 it does not count. skipped: some
 * were passed over for their account's limit; the lane is asked again when one of these ends, or a second has
 * passed. When loading failed: n 0 and next_due 0, it is tried again after a second.
 */
void schedule_loaded(
	struct schedule *s, uint64_t lane, const struct parcel *v, size_t n, int64_t next_due, bool skipped);

enum schedule_outcome {
	SCHEDULE_OK,          /* the server talked to us properly, whatever became of the recipients */
	SCHEDULE_SLOW,        /* it said slow down (421, 4xx of the rate-limit class) */
	SCHEDULE_UNREACHABLE, /* no connection, or it broke before any answer */
	SCHEDULE_NONE, /* says nothing about the destination (dropped, deferred without a try, our own fault)
			*/
};
/* A parcel is no longer under way. gate: hash of the host that was talked to, 0: none. retry_us: with SLOW,
 * how long the server asked us to wait (0: it did not say). */
void schedule_done(struct schedule *s, const struct parcel *p, enum schedule_outcome outcome, uint64_t gate,
	int64_t retry_us, int64_t now_us);
/* A parcel handed out but not even begun (its lease failed): its lane is loaded again after a second. */
void schedule_back(struct schedule *s, const struct parcel *p);
/* Ends the rest and the failures of a lane and of its gate (0: of all): "queue retry". */
void schedule_wake(struct schedule *s, uint64_t lane);

struct schedule_lane_info { /* for `queue shape` and status */
	uint64_t lane;
	int64_t first_due_us, rests_until_us; /* 0: does not rest */
	uint32_t under_way, loaded, window, failures;
	uint64_t gate;
};
/* 1 and the state of a lane, 0: not known. */
int schedule_lane(const struct schedule *s, uint64_t lane, struct schedule_lane_info *ret);
struct schedule_stats {
	size_t lanes, loaded, under_way, resting;
};
void schedule_stats(const struct schedule *s, struct schedule_stats *ret);

/*
 * What the files of the schedule share. Not for other rooms.
 *
 * Where a lane is says what it waits for. lane_place puts it there after anything that concerns it changed:
 *
 *   in a ring          its turn: it has something to load, to send or to give up, and could now
 *   in the heap        a time: something falls due, a rest or a pause ends
 *   with its gate      one of the gate's parcels to end
 *   with an account    one of the account's to end (and in the heap, for others in the lane)
 *   crowded            parcels of other lanes to go out, so that some of its own may be loaded
 *   kept               nothing at all; only what was learned of it is remembered
 *   nowhere            its own parcels to end, or a load under way to be told
 */
#pragma once
#include "queue/pace.h"
#include "queue/pool.h"

#define KEEP_US (INT64_C(600) * 1000000) /* what was learned is kept so long without use */
#define AGAIN_US                                                                                             \
	(INT64_C(1) * 1000000) /* a lane that found nothing to load though it should is asked again */
#define LOOK_US   (INT64_C(10) * 1000000) /* between two looks over the store */
#define GATES_MAX 4096                    /* gates kept besides those in use */
#define LOAD_MAX  64                      /* parcels of one load */
#define TURNS     4                       /* every so many-th parcel of a lane is a retry */
#define RETRY     128                     /* ranks from here on */

/* A list of lanes, gates or parcels that are linked by their `prev` and `next`. */
struct list {
	uint32_t first, last;
};

enum place {
	PLACE_NOWHERE,
	PLACE_LOCAL, /* ring of lane 0 */
	PLACE_FRESH, /* rings */
	PLACE_RETRY,
	PLACE_DEAD,
	PLACE_RINGS,
	PLACE_GATE = PLACE_RINGS,
	PLACE_ACCOUNT,
	PLACE_CROWDED,
	PLACE_KEPT,
};

struct plan_parcel {           /* loaded, or under way */
	struct pool_head head; /* the hash of lane and id */
	struct parcel parcel;
	uint64_t gate;    /* it counts there */
	int64_t again_us; /* due time of another row of the same lane and id that was seen; or INT64_MAX */
	uint32_t next;    /* in its lane's list */
	bool out, dead, troubled;
};

struct plan_lane {
	struct pool_head head;
	struct pace pace;
	int64_t due_us;            /* first one in the store that is not known here; INT64_MAX: none */
	int64_t look_us;           /* not to be loaded before */
	int64_t at_us;             /* its key in the heap; of a kept one, since when */
	uint64_t gate;             /* 0: not learned yet */
	struct list list[2];       /* loaded: fresh, retries */
	uint32_t prev, next, heap; /* place in a list; in the heap from 1 on, 0: not there */
	uint32_t account;          /* that it waits for */
	uint32_t loaded, dead;
	uint8_t place, turn, load_rank;
	bool loading, news, more, token; /* news: noted since the last load; more: the last load was a full
					    one; token: its gate let it go, the next waits for its turn */
};

struct plan_gate {
	struct pool_head head;
	struct pace pace;
	struct list waiting;
	uint32_t tokens;     /* given to lanes that have waited; each will take a place */
	uint32_t prev, next; /* among the kept ones */
	int64_t since_us;
	bool kept;
};

struct plan_account {
	struct pool_head head;
	uint32_t known; /* loaded and under way */
	struct list waiting;
};

struct schedule {
	struct schedule_config config;
	struct pool lanes, parcels, gates, accounts;
	uint32_t *heap; /* lanes by at_us; from 1 on */
	uint32_t heap_n;
	struct list rings[PLACE_RINGS], crowded, kept, gates_kept;
	uint32_t in_rings, kept_n, gates_kept_n;
	uint32_t sends, local, dead, loaded, troubled;
	uint32_t claims[LOAD_MAX], claims_n; /* accounts of what a load under way has found */
	uint32_t refused;                    /* the account that it passed over last */
	unsigned turn;
	int64_t now_us, left_out_us, looked_us;
	uint64_t random;
};

static inline struct plan_lane *lane_at(const struct schedule *s, uint32_t i)
{
	return pool_at(&s->lanes, i);
}

static inline struct plan_parcel *parcel_at(const struct schedule *s, uint32_t i)
{
	return pool_at(&s->parcels, i);
}

static inline bool lane_is_local(const struct plan_lane *l)
{
	return l->head.key == 0;
}

/* lane.c */
uint32_t lane_find(const struct schedule *s, uint64_t lane);
struct pace_limits lane_limits(const struct schedule *s);
/* Finds or makes it. 0: it is left out; else *ret_all false: another one was. */
uint32_t lane_get(struct schedule *s, uint64_t lane, int64_t due_us, bool *ret_all);
/*
 * Puts it where it belongs now; it stays where it is when that is the right list already. A lane of which
 * nothing is worth keeping is gone afterwards.
 */
void lane_place(struct schedule *s, uint32_t i);
void lane_place_first(struct schedule *s, uint32_t i); /* the same, but it comes next in its ring */
/* As lane_place, but a token that it cannot hold is not passed on: false. */
bool lane_put(struct schedule *s, uint32_t i, bool first);
void lane_take(struct schedule *s, uint32_t i);                   /* out of its place */
uint32_t lane_take_first(struct schedule *s, struct list *lanes); /* 0: there is none */
enum place lane_judge(const struct schedule *s, const struct plan_lane *l, int64_t *ret_at);
/* From which rank it is to be loaded before anything of it is handed out; -1: not now. */
int lane_load_rank(const struct schedule *s, const struct plan_lane *l, enum place ring);
void lanes_due(struct schedule *s); /* those whose time has come, some at a time */
void lanes_forget(struct schedule *s);

/* gate.c */
struct pace_limits gate_limits(const struct schedule *s);
struct plan_gate *gate_find(const struct schedule *s, uint64_t gate); /* NULL: nothing is known of it */
bool gate_begin(struct schedule *s, uint64_t gate);                   /* false: out of gates */
void gate_end(struct schedule *s, uint64_t gate);
void gate_tell(struct schedule *s, uint64_t gate, enum schedule_outcome outcome, int64_t retry_us);
void gate_wake(struct schedule *s, uint64_t gate);
void gate_settle(
	struct schedule *s, uint64_t gate); /* when none waits and none is under way: kept, or forgotten */
/* Lanes that wait may go when there are places: each gets a token, which it gives back at its turn. */
void gate_pass(struct schedule *s, uint64_t gate);
void gate_token_back(
	struct schedule *s, struct plan_lane *l); /* fine without one; follow it with gate_pass */
void gates_forget(struct schedule *s);

bool account_take(struct schedule *s, uint32_t account); /* false: no memory for one more */
void account_give(struct schedule *s, uint32_t account, bool wake);
bool account_full(const struct schedule *s, uint32_t account);
struct list *account_waiting(const struct schedule *s, uint32_t account); /* NULL: nothing is known of it */
void account_settle(struct schedule *s, uint32_t account);

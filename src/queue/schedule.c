#include "queue/schedule.h"
#include "base/hash.h"
#include "queue/schedule_int.h"

/* ---- as a whole ---- */

/* Loaded, and three kinds of those handed out: to servers, as dead, local. */
static uint32_t parcels_cap(const struct schedule_config *c)
{
	return (uint32_t)c->parcels + 3 * c->total + LOAD_MAX;
}

static bool grow(struct schedule *s, const struct schedule_config *c)
{
	uint32_t lanes = (uint32_t)c->lanes + 1, parcels = parcels_cap(c);

	if (lanes > s->lanes.cap) {
		uint32_t *heap = realloc(s->heap, ((size_t)lanes + 1) * sizeof *heap);
		if (!heap)
			return false;
		s->heap = heap;
	}
	return pool_grow(&s->lanes, lanes) && pool_grow(&s->parcels, parcels) &&
	       pool_grow(&s->gates, GATES_MAX + 2 * c->total) &&
	       pool_grow(&s->accounts, parcels + 2 * LOAD_MAX);
}

struct schedule *schedule_new(const struct schedule_config *c)
{
	struct schedule *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->config = *c;
	s->left_out_us = INT64_MAX;
	s->looked_us = INT64_MIN / 2;
	s->random = random_u64() | 1;
	if (pool_start(&s->lanes, sizeof(struct plan_lane), 1) &&
		pool_start(&s->parcels, sizeof(struct plan_parcel), 1) &&
		pool_start(&s->gates, sizeof(struct plan_gate), 1) &&
		pool_start(&s->accounts, sizeof(struct plan_account), 1) && grow(s, c))
		return s;
	schedule_free(s);
	return NULL;
}

void schedule_free(struct schedule *s)
{
	if (!s)
		return;
	pool_end(&s->lanes);
	pool_end(&s->parcels);
	pool_end(&s->gates);
	pool_end(&s->accounts);
	free(s->heap);
	free(s);
}

void schedule_configure(struct schedule *s, const struct schedule_config *c)
{
	struct schedule_config had = s->config;

	s->config = *c;
	if (!grow(s, c)) { /* no memory: the tables stay as large as they are */
		s->config.lanes = had.lanes;
		s->config.parcels = had.parcels;
		s->config.total = had.total < c->total ? had.total : c->total;
	}
	for (uint32_t i = pool_next(&s->gates, 0); i; i = pool_next(&s->gates, i)) {
		struct plan_gate *g = pool_at(&s->gates, i);
		if (g->pace.window > c->gate_most)
			g->pace.window = c->gate_most;
	}
	for (uint32_t i = pool_next(&s->lanes, 0); i; i = pool_next(&s->lanes, i)) {
		struct plan_lane *l = lane_at(s, i);
		if (lane_is_local(l))
			l->pace.window = s->config.total;
		else if (l->pace.window > c->most)
			l->pace.window = c->most;
		lane_place(s, i);
	}
}

/* ---- what is due ---- */

static void due_by(struct plan_lane *l, int64_t due_us)
{
	if (due_us < l->due_us)
		l->due_us = due_us;
}

bool schedule_note(struct schedule *s, uint64_t lane, int64_t due_us)
{
	bool all;
	uint32_t i = lane_get(s, lane, due_us, &all);

	if (!i)
		return false;
	due_by(lane_at(s, i), due_us);
	lane_at(s, i)->news = true;
	lane_place(s, i);
	return all;
}

static int64_t room_at(const struct schedule *s)
{
	int64_t due = s->left_out_us, soonest = s->looked_us + LOOK_US;

	if (due == INT64_MAX)
		return INT64_MAX;
	if (s->lanes.used - s->kept_n <= s->config.lanes / 2)
		return soonest;
	if (s->heap_n == 0) /* all that are known are due themselves */
		return INT64_MAX;
	return due > soonest ? due : soonest;
}

bool schedule_room(const struct schedule *s, int64_t now_us)
{
	return room_at(s) <= now_us;
}

void schedule_look(struct schedule *s, int64_t now_us)
{
	s->left_out_us = INT64_MAX;
	s->looked_us = now_us;
}

/* ---- parcels ---- */

static uint64_t parcel_key(const struct schedule *s, const struct parcel *p)
{
	uint64_t words[3] = {p->lane};

	memcpy(words + 1, p->id, sizeof p->id);
	return hash_keyed(s->parcels.seed, slice_make(words, sizeof words));
}

static uint32_t parcel_find(const struct schedule *s, const struct parcel *p)
{
	uint64_t key = parcel_key(s, p);
	uint32_t i = 0;

	while ((i = pool_find(&s->parcels, key, i))) {
		const struct parcel *one = &parcel_at(s, i)->parcel;
		if (one->lane == p->lane && memcmp(one->id, p->id, sizeof p->id) == 0)
			return i;
	}
	return 0;
}

bool schedule_knows(struct schedule *s, const struct parcel *p)
{
	uint32_t i = parcel_find(s, p);

	if (!i)
		return false;
	struct plan_parcel *known = parcel_at(s, i);
	bool same = known->parcel.rank == p->rank && known->parcel.due_us == p->due_us;
	if (!same && p->due_us < known->again_us)
		known->again_us = p->due_us;
	return true;
}

bool schedule_account_room(struct schedule *s, uint32_t account)
{
	if (!account)
		return true;
	if (account_full(s, account) || s->claims_n == LOAD_MAX || !account_take(s, account)) {
		s->refused = account;
		return false;
	}
	s->claims[s->claims_n++] = account;
	return true;
}

static bool parcel_add(struct schedule *s, struct plan_lane *l, const struct parcel *p)
{
	if (parcel_find(s, p))
		return true;
	if (!account_take(s, p->account))
		return false;
	uint32_t i = pool_add(&s->parcels, parcel_key(s, p));
	if (!i) {
		account_give(s, p->account, false);
		return false;
	}
	struct plan_parcel *one = parcel_at(s, i);
	struct list *list = &l->list[p->rank >= RETRY];
	one->parcel = *p;
	one->again_us = INT64_MAX;
	*(list->last ? &parcel_at(s, list->last)->next : &list->first) = i;
	list->last = i;
	l->loaded++;
	s->loaded++;
	return true;
}

void schedule_loaded(
	struct schedule *s, uint64_t lane, const struct parcel *v, size_t n, int64_t next_due, bool skipped)
{
	uint32_t i = lane_find(s, lane);
	struct plan_lane *l = i ? lane_at(s, i) : NULL;

	if (l && l->loading) {
		l->loading = false;
		for (size_t k = 0; k < n; k++) {
			if (!parcel_add(s, l, &v[k]))
				due_by(l, v[k].due_us);
		}
		if (l->load_rank == 0) {
			due_by(l, next_due);
			l->more = next_due <= s->now_us;
		} else if (n == 0) {
			l->more = false;
		}
		l->account = skipped ? s->refused : 0;
		if (n == 0 && l->load_rank == 0 && next_due <= s->now_us)
			l->look_us = s->now_us + AGAIN_US;
	}
	while (s->claims_n)
		account_give(s, s->claims[--s->claims_n], true);
	s->refused = 0;
	if (l)
		lane_place_first(s, i);
}

/* ---- turns ---- */

static bool ring_open(const struct schedule *s, enum place ring)
{
	uint32_t total = s->config.total;

	if (ring == PLACE_LOCAL)
		return true; /* its window was looked at */
	if (ring == PLACE_FRESH)
		return s->sends < total;
	if (ring == PLACE_RETRY) /* those in trouble may hang for minutes; some places are left for others */
		return s->sends < total && s->troubled < total - total / 4;
	return ring == PLACE_DEAD && s->dead < total;
}

/* Whose turn it is; it is taken out of its ring. 0: nobody's. */
static uint32_t turn_take(struct schedule *s)
{
	static const uint8_t orders[8][4] = {
		{PLACE_LOCAL, PLACE_FRESH, PLACE_RETRY, PLACE_DEAD},
		{PLACE_FRESH, PLACE_RETRY, PLACE_LOCAL, PLACE_DEAD},
		{PLACE_FRESH, PLACE_RETRY, PLACE_LOCAL, PLACE_DEAD},
		{PLACE_RETRY, PLACE_FRESH, PLACE_LOCAL, PLACE_DEAD},
		{PLACE_LOCAL, PLACE_FRESH, PLACE_RETRY, PLACE_DEAD},
		{PLACE_FRESH, PLACE_RETRY, PLACE_LOCAL, PLACE_DEAD},
		{PLACE_DEAD, PLACE_FRESH, PLACE_RETRY, PLACE_LOCAL},
		{PLACE_RETRY, PLACE_FRESH, PLACE_LOCAL, PLACE_DEAD},
	};
	const uint8_t *order = orders[s->turn % COUNT_OF(orders)];

	for (size_t k = 0; k < COUNT_OF(orders[0]); k++) {
		if (s->rings[order[k]].first && ring_open(s, (enum place)order[k])) {
			s->turn++;
			return lane_take_first(s, &s->rings[order[k]]);
		}
	}
	return 0;
}

static uint32_t at_least_1(uint32_t n)
{
	return n ? n : 1;
}

static struct schedule_next load(struct schedule *s, struct plan_lane *l, enum place ring, uint8_t rank)
{
	const struct schedule_config *c = &s->config;
	uint32_t share = (uint32_t)c->parcels / (s->in_rings + 1), room = (uint32_t)c->parcels - s->loaded;
	/* As many again as may be under way: the next ones are at hand when these end. */
	uint32_t n =
		ring == PLACE_DEAD ? SCHEDULE_DEAD_MOST - l->dead : 2 * l->pace.window - l->pace.under_way;

	if (rank)
		n = at_least_1(n / TURNS);
	n = n < LOAD_MAX ? n : LOAD_MAX;
	n = n < share ? n : at_least_1(share);
	l->loading = true;
	l->load_rank = rank;
	if (rank == 0) { /* what is noted while it is being loaded counts all the same */
		l->due_us = INT64_MAX;
		l->news = false;
	}
	return (struct schedule_next){
		.want = SCHEDULE_LOAD, .lane = l->head.key, .n = n < room ? n : room, .rank = rank};
}

static struct schedule_next hand_out(struct schedule *s, struct plan_lane *l, enum place ring)
{
	bool retry = !l->list[0].first || (l->list[1].first && l->turn == TURNS - 1);
	struct list *list = &l->list[retry];
	struct plan_parcel *p = parcel_at(s, list->first);

	list->first = p->next;
	if (!list->first)
		list->last = 0;
	l->turn = retry ? 0 : (uint8_t)(l->turn + (l->turn < TURNS - 1));
	l->loaded--;
	s->loaded--;
	p->out = true;
	if (ring == PLACE_DEAD) {
		p->dead = true;
		l->dead++;
		s->dead++;
		return (struct schedule_next){.want = SCHEDULE_DEAD, .parcel = p->parcel};
	}
	pace_begin(&l->pace);
	if (ring == PLACE_LOCAL) {
		s->local++;
	} else {
		p->gate = l->gate && gate_begin(s, l->gate) ? l->gate : 0;
		p->troubled = ring == PLACE_RETRY;
		s->troubled += p->troubled;
		s->sends++;
	}
	return (struct schedule_next){.want = SCHEDULE_SEND, .parcel = p->parcel};
}

/* A lane's turn; WAIT: it could not use it. */
static struct schedule_next take_turn(struct schedule *s, uint32_t i)
{
	struct plan_lane *l = lane_at(s, i);
	struct schedule_next next = {.want = SCHEDULE_WAIT};
	uint64_t gate = l->gate;
	bool token = l->token;
	int64_t at;
	enum place ring = lane_judge(s, l, &at); /* time has passed since it came here */

	if (ring_open(s, ring)) {
		int rank = lane_load_rank(s, l, ring);
		if (rank < 0) /* loading is only half of a turn */
			gate_token_back(s, l);
		next = rank >= 0 ? load(s, l, ring, (uint8_t)rank) : hand_out(s, l, ring);
	}
	lane_place(s, i);
	if (token && next.want != SCHEDULE_LOAD && next.want != SCHEDULE_WAIT)
		gate_pass(s, gate);
	return next;
}

/* There is room again for parcels of a lane that had to wait for it. */
static bool crowd_pass(struct schedule *s)
{
	uint32_t i = s->loaded < s->config.parcels ? lane_take_first(s, &s->crowded) : 0;

	if (i)
		lane_place(s, i);
	return i != 0;
}

struct schedule_next schedule_next(struct schedule *s, int64_t now_us)
{
	struct schedule_next next = {.want = SCHEDULE_WAIT};
	bool more = true;

	if (now_us > s->now_us)
		s->now_us = now_us;
	lanes_forget(s);
	gates_forget(s);
	crowd_pass(s);
	while (more) {
		lanes_due(s);
		uint32_t i = turn_take(s);
		if (i)
			next = take_turn(s, i);
		if (next.want != SCHEDULE_WAIT)
			return next;
		more = i || crowd_pass(s) || (s->heap_n && lane_at(s, s->heap[1])->at_us <= s->now_us);
	}
	next.at_us = room_at(s);
	if (s->heap_n && lane_at(s, s->heap[1])->at_us < next.at_us)
		next.at_us = lane_at(s, s->heap[1])->at_us;
	return next;
}

/* ---- what became of it ---- */

/* Takes a parcel that was handed out off all counts. Its lane is in no place then; 0: there is no such one.
 */
static uint32_t parcel_end(struct schedule *s, uint32_t i)
{
	struct plan_parcel *p = parcel_at(s, i);
	uint32_t lane = lane_find(s, p->parcel.lane), account = p->parcel.account;
	struct plan_lane *l = lane_at(s, lane);

	if (l->place == PLACE_ACCOUNT && l->account == account)
		l->look_us = 0; /* it is itself what it waits for */
	lane_take(s, lane);
	if (p->dead) {
		l->dead--;
		s->dead--;
	} else {
		pace_end(&l->pace);
		if (p->gate)
			gate_end(s, p->gate);
		*(lane_is_local(l) ? &s->local : &s->sends) -= 1;
		s->troubled -= p->troubled;
	}
	if (p->again_us != INT64_MAX) {
		due_by(l, p->again_us);
		l->news = true;
	}
	pool_remove(&s->parcels, i);
	account_give(s, account, true);
	return lane;
}

void schedule_done(struct schedule *s, const struct parcel *p, enum schedule_outcome outcome, uint64_t gate,
	int64_t retry_us, int64_t now_us)
{
	uint32_t i = parcel_find(s, p);

	if (now_us > s->now_us)
		s->now_us = now_us;
	if (!i || !parcel_at(s, i)->out)
		return;
	struct plan_lane *l = lane_at(s, lane_find(s, p->lane));
	struct pace_limits limits = lane_limits(s);
	bool tells = !parcel_at(s, i)->dead && !lane_is_local(l) && outcome != SCHEDULE_NONE;
	if (!gate && outcome == SCHEDULE_UNREACHABLE) /* where it went the last time */
		gate = parcel_at(s, i)->gate;
	if (tells) {
		pace_tell(&l->pace, &limits, outcome, retry_us, s->now_us);
		if (gate)
			gate_tell(s, gate, outcome, retry_us);
	}
	uint32_t lane = parcel_end(s, i);
	uint64_t left = l->gate;
	if (tells && gate && gate != left) {
		bool token = l->token;
		gate_token_back(s, l);
		l->gate = gate;
		if (token)
			gate_pass(s, left);
	}
	lane_place(s, lane);
}

void schedule_back(struct schedule *s, const struct parcel *p)
{
	uint32_t i = parcel_find(s, p);

	if (!i || !parcel_at(s, i)->out)
		return;
	uint32_t lane = parcel_end(s, i);
	struct plan_lane *l = lane_at(s, lane);
	due_by(l, p->due_us);
	l->look_us = s->now_us + AGAIN_US;
	l->account = 0;
	lane_place(s, lane);
}

static void wake_lane(struct schedule *s, uint32_t i)
{
	struct plan_lane *l = lane_at(s, i);

	pace_wake(&l->pace);
	l->look_us = 0;
	lane_place(s, i);
}

void schedule_wake(struct schedule *s, uint64_t lane)
{
	uint32_t i = lane ? lane_find(s, lane) : 0;

	if (lane && i) {
		gate_wake(s, lane_at(s, i)->gate);
		wake_lane(s, i);
	}
	if (lane)
		return;
	for (i = pool_next(&s->gates, 0); i; i = pool_next(&s->gates, i))
		gate_wake(s, ((struct pool_head *)pool_at(&s->gates, i))->key);
	for (i = pool_next(&s->lanes, 0); i; i = pool_next(&s->lanes, i))
		wake_lane(s, i);
}

/* ---- for people ---- */

int schedule_lane(const struct schedule *s, uint64_t lane, struct schedule_lane_info *ret)
{
	uint32_t i = lane_find(s, lane);

	if (!i)
		return 0;
	const struct plan_lane *l = lane_at(s, i);
	const struct plan_gate *g = gate_find(s, l->gate);
	int64_t until = l->pace.until;
	if (g && g->pace.until > until)
		until = g->pace.until;
	int64_t due = l->due_us;
	for (int k = 0; k < 2; k++) {
		if (l->list[k].first && parcel_at(s, l->list[k].first)->parcel.due_us < due)
			due = parcel_at(s, l->list[k].first)->parcel.due_us;
	}
	*ret = (struct schedule_lane_info){.lane = lane,
		.first_due_us = due,
		.rests_until_us = until > s->now_us ? until : 0,
		.under_way = l->pace.under_way,
		.loaded = l->loaded,
		.window = l->pace.window,
		.failures = l->pace.failures,
		.gate = l->gate};
	return 1;
}

void schedule_stats(const struct schedule *s, struct schedule_stats *ret)
{
	*ret = (struct schedule_stats){.lanes = s->lanes.used - s->kept_n,
		.loaded = s->loaded,
		.under_way = s->sends + s->local + s->dead};
	for (uint32_t i = pool_next(&s->lanes, 0); i; i = pool_next(&s->lanes, i))
		ret->resting += pace_state(&lane_at(s, i)->pace, s->now_us) == PACE_RESTS;
}

/* Lanes: where each one waits, and for what. */
#include "queue/schedule_int.h"

/* ---- the heap ---- */

static void heap_set(struct schedule *s, uint32_t at, uint32_t i)
{
	s->heap[at] = i;
	lane_at(s, i)->heap = at;
}

static void heap_up(struct schedule *s, uint32_t at, uint32_t i)
{
	while (at > 1 && lane_at(s, s->heap[at / 2])->at_us > lane_at(s, i)->at_us) {
		heap_set(s, at, s->heap[at / 2]);
		at /= 2;
	}
	heap_set(s, at, i);
}

static void heap_down(struct schedule *s, uint32_t at, uint32_t i)
{
	for (uint32_t child; (child = at * 2) <= s->heap_n; at = child) {
		if (child < s->heap_n &&
			lane_at(s, s->heap[child + 1])->at_us < lane_at(s, s->heap[child])->at_us)
			child++;
		if (lane_at(s, s->heap[child])->at_us >= lane_at(s, i)->at_us)
			break;
		heap_set(s, at, s->heap[child]);
	}
	heap_set(s, at, i);
}

static void heap_remove(struct schedule *s, uint32_t i)
{
	uint32_t at = lane_at(s, i)->heap, last;

	if (!at)
		return;
	lane_at(s, i)->heap = 0;
	last = s->heap[s->heap_n--];
	if (last == i)
		return;
	heap_down(s, at, last);
	heap_up(s, lane_at(s, last)->heap, last);
}

static void heap_put(struct schedule *s, uint32_t i, int64_t at_us)
{
	struct plan_lane *l = lane_at(s, i);

	if (l->heap && l->at_us == at_us)
		return;
	heap_remove(s, i);
	l->at_us = at_us;
	heap_up(s, ++s->heap_n, i);
}

/* ---- lists ---- */

static struct list *list_of(struct schedule *s, const struct plan_lane *l)
{
	struct plan_gate *g;

	switch ((enum place)l->place) {
	case PLACE_LOCAL:
	case PLACE_FRESH:
	case PLACE_RETRY:
	case PLACE_DEAD:
		return &s->rings[l->place];
	case PLACE_GATE:
		g = gate_find(s, l->gate);
		return g ? &g->waiting : NULL;
	case PLACE_ACCOUNT:
		return account_waiting(s, l->account);
	case PLACE_CROWDED:
		return &s->crowded;
	case PLACE_KEPT:
		return &s->kept;
	case PLACE_NOWHERE:
		break;
	}
	return NULL;
}

static bool in_ring(const struct plan_lane *l)
{
	return l->place >= PLACE_LOCAL && l->place <= PLACE_DEAD;
}

static void list_add(struct schedule *s, uint32_t i, bool first)
{
	struct plan_lane *l = lane_at(s, i);
	struct list *list = list_of(s, l);

	if (!list) { /* it waits for its time only */
		l->place = PLACE_NOWHERE;
		return;
	}
	l->prev = first ? 0 : list->last;
	l->next = first ? list->first : 0;
	*(l->prev ? &lane_at(s, l->prev)->next : &list->first) = i;
	*(l->next ? &lane_at(s, l->next)->prev : &list->last) = i;
	s->in_rings += in_ring(l);
	s->kept_n += l->place == PLACE_KEPT;
}

static void list_remove(struct schedule *s, uint32_t i)
{
	struct plan_lane *l = lane_at(s, i);
	struct list *list = list_of(s, l);
	enum place place = l->place;

	if (!list)
		return;
	*(l->prev ? &lane_at(s, l->prev)->next : &list->first) = l->next;
	*(l->next ? &lane_at(s, l->next)->prev : &list->last) = l->prev;
	l->prev = l->next = 0;
	s->in_rings -= in_ring(l);
	s->kept_n -= place == PLACE_KEPT;
	l->place = PLACE_NOWHERE;
	if (place == PLACE_GATE)
		gate_settle(s, l->gate);
	if (place == PLACE_ACCOUNT)
		account_settle(s, l->account);
}

void lane_take(struct schedule *s, uint32_t i)
{
	list_remove(s, i);
	heap_remove(s, i);
}

uint32_t lane_take_first(struct schedule *s, struct list *lanes)
{
	uint32_t i = lanes->first;

	if (i)
		lane_take(s, i);
	return i;
}

/* ---- where a lane belongs ---- */

struct pace_limits lane_limits(const struct schedule *s)
{
	const struct schedule_config *c = &s->config;

	return (struct pace_limits){c->start, c->most, c->dead_after, c->rest_min, c->rest_max};
}

static bool is_troubled(const struct plan_lane *l, const struct plan_gate *g)
{
	return l->pace.failures || l->pace.rests || (g && (g->pace.failures || g->pace.rests)) ||
	       (l->loaded && !l->list[0].first && !l->news);
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Which ring, by the states of the lane and its gate alone; else what it waits for. */
static enum place judge_pace(const struct schedule *s, const struct plan_lane *l, int64_t *ret_at)
{
	const struct plan_gate *g = gate_find(s, l->gate);
	enum pace_state own = pace_state(&l->pace, s->now_us),
			gates = g ? pace_state(&g->pace, s->now_us) : PACE_OPEN;
	int64_t until = later(l->pace.until, g ? g->pace.until : 0);

	if (own == PACE_RESTS || gates == PACE_RESTS) {
		if (l->dead < SCHEDULE_DEAD_MOST)
			return PLACE_DEAD;
		*ret_at = until;
		return PLACE_NOWHERE;
	}
	if (own == PACE_PAUSED || gates == PACE_PAUSED) {
		*ret_at = until;
		return PLACE_NOWHERE;
	}
	if (own == PACE_FULL)
		return PLACE_NOWHERE;
	if (gates == PACE_FULL || (g && g->waiting.first && !l->token)) /* behind those that wait already */
		return PLACE_GATE;
	return lane_is_local(l) ? PLACE_LOCAL : is_troubled(l, g) ? PLACE_RETRY : PLACE_FRESH;
}

enum place lane_judge(const struct schedule *s, const struct plan_lane *l, int64_t *ret_at)
{
	bool idle = l->due_us == INT64_MAX && l->pace.under_way == 0 && l->dead == 0;

	*ret_at = INT64_MAX;
	if (l->loading)
		return PLACE_NOWHERE;
	if (l->loaded == 0 && l->due_us > s->now_us) {
		*ret_at = l->due_us;
		return idle ? PLACE_KEPT : PLACE_NOWHERE;
	}
	enum place place = judge_pace(s, l, ret_at);
	if (place == PLACE_NOWHERE || place == PLACE_GATE || l->loaded)
		return place;
	if (l->look_us > s->now_us) {
		*ret_at = l->look_us;
		return l->account ? PLACE_ACCOUNT : PLACE_NOWHERE;
	}
	return s->loaded < s->config.parcels ? place : PLACE_CROWDED;
}

int lane_load_rank(const struct schedule *s, const struct plan_lane *l, enum place ring)
{
	bool retry_turn = l->turn == TURNS - 1 && l->more && !l->list[1].first && ring != PLACE_DEAD;

	if (s->loaded >= s->config.parcels || l->due_us > s->now_us || l->look_us > s->now_us)
		return -1;
	if (retry_turn)
		return RETRY;
	if (l->loaded == 0 || (l->news && !l->list[0].first && ring != PLACE_DEAD))
		return 0;
	return -1;
}

static void forget_lane(struct schedule *s, uint32_t i)
{
	uint64_t gate = lane_at(s, i)->token ? lane_at(s, i)->gate : 0;

	gate_token_back(s, lane_at(s, i));
	lane_take(s, i);
	pool_remove(&s->lanes, i);
	if (gate)
		gate_pass(s, gate);
}

/* Nothing is due: what was learned is remembered for a while. */
static void keep(struct schedule *s, uint32_t i)
{
	struct plan_lane *l = lane_at(s, i);
	struct pace_limits limits = lane_limits(s);

	if (lane_is_local(l) || (!l->gate && !pace_learned(&l->pace, &limits))) {
		pool_remove(&s->lanes, i);
		return;
	}
	if (s->kept_n > s->config.lanes / 16)
		forget_lane(s, s->kept.first);
	l->at_us = s->now_us;
	l->place = PLACE_KEPT;
	list_add(s, i, false);
}

bool lane_put(struct schedule *s, uint32_t i, bool first)
{
	struct plan_lane *l = lane_at(s, i);
	int64_t at;
	enum place place = lane_judge(s, l, &at);
	const struct plan_gate *g = gate_find(s, l->gate);
	/* With the token a lane may also wait until its gate's pause ends. */
	bool pauses = g && g->pace.until > s->now_us && !g->pace.rests && at == g->pace.until;
	bool holds = l->loading || pauses || place == PLACE_CROWDED ||
		     (place >= PLACE_LOCAL && place <= PLACE_DEAD);
	bool lost = l->token && !holds;

	if (lost)
		gate_token_back(s, l);
	if (place == PLACE_KEPT) {
		if (l->place != PLACE_KEPT) {
			lane_take(s, i);
			keep(s, i);
		}
		return !lost;
	}
	if (place != (enum place)l->place || first) {
		list_remove(s, i);
		l->place = place & 0xff;
		list_add(s, i, first);
	}
	if (at == INT64_MAX)
		heap_remove(s, i);
	else
		heap_put(s, i, at);
	return !lost;
}

static void place_and_pass(struct schedule *s, uint32_t i, bool first)
{
	uint64_t gate = lane_at(s, i)->gate;

	if (!lane_put(s, i, first))
		gate_pass(s, gate);
}

void lane_place(struct schedule *s, uint32_t i)
{
	place_and_pass(s, i, false);
}

void lane_place_first(struct schedule *s, uint32_t i)
{
	place_and_pass(s, i, true);
}

void lanes_due(struct schedule *s)
{
	for (int some = 64; some && s->heap_n; some--) {
		uint32_t i = s->heap[1];
		if (lane_at(s, i)->at_us > s->now_us)
			return;
		heap_remove(s, i);
		lane_place(s, i);
	}
}

void lanes_forget(struct schedule *s)
{
	for (int some = 2; some && s->kept.first; some--) {
		const struct plan_lane *l = lane_at(s, s->kept.first);
		if (l->at_us + KEEP_US > s->now_us || l->pace.until > s->now_us)
			return;
		forget_lane(s, s->kept.first);
	}
}

/* ---- finding and making ---- */

uint32_t lane_find(const struct schedule *s, uint64_t lane)
{
	return pool_find(&s->lanes, lane, 0);
}

static uint64_t draw(struct schedule *s) /* xorshift: any spread will do */
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random;
}

/*
 * The lane that waits longest among some of the heap's leaves, if it is due later than due_us and has nothing
 * in hand; 0: none.
 */
static uint32_t last_of_some(struct schedule *s, int64_t due_us)
{
	uint32_t leaf = s->heap_n / 2 + 1, found = 0;

	for (int some = 8; some && s->heap_n; some--) {
		uint32_t i = s->heap[leaf + draw(s) % (s->heap_n - leaf + 1)];
		const struct plan_lane *l = lane_at(s, i);
		bool free = !l->loaded && !l->pace.under_way && !l->dead && !lane_is_local(l);
		if (free && l->due_us > due_us) {
			found = i;
			due_us = l->due_us;
		}
	}
	return found;
}

uint32_t lane_get(struct schedule *s, uint64_t lane, int64_t due_us, bool *ret_all)
{
	struct pace_limits limits = lane_limits(s);
	uint32_t i = lane_find(s, lane), out;

	*ret_all = true;
	if (i)
		return i;
	if (lane && s->lanes.used >= s->config.lanes) {
		out = s->kept.first ? s->kept.first : last_of_some(s, due_us);
		int64_t left = out ? lane_at(s, out)->due_us : due_us;
		*ret_all = left == INT64_MAX;
		s->left_out_us = left < s->left_out_us ? left : s->left_out_us;
		if (!out)
			return 0;
		forget_lane(s, out);
	}
	i = pool_add(&s->lanes, lane);
	if (!i)
		return 0;
	struct plan_lane *l = lane_at(s, i);
	pace_start(&l->pace, &limits);
	if (!lane)
		l->pace.window = s->config.total;
	l->due_us = INT64_MAX;
	return i;
}

/* Gates and accounts: what parcels of many lanes share. */
#include "queue/schedule_int.h"

/* ---- gates ---- */

static struct plan_gate *gate_at(const struct schedule *s, uint32_t i)
{
	return pool_at(&s->gates, i);
}

struct pace_limits gate_limits(const struct schedule *s)
{
	const struct schedule_config *c = &s->config;

	return (struct pace_limits){c->gate_start, c->gate_most, c->dead_after, c->rest_min, c->rest_max};
}

struct plan_gate *gate_find(const struct schedule *s, uint64_t gate)
{
	uint32_t i = gate ? pool_find(&s->gates, gate, 0) : 0;

	return i ? gate_at(s, i) : NULL;
}

static void unkeep(struct schedule *s, uint32_t i)
{
	struct plan_gate *g = gate_at(s, i);

	*(g->prev ? &gate_at(s, g->prev)->next : &s->gates_kept.first) = g->next;
	*(g->next ? &gate_at(s, g->next)->prev : &s->gates_kept.last) = g->prev;
	g->prev = g->next = 0;
	g->kept = false;
	s->gates_kept_n--;
}

static void forget_first(struct schedule *s)
{
	uint32_t i = s->gates_kept.first;

	unkeep(s, i);
	pool_remove(&s->gates, i);
}

static struct plan_gate *gate_get(struct schedule *s, uint64_t gate)
{
	struct pace_limits limits = gate_limits(s);
	uint32_t i = pool_find(&s->gates, gate, 0);

	if (i)
		return gate_at(s, i);
	if (s->gates.used == s->gates.cap && s->gates_kept.first)
		forget_first(s);
	i = pool_add(&s->gates, gate);
	if (!i)
		return NULL;
	pace_start(&gate_at(s, i)->pace, &limits);
	return gate_at(s, i);
}

/* When none waits and none is under way: kept, or forgotten. */
void gate_settle(struct schedule *s, uint64_t gate)
{
	struct pace_limits limits = gate_limits(s);
	uint32_t i = pool_find(&s->gates, gate, 0);
	struct plan_gate *g = i ? gate_at(s, i) : NULL;

	if (!g)
		return;
	if (g->kept)
		unkeep(s, i);
	if (g->pace.under_way || g->waiting.first || g->tokens)
		return;
	if (!pace_learned(&g->pace, &limits)) {
		pool_remove(&s->gates, i);
		return;
	}
	if (s->gates_kept_n == GATES_MAX)
		forget_first(s);
	g->kept = true;
	g->since_us = s->now_us;
	g->prev = s->gates_kept.last;
	*(g->prev ? &gate_at(s, g->prev)->next : &s->gates_kept.first) = i;
	s->gates_kept.last = i;
	s->gates_kept_n++;
}

bool gate_begin(struct schedule *s, uint64_t gate)
{
	struct plan_gate *g = gate_get(s, gate);

	if (!g)
		return false;
	pace_begin(&g->pace);
	gate_settle(s, gate);
	return true;
}

void gate_end(struct schedule *s, uint64_t gate)
{
	pace_end(&gate_find(s, gate)->pace);
	gate_pass(s, gate);
}

void gate_tell(struct schedule *s, uint64_t gate, enum schedule_outcome outcome, int64_t retry_us)
{
	struct pace_limits limits = gate_limits(s);
	struct plan_gate *g = gate_get(s, gate);

	if (!g)
		return;
	pace_tell(&g->pace, &limits, outcome, retry_us, s->now_us);
	gate_pass(s, gate);
}

void gate_wake(struct schedule *s, uint64_t gate)
{
	struct plan_gate *g = gate_find(s, gate);

	if (!g)
		return;
	pace_wake(&g->pace);
	gate_pass(s, gate);
}

/* Whether one more that waits may go: there is a place, or there is none to wait for. */
static bool may_pass(const struct schedule *s, const struct plan_gate *g)
{
	switch (pace_state(&g->pace, s->now_us)) {
	case PACE_OPEN:
		return g->pace.under_way + g->tokens < (g->pace.rests ? 1 : g->pace.window);
	case PACE_FULL:
		return false;
	case PACE_PAUSED: /* one waits for its end, for all */
		return g->tokens == 0;
	case PACE_RESTS:
		break;
	}
	return true;
}

void gate_pass(struct schedule *s, uint64_t gate)
{
	struct plan_gate *g;
	bool held = false;

	/* A lane that cannot use it now waits for something else from now on: the loop is paid by its wait.
	 */
	while (!held && (g = gate_find(s, gate)) && g->waiting.first && may_pass(s, g)) {
		uint32_t i = g->waiting.first;
		g->tokens++; /* the gate stays, though it may have lost the last that waits */
		lane_at(s, i)->token = true;
		lane_take(s, i);
		held = lane_put(s, i, false);
	}
	gate_settle(s, gate);
}

void gate_token_back(struct schedule *s, struct plan_lane *l)
{
	if (l->token)
		gate_find(s, l->gate)->tokens--;
	l->token = false;
}

void gates_forget(struct schedule *s)
{
	for (int some = 2; some && s->gates_kept.first; some--) {
		struct plan_gate *g = gate_at(s, s->gates_kept.first);
		if (g->since_us + KEEP_US > s->now_us || g->pace.until > s->now_us)
			return;
		forget_first(s);
	}
}

/* ---- accounts ---- */

static struct plan_account *account_find(const struct schedule *s, uint32_t account)
{
	uint32_t i = pool_find(&s->accounts, account, 0);

	return i ? pool_at(&s->accounts, i) : NULL;
}

bool account_full(const struct schedule *s, uint32_t account)
{
	const struct plan_account *a = account ? account_find(s, account) : NULL;

	return s->config.account_most && a && a->known >= s->config.account_most;
}

bool account_take(struct schedule *s, uint32_t account)
{
	struct plan_account *a = account ? account_find(s, account) : NULL;
	uint32_t i = account && !a ? pool_add(&s->accounts, account) : 0;

	if (i)
		a = pool_at(&s->accounts, i);
	if (a)
		a->known++;
	return a || !account;
}

struct list *account_waiting(const struct schedule *s, uint32_t account)
{
	struct plan_account *a = account ? account_find(s, account) : NULL;

	return a ? &a->waiting : NULL;
}

void account_settle(struct schedule *s, uint32_t account)
{
	uint32_t i = pool_find(&s->accounts, account, 0);
	const struct plan_account *a = i ? pool_at(&s->accounts, i) : NULL;

	if (a && a->known == 0 && !a->waiting.first)
		pool_remove(&s->accounts, i);
}

void account_give(struct schedule *s, uint32_t account, bool wake)
{
	struct plan_account *a = account ? account_find(s, account) : NULL;

	if (!a)
		return;
	a->known--;
	uint32_t i = wake && a->known < s->config.account_most ? lane_take_first(s, &a->waiting) : 0;
	if (i) {
		lane_at(s, i)->look_us = 0;
		lane_place(s, i);
	}
	account_settle(s, account);
}

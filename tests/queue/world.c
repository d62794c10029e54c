#include "world.h"
#include "base/wire.h"

const struct schedule_config world_usual = {.start = 5,
	.most = 20,
	.gate_start = 10,
	.gate_most = 50,
	.account_most = 0,
	.total = 480,
	.dead_after = 3,
	.rest_min = MIN,
	.rest_max = 30 * MIN,
	.parcels = 10000,
	.lanes = 65536};

uint64_t world_draw(struct world *w)
{
	w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return w->random >> 33;
}

struct world *world_new(
	const struct schedule_config *c, struct answer (*answer)(struct world *, const struct parcel *))
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->c = *c;
	w->s = schedule_new(c);
	w->rows = omap_new();
	w->answer = answer;
	w->random = 1;
	w->backoff = 5 * MIN;
	w->now = 1000 * SEC;
	assert_true(w->s && w->rows);
	return w;
}

void world_free(struct world *w)
{
	schedule_free(w->s);
	omap_free(w->rows);
	free(w);
}

slice world_row_key(uint8_t key[KEY], const struct parcel *p)
{
	be64_put(key, p->lane);
	key[8] = p->rank;
	be64_put(key + 9, (uint64_t)p->due_us);
	memcpy(key + 17, p->id, 16);
	return slice_make(key, KEY);
}

struct parcel world_row_parcel(const struct omap_node *n)
{
	struct parcel p = {.lane = be64_get(n->key.p), .rank = (uint8_t)n->key.p[8]};

	p.due_us = (int64_t)be64_get(n->key.p + 9);
	memcpy(p.id, n->key.p + 17, 16);
	memcpy(&p.account, n->value.p, sizeof p.account);
	return p;
}

void world_row_put(struct world *w, const struct parcel *p)
{
	uint8_t key[KEY];

	assert_true(omap_put(w->rows, world_row_key(key, p), slice_make(&p->account, sizeof p->account)));
}

void world_note(struct world *w, uint64_t lane, int64_t due)
{
	if (!schedule_note(w->s, lane, due))
		w->left_out = true;
}

struct parcel world_add(struct world *w, uint64_t lane, uint8_t rank, int64_t due, uint32_t account)
{
	struct parcel p = {.lane = lane, .rank = rank, .due_us = due, .account = account};

	be64_put(p.id, ++w->ids);
	world_row_put(w, &p);
	world_note(w, lane, due);
	return p;
}

void world_add_many(struct world *w, uint64_t lane, size_t n)
{
	while (n--)
		world_add(w, lane, 16, w->now, 0);
}

/* What the role does with LOAD: walks the index rows of the lane, rank by rank. */
void world_load(struct world *w, const struct schedule_next *next)
{
	struct parcel found[64];
	size_t n = 0;
	int64_t next_due = INT64_MAX;
	bool skipped = false;
	uint8_t from[9] = {0};

	w->loads++;
	assert_in_range(next->n, 1, 64);
	be64_put(from, next->lane);
	from[8] = next->rank;
	const struct omap_node *at = omap_ge(w->rows, slice_make(from, sizeof from));
	while (at && be64_get(at->key.p) == next->lane) {
		struct parcel p = world_row_parcel(at);
		bool due = p.due_us <= w->now;
		w->rows_seen++;
		if (due && schedule_knows(w->s, &p)) {
			at = omap_next(at);
			continue;
		}
		if (due && n < next->n) {
			if (schedule_account_room(w->s, p.account)) {
				found[n++] = p;
			} else {
				skipped = true;
				next_due = p.due_us < next_due ? p.due_us : next_due;
			}
			at = omap_next(at);
			continue;
		}
		if (!schedule_knows(w->s, &p))
			next_due = p.due_us < next_due ? p.due_us : next_due;
		if (n == next->n || p.rank == 255)
			break;
		from[8] = (uint8_t)(p.rank + 1); /* what follows in this rank is due later */
		at = omap_ge(w->rows, slice_make(from, sizeof from));
	}
	schedule_loaded(w->s, next->lane, found, n, next_due, skipped);
}

void world_begin(struct world *w, const struct parcel *p, bool dead)
{
	uint8_t key[KEY];
	struct answer a = dead ? (struct answer){MS, SCHEDULE_NONE, 0, 0} : w->answer(w, p);

	assert_non_null(omap_get(w->rows, world_row_key(key, p)));
	for (size_t i = 0; i < w->flights_n; i++)
		assert_false(w->flights[i].p.lane == p->lane && !memcmp(w->flights[i].p.id, p->id, 16));
	assert_true(w->flights_n < FLIGHTS && schedule_knows(w->s, p));
	w->flights[w->flights_n++] = (struct flight){*p, w->now + a.after_us, dead};
	if (dead) {
		w->dead_all++;
		assert_true(++w->dead[p->lane] <= SCHEDULE_DEAD_MOST && w->dead_all <= w->c.total);
		return;
	}
	w->tried[p->lane]++;
	w->out[p->lane]++;
	if (w->out[p->lane] > w->most[p->lane])
		w->most[p->lane] = w->out[p->lane];
	if (p->lane) {
		assert_true(w->out[p->lane] <= w->c.most);
		assert_true(++w->sends <= w->c.total);
	} else {
		assert_true(w->out[0] <= w->c.total);
	}
	if (p->account) {
		uint32_t n = ++w->by_account[p->account];
		w->account_peak = n > w->account_peak ? n : w->account_peak;
	}
}

/* The role's work after an answer: the rows first, as their commit comes before done. */
void world_finish(struct world *w, size_t i)
{
	struct flight f = w->flights[i];
	struct answer a = {.outcome = SCHEDULE_NONE};
	uint8_t key[KEY];

	w->flights[i] = w->flights[--w->flights_n];
	if (f.dead) {
		w->dead[f.p.lane]--;
		w->dead_all--;
		w->deferred[f.p.lane]++;
	} else {
		a = w->answer(w, &f.p);
		w->out[f.p.lane]--;
		w->sends -= f.p.lane != 0;
		w->by_account[f.p.account % 64] -= f.p.account != 0;
	}
	if (a.outcome == SCHEDULE_NONE && !f.dead && world_draw(w) % 2) { /* could not be begun */
		schedule_back(w->s, &f.p);
		return;
	}
	assert_true(omap_del(w->rows, world_row_key(key, &f.p)));
	struct parcel again = f.p;
	again.rank = 128;
	again.due_us = w->now + w->backoff;
	if (a.outcome == SCHEDULE_OK) {
		w->sent[f.p.lane]++;
		w->last_sent[f.p.lane] = w->now;
	} else {
		world_row_put(w, &again);
		if (w->note_first)
			world_note(w, again.lane, again.due_us);
	}
	schedule_done(w->s, &f.p, a.outcome, a.gate, a.retry_us, w->now);
	if (a.outcome != SCHEDULE_OK && !w->note_first)
		world_note(w, again.lane, again.due_us);
}

static int64_t first_end(const struct world *w, size_t *ret)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < w->flights_n; i++) {
		if (w->flights[i].end_us < first) {
			first = w->flights[i].end_us;
			*ret = i;
		}
	}
	return first;
}

static void look(struct world *w)
{
	w->looks++;
	schedule_look(w->s, w->now);
	for (const struct omap_node *at = omap_first(w->rows); at; at = omap_next(at)) {
		struct parcel p = world_row_parcel(at);
		world_note(w, p.lane, p.due_us);
	}
}

/* Goes on until nothing is left to do before `until`. */
void world_run(struct world *w, int64_t until)
{
	size_t i = 0;

	for (;;) {
		struct schedule_next next = schedule_next(w->s, w->now);
		w->nexts++;
		if (next.want == SCHEDULE_LOAD) {
			world_load(w, &next);
			continue;
		}
		if (next.want != SCHEDULE_WAIT) {
			world_begin(w, &next.parcel, next.want == SCHEDULE_DEAD);
			continue;
		}
		if (schedule_room(w->s, w->now)) {
			look(w);
			continue;
		}
		assert_true(next.at_us > w->now);
		int64_t end = first_end(w, &i), at = end < next.at_us ? end : next.at_us;
		if (at > until) {
			w->now = until > w->now ? until : w->now;
			return;
		}
		w->now = at > w->now ? at : w->now;
		while (first_end(w, &i) <= w->now)
			world_finish(w, i);
	}
}

struct answer world_good(struct world *w, const struct parcel *p)
{
	(void)w;
	(void)p;
	return (struct answer){10 * MS, SCHEDULE_OK, 0, 0};
}

struct answer world_many_hang(struct world *w, const struct parcel *p)
{
	(void)w;
	if (p->lane < 1000)
		return (struct answer){5 * MIN, SCHEDULE_UNREACHABLE, 0, 0};
	return (struct answer){10 * MS, SCHEDULE_OK, 0, 0};
}

struct parcel world_next_sent(struct world *w)
{
	struct schedule_next next;

	while ((next = schedule_next(w->s, w->now)).want == SCHEDULE_LOAD)
		world_load(w, &next);
	assert_int_equal(next.want, SCHEDULE_SEND);
	return next.parcel;
}

int64_t world_next_wait(struct world *w)
{
	struct schedule_next next;

	while ((next = schedule_next(w->s, w->now)).want == SCHEDULE_LOAD)
		world_load(w, &next);
	assert_int_equal(next.want, SCHEDULE_WAIT);
	return next.at_us;
}

void world_tell(
	struct world *w, const struct parcel *p, enum schedule_outcome o, uint64_t gate, int64_t retry)
{
	uint8_t key[KEY];

	assert_true(omap_del(w->rows, world_row_key(key, p)));
	schedule_done(w->s, p, o, gate, retry, w->now);
}

/* Whatever happens, nothing is lost, nothing is handed out twice, and memory is bounded. */
#include "queue/schedule_int.h"
#include "world.h"

/* ---- all at random ---- */

static struct answer at_random(struct world *w, const struct parcel *p)
{
	/* What a lane is like changes every few minutes; now and then anything may happen. */
	uint64_t mood = (p->lane * 2654435761u + (uint64_t)(w->now / (7 * MIN))) % 10,
		 luck = world_draw(w) % 20;
	struct answer a = {(int64_t)(world_draw(w) % 200) * MS, SCHEDULE_OK, 1 + p->lane % 17, 0};

	if (p->lane == 0)
		return a;
	if (mood == 0 || luck == 0)
		a = (struct answer){30 * SEC, SCHEDULE_UNREACHABLE, world_draw(w) % 2 ? a.gate : 0, 0};
	else if (mood == 1 || luck == 1)
		a = (struct answer){MS, SCHEDULE_SLOW, a.gate, luck < 5 ? 30 * SEC : 0};
	else if (luck == 2)
		a.outcome = SCHEDULE_NONE;
	else if (luck == 3)
		a.gate = 100 + world_draw(w) % 50;
	return a;
}

static void random_step(struct world *w, struct schedule_config *c)
{
	uint64_t what = world_draw(w) % 1000;

	if (what < 700) {
		world_add(w, world_draw(w) % 300, world_draw(w) % 4 ? 16 : (uint8_t)(world_draw(w) % 256),
			w->now + (world_draw(w) % 3 ? 0 : (int64_t)(world_draw(w) % 600) * SEC),
			(uint32_t)(world_draw(w) % 9));
	} else if (what < 990) {
		world_run(w, w->now + (int64_t)(world_draw(w) % 2000) * MS);
	} else if (what < 994) {
		schedule_wake(w->s, world_draw(w) % 300);
	} else if (what < 995) {
		schedule_wake(w->s, 0);
	} else if (what < 997) {
		c->most = 20 + (uint32_t)world_draw(w) % 10;
		c->total = 100 + (uint32_t)world_draw(w) % 300;
		c->gate_most = 10 + (uint32_t)world_draw(w) % 20;
		c->parcels = 50 + world_draw(w) % 1000;
		schedule_configure(w->s, c);
		w->c.most = 30; /* those under way stay so */
		w->c.total = 480;
	} else if (w->rows &&
		   omap_count(w->rows)) { /* a row changes under the schedule: an owner's "retry" */
		const struct omap_node *at = omap_first(w->rows);
		for (uint64_t k = world_draw(w) % 50; k && omap_next(at); k--)
			at = omap_next(at);
		struct parcel p = world_row_parcel(at);
		bool out = false;
		for (size_t i = 0; i < w->flights_n; i++)
			out |= w->flights[i].p.lane == p.lane && !memcmp(w->flights[i].p.id, p.id, 16);
		if (!out && !schedule_knows(w->s, &p)) {
			uint8_t key[KEY];
			omap_del(w->rows, world_row_key(key, &p));
			p.due_us = w->now;
			world_row_put(w, &p);
			world_note(w, p.lane, p.due_us);
		}
	}
}

static void nothing_is_lost_or_sent_twice(void **state)
{
	(void)state;
	uint64_t sent = 0;

	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct schedule_config c = world_usual;
		c.account_most = seed % 2 ? 20 : 0;
		struct world *w = world_new(&c, at_random);
		w->random = seed;
		w->note_first = seed > 2;
		for (int k = 0; k < 25000; k++)
			random_step(w, &c);
		w->answer = world_good;
		schedule_wake(w->s, 0);
		world_run(w, w->now + 3 * 60 * MIN);
		assert_int_equal(omap_count(w->rows), 0);
		assert_int_equal(w->flights_n, 0);
		assert_false(w->left_out);
		for (uint64_t lane = 0; lane < 300; lane++)
			sent += w->sent[lane];
		assert_int_equal(world_next_wait(w), INT64_MAX);
		struct schedule_stats st;
		schedule_stats(w->s, &st);
		assert_true(st.lanes == 0 && st.loaded == 0 && st.under_way == 0 && st.resting == 0);
		/* nothing is left behind but what was learned */
		assert_int_equal(w->s->parcels.used, 0);
		assert_int_equal(w->s->accounts.used, 0);
		assert_int_equal(w->s->gates.used, w->s->gates_kept_n);
		assert_int_equal(w->s->lanes.used, w->s->kept_n);
		assert_int_equal(w->s->sends + w->s->local + w->s->dead + w->s->troubled, 0);
		world_free(w);
	}
	assert_true(sent > 60000);
}

/* ---- bounds ---- */

static void a_million_lanes(void **state)
{
	(void)state;
	struct schedule *s = schedule_new(&world_usual);
	struct schedule_stats st;
	int64_t now = 1000 * SEC;
	size_t refused = 0, known = 0;

	for (uint64_t lane = 1; lane <= 1000000; lane++) /* due within four hours, in no order */
		refused += !schedule_note(s, lane, now + (int64_t)(lane * 7919 % 14400) * SEC);
	assert_int_equal(refused, 1000000 - 65536);
	schedule_stats(s, &st);
	assert_int_equal(st.lanes, 65536);
	/* of the lanes that are due within a quarter of an hour nearly all are known: 62,500 */
	struct schedule_lane_info info;
	for (uint64_t lane = 1; lane <= 1000000; lane++) {
		if (lane * 7919 % 14400 < 800)
			known += (size_t)schedule_lane(s, lane, &info);
	}
	assert_true(known > 50000);
	/* fresh mail finds room at once */
	assert_false(schedule_note(s, 5000000, now));
	assert_int_equal(schedule_lane(s, 5000000, &info), 1);
	schedule_free(s);
}

static void left_out_lanes_come_back(void **state)
{
	(void)state;
	struct schedule_config c = world_usual;
	c.lanes = 100;
	struct world *w = world_new(&c, world_good);

	for (uint64_t lane = 1; lane < 1500; lane++)
		world_add(w, lane, 16, w->now + (int64_t)(lane * 37 % 600) * SEC, 0);
	assert_true(w->left_out);
	int64_t end = w->now + 20 * MIN;
	while (w->now < end && omap_count(w->rows))
		world_run(w, w->now + SEC);
	assert_int_equal(omap_count(w->rows), 0);
	assert_in_range(w->looks, 10, 80);
	assert_true(w->now - 1000 * SEC < 660 * SEC); /* none much later than it was due */
	schedule_look(w->s, w->now);
	assert_false(schedule_room(w->s, w->now + 60 * MIN));
	world_free(w);
}

static void few_parcels_are_loaded(void **state)
{
	(void)state;
	struct schedule_config c = world_usual;
	c.parcels = 40;
	struct world *w = world_new(&c, world_good);
	struct schedule_stats st;

	for (uint64_t lane = 1; lane < 1500; lane++)
		world_add_many(w, lane, 10);
	for (int k = 0; k < 200; k++) {
		world_run(w, w->now + 3 * MS);
		schedule_stats(w->s, &st);
		assert_true(st.loaded <= 40);
	}
	world_run(w, LONG);
	assert_int_equal(omap_count(w->rows), 0);
	world_free(w);
}

/* ---- the smaller calls ---- */

static void local_work_never_waits(void **state)
{
	(void)state;
	struct schedule_config c = world_usual;
	c.total = 4;
	struct world *w = world_new(&c, world_many_hang);
	struct parcel p;

	for (uint64_t lane = 1; lane < 10; lane++)
		world_add_many(w, lane, 3);
	world_run(w, w->now + SEC); /* all places are taken */
	assert_int_equal(w->sends, 4);
	world_add_many(w, 0, 10);
	for (int k = 0; k < 4; k++)
		p = world_next_sent(w);
	assert_int_equal(p.lane, 0);
	assert_int_equal(schedule_next(w->s, w->now).want, SCHEDULE_WAIT);
	for (int k = 0; k < 6; k++) { /* no outcome makes it rest */
		world_tell(w, &p, SCHEDULE_UNREACHABLE, 5, 60 * SEC);
		p = world_next_sent(w);
		assert_int_equal(p.lane, 0);
	}
	world_free(w);
}

static void back_and_wake(void **state)
{
	(void)state;
	struct world *w = world_new(&world_usual, world_good);
	struct parcel p, q;
	struct schedule_lane_info info;

	world_add_many(w, 4, 1);
	p = world_next_sent(w);
	assert_true(schedule_knows(w->s, &p));
	schedule_back(w->s, &p);
	assert_false(schedule_knows(w->s, &p));
	assert_int_equal(world_next_wait(w), w->now + SEC);
	w->now += SEC;
	q = world_next_sent(w);
	assert_memory_equal(q.id, p.id, 16);
	for (int k = 0; k < 3; k++) {
		world_tell(w, &q, SCHEDULE_UNREACHABLE, 88, 0);
		world_add_many(w, 4, 1);
		if (k < 2)
			q = world_next_sent(w);
	}
	assert_int_equal(schedule_lane(w->s, 4, &info), 1);
	assert_true(info.rests_until_us > w->now);
	schedule_wake(w->s, 4);
	assert_int_equal(schedule_lane(w->s, 4, &info), 1);
	assert_int_equal(info.rests_until_us, 0);
	q = world_next_sent(w);
	world_tell(w, &q, SCHEDULE_OK, 88, 0);
	/* what is not under way is not ended twice */
	schedule_done(w->s, &q, SCHEDULE_OK, 88, 0, w->now);
	schedule_back(w->s, &q);
	assert_int_equal(world_next_wait(w), INT64_MAX);
	world_free(w);
}

/* The row of a parcel under way is written anew before schedule_done: it is found afterwards. */
static void a_row_changes_under_way(void **state)
{
	(void)state;
	struct world *w = world_new(&world_usual, world_good);
	struct parcel p, again;

	world_add_many(w, 4, 1);
	p = world_next_sent(w);
	again = p;
	again.rank = 128;
	world_row_put(w, &again);
	world_note(w, 4, again.due_us);
	assert_int_equal(world_next_wait(w), INT64_MAX); /* it was seen in a load, and is known */
	world_tell(w, &p, SCHEDULE_OK, 0, 0);
	p = world_next_sent(w);
	assert_int_equal(p.rank, 128);
	world_free(w);
}

static void a_load_fails(void **state)
{
	(void)state;
	struct world *w = world_new(&world_usual, world_good);

	world_add_many(w, 4, 1);
	struct schedule_next next = schedule_next(w->s, w->now);
	assert_int_equal(next.want, SCHEDULE_LOAD);
	assert_int_equal(schedule_next(w->s, w->now).want, SCHEDULE_WAIT); /* not asked twice */
	schedule_loaded(w->s, 4, NULL, 0, 0, false);
	assert_int_equal(world_next_wait(w), w->now + SEC);
	w->now += SEC;
	world_next_sent(w);
	world_free(w);
}

static void reconfigured(void **state)
{
	(void)state;
	struct world *w = world_new(&world_usual, world_good);
	struct schedule_config c = world_usual;
	struct parcel p[20];

	for (uint64_t lane = 1; lane < 200; lane++)
		world_add_many(w, lane, 100);
	world_run(w, w->now + 100 * MS);
	c.most = 2;
	c.total = 30;
	c.lanes = 131072;
	c.parcels = 20000;
	schedule_configure(w->s, &c);
	world_run(w, w->now + 100 * MS);
	assert_true(w->sends <= 30);
	for (uint64_t lane = 1; lane < 200; lane++)
		assert_true(w->out[lane] <= 2);
	world_run(w, LONG);
	assert_int_equal(omap_count(w->rows), 0);
	c.total = 3;
	schedule_configure(w->s, &c);
	world_add_many(w, 0, 10);
	for (int k = 0; k < 3; k++)
		p[k] = world_next_sent(w);
	world_next_wait(w);
	(void)p;
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_or_sent_twice),
		cmocka_unit_test(a_million_lanes),
		cmocka_unit_test(left_out_lanes_come_back),
		cmocka_unit_test(few_parcels_are_loaded),
		cmocka_unit_test(local_work_never_waits),
		cmocka_unit_test(back_and_wake),
		cmocka_unit_test(a_row_changes_under_way),
		cmocka_unit_test(a_load_fails),
		cmocka_unit_test(reconfigured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who goes when: turns, windows, rests, gates and accounts, in a made-up world. */
#include "world.h"

static struct answer one_is_dead(struct world *w, const struct parcel *p)
{
	(void)w;
	if (p->lane == 1)
		return (struct answer){30 * SEC, SCHEDULE_UNREACHABLE, 0, 0};
	return (struct answer){10 * MS, SCHEDULE_OK, 0, 0};
}

/* ---- fairness ---- */

static void a_huge_lane_delays_nobody(void **state)
{
	(void)state;
	struct world *w = world_new(&world_usual, world_good);

	world_add_many(w, 1, 100000);
	for (uint64_t lane = 2; lane < 52; lane++)
		world_add_many(w, lane, 100);
	int64_t begun = w->now;
	world_run(w, begun + 2 * SEC);
	for (uint64_t lane = 2; lane < 52; lane++) {
		assert_int_equal(w->sent[lane], 100);
		assert_true(w->last_sent[lane] - begun < 300 * MS);
	}
	world_run(w, LONG);
	assert_int_equal(w->sent[1], 100000);
	assert_int_equal(omap_count(w->rows), 0);
	/* each row is looked at a few times only, whatever lies behind it */
	assert_true(w->rows_seen < 8 * (100000 + 5000));
	world_free(w);
}

static void turns_are_equal(void **state)
{
	(void)state;
	struct schedule_config c = world_usual;
	c.total = 10;
	struct world *w = world_new(&c, world_good);

	for (uint64_t lane = 1; lane <= 100; lane++)
		world_add_many(w, lane, lane == 1 ? 5000 : 200);
	world_run(w, w->now + 5 * SEC);
	uint64_t least = UINT64_MAX, most = 0;
	for (uint64_t lane = 1; lane <= 100; lane++) {
		least = w->sent[lane] < least ? w->sent[lane] : least;
		most = w->sent[lane] > most ? w->sent[lane] : most;
	}
	assert_true(least > 40 && most - least <= 2);
	world_free(w);
}

static void a_dead_lane_delays_nobody(void **state)
{
	(void)state;
	struct world *w = world_new(&world_usual, one_is_dead);

	world_add_many(w, 1, 100000);
	for (uint64_t lane = 2; lane < 22; lane++)
		world_add_many(w, lane, 200);
	int64_t begun = w->now;
	world_run(w, begun + 10 * MIN);
	for (uint64_t lane = 2; lane < 22; lane++)
		assert_true(w->sent[lane] == 200 && w->last_sent[lane] - begun < 300 * MS);
	/* five at first; then one after each rest of 1, 2, 4 minutes and the half minute that a try takes */
	assert_in_range(w->tried[1], 6, 8);
	assert_true(w->deferred[1] >= 100000 - 8);
	world_free(w);
}

static void the_troubled_leave_room(void **state)
{
	(void)state;
	struct world *w = world_new(&world_usual, world_many_hang);

	for (uint64_t lane = 1; lane < 1000; lane++)
		world_add_many(w, lane, 3);
	world_run(w, w->now + 16 * MIN); /* all have failed once at least; retries hang */
	for (int k = 0; k < 20; k++) {
		int64_t begun = w->now;
		for (uint64_t lane = 1000; lane < 1100; lane++)
			world_add_many(w, lane, 1);
		world_run(w, begun + 3 * MIN);
		for (uint64_t lane = 1000; lane < 1100; lane++)
			assert_true(w->last_sent[lane] - begun < SEC);
	}
	world_free(w);
}

static void fresh_before_retries(void **state)
{
	(void)state;
	struct schedule_config c = world_usual;
	c.start = c.most = 1;
	struct world *w = world_new(&c, world_good);
	uint8_t order[400];
	size_t n = 0;

	for (int k = 0; k < 100; k++)
		world_add(w, 7, 130, w->now - SEC, 0);
	for (int k = 0; k < 300; k++)
		world_add(w, 7, 16, w->now, 0);
	while (n < COUNT_OF(order)) {
		struct schedule_next next = schedule_next(w->s, w->now);
		if (next.want == SCHEDULE_LOAD) {
			world_load(w, &next);
			continue;
		}
		assert_int_equal(next.want, SCHEDULE_SEND);
		order[n++] = next.parcel.rank;
		world_begin(w, &next.parcel, false);
		world_finish(w, 0);
	}
	for (size_t k = 0; k + 4 <= n; k += 4) { /* among four in a row always one retry */
		int retries = 0;
		for (size_t j = k; j < k + 4; j++)
			retries += order[j] >= 128;
		assert_int_equal(retries, 1);
	}
	world_free(w);
}

/* One that comes while a heap of retries is being worked on does not wait for it. */
static void fresh_one_comes_late(void **state)
{
	(void)state;
	struct schedule_config c = world_usual;
	c.start = c.most = 2;
	struct world *w = world_new(&c, world_good);

	for (int k = 0; k < 1000; k++)
		world_add(w, 7, 130, w->now, 0);
	world_run(w, w->now + 95 * MS);
	uint64_t before = w->tried[7];
	struct parcel p = world_add(w, 7, 16, w->now, 0);
	while (omap_ge(w->rows, slice_make(p.id, 0))) {
		uint8_t key[KEY];
		if (!omap_get(w->rows, world_row_key(key, &p)))
			break;
		world_run(w, w->now + 10 * MS);
	}
	assert_true(w->tried[7] - before <= 8);
	world_free(w);
}

/* ---- windows ---- */

static uint32_t window_of(struct world *w, uint64_t lane)
{
	struct schedule_lane_info info;

	assert_int_equal(schedule_lane(w->s, lane, &info), 1);
	return info.window;
}

static void a_window_grows_and_shrinks(void **state)
{
	(void)state;
	struct world *w = world_new(&world_usual, world_good);
	struct parcel p[20];

	world_add_many(w, 9, 500);
	for (int k = 0; k < 5; k++)
		p[k] = world_next_sent(w);
	assert_int_equal(world_next_wait(w), INT64_MAX);
	assert_int_equal(window_of(w, 9), 5);
	for (int k = 0; k < 5; k++)
		world_tell(w, &p[k], SCHEDULE_OK, 0, 0);
	assert_int_equal(window_of(w, 9), 10);
	for (int k = 0; k < 10; k++)
		p[k] = world_next_sent(w);
	assert_int_equal(world_next_wait(w), INT64_MAX);
	for (int k = 0; k < 10; k++)
		world_tell(w, &p[k], SCHEDULE_OK, 0, 0);
	for (int k = 0; k < 20; k++)
		p[k] = world_next_sent(w);
	assert_int_equal(world_next_wait(w), INT64_MAX);
	for (int k = 0; k < 19; k++)
		world_tell(w, &p[k], SCHEDULE_OK, 0, 0);
	assert_int_equal(window_of(w, 9), 20); /* and no more */
	world_tell(w, &p[19], SCHEDULE_SLOW, 0, 0);
	assert_int_equal(window_of(w, 9), 10);
	for (int k = 0; k < 10; k++)
		p[k] = world_next_sent(w);
	assert_int_equal(world_next_wait(w), INT64_MAX);
	for (int k = 0; k < 3; k++)
		world_tell(w, &p[k], SCHEDULE_SLOW, 0, 0);
	assert_int_equal(window_of(w, 9), 1);
	for (int k = 3; k < 10; k++)
		world_tell(w, &p[k], SCHEDULE_NONE, 0, 0);
	/* one at a time, and a pause when it says how long */
	p[0] = world_next_sent(w);
	assert_int_equal(world_next_wait(w), INT64_MAX);
	world_tell(w, &p[0], SCHEDULE_SLOW, 0, 90 * SEC);
	assert_int_equal(world_next_wait(w), w->now + 90 * SEC);
	w->now += 90 * SEC;
	/* too fast even one at a time, three times in a row: it rests, what is due is put off */
	for (int k = 0; k < 2; k++) {
		p[0] = world_next_sent(w);
		world_tell(w, &p[0], SCHEDULE_SLOW, 0, 0);
	}
	assert_int_equal(schedule_next(w->s, w->now).want, SCHEDULE_DEAD);
	world_free(w);
}

static void a_rest_doubles_and_one_probes(void **state)
{
	(void)state;
	struct world *w = world_new(&world_usual, world_good);
	struct parcel p[8];
	struct schedule_lane_info info;
	int64_t rests = MIN;

	world_add_many(w, 3, 5);
	for (int k = 0; k < 5; k++)
		p[k] = world_next_sent(w);
	for (int k = 0; k < 4; k++) /* the fifth hangs on */
		world_tell(w, &p[k], SCHEDULE_UNREACHABLE, 0, 0);
	for (int round = 0; round < 8; round++) {
		assert_int_equal(schedule_lane(w->s, 3, &info), 1);
		assert_int_equal(info.rests_until_us, w->now + rests);
		w->now += rests;
		world_add_many(w, 3, 10);
		if (round == 0) { /* no probe beside one from before the rest, whose failure says nothing */
			assert_int_equal(world_next_wait(w), INT64_MAX);
			world_tell(w, &p[4], SCHEDULE_UNREACHABLE, 0, 0);
		}
		p[0] = world_next_sent(w);
		assert_int_equal(world_next_wait(w), INT64_MAX);
		if (round == 3) { /* says nothing: another one probes */
			world_tell(w, &p[0], SCHEDULE_NONE, 0, 0);
			p[0] = world_next_sent(w);
			assert_int_equal(world_next_wait(w), INT64_MAX);
		}
		if (round == 7)
			break;
		world_tell(w, &p[0], SCHEDULE_UNREACHABLE, 0, 0);
		rests = rests * 2 < 30 * MIN ? rests * 2 : 30 * MIN;
	}
	world_tell(w, &p[0], SCHEDULE_OK, 0, 0); /* alive again */
	assert_int_equal(schedule_lane(w->s, 3, &info), 1);
	assert_true(info.rests_until_us == 0 && info.failures == 0 && info.window >= 5);
	for (int k = 0; k < 5; k++)
		p[k] = world_next_sent(w);
	world_free(w);
}

static void the_dead_go_by_32(void **state)
{
	(void)state;
	struct world *w = world_new(&world_usual, world_good);
	struct parcel p[64];
	struct schedule_next next;

	world_add_many(w, 3, 100);
	for (int k = 0; k < 3; k++)
		p[k] = world_next_sent(w);
	for (int k = 0; k < 3; k++)
		world_tell(w, &p[k], SCHEDULE_UNREACHABLE, 0, 0);
	for (int k = 0; k < 32; k++) {
		while ((next = schedule_next(w->s, w->now)).want == SCHEDULE_LOAD)
			world_load(w, &next);
		assert_int_equal(next.want, SCHEDULE_DEAD);
		p[k] = next.parcel;
	}
	assert_int_equal(world_next_wait(w), w->now + MIN);
	world_tell(w, &p[0], SCHEDULE_NONE, 0, 0);
	while ((next = schedule_next(w->s, w->now)).want == SCHEDULE_LOAD)
		world_load(w, &next);
	assert_int_equal(next.want, SCHEDULE_DEAD);
	world_free(w);
}

/* ---- gates and accounts ---- */

static struct answer through_one_gate(struct world *w, const struct parcel *p)
{
	uint32_t all = 0;

	(void)p;
	for (uint64_t lane = 1; lane <= 300; lane++)
		all += w->out[lane];
	w->peak = all > w->peak ? all : w->peak;
	return (struct answer){10 * MS, SCHEDULE_OK, 77, 0};
}

static void a_gate_is_shared(void **state)
{
	(void)state;
	struct schedule_config c = world_usual;
	c.gate_most = 12;
	struct world *w = world_new(&c, through_one_gate);

	for (uint64_t lane = 1; lane <= 300; lane++)
		world_add_many(w, lane, 1); /* the lanes learn */
	world_run(w, w->now + 5 * SEC);
	w->peak = 0;
	for (uint64_t lane = 1; lane <= 300; lane++)
		world_add_many(w, lane, 20);
	int64_t begun = w->now;
	world_run(w, w->now + 4 * SEC);
	assert_in_range(w->peak, 11, 13); /* counted one late */
	uint64_t least = UINT64_MAX, most = 0;
	for (uint64_t lane = 1; lane <= 300; lane++) {
		least = w->sent[lane] < least ? w->sent[lane] : least;
		most = w->sent[lane] > most ? w->sent[lane] : most;
	}
	assert_true(most - least <= 6); /* they take turns there, too */
	world_run(w, LONG);
	assert_int_equal(omap_count(w->rows), 0);
	/* never idle while somebody waits: 6,000 parcels by twelve at 10 ms */
	int64_t end = 0;
	for (uint64_t lane = 1; lane <= 300; lane++)
		end = w->last_sent[lane] > end ? w->last_sent[lane] : end;
	assert_true(end - begun < 5200 * MS);
	world_free(w);
}

static void a_dead_gate_stops_its_lanes(void **state)
{
	(void)state;
	struct world *w = world_new(&world_usual, world_good);
	struct parcel p[8];
	struct schedule_lane_info info;
	struct schedule_next next;

	for (uint64_t lane = 1; lane <= 4; lane++) { /* all learn the gate */
		world_add_many(w, lane, 1);
		p[0] = world_next_sent(w);
		world_tell(w, &p[0], SCHEDULE_OK, 77, 0);
	}
	for (uint64_t lane = 1; lane <= 3; lane++) {
		world_add_many(w, lane, 1);
		p[0] = world_next_sent(w);
		world_tell(w, &p[0], SCHEDULE_UNREACHABLE, lane == 2 ? 0 : 77, 0); /* 0: where it last went */
	}
	for (uint64_t lane = 1; lane <= 4; lane++) {
		world_add_many(w, lane, 2);
		while ((next = schedule_next(w->s, w->now)).want == SCHEDULE_LOAD)
			world_load(w, &next);
		assert_int_equal(next.want, SCHEDULE_DEAD);
		world_tell(w, &next.parcel, SCHEDULE_NONE, 0, 0);
	}
	assert_int_equal(schedule_lane(w->s, 4, &info), 1);
	assert_int_equal(info.rests_until_us, w->now + MIN);
	assert_int_equal(info.gate, 77);
	while ((next = schedule_next(w->s, w->now)).want != SCHEDULE_WAIT) {
		if (next.want == SCHEDULE_LOAD)
			world_load(w, &next);
		else
			world_tell(w, &next.parcel, SCHEDULE_NONE, 0, 0);
	}
	w->now += MIN;
	for (uint64_t lane = 1; lane <= 4; lane++)
		world_add_many(w, lane, 1);
	p[0] = world_next_sent(w); /* one of all four */
	assert_int_equal(world_next_wait(w), INT64_MAX);
	world_tell(w, &p[0], SCHEDULE_OK, 77, 0);
	for (int k = 0; k < 3; k++)
		p[k] = world_next_sent(w);
	/* a lane that finds another host leaves the gate */
	world_tell(w, &p[0], SCHEDULE_OK, 78, 0);
	world_add_many(w, p[0].lane, 1);
	assert_int_equal(schedule_lane(w->s, p[0].lane, &info), 1);
	assert_int_equal(info.gate, 78);
	world_free(w);
}

/* Waiting lanes hear of it when their gate asks for a pause, and when the pause is over. */
static void a_gate_pauses(void **state)
{
	(void)state;
	struct schedule_config c = world_usual;
	c.gate_start = c.gate_most = 1;
	struct world *w = world_new(&c, world_good);
	struct parcel p;

	for (uint64_t lane = 1; lane <= 4; lane++) {
		world_add_many(w, lane, 1);
		p = world_next_sent(w);
		world_tell(w, &p, SCHEDULE_OK, 77, 0);
	}
	for (uint64_t lane = 1; lane <= 4; lane++)
		world_add_many(w, lane, 2);
	p = world_next_sent(w);
	assert_int_equal(world_next_wait(w), INT64_MAX);
	world_tell(w, &p, SCHEDULE_SLOW, 77, 20 * SEC);
	assert_int_equal(world_next_wait(w), w->now + 20 * SEC);
	w->now += 20 * SEC;
	for (int k = 0; k < 7; k++) {
		p = world_next_sent(w);
		assert_int_equal(world_next_wait(w), INT64_MAX);
		world_tell(w, &p, SCHEDULE_OK, 77, 0);
	}
	assert_int_equal(omap_count(w->rows), 0);
	world_free(w);
}

static void an_account_has_its_limit(void **state)
{
	(void)state;
	struct schedule_config c = world_usual;
	c.account_most = 7;
	struct world *w = world_new(&c, world_good);

	for (uint64_t lane = 1; lane <= 30; lane++) {
		for (int k = 0; k < 40; k++)
			world_add(w, lane, 16, w->now, 5);
	}
	for (int k = 0; k < 50; k++)
		world_add(w, 31, 16, w->now, 6); /* another one does not wait for it */
	int64_t begun = w->now;
	world_run(w, LONG);
	assert_int_equal(w->account_peak, 7);
	assert_true(w->last_sent[31] - begun < 120 * MS);
	assert_int_equal(omap_count(w->rows), 0);
	int64_t end = 0;
	for (uint64_t lane = 1; lane <= 30; lane++)
		end = w->last_sent[lane] > end ? w->last_sent[lane] : end;
	assert_true(end - begun < 1200 / 7 * 10 * MS * 3 / 2); /* and is kept busy */
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_huge_lane_delays_nobody),
		cmocka_unit_test(turns_are_equal),
		cmocka_unit_test(a_dead_lane_delays_nobody),
		cmocka_unit_test(the_troubled_leave_room),
		cmocka_unit_test(fresh_before_retries),
		cmocka_unit_test(fresh_one_comes_late),
		cmocka_unit_test(a_window_grows_and_shrinks),
		cmocka_unit_test(a_rest_doubles_and_one_probes),
		cmocka_unit_test(the_dead_go_by_32),
		cmocka_unit_test(a_gate_is_shared),
		cmocka_unit_test(a_dead_gate_stops_its_lanes),
		cmocka_unit_test(a_gate_pauses),
		cmocka_unit_test(an_account_has_its_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

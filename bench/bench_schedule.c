/*
 * Micro-benchmark of the queue's schedule: how long a parcel's way through it takes, from the note of its
 * lane to its end, with loads, over different numbers of lanes. One line each:
 *
 *   bench_schedule
 *
 * Every parcel is sent by a good server the moment it is handed out; the store costs nothing.
 */
#include "base/wire.h"
#include "queue/schedule.h"
#include <stdio.h>
#include <time.h>

enum { AT_ONCE = 480, PARCELS = 2000000 };

struct bench {
	struct schedule *s;
	struct parcel out[AT_ONCE];
	size_t out_n, most;
	uint64_t ids;
	uint32_t *waiting; /* parcels of a lane that are not loaded */
	uint64_t calls;
};

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void load(struct bench *b, const struct schedule_next *next, int64_t now)
{
	struct parcel found[64];
	size_t n = 0;

	for (; n < next->n && b->waiting[next->lane]; n++) {
		found[n] = (struct parcel){.lane = next->lane, .rank = 16, .due_us = now};
		be64_put(found[n].id, ++b->ids);
		b->waiting[next->lane]--;
	}
	schedule_loaded(b->s, next->lane, found, n, b->waiting[next->lane] ? now : INT64_MAX, false);
}

static void end_oldest(struct bench *b, size_t n, int64_t now)
{
	n = n < b->out_n ? n : b->out_n;
	for (size_t i = 0; i < n; i++)
		schedule_done(b->s, &b->out[i], SCHEDULE_OK, 1 + b->out[i].lane % 1000, 0, now);
	b->calls += n;
	b->out_n -= n;
	memmove(b->out, b->out + n, b->out_n * sizeof *b->out);
}

static void measure(uint32_t lanes)
{
	static const struct schedule_config c = {
		5, 20, 10, 50, 100, AT_ONCE, 3, 60000000, 1800000000, 10000, 65536};
	struct bench *b = calloc(1, sizeof *b);
	int64_t now = 1000000;
	size_t sent = 0;

	if (!b || !(b->s = schedule_new(&c)) || !(b->waiting = calloc(lanes + 1, sizeof *b->waiting)))
		exit(1);
	double begun = seconds();
	for (uint32_t lane = 1; lane <= lanes; lane++) {
		b->waiting[lane] = PARCELS / lanes;
		schedule_note(b->s, lane, now);
	}
	double noted = seconds();
	for (;;) {
		struct schedule_next next = schedule_next(b->s, now);
		b->calls++;
		if (next.want == SCHEDULE_LOAD) {
			load(b, &next, now);
		} else if (next.want == SCHEDULE_SEND) {
			b->out[b->out_n++] = next.parcel;
			sent++;
		} else if (b->out_n) {
			end_oldest(b, 32, now += 100);
		} else {
			break;
		}
	}
	double done = seconds();
	printf("%6u lanes  note %4.0f ns  parcel %4.0f ns  call %4.0f ns  (%zu parcels)\n", lanes,
		(noted - begun) * 1e9 / lanes, (done - noted) * 1e9 / (double)sent,
		(done - noted) * 1e9 / (double)b->calls, sent);
	schedule_free(b->s);
	free(b->waiting);
	free(b);
}

int main(void)
{
	static const uint32_t lanes[] = {1, 50, 1000, 65536};

	for (size_t i = 0; i < COUNT_OF(lanes); i++)
		measure(lanes[i]);
	return 0;
}

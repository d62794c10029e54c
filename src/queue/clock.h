/*
 * The queue's clock: microseconds that began as the wall clock's and then only run: steps of the wall clock
 * neither expire nor resend mail (D12). While the program runs it follows BOOTTIME; over a stop it goes on by
 * the wall time that passed, which the durable mark (row "Q 5") tells. Due times, arrival and expiry of queue
 * rows are in this clock; for people they are shown as wall clock by the present difference. Thread-safe.
 */
#pragma once
#include <stdint.h>

struct queue_clock {
	int64_t _Atomic offset_us; /* queue time minus BOOTTIME */
};

/* mark_queue_us, mark_wall_us: of the last run, 0, 0: none. */
void queue_clock_start(struct queue_clock *c, int64_t mark_queue_us, int64_t mark_wall_us);
int64_t queue_clock_now(const struct queue_clock *c);
int64_t queue_clock_to_wall(const struct queue_clock *c, int64_t queue_us);
int64_t queue_clock_from_wall(const struct queue_clock *c, int64_t wall_us);

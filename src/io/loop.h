/*
 * The loop of a thread: libuv's loop, the ready queue of its fibers, and messages posted from other threads.
 * One loop a thread; fibers never move between loops. The running loop is a thread-local of io/loop.c.
 */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct uv_loop_s;

/* NULL: out of memory. The loop belongs to the calling thread from here on. name: lives for ever. */
struct loop *loop_new(const char *name);
void loop_free(struct loop *l); /* all fibers must have ended */
struct loop *loop_self(void);
struct uv_loop_s *loop_uv(struct loop *l);

/* Runs until loop_stop, or until the last fiber has ended. Fibers are resumed only from this stack. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* BOOTTIME in ms, read once per turn of the loop: cheap. */
uint64_t loop_now(void);

/*
 * Posted messages: the only way threads speak to a loop. The caller owns `m` until `run` is called on the
 * loop's thread (not on a fiber: it must not park). Order is kept per poster. Never fails, never allocates;
 * thread-safe.
 */
struct loop_message {
	struct loop_message *next;
	void (*run)(struct loop_message *m);
};
void loop_post(struct loop *l, struct loop_message *m);

/* A callback at the end of each turn of the loop (batched flushes); `on` may be armed again and again, runs
 * once. */
struct loop_tail {
	struct loop_tail *next;
	void (*run)(struct loop_tail *t);
	bool armed;
};
void loop_at_tail(struct loop_tail *t);

/*
 * Watchdog: longest time that one fiber or posted message held a loop since the last call, in microseconds of
 * the wall clock, and who; and how many held it longer than LOOP_STALL_US. From any thread.
 */
#define LOOP_STALL_US 50000
uint64_t loop_longest_us(struct loop *l, const char **ret_name);
uint64_t loop_stalls(struct loop *l);
/*
 * Called on the loop's thread, outside of fibers, after one that held it longer: a fiber's name and label, or
 * "message" and "". Once a second at most, the longer ones of it.
 */
typedef void loop_stall_fn(const char *name, const char *label, uint64_t us);
void loop_on_stall(struct loop *l, loop_stall_fn *told);

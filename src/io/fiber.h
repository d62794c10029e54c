/*
 * Fibers: a connection is a fiber, a session one function that reads top to bottom and blocks on io_*. Stacks
 * are 64 KiB with a guard page. Nothing changes between two parks of one loop, so no locks.
 *
 * Cancelling: a cancelled fiber's blocking calls return -ECANCELED until its function has unwound; a parked
 * fiber is never freed. Every blocking call takes its deadline from the stream or an argument (loop_now()
 * clock; FOREVER: none).
 */
#pragma once
#include "base/cleanup.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct fiber;
typedef void fiber_fn(void *arg);

#define FOREVER UINT64_MAX

/*
 * Starts fn(arg) on a new fiber of the calling thread's loop; it runs at the next turn. NULL: no memory, or
 * LIMIT_FIBERS. name: a kind ("smtp", "imap"), lives for ever; the census is kept per name.
 */
MUST_USE struct fiber *fiber_start(const char *name, fiber_fn *fn, void *arg);
struct fiber *fiber_self(void); /* NULL on the loop's own stack */
const char *fiber_name(const struct fiber *f);
void fiber_cancel(struct fiber *f); /* idempotent; wakes f if parked */
bool fiber_canceled(void);          /* of the calling fiber */

/*
 * Parks the calling fiber until fiber_wake, the deadline or a cancel. Returns 0 (woken), -ETIMEDOUT or
 * -ECANCELED. A wake that came before the park is not lost: the park returns at once. So a park may return
 * for a wake that was meant for an earlier wait: the caller checks its own condition and parks again.
 */
PARKS int fiber_park(uint64_t deadline);
void fiber_wake(struct fiber *f); /* on the same loop only; from other threads use loop_post */
/*
 * Parks until *done, whatever the deadline or a cancel says: for work that others do with memory of this
 * fiber (a commit, a worker). Who sets *done wakes the fiber.
 */
PARKS void fiber_park_firmly(const bool *done);
PARKS int fiber_sleep(uint64_t ms);
PARKS int fiber_yield(void); /* lets the others run once */

/* Between these a park is a bug: it aborts in debug builds and is logged in others. They nest. */
void fiber_forbid_park(void);
void fiber_allow_park(void);

/* Gives the unused part of the stack back to the system; streams call it before a long park. */
void fiber_trim_stack(void);

/* Text for a person: what this fiber does now ("IDLE alice"), for the list of fibers. At most 39 bytes. */
void fiber_label(const char *text);
struct fiber_info {
	const char *name, *label;
	uint64_t parked_since_ms;
	bool canceled;
};
/* Calls see(arg, info) for each fiber of this loop. */
void fiber_each(void (*see)(void *arg, const struct fiber_info *), void *arg);
size_t fiber_count(void);
/*
 * Appends ,"stacks":[{"kind":NAME,"deepest":BYTES},...] with the deepest stack use of each name in the
 * process, as far as fibers have ended or parked for long; in programs built with POSTHOUSE_CENSUS, nothing
 * in others.
 */
void fiber_census(struct buf *json);

/* A condition that several fibers of one loop wait for. A zeroed one is ready. */
struct fiber_signal {
	struct fiber_waiter *first;
};
PARKS int fiber_signal_wait(struct fiber_signal *s, uint64_t deadline); /* 0, -ETIMEDOUT, -ECANCELED */
void fiber_signal_all(struct fiber_signal *s);
void fiber_signal_one(struct fiber_signal *s);

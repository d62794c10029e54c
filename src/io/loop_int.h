/* What loop.c, fiber.c, stream.c and channel.c share. Not for other rooms. */
#pragma once
#include "io/fiber.h"
#include "io/loop.h"
#include <stdatomic.h>
#include <uv.h>

struct fiber {
	void *sp;   /* saved while parked */
	char *base; /* lowest usable byte of the stack */
	const char *name;
	fiber_fn *fn;
	void *arg;
	struct fiber *next_ready;
	struct fiber *next, *prev; /* all fibers of the loop */
	uint64_t deadline;         /* of the present park */
	uint64_t parked_since;     /* ms */
	uint32_t heap_at;          /* place in the deadline heap + 1; 0: not there */
	bool ready, parked, woken, canceled, timed_out, trimmed, ended;
	char label[40];
	void *sanitizer; /* ASan fake stack or TSan fiber */
};

struct fiber_queue {
	struct fiber *first, *last;
};

struct deadline {
	uint64_t at; /* never later than the fiber's own deadline */
	struct fiber *fiber;
};

#define LOOP_SPARE_BUFFERS 64
#define LOOP_IDLE_BUFFERS  4
#define LOOP_SPARE_STACKS  1024 /* kept in a rush: mapping one anew costs more than what most fibers do */
#define LOOP_IDLE_STACKS   64   /* kept when nobody has asked for more since the last sweep */

struct loop {
	uv_loop_t uv;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle; /* armed while fibers are ready, so that the poll does not wait */
	uv_timer_t timer, sweep;
	uv_async_t async;
	const char *name;
	struct fiber *current;
	struct fiber_queue ready, yielded;
	struct fiber *all;
	size_t fibers;
	struct deadline *heap;
	uint32_t heap_n, heap_cap;
	uint64_t timer_at;
	_Atomic(struct loop_message *) posted;
	struct loop_tail *tails;
	uint64_t now;
	void *sp; /* of the loop's own stack while a fiber runs */
	void *sanitizer;
	const void *stack_bottom;
	size_t stack_size;
	unsigned forbid;
	_Atomic uint64_t longest_us, stalls;
	_Atomic(const char *) longest_name;
	loop_stall_fn *on_stall;
	uint64_t told_us; /* of the last stall it was told, and when */
	uint64_t told_at;
	bool idle_on, stopped;
	char *spare[LOOP_SPARE_BUFFERS];
	unsigned spare_n, spare_low; /* low: the fewest since the last sweep */
	char *stacks[LOOP_SPARE_STACKS];
	unsigned stacks_n, stacks_low;
	unsigned rested; /* fibers that came to rest since the heap was trimmed */
};

/* Somebody held the loop so long. */
void loop_held(struct loop *l, const char *name, const char *label, uint64_t us);
void fibers_run_ready(struct loop *l);
void fibers_expire(struct loop *l);
void fibers_sweep(struct loop *l);
void fibers_arm_timer(struct loop *l);
void fibers_release(struct loop *l);

/* A LIMIT_STREAM_BUFFER block from the loop's spare ones or the heap; NULL: no memory. */
char *loop_buffer_take(void);
void loop_buffer_give(char *block);

/*
 * Readiness of one descriptor, level-triggered. The watch stays on between waits, so that a request-reply
 * session costs no epoll_ctl; when readiness comes that nobody waits for, it is switched off until the next
 * wait.
 */
struct fdwatch {
	uv_poll_t poll;
	struct fiber *reader, *writer;
	int fd;
	int on; /* UV_READABLE | UV_WRITABLE now watched */
};
MUST_USE struct fdwatch *fdwatch_new(int fd);
/* Parks until the descriptor is ready; 0, -ETIMEDOUT, -ECANCELED. */
PARKS int fdwatch_wait(struct fdwatch *w, bool for_write, uint64_t deadline);
/* Ends the watch; frees itself later. The descriptor stays open. */
void fdwatch_free(struct fdwatch *w);

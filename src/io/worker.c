#include "io/worker.h"
#include "io/loop_int.h"
#include <stdatomic.h>
#include <stdio.h>

struct work {
	uv_work_t uv; /* first: the callbacks get its address */
	void (*fn)(void *arg);
	void *arg;
	struct fiber *fiber;
	bool done;
};

static void on_pool(uv_work_t *w)
{
	const struct work *k = (const struct work *)(const void *)w;

	k->fn(k->arg);
}

static void on_done(uv_work_t *w, int status)
{
	struct work *k = (struct work *)(void *)w;

	(void)status; /* never cancelled */
	k->done = true;
	fiber_wake(k->fiber);
}

/*
 * The request lies on the fiber's stack: allowed here, since the fiber stays parked, whatever happens, until
 * libuv has given it back.
 */
void worker_run(void (*fn)(void *arg), void *arg)
{
	struct work k = {.fn = fn, .arg = arg, .fiber = fiber_self()};

	if (uv_queue_work(loop_uv(loop_self()), &k.uv, on_pool, on_done) < 0) {
		fn(arg);
		return;
	}
	fiber_park_firmly(&k.done);
}

struct start {
	uv_work_t uv;
	uv_barrier_t *barrier;
};

static void on_start(uv_work_t *w)
{
	uv_barrier_wait(((struct start *)(void *)w)->barrier);
}

static void on_started(uv_work_t *w, int status)
{
	(void)w;
	(void)status;
}

/* libuv starts its whole pool with the first request; the barrier shows that every thread is up. */
void worker_start(unsigned n)
{
	char text[8];
	struct start s[8];
	uv_barrier_t barrier;

	n = n < 1 ? 1 : n > 8 ? 8 : n;
	snprintf(text, sizeof text, "%u", n);
	uv_os_setenv("UV_THREADPOOL_SIZE", text);
	uv_barrier_init(&barrier, n + 1);
	for (unsigned i = 0; i < n; i++) {
		s[i].barrier = &barrier;
		uv_queue_work(loop_uv(loop_self()), &s[i].uv, on_start, on_started);
	}
	uv_barrier_wait(&barrier);
	uv_run(loop_uv(loop_self()),
		UV_RUN_NOWAIT); /* takes the finished requests back: they lie on this stack */
	while (uv_loop_alive(loop_uv(loop_self())) && loop_uv(loop_self())->active_reqs.count > 0)
		uv_run(loop_uv(loop_self()), UV_RUN_ONCE);
	uv_barrier_destroy(&barrier);
}

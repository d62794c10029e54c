#include "base/clock.h"
#include "io/loop_int.h"
#include "limits.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define SWEEP_MS       5000 /* how often long-parked stacks are looked for */
#define STALL_PAUSE_MS 1000 /* a stall that is no longer than the last one told is not told within */

static _Thread_local struct loop *this_loop;

/*
 * noinline: the compiler must not keep the address of a thread-local over a switch. Fibers never migrate, so
 * this is belt and braces.
 */
__attribute__((noinline)) struct loop *loop_self(void)
{
	return this_loop;
}

struct uv_loop_s *loop_uv(struct loop *l)
{
	return &l->uv;
}

uint64_t loop_now(void)
{
	const struct loop *l = loop_self();

	return l ? l->now : clock_boot_ms();
}

static void run_tails(struct loop *l)
{
	while (l->tails) {
		struct loop_tail *t = l->tails;

		l->tails = t->next;
		t->armed = false;
		t->run(t);
	}
}

static void on_idle(uv_idle_t *h)
{
	(void)h;
}

/* Runs what is ready; if more became ready meanwhile the poll must not wait. */
static void turn(struct loop *l)
{
	fibers_run_ready(l);
	run_tails(l);
	bool more = l->ready.first || l->yielded.first;
	if (more && !l->idle_on) {
		uv_idle_start(&l->idle, on_idle);
		l->idle_on = true;
	} else if (!more && l->idle_on) {
		uv_idle_stop(&l->idle);
		l->idle_on = false;
	}
	fibers_arm_timer(l);
	if (l->stopped || l->fibers == 0)
		uv_stop(&l->uv);
}

static void on_prepare(uv_prepare_t *h)
{
	turn(h->data);
}

static void on_check(uv_check_t *h)
{
	struct loop *l = h->data;

	l->now = clock_boot_ms();
	turn(l);
}

static void on_sweep(uv_timer_t *h)
{
	fibers_sweep(h->data);
}

static void on_async(uv_async_t *h)
{
	struct loop *l = h->data;
	struct loop_message *m = atomic_exchange_explicit(&l->posted, NULL, memory_order_acquire);
	struct loop_message *first = NULL;

	while (m) { /* newest first: turn it round */
		struct loop_message *next = m->next;

		m->next = first;
		first = m;
		m = next;
	}
	while (first) {
		m = first;
		first = m->next;
		uint64_t from = clock_span_us();
		m->run(m);
		loop_held(l, "message", "", clock_span_us() - from);
	}
}

void loop_post(struct loop *l, struct loop_message *m)
{
	struct loop_message *head = atomic_load_explicit(&l->posted, memory_order_relaxed);

	do
		m->next = head;
	while (!atomic_compare_exchange_weak_explicit(
		&l->posted, &head, m, memory_order_release, memory_order_relaxed));
	if (!head) /* whoever found the list empty rings the bell */
		uv_async_send(&l->async);
}

void loop_at_tail(struct loop_tail *t)
{
	struct loop *l = loop_self();

	if (t->armed)
		return;
	t->armed = true;
	t->next = l->tails;
	l->tails = t;
}

struct loop *loop_new(const char *name)
{
	struct loop *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	if (uv_loop_init(&l->uv) < 0) {
		free(l);
		return NULL;
	}
	l->name = name;
	l->now = clock_boot_ms();
	l->uv.data = l;
	l->prepare.data = l->check.data = l->idle.data = l->timer.data = l->sweep.data = l->async.data = l;
	uv_prepare_init(&l->uv, &l->prepare);
	uv_check_init(&l->uv, &l->check);
	uv_idle_init(&l->uv, &l->idle);
	uv_timer_init(&l->uv, &l->timer);
	uv_timer_init(&l->uv, &l->sweep);
	uv_async_init(&l->uv, &l->async, on_async);
	uv_prepare_start(&l->prepare, on_prepare);
	uv_check_start(&l->check, on_check);
	uv_timer_start(&l->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	this_loop = l;
	return l;
}

void loop_run(struct loop *l)
{
	pthread_attr_t attr;
	void *low = NULL;

	if (pthread_getattr_np(pthread_self(), &attr) == 0) { /* ASan must know the stack it comes back to */
		pthread_attr_getstack(&attr, &low, &l->stack_size);
		l->stack_bottom = low;
		pthread_attr_destroy(&attr);
	}
	l->stopped = false;
	while (!l->stopped && l->fibers > 0) {
		l->now = clock_boot_ms();
		turn(l);
		if (l->stopped)
			break;
		uv_run(&l->uv, UV_RUN_ONCE);
	}
	run_tails(l);
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
	uv_stop(&l->uv);
}

static void close_handle(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	uv_walk(&l->uv, close_handle, NULL);
	while (uv_run(&l->uv, UV_RUN_DEFAULT) !=
		0) /* a stop that is still pending ends the first run at once */
		;
	uv_loop_close(&l->uv);
	while (l->spare_n > 0)
		free(l->spare[--l->spare_n]);
	fibers_release(l);
	free(l->heap);
	if (this_loop == l)
		this_loop = NULL;
	free(l);
}

uint64_t loop_longest_us(struct loop *l, const char **ret_name)
{
	const char *name = atomic_load(&l->longest_name);

	*ret_name = name ? name : "";
	return atomic_exchange(&l->longest_us, 0);
}

uint64_t loop_stalls(struct loop *l)
{
	return atomic_load(&l->stalls);
}

void loop_on_stall(struct loop *l, loop_stall_fn *told)
{
	l->on_stall = told;
}

void loop_held(struct loop *l, const char *name, const char *label, uint64_t us)
{
	if (us > atomic_load_explicit(&l->longest_us, memory_order_relaxed)) {
		atomic_store(&l->longest_us, us);
		atomic_store(&l->longest_name, name);
	}
	if (us <= LOOP_STALL_US)
		return;
	atomic_fetch_add(&l->stalls, 1);
	if (!l->on_stall || (l->now - l->told_at < STALL_PAUSE_MS && us <= l->told_us))
		return;
	l->told_at = l->now;
	l->told_us = us;
	l->on_stall(name, label, us);
}

char *loop_buffer_take(void)
{
	struct loop *l = loop_self();

	if (l->spare_n == 0)
		return malloc(LIMIT_STREAM_BUFFER);
	if (--l->spare_n < l->spare_low)
		l->spare_low = l->spare_n;
	return l->spare[l->spare_n];
}

void loop_buffer_give(char *block)
{
	struct loop *l = loop_self();

	if (block && l && l->spare_n < LOOP_SPARE_BUFFERS)
		l->spare[l->spare_n++] = block;
	else
		free(block);
}

static void on_ready(uv_poll_t *h, int status, int events)
{
	struct fdwatch *w = h->data;
	bool error = status < 0 || (events & (UV_DISCONNECT | UV_PRIORITIZED));
	bool in = error || (events & UV_READABLE), out = error || (events & UV_WRITABLE);

	if (status < 0)
		w->on = 0; /* libuv has stopped it by itself: who waits again must start it again */
	if (in && w->reader)
		fiber_wake(w->reader);
	if (out && w->writer)
		fiber_wake(w->writer);
	int unwanted = (in && !w->reader ? UV_READABLE : 0) | (out ? UV_WRITABLE : 0);
	if (w->on & unwanted) {
		w->on &= ~unwanted;
		if (w->on)
			uv_poll_start(&w->poll, w->on, on_ready);
		else
			uv_poll_stop(&w->poll);
	}
}

struct fdwatch *fdwatch_new(int fd)
{
	struct fdwatch *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->fd = fd;
	if (uv_poll_init(&loop_self()->uv, &w->poll, fd) < 0) {
		free(w);
		return NULL;
	}
	w->poll.data = w;
	return w;
}

int fdwatch_wait(struct fdwatch *w, bool for_write, uint64_t deadline)
{
	struct fiber **place = for_write ? &w->writer : &w->reader;
	int want = for_write ? UV_WRITABLE : UV_READABLE;

	if (!(w->on & want)) {
		w->on |= want;
		if (uv_poll_start(&w->poll, w->on, on_ready) < 0) {
			w->on = 0;
			return -EIO;
		}
	}
	*place = fiber_self();
	int rc = fiber_park(deadline);
	*place = NULL;
	return rc;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void fdwatch_free(struct fdwatch *w)
{
	if (w)
		uv_close((uv_handle_t *)&w->poll, on_closed);
}

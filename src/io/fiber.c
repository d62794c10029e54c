#include "base/buf.h"
#include "base/clock.h"
#include "io/loop_int.h"
#include "limits.h"
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13: a guard page without a mapping of its own */
#endif

#define PAGE 4096u
/* Sanitizer builds have larger frames and red zones. */
#if defined(WITH_ASAN) || defined(WITH_TSAN)
#define STACK_BYTES (4u * LIMIT_FIBER_STACK)
#else
#define STACK_BYTES LIMIT_FIBER_STACK
#endif
#define TRIM_AFTER_MS 2000
#define HEAP_TRIM                                                                                            \
	64 /* connections that came to rest before the holes they left in the heap are given back            \
	    */
#define ROUND_US    5000 /* for those that were woken */
#define YIELDED_US  250  /* and for those that have yielded: one of them at least */
#define CENSUS_FILL 0xA5

extern void fiber_switch(void **save_sp, void *load_sp);
extern void fiber_boot(void);
void fiber_main(struct fiber *f); /* called by fiber_boot */

/* The lowest page is the guard; the fiber's own struct lies at the top of its stack: a shallow fiber is one
 * page. */
static char *stack_take(struct loop *l)
{
	if (l->stacks_n > 0) {
		char *spare = l->stacks[--l->stacks_n];
		if (l->stacks_n < l->stacks_low)
			l->stacks_low = l->stacks_n;
		return spare;
	}
	char *base = mmap(NULL, STACK_BYTES + PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	if (madvise(base, PAGE, MADV_GUARD_INSTALL) < 0 && mprotect(base, PAGE, PROT_NONE) < 0) {
		munmap(base, STACK_BYTES + PAGE);
		return NULL;
	}
	madvise(base + PAGE, STACK_BYTES, MADV_NOHUGEPAGE);
	return base;
}

static void stack_give(struct loop *l, char *base)
{
	if (l->stacks_n < LOOP_SPARE_STACKS) {
		l->stacks[l->stacks_n++] = base;
	} else {
		munmap(base, STACK_BYTES + PAGE);
	}
}

/* Those that nobody needed since the last sweep, but for a few. */
static void stacks_shrink(struct loop *l)
{
	unsigned idle = l->stacks_low;

	while (idle > LOOP_IDLE_STACKS && l->stacks_n > 0) {
		munmap(l->stacks[--l->stacks_n], STACK_BYTES + PAGE);
		idle--;
	}
	l->stacks_low = l->stacks_n;
}

/* Of the spare buffers that nobody has asked for since the last sweep. */
static void buffers_shrink(struct loop *l)
{
	for (unsigned idle = l->spare_low; idle > LOOP_IDLE_BUFFERS && l->spare_n > 0; idle--)
		free(l->spare[--l->spare_n]);
	l->spare_low = l->spare_n;
}

void fibers_release(struct loop *l)
{
	while (l->stacks_n > 0)
		munmap(l->stacks[--l->stacks_n], STACK_BYTES + PAGE);
}

#ifdef POSTHOUSE_CENSUS
#define CENSUS_KINDS 64
/* Of all loops of the process. */
static struct {
	_Atomic(const char *) name;
	atomic_size_t deepest;
} census[CENSUS_KINDS];

static void census_note(const struct fiber *f)
{
	size_t unused = 0;

	while (unused < STACK_BYTES - sizeof *f && (uint8_t)f->base[unused] == CENSUS_FILL)
		unused++;
	for (size_t i = 0; i < CENSUS_KINDS; i++) {
		const char *none = NULL;
		size_t before = atomic_load(&census[i].deepest);

		if (!atomic_compare_exchange_strong(&census[i].name, &none, f->name) &&
			strcmp(none, f->name) != 0)
			continue;
		while (before < STACK_BYTES - unused &&
			!atomic_compare_exchange_weak(&census[i].deepest, &before, STACK_BYTES - unused))
			;
		return;
	}
}

#endif

void fiber_census(struct buf *json)
{
#ifdef POSTHOUSE_CENSUS
	for (const struct fiber *f = loop_self()->all; f; f = f->next)
		census_note(f);
	for (size_t i = 0; i < CENSUS_KINDS && atomic_load(&census[i].name); i++)
		buf_addf(json, "%s{\"kind\":\"%s\",\"deepest\":%zu}", i == 0 ? ",\"stacks\":[" : ",",
			atomic_load(&census[i].name), atomic_load(&census[i].deepest));
	buf_add_c(json, ']');
#else
	(void)json;
#endif
}

struct fiber *fiber_self(void)
{
	const struct loop *l = loop_self();

	return l ? l->current : NULL;
}

const char *fiber_name(const struct fiber *f)
{
	return f->name;
}

bool fiber_canceled(void)
{
	return fiber_self()->canceled;
}

static void enqueue(struct fiber_queue *q, struct fiber *f)
{
	if (f->ready)
		return;
	f->ready = true;
	f->next_ready = NULL;
	if (q->last)
		q->last->next_ready = f;
	else
		q->first = f;
	q->last = f;
}

static struct fiber *dequeue(struct fiber_queue *q)
{
	struct fiber *f = q->first;

	q->first = f->next_ready;
	if (!q->first)
		q->last = NULL;
	f->ready = false;
	f->next_ready = NULL;
	return f;
}

static void make_ready(struct loop *l, struct fiber *f)
{
	enqueue(&l->ready, f);
}

struct fiber *fiber_start(const char *name, fiber_fn *fn, void *arg)
{
	struct loop *l = loop_self();

	if (l->fibers >= LIMIT_FIBERS)
		return NULL;
	char *map = stack_take(l);
	if (!map)
		return NULL;
	char *base = map + PAGE;
	char *top = base + STACK_BYTES - ((sizeof(struct fiber) + 63) & ~(size_t)63);
	struct fiber *f = (struct fiber *)(void *)top;
#ifdef POSTHOUSE_CENSUS
	memset(base, CENSUS_FILL, (size_t)(top - base));
#endif
	memset(f, 0, sizeof *f);
	f->base = base;
	f->name = name;
	f->fn = fn;
	f->arg = arg;
	f->deadline = FOREVER;
	f->parked_since = l->now;
#if defined(__x86_64__)
	uint64_t *sp = (uint64_t *)(void *)top;
	*--sp = (uint64_t)(uintptr_t)fiber_boot; /* return address */
	*--sp = 0;                               /* rbp: ends frame-pointer walks */
	*--sp = 0;                               /* rbx */
	*--sp = (uint64_t)(uintptr_t)f;          /* r12 */
	*--sp = 0;                               /* r13 */
	*--sp = 0;                               /* r14 */
	*--sp = 0;                               /* r15 */
	*--sp = (uint64_t)0x037f << 32 | 0x1f80; /* x87 control word, mxcsr: the ABI's defaults */
	f->sp = sp;
#else
	uint64_t *sp = (uint64_t *)(void *)(top - 176);
	memset(sp, 0, 176);
	sp[0] = (uint64_t)(uintptr_t)f;           /* x19 */
	sp[11] = (uint64_t)(uintptr_t)fiber_boot; /* x30 */
	f->sp = sp;
#endif
#ifdef WITH_ASAN
	__lsan_register_root_region(base, STACK_BYTES); /* what only a parked fiber points to is no leak */
#endif
#ifdef WITH_TSAN
	f->sanitizer = __tsan_create_fiber(0);
#endif
	f->next = l->all;
	if (l->all)
		l->all->prev = f;
	l->all = f;
	l->fibers++;
	make_ready(l, f);
	return f;
}

/* On the fiber's stack: back to the loop. last: the fiber never comes back. */
static void to_loop(struct loop *l, struct fiber *f, bool last)
{
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(last ? NULL : &f->sanitizer, l->stack_bottom, l->stack_size);
#endif
#ifdef WITH_TSAN
	__tsan_switch_to_fiber(l->sanitizer, 0);
#endif
	(void)last;
	fiber_switch(&f->sp, l->sp);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(f->sanitizer, &l->stack_bottom, &l->stack_size);
#endif
}

__attribute__((used)) void fiber_main(struct fiber *f)
{
	struct loop *l = loop_self();

#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(NULL, &l->stack_bottom, &l->stack_size);
#endif
	f->fn(f->arg);
	f->ended = true;
	to_loop(l, f, true);
	abort();
}

static void heap_set(struct loop *l, uint32_t i, struct deadline d)
{
	l->heap[i] = d;
	d.fiber->heap_at = i + 1;
}

static void heap_up(struct loop *l, uint32_t i)
{
	struct deadline d = l->heap[i];

	while (i > 0 && l->heap[(i - 1) / 2].at > d.at) {
		heap_set(l, i, l->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_set(l, i, d);
}

static void heap_down(struct loop *l, uint32_t i)
{
	struct deadline d = l->heap[i];

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= l->heap_n)
			break;
		if (child + 1 < l->heap_n && l->heap[child + 1].at < l->heap[child].at)
			child++;
		if (l->heap[child].at >= d.at)
			break;
		heap_set(l, i, l->heap[child]);
		i = child;
	}
	heap_set(l, i, d);
}

static void heap_remove(struct loop *l, struct fiber *f)
{
	if (!f->heap_at)
		return;
	uint32_t i = f->heap_at - 1;
	struct deadline last = l->heap[--l->heap_n];

	f->heap_at = 0;
	if (i == l->heap_n)
		return;
	heap_set(l, i, last);
	heap_up(l, i);
	heap_down(l, last.fiber->heap_at - 1);
}

/*
 * The heap is lazy: a fiber already in it with an earlier time stays where it is, and is put right when that
 * time comes. A session whose deadline only moves forward costs no heap work a park.
 */
static bool heap_want(struct loop *l, struct fiber *f)
{
	if (f->heap_at) {
		if (l->heap[f->heap_at - 1].at > f->deadline) {
			l->heap[f->heap_at - 1].at = f->deadline;
			heap_up(l, f->heap_at - 1);
		}
		return true;
	}
	if (l->heap_n == l->heap_cap) {
		uint32_t cap = l->heap_cap ? 2 * l->heap_cap : 64;
		struct deadline *h = realloc(l->heap, cap * sizeof *h);

		if (!h)
			return false;
		l->heap = h;
		l->heap_cap = cap;
	}
	l->heap[l->heap_n] = (struct deadline){f->deadline, f};
	f->heap_at = ++l->heap_n;
	heap_up(l, l->heap_n - 1);
	return true;
}

void fibers_expire(struct loop *l)
{
	while (l->heap_n > 0 && l->heap[0].at <= l->now) {
		struct fiber *f = l->heap[0].fiber;

		if (!f->parked || f->deadline == FOREVER) {
			heap_remove(l, f);
		} else if (f->deadline > l->now) {
			l->heap[0].at = f->deadline;
			heap_down(l, 0);
		} else {
			heap_remove(l, f);
			f->timed_out = true;
			make_ready(l, f);
		}
	}
}

static void on_timer_due(uv_timer_t *h)
{
	struct loop *l = h->data;

	l->timer_at = 0;
	l->now = clock_boot_ms();
	fibers_expire(l);
}

void fibers_arm_timer(struct loop *l)
{
	if (l->heap_n == 0 || (l->timer_at != 0 && l->timer_at <= l->heap[0].at))
		return;
	uint64_t at = l->heap[0].at, in = at > l->now ? at - l->now : 0;

	uv_update_time(&l->uv);
	uv_timer_start(&l->timer, on_timer_due, in, 0);
	l->timer_at = at;
}

int fiber_park(uint64_t deadline)
{
	struct loop *l = loop_self();
	struct fiber *f = l->current;

	assert(f && "only a fiber can park");
	assert(l->forbid == 0 && "a park inside a section that forbids it (a snapshot held?)");
	if (f->canceled)
		return -ECANCELED;
	if (f->woken) {
		f->woken = false;
		return 0;
	}
	if (deadline <= l->now)
		return -ETIMEDOUT;
	f->deadline = deadline;
	if (deadline != FOREVER && !heap_want(l, f))
		return -ENOMEM;
	f->parked = true;
	f->timed_out = f->trimmed = false;
	f->parked_since = l->now;
	to_loop(l, f, false);
	f->parked = false;
	f->deadline = FOREVER;
	if (f->canceled)
		return -ECANCELED;
	if (f->woken) {
		f->woken = false;
		return 0;
	}
	return f->timed_out ? -ETIMEDOUT : 0;
}

/* A wait that a cancel must not end (a commit under way): as fiber_park, cancel held back. */
void fiber_park_firmly(const bool *done)
{
	struct loop *l = loop_self();
	struct fiber *f = l->current;

	assert(f && l->forbid == 0);
	while (!*done) {
		f->parked = true;
		f->trimmed = false;
		f->parked_since = l->now;
		to_loop(l, f, false);
		f->parked = false;
		f->woken = false;
	}
}

void fiber_wake(struct fiber *f)
{
	if (!f || f->ended)
		return;
	f->woken = true;
	if (f->parked)
		make_ready(loop_self(), f);
}

void fiber_cancel(struct fiber *f)
{
	f->canceled = true;
	if (f->parked)
		make_ready(loop_self(), f);
}

int fiber_sleep(uint64_t ms)
{
	uint64_t until = loop_now() + ms;
	int rc = 0;

	while (rc == 0)
		rc = fiber_park(until);
	return rc == -ETIMEDOUT ? 0 : rc;
}

int fiber_yield(void)
{
	struct loop *l = loop_self();
	struct fiber *f = l->current;

	if (f->canceled)
		return -ECANCELED;
	f->parked = true;
	enqueue(&l->yielded, f);
	to_loop(l, f, false);
	f->parked = false;
	return f->canceled ? -ECANCELED : 0;
}

void fiber_forbid_park(void)
{
	struct loop *l = loop_self();

	if (l)
		l->forbid++;
}

void fiber_allow_park(void)
{
	struct loop *l = loop_self();

	if (l) {
		assert(l->forbid > 0);
		l->forbid--;
	}
}

static void bury(struct loop *l, struct fiber *f)
{
	heap_remove(l, f);
	if (f->next)
		f->next->prev = f->prev;
	if (f->prev)
		f->prev->next = f->next;
	else
		l->all = f->next;
	l->fibers--;
#ifdef POSTHOUSE_CENSUS
	census_note(f);
#endif
#ifdef WITH_TSAN
	__tsan_destroy_fiber(f->sanitizer);
#endif
	char *base = f->base;
#ifdef WITH_ASAN
	__lsan_unregister_root_region(base, STACK_BYTES);
	__asan_unpoison_memory_region(base, STACK_BYTES);
#endif
	stack_give(l, base - PAGE);
}

static void resume(struct loop *l, struct fiber *f)
{
	l->current = f;
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(&l->sanitizer, f->base, STACK_BYTES);
#endif
#ifdef WITH_TSAN
	l->sanitizer = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->sanitizer, 0);
#endif
	fiber_switch(&l->sp, f->sp);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(l->sanitizer, NULL, NULL);
#endif
	l->current = NULL;
}

static uint64_t run_one(struct loop *l, struct fiber *f, uint64_t from)
{
	resume(l, f);
	uint64_t now = clock_span_us();
	loop_held(l, f->name, f->label, now - from);
	if (f->ended)
		bury(l, f);
	return now;
}

/*
 * First those that something woke, with what they wake in turn. Then those that have yielded: they are at
 * long work, so the poll has its turn after each bit of it, and whose input has come waits for one of them
 * only, however many there are. They have their turn however many are woken.
 */
void fibers_run_ready(struct loop *l)
{
	uint64_t begun = clock_span_us(), now = begun;

	while (l->ready.first && now - begun < ROUND_US)
		now = run_one(l, dequeue(&l->ready), now);
	begun = now;
	do {
		if (!l->yielded.first)
			return;
		now = run_one(l, dequeue(&l->yielded), now);
	} while (!l->ready.first && now - begun < YIELDED_US);
}

/*
 * The part of a parked stack below its pages in use goes back to the system; not where a sanitizer or the
 * census keeps its books on it.
 */
static void trim(const struct fiber *f, const char *sp)
{
#if defined(POSTHOUSE_CENSUS)
	(void)sp;
	census_note(f);
#elif defined(WITH_ASAN)
	(void)f;
	(void)sp;
#else
	uintptr_t low = (uintptr_t)f->base, high = ((uintptr_t)sp - 256) & ~(uintptr_t)(PAGE - 1);

	if (high > low)
		madvise(f->base, high - low, MADV_DONTNEED);
#endif
}

void fiber_trim_stack(void)
{
	trim(fiber_self(), __builtin_frame_address(0));
}

/* Handshakes and log-ins leave holes among what stays, more than what stays (TLS: 20 KiB a connection). */
static void heap_trim(struct loop *l)
{
	if (l->rested < HEAP_TRIM)
		return;
	l->rested = 0;
	malloc_trim(0);
}

void fibers_sweep(struct loop *l)
{
	stacks_shrink(l);
	buffers_shrink(l);
	for (struct fiber *f = l->all; f; f = f->next) {
		if (!f->parked || f->trimmed || l->now - f->parked_since < TRIM_AFTER_MS)
			continue;
		trim(f, f->sp);
		f->trimmed = true;
		l->rested++;
	}
	heap_trim(l);
}

void fiber_label(const char *text)
{
	struct fiber *f = fiber_self();

	snprintf(f->label, sizeof f->label, "%s", text);
}

void fiber_each(void (*see)(void *arg, const struct fiber_info *), void *arg)
{
	for (const struct fiber *f = loop_self()->all; f; f = f->next) {
		struct fiber_info info = {f->name, f->label, f->parked ? f->parked_since : 0, f->canceled};

		see(arg, &info);
	}
}

size_t fiber_count(void)
{
	return loop_self()->fibers;
}

struct fiber_waiter {
	struct fiber *fiber;
	struct fiber_waiter *next;
	bool signaled;
};

int fiber_signal_wait(struct fiber_signal *s, uint64_t deadline)
{
	struct fiber_waiter me = {fiber_self(), NULL, false}, **end = &s->first;

	while (*end)
		end = &(*end)->next;
	*end = &me;
	int rc = 0;
	while (!me.signaled && rc == 0)
		rc = fiber_park(deadline);
	if (me.signaled)
		return 0;
	for (end = &s->first; *end; end = &(*end)->next)
		if (*end == &me) {
			*end = me.next;
			break;
		}
	return rc;
}

void fiber_signal_one(struct fiber_signal *s)
{
	struct fiber_waiter *w = s->first;

	if (!w)
		return;
	s->first = w->next;
	w->signaled = true;
	fiber_wake(w->fiber);
}

void fiber_signal_all(struct fiber_signal *s)
{
	while (s->first)
		fiber_signal_one(s);
}

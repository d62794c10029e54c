/* Fibers, deadlines, cancelling, signals, workers, posted messages; streams and channels over socket pairs.
 */
#include "base/clock.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/worker.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct trace {
	char text[256];
	struct fiber *one, *two;
	struct fiber_signal signal;
	int rc;
	bool ended;
};

static void note(struct trace *t, const char *word)
{
	strncat(t->text, word, sizeof t->text - strlen(t->text) - 1);
}

static void first(void *arg)
{
	struct trace *t = arg;

	note(t, "a");
	fiber_yield();
	note(t, "b");
	t->rc = fiber_park(loop_now() + 20);
	note(t, t->rc == -ETIMEDOUT ? "t" : "?");
	t->rc = fiber_park(FOREVER);
	note(t, t->rc == 0 ? "w" : "?");
	t->rc = fiber_park(FOREVER);
	note(t, t->rc == -ECANCELED ? "c" : "?");
	note(t, fiber_sleep(1) == -ECANCELED ? "c" : "?");
	t->ended = true;
}

static void second(void *arg)
{
	struct trace *t = arg;

	note(t, "1");
	fiber_sleep(60);
	note(t, "2");
	fiber_wake(t->one);
	fiber_yield();
	fiber_cancel(t->one);
	while (!t->ended)
		fiber_yield();
	note(t, "3");
}

static void run(fiber_fn *a, fiber_fn *b, struct trace *t)
{
	struct loop *l = loop_new("test");

	t->one = fiber_start("one", a, t);
	if (b)
		t->two = fiber_start("two", b, t);
	loop_run(l);
	assert_int_equal(fiber_count(), 0);
	loop_free(l);
}

static void test_order(void **state)
{
	struct trace t = {0};

	(void)state;
	run(first, second, &t);
	assert_string_equal(t.text, "a1bt2wcc3");
}

static void waits(void *arg)
{
	struct trace *t = arg;

	assert_int_equal(fiber_signal_wait(&t->signal, loop_now() + 5), -ETIMEDOUT);
	assert_int_equal(fiber_signal_wait(&t->signal, FOREVER), 0);
	note(t, "got");
}

static void signals(void *arg)
{
	struct trace *t = arg;

	fiber_sleep(30);
	fiber_signal_all(&t->signal);
}

static void test_signal(void **state)
{
	struct trace t = {0};

	(void)state;
	run(waits, signals, &t);
	assert_string_equal(t.text, "got");
	assert_null(t.signal.first);
}

static void on_pool(void *arg)
{
	*(pthread_t *)arg = pthread_self();
}

static void works(void *arg)
{
	pthread_t where = pthread_self();

	worker_run(on_pool, &where);
	assert_false(pthread_equal(where, pthread_self()));
	note(arg, "done");
}

static void test_worker(void **state)
{
	struct trace t = {0};

	(void)state;
	run(works, works, &t);
	assert_string_equal(t.text, "donedone");
}

struct posted {
	struct loop_message m;
	struct trace *t;
	struct loop *l;
	char digit[2];
};

static void on_posted(struct loop_message *m)
{
	struct posted *p = (struct posted *)(void *)m;

	note(p->t, p->digit);
	if (p->digit[0] == '9')
		fiber_wake(p->t->one);
}

static void *poster(void *arg)
{
	struct posted *p = arg;

	for (int i = 0; i < 10; i++)
		loop_post(p[i].l, &p[i].m);
	return NULL;
}

static void posts(void *arg)
{
	struct trace *t = arg;
	struct posted p[10];
	pthread_t thread;

	for (int i = 0; i < 10; i++)
		p[i] = (struct posted){{NULL, on_posted}, t, loop_self(), {(char)('0' + i), 0}};
	pthread_create(&thread, NULL, poster, p);
	while (strlen(t->text) < 10)
		fiber_park(FOREVER);
	pthread_join(thread, NULL);
}

static void test_post(void **state)
{
	struct trace t = {0};

	(void)state;
	run(posts, NULL, &t);
	assert_string_equal(t.text, "0123456789");
}

static struct {
	char label[40];
	uint64_t us;
	unsigned times;
} stall;

static void on_stall(const char *name, const char *label, uint64_t us)
{
	assert_string_equal(name, "hog");
	snprintf(stall.label, sizeof stall.label, "%s", label);
	stall.us = us;
	stall.times++;
}

static void hold(uint64_t us)
{
	uint64_t until = clock_span_us() + us;

	while (clock_span_us() < until)
		;
}

static void hogs(void *arg)
{
	(void)arg;
	fiber_label("short");
	hold(1000);
	assert_int_equal(fiber_yield(), 0);
	fiber_label("long");
	hold(LOOP_STALL_US + 2000);
	assert_int_equal(fiber_yield(), 0);
	fiber_label("longer");
	hold(LOOP_STALL_US * 3);
	assert_int_equal(fiber_yield(), 0);
}

/* The watchdog names who held the loop, once it runs on. */
static void test_stall(void **state)
{
	struct loop *l = loop_new("test");
	const char *name;

	(void)state;
	assert_non_null(l);
	loop_on_stall(l, on_stall);
	assert_non_null(fiber_start("hog", hogs, NULL));
	loop_run(l);
	assert_true(stall.times >= 2);
	assert_string_equal(stall.label, "longer");
	assert_true(stall.us >= LOOP_STALL_US * 3);
	assert_true(loop_stalls(l) >= 2);
	assert_true(loop_longest_us(l, &name) >= LOOP_STALL_US * 3);
	assert_string_equal(name, "hog");
	assert_true(loop_longest_us(l, &name) == 0);
	loop_free(l);
}

static void sleeper(void *arg)
{
	unsigned *left = arg;

	fiber_sleep(1 + (uint64_t)(*left * 7919u % 50u));
	--*left;
}

static void test_many(void **state)
{
	struct loop *l = loop_new("test");
	unsigned left = 5000;

	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		assert_non_null(fiber_start("sleeper", sleeper, &left));
	loop_run(l);
	assert_int_equal(left, 0);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_post),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_stall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Parks fibers on two loops and says so: what tools/gdb_fibers.py is tried on. Ends with its standard input.
 */
#include "io/fiber.h"
#include "io/loop.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

void session_of_alice(struct fiber_signal *never, int depth);
void session_of_bob(int letters);

static atomic_int parked;

__attribute__((noinline)) void session_of_alice(struct fiber_signal *never, int depth)
{
	if (depth > 0) {
		session_of_alice(never, depth - 1);
	} else {
		atomic_fetch_add(&parked, 1);
		fiber_signal_wait(never, FOREVER);
	}
	__asm__ volatile(""); /* no tail call: the frames are to be seen */
}

static void alice(void *arg)
{
	fiber_label("IDLE alice");
	session_of_alice(arg, 3);
}

__attribute__((noinline)) void session_of_bob(int letters)
{
	atomic_fetch_add(&parked, 1);
	fiber_sleep(3600000 + (uint64_t)letters);
	__asm__ volatile("");
}

static void bob(void *arg)
{
	(void)arg;
	session_of_bob(4711);
}

static void *other_thread(void *arg)
{
	struct loop *l = loop_new("other");

	(void)arg;
	if (fiber_start("pop3", bob, NULL))
		loop_run(l);
	return NULL;
}

static void *tell(void *arg)
{
	char c;

	(void)arg;
	while (atomic_load(&parked) < 3)
		usleep(1000);
	usleep(50000); /* from the last count into the park */
	puts("parked");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	_exit(0);
}

int main(void)
{
	struct fiber_signal never = {0};
	pthread_t thread;

	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	struct loop *l = loop_new("first");
	if (pthread_create(&thread, NULL, other_thread, NULL) != 0 ||
		pthread_create(&thread, NULL, tell, NULL) != 0 || !fiber_start("imap", alice, &never) ||
		!fiber_start("smtp", bob, NULL))
		return 1;
	loop_run(l);
	return 1;
}

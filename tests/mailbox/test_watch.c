/* Watchers hear of what changed in their mailbox, on their loop. */
#include "io/fiber.h"
#include "mailbox/fixture.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct heard {
	struct watch watch;
	unsigned calls;
	uint32_t mailbox;
	uint64_t modseq;
	struct heard *stops; /* another one that is stopped from the callback */
};

static void changed(struct watch *w, uint32_t mailbox, uint64_t modseq)
{
	struct heard *h = (struct heard *)w;
	assert_null(fiber_self());
	h->calls++;
	h->mailbox = mailbox;
	h->modseq = modseq;
	if (h->stops)
		watch_stop(&h->stops->watch);
}

static struct heard listen_to(uint32_t account, uint32_t mailbox)
{
	return (struct heard){.watch = {.account = account, .mailbox = mailbox, .changed = changed}};
}

static void hears(struct fixture *f)
{
	uint32_t alice = make_account(f, "alice", "example.test"),
		 bob = make_account(f, "bob", "example.test");
	uint32_t box = make_mailbox(f, alice, "Box");
	struct heard inbox = listen_to(alice, MAILBOX_INBOX), all = listen_to(alice, 0);
	struct heard other = listen_to(alice, box), foreign = listen_to(bob, MAILBOX_INBOX);
	fiber_sleep(5);
	watch_start(f->watch_loop, &inbox.watch);
	watch_start(f->watch_loop, &all.watch);
	watch_start(f->watch_loop, &other.watch);
	watch_start(f->watch_loop, &foreign.watch);
	append_one(f, alice, MAILBOX_INBOX, "hello", 0);
	fiber_sleep(5);
	assert_int_equal(inbox.calls, 1);
	assert_int_equal(all.calls, 1);
	assert_int_equal(other.calls + foreign.calls, 0);
	struct mailbox_row row = {.id = 0};
	assert_true(read_mailbox(f, alice, MAILBOX_INBOX, &row));
	assert_true(inbox.modseq == row.highest_modseq && inbox.mailbox == MAILBOX_INBOX);

	watch_stop(&inbox.watch);
	watch_stop(&inbox.watch);
	append_one(f, alice, MAILBOX_INBOX, "again", 0);
	fiber_sleep(5);
	assert_int_equal(inbox.calls, 1);
	assert_int_equal(all.calls, 2);

	/* Whichever of the two is called first stops the other: one call in all. */
	struct heard x = listen_to(bob, 0), y = listen_to(bob, 0);
	x.stops = &y;
	y.stops = &x;
	watch_start(f->watch_loop, &x.watch);
	watch_start(f->watch_loop, &y.watch);
	append_one(f, bob, MAILBOX_INBOX, "third", 0);
	fiber_sleep(5);
	assert_int_equal(x.calls + y.calls, 1);
	watch_stop(&all.watch);
	watch_stop(&other.watch);
	watch_stop(&foreign.watch);
	watch_stop(&x.watch);
	watch_stop(&y.watch);
}

/* Notes of one mailbox melt into one; when too many mailboxes changed, all are called. */
static void floods(struct fixture *f)
{
	struct heard one = listen_to(7, 3), quiet = listen_to(8, 1);
	watch_start(f->watch_loop, &one.watch);
	watch_start(f->watch_loop, &quiet.watch);
	for (uint64_t modseq = 1; modseq <= 50; modseq++) {
		struct store_note n = {7, 3, modseq};
		watchers_on_group(f->watchers, &n, 1);
	}
	fiber_sleep(5);
	assert_int_equal(one.calls, 1);
	assert_true(one.modseq == 50);
	assert_int_equal(quiet.calls, 0);
	for (uint32_t account = 100; account < 10000; account++) {
		struct store_note n = {account, 1, 1};
		watchers_on_group(f->watchers, &n, 1);
	}
	fiber_sleep(5);
	assert_int_equal(one.calls, 2);
	assert_true(one.modseq == 0);
	assert_int_equal(quiet.calls, 1);
	watch_stop(&one.watch);
	watch_stop(&quiet.watch);
}

static void hear_test(void **state)
{
	(void)state;
	fixture_each(hears, NULL);
}

static void flood_test(void **state)
{
	(void)state;
	fixture_each(floods, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(hear_test), cmocka_unit_test(flood_test)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What the change rows say of mailboxes: paths given up, settings; and one mailbox shown as in the list. */
#include "mailbox/fixture.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WORKS(call)                                                                                          \
	do {                                                                                                 \
		err e_ = {0}, *e = &e_;                                                                      \
		if ((call) < 0)                                                                              \
			fail_msg("%s: %s", #call, e_.text);                                                  \
	} while (0)
#define FAILS(call, kind_)                                                                                   \
	do {                                                                                                 \
		err e_ = {0}, *e = &e_;                                                                      \
		assert_int_equal((call), -1);                                                                \
		assert_int_equal(e_.kind, (kind_));                                                          \
	} while (0)

static uint64_t modseq_now(struct fixture *f, uint32_t account)
{
	return read_account(f, account).modseq;
}

/* "created(7) renamed(7,Old)": the rows since a modseq. */
static const char *log_since(struct fixture *f, uint32_t account, uint64_t since)
{
	static const char *const kinds[] = {
		"", "added", "flags", "expunged", "created", "removed", "renamed", "settings", "metadata"};
	struct store_snap s = {0};
	struct change_scan sc;
	struct change c;
	struct buf b = BUF_INIT(1 << 16);
	err e = {0};

	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(change_open(&s, account, 0, since, &sc, &e), 0);
	while (change_next(&sc, &c, &e) == 1) {
		slice path = change_path(&c);

		buf_addf(&b, "%s%s", b.n ? " " : "", kinds[c.kind]);
		if (path.n)
			buf_addf(&b, "(%.*s)", (int)path.n, path.p);
		if (c.kind == CHANGE_SETTINGS)
			buf_addf(&b, "(%u)", change_settings(&c));
		else
			assert_int_equal(change_settings(&c), 0);
	}
	change_close(&sc);
	store_snap_end(&s);
	slice copy = arena_copy(f->arena, buf_slice(&b));
	buf_free(&b);
	return copy.p;
}

static void paths_given_up(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	uint64_t at = modseq_now(f, a);

	make_mailbox(f, a, "One/Two/Three");
	assert_string_equal(log_since(f, a, at), "created created created");
	at = modseq_now(f, a);
	WORKS(mailbox_rename(f->store, a, 0, S("One/Two"), S("New/Deux"), e));
	assert_string_equal(log_since(f, a, at), "created renamed(One/Two)");
	at = modseq_now(f, a);
	WORKS(mailbox_delete(f->store, a, 0, S("New/Deux/Three"), e));
	assert_string_equal(log_since(f, a, at), "removed(New/Deux/Three)");
	/* The parent stood only for its child in the end. */
	make_mailbox(f, a, "P/C");
	WORKS(mailbox_delete(f->store, a, 0, S("P"), e));
	at = modseq_now(f, a);
	WORKS(mailbox_delete(f->store, a, 0, S("P/C"), e));
	assert_string_equal(log_since(f, a, at), "removed(P/C) removed(P)");
	at = modseq_now(f, a);
	WORKS(mailbox_rename(f->store, a, 0, S("INBOX"), S("Before"), e));
	assert_string_equal(log_since(f, a, at), "created renamed(INBOX)");
}

static void settings(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	uint64_t at = modseq_now(f, a);

	WORKS(mailbox_subscribe(f->store, a, S("Sent"), false, e));
	WORKS(mailbox_subscribe(f->store, a, S("Sent"), false, e));
	WORKS(mailbox_set_use(f->store, a, S("Sent"), USE_NONE, e));
	assert_string_equal(log_since(f, a, at), "settings(1) settings(2)");
	at = modseq_now(f, a);
	WORKS(mailbox_delete(f->store, a, 0, S("Junk"), e)); /* subscribed: its name stays */
	assert_string_equal(log_since(f, a, at), "settings(4)");
	at = modseq_now(f, a);
	WORKS(mailbox_subscribe(f->store, a, S("Junk"), false, e));
	assert_string_equal(log_since(f, a, at), "settings(1) removed(Junk)");
}

/* ---- one mailbox as in the list ---- */

static void same_as_list(struct fixture *f, uint32_t account, size_t expected)
{
	struct store_snap s = {0};
	struct mailbox_item *items, one;
	size_t n;
	err e = {0};

	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(mailbox_list(&s, account, f->arena, &items, &n, &e), 0);
	assert_int_equal(n, expected);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(mailbox_item_get(&s, account, items[i].row.id, f->arena, &one, &e), 1);
		assert_true(slice_eq(one.path, items[i].path));
		assert_true(slice_eq(one.row.name, items[i].row.name));
		assert_int_equal(one.depth, items[i].depth);
		assert_int_equal(one.has_children, items[i].has_children);
		assert_int_equal(one.absent, items[i].absent);
		assert_int_equal(one.row.subscribed, items[i].row.subscribed);
		assert_int_equal(one.row.uidvalidity, items[i].row.uidvalidity);
	}
	assert_int_equal(mailbox_item_get(&s, account, 9999, f->arena, &one, &e), 0);
	store_snap_end(&s);
}

static void one_of_the_list(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");

	same_as_list(f, a, 6);
	make_mailbox(f, a, "A/B/C/D");
	make_mailbox(f, a, "A/E");
	make_mailbox(f, a, "INBOX/x");
	same_as_list(f, a, 12);
	WORKS(mailbox_delete(f->store, a, 0, S("A/B"), e));
	same_as_list(f, a, 12);
	/* Only a subscription is left of the deepest: what is above it has no mailbox below. */
	WORKS(mailbox_subscribe(f->store, a, S("A/B/C/D"), true, e));
	WORKS(mailbox_delete(f->store, a, 0, S("A/B/C/D"), e));
	same_as_list(f, a, 12);
	WORKS(mailbox_delete(f->store, a, 0, S("A/B/C"), e));
	WORKS(mailbox_delete(f->store, a, 0, S("A/E"), e));
	same_as_list(f, a, 11);
}

static void is_subscribed(struct fixture *f, uint32_t account, const char *path, bool absent)
{
	struct store_snap s = {0};
	struct mailbox_row row;
	struct mailbox_item item;
	err e = {0};

	assert_true(read_path(f, account, path, &row));
	assert_true(row.subscribed);
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(mailbox_item_get(&s, account, row.id, f->arena, &item, &e), 1);
	assert_int_equal(item.absent, absent);
	store_snap_end(&s);
}

/* What LIST does not show is in nobody's way: names of subscriptions, and levels above them. */
static void rename_onto_subscriptions(struct fixture *f)
{
	static const char *const gone[] = {"A", "A/B", "A/B/C", "A/B/D"};
	uint32_t a = make_account(f, "alice", "example.test"), id;
	struct mailbox_row row;

	for (size_t i = 0; i < COUNT_OF(gone); i++)
		make_mailbox(f, a, gone[i]);
	WORKS(mailbox_subscribe(f->store, a, S("A/B/C"), true, e));
	WORKS(mailbox_subscribe(f->store, a, S("A/B/D"), true, e));
	for (size_t i = COUNT_OF(gone); i-- > 0;)
		WORKS(mailbox_delete(f->store, a, 0, slice_of(gone[i]), e));
	/* Both have a level B, one of them a mailbox D below it. */
	id = make_mailbox(f, a, "Work");
	make_mailbox(f, a, "Work/B/D");
	FAILS(mailbox_rename(f->store, a, 0, S("A"), S("Other"), e), ERR_MISSING);
	FAILS(mailbox_rename(f->store, a, 0, S("Work"), S("Work/B/D/x"), e), ERR_DENIED);
	WORKS(mailbox_rename(f->store, a, 0, S("Work"), S("A"), e));
	assert_false(read_path(f, a, "Work", &row));
	assert_true(read_path(f, a, "A", &row) && row.id == id && !row.noselect);
	is_subscribed(f, a, "A/B/C", true);
	is_subscribed(f, a, "A/B/D", false);
	same_as_list(f, a, 10); /* the six of every account, and A, B, C, D once each */
	/* The names go with the last subscription, and the numbers agree: the mailbox can be made anew. */
	WORKS(mailbox_subscribe(f->store, a, S("A/B/C"), false, e));
	assert_false(read_path(f, a, "A/B/C", &row));
	make_mailbox(f, a, "A/B/C");
	same_as_list(f, a, 10);
}

#define EACH(name)                                                                                           \
	static void name##_test(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		fixture_each(name, NULL);                                                                    \
	}
EACH(paths_given_up)
EACH(settings)
EACH(one_of_the_list)
EACH(rename_onto_subscriptions)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_given_up_test),
		cmocka_unit_test(settings_test),
		cmocka_unit_test(one_of_the_list_test),
		cmocka_unit_test(rename_onto_subscriptions_test),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Metadata: limits, who sees what, what goes with a mailbox, what others hear. */
#include "limits.h"
#include "mailbox/fixture.h"
#include "mailbox/metadata.h"
#include "mailbox/rights.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NONE ((slice){NULL, 0})

static int set(struct fixture *f, uint32_t account, uint32_t mailbox, uint32_t who, const char *name,
	slice value, err *e)
{
	struct metadata m = {.who = who, .name = slice_of(name), .value = value};
	struct metadata_set s = {.account = account, .mailbox = mailbox, .values = &m, .n = 1};

	return mailbox_metadata_set(f->store, &s, e);
}

#define SET(...)                                                                                             \
	do {                                                                                                 \
		err e_ = {0};                                                                                \
		if (set(__VA_ARGS__, &e_) < 0)                                                               \
			fail_msg("%s", e_.text);                                                             \
	} while (0)
#define REFUSED(kind_, ...)                                                                                  \
	do {                                                                                                 \
		err e_ = {0};                                                                                \
		assert_int_equal(set(__VA_ARGS__, &e_), -1);                                                 \
		assert_int_equal(e_.kind, (kind_));                                                          \
	} while (0)

/* "name=value name=value" of what begins so. */
static const char *all(struct fixture *f, uint32_t account, uint32_t mailbox, uint32_t who, const char *name)
{
	struct store_snap snap = {0};
	struct metadata_scan sc;
	struct metadata m;
	struct buf b = BUF_INIT(1 << 20);
	err e = {0};
	int rc;

	assert_int_equal(store_snap_begin(f->store, &snap, &e), 0);
	assert_int_equal(metadata_open(&snap, account, mailbox, who, slice_of(name), &sc, &e), 0);
	while ((rc = metadata_next(&sc, &m, &e)) > 0)
		buf_addf(&b, "%s%.*s=%.*s", b.n ? " " : "", (int)m.name.n, m.name.p, (int)m.value.n,
			m.value.p);
	assert_int_equal(rc, 0);
	metadata_close(&sc);
	store_snap_end(&snap);
	slice copy = arena_copy(f->arena, buf_slice(&b));
	buf_free(&b);
	return copy.n ? copy.p : "";
}

static void values(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test"), b = make_account(f, "bob", "example.test");
	uint32_t box = make_mailbox(f, a, "work");

	SET(f, a, box, METADATA_SHARED, "/shared/Comment", S("one"));
	SET(f, a, box, a, "/private/comment", S("hers"));
	SET(f, a, box, b, "/private/comment", S("his"));
	SET(f, a, 0, a, "/private/comment", S("the account's"));
	assert_string_equal(all(f, a, box, METADATA_SHARED, ""), "/shared/Comment=one");
	assert_string_equal(all(f, a, box, a, "/PRIVATE"), "/private/comment=hers");
	assert_string_equal(all(f, a, box, b, ""), "/private/comment=his");
	assert_string_equal(all(f, a, 0, a, ""), "/private/comment=the account's");
	assert_string_equal(all(f, b, 0, b, ""), "");
	SET(f, a, box, METADATA_SHARED, "/SHARED/comment", S(""));
	assert_string_equal(all(f, a, box, METADATA_SHARED, ""), "/SHARED/comment=");
	SET(f, a, box, METADATA_SHARED, "/shared/comment", NONE);
	assert_string_equal(all(f, a, box, METADATA_SHARED, ""), "");
	REFUSED(ERR_SYNTAX, f, a, box, a, "", S("x"));
	REFUSED(ERR_SYNTAX, f, a, box, a, "/private/\xc3\xa4", S("x"));
	REFUSED(ERR_MISSING, f, a, box + 100, a, "/private/x", S("x"));
	REFUSED(ERR_MISSING, f, 1000, 0, a, "/private/x", S("x"));
}

static void all_or_nothing(struct fixture *f)
{
	static char big[LIMIT_METADATA_VALUE + 1];
	uint32_t a = make_account(f, "alice", "example.test");
	struct metadata m[] = {
		{.who = a, .name = S("/private/a"), .value = S("1")},
		{.who = a, .name = S("/private/b"), .value = slice_make(big, sizeof big)},
	};
	struct metadata_set s = {.account = a, .mailbox = MAILBOX_INBOX, .values = m, .n = 2};
	err e = {0};

	assert_int_equal(mailbox_metadata_set(f->store, &s, &e), -1);
	assert_int_equal(e.kind, ERR_QUOTA);
	m[1].value = S("2");
	m[1].name = S("/private/\x01");
	assert_int_equal(mailbox_metadata_set(f->store, &s, &e), -1);
	assert_string_equal(all(f, a, MAILBOX_INBOX, a, ""), "");
	m[1].name = S("/private/b");
	s.has_use = true;
	s.use = USE_JUNK;
	assert_int_equal(mailbox_metadata_set(f->store, &s, &e), 0);
	assert_string_equal(all(f, a, MAILBOX_INBOX, a, ""), "/private/a=1 /private/b=2");
	struct mailbox_row row;
	assert_true(read_mailbox(f, a, MAILBOX_INBOX, &row) && row.use == USE_JUNK);
}

static void fill(struct fixture *f, uint32_t account, uint32_t mailbox, uint32_t who, unsigned n, slice value)
{
	struct metadata m[LIMIT_METADATA_ENTRIES];
	char names[LIMIT_METADATA_ENTRIES][24];
	err e = {0};

	for (unsigned i = 0; i < n; i++) {
		snprintf(names[i], sizeof names[i], "/private/%u", i);
		m[i] = (struct metadata){.who = who, .name = slice_of(names[i]), .value = value};
	}
	struct metadata_set s = {.account = account, .mailbox = mailbox, .values = m, .n = n};
	if (mailbox_metadata_set(f->store, &s, &e) < 0)
		fail_msg("%s", e.text);
}

static void limits(struct fixture *f)
{
	static char big[LIMIT_METADATA_VALUE];
	uint32_t a = make_account(f, "alice", "example.test"), b = make_account(f, "bob", "example.test");
	uint32_t box = make_mailbox(f, a, "box"), n = 0;
	char path[16];
	err e = {0};

	fill(f, a, box, a, LIMIT_METADATA_ENTRIES, S("x"));
	REFUSED(ERR_LIMIT, f, a, box, a, "/private/more", S("x"));
	SET(f, a, box, a, "/private/1", S("another"));
	SET(f, a, box, METADATA_SHARED, "/shared/more", S("x"));
	SET(f, a, box, a, "/private/1", NONE);
	SET(f, a, box, a, "/private/more", S("x"));
	/* All of an account: what is refused leaves the count as it was, and what goes gives its room back.
	 */
	for (n = 0; n < LIMIT_METADATA_BYTES / sizeof big; n++) {
		snprintf(path, sizeof path, "%u", n);
		uint32_t m = make_mailbox(f, a, path);
		if (set(f, a, m, a, "/private/x", slice_make(big, sizeof big), &e) < 0)
			break;
	}
	assert_int_equal(e.kind, ERR_QUOTA);
	assert_true(n > 250);
	SET(f, a, box, b, "/private/guest", S("has room of his own"));
	assert_int_equal(mailbox_delete(f->store, a, 0, S("0"), &e), 0);
	SET(f, a, box, a, "/private/more", slice_make(big, sizeof big));
	REFUSED(ERR_QUOTA, f, a, box, METADATA_SHARED, "/shared/yet", slice_make(big, sizeof big));
	/* Guests, all together. */
	for (n = 0; n < LIMIT_METADATA_GUESTS / LIMIT_METADATA_ENTRIES; n++) {
		snprintf(path, sizeof path, "%u", n + 1);
		struct mailbox_row row;
		assert_true(read_path(f, a, path, &row));
		fill(f, a, row.id, b, n ? LIMIT_METADATA_ENTRIES : LIMIT_METADATA_ENTRIES - 1, S("x"));
	}
	REFUSED(ERR_LIMIT, f, a, box, b, "/private/more", S("x"));
	SET(f, a, box, b, "/private/guest", S("may change"));
	assert_int_equal(mailbox_delete(f->store, a, 0, S("2"), &e), 0);
	SET(f, a, box, b, "/private/more", S("x"));
}

static void heard(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test"), who;
	uint64_t before = read_account(f, a).modseq;
	struct store_snap snap = {0};
	struct change_scan sc;
	struct change c;
	slice name;
	err e = {0};

	SET(f, a, MAILBOX_INBOX, METADATA_SHARED, "/shared/comment", S("x"));
	SET(f, a, MAILBOX_INBOX, METADATA_SHARED, "/shared/comment", S("x")); /* no change */
	SET(f, a, 0, a, "/private/comment", S("y"));
	assert_int_equal(read_account(f, a).modseq, before + 2);
	assert_int_equal(store_snap_begin(f->store, &snap, &e), 0);
	assert_int_equal(change_open(&snap, a, 0, before, &sc, &e), 0);
	assert_int_equal(change_next(&sc, &c, &e), 1);
	assert_int_equal(c.kind, CHANGE_METADATA);
	assert_int_equal(c.mailbox, MAILBOX_INBOX);
	assert_true(change_metadata(&c, &who, &name) && who == METADATA_SHARED &&
		    slice_eq(name, S("/shared/comment")));
	assert_false(change_metadata(&c, &who, &name));
	assert_int_equal(change_next(&sc, &c, &e), 1);
	assert_int_equal(c.mailbox, 0);
	assert_true(change_metadata(&c, &who, &name) && who == a && slice_eq(name, S("/private/comment")));
	assert_int_equal(change_next(&sc, &c, &e), 0);
	change_close(&sc);
	store_snap_end(&snap);
}

/* What another account may set is judged in the intent: each right alone, l and each right. */
static void rights(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test"), b = make_account(f, "bob", "example.test");
	uint32_t box = make_mailbox(f, a, "box");
	struct metadata values[] = {
		{.who = METADATA_SHARED, .name = S("/shared/x"), .value = S("1")},
		{.who = b, .name = S("/private/x"), .value = S("1")},
		{.who = a, .name = S("/private/x"), .value = S("1")},
	};

	for (unsigned n = 0; n < 22; n++) {
		struct rights_change c = {.account = a, .mailbox = box, .grantee = b};
		err e = {0};

		c.rights = (1u << n / 2) | (n % 2 ? RIGHT_LOOKUP : 0);
		assert_int_equal(mailbox_rights_change(f->store, &c, &e), 0);
		for (size_t i = 0; i < 3; i++) {
			struct metadata_set s = {a, box, b, &values[i], 1, .has_use = false};
			bool some = (c.rights & (i ? RIGHTS_METADATA : RIGHT_WRITE)) != 0;
			bool may = i < 2 && some && (c.rights & RIGHT_LOOKUP);
			e = (err){0};
			assert_int_equal(mailbox_metadata_set(f->store, &s, &e), may ? 0 : -1);
			if (!may)
				assert_int_equal(e.kind,
					i == 2 || (c.rights & RIGHT_LOOKUP) ? ERR_NOPERM : ERR_MISSING);
		}
	}
	struct metadata_set use = {a, box, b, NULL, 0, true, USE_JUNK}, whole = {a, 0, b, &values[1], 1};
	err e = {0};
	assert_int_equal(mailbox_metadata_set(f->store, &use, &e), -1);
	assert_int_equal(e.kind, ERR_NOPERM);
	assert_int_equal(mailbox_metadata_set(f->store, &whole, &e), -1);
	assert_int_equal(e.kind, ERR_NOPERM);
	assert_string_equal(all(f, a, box, a, ""), "");
}

#define EACH(name)                                                                                           \
	static void name##_test(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		fixture_each(name, NULL);                                                                    \
	}
EACH(values)
EACH(all_or_nothing)
EACH(limits)
EACH(heard)
EACH(rights)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_test),
		cmocka_unit_test(all_or_nothing_test),
		cmocka_unit_test(limits_test),
		cmocka_unit_test(heard_test),
		cmocka_unit_test(rights_test),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

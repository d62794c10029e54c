/* Rights: what each alone permits inside an intent, who finds what is shared, what ends them; a model. */
#include "limits.h"
#include "mailbox/fixture.h"
#include "mailbox/rights.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define MUST(call)                                                                                           \
	do {                                                                                                 \
		err e_ = {0}, *e = &e_;                                                                      \
		if ((call) < 0)                                                                              \
			fail_msg("%s: %s", #call, e_.text);                                                  \
	} while (0)

static int change(struct fixture *f, const struct rights_change *c)
{
	err e = {0};
	return mailbox_rights_change(f->store, c, &e) < 0 ? (int)e.kind : 0;
}

static void grant(struct fixture *f, uint32_t owner, uint32_t box, uint32_t to, unsigned rights)
{
	struct rights_change c = {.account = owner, .mailbox = box, .grantee = to, .rights = rights};
	assert_int_equal(change(f, &c), 0);
}

static unsigned rights_of(struct fixture *f, uint32_t owner, uint32_t box, uint32_t by)
{
	struct store_snap s = {0};
	unsigned rights = 0;
	MUST(store_snap_begin(f->store, &s, e));
	MUST(mailbox_rights(&s, owner, box, by, &rights, e));
	store_snap_end(&s);
	return rights;
}

static const char *shared_with(struct fixture *f, uint32_t by)
{
	struct store_snap s = {0};
	struct mailbox_item *items;
	struct buf b = BUF_INIT(1 << 20);
	size_t n;
	MUST(store_snap_begin(f->store, &s, e));
	MUST(mailbox_shared(&s, by, f->arena, &items, &n, e));
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%s%u:%.*s", i ? " " : "", items[i].row.account, (int)items[i].path.n,
			items[i].path.p);
	store_snap_end(&s);
	slice copy = arena_copy(f->arena, buf_slice(&b));
	buf_free(&b);
	return copy.p;
}

/* ---- each right alone ---- */

struct pair {
	struct fixture *f;
	uint32_t owner, by, box, other, mine; /* box is shared; other is not; mine is the mailbox of `by` */
	uint32_t uid, mine_uid;
};

typedef int act(struct pair *p, err *e);

static int do_append(struct pair *p, err *e)
{
	static const slice keyword = SLICE_INIT("k");
	struct append_message m = {.content = {.bytes = S("x"), .size = 1},
		.flags = MAILBOX_FLAGS_ALL,
		.keywords = &keyword,
		.n_keywords = 1};
	struct append a = {.account = p->owner, .mailbox = p->box, .by = p->by, .messages = &m, .n = 1};
	return mailbox_append(p->f->store, p->f->codec, &a, e);
}

static int do_replace(struct pair *p, err *e)
{
	struct append_message m = {.content = {.bytes = S("x"), .size = 1}};
	struct append a = {.account = p->by,
		.mailbox = p->mine,
		.by = p->by,
		.messages = &m,
		.n = 1,
		.replaces_account = p->owner,
		.replaces_mailbox = p->box,
		.replaces_uid = p->uid};
	return mailbox_append(p->f->store, p->f->codec, &a, e);
}

static int store_flag(struct pair *p, uint8_t flags, enum flags_op op, err *e)
{
	struct uidset uids = {0};
	assert_int_equal(uidset_add(&uids, p->uid), 0);
	struct store_flags a = {.account = p->owner,
		.mailbox = p->box,
		.by = p->by,
		.uids = &uids,
		.op = op,
		.flags = flags,
		.unchangedsince = UINT64_MAX};
	int rc = mailbox_store_flags(p->f->store, &a, e);
	uidset_free(&uids);
	uidset_free(&a.ret_changed);
	uidset_free(&a.ret_modified);
	return rc;
}

static int do_seen(struct pair *p, err *e)
{
	return store_flag(p, FLAG_SEEN, FLAGS_ADD, e);
}

static int do_deleted(struct pair *p, err *e)
{
	return store_flag(p, FLAG_DELETED, FLAGS_REMOVE, e);
}

static int do_flagged(struct pair *p, err *e)
{
	return store_flag(p, FLAG_FLAGGED, FLAGS_ADD, e);
}

static int do_replace_flags(struct pair *p, err *e)
{
	return store_flag(p, 0, FLAGS_REPLACE, e);
}

static int copy(struct pair *p, bool there, bool move, err *e)
{
	struct uidset uids = {0};
	assert_int_equal(uidset_add(&uids, there ? p->mine_uid : p->uid), 0);
	struct copy c = {.account = there ? p->by : p->owner,
		.mailbox = there ? p->mine : p->box,
		.to_account = there ? p->owner : p->by,
		.to_mailbox = there ? p->box : p->mine,
		.by = p->by,
		.uids = &uids};
	int rc = move ? mailbox_move(p->f->store, &c, e) : mailbox_copy(p->f->store, &c, e);
	if (rc == 0)
		assert_int_equal(uidset_count(&c.ret_dest), 1);
	uidset_free(&uids);
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
	return rc;
}

static int do_copy_from(struct pair *p, err *e)
{
	return copy(p, false, false, e);
}

static int do_copy_to(struct pair *p, err *e)
{
	return copy(p, true, false, e);
}

static int do_move_from(struct pair *p, err *e)
{
	return copy(p, false, true, e);
}

static int do_expunge(struct pair *p, err *e)
{
	struct expunge x = {.account = p->owner, .mailbox = p->box, .by = p->by, .only_deleted = true};
	int rc = mailbox_expunge(p->f->store, &x, e);
	uidset_free(&x.ret_expunged);
	return rc;
}

static int do_create(struct pair *p, err *e)
{
	return mailbox_create(p->f->store, p->owner, p->by, S("Box/child"), USE_NONE, NULL, NULL, e);
}

static int do_create_deep(struct pair *p, err *e)
{
	return mailbox_create(p->f->store, p->owner, p->by, S("Box/a/b"), USE_NONE, NULL, NULL, e);
}

static int do_create_top(struct pair *p, err *e)
{
	return mailbox_create(p->f->store, p->owner, p->by, S("Top"), USE_NONE, NULL, NULL, e);
}

static int do_delete(struct pair *p, err *e)
{
	return mailbox_delete(p->f->store, p->owner, p->by, S("Box"), e);
}

static int do_rename_top(struct pair *p, err *e)
{
	return mailbox_rename(p->f->store, p->owner, p->by, S("Box"), S("New"), e);
}

static int do_rename_child(struct pair *p, err *e)
{
	return mailbox_rename(p->f->store, p->owner, p->by, S("Box"), S("Parent/New"), e);
}

static int do_rights(struct pair *p, err *e)
{
	struct rights_change c = {.account = p->owner,
		.mailbox = p->box,
		.by = p->by,
		.grantee = RIGHTS_ANYONE,
		.rights = RIGHT_POST};
	return mailbox_rights_change(p->f->store, &c, e);
}

static int do_follow(struct pair *p, err *e)
{
	return mailbox_follow_set(p->f->store, p->by, p->owner, S("Box"), true, e);
}

#define NOBODY UINT32_MAX /* no rights suffice */
static const struct {
	const char *name;
	act *act;
	unsigned need; /* all of them */
	unsigned any;  /* or one of these */
} acts[] = {
	{"append", do_append, RIGHT_INSERT, 0},
	{"replace", do_replace, RIGHT_DELETE | RIGHT_EXPUNGE, 0},
	{"store seen", do_seen, RIGHT_SEEN, 0},
	{"store deleted", do_deleted, RIGHT_DELETE, 0},
	{"store flagged", do_flagged, RIGHT_WRITE, 0},
	{"store all", do_replace_flags, 0, RIGHT_SEEN | RIGHT_DELETE | RIGHT_WRITE},
	{"copy from", do_copy_from, RIGHT_READ, 0},
	{"copy to", do_copy_to, RIGHT_INSERT, 0},
	{"move from", do_move_from, RIGHT_READ | RIGHT_DELETE | RIGHT_EXPUNGE, 0},
	{"expunge", do_expunge, RIGHT_EXPUNGE, 0},
	{"create", do_create, RIGHT_CREATE, 0},
	{"create deep", do_create_deep, RIGHT_CREATE, 0},
	{"create top", do_create_top, NOBODY, 0},
	{"delete", do_delete, RIGHT_REMOVE, 0},
	{"rename to the top", do_rename_top, NOBODY, 0},
	{"rename", do_rename_child, RIGHT_REMOVE, 0}, /* RIGHT_CREATE is granted in Parent */
	{"rights", do_rights, RIGHT_ADMIN, 0},
	{"follow", do_follow, RIGHT_LOOKUP, 0},
};

/* Every act with the rights given: it works just where the table says, and the answer gives nothing away. */
static void try_all(struct fixture *f, unsigned rights, unsigned n)
{
	char name[32];
	snprintf(name, sizeof name, "o%u", n);
	uint32_t owner = make_account(f, name, "example.test");
	snprintf(name, sizeof name, "b%u", n);
	uint32_t by = make_account(f, name, "example.test");
	uint32_t parent = make_mailbox(f, owner, "Parent");

	grant(f, owner, parent, by, RIGHT_CREATE);
	for (size_t i = 0; i < COUNT_OF(acts); i++) {
		struct pair p = {.f = f, .owner = owner, .by = by, .mine = MAILBOX_INBOX};
		err e = {0};
		p.box = make_mailbox(f, owner, "Box");
		p.uid = append_one(f, owner, p.box, "text", FLAG_DELETED);
		p.mine_uid = append_one(f, by, p.mine, "text", 0);
		grant(f, owner, p.box, by, rights);
		bool may = acts[i].any ? rights & acts[i].any : (rights & acts[i].need) == acts[i].need;
		int rc = acts[i].act(&p, &e);
		if ((rc == 0) != may)
			fail_msg("%s with %x: %d %s", acts[i].name, rights, rc, e.text);
		if (rc < 0 && acts[i].act != do_create && acts[i].act != do_create_deep &&
			acts[i].act != do_create_top && acts[i].act != do_rename_top)
			assert_int_equal(e.kind, acts[i].act == do_replace && !(rights & RIGHT_LOOKUP)
							 ? ERR_CONFLICT
						 : rights & RIGHT_LOOKUP ? ERR_NOPERM
									 : ERR_MISSING);
		/* What is left goes, whatever it is called now. */
		const slice left[] = {
			S("Box/child"), S("Box/a/b"), S("Box/a"), S("Box"), S("Parent/New"), S("Top")};
		for (size_t k = 0; k < COUNT_OF(left); k++)
			(void)mailbox_delete(f->store, owner, 0, left[k], NULL);
	}
}

static void each_right(struct fixture *f)
{
	unsigned n = 0;
	try_all(f, 0, n++);
	for (unsigned right = 1; right < RIGHTS_ALL; right <<= 1) {
		try_all(f, right, n++);
		try_all(f, right | RIGHT_LOOKUP, n++);
		try_all(f, RIGHTS_ALL & ~right, n++);
	}
	try_all(f, RIGHTS_ALL, n++);
}

/* Flags that come with a message: those the rights let through. */
static void flags_kept(struct fixture *f)
{
	static const struct {
		unsigned rights;
		uint8_t flags;
		bool keyword;
	} cases[] = {
		{RIGHT_INSERT, 0, false},
		{RIGHT_INSERT | RIGHT_SEEN, FLAG_SEEN, false},
		{RIGHT_INSERT | RIGHT_DELETE, FLAG_DELETED, false},
		{RIGHT_INSERT | RIGHT_WRITE, FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT, true},
		{RIGHTS_ALL, MAILBOX_FLAGS_ALL, true},
	};
	uint32_t owner = make_account(f, "owner", "example.test"), by = make_account(f, "by", "example.test");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct pair p = {.f = f, .owner = owner, .by = by, .mine = MAILBOX_INBOX};
		char name[16];
		struct mailbox_entry entry;
		snprintf(name, sizeof name, "box%zu", i);
		p.box = make_mailbox(f, owner, name);
		grant(f, owner, p.box, by, cases[i].rights);
		MUST(do_append(&p, e));
		assert_true(read_entry(f, owner, p.box, 1, &entry));
		assert_int_equal(entry.flags, cases[i].flags);
		assert_int_equal(entry.keywords != 0, cases[i].keyword);
		p.mine_uid = append_one(f, by, p.mine, "x", MAILBOX_FLAGS_ALL);
		MUST(do_copy_to(&p, e));
		assert_true(read_entry(f, owner, p.box, 2, &entry));
		assert_int_equal(entry.flags, cases[i].flags);
	}
	/* FLAGS () changes only what it may. */
	struct pair p = {.f = f, .owner = owner, .by = by, .uid = 1};
	struct mailbox_entry entry;
	p.box = make_mailbox(f, owner, "partly");
	append_one(f, owner, p.box, "x", MAILBOX_FLAGS_ALL);
	grant(f, owner, p.box, by, RIGHT_SEEN);
	MUST(store_flag(&p, 0, FLAGS_REPLACE, e));
	assert_true(read_entry(f, owner, p.box, 1, &entry));
	assert_int_equal(entry.flags, MAILBOX_FLAGS_ALL & ~FLAG_SEEN);
	MUST(store_flag(&p, FLAG_SEEN | FLAG_DELETED, FLAGS_ADD, e));
	assert_true(read_entry(f, owner, p.box, 1, &entry));
	assert_int_equal(entry.flags, MAILBOX_FLAGS_ALL);
}

/* ---- finding, inheriting, ending ---- */

static void sharing(struct fixture *f)
{
	uint32_t a = make_account(f, "a", "example.test"), b = make_account(f, "b", "example.test");
	uint32_t c = make_account(f, "c", "example.test");
	uint32_t work = make_mailbox(f, a, "Work"), deep = make_mailbox(f, a, "x/y/z");
	char want[200];
	assert_string_equal(shared_with(f, b), "");
	grant(f, a, work, b, RIGHT_LOOKUP | RIGHT_READ);
	grant(f, a, deep, RIGHTS_ANYONE, RIGHT_LOOKUP);
	grant(f, a, deep, b, RIGHT_READ);
	snprintf(want, sizeof want, "%u:Work %u:x/y/z", a, a);
	assert_string_equal(shared_with(f, b), want);
	snprintf(want, sizeof want, "%u:x/y/z", a);
	assert_string_equal(shared_with(f, c), want);
	assert_string_equal(shared_with(f, a), "");
	assert_int_equal(rights_of(f, a, deep, b), RIGHT_LOOKUP | RIGHT_READ);
	assert_int_equal(rights_of(f, a, deep, a), RIGHTS_ALL);

	/* Taken away by a negative entry, from one and from all. */
	struct rights_change deny = {.account = a, .mailbox = deep, .grantee = c, .denied = true};
	deny.rights = RIGHT_LOOKUP;
	assert_int_equal(change(f, &deny), 0);
	assert_string_equal(shared_with(f, c), "");
	deny.grantee = RIGHTS_ANYONE;
	assert_int_equal(change(f, &deny), 0);
	assert_int_equal(rights_of(f, a, deep, b), RIGHT_READ);
	deny.rights = 0;
	assert_int_equal(change(f, &deny), 0);
	deny.grantee = a;
	assert_int_equal(change(f, &deny), ERR_DENIED);

	/* A child inherits, also what is denied; a rename keeps. */
	uint32_t child = make_mailbox(f, a, "x/y/z/child");
	assert_int_equal(rights_of(f, a, child, b), RIGHT_LOOKUP | RIGHT_READ);
	assert_int_equal(rights_of(f, a, child, c), 0);
	MUST(mailbox_rename(f->store, a, 0, S("x"), S("new"), e));
	snprintf(want, sizeof want, "%u:Work %u:new/y/z %u:new/y/z/child", a, a, a);
	assert_string_equal(shared_with(f, b), want);

	/* A deletion ends them, also where the name stays for a child; what is made there again inherits. */
	MUST(mailbox_delete(f->store, a, 0, S("new/y/z"), e));
	assert_int_equal(rights_of(f, a, deep, b), 0);
	MUST(mailbox_delete(f->store, a, 0, S("Work"), e));
	snprintf(want, sizeof want, "%u:new/y/z/child", a);
	assert_string_equal(shared_with(f, b), want);

	/* Only accounts that are there are granted anything. */
	struct rights_change to = {.account = a, .mailbox = child, .grantee = 999, .rights = RIGHT_READ};
	assert_int_equal(change(f, &to), ERR_MISSING);
	to.grantee = c;
	to.by = b;
	assert_int_equal(change(f, &to), ERR_NOPERM);
}

static unsigned rows_of(struct fixture *f, slice prefix)
{
	struct store_snap s = {0};
	struct store_scan sc;
	unsigned n = 0;
	slice k, v;
	err why = {0};
	MUST(store_snap_begin(f->store, &s, e));
	MUST(store_scan_open(&s, prefix, &sc, e));
	for (int rc = store_scan_seek(&sc, prefix, &k, &v, &why); rc == 1;
		rc = store_scan_next(&sc, &k, &v, &why))
		n++;
	store_scan_close(&sc);
	store_snap_end(&s);
	return n;
}

static void sweep_all(struct fixture *f)
{
	struct sweep w = {0};
	err e = {0};
	int rc;
	do
		rc = mailbox_sweep(f->store, &w, &e);
	while (rc > 0);
	assert_int_equal(rc, 0);
}

/* Nothing of a removed account stays, on neither side. */
static void accounts_go(struct fixture *f)
{
	uint32_t a = make_account(f, "a", "example.test"), b = make_account(f, "b", "example.test");
	uint32_t c = make_account(f, "c", "example.test");
	for (unsigned i = 0; i < 20; i++) {
		char name[16];
		snprintf(name, sizeof name, "box%u", i);
		uint32_t box = make_mailbox(f, a, name);
		grant(f, a, box, b, RIGHTS_ALL);
		grant(f, a, box, c, RIGHT_LOOKUP);
		grant(f, b, make_mailbox(f, b, name), a, RIGHT_LOOKUP);
		MUST(mailbox_follow_set(f->store, b, a, slice_make(name, strlen(name)), true, e));
	}
	assert_int_equal(rows_of(f, S("S")), 60);
	MUST(account_remove(f->store, c, e));
	sweep_all(f);
	assert_int_equal(rows_of(f, S("S")), 40);
	assert_int_equal(rights_of(f, a, 8, c), 0);
	MUST(account_remove(f->store, b, e));
	assert_string_equal(shared_with(f, a), ""); /* at once */
	sweep_all(f);
	assert_int_equal(rows_of(f, S("S")), 0);
	MUST(account_remove(f->store, a, e));
	sweep_all(f);
	assert_int_equal(rows_of(f, S("A")), 0);
}

static void limits(struct fixture *f)
{
	uint32_t a = make_account(f, "a", "example.test"), box = make_mailbox(f, a, "Box");
	uint32_t last = 0;
	for (unsigned i = 0; i <= LIMIT_GRANTS; i++) {
		char name[16];
		snprintf(name, sizeof name, "g%u", i);
		uint32_t to = make_account(f, name, "example.test");
		struct rights_change c = {
			.account = a, .mailbox = box, .grantee = to, .rights = RIGHT_LOOKUP};
		assert_int_equal(change(f, &c), i < LIMIT_GRANTS ? 0 : ERR_LIMIT);
		last = to;
	}
	for (unsigned i = 0; i <= LIMIT_SHARES_ANYONE; i++) {
		char name[16];
		snprintf(name, sizeof name, "b%u", i);
		struct rights_change c = {.account = a,
			.mailbox = make_mailbox(f, a, name),
			.grantee = RIGHTS_ANYONE,
			.rights = RIGHT_LOOKUP};
		assert_int_equal(change(f, &c), i < LIMIT_SHARES_ANYONE ? 0 : ERR_LIMIT);
	}
	/* A child past the limit does without, and what is denied to somebody stays denied. */
	uint32_t parent = make_mailbox(f, a, "b0/..");
	assert_int_equal(rights_of(f, a, parent, last), 0);
}

static void following(struct fixture *f)
{
	uint32_t a = make_account(f, "a", "example.test"), b = make_account(f, "b", "example.test");
	uint32_t box = make_mailbox(f, a, "Cafe\xcc\x81/x");
	struct store_snap s = {0};
	struct mailbox_follow *list;
	size_t n;
	err why = {0};
	assert_int_equal(mailbox_follow_set(f->store, b, a, S("Cafe\xcc\x81/x"), true, &why), -1);
	assert_int_equal(why.kind, ERR_MISSING);
	grant(f, a, box, b, RIGHT_LOOKUP);
	MUST(mailbox_follow_set(f->store, b, a, S("Cafe\xcc\x81/x"), true, e));
	MUST(mailbox_follow_set(f->store, b, a, S("Caf\xc3\xa9/x/"), true, e));
	MUST(mailbox_delete(f->store, a, 0, S("Caf\xc3\xa9/x"), e));
	MUST(store_snap_begin(f->store, &s, e));
	MUST(mailbox_follows(&s, b, f->arena, &list, &n, e));
	store_snap_end(&s);
	assert_int_equal(n, 1);
	assert_true(list[0].account == a && slice_eq(list[0].path, S("Caf\xc3\xa9/x")));
	MUST(mailbox_follow_set(f->store, b, a, S("Caf\xc3\xa9/x"), false, e));
	MUST(mailbox_follow_set(f->store, b, a, S("Caf\xc3\xa9/x"), false, e));
	MUST(store_snap_begin(f->store, &s, e));
	MUST(mailbox_follows(&s, b, f->arena, &list, &n, e));
	store_snap_end(&s);
	assert_int_equal(n, 0);
}

static void kept_name(struct fixture *f)
{
	uint32_t a = make_account(f, "a", "example.test");
	err e = {0};
	assert_int_equal(mailbox_create(f->store, a, 0, S("Other Users/x"), USE_NONE, NULL, NULL, &e), -1);
	assert_int_equal(e.kind, ERR_DENIED);
	make_mailbox(f, a, "x/Other Users");
	assert_int_equal(mailbox_rename(f->store, a, 0, S("x/Other Users"), S("Other Users"), &e), -1);
	assert_int_equal(e.kind, ERR_DENIED);
}

/* ---- a model ---- */

enum { ACCOUNTS = 4, BOXES = 3, STEPS = 500 };

struct model {
	unsigned rights[ACCOUNTS][BOXES][ACCOUNTS + 1], denied[ACCOUNTS][BOXES][ACCOUNTS + 1];
};

static void compare(struct fixture *f, const struct model *m, const uint32_t *account, uint32_t box[][BOXES])
{
	for (unsigned by = 0; by < ACCOUNTS; by++) {
		unsigned seen = 0;
		for (unsigned o = 0; o < ACCOUNTS; o++)
			for (unsigned x = 0; x < BOXES; x++) {
				const unsigned *r = m->rights[o][x], *d = m->denied[o][x];
				unsigned want =
					o == by ? RIGHTS_ALL : (r[by + 1] | r[0]) & ~(d[by + 1] | d[0]);
				assert_int_equal(rights_of(f, account[o], box[o][x], account[by]), want);
				seen += o != by && want & RIGHT_LOOKUP;
			}
		const char *list = shared_with(f, account[by]);
		unsigned n = *list != 0;
		for (; *list; list++)
			n += *list == ' ';
		assert_int_equal(n, seen);
	}
}

static void model(struct fixture *f)
{
	struct model m = {0};
	uint32_t account[ACCOUNTS], box[ACCOUNTS][BOXES];
	uint64_t seed = 7;
	for (unsigned o = 0; o < ACCOUNTS; o++) {
		char name[] = {(char)('a' + o), 0};
		account[o] = make_account(f, name, "example.test");
		for (unsigned x = 0; x < BOXES; x++) {
			char path[] = {(char)('x' + x), 0};
			box[o][x] = make_mailbox(f, account[o], path);
		}
	}
	for (unsigned i = 0; i < STEPS; i++) {
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
		unsigned r = (unsigned)(seed >> 33), o = r % ACCOUNTS, x = r / 4 % BOXES, g = r / 16 % 5;
		struct rights_change c = {.account = account[o],
			.mailbox = box[o][x],
			.grantee = g == 0 ? RIGHTS_ANYONE : account[g - 1],
			.denied = r / 128 % 3 == 0,
			.op = (enum rights_op)(r / 512 % 3),
			.rights = r / 2048 & RIGHTS_ALL};
		unsigned *entry = c.denied ? &m.denied[o][x][g] : &m.rights[o][x][g];
		int rc = change(f, &c);
		if (g == o + 1) {
			assert_int_equal(rc, ERR_DENIED);
			continue;
		}
		assert_int_equal(rc, 0);
		*entry = c.op == RIGHTS_ADD      ? *entry | c.rights
			 : c.op == RIGHTS_REMOVE ? *entry & ~c.rights
						 : c.rights;
		if (i % 50 == 0)
			compare(f, &m, account, box);
	}
	compare(f, &m, account, box);
}

#define EACH(fn)                                                                                             \
	static void fn##_test(void **state)                                                                  \
	{                                                                                                    \
		(void)state;                                                                                 \
		fixture_each(fn, NULL);                                                                      \
	}

static void each_right_test(void **state)
{
	struct fixture f;
	(void)state;
	fixture_init(&f, &kv_memory);
	fixture_run(&f, each_right, NULL);
	fixture_free(&f);
}
EACH(flags_kept)
EACH(sharing)
EACH(accounts_go)
EACH(limits)
EACH(following)
EACH(kept_name)
EACH(model)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_right_test),
		cmocka_unit_test(flags_kept_test),
		cmocka_unit_test(sharing_test),
		cmocka_unit_test(accounts_go_test),
		cmocka_unit_test(limits_test),
		cmocka_unit_test(following_test),
		cmocka_unit_test(kept_name_test),
		cmocka_unit_test(model_test),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

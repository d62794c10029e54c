/* Folders, APPEND, STORE, COPY, MOVE, EXPUNGE, changes, quota, clearing away. */
#include "base/clock.h"
#include "limits.h"
#include "mail/summary.h"
#include "mailbox/fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char *paths(struct fixture *f, uint32_t account)
{
	struct store_snap s = {0};
	struct mailbox_item *items;
	struct buf b = BUF_INIT(1 << 20);
	size_t n;
	err e;
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(mailbox_list(&s, account, f->arena, &items, &n, &e), 0);
	store_snap_end(&s);
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%s%.*s%s%s", i ? " " : "", (int)items[i].path.n, items[i].path.p,
			items[i].row.noselect ? "(no)" : "", items[i].has_children ? "+" : "");
	slice copy = arena_copy(f->arena, buf_slice(&b));
	buf_free(&b);
	return copy.p;
}

#define FAILS(call, kind_)                                                                                   \
	do {                                                                                                 \
		err e_ = {0}, *e = &e_;                                                                      \
		assert_int_equal((call), -1);                                                                \
		assert_int_equal(e_.kind, (kind_));                                                          \
	} while (0)

#define WORKS(call)                                                                                          \
	do {                                                                                                 \
		err e_ = {0}, *e = &e_;                                                                      \
		if ((call) < 0)                                                                              \
			fail_msg("%s: %s", #call, e_.text);                                                  \
	} while (0)

/* ---- folders ---- */

static void folders(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	struct mailbox_row row = {.id = 0}, again = {.id = 0};
	assert_string_equal(paths(f, a), "INBOX Archive Drafts Junk Sent Trash");
	assert_true(read_path(f, a, "Sent", &row) && row.use == USE_SENT && row.subscribed);
	assert_true(read_path(f, a, "inbox", &row) && row.id == MAILBOX_INBOX && row.uidnext == 1);
	assert_false(read_path(f, a, "sent", &row));

	make_mailbox(f, a, "Work/2026/May/");
	assert_true(read_path(f, a, "Work/2026", &row));
	assert_string_equal(
		paths(f, a), "INBOX Archive Drafts Junk Sent Trash Work+ Work/2026+ Work/2026/May");
	FAILS(mailbox_create(f->store, a, 0, S("Work"), USE_NONE, NULL, NULL, e), ERR_EXISTS);
	FAILS(mailbox_create(f->store, a, 0, S("Inbox"), USE_NONE, NULL, NULL, e), ERR_EXISTS);
	FAILS(mailbox_create(f->store, a, 0, S("a//b"), USE_NONE, NULL, NULL, e), ERR_SYNTAX);
	FAILS(mailbox_create(f->store, a, 0, S(""), USE_NONE, NULL, NULL, e), ERR_SYNTAX);
	FAILS(mailbox_create(f->store, a, 0, S("a\nb"), USE_NONE, NULL, NULL, e), ERR_SYNTAX);
	FAILS(mailbox_create(f->store, a, 0, S("\xff"), USE_NONE, NULL, NULL, e), ERR_SYNTAX);
	FAILS(mailbox_create(f->store, 999, 0, S("x"), USE_NONE, NULL, NULL, e), ERR_MISSING);

	/* RENAME keeps id and UIDVALIDITY, children go with it. */
	assert_true(read_path(f, a, "Work/2026", &row));
	WORKS(mailbox_rename(f->store, a, 0, S("Work"), S("Old/Job"), e));
	assert_string_equal(paths(f, a),
		"INBOX Archive Drafts Junk Old+ Old/Job+ Old/Job/2026+ Old/Job/2026/May Sent Trash");
	assert_true(read_path(f, a, "Old/Job/2026", &again));
	assert_true(again.id == row.id && again.uidvalidity == row.uidvalidity);
	FAILS(mailbox_rename(f->store, a, 0, S("Old"), S("Old/Job/x"), e), ERR_DENIED);
	FAILS(mailbox_rename(f->store, a, 0, S("Old"), S("Sent"), e), ERR_EXISTS);
	FAILS(mailbox_rename(f->store, a, 0, S("None"), S("Some"), e), ERR_MISSING);

	/* DELETE: with children it stays as a name; INBOX never goes. */
	append_one(f, a, again.id, "in the middle", 0);
	WORKS(mailbox_delete(f->store, a, 0, S("Old/Job/2026"), e));
	assert_true(read_path(f, a, "Old/Job/2026", &row) && row.noselect && row.messages == 0);
	FAILS(mailbox_delete(f->store, a, 0, S("Old/Job/2026"), e), ERR_DENIED);
	FAILS(mailbox_delete(f->store, a, 0, S("inbox"), e), ERR_DENIED);
	uint32_t old = row.uidvalidity;
	make_mailbox(f, a, "Old/Job/2026");
	assert_true(read_path(f, a, "Old/Job/2026", &row) && !row.noselect && row.uidvalidity > old);
	WORKS(mailbox_delete(f->store, a, 0, S("Old/Job/2026/May"), e));
	WORKS(mailbox_delete(f->store, a, 0, S("Old/Job/2026"), e));
	assert_false(read_path(f, a, "Old/Job/2026", &row));
	FAILS(mailbox_delete(f->store, a, 0, S("Old/Job/2026"), e), ERR_MISSING);

	/* One name, however its accents are put together. */
	make_mailbox(f, a, "Caf\xc3\xa9/Men\xc3\xbc");
	assert_true(read_path(f, a, "Cafe\xcc\x81/Menu\xcc\x88", &row));
	assert_true(read_path(f, a, "Caf\xc3\xa9", &row));
	FAILS(mailbox_create(f->store, a, 0, S("Cafe\xcc\x81"), USE_NONE, NULL, NULL, e), ERR_EXISTS);

	WORKS(mailbox_subscribe(f->store, a, S("Sent"), false, e));
	WORKS(mailbox_set_use(f->store, a, S("Old"), USE_ARCHIVE, e));
	assert_true(read_path(f, a, "Sent", &row) && !row.subscribed);
	assert_true(read_path(f, a, "Old", &row) && row.use == USE_ARCHIVE);
	FAILS(mailbox_subscribe(f->store, a, S("Nowhere"), true, e), ERR_MISSING);
}

/* A new mailbox of an old name never has the old one's UIDVALIDITY. */
static void uidvalidity(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test"), last = 0;
	for (int i = 0; i < 5; i++) {
		uint32_t v = 0;
		WORKS(mailbox_create(f->store, a, 0, S("Box"), USE_NONE, NULL, &v, e));
		assert_true(v > last);
		last = v;
		WORKS(mailbox_delete(f->store, a, 0, S("Box"), e));
	}
}

static void depth(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	struct buf b = BUF_INIT(4096);
	for (int i = 0; i < LIMIT_MAILBOX_DEPTH; i++)
		buf_addf(&b, "%sd%d", i ? "/" : "", i);
	WORKS(mailbox_create(f->store, a, 0, buf_slice(&b), USE_NONE, NULL, NULL, e));
	WORKS(mailbox_create(f->store, a, 0, S("top"), USE_NONE, NULL, NULL, e));
	FAILS(mailbox_rename(f->store, a, 0, S("d0"), S("top/d0"), e), ERR_LIMIT);
	assert_non_null(strstr(paths(f, a), buf_slice(&b).p));
	buf_addz(&b, "/more");
	FAILS(mailbox_create(f->store, a, 0, buf_slice(&b), USE_NONE, NULL, NULL, e), ERR_LIMIT);
	buf_free(&b);
}

/* A real one: whole as it was, and its front alone. */
static void summary_front(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	struct buf b = BUF_INIT(LIMIT_SUMMARY);
	struct mail_summary front, whole;
	struct mailbox_summary_scan scan;
	err why = {0};
	slice text = S("From: A <a@example.org>\r\nTo: b@example.test, c@example.test\r\nSubject: a front\r\n"
		       "Message-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
		       "--x\r\n\r\none\r\n--x\r\nContent-Type: text/html\r\n\r\ntwo\r\n--x--\r\n");
	assert_int_equal(mail_summary_make(text, &b, &why), 0);
	struct append_message m = {
		.content = {.bytes = text, .size = (uint32_t)text.n}, .summary = buf_slice(&b)};
	struct append ap = {.account = a, .mailbox = MAILBOX_INBOX, .messages = &m, .n = 1};
	WORKS(mailbox_append(f->store, f->codec, &ap, e));
	struct mailbox_entry entry = {.message = 0};
	assert_true(read_entry(f, a, MAILBOX_INBOX, 1, &entry));
	struct store_snap s = {0};
	slice got;
	assert_int_equal(store_snap_begin(f->store, &s, &why), 0);
	assert_int_equal(mailbox_summary_open(&s, a, &scan, &why), 0);
	assert_int_equal(mailbox_summary_front_at(&scan, f->codec, entry.message, f->arena, &got, &why), 1);
	assert_true(got.n == mail_summary_front(buf_slice(&b)) && got.n < b.n);
	assert_int_equal(mail_summary_front_open(got, &front, &why), 0);
	assert_int_equal(mail_summary_front_open(slice_sub(got, 0, got.n - 1), &front, &why), -1);
	assert_int_equal(mailbox_summary_at(&scan, f->codec, entry.message, f->arena, &got, &why), 1);
	assert_true(slice_eq(got, buf_slice(&b)));
	assert_int_equal(mail_summary_open(got, &whole, &why), 0);
	assert_true(slice_eq(front.envelope, whole.envelope) && front.size == whole.size);
	assert_int_equal(
		mailbox_summary_front_at(&scan, f->codec, entry.message + 1, f->arena, &got, &why), 0);
	mailbox_summary_close(&scan);
	store_snap_end(&s);
	buf_free(&b);
}

static void rename_inbox(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	struct mailbox_row row = {.id = 0};
	for (int i = 0; i < 3; i++)
		append_one(f, a, MAILBOX_INBOX, "x", 0);
	WORKS(mailbox_rename(f->store, a, 0, S("INBOX"), S("Saved"), e));
	assert_true(read_path(f, a, "INBOX", &row) && row.messages == 0 && row.uidnext == 4);
	assert_true(read_path(f, a, "Saved", &row) && row.messages == 3);
	assert_string_equal(uid_text(f, a, row.id), "1:3");
}

/* ---- messages ---- */

static void append(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	const slice words[] = {S("$Important"), S("todo")};
	struct append_message m[2] = {
		{.content = {.bytes = S("one"), .size = 3},
			.flags = FLAG_SEEN,
			.keywords = words,
			.n_keywords = 2,
			.internal_us = 1234567,
			.internal_zone_min = -90,
			.summary = S("summary of one")},
		{.content = {.bytes = S("three"), .size = 5}, .flags = FLAG_DELETED},
	};
	struct append ap = {.account = a, .mailbox = MAILBOX_INBOX, .messages = m, .n = 2};
	WORKS(mailbox_append(f->store, f->codec, &ap, e));
	assert_int_equal(m[0].ret_uid, 1);
	assert_int_equal(m[1].ret_uid, 2);
	struct store_snap s = {0};
	struct mailbox_row row;
	struct mailbox_entry entry;
	struct mailbox_message msg;
	struct message_place place;
	slice summary;
	err e = {0};
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(mailbox_get(&s, a, MAILBOX_INBOX, &row, &e), 1);
	assert_true(row.uidvalidity == ap.ret_uidvalidity && row.highest_modseq == ap.ret_modseq);
	assert_true(row.messages == 2 && row.unseen == 1 && row.deleted == 1 && row.bytes == 8);
	assert_int_equal(mailbox_keyword_bit(&row, S("$important")), 0);
	assert_int_equal(mailbox_keyword_count(&row), 2);
	assert_int_equal(mailbox_entry_get(&s, a, MAILBOX_INBOX, 1, &entry, &e), 1);
	assert_true(entry.flags == FLAG_SEEN && entry.keywords == 3 && entry.size == 3);
	assert_int_equal(mailbox_entry_get(&s, a, MAILBOX_INBOX, 3, &entry, &e), 0);
	assert_int_equal(mailbox_message_get(&s, a, entry.message, &msg, &e), 1);
	assert_true(msg.internal_us == 1234567 && msg.internal_zone_min == -90 && msg.size == 3);
	assert_true(mailbox_message_place(&msg, &place) && place.mailbox == MAILBOX_INBOX && place.uid == 1);
	assert_false(mailbox_message_place(&msg, &place));
	assert_int_equal(mailbox_summary_get(&s, f->codec, a, entry.message, f->arena, &summary, &e), 1);
	assert_true(slice_eq(summary, S("summary of one")));
	store_snap_end(&s);
	assert_true(read_account(f, a).used_bytes == 8 && read_account(f, a).messages == 2);
}

/* A long summary comes back as it was, packed or not. */
static void summaries(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	struct buf b = BUF_INIT(LIMIT_SUMMARY + 1);
	for (unsigned i = 0; b.n < 50000; i++)
		buf_addf(&b, "part %u of something; ", i * 7919);
	struct append_message m = {.content = {.bytes = S("x"), .size = 1}, .summary = buf_slice(&b)};
	struct append ap = {.account = a, .mailbox = MAILBOX_INBOX, .messages = &m, .n = 1};
	WORKS(mailbox_append(f->store, f->codec, &ap, e));
	struct mailbox_entry entry = {.message = 0};
	assert_true(read_entry(f, a, MAILBOX_INBOX, 1, &entry));
	struct store_snap s = {0};
	slice got;
	err why;
	assert_int_equal(store_snap_begin(f->store, &s, &why), 0);
	assert_int_equal(mailbox_summary_get(&s, f->codec, a, entry.message, f->arena, &got, &why), 1);
	assert_true(slice_eq(got, buf_slice(&b)));
	store_snap_end(&s);
	while (b.n <= LIMIT_SUMMARY)
		buf_add_c(&b, 'x');
	m.summary = buf_slice(&b);
	FAILS(mailbox_append(f->store, f->codec, &ap, e), ERR_LIMIT);
	buf_free(&b);
}

static void quota(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test"), b = make_account(f, "bob", "example.test");
	set_quota(f, a, 10);
	append_one(f, a, MAILBOX_INBOX, "12345678", 0);
	struct append_message m[2] = {
		{.content = {.bytes = S("1"), .size = 1}}, {.content = {.bytes = S("12"), .size = 2}}};
	struct append ap = {.account = a, .mailbox = MAILBOX_INBOX, .messages = m, .n = 2};
	FAILS(mailbox_append(f->store, f->codec, &ap, e), ERR_QUOTA);
	assert_string_equal(uid_text(f, a, MAILBOX_INBOX), "1"); /* all or none, no UID is spent */
	ap.n = 1;
	WORKS(mailbox_append(f->store, f->codec, &ap, e));
	assert_int_equal(m[0].ret_uid, 2);

	/* A copy inside the account costs nothing, into a full one is refused. */
	uint32_t box = make_mailbox(f, a, "Box");
	struct uidset all = uids_of("1:100");
	struct copy c = {
		.account = a, .mailbox = MAILBOX_INBOX, .to_account = a, .to_mailbox = box, .uids = &all};
	WORKS(mailbox_copy(f->store, &c, e));
	assert_string_equal(set_text(f, &c.ret_dest), "1:2");
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
	assert_true(read_account(f, a).used_bytes == 9);
	set_quota(f, b, 8);
	c.to_account = b;
	c.to_mailbox = MAILBOX_INBOX;
	FAILS(mailbox_copy(f->store, &c, e), ERR_QUOTA);
	assert_string_equal(uid_text(f, b, MAILBOX_INBOX), "");
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
	uidset_free(&all);
	/* Room comes back with the last entry. */
	struct expunge x = {.account = a, .mailbox = MAILBOX_INBOX};
	WORKS(mailbox_expunge(f->store, &x, e));
	uidset_free(&x.ret_expunged);
	assert_true(read_account(f, a).used_bytes == 9);
	x.mailbox = box;
	WORKS(mailbox_expunge(f->store, &x, e));
	uidset_free(&x.ret_expunged);
	assert_true(read_account(f, a).used_bytes == 0 && read_account(f, a).messages == 0);
}

static void flags(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	append_many(f, a, MAILBOX_INBOX, 200);
	struct uidset set = uids_of("3,60:70,150:4000");
	const slice words[] = {S("red")};
	struct store_flags st = {.account = a,
		.mailbox = MAILBOX_INBOX,
		.uids = &set,
		.op = FLAGS_ADD,
		.flags = FLAG_SEEN | FLAG_FLAGGED,
		.keywords = words,
		.n_keywords = 1,
		.unchangedsince = UINT64_MAX};
	struct mailbox_entry x = {.uid = 0};
	struct mailbox_row row = {.id = 0};
	WORKS(mailbox_store_flags(f->store, &st, e));
	assert_string_equal(set_text(f, &st.ret_changed), "3,60:70,150:200");
	assert_true(read_entry(f, a, MAILBOX_INBOX, 60, &x));
	assert_true(x.flags == (FLAG_SEEN | FLAG_FLAGGED) && x.keywords == 1 && x.modseq == st.ret_modseq);
	assert_true(read_mailbox(f, a, MAILBOX_INBOX, &row) && row.unseen == 200 - 63);
	uint64_t first = st.ret_modseq;
	uidset_free(&st.ret_changed);

	/* Again: nothing changes, no MODSEQ is spent. */
	WORKS(mailbox_store_flags(f->store, &st, e));
	assert_true(st.ret_changed.n == 0 && st.ret_modseq == 0);
	assert_true(read_account(f, a).modseq == first);

	/* UNCHANGEDSINCE keeps the newer ones. */
	struct uidset all = uids_of("1:100");
	st.uids = &all;
	st.op = FLAGS_REPLACE;
	st.flags = FLAG_ANSWERED;
	st.n_keywords = 0;
	st.unchangedsince = first - 1;
	WORKS(mailbox_store_flags(f->store, &st, e));
	assert_string_equal(set_text(f, &st.ret_modified), "3,60:70");
	assert_string_equal(set_text(f, &st.ret_changed), "1:2,4:59,71:100");
	assert_true(st.ret_modseq > first);
	uidset_free(&st.ret_changed);
	uidset_free(&st.ret_modified);
	st.op = FLAGS_REMOVE;
	st.flags = FLAG_SEEN;
	st.keywords = words;
	st.n_keywords = 1;
	st.unchangedsince = UINT64_MAX;
	WORKS(mailbox_store_flags(f->store, &st, e));
	assert_string_equal(set_text(f, &st.ret_changed), "3,60:70");
	uidset_free(&st.ret_changed);
	st.mailbox = 77;
	FAILS(mailbox_store_flags(f->store, &st, e), ERR_MISSING);
	uidset_free(&set);
	uidset_free(&all);
}

static void keywords_full(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	append_one(f, a, MAILBOX_INBOX, "x", 0);
	struct uidset set = uids_of("1");
	for (int i = 0; i <= MAILBOX_KEYWORDS_MAX; i++) {
		char name[16];
		snprintf(name, sizeof name, "k%d", i);
		slice word = slice_of(name);
		struct store_flags st = {.account = a,
			.mailbox = MAILBOX_INBOX,
			.uids = &set,
			.op = FLAGS_ADD,
			.keywords = &word,
			.n_keywords = 1,
			.unchangedsince = UINT64_MAX};
		if (i < MAILBOX_KEYWORDS_MAX)
			WORKS(mailbox_store_flags(f->store, &st, e));
		else
			FAILS(mailbox_store_flags(f->store, &st, e), ERR_LIMIT);
		uidset_free(&st.ret_changed);
	}
	struct mailbox_entry x = {.uid = 0};
	assert_true(read_entry(f, a, MAILBOX_INBOX, 1, &x) && x.keywords == UINT64_MAX);
	uidset_free(&set);
}

/* More blocks than one intent changes: the result is whole all the same. */
static void long_store(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	enum { TOTAL = (LIMIT_INTENT_BLOCKS + 10) * MAILBOX_BLOCK };
	append_many(f, a, MAILBOX_INBOX, TOTAL);
	struct uidset all = uids_of("1:4000000000");
	struct store_flags st = {.account = a,
		.mailbox = MAILBOX_INBOX,
		.uids = &all,
		.op = FLAGS_ADD,
		.flags = FLAG_DELETED,
		.unchangedsince = UINT64_MAX};
	WORKS(mailbox_store_flags(f->store, &st, e));
	assert_int_equal(uidset_count(&st.ret_changed), TOTAL);
	assert_int_equal(st.ret_changed.n, 1);
	struct mailbox_row row = {.id = 0};
	assert_true(read_mailbox(f, a, MAILBOX_INBOX, &row) && row.deleted == TOTAL);
	struct expunge x = {.account = a, .mailbox = MAILBOX_INBOX, .only_deleted = true};
	WORKS(mailbox_expunge(f->store, &x, e));
	assert_int_equal(uidset_count(&x.ret_expunged), TOTAL);
	assert_true(read_mailbox(f, a, MAILBOX_INBOX, &row) && row.messages == 0 && row.deleted == 0);
	uidset_free(&all);
	uidset_free(&st.ret_changed);
	uidset_free(&x.ret_expunged);
}

static void copies(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test"), b = make_account(f, "bob", "example.test");
	uint32_t box = make_mailbox(f, a, "Box");
	for (int i = 0; i < 10; i++)
		append_one(f, a, MAILBOX_INBOX, "0123456789", i % 2 ? FLAG_SEEN : 0);
	struct uidset some = uids_of("2,4:6,99");
	struct copy c = {
		.account = a, .mailbox = MAILBOX_INBOX, .to_account = a, .to_mailbox = box, .uids = &some};
	WORKS(mailbox_copy(f->store, &c, e));
	assert_string_equal(set_text(f, &c.ret_source), "2,4:6");
	assert_string_equal(set_text(f, &c.ret_dest), "1:4");
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
	struct mailbox_entry from = {.uid = 0}, to = {.uid = 0};
	struct mailbox_message m = {.id = 0}, m2 = {.id = 0};
	assert_true(read_entry(f, a, MAILBOX_INBOX, 4, &from) && read_entry(f, a, box, 2, &to));
	assert_true(from.message == to.message && to.flags == from.flags);

	/* Into itself. */
	c.to_mailbox = MAILBOX_INBOX;
	WORKS(mailbox_copy(f->store, &c, e));
	assert_string_equal(set_text(f, &c.ret_dest), "11:14");
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
	WORKS(mailbox_move(f->store, &c, e));
	assert_string_equal(set_text(f, &c.ret_dest), "15:18");
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
	assert_string_equal(uid_text(f, a, MAILBOX_INBOX), "1,3,7:18");

	/* To another account: a message of its own on the same blob. */
	struct uidset one = uids_of("1");
	c.mailbox = box;
	c.uids = &one;
	c.to_account = b;
	c.to_mailbox = MAILBOX_INBOX;
	assert_true(read_entry(f, a, box, 1, &from) && read_message(f, a, from.message, &m));
	WORKS(mailbox_move(f->store, &c, e));
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
	assert_true(read_entry(f, b, MAILBOX_INBOX, 1, &to) && read_message(f, b, to.message, &m2));
	assert_true(m.blob == m2.blob && m.internal_us == m2.internal_us);
	assert_string_equal(uid_text(f, a, box), "2:4");
	assert_true(read_account(f, a).used_bytes == 100 && read_account(f, b).used_bytes == 10);
	c.to_mailbox = 99;
	FAILS(mailbox_copy(f->store, &c, e), ERR_MISSING);
	uidset_free(&some);
	uidset_free(&one);
}

/* A COPY that meets the quota after its first intents leaves nothing behind. */
static void long_copy(struct fixture *f)
{
	enum { TOTAL = LIMIT_INTENT_MESSAGES * 2 + 10 };
	uint32_t a = make_account(f, "alice", "example.test"), b = make_account(f, "bob", "example.test");
	append_many(f, a, MAILBOX_INBOX, TOTAL);
	append_one(f, b, MAILBOX_INBOX, "y", 0);
	set_quota(f, b, TOTAL);
	struct uidset all = uids_of("1:100000");
	struct copy c = {.account = a,
		.mailbox = MAILBOX_INBOX,
		.to_account = b,
		.to_mailbox = MAILBOX_INBOX,
		.uids = &all};
	FAILS(mailbox_copy(f->store, &c, e), ERR_QUOTA);
	assert_true(c.ret_source.n == 0 && c.ret_dest.n == 0);
	assert_string_equal(uid_text(f, b, MAILBOX_INBOX), "1");
	assert_true(read_account(f, b).used_bytes == 1);
	set_quota(f, b, TOTAL + 1);
	WORKS(mailbox_copy(f->store, &c, e));
	assert_int_equal(uidset_count(&c.ret_dest), TOTAL);
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
	struct mailbox_row row = {.id = 0};
	assert_true(read_mailbox(f, b, MAILBOX_INBOX, &row) && row.messages == TOTAL + 1);
	/* A MOVE into the same mailbox ends, though its UIDs match the new ones as well. */
	c.to_account = a;
	WORKS(mailbox_move(f->store, &c, e));
	assert_int_equal(uidset_count(&c.ret_dest), TOTAL);
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
	uidset_free(&all);
}

/* More mailboxes than one message row may name: later copies are messages of their own. */
static void many_places(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	append_one(f, a, MAILBOX_INBOX, "x", 0);
	struct uidset one = uids_of("1");
	struct copy c = {.account = a,
		.mailbox = MAILBOX_INBOX,
		.to_account = a,
		.to_mailbox = MAILBOX_INBOX,
		.uids = &one};
	for (int i = 0; i < LIMIT_MESSAGE_ENTRIES + 5; i++) {
		WORKS(mailbox_copy(f->store, &c, e));
		uidset_free(&c.ret_source);
		uidset_free(&c.ret_dest);
	}
	assert_true(read_account(f, a).messages == 1 + 6);
	struct expunge x = {.account = a, .mailbox = MAILBOX_INBOX};
	WORKS(mailbox_expunge(f->store, &x, e));
	assert_int_equal(uidset_count(&x.ret_expunged), LIMIT_MESSAGE_ENTRIES + 6);
	assert_true(read_account(f, a).messages == 0 && read_account(f, a).used_bytes == 0);
	uidset_free(&x.ret_expunged);
	uidset_free(&one);
}

/* ---- changes ---- */

static void changes(struct fixture *f)
{
	uint32_t a = make_account(f, "alice", "example.test");
	uint64_t start = read_account(f, a).modseq;
	append_one(f, a, MAILBOX_INBOX, "x", 0);
	append_one(f, a, MAILBOX_INBOX, "y", 0);
	struct uidset set = uids_of("2");
	struct store_flags st = {.account = a,
		.mailbox = MAILBOX_INBOX,
		.uids = &set,
		.op = FLAGS_ADD,
		.flags = FLAG_DELETED,
		.unchangedsince = UINT64_MAX};
	WORKS(mailbox_store_flags(f->store, &st, e));
	struct expunge x = {.account = a, .mailbox = MAILBOX_INBOX, .only_deleted = true};
	WORKS(mailbox_expunge(f->store, &x, e));
	make_mailbox(f, a, "New");
	struct store_snap s = {0};
	struct change_scan sc;
	struct change ch;
	struct buf b = BUF_INIT(1000);
	uint64_t floor = 1, modseq = 0;
	err e;
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(change_open(&s, a, 0, start, &sc, &e), 0);
	while (change_next(&sc, &ch, &e) == 1) {
		uint32_t first, last;
		buf_addf(&b, "%u:", (unsigned)ch.kind);
		assert_true(ch.modseq > modseq);
		modseq = ch.modseq;
		while (change_range(&ch, &first, &last))
			buf_addf(&b, "%u-%u", first, last);
		buf_add_c(&b, ' ');
	}
	change_close(&sc);
	assert_true(slice_eq(buf_slice(&b), S("1:1-1 1:2-2 2:2-2 3:2-2 4: ")));
	assert_int_equal(change_state(&s, a, &floor, &modseq, &e), 1);
	assert_true(floor == 0 && modseq == start + 5 && x.ret_modseq == start + 4);
	assert_int_equal(change_open(&s, a, MAILBOX_INBOX, start + 4, &sc, &e), 0);
	assert_int_equal(change_next(&sc, &ch, &e), 0);
	change_close(&sc);
	store_snap_end(&s);
	buf_free(&b);
	uidset_free(&set);
	uidset_free(&st.ret_changed);
	uidset_free(&x.ret_expunged);
}

/* Old change rows go in small steps, and the floor says from where on all is there. */
static void old_changes(struct fixture *f)
{
	int64_t now = clock_wall_us(), day = INT64_C(86400000000);
	uint32_t a = make_account(f, "alice", "example.test");
	for (int i = 0; i < 40; i++)
		append_one(f, a, MAILBOX_INBOX, "x", 0);
	clock_fake(clock_boot_ms(), now + (LIMIT_CHANGE_DAYS + 1) * day);
	for (int i = 0; i < 40; i++)
		append_one(f, a, MAILBOX_INBOX, "x", 0);
	clock_fake(0, 0);
	struct store_snap s = {0};
	struct change_scan sc;
	struct change ch = {.modseq = 0};
	uint64_t floor = 0, modseq;
	err e;
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(change_state(&s, a, &floor, &modseq, &e), 1);
	assert_int_equal(change_open(&s, a, 0, 0, &sc, &e), 0);
	assert_int_equal(change_next(&sc, &ch, &e), 1);
	change_close(&sc);
	store_snap_end(&s);
	assert_true(floor >= 40 && ch.modseq == floor + 1);
}

/* ---- clearing away ---- */

static void sweep_all(struct fixture *f)
{
	struct sweep w = {0};
	int rc;
	err e = {0};
	do {
		rc = mailbox_sweep(f->store, &w, &e);
		assert_int_not_equal(rc, -1);
	} while (rc == 1);
}

static void sweeps(struct fixture *f)
{
	int64_t now = clock_wall_us(), day = INT64_C(86400000000);
	uint32_t a = make_account(f, "alice", "example.test"), b = make_account(f, "bob", "example.test");
	append_one(f, a, MAILBOX_INBOX, "shared", 0);
	append_one(f, a, MAILBOX_INBOX, "alone", 0);
	struct uidset one = uids_of("1");
	struct copy c = {.account = a,
		.mailbox = MAILBOX_INBOX,
		.to_account = b,
		.to_mailbox = MAILBOX_INBOX,
		.uids = &one};
	WORKS(mailbox_copy(f->store, &c, e));
	struct mailbox_entry x1 = {.uid = 0}, x2 = {.uid = 0}, y = {.uid = 0};
	struct mailbox_message m1 = {.id = 0}, m2 = {.id = 0}, m = {.id = 0};
	assert_true(read_entry(f, a, MAILBOX_INBOX, 1, &x1) && read_entry(f, a, MAILBOX_INBOX, 2, &x2));
	assert_true(read_message(f, a, x1.message, &m1) && read_message(f, a, x2.message, &m2));
	struct expunge x = {.account = a, .mailbox = MAILBOX_INBOX};
	WORKS(mailbox_expunge(f->store, &x, e));
	sweep_all(f);
	assert_true(read_message(f, a, x1.message, &m)); /* restorable yet */
	clock_fake(clock_boot_ms(), now + (LIMIT_EXPUNGED_DAYS + 1) * day);
	sweep_all(f);
	assert_false(read_message(f, a, x1.message, &m));
	assert_false(read_message(f, a, x2.message, &m));
	assert_true(blob_there(f, m1.blob)); /* bob has it */
	assert_false(blob_there(f, m2.blob));

	const slice far = S("far@elsewhere.test");
	struct account_settings set = {.has_forward = true, .forward = &far, .n_forward = 1};
	struct account_forward fw;
	struct store_snap snap = {0};
	err why = {0};
	WORKS(account_set(f->store, b, &set, e));
	WORKS(account_remove(f->store, b, e));
	sweep_all(f);
	clock_fake(0, 0);
	WORKS(store_snap_begin(f->store, &snap, e));
	assert_int_equal(account_forward_get(&snap, b, &fw, &why), 0);
	store_snap_end(&snap);
	assert_false(blob_there(f, m1.blob));
	assert_false(read_entry(f, b, MAILBOX_INBOX, 1, &y));
	struct mailbox_row row;
	assert_false(read_mailbox(f, b, MAILBOX_INBOX, &row));
	uidset_free(&one);
	uidset_free(&x.ret_expunged);
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
}

/* ---- over a close ---- */

struct memory {
	uint32_t account, uidvalidity, uidnext;
	uint64_t modseq;
};

static void before_close(struct fixture *f)
{
	struct memory *m = f->arg;
	struct mailbox_row row = {.id = 0};
	if (!m->account)
		m->account = make_account(f, "alice", "example.test");
	append_one(f, m->account, MAILBOX_INBOX, "x", 0);
	assert_true(read_mailbox(f, m->account, MAILBOX_INBOX, &row));
	assert_true(row.uidnext == m->uidnext + 1 || m->uidnext == 0);
	assert_true(row.highest_modseq > m->modseq);
	assert_true(m->uidvalidity == 0 || m->uidvalidity == row.uidvalidity);
	*m = (struct memory){m->account, row.uidvalidity, row.uidnext, row.highest_modseq};
	/* What is expunged does not give its UID back. */
	struct expunge x = {.account = m->account, .mailbox = MAILBOX_INBOX};
	WORKS(mailbox_expunge(f->store, &x, e));
	m->modseq = x.ret_modseq;
	uidset_free(&x.ret_expunged);
}

static void reopened(void **state)
{
	(void)state;
	struct fixture f;
	struct memory m = {0};
	fixture_lmdb(&f);
	for (int i = 0; i < 4; i++)
		fixture_run(&f, before_close, &m);
	assert_int_equal(m.uidnext, 5);
	fixture_free(&f);
}

#define EACH(name)                                                                                           \
	static void name##_test(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		fixture_each(name, NULL);                                                                    \
	}
EACH(folders)
EACH(uidvalidity)
EACH(depth)
EACH(rename_inbox)
EACH(append)
EACH(summaries)
EACH(summary_front)
EACH(quota)
EACH(flags)
EACH(keywords_full)
EACH(long_store)
EACH(copies)
EACH(long_copy)
EACH(many_places)
EACH(changes)
EACH(old_changes)
EACH(sweeps)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folders_test),
		cmocka_unit_test(uidvalidity_test),
		cmocka_unit_test(depth_test),
		cmocka_unit_test(rename_inbox_test),
		cmocka_unit_test(append_test),
		cmocka_unit_test(summaries_test),
		cmocka_unit_test(summary_front_test),
		cmocka_unit_test(quota_test),
		cmocka_unit_test(flags_test),
		cmocka_unit_test(keywords_full_test),
		cmocka_unit_test(long_store_test),
		cmocka_unit_test(copies_test),
		cmocka_unit_test(long_copy_test),
		cmocka_unit_test(many_places_test),
		cmocka_unit_test(changes_test),
		cmocka_unit_test(old_changes_test),
		cmocka_unit_test(sweeps_test),
		cmocka_unit_test(reopened),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* One intent for all recipients: who gets a copy, who is told what, what waits in the queue. */
#include "delivery/delivery.h"
#include "limits.h"
#include "mailbox/fixture.h"
#include "queue/queue.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { PEOPLE = 3 };

struct town { /* example.test: alice, bob, carol and some aliases */
	struct fixture *f;
	uint32_t person[PEOPLE];
};

static void alias(struct fixture *f, const char *name, const char *targets)
{
	slice t[LIMIT_ALIAS_TARGETS], in = slice_of(targets);
	size_t n = 0;
	err e = {0};
	while (slice_word(&in, &t[n]))
		n++;
	if (alias_set(f->store, slice_of(name), S("example.test"), t, n, NULL, 0, &e) < 0)
		fail_msg("%s: %s", name, e.text);
}

static struct town build(struct fixture *f)
{
	static const char *const names[PEOPLE] = {"alice", "bob", "carol"};
	struct town t = {.f = f};
	for (size_t i = 0; i < PEOPLE; i++)
		t.person[i] = make_account(f, names[i], "example.test");
	alias(f, "all", "alice@example.test bob@example.test carol@example.test");
	alias(f, "two", "alice@EXAMPLE.test sales@example.test");
	alias(f, "sales", "Bob+sales@example.test");
	alias(f, "out", "far@elsewhere.test");
	alias(f, "mixed", "carol@example.test far@elsewhere.test gone@example.test");
	alias(f, "circle", "circle2@example.test");
	alias(f, "circle2", "circle@example.test");
	alias(f, "dead", "gone@example.test");
	alias(f, "half", "half@example.test bob@example.test");
	return t;
}

/* What became of everybody: results, then the counts of messages in the INBOXes. */
static const char *after(struct town *t, const struct delivery *d)
{
	static const char *const words[] = {
		"?", "ok", "unknown", "relay", "quota", "disabled", "loop", "temp"};
	struct buf b = BUF_INIT(10000);
	for (size_t i = 0; i < d->n; i++)
		buf_addf(&b, "%s ", words[d->recipients[i].ret_result]);
	for (size_t i = 0; i < PEOPLE; i++) {
		struct mailbox_row row = {.id = 0};
		assert_true(read_mailbox(t->f, t->person[i], MAILBOX_INBOX, &row));
		buf_addf(&b, "%s%u", i ? "," : "", row.messages);
	}
	buf_addf(&b, " +%zu q%zu", d->ret_accounts, d->ret_remote);
	slice copy = arena_copy(t->f->arena, buf_slice(&b));
	buf_free(&b);
	return copy.p;
}

/* Recipients: addresses with blanks between. */
static void fill(struct delivery *d, struct delivery_recipient *r, const char *recipients)
{
	slice in = slice_of(recipients), word;
	*d = (struct delivery){.sender = S("sender@elsewhere.test"),
		.recipients = r,
		.content = {.bytes = S("Subject: x\r\n\r\nbody\r\n"), .size = 20},
		.summary = S("summary")};
	while (slice_word(&in, &word)) {
		struct delivery_recipient *x = &r[d->n++];
		*x = (struct delivery_recipient){.notify = NOTIFY_FAILURE};
		if (!slice_cut(&word, '@', &x->localpart))
			x->localpart = word;
		else
			x->domain = word;
	}
}

static const char *deliver(struct town *t, const char *recipients, uint32_t account, bool each)
{
	struct delivery_recipient r[20];
	struct delivery d;
	err e = {0};
	fill(&d, r, recipients);
	d.account = account;
	d.each_answered = each;
	if (delivery_deliver(t->f->store, t->f->codec, &d, &e) < 0)
		fail_msg("%s: %s", recipients, e.text);
	return after(t, &d);
}

static void who_gets_it(struct fixture *f)
{
	struct town t = build(f);
	err e = {0};
	assert_string_equal(deliver(&t, "alice@example.test", 0, true), "ok 1,0,0 +1 q0");
	assert_string_equal(deliver(&t, "ALICE+tag@Example.TEST", 0, true), "ok 2,0,0 +1 q0");
	assert_string_equal(deliver(&t, "nobody@example.test", 0, true), "unknown 2,0,0 +0 q0");
	assert_string_equal(deliver(&t, "x@elsewhere.test", 0, true), "relay 2,0,0 +0 q0");
	/* One copy a person, however many ways lead there. */
	assert_string_equal(deliver(&t, "all@example.test alice@example.test two@example.test", 0, true),
		"ok ok ok 3,1,1 +3 q0");
	assert_string_equal(deliver(&t, "two@example.test", 0, true), "ok 4,2,1 +2 q0");
	assert_string_equal(deliver(&t, "circle@example.test", 0, true), "loop 4,2,1 +0 q0");
	assert_string_equal(deliver(&t, "half@example.test", 0, true), "ok 4,3,1 +1 q0");
	assert_string_equal(deliver(&t, "dead@example.test nobody@example.test", 0, false),
		"unknown unknown 4,3,1 +0 q0");
	assert_string_equal(deliver(&t, "postmaster@example.test postmaster", 0, true), "ok ok 5,3,1 +1 q0");
	/* LMTP: each has its own answer. */
	assert_string_equal(
		deliver(&t, "carol@example.test nobody@example.test", 0, true), "ok unknown 5,3,2 +1 q0");
	/* SMTP: one answer; who is gone since RCPT is reported later. */
	assert_string_equal(
		deliver(&t, "carol@example.test nobody@example.test", 0, false), "ok ok 5,3,3 +1 q1");
	/* Elsewhere: by an alias for everybody, directly for who is logged in. */
	assert_string_equal(deliver(&t, "out@example.test", 0, true), "ok 5,3,3 +0 q1");
	assert_string_equal(deliver(&t, "mixed@example.test", 0, true), "ok 5,3,4 +1 q2");
	assert_string_equal(
		deliver(&t, "x@elsewhere.test X@elsewhere.test y@elsewhere.test", t.person[0], true),
		"ok ok ok 5,3,4 +0 q2");
	/* A catch-all takes what nobody has. */
	const slice target = S("bob@example.test");
	assert_int_equal(alias_set(f->store, (slice){0}, S("example.test"), &target, 1, NULL, 0, &e), 0);
	assert_string_equal(
		deliver(&t, "nobody@example.test who@example.test", 0, true), "ok ok 5,4,4 +1 q0");
	struct account_settings off = {.has_enabled = true};
	assert_int_equal(account_set(f->store, t.person[2], &off, &e), 0);
	assert_string_equal(deliver(&t, "carol@example.test", 0, true), "disabled 5,4,4 +0 q0");
	assert_int_equal(domain_set_enabled(f->store, S("example.test"), false, &e), 0);
	assert_string_equal(
		deliver(&t, "alice@example.test all@example.test", 0, true), "disabled disabled 5,4,4 +0 q0");
}

static void quota(struct fixture *f)
{
	struct town t = build(f);
	set_quota(f, t.person[1], 10);
	assert_string_equal(deliver(&t, "bob@example.test", 0, true), "quota 0,0,0 +0 q0");
	assert_string_equal(deliver(&t, "bob@example.test", 0, false), "quota 0,0,0 +0 q0");
	assert_string_equal(
		deliver(&t, "alice@example.test bob@example.test", 0, true), "ok quota 1,0,0 +1 q0");
	assert_string_equal(
		deliver(&t, "alice@example.test bob@example.test", 0, false), "ok ok 2,0,0 +1 q1");
	assert_string_equal(deliver(&t, "all@example.test", 0, true), "ok 3,0,1 +2 q1");
}

/* Copies share one blob, have a summary and the queue id. */
static void what_is_stored(struct fixture *f)
{
	struct town t = build(f);
	struct delivery_recipient r[2];
	struct delivery d;
	struct mailbox_entry x[2] = {{0}};
	struct mailbox_message m[2] = {{0}};
	struct store_snap s = {0};
	slice summary;
	err e = {0};
	fill(&d, r, "alice@example.test bob@example.test");
	assert_int_equal(delivery_deliver(f->store, f->codec, &d, &e), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_true(read_entry(f, t.person[i], MAILBOX_INBOX, 1, &x[i]));
		assert_true(read_message(f, t.person[i], x[i].message, &m[i]));
		assert_memory_equal(m[i].delivery_id, d.ret_queue_id, 16);
	}
	assert_true(m[0].blob == m[1].blob && blob_there(f, m[0].blob));
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(
		mailbox_summary_get(&s, f->codec, t.person[1], x[1].message, f->arena, &summary, &e), 1);
	assert_true(slice_eq(summary, S("summary")));
	store_snap_end(&s);
}

/* The same delivery id again is a no-op (D6), and the same question gets the same answer. */
static void again(struct fixture *f)
{
	struct town t = build(f);
	struct delivery_recipient r[3];
	struct delivery d;
	err e = {0};
	fill(&d, r, "alice@example.test");
	memset(d.queue_id, 7, sizeof d.queue_id);
	assert_int_equal(delivery_deliver(f->store, f->codec, &d, &e), 0);
	assert_memory_equal(d.ret_queue_id, d.queue_id, 16);
	assert_string_equal(after(&t, &d), "ok 1,0,0 +1 q0");
	fill(&d, r, "alice@example.test bob@example.test");
	memset(d.queue_id, 7, sizeof d.queue_id);
	assert_int_equal(delivery_deliver(f->store, f->codec, &d, &e), 0);
	assert_string_equal(after(&t, &d), "ok ok 1,1,0 +1 q0");

	uint8_t first[16];
	for (int i = 0; i < 2; i++) {
		fill(&d, r, "alice@example.test nobody@example.test bob@example.test");
		memset(d.batch, 9, sizeof d.batch);
		d.each_answered = true;
		assert_int_equal(delivery_deliver(f->store, f->codec, &d, &e), 0);
		assert_string_equal(after(&t, &d), "ok unknown ok 2,2,0 +2 q0");
		assert_int_equal(d.ret_repeated, i);
		if (i)
			assert_memory_equal(d.ret_queue_id, first, 16);
		if (i) {
			fill(&d, r, "alice@example.test nobody@example.test bob@example.test");
			memset(d.batch, 9, sizeof d.batch);
			assert_int_equal(delivery_again(f->store, &d, &e), 1);
			assert_memory_equal(d.ret_queue_id, first, 16);
			assert_int_equal(d.recipients[1].ret_result, DELIVERY_UNKNOWN);
			memset(d.batch, 10, sizeof d.batch);
			assert_int_equal(delivery_again(f->store, &d, &e), 0);
			memcpy(d.ret_queue_id, first, 16);
		}
		memcpy(first, d.ret_queue_id, 16);
	}
}

static void queue_rows(struct fixture *f)
{
	struct town t = build(f);
	struct delivery_recipient r[2];
	struct delivery d;
	struct store_snap s = {0};
	struct queue_message m;
	struct queue_recipient q;
	struct queue_found *all;
	size_t n;
	char kb[QUEUE_KEY_MAX];
	slice v;
	err e = {0};
	fill(&d, r, "mixed@example.test");
	r[0].original = S("rfc822;mixed@example.test");
	d.envelope_id = S("env");
	d.ret = RET_HDRS;
	d.flags = QUEUE_8BIT;
	assert_int_equal(delivery_deliver(f->store, f->codec, &d, &e), 0);
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(store_snap_get(&s, queue_key_message(kb, d.ret_queue_id), &v, &e), 1);
	assert_int_equal(queue_message_decode(v, &m, &e), 0);
	assert_true(slice_eq(m.sender, d.sender) && slice_eq(m.envelope_id, S("env")) && m.ret == RET_HDRS);
	assert_true(m.recipients == 2 && m.size == 20 && m.flags == QUEUE_8BIT && m.account == 0);
	assert_int_equal(m.open, 2);
	unsigned waiting = 0, failed = 0;
	assert_int_equal(queue_recipients(&s, f->arena, d.ret_queue_id, UINT64_MAX, 10, &all, &n, &e), 0);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++) {
		struct parcel p = {.lane = all[i].lane, .rank = all[i].r.rank, .due_us = all[i].r.due_us};
		memcpy(p.id, d.ret_queue_id, 16);
		assert_int_equal(store_snap_get(&s, queue_key_parcel(kb, &p), &v, &e), 1);
		q = all[i].r;
		assert_true(
			slice_eq(q.original, S("rfc822;mixed@example.test")) && q.notify == NOTIFY_FAILURE);
		if (q.state == QUEUE_WAITING && slice_eq(q.address, S("far@elsewhere.test")) &&
			p.lane == queue_lane(S("elsewhere.test")))
			waiting++;
		if (q.state == QUEUE_FAILED && slice_eq(q.address, S("gone@example.test")) && p.lane == 0)
			failed++;
	}
	store_snap_end(&s);
	assert_true(waiting == 1 && failed == 1);
	assert_true(blob_there(f, m.blob));
	(void)t;
}

/* Aliases that lead on and on, and floods of them, end with an answer. */
static void far_aliases(struct fixture *f)
{
	struct town t = build(f);
	char name[32], target[64];
	for (int i = 0; i < LIMIT_ALIAS_DEPTH + 2; i++) {
		snprintf(name, sizeof name, "chain%d", i);
		snprintf(target, sizeof target, "chain%d@example.test", i + 1);
		alias(f, name, target);
	}
	snprintf(name, sizeof name, "chain%d", LIMIT_ALIAS_DEPTH + 2);
	alias(f, name, "alice@example.test");
	assert_string_equal(deliver(&t, "chain0@example.test", 0, true), "loop 0,0,0 +0 q0");
	assert_string_equal(deliver(&t, "chain4@example.test", 0, true), "ok 1,0,0 +1 q0");
	/* 50 x 50 remote targets: too many; bob beside them still gets his. */
	struct buf top = BUF_INIT(10000), low = BUF_INIT(10000);
	for (int i = 0; i < 50; i++) {
		buf_reset(&low);
		for (int j = 0; j < 50; j++)
			buf_addf(&low, "u%d.%d@elsewhere.test ", i, j);
		buf_add_c(&low, 0);
		snprintf(name, sizeof name, "low%d", i);
		alias(f, name, low.p);
		buf_addf(&top, "low%d@example.test ", i);
	}
	buf_add_c(&top, 0);
	alias(f, "top", top.p);
	assert_string_equal(deliver(&t, "top@example.test bob@example.test", 0, true), "loop ok 1,1,0 +1 q0");
	buf_free(&top);
	buf_free(&low);
}

static void at_rcpt(struct fixture *f)
{
	static const struct {
		const char *local, *domain;
		uint64_t size;
		bool may_relay;
		enum delivery_result result;
		bool local_there;
		int person; /* index, -1: not exactly one */
	} cases[] = {
		{"alice", "example.test", 0, false, DELIVERY_OK, true, 0},
		{"Alice+x", "EXAMPLE.test", 0, false, DELIVERY_OK, true, 0},
		{"sales", "example.test", 0, false, DELIVERY_OK, true, 1},
		{"all", "example.test", 0, false, DELIVERY_OK, true, -1},
		{"mixed", "example.test", 0, false, DELIVERY_OK, true, -1},
		{"out", "example.test", 0, false, DELIVERY_OK, false, -1},
		{"nobody", "example.test", 0, true, DELIVERY_UNKNOWN, false, -1},
		{"dead", "example.test", 0, false, DELIVERY_UNKNOWN, false, -1},
		{"circle", "example.test", 0, false, DELIVERY_LOOP, false, -1},
		{"x", "elsewhere.test", 0, false, DELIVERY_RELAY, false, -1},
		{"x", "elsewhere.test", 0, true, DELIVERY_OK, false, -1},
		{"bob", "example.test", 11, false, DELIVERY_OVER_QUOTA, false, -1},
		{"bob", "example.test", 10, false, DELIVERY_OK, true, 1},
		{"postmaster", "", 0, false, DELIVERY_OK, true, 0},
		{"alice", "", 0, true, DELIVERY_UNKNOWN, false, -1},
		{"alice", "not a domain", 0, true, DELIVERY_UNKNOWN, false, -1},
	};
	struct town t = build(f);
	set_quota(f, t.person[1], 10);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct store_snap s = {0};
		struct delivery_verdict v;
		err e = {0};
		assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
		assert_int_equal(delivery_recipient(&s, slice_of(cases[i].local), slice_of(cases[i].domain),
					 cases[i].size, cases[i].may_relay, &v, &e),
			0);
		store_snap_end(&s);
		if (v.result != cases[i].result || v.local != cases[i].local_there)
			fail_msg("case %zu: result %d, local %d", i, (int)v.result, v.local);
		assert_int_equal(v.account, cases[i].person < 0 ? 0 : t.person[cases[i].person]);
	}
}

#define EACH(name)                                                                                           \
	static void name##_test(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		fixture_each(name, NULL);                                                                    \
	}
EACH(who_gets_it)
EACH(quota)
EACH(what_is_stored)
EACH(again)
EACH(queue_rows)
EACH(far_aliases)
EACH(at_rcpt)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_gets_it_test),
		cmocka_unit_test(quota_test),
		cmocka_unit_test(what_is_stored_test),
		cmocka_unit_test(again_test),
		cmocka_unit_test(queue_rows_test),
		cmocka_unit_test(far_aliases_test),
		cmocka_unit_test(at_rcpt_test),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What becomes of queued mail: results of tries, deliveries made later, reports to senders. */
#include "delivery/settle.h"
#include "limits.h"
#include "mail/summary.h"
#include "mailbox/fixture.h"
#include "queue/event.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define S_US INT64_C(1000000)

static struct queue_clock queue_time;
static const struct retry_policy usual = {60 * S_US, 14400 * S_US, 432000 * S_US, 14400 * S_US};

static const slice text = SLICE_INIT("Subject: Gr\xc3\xbc\xc3\x9f"
				     "e\r\nFrom: alice@example.test\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n");

struct town {
	struct fixture *f;
	uint32_t alice, bob;
	uint8_t id[16]; /* of the last message */
};

static struct town build(struct fixture *f)
{
	queue_clock_start(&queue_time, 0, 0);
	struct town t = {.f = f};
	t.alice = make_account(f, "alice", "example.test"); /* postmaster too: the first one */
	t.bob = make_account(f, "bob", "example.test");
	return t;
}

struct post { /* how a message is handed in */
	const char *sender, *to;
	uint8_t notify, flags;
	uint32_t account;
	int64_t release_s;
};

static void post(struct town *t, const struct post *p)
{
	struct delivery_recipient r[10];
	struct buf summary = BUF_INIT(LIMIT_SUMMARY), event = BUF_INIT(1000);
	slice in = slice_of(p->to), word;
	err e = {0};
	struct delivery d = {.sender = slice_of(p->sender),
		.account = p->account,
		.relay = true,
		.flags = p->flags,
		.clock = &queue_time,
		.recipients = r,
		.content = {.bytes = text, .size = (uint32_t)text.n},
		.event = &event};
	if (p->release_s)
		d.release_us = queue_clock_now(&queue_time) + p->release_s * S_US;
	while (slice_word(&in, &word)) {
		struct delivery_recipient *x = &r[d.n++];
		*x = (struct delivery_recipient){.notify = p->notify};
		assert_true(slice_cut(&word, '@', &x->localpart));
		x->domain = word;
	}
	assert_int_equal(mail_summary_make(text, &summary, &e), 0);
	d.summary = buf_slice(&summary);
	event_begin(&event, EVENT_RECEIVED, 1);
	if (delivery_deliver(t->f->store, t->f->codec, &d, &e) < 0)
		fail_msg("%s", e.text);
	memcpy(t->id, d.ret_queue_id, 16);
	buf_free(&summary);
	buf_free(&event);
}

static int take(void *arg, const struct parcel *p)
{
	(void)arg;
	(void)p;
	return 1;
}

/* The first parcel of a lane that is due within `ahead` seconds. */
static bool parcel_of(struct town *t, const char *domain, int64_t ahead, struct parcel *ret)
{
	struct store_snap s = {0};
	err e = {0};
	struct queue_load l = {.lane = queue_lane(slice_of(domain)),
		.now_us = queue_clock_now(&queue_time) + ahead * S_US,
		.take = take,
		.ret = ret,
		.max = 1};
	assert_int_equal(store_snap_begin(t->f->store, &s, &e), 0);
	assert_int_equal(queue_load(&s, &l, &e), 0);
	store_snap_end(&s);
	return l.ret_n == 1;
}

static size_t rows(struct town *t, const struct parcel *p, struct queue_found **ret)
{
	struct store_snap s = {0};
	size_t n;
	err e = {0};
	assert_int_equal(store_snap_begin(t->f->store, &s, &e), 0);
	assert_int_equal(queue_recipients(&s, t->f->arena, p->id, p->lane, 100, ret, &n, &e), 0);
	store_snap_end(&s);
	return n;
}

struct said { /* by the server, in the order of the rows */
	enum retry_outcome outcome;
	uint16_t code;
};

static struct settle settle_parcel(struct town *t, const struct parcel *p, const struct retry_policy *policy,
	const struct said *said, struct settle_row *out)
{
	struct queue_found *v;
	size_t n = rows(t, p, &v);
	err e = {0};
	for (size_t i = 0; i < n; i++)
		out[i] = (struct settle_row){.n = v[i].n,
			.t = {.outcome = said[i].outcome,
				.code = said[i].code,
				.status = {(uint8_t)(said[i].code / 100), 1, 1},
				.reply = S("words"),
				.host = S("mx.far.test")}};
	struct settle w = {.parcel = *p,
		.policy = policy,
		.clock = &queue_time,
		.ip = S("192.0.2.1"),
		.rows = out,
		.n = n};
	if (delivery_settle(t->f->store, &w, &e) < 0)
		fail_msg("%s", e.text);
	return w;
}

/* Goes through lane 0 until nothing of it is due within `ahead` seconds. */
static struct here here_all(struct town *t, const struct retry_policy *policy, int64_t ahead)
{
	struct here sum = {.ret_delivered = 0};
	static uint8_t ids;
	struct parcel p;
	for (int i = 0; i < 20 && parcel_of(t, "", ahead, &p); i++) {
		struct here h = {
			.parcel = p, .policy = policy, .clock = &queue_time, .host = S("mail.example.test")};
		err e = {0};
		memset(h.report_id[0], ++ids, 16);
		memset(h.report_id[1], ++ids, 16);
		if (delivery_here(t->f->store, t->f->codec, &h, &e) < 0)
			fail_msg("%s", e.text);
		sum.ret_delivered += h.ret_delivered;
		sum.ret_deferred += h.ret_deferred;
		sum.ret_failed += h.ret_failed;
		sum.ret_reports += h.ret_reports;
		sum.ret_unreported += h.ret_unreported;
		if (h.ret_deferred)
			break;
	}
	return sum;
}

static unsigned inbox(struct town *t, uint32_t account)
{
	struct mailbox_row row = {.id = 0};
	assert_true(read_mailbox(t->f, account, MAILBOX_INBOX, &row));
	return row.messages;
}

/* The last message of the INBOX, in the arena. */
static slice last_message(struct town *t, uint32_t account)
{
	struct mailbox_entry x;
	struct mailbox_message m = {.blob = 0};
	struct store_snap s = {0};
	struct store_blob b = {0};
	err e = {0};
	assert_true(read_entry(t->f, account, MAILBOX_INBOX, inbox(t, account), &x));
	assert_true(read_message(t->f, account, x.message, &m));
	assert_int_equal(store_snap_begin(t->f->store, &s, &e), 0);
	assert_int_equal(store_blob_find(&s, m.blob, &b, &e), 1);
	store_snap_end(&s);
	char *p = arena_new_n(t->f->arena, char, b.length + 1);
	assert_int_equal(store_blob_read(&b, 0, p, b.length, &e), 0);
	slice all = slice_make(p, b.length);
	store_blob_release(&b);
	return all;
}

static struct queue_counters left(struct town *t)
{
	struct queue_counters c;
	struct store_snap s = {0};
	err e = {0};
	assert_int_equal(store_snap_begin(t->f->store, &s, &e), 0);
	assert_int_equal(queue_count(&s, &c, &e), 0);
	store_snap_end(&s);
	return c;
}

static void has(slice message, const char *what)
{
	if (slice_find(message, slice_of(what)) < 0)
		fail_msg("no \"%s\" in: %.*s", what, (int)message.n, message.p);
}

/* One went, one was refused, one waits: the sender hears of the refused one, once. */
static void mixed(struct fixture *f)
{
	struct town t = build(f);
	struct settle_row r[3];
	struct parcel p;
	post(&t, &(struct post){"alice@example.test", "a@far.test b@far.test c@far.test d@other.test",
			 .account = t.alice});
	assert_true(parcel_of(&t, "far.test", 0, &p));
	struct settle w = settle_parcel(&t, &p, &usual,
		(const struct said[]){{RETRY_SENT, 250}, {RETRY_REFUSED, 550}, {RETRY_LATER, 451}}, r);
	assert_int_equal(w.n, 3);
	assert_true(r[0].ret_known && r[1].ret_known && r[2].ret_known);
	assert_int_equal(r[2].ret_attempts, 1);
	assert_false(parcel_of(&t, "far.test", 0, &p));
	assert_true(parcel_of(&t, "far.test", 100, &p));
	assert_true(p.rank >= QUEUE_RANK_RETRY);
	assert_int_equal(here_all(&t, &usual, 0).ret_reports, 0); /* others may fail within seconds */
	struct here h = here_all(&t, &usual, 4);
	assert_true(h.ret_reports == 1 && h.ret_unreported == 0);
	assert_int_equal(inbox(&t, t.alice), 1);
	slice dsn = last_message(&t, t.alice);
	has(dsn, "multipart/report");
	has(dsn, "Final-Recipient: rfc822; b@far.test");
	has(dsn, "Action: failed");
	has(dsn, "Remote-MTA: dns; mx.far.test");
	has(dsn, "Auto-Submitted: auto-replied");
	assert_true(slice_find(dsn, S("a@far.test")) < 0 && slice_find(dsn, S("c@far.test")) < 0);
	struct queue_counters c = left(&t);
	assert_true(c.messages == 1 && c.recipients == 2);
	/* The rest goes: nothing is left, and the blob is gone. */
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_SENT, 250}}, r);
	assert_true(parcel_of(&t, "other.test", 0, &p));
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_SENT, 250}}, r);
	c = left(&t);
	assert_true(c.messages == 0 && c.recipients == 0);
	assert_int_equal(here_all(&t, &usual, 0).ret_reports, 0);
}

/* A message that waits long: one notice; at the end of its life it is given back. */
static void late(struct fixture *f)
{
	static const struct retry_policy short_life = {1, 2, 1, 1};
	static const struct retry_policy long_life = {1, 2, 432000 * S_US, 1};
	struct town t = build(f);
	struct settle_row r[3];
	struct parcel p;
	post(&t, &(struct post){"alice@example.test", "a@far.test", .account = t.alice});
	for (int i = 0; i < 3; i++) {
		fiber_sleep(2);
		assert_true(parcel_of(&t, "far.test", 1, &p));
		settle_parcel(&t, &p, &long_life, (const struct said[]){{RETRY_LATER, 451}}, r);
		here_all(&t, &long_life, 1);
		assert_int_equal(inbox(&t, t.alice), 1);
	}
	has(last_message(&t, t.alice), "Action: delayed");
	assert_true(parcel_of(&t, "far.test", 1, &p));
	settle_parcel(&t, &p, &short_life, (const struct said[]){{RETRY_LATER, 451}}, r);
	assert_true(r[0].ret.expired);
	here_all(&t, &short_life, 1);
	assert_int_equal(inbox(&t, t.alice), 2);
	has(last_message(&t, t.alice), "Action: failed");
	assert_int_equal(left(&t).messages, 0);
}

/* Nobody is told of what has no sender; of our own report postmaster is, and of that nobody. */
static void no_backscatter(struct fixture *f)
{
	struct town t = build(f);
	struct settle_row r[3];
	struct parcel p;
	post(&t, &(struct post){"", "a@far.test"});
	assert_true(parcel_of(&t, "far.test", 0, &p));
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_REFUSED, 550}}, r);
	assert_int_equal(here_all(&t, &usual, 0).ret_reports, 0);
	assert_true(left(&t).messages == 0 && inbox(&t, t.alice) == 0);
	post(&t, &(struct post){"", "a@far.test", .flags = QUEUE_REPORT});
	assert_true(parcel_of(&t, "far.test", 0, &p));
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_REFUSED, 550}}, r);
	assert_int_equal(here_all(&t, &usual, 0).ret_reports, 1);
	assert_true(left(&t).messages == 0 && inbox(&t, t.alice) == 1);
	has(last_message(&t, t.alice), "To: <postmaster@mail.example.test>");
	/* A sender elsewhere: the report goes into the queue; when it fails, postmaster has it. */
	post(&t, &(struct post){"who@there.test", "a@far.test"});
	assert_true(parcel_of(&t, "far.test", 0, &p));
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_REFUSED, 550}}, r);
	assert_int_equal(here_all(&t, &usual, 0).ret_reports, 1);
	assert_true(parcel_of(&t, "there.test", 0, &p));
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_REFUSED, 550}}, r);
	assert_int_equal(here_all(&t, &usual, 0).ret_reports, 1);
	assert_true(left(&t).messages == 0 && inbox(&t, t.alice) == 2);
	/* A sender here who is not there any more: postmaster. */
	post(&t, &(struct post){"gone@example.test", "a@far.test"});
	assert_true(parcel_of(&t, "far.test", 0, &p));
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_REFUSED, 550}}, r);
	here_all(&t, &usual, 0);
	assert_true(left(&t).messages == 0 && inbox(&t, t.alice) == 3);
}

static void success(struct fixture *f)
{
	struct town t = build(f);
	struct settle_row r[3];
	struct parcel p;
	post(&t, &(struct post){"alice@example.test", "bob@example.test a@far.test", .notify = NOTIFY_SUCCESS,
			 .account = t.alice});
	assert_int_equal(inbox(&t, t.bob), 1);
	here_all(&t, &usual, 0);
	assert_int_equal(inbox(&t, t.alice), 1);
	has(last_message(&t, t.alice), "Action: delivered");
	assert_true(parcel_of(&t, "far.test", 0, &p));
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_SENT, 250}}, r);
	here_all(&t, &usual, 0);
	assert_int_equal(inbox(&t, t.alice), 2);
	has(last_message(&t, t.alice), "Action: relayed");
	assert_int_equal(left(&t).messages, 0);
}

/* A full mailbox waits in the queue, and gets it once there is room, once. */
static void full(struct fixture *f)
{
	struct town t = build(f);
	set_quota(f, t.bob, 10);
	post(&t, &(struct post){"who@there.test", "alice@example.test bob@example.test"});
	assert_true(inbox(&t, t.alice) == 1 && inbox(&t, t.bob) == 0);
	struct here h = here_all(&t, &usual, 0);
	assert_true(h.ret_deferred == 1 && h.ret_delivered == 0);
	set_quota(f, t.bob, 0);
	h = here_all(&t, &usual, 100);
	assert_int_equal(h.ret_delivered, 1);
	assert_true(inbox(&t, t.alice) == 1 && inbox(&t, t.bob) == 1);
	assert_true(slice_eq(last_message(&t, t.bob), text));
	assert_int_equal(left(&t).messages, 0);
}

/* Held back: nothing goes before its time; then each gets it once, by whatever way. */
static void undo(struct fixture *f)
{
	struct town t = build(f);
	struct parcel p;
	const slice targets[] = {S("alice@example.test"), S("bob@example.test"), S("x@far.test")};
	uint32_t changed;
	err e = {0};
	assert_int_equal(alias_set(f->store, S("all"), S("example.test"), targets, 3, NULL, 0, &e), 0);
	for (int i = 0; i < 2; i++) {
		post(&t, &(struct post){"alice@example.test", "all@example.test bob@example.test y@far.test",
				 .account = t.alice, .release_s = 30});
		assert_true(inbox(&t, t.alice) == 0 && inbox(&t, t.bob) == 0);
		assert_false(parcel_of(&t, "", 29, &p) || parcel_of(&t, "far.test", 29, &p));
		assert_true(parcel_of(&t, "", 31, &p) && parcel_of(&t, "far.test", 31, &p));
		if (i == 0) {
			assert_int_equal(queue_change(f->store, &queue_time, t.id, 1, QUEUE_DROP, S(""),
						 t.alice, S(""), &changed, &e),
				0);
			assert_int_equal(left(&t).messages, 0);
		}
	}
	struct here h = here_all(&t, &usual, 31);
	assert_int_equal(h.ret_failed + h.ret_deferred, 0);
	assert_true(inbox(&t, t.alice) == 1 && inbox(&t, t.bob) == 1);
	struct queue_found *v;
	assert_true(parcel_of(&t, "far.test", 31, &p));
	assert_int_equal(rows(&t, &p, &v), 2);
	assert_int_equal(left(&t).recipients, 2);
}

/* Held or dropped while it was under way. */
static void meanwhile(struct fixture *f)
{
	struct town t = build(f);
	struct settle_row r[3];
	struct parcel p, q;
	uint32_t changed;
	err e = {0};
	post(&t, &(struct post){"alice@example.test", "a@far.test b@far.test", .account = t.alice});
	assert_true(parcel_of(&t, "far.test", 0, &p));
	assert_int_equal(
		queue_change(f->store, &queue_time, t.id, 1, QUEUE_HOLD, S(""), 0, S(""), &changed, &e), 0);
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_SENT, 250}, {RETRY_LATER, 451}}, r);
	assert_true(r[0].ret_known && r[1].ret_known);
	assert_false(parcel_of(&t, "far.test", 100000, &q));
	assert_int_equal(left(&t).recipients, 1);
	assert_int_equal(
		queue_change(f->store, &queue_time, t.id, 1, QUEUE_RELEASE, S(""), 0, S(""), &changed, &e),
		0);
	assert_true(parcel_of(&t, "far.test", 0, &q));
	struct settle_row one = {.n = r[1].n, .t = {.outcome = RETRY_SENT, .code = 250}};
	assert_int_equal(
		queue_change(f->store, &queue_time, t.id, 1, QUEUE_DROP, S(""), 0, S(""), &changed, &e), 0);
	struct settle w = {.parcel = q, .policy = &usual, .clock = &queue_time, .rows = &one, .n = 1};
	assert_int_equal(delivery_settle(f->store, &w, &e), 0);
	assert_false(one.ret_known);
	assert_int_equal(left(&t).messages, 0);
}

static void forward(struct town *t, uint32_t account, bool keep, const char *to)
{
	const slice target = slice_of(to);
	struct account_settings set = {
		.has_forward = true, .forward = &target, .n_forward = 1, .has_keep = true, .keep = keep};
	err e = {0};
	if (account_set(t->f->store, account, &set, &e) < 0)
		fail_msg("%s", e.text);
}

/* A full mailbox whose mail is also forwarded: the forward goes once, the mailbox gets it when it has room.
 */
static void full_and_forwarded(struct fixture *f)
{
	struct town t = build(f);
	struct settle_row r[3];
	struct parcel p;
	forward(&t, t.bob, true, "b@far.test");
	set_quota(f, t.bob, 10);
	post(&t, &(struct post){"who@there.test", "bob@example.test"});
	assert_true(parcel_of(&t, "far.test", 0, &p));
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_SENT, 250}}, r);
	for (int i = 0; i < 2; i++) {
		struct here h = here_all(&t, &usual, 100 + 400 * i);
		assert_true(h.ret_deferred == 1 && h.ret_delivered == 0);
		assert_false(parcel_of(&t, "far.test", 10000, &p));
	}
	set_quota(f, t.bob, 0);
	assert_int_equal(here_all(&t, &usual, 10000).ret_delivered, 1);
	assert_int_equal(inbox(&t, t.bob), 1);
	assert_false(parcel_of(&t, "far.test", 10000, &p));
	assert_int_equal(left(&t).messages, 0);
}

/* What waited for a mailbox goes where its owner has it sent by now; an alias reaches all in the end. */
static void moved(struct fixture *f)
{
	const slice targets[] = {S("alice@example.test"), S("bob@example.test")};
	struct town t = build(f);
	struct settle_row r[3];
	struct queue_found *v;
	struct parcel p;
	err e = {0};
	set_quota(f, t.bob, 10);
	post(&t, &(struct post){"who@there.test", "alice@example.test bob@example.test",
			 .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE});
	assert_int_equal(here_all(&t, &usual, 0).ret_deferred, 1);
	forward(&t, t.bob, false, "b@far.test");
	here_all(&t, &usual, 100);
	assert_true(parcel_of(&t, "far.test", 0, &p));
	assert_memory_not_equal(p.id, t.id, 16);
	assert_int_equal(rows(&t, &p, &v), 1);
	assert_int_equal(v[0].r.notify, NOTIFY_SUCCESS | NOTIFY_FAILURE);
	assert_true(slice_eq(v[0].r.via, S("bob@example.test")));
	/* Of bob's copy only the next server can tell. */
	assert_true(parcel_of(&t, "there.test", 0, &p));
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_SENT, 250}}, r);
	assert_false(parcel_of(&t, "there.test", 0, &p));
	assert_true(parcel_of(&t, "far.test", 0, &p));
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_REFUSED, 550}}, r);
	assert_int_equal(here_all(&t, &usual, 0).ret_reports, 1);
	assert_true(parcel_of(&t, "there.test", 0, &p));
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_SENT, 250}}, r);
	assert_true(left(&t).messages == 0 && inbox(&t, t.bob) == 0);

	struct account_settings none = {.has_forward = true};
	assert_int_equal(account_set(f->store, t.bob, &none, &e), 0);
	assert_int_equal(alias_set(f->store, S("both"), S("example.test"), targets, 2, NULL, 0, &e), 0);
	set_quota(f, t.alice, 10);
	uint32_t carol = make_account(f, "carol", "example.test");
	post(&t, &(struct post){"who@there.test", "carol@example.test both@example.test"});
	assert_int_equal(inbox(&t, carol), 1);
	here_all(&t, &usual, 0);
	set_quota(f, t.alice, 0);
	here_all(&t, &usual, 100);
	assert_true(inbox(&t, t.alice) == 2 && inbox(&t, t.bob) == 0 && left(&t).messages == 1);
	set_quota(f, t.bob, 0);
	here_all(&t, &usual, 1000);
	assert_true(inbox(&t, t.alice) == 2 && inbox(&t, t.bob) == 1 && left(&t).messages == 0);
}

/* Local mail that waits long is told of, though each pass finds it due. */
static void late_here(struct fixture *f)
{
	static const struct retry_policy quick = {1, 2, 432000 * S_US, 1};
	struct town t = build(f);
	set_quota(f, t.bob, 10);
	post(&t, &(struct post){
			 "alice@example.test", "alice@example.test bob@example.test", .account = t.alice});
	assert_int_equal(inbox(&t, t.alice), 1);
	for (int i = 0; i < 4; i++) {
		fiber_sleep(2);
		here_all(&t, &quick, 0);
	}
	assert_int_equal(inbox(&t, t.alice), 2);
	has(last_message(&t, t.alice), "Action: delayed");
	assert_int_equal(left(&t).recipients, 1);
}

/* More are late than one report tells of. */
static void many_late(struct fixture *f)
{
	enum { MANY = 250 };
	static const struct retry_policy quick = {1, 2, 432000 * S_US, 1};
	static struct delivery_recipient r[MANY];
	static struct settle_row out[MANY];
	struct town t = build(f);
	struct buf summary = BUF_INIT(LIMIT_SUMMARY);
	struct queue_found *v;
	struct store_snap s = {0};
	struct parcel p;
	size_t n;
	err e = {0};
	struct delivery d = {.sender = S("alice@example.test"),
		.account = t.alice,
		.clock = &queue_time,
		.recipients = r,
		.n = MANY,
		.content = {.bytes = text, .size = (uint32_t)text.n}};
	for (size_t i = 0; i < MANY; i++) {
		char *local = arena_new_n(f->arena, char, 20);
		snprintf(local, 20, "u%zu", i);
		r[i] = (struct delivery_recipient){.localpart = slice_of(local), .domain = S("far.test")};
	}
	assert_int_equal(mail_summary_make(text, &summary, &e), 0);
	d.summary = buf_slice(&summary);
	assert_int_equal(delivery_deliver(f->store, f->codec, &d, &e), 0);
	buf_free(&summary);
	fiber_sleep(2);
	assert_true(parcel_of(&t, "far.test", 0, &p));
	for (bool more = true; more;) {
		assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
		assert_int_equal(queue_parcel_recipients(&s, f->arena, &p, 100, &v, &n, &e), 0);
		store_snap_end(&s);
		for (size_t i = 0; i < n; i++)
			out[i] = (struct settle_row){
				.n = v[i].n, .t = {.outcome = RETRY_LATER, .code = 451, .status = {4, 0, 0}}};
		struct settle w = {.parcel = p, .policy = &quick, .clock = &queue_time, .rows = out, .n = n};
		assert_int_equal(delivery_settle(f->store, &w, &e), 0);
		more = w.ret_more;
	}
	assert_int_equal(here_all(&t, &quick, 1).ret_reports, 3);
	assert_int_equal(inbox(&t, t.alice), 3);
	assert_int_equal(left(&t).recipients, MANY);
}

/* Given up by hand: who wants no word gets none. */
static void bounced(struct fixture *f)
{
	struct town t = build(f);
	uint32_t changed;
	err e = {0};
	for (int i = 0; i < 2; i++) {
		post(&t, &(struct post){i ? "" : "alice@example.test", "a@far.test b@other.test",
				 .notify = i ? 0 : NOTIFY_NEVER});
		assert_int_equal(queue_change(f->store, &queue_time, t.id, 1, QUEUE_BOUNCE, S(""), 0, S("no"),
					 &changed, &e),
			0);
		assert_int_equal(changed, 2);
		here_all(&t, &usual, 0);
		assert_true(left(&t).messages == 0 && inbox(&t, t.alice) == 0);
	}
}

/* A parcel of which nobody waits any more goes when it is handed out; the one who waits keeps his. */
static void nobody_left(struct fixture *f)
{
	struct town t = build(f);
	struct settle_row r[3];
	struct parcel p, q;
	uint32_t changed;
	err e = {0};
	post(&t, &(struct post){"alice@example.test", "a@far.test", .account = t.alice});
	assert_true(parcel_of(&t, "far.test", 0, &p));
	fiber_sleep(2);
	assert_int_equal(
		queue_change(f->store, &queue_time, t.id, 1, QUEUE_RETRY, S(""), 0, S(""), &changed, &e), 0);
	settle_parcel(&t, &p, &usual, (const struct said[]){{RETRY_SENT, 250}}, r);
	assert_int_equal(left(&t).messages, 0);
	assert_true(parcel_of(&t, "far.test", 0, &q));
	struct settle w = {.parcel = q, .policy = &usual, .clock = &queue_time};
	assert_int_equal(delivery_settle(f->store, &w, &e), 0);
	assert_false(w.ret_more);
	assert_false(parcel_of(&t, "far.test", 100000, &q));
}

#define EACH(name)                                                                                           \
	static void name##_test(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		fixture_each(name, NULL);                                                                    \
	}
EACH(mixed)
EACH(late)
EACH(no_backscatter)
EACH(success)
EACH(full)
EACH(undo)
EACH(meanwhile)
EACH(full_and_forwarded)
EACH(moved)
EACH(late_here)
EACH(many_late)
EACH(bounced)
EACH(nobody_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mixed_test),
		cmocka_unit_test(late_test),
		cmocka_unit_test(no_backscatter_test),
		cmocka_unit_test(success_test),
		cmocka_unit_test(full_test),
		cmocka_unit_test(undo_test),
		cmocka_unit_test(meanwhile_test),
		cmocka_unit_test(full_and_forwarded_test),
		cmocka_unit_test(moved_test),
		cmocka_unit_test(late_here_test),
		cmocka_unit_test(many_late_test),
		cmocka_unit_test(bounced_test),
		cmocka_unit_test(nobody_left_test),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

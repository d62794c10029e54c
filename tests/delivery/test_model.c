/*
 * The queue's rows under random sequences of all that changes them, with what is under way while others
 * change it. After each step: every row that waits has its parcel, every counter is the truth, every message
 * its blob; at the end everything was handed out, nothing is left, and nobody got or lost a message.
 */
#include "base/wire.h"
#include "delivery/settle.h"
#include "limits.h"
#include "mail/summary.h"
#include "mailbox/fixture.h"
#include "queue/event.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S_US INT64_C(1000000)

enum { STEPS = 300, POSTS = 200, PARCELS = 4000, UNDER_WAY = 8 };

struct flight { /* a parcel that is being tried */
	bool used;
	struct parcel p;
	uint64_t lease;
	struct settle_row rows[300];
	size_t n;
};

struct model {
	struct fixture *f;
	struct queue_clock clock;
	struct retry_policy policy;
	uint64_t random;
	uint32_t alice, bob, carol;
	unsigned posts, reports;
	bool for_bob[POSTS], sure[POSTS]; /* he is to have it; nobody threw it away */
	uint8_t ids[POSTS][16];
	struct flight air[UNDER_WAY];
	struct parcel *parcels; /* as found by check */
	size_t parcels_n;
	unsigned idle; /* parcels of which nobody waits */
	uint64_t messages, recipients, leases;
};

static unsigned chance(struct model *m, unsigned n)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return (unsigned)(m->random >> 20) % n;
}

/* ---- the truth ---- */

static bool has_parcel(
	const struct model *m, uint64_t lane, const uint8_t id[16], const struct queue_recipient *r)
{
	for (size_t i = 0; i < m->parcels_n; i++) {
		const struct parcel *p = &m->parcels[i];
		if (p->lane == lane && memcmp(p->id, id, 16) == 0 &&
			(!r || (p->rank == r->rank && p->due_us == r->due_us)))
			return true;
	}
	return false;
}

static void check_message(
	struct model *m, struct store_snap *s, const uint8_t id[16], const struct queue_message *q)
{
	struct store_blob blob = {.file = NULL};
	struct queue_found *all;
	size_t n;
	err e = {0};
	assert_int_equal(queue_recipients(s, m->f->arena, id, UINT64_MAX, LIMIT_QUEUE_ROWS, &all, &n, &e), 0);
	assert_int_equal(n, q->open);
	assert_true(n > 0 && q->open <= q->recipients);
	for (size_t i = 0; i < n; i++) {
		const struct queue_recipient *r = &all[i].r;
		assert_true(all[i].n < q->recipients);
		if (r->state != QUEUE_HELD)
			assert_true(has_parcel(m, all[i].lane, id, r));
		if (r->flags & QUEUE_DELAY_PENDING && r->state <= QUEUE_HELD)
			assert_true(has_parcel(m, 0, id, NULL));
		assert_true(r->state <= QUEUE_HELD || all[i].lane == 0);
	}
	m->recipients += n;
	m->messages++;
	assert_int_equal(store_blob_find(s, q->blob, &blob, &e), 1);
	store_blob_release(&blob);
}

static void check(struct model *m)
{
	struct store_snap s = {0};
	struct store_scan sc;
	struct queue_counters c;
	uint64_t rows = 0;
	slice k, v;
	err e = {0};
	m->parcels_n = 0;
	m->messages = m->recipients = m->leases = 0;
	m->idle = 0;
	arena_reset(m->f->arena);
	assert_int_equal(store_snap_begin(m->f->store, &s, &e), 0);
	assert_int_equal(store_scan_open(&s, S("Q"), &sc, &e), 0);
	for (int rc = store_scan_seek(&sc, S("Q"), &k, &v, &e); rc; rc = store_scan_next(&sc, &k, &v, &e)) {
		struct parcel p;
		uint8_t id[16];
		uint64_t lane;
		uint32_t n;
		assert_int_equal(rc, 1);
		rows += queue_key_recipient_read(k, id, &lane, &n);
		m->leases += k.n == 10 && k.p[1] == 4;
		if (queue_key_parcel_read(k, &p)) {
			assert_true(m->parcels_n < PARCELS);
			assert_int_equal(queue_parcel_decode(v, &p.account, &e), 0);
			m->parcels[m->parcels_n++] = p;
		}
	}
	for (int rc = store_scan_seek(&sc, S("Q\1"), &k, &v, &e); rc; rc = store_scan_next(&sc, &k, &v, &e)) {
		struct queue_message q;
		uint8_t id[16];
		assert_int_equal(rc, 1);
		if (!queue_key_message_read(k, id))
			break;
		assert_int_equal(queue_message_decode(v, &q, &e), 0);
		check_message(m, &s, id, &q);
	}
	store_scan_close(&sc);
	assert_int_equal(queue_count(&s, &c, &e), 0);
	store_snap_end(&s);
	assert_int_equal(c.messages, m->messages);
	assert_int_equal(c.recipients, m->recipients);
	assert_int_equal(rows, m->recipients); /* none without a message */
}

/* ---- what happens ---- */

static void post(struct model *m)
{
	static const char *const senders[] = {
		"", "alice@example.test", "who@there.test", "gone@example.test"};
	static const char *const to[] = {"bob@example.test", "carol@example.test", "all@example.test",
		"a@far.test", "b@far.test", "c@other.test", "d@third.test", "bare@example.test"};
	static const uint8_t notifies[] = {
		0, 0, NOTIFY_NEVER, NOTIFY_SUCCESS, NOTIFY_SUCCESS | NOTIFY_FAILURE, NOTIFY_DELAY};
	struct delivery_recipient r[COUNT_OF(to)];
	struct buf summary = BUF_INIT(LIMIT_SUMMARY), event = BUF_INIT(1000);
	bool for_bob = false, any = false, told = false;
	char text[200];
	err e = {0};
	if (m->posts == POSTS)
		return;
	snprintf(text, sizeof text, "Subject: x\r\nMessage-ID: <1@x>\r\n\r\nnumber %u.\r\n", m->posts);
	struct delivery d = {.sender = slice_of(senders[chance(m, COUNT_OF(senders))]),
		.relay = true,
		.clock = &m->clock,
		.recipients = r,
		.each_answered = chance(m, 4) == 0,
		.priority = (int8_t)((int)chance(m, 19) - 9),
		.content = {.bytes = slice_of(text), .size = (uint32_t)strlen(text)},
		.event = &event};
	if (d.sender.n == 0)
		d.flags = chance(m, 2) ? QUEUE_REPORT : 0;
	if (d.sender.n && d.sender.p[0] == 'a')
		d.account = m->alice;
	if (chance(m, 6) == 0)
		d.release_us = queue_clock_now(&m->clock) + 30 * S_US;
	for (size_t i = 0; i < COUNT_OF(to); i++) {
		slice word = slice_of(to[i]), local;
		if (chance(m, 3))
			continue;
		slice_cut(&word, '@', &local);
		r[d.n++] = (struct delivery_recipient){.localpart = local,
			.domain = word,
			.notify = notifies[chance(m, COUNT_OF(notifies))]};
	}
	if (d.n == 0)
		return;
	assert_int_equal(mail_summary_make(slice_of(text), &summary, &e), 0);
	d.summary = buf_slice(&summary);
	event_begin(&event, EVENT_RECEIVED, 1);
	if (delivery_deliver(m->f->store, m->f->codec, &d, &e) < 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < d.n; i++) {
		any |= r[i].ret_result == DELIVERY_OK;
		if (r[i].localpart.n != 3) /* bob, all */
			continue;
		for_bob |= r[i].ret_result == DELIVERY_OK;
		told |= r[i].ret_result != DELIVERY_OK;
	}
	if (any) {
		memcpy(m->ids[m->posts], d.ret_queue_id, 16);
		m->for_bob[m->posts] = for_bob;
		m->sure[m->posts++] = !told; /* who was told that bob is full sends it to him again */
	}
	buf_free(&summary);
	buf_free(&event);
}

static void pass_time(struct model *m, int64_t until)
{
	int64_t now = queue_clock_now(&m->clock);
	if (until > now)
		m->clock.offset_us += until - now;
}

static void here(struct model *m, const struct parcel *p)
{
	struct here h = {
		.parcel = *p, .policy = &m->policy, .clock = &m->clock, .host = S("mail.example.test")};
	err e = {0};
	for (int i = 0; i < 2; i++) {
		memset(h.report_id[i], 7, 16);
		be64_put((char *)h.report_id[i] + 8, ++m->reports);
	}
	if (delivery_here(m->f->store, m->f->codec, &h, &e) < 0)
		fail_msg("%s", e.text);
}

static void take_off(struct model *m, const struct parcel *p)
{
	struct flight *f = NULL;
	struct store_snap s = {0};
	struct queue_found *v;
	bool gone = false;
	size_t n;
	err e = {0};
	for (size_t i = 0; i < UNDER_WAY; i++) {
		if (m->air[i].used && m->air[i].p.lane == p->lane && memcmp(m->air[i].p.id, p->id, 16) == 0)
			return; /* the plan has one at a time of a lane and message */
		if (!m->air[i].used)
			f = &m->air[i];
	}
	if (!f)
		return;
	assert_int_equal(queue_lease(m->f->store, &m->clock, p, 1, &gone, &f->lease, &e), 0);
	assert_false(gone);
	assert_int_equal(store_snap_begin(m->f->store, &s, &e), 0);
	assert_int_equal(queue_parcel_recipients(&s, m->f->arena, p, 1 + chance(m, 3), &v, &n, &e), 0);
	store_snap_end(&s);
	f->used = true;
	f->p = *p;
	f->n = n;
	for (size_t i = 0; i < n; i++)
		f->rows[i] = (struct settle_row){.n = v[i].n};
}

static void land(struct model *m, struct flight *f, bool well)
{
	static const enum retry_outcome outcomes[] = {
		RETRY_SENT, RETRY_LATER, RETRY_LATER, RETRY_REFUSED, RETRY_NO_TRY};
	static const uint16_t codes[] = {250, 451, 451, 550, 0};
	err e = {0};
	for (size_t i = 0; i < f->n; i++) {
		size_t k = well ? 0 : chance(m, COUNT_OF(outcomes));
		f->rows[i].t = (struct retry_try){.outcome = outcomes[k],
			.code = codes[k],
			.status = {(uint8_t)(codes[k] / 100), 1, 1},
			.reply = S("words"),
			.host = S("mx.far.test")};
	}
	struct settle w = {.parcel = f->p,
		.lease = f->lease,
		.policy = &m->policy,
		.clock = &m->clock,
		.ip = S("192.0.2.1"),
		.rows = f->rows,
		.n = f->n};
	if (delivery_settle(m->f->store, &w, &e) < 0)
		fail_msg("%s", e.text);
	f->used = false;
	check(m);
	bool there = false;
	for (size_t i = 0; i < m->parcels_n; i++)
		there |= m->parcels[i].lane == f->p.lane && m->parcels[i].rank == f->p.rank &&
			 m->parcels[i].due_us == f->p.due_us && memcmp(m->parcels[i].id, f->p.id, 16) == 0;
	assert_int_equal(there, w.ret_more);
}

static void hand_out(struct model *m, bool well)
{
	if (m->parcels_n == 0)
		return;
	struct parcel p = m->parcels[chance(m, (unsigned)m->parcels_n)];
	pass_time(m, p.due_us);
	if (p.lane == 0) {
		here(m, &p);
		return;
	}
	take_off(m, &p);
	if (well || chance(m, 2))
		for (size_t i = 0; i < UNDER_WAY; i++)
			if (m->air[i].used)
				land(m, &m->air[i], well);
}

static void change(struct model *m, enum queue_action action)
{
	unsigned which = m->posts ? chance(m, m->posts) : 0;
	uint32_t changed = 0;
	err e = {0};
	if (m->posts == 0)
		return;
	slice domain = chance(m, 2) ? S("") : chance(m, 2) ? S("far.test") : S("example.test");
	if (queue_change(
		    m->f->store, &m->clock, m->ids[which], 1, action, domain, 0, S("why"), &changed, &e) < 0)
		fail_msg("%s", e.text);
	if (changed && (action == QUEUE_DROP || action == QUEUE_BOUNCE))
		m->sure[which] = false;
}

/* The program was cut off: what was under way is tried again. */
static void crash(struct model *m)
{
	err e = {0};
	for (size_t i = 0; i < UNDER_WAY; i++)
		m->air[i].used = false;
	while (queue_adopt(m->f->store, NULL, NULL, &e) == 1)
		;
	check(m);
	assert_int_equal(m->leases, 0);
}

static void rehome(struct model *m)
{
	err e = {0};
	if (m->parcels_n == 0)
		return;
	struct parcel p = m->parcels[chance(m, (unsigned)m->parcels_n)];
	if (p.lane && queue_rehome(m->f->store, &m->clock, &p, S("third.test"), &e) < 0)
		fail_msg("%s", e.text);
}

static void step(struct model *m)
{
	unsigned what = chance(m, 100);
	if (what < 25)
		post(m);
	else if (what < 75)
		hand_out(m, false);
	else if (what < 80)
		set_quota(m->f, m->bob, chance(m, 2) ? 1 : 0);
	else if (what < 95)
		change(m, (enum queue_action)chance(m, QUEUE_BOUNCE + 1));
	else if (what < 98)
		rehome(m);
	else
		crash(m);
}

/* ---- the end ---- */

static unsigned got(struct model *m, uint32_t account, unsigned number)
{
	struct mailbox_row box;
	char want[40];
	unsigned n = 0;
	snprintf(want, sizeof want, "number %u.", number);
	assert_true(read_mailbox(m->f, account, MAILBOX_INBOX, &box));
	for (uint32_t uid = 1; uid < box.uidnext; uid++) {
		struct mailbox_entry x;
		struct mailbox_message row = {.blob = 0};
		struct store_snap s = {0};
		struct store_blob b = {0};
		char text[2000];
		err e = {0};
		assert_true(read_entry(m->f, account, MAILBOX_INBOX, uid, &x));
		assert_true(read_message(m->f, account, x.message, &row));
		assert_int_equal(store_snap_begin(m->f->store, &s, &e), 0);
		assert_int_equal(store_blob_find(&s, row.blob, &b, &e), 1);
		store_snap_end(&s);
		size_t len = b.length < sizeof text ? (size_t)b.length : sizeof text;
		assert_int_equal(store_blob_read(&b, 0, text, len, &e), 0);
		n += slice_find(slice_make(text, len), slice_of(want)) >= 0;
		store_blob_release(&b);
	}
	return n;
}

static void drain(struct model *m, bool ledger)
{
	set_quota(m->f, m->bob, 0);
	crash(m);
	for (unsigned i = 0; i < m->posts; i++) {
		uint32_t changed;
		err e = {0};
		assert_int_equal(queue_change(m->f->store, &m->clock, m->ids[i], 1, QUEUE_RELEASE, S(""), 0,
					 S(""), &changed, &e),
			0);
	}
	check(m);
	for (unsigned i = 0; i < 20000 && m->parcels_n; i++) {
		hand_out(m, true);
		check(m);
	}
	assert_int_equal(m->parcels_n, 0);
	assert_true(m->messages == 0 && m->recipients == 0 && m->leases == 0);
	for (unsigned i = 0; ledger && i < m->posts; i++) {
		unsigned n = got(m, m->bob, i);
		if (n > 1 || (m->sure[i] && n != m->for_bob[i]))
			fail_msg("message %u: bob has %u, want %u", i, n, m->for_bob[i]);
	}
}

static void run(struct fixture *f)
{
	const slice targets[] = {S("carol@example.test"), S("bob@example.test"), S("x@far.test")};
	const uint64_t *seed = f->arg;
	struct model *m = calloc(1, sizeof *m);
	bool ledger = *seed % 3 != 0;
	err e = {0};
	assert_non_null(m);
	m->parcels = calloc(PARCELS, sizeof *m->parcels);
	assert_non_null(m->parcels);
	m->f = f;
	m->random = *seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	queue_clock_start(&m->clock, 0, 0);
	m->policy = (struct retry_policy){
		60 * S_US, 3600 * S_US, (ledger ? 1000000 : 2) * (3600 * S_US), 100 * S_US};
	m->alice = make_account(f, "alice", "example.test");
	m->bob = make_account(f, "bob", "example.test");
	m->carol = make_account(f, "carol", "example.test");
	assert_int_equal(alias_set(f->store, S("all"), S("example.test"), targets, 3, NULL, 0, &e), 0);
	for (unsigned i = 0; i < STEPS; i++) {
		step(m);
		check(m);
	}
	drain(m, ledger);
	free(m->parcels);
	free(m);
}

static void random_test(void **state)
{
	const char *from = getenv("POSTHOUSE_SEED");
	(void)state;
	for (uint64_t seed = 1; seed <= (from ? 1 : 9); seed++) {
		uint64_t use = from ? strtoull(from, NULL, 10) : seed;
		print_message("seed %llu\n", (unsigned long long)use);
		fixture_each(run, &use);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_test)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The queue's rows in a store: parcels, leases, what people do to messages, events, and ids as people type
 * them. */
#include "base/clock.h"
#include "base/encode.h"
#include "base/wire.h"
#include "limits.h"
#include "mailbox/fixture.h"
#include "mailbox/tx.h"
#include "queue/event.h"
#include "queue/queue.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct queue_clock queue_time;

struct add { /* one message in an intent */
	uint8_t id[16];
	const char *const *recipients; /* NULL ends */
	int64_t later_us;
	uint32_t account;
};

static int add_run(struct store_tx *tx, void *arg, err *e)
{
	struct add *a = arg;
	struct queue_message m = {.sender = S("s@example.test"),
		.account = a->account,
		.size = 4,
		.arrival_us = queue_clock_now(&queue_time)};
	if (store_tx_blob(tx, S("body"), &m.blob, e) < 0)
		return -1;
	store_tx_queue_id(tx, a->id);
	for (uint32_t i = 0; a->recipients[i]; i++) {
		slice address = slice_of(a->recipients[i]),
		      domain = slice_skip(address, (size_t)slice_rfind_c(address, '@') + 1);
		struct queue_recipient r = {.address = address,
			.domain = domain,
			.state = QUEUE_WAITING,
			.due_us = m.arrival_us + a->later_us,
			.rank = queue_rank(0, false)};
		if (queue_tx_put(tx, a->id, queue_lane(domain), i, a->account, &r, e) < 0)
			return -1;
		m.recipients = m.open = i + 1;
	}
	return queue_tx_add(tx, a->id, &m, e);
}

static void add(struct fixture *f, struct add *a)
{
	err e = {0};
	if (store_commit(f->store, add_run, a, &e) < 0)
		fail_msg("%s", e.text);
}

static int take_all(void *arg, const struct parcel *p)
{
	(void)arg;
	(void)p;
	return 1;
}

static size_t load(
	struct fixture *f, const char *domain, size_t max, int64_t ahead_us, struct parcel *v, int64_t *next)
{
	struct store_snap s = {0};
	err e = {0};
	struct queue_load l = {.lane = queue_lane(slice_of(domain)),
		.now_us = queue_clock_now(&queue_time) + ahead_us,
		.take = take_all,
		.ret = v,
		.max = max};
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(queue_load(&s, &l, &e), 0);
	store_snap_end(&s);
	*next = l.ret_next_due;
	return l.ret_n;
}

static struct queue_counters counters(struct fixture *f)
{
	struct queue_counters c;
	struct store_snap s = {0};
	err e = {0};
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(queue_count(&s, &c, &e), 0);
	store_snap_end(&s);
	return c;
}

static uint32_t change(struct fixture *f, const uint8_t id[16], enum queue_action action, const char *domain)
{
	uint32_t changed = 99;
	err e = {0};
	if (queue_change(f->store, &queue_time, id, 1, action, slice_of(domain), 0, S("why"), &changed, &e) <
		0)
		fail_msg("%s", e.text);
	return changed;
}

static const char *const three[] = {"a@one.test", "b@one.test", "c@two.test", NULL};

static void parcels(struct fixture *f)
{
	struct add first = {.recipients = three}, later = {.recipients = three, .later_us = 3600000000};
	struct parcel v[8];
	int64_t next;
	queue_clock_start(&queue_time, 0, 0);
	add(f, &first);
	add(f, &later);
	/* Two recipients of one domain are one parcel. */
	assert_int_equal(load(f, "one.test", 8, 0, v, &next), 1);
	assert_memory_equal(v[0].id, first.id, 16);
	assert_true(next > queue_clock_now(&queue_time) + 3500000000);
	assert_int_equal(load(f, "two.test", 8, 7200000000, v, &next), 2);
	assert_int_equal(next, INT64_MAX);
	assert_int_equal(load(f, "two.test", 1, 7200000000, v, &next), 1);
	assert_true(next != INT64_MAX);
	assert_int_equal(load(f, "three.test", 8, 0, v, &next), 0);
	struct queue_counters c = counters(f);
	assert_true(c.messages == 2 && c.recipients == 6);
}

static bool see_lane(void *arg, uint64_t lane, int64_t due_us)
{
	uint64_t *sum = arg;
	sum[0]++;
	sum[1] ^= lane;
	sum[2] += due_us <= queue_clock_now(&queue_time) ? 1 : 0;
	return true;
}

static void lanes(struct fixture *f)
{
	static const char *const names[] = {"x@one.test", "x@two.test", "x@three.test", "x@four.test"};
	uint64_t sum[3] = {0}, want = 0;
	struct queue_look l = {.see = see_lane, .arg = sum};
	struct store_snap s = {0};
	err e = {0};
	queue_clock_start(&queue_time, 0, 0);
	for (size_t i = 0; i < 4; i++) {
		const char *const to[] = {names[i], NULL};
		struct add a = {.recipients = to, .later_us = i == 3 ? 1000000000 : 0};
		want ^= queue_lane(slice_skip(slice_of(names[i]), 2));
		for (int k = 0; k < 5; k++)
			add(f, &a);
	}
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(queue_look(&s, &l, &e), 0);
	store_snap_end(&s);
	assert_true(sum[0] == 4 && sum[1] == want && sum[2] == 3);
}

struct seen {
	unsigned n;
	char last[64];
};

static void see_doubt(void *arg, const uint8_t id[16], slice address)
{
	struct seen *s = arg;
	(void)id;
	s->n++;
	snprintf(s->last, sizeof s->last, "%.*s", (int)address.n, address.p);
}

static void leases(struct fixture *f)
{
	struct add a = {.recipients = three};
	struct parcel v[3], w;
	struct seen seen = {0};
	bool gone[3];
	uint64_t lease, other;
	int64_t next;
	err e = {0};
	queue_clock_start(&queue_time, 0, 0);
	add(f, &a);
	assert_int_equal(load(f, "one.test", 1, 0, &v[0], &next), 1);
	assert_int_equal(load(f, "two.test", 1, 0, &v[1], &next), 1);
	v[2] = v[1];
	v[2].due_us++; /* no such parcel */
	assert_int_equal(queue_lease(f->store, &queue_time, v, 3, gone, &lease, &e), 0);
	assert_true(!gone[0] && !gone[1] && gone[2]);
	assert_int_equal(queue_lease(f->store, &queue_time, v, 1, gone, &other, &e), 0);
	assert_true(other != lease);
	assert_int_equal(queue_lease_end(f->store, other, &e), 0);
	/* What is dropped is in no doubt any more. */
	assert_int_equal(change(f, a.id, QUEUE_DROP, "two.test"), 1);
	assert_int_equal(queue_adopt(f->store, see_doubt, &seen, &e), 0);
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.last, "b@one.test");
	assert_int_equal(queue_adopt(f->store, see_doubt, &seen, &e), 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(load(f, "one.test", 1, 0, &w, &next), 1);
}

static void changes(struct fixture *f)
{
	struct add a = {.recipients = three, .later_us = 3600000000, .account = 5};
	struct store_snap s = {0};
	struct queue_message m;
	struct queue_found *all;
	struct parcel v[4];
	uint32_t changed;
	int64_t next;
	size_t n;
	err e = {0};
	queue_clock_start(&queue_time, 0, 0);
	add(f, &a);
	assert_int_equal(load(f, "one.test", 4, 0, v, &next), 0);
	assert_int_equal(change(f, a.id, QUEUE_RETRY, "one.test"), 2);
	assert_int_equal(load(f, "one.test", 4, 0, v, &next), 1);
	assert_int_equal(next, INT64_MAX); /* the old parcel is gone */
	assert_int_equal(change(f, a.id, QUEUE_HOLD, ""), 3);
	assert_int_equal(change(f, a.id, QUEUE_HOLD, ""), 0);
	assert_int_equal(load(f, "one.test", 4, 9000000000, v, &next), 0);
	assert_int_equal(load(f, "two.test", 4, 9000000000, v, &next), 0);
	assert_int_equal(change(f, a.id, QUEUE_RELEASE, "two.test"), 1);
	assert_int_equal(load(f, "two.test", 4, 0, v, &next), 1);
	/* Given back: what is to be reported waits in lane 0. */
	assert_int_equal(change(f, a.id, QUEUE_BOUNCE, "one.test"), 2);
	assert_int_equal(load(f, "", 4, 0, v, &next), 1);
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(queue_recipients(&s, f->arena, a.id, 0, 9, &all, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_true(all[0].r.state == QUEUE_FAILED && slice_eq(all[0].r.last_reply, S("why")));
	assert_int_equal(queue_get(&s, a.id, &m, &e), 1);
	assert_int_equal(m.open, 3);
	store_snap_end(&s);
	/* Somebody else's. */
	assert_int_equal(
		queue_change(f->store, &queue_time, a.id, 1, QUEUE_DROP, S(""), 6, S(""), &changed, &e), 0);
	assert_int_equal(changed, 0);
	/* Drop takes what waits; what is done stays to be reported. */
	assert_int_equal(change(f, a.id, QUEUE_DROP, ""), 1);
	struct queue_counters c = counters(f);
	assert_true(c.messages == 1 && c.recipients == 2);
	assert_true(blob_there(f, m.blob));
	struct add gone = {.recipients = three};
	add(f, &gone);
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(queue_get(&s, gone.id, &m, &e), 1);
	store_snap_end(&s);
	assert_int_equal(change(f, gone.id, QUEUE_DROP, ""), 3);
	c = counters(f);
	assert_true(c.messages == 1 && c.recipients == 2);
	assert_false(blob_there(f, m.blob));
	assert_int_equal(
		queue_change(f->store, &queue_time, gone.id, 1, QUEUE_DROP, S(""), 0, S(""), &changed, &e),
		0);
	assert_int_equal(changed, 0);
}

static void ids(struct fixture *f)
{
	struct add a = {.recipients = three}, b = {.recipients = three};
	struct store_snap s = {0};
	char text[27], other[27];
	uint8_t id[16];
	err e = {0};
	queue_clock_start(&queue_time, 0, 0);
	add(f, &a);
	add(f, &b);
	base32_id(a.id, text);
	base32_id(b.id, other);
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(queue_find(&s, slice_of(text), id, &e), 1);
	assert_memory_equal(id, a.id, 16);
	assert_int_equal(queue_find(&s, slice_of(other), id, &e), 1);
	assert_memory_equal(id, b.id, 16);
	assert_int_equal(queue_find(&s, slice_make(text, 4), id, &e), 2);
	size_t same = 0;
	while (text[same] == other[same])
		same++;
	assert_int_equal(queue_find(&s, slice_make(text, same), id, &e), 2);
	assert_int_equal(queue_find(&s, slice_make(text, same + 1), id, &e), 1);
	assert_int_equal(queue_find(&s, S("7zzz"), id, &e), 0);
	assert_int_equal(queue_find(&s, S("!"), id, &e), 0);
	assert_int_equal(queue_find(&s, S(""), id, &e), 0);
	store_snap_end(&s);
}

static bool see_event(void *arg, const uint8_t id[16], const struct event *ev)
{
	struct buf *out = arg;
	struct event walk = *ev;
	enum event_field field;
	slice text;
	(void)id;
	buf_addz(out, queue_event_name(ev->kind));
	while (event_next(&walk, &field, &text)) {
		buf_addf(out, " %s=", event_field_name(field));
		buf_add(out, text);
	}
	buf_add_c(out, ';');
	return true;
}

static void events(struct fixture *f)
{
	struct add a = {.recipients = three};
	struct store_snap s = {0};
	struct buf out = BUF_INIT(4096);
	struct event_walk w = {.see = see_event, .arg = &out};
	err e = {0};
	queue_clock_start(&queue_time, 0, 0);
	add(f, &a);
	change(f, a.id, QUEUE_HOLD, "two.test");
	change(f, a.id, QUEUE_RELEASE, "");
	memcpy(w.low, a.id, 16);
	memcpy(w.high, a.id, 16);
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(event_walk(&s, &w, &e), 0);
	store_snap_end(&s);
	buf_add_c(&out, 0);
	assert_string_equal(
		out.p, "held recipient=c@two.test reply=why;released recipient=c@two.test reply=why;");
	/* Old ones go. */
	assert_int_equal(event_sweep(f->store, clock_wall_us() - 60000000, &e), 0);
	buf_reset(&out);
	w.after_n = 0;
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(event_walk(&s, &w, &e), 0);
	store_snap_end(&s);
	assert_true(out.n > 0);
	assert_int_equal(event_sweep(f->store, clock_wall_us() + 60000000, &e), 0);
	buf_reset(&out);
	w.after_n = 0;
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(event_walk(&s, &w, &e), 0);
	store_snap_end(&s);
	assert_int_equal(out.n, 0);
	buf_free(&out);
}

/* ---- rows of format 2 ---- */

static int old_put(struct store_tx *tx, const char *head, size_t n, const uint8_t id[16], int recipient,
	const struct buf *row, err *e)
{
	char key[64];
	memcpy(key, head, n);
	memcpy(key + n, id, 16);
	n += 16;
	if (recipient >= 0) {
		be32_put(key + n, (uint32_t)recipient);
		n += 4;
	}
	return store_tx_put(tx, slice_make(key, n), buf_slice(row), e);
}

static int old_run(struct store_tx *tx, void *arg, err *e)
{
	static const struct {
		uint8_t state;
		const char *address;
	} rows[] = {{1, "a@one.test"}, {2, "sent@one.test"}, {3, "gone@here.test"}, {4, "held@two.test"},
		{1, "b@here.test"}};
	struct add *a = arg;
	struct buf row = BUF_INIT(1000);
	uint64_t blob;
	if (store_tx_blob(tx, S("body"), &blob, e) < 0 ||
		blob_tx_hold(tx, blob, 0, be64_get(a->id + 8), e) < 0)
		return -1;
	wire_put_u8(&row, 1);
	wire_put_u8(&row, RET_HDRS);
	wire_put_u8(&row, QUEUE_8BIT);
	wire_put_bytes(&row, S("s@here.test"));
	wire_put_bytes(&row, S("env"));
	wire_put_var(&row, blob);
	wire_put_var(&row, 4);
	wire_put_var(&row, 7);
	wire_put_var(&row, COUNT_OF(rows));
	wire_put_u64(&row, 12345);
	if (old_put(tx, "Q\1", 2, a->id, -1, &row, e) < 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		buf_reset(&row);
		wire_put_u8(&row, 1);
		wire_put_u8(&row, rows[i].state);
		wire_put_u8(&row, NOTIFY_FAILURE);
		wire_put_var(&row, 0);
		wire_put_u64(&row, 12345);
		wire_put_bytes(&row, slice_of(rows[i].address));
		wire_put_bytes(&row, S(""));
		wire_put_bytes(&row, S("550 5.1.1 x"));
		if (old_put(tx, "Q\2", 2, a->id, (int)i, &row, e) < 0)
			return -1;
	}
	buf_reset(&row);
	wire_put_u8(&row, 1);
	int rc = old_put(tx, "Q\0\0\0\0\0\0\0\x30\x39", 10, a->id, -1, &row, e);
	buf_free(&row);
	return rc;
}

static void upgrades(struct fixture *f)
{
	struct add a = {.id = {9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 2, 3, 4, 5, 6, 7}};
	struct store_snap s = {0};
	struct queue_message m;
	struct queue_found *all;
	struct parcel v[4];
	int64_t next;
	size_t n;
	err e = {0};
	queue_clock_start(&queue_time, 0, 0);
	make_account(f, "b", "here.test");
	assert_int_equal(queue_upgrade(f->store, &e), 0);
	if (store_commit(f->store, old_run, &a, &e) < 0)
		fail_msg("%s", e.text);
	for (int i = 0; i < 2; i++)
		if (queue_upgrade(f->store, &e) != 0)
			fail_msg("%s", e.text);
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(queue_get(&s, a.id, &m, &e), 1);
	assert_true(m.open == 4 && m.account == 7 && m.ret == RET_HDRS && m.arrival_us == 12345);
	assert_int_equal(queue_recipients(&s, f->arena, a.id, UINT64_MAX, 9, &all, &n, &e), 0);
	assert_int_equal(n, 4);
	assert_true(all[0].lane == 0 && all[0].r.state == QUEUE_FAILED &&
		    slice_eq(all[0].r.address, S("gone@here.test")));
	assert_true(all[1].lane == 0 && all[1].r.state == QUEUE_WAITING &&
		    slice_eq(all[1].r.domain, S("here.test")));
	store_snap_end(&s);
	assert_int_equal(load(f, "one.test", 4, 0, v, &next), 1);
	assert_int_equal(load(f, "two.test", 4, 0, v, &next), 0);
	assert_int_equal(load(f, "", 4, 0, v, &next), 1);
	assert_int_equal(change(f, a.id, QUEUE_DROP, ""), 3);
	struct queue_counters c = counters(f);
	assert_true(c.messages == 1 && c.recipients == 1);
}

/* Steps of the wall clock change nothing; a stop counts by the wall. */
static void clock_steps(void **state)
{
	(void)state;
	const int64_t t0 = INT64_C(1767225600000000), year = INT64_C(31536000000000);
	struct queue_clock c;
	clock_fake(1000, t0);
	queue_clock_start(&c, 0, 0);
	assert_int_equal(queue_clock_now(&c), t0);
	clock_fake(61000, t0 + 10 * year);
	assert_int_equal(queue_clock_now(&c), t0 + 60000000);
	assert_int_equal(queue_clock_to_wall(&c, t0), t0 + 10 * year - 60000000);
	clock_fake(62000, t0 - 10 * year);
	assert_int_equal(queue_clock_now(&c), t0 + 61000000);
	clock_fake(5, t0 + 3600000000);
	queue_clock_start(&c, t0 + 61000000, t0 + 60000000);
	assert_int_equal(queue_clock_now(&c), t0 + 61000000 + 3540000000);
	clock_fake(5, t0 - year); /* the wall went back while we were away: no time has passed */
	queue_clock_start(&c, t0 + 61000000, t0 + 60000000);
	assert_int_equal(queue_clock_now(&c), t0 + 61000000);
	clock_fake(0, 0);
}

static int flood_run(struct store_tx *tx, void *arg, err *e)
{
	const struct add *a = arg;
	for (uint32_t i = 0; i <= LIMIT_QUEUE_PASSED + 1; i++) {
		struct parcel p = {
			.lane = 7, .rank = 9, .due_us = 1000 + i, .account = i <= LIMIT_QUEUE_PASSED};
		memcpy(p.id, a->id, 16);
		if (queue_tx_parcel_put(tx, &p, e) < 0)
			return -1;
	}
	return 0;
}

static int take_strangers(void *arg, const struct parcel *p)
{
	*(size_t *)arg += 1;
	return p->account ? -1 : 1;
}

/* One account's flood costs a load a bounded time. */
static void flood(struct fixture *f)
{
	f->damaged = true; /* parcels alone */
	struct add a = {.account = 1};
	struct parcel v[2];
	struct store_snap s = {0};
	size_t asked = 0;
	err e = {0};
	struct queue_load l = {
		.lane = 7, .now_us = 1000000, .take = take_strangers, .arg = &asked, .ret = v, .max = 2};
	if (store_commit(f->store, flood_run, &a, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(queue_load(&s, &l, &e), 0);
	store_snap_end(&s);
	assert_true(l.ret_n == 0 && l.ret_skipped && l.ret_next_due == 1000);
	assert_int_equal(asked, LIMIT_QUEUE_PASSED);
}

#define EACH(name)                                                                                           \
	static void name##_test(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		fixture_each(name, NULL);                                                                    \
	}
EACH(parcels)
EACH(flood)
EACH(lanes)
EACH(leases)
EACH(changes)
EACH(ids)
EACH(events)
EACH(upgrades)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parcels_test),
		cmocka_unit_test(flood_test),
		cmocka_unit_test(lanes_test),
		cmocka_unit_test(leases_test),
		cmocka_unit_test(changes_test),
		cmocka_unit_test(ids_test),
		cmocka_unit_test(events_test),
		cmocka_unit_test(upgrades_test),
		cmocka_unit_test(clock_steps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

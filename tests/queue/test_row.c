/* Queue rows: there and back, in order, and damaged. */
#include "limits.h"
#include "queue/row.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static void message_row(void **state)
{
	(void)state;
	struct queue_message m = {.sender = S("a@example.test"),
		.envelope_id = S("env 1"),
		.ret = RET_HDRS,
		.flags = QUEUE_8BIT | QUEUE_SMTPUTF8,
		.blob = UINT64_C(1) << 40,
		.size = 5000,
		.account = 7,
		.recipients = 3,
		.open = 2,
		.priority = -9,
		.by_us = INT64_C(1767225600000009),
		.arrival_us = INT64_C(1767225600000000)};
	struct queue_message got;
	struct buf b = BUF_INIT(1000);
	err e;
	queue_message_encode(&b, &m);
	assert_int_equal(queue_message_decode(buf_slice(&b), &got, &e), 0);
	assert_true(slice_eq(got.sender, m.sender) && slice_eq(got.envelope_id, m.envelope_id));
	assert_true(got.ret == m.ret && got.flags == m.flags && got.blob == m.blob && got.size == m.size);
	assert_true(got.open == 2 && got.priority == -9 && got.by_us == m.by_us);
	assert_true(got.account == 7 && got.recipients == 3 && got.arrival_us == m.arrival_us);
	for (size_t n = 0; n < b.n; n++) {
		char *cut = malloc(n ? n : 1);
		memcpy(cut, b.p, n);
		assert_int_equal(queue_message_decode(slice_make(cut, n), &got, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		free(cut);
	}
	assert_int_equal(got.start_us, got.arrival_us);
	m.start_us = m.arrival_us + 1;
	buf_reset(&b);
	queue_message_encode(&b, &m);
	assert_int_equal(queue_message_decode(buf_slice(&b), &got, &e), 0);
	assert_int_equal(got.start_us, m.start_us);
	buf_free(&b);
}

static void recipient_row(void **state)
{
	(void)state;
	struct queue_recipient q = {.address = S("b@far.test"),
		.original = S("rfc822;b@far.test"),
		.notify = NOTIFY_FAILURE | NOTIFY_DELAY,
		.state = QUEUE_HELD,
		.domain = S("far.test"),
		.via = S("me@example.test"),
		.host = S("mx.far.test"),
		.code = 451,
		.status = {4, 0, 0},
		.flags = QUEUE_DELAY_TOLD,
		.rank = 137,
		.tried_us = 5,
		.attempts = 300,
		.due_us = INT64_C(1767225600000001),
		.last_reply = S("451 4.0.0 later")};
	struct queue_recipient got;
	struct buf b = BUF_INIT(1000);
	err e;
	queue_recipient_encode(&b, &q);
	assert_int_equal(queue_recipient_decode(buf_slice(&b), &got, &e), 0);
	assert_true(slice_eq(got.address, q.address) && slice_eq(got.original, q.original));
	assert_true(slice_eq(got.last_reply, q.last_reply) && got.notify == q.notify && got.state == q.state);
	assert_true(slice_eq(got.domain, q.domain) && slice_eq(got.via, q.via) && slice_eq(got.host, q.host));
	assert_true(got.code == 451 && got.status[0] == 4 && got.flags == QUEUE_DELAY_TOLD);
	assert_true(got.rank == 137 && got.tried_us == 5);
	assert_true(got.attempts == 300 && got.due_us == q.due_us);
	b.p[1] = 9; /* no such state */
	assert_int_equal(queue_recipient_decode(buf_slice(&b), &got, &e), -1);
	buf_free(&b);
}

/* In a lane parcels sort by rank, then by time, whatever their ids. */
static void keys(void **state)
{
	(void)state;
	char a[QUEUE_KEY_MAX], b[QUEUE_KEY_MAX];
	struct parcel low = {.lane = 7, .rank = 9, .due_us = 1000}, high = low, got;
	uint8_t other[16];
	uint64_t lane;
	uint32_t n;
	memset(low.id, 255, 16);
	memcpy(high.id, id, 16);
	high.due_us = 1001;
	assert_true(slice_cmp(queue_key_parcel(a, &low), queue_key_parcel(b, &high)) < 0);
	high.rank = 8;
	assert_true(slice_cmp(queue_key_parcel(a, &low), queue_key_parcel(b, &high)) > 0);
	assert_true(queue_key_parcel_read(queue_key_parcel(a, &low), &got));
	assert_true(got.lane == 7 && got.rank == 9 && got.due_us == 1000 && memcmp(got.id, low.id, 16) == 0);
	assert_true(slice_starts(queue_key_parcel(a, &low), queue_key_lane(b, 7)));
	assert_true(slice_cmp(queue_key_recipient(a, id, 1, 9), queue_key_recipient(b, id, 1, 10)) < 0);
	assert_true(queue_key_recipient_read(queue_key_recipient(a, id, 5, 9), other, &lane, &n));
	assert_true(lane == 5 && n == 9 && memcmp(other, id, 16) == 0);
	assert_false(queue_key_parcel_read(queue_key_message(a, id), &got));
	assert_true(queue_rank(9, false) == 0 && queue_rank(-9, false) < queue_rank(9, true));
	assert_true(queue_lane(S("")) == 0 && queue_lane(S("a.test")) != queue_lane(S("b.test")));
}

static void leases(void **state)
{
	(void)state;
	struct parcel v[LIMIT_LEASE], got[LIMIT_LEASE];
	struct buf b = BUF_INIT(10000);
	size_t n;
	err e;
	for (size_t i = 0; i < LIMIT_LEASE; i++) {
		v[i] = (struct parcel){.lane = i * 77, .rank = (uint8_t)i, .due_us = (int64_t)i << 40};
		memcpy(v[i].id, id, 16);
	}
	queue_lease_encode(&b, v, LIMIT_LEASE);
	assert_int_equal(queue_lease_decode(buf_slice(&b), got, &n, &e), 0);
	assert_int_equal(n, LIMIT_LEASE);
	assert_true(got[63].lane == v[63].lane && got[63].due_us == v[63].due_us && got[63].rank == 63);
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(queue_lease_decode(slice_make(b.p, i), got, &n, &e), -1);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_row),
		cmocka_unit_test(recipient_row),
		cmocka_unit_test(keys),
		cmocka_unit_test(leases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

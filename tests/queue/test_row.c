/* Queue rows: there and back, in order, and damaged. */
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
		.arrival_us = INT64_C(1767225600000000)};
	struct queue_message got;
	struct buf b = BUF_INIT(1000);
	err e;
	queue_message_encode(&b, &m);
	assert_int_equal(queue_message_decode(buf_slice(&b), &got, &e), 0);
	assert_true(slice_eq(got.sender, m.sender) && slice_eq(got.envelope_id, m.envelope_id));
	assert_true(got.ret == m.ret && got.flags == m.flags && got.blob == m.blob && got.size == m.size);
	assert_true(got.account == 7 && got.recipients == 3 && got.arrival_us == m.arrival_us);
	for (size_t n = 0; n < b.n; n++) {
		char *cut = malloc(n ? n : 1);
		memcpy(cut, b.p, n);
		assert_int_equal(queue_message_decode(slice_make(cut, n), &got, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		free(cut);
	}
	buf_free(&b);
}

static void recipient_row(void **state)
{
	(void)state;
	struct queue_recipient q = {.address = S("b@far.test"),
		.original = S("rfc822;b@far.test"),
		.notify = NOTIFY_FAILURE | NOTIFY_DELAY,
		.state = QUEUE_HELD,
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
	assert_true(got.attempts == 300 && got.due_us == q.due_us);
	b.p[1] = 9; /* no such state */
	assert_int_equal(queue_recipient_decode(buf_slice(&b), &got, &e), -1);
	buf_free(&b);
}

/* Due rows sort by time, whatever their ids. */
static void keys(void **state)
{
	(void)state;
	char a[QUEUE_KEY_MAX], b[QUEUE_KEY_MAX];
	uint8_t high[16];
	memset(high, 255, sizeof high);
	assert_true(slice_cmp(queue_key_due(a, 1000, high), queue_key_due(b, 1001, id)) < 0);
	assert_true(slice_cmp(queue_key_recipient(a, id, 9), queue_key_recipient(b, id, 10)) < 0);
	assert_true(slice_cmp(queue_key_due(a, INT64_MAX, high), queue_key_message(b, id)) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_row),
		cmocka_unit_test(recipient_row),
		cmocka_unit_test(keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

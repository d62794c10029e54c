/* What becomes of a recipient after a try. */
#include "base/cleanup.h"
#include "queue/retry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S_US INT64_C(1000000)
#define MIN  (60 * S_US)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)
#define T0   (INT64_C(1767225600) * S_US)

static const struct retry_policy usual = {MIN, 4 * HOUR, 5 * DAY, 4 * HOUR};

static void table(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		bool null_sender;
		uint8_t message_flags, notify, flags;
		uint32_t attempts;
		int64_t age, by, start;
		enum retry_outcome outcome;
		enum refusal refusal;
		bool dsn_passed;
		/* expected */
		enum queue_state state;
		bool report, delay, expired;
		int64_t least, most; /* of the wait */
	} cases[] = {
		{.what = "sent", .outcome = RETRY_SENT, .state = QUEUE_RELAYED},
		{.what = "sent, success asked for",
			.notify = NOTIFY_SUCCESS,
			.outcome = RETRY_SENT,
			.state = QUEUE_RELAYED,
			.report = true},
		{.what = "sent, the next server tells",
			.notify = NOTIFY_SUCCESS,
			.dsn_passed = true,
			.outcome = RETRY_SENT,
			.state = QUEUE_RELAYED},
		{.what = "refused", .outcome = RETRY_REFUSED, .state = QUEUE_FAILED, .report = true},
		{.what = "refused, NEVER",
			.notify = NOTIFY_NEVER,
			.outcome = RETRY_REFUSED,
			.state = QUEUE_FAILED},
		{.what = "refused, only DELAY",
			.notify = NOTIFY_DELAY,
			.outcome = RETRY_REFUSED,
			.state = QUEUE_FAILED},
		{.what = "refused, null sender",
			.null_sender = true,
			.outcome = RETRY_REFUSED,
			.state = QUEUE_FAILED},
		{.what = "our report refused",
			.null_sender = true,
			.message_flags = QUEUE_REPORT,
			.outcome = RETRY_REFUSED,
			.state = QUEUE_FAILED,
			.report = true},
		{.what = "first later",
			.outcome = RETRY_LATER,
			.state = QUEUE_WAITING,
			.least = MIN * 3 / 4,
			.most = MIN * 5 / 4},
		{.what = "third later",
			.attempts = 2,
			.outcome = RETRY_LATER,
			.state = QUEUE_WAITING,
			.least = 3 * MIN,
			.most = 5 * MIN},
		{.what = "many",
			.attempts = 400,
			.outcome = RETRY_LATER,
			.state = QUEUE_WAITING,
			.least = 3 * HOUR,
			.most = 5 * HOUR},
		{.what = "greylisted",
			.outcome = RETRY_LATER,
			.refusal = REFUSAL_GREY,
			.state = QUEUE_WAITING,
			.least = 4 * MIN,
			.most = 8 * MIN},
		{.what = "old enough for a notice",
			.attempts = 5,
			.age = 4 * HOUR,
			.outcome = RETRY_LATER,
			.state = QUEUE_WAITING,
			.delay = true,
			.least = 24 * MIN,
			.most = 40 * MIN},
		{.what = "told before",
			.flags = QUEUE_DELAY_TOLD,
			.attempts = 5,
			.age = 4 * HOUR,
			.outcome = RETRY_LATER,
			.state = QUEUE_WAITING,
			.least = 24 * MIN,
			.most = 40 * MIN},
		{.what = "does not want a notice",
			.notify = NOTIFY_FAILURE,
			.attempts = 5,
			.age = 4 * HOUR,
			.outcome = RETRY_LATER,
			.state = QUEUE_WAITING,
			.least = 24 * MIN,
			.most = 40 * MIN},
		{.what = "last hour",
			.attempts = 100,
			.age = 5 * DAY - HOUR,
			.flags = QUEUE_DELAY_TOLD,
			.outcome = RETRY_LATER,
			.state = QUEUE_WAITING,
			.least = HOUR,
			.most = HOUR},
		{.what = "expired",
			.attempts = 30,
			.age = 5 * DAY,
			.outcome = RETRY_LATER,
			.state = QUEUE_FAILED,
			.report = true,
			.expired = true},
		{.what = "no try never expires",
			.age = 9 * DAY,
			.outcome = RETRY_NO_TRY,
			.state = QUEUE_WAITING,
			.least = MIN / 8,
			.most = MIN},
		{.what = "no try, but BY R over",
			.message_flags = QUEUE_BY_RETURN,
			.age = HOUR,
			.by = HOUR,
			.outcome = RETRY_NO_TRY,
			.state = QUEUE_FAILED,
			.report = true,
			.expired = true},
		{.what = "released late",
			.start = 9 * DAY,
			.age = 9 * DAY + MIN,
			.outcome = RETRY_LATER,
			.state = QUEUE_WAITING,
			.least = MIN * 3 / 4,
			.most = MIN * 5 / 4},
		{.what = "released late, and old",
			.start = 9 * DAY,
			.age = 14 * DAY,
			.outcome = RETRY_LATER,
			.state = QUEUE_FAILED,
			.report = true,
			.expired = true},
		{.what = "BY N soon",
			.attempts = 5,
			.age = HOUR,
			.by = HOUR + MIN,
			.outcome = RETRY_LATER,
			.state = QUEUE_WAITING,
			.least = MIN,
			.most = MIN},
		{.what = "BY R over",
			.message_flags = QUEUE_BY_RETURN,
			.age = HOUR,
			.by = HOUR,
			.outcome = RETRY_LATER,
			.state = QUEUE_FAILED,
			.report = true,
			.expired = true},
		{.what = "BY N over",
			.age = HOUR,
			.by = HOUR,
			.outcome = RETRY_LATER,
			.state = QUEUE_WAITING,
			.delay = true,
			.least = MIN * 3 / 4,
			.most = MIN * 5 / 4},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		for (uint64_t chance = 0; chance < 5; chance++) {
			struct queue_message m = {.flags = cases[i].message_flags, .arrival_us = T0};
			struct queue_recipient r = {.notify = cases[i].notify,
				.flags = cases[i].flags,
				.attempts = cases[i].attempts,
				.state = QUEUE_WAITING};
			struct retry_try t = {.outcome = cases[i].outcome,
				.refusal = {cases[i].refusal, "", NULL},
				.dsn_passed = cases[i].dsn_passed};
			struct retry_next next;
			int64_t now = T0 + cases[i].age;
			if (!cases[i].null_sender)
				m.sender = S("a@example.test");
			if (cases[i].start)
				m.start_us = T0 + cases[i].start;
			if (cases[i].by)
				m.by_us = T0 + cases[i].by;
			retry_decide(&usual, &m, &r, &t, chance * UINT64_C(0x3333333333333333), now, &next);
			if (next.state != cases[i].state || next.report != cases[i].report ||
				next.delay != cases[i].delay || next.expired != cases[i].expired)
				fail_msg("%s: state %d report %d delay %d expired %d", cases[i].what,
					(int)next.state, next.report, next.delay, next.expired);
			if (next.state == QUEUE_WAITING &&
				(next.due_us - now < cases[i].least || next.due_us - now > cases[i].most))
				fail_msg("%s: waits %lld s", cases[i].what,
					(long long)((next.due_us - now) / S_US));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(table)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

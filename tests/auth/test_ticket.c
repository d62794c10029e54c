/* One-time tickets and the counting of guesses. */
#include "auth/guess.h"
#include "auth/ticket.h"
#include "base/cleanup.h"
#include "limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_ticket(void **state)
{
	struct tickets *t = tickets_new();
	uint8_t a[TICKET_SIZE], b[TICKET_SIZE], zero[TICKET_SIZE] = {0};
	uint32_t account = 99;
	err e;

	(void)state;
	assert_int_equal(ticket_make(t, 7, 3, 12345, 1000, a, &e), 0);
	assert_int_equal(ticket_make(t, 8, 3, 12345, 1000, b, &e), 0);
	assert_memory_not_equal(a, b, sizeof a);
	assert_int_equal(ticket_redeem(t, a, 3, 12345, 1001, &account, &e), 0);
	assert_int_equal(account, 7);
	account = 99;
	assert_int_equal(ticket_redeem(t, a, 3, 12345, 1002, &account, &e), -1); /* once */
	assert_int_equal(e.kind, ERR_DENIED);
	assert_int_equal(account, 99);
	assert_int_equal(ticket_redeem(t, b, 4, 12345, 1002, &account, &e), -1); /* another protocol */
	assert_int_equal(ticket_redeem(t, b, 3, 12345, 1002, &account, &e), -1); /* which used it up */
	assert_int_equal(ticket_make(t, 8, 3, 12345, 1000, b, &e), 0);
	assert_int_equal(ticket_redeem(t, b, 3, 12346, 1002, &account, &e), -1); /* another session */
	assert_int_equal(ticket_make(t, 8, 3, 0, 1000, b, &e), 0);
	assert_int_equal(ticket_redeem(t, b, 3, 0, 1000 + TICKET_TTL_MS, &account, &e), -1); /* too late */
	assert_int_equal(ticket_make(t, 8, 3, 0, 1000, b, &e), 0);
	assert_int_equal(ticket_redeem(t, b, 3, 0, 999 + TICKET_TTL_MS, &account, &e), 0);
	assert_int_equal(ticket_redeem(t, zero, 0, 0, 1, &account, &e), -1); /* a free place is no ticket */
	tickets_free(t);
}

/* The table is bounded, holds what is promised, and is empty again a minute later. */
static void test_ticket_flood(void **state)
{
	struct tickets *t = tickets_new();
	uint8_t id[TICKET_SIZE], first[TICKET_SIZE];
	size_t made = 0;
	uint32_t account;
	err e = {0};

	(void)state;
	assert_int_equal(ticket_make(t, 42, 1, 0, 1000, first, &e), 0);
	while (made < 4 * LIMIT_TICKETS && ticket_make(t, 1, 1, 0, 1000, id, &e) == 0)
		made++;
	assert_int_equal(e.kind, ERR_TEMP);
	assert_true(made >= LIMIT_TICKETS && made < 2 * LIMIT_TICKETS);
	assert_int_equal(ticket_redeem(t, first, 1, 0, 1001, &account, &e), 0); /* nobody was pushed out */
	assert_int_equal(account, 42);
	for (size_t i = 0; i < LIMIT_TICKETS; i++)
		assert_int_equal(ticket_make(t, 1, 1, 0, 1000 + TICKET_TTL_MS, id, &e), 0);
	tickets_free(t);
}

static void v4(uint8_t out[16], uint8_t last)
{
	static const uint8_t head[15] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2};

	memcpy(out, head, 15);
	out[15] = last;
}

static void test_guess(void **state)
{
	static const uint32_t delays[] = {0, 0, 0, 0, 1000, 2000, 3000, 4000, 5000, 5000};
	struct guesses *g = guesses_new();
	uint8_t a[16], b[16];
	uint64_t now = 1000;

	(void)state;
	v4(a, 1);
	v4(b, 2);
	for (size_t i = 0; i < COUNT_OF(delays); i++) {
		assert_int_equal(guess_delay(g, a, now), delays[i]);
		guess_failed(g, a, now);
	}
	for (size_t i = COUNT_OF(delays); i < 20; i++) {
		assert_int_not_equal(guess_delay(g, a, now), GUESS_REFUSE);
		guess_failed(g, a, now);
	}
	assert_int_equal(guess_delay(g, a, now), GUESS_REFUSE);
	assert_int_equal(guess_delay(g, b, now), 0); /* the neighbour is not meant */
	assert_int_equal(guess_delay(g, a, now + 59999), GUESS_REFUSE);
	assert_int_equal(guess_delay(g, a, now + 60000), 5000);
	assert_int_equal(guess_delay(g, a, now + 17 * 60000), 0);
	for (int i = 0; i < 1000; i++)
		guess_failed(g, a, now);
	assert_int_equal(guess_delay(g, a, now + 20 * 60000), GUESS_REFUSE);
	assert_int_not_equal(guess_delay(g, a, now + 21 * 60000), GUESS_REFUSE); /* it ends */
	guess_good(g, a, now + 21 * 60000);
	assert_int_equal(guess_delay(g, a, now + 21 * 60000), 5000); /* 19 became 9 */
	guess_good(g, b, now);
	assert_int_equal(guess_delay(g, b, now), 0);
	guesses_free(g);
}

/* One IPv6 customer is one guesser, whichever of his addresses he uses. */
static void test_guess_v6(void **state)
{
	struct guesses *g = guesses_new();
	uint8_t a[16] = {0x20, 1, 0xd, 0xb8}, other[16] = {0x20, 1, 0xd, 0xb8, [7] = 1};

	(void)state;
	for (uint8_t i = 0; i < 20; i++) {
		a[15] = i;
		a[8] = (uint8_t)(i * 3);
		guess_failed(g, a, 1000);
	}
	a[12] = 77;
	assert_int_equal(guess_delay(g, a, 1000), GUESS_REFUSE);
	assert_int_equal(guess_delay(g, other, 1000), 0);
	guesses_free(g);
}

/* A flood from many addresses does not make the table forget the worst guesser. */
static void test_guess_flood(void **state)
{
	struct guesses *g = guesses_new();
	uint8_t a[16], b[16] = {0x20, 1, 0xd, 0xb8};

	(void)state;
	v4(a, 1);
	for (int i = 0; i < 30; i++)
		guess_failed(g, a, 1000);
	for (uint32_t i = 0; i < 10 * LIMIT_GUESS_ADDRESSES; i++) {
		memcpy(b + 4, &i, sizeof i);
		guess_failed(g, b, 1000);
	}
	assert_int_equal(guess_delay(g, a, 1000), GUESS_REFUSE);
	guesses_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ticket),
		cmocka_unit_test(test_ticket_flood),
		cmocka_unit_test(test_guess),
		cmocka_unit_test(test_guess_v6),
		cmocka_unit_test(test_guess_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Counting Received fields, in every chunking. */
#include "smtp/hops.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static uint32_t count(slice in, size_t cut, size_t step)
{
	struct smtp_hops h = {0};

	for (size_t at = 0; at < in.n;) {
		size_t n = at < cut ? cut - at : step;
		smtp_hops_feed(&h, slice_sub(in, at, n));
		at += n;
	}
	return h.count;
}

static void test_counts(void **state)
{
	static const struct {
		slice in;
		uint32_t count;
	} cases[] = {
		{SLICE_INIT(""), 0},
		{SLICE_INIT("\r\nReceived: in the body\r\n"), 0},
		{SLICE_INIT("Received: a\r\n\tb\r\nreceived:c\r\nRECEIVED: d\r\n\r\nReceived: x\r\n"), 3},
		{SLICE_INIT("Received"), 0},
		{SLICE_INIT("Received:"), 1},
		{SLICE_INIT("X-Received: a\r\n Received: folded\r\nReceivedx: a\r\nReceive\r\nSubject: "
			    "Received:\r\n\r\n"),
			0},
		{SLICE_INIT("not a field\r\nReceived: a\r\n\r\n"), 1},
		{SLICE_INIT("Received: a\nReceived: b\n\nReceived: c\n"), 2},
		{SLICE_INIT("Recei\nReceived: b\r\n"), 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (size_t cut = 0; cut <= cases[i].in.n; cut++)
			assert_int_equal(count(cases[i].in, cut, cases[i].in.n), cases[i].count);
		assert_int_equal(count(cases[i].in, 0, 1), cases[i].count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void test_real(void **state)
{
	uint64_t boot = clock_boot_ms();
	int64_t wall = clock_wall_us();
	const struct timespec nap = {.tv_nsec = 20000000};

	(void)state;
	assert_true(clock_wall_s() > 1735689600); /* 2025: the unit is right */
	nanosleep(&nap, NULL);
	assert_true(clock_boot_ms() >= boot + 19 && clock_boot_ms() < boot + 10000);
	assert_true(clock_wall_us() >= wall + 19000 && clock_wall_us() < wall + 10000000);
}

static void test_fake(void **state)
{
	(void)state;
	clock_fake(5000, 7000000);
	assert_int_equal(clock_boot_ms(), 5000);
	assert_int_equal(clock_wall_us(), 7000000);
	assert_int_equal(clock_wall_s(), 7);
	clock_fake(0, 1);
	assert_int_equal(clock_boot_ms(), 0);
	assert_int_equal(clock_wall_us(), 1);
	clock_fake(0, 0);
	assert_true(clock_wall_s() > 1735689600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_fake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/clock.h"
#include <stdbool.h>
#include <time.h>

static _Thread_local struct {
	bool on;
	uint64_t boot_ms;
	int64_t wall_us;
} fake;

uint64_t clock_boot_ms(void)
{
	struct timespec t;

	if (fake.on)
		return fake.boot_ms;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

int64_t clock_wall_us(void)
{
	struct timespec t;

	if (fake.on)
		return fake.wall_us;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void clock_fake(uint64_t boot_ms, int64_t wall_us)
{
	fake.on = boot_ms != 0 || wall_us != 0;
	fake.boot_ms = boot_ms;
	fake.wall_us = wall_us;
}

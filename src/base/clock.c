#include "base/clock.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

/* Mutable by design, for tests only: never set in a running role. */
static _Atomic bool fake;
static _Atomic uint64_t fake_boot_ms;
static _Atomic int64_t fake_wall_us;

static struct timespec read_clock(clockid_t id)
{
	struct timespec t = {0};

	clock_gettime(id, &t); /* cannot fail for a clock that Linux has */
	return t;
}

uint64_t clock_boot_ms(void)
{
	struct timespec t;

	if (atomic_load_explicit(&fake, memory_order_relaxed))
		return fake_boot_ms;
	t = read_clock(CLOCK_BOOTTIME);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t clock_span_us(void)
{
	struct timespec t = read_clock(CLOCK_MONOTONIC);

	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int64_t clock_wall_us(void)
{
	struct timespec t;

	if (atomic_load_explicit(&fake, memory_order_relaxed))
		return fake_wall_us;
	t = read_clock(CLOCK_REALTIME);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void clock_fake(uint64_t boot_ms, int64_t wall_us)
{
	fake_boot_ms = boot_ms;
	fake_wall_us = wall_us;
	fake = boot_ms || wall_us;
}

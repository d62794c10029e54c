/* Clocks. Deadlines use BOOTTIME, dates the wall. Tests may set both by hand. */
#pragma once
#include <stdint.h>

uint64_t clock_boot_ms(void);
uint64_t clock_span_us(void); /* for measuring how long something takes; never faked */
int64_t clock_wall_us(void);  /* microseconds since 1970 UTC */
static inline int64_t clock_wall_s(void)
{
	return clock_wall_us() / 1000000;
}
/* Test only: from now on both clocks stand where they are put; 0, 0 sets them free again. */
void clock_fake(uint64_t boot_ms, int64_t wall_us);

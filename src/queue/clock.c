#include "queue/clock.h"
#include "base/clock.h"
#include <stdatomic.h>

static int64_t boot_us(void)
{
	return (int64_t)clock_boot_ms() * 1000;
}

void queue_clock_start(struct queue_clock *c, int64_t mark_queue_us, int64_t mark_wall_us)
{
	int64_t wall = clock_wall_us(), now = wall;
	if (mark_queue_us) {
		int64_t away = wall - mark_wall_us;
		now = mark_queue_us + (away > 0 ? away : 0);
	}
	atomic_store(&c->offset_us, now - boot_us());
}

int64_t queue_clock_now(const struct queue_clock *c)
{
	return boot_us() + atomic_load(&c->offset_us);
}

int64_t queue_clock_to_wall(const struct queue_clock *c, int64_t queue_us)
{
	return queue_us - queue_clock_now(c) + clock_wall_us();
}

int64_t queue_clock_from_wall(const struct queue_clock *c, int64_t wall_us)
{
	return wall_us - clock_wall_us() + queue_clock_now(c);
}

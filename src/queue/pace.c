#include "queue/pace.h"

void pace_start(struct pace *p, const struct pace_limits *l)
{
	*p = (struct pace){.window = l->start};
}

enum pace_state pace_state(const struct pace *p, int64_t now_us)
{
	if (p->until > now_us)
		return p->rests ? PACE_RESTS : PACE_PAUSED;
	/* After a rest one tries, when all that began before it have ended. */
	return p->under_way >= (p->rests ? 1 : p->window) ? PACE_FULL : PACE_OPEN;
}

void pace_begin(struct pace *p)
{
	p->under_way++;
	p->probing = p->rests > 0;
}

void pace_end(struct pace *p)
{
	p->under_way--;
	p->probing = false;
}

static void rest(struct pace *p, const struct pace_limits *l, int64_t now_us)
{
	int64_t length = l->rest_min;

	for (unsigned i = 0; i < p->rests && length < l->rest_max; i++)
		length *= 2;
	p->until = now_us + (length < l->rest_max ? length : l->rest_max);
	p->rests = (uint8_t)(p->rests + (p->rests < UINT8_MAX));
	p->failures = 0;
	p->window = p->window < l->start ? p->window : l->start;
}

static void fail(struct pace *p, const struct pace_limits *l, int64_t now_us)
{
	if (p->rests) { /* those that began before the rest say nothing new */
		if (p->probing)
			rest(p, l, now_us);
	} else if (++p->failures >= l->dead_after) {
		rest(p, l, now_us);
	}
}

static void slow_down(struct pace *p, const struct pace_limits *l, int64_t retry_us, int64_t now_us)
{
	if (p->rests) { /* it talks again */
		pace_wake(p);
		p->window = 1;
	} else if (p->window > 1) {
		p->window /= 2;
	} else {
		fail(p, l, now_us); /* there is no slower but a rest */
	}
	int64_t until = now_us + (retry_us < l->rest_max ? retry_us : l->rest_max);
	if (retry_us > 0 && until > p->until)
		p->until = until;
}

void pace_tell(struct pace *p, const struct pace_limits *l, enum schedule_outcome outcome, int64_t retry_us,
	int64_t now_us)
{
	switch (outcome) {
	case SCHEDULE_OK:
		if (p->rests)
			p->until = 0;
		p->rests = 0;
		p->failures = 0;
		p->window += p->window < l->most;
		break;
	case SCHEDULE_SLOW:
		slow_down(p, l, retry_us, now_us);
		break;
	case SCHEDULE_UNREACHABLE:
		fail(p, l, now_us);
		break;
	case SCHEDULE_NONE:
		break;
	}
}

void pace_wake(struct pace *p)
{
	p->until = 0;
	p->rests = 0;
	p->failures = 0;
	p->probing = false;
}

bool pace_learned(const struct pace *p, const struct pace_limits *l)
{
	return p->window != l->start || p->failures || p->rests || p->until;
}

#include "queue/retry.h"

enum { GREY_US = 300000000 };

/* What was to wait until a time is not old when that has come. */
static int64_t begins(const struct queue_message *m)
{
	return m->start_us > m->arrival_us ? m->start_us : m->arrival_us;
}

int64_t retry_end(const struct retry_policy *p, const struct queue_message *m)
{
	int64_t end = begins(m) + p->lifetime;
	return m->by_us && m->flags & QUEUE_BY_RETURN && m->by_us < end ? m->by_us : end;
}

bool retry_reports(const struct queue_message *m, const struct queue_recipient *r, enum queue_state state,
	bool dsn_passed)
{
	if (m->sender.n == 0)
		return state == QUEUE_FAILED && m->flags & QUEUE_REPORT;
	if (r->notify & NOTIFY_NEVER)
		return false;
	switch (state) {
	case QUEUE_FAILED:
		return r->notify == 0 || r->notify & NOTIFY_FAILURE;
	case QUEUE_DELIVERED:
		return r->notify & NOTIFY_SUCCESS;
	case QUEUE_RELAYED:
		return r->notify & NOTIFY_SUCCESS && !dsn_passed;
	case QUEUE_WAITING: /* a delay; by default people are told (RFC 3461 4.1 leaves it to us) */
		return r->notify == 0 || r->notify & NOTIFY_DELAY;
	case QUEUE_HELD:
		break;
	}
	return false;
}

/* +-25 % of a time, so that what failed together does not come back together. */
static int64_t jitter(int64_t us, uint64_t chance)
{
	int64_t quarter = us / 4;
	return quarter ? us - quarter + (int64_t)(chance % (uint64_t)(2 * quarter + 1)) : us;
}

static int64_t back_off(const struct retry_policy *p, const struct queue_recipient *r,
	const struct retry_try *t, uint64_t chance)
{
	int64_t wait = p->retry_min;
	for (uint32_t i = 0; i < r->attempts && wait < p->retry_max; i++)
		wait *= 2;
	if (wait > p->retry_max)
		wait = p->retry_max;
	/* A greylist lets us in after a fixed time: too early is a try lost, much later is a delay for
	   nothing. With a shorter retry-max the owner has said what he wants. */
	if (t->refusal.kind == REFUSAL_GREY && r->attempts < 3 && wait < GREY_US && p->retry_max >= GREY_US)
		wait = GREY_US + GREY_US / 4;
	return jitter(wait, chance);
}

/* DELIVERBY with mode N: the sender is told when the time is over, delivery goes on (RFC 2852 4.2). */
static bool delay_due(const struct retry_policy *p, const struct queue_message *m,
	const struct queue_recipient *r, int64_t now)
{
	if (r->flags & (QUEUE_DELAY_TOLD | QUEUE_DELAY_PENDING) || !retry_reports(m, r, QUEUE_WAITING, false))
		return false;
	if (m->by_us && !(m->flags & QUEUE_BY_RETURN) && now >= m->by_us)
		return true;
	return p->delay_notice && now - begins(m) >= p->delay_notice;
}

void retry_decide(const struct retry_policy *p, const struct queue_message *m,
	const struct queue_recipient *r, const struct retry_try *t, uint64_t chance, int64_t now_us,
	struct retry_next *ret)
{
	int64_t end = retry_end(p, m);
	*ret = (struct retry_next){.state = QUEUE_WAITING};
	if (t->outcome == RETRY_SENT) {
		ret->state = QUEUE_RELAYED;
		ret->report = retry_reports(m, r, QUEUE_RELAYED, t->dsn_passed);
		return;
	}
	/* While nobody can try it is not for us to give up, but for a promise (RFC 2852). */
	bool promised = m->by_us && m->flags & QUEUE_BY_RETURN,
	     expired = (t->outcome == RETRY_LATER || promised) && now_us >= end;
	if (t->outcome == RETRY_REFUSED || expired) {
		ret->state = QUEUE_FAILED;
		ret->expired = t->outcome != RETRY_REFUSED;
		ret->report = retry_reports(m, r, QUEUE_FAILED, false);
		return;
	}
	if (t->outcome == RETRY_NO_TRY) {
		ret->due_us = now_us + jitter(p->retry_min / 4 + 1, chance);
		return;
	}
	ret->due_us = now_us + back_off(p, r, t, chance);
	if (ret->due_us > end)
		ret->due_us = end;
	/* With mode N the notice is due at a time, too. */
	if (m->by_us > now_us && ret->due_us > m->by_us)
		ret->due_us = m->by_us;
	ret->delay = delay_due(p, m, r, now_us);
}

/* What people do to a queued message. */
#include "limits.h"
#include "queue/event.h"
#include "queue/queue.h"
#include "queue/retry.h"

struct change_job {
	const struct queue_clock *clock;
	const uint8_t *ids;
	size_t n;
	const uint8_t *id; /* the one under work */
	enum queue_action action;
	slice domain, text;
	uint32_t account, changed;
	int64_t now_us; /* one for all: recipients of a lane make one parcel */
};

static const struct action_info {
	enum queue_event event;
	bool held, waiting; /* of which state a recipient must be */
} actions[] = {
	[QUEUE_RETRY] = {EVENT_RETRIED, false, true},
	[QUEUE_HOLD] = {EVENT_HELD, false, true},
	[QUEUE_RELEASE] = {EVENT_RELEASED, true, false},
	[QUEUE_DROP] = {EVENT_DROPPED, true, true},
	[QUEUE_BOUNCE] = {EVENT_FAILED, true, true},
};

static int event(struct store_tx *tx, const struct change_job *j, slice recipient, err *e)
{
	struct buf b = BUF_INIT(2048);
	event_begin(&b, actions[j->action].event, store_tx_now_us(tx));
	event_text(&b, FIELD_RECIPIENT, recipient);
	event_text(&b, FIELD_REPLY, j->text);
	int rc = event_tx_put(tx, j->id, &b, e);
	buf_free(&b);
	return rc;
}

/* Its parcel goes when no other waiting recipient of the lane is of it. */
static int leave_parcel(struct store_tx *tx, const uint8_t id[16], const struct queue_found *all, size_t n,
	const struct queue_found *f, err *e)
{
	for (size_t i = 0; i < n; i++) {
		/* A parcel of lane 0 may be there for the delay notice of others. */
		if (f->lane == 0 && all[i].r.flags & QUEUE_DELAY_PENDING)
			return 0;
		if (&all[i] != f && all[i].lane == f->lane && all[i].r.state != QUEUE_HELD &&
			all[i].r.due_us == f->r.due_us && all[i].r.rank == f->r.rank)
			return 0;
	}
	struct parcel p = {.lane = f->lane, .rank = f->r.rank, .due_us = f->r.due_us};
	memcpy(p.id, id, sizeof p.id);
	return queue_tx_parcel_del(tx, &p, e);
}

static int change_one(struct store_tx *tx, struct change_job *j, struct queue_message *m,
	struct queue_found *all, size_t n, struct queue_found *f, err *e)
{
	char kb[QUEUE_KEY_MAX];
	uint64_t lane = f->lane;
	if (f->r.state == QUEUE_WAITING && leave_parcel(tx, j->id, all, n, f, e) < 0)
		return -1;
	j->changed++;
	if (event(tx, j, f->r.address, e) < 0)
		return -1;
	f->r.due_us = j->now_us;
	switch (j->action) {
	case QUEUE_RETRY:
	case QUEUE_RELEASE:
		f->r.state = QUEUE_WAITING;
		break;
	case QUEUE_HOLD:
		f->r.state = QUEUE_HELD;
		break;
	case QUEUE_DROP:
		f->r.state = QUEUE_HELD; /* of no parcel any more, for those that follow */
		return queue_tx_done(tx, j->id, lane, f->n, m, e);
	case QUEUE_BOUNCE:
		if (!retry_reports(m, &f->r, QUEUE_FAILED, false)) {
			f->r.state = QUEUE_HELD;
			return queue_tx_done(tx, j->id, lane, f->n, m, e);
		}
		/* What is to be reported lies in lane 0. */
		if (store_tx_del(tx, queue_key_recipient(kb, j->id, lane, f->n), e) < 0)
			return -1;
		lane = f->lane = 0;
		f->r.state = QUEUE_FAILED;
		f->r.code = 0;
		f->r.flags |= QUEUE_NO_TRY;
		memcpy(f->r.status, (const uint8_t[3]){5, 7, 0}, sizeof f->r.status);
		f->r.last_reply = slice_sub(j->text, 0, LIMIT_QUEUE_REPLY);
		f->r.host = (slice){"", 0};
		break;
	}
	return queue_tx_put(tx, j->id, lane, f->n, m->account, &f->r, e);
}

static int change_message(struct store_tx *tx, struct change_job *j, err *e)
{
	const struct action_info *a = &actions[j->action];
	struct queue_message m;
	struct queue_found *all;
	size_t n;
	uint32_t before = j->changed;
	int rc = queue_tx_message(tx, j->id, &m, e);
	if (rc <= 0 || (j->account && m.account != j->account))
		return rc < 0 ? -1 : 0;
	if (queue_tx_recipients(tx, j->id, &all, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct queue_found *f = &all[i];
		bool fits =
			(f->r.state == QUEUE_HELD && a->held) || (f->r.state == QUEUE_WAITING && a->waiting);
		if (!fits || (j->domain.n && !queue_recipient_in(&f->r, j->domain)))
			continue;
		if (change_one(tx, j, &m, all, n, f, e) < 0)
			return -1;
	}
	return j->changed > before ? queue_tx_close(tx, j->id, &m, e) : 0;
}

static int run(struct store_tx *tx, void *arg, err *e)
{
	struct change_job *j = arg;
	j->changed = 0;
	j->now_us = queue_clock_now(j->clock);
	for (size_t i = 0; i < j->n; i++) {
		j->id = j->ids + 16 * i;
		if (change_message(tx, j, e) < 0)
			return -1;
	}
	return 0;
}

int queue_change(struct store *s, const struct queue_clock *c, const uint8_t *ids, size_t n,
	enum queue_action action, slice domain, uint32_t account, slice text, uint32_t *ret_changed, err *e)
{
	struct change_job j = {.clock = c,
		.ids = ids,
		.n = n,
		.action = action,
		.domain = domain,
		.text = text,
		.account = account};
	if (n > QUEUE_CHANGE_MOST)
		return err_set(e, ERR_LIMIT, "%zu messages at once", n);
	if (store_commit(s, run, &j, e) < 0)
		return -1;
	*ret_changed = j.changed;
	return 0;
}

/* ---- a domain that became ours ---- */

struct rehome_job {
	const struct queue_clock *clock;
	const struct parcel *p;
	slice domain;
};

static int rehome_run(struct store_tx *tx, void *arg, err *e)
{
	const struct rehome_job *j = arg;
	char kb[QUEUE_KEY_MAX];
	struct queue_message m;
	struct queue_found *all;
	size_t n;
	int64_t now = queue_clock_now(j->clock);
	int rc = queue_tx_message(tx, j->p->id, &m, e);
	if (rc < 0 || (rc == 1 && queue_tx_recipients(tx, j->p->id, &all, &n, e) < 0))
		return -1;
	for (size_t i = 0; rc == 1 && i < n; i++) {
		struct queue_found *f = &all[i];
		if (f->lane != j->p->lane || f->r.state != QUEUE_WAITING || !slice_eq(f->r.domain, j->domain))
			continue;
		f->r.due_us = now;
		if (store_tx_del(tx, queue_key_recipient(kb, j->p->id, f->lane, f->n), e) < 0 ||
			queue_tx_put(tx, j->p->id, 0, f->n, m.account, &f->r, e) < 0)
			return -1;
	}
	return queue_tx_parcel_leave(tx, j->p, e) < 0 ? -1 : 0;
}

int queue_rehome(struct store *s, const struct queue_clock *c, const struct parcel *p, slice domain, err *e)
{
	struct rehome_job j = {c, p, domain};
	return store_commit(s, rehome_run, &j, e);
}

/* The results of a try go into the queue's rows. */
#include "delivery/settle.h"
#include "base/hash.h"
#include "limits.h"
#include "queue/event.h"

#define REPORT_GATHER_US INT64_C(3000000)

static void status_text(struct buf *out, const uint8_t status[3])
{
	if (status[0])
		buf_addf(out, "%u.%u.%u", status[0], status[1], status[2]);
}

static enum queue_event event_of(const struct settle_row *row)
{
	if (row->t.outcome == RETRY_SENT)
		return EVENT_SENT;
	return row->ret.state == QUEUE_FAILED ? EVENT_FAILED : EVENT_DEFERRED;
}

static int put_event(struct store_tx *tx, const struct settle *w, const struct settle_row *row,
	const struct queue_recipient *r, err *e)
{
	struct buf b = BUF_INIT(8192), status = BUF_INIT(16);
	status_text(&status, row->t.status);
	event_begin(&b, event_of(row), store_tx_now_us(tx));
	event_text(&b, FIELD_RECIPIENT, r->address);
	event_text(&b, FIELD_HOST, row->t.host);
	event_text(&b, FIELD_IP, w->ip);
	event_text(&b, FIELD_TLS, w->tls);
	if (w->tls.n)
		event_number(&b, FIELD_VERIFIED, w->verified);
	if (row->t.code)
		event_number(&b, FIELD_CODE, row->t.code);
	event_text(&b, FIELD_STATUS, buf_slice(&status));
	event_text(&b, FIELD_REPLY, row->t.reply);
	if (row->t.outcome != RETRY_SENT && row->t.refusal.reason)
		event_text(&b, FIELD_REASON, slice_of(row->t.refusal.reason));
	event_number(&b, FIELD_ATTEMPT, row->ret_attempts);
	if (row->ret.state == QUEUE_WAITING)
		event_number(&b, FIELD_NEXT, (uint64_t)queue_clock_to_wall(w->clock, row->ret.due_us));
	if (w->route)
		event_number(&b, FIELD_ROUTE, w->route);
	event_text(&b, FIELD_VIA, r->via);
	int rc = event_tx_put(tx, w->parcel.id, &b, e);
	buf_free(&b);
	buf_free(&status);
	return rc;
}

/* The row takes what was said. */
static void note_try(const struct settle *w, struct settle_row *row, struct queue_recipient *r, int64_t now)
{
	if (row->t.outcome != RETRY_NO_TRY) {
		r->attempts++;
		r->tried_us = now;
		r->code = row->t.code;
		memcpy(r->status, row->t.status, sizeof r->status);
		r->host = row->t.host;
		r->last_reply = slice_sub(row->t.reply, 0, LIMIT_QUEUE_REPLY);
		if (row->t.own || (w->ip.n == 0 && row->t.host.n == 0))
			r->flags |= QUEUE_NO_TRY;
		else
			r->flags &= (uint8_t)~QUEUE_NO_TRY;
	}
	if (row->t.outcome == RETRY_NO_TRY && row->ret.state == QUEUE_FAILED && !r->status[0]) {
		memcpy(r->status, (const uint8_t[3]){4, 4, 7}, sizeof r->status);
		r->last_reply = S("It could not be tried within its time");
		r->flags |= QUEUE_NO_TRY;
	}
	row->ret_attempts = r->attempts;
}

/* A parcel of lane 0 for this message, now. */
static int wake_here(
	struct store_tx *tx, const struct settle *w, const struct queue_message *m, int64_t now, err *e)
{
	struct parcel p = {.rank = queue_rank(m->priority, false), .due_us = now, .account = m->account};
	memcpy(p.id, w->parcel.id, sizeof p.id);
	return queue_tx_parcel_put(tx, &p, e);
}

static int settle_row(struct store_tx *tx, struct settle *w, struct settle_row *row, struct queue_message *m,
	int64_t now, err *e)
{
	const uint8_t *id = w->parcel.id;
	char kb[QUEUE_KEY_MAX];
	struct queue_recipient r;
	int rc = queue_tx_recipient(tx, id, w->parcel.lane, row->n, &r, e);
	row->ret_known = rc == 1 && (r.state == QUEUE_WAITING || r.state == QUEUE_HELD);
	if (rc < 0 || !row->ret_known)
		return rc < 0 ? -1 : 0;
	uint64_t chance = row->t.outcome == RETRY_SENT ? 0 : random_u64();
	retry_decide(w->policy, m, &r, &row->t, chance, now, &row->ret);
	note_try(w, row, &r, now);
	if ((row->t.outcome != RETRY_NO_TRY || row->ret.state == QUEUE_FAILED) &&
		put_event(tx, w, row, &r, e) < 0)
		return -1;
	if (row->ret.state == QUEUE_WAITING) {
		r.due_us = row->ret.due_us;
		r.rank = queue_rank(m->priority, true);
		if (row->ret.delay) {
			r.flags |= QUEUE_DELAY_PENDING;
			if (wake_here(tx, w, m, now, e) < 0)
				return -1;
		}
		return queue_tx_put(tx, id, w->parcel.lane, row->n, m->account, &r, e);
	}
	if (!row->ret.report)
		return queue_tx_done(tx, id, w->parcel.lane, row->n, m, e);
	r.state = row->ret.state;
	/* Others of the message may fail within seconds: the sender gets one report of them. */
	r.due_us = now + (m->open > 1 ? REPORT_GATHER_US : 0);
	r.rank = queue_rank(m->priority, false);
	if (store_tx_del(tx, queue_key_recipient(kb, id, w->parcel.lane, row->n), e) < 0)
		return -1;
	return queue_tx_put(tx, id, 0, row->n, m->account, &r, e);
}

static int run(struct store_tx *tx, void *arg, err *e)
{
	struct settle *w = arg;
	struct queue_message m;
	int64_t now = queue_clock_now(w->clock);
	int rc = w->n ? queue_tx_message(tx, w->parcel.id, &m, e) : 0, left;
	if (rc < 0)
		return -1;
	for (size_t i = 0; i < w->n; i++)
		w->rows[i].ret_known = false;
	for (size_t i = 0; rc == 1 && i < w->n; i++)
		if (settle_row(tx, w, &w->rows[i], &m, now, e) < 0)
			return -1;
	left = queue_tx_parcel_leave(tx, &w->parcel, e);
	if (left < 0 || (rc == 1 && queue_tx_close(tx, w->parcel.id, &m, e) < 0))
		return -1;
	w->ret_more = left == 1;
	return w->lease ? queue_tx_lease_end(tx, w->lease, e) : 0;
}

int delivery_settle(struct store *s, struct settle *w, err *e)
{
	return store_commit(s, run, w, e);
}

/* Parcels of lane 0: deliveries here that could not be made at once. Reports are in report.c. */
#include "base/encode.h"
#include "base/hash.h"
#include "delivery/report.h"
#include "limits.h"
#include "mail/summary.h"
#include "mailbox/address.h"
#include "mailbox/tx.h"
#include "queue/event.h"

enum { READ_STEP = 65536 };

struct local_job {
	struct here *h;
	const struct queue_found *rows; /* those to be delivered */
	size_t n;
	uint64_t size;
	slice stored_summary;
	bool lost;           /* the content cannot be read */
	bool any_late, late; /* somebody is to be told of a delay: as found; as it is now */
	uint32_t delivered, deferred, failed;
};

/* ---- the summary, made again: the queue keeps none ---- */

static int summary_of(struct store_blob *blob, struct buf *out, err *e)
{
	struct mail_summary_builder *b = mail_summary_new();
	char *part = malloc(READ_STEP);
	int rc = !blob->file ? -1 : b && part ? 0 : err_set(e, ERR_TEMP, "no memory");
	for (uint64_t at = 0; rc == 0 && at < blob->length;) {
		size_t n = blob->length - at < READ_STEP ? (size_t)(blob->length - at) : READ_STEP;
		rc = store_blob_read(blob, at, part, n, e);
		if (rc == 0)
			mail_summary_feed(b, slice_make(part, n));
		at += n;
	}
	if (rc == 0)
		rc = mail_summary_finish(b, out, e);
	free(part);
	mail_summary_free(b);
	return rc;
}

/* ---- the intent ---- */

static int put_event(struct store_tx *tx, const struct local_job *j, const struct queue_recipient *r,
	enum queue_event kind, const struct retry_next *next, err *e)
{
	struct buf b = BUF_INIT(4096);
	event_begin(&b, kind, store_tx_now_us(tx));
	event_text(&b, FIELD_RECIPIENT, r->address);
	event_text(&b, FIELD_REPLY, r->last_reply);
	event_number(&b, FIELD_ATTEMPT, r->attempts);
	if (next->state == QUEUE_WAITING)
		event_number(&b, FIELD_NEXT, (uint64_t)queue_clock_to_wall(j->h->clock, next->due_us));
	int rc = event_tx_put(tx, j->h->parcel.id, &b, e);
	buf_free(&b);
	return rc;
}

struct tried {
	enum delivery_result result;
	bool sent_on, local; /* as another message, with this id; into somebody's mailbox here */
	uint8_t id[16];
};

/* It leads elsewhere by now: another message goes there. */
static int put_sent_on(struct store_tx *tx, const struct local_job *j, const struct queue_recipient *r,
	const uint8_t to[16], err *e)
{
	struct buf b = BUF_INIT(4096);
	char text[27];
	base32_id(to, text);
	event_begin(&b, EVENT_QUEUED, store_tx_now_us(tx));
	event_text(&b, FIELD_RECIPIENT, r->address);
	event_text(&b, FIELD_REPLY, S("It leads elsewhere now: sent on as another message"));
	event_text(&b, FIELD_REPORT, slice_make(text, 26));
	int rc = event_tx_put(tx, j->h->parcel.id, &b, e);
	buf_free(&b);
	return rc;
}

static int try_delivery(struct store_tx *tx, const struct local_job *j, const struct queue_message *m,
	const struct queue_recipient *r, struct tried *ret, err *e)
{
	struct delivery_recipient rcpt = {.original = r->original, .notify = r->notify};
	struct delivery d = {
		.sender = m->sender,
		.envelope_id = m->envelope_id,
		.ret = m->ret,
		.flags = m->flags,
		.account = m->account,
		.priority = m->priority,
		.by_us = m->by_us,
		.relay = true,
		.clock = j->h->clock,
		.recipients = &rcpt,
		.n = 1,
		.content = {.size = (uint32_t)m->size},
		.blob = m->blob,
		.queued = true,
		.expanded = r->flags & QUEUE_EXPANDED,
		.each_answered = true,
	};
	if (!address_split(r->address, &rcpt.localpart, &rcpt.domain))
		rcpt.localpart = r->address;
	memcpy(d.queue_id, j->h->parcel.id, sizeof d.queue_id);
	if (delivery_tx(tx, &d, j->stored_summary, e) < 0)
		return -1;
	*ret = (struct tried){rcpt.ret_result, d.ret_remote > 0, d.ret_local};
	memcpy(ret->id, d.ret_queue_id, sizeof ret->id);
	return 0;
}

static int deliver_row(struct store_tx *tx, struct local_job *j, struct queue_message *m,
	const struct queue_found *f, err *e)
{
	const uint8_t *id = j->h->parcel.id;
	struct queue_recipient r;
	struct tried tried = {.result = DELIVERY_TEMP};
	int64_t now = queue_clock_now(j->h->clock);
	int rc = queue_tx_recipient(tx, id, 0, f->n, &r, e);
	if (rc <= 0 || r.state != QUEUE_WAITING)
		return rc < 0 ? -1 : 0;
	if (!j->lost && try_delivery(tx, j, m, &r, &tried, e) < 0)
		return -1;
	struct retry_try t = {.outcome = tried.result == DELIVERY_OK       ? RETRY_SENT
					 : delivery_may_wait(tried.result) ? RETRY_LATER
									   : RETRY_REFUSED};
	struct retry_next next;
	retry_decide(j->h->policy, m, &r, &t, random_u64(), now, &next);
	delivery_refusal(tried.result, &r);
	r.attempts++;
	r.tried_us = now;
	if (next.state == QUEUE_RELAYED) {
		next.state = QUEUE_DELIVERED;
		/* Who sends it on from here sees to the rest. */
		next.report = tried.local && retry_reports(m, &r, QUEUE_DELIVERED, false);
	}
	bool waits = next.state == QUEUE_WAITING;
	*(waits ? &j->deferred : next.state == QUEUE_FAILED ? &j->failed : &j->delivered) += 1;
	enum queue_event kind = waits                        ? EVENT_DEFERRED
				: next.state == QUEUE_FAILED ? EVENT_FAILED
							     : EVENT_DELIVERED;
	if (tried.sent_on && put_sent_on(tx, j, &r, tried.id, e) < 0)
		return -1;
	if ((!tried.sent_on || tried.local) && put_event(tx, j, &r, kind, &next, e) < 0)
		return -1;
	if (!waits && !next.report)
		return queue_tx_done(tx, id, 0, f->n, m, e);
	r.state = next.state;
	r.rank = queue_rank(m->priority, waits);
	/* What is done is reported by the next pass over this lane: at once, but not by this very parcel. */
	r.due_us = waits ? next.due_us : now + 1;
	if (next.delay)
		r.flags |= QUEUE_DELAY_PENDING;
	j->late |= waits && r.flags & QUEUE_DELAY_PENDING;
	return queue_tx_put(tx, id, 0, f->n, m->account, &r, e);
}

static int local_run(struct store_tx *tx, void *arg, err *e)
{
	struct local_job *j = arg;
	struct queue_message m;
	j->delivered = j->deferred = j->failed = 0;
	j->late = j->any_late;
	int rc = queue_tx_message(tx, j->h->parcel.id, &m, e);
	if (rc < 0)
		return -1;
	for (size_t i = 0; rc == 1 && i < j->n; i++)
		if (deliver_row(tx, j, &m, &j->rows[i], e) < 0)
			return -1;
	if (rc == 1 && queue_tx_close(tx, j->h->parcel.id, &m, e) < 0)
		return -1;
	/* Those who are late are told by the next pass, which has nothing to deliver. */
	return here_end(tx, j->h, rc == 1 && j->late, e);
}

int here_end(struct store_tx *tx, struct here *h, bool keep, err *e)
{
	int rc = keep ? queue_tx_parcel_put(tx, &h->parcel, e) : queue_tx_parcel_leave(tx, &h->parcel, e);
	h->ret_more = keep || rc == 1;
	return rc < 0 ? -1 : 0;
}

static int deliver_here(
	struct store *s, struct mailbox_codec *c, struct here *h, struct here_found *f, err *e)
{
	struct local_job j = {.h = h, .rows = f->local, .n = f->local_n, .any_late = f->late_n > 0};
	struct buf plain = BUF_INIT(LIMIT_SUMMARY), stored = BUF_INIT(2 * LIMIT_SUMMARY);
	err why = {0};
	int rc = 0;
	/* In the end it expires, and the sender is told. */
	j.lost = summary_of(&f->blob, &plain, &why) < 0;
	if (!j.lost)
		rc = mailbox_codec_pack(c, buf_slice(&plain), &stored, e);
	buf_free(&plain);
	j.stored_summary = buf_slice(&stored);
	if (rc == 0)
		rc = store_commit(s, local_run, &j, e);
	buf_free(&stored);
	if (rc == 0) {
		h->ret_delivered = j.delivered;
		h->ret_deferred = j.deferred;
		h->ret_failed = j.failed;
	}
	return rc;
}

/* ---- what there is to do ---- */

static bool is_local(const struct here *h, const struct queue_found *f)
{
	return f->lane == 0 && f->r.state == QUEUE_WAITING && f->r.due_us <= h->parcel.due_us;
}

static bool is_done(const struct queue_found *f)
{
	return f->lane == 0 && f->r.state >= QUEUE_DELIVERED;
}

/* Sorts the recipients into what is delivered here, reported as done, and told of a delay. */
static int sort_found(struct here_found *f, const struct here *h, struct queue_found *all, size_t n, err *e)
{
	struct queue_found **to[] = {&f->local, &f->done, &f->late};
	size_t *count[] = {&f->local_n, &f->done_n, &f->late_n};
	for (size_t i = 0; i < COUNT_OF(to); i++) {
		*to[i] = arena_new_n(f->arena, struct queue_found, n ? n : 1);
		if (!*to[i])
			return err_set(e, ERR_TEMP, "no memory");
	}
	for (size_t i = 0; i < n; i++) {
		size_t where = is_local(h, &all[i])                   ? 0
			       : is_done(&all[i])                     ? 1
			       : all[i].r.flags & QUEUE_DELAY_PENDING ? 2
								      : COUNT_OF(to);
		if (where < COUNT_OF(to) && (where == 0 || *count[where] < REPORT_RECIPIENTS))
			(*to[where])[(*count[where])++] = all[i];
		else if (where == 2)
			f->late_more = true;
	}
	return 0;
}

static int find(struct store *s, const struct here *h, struct here_found *f, err *e)
{
	struct store_snap snap;
	struct queue_found *all;
	struct queue_message m;
	size_t n;
	if (store_snap_begin(s, &snap, e) < 0)
		return -1;
	int rc = queue_get(&snap, h->parcel.id, &m, e);
	f->there = rc == 1;
	if (f->there) {
		f->m = m;
		f->m.sender = arena_copy(f->arena, m.sender);
		f->m.envelope_id = arena_copy(f->arena, m.envelope_id);
		rc = f->m.sender.p && f->m.envelope_id.p ? 0 : err_set(e, ERR_TEMP, "no memory");
		if (rc == 0)
			rc = queue_recipients(
				&snap, f->arena, h->parcel.id, UINT64_MAX, LIMIT_QUEUE_ROWS, &all, &n, e);
		if (rc == 0)
			rc = sort_found(f, h, all, n, e);
		if (rc == 0 && store_blob_find(&snap, m.blob, &f->blob, NULL) != 1)
			f->blob = (struct store_blob){.file = NULL}; /* lost; a report can do without */
		if (rc == 0)
			report_language(&snap, f);
	}
	store_snap_end(&snap);
	return rc < 0 ? -1 : 0;
}

static int end_run(struct store_tx *tx, void *arg, err *e)
{
	return here_end(tx, arg, false, e);
}

int delivery_here(struct store *s, struct mailbox_codec *c, struct here *h, err *e)
{
	struct here_found f = {.arena = arena_new((size_t)LIMIT_QUEUE_ROWS * 4096)};
	int rc = f.arena ? find(s, h, &f, e) : err_set(e, ERR_TEMP, "no memory");
	if (rc == 0) {
		if (!f.there || f.local_n + f.done_n + f.late_n == 0)
			rc = store_commit(s, end_run, h, e);
		else if (f.local_n)
			rc = deliver_here(s, c, h, &f, e);
		else
			rc = report_send(s, c, h, &f, e);
	}
	store_blob_release(&f.blob);
	arena_free(f.arena);
	return rc;
}

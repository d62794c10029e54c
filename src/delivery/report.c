/* Reports to senders: written from the rows, and sent in the intent that settles these. */
#include "delivery/report.h"
#include "base/encode.h"
#include "limits.h"
#include "mail/dsn.h"
#include "mail/summary.h"
#include "mailbox/address.h"
#include "mailbox/tx.h"
#include "queue/event.h"

enum { HEADER_MAX = 65536, FULL_MAX = 524288 };

struct report { /* one message */
	const struct queue_found *rows;
	size_t n;
	bool late;
	const uint8_t *id;
	struct buf text, summary;
	struct delivery_recipient rcpt;
	struct delivery d;
	bool sent, to_postmaster;
};

struct report_job {
	struct here *h;
	struct here_found *f;
	struct report reports[2];
	uint32_t sent, unsent;
};

void report_language(struct store_snap *snap, struct here_found *f)
{
	struct address_canonical a;
	struct address_found found;
	struct account_row row;
	slice local, domain;
	err e;
	if (!address_split(f->m.sender, &local, &domain) || !address_canonical(local, domain, &a))
		return;
	if (address_lookup(view_snap(snap), &a, &found, &e) == 0 && found.kind == FOUND_ACCOUNT &&
		account_lookup(view_snap(snap), found.account, &row, &e) == 1)
		f->language = arena_copy(f->arena, row.language);
}

/* ---- writing one ---- */

static enum mail_dsn_kind kind_of(const struct report *p, const struct queue_found *f)
{
	if (p->late)
		return MAIL_DSN_DELAYED;
	return f->r.state == QUEUE_FAILED    ? MAIL_DSN_FAILED
	       : f->r.state == QUEUE_RELAYED ? MAIL_DSN_RELAYED
					     : MAIL_DSN_DELIVERED;
}

static struct mail_dsn_recipient *recipients_of(const struct report_job *j, const struct report *p)
{
	const struct queue_clock *c = j->h->clock;
	struct mail_dsn_recipient *v = arena_new_n(j->f->arena, struct mail_dsn_recipient, p->n);
	for (size_t i = 0; v && i < p->n; i++) {
		const struct queue_recipient *r = &p->rows[i].r;
		v[i] = (struct mail_dsn_recipient){
			.kind = kind_of(p, &p->rows[i]),
			.address = r->address,
			.original = r->original,
			.code = r->code,
			.reply = r->last_reply,
			.remote = r->flags & QUEUE_NO_TRY ? S("") : r->host,
			.last_attempt_us = r->tried_us ? queue_clock_to_wall(c, r->tried_us) : 0,
			.retry_until_us = queue_clock_to_wall(c, retry_end(j->h->policy, &j->f->m)),
		};
		memcpy(v[i].status, r->status, sizeof v[i].status);
		if (r->code >= 400 && !(r->flags & QUEUE_NO_TRY))
			v[i].reason =
				slice_of(refusal_classify(r->code, r->status, r->last_reply, r->host).reason);
	}
	return v;
}

/* The original, or its beginning: at most max bytes; nothing of one that cannot be read. */
static int read_original(struct here_found *f, uint64_t max, slice *ret, err *e)
{
	size_t n = f->blob.length < max ? (size_t)f->blob.length : (size_t)max;
	char *p = malloc(n ? n : 1);
	if (!p)
		return err_set(e, ERR_TEMP, "no memory");
	*ret = slice_make(p, !f->blob.file || store_blob_read(&f->blob, 0, p, n, NULL) < 0 ? 0 : n);
	return 0;
}

static slice postmaster_text(const struct report_job *j)
{
	struct buf b = BUF_INIT(300);
	buf_addz(&b, "postmaster@");
	buf_add(&b, j->h->host);
	slice s = b.failed ? (slice){0} : arena_copy(j->f->arena, buf_slice(&b));
	buf_free(&b);
	return s;
}

static bool any_utf8(const struct report *p, slice to)
{
	bool any = !ascii_only(to);
	for (size_t i = 0; i < p->n; i++)
		any |= !ascii_only(p->rows[i].r.address);
	return any;
}

static bool any_failed(const struct report *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->late && p->rows[i].r.state == QUEUE_FAILED)
			return true;
	return false;
}

static int write_report(struct report_job *j, struct report *p, err *e)
{
	const struct queue_message *m = &j->f->m;
	char id[27], original_id[27];
	struct mail_dsn_recipient *v = recipients_of(j, p);
	slice to = m->sender.n ? m->sender : postmaster_text(j), original = {0};
	/* Without a failure the header is enough (RFC 3461 4.3). */
	bool full = m->ret == RET_FULL && any_failed(p) && m->size <= FULL_MAX;
	if (!v || !to.p)
		return err_set(e, ERR_TEMP, "no memory");
	if (read_original(j->f, full ? FULL_MAX : HEADER_MAX, &original, e) < 0)
		return -1;
	base32_id(p->id, id);
	base32_id(j->h->parcel.id, original_id);
	int64_t now = queue_clock_now(j->h->clock);
	struct mail_dsn dsn = {
		.host = j->h->host,
		.to = to,
		.message_id = slice_make(id, 26),
		.queue_id = slice_make(original_id, 26),
		.language = j->f->language,
		.envelope_id = m->envelope_id,
		.original = original,
		.full = full,
		.utf8 = m->flags & QUEUE_SMTPUTF8 && any_utf8(p, to),
		.arrival_us = queue_clock_to_wall(j->h->clock, m->arrival_us),
		.now_us = queue_clock_to_wall(j->h->clock, now),
		.recipients = v,
		.n = p->n,
	};
	buf_addz(&p->text, "Return-Path: <>\r\n"); /* of the final delivery; on the way out it is taken off */
	int rc = mail_dsn_write(&dsn, &p->text, e);
	if (rc == 0 && (p->text.failed || p->text.n > LIMIT_BLOB_INLINE))
		rc = err_set(e, ERR_LIMIT, "a report grew too long");
	p->d.flags = QUEUE_REPORT | (dsn.utf8 ? QUEUE_SMTPUTF8 : 0);
	free((char *)(uintptr_t)original.p);
	return rc;
}

static int prepare(struct report_job *j, struct report *p, struct mailbox_codec *c, err *e)
{
	struct buf plain = BUF_INIT(LIMIT_SUMMARY);
	if (write_report(j, p, e) < 0)
		return -1;
	int rc = mail_summary_make(buf_slice(&p->text), &plain, e);
	if (rc == 0)
		rc = mailbox_codec_pack(c, buf_slice(&plain), &p->summary, e);
	buf_free(&plain);
	p->d.relay = true;
	p->d.clock = j->h->clock;
	p->d.recipients = &p->rcpt;
	p->d.n = 1;
	p->d.content = (struct content){.bytes = buf_slice(&p->text), .size = (uint32_t)p->text.n};
	memcpy(p->d.queue_id, p->id, sizeof p->d.queue_id);
	return rc;
}

/* ---- the intent ---- */

static int send_to(struct store_tx *tx, struct report *p, slice address, bool postmaster, err *e)
{
	p->rcpt = (struct delivery_recipient){.notify = NOTIFY_NEVER};
	if (postmaster)
		p->rcpt.localpart = S("postmaster");
	else if (!address_split(address, &p->rcpt.localpart, &p->rcpt.domain))
		return 0;
	p->d.each_answered = false;
	if (!postmaster)
		p->rcpt.notify = 0;
	if (delivery_tx(tx, &p->d, buf_slice(&p->summary), e) < 0)
		return -1;
	return p->rcpt.ret_result == DELIVERY_OK;
}

/* To the sender; when he cannot be reached here, or it is a report itself that failed, to postmaster. */
static int send_report(struct store_tx *tx, const struct report_job *j, struct report *p, err *e)
{
	int rc = j->f->m.sender.n ? send_to(tx, p, j->f->m.sender, false, e) : 0;
	p->to_postmaster = rc == 0;
	if (rc == 0 && !p->late)
		rc = send_to(tx, p, (slice){0}, true, e);
	p->sent = rc == 1;
	return rc < 0 ? -1 : 0;
}

static int put_event(struct store_tx *tx, const struct report_job *j, const struct report *p,
	const struct queue_recipient *r, err *e)
{
	struct buf b = BUF_INIT(4096);
	char id[27];
	base32_id(p->id, id);
	event_begin(&b, p->sent ? EVENT_REPORTED : EVENT_NOT_REPORTED, store_tx_now_us(tx));
	event_text(&b, FIELD_RECIPIENT, r->address);
	event_text(&b, FIELD_SENDER, p->to_postmaster ? S("postmaster") : j->f->m.sender);
	if (p->sent)
		event_text(&b, FIELD_REPORT, slice_make(id, 26));
	int rc = event_tx_put(tx, j->h->parcel.id, &b, e);
	buf_free(&b);
	return rc;
}

static int settle_rows(struct store_tx *tx, const struct report_job *j, const struct report *p,
	struct queue_message *m, err *e)
{
	const uint8_t *id = j->h->parcel.id;
	for (size_t i = 0; i < p->n; i++) {
		const struct queue_found *f = &p->rows[i];
		struct queue_recipient r;
		int rc = queue_tx_recipient(tx, id, f->lane, f->n, &r, e);
		if (rc < 0)
			return -1;
		if (rc == 0 || (!p->late && r.state != f->r.state))
			continue; /* dropped, or changed, meanwhile */
		if (put_event(tx, j, p, &r, e) < 0)
			return -1;
		if (!p->late) {
			if (queue_tx_done(tx, id, f->lane, f->n, m, e) < 0)
				return -1;
			continue;
		}
		r.flags = (uint8_t)((r.flags & ~QUEUE_DELAY_PENDING) | QUEUE_DELAY_TOLD);
		if (queue_tx_put(tx, id, f->lane, f->n, m->account, &r, e) < 0)
			return -1;
	}
	return 0;
}

static int run(struct store_tx *tx, void *arg, err *e)
{
	struct report_job *j = arg;
	struct queue_message m;
	j->sent = j->unsent = 0;
	int rc = queue_tx_message(tx, j->h->parcel.id, &m, e);
	if (rc < 0)
		return -1;
	for (size_t i = 0; rc == 1 && i < COUNT_OF(j->reports); i++) {
		struct report *p = &j->reports[i];
		if (p->n == 0)
			continue;
		if (send_report(tx, j, p, e) < 0 || settle_rows(tx, j, p, &m, e) < 0)
			return -1;
		*(p->sent ? &j->sent : &j->unsent) += 1;
	}
	if (rc == 1 && queue_tx_close(tx, j->h->parcel.id, &m, e) < 0)
		return -1;
	return here_end(tx, j->h, rc == 1 && j->f->late_more, e);
}

int report_send(struct store *s, struct mailbox_codec *c, struct here *h, struct here_found *f, err *e)
{
	struct report_job j = {.h = h, .f = f};
	int rc = 0;
	j.reports[0] = (struct report){.rows = f->done, .n = f->done_n, .id = h->report_id[0]};
	j.reports[1] = (struct report){.rows = f->late, .n = f->late_n, .late = true, .id = h->report_id[1]};
	for (size_t i = 0; i < COUNT_OF(j.reports); i++) {
		j.reports[i].text = BUF_INIT(2 * LIMIT_BLOB_INLINE);
		j.reports[i].summary = BUF_INIT(2 * LIMIT_SUMMARY);
		if (rc == 0 && j.reports[i].n)
			rc = prepare(&j, &j.reports[i], c, e);
	}
	if (rc == 0)
		rc = store_commit(s, run, &j, e);
	for (size_t i = 0; i < COUNT_OF(j.reports); i++) {
		buf_free(&j.reports[i].text);
		buf_free(&j.reports[i].summary);
	}
	h->ret_reports = j.sent;
	h->ret_unreported = j.unsent;
	return rc;
}

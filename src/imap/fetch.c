/* FETCH: the walk, the items that come from entries and summaries; sections of the body are in fetch_body.c.
 */
#include "imap/fetch.h"
#include "limits.h"
#include "mail/date.h"

struct run {
	struct fetch *f;
	const struct uidset *seen; /* these have got \Seen by this command */
};

static void write_items(struct imap_walk *w, const struct imap_item *item)
{
	const struct run *run = w->arg;
	const struct mailbox_row names = {.keywords = w->keywords};
	unsigned items = run->f->items;
	bool implied = w->s->by_uid && !w->s->uidonly;
	struct buf *out = &w->s->out;
	size_t mark;

	if (implied)
		items |= FETCH_UID;
	if (run->seen && uidset_has(run->seen, item->entry.uid))
		items |= FETCH_FLAGS | (!w->s->condstore       ? 0
					       : w->s->uidonly ? FETCH_MODSEQ
							       : FETCH_UID | FETCH_MODSEQ);
	imap_write_fetch(w->s, item);
	mark = out->n;
	if (items & FETCH_UID) {
		buf_addz(out, " UID ");
		imap_write_u64(out, item->entry.uid);
	}
	if (items & FETCH_FLAGS) {
		buf_addz(out, " FLAGS (");
		imap_write_flags(out, item->entry.flags, item->entry.keywords, &names);
		buf_add_c(out, ')');
	}
	if (items & FETCH_MODSEQ) {
		buf_add_c(out, ' ');
		imap_write_modseq(out, item->entry.modseq);
	}
	if (items & FETCH_INTERNALDATE) {
		int64_t us = item->message.internal_us;
		struct mail_date d = {.utc_s = us / 1000000 - (us % 1000000 < 0),
			.zone_min = item->message.internal_zone_min};

		buf_addz(out, " INTERNALDATE ");
		mail_date_imap_write(out, d);
	}
	if (items & FETCH_SIZE) {
		buf_addz(out, " RFC822.SIZE ");
		imap_write_u64(out, item->entry.size);
	}
	if (items & FETCH_ENVELOPE) {
		buf_addz(out, " ENVELOPE ");
		buf_add(out, item->summary.envelope);
	}
	if (items & FETCH_BODY) {
		buf_addz(out, " BODY ");
		buf_add(out, item->summary.body);
	}
	if (items & FETCH_BODYSTRUCTURE) {
		buf_addz(out, " BODYSTRUCTURE ");
		buf_add(out, item->summary.bodystructure);
	}
	imap_fetch_more(w->s, item, items);
	if (out->n > mark && !out->failed) { /* each item brought a blank; the first one's goes */
		memmove(out->p + mark, out->p + mark + 1, out->n - mark - 1);
		buf_truncate(out, out->n - 1);
	}
}

static int now(struct imap_walk *w, struct imap_item *item, err *e)
{
	const struct run *run = w->arg;

	(void)e;
	if (run->f->sections)
		return 0;
	write_items(w, item);
	buf_addz(&w->s->out, ")\r\n");
	return 1;
}

static int write_sections(struct imap_walk *w, struct imap_item *item, err *e)
{
	struct run *run = w->arg;
	struct buf *out = &w->s->out;
	bool first = out->n > 0 && !out->failed && out->p[out->n - 1] == '('; /* no other item was written */

	for (const struct fetch_section *sec = run->f->sections; sec; sec = sec->next) {
		if (!first)
			buf_add_c(out, ' ');
		first = false;
		if (imap_fetch_section(w->s, run->f, sec, item, e) < 0)
			return -1;
	}
	buf_addz(out, ")\r\n");
	return 0;
}

static int later(struct imap_walk *w, struct imap_item *item, err *e)
{
	struct buf *out = &w->s->out;
	size_t mark = out->n;
	uint64_t sent = w->s->sent;

	write_items(w, item);
	if (write_sections(w, item, e) < 0) {
		if (w->s->sent != sent)
			e->kind = ERR_CLOSED; /* the response is half sent: only the end of the connection is
						 still truth */
		else
			buf_truncate(out, mark);
		return -1;
	}
	if (out->n < 65536)
		return 0;
	int rc = imap_send(w->s);
	return rc < 0 ? imap_stream_error(rc, e) : 0;
}

/* ---- \Seen ---- */

static int collect_unseen(struct imap_walk *w, struct imap_item *item, err *e)
{
	struct uidset *unseen = w->arg;

	if (!(item->entry.flags & FLAG_SEEN) && uidset_add(unseen, item->entry.uid) < 0)
		return err_set(e, ERR_TEMP, "no memory");
	return 1;
}

/* Before the first body is sent: what a response says of flags is then durable. */
static int set_seen(struct imap_session *s, const struct uidset *uids, err *e)
{
	struct uidset unseen = {0};
	struct imap_walk w = {.s = s, .uids = uids, .now = collect_unseen, .arg = &unseen};
	int rc = imap_walk_run(&w, e); /* and what the owner permits now is known: RFC 4314 4 */

	if (rc == 0 && s->box.rights & RIGHT_SEEN && uidset_count(&unseen) > 0) {
		struct store_flags a = {.account = s->box.account,
			.by = s->account,
			.mailbox = s->box.mailbox,
			.uids = &unseen,
			.op = FLAGS_ADD,
			.flags = FLAG_SEEN,
			.unchangedsince = UINT64_MAX};

		rc = mailbox_store_flags(s->store, &a, e);
		if (rc < 0 && e->kind == ERR_NOPERM)
			rc = 0; /* taken away just now */
		imap_quiet_set(s, &a);
	}
	uidset_free(&unseen);
	return rc;
}

/* The messages to fetch. 0; 1: answered; -1: e. */
static int resolve(struct imap_session *s, const struct fetch *f, const struct imap_seqset *set,
	struct uidset *ret, err *e)
{
	struct uidset named = {0};
	int rc = 0;

	if (f->since.vanished && imap_seqset_named(set, &named) < 0)
		rc = err_set(e, ERR_TEMP, "no memory");
	if (rc == 0)
		rc = imap_resolve(s, set, ret);
	if (rc == 0 && f->since.is)
		rc = imap_changedsince_apply(s, &f->since, &named, ret, e);
	uidset_free(&named);
	if (rc == 0 && f->partial.is) { /* the page is of what the other modifiers left: RFC 9394 3.4 */
		struct uidset page = {0};

		if (imap_partial_of(&f->partial, ret, &page) < 0)
			rc = err_set(e, ERR_TEMP, "no memory");
		uidset_free(ret);
		*ret = page;
		if (rc == 0 && imap_over_limit(s, ret)) { /* a page is whole */
			(void)imap_answer_over_limit(s, NULL);
			return 1;
		}
	}
	if (rc == 0 && imap_cut(s, ret) < 0)
		rc = err_set(e, ERR_TEMP, "no memory");
	return rc;
}

static int fetch_messages(
	struct imap_session *s, struct fetch *f, const struct uidset *uids, struct imap_walk *ret, err *e)
{
	struct run run = {.f = f};

	if (f->sets_seen && !s->box.readonly) {
		if (set_seen(s, uids, e) < 0)
			return -1;
		run.seen = &s->quiet.uids;
	}
	*ret = (struct imap_walk){.s = s,
		.uids = uids,
		.needs = imap_fetch_needs(f),
		.now = now,
		.later = f->sections ? later : NULL,
		.arg = &run};
	int rc = imap_walk_run(ret, e);
	ret->arg = NULL;
	return rc;
}

int imap_fetch_messages(struct imap_session *s, struct fetch *f, const struct uidset *uids, err *e)
{
	struct imap_walk w;
	int rc = fetch_messages(s, f, uids, &w, e);

	store_window_reset(&f->window);
	return rc;
}

int imap_cmd_fetch(struct imap_session *s, struct imap_args *a)
{
	struct fetch f = {0};
	struct imap_walk w = {.s = s};
	struct imap_seqset set;
	struct uidset uids = {0};
	err e = {0};
	int rc = 0;

	if (!imap_take_sp(a) || !imap_take_seqset(a, &set) || !imap_take_sp(a) || !imap_take_fetch(a, &f) ||
		!imap_take_end(a))
		return imap_bad_args(s, a);
	const char *refusal = imap_changedsince_refusal(s, &f.since);
	if (!refusal && f.partial.is && !s->by_uid)
		refusal = "PARTIAL is for UID FETCH";
	if (refusal)
		return imap_answer(s, IMAP_BAD, "%s", refusal);
	if (f.items & FETCH_MODSEQ)
		imap_condstore_enable(s);
	rc = resolve(s, &f, &set, &uids, &e);
	if (rc > 0) {
		uidset_free(&uids);
		return 0;
	}
	if (rc == 0)
		rc = fetch_messages(s, &f, &uids, &w, &e);
	store_window_reset(&f.window);
	uidset_free(&uids);
	if (rc < 0)
		return imap_answer_err(s, &e);
	if (f.unknown_cte)
		return imap_answer(s, IMAP_NO, "[UNKNOWN-CTE] a part has an encoding that is not known");
	return imap_answer_walk(s, &w, "fetched");
}

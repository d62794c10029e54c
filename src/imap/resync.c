/*
 * What happened in the selected mailbox since a mod-sequence (RFC 7162 3.1.4.1, 3.2.5, 3.2.6). The change
 * rows tell, so that the cost is that of the changes. Where they do not reach back so far, or there are more
 * of them than the mailbox is worth, the entry blocks tell: changes exactly, and of what went all UIDs that
 * are not there.
 */
#include "imap/condstore.h"
#include "limits.h"
#include "mailbox/change.h"
#include <stdlib.h>

struct range {
	uint32_t first, last;
};

struct ranges { /* as they come, not in order */
	struct range *v;
	size_t n, max;
};

struct past {
	uint64_t since;
	bool whole;                  /* do not ask the rows */
	bool exact;                  /* they told it all */
	struct ranges alive, gone;   /* rows: added or flags changed; expunged */
	struct uidset changed, left; /* of `alive`; what has gone, or where not exact what is there now */
	uint32_t uidnext;
};

/* ---- from the change rows ---- */

/* 1, 0 there are too many, -1 */
static int add(struct ranges *r, uint32_t first, uint32_t last)
{
	if (r->n == LIMIT_IMAP_RESYNC_RANGES)
		return 0;
	if (r->n == r->max) {
		size_t max = r->max ? r->max * 2 : 64;
		struct range *more = realloc(r->v, max * sizeof *more);

		if (!more)
			return -1;
		r->v = more;
		r->max = max;
	}
	r->v[r->n++] = (struct range){first, last};
	return 1;
}

static int compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static int to_set(struct ranges *r, struct uidset *ret)
{
	int rc = 0;

	if (r->n > 0)
		qsort(r->v, r->n, sizeof *r->v, compare);
	for (size_t i = 0; i < r->n && rc == 0; i++)
		rc = uidset_add_range(ret, r->v[i].first, r->v[i].last);
	return rc;
}

static int take_row(struct past *p, struct change *c)
{
	struct ranges *to = c->kind == CHANGE_EXPUNGED                           ? &p->gone
			    : c->kind == CHANGE_ADDED || c->kind == CHANGE_FLAGS ? &p->alive
										 : NULL;
	uint32_t first, last;
	int rc = 1;

	while (rc > 0 && to && change_range(c, &first, &last))
		rc = add(to, first, last);
	return rc;
}

/* 1; 0 the rows are too many; -1 */
static int from_rows(struct imap_session *s, struct store_snap *snap, struct past *p, err *e)
{
	struct change_scan sc;
	struct change c;
	unsigned rows = 0;
	int rc;

	if (change_open(snap, s->box.account, s->box.mailbox, p->since, &sc, e) < 0)
		return -1;
	while ((rc = change_next(&sc, &c, e)) > 0) {
		int taken = ++rows > LIMIT_IMAP_RESYNC_ROWS ? 0 : take_row(p, &c);

		if (taken > 0)
			continue;
		change_close(&sc);
		return taken < 0 ? err_set(e, ERR_TEMP, "no memory") : 0;
	}
	change_close(&sc);
	if (rc == 0 && (to_set(&p->alive, &p->changed) < 0 || to_set(&p->gone, &p->left) < 0))
		rc = err_set(e, ERR_TEMP, "no memory");
	return rc < 0 ? -1 : 1;
}

static void past_free(struct past *p)
{
	free(p->alive.v);
	free(p->gone.v);
	uidset_free(&p->changed);
	uidset_free(&p->left);
}

static int look(struct imap_session *s, struct past *p, err *e)
{
	struct store_snap snap = {0};
	struct mailbox_row row;
	uint64_t floor = 0, modseq = 0;

	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	int rc = imap_box_row(s, &snap, &row, e);
	if (rc > 0)
		rc = change_state(&snap, s->box.account, &floor, &modseq, e);
	if (rc == 0)
		p->exact = true; /* the mailbox is gone: that is news, and nothing of the past */
	if (rc > 0) {
		p->uidnext = row.uidnext;
		rc = p->whole || p->since < floor     ? 0
		     : row.highest_modseq <= p->since ? 1
						      : from_rows(s, &snap, p, e);
		p->exact = rc > 0;
		if (rc == 0)
			rc = mailbox_uids(&snap, s->box.account, s->box.mailbox, 0, &p->left, e);
	}
	store_snap_end(&snap);
	return rc < 0 ? -1 : 0;
}

/* ---- what is told ---- */

static int tell_gone(struct imap_session *s, const struct past *p, const struct uidset *known, err *e)
{
	struct uidset all = {0}, candidates = {0}, gone = {0};
	int rc = p->uidnext > 1 ? uidset_add_range(&all, 1, p->uidnext - 1) : 0;

	if (rc == 0 && p->exact)
		rc = uidset_common(known, &p->left, &candidates);
	else if (rc == 0) {
		struct uidset assigned = {0};

		rc = uidset_common(known, &all, &assigned);
		if (rc == 0)
			rc = uidset_minus(&assigned, &p->left, &candidates);
		uidset_free(&assigned);
	}
	if (rc == 0) /* what the client still sees is told without EARLIER when its time has come */
		rc = uidset_minus(&candidates, &s->box.uids, &gone);
	uidset_free(&all);
	uidset_free(&candidates);
	if (rc < 0)
		rc = err_set(e, ERR_TEMP, "no memory");
	else if ((rc = imap_write_vanished(s, &gone, true)) < 0)
		rc = imap_stream_error(rc, e);
	uidset_free(&gone);
	return rc;
}

struct narrow {
	uint64_t since;
	struct uidset changed;
};

static int collect_changed(struct imap_walk *w, struct imap_item *item, err *e)
{
	struct narrow *n = w->arg;

	if (item->entry.modseq > n->since && uidset_add(&n->changed, item->entry.uid) < 0)
		return err_set(e, ERR_TEMP, "no memory");
	return 1;
}

/* Rows say what may have changed; the entries say what did. */
static int narrow(struct imap_session *s, const struct past *p, struct uidset *uids, err *e)
{
	struct narrow n = {.since = p->since};
	struct uidset may = {0};
	struct imap_walk w = {.s = s, .uids = uids, .now = collect_changed, .arg = &n};
	int rc = 0;

	if (p->exact) {
		if (uidset_common(uids, &p->changed, &may) < 0)
			rc = err_set(e, ERR_TEMP, "no memory");
		w.uids = &may;
	}
	if (rc == 0)
		rc = imap_walk_run(&w, e);
	uidset_free(&may);
	if (rc < 0) {
		uidset_free(&n.changed);
		return -1;
	}
	uidset_free(uids);
	*uids = n.changed;
	return 0;
}

int imap_changedsince_apply(struct imap_session *s, const struct imap_changedsince *c,
	const struct uidset *named, struct uidset *uids, err *e)
{
	struct past p = {.since = c->modseq};
	int rc = look(s, &p, e);

	if (rc == 0 && c->vanished)
		rc = tell_gone(s, &p, named, e);
	if (rc == 0)
		rc = narrow(s, &p, uids, e);
	past_free(&p);
	return rc;
}

/* ---- SELECT (QRESYNC ...) ---- */

/*
 * The highest UID of the match data that stands at its number still: up to there the client knows of all that
 * went. Pairs below a match match as well, since numbers only ever move down. 0: none.
 */
static uint32_t matched(const struct imap_session *s, const struct uidset *seqs, const struct uidset *uids)
{
	uint32_t low = 0, high = uidset_count(seqs);

	while (low < high) { /* pairs 1..low match, high + 1 and up do not */
		uint32_t mid = low + (high - low + 1) / 2;
		uint32_t uid = uidset_uid(uids, mid);

		if (uid != 0 && uidset_uid(&s->box.uids, uidset_uid(seqs, mid)) == uid)
			low = mid;
		else
			high = mid - 1;
	}
	return low > 0 ? uidset_uid(uids, low) : 0;
}

static int matched_uid(const struct imap_session *s, const struct imap_open_params *p, uint32_t *ret_uid)
{
	struct uidset seqs = {0}, uids = {0};
	int rc = 0;

	*ret_uid = 0;
	if (!p->has_match)
		return 0;
	if (imap_seqset_named(&p->match_seqs, &seqs) < 0 || imap_seqset_named(&p->match_uids, &uids) < 0)
		rc = -1;
	else if (uidset_count(&seqs) == uidset_count(&uids)) /* else they are no pairs: worth nothing */
		*ret_uid = matched(s, &seqs, &uids);
	uidset_free(&seqs);
	uidset_free(&uids);
	return rc;
}

static int known_uids(const struct imap_session *s, const struct imap_open_params *p, uint32_t uidnext,
	struct uidset *ret_known, struct uidset *ret_present)
{
	if (p->has_known ? imap_seqset_named(&p->known, ret_known) < 0
			 : uidnext > 1 && uidset_add_range(ret_known, 1, uidnext - 1) < 0)
		return -1;
	return uidset_common(ret_known, &s->box.uids, ret_present);
}

int imap_open_resync(struct imap_session *s, const struct imap_open_params *o, err *e)
{
	/* A value that was never given out is of another life of the mailbox, before it was restored. */
	bool other_life = o->modseq > s->box.modseq;
	struct past p = {.since = other_life ? 0 : o->modseq, .whole = other_life};
	struct uidset known = {0}, present = {0};
	uint32_t from = 0;

	if (o->uidvalidity != s->box.uidvalidity)
		return 0;
	int rc = look(s, &p, e);
	if (rc == 0 && (known_uids(s, o, p.uidnext, &known, &present) < 0 || matched_uid(s, o, &from) < 0 ||
			       (from > 0 && uidset_remove_range(&known, 1, from) < 0)))
		rc = err_set(e, ERR_TEMP, "no memory");
	if (rc == 0)
		rc = tell_gone(s, &p, &known, e);
	if (rc == 0)
		rc = narrow(s, &p, &present, e);
	if (rc == 0) {
		struct imap_walk w = {.s = s, .uids = &present, .now = imap_tell_flags};

		rc = imap_walk_run(&w, e);
	}
	uidset_free(&known);
	uidset_free(&present);
	past_free(&p);
	return rc;
}

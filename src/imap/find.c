#include "imap/find.h"
#include "imap/objectid.h"
#include "io/fiber.h"

#define BREATH 1048576 /* bytes of messages looked through before others get their turn */

static int hit_now(struct find *f, struct imap_walk *w, struct imap_item *item, unsigned loaded, err *e)
{
	if (f->needs & ~loaded) {
		int there = imap_walk_load(w, item, f->needs & ~loaded, e);
		if (there <= 0)
			return there < 0 ? -1 : 1; /* gone since: found nowhere */
	}
	return f->hit(f, w, item, true, e) < 0 ? -1 : 1;
}

/* What decides is loaded step by step: entry; message and digest; summary; the message itself. */
static int now(struct imap_walk *w, struct imap_item *item, err *e)
{
	struct find *f = w->arg;
	struct search_message m = {.item = item, .keywords = w->keywords, .text = &f->text};
	int v = imap_search_match(&f->q, &m, e);

	const unsigned steps[] = {f->q.needs & ~(unsigned)IMAP_NEED_SUMMARY, f->q.needs};
	for (size_t i = 0; i < COUNT_OF(steps) && v == SEARCH_UNKNOWN; i++) {
		unsigned more = steps[i] & ~m.loaded;

		if (more == 0)
			continue;
		int there = imap_walk_load(w, item, more, e);
		m.loaded |= more;
		v = there > 0 ? imap_search_match(&f->q, &m, e) : there < 0 ? -1 : SEARCH_NO;
	}
	if (v == SEARCH_UNKNOWN) {
		int there = imap_walk_load(w, item, IMAP_NEED_BLOB | (f->needs & ~m.loaded), e);
		if (there > 0)
			return 0;
		v = there < 0 ? -1 : SEARCH_NO;
	}
	if (v < 0)
		return -1;
	return v == SEARCH_YES ? hit_now(f, w, item, m.loaded, e) : 1;
}

static int later(struct imap_walk *w, struct imap_item *item, err *e)
{
	struct find *f = w->arg;
	struct search_message m = {.item = item,
		.keywords = w->keywords,
		.text = &f->text,
		.loaded = f->q.needs | IMAP_NEED_BLOB};
	int v = imap_search_match(&f->q, &m, e);

	if (v == SEARCH_YES && f->hit(f, w, item, false, e) < 0)
		v = -1;
	if (v < 0)
		return -1;
	f->breath += item->blob.length;
	if (f->breath > BREATH) {
		f->breath = 0;
		if (fiber_yield() < 0)
			return err_set(e, ERR_CANCELED, "the session is told to end");
	}
	return 0;
}

static int resolve_sets(struct imap_session *s, struct search *q)
{
	int rc = 0;

	for (struct search_node *n = q->sets; n && rc >= 0; n = n->next_set) {
		if (n->op == SEARCH_NONE)
			continue;
		if (n->op == SEARCH_EMAILID) {
			if (!imap_emailid_read(n->name, s->box.account, &n->number))
				n->op = SEARCH_NONE;
			continue;
		}
		if (n->set.saved)
			rc = uidset_merge(&n->uids, &s->saved);
		else if (n->set_is_uids)
			rc = imap_seqset_uids(&n->set, &s->box.uids, &n->uids);
		else /* what is past the end matches nothing */
			rc = imap_seqset_seqs(&n->set, &s->box.uids, &n->uids);
	}
	return rc < 0 ? -1 : 0;
}

/*
 * The messages that are looked at when the mailbox has more than one command works on: of those that the
 * program names, so that a client goes on by naming what was left. 0, -1.
 */
static int named(struct imap_session *s, const struct find *f, struct uidset *ret)
{
	int rc = uidset_merge(ret, &s->box.uids);

	for (const struct search_node *n = f->q.root->child; n && rc == 0; n = n->next) {
		struct uidset common = {0};

		if (n->op != SEARCH_UIDS || n->negate)
			continue;
		rc = uidset_common(ret, &n->uids, &common);
		uidset_free(ret);
		*ret = common;
	}
	return rc < 0 ? -1 : 0;
}

int imap_find_run(struct imap_session *s, struct find *f, err *e)
{
	struct imap_walk w = {.s = s,
		.uids = &s->box.uids,
		.now = now,
		.later = later,
		.arg = f,
		.digests = (f->needs | f->q.needs) & IMAP_NEED_DIGEST ? &f->digests : NULL};
	struct uidset some = {0};

	s->by_numbers = f->q.numbers;
	f->text.keys = f->q.bodies;
	if (resolve_sets(s, &f->q) < 0)
		return err_set(e, ERR_TEMP, "no memory");
	int rc = 0;
	if (!f->whole && imap_over_limit(s, &s->box.uids)) {
		w.uids = &some;
		if (named(s, f, &some) < 0)
			rc = err_set(e, ERR_TEMP, "no memory");
		else if (f->at_once && imap_over_limit(s, &some))
			rc = imap_answer_over_limit(s, NULL) < 0 ? -1 : 1;
		else if (imap_cut(s, &some) < 0)
			rc = err_set(e, ERR_TEMP, "no memory");
	}
	if (rc == 0)
		rc = imap_walk_run(&w, e);
	uidset_free(&some);
	f->damaged += w.damaged;
	return rc;
}

void imap_find_free(struct find *f)
{
	for (struct search_node *n = f->q.sets; n; n = n->next_set)
		uidset_free(&n->uids);
	imap_digests_free(&f->digests);
	search_text_free(&f->text);
}

bool imap_find_allowed(const struct imap_session *s, struct imap_args *a, const struct search *q)
{
	return !s->uidonly || !q->numbers ||
	       imap_args_fail(a, "[UIDREQUIRED] UIDONLY is enabled: name messages by UID");
}

int imap_find_refuse(struct imap_session *s, const struct imap_args *a, const struct search *q)
{
	if (!q->bad_charset) /* BAD leaves "$" as it was, NO empties it: RFC 5182 2.1 */
		return imap_bad_args(s, a);
	if (q->returns & SEARCH_RETURN_SAVE)
		uidset_free(&s->saved);
	return imap_answer(s, IMAP_NO, "[BADCHARSET (UTF-8 US-ASCII)] that charset is not known");
}

int imap_find_answer(struct imap_session *s, const struct find *f, const char *done)
{
	const struct imap_walk w = {.damaged = f->damaged}; /* what is gone matches nothing */
	int rc = imap_answer_walk(s, &w, done);

	if (s->status != IMAP_OK && (f->q.returns & SEARCH_RETURN_SAVE)) /* a NO, too: RFC 5182 2.1 */
		uidset_free(&s->saved);
	return rc;
}

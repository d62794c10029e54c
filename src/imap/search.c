/* SEARCH: the walk and what is said of its result (RFC 9051 6.4.4, ESEARCH RFC 4731, SEARCHRES RFC 5182). */
#include "imap/condstore.h"
#include "imap/search.h"
#include "io/fiber.h"

#define BREATH 1048576 /* bytes of messages looked through before others get their turn */

struct run {
	struct search q;
	struct uidset found;
	struct {
		uint32_t first_uid, last_uid;
		uint64_t first, last, highest;
	} modseq; /* of what was found */
	uint64_t breath;
};

static int found(struct run *run, const struct imap_item *item, err *e)
{
	uint32_t uid = item->entry.uid;
	uint64_t modseq = item->entry.modseq;

	if (uidset_add(&run->found, uid) < 0)
		return err_set(e, ERR_TEMP, "no memory");
	if (run->modseq.first_uid == 0 || uid < run->modseq.first_uid) {
		run->modseq.first_uid = uid;
		run->modseq.first = modseq;
	}
	if (uid > run->modseq.last_uid) {
		run->modseq.last_uid = uid;
		run->modseq.last = modseq;
	}
	if (modseq > run->modseq.highest)
		run->modseq.highest = modseq;
	return 1;
}

/* What decides is loaded step by step: entry; message and summary; the message itself. */
static int now(struct imap_walk *w, struct imap_item *item, err *e)
{
	struct run *run = w->arg;
	struct search_message m = {.item = item, .keywords = w->keywords};
	int v = imap_search_match(&run->q, &m, e);

	if (v == SEARCH_UNKNOWN) {
		m.loaded = run->q.needs;
		int there = imap_walk_load(w, item, m.loaded, e);
		v = there > 0 ? imap_search_match(&run->q, &m, e) : there < 0 ? -1 : SEARCH_NO;
	}
	if (v == SEARCH_UNKNOWN) {
		int there = imap_walk_load(w, item, IMAP_NEED_BLOB, e);
		if (there > 0)
			return 0;
		v = there < 0 ? -1 : SEARCH_NO;
	}
	if (v < 0)
		return -1;
	return v == SEARCH_YES ? found(run, item, e) : 1;
}

static int later(struct imap_walk *w, struct imap_item *item, err *e)
{
	struct run *run = w->arg;
	struct search_message m = {
		.item = item, .keywords = w->keywords, .loaded = run->q.needs | IMAP_NEED_BLOB};
	int v = imap_search_match(&run->q, &m, e);

	if (v < 0)
		return -1;
	run->breath += item->blob.length;
	if (run->breath > BREATH) {
		run->breath = 0;
		if (fiber_yield() < 0)
			return err_set(e, ERR_CANCELED, "the session is told to end");
	}
	return v == SEARCH_YES && found(run, item, e) < 0 ? -1 : 0;
}

static int resolve_sets(struct imap_session *s, struct search *q)
{
	int rc = 0;

	for (struct search_node *n = q->sets; n && rc >= 0; n = n->next_set) {
		s->by_numbers |= !n->set.saved && !n->set_is_uids;
		if (n->set.saved)
			rc = uidset_merge(&n->uids, &s->saved);
		else if (n->set_is_uids)
			rc = imap_seqset_uids(&n->set, &s->box.uids, &n->uids);
		else /* past the end: matches nothing */
			rc = imap_seqset_seqs(&n->set, &s->box.uids, &n->uids);
	}
	return rc < 0 ? -1 : 0;
}

/* ---- answers ---- */

static int write_search(struct imap_session *s, const struct uidset *set, uint64_t modseq)
{
	int rc = 0;

	buf_addz(&s->out, "* SEARCH");
	for (uint32_t i = 0; i < set->n && rc == 0; i++) {
		for (uint64_t v = set->ranges[i].first; v <= set->ranges[i].last && rc == 0; v++) {
			buf_add_c(&s->out, ' ');
			imap_write_u64(&s->out, v);
			if (s->out.n > 65536)
				rc = imap_send(s);
		}
	}
	if (modseq > 0) {
		buf_addz(&s->out, " (MODSEQ ");
		imap_write_u64(&s->out, modseq);
		buf_add_c(&s->out, ')');
	}
	buf_addz(&s->out, "\r\n");
	return rc;
}

static void write_number(struct buf *out, const char *name, uint64_t v)
{
	buf_addz(out, name);
	imap_write_u64(out, v);
}

/* The highest one of the messages that are told: with MIN or MAX alone just those (RFC 4731 3.2). */
static uint64_t told_modseq(const struct run *run, unsigned returns)
{
	uint64_t first = returns & SEARCH_RETURN_MIN ? run->modseq.first : 0;
	uint64_t last = returns & SEARCH_RETURN_MAX ? run->modseq.last : 0;

	if (!run->q.modseq)
		return 0;
	if (returns & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT))
		return run->modseq.highest;
	return first > last ? first : last;
}

static void write_esearch(
	struct imap_session *s, unsigned returns, const struct uidset *set, uint64_t modseq)
{
	struct buf *out = &s->out;
	uint32_t count = uidset_count(set);

	if (returns == SEARCH_RETURN_SAVE)
		return; /* RFC 5182 2.1: nothing but the tagged OK */
	buf_addz(out, "* ESEARCH (TAG ");
	imap_write_string(out, s->command.tag, false);
	buf_addz(out, s->by_uid ? ") UID" : ")");
	if (count > 0 && (returns & SEARCH_RETURN_MIN))
		write_number(out, " MIN ", uidset_uid(set, 1));
	if (count > 0 && (returns & SEARCH_RETURN_MAX))
		write_number(out, " MAX ", uidset_uid(set, count));
	if (count > 0 && (returns & SEARCH_RETURN_ALL)) {
		buf_addz(out, " ALL ");
		imap_write_uids(out, set);
	}
	if (returns & SEARCH_RETURN_COUNT)
		write_number(out, " COUNT ", count);
	if (modseq > 0)
		write_number(out, " MODSEQ ", modseq);
	buf_addz(out, "\r\n");
}

/* "$" is what was asked for: with MIN or MAX alone just those (RFC 5182 2.1, table). */
static int save(struct imap_session *s, unsigned returns, struct uidset *found_uids)
{
	uint32_t count = uidset_count(found_uids);
	int rc = 0;

	uidset_free(&s->saved);
	if (count == 0)
		return 0;
	if ((returns & (SEARCH_RETURN_MIN | SEARCH_RETURN_MAX)) &&
		!(returns & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT))) {
		if (returns & SEARCH_RETURN_MIN)
			rc = uidset_add(&s->saved, uidset_uid(found_uids, 1));
		if (rc == 0 && (returns & SEARCH_RETURN_MAX))
			rc = uidset_add(&s->saved, uidset_uid(found_uids, count));
		return rc;
	}
	s->saved = *found_uids;
	*found_uids = (struct uidset){0};
	return 0;
}

static int tell(struct imap_session *s, struct run *run)
{
	unsigned returns = run->q.extended ? run->q.returns : SEARCH_RETURN_ALL;
	uint64_t modseq = told_modseq(run, returns);
	struct uidset set = {0};
	int rc = imap_numbers(s, &run->found, &set);

	if (rc == 0 && (run->q.extended || s->rev2))
		write_esearch(s, returns, &set, modseq);
	else if (rc == 0)
		rc = write_search(s, &set, modseq);
	uidset_free(&set);
	if (rc == 0 && (run->q.returns & SEARCH_RETURN_SAVE))
		rc = save(s, run->q.returns, &run->found);
	return rc;
}

static void release(struct run *run)
{
	for (struct search_node *n = run->q.sets; n; n = n->next_set)
		uidset_free(&n->uids);
	uidset_free(&run->found);
}

int imap_cmd_search(struct imap_session *s, struct imap_args *a)
{
	struct run run = {0};
	struct imap_walk w = {.s = s, .uids = &s->box.uids, .now = now, .later = later, .arg = &run};
	err e = {0};

	if (!imap_take_search(a, &run.q)) {
		if (!run.q.bad_charset)
			return imap_bad_args(
				s, a); /* BAD leaves "$" as it was, NO empties it: RFC 5182 2.1 */
		if (run.q.returns & SEARCH_RETURN_SAVE)
			uidset_free(&s->saved);
		return imap_answer(s, IMAP_NO, "[BADCHARSET (UTF-8 US-ASCII)] that charset is not known");
	}
	if (run.q.modseq)
		imap_condstore_enable(s);
	int rc = resolve_sets(s, &run.q);
	if (rc < 0)
		(void)err_set(&e, ERR_TEMP, "no memory");
	else
		rc = imap_walk_run(&w, &e);
	if (rc == 0) {
		rc = tell(s, &run);
		if (rc < 0)
			rc = imap_stream_error(rc, &e);
	}
	if (rc < 0 && (run.q.returns & SEARCH_RETURN_SAVE))
		uidset_free(&s->saved);
	release(&run);
	if (rc < 0)
		return imap_answer_err(s, &e);
	w.missing = 0; /* what is gone matches nothing */
	return imap_answer_walk(s, &w, "searched");
}

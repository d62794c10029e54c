/* SEARCH: the walk and what is said of its result (RFC 9051 6.4.4, ESEARCH RFC 4731, SEARCHRES RFC 5182). */
#include "imap/condstore.h"
#include "imap/find.h"
#include "imap/name.h"
#include <errno.h>

struct run {
	struct find f;
	slice mailbox; /* told with the result (RFC 7377); p == NULL: it is the selected one, which goes
			  unsaid */
	struct uidset found;
	struct {
		uint32_t first_uid, last_uid;
		uint64_t first, last, highest;
	} modseq; /* of what was found */
};

static int hit(struct find *f, struct imap_walk *w, struct imap_item *item, bool in_snapshot, err *e)
{
	struct run *run = f->arg;
	uint32_t uid = item->entry.uid;
	uint64_t modseq = item->entry.modseq;

	(void)w;
	(void)in_snapshot;
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
	return 0;
}

/* ---- answers ---- */

static int write_search(struct imap_session *s, const struct uidset *set, uint64_t modseq)
{
	struct uidset_scan sc = uidset_scan_from(set, 1);
	struct uid_range r;
	int rc = 0;

	buf_addz(&s->out, "* SEARCH");
	while (rc == 0 && uidset_scan_next(&sc, &r)) {
		for (uint64_t v = r.first; v <= r.last && rc == 0; v++) {
			buf_add_c(&s->out, ' ');
			imap_write_u64(&s->out, v);
			rc = imap_breathe(s);
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

	if (!run->f.q.modseq)
		return 0;
	if (returns & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT | SEARCH_RETURN_PARTIAL))
		return run->modseq.highest;
	return first > last ? first : last;
}

/* The page, or NIL when it lies past the end (RFC 9394 3.1). */
static int write_partial(struct buf *out, const struct imap_partial *p, const struct uidset *set)
{
	struct uidset page = {0};
	int rc = imap_partial_of(p, set, &page);

	buf_addz(out, " PARTIAL (");
	buf_add(out, p->range);
	buf_add_c(out, ' ');
	if (page.n == 0)
		buf_addz(out, "NIL");
	else
		imap_write_uids(out, &page);
	buf_add_c(out, ')');
	uidset_free(&page);
	return rc;
}

static int write_all(struct imap_session *s, const struct uidset *set)
{
	struct uidset_scan sc = uidset_scan_from(set, 1);
	struct uid_range r;
	int rc = 0;

	for (bool first = true; rc == 0 && uidset_scan_next(&sc, &r); first = false) {
		if (!first)
			buf_add_c(&s->out, ',');
		imap_write_range(&s->out, &r);
		rc = imap_breathe(s);
	}
	return rc;
}

static int write_esearch(struct imap_session *s, const struct run *run, unsigned returns,
	const struct uidset *set, uint64_t modseq)
{
	struct buf *out = &s->out;
	uint32_t count = uidset_count(set);
	int rc = 0;

	if (returns == SEARCH_RETURN_SAVE)
		return 0; /* RFC 5182 2.1: nothing but the tagged OK */
	buf_addz(out, "* ESEARCH (TAG ");
	imap_write_string(out, s->command.tag, false);
	if (run->mailbox.p) {
		buf_addz(out, " MAILBOX ");
		imap_name_write(out, run->mailbox, s->rev2 || s->utf8);
		write_number(out, " UIDVALIDITY ", s->box.uidvalidity);
	}
	buf_addz(out, s->by_uid ? ") UID" : ")");
	if (count > 0 && (returns & SEARCH_RETURN_MIN))
		write_number(out, " MIN ", uidset_uid(set, 1));
	if (count > 0 && (returns & SEARCH_RETURN_MAX))
		write_number(out, " MAX ", uidset_uid(set, count));
	if (count > 0 && (returns & SEARCH_RETURN_ALL)) {
		buf_addz(out, " ALL ");
		rc = write_all(s, set);
	}
	if (returns & SEARCH_RETURN_COUNT)
		write_number(out, " COUNT ", count);
	if (rc == 0 && (returns & SEARCH_RETURN_PARTIAL) && write_partial(out, &run->f.q.partial, set) < 0)
		rc = -ENOMEM;
	if (modseq > 0)
		write_number(out, " MODSEQ ", modseq);
	buf_addz(out, "\r\n");
	return rc;
}

/* "$" is what was asked for: with MIN, MAX or PARTIAL just those (RFC 5182 2.1, RFC 9394 3.2). */
static int save(struct imap_session *s, const struct search *q, struct uidset *found_uids)
{
	const unsigned some = SEARCH_RETURN_MIN | SEARCH_RETURN_MAX | SEARCH_RETURN_PARTIAL;
	uint32_t count = uidset_count(found_uids);
	int rc = 0;

	uidset_free(&s->saved);
	if (count == 0)
		return 0;
	if (!(q->returns & some) || (q->returns & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT))) {
		s->saved = *found_uids;
		*found_uids = (struct uidset){0};
		return 0;
	}
	if (q->returns & SEARCH_RETURN_MIN)
		rc = uidset_add(&s->saved, uidset_uid(found_uids, 1));
	if (rc == 0 && (q->returns & SEARCH_RETURN_MAX))
		rc = uidset_add(&s->saved, uidset_uid(found_uids, count));
	if (rc == 0 && (q->returns & SEARCH_RETURN_PARTIAL))
		rc = imap_partial_of(&q->partial, found_uids, &s->saved);
	return rc < 0 ? -ENOMEM : 0;
}

static int tell(struct imap_session *s, struct run *run)
{
	const struct search *q = &run->f.q;
	unsigned returns = q->extended ? q->returns : SEARCH_RETURN_ALL;
	uint64_t modseq = told_modseq(run, returns);
	struct uidset set = {0};
	int rc = imap_numbers(s, &run->found, &set) < 0 ? -ENOMEM : 0;

	if (rc == 0 && (q->extended || s->rev2))
		rc = write_esearch(s, run, returns, &set, modseq);
	else if (rc == 0)
		rc = write_search(s, &set, modseq);
	uidset_free(&set);
	if (rc == 0 && (q->returns & SEARCH_RETURN_SAVE))
		rc = save(s, q, &run->found);
	return rc;
}

int imap_search_mailbox(
	struct imap_session *s, const struct search *q, slice path, uint32_t *add_damaged, err *e)
{
	struct run run = {.f = {.q = *q, .hit = hit, .arg = &run, .whole = true}, .mailbox = path};
	int rc = imap_find_run(s, &run.f, e);
	bool none = run.found.n == 0; /* tell takes the set away */

	if (rc == 0 && !none) {
		run.f.q.extended = true;
		rc = tell(s, &run);
		if (rc == 0)
			rc = imap_send(s);
		if (rc < 0)
			rc = imap_stream_error(rc, e);
	}
	if ((rc < 0 || none) && (q->returns & SEARCH_RETURN_SAVE))
		uidset_free(&s->saved);
	*add_damaged += run.f.damaged;
	imap_find_free(&run.f);
	uidset_free(&run.found);
	return rc;
}

static int search(struct imap_session *s, struct run *run)
{
	err e = {0};

	if (run->f.q.modseq)
		imap_condstore_enable(s);
	int rc = imap_find_run(s, &run->f, &e);
	if (rc == 0) {
		rc = tell(s, run);
		if (rc < 0)
			rc = imap_stream_error(rc, &e);
	}
	if (rc < 0 && (run->f.q.returns & SEARCH_RETURN_SAVE))
		uidset_free(&s->saved);
	return rc < 0 ? imap_answer_err(s, &e) : imap_find_answer(s, &run->f, "searched");
}

int imap_cmd_search(struct imap_session *s, struct imap_args *a)
{
	struct run run = {.f = {.hit = hit, .arg = &run}};
	int rc = imap_take_search(a, &run.f.q) && imap_find_allowed(s, a, &run.f.q)
			 ? search(s, &run)
			 : imap_find_refuse(s, a, &run.f.q);

	imap_find_free(&run.f);
	uidset_free(&run.found);
	return rc;
}

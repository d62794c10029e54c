/* CONDSTORE and QRESYNC: arguments and pieces of responses. */
#include "imap/condstore.h"

#define VANISHED_LINE 8000 /* bytes after which a VANISHED goes on in another one: RFC 7162 4 */

void imap_write_highest(struct imap_session *s, uint64_t modseq, const char *why)
{
	buf_addz(&s->out, "* OK [HIGHESTMODSEQ ");
	imap_write_u64(&s->out, modseq);
	buf_addz(&s->out, "] ");
	buf_addz(&s->out, why);
	buf_addz(&s->out, "\r\n");
}

void imap_condstore_enable(struct imap_session *s)
{
	if (s->condstore)
		return;
	s->condstore = true;
	if (s->box.open)
		imap_write_highest(s, s->box.told, "mod-sequences are told from here on");
}

void imap_write_modseq(struct buf *out, uint64_t modseq)
{
	buf_addz(out, "MODSEQ (");
	imap_write_u64(out, modseq);
	buf_add_c(out, ')');
}

int imap_write_vanished(struct imap_session *s, const struct uidset *uids, bool earlier)
{
	struct buf *out = &s->out;

	struct uidset_scan sc = uidset_scan_from(uids, 1);
	struct uid_range r;

	for (bool more = uidset_scan_next(&sc, &r); more;) {
		buf_addz(out, earlier ? "* VANISHED (EARLIER) " : "* VANISHED ");
		for (size_t mark = out->n; more && out->n - mark < VANISHED_LINE && !out->failed;
			more = uidset_scan_next(&sc, &r)) {
			if (out->n > mark)
				buf_add_c(out, ',');
			imap_write_range(out, &r);
		}
		buf_addz(out, "\r\n");
		int rc = imap_breathe(s);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int imap_numbers(const struct imap_session *s, const struct uidset *uids, struct uidset *ret)
{
	struct uidset_scan sc = uidset_scan_from(uids, 1);
	struct uid_range r;

	if (s->by_uid)
		return uidset_merge(ret, uids);
	while (uidset_scan_next(&sc, &r)) {
		uint32_t first = uidset_seq(&s->box.uids, r.first);

		if (uidset_add_range(ret, first, first + (r.last - r.first)) < 0)
			return -1;
	}
	return 0;
}

bool imap_take_modseq(struct imap_args *a, uint64_t *ret)
{
	return imap_take_number(a, INT64_MAX, ret);
}

/* ---- SELECT (CONDSTORE), SELECT (QRESYNC (...)) ---- */

/* A set of plain numbers: neither "*" nor "$". */
static bool take_plain_set(struct imap_args *a, struct imap_seqset *ret)
{
	if (!imap_take_seqset(a, ret))
		return false;
	bool plain = !ret->saved;
	for (uint32_t i = 0; i < ret->n; i++)
		plain &= ret->ranges[i].first != IMAP_STAR && ret->ranges[i].last != IMAP_STAR;
	return plain || imap_args_fail(a, "QRESYNC wants plain numbers");
}

static bool take_match(struct imap_args *a, struct imap_open_params *p)
{
	p->has_match = true;
	return imap_take_c(a, '(') && take_plain_set(a, &p->match_seqs) && imap_take_sp(a) &&
	       take_plain_set(a, &p->match_uids) && imap_take_c(a, ')');
}

static bool take_qresync(struct imap_args *a, struct imap_open_params *p)
{
	if (!imap_take_sp(a) || !imap_take_c(a, '(') || !imap_take_u32(a, &p->uidvalidity) ||
		!imap_take_sp(a) || !imap_take_modseq(a, &p->modseq))
		return false;
	while (imap_args_peek(a) == ' ') {
		if (!imap_take_sp(a))
			return false;
		bool match = imap_args_peek(a) == '(';
		if (p->has_match || (!match && p->has_known))
			return imap_args_fail(a, "QRESYNC has too many arguments");
		if (match ? !take_match(a, p) : !take_plain_set(a, &p->known))
			return false;
		p->has_known |= !match;
	}
	return imap_take_c(a, ')');
}

bool imap_take_open_params(struct imap_args *a, bool enabled, struct imap_open_params *ret)
{
	slice word;

	if (imap_args_at_end(a))
		return true;
	if (!imap_take_sp(a) || !imap_take_c(a, '('))
		return false;
	for (bool first = true; first || !imap_try_c(a, ')'); first = false) {
		if ((!first && !imap_take_sp(a)) || !imap_take_atom(a, &word))
			return false;
		bool *seen = slice_ieq(word, S("CONDSTORE")) ? &ret->condstore
			     : slice_ieq(word, S("QRESYNC")) ? &ret->qresync
							     : NULL;
		if (!seen || *seen)
			return imap_args_fail(
				a, seen ? "a parameter stands twice" : "that parameter is not known");
		*seen = true;
		if (seen == &ret->qresync && !enabled)
			return imap_args_fail(a, "say ENABLE QRESYNC before");
		if (seen == &ret->qresync && !take_qresync(a, ret))
			return false;
	}
	return true;
}

/* ---- FETCH (CHANGEDSINCE n VANISHED) ---- */

bool imap_take_changedsince(struct imap_args *a, slice name, struct imap_changedsince *ret)
{
	if (slice_ieq(name, S("VANISHED")) && !ret->vanished) {
		ret->vanished = true;
		return true;
	}
	if (!slice_ieq(name, S("CHANGEDSINCE")) || ret->is)
		return false;
	ret->is = true;
	return imap_take_sp(a) && imap_take_modseq(a, &ret->modseq);
}

const char *imap_changedsince_refusal(const struct imap_session *s, const struct imap_changedsince *c)
{
	if (!c->vanished)
		return NULL;
	if (!s->by_uid)
		return "VANISHED is for UID FETCH";
	if (!s->qresync)
		return "say ENABLE QRESYNC before";
	return c->is ? NULL : "VANISHED wants CHANGEDSINCE beside it";
}

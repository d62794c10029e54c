/* The selected mailbox as its client knows it: opened, kept up to date from the change log, told. */
#include "imap/condstore.h"
#include "imap/notify.h"
#include "io/fiber.h"
#include "mailbox/change.h"
#include <errno.h>

#define UNSEEN_STEP  8192 /* entries looked at for UNSEEN before others have their turn */
#define UNSEEN_STEPS 32   /* it is optional: no more of them */

/* Without any of these SELECT says READ-ONLY (RFC 4314 5.2): all flags are shared by who uses the mailbox. */
#define RIGHTS_READ_WRITE (RIGHT_INSERT | RIGHT_EXPUNGE | RIGHT_SEEN | RIGHT_WRITE | RIGHT_DELETE)

static void changed(struct watch *w, uint32_t mailbox, uint64_t modseq)
{
	struct imap_session *s = (void *)((char *)w - offsetof(struct imap_session, watch));

	(void)mailbox;
	(void)modseq;
	s->dirty = true;
	stream_wake(s->io);
}

static int fill(struct imap_session *s, struct store_snap *snap, bool *ret_unseen, err *e)
{
	struct mailbox_row row;
	uint64_t floor;
	int rc = mailbox_get(snap, s->box.account, s->box.mailbox, &row, e);

	if (rc <= 0)
		return rc;
	if (row.noselect)
		return 0;
	if (mailbox_rights(snap, s->box.account, row.id, s->account, &s->box.rights, e) < 0)
		return -1;
	if (!(s->box.rights & RIGHT_READ))
		return 0;
	s->box.readonly |= !(s->box.rights & RIGHTS_READ_WRITE);
	if (change_state(snap, s->box.account, &floor, &s->box.modseq, e) < 0)
		return -1;
	imap_view_begin(s, &row);
	*ret_unseen = row.unseen > 0;
	s->box.told = row.highest_modseq;
	s->box.keywords = mailbox_keyword_count(&row);
	return 1;
}

void imap_box_close(struct imap_session *s)
{
	if (s->watch_loop && s->box.open)
		watch_stop(&s->watch);
	uidset_free(&s->box.uids);
	uidset_free(&s->box.gone);
	s->box = (struct imap_box){0};
}

/* ---- changes of others ---- */

struct news {
	struct uidset added, flagged;
	struct uidset quiet; /* of flagged, in the time of which the client may have made the change itself */
	struct uidset others; /* of `added` what this session did not bring */
	unsigned keywords;
};

static void news_free(struct news *n)
{
	uidset_free(&n->added);
	uidset_free(&n->others);
	uidset_free(&n->flagged);
	uidset_free(&n->quiet);
}

static int flagged_range(
	struct imap_session *s, struct news *n, uint64_t modseq, uint32_t first, uint32_t last)
{
	const struct imap_quiet *q = &s->quiet;

	return uidset_add_range(
		modseq <= q->after || modseq > q->upto ? &n->flagged : &n->quiet, first, last);
}

static int added_range(struct imap_session *s, struct news *n, uint64_t modseq, uint32_t first, uint32_t last)
{
	if (!imap_notify_is_own(s, s->box.account, s->box.mailbox, modseq) &&
		uidset_add_range(&n->others, first, last) < 0)
		return -1;
	return uidset_add_range(&n->added, first, last);
}

static int take_change(struct imap_session *s, struct news *n, struct change *c)
{
	uint32_t first, last;

	while (change_range(c, &first, &last)) {
		int rc = 0;

		if (c->kind == CHANGE_ADDED)
			rc = added_range(s, n, c->modseq, first, last);
		else if (c->kind == CHANGE_FLAGS)
			rc = flagged_range(s, n, c->modseq, first, last);
		else if (c->kind == CHANGE_EXPUNGED)
			rc = uidset_remove_range(&n->added, first, last) < 0 ||
					     uidset_remove_range(&n->others, first, last) < 0 ||
					     uidset_add_range(&s->box.gone, first, last) < 0
				     ? -1
				     : 0;
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int from_log(struct imap_session *s, struct store_snap *snap, struct news *n, err *e)
{
	struct change_scan sc;
	struct change c;
	int rc;

	if (change_open(snap, s->box.account, s->box.mailbox, s->box.modseq, &sc, e) < 0)
		return -1;
	while ((rc = change_next(&sc, &c, e)) > 0) {
		if (take_change(s, n, &c) < 0) {
			rc = err_set(e, ERR_TEMP, "no memory");
			break;
		}
	}
	change_close(&sc);
	if (rc == 0 && n->quiet.n > 0 &&
		(uidset_subtract(&n->quiet, &s->quiet.uids) < 0 || uidset_merge(&n->flagged, &n->quiet) < 0))
		rc = err_set(e, ERR_TEMP, "no memory");
	return rc;
}

/* The log does not reach back so far: compare with what is there. */
static int from_blocks(struct imap_session *s, struct store_snap *snap, struct news *n, err *e)
{
	struct uidset now = {0};
	struct mailbox_entry_scan sc;
	const struct mailbox_entry *entry;
	int rc = mailbox_uids(snap, s->box.account, s->box.mailbox, 0, &now, e);

	if (rc == 0)
		rc = uidset_merge(&s->box.gone, &s->box.uids);
	if (rc == 0)
		rc = uidset_subtract(&s->box.gone, &now);
	if (rc == 0)
		rc = uidset_minus(&now, &s->box.uids, &n->added);
	if (rc == 0)
		rc = uidset_merge(&n->others, &n->added);
	uidset_free(&now);
	if (rc < 0)
		return err_set(e, ERR_TEMP, "no memory");
	if (mailbox_entry_open(snap, s->box.account, s->box.mailbox, 1, UINT32_MAX, &sc, e) < 0)
		return -1;
	while ((rc = mailbox_entry_next(&sc, &entry, e)) > 0) {
		if (entry->modseq > s->box.modseq && uidset_add(&n->flagged, entry->uid) < 0) {
			rc = err_set(e, ERR_TEMP, "no memory");
			break;
		}
	}
	mailbox_entry_close(&sc);
	return rc;
}

void imap_box_keywords(struct imap_session *s, const struct mailbox_row *row)
{
	unsigned keywords = mailbox_keyword_count(row);

	if (keywords != s->box.keywords && s->box.keywords != IMAP_KEYWORDS_UNTOLD) {
		s->box.keywords = keywords;
		imap_write_flag_lists(s, row);
	}
}

/* What the owner permits now: other flags than the client was told, or not to read any more. 1, 0, -1. */
static int judge(struct imap_session *s, struct store_snap *snap, const struct mailbox_row *row, err *e)
{
	unsigned rights;

	if (mailbox_rights(snap, s->box.account, s->box.mailbox, s->account, &rights, e) < 0)
		return -1;
	bool changed_flags = rights_flags(rights) != rights_flags(s->box.rights);
	s->box.rights = rights;
	if (!(rights & RIGHT_READ))
		return 0;
	if (changed_flags && s->box.keywords != IMAP_KEYWORDS_UNTOLD)
		imap_write_flag_lists(s, row);
	return 1;
}

int imap_box_row(struct imap_session *s, struct store_snap *snap, struct mailbox_row *ret, err *e)
{
	struct mailbox_row row;
	int rc = mailbox_get(snap, s->box.account, s->box.mailbox, &row, e);

	if (rc <= 0)
		return rc;
	if (row.uidvalidity != s->box.uidvalidity)
		return 0;
	*ret = row;
	return s->box.account == s->account ? 1 : judge(s, snap, &row, e);
}

/*
 * Another session deleted the mailbox. To tell of its messages as expunged would make clients that keep
 * copies throw them away, and nothing said of an untold one's numbers would be true: the session ends, as in
 * Dovecot (RFC 2180 3.3). Who deletes what it has selected knows, and has none selected.
 */
static void lost(struct imap_session *s)
{
	bool own = slice_ieq(s->command.verb, S("DELETE"));

	imap_box_close(s);
	s->done |= !own;
	buf_addz(&s->out, own ? "* OK [CLOSED] the selected mailbox is deleted\r\n"
			      : "* BYE the selected mailbox was deleted: come again\r\n");
}

/* 1; 0: the mailbox is not there any more. */
static int gather(struct imap_session *s, struct news *n, err *e)
{
	struct store_snap snap = {0};
	struct mailbox_row row;
	uint64_t floor = 0, modseq = 0;

	s->dirty = s->box.settled = false;
	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	int rc = imap_box_row(s, &snap, &row, e);
	if (rc > 0 && row.noselect)
		rc = 0;
	if (rc > 0) {
		rc = change_state(&snap, s->box.account, &floor, &modseq, e);
		if (rc > 0 && modseq > s->box.modseq)
			rc = s->box.modseq < floor ? from_blocks(s, &snap, n, e) : from_log(s, &snap, n, e);
		if (rc >= 0 && modseq > s->box.modseq)
			s->box.modseq = modseq;
		s->box.highest = row.highest_modseq;
		imap_box_keywords(s, &row);
		rc = rc < 0 ? -1 : 1;
	}
	store_snap_end(&snap);
	return rc;
}

/* ---- opening ---- */

/* Reads the view, which takes several snapshots, and brings it to one moment. 1, 0 the mailbox is gone, -1.
 */
static int read_view(struct imap_session *s, err *e)
{
	struct news n = {0};

	if (imap_view_read(s, e) < 0)
		return -1;
	int rc = gather(s, &n, e);
	if (rc > 0 &&
		(uidset_merge(&s->box.uids, &n.added) < 0 || uidset_subtract(&s->box.uids, &s->box.gone) < 0))
		rc = err_set(e, ERR_TEMP, "no memory");
	uidset_free(&s->box.gone);
	news_free(&n);
	s->box.told = s->box.highest;
	s->box.settled = rc > 0;
	return rc;
}

/* Looks at some entries above *uid. 1: found, in *uid; 0: not, or it is not worth it, or *uid is where to go
 * on. */
static int look_unseen(struct imap_session *s, struct store_snap *snap, uint32_t *uid, bool *ret_end, err *e)
{
	struct mailbox_entry_scan sc;
	const struct mailbox_entry *entry;
	unsigned seen = 0;
	int rc;

	if (mailbox_entry_open(snap, s->box.account, s->box.mailbox, *uid + 1, UINT32_MAX, &sc, e) < 0)
		return -1;
	while ((rc = mailbox_entry_next(&sc, &entry, e)) > 0) {
		*uid = entry->uid;
		if (!(entry->flags & FLAG_SEEN) || ++seen == UNSEEN_STEP)
			break;
	}
	*ret_end = rc <= 0;
	bool found = rc > 0 && !(entry->flags & FLAG_SEEN);
	mailbox_entry_close(&sc);
	return rc < 0 ? -1 : found;
}

static int first_unseen(struct imap_session *s, uint32_t *ret_seq, err *e)
{
	uint32_t uid = 0;
	bool end = false;

	for (unsigned steps = 0; !end && steps < UNSEEN_STEPS; steps++) {
		struct store_snap snap = {0};
		int rc = store_snap_begin(s->store, &snap, e);

		if (rc == 0)
			rc = look_unseen(s, &snap, &uid, &end, e);
		store_snap_end(&snap);
		if (rc < 0)
			return -1;
		if (rc > 0) {
			*ret_seq = uidset_seq(&s->box.uids, uid); /* 0: it has come since */
			return 0;
		}
		if (!end && fiber_yield() < 0)
			return err_set(e, ERR_CANCELED, "the session is told to end");
	}
	return 0;
}

int imap_box_open(struct imap_session *s, uint32_t account, uint32_t mailbox, bool readonly,
	uint32_t *ret_first_unseen, err *e)
{
	struct store_snap snap = {0};
	bool unseen = false;

	s->box =
		(struct imap_box){.open = true, .readonly = readonly, .account = account, .mailbox = mailbox};
	*ret_first_unseen = 0;
	if (s->watch_loop) { /* before the snapshot: nothing falls in between */
		s->watch = (struct watch){.account = s->box.account, .mailbox = mailbox, .changed = changed};
		watch_start(s->watch_loop, &s->watch);
	}
	s->dirty = false;
	int rc = store_snap_begin(s->store, &snap, e);
	if (rc == 0)
		rc = fill(s, &snap, &unseen, e);
	store_snap_end(&snap);
	if (rc > 0 && !s->box.settled)
		rc = read_view(s, e);
	if (rc > 0 && unseen && first_unseen(s, ret_first_unseen, e) < 0)
		rc = -1;
	if (rc <= 0)
		imap_box_close(s);
	return rc;
}

/* ---- telling ---- */

/* From the highest down, so that no number moves before it is told; each run of UIDs repeats its first
 * number. */
static int tell_expunged(struct imap_session *s)
{
	struct uidset *gone = &s->box.gone, *uids = &s->box.uids;

	struct uidset_scan sc = uidset_scan_end(gone);
	struct uid_range r;

	while (uidset_scan_prev(&sc, &r)) {
		uint32_t below = r.first > 1 ? uidset_rank(uids, r.first - 1) : 0;
		uint32_t count = uidset_rank(uids, r.last) - below;

		for (; count > 0; count--) {
			buf_addz(&s->out, "* ");
			imap_write_u64(&s->out, below + 1);
			buf_addz(&s->out, " EXPUNGE\r\n");
			int rc = imap_breathe(s);
			if (rc < 0)
				return rc;
		}
	}
	if (uidset_subtract(uids, gone) < 0 || uidset_subtract(&s->saved, gone) < 0)
		return -ENOMEM;
	uidset_free(gone);
	return 0;
}

/* QRESYNC and UIDONLY: only what the client knows of may be named (RFC 7162 3.2.10.2). */
static int tell_vanished(struct imap_session *s)
{
	struct uidset *gone = &s->box.gone, *uids = &s->box.uids;
	struct uidset seen = {0}, left = {0};
	int rc = uidset_common(gone, uids, &seen) < 0 || uidset_minus(uids, gone, &left) < 0 ? -ENOMEM : 0;

	if (rc == 0)
		rc = imap_write_vanished(s, &seen, false);
	if (rc == 0) {
		rc = uidset_subtract(&s->saved, &seen) < 0 ? -ENOMEM : 0;
		uidset_free(uids);
		*uids = left;
		left = (struct uidset){0};
		uidset_free(gone);
	}
	uidset_free(&seen);
	uidset_free(&left);
	return rc;
}

/*
 * A client takes the highest MODSEQ it saw for where to begin the next time. While an expunge waits that is
 * too high, and it is told so (RFC 7162 3.2, 6).
 */
static void tell_highest(struct imap_session *s)
{
	bool waits = uidset_count(&s->box.gone) > 0;

	if (waits && s->condstore)
		imap_write_highest(s, s->box.told, "some expunges wait");
	else if (!waits && s->box.waited && s->condstore)
		imap_write_highest(s, s->box.highest, "all is told");
	s->box.waited = waits;
	if (!waits)
		s->box.told = s->box.highest;
}

void imap_write_fetch(struct imap_session *s, const struct imap_item *item)
{
	buf_addz(&s->out, "* ");
	imap_write_u64(&s->out, s->uidonly ? item->entry.uid : item->seq);
	buf_addz(&s->out, s->uidonly ? " UIDFETCH (" : " FETCH (");
}

int imap_tell_flags(struct imap_walk *w, struct imap_item *item, err *e)
{
	const struct mailbox_row names = {.keywords = w->keywords};
	struct buf *out = &w->s->out;

	(void)e;
	imap_write_fetch(w->s, item);
	if (!w->s->uidonly) {
		buf_addz(out, "UID ");
		imap_write_u64(out, item->entry.uid);
		buf_add_c(out, ' ');
	}
	buf_addz(out, "FLAGS (");
	imap_write_flags(out, item->entry.flags, item->entry.keywords, &names);
	buf_add_c(out, ')');
	if (w->s->condstore) {
		buf_add_c(out, ' ');
		imap_write_modseq(out, item->entry.modseq);
	}
	buf_addz(out, ")\r\n");
	return 1;
}

static int tell_added(struct imap_session *s, const struct uidset *added)
{
	if (uidset_count(added) == 0)
		return 0;
	if (uidset_merge(&s->box.uids, added) < 0)
		return -ENOMEM;
	buf_addz(&s->out, "* ");
	imap_write_u64(&s->out, uidset_count(&s->box.uids));
	buf_addz(&s->out, " EXISTS\r\n");
	return 0;
}

int imap_box_expunged(struct imap_session *s, const struct uidset *uids)
{
	struct uidset known = {0};

	if (imap_notify_selected(s) != 0)
		return 0; /* the change log tells */
	int rc = uidset_common(uids, &s->box.uids, &known) < 0 || uidset_merge(&s->box.gone, &known) < 0
			 ? -ENOMEM
			 : 0;

	s->box.settled = false; /* neither what the mailbox was nor what it is */
	uidset_free(&known);
	return rc;
}

int imap_box_news(struct imap_session *s, bool expunges)
{
	struct news n = {0};
	err e = {0};
	int rc = 0;

	if (!s->box.open)
		return 0;
	unsigned events = imap_notify_selected(s);
	if (events != 0 && (s->dirty || !s->watch_loop)) {
		int there = gather(s, &n, &e);

		if (there == 0) {
			lost(s);
			return 0;
		}
		if (there < 0)
			rc = imap_end_of(&e); /* the view would be wrong from here on: the session ends */
	}
	if (rc == 0 && expunges && uidset_count(&s->box.gone) > 0)
		rc = s->qresync || s->uidonly ? tell_vanished(s) : tell_expunged(s);
	/* Flags of what the client knows; those of new messages it will fetch. */
	if (rc == 0 && (events & NOTIFY_FLAGS) && uidset_count(&n.flagged) > 0) {
		struct imap_walk w = {.s = s, .uids = &n.flagged, .now = imap_tell_flags};

		if (imap_walk_run(&w, &e) < 0)
			rc = imap_end_of(&e);
	}
	if (rc == 0)
		rc = tell_added(s, &n.added);
	if (rc == 0)
		rc = imap_notify_fetch(s, &n.others);
	if (rc == 0)
		tell_highest(s);
	if (rc == 0 && events != 0) /* else it is behind its mailbox */
		imap_view_settle(s);
	news_free(&n);
	return rc;
}

int imap_resolve(struct imap_session *s, const struct imap_seqset *set, struct uidset *ret)
{
	int rc;

	if (set->saved)
		rc = uidset_merge(ret, &s->saved);
	else
		rc = s->by_uid ? imap_seqset_uids(set, &s->box.uids, ret)
			       : imap_seqset_seqs(set, &s->box.uids, ret);
	if (rc > 0)
		(void)imap_answer(s, IMAP_BAD, "there is no message of that number");
	else if (rc < 0)
		(void)imap_answer(s, IMAP_NO, "[LIMIT] no memory");
	return rc == 0 ? 0 : 1;
}

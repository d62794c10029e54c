/*
 * What a session knows of its mailbox is what any other knows that has come as far. So one that selects a
 * mailbox, or has caught up, looks among those of its loop for one that stands where it stands and shares its
 * set of UIDs: fifty sessions hold the ranges of a mailbox once, whatever was expunged from it. One that lags
 * behind keeps the older set, of which the newer one has most chunks, too.
 */
#include "imap/session_int.h"
#include <stddef.h>

/* Whose view is the mailbox as its HIGHESTMODSEQ says, which moves with whatever happens in it. */
static const struct imap_session *peer(const struct imap_session *s, uint64_t highest)
{
	const struct watch *w = s->watch_loop ? watch_chain(s->watch_loop, s->box.account) : NULL;

	for (; w; w = w->next) {
		if (w == &s->watch || w->changed != s->watch.changed || w->account != s->box.account ||
			w->mailbox != s->box.mailbox)
			continue;
		const struct imap_session *other =
			(const void *)((const char *)w - offsetof(struct imap_session, watch));
		const struct imap_box *b = &other->box;
		if (b->settled && b->account == s->box.account && b->mailbox == s->box.mailbox &&
			b->uidvalidity == s->box.uidvalidity && b->highest == highest)
			return other;
	}
	return NULL;
}

int imap_view_fill(struct imap_session *s, struct store_snap *snap, const struct mailbox_row *row, err *e)
{
	s->box.uidvalidity = row->uidvalidity;
	const struct imap_session *other = peer(s, row->highest_modseq);
	if (other)
		uidset_share(&other->box.uids, &s->box.uids);
	else if (mailbox_uids(snap, s->box.account, row->id, 0, &s->box.uids, e) < 0)
		return -1;
	s->box.highest = row->highest_modseq;
	s->box.settled = true;
	return 0;
}

void imap_view_settle(struct imap_session *s)
{
	s->box.settled = s->box.gone.n == 0;
	const struct imap_session *other = s->box.settled ? peer(s, s->box.highest) : NULL;
	if (other && !uidset_is_shared(&other->box.uids, &s->box.uids)) {
		uidset_free(&s->box.uids);
		uidset_share(&other->box.uids, &s->box.uids);
	}
}

/*
 * What a session knows of its mailbox is what any other knows that has come as far. So one that selects a
 * mailbox, or has caught up, looks among those of its loop for one that stands where it stands and shares its
 * set of UIDs: fifty sessions hold the ranges of a mailbox once, whatever was expunged from it. One that lags
 * behind keeps the older set, of which the newer one has most chunks, too.
 */
#include "base/clock.h"
#include "imap/session_int.h"
#include "io/fiber.h"
#include <stddef.h>

#define STEP_US     1000 /* of reading UIDs, before others have their turn */
#define STEP_BLOCKS 64

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

void imap_view_begin(struct imap_session *s, const struct mailbox_row *row)
{
	s->box.uidvalidity = row->uidvalidity;
	s->box.highest = row->highest_modseq;
	const struct imap_session *other = peer(s, row->highest_modseq);
	if (other)
		uidset_share(&other->box.uids, &s->box.uids);
	s->box.settled = other != NULL;
}

int imap_view_read(struct imap_session *s, err *e)
{
	for (uint32_t after = 0; after != UINT32_MAX;) {
		struct store_snap snap = {0};
		uint64_t from = clock_span_us();
		int rc = store_snap_begin(s->store, &snap, e);

		while (rc == 0 && after != UINT32_MAX && clock_span_us() - from < STEP_US)
			rc = mailbox_uids_some(
				&snap, s->box.account, s->box.mailbox, STEP_BLOCKS, &after, &s->box.uids, e);
		store_snap_end(&snap);
		if (rc < 0)
			return -1;
		if (after != UINT32_MAX && fiber_yield() < 0)
			return err_set(e, ERR_CANCELED, "the session is told to end");
	}
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

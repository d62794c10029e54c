/*
 * Walks over messages of the selected mailbox: block by block, each block on a snapshot of its own that ends
 * before anything parks (design: large scans go block by block).
 */
#include "base/clock.h"
#include "imap/digests.h"
#include "io/fiber.h"
#include "limits.h"
#include <stdlib.h>

#define BLOCK_ENTRIES 2048 /* entries a snapshot: some 100 microseconds */
#define BLOCK_US      1000 /* and as long at most, looked at after every BLOCK_LOOK: a search by summaries */
#define BLOCK_LOOK    16
#define BLOCK_BYTES   65536   /* responses gathered before they are sent */
#define BLOCK_KEPT    32      /* messages kept for `later` */
#define BLOCK_MEMORY  1048576 /* summaries in memory, and one more, which may be as long */

struct block {
	struct imap_item *kept;
	size_t kept_n, kept_max;
	struct imap_item one; /* where none is kept */
	uint32_t next;        /* UIDs below it are done */
	bool end;
};

static void release(struct block *b)
{
	for (size_t i = 0; i < b->kept_n; i++) {
		if (b->kept[i].has_blob)
			store_blob_release(&b->kept[i].blob);
	}
	b->kept_n = 0;
}

/* When the message came into this mailbox (RFC 8514). */
static int64_t saved(const struct imap_session *s, struct imap_item *item)
{
	struct mailbox_message m = item->message;
	struct message_place place;

	while (mailbox_message_place(&m, &place)) {
		if (place.mailbox == s->box.mailbox && place.uid == item->entry.uid)
			return place.saved_us;
	}
	return 0;
}

static int load_summary(struct imap_walk *w, struct imap_item *item, bool whole, err *e)
{
	const struct imap_session *s = w->s;
	slice record;
	int rc;

	if (!w->summaries_open && mailbox_summary_open(w->snap, s->box.account, &w->summaries, e) < 0)
		return -1;
	w->summaries_open = true;
	if (whole) {
		rc = mailbox_summary_at(&w->summaries, s->codec, item->entry.message, w->arena, &record, e);
		return rc > 0 && mail_summary_open(record, &item->summary, e) < 0 ? -1 : rc;
	}
	rc = mailbox_summary_front_at(&w->summaries, s->codec, item->entry.message, w->arena, &record, e);
	return rc > 0 && mail_summary_front_open(record, &item->summary, e) < 0 ? -1 : rc;
}

int imap_walk_load(struct imap_walk *w, struct imap_item *item, unsigned needs, err *e)
{
	struct imap_session *s = w->s;
	struct store_snap *snap = w->snap;
	int rc;

	if (needs & (IMAP_NEED_MESSAGE | IMAP_NEED_BLOB | IMAP_NEED_SAVED)) {
		rc = mailbox_message_get(snap, s->box.account, item->entry.message, &item->message, e);
		if (rc <= 0)
			return rc;
	}
	if (needs & IMAP_NEED_SAVED)
		item->saved_us = saved(s, item);
	if ((needs & (IMAP_NEED_SUMMARY | IMAP_NEED_FRONT)) && !item->has_summary) {
		rc = load_summary(w, item, needs & IMAP_NEED_SUMMARY, e);
		if (rc <= 0)
			return rc;
		item->has_summary |= (needs & IMAP_NEED_SUMMARY) != 0;
	}
	if (needs & IMAP_NEED_DIGEST) {
		rc = imap_digests_load(w->digests, w, item, e);
		if (rc <= 0)
			return rc;
	}
	if (needs & IMAP_NEED_BLOB) {
		rc = store_blob_find(snap, item->message.blob, &item->blob, e);
		if (rc <= 0)
			return rc;
		item->has_blob = true;
	}
	return 1;
}

/* One damaged message does not hide the others. */
static int pardon(struct imap_walk *w, const err *e)
{
	if (e->kind != ERR_CORRUPT)
		return -1;
	w->damaged++;
	return 0;
}

/* Out of the snapshot, for `later`. */
static int keep_digest(struct imap_walk *w, struct imap_item *item, err *e)
{
	if (!item->digest_record.p)
		return 0;
	item->digest_record = arena_copy(w->arena, item->digest_record);
	if (!item->digest_record.p)
		return err_set(e, ERR_TEMP, "no memory");
	return mail_digest_read(item->digest_record, &item->digest, e);
}

static int one_entry(struct imap_walk *w, struct block *b, const struct mailbox_entry *entry, err *e)
{
	struct imap_item *item = w->later ? &b->kept[b->kept_n] : &b->one;

	item->entry = *entry;
	item->seq = uidset_seq(&w->s->box.uids, entry->uid);
	item->has_blob = item->has_summary = false;
	item->digest_record = (slice){NULL, 0};
	if (item->seq == 0)
		return 0; /* new, not told yet */
	int rc = w->needs ? imap_walk_load(w, item, w->needs, e) : 1;
	if (rc == 0)
		w->missing++;
	if (rc > 0) {
		rc = w->now(w, item, e);
		if (rc == 0 && keep_digest(w, item, e) == 0) {
			b->kept_n++;
			return 0;
		}
		rc = rc == 0 ? -1 : rc;
	}
	if (item->has_blob)
		store_blob_release(&item->blob);
	return rc < 0 ? pardon(w, e) : 0;
}

static bool block_full(const struct imap_walk *w, const struct block *b)
{
	return w->s->out.n >= BLOCK_BYTES || (w->later && b->kept_n == b->kept_max) ||
	       arena_used(w->arena) >= BLOCK_MEMORY;
}

/* One snapshot's worth of entries. */
static int gather(struct imap_walk *w, struct block *b, err *e)
{
	struct mailbox_entry_scan sc;
	const struct mailbox_entry *entry;
	struct uid_range r;
	uint64_t from = clock_span_us();
	unsigned seen = 0;
	int rc = 0;

	if (mailbox_entry_open(w->snap, w->s->box.account, w->s->box.mailbox, 1, UINT32_MAX, &sc, e) < 0)
		return -1;
	struct uidset_scan ranges = uidset_scan_from(w->uids, b->next);
	while (uidset_scan_next(&ranges, &r)) {
		uint32_t expect = b->next > r.first ? b->next : r.first;

		rc = mailbox_entry_seek(&sc, expect, &entry, e);
		for (; rc > 0 && entry->uid <= r.last; rc = mailbox_entry_next(&sc, &entry, e)) {
			w->missing += entry->uid - expect;
			expect = entry->uid + 1;
			rc = one_entry(w, b, entry, e);
			if (rc < 0)
				break;
			if (++seen >= BLOCK_ENTRIES || block_full(w, b) ||
				(seen % BLOCK_LOOK == 0 && clock_span_us() - from > BLOCK_US)) {
				b->next = expect;
				b->end = expect == 0;
				goto out;
			}
		}
		if (rc < 0)
			break;
		if (expect != 0 && expect <= r.last)
			w->missing += r.last - expect + 1;
	}
	b->end = rc >= 0;
out:
	mailbox_entry_close(&sc);
	return rc < 0 ? -1 : 0;
}

static uint32_t walked(const struct imap_walk *w, const struct block *b)
{
	return b->end ? uidset_count(w->uids) : uidset_rank(w->uids, b->next - 1);
}

static int one_block(struct imap_walk *w, struct block *b, err *e)
{
	struct store_snap snap = {0};
	struct mailbox_row row;

	arena_reset(w->arena);
	if (store_snap_begin(w->s->store, &snap, e) < 0)
		return -1;
	int rc = imap_box_row(w->s, &snap, &row, e);
	if (rc == 0) {
		b->end = true; /* the mailbox is gone, and all in it */
		w->missing += uidset_count(w->uids);
	} else if (rc > 0) {
		imap_box_keywords(w->s, &row); /* before a FETCH names one */
		w->keywords = arena_copy(w->arena, row.keywords);
		w->snap = &snap;
		rc = gather(w, b, e);
	}
	if (w->summaries_open)
		mailbox_summary_close(&w->summaries);
	w->summaries_open = false;
	if (w->digests)
		imap_digests_close(w->digests);
	store_snap_end(&snap);
	for (size_t i = 0; rc >= 0 && i < b->kept_n; i++) {
		rc = w->later(w, &b->kept[i], e);
		if (rc < 0)
			rc = pardon(w, e);
	}
	release(b);
	if (rc < 0)
		return -1;
	if (w->digests)
		imap_digests_keep(w->digests, w->s, b->end);
	int sent = w->s->out.n >= BLOCK_BYTES || w->s->out.failed ? imap_send(w->s) : 0;
	if (sent < 0)
		return imap_stream_error(sent, e);
	if (b->end)
		return 0;
	imap_progress(w->s, walked(w, b), uidset_count(w->uids));
	return fiber_yield() < 0 ? err_set(e, ERR_CANCELED, "the session is told to end") : 0;
}

int imap_walk_run(struct imap_walk *w, err *e)
{
	uint32_t count = uidset_count(w->uids);
	struct block b = {.next = 1, .kept_max = count < BLOCK_KEPT ? count : BLOCK_KEPT};
	int rc = 0;

	if (count == 0)
		return 0;
	w->arena = arena_new(LIMIT_IMAP_WALK_ARENA);
	b.kept = w->later ? calloc(b.kept_max, sizeof *b.kept) : NULL;
	if (!w->arena || (w->later && !b.kept))
		rc = err_set(e, ERR_TEMP, "no memory");
	while (rc == 0 && !b.end)
		rc = one_block(w, &b, e);
	arena_free(w->arena);
	free(b.kept);
	return rc;
}

int imap_answer_walk(struct imap_session *s, const struct imap_walk *w, const char *done)
{
	if (w->damaged > 0)
		return imap_answer(
			s, IMAP_NO, "[CORRUPTION] %u messages are damaged, the log names them", w->damaged);
	if (w->missing > 0 && !s->by_uid)
		return imap_answer(s, IMAP_NO, "[EXPUNGEISSUED] some of the messages are gone");
	return imap_answer(s, IMAP_OK, "%s", done);
}

#include "imap/digests.h"
#include "base/hash.h"
#include "limits.h"

#define KEEP_AT    4096 /* so many are written at once: a flush takes longer than making that many */
#define KEEP_LEAST 256  /* fewer are made again each time, in less than a millisecond, rather than flushed */

static int open_scan(struct imap_digests *d, struct imap_walk *w, err *e)
{
	uint64_t secret[2];
	err why = {0};
	int rc = mailbox_digest_secret(w->snap, w->s->box.account, secret, &why);

	if (rc < 0 && why.kind != ERR_CORRUPT) {
		*e = why;
		return -1;
	}
	d->off |= rc < 0; /* damaged: the summaries do */
	if (!d->has_secret) {
		if (rc > 0)
			memcpy(d->secret, secret, sizeof secret);
		else
			random_bytes(d->secret, sizeof d->secret);
		d->has_secret = true;
	}
	d->usable = rc > 0 && memcmp(d->secret, secret, sizeof secret) == 0;
	if (rc > 0 && !d->usable)
		d->off = true; /* another session drew one since we began */
	if (d->usable && mailbox_digest_open(w->snap, w->s->box.account, &d->scan, e) < 0)
		return -1;
	d->open = true;
	return 0;
}

static int make(struct imap_digests *d, struct imap_walk *w, struct imap_item *item, slice *ret, err *e)
{
	struct buf record = BUF_INIT(MAIL_DIGEST_MAX);
	struct mail_envelope v;
	int there = item->has_summary ? 1 : imap_walk_load(w, item, IMAP_NEED_SUMMARY, e);

	if (there <= 0)
		return there;
	if (mail_summary_envelope(&item->summary, 0, &v) < 0)
		return err_set(e, ERR_CORRUPT, "a summary is damaged");
	int rc = mail_digest_make(
		&d->room, &v, !(item->summary.flags & MAIL_NOTE_CUT_TEXT), d->secret, w->arena, &record, e);
	if (rc == 0) {
		*ret = arena_copy(w->arena, buf_slice(&record));
		if (!ret->p)
			rc = err_set(e, ERR_TEMP, "no memory");
	}
	if (rc == 0 && !d->off) {
		if (d->made.n == 0)
			d->made.records = BUF_INIT(LIMIT_IMAP_DIGESTS);
		mailbox_digests_add(&d->made, item->entry.message, buf_slice(&record));
	}
	buf_free(&record);
	return rc < 0 ? -1 : 1;
}

int imap_digests_load(struct imap_digests *d, struct imap_walk *w, struct imap_item *item, err *e)
{
	slice record;
	int rc;

	if (!d->open && open_scan(d, w, e) < 0)
		return -1;
	rc = d->usable ? mailbox_digest_at(&d->scan, item->entry.message, &record, e) : 0;
	if (rc > 0 && mail_digest_read(record, &item->digest, e) < 0)
		rc = 0; /* of another version: made anew */
	if (rc == 0) {
		rc = make(d, w, item, &record, e);
		if (rc > 0 && mail_digest_read(record, &item->digest, e) < 0)
			rc = -1;
	}
	item->digest_record = record;
	return rc;
}

void imap_digests_close(struct imap_digests *d)
{
	if (d->open && d->usable)
		mailbox_digest_close(&d->scan);
	d->open = false;
}

void imap_digests_keep(struct imap_digests *d, struct imap_session *s, bool last)
{
	unsigned least = last ? (d->kept ? 1 : KEEP_LEAST) : KEEP_AT;
	err why = {0};

	if (d->made.n >= least && !d->off) {
		d->made.account = s->box.account;
		memcpy(d->made.secret, d->secret, sizeof d->secret);
		d->off = mailbox_digests_keep(s->store, &d->made, &why) < 0;
		d->kept = true;
	} else if (!last && !d->off) {
		return;
	}
	buf_free(&d->made.records);
	d->made.n = 0;
}

void imap_digests_free(struct imap_digests *d)
{
	mail_digest_room_free(&d->room);
	buf_free(&d->made.records);
}

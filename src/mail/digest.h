/*
 * The digest of a message: what putting in order and threading (RFC 5256, RFC 5957) compare of it, in some
 * hundred bytes, made of its summary's envelope once and kept beside it. Pure.
 *
 * Format 2 (big-endian): u8 version, u8 flags, u8 cut texts (a bit each), u64 marks of each field, i40 sent
 * date and i16 zone if there is one, u64 hash of the subject unless it is empty, u64 hash of the Message-ID
 * if there is one, u8 number of parents, u64 hash of each, then of each text u8 length and bytes.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "mail/mime.h"

#define MAIL_DIGEST_MAX 480 /* bytes; four of them are a row */

enum mail_digest_text {
	DIGEST_SUBJECT, /* base subject */
	DIGEST_FROM,    /* mailbox of the first address */
	DIGEST_TO,
	DIGEST_CC,
	DIGEST_DISPLAYFROM, /* name of the first address, else the address */
	DIGEST_DISPLAYTO,
	DIGEST_TEXTS,
};

/*
 * Whole fields are not kept, but their marks: a bit of 64 for each two bytes that stand beside each other in
 * the folded field. What has not all marks of a text does not have the text.
 */
enum mail_digest_field {
	DIGEST_IN_SUBJECT,
	DIGEST_IN_FROM,
	DIGEST_IN_TO,
	DIGEST_IN_CC,
	DIGEST_FIELDS,
};

struct mail_digest { /* a view; slices lie in the record */
	bool has_date;
	bool reply; /* or forward, as its subject says */
	bool parents_cut;
	uint8_t cut; /* bit 1 << text: only its beginning is kept */
	int64_t date_s;
	int16_t zone_min;
	uint64_t subject; /* hash of the whole text; 0: it is empty */
	uint64_t id;      /* hash; 0: none that is valid */
	slice marks;      /* u64 each, of the fields */
	slice parents;    /* u64 each: those of References in their order, else the first of In-Reply-To */
	slice texts[DIGEST_TEXTS]; /* folded (mail_fold) */
};

/* -1: ERR_CORRUPT. */
int mail_digest_read(slice record, struct mail_digest *ret, err *e);
/* The i-th parent, i < parents.n / 8. */
uint64_t mail_digest_parent(const struct mail_digest *d, size_t i);
/* 0 when the text has less than two bytes. */
uint64_t mail_digest_marks(slice folded);
/* False: the field does not have the text of these marks. */
bool mail_digest_may_have(const struct mail_digest *d, enum mail_digest_field which, uint64_t marks);

/* ---- making one ---- */

struct mail_digest_room { /* to build in; a zeroed one is ready. What the calls return lies in it */
	struct buf decoded, base, folded, id, parents;
};
void mail_digest_room_free(struct mail_digest_room *r);

/*
 * Appends the record. whole: the envelope has all of each field. Hashes are keyed, so that nobody can make
 * two ids meet. -1: ERR_TEMP. The arena is for scratch.
 */
int mail_digest_make(struct mail_digest_room *r, const struct mail_envelope *v, bool whole,
	const uint64_t key[2], struct arena *scratch, struct buf *out, err *e);

/* One text, whole; valid until the next call. *ret_reply is set for DIGEST_SUBJECT only, and may be NULL. */
slice mail_digest_text(struct mail_digest_room *r, const struct mail_envelope *v, enum mail_digest_text which,
	struct arena *scratch, bool *ret_reply);
/* The hash of a text, 0 when it is empty. */
uint64_t mail_digest_hash(const uint64_t key[2], slice text);
/* All parents, as mail_digest.parents; *ret_id as mail_digest.id. -1: no memory. */
int mail_digest_ids(struct mail_digest_room *r, const struct mail_envelope *v, const uint64_t key[2],
	uint64_t *ret_id, slice *ret_parents);

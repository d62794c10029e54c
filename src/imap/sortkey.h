/* What SORT and THREAD compare of a message (RFC 5256 2, RFC 5957), from its summary. */
#pragma once
#include "imap/order.h"
#include "imap/session_int.h"

enum sort_by {
	SORT_ARRIVAL,
	SORT_CC,
	SORT_DATE,
	SORT_DISPLAYFROM,
	SORT_DISPLAYTO,
	SORT_FROM,
	SORT_SIZE,
	SORT_SUBJECT,
	SORT_TO,
	SORT_BY_COUNT,
};

struct sort_program {
	struct {
		enum sort_by by;
		bool reverse;
	} keys[SORT_BY_COUNT]; /* one that comes again changes nothing */
	size_t n;
	unsigned needs; /* enum imap_need */
};

/* "SP (REVERSE ARRIVAL ...)". False: a->why. */
bool imap_take_sort_program(struct imap_args *a, struct sort_program *ret);

/*
 * Appends the key of a message whose digest is loaded; keys compare byte by byte, none is the beginning of
 * another. Texts count up to LIMIT_IMAP_SORT_TEXT bytes. `w`, in a snapshot, loads the message row where the
 * Date field says nothing and the summary where the digest has not all of a text; NULL: they are loaded. -1.
 */
int imap_sort_key(const struct sort_program *p, struct mail_digest_room *r, struct imap_walk *w,
	struct imap_item *item, struct arena *scratch, struct buf *key, err *e);

/* The sent date in seconds, INTERNALDATE where there is none (RFC 5256 2.2). */
int imap_sent_date(struct imap_walk *w, struct imap_item *item, int64_t *ret, err *e);

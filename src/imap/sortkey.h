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

struct sort_text { /* room to build texts in; a zeroed one is ready */
	struct buf decoded, base, folded;
};
void sort_text_free(struct sort_text *t);

/*
 * Appends the key, which compares byte by byte. Texts count up to LIMIT_IMAP_SORT_TEXT bytes. `w` loads the
 * message row where the Date field says nothing; NULL: it is loaded. -1.
 */
int imap_sort_key(const struct sort_program *p, struct imap_walk *w, struct imap_item *item,
	struct arena *scratch, struct sort_text *t, struct buf *key, err *e);

/* The sent date in seconds, INTERNALDATE where there is none (RFC 5256 2.2). */
int imap_sent_date(
	const struct mail_envelope *v, struct imap_walk *w, struct imap_item *item, int64_t *ret, err *e);
/* The folded base subject, valid until the next call; whether it is of a reply or forward. */
slice imap_base_subject(const struct mail_envelope *v, struct sort_text *t, bool *ret_reply);

/*
 * The header section of a message or body part (RFC 5322 2.2): fields one after the other, in linear time.
 * Lines may end in CRLF or LF. A line that is no field (no colon, blank in the name) is given with an empty
 * name, so nothing is lost; only an empty line or the end of the input ends the header.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

struct mail_field {
	slice name;    /* without blanks before the colon; empty for a line that is no field */
	slice value;   /* all behind the colon, folds included, without the last line end */
	slice whole;   /* the field with its last line end */
	size_t offset; /* of `whole` in the text walked */
};

struct mail_header_scan {
	slice in;
	size_t pos; /* after the last field was given: where the header ended (the empty line not passed) */
};

static inline struct mail_header_scan mail_header_begin(slice message)
{
	return (struct mail_header_scan){message, 0};
}

/* The next field; false at the empty line, at the end, or after LIMIT_MAIL_HEADER bytes. */
bool mail_header_next(struct mail_header_scan *scan, struct mail_field *ret);

/* Length of the header with its empty line = offset of the body; message.n when there is no empty line. */
size_t mail_header_length(slice message);

/* The first field of that name (ASCII case folded); false when there is none. */
bool mail_header_find(slice message, slice name, struct mail_field *ret);

/* Appends the value in one line: CRLF and LF go, bare CR and NUL become blanks, blanks at both ends go (RFC
 * 5322 2.2.3). */
void mail_header_unfold(struct buf *out, slice value);
/* The same; the slice itself, trimmed, where nothing needs a change. p == NULL: no memory. */
slice mail_header_unfolded(struct arena *a, slice value);

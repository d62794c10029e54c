/* Header sections in 7 bits, and what they are made of. Private to the room. */
#pragma once
#include "base/buf.h"

#define SEVENBIT_LINE 998 /* octets of a line without its end: RFC 5322 2.1.1 */

struct sevenbit_look {
	bool high;   /* a byte over 127 */
	bool binary; /* NUL, CR or LF but in CRLF, or a line over SEVENBIT_LINE octets */
};
/* Several bytes a cycle: it runs over every message that goes out. */
struct sevenbit_look sevenbit_look(slice s);

/* Writes words with folds: lines of at most 76 octets where a blank allows it, never over SEVENBIT_LINE. */
struct sevenbit_line {
	struct buf *out;
	size_t col; /* octets in the line under way */
};

/* A word of ASCII without blanks, behind a blank or a fold. Cut when it is longer than a line. */
void sevenbit_word(struct sevenbit_line *l, slice word);
/*
 * Encoded words (RFC 2047, B) of at most 75 octets, each of whole characters. Text that is no UTF-8 goes as
 * charset unknown-8bit (RFC 1428): a reader may still guess.
 */
void sevenbit_encoded(struct sevenbit_line *l, slice text);

struct mail_field;
/*
 * One header field with its line end, or a line that is none; as it stands when it is clean. Else: UTF-8 in
 * unstructured fields and in display names becomes encoded words, in parameters the form of RFC 2231; other
 * bytes over 127 become '?', NUL and a lone CR blanks; long lines are folded; the line end is CRLF.
 */
void sevenbit_field(struct buf *out, const struct mail_field *f);

/*
 * The words of SMTP commands. Pure: (text, limits in limits.h, result, err). People type too, so blanks
 * around `:` and
 * `<>` are allowed, and the brackets may be missing.
 */
#pragma once
#include "smtp/envelope.h"

struct smtp_line {
	slice verb; /* as written */
	slice args; /* without blanks at both ends */
};
/*
 * A command line without its end. -1 ERR_SYNTAX: a control character, or UTF-8 that is none. An empty line
 * has an empty verb.
 */
int smtp_line_parse(slice text, struct smtp_line *ret, err *e);

/*
 * The argument of MAIL. Slices that needed decoding lie in the arena, the others in args. -1: ERR_SYNTAX
 * (501), ERR_MISSING (555: parameter not known or twice), ERR_LIMIT (501, or no memory), ERR_DENIED
 * (553 5.6.7: a non-ASCII address without SMTPUTF8).
 */
int smtp_mail_parse(slice args, struct arena *a, struct smtp_envelope *ret, err *e);
/* The argument of RCPT, in the same way. utf8: the transaction has SMTPUTF8. */
int smtp_rcpt_parse(slice args, bool utf8, struct arena *a, struct smtp_recipient *ret, err *e);

/* "size [LAST]" of BDAT. ERR_LIMIT: a number over 63 bits. */
int smtp_bdat_parse(slice args, uint64_t *ret_size, bool *ret_last, err *e);

/* What EHLO, HELO and LHLO name: a domain, an address literal, or what clients in the wild write instead. */
bool smtp_helo_valid(slice s);

/* RFC 3461 4. False: not xtext. p == NULL in *ret: no memory. */
bool smtp_xtext_decode(slice in, struct arena *a, slice *ret);

/*
 * The words of SMTP commands. Pure: text in, result and err out; limits stand in limits.h. People type too,
 * so blanks around `:` and `<>` are allowed, and the brackets may be missing.
 */
#pragma once
#include "smtp/envelope.h"

struct smtp_line {
	slice verb; /* as written; empty when the line is */
	slice args; /* without blanks at both ends */
};
/* A command line without its end. -1 ERR_SYNTAX: a control character, or UTF-8 that is none. */
int smtp_line_parse(slice text, struct smtp_line *ret, err *e);

enum smtp_fault { /* what is wrong with the argument of MAIL or RCPT; the sentence is in err */
	SMTP_FAULT_NONE,
	SMTP_FAULT_WORD,    /* 501 5.5.4: no FROM: or TO: */
	SMTP_FAULT_ADDRESS, /* 501 5.1.7 or 5.1.3 */
	SMTP_FAULT_VALUE,   /* 501 5.5.4: a parameter's value */
	SMTP_FAULT_PARAM,   /* 555 5.5.4: a parameter that is not known, or twice */
	SMTP_FAULT_UTF8,    /* 553 5.6.7: a non-ASCII address without SMTPUTF8 */
	SMTP_FAULT_MEMORY,  /* 452 4.3.1: the arena is full */
};
/*
 * The argument of MAIL. All that *ret holds afterwards lies in the arena; its trace and recipients stay as
 * they are. Parameters are taken whether they were offered or not: that is the session's to say.
 */
enum smtp_fault smtp_mail_parse(slice args, struct arena *a, struct smtp_envelope *ret, err *e);
/* The argument of RCPT, in the same way. utf8: the transaction has SMTPUTF8. */
enum smtp_fault smtp_rcpt_parse(slice args, bool utf8, struct arena *a, struct smtp_recipient *ret, err *e);

/* "size [LAST]" of BDAT. -1: ERR_SYNTAX; ERR_LIMIT: a number over 63 bits. */
int smtp_bdat_parse(slice args, uint64_t *ret_size, bool *ret_last, err *e);

/* What EHLO, HELO and LHLO name: a domain, an address literal, or what clients in the wild write instead. */
bool smtp_helo_valid(slice s);

/* RFC 3461 4. False: not xtext, or it hides a control or non-ASCII character. ret->p == NULL: no memory. */
bool smtp_xtext_decode(slice in, struct arena *a, slice *ret);

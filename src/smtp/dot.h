/*
 * The content of DATA and BDAT as a filter over whatever pieces the network gives: finds the one true end
 * CRLF.CRLF (RFC 5321 4.1.1.4), takes dot-stuffing away (4.5.2), and finds bare CR, bare LF and NUL, so that
 * no other spelling of an end is ever passed on. Pure; passes large pieces through without copying.
 */
#pragma once
#include "base/slice.h"
#include <stdint.h>

enum smtp_dot_state {
	SMTP_DOT_START, /* at the start of a line: after CRLF, or of the content */
	SMTP_DOT_MID,
	SMTP_DOT_CR,     /* a CR is held back */
	SMTP_DOT_DOT,    /* a dot at the start of a line is held back */
	SMTP_DOT_DOT_CR, /* the same and a CR */
	SMTP_DOT_END,
};

enum smtp_dot_flaw { SMTP_FLAW_CR = 1, SMTP_FLAW_LF = 2, SMTP_FLAW_NUL = 4 };

struct smtp_dot {
	uint8_t state; /* enum smtp_dot_state */
	uint8_t flaws; /* enum smtp_dot_flaw: all seen so far */
	bool dots;     /* DATA; false: BDAT, where a dot is a dot and the end is counted */
	bool repair;   /* a bare LF becomes CRLF and a bare CR a blank; neither ever begins or ends a line */
};

static inline struct smtp_dot smtp_dot_begin(bool dots, bool repair)
{
	return (struct smtp_dot){.state = SMTP_DOT_START, .dots = dots, .repair = repair};
}

/*
 * Takes bytes off the front of *in and gives the content they make, which lies in them or is a constant;
 * perhaps nothing. Call until *in is empty or smtp_dot_ended: what is then left in *in comes after the
 * content. With flaws and without repair the content given is of no use, but the end is found all the same.
 */
slice smtp_dot_next(struct smtp_dot *d, slice *in);

static inline bool smtp_dot_ended(const struct smtp_dot *d)
{
	return d->state == SMTP_DOT_END;
}

/* The end of counted content (BDAT LAST): what was held back. */
slice smtp_dot_finish(struct smtp_dot *d);

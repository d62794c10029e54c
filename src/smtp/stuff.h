/*
 * Content on its way out as a filter over whatever pieces it comes in: every line ends in CRLF (a bare CR or
 * LF becomes one, so that no other spelling of an end is ever passed on), and for DATA a dot is put before a
 * dot at the start of a line (RFC 5321 4.5.2). Pure; passes large pieces through without copying.
 */
#pragma once
#include "base/slice.h"

struct smtp_stuff {
	bool dots;  /* DATA; false: BDAT, where a dot is a dot */
	bool start; /* at the start of a line */
	bool cr;    /* a CR is held back */
};

static inline struct smtp_stuff smtp_stuff_begin(bool dots)
{
	return (struct smtp_stuff){.dots = dots, .start = true};
}

/*
 * Takes bytes off the front of *in and gives what goes out for them, which lies in them or is a constant;
 * perhaps nothing. Call until *in is empty.
 */
slice smtp_stuff_next(struct smtp_stuff *s, slice *in);
/* The end of the content: the last line's end, if it had none. */
slice smtp_stuff_finish(struct smtp_stuff *s);

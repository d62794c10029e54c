/*
 * A message as POP3 sends it (RFC 1939 3): lines ending in CRLF, a dot doubled at a line's start, ".CRLF" at
 * the end. It may stop after the header and some lines (TOP). Takes any chunking; a bare LF becomes CRLF.
 */
#pragma once
#include "io/stream.h"

struct pop3_dotwriter { /* zeroed but for io and lines */
	struct stream *io;
	uint64_t lines; /* of the body that are sent; UINT64_MAX: all */
	bool in_body, full;
	bool in_line;  /* not at the start of a line */
	bool after_cr; /* the last byte was CR */
	bool blank;    /* the line under way has no bytes but a CR */
};

PARKS int pop3_dotwriter_feed(struct pop3_dotwriter *w, slice bytes); /* 0 or -errno */
PARKS int pop3_dotwriter_end(struct pop3_dotwriter *w);

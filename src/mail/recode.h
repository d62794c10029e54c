/* Writers of transfer encodings, fed in any chunking. Private to the room. */
#pragma once
#include "base/buf.h"

/* Zero it to begin. Lines have at most 76 octets. */
struct recode {
	size_t col;     /* octets in the line under way */
	char held;      /* quoted-printable: a blank or CR whose line may end behind it; 0: none */
	uint8_t n;      /* base64: bytes waiting */
	char group[57]; /* a line of them */
};

/*
 * Quoted-printable (RFC 2045 6.7): CRLF is a line end, CR or LF alone is escaped. No line begins with '-', so
 * that none is a boundary that was none before.
 */
void recode_qp_feed(struct recode *r, struct buf *out, slice in);
void recode_qp_finish(struct recode *r, struct buf *out);
/* Base64 (RFC 2045 6.8), CRLF between lines, none behind the last. */
void recode_base64_feed(struct recode *r, struct buf *out, slice in);
void recode_base64_finish(struct recode *r, struct buf *out);
/* Whether base64 makes less of `text` than quoted-printable does. */
bool recode_base64_is_shorter(slice text);

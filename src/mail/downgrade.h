/*
 * 8-bit and binary content for servers that take 7 bits only (RFC 6152 3, RFC 3030 3): each leaf part whose
 * body has bytes over 127, NULs, bare CR or LF, or lines over 998 octets is re-encoded, text as
 * quoted-printable (or base64, where that is shorter), the rest as base64, and its Content-Transfer-Encoding
 * replaced; what was encoded before stays in its encoding. Composite parts become 7bit; of what stands
 * between parts, bytes over 127 become '?'. A message without MIME gets MIME-Version and a Content-Type
 * (charset utf-8 when it is that, else unknown-8bit, RFC 1428). Header fields: 8-bit text becomes encoded
 * words in unstructured fields and display names, RFC 2231 in parameters, else '?' for each byte; long lines
 * are folded. Signed parts (multipart/signed) are converted like others: what cannot go otherwise would be
 * refused. Pure, linear, no recursion; output in pieces.
 */
#pragma once
#include "base/err.h"
#include "base/slice.h"

struct mail_content_needs {
	bool eight_bit;   /* bytes over 127 in bodies */
	bool header_utf8; /* bytes over 127 in the header section or in part headers */
	bool binary;      /* NUL, bare CR or LF, or a line over 998 octets */
};
/* Some 10 GB/s for a message in 7 bits; one with bytes over 127 is also followed line by line. Where memory
 * for that is missing both eight_bit and header_utf8 are set. */
void mail_content_look(slice message, struct mail_content_needs *ret);

/*
 * Calls sink with the converted message piece by piece (the slices live only for the call; sink may park).
 * A sink that returns -1 ends it. 0 or -1: ERR_LIMIT (more than LIMIT_MAIL_PARTS, LIMIT_MAIL_DEPTH or
 * LIMIT_MAIL_TEXT, or a boundary that is not ASCII: the caller fails the message), ERR_TEMP, or the sink's.
 * The message is whole in memory; what is held beside it is its structure and some 64 KiB.
 */
int mail_downgrade(slice message, int (*sink)(void *arg, slice piece, err *e), void *arg, err *e);

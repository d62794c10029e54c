/*
 * 8-bit and binary content for servers that take 7 bits only (RFC 6152 3, RFC 3030 3): each leaf part whose
 * body has bytes over 127, NULs, bare CR or LF, or lines over 998 octets is re-encoded, text as
 * quoted-printable, the rest as base64, and its Content-Transfer-Encoding replaced; composite parts become
 * 7bit. A message without MIME gets MIME-Version and a Content-Type. 8-bit bytes in header fields are written
 * as encoded words when they are UTF-8 in unstructured fields, else replaced by '?'. Signed parts
 * (multipart/signed) are converted like others: what cannot go otherwise would be refused. Pure, linear, no
 * recursion; output in pieces.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"

struct mail_content_needs {
	bool eight_bit;   /* bytes over 127 in bodies */
	bool header_utf8; /* bytes over 127 in the header section or in part headers */
	bool binary;      /* NUL, bare CR or LF, or a line over 998 octets */
};
/* One pass over the whole message. */
void mail_content_look(slice message, struct mail_content_needs *ret);

/*
 * Calls sink with the converted message piece by piece (the slices live only for the call; sink may park).
 * A sink that returns -1 ends it. 0 or -1: ERR_LIMIT (more than LIMIT_MAIL_PARTS or LIMIT_MAIL_DEPTH: the
 * caller fails the message), ERR_TEMP, or the sink's.
 */
int mail_downgrade(slice message, int (*sink)(void *arg, slice piece, err *e), void *arg, err *e);

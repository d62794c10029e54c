/* Mailbox names on the wire: modified UTF-7 (RFC 3501 5.1.3), strict both ways. */
#pragma once
#include "base/buf.h"

/* UTF-8 to modified UTF-7. False: not valid UTF-8, or a control character (out may have grown). */
bool mail_utf7_write(struct buf *out, slice utf8);
/* Modified UTF-7 to UTF-8. False: 8-bit or control bytes, printable characters inside base64, superfluous
 * shifts, bad padding bits or surrogates (out may have grown). */
bool mail_utf7_read(struct buf *out, slice utf7);

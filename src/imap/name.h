/* Mailbox names: between the wire's form and the store's (UTF-8, '/' between levels), and LIST patterns.
 * Pure. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

/*
 * A name as the client wrote it to UTF-8: modified UTF-7 (RFC 3501 5.1.3), or as it is when the client
 * enabled IMAP4rev2. False: not such a name, or longer than any name may be.
 */
bool imap_name_read(slice wire, bool utf8, struct arena *a, slice *ret);
/* A name for the client as a quoted string or literal, a blank not included. */
void imap_name_write(struct buf *out, slice path, bool utf8);

/*
 * LIST's patterns (RFC 9051 6.3.9): `*` is anything, `%` anything without '/'. INBOX as the first level
 * matches in any case. Linear in name times pattern at worst.
 */
bool imap_name_match(slice pattern, slice path);
/* Reference and pattern make one pattern; a pattern that begins with '/' stands alone. p == NULL: too long.
 */
slice imap_name_pattern(slice reference, slice pattern, struct arena *a);

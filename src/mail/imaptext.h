/*
 * The text forms of IMAP (RFC 3501 7.4.2, 9; RFC 9051): strings, ENVELOPE, BODY and BODYSTRUCTURE. Everything
 * here is ASCII outside of literals, so it suits rev1 and rev2 clients alike. Text goes into quoted strings
 * where it is short printable ASCII, else into literals {n} CRLF bytes; NUL becomes "?".
 */
#pragma once
#include "mail/mime.h"

void mail_imap_string(struct buf *out, slice s);
void mail_imap_nstring(struct buf *out, slice s); /* NIL when s.p is NULL */
/* An address list, NIL when there is no address. `body` is a raw field body; at most max addresses. */
void mail_imap_addresses(struct buf *out, slice body, uint32_t max, struct arena *scratch);
/* "(date subject from ...)": Sender and Reply-To default to From. At most LIMIT_MAIL_ADDRESSES in all.
 * scratch is reset on the way. */
void mail_imap_envelope(struct buf *out, const struct mail_envelope *v, struct arena *scratch);
/* The body structure of a scanned message; extended: BODYSTRUCTURE, else BODY. scratch is reset on the way.
 */
void mail_imap_structure(struct buf *out, const struct mail_mime *m, bool extended, struct arena *scratch);

/* Whether `text` is one parenthesised list of strings, literals, numbers, NIL and lists, parted by single
 * spaces where the grammar wants them, 8-bit and line ends only inside literals, at most
 * LIMIT_MAIL_LIST_DEPTH deep. */
bool mail_imap_list_check(slice text);

/*
 * Object identifiers (RFC 8474). An EMAILID names a message of an account wherever it lies there; a MAILBOXID
 * a mailbox as long as its UIDVALIDITY stays, whatever its name. The account stands in both: of a mailbox
 * that accounts share nobody sees an id twice. Pure.
 */
#pragma once
#include "mailbox/mailbox.h"

#define IMAP_OBJECTID_MAX 40 /* bytes of any of them */

/* "M<account>-<message>" */
void imap_emailid_write(struct buf *out, uint32_t account, uint64_t message);
/* "F<account>-<mailbox>-<uidvalidity>" */
void imap_mailboxid_write(struct buf *out, const struct mailbox_row *row);

/* The message an EMAILID of this account means. False: it is none of this account's. */
bool imap_emailid_read(slice id, uint32_t account, uint64_t *ret_message);
/* Whether a text has the form of an object id: 1 to 255 letters, digits, '-' and '_'. */
bool imap_objectid_valid(slice id);

/* What STATUS asks of quotas. */
#pragma once
#include "imap/session_int.h"
#include "mailbox/account.h"

/* Octets that an EXPUNGE of the mailbox would free: DELETED-STORAGE (RFC 9208 4.1.4). A scan that ends at the
 * last \Deleted message; of none it is free. 0, -1. */
PARKS int imap_deleted_storage(
	const struct imap_session *s, const struct mailbox_row *row, uint64_t *ret, err *e);

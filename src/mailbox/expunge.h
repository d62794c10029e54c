/* Expunging inside an intent, for EXPUNGE, deleted mailboxes and the sweep. */
#pragma once
#include "mailbox/tx.h"

/*
 * Expunges members of uids (NULL: all) from `from` on, at most LIMIT_INTENT_MESSAGES of them. *ret_next: the
 * UID to go on with, 0 when done. The caller writes the change row.
 */
int expunge_tx(struct mailbox_tx *m, const struct uidset *uids, bool only_deleted, uint32_t from,
	struct uidset *ret_expunged, uint32_t *ret_next, err *e);

/* One step of emptying a removed or \Noselect mailbox; the last one ends its row. ERR_CONFLICT: it is in use.
 */
int folder_tx_clear(struct account_tx *a, uint32_t mailbox, bool *ret_more, err *e);

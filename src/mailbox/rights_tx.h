/* What the write half of the room needs of rights. */
#pragma once
#include "mailbox/rights.h"
#include "mailbox/tx.h"

/*
 * What `by` may do in the mailbox goes to *ret (which may be NULL); by 0: the post house itself, everything.
 * -1: ERR_NOPERM when something of `need` is missing, and ERR_MISSING when he may not even know of the
 * mailbox.
 */
int rights_tx_need(const struct mailbox_tx *m, uint32_t by, unsigned need, unsigned *ret, err *e);
/*
 * Whether `by` may make mailboxes below that one; 0: the top level, which is the owner's alone. Always
 * ERR_NOPERM when not.
 */
int rights_tx_may_create(struct account_tx *a, uint32_t parent, uint32_t by, err *e);

/* What an account may do in a mailbox of another, in an intent. 0, -1. */
int rights_tx_of(struct store_tx *tx, uint32_t account, uint32_t mailbox, uint32_t by, unsigned *ret, err *e);

/* A new mailbox takes the grants of its parent; what is past a limit is left out. */
int rights_tx_inherit(struct account_tx *a, uint32_t parent, uint32_t mailbox, err *e);
/* All grants of a mailbox end. */
int rights_tx_drop(struct account_tx *a, uint32_t mailbox, err *e);
/*
 * A removed account: its grants and those made to it end, up to *left rows, which are counted down. 1: there
 * may be more, 0, -1.
 */
int rights_tx_clear(struct store_tx *tx, uint32_t account, unsigned *left, err *e);

/* What the write half of the room needs of metadata. */
#pragma once
#include "mailbox/tx.h"

/* All of a mailbox goes. */
int metadata_tx_drop(struct account_tx *a, uint32_t mailbox, err *e);

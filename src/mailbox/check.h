/* Checkers of this room's rows, for store/check.h: accounts, mailboxes, messages, addresses, holders of
 * blobs. */
#pragma once
#include "mailbox/mailbox.h"
#include "store/check.h"

struct mailbox_check;
/* c: the caller's codec, to unpack summaries with; NULL: they are not. Returns NULL: out of memory. */
struct mailbox_check *mailbox_check_new(struct mailbox_codec *c);
void mailbox_check_free(struct mailbox_check *m);

int check_account_rows(struct check *c, void *m, slice key, slice value, err *e); /* A */
int check_account_rows_end(struct check *c, void *m, err *e);
int check_domain_row(struct check *c, void *m, slice key, slice value, err *e);  /* D */
int check_address_row(struct check *c, void *m, slice key, slice value, err *e); /* N */
/* R; those of the queue, which holds as account 0, are left to queue/check.h. */
int check_holder_row(struct check *c, void *m, slice key, slice value, err *e);
int check_share_row(struct check *c, void *m, slice key, slice value, err *e); /* S */
/* B, after the store's own: somebody must hold the blob. */
int check_held_row(struct check *c, void *m, slice key, slice value, err *e);

/* What the rows amounted to. */
struct mailbox_check_totals {
	uint64_t accounts, mailboxes, messages, expunged, bytes;
};
void mailbox_check_totals(const struct mailbox_check *m, struct mailbox_check_totals *ret);

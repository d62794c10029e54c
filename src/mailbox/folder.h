/* Paths of mailboxes and how they lead to ids, on a snapshot and in an intent. */
#pragma once
#include "limits.h"
#include "mailbox/mailbox.h"
#include "mailbox/view.h"

struct folder_path { /* not to be copied: levels may lie in bytes */
	slice level[LIMIT_MAILBOX_DEPTH];
	unsigned n;
	char bytes[LIMIT_MAILBOX_PATH]; /* of a path that had to be normalised */
};
/* Splits and checks, brings it to NFC; "INBOX" in any case as the first level becomes "INBOX". ERR_SYNTAX,
 * ERR_LIMIT. */
int folder_path_parse(slice path, struct folder_path *ret, err *e);
/* The mailbox of the first n levels: 1, 0 (then *ret_known levels were found and *ret is the last of them),
 * -1. */
int folder_find(struct view v, uint32_t account, const struct folder_path *path, unsigned n, uint32_t *ret,
	unsigned *ret_known, err *e);
/* The row, also of a removed one. 1, 0, -1. */
int folder_get(struct view v, uint32_t account, uint32_t mailbox, struct mailbox_row *ret, err *e);
/* The path of a mailbox in sight, by its row; in the arena. 0, -1 (ERR_LIMIT: the arena is full). */
int folder_path_of(struct view v, const struct mailbox_row *row, struct arena *a, slice *ret, err *e);
/* Any child in sight: 1, 0, -1. */
int folder_has_children(struct view v, uint32_t account, uint32_t mailbox, err *e);
/* Anything below that is a mailbox: the names of mere subscriptions do not count. 1, 0, -1. */
int folder_has_mailboxes(struct view v, uint32_t account, uint32_t mailbox, err *e);

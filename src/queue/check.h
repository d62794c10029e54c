/* Checkers of this room's rows, for store/check.h: the queue and its events; and the check of a whole store.
 */
#pragma once
#include "mailbox/check.h"

struct queue_check { /* zeroed before the first row; check_queue_free in the end */
	uint64_t messages, recipients;
	uint64_t counted_messages, counted_recipients;
	struct queue_hold {
		uint64_t blob, holder;
	} * holds; /* one a message: 16 bytes */
	size_t cap;
	bool sorted;
};
void check_queue_free(struct queue_check *q);
int check_queue_row(struct check *c, void *q, slice key, slice value, err *e); /* Q */
int check_queue_end(struct check *c, void *q, err *e);
int check_event_row(struct check *c, void *none, slice key, slice value, err *e); /* E */
/* R, once all of Q were seen (R sorts behind it): holders that are the queue's. */
int check_queue_holder_row(struct check *c, void *q, slice key, slice value, err *e);

struct check_totals {
	struct mailbox_check_totals mail;
	uint64_t queued;
};
/* All tables over all rows, then the log. codec NULL: summaries are not unpacked. 0, -1. */
int check_whole(struct check *c, struct mailbox_codec *codec, struct check_totals *ret, err *e);

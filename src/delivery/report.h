/* Between here.c and report.c. */
#pragma once
#include "delivery/delivery_int.h"
#include "delivery/settle.h"

#define REPORT_RECIPIENTS 100 /* told of in one report; others get the next */

struct here_found { /* what a parcel of lane 0 is about */
	struct arena *arena;
	bool there;
	struct queue_message m;
	struct store_blob blob;
	slice language; /* of the account that is the sender */
	struct queue_found *local, *done, *late;
	size_t local_n, done_n, late_n;
	bool late_more; /* than one report tells of */
};

/* The language of the sender's account, when it is one of ours. */
void report_language(struct store_snap *snap, struct here_found *f);
/* Reports what is done and what is late, and settles the rows, in one intent. */
PARKS int report_send(struct store *s, struct mailbox_codec *c, struct here *h, struct here_found *f, err *e);
/* The parcel's row goes when nobody of it waits any more, unless it is to be kept. Sets ret_more. */
int here_end(struct store_tx *tx, struct here *h, bool keep, err *e);

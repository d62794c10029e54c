/*
 * What SEARCH BODY, TEXT and HEADER look through: the texts of one message, read and decoded once, however
 * many keys ask for them. Needles are folded (mail_fold); so is every text, or it is ASCII: both compare
 * with the case of ASCII letters ignored.
 */
#pragma once
#include "imap/search.h"

struct search_text {              /* of one command; a zeroed one is ready */
	struct search_node *keys; /* BODY and TEXT, by next_body */
	uint64_t message;         /* whose texts are in hand; 0: nobody's */
	bool whole;               /* they are all in `text`; else each key's `found` says it already */
	size_t body;              /* where in `text` the header of the message itself ends */
	struct buf text;          /* folded; pieces that nothing spans end in a byte that no text has */
	struct buf raw;           /* the message, when it is a small one */
	bool has_raw;
	struct buf region, plain, utf8, line; /* to work in */
	struct store_window window;
	uint64_t breath; /* bytes looked through since others had their turn */
};
void search_text_free(struct search_text *t);

/* An unfolded field: whether it has the needle in it. Does not park. */
bool search_text_in_field(struct search_text *t, slice unfolded, slice needle);

/* The item has summary and blob. 1, 0, -1: e, ERR_CORRUPT: this message cannot be read. */
PARKS int search_text_key(
	struct search_text *t, struct imap_item *item, const struct search_node *key, err *e);
PARKS int search_text_header(struct search_text *t, struct imap_item *item, slice name, slice needle, err *e);

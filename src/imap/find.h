/* The search that SEARCH, SORT, THREAD and ESEARCH have in common: the walk, and a call for each message
 * found. */
#pragma once
#include "imap/digests.h"
#include "imap/search_text.h"

struct find {
	struct search q;
	unsigned needs; /* enum imap_need: loaded of each message found */
	/* In UID order. Must not park. in_snapshot: imap_walk_load may be used; else message row and summary
	 * are loaded, too. */
	int (*hit)(struct find *f, struct imap_walk *w, struct imap_item *item, bool in_snapshot, err *e);
	void *arg;
	struct imap_digests digests;
	struct search_text text;
	uint64_t breath;
	uint32_t damaged; /* messages left out */
	bool at_once;     /* of all or of none: SORT and THREAD of a part would be wrong */
	bool whole;       /* the mailbox is not cut (imap_cut): a UID could not tell of which one */
};

/* "SP charset SP keys", as SORT and THREAD have it. False: a->why, or bad_charset. */
bool imap_take_search_program(struct imap_args *a, struct search *ret);
/* "SP RETURN (...)", if it is there. */
bool imap_take_search_returns(struct imap_args *a, struct search *ret);
/* What was parsed, in this session: with UIDONLY no message numbers (RFC 9586 3.2). False: a->why. */
bool imap_find_allowed(const struct imap_session *s, struct imap_args *a, const struct search *q);
/* The answer when one of these or imap_take_search said no. */
int imap_find_refuse(struct imap_session *s, const struct imap_args *a, const struct search *q);

/* Searches the selected mailbox. 0; 1: answered, that would be too many messages at once; -1. */
PARKS int imap_find_run(struct imap_session *s, struct find *f, err *e);
/* Frees what the run has made, whether it was run or not. */
void imap_find_free(struct find *f);
/* Searches the mailbox in s->box and says what was found, if anything, with the mailbox's name (RFC 7377). */
PARKS int imap_search_mailbox(
	struct imap_session *s, const struct search *q, slice path, uint32_t *add_damaged, err *e);
/* The tagged answer of a run that did not fail. */
int imap_find_answer(struct imap_session *s, const struct find *f, const char *done);

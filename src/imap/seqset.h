/* Sequence sets (RFC 9051 9): "1:5,7,*". Parsed into ranges; `*` keeps its own value until the mailbox is
 * known. */
#pragma once
#include "imap/args.h"
#include "mailbox/uidset.h"

#define IMAP_STAR 0u /* no number is zero */

struct imap_range {
	uint32_t first, last;
};

struct imap_seqset {
	struct imap_range *ranges; /* as written */
	uint32_t n;
	bool saved; /* "$": the result of the last SEARCH with SAVE (RFC 5182); no ranges */
};

bool imap_take_seqset(struct imap_args *a, struct imap_seqset *ret);
/* The whole of a text, for the tests and for UID lists inside of other things. */
bool imap_seqset_parse(slice in, struct arena *a, struct imap_seqset *ret);

/* What the set means in a mailbox that has these messages: the UIDs that exist. 0, -1 out of memory. */
int imap_seqset_uids(const struct imap_seqset *set, const struct uidset *have, struct uidset *add_to);
/*
 * The same for message sequence numbers. 1: a number, or an end of a range, lies past the end: the command is
 * BAD (RFC 9051 9, "seq-number"), or, in a search, what lies within was added all the same. "9:*" in a
 * mailbox of 8 is how clients ask for what is new, and means the last one.
 */
int imap_seqset_seqs(const struct imap_seqset *set, const struct uidset *have, struct uidset *add_to);
/* All numbers that the set names, whether they exist or not; `*` has no end. Before the set is resolved in
 * one of the other ways, which forget `*`. 0, -1 out of memory. */
int imap_seqset_named(const struct imap_seqset *set, struct uidset *add_to);

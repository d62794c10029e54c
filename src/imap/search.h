/* SEARCH (RFC 9051 6.4.4): the keys as a tree, and what a message says to it. */
#pragma once
#include "imap/partial.h"
#include "imap/session_int.h"
#include "mail/digest.h"

enum search_op {
	SEARCH_ALL,
	SEARCH_NONE, /* RECENT, NEW: no message is \Recent here */
	SEARCH_AND,  /* of the children; a group in parentheses */
	SEARCH_OR,   /* of the two children */
	SEARCH_FLAGS,
	SEARCH_KEYWORD,
	SEARCH_UIDS,
	SEARCH_LARGER,
	SEARCH_SMALLER,
	SEARCH_MODSEQ,  /* RFC 7162 3.1.5 */
	SEARCH_EMAILID, /* RFC 8474; while the message is not known it stands among the sets */
	SEARCH_BEFORE,  /* INTERNALDATE, by day; from here on the entry alone does not decide */
	SEARCH_ON,
	SEARCH_OLDER, /* RFC 5032 */
	SEARCH_SINCE,
	SEARCH_SAVEDBEFORE, /* RFC 8514, by day, UTC */
	SEARCH_SAVEDON,
	SEARCH_SAVEDSINCE,
	SEARCH_SENTBEFORE, /* the Date field, by day */
	SEARCH_SENTON,
	SEARCH_SENTSINCE,
	SEARCH_HEADER,
	SEARCH_BODY,
	SEARCH_TEXT,
};

struct search_node {
	enum search_op op;
	bool negate;
	uint8_t flags;
	slice name;     /* keyword, header field */
	slice text;     /* folded UTF-8; empty matches all that is there */
	uint64_t marks; /* of it, where the digest knows those of the field; else 0 */
	enum mail_digest_field marked;
	uint64_t number;
	int64_t day; /* since 1970-01-01; of SEARCH_OLDER a second */
	struct imap_seqset set;
	bool set_is_uids;
	struct uidset uids; /* the set, resolved; freed with the search */
	struct search_node *child, *next;
	struct search_node *next_set;  /* nodes that hold uids */
	struct search_node *next_body; /* of SEARCH_BODY and SEARCH_TEXT */
	bool found;                    /* of these: in the message in hand (search_text) */
};

enum search_return {
	SEARCH_RETURN_MIN = 1,
	SEARCH_RETURN_MAX = 2,
	SEARCH_RETURN_ALL = 4,
	SEARCH_RETURN_COUNT = 8,
	SEARCH_RETURN_SAVE = 16,
	SEARCH_RETURN_PARTIAL = 32,
};

struct search {
	bool extended; /* RETURN was said */
	unsigned returns;
	struct imap_partial partial;
	struct search_node *root; /* SEARCH_AND */
	struct search_node *sets;
	struct search_node *bodies;
	unsigned texts; /* nodes that look into messages */
	unsigned needs; /* enum imap_need, of all nodes; BLOB is always possible */
	bool numbers;   /* message numbers are among the keys */
	bool modseq;    /* MODSEQ is among the keys: the answer says the highest one of what is told */
	bool bad_charset;
};

/* False: a->why, or ret->bad_charset. */
bool imap_take_search(struct imap_args *a, struct search *ret);

enum search_verdict { SEARCH_NO, SEARCH_YES, SEARCH_UNKNOWN };

struct search_text;

struct search_message {
	struct imap_item *item;
	slice keywords; /* of the mailbox */
	struct search_text *text;
	unsigned loaded; /* enum imap_need: what may be looked at */
};
/* With BLOB loaded it reads the message and is never UNKNOWN; without, it does not park. -1: error. */
PARKS int imap_search_match(const struct search *q, struct search_message *m, err *e);

/*
 * What changed in an account since a MODSEQ: the change rows (kept 90 days or 1,000,000 rows), read on a
 * snapshot. For QRESYNC, JMAP states and sessions that follow their mailbox.
 */
#pragma once
#include "mailbox/mailbox.h"

enum change_kind {
	CHANGE_ADDED = 1,    /* UID ranges: new in the mailbox (delivered, appended, copied) */
	CHANGE_FLAGS = 2,    /* UID ranges: flags or keywords changed */
	CHANGE_EXPUNGED = 3, /* UID ranges: gone */
	CHANGE_CREATED = 4,  /* the mailbox is new; no ranges, as below */
	CHANGE_REMOVED = 5,  /* it is gone: change_path */
	CHANGE_RENAMED = 6,  /* its path (and those of its children) changed: change_path */
	CHANGE_SETTINGS = 7, /* enum change_setting */
	CHANGE_METADATA = 8, /* names and whose they are, in ranges: change_metadata of mailbox/metadata.h */
};

enum change_setting {
	CHANGE_SUBSCRIBED = 1,
	CHANGE_USE = 2,    /* special use */
	CHANGE_SELECT = 4, /* a mailbox became a mere name (\Noselect) */
	CHANGE_RIGHTS = 8, /* what others may do there: change_concerns; alone in its row */
};

struct change {
	uint64_t modseq;
	uint32_t mailbox;
	enum change_kind kind;
	int64_t at_s; /* wall clock seconds */
	slice ranges; /* change_range walks it */
	uint32_t range_end;
};

/* Takes the next range off; ascending, disjoint. False at the end. */
bool change_range(struct change *c, uint32_t *ret_first, uint32_t *ret_last);
/* The path that was given up, of REMOVED and RENAMED; empty: not known (rows of older versions). */
slice change_path(const struct change *c);
/* What of enum change_setting changed; all, where that is not known. */
unsigned change_settings(const struct change *c);

/* Of CHANGE_RIGHTS: whether rights of `who` changed, or anyone's; *ret_saw: they may have let him look it up.
 */
bool change_concerns(const struct change *c, uint32_t who, bool *ret_saw);

struct change_scan {
	struct store_scan scan;
	uint32_t account, mailbox;
	uint64_t since;
	bool started;
	uint8_t prefix[8];
};
/*
 * Walks changes with modseq > since, ascending; mailbox 0: of all mailboxes. 0 or -1. One intent's changes
 * have one modseq and may be several rows (per mailbox and kind, and more when there are very many ranges).
 */
int change_open(struct store_snap *snap, uint32_t account, uint32_t mailbox, uint64_t since,
	struct change_scan *ret, err *e);
int change_next(struct change_scan *sc, struct change *ret, err *e); /* 1, 0 at the end, -1 */
void change_close(struct change_scan *sc);

/*
 * *ret_floor: changes with modseq > floor are all there; a client that asks from before it gets the full
 * answer from the blocks. *ret_modseq: the account's present modseq. 1, 0 no such account, -1.
 */
int change_state(
	struct store_snap *snap, uint32_t account, uint64_t *ret_floor, uint64_t *ret_modseq, err *e);

/*
 * Metadata of a mailbox, or of an account as a whole (mailbox 0): named values that clients keep (RFC 5464).
 * A value is shared by all who may see the mailbox, or private to one account; both lie with the account
 * that owns the mailbox, by its id: a rename keeps them, a deletion takes them along.
 *
 * Names: ASCII of 1 to LIMIT_METADATA_NAME bytes without control characters; the case of letters does not
 * count, the spelling of the last set is kept. Values: 0 to LIMIT_METADATA_VALUE bytes of any kind.
 */
#pragma once
#include "mailbox/change.h"
#include "mailbox/mailbox.h"

#define METADATA_SHARED 0u /* instead of the account whose private value it is */

struct metadata {
	uint32_t who; /* METADATA_SHARED or an account */
	slice name;
	slice value; /* p == NULL: none */
};

/* ---- reading, on a snapshot ---- */

/* The value of that name in *ret, in the snapshot. 1, 0, -1. */
int mailbox_metadata_get(struct store_snap *snap, uint32_t account, uint32_t mailbox, uint32_t who,
	slice name, struct metadata *ret, err *e);

struct metadata_scan {
	struct store_scan scan;
	uint32_t who;
	uint8_t prefix[KV_KEY_MAX];
	bool started;
};
/*
 * Walks the values whose names begin with `name`, whatever the case, in the order of their lower-case names;
 * empty: all of `who`. Close it before the snapshot ends.
 */
int metadata_open(struct store_snap *snap, uint32_t account, uint32_t mailbox, uint32_t who, slice name,
	struct metadata_scan *ret, err *e);
int metadata_next(struct metadata_scan *sc, struct metadata *ret, err *e); /* 1, 0 at the end, -1 */
void metadata_close(struct metadata_scan *sc);

/* ---- changing ---- */

struct metadata_set {
	uint32_t account, mailbox; /* mailbox 0: the account as a whole */
	uint32_t by; /* as in mailbox/write.h: rights_metadata, for shared values RIGHT_WRITE, too */
	const struct metadata *values;
	size_t n;     /* all or none; one without a value removes what is there */
	bool has_use; /* the special use, which is a setting of the mailbox, in the same intent */
	enum mailbox_use use;
};
/*
 * ERR_MISSING no such mailbox; ERR_SYNTAX a name; ERR_LIMIT too many of them; ERR_QUOTA too many bytes, of
 * one value or of the account; ERR_DENIED a special use for a name that is no mailbox; ERR_NOPERM also what
 * is private to somebody else, the special use of another's mailbox, another's account as a whole. What is
 * set to the value it has is no change. Others hear of it by a row of CHANGE_METADATA, which names what
 * changed.
 */
PARKS int mailbox_metadata_set(struct store *s, const struct metadata_set *set, err *e);
/* Copies the shared values, and the private ones of the account itself, to another of its mailboxes; those
 * that have no room stay behind. */
PARKS int mailbox_metadata_copy(struct store *s, uint32_t account, uint32_t from, uint32_t to, err *e);

/* The next name of a CHANGE_METADATA row; false at the end. */
bool change_metadata(struct change *c, uint32_t *ret_who, slice *ret_name);

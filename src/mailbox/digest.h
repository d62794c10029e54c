/*
 * Digests of messages (mail/digest.h), kept four a row beside them: a cache that SORT, THREAD and SENTSINCE
 * fill as they go over messages that have none yet.
 *
 * They are not made at delivery: most accounts are never sorted by the server, and those and every delivery
 * pay nothing this way; messages of older days are no different from new ones. Four a row, since reading is
 * what counts then: all of 100,000 messages take 6 ms of processor time so, 9 ms with a row each, 28 ms in
 * front of their summaries, and some 200 ms made of those.
 */
#pragma once
#include "mail/digest.h"
#include "mailbox/mailbox.h"

#define MAILBOX_DIGESTS 4 /* messages a row: their longest digests stay below half a page */

struct mailbox_digest_scan {
	struct store_scan scan;
	uint32_t account;
	bool there, any;
	uint64_t number; /* of the row that the cursor stands on, if any; 0: none */
	slice records[MAILBOX_DIGESTS];
	uint8_t prefix[16];
};

/* The key of an account's hashes; 1, 0 none was drawn yet (and there are no digests), -1. */
int mailbox_digest_secret(struct store_snap *snap, uint32_t account, uint64_t ret[2], err *e);
/* 0, -1. Close it before the snapshot ends. */
int mailbox_digest_open(struct store_snap *snap, uint32_t account, struct mailbox_digest_scan *ret, err *e);
/* The record, in the snapshot. 1; 0: there is none, or it is damaged; -1. */
int mailbox_digest_at(struct mailbox_digest_scan *sc, uint64_t message, slice *ret, err *e);
void mailbox_digest_close(struct mailbox_digest_scan *sc);

struct mailbox_digests { /* to be kept; zeroed with records.max set it is empty */
	uint32_t account;
	uint64_t secret[2]; /* of their hashes */
	struct buf records; /* of each: u64 message, u16 length, bytes; rows in ascending order are written
			       best */
	unsigned n;
};
void mailbox_digests_add(struct mailbox_digests *d, uint64_t message, slice record);
/*
 * Writes them beside what is there already. Those of messages that are gone meanwhile are passed over.
 * ERR_CONFLICT: another secret was drawn meanwhile.
 */
PARKS int mailbox_digests_keep(struct store *s, const struct mailbox_digests *d, err *e);

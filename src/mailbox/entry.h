/*
 * Entry blocks: the entries of up to 64 consecutive UIDs in one row, keyed by uid/64, so that a scan or a
 * STORE over a mailbox touches a 64th of the rows.
 *
 * Format: u8 version; u64 bitmap of the UIDs there are (bit 0: number*64); var base modseq, var base message;
 * then for each entry in UID order: u8 flags (bit 7: keyword bits follow), var keywords, zigzag var modseq -
 * base, zigzag var message - base, var size. Some 7 bytes an entry. UIDs alone are read off the bitmap.
 */
#pragma once
#include "mailbox/mailbox.h"

#define ENTRY_BLOCK_MAX (29 + MAILBOX_BLOCK * 36)

struct entry_block {
	uint32_t number;
	unsigned n;
	struct mailbox_entry e[MAILBOX_BLOCK]; /* by UID */
};

size_t entry_block_encode(const struct entry_block *b, uint8_t out[ENTRY_BLOCK_MAX]);
int entry_block_decode(slice in, uint32_t number, struct entry_block *ret, err *e); /* ERR_CORRUPT */
int entry_block_bitmap(slice in, uint64_t *ret, err *e);
/* The entry of that UID, NULL when it is not there. */
struct mailbox_entry *entry_block_find(struct entry_block *b, uint32_t uid);

/*
 * Accounts, mailboxes and messages: reads on snapshots, and the write half of each intent.
 *
 * Reads take a store_snap and return views that are valid until it ends; none parks. Changes are functions that park:
 * each sends one intent and returns when its group is durable. Rights are checked inside the intent.
 *
 * Ids: account, mailbox u32; message, thread, blob u64; UID u32; MODSEQ u63 (one counter an account).
 */
#pragma once
#include "mailbox/uidset.h"
#include "store/store.h"

enum mailbox_flag { /* system flags, one byte in an entry */
	FLAG_SEEN = 1,
	FLAG_ANSWERED = 2,
	FLAG_FLAGGED = 4,
	FLAG_DELETED = 8,
	FLAG_DRAFT = 16,
};

enum mailbox_use { /* RFC 6154 */
	USE_NONE,
	USE_DRAFTS,
	USE_SENT,
	USE_TRASH,
	USE_JUNK,
	USE_ARCHIVE,
	USE_ALL,
	USE_FLAGGED,
	USE_IMPORTANT,
};

#define MAILBOX_KEYWORDS_MAX 64 /* keyword bits in an entry; names in the mailbox row's table */

struct mailbox_row { /* one mailbox; slices lie in the snapshot */
	uint32_t account, id, parent; /* parent 0: top level */
	slice name;                   /* one level, UTF-8 NFC; "INBOX" for the inbox */
	enum mailbox_use use;
	bool subscribed;
	bool noselect; /* a parent kept only for its children */
	uint32_t uidvalidity, uidnext, messages, unseen, deleted, size_hi_unused;
	uint64_t highest_modseq, bytes;
	slice keywords; /* NUL-terminated names one after the other, in bit order */
};

struct mailbox_entry { /* one message in one mailbox */
	uint32_t uid;
	uint8_t flags;
	uint64_t keywords;
	uint64_t modseq;
	uint64_t message;
	uint32_t size; /* RFC822.SIZE */
};

struct mailbox_message { /* of the message row */
	uint64_t blob;
	int64_t internal_us; /* INTERNALDATE, microseconds UTC */
	int16_t internal_zone_min;
	int64_t received_us, saved_us;
	uint64_t thread;
	uint32_t size;
};

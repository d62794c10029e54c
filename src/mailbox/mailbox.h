/*
 * Mailboxes and messages of an account, read on a snapshot. Nothing here parks; slices that a call returns
 * lie in the snapshot and are valid until it ends, unless an arena is passed. Changes: mailbox/write.h.
 *
 * Ids: account, mailbox u32; message, thread, blob u64; UID u32; MODSEQ u63 (one counter an account, RFC
 * 7162). Read functions return 1 found, 0 not there, -1 error (ERR_IO, ERR_CORRUPT).
 */
#pragma once
#include "base/arena.h"
#include "mailbox/uidset.h"
#include "store/store.h"

enum mailbox_flag { /* system flags, one byte in an entry */
	FLAG_SEEN = 1,
	FLAG_ANSWERED = 2,
	FLAG_FLAGGED = 4,
	FLAG_DELETED = 8,
	FLAG_DRAFT = 16,
};
#define MAILBOX_FLAGS_ALL (FLAG_SEEN | FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DELETED | FLAG_DRAFT)

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

#define MAILBOX_INBOX        1u /* the INBOX of every account has this id */
#define MAILBOX_KEYWORDS_MAX 64 /* keyword bits in an entry; names in the mailbox row's table */
#define MAILBOX_SEPARATOR    '/'
#define MAILBOX_OTHERS       "Other Users" /* no mailbox has this name at the top: others' are shown there */

struct mailbox_row {                  /* one mailbox */
	uint32_t account, id, parent; /* parent 0: top level */
	slice name;                   /* one level, UTF-8 NFC; "INBOX" for the inbox */
	enum mailbox_use use;
	bool subscribed;
	bool noselect; /* a name kept for its children, or for its subscription */
	bool removed;  /* deleted, its messages are being cleared away; no read shows it */
	uint32_t uidvalidity, uidnext, messages, unseen, deleted;
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

struct mailbox_message {     /* of the message row */
	uint64_t id, blob;   /* the blob is read with store_blob_find */
	int64_t internal_us; /* INTERNALDATE, microseconds UTC */
	int16_t internal_zone_min;
	int64_t received_us; /* came into the store */
	uint64_t thread;
	uint32_t size;
	uint8_t delivery_id[16]; /* queue id it was delivered under; all zero for APPEND */
	slice places;            /* mailbox_message_place takes the next off; false at the end */
};

/* ---- one mailbox ---- */

int mailbox_get(struct store_snap *snap, uint32_t account, uint32_t mailbox, struct mailbox_row *ret, err *e);
/* Path: levels joined by '/', UTF-8 NFC, "INBOX" in any case as the first level. */
int mailbox_find(struct store_snap *snap, uint32_t account, slice path, struct mailbox_row *ret, err *e);

/* Name of keyword bit `bit`, NULL slice when there is none; and the bit of a name (ASCII case folded), -1
 * none. */
slice mailbox_keyword_name(const struct mailbox_row *m, unsigned bit);
int mailbox_keyword_bit(const struct mailbox_row *m, slice name);
unsigned mailbox_keyword_count(const struct mailbox_row *m);

/* ---- all mailboxes of an account ---- */

struct mailbox_item {
	struct mailbox_row row;
	slice path;
	uint16_t depth;    /* 0: top level */
	bool has_children; /* mailboxes, not mere subscriptions */
	bool absent;       /* no mailbox and no parent of one: a subscription, which outlives its mailbox */
	unsigned rights;   /* of mailbox_shared: enum mailbox_right of who asked */
};
/*
 * All mailboxes, INBOX first, parents before their children, else by name in byte order. Everything is copied
 * into the arena, so it outlives the snapshot. -1 also ERR_LIMIT when the arena is full. Returns 0 or -1.
 */
int mailbox_list(struct store_snap *snap, uint32_t account, struct arena *a, struct mailbox_item **ret,
	size_t *ret_n, err *e);

/* One of them, as the list shows it; in the arena. 1, 0 there is none of that id, -1. */
int mailbox_item_get(struct store_snap *snap, uint32_t account, uint32_t mailbox, struct arena *a,
	struct mailbox_item *ret, err *e);

/* ---- its messages ---- */

/* Adds all UIDs > after_uid to the set. 0 or -1. 1,000,000 messages take a few milliseconds. */
int mailbox_uids(struct store_snap *snap, uint32_t account, uint32_t mailbox, uint32_t after_uid,
	struct uidset *add_to, err *e);

/* The same of at most so many blocks; *after_uid is then where to go on, UINT32_MAX at the end. */
int mailbox_uids_some(struct store_snap *snap, uint32_t account, uint32_t mailbox, unsigned blocks,
	uint32_t *after_uid, struct uidset *add_to, err *e);

/*
 * Walks entries in UID order, a block of up to 64 at a time. Ends with the snapshot. For a long walk: stop
 * after some thousand entries, end the snapshot, park, begin again with uid_from = last uid + 1.
 */
#define MAILBOX_BLOCK 64 /* UIDs a block */
struct mailbox_entry_scan {
	struct store_scan scan;
	uint32_t account, mailbox, from, to;
	unsigned n, at;
	bool started, done;
	uint8_t prefix[16];
	struct mailbox_entry entries[MAILBOX_BLOCK];
};
int mailbox_entry_open(struct store_snap *snap, uint32_t account, uint32_t mailbox, uint32_t uid_from,
	uint32_t uid_to, struct mailbox_entry_scan *ret, err *e); /* 0 or -1 */
/* 1, 0 at the end, -1. The entry stays valid until the next call. */
int mailbox_entry_next(struct mailbox_entry_scan *sc, const struct mailbox_entry **ret, err *e);
/* The same for the next entry with uid >= the given one, the present one too: jumps over blocks without
 * reading them. */
int mailbox_entry_seek(struct mailbox_entry_scan *sc, uint32_t uid, const struct mailbox_entry **ret, err *e);
void mailbox_entry_close(struct mailbox_entry_scan *sc);
int mailbox_entry_get(struct store_snap *snap, uint32_t account, uint32_t mailbox, uint32_t uid,
	struct mailbox_entry *ret, err *e);

int mailbox_message_get(
	struct store_snap *snap, uint32_t account, uint64_t message, struct mailbox_message *ret, err *e);
struct message_place { /* where a message lies */
	uint32_t mailbox, uid;
	int64_t saved_us; /* SAVEDATE (RFC 8514) */
};
/* Takes the next place off; false at the end. */
bool mailbox_message_place(struct mailbox_message *m, struct message_place *ret);

/*
 * Summaries are stored compressed. A codec holds zstd's working memory (some 100 KiB): one a loop, shared by
 * its sessions, since no call here parks. NULL: out of memory.
 */
struct mailbox_codec;
struct mailbox_codec *mailbox_codec_new(void);
void mailbox_codec_free(struct mailbox_codec *c);
/* The summary's plain bytes in the arena (parse them with mail/summary.h); at most LIMIT_SUMMARY. 1, 0, -1.
 */
int mailbox_summary_get(struct store_snap *snap, struct mailbox_codec *c, uint32_t account, uint64_t message,
	struct arena *a, slice *ret, err *e);
/*
 * The same for many messages of one snapshot: a cursor that goes on where ids follow each other, which they
 * do in the order of UIDs. Close it before the snapshot ends.
 */
struct mailbox_summary_scan {
	struct store_scan scan;
	uint32_t account;
	uint64_t last; /* the message the cursor stands on; 0: nowhere */
	uint8_t prefix[16];
};
int mailbox_summary_open(
	struct store_snap *snap, uint32_t account, struct mailbox_summary_scan *ret, err *e); /* 0 or -1 */
int mailbox_summary_at(struct mailbox_summary_scan *sc, struct mailbox_codec *c, uint64_t message,
	struct arena *a, slice *ret, err *e); /* 1, 0, -1 */
/*
 * Only what mail_summary_front_open looks at, which is quicker; as it is stored, in the snapshot (or in the
 * arena, where the row has no front of its own).
 */
int mailbox_summary_front_at(struct mailbox_summary_scan *sc, struct mailbox_codec *c, uint64_t message,
	struct arena *a, slice *ret, err *e); /* 1, 0, -1 */
void mailbox_summary_close(struct mailbox_summary_scan *sc);

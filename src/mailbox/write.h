/*
 * Changes to mailboxes. Each function parks, sends one intent (a long one several, as said) and returns when
 * its group is durable: 0, or -1 with the error, and then nothing was changed. Existence, quota and
 * conditions are judged inside the intent, on the commit thread.
 *
 * `by` is the account that acts. Where it is not the mailbox's owner, its rights (mailbox/rights.h) are
 * judged there, too: ERR_NOPERM, and ERR_MISSING where it may not even know of the mailbox. 0: the post house
 * itself.
 *
 * Common errors: ERR_MISSING no such account or mailbox; ERR_IO; ERR_CORRUPT.
 */
#pragma once
#include "mailbox/mailbox.h"

/* Content of a message: bytes in memory (up to LIMIT_BLOB_INLINE), or a finished big file that the intent
 * takes. */
struct content {
	slice bytes;
	struct store_big
		*big;  /* NULL: bytes; its file stays on success, the handle is the caller's to drop */
	uint32_t size; /* RFC822.SIZE; for bytes: bytes.n */
};

/* ---- APPEND ---- */

struct append_message {
	struct content content;
	slice summary; /* plain, of mail/summary.h; at most LIMIT_SUMMARY */
	uint8_t flags;
	const slice *keywords; /* names; new ones enter the mailbox's table */
	size_t n_keywords;
	int64_t internal_us; /* 0: now */
	int16_t internal_zone_min;
	uint32_t ret_uid;
};
struct append {
	uint32_t account, mailbox;
	uint32_t by;                     /* RIGHT_INSERT; flags it may not set are left out */
	struct append_message *messages; /* all in one intent, all or none (RFC 3502) */
	size_t n;
	/*
	 * A message expunged in the same intent (RFC 8508), if replaces_uid is not 0; account 0: the same;
	 * `by` needs RIGHT_DELETE and RIGHT_EXPUNGE. ERR_CONFLICT: it is gone.
	 */
	uint32_t replaces_account, replaces_mailbox, replaces_uid;
	uint32_t ret_uidvalidity;
	uint64_t ret_modseq;
};
/* Also ERR_QUOTA; ERR_LIMIT: no UIDs left, keyword table full. */
PARKS int mailbox_append(struct store *s, struct mailbox_codec *c, struct append *a, err *e);

/* ---- STORE ---- */

enum flags_op { FLAGS_REPLACE, FLAGS_ADD, FLAGS_REMOVE };

struct store_flags {
	uint32_t account, mailbox;
	uint32_t by; /* flags it may not change stay; ERR_NOPERM when it may change none of those named */
	const struct uidset *uids; /* members that do not exist are passed over */
	enum flags_op op;
	uint8_t flags;
	const slice *keywords;
	size_t n_keywords;
	uint64_t unchangedsince; /* UINT64_MAX: no condition (RFC 7162 3.1.3; 0 is a condition that fails) */
	/* results; the caller frees the sets */
	struct uidset ret_changed;  /* entries whose flags are different now */
	struct uidset ret_modified; /* entries that the condition kept untouched */
	uint64_t ret_modseq;        /* of the change; 0 when nothing changed */
};
/*
 * An entry whose flags stay the same keeps its modseq. Over LIMIT_INTENT_BLOCKS blocks it is split into
 * several intents; when a later one fails, ret_changed tells what was done. ERR_LIMIT: keyword table full.
 */
PARKS int mailbox_store_flags(struct store *s, struct store_flags *a, err *e);

/* ---- COPY and MOVE ---- */

struct copy {
	uint32_t account, mailbox;       /* from */
	uint32_t to_account, to_mailbox; /* another account: messages are new there, blobs shared */
	/* RIGHT_READ, to move RIGHT_DELETE and RIGHT_EXPUNGE, too; there RIGHT_INSERT, flags as in append */
	uint32_t by;
	const struct uidset *uids;
	/* results; the caller frees the sets. Source and copy lie at the same place of the two sets
	 * (COPYUID). */
	uint32_t ret_uidvalidity;
	struct uidset ret_source, ret_dest;
	uint64_t ret_modseq; /* of to_account, 0 when nothing was copied */
};
/*
 * All or nothing (RFC 9051 6.4.7): split at LIMIT_INTENT_MESSAGES, and when a later intent fails the copies
 * made are taken away again. Also ERR_QUOTA; ERR_LIMIT: no UIDs left.
 */
PARKS int mailbox_copy(struct store *s, struct copy *a, err *e);
/*
 * The same and the source entries are expunged in the same intent: a message is in one of the two, never in
 * both or none (RFC 6851). Split at LIMIT_INTENT_MESSAGES; when a later intent fails, the sets tell what was
 * done.
 */
PARKS int mailbox_move(struct store *s, struct copy *a, err *e);

/* ---- EXPUNGE ---- */

struct expunge {
	uint32_t account, mailbox;
	uint32_t by;                /* RIGHT_EXPUNGE */
	const struct uidset *uids;  /* NULL: all */
	bool only_deleted;          /* only those with \Deleted (IMAP); POP3 says false */
	struct uidset ret_expunged; /* the caller frees it */
	uint64_t ret_modseq;        /* 0: nothing was there to expunge */
};
/* Expunged messages stay restorable for LIMIT_EXPUNGED_DAYS. Split as mailbox_move. */
PARKS int mailbox_expunge(struct store *s, struct expunge *a, err *e);

/* ---- mailboxes ---- */

/*
 * Missing parents are made as well. A path: levels of 1 to LIMIT_MAILBOX_NAME bytes of UTF-8 without control
 * characters, at most LIMIT_MAILBOX_DEPTH of them; a trailing '/' is dropped. ERR_EXISTS, ERR_SYNTAX,
 * ERR_LIMIT. `by` needs RIGHT_CREATE in the nearest parent there is; the new mailbox takes over its rights.
 */
PARKS int mailbox_create(struct store *s, uint32_t account, uint32_t by, slice path, enum mailbox_use use,
	uint32_t *ret_id, uint32_t *ret_uidvalidity, err *e);
/*
 * With children it loses its messages and becomes \Noselect; a \Noselect one with children, and INBOX:
 * ERR_DENIED. A subscription stays and keeps the name (RFC 9051 6.3.7): see mailbox_item.absent. It is out of
 * sight at once; its messages are expunged (restorable) in steps, by this call and after a crash by
 * mailbox_sweep. `by` needs RIGHT_REMOVE.
 */
PARKS int mailbox_delete(struct store *s, uint32_t account, uint32_t by, slice path, err *e);
/*
 * Children go with it, ids and UIDVALIDITY stay. INBOX: its messages move to the new mailbox, INBOX stays
 * (RFC 9051 6.3.6). Missing parents of `to` are made. Where `to` is a mere subscription, or a level above
 * such (mailbox_item.absent), the mailbox takes it over, and what is subscribed below stays. ERR_EXISTS,
 * ERR_SYNTAX, ERR_DENIED (into its own child). `by` needs RIGHT_REMOVE, and RIGHT_CREATE in the new nearest
 * parent; INBOX is its owner's.
 */
PARKS int mailbox_rename(struct store *s, uint32_t account, uint32_t by, slice from, slice to, err *e);
PARKS int mailbox_subscribe(struct store *s, uint32_t account, slice path, bool on, err *e);
PARKS int mailbox_set_use(struct store *s, uint32_t account, slice path, enum mailbox_use use, err *e);

/*
 * Clears away in small steps what is due: expunged messages past their days, removed mailboxes and accounts,
 * blobs that nobody holds any more. Call it now and then (a fiber in the background role) with the same
 * zeroed struct; each call looks at up to LIMIT_SWEEP_ACCOUNTS accounts and drops at most
 * LIMIT_INTENT_MESSAGES messages. keep_us: how long expunged messages are kept is fixed when they are
 * expunged. 1: more waits, 0: nothing due now, -1.
 */
struct sweep {
	uint32_t after_account; /* where the next call goes on */
	uint64_t ret_messages;  /* dropped for good so far */
};
PARKS int mailbox_sweep(struct store *s, struct sweep *w, err *e);

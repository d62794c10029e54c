/*
 * The write half: what an intent does inside the commit thread. An account and its mailboxes are opened,
 * changed in memory, and closed, which writes their rows, change rows and notes. Everything lives in the
 * intent's scratch arena; when an intent fails the store undoes what was put. For mailbox/ and delivery/
 * only.
 *
 * All changes of one intent in one account have one MODSEQ, drawn at the first change.
 */
#pragma once
#include "base/wire.h"
#include "mailbox/account.h"
#include "mailbox/change.h"
#include "mailbox/entry.h"
#include "mailbox/view.h"
#include "mailbox/write.h"

struct account_tx {
	struct store_tx *tx;
	uint32_t id;
	struct account_row row;
	uint64_t modseq;  /* 0: nothing changed yet */
	uint16_t changes; /* change rows under this modseq */
	bool dirty;
	struct buf out; /* rows are built here */
};

/* 0, -1: ERR_MISSING also for a removed account. account_tx_free in any case. */
int account_tx_open(struct store_tx *tx, uint32_t id, struct account_tx *ret, err *e);
uint64_t account_tx_modseq(struct account_tx *a);
/* Writes the account row when it changed, and prunes old change rows in small steps. */
int account_tx_close(struct account_tx *a, err *e);
void account_tx_free(struct account_tx *a);
/* Puts what is in a->out. */
int account_tx_put(struct account_tx *a, slice key, err *e);
/* A change row (or several, when there are many ranges) and its note. uids may be NULL. */
int account_tx_change(
	struct account_tx *a, uint32_t mailbox, enum change_kind kind, const struct uidset *uids, err *e);
/* The same for UIDs that are new, without a gap. */
int account_tx_added(struct account_tx *a, uint32_t mailbox, uint32_t first, uint32_t last, err *e);
/* One with a payload of its own, below half a page (mailbox 0: of the account as a whole). */
int account_tx_change_raw(
	struct account_tx *a, uint32_t mailbox, enum change_kind kind, slice payload, err *e);
/* CHANGE_SETTINGS. */
int account_tx_settings(struct account_tx *a, uint32_t mailbox, enum change_setting what, err *e);
/* ERR_QUOTA when so many more bytes do not fit. */
int account_tx_room(const struct account_tx *a, uint64_t bytes, err *e);

struct mailbox_tx {
	struct account_tx *a;
	struct mailbox_row row;
	bool dirty, block_there, block_dirty;
	struct entry_block block; /* the one under work */
};

/* In the scratch arena. ERR_MISSING: no such mailbox, removed or (unless any) \Noselect. */
int mailbox_tx_open(struct account_tx *a, uint32_t mailbox, bool any, struct mailbox_tx **ret, err *e);
int mailbox_tx_close(struct mailbox_tx *m, err *e);
/* Makes the block of that number the one under work; an empty one when there is none. */
int mailbox_tx_block(struct mailbox_tx *m, uint32_t number, err *e);
/* Writes the block under work if it changed (an empty one is deleted). */
int mailbox_tx_flush(struct mailbox_tx *m, err *e);
/* Keyword names to bits. add: unknown names enter the table, ERR_LIMIT when it is full; else they are passed
 * over. */
int mailbox_tx_keywords(
	struct mailbox_tx *m, const slice *names, size_t n, bool add, uint64_t *ret_bits, err *e);
/* Adds an entry under the next UID; in: flags, keywords, message, size. The caller writes the change row. */
int mailbox_tx_add(struct mailbox_tx *m, struct mailbox_entry *entry, err *e);
/* Takes a changed entry's new flags; entry lies in m->block. */
void mailbox_tx_set_flags(
	struct mailbox_tx *m, struct mailbox_entry *entry, uint8_t flags, uint64_t keywords);
/* Takes the entry with that UID out of m->block. */
void mailbox_tx_take_out(struct mailbox_tx *m, const struct mailbox_entry *entry);
/* The number of the first block >= number, from the store: what is under work is flushed first. 1, 0, -1. */
int mailbox_tx_next_block(struct mailbox_tx *m, uint32_t number, uint32_t *ret, err *e);

/* ---- messages ---- */

struct message_new {
	uint64_t blob;
	uint32_t size;
	int64_t internal_us;
	int16_t internal_zone_min;
	slice stored_summary;       /* as mailbox_codec_pack made it; p == NULL: none */
	const uint8_t *delivery_id; /* 16 bytes or NULL */
	int64_t received_us;        /* 0: now */
	uint64_t thread;            /* 0: its own */
};
/* The id the next message_tx_add of the account will give. */
uint64_t message_tx_next(const struct account_tx *a);
/* Writes message, summary and holder rows; counts it. Room was checked. */
int message_tx_add(struct account_tx *a, const struct message_new *n, uint32_t mailbox, uint32_t uid, err *e);
/* One more place. *ret_full: it has LIMIT_MESSAGE_ENTRIES already, nothing was done. */
int message_tx_link(
	struct account_tx *a, uint64_t message, uint32_t mailbox, uint32_t uid, bool *ret_full, err *e);
/* The place from becomes the place to. */
int message_tx_move(struct account_tx *a, uint64_t message, const struct message_place *from,
	const struct message_place *to, err *e);
/* Takes a place away; when it was the last one the message becomes restorable until its days are over. */
int message_tx_unlink(
	struct account_tx *a, const struct mailbox_row *m, const struct mailbox_entry *entry, err *e);
/* A new message of account `to` that shares blob and summary with one of `from`; quota checked. ret: its id
 */
int message_tx_clone(struct account_tx *from, uint64_t message, struct account_tx *to, uint32_t mailbox,
	uint32_t uid, err *e);
/* Removes a message for good: rows, and the blob when nobody else holds it. */
int message_tx_drop(struct account_tx *a, uint64_t message, err *e);

/* Takes a message's digest away, if there is one. */
int digest_tx_drop(struct store_tx *tx, uint32_t account, uint64_t message, err *e);

/* ---- content and summary ---- */

/* Compresses a summary for storing. The bytes lie in *buf, which the caller frees. -1: ERR_LIMIT, ERR_TEMP */
int mailbox_codec_pack(struct mailbox_codec *c, slice plain, struct buf *buf, err *e);
/* Puts the content into the store. */
int content_tx_blob(struct store_tx *tx, const struct content *c, uint64_t *ret_blob, err *e);

/* Who holds a blob: a message of an account, or (account 0) of the queue. When the last one lets go it is
 * dropped. */
int blob_tx_hold(struct store_tx *tx, uint64_t blob, uint32_t account, uint64_t message, err *e);
int blob_tx_unhold(struct store_tx *tx, uint64_t blob, uint32_t account, uint64_t message, err *e);

/* ---- mailboxes ---- */

/* Makes a mailbox with its missing parents; ret_id may be NULL. */
int folder_tx_create(struct account_tx *a, slice path, enum mailbox_use use, bool subscribed,
	uint32_t *ret_id, uint32_t *ret_uidvalidity, err *e);
/* Rows of a new account's INBOX and special-use mailboxes. */
int folder_tx_defaults(struct account_tx *a, err *e);

/*
 * Ordered key-value engines behind one table of functions: LMDB by default, memory for tests, others later.
 * Keys are at most KV_KEY_MAX bytes and sort as memcmp does. Values here are raw bytes: sealing is the
 * store's. One writer at a time: begin to commit on one thread. Readers see a snapshot; none may be held
 * across a park.
 */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdbool.h>

#define KV_KEY_MAX 400

struct kv;     /* an open engine */
struct kv_txn; /* a snapshot, or the one write transaction */

struct kv_cursor;

/* What makes an engine's file show one certain state again, as long as no page of that state was reused. */
#define KV_MARK_BYTES 1032
struct kv_mark {
	uint8_t bytes[KV_MARK_BYTES]; /* the engine's own; same on every machine of one kind */
	uint64_t file_bytes;          /* the file holds at least so much */
};

struct kv_engine {
	const char *name;
	int (*open)(const char *dir, uint64_t map_bytes, struct kv **ret, err *e);
	void (*close)(struct kv *k);
	int (*begin)(struct kv *k, bool write, struct kv_txn **ret, err *e);
	/* 1 found, 0 not there, -1 error; the value is valid until the transaction ends or (write) the next
	 * change */
	int (*get)(struct kv_txn *t, slice key, slice *ret_value, err *e);
	int (*put)(struct kv_txn *t, slice key, slice value, err *e);
	int (*del)(struct kv_txn *t, slice key, err *e); /* 0 also when it was not there */
	int (*commit)(struct kv_txn *t, err *e);         /* visible when it returns 0; frees t either way */
	void (*abort)(struct kv_txn *t);                 /* also ends a snapshot */
	int (*cursor_open)(struct kv_txn *t, struct kv_cursor **ret, err *e);
	void (*cursor_close)(struct kv_cursor *c);
	/* First key >= / last key < the given one; then next, prev. 1 there, 0 none, -1 error. */
	int (*seek)(struct kv_cursor *c, slice key, slice *ret_key, slice *ret_value, err *e);
	int (*seek_before)(struct kv_cursor *c, slice key, slice *ret_key, slice *ret_value, err *e);
	int (*next)(struct kv_cursor *c, slice *ret_key, slice *ret_value, err *e);
	int (*prev)(struct kv_cursor *c, slice *ret_key, slice *ret_value, err *e);
	/*
	 * The engine's one growing file within dir, which the store zero-fills ahead of use because growing
	 * inside a commit halves the rate; NULL: none. used: bytes from its start that hold something after
	 * the last commit.
	 */
	const char *file;
	uint64_t (*used)(struct kv *k);
	/* Lets go of pages of the file that are mapped but not in use; they stay in the page cache. NULL:
	 * none are. Any thread, at any time. */
	void (*rest)(struct kv *k);
	/*
	 * A commit is not synced: a power cut may leave any mixture of the file's pages. An engine that can
	 * live with that offers both of these, one that keeps nothing on disk neither.
	 *
	 * mark: of the state of the last commit; no write transaction is open. While a snapshot of that state
	 * lives none of its pages is overwritten, so the mark and a synced file are a durable copy of it.
	 * restore: before open, on the engine's file open for writing; synced when it returns. 1: open will
	 * show the marked state; 0: this file is not the one the mark was taken of, or is damaged; -1 error.
	 */
	int (*mark)(struct kv *k, struct kv_mark *ret, err *e);
	int (*restore)(int fd, const struct kv_mark *m, err *e);
};

extern const struct kv_engine kv_lmdb;
extern const struct kv_engine kv_memory;

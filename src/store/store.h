/*
 * The store: an ordered key-value engine for metadata, volumes (an append-only log that also holds the
 * blobs), and the one commit thread. Sessions read snapshots and send intents; they never write keys.
 *
 * An intent is a function that the commit thread runs inside the transaction of the group under way. It reads
 * and writes through store_tx_*; when it returns -1 everything it wrote is undone and the others of the group
 * go on. For a group the thread: runs the intents, appends ONE record (blobs, resolved puts and deletes,
 * batch ids, CRC32C) to the active volume, fdatasyncs it, writes the keys in ascending order into the engine,
 * commits it (in memory: the log is what is durable), calls on_group, then answers. So an answer means:
 * content, metadata and every new file name are on stable storage (promise D1). Any sync or write error:
 * every intent of the group fails with ERR_IO, nothing is acknowledged, the store is marked suspect and
 * refuses further intents until it is opened again (D2).
 *
 * The engine's file is brought to disk by checkpoints. The volumes from the checkpoint's on are all that
 * holds the groups since: whoever comes to remove volumes must leave those, and needs another copy of the
 * metadata in those before (a lost engine file is made anew from the whole log).
 *
 * Values are sealed here: put appends CRC32C, get checks it and strips it; a damaged value is ERR_CORRUPT,
 * named.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "store/kv.h"

struct store;
struct store_tx;

struct store_note { /* what changed, for sessions that watch */
	uint32_t account, mailbox;
	uint64_t modseq;
};

struct store_config {
	const char *dir; /* exists, ours, mode 0700 */
	const struct kv_engine *engine;
	uint64_t map_bytes;    /* LMDB map size; 0: 1 TiB */
	uint64_t volume_bytes; /* a volume is sealed at about this size; 0: 1 GiB */
	uint32_t step_bytes;   /* zero-fill step of volumes and engine file; 0: 64 MiB, less on small disks */
	/* Set the engine's file aside, in corrupt/, and make it anew from the log, which must be there from
	 * its first volume on: ERR_DENIED when not, and then nothing was moved. */
	bool rebuild;
	/* How often the engine's file is synced: 0: every 2 s, or 64 MiB of log, whichever comes first. */
	uint32_t checkpoint_ms, checkpoint_bytes;
	/* Called on the commit thread after each group is durable and before its answers. May be NULL. */
	void (*on_group)(void *arg, const struct store_note *notes, size_t n);
	void *arg;
};

/*
 * Opens or creates; recovers by itself: puts the engine's file back to its checkpoint, cuts a torn record at
 * the end of the last volume, replays log records that the engine does not have, removes big-blob files
 * without a row. Refuses a format newer than this program (ERR_DENIED). Takes the folder's lock (ERR_EXISTS
 * when another program holds it). Blocks: call it before the loop runs. The commit thread starts at
 * store_start, not here: a thread started before the sandbox is outside it.
 */
MUST_USE int store_open(const struct store_config *c, struct store **ret, err *e);
MUST_USE int store_start(struct store *s, err *e);
/* What store_open met and did; text is a sentence when there is something to tell, else "". */
struct store_open_report {
	uint32_t replayed; /* records that the engine did not have: none after a close */
	uint32_t corrupt;  /* damaged places, copied to corrupt/ */
	uint32_t orphans;  /* big-blob files without a row, removed */
	bool cut;          /* a torn record at the log's end was cut */
	bool made;         /* the store is new */
	char text[300];
};
const struct store_open_report *store_opened(const struct store *s);
void store_close(struct store *s); /* ends the commit thread after the intents under way */

/* ---- snapshots: between begin and end no park (fiber_forbid_park is on) ---- */

struct store_snap {
	struct store *store;
	struct kv_txn *txn;
};
MUST_USE int store_snap_begin(struct store *s, struct store_snap *ret, err *e);
void store_snap_end(struct store_snap *snap); /* a zeroed snap is fine */
/* 1 found, 0 not there, -1 error. The value lies in the map: valid until store_snap_end. */
int store_snap_get(struct store_snap *snap, slice key, slice *ret_value, err *e);

/* Walks keys that start with a prefix, ascending. Zero-initialise nothing: open fills it. */
struct store_scan {
	struct kv_cursor *cursor;
	const struct kv_engine *engine;
	struct store_tx *tx; /* set when it walks a write transaction: the group's own writes are seen */
	slice prefix;        /* borrowed */
	slice base_key, base_value; /* where the engine's cursor stands: not yet shown */
	int base;                   /* 1: it stands there, 0: at the end, -1: it must be sought again */
	uint8_t last_key[KV_KEY_MAX];
	size_t last_n;
	bool started;
	bool damaged; /* the last call failed for its value alone: the next one goes on behind it */
};
int store_scan_open(struct store_snap *snap, slice prefix, struct store_scan *ret, err *e);
/* Next key >= from within the prefix; 1 there, 0 end, -1 error. Slices valid until the next call. */
int store_scan_seek(struct store_scan *sc, slice from, slice *ret_key, slice *ret_value, err *e);
int store_scan_next(struct store_scan *sc, slice *ret_key, slice *ret_value, err *e);
/* Last key within the prefix. */
int store_scan_last(struct store_scan *sc, slice *ret_key, slice *ret_value, err *e);
void store_scan_close(struct store_scan *sc);

/* ---- inside an intent, on the commit thread only ---- */

int store_tx_get(
	struct store_tx *tx, slice key, slice *ret_value, err *e); /* valid until the next put or del */
int store_tx_put(struct store_tx *tx, slice key, slice value, err *e);
int store_tx_del(struct store_tx *tx, slice key, err *e);
int store_tx_scan(struct store_tx *tx, slice prefix, struct store_scan *ret, err *e);
/*
 * Appends a blob to the group's record, writes its B row and returns its id. The bytes must stay in place
 * until the answer. At most LIMIT_BLOB_INLINE (1 MiB): larger ones come as files (store_big_*).
 */
int store_tx_blob(struct store_tx *tx, slice bytes, uint64_t *ret_blob, err *e);
struct store_big;
int store_tx_blob_file(struct store_tx *tx, struct store_big *big, uint64_t *ret_blob, err *e);
/* Drops the blob's B row; its bytes become dead space of the volume (a big file is unlinked after the
 * commit). */
int store_tx_blob_drop(struct store_tx *tx, uint64_t blob, err *e);
/* Sessions that watch hear of it after the commit. */
void store_tx_note(struct store_tx *tx, uint32_t account, uint32_t mailbox, uint64_t modseq);
/* Ids from the store's counters, never reused (durable with the group). */
uint64_t store_tx_next_id(struct store_tx *tx);
/* 128-bit queue id: 48 bits ms, 16 bits epoch, 64 bits counter and random; monotonic. */
void store_tx_queue_id(struct store_tx *tx, uint8_t ret_id[16]);
int64_t store_tx_now_us(struct store_tx *tx); /* wall clock, one value an intent, never before the last one */
struct arena *store_tx_scratch(struct store_tx *tx); /* reset after each intent */

/* ---- sending intents ---- */

typedef int store_run(struct store_tx *tx, void *arg, err *e);

struct store_intent {
	store_run *run; /* what to do */
	void *arg;      /* its input and output; must stay in place until done */
	/*
	 * For askers in other roles that may ask again after our death: not all zero means that `answer` (at
	 * most 1 KiB) is kept under this id for the last 65,536 of them; a repeat gets it again and run is
	 * not called.
	 */
	uint8_t batch[16];
	struct buf *answer;
	int result;    /* 0 or -1, with error */
	bool repeated; /* the answer came from an earlier run */
	err error;
	void (*done)(struct store_intent *); /* on the sender's loop, not on a fiber */
	void *waiter;                        /* for done's use */
	struct loop *loop;                   /* set by store_submit */
	struct loop_message message;
	struct store_intent *next;
};

/* Never parks. done is called exactly once, on this thread's loop. */
void store_submit(struct store *s, struct store_intent *i);
/* Parks until the group is durable. The fiber's cancel is held back until then: the result is always true. */
PARKS int store_commit(struct store *s, store_run *run, void *arg, err *e);
PARKS int store_commit_intent(
	struct store *s, struct store_intent *i); /* the same with batch id; result in i */

/* ---- blobs ---- */

struct store_blob { /* found in a snapshot, may be kept over parks; holds the file it lies in */
	struct store_file *file;
	uint64_t id, offset, length;
	uint32_t crc;
};
/* 1 found, 0 not there, -1. */
int store_blob_find(struct store_snap *snap, uint64_t id, struct store_blob *ret, err *e);
void store_blob_release(struct store_blob *b);
/*
 * Reads n bytes from `from` of the blob into p: from the page cache at once (preadv2 RWF_NOWAIT), else on the
 * worker pool. 0 or -1. Reading a whole blob in one call checks its CRC.
 */
PARKS int store_blob_read(struct store_blob *b, uint64_t from, void *p, size_t n, err *e);

/*
 * For blobs that are read whole, one after the other: what lies close behind the one before comes with the
 * bytes after it, so that many share one read. Zero-initialised; reset gives the memory back. As
 * store_blob_read otherwise.
 */
struct store_window {
	char *p;             /* bytes from..from+n of that volume */
	uint64_t from, next; /* next: where the last blob read ended */
	size_t n;
	uint32_t volume;
};
PARKS int store_window_read(struct store_window *w, struct store_blob *b, void *p, err *e);
void store_window_reset(struct store_window *w);

/* The descriptor of a blob that is alone in its file (a big one), for reading, valid while the blob is held;
 * -1. */
int store_blob_fd(const struct store_blob *b);

/*
 * Big blobs: a file of their own, synced (and its folder) before the intent joins a group. begin gives a
 * descriptor of an unnamed spool file that may be lent to a less trusted role for writing; finish copies it
 * to its place, because the borrower may still hold it, computes the CRC and syncs, all on the worker pool.
 */
MUST_USE int store_spool_new(struct store *s, err *e); /* a descriptor or -1 */
PARKS int store_big_finish(struct store *s, int spool_fd, uint64_t length, struct store_big **ret, err *e);
void store_big_drop(struct store_big *b); /* unlinks it when no intent took it; frees */

/* Microseconds that the longest group took, from its first intent to its answers, since the last call. */
uint64_t store_longest_group_us(struct store *s);
struct store_stats {
	uint64_t groups, intents, bytes, volume, volume_used, engine_bytes;
	bool suspect;
	uint16_t epoch;
};
void store_stats(struct store *s, struct store_stats *ret);
/* Lets go of what of the engine's file is mapped: it counts as ours as long as it is. Now and then; what is
 * needed again comes back from the page cache. */
void store_rest(struct store *s);
unsigned store_format(void); /* the format this program writes */

/*
 * What the files of this room share. Not for other rooms.
 *
 * Who may touch what: `state`, `tx` and `group` belong to the commit thread (before store_start to the
 * opener); the table of volume files and the filler have a mutex each; next_id, suspect and the statistics
 * are atomic.
 */
#pragma once
#include "base/omap.h"
#include "store/store.h"
#include "store/volume.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* ---- rows of this room ---- */

#define STORE_FORMAT      4
#define FORMAT_CHECKPOINT 2 /* from here on the engine's file is worth nothing without its checkpoint */
#define FORMAT_KEY        S("F\0") /* u16 format, u64 store id */
#define FORMAT_VALUE      10
#define STATE_KEY         S("F\001") /* struct store_state; in every record and every engine commit */

#define BATCH_SLOTS 65536u

/* What must be known to go on after the last record. */
struct store_state {
	uint64_t sequence; /* of the last record that the engine has */
	uint64_t next_id;
	uint64_t batches; /* batch ids stored so far; the slot of the next one is this modulo BATCH_SLOTS */
	uint32_t volume;  /* the active one */
	uint64_t end;     /* where its next record begins */
	uint64_t live;    /* bytes of blobs in it that have a B row */
	int64_t last_us;
	uint16_t epoch;
};
#define STATE_BYTES (1 + 6 * 8 + 4 + 2 + 4)                                /* version, fields, seal */
void state_encode(const struct store_state *st, uint8_t ret[STATE_BYTES]); /* sealed */
bool state_decode(slice sealed, struct store_state *ret);

/* A B row: where a blob lies. volume 0: a big file, named after the blob. */
struct blob_row {
	uint32_t volume, crc;
	uint64_t offset, length;
};
#define BLOB_KEY   9
#define BLOB_VALUE 25
void blob_key(uint64_t id, uint8_t ret[BLOB_KEY]);
void blob_row_encode(const struct blob_row *b, uint8_t ret[BLOB_VALUE]);
bool blob_row_decode(slice value, struct blob_row *ret);

/* A V row, of every volume but the active one. */
struct volume_row {
	uint64_t used, live;
};
#define VOLUME_KEY   5
#define VOLUME_VALUE 17
void volume_key(uint32_t volume, uint8_t ret[VOLUME_KEY]);
void volume_row_encode(const struct volume_row *v, uint8_t ret[VOLUME_VALUE]);
bool volume_row_decode(slice value, struct volume_row *ret);

/* Values in the engine end with a CRC32C over key and value, so that one that strayed to another key is
 * found, too. */
uint32_t seal_of(slice key, slice value);
int unseal(slice key, slice *value, err *e);

/* ---- volume files ---- */

struct store_file {
	struct store *store;
	int fd;
	uint32_t volume; /* 0: a big file, not in the table */
	uint32_t refs;
	struct store_file *next;
};

#define FILE_BUCKETS 64
struct file_table {
	pthread_mutex_t lock;
	struct store_file *bucket[FILE_BUCKETS];
	unsigned open;
};

void volume_name(uint32_t volume, char ret[16]);
/* A held file for reading. ERR_CORRUPT: not there. Thread-safe. */
struct store_file *file_get(struct store *s, uint32_t volume, err *e);
struct store_file *file_get_big(struct store *s, uint64_t blob, err *e);
void file_unref(struct store_file *f);
void files_close(struct store *s);
/*
 * Makes a volume: head, zeroes up to `bytes`, file and folder synced. Returns its descriptor. A file of that
 * number is replaced: the caller knows that it holds nothing. On failure nothing stays. ERR_TEMP with ENOSPC:
 * the disk is full.
 */
int volume_create(struct store *s, uint32_t volume, uint64_t bytes, err *e);
/* Writes zeroes into from..to, allocated first, and has them on the way to disk when it returns. */
int file_zero(int fd, uint64_t from, uint64_t to, err *e);
int sync_folder(int fd, const char *name, err *e);
int read_exact(int fd, uint64_t offset, void *p, size_t n, err *e); /* ERR_CORRUPT: the file ends before */

/* ---- the filler: a thread that keeps zeroes ahead of the commit thread ---- */

struct fill_file {
	int fd; /* its own descriptor: a sync error seen here must not be missed by the commit thread's */
	uint64_t filled; /* zeroes, or data, up to here */
	uint64_t used;   /* data up to here, as the commit thread last said */
	uint64_t need;   /* somebody waits for this much */
	int error;       /* errno of the last try, 0: it went well */
	bool topping;    /* from when half of what should be ahead is used up until all is there again */
	bool paused;     /* after an error, until somebody needs it or a second has passed */
};

struct fill {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, progress;
	bool running, stop;
	struct fill_file volume, engine,
		next; /* next: the next volume, made ahead; fd -1: none. engine.fd -1: none */
	uint32_t volume_number;
	bool engine_busy;    /* the commit thread may write behind engine.filled: hands off */
	bool engine_filling; /* the filler does */
	int sealed_fd;       /* the last sealed volume: its unused zeroes are given back; -1: none */
	uint64_t sealed_size;
};

/* Opens the descriptors of the active volume (filled up to `filled`) and the engine's file. */
int fill_open(struct store *s, uint64_t filled, err *e);
int fill_start(struct store *s, err *e);
void fill_close(struct store *s);
/*
 * Before a group writes: makes sure that the volume (or the next one) is filled up to `volume_end` and that
 * the engine's file has `engine_bytes` behind what it uses. ERR_TEMP: the disk is full, and nothing was
 * harmed.
 */
int fill_before(struct store *s, bool next, uint64_t volume_end, uint64_t engine_bytes, err *e);
/* Around the engine's write transaction. */
void fill_engine_enter(struct store *s, uint64_t engine_bytes);
void fill_engine_leave(struct store *s);
void fill_volume_used(struct store *s, uint64_t used);
/* Waits until the next volume is made. ERR_TEMP: the disk is full. */
int fill_next_volume(struct store *s, err *e);
/* A group went into the next volume: it is the active one now; the filler gives back what the old one did not
 * use. */
void fill_took_next(struct store *s, uint64_t old_used);
/* True when the disk is so full that only intents without blobs are taken. */
bool fill_low(struct store *s);

/* ---- checkpoints of the engine's file: see checkpoint.c ---- */

struct checkpoint_data {
	struct kv_mark mark;
	uint64_t sequence, end; /* the last record in that state, and where the next one begins */
	uint32_t volume;
};

/* The commit thread's (the opener's before it runs), but for what is marked. */
struct checkpoint {
	pthread_t thread;
	pthread_cond_t work; /* with store->lock */
	bool running, restored;
	bool stop, asked, done, failed; /* under store->lock */
	int fd;                         /* the engine's file: a sync error seen elsewhere is seen here, too */
	struct kv_txn *pin;             /* the state that the file names: none of its pages is used again */
	struct kv_txn *next_pin;        /* that of the one under way; NULL: none is */
	struct checkpoint_data data, next; /* next: the checkpoint thread's from asked to done */
	uint64_t log_bytes, next_bytes;    /* of records since the last one was taken; in the one under way */
	uint64_t used;                     /* of the engine's file, when it was taken */
	uint64_t due_ms, every_ms, every_bytes;
};

/* Before the engine is opened. ERR_CORRUPT: its file is of no use. */
int checkpoint_restore(struct store *s, err *e);
/* After it was opened: is it what the checkpoint says? ERR_CORRUPT: no. */
int checkpoint_check(struct store *s, err *e);
/* Removes the checkpoint of an engine's file that is gone. */
int checkpoint_forget(struct store *s, err *e);
/* Pins the state of the checkpoint, or makes the first one; nothing may be committed before. */
int checkpoint_open(struct store *s, err *e);
int checkpoint_start(struct store *s, err *e);
/* A checkpoint on the caller's thread, while no other runs. */
int checkpoint_now(struct store *s, err *e);
/* While a log is replayed: so many bytes of it were committed. */
int checkpoint_replayed(struct store *s, uint64_t bytes, err *e);
void checkpoint_note(struct store *s, uint64_t bytes); /* a group of so many bytes is in the engine */
/* Between two groups: ends a checkpoint that is done, begins one that is due. */
void checkpoint_poll(struct store *s);
/* True: the commit thread must come round by then (CLOCK_MONOTONIC). */
bool checkpoint_wait(const struct store *s, struct timespec *ret_until);
void checkpoint_stop(struct store *s);
void checkpoint_close(struct store *s); /* the last one, if anything has changed */

/* ---- the write transaction of a group ---- */

#define OVERLAY_DEL 1u /* flag of an overlay node: the key is deleted */

struct tx_undo {
	slice key, value; /* in the undo arena */
	bool had;
	uint32_t flags;
	struct tx_undo *next;
};

struct tx_batch {                /* a batch id that this group stores */
	uint8_t id[16], old[16]; /* old: the one that had the slot before */
	uint32_t slot;
	bool had_old;
};

/* Where an intent began, to go back to. */
struct tx_mark {
	struct store_state state;
	uint32_t items;
	uint64_t blob_bytes, row_bytes;
	size_t notes, bigs, drops, batches;
};

struct store_tx {
	struct store *store;
	struct kv_txn *snap; /* the engine as of the last group */
	struct omap *overlay;
	struct arena *undo_mem, *scratch;
	struct tx_undo *undo;
	struct record_out out;
	struct store_state state; /* becomes store->state when the group is durable */
	uint64_t start;           /* of the record, in its volume */
	uint64_t row_bytes;       /* keys and values put, for the group's size */
	int64_t now_us;
	uint64_t queue_counter;
	uint64_t queue_ms;
	struct store_note *notes;
	size_t notes_n, notes_cap;
	struct store_big **bigs; /* taken by this group */
	size_t bigs_n, bigs_cap;
	uint64_t *drops; /* big blobs to unlink */
	size_t drops_n, drops_cap;
	struct tx_batch *batches;
	size_t batches_n, batches_cap;
	struct buf value; /* a sealed value under construction */
	bool oom;         /* a call that cannot fail ran out of memory: the intent fails */
};

int tx_open(struct store *s, err *e);
void tx_close(struct store_tx *tx);
/* Begins a group: takes the snapshot. volume and start: where its record will stand. */
int tx_begin(struct store_tx *tx, uint32_t volume, uint64_t start, err *e);
void tx_end(struct store_tx *tx); /* lets the snapshot go and forgets everything */
void tx_mark(struct store_tx *tx, struct tx_mark *ret);
void tx_forget_undo(struct store_tx *tx); /* an intent went well */
void tx_rollback(struct store_tx *tx, const struct tx_mark *m);
uint64_t tx_size(const struct store_tx *tx);
void tx_set_time(struct store_tx *tx); /* a new intent begins */
/* Adds the state row, turns the overlay into the record's ops and makes out.iov; *ret: the record's length.
 */
int tx_make_record(struct store_tx *tx, uint32_t intents, uint64_t *ret, err *e);
/* Writes the overlay into the engine, in ascending order. */
int tx_apply(const struct store_tx *tx, struct kv_txn *to, err *e);

/* ---- batch ids: an index in memory from id to slot; the rows are the ring ---- */

struct batch_index {
	uint64_t *cell; /* 48 bits of the id's hash (never all zero), 16 bits slot; 0: empty */
	uint32_t cells, n;
};
int batch_load(struct store *s, err *e);
void batch_free(struct batch_index *x);
/* 1: known, its answer goes to `answer` (may be NULL); 0: new; -1. */
int batch_find(struct store_tx *tx, const uint8_t id[16], struct buf *answer, err *e);
int batch_store(struct store_tx *tx, const uint8_t id[16], slice answer, err *e);
void batch_commit(struct store_tx *tx); /* the group is durable: the index follows */

/* ---- the store ---- */

struct store {
	struct store_config config;
	const struct kv_engine *engine;
	struct kv *kv;
	int lock_fd, dir_fd, volumes_fd, big_fd, spool_fd, keys_fd;
	uint64_t id;
	uint16_t epoch;
	bool new_format; /* the format row is still to be written */
	struct store_state state;
	_Atomic uint64_t next_id;
	struct store_file *active;
	struct file_table files;
	struct fill fill;
	struct checkpoint checkpoint;
	struct store_tx tx;
	struct batch_index batches;

	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* of the sleeps only */
	pthread_cond_t wake;
	_Atomic bool stop, suspect;
	_Atomic(struct store_intent *) submitted; /* a stack, newest first */
	struct store_intent *first, *last;        /* taken off it, oldest first */
	char why[200];                            /* of suspect; written before it is set */

	_Atomic uint64_t groups, intents, bytes, longest_us;
	struct store_open_report report;
};

/* No further intent is taken. The first reason stays. Thread-safe. */
void store_set_suspect(struct store *s, const err *why);

struct store_big {
	struct store *store;
	uint64_t id, length;
	uint32_t crc;
	bool taken; /* an intent's record was (perhaps) written: the file stays */
};
void big_name(uint64_t id, char ret[20]);
void big_unlink(struct store *s, uint64_t id);

/* ---- commit.c, recover.c ---- */

/* One group with the intents of a list (may be empty: only the state is written). On the caller's thread. */
int group_write_state(struct store *s, err *e);
int commit_start(struct store *s, err *e);
void commit_stop(struct store *s);
/* Brings the engine to the log's end; finds id, state and active volume; *ret_filled: how far that is all
 * zero. */
int store_recover(struct store *s, uint64_t *ret_filled, err *e);
/* The highest number in volumes/, 0: none. */
int highest_volume(struct store *s, uint32_t *ret, err *e);
/* Removes big-blob files without a row and spool files. */
int recover_leftovers(struct store *s, err *e);
#define REPORT(s, ...) snprintf((s)->report.text, sizeof(s)->report.text, __VA_ARGS__)

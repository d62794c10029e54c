/*
 * The format of volumes: files of an append-only log that also holds the blobs. Everything here is pure:
 * parsers over bytes already read, writers into memory. All numbers big-endian.
 *
 * A volume is a head of one sector, then records, then zeroes: it is filled ahead of use. A record begins at
 * a sector (512 bytes), so that writing one never touches a sector with bytes of an acknowledged one: a torn
 * write cannot reach back. It holds a group's blobs, then its resolved puts and deletes:
 *
 *   head   u32 magic, u32 volume, u64 store id, u64 sequence, u64 length (padding not counted), u32 blobs,
 * u32 ops, u32 intents, i64 time (us), u32 CRC32C of the body, 4 bytes zero, u32 CRC32C of the head so far
 *   blob   u64 id, u64 length, u32 CRC32C, 4 bytes zero, the bytes, zeroes up to a multiple of 8 (in the
 * record) op     u8 kind, u16 key length, u32 value length, key, value (sealed, as it stands in the engine)
 *
 * The store id is random and in no message: bytes of a mail that look like a record are not taken for one.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include <sys/uio.h>

#define VOLUME_FORMAT 1
#define VOLUME_SECTOR 512u
#define VOLUME_HEAD   512u
#define RECORD_HEAD   64u
#define RECORD_BLOB   24u /* in front of each blob's bytes */
#define RECORD_OP     7u  /* in front of each op's key */

struct volume_head {
	uint16_t format;
	uint64_t store;
	uint32_t volume;
	int64_t made_us;
};
void volume_head_write(const struct volume_head *h, uint8_t ret[VOLUME_HEAD]);
/* ERR_CORRUPT: not a head, or damaged. ERR_DENIED: made by a newer program. */
int volume_head_read(slice in, struct volume_head *ret, err *e);

struct record_head {
	uint32_t volume;
	uint64_t store, sequence, length;
	uint32_t blobs, ops, intents;
	int64_t time_us;
	uint32_t body_crc;
};
/* 1: a sound head; 0: all zero, the end of the log; -1: neither (or fewer than RECORD_HEAD bytes). */
int record_head_read(slice in, struct record_head *ret);

/* Space a record takes: its length up to the next sector. */
static inline uint64_t record_space(uint64_t length)
{
	return (length + VOLUME_SECTOR - 1) & ~(uint64_t)(VOLUME_SECTOR - 1);
}

struct record { /* a reader; slices point into the bytes it was given */
	struct record_head head;
	slice all, rest;
	uint32_t blobs_left, ops_left;
};
/* Checks head, length, CRC32C and that all parts fit; `in` begins at the record, may go on behind it.
 * ERR_CORRUPT. */
int record_open(slice in, struct record *ret, err *e);

struct record_blob {
	uint64_t id, offset; /* of its bytes, from the record's start */
	slice bytes;
	uint32_t crc;
};
enum record_op_kind { RECORD_PUT = 1, RECORD_DEL = 2 };
struct record_op {
	enum record_op_kind kind;
	slice key, value;
};
/* Blobs first, then ops; record_op_next skips blobs not yet read. False: no more. */
bool record_blob_next(struct record *r, struct record_blob *ret);
bool record_op_next(struct record *r, struct record_op *ret);

/* ---- writing one ---- */

struct record_item { /* a blob; its bytes are borrowed until the record is written */
	slice bytes;
	uint8_t front[RECORD_BLOB];
};
struct record_out {
	struct record_item *items;
	uint32_t items_n, items_cap, ops;
	uint64_t blob_bytes; /* of the blob part, fronts and padding counted */
	struct buf ops_buf;
	uint8_t head[RECORD_HEAD];
	struct iovec *iov;
	uint32_t iov_n, iov_cap;
};
#define RECORD_OPS_MAX ((size_t)1 << 30)
void record_out_free(struct record_out *o);
void record_out_reset(struct record_out *o);
/* Offset of the blob's bytes from the record's start in *ret. crc: of the bytes. ERR_TEMP: out of memory. */
int record_out_blob(struct record_out *o, uint64_t id, slice bytes, uint32_t crc, uint64_t *ret, err *e);
/* Back to n blobs with blob_bytes as it was then: undo of a failed intent. */
void record_out_undo(struct record_out *o, uint32_t items_n, uint64_t blob_bytes);
void record_out_op(struct record_out *o, enum record_op_kind kind, slice key, slice value);
/* Length of the record as it stands, if `more` bytes of ops are still to come. */
uint64_t record_out_length(const struct record_out *o, uint64_t more);
/*
 * Fills length, counts and CRC of h from what was added, and makes iov: the whole record with its padding up
 * to the sector. ERR_TEMP: out of memory (also one that an earlier record_out_op met).
 */
int record_out_finish(struct record_out *o, struct record_head *h, err *e);

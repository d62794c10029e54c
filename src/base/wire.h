/*
 * Binary records: big-endian numbers and length-prefixed bytes. The writer appends to a buf (look at
 * buf.failed once), the reader is a cursor with a sticky error: after the first bad field every read gives 0
 * or empty; check `bad` once.
 */
#pragma once
#include "base/buf.h"

void wire_put_u8(struct buf *b, uint8_t v);
void wire_put_u16(struct buf *b, uint16_t v);
void wire_put_u32(struct buf *b, uint32_t v);
void wire_put_u64(struct buf *b, uint64_t v);
void wire_put_var(struct buf *b, uint64_t v); /* LEB128, 1 to 10 bytes */
void wire_put_bytes(struct buf *b, slice s);  /* var length, then the bytes */
void wire_put_raw(struct buf *b, slice s);    /* no length */
void wire_seal(struct buf *b, size_t from);   /* appends CRC32C (u32) of bytes from..n */

struct rd {
	const uint8_t *p;
	size_t n;
	bool bad;
};

static inline struct rd rd_of(slice s)
{
	return (struct rd){(const uint8_t *)s.p, s.n, false};
}

uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
uint64_t rd_var(struct rd *r);
slice rd_bytes(struct rd *r, size_t max); /* longer than max: bad */
slice rd_raw(struct rd *r, size_t n);
/* True when all was read and nothing was bad. */
static inline bool rd_done(const struct rd *r)
{
	return !r->bad && r->n == 0;
}
/* Checks the CRC32C that wire_seal appended and takes it off *s. False: the bytes are damaged. */
bool wire_unseal(slice *s);

/* Fixed-place helpers for keys. */
static inline void be32_put(void *p, uint32_t v)
{
	uint8_t *b = p;
	b[0] = (uint8_t)(v >> 24), b[1] = (uint8_t)(v >> 16), b[2] = (uint8_t)(v >> 8), b[3] = (uint8_t)v;
}
static inline void be64_put(void *p, uint64_t v)
{
	be32_put(p, (uint32_t)(v >> 32));
	be32_put((uint8_t *)p + 4, (uint32_t)v);
}
static inline uint32_t be32_get(const void *p)
{
	const uint8_t *b = p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}
static inline uint64_t be64_get(const void *p)
{
	return (uint64_t)be32_get(p) << 32 | be32_get((const uint8_t *)p + 4);
}

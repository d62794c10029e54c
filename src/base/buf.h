/*
 * A buffer owns its bytes and knows its maximum from birth. Growing past it, or out of memory, sets `failed`
 * and adds nothing: add many things, look at `failed` once. A zeroed struct with max set is a valid empty
 * buffer.
 */
#pragma once
#include "base/slice.h"

struct buf {
	char *p;
	size_t n, cap, max;
	bool failed;
};

#define BUF_INIT(limit) ((struct buf){.max = (limit)})

void buf_free(struct buf *b);  /* frees the bytes; the buffer is empty and usable again */
void buf_reset(struct buf *b); /* empties it, keeps the memory */
void buf_add(struct buf *b, slice s);
void buf_add_c(struct buf *b, char c);
void buf_addz(struct buf *b, const char *z);
void buf_add_u64(struct buf *b, uint64_t v); /* decimal */
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *b, size_t n); /* takes n bytes off the head */
void buf_truncate(struct buf *b, size_t n);
/* Room for n more bytes at the end, NULL when that fails; buf_grow then says how many were used. */
char *buf_room(struct buf *b, size_t n);
void buf_grow(struct buf *b, size_t n);

static inline slice buf_slice(const struct buf *b)
{
	return (slice){b->p, b->n};
}

/*
 * Things of one kind found by a 64-bit key: an array that does not move while its capacity stays, with a hash
 * table over it that strangers cannot aim at. Things are named by their index, 1 and up. All memory is asked
 * for at the start and touched only when used. Pure.
 */
#pragma once
#include "base/cleanup.h"
#include "base/slice.h"

struct pool_head { /* the first member of every thing */
	uint64_t key;
	uint32_t next; /* in its chain, or among the free ones */
	bool live;
};

struct pool {
	char *things;
	uint32_t *chains;
	size_t size;
	uint32_t cap, used, touched, free, mask;
	uint64_t seed[2];
};

MUST_USE bool pool_start(struct pool *p, size_t size, uint32_t cap); /* false: out of memory */
/* More room; what was there keeps its index. False: out of memory, and nothing changed. */
MUST_USE bool pool_grow(struct pool *p, uint32_t cap);
void pool_end(struct pool *p);

/* The first with this key behind `after` (0: from the start); 0: none. */
uint32_t pool_find(const struct pool *p, uint64_t key, uint32_t after);
uint32_t pool_add(struct pool *p, uint64_t key); /* zeroed but for its head; 0: full */
void pool_remove(struct pool *p, uint32_t i);
uint32_t pool_next(const struct pool *p, uint32_t i); /* all of them, from 0 on, in no order; 0: the end */

static inline void *pool_at(const struct pool *p, uint32_t i)
{
	return p->things + (size_t)i * p->size;
}

/*
 * Putting many messages in order: items with a byte string each, compared by bytes, equal ones by number. A
 * merge sort, so the worst case is no worse; long ones yield. Memory is bounded by LIMIT_IMAP_ORDER.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

struct order_item {
	uint64_t head; /* the key's next eight bytes, big-endian; compared first */
	uint32_t tail; /* where the key stands in the keys; ORDER_WHOLE: it has no more than eight bytes */
	uint32_t number;
};
#define ORDER_WHOLE UINT32_MAX

struct order { /* a zeroed one is empty */
	struct order_item *items;
	uint32_t n, cap;
	char *keys; /* of each: u16 length, bytes */
	size_t keys_n, keys_cap;
	size_t common; /* leading bytes that all keys share */
	bool any_whole;
};

/* The key: at most 65,535 bytes. -1: ERR_LIMIT, ERR_TEMP. */
int order_add(struct order *o, slice key, uint32_t number, err *e);
/* -1: ERR_TEMP, ERR_CANCELED. After it nothing may be added. */
PARKS int order_sort(struct order *o, err *e);
void order_free(struct order *o);

/* Items that have heads and numbers only; tmp has room for n. -1: the fiber is told to end. */
PARKS int order_sort_heads(struct order_item *items, struct order_item *tmp, uint32_t n);

/* A signed number as a head. */
static inline uint64_t order_head(int64_t v)
{
	return (uint64_t)v ^ UINT64_C(1) << 63;
}

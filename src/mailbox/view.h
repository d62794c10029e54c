/* One way to read for both sides: a snapshot (sessions) or the transaction of an intent (the commit thread).
 */
#pragma once
#include "mailbox/keys.h"
#include "store/store.h"

struct view {
	struct store_snap *snap; /* one of the two is set */
	struct store_tx *tx;
};

static inline struct view view_snap(struct store_snap *snap)
{
	return (struct view){snap, NULL};
}

static inline struct view view_tx(struct store_tx *tx)
{
	return (struct view){NULL, tx};
}

/* 1, 0, -1. In a transaction the value is valid until the next put or del. */
static inline int view_get(struct view v, slice key, slice *ret, err *e)
{
	return v.tx ? store_tx_get(v.tx, key, ret, e) : store_snap_get(v.snap, key, ret, e);
}

static inline int view_scan(struct view v, slice prefix, struct store_scan *ret, err *e)
{
	return v.tx ? store_tx_scan(v.tx, prefix, ret, e) : store_scan_open(v.snap, prefix, ret, e);
}

/* The first key that starts with prefix, copied. 1, 0 there is none, -1. */
int view_first(struct view v, slice prefix, struct key_name *ret, err *e);

/*
 * An ordered map from byte strings to byte strings, in memcmp order: a memory engine, or what a write
 * transaction lays over the store. It owns copies of all it holds. No lock: one thread at a time.
 *
 * A node stays where it is until its key is deleted or the map cleared, so a pointer to it is a cursor that
 * survives other puts and deletes. Its value moves when it is put again.
 */
#pragma once
#include "base/slice.h"

struct omap;

struct omap_node {
	slice key, value;
	uint32_t flags; /* the caller's: a tombstone, say */
};

struct omap *omap_new(void); /* NULL: out of memory */
void omap_free(struct omap *m);
void omap_clear(struct omap *m); /* costs little however many keys there are; keeps 1 MiB for the next */

/* False, and nothing changed, when out of memory. The slices may point into the map. */
bool omap_put(struct omap *m, slice key, slice value); /* flags 0 */
bool omap_put_flag(struct omap *m, slice key, slice value, uint32_t flags);
bool omap_del(struct omap *m, slice key); /* false when it was not there */

/* All of these give NULL when there is no such node. */
const struct omap_node *omap_get(const struct omap *m, slice key);
const struct omap_node *omap_first(const struct omap *m);
const struct omap_node *omap_last(const struct omap *m);
const struct omap_node *omap_ge(const struct omap *m, slice key);     /* the first >= key */
const struct omap_node *omap_before(const struct omap *m, slice key); /* the last < key */
const struct omap_node *omap_next(const struct omap_node *at);
const struct omap_node *omap_prev(const struct omap_node *at);

size_t omap_count(const struct omap *m);
size_t omap_bytes(const struct omap *m); /* memory taken since the last clear, in blocks */

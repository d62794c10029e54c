/* Snapshots, and walks over a prefix: over a snapshot alone, or over a snapshot with a group's overlay on
 * top. */
#include "store/store_int.h"

int store_snap_begin(struct store *s, struct store_snap *ret, err *e)
{
	struct kv_txn *txn;

	if (s->engine->begin(s->kv, false, &txn, e) < 0)
		return -1;
	*ret = (struct store_snap){s, txn};
	if (loop_self())
		fiber_forbid_park();
	return 0;
}

void store_snap_end(struct store_snap *snap)
{
	if (!snap->txn)
		return;
	snap->store->engine->abort(snap->txn);
	*snap = (struct store_snap){0};
	if (loop_self())
		fiber_allow_park();
}

int store_snap_get(struct store_snap *snap, slice key, slice *ret_value, err *e)
{
	slice v;
	int rc = snap->store->engine->get(snap->txn, key, &v, e);

	if (rc != 1)
		return rc;
	if (unseal(key, &v, e) < 0)
		return -1;
	*ret_value = v;
	return 1;
}

static int scan_open(struct store *s, struct kv_txn *txn, slice prefix, struct store_scan *ret, err *e)
{
	struct kv_cursor *c;

	if (prefix.n > KV_KEY_MAX)
		return err_set(e, ERR_LIMIT, "a key has at most %d bytes", KV_KEY_MAX);
	if (s->engine->cursor_open(txn, &c, e) < 0)
		return -1;
	ret->cursor = c;
	ret->engine = s->engine;
	ret->tx = NULL;
	ret->prefix = prefix;
	ret->base = -1;
	ret->last_n = 0;
	ret->started = false;
	ret->damaged = false;
	return 0;
}

int store_scan_open(struct store_snap *snap, slice prefix, struct store_scan *ret, err *e)
{
	return scan_open(snap->store, snap->txn, prefix, ret, e);
}

int store_tx_scan(struct store_tx *tx, slice prefix, struct store_scan *ret, err *e)
{
	if (scan_open(tx->store, tx->snap, prefix, ret, e) < 0)
		return -1;
	ret->tx = tx;
	return 0;
}

void store_scan_close(struct store_scan *sc)
{
	if (sc->cursor)
		sc->engine->cursor_close(sc->cursor);
	sc->cursor = NULL;
}

/* base after a cursor's move: 1 on a key of the prefix, 0 off its end. */
static int base_moved(struct store_scan *sc, int rc)
{
	sc->damaged = false;
	if (rc < 0)
		return -1;
	sc->base = rc == 1 && slice_starts(sc->base_key, sc->prefix) ? 1 : 0;
	return 0;
}

static int base_seek(struct store_scan *sc, slice from, err *e)
{
	return base_moved(sc, sc->engine->seek(sc->cursor, from, &sc->base_key, &sc->base_value, e));
}

static int base_next(struct store_scan *sc, err *e)
{
	return base_moved(sc, sc->engine->next(sc->cursor, &sc->base_key, &sc->base_value, e));
}

static int show(struct store_scan *sc, slice key, slice value, slice *ret_key, slice *ret_value, err *e)
{
	sc->started = true;
	sc->damaged = false;
	if (sc->tx) { /* the place to go on from, should the overlay change meanwhile */
		sc->last_n = key.n;
		memcpy(sc->last_key, key.p, key.n);
	}
	if (unseal(key, &value, e) < 0) {
		sc->damaged = true;
		return -1;
	}
	*ret_key = key;
	*ret_value = value;
	return 1;
}

#define SHOWN 2 /* base: stands on a key that was shown already; moved on at the next call */

/* The smaller of where the engine's cursor and the overlay stand, deleted keys passed over. */
static int merge(struct store_scan *sc, const struct omap_node *n, slice *ret_key, slice *ret_value, err *e)
{
	for (;;) {
		if (n && !slice_starts(n->key, sc->prefix))
			n = NULL;
		if (!n && sc->base != 1)
			return 0;
		int order = !n ? 1 : sc->base != 1 ? -1 : slice_cmp(n->key, sc->base_key);
		if (order > 0) {
			sc->base = SHOWN;
			return show(sc, sc->base_key, sc->base_value, ret_key, ret_value, e);
		}
		if (order == 0 && base_next(sc, e) < 0)
			return -1;
		if (!(n->flags & OVERLAY_DEL))
			return show(sc, n->key, n->value, ret_key, ret_value, e);
		n = omap_next(n);
	}
}

int store_scan_seek(struct store_scan *sc, slice from, slice *ret_key, slice *ret_value, err *e)
{
	if (slice_cmp(from, sc->prefix) < 0)
		from = sc->prefix;
	if (base_seek(sc, from, e) < 0)
		return -1;
	return merge(sc, sc->tx ? omap_ge(sc->tx->overlay, from) : NULL, ret_key, ret_value, e);
}

int store_scan_next(struct store_scan *sc, slice *ret_key, slice *ret_value, err *e)
{
	slice last = slice_make(sc->last_key, sc->last_n);
	const struct omap_node *n = NULL;

	if (!sc->started)
		return store_scan_seek(sc, sc->prefix, ret_key, ret_value, e);
	if (sc->tx) {
		n = omap_ge(sc->tx->overlay, last);
		if (n && slice_eq(n->key, last))
			n = omap_next(n);
	}
	if (sc->base == -1) { /* only after a look at the last key in a transaction */
		if (base_seek(sc, last, e) < 0)
			return -1;
		if (sc->base == 1 && slice_eq(sc->base_key, last))
			sc->base = SHOWN;
	}
	if (sc->base == SHOWN && base_next(sc, e) < 0)
		return -1;
	return merge(sc, n, ret_key, ret_value, e);
}

/* The first key behind all that start with prefix, or of 0xff bytes when there is none. */
static slice behind(slice prefix, uint8_t space[KV_KEY_MAX])
{
	size_t n = prefix.n;

	if (n > 0)
		memcpy(space, prefix.p, n);
	while (n > 0 && space[n - 1] == 0xff)
		n--;
	if (n > 0) {
		space[n - 1]++;
		return slice_make(space, n);
	}
	memset(space, 0xff, KV_KEY_MAX);
	return slice_make(space, KV_KEY_MAX);
}

int store_scan_last(struct store_scan *sc, slice *ret_key, slice *ret_value, err *e)
{
	uint8_t space[KV_KEY_MAX];
	slice end = behind(sc->prefix, space);
	const struct omap_node *n = sc->tx ? omap_before(sc->tx->overlay, end) : NULL;

	if (base_moved(sc, sc->engine->seek_before(sc->cursor, end, &sc->base_key, &sc->base_value, e)) < 0)
		return -1;
	for (;;) {
		if (n && !slice_starts(n->key, sc->prefix))
			n = NULL;
		if (!n && sc->base != 1)
			return 0;
		int order = !n ? 1 : sc->base != 1 ? -1 : slice_cmp(sc->base_key, n->key);
		if (order > 0) { /* next must look for a greater one again, in both */
			sc->base = sc->tx ? -1 : SHOWN;
			return show(sc, sc->base_key, sc->base_value, ret_key, ret_value, e);
		}
		if (!(n->flags & OVERLAY_DEL)) {
			sc->base = -1;
			return show(sc, n->key, n->value, ret_key, ret_value, e);
		}
		if (order == 0 &&
			base_moved(sc, sc->engine->prev(sc->cursor, &sc->base_key, &sc->base_value, e)) < 0)
			return -1;
		n = omap_prev(n);
	}
}

/*
 * The memory engine. Each key has a chain of versions, newest first, marked with the number of the
 * transaction that wrote them; a snapshot sees the newest one that is not newer than itself. One mutex for
 * all: it is for tests. Nothing stays after close: what the store's log holds is replayed at the next open.
 */
#include "base/omap.h"
#include "store/kv.h"
#include <pthread.h>
#include <stdlib.h>

struct version {
	struct version *older;
	uint64_t txn;
	bool deleted;
	size_t n;
	char bytes[];
};

struct kv_txn {
	struct kv *kv;
	uint64_t at; /* sees versions up to this one */
	bool write;
	struct kv_txn *next, *prev; /* open snapshots */
};

struct kv {
	pthread_mutex_t lock;
	struct omap *map;   /* key -> struct version * */
	struct omap *dirty; /* keys with versions that may be droppable later */
	uint64_t committed;
	struct kv_txn *snapshots;
};

struct kv_cursor {
	struct kv_txn *txn;
	size_t n;
	char key[KV_KEY_MAX];
};

static struct version *newest(const struct omap_node *n)
{
	struct version *v = NULL;

	if (n)
		memcpy(&v, n->value.p, sizeof v);
	return v;
}

static bool set_newest(struct kv *k, slice key, struct version *v)
{
	return omap_put(k->map, key, slice_make(&v, sizeof v));
}

static const struct version *visible(const struct kv_txn *t, const struct omap_node *n)
{
	const struct version *v = newest(n);

	while (v && v->txn > t->at)
		v = v->older;
	return v && !v->deleted ? v : NULL;
}

static void free_chain(struct version *v)
{
	while (v) {
		struct version *older = v->older;

		free(v);
		v = older;
	}
}

static void kv_close(struct kv *k)
{
	if (!k)
		return;
	if (k->map)
		for (const struct omap_node *n = omap_first(k->map); n; n = omap_next(n))
			free_chain(newest(n));
	omap_free(k->map);
	omap_free(k->dirty);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

static int kv_open(const char *dir, uint64_t map_bytes, struct kv **ret, err *e)
{
	struct kv *k = calloc(1, sizeof *k);

	(void)dir;
	(void)map_bytes;
	if (!k)
		return err_set(e, ERR_TEMP, "out of memory");
	pthread_mutex_init(&k->lock, NULL);
	k->map = omap_new();
	k->dirty = omap_new();
	if (!k->map || !k->dirty) {
		kv_close(k);
		return err_set(e, ERR_TEMP, "out of memory");
	}
	*ret = k;
	return 0;
}

static int kv_begin(struct kv *k, bool write, struct kv_txn **ret, err *e)
{
	struct kv_txn *t = calloc(1, sizeof *t);

	if (!t)
		return err_set(e, ERR_TEMP, "out of memory");
	t->kv = k;
	t->write = write;
	pthread_mutex_lock(&k->lock);
	t->at = k->committed + (write ? 1 : 0);
	if (!write) {
		t->next = k->snapshots;
		if (t->next)
			t->next->prev = t;
		k->snapshots = t;
	}
	pthread_mutex_unlock(&k->lock);
	*ret = t;
	return 0;
}

static int kv_get(struct kv_txn *t, slice key, slice *ret_value, err *e)
{
	(void)e;
	pthread_mutex_lock(&t->kv->lock);
	const struct version *v = visible(t, omap_get(t->kv->map, key));
	pthread_mutex_unlock(&t->kv->lock);
	if (!v)
		return 0;
	*ret_value = slice_make(v->bytes, v->n);
	return 1;
}

static int change(struct kv_txn *t, slice key, slice value, bool deleted, err *e)
{
	struct kv *k = t->kv;

	if (key.n == 0 || key.n > KV_KEY_MAX)
		return err_set(
			e, ERR_LIMIT, "a key has %zu bytes, at most %d are possible", key.n, KV_KEY_MAX);
	struct version *v = malloc(sizeof *v + value.n);
	if (!v)
		return err_set(e, ERR_TEMP, "out of memory");
	*v = (struct version){.txn = t->at, .deleted = deleted, .n = value.n};
	if (value.n)
		memcpy(v->bytes, value.p, value.n);
	pthread_mutex_lock(&k->lock);
	struct version *old = newest(omap_get(k->map, key)), *same = NULL;
	v->older = old;
	if (old && old->txn == t->at) { /* a second write of this transaction */
		same = old;
		v->older = old->older;
	}
	bool ok = omap_put(k->dirty, key, (slice){0}) && set_newest(k, key, v);
	pthread_mutex_unlock(&k->lock);
	free(ok ? same : v);
	return ok ? 0 : err_set(e, ERR_TEMP, "out of memory");
}

static int kv_put(struct kv_txn *t, slice key, slice value, err *e)
{
	return change(t, key, value, false, e);
}

static int kv_del(struct kv_txn *t, slice key, err *e)
{
	return change(t, key, (slice){0}, true, e);
}

/* Drops versions of a key that no snapshot sees any more. True when none of them is left to drop. */
static bool prune(struct kv *k, slice key, uint64_t oldest)
{
	const struct omap_node *n = omap_get(k->map, key);
	struct version *first = newest(n), *v = first;

	while (v && v->txn > oldest)
		v = v->older;
	if (v) {
		free_chain(v->older);
		v->older = NULL;
	}
	if (v == first && (!v || v->deleted)) {
		free(v);
		omap_del(k->map, key);
	}
	return v == first;
}

static void prune_dirty(struct kv *k)
{
	uint64_t oldest = k->committed;

	for (const struct kv_txn *t = k->snapshots; t; t = t->next)
		if (t->at < oldest)
			oldest = t->at;
	for (const struct omap_node *n = omap_first(k->dirty), *next; n; n = next) {
		next = omap_next(n);
		if (prune(k, n->key, oldest))
			omap_del(k->dirty, n->key);
	}
}

static int kv_commit(struct kv_txn *t, err *e)
{
	struct kv *k = t->kv;

	(void)e;
	pthread_mutex_lock(&k->lock);
	k->committed = t->at;
	prune_dirty(k);
	pthread_mutex_unlock(&k->lock);
	free(t);
	return 0;
}

/* Takes this transaction's version off a key. The chain's next one, or nothing, is the newest again. */
static void undo(struct kv *k, slice key, uint64_t txn)
{
	const struct omap_node *n = omap_get(k->map, key);
	struct version *v = newest(n);

	if (!v || v->txn != txn)
		return;
	if (!v->older)
		omap_del(k->map, key);
	else
		memcpy((char *)(uintptr_t)n->value.p, &v->older, sizeof v->older);
	free(v);
}

static void kv_abort(struct kv_txn *t)
{
	struct kv *k = t->kv;

	pthread_mutex_lock(&k->lock);
	if (t->write) {
		for (const struct omap_node *n = omap_first(k->dirty); n; n = omap_next(n))
			undo(k, n->key, t->at);
	} else {
		if (t->next)
			t->next->prev = t->prev;
		if (t->prev)
			t->prev->next = t->next;
		else
			k->snapshots = t->next;
	}
	pthread_mutex_unlock(&k->lock);
	free(t);
}

static int kv_cursor_open(struct kv_txn *t, struct kv_cursor **ret, err *e)
{
	struct kv_cursor *c = calloc(1, sizeof *c);

	if (!c)
		return err_set(e, ERR_TEMP, "out of memory");
	c->txn = t;
	*ret = c;
	return 0;
}

static void kv_cursor_close(struct kv_cursor *c)
{
	free(c);
}

typedef const struct omap_node *walk(const struct omap_node *);

/* The first visible node from n on in one direction. The caller holds the lock. */
static int settle(struct kv_cursor *c, const struct omap_node *n, walk *on, slice *ret_key, slice *ret_value)
{
	const struct version *v = NULL;

	while (n && !(v = visible(c->txn, n)))
		n = on(n);
	if (!n)
		return 0;
	c->n = n->key.n;
	memcpy(c->key, n->key.p, c->n);
	*ret_key = slice_make(c->key, c->n);
	*ret_value = slice_make(v->bytes, v->n);
	return 1;
}

static int kv_seek(struct kv_cursor *c, slice key, slice *ret_key, slice *ret_value, err *e)
{
	struct kv *k = c->txn->kv;

	(void)e;
	pthread_mutex_lock(&k->lock);
	int rc = settle(c, omap_ge(k->map, key), omap_next, ret_key, ret_value);
	pthread_mutex_unlock(&k->lock);
	return rc;
}

static int kv_seek_before(struct kv_cursor *c, slice key, slice *ret_key, slice *ret_value, err *e)
{
	struct kv *k = c->txn->kv;

	(void)e;
	pthread_mutex_lock(&k->lock);
	int rc = settle(c, omap_before(k->map, key), omap_prev, ret_key, ret_value);
	pthread_mutex_unlock(&k->lock);
	return rc;
}

static int kv_next(struct kv_cursor *c, slice *ret_key, slice *ret_value, err *e)
{
	struct kv *k = c->txn->kv;
	slice at = slice_make(c->key, c->n);

	(void)e;
	pthread_mutex_lock(&k->lock);
	const struct omap_node *n = omap_ge(k->map, at);
	if (n && slice_eq(n->key, at))
		n = omap_next(n);
	int rc = settle(c, n, omap_next, ret_key, ret_value);
	pthread_mutex_unlock(&k->lock);
	return rc;
}

static int kv_prev(struct kv_cursor *c, slice *ret_key, slice *ret_value, err *e)
{
	return kv_seek_before(c, slice_make(c->key, c->n), ret_key, ret_value, e);
}

const struct kv_engine kv_memory = {
	.name = "memory",
	.open = kv_open,
	.close = kv_close,
	.begin = kv_begin,
	.get = kv_get,
	.put = kv_put,
	.del = kv_del,
	.commit = kv_commit,
	.abort = kv_abort,
	.cursor_open = kv_cursor_open,
	.cursor_close = kv_cursor_close,
	.seek = kv_seek,
	.seek_before = kv_seek_before,
	.next = kv_next,
	.prev = kv_prev,
};

/*
 * The write transaction of a group: an ordered overlay over a snapshot of the engine. Intents read through
 * it; nothing reaches the engine before the group's record is on disk.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/wire.h"
#include "limits.h"
#include "store/store_int.h"
#include <errno.h>
#include <stdlib.h>

#define SCRATCH_MAX ((size_t)256 << 20)

int tx_open(struct store *s, err *e)
{
	struct store_tx *tx = &s->tx;

	tx->store = s;
	tx->overlay = omap_new();
	tx->undo_mem = arena_new(SCRATCH_MAX);
	tx->scratch = arena_new(SCRATCH_MAX);
	tx->value = BUF_INIT(RECORD_OPS_MAX);
	return tx->overlay && tx->undo_mem && tx->scratch ? 0 : err_set(e, ERR_TEMP, "out of memory");
}

void tx_close(struct store_tx *tx)
{
	omap_free(tx->overlay);
	arena_free(tx->undo_mem);
	arena_free(tx->scratch);
	record_out_free(&tx->out);
	buf_free(&tx->value);
	free(tx->notes);
	free(tx->bigs);
	free(tx->drops);
	free(tx->batches);
}

int tx_begin(struct store_tx *tx, uint32_t volume, uint64_t start, err *e)
{
	struct store *s = tx->store;

	if (s->engine->begin(s->kv, false, &tx->snap, e) < 0)
		return -1;
	tx->state = s->state;
	tx->state.volume = volume;
	tx->start = start;
	record_out_reset(&tx->out);
	return 0;
}

void tx_end(struct store_tx *tx)
{
	if (tx->snap)
		tx->store->engine->abort(tx->snap);
	tx->snap = NULL;
	omap_clear(tx->overlay);
	arena_reset(tx->undo_mem);
	tx->undo = NULL;
	tx->row_bytes = 0;
	tx->notes_n = tx->bigs_n = tx->drops_n = tx->batches_n = 0;
	tx->oom = false;
}

void tx_set_time(struct store_tx *tx)
{
	int64_t now = clock_wall_us();

	if (now > tx->state.last_us)
		tx->state.last_us = now;
	tx->now_us = tx->state.last_us;
}

/* ---- undo ---- */

void tx_mark(struct store_tx *tx, struct tx_mark *ret)
{
	*ret = (struct tx_mark){
		.state = tx->state,
		.items = tx->out.items_n,
		.blob_bytes = tx->out.blob_bytes,
		.row_bytes = tx->row_bytes,
		.notes = tx->notes_n,
		.bigs = tx->bigs_n,
		.drops = tx->drops_n,
		.batches = tx->batches_n,
	};
}

void tx_forget_undo(struct store_tx *tx)
{
	tx->undo = NULL;
	arena_reset(tx->undo_mem);
	arena_reset(tx->scratch);
}

void tx_rollback(struct store_tx *tx, const struct tx_mark *m)
{
	for (const struct tx_undo *u = tx->undo; u; u = u->next)
		if (!u->had)
			omap_del(tx->overlay, u->key);
		else if (!omap_put_flag(tx->overlay, u->key, u->value, u->flags))
			abort(); /* half an intent would be written: better no backend than that */
	tx_forget_undo(tx);
	tx->state = m->state;
	tx->state.last_us = tx->now_us;
	tx->row_bytes = m->row_bytes;
	tx->notes_n = m->notes;
	tx->bigs_n = m->bigs;
	tx->drops_n = m->drops;
	tx->batches_n = m->batches;
	tx->oom = false;
	record_out_undo(&tx->out, m->items, m->blob_bytes);
}

static int note_undo(struct store_tx *tx, slice key, err *e)
{
	const struct omap_node *n = omap_get(tx->overlay, key);
	struct tx_undo *u = arena_new_1(tx->undo_mem, struct tx_undo);

	if (!u)
		return err_set(e, ERR_LIMIT, "a change of this size is not possible at once");
	u->key = arena_copy(tx->undo_mem, key);
	if (n) {
		u->had = true;
		u->flags = n->flags;
		u->value = arena_copy(tx->undo_mem, n->value);
	}
	if (!u->key.p || (n && !u->value.p))
		return err_set(e, ERR_LIMIT, "a change of this size is not possible at once");
	u->next = tx->undo;
	tx->undo = u;
	return 0;
}

static int change(struct store_tx *tx, slice key, slice sealed, uint32_t flags, err *e)
{
	if (key.n == 0 || key.n > KV_KEY_MAX)
		return err_set(
			e, ERR_LIMIT, "a key has %zu bytes, at most %d are possible", key.n, KV_KEY_MAX);
	if (note_undo(tx, key, e) < 0)
		return -1;
	if (!omap_put_flag(tx->overlay, key, sealed, flags))
		return err_set(e, ERR_TEMP, "out of memory");
	tx->row_bytes += key.n + sealed.n;
	return 0;
}

/* ---- reads and writes ---- */

int store_tx_get(struct store_tx *tx, slice key, slice *ret_value, err *e)
{
	const struct omap_node *n = omap_get(tx->overlay, key);
	slice v;

	if (n) {
		if (n->flags & OVERLAY_DEL)
			return 0;
		v = n->value;
	} else {
		int rc = tx->store->engine->get(tx->snap, key, &v, e);

		if (rc != 1)
			return rc;
	}
	if (unseal(key, &v, e) < 0)
		return -1;
	*ret_value = v;
	return 1;
}

int store_tx_put(struct store_tx *tx, slice key, slice value, err *e)
{
	uint8_t seal[4];

	be32_put(seal, seal_of(key, value));
	buf_reset(&tx->value);
	buf_add(&tx->value, value);
	buf_add(&tx->value, slice_make(seal, sizeof seal));
	if (tx->value.failed)
		return err_set(e, ERR_TEMP, "out of memory");
	return change(tx, key, buf_slice(&tx->value), 0, e);
}

int store_tx_del(struct store_tx *tx, slice key, err *e)
{
	return change(tx, key, (slice){0}, OVERLAY_DEL, e);
}

/* ---- ids, time, notes ---- */

uint64_t store_tx_next_id(struct store_tx *tx)
{
	return atomic_fetch_add(&tx->store->next_id, 1);
}

int64_t store_tx_now_us(struct store_tx *tx)
{
	return tx->now_us;
}

struct arena *store_tx_scratch(struct store_tx *tx)
{
	return tx->scratch;
}

/* 48 bits ms, 16 bits epoch, 40 bits counter, 24 random ones that make the id hard to guess. */
void store_tx_queue_id(struct store_tx *tx, uint8_t ret_id[16])
{
	uint64_t ms = (uint64_t)tx->now_us / 1000;

	if (ms > tx->queue_ms)
		tx->queue_ms = ms;
	be64_put(ret_id, tx->queue_ms << 16 | tx->state.epoch);
	be64_put(ret_id + 8, ++tx->queue_counter << 24 | (random_u64() & 0xffffff));
}

/* Room for one more element; false: out of memory. */
static bool grow(void **p, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	size_t want = *cap ? 2 * *cap : 64;
	void *q = reallocarray(*p, want, size);
	if (!q)
		return false;
	*p = q;
	*cap = want;
	return true;
}

void store_tx_note(struct store_tx *tx, uint32_t account, uint32_t mailbox, uint64_t modseq)
{
	void *p = tx->notes;

	if (!grow(&p, tx->notes_n, &tx->notes_cap, sizeof *tx->notes)) {
		tx->oom = true;
		return;
	}
	tx->notes = p;
	tx->notes[tx->notes_n++] = (struct store_note){account, mailbox, modseq};
}

/* ---- blobs ---- */

static int put_blob_row(struct store_tx *tx, uint64_t id, const struct blob_row *row, err *e)
{
	uint8_t key[BLOB_KEY], value[BLOB_VALUE];

	blob_key(id, key);
	blob_row_encode(row, value);
	return store_tx_put(tx, slice_make(key, sizeof key), slice_make(value, sizeof value), e);
}

int store_tx_blob(struct store_tx *tx, slice bytes, uint64_t *ret_blob, err *e)
{
	struct blob_row row = {
		.volume = tx->state.volume, .length = bytes.n, .crc = crc32c(0, bytes.p, bytes.n)};
	uint64_t id = store_tx_next_id(tx), offset;

	if (bytes.n > LIMIT_BLOB_INLINE)
		return err_set(e, ERR_LIMIT, "a blob of %zu bytes must come as a file", bytes.n);
	if (fill_low(tx->store)) {
		errno = ENOSPC;
		return err_sys(e, ERR_TEMP, "no room for new content");
	}
	if (record_out_blob(&tx->out, id, bytes, row.crc, &offset, e) < 0)
		return -1;
	row.offset = tx->start + offset;
	if (put_blob_row(tx, id, &row, e) < 0)
		return -1;
	tx->state.live += bytes.n;
	*ret_blob = id;
	return 0;
}

int store_tx_blob_file(struct store_tx *tx, struct store_big *big, uint64_t *ret_blob, err *e)
{
	struct blob_row row = {.length = big->length, .crc = big->crc};
	void *p = tx->bigs;

	if (big->taken)
		return err_set(e, ERR_EXISTS, "the big blob belongs to a message already");
	if (!grow(&p, tx->bigs_n, &tx->bigs_cap, sizeof *tx->bigs))
		return err_set(e, ERR_TEMP, "out of memory");
	tx->bigs = p;
	if (put_blob_row(tx, big->id, &row, e) < 0)
		return -1;
	tx->bigs[tx->bigs_n++] = big;
	*ret_blob = big->id;
	return 0;
}

/* Takes n bytes off what is live in a volume. */
static int volume_lost(struct store_tx *tx, uint32_t volume, uint64_t n, err *e)
{
	uint8_t key[VOLUME_KEY], value[VOLUME_VALUE];
	struct volume_row row;
	slice v = {0};

	if (volume == tx->state.volume) {
		tx->state.live -= n < tx->state.live ? n : tx->state.live;
		return 0;
	}
	volume_key(volume, key);
	int rc = store_tx_get(tx, slice_make(key, sizeof key), &v, e);
	if (rc <= 0)
		return rc;
	if (!volume_row_decode(v, &row))
		return err_set(e, ERR_CORRUPT, "the row of volume %u is malformed", volume);
	row.live -= n < row.live ? n : row.live;
	volume_row_encode(&row, value);
	return store_tx_put(tx, slice_make(key, sizeof key), slice_make(value, sizeof value), e);
}

int store_tx_blob_drop(struct store_tx *tx, uint64_t blob, err *e)
{
	uint8_t key[BLOB_KEY];
	struct blob_row row;
	slice v = {0};

	blob_key(blob, key);
	int rc = store_tx_get(tx, slice_make(key, sizeof key), &v, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_MISSING, "there is no blob %llu", (unsigned long long)blob);
	if (!blob_row_decode(v, &row))
		return err_set(e, ERR_CORRUPT, "the row of blob %llu is malformed", (unsigned long long)blob);
	if (row.volume == 0) {
		void *p = tx->drops;

		if (!grow(&p, tx->drops_n, &tx->drops_cap, sizeof *tx->drops))
			return err_set(e, ERR_TEMP, "out of memory");
		tx->drops = p;
		tx->drops[tx->drops_n++] = blob;
	} else if (volume_lost(tx, row.volume, row.length, e) < 0) {
		return -1;
	}
	return store_tx_del(tx, slice_make(key, sizeof key), e);
}

/* ---- the group's end ---- */

uint64_t tx_size(const struct store_tx *tx)
{
	return tx->out.blob_bytes + tx->row_bytes;
}

static int put_state(struct store_tx *tx, err *e)
{
	uint8_t value[STATE_BYTES];

	state_encode(&tx->state, value);
	if (!omap_put(tx->overlay, STATE_KEY, slice_make(value, sizeof value)))
		return err_set(e, ERR_TEMP, "out of memory");
	return 0;
}

int tx_make_record(struct store_tx *tx, uint32_t intents, uint64_t *ret, err *e)
{
	struct record_head h = {
		.volume = tx->state.volume,
		.store = tx->store->id,
		.sequence = tx->state.sequence + 1,
		.intents = intents,
		.time_us = tx->state.last_us,
	};
	uint64_t ops = 0;

	tx->state.sequence++;
	tx->state.next_id = atomic_load(&tx->store->next_id);
	if (put_state(tx, e) < 0)
		return -1;
	for (const struct omap_node *n = omap_first(tx->overlay); n; n = omap_next(n))
		ops += RECORD_OP + n->key.n + n->value.n;
	tx->state.end = tx->start + record_space(record_out_length(&tx->out, ops));
	if (put_state(tx, e) < 0) /* once more, as long as before, with the end that is known now */
		return -1;
	for (const struct omap_node *n = omap_first(tx->overlay); n; n = omap_next(n))
		record_out_op(&tx->out, n->flags & OVERLAY_DEL ? RECORD_DEL : RECORD_PUT, n->key, n->value);
	if (record_out_finish(&tx->out, &h, e) < 0)
		return -1;
	*ret = h.length;
	return 0;
}

int tx_apply(const struct store_tx *tx, struct kv_txn *to, err *e)
{
	const struct kv_engine *engine = tx->store->engine;

	for (const struct omap_node *n = omap_first(tx->overlay); n; n = omap_next(n)) {
		int rc = n->flags & OVERLAY_DEL ? engine->del(to, n->key, e)
						: engine->put(to, n->key, n->value, e);

		if (rc < 0)
			return -1;
	}
	return 0;
}

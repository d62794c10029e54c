/*
 * Results of the last 65,536 batch ids. The rows are a ring ('I', slot), so that they lie in the order in
 * which they are written; an index in memory leads from an id to its slot. Ids are random: as keys they would
 * touch a page each.
 */
#include "base/hash.h"
#include "base/wire.h"
#include "limits.h"
#include "store/store_int.h"
#include <stdlib.h>

#define CELLS_FIRST 1024u
#define SLOT_KEY    5
#define ID_AT       1 /* in the row's value: version, id, answer */
#define ANSWER_AT   17

static void slot_key(uint32_t slot, uint8_t ret[SLOT_KEY])
{
	ret[0] = 'I';
	be32_put(ret + 1, slot);
}

static uint64_t cell_of(const void *id, uint32_t slot)
{
	uint64_t h = hash_seeded(slice_make(id, 16)) | 1u << 16;

	return (h & ~(uint64_t)0xffff) | slot;
}

static uint32_t home(const struct batch_index *x, uint64_t cell)
{
	return (uint32_t)(cell >> 32) & (x->cells - 1);
}

static void index_put(struct batch_index *x, uint64_t cell)
{
	uint32_t i = home(x, cell);

	while (x->cell[i])
		i = (i + 1) & (x->cells - 1);
	x->cell[i] = cell;
	x->n++;
}

/* Takes a cell out and moves those behind it up, so that no hole cuts a chain. */
static void index_del(struct batch_index *x, uint64_t cell)
{
	uint32_t mask = x->cells - 1, i = x->cells ? home(x, cell) : 0;

	if (x->n == 0)
		return;
	while (x->cell[i] != cell) {
		if (!x->cell[i])
			return;
		i = (i + 1) & mask;
	}
	x->n--;
	for (uint32_t j = i;;) {
		x->cell[i] = 0;
		do {
			j = (j + 1) & mask;
			if (!x->cell[j])
				return;
		} while (((j - home(x, x->cell[j])) & mask) < ((j - i) & mask));
		x->cell[i] = x->cell[j];
		i = j;
	}
}

/* Room for `more` ids: at most half of the cells are in use. */
static int reserve(struct batch_index *x, size_t more, err *e)
{
	struct batch_index bigger = {.cells = x->cells ? x->cells : CELLS_FIRST};

	while (bigger.cells < 2 * (x->n + more))
		bigger.cells *= 2;
	if (bigger.cells == x->cells)
		return 0;
	bigger.cell = calloc(bigger.cells, sizeof *bigger.cell);
	if (!bigger.cell)
		return err_set(e, ERR_TEMP, "out of memory");
	for (uint32_t i = 0; i < x->cells; i++)
		if (x->cell[i])
			index_put(&bigger, x->cell[i]);
	free(x->cell);
	*x = bigger;
	return 0;
}

void batch_free(struct batch_index *x)
{
	free(x->cell);
	*x = (struct batch_index){0};
}

int batch_load(struct store *s, err *e)
{
	struct store_snap snap;
	struct store_scan sc;
	slice k, v;
	int rc;

	if (store_snap_begin(s, &snap, e) < 0)
		return -1;
	rc = store_scan_open(&snap, S("I"), &sc, e);
	if (rc == 0) {
		while ((rc = store_scan_next(&sc, &k, &v, e)) == 1) {
			if (k.n != SLOT_KEY || v.n < ANSWER_AT)
				continue;
			if ((rc = reserve(&s->batches, 1, e)) < 0)
				break;
			index_put(&s->batches, cell_of(v.p + ID_AT, be32_get(k.p + 1) & 0xffff));
		}
		store_scan_close(&sc);
	}
	store_snap_end(&snap);
	return rc;
}

/* The row of a slot, when it holds this id. */
static int slot_answer(struct store_tx *tx, uint32_t slot, const uint8_t id[16], slice *ret, err *e)
{
	uint8_t key[SLOT_KEY];
	slice v;

	slot_key(slot, key);
	int rc = store_tx_get(tx, slice_make(key, sizeof key), &v, e);
	if (rc != 1)
		return rc;
	if (v.n < ANSWER_AT || memcmp(v.p + ID_AT, id, 16) != 0)
		return 0;
	*ret = slice_skip(v, ANSWER_AT);
	return 1;
}

int batch_find(struct store_tx *tx, const uint8_t id[16], struct buf *answer, err *e)
{
	const struct batch_index *x = &tx->store->batches;
	uint64_t want = cell_of(id, 0);
	slice found;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < tx->batches_n; i++)
		if (memcmp(tx->batches[i].id, id, 16) == 0)
			rc = slot_answer(tx, tx->batches[i].slot, id, &found, e);
	for (uint32_t i = x->n ? home(x, want) : 0; rc == 0 && x->n > 0 && x->cell[i];
		i = (i + 1) & (x->cells - 1))
		if ((x->cell[i] & ~(uint64_t)0xffff) == want)
			rc = slot_answer(tx, (uint32_t)x->cell[i] & 0xffff, id, &found, e);
	if (rc == 1 && answer) {
		buf_reset(answer);
		buf_add(answer, found);
		if (answer->failed)
			return err_set(e, ERR_LIMIT, "an earlier answer does not fit");
	}
	return rc;
}

int batch_store(struct store_tx *tx, const uint8_t id[16], slice answer, err *e)
{
	struct tx_batch b = {.slot = (uint32_t)(tx->state.batches % BATCH_SLOTS)};
	uint8_t key[SLOT_KEY], value[ANSWER_AT + LIMIT_BATCH_ANSWER] = {1};
	slice old;

	if (answer.n > LIMIT_BATCH_ANSWER)
		return err_set(e, ERR_LIMIT, "an answer of %zu bytes cannot be kept", answer.n);
	if (tx->batches_n == tx->batches_cap) {
		size_t cap = tx->batches_cap ? 2 * tx->batches_cap : 64;
		struct tx_batch *p = reallocarray(tx->batches, cap, sizeof *p);

		if (!p)
			return err_set(e, ERR_TEMP, "out of memory");
		tx->batches = p;
		tx->batches_cap = cap;
	}
	if (reserve(&tx->store->batches, tx->batches_n + 1, e) < 0)
		return -1;
	slot_key(b.slot, key);
	int rc = store_tx_get(
		tx, slice_make(key, sizeof key), &old, NULL); /* a damaged one is simply replaced */
	if (rc == 1 && old.n >= ANSWER_AT) {
		b.had_old = true;
		memcpy(b.old, old.p + ID_AT, 16);
	}
	memcpy(b.id, id, 16);
	memcpy(value + ID_AT, id, 16);
	if (answer.n)
		memcpy(value + ANSWER_AT, answer.p, answer.n);
	if (store_tx_put(tx, slice_make(key, sizeof key), slice_make(value, ANSWER_AT + answer.n), e) < 0)
		return -1;
	tx->batches[tx->batches_n++] = b;
	tx->state.batches++;
	return 0;
}

void batch_commit(struct store_tx *tx)
{
	struct batch_index *x = &tx->store->batches;

	for (size_t i = 0; i < tx->batches_n; i++) {
		const struct tx_batch *b = &tx->batches[i];

		if (b->had_old)
			index_del(x, cell_of(b->old, b->slot));
		index_put(x, cell_of(b->id, b->slot));
	}
}

#include "store/volume.h"
#include "base/hash.h"
#include "base/wire.h"
#include <stdlib.h>

#define VOLUME_MAGIC "Posthouse volume"
#define RECORD_MAGIC 0x50485231u /* "PHR1" */

static const uint8_t zeroes[VOLUME_SECTOR];

/* ---- heads ---- */

/* magic 16, format u16, 2 bytes zero, volume u32, store u64, made i64, CRC32C at the sector's end */
void volume_head_write(const struct volume_head *h, uint8_t ret[VOLUME_HEAD])
{
	memset(ret, 0, VOLUME_HEAD);
	memcpy(ret, VOLUME_MAGIC, 16);
	ret[16] = (uint8_t)(h->format >> 8);
	ret[17] = (uint8_t)h->format;
	be32_put(ret + 20, h->volume);
	be64_put(ret + 24, h->store);
	be64_put(ret + 32, (uint64_t)h->made_us);
	be32_put(ret + VOLUME_HEAD - 4, crc32c(0, ret, VOLUME_HEAD - 4));
}

int volume_head_read(slice in, struct volume_head *ret, err *e)
{
	const uint8_t *p = (const uint8_t *)in.p;

	if (in.n < VOLUME_HEAD || memcmp(p, VOLUME_MAGIC, 16) != 0)
		return err_set(e, ERR_CORRUPT, "this is not a volume");
	uint16_t format = (uint16_t)(p[16] << 8 | p[17]);
	if (format > VOLUME_FORMAT)
		return err_set(e, ERR_DENIED, "the volume has format %u; this program knows formats up to %d",
			format, VOLUME_FORMAT);
	if (crc32c(0, p, VOLUME_HEAD - 4) != be32_get(p + VOLUME_HEAD - 4))
		return err_set(e, ERR_CORRUPT, "the head of the volume is damaged");
	*ret = (struct volume_head){format, be64_get(p + 24), be32_get(p + 20), (int64_t)be64_get(p + 32)};
	return 0;
}

static void record_head_write(const struct record_head *h, uint8_t p[RECORD_HEAD])
{
	be32_put(p, RECORD_MAGIC);
	be32_put(p + 4, h->volume);
	be64_put(p + 8, h->store);
	be64_put(p + 16, h->sequence);
	be64_put(p + 24, h->length);
	be32_put(p + 32, h->blobs);
	be32_put(p + 36, h->ops);
	be32_put(p + 40, h->intents);
	be64_put(p + 44, (uint64_t)h->time_us);
	be32_put(p + 52, h->body_crc);
	be32_put(p + 56, 0);
	be32_put(p + 60, crc32c(0, p, RECORD_HEAD - 4));
}

int record_head_read(slice in, struct record_head *ret)
{
	const uint8_t *p = (const uint8_t *)in.p;

	if (in.n < RECORD_HEAD)
		return -1;
	if (memcmp(p, zeroes, RECORD_HEAD) == 0)
		return 0;
	if (be32_get(p) != RECORD_MAGIC || crc32c(0, p, RECORD_HEAD - 4) != be32_get(p + 60))
		return -1;
	*ret = (struct record_head){
		.volume = be32_get(p + 4),
		.store = be64_get(p + 8),
		.sequence = be64_get(p + 16),
		.length = be64_get(p + 24),
		.blobs = be32_get(p + 32),
		.ops = be32_get(p + 36),
		.intents = be32_get(p + 40),
		.time_us = (int64_t)be64_get(p + 44),
		.body_crc = be32_get(p + 52),
	};
	return 1;
}

/* ---- reading a record ---- */

bool record_blob_next(struct record *r, struct record_blob *ret)
{
	const uint8_t *p = (const uint8_t *)r->rest.p;

	if (r->blobs_left == 0 || r->rest.n < RECORD_BLOB)
		return false;
	uint64_t n = be64_get(p + 8);
	if (n > r->rest.n - RECORD_BLOB)
		return false;
	ret->id = be64_get(p);
	ret->crc = be32_get(p + 16);
	ret->offset = (uint64_t)(r->rest.p - r->all.p) + RECORD_BLOB;
	ret->bytes = slice_sub(r->rest, RECORD_BLOB, (size_t)n);
	r->rest = slice_skip(r->rest, (RECORD_BLOB + (size_t)n + 7) & ~(size_t)7);
	r->blobs_left--;
	return true;
}

bool record_op_next(struct record *r, struct record_op *ret)
{
	struct record_blob skipped;

	while (r->blobs_left > 0)
		if (!record_blob_next(r, &skipped))
			return false;
	const uint8_t *p = (const uint8_t *)r->rest.p;
	if (r->ops_left == 0 || r->rest.n < RECORD_OP || (p[0] != RECORD_PUT && p[0] != RECORD_DEL))
		return false;
	size_t key = (size_t)p[1] << 8 | p[2], value = be32_get(p + 3);
	if (key + value > r->rest.n - RECORD_OP)
		return false;
	ret->kind = (enum record_op_kind)p[0];
	ret->key = slice_sub(r->rest, RECORD_OP, key);
	ret->value = slice_sub(r->rest, RECORD_OP + key, value);
	r->rest = slice_skip(r->rest, RECORD_OP + key + value);
	r->ops_left--;
	return true;
}

int record_open(slice in, struct record *ret, err *e)
{
	struct record r = {0}, walk;
	struct record_op op;

	if (record_head_read(in, &r.head) != 1)
		return err_set(e, ERR_CORRUPT, "there is no record");
	if (r.head.length < RECORD_HEAD || r.head.length > in.n)
		return err_set(e, ERR_CORRUPT, "the record is cut off");
	r.all = slice_sub(in, 0, (size_t)r.head.length);
	r.rest = slice_skip(r.all, RECORD_HEAD);
	r.blobs_left = r.head.blobs;
	r.ops_left = r.head.ops;
	if (crc32c(0, r.rest.p, r.rest.n) != r.head.body_crc)
		return err_set(e, ERR_CORRUPT, "the record fails its check");
	walk = r;
	while (record_op_next(&walk, &op))
		;
	if (walk.blobs_left > 0 || walk.ops_left > 0 || walk.rest.n > 0)
		return err_set(e, ERR_CORRUPT, "the record's parts do not fit");
	*ret = r;
	return 0;
}

/* ---- writing a record ---- */

void record_out_free(struct record_out *o)
{
	free(o->items);
	free(o->iov);
	buf_free(&o->ops_buf);
	*o = (struct record_out){0};
}

void record_out_reset(struct record_out *o)
{
	o->items_n = o->ops = o->iov_n = 0;
	o->blob_bytes = 0;
	if (o->ops_buf.cap > (size_t)4 << 20) /* a rare big group: its memory goes back */
		buf_free(&o->ops_buf);
	buf_reset(&o->ops_buf);
	o->ops_buf.max = RECORD_OPS_MAX;
	o->ops_buf.failed = false;
}

int record_out_blob(struct record_out *o, uint64_t id, slice bytes, uint32_t crc, uint64_t *ret, err *e)
{
	if (o->items_n == o->items_cap) {
		uint32_t cap = o->items_cap ? o->items_cap * 2 : 64;
		struct record_item *p = reallocarray(o->items, cap, sizeof *p);

		if (!p)
			return err_set(e, ERR_TEMP, "out of memory");
		o->items = p;
		o->items_cap = cap;
	}
	struct record_item *i = &o->items[o->items_n++];
	i->bytes = bytes;
	be64_put(i->front, id);
	be64_put(i->front + 8, bytes.n);
	be32_put(i->front + 16, crc);
	be32_put(i->front + 20, 0);
	*ret = RECORD_HEAD + o->blob_bytes + RECORD_BLOB;
	o->blob_bytes += (RECORD_BLOB + bytes.n + 7) & ~(uint64_t)7;
	return 0;
}

void record_out_undo(struct record_out *o, uint32_t items_n, uint64_t blob_bytes)
{
	o->items_n = items_n;
	o->blob_bytes = blob_bytes;
}

void record_out_op(struct record_out *o, enum record_op_kind kind, slice key, slice value)
{
	uint8_t front[RECORD_OP] = {(uint8_t)kind, (uint8_t)(key.n >> 8), (uint8_t)key.n};

	be32_put(front + 3, (uint32_t)value.n);
	buf_add(&o->ops_buf, slice_make(front, sizeof front));
	buf_add(&o->ops_buf, key);
	buf_add(&o->ops_buf, value);
	o->ops++;
}

uint64_t record_out_length(const struct record_out *o, uint64_t more)
{
	return RECORD_HEAD + o->blob_bytes + o->ops_buf.n + more;
}

static void add_iov(struct record_out *o, const void *p, size_t n)
{
	if (n > 0)
		o->iov[o->iov_n++] = (struct iovec){(void *)(uintptr_t)p, n};
}

int record_out_finish(struct record_out *o, struct record_head *h, err *e)
{
	uint32_t need = 3 * o->items_n + 3;
	uint32_t crc = 0;

	if (o->ops_buf.failed)
		return err_set(e, ERR_TEMP, "out of memory for a record");
	if (o->iov_cap < need) {
		struct iovec *p = reallocarray(o->iov, need, sizeof *p);

		if (!p)
			return err_set(e, ERR_TEMP, "out of memory for a record");
		o->iov = p;
		o->iov_cap = need;
	}
	o->iov_n = 0;
	add_iov(o, o->head, RECORD_HEAD);
	for (uint32_t i = 0; i < o->items_n; i++) {
		const struct record_item *b = &o->items[i];

		add_iov(o, b->front, RECORD_BLOB);
		add_iov(o, b->bytes.p, b->bytes.n);
		add_iov(o, zeroes, (8 - (RECORD_BLOB + b->bytes.n) % 8) % 8);
	}
	add_iov(o, o->ops_buf.p, o->ops_buf.n);
	for (uint32_t i = 1; i < o->iov_n; i++)
		crc = crc32c(crc, o->iov[i].iov_base, o->iov[i].iov_len);
	h->length = record_out_length(o, 0);
	h->blobs = o->items_n;
	h->ops = o->ops;
	h->body_crc = crc;
	record_head_write(h, o->head);
	add_iov(o, zeroes, (size_t)(record_space(h->length) - h->length));
	return 0;
}

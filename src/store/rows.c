/* The rows of this room, and the seal on every value. */
#include "base/hash.h"
#include "base/wire.h"
#include "store/store_int.h"

#define ROW_VERSION 1

unsigned store_format(void)
{
	return STORE_FORMAT;
}

uint32_t seal_of(slice key, slice value)
{
	return crc32c(crc32c(0, key.p, key.n), value.p, value.n);
}

int unseal(slice key, slice *value, err *e)
{
	slice body = *value;

	if (body.n >= 4) {
		body.n -= 4;
		if (seal_of(key, body) == be32_get(body.p + body.n)) {
			*value = body;
			return 0;
		}
	}
	char name[2 * 24 + 1];
	size_t n = key.n < 24 ? key.n : 24;
	for (size_t i = 0; i < n; i++) {
		static const char digits[] = "0123456789abcdef";

		name[2 * i] = digits[(uint8_t)key.p[i] >> 4];
		name[2 * i + 1] = digits[(uint8_t)key.p[i] & 15];
	}
	name[2 * n] = 0;
	return err_set(e, ERR_CORRUPT, "the value of key %s is damaged", name);
}

void state_encode(const struct store_state *st, uint8_t ret[STATE_BYTES])
{
	ret[0] = ROW_VERSION;
	be64_put(ret + 1, st->sequence);
	be64_put(ret + 9, st->next_id);
	be64_put(ret + 17, st->batches);
	be64_put(ret + 25, st->end);
	be64_put(ret + 33, st->live);
	be64_put(ret + 41, (uint64_t)st->last_us);
	be32_put(ret + 49, st->volume);
	ret[53] = (uint8_t)(st->epoch >> 8);
	ret[54] = (uint8_t)st->epoch;
	be32_put(ret + 55, seal_of(STATE_KEY, slice_make(ret, STATE_BYTES - 4)));
}

bool state_decode(slice sealed, struct store_state *ret)
{
	const uint8_t *p = (const uint8_t *)sealed.p;

	if (sealed.n != STATE_BYTES || p[0] != ROW_VERSION || unseal(STATE_KEY, &sealed, NULL) < 0)
		return false;
	*ret = (struct store_state){
		.sequence = be64_get(p + 1),
		.next_id = be64_get(p + 9),
		.batches = be64_get(p + 17),
		.end = be64_get(p + 25),
		.live = be64_get(p + 33),
		.last_us = (int64_t)be64_get(p + 41),
		.volume = be32_get(p + 49),
		.epoch = (uint16_t)(p[53] << 8 | p[54]),
	};
	return true;
}

void blob_key(uint64_t id, uint8_t ret[BLOB_KEY])
{
	ret[0] = 'B';
	be64_put(ret + 1, id);
}

void blob_row_encode(const struct blob_row *b, uint8_t ret[BLOB_VALUE])
{
	ret[0] = ROW_VERSION;
	be32_put(ret + 1, b->volume);
	be64_put(ret + 5, b->offset);
	be64_put(ret + 13, b->length);
	be32_put(ret + 21, b->crc);
}

bool blob_row_decode(slice value, struct blob_row *ret)
{
	const uint8_t *p = (const uint8_t *)value.p;

	if (value.n != BLOB_VALUE || p[0] != ROW_VERSION)
		return false;
	*ret = (struct blob_row){.volume = be32_get(p + 1),
		.offset = be64_get(p + 5),
		.length = be64_get(p + 13),
		.crc = be32_get(p + 21)};
	return true;
}

void volume_key(uint32_t volume, uint8_t ret[VOLUME_KEY])
{
	ret[0] = 'V';
	be32_put(ret + 1, volume);
}

void volume_row_encode(const struct volume_row *v, uint8_t ret[VOLUME_VALUE])
{
	ret[0] = ROW_VERSION;
	be64_put(ret + 1, v->used);
	be64_put(ret + 9, v->live);
}

bool volume_row_decode(slice value, struct volume_row *ret)
{
	const uint8_t *p = (const uint8_t *)value.p;

	if (value.n != VOLUME_VALUE || p[0] != ROW_VERSION)
		return false;
	*ret = (struct volume_row){be64_get(p + 1), be64_get(p + 9)};
	return true;
}

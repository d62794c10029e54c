#include "base/wire.h"
#include "base/hash.h"

void wire_put_u8(struct buf *b, uint8_t v)
{
	buf_add_c(b, (char)v);
}

void wire_put_u16(struct buf *b, uint16_t v)
{
	const uint8_t bytes[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	buf_add(b, slice_make(bytes, sizeof bytes));
}

void wire_put_u32(struct buf *b, uint32_t v)
{
	uint8_t bytes[4];

	be32_put(bytes, v);
	buf_add(b, slice_make(bytes, sizeof bytes));
}

void wire_put_u64(struct buf *b, uint64_t v)
{
	uint8_t bytes[8];

	be64_put(bytes, v);
	buf_add(b, slice_make(bytes, sizeof bytes));
}

void wire_put_var(struct buf *b, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;

	while (v > 127) {
		bytes[n++] = (uint8_t)(v | 128);
		v >>= 7;
	}
	bytes[n++] = (uint8_t)v;
	buf_add(b, slice_make(bytes, n));
}

void wire_put_bytes(struct buf *b, slice s)
{
	wire_put_var(b, s.n);
	buf_add(b, s);
}

void wire_put_raw(struct buf *b, slice s)
{
	buf_add(b, s);
}

void wire_seal(struct buf *b, size_t from)
{
	slice body = slice_skip(buf_slice(b), from);

	wire_put_u32(b, crc32c(0, body.p, body.n));
}

bool wire_unseal(slice *s)
{
	size_t body;

	if (s->n < 4)
		return false;
	body = s->n - 4;
	if (crc32c(0, s->p, body) != be32_get(s->p + body))
		return false;
	s->n = body;
	return true;
}

/* The next n bytes, or NULL and the error sticks. */
static const uint8_t *rd_take(struct rd *r, size_t n)
{
	const uint8_t *at = r->p;

	if (r->bad || n > r->n) {
		r->bad = true;
		return NULL;
	}
	if (n) {
		r->p += n;
		r->n -= n;
	}
	return at;
}

uint8_t rd_u8(struct rd *r)
{
	const uint8_t *b = rd_take(r, 1);

	return b ? *b : 0;
}

uint16_t rd_u16(struct rd *r)
{
	const uint8_t *b = rd_take(r, 2);

	return b ? (uint16_t)((uint32_t)b[0] << 8 | b[1]) : 0;
}

uint32_t rd_u32(struct rd *r)
{
	const uint8_t *b = rd_take(r, 4);

	return b ? be32_get(b) : 0;
}

uint64_t rd_u64(struct rd *r)
{
	const uint8_t *b = rd_take(r, 8);

	return b ? be64_get(b) : 0;
}

uint64_t rd_var(struct rd *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		const uint8_t *b = rd_take(r, 1);

		if (!b)
			return 0;
		v |= (uint64_t)(*b & 127) << shift;
		if (*b & 128)
			continue;
		/* Past 64 bits, or longer than need be: one number has one form. */
		if ((shift == 63 && *b > 1) || (shift > 0 && *b == 0))
			break;
		return v;
	}
	r->bad = true;
	return 0;
}

slice rd_raw(struct rd *r, size_t n)
{
	const uint8_t *b = rd_take(r, n);

	return b ? slice_make(b, n) : (slice){0};
}

slice rd_bytes(struct rd *r, size_t max)
{
	uint64_t n = rd_var(r);

	if (n > max)
		r->bad = true;
	return rd_raw(r, r->bad ? 0 : (size_t)n);
}

#include "base/wire.h"
#include "base/hash.h"

void wire_put_u8(struct buf *b, uint8_t v)
{
	buf_add_c(b, (char)v);
}

static void put_be(struct buf *b, uint64_t v, size_t n)
{
	char *p = buf_room(b, n);

	if (!p)
		return;
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(v >> (8 * (n - 1 - i)));
	buf_grow(b, n);
}

void wire_put_u16(struct buf *b, uint16_t v)
{
	put_be(b, v, 2);
}

void wire_put_u32(struct buf *b, uint32_t v)
{
	put_be(b, v, 4);
}

void wire_put_u64(struct buf *b, uint64_t v)
{
	put_be(b, v, 8);
}

void wire_put_var(struct buf *b, uint64_t v)
{
	for (; v > 127; v >>= 7)
		buf_add_c(b, (char)(v | 128));
	buf_add_c(b, (char)v);
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
	wire_put_u32(b, b->n > from ? crc32c(0, b->p + from, b->n - from) : 0);
}

bool wire_unseal(slice *s)
{
	if (s->n < 4)
		return false;
	size_t n = s->n - 4;

	if (crc32c(0, s->p, n) != be32_get(s->p + n))
		return false;
	s->n = n;
	return true;
}

static uint64_t get_be(struct rd *r, size_t n)
{
	uint64_t v = 0;

	if (r->bad || r->n < n) {
		r->bad = true;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		v = v << 8 | r->p[i];
	r->p += n;
	r->n -= n;
	return v;
}

uint8_t rd_u8(struct rd *r)
{
	return (uint8_t)get_be(r, 1);
}

uint16_t rd_u16(struct rd *r)
{
	return (uint16_t)get_be(r, 2);
}

uint32_t rd_u32(struct rd *r)
{
	return (uint32_t)get_be(r, 4);
}

uint64_t rd_u64(struct rd *r)
{
	return get_be(r, 8);
}

uint64_t rd_var(struct rd *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint64_t c = get_be(r, 1);

		if (r->bad || (shift == 63 && c > 1))
			break;
		v |= (c & 127) << shift;
		if (c < 128)
			return v;
	}
	r->bad = true;
	return 0;
}

slice rd_raw(struct rd *r, size_t n)
{
	slice s = {(const char *)r->p, n};

	if (r->bad || r->n < n) {
		r->bad = true;
		return (slice){"", 0};
	}
	r->p += n;
	r->n -= n;
	return s;
}

slice rd_bytes(struct rd *r, size_t max)
{
	uint64_t n = rd_var(r);

	if (n > max) {
		r->bad = true;
		return (slice){"", 0};
	}
	return rd_raw(r, (size_t)n);
}

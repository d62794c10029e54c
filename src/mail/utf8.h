/* UTF-8 code point by code point. Private to the room. */
#pragma once
#include "base/buf.h"
#include "base/encode.h"

/* The code point at *i, and *i moves behind it; -1 for a byte that begins no valid sequence (*i moves by
 * one). */
static inline int32_t utf8_take(slice s, size_t *i)
{
	uint32_t c = (uint8_t)s.p[*i];
	size_t n = c < 0x80 ? 1 : utf8_next(slice_skip(s, *i), &c);
	*i += n ? n : 1;
	return n ? (int32_t)c : -1;
}

/* v: a code point that UTF-8 can hold. */
static inline void utf8_put(struct buf *out, uint32_t v)
{
	char z[4];
	size_t n = 0;
	if (v < 0x80) {
		buf_add_c(out, (char)v);
		return;
	}
	if (v < 0x800) {
		z[n++] = (char)(0xC0 | v >> 6);
	} else if (v < 0x10000) {
		z[n++] = (char)(0xE0 | v >> 12);
		z[n++] = (char)(0x80 | (v >> 6 & 0x3F));
	} else {
		z[n++] = (char)(0xF0 | v >> 18);
		z[n++] = (char)(0x80 | (v >> 12 & 0x3F));
		z[n++] = (char)(0x80 | (v >> 6 & 0x3F));
	}
	z[n++] = (char)(0x80 | (v & 0x3F));
	buf_add(out, (slice){z, n});
}

#include "base/encode.h"

static const char alphabet64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet32[] = "0123456789abcdefghjkmnpqrstvwxyz";

void base64_encode(struct buf *out, slice in)
{
	const uint8_t *p = (const uint8_t *)in.p;
	char *to = buf_room(out, (in.n + 2) / 3 * 4);

	if (!to)
		return;
	buf_grow(out, (in.n + 2) / 3 * 4);
	for (size_t i = 0; i < in.n; i += 3) {
		size_t have = in.n - i;
		uint32_t v = (uint32_t)p[i] << 16 | (have > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (have > 2 ? p[i + 2] : 0);

		*to++ = alphabet64[v >> 18];
		*to++ = alphabet64[v >> 12 & 63];
		*to++ = have > 1 ? alphabet64[v >> 6 & 63] : '=';
		*to++ = have > 2 ? alphabet64[v & 63] : '=';
	}
}

static int value64(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'             ? 62
	       : c == '/'             ? 63
	                              : -1;
}

bool base64_decode(struct buf *out, slice in)
{
	if (in.n % 4 != 0)
		return false;
	size_t pad = in.n && in.p[in.n - 1] == '=' ? (in.p[in.n - 2] == '=' ? 2 : 1) : 0;

	for (size_t i = 0; i < in.n; i += 4) {
		size_t n = i + 4 == in.n ? 4 - pad : 4;
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int d = k < n ? value64(in.p[i + k]) : 0;

			if (d < 0)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		if ((n == 2 && (v & 0xffff)) || (n == 3 && (v & 0xff)))
			return false; /* bits that no encoder leaves */
		char bytes[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};
		buf_add(out, slice_make(bytes, n - 1));
	}
	return !out->failed;
}

void hex_encode(struct buf *out, slice in)
{
	for (size_t i = 0; i < in.n; i++) {
		buf_add_c(out, "0123456789abcdef"[(uint8_t)in.p[i] >> 4]);
		buf_add_c(out, "0123456789abcdef"[in.p[i] & 15]);
	}
}

static int hex_value(char c)
{
	c = ascii_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(struct buf *out, slice in)
{
	if (in.n % 2)
		return false;
	for (size_t i = 0; i < in.n; i += 2) {
		int high = hex_value(in.p[i]), low = hex_value(in.p[i + 1]);

		if (high < 0 || low < 0)
			return false;
		buf_add_c(out, (char)(high << 4 | low));
	}
	return !out->failed;
}

/* 26 digits hold 130 bits: the first stands for the upper three. */
void base32_id(const uint8_t id[16], char out[27])
{
	for (int i = 0; i < 26; i++) {
		unsigned digit = 0;

		for (int b = 0; b < 5; b++) {
			int bit = i * 5 + b - 2;

			digit = digit << 1 | (bit < 0 ? 0u : (unsigned)id[bit / 8] >> (7 - bit % 8) & 1u);
		}
		out[i] = alphabet32[digit];
	}
	out[26] = 0;
}

bool base32_id_parse(slice in, uint8_t id[16])
{
	uint8_t got[16] = {0};

	if (in.n != 26)
		return false;
	for (int i = 0; i < 26; i++) {
		const char *at = memchr(alphabet32, ascii_lower(in.p[i]), 32);

		if (!at)
			return false;
		unsigned digit = (unsigned)(at - alphabet32);
		for (int b = 0; b < 5; b++) {
			int bit = i * 5 + b - 2;
			unsigned v = digit >> (4 - b) & 1u;

			if (bit < 0 && v)
				return false;
			if (bit >= 0)
				got[bit / 8] = (uint8_t)(got[bit / 8] | v << (7 - bit % 8));
		}
	}
	memcpy(id, got, sizeof got);
	return true;
}

/* Length of the sequence at the head of s, 0 when it is not valid. */
static size_t sequence(slice s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;
	uint32_t v = n == 1 ? p[0] : n ? p[0] & (0x7fu >> n) : 0;

	if (n == 0 || n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3fu);
	}
	return v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff) ? 0 : n;
}

bool ascii_only(slice s)
{
	size_t i = 0;

	for (; i + 8 <= s.n; i += 8) {
		uint64_t v;

		memcpy(&v, s.p + i, 8);
		if (v & 0x8080808080808080u)
			return false;
	}
	for (; i < s.n; i++)
		if ((uint8_t)s.p[i] > 127)
			return false;
	return true;
}

bool utf8_valid(slice s)
{
	while (s.n > 0) {
		if ((uint8_t)s.p[0] < 0x80) {
			s = slice_skip(s, 1);
			continue;
		}
		size_t n = sequence(s);
		if (n == 0)
			return false;
		s = slice_skip(s, n);
	}
	return true;
}

size_t utf8_cut(slice s, size_t max)
{
	size_t n = s.n < max ? s.n : max;

	if (n < s.n)
		while (n > 0 && ((uint8_t)s.p[n] & 0xc0) == 0x80)
			n--;
	return n;
}

#include "base/encode.h"

static const char base64_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex_chars[] = "0123456789abcdef";
static const char base32_chars[] = "0123456789abcdefghjkmnpqrstvwxyz";

void base64_encode(struct buf *out, slice in)
{
	const uint8_t *p = (const uint8_t *)in.p;
	size_t left = in.n, n;
	char *to;

	if (__builtin_mul_overflow(in.n / 3 + (in.n % 3 != 0), 4, &n))
		n = SIZE_MAX; /* no buffer is so large: it fails as any other too small */
	to = buf_room(out, n);
	if (!to)
		return;
	for (; left > 0; p += 3, to += 4) {
		uint32_t v =
			(uint32_t)p[0] << 16 | (left > 1 ? (uint32_t)p[1] << 8 : 0) | (left > 2 ? p[2] : 0);

		to[0] = base64_chars[v >> 18];
		to[1] = base64_chars[v >> 12 & 63];
		to[2] = (char)(left > 1 ? base64_chars[v >> 6 & 63] : '=');
		to[3] = (char)(left > 2 ? base64_chars[v & 63] : '=');
		left -= left > 2 ? 3 : left;
	}
	buf_grow(out, n);
}

/* 0 to 63, or 255 for what is not in the alphabet. */
static uint8_t base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(c - 'a' + 26);
	if (ascii_is_digit(c))
		return (uint8_t)(c - '0' + 52);
	return c == '+' ? 62 : c == '/' ? 63 : 255;
}

bool base64_decode(struct buf *out, slice in)
{
	size_t pads = 0, n;
	uint32_t bits = 0;
	char *to;

	if (in.n % 4 != 0)
		return false;
	if (in.n == 0)
		return true;
	while (pads < 2 && in.p[in.n - 1 - pads] == '=')
		pads++;
	n = in.n / 4 * 3 - pads;
	to = buf_room(out, n);
	if (!to)
		return false;
	for (size_t i = 0; i < in.n - pads; i++) {
		uint8_t v = base64_value(in.p[i]);

		if (v > 63)
			return false;
		bits = bits << 6 | v;
		if (i % 4 != 0)
			*to++ = (char)(bits >> (6 - i % 4 * 2));
	}
	/* The last character of a padded group has bits that no byte takes: they must be zero. */
	if (pads && bits & (pads == 1 ? 3 : 15))
		return false;
	buf_grow(out, n);
	return true;
}

void hex_encode(struct buf *out, slice in)
{
	char *to = buf_room(out, in.n <= SIZE_MAX / 2 ? in.n * 2 : SIZE_MAX);

	if (!to)
		return;
	for (size_t i = 0; i < in.n; i++) {
		uint8_t b = (uint8_t)in.p[i];

		*to++ = hex_chars[b >> 4];
		*to++ = hex_chars[b & 15];
	}
	buf_grow(out, in.n * 2);
}

static int hex_value(char c)
{
	c = ascii_lower(c);
	return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(struct buf *out, slice in)
{
	char *to;

	if (in.n % 2 != 0)
		return false;
	to = buf_room(out, in.n / 2);
	if (!to)
		return false;
	for (size_t i = 0; i < in.n; i += 2) {
		int high = hex_value(in.p[i]), low = hex_value(in.p[i + 1]);

		if (high < 0 || low < 0)
			return false;
		*to++ = (char)(high << 4 | low);
	}
	buf_grow(out, in.n / 2);
	return true;
}

/* 26 characters hold 130 bits: the first one carries three. */
void base32_id(const uint8_t id[16], char out[27])
{
	uint32_t bits = 0;
	unsigned have = 2;
	size_t at = 0;

	for (size_t i = 0; i < 16; i++) {
		bits = bits << 8 | id[i];
		for (have += 8; have >= 5; have -= 5)
			out[at++] = base32_chars[bits >> (have - 5) & 31];
	}
	out[at] = '\0';
}

static int base32_value(char c)
{
	const char *at;

	c = ascii_lower(c);
	if (c == 'o')
		c = '0';
	if (c == 'i' || c == 'l')
		c = '1';
	at = c ? memchr(base32_chars, c, sizeof base32_chars - 1) : NULL;
	return at ? (int)(at - base32_chars) : -1;
}

bool base32_id_parse(slice in, uint8_t id[16])
{
	uint8_t bytes[16];
	uint32_t bits = 0;
	unsigned have = 0;
	size_t at = 0;

	if (in.n != 26)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		int v = base32_value(in.p[i]);

		if (v < 0 || (i == 0 && v > 7))
			return false;
		bits = bits << 5 | (uint32_t)v;
		have += i == 0 ? 3 : 5;
		if (have >= 8) {
			have -= 8;
			bytes[at++] = (uint8_t)(bits >> have);
		}
	}
	memcpy(id, bytes, sizeof bytes);
	return true;
}

/* True when the eight bytes at p are all ASCII. */
static bool ascii_8(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return (v & 0x8080808080808080) == 0;
}

bool ascii_only(slice s)
{
	size_t i = 0;

	while (s.n - i >= 8 && ascii_8(s.p + i))
		i += 8;
	for (; i < s.n; i++)
		if ((uint8_t)s.p[i] > 127)
			return false;
	return true;
}

size_t utf8_next(slice s, uint32_t *ret_char)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint8_t lead = (uint8_t)s.p[0];
	size_t n = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : 4;
	uint32_t c = lead;

	if (n == 4 && (lead < 0xf0 || lead > 0xf4))
		return 0;
	if (n > s.n)
		return 0;
	if (n > 1)
		c &= 0x7fU >> n;
	for (size_t i = 1; i < n; i++) {
		uint8_t b = (uint8_t)s.p[i];

		if ((b & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (b & 0x3f);
	}
	if (c < lowest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_char = c;
	return n;
}

bool utf8_valid(slice s)
{
	size_t i = 0;

	while (i < s.n) {
		uint32_t c;
		size_t n;

		if (s.n - i >= 8 && ascii_8(s.p + i)) {
			i += 8;
			continue;
		}
		n = utf8_next(slice_skip(s, i), &c);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

size_t utf8_cut(slice s, size_t max)
{
	if (s.n <= max)
		return s.n;
	/* Where the byte after the cut goes on with a sequence, the cut goes before its lead. */
	for (size_t back = 0; back < 4 && back <= max; back++) {
		size_t at = max - back;
		uint32_t c;

		if (((uint8_t)s.p[at] & 0xc0) == 0x80)
			continue;
		return back && utf8_next(slice_skip(s, at), &c) > back ? at : max;
	}
	return max;
}

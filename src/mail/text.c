#include "mail/text.h"
#include "base/encode.h"
#include "mail/utf8.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

struct shift { /* a run of base64: bits not written yet */
	uint32_t bits;
	int n;
};

static void shift_unit(struct buf *out, struct shift *sh, uint32_t unit)
{
	sh->bits = sh->bits << 16 | unit; /* at most 4 bits are held before: no overflow that matters */
	sh->n += 16;
	while (sh->n >= 6) {
		sh->n -= 6;
		buf_add_c(out, alphabet[sh->bits >> sh->n & 63]);
	}
}

static void shift_end(struct buf *out, struct shift *sh)
{
	if (sh->n)
		buf_add_c(out, alphabet[sh->bits << (6 - sh->n) & 63]);
	buf_add_c(out, '-');
}

bool mail_utf7_write(struct buf *out, slice utf8)
{
	if (!utf8_valid(utf8))
		return false;
	for (size_t i = 0; i < utf8.n;) {
		char c = utf8.p[i];
		if ((c >= 0 && c < ' ') || c == 127)
			return false;
		if (c > 0) {
			buf_add_c(out, c);
			if (c == '&')
				buf_add_c(out, '-');
			i++;
			continue;
		}
		struct shift sh = {0};
		buf_add_c(out, '&');
		while (i < utf8.n && utf8.p[i] < 0) {
			uint32_t v = (uint32_t)utf8_take(utf8, &i);
			if (v < 0x10000) {
				shift_unit(out, &sh, v);
			} else {
				shift_unit(out, &sh, 0xD800 + ((v - 0x10000) >> 10));
				shift_unit(out, &sh, 0xDC00 + (v & 0x3FF));
			}
		}
		shift_end(out, &sh);
	}
	return !out->failed;
}

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == ',' ? 63 : -1;
}

/* One UTF-16 unit; *high holds a high surrogate that waits for its low one. False: what may not be here. */
static bool add_unit(struct buf *out, uint32_t unit, uint32_t *high)
{
	bool low = unit >= 0xDC00 && unit < 0xE000;
	if ((*high != 0) != low)
		return false;
	if (low) {
		utf8_put(out, 0x10000 + ((*high - 0xD800) << 10) + (unit - 0xDC00));
		*high = 0;
	} else if (unit >= 0xD800 && unit < 0xDC00) {
		*high = unit;
	} else if (unit < 0x80) {
		return false; /* ASCII stands for itself: RFC 3501 5.1.3 */
	} else {
		utf8_put(out, unit);
	}
	return true;
}

/* The run behind "&" at *i; leaves *i behind its "-". */
static bool read_run(struct buf *out, slice s, size_t *i)
{
	uint32_t bits = 0, high = 0;
	int n = 0, v;
	size_t start = *i;
	for (; *i < s.n && (v = sextet(s.p[*i])) >= 0; ++*i) {
		bits = bits << 6 | (uint32_t)v;
		n += 6;
		if (n < 16)
			continue;
		n -= 16;
		if (!add_unit(out, bits >> n & 0xFFFF, &high))
			return false;
		bits &= (1u << n) - 1;
	}
	if (*i == start || *i == s.n || s.p[*i] != '-' || high || n >= 6 || bits)
		return false;
	++*i;
	/* two runs that touch could have been one */
	return !(*i + 1 < s.n && s.p[*i] == '&' && s.p[*i + 1] != '-');
}

bool mail_utf7_read(struct buf *out, slice utf7)
{
	for (size_t i = 0; i < utf7.n;) {
		char c = utf7.p[i++];
		if (c < ' ' || c > '~')
			return false;
		if (c != '&') {
			buf_add_c(out, c);
		} else if (i < utf7.n && utf7.p[i] == '-') {
			buf_add_c(out, '&');
			i++;
		} else if (!read_run(out, utf7, &i)) {
			return false;
		}
	}
	return !out->failed;
}

/* i;unicode-casemap (RFC 5051) by ICU's character data. */
#include "base/encode.h"
#include "mail/decode.h"
#include "mail/utf8.h"
#include <unicode/uchar.h>
#include <unicode/unorm2.h>

enum { DECOMPOSED_MAX = 32 }; /* units one code point can give: 18, U+FDFA */

/* Eight bytes at once; what is not a small letter stays as it is. */
static void fold_ascii(struct buf *out, slice s)
{
	const uint64_t each = UINT64_C(0x0101010101010101), high = each * 0x80;
	char *p = buf_room(out, s.n);
	size_t i = 0;

	if (!p)
		return;
	for (; s.n - i >= 8; i += 8) {
		uint64_t v;

		memcpy(&v, s.p + i, 8);
		uint64_t low = v & ~high; /* sums stay in their bytes; the top bit says: at least that */
		uint64_t small = ((low + each * (0x80 - 'a')) & ~(low + each * (0x80 - 'z' - 1))) & ~v & high;
		v -= small >> 2;
		memcpy(p + i, &v, 8);
	}
	for (; i < s.n; i++)
		p[i] = ascii_upper(s.p[i]);
	buf_grow(out, s.n);
}

static void put(struct buf *out, int32_t c)
{
	utf8_put(out, (uint32_t)c < 0xD800 || (c >= 0xE000 && c < 0x110000) ? (uint32_t)c : 0xFFFD);
}

static void fold_one(struct buf *out, const UNormalizer2 *nfkd, int32_t c)
{
	UChar units[DECOMPOSED_MAX];
	UErrorCode code = U_ZERO_ERROR;
	int32_t title = u_totitle(c), n = -1;

	if (title < 0xAC00 || title > 0xD7A3) /* Hangul syllables decompose by rule, not by the table */
		n = unorm2_getDecomposition(nfkd, title, units, DECOMPOSED_MAX, &code);
	if (n < 0 || U_FAILURE(code)) {
		put(out, title);
		return;
	}
	for (int32_t i = 0; i < n; i++) {
		int32_t d = units[i];

		if (d >= 0xD800 && d < 0xDC00 && i + 1 < n)
			d = 0x10000 + ((d - 0xD800) << 10) + (units[++i] - 0xDC00);
		/* The decomposition is a full one; where its letters have a title form, that is a plain one.
		 */
		put(out, u_totitle(d));
	}
}

void mail_fold(struct buf *out, slice utf8)
{
	UErrorCode code = U_ZERO_ERROR;

	if (ascii_only(utf8)) {
		fold_ascii(out, utf8);
		return;
	}
	const UNormalizer2 *nfkd = unorm2_getNFKDInstance(&code);
	for (size_t i = 0; i < utf8.n;) {
		size_t run = i;

		while (run < utf8.n && utf8.p[run] >= 0)
			run++;
		if (run > i)
			fold_ascii(out, slice_sub(utf8, i, run - i));
		i = run;
		while (i < utf8.n && utf8.p[i] < 0) {
			int32_t c = utf8_take(utf8, &i);

			if (c < 0 || U_FAILURE(code))
				put(out, c < 0 ? 0xFFFD : c);
			else
				fold_one(out, nfkd, c);
		}
	}
}

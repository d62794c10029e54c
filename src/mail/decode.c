/* Transfer encodings: RFC 2045 6.7, 6.8, read leniently. */
#include "mail/decode.h"

enum qp_state { QP_TEXT, QP_EQUAL, QP_HEX, QP_SOFT };
#define QP_RUN_PASSED UINT8_MAX /* blanks held: the run was too long, and so is the rest of it */

#define NO BASE64_NONE
enum { BASE64_NONE = -1, BASE64_PAD = -2 };

static const int8_t sextets[256] = {
	[0 ... '+' - 1] = NO,
	['+'] = 62,
	[',' ... '.'] = NO,
	['/'] = 63,
	['0'] = 52,
	53,
	54,
	55,
	56,
	57,
	58,
	59,
	60,
	61,
	[':' ... '<'] = NO,
	['='] = BASE64_PAD,
	['>' ... '@'] = NO,
	['A'] = 0,
	1,
	2,
	3,
	4,
	5,
	6,
	7,
	8,
	9,
	10,
	11,
	12,
	13,
	14,
	15,
	16,
	17,
	18,
	19,
	20,
	21,
	22,
	23,
	24,
	25,
	['[' ... '`'] = NO,
	['a'] = 26,
	27,
	28,
	29,
	30,
	31,
	32,
	33,
	34,
	35,
	36,
	37,
	38,
	39,
	40,
	41,
	42,
	43,
	44,
	45,
	46,
	47,
	48,
	49,
	50,
	51,
	['{' ... 255] = NO,
};
#undef NO

enum mail_encoding mail_encoding_parse(slice s)
{
	static const struct {
		slice name;
		enum mail_encoding encoding;
	} known[] = {
		{SLICE_INIT("7bit"), MAIL_ENCODING_7BIT},
		{SLICE_INIT("8bit"), MAIL_ENCODING_8BIT},
		{SLICE_INIT("binary"), MAIL_ENCODING_BINARY},
		{SLICE_INIT("quoted-printable"), MAIL_ENCODING_QP},
		{SLICE_INIT("base64"), MAIL_ENCODING_BASE64},
	};
	s = slice_trim(s);
	if (s.n == 0)
		return MAIL_ENCODING_7BIT;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (slice_ieq(s, known[i].name))
			return known[i].encoding;
	}
	return MAIL_ENCODING_OTHER;
}

static int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Blanks are held until it is known whether the line ends behind them; a run too long to hold was no padding.
 */
static void qp_hold_blanks(struct mail_decoder *d, struct buf *out, slice blanks)
{
	if (d->n <= sizeof d->hold && d->n + blanks.n <= sizeof d->hold) {
		memcpy(d->hold + d->n, blanks.p, blanks.n);
		d->n = (uint8_t)(d->n + blanks.n);
		return;
	}
	if (d->n <= sizeof d->hold)
		buf_add(out, slice_make(d->hold, d->n));
	buf_add(out, blanks);
	d->n = QP_RUN_PASSED;
}

static void qp_flush_blanks(struct mail_decoder *d, struct buf *out)
{
	if (d->n && d->n <= sizeof d->hold)
		buf_add(out, slice_make(d->hold, d->n));
	d->n = 0;
}

/* Plain text from i on; returns where it ended: at an equals sign or the end. */
static size_t qp_text(struct mail_decoder *d, struct buf *out, slice in, size_t i)
{
	while (i < in.n && in.p[i] != '=') {
		size_t start = i;
		if (is_blank(in.p[i])) {
			while (i < in.n && is_blank(in.p[i]))
				i++;
			qp_hold_blanks(d, out, slice_sub(in, start, i - start));
			continue;
		}
		if (in.p[i] == '\r' || in.p[i] == '\n')
			d->n = 0;
		else
			qp_flush_blanks(d, out);
		/* a single blank inside a line goes with its words */
		while (i < in.n && in.p[i] != '=' &&
			!(is_blank(in.p[i]) && (i + 1 == in.n || is_blank(in.p[i + 1]) ||
						       in.p[i + 1] == '\r' || in.p[i + 1] == '\n')))
			i++;
		buf_add(out, slice_sub(in, start, i - start));
	}
	return i;
}

static void qp_feed(struct mail_decoder *d, struct buf *out, slice in)
{
	for (size_t i = 0; i < in.n;) {
		char c = in.p[i];
		switch ((enum qp_state)d->state) {
		case QP_TEXT:
			i = qp_text(d, out, in, i);
			if (i < in.n) {
				qp_flush_blanks(d, out);
				d->state = QP_EQUAL;
				i++;
			}
			break;
		case QP_EQUAL:
			if (hex_digit(c) >= 0) {
				d->bits = (uint8_t)c;
				d->state = QP_HEX;
				i++;
			} else if (c == '\r' || c == '\n' || is_blank(c)) {
				d->state = QP_SOFT;
			} else {
				d->bad = true;
				buf_add_c(out, '=');
				d->state = QP_TEXT;
			}
			break;
		case QP_HEX:
			if (hex_digit(c) >= 0) {
				buf_add_c(out, (char)(hex_digit((char)d->bits) << 4 | hex_digit(c)));
				i++;
			} else {
				d->bad = true;
				buf_add_c(out, '=');
				buf_add_c(out, (char)d->bits);
			}
			d->state = QP_TEXT;
			break;
		case QP_SOFT:
			if (c == '\n' || !(is_blank(c) || c == '\r'))
				d->state = QP_TEXT;
			if (is_blank(c) || c == '\r' || c == '\n')
				i++;
			else
				d->bad = true;
			break;
		}
	}
}

/* What is left in front of padding or the end. */
static void base64_flush(struct mail_decoder *d, struct buf *out)
{
	if (d->n >= 2)
		buf_add_c(out, (char)(d->bits >> (d->n == 2 ? 4 : 10)));
	if (d->n == 3)
		buf_add_c(out, (char)(d->bits >> 2));
	d->bad |= d->n == 1;
	d->n = 0;
	d->bits = 0;
}

static void base64_feed(struct mail_decoder *d, struct buf *out, slice in)
{
	const uint8_t *p = (const uint8_t *)in.p, *end = p + in.n;
	char *to = buf_room(out, in.n / 4 * 3 + 6);
	size_t n = 0;
	if (!to)
		return;
	while (p < end) {
		while (d->n == 0 && end - p >= 4) {
			int a = sextets[p[0]], b = sextets[p[1]], c = sextets[p[2]], e = sextets[p[3]];
			if ((a | b | c | e) < 0)
				break;
			to[n++] = (char)(a << 2 | b >> 4);
			to[n++] = (char)(b << 4 | c >> 2);
			to[n++] = (char)(c << 6 | e);
			p += 4;
		}
		if (p == end)
			break;
		int v = sextets[*p++];
		if (v >= 0) {
			d->bits = d->bits << 6 | (uint32_t)v;
			if (++d->n == 4) {
				to[n++] = (char)(d->bits >> 16);
				to[n++] = (char)(d->bits >> 8);
				to[n++] = (char)d->bits;
				d->n = 0;
				d->bits = 0;
			}
		} else if (v == BASE64_PAD) {
			buf_grow(out,
				n); /* some mailers join several encoded pieces: what follows starts anew */
			base64_flush(d, out);
			n = 0;
			to = buf_room(out, (size_t)(end - p) / 4 * 3 + 6);
			if (!to)
				return;
		} else if (p[-1] != '\r' && p[-1] != '\n' && !is_blank((char)p[-1])) {
			d->bad = true;
		}
	}
	buf_grow(out, n);
}

void mail_decoder_feed(struct mail_decoder *d, struct buf *out, slice in)
{
	if (d->encoding == MAIL_ENCODING_QP)
		qp_feed(d, out, in);
	else if (d->encoding == MAIL_ENCODING_BASE64)
		base64_feed(d, out, in);
	else
		buf_add(out, in);
}

void mail_decoder_finish(struct mail_decoder *d, struct buf *out)
{
	if (d->encoding == MAIL_ENCODING_BASE64)
		base64_flush(d, out);
	if (d->encoding == MAIL_ENCODING_QP) {
		d->n = 0; /* blanks at the very end end a line */
		d->bad |= d->state == QP_HEX;
		if (d->state == QP_HEX) {
			buf_add_c(out, '=');
			buf_add_c(out, (char)d->bits);
		}
		d->state = QP_TEXT;
	}
}

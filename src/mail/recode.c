#include "mail/recode.h"
#include "base/encode.h"

#define LINE_MAX_ 76

static void qp_put(struct recode *r, struct buf *out, char c, bool escape)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = escape ? 3 : 1;
	if (r->col + n > LINE_MAX_ - 1) {
		buf_addz(out, "=\r\n");
		r->col = 0;
	}
	if (r->col == 0 && c == '-')
		escape = true;
	if (escape) {
		char z[3] = {'=', hex[(uint8_t)c >> 4], hex[c & 15]};
		buf_add(out, slice_make(z, sizeof z));
		r->col += sizeof z;
	} else {
		buf_add_c(out, c);
		r->col++;
	}
}

static bool qp_plain(char c)
{
	return c > 32 && c < 127 && c != '=';
}

static void qp_byte(struct recode *r, struct buf *out, char c)
{
	bool blank = c == ' ' || c == '\t';
	if (r->held == '\r' && c == '\n') {
		buf_addz(out, "\r\n");
		r->col = 0;
		r->held = 0;
		return;
	}
	if (r->held)
		qp_put(r, out, r->held, r->held == '\r' || c == '\r' || c == '\n');
	r->held = 0;
	if (blank || c == '\r')
		r->held = c;
	else
		qp_put(r, out, c, !qp_plain(c));
}

void recode_qp_feed(struct recode *r, struct buf *out, slice in)
{
	size_t i = 0;
	while (i < in.n) {
		size_t run = i, room = LINE_MAX_ - 1 - r->col;
		/* most bytes are plain and stand in the middle of a line */
		if (!r->held && r->col)
			while (run < in.n && run - i < room && qp_plain(in.p[run]))
				run++;
		if (run > i) {
			buf_add(out, slice_sub(in, i, run - i));
			r->col += run - i;
			i = run;
		} else {
			qp_byte(r, out, in.p[i++]);
		}
	}
}

void recode_qp_finish(struct recode *r, struct buf *out)
{
	if (r->held)
		qp_put(r, out, r->held, true);
	r->held = 0;
}

static void base64_line(struct recode *r, struct buf *out, slice bytes)
{
	if (r->col)
		buf_addz(out, "\r\n");
	base64_encode(out, bytes);
	r->col = 1;
}

void recode_base64_feed(struct recode *r, struct buf *out, slice in)
{
	while (in.n) {
		if (r->n == 0 && in.n >= sizeof r->group) {
			base64_line(r, out, slice_sub(in, 0, sizeof r->group));
			in = slice_skip(in, sizeof r->group);
			continue;
		}
		slice piece = slice_sub(in, 0, sizeof r->group - r->n);
		memcpy(r->group + r->n, piece.p, piece.n);
		r->n = (uint8_t)(r->n + piece.n);
		in = slice_skip(in, piece.n);
		if (r->n == sizeof r->group)
			recode_base64_finish(r, out);
	}
}

void recode_base64_finish(struct recode *r, struct buf *out)
{
	if (r->n)
		base64_line(r, out, slice_make(r->group, r->n));
	r->n = 0;
}

bool recode_base64_is_shorter(slice text)
{
	size_t escaped = 0;
	for (size_t i = 0; i < text.n; i++)
		escaped += (text.p[i] & (char)0x80) != 0 || text.p[i] == '=';
	return escaped > text.n / 6; /* n + 2 escaped against 1.37 n */
}

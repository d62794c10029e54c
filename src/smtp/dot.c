#include "smtp/dot.h"

static const slice crlf = SLICE_INIT("\r\n"), blank = SLICE_INIT(" "), nothing;

static slice take(slice *in, size_t n)
{
	slice head = slice_sub(*in, 0, n);
	*in = slice_skip(*in, n);
	return head;
}

/* The CR that was held back is not followed by LF. */
static slice bare_cr(struct smtp_dot *d)
{
	d->flaws |= SMTP_FLAW_CR;
	d->state = SMTP_DOT_MID;
	return d->repair ? blank : nothing;
}

static slice bare_lf(struct smtp_dot *d, slice *in)
{
	take(in, 1);
	d->flaws |= SMTP_FLAW_LF;
	d->state = SMTP_DOT_MID; /* not START: what follows is no new line, or LF.CRLF would be an end */
	return d->repair ? crlf : nothing;
}

/* As much as can be passed on as it is; not empty, and no dot at the start of its first line. */
static slice run(struct smtp_dot *d, slice *in)
{
	const char *p = in->p;
	size_t n = in->n, line = 0;

	d->state = SMTP_DOT_MID;
	for (;;) {
		const char *cr = memchr(p + line, '\r', n - line);
		size_t end = cr ? (size_t)(cr - p) : n;
		const char *lf = memchr(p + line, '\n', end - line);

		if (lf)
			return lf == p ? bare_lf(d, in) : take(in, (size_t)(lf - p));
		if (!cr)
			return take(in, n);
		line = end + 2;
		if (line > n || p[end + 1] != '\n') { /* the next call finds out whether it is a bare one */
			d->state = SMTP_DOT_CR;
			slice head = take(in, end);
			take(in, 1);
			return head;
		}
		if (line == n || (d->dots && p[line] == '.')) {
			d->state = SMTP_DOT_START;
			return take(in, line);
		}
	}
}

/* One byte in a state that holds something back. */
static slice step(struct smtp_dot *d, slice *in)
{
	char c = in->p[0];

	if (d->state == SMTP_DOT_START) {
		take(in, 1); /* the dot: stuffing, or the end */
		d->state = SMTP_DOT_DOT;
		return nothing;
	}
	if (d->state == SMTP_DOT_DOT) {
		if (c == '\r')
			take(in, 1);
		d->state = c == '\r' ? SMTP_DOT_DOT_CR : SMTP_DOT_MID;
		return nothing;
	}
	if (c != '\n')
		return bare_cr(d);
	take(in, 1);
	if (d->state == SMTP_DOT_DOT_CR) {
		d->state = SMTP_DOT_END;
		return nothing;
	}
	d->state = SMTP_DOT_START;
	return crlf;
}

slice smtp_dot_next(struct smtp_dot *d, slice *in)
{
	if (in->n == 0 || d->state == SMTP_DOT_END)
		return nothing;
	if (d->state != SMTP_DOT_MID && (d->state != SMTP_DOT_START || (d->dots && in->p[0] == '.')))
		return step(d, in);
	slice out = run(d, in);
	if (out.n && memchr(out.p, 0, out.n))
		d->flaws |= SMTP_FLAW_NUL;
	return out;
}

slice smtp_dot_finish(struct smtp_dot *d)
{
	return d->state == SMTP_DOT_CR || d->state == SMTP_DOT_DOT_CR ? bare_cr(d) : nothing;
}

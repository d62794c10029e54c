#include "smtp/stuff.h"

static const slice crlf = SLICE_INIT("\r\n"), dot = SLICE_INIT("."), nothing;

static slice take(slice *in, size_t n)
{
	slice head = slice_sub(*in, 0, n);
	*in = slice_skip(*in, n);
	return head;
}

/* As much as can go out as it is; nothing needs to be put before its first byte. */
static slice run(struct smtp_stuff *s, slice *in)
{
	const char *p = in->p;
	size_t n = in->n, line = 0;

	s->start = false;
	for (;;) {
		const char *cr = memchr(p + line, '\r', n - line);
		size_t end = cr ? (size_t)(cr - p) : n;
		const char *lf = memchr(p + line, '\n', end - line);

		if (lf == p) { /* a bare LF */
			s->start = true;
			take(in, 1);
			return crlf;
		}
		if (lf)
			return take(in, (size_t)(lf - p));
		if (!cr)
			return take(in, n);
		line = end + 2;
		if (line > n || p[end + 1] != '\n') { /* a bare CR, or the next call has its LF */
			slice head = take(in, end);

			s->cr = true;
			take(in, 1);
			return head;
		}
		if (line == n || (s->dots && p[line] == '.')) {
			s->start = true;
			return take(in, line);
		}
	}
}

slice smtp_stuff_next(struct smtp_stuff *s, slice *in)
{
	if (in->n == 0)
		return nothing;
	if (s->cr) {
		s->cr = false;
		s->start = true;
		if (in->p[0] == '\n')
			take(in, 1);
		return crlf;
	}
	if (s->start && s->dots && in->p[0] == '.') {
		s->start = false; /* the content's own dot goes out with the next call */
		return dot;
	}
	return run(s, in);
}

slice smtp_stuff_finish(struct smtp_stuff *s)
{
	bool whole = s->start && !s->cr;

	s->start = true;
	s->cr = false;
	return whole ? nothing : crlf;
}

#include "pop3/dotwriter.h"

/* A line has ended: in the header an empty one begins the body, in the body it counts against `lines`. */
static void line_done(struct pop3_dotwriter *w)
{
	if (!w->in_body) {
		w->in_body = w->blank;
		w->full = w->in_body && w->lines == 0;
	} else if (w->lines != UINT64_MAX) {
		w->full = --w->lines == 0;
	}
	w->in_line = w->after_cr = false;
}

/* All up to the line end or the end of the bytes. */
static int part(struct pop3_dotwriter *w, slice s)
{
	if (s.n == 0)
		return 0;
	if (!w->in_line) {
		w->blank = true;
		if (s.p[0] == '.')
			stream_write(w->io, S("."));
	}
	w->in_line = true;
	w->blank = w->blank && s.n == 1 && s.p[0] == '\r' && !w->after_cr;
	w->after_cr = s.p[s.n - 1] == '\r';
	return stream_write(w->io, s);
}

/* Whole lines that need no change go out in one piece: the next line that begins with a dot or lacks its CR
 * ends it. */
static size_t plain_run(const struct pop3_dotwriter *w, slice s)
{
	size_t at = 0;

	if (w->in_line || !w->in_body || w->lines != UINT64_MAX)
		return 0;
	while (at < s.n && s.p[at] != '.') {
		const char *lf = memchr(s.p + at, '\n', s.n - at);

		if (!lf || lf == s.p + at || lf[-1] != '\r')
			break;
		at = (size_t)(lf - s.p) + 1;
	}
	return at;
}

int pop3_dotwriter_feed(struct pop3_dotwriter *w, slice s)
{
	int rc = 0;

	while (s.n > 0 && !w->full && rc == 0) {
		size_t run = plain_run(w, s);

		if (run > 0) {
			rc = stream_write(w->io, slice_sub(s, 0, run));
			s = slice_skip(s, run);
			continue;
		}
		ptrdiff_t lf = slice_find_c(s, '\n');
		if (lf < 0)
			return part(w, s);
		if (lf == 0 && !w->in_line)
			w->blank = true;
		rc = part(w, slice_sub(s, 0, (size_t)lf));
		if (rc == 0)
			rc = stream_write(w->io, w->after_cr ? S("\n") : S("\r\n"));
		line_done(w);
		s = slice_skip(s, (size_t)lf + 1);
	}
	return rc;
}

int pop3_dotwriter_end(struct pop3_dotwriter *w)
{
	if (w->in_line)
		stream_write(w->io, w->after_cr ? S("\n") : S("\r\n"));
	return stream_write(w->io, S(".\r\n"));
}

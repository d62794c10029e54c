#include "mail/subject.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Step 1: every run of blanks, folds and tabs becomes one blank. Returns what is appended. */
static slice squeeze(struct buf *out, slice in)
{
	size_t before = out->n, used = 0;
	char *p = buf_room(out, in.n);

	if (!p)
		return (slice){NULL, 0};
	for (size_t i = 0; i < in.n; i++) {
		if (!is_blank(in.p[i]))
			p[used++] = in.p[i];
		else if (used == 0 || p[used - 1] != ' ')
			p[used++] = ' ';
	}
	buf_grow(out, used);
	return slice_skip(buf_slice(out), before);
}

static slice skip_blanks(slice s)
{
	return s.n > 0 && s.p[0] == ' ' ? slice_skip(s, 1) : s; /* there is one at most */
}

/* subj-blob: "[" without brackets inside "]" and blanks. */
static bool take_blob(slice *s)
{
	if (s->n == 0 || s->p[0] != '[')
		return false;
	for (size_t i = 1; i < s->n; i++) {
		if (s->p[i] == '[')
			return false;
		if (s->p[i] == ']') {
			*s = skip_blanks(slice_skip(*s, i + 1));
			return true;
		}
	}
	return false;
}

/* subj-refwd: "re", "fw" or "fwd", blanks, at most one blob, ":". */
static bool take_refwd(slice *s)
{
	slice rest;

	if (slice_istarts(*s, S("re")))
		rest = slice_skip(*s, 2);
	else if (slice_istarts(*s, S("fwd")))
		rest = slice_skip(*s, 3);
	else if (slice_istarts(*s, S("fw")))
		rest = slice_skip(*s, 2);
	else
		return false;
	rest = skip_blanks(rest);
	(void)take_blob(&rest);
	if (rest.n == 0 || rest.p[0] != ':')
		return false;
	*s = slice_skip(rest, 1);
	return true;
}

/* Step 2. */
static slice cut_trailers(slice s, bool *reply)
{
	for (;;) {
		if (s.n > 0 && s.p[s.n - 1] == ' ') {
			s.n--;
		} else if (slice_iends(s, S("(fwd)"))) {
			s.n -= 5;
			*reply = true;
		} else {
			return s;
		}
	}
}

/*
 * Steps 3 to 5. Blobs in front of no "re:" are taken off as long as something is left behind them; none of
 * them has to be looked at twice, since what follows all of them decides.
 */
static slice cut_leaders(slice s, bool *reply)
{
	for (;;) {
		s = skip_blanks(s);
		slice behind = s;
		while (take_blob(&behind))
			;
		if (!take_refwd(&behind))
			break;
		s = behind;
		*reply = true;
	}
	for (slice behind = s; take_blob(&behind) && behind.n > 0;)
		s = behind;
	return s;
}

bool mail_subject_base(struct buf *out, slice utf8)
{
	size_t before = out->n;
	slice s = squeeze(out, utf8);
	bool reply = false;

	for (;;) {
		s = cut_leaders(cut_trailers(s, &reply), &reply);
		if (!slice_istarts(s, S("[fwd:")) || !slice_ends(s, S("]")))
			break; /* else step 6 */
		s = slice_sub(s, 5, s.n - 6);
		reply = true;
	}
	if (s.n > 0)
		memmove(out->p + before, s.p, s.n);
	buf_truncate(out, before + s.n);
	return reply;
}

#include "mail/header.h"
#include "limits.h"
#include "mail/chars.h"

/* Offset behind the line that begins at pos. */
static size_t line_end(slice s, size_t pos)
{
	const char *lf = memchr(s.p + pos, '\n', s.n - pos);
	return lf ? (size_t)(lf - s.p) + 1 : s.n;
}

static size_t empty_line(slice s, size_t pos)
{
	if (pos < s.n && s.p[pos] == '\n')
		return 1;
	return pos + 1 < s.n && s.p[pos] == '\r' && s.p[pos + 1] == '\n' ? 2 : 0;
}

static size_t field_end(slice s, size_t pos)
{
	size_t end = line_end(s, pos);
	while (end < s.n && (s.p[end] == ' ' || s.p[end] == '\t'))
		end = line_end(s, end);
	return end;
}

static void split_field(slice whole, struct mail_field *ret)
{
	slice body = whole;
	size_t n = 0;
	while (n < whole.n && mail_char(whole.p[n]) & CH_FTEXT)
		n++;
	size_t colon = n;
	while (colon < whole.n && (whole.p[colon] == ' ' || whole.p[colon] == '\t'))
		colon++;
	if (body.n && body.p[body.n - 1] == '\n')
		body.n--;
	if (body.n && body.p[body.n - 1] == '\r')
		body.n--;
	ret->whole = whole;
	if (n && colon < whole.n && whole.p[colon] == ':') {
		ret->name = slice_sub(whole, 0, n);
		ret->value = slice_skip(body, colon + 1);
	} else {
		ret->name = slice_sub(whole, 0, 0);
		ret->value = body;
	}
}

bool mail_header_next(struct mail_header_scan *scan, struct mail_field *ret)
{
	slice in = slice_sub(scan->in, 0, LIMIT_MAIL_HEADER);
	if (scan->pos >= in.n || empty_line(in, scan->pos))
		return false;
	size_t end = field_end(in, scan->pos);
	split_field(slice_sub(in, scan->pos, end - scan->pos), ret);
	ret->offset = scan->pos;
	scan->pos = end;
	return true;
}

size_t mail_header_length(slice message)
{
	for (size_t pos = 0; pos < message.n; pos = line_end(message, pos)) {
		size_t n = empty_line(message, pos);
		if (n)
			return pos + n;
	}
	return message.n;
}

bool mail_header_find(slice message, slice name, struct mail_field *ret)
{
	struct mail_header_scan scan = mail_header_begin(message);
	struct mail_field f;
	while (mail_header_next(&scan, &f)) {
		if (slice_ieq(f.name, name)) {
			*ret = f;
			return true;
		}
	}
	return false;
}

/* Writes the unfolded value to p, which has room for value.n bytes; returns their number. */
static size_t unfold(char *p, slice value)
{
	size_t n = 0;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (c == '\n' || (c == '\r' && i + 1 < value.n && value.p[i + 1] == '\n'))
			continue;
		p[n++] = c == '\r' || c == 0 ? ' ' : c;
	}
	return n;
}

static bool needs_unfolding(slice v)
{
	return v.n && (memchr(v.p, '\n', v.n) || memchr(v.p, '\r', v.n) || memchr(v.p, 0, v.n));
}

void mail_header_unfold(struct buf *out, slice value)
{
	value = slice_trim(value);
	if (!needs_unfolding(value)) {
		buf_add(out, value);
		return;
	}
	char *p = buf_room(out, value.n);
	if (p)
		buf_grow(out, unfold(p, value));
}

slice mail_header_unfolded(struct arena *a, slice value)
{
	value = slice_trim(value);
	if (!needs_unfolding(value))
		return value;
	char *p = arena_alloc(a, value.n, 1, 1);
	return p ? (slice){p, unfold(p, value)} : (slice){0};
}

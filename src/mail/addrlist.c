/*
 * Address lists of header fields: RFC 5322 3.4 with section 4, read as people and old programs write them.
 *
 * The text between two separators is lexed once, which notes where its @ is and where its last word began;
 * then the wanted stretches are turned into clean slices. Each byte is looked at a fixed number of times.
 */
#include "limits.h"
#include "mail/address.h"
#include "mail/chars.h"

#define ENCODED_WORD_MAX 255  /* RFC 2047 2 says 75; mailers write more */
#define ROUTE_MAX        1024 /* looked through for the end of a source route: keeps the walk linear */

enum stop { STOP_END, STOP_COMMA, STOP_SEMICOLON, STOP_COLON, STOP_ANGLE };

struct stretch {            /* what one lexer run found; offsets into the text */
	size_t start, end;  /* without blanks around */
	size_t at;          /* of the last @, SIZE_MAX: none */
	size_t local_start; /* where the word with that @ begins */
	size_t domain_end;  /* where the word behind the @ ends */
	slice comment;      /* inside of the last comment, p == NULL: none */
	enum stop stop;
	size_t next; /* behind the separator */
};

/* End of the comment that begins at i (behind its parenthesis), s.n when it is not closed. */
static size_t comment_end(slice s, size_t i)
{
	size_t depth = 0;
	for (; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return s.n;
}

static size_t quoted_end(slice s, size_t i)
{
	for (i++; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return s.n;
}

/* End of an encoded word at i, or i when there is none: separators inside it are no separators. */
static size_t encoded_word_end(slice s, size_t i)
{
	slice head = slice_sub(s, i, ENCODED_WORD_MAX);
	int marks = 0;
	if (!slice_starts(head, S("=?")))
		return i;
	for (size_t k = 2; k < head.n && !(mail_char(head.p[k]) & CH_BLANK); k++) {
		if (head.p[k] != '?')
			continue;
		if (++marks == 3)
			return k + 1 < head.n && head.p[k + 1] == '=' ? i + k + 2 : i;
	}
	return i;
}

static size_t token_end(slice s, size_t i, bool in_domain)
{
	switch (s.p[i]) {
	case '"':
		return quoted_end(s, i);
	case '[':
		if (in_domain) {
			ptrdiff_t close = slice_find_c(slice_skip(s, i), ']');
			return close < 0 ? s.n : i + (size_t)close + 1;
		}
		return i + 1;
	case '\\':
		return i + 2 < s.n ? i + 2 : s.n;
	case '=': {
		size_t end = encoded_word_end(s, i);
		return end > i ? end : i + 1;
	}
	default:
		while (++i < s.n && mail_char(s.p[i]) & (CH_ATEXT | CH_HIGH) && s.p[i] != '=')
			;
		return i;
	}
}

static bool stop_of(char c, bool angle, bool in_group, bool has_at, enum stop *ret)
{
	if (c == ',')
		*ret = STOP_COMMA;
	else if (angle)
		return c == '>' ? (*ret = STOP_ANGLE, true) : false;
	else if (c == ';')
		*ret = STOP_SEMICOLON;
	else if (c == '<')
		*ret = STOP_ANGLE;
	else if (c == ':' && !in_group && !has_at)
		*ret = STOP_COLON;
	else
		return false;
	return true;
}

/* Lexes up to the next separator. angle: inside of < >, where only > and a comma are separators. */
static struct stretch lex(slice s, size_t i, bool angle, bool in_group)
{
	struct stretch f = {.start = SIZE_MAX, .at = SIZE_MAX};
	size_t word = i, last = SIZE_MAX; /* start of the present word; last byte that was no blank */
	bool gap = false;
	while (i < s.n) {
		char c = s.p[i];
		if (mail_char(c) & CH_BLANK || (c == '>' && !angle)) {
			gap = true;
			i++;
			continue;
		}
		if (c == '(') {
			size_t end = comment_end(s, i);
			bool closed = end > i + 1 && s.p[end - 1] == ')';
			f.comment = slice_sub(s, i + 1, end - i - 1 - (closed ? 1 : 0));
			gap = true;
			i = end;
			continue;
		}
		if (stop_of(c, angle, in_group, f.at != SIZE_MAX, &f.stop)) {
			f.next = i + 1;
			break;
		}
		if (f.start == SIZE_MAX)
			f.start = i;
		bool joins =
			c == '.' || c == '@' || (last != SIZE_MAX && (s.p[last] == '.' || s.p[last] == '@'));
		if (gap && !joins) {
			if (f.at != SIZE_MAX && f.domain_end == 0)
				f.domain_end = f.end;
			word = i;
		}
		gap = false;
		if (c == '@') {
			f.at = i;
			f.local_start = word < f.start ? f.start : word;
			f.domain_end = 0;
			i++;
		} else {
			i = token_end(s, i, last != SIZE_MAX && s.p[last] == '@');
		}
		last = i - 1;
		f.end = i;
	}
	if (i >= s.n && f.next == 0)
		f.next = s.n;
	if (f.start == SIZE_MAX)
		f.start = f.end = i;
	if (f.domain_end == 0)
		f.domain_end = f.end;
	return f;
}

/* Whether a stretch can be given as it stands. */
static bool is_clean(slice s, bool phrase)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (mail_char(c) & (CH_ATEXT | CH_HIGH) || c == '.')
			continue;
		if (c == '"' || c == '(' || c == '\\' || c == '\r' || c == '\n' || c == '\t' || c == 0)
			return false;
		if (c == ' ' && (!phrase || (i + 1 < s.n && s.p[i + 1] == ' ')))
			return false;
	}
	return true;
}

struct writer {
	char *p;
	size_t n;
};

/* Quoted text from `i` (behind the quote) on, without backslashes and line ends; returns where it ended. */
static size_t copy_quoted(struct writer *w, slice s, size_t i)
{
	for (; i < s.n && s.p[i] != '"'; i++) {
		if (s.p[i] == '\r' || s.p[i] == '\n')
			continue;
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		w->p[w->n++] = s.p[i];
	}
	return i < s.n ? i + 1 : i;
}

/* The stretch without comments, quotes and folds. phrase: words stay parted by one blank; else blanks go. */
static slice clean(struct mail_address_scan *scan, slice s, bool phrase)
{
	if (is_clean(s, phrase))
		return s;
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"') {
		slice inner = slice_sub(s, 1, s.n - 2);
		if (!memchr(inner.p, '"', inner.n) && !memchr(inner.p, '\\', inner.n) &&
			!memchr(inner.p, '\n', inner.n) && !memchr(inner.p, '\r', inner.n))
			return inner;
	}
	struct writer w = {arena_alloc(scan->a, s.n + 1, 1, 1), 0};
	bool gap = false;
	if (!w.p) {
		scan->cut = true;
		return (slice){"", 0};
	}
	for (size_t i = 0; i < s.n;) {
		char c = s.p[i];
		if (mail_char(c) & CH_BLANK || c == 0) {
			gap = true;
			i++;
		} else if (c == '(') {
			gap = true;
			i = comment_end(s, i);
		} else {
			if (gap && phrase && w.n)
				w.p[w.n++] = ' ';
			gap = false;
			if (c == '"') {
				i = copy_quoted(&w, s, i + 1);
			} else {
				if (c == '\\' && i + 1 < s.n)
					i++;
				w.p[w.n++] = s.p[i++];
			}
		}
	}
	return (slice){w.p, w.n};
}

/* A comment as a name: nested ones stay in it, backslashes and folds go. */
static slice comment_text(struct mail_address_scan *scan, slice s)
{
	s = slice_trim(s);
	if (!memchr(s.p, '\\', s.n) && !memchr(s.p, '\n', s.n) && !memchr(s.p, '\r', s.n))
		return s;
	struct writer w = {arena_alloc(scan->a, s.n + 1, 1, 1), 0};
	if (!w.p) {
		scan->cut = true;
		return (slice){0};
	}
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\r' || s.p[i] == '\n')
			continue;
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		w.p[w.n++] = s.p[i];
	}
	return (slice){w.p, w.n};
}

static slice name_or_comment(struct mail_address_scan *scan, slice name, slice comment)
{
	if (name.n == 0 && comment.n)
		return comment_text(scan, comment);
	return name.n ? clean(scan, slice_trim(name), true) : (slice){0};
}

static slice between(slice s, size_t from, size_t to)
{
	return slice_sub(s, from, to > from ? to - from : 0);
}

static void take_spec(
	struct mail_address_scan *scan, slice s, const struct stretch *f, struct mail_address *ret)
{
	if (f->at == SIZE_MAX) {
		ret->local = clean(scan, between(s, f->start, f->end), false);
		return;
	}
	ret->local = clean(scan, between(s, f->local_start, f->at), false);
	ret->domain = clean(scan, between(s, f->at + 1, f->domain_end), false);
}

/* Inside of < >: an obsolete route, then the address. Returns where the list goes on. */
static size_t take_angle(
	struct mail_address_scan *scan, slice s, size_t i, struct mail_address *ret, slice *comment)
{
	size_t start = i;
	while (start < s.n && mail_char(s.p[start]) & CH_BLANK)
		start++;
	if (start < s.n && s.p[start] == '@') {
		slice window = slice_sub(s, start, ROUTE_MAX);
		ptrdiff_t colon = slice_find_c(window, ':');
		ptrdiff_t close = slice_find_c(window, '>');
		if (colon >= 0 && (close < 0 || colon < close)) {
			ret->route = clean(scan, slice_sub(s, start, (size_t)colon), false);
			i = start + (size_t)colon + 1;
		}
	}
	struct stretch f = lex(s, i, true, false);
	take_spec(scan, s, &f, ret);
	if (ret->local.n == 0 && !ret->domain.p)
		ret->local = (slice){"", 0};
	*comment = f.comment;
	if (f.stop != STOP_ANGLE)
		return f.next;
	/* what stands between > and the next separator says nothing, except a comment */
	for (i = f.next; i < s.n && s.p[i] != ',' && s.p[i] != ';';) {
		if (s.p[i] == '(') {
			size_t end = comment_end(s, i);
			*comment = slice_sub(
				s, i + 1, end - i - 1 - (s.p[end - 1] == ')' && end > i + 1 ? 1 : 0));
			i = end;
		} else {
			i = s.p[i] == '"' ? quoted_end(s, i) : i + 1;
		}
	}
	return i < s.n && s.p[i] == ',' ? i + 1 : i;
}

void mail_address_begin(struct mail_address_scan *scan, slice body, struct arena *a)
{
	*scan = (struct mail_address_scan){.rest = body, .a = a};
}

static bool end_group(struct mail_address_scan *scan, size_t next, struct mail_address *ret)
{
	scan->rest = slice_skip(scan->rest, next);
	scan->in_group = false;
	*ret = (struct mail_address){.kind = MAIL_ADDRESS_GROUP_END};
	return true;
}

/* Passes blanks and empty elements. False: *ret_i is at the end or at the semicolon that ends a group. */
static bool find_element(const struct mail_address_scan *scan, size_t *ret_i)
{
	slice s = scan->rest;
	size_t i = 0;
	while (i < s.n) {
		char c = s.p[i];
		if (c == ';' && scan->in_group)
			break;
		if (!(mail_char(c) & CH_BLANK) && c != ',' && c != '>' && c != ';') {
			*ret_i = i;
			return true;
		}
		i++;
	}
	*ret_i = i;
	return false;
}

/* Reads the element at i; false when it holds nothing but a comment. Puts where the list goes on in
 * *ret_next. */
static bool take_element(struct mail_address_scan *scan, size_t i, struct mail_address *ret, size_t *ret_next)
{
	slice s = scan->rest, comment;
	struct stretch f = lex(s, i, false, scan->in_group);
	*ret = (struct mail_address){0};
	*ret_next = f.next;
	if (f.stop == STOP_COLON) {
		ret->kind = MAIL_ADDRESS_GROUP;
		ret->name = clean(scan, between(s, f.start, f.end), true);
		scan->in_group = true;
		return true;
	}
	if (f.stop == STOP_ANGLE) {
		*ret_next = take_angle(scan, s, f.next, ret, &comment);
		ret->name =
			name_or_comment(scan, between(s, f.start, f.end), comment.p ? comment : f.comment);
		return true;
	}
	if (f.stop == STOP_SEMICOLON)
		--*ret_next; /* it may end a group: the next call sees it */
	if (f.start == f.end)
		return false;
	take_spec(scan, s, &f, ret);
	ret->name = name_or_comment(
		scan, f.at == SIZE_MAX ? (slice){0} : between(s, f.start, f.local_start), f.comment);
	return true;
}

bool mail_address_next(struct mail_address_scan *scan, struct mail_address *ret)
{
	struct mail_address a;
	size_t i, next;
	do {
		if (!find_element(scan, &i))
			return scan->in_group ? end_group(scan, i + 1, ret) : false;
		if (scan->count == LIMIT_MAIL_ADDRESSES) {
			scan->cut = true;
			return scan->in_group ? end_group(scan, scan->rest.n, ret) : false;
		}
		bool got = take_element(scan, i, &a, &next);
		scan->rest = slice_skip(scan->rest, next);
		if (got)
			break;
	} while (true);
	scan->count++;
	*ret = a;
	return true;
}

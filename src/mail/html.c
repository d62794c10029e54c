/* HTML to plain text, for previews and search. Linear: whatever is not closed runs to the end. */
#include "mail/chars.h"
#include "mail/decode.h"
#include "mail/utf8.h"

static const slice dropped[] = {/* elements whose content is no text for people */
	SLICE_INIT("style"), SLICE_INIT("script"), SLICE_INIT("head"), SLICE_INIT("title"),
	SLICE_INIT("template")};

static const slice inline_tags[] = {/* all others part words */
	SLICE_INIT("a"), SLICE_INIT("abbr"), SLICE_INIT("b"), SLICE_INIT("big"), SLICE_INIT("code"),
	SLICE_INIT("em"), SLICE_INIT("font"), SLICE_INIT("i"), SLICE_INIT("ins"), SLICE_INIT("del"),
	SLICE_INIT("s"), SLICE_INIT("small"), SLICE_INIT("span"), SLICE_INIT("strong"), SLICE_INIT("sub"),
	SLICE_INIT("sup"), SLICE_INIT("u"), SLICE_INIT("wbr")};

static const struct {
	slice name;
	uint32_t code;
} entities[] = {
	{SLICE_INIT("amp"), '&'},
	{SLICE_INIT("lt"), '<'},
	{SLICE_INIT("gt"), '>'},
	{SLICE_INIT("quot"), '"'},
	{SLICE_INIT("apos"), '\''},
	{SLICE_INIT("nbsp"), 0xA0},
	{SLICE_INIT("copy"), 0xA9},
	{SLICE_INIT("reg"), 0xAE},
	{SLICE_INIT("trade"), 0x2122},
	{SLICE_INIT("euro"), 0x20AC},
	{SLICE_INIT("pound"), 0xA3},
	{SLICE_INIT("hellip"), 0x2026},
	{SLICE_INIT("ndash"), 0x2013},
	{SLICE_INIT("mdash"), 0x2014},
	{SLICE_INIT("lsquo"), 0x2018},
	{SLICE_INIT("rsquo"), 0x2019},
	{SLICE_INIT("ldquo"), 0x201C},
	{SLICE_INIT("rdquo"), 0x201D},
	{SLICE_INIT("laquo"), 0xAB},
	{SLICE_INIT("raquo"), 0xBB},
	{SLICE_INIT("bull"), 0x2022},
	{SLICE_INIT("middot"), 0xB7},
	{SLICE_INIT("auml"), 0xE4},
	{SLICE_INIT("ouml"), 0xF6},
	{SLICE_INIT("uuml"), 0xFC},
	{SLICE_INIT("Auml"), 0xC4},
	{SLICE_INIT("Ouml"), 0xD6},
	{SLICE_INIT("Uuml"), 0xDC},
	{SLICE_INIT("szlig"), 0xDF},
	{SLICE_INIT("eacute"), 0xE9},
	{SLICE_INIT("egrave"), 0xE8},
	{SLICE_INIT("agrave"), 0xE0},
	{SLICE_INIT("ccedil"), 0xE7},
	{SLICE_INIT("shy"), 0xAD},
	{SLICE_INIT("zwnj"), 0x200C},
	{SLICE_INIT("zwj"), 0x200D},
};

static bool in_list(slice name, const slice *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_ieq(name, list[i]))
			return true;
	}
	return false;
}

/* "&#8217;" without & and ;. False: nothing that may stand in text. */
static bool numeric_entity(slice s, uint32_t *ret)
{
	bool hex = s.n > 1 && (s.p[1] == 'x' || s.p[1] == 'X');
	uint32_t v = 0;
	slice digits = slice_skip(s, hex ? 2 : 1);
	if (digits.n == 0 || digits.n > 7)
		return false;
	for (size_t i = 0; i < digits.n; i++) {
		char c = ascii_lower(digits.p[i]);
		if (ascii_is_digit(c))
			v = v * (hex ? 16 : 10) + (uint32_t)(c - '0');
		else if (hex && c >= 'a' && c <= 'f')
			v = v * 16 + (uint32_t)(c - 'a' + 10);
		else
			return false;
	}
	if (v == 0 || v > 0x10FFFF || (v >= 0xD800 && v < 0xE000))
		return false;
	*ret = v;
	return true;
}

/* The entity at i ("&"); returns the offset behind what was taken. */
static size_t add_entity(struct buf *out, slice s, size_t i)
{
	size_t n = 1;
	uint32_t v;
	while (i + n < s.n && n < 12 && (mail_char(s.p[i + n]) & CH_LETDIG || (n == 1 && s.p[i + n] == '#')))
		n++;
	slice name = slice_sub(s, i + 1, n - 1);
	size_t end = i + n + (i + n < s.n && s.p[i + n] == ';');
	if (name.n && name.p[0] == '#' && numeric_entity(name, &v)) {
		utf8_put(out, v);
		return end;
	}
	for (size_t k = 0; k < sizeof entities / sizeof *entities; k++) {
		if (slice_eq(name, entities[k].name)) {
			utf8_put(out, entities[k].code);
			return end;
		}
	}
	buf_add_c(out, '&');
	return i + 1;
}

/* Offset behind the end tag of `name`, searched from i. */
static size_t skip_element(slice s, size_t i, slice name)
{
	while (i < s.n) {
		const char *lt = memchr(s.p + i, '<', s.n - i);
		if (!lt)
			break;
		i = (size_t)(lt - s.p) + 1;
		if (i < s.n && s.p[i] == '/' && slice_istarts(slice_skip(s, i + 1), name) &&
			!(i + 1 + name.n < s.n && mail_char(s.p[i + 1 + name.n]) & CH_LETDIG)) {
			const char *gt = memchr(s.p + i, '>', s.n - i);
			return gt ? (size_t)(gt - s.p) + 1 : s.n;
		}
	}
	return s.n;
}

/* Offset behind the tag whose name ended at i: quotes in attributes may hold a >. */
static size_t tag_end(slice s, size_t i)
{
	char quote = 0;
	for (; i < s.n; i++) {
		char c = s.p[i];
		if (quote)
			quote = c == quote ? 0 : quote;
		else if (c == '>')
			return i + 1;
		else if ((c == '"' || c == '\'') && s.p[i - 1] == '=')
			quote = c;
	}
	return s.n;
}

/* The markup at i ("<"); returns the offset behind it. */
static size_t skip_markup(struct buf *out, slice s, size_t i)
{
	slice rest = slice_skip(s, i);
	if (slice_starts(rest, S("<!--"))) {
		ptrdiff_t end = slice_find(slice_skip(rest, 4), S("-->"));
		return end < 0 ? s.n : i + 4 + (size_t)end + 3;
	}
	size_t at = i + 1;
	bool closing = at < s.n && s.p[at] == '/';
	at += closing;
	if (at == s.n || !(ascii_is_alpha(s.p[at]) || s.p[at] == '!' || s.p[at] == '?')) {
		buf_add_c(out, '<'); /* "a < b" */
		return i + 1;
	}
	size_t start = at;
	while (at < s.n && mail_char(s.p[at]) & CH_LETDIG)
		at++;
	slice name = slice_sub(s, start, at - start);
	size_t end = tag_end(s, at > start ? at : at + 1);
	if (!closing && in_list(name, dropped, sizeof dropped / sizeof *dropped))
		end = skip_element(s, end, name);
	if (!in_list(name, inline_tags, sizeof inline_tags / sizeof *inline_tags))
		buf_add_c(out, ' ');
	return end;
}

void mail_html_text(struct buf *out, slice html)
{
	for (size_t i = 0; i < html.n;) {
		size_t start = i;
		while (i < html.n && html.p[i] != '<' && html.p[i] != '&')
			i++;
		buf_add(out, slice_sub(html, start, i - start));
		if (i == html.n)
			break;
		i = html.p[i] == '<' ? skip_markup(out, html, i) : add_entity(out, html, i);
	}
}

#include "mail/param.h"
#include "limits.h"
#include "mail/chars.h"
#include "mail/decode.h"

/* Blanks and comments off the head. */
static slice skip_cfws(slice s)
{
	size_t i = 0, depth = 0;
	for (; i < s.n; i++) {
		char c = s.p[i];
		if (c == '(')
			depth++;
		else if (depth && c == ')')
			depth--;
		else if (depth && c == '\\')
			i++;
		else if (!depth && !(mail_char(c) & CH_BLANK))
			break;
	}
	return slice_skip(s, i);
}

static slice take_token(slice *in)
{
	size_t i = 0;
	while (i < in->n && mail_char(in->p[i]) & (CH_TOKEN | CH_HIGH))
		i++;
	slice token = slice_sub(*in, 0, i);
	*in = slice_skip(*in, i);
	return token;
}

/* A quoted string off *in, cleaned. p == NULL: no memory. */
static slice take_quoted(slice *in, struct arena *a)
{
	size_t i = 1;
	bool dirty = false;
	for (; i < in->n && in->p[i] != '"'; i++) {
		if (in->p[i] == '\\')
			i++;
		if (i < in->n && (in->p[i - 1] == '\\' || in->p[i] == '\r' || in->p[i] == '\n'))
			dirty = true;
	}
	slice inner = slice_sub(*in, 1, i - 1);
	*in = slice_skip(*in, i + 1);
	if (!dirty)
		return inner;
	char *p = arena_alloc(a, inner.n, 1, 1);
	size_t n = 0;
	for (i = 0; p && i < inner.n; i++) {
		if (inner.p[i] == '\\' && i + 1 < inner.n)
			i++;
		if (inner.p[i] != '\r' && inner.p[i] != '\n')
			p[n++] = inner.p[i];
	}
	return (slice){p, p ? n : 0};
}

/* A value without quotes: up to a semicolon, blanks in it allowed (many mailers forget the quotes). */
static slice take_bare(slice *in)
{
	size_t i = 0;
	while (i < in->n && in->p[i] != ';' && in->p[i] != '\r' && in->p[i] != '\n' &&
		!(in->p[i] == '(' && i && mail_char(in->p[i - 1]) & CH_BLANK))
		i++;
	slice value = slice_trim(slice_sub(*in, 0, i));
	*in = slice_skip(*in, i);
	return value;
}

/* Passes everything up to the next semicolon, and it: quotes count only where a value may stand. */
static bool next_semicolon(slice *in)
{
	const char *semi = memchr(in->p, ';', in->n);
	if (!semi) {
		*in = (slice){in->p, 0};
		return false;
	}
	*in = slice_skip(*in, (size_t)(semi - in->p) + 1);
	return true;
}

struct params {
	struct mail_param *p;
	uint32_t n, cap;
	bool cut;
};

static void add_param(struct params *list, struct arena *a, struct mail_param param)
{
	if (list->n == list->cap) {
		uint32_t cap = list->cap ? list->cap * 4 : 4;
		struct mail_param *more =
			cap <= LIMIT_MAIL_PARAMS ? arena_new_n(a, struct mail_param, cap) : NULL;
		if (!more) {
			list->cut = true;
			return;
		}
		if (list->n)
			memcpy(more, list->p, list->n * sizeof *more);
		list->p = more;
		list->cap = cap;
	}
	list->p[list->n++] = param;
}

static void parse_params(slice s, struct arena *a, struct params *list)
{
	while (!list->cut && next_semicolon(&s)) {
		struct mail_param param;
		s = skip_cfws(s);
		param.name = take_token(&s);
		s = skip_cfws(s);
		if (param.name.n == 0 || s.n == 0 || s.p[0] != '=')
			continue;
		s = skip_cfws(slice_skip(s, 1));
		if (s.n && s.p[0] == '"') {
			param.value = take_quoted(&s, a);
			list->cut |= !param.value.p;
		} else {
			param.value = take_bare(&s);
		}
		if (param.value.p)
			add_param(list, a, param);
	}
}

bool mail_value_parse(slice body, bool slash, struct arena *a, struct mail_value *ret)
{
	slice s = skip_cfws(body);
	struct mail_value v = {.type = take_token(&s)};
	*ret = (struct mail_value){0};
	if (v.type.n == 0)
		return false;
	if (slash) {
		s = skip_cfws(s);
		if (s.n == 0 || s.p[0] != '/')
			return false;
		s = skip_cfws(slice_skip(s, 1));
		v.subtype = take_token(&s);
		if (v.subtype.n == 0)
			return false;
	}
	struct params list = {0};
	parse_params(s, a, &list);
	v.params = list.p;
	v.n = list.n;
	v.cut = list.cut;
	*ret = v;
	return true;
}

slice mail_value_param(const struct mail_value *v, slice name)
{
	for (uint32_t i = 0; i < v->n; i++) {
		if (slice_ieq(v->params[i].name, name))
			return v->params[i].value;
	}
	return (slice){0};
}

/* ---- RFC 2231 ---- */

struct piece {
	slice value;
	bool there, encoded;
};

/* Which piece of parameter `name` a raw name is: "name*", "name*0", "name*0*". -1: none. */
static int piece_of(slice raw, slice name, bool *ret_encoded)
{
	uint32_t number = 0;
	if (!slice_istarts(raw, name) || raw.n <= name.n || raw.p[name.n] != '*')
		return -1;
	slice rest = slice_skip(raw, name.n + 1);
	*ret_encoded = rest.n == 0 || rest.p[rest.n - 1] == '*';
	if (rest.n == 0)
		return 0;
	if (*ret_encoded)
		rest.n--;
	return slice_to_u32(rest, LIMIT_MAIL_PARAMS - 1, &number) ? (int)number : -1;
}

static int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void percent_decode(struct buf *out, slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		int high = s.p[i] == '%' && i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(s.p[i + 2]) : -1;
		if (low >= 0) {
			buf_add_c(out, (char)(high << 4 | low));
			i += 2;
		} else {
			buf_add_c(out, s.p[i]);
		}
	}
}

/* Takes charset'language' off *s. */
static slice take_charset(slice *s)
{
	slice charset, language, rest = *s;
	if (!slice_cut(&rest, '\'', &charset) || !slice_cut(&rest, '\'', &language))
		return (slice){0};
	*s = rest;
	return charset;
}

static bool join_pieces(const struct mail_value *v, slice name, struct buf *raw, slice *ret_charset)
{
	struct piece pieces[LIMIT_MAIL_PARAMS] = {0};
	bool encoded;
	for (uint32_t i = 0; i < v->n; i++) {
		int k = piece_of(v->params[i].name, name, &encoded);
		if (k >= 0 && !pieces[k].there)
			pieces[k] = (struct piece){v->params[i].value, true, encoded};
	}
	if (!pieces[0].there)
		return false;
	if (pieces[0].encoded)
		*ret_charset = take_charset(&pieces[0].value);
	for (size_t k = 0; k < LIMIT_MAIL_PARAMS && pieces[k].there; k++) {
		if (pieces[k].encoded)
			percent_decode(raw, pieces[k].value);
		else
			buf_add(raw, pieces[k].value);
	}
	return true;
}

static bool is_mentioned(const struct mail_value *v, slice name)
{
	for (uint32_t i = 0; i < v->n; i++) {
		if (slice_istarts(v->params[i].name, name))
			return true;
	}
	return false;
}

bool mail_value_param_utf8(const struct mail_value *v, slice name, struct arena *a, slice *ret)
{
	if (!is_mentioned(v, name))
		return false;
	struct buf raw = BUF_INIT(LIMIT_MAIL_FIELD), out = BUF_INIT(LIMIT_MAIL_FIELD * 3);
	slice charset = {0};
	slice plain = mail_value_param(v, name);
	bool found = true;
	if (join_pieces(v, name, &raw, &charset))
		mail_charset_to_utf8(&out, charset, buf_slice(&raw));
	else if (plain.p)
		mail_words_decode(&out, plain);
	else
		found = false;
	if (found) {
		slice copy = arena_copy(a, out.n ? buf_slice(&out) : S(""));
		found = copy.p != NULL;
		if (found)
			*ret = copy;
	}
	buf_free(&raw);
	buf_free(&out);
	return found;
}

#include "mail/sevenbit.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "limits.h"
#include "mail/chars.h"
#include "mail/header.h"

#define FOLD_AT  76
#define WORD_MAX 900 /* of a word that has no place to fold: cut, below SEVENBIT_LINE */
#define ENCODED_RAW                                                                                          \
	42           /* bytes in an encoded word: 56 of base64, and at most 18 around them (RFC 2047 2: 75) */
#define PARAM_RAW 60 /* bytes of a parameter in one piece: 180 octets when all are escaped */

/* ---- looking ---- */

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

static bool any(bytes16 v)
{
	words2 w = (words2)v;
	return (w[0] | w[1]) != 0;
}

/* NUL and a CR or LF that stands alone (the last byte's neighbours count as none), and bytes over 127. */
static struct sevenbit_look look_bytes(slice s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	bytes16 high = {0}, odd = {0};
	size_t i = 0;
	for (; i + 17 <= s.n; i += 16) {
		bytes16 here, next;
		memcpy(&here, p + i, 16);
		memcpy(&next, p + i + 1, 16);
		high |= here;
		odd |= (bytes16)(here == 0) | (bytes16)((here == '\r') ^ (next == '\n'));
	}
	uint8_t tail = 0;
	bool bad = s.n && p[0] == '\n';
	for (; i < s.n; i++) {
		tail |= p[i];
		bad |= p[i] == 0 || (p[i] == '\r') != (i + 1 < s.n && p[i + 1] == '\n');
	}
	return (struct sevenbit_look){any(high & 0x80) || tail & 0x80, bad || any(odd)};
}

/* A window of the longest line and its end must hold an LF; the last one in it ends the next window's wait,
 * so most bytes are not looked at. */
static bool has_long_line(slice s)
{
	const char *p = s.p, *end = s.p + s.n;
	while (end - p > SEVENBIT_LINE) {
		size_t window = (size_t)(end - p) < SEVENBIT_LINE + 2 ? (size_t)(end - p) : SEVENBIT_LINE + 2;
		const char *lf = memrchr(p, '\n', window);
		if (!lf)
			return true;
		p = lf + 1;
	}
	return false;
}

struct sevenbit_look sevenbit_look(slice s)
{
	struct sevenbit_look look = look_bytes(s);
	look.binary = look.binary || has_long_line(s);
	return look;
}

/* ---- words ---- */

void sevenbit_word(struct sevenbit_line *l, slice word)
{
	while (word.n) {
		slice piece = slice_sub(word, 0, WORD_MAX);
		if (l->col && l->col + 1 + piece.n > FOLD_AT) {
			buf_addz(l->out, "\r\n");
			l->col = 0;
		}
		buf_add_c(l->out, ' ');
		buf_add(l->out, piece);
		l->col += 1 + piece.n;
		word = slice_skip(word, piece.n);
	}
}

void sevenbit_encoded(struct sevenbit_line *l, slice text)
{
	bool utf8 = utf8_valid(text);
	struct buf b = BUF_INIT(128);
	while (text.n) {
		slice piece = slice_sub(text, 0, utf8 ? utf8_cut(text, ENCODED_RAW) : ENCODED_RAW);
		buf_reset(&b);
		buf_addz(&b, utf8 ? "=?utf-8?B?" : "=?unknown-8bit?B?");
		base64_encode(&b, piece);
		buf_addz(&b, "?=");
		sevenbit_word(l, buf_slice(&b));
		text = slice_skip(text, piece.n);
	}
	l->out->failed |= b.failed;
	buf_free(&b);
}

/* The word with what has no other form: '?' for each byte over 127. */
static void plain_word(struct sevenbit_line *l, slice word)
{
	if (ascii_only(word)) {
		sevenbit_word(l, word);
		return;
	}
	struct buf b = BUF_INIT(LIMIT_MAIL_HEADER);
	for (size_t i = 0; i < word.n; i++)
		buf_add_c(&b, word.p[i] & (char)0x80 ? '?' : word.p[i]);
	sevenbit_word(l, buf_slice(&b));
	l->out->failed |= b.failed;
	buf_free(&b);
}

static bool looks_encoded(slice word)
{
	return word.n > 6 && slice_starts(word, S("=?")) && slice_ends(word, S("?="));
}

/*
 * A run of text: words with bytes over 127, and the blanks between two of them, as encoded words, others as
 * they are. A decoder drops the blank between two encoded words, so one of the text's own is kept by encoding
 * it.
 */
static void phrase(struct sevenbit_line *l, slice text)
{
	slice word = {0}, before = {0};
	while (slice_word(&text, &word)) {
		if (ascii_only(word)) {
			sevenbit_word(l, word);
			before = word;
			continue;
		}
		const char *from = word.p, *to = word.p + word.n;
		slice ahead = text, next;
		while (slice_word(&ahead, &next) && !ascii_only(next)) {
			to = next.p + next.n;
			text = ahead;
		}
		if (looks_encoded(before))
			from--;
		next = (slice){0};
		ahead = text;
		if (slice_word(&ahead, &next) && looks_encoded(next))
			to++;
		sevenbit_encoded(l, slice_make(from, (size_t)(to - from)));
		before = (slice){0};
	}
}

/* ---- address fields ---- */

static bool is_mark(char c)
{
	return c == ',' || c == ':' || c == ';';
}

static size_t quoted_end(slice s, size_t i)
{
	for (i++; i < s.n && s.p[i] != '"'; i++)
		i += s.p[i] == '\\';
	return i < s.n ? i + 1 : s.n;
}

/* The end of what begins at i: a quoted string, a comment, an address in angle brackets, a mark, or a word.
 */
static size_t item_end(slice s, size_t i)
{
	static const char ends[] = " \t,:;<(\"";
	char first = s.p[i];
	if (first == '"')
		return quoted_end(s, i);
	if (first == '<' || first == '(') {
		char close = first == '<' ? '>' : ')';
		while (i < s.n && s.p[i] != close)
			i = s.p[i] == '"' && close == '>' ? quoted_end(s, i) : i + 1;
		return i < s.n ? i + 1 : s.n;
	}
	for (i++; i < s.n && !is_mark(first) && !memchr(ends, s.p[i], sizeof ends - 1);)
		i++;
	return i;
}

/* A word that may become an encoded one, from i to *ret_end: it has bytes over 127 and is of no address. */
static bool is_name(slice s, size_t i, size_t *ret_end)
{
	if (i == s.n || is_mark(s.p[i]) || memchr("<(\"", s.p[i], 3))
		return false;
	size_t end = item_end(s, i);
	slice word = slice_sub(s, i, end - i);
	if (ascii_only(word) || memchr(word.p, '@', word.n) || (end < s.n && s.p[end] == '@'))
		return false;
	*ret_end = end;
	return true;
}

static size_t skip_blanks(slice s, size_t i)
{
	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	return i;
}

/* A quoted string's content as encoded words: they must not stand in quotes (RFC 2047 5). */
static void quoted_phrase(struct sevenbit_line *l, slice quoted)
{
	struct buf b = BUF_INIT(LIMIT_MAIL_HEADER);
	for (size_t i = 1; i + 1 < quoted.n; i++) {
		i += quoted.p[i] == '\\' && i + 2 < quoted.n;
		buf_add_c(&b, quoted.p[i]);
	}
	sevenbit_encoded(l, buf_slice(&b));
	l->out->failed |= b.failed;
	buf_free(&b);
}

static void plain_words(struct sevenbit_line *l, slice text)
{
	slice word;
	while (slice_word(&text, &word))
		plain_word(l, word);
}

static void address_field(struct sevenbit_line *l, slice value)
{
	for (size_t i = skip_blanks(value, 0), end; i < value.n; i = skip_blanks(value, end)) {
		if (is_name(value, i, &end)) { /* the words of one name are one text: blanks are kept so */
			while (is_name(value, skip_blanks(value, end), &end))
				;
			sevenbit_encoded(l, slice_sub(value, i, end - i));
			continue;
		}
		end = item_end(value, i);
		/* a quoted local part and what follows are one word */
		bool address = end < value.n && value.p[end] == '@';
		while (address && end < value.n && !memchr(" \t,;<(", value.p[end], 6))
			end++;
		slice item = slice_sub(value, i, end - i);
		if (is_mark(item.p[0])) {
			buf_add_c(l->out, item.p[0]);
			l->col++;
		} else if (ascii_only(item) || address || (item.p[0] != '"' && item.p[0] != '(')) {
			plain_words(l, item);
		} else if (item.p[0] == '"') {
			quoted_phrase(l, item);
		} else {
			sevenbit_word(l, S("("));
			phrase(l, slice_sub(item, 1, item.n - 1 - (item.p[item.n - 1] == ')')));
			sevenbit_word(l, S(")"));
		}
	}
}

/* ---- parameters ---- */

static void param_pieces(struct sevenbit_line *l, slice name, slice value, bool more)
{
	static const char hex[] = "0123456789ABCDEF";
	struct buf b = BUF_INIT(2048);
	bool one = value.n <= PARAM_RAW;
	for (unsigned k = 0; value.n; k++) {
		slice piece = slice_sub(value, 0, utf8_cut(value, PARAM_RAW));
		value = slice_skip(value, piece.n);
		buf_reset(&b);
		buf_add(&b, slice_sub(name, 0, 60));
		if (!one)
			buf_addf(&b, "*%u", k);
		buf_addz(&b, k ? "*=" : "*=utf-8''");
		for (size_t i = 0; i < piece.n; i++) {
			uint8_t c = (uint8_t)piece.p[i];
			bool plain = ascii_is_alpha(piece.p[i]) || ascii_is_digit(piece.p[i]) || c == '.' ||
				     c == '-';
			if (plain)
				buf_add_c(&b, piece.p[i]);
			else
				buf_addf(&b, "%%%c%c", hex[c >> 4], hex[c & 15]);
		}
		if (value.n || more)
			buf_add_c(&b, ';');
		sevenbit_word(l, buf_slice(&b));
	}
	l->out->failed |= b.failed;
	buf_free(&b);
}

static size_t param_end(slice s)
{
	size_t i = 0;
	while (i < s.n && s.p[i] != ';')
		i = s.p[i] == '"' ? quoted_end(s, i) : i + 1;
	return i;
}

/* Content-Type and Content-Disposition. A boundary stays a plain parameter whatever it holds. */
static void param_field(struct sevenbit_line *l, slice value)
{
	struct buf b = BUF_INIT(LIMIT_MAIL_HEADER);
	while (value.n) {
		size_t end = param_end(value);
		bool more = end < value.n;
		slice whole = slice_sub(value, 0, end + more), param = slice_trim(slice_sub(value, 0, end)),
		      name;
		value = slice_skip(value, end + more);
		slice text = param;
		bool rewrite = !ascii_only(param) && slice_cut(&text, '=', &name) && ascii_only(name) &&
			       slice_find_c(name, '*') < 0 && !slice_ieq(slice_trim(name), S("boundary")) &&
			       utf8_valid(text);
		if (!rewrite) {
			plain_words(l, whole);
			continue;
		}
		text = slice_trim(text);
		buf_reset(&b);
		if (text.n > 1 && text.p[0] == '"') {
			for (size_t i = 1; i < text.n && text.p[i] != '"'; i++) {
				i += text.p[i] == '\\' && i + 1 < text.n;
				buf_add_c(&b, text.p[i]);
			}
			text = buf_slice(&b);
		}
		param_pieces(l, slice_trim(name), text, more);
	}
	l->out->failed |= b.failed;
	buf_free(&b);
}

/* ---- fields ---- */

enum field_form { UNSTRUCTURED, ADDRESSES, PARAMETERS, STRUCTURED };

static enum field_form form_of(slice name)
{
	static const struct {
		slice name;
		enum field_form form;
	} forms[] = {
		{SLICE_INIT("from"), ADDRESSES},
		{SLICE_INIT("sender"), ADDRESSES},
		{SLICE_INIT("reply-to"), ADDRESSES},
		{SLICE_INIT("to"), ADDRESSES},
		{SLICE_INIT("cc"), ADDRESSES},
		{SLICE_INIT("bcc"), ADDRESSES},
		{SLICE_INIT("resent-from"), ADDRESSES},
		{SLICE_INIT("resent-sender"), ADDRESSES},
		{SLICE_INIT("resent-to"), ADDRESSES},
		{SLICE_INIT("resent-cc"), ADDRESSES},
		{SLICE_INIT("resent-bcc"), ADDRESSES},
		{SLICE_INIT("disposition-notification-to"), ADDRESSES},
		{SLICE_INIT("content-type"), PARAMETERS},
		{SLICE_INIT("content-disposition"), PARAMETERS},
		{SLICE_INIT("content-transfer-encoding"), STRUCTURED},
		{SLICE_INIT("content-id"), STRUCTURED},
		{SLICE_INIT("mime-version"), STRUCTURED},
		{SLICE_INIT("date"), STRUCTURED},
		{SLICE_INIT("message-id"), STRUCTURED},
		{SLICE_INIT("in-reply-to"), STRUCTURED},
		{SLICE_INIT("references"), STRUCTURED},
		{SLICE_INIT("received"), STRUCTURED},
		{SLICE_INIT("return-path"), STRUCTURED},
		{SLICE_INIT("dkim-signature"), STRUCTURED},
		{SLICE_INIT("authentication-results"), STRUCTURED},
		{SLICE_INIT("arc-seal"), STRUCTURED},
		{SLICE_INIT("arc-message-signature"), STRUCTURED},
		{SLICE_INIT("arc-authentication-results"), STRUCTURED},
		{SLICE_INIT("auto-submitted"), STRUCTURED},
	};
	for (size_t i = 0; i < COUNT_OF(forms); i++)
		if (slice_ieq(name, forms[i].name))
			return forms[i].form;
	return UNSTRUCTURED;
}

/*
 * A line that is no field stays one that is none: without a blank in front it does not become a part of the
 * field before, with '?' for what goes no blank makes a name of it, and none begins with a dash, as a
 * boundary would.
 */
static void junk_line(struct sevenbit_line *l, slice line)
{
	struct buf b = BUF_INIT(LIMIT_MAIL_HEADER);
	bool blank = line.n && (line.p[0] == ' ' || line.p[0] == '\t');
	for (size_t i = 0; i < line.n; i++) {
		char c = line.p[i];
		if (c != '\n' && !(c == '\r' && i + 1 < line.n && line.p[i + 1] == '\n'))
			buf_add_c(&b, c == 0 || c == '\r' || c & (char)0x80 ? '?' : c);
	}
	slice rest = buf_slice(&b), word;
	if (!blank && slice_word(&rest, &word)) {
		if (word.p[0] == '-')
			buf_add_c(l->out, '?');
		slice head = slice_sub(word, 0, WORD_MAX);
		buf_add(l->out, head);
		l->col = head.n + 1;
		rest = slice_skip(buf_slice(&b), (size_t)(head.p + head.n - b.p));
	}
	while (slice_word(&rest, &word))
		sevenbit_word(l, word);
	l->out->failed |= b.failed;
	buf_free(&b);
}

void sevenbit_field(struct buf *out, const struct mail_field *f)
{
	struct sevenbit_look look = sevenbit_look(f->whole);
	if (!look.high && !look.binary) {
		buf_add(out, f->whole);
		return;
	}
	struct buf value = BUF_INIT(LIMIT_MAIL_HEADER);
	struct sevenbit_line l = {.out = out};
	size_t start = out->n;
	mail_header_unfold(&value, f->value);
	slice rest = buf_slice(&value);
	enum field_form form = form_of(f->name);
	if (f->name.n == 0) {
		junk_line(&l, f->value);
	} else {
		slice name = slice_sub(f->name, 0, WORD_MAX);
		buf_add(out, name);
		buf_add_c(out, ':');
		l.col = name.n + 1;
		if (form == UNSTRUCTURED)
			phrase(&l, rest);
		else if (form == ADDRESSES)
			address_field(&l, rest);
		else if (form == PARAMETERS)
			param_field(&l, rest);
		else
			plain_words(&l, rest);
	}
	if (out->n > start)
		buf_addz(out, "\r\n");
	out->failed |= value.failed;
	buf_free(&value);
}

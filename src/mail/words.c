/* Encoded words in header text: RFC 2047, read leniently. */
#include "base/encode.h"
#include "limits.h"
#include "mail/chars.h"
#include "mail/decode.h"

struct word {
	slice charset, text;
	bool q;
	size_t end; /* offset behind it */
};

struct words {
	struct buf raw; /* decoded bytes of adjacent words of one charset, not yet converted */
	slice charset;
	bool pending;
	bool no_more; /* no "?=" follows: looking for one again would cost square time */
};

static bool is_hex(char c)
{
	c = ascii_lower(c);
	return ascii_is_digit(c) || (c >= 'a' && c <= 'f');
}

/*
 * Where the word's text ends, -1: nowhere. A question mark in it should have been encoded, and often is not:
 * "what?=20now?=" goes on behind the first "?=", as long as nothing there looks like another word.
 */
static ptrdiff_t find_end(slice text, bool q)
{
	ptrdiff_t end = slice_find(text, S("?="));
	size_t at = (size_t)end + 2;

	if (end < 0 || !q || at + 2 > text.n || !is_hex(text.p[at]) || !is_hex(text.p[at + 1]))
		return end;
	while (at < text.n && !(mail_char(text.p[at]) & CH_BLANK) && text.p[at] != '?')
		at++;
	bool more = at + 1 < text.n && text.p[at] == '?' && text.p[at + 1] == '=' && text.p[at - 1] != '=';
	return more ? (ptrdiff_t)at : end;
}

/* A word without its "?=", as the last thing of a field that was cut. */
static bool is_rest(slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (mail_char(text.p[i]) & CH_BLANK)
			return false;
	}
	return text.n > 0;
}

/* The encoded word that begins at i ("=?"). */
static bool find_word(struct words *w, slice s, size_t i, struct word *ret)
{
	slice rest = slice_skip(s, i + 2);
	size_t n = 0;
	while (n < rest.n && n < 60 && mail_char(rest.p[n]) & CH_FTEXT && rest.p[n] != '?')
		n++;
	if (w->no_more || n == 0 || rest.n < n + 5 || rest.p[n] != '?' || rest.p[n + 2] != '?')
		return false;
	char encoding = ascii_lower(rest.p[n + 1]);
	if (encoding != 'q' && encoding != 'b')
		return false;
	slice text = slice_skip(rest, n + 3);
	ptrdiff_t end = find_end(text, encoding == 'q');
	if (end < 0) {
		w->no_more = true;
		if (!is_rest(text))
			return false;
	}
	ptrdiff_t star = slice_find_c(slice_sub(rest, 0, n), '*'); /* RFC 2231 5: charset*language */
	ret->charset = slice_sub(rest, 0, star > 0 ? (size_t)star : n);
	ret->text = end < 0 ? text : slice_sub(text, 0, (size_t)end);
	ret->q = encoding == 'q';
	ret->end = end < 0 ? s.n : i + 2 + n + 3 + (size_t)end + 2;
	return true;
}

static void decode_q(struct buf *out, slice text)
{
	struct mail_decoder d = {.encoding = MAIL_ENCODING_QP};
	slice head;
	while (slice_cut(&text, '_', &head)) {
		mail_decoder_feed(&d, out, head);
		mail_decoder_feed(&d, out, S("=20"));
	}
	mail_decoder_feed(&d, out, text);
	mail_decoder_feed(&d, out, S("=\n")); /* keeps blanks at the end */
	mail_decoder_finish(&d, out);
}

static void flush(struct words *w, struct buf *out)
{
	if (w->pending)
		mail_charset_to_utf8(out, w->charset, buf_slice(&w->raw));
	buf_reset(&w->raw);
	w->pending = false;
}

static void add_word(struct words *w, struct buf *out, const struct word *word)
{
	if (w->pending && !slice_ieq(w->charset, word->charset))
		flush(w, out);
	w->charset = word->charset;
	w->pending = true;
	if (word->q) {
		decode_q(&w->raw, word->text);
	} else {
		struct mail_decoder d = {.encoding = MAIL_ENCODING_BASE64};
		mail_decoder_feed(&d, &w->raw, word->text);
		mail_decoder_finish(&d, &w->raw);
	}
}

static bool all_blank(slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!(mail_char(s.p[i]) & CH_BLANK))
			return false;
	}
	return true;
}

void mail_words_decode(struct buf *out, slice in)
{
	struct words w = {.raw = BUF_INIT(LIMIT_MAIL_FIELD * 2)};
	size_t plain = 0, i = 0; /* text not yet given begins at plain */
	while (i + 1 < in.n) {
		struct word word;
		const char *at = memchr(in.p + i, '=', in.n - 1 - i);
		if (!at)
			break;
		i = (size_t)(at - in.p);
		if (in.p[i + 1] != '?' || !find_word(&w, in, i, &word)) {
			i++;
			continue;
		}
		slice gap = slice_sub(in, plain, i - plain);
		if (!w.pending ||
			!all_blank(gap)) { /* blanks between two words are not shown: RFC 2047 6.2 */
			flush(&w, out);
			mail_charset_to_utf8(out, (slice){0}, gap);
		}
		add_word(&w, out, &word);
		plain = i = word.end;
	}
	flush(&w, out);
	mail_charset_to_utf8(out, (slice){0}, slice_skip(in, plain));
	buf_free(&w.raw);
}

slice mail_words_decoded(struct arena *a, slice in)
{
	if (ascii_only(in) && slice_find(in, S("=?")) < 0 && slice_find_c(in, '\x1b') < 0)
		return in;
	struct buf out = BUF_INIT(LIMIT_MAIL_FIELD * 3);
	mail_words_decode(&out, in);
	slice copy = arena_copy(a, out.n ? buf_slice(&out) : S(""));
	buf_free(&out);
	return copy;
}

/* Charsets to UTF-8, by ICU; names as the web reads them (WHATWG Encoding 4.2) where mail says less than it
 * means. */
#include "base/encode.h"
#include "limits.h"
#include "mail/decode.h"
#include "mail/utf8.h"
#include <unicode/ucnv.h>
#include <unicode/ucnv_err.h>

#define NAME_MAX_LEN 40

static const struct {
	slice name;
	const char *read_as;
} aliases[] = {
	{SLICE_INIT("iso-8859-1"), "windows-1252"},
	{SLICE_INIT("iso8859-1"), "windows-1252"},
	{SLICE_INIT("latin1"), "windows-1252"},
	{SLICE_INIT("l1"), "windows-1252"},
	{SLICE_INIT("iso-8859-9"), "windows-1254"},
	{SLICE_INIT("latin5"), "windows-1254"},
	{SLICE_INIT("iso-8859-11"), "windows-874"},
	{SLICE_INIT("tis-620"), "windows-874"},
	{SLICE_INIT("iso-8859-8-i"), "iso-8859-8"},
	{SLICE_INIT("iso-8859-8-e"), "iso-8859-8"},
	{SLICE_INIT("gb2312"), "gb18030"},
	{SLICE_INIT("gb_2312-80"), "gb18030"},
	{SLICE_INIT("gbk"), "gb18030"},
	{SLICE_INIT("x-gbk"), "gb18030"},
	{SLICE_INIT("cp936"), "gb18030"},
	{SLICE_INIT("euc-cn"), "gb18030"},
	{SLICE_INIT("gb_2312"), "gb18030"},
	{SLICE_INIT("gb-2312"), "gb18030"},
	{SLICE_INIT("csgb2312"), "gb18030"},
	{SLICE_INIT("csgbk"), "gb18030"},
	{SLICE_INIT("ms936"), "gb18030"},
	{SLICE_INIT("windows-936"), "gb18030"},
	{SLICE_INIT("gb-18030"), "gb18030"},
	{SLICE_INIT("big5"), "big5-hkscs"},
	{SLICE_INIT("big-5"), "big5-hkscs"},
	{SLICE_INIT("csbig5"), "big5-hkscs"},
	{SLICE_INIT("cn-big5"), "big5-hkscs"},
	{SLICE_INIT("x-x-big5"), "big5-hkscs"},
	{SLICE_INIT("x-big5"), "big5-hkscs"},
	{SLICE_INIT("cp950"), "big5-hkscs"},
	{SLICE_INIT("ks_c_5601-1987"), "windows-949"},
	{SLICE_INIT("ks_c_5601-1989"), "windows-949"},
	{SLICE_INIT("ksc5601"), "windows-949"},
	{SLICE_INIT("euc-kr"), "windows-949"},
	{SLICE_INIT("euckr"), "windows-949"},
	{SLICE_INIT("cseuckr"), "windows-949"},
	{SLICE_INIT("korean"), "windows-949"},
	{SLICE_INIT("shift-jis"), "shift_jis"},
	{SLICE_INIT("sjis"), "shift_jis"},
	{SLICE_INIT("cp932"), "shift_jis"},
	{SLICE_INIT("iso-2022-jp-ms"), "iso-2022-jp"},
	{SLICE_INIT("cp50220"), "iso-2022-jp"},
	{SLICE_INIT("cp50221"), "iso-2022-jp"},
	{SLICE_INIT("win-1251"), "windows-1251"},
	{SLICE_INIT("x-cp1251"), "windows-1251"},
	{SLICE_INIT("unicode-1-1-utf-7"), "utf-7"},
};

/* Seven-bit bytes that are not ASCII: these charsets never take the quick path. */
static const slice not_ascii[] = {
	SLICE_INIT("iso-2022"),
	SLICE_INIT("csiso2022"),
	SLICE_INIT("hz"),
	SLICE_INIT("utf-7"),
	SLICE_INIT("utf7"),
	SLICE_INIT("unicode-1-1"),
	SLICE_INIT("utf-16"),
	SLICE_INIT("utf16"),
	SLICE_INIT("utf-32"),
	SLICE_INIT("utf32"),
	SLICE_INIT("ucs-"),
	SLICE_INIT("iso-10646"),
	SLICE_INIT("ebcdic"),
	SLICE_INIT("ibm"),
	SLICE_INIT("cp"),
	SLICE_INIT("scsu"),
	SLICE_INIT("bocu"),
	SLICE_INIT("imap"),
};

static bool ascii_compatible(slice charset)
{
	for (size_t i = 0; i < sizeof not_ascii / sizeof *not_ascii; i++) {
		if (slice_istarts(charset, not_ascii[i]))
			return false;
	}
	return true;
}

/* The ICU name to open, in z; false when there is no such charset. Only names of ICU's own table pass: it
 * would look for a file otherwise. */
static bool icu_name(slice charset, char z[static NAME_MAX_LEN + 1])
{
	UErrorCode code = U_ZERO_ERROR;
	if (charset.n == 0 || charset.n > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
		if (slice_ieq(charset, aliases[i].name))
			charset = slice_of(aliases[i].read_as);
	}
	for (size_t i = 0; i < charset.n; i++) {
		char c = charset.p[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) && !memchr("-_.:+()", c, 7))
			return false;
		z[i] = c;
	}
	z[charset.n] = 0;
	return ucnv_countAliases(z, &code) > 0 && U_SUCCESS(code);
}

/*
 * To ICU an escape sequence behind which nothing comes but another one is suspicious. It is what two encoded
 * words of ISO-2022-JP are when they are joined: nothing stands for it.
 */
static void substitute(const void *context, UConverterToUnicodeArgs *args, const char *units, int32_t n,
	UConverterCallbackReason reason, UErrorCode *code)
{
	if (reason == UCNV_IRREGULAR)
		*code = U_ZERO_ERROR;
	else
		UCNV_TO_U_CALLBACK_SUBSTITUTE(context, args, units, n, reason, code);
}

static bool convert(struct buf *out, const char *name, slice in)
{
	enum { PIVOT = 1024 };
	UChar pivot[PIVOT], *pivot_from = pivot, *pivot_to = pivot;
	UErrorCode code = U_ZERO_ERROR;
	UConverter *from = ucnv_open(name, &code);
	UConverter *to = ucnv_open("UTF-8", &code);
	const char *src = in.p, *end = in.p + in.n;
	size_t before = out->n;
	bool first = true;
	if (U_SUCCESS(code))
		ucnv_setToUCallBack(from, substitute, NULL, NULL, NULL, &code);
	if (U_SUCCESS(code)) {
		do {
			size_t want = (size_t)(end - src) * 3 / 2 + 64;
			char *room = buf_room(out, want);
			if (!room)
				break;
			char *at = room;
			code = U_ZERO_ERROR;
			ucnv_convertEx(to, from, &at, room + want, &src, end, pivot, &pivot_from, &pivot_to,
				pivot + PIVOT, first, true, &code);
			buf_grow(out, (size_t)(at - room));
			first = false;
		} while (code == U_BUFFER_OVERFLOW_ERROR);
	}
	ucnv_close(from);
	ucnv_close(to);
	if (U_SUCCESS(code) || out->failed)
		return true;
	buf_truncate(out, before);
	return false;
}

void mail_utf8_clean(struct buf *out, slice in)
{
	if (utf8_valid(in)) {
		buf_add(out, in);
		return;
	}
	size_t good = 0;
	for (size_t i = 0; i < in.n;) {
		size_t at = i;
		if (utf8_take(in, &i) >= 0)
			continue;
		buf_add(out, slice_sub(in, good, at - good));
		utf8_put(out, 0xFFFD);
		good = i;
	}
	buf_add(out, slice_skip(in, good));
}

/* ---- text of which nobody says what it is ---- */

#define GUESS_MAX 4096 /* bytes looked at */

static uint8_t byte_at(slice s, size_t i)
{
	return (uint8_t)s.p[i];
}

/* Length of the GB18030 character at i, whose first byte is not ASCII. 0: none; cut by the end: what is left.
 */
static size_t gb_length(slice s, size_t i)
{
	uint8_t a = byte_at(s, i), b = i + 1 < s.n ? byte_at(s, i + 1) : 0;

	if (a == 0x80 || a == 0xFF)
		return 0;
	if (i + 1 == s.n)
		return 1;
	if (b >= '0' && b <= '9') {
		bool good = (i + 2 >= s.n || byte_at(s, i + 2) > 0x80) &&
			    (i + 3 >= s.n || ascii_is_digit(s.p[i + 3]));
		return good ? (s.n - i < 4 ? s.n - i : 4) : 0;
	}
	return b >= 0x40 && b != 0x7F && b != 0xFF ? 2 : 0;
}

/*
 * Whether 8-bit text that is not UTF-8 reads like Chinese in GB2312 and its supersets. Every high byte must
 * belong to a character, and most characters to the 3,755 most frequent ones or the punctuation: in western
 * text high bytes are rarely two together and then of other rows, and Russian words have an odd letter half
 * of the time and only bytes from 0xC0 up.
 */
static bool reads_as_chinese(slice s)
{
	size_t pairs = 0, common = 0, low = 0;

	s = slice_sub(s, 0, GUESS_MAX);
	for (size_t i = 0, n; i < s.n; i += n) {
		uint8_t a = byte_at(s, i);

		n = 1;
		if (a < 0x80)
			continue;
		n = gb_length(s, i);
		if (n == 0)
			return false;
		if (n < 2)
			break;
		uint8_t b = byte_at(s, i + 1);
		pairs++;
		common += n == 2 && b >= 0xA1 && ((a >= 0xB0 && a <= 0xD7) || a == 0xA1 || a == 0xA3);
		low += a < 0xC0 || b < 0xC0;
	}
	return pairs >= 2 && common * 4 >= pairs * 3 && (pairs < 3 || low > 0);
}

/* Japanese mail of old has ISO-2022-JP in its header as it is. */
static bool reads_as_japanese(slice s)
{
	return slice_find(s, S("\x1b$")) >= 0;
}

static void guess(struct buf *out, slice in)
{
	if (ascii_only(in) && reads_as_japanese(in) && convert(out, "iso-2022-jp", in))
		return;
	if (utf8_valid(in))
		buf_add(out, in);
	else if (!convert(out, reads_as_chinese(in) ? "gb18030" : "windows-1252", in))
		mail_utf8_clean(out, in);
}

static bool is_utf8(slice charset)
{
	return slice_ieq(charset, S("utf-8")) || slice_ieq(charset, S("utf8"));
}

/* No name, or one that is often given where another charset is meant. */
static bool says_nothing(slice charset)
{
	return charset.n == 0 || slice_ieq(charset, S("us-ascii")) || slice_ieq(charset, S("ascii"));
}

bool mail_charset_is_ascii(slice charset, slice in)
{
	charset = slice_trim(charset);
	return ascii_only(in) && (is_utf8(charset) || (says_nothing(charset) ? !reads_as_japanese(in)
									     : ascii_compatible(charset)));
}

bool mail_charset_to_utf8(struct buf *out, slice charset, slice in)
{
	char name[NAME_MAX_LEN + 1];
	if (in.n == 0)
		return true;
	charset = slice_trim(charset);
	if (mail_charset_is_ascii(charset, in)) {
		buf_add(out, in);
		return true;
	}
	bool plain = says_nothing(charset), ascii = ascii_only(in);
	if (is_utf8(charset)) {
		mail_utf8_clean(out, in);
		return true;
	}
	if (!plain && icu_name(charset, name) && convert(out, name, in))
		return true;
	guess(out, in);
	return plain || ascii;
}

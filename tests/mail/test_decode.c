#include "base/encode.h"
#include "mail/decode.h"
#include "mail/param.h"
#include "support.h"
#include <jansson.h>

static void decode_chunked(struct buf *out, enum mail_encoding encoding, slice in, size_t cut, size_t step)
{
	struct mail_decoder d = {.encoding = encoding};
	if (step) {
		for (size_t i = 0; i < in.n; i += step)
			mail_decoder_feed(&d, out, slice_sub(in, i, step));
	} else {
		mail_decoder_feed(&d, out, slice_sub(in, 0, cut));
		mail_decoder_feed(&d, out, slice_skip(in, cut));
	}
	mail_decoder_finish(&d, out);
}

/* The input in one piece, in two at every place, and byte by byte. */
static void check_decode(enum mail_encoding encoding, slice in, slice want)
{
	struct buf b = BUF_INIT(4096);
	char *exact = exact_copy(in);
	in.p = exact;
	for (size_t cut = 0; cut <= in.n + 1; cut++) {
		buf_reset(&b);
		decode_chunked(&b, encoding, in, cut, cut > in.n);
		if (!slice_eq(buf_slice(&b), want))
			fail_msg("\"%.*s\" cut at %zu gives \"%.*s\"", (int)in.n, in.p, cut, (int)b.n, b.p);
	}
	free(exact);
	buf_free(&b);
}

static void test_qp(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", ""},
		{"plain text\r\n", "plain text\r\n"},
		{"a=3Db", "a=b"},
		{"=C3=B6=c3=b6", "\xc3\xb6\xc3\xb6"},
		{"soft=\r\n break", "soft break"},
		{"soft=\nbreak", "softbreak"},
		{"soft=  \t\r\nbreak", "softbreak"},
		{"trailing  \r\nx \t\ny", "trailing\r\nx\ny"},
		{"a  b   c", "a  b   c"},
		{"a        b", "a        b"},
		{"end  ", "end"},
		{"end            ", "end            "},
		{"end            \r\nx  \r\n", "end            \r\nx\r\n"},
		{"bad=XYz", "bad=XYz"},
		{"bad=4", "bad=4"},
		{"bad=4g", "bad=4g"},
		{"bad==41", "bad=A"},
		{"end=", "end"},
		{"=\r\n=\r\nx", "x"},
		{" lead", " lead"},
		{"a =20\r\n", "a  \r\n"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check_decode(MAIL_ENCODING_QP, slice_of(cases[i].in), slice_of(cases[i].out));
}

static void test_base64(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", ""},
		{"Zg==", "f"},
		{"Zm8=", "fo"},
		{"Zm9v", "foo"},
		{"Zm9vYmFy", "foobar"},
		{"Zm9v\r\nYmFy\r\n", "foobar"},
		{"Z m\t9\nv", "foo"},
		{"Zm9vYg", "foob"},
		{"Zm9vYmE", "fooba"},
		{"Zm9vYm", "foob"},
		{"Zm9vYg==Zm9v", "foobfoo"},
		{"Z!m#9*v", "foo"},
		{"Z", ""},
		{"====", ""},
		{"\xff\x80", ""},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check_decode(MAIL_ENCODING_BASE64, slice_of(cases[i].in), slice_of(cases[i].out));
	check_decode(MAIL_ENCODING_8BIT, S("a\xff=3D"), S("a\xff=3D"));
	assert_int_equal(mail_encoding_parse(S(" Quoted-Printable ")), MAIL_ENCODING_QP);
	assert_int_equal(mail_encoding_parse(S("x-uuencode")), MAIL_ENCODING_OTHER);
	assert_int_equal(mail_encoding_parse((slice){0}), MAIL_ENCODING_7BIT);
}

static void test_charsets(void **state)
{
	static const struct {
		const char *charset, *in, *out;
	} cases[] = {
		{"", "abc", "abc"},
		{"utf-8", "\xc3\xb6", "\xc3\xb6"},
		{"UTF8", "\xc3\xb6\xff", "\xc3\xb6\xef\xbf\xbd"},
		{"us-ascii", "\xc3\xb6", "\xc3\xb6"},
		{"us-ascii", "\xf6", "\xc3\xb6"},
		{"ISO-8859-1", "\xf6\x80", "\xc3\xb6\xe2\x82\xac"},
		{"iso-8859-15", "\xa4", "\xe2\x82\xac"},
		{"windows-1251", "\xcf", "\xd0\x9f"},
		{"koi8-r", "\xf0", "\xd0\x9f"},
		{"gb2312", "\xd6\xd0\x81\x40", "\xe4\xb8\xad\xe4\xb8\x82"},
		{"GBK", "\xd6\xd0", "\xe4\xb8\xad"},
		{"gb18030", "\x81\x30\x81\x30", "\xc2\x80"},
		{"big5", "\xa4\xa4", "\xe4\xb8\xad"},
		{"Shift_JIS", "\x93\xfa", "\xe6\x97\xa5"},
		{"iso-2022-jp", "\x1b$BF|\x1b(B", "\xe6\x97\xa5"},
		{"euc-kr", "\xc7\xd1", "\xed\x95\x9c"},
		{"ks_c_5601-1987", "\xc7\xd1", "\xed\x95\x9c"},
		{"utf-7", "+AOQ-", "\xc3\xa4"},
		{"utf-16le", "a\x00", NULL},
		{"x-no-such-charset", "\xc3\xb6", "\xc3\xb6"},
		{"x-no-such-charset", "\xf6", "\xc3\xb6"},
		{"../../etc/passwd", "\xf6", "\xc3\xb6"},
		{"big5", "\xa1\x45\xc6\xe7", "\xe2\x80\xa7\xe3\x81\x81"},
		{"csGB2312", "\x81\x40", "\xe4\xb8\x82"},
		{"iso-2022-jp", "\x1b$BF|\x1b(B\x1b$BK\\\x1b(B", "\xe6\x97\xa5\xe6\x9c\xac"},
		{"iso-2022-jp", "\x1b(I1\x1b(B", "\xef\xbd\xb1"},
		/* unlabelled: Chinese */
		{"", "\xd6\xd0\xce\xc4", "\xe4\xb8\xad\xe6\x96\x87"},
		{"us-ascii", "Re: \xb8\xb6\xbf\xee\xcd\xa8\xd6\xaa",
			"Re: \xe4\xbb\x98\xe6\xac\xbe\xe9\x80\x9a\xe7\x9f\xa5"},
		{"x-none", "\xbb\xe1\xd2\xe9\xa3\xac\xc9\xcf\xce\xe7",
			"\xe4\xbc\x9a\xe8\xae\xae\xef\xbc\x8c\xe4\xb8\x8a\xe5\x8d\x88"},
		{"", "\xd6\xd0\xce\xc4\xd6", "\xe4\xb8\xad\xe6\x96\x87\xef\xbf\xbd"}, /* cut */
		/* western, though pairs of high bytes could be Chinese */
		{"",
			"Gr\xf6\xdf"
			"e, \xc4nderung",
			"Gr\xc3\xb6\xc3\x9f"
			"e, \xc3\x84nderung"},
		{"", "\xbf\xc9l qui\xe9n?", "\xc2\xbf\xc3\x89l qui\xc3\xa9n?"},
		{"", "na\xefvet\xe9 \xe0 c\xf4t\xe9", "na\xc3\xafvet\xc3\xa9 \xc3\xa0 c\xc3\xb4t\xc3\xa9"},
		{"", "\xc4\xd6\xdc", "\xc3\x84\xc3\x96\xc3\x9c"},
		/* Russian words are not taken for Chinese */
		{"", "\xd0\xd2\xc9\xd7\xc5\xd4", "\xc3\x90\xc3\x92\xc3\x89\xc3\x97\xc3\x85\xc3\x94"},
		{"", "\x1b$B$3$s\x1b(B", "\xe3\x81\x93\xe3\x82\x93"},
		{"", "a\x1b[0m", "a\x1b[0m"},
		{"utf-8,swap", "\xf6", "\xc3\xb6"},
	};
	struct buf b = BUF_INIT(1024);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&b);
		if (!cases[i].out) {
			mail_charset_to_utf8(&b, slice_of(cases[i].charset), S("a\0\xe4\0"));
			check_slice(buf_slice(&b), S("a\xc3\xa4"));
			continue;
		}
		mail_charset_to_utf8(&b, slice_of(cases[i].charset), slice_of(cases[i].in));
		if (!slice_eq(buf_slice(&b), slice_of(cases[i].out)))
			fail_msg("%s of case %zu gives \"%.*s\"", cases[i].charset, i, (int)b.n, b.p);
	}
	assert_true(mail_charset_to_utf8(&b, S("koi8-r"), S("\xf0")));
	assert_false(mail_charset_to_utf8(&b, S("x-what"), S("\xf0")));
	/* long text goes through in pieces and comes out whole */
	struct buf in = BUF_INIT(MEGABYTE), want = BUF_INIT(MEGABYTE);
	for (int i = 0; i < 100000; i++) {
		buf_addz(&in, "\xd6\xd0");
		buf_addz(&want, "\xe4\xb8\xad");
	}
	struct buf out = BUF_INIT(MEGABYTE);
	mail_charset_to_utf8(&out, S("gbk"), buf_slice(&in));
	assert_true(slice_eq(buf_slice(&out), buf_slice(&want)));
	buf_free(&in);
	buf_free(&want);
	buf_free(&out);
	buf_free(&b);
}

static void test_words(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"plain", "plain"},
		{"=?utf-8?q?J=C3=B6rg?=", "J\xc3\xb6rg"},
		{"=?utf-8?Q?a_b=20c_?= d", "a b c  d"},
		{"=?UTF-8?B?SsO2cmc=?=", "J\xc3\xb6rg"},
		{"=?iso-8859-1?q?a?= =?iso-8859-1?q?b?=", "ab"},
		{"=?iso-8859-1?q?a?=\r\n\t=?utf-8?q?b?=", "ab"},
		{"=?iso-8859-1?q?a?= b =?iso-8859-1?q?c?=", "a b c"},
		{"=?utf-8?b?5L0=?= =?utf-8?b?oA==?=", "\xe4\xbd\xa0"},
		{"=?utf-8?q?=E4=BD?= =?utf-8?q?=A0?=", "\xe4\xbd\xa0"},
		{"=?utf-8*de?q?x?=", "x"},
		{"a=?utf-8?q?b?=c", "abc"},
		{"=?utf-8?x?b?=", "=?utf-8?x?b?="},
		{"=?utf-8?q?b", "=?utf-8?q?b"},
		{"x =?utf-8?q?=C3=B6b", "x \xc3\xb6"
					"b"}, /* cut */
		{"x =?utf-8?B?5L2g5a", "x \xe4\xbd\xa0\xef\xbf\xbd"},
		{"=?utf-8?q?=C3=B6b and more", "=?utf-8?q?=C3=B6b and more"},
		{"=?utf-8?q?what?=20now?=", "what? now"},
		{"=?utf-8?q?what?=20 now", "what20 now"},
		{"=?utf-8?q?a?=ABC=?utf-8?q?b?=", "aABCb"},
		{"=?utf-8?Q?=?utf-8?Q?=C3=B6?=?=", "=?utf-8?Q?\xc3\xb6?="},
		{"=?", "=?"},
		{"=?=?utf-8?q?b?=", "=?b"},
		{"=?utf-8?q?a b?=", "a b"},
		{"=?utf-8?q?"
		 "?=",
			""},
		{"J\xc3\xb6rg", "J\xc3\xb6rg"},
		{"J\xf6rg", "J\xc3\xb6rg"},
	};
	struct buf b = BUF_INIT(1024);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		slice in = slice_of(cases[i].in);
		char *exact = exact_copy(in);
		buf_reset(&b);
		mail_words_decode(&b, slice_make(exact, in.n));
		if (!slice_eq(buf_slice(&b), slice_of(cases[i].out)))
			fail_msg("%s gives \"%.*s\"", cases[i].in, (int)b.n, b.p);
		free(exact);
	}
	buf_free(&b);
	static const char *const hostile[] = {"=?a?q?", "=?", "=?a?q?x?=", "=?a?b?=? "};
	for (size_t i = 0; i < COUNT_OF(hostile); i++) {
		struct buf in = BUF_INIT(2 * MEGABYTE), out = BUF_INIT(8 * MEGABYTE);
		while (in.n < MEGABYTE)
			buf_addz(&in, hostile[i]);
		mail_words_decode(&out, buf_slice(&in));
		assert_true(utf8_valid(buf_slice(&out)));
		buf_free(&in);
		buf_free(&out);
	}
}

static void test_fold(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"Hello world_1", "HELLO WORLD_1"},
		{"\xc3\xa4rger stra\xc3\x9f"
		 "e",
			"A\xcc\x88RGER STRA\xc3\x9f"
			"E"},
		{"a\xcc\x88", "A\xcc\x88"},
		{"\xef\xbd\x81\xef\xbc\xa1", "AA"}, /* wide letters */
		{"\xef\xac\x81", "FI"},             /* a ligature: title, decomposed, title */
		{"\xc7\x86", "DZ\xcc\x8c"},         /* U+01C6 -> U+01C5 -> D, z, caron -> Z */
		{"\xe1\xb8\x81", "A\xcc\xa5"},
		{"\xea\xb0\x80", "\xea\xb0\x80"}, /* a Hangul syllable */
		{"\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb9", "\xd0\x9f\xd0\xa0\xd0\x98\xd0\x98\xcc\x86"},
		{"\xe4\xb8\xad", "\xe4\xb8\xad"},
		{"a\xff", "A\xef\xbf\xbd"},
	};
	struct buf b = BUF_INIT(8 * MEGABYTE);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&b);
		mail_fold(&b, slice_of(cases[i].in));
		if (!slice_eq(buf_slice(&b), slice_of(cases[i].out)))
			fail_msg("%s gives \"%.*s\"", cases[i].in, (int)b.n, b.p);
	}
	/* every ASCII byte, at every place of a step of the fast path and in its rest */
	for (size_t lead = 0; lead < 40; lead++) {
		char in[40 + 128], want[sizeof in];
		memset(in, 'q', lead);
		memset(want, 'Q', lead);
		for (int c = 0; c < 128; c++) {
			in[lead + (size_t)c] = (char)c;
			want[lead + (size_t)c] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
		}
		buf_reset(&b);
		mail_fold(&b, slice_make(in, lead + 128));
		assert_true(slice_eq(buf_slice(&b), slice_make(want, lead + 128)));
	}
	/* ASCII and others in turns, of any length */
	for (size_t lead = 0; lead < 300; lead += 7) {
		struct buf in = BUF_INIT(65536), want = BUF_INIT(65536);
		for (size_t i = 0; i < lead; i++) {
			buf_add_c(&in, 'x');
			buf_add_c(&want, 'X');
		}
		for (size_t i = 0; i < 1000; i++) {
			buf_addz(&in, "\xd0\xbf\xe4\xb8\xad\xf0\x9f\x93\xac");
			buf_addz(&want, "\xd0\x9f\xe4\xb8\xad\xf0\x9f\x93\xac");
		}
		buf_reset(&b);
		mail_fold(&b, buf_slice(&in));
		assert_true(slice_eq(buf_slice(&b), buf_slice(&want)));
		buf_free(&in);
		buf_free(&want);
	}
	/* the worst that a code point can grow to */
	struct buf in = BUF_INIT(65536);
	for (size_t i = 0; i < 5000; i++)
		buf_addz(&in, "\xef\xb7\xba");
	buf_reset(&b);
	mail_fold(&b, buf_slice(&in));
	assert_int_equal(b.n, 5000 * 33);
	buf_free(&in);
	buf_free(&b);
}

static void test_html(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"a<b>b</b>c", "abc"},
		{"<p>a</p><p>b</p>", " a  b "},
		{"a&amp;b&lt;c&#8364;&#x41;&nope;&", "a&b<c\xe2\x82\xac"
						     "A&nope;&"},
		{"<style>x { y }</style>a", " a"},
		{"<STYLE type='a>b'>x</STYLE >a<script>if (a<b) </script>c", " a c"},
		{"<head><title>t</title></head><header>x</header>", "  x "},
		{"a<!-- b > c -->d", "ad"},
		{"a<!-- open", "a"},
		{"1 < 2", "1 < 2"},
		{"<a href=\"x>y\">z</a>", "z"},
		{"x<br/>y", "x y"},
		{"<", "<"},
		{"a<b", "a"},
		{"<style>open", " "},
	};
	struct buf b = BUF_INIT(1024);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		slice in = slice_of(cases[i].in);
		char *exact = exact_copy(in);
		buf_reset(&b);
		mail_html_text(&b, slice_make(exact, in.n));
		if (!slice_eq(buf_slice(&b), slice_of(cases[i].out)))
			fail_msg("%s gives \"%.*s\"", cases[i].in, (int)b.n, b.p);
		free(exact);
	}
	buf_free(&b);
}

static void test_params(void **state)
{
	static const struct {
		const char *in, *type, *subtype, *name, *value;
	} cases[] = {
		{"text/plain", "text", "plain", "charset", NULL},
		{" text / plain (c) ; charset = utf-8 (c)", "text", "plain", "charset", "utf-8"},
		{"text/plain; charset=\"a;b\\\"c\"; x=y", "text", "plain", "charset", "a;b\"c"},
		{"text/plain; name=a b.txt; x=y", "text", "plain", "name", "a b.txt"},
		{"text/plain; ; name=x", "text", "plain", "name", "x"},
		{"text/plain;name=\"unclosed", "text", "plain", "name", "unclosed"},
		{"a/b; name*=utf-8'de'J%C3%B6rg", "a", "b", "name", "J\xc3\xb6rg"},
		{"a/b; name*0*=iso-8859-1''J%F6; name*1=\"rg.\"; name*2*=t%78t", "a", "b", "name",
			"J\xc3\xb6rg.txt"},
		{"a/b; name*1=b; name*0=a; name=other", "a", "b", "name", "ab"},
		{"a/b; name=\"=?utf-8?q?J=C3=B6rg?=\"", "a", "b", "name", "J\xc3\xb6rg"},
		{"a/b; NAME=x", "a", "b", "name", "x"},
		{"text", NULL, NULL, NULL, NULL},
		{"text/", NULL, NULL, NULL, NULL},
		{"", NULL, NULL, NULL, NULL},
		{"/plain", NULL, NULL, NULL, NULL},
	};
	struct arena *a = arena_new(65536);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct mail_value v;
		slice in = slice_of(cases[i].in), got = {0};
		char *exact = exact_copy(in);
		bool ok = mail_value_parse(slice_make(exact, in.n), true, a, &v);
		assert_int_equal(ok, cases[i].type != NULL);
		check_slice(v.type, slice_of(cases[i].type));
		check_slice(v.subtype, slice_of(cases[i].subtype));
		if (ok) {
			assert_int_equal(mail_value_param_utf8(&v, slice_of(cases[i].name), a, &got),
				cases[i].value != NULL);
			check_slice(got, slice_of(cases[i].value));
		}
		free(exact);
	}
	struct buf b = BUF_INIT(MEGABYTE);
	struct mail_value v;
	buf_addz(&b, "a/b");
	for (int i = 0; i < 10000; i++)
		buf_addf(&b, "; name*%d=x", i);
	assert_true(mail_value_parse(buf_slice(&b), true, a, &v));
	assert_int_equal(v.n, 64);
	assert_true(v.cut);
	buf_free(&b);
	arena_free(a);
}

/* ---- vectors ---- */

enum { OTHER_TYPES = 0 };

/* The first field of the text without any blank: that parser makes one blank of several. */
static void squeeze(struct buf *out, slice in)
{
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\n' && i + 1 < in.n && in.p[i + 1] != ' ' && in.p[i + 1] != '\t')
			return;
		if (!strchr(" \t\r\n", in.p[i]))
			buf_add_c(out, in.p[i]);
	}
}

static void test_mail_parser_words(void **state)
{
	char path[512];
	size_t i;
	json_t *all, *item;
	struct buf b = BUF_INIT(65536), got = BUF_INIT(65536), want = BUF_INIT(65536);
	(void)state;
	if (!vector_path(path, sizeof path, "mail-parser/unstructured.json"))
		skip();
	all = json_load_file(path, 0, NULL);
	json_array_foreach(all, i, item)
	{
		const char *header = json_string_value(json_object_get(item, "header"));
		buf_reset(&b);
		buf_reset(&got);
		buf_reset(&want);
		mail_words_decode(&b, slice_of(header));
		squeeze(&got, buf_slice(&b));
		squeeze(&want, slice_of(json_string_value(json_object_get(item, "expected"))));
		if (!slice_eq(buf_slice(&got), buf_slice(&want)))
			fail_msg("%s gives %.*s", header, (int)b.n, b.p);
	}
	json_decref(all);
	buf_free(&b);
	buf_free(&got);
	buf_free(&want);
}

static void test_mail_parser_types(void **state)
{
	char path[512];
	size_t i, differ = 0;
	json_t *all, *item;
	struct arena *a = arena_new(MEGABYTE);
	(void)state;
	if (!vector_path(path, sizeof path, "mail-parser/content_type.json"))
		skip();
	all = json_load_file(path, 0, NULL);
	json_array_foreach(all, i, item)
	{
		struct mail_value v;
		size_t k;
		json_t *pair, *want = json_object_get(item, "expected");
		const char *header = json_string_value(json_object_get(item, "header"));
		const char *subtype = json_string_value(json_object_get(want, "c_subtype"));
		const char *type = json_string_value(json_object_get(want, "c_type"));
		bool same = mail_value_parse(slice_of(header), subtype != NULL, a, &v) == (type != NULL) &&
			    slice_ieq(v.type, slice_of(type)) && slice_ieq(v.subtype, slice_of(subtype));
		json_array_foreach(json_object_get(want, "attributes"), k, pair)
		{
			slice got;
			const char *name = json_string_value(json_array_get(pair, 0));
			same = same && (name[strlen(name) - 1] == '*' || strstr(name, "-language") ||
					       (mail_value_param_utf8(&v, slice_of(name), a, &got) &&
						       slice_eq(got, slice_of(json_string_value(
									     json_array_get(pair, 1))))));
		}
		if (!same) {
			char *text = json_dumps(item, 0);
			if (getenv("VERBOSE"))
				print_message("---- %s\n", text);
			free(text);
			differ++;
		}
		arena_reset(a);
	}
	assert_int_equal(differ, OTHER_TYPES);
	json_decref(all);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_qp),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_charsets),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_html),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_mail_parser_words),
		cmocka_unit_test(test_mail_parser_types),
	};
	return cmocka_run_group_tests_name("mail/decode", tests, NULL, NULL);
}

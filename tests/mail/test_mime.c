#include "mail/mime.h"
#include "support.h"

static const char kind_letter[] = "LTMR";

/* One line a part: depth, kind, type, header and body as offset+length, lines. */
static void dump(struct buf *out, const struct mail_mime *m)
{
	uint32_t n;
	const struct mail_mime_part *p = mail_mime_parts(m, &n);
	for (uint32_t i = 0; i < n; i++, p++) {
		buf_addf(out, "%u%c %.*s/%.*s %ju+%ju %ju+%ju %ju %d\n", p->depth, kind_letter[p->kind],
			(int)p->type.type.n, p->type.type.p, (int)p->type.subtype.n, p->type.subtype.p,
			(uintmax_t)p->header_off, (uintmax_t)p->header_len, (uintmax_t)p->body_off,
			(uintmax_t)p->body_len, (uintmax_t)p->lines,
			(int)(p->parent == MAIL_NONE ? -1 : (int)p->parent));
	}
}

/* Scans `in` in pieces: up to `cut`, then steps. */
static void scan(struct buf *out, slice in, size_t cut, size_t step)
{
	struct mail_mime *m = mail_mime_new(NULL);
	char *exact = exact_copy(slice_sub(in, 0, cut));
	mail_mime_feed(m, slice_make(exact, cut < in.n ? cut : in.n));
	free(exact);
	for (size_t i = cut; i < in.n; i += step) {
		slice piece = slice_sub(in, i, step);
		exact = exact_copy(piece);
		mail_mime_feed(m, slice_make(exact, piece.n));
		free(exact);
	}
	assert_int_equal(mail_mime_finish(m, NULL), 0);
	assert_int_equal(mail_mime_size(m), in.n);
	dump(out, m);
	buf_addf(out, "%x\n", mail_mime_notes(m));
	mail_mime_free(m);
}

/* All chunkings: two pieces at every place, and steps of one, two and seven bytes. */
static void check_all_chunkings(slice in, slice want, const char *name)
{
	static const size_t steps[] = {1, 2, 7};
	struct buf b = BUF_INIT(MEGABYTE);
	for (size_t cut = 0; cut <= in.n + COUNT_OF(steps); cut++) {
		buf_reset(&b);
		if (cut <= in.n)
			scan(&b, in, cut, in.n + 1);
		else
			scan(&b, in, 0, steps[cut - in.n - 1]);
		if (!slice_eq(buf_slice(&b), want))
			fail_msg("%s: cut at %zu of %zu gives\n%.*swant\n%.*s", name, cut, in.n, (int)b.n,
				b.p, (int)want.n, want.p);
	}
	buf_free(&b);
}

static void test_structures(void **state)
{
	static const struct {
		const char *name, *in, *out;
	} cases[] = {
		{"empty", "", "0T text/plain 0+0 0+0 0 -1\n0\n"},
		{"body only", "\r\nhello\r\n", "0T text/plain 0+2 2+7 1 -1\n0\n"},
		{"header only", "Subject: x\r\n", "0T text/plain 0+12 12+0 0 -1\n0\n"},
		{"no line end", "Subject: x", "0T text/plain 0+10 10+0 0 -1\n0\n"},
		{"plain", "Subject: x\r\n\r\na\r\nb", "0T text/plain 0+14 14+4 1 -1\n0\n"},
		{"lf only", "Subject: x\n\na\nb\n", "0T text/plain 0+12 12+4 2 -1\n0\n"},
		{"notes", "Subject: \xc3\xb6\r\nMIME-Version: 1.0\r\n\r\n\xff\r\n",
			"0T text/plain 0+34 34+3 1 -1\n23\n"},
		{"multipart",
			"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\none\r\n--b\r\n"
			"Content-Type: image/png\r\n\r\ntwo\r\n--b--\r\nepi\r\n",
			"0M multipart/mixed 0+45 45+66 10 -1\n"
			"1T text/plain 55+2 57+3 0 0\n"
			"1L image/png 67+27 94+3 0 0\n0\n"},
		{"multipart lf", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n\n--b--\n",
			"0M multipart/mixed 0+43 43+16 5 -1\n"
			"1T text/plain 47+1 48+4 1 0\n0\n"},
		{"empty parts",
			"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n\r\n--b\r\nA: "
			"b\r\n--b--",
			"0M multipart/mixed 0+45 45+28 5 -1\n"
			"1T text/plain 50+0 50+0 0 0\n"
			"1T text/plain 55+2 57+0 0 0\n"
			"1T text/plain 62+6 68+0 0 0\n0\n"},
		{"unclosed", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n",
			"0M multipart/mixed 0+45 45+12 3 -1\n"
			"1T text/plain 50+2 52+5 1 0\n0\n"},
		{"no boundary", "Content-Type: multipart/mixed\r\n\r\n--b\r\n",
			"0T text/plain 0+33 33+5 1 -1\n0\n"},
		{"no part", "Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n--c\r\n",
			"0T text/plain 0+45 45+8 2 -1\n0\n"},
		{"blanks behind boundaries",
			"Content-Type: multipart/mixed; boundary=\"b \"\r\n\r\n--b "
			"\t\r\n\r\n1\r\n--bb\r\n--b --\r\n--b-- \r\n",
			"0M multipart/mixed 0+48 48+34 6 -1\n"
			"1T text/plain 55+2 57+15 2 0\n0\n"},
		{"boundary of dashes",
			"Content-Type: multipart/mixed; boundary=\"--\"\r\n\r\n----\r\n\r\n1\r\n------\r\n",
			"0M multipart/mixed 0+48 48+19 4 -1\n"
			"1T text/plain 54+2 56+1 0 0\n0\n"},
		{"nested",
			"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
			"Content-Type: multipart/alternative; "
			"boundary=ab\r\n\r\n--ab\r\n\r\nx\r\n--a\r\n\r\ny\r\n--ab\r\nz\r\n--a--\r\n",
			"0M multipart/mixed 0+45 45+94 12 -1\n"
			"1M multipart/alternative 50+52 102+9 2 0\n"
			"2T text/plain 108+2 110+1 0 1\n"
			"1T text/plain 118+2 120+10 2 0\n0\n"},
		{"same boundary inside",
			"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
			"Content-Type: multipart/mixed; "
			"boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n--a\r\n\r\ny\r\n--a--\r\n",
			"0M multipart/mixed 0+45 45+84 11 -1\n"
			"1M multipart/mixed 50+45 95+15 3 0\n"
			"2T text/plain 100+2 102+1 0 1\n"
			"1T text/plain 117+2 119+1 0 0\n0\n"},
		{"message",
			"Content-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: "
			"text/html\r\n\r\nx\r\n",
			"0R message/rfc822 0+32 32+43 4 -1\n"
			"1T text/html 32+40 72+3 1 0\n0\n"},
		{"digest",
			"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: "
			"in\r\n\r\nx\r\n--b\r\n"
			"Content-Type: text/plain\r\n\r\ny\r\n--b--\r\n",
			"0M multipart/digest 0+46 46+68 10 -1\n"
			"1R message/rfc822 51+2 53+16 2 0\n"
			"2T text/plain 53+15 68+1 0 1\n"
			"1T text/plain 76+28 104+1 0 0\n0\n"},
		{"encoded message is opaque",
			"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n",
			"0L application/octet-stream 0+67 67+6 1 -1\n0\n"},
		{"message inside of a multipart ends with it",
			"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: "
			"message/rfc822\r\n\r\n"
			"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--b--\r\n",
			"0M multipart/mixed 0+45 45+99 9 -1\n"
			"1R message/rfc822 50+32 82+53 4 0\n"
			"2M multipart/mixed 82+45 127+8 2 1\n"
			"3T text/plain 132+2 134+1 0 2\n0\n"},
		{"folded field",
			"Content-Type:\r\n multipart/mixed;\r\n\tboundary=\"b\"\r\n\r\n--b\r\n\r\n--b--\r\n",
			"0M multipart/mixed 0+51 51+14 3 -1\n"
			"1T text/plain 56+2 58+0 0 0\n0\n"},
		{"bad type", "Content-Type: nonsense\r\n\r\nx", "0T text/plain 0+26 26+1 0 -1\n0\n"},
		{"nul", "A: b\r\n\r\nx\r\n", "0T text/plain 0+8 8+3 1 -1\n0\n"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check_all_chunkings(slice_of(cases[i].in), slice_of(cases[i].out), cases[i].name);
}

static void test_fields(void **state)
{
	static const char text[] =
		"From: a@b\r\nTo: c@d,\r\n e@f\r\nto: g@h\r\nSubject: one\r\nSUBJECT: two\r\nBcc:\r\n"
		"Message-ID: <x@y>\r\nX-Other: z\r\nContent-ID: <p>\r\nContent-Description: "
		"d\r\nContent-MD5: m\r\n"
		"Content-Language: de, en\r\nContent-Location: l\r\nContent-Transfer-Encoding: BASE64 \r\n"
		"Content-Disposition: attachment; filename=\"a b\"\r\nContent-Type: image/png; "
		"name=x\r\n\r\nbody";
	(void)state;
	for (size_t step = 1; step < sizeof text; step++) {
		struct mail_mime *m = mail_mime_new(NULL);
		uint32_t n;
		slice in = slice_make(text, sizeof text - 1);
		for (size_t i = 0; i < in.n; i += step)
			mail_mime_feed(m, slice_sub(in, i, step));
		assert_int_equal(mail_mime_finish(m, NULL), 0);
		const struct mail_mime_part *p = mail_mime_parts(m, &n);
		assert_int_equal(n, 1);
		check_slice(p->envelope->from, S("a@b"));
		check_slice(p->envelope->to, S("c@d, e@f, g@h"));
		check_slice(p->envelope->subject, S("one"));
		check_slice(p->envelope->bcc, S(""));
		check_slice(p->envelope->cc, (slice){0});
		check_slice(p->envelope->message_id, S("<x@y>"));
		check_slice(p->id, S("<p>"));
		check_slice(p->description, S("d"));
		check_slice(p->md5, S("m"));
		check_slice(p->language, S("de, en"));
		check_slice(p->location, S("l"));
		check_slice(p->disposition.type, S("attachment"));
		check_slice(mail_value_param(&p->disposition, S("filename")), S("a b"));
		assert_int_equal(p->encoding, MAIL_ENCODING_BASE64);
		assert_int_equal(p->kind, MAIL_PART_LEAF);
		mail_mime_free(m);
	}
}

struct gathered {
	struct buf text;
	uint32_t part;
};

static void gather(void *arg, uint32_t part, slice bytes)
{
	struct gathered *g = arg;
	if (part == g->part)
		buf_add(&g->text, bytes);
}

static void test_sink(void **state)
{
	slice in = S("Content-Type: multipart/mixed; boundary=b\r\n\r\n-- "
		     "no\r\n--b\r\n\r\n-one\r\n--two\r\nthree\r\n--b--\r\nx\r\n");
	(void)state;
	for (size_t step = 1; step <= in.n; step++) {
		struct gathered g = {.text = BUF_INIT(1000), .part = 1};
		struct mail_mime *m = mail_mime_new(&(struct mail_mime_sink){.body = gather, .arg = &g});
		for (size_t i = 0; i < in.n; i += step)
			mail_mime_feed(m, slice_sub(in, i, step));
		assert_int_equal(mail_mime_finish(m, NULL), 0);
		check_slice(buf_slice(&g.text), S("-one\r\n--two\r\nthree\r\n"));
		mail_mime_free(m);
		buf_free(&g.text);
	}
}

/* Takes text in lumps, so that hostile megabytes need no memory here. */
static void feed_times(struct mail_mime *m, const char *z, size_t times)
{
	for (size_t i = 0; i < times; i++)
		mail_mime_feed(m, slice_of(z));
}

static uint32_t finish_count(struct mail_mime *m, unsigned notes)
{
	uint32_t n;
	assert_int_equal(mail_mime_finish(m, NULL), 0);
	mail_mime_parts(m, &n);
	assert_int_equal(mail_mime_notes(m) & (MAIL_NOTE_CUT_PARTS | MAIL_NOTE_CUT_TEXT), notes);
	mail_mime_reset(m);
	return n;
}

static void test_limits(void **state)
{
	struct mail_mime *m = mail_mime_new(NULL);
	(void)state;
	/* 10,000 parts */
	feed_times(m, "Content-Type: multipart/mixed; boundary=b\r\n\r\n", 1);
	feed_times(m, "--b\r\n\r\nx\r\n", 10000);
	assert_int_equal(finish_count(m, MAIL_NOTE_CUT_PARTS), 1000);
	/* 5,000 nested multiparts, the same boundary and different ones */
	for (int same = 0; same < 2; same++) {
		for (int i = 0; i < 5000; i++) {
			char z[200];
			snprintf(z, sizeof z, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n",
				same ? 0 : i, same ? 0 : i);
			feed_times(m, z, 1);
		}
		uint32_t n = finish_count(m, MAIL_NOTE_CUT_PARTS);
		assert_true(n >= 101 && n <= 1000);
	}
	/* messages in messages */
	feed_times(m, "Content-Type: message/rfc822\r\n\r\n", 5000);
	assert_int_equal(finish_count(m, MAIL_NOTE_CUT_PARTS), 101);
	/* lines that may be boundaries, 100 boundaries open */
	for (int i = 0; i < 100; i++) {
		char z[200];
		snprintf(z, sizeof z, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
		feed_times(m, z, 1);
	}
	feed_times(m, "--bx\r\n--\r\n", 1000000);
	assert_int_equal(finish_count(m, 0), 101);
	/* a field without an end, many fields, many of one kind */
	feed_times(m, "Subject: ", 1);
	feed_times(m, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 200000);
	assert_int_equal(finish_count(m, MAIL_NOTE_CUT_TEXT), 1);
	feed_times(m, "X: y\r\nTo: a@b\r\n", 100000);
	assert_int_equal(finish_count(m, MAIL_NOTE_CUT_TEXT), 1);
	feed_times(m, "To: a@b,\r\n c@d\r\n", 1000);
	assert_int_equal(finish_count(m, 0), 1);
	mail_mime_free(m);
}

/* A line of the length at which carrying ends, cut everywhere near it: in a header and in a body. */
static void test_long_lines(void **state)
{
	(void)state;
	for (size_t n = 505; n < 520; n++) {
		struct buf in = BUF_INIT(8192), want = BUF_INIT(8192);
		buf_addz(&in, "Content-Type: multipart/mixed; boundary=b; x=\"");
		for (size_t i = in.n; i < n; i++)
			buf_add_c(&in, 'x');
		buf_addz(&in, "\"\r\n\r\n--b\r\n\r\n--");
		for (size_t i = 0; i < n; i++)
			buf_add_c(&in, ' ');
		buf_addz(&in, "\r\n--b");
		for (size_t i = 0; i < n; i++)
			buf_add_c(&in, ' ');
		buf_addz(&in, "\r\nx\r\n--b--\r\n");
		scan(&want, buf_slice(&in), in.n, 1);
		assert_non_null(memmem(want.p, want.n, "1T text/plain", 13));
		for (size_t step = 1; step < 700; step += 37) {
			struct buf got = BUF_INIT(8192);
			scan(&got, buf_slice(&in), 0, step);
			if (!slice_eq(buf_slice(&got), buf_slice(&want)))
				fail_msg("%zu, step %zu\n%.*s\n%.*s", n, step, (int)got.n, got.p, (int)want.n,
					want.p);
			buf_free(&got);
		}
		buf_free(&in);
		buf_free(&want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structures),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_sink),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_long_lines),
	};
	return cmocka_run_group_tests_name("mail/mime", tests, NULL, NULL);
}

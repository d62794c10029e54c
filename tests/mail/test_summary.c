#include "base/encode.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/summary.h"
#include "support.h"

static void make(struct buf *out, slice in, size_t step)
{
	struct mail_summary_builder *b = mail_summary_new();
	for (size_t i = 0; i < in.n; i += step) {
		slice piece = slice_sub(in, i, step);
		char *exact = exact_copy(piece);
		mail_summary_feed(b, slice_make(exact, piece.n));
		free(exact);
	}
	assert_int_equal(mail_summary_finish(b, out, NULL), 0);
	mail_summary_free(b);
}

static const char sample[] = "Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n"
			     "From: Fred \"the\" Foobar <foobar@Blurdybloop.example>\r\n"
			     "Subject: a \"quoted\" \\ thing\r\n"
			     "To: mooch@owatagu.siam.edu, Group: a@b, C <c@d>;\r\n"
			     "Cc: J\xc3\xb6rg <j@k>\r\n"
			     "Message-Id: <B27397@Blurdybloop.example>\r\n"
			     "MIME-Version: 1.0\r\n"
			     "Content-Type: multipart/mixed; boundary=\"b1\"\r\n"
			     "\r\n"
			     "--b1\r\n"
			     "Content-Type: multipart/alternative; boundary=b2\r\n"
			     "\r\n"
			     "--b2\r\n"
			     "Content-Type: text/plain; charset=iso-8859-1\r\n"
			     "Content-Transfer-Encoding: quoted-printable\r\n"
			     "\r\n"
			     "Gr=FC=DFe,\r\n"
			     "> quoted\r\n"
			     "  see   below\r\n"
			     "--b2\r\n"
			     "Content-Type: text/html\r\n"
			     "\r\n"
			     "<b>x</b>\r\n"
			     "--b2--\r\n"
			     "--b1\r\n"
			     "Content-Type: message/rfc822\r\n"
			     "\r\n"
			     "Subject: inner\r\n"
			     "From: i@n\r\n"
			     "\r\n"
			     "inner text\r\n"
			     "--b1\r\n"
			     "Content-Type: application/pdf; name=x\r\n"
			     "Content-Disposition: attachment; filename*=utf-8''%C3%B6.pdf\r\n"
			     "Content-Transfer-Encoding: base64\r\n"
			     "Content-ID: <id@x>\r\n"
			     "Content-Description: what it is\r\n"
			     "Content-Language: de, en\r\n"
			     "\r\n"
			     "AAAA\r\n"
			     "--b1--\r\n";

static void test_replies(void **state)
{
	struct buf b = BUF_INIT(MEGABYTE);
	struct mail_summary s;
	err e;
	(void)state;
	make(&b, slice_make(sample, sizeof sample - 1), sizeof sample);
	assert_int_equal(mail_summary_verify(buf_slice(&b), sizeof sample - 1, &e), 0);
	assert_int_equal(mail_summary_open(buf_slice(&b), &s, &e), 0);
	check_slice(s.envelope,
		S("(\"Mon, 7 Feb 1994 21:52:25 -0800\" \"a \\\"quoted\\\" \\\\ thing\" "
		  "((\"Fred the Foobar\" NIL \"foobar\" \"Blurdybloop.example\")) "
		  "((\"Fred the Foobar\" NIL \"foobar\" \"Blurdybloop.example\")) "
		  "((\"Fred the Foobar\" NIL \"foobar\" \"Blurdybloop.example\")) "
		  "((NIL NIL \"mooch\" \"owatagu.siam.edu\")(NIL NIL \"Group\" NIL)(NIL NIL \"a\" \"b\")"
		  "(\"C\" NIL \"c\" \"d\")(NIL NIL NIL NIL)) "
		  "(({5}\r\nJ\xc3\xb6rg NIL \"j\" \"k\")) NIL NIL \"<B27397@Blurdybloop.example>\")"));
	check_slice(s.body,
		S("(((\"text\" \"plain\" (\"charset\" \"iso-8859-1\") NIL NIL \"quoted-printable\" 35 2)"
		  "(\"text\" \"html\" NIL NIL NIL \"7bit\" 8 0) \"alternative\")"
		  "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 39 (NIL \"inner\" ((NIL NIL \"i\" \"n\")) "
		  "((NIL NIL \"i\" \"n\")) "
		  "((NIL NIL \"i\" \"n\")) NIL NIL NIL NIL NIL) "
		  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 0) 3)"
		  "(\"application\" \"pdf\" (\"name\" \"x\") \"<id@x>\" \"what it is\" \"base64\" 4) "
		  "\"mixed\")"));
	check_slice(s.bodystructure,
		S("(((\"text\" \"plain\" (\"charset\" \"iso-8859-1\") NIL NIL \"quoted-printable\" 35 2 NIL "
		  "NIL NIL NIL)"
		  "(\"text\" \"html\" NIL NIL NIL \"7bit\" 8 0 NIL NIL NIL NIL) \"alternative\" "
		  "(\"boundary\" \"b2\") NIL NIL NIL)"
		  "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 39 (NIL \"inner\" ((NIL NIL \"i\" \"n\")) "
		  "((NIL NIL \"i\" \"n\")) "
		  "((NIL NIL \"i\" \"n\")) NIL NIL NIL NIL NIL) "
		  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 0 NIL NIL NIL NIL) 3 "
		  "NIL NIL NIL NIL)"
		  "(\"application\" \"pdf\" (\"name\" \"x\") \"<id@x>\" \"what it is\" \"base64\" 4 NIL "
		  "(\"attachment\" (\"filename*\" \"utf-8''%C3%B6.pdf\")) (\"de\" \"en\") NIL) "
		  "\"mixed\" (\"boundary\" \"b1\") NIL NIL NIL)"));
	check_slice(s.preview, S("Gr\xc3\xbc\xc3\x9f"
				 "e, see below"));
	assert_int_equal(s.flags, MAIL_NOTE_8BIT_HEADER | MAIL_NOTE_MIME | MAIL_SUMMARY_ATTACHMENT);
	assert_int_equal(s.size, sizeof sample - 1);
	buf_free(&b);
}

static void test_sections(void **state)
{
	static const struct {
		uint32_t path[4];
		size_t n;
		enum mail_section section;
		const char *text; /* how the bytes begin; NULL: there is no such section */
		size_t len;
	} cases[] = {
		{{0}, 0, MAIL_SECTION_ALL, "Date: Mon", sizeof sample - 1},
		{{0}, 0, MAIL_SECTION_HEADER, "Date: Mon", 297},
		{{0}, 0, MAIL_SECTION_TEXT, "--b1\r\nContent-Type: multipart/alt", sizeof sample - 1 - 297},
		{{0}, 0, MAIL_SECTION_MIME, NULL, 0},
		{{1}, 1, MAIL_SECTION_ALL, "--b2", 185},
		{{1}, 1, MAIL_SECTION_MIME, "Content-Type: multipart/alternative", 52},
		{{1}, 1, MAIL_SECTION_HEADER, NULL, 0},
		{{1, 1}, 2, MAIL_SECTION_ALL, "Gr=FC", 35},
		{{1, 2}, 2, MAIL_SECTION_ALL, "<b>x</b>", 8},
		{{1, 2}, 2, MAIL_SECTION_MIME, "Content-Type: text/html", 27},
		{{1, 3}, 2, MAIL_SECTION_ALL, NULL, 0},
		{{1, 1, 1}, 3, MAIL_SECTION_ALL, NULL, 0},
		{{2}, 1, MAIL_SECTION_ALL, "Subject: inner", 39},
		{{2}, 1, MAIL_SECTION_HEADER, "Subject: inner", 29},
		{{2}, 1, MAIL_SECTION_TEXT, "inner text", 10},
		{{2}, 1, MAIL_SECTION_MIME, "Content-Type: message/rfc822", 32},
		{{2, 1}, 2, MAIL_SECTION_ALL, "inner text", 10},
		{{2, 1}, 2, MAIL_SECTION_MIME, "Subject: inner", 29},
		{{2, 2}, 2, MAIL_SECTION_ALL, NULL, 0},
		{{2, 1, 1}, 3, MAIL_SECTION_ALL, NULL, 0},
		{{3}, 1, MAIL_SECTION_ALL, "AAAA", 4},
		{{4}, 1, MAIL_SECTION_ALL, NULL, 0},
		{{4294967295u}, 1, MAIL_SECTION_ALL, NULL, 0},
		{{0}, 1, MAIL_SECTION_ALL, NULL, 0},
	};
	struct buf b = BUF_INIT(MEGABYTE);
	struct mail_summary s;
	struct mail_part p;
	struct mail_envelope v;
	uint32_t index;
	err e;
	(void)state;
	make(&b, slice_make(sample, sizeof sample - 1), 10);
	assert_int_equal(mail_summary_open(buf_slice(&b), &s, &e), 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint32_t off = 0, len = 0;
		int rc =
			mail_summary_section(&s, cases[i].path, cases[i].n, cases[i].section, &off, &len, &e);
		if ((rc == 0) != (cases[i].text != NULL) || (rc == 0 && len != cases[i].len))
			fail_msg("case %zu: %d, %u+%u", i, rc, off, len);
		if (rc < 0)
			assert_int_equal(e.kind, ERR_MISSING);
		else
			assert_true(slice_starts(slice_make(sample + off, len), slice_of(cases[i].text)));
	}
	assert_int_equal(mail_summary_find(&s, (const uint32_t[]){3}, 1, &index, &e), 0);
	assert_int_equal(mail_summary_part(&s, index, &p), 0);
	check_slice(p.name, S("\xc3\xb6.pdf"));
	check_slice(p.type, S("application"));
	check_slice(p.id, S("<id@x>"));
	assert_true(p.attachment);
	assert_int_equal(p.encoding, MAIL_ENCODING_BASE64);
	assert_int_equal(mail_summary_envelope(&s, index, &v), -1);
	assert_int_equal(mail_summary_envelope(&s, 0, &v), 0);
	check_slice(v.subject, S("a \"quoted\" \\ thing"));
	check_slice(v.sender, (slice){0});
	assert_int_equal(mail_summary_find(&s, (const uint32_t[]){2}, 1, &index, &e), 0);
	assert_int_equal(mail_summary_part(&s, index, &p), 0);
	assert_int_equal(mail_summary_envelope(&s, p.child, &v), 0);
	check_slice(v.subject, S("inner"));
	buf_free(&b);
}

static void test_single_part_numbers(void **state)
{
	struct buf b = BUF_INIT(MEGABYTE);
	struct mail_summary s;
	uint32_t off, len;
	err e;
	(void)state;
	assert_int_equal(mail_summary_make(S("Subject: x\r\n\r\nbody"), &b, &e), 0);
	assert_int_equal(mail_summary_open(buf_slice(&b), &s, &e), 0);
	assert_int_equal(
		mail_summary_section(&s, (const uint32_t[]){1}, 1, MAIL_SECTION_ALL, &off, &len, &e), 0);
	assert_int_equal(off, 14);
	assert_int_equal(len, 4);
	assert_int_equal(
		mail_summary_section(&s, (const uint32_t[]){1, 1}, 2, MAIL_SECTION_ALL, &off, &len, &e), -1);
	assert_int_equal(
		mail_summary_section(&s, (const uint32_t[]){2}, 1, MAIL_SECTION_ALL, &off, &len, &e), -1);
	buf_free(&b);
}

static void test_previews(void **state)
{
	static const struct {
		const char *in, *preview;
	} cases[] = {
		{"\r\nHello\r\n\r\n  world \r\n", "Hello world"},
		{"\r\n", ""},
		{"Content-Type: text/html\r\n\r\n<style>p{}</style><p>A&amp;B</p><p>C", "A&B C"},
		{"Content-Type: image/png\r\n\r\nxxxx", ""},
		{"Content-Type: text/plain; charset=gb2312\r\nContent-Transfer-Encoding: "
		 "base64\r\n\r\n1tDOxA==\r\n",
			"\xe4\xb8\xad\xe6\x96\x87"},
		{"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n \r\n--b\r\nContent-Type: "
		 "text/html\r\n\r\n<p>x\r\n--b--",
			"x"},
		{"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: "
		 "attachment\r\n\r\nno\r\n--b\r\n\r\nyes\r\n--b--",
			"yes"},
		{"\r\na\x01\x02"
		 "b\xe2\x80\x8b\xe2\x80\xae"
		 "c",
			"a bc"},
		{"\r\na\xff", "a\xc3\xbf"},
	};
	struct buf b = BUF_INIT(MEGABYTE);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		for (size_t step = 1; step < 100; step += 7) {
			struct mail_summary s;
			buf_reset(&b);
			make(&b, slice_of(cases[i].in), step);
			assert_int_equal(mail_summary_open(buf_slice(&b), &s, NULL), 0);
			if (!slice_eq(s.preview, slice_of(cases[i].preview)))
				fail_msg("case %zu gives \"%.*s\"", i, (int)s.preview.n, s.preview.p);
		}
	}
	/* 200 characters, not bytes */
	struct buf in = BUF_INIT(65536);
	struct mail_summary s;
	buf_addz(&in, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
	for (int i = 0; i < 5000; i++)
		buf_addz(&in, "\xf0\x9f\x93\xac");
	buf_reset(&b);
	make(&b, buf_slice(&in), 1000);
	assert_int_equal(mail_summary_open(buf_slice(&b), &s, NULL), 0);
	assert_int_equal(s.preview.n, 800);
	assert_true(utf8_valid(s.preview));
	buf_free(&in);
	buf_free(&b);
}

/* Every byte of a good record set to other values, and every shorter record: refused, or harmless. */
static void test_damage(void **state)
{
	static const uint8_t values[] = {0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, '"', '(', '\r', '{'};
	struct buf b = BUF_INIT(MEGABYTE);
	size_t refused = 0, tried = 0;
	err e;
	(void)state;
	make(&b, slice_make(sample, sizeof sample - 1), 4096);
	for (size_t n = 0; n < b.n; n++) {
		char *exact = exact_copy(slice_make(b.p, n));
		assert_int_equal(mail_summary_verify(slice_make(exact, n), sizeof sample - 1, &e), -1);
		free(exact);
	}
	for (size_t i = 0; i < b.n; i++) {
		for (size_t k = 0; k < sizeof values; k++) {
			struct mail_summary s;
			char *exact = exact_copy(buf_slice(&b));
			exact[i] = (char)values[k];
			slice record = slice_make(exact, b.n);
			tried++;
			refused += mail_summary_verify(record, sizeof sample - 1, &e) < 0;
			if (mail_summary_open(record, &s, &e) == 0) {
				for (uint32_t part = 0; part < s.parts; part++) {
					struct mail_part p;
					struct mail_envelope v;
					if (mail_summary_part(&s, part, &p) == 0)
						assert_true(utf8_cut(p.name, 100) <= 100);
					mail_summary_envelope(&s, part, &v);
				}
				for (uint32_t a = 1; a < 4; a++) {
					uint32_t index, path[3] = {a, a, a};
					if (mail_summary_find(&s, path, a, &index, &e) == 0)
						assert_true(index < s.parts);
				}
			}
			free(exact);
		}
	}
	assert_true(refused > tried / 10);
	assert_int_equal(mail_summary_verify(buf_slice(&b), sizeof sample, &e), -1);
	buf_free(&b);
}

static void check_hostile(const char *head, const char *unit, size_t times, const char *name)
{
	struct mail_summary_builder *s = mail_summary_new();
	struct buf out = BUF_INIT(2 * MEGABYTE), lump = BUF_INIT(65536);
	struct mail_summary view;
	size_t n = strlen(head);
	err e;
	size_t lumps = 1;
	while (lump.n < 30000 && times >= lumps * 2) {
		buf_reset(&lump);
		lumps *= 2;
		for (size_t i = 0; i < lumps; i++)
			buf_addz(&lump, unit);
	}
	if (lump.n == 0)
		buf_addz(&lump, unit);
	mail_summary_feed(s, slice_of(head));
	for (size_t i = 0; i < times / lumps; i++) {
		mail_summary_feed(s, buf_slice(&lump));
		n += lump.n;
	}
	if (mail_summary_finish(s, &out, &e) < 0)
		fail_msg("%s: %s", name, e.text);
	assert_true(out.n <= MEGABYTE);
	if (mail_summary_verify(buf_slice(&out), n, &e) < 0)
		fail_msg("%s: %s", name, e.text);
	assert_int_equal(mail_summary_open(buf_slice(&out), &view, &e), 0);
	mail_summary_free(s);
	buf_free(&out);
	buf_free(&lump);
}

static void test_hostile(void **state)
{
	static const struct {
		const char *name, *head, *unit;
		size_t times;
	} cases[] = {
		{"a million (", "Subject: ", "(", 1000000},
		{"a million ( in To", "To: ", "(", 1000000},
		{"a million ( in Content-Type", "Content-Type: ", "(", 1000000},
		{"a million quotes in To", "To: ", "\"", 1000000},
		{"10,000 headers", "", "Subject: x\r\nTo: a@b\r\nX: y\r\n", 10000},
		{"100,000 addresses", "To: ", "a@b,\r\n ", 100000},
		{"addresses without domain", "From: ", "a,", 130000},
		{"10,000 parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
			"--b\r\nContent-Type: text/x; a=b; c=d\r\n\r\nx\r\n", 10000},
		{"10,000 messages", "Content-Type: multipart/digest; boundary=b\r\n\r\n",
			"--b\r\n\r\nFrom: a,b,c,d,e,f,g,h,i,j,k\r\nTo: a,b,c,d,e,f,g,h,i,j,k\r\nCc: "
			"a,b,c\r\nSubject: \x80\r\n\r\nx\r\n",
			10000},
		{"5,000 nested multiparts", "", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
			5000},
		{"5,000 nested messages", "",
			"Content-Type: message/rfc822\r\nSubject: x\r\nFrom: a,b,c\r\n\r\n", 5000},
		{"megabytes without a line end", "", "x", 16 * MEGABYTE},
		{"megabytes of line ends", "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "\n",
			16 * MEGABYTE},
		{"megabytes of dashes", "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--",
			4 * MEGABYTE},
		{"controls", "Subject: ", "\x01\x7f\xff\r", 300000},
		{"controls in parameters", "Content-Type: text/plain; name=\"", "\x01\x7f\xff\\", 300000},
		{"controls in a charset",
			"Content-Id: \x01\r\nContent-Type: text/plain; charset=\"\x01\x02\";", "a=\x02;", 3},
		{"html without end", "Content-Type: text/html\r\n\r\n", "<a <!--", 1000000},
		{"entities", "Content-Type: text/html\r\n\r\n", "&&#", 1000000},
		{"languages", "Content-Language: ", "a,", 100000},
		{"parameters", "Content-Type: a/b", ";a=b", 100000},
		{"long parameters", "Content-Type: a/b; c=\"", "\\\"", 200000},
		{"encoded words", "Content-Disposition: attachment; filename=\"", "=?a?q?", 40000},
		{"a large disposition a part", "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
			"--b\r\nContent-Type: a/b; "
			"x="
			"\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\"
			"\"\\\"\\\"\\\"\"\r\n"
			"Content-Description: \x80 \x80 \x80 \x80 \x80\r\nContent-Location: "
			"xxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n\r\n",
			10000},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check_hostile(cases[i].head, cases[i].unit, cases[i].times, cases[i].name);
}

static void test_reuse(void **state)
{
	struct mail_summary_builder *s = mail_summary_new();
	struct buf one = BUF_INIT(MEGABYTE), two = BUF_INIT(MEGABYTE);
	(void)state;
	for (int i = 0; i < 3; i++) {
		mail_summary_feed(
			s, S("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nother \xff"));
		mail_summary_reset(s);
		buf_reset(&one);
		buf_reset(&two);
		mail_summary_feed(s, slice_make(sample, sizeof sample - 1));
		assert_int_equal(mail_summary_finish(s, &one, NULL), 0);
		mail_summary_reset(s);
		make(&two, slice_make(sample, sizeof sample - 1), 1000);
		assert_true(slice_eq(buf_slice(&one), buf_slice(&two)));
	}
	mail_summary_free(s);
	buf_free(&one);
	buf_free(&two);
}

/* ---- messages from outside: each gives the same record in every chunking, and the record holds ---- */

static void check_message(const char *name, slice in)
{
	static const size_t steps[] = {1, 3, 64, 1000};
	struct buf whole = BUF_INIT(MEGABYTE), pieces = BUF_INIT(MEGABYTE);
	struct mail_summary s;
	err e;
	make(&whole, in, in.n + 1);
	if (mail_summary_verify(buf_slice(&whole), in.n, &e) < 0)
		fail_msg("%s: %s", name, e.text);
	assert_int_equal(mail_summary_open(buf_slice(&whole), &s, &e), 0);
	assert_int_equal(s.parts > 0, true);
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		if (steps[i] == 1 && in.n > 100000)
			continue;
		buf_reset(&pieces);
		make(&pieces, in, steps[i]);
		if (!slice_eq(buf_slice(&whole), buf_slice(&pieces)))
			fail_msg("%s: in steps of %zu", name, steps[i]);
	}
	/* the header of part 0 is what mail_header_length says */
	struct mail_part p;
	assert_int_equal(mail_summary_part(&s, 0, &p), 0);
	assert_int_equal(p.header_len, mail_header_length(in));
	buf_free(&whole);
	buf_free(&pieces);
}

static size_t check_folder(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *entry;
	size_t n = 0;
	while (d && (entry = readdir(d))) {
		char path[1024];
		struct buf file = BUF_INIT(32 * MEGABYTE), crlf = BUF_INIT(32 * MEGABYTE);
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (entry->d_type == DT_DIR) {
			n += check_folder(path);
		} else if (file_read(path, &file) && file.n < MEGABYTE) {
			check_message(path, buf_slice(&file));
			to_crlf(&crlf, buf_slice(&file));
			check_message(path, buf_slice(&crlf));
			n++;
		}
		buf_free(&file);
		buf_free(&crlf);
	}
	if (d)
		closedir(d);
	return n;
}

static void test_messages(void **state)
{
	static const char *const folders[] = {"mail-parser/eml", "mime4j", "mimekit", "gmime",
		"cpython-email", "enmime", "mikel-mail", "james-eml", "postal-mime", "mailparser",
		"mailsplit", "horde", "rspamd-messages", "flanker/messages", "cyrus"};
	size_t n = 0;
	(void)state;
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		char path[512];
		if (vector_path(path, sizeof path, folders[i]))
			n += check_folder(path);
	}
	if (n == 0)
		skip();
	assert_true(n > 500);
}

/* A message whose parts say their own numbers, made after the example of RFC 3501 6.4.5. */
static void test_rfc_example(void **state)
{
	static const slice mark = SLICE_INIT("part specifier should be: ");
	char path[512];
	struct buf file = BUF_INIT(MEGABYTE), record = BUF_INIT(MEGABYTE);
	struct mail_summary s;
	size_t found = 0;
	err e;
	(void)state;
	if (!vector_path(path, sizeof path, "mimekit/messages/rfc2060.txt"))
		skip();
	assert_true(file_read(path, &file));
	assert_int_equal(mail_summary_make(buf_slice(&file), &record, &e), 0);
	assert_int_equal(mail_summary_open(buf_slice(&record), &s, &e), 0);
	for (size_t at = 0;;) {
		ptrdiff_t hit = slice_find(slice_skip(buf_slice(&file), at), mark);
		if (hit < 0)
			break;
		at += (size_t)hit + mark.n;
		uint32_t numbers[8], off, len;
		size_t n = 0;
		for (size_t i = at; ascii_is_digit(file.p[i]); i++) {
			numbers[n++] = (uint32_t)(file.p[i++] - '0');
			if (file.p[i] != '.')
				break;
		}
		if (mail_summary_section(&s, numbers, n, MAIL_SECTION_ALL, &off, &len, &e) < 0 || at < off ||
			at >= off + len)
			fail_msg("number at %zu", at);
		/* and in none of its own parts: it is the innermost that says so, or a message's header */
		numbers[n] = 1;
		if (mail_summary_section(&s, numbers, n + 1, MAIL_SECTION_ALL, &off, &len, &e) == 0)
			assert_true(at < off || at >= off + len);
		found++;
	}
	assert_true(found > 8);
	buf_free(&file);
	buf_free(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_single_part_numbers),
		cmocka_unit_test(test_previews),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_rfc_example),
		cmocka_unit_test(test_messages),
	};
	return cmocka_run_group_tests_name("mail/summary", tests, NULL, NULL);
}

#include "base/encode.h"
#include "limits.h"
#include "mail/decode.h"
#include "mail/downgrade.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "support.h"
#include <sys/stat.h>
#include <time.h>

#define NI  "\xe4\xbd\xa0" /* one Chinese character */
#define HAO "\xe5\xa5\xbd"

static int gather(void *arg, slice piece, err *e)
{
	(void)e;
	assert_true(piece.n > 0);
	buf_add(arg, piece);
	return 0;
}

static struct mail_mime *parse(slice in)
{
	struct mail_mime *m = mail_mime_new(NULL);
	mail_mime_feed(m, in);
	assert_int_equal(mail_mime_finish(m, NULL), 0);
	return m;
}

static void decode(struct buf *out, slice message, const struct mail_mime_part *p)
{
	struct mail_decoder d = {.encoding = p->encoding};
	mail_decoder_feed(&d, out, slice_sub(message, p->body_off, p->body_len));
	mail_decoder_finish(&d, out);
	assert_false(out->failed);
}

static bool is_leaf(const struct mail_mime_part *p)
{
	return p->kind == MAIL_PART_LEAF || p->kind == MAIL_PART_TEXT;
}

/* Base64 at the end of a message has a line end of its own; what it encodes has not. */
static void check_leaf(const char *name, uint32_t i, slice before, const struct mail_mime_part *p,
	slice after, const struct mail_mime_part *q)
{
	struct buf a = BUF_INIT(before.n + 1), b = BUF_INIT(2 * before.n + 100);
	decode(&a, before, p);
	decode(&b, after, q);
	if (!slice_eq(buf_slice(&a), buf_slice(&b)))
		fail_msg("%s: part %u: %zu bytes became %zu:\n%.*s\n----\n%.*s", name, i, a.n, b.n,
			(int)(a.n < 2000 ? a.n : 2000), a.p, (int)(b.n < 2000 ? b.n : 2000), b.p);
	buf_free(&a);
	buf_free(&b);
}

/* 1: converted, and checked: 7 bits, the same tree, every leaf the same. 0: refused as too large. */
static int round_trip(const char *name, slice in, struct buf *ret)
{
	struct buf out = BUF_INIT(8 * in.n + 4096), *b = ret ? ret : &out;
	err e;
	if (mail_downgrade(in, gather, b, &e) < 0) {
		assert_int_equal(e.kind, ERR_LIMIT);
		return 0;
	}
	assert_false(b->failed);
	struct mail_content_needs needs;
	mail_content_look(buf_slice(b), &needs);
	if (needs.eight_bit || needs.header_utf8 || needs.binary)
		fail_msg("%s: still %d %d %d\n%.*s", name, needs.eight_bit, needs.header_utf8, needs.binary,
			(int)(b->n < 4000 ? b->n : 4000), b->p);
	struct mail_mime *before = parse(in), *after = parse(buf_slice(b));
	uint32_t n, k;
	const struct mail_mime_part *p = mail_mime_parts(before, &n), *q = mail_mime_parts(after, &k);
	if (n != k)
		fail_msg("%s: %u parts became %u:\n%.*s", name, n, k, (int)(b->n < 4000 ? b->n : 4000), b->p);
	for (uint32_t i = 0; i < n; i++) {
		if (p[i].kind != q[i].kind || p[i].parent != q[i].parent)
			fail_msg("%s: part %u: kind %d became %d", name, i, (int)p[i].kind, (int)q[i].kind);
		if (is_leaf(&p[i]))
			check_leaf(name, i, in, &p[i], buf_slice(b), &q[i]);
	}
	mail_mime_free(before);
	mail_mime_free(after);
	/* what is in 7 bits stays as it is */
	struct buf again = BUF_INIT(b->n + 4096);
	assert_int_equal(mail_downgrade(buf_slice(b), gather, &again, &e), 0);
	check_slice(buf_slice(&again), buf_slice(b));
	buf_free(&again);
	buf_free(&out);
	return 1;
}

static void test_exact(void **state)
{
	static const struct {
		const char *name;
		slice in, out;
	} cases[] = {
		{"clean", SLICE_INIT("Subject: x\r\n\r\nhello\r\n"),
			SLICE_INIT("Subject: x\r\n\r\nhello\r\n")},
		{"clean, labelled",
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\nhello\r\n"),
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\n\r\nhello\r\n")},
		{"empty", SLICE_INIT(""), SLICE_INIT("")},
		{"no mime, utf-8",
			SLICE_INIT("Subject: x\r\n\r\nGr\xc3\xbc\xc3\x9f"
				   "e an alle, die es lesen\r\n"),
			SLICE_INIT("Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
				   "charset=utf-8\r\n"
				   "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
				   "Gr=C3=BC=C3=9Fe an alle, die es lesen\r\n")},
		{"no mime, gb18030", SLICE_INIT("\r\n\xc4\xe3\xba\xc3"),
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
				   "Content-Transfer-Encoding: base64\r\n\r\nxOO6ww==\r\n")},
		{"mostly chinese is base64",
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
				   "Content-Transfer-Encoding: 8bit\r\n\r\n" NI HAO "\r\n"),
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
				   "Content-Transfer-Encoding: base64\r\n\r\n5L2g5aW9DQo=\r\n")},
		{"attachment, binary",
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
				   "Content-Transfer-Encoding: "
				   "binary\r\n\r\npre\xff\r\n--b\r\n\r\nplain\r\n--b\r\n"
				   "Content-Type: image/png\r\nContent-Transfer-Encoding: "
				   "binary\r\n\r\n\x89PNG\0\n\r"
				   "\r\n--b--\r\n-- \xff\r\n"),
			SLICE_INIT(
				"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
				"Content-Transfer-Encoding: 7bit\r\n\r\npre?\r\n--b\r\n\r\nplain\r\n--b\r\n"
				"Content-Type: image/png\r\nContent-Transfer-Encoding: "
				"base64\r\n\r\niVBORwAKDQ=="
				"\r\n--b--\r\n -- ?\r\n")},
		{"qp stays qp, base64 stays base64",
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
				   "boundary=b\r\n\r\n--b\r\n"
				   "Content-Transfer-Encoding: Quoted-Printable\r\n\r\na=C3=BC\xff=\r\nb "
				   "\r\n--b\r\n"
				   "Content-Transfer-Encoding: base64\r\n\r\nxO\xffO6ww==\r\n--b--\r\n"),
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
				   "boundary=b\r\n\r\n--b\r\n"
				   "Content-Transfer-Encoding: quoted-printable\r\n\r\na=C3=BC=FFb\r\n--b\r\n"
				   "Content-Transfer-Encoding: base64\r\n\r\nxOO6ww==\r\n--b--\r\n")},
		{"no line becomes a boundary",
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
				   "boundary=\"b=FF\"\r\n\r\n"
				   "--b=FF\r\n\r\nsome words in front of it\r\n--b\xff\r\n--b=FF--\r\n"),
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
				   "boundary=\"b=FF\"\r\n\r\n"
				   "--b=FF\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
				   "Content-Transfer-Encoding: quoted-printable\r\n\r\nsome words in front "
				   "of it\r\n"
				   "=2D-b=FF\r\n--b=FF--\r\n")},
		{"a message inside",
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Type: "
				   "message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n"
				   "\r\nSubject: " NI "\r\n\r\nabcdefghijklmnopqrstuvwxyz \xc3\xa4\r\n"),
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Type: "
				   "message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n"
				   "\r\nSubject: =?utf-8?B?5L2g?=\r\nMIME-Version: 1.0\r\n"
				   "Content-Type: text/plain; charset=utf-8\r\n"
				   "Content-Transfer-Encoding: "
				   "quoted-printable\r\n\r\nabcdefghijklmnopqrstuvwxyz =C3=A4\r\n")},
		{"a multipart without parts is text",
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
				   "no part is in here \xc3\xa4\r\n"),
			SLICE_INIT("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
				   "Content-Transfer-Encoding: quoted-printable\r\n\r\nno part is in here "
				   "=C3=A4\r\n")},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = BUF_INIT(MEGABYTE);
		assert_int_equal(round_trip(cases[i].name, cases[i].in, &out), 1);
		if (!slice_eq(buf_slice(&out), cases[i].out))
			fail_msg("%s: got\n%.*s\nwant\n%s", cases[i].name, (int)out.n, out.p, cases[i].out.p);
		buf_free(&out);
	}
}

static void test_fields(void **state)
{
	static const struct {
		slice in, out;
	} cases[] = {
		{SLICE_INIT("Subject: plain\r\n"), SLICE_INIT("Subject: plain\r\n")},
		{SLICE_INIT("Subject: Re: " NI HAO " ok\r\n"),
			SLICE_INIT("Subject: Re: =?utf-8?B?5L2g5aW9?= ok\r\n")},
		{SLICE_INIT("Subject: " NI " " HAO "\r\n"),
			SLICE_INIT("Subject: =?utf-8?B?5L2gIOWlvQ==?=\r\n")},
		{SLICE_INIT("Subject: =?utf-8?Q?a?= " NI "\r\n"),
			SLICE_INIT("Subject: =?utf-8?Q?a?= =?utf-8?B?IOS9oA==?=\r\n")},
		{SLICE_INIT("Subject: " NI " =?utf-8?Q?a?=\r\n"),
			SLICE_INIT("Subject: =?utf-8?B?5L2gIA==?= =?utf-8?Q?a?=\r\n")},
		{SLICE_INIT("Subject: \xc4\xe3\r\n"), SLICE_INIT("Subject: =?unknown-8bit?B?xOM=?=\r\n")},
		{SLICE_INIT("From: " NI " " HAO " Li <a@b.c>, \"" NI ", x\" <d@e>\r\n"),
			SLICE_INIT("From: =?utf-8?B?5L2gIOWlvQ==?= Li <a@b.c>, "
				   "=?utf-8?B?5L2gLCB4?= <d@e>\r\n")},
		{SLICE_INIT("To: " NI "@" HAO ".cn, <" NI "@x>, x (" NI ")\r\n"),
			SLICE_INIT("To: ???@???.cn, <???@x>, x ( =?utf-8?B?5L2g?= )\r\n")},
		{SLICE_INIT("Message-ID: <" NI "@x>\r\n"), SLICE_INIT("Message-ID: <???@x>\r\n")},
		{SLICE_INIT("Content-Disposition: attachment; filename=\"" NI " a.pdf\"; size=1\r\n"),
			SLICE_INIT("Content-Disposition: attachment; filename*=utf-8''%E4%BD%A0%20a.pdf; "
				   "size=1\r\n")},
		{SLICE_INIT("Content-Disposition: attachment; filename=\"\xc4\xe3.pdf\"\r\n"),
			SLICE_INIT("Content-Disposition: attachment; filename=\"??.pdf\"\r\n")},
		{SLICE_INIT("X: a\rb\0c\r\n"), SLICE_INIT("X: a b c\r\n")},
		{SLICE_INIT("X: a\n b\n"), SLICE_INIT("X: a b\r\n")},
		{SLICE_INIT("no field \xff\r\n"), SLICE_INIT("no field ?\r\n")},
		{SLICE_INIT("--b\xff\r\n"), SLICE_INIT("?--b?\r\n")},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf in = BUF_INIT(MEGABYTE), out = BUF_INIT(MEGABYTE);
		buf_add(&in, cases[i].in);
		buf_addz(&in, "\r\n");
		assert_int_equal(round_trip(cases[i].in.p, buf_slice(&in), &out), 1);
		check_slice(slice_sub(buf_slice(&out), 0, out.n - 2), cases[i].out);
		buf_free(&in);
		buf_free(&out);
	}
}

/* The words a reader shows stay the same. */
static void test_subject_is_kept(void **state)
{
	(void)state;
	struct buf in = BUF_INIT(MEGABYTE), out = BUF_INIT(MEGABYTE), a = BUF_INIT(MEGABYTE),
		   b = BUF_INIT(MEGABYTE);
	struct mail_field f;
	for (unsigned len = 1; len < 300; len += 7) {
		buf_reset(&in);
		buf_addz(&in, "Subject: ");
		for (unsigned i = 0; i < len; i++)
			buf_addz(&in, i % 11 == 3 ? " word " : i % 5 ? NI : "\xf0\x9f\x98\x80" HAO);
		buf_addz(&in, "\r\n\r\n");
		buf_reset(&out);
		assert_int_equal(round_trip("subject", buf_slice(&in), &out), 1);
		buf_reset(&a);
		buf_reset(&b);
		assert_true(mail_header_find(buf_slice(&in), S("subject"), &f));
		mail_words_decode(&a, slice_trim(f.value));
		assert_true(mail_header_find(buf_slice(&out), S("subject"), &f));
		struct buf line = BUF_INIT(MEGABYTE);
		mail_header_unfold(&line, f.value);
		mail_words_decode(&b, buf_slice(&line));
		check_slice(buf_slice(&b), buf_slice(&a));
		slice rest = buf_slice(&out), row;
		while (slice_cut(&rest, '\n', &row))
			assert_true(row.n <= 77);
		buf_free(&line);
	}
	buf_free(&in);
	buf_free(&out);
	buf_free(&a);
	buf_free(&b);
}

static void add_line(struct buf *b, char c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_add_c(b, c);
	buf_addz(b, "\r\n");
}

static void test_long_lines(void **state)
{
	(void)state;
	static const size_t lengths[] = {997, 998, 999, 1000, 5000, 100000};
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		struct buf b = BUF_INIT(4 * MEGABYTE);
		struct mail_content_needs needs;
		buf_addz(&b, "X: ");
		add_line(&b, 'y', lengths[i] - 3);
		add_line(&b, 'z', lengths[i]);
		mail_content_look(buf_slice(&b), &needs);
		assert_int_equal(needs.binary, lengths[i] > 998);
		assert_int_equal(round_trip("long field", buf_slice(&b), NULL), 1);
		buf_reset(&b);
		buf_addz(&b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
		add_line(&b, '-', lengths[i]);
		buf_addz(&b, "--b\r\n\r\n");
		add_line(&b, '-', lengths[i]);
		add_line(&b, '\xff', lengths[i]);
		buf_addz(&b, "--b--\r\n");
		add_line(&b, 'e', lengths[i]);
		assert_int_equal(round_trip("long body", buf_slice(&b), NULL), 1);
		buf_free(&b);
	}
}

static void test_look(void **state)
{
	static const struct {
		slice in;
		bool eight_bit, header, binary;
	} cases[] = {
		{SLICE_INIT(""), 0, 0, 0},
		{SLICE_INIT("A: b\r\n\r\nc\r\n"), 0, 0, 0},
		{SLICE_INIT("A: b\r\n\r\nc"), 0, 0, 0},
		{SLICE_INIT("A: b\r\n\r\nc\r"), 0, 0, 1},
		{SLICE_INIT("\n"), 0, 0, 1},
		{SLICE_INIT("\r\n\r\na\rb"), 0, 0, 1},
		{SLICE_INIT("\r\n\r\na\nb"), 0, 0, 1},
		{SLICE_INIT("\r\na\0"), 0, 0, 1},
		{SLICE_INIT("A: \xff\r\n\r\nb"), 0, 1, 0},
		{SLICE_INIT("A: b\r\n\r\n\xff"), 1, 0, 0},
		{SLICE_INIT("A: \xff\r\n\r\n\xff"), 1, 1, 0},
		{SLICE_INIT(
			 "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nA: \xff\r\n\r\nx\r\n--b--"),
			0, 1, 0},
		{SLICE_INIT("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\xff\r\n--b--"), 1,
			0, 0},
		{SLICE_INIT("Content-Type: message/global\r\n\r\nA: \xff\r\n\r\nx"), 0, 1, 0},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct mail_content_needs needs;
		char *exact = exact_copy(cases[i].in);
		mail_content_look(slice_make(exact, cases[i].in.n), &needs);
		if (needs.eight_bit != cases[i].eight_bit || needs.header_utf8 != cases[i].header ||
			needs.binary != cases[i].binary)
			fail_msg("%s: %d %d %d", cases[i].in.p, needs.eight_bit, needs.header_utf8,
				needs.binary);
		free(exact);
	}
	/* one odd byte at every place of a long text */
	char text[200];
	static const char odd[] = {'\0', '\r', '\n', '\xff'};
	for (size_t i = 0; i < sizeof text * COUNT_OF(odd); i++) {
		struct mail_content_needs needs;
		memset(text, 'x', sizeof text);
		memcpy(text, "\r\n", 2);
		size_t at = 2 + i / COUNT_OF(odd) % (sizeof text - 2);
		text[at] = odd[i % COUNT_OF(odd)];
		char *exact = exact_copy(slice_make(text, sizeof text));
		mail_content_look(slice_make(exact, sizeof text), &needs);
		assert_int_equal(needs.binary, odd[i % COUNT_OF(odd)] != '\xff');
		assert_int_equal(needs.eight_bit, odd[i % COUNT_OF(odd)] == '\xff');
		free(exact);
	}
}

/* It runs over every message that goes out. The bound is loose: machines are shared. */
static void test_look_is_fast(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(64 * MEGABYTE);
	while (b.n < 50 * MEGABYTE)
		add_line(&b, 'x', 76);
	struct timespec t0, t1;
	struct mail_content_needs needs;
	int64_t best = INT64_MAX;
	for (int i = 0; i < 3; i++) {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
		mail_content_look(buf_slice(&b), &needs);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
		int64_t took = (t1.tv_sec - t0.tv_sec) * 1000000 + (t1.tv_nsec - t0.tv_nsec) / 1000;
		best = took < best ? took : best;
	}
	print_message("50 MiB in %jd us\n", (intmax_t)best);
	assert_false(needs.binary);
	assert_true(best < 1000000);
	buf_free(&b);
}

static void test_limits(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(4 * MEGABYTE), out = BUF_INIT(4 * MEGABYTE);
	err e;
	buf_addz(&b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (int i = 0; i <= LIMIT_MAIL_PARTS; i++)
		buf_addz(&b, "--b\r\n\r\n\xff\r\n");
	assert_int_equal(mail_downgrade(buf_slice(&b), gather, &out, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	slice high =
		S("Content-Type: multipart/mixed; boundary=\"\xff\"\r\n\r\n--\xff\r\n\r\nx\r\n--\xff--\r\n");
	assert_int_equal(mail_downgrade(high, gather, &out, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	buf_free(&b);
	buf_free(&out);
}

static int refuse(void *arg, slice piece, err *e)
{
	int *left = arg;
	(void)piece;
	return (*left)-- > 0 ? 0 : err_set(e, ERR_CLOSED, "enough");
}

static void test_sink_ends_it(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(4 * MEGABYTE);
	buf_addz(&b, "\r\n");
	for (int i = 0; i < 3000; i++)
		add_line(&b, '\xff', 70);
	for (int n = 0; n < 5; n++) {
		int left = n;
		err e;
		assert_int_equal(mail_downgrade(buf_slice(&b), refuse, &left, &e), -1);
		assert_int_equal(e.kind, ERR_CLOSED);
		assert_int_equal(left, -1);
	}
	buf_free(&b);
}

/* ---- messages from outside ---- */

struct tally {
	unsigned converted, refused;
};

static void corpus_file(const char *path, struct tally *t)
{
	struct buf raw = BUF_INIT(32 * MEGABYTE), crlf = BUF_INIT(64 * MEGABYTE);
	if (file_read(path, &raw)) {
		to_crlf(&crlf, buf_slice(&raw));
		for (int i = 0; i < 2; i++) {
			int done = round_trip(path, buf_slice(i ? &raw : &crlf), NULL);
			t->converted += done == 1;
			t->refused += done == 0;
		}
	}
	buf_free(&raw);
	buf_free(&crlf);
}

static void corpus_folder(const char *path, int depth, struct tally *t)
{
	static const char *const kinds[] = {".eml", ".msg", ".txt", ".mbox"};
	DIR *d = opendir(path);
	struct dirent *entry;
	while (d && (entry = readdir(d))) {
		char name[1024];
		struct stat st;
		if (entry->d_name[0] == '.' ||
			(size_t)snprintf(name, sizeof name, "%s/%s", path, entry->d_name) >= sizeof name ||
			stat(name, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode) && depth < 4)
			corpus_folder(name, depth + 1, t);
		for (size_t i = 0; S_ISREG(st.st_mode) && i < COUNT_OF(kinds); i++)
			if (slice_ends(slice_of(name), slice_of(kinds[i])))
				corpus_file(name, t);
	}
	if (d)
		closedir(d);
}

static void test_corpus(void **state)
{
	(void)state;
	char path[512];
	struct tally t = {0};
	if (!vector_path(path, sizeof path, ""))
		skip();
	corpus_folder(path, 0, &t);
	print_message("%u messages converted, %u refused\n", t.converted, t.refused);
	assert_true(t.converted > 500 && t.refused * 50 < t.converted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_subject_is_kept),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_look),
		cmocka_unit_test(test_look_is_fast),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_sink_ends_it),
		cmocka_unit_test(test_corpus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The end-of-data filter: every form there is, in every chunking, against a model that reads byte by byte. */
#include "base/buf.h"
#include "smtp/dot.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct outcome {
	struct buf content;
	size_t used; /* bytes up to and with the end */
	unsigned flaws;
	bool ended;
};

/* The rules said once more, without any thought of speed: what the filter must agree with. */
static void model(slice in, bool dots, bool repair, struct outcome *o)
{
	bool line_start = true;
	size_t i = 0;

	while (i < in.n) {
		slice rest = slice_skip(in, i);
		if (dots && line_start && slice_starts(rest, S(".\r\n"))) {
			o->ended = true;
			i += 3;
			break;
		}
		if (dots && line_start && rest.p[0] == '.') {
			line_start = false;
			i++;
		} else if (slice_starts(rest, S("\r\n"))) {
			buf_add(&o->content, S("\r\n"));
			line_start = true;
			i += 2;
		} else if (rest.p[0] == '\r' || rest.p[0] == '\n') {
			o->flaws |= rest.p[0] == '\r' ? SMTP_FLAW_CR : SMTP_FLAW_LF;
			if (repair)
				buf_add(&o->content, rest.p[0] == '\r' ? S(" ") : S("\r\n"));
			line_start = false;
			i++;
		} else {
			if (rest.p[0] == 0)
				o->flaws |= SMTP_FLAW_NUL;
			buf_add_c(&o->content, rest.p[0]);
			line_start = false;
			i++;
		}
	}
	o->used = i;
}

/* Feeds in[0..cut), then the rest in pieces of `step`. */
static void filter(slice in, bool dots, bool repair, size_t cut, size_t step, struct outcome *o)
{
	struct smtp_dot d = smtp_dot_begin(dots, repair);
	size_t at = 0;

	while (at < in.n && !smtp_dot_ended(&d)) {
		size_t n = at < cut ? cut - at : step;
		slice piece = slice_sub(in, at, n);
		char *exact = malloc(piece.n); /* so that one byte too far is seen */
		memcpy(exact, piece.p, piece.n);
		slice rest = slice_make(exact, piece.n);
		while (rest.n && !smtp_dot_ended(&d))
			buf_add(&o->content, smtp_dot_next(&d, &rest));
		at += piece.n - rest.n;
		free(exact);
	}
	if (!smtp_dot_ended(&d) && at == in.n)
		buf_add(&o->content, smtp_dot_finish(&d));
	o->used = at;
	o->flaws = d.flaws;
	o->ended = smtp_dot_ended(&d);
}

static void compare(slice in, bool dots, bool repair, size_t cut, size_t step)
{
	struct outcome want = {.content = BUF_INIT(1 << 20)}, got = {.content = BUF_INIT(1 << 20)};

	model(in, dots, repair, &want);
	filter(in, dots, repair, cut, step, &got);
	if (want.ended != got.ended || want.used != got.used || want.flaws != got.flaws ||
		!slice_eq(buf_slice(&want.content), buf_slice(&got.content))) {
		fprintf(stderr, "dots %d repair %d cut %zu step %zu: ", dots, repair, cut, step);
		for (size_t i = 0; i < in.n; i++)
			fprintf(stderr, "%02x", (unsigned char)in.p[i]);
		fprintf(stderr, "\n");
		fail();
	}
	buf_free(&want.content);
	buf_free(&got.content);
}

static void all_chunkings(slice in, bool dots, bool repair)
{
	for (size_t cut = 0; cut <= in.n; cut++)
		compare(in, dots, repair, cut, in.n ? in.n : 1);
	compare(in, dots, repair, 0, 1);
	compare(in, dots, repair, 0, 2);
	compare(in, dots, repair, 0, 3);
}

/* peers-classic.md 3.3: each form stands behind a line and before more text. */
static void test_forms(void **state)
{
	static const struct {
		slice form;
		bool ends;
		unsigned flaws;
	} forms[] = {
		{SLICE_INIT("\n.\n"), false, SMTP_FLAW_LF},
		{SLICE_INIT("\n.\r\n"), false, SMTP_FLAW_LF},
		{SLICE_INIT("\r\n.\n"), false, SMTP_FLAW_LF},
		{SLICE_INIT("\r.\r"), false, SMTP_FLAW_CR},
		{SLICE_INIT("\r.\r\n"), false, SMTP_FLAW_CR},
		{SLICE_INIT("\r\n.\r"), false, SMTP_FLAW_CR},
		{SLICE_INIT("\n.\r"), false, SMTP_FLAW_LF | SMTP_FLAW_CR},
		{SLICE_INIT("\r.\n"), false, SMTP_FLAW_CR | SMTP_FLAW_LF},
		{SLICE_INIT("\r\n.\r\r\n"), false, SMTP_FLAW_CR},
		{SLICE_INIT("\r\r\n.\r\n"), true, SMTP_FLAW_CR},
		{SLICE_INIT("\r\n\0.\r\n"), false, SMTP_FLAW_NUL},
		{SLICE_INIT("\r\n.\0\r\n"), false, SMTP_FLAW_NUL},
		{SLICE_INIT("\r\n..\r\n"), false, 0},
		{SLICE_INIT("\r\n.x\r\n"), false, 0},
		{SLICE_INIT("\r\n.\r\n"), true, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		for (int repair = 0; repair < 2; repair++) {
			struct buf in = BUF_INIT(256);
			buf_add(&in, S("Subject: x"));
			buf_add(&in, forms[i].form);
			buf_add(&in, S("more"));

			struct outcome o = {.content = BUF_INIT(256)};
			filter(buf_slice(&in), true, repair, 0, 1, &o);
			assert_int_equal(o.ended, forms[i].ends);
			assert_int_equal(o.flaws, forms[i].flaws);
			if (o.ended)
				assert_int_equal(o.used, in.n - 4);
			else
				assert_int_equal(o.used, in.n);
			all_chunkings(buf_slice(&in), true, repair);
			buf_free(&o.content);
			buf_free(&in);
		}
}

static void test_first_line(void **state)
{
	(void)state;
	all_chunkings(S(".\r\nQUIT\r\n"), true, false);
	all_chunkings(S("..\r\n.\r\nQUIT\r\n"), true, false);
	all_chunkings(S(".\n.\r\n\r\n.\r\n"), true, true);
	all_chunkings(S("\n.\r\n.\r\n"), true, false);
	all_chunkings(S("\r\n.\r\n"), true, false);
}

/* Every text of up to 8 bytes over the alphabet that matters. */
static void test_exhaustive(void **state)
{
	static const char alphabet[] = {'\r', '\n', '.', 'a'};
	char text[8];

	(void)state;
	for (size_t n = 0; n <= 8; n++)
		for (size_t v = 0; v < (size_t)1 << (2 * n); v++) {
			for (size_t i = 0; i < n; i++)
				text[i] = alphabet[v >> (2 * i) & 3];
			slice in = slice_make(text, n);
			for (unsigned mode = 0; mode < 4; mode++) {
				compare(in, mode & 1, mode & 2, 0, n ? n : 1);
				compare(in, mode & 1, mode & 2, 0, 1);
				compare(in, mode & 1, mode & 2, n / 2, n);
			}
		}
}

static void test_random(void **state)
{
	static const char alphabet[] = "\r\n\r\n..ab\0c";
	char text[200];

	(void)state;
	srand(1);
	for (int round = 0; round < 3000; round++) {
		size_t n = (size_t)rand() % sizeof text;
		for (size_t i = 0; i < n; i++)
			text[i] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
		for (unsigned mode = 0; mode < 4; mode++)
			compare(slice_make(text, n), mode & 1, mode & 2, (size_t)rand() % (n + 1),
				1 + (size_t)rand() % 40);
	}
}

static void test_pieces_are_large(void **state)
{
	struct buf in = BUF_INIT(1 << 20);
	struct smtp_dot d = smtp_dot_begin(true, false);
	size_t pieces = 0;

	(void)state;
	while (in.n < 100000)
		buf_add(&in, S("A line of text as most are in a mail, about seventy bytes of them.\r\n"));
	slice rest = buf_slice(&in);
	while (rest.n) {
		slice piece = smtp_dot_next(&d, &rest);
		pieces += piece.n > 0;
	}
	assert_int_equal(pieces, 1);
	buf_free(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_first_line),
		cmocka_unit_test(test_exhaustive),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_pieces_are_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

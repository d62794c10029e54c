/* The pure parts of the SMTP client: reply lines, content on its way out in all chunkings, SCRAM-SHA-256. */
#include "base/encode.h"
#include "smtp/client.h"
#include "smtp/dot.h"
#include "smtp/scram.h"
#include "smtp/stuff.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- replies ---- */

static void test_lines(void **state)
{
	static const struct {
		const char *line;
		uint16_t code;
		int rc;
		uint16_t ret_code;
		const char *text;
	} cases[] = {
		{"250 ok", 0, 1, 250, "ok"},
		{"250-ok", 0, 0, 250, "ok"},
		{"250", 0, 1, 250, ""},
		{"250 ", 0, 1, 250, ""},
		{"250-", 250, 0, 250, ""},
		{"599 x", 0, 1, 599, "x"},
		{"200 x", 0, 1, 200, "x"},
		{"250 ok", 251, -1, 251, NULL},
		{"199 x", 0, -1, 0, NULL},
		{"600 x", 0, -1, 0, NULL},
		{"25", 0, -1, 0, NULL},
		{"", 0, -1, 0, NULL},
		{"2x0 a", 0, -1, 0, NULL},
		{"25x a", 0, -1, 0, NULL},
		{"250ok", 0, -1, 0, NULL},
		{"2500 ok", 0, -1, 0, NULL},
		{"250\tok", 0, -1, 0, NULL},
		{" 250 ok", 0, -1, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint16_t code = cases[i].code;
		slice text = {0};

		if (smtp_reply_line(slice_of(cases[i].line), &code, &text) != cases[i].rc ||
			code != cases[i].ret_code ||
			(cases[i].text && !slice_eq(text, slice_of(cases[i].text))))
			fail_msg("%s", cases[i].line);
	}
}

static void test_status(void **state)
{
	static const struct {
		const char *text;
		uint16_t code;
		bool ok;
		uint8_t status[3];
		const char *rest;
	} cases[] = {
		{"5.1.1 who?", 550, true, {5, 1, 1}, "who?"},
		{"4.7.255 later", 421, true, {4, 7, 255}, "later"},
		{"2.0.0", 250, true, {2, 0, 0}, ""},
		{"5.1.256 x", 550, false, {0}, "5.1.256 x"},
		{"5.1.1234 x", 550, false, {0}, "5.1.1234 x"},
		{"4.1.1 x", 550, false, {0}, "4.1.1 x"},
		{"3.1.1 x", 354, false, {0}, "3.1.1 x"},
		{"5.1 x", 550, false, {0}, "5.1 x"},
		{"5.1.1x", 550, false, {0}, "5.1.1x"},
		{"5..1 x", 550, false, {0}, "5..1 x"},
		{"5.1.1.1 x", 550, false, {0}, "5.1.1.1 x"},
		{"", 550, false, {0}, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		slice text = slice_of(cases[i].text);
		uint8_t status[3] = {0};

		if (smtp_reply_status(&text, cases[i].code, status) != cases[i].ok ||
			memcmp(status, cases[i].status, 3) != 0 || !slice_eq(text, slice_of(cases[i].rest)))
			fail_msg("%s", cases[i].text);
	}
}

/* ---- content ---- */

/* As plain as it can be said. */
static void reference(slice in, bool dots, struct buf *out)
{
	bool start = true;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '\r' || c == '\n') {
			i += c == '\r' && i + 1 < in.n && in.p[i + 1] == '\n';
			buf_addz(out, "\r\n");
			start = true;
			continue;
		}
		if (c == '.' && start && dots)
			buf_add_c(out, '.');
		buf_add_c(out, c);
		start = false;
	}
	if (!start)
		buf_addz(out, "\r\n");
}

/* A block of just the piece's size, so that one byte too far is seen. */
static void stuff(struct smtp_stuff *s, slice piece, struct buf *out)
{
	char *copy = malloc(piece.n ? piece.n : 1);
	slice in = slice_make(copy, piece.n);

	assert_non_null(copy);
	memcpy(copy, piece.p, piece.n);
	while (in.n)
		buf_add(out, smtp_stuff_next(s, &in));
	free(copy);
}

static void check(slice in, bool dots, size_t cut, bool bytes)
{
	struct smtp_stuff s = smtp_stuff_begin(dots);
	struct buf got = BUF_INIT(1000), want = BUF_INIT(1000);

	if (bytes) {
		for (size_t i = 0; i < in.n; i++)
			stuff(&s, slice_sub(in, i, 1), &got);
	} else {
		stuff(&s, slice_sub(in, 0, cut), &got);
		stuff(&s, slice_skip(in, cut), &got);
	}
	buf_add(&got, smtp_stuff_finish(&s));
	reference(in, dots, &want);
	if (!slice_eq(buf_slice(&got), buf_slice(&want)))
		fail_msg("in %.*s cut %zu: %.*s", (int)in.n, in.p, cut, (int)got.n, got.p);
	buf_free(&got);
	buf_free(&want);
}

/* Every text of up to seven of these letters, in every split into two and byte by byte. */
static void test_stuff(void **state)
{
	static const char letters[] = "\r\n.a";
	char text[8];

	(void)state;
	for (size_t n = 0; n <= 7; n++)
		for (unsigned v = 0; v < 1u << (2 * n); v++) {
			for (size_t i = 0; i < n; i++)
				text[i] = letters[v >> (2 * i) & 3];
			for (int dots = 0; dots < 2; dots++) {
				for (size_t cut = 0; cut <= n; cut++)
					check(slice_make(text, n), dots, cut, false);
				check(slice_make(text, n), dots, 0, true);
			}
		}
}

/* What goes out comes in again: our own server's filter sees no flaw and the end where it is. */
static void test_round(void **state)
{
	static const char text[] = "a\n.\n..\r.\r\n\r\n.\r\n.b\r\r\n\n.";
	struct smtp_stuff s = smtp_stuff_begin(true);
	struct smtp_dot d = smtp_dot_begin(true, false);
	struct buf wire = BUF_INIT(1000), got = BUF_INIT(1000), want = BUF_INIT(1000);
	slice in = slice_of(text);

	(void)state;
	while (in.n)
		buf_add(&wire, smtp_stuff_next(&s, &in));
	buf_add(&wire, smtp_stuff_finish(&s));
	buf_addz(&wire, ".\r\n");
	in = buf_slice(&wire);
	while (in.n && !smtp_dot_ended(&d))
		buf_add(&got, smtp_dot_next(&d, &in));
	assert_true(smtp_dot_ended(&d) && in.n == 0 && d.flaws == 0);
	reference(slice_of(text), false, &want);
	assert_true(slice_eq(buf_slice(&got), buf_slice(&want)));
	buf_free(&wire);
	buf_free(&got);
	buf_free(&want);
}

/* ---- SCRAM ---- */

/* The example of RFC 7677 3. */
static void test_scram(void **state)
{
	static const char first[] =
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
	static const char last[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
	struct smtp_scram s;
	struct buf out = BUF_INIT(1000);

	(void)state;
	smtp_scram_begin(&s, S("pencil"), "rOprNGfwEbeRWgbNEkqO");
	assert_true(smtp_scram_first(&s, S("user"), &out));
	assert_true(slice_eq(buf_slice(&out), S("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")));
	buf_reset(&out);
	assert_null(smtp_scram_server_first(&s, slice_of(first)));
	assert_false(smtp_scram_final(&s, &out)); /* not derived yet */
	smtp_scram_derive(&s);
	buf_reset(&out);
	assert_true(smtp_scram_final(&s, &out));
	assert_true(slice_eq(buf_slice(&out), S("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
						"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")));
	assert_true(smtp_scram_verify(&s, slice_of(last)));
	assert_true(smtp_scram_verify(&s, S("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,x=y")));
	assert_false(smtp_scram_verify(&s, S("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
	assert_false(smtp_scram_verify(&s, S("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl9")));
	assert_false(smtp_scram_verify(&s, S("e=invalid-proof")));
	assert_false(smtp_scram_verify(&s, S("")));
	buf_free(&out);
	smtp_scram_end(&s);
}

static void test_scram_refused(void **state)
{
	static const char *const bad[] = {"", "r=", "r=abc", "r=nonce",
		"r=nonce,s=QQ==,i=4096", /* nothing of the server's own */
		"r=other1,s=QQ==,i=4096", "r=nonce1,s=QQ==", "r=nonce1,s=,i=4096", "r=nonce1,s=Q,i=4096",
		"r=nonce1,s=QQ==,i=", "r=nonce1,s=QQ==,i=-1", "r=nonce1,s=QQ==,i=4095",
		"r=nonce1,s=QQ==,i=600001", "r=nonce1,s=QQ==,i=4294967296", "m=x,r=nonce1,s=QQ==,i=4096",
		"s=QQ==,r=nonce1,i=4096", "e=unknown-user"};
	struct smtp_scram s;
	struct buf out = BUF_INIT(4000);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		smtp_scram_begin(&s, S("x"), "nonce");
		assert_true(smtp_scram_first(&s, S("a=b,c"), &out));
		assert_true(slice_eq(buf_slice(&out), S("n,,n=a=3Db=2Cc,r=nonce")));
		if (!smtp_scram_server_first(&s, slice_of(bad[i])))
			fail_msg("%s", bad[i]);
		smtp_scram_end(&s);
		buf_reset(&out);
	}
	smtp_scram_begin(&s, S("x"), "nonce");
	assert_true(smtp_scram_first(&s, S("a"), &out));
	assert_null(smtp_scram_server_first(&s, S("r=nonce1,s=QQ==,i=4096,ext=1"))); /* RFC 5802 7 */
	smtp_scram_end(&s);
	smtp_scram_begin(&s, S("x"), NULL);
	assert_int_equal(strlen(s.nonce), SCRAM_NONCE);
	smtp_scram_end(&s);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_status),
		cmocka_unit_test(test_stuff), cmocka_unit_test(test_round), cmocka_unit_test(test_scram),
		cmocka_unit_test(test_scram_refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

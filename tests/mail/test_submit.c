/* What a submitted message's header becomes: Bcc goes, Date and Message-ID come, in every chunking. */
#include "base/cleanup.h"
#include "mail/submit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DATE "Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
#define ID   "Message-ID: <0abc@mail.example>\r\n"

static void begin(struct mail_submit *m)
{
	mail_submit_begin(m, S("0abc"), S("mail.example"), (struct mail_date){1767225600, 0});
}

static void feed(struct mail_submit *m, slice piece, struct buf *out)
{
	/* An exact copy, gone afterwards: what came out before must not be needed any more. */
	char *copy = malloc(piece.n ? piece.n : 1);
	slice in = slice_make(copy, piece.n);

	memcpy(copy, piece.p, piece.n);
	while (in.n) {
		slice given = mail_submit_next(m, &in);
		buf_add(out, given);
	}
	free(copy);
}

static void check(slice in, slice want, const struct buf *got, const char *how, size_t at)
{
	if (!slice_eq(want, buf_slice(got)))
		fail_msg("\"%.*s\", %s %zu: \"%.*s\", not \"%.*s\"", (int)in.n, in.p, how, at, (int)got->n,
			got->p, (int)want.n, want.p);
}

/* Whole, byte by byte, and every split into two and three. */
static void all_chunkings(slice in, slice want)
{
	struct buf out = BUF_INIT(1 << 20);
	struct mail_submit m;

	for (size_t i = 0; i <= in.n; i++)
		for (size_t j = i; j <= in.n; j += in.n < 80 ? 1 : in.n) {
			buf_reset(&out);
			begin(&m);
			feed(&m, slice_sub(in, 0, i), &out);
			feed(&m, slice_sub(in, i, j - i), &out);
			feed(&m, slice_skip(in, j), &out);
			buf_add(&out, mail_submit_end(&m));
			check(in, want, &out, "split at", i);
		}
	buf_reset(&out);
	begin(&m);
	for (size_t i = 0; i < in.n; i++)
		feed(&m, slice_sub(in, i, 1), &out);
	buf_add(&out, mail_submit_end(&m));
	check(in, want, &out, "bytes", in.n);
	buf_free(&out);
}

static void test_header(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		/* nothing to do */
		{"Date: x\r\nMessage-ID: y\r\n\r\nBcc: z\r\n", "Date: x\r\nMessage-ID: y\r\n\r\nBcc: z\r\n"},
		{"message-id : y\r\ndAte\t : x\r\n\r\nb", "message-id : y\r\ndAte\t : x\r\n\r\nb"},
		{"Date: x\r\nMessage-ID: y\r\n", "Date: x\r\nMessage-ID: y\r\n"},
		{"Date: x\r\nMessage-ID: y", "Date: x\r\nMessage-ID: y"},
		/* what is missing comes in front of the empty line */
		{"From: a\r\n\r\nbody\r\n", "From: a\r\n" DATE ID "\r\nbody\r\n"},
		{"Date: x\r\n\r\n", "Date: x\r\n" ID "\r\n"},
		{"Message-ID: y\r\n\r\n", "Message-ID: y\r\n" DATE "\r\n"},
		{"\r\nbody", DATE ID "\r\nbody"},
		{"From: a\n\nbody", "From: a\n" DATE ID "\nbody"},
		/* or at the end when there is none */
		{"", DATE ID},
		{"From: a\r\n", "From: a\r\n" DATE ID},
		{"From: a", "From: a\r\n" DATE ID},
		{"Da", "Da\r\n" DATE ID},
		{"Bcc", "Bcc\r\n" DATE ID},
		{"A: a\r\nBcc: x", "A: a\r\n" DATE ID},
		{"A: a\r\nBcc: x\r\n", "A: a\r\n" DATE ID},
		/* names that only begin so, and names that stand elsewhere */
		{"Dates: x\r\nX-Date: x\r\nDate-: x\r\n\r\n",
			"Dates: x\r\nX-Date: x\r\nDate-: x\r\n" DATE ID "\r\n"},
		{"A: b\r\n Date: x\r\n Bcc: y\r\n\r\n", "A: b\r\n Date: x\r\n Bcc: y\r\n" DATE ID "\r\n"},
		{" Bcc: y\r\n\r\n", " Bcc: y\r\n" DATE ID "\r\n"},
		{"Bc: x\r\nBccc: x\r\nResent-Bc: x\r\n\r\n",
			"Bc: x\r\nBccc: x\r\nResent-Bc: x\r\n" DATE ID "\r\n"},
		{"Date x: y\r\n\r\n", "Date x: y\r\n" DATE ID "\r\n"},
		/* Bcc goes, with its folds */
		{"Bcc: x\r\nDate: d\r\nMessage-ID: i\r\n\r\nb", "Date: d\r\nMessage-ID: i\r\n\r\nb"},
		{"Date: d\r\nMessage-ID: i\r\nBCC : x,\r\n\ty,\r\n  z\r\n\r\nb",
			"Date: d\r\nMessage-ID: i\r\n\r\nb"},
		{"bcc:\r\nBcc: x\r\nResent-Bcc: y\r\n z\r\nTo: t\r\n\r\nb", "To: t\r\n" DATE ID "\r\nb"},
		{"Bcc: x\n y\nTo: t\n\nb", "To: t\n" DATE ID "\nb"},
		{"Bcc: x\r\n \r\n\r\nb", DATE ID "\r\nb"},
		/* a CR that ends nothing */
		{"\rBcc: x\r\n\r\n", "\rBcc: x\r\n" DATE ID "\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		all_chunkings(slice_of(cases[i].in), slice_of(cases[i].want));
}

/* A line of any length passes at once, or goes; the filter keeps nothing of it. */
static void test_long(void **state)
{
	struct buf in = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	struct mail_submit m;

	(void)state;
	buf_addz(&in, "To: ");
	for (int i = 0; i < 300000; i++)
		buf_add_c(&in, 'x');
	begin(&m);
	slice piece = buf_slice(&in);
	slice given = mail_submit_next(&m, &piece);
	assert_true(given.p == in.p && given.n == in.n && piece.n == 0);

	buf_addz(&in, "\r\n");
	buf_add(&want, buf_slice(&in));
	buf_addz(&in, "Bcc: ");
	for (int i = 0; i < 300000; i++)
		buf_add_c(&in, 'y');
	buf_addz(&in, "\r\n\r\nbody");
	buf_addz(&want, DATE ID "\r\nbody");
	begin(&m);
	for (slice rest = buf_slice(&in); rest.n; rest = slice_skip(rest, 1000))
		feed(&m, slice_sub(rest, 0, 1000), &out);
	buf_add(&out, mail_submit_end(&m));
	assert_true(slice_eq(buf_slice(&out), buf_slice(&want)));
	buf_free(&in);
	buf_free(&want);
	buf_free(&out);
}

/* The longest id and domain fit. */
static void test_limits(void **state)
{
	char domain[255];
	struct mail_submit m;
	struct buf want = BUF_INIT(1000);

	(void)state;
	memset(domain, 'd', sizeof domain);
	mail_submit_begin(&m, S("abcdefghijklmnopqrstuvwxyz"), slice_make(domain, sizeof domain),
		(struct mail_date){1767225600, 0});
	buf_addz(&want, DATE "Message-ID: <abcdefghijklmnopqrstuvwxyz@");
	buf_add(&want, slice_make(domain, sizeof domain));
	buf_addz(&want, ">\r\n");
	assert_true(slice_eq(mail_submit_end(&m), buf_slice(&want)));
	buf_free(&want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests_name("mail/submit", tests, NULL, NULL);
}

/* SMTP command lines and their arguments; the end-of-data filter in two chunkings must agree with itself. */
#include "base/arena.h"
#include "smtp/dot.h"
#include "smtp/hops.h"
#include "smtp/parse.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void arguments(slice in, struct arena *a)
{
	struct smtp_envelope env = {0};
	struct smtp_recipient r = {0};
	struct buf out = BUF_INIT(4096);
	struct smtp_line line;
	uint64_t n;
	bool last;
	slice text;
	err e;

	smtp_bdat_parse(in, &n, &last, &e);
	smtp_helo_valid(in);
	smtp_xtext_decode(in, a, &text);
	if (smtp_line_parse(in, &line, &e) < 0)
		return;
	if (smtp_mail_parse(line.args, a, &env, &e) == SMTP_FAULT_NONE)
		mail_path_write(&out, &env.sender);
	if (smtp_rcpt_parse(line.args, false, a, &r, &e) == SMTP_FAULT_NONE) {
		buf_reset(&out);
		mail_path_write(&out, &r.path);
		for (size_t i = 0; i < out.n; i++)
			if ((unsigned char)out.p[i] < ' ' || (unsigned char)out.p[i] > '~')
				abort();
	}
	buf_free(&out);
}

static void filter(
	slice in, size_t step, bool dots, bool repair, struct buf *out, struct smtp_dot *d, uint32_t *hops)
{
	struct smtp_hops h = {0};

	*d = smtp_dot_begin(dots, repair);
	while (in.n && !smtp_dot_ended(d)) {
		slice piece = slice_sub(in, 0, step), rest = piece;
		while (rest.n && !smtp_dot_ended(d)) {
			slice content = smtp_dot_next(d, &rest);
			smtp_hops_feed(&h, content);
			buf_add(out, content);
		}
		in = slice_skip(in, piece.n - rest.n);
	}
	*hops = h.count;
}

static void content(slice in, bool dots, bool repair)
{
	struct buf one = BUF_INIT(1 << 24), all = BUF_INIT(1 << 24);
	struct smtp_dot d1, d2;
	uint32_t h1, h2;

	filter(in, 1, dots, repair, &one, &d1, &h1);
	filter(in, in.n ? in.n : 1, dots, repair, &all, &d2, &h2);
	if (d1.state != d2.state || d1.flaws != d2.flaws || h1 != h2 ||
		!slice_eq(buf_slice(&one), buf_slice(&all)))
		abort();
	buf_free(&one);
	buf_free(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);
	struct arena *a = arena_new(65536);

	if (!copy || !a)
		abort();
	if (size)
		memcpy(copy, data, size);
	slice in = slice_make(copy, size);
	arguments(in, a);
	for (unsigned mode = 0; mode < 4; mode++)
		content(in, mode & 1, mode & 2);
	arena_free(a);
	free(copy);
	return 0;
}

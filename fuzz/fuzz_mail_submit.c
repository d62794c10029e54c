/* The header of a submitted message: any chunking gives the same, no Bcc is left, Date and Message-ID are
 * there. */
#include "base/buf.h"
#include "mail/header.h"
#include "mail/submit.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void filter(slice in, size_t step, struct buf *out)
{
	struct mail_submit m;

	mail_submit_begin(&m, S("0abc"), S("mail.example"), (struct mail_date){1767225600, 0});
	while (in.n) {
		slice piece = slice_sub(in, 0, step);
		in = slice_skip(in, piece.n);
		while (piece.n)
			buf_add(out, mail_submit_next(&m, &piece));
	}
	buf_add(out, mail_submit_end(&m));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf one = BUF_INIT(1 << 24), all = BUF_INIT(1 << 24);
	char *copy = malloc(size ? size : 1);
	struct mail_field f;

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	filter(slice_make(copy, size), 1, &one);
	filter(slice_make(copy, size), size ? size : 1, &all);
	if (!slice_eq(buf_slice(&one), buf_slice(&all)))
		abort();
	if (mail_header_find(buf_slice(&all), S("Bcc"), &f) ||
		mail_header_find(buf_slice(&all), S("Resent-Bcc"), &f))
		abort();
	if (!mail_header_find(buf_slice(&all), S("Date"), &f) ||
		!mail_header_find(buf_slice(&all), S("Message-ID"), &f))
		abort();
	buf_free(&one);
	buf_free(&all);
	free(copy);
	return 0;
}

/* The MIME scanner: the same tree in one piece and in pieces, every part inside of the message. First byte:
 * piece size. */
#include "mail/mime.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mail_mime *scan(slice in, size_t step)
{
	struct mail_mime *m = mail_mime_new(NULL);
	for (size_t i = 0; i < in.n; i += step) {
		slice piece = slice_sub(in, i, step);
		char *copy = malloc(piece.n);
		memcpy(copy, piece.p, piece.n);
		mail_mime_feed(m, slice_make(copy, piece.n));
		free(copy);
	}
	if (mail_mime_finish(m, NULL) < 0)
		abort();
	return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	slice in = slice_make(data + 1, size - 1);
	struct mail_mime *one = scan(in, in.n + 1), *two = scan(in, (size_t)data[0] + 1);
	uint32_t n, k;
	const struct mail_mime_part *p = mail_mime_parts(one, &n), *q = mail_mime_parts(two, &k);
	if (n != k || n == 0 || mail_mime_notes(one) != mail_mime_notes(two))
		abort();
	for (uint32_t i = 0; i < n; i++) {
		if (p[i].kind != q[i].kind || p[i].header_off != q[i].header_off ||
			p[i].header_len != q[i].header_len || p[i].body_off != q[i].body_off ||
			p[i].body_len != q[i].body_len || p[i].lines != q[i].lines ||
			p[i].child != q[i].child || p[i].next != q[i].next || p[i].parent != q[i].parent)
			abort();
		if (p[i].header_off + p[i].header_len > in.n || p[i].body_off + p[i].body_len > in.n ||
			!p[i].type.type.p)
			abort();
		if ((p[i].kind == MAIL_PART_MULTIPART || p[i].kind == MAIL_PART_MESSAGE) !=
			(p[i].child != MAIL_NONE))
			abort();
	}
	mail_mime_free(one);
	mail_mime_free(two);
	return 0;
}

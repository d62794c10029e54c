/* Conversion to 7 bits: what comes out is 7-bit, of the same structure where the header was clean, every leaf
 * the same, and converting it again changes nothing. */
#include "limits.h"
#include "mail/downgrade.h"
#include "mail/mime.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int gather(void *arg, slice piece, err *e)
{
	(void)e;
	buf_add(arg, piece);
	return 0;
}

static void decode(struct buf *out, slice message, const struct mail_mime_part *p)
{
	struct mail_decoder d = {.encoding = p->encoding};
	mail_decoder_feed(&d, out, slice_sub(message, p->body_off, p->body_len));
	mail_decoder_finish(&d, out);
}

static struct mail_mime *parse(slice in)
{
	struct mail_mime *m = mail_mime_new(NULL);
	mail_mime_feed(m, in);
	if (mail_mime_finish(m, NULL) < 0)
		abort();
	return m;
}

/* False: a header has bytes that could not stay, over 127 or NUL, and may mean something else afterwards. */
static bool compare(slice before, slice after)
{
	struct mail_mime *one = parse(before), *two = parse(after);
	uint32_t n, k;
	const struct mail_mime_part *p = mail_mime_parts(one, &n), *q = mail_mime_parts(two, &k);
	bool same = !(mail_mime_notes(one) & (MAIL_NOTE_8BIT_HEADER | MAIL_NOTE_NUL));
	if (same) {
		if (n != k)
			abort();
		for (uint32_t i = 0; i < n; i++) {
			if (p[i].kind != q[i].kind || p[i].parent != q[i].parent)
				abort();
			if (p[i].kind == MAIL_PART_MULTIPART || p[i].kind == MAIL_PART_MESSAGE)
				continue;
			struct buf a = BUF_INIT(8 * before.n + 64), b = BUF_INIT(8 * before.n + 64);
			decode(&a, before, &p[i]);
			decode(&b, after, &q[i]);
			if (!slice_eq(buf_slice(&a), buf_slice(&b)))
				abort();
			buf_free(&a);
			buf_free(&b);
		}
	}
	mail_mime_free(one);
	mail_mime_free(two);
	return same;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size ? size : 1);
	if (size)
		memcpy(exact, data, size);
	slice in = slice_make(exact, size);
	struct buf out = BUF_INIT(16 * size + 4096), again = BUF_INIT(16 * size + 4096);
	struct mail_content_needs needs;
	err e;
	mail_content_look(in, &needs);
	if (mail_downgrade(in, gather, &out, &e) == 0) {
		if (out.failed)
			abort();
		if (!needs.eight_bit && !needs.header_utf8 && !needs.binary && out.n > in.n)
			abort();
		mail_content_look(buf_slice(&out), &needs);
		if (needs.eight_bit || needs.header_utf8 || needs.binary)
			abort();
		if (mail_downgrade(buf_slice(&out), gather, &again, &e) < 0)
			abort();
		if (compare(in, buf_slice(&out)) && !slice_eq(buf_slice(&out), buf_slice(&again)))
			abort();
	} else if (e.kind != ERR_LIMIT) {
		abort();
	}
	buf_free(&out);
	buf_free(&again);
	free(exact);
	return 0;
}

/* Headers and what stands in their fields: dates, parameters, encoded words, mailbox names. */
#include "base/encode.h"
#include "mail/date.h"
#include "mail/decode.h"
#include "mail/header.h"
#include "mail/param.h"
#include "mail/text.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(slice value, struct arena *a)
{
	struct buf b = BUF_INIT((size_t)1 << 22), c = BUF_INIT((size_t)1 << 22);
	struct mail_value v;
	struct mail_date d;
	int64_t days;
	slice name;
	mail_words_decode(&b, value);
	if (!b.failed && !utf8_valid(buf_slice(&b)))
		abort();
	mail_fold(&c, buf_slice(&b));
	if (!c.failed && !utf8_valid(buf_slice(&c)))
		abort();
	if (mail_value_parse(value, true, a, &v) && mail_value_param_utf8(&v, S("name"), a, &name) &&
		!utf8_valid(name))
		abort();
	mail_value_parse(value, false, a, &v);
	if (mail_date_parse(value, &d)) {
		struct mail_date again;
		buf_reset(&b);
		mail_date_write(&b, d);
		if (!mail_date_parse(buf_slice(&b), &again) || again.utc_s != d.utc_s ||
			again.zone_min != d.zone_min)
			abort();
	}
	mail_date_imap_parse(value, &d);
	mail_date_imap_day_parse(value, &days);
	buf_reset(&b);
	buf_reset(&c);
	if (mail_utf7_read(&b, value) &&
		(!mail_utf7_write(&c, buf_slice(&b)) || !slice_eq(buf_slice(&c), value)))
		abort();
	buf_reset(&b);
	mail_html_text(&b, value);
	buf_free(&b);
	buf_free(&c);
}

static void check_decoder(slice in, enum mail_encoding encoding)
{
	struct mail_decoder one = {.encoding = encoding}, two = one;
	struct buf b = BUF_INIT((size_t)1 << 22), c = BUF_INIT((size_t)1 << 22);
	mail_decoder_feed(&one, &b, in);
	mail_decoder_finish(&one, &b);
	for (size_t i = 0; i < in.n; i++)
		mail_decoder_feed(&two, &c, slice_sub(in, i, 1));
	mail_decoder_finish(&two, &c);
	if (!slice_eq(buf_slice(&b), buf_slice(&c)))
		abort();
	buf_free(&b);
	buf_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);
	if (size)
		memcpy(copy, data, size);
	slice in = {copy, size};
	struct arena *a = arena_new((size_t)1 << 22);
	struct mail_header_scan scan = mail_header_begin(in);
	struct mail_field f;
	size_t at = 0;
	while (mail_header_next(&scan, &f)) {
		if (f.offset != at || f.whole.n == 0)
			abort();
		at += f.whole.n;
		slice value = mail_header_unfolded(a, f.value);
		check_value(value, a);
	}
	if (at > mail_header_length(in))
		abort();
	check_decoder(in, MAIL_ENCODING_QP);
	check_decoder(in, MAIL_ENCODING_BASE64);
	arena_free(a);
	free(copy);
	return 0;
}

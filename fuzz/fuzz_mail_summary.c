/*
 * Summaries. First byte odd: the rest is a message, its summary must pass the check, and be the same in
 * pieces. Even: the rest is a record from a frontend gone bad; what passes the check must be safe to use.
 */
#include "base/encode.h"
#include "limits.h"
#include "mail/summary.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(slice record, bool verified)
{
	struct mail_summary s;
	if (mail_summary_open(record, &s, NULL) < 0) {
		if (verified)
			abort();
		return;
	}
	for (uint32_t i = 0; i < s.parts; i++) {
		struct mail_part p;
		struct mail_envelope v;
		uint32_t path[3] = {i + 1, 1, 1}, off, len;
		if (mail_summary_part(&s, i, &p) < 0) {
			if (verified)
				abort();
		} else {
			struct buf b = BUF_INIT(1 << 16);
			mail_utf8_clean(&b, p.name);
			buf_free(&b);
		}
		mail_summary_envelope(&s, i, &v);
		for (size_t n = 0; n <= 3; n++) {
			for (int k = MAIL_SECTION_ALL; k <= MAIL_SECTION_MIME; k++) {
				if (mail_summary_section(
					    &s, path, n, (enum mail_section)k, &off, &len, NULL) == 0 &&
					(uint64_t)off + len > s.size)
					abort();
			}
		}
	}
}

static void check_message(slice in)
{
	struct buf one = BUF_INIT(LIMIT_MAIL_SUMMARY), two = BUF_INIT(LIMIT_MAIL_SUMMARY);
	struct mail_summary_builder *b = mail_summary_new();
	if (mail_summary_make(in, &one, NULL) < 0 || mail_summary_verify(buf_slice(&one), in.n, NULL) < 0)
		abort();
	for (size_t i = 0; i < in.n; i += 13)
		mail_summary_feed(b, slice_sub(in, i, 13));
	if (mail_summary_finish(b, &two, NULL) < 0 || !slice_eq(buf_slice(&one), buf_slice(&two)))
		abort();
	use(buf_slice(&one), true);
	mail_summary_free(b);
	buf_free(&one);
	buf_free(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *copy = malloc(size);
	memcpy(copy, data + 1, size - 1);
	copy = realloc(copy, size > 1 ? size - 1 : 1);
	slice in = {copy, size - 1};
	if (data[0] & 1) {
		check_message(in);
	} else {
		struct mail_summary s;
		uint64_t len = mail_summary_open(in, &s, NULL) == 0 ? s.size : 0;
		use(in, mail_summary_verify(in, len, NULL) == 0);
	}
	free(copy);
	return 0;
}

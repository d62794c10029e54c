/* What a frontend that has fallen into wrong hands may ask to have signed: nothing but two exact forms is
 * taken. */
#include "auth/key.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The two forms once more, written another way: a text that passes must end up here. */
static bool expected(slice t, enum key_text kind)
{
	static const char words[] = "TLS 1.3, server CertificateVerify";

	if (kind == KEY_TEXT_TLS13) {
		size_t spaces = 0;

		while (spaces < t.n && t.p[spaces] == ' ')
			spaces++;
		return spaces == 64 &&
		       slice_eq(slice_sub(t, 64, sizeof words), slice_make(words, sizeof words)) &&
		       (t.n == 64 + sizeof words + 32 || t.n == 64 + sizeof words + 48);
	}
	return (t.n == 100 && !memcmp(t.p + 64, "\x03\x00\x1d\x20", 4)) ||
	       (t.n == 133 && !memcmp(t.p + 64, "\x03\x00\x17\x41\x04", 5)) ||
	       (t.n == 165 && !memcmp(t.p + 64, "\x03\x00\x18\x61\x04", 5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	slice t = slice_make(data, n);
	enum key_text kind = key_text_check(t);

	if (kind != KEY_TEXT_BAD && !expected(t, kind))
		abort();
	if (kind == KEY_TEXT_BAD && n > 64 && (expected(t, KEY_TEXT_TLS12) || expected(t, KEY_TEXT_TLS13)))
		abort();
	return 0;
}

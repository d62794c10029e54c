/* One line of a server's reply and its enhanced status code. The first two bytes are the code of the lines
 * before. */
#include "smtp/client.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(what)                                                                                           \
	do {                                                                                                 \
		if (!(what))                                                                                 \
			abort();                                                                             \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint16_t before, code;
	uint8_t status[3];
	slice line, text = {0}, rest;

	if (size < 2)
		return 0;
	before = code = (uint16_t)((data[0] << 8 | data[1]) % 600);
	line = slice_make(data + 2, size - 2);
	int rc = smtp_reply_line(line, &code, &text);
	must(rc >= -1 && rc <= 1);
	if (rc < 0) {
		must(code == before);
		return 0;
	}
	must(code >= 200 && code < 600 && (!before || code == before));
	must(text.n <= line.n - 3);
	must(rc == 1 || line.p[3] == '-');
	rest = text;
	if (smtp_reply_status(&rest, code, status)) {
		must(rest.n < text.n && status[0] == code / 100);
		must(rest.p + rest.n == text.p + text.n || rest.n == 0);
	} else {
		must(rest.p == text.p && rest.n == text.n);
	}
	return 0;
}

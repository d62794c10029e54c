/* Writes all samples of dsn_samples.h, each behind a line with its length. */
#include "dsn_samples.h"
#include <stdio.h>

int main(void)
{
	struct mail_dsn d;
	for (unsigned k = 0; sample(k, &d); k++) {
		struct buf out = BUF_INIT(MAIL_DSN_MAX);
		err e;
		if (mail_dsn_write(&d, &out, &e) < 0) {
			fprintf(stderr, "sample %u: %s\n", k, e.text);
			return 1;
		}
		printf("%zu\n", out.n);
		fwrite(out.p, 1, out.n, stdout);
		buf_free(&out);
	}
	return 0;
}

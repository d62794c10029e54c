#include "smtp/hops.h"

enum { SKIP = 254, DONE = 255 }; /* not a Received field, or counted already; the header is over */

static const char name[] = "received:";

void smtp_hops_feed(struct smtp_hops *h, slice piece)
{
	const char *p = piece.p, *end = p + piece.n;

	while (p < end && h->matched != DONE) {
		if (h->matched == SKIP) {
			p = memchr(p, '\n', (size_t)(end - p));
			if (!p)
				return;
			p++;
			h->matched = 0;
			continue;
		}
		char c = *p++;
		if (h->matched == 0 && (c == '\r' || c == '\n')) {
			h->matched = DONE;
		} else if (c == '\n') {
			h->matched = 0;
		} else if (ascii_lower(c) != name[h->matched]) {
			h->matched = SKIP;
		} else if (++h->matched == sizeof name - 1) {
			h->count++;
			h->matched = SKIP;
		}
	}
}

/* Rights as the letters of RFC 4314 2.1; c and d of RFC 2086 stand for several (2.1.1). Pure. */
#pragma once
#include "base/buf.h"
#include "mailbox/rights.h"

struct rights_letter {
	char letter;
	unsigned rights;
};
#define RIGHTS_LETTERS 13
extern const struct rights_letter rights_letters[RIGHTS_LETTERS];

/* All letters of which a right is there. */
void rights_write(struct buf *out, unsigned rights);
/* False: a letter that is none. */
bool rights_read(slice letters, unsigned *ret);

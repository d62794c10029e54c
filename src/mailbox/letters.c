#include "mailbox/letters.h"

const struct rights_letter rights_letters[RIGHTS_LETTERS] = {
	{'l', RIGHT_LOOKUP},
	{'r', RIGHT_READ},
	{'s', RIGHT_SEEN},
	{'w', RIGHT_WRITE},
	{'i', RIGHT_INSERT},
	{'p', RIGHT_POST},
	{'k', RIGHT_CREATE},
	{'x', RIGHT_REMOVE},
	{'t', RIGHT_DELETE},
	{'e', RIGHT_EXPUNGE},
	{'c', RIGHT_CREATE | RIGHT_REMOVE},
	{'d', RIGHT_DELETE | RIGHT_EXPUNGE},
	{'a', RIGHT_ADMIN},
};

void rights_write(struct buf *out, unsigned rights)
{
	for (size_t i = 0; i < RIGHTS_LETTERS; i++)
		if (rights & rights_letters[i].rights)
			buf_add_c(out, rights_letters[i].letter);
}

bool rights_read(slice letters, unsigned *ret)
{
	unsigned all = 0;

	for (size_t i = 0; i < letters.n; i++) {
		unsigned rights = 0;

		for (size_t k = 0; k < RIGHTS_LETTERS; k++)
			rights |= rights_letters[k].letter == letters.p[i] ? rights_letters[k].rights : 0;
		if (rights == 0)
			return false;
		all |= rights;
	}
	*ret = all;
	return true;
}

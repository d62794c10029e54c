/* IMAP URLs (RFC 5092) as CATENATE has them: of a message of one's own, or a section of it. Pure. */
#pragma once
#include "base/arena.h"

struct imap_url {
	slice mailbox;        /* UTF-8; p == NULL: the selected one */
	uint32_t uidvalidity; /* 0: not said */
	uint32_t uid;
	slice section; /* as in BODY[...]; empty: all of it */
	uint64_t from, count;
	bool has_count;
};

/* "/box;UIDVALIDITY=1/;UID=2/;SECTION=1.2/;PARTIAL=0.10" or ";UID=2...". False: not such a URL, or one that
 * names a server. */
bool imap_url_parse(slice in, struct arena *a, struct imap_url *ret);

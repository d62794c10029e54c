/* METADATA (RFC 5464): what LIST needs of it for RETURN (METADATA ...), RFC 9590. */
#pragma once
#include "imap/session_int.h"

struct imap_entries { /* what is asked for */
	slice *names; /* in the arena, each one checked */
	size_t n;
	uint64_t max;   /* longer values are left out */
	unsigned depth; /* 0, 1 or UINT_MAX */
};

/* One entry or a list of them. False: *a has the reason. */
bool imap_take_entries(struct imap_args *a, struct imap_entries *ret);
/*
 * Writes the METADATA responses of a mailbox, which the client knows by that name (id 0: of the account as a
 * whole). *longest becomes the size of the longest value left out, if any was longer. Sends s->out when it
 * grows. 0 or -1.
 */
PARKS int imap_write_metadata(struct imap_session *s, slice name, uint32_t account, uint32_t mailbox,
	const struct imap_entries *what, uint64_t *longest, err *e);

/* The envelope of a message as it goes from frontend to backend. Pure; slices of a decoded one lie in the
 * bytes. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

struct envelope_recipient {
	slice local, domain; /* local part unquoted */
	slice original;      /* ORCPT decoded, "type;address", or empty */
	uint8_t notify;      /* enum queue_notify bits */
};

struct envelope {
	slice sender;  /* "local@domain" as it came, empty for <> */
	slice id;      /* ENVID */
	uint8_t ret;   /* enum queue_ret */
	uint8_t flags; /* enum queue_message_flag */
	struct envelope_recipient *recipients;
	size_t n;
};

void envelope_encode(struct buf *out, const struct envelope *e); /* look at out->failed */
/* -1: ERR_CORRUPT (not an envelope), ERR_LIMIT (more than LIMIT_ENVELOPE_RECIPIENTS). */
MUST_USE int envelope_decode(slice bytes, struct arena *a, struct envelope *ret, err *e);

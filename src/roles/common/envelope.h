/* The envelope of a message as it goes from frontend to backend. Pure; slices of a decoded one lie in the
 * bytes. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#define ENVELOPE_TEXT 300 /* bytes of one text of the trace; longer ones are cut */

struct envelope_recipient {
	slice local, domain; /* local part unquoted */
	slice original;      /* ORCPT decoded, "type;address", or empty */
	uint8_t notify;      /* enum queue_notify bits */
};

/* How it came: for the events that `posthouse trace` shows. Said by strangers; escape where it is shown. */
struct envelope_trace {
	slice ip;       /* of the client, in text; empty: a local socket */
	slice name;     /* the name of that address, when one is known */
	slice helo;     /* what the client called itself */
	slice tls;      /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: none */
	slice protocol; /* "ESMTPSA" and so on */
	slice user;     /* as it logged in; empty: it did not */
};

struct envelope {
	slice sender;      /* "local@domain" as it came, empty for <> */
	slice id;          /* ENVID */
	uint8_t ret;       /* enum queue_ret */
	uint8_t flags;     /* enum queue_message_flag */
	int64_t release_s; /* FUTURERELEASE: not before this moment, seconds since 1970 UTC; 0: at once */
	bool has_by;       /* DELIVERBY (RFC 2852) */
	char by_mode;      /* 'N' or 'R'; 0 without has_by */
	bool by_trace;
	int64_t by_deadline_s; /* seconds since 1970 UTC; may be over already with N */
	int8_t priority;       /* MT-PRIORITY (RFC 6710), -9 to 9 */
	struct envelope_trace trace;
	struct envelope_recipient *recipients;
	size_t n;
};

void envelope_encode(struct buf *out, const struct envelope *e); /* look at out->failed */
/*
 * Takes nothing on trust: -1 ERR_CORRUPT (not an envelope, or a value out of its range), ERR_LIMIT (more than
 * LIMIT_ENVELOPE_RECIPIENTS).
 */
MUST_USE int envelope_decode(slice bytes, struct arena *a, struct envelope *ret, err *e);

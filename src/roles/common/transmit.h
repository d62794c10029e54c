/*
 * What the backend asks the outbound role to send, and what comes back, as they travel in the message
 * `transmit`. Pure; slices of decoded ones lie in the bytes or the arena.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#define TRANSMIT_RECIPIENTS 100 /* one transaction's: RFC 5321 4.5.3.1.8 promises so many */
#define TRANSMIT_JOB_MAX                                                                                     \
	28000 /* bytes of an encoded job; recipients that do not fit go with the next one                    \
	       */
#define TRANSMIT_RESULT_MAX 60000
#define TRANSMIT_TEXT       480 /* bytes of one reply's text */
#define TRANSMIT_STAGE_LAST 8   /* SMTP_AT_END of smtp/client.h */

struct transmit_route { /* host empty: straight to the servers of `domain` */
	uint32_t id;    /* of queue/route.h; the secret's name in auth; 0: none */
	slice host;
	uint16_t port;
	uint8_t tls;       /* enum route_tls */
	uint8_t mechanism; /* enum route_mechanism */
	uint8_t flags;     /* enum route_flag */
	slice user, source;
};

struct transmit_recipient {
	slice address, original;
	uint8_t notify;
};

struct transmit_job {
	uint8_t id[16]; /* queue id, for the log */
	slice domain;   /* of all recipients: canonical A-labels, or an address literal */
	slice sender, envelope_id;
	uint8_t ret, flags; /* enum queue_ret, enum queue_message_flag */
	uint8_t needs; /* bits: 1 eight_bit, 2 header_utf8, 4 binary (as known; 255: look at the content) */
	int8_t priority;
	bool has_by, by_trace;
	char by_mode;
	int64_t by_seconds;
	slice head; /* fields in front of the content */
	struct transmit_route route;
	struct transmit_recipient *recipients;
	size_t n;
};

enum transmit_outcome {
	TRANSMIT_SENT = 1,
	TRANSMIT_RETRY,   /* a 4xx, or the connection failed: code 0 */
	TRANSMIT_REFUSED, /* a 5xx, of the remote or our own finding (null MX, loop, no SMTPUTF8, too large)
			   */
	TRANSMIT_UNKNOWN, /* broken between the content's last byte and its reply: it may have arrived (D4) */
};
struct transmit_outcome_row { /* of one recipient, in the job's order */
	uint8_t outcome;
	uint8_t stage; /* enum smtp_stage_out, at most TRANSMIT_STAGE_LAST */
	uint16_t code; /* 200 to 599; 0: nothing was said */
	uint8_t status[3];
	bool dsn_passed; /* the next server takes care of DSNs */
	slice text;      /* its words, or what broke */
	bool own;        /* code and text are a finding of our own, not the server's words */
};
struct transmit_result {
	slice host, ip; /* who was talked to last; empty: nobody */
	uint16_t port;
	slice tls;     /* "TLSv1.3 ...", empty: none */
	bool verified; /* its certificate was good */
	uint8_t reach; /* enum transmit_reach */
	bool relayed;  /* by the route's smart host */
	struct transmit_outcome_row *rows;
	size_t n;
};
enum transmit_reach {
	TRANSMIT_TALKED,      /* a server answered */
	TRANSMIT_UNREACHABLE, /* none could be reached, or it broke before it said anything */
	TRANSMIT_BUSY,   /* its connection limit here was reached for too long: not an attempt, all rows RETRY
			  */
	TRANSMIT_NO_TRY, /* found out without a connection: DNS, null MX, loop, our own limits */
};

/* Look at out->failed: give the buffer TRANSMIT_JOB_MAX as its maximum. */
void transmit_job_encode(struct buf *out, const struct transmit_job *j);
/* What one recipient adds to an encoded job, for those who must fill one. */
size_t transmit_recipient_bytes(const struct transmit_recipient *r);
/* ERR_CORRUPT, ERR_TEMP. What the numbers mean is the caller's to check. A job to test a route has no
 * recipients. */
MUST_USE int transmit_job_decode(slice in, struct arena *a, struct transmit_job *ret, err *e);
/* Texts are cut at TRANSMIT_TEXT bytes; with that the whole always fits TRANSMIT_RESULT_MAX. */
void transmit_result_encode(struct buf *out, const struct transmit_result *r);
/* ERR_CORRUPT also for outcomes, stages and codes that there are not, and for texts that are no clean UTF-8.
 */
MUST_USE int transmit_result_decode(slice in, struct arena *a, struct transmit_result *ret, err *e);

/*
 * What becomes of queued mail: the results of a try, deliveries here that could not be made at once, and
 * reports to senders (RFC 3461 to 3464). Each step is one intent: a recipient's row changes together with all
 * that follows from it, so nothing is lost or told twice (D4, D5, D10). No backscatter: a report goes only to
 * the envelope's sender, never for a null one; when a report of our own fails, postmaster gets it.
 */
#pragma once
#include "delivery/delivery.h"
#include "queue/queue.h"
#include "queue/retry.h"

struct settle_row { /* one recipient of the parcel that was tried */
	uint32_t n;
	struct retry_try t;
	/* results */
	bool ret_known; /* false: it is not there any more (dropped meanwhile) */
	struct retry_next ret;
	uint32_t ret_attempts;
};

struct settle {
	struct parcel parcel;
	uint64_t lease; /* the row that ends with this parcel; 0: none */
	const struct retry_policy *policy;
	const struct queue_clock *clock;
	slice ip, tls; /* of the server that was talked to */
	bool verified;
	uint32_t route; /* 0: straight */
	struct settle_row *rows;
	size_t n;
	bool ret_more; /* recipients of the parcel are left: it is to be handed out again */
};
/* After a try by the outbound role. n 0: nobody was tried; a parcel of which nobody waits goes. 0 or -1. */
PARKS int delivery_settle(struct store *s, struct settle *w, err *e);

/*
 * A parcel of lane 0: first who can be delivered to here, else the reports that wait. ret_*: what was done.
 * report_id: an id for a report (two may be needed).
 */
struct here {
	struct parcel parcel;
	const struct retry_policy *policy;
	const struct queue_clock *clock;
	slice host; /* our name */
	uint8_t report_id[2][16];
	uint32_t ret_delivered, ret_deferred, ret_failed, ret_reports, ret_unreported;
	bool ret_more; /* as in settle */
};
PARKS int delivery_here(struct store *s, struct mailbox_codec *c, struct here *h, err *e);

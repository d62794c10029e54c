/* What becomes of a recipient after a try: pure decisions, no store. Times are of the queue's clock. */
#pragma once
#include "queue/classify.h"
#include "queue/row.h"

struct retry_policy { /* microseconds */
	int64_t retry_min, retry_max, lifetime;
	int64_t delay_notice; /* 0: never */
};

enum retry_outcome {
	RETRY_SENT,    /* the next server took it */
	RETRY_LATER,   /* a 4xx, or nobody could be reached */
	RETRY_REFUSED, /* a 5xx, or our own finding that it can never go */
	RETRY_NO_TRY,  /* nothing was tried: no attempt is counted, soon again, however old it is */
};

struct retry_try {
	enum retry_outcome outcome;
	struct refusal_found refusal; /* of LATER and REFUSED */
	uint16_t code;
	uint8_t status[3];
	slice reply, host;
	bool own;        /* code and words are our own finding, not the server's */
	bool dsn_passed; /* the next server sees to success reports */
};

struct retry_next {
	enum queue_state state; /* WAITING: due_us counts; DELIVERED, RELAYED, FAILED: done */
	bool report;            /* done, and the sender is to be told */
	bool delay;             /* WAITING, and it is time for the delay notice */
	bool expired;           /* FAILED because its time is over */
	int64_t due_us;
};

/*
 * r: the row as it was before the try (attempts not counted yet). chance: 64 random bits, for the jitter.
 * Back-off doubles from retry_min to retry_max, +-25 %; greylisting waits 5 to 10 minutes at first (never
 * less than retry_min); the last try is not put past the end of life, nor past the time of DELIVERBY. now_us:
 * when the try ended.
 */
void retry_decide(const struct retry_policy *p, const struct queue_message *m,
	const struct queue_recipient *r, const struct retry_try *t, uint64_t chance, int64_t now_us,
	struct retry_next *ret);

/* Does the sender want to hear of it? No report on a null sender but of our own reports (the caller sends
 * those to postmaster), none where NOTIFY says so. */
bool retry_reports(const struct queue_message *m, const struct queue_recipient *r, enum queue_state state,
	bool dsn_passed);
int64_t retry_end(const struct retry_policy *p, const struct queue_message *m); /* when its life ends */

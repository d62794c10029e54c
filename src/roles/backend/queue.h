/* What the files of the backend's queue share: the plan, and one parcel under way. */
#pragma once
#include "delivery/settle.h"
#include "queue/queue.h"
#include "queue/schedule.h"
#include "roles/backend/backend.h"

struct lease { /* parcels written down together; freed with the last of them */
	uint64_t id;
	uint32_t left;
};

#define NOTES_MAX 1024 /* lanes told of at once; more: the store is looked over */

struct back_queue {
	struct backend *b;
	struct schedule *plan;
	struct queue_clock clock;
	struct retry_policy policy;
	struct fiber *planner; /* NULL before it runs and after it ended */
	bool stopping, look;   /* look: over the whole store, from `at` on */
	struct queue_look at;
	uint32_t under_way;
	uint64_t in_memory; /* bytes of messages in memory files */
	struct fiber_signal memory_free, idle;
	uint64_t sent, deferred, failed, reports, unreported; /* recipients, reports; since the start */

	/* from the commit thread */
	pthread_mutex_t lock;
	struct loop_message message;
	struct loop *loop;
	bool posted, overflow;
	size_t notes_n;
	struct {
		uint64_t lane;
		int64_t due_us;
	} notes[NOTES_MAX];
};

struct send_job { /* a parcel under way; its fiber frees it */
	struct back_queue *q;
	struct parcel p;
	struct lease *lease; /* NULL: none */
	bool dead;           /* its destination rests: no try */
	bool more;           /* recipients of the parcel are left for the next turn */
	/* for the plan */
	enum schedule_outcome outcome;
	uint64_t gate;
};

/* send.c: one parcel of another lane than 0, from the store to the result. */
PARKS void back_send(struct send_job *j);
/* here.c: one of lane 0. */
PARKS void back_here(struct send_job *j);
/* The lease's row ends with this parcel: its id, else 0. */
uint64_t back_lease_leave(struct send_job *j);

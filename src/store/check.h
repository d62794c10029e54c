/*
 * Looking over a whole store, while nobody changes it: every value's seal, every record of the log, every
 * blob, and the rows that name each other. Nothing is changed. The rooms above add checkers for their own
 * rows (mailbox/check.h, queue/check.h); whoever runs them gives the table of all.
 *
 * A finding is one thing that is damaged or does not fit; the check goes on behind it. What makes it end
 * early is only the medium, or memory.
 */
#pragma once
#include "store/store.h"

enum check_what {
	CHECK_DAMAGED, /* a value, a record or a blob that fails its check: what it held is lost */
	CHECK_MISSING, /* something that another row names is not there */
	CHECK_STRAY,   /* something that nobody names: space that does not come back */
	CHECK_COUNT,   /* a counter that is not the sum of what it counts */
	CHECK_RULE,    /* rows that are sound alone and wrong together */
};
const char *check_what_name(enum check_what w); /* as in JSON: "damaged" ... */

struct check {
	struct store *store;
	struct store_snap snap; /* one for the whole check: there is no writer */
	bool bodies;            /* read the log and the big blobs, too */
	/* Each finding, in words for a person. */
	void (*found)(void *arg, enum check_what what, const char *text);
	/* Now and then; total 0: not known. */
	void (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
	void *arg;
	/* what was looked at */
	uint64_t findings, rows, blobs, records, bytes;
	uint64_t log_findings; /* of them, those that check_log made */
};

void check_found(struct check *c, enum check_what what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * A checker of all rows whose key begins with a certain byte. Rows come in ascending order, those whose seal
 * is broken not at all (they are found here). 0; -1: the check cannot go on.
 */
struct check_rows {
	char first;
	int (*row)(struct check *c, void *state, slice key, slice value, err *e);
	int (*end)(struct check *c, void *state, err *e); /* behind the last of them; may be NULL */
	void *state;
};

/* Walks all keys, each through every table of its first byte; one that has none is a finding. 0, -1. */
int check_all_rows(struct check *c, const struct check_rows *tables, size_t n, err *e);
/* Rows of this room: F, I, B, V. Counts what the volumes hold, for check_log. state: a zeroed struct. */
struct check_volumes {
	struct check_volume {
		uint64_t used, live, blobs; /* as the rows of blobs say */
		uint64_t row_used, row_live;
		uint64_t seen; /* blobs found in the log as their rows say */
		uint32_t volume;
		bool row;
	} * v;
	size_t n, cap;
};
int check_blob_row(struct check *c, void *state, slice key, slice value, err *e);
int check_volume_row(struct check *c, void *state, slice key, slice value, err *e);
int check_plain_row(struct check *c, void *state, slice key, slice value, err *e); /* sealed is all it is */
/*
 * With c->bodies: reads every record of the log and every big blob. In any case: counters of the volumes, and
 * that their files are there. Frees v. 0, -1.
 */
int check_log(struct check *c, struct check_volumes *v, err *e);

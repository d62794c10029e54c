/*
 * A world for the schedule: a store of index rows and servers that are made up, under a clock that is turned
 * by hand. It does what a role does with what the schedule says, and checks all along that no parcel is
 * handed out twice at a time and that no limit is passed.
 */
#pragma once
#include "base/omap.h"
#include "queue/schedule.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS   INT64_C(1000)
#define SEC  INT64_C(1000000)
#define MIN  (60 * SEC)
#define LONG INT64_C(1000000) * SEC

#define FLIGHTS 4096
#define LANES   2000
#define KEY     33

struct flight {
	struct parcel p;
	int64_t end_us;
	bool dead;
};

struct answer {
	int64_t after_us;
	enum schedule_outcome outcome;
	uint64_t gate;
	int64_t retry_us;
};

struct world {
	struct schedule *s;
	struct schedule_config c;
	struct omap *rows; /* lane rank due id, value: account and whether it is out */
	struct flight flights[FLIGHTS];
	size_t flights_n;
	int64_t now;
	uint64_t ids, random;
	struct answer (*answer)(struct world *w, const struct parcel *p);
	uint32_t out[LANES], dead[LANES]; /* under way, of a lane */
	uint32_t most[LANES];             /* the most that ever were */
	uint64_t sent[LANES], tried[LANES], deferred[LANES];
	int64_t last_sent[LANES];
	uint32_t by_account[64], account_peak, sends, dead_all;
	uint32_t peak; /* for a test's own use */
	uint64_t loads, nexts, rows_seen, looks;
	bool note_first; /* or after done */
	int64_t backoff;
	bool left_out;
};

extern const struct schedule_config world_usual;

/* answer: called when a parcel is handed out, for how long it takes, and again at its end for what it is. */
struct world *world_new(
	const struct schedule_config *c, struct answer (*answer)(struct world *, const struct parcel *));
void world_free(struct world *w);
uint64_t world_draw(struct world *w);
struct answer world_good(struct world *w, const struct parcel *p);      /* sent after 10 ms */
struct answer world_many_hang(struct world *w, const struct parcel *p); /* lanes below 1000: nobody answers */

slice world_row_key(uint8_t key[KEY], const struct parcel *p);
struct parcel world_row_parcel(const struct omap_node *n);
void world_row_put(struct world *w, const struct parcel *p);
void world_note(struct world *w, uint64_t lane, int64_t due);
/* A new row, noted. */
struct parcel world_add(struct world *w, uint64_t lane, uint8_t rank, int64_t due, uint32_t account);
void world_add_many(struct world *w, uint64_t lane, size_t n); /* fresh ones, due now */

/* Goes on until nothing is left to do before `until`. */
void world_run(struct world *w, int64_t until);
/* Step by step: what a LOAD asks for, what is handed out next, and what becomes of it. */
void world_load(struct world *w, const struct schedule_next *next);
void world_begin(struct world *w, const struct parcel *p, bool dead);
void world_finish(struct world *w, size_t flight);
struct parcel world_next_sent(struct world *w); /* it must be SEND */
int64_t world_next_wait(struct world *w);       /* it must be WAIT */
void world_tell(
	struct world *w, const struct parcel *p, enum schedule_outcome o, uint64_t gate, int64_t retry_us);

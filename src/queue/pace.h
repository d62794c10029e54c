/*
 * How fast one destination takes mail: a window that grows and shrinks with its answers, and a rest when it
 * cannot be reached. The same for lanes and for gates (queue/schedule.h). Pure.
 */
#pragma once
#include "queue/schedule.h"

struct pace {
	int64_t until; /* it rests, or pauses, until then; 0: neither */
	uint32_t under_way;
	uint32_t window;
	uint16_t failures; /* in a row */
	uint8_t rests;     /* in a row; 0: it is open */
	bool probing;      /* the one try after a rest is under way */
};

struct pace_limits {
	uint32_t start, most, dead_after;
	int64_t rest_min, rest_max;
};

enum pace_state {
	PACE_OPEN,
	PACE_FULL,   /* until one of those under way ends */
	PACE_PAUSED, /* until p->until, asked for by the server */
	PACE_RESTS,  /* until p->until, found dead */
};

void pace_start(struct pace *p, const struct pace_limits *l);
enum pace_state pace_state(const struct pace *p, int64_t now_us);
void pace_begin(struct pace *p); /* one more under way */
void pace_end(struct pace *p);   /* one less */
/* What became of one. Call it before its pace_end; of one that pace_begin never saw it may be told as well.
 */
void pace_tell(struct pace *p, const struct pace_limits *l, enum schedule_outcome outcome, int64_t retry_us,
	int64_t now_us);
void pace_wake(struct pace *p);                                       /* forgets failures and rest */
bool pace_learned(const struct pace *p, const struct pace_limits *l); /* it differs from a new one */

#include "auth/guess.h"
#include "base/hash.h"
#include "limits.h"
#include <stdlib.h>
#include <string.h>

#define WAYS       4
#define SETS       (LIMIT_GUESS_ADDRESSES / WAYS)
#define FORGIVE_MS 60000
#define FREE       3
#define REFUSE     20
#define COUNT_MAX  40 /* so that the worst is refused for 20 minutes after the last attempt */
#define STEP_MS    1000
#define DELAY_MAX  5000

struct guesser {
	uint64_t at;    /* when count was true; 0: free */
	uint32_t count; /* failures */
	uint8_t address[16];
};

struct guesses {
	struct guesser all[SETS][WAYS];
};

struct guesses *guesses_new(void)
{
	return calloc(1, sizeof(struct guesses));
}

void guesses_free(struct guesses *g)
{
	free(g);
}

/* An IPv6 customer has a /64 and may use all of it; IPv4 addresses count whole. */
static void normalise(const uint8_t in[16], uint8_t out[16])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	memcpy(out, in, 16);
	if (memcmp(in, mapped, sizeof mapped) != 0)
		memset(out + 8, 0, 8);
}

static uint32_t left(const struct guesser *w, uint64_t now_ms)
{
	uint64_t forgiven = now_ms > w->at ? (now_ms - w->at) / FORGIVE_MS : 0;

	return w->at && forgiven < w->count ? w->count - (uint32_t)forgiven : 0;
}

static const struct guesser *find(const struct guesses *g, const uint8_t address[16])
{
	const struct guesser *set = g->all[hash_seeded(slice_make(address, 16)) % SETS];

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].at && !memcmp(set[i].address, address, 16))
			return &set[i];
	return NULL;
}

/* The address's place, or that of the one in its set with the fewest failures. */
static struct guesser *place(struct guesses *g, const uint8_t address[16], uint64_t now_ms)
{
	struct guesser *set = g->all[hash_seeded(slice_make(address, 16)) % SETS], *best = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].at && !memcmp(set[i].address, address, 16))
			return &set[i];
		if (left(&set[i], now_ms) < left(best, now_ms))
			best = &set[i];
	}
	*best = (struct guesser){0};
	memcpy(best->address, address, 16);
	return best;
}

uint32_t guess_delay(const struct guesses *g, const uint8_t address[16], uint64_t now_ms)
{
	uint8_t a[16];
	const struct guesser *w;
	uint32_t n;

	normalise(address, a);
	w = find(g, a);
	n = w ? left(w, now_ms) : 0;
	if (n >= REFUSE)
		return GUESS_REFUSE;
	if (n <= FREE)
		return 0;
	return (n - FREE) * STEP_MS < DELAY_MAX ? (n - FREE) * STEP_MS : DELAY_MAX;
}

static void count(struct guesser *w, uint32_t n, uint64_t now_ms)
{
	w->count = n;
	w->at = now_ms ? now_ms : 1;
}

void guess_failed(struct guesses *g, const uint8_t address[16], uint64_t now_ms)
{
	uint8_t a[16];
	struct guesser *w;
	uint32_t n;

	normalise(address, a);
	w = place(g, a, now_ms);
	n = left(w, now_ms);
	count(w, n < COUNT_MAX ? n + 1 : n, now_ms);
}

void guess_good(struct guesses *g, const uint8_t address[16], uint64_t now_ms)
{
	uint8_t a[16];

	normalise(address, a);
	if (find(g, a)) {
		struct guesser *w = place(g, a, now_ms);

		count(w, left(w, now_ms) / 2, now_ms);
	}
}

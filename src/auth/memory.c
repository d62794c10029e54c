#include "auth/memory.h"
#include "base/hash.h"
#include "base/wire.h"
#include <stdlib.h>
#include <string.h>

#define WAYS 4

struct place {
	uint8_t tag[TAG_SIZE];
	uint64_t until; /* 0: free */
};

struct memory {
	size_t sets;
	struct place places[];
};

struct memory *memory_new(size_t places)
{
	struct memory *m = calloc(1, sizeof *m + places * sizeof *m->places);

	if (m)
		m->sets = places / WAYS;
	return m;
}

void memory_free(struct memory *m)
{
	if (!m)
		return;
	explicit_bzero(m->places, m->sets * WAYS * sizeof *m->places);
	free(m);
}

static size_t set_of(const struct memory *m, const uint8_t tag[TAG_SIZE])
{
	return be64_get(tag) % m->sets * WAYS;
}

void memory_add(struct memory *m, const uint8_t tag[TAG_SIZE], uint64_t now_ms, uint64_t ttl_ms)
{
	struct place *set = &m->places[set_of(m, tag)], *best = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (secret_eq(set[i].tag, tag, TAG_SIZE)) {
			best = &set[i];
			break;
		}
		if (set[i].until < best->until)
			best = &set[i];
	}
	memcpy(best->tag, tag, TAG_SIZE);
	best->until = now_ms + ttl_ms;
}

bool memory_has(const struct memory *m, const uint8_t tag[TAG_SIZE], uint64_t now_ms)
{
	const struct place *set = &m->places[set_of(m, tag)];
	bool found = false;

	for (size_t i = 0; i < WAYS; i++)
		found |= secret_eq(set[i].tag, tag, TAG_SIZE) & (set[i].until > now_ms);
	return found;
}

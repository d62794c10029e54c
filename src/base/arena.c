#include "base/arena.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_BLOCK 1024  /* most commands need no more; kept at a reset */
#define KEEP_BLOCK  4096
#define MAX_BLOCK   65536 /* blocks double up to this; larger things get their own */

struct block {
	struct block *next;
	size_t cap, used;
	_Alignas(16) char bytes[];
};

struct arena {
	struct block *blocks; /* the newest first */
	size_t cap, held;
	bool secret;
};

struct arena *arena_new(size_t cap)
{
	struct arena *a = calloc(1, sizeof *a);

	if (a)
		a->cap = cap;
	return a;
}

static void drop(const struct arena *a, struct block *b)
{
	if (a->secret)
		explicit_bzero(b->bytes, b->used);
	free(b);
}

void arena_reset(struct arena *a)
{
	struct block *keep = NULL;

	while (a->blocks) {
		struct block *b = a->blocks;

		a->blocks = b->next;
		if (!keep && b->cap <= KEEP_BLOCK) {
			if (a->secret)
				explicit_bzero(b->bytes, b->used);
			keep = b;
		} else {
			drop(a, b);
		}
	}
	a->held = 0;
	if (keep) {
		keep->next = NULL;
		keep->used = 0;
		a->held = keep->cap;
		a->blocks = keep;
	}
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	while (a->blocks) {
		struct block *b = a->blocks;

		a->blocks = b->next;
		drop(a, b);
	}
	free(a);
}

void arena_secret(struct arena *a)
{
	a->secret = true;
}

size_t arena_used(const struct arena *a)
{
	size_t n = 0;

	for (const struct block *b = a->blocks; b; b = b->next)
		n += b->used;
	return n;
}

static struct block *add_block(struct arena *a, size_t need)
{
	size_t cap = a->blocks ? 2 * a->blocks->cap : FIRST_BLOCK;

	cap = cap > MAX_BLOCK ? MAX_BLOCK : cap;
	cap = cap < need ? need : cap;
	if (cap > a->cap || a->held > a->cap - cap)
		cap = need; /* near the cap: no more than is needed */
	if (cap > a->cap || a->held > a->cap - cap)
		return NULL;
	struct block *b = malloc(sizeof *b + cap);

	if (!b)
		return NULL;
	b->cap = cap;
	b->used = 0;
	b->next = a->blocks;
	a->blocks = b;
	a->held += cap;
	return b;
}

void *arena_alloc(struct arena *a, size_t n, size_t size, size_t align)
{
	size_t bytes, need;
	struct block *b = a->blocks;

	if (__builtin_mul_overflow(n, size, &bytes) || __builtin_add_overflow(bytes, align, &need))
		return NULL;
	size_t at = b ? (b->used + align - 1) & ~(align - 1) : 0;
	if (!b || at > b->cap || bytes > b->cap - at) {
		b = add_block(a, bytes ? bytes : 1);
		at = 0;
	}
	if (!b)
		return NULL;
	b->used = at + bytes;
	return memset(b->bytes + at, 0, bytes);
}

slice arena_copy(struct arena *a, slice s)
{
	char *p = s.n == SIZE_MAX ? NULL : arena_alloc(a, s.n + 1, 1, 1);

	if (!p)
		return (slice){NULL, 0};
	if (s.n)
		memcpy(p, s.p, s.n);
	return (slice){p, s.n};
}

slice arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1, 1, 1);
	if (!p)
		return (slice){NULL, 0};
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return (slice){p, (size_t)n};
}

#include "base/arena.h"
#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum {
	BLOCK_FIRST = 1024, /* many sessions need no more */
	BLOCK_KEEP = 4096,  /* what a reset may keep */
	BLOCK_LAST = 32768, /* growth stops here */
};

struct block {
	struct block *next;
	size_t n, size; /* bytes given out, bytes there */
	_Alignas(max_align_t) char bytes[];
};

/*
 * The head of the list is the block that small things come from. Bytes not given out are always zero: blocks
 * come from calloc and a kept one is cleared by the reset.
 */
struct arena {
	struct block *head;
	size_t cap, used;
	bool secret;
};

struct arena *arena_new(size_t cap)
{
	struct arena *a = calloc(1, sizeof *a);

	if (a)
		a->cap = cap;
	return a;
}

static void block_free(struct block *b, bool secret)
{
	ASAN_UNPOISON_MEMORY_REGION(b->bytes, b->size);
	if (secret)
		explicit_bzero(b->bytes, b->n);
	free(b);
}

void arena_reset(struct arena *a)
{
	struct block *keep = NULL, *next;

	for (struct block *b = a->head; b; b = next) {
		next = b->next;
		if (!keep && b->size <= BLOCK_KEEP)
			keep = b;
		else
			block_free(b, a->secret);
	}
	if (keep) {
		ASAN_UNPOISON_MEMORY_REGION(keep->bytes, keep->size);
		explicit_bzero(keep->bytes, keep->n);
		ASAN_POISON_MEMORY_REGION(keep->bytes, keep->size);
		keep->n = 0;
		keep->next = NULL;
	}
	a->head = keep;
	a->used = 0;
}

void arena_free(struct arena *a)
{
	struct block *next;

	if (!a)
		return;
	for (struct block *b = a->head; b; b = next) {
		next = b->next;
		block_free(b, a->secret);
	}
	free(a);
}

void arena_secret(struct arena *a)
{
	a->secret = true;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}

/* The next n bytes of b at this alignment, or NULL when they do not fit. Padding counts as used. */
static void *block_take(struct arena *a, struct block *b, size_t n, size_t align)
{
	size_t pad = -((size_t)b->bytes + b->n) & (align - 1);
	char *p;

	if (pad > b->size - b->n || n > b->size - b->n - pad)
		return NULL;
	p = b->bytes + b->n + pad;
	b->n += pad + n;
	a->used += pad + n;
	ASAN_UNPOISON_MEMORY_REGION(p, n);
	return p;
}

/*
 * A new block with room for n more bytes. What is large gets one of its own, behind the head, so that the
 * room left there is not lost.
 */
static struct block *block_add(struct arena *a, size_t n)
{
	size_t size = a->head ? a->head->size * 2 : BLOCK_FIRST;
	struct block *b;
	bool own;

	if (size < BLOCK_FIRST)
		size = BLOCK_FIRST;
	if (size > BLOCK_LAST)
		size = BLOCK_LAST;
	own = n > size / 4;
	if (own)
		size = n;
	b = calloc(1, sizeof *b + size);
	if (!b)
		return NULL;
	b->size = size;
	ASAN_POISON_MEMORY_REGION(b->bytes, b->size);
	if (own && a->head) {
		b->next = a->head->next;
		a->head->next = b;
	} else {
		b->next = a->head;
		a->head = b;
	}
	return b;
}

void *arena_alloc(struct arena *a, size_t n, size_t size, size_t align)
{
	size_t total, room;
	struct block *b;
	void *p;

	assert(align && (align & (align - 1)) == 0);
	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	if (total == 0)
		total = 1; /* nothing is a place too, and differs from a failure */
	if (a->used > a->cap || total > a->cap - a->used)
		return NULL;
	p = a->head ? block_take(a, a->head, total, align) : NULL;
	if (!p) {
		room = align > _Alignof(max_align_t) ? align : 0;
		if (__builtin_add_overflow(total, room, &room) || room > PTRDIFF_MAX - sizeof *b)
			return NULL;
		b = block_add(a, room);
		if (!b)
			return NULL;
		p = block_take(a, b, total, align);
	}
	return p;
}

slice arena_copy(struct arena *a, slice s)
{
	char *p = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1, 1, 1) : NULL;

	if (!p)
		return (slice){0};
	if (s.n)
		memcpy(p, s.p, s.n);
	return (slice){p, s.n};
}

slice arena_fmt(struct arena *a, const char *fmt, ...)
{
	char *p = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n >= 0)
		p = arena_alloc(a, (size_t)n + 1, 1, 1);
	if (!p)
		return (slice){0};
	va_start(args, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, args);
	va_end(args);
	return (slice){p, (size_t)n};
}

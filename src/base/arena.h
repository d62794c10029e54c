/*
 * An arena is memory with one lifetime: process, session, command or scratch. Things are taken from it and
 * all given back at once. It has a cap in bytes, so one client cannot eat the heap: past it, or out of
 * memory, NULL (and the slice functions a slice with p == NULL). Memory comes zeroed.
 */
#pragma once
#include "base/slice.h"

struct arena;

struct arena *arena_new(size_t cap); /* NULL: out of memory; nothing is held until the first use */
void arena_free(struct arena *a);    /* NULL is fine */
void arena_reset(struct arena *a);   /* gives all back, keeps at most one small block */
void arena_secret(struct arena *a);  /* from now on what is given back is wiped */
size_t arena_used(const struct arena *a);

void *arena_alloc(struct arena *a, size_t n, size_t size, size_t align); /* n*size checked for overflow */
#define arena_new_n(a, type, n) ((type *)arena_alloc((a), (n), sizeof(type), _Alignof(type)))
#define arena_new_1(a, type)    arena_new_n(a, type, 1)

slice arena_copy(struct arena *a, slice s); /* with a NUL behind the last byte, not counted */
slice arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

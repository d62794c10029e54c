#include "base/buf.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_free(struct buf *b)
{
	free(b->p);
	b->p = NULL;
	b->n = b->cap = 0;
	b->failed = false;
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}

char *buf_room(struct buf *b, size_t n)
{
	if (b->failed || n > b->max || b->n > b->max - n) {
		b->failed = true;
		return NULL;
	}
	if (b->n + n > b->cap) {
		size_t cap = b->cap ? b->cap : 64;

		while (cap < b->n + n)
			cap *= 2;
		if (cap > b->max)
			cap = b->max;
		char *p = realloc(b->p, cap);
		if (!p) {
			b->failed = true;
			return NULL;
		}
		b->p = p;
		b->cap = cap;
	}
	return b->p ? b->p + b->n : (b->p = malloc(1)) ? b->p : NULL;
}

void buf_grow(struct buf *b, size_t n)
{
	b->n += n;
}

void buf_add(struct buf *b, slice s)
{
	if (s.n == 0)
		return;
	char *p = buf_room(b, s.n);

	if (p) {
		memcpy(p, s.p, s.n);
		b->n += s.n;
	}
}

void buf_add_c(struct buf *b, char c)
{
	if (b->n < b->cap && !b->failed)
		b->p[b->n++] = c;
	else
		buf_add(b, slice_make(&c, 1));
}

void buf_addz(struct buf *b, const char *z)
{
	buf_add(b, slice_of(z));
}

void buf_add_u64(struct buf *b, uint64_t v)
{
	char text[20];
	size_t at = sizeof text;

	do
		text[--at] = (char)('0' + v % 10);
	while (v /= 10);
	buf_add(b, slice_make(text + at, sizeof text - at));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = n >= 0 ? buf_room(b, (size_t)n + 1) : NULL;
	if (p) {
		vsnprintf(p, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	} else {
		b->failed = true;
	}
	va_end(again);
}

void buf_consume(struct buf *b, size_t n)
{
	n = n < b->n ? n : b->n;
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

void buf_truncate(struct buf *b, size_t n)
{
	if (n < b->n)
		b->n = n;
}

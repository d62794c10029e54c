#include "base/buf.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_FIRST = 64 };

void buf_free(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT(b->max);
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}

/* There is always one byte more than cap, so that vsnprintf may write its NUL into a buffer full to max. */
static bool grow_to(struct buf *b, size_t need)
{
	size_t cap = b->cap < BUF_FIRST / 2 ? BUF_FIRST : b->cap * 2;
	char *p;

	if (cap < need)
		cap = need;
	if (cap > b->max)
		cap = b->max;
	p = realloc(b->p, cap + 1);
	if (!p)
		return false;
	b->p = p;
	b->cap = cap;
	return true;
}

char *buf_room(struct buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (b->n > b->max || n > b->max - b->n || b->max > PTRDIFF_MAX - 1) {
		b->failed = true;
		return NULL;
	}
	if ((!b->p || n > b->cap - b->n) && !grow_to(b, b->n + n)) {
		b->failed = true;
		return NULL;
	}
	return b->p + b->n;
}

void buf_grow(struct buf *b, size_t n)
{
	b->n += n;
}

void buf_add(struct buf *b, slice s)
{
	char *to;

	if (s.n == 0)
		return;
	to = buf_room(b, s.n);
	if (!to)
		return;
	memcpy(to, s.p, s.n);
	b->n += s.n;
}

void buf_add_c(struct buf *b, char c)
{
	char *to = buf_room(b, 1);

	if (!to)
		return;
	*to = c;
	b->n++;
}

void buf_addz(struct buf *b, const char *z)
{
	buf_add(b, slice_of(z));
}

void buf_add_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	buf_add(b, slice_make(digits + at, sizeof digits - at));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list args;
	size_t room;
	int n;

	if (!buf_room(b, 0))
		return;
	room = b->cap - b->n;
	va_start(args, fmt);
	n = vsnprintf(b->p + b->n, room + 1, fmt, args);
	va_end(args);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if ((size_t)n > room) {
		if (!buf_room(b, (size_t)n))
			return;
		va_start(args, fmt);
		n = vsnprintf(b->p + b->n, (size_t)n + 1, fmt, args);
		va_end(args);
	}
	b->n += (size_t)n;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
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

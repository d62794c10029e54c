/*
 * A slice is borrowed bytes: a pointer and a length. It may hold NULs, owns nothing and is never freed
 * through. All functions here are pure and allocate nothing.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct slice {
	const char *p;
	size_t n;
} slice;

#define S(lit) ((slice){"" lit, sizeof(lit) - 1}) /* a literal; anything else does not compile */
#define SLICE_INIT(lit)                                                                                      \
	{                                                                                                    \
		"" lit, sizeof(lit) - 1                                                                      \
	}                  /* the same for static tables */
#define SLICE_FMT    ".*s" /* "%" SLICE_FMT with SLICE_ARG */
#define SLICE_ARG(s) (int)((s).n < 512 ? (s).n : 512), (s).n ? (s).p : ""

static inline slice slice_of(const char *z)
{
	return (slice){z, z ? strlen(z) : 0};
}

static inline slice slice_make(const void *p, size_t n)
{
	return (slice){(const char *)p, n};
}

/* Bytes from..from+n, clamped to what there is. */
static inline slice slice_sub(slice s, size_t from, size_t n)
{
	if (from > s.n)
		from = s.n;
	if (n > s.n - from)
		n = s.n - from;
	return (slice){s.n ? s.p + from : s.p, n};
}

static inline slice slice_skip(slice s, size_t n)
{
	return slice_sub(s, n, s.n);
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline char ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool slice_eq(slice a, slice b);
bool slice_ieq(slice a, slice b); /* ASCII case folded */
int slice_cmp(slice a, slice b);  /* memcmp order, shorter first */
bool slice_starts(slice s, slice head);
bool slice_istarts(slice s, slice head);
bool slice_ends(slice s, slice tail);
bool slice_iends(slice s, slice tail);
slice slice_trim(slice s); /* spaces, tabs, CR and LF off both ends */

/* Offset of the first occurrence, or -1. An empty needle is found at 0. ifind folds ASCII case. */
ptrdiff_t slice_find(slice hay, slice needle);
ptrdiff_t slice_ifind(slice hay, slice needle);
ptrdiff_t slice_find_c(slice hay, char c);
ptrdiff_t slice_rfind_c(slice hay, char c);

/* Takes the bytes before the first `stop` off *in, and the stop with them. False when there is no stop: *in
 * stays. */
bool slice_cut(slice *in, char stop, slice *ret_head);

/* Takes the next word (bytes up to a space or tab) off *in, leading blanks skipped. False when nothing is
 * left. */
bool slice_word(slice *in, slice *ret_word);

/* Decimal digits only, all of s, at most max. False (and *ret untouched) otherwise. */
bool slice_to_u64(slice s, uint64_t max, uint64_t *ret);
bool slice_to_u32(slice s, uint32_t max, uint32_t *ret);

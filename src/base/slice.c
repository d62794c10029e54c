#include "base/slice.h"

bool slice_eq(slice a, slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool slice_ieq(slice a, slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

int slice_cmp(slice a, slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int rc = n ? memcmp(a.p, b.p, n) : 0;

	return rc ? rc : (a.n > b.n) - (a.n < b.n);
}

bool slice_starts(slice s, slice head)
{
	return s.n >= head.n && slice_eq(slice_sub(s, 0, head.n), head);
}

bool slice_istarts(slice s, slice head)
{
	return s.n >= head.n && slice_ieq(slice_sub(s, 0, head.n), head);
}

bool slice_ends(slice s, slice tail)
{
	return s.n >= tail.n && slice_eq(slice_skip(s, s.n - tail.n), tail);
}

bool slice_iends(slice s, slice tail)
{
	return s.n >= tail.n && slice_ieq(slice_skip(s, s.n - tail.n), tail);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

slice slice_trim(slice s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = slice_skip(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

ptrdiff_t slice_find(slice hay, slice needle)
{
	if (needle.n == 0)
		return 0;
	const char *at = hay.n >= needle.n ? memmem(hay.p, hay.n, needle.p, needle.n) : NULL;

	return at ? at - hay.p : -1;
}

/* The next place where the first byte stands in either case; then the rest is compared. */
ptrdiff_t slice_ifind(slice hay, slice needle)
{
	if (needle.n == 0)
		return 0;
	if (hay.n < needle.n)
		return -1;
	char low = ascii_lower(needle.p[0]), up = ascii_upper(needle.p[0]);
	size_t last = hay.n - needle.n;

	for (size_t i = 0; i <= last; i++) {
		const char *a = memchr(hay.p + i, low, last - i + 1);
		const char *b = low == up ? NULL : memchr(hay.p + i, up, a ? (size_t)(a - (hay.p + i)) : last - i + 1);
		const char *at = b ? b : a;

		if (!at)
			return -1;
		i = (size_t)(at - hay.p);
		if (slice_ieq(slice_make(at, needle.n), needle))
			return (ptrdiff_t)i;
	}
	return -1;
}

ptrdiff_t slice_find_c(slice hay, char c)
{
	const char *at = hay.n ? memchr(hay.p, c, hay.n) : NULL;

	return at ? at - hay.p : -1;
}

ptrdiff_t slice_rfind_c(slice hay, char c)
{
	const char *at = hay.n ? memrchr(hay.p, c, hay.n) : NULL;

	return at ? at - hay.p : -1;
}

bool slice_cut(slice *in, char stop, slice *ret_head)
{
	ptrdiff_t at = slice_find_c(*in, stop);

	if (at < 0)
		return false;
	*ret_head = slice_sub(*in, 0, (size_t)at);
	*in = slice_skip(*in, (size_t)at + 1);
	return true;
}

bool slice_word(slice *in, slice *ret_word)
{
	slice s = *in;
	size_t n = 0;

	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_skip(s, 1);
	while (n < s.n && s.p[n] != ' ' && s.p[n] != '\t')
		n++;
	*in = slice_skip(s, n);
	if (n == 0)
		return false;
	*ret_word = slice_sub(s, 0, n);
	return true;
}

bool slice_to_u64(slice s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint64_t digit = (uint64_t)(uint8_t)s.p[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, digit, &v) || v > max)
			return false;
	}
	*ret = v;
	return true;
}

bool slice_to_u32(slice s, uint32_t max, uint32_t *ret)
{
	uint64_t v;

	if (!slice_to_u64(s, max, &v))
		return false;
	*ret = (uint32_t)v;
	return true;
}

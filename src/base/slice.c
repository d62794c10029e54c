#include "base/slice.h"

bool slice_eq(slice a, slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static bool bytes_ieq(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	return true;
}

bool slice_ieq(slice a, slice b)
{
	return a.n == b.n && bytes_ieq(a.p, b.p, a.n);
}

int slice_cmp(slice a, slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool slice_starts(slice s, slice head)
{
	return s.n >= head.n && slice_eq(slice_sub(s, 0, head.n), head);
}

bool slice_istarts(slice s, slice head)
{
	return s.n >= head.n && bytes_ieq(s.p, head.p, head.n);
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
	return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

slice slice_trim(slice s)
{
	while (s.n && is_space(s.p[0]))
		s = slice_skip(s, 1);
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

ptrdiff_t slice_find(slice hay, slice needle)
{
	const char *at;

	if (needle.n == 0)
		return 0;
	if (needle.n > hay.n)
		return -1;
	at = memmem(hay.p, hay.n, needle.p, needle.n);
	return at ? at - hay.p : -1;
}

/* Rabin-Karp over the folded bytes, modulo a prime: linear however hay and needle repeat themselves. */
static ptrdiff_t ifind_hashed(slice hay, slice needle, size_t from)
{
	const uint64_t prime = 2147483647, base = 1000003;
	uint64_t want = 0, have = 0, top = 1;

	for (size_t i = 0; i < needle.n; i++) {
		want = (want * base + (uint8_t)ascii_lower(needle.p[i])) % prime;
		have = (have * base + (uint8_t)ascii_lower(hay.p[from + i])) % prime;
		if (i > 0)
			top = top * base % prime;
	}
	for (size_t i = from;; i++) {
		uint64_t gone;

		if (have == want && bytes_ieq(hay.p + i, needle.p, needle.n))
			return (ptrdiff_t)i;
		if (i + needle.n >= hay.n)
			return -1;
		gone = (uint8_t)ascii_lower(hay.p[i]) * top % prime;
		have = (have + prime - gone) * base + (uint8_t)ascii_lower(hay.p[i + needle.n]);
		have %= prime;
	}
}

/* How rare a byte is in text: few false starts where it is looked for. */
static size_t rank(char c)
{
	static const char often[] = " etaoinshrdlcumwfgypbvk";
	const char *at = memchr(often, ascii_lower(c), sizeof often - 1);

	return at ? (size_t)(at - often) : sizeof often;
}

/* Where in the needle the two rarest bytes stand; the same place twice when it has but one byte. */
static void rarest(slice needle, size_t *ret_a, size_t *ret_b)
{
	size_t a = 0, b = needle.n > 1 ? 1 : 0;

	if (rank(needle.p[b]) > rank(needle.p[a])) {
		a = b;
		b = 0;
	}
	for (size_t i = 2; i < needle.n; i++) {
		size_t r = rank(needle.p[i]);

		if (r > rank(needle.p[a])) {
			b = a;
			a = i;
		} else if (r > rank(needle.p[b])) {
			b = i;
		}
	}
	*ret_a = a;
	*ret_b = b;
}

#define LANES 16
typedef uint8_t lanes __attribute__((vector_size(LANES)));

struct rare { /* a byte to look for; `bit` is set in text and byte where they are letters: both cases are one
	       */
	size_t at;
	lanes byte, bit;
};

static struct rare rare_byte(slice needle, size_t at)
{
	char c = ascii_lower(needle.p[at]);
	struct rare r = {.at = at};

	memset(&r.byte, c, sizeof r.byte);
	memset(&r.bit, ascii_is_alpha(c) ? 0x20 : 0, sizeof r.bit);
	return r;
}

/* Of LANES neighbouring places those where it stands. */
static inline lanes stands(const char *p, const struct rare *r)
{
	lanes v;

	memcpy(&v, p + r->at, sizeof v);
	return (lanes)((v | r->bit) == r->byte);
}

ptrdiff_t slice_ifind(slice hay, slice needle)
{
	size_t first, second, tries = 0, i = 0;

	if (needle.n == 0)
		return 0;
	if (needle.n > hay.n)
		return -1;
	size_t places = hay.n - needle.n + 1; /* where it may begin */
	rarest(needle, &first, &second);
	struct rare a = rare_byte(needle, first), b = rare_byte(needle, second);
	for (; places - i >= LANES; i += LANES) { /* reads before the end: a place is one of a whole needle */
		lanes both = stands(hay.p + i, &a) & stands(hay.p + i, &b);
		uint64_t any[2];

		memcpy(any, &both, sizeof any);
		if (!(any[0] | any[1]))
			continue;
		for (size_t k = 0; k < LANES; k++) {
			if (!both[k])
				continue;
			if (bytes_ieq(hay.p + i + k, needle.p, needle.n))
				return (ptrdiff_t)(i + k);
			tries++;
		}
		/* Many false starts mean text made to be slow. */
		if (tries > 64 + i / 8)
			return ifind_hashed(hay, needle, i);
	}
	for (; i < places; i++) {
		if (bytes_ieq(hay.p + i, needle.p, needle.n))
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
	size_t from = 0, to;

	while (from < in->n && is_blank(in->p[from]))
		from++;
	if (from == in->n)
		return false;
	for (to = from; to < in->n && !is_blank(in->p[to]); to++)
		;
	*ret_word = slice_sub(*in, from, to - from);
	*in = slice_skip(*in, to);
	return true;
}

bool slice_to_u64(slice s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint64_t digit;

		if (!ascii_is_digit(s.p[i]))
			return false;
		digit = (uint64_t)(s.p[i] - '0');
		if (digit > max || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
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

#include "base/nearest.h"

#define WORD_MAX 40

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment distance: three rows of the matrix are enough. Case does not count. */
static unsigned distance(slice a, slice b)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *two = rows[0], *one = rows[1], *now = rows[2];

	for (unsigned j = 0; j <= b.n; j++)
		one[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		now[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			char x = ascii_lower(a.p[i - 1]), y = ascii_lower(b.p[j - 1]);
			now[j] = least(least(one[j] + 1, now[j - 1] + 1), one[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == ascii_lower(b.p[j - 2]) && ascii_lower(a.p[i - 2]) == y)
				now[j] = least(now[j], two[j - 2] + 1);
		}
		unsigned *old = two;
		two = one, one = now, now = old;
	}
	return one[b.n];
}

const char *nearest_find(slice word, nearest_candidate *candidate, const void *arg)
{
	const char *best = NULL, *name;
	unsigned best_distance = 0;

	if (word.n == 0 || word.n > WORD_MAX)
		return NULL;
	for (size_t i = 0; (name = candidate(arg, i)) != NULL; i++) {
		slice s = slice_of(name);
		if (s.n == 0 || s.n > WORD_MAX)
			continue;
		unsigned d = distance(word, s), most = (unsigned)(word.n > s.n ? word.n : s.n);
		if (d * 3 <= most + 1 && (!best || d < best_distance))
			best = name, best_distance = d;
	}
	return best;
}

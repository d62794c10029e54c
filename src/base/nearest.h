/* "Did you mean": the known word nearest to one that is not known. Pure. */
#pragma once
#include "base/slice.h"

/* Returns the i-th known word, or NULL behind the last one. */
typedef const char *nearest_candidate(const void *arg, size_t i);

/*
 * The candidate with the fewest insertions, deletions, replacements and swaps of neighbours, or NULL when
 * none is near (more than a third of the letters wrong). Words over 40 bytes have no neighbours.
 */
const char *nearest_find(slice word, nearest_candidate *candidate, const void *arg);

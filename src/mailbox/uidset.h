/*
 * A set of UIDs kept as ranges with running counts: what a session knows of its selected mailbox. Sequence
 * number to UID and back are binary searches; 1,000,000 messages without gaps are one range.
 *
 * Sets share memory: ranges lie in chunks of up to UIDSET_CHUNK, chunks in a root, both counted by reference
 * and copied only when a set changes that is not the only holder. So 50 sessions on a mailbox of 500,000
 * ranges hold its 6 MB once, and one that changes a copy pays for its root (some 30 KB) and the chunks it
 * touches. The counts are no atomics: sets that share stay on one thread. Another thread may read one
 * meanwhile (an intent does), if nobody changes that very set.
 */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UIDSET_CHUNK 256 /* ranges: 3 KiB, moved in well under a microsecond */

struct uid_range {
	uint32_t first, last; /* inclusive */
	uint32_t before;      /* members in the ranges before this one */
};

struct uid_root;
struct uidset { /* zeroed: empty */
	struct uid_root *root;
	uint32_t n; /* ranges */
};

void uidset_free(struct uidset *s);
uint32_t uidset_count(const struct uidset *s);
/* Sequence number (from 1) -> UID, 0 when there is none; UID -> sequence number, 0 when it is not a member.
 */
uint32_t uidset_uid(const struct uidset *s, uint32_t seq);
uint32_t uidset_seq(const struct uidset *s, uint32_t uid);
/* Number of members <= uid. */
uint32_t uidset_rank(const struct uidset *s, uint32_t uid);
/* Adds a UID greater than all members (fast), or anywhere (slower). -1: out of memory. */
int uidset_add(struct uidset *s, uint32_t uid);
int uidset_add_range(struct uidset *s, uint32_t first, uint32_t last);
/* 1 removed, 0 was not there, -1 no memory */
int uidset_remove(struct uidset *s, uint32_t uid);
int uidset_remove_range(struct uidset *s, uint32_t first, uint32_t last); /* 0, -1 no memory */
bool uidset_has(const struct uidset *s, uint32_t uid);
/* The smallest member >= uid, 0 when there is none. */
uint32_t uidset_next(const struct uidset *s, uint32_t uid);

/* ret, which is empty, becomes the same set; no memory is needed. */
void uidset_share(const struct uidset *s, struct uidset *ret);
bool uidset_is_shared(const struct uidset *a, const struct uidset *b); /* the same memory */
/* Adds all of `other`. -1: out of memory; then some may have been added. */
int uidset_merge(struct uidset *s, const struct uidset *other);
/* Removes all of `other`. -1: out of memory; then some may have been removed. */
int uidset_subtract(struct uidset *s, const struct uidset *other);
/* Adds those members of `of` that lie between two UIDs, inclusive. Whole chunks are shared where they lie
 * above all of s. */
int uidset_add_between(struct uidset *s, const struct uidset *of, uint32_t first, uint32_t last);
/* Appends what is in both, or in a and not in b, to ret, which is empty or below all of it. -1: out of
 * memory. Time is that of walking both lists of ranges once, or less where one is short. */
int uidset_common(const struct uidset *a, const struct uidset *b, struct uidset *ret);
int uidset_minus(const struct uidset *a, const struct uidset *b, struct uidset *ret);

/* Walks the ranges, upwards or downwards. The set must not change meanwhile. */
struct uidset_scan {
	const struct uidset *s;
	uint32_t chunk, at;
};
/* Before the first range that ends at uid or above; behind the last range. */
struct uidset_scan uidset_scan_from(const struct uidset *s, uint32_t uid);
struct uidset_scan uidset_scan_end(const struct uidset *s);
/* The range behind or before the place, which moves over it; false at the end. */
bool uidset_scan_next(struct uidset_scan *sc, struct uid_range *ret);
bool uidset_scan_prev(struct uidset_scan *sc, struct uid_range *ret);

/*
 * A set of UIDs kept as ranges with running counts: what a session knows of its selected mailbox. Sequence
 * number to UID and back are binary searches; 1,000,000 messages without gaps are one range.
 */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uid_range {
	uint32_t first, last; /* inclusive */
	uint32_t before;      /* members in the ranges before this one */
};

struct uidset {
	struct uid_range *ranges;
	uint32_t n, cap;
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
/* Adds all of `other`. -1: out of memory; then some may have been added. */
int uidset_merge(struct uidset *s, const struct uidset *other);
/* Appends what is in both, or in a and not in b, to ret, which is empty or below all of it. -1: out of
 * memory. Time is that of walking both lists of ranges once. */
int uidset_common(const struct uidset *a, const struct uidset *b, struct uidset *ret);
int uidset_minus(const struct uidset *a, const struct uidset *b, struct uidset *ret);

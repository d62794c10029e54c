#include "mailbox/uidset.h"
#include <stdlib.h>
#include <string.h>

void uidset_free(struct uidset *s)
{
	free(s->ranges);
	*s = (struct uidset){0};
}

static uint32_t range_count(const struct uid_range *r)
{
	return r->last - r->first + 1;
}

uint32_t uidset_count(const struct uidset *s)
{
	return s->n ? s->ranges[s->n - 1].before + range_count(&s->ranges[s->n - 1]) : 0;
}

/* Index of the first range whose last >= uid; n when there is none. */
static uint32_t find(const struct uidset *s, uint32_t uid)
{
	uint32_t low = 0, high = s->n;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (s->ranges[mid].last < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint32_t uidset_uid(const struct uidset *s, uint32_t seq)
{
	uint32_t low = 0, high = s->n;
	if (seq == 0 || seq > uidset_count(s))
		return 0;
	while (high - low > 1) {
		uint32_t mid = low + (high - low) / 2;
		if (s->ranges[mid].before < seq)
			low = mid;
		else
			high = mid;
	}
	return s->ranges[low].first + (seq - 1 - s->ranges[low].before);
}

uint32_t uidset_rank(const struct uidset *s, uint32_t uid)
{
	uint32_t i = find(s, uid);
	if (i == s->n)
		return uidset_count(s);
	const struct uid_range *r = &s->ranges[i];
	return uid < r->first ? r->before : r->before + (uid - r->first) + 1;
}

bool uidset_has(const struct uidset *s, uint32_t uid)
{
	uint32_t i = find(s, uid);
	return i < s->n && s->ranges[i].first <= uid;
}

uint32_t uidset_seq(const struct uidset *s, uint32_t uid)
{
	return uidset_has(s, uid) ? uidset_rank(s, uid) : 0;
}

uint32_t uidset_next(const struct uidset *s, uint32_t uid)
{
	uint32_t i = find(s, uid);
	if (i == s->n)
		return 0;
	return uid < s->ranges[i].first ? s->ranges[i].first : uid;
}

static int grow(struct uidset *s)
{
	if (s->n < s->cap)
		return 0;
	uint32_t cap = s->cap ? s->cap + s->cap / 2 : 8;
	struct uid_range *p =
		cap > s->cap ? (struct uid_range *)realloc(s->ranges, (size_t)cap * sizeof *p) : NULL;
	if (!p)
		return -1;
	s->ranges = p;
	s->cap = cap;
	return 0;
}

static void recount(struct uidset *s, uint32_t from)
{
	for (uint32_t i = from; i < s->n; i++)
		s->ranges[i].before = i ? s->ranges[i - 1].before + range_count(&s->ranges[i - 1]) : 0;
}

static void cut(struct uidset *s, uint32_t from, uint32_t to)
{
	if (from == to)
		return;
	memmove(s->ranges + from, s->ranges + to, (size_t)(s->n - to) * sizeof *s->ranges);
	s->n -= to - from;
}

int uidset_add_range(struct uidset *s, uint32_t first, uint32_t last)
{
	if (first == 0 || first > last)
		return 0;
	/* Ranges from..to touch or overlap the new one and melt into it. */
	uint32_t from = find(s, first - 1), to = from;
	while (to < s->n && (last == UINT32_MAX || s->ranges[to].first <= last + 1))
		to++;
	if (from == to) {
		if (grow(s) < 0)
			return -1;
		memmove(s->ranges + from + 1, s->ranges + from, (size_t)(s->n - from) * sizeof *s->ranges);
		s->n++;
		s->ranges[from] = (struct uid_range){.first = first, .last = last};
	} else {
		if (s->ranges[from].first < first)
			first = s->ranges[from].first;
		if (s->ranges[to - 1].last > last)
			last = s->ranges[to - 1].last;
		s->ranges[from].first = first;
		s->ranges[from].last = last;
		cut(s, from + 1, to);
	}
	recount(s, from);
	return 0;
}

int uidset_add(struct uidset *s, uint32_t uid)
{
	return uidset_add_range(s, uid, uid);
}

int uidset_remove_range(struct uidset *s, uint32_t first, uint32_t last)
{
	if (first > last)
		return 0;
	uint32_t from = find(s, first), to = from;
	if (from == s->n || s->ranges[from].first > last)
		return 0;
	if (s->ranges[from].first < first && s->ranges[from].last > last) {
		if (grow(s) < 0)
			return -1;
		memmove(s->ranges + from + 1, s->ranges + from, (size_t)(s->n - from) * sizeof *s->ranges);
		s->n++;
		s->ranges[from].last = first - 1;
		s->ranges[from + 1].first = last + 1;
		recount(s, from);
		return 0;
	}
	uint32_t keep = from;
	if (s->ranges[from].first < first) {
		s->ranges[from].last = first - 1;
		keep = to = from + 1;
	}
	while (to < s->n && s->ranges[to].last <= last)
		to++;
	if (to < s->n && s->ranges[to].first <= last)
		s->ranges[to].first = last + 1;
	cut(s, keep, to);
	recount(s, from);
	return 0;
}

int uidset_remove(struct uidset *s, uint32_t uid)
{
	if (!uidset_has(s, uid))
		return 0;
	return uidset_remove_range(s, uid, uid) < 0 ? -1 : 1;
}

int uidset_merge(struct uidset *s, const struct uidset *other)
{
	for (uint32_t i = 0; i < other->n; i++)
		if (uidset_add_range(s, other->ranges[i].first, other->ranges[i].last) < 0)
			return -1;
	return 0;
}

int uidset_common(const struct uidset *a, const struct uidset *b, struct uidset *ret)
{
	for (uint32_t i = 0, k = 0; i < a->n && k < b->n;) {
		const struct uid_range *x = &a->ranges[i], *y = &b->ranges[k];
		uint32_t first = x->first > y->first ? x->first : y->first;
		uint32_t last = x->last < y->last ? x->last : y->last;
		if (uidset_add_range(ret, first, last) < 0)
			return -1;
		if (x->last == last)
			i++;
		if (y->last == last)
			k++;
	}
	return 0;
}

int uidset_minus(const struct uidset *a, const struct uidset *b, struct uidset *ret)
{
	uint32_t k = 0;
	for (uint32_t i = 0; i < a->n; i++) {
		uint64_t from = a->ranges[i].first, last = a->ranges[i].last;
		while (k < b->n && b->ranges[k].last < from)
			k++;
		for (; k < b->n && b->ranges[k].first <= last; k++) {
			if (b->ranges[k].first > from &&
				uidset_add_range(ret, (uint32_t)from, b->ranges[k].first - 1) < 0)
				return -1;
			from = (uint64_t)b->ranges[k].last + 1;
			if (from > last)
				break; /* this range of b may reach into the next one of a */
		}
		if (from <= last && uidset_add_range(ret, (uint32_t)from, (uint32_t)last) < 0)
			return -1;
	}
	return 0;
}

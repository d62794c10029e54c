#include "imap/seqset.h"
#include <stdlib.h>

static bool set_char(char c)
{
	return ascii_is_digit(c) || c == ':' || c == ',' || c == '*';
}

static bool number(slice *in, uint32_t *ret)
{
	size_t n = 0;

	if (in->n > 0 && in->p[0] == '*') {
		*in = slice_skip(*in, 1);
		*ret = IMAP_STAR;
		return true;
	}
	while (n < in->n && ascii_is_digit(in->p[n]))
		n++;
	if (!slice_to_u32(slice_sub(*in, 0, n), UINT32_MAX, ret) || *ret == 0 || in->p[0] == '0')
		return false;
	*in = slice_skip(*in, n);
	return true;
}

bool imap_seqset_parse(slice in, struct arena *a, struct imap_seqset *ret)
{
	uint32_t n = 1, i = 0;

	for (size_t k = 0; k < in.n; k++)
		n += in.p[k] == ',';
	struct imap_range *v = arena_new_n(a, struct imap_range, n);
	if (!v)
		return false;
	for (;;) {
		struct imap_range *r = &v[i++];

		if (!number(&in, &r->first))
			return false;
		r->last = r->first;
		if (in.n > 0 && in.p[0] == ':') {
			in = slice_skip(in, 1);
			if (!number(&in, &r->last))
				return false;
		}
		if (in.n == 0)
			break;
		if (in.p[0] != ',')
			return false;
		in = slice_skip(in, 1);
	}
	*ret = (struct imap_seqset){.ranges = v, .n = i};
	return true;
}

bool imap_take_seqset(struct imap_args *a, struct imap_seqset *ret)
{
	size_t n = 0;

	if (imap_try_c(a, '$')) {
		*ret = (struct imap_seqset){.saved = true};
		return true;
	}
	while (n < a->text.n && set_char(a->text.p[n]))
		n++;
	if (n == 0 || !imap_seqset_parse(slice_sub(a->text, 0, n), a->arena, ret))
		return imap_args_fail(a, "the set of messages is not well-formed");
	a->text = slice_skip(a->text, n);
	return true;
}

static struct imap_range resolved(struct imap_range r, uint32_t star)
{
	if (r.first == IMAP_STAR)
		r.first = star;
	if (r.last == IMAP_STAR)
		r.last = star;
	if (r.first > r.last)
		r = (struct imap_range){r.last, r.first};
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct imap_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Resolves `*`, sorts and joins, so that adding goes upwards. Returns the number of ranges left. */
static uint32_t tidy(const struct imap_seqset *set, uint32_t star)
{
	struct imap_range *v = set->ranges;
	uint32_t n = 0;

	for (uint32_t i = 0; i < set->n; i++)
		v[i] = resolved(v[i], star);
	qsort(v, set->n, sizeof *v, compare);
	for (uint32_t i = 0; i < set->n; i++) {
		if (n > 0 && v[i].first <= v[n - 1].last) {
			if (v[i].last > v[n - 1].last)
				v[n - 1].last = v[i].last;
		} else {
			v[n++] = v[i];
		}
	}
	return n;
}

int imap_seqset_uids(const struct imap_seqset *set, const struct uidset *have, struct uidset *add_to)
{
	uint32_t count = uidset_count(have);

	if (count == 0)
		return 0;
	uint32_t n = tidy(set, uidset_uid(have, count));
	for (uint32_t i = 0; i < n; i++) {
		if (uidset_add_between(add_to, have, set->ranges[i].first, set->ranges[i].last) < 0)
			return -1;
	}
	return 0;
}

int imap_seqset_seqs(const struct imap_seqset *set, const struct uidset *have, struct uidset *add_to)
{
	uint32_t count = uidset_count(have);
	int past = 0;

	if (count == 0)
		return 1;
	for (uint32_t i = 0; i < set->n; i++) {
		const struct imap_range *r = &set->ranges[i];

		past |= r->first != IMAP_STAR && r->last != IMAP_STAR &&
			(r->first > count || r->last > count);
	}
	uint32_t n = tidy(set, count);
	for (uint32_t i = 0; i < n; i++) {
		struct imap_range r = set->ranges[i];

		if (r.first > count)
			break;
		if (r.last > count)
			r.last = count;
		if (uidset_add_between(add_to, have, uidset_uid(have, r.first), uidset_uid(have, r.last)) < 0)
			return -1;
	}
	return past;
}

int imap_seqset_named(const struct imap_seqset *set, struct uidset *add_to)
{
	struct imap_seqset copy = {.ranges = calloc(set->n + 1, sizeof *copy.ranges), .n = set->n};
	int rc = copy.ranges ? 0 : -1;

	if (rc == 0 && set->n > 0)
		memcpy(copy.ranges, set->ranges, set->n * sizeof *copy.ranges);
	uint32_t n = rc == 0 ? tidy(&copy, UINT32_MAX) : 0;
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = uidset_add_range(add_to, copy.ranges[i].first, copy.ranges[i].last);
	free(copy.ranges);
	return rc;
}

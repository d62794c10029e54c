#include "mailbox/uidset.h"
#include <stdlib.h>
#include <string.h>

struct uid_chunk {
	uint32_t refs, n, cap;
	uint32_t count;            /* members */
	struct uid_range ranges[]; /* `before` counts from the chunk's begin */
};

struct uid_leaf {
	struct uid_chunk *chunk; /* never empty */
	uint32_t first;          /* its first UID */
	uint32_t before;         /* members in the chunks before it */
};

struct uid_root {
	uint32_t refs, n, cap;
	struct uid_leaf leaf[];
};

struct place { /* of a range; chunk == n: behind all */
	uint32_t chunk, at;
};

#define SMALL_CHUNK 4

static uint32_t chunks(const struct uidset *s)
{
	return s->root ? s->root->n : 0;
}

static struct uid_chunk *chunk_of(const struct uidset *s, uint32_t i)
{
	return s->root->leaf[i].chunk;
}

static struct uid_range *range_at(const struct uidset *s, struct place p)
{
	return &chunk_of(s, p.chunk)->ranges[p.at];
}

static uint32_t range_count(const struct uid_range *r)
{
	return r->last - r->first + 1;
}

/* ---- memory ---- */

static void chunk_unref(struct uid_chunk *c)
{
	if (--c->refs == 0)
		free(c);
}

void uidset_free(struct uidset *s)
{
	struct uid_root *root = s->root;

	*s = (struct uidset){0};
	if (!root || --root->refs > 0)
		return;
	for (uint32_t i = 0; i < root->n; i++)
		chunk_unref(root->leaf[i].chunk);
	free(root);
}

/* The root for us alone, with room for `more` chunks. */
static int own_root(struct uidset *s, uint32_t more)
{
	struct uid_root *old = s->root, *root;
	uint32_t n = chunks(s);

	if (old && old->refs == 1 && n + more <= old->cap)
		return 0;
	uint32_t cap = n + more + n / 2;
	size_t bytes = sizeof *root + (size_t)cap * sizeof root->leaf[0];
	if (old && old->refs == 1) {
		root = realloc(old, bytes);
		if (!root)
			return -1;
	} else {
		root = malloc(bytes);
		if (!root)
			return -1;
		*root = (struct uid_root){.refs = 1, .n = n};
		if (old)
			memcpy(root->leaf, old->leaf, (size_t)n * sizeof root->leaf[0]);
		for (uint32_t i = 0; i < n; i++)
			root->leaf[i].chunk->refs++;
		if (old)
			old->refs--;
	}
	root->cap = cap;
	s->root = root;
	return 0;
}

/* With room for some more; ranges may be NULL and are put in by the caller then. */
static struct uid_chunk *chunk_new(uint32_t n, const struct uid_range *ranges)
{
	uint32_t cap = n < SMALL_CHUNK ? SMALL_CHUNK : n + n / 4 + 1;

	cap = cap < UIDSET_CHUNK ? cap : UIDSET_CHUNK;
	struct uid_chunk *c = malloc(sizeof *c + (size_t)cap * sizeof c->ranges[0]);

	if (!c)
		return NULL;
	*c = (struct uid_chunk){.refs = 1, .n = n, .cap = cap};
	if (n && ranges)
		memcpy(c->ranges, ranges, (size_t)n * sizeof *ranges);
	return c;
}

/* A chunk for us alone, with room for one range more unless it is full; the root is ours. */
static int own_chunk(struct uidset *s, uint32_t i)
{
	struct uid_chunk *c = chunk_of(s, i);

	if (c->refs > 1) {
		struct uid_chunk *copy = chunk_new(c->n, c->ranges);

		if (!copy)
			return -1;
		copy->count = c->count;
		c->refs--;
		c = copy;
	} else if (c->n == c->cap && c->cap < UIDSET_CHUNK) {
		uint32_t cap = c->cap * 2 < UIDSET_CHUNK ? c->cap * 2 : UIDSET_CHUNK;

		c = realloc(c, sizeof *c + (size_t)cap * sizeof c->ranges[0]);
		if (!c)
			return -1;
		c->cap = cap;
	}
	s->root->leaf[i].chunk = c;
	return 0;
}

/* Puts a chunk, whose reference is taken over, before the i-th one. The root is ours and has room. */
static void put_chunk(struct uidset *s, uint32_t i, struct uid_chunk *c)
{
	struct uid_root *root = s->root;

	memmove(root->leaf + i + 1, root->leaf + i, (size_t)(root->n - i) * sizeof root->leaf[0]);
	root->leaf[i] = (struct uid_leaf){.chunk = c, .first = c->ranges[0].first};
	root->n++;
}

static void drop_chunks(struct uidset *s, uint32_t from, uint32_t to)
{
	struct uid_root *root = s->root;

	for (uint32_t i = from; i < to; i++) {
		s->n -= root->leaf[i].chunk->n;
		chunk_unref(root->leaf[i].chunk);
	}
	if (to > from) {
		memmove(root->leaf + from, root->leaf + to, (size_t)(root->n - to) * sizeof root->leaf[0]);
		root->n -= to - from;
	}
}

/* ---- counts ---- */

/* Of a chunk that is ours, from the at-th range on. */
static void recount(struct uid_chunk *c, uint32_t at)
{
	uint32_t before = at ? c->ranges[at - 1].before + range_count(&c->ranges[at - 1]) : 0;

	for (; at < c->n; at++) {
		c->ranges[at].before = before;
		before += range_count(&c->ranges[at]);
	}
	c->count = before;
}

/* Counts of the chunks from the i-th on. */
static void recount_chunks(struct uidset *s, uint32_t i)
{
	struct uid_root *root = s->root;
	uint32_t before = i ? root->leaf[i - 1].before + root->leaf[i - 1].chunk->count : 0;

	for (; i < root->n; i++) {
		root->leaf[i].before = before;
		before += root->leaf[i].chunk->count;
	}
}

/* The i-th chunk has changed from the at-th range on. */
static void changed(struct uidset *s, uint32_t i, uint32_t at)
{
	struct uid_chunk *c = chunk_of(s, i);

	recount(c, at);
	s->root->leaf[i].first = c->ranges[0].first;
}

uint32_t uidset_count(const struct uidset *s)
{
	uint32_t n = chunks(s);

	return n ? s->root->leaf[n - 1].before + chunk_of(s, n - 1)->count : 0;
}

/* ---- finding ---- */

/* The first range whose last >= uid. */
static struct place find(const struct uidset *s, uint32_t uid)
{
	uint32_t low = 0, high = chunks(s);

	while (low < high) { /* the first chunk that begins above uid */
		uint32_t mid = low + (high - low) / 2;

		if (s->root->leaf[mid].first <= uid)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return (struct place){0, 0};
	const struct uid_chunk *c = chunk_of(s, low - 1);
	struct place p = {.chunk = low - 1};
	for (high = c->n; p.at < high;) {
		uint32_t mid = p.at + (high - p.at) / 2;

		if (c->ranges[mid].last < uid)
			p.at = mid + 1;
		else
			high = mid;
	}
	return p.at < c->n ? p : (struct place){low, 0};
}

static bool at_end(const struct uidset *s, struct place p)
{
	return p.chunk >= chunks(s);
}

static uint32_t before_of(const struct uidset *s, struct place p)
{
	return s->root->leaf[p.chunk].before + range_at(s, p)->before;
}

uint32_t uidset_uid(const struct uidset *s, uint32_t seq)
{
	if (seq == 0 || seq > uidset_count(s))
		return 0;
	uint32_t low = 0, high = chunks(s);
	while (high - low > 1) { /* the last chunk with fewer before it */
		uint32_t mid = low + (high - low) / 2;

		if (s->root->leaf[mid].before < seq)
			low = mid;
		else
			high = mid;
	}
	const struct uid_chunk *c = chunk_of(s, low);
	seq -= s->root->leaf[low].before;
	for (low = 0, high = c->n; high - low > 1;) {
		uint32_t mid = low + (high - low) / 2;

		if (c->ranges[mid].before < seq)
			low = mid;
		else
			high = mid;
	}
	return c->ranges[low].first + (seq - 1 - c->ranges[low].before);
}

uint32_t uidset_rank(const struct uidset *s, uint32_t uid)
{
	struct place p = find(s, uid);

	if (at_end(s, p))
		return uidset_count(s);
	const struct uid_range *r = range_at(s, p);
	return before_of(s, p) + (uid < r->first ? 0 : uid - r->first + 1);
}

bool uidset_has(const struct uidset *s, uint32_t uid)
{
	struct place p = find(s, uid);

	return !at_end(s, p) && range_at(s, p)->first <= uid;
}

uint32_t uidset_seq(const struct uidset *s, uint32_t uid)
{
	struct place p = find(s, uid);

	if (at_end(s, p) || range_at(s, p)->first > uid)
		return 0;
	return before_of(s, p) + (uid - range_at(s, p)->first) + 1;
}

uint32_t uidset_next(const struct uidset *s, uint32_t uid)
{
	struct place p = find(s, uid);

	if (at_end(s, p))
		return 0;
	return uid < range_at(s, p)->first ? range_at(s, p)->first : uid;
}

/* ---- changing ---- */

/* Makes room before the place in a chunk that is full: its upper half, or what comes, goes into a new one. */
static int split(struct uidset *s, struct place *p)
{
	struct uid_chunk *c = chunk_of(s, p->chunk);
	uint32_t keep = p->at == c->n && p->chunk + 1 == chunks(s) ? c->n : c->n / 2;
	struct uid_chunk *upper = chunk_new(c->n - keep, c->ranges + keep);

	if (!upper)
		return -1;
	recount(upper, 0);
	c->n = keep;
	recount(c, keep);
	if (upper->n == 0) /* put_chunk looks at the first range, which comes at once */
		upper->ranges[0] = (struct uid_range){.first = UINT32_MAX};
	put_chunk(s, p->chunk + 1, upper);
	if (p->at > keep || keep == UIDSET_CHUNK)
		*p = (struct place){p->chunk + 1, p->at - keep};
	return 0;
}

/* Puts a range before a place; nothing touches it. */
static int insert(struct uidset *s, struct place p, uint32_t first, uint32_t last)
{
	const struct uid_range r = {.first = first, .last = last};

	if (own_root(s, 1) < 0)
		return -1;
	if (p.at == 0 && p.chunk > 0) { /* rather at the end of the one before */
		p.chunk--;
		p.at = chunk_of(s, p.chunk)->n;
	}
	if (chunks(s) == 0) {
		struct uid_chunk *c = chunk_new(1, &r);

		if (!c)
			return -1;
		put_chunk(s, 0, c);
		s->n = 1;
		changed(s, 0, 0);
		recount_chunks(s, 0);
		return 0;
	}
	uint32_t from = p.chunk;
	if (own_chunk(s, p.chunk) < 0 || (chunk_of(s, p.chunk)->n == UIDSET_CHUNK && split(s, &p) < 0))
		return -1;
	struct uid_chunk *c = chunk_of(s, p.chunk);
	memmove(c->ranges + p.at + 1, c->ranges + p.at, (size_t)(c->n - p.at) * sizeof r);
	c->ranges[p.at] = r;
	c->n++;
	s->n++;
	changed(s, p.chunk, p.at);
	recount_chunks(s, from);
	return 0;
}

/* Small neighbours become one, so that a set that shrinks gives its memory back. */
static void join(struct uidset *s, uint32_t i)
{
	if (i + 1 >= chunks(s) || chunk_of(s, i)->n + chunk_of(s, i + 1)->n > UIDSET_CHUNK / 2)
		return;
	const struct uid_chunk *a = chunk_of(s, i), *b = chunk_of(s, i + 1);
	struct uid_chunk *both = chunk_new(a->n + b->n, NULL);
	if (!both)
		return;
	memcpy(both->ranges, a->ranges, (size_t)a->n * sizeof a->ranges[0]);
	memcpy(both->ranges + a->n, b->ranges, (size_t)b->n * sizeof b->ranges[0]);
	s->n += both->n;
	drop_chunks(s, i, i + 2);
	put_chunk(s, i, both);
	changed(s, i, 0);
}

/* After ranges of the i-th chunk, and perhaps the chunk itself, were taken out. */
static void settle(struct uidset *s, uint32_t i)
{
	if (s->n == 0) {
		uidset_free(s);
		return;
	}
	join(s, i);
	if (i > 0)
		join(s, --i);
	recount_chunks(s, i);
}

/* Takes out the ranges from one place up to another. The root and both places' chunks are ours. */
static void cut(struct uidset *s, struct place from, struct place to)
{
	struct uid_chunk *c = at_end(s, from) ? NULL : chunk_of(s, from.chunk);

	if (c && from.chunk == to.chunk && from.at < to.at) {
		memmove(c->ranges + from.at, c->ranges + to.at, (size_t)(c->n - to.at) * sizeof *c->ranges);
		c->n -= to.at - from.at;
		s->n -= to.at - from.at;
		changed(s, from.chunk, from.at);
	} else if (c && from.chunk < to.chunk) {
		uint32_t whole = from.at > 0 ? from.chunk + 1 : from.chunk;

		if (to.at > 0)
			cut(s, (struct place){to.chunk, 0}, to);
		drop_chunks(s, whole, to.chunk);
		if (from.at > 0) {
			s->n -= c->n - from.at;
			c->n = from.at;
			changed(s, from.chunk, from.at);
		}
	}
}

static int own_place(struct uidset *s, struct place p)
{
	return at_end(s, p) ? 0 : own_chunk(s, p.chunk);
}

static struct place next_place(const struct uidset *s, struct place p)
{
	if (++p.at == chunk_of(s, p.chunk)->n)
		p = (struct place){p.chunk + 1, 0};
	return p;
}

/* A UID above all members, or the last one's neighbour: what most sets grow by. */
static int append(struct uidset *s, uint32_t first, uint32_t last)
{
	uint32_t i = chunks(s) - 1;
	struct uid_chunk *c = chunk_of(s, i);

	if (c->ranges[c->n - 1].last + 1 < first)
		return insert(s, (struct place){i + 1, 0}, first, last);
	if (own_root(s, 0) < 0 || own_chunk(s, i) < 0)
		return -1;
	c = chunk_of(s, i);
	c->count += last - c->ranges[c->n - 1].last;
	c->ranges[c->n - 1].last = last;
	return 0;
}

static uint32_t highest(const struct uidset *s)
{
	const struct uid_chunk *c = chunks(s) ? chunk_of(s, chunks(s) - 1) : NULL;

	return c ? c->ranges[c->n - 1].last : 0;
}

int uidset_add_range(struct uidset *s, uint32_t first, uint32_t last)
{
	if (first == 0 || first > last)
		return 0;
	if (chunks(s) && first > highest(s))
		return append(s, first, last);
	/* Ranges from..to touch or overlap the new one and melt into it. */
	struct place from = find(s, first - 1), to = from;
	if (!at_end(s, from) && range_at(s, from)->first <= first && range_at(s, from)->last >= last)
		return 0;
	while (!at_end(s, to) && (last == UINT32_MAX || range_at(s, to)->first <= last + 1)) {
		const struct uid_range *r = range_at(s, to);

		first = r->first < first ? r->first : first;
		last = r->last > last ? r->last : last;
		to = next_place(s, to);
	}
	if (from.chunk == to.chunk && from.at == to.at)
		return insert(s, from, first, last);
	if (own_root(s, 0) < 0 || own_place(s, from) < 0 || own_place(s, to) < 0)
		return -1;
	struct uid_range *r = range_at(s, from);
	r->first = first;
	r->last = last;
	cut(s, next_place(s, from), to);
	changed(s, from.chunk, from.at);
	settle(s, from.chunk);
	return 0;
}

int uidset_add(struct uidset *s, uint32_t uid)
{
	return uidset_add_range(s, uid, uid);
}

/* Takes the middle out of a range. */
static int pierce(struct uidset *s, struct place p, uint32_t first, uint32_t last)
{
	uint32_t end = range_at(s, p)->last;

	if (own_root(s, 1) < 0 || own_chunk(s, p.chunk) < 0)
		return -1;
	range_at(s, p)->last = first - 1;
	changed(s, p.chunk, p.at);
	if (insert(s, (struct place){p.chunk, p.at + 1}, last + 1, end) == 0)
		return 0;
	range_at(s, p)->last = end;
	changed(s, p.chunk, p.at);
	return -1;
}

int uidset_remove_range(struct uidset *s, uint32_t first, uint32_t last)
{
	if (first > last)
		return 0;
	struct place from = find(s, first), to = from;
	if (at_end(s, from) || range_at(s, from)->first > last)
		return 0;
	if (range_at(s, from)->first < first && range_at(s, from)->last > last)
		return pierce(s, from, first, last);
	if (own_root(s, 0) < 0)
		return -1;
	while (!at_end(s, to) && range_at(s, to)->last <= last)
		to = next_place(s, to);
	if (own_place(s, from) < 0 || own_place(s, to) < 0)
		return -1;
	uint32_t changed_from = from.chunk;
	if (!at_end(s, to) && range_at(s, to)->first <= last) {
		range_at(s, to)->first = last + 1;
		changed(s, to.chunk, to.at);
	}
	if (range_at(s, from)->first < first) {
		range_at(s, from)->last = first - 1;
		changed(s, from.chunk, from.at);
		from = next_place(s, from);
	}
	cut(s, from, to);
	settle(s, changed_from);
	return 0;
}

int uidset_remove(struct uidset *s, uint32_t uid)
{
	if (!uidset_has(s, uid))
		return 0;
	return uidset_remove_range(s, uid, uid) < 0 ? -1 : 1;
}

/* ---- scans ---- */

struct uidset_scan uidset_scan_from(const struct uidset *s, uint32_t uid)
{
	struct place p = find(s, uid);

	return (struct uidset_scan){.s = s, .chunk = p.chunk, .at = p.at};
}

struct uidset_scan uidset_scan_end(const struct uidset *s)
{
	return (struct uidset_scan){.s = s, .chunk = chunks(s)};
}

bool uidset_scan_next(struct uidset_scan *sc, struct uid_range *ret)
{
	struct place p = {sc->chunk, sc->at};

	if (at_end(sc->s, p))
		return false;
	*ret = *range_at(sc->s, p);
	ret->before += sc->s->root->leaf[p.chunk].before;
	p = next_place(sc->s, p);
	sc->chunk = p.chunk;
	sc->at = p.at;
	return true;
}

bool uidset_scan_prev(struct uidset_scan *sc, struct uid_range *ret)
{
	if (sc->at == 0 && sc->chunk == 0)
		return false;
	if (sc->at == 0)
		sc->at = chunk_of(sc->s, --sc->chunk)->n;
	sc->at--;
	*ret = *range_at(sc->s, (struct place){sc->chunk, sc->at});
	ret->before += sc->s->root->leaf[sc->chunk].before;
	return true;
}

/* ---- sets with sets ---- */

void uidset_share(const struct uidset *s, struct uidset *ret)
{
	if (s->root)
		s->root->refs++;
	*ret = *s;
}

bool uidset_is_shared(const struct uidset *a, const struct uidset *b)
{
	return a->root == b->root;
}

/* The chunk is shared; it lies above all of s and does not touch it. */
static int append_chunk(struct uidset *s, struct uid_chunk *c)
{
	if (own_root(s, 1) < 0)
		return -1;
	c->refs++;
	put_chunk(s, chunks(s), c);
	s->n += c->n;
	recount_chunks(s, chunks(s) - 1);
	return 0;
}

int uidset_add_between(struct uidset *s, const struct uidset *of, uint32_t first, uint32_t last)
{
	struct uid_range r;

	if (chunks(s) == 0 && chunks(of) > 0 && first <= of->root->leaf[0].first && last >= highest(of)) {
		uidset_free(s);
		uidset_share(of, s);
		return 0;
	}
	for (struct uidset_scan sc = uidset_scan_from(of, first);
		!at_end(of, (struct place){sc.chunk, sc.at});) {
		struct uid_chunk *c = chunk_of(of, sc.chunk);

		if (sc.at == 0 && c->n > SMALL_CHUNK && c->ranges[0].first >= first &&
			c->ranges[c->n - 1].last <= last && c->ranges[0].first - 1 > highest(s)) {
			if (append_chunk(s, c) < 0)
				return -1;
			sc.chunk++;
			continue;
		}
		(void)uidset_scan_next(&sc, &r);
		if (r.first > last)
			break;
		if (uidset_add_range(s, r.first > first ? r.first : first, r.last < last ? r.last : last) < 0)
			return -1;
	}
	return 0;
}

/* Whether so few ranges are better looked up one by one than walked beside all of the others. */
static bool few(const struct uidset *s, const struct uidset *beside)
{
	return s->n < beside->n / 16;
}

/* Both together, in one walk over both. */
static int merged(const struct uidset *a, const struct uidset *b, struct uidset *ret)
{
	struct uidset_scan sa = uidset_scan_from(a, 0), sb = uidset_scan_from(b, 0);
	struct uid_range x, y;
	bool more_a = uidset_scan_next(&sa, &x), more_b = uidset_scan_next(&sb, &y);

	while (more_a || more_b) {
		bool take_a = more_a && (!more_b || x.first <= y.first);
		const struct uid_range *r = take_a ? &x : &y;

		if (uidset_add_range(ret, r->first, r->last) < 0)
			return -1;
		if (take_a)
			more_a = uidset_scan_next(&sa, &x);
		else
			more_b = uidset_scan_next(&sb, &y);
	}
	return 0;
}

static int instead(struct uidset *s, struct uidset *other, int rc)
{
	if (rc == 0) {
		uidset_free(s);
		*s = *other;
	} else {
		uidset_free(other);
	}
	return rc;
}

int uidset_merge(struct uidset *s, const struct uidset *other)
{
	struct uidset all = {0};
	struct uid_range r;

	if (other->n == 0 || uidset_is_shared(s, other))
		return 0;
	if (s->n == 0 || other->root->leaf[0].first > highest(s) || few(other, s)) {
		if (s->n == 0 || other->root->leaf[0].first > highest(s))
			return uidset_add_between(s, other, 1, UINT32_MAX);
		for (struct uidset_scan sc = uidset_scan_from(other, 0); uidset_scan_next(&sc, &r);)
			if (uidset_add_range(s, r.first, r.last) < 0)
				return -1;
		return 0;
	}
	return instead(s, &all, merged(s, other, &all));
}

int uidset_subtract(struct uidset *s, const struct uidset *other)
{
	struct uidset left = {0};
	struct uid_range r;

	if (!few(other, s))
		return instead(s, &left, uidset_minus(s, other, &left));
	for (struct uidset_scan sc = uidset_scan_from(other, 0); uidset_scan_next(&sc, &r);)
		if (uidset_remove_range(s, r.first, r.last) < 0)
			return -1;
	return 0;
}

int uidset_common(const struct uidset *a, const struct uidset *b, struct uidset *ret)
{
	const struct uidset *less = a->n < b->n ? a : b, *more = a->n < b->n ? b : a;
	struct uidset_scan sa = uidset_scan_from(a, 0), sb = uidset_scan_from(b, 0);
	struct uid_range x, y;

	if (few(less, more)) {
		for (sa = uidset_scan_from(less, 0); uidset_scan_next(&sa, &x);)
			if (uidset_add_between(ret, more, x.first, x.last) < 0)
				return -1;
		return 0;
	}
	if (uidset_is_shared(a, b))
		return uidset_merge(ret, a);
	bool more_a = uidset_scan_next(&sa, &x), more_b = uidset_scan_next(&sb, &y);
	while (more_a && more_b) {
		uint32_t first = x.first > y.first ? x.first : y.first;
		uint32_t last = x.last < y.last ? x.last : y.last;

		if (uidset_add_range(ret, first, last) < 0)
			return -1;
		if (x.last == last)
			more_a = uidset_scan_next(&sa, &x);
		if (y.last == last)
			more_b = uidset_scan_next(&sb, &y);
	}
	return 0;
}

/* What lies between the ranges of b, each looked up in a. */
static int minus_few(const struct uidset *a, const struct uidset *b, struct uidset *ret)
{
	struct uid_range y;
	uint32_t from = 1;

	for (struct uidset_scan sb = uidset_scan_from(b, 0); uidset_scan_next(&sb, &y);) {
		if (y.first > from && uidset_add_between(ret, a, from, y.first - 1) < 0)
			return -1;
		if (y.last == UINT32_MAX)
			return 0;
		from = y.last + 1;
	}
	return uidset_add_between(ret, a, from, UINT32_MAX);
}

int uidset_minus(const struct uidset *a, const struct uidset *b, struct uidset *ret)
{
	struct uidset_scan sa = uidset_scan_from(a, 0), sb = uidset_scan_from(b, 0);
	struct uid_range x, y;

	if (b->n == 0 || few(b, a))
		return minus_few(a, b, ret);
	bool more_b = uidset_scan_next(&sb, &y);
	while (uidset_scan_next(&sa, &x)) {
		uint64_t from = x.first, last = x.last;

		while (more_b && y.last < from)
			more_b = uidset_scan_next(&sb, &y);
		for (; more_b && y.first <= last; more_b = uidset_scan_next(&sb, &y)) {
			if (y.first > from && uidset_add_range(ret, (uint32_t)from, y.first - 1) < 0)
				return -1;
			from = (uint64_t)y.last + 1;
			if (from > last)
				break; /* this range of b may reach into the next one of a */
		}
		if (from <= last && uidset_add_range(ret, (uint32_t)from, (uint32_t)last) < 0)
			return -1;
	}
	return 0;
}

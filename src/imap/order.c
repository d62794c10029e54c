#include "imap/order.h"
#include "base/wire.h"
#include "io/fiber.h"
#include "limits.h"

#define RUN    8     /* items put in order by insertion first */
#define MOVES  16    /* items copied in the time of one that is compared */
#define BREATH 16384 /* items moved before others get their turn: some 2 ms, where keys are compared */

static int cmp_tails(const struct order *o, const struct order_item *a, const struct order_item *b)
{
	size_t seen = 2 + o->common + 8, na, nb;

	if (a->tail == ORDER_WHOLE || b->tail == ORDER_WHOLE)
		return (a->tail != ORDER_WHOLE) - (b->tail != ORDER_WHOLE); /* the shorter one first */
	const char *ka = o->keys + a->tail, *kb = o->keys + b->tail;
	na = (size_t)(uint8_t)ka[0] << 8 | (uint8_t)ka[1];
	nb = (size_t)(uint8_t)kb[0] << 8 | (uint8_t)kb[1];
	slice ra = slice_skip(slice_make(ka, na + 2), seen), rb = slice_skip(slice_make(kb, nb + 2), seen);
	return slice_cmp(ra, rb);
}

static bool before(const struct order *o, const struct order_item *a, const struct order_item *b)
{
	if (a->head != b->head)
		return a->head < b->head;
	int c = o ? cmp_tails(o, a, b) : 0;
	return c ? c < 0 : a->number < b->number;
}

static void insertion(const struct order *o, struct order_item *a, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct order_item x = a[i];
		uint32_t k = i;

		for (; k > 0 && before(o, &x, &a[k - 1]); k--)
			a[k] = a[k - 1];
		a[k] = x;
	}
}

/* breath NULL: it is a short one, nobody waits for it. */
static int breathe(uint64_t *breath, uint32_t moved)
{
	if (!breath || (*breath += moved) < BREATH)
		return 0;
	*breath = 0;
	return fiber_yield() < 0 ? -1 : 0;
}

/* Two neighbouring runs of `from` into one of `to`. */
static int merge(const struct order *o, const struct order_item *from, struct order_item *to, uint32_t left,
	uint32_t n, uint64_t *breath)
{
	uint32_t i = 0, k = left, out = 0;

	if (left >= n || !before(o, &from[left], &from[left - 1])) {
		memcpy(to, from, n * sizeof *to);
		return breathe(breath, n / MOVES);
	}
	while (i < left && k < n) {
		to[out++] = before(o, &from[k], &from[i]) ? from[k++] : from[i++];
		if (breathe(breath, 1) < 0)
			return -1;
	}
	memcpy(to + out, from + i, (left - i) * sizeof *to);
	memcpy(to + out + (left - i), from + k, (n - k) * sizeof *to);
	return 0;
}

static int sort(const struct order *o, struct order_item *items, struct order_item *tmp, uint32_t n)
{
	struct order_item *from = items, *to = tmp;
	uint64_t moved = 0, *breath = n > BREATH ? &moved : NULL;

	for (uint32_t at = 0; at < n; at += RUN) {
		insertion(o, items + at, n - at < RUN ? n - at : RUN);
		if (breathe(breath, RUN) < 0)
			return -1;
	}
	for (uint64_t run = RUN; run < n; run *= 2) {
		for (uint64_t at = 0; at < n; at += 2 * run) {
			uint32_t left = (uint32_t)(n - at < run ? n - at : run);
			uint32_t both = (uint32_t)(n - at < 2 * run ? n - at : 2 * run);

			if (merge(o, from + at, to + at, left, both, breath) < 0)
				return -1;
		}
		struct order_item *other = from;
		from = to;
		to = other;
	}
	if (from != items)
		memcpy(items, from, n * sizeof *items);
	return 0;
}

int order_sort_heads(struct order_item *items, struct order_item *tmp, uint32_t n)
{
	return sort(NULL, items, tmp, n);
}

static bool more_items(struct order *o)
{
	uint32_t cap = o->cap ? o->cap * 2 : 1024;
	struct order_item *p = realloc(o->items, cap * sizeof *p);

	if (!p)
		return false;
	o->items = p;
	o->cap = cap;
	return true;
}

static bool more_keys(struct order *o, size_t n)
{
	size_t cap = o->keys_cap ? o->keys_cap : 16384;

	while (cap - o->keys_n < n)
		cap *= 2;
	char *p = cap > o->keys_cap ? realloc(o->keys, cap) : o->keys;
	if (!p)
		return false;
	o->keys = p;
	o->keys_cap = cap;
	return true;
}

static uint64_t head_of(slice key)
{
	char z[8] = {0};

	if (key.n > 0)
		memcpy(z, key.p, key.n < 8 ? key.n : 8);
	return be64_get(z);
}

int order_add(struct order *o, slice key, uint32_t number, err *e)
{
	size_t n = key.n <= 8 ? 0 : key.n + 2;

	if (o->keys_n + n + (o->n + UINT64_C(1)) * 2 * sizeof *o->items > LIMIT_IMAP_ORDER ||
		key.n > UINT16_MAX)
		return err_set(e, ERR_LIMIT, "too many messages to put in order at once: search for fewer");
	if ((o->n == o->cap && !more_items(o)) || !more_keys(o, n))
		return err_set(e, ERR_TEMP, "no memory");
	struct order_item *item = &o->items[o->n];
	*item = (struct order_item){head_of(key), ORDER_WHOLE, number};
	if (n > 0) {
		char *p = o->keys + o->keys_n;

		item->tail = (uint32_t)o->keys_n;
		p[0] = (char)(key.n >> 8);
		p[1] = (char)key.n;
		memcpy(p + 2, key.p, key.n);
		o->keys_n += n;
		if (o->n == 0)
			o->common = key.n;
		const char *first = o->keys + 2;
		size_t same = 0;
		while (!o->any_whole && same < o->common && same < key.n && first[same] == key.p[same])
			same++;
		o->common = same;
	} else {
		o->any_whole = true;
	}
	o->n++;
	return 0;
}

/* What all keys begin with tells nothing: the heads begin behind it. */
static int skip_common(struct order *o)
{
	uint64_t seen = 0, *breath = o->n > BREATH ? &seen : NULL;

	if (o->any_whole)
		o->common = 0;
	for (uint32_t i = 0; i < o->n && o->common > 0; i++) {
		const char *p = o->keys + o->items[i].tail;
		size_t n = (size_t)(uint8_t)p[0] << 8 | (uint8_t)p[1];

		o->items[i].head = head_of(slice_skip(slice_make(p + 2, n), o->common));
		if (breathe(breath, 1) < 0)
			return -1;
	}
	return 0;
}

int order_sort(struct order *o, err *e)
{
	if (o->n < 2)
		return 0;
	struct order_item *tmp = malloc(o->n * sizeof *tmp);
	if (!tmp)
		return err_set(e, ERR_TEMP, "no memory");
	int rc = skip_common(o);
	if (rc == 0)
		rc = sort(o, o->items, tmp, o->n);
	free(tmp);
	return rc < 0 ? err_set(e, ERR_CANCELED, "the session is told to end") : 0;
}

void order_free(struct order *o)
{
	free(o->items);
	free(o->keys);
	*o = (struct order){0};
}

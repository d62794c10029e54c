#include "base/omap.h"
#include "base/hash.h"
#include <stdlib.h>

enum {
	LEVELS = 12,    /* one node in four goes a level up: good for 4^12 keys */
	STEP = 16,      /* pieces up to FINE bytes come in steps, */
	FINE = 1024,    /* above in powers of two */
	FINE_LOG = 10,  /* 2^FINE_LOG is FINE */
	PIECE_LOG = 40, /* and nothing larger at all */
	CLASSES = FINE / STEP + PIECE_LOG - FINE_LOG + 1,
	BLOCK = 65536, /* pieces are cut from blocks; one over a quarter of it is a block of its own */
	KEEP = 16,     /* blocks that a clear keeps: a group's worth, without new pages each time */
};

/* A skip list: no balancing to get wrong, and a node never moves. */
struct node {
	struct omap_node pub; /* first: the pointer that callers hold is the node's */
	struct node *prev;
	char *value; /* the piece that pub.value shows, or NULL */
	uint32_t levels;
	struct node *next[]; /* `levels` of them, then the key's bytes */
};

/* A piece that is not used now, in the list of its size. */
struct spare {
	struct spare *next;
};

struct block {
	struct block *next;
	_Alignas(STEP) char bytes[];
};

struct omap {
	struct block *blocks, *kept, *large; /* pieces come from the first of blocks */
	size_t cut;                          /* bytes of it that are cut off */
	size_t bytes, kept_n;
	struct node *head[LEVELS], *last;
	struct spare *spares[CLASSES];
	uint64_t dice;
	size_t count;
};

struct omap *omap_new(void)
{
	struct omap *m = calloc(1, sizeof *m);

	if (m)
		m->dice = random_u64() | 1;
	return m;
}

static void blocks_free(struct block *b)
{
	while (b) {
		struct block *next = b->next;

		free(b);
		b = next;
	}
}

void omap_free(struct omap *m)
{
	if (!m)
		return;
	blocks_free(m->blocks);
	blocks_free(m->kept);
	blocks_free(m->large);
	free(m);
}

void omap_clear(struct omap *m)
{
	while (m->blocks && m->kept_n < KEEP) {
		struct block *b = m->blocks;

		m->blocks = b->next;
		b->next = m->kept;
		m->kept = b;
		m->kept_n++;
	}
	blocks_free(m->blocks);
	blocks_free(m->large);
	m->blocks = m->large = NULL;
	m->bytes = m->cut = m->count = 0;
	memset(m->head, 0, sizeof m->head);
	memset(m->spares, 0, sizeof m->spares);
	m->last = NULL;
}

static void *block_add(struct omap *m, size_t size, struct block **list)
{
	struct block *b = list == &m->blocks ? m->kept : NULL;

	if (b) {
		m->kept = b->next;
		m->kept_n--;
	} else {
		b = malloc(sizeof *b + size);
		if (!b)
			return NULL;
	}
	b->next = *list;
	*list = b;
	m->bytes += size;
	return b->bytes;
}

/* size is a multiple of STEP, so all pieces are aligned. */
static void *piece_cut(struct omap *m, size_t size)
{
	char *p;

	if (size > BLOCK / 4)
		return block_add(m, size, &m->large);
	if (!m->blocks || size > BLOCK - m->cut) {
		if (!block_add(m, BLOCK, &m->blocks))
			return NULL;
		m->cut = 0;
	}
	p = m->blocks->bytes + m->cut;
	m->cut += size;
	return p;
}

/* The class of a piece of n bytes; *n becomes the size that all pieces of the class have. */
static size_t piece_class(size_t *n)
{
	size_t log = FINE_LOG;

	if (*n <= FINE) {
		*n = (*n + STEP - 1) / STEP * STEP;
		return *n / STEP;
	}
	while (log < PIECE_LOG && (size_t)1 << log < *n)
		log++;
	*n = (size_t)1 << log;
	return FINE / STEP + log - FINE_LOG;
}

static void *piece_take(struct omap *m, size_t n)
{
	size_t size = n, class = piece_class(&size);
	struct spare *s = m->spares[class];

	if (size < n)
		return NULL;
	if (!s)
		return piece_cut(m, size);
	m->spares[class] = s->next;
	return s;
}

static void piece_give(struct omap *m, void *p, size_t n)
{
	struct spare *s = p;
	size_t class = piece_class(&n);

	if (!s || n == 0)
		return;
	s->next = m->spares[class];
	m->spares[class] = s;
}

static size_t node_size(size_t levels, size_t key)
{
	return sizeof(struct node) + levels * sizeof(struct node *) + key;
}

/* xorshift64: heights need to be uneven, not secret. */
static uint32_t roll_levels(struct omap *m)
{
	uint32_t levels = 1;

	m->dice ^= m->dice << 13;
	m->dice ^= m->dice >> 7;
	m->dice ^= m->dice << 17;
	for (uint64_t d = m->dice; levels < LEVELS && (d & 3) == 0; d >>= 2)
		levels++;
	return levels;
}

/* The last node before key, or NULL. ret_path, where given, gets the same for each level. */
static struct node *find(const struct omap *m, slice key, struct node *ret_path[LEVELS])
{
	struct node *const *links = m->head;
	struct node *before = NULL;
	const struct node *seen = NULL; /* known to be >= key from the level above */

	for (size_t level = LEVELS; level-- > 0;) {
		struct node *next;

		while ((next = links[level]) && next != seen && slice_cmp(next->pub.key, key) < 0) {
			before = next;
			links = next->next;
		}
		seen = next;
		if (ret_path)
			ret_path[level] = before;
	}
	return before;
}

/* The link of this level that leads on from a node, or from the beginning. */
static struct node **link_of(struct omap *m, struct node *before, size_t level)
{
	return before ? &before->next[level] : &m->head[level];
}

static struct node *after(const struct omap *m, const struct node *before)
{
	return before ? before->next[0] : m->head[0];
}

static const struct omap_node *shown(const struct node *n)
{
	return n ? &n->pub : NULL;
}

/* A copy of the bytes in a piece of its own; an empty one needs none. False: out of memory. */
static bool value_set(struct omap *m, struct node *n, slice value)
{
	char *p = NULL;

	if (value.n) {
		p = piece_take(m, value.n);
		if (!p)
			return false;
		memcpy(p, value.p, value.n);
	}
	piece_give(m, n->value, n->pub.value.n);
	n->value = p;
	n->pub.value = slice_make(p, value.n);
	return true;
}

static bool node_add(struct omap *m, slice key, slice value, uint32_t flags, struct node *path[LEVELS])
{
	uint32_t levels = roll_levels(m);
	struct node *n = piece_take(m, node_size(levels, key.n));
	char *bytes;

	if (!n)
		return false;
	*n = (struct node){.pub.flags = flags, .prev = path[0], .levels = levels};
	if (!value_set(m, n, value)) {
		piece_give(m, n, node_size(levels, key.n));
		return false;
	}
	bytes = (char *)(n->next + levels);
	if (key.n)
		memcpy(bytes, key.p, key.n);
	n->pub.key = slice_make(bytes, key.n);
	for (size_t level = 0; level < levels; level++) {
		struct node **link = link_of(m, path[level], level);

		n->next[level] = *link;
		*link = n;
	}
	if (n->next[0])
		n->next[0]->prev = n;
	else
		m->last = n;
	m->count++;
	return true;
}

bool omap_put_flag(struct omap *m, slice key, slice value, uint32_t flags)
{
	struct node *path[LEVELS];
	struct node *n = after(m, find(m, key, path));

	if (!n || !slice_eq(n->pub.key, key))
		return node_add(m, key, value, flags, path);
	if (!value_set(m, n, value))
		return false;
	n->pub.flags = flags;
	return true;
}

bool omap_put(struct omap *m, slice key, slice value)
{
	return omap_put_flag(m, key, value, 0);
}

bool omap_del(struct omap *m, slice key)
{
	struct node *path[LEVELS];
	struct node *n = after(m, find(m, key, path));

	if (!n || !slice_eq(n->pub.key, key))
		return false;
	for (size_t level = 0; level < n->levels; level++)
		*link_of(m, path[level], level) = n->next[level];
	if (n->next[0])
		n->next[0]->prev = n->prev;
	else
		m->last = n->prev;
	m->count--;
	piece_give(m, n->value, n->pub.value.n);
	piece_give(m, n, node_size(n->levels, n->pub.key.n));
	return true;
}

const struct omap_node *omap_get(const struct omap *m, slice key)
{
	const struct node *n = after(m, find(m, key, NULL));

	return n && slice_eq(n->pub.key, key) ? &n->pub : NULL;
}

const struct omap_node *omap_first(const struct omap *m)
{
	return shown(m->head[0]);
}

const struct omap_node *omap_last(const struct omap *m)
{
	return shown(m->last);
}

const struct omap_node *omap_ge(const struct omap *m, slice key)
{
	return shown(after(m, find(m, key, NULL)));
}

const struct omap_node *omap_before(const struct omap *m, slice key)
{
	return shown(find(m, key, NULL));
}

const struct omap_node *omap_next(const struct omap_node *at)
{
	return shown(((const struct node *)at)->next[0]);
}

const struct omap_node *omap_prev(const struct omap_node *at)
{
	return shown(((const struct node *)at)->prev);
}

size_t omap_count(const struct omap *m)
{
	return m->count;
}

size_t omap_bytes(const struct omap *m)
{
	return m->bytes;
}

#include "queue/pool.h"
#include "base/hash.h"

static struct pool_head *head_of(const struct pool *p, uint32_t i)
{
	return pool_at(p, i);
}

static uint32_t *chain_of(const struct pool *p, uint64_t key)
{
	return &p->chains[hash_keyed(p->seed, slice_make(&key, sizeof key)) & p->mask];
}

bool pool_start(struct pool *p, size_t size, uint32_t cap)
{
	*p = (struct pool){.size = size, .touched = 1};
	random_bytes(p->seed, sizeof p->seed);
	return pool_grow(p, cap);
}

bool pool_grow(struct pool *p, uint32_t cap)
{
	uint32_t chains = 16;

	if (cap <= p->cap)
		return true;
	if (cap >= UINT32_MAX / 2)
		return false;
	while (chains < cap)
		chains *= 2;
	char *things = calloc((size_t)cap + 1, p->size);
	uint32_t *heads = calloc(chains, sizeof *heads);
	if (!things || !heads) {
		free(things);
		free(heads);
		return false;
	}
	if (p->things)
		memcpy(things, p->things, (size_t)p->touched * p->size);
	free(p->things);
	free(p->chains);
	p->things = things;
	p->chains = heads;
	p->mask = chains - 1;
	p->cap = cap;
	for (uint32_t i = pool_next(p, 0); i; i = pool_next(p, i)) {
		uint32_t *chain = chain_of(p, head_of(p, i)->key);
		head_of(p, i)->next = *chain;
		*chain = i;
	}
	return true;
}

void pool_end(struct pool *p)
{
	free(p->things);
	free(p->chains);
	*p = (struct pool){0};
}

uint32_t pool_find(const struct pool *p, uint64_t key, uint32_t after)
{
	uint32_t i = after ? head_of(p, after)->next : *chain_of(p, key);

	while (i && head_of(p, i)->key != key)
		i = head_of(p, i)->next;
	return i;
}

uint32_t pool_add(struct pool *p, uint64_t key)
{
	uint32_t i = p->free;

	if (p->used == p->cap)
		return 0;
	if (i)
		p->free = head_of(p, i)->next;
	else
		i = p->touched++;
	uint32_t *chain = chain_of(p, key);
	memset(pool_at(p, i), 0, p->size);
	*head_of(p, i) = (struct pool_head){key, *chain, true};
	*chain = i;
	p->used++;
	return i;
}

void pool_remove(struct pool *p, uint32_t i)
{
	struct pool_head *h = head_of(p, i);
	uint32_t *at = chain_of(p, h->key);

	while (*at != i)
		at = &head_of(p, *at)->next;
	*at = h->next;
	h->live = false;
	h->next = p->free;
	p->free = i;
	p->used--;
}

uint32_t pool_next(const struct pool *p, uint32_t i)
{
	for (i++; i < p->touched; i++) {
		if (head_of(p, i)->live)
			return i;
	}
	return 0;
}

#include "roles/outbound/pool.h"
#include "base/hash.h"
#include "io/loop.h"
#include "limits.h"
#include <stdlib.h>

#define SLOTS 512u /* of the table of servers; a power of two */

struct waiter { /* lies on the stack of who waits */
	struct waiter *next;
	struct fiber *fiber;
	const struct out_kind *kind;
	struct out_conn *given;
	bool place;
};

struct out_server {
	struct out_server *next; /* in its slot */
	struct waiter *waiters;
	size_t open; /* connections and places given out */
	uint64_t down_until;
	uint64_t hash;
	uint16_t port;
	size_t name_n;
	char name[];
};

struct out_pool {
	struct out_server *slots[SLOTS];
	struct out_conn *first, *last; /* idle: the longest first */
	size_t open, idle, waiting, servers;
	bool draining;
};

struct out_pool *out_pool_new(void)
{
	return calloc(1, sizeof(struct out_pool));
}

/* ---- servers ---- */

static uint64_t hash_of(slice name, uint16_t port)
{
	return hash_seeded(name) ^ port;
}

static struct out_server *find(const struct out_pool *p, slice name, uint16_t port)
{
	uint64_t hash = hash_of(name, port);
	struct out_server *s = p->slots[hash % SLOTS];

	while (s && (s->hash != hash || s->port != port || !slice_eq(slice_make(s->name, s->name_n), name)))
		s = s->next;
	return s;
}

static struct out_server *find_or_add(struct out_pool *p, slice name, uint16_t port)
{
	struct out_server *s = find(p, name, port);

	if (s)
		return s;
	s = calloc(1, sizeof *s + name.n);
	if (!s)
		return NULL;
	s->hash = hash_of(name, port);
	s->port = port;
	s->name_n = name.n;
	memcpy(s->name, name.p, name.n);
	s->next = p->slots[s->hash % SLOTS];
	p->slots[s->hash % SLOTS] = s;
	p->servers++;
	return s;
}

/* Drops the servers of a slot that nothing is known of any more. */
static void forget(struct out_pool *p, struct out_server **at)
{
	while (*at) {
		struct out_server *s = *at;

		if (s->open > 0 || s->waiters || (s->down_until > loop_now() && !p->draining)) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		free(s);
		p->servers--;
	}
}

void out_server_down(struct out_server *s, uint64_t until)
{
	s->down_until = until;
}

bool out_pool_is_down(const struct out_pool *p, slice name, uint16_t port)
{
	const struct out_server *s = find(p, name, port);

	return s && s->down_until > loop_now();
}

/* ---- idle connections ---- */

static void unlist(struct out_pool *p, struct out_conn *c)
{
	*(c->prev ? &c->prev->next : &p->first) = c->next;
	*(c->next ? &c->next->prev : &p->last) = c->prev;
	c->next = c->prev = NULL;
	p->idle--;
}

static void keep(struct out_pool *p, struct out_conn *c)
{
	c->idle_since = loop_now();
	c->prev = p->last;
	*(p->last ? &p->last->next : &p->first) = c;
	p->last = c;
	p->idle++;
}

void out_conn_free(struct out_conn *c)
{
	free(c);
}

static void say_goodbye(void *arg)
{
	struct out_conn *c = arg;

	smtp_client_quit(c->client);
	out_conn_free(c);
}

/* A polite end needs a fiber: it waits for the answer to QUIT. */
static void close_conn(struct out_conn *c)
{
	if (fiber_start("quit", say_goodbye, c))
		return;
	smtp_client_drop(c->client);
	out_conn_free(c);
}

static bool same_kind(const struct out_kind *a, const struct out_kind *b)
{
	return a->tls == b->tls && a->demand == b->demand && a->direct == b->direct && a->route == b->route &&
	       strcmp(a->source, b->source) == 0;
}

/* The one used last is the likeliest to live. */
static struct out_conn *idle_for(
	const struct out_pool *p, const struct out_server *s, const struct out_kind *k)
{
	struct out_conn *c = p->last;

	while (c && (c->server != s || (k && !same_kind(&c->kind, k))))
		c = c->prev;
	return c;
}

/* ---- places ---- */

static struct waiter *next_waiter(struct out_pool *p, struct out_server *s)
{
	struct waiter *w = s->waiters;

	s->waiters = w->next;
	w->next = NULL;
	p->waiting--;
	return w;
}

/* The place of a connection that is no more goes to who waits longest. */
static void pass_place(struct out_pool *p, struct out_server *s)
{
	if (s->waiters) {
		struct waiter *w = next_waiter(p, s);

		w->place = true;
		fiber_wake(w->fiber);
		return;
	}
	s->open--;
	p->open--;
}

static void close_idle(struct out_pool *p, struct out_conn *c)
{
	struct out_server *s = c->server;

	unlist(p, c);
	close_conn(c);
	pass_place(p, s);
}

static void unqueue(struct out_pool *p, struct out_server *s, const struct waiter *w)
{
	struct waiter **at = &s->waiters;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	p->waiting--;
}

static enum out_got wait_turn(struct out_pool *p, struct out_server *s, const struct out_kind *kind,
	uint64_t deadline, struct out_conn **ret)
{
	struct waiter me = {.fiber = fiber_self(), .kind = kind}, **end = &s->waiters;
	int rc = 0;

	while (*end)
		end = &(*end)->next;
	*end = &me;
	p->waiting++;
	while (!me.place && !me.given && rc == 0)
		rc = fiber_park(deadline);
	if (me.given)
		*ret = me.given;
	if (me.given || me.place)
		return me.given ? OUT_CONNECTION : OUT_PLACE;
	unqueue(p, s, &me);
	return fiber_canceled() ? OUT_CANCELED : OUT_BUSY;
}

/* An idle connection that still lives, or NULL. */
static struct out_conn *take_idle(struct out_pool *p, struct out_server *s, const struct out_kind *kind)
{
	struct out_conn *c;

	while ((c = idle_for(p, s, kind)) != NULL) {
		unlist(p, c);
		if (smtp_client_usable(c->client))
			return c;
		smtp_client_drop(c->client);
		out_conn_free(c);
		pass_place(p, s);
	}
	return NULL;
}

enum out_got out_pool_take(struct out_pool *p, slice name, uint16_t port, const struct out_kind *kind,
	size_t most, uint64_t deadline, struct out_server **ret_server, struct out_conn **ret)
{
	struct out_server *s = find_or_add(p, name, port);

	if (!s || p->draining)
		return OUT_BUSY;
	s->open++; /* holds it while a look at a connection parks */
	struct out_conn *c = s->waiters ? NULL : take_idle(p, s, kind);
	s->open--;
	*ret_server = s;
	if (c) {
		*ret = c;
		return OUT_CONNECTION;
	}
	if (s->open >= most && !s->waiters && (c = idle_for(p, s, NULL)) != NULL)
		close_idle(p, c); /* of another kind: it makes room */
	if (s->open >= most || s->waiters)
		return wait_turn(p, s, kind, deadline, ret);
	if (p->open >= LIMIT_CONNECTIONS && p->first)
		close_idle(p, p->first);
	s->open++;
	p->open++;
	return OUT_PLACE;
}

void out_pool_give(struct out_pool *p, struct out_conn *c)
{
	struct out_server *s = c->server;
	bool good = !p->draining && smtp_client_transactions(c->client) < LIMIT_HOST_MESSAGES &&
		    smtp_client_usable(c->client);

	c->reused = true;
	if (good && s->waiters && same_kind(s->waiters->kind, &c->kind)) {
		struct waiter *w = next_waiter(p, s);

		w->given = c;
		fiber_wake(w->fiber);
		return;
	}
	if (good && !s->waiters && !p->draining) {
		keep(p, c);
		return;
	}
	close_conn(c);
	pass_place(p, s);
}

struct out_server *out_pool_renew(struct out_conn *c)
{
	struct out_server *s = c->server;

	smtp_client_drop(c->client);
	out_conn_free(c);
	return s;
}

void out_pool_leave(struct out_pool *p, struct out_server *s)
{
	pass_place(p, s);
}

/* ---- looking after it ---- */

bool out_pool_sweep(struct out_pool *p)
{
	while (p->first && loop_now() - p->first->idle_since >= LIMIT_HOST_IDLE_MS)
		close_idle(p, p->first);
	for (size_t i = 0; i < SLOTS; i++)
		forget(p, &p->slots[i]);
	return p->servers > 0;
}

void out_pool_drain(struct out_pool *p)
{
	p->draining = true;
	while (p->first)
		close_idle(p, p->first);
}

void out_pool_stats(const struct out_pool *p, struct out_pool_stats *ret)
{
	*ret = (struct out_pool_stats){p->open, p->idle, p->waiting};
}

void out_pool_free(struct out_pool *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		while (p->slots[i]) {
			struct out_server *s = p->slots[i];

			p->slots[i] = s->next;
			free(s);
		}
	free(p);
}

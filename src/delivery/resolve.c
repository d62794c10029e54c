#include "delivery/resolve.h"
#include "limits.h"
#include "mail/address.h"
#include "mailbox/address.h"
#include "mailbox/forward.h"

struct step { /* an address that waits to be looked up */
	slice local, domain;
	slice via; /* the address here that led to it; empty: a recipient of the message */
	unsigned depth;
};

struct here { /* a step that leads to an address of ours */
	const struct step *step;
	const struct address_canonical *address;
	const struct address_found *found;
};

struct expansion { /* of one recipient */
	struct resolve *r;
	size_t original;
	struct step *steps;
	size_t n, cap;
	unsigned seen[DELIVERY_TEMP + 1]; /* targets by result */
};

static int no_memory(err *e)
{
	return err_set(e, ERR_TEMP, "out of memory while resolving recipients");
}

/* Room for one more in an array of the arena. */
static bool room(struct arena *a, void **array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	size_t more = *cap ? *cap * 2 : 4;
	void *p = arena_alloc(a, more, size, _Alignof(max_align_t));
	if (!p)
		return false;
	if (n)
		memcpy(p, *array, n * size);
	*array = p;
	*cap = more;
	return true;
}

slice resolve_address_text(struct arena *a, slice local, slice domain)
{
	struct buf b = BUF_INIT(2048);
	mail_local_write(&b, local);
	if (domain.n) {
		buf_add_c(&b, '@');
		buf_add(&b, domain);
	}
	slice s = b.failed ? (slice){0} : arena_copy(a, buf_slice(&b));
	buf_free(&b);
	return s;
}

/* account 0: remote. */
static int add_target(
	struct expansion *x, const struct step *s, uint32_t account, enum delivery_result result, err *e)
{
	struct resolve *r = x->r;
	slice address = {0};
	if (account == 0 || result != DELIVERY_OK) {
		address = resolve_address_text(r->arena, s->local, s->domain);
		if (!address.p)
			return no_memory(e);
	}
	x->seen[result]++;
	for (size_t i = 0; i < r->n; i++) {
		const struct target *t = &r->targets[i];
		if (account ? t->account == account : t->account == 0 && slice_ieq(t->address, address))
			return 0;
	}
	if (!room(r->arena, (void **)&r->targets, r->n, &r->cap, sizeof *r->targets))
		return no_memory(e);
	r->targets[r->n++] =
		(struct target){account, address, account ? (slice){0} : s->via, x->original, result};
	return 0;
}

/* Nobody is there. What an alias names is remembered: its sender is told when others took the message. */
static int add_refused(struct expansion *x, const struct step *s, enum delivery_result result, err *e)
{
	if (s->depth > 0)
		return add_target(x, s, 0, result, e);
	x->seen[result]++;
	return 0;
}

static int add_remote(struct expansion *x, const struct step *s, err *e)
{
	if (s->domain.n == 0)
		return add_refused(x, s, DELIVERY_UNKNOWN, e);
	/* A person from outside may reach the outside only by way of somebody's alias or forward. */
	if (s->depth == 0 && !x->r->may_relay)
		return add_refused(x, s, DELIVERY_RELAY, e);
	return add_target(x, s, 0, DELIVERY_OK, e);
}

/* The same row again on this way: a circle, or two ways to one; either way it was followed once. */
static bool visited(struct resolve *r, uint32_t domain, slice local)
{
	for (size_t i = 0; i < r->n_visits; i++)
		if (r->visits[i].domain == domain && slice_eq(r->visits[i].local, local))
			return true;
	return false;
}

/* The message has been there, as it says itself, and was sent on. */
static bool came_back(const struct resolve *r, slice address)
{
	for (size_t i = 0; i < r->n_delivered_to; i++)
		if (slice_eq(r->delivered_to[i], address))
			return true;
	return false;
}

/* The targets of the row `local` become steps. 0, 1: too many, 2: they may not be followed, -1. */
static int follow(struct expansion *x, const struct here *h, slice local, slice targets, err *e)
{
	struct resolve *r = x->r;
	slice target, shown = local.n ? local : h->address->local; /* a catch-all has no name of its own */
	slice domain = h->address->domain.n ? h->address->domain : h->found->domain.name;
	slice via = resolve_address_text(r->arena, shown, domain);
	if (!via.p)
		return no_memory(e);
	if (came_back(r, via) || visited(r, h->found->domain.id, local))
		return 2;
	if (h->step->depth == LIMIT_ALIAS_DEPTH || r->n_visits == LIMIT_ALIAS_VISITS)
		return 1;
	local = arena_copy(r->arena, local);
	if (!local.p)
		return no_memory(e);
	r->visits[r->n_visits++] = (struct visit){h->found->domain.id, local};
	while (address_target(&targets, &target)) {
		struct step next = {.via = via, .depth = h->step->depth + 1};
		if (x->n == LIMIT_EXPANDED)
			return 1;
		if (!address_split(target, &next.local, &next.domain))
			continue;
		if (!room(r->arena, (void **)&x->steps, x->n, &x->cap, sizeof *x->steps))
			return no_memory(e);
		x->steps[x->n++] = next;
	}
	return 0;
}

static int add_alias(struct expansion *x, const struct here *h, err *e)
{
	if (!h->found->domain.enabled)
		return add_refused(x, h->step, DELIVERY_DISABLED, e);
	int rc = follow(x, h, h->found->row, h->found->targets, e);
	if (rc != 2)
		return rc;
	x->seen[DELIVERY_LOOP]++;
	return 0;
}

static int add_mailbox(struct expansion *x, const struct here *h, const struct account_row *row, err *e)
{
	bool full = row->quota_bytes &&
		    (row->used_bytes >= row->quota_bytes || x->r->size > row->quota_bytes - row->used_bytes);
	return add_target(x, h->step, row->id, full ? DELIVERY_OVER_QUOTA : DELIVERY_OK, e);
}

/* A forward that goes too far or round in circles takes nothing from who keeps his mail. */
static int add_forward(struct expansion *x, const struct here *h, const struct account_row *row, err *e)
{
	struct account_forward f = {.keep = true};
	if (forward_lookup(x->r->view, row->id, &f, e) < 0)
		return -1;
	if (f.keep && add_mailbox(x, h, row, e) < 0)
		return -1;
	int rc = follow(x, h, row->localpart, f.targets, e);
	if (rc <= 0 || (rc == 1 && !f.keep))
		return rc;
	if (!f.keep)
		x->seen[DELIVERY_LOOP]++;
	return 0;
}

static int add_account(struct expansion *x, const struct here *h, err *e)
{
	struct account_row row = {.id = 0};
	int rc = account_lookup(x->r->view, h->found->account, &row, e);
	if (rc < 0)
		return -1;
	if (rc == 0 || row.removed)
		return add_target(x, h->step, h->found->account, DELIVERY_UNKNOWN, e);
	if (!row.enabled || !h->found->domain.enabled)
		return add_target(x, h->step, row.id, DELIVERY_DISABLED, e);
	return row.forwards ? add_forward(x, h, &row, e) : add_mailbox(x, h, &row, e);
}

/* 0, 1: too deep or too many, -1. */
static int take_step(struct expansion *x, const struct step *s, err *e)
{
	struct address_canonical a;
	struct address_found f;
	struct here h = {s, &a, &f};
	if (!address_canonical(s->local, s->domain, &a))
		return add_refused(x, s, DELIVERY_UNKNOWN, e);
	if (address_lookup(x->r->view, &a, &f, e) < 0)
		return -1;
	switch (f.kind) {
	case FOUND_ACCOUNT:
		return add_account(x, &h, e);
	case FOUND_ALIAS:
		return add_alias(x, &h, e);
	case FOUND_REMOTE:
		return add_remote(x, s, e);
	case FOUND_NOBODY:
		break;
	}
	return add_refused(x, s, f.domain.enabled ? DELIVERY_UNKNOWN : DELIVERY_DISABLED, e);
}

int resolve_recipient(
	struct resolve *r, slice local, slice domain, size_t original, enum delivery_result *ret, err *e)
{
	/* What is said when no target takes it, by how much hope it leaves. */
	static const enum delivery_result order[] = {DELIVERY_OK, DELIVERY_TEMP, DELIVERY_OVER_QUOTA,
		DELIVERY_DISABLED, DELIVERY_RELAY, DELIVERY_LOOP, DELIVERY_UNKNOWN};
	struct expansion x = {.r = r, .original = original};
	struct step first = {.local = local, .domain = domain};
	size_t mark = r->n;
	r->n_visits = 0;
	int rc = take_step(&x, &first, e);
	for (size_t i = 0; i < x.n && rc == 0; i++) {
		struct step next = x.steps[i]; /* the array may move */
		rc = take_step(&x, &next, e);
		if (r->n > LIMIT_EXPANDED)
			rc = 1;
	}
	if (rc < 0)
		return -1;
	*ret = DELIVERY_UNKNOWN;
	if (rc == 1) {
		r->n = mark;
		*ret = DELIVERY_LOOP;
		return 0;
	}
	for (size_t i = 0; i < COUNT_OF(order); i++)
		if (x.seen[order[i]]) {
			*ret = order[i];
			break;
		}
	return 0;
}

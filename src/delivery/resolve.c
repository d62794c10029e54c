#include "delivery/resolve.h"
#include "limits.h"
#include "mail/address.h"
#include "mailbox/address.h"

struct step { /* an address that waits to be looked up */
	slice local, domain;
	unsigned depth;
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

static int add_target(
	struct expansion *x, uint32_t account, slice address, enum delivery_result result, err *e)
{
	struct resolve *r = x->r;
	x->seen[result]++;
	for (size_t i = 0; i < r->n; i++) {
		const struct target *t = &r->targets[i];
		if (account ? t->account == account : t->account == 0 && slice_ieq(t->address, address))
			return 0;
	}
	if (!room(r->arena, (void **)&r->targets, r->n, &r->cap, sizeof *r->targets))
		return no_memory(e);
	r->targets[r->n++] = (struct target){account, address, x->original, result};
	return 0;
}

static int add_account(
	struct expansion *x, const struct step *s, uint32_t account, bool domain_enabled, err *e)
{
	struct account_row row = {.id = 0};
	enum delivery_result result = DELIVERY_OK;
	slice address = {0};
	int rc = account_lookup(x->r->view, account, &row, e);
	if (rc < 0)
		return -1;
	if (rc == 0 || row.removed)
		result = DELIVERY_UNKNOWN;
	else if (!row.enabled || !domain_enabled)
		result = DELIVERY_DISABLED;
	else if (row.quota_bytes &&
		 (row.used_bytes >= row.quota_bytes || x->r->size > row.quota_bytes - row.used_bytes))
		result = DELIVERY_OVER_QUOTA;
	if (result != DELIVERY_OK) {
		address = resolve_address_text(x->r->arena, s->local, s->domain);
		if (!address.p)
			return no_memory(e);
	}
	return add_target(x, account, address, result, e);
}

/* Nobody is there. What an alias names is remembered: its sender is told when others took the message. */
static int add_refused(struct expansion *x, const struct step *s, enum delivery_result result, err *e)
{
	if (s->depth == 0) {
		x->seen[result]++;
		return 0;
	}
	slice address = resolve_address_text(x->r->arena, s->local, s->domain);
	return address.p ? add_target(x, 0, address, result, e) : no_memory(e);
}

static int add_remote(struct expansion *x, const struct step *s, err *e)
{
	if (s->domain.n == 0)
		return add_refused(x, s, DELIVERY_UNKNOWN, e);
	/* A person from outside may reach the outside only by way of somebody's alias. */
	if (s->depth == 0 && !x->r->may_relay)
		return add_refused(x, s, DELIVERY_RELAY, e);
	slice address = resolve_address_text(x->r->arena, s->local, s->domain);
	return address.p ? add_target(x, 0, address, DELIVERY_OK, e) : no_memory(e);
}

/* The same alias again on this way: a circle, or two ways to one alias; either way it was followed once. */
static bool visited(struct resolve *r, uint32_t domain, slice local)
{
	for (size_t i = 0; i < r->n_visits; i++)
		if (r->visits[i].domain == domain && slice_eq(r->visits[i].local, local))
			return true;
	return false;
}

static int follow(struct expansion *x, const struct step *s, const struct address_found *f, err *e)
{
	struct resolve *r = x->r;
	slice targets = f->targets, target;
	if (!f->domain.enabled)
		return add_refused(x, s, DELIVERY_DISABLED, e);
	if (visited(r, f->domain.id, f->row)) {
		x->seen[DELIVERY_LOOP]++;
		return 0;
	}
	if (s->depth == LIMIT_ALIAS_DEPTH || r->n_visits == LIMIT_ALIAS_VISITS)
		return 1;
	slice local = arena_copy(r->arena, f->row);
	if (!local.p)
		return no_memory(e);
	r->visits[r->n_visits++] = (struct visit){f->domain.id, local};
	while (address_target(&targets, &target)) {
		struct step next = {.depth = s->depth + 1};
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

/* 0, 1: too deep or too many, -1. */
static int take_step(struct expansion *x, const struct step *s, err *e)
{
	struct address_canonical a;
	struct address_found f;
	if (!address_canonical(s->local, s->domain, &a))
		return add_refused(x, s, DELIVERY_UNKNOWN, e);
	if (address_lookup(x->r->view, &a, &f, e) < 0)
		return -1;
	switch (f.kind) {
	case FOUND_ACCOUNT:
		return add_account(x, s, f.account, f.domain.enabled, e);
	case FOUND_ALIAS:
		return follow(x, s, &f, e);
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
	struct step first = {local, domain, 0};
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

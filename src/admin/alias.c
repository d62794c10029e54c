/* alias.* */
#include "admin/call.h"
#include "limits.h"
#include "mailbox/account.h"

/* An alias is named by its address; "@example.com" is the catch-all of the domain. */
static int alias_split(slice address, slice *ret_local, slice *ret_domain, err *e)
{
	if (address.n > 1 && address.p[0] == '@') {
		*ret_local = S("");
		*ret_domain = slice_skip(address, 1);
		return 0;
	}
	return admin_address_split(address, ret_local, ret_domain, e);
}

static int alias_put(struct admin_call *c, struct store_snap *snap, struct alias_row a, json_t *to, err *e)
{
	json_t *targets = json_array(), *owners = json_array();
	slice target, address;
	uint32_t owner;

	admin_put_text(to, "alias",
		arena_fmt(c->arena, "%.*s@%.*s", (int)a.localpart.n, a.localpart.p, (int)a.domain.n,
			a.domain.p));
	json_object_set_new(to, "targets", targets);
	json_object_set_new(to, "owners", owners);
	while (alias_target(&a, &target))
		json_array_append_new(targets, json_stringn(target.p, target.n));
	while (alias_owner(&a, &owner)) {
		int rc = account_address(snap, owner, c->arena, &address, e);
		if (rc < 0)
			return -1;
		if (rc == 1) /* an owner that is gone owns nothing */
			json_array_append_new(owners, json_stringn(address.p, address.n));
	}
	return 0;
}

struct listing {
	struct admin_call *c;
	struct store_snap *snap;
	json_t *list;
	slice only, after; /* after: the address of the last row of the page before */
	slice after_domain, after_local;
	bool more;
	int rc;
	err *e;
};

static bool alias_see(void *arg, const struct alias_row *a)
{
	struct listing *l = arg;

	if (slice_eq(a->domain, l->after_domain) && slice_cmp(a->localpart, l->after_local) <= 0)
		return true;
	if (json_array_size(l->list) == ADMIN_PAGE) {
		l->more = true;
		return false;
	}
	json_t *one = json_object();
	l->rc = alias_put(l->c, l->snap, *a, one, l->e);
	json_array_append_new(l->list, one);
	return l->rc == 0;
}

static bool domain_see(void *arg, const struct domain_row *d)
{
	struct listing *l = arg;

	if (l->after.n && slice_cmp(d->name, l->after_domain) < 0)
		return true;
	if (alias_each(l->snap, d->name, alias_see, l, l->e) < 0)
		l->rc = -1;
	return l->rc == 0 && !l->more;
}

static int list_in(struct listing *l, err *e)
{
	if (l->after.n && alias_split(l->after, &l->after_local, &l->after_domain, e) < 0)
		return -1;
	if (!l->only.n)
		return domain_each(l->snap, domain_see, l, e) < 0 ? -1 : l->rc;
	struct domain_row d;
	int rc = domain_find(l->snap, l->only, &d, e);
	if (rc <= 0)
		return rc < 0 ? -1
			      : err_set(e, ERR_MISSING, "there is no domain \"%" SLICE_FMT "\"",
					SLICE_ARG(l->only));
	domain_see(l, &d);
	return l->rc;
}

int admin_alias_list(struct admin_call *c, err *e)
{
	struct store_snap snap;
	struct listing l = {.c = c,
		.snap = &snap,
		.list = json_array(),
		.only = admin_param_text(c, "domain"),
		.after = admin_param_text(c, "after"),
		.e = e};

	json_object_set_new(c->result, "aliases", l.list);
	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = list_in(&l, e);
	store_snap_end(&snap);
	if (rc == 0 && l.more) {
		const json_t *last = json_array_get(l.list, json_array_size(l.list) - 1);
		json_object_set(c->result, "next", json_object_get(last, "alias"));
	}
	return rc;
}

/* 1 found, 0 not there, -1; when found and asked for, the row goes into the result. */
static int look(struct admin_call *c, slice local, slice domain, bool show, err *e)
{
	struct store_snap snap;
	struct alias_row a;

	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = alias_find(&snap, local, domain, &a, e);
	if (rc == 1 && show && alias_put(c, &snap, a, c->result, e) < 0)
		rc = -1;
	store_snap_end(&snap);
	return rc;
}

static int show(struct admin_call *c, slice local, slice domain, err *e)
{
	int rc = look(c, local, domain, true, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return err_set(e, ERR_MISSING,
		"there is no alias \"%" SLICE_FMT "@%" SLICE_FMT "\"; see: posthouse alias list",
		SLICE_ARG(local), SLICE_ARG(domain));
}

int admin_alias_show(struct admin_call *c, err *e)
{
	slice local, domain;

	if (alias_split(admin_param_text(c, "alias"), &local, &domain, e) < 0)
		return -1;
	return show(c, local, domain, e);
}

/* Texts of the request, or the ones of the row that stands in the result already. */
static struct slices texts_or_old(const struct admin_call *c, const char *name)
{
	struct admin_call old = *c;

	if (!admin_param_has(c, name))
		old.params = c->result;
	return admin_param_texts(&old, name);
}

static int write_alias(struct admin_call *c, slice local, slice domain, err *e)
{
	struct slices targets = texts_or_old(c, "targets"), names = texts_or_old(c, "owners");
	uint32_t *owners = arena_new_n(c->arena, uint32_t, names.n + 1);
	struct store_snap snap;
	struct account_row a;
	int rc = 0;

	if (!owners)
		return err_set(e, ERR_TEMP, "out of memory");
	if (targets.n == 0)
		return err_set(e, ERR_SYNTAX, "an alias needs at least one target");
	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	for (size_t i = 0; i < names.n && rc == 0; i++) {
		int found = account_by_login(&snap, names.v[i], &a, e);
		owners[i] = a.id;
		if (found < 0)
			rc = -1;
		else if (found == 0)
			rc = err_set(e, ERR_MISSING, "the owner \"%" SLICE_FMT "\" is no account",
				SLICE_ARG(names.v[i]));
	}
	store_snap_end(&snap);
	if (rc < 0)
		return -1;
	return alias_set(c->store, local, domain, targets.v, targets.n, owners, names.n, e);
}

int admin_alias_add(struct admin_call *c, err *e)
{
	slice local, domain;

	if (alias_split(admin_param_text(c, "alias"), &local, &domain, e) < 0)
		return -1;
	int there = look(c, local, domain, false, e);
	if (there != 0)
		return there < 0 ? -1
				 : err_set(e, ERR_EXISTS,
					   "the alias exists already; change it with: posthouse alias set");
	if (write_alias(c, local, domain, e) < 0)
		return -1;
	return show(c, local, domain, e);
}

int admin_alias_set(struct admin_call *c, err *e)
{
	slice local, domain;

	if (alias_split(admin_param_text(c, "alias"), &local, &domain, e) < 0)
		return -1;
	if (show(c, local, domain, e) < 0 || write_alias(c, local, domain, e) < 0)
		return -1;
	return show(c, local, domain, e);
}

int admin_alias_remove(struct admin_call *c, err *e)
{
	slice local, domain;

	if (alias_split(admin_param_text(c, "alias"), &local, &domain, e) < 0)
		return -1;
	if (show(c, local, domain, e) < 0)
		return -1;
	return admin_param_bool(c, "dry_run", false) ? 0 : alias_remove(c->store, local, domain, e);
}

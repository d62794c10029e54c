/* domain.* */
#include "admin/call.h"
#include "limits.h"
#include "mailbox/account.h"

/* The block of the file that holds this domain, or NULL. */
static const struct settings_domain *in_file(const struct settings *s, slice name)
{
	for (size_t i = 0; i < s->domains_n; i++) {
		if (slice_eq(s->domains[i].name, name))
			return &s->domains[i];
	}
	return NULL;
}

static const struct settings_domain *pinned(const struct admin_call *c, slice name)
{
	char canonical[256];
	slice whole;

	return domain_canonical(name, canonical, &whole)
		       ? in_file(c->session->ops->settings(c->session->ctx), whole)
		       : NULL;
}

static int pinned_error(const struct settings_domain *d, const char *what, err *e)
{
	return err_set(e, ERR_DENIED, "%s at %" SLICE_FMT ":%u; change it there, then reload", what,
		SLICE_ARG(d->file), d->line);
}

static void domain_put(const struct admin_call *c, const struct domain_row *d, json_t *to)
{
	const struct settings_domain *file = pinned(c, d->name);

	admin_put_text(to, "domain", d->name);
	admin_put_bool(to, "enabled", d->enabled);
	admin_put_text(to, "from", file ? S("file") : S("store"));
	admin_put_time(to, "created", d->created_us);
}

struct listing {
	struct admin_call *c;
	json_t *list;
	slice after;
	bool more;
};

static bool list_see(void *arg, const struct domain_row *d)
{
	struct listing *l = arg;

	if (l->after.n && slice_cmp(d->name, l->after) <= 0)
		return true;
	if (json_array_size(l->list) == ADMIN_PAGE) {
		l->more = true;
		return false;
	}
	json_t *one = json_object();
	domain_put(l->c, d, one);
	json_array_append_new(l->list, one);
	return true;
}

int admin_domain_list(struct admin_call *c, err *e)
{
	struct store_snap snap;
	struct listing l = {c, json_array(), admin_param_text(c, "after"), false};

	json_object_set_new(c->result, "domains", l.list);
	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = domain_each(&snap, list_see, &l, e);
	store_snap_end(&snap);
	if (rc == 0 && l.more) {
		const json_t *last = json_array_get(l.list, json_array_size(l.list) - 1);
		json_object_set(c->result, "next", json_object_get(last, "domain"));
	}
	return rc;
}

struct counting {
	uint32_t domain;
	uint64_t n;
};

static bool account_count(void *arg, const struct account_row *a)
{
	struct counting *k = arg;

	k->n += a->domain == k->domain;
	return true;
}

static bool alias_count(void *arg, const struct alias_row *a)
{
	struct counting *k = arg;

	k->n += a->localpart.n > 0;
	return true;
}

static int missing(slice name, err *e)
{
	return err_set(e, ERR_MISSING, "there is no domain \"%" SLICE_FMT "\"; see: posthouse domain list",
		SLICE_ARG(name));
}

static int show_in(struct admin_call *c, struct store_snap *snap, slice name, err *e)
{
	struct domain_row d;
	struct alias_row all;
	struct counting accounts = {0}, aliases = {0};
	slice target;
	json_t *list = json_array();

	json_object_set_new(c->result, "catchall", list);
	int rc = domain_find(snap, name, &d, e);
	if (rc <= 0)
		return rc < 0 ? -1 : missing(name, e);
	domain_put(c, &d, c->result);
	accounts.domain = d.id;
	if (account_each(snap, 0, account_count, &accounts, e) < 0 ||
		alias_each(snap, name, alias_count, &aliases, e) < 0)
		return -1;
	admin_put_number(c->result, "accounts", accounts.n);
	admin_put_number(c->result, "aliases", aliases.n);
	rc = alias_find(snap, S(""), name, &all, e);
	while (rc == 1 && alias_target(&all, &target))
		json_array_append_new(list, json_stringn(target.p, target.n));
	return rc < 0 ? -1 : 0;
}

int admin_domain_show(struct admin_call *c, err *e)
{
	struct store_snap snap;

	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = show_in(c, &snap, admin_param_text(c, "domain"), e);
	store_snap_end(&snap);
	return rc;
}

/* An empty list takes the catch-all away. */
static int catchall_set(struct admin_call *c, slice name, err *e)
{
	struct slices targets = admin_param_texts(c, "catchall");

	if (targets.n)
		return alias_set(c->store, S(""), name, targets.v, targets.n, NULL, 0, e);
	err why = {0};
	if (alias_remove(c->store, S(""), name, &why) < 0 && why.kind != ERR_MISSING) {
		*e = why;
		return -1;
	}
	return 0;
}

int admin_domain_add(struct admin_call *c, err *e)
{
	slice name = admin_param_text(c, "domain");
	uint32_t id;

	if (domain_add(c->store, name, &id, e) < 0)
		return -1;
	admin_put_text(c->result, "domain", name);
	admin_put_number(c->result, "id", id);
	return admin_param_has(c, "catchall") ? catchall_set(c, name, e) : 0;
}

int admin_domain_set(struct admin_call *c, err *e)
{
	slice name = admin_param_text(c, "domain");
	const struct settings_domain *file = pinned(c, name);

	if (file && file->catchall.n && admin_param_has(c, "catchall"))
		return pinned_error(file, "the catch-all is set", e);
	if (admin_param_has(c, "enabled") &&
		domain_set_enabled(c->store, name, admin_param_bool(c, "enabled", true), e) < 0)
		return -1;
	if (admin_param_has(c, "catchall") && catchall_set(c, name, e) < 0)
		return -1;
	return admin_domain_show(c, e);
}

int admin_domain_remove(struct admin_call *c, err *e)
{
	slice name = admin_param_text(c, "domain");
	const struct settings_domain *file = pinned(c, name);

	if (file)
		return pinned_error(file, "the domain stands", e);
	if (admin_domain_show(c, e) < 0)
		return -1;
	uint64_t accounts = (uint64_t)json_integer_value(json_object_get(c->result, "accounts"));
	uint64_t aliases = (uint64_t)json_integer_value(json_object_get(c->result, "aliases"));
	if (accounts || aliases)
		return err_set(e, ERR_CONFLICT,
			"the domain still has %llu accounts and %llu aliases; remove them first",
			(unsigned long long)accounts, (unsigned long long)aliases);
	if (admin_param_bool(c, "dry_run", false))
		return 0;
	if (json_array_size(json_object_get(c->result, "catchall")) &&
		alias_remove(c->store, S(""), name, e) < 0)
		return -1;
	return domain_remove(c->store, name, e);
}

static int catchall_is(struct store *store, const struct settings_domain *d, err *e)
{
	struct store_snap snap;
	struct alias_row all;
	slice target;

	if (store_snap_begin(store, &snap, e) < 0)
		return -1;
	int rc = alias_find(&snap, S(""), d->name, &all, e);
	if (rc == 1)
		rc = alias_target(&all, &target) && slice_ieq(target, d->catchall) &&
		     !alias_target(&all, &target);
	store_snap_end(&snap);
	return rc;
}

static int apply_one(struct store *store, const struct settings_domain *d, err *e)
{
	uint32_t id;
	err why = {0};

	if (domain_add(store, d->name, &id, &why) < 0 && why.kind != ERR_EXISTS) {
		*e = why;
		return -1;
	}
	if (!d->catchall.n)
		return 0;
	int rc = catchall_is(store, d, e);
	return rc != 0 ? (rc < 0 ? -1 : 0) : alias_set(store, S(""), d->name, &d->catchall, 1, NULL, 0, e);
}

int admin_apply(struct store *store, const struct settings *settings, err *e)
{
	int rc = 0;

	for (size_t i = 0; i < settings->domains_n; i++) {
		if (apply_one(store, &settings->domains[i], e) < 0)
			rc = -1;
	}
	return rc;
}

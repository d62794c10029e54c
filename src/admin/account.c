/* account.* */
#include "mailbox/account.h"
#include "admin/call.h"
#include "base/encode.h"
#include "limits.h"

static int forward_put(struct store_snap *snap, const struct account_row *a, json_t *to, err *e)
{
	struct account_forward f = {.keep = true};
	json_t *targets = json_array();
	slice target;
	int rc = a->forwards ? account_forward_get(snap, a->id, &f, e) : 0;

	json_object_set_new(to, "forward", targets);
	while (rc == 1 && account_forward_target(&f, &target))
		json_array_append_new(targets, json_stringn(target.p, target.n));
	if (rc == 1)
		admin_put_bool(to, "keep", f.keep);
	return rc < 0 ? -1 : 0;
}

static int account_put(
	struct admin_call *c, struct store_snap *snap, const struct account_row *a, json_t *to, err *e)
{
	slice address;
	int rc = account_address(snap, a->id, c->arena, &address, e);

	if (rc <= 0)
		return rc;
	admin_put_text(to, "account", address);
	admin_put_number(to, "id", a->id);
	admin_put_bool(to, "enabled", a->enabled);
	admin_put_number(to, "messages", a->messages);
	admin_put_number(to, "used", a->used_bytes);
	admin_put_number(to, "quota", a->quota_bytes);
	admin_put_text(to, "name", a->display_name);
	admin_put_text(to, "language", a->language);
	admin_put_time(to, "created", a->created_us);
	return forward_put(snap, a, to, e);
}

struct listing {
	struct admin_call *c;
	struct store_snap *snap;
	json_t *list;
	bool one_domain;
	uint32_t domain, last;
	bool more;
	int rc;
	err *e;
};

static bool list_see(void *arg, const struct account_row *a)
{
	struct listing *l = arg;

	if (l->one_domain && a->domain != l->domain)
		return true;
	if (json_array_size(l->list) == ADMIN_PAGE) {
		l->more = true;
		return false;
	}
	json_t *one = json_object();
	l->rc = account_put(l->c, l->snap, a, one, l->e);
	l->last = a->id;
	json_array_append_new(l->list, one);
	return l->rc == 0;
}

static int list_in(struct listing *l, err *e)
{
	slice name = admin_param_text(l->c, "domain");
	uint64_t after = admin_param_number(l->c, "after", 0);
	struct domain_row d;

	if (name.n) {
		int rc = domain_find(l->snap, name, &d, e);
		if (rc <= 0)
			return rc < 0 ? -1
				      : err_set(e, ERR_MISSING, "there is no domain \"%" SLICE_FMT "\"",
						SLICE_ARG(name));
		l->one_domain = true, l->domain = d.id;
	}
	if (account_each(l->snap, after < UINT32_MAX ? (uint32_t)after : UINT32_MAX, list_see, l, e) < 0)
		return -1;
	if (l->more)
		admin_put_number(l->c->result, "next", l->last);
	return l->rc;
}

int admin_account_list(struct admin_call *c, err *e)
{
	struct store_snap snap;
	struct listing l = {.c = c, .snap = &snap, .list = json_array(), .e = e};

	json_object_set_new(c->result, "accounts", l.list);
	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = list_in(&l, e);
	store_snap_end(&snap);
	return rc;
}

static int find(struct store_snap *snap, slice login, struct account_row *ret, err *e)
{
	int rc = account_by_login(snap, login, ret, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (slice_find_c(login, '@') < 0)
		return err_set(e, ERR_MISSING,
			"there is no account \"%" SLICE_FMT
			"\", or several domains have one; write the whole address",
			SLICE_ARG(login));
	return err_set(e, ERR_MISSING, "there is no account \"%" SLICE_FMT "\"; see: posthouse account list",
		SLICE_ARG(login));
}

int admin_account_of(struct store_snap *snap, slice login, uint32_t *ret, err *e)
{
	struct account_row row;

	if (find(snap, login, &row, e) < 0)
		return -1;
	*ret = row.id;
	return 0;
}

static int account_id(struct admin_call *c, uint32_t *ret, err *e)
{
	struct store_snap snap;

	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = admin_account_of(&snap, admin_param_text(c, "account"), ret, e);
	store_snap_end(&snap);
	return rc;
}

int admin_account_show(struct admin_call *c, err *e)
{
	struct store_snap snap;
	struct account_row a;
	struct mailbox_item *items;
	size_t n = 0, there = 0;

	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = find(&snap, admin_param_text(c, "account"), &a, e);
	if (rc == 0)
		rc = account_put(c, &snap, &a, c->result, e);
	if (rc == 0)
		rc = mailbox_list(&snap, a.id, c->arena, &items, &n, e);
	store_snap_end(&snap);
	for (size_t i = 0; rc == 0 && i < n; i++)
		there += !items[i].absent;
	if (rc == 0)
		admin_put_number(c->result, "mailboxes", there);
	return rc;
}

/* weak: `posthouse dev` takes the short passwords of throw-away accounts. */
static int secret_check(const struct admin_call *c, slice secret, err *e)
{
	size_t least = admin_param_bool(c, "weak", false) ? 1 : LIMIT_PASSWORD_MIN;

	if (secret.n < least)
		return err_set(e, ERR_SYNTAX, "a password has at least %zu characters", least);
	if (secret.n > LIMIT_PASSWORD)
		return err_set(e, ERR_LIMIT, "a password has at most %d bytes", LIMIT_PASSWORD);
	if (!utf8_valid(secret))
		return err_set(e, ERR_SYNTAX, "a password is UTF-8 text");
	for (size_t i = 0; i < secret.n; i++) {
		if ((unsigned char)secret.p[i] < 32 || secret.p[i] == 127)
			return err_set(e, ERR_SYNTAX, "a password holds no control characters");
	}
	return 0;
}

static struct account_settings settings_of(const struct admin_call *c)
{
	struct slices forward = admin_param_texts(c, "forward");

	return (struct account_settings){
		.has_enabled = admin_param_has(c, "enabled"),
		.enabled = admin_param_bool(c, "enabled", true),
		.has_quota = admin_param_has(c, "quota"),
		.quota_bytes = admin_param_number(c, "quota", 0),
		.has_language = admin_param_has(c, "language"),
		.language = admin_param_text(c, "language"),
		.has_display_name = admin_param_has(c, "name"),
		.display_name = admin_param_text(c, "name"),
		.has_forward = admin_param_has(c, "forward"),
		.forward = forward.v,
		.n_forward = forward.n,
		.has_keep = admin_param_has(c, "keep"),
		.keep = admin_param_bool(c, "keep", true),
	};
}

/* The account first, its secret second: a secret without account would wait for the next one of that id. */
int admin_account_add(struct admin_call *c, err *e)
{
	const struct admin_session *s = c->session;
	struct account_settings set = settings_of(c);
	slice local, domain, secret = admin_param_text(c, "password");
	uint32_t id;
	err undo;

	if (admin_address_split(admin_param_text(c, "account"), &local, &domain, e) < 0 ||
		secret_check(c, secret, e) < 0)
		return -1;
	if (account_add(c->store, local, domain, &set, &id, e) < 0)
		return -1;
	if (s->ops->secret_set(s->ctx, id, secret, e) < 0) {
		if (account_remove(c->store, id, &undo) < 0)
			return err_set(e, ERR_IO,
				"the account was made, but its password could not be stored; set it with: "
				"posthouse account set");
		return -1;
	}
	return admin_account_show(c, e);
}

int admin_account_set(struct admin_call *c, err *e)
{
	const struct admin_session *s = c->session;
	struct account_settings set = settings_of(c);
	slice secret = admin_param_text(c, "password");
	bool new_secret = admin_param_has(c, "password");
	uint32_t id;

	if (new_secret && secret_check(c, secret, e) < 0)
		return -1;
	if (account_id(c, &id, e) < 0)
		return -1;
	if (new_secret && s->ops->secret_set(s->ctx, id, secret, e) < 0)
		return -1;
	/* What `auth` remembers of a good log-in must end with the old password, and when the account is
	 * shut. */
	set.new_epoch = new_secret || (set.has_enabled && !set.enabled);
	if (account_set(c->store, id, &set, e) < 0)
		return -1;
	return admin_account_show(c, e);
}

/* The secret first: nobody gets in while the rest goes. */
int admin_account_remove(struct admin_call *c, err *e)
{
	const struct admin_session *s = c->session;
	uint32_t id;

	if (admin_account_show(c, e) < 0 || account_id(c, &id, e) < 0)
		return -1;
	if (admin_param_bool(c, "dry_run", false))
		return 0;
	if (s->ops->secret_remove(s->ctx, id, e) < 0)
		return -1;
	return account_remove(c->store, id, e);
}

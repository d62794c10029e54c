#include "mailbox/address.h"
#include "base/encode.h"
#include "limits.h"
#include "mail/address.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"

bool domain_canonical(slice in, char out[256], slice *ret)
{
	if (in.n && in.p[in.n - 1] == '.')
		in.n--;
	if (in.n == 0 || in.n > 255)
		return false;
	if (ascii_only(in)) {
		if (mail_domain_parse(in, false) == MAIL_DOMAIN_INVALID)
			return false;
		for (size_t i = 0; i < in.n; i++)
			out[i] = ascii_lower(in.p[i]);
		*ret = slice_make(out, in.n);
		return true;
	}
	struct arena *a = arena_new(16384);
	slice c;
	bool ok = a && mail_domain_canonical(a, in, &c, NULL) == 0 && c.n <= 255;
	if (ok) {
		memcpy(out, c.p, c.n);
		*ret = slice_make(out, c.n);
	}
	arena_free(a);
	return ok;
}

static bool local_canonical(slice in, char out[256], slice *ret)
{
	if (in.n > 255)
		return false;
	if (ascii_only(in)) {
		for (size_t i = 0; i < in.n; i++)
			out[i] = ascii_lower(in.p[i]);
		*ret = slice_make(out, in.n);
		return true;
	}
	struct arena *a = arena_new(16384);
	slice c;
	bool ok = a && mail_local_canonical(a, in, &c, NULL) == 0 && c.n <= 255;
	if (ok) {
		memcpy(out, c.p, c.n);
		*ret = slice_make(out, c.n);
	}
	arena_free(a);
	return ok;
}

bool address_canonical(slice localpart, slice domain, struct address_canonical *ret)
{
	if (!local_canonical(localpart, ret->local_bytes, &ret->local))
		return false;
	if (domain.n == 0) {
		ret->domain = slice_make(ret->domain_bytes, 0);
		return true;
	}
	return domain_canonical(domain, ret->domain_bytes, &ret->domain);
}

bool address_split(slice address, slice *ret_local, slice *ret_domain)
{
	ptrdiff_t at = slice_rfind_c(address, '@');
	if (at <= 0 || (size_t)at + 1 == address.n)
		return false;
	*ret_local = slice_sub(address, 0, (size_t)at);
	*ret_domain = slice_skip(address, (size_t)at + 1);
	return true;
}

bool address_target(slice *targets, slice *ret)
{
	struct rd r = rd_of(*targets);
	if (r.n == 0)
		return false;
	slice t = rd_bytes(&r, SIZE_MAX);
	if (r.bad)
		return false;
	*targets = slice_make(r.p, r.n);
	*ret = t;
	return true;
}

int address_target_put(struct buf *out, slice address, err *e)
{
	struct mail_path path;
	struct arena *a = arena_new(4096);
	int rc = a ? mail_path_parse(address, MAIL_PATH_BARE | MAIL_PATH_UTF8, &path, NULL, e)
		   : err_set(e, ERR_TEMP, "out of memory");
	if (rc == 0 && path.kind != MAIL_PATH_IS_MAILBOX)
		rc = err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is not an address", SLICE_ARG(address));
	slice text = {0};
	if (rc == 0) {
		slice local = mail_path_local(a, &path);
		text = arena_fmt(a, "%.*s@%.*s", (int)local.n, local.p, (int)path.domain.n, path.domain.p);
		if (!text.p)
			rc = err_set(e, ERR_TEMP, "out of memory");
	}
	if (rc == 0)
		wire_put_bytes(out, text);
	arena_free(a);
	return rc;
}

/* ---- rows ---- */

static int domain_by_id(struct view v, uint32_t id, struct domain_row *ret, err *e)
{
	struct key k = key_domain(id);
	slice value;
	int rc = view_get(v, KEY_SLICE(k), &value, e);
	if (rc <= 0)
		return rc;
	return row_domain_get(value, id, ret, e) < 0 ? -1 : 1;
}

int domain_lookup(struct view v, slice canonical, struct domain_row *ret, err *e)
{
	struct key_name k;
	slice value;
	uint32_t id;
	key_domain_name(&k, canonical);
	int rc = view_get(v, KEY_SLICE(k), &value, e);
	if (rc <= 0)
		return rc;
	if (row_id_get(value, &id, e) < 0)
		return -1;
	rc = domain_by_id(v, id, ret, e);
	return rc ? rc : err_set(e, ERR_CORRUPT, "domain %u has a name and no row", id);
}

int account_lookup(struct view v, uint32_t id, struct account_row *ret, err *e)
{
	struct key k = key_kind(id, KEY_ACCOUNT);
	slice value;
	int rc = view_get(v, KEY_SLICE(k), &value, e);
	if (rc <= 0)
		return rc;
	return row_account_get(value, id, ret, e) < 0 ? -1 : 1;
}

static int address_by_key(struct view v, uint32_t domain, slice local, struct address_row *ret, err *e)
{
	struct key_name k;
	slice value;
	key_address(&k, domain, local);
	int rc = view_get(v, KEY_SLICE(k), &value, e);
	if (rc <= 0)
		return rc;
	return row_address_get(value, ret, e) < 0 ? -1 : 1;
}

/* The domain with the smallest id. */
static int first_domain(struct view v, struct domain_row *ret, err *e)
{
	struct key prefix = key_domains();
	struct key_name k;
	int rc = view_first(v, KEY_SLICE(prefix), &k, e);
	return rc == 1 ? domain_by_id(v, be32_get(k.b + k.n - 4), ret, e) : rc;
}

int address_lookup(struct view v, const struct address_canonical *a, struct address_found *ret, err *e)
{
	struct address_found f = {.kind = FOUND_REMOTE};
	struct address_row row = {.account = 0};
	slice user, tag;
	bool postmaster = slice_eq(a->local, S("postmaster"));
	int rc = 0;
	if (a->domain.n)
		rc = domain_lookup(v, a->domain, &f.domain, e);
	else if (postmaster)
		rc = first_domain(v, &f.domain, e);
	if (rc <= 0) {
		*ret = f;
		return rc;
	}
	f.row = a->local;
	rc = address_by_key(v, f.domain.id, a->local, &row, e);
	mail_local_split(a->local, '+', &user, &tag);
	if (rc == 0 && tag.p) {
		f.row = user;
		rc = address_by_key(v, f.domain.id, user, &row, e);
	}
	if (rc == 0 && postmaster && f.domain.postmaster) {
		row.kind = ADDRESS_ACCOUNT;
		row.account = f.domain.postmaster;
		rc = 1;
	}
	if (rc == 0) {
		f.row = (slice){0};
		rc = address_by_key(v, f.domain.id, f.row, &row, e);
	}
	if (rc < 0)
		return -1;
	f.kind = rc == 0 ? FOUND_NOBODY : row.kind == ADDRESS_ACCOUNT ? FOUND_ACCOUNT : FOUND_ALIAS;
	f.account = row.account;
	f.targets = row.targets;
	f.owners = row.owners;
	*ret = f;
	return 0;
}

/* ---- reads on a snapshot ---- */

int domain_find(struct store_snap *snap, slice name, struct domain_row *ret, err *e)
{
	char bytes[256];
	slice canonical;
	if (!domain_canonical(name, bytes, &canonical))
		return 0;
	return domain_lookup(view_snap(snap), canonical, ret, e);
}

int domain_get(struct store_snap *snap, uint32_t id, struct domain_row *ret, err *e)
{
	return domain_by_id(view_snap(snap), id, ret, e);
}

int domain_each(struct store_snap *snap, bool (*see)(void *arg, const struct domain_row *), void *arg, err *e)
{
	struct key_name prefix;
	struct store_scan sc;
	slice k, v;
	key_domain_name(&prefix, (slice){0});
	if (store_scan_open(snap, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1; rc = store_scan_next(&sc, &k, &v, e)) {
		struct domain_row row;
		uint32_t id;
		rc = row_id_get(v, &id, e);
		if (rc == 0)
			rc = domain_by_id(view_snap(snap), id, &row, e);
		if (rc < 0 || (rc == 1 && !see(arg, &row)))
			break;
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : 0;
}

int account_get(struct store_snap *snap, uint32_t id, struct account_row *ret, err *e)
{
	struct account_row row;
	int rc = account_lookup(view_snap(snap), id, &row, e);
	if (rc <= 0 || row.removed)
		return rc < 0 ? -1 : 0;
	*ret = row;
	return 1;
}

int account_find(struct store_snap *snap, slice localpart, slice domain, struct account_row *ret, err *e)
{
	struct address_canonical a;
	struct address_row row;
	struct domain_row d;
	if (domain.n == 0 || localpart.n == 0 || !address_canonical(localpart, domain, &a))
		return 0;
	int rc = domain_lookup(view_snap(snap), a.domain, &d, e);
	if (rc == 1)
		rc = address_by_key(view_snap(snap), d.id, a.local, &row, e);
	if (rc <= 0 || row.kind != ADDRESS_ACCOUNT)
		return rc < 0 ? -1 : 0;
	return account_get(snap, row.account, ret, e);
}

int account_by_login(struct store_snap *snap, slice login, struct account_row *ret, err *e)
{
	struct address_canonical a;
	struct address_row row;
	slice local, domain;
	if (address_split(login, &local, &domain))
		return account_find(snap, local, domain, ret, e);
	if (login.n == 0 || !address_canonical(login, (slice){0}, &a))
		return 0;
	int rc = address_by_key(view_snap(snap), 0, a.local, &row, e);
	if (rc <= 0 || row.kind != ADDRESS_LOGIN || row.owners.n != 4)
		return rc < 0 ? -1 : 0;
	return account_get(snap, be32_get(row.owners.p), ret, e);
}

int account_address(struct store_snap *snap, uint32_t id, struct arena *a, slice *ret, err *e)
{
	struct account_row row;
	struct domain_row d;
	int rc = account_get(snap, id, &row, e);
	if (rc == 1)
		rc = domain_get(snap, row.domain, &d, e);
	if (rc <= 0)
		return rc;
	struct buf b = BUF_INIT(1024);
	mail_local_write(&b, row.localpart);
	buf_add_c(&b, '@');
	buf_add(&b, d.name);
	slice copy = b.failed ? (slice){0} : arena_copy(a, buf_slice(&b));
	buf_free(&b);
	if (!copy.p)
		return err_set(e, ERR_LIMIT, "no room for an address");
	*ret = copy;
	return 1;
}

int account_each(struct store_snap *snap, uint32_t after, bool (*see)(void *arg, const struct account_row *),
	void *arg, err *e)
{
	struct store_scan sc;
	slice k, v;
	int rc = 1;
	if (store_scan_open(snap, S("A"), &sc, e) < 0)
		return -1;
	while (after != UINT32_MAX) {
		struct key from = key_account_all(after + 1);
		struct account_row row;
		rc = store_scan_seek(&sc, KEY_SLICE(from), &k, &v, e);
		if (rc <= 0 || k.n < 6)
			break;
		after = be32_get(k.p + 1);
		if (k.n != 6 || k.p[5] != KEY_ACCOUNT)
			continue; /* rows of a removed account that are being cleared away */
		if (row_account_get(v, after, &row, e) < 0) {
			rc = -1;
			break;
		}
		if (!row.removed && !see(arg, &row))
			break;
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : 0;
}

int alias_find(struct store_snap *snap, slice localpart, slice domain, struct alias_row *ret, err *e)
{
	struct address_canonical a;
	struct address_row row;
	struct domain_row d;
	if (domain.n == 0 || !address_canonical(localpart, domain, &a))
		return 0;
	int rc = domain_lookup(view_snap(snap), a.domain, &d, e);
	if (rc == 1)
		rc = address_by_key(view_snap(snap), d.id, a.local, &row, e);
	if (rc <= 0 || row.kind != ADDRESS_ALIAS)
		return rc < 0 ? -1 : 0;
	*ret = (struct alias_row){d.name, localpart, row.targets, row.owners};
	return 1;
}

int alias_each(struct store_snap *snap, slice domain, bool (*see)(void *arg, const struct alias_row *),
	void *arg, err *e)
{
	struct domain_row d;
	struct store_scan sc;
	slice k, v;
	int rc = domain_find(snap, domain, &d, e);
	if (rc <= 0)
		return rc;
	struct key prefix = key_addresses(d.id);
	if (store_scan_open(snap, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1; rc = store_scan_next(&sc, &k, &v, e)) {
		struct address_row row;
		if (row_address_get(v, &row, e) < 0) {
			rc = -1;
			break;
		}
		if (row.kind != ADDRESS_ALIAS)
			continue;
		struct alias_row alias = {d.name, slice_skip(k, prefix.n), row.targets, row.owners};
		if (!see(arg, &alias))
			break;
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : 0;
}

bool alias_target(struct alias_row *a, slice *ret_address)
{
	return address_target(&a->targets, ret_address);
}

bool alias_owner(struct alias_row *a, uint32_t *ret_account)
{
	if (a->owners.n < 4)
		return false;
	*ret_account = be32_get(a->owners.p);
	a->owners = slice_skip(a->owners, 4);
	return true;
}

/* Does an alias that has one target lead to this account? */
static int sole_target(struct view v, slice targets, uint32_t account, err *e)
{
	struct address_canonical a;
	struct address_found f;
	slice target, local, domain;
	if (!address_target(&targets, &target) || targets.n || !address_split(target, &local, &domain) ||
		!address_canonical(local, domain, &a))
		return 0;
	if (address_lookup(v, &a, &f, e) < 0)
		return -1;
	return f.kind == FOUND_ACCOUNT && f.account == account;
}

int account_may_send(struct store_snap *snap, uint32_t account, slice localpart, slice domain, err *e)
{
	struct address_canonical a;
	struct address_found f;
	struct view v = view_snap(snap);
	if (domain.n == 0 || !address_canonical(localpart, domain, &a))
		return 0;
	if (address_lookup(v, &a, &f, e) < 0)
		return -1;
	if (f.kind == FOUND_ACCOUNT)
		return f.account == account;
	if (f.kind != FOUND_ALIAS)
		return 0;
	for (slice o = f.owners; o.n >= 4; o = slice_skip(o, 4))
		if (be32_get(o.p) == account)
			return 1;
	return sole_target(v, f.targets, account, e);
}

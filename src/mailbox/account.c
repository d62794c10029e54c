/* Changes to domains, accounts and aliases. */
#include "mailbox/account.h"
#include "base/encode.h"
#include "limits.h"
#include "mailbox/address.h"
#include "mailbox/forward.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"
#include "mailbox/tx.h"

struct directory_job {
	slice local, domain;
	struct address_canonical address;
	const struct account_settings *settings;
	slice forward; /* targets, as address_target_put wrote them */
	uint32_t id;   /* in or out */
	bool enabled;
	struct address_row row; /* alias to set */
};

static int put(struct store_tx *tx, slice key, struct buf *b, err *e)
{
	int rc = b->failed ? err_set(e, ERR_TEMP, "out of memory in an intent")
			   : store_tx_put(tx, key, buf_slice(b), e);
	buf_free(b);
	return rc;
}

static int put_domain(struct store_tx *tx, const struct domain_row *d, err *e)
{
	struct buf b = BUF_INIT(ROW_MAX);
	struct key k = key_domain(d->id);
	row_domain_put(&b, d);
	return put(tx, KEY_SLICE(k), &b, e);
}

static int put_address(
	struct store_tx *tx, uint32_t domain, slice local, const struct address_row *row, err *e)
{
	struct buf b = BUF_INIT(1 << 20);
	struct key_name k;
	key_address(&k, domain, local);
	row_address_put(&b, row);
	return put(tx, KEY_SLICE(k), &b, e);
}

static int del_address(struct store_tx *tx, uint32_t domain, slice local, err *e)
{
	struct key_name k;
	key_address(&k, domain, local);
	return store_tx_del(tx, KEY_SLICE(k), e);
}

static int get_address(struct store_tx *tx, uint32_t domain, slice local, struct address_row *ret, err *e)
{
	struct key_name k;
	slice v;
	key_address(&k, domain, local);
	int rc = store_tx_get(tx, KEY_SLICE(k), &v, e);
	if (rc <= 0)
		return rc;
	return row_address_get(v, ret, e) < 0 ? -1 : 1;
}

/* The domain of the job, its slice copied; it must be there. */
static int get_domain(struct store_tx *tx, slice canonical, struct domain_row *ret, err *e)
{
	int rc = domain_lookup(view_tx(tx), canonical, ret, e);
	if (rc == 0)
		return err_set(e, ERR_MISSING, "there is no domain \"%" SLICE_FMT "\"", SLICE_ARG(canonical));
	if (rc < 0)
		return -1;
	ret->name = arena_copy(store_tx_scratch(tx), ret->name);
	return ret->name.p ? 0 : err_set(e, ERR_TEMP, "out of memory in an intent");
}

static int next_ids(struct store_tx *tx, bool domain, uint32_t *ret, err *e)
{
	struct domain_counters c = {1, 1};
	struct key k = key_counters();
	struct buf b = BUF_INIT(ROW_MAX);
	slice v;
	int rc = store_tx_get(tx, KEY_SLICE(k), &v, e);
	if (rc < 0 || (rc == 1 && row_counters_get(v, &c, e) < 0))
		return -1;
	uint32_t *next = domain ? &c.next_domain : &c.next_account;
	if (*next >= UINT32_C(0xfeffffff))
		return err_set(e, ERR_LIMIT, "no ids left");
	*ret = (*next)++;
	row_counters_put(&b, &c);
	return put(tx, KEY_SLICE(k), &b, e);
}

/* ---- domains ---- */

static int domain_add_run(struct store_tx *tx, void *arg, err *e)
{
	struct directory_job *job = arg;
	struct domain_row d = {.enabled = true, .created_us = store_tx_now_us(tx)};
	struct buf b = BUF_INIT(ROW_MAX);
	struct key_name k;
	int rc = domain_lookup(view_tx(tx), job->domain, &d, e);
	if (rc == 1)
		return err_set(e, ERR_EXISTS, "the domain exists");
	if (rc < 0 || next_ids(tx, true, &d.id, e) < 0)
		return -1;
	d.name = job->domain;
	key_domain_name(&k, d.name);
	row_id_put(&b, d.id);
	if (put(tx, KEY_SLICE(k), &b, e) < 0 || put_domain(tx, &d, e) < 0)
		return -1;
	job->id = d.id;
	return 0;
}

static int domain_commit(struct store *s, slice name, store_run *run, struct directory_job *job, err *e)
{
	char bytes[256];
	if (!domain_canonical(name, bytes, &job->domain))
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is not a domain", SLICE_ARG(name));
	return store_commit(s, run, job, e);
}

int domain_add(struct store *s, slice name, uint32_t *ret_id, err *e)
{
	struct directory_job job = {.id = 0};
	if (domain_commit(s, name, domain_add_run, &job, e) < 0)
		return -1;
	if (ret_id)
		*ret_id = job.id;
	return 0;
}

static int domain_remove_run(struct store_tx *tx, void *arg, err *e)
{
	struct directory_job *job = arg;
	struct domain_row d;
	struct key_name name;
	if (get_domain(tx, job->domain, &d, e) < 0)
		return -1;
	struct key prefix = key_addresses(d.id), key = key_domain(d.id);
	int rc = view_first(view_tx(tx), KEY_SLICE(prefix), &name, e);
	if (rc == 1)
		return err_set(e, ERR_CONFLICT, "the domain still has accounts or aliases");
	key_domain_name(&name, d.name);
	if (rc < 0 || store_tx_del(tx, KEY_SLICE(key), e) < 0)
		return -1;
	return store_tx_del(tx, KEY_SLICE(name), e);
}

int domain_remove(struct store *s, slice name, err *e)
{
	struct directory_job job = {.id = 0};
	return domain_commit(s, name, domain_remove_run, &job, e);
}

static int domain_enable_run(struct store_tx *tx, void *arg, err *e)
{
	struct directory_job *job = arg;
	struct domain_row d;
	if (get_domain(tx, job->domain, &d, e) < 0)
		return -1;
	d.enabled = job->enabled;
	return put_domain(tx, &d, e);
}

int domain_set_enabled(struct store *s, slice name, bool enabled, err *e)
{
	struct directory_job job = {.enabled = enabled};
	return domain_commit(s, name, domain_enable_run, &job, e);
}

/* ---- accounts ---- */

/* The list of accounts behind a bare log-in name, with one added or taken away. */
static int login_name(struct store_tx *tx, slice local, uint32_t account, bool add, err *e)
{
	struct address_row row = {.kind = ADDRESS_LOGIN};
	struct buf ids = BUF_INIT(4 * LIMIT_LOGIN_NAMES + 4);
	int rc = get_address(tx, 0, local, &row, e);
	if (rc < 0)
		return -1;
	for (slice o = row.owners; o.n >= 4; o = slice_skip(o, 4))
		if (be32_get(o.p) != account)
			wire_put_u32(&ids, be32_get(o.p));
	if (add && ids.n < 4 * LIMIT_LOGIN_NAMES)
		wire_put_u32(&ids, account);
	row.targets = (slice){0};
	row.owners = buf_slice(&ids);
	rc = ids.n ? put_address(tx, 0, local, &row, e) : del_address(tx, 0, local, e);
	buf_free(&ids);
	return rc;
}

static int apply(struct account_row *r, const struct account_settings *set, err *e)
{
	if (!set)
		return 0;
	if ((set->has_language && set->language.n > LIMIT_LANGUAGE) ||
		(set->has_display_name && set->display_name.n > LIMIT_DISPLAY_NAME))
		return err_set(e, ERR_LIMIT, "the language or display name is too long");
	if (set->has_display_name && !utf8_valid(set->display_name))
		return err_set(e, ERR_SYNTAX, "the display name must be UTF-8");
	if (set->has_enabled)
		r->enabled = set->enabled;
	if (set->has_quota)
		r->quota_bytes = set->quota_bytes;
	if (set->has_language)
		r->language = set->language;
	if (set->has_display_name)
		r->display_name = set->display_name;
	/* What switches an account off must also end what `auth` remembers. */
	r->epoch += set->new_epoch || (set->has_enabled && !set->enabled);
	return 0;
}

static int account_add_run(struct store_tx *tx, void *arg, err *e)
{
	struct directory_job *job = arg;
	AUTO(account_tx_free) struct account_tx a = {.tx = tx, .out = BUF_INIT(ROW_MAX)};
	struct address_row row;
	struct domain_row d;
	if (get_domain(tx, job->address.domain, &d, e) < 0)
		return -1;
	int rc = get_address(tx, d.id, job->address.local, &row, e);
	if (rc == 1)
		return err_set(e, ERR_EXISTS, "an account or alias has this address");
	if (rc < 0 || next_ids(tx, false, &a.id, e) < 0)
		return -1;
	a.row = (struct account_row){
		.id = a.id,
		.domain = d.id,
		.localpart = job->address.local,
		.enabled = true,
		.epoch = 1,
		.created_us = store_tx_now_us(tx),
		.next_mailbox = MAILBOX_INBOX,
		.next_message = 1,
	};
	row = (struct address_row){.kind = ADDRESS_ACCOUNT, .account = a.id};
	if (apply(&a.row, job->settings, e) < 0 || folder_tx_defaults(&a, e) < 0 ||
		put_address(tx, d.id, job->address.local, &row, e) < 0 ||
		login_name(tx, job->address.local, a.id, true, e) < 0 ||
		forward_tx_set(&a, job->settings, job->forward, e) < 0 || account_tx_close(&a, e) < 0)
		return -1;
	job->id = a.id;
	if (d.postmaster)
		return 0;
	d.postmaster = a.id;
	return put_domain(tx, &d, e);
}

/* Addresses are checked before the commit thread gets to see them. */
static int settings_commit(struct store *s, store_run *run, struct directory_job *job, err *e)
{
	struct buf forward = BUF_INIT(FORWARD_MAX);
	int rc = job->settings ? forward_encode(job->settings, &forward, e) : 0;
	job->forward = buf_slice(&forward);
	if (rc == 0)
		rc = store_commit(s, run, job, e);
	buf_free(&forward);
	return rc;
}

int account_add(struct store *s, slice localpart, slice domain, const struct account_settings *settings,
	uint32_t *ret_id, err *e)
{
	struct directory_job job = {.settings = settings};
	if (localpart.n == 0 || localpart.n > LIMIT_LOCALPART || domain.n == 0 || !utf8_valid(localpart) ||
		!address_canonical(localpart, domain, &job.address))
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "@%" SLICE_FMT "\" is not an address",
			SLICE_ARG(localpart), SLICE_ARG(domain));
	for (size_t i = 0; i < localpart.n; i++)
		if ((unsigned char)localpart.p[i] <= ' ' || localpart.p[i] == 127 || localpart.p[i] == '@')
			return err_set(
				e, ERR_SYNTAX, "a name of an account has no blanks, @ or control characters");
	if (settings_commit(s, account_add_run, &job, e) < 0)
		return -1;
	if (ret_id)
		*ret_id = job.id;
	return 0;
}

static int account_set_run(struct store_tx *tx, void *arg, err *e)
{
	struct directory_job *job = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	if (account_tx_open(tx, job->id, &a, e) < 0 || apply(&a.row, job->settings, e) < 0 ||
		forward_tx_set(&a, job->settings, job->forward, e) < 0)
		return -1;
	a.dirty = true;
	return account_tx_close(&a, e);
}

int account_set(struct store *s, uint32_t id, const struct account_settings *settings, err *e)
{
	struct directory_job job = {.id = id, .settings = settings};
	return settings_commit(s, account_set_run, &job, e);
}

/* Some account of the domain, 0 when it has none. */
static int any_account(struct store_tx *tx, uint32_t domain, uint32_t *ret, err *e)
{
	struct key prefix = key_addresses(domain);
	struct store_scan sc;
	slice k, v;
	*ret = 0;
	if (store_tx_scan(tx, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1 && *ret == 0; rc = store_scan_next(&sc, &k, &v, e)) {
		struct address_row row;
		if (row_address_get(v, &row, e) < 0) {
			rc = -1;
			break;
		}
		if (row.kind == ADDRESS_ACCOUNT)
			*ret = row.account;
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : 0;
}

static int account_remove_run(struct store_tx *tx, void *arg, err *e)
{
	struct directory_job *job = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	struct key k;
	struct domain_row d;
	slice v;
	if (account_tx_open(tx, job->id, &a, e) < 0)
		return -1;
	k = key_domain(a.row.domain);
	int rc = store_tx_get(tx, KEY_SLICE(k), &v, e);
	if (rc == 0)
		return err_set(e, ERR_CORRUPT, "account %u has no domain", a.id);
	if (rc < 0)
		return -1;
	v = arena_copy(store_tx_scratch(tx), v);
	if (row_domain_get(v, a.row.domain, &d, e) < 0 || del_address(tx, d.id, a.row.localpart, e) < 0 ||
		login_name(tx, a.row.localpart, a.id, false, e) < 0)
		return -1;
	a.row.removed = true;
	a.row.enabled = false;
	a.row.epoch++;
	a.dirty = true;
	if (account_tx_close(&a, e) < 0)
		return -1;
	store_tx_note(tx, a.id, 0, 0);
	if (d.postmaster != a.id)
		return 0;
	return any_account(tx, d.id, &d.postmaster, e) < 0 ? -1 : put_domain(tx, &d, e);
}

int account_remove(struct store *s, uint32_t id, err *e)
{
	struct directory_job job = {.id = id};
	return store_commit(s, account_remove_run, &job, e);
}

/* ---- aliases ---- */

static int alias_set_run(struct store_tx *tx, void *arg, err *e)
{
	struct directory_job *job = arg;
	struct address_row old;
	struct domain_row d;
	if (get_domain(tx, job->address.domain, &d, e) < 0)
		return -1;
	int rc = get_address(tx, d.id, job->address.local, &old, e);
	if (rc == 1 && old.kind != ADDRESS_ALIAS)
		return err_set(e, ERR_EXISTS, "an account has this address");
	return rc < 0 ? -1 : put_address(tx, d.id, job->address.local, &job->row, e);
}

int alias_set(struct store *s, slice localpart, slice domain, const slice *targets, size_t n_targets,
	const uint32_t *owners, size_t n_owners, err *e)
{
	struct directory_job job = {.row.kind = ADDRESS_ALIAS};
	struct buf t = BUF_INIT(LIMIT_ALIAS_TARGETS * 400), o = BUF_INIT(LIMIT_ALIAS_OWNERS * 4);
	int rc = 0;
	if (n_targets == 0 || n_targets > LIMIT_ALIAS_TARGETS || n_owners > LIMIT_ALIAS_OWNERS)
		return err_set(e, ERR_LIMIT, "an alias has 1 to %d targets and up to %d owners",
			LIMIT_ALIAS_TARGETS, LIMIT_ALIAS_OWNERS);
	if (localpart.n > LIMIT_LOCALPART || domain.n == 0 ||
		!address_canonical(localpart, domain, &job.address))
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "@%" SLICE_FMT "\" is not an address",
			SLICE_ARG(localpart), SLICE_ARG(domain));
	for (size_t i = 0; i < n_targets && rc == 0; i++)
		rc = address_target_put(&t, targets[i], e);
	for (size_t i = 0; i < n_owners; i++)
		wire_put_u32(&o, owners[i]);
	job.row.targets = buf_slice(&t);
	job.row.owners = buf_slice(&o);
	if (rc == 0 && (t.failed || o.failed))
		rc = err_set(e, ERR_TEMP, "out of memory");
	if (rc == 0)
		rc = store_commit(s, alias_set_run, &job, e);
	buf_free(&t);
	buf_free(&o);
	return rc;
}

static int alias_remove_run(struct store_tx *tx, void *arg, err *e)
{
	struct directory_job *job = arg;
	struct address_row old;
	struct domain_row d;
	if (get_domain(tx, job->address.domain, &d, e) < 0)
		return -1;
	int rc = get_address(tx, d.id, job->address.local, &old, e);
	if (rc == 0 || (rc == 1 && old.kind != ADDRESS_ALIAS))
		return err_set(e, ERR_MISSING, "there is no such alias");
	return rc < 0 ? -1 : del_address(tx, d.id, job->address.local, e);
}

int alias_remove(struct store *s, slice localpart, slice domain, err *e)
{
	struct directory_job job = {.id = 0};
	if (domain.n == 0 || !address_canonical(localpart, domain, &job.address))
		return err_set(e, ERR_MISSING, "there is no such alias");
	return store_commit(s, alias_remove_run, &job, e);
}

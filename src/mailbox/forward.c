#include "mailbox/forward.h"
#include "mailbox/address.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"

int forward_lookup(struct view v, uint32_t account, struct account_forward *ret, err *e)
{
	struct key k = key_setting(account, SETTING_FORWARD);
	slice value;
	int rc = view_get(v, KEY_SLICE(k), &value, e);
	if (rc <= 0)
		return rc;
	return row_forward_get(value, account, ret, e) < 0 ? -1 : 1;
}

int account_forward_get(struct store_snap *snap, uint32_t id, struct account_forward *ret, err *e)
{
	return forward_lookup(view_snap(snap), id, ret, e);
}

bool account_forward_target(struct account_forward *f, slice *ret_address)
{
	return address_target(&f->targets, ret_address);
}

int forward_encode(const struct account_settings *set, struct buf *out, err *e)
{
	if (!set->has_forward)
		return 0;
	if (set->n_forward > LIMIT_ALIAS_TARGETS)
		return err_set(
			e, ERR_LIMIT, "mail is forwarded to at most %d addresses", LIMIT_ALIAS_TARGETS);
	for (size_t i = 0; i < set->n_forward; i++)
		if (address_target_put(out, set->forward[i], e) < 0)
			return -1;
	return out->failed ? err_set(e, ERR_TEMP, "out of memory") : 0;
}

/* A forward to the account itself is no forward: who wants that wants to keep the mail. */
static int none_is_self(struct account_tx *a, slice targets, err *e)
{
	slice target, local, domain;
	while (address_target(&targets, &target)) {
		struct address_canonical c;
		struct address_found f;
		if (!address_split(target, &local, &domain) || !address_canonical(local, domain, &c))
			return err_set(
				e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is not an address", SLICE_ARG(target));
		if (address_lookup(view_tx(a->tx), &c, &f, e) < 0)
			return -1;
		if (f.kind == FOUND_ACCOUNT && f.account == a->id)
			return err_set(e, ERR_CONFLICT,
				"\"%" SLICE_FMT
				"\" is the account itself; to keep a copy here, say so with --keep",
				SLICE_ARG(target));
	}
	return 0;
}

static int forward_put(struct account_tx *a, slice targets, bool keep, err *e)
{
	struct key k = key_setting(a->id, SETTING_FORWARD);
	struct account_forward row = {keep, targets};
	struct buf b = BUF_INIT(FORWARD_MAX + 16);
	row_forward_put(&b, &row);
	int rc = b.failed ? err_set(e, ERR_TEMP, "out of memory in an intent")
			  : store_tx_put(a->tx, KEY_SLICE(k), buf_slice(&b), e);
	buf_free(&b);
	return rc;
}

int forward_tx_set(struct account_tx *a, const struct account_settings *set, slice targets, err *e)
{
	struct account_forward old = {.keep = true};
	struct key k = key_setting(a->id, SETTING_FORWARD);
	if (!set || (!set->has_forward && !set->has_keep))
		return 0;
	int rc = a->row.forwards ? forward_lookup(view_tx(a->tx), a->id, &old, e) : 0;
	if (rc < 0)
		return -1;
	if (!set->has_forward && rc == 0)
		return err_set(e, ERR_MISSING,
			"the account's mail is not forwarded; name an address with --forward");
	a->dirty = true;
	a->row.forwards = !set->has_forward || targets.n > 0;
	if (!a->row.forwards)
		return rc == 0 ? 0 : store_tx_del(a->tx, KEY_SLICE(k), e);
	if (!set->has_forward) {
		targets = arena_copy(store_tx_scratch(a->tx), old.targets);
		if (!targets.p)
			return err_set(e, ERR_TEMP, "out of memory in an intent");
	}
	if (none_is_self(a, targets, e) < 0)
		return -1;
	return forward_put(a, targets, set->has_keep ? set->keep : old.keep, e);
}

/*
 * Grants: a row with the mailbox, and one with the grantee, by which he finds it and by which the grant ends
 * with him.
 */
#include "mailbox/rights.h"
#include "limits.h"
#include "mailbox/address.h"
#include "mailbox/folder.h"
#include "mailbox/rights_tx.h"
#include "mailbox/row.h"

uint8_t rights_flags(unsigned rights)
{
	return (uint8_t)((rights & RIGHT_SEEN ? FLAG_SEEN : 0) | (rights & RIGHT_DELETE ? FLAG_DELETED : 0) |
			 (rights & RIGHT_WRITE ? MAILBOX_FLAGS_ALL & ~(FLAG_SEEN | FLAG_DELETED) : 0));
}

/* ---- what somebody may do ---- */

/* 1, 0 nothing was granted, -1 */
static int grant_get(struct view v, uint32_t account, uint32_t mailbox, uint32_t grantee,
	struct mailbox_grant *ret, err *e)
{
	struct key k = key_grant(account, mailbox, grantee);
	slice value;
	int rc = view_get(v, KEY_SLICE(k), &value, e);
	*ret = (struct mailbox_grant){.grantee = grantee};
	if (rc <= 0)
		return rc;
	return row_grant_get(value, ret, e) < 0 ? -1 : 1;
}

/* Of somebody who is not the owner, and whatever the owner's account is. */
static int granted(struct view v, uint32_t account, uint32_t mailbox, uint32_t by, unsigned *ret, err *e)
{
	struct mailbox_grant own, anyone;
	if (grant_get(v, account, mailbox, by, &own, e) < 0 ||
		grant_get(v, account, mailbox, RIGHTS_ANYONE, &anyone, e) < 0)
		return -1;
	*ret = (own.rights | anyone.rights) & ~(own.denied | anyone.denied);
	return 0;
}

int mailbox_rights(
	struct store_snap *snap, uint32_t account, uint32_t mailbox, uint32_t by, unsigned *ret, err *e)
{
	struct account_row row;
	*ret = RIGHTS_ALL;
	if (account == by)
		return 0;
	int rc = account_get(snap, account, &row, e);
	*ret = 0;
	return rc <= 0 ? rc : granted(view_snap(snap), account, mailbox, by, ret, e);
}

int mailbox_grants(struct store_snap *snap, uint32_t account, uint32_t mailbox, struct arena *a,
	struct mailbox_grant **ret, size_t *ret_n, err *e)
{
	struct key prefix = key_grants(account, mailbox);
	struct mailbox_grant *list = arena_new_n(a, struct mailbox_grant, LIMIT_GRANTS);
	struct store_scan sc;
	slice k, v;
	size_t n = 0;
	if (!list)
		return err_set(e, ERR_LIMIT, "no room for the rights of a mailbox");
	if (store_scan_open(snap, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1 && n < LIMIT_GRANTS; rc = store_scan_next(&sc, &k, &v, e)) {
		list[n].grantee = be32_get(k.p + k.n - 4);
		if (row_grant_get(v, &list[n++], e) < 0) {
			rc = -1;
			break;
		}
	}
	store_scan_close(&sc);
	*ret = list;
	*ret_n = n;
	return rc < 0 ? -1 : 0;
}

/* ---- in an intent ---- */

int rights_tx_of(struct store_tx *tx, uint32_t account, uint32_t mailbox, uint32_t by, unsigned *ret, err *e)
{
	return granted(view_tx(tx), account, mailbox, by, ret, e);
}

int rights_tx_need(const struct mailbox_tx *m, uint32_t by, unsigned need, unsigned *ret, err *e)
{
	unsigned rights = RIGHTS_ALL;
	if (by != 0 && by != m->a->id && granted(view_tx(m->a->tx), m->a->id, m->row.id, by, &rights, e) < 0)
		return -1;
	if (ret)
		*ret = rights;
	if ((rights & need) == need)
		return 0;
	return rights & RIGHT_LOOKUP ? err_set(e, ERR_NOPERM, "the mailbox's owner does not permit that")
				     : err_set(e, ERR_MISSING, "there is no such mailbox");
}

int rights_tx_may_create(struct account_tx *a, uint32_t parent, uint32_t by, err *e)
{
	unsigned rights = RIGHTS_ALL;
	if (by != 0 && by != a->id) {
		rights = 0;
		if (parent && granted(view_tx(a->tx), a->id, parent, by, &rights, e) < 0)
			return -1;
	}
	return rights & RIGHT_CREATE ? 0 : err_set(e, ERR_NOPERM, "you may not make mailboxes there");
}

static int put(struct account_tx *a, uint32_t mailbox, const struct mailbox_grant *g, err *e)
{
	struct key grant = key_grant(a->id, mailbox, g->grantee);
	struct key share = key_share(g->grantee, a->id, mailbox);
	if (g->rights == 0 && g->denied == 0)
		return store_tx_del(a->tx, KEY_SLICE(grant), e) < 0 ||
				       store_tx_del(a->tx, KEY_SLICE(share), e) < 0
			       ? -1
			       : 0;
	buf_reset(&a->out);
	row_grant_put(&a->out, g);
	if (account_tx_put(a, KEY_SLICE(grant), e) < 0)
		return -1;
	buf_reset(&a->out);
	row_id_put(&a->out, mailbox);
	return account_tx_put(a, KEY_SLICE(share), e);
}

/* Whether the prefix has fewer than max rows. 1, 0, -1. */
static int has_room(struct store_tx *tx, const struct key *prefix, unsigned max, err *e)
{
	struct store_scan sc;
	slice k, v;
	unsigned n = 0;
	if (store_tx_scan(tx, KEY_SLICE(*prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(*prefix), &k, &v, e);
	while (rc == 1 && ++n < max)
		rc = store_scan_next(&sc, &k, &v, e);
	store_scan_close(&sc);
	return rc < 0 ? -1 : n < max;
}

/* Whether one more mailbox may be shared with the grantee. 1, 0, -1. */
static int may_share(struct account_tx *a, uint32_t grantee, err *e)
{
	bool anyone = grantee == RIGHTS_ANYONE;
	struct key of_account = key_shares_of(grantee, a->id), all = key_shares(RIGHTS_ANYONE);
	int rc = has_room(a->tx, &of_account, anyone ? LIMIT_SHARES_ANYONE : LIMIT_SHARES, e);
	return rc == 1 && anyone ? has_room(a->tx, &all, LIMIT_SHARED_ANYONE, e) : rc;
}

int rights_tx_inherit(struct account_tx *a, uint32_t parent, uint32_t mailbox, err *e)
{
	struct key prefix = key_grants(a->id, parent);
	struct mailbox_grant *list = NULL;
	struct store_scan sc;
	slice k, v;
	size_t n = 0;
	if (parent == 0)
		return 0;
	if (store_tx_scan(a->tx, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1 && n < LIMIT_GRANTS; rc = store_scan_next(&sc, &k, &v, e)) {
		if (!list)
			list = arena_new_n(store_tx_scratch(a->tx), struct mailbox_grant, LIMIT_GRANTS);
		rc = list ? 0 : err_set(e, ERR_TEMP, "out of memory in an intent");
		if (rc == 0) {
			list[n].grantee = be32_get(k.p + k.n - 4);
			rc = row_grant_get(v, &list[n++], e);
		}
		if (rc < 0)
			break;
	}
	store_scan_close(&sc);
	for (size_t i = 0; i < n && rc >= 0; i++) {
		rc = may_share(a, list[i].grantee, e);
		if (rc == 0)
			list[i].rights = 0; /* what is denied stays denied */
		if (rc >= 0 && (list[i].rights || list[i].denied))
			rc = put(a, mailbox, &list[i], e);
	}
	return rc < 0 ? -1 : 0;
}

/* Ends the first grant of the prefix. 1, 0 there is none, -1. */
static int drop_first(struct store_tx *tx, const struct key *prefix, uint32_t account, err *e)
{
	struct key_name first;
	int rc = view_first(view_tx(tx), KEY_SLICE(*prefix), &first, e);
	if (rc <= 0)
		return rc;
	struct key share =
		key_share(be32_get(first.b + first.n - 4), account, be32_get(first.b + first.n - 8));
	return store_tx_del(tx, KEY_SLICE(first), e) < 0 || store_tx_del(tx, KEY_SLICE(share), e) < 0 ? -1
												      : 1;
}

/* The change row: whose rights are others than these, change_concerns. */
static int tell(struct account_tx *a, uint32_t mailbox, const struct mailbox_grant *were, size_t n, err *e)
{
	char row[1 + 5 * LIMIT_GRANTS];
	row[0] = CHANGE_RIGHTS;
	for (size_t i = 0; i < n; i++) {
		be32_put(row + 1 + 5 * i, were[i].grantee);
		row[5 + 5 * i] = (were[i].rights & ~were[i].denied & RIGHT_LOOKUP) != 0;
	}
	return account_tx_change_raw(a, mailbox, CHANGE_SETTINGS, slice_make(row, 1 + 5 * n), e);
}

/* All grants of a mailbox end: those who had any hear of it. */
static int tell_end(struct account_tx *a, uint32_t mailbox, err *e)
{
	struct key prefix = key_grants(a->id, mailbox);
	struct mailbox_grant were[LIMIT_GRANTS];
	struct store_scan sc;
	slice k, v;
	size_t n = 0;
	if (store_tx_scan(a->tx, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1 && n < LIMIT_GRANTS; rc = store_scan_next(&sc, &k, &v, e)) {
		were[n].grantee = be32_get(k.p + k.n - 4);
		if (row_grant_get(v, &were[n++], e) < 0) {
			rc = -1;
			break;
		}
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : n > 0 ? tell(a, mailbox, were, n, e) : 0;
}

int rights_tx_drop(struct account_tx *a, uint32_t mailbox, err *e)
{
	struct key prefix = key_grants(a->id, mailbox);
	int rc;
	if (tell_end(a, mailbox, e) < 0)
		return -1;
	do
		rc = drop_first(a->tx, &prefix, a->id, e);
	while (rc == 1);
	return rc;
}

/* Ends the first grant made to the account. 1, 0 there is none, -1. */
static int drop_first_share(struct store_tx *tx, uint32_t grantee, err *e)
{
	struct key prefix = key_shares(grantee);
	struct key_name first;
	int rc = view_first(view_tx(tx), KEY_SLICE(prefix), &first, e);
	if (rc <= 0)
		return rc;
	struct key grant =
		key_grant(be32_get(first.b + first.n - 8), be32_get(first.b + first.n - 4), grantee);
	return store_tx_del(tx, KEY_SLICE(grant), e) < 0 || store_tx_del(tx, KEY_SLICE(first), e) < 0 ? -1
												      : 1;
}

int rights_tx_clear(struct store_tx *tx, uint32_t account, unsigned *left, err *e)
{
	struct key prefix = key_kind(account, KEY_GRANT);
	int rc = 1;
	while (rc == 1 && *left > 0) {
		rc = drop_first(tx, &prefix, account, e);
		if (rc == 0)
			rc = drop_first_share(tx, account, e);
		*left -= rc == 1;
	}
	return rc;
}

/* ---- changing them ---- */

static unsigned changed(unsigned have, const struct rights_change *c)
{
	return c->op == RIGHTS_ADD      ? have | c->rights
	       : c->op == RIGHTS_REMOVE ? have & ~c->rights
					: c->rights;
}

/* A grantee who gets an entry: is he there, is there room for it? */
static int may_grant(struct account_tx *a, const struct rights_change *c, err *e)
{
	struct key grants = key_grants(a->id, c->mailbox);
	struct account_row row;
	int rc = c->grantee == RIGHTS_ANYONE ? 1 : account_lookup(view_tx(a->tx), c->grantee, &row, e);
	if (rc == 0 || (rc == 1 && c->grantee != RIGHTS_ANYONE && row.removed))
		return err_set(e, ERR_MISSING, "there is no account %u", c->grantee);
	if (rc == 1)
		rc = has_room(a->tx, &grants, LIMIT_GRANTS, e);
	if (rc == 1)
		rc = may_share(a, c->grantee, e);
	return rc == 0 ? err_set(e, ERR_LIMIT, "too many mailboxes are shared like that") : rc;
}

static int run(struct store_tx *tx, void *arg, err *e)
{
	const struct rights_change *c = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	struct mailbox_tx *m = NULL;
	struct mailbox_grant g;
	if (account_tx_open(tx, c->account, &a, e) < 0 || mailbox_tx_open(&a, c->mailbox, false, &m, e) < 0 ||
		rights_tx_need(m, c->by, RIGHT_ADMIN, NULL, e) < 0)
		return -1;
	if (c->grantee == a.id)
		return err_set(e, ERR_DENIED, "the owner of a mailbox has all rights, always");
	int there = grant_get(view_tx(tx), a.id, m->row.id, c->grantee, &g, e);
	struct mailbox_grant old = g;
	unsigned *entry = c->denied ? &g.denied : &g.rights;
	*entry = changed(*entry, c);
	if (there < 0)
		return -1;
	if (g.rights == old.rights && g.denied == old.denied)
		return 0;
	if (!there && may_grant(&a, c, e) < 0)
		return -1;
	if (put(&a, m->row.id, &g, e) < 0 || tell(&a, m->row.id, &old, 1, e) < 0)
		return -1;
	if (c->grantee != RIGHTS_ANYONE)
		store_tx_note(tx, c->grantee, 0, 0); /* whom he follows may be another */
	return account_tx_close(&a, e);
}

int mailbox_rights_change(struct store *s, const struct rights_change *c, err *e)
{
	struct rights_change job = *c;
	return store_commit(s, run, &job, e);
}

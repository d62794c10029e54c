#include "mailbox/metadata.h"
#include "limits.h"
#include "mailbox/metadata_tx.h"
#include "mailbox/rights_tx.h"
#include "mailbox/row.h"
#include "mailbox/view.h"

enum {
	HEAD = 1 + 4 + 1 + 1 + 4 + 4,              /* of a key, in front of the name */
	VALUE_MAX = LIMIT_METADATA_VALUE + 512,    /* a row: its version, the name's spelling, the value */
	CHANGE_NAMES = 1500 - LIMIT_METADATA_NAME, /* of one change row, as in tx.c */
};
_Static_assert(HEAD + LIMIT_METADATA_NAME <= KV_KEY_MAX, "a key has room for every name");

static bool lower_name(slice name, char *to, slice *ret)
{
	if (name.n > LIMIT_METADATA_NAME)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		if ((unsigned char)name.p[i] < ' ' || (unsigned char)name.p[i] > '~')
			return false;
		to[i] = ascii_lower(name.p[i]);
	}
	*ret = slice_make(to, name.n);
	return true;
}

static int row_get(slice in, struct metadata *ret, err *e)
{
	struct rd r = rd_of(in);
	uint8_t version = rd_u8(&r);
	slice name = rd_bytes(&r, LIMIT_METADATA_NAME);
	slice value = rd_bytes(&r, LIMIT_METADATA_VALUE);

	if (version != ROW_VERSION || !rd_done(&r))
		return err_set(e, ERR_CORRUPT, "a metadata row does not decode");
	ret->name = name;
	ret->value = value.p ? value : S("");
	return 0;
}

/* ---- reading ---- */

int mailbox_metadata_get(struct store_snap *snap, uint32_t account, uint32_t mailbox, uint32_t who,
	slice name, struct metadata *ret, err *e)
{
	char lower[LIMIT_METADATA_NAME];
	struct key_name k;
	slice row;

	if (!lower_name(name, lower, &name))
		return 0;
	key_metadata(&k, account, mailbox, who, name);
	int rc = store_snap_get(snap, KEY_SLICE(k), &row, e);
	struct metadata m = {.who = who};
	if (rc <= 0 || row_get(row, &m, e) < 0)
		return rc <= 0 ? rc : -1;
	*ret = m;
	return 1;
}

int metadata_open(struct store_snap *snap, uint32_t account, uint32_t mailbox, uint32_t who, slice name,
	struct metadata_scan *ret, err *e)
{
	char lower[LIMIT_METADATA_NAME];
	struct key_name k;

	if (!lower_name(name, lower, &name))
		return err_set(e, ERR_SYNTAX, "not a name of metadata");
	key_metadata(&k, account, mailbox, who, name);
	memcpy(ret->prefix, k.b, k.n);
	ret->who = who;
	ret->started = false;
	return store_scan_open(snap, slice_make(ret->prefix, k.n), &ret->scan, e);
}

int metadata_next(struct metadata_scan *sc, struct metadata *ret, err *e)
{
	struct metadata m = {.who = sc->who};
	slice k, v;
	int rc = sc->started ? store_scan_next(&sc->scan, &k, &v, e)
			     : store_scan_seek(&sc->scan, sc->scan.prefix, &k, &v, e);

	sc->started = true;
	if (rc <= 0 || row_get(v, &m, e) < 0)
		return rc <= 0 ? rc : -1;
	*ret = m;
	return 1;
}

void metadata_close(struct metadata_scan *sc)
{
	store_scan_close(&sc->scan);
}

bool change_metadata(struct change *c, uint32_t *ret_who, slice *ret_name)
{
	struct rd r = rd_of(c->ranges);
	uint64_t who = rd_var(&r);
	slice name = rd_bytes(&r, LIMIT_METADATA_NAME);

	if (c->kind != CHANGE_METADATA || r.bad || who > UINT32_MAX)
		return false;
	c->ranges = slice_make(r.p, r.n);
	*ret_who = (uint32_t)who;
	*ret_name = name;
	return true;
}

/* ---- how much there is ---- */

struct pile {
	uint64_t n, bytes;
};
struct total { /* of an account: its own values, the shared ones too, and what others keep at its mailboxes */
	struct pile own, guests;
};

static int total_get(struct account_tx *a, struct total *ret, err *e)
{
	struct key k = key_setting(a->id, SETTING_METADATA_TOTAL);
	struct total t = {0};
	slice row;
	int rc = store_tx_get(a->tx, KEY_SLICE(k), &row, e);

	if (rc == 1) {
		struct rd r = rd_of(row);
		uint8_t version = rd_u8(&r);
		t.own.n = rd_var(&r), t.own.bytes = rd_var(&r);
		t.guests.n = rd_var(&r), t.guests.bytes = rd_var(&r);
		if (version != ROW_VERSION || !rd_done(&r))
			return err_set(e, ERR_CORRUPT, "the metadata of account %u is counted wrong", a->id);
	}
	*ret = t;
	return rc < 0 ? -1 : 0;
}

static int total_put(struct account_tx *a, const struct total *t, err *e)
{
	struct key k = key_setting(a->id, SETTING_METADATA_TOTAL);

	buf_reset(&a->out);
	wire_put_u8(&a->out, ROW_VERSION);
	wire_put_var(&a->out, t->own.n), wire_put_var(&a->out, t->own.bytes);
	wire_put_var(&a->out, t->guests.n), wire_put_var(&a->out, t->guests.bytes);
	return account_tx_put(a, KEY_SLICE(k), e);
}

static struct pile *pile_of(struct total *t, uint32_t account, uint32_t who)
{
	return who == METADATA_SHARED || who == account ? &t->own : &t->guests;
}

static void take_off(struct pile *p, uint64_t bytes)
{
	p->n -= p->n > 0;
	p->bytes -= p->bytes < bytes ? p->bytes : bytes;
}

/* How many of them one person, or all together (METADATA_SHARED), have at a mailbox. */
static int count(struct account_tx *a, uint32_t mailbox, uint32_t who, unsigned *ret, err *e)
{
	struct key_name prefix;
	struct store_scan sc;
	slice k, v;
	unsigned n = 0;

	key_metadata(&prefix, a->id, mailbox, who, (slice){0});
	if (store_tx_scan(a->tx, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1; rc = store_scan_next(&sc, &k, &v, e))
		n++;
	store_scan_close(&sc);
	*ret = n;
	return rc;
}

/* ---- the intent ---- */

struct change_names {
	struct account_tx *a;
	uint32_t mailbox;
	struct buf names;
};

static int names_flush(struct change_names *c, err *e)
{
	if (c->names.failed)
		return err_set(e, ERR_TEMP, "out of memory in an intent");
	int rc = c->names.n
			 ? account_tx_change_raw(c->a, c->mailbox, CHANGE_METADATA, buf_slice(&c->names), e)
			 : 0;
	buf_reset(&c->names);
	return rc;
}

static int names_add(struct change_names *c, uint32_t who, slice name, err *e)
{
	wire_put_var(&c->names, who);
	wire_put_bytes(&c->names, name);
	return c->names.n >= CHANGE_NAMES ? names_flush(c, e) : 0;
}

static int has_room(struct account_tx *a, uint32_t mailbox, uint32_t who, const struct pile *p, bool adds,
	uint64_t bytes, err *e)
{
	bool own = who == METADATA_SHARED || who == a->id;
	unsigned n = 0;

	if (adds && count(a, mailbox, who, &n, e) < 0)
		return -1;
	if (adds && (n >= LIMIT_METADATA_ENTRIES || (!own && p->n >= LIMIT_METADATA_GUESTS)))
		return err_set(e, ERR_LIMIT, "a mailbox keeps at most %d values", LIMIT_METADATA_ENTRIES);
	if (p->bytes + bytes > (own ? LIMIT_METADATA_BYTES : LIMIT_METADATA_GUEST_BYTES))
		return err_set(e, ERR_QUOTA, "the account has no room for more metadata");
	return 0;
}

/* 1: it is different now, 0: it was so already, -1. */
static int set_one(struct account_tx *a, uint32_t mailbox, const struct metadata *m, struct total *t, err *e)
{
	char bytes[LIMIT_METADATA_NAME];
	struct metadata old = {0};
	struct key_name k;
	slice lower, row;

	if (m->name.n == 0 || !lower_name(m->name, bytes, &lower))
		return err_set(e, ERR_SYNTAX, "not a name of metadata");
	key_metadata(&k, a->id, mailbox, m->who, lower);
	int there = store_tx_get(a->tx, KEY_SLICE(k), &row, e);
	if (there < 0 || (there && row_get(row, &old, e) < 0))
		return -1;
	if (!m->value.p ? !there : there && slice_eq(old.value, m->value))
		return 0;
	struct pile *p = pile_of(t, a->id, m->who);
	if (there)
		take_off(p, lower.n + old.value.n);
	if (!m->value.p)
		return store_tx_del(a->tx, KEY_SLICE(k), e) < 0 ? -1 : 1;
	if (has_room(a, mailbox, m->who, p, !there, lower.n + m->value.n, e) < 0)
		return -1;
	p->n++;
	p->bytes += lower.n + m->value.n;
	struct buf out = BUF_INIT(VALUE_MAX);
	wire_put_u8(&out, ROW_VERSION);
	wire_put_bytes(&out, m->name);
	wire_put_bytes(&out, m->value);
	int rc = out.failed ? err_set(e, ERR_TEMP, "out of memory in an intent")
			    : store_tx_put(a->tx, KEY_SLICE(k), buf_slice(&out), e);
	buf_free(&out);
	return rc < 0 ? -1 : 1;
}

static int set_all(struct account_tx *a, const struct metadata_set *set, err *e)
{
	struct change_names names = {a, set->mailbox, BUF_INIT(CHANGE_NAMES + LIMIT_METADATA_NAME + 16)};
	struct total t;
	int rc = total_get(a, &t, e);

	for (size_t i = 0; i < set->n && rc >= 0; i++) {
		rc = set_one(a, set->mailbox, &set->values[i], &t, e);
		if (rc == 1)
			rc = names_add(&names, set->values[i].who, set->values[i].name, e);
	}
	if (rc == 0)
		rc = names_flush(&names, e);
	buf_free(&names.names);
	if (rc == 0 && a->modseq)
		rc = total_put(a, &t, e);
	return rc;
}

static int set_use(struct mailbox_tx *m, enum mailbox_use use, err *e)
{
	if (m->row.use == use)
		return 0;
	if (m->row.noselect)
		return err_set(e, ERR_DENIED, "a mere name has no special use");
	m->row.use = use;
	m->dirty = true;
	return mailbox_tx_close(m, e) < 0 ? -1 : account_tx_settings(m->a, m->row.id, CHANGE_USE, e);
}

/* m NULL: the account as a whole. */
static int may_set(const struct mailbox_tx *m, const struct metadata_set *set, err *e)
{
	unsigned rights, need = RIGHT_LOOKUP;

	if (set->by == 0 || set->by == set->account)
		return 0;
	if (!m || set->has_use)
		return err_set(e, ERR_NOPERM, "that is its owner's to set");
	for (size_t i = 0; i < set->n; i++) {
		uint32_t who = set->values[i].who;

		if (who == METADATA_SHARED)
			need |= RIGHT_WRITE;
		else if (who != set->by)
			return err_set(e, ERR_NOPERM, "that is private to somebody else");
	}
	if (rights_tx_need(m, set->by, need, &rights, e) < 0)
		return -1;
	return rights_metadata(rights) ? 0
				       : err_set(e, ERR_NOPERM, "the mailbox's owner does not permit that");
}

static int set_run(struct store_tx *tx, void *arg, err *e)
{
	const struct metadata_set *set = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	struct mailbox_tx *m = NULL;

	if (account_tx_open(tx, set->account, &a, e) < 0 ||
		(set->mailbox && mailbox_tx_open(&a, set->mailbox, true, &m, e) < 0))
		return -1;
	if (m && m->row.removed)
		return err_set(e, ERR_MISSING, "there is no such mailbox");
	if (may_set(m, set, e) < 0 || set_all(&a, set, e) < 0 ||
		(m && set->has_use && set_use(m, set->use, e) < 0))
		return -1;
	return account_tx_close(&a, e);
}

int mailbox_metadata_set(struct store *s, const struct metadata_set *set, err *e)
{
	struct metadata_set job = *set;

	for (size_t i = 0; i < set->n; i++)
		if (set->values[i].value.n > LIMIT_METADATA_VALUE)
			return err_set(e, ERR_QUOTA, "a value has at most %d bytes", LIMIT_METADATA_VALUE);
	return store_commit(s, set_run, &job, e);
}

/* ---- mailboxes that go, and INBOX renamed ---- */

int metadata_tx_drop(struct account_tx *a, uint32_t mailbox, err *e)
{
	struct key prefix = key_metadata_all(a->id, mailbox);
	struct total t;
	bool any = false;

	for (;;) {
		struct metadata m;
		struct key_name k;
		slice row;
		int rc = view_first(view_tx(a->tx), KEY_SLICE(prefix), &k, e);

		if (rc <= 0)
			return rc == 0 && any ? total_put(a, &t, e) : rc;
		if ((!any && total_get(a, &t, e) < 0) || store_tx_get(a->tx, KEY_SLICE(k), &row, e) < 0 ||
			row_get(row, &m, e) < 0)
			return -1;
		any = true;
		take_off(pile_of(&t, a->id, be32_get(k.b + HEAD - 4)), m.name.n + m.value.n);
		if (store_tx_del(a->tx, KEY_SLICE(k), e) < 0)
			return -1;
	}
}

struct copy_job {
	uint32_t account, from, to;
};

/* The rows of one person, copied before the first is written. */
static int copy_of(struct account_tx *a, const struct copy_job *job, uint32_t who, struct total *t, err *e)
{
	struct metadata *all = arena_new_n(store_tx_scratch(a->tx), struct metadata, LIMIT_METADATA_ENTRIES);
	struct arena *scratch = store_tx_scratch(a->tx);
	struct key_name prefix;
	struct store_scan sc;
	slice k, v;
	size_t n = 0;

	key_metadata(&prefix, a->id, job->from, who, (slice){0});
	if (!all)
		return err_set(e, ERR_TEMP, "out of memory in an intent");
	if (store_tx_scan(a->tx, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1 && n < LIMIT_METADATA_ENTRIES; rc = store_scan_next(&sc, &k, &v, e)) {
		all[n].who = who;
		v = arena_copy(scratch, v);
		if (!v.p || row_get(v, &all[n++], e) < 0) {
			rc = v.p ? -1 : err_set(e, ERR_TEMP, "out of memory in an intent");
			break;
		}
	}
	store_scan_close(&sc);
	for (size_t i = 0; i < n && rc >= 0; i++) {
		err full = {0};
		struct total before = *t;

		rc = set_one(a, job->to, &all[i], t, &full);
		if (rc < 0 && (full.kind == ERR_LIMIT || full.kind == ERR_QUOTA)) {
			*t = before;
			rc = 0;
		} else if (rc < 0) {
			*e = full;
		}
	}
	return rc < 0 ? -1 : 0;
}

static int copy_run(struct store_tx *tx, void *arg, err *e)
{
	const struct copy_job *job = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	struct mailbox_tx *m = NULL;
	struct total t;

	if (account_tx_open(tx, job->account, &a, e) < 0 || mailbox_tx_open(&a, job->to, true, &m, e) < 0 ||
		total_get(&a, &t, e) < 0 || copy_of(&a, job, METADATA_SHARED, &t, e) < 0 ||
		copy_of(&a, job, job->account, &t, e) < 0)
		return -1;
	return t.own.n == 0 ? 0 : total_put(&a, &t, e);
}

int mailbox_metadata_copy(struct store *s, uint32_t account, uint32_t from, uint32_t to, err *e)
{
	struct copy_job job = {account, from, to};

	return store_commit(s, copy_run, &job, e);
}

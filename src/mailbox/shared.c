/* What others share with an account: found by the grants made to it and to anyone; and its subscriptions. */
#include "base/hash.h"
#include "limits.h"
#include "mailbox/address.h"
#include "mailbox/folder.h"
#include "mailbox/keys.h"
#include "mailbox/rights_tx.h"
#include "mailbox/row.h"
#include <stdlib.h>

struct found {
	uint32_t account, mailbox;
};

static int by_owner(const void *x, const void *y)
{
	const struct found *a = x, *b = y;
	if (a->account != b->account)
		return a->account < b->account ? -1 : 1;
	return a->mailbox < b->mailbox ? -1 : a->mailbox > b->mailbox;
}

struct founds {
	struct found *list;
	size_t n, cap;
};

static bool found_add(struct founds *f, struct arena *a, struct found one)
{
	if (f->n == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 64;
		struct found *more = arena_new_n(a, struct found, cap);
		if (!more)
			return false;
		if (f->n)
			memcpy(more, f->list, f->n * sizeof *more);
		f->list = more;
		f->cap = cap;
	}
	f->list[f->n++] = one;
	return true;
}

static int full(err *e)
{
	return err_set(e, ERR_LIMIT, "no room for the list of mailboxes");
}

/* Adds what is shared with that grantee to the list. */
static int gather(struct store_snap *snap, uint32_t grantee, struct arena *a, struct founds *f, err *e)
{
	struct key prefix = key_shares(grantee);
	struct store_scan sc;
	slice k, v;
	if (store_scan_open(snap, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1 && f->n < LIMIT_SHARED; rc = store_scan_next(&sc, &k, &v, e)) {
		const struct found one = {be32_get(k.p + k.n - 8), be32_get(k.p + k.n - 4)};
		if (!found_add(f, a, one)) {
			rc = full(e);
			break;
		}
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : 0;
}

struct shared {
	struct store_snap *snap;
	uint32_t grantee;
	struct arena *arena;
	struct mailbox_item *items;
	size_t n;
	uint32_t account, parent; /* of the path last made */
	slice path;               /* of that parent, with a separator behind it */
	uint16_t depth;
};

/* The path of a parent, from below up; siblings mostly follow each other. */
static int parent_path(struct shared *s, uint32_t account, uint32_t parent, err *e)
{
	slice level[LIMIT_MAILBOX_DEPTH];
	unsigned n = 0;
	size_t bytes = 0;
	if (s->account == account && s->parent == parent)
		return 1;
	for (uint32_t id = parent; id;) {
		struct mailbox_row row;
		int rc = mailbox_get(s->snap, account, id, &row, e);
		if (rc <= 0)
			return rc;
		if (n == LIMIT_MAILBOX_DEPTH)
			return err_set(e, ERR_CORRUPT, "mailbox %u lies too deep", parent);
		level[n++] = row.name;
		bytes += row.name.n + 1;
		id = row.parent;
	}
	char *path = arena_new_n(s->arena, char, bytes + 1), *at = path;
	if (!path)
		return full(e);
	for (unsigned i = n; i-- > 0;) {
		memcpy(at, level[i].p, level[i].n);
		at += level[i].n;
		*at++ = MAILBOX_SEPARATOR;
	}
	s->account = account;
	s->parent = parent;
	s->path = slice_make(path, bytes);
	s->depth = (uint16_t)n;
	return 1;
}

/* 0, -1 */
static int add(struct shared *s, const struct found *f, err *e)
{
	struct mailbox_row row;
	unsigned rights;
	if (f->account == s->grantee)
		return 0;
	if (mailbox_rights(s->snap, f->account, f->mailbox, s->grantee, &rights, e) < 0)
		return -1;
	if (!(rights & RIGHT_LOOKUP))
		return 0;
	int rc = mailbox_get(s->snap, f->account, f->mailbox, &row, e);
	if (rc > 0 && !row.noselect)
		rc = parent_path(s, f->account, row.parent, e);
	if (rc <= 0 || row.noselect)
		return rc < 0 ? -1 : 0;
	struct mailbox_item *item = &s->items[s->n++];
	item->row = row;
	item->depth = s->depth;
	item->rights = rights;
	item->path = arena_fmt(s->arena, "%.*s%.*s", (int)s->path.n, s->path.p, (int)row.name.n, row.name.p);
	item->row.name = item->path.p ? slice_skip(item->path, s->path.n) : (slice){0};
	item->row.keywords = row.keywords.n ? arena_copy(s->arena, row.keywords) : (slice){0};
	return item->path.p && (row.keywords.n == 0 || item->row.keywords.p) ? 0 : full(e);
}

int mailbox_shared(struct store_snap *snap, uint32_t grantee, struct arena *a, struct mailbox_item **ret,
	size_t *ret_n, err *e)
{
	struct shared s = {.snap = snap, .grantee = grantee, .arena = a};
	struct founds f = {0};
	if (gather(snap, grantee, a, &f, e) < 0 || gather(snap, RIGHTS_ANYONE, a, &f, e) < 0)
		return -1;
	if (f.n > 0) {
		qsort(f.list, f.n, sizeof *f.list, by_owner);
		s.items = arena_new_n(a, struct mailbox_item, f.n);
		if (!s.items)
			return full(e);
	}
	for (size_t i = 0; i < f.n; i++) {
		if (i > 0 && by_owner(&f.list[i - 1], &f.list[i]) == 0)
			continue; /* shared with him and with anyone */
		if (add(&s, &f.list[i], e) < 0)
			return -1;
	}
	*ret = s.items;
	*ret_n = s.n;
	return 0;
}

int mailbox_shares_any(struct store_snap *snap, uint32_t account, uint32_t grantee, err *e)
{
	const uint32_t to[] = {grantee, RIGHTS_ANYONE};
	int found = account == grantee;
	for (size_t i = 0; i < COUNT_OF(to) && found == 0; i++) {
		struct key prefix = key_shares_of(to[i], account);
		struct store_scan sc;
		unsigned rights;
		slice k, v;
		if (store_scan_open(snap, KEY_SLICE(prefix), &sc, e) < 0)
			return -1;
		int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
		for (; rc == 1 && !found; rc = found ? rc : store_scan_next(&sc, &k, &v, e)) {
			if (mailbox_rights(snap, account, be32_get(k.p + k.n - 4), grantee, &rights, e) < 0) {
				rc = -1;
				break;
			}
			found = (rights & RIGHT_LOOKUP) != 0;
		}
		store_scan_close(&sc);
		if (rc < 0)
			return -1;
	}
	return found;
}

/* ---- subscriptions ---- */

int mailbox_follows(struct store_snap *snap, uint32_t account, struct arena *a, struct mailbox_follow **ret,
	size_t *ret_n, err *e)
{
	struct key prefix = key_kind(account, KEY_FOLLOW);
	struct mailbox_follow *list = NULL;
	struct store_scan sc;
	slice k, v;
	size_t n = 0;
	if (store_scan_open(snap, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1 && n < LIMIT_FOLLOWS; rc = store_scan_next(&sc, &k, &v, e)) {
		if (!list)
			list = arena_new_n(a, struct mailbox_follow, LIMIT_FOLLOWS);
		rc = list ? row_follow_get(v, &list[n], e) : full(e);
		if (rc == 0) {
			list[n].path = arena_copy(a, list[n].path);
			rc = list[n++].path.p ? 0 : full(e);
		}
		if (rc < 0)
			break;
	}
	store_scan_close(&sc);
	*ret = list;
	*ret_n = n;
	return rc < 0 ? -1 : 0;
}

struct follow_job {
	uint32_t by;
	bool on;
	struct mailbox_follow follow;
	struct key key;
};

/* Whether the account may see the mailbox it subscribes to, and has room for one more. */
static int may_follow(struct store_tx *tx, const struct follow_job *job, err *e)
{
	struct key prefix = key_kind(job->by, KEY_FOLLOW);
	AUTO(account_tx_free) struct account_tx owner = {0};
	struct folder_path p;
	struct store_scan sc;
	unsigned rights = 0, n = 0;
	uint32_t id;
	slice k, v;
	if (folder_path_parse(job->follow.path, &p, e) < 0 ||
		account_tx_open(tx, job->follow.account, &owner, e) < 0)
		return -1;
	int rc = folder_find(view_tx(tx), owner.id, &p, p.n, &id, NULL, e);
	if (rc == 1 && rights_tx_of(tx, owner.id, id, job->by, &rights, e) < 0)
		return -1;
	if (rc < 0 || !(rights & RIGHT_LOOKUP))
		return rc < 0 ? -1 : err_set(e, ERR_MISSING, "there is no such mailbox");
	if (store_tx_scan(tx, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	while (rc == 1 && ++n < LIMIT_FOLLOWS)
		rc = store_scan_next(&sc, &k, &v, e);
	store_scan_close(&sc);
	if (rc == 1)
		return err_set(
			e, ERR_LIMIT, "an account follows at most %d mailboxes of others", LIMIT_FOLLOWS);
	return rc;
}

static int follow_run(struct store_tx *tx, void *arg, err *e)
{
	const struct follow_job *job = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	slice old;
	if (account_tx_open(tx, job->by, &a, e) < 0)
		return -1;
	int rc = store_tx_get(tx, KEY_SLICE(job->key), &old, e);
	if (rc < 0 || rc == job->on)
		return rc < 0 ? -1 : 0;
	store_tx_note(tx, job->by, 0, 0); /* his sessions follow other accounts then */
	if (!job->on)
		return store_tx_del(tx, KEY_SLICE(job->key), e);
	if (may_follow(tx, job, e) < 0)
		return -1;
	row_follow_put(&a.out, &job->follow);
	return account_tx_put(&a, KEY_SLICE(job->key), e);
}

/* The same name always gets the same key. Two that share one would harm only who made them up. */
static struct key key_of(uint32_t by, const struct buf *row)
{
	static const uint64_t first[2] = {1, 0}, second[2] = {2, 0};
	uint8_t hash[16];
	be64_put((char *)hash, hash_keyed(first, buf_slice(row)));
	be64_put((char *)hash + 8, hash_keyed(second, buf_slice(row)));
	return key_follow(by, hash);
}

int mailbox_follow_set(struct store *s, uint32_t by, uint32_t account, slice path, bool on, err *e)
{
	struct follow_job job = {.by = by, .on = on, .follow.account = account};
	struct buf name = BUF_INIT(LIMIT_MAILBOX_PATH), row = BUF_INIT(ROW_MAX);
	struct folder_path p;
	if (folder_path_parse(path, &p, e) < 0)
		return -1;
	for (unsigned i = 0; i < p.n; i++) {
		if (i > 0)
			buf_add_c(&name, MAILBOX_SEPARATOR);
		buf_add(&name, p.level[i]);
	}
	job.follow.path = buf_slice(&name);
	row_follow_put(&row, &job.follow);
	job.key = key_of(by, &row);
	int rc = name.failed || row.failed ? err_set(e, ERR_TEMP, "out of memory")
					   : store_commit(s, follow_run, &job, e);
	buf_free(&name);
	buf_free(&row);
	return rc;
}

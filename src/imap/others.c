#include "imap/others.h"
#include "imap/name.h"
#include "limits.h"
#include "mailbox/account.h"
#include <stdlib.h>

static slice escape(struct arena *a, slice address)
{
	char *to = arena_new_n(a, char, 3 * address.n + 1);
	size_t n = 0;

	for (size_t i = 0; to && i < address.n; i++) {
		bool plain = address.p[i] != '/' && address.p[i] != '=';

		memcpy(to + n, plain ? address.p + i : address.p[i] == '/' ? "=2F" : "=3D", plain ? 1 : 3);
		n += plain ? 1 : 3;
	}
	return to ? slice_make(to, n) : (slice){NULL, 0};
}

/* False: not what escape writes. */
static bool unescape(slice level, char *to, size_t max, slice *ret)
{
	size_t n = 0;

	while (level.n > 0 && n < max) {
		bool slash = slice_starts(level, S("=2F")), equal = slice_starts(level, S("=3D"));

		if (level.p[0] == '=' && !slash && !equal)
			return false;
		to[n++] = slash ? '/' : level.p[0];
		level = slice_skip(level, slash || equal ? 3 : 1);
	}
	*ret = slice_make(to, n);
	return level.n == 0;
}

int imap_others_read(struct imap_session *s, slice name, uint32_t *ret_account, slice *ret_path, err *e)
{
	char bytes[LIMIT_MAIL_LOCAL + 1 + LIMIT_MAIL_DOMAIN];
	slice rest = slice_skip(name, sizeof IMAP_OTHERS - 1), level, address;
	struct store_snap snap = {0};
	struct account_row row;

	if (!slice_starts(name, S(IMAP_OTHERS)))
		return 0;
	if (!slice_cut(&rest, MAILBOX_SEPARATOR, &level)) {
		level = rest;
		rest.n = 0;
	}
	if (!unescape(level, bytes, sizeof bytes, &address) || slice_find_c(address, '@') < 0)
		return 0;
	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	int rc = account_by_login(&snap, address, &row, e);
	if (rc > 0) {
		*ret_account = row.id;
		*ret_path = rest;
	}
	store_snap_end(&snap);
	return rc;
}

int imap_others_name(
	struct store_snap *snap, uint32_t account, slice path, struct arena *a, slice *ret, err *e)
{
	slice address, level;
	int rc = account_address(snap, account, a, &address, e);

	if (rc <= 0)
		return rc;
	level = escape(a, address);
	if (level.p)
		*ret = arena_fmt(a, IMAP_OTHERS "%.*s%s%.*s", (int)level.n, level.p, path.n ? "/" : "",
			(int)path.n, path.n ? path.p : "");
	return level.p && ret->p ? 1 : err_set(e, ERR_LIMIT, "no room for the list of mailboxes");
}

/* ---- the list ---- */

struct others {
	struct store_snap *snap;
	struct arena *arena;
	struct mailbox_item *items;
	size_t n;
	uint32_t account; /* whose name `owner` is */
	slice owner;
};

/* 0, -1; of an account that is gone nothing is listed. */
static int add(struct others *o, const struct mailbox_item *item, uint32_t account, slice path, err *e)
{
	struct mailbox_item *to = &o->items[o->n];

	if (o->account != account) {
		int rc = imap_others_name(o->snap, account, (slice){NULL, 0}, o->arena, &o->owner, e);
		if (rc <= 0)
			return rc;
		o->account = account;
	}
	*to = *item;
	to->path = arena_fmt(o->arena, "%.*s/%.*s", (int)o->owner.n, o->owner.p, (int)path.n, path.p);
	if (!to->path.p)
		return err_set(e, ERR_LIMIT, "no room for the list of mailboxes");
	o->n++;
	return 0;
}

/* Parents before their children: '/' sorts before all other bytes. */
static int by_tree(const void *x, const void *y)
{
	slice a = ((const struct mailbox_item *)x)->path, b = ((const struct mailbox_item *)y)->path;
	size_t n = a.n < b.n ? a.n : b.n, i = 0;

	while (i < n && a.p[i] == b.p[i])
		i++;
	if (i == n)
		return a.n < b.n ? -1 : a.n > b.n;
	if (a.p[i] == MAILBOX_SEPARATOR || b.p[i] == MAILBOX_SEPARATOR)
		return a.p[i] == MAILBOX_SEPARATOR ? -1 : 1;
	return (unsigned char)a.p[i] < (unsigned char)b.p[i] ? -1 : 1;
}

static unsigned depth_of(slice path)
{
	unsigned n = 0;

	for (size_t i = 0; i < path.n; i++)
		n += path.p[i] == MAILBOX_SEPARATOR;
	return n;
}

/* A mailbox and its subscription become one. */
static void join(struct others *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->n; i++) {
		struct mailbox_item *x = &o->items[i];

		if (n == 0 || !slice_eq(o->items[n - 1].path, x->path)) {
			o->items[n++] = *x;
			continue;
		}
		bool subscribed = o->items[n - 1].row.subscribed | x->row.subscribed;
		if (!x->row.noselect)
			o->items[n - 1] = *x;
		o->items[n - 1].row.subscribed = subscribed;
	}
	o->n = n;
}

/* Adds the levels that lie between one item and the next; `to` has room for them. */
static size_t with_levels(const struct others *o, struct mailbox_item *to)
{
	slice before = {NULL, 0};
	size_t n = 0;

	for (size_t i = 0; i < o->n; i++) {
		const struct mailbox_item *x = &o->items[i];

		for (size_t at = 0; at < x->path.n; at++) {
			slice level = slice_sub(x->path, 0, at);
			bool known = slice_starts(before, level) &&
				     (before.n == at || before.p[at] == MAILBOX_SEPARATOR);

			if (x->path.p[at] == MAILBOX_SEPARATOR && !known)
				to[n++] = (struct mailbox_item){.row.noselect = true, .path = level};
		}
		to[n++] = *x;
		before = x->path;
	}
	return n;
}

/* As mailbox_list says them; what is last in the tree is looked at first. */
static void find_children(struct mailbox_item *items, size_t n)
{
	bool below[LIMIT_MAILBOX_DEPTH + 4] = {false};

	while (n-- > 0) {
		struct mailbox_item *x = &items[n];

		x->depth = (uint16_t)depth_of(x->path);
		x->has_children = below[x->depth + 1];
		below[x->depth + 1] = false;
		x->absent = x->row.noselect && !x->has_children;
		below[x->depth] |= !x->absent;
	}
}

static int gather(struct imap_session *s, struct others *o, err *e)
{
	struct mailbox_item *shared;
	struct mailbox_follow *follows;
	size_t n, n_follows;

	if (mailbox_shared(o->snap, s->account, o->arena, &shared, &n, e) < 0 ||
		mailbox_follows(o->snap, s->account, o->arena, &follows, &n_follows, e) < 0)
		return -1;
	if (n + n_follows == 0)
		return 0;
	o->items = arena_new_n(o->arena, struct mailbox_item, n + n_follows);
	if (!o->items)
		return err_set(e, ERR_LIMIT, "no room for the list of mailboxes");
	for (size_t i = 0; i < n; i++) {
		shared[i].row.use = USE_NONE; /* the owner's, not ours: RFC 6154 2 */
		shared[i].row.subscribed = false;
		if (add(o, &shared[i], shared[i].row.account, shared[i].path, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < n_follows; i++) {
		const struct mailbox_item name = {.row = {.noselect = true, .subscribed = true}};

		if (add(o, &name, follows[i].account, follows[i].path, e) < 0)
			return -1;
	}
	return 0;
}

int imap_list_all(struct imap_session *s, struct store_snap *snap, struct arena *a, struct mailbox_item **ret,
	size_t *ret_n, err *e)
{
	struct others o = {.snap = snap, .arena = a};
	struct mailbox_item *all;
	size_t levels = 0;

	if (mailbox_list(snap, s->account, a, ret, ret_n, e) < 0 || gather(s, &o, e) < 0)
		return -1;
	if (o.n == 0)
		return 0;
	qsort(o.items, o.n, sizeof *o.items, by_tree);
	join(&o);
	for (size_t i = 0; i < o.n; i++)
		levels += depth_of(o.items[i].path);
	all = arena_new_n(a, struct mailbox_item, *ret_n + o.n + levels);
	if (!all)
		return err_set(e, ERR_LIMIT, "no room for the list of mailboxes");
	if (*ret_n)
		memcpy(all, *ret, *ret_n * sizeof *all);
	size_t n = with_levels(&o, all + *ret_n);
	find_children(all + *ret_n, n);
	*ret = all;
	*ret_n += n;
	return 0;
}

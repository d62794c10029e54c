/* All mailboxes of an account as a tree, walked depth first. */
#include "limits.h"
#include "mailbox/folder.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"
#include <stdlib.h>

static int full(err *e)
{
	return err_set(e, ERR_LIMIT, "no room for the list of mailboxes");
}

/* Reads all rows in sight, in id order. */
static int read_rows(struct store_snap *snap, uint32_t account, struct arena *a, struct mailbox_item **ret,
	size_t *ret_n, err *e)
{
	struct key prefix = key_kind(account, KEY_MAILBOX);
	struct store_scan sc;
	slice k, v;
	size_t n = 0, cap = 0;
	struct mailbox_item *items = NULL;
	if (store_scan_open(snap, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1; rc = store_scan_next(&sc, &k, &v, e)) {
		struct mailbox_row row;
		if (n == cap) {
			struct mailbox_item *more = arena_new_n(a, struct mailbox_item, cap ? cap * 2 : 32);
			if (!more) {
				rc = full(e);
				break;
			}
			if (n)
				memcpy(more, items, n * sizeof *more);
			items = more;
			cap = cap ? cap * 2 : 32;
		}
		if (row_mailbox_get(v, account, be32_get(k.p + k.n - 4), &row, e) < 0) {
			rc = -1;
			break;
		}
		if (row.removed)
			continue;
		row.name = arena_copy(a, row.name);
		row.keywords = row.keywords.n ? arena_copy(a, row.keywords) : (slice){0};
		if (!row.name.p) {
			rc = full(e);
			break;
		}
		items[n++].row = row;
	}
	store_scan_close(&sc);
	*ret = items;
	*ret_n = n;
	return rc;
}

/* By parent, INBOX first, then by name. */
static int by_parent(const void *x, const void *y)
{
	const struct mailbox_row *a = &((const struct mailbox_item *)x)->row;
	const struct mailbox_row *b = &((const struct mailbox_item *)y)->row;
	if (a->parent != b->parent)
		return a->parent < b->parent ? -1 : 1;
	if ((a->id == MAILBOX_INBOX) != (b->id == MAILBOX_INBOX))
		return a->id == MAILBOX_INBOX ? -1 : 1;
	return slice_cmp(a->name, b->name);
}

/* The first item with that parent; n when there is none. */
static size_t first_child(const struct mailbox_item *items, size_t n, uint32_t parent)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (items[mid].row.parent < parent)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n && items[low].row.parent == parent ? low : n;
}

static slice path_of(struct arena *a, slice parent, slice name)
{
	if (parent.n == 0)
		return name;
	return arena_fmt(a, "%.*s%c%.*s", (int)parent.n, parent.p, MAILBOX_SEPARATOR, (int)name.n, name.p);
}

/* Whether anything below is there. What is last in the tree is looked at first. */
static void find_children(struct mailbox_item *items, size_t n)
{
	bool below[LIMIT_MAILBOX_DEPTH + 1] = {false};
	while (n-- > 0) {
		struct mailbox_item *x = &items[n];
		x->has_children = below[x->depth + 1];
		below[x->depth + 1] = false;
		x->absent = x->row.noselect && !x->has_children;
		below[x->depth] |= !x->absent;
	}
}

int mailbox_list(struct store_snap *snap, uint32_t account, struct arena *a, struct mailbox_item **ret,
	size_t *ret_n, err *e)
{
	struct mailbox_item *items = NULL, *out;
	size_t at[LIMIT_MAILBOX_DEPTH]; /* the item under work at each depth */
	slice path[LIMIT_MAILBOX_DEPTH + 1] = {{0}};
	size_t n = 0, done = 0;
	if (read_rows(snap, account, a, &items, &n, e) < 0)
		return -1;
	out = n ? arena_new_n(a, struct mailbox_item, n) : NULL;
	if (n && !out)
		return full(e);
	if (n)
		qsort(items, n, sizeof *items, by_parent);
	int depth = 0;
	at[0] = first_child(items, n, 0);
	uint32_t parent[LIMIT_MAILBOX_DEPTH] = {0};
	while (depth >= 0 && done < n) {
		size_t i = at[depth];
		if (i >= n || items[i].row.parent != parent[depth]) {
			depth--;
			continue;
		}
		struct mailbox_item *x = &out[done++];
		at[depth]++;
		*x = items[i];
		x->depth = (uint16_t)depth;
		x->path = path_of(a, path[depth], x->row.name);
		if (!x->path.p)
			return full(e);
		size_t child = first_child(items, n, x->row.id);
		if (child < n && depth + 1 < LIMIT_MAILBOX_DEPTH) {
			depth++;
			at[depth] = child;
			parent[depth] = x->row.id;
			path[depth] = x->path;
		}
	}
	find_children(out, done);
	*ret = out;
	*ret_n = done;
	return 0;
}

/* ---- one of them ---- */

/* Adds the ids of a mailbox's children; stops at one that is a mailbox. 1 it met one, 0, -1. */
static int push_children(struct view v, uint32_t account, uint32_t id, uint32_t *stack, size_t *n, err *e)
{
	struct key_name prefix;
	struct store_scan sc;
	struct mailbox_row row;
	slice k, value;

	key_name(&prefix, account, id, (slice){0});
	if (view_scan(v, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &value, e), met = 0;
	for (; rc == 1 && met == 0 && *n < LIMIT_MAILBOXES; rc = store_scan_next(&sc, &k, &value, e)) {
		uint32_t child;

		if (row_id_get(value, &child, e) < 0 || folder_get(v, account, child, &row, e) < 0) {
			rc = -1;
			break;
		}
		met = !row.noselect;
		stack[(*n)++] = child;
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : met;
}

int folder_has_mailboxes(struct view v, uint32_t account, uint32_t id, err *e)
{
	int rc = folder_has_children(v, account, id, e);

	if (rc <= 0)
		return rc;
	uint32_t *stack = calloc(LIMIT_MAILBOXES, sizeof *stack);
	if (!stack)
		return err_set(e, ERR_TEMP, "no memory");
	size_t n = 0;
	rc = push_children(v, account, id, stack, &n, e);
	while (rc == 0 && n > 0) {
		id = stack[--n];
		rc = push_children(v, account, id, stack, &n, e);
	}
	free(stack);
	return rc;
}

int mailbox_item_get(struct store_snap *snap, uint32_t account, uint32_t mailbox, struct arena *a,
	struct mailbox_item *ret, err *e)
{
	struct mailbox_item x = {0};
	int rc = mailbox_get(snap, account, mailbox, &x.row, e);

	if (rc <= 0)
		return rc;
	if (folder_path_of(view_snap(snap), &x.row, a, &x.path, e) < 0)
		return -1;
	rc = folder_has_mailboxes(view_snap(snap), account, mailbox, e);
	if (rc < 0)
		return -1;
	x.has_children = rc > 0;
	x.absent = x.row.noselect && !x.has_children;
	for (size_t i = 0; i < x.path.n; i++)
		x.depth = (uint16_t)(x.depth + (x.path.p[i] == MAILBOX_SEPARATOR));
	x.row.name = slice_skip(x.path, x.path.n - x.row.name.n);
	x.row.keywords = x.row.keywords.n ? arena_copy(a, x.row.keywords) : (slice){0};
	*ret = x;
	return 1;
}

/* NOTIFY (RFC 5465) and mailboxes that others share (RFC 4314): which accounts are to be followed. */
#include "imap/notify.h"
#include "imap/others.h"

bool imap_notify_of_others(const struct notify_spec *spec)
{
	for (const struct notify_group *g = spec->groups; g; g = g->next) {
		if (g->filter == NOTIFY_SUBSCRIBED)
			return true;
		for (const struct notify_name *name = g->names; name; name = name->next)
			if (name->place.others)
				return true;
	}
	return false;
}

int imap_notify_resolve(struct imap_session *s, struct notify_spec *spec, err *e)
{
	for (const struct notify_group *g = spec->groups; g; g = g->next) {
		for (struct notify_name *name = g->names; name && g->filter == NOTIFY_SUBTREE;
			name = name->next) {
			struct imap_place *place = &name->place;
			uint32_t account;
			slice path;

			if (!place->others || place->account)
				continue;
			name->all_others = slice_eq(place->name, S(MAILBOX_OTHERS));
			int rc = name->all_others ? 0 : imap_others_read(s, place->name, &account, &path, e);
			if (rc < 0)
				return -1;
			if (rc > 0 && path.n == 0) {
				place->account = account;
				place->path = path;
			}
		}
	}
	return 0;
}

struct accounts {
	uint32_t *list;
	unsigned n;
	bool over;
};

static void add(struct accounts *a, uint32_t account)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->list[i] == account)
			return;
	if (a->n == NOTIFY_ACCOUNTS)
		a->over = true;
	else
		a->list[a->n++] = account;
}

static int add_subscribed(
	struct accounts *to, struct imap_session *s, struct store_snap *snap, struct arena *a, err *e)
{
	struct mailbox_follow *follows;
	size_t n;

	if (mailbox_follows(snap, s->account, a, &follows, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		add(to, follows[i].account);
	return 0;
}

static int add_all(
	struct accounts *to, struct imap_session *s, struct store_snap *snap, struct arena *a, err *e)
{
	struct mailbox_item *items;
	size_t n;

	if (mailbox_shared(snap, s->account, a, &items, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		add(to, items[i].row.account);
	return 0;
}

static int add_group(struct accounts *to, struct imap_session *s, const struct notify_group *g,
	struct store_snap *snap, struct arena *a, err *e)
{
	if (g->filter == NOTIFY_SUBSCRIBED && add_subscribed(to, s, snap, a, e) < 0)
		return -1;
	for (const struct notify_name *name = g->names; name; name = name->next) {
		if (name->all_others && add_all(to, s, snap, a, e) < 0)
			return -1;
		if (name->place.account)
			add(to, name->place.account);
	}
	return 0;
}

int imap_notify_accounts(struct imap_session *s, const struct notify_spec *spec, struct store_snap *snap,
	uint32_t ret[static NOTIFY_ACCOUNTS], unsigned *ret_n, err *e)
{
	struct accounts to = {.list = ret};
	struct arena *a = NULL;
	int rc = 0;

	add(&to, s->account);
	if (imap_notify_of_others(spec)) {
		a = arena_new(LIMIT_IMAP_LIST);
		rc = a ? 0 : err_set(e, ERR_TEMP, "no memory");
		for (const struct notify_group *g = spec->groups; rc == 0 && g; g = g->next)
			if (g->events != 0)
				rc = add_group(&to, s, g, snap, a, e);
		arena_free(a);
	}
	*ret_n = to.n;
	return rc < 0 ? -1 : !to.over;
}

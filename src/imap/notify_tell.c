/* NOTIFY (RFC 5465): which events a mailbox has, and the responses that tell of them. */
#include "imap/name.h"
#include "imap/notify.h"
#include "imap/others.h"
#include "limits.h"
#include "mailbox/metadata.h"

/* ---- which mailboxes ---- */

struct target { /* a mailbox, or a name that was one */
	uint32_t account, id;
	slice path;
	bool subscribed;
	unsigned rights; /* enum mailbox_right */
};

/* An empty top is the whole account. */
static bool below(slice path, slice top)
{
	return top.n == 0 ||
	       (slice_starts(path, top) && (path.n == top.n || path.p[top.n] == MAILBOX_SEPARATOR));
}

static bool is_named(const struct imap_session *s, const struct notify_group *g, const struct target *t)
{
	for (const struct notify_name *name = g->names; name; name = name->next) {
		if (name->all_others && t->account != s->account)
			return true;
		if (name->place.account == t->account &&
			(g->filter == NOTIFY_SUBTREE ? below(t->path, name->place.path)
						     : slice_eq(t->path, name->place.path)))
			return true;
	}
	return false;
}

static bool is_meant(const struct imap_session *s, const struct notify_group *g, const struct target *t)
{
	switch (g->filter) {
	case NOTIFY_INBOXES: /* where delivery brings mail */
		return t->account == s->account && t->id == MAILBOX_INBOX;
	case NOTIFY_PERSONAL:
		return t->account == s->account;
	case NOTIFY_SUBSCRIBED:
		return t->subscribed;
	case NOTIFY_SUBTREE:
	case NOTIFY_MAILBOXES:
		return is_named(s, g, t);
	case NOTIFY_SELECTED:
	case NOTIFY_SELECTED_DELAYED:
		break;
	}
	return false;
}

/* What of a mailbox is asked for, whatever the session may know of it. */
static unsigned asked_of(const struct notify_block *b, const struct target *t)
{
	unsigned events = 0;

	for (const struct notify_group *g = b->spec->groups; g; g = g->next) {
		if (!is_meant(b->s, g, t))
			continue;
		if (g->events == 0)
			return 0;
		events |= g->events;
	}
	return events;
}

#define EVENTS_OF_NAMES (NOTIFY_NAME | NOTIFY_SUBSCRIPTION) /* all others want RIGHT_READ */

static unsigned events_of(const struct notify_block *b, const struct target *t)
{
	if (!(t->rights & RIGHT_LOOKUP))
		return 0;
	return asked_of(b, t) & (t->rights & RIGHT_READ ? ~0u : EVENTS_OF_NAMES);
}

/* The session may see the mailbox, but not hear what it asked for (3.1). */
static bool no_access(const struct notify_block *b, const struct target *t)
{
	return (t->rights & (RIGHT_LOOKUP | RIGHT_READ)) == RIGHT_LOOKUP &&
	       (asked_of(b, t) & ~(unsigned)EVENTS_OF_NAMES);
}

static struct target target_of(const struct notify_block *b, const struct mailbox_item *item)
{
	return (struct target){b->account, item->row.id, item->path, item->row.subscribed, item->rights};
}

/* ---- mailboxes of others ---- */

static bool is_others(const struct notify_block *b)
{
	return b->account != b->s->account;
}

static int no_names(err *e)
{
	return err_set(e, ERR_TEMP, "no memory");
}

static int load_shared(struct notify_block *b, err *e)
{
	if (b->names)
		return 0;
	b->names = arena_new(LIMIT_IMAP_LIST);
	if (!b->names)
		return no_names(e);
	if (mailbox_shared(b->snap, b->s->account, b->names, &b->shared, &b->n_shared, e) < 0 ||
		mailbox_follows(b->snap, b->s->account, b->names, &b->follows, &b->n_follows, e) < 0)
		return -1;
	return 0;
}

static bool is_followed(const struct notify_block *b, slice path)
{
	for (size_t i = 0; i < b->n_follows; i++)
		if (b->follows[i].account == b->account && slice_eq(b->follows[i].path, path))
			return true;
	return false;
}

/* As the session knows the item: what it may do there, its own subscription, what it sees below. */
static int as_shared(struct notify_block *b, struct mailbox_item *item, err *e)
{
	item->rights = RIGHTS_ALL;
	if (!is_others(b))
		return 0;
	if (mailbox_rights(b->snap, b->account, item->row.id, b->s->account, &item->rights, e) < 0)
		return -1;
	item->row.subscribed = false;
	item->row.use = USE_NONE;
	if (!(item->rights & RIGHT_LOOKUP))
		return 0;
	if (load_shared(b, e) < 0)
		return -1;
	bool children = false;
	for (size_t i = 0; item->has_children && !children && i < b->n_shared; i++) {
		const struct mailbox_item *x = &b->shared[i];

		children = x->row.account == b->account && x->path.n > item->path.n &&
			   below(x->path, item->path);
	}
	item->has_children = children;
	item->row.subscribed = is_followed(b, item->path);
	return 0;
}

/* The path as the session knows it. What has no name any more, or no memory for it, ends the session. */
static slice name_of(struct notify_block *b, slice path)
{
	slice name = path;

	if (is_others(b) && imap_others_name(b->snap, b->account, path, b->arena, &name, NULL) <= 0)
		b->s->out.failed = true;
	return name;
}

/* 1, 0, -1 */
static int get_item(struct notify_block *b, uint32_t mailbox, struct mailbox_item *ret, err *e)
{
	int rc = mailbox_item_get(b->snap, b->account, mailbox, b->arena, ret, e);

	return rc > 0 && as_shared(b, ret, e) < 0 ? -1 : rc;
}

/* Of the mailboxes touched; NULL: no memory. */
static struct notify_touched *touched(struct notify_block *b, uint32_t mailbox)
{
	for (size_t i = b->n; i-- > 0;) {
		if (b->touched[i].mailbox == mailbox)
			return &b->touched[i];
	}
	if (b->n == b->max) {
		size_t max = b->max ? b->max * 2 : 32;
		struct notify_touched *more = arena_new_n(b->arena, struct notify_touched, max);

		if (!more)
			return NULL;
		if (b->n > 0)
			memcpy(more, b->touched, b->n * sizeof *more);
		b->touched = more;
		b->max = max;
	}
	b->touched[b->n] = (struct notify_touched){.mailbox = mailbox};
	return &b->touched[b->n++];
}

static int no_room(err *e)
{
	return err_set(e, ERR_TEMP, "no memory");
}

/* ---- LIST ---- */

static void write_name(struct notify_block *b, slice path)
{
	imap_name_write(&b->s->out, name_of(b, path), b->s->rev2 || b->s->utf8);
}

static void write_list(struct notify_block *b, const struct mailbox_item *item, slice old)
{
	struct buf *out = &b->s->out;

	const struct target t = target_of(b, item);

	buf_addz(out, no_access(b, &t) ? "* LIST (\\NoAccess " : "* LIST (");
	imap_write_list_attributes(out, item, true);
	buf_addz(out, ") \"/\" ");
	write_name(b, item->path);
	if (old.n > 0) {
		buf_addz(out, " (\"OLDNAME\" (");
		write_name(b, old);
		buf_addz(out, "))");
	}
	buf_addz(out, "\r\n");
}

static void write_nonexistent(struct notify_block *b, slice path)
{
	if (slice_eq(b->gone, path)) /* a parent that went with its last child */
		return;
	b->gone = path;
	buf_addz(&b->s->out, "* LIST (\\NonExistent) \"/\" ");
	write_name(b, path);
	buf_addz(&b->s->out, "\r\n");
}

/* How the mailbox is now; once, as all rows in hand are of one snapshot. */
static int tell_item(struct notify_block *b, const struct mailbox_item *item, err *e)
{
	struct notify_touched *t = touched(b, item->row.id);

	if (!t)
		return no_room(e);
	if (!t->listed)
		write_list(b, item, (slice){0});
	t->listed = true;
	return 0;
}

/* What stands at a path now, if anything does. */
static int tell_path(struct notify_block *b, slice path, err *e)
{
	struct target t = {.account = b->account, .path = path, .rights = is_others(b) ? 0 : RIGHTS_ALL};
	struct mailbox_row row;
	struct mailbox_item item;
	int rc = mailbox_find(b->snap, b->account, path, &row, e);

	if (rc > 0)
		rc = get_item(b, row.id, &item, e);
	if (rc < 0)
		return -1;
	if (rc > 0)
		t = target_of(b, &item);
	if (!(events_of(b, &t) & NOTIFY_NAME))
		return 0;
	if (rc > 0)
		return tell_item(b, &item, e);
	write_nonexistent(b, path);
	return 0;
}

/* The direct parent of what was made or deleted is affected, too (5.4). */
static int tell_parent(struct notify_block *b, slice path, err *e)
{
	size_t n = path.n;

	while (n > 0 && path.p[n - 1] != MAILBOX_SEPARATOR)
		n--;
	return n > 0 ? tell_path(b, slice_sub(path, 0, n - 1), e) : 0;
}

/* ---- rows ---- */

static int take_messages(struct notify_block *b, struct change *c, err *e)
{
	struct notify_touched *t = touched(b, c->mailbox);

	if (!t)
		return no_room(e);
	t->kinds |= 1u << c->kind;
	return 0;
}

static int take_created(struct notify_block *b, struct change *c, err *e)
{
	struct mailbox_item item;
	int rc = get_item(b, c->mailbox, &item, e);

	if (rc <= 0)
		return rc; /* gone again: its removal has a row */
	if (take_messages(b, c, e) < 0 || tell_path(b, item.path, e) < 0)
		return -1;
	return tell_parent(b, item.path, e);
}

static int take_removed(struct notify_block *b, struct change *c, err *e)
{
	slice path = change_path(c);
	const struct target was = {b->account, c->mailbox, path, true, RIGHTS_ALL};
	struct notify_touched *t = touched(b, c->mailbox);

	if (!t)
		return no_room(e);
	if (path.n == 0)
		return 0;
	if (is_others(b)) { /* who saw it is told by the row of the rights that ended with it */
		t->path = arena_copy(b->arena, path);
		return t->path.p ? tell_parent(b, path, e) : no_room(e);
	}
	/* A name that only a subscription kept goes with it. */
	if ((t->kinds & 1u << CHANGE_SETTINGS) && (events_of(b, &was) & NOTIFY_SUBSCRIPTION) &&
		!(events_of(b, &was) & NOTIFY_NAME))
		write_nonexistent(b, path);
	return tell_path(b, path, e) < 0 ? -1 : tell_parent(b, path, e);
}

static int take_renamed(struct notify_block *b, struct change *c, err *e)
{
	slice old = change_path(c);
	struct mailbox_item item;
	int rc = get_item(b, c->mailbox, &item, e);

	if (rc < 0 || old.n == 0)
		return rc < 0 ? -1 : 0;
	if (rc == 0)
		return tell_path(b, old, e);
	struct target is = target_of(b, &item);
	const struct target was = {.account = b->account, .path = old, .rights = item.rights};
	struct notify_touched *t = touched(b, c->mailbox);
	if (!t)
		return no_room(e);
	if ((events_of(b, &is) | events_of(b, &was)) & NOTIFY_NAME) {
		write_list(b, &item, old);
		t->listed = true;
	}
	return 0;
}

/* To be let in is as if the mailbox was made, to be shut out as if it was deleted (5.4). */
static int take_rights(struct notify_block *b, struct change *c, err *e)
{
	struct mailbox_item item = {0};
	bool saw;

	if (!is_others(b) || !change_concerns(c, b->s->account, &saw))
		return 0;
	int rc = get_item(b, c->mailbox, &item, e);
	struct notify_touched *t = touched(b, c->mailbox);
	if (rc < 0 || !t)
		return rc < 0 ? -1 : no_room(e);
	if (rc > 0 && (item.rights & RIGHT_LOOKUP)) {
		const struct target is = target_of(b, &item);

		t->kinds |= 1u << CHANGE_CREATED;
		return no_access(b, &is) ? tell_item(b, &item, e) : tell_path(b, item.path, e);
	}
	const struct target was = {b->account, c->mailbox, rc > 0 ? item.path : t->path, true, RIGHTS_ALL};
	if (saw && was.path.n > 0 && (events_of(b, &was) & NOTIFY_NAME))
		write_nonexistent(b, was.path);
	return 0;
}

static int take_settings(struct notify_block *b, struct change *c, err *e)
{
	unsigned what = change_settings(c);
	struct mailbox_item item;

	if (what & CHANGE_RIGHTS)
		return take_rights(b, c, e);
	int rc = get_item(b, c->mailbox, &item, e);
	if (rc <= 0)
		return rc < 0 ? -1 : take_messages(b, c, e);
	struct target t = target_of(b, &item);
	if (is_others(b))
		what &= ~(unsigned)CHANGE_SUBSCRIBED; /* its owner's */
	else
		t.subscribed = true; /* it is or was */
	if ((what & CHANGE_SUBSCRIBED) && (events_of(b, &t) & NOTIFY_SUBSCRIPTION) &&
		tell_item(b, &item, e) < 0)
		return -1;
	if (!(what & CHANGE_SELECT))
		return 0;
	return tell_path(b, item.path, e) < 0 ? -1 : tell_parent(b, item.path, e);
}

/* The names of what changed, not the values (RFC 5464 4.4.2); of private ones those of this account. */
static int take_metadata(struct notify_block *b, struct change *c, err *e)
{
	struct buf *out = &b->s->out;
	struct mailbox_item item = {0};
	unsigned events = 0;
	uint32_t who;
	slice name;
	bool any = false;

	if (c->mailbox == 0) {
		for (const struct notify_group *g = b->spec->groups; g && !is_others(b); g = g->next)
			events |= g->events & NOTIFY_SERVER_METADATA;
	} else {
		int rc = get_item(b, c->mailbox, &item, e);

		if (rc <= 0)
			return rc;
		struct target t = target_of(b, &item);
		events = events_of(b, &t) & NOTIFY_METADATA;
	}
	while (events != 0 && change_metadata(c, &who, &name)) {
		if (who != METADATA_SHARED && who != b->s->account)
			continue;
		if (!any) {
			buf_addz(out, "* METADATA ");
			write_name(b, item.path);
		}
		any = true;
		buf_add_c(out, ' ');
		imap_write_string(out, name, false);
	}
	buf_addz(out, any ? "\r\n" : "");
	return 0;
}

int imap_notify_take(struct notify_block *b, struct change *c, err *e)
{
	static int (*const takes[])(struct notify_block * b, struct change * c, err * e) = {
		[CHANGE_ADDED] = take_messages,
		[CHANGE_FLAGS] = take_messages,
		[CHANGE_EXPUNGED] = take_messages,
		[CHANGE_CREATED] = take_created,
		[CHANGE_REMOVED] = take_removed,
		[CHANGE_RENAMED] = take_renamed,
		[CHANGE_SETTINGS] = take_settings,
		[CHANGE_METADATA] = take_metadata,
	};

	return (size_t)c->kind < COUNT_OF(takes) && takes[c->kind] ? takes[c->kind](b, c, e) : 0;
}

/* ---- STATUS ---- */

static bool is_selected(const struct notify_block *b, uint32_t mailbox)
{
	return b->s->box.open && b->s->box.account == b->account && b->s->box.mailbox == mailbox;
}

/* What STATUS says of such changes (5.1 to 5.3); 0: nothing is told. */
static unsigned status_items(const struct imap_session *s, unsigned kinds, unsigned events)
{
	unsigned items = 0;

	if ((kinds & (1u << CHANGE_ADDED | 1u << CHANGE_EXPUNGED)) && (events & NOTIFY_NEW))
		items |= IMAP_STATUS_MESSAGES | IMAP_STATUS_UIDNEXT |
			 (events & NOTIFY_FLAGS ? IMAP_STATUS_UNSEEN : 0u);
	if ((kinds & 1u << CHANGE_FLAGS) && (events & NOTIFY_FLAGS))
		items |= IMAP_STATUS_UIDVALIDITY | IMAP_STATUS_UNSEEN;
	if ((kinds & 1u << CHANGE_CREATED) && (events & NOTIFY_FLAGS)) /* another UIDVALIDITY */
		items |= IMAP_STATUS_MESSAGES | IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY;
	return items == 0 ? 0 : items | (s->condstore ? IMAP_STATUS_HIGHESTMODSEQ : 0u);
}

int imap_notify_statuses(struct notify_block *b, err *e)
{
	for (size_t i = 0; i < b->n; i++) {
		struct mailbox_item item;

		if (b->touched[i].kinds == 0 || is_selected(b, b->touched[i].mailbox))
			continue;
		int rc = get_item(b, b->touched[i].mailbox, &item, e);
		if (rc < 0)
			return -1;
		if (rc == 0 || item.row.noselect)
			continue;
		struct target t = target_of(b, &item);
		unsigned items = status_items(b->s, b->touched[i].kinds, events_of(b, &t));
		if (items != 0)
			imap_status_line(b->s, name_of(b, item.path), &item.row, items);
	}
	return 0;
}

static void first_status(struct notify_block *b, const struct mailbox_item *item)
{
	struct target t = target_of(b, item);
	unsigned events = events_of(b, &t), what = 0;

	if (item->row.noselect || is_selected(b, item->row.id))
		return;
	if (events & NOTIFY_NEW)
		what |= IMAP_STATUS_MESSAGES | IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY;
	if (events & NOTIFY_FLAGS)
		what |= IMAP_STATUS_UNSEEN | IMAP_STATUS_HIGHESTMODSEQ;
	if (what != 0)
		imap_status_line(b->s, name_of(b, item->path), &item->row, what);
}

/* Of what others share; where it is \NoAccess, that (3.1). 0, -1. */
static int first_of_others(struct notify_block *b, err *e)
{
	if (load_shared(b, e) < 0)
		return -1;
	for (size_t i = 0; i < b->n_shared; i++) {
		struct mailbox_item item = b->shared[i];

		b->account = item.row.account;
		item.row.subscribed = is_followed(b, item.path);
		struct target t = target_of(b, &item);
		if (!no_access(b, &t)) {
			if (b->spec->status)
				first_status(b, &item);
			continue;
		}
		int rc = get_item(b, item.row.id, &item, e);
		if (rc > 0)
			write_list(b, &item, (slice){0});
		if (rc < 0)
			return -1;
	}
	return 0;
}

int imap_notify_first(struct notify_block *b, err *e)
{
	struct mailbox_item *items = NULL;
	size_t n = 0;

	if (b->spec->status && mailbox_list(b->snap, b->account, b->arena, &items, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		items[i].rights = RIGHTS_ALL;
		first_status(b, &items[i]);
	}
	return imap_notify_of_others(b->spec) ? first_of_others(b, e) : 0;
}

/* NOTIFY's arguments (RFC 5465 8). */
#include "imap/notify.h"

static const struct {
	slice name;
	enum notify_filter filter;
	bool names; /* one or more mailboxes follow */
} filters[] = {
	{SLICE_INIT("selected"), NOTIFY_SELECTED, false},
	{SLICE_INIT("selected-delayed"), NOTIFY_SELECTED_DELAYED, false},
	{SLICE_INIT("inboxes"), NOTIFY_INBOXES, false},
	{SLICE_INIT("personal"), NOTIFY_PERSONAL, false},
	{SLICE_INIT("subscribed"), NOTIFY_SUBSCRIBED, false},
	{SLICE_INIT("subtree"), NOTIFY_SUBTREE, true},
	{SLICE_INIT("mailboxes"), NOTIFY_MAILBOXES, true},
};

static const struct {
	slice name;
	unsigned event;
	bool supported;
} events[] = {
	{SLICE_INIT("MessageNew"), NOTIFY_NEW, true},
	{SLICE_INIT("MessageExpunge"), NOTIFY_EXPUNGE, true},
	{SLICE_INIT("FlagChange"), NOTIFY_FLAGS, true},
	{SLICE_INIT("AnnotationChange"), NOTIFY_ANNOTATION, false}, /* no ANNOTATE here (RFC 5257) */
	{SLICE_INIT("MailboxName"), NOTIFY_NAME, true},
	{SLICE_INIT("SubscriptionChange"), NOTIFY_SUBSCRIPTION, true},
	{SLICE_INIT("MailboxMetadataChange"), NOTIFY_METADATA, true},
	{SLICE_INIT("ServerMetadataChange"), NOTIFY_SERVER_METADATA, true},
};

void imap_write_badevent(struct buf *out)
{
	buf_addz(out, "BADEVENT (");
	for (size_t i = 0, n = 0; i < COUNT_OF(events); i++) {
		if (!events[i].supported)
			continue;
		if (n++ > 0)
			buf_add_c(out, ' ');
		buf_add(out, events[i].name);
	}
	buf_add_c(out, ')');
}

static bool too_large(struct imap_args *a)
{
	return imap_args_fail(a, "the command is too large");
}

/* ---- mailboxes ---- */

static bool take_name(
	struct imap_session *s, struct imap_args *a, struct notify_spec *spec, struct notify_group *g)
{
	struct notify_name *one = arena_new_1(a->arena, struct notify_name);

	if (!one)
		return too_large(a);
	spec->n++;
	if (!imap_take_mailbox(s, a, &one->place))
		return false;
	one->next = g->names;
	g->names = one;
	return true;
}

static bool take_names(
	struct imap_session *s, struct imap_args *a, struct notify_spec *spec, struct notify_group *g)
{
	if (!imap_take_sp(a))
		return false;
	if (!imap_try_c(a, '('))
		return take_name(s, a, spec, g);
	for (bool first = true; first || !imap_try_c(a, ')'); first = false) {
		if ((!first && !imap_take_sp(a)) || !take_name(s, a, spec, g))
			return false;
	}
	return true;
}

static bool take_filter(
	struct imap_session *s, struct imap_args *a, struct notify_spec *spec, struct notify_group *g)
{
	slice word;

	if (!imap_take_atom(a, &word))
		return false;
	for (size_t i = 0; i < COUNT_OF(filters); i++) {
		if (!slice_ieq(word, filters[i].name))
			continue;
		g->filter = filters[i].filter;
		return !filters[i].names || take_names(s, a, spec, g);
	}
	return imap_args_fail(a, "those mailboxes are not known: selected, personal, subtree ...");
}

/* ---- events ---- */

/* What to fetch of a new message, if a list stands behind MessageNew. */
static bool take_fetch(struct imap_args *a, struct notify_spec *spec, bool selected)
{
	struct imap_args ahead = *a;

	if (imap_args_peek(a) != ' ' || !imap_take_sp(&ahead) || imap_args_peek(&ahead) != '(')
		return true;
	*a = ahead;
	if (!selected)
		return imap_args_fail(a, "items to fetch are for the selected mailbox only");
	if (spec->has_fetch)
		return imap_args_fail(a, "MessageNew stands twice");
	spec->has_fetch = true;
	return imap_take_fetch_items(a, &spec->fetch);
}

static bool take_event(struct imap_args *a, struct notify_spec *spec, struct notify_group *g, bool selected)
{
	slice word;
	size_t i = 0;

	if (!imap_take_atom(a, &word))
		return false;
	while (i < COUNT_OF(events) && !slice_ieq(word, events[i].name))
		i++;
	if (i == COUNT_OF(events)) {
		spec->unsupported = true;
		return true;
	}
	spec->unsupported |= !events[i].supported;
	g->events |= events[i].event;
	if (selected && !(events[i].event & NOTIFY_MESSAGES))
		return imap_args_fail(a, "of the selected mailbox there are only events of messages");
	return events[i].event != NOTIFY_NEW || take_fetch(a, spec, selected);
}

static bool take_events(struct imap_args *a, struct notify_spec *spec, struct notify_group *g, bool selected)
{
	slice word;

	if (!imap_try_c(a, '(')) {
		if (!imap_take_atom(a, &word))
			return false;
		return slice_ieq(word, S("NONE")) ||
		       imap_args_fail(a, "events stand in parentheses, or NONE");
	}
	for (bool first = true; first || !imap_try_c(a, ')'); first = false) {
		if ((!first && !imap_take_sp(a)) || !take_event(a, spec, g, selected))
			return false;
	}
	if ((g->events & NOTIFY_NEW) == 0 && (g->events & NOTIFY_MESSAGES) != 0)
		return imap_args_fail(a, "that event wants MessageNew and MessageExpunge beside it");
	if ((g->events & NOTIFY_NEW) != 0 && (g->events & NOTIFY_EXPUNGE) == 0)
		return imap_args_fail(a, "MessageNew wants MessageExpunge beside it");
	return true;
}

static bool take_group(struct imap_session *s, struct imap_args *a, struct notify_spec *spec)
{
	struct notify_group *g = arena_new_1(a->arena, struct notify_group);

	if (!g)
		return too_large(a);
	spec->n++;
	if (!imap_take_c(a, '(') || !take_filter(s, a, spec, g))
		return false;
	bool selected = g->filter == NOTIFY_SELECTED || g->filter == NOTIFY_SELECTED_DELAYED;
	if (selected && spec->has_selected)
		return imap_args_fail(a, "the selected mailbox is named twice");
	if (!imap_take_sp(a) || !take_events(a, spec, g, selected) || !imap_take_c(a, ')'))
		return false;
	if (selected) {
		spec->has_selected = true;
		spec->delayed = g->filter == NOTIFY_SELECTED_DELAYED;
		spec->selected = g->events;
		return true;
	}
	g->next = spec->groups;
	spec->groups = g;
	return true;
}

bool imap_take_notify(struct imap_session *s, struct imap_args *a, struct notify_spec *ret)
{
	struct notify_spec spec = {0};
	slice word;

	if (!imap_take_sp(a) || !imap_take_atom(a, &word))
		return false;
	spec.none = slice_ieq(word, S("NONE"));
	if (!spec.none && !slice_ieq(word, S("SET")))
		return imap_args_fail(a, "NOTIFY SET or NOTIFY NONE");
	if (!spec.none) {
		if (!imap_take_sp(a))
			return false;
		if (imap_args_peek(a) != '(') {
			if (!imap_take_atom(a, &word))
				return false;
			if (!slice_ieq(word, S("STATUS")))
				return imap_args_fail(a, "only STATUS may stand there");
			spec.status = true;
			if (!imap_take_sp(a))
				return false;
		}
		do {
			if (!take_group(s, a, &spec))
				return false;
		} while (!imap_args_at_end(a) && imap_take_sp(a));
	}
	if (a->why || !imap_take_end(a))
		return false;
	*ret = spec;
	return true;
}

/*
 * ESEARCH, a search in several mailboxes (MULTISEARCH, RFC 7377). One mailbox after the other takes the place
 * of the selected one for its search; what the client knows of that one stays as it is.
 */
#include "imap/condstore.h"
#include "imap/find.h"
#include "imap/others.h"
#include "limits.h"
#include <stdlib.h>

enum source_kind { SELECTED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE, SUBTREE_ONE, MAILBOXES };

static const struct {
	slice name;
	enum source_kind kind;
	bool names; /* one or more mailboxes follow */
} kinds[] = {
	{SLICE_INIT("selected"), SELECTED, false},
	{SLICE_INIT("inboxes"), INBOXES, false},
	{SLICE_INIT("personal"), PERSONAL, false},
	{SLICE_INIT("subscribed"), SUBSCRIBED, false},
	{SLICE_INIT("subtree"), SUBTREE, true},
	{SLICE_INIT("subtree-one"), SUBTREE_ONE, true},
	{SLICE_INIT("mailboxes"), MAILBOXES, true},
};

struct source {
	enum source_kind kind;
	slice name;
	struct source *next;
};

struct sources {
	struct source *first;
	unsigned n;
	bool selected, others;
};

static bool add_source(struct imap_args *a, struct sources *ss, enum source_kind kind, slice name)
{
	struct source *one = arena_new_1(a->arena, struct source);

	if (!one || ++ss->n > LIMIT_IMAP_SOURCES)
		return imap_args_fail(a, "too many mailboxes are named");
	*one = (struct source){kind, name, ss->first};
	ss->first = one;
	ss->selected |= kind == SELECTED;
	ss->others |= kind != SELECTED;
	return true;
}

static bool take_names(struct imap_session *s, struct imap_args *a, struct sources *ss, enum source_kind kind)
{
	struct imap_place place;

	if (!imap_take_sp(a))
		return false;
	if (!imap_try_c(a, '('))
		return imap_take_mailbox(s, a, &place) && add_source(a, ss, kind, place.name);
	for (bool first = true; first || !imap_try_c(a, ')'); first = false) {
		if ((!first && !imap_take_sp(a)) || !imap_take_mailbox(s, a, &place) ||
			!add_source(a, ss, kind, place.name))
			return false;
	}
	return true;
}

static bool take_source(struct imap_session *s, struct imap_args *a, struct sources *ss)
{
	slice word;

	if (!imap_take_word(a, &word))
		return imap_args_fail(a, "IN wants to know where: (personal), (mailboxes Archive) ...");
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		if (slice_ieq(word, kinds[i].name))
			return kinds[i].names ? take_names(s, a, ss, kinds[i].kind)
					      : add_source(a, ss, kinds[i].kind, (slice){NULL, 0});
	}
	return imap_args_fail(a, "that source of mailboxes is not known");
}

/* "SP IN (...)", if it is there; else the selected mailbox is meant. */
static bool take_sources(struct imap_session *s, struct imap_args *a, struct sources *ss)
{
	slice before = a->text, word;

	if (!imap_take_sp(a))
		return false;
	if (imap_args_peek(a) == '(' || !slice_istarts(a->text, S("IN ")) || !imap_take_word(a, &word)) {
		a->text = before;
		return add_source(a, ss, SELECTED, (slice){NULL, 0});
	}
	if (!imap_take_sp(a) || !imap_take_c(a, '('))
		return false;
	for (bool first = true; first || !imap_try_c(a, ')'); first = false) {
		if ((!first && !imap_take_sp(a)) || !take_source(s, a, ss))
			return false;
	}
	return true;
}

/* What makes sense in the selected mailbox only: numbers and "$". NULL: nothing of it is there. */
static const char *refusal(const struct imap_session *s, const struct sources *ss, const struct search *q)
{
	if (ss->selected && !s->box.open)
		return "no mailbox is selected";
	if (!ss->others)
		return NULL;
	if (q->returns & SEARCH_RETURN_SAVE)
		return "SAVE is for a search in the selected mailbox";
	for (const struct search_node *n = q->sets; n; n = n->next_set) {
		if (n->op == SEARCH_UIDS && !n->set_is_uids)
			return "message numbers are those of the selected mailbox only";
		if (n->op == SEARCH_UIDS && n->set.saved)
			return "$ is a search in the selected mailbox";
	}
	return NULL;
}

static bool below(slice path, slice top, bool deep)
{
	if (!slice_starts(path, top))
		return false;
	slice rest = slice_skip(path, top.n);
	if (rest.n == 0)
		return true;
	return rest.p[0] == MAILBOX_SEPARATOR &&
	       (deep || slice_find_c(slice_skip(rest, 1), MAILBOX_SEPARATOR) < 0);
}

static bool wanted(const struct imap_session *s, const struct sources *ss, const struct mailbox_item *m)
{
	if (m->absent || m->row.noselect)
		return false;
	for (const struct source *at = ss->first; at; at = at->next) {
		bool is = false;

		switch (at->kind) {
		case SELECTED:
			is = m->row.account == s->box.account && m->row.id == s->box.mailbox &&
			     m->row.uidvalidity == s->box.uidvalidity;
			break;
		case INBOXES:
			is = m->row.account == s->account && m->row.id == MAILBOX_INBOX;
			break;
		case PERSONAL:
			is = m->row.account == s->account;
			break;
		case SUBSCRIBED:
			is = m->row.subscribed;
			break;
		case SUBTREE:
		case SUBTREE_ONE:
			is = below(m->path, at->name, at->kind == SUBTREE);
			break;
		case MAILBOXES:
			is = slice_eq(m->path, at->name);
			break;
		}
		if (is)
			return true;
	}
	return false;
}

/* 1 open, 0 it is gone, -1. Nothing is watched. */
static int open_box(struct imap_session *s, const struct mailbox_item *m, struct imap_box *ret, err *e)
{
	struct store_snap snap = {0};
	struct mailbox_row row;

	*ret = (struct imap_box){
		.open = true, .readonly = true, .account = m->row.account, .mailbox = m->row.id};
	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	int rc = mailbox_get(&snap, m->row.account, m->row.id, &row, e);
	if (rc > 0 && row.uidvalidity != m->row.uidvalidity)
		rc = 0;
	if (rc > 0 && mailbox_rights(&snap, m->row.account, m->row.id, s->account, &ret->rights, e) < 0)
		rc = -1;
	if (rc > 0 && !(ret->rights & RIGHT_READ))
		rc = 0;
	if (rc > 0 && mailbox_uids(&snap, m->row.account, m->row.id, 0, &ret->uids, e) < 0)
		rc = -1;
	store_snap_end(&snap);
	ret->uidvalidity = m->row.uidvalidity;
	ret->keywords = IMAP_KEYWORDS_UNTOLD;
	return rc;
}

static int search_one(struct imap_session *s, const struct search *q, const struct mailbox_item *m,
	uint32_t *add_damaged, err *e)
{
	struct imap_box selected = s->box, box;

	if (selected.open && m->row.account == selected.account && m->row.id == selected.mailbox &&
		m->row.uidvalidity == selected.uidvalidity)
		return imap_search_mailbox(s, q, m->path, add_damaged, e);
	int rc = open_box(s, m, &box, e);
	if (rc > 0) {
		s->box = box;
		rc = imap_search_mailbox(s, q, m->path, add_damaged, e);
		s->box = selected;
	}
	uidset_free(&box.uids);
	return rc;
}

static bool is_listed(const struct mailbox_item *items, size_t n, slice path)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_eq(items[i].path, path))
			return true;
	}
	return false;
}

/* What is named may be searched without RIGHT_LOOKUP (2.2), and then no list has it. */
static int search_unlisted(struct imap_session *s, const struct source *at, const struct search *q,
	uint32_t *add_damaged, err *e)
{
	const struct imap_place place = imap_place_of(s, at->name);
	struct mailbox_item item = {.path = at->name};
	struct store_snap snap = {0};

	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	int rc = imap_place_find(s, &snap, &place, RIGHT_READ, &item.row, e);
	store_snap_end(&snap);
	if (rc <= 0 || item.row.noselect)
		return rc < 0 && e->kind != ERR_NOPERM ? -1 : 0;
	return search_one(s, q, &item, add_damaged, e);
}

static int search_all(struct imap_session *s, const struct sources *ss, const struct search *q)
{
	struct find done = {0};
	struct store_snap snap = {0};
	struct mailbox_item *items = NULL;
	size_t n = 0;
	err e = {0};
	struct arena *names = arena_new(LIMIT_IMAP_LIST);
	int rc = names ? store_snap_begin(s->store, &snap, &e) : err_set(&e, ERR_TEMP, "no memory");

	if (rc == 0)
		rc = imap_list_all(s, &snap, names, &items, &n, &e);
	store_snap_end(&snap);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (wanted(s, ss, &items[i]))
			rc = search_one(s, q, &items[i], &done.damaged, &e);
	}
	for (const struct source *at = ss->first; rc == 0 && at; at = at->next) {
		if (at->name.n > 0 && !is_listed(items, n, at->name))
			rc = search_unlisted(s, at, q, &done.damaged, &e);
	}
	arena_free(names);
	return rc < 0 ? imap_answer_err(s, &e) : imap_find_answer(s, &done, "searched");
}

int imap_cmd_esearch(struct imap_session *s, struct imap_args *a)
{
	struct sources ss = {0};
	struct search q = {0};

	s->by_uid = true; /* answers are UIDs (RFC 7377 2.1) */
	if (!take_sources(s, a, &ss) || !imap_take_search(a, &q) || !imap_find_allowed(s, a, &q))
		return imap_find_refuse(s, a, &q);
	const char *why = refusal(s, &ss, &q);
	if (why)
		return imap_answer(s, IMAP_BAD, "%s", why);
	if (q.returns == 0)
		q.returns = SEARCH_RETURN_ALL;
	if (q.modseq && s->box.open)
		imap_condstore_enable(s);
	return search_all(s, &ss, &q);
}

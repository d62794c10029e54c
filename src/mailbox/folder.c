/* Creating, deleting, renaming, subscribing. */
#include "mailbox/folder.h"
#include "limits.h"
#include "mailbox/expunge.h"
#include "mailbox/keys.h"
#include "mailbox/metadata.h"
#include "mailbox/metadata_tx.h"
#include "mailbox/rights_tx.h"
#include "mailbox/row.h"
#include "mailbox/tx.h"

static uint32_t next_uidvalidity(struct account_tx *a)
{
	int64_t now = store_tx_now_us(a->tx) / 1000000;
	uint32_t least = a->row.last_uidvalidity + 1;
	uint32_t v = now > (int64_t)least && now < UINT32_MAX ? (uint32_t)now : least;
	a->row.last_uidvalidity = v;
	a->dirty = true;
	return v;
}

static int put_row(struct account_tx *a, const struct mailbox_row *row, err *e)
{
	struct key k = key_mailbox(a->id, row->id);
	buf_reset(&a->out);
	row_mailbox_put(&a->out, row);
	return account_tx_put(a, KEY_SLICE(k), e);
}

static int put_name(struct account_tx *a, uint32_t parent, slice name, uint32_t id, err *e)
{
	struct key_name k;
	key_name(&k, a->id, parent, name);
	buf_reset(&a->out);
	row_id_put(&a->out, id);
	return account_tx_put(a, KEY_SLICE(k), e);
}

static bool kept_name(uint32_t parent, slice name)
{
	return parent == 0 && slice_eq(name, S(MAILBOX_OTHERS));
}

static int create_one(struct account_tx *a, uint32_t parent, slice name, enum mailbox_use use,
	bool subscribed, struct mailbox_row *ret, err *e)
{
	if (kept_name(parent, name))
		return err_set(e, ERR_DENIED, "the name is kept for mailboxes of others");
	if (a->row.mailboxes >= LIMIT_MAILBOXES)
		return err_set(e, ERR_LIMIT, "an account has at most %d mailboxes", LIMIT_MAILBOXES);
	struct mailbox_row row = {
		.account = a->id,
		.id = a->row.next_mailbox++,
		.parent = parent,
		.name = name,
		.use = use,
		.subscribed = subscribed,
		.uidvalidity = next_uidvalidity(a),
		.uidnext = 1,
		.highest_modseq = account_tx_modseq(a),
	};
	a->row.mailboxes++;
	a->dirty = true;
	if (put_row(a, &row, e) < 0 || put_name(a, parent, name, row.id, e) < 0 ||
		rights_tx_inherit(a, parent, row.id, e) < 0 ||
		account_tx_change(a, row.id, CHANGE_CREATED, NULL, e) < 0)
		return -1;
	*ret = row;
	return 0;
}

/* A name that stood only for its children becomes a mailbox again. */
static int select_again(
	struct account_tx *a, uint32_t id, enum mailbox_use use, struct mailbox_row *ret, err *e)
{
	struct mailbox_tx *m;
	if (mailbox_tx_open(a, id, true, &m, e) < 0)
		return -1;
	if (!m->row.noselect)
		return err_set(e, ERR_EXISTS, "the mailbox exists");
	if (m->row.messages)
		return err_set(e, ERR_TEMP, "the old mailbox of that name is still being cleared away");
	m->row.noselect = false;
	m->row.use = use;
	m->row.uidvalidity = next_uidvalidity(a);
	/* UIDs go on: a session that has the old one selected can never mean a message of the new one. */
	m->row.highest_modseq = account_tx_modseq(a);
	m->dirty = true;
	*ret = m->row;
	if (mailbox_tx_close(m, e) < 0 || rights_tx_inherit(a, m->row.parent, id, e) < 0)
		return -1;
	return account_tx_change(a, id, CHANGE_CREATED, NULL, e);
}

int folder_tx_create(struct account_tx *a, slice path, enum mailbox_use use, bool subscribed,
	uint32_t *ret_id, uint32_t *ret_uidvalidity, err *e)
{
	struct folder_path p;
	struct mailbox_row row = {.id = 0};
	unsigned known;
	if (folder_path_parse(path, &p, e) < 0)
		return -1;
	int rc = folder_find(view_tx(a->tx), a->id, &p, p.n, &row.id, &known, e);
	if (rc == 1)
		rc = select_again(a, row.id, use, &row, e);
	for (unsigned i = known; rc == 0 && i < p.n; i++) {
		bool last = i + 1 == p.n;
		rc = create_one(a, row.id, p.level[i], last ? use : USE_NONE, last && subscribed, &row, e);
	}
	if (rc < 0)
		return -1;
	if (ret_id)
		*ret_id = row.id;
	if (ret_uidvalidity)
		*ret_uidvalidity = row.uidvalidity;
	return 0;
}

int folder_tx_defaults(struct account_tx *a, err *e)
{
	static const struct {
		slice name;
		enum mailbox_use use;
	} boxes[] = {
		{SLICE_INIT("INBOX"), USE_NONE}, /* the first: its id is MAILBOX_INBOX */
		{SLICE_INIT("Drafts"), USE_DRAFTS},
		{SLICE_INIT("Sent"), USE_SENT},
		{SLICE_INIT("Trash"), USE_TRASH},
		{SLICE_INIT("Junk"), USE_JUNK},
		{SLICE_INIT("Archive"), USE_ARCHIVE},
	};
	for (size_t i = 0; i < COUNT_OF(boxes); i++)
		if (folder_tx_create(a, boxes[i].name, boxes[i].use, true, NULL, NULL, e) < 0)
			return -1;
	return 0;
}

/* ---- the intents ---- */

struct folder_job {
	uint32_t account, by;
	slice path, to; /* create: `to` is the path whose messages it takes over */
	enum mailbox_use use;
	bool on;
	uint32_t id, uidvalidity; /* results */
	bool more;
};

/* Whether `by` may make the mailbox of that path: the nearest parent that there is decides. */
static int may_make(struct account_tx *a, uint32_t by, const struct folder_path *p, err *e)
{
	uint32_t parent;
	if (by == 0 || by == a->id)
		return 0;
	if (folder_find(view_tx(a->tx), a->id, p, p->n - 1, &parent, NULL, e) < 0)
		return -1;
	return rights_tx_may_create(a, parent, by, e);
}

static int create_run(struct store_tx *tx, void *arg, err *e)
{
	struct folder_job *job = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	struct folder_path p;
	if (folder_path_parse(job->path, &p, e) < 0 || account_tx_open(tx, job->account, &a, e) < 0 ||
		may_make(&a, job->by, &p, e) < 0 ||
		folder_tx_create(&a, job->path, job->use, false, &job->id, &job->uidvalidity, e) < 0 ||
		(job->to.n && account_tx_change_raw(&a, job->id, CHANGE_RENAMED, job->to, e) < 0))
		return -1;
	return account_tx_close(&a, e);
}

int mailbox_create(struct store *s, uint32_t account, uint32_t by, slice path, enum mailbox_use use,
	uint32_t *ret_id, uint32_t *ret_uidvalidity, err *e)
{
	struct folder_job job = {.account = account, .by = by, .path = path, .use = use};
	if (store_commit(s, create_run, &job, e) < 0)
		return -1;
	if (ret_id)
		*ret_id = job.id;
	if (ret_uidvalidity)
		*ret_uidvalidity = job.uidvalidity;
	return 0;
}

static int no_such(err *e)
{
	return err_set(e, ERR_MISSING, "there is no such mailbox");
}

/* Opens account and mailbox of a path. */
static int open_path(struct store_tx *tx, uint32_t account, const struct folder_path *p, struct account_tx *a,
	struct mailbox_tx **ret, err *e)
{
	uint32_t id;
	if (account_tx_open(tx, account, a, e) < 0)
		return -1;
	int rc = folder_find(view_tx(tx), account, p, p->n, &id, NULL, e);
	if (rc == 0)
		return no_such(e);
	return rc < 0 ? -1 : mailbox_tx_open(a, id, true, ret, e);
}

static int del_name(struct mailbox_tx *m, err *e)
{
	struct key_name k;
	key_name(&k, m->a->id, m->row.parent, m->row.name);
	return store_tx_del(m->a->tx, KEY_SLICE(k), e);
}

/* A change row that keeps the path the mailbox has until then. */
static int give_up_path(struct mailbox_tx *m, enum change_kind kind, err *e)
{
	slice path;
	if (folder_path_of(view_tx(m->a->tx), &m->row, store_tx_scratch(m->a->tx), &path, e) < 0)
		return -1;
	return account_tx_change_raw(m->a, m->row.id, kind, path, e);
}

/* Its name goes at once, and what it holds in steps. */
static int remove_row(struct mailbox_tx *m, err *e)
{
	struct account_tx *a = m->a;
	if (give_up_path(m, CHANGE_REMOVED, e) < 0 || del_name(m, e) < 0 ||
		metadata_tx_drop(a, m->row.id, e) < 0 || rights_tx_drop(a, m->row.id, e) < 0)
		return -1;
	a->row.mailboxes -= a->row.mailboxes > 0;
	a->row.removed_mailboxes++;
	m->row.noselect = false;
	m->row.removed = true;
	m->row.highest_modseq = account_tx_modseq(a);
	m->dirty = true;
	return mailbox_tx_close(m, e);
}

/* What stood only for children goes with the last of them; a subscription keeps its name. */
static int remove_empty_parents(struct account_tx *a, uint32_t id, err *e)
{
	while (id) {
		struct mailbox_tx *m = NULL;
		if (mailbox_tx_open(a, id, true, &m, e) < 0)
			return -1;
		int children = folder_has_children(view_tx(a->tx), a->id, id, e);
		if (children != 0 || !m->row.noselect || m->row.subscribed)
			return children < 0 ? -1 : 0;
		id = m->row.parent;
		if (remove_row(m, e) < 0)
			return -1;
	}
	return 0;
}

/* Its children or its subscription keep the name: RFC 9051 6.3.5, 6.3.7. */
static int keep_name(struct mailbox_tx *m, err *e)
{
	struct account_tx *a = m->a;
	if (metadata_tx_drop(a, m->row.id, e) < 0 || rights_tx_drop(a, m->row.id, e) < 0)
		return -1;
	m->row.noselect = true;
	m->row.use = USE_NONE;
	m->row.highest_modseq = account_tx_modseq(a);
	m->dirty = true;
	a->row.removed_mailboxes++;
	return mailbox_tx_close(m, e) < 0 ? -1 : account_tx_settings(a, m->row.id, CHANGE_SELECT, e);
}

static int delete_run(struct store_tx *tx, void *arg, err *e)
{
	struct folder_job *job = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	struct folder_path p;
	struct mailbox_tx *m = NULL;
	if (folder_path_parse(job->path, &p, e) < 0 || open_path(tx, job->account, &p, &a, &m, e) < 0)
		return -1;
	if (rights_tx_need(m, job->by, RIGHT_REMOVE, NULL, e) < 0)
		return -1;
	if (m->row.id == MAILBOX_INBOX)
		return err_set(e, ERR_DENIED, "INBOX cannot be deleted");
	int children = folder_has_children(view_tx(tx), a.id, m->row.id, e);
	if (children < 0)
		return -1;
	if (m->row.noselect) { /* names of subscriptions below are no children: nothing is there that a client
				  sees */
		int mailboxes = folder_has_mailboxes(view_tx(tx), a.id, m->row.id, e);
		if (mailboxes <= 0)
			return mailboxes < 0 ? -1 : no_such(e);
		return err_set(e, ERR_DENIED, "the mailbox has children");
	}
	job->id = m->row.id;
	if (children || m->row.subscribed) {
		if (keep_name(m, e) < 0)
			return -1;
	} else if (remove_row(m, e) < 0 || remove_empty_parents(&a, m->row.parent, e) < 0) {
		return -1;
	}
	return account_tx_close(&a, e);
}

/* One step of emptying a removed mailbox; the last one ends its row. */
int folder_tx_clear(struct account_tx *a, uint32_t mailbox, bool *ret_more, err *e)
{
	struct mailbox_tx *m = NULL;
	struct uidset gone = {0};
	uint32_t next = 0;
	if (mailbox_tx_open(a, mailbox, true, &m, e) < 0)
		return -1;
	if (!m->row.removed && !m->row.noselect)
		return err_set(e, ERR_CONFLICT, "the mailbox is in use");
	int rc = expunge_tx(m, NULL, false, 1, &gone, &next, e);
	if (rc == 0 && gone.n && !m->row.removed)
		rc = account_tx_change(a, mailbox, CHANGE_EXPUNGED, &gone, e);
	uidset_free(&gone);
	if (rc == 0)
		rc = mailbox_tx_close(m, e);
	if (rc == 0 && next == 0) {
		struct key k = key_mailbox(a->id, mailbox);
		a->row.removed_mailboxes -= a->row.removed_mailboxes > 0;
		a->dirty = true;
		rc = m->row.removed ? store_tx_del(a->tx, KEY_SLICE(k), e) : 0;
	}
	*ret_more = next != 0;
	return rc;
}

static int clear_run(struct store_tx *tx, void *arg, err *e)
{
	struct folder_job *job = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	if (account_tx_open(tx, job->account, &a, e) < 0 || folder_tx_clear(&a, job->id, &job->more, e) < 0)
		return -1;
	return account_tx_close(&a, e);
}

int mailbox_delete(struct store *s, uint32_t account, uint32_t by, slice path, err *e)
{
	struct folder_job job = {.account = account, .by = by, .path = path};
	if (store_commit(s, delete_run, &job, e) < 0)
		return -1;
	/* It is deleted; what may fail from here on is done by the sweep. */
	do {
		if (store_commit(s, clear_run, &job, NULL) < 0)
			break;
	} while (job.more);
	return 0;
}

/* ---- rename ---- */

static bool path_within(const struct folder_path *inner, const struct folder_path *outer)
{
	if (inner->n < outer->n)
		return false;
	for (unsigned i = 0; i < outer->n; i++)
		if (!slice_eq(inner->level[i], outer->level[i]))
			return false;
	return true;
}

/* The parents of a path, made where they are missing. *ret: the direct parent. */
static int make_parents(struct account_tx *a, const struct folder_path *p, uint32_t *ret, err *e)
{
	struct mailbox_row row = {.id = 0};
	unsigned known;
	int rc = folder_find(view_tx(a->tx), a->id, p, p->n - 1, &row.id, &known, e);
	if (rc < 0)
		return -1;
	for (unsigned i = known; i + 1 < p->n; i++)
		if (create_one(a, row.id, p->level[i], USE_NONE, false, &row, e) < 0)
			return -1;
	*ret = row.id;
	return 0;
}

/* Adds the ids of a mailbox's children to the n that are in `ids`, which holds LIMIT_MAILBOXES. */
static int add_children(struct account_tx *a, uint32_t id, uint32_t *ids, size_t *n, err *e)
{
	struct key_name prefix;
	struct store_scan sc;
	slice k, v;
	key_name(&prefix, a->id, id, (slice){0});
	if (store_tx_scan(a->tx, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1 && *n < LIMIT_MAILBOXES; rc = store_scan_next(&sc, &k, &v, e))
		if (row_id_get(v, &ids[(*n)++], e) < 0) {
			rc = -1;
			break;
		}
	store_scan_close(&sc);
	return rc < 0 ? -1 : 0;
}

/* Levels below a mailbox, 0 when it has no children; stops counting at `max`. */
static int height(struct account_tx *a, uint32_t id, unsigned max, unsigned *ret, err *e)
{
	uint32_t *level = arena_new_n(store_tx_scratch(a->tx), uint32_t, LIMIT_MAILBOXES);
	uint32_t *below = arena_new_n(store_tx_scratch(a->tx), uint32_t, LIMIT_MAILBOXES);
	size_t n = 1;
	unsigned h = 0;
	if (!level || !below)
		return err_set(e, ERR_TEMP, "out of memory in an intent");
	level[0] = id;
	for (; h < max; h++) {
		size_t m = 0;
		for (size_t i = 0; i < n; i++)
			if (add_children(a, level[i], below, &m, e) < 0)
				return -1;
		if (m == 0)
			break;
		uint32_t *t = level;
		level = below;
		below = t;
		n = m;
	}
	*ret = h;
	return 0;
}

/* The name of a subscription, or a level above such names: no mailbox is there or below. 1, 0, -1. */
static int is_only_subscribed(const struct mailbox_tx *m, err *e)
{
	if (!m->row.noselect)
		return 0;
	int mailboxes = folder_has_mailboxes(view_tx(m->a->tx), m->a->id, m->row.id, e);
	return mailboxes < 0 ? -1 : !mailboxes;
}

struct merge {
	uint32_t from, to;
};

/* A child of a name that goes away lives on below `parent`. *ret_twin: the one of its name there, 0: none. */
static int adopt(struct account_tx *a, uint32_t child, uint32_t parent, uint32_t *ret_twin, err *e)
{
	struct mailbox_tx *c = NULL, *twin = NULL;
	struct key_name k;
	slice v;
	*ret_twin = 0;
	if (mailbox_tx_open(a, child, true, &c, e) < 0)
		return -1;
	key_name(&k, a->id, parent, c->row.name);
	int rc = store_tx_get(a->tx, KEY_SLICE(k), &v, e);
	if (rc < 0)
		return -1;
	if (rc == 0) {
		if (del_name(c, e) < 0)
			return -1;
		c->row.parent = parent;
		c->dirty = true;
		return put_name(a, parent, c->row.name, child, e) < 0 ? -1 : mailbox_tx_close(c, e);
	}
	if (row_id_get(v, ret_twin, e) < 0 || mailbox_tx_open(a, *ret_twin, true, &twin, e) < 0)
		return -1;
	if (!c->row.subscribed || twin->row.subscribed)
		return 0;
	twin->row.subscribed = true;
	twin->dirty = true;
	if (mailbox_tx_close(twin, e) < 0)
		return -1;
	return account_tx_settings(a, *ret_twin, CHANGE_SUBSCRIBED, e);
}

/* A name that stands for subscriptions only becomes the mailbox m's: those below stay where they are. */
static int take_over(struct mailbox_tx *m, struct mailbox_tx *there, err *e)
{
	struct account_tx *a = m->a;
	struct merge *todo = arena_new_n(store_tx_scratch(a->tx), struct merge, LIMIT_MAILBOXES);
	uint32_t *children = arena_new_n(store_tx_scratch(a->tx), uint32_t, LIMIT_MAILBOXES);
	size_t n = 0;
	if (!todo || !children)
		return err_set(e, ERR_TEMP, "out of memory in an intent");
	m->row.subscribed |= there->row.subscribed;
	todo[n++] = (struct merge){.from = there->row.id, .to = m->row.id};
	for (size_t i = 0; i < n; i++) {
		size_t kids = 0;
		uint32_t twin;
		if (add_children(a, todo[i].from, children, &kids, e) < 0)
			return -1;
		for (size_t j = 0; j < kids; j++) {
			if (adopt(a, children[j], todo[i].to, &twin, e) < 0)
				return -1;
			if (twin && n < LIMIT_MAILBOXES)
				todo[n++] = (struct merge){.from = children[j], .to = twin};
		}
	}
	while (n-- > 0) { /* from below: the path of each is still known */
		struct mailbox_tx *gone = NULL;
		if (mailbox_tx_open(a, todo[n].from, true, &gone, e) < 0 || remove_row(gone, e) < 0)
			return -1;
	}
	return 0;
}

/* Makes room for the new name of m: only a subscription, which m then has, may stand there. */
static int free_name(struct mailbox_tx *m, const struct folder_path *to, err *e)
{
	struct account_tx *a = m->a;
	struct mailbox_tx *there = NULL;
	uint32_t id;
	int rc = folder_find(view_tx(a->tx), a->id, to, to->n, &id, NULL, e);
	if (rc <= 0)
		return rc;
	if (id == m->row.id || mailbox_tx_open(a, id, true, &there, e) < 0)
		return err_set(e, ERR_EXISTS, "a mailbox of that name exists");
	rc = is_only_subscribed(there, e);
	if (rc == 0)
		return err_set(e, ERR_EXISTS, "a mailbox of that name exists");
	return rc < 0 ? -1 : take_over(m, there, e);
}

static int rename_run(struct store_tx *tx, void *arg, err *e)
{
	struct folder_job *job = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	struct folder_path from, to;
	struct mailbox_tx *m = NULL;
	uint32_t parent, old_parent;
	unsigned below;
	if (folder_path_parse(job->path, &from, e) < 0 || folder_path_parse(job->to, &to, e) < 0 ||
		open_path(tx, job->account, &from, &a, &m, e) < 0)
		return -1;
	int rc = is_only_subscribed(m, e);
	if (rc != 0)
		return rc < 0 ? -1 : no_such(e);
	if (rights_tx_need(m, job->by, RIGHT_REMOVE, NULL, e) < 0 || may_make(&a, job->by, &to, e) < 0)
		return -1;
	if (free_name(m, &to, e) < 0)
		return -1;
	if (kept_name(to.n - 1, to.level[0]))
		return err_set(e, ERR_DENIED, "the name is kept for mailboxes of others");
	if (path_within(&to, &from))
		return err_set(e, ERR_DENIED, "a mailbox cannot become its own child");
	if (height(&a, m->row.id, LIMIT_MAILBOX_DEPTH, &below, e) < 0)
		return -1;
	if (to.n + below > LIMIT_MAILBOX_DEPTH)
		return err_set(e, ERR_LIMIT, "mailboxes lie at most %d levels deep", LIMIT_MAILBOX_DEPTH);
	if (make_parents(&a, &to, &parent, e) < 0 || give_up_path(m, CHANGE_RENAMED, e) < 0 ||
		del_name(m, e) < 0)
		return -1;
	old_parent = m->row.parent;
	m->row.parent = parent;
	m->row.name = to.level[to.n - 1];
	m->dirty = true;
	if (put_name(&a, parent, m->row.name, m->row.id, e) < 0 || mailbox_tx_close(m, e) < 0 ||
		remove_empty_parents(&a, old_parent, e) < 0)
		return -1;
	return account_tx_close(&a, e);
}

int mailbox_rename(struct store *s, uint32_t account, uint32_t by, slice from, slice to, err *e)
{
	struct folder_job job = {.account = account, .by = by, .path = from, .to = to};
	struct folder_path p;
	if (folder_path_parse(from, &p, e) < 0)
		return -1;
	if (p.n > 1 || !slice_eq(p.level[0], S("INBOX")))
		return store_commit(s, rename_run, &job, e);
	if (by != 0 && by != account)
		return err_set(e, ERR_DENIED, "only its owner can rename INBOX");
	AUTO(uidset_free) struct uidset uids = {0};
	if (uidset_add_range(&uids, 1, UINT32_MAX) < 0)
		return err_set(e, ERR_TEMP, "out of memory");
	struct copy move = {
		.account = account, .mailbox = MAILBOX_INBOX, .to_account = account, .uids = &uids};
	struct folder_job heir = {.account = account, .path = to, .to = S("INBOX")};
	if (store_commit(s, create_run, &heir, e) < 0)
		return -1;
	move.to_mailbox = heir.id;
	if (mailbox_metadata_copy(s, account, MAILBOX_INBOX, move.to_mailbox, e) < 0)
		return -1;
	int rc = mailbox_move(s, &move, e);
	uidset_free(&move.ret_source);
	uidset_free(&move.ret_dest);
	return rc;
}

/* ---- settings ---- */

static int settings_close(struct account_tx *a, struct mailbox_tx *m, err *e)
{
	m->dirty = true;
	if (mailbox_tx_close(m, e) < 0 || account_tx_settings(a, m->row.id, CHANGE_USE, e) < 0)
		return -1;
	return account_tx_close(a, e);
}

static int subscribe_run(struct store_tx *tx, void *arg, err *e)
{
	const struct folder_job *job = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	struct folder_path p;
	struct mailbox_tx *m = NULL;
	if (folder_path_parse(job->path, &p, e) < 0 || open_path(tx, job->account, &p, &a, &m, e) < 0)
		return -1;
	if (m->row.subscribed == job->on)
		return 0;
	m->row.subscribed = job->on;
	m->dirty = true;
	if (mailbox_tx_close(m, e) < 0 || account_tx_settings(&a, m->row.id, CHANGE_SUBSCRIBED, e) < 0 ||
		remove_empty_parents(&a, m->row.id, e) < 0)
		return -1;
	return account_tx_close(&a, e);
}

int mailbox_subscribe(struct store *s, uint32_t account, slice path, bool on, err *e)
{
	struct folder_job job = {.account = account, .path = path, .on = on};
	return store_commit(s, subscribe_run, &job, e);
}

static int use_run(struct store_tx *tx, void *arg, err *e)
{
	const struct folder_job *job = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	struct folder_path p;
	struct mailbox_tx *m = NULL;
	if (folder_path_parse(job->path, &p, e) < 0 || open_path(tx, job->account, &p, &a, &m, e) < 0)
		return -1;
	if (m->row.use == job->use)
		return 0;
	m->row.use = job->use;
	return settings_close(&a, m, e);
}

int mailbox_set_use(struct store *s, uint32_t account, slice path, enum mailbox_use use, err *e)
{
	struct folder_job job = {.account = account, .path = path, .use = use};
	return store_commit(s, use_run, &job, e);
}

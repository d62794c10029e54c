/*
 * METADATA (RFC 5464): GETMETADATA and SETMETADATA. Values are kept in mailbox/metadata.h; what is computed
 * stands in a table here: who looks after the post house, and a mailbox's special use (RFC 6154 4).
 */
#include "imap/metadata.h"
#include "imap/name.h"
#include "imap/notify.h"
#include "limits.h"
#include "mailbox/folder.h"
#include "mailbox/metadata.h"

#define SEND_AT 65536 /* bytes of responses gathered before they are sent */

/* ---- names of entries ---- */

static bool under(slice name, slice top)
{
	return slice_istarts(name, top) && (name.n == top.n || name.p[top.n] == '/');
}

static bool is_shared(slice name)
{
	return under(name, S("/shared"));
}

/* RFC 5464 3.2. part: it may be the beginning of names only, as with DEPTH. */
static bool is_entry(slice name, bool part)
{
	slice scope = is_shared(name) ? S("/shared") : S("/private");
	size_t components = 0;

	if (!under(name, scope) || name.n > LIMIT_METADATA_NAME || name.p[name.n - 1] == '/')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (c < ' ' || c > '~' || c == '*' || c == '%' || (c == '/' && name.p[i + 1] == '/'))
			return false;
		components += c == '/';
	}
	bool vendor = under(slice_skip(name, scope.n), S("/vendor"));
	return part || components >= (vendor ? 4 : 2);
}

static uint32_t owner_of(const struct imap_session *s, slice name)
{
	return is_shared(name) ? METADATA_SHARED : s->account;
}

/* ---- computed entries ---- */

static slice admin(const struct imap_session *s, const struct mailbox_row *row)
{
	(void)row;
	return s->config->admin;
}

/* A use is the owner's: another's mailbox is not this one's \Sent. */
static slice special_use(const struct imap_session *s, const struct mailbox_row *row)
{
	bool none = row->use == USE_NONE || row->account != s->account;

	return none ? (slice){NULL, 0} : imap_use_name(row->use);
}

static const struct computed {
	slice name;
	bool of_account; /* of the account as a whole, not of a mailbox */
	slice (*value)(const struct imap_session *s, const struct mailbox_row *row);
} computed[] = {
	{SLICE_INIT("/shared/admin"), true, admin},
	{SLICE_INIT("/private/specialuse"), false, special_use},
};

static const struct computed *computed_of(slice name, bool of_account)
{
	for (size_t i = 0; i < COUNT_OF(computed); i++) {
		if (computed[i].of_account == of_account && slice_ieq(name, computed[i].name))
			return &computed[i];
	}
	return NULL;
}

/* ---- arguments ---- */

static bool take_entry(struct imap_args *a, bool part, slice *ret)
{
	slice name;

	if (!imap_take_astring(a, &name))
		return false;
	if (!is_entry(name, part))
		return imap_args_fail(a, "that is no name of an entry, such as /private/comment");
	*ret = name;
	return true;
}

#define ENTRIES_MIN 16

static bool add_entry(struct imap_args *a, struct imap_entries *e)
{
	bool full = e->n == 0 || (e->n >= ENTRIES_MIN && (e->n & (e->n - 1)) == 0);
	slice name;

	if (!take_entry(a, e->depth > 0, &name))
		return false;
	if (full) {
		slice *more = arena_new_n(a->arena, slice, e->n ? 2 * e->n : ENTRIES_MIN);

		if (!more)
			return imap_args_fail(a, "the command is too large");
		if (e->n)
			memcpy(more, e->names, e->n * sizeof *more);
		e->names = more;
	}
	e->names[e->n++] = name;
	return true;
}

bool imap_take_entries(struct imap_args *a, struct imap_entries *ret)
{
	if (!imap_try_c(a, '('))
		return add_entry(a, ret);
	do {
		if (ret->n > 0 && !imap_take_sp(a))
			return false;
		if (!add_entry(a, ret))
			return false;
	} while (!imap_try_c(a, ')'));
	return true;
}

static bool take_depth(struct imap_args *a, unsigned *ret)
{
	slice word;

	if (!imap_take_atom(a, &word))
		return false;
	if (slice_eq(word, S("0")))
		*ret = 0;
	else if (slice_eq(word, S("1")))
		*ret = 1;
	else if (slice_ieq(word, S("infinity")))
		*ret = UINT_MAX;
	else
		return imap_args_fail(a, "DEPTH is 0, 1 or infinity");
	return true;
}

static bool take_options(struct imap_args *a, struct imap_entries *e)
{
	slice word;

	if (!imap_take_c(a, '('))
		return false;
	do {
		if (!imap_take_atom(a, &word) || !imap_take_sp(a))
			return false;
		if (slice_ieq(word, S("MAXSIZE")) ? !imap_take_number(a, UINT32_MAX, &e->max)
			: slice_ieq(word, S("DEPTH"))
				? !take_depth(a, &e->depth)
				: !imap_args_fail(a, "the options are MAXSIZE and DEPTH"))
			return false;
		if (imap_try_c(a, ')'))
			return true;
	} while (imap_take_sp(a));
	return false;
}

/* Options stand in front of the mailbox by the grammar and behind it in the examples: both are taken. */
static bool at_options(const struct imap_args *a)
{
	return a->text.n > 1 && a->text.p[0] == '(' && ascii_is_alpha(a->text.p[1]);
}

/* ---- GETMETADATA ---- */

struct answer {
	struct imap_session *s;
	slice mailbox;
	const struct imap_entries *what;
	bool open;
	size_t found; /* of the name in hand */
	uint64_t longest;
};

static void write_name(struct buf *out, slice name)
{
	bool atom = true;

	for (size_t i = 0; i < name.n; i++)
		atom &= imap_is_atom_char(name.p[i]);
	if (atom)
		buf_add(out, name);
	else
		imap_write_string(out, name, false);
}

static void write_value(struct imap_session *s, slice value)
{
	if (!value.p) {
		buf_addz(&s->out, "NIL");
	} else if (value.n > 0 && memchr(value.p, 0, value.n)) {
		buf_addz(&s->out, "~{");
		imap_write_u64(&s->out, value.n);
		buf_addz(&s->out, "}\r\n");
		buf_add(&s->out, value);
	} else {
		imap_write_string(&s->out, value, s->rev2 || s->utf8);
	}
}

static void put(struct answer *w, slice name, slice value)
{
	struct buf *out = &w->s->out;

	w->found++;
	if (value.p && value.n > w->what->max) {
		if (value.n > w->longest)
			w->longest = value.n;
		return;
	}
	if (w->open) {
		buf_add_c(out, ' ');
	} else {
		buf_addz(out, "* METADATA ");
		imap_name_write(out, w->mailbox, w->s->rev2 || w->s->utf8);
		buf_addz(out, " (");
	}
	w->open = true;
	write_name(out, name);
	buf_add_c(out, ' ');
	write_value(w->s, value);
}

static void close_response(struct answer *w)
{
	if (w->open)
		buf_addz(&w->s->out, ")\r\n");
	w->open = false;
}

/* Whether `name` is within the depth asked for; `top` itself is written first. */
static bool below(slice name, slice top, unsigned depth)
{
	slice rest = slice_skip(name, top.n);

	if (depth == 0 || rest.n == 0 || !under(name, top))
		return false;
	return depth > 1 || slice_find_c(slice_skip(rest, 1), '/') < 0;
}

static int put_below(struct answer *w, struct store_snap *snap, uint32_t account,
	const struct mailbox_row *row, slice top, err *e)
{
	struct metadata_scan sc;
	struct metadata m;

	for (size_t i = 0; i < COUNT_OF(computed); i++) {
		const struct computed *c = &computed[i];
		slice value = c->of_account == !row && below(c->name, top, w->what->depth)
				      ? c->value(w->s, row)
				      : (slice){NULL, 0};
		if (value.p)
			put(w, c->name, value);
	}
	if (metadata_open(snap, account, row ? row->id : 0, owner_of(w->s, top), top, &sc, e) < 0)
		return -1;
	int rc;
	while ((rc = metadata_next(&sc, &m, e)) > 0) {
		if (below(m.name, top, w->what->depth))
			put(w, m.name, m.value);
	}
	metadata_close(&sc);
	return rc;
}

/* row NULL: of the account as a whole. */
static int put_entry(struct answer *w, struct store_snap *snap, uint32_t account,
	const struct mailbox_row *row, slice name, err *e)
{
	const struct computed *c = computed_of(name, !row);
	struct metadata m = {.value = {NULL, 0}};
	int rc = 0;

	w->found = 0;
	if (c)
		m.value = c->value(w->s, row);
	else
		rc = mailbox_metadata_get(
			snap, account, row ? row->id : 0, owner_of(w->s, name), name, &m, e);
	if (rc >= 0 && m.value.p)
		put(w, name, m.value);
	if (rc >= 0 && w->what->depth > 0)
		rc = put_below(w, snap, account, row, name, e);
	if (rc >= 0 && w->found == 0) /* a response is required: RFC 5464 4.2 */
		put(w, name, (slice){NULL, 0});
	return rc < 0 ? -1 : 0;
}

/* 1: the session may read the metadata of that mailbox; 0, -1. */
static int may_read(
	struct imap_session *s, struct store_snap *snap, uint32_t account, uint32_t mailbox, err *e)
{
	unsigned rights;

	if (account == s->account)
		return 1;
	return mailbox_rights(snap, account, mailbox, s->account, &rights, e) < 0 ? -1
										  : rights_metadata(rights);
}

int imap_write_metadata(struct imap_session *s, slice name, uint32_t account, uint32_t mailbox,
	const struct imap_entries *what, uint64_t *longest, err *e)
{
	struct answer w = {.s = s, .mailbox = name, .what = what};
	int rc = 0;

	for (size_t i = 0; i < what->n && rc >= 0; i++) {
		struct store_snap snap = {0};
		struct mailbox_row row;

		rc = store_snap_begin(s->store, &snap, e);
		if (rc == 0 && mailbox)
			rc = mailbox_get(&snap, account, mailbox, &row, e);
		if (rc > 0)
			rc = may_read(s, &snap, account, mailbox, e);
		if (rc > 0 || (rc == 0 && !mailbox))
			rc = put_entry(&w, &snap, account, mailbox ? &row : NULL, what->names[i], e);
		store_snap_end(&snap);
		if (rc < 0 || s->out.n < SEND_AT)
			continue;
		close_response(&w);
		rc = imap_send(s);
		if (rc < 0)
			rc = imap_stream_error(rc, e);
	}
	close_response(&w);
	if (w.longest > *longest)
		*longest = w.longest;
	return rc < 0 ? -1 : 0;
}

/* The mailbox that a place means, mere names too. 1, 0, -1. */
static int find(struct imap_session *s, const struct imap_place *place, uint32_t *ret, err *e)
{
	struct store_snap snap = {0};
	struct mailbox_row row;

	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	int rc = imap_place_find(s, &snap, place, RIGHT_LOOKUP, &row, e);
	if (rc > 0) {
		rc = may_read(s, &snap, row.account, row.id, e);
		if (rc == 0)
			rc = err_set(e, ERR_NOPERM, "the mailbox's owner does not permit that");
	}
	if (rc > 0) {
		*ret = row.id;
		if (row.noselect) /* a name that stands for children counts, a mere subscription does not */
			rc = folder_has_children(view_snap(&snap), row.account, row.id, e);
	}
	store_snap_end(&snap);
	return rc;
}

struct target { /* a mailbox, or the account as a whole */
	struct imap_place place;
	bool of_account;
	uint32_t account, mailbox;
};

static bool take_target(struct imap_session *s, struct imap_args *a, struct target *ret)
{
	struct imap_args before = *a;
	slice name;

	/* The empty name is nothing else than that. */
	if (!imap_take_astring(a, &name))
		return false;
	if (name.n == 0) {
		*ret = (struct target){.of_account = true, .account = s->account};
		return true;
	}
	*a = before;
	*ret = (struct target){.of_account = false};
	return imap_take_mailbox(s, a, &ret->place);
}

/* 0; 1: answered. */
static int find_target(struct imap_session *s, struct target *t, int *ret_answer)
{
	err e = {0};

	if (t->of_account)
		return 0;
	int rc = find(s, &t->place, &t->mailbox, &e);
	t->account = t->place.account;
	if (rc > 0)
		return 0;
	*ret_answer = rc < 0 ? imap_answer_err(s, &e)
			     : imap_answer(s, IMAP_NO, "[NONEXISTENT] there is no such mailbox");
	return 1;
}

int imap_cmd_getmetadata(struct imap_session *s, struct imap_args *a)
{
	struct imap_entries what = {.max = UINT64_MAX};
	struct target t;
	uint64_t longest = 0;
	int answer;
	err e = {0};

	if (!imap_take_sp(a) || (at_options(a) && (!take_options(a, &what) || !imap_take_sp(a))) ||
		!take_target(s, a, &t) || !imap_take_sp(a) ||
		(at_options(a) && (!take_options(a, &what) || !imap_take_sp(a))) ||
		!imap_take_entries(a, &what) || !imap_take_end(a))
		return imap_bad_args(s, a);
	if (find_target(s, &t, &answer))
		return answer;
	if (imap_write_metadata(s, t.place.name, t.account, t.mailbox, &what, &longest, &e) < 0)
		return imap_answer_err(s, &e);
	if (longest > 0)
		return imap_answer(s, IMAP_OK, "[METADATA LONGENTRIES %llu] longer ones are left out",
			(unsigned long long)longest);
	return imap_answer(s, IMAP_OK, "as it is now");
}

/* ---- SETMETADATA ---- */

struct setting {
	struct metadata_set set;
	struct metadata *values;
	size_t cap;
	bool too_long, use_unknown, denied;
};

/* "\Sent" of /private/specialuse; one mailbox, one use, as with CREATE. */
static void set_use(struct setting *x, slice value)
{
	value = slice_trim(value);
	x->set.has_use = true;
	x->set.use = value.n ? imap_use_of(value) : USE_NONE;
	x->use_unknown |= value.n > 0 && x->set.use == USE_NONE;
}

static bool take_pair(struct imap_session *s, struct imap_args *a, const struct target *t, struct setting *x)
{
	slice name, value;

	if (!take_entry(a, false, &name) || !imap_take_sp(a) || !imap_take_value(a, &value))
		return false;
	const struct computed *c = computed_of(name, t->of_account);
	x->too_long |= value.n > LIMIT_METADATA_VALUE;
	/* What all accounts see is not a client's to set. */
	x->denied |= t->of_account ? is_shared(name) : c && t->place.account != s->account;
	if (c) {
		set_use(x, value);
		return true;
	}
	if (x->set.n == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : ENTRIES_MIN;
		struct metadata *more = arena_new_n(a->arena, struct metadata, cap);

		if (!more)
			return imap_args_fail(a, "the command is too large");
		if (x->set.n)
			memcpy(more, x->values, x->set.n * sizeof *more);
		x->values = more;
		x->cap = cap;
	}
	x->values[x->set.n++] = (struct metadata){.who = owner_of(s, name), .name = name, .value = value};
	return true;
}

static bool take_pairs(struct imap_session *s, struct imap_args *a, const struct target *t, struct setting *x)
{
	if (!imap_take_c(a, '('))
		return false;
	do {
		if (!take_pair(s, a, t, x))
			return false;
		if (imap_try_c(a, ')'))
			return imap_take_end(a);
	} while (imap_take_sp(a));
	return false;
}

static int answer_set(struct imap_session *s, const err *e)
{
	if (e->kind == ERR_LIMIT)
		return imap_answer(s, IMAP_NO, "[METADATA TOOMANY] %s", e->text);
	return imap_answer_err(s, e);
}

int imap_cmd_setmetadata(struct imap_session *s, struct imap_args *a)
{
	struct setting x = {.set = {.n = 0}};
	struct target t;
	int answer;
	err e = {0};

	if (!imap_take_sp(a) || !take_target(s, a, &t) || !imap_take_sp(a) || !take_pairs(s, a, &t, &x))
		return imap_bad_args(s, a);
	if (find_target(s, &t, &answer))
		return answer;
	if (x.denied)
		return imap_answer(s, IMAP_NO, "[NOPERM] that entry is not yours to set");
	if (x.too_long)
		return imap_answer(
			s, IMAP_NO, "[METADATA MAXSIZE %d] a value is too long", LIMIT_METADATA_VALUE);
	if (x.use_unknown)
		return imap_answer(
			s, IMAP_NO, "[USEATTR] a mailbox has one special use, of those of RFC 6154");
	x.set.account = t.account;
	x.set.mailbox = t.mailbox;
	x.set.by = s->account;
	x.set.values = x.values;
	imap_notify_own_begin(s, t.account);
	int rc = mailbox_metadata_set(s->store, &x.set, &e);
	imap_notify_own_end(s, t.mailbox);
	if (rc < 0)
		return answer_set(s, &e);
	return imap_answer(s, IMAP_OK, "set");
}

/* LIST with its extensions (RFC 9051 6.3.9, RFC 5258, 5819, 6154) and LSUB (RFC 3501 6.3.9). */
#include "imap/metadata.h"
#include "imap/name.h"
#include "imap/others.h"
#include "imap/session_int.h"
#include "limits.h"

enum list_option {
	SELECT_SUBSCRIBED = 1,
	SELECT_RECURSIVE = 2,
	SELECT_SPECIAL = 4,
	SELECT_REMOTE = 8, /* there are none: nothing to do */
	RETURN_SUBSCRIBED = 16,
	RETURN_CHILDREN = 32, /* always returned */
	RETURN_SPECIAL = 64,  /* always returned */
	RETURN_STATUS = 128,
	RETURN_METADATA = 256,
	RETURN_MYRIGHTS = 512,
};

struct list {
	unsigned options, status;
	struct imap_entries metadata;
	uint64_t longest; /* of the values left out */
	bool extended;
	bool lsub;       /* as (SUBSCRIBED RECURSIVEMATCH), told otherwise */
	bool probe;      /* the pattern is empty */
	slice *patterns; /* joined with the reference, UTF-8 */
	size_t n;
	struct mailbox_item *items;
	size_t items_n;
};

static const struct option {
	slice name;
	unsigned bit;
} select_options[] =
	{
		{SLICE_INIT("SUBSCRIBED"), SELECT_SUBSCRIBED},
		{SLICE_INIT("RECURSIVEMATCH"), SELECT_RECURSIVE},
		{SLICE_INIT("SPECIAL-USE"), SELECT_SPECIAL},
		{SLICE_INIT("REMOTE"), SELECT_REMOTE},
},
  return_options[] = {
	  {SLICE_INIT("SUBSCRIBED"), RETURN_SUBSCRIBED},
	  {SLICE_INIT("CHILDREN"), RETURN_CHILDREN},
	  {SLICE_INIT("SPECIAL-USE"), RETURN_SPECIAL},
	  {SLICE_INIT("STATUS"), RETURN_STATUS},
	  {SLICE_INIT("METADATA"), RETURN_METADATA},
	  {SLICE_INIT("MYRIGHTS"), RETURN_MYRIGHTS},
};

/* ---- arguments ---- */

static bool take_options(struct imap_args *a, const struct option *table, size_t n, struct list *l)
{
	bool any = false;
	slice word;

	if (!imap_take_c(a, '('))
		return false;
	while (!imap_try_c(a, ')')) {
		unsigned bit = 0;

		if (any && !imap_take_sp(a))
			return false;
		if (!imap_take_atom(a, &word))
			return false;
		for (size_t i = 0; i < n; i++)
			bit |= slice_ieq(word, table[i].name) ? table[i].bit : 0;
		if (bit == 0)
			return imap_args_fail(a, "that LIST option is not known");
		if (bit == RETURN_STATUS && (!imap_take_sp(a) || !imap_take_status_items(a, &l->status)))
			return false;
		if (bit == RETURN_METADATA && (!imap_take_sp(a) || !imap_take_entries(a, &l->metadata)))
			return false;
		l->options |= bit;
		any = true;
	}
	return true;
}

static bool take_pattern(
	struct imap_session *s, struct imap_args *a, slice reference, struct list *l, size_t max)
{
	slice wire, whole, path;

	if (!imap_take_list_mailbox(a, &wire))
		return false;
	if (l->n == max)
		return imap_args_fail(a, "too many patterns");
	l->probe = wire.n == 0;
	whole = imap_name_pattern(reference, wire, a->arena);
	/* What cannot be a name matches nothing. */
	if (whole.p && imap_name_read(whole, s->rev2 || s->utf8, a->arena, &path))
		l->patterns[l->n++] = path;
	return true;
}

#define PATTERNS_MAX 100

static bool take_patterns(struct imap_session *s, struct imap_args *a, slice reference, struct list *l)
{
	l->patterns = arena_new_n(a->arena, slice, PATTERNS_MAX);
	if (!l->patterns)
		return imap_args_fail(a, "the command is too large");
	if (l->lsub || !imap_try_c(a, '('))
		return take_pattern(s, a, reference, l, 1);
	l->extended = true;
	for (bool first = true; !imap_try_c(a, ')'); first = false) {
		if (!first && !imap_take_sp(a))
			return false;
		if (!take_pattern(s, a, reference, l, PATTERNS_MAX))
			return false;
	}
	return true;
}

static bool take_list(struct imap_session *s, struct imap_args *a, struct list *l, bool *ret_probe)
{
	slice reference, word;

	if (!imap_take_sp(a))
		return false;
	if (!l->lsub && imap_args_peek(a) == '(') {
		l->extended = true;
		if (!take_options(a, select_options, COUNT_OF(select_options), l) || !imap_take_sp(a))
			return false;
	}
	if (!imap_take_astring(a, &reference) || !imap_take_sp(a) || !take_patterns(s, a, reference, l))
		return false;
	*ret_probe = l->probe && !l->extended;
	if (!l->lsub && !imap_args_at_end(a)) {
		if (!imap_take_sp(a) || !imap_take_atom(a, &word))
			return false;
		if (!slice_ieq(word, S("RETURN")))
			return imap_args_fail(a, "only RETURN may stand there");
		if (!imap_take_sp(a) || !take_options(a, return_options, COUNT_OF(return_options), l))
			return false;
	}
	if ((l->options & SELECT_RECURSIVE) && !(l->options & (SELECT_SUBSCRIBED | SELECT_SPECIAL)))
		return imap_args_fail(a, "RECURSIVEMATCH wants something to match");
	return imap_take_end(a);
}

/* ---- answers ---- */

static bool matches(const struct list *l, slice path)
{
	for (size_t i = 0; i < l->n; i++) {
		if (imap_name_match(l->patterns[i], path))
			return true;
	}
	return false;
}

static bool is_selected(const struct list *l, const struct mailbox_item *item)
{
	if (l->options & SELECT_SUBSCRIBED ? !item->row.subscribed : item->absent)
		return false;
	return !(l->options & SELECT_SPECIAL) || item->row.use != USE_NONE;
}

enum below { BELOW_SELECTED = 1, BELOW_HIDDEN = 2 };

/*
 * What each item has below: mailboxes that fit the selection, and such that do not fit the patterns (RFC 5258
 * 3.5; LSUB: RFC 3501 6.3.9). Items are in the order of the tree: from the last one on, one look at each is
 * enough.
 */
static uint8_t *look_below(const struct list *l, struct arena *a)
{
	uint8_t *ret = arena_new_n(a, uint8_t, l->items_n + 1);
	uint8_t below[LIMIT_MAILBOX_DEPTH + 1] = {0};

	for (size_t i = l->items_n; ret && i-- > 0;) {
		const struct mailbox_item *x = &l->items[i];

		ret[i] = below[x->depth + 1];
		below[x->depth + 1] = 0;
		below[x->depth] |= ret[i];
		if (is_selected(l, x))
			below[x->depth] |=
				matches(l, x->path) ? BELOW_SELECTED : BELOW_SELECTED | BELOW_HIDDEN;
	}
	return ret;
}

static void add_attribute(struct buf *out, bool *blank, const char *name)
{
	if (*blank)
		buf_add_c(out, ' ');
	buf_addz(out, name);
	*blank = true;
}

void imap_write_list_attributes(struct buf *out, const struct mailbox_item *item, bool subscribed)
{
	bool blank = false;

	if (item->row.noselect)
		add_attribute(out, &blank, item->absent ? "\\NonExistent" : "\\Noselect");
	add_attribute(out, &blank, item->has_children ? "\\HasChildren" : "\\HasNoChildren");
	if (subscribed && item->row.subscribed)
		add_attribute(out, &blank, "\\Subscribed");
	if (item->row.use != USE_NONE) {
		buf_add_c(out, ' ');
		buf_add(out, imap_use_name(item->row.use));
	}
}

static void write_item(
	struct imap_session *s, const struct list *l, const struct mailbox_item *item, bool childinfo)
{
	struct buf *out = &s->out;

	buf_addz(out, "* LIST (");
	imap_write_list_attributes(out, item, l->options & (RETURN_SUBSCRIBED | SELECT_SUBSCRIBED));
	buf_addz(out, ") \"/\" ");
	imap_name_write(out, item->path, s->rev2 || s->utf8);
	if (childinfo)
		buf_addz(out, " (\"CHILDINFO\" (\"SUBSCRIBED\"))");
	buf_addz(out, "\r\n");
}

/* What is asked for besides, of mailboxes that are selected themselves (RFC 5819 3, 9590 3). */
static int write_more(struct imap_session *s, struct list *l, const struct mailbox_item *item, err *e)
{
	if ((l->options & RETURN_STATUS) && !item->row.noselect)
		imap_write_status(s, item->path, &item->row, l->status);
	if ((l->options & RETURN_MYRIGHTS) && !item->row.noselect) /* RFC 8440 */
		imap_write_myrights(
			s, item->path, item->row.account == s->account ? RIGHTS_ALL : item->rights);
	if (!(l->options & RETURN_METADATA) || item->absent || item->row.id == 0)
		return 0;
	return imap_write_metadata(
		s, item->path, item->row.account, item->row.id, &l->metadata, &l->longest, e);
}

/* A name that a pattern with % hides shows its first ancestor that matches, as \Noselect. */
static void write_lsub_item(struct imap_session *s, const struct mailbox_item *item)
{
	buf_addz(&s->out, item->row.subscribed ? "* LSUB () \"/\" " : "* LSUB (\\Noselect) \"/\" ");
	imap_name_write(&s->out, item->path, s->rev2 || s->utf8);
	buf_addz(&s->out, "\r\n");
}

#define SEND_AT 65536

static int write_list(struct imap_session *s, struct list *l, err *e)
{
	const uint8_t *has = l->options & SELECT_RECURSIVE ? look_below(l, s->arena) : NULL;
	int rc = 0;

	if ((l->options & SELECT_RECURSIVE) && !has)
		return err_set(e, ERR_LIMIT, "no room for the list of mailboxes");
	for (size_t i = 0; i < l->items_n && rc == 0; i++) {
		const struct mailbox_item *item = &l->items[i];
		bool selected = is_selected(l, item), below = has && has[i] & BELOW_HIDDEN;

		if ((!below && !selected) || !matches(l, item->path))
			continue;
		below |= has && selected && has[i]; /* the last line of the table in RFC 5258 3.5 */
		if (l->lsub)
			write_lsub_item(s, item);
		else
			write_item(s, l, item, below && (l->options & SELECT_SUBSCRIBED));
		if (!l->lsub && selected)
			rc = write_more(s, l, item, e);
		if (rc == 0 && s->out.n > SEND_AT && (rc = imap_send(s)) < 0)
			rc = imap_stream_error(rc, e);
	}
	return rc;
}

static int run(struct imap_session *s, struct imap_args *a, bool lsub)
{
	struct list l = {.lsub = lsub, .metadata.max = UINT64_MAX};
	struct store_snap snap = {0};
	bool probe = false;
	err e = {0};

	if (!take_list(s, a, &l, &probe))
		return imap_bad_args(s, a);
	if (lsub)
		l.options = SELECT_SUBSCRIBED | SELECT_RECURSIVE;
	if (probe) { /* LIST "" "": what is the separator? */
		buf_addz(&s->out,
			lsub ? "* LSUB (\\Noselect) \"/\" \"\"\r\n" : "* LIST (\\Noselect) \"/\" \"\"\r\n");
		return imap_answer(s, IMAP_OK, "the separator");
	}
	struct arena *names = arena_new(LIMIT_IMAP_LIST);
	int rc = names ? store_snap_begin(s->store, &snap, &e) : err_set(&e, ERR_TEMP, "no memory");
	if (rc == 0)
		rc = imap_list_all(s, &snap, names, &l.items, &l.items_n, &e);
	store_snap_end(&snap);
	if (rc == 0)
		rc = write_list(s, &l, &e);
	arena_free(names);
	if (rc < 0)
		return imap_answer_err(s, &e);
	if (l.longest > 0)
		return imap_answer(s, IMAP_OK, "[METADATA LONGENTRIES %llu] longer ones are left out",
			(unsigned long long)l.longest);
	return imap_answer(s, IMAP_OK, "listed");
}

int imap_cmd_list(struct imap_session *s, struct imap_args *a)
{
	return run(s, a, false);
}

int imap_cmd_lsub(struct imap_session *s, struct imap_args *a)
{
	return run(s, a, true);
}

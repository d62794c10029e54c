/* STORE (RFC 9051 6.4.6), UNCHANGEDSINCE (RFC 7162 3.1.3). */
#include "imap/condstore.h"
#include "limits.h"

struct store_args {
	struct imap_seqset set;
	enum flags_op op;
	bool silent;
	bool conditional;
	uint64_t unchangedsince;
	struct imap_flags flags;
};

static const struct {
	slice name;
	enum flags_op op;
	bool silent;
} items[] = {
	{SLICE_INIT("FLAGS"), FLAGS_REPLACE, false},
	{SLICE_INIT("FLAGS.SILENT"), FLAGS_REPLACE, true},
	{SLICE_INIT("+FLAGS"), FLAGS_ADD, false},
	{SLICE_INIT("+FLAGS.SILENT"), FLAGS_ADD, true},
	{SLICE_INIT("-FLAGS"), FLAGS_REMOVE, false},
	{SLICE_INIT("-FLAGS.SILENT"), FLAGS_REMOVE, true},
};

static bool take_item(struct imap_args *a, struct store_args *ret)
{
	slice word;

	if (!imap_take_word(a, &word))
		return false;
	for (size_t i = 0; i < COUNT_OF(items); i++) {
		if (slice_ieq(word, items[i].name)) {
			ret->op = items[i].op;
			ret->silent = items[i].silent;
			return true;
		}
	}
	return imap_args_fail(a, "that STORE item is not known");
}

static bool take_condition(struct imap_args *a, struct store_args *ret)
{
	slice word;

	if (!imap_try_c(a, '('))
		return true;
	if (!imap_take_atom(a, &word))
		return false;
	if (!slice_ieq(word, S("UNCHANGEDSINCE")))
		return imap_args_fail(a, "that STORE modifier is not known");
	ret->conditional = true;
	return imap_take_sp(a) && imap_take_modseq(a, &ret->unchangedsince) && imap_take_c(a, ')') &&
	       imap_take_sp(a);
}

static bool take_store(struct imap_args *a, struct store_args *ret)
{
	return imap_take_sp(a) && imap_take_seqset(a, &ret->set) && imap_take_sp(a) &&
	       take_condition(a, ret) && take_item(a, ret) && imap_take_sp(a) &&
	       imap_take_flags(a, true, &ret->flags) && imap_take_end(a);
}

/* ---- what is told ---- */

struct told {
	bool silent;
	struct uidset modified; /* kept as they were by UNCHANGEDSINCE */
};

/* With .SILENT the flags are known to the client, except of what was not changed; MODSEQ never is. */
static int tell(struct imap_walk *w, struct imap_item *item, err *e)
{
	const struct told *t = w->arg;
	struct buf *out = &w->s->out;

	if (!t->silent || uidset_has(&t->modified, item->entry.uid))
		return imap_tell_flags(w, item, e);
	imap_write_fetch(w->s, item);
	if (!w->s->uidonly) {
		buf_addz(out, "UID ");
		imap_write_u64(out, item->entry.uid);
		buf_add_c(out, ' ');
	}
	imap_write_modseq(out, item->entry.modseq);
	buf_addz(out, ")\r\n");
	return 1;
}

#define MODIFIED_MAX 3000000 /* a list of single UIDs, with room in the command's arena */

static int answer(struct imap_session *s, const struct imap_walk *w, const struct told *t)
{
	struct buf text = BUF_INIT(MODIFIED_MAX);
	struct uidset numbers = {0};

	(void)imap_answer_walk(s, w, "stored");
	if (uidset_count(&t->modified) == 0)
		return 0;
	if (imap_numbers(s, &t->modified, &numbers) < 0)
		text.failed = true;
	buf_addz(&text, "[MODIFIED ");
	imap_write_uids(&text, &numbers);
	buf_addz(&text, "] some were changed since then and stay as they are");
	slice copy = text.failed ? (slice){NULL, 0} : arena_copy(s->arena, buf_slice(&text));
	if (copy.p)
		s->answer = copy;
	else /* an OK without the list would be untrue */
		(void)imap_answer(
			s, IMAP_NO, "[LIMIT] too many were changed since then, and stay as they are");
	buf_free(&text);
	uidset_free(&numbers);
	return 0;
}

/*
 * One intent's changes have one modseq. A STORE that was split has several: what lies between the view's and
 * the last one counts as ours then.
 */
void imap_quiet_set(struct imap_session *s, struct store_flags *a)
{
	struct uidset_scan sc = uidset_scan_from(&a->ret_changed, 1);
	struct uid_range r;
	uint32_t blocks = 0;

	while (blocks <= LIMIT_INTENT_BLOCKS && uidset_scan_next(&sc, &r))
		blocks += r.last / MAILBOX_BLOCK - r.first / MAILBOX_BLOCK + 1;
	uidset_free(&a->ret_modified);
	uidset_free(&s->quiet.uids);
	s->quiet.uids = a->ret_changed;
	s->quiet.upto = a->ret_modseq;
	s->quiet.after =
		blocks > LIMIT_INTENT_BLOCKS || a->ret_modseq == 0 ? s->box.modseq : a->ret_modseq - 1;
	a->ret_changed = (struct uidset){0};
}

int imap_cmd_store(struct imap_session *s, struct imap_args *a)
{
	struct store_args args = {0};
	struct uidset uids = {0};
	struct told told = {0};
	err e = {0};

	if (!take_store(a, &args))
		return imap_bad_args(s, a);
	if (args.conditional)
		imap_condstore_enable(s);
	if (imap_resolve(s, &args.set, &uids) != 0) {
		uidset_free(&uids);
		return 0;
	}
	if (imap_cut(s, &uids) < 0) {
		uidset_free(&uids);
		return imap_answer(s, IMAP_NO, "[LIMIT] no memory");
	}
	struct store_flags change = {.account = s->box.account,
		.by = s->account,
		.mailbox = s->box.mailbox,
		.uids = &uids,
		.op = args.op,
		.flags = args.flags.system,
		.keywords = args.flags.keywords,
		.n_keywords = args.flags.n,
		.unchangedsince = args.conditional ? args.unchangedsince : UINT64_MAX};
	struct imap_walk w = {.s = s, .uids = &uids, .now = tell, .arg = &told};
	int rc = uidset_count(&uids) > 0 ? mailbox_store_flags(s->store, &change, &e) : 0;

	told = (struct told){.silent = args.silent, .modified = change.ret_modified};
	change.ret_modified = (struct uidset){0};
	if (rc == 0)
		imap_quiet_set(s, &change); /* else what was done is told as news */
	uidset_free(&change.ret_changed);
	if (rc == 0 && (!args.silent || s->condstore))
		rc = imap_walk_run(&w, &e);
	uidset_free(&uids);
	rc = rc < 0 ? imap_answer_err(s, &e) : answer(s, &w, &told);
	uidset_free(&told.modified);
	return rc;
}

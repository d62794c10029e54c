/* STORE (RFC 9051 6.4.6). */
#include "imap/session_int.h"
#include "limits.h"

struct store_args {
	struct imap_seqset set;
	enum flags_op op;
	bool silent;
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

static bool take_store(struct imap_args *a, struct store_args *ret)
{
	return imap_take_sp(a) && imap_take_seqset(a, &ret->set) && imap_take_sp(a) && take_item(a, ret) &&
	       imap_take_sp(a) && imap_take_flags(a, true, &ret->flags) && imap_take_end(a);
}

/*
 * One intent's changes have one modseq. A STORE that was split has several: what lies between the view's and
 * the last one counts as ours then.
 */
void imap_quiet_set(struct imap_session *s, struct store_flags *a)
{
	uint32_t n = a->ret_changed.n, blocks = 0;

	for (uint32_t i = 0; i < n && blocks <= LIMIT_INTENT_BLOCKS; i++)
		blocks += a->ret_changed.ranges[i].last / MAILBOX_BLOCK -
			  a->ret_changed.ranges[i].first / MAILBOX_BLOCK + 1;
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
	err e = {0};

	if (!take_store(a, &args))
		return imap_bad_args(s, a);
	if (imap_resolve(s, &args.set, &uids) != 0) {
		uidset_free(&uids);
		return 0;
	}
	struct store_flags change = {.account = s->account,
		.mailbox = s->box.mailbox,
		.uids = &uids,
		.op = args.op,
		.flags = args.flags.system,
		.keywords = args.flags.keywords,
		.n_keywords = args.flags.n,
		.unchangedsince = UINT64_MAX};
	struct imap_walk w = {.s = s, .uids = &uids, .now = imap_tell_flags};
	int rc = uidset_count(&uids) > 0 ? mailbox_store_flags(s->store, &change, &e) : 0;

	if (rc == 0)
		imap_quiet_set(s, &change); /* else what was done is told as news */
	uidset_free(&change.ret_changed);
	uidset_free(&change.ret_modified);
	if (rc == 0 && !args.silent)
		rc = imap_walk_run(&w, &e);
	uidset_free(&uids);
	return rc < 0 ? imap_answer_err(s, &e) : imap_answer_walk(s, &w, "stored");
}

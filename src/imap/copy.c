/* COPY, MOVE (RFC 6851), EXPUNGE, UID EXPUNGE and the codes of UIDPLUS (RFC 4315). */
#include "imap/condstore.h"
#include "imap/notify.h"
#include <errno.h>

struct copy_args {
	struct imap_seqset set;
	struct imap_place place;
};

static bool take_copy(struct imap_session *s, struct imap_args *a, struct copy_args *ret)
{
	return imap_take_sp(a) && imap_take_seqset(a, &ret->set) && imap_take_sp(a) &&
	       imap_take_mailbox(s, a, &ret->place) && imap_take_end(a);
}

static void write_copyuid(struct buf *out, const struct copy *c)
{
	buf_addz(out, "[COPYUID ");
	imap_write_u64(out, c->ret_uidvalidity);
	buf_add_c(out, ' ');
	imap_write_uids(out, &c->ret_source);
	buf_add_c(out, ' ');
	imap_write_uids(out, &c->ret_dest);
	buf_addz(out, "] done");
}

#define COPYUID_MAX 3000000 /* two lists of LIMIT_COPY single UIDs, with room in the command's arena */

static int answer_copy(struct imap_session *s, const struct copy *c)
{
	struct buf text = BUF_INIT(COPYUID_MAX);

	(void)imap_answer(s, IMAP_OK, "copied");
	if (uidset_count(&c->ret_source) == 0)
		return 0;
	write_copyuid(&text, c);
	slice answer = text.failed ? (slice){NULL, 0} : arena_copy(s->arena, buf_slice(&text));
	if (answer.p)
		s->answer = answer;
	buf_free(&text);
	return 0;
}

/*
 * OK after messages went: who resumes by mod-sequences is told the one that holds once all news are (RFC 7162
 * 3.2.7, 3.2.9).
 */
static int answer_gone(struct imap_session *s, const struct uidset *gone, const char *done)
{
	bool any = uidset_count(gone) > 0;

	if (imap_box_expunged(s, gone) < 0)
		return -ENOMEM;
	if (!any || !s->condstore)
		return imap_answer(s, IMAP_OK, "%s", done);
	int rc = imap_box_news(s, true);
	if (rc < 0 || !s->box.open)
		return rc < 0 ? rc : imap_answer(s, IMAP_OK, "%s", done);
	return imap_answer(s, IMAP_OK, "[HIGHESTMODSEQ %llu] %s", (unsigned long long)s->box.told, done);
}

/* MOVE says its COPYUID before the EXPUNGEs (RFC 6851 4.3). */
static int answer_move(struct imap_session *s, const struct copy *c, int rc, const err *e)
{
	bool any = uidset_count(&c->ret_source) > 0;

	if (any) {
		buf_addz(&s->out, "* OK ");
		write_copyuid(&s->out, c);
		buf_addz(&s->out, "\r\n");
	}
	return rc < 0 ? imap_answer_err(s, e) : answer_gone(s, &c->ret_source, "moved");
}

static int copy_or_move(struct imap_session *s, struct imap_args *a, bool move)
{
	struct copy_args args = {0};
	struct uidset uids = {0};
	err e = {0};

	if (!take_copy(s, a, &args))
		return imap_bad_args(s, a);
	struct copy c = {.account = s->box.account,
		.by = s->account,
		.mailbox = s->box.mailbox,
		.to_account = args.place.account,
		.uids = &uids};
	int rc = imap_place_id(s, &args.place, RIGHT_INSERT, &c.to_mailbox, &e);
	if (rc < 0)
		return imap_answer_err(s, &e);
	if (rc == 0)
		return imap_answer(s, IMAP_NO, "[TRYCREATE] there is no such mailbox");
	if (imap_resolve(s, &args.set, &uids) != 0) {
		uidset_free(&uids);
		return 0;
	}
	if (!move && imap_over_limit(s, &uids)) { /* COPY is all or nothing */
		rc = imap_answer_over_limit(s, &uids);
		uidset_free(&uids);
		return rc;
	}
	rc = imap_cut(s, &uids) < 0 ? err_set(&e, ERR_LIMIT, "no memory") : 0;
	if (rc == 0 && uidset_count(&uids) > 0)
		rc = move ? mailbox_move(s->store, &c, &e) : mailbox_copy(s->store, &c, &e);
	imap_notify_own(s, c.to_account, c.ret_modseq);
	if (move)
		rc = answer_move(s, &c, rc, &e);
	else
		rc = rc < 0 ? imap_answer_err(s, &e) : answer_copy(s, &c);
	uidset_free(&c.ret_source);
	uidset_free(&c.ret_dest);
	uidset_free(&uids);
	return rc;
}

int imap_cmd_copy(struct imap_session *s, struct imap_args *a)
{
	return copy_or_move(s, a, false);
}

int imap_cmd_move(struct imap_session *s, struct imap_args *a)
{
	return copy_or_move(s, a, true);
}

static int expunge(struct imap_session *s, const struct uidset *uids)
{
	struct expunge x = {.account = s->box.account,
		.mailbox = s->box.mailbox,
		.by = s->account,
		.uids = uids,
		.only_deleted = true};
	err e = {0};
	int rc = mailbox_expunge(s->store, &x, &e);

	imap_notify_own(s, s->box.account, x.ret_modseq);
	rc = rc < 0 ? imap_answer_err(s, &e) : answer_gone(s, &x.ret_expunged, "expunged");
	uidset_free(&x.ret_expunged);
	return rc;
}

int imap_cmd_expunge(struct imap_session *s, struct imap_args *a)
{
	return imap_take_end(a) ? expunge(s, NULL) : imap_bad_args(s, a);
}

int imap_cmd_uid_expunge(struct imap_session *s, struct imap_args *a)
{
	struct imap_seqset set;
	struct uidset uids = {0};
	err e = {0};
	int rc = 0;

	if (!imap_take_sp(a) || !imap_take_seqset(a, &set) || !imap_take_end(a))
		return imap_bad_args(s, a);
	if (imap_resolve(s, &set, &uids) == 0 && imap_cut_deleted(s, &uids, &e) < 0)
		rc = imap_answer_err(s, &e);
	else if (s->status == IMAP_OK)
		rc = uidset_count(&uids) > 0 ? expunge(s, &uids)
					     : imap_answer(s, IMAP_OK, "nothing to expunge");
	uidset_free(&uids);
	return rc;
}

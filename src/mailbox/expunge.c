#include "mailbox/expunge.h"
#include "limits.h"
#include "mailbox/rights_tx.h"

int expunge_tx(struct mailbox_tx *m, const struct uidset *uids, bool only_deleted, uint32_t from,
	struct uidset *ret_expunged, uint32_t *ret_next, err *e)
{
	unsigned left = LIMIT_INTENT_MESSAGES;
	uint32_t uid = uids ? uidset_next(uids, from) : from;
	*ret_next = 0;
	while (uid && uid < m->row.uidnext) {
		uint32_t number;
		if (left < MAILBOX_BLOCK) {
			*ret_next = uid;
			return 0;
		}
		int rc = mailbox_tx_next_block(m, uid / MAILBOX_BLOCK, &number, e);
		if (rc <= 0)
			return rc;
		if (uids && number != uid / MAILBOX_BLOCK) {
			uid = uidset_next(uids, number * MAILBOX_BLOCK);
			continue;
		}
		if (mailbox_tx_block(m, number, e) < 0)
			return -1;
		for (unsigned i = 0; i < m->block.n;) {
			const struct mailbox_entry x = m->block.e[i];
			bool wanted = x.uid >= uid && (!uids || uidset_has(uids, x.uid)) &&
				      (!only_deleted || x.flags & FLAG_DELETED);
			if (!wanted) {
				i++;
				continue;
			}
			if (message_tx_unlink(m->a, &m->row, &x, e) < 0)
				return -1;
			if (uidset_add(ret_expunged, x.uid) < 0)
				return err_set(e, ERR_TEMP, "out of memory");
			mailbox_tx_take_out(m, &m->block.e[i]);
			left--;
		}
		if (number == UINT32_MAX / MAILBOX_BLOCK)
			return 0;
		uid = (number + 1) * MAILBOX_BLOCK;
		if (uids)
			uid = uidset_next(uids, uid);
	}
	return 0;
}

struct expunge_job {
	struct expunge *a;
	uint32_t uid, next;
	struct uidset expunged;
	uint64_t modseq;
};

static int run(struct store_tx *tx, void *arg, err *e)
{
	struct expunge_job *job = arg;
	const struct expunge *a = job->a;
	AUTO(account_tx_free) struct account_tx acc = {0};
	struct mailbox_tx *m = NULL;
	if (account_tx_open(tx, a->account, &acc, e) < 0 ||
		mailbox_tx_open(&acc, a->mailbox, false, &m, e) < 0 ||
		rights_tx_need(m, a->by, RIGHT_EXPUNGE, NULL, e) < 0)
		return -1;
	/* The mailbox counts its \Deleted entries: an EXPUNGE of none costs nothing. */
	if (a->only_deleted && m->row.deleted == 0) {
		job->next = 0;
		return 0;
	}
	if (expunge_tx(m, a->uids, a->only_deleted, job->uid, &job->expunged, &job->next, e) < 0)
		return -1;
	if (job->expunged.n && account_tx_change(&acc, m->row.id, CHANGE_EXPUNGED, &job->expunged, e) < 0)
		return -1;
	job->modseq = acc.modseq;
	return mailbox_tx_close(m, e) < 0 ? -1 : account_tx_close(&acc, e);
}

int mailbox_expunge(struct store *s, struct expunge *a, err *e)
{
	int rc = 0;
	a->ret_expunged = (struct uidset){0};
	a->ret_modseq = 0;
	for (uint32_t uid = 1; uid && rc == 0;) {
		struct expunge_job job = {.a = a, .uid = uid};
		rc = store_commit(s, run, &job, e);
		if (rc == 0 && uidset_merge(&a->ret_expunged, &job.expunged) < 0)
			rc = err_set(e, ERR_TEMP, "out of memory");
		if (rc == 0 && job.modseq)
			a->ret_modseq = job.modseq;
		uid = job.next;
		uidset_free(&job.expunged);
	}
	return rc;
}

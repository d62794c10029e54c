#include "limits.h"
#include "mailbox/expunge.h"
#include "mailbox/rights_tx.h"
#include <stdlib.h>

struct append_job {
	struct append *a;
	struct buf *summaries; /* packed, one a message */
	uint32_t uidvalidity;
	uint32_t first_uid;
	uint64_t modseq;
};

static int add_one(struct account_tx *acc, struct mailbox_tx *m, unsigned rights,
	const struct append_message *in, slice stored_summary, err *e)
{
	struct mailbox_entry entry = {
		.flags = in->flags & rights_flags(rights),
		.message = message_tx_next(acc),
		.size = in->content.size,
	};
	struct message_new n = {
		.size = in->content.size,
		.internal_us = in->internal_us,
		.internal_zone_min = in->internal_zone_min,
		.stored_summary = stored_summary,
	};
	size_t n_keywords = rights & RIGHT_WRITE ? in->n_keywords : 0;
	if (account_tx_room(acc, in->content.size, e) < 0 ||
		mailbox_tx_keywords(m, in->keywords, n_keywords, true, &entry.keywords, e) < 0 ||
		content_tx_blob(acc->tx, &in->content, &n.blob, e) < 0 || mailbox_tx_add(m, &entry, e) < 0)
		return -1;
	return message_tx_add(acc, &n, m->row.id, entry.uid, e);
}

/* The mailbox of the message that is replaced; m is that of the new one. *own: for another account. */
static int replace_open(
	struct mailbox_tx *m, const struct append *a, struct account_tx *own, struct mailbox_tx **ret, err *e)
{
	uint32_t account = a->replaces_account ? a->replaces_account : a->account;
	struct account_tx *acc = account == a->account ? m->a : own;
	int rc = acc == own ? account_tx_open(m->a->tx, account, own, e) : 0;
	*ret = m;
	if (rc == 0 && (acc == own || a->replaces_mailbox != m->row.id))
		rc = mailbox_tx_open(acc, a->replaces_mailbox, false, ret, e);
	if (rc == 0)
		rc = rights_tx_need(*ret, a->by, RIGHT_DELETE | RIGHT_EXPUNGE, NULL, e);
	return rc < 0 && e->kind == ERR_MISSING ? err_set(e, ERR_CONFLICT, "its mailbox is gone") : rc;
}

/* Takes out the message that the new one replaces. */
static int replace(struct mailbox_tx *m, const struct append *a, err *e)
{
	AUTO(account_tx_free) struct account_tx own = {0};
	AUTO(uidset_free) struct uidset uids = {0}, gone = {0};
	struct mailbox_tx *from;
	uint32_t next;

	if (replace_open(m, a, &own, &from, e) < 0)
		return -1;
	if (uidset_add(&uids, a->replaces_uid) < 0)
		return err_set(e, ERR_TEMP, "out of memory");
	int rc = expunge_tx(from, &uids, false, a->replaces_uid, &gone, &next, e);
	if (rc == 0 && uidset_count(&gone) == 0)
		rc = err_set(e, ERR_CONFLICT, "the message to replace is gone");
	if (rc == 0 && from != m)
		rc = mailbox_tx_close(from, e);
	if (rc == 0)
		rc = account_tx_change(from->a, from->row.id, CHANGE_EXPUNGED, &gone, e);
	return rc == 0 && from->a == &own ? account_tx_close(&own, e) : rc;
}

static int run(struct store_tx *tx, void *arg, err *e)
{
	struct append_job *job = arg;
	AUTO(account_tx_free) struct account_tx acc = {0};
	struct mailbox_tx *m = NULL;
	unsigned rights;
	if (account_tx_open(tx, job->a->account, &acc, e) < 0 ||
		mailbox_tx_open(&acc, job->a->mailbox, false, &m, e) < 0 ||
		rights_tx_need(m, job->a->by, RIGHT_INSERT, &rights, e) < 0)
		return -1;
	uint32_t first = m->row.uidnext;
	for (size_t i = 0; i < job->a->n; i++)
		if (add_one(&acc, m, rights, &job->a->messages[i], buf_slice(&job->summaries[i]), e) < 0)
			return -1;
	if (job->a->replaces_uid && replace(m, job->a, e) < 0)
		return -1;
	if (mailbox_tx_close(m, e) < 0 ||
		account_tx_added(&acc, m->row.id, first, m->row.uidnext - 1, e) < 0 ||
		account_tx_close(&acc, e) < 0)
		return -1;
	job->uidvalidity = m->row.uidvalidity;
	job->first_uid = first;
	job->modseq = acc.modseq;
	return 0;
}

int mailbox_append(struct store *s, struct mailbox_codec *c, struct append *a, err *e)
{
	struct append_job job = {.a = a};
	int rc = 0;
	if (a->n == 0 || a->n > LIMIT_APPEND_MESSAGES)
		return err_set(e, ERR_LIMIT, "an APPEND of %zu messages", a->n);
	job.summaries = calloc(a->n, sizeof *job.summaries);
	if (!job.summaries)
		return err_set(e, ERR_TEMP, "out of memory");
	for (size_t i = 0; i < a->n && rc == 0; i++) {
		job.summaries[i] = BUF_INIT(2 * LIMIT_SUMMARY);
		rc = mailbox_codec_pack(c, a->messages[i].summary, &job.summaries[i], e);
	}
	if (rc == 0)
		rc = store_commit(s, run, &job, e);
	for (size_t i = 0; i < a->n; i++) {
		buf_free(&job.summaries[i]);
		if (rc == 0)
			a->messages[i].ret_uid = job.first_uid + (uint32_t)i;
	}
	free(job.summaries);
	if (rc == 0) {
		a->ret_uidvalidity = job.uidvalidity;
		a->ret_modseq = job.modseq;
	}
	return rc;
}

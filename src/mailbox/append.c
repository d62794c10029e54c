#include "limits.h"
#include "mailbox/expunge.h"
#include <stdlib.h>

struct append_job {
	struct append *a;
	struct buf *summaries; /* packed, one a message */
	uint32_t uidvalidity;
	uint32_t first_uid;
	uint64_t modseq;
};

static int add_one(struct account_tx *acc, struct mailbox_tx *m, const struct append_message *in,
	slice stored_summary, err *e)
{
	struct mailbox_entry entry = {
		.flags = in->flags & MAILBOX_FLAGS_ALL,
		.message = message_tx_next(acc),
		.size = in->content.size,
	};
	struct message_new n = {
		.size = in->content.size,
		.internal_us = in->internal_us,
		.internal_zone_min = in->internal_zone_min,
		.stored_summary = stored_summary,
	};
	if (account_tx_room(acc, in->content.size, e) < 0 ||
		mailbox_tx_keywords(m, in->keywords, in->n_keywords, true, &entry.keywords, e) < 0 ||
		content_tx_blob(acc->tx, &in->content, &n.blob, e) < 0 || mailbox_tx_add(m, &entry, e) < 0)
		return -1;
	return message_tx_add(acc, &n, m->row.id, entry.uid, e);
}

/* Takes out the message that the new one replaces; m is the mailbox of the new one. */
static int replace(struct account_tx *acc, struct mailbox_tx *m, const struct append *a, err *e)
{
	struct mailbox_tx *from = m;
	AUTO(uidset_free) struct uidset uids = {0};
	struct uidset gone = {0};
	uint32_t next;

	if (a->replaces_mailbox != m->row.id &&
		mailbox_tx_open(acc, a->replaces_mailbox, false, &from, e) < 0)
		return e->kind == ERR_MISSING ? err_set(e, ERR_CONFLICT, "its mailbox is gone") : -1;
	if (uidset_add(&uids, a->replaces_uid) < 0)
		return err_set(e, ERR_TEMP, "out of memory");
	int rc = expunge_tx(from, &uids, false, a->replaces_uid, &gone, &next, e);
	if (rc == 0 && uidset_count(&gone) == 0)
		rc = err_set(e, ERR_CONFLICT, "the message to replace is gone");
	if (rc == 0 && from != m)
		rc = mailbox_tx_close(from, e);
	if (rc == 0)
		rc = account_tx_change(acc, from->row.id, CHANGE_EXPUNGED, &gone, e);
	uidset_free(&gone);
	return rc;
}

static int run(struct store_tx *tx, void *arg, err *e)
{
	struct append_job *job = arg;
	AUTO(account_tx_free) struct account_tx acc = {0};
	struct mailbox_tx *m = NULL;
	if (account_tx_open(tx, job->a->account, &acc, e) < 0 ||
		mailbox_tx_open(&acc, job->a->mailbox, false, &m, e) < 0)
		return -1;
	uint32_t first = m->row.uidnext;
	for (size_t i = 0; i < job->a->n; i++)
		if (add_one(&acc, m, &job->a->messages[i], buf_slice(&job->summaries[i]), e) < 0)
			return -1;
	if (job->a->replaces_uid && replace(&acc, m, job->a, e) < 0)
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

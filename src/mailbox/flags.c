#include "limits.h"
#include "mailbox/rights_tx.h"

/* One step: from `uid` on, as many blocks as an intent may change. */
struct flags_job {
	struct store_flags *a;
	uint32_t uid;  /* where to begin */
	uint32_t next; /* where the next step begins; 0: done */
	struct uidset changed, modified;
	uint64_t modseq;
};

struct flags_change {
	enum flags_op op;
	uint8_t flags;
	uint64_t keywords;
	uint8_t may; /* be changed, by the rights of who asks */
	bool may_keywords;
};

static bool apply(
	const struct flags_change *c, const struct mailbox_entry *x, uint8_t *ret_flags, uint64_t *ret_kw)
{
	static const struct {
		bool keep, set;
	} ops[] = {
		[FLAGS_REPLACE] = {false, true},
		[FLAGS_ADD] = {true, true},
		[FLAGS_REMOVE] = {true, false},
	};
	uint8_t flags = ops[c->op].keep ? x->flags : 0;
	uint64_t keywords = ops[c->op].keep ? x->keywords : 0;
	if (ops[c->op].set) {
		flags |= c->flags;
		keywords |= c->keywords;
	} else {
		flags &= (uint8_t)~c->flags;
		keywords &= ~c->keywords;
	}
	*ret_flags = (flags & c->may) | (uint8_t)(x->flags & ~c->may);
	*ret_kw = c->may_keywords ? keywords : x->keywords;
	return *ret_flags != x->flags || *ret_kw != x->keywords;
}

static int change_block(struct flags_job *job, struct mailbox_tx *m, const struct flags_change *c, err *e)
{
	for (unsigned i = 0; i < m->block.n; i++) {
		struct mailbox_entry *x = &m->block.e[i];
		uint8_t flags;
		uint64_t keywords;
		int rc = 0;
		if (x->uid < job->uid || !uidset_has(job->a->uids, x->uid))
			continue;
		if (x->modseq > job->a->unchangedsince) {
			rc = uidset_add(&job->modified, x->uid);
		} else if (apply(c, x, &flags, &keywords)) {
			mailbox_tx_set_flags(m, x, flags, keywords);
			rc = uidset_add(&job->changed, x->uid);
		}
		if (rc < 0)
			return err_set(e, ERR_TEMP, "out of memory");
	}
	return 0;
}

static int change_blocks(struct flags_job *job, struct mailbox_tx *m, const struct flags_change *c, err *e)
{
	uint32_t uid = uidset_next(job->a->uids, job->uid);
	for (unsigned blocks = 0; uid && uid < m->row.uidnext; blocks++) {
		uint32_t number;
		if (blocks == LIMIT_INTENT_BLOCKS) {
			job->next = uid;
			return 0;
		}
		int rc = mailbox_tx_next_block(m, uid / MAILBOX_BLOCK, &number, e);
		if (rc <= 0)
			return rc;
		if (number == uid / MAILBOX_BLOCK) {
			if (mailbox_tx_block(m, number, e) < 0 || change_block(job, m, c, e) < 0)
				return -1;
			number++;
		}
		if (number > UINT32_MAX / MAILBOX_BLOCK)
			return 0;
		uid = uidset_next(job->a->uids, number * MAILBOX_BLOCK);
	}
	return 0;
}

/* What may be changed. Of what is named some suffices (RFC 4314 4): clients take a NO badly. */
static int judge(const struct mailbox_tx *m, const struct store_flags *a, struct flags_change *c, err *e)
{
	unsigned rights;
	if (rights_tx_need(m, a->by, 0, &rights, e) < 0)
		return -1;
	c->may = rights_flags(rights);
	c->may_keywords = rights & RIGHT_WRITE;
	bool some = a->op == FLAGS_REPLACE ? c->may != 0
					   : (c->flags == 0 && a->n_keywords == 0) || c->flags & c->may ||
						     (a->n_keywords > 0 && c->may_keywords);
	return some ? 0 : rights_tx_need(m, a->by, RIGHT_SEEN | RIGHT_WRITE | RIGHT_DELETE, NULL, e);
}

static int run(struct store_tx *tx, void *arg, err *e)
{
	struct flags_job *job = arg;
	const struct store_flags *a = job->a;
	AUTO(account_tx_free) struct account_tx acc = {0};
	struct mailbox_tx *m = NULL;
	struct flags_change c = {.op = a->op, .flags = a->flags & MAILBOX_FLAGS_ALL};
	bool add = a->op != FLAGS_REMOVE;
	job->next = 0;
	if (account_tx_open(tx, a->account, &acc, e) < 0 ||
		mailbox_tx_open(&acc, a->mailbox, false, &m, e) < 0 || judge(m, a, &c, e) < 0 ||
		mailbox_tx_keywords(m, a->keywords, a->n_keywords, add && c.may_keywords, &c.keywords, e) <
			0 ||
		change_blocks(job, m, &c, e) < 0)
		return -1;
	if (job->changed.n && account_tx_change(&acc, m->row.id, CHANGE_FLAGS, &job->changed, e) < 0)
		return -1;
	job->modseq = acc.modseq;
	return mailbox_tx_close(m, e) < 0 ? -1 : account_tx_close(&acc, e);
}

int mailbox_store_flags(struct store *s, struct store_flags *a, err *e)
{
	int rc = 0;
	a->ret_changed = a->ret_modified = (struct uidset){0};
	a->ret_modseq = 0;
	for (uint32_t uid = 1; uid && rc == 0;) {
		struct flags_job job = {.a = a, .uid = uid};
		rc = store_commit(s, run, &job, e);
		if (rc == 0) {
			if (uidset_merge(&a->ret_changed, &job.changed) < 0 ||
				uidset_merge(&a->ret_modified, &job.modified) < 0)
				rc = err_set(e, ERR_TEMP, "out of memory");
			if (job.modseq)
				a->ret_modseq = job.modseq;
		}
		uid = job.next;
		uidset_free(&job.changed);
		uidset_free(&job.modified);
	}
	return rc;
}

/* COPY and MOVE: entries are gathered in portions, added to the destination, and for MOVE taken out of the
 * source. */
#include "limits.h"
#include "mailbox/rights_tx.h"

enum { PORTION = 512 };

struct copy_job {
	struct copy *a;
	bool move;
	uint32_t uid, next; /* where to begin; where the next intent begins, 0: done */
	uint32_t end; /* UIDs of the source are below this, not what is being added; 0: the first intent */
	uint32_t uidvalidity;
	struct uidset source, dest;
	uint64_t modseq;
};

struct copy_tx {
	struct copy_job *job;
	struct account_tx from_account, to_account_own, *to_account;
	struct mailbox_tx *from, *to;        /* the same when a mailbox is copied into itself */
	uint64_t bits[MAILBOX_KEYWORDS_MAX]; /* source keyword bit -> destination bit, 0: not asked yet */
	struct mailbox_entry *entries;       /* a portion */
	unsigned rights;                     /* in the destination */
};

static void copy_tx_free(struct copy_tx *t)
{
	account_tx_free(&t->from_account);
	account_tx_free(&t->to_account_own);
}

static int copy_open(struct copy_tx *t, struct store_tx *tx, err *e)
{
	const struct copy *a = t->job->a;
	if (account_tx_open(tx, a->account, &t->from_account, e) < 0 ||
		mailbox_tx_open(&t->from_account, a->mailbox, false, &t->from, e) < 0)
		return -1;
	t->to_account = &t->from_account;
	if (a->to_account != a->account) {
		t->to_account = &t->to_account_own;
		if (account_tx_open(tx, a->to_account, t->to_account, e) < 0)
			return -1;
	}
	t->to = t->from;
	if ((t->to_account != &t->from_account || a->to_mailbox != a->mailbox) &&
		mailbox_tx_open(t->to_account, a->to_mailbox, false, &t->to, e) < 0)
		return -1;
	unsigned need = RIGHT_READ | (t->job->move ? RIGHT_DELETE | RIGHT_EXPUNGE : 0);
	if (rights_tx_need(t->from, a->by, need, NULL, e) < 0 ||
		rights_tx_need(t->to, a->by, RIGHT_INSERT, &t->rights, e) < 0)
		return -1;
	if (!t->job->end)
		t->job->end = t->from->row.uidnext;
	t->entries = arena_new_n(store_tx_scratch(tx), struct mailbox_entry, PORTION);
	return t->entries ? 0 : err_set(e, ERR_TEMP, "out of memory in an intent");
}

/* Gathers up to PORTION entries from *uid on; *uid is then where to go on, 0 at the end. */
static int gather(struct copy_tx *t, uint32_t *uid, size_t *ret_n, err *e)
{
	const struct uidset *uids = t->job->a->uids;
	size_t n = 0;
	uint32_t at = uidset_next(uids, *uid);
	while (at && at < t->job->end && n + MAILBOX_BLOCK <= PORTION) {
		uint32_t number;
		int rc = mailbox_tx_next_block(t->from, at / MAILBOX_BLOCK, &number, e);
		if (rc < 0)
			return -1;
		if (rc == 0)
			at = 0;
		else if (number != at / MAILBOX_BLOCK)
			at = uidset_next(uids, number * MAILBOX_BLOCK);
		else if (mailbox_tx_block(t->from, number, e) < 0)
			return -1;
		else {
			for (unsigned i = 0; i < t->from->block.n; i++) {
				const struct mailbox_entry *x = &t->from->block.e[i];
				if (x->uid >= at && x->uid < t->job->end && uidset_has(uids, x->uid))
					t->entries[n++] = *x;
			}
			bool last = number == UINT32_MAX / MAILBOX_BLOCK;
			at = last ? 0 : uidset_next(uids, (number + 1) * MAILBOX_BLOCK);
		}
	}
	*uid = at < t->job->end ? at : 0;
	*ret_n = n;
	return 0;
}

/* The destination's bits for the same names; what does not fit into its table is left out. */
static uint64_t keyword_bits(struct copy_tx *t, uint64_t from)
{
	uint64_t to = 0;
	if (t->to == t->from)
		return from;
	for (uint64_t left = from; left; left &= left - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(left);
		if (!t->bits[bit]) {
			slice name = mailbox_keyword_name(&t->from->row, bit);
			if (mailbox_tx_keywords(t->to, &name, 1, true, &t->bits[bit], NULL) < 0)
				continue;
		}
		to |= t->bits[bit];
	}
	return to;
}

static int copy_one(struct copy_tx *t, const struct mailbox_entry *x, err *e)
{
	struct mailbox_entry entry = {
		.flags = x->flags & rights_flags(t->rights),
		.keywords = t->rights & RIGHT_WRITE ? keyword_bits(t, x->keywords) : 0,
		.message = x->message,
		.size = x->size,
	};
	uint32_t mailbox = t->to->row.id, uid = t->to->row.uidnext;
	bool same = t->to_account == &t->from_account, full = false;
	int rc;
	if (same && t->job->move) {
		struct message_place from = {t->from->row.id, x->uid, 0};
		struct message_place to = {mailbox, uid, store_tx_now_us(t->from_account.tx)};
		rc = message_tx_move(t->to_account, x->message, &from, &to, e);
	} else {
		rc = same ? message_tx_link(t->to_account, x->message, mailbox, uid, &full, e) : 0;
		if (rc == 0 && (!same || full)) {
			entry.message = message_tx_next(t->to_account);
			rc = message_tx_clone(&t->from_account, x->message, t->to_account, mailbox, uid, e);
		}
	}
	if (rc < 0 || mailbox_tx_add(t->to, &entry, e) < 0)
		return -1;
	if (uidset_add(&t->job->source, x->uid) < 0 || uidset_add(&t->job->dest, entry.uid) < 0)
		return err_set(e, ERR_TEMP, "out of memory");
	return 0;
}

/* A moved message's place was changed by copy_one already, unless it went to another account. */
static int take_out(struct copy_tx *t, const struct mailbox_entry *x, err *e)
{
	if (mailbox_tx_block(t->from, x->uid / MAILBOX_BLOCK, e) < 0)
		return -1;
	const struct mailbox_entry *here = entry_block_find(&t->from->block, x->uid);
	if (!here)
		return err_set(e, ERR_CORRUPT, "an entry vanished inside an intent");
	mailbox_tx_take_out(t->from, here);
	return t->to_account == &t->from_account ? 0
						 : message_tx_unlink(&t->from_account, &t->from->row, x, e);
}

static int copy_portions(struct copy_tx *t, err *e)
{
	uint32_t uid = t->job->uid;
	for (size_t total = 0; uid && total + PORTION <= LIMIT_INTENT_MESSAGES;) {
		size_t n;
		if (gather(t, &uid, &n, e) < 0)
			return -1;
		total += n;
		for (size_t i = 0; i < n; i++)
			if (copy_one(t, &t->entries[i], e) < 0)
				return -1;
		for (size_t i = 0; t->job->move && i < n; i++)
			if (take_out(t, &t->entries[i], e) < 0)
				return -1;
	}
	t->job->next = uid;
	return 0;
}

static int copy_close(struct copy_tx *t, err *e)
{
	struct copy_job *job = t->job;
	if (job->source.n && account_tx_change(t->to_account, t->to->row.id, CHANGE_ADDED, &job->dest, e) < 0)
		return -1;
	if (job->source.n && job->move &&
		account_tx_change(&t->from_account, t->from->row.id, CHANGE_EXPUNGED, &job->source, e) < 0)
		return -1;
	if (mailbox_tx_close(t->to, e) < 0 || mailbox_tx_close(t->from, e) < 0 ||
		account_tx_close(t->to_account, e) < 0 || account_tx_close(&t->from_account, e) < 0)
		return -1;
	job->uidvalidity = t->to->row.uidvalidity;
	job->modseq = job->source.n ? t->to_account->modseq : 0;
	return 0;
}

static int run(struct store_tx *tx, void *arg, err *e)
{
	AUTO(copy_tx_free) struct copy_tx t = {.job = arg};
	if (copy_open(&t, tx, e) < 0 || copy_portions(&t, e) < 0)
		return -1;
	return copy_close(&t, e);
}

/* Takes back the copies of a COPY that failed on its way. The error that ended it is the one to tell. */
static void undo(struct store *s, struct copy *a)
{
	struct expunge x = {.account = a->to_account, .mailbox = a->to_mailbox, .uids = &a->ret_dest};
	if (a->ret_dest.n && mailbox_expunge(s, &x, NULL) == 0) {
		uidset_free(&a->ret_source);
		uidset_free(&a->ret_dest);
		a->ret_modseq = 0;
	}
	uidset_free(&x.ret_expunged);
}

static int copy(struct store *s, struct copy *a, bool move, err *e)
{
	uint32_t end = 0;
	int rc = 0;
	a->ret_source = a->ret_dest = (struct uidset){0};
	a->ret_modseq = 0;
	for (uint32_t uid = 1; uid && rc == 0;) {
		struct copy_job job = {.a = a, .move = move, .uid = uid, .end = end};
		rc = store_commit(s, run, &job, e);
		if (rc == 0) {
			if (uidset_merge(&a->ret_source, &job.source) < 0 ||
				uidset_merge(&a->ret_dest, &job.dest) < 0)
				rc = err_set(e, ERR_TEMP, "out of memory");
			a->ret_uidvalidity = job.uidvalidity;
			if (job.modseq)
				a->ret_modseq = job.modseq;
		}
		uid = job.next;
		end = job.end;
		uidset_free(&job.source);
		uidset_free(&job.dest);
	}
	if (rc < 0 && !move)
		undo(s, a);
	return rc;
}

int mailbox_copy(struct store *s, struct copy *a, err *e)
{
	return copy(s, a, false, e);
}

int mailbox_move(struct store *s, struct copy *a, err *e)
{
	return copy(s, a, true, e);
}

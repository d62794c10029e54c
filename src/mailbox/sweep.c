/* Clearing away in small steps: looks on a snapshot, then one intent for an account that has something due.
 */
#include "base/clock.h"
#include "limits.h"
#include "mailbox/address.h"
#include "mailbox/expunge.h"
#include "mailbox/keys.h"
#include "mailbox/rights_tx.h"
#include "mailbox/row.h"
#include "mailbox/tx.h"

struct sweep_job {
	uint32_t account;
	uint64_t messages;
	bool more;
};

/* ---- expunged messages past their days ---- */

static int drop_due(struct account_tx *a, struct sweep_job *job, err *e)
{
	struct key prefix = key_kind(a->id, KEY_DUE);
	struct key now = key_due(a->id, store_tx_now_us(a->tx), UINT64_MAX);
	for (unsigned i = 0; i < LIMIT_INTENT_MESSAGES; i++) {
		struct key_name due;
		int rc = view_first(view_tx(a->tx), KEY_SLICE(prefix), &due, e);
		if (rc <= 0 || slice_cmp(KEY_SLICE(due), KEY_SLICE(now)) > 0)
			return rc < 0 ? -1 : 0;
		if (message_tx_drop(a, be64_get(due.b + due.n - 8), e) < 0 ||
			store_tx_del(a->tx, KEY_SLICE(due), e) < 0)
			return -1;
		job->messages++;
	}
	job->more = true;
	return 0;
}

/* ---- removed mailboxes ---- */

/* The first mailbox that waits to be emptied. 1, 0, -1. */
static int find_removed(struct account_tx *a, uint32_t *ret, err *e)
{
	struct key prefix = key_kind(a->id, KEY_MAILBOX);
	struct store_scan sc;
	slice k, v;
	if (store_tx_scan(a->tx, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(prefix), &k, &v, e);
	for (; rc == 1; rc = store_scan_next(&sc, &k, &v, e)) {
		struct mailbox_row m;
		uint32_t id = be32_get(k.p + k.n - 4);
		if (row_mailbox_get(v, a->id, id, &m, e) < 0) {
			rc = -1;
			break;
		}
		if (m.removed || (m.noselect && m.messages)) {
			*ret = id;
			break;
		}
	}
	store_scan_close(&sc);
	return rc;
}

static int clear_mailbox(struct account_tx *a, struct sweep_job *job, err *e)
{
	uint32_t mailbox = 0;
	bool more;
	int rc = find_removed(a, &mailbox, e);
	if (rc == 0) {
		a->row.removed_mailboxes = 0;
		a->dirty = true;
	}
	if (rc <= 0)
		return rc;
	if (folder_tx_clear(a, mailbox, &more, e) < 0)
		return -1;
	job->more = true;
	return 0;
}

/* ---- removed accounts ---- */

/* Deletes up to LIMIT_INTENT_MESSAGES rows of a removed account, messages first; its account row goes last.
 */
static int clear_account(struct store_tx *tx, struct sweep_job *job, err *e)
{
	static const enum key_kind kinds[] = {KEY_MESSAGE, KEY_SUMMARY, KEY_NAME, KEY_BLOCK, KEY_MAILBOX,
		KEY_CHANGE, KEY_SETTING, KEY_DUE, KEY_DELIVERY, KEY_FOLLOW, KEY_DIGEST};
	AUTO(account_tx_free) struct account_tx a = {.tx = tx, .id = job->account, .out = BUF_INIT(ROW_MAX)};
	unsigned left = LIMIT_INTENT_MESSAGES;
	int grants = rights_tx_clear(tx, job->account, &left, e);
	if (grants != 0) {
		job->more = grants > 0;
		return grants < 0 ? -1 : 0;
	}
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct key prefix = key_kind(job->account, kinds[i]);
		for (;;) {
			struct key_name k;
			int rc = view_first(view_tx(tx), KEY_SLICE(prefix), &k, e);
			if (rc < 0)
				return -1;
			if (rc == 0)
				break;
			if (left-- == 0) {
				job->more = true;
				return 0;
			}
			if (kinds[i] == KEY_MESSAGE) {
				rc = message_tx_drop(&a, be64_get(k.b + k.n - 8), e);
				job->messages++;
			} else {
				rc = store_tx_del(tx, KEY_SLICE(k), e);
			}
			if (rc < 0)
				return -1;
		}
	}
	struct key k = key_kind(job->account, KEY_ACCOUNT);
	return store_tx_del(tx, KEY_SLICE(k), e);
}

static int run(struct store_tx *tx, void *arg, err *e)
{
	struct sweep_job *job = arg;
	AUTO(account_tx_free) struct account_tx a = {0};
	struct account_row row;
	int rc = account_lookup(view_tx(tx), job->account, &row, e);
	if (rc <= 0)
		return rc;
	if (row.removed)
		return clear_account(tx, job, e);
	if (account_tx_open(tx, job->account, &a, e) < 0 || drop_due(&a, job, e) < 0)
		return -1;
	if (!job->more && a.row.removed_mailboxes && clear_mailbox(&a, job, e) < 0)
		return -1;
	return account_tx_close(&a, e);
}

/* ---- which account has something due ---- */

struct look {
	struct store_snap snap;
	int64_t now_us;
	uint32_t after, account;
	unsigned seen;
	bool end;
};

static int has_due(struct store_snap *snap, uint32_t account, int64_t now_us, err *e)
{
	struct key prefix = key_kind(account, KEY_DUE);
	struct key now = key_due(account, now_us, UINT64_MAX);
	struct key_name first;
	int rc = view_first(view_snap(snap), KEY_SLICE(prefix), &first, e);
	return rc == 1 ? slice_cmp(KEY_SLICE(first), KEY_SLICE(now)) <= 0 : rc;
}

/* Looks at the next accounts; l->account is one with something to do, 0 when none of them has. */
static int look(struct look *l, err *e)
{
	struct store_scan sc;
	slice k, v;
	int rc = 0;
	if (store_scan_open(&l->snap, S("A"), &sc, e) < 0)
		return -1;
	for (; l->seen < LIMIT_SWEEP_ACCOUNTS && !l->account; l->seen++) {
		struct key from = key_account_all(l->after + 1);
		struct account_row row;
		rc = l->after == UINT32_MAX ? 0 : store_scan_seek(&sc, KEY_SLICE(from), &k, &v, e);
		if (rc <= 0 || k.n < 6) {
			l->end = rc == 0;
			break;
		}
		l->after = be32_get(k.p + 1);
		if (k.n != 6 || k.p[5] != KEY_ACCOUNT)
			continue;
		if (row_account_get(v, l->after, &row, e) < 0) {
			rc = -1;
			break;
		}
		bool todo = row.removed || row.removed_mailboxes;
		rc = todo ? 1 : has_due(&l->snap, l->after, l->now_us, e);
		if (rc < 0)
			break;
		if (rc == 1)
			l->account = l->after;
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : 0;
}

int mailbox_sweep(struct store *s, struct sweep *w, err *e)
{
	struct look l = {.after = w->after_account, .now_us = clock_wall_us()};
	if (store_snap_begin(s, &l.snap, e) < 0)
		return -1;
	int rc = look(&l, e);
	store_snap_end(&l.snap);
	if (rc < 0)
		return -1;
	w->after_account = l.end ? 0 : l.after;
	if (!l.account)
		return !l.end;
	struct sweep_job job = {.account = l.account};
	if (store_commit(s, run, &job, e) < 0)
		return -1;
	w->ret_messages += job.messages;
	if (job.more)
		w->after_account = l.account - 1;
	return 1;
}

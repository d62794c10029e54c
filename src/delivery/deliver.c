/*
 * The deliver intent: first everybody is judged (reads only), then the blob, the messages in ascending order
 * of accounts, and the queue records are written.
 */
#include "delivery/resolve.h"
#include "limits.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"
#include "mailbox/tx.h"
#include <stdlib.h>

enum {
	ANSWER_VERSION = 1,
	FORGET_STEP = 4, /* old delivery ids removed when one is written */
};

struct deliver_job {
	struct delivery *d;
	slice stored_summary;
	struct buf answer;
	struct resolve *r;
	uint8_t queue_id[16];
	uint64_t blob;
	uint32_t accounts, records;
};

static bool is_zero(const uint8_t id[16])
{
	static const uint8_t zero[16];
	return memcmp(id, zero, sizeof zero) == 0;
}

/* ---- judging ---- */

/*
 * One reply covers all: when somebody takes it, the others become queue records. *ret_any: somebody does.
 * results: of the recipients, in the scratch arena.
 */
static int judge(struct deliver_job *job, enum delivery_result *results, bool *ret_any, err *e)
{
	const struct delivery *d = job->d;
	*ret_any = false;
	for (size_t i = 0; i < d->n; i++) {
		const struct delivery_recipient *rcpt = &d->recipients[i];
		if (resolve_recipient(job->r, rcpt->localpart, rcpt->domain, i, &results[i], e) < 0)
			return -1;
		*ret_any |= results[i] == DELIVERY_OK;
	}
	return 0;
}

/* ---- mailboxes ---- */

static int by_account(const void *x, const void *y)
{
	uint32_t a = ((const struct target *)x)->account, b = ((const struct target *)y)->account;
	return (a > b) - (a < b);
}

/* Takes away delivery ids that are too old to come again: their first 48 bits are the time in ms. */
static int forget_ids(struct account_tx *a, err *e)
{
	struct key prefix = key_kind(a->id, KEY_DELIVERY);
	int64_t oldest = store_tx_now_us(a->tx) / 1000 - INT64_C(86400000) * LIMIT_DELIVERY_ID_DAYS;
	for (unsigned i = 0; i < FORGET_STEP; i++) {
		struct key_name k;
		int rc = view_first(view_tx(a->tx), KEY_SLICE(prefix), &k, e);
		if (rc <= 0 || (int64_t)(be64_get(k.b + prefix.n) >> 16) >= oldest)
			return rc < 0 ? -1 : 0;
		if (store_tx_del(a->tx, KEY_SLICE(k), e) < 0)
			return -1;
	}
	return 0;
}

/* *ret_known: this id was delivered to the account before. Remembers it now. */
static int check_id(struct account_tx *a, const uint8_t id[16], bool *ret_known, err *e)
{
	struct key k = key_delivery(a->id, id);
	slice v;
	int rc = store_tx_get(a->tx, KEY_SLICE(k), &v, e);
	*ret_known = rc == 1;
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	buf_reset(&a->out);
	wire_put_u8(&a->out, ROW_VERSION);
	return account_tx_put(a, KEY_SLICE(k), e) < 0 ? -1 : forget_ids(a, e);
}

static int deliver_account(struct deliver_job *job, struct store_tx *tx, uint32_t account, err *e)
{
	const struct delivery *d = job->d;
	AUTO(account_tx_free) struct account_tx a = {0};
	struct mailbox_tx *m = NULL;
	bool known = false;
	if (account_tx_open(tx, account, &a, e) < 0 || mailbox_tx_open(&a, MAILBOX_INBOX, false, &m, e) < 0)
		return -1;
	if (!is_zero(d->queue_id) && check_id(&a, job->queue_id, &known, e) < 0)
		return -1;
	if (known)
		return 0;
	if (!job->blob && content_tx_blob(tx, &d->content, &job->blob, e) < 0)
		return -1;
	struct mailbox_entry entry = {.message = message_tx_next(&a), .size = d->content.size};
	struct message_new n = {
		.blob = job->blob,
		.size = d->content.size,
		.stored_summary = job->stored_summary,
		.delivery_id = job->queue_id,
	};
	if (mailbox_tx_add(m, &entry, e) < 0 || message_tx_add(&a, &n, MAILBOX_INBOX, entry.uid, e) < 0)
		return -1;
	struct uid_range range = {.first = entry.uid, .last = entry.uid};
	const struct uidset added = {&range, 1, 1};
	if (mailbox_tx_close(m, e) < 0 || account_tx_change(&a, MAILBOX_INBOX, CHANGE_ADDED, &added, e) < 0)
		return -1;
	job->accounts++;
	return account_tx_close(&a, e);
}

/* ---- queue records ---- */

struct record {
	slice address;
	size_t original;
	enum delivery_result result;
};

static int put(struct store_tx *tx, slice key, struct buf *row, err *e)
{
	if (row->failed)
		return err_set(e, ERR_TEMP, "out of memory in an intent");
	return store_tx_put(tx, key, buf_slice(row), e);
}

/* A record for the sender of mail: to be sent, to be tried again here, or (gone for good) to be reported. */
static int put_record(
	struct deliver_job *job, struct store_tx *tx, const struct record *r, struct buf *row, err *e)
{
	static const struct {
		enum queue_state state;
		slice reply;
	} kinds[] = {
		[DELIVERY_OK] = {QUEUE_WAITING, SLICE_INIT("")},
		[DELIVERY_UNKNOWN] = {QUEUE_FAILED, SLICE_INIT("550 5.1.1 There is no such address")},
		[DELIVERY_RELAY] = {QUEUE_FAILED, SLICE_INIT("550 5.7.1 Relaying is not allowed")},
		[DELIVERY_OVER_QUOTA] = {QUEUE_WAITING, SLICE_INIT("452 4.2.2 The mailbox is full")},
		[DELIVERY_DISABLED] = {QUEUE_FAILED, SLICE_INIT("550 5.2.1 The mailbox is switched off")},
		[DELIVERY_LOOP] = {QUEUE_FAILED, SLICE_INIT("554 5.4.6 Aliases point in a circle")},
		[DELIVERY_TEMP] = {QUEUE_WAITING, SLICE_INIT("451 4.3.0 Try again later")},
	};
	char kb[QUEUE_KEY_MAX];
	const struct delivery_recipient *rcpt = &job->d->recipients[r->original];
	struct queue_recipient q = {
		.address = r->address,
		.original = rcpt->original,
		.notify = rcpt->notify,
		.state = kinds[r->result].state,
		.due_us = store_tx_now_us(tx),
		.last_reply = kinds[r->result].reply,
	};
	buf_reset(row);
	queue_recipient_encode(row, &q);
	return put(tx, queue_key_recipient(kb, job->queue_id, job->records++), row, e);
}

/* The recipient's own address, when nothing of it was a target. */
static int own_record(struct deliver_job *job, struct store_tx *tx, size_t i, enum delivery_result result,
	struct buf *row, err *e)
{
	const struct delivery_recipient *rcpt = &job->d->recipients[i];
	slice address = resolve_address_text(store_tx_scratch(tx), rcpt->localpart, rcpt->domain);
	if (!address.p)
		return err_set(e, ERR_TEMP, "out of memory in an intent");
	struct record r = {address, i, result};
	return put_record(job, tx, &r, row, e);
}

static int put_message(struct deliver_job *job, struct store_tx *tx, struct buf *row, err *e)
{
	const struct delivery *d = job->d;
	char kb[QUEUE_KEY_MAX];
	int64_t now = store_tx_now_us(tx);
	struct queue_message q = {
		.sender = d->sender,
		.envelope_id = d->envelope_id,
		.ret = d->ret,
		.flags = d->flags,
		.size = d->content.size,
		.account = d->account,
		.recipients = job->records,
		.arrival_us = now,
	};
	if (!job->blob && content_tx_blob(tx, &d->content, &job->blob, e) < 0)
		return -1;
	/* The queue holds the blob as an account does: account 0, by the last half of the queue id. */
	struct key holder = key_holder(job->blob, 0, be64_get(job->queue_id + 8));
	q.blob = job->blob;
	buf_reset(row);
	queue_message_encode(row, &q);
	if (put(tx, queue_key_message(kb, job->queue_id), row, e) < 0)
		return -1;
	buf_reset(row);
	wire_put_u8(row, ROW_VERSION);
	if (put(tx, KEY_SLICE(holder), row, e) < 0)
		return -1;
	return put(tx, queue_key_due(kb, now, job->queue_id), row, e);
}

/*
 * Remote targets; local ones that did not take it, when their recipient is OK by others or one reply covers
 * all; and recipients without any target.
 */
static int put_records(struct deliver_job *job, struct store_tx *tx, enum delivery_result *results, err *e)
{
	const struct delivery *d = job->d;
	struct buf row = BUF_INIT(ROW_MAX);
	int rc = 0;
	for (size_t i = 0; i < job->r->n && rc == 0; i++) {
		const struct target *t = &job->r->targets[i];
		struct record r = {t->address, t->original, t->result};
		bool wanted = t->result != DELIVERY_OK && results[t->original] == DELIVERY_OK;
		if ((t->account == 0 && t->result == DELIVERY_OK) || wanted)
			rc = put_record(job, tx, &r, &row, e);
	}
	for (size_t i = 0; i < d->n && rc == 0 && !d->each_answered; i++)
		if (results[i] != DELIVERY_OK) {
			rc = own_record(job, tx, i, results[i], &row, e);
			results[i] = DELIVERY_OK;
		}
	if (rc == 0 && job->records)
		rc = put_message(job, tx, &row, e);
	buf_free(&row);
	return rc;
}

/* ---- the intent ---- */

static void answer_put(struct deliver_job *job, const enum delivery_result *results)
{
	wire_put_u8(&job->answer, ANSWER_VERSION);
	wire_put_raw(&job->answer, slice_make(job->queue_id, sizeof job->queue_id));
	wire_put_var(&job->answer, job->accounts);
	wire_put_var(&job->answer, job->records);
	for (size_t i = 0; i < job->d->n; i += 2) {
		unsigned second = i + 1 < job->d->n ? results[i + 1] : 0;
		wire_put_u8(&job->answer, (uint8_t)(results[i] | second << 4));
	}
}

static int run(struct store_tx *tx, void *arg, err *e)
{
	struct deliver_job *job = arg;
	struct delivery *d = job->d;
	struct arena *scratch = store_tx_scratch(tx);
	enum delivery_result *results = arena_new_n(scratch, enum delivery_result, d->n);
	bool any;
	job->r = arena_new_1(scratch, struct resolve);
	if (!results || !job->r)
		return err_set(e, ERR_TEMP, "out of memory in an intent");
	job->r->view = view_tx(tx);
	job->r->arena = scratch;
	job->r->size = d->content.size;
	job->r->may_relay = d->account != 0;
	memcpy(job->queue_id, d->queue_id, sizeof job->queue_id);
	if (is_zero(job->queue_id))
		store_tx_queue_id(tx, job->queue_id);
	if (judge(job, results, &any, e) < 0)
		return -1;
	if (any) {
		struct target *t = job->r->targets;
		if (job->r->n > 1)
			qsort(t, job->r->n, sizeof *t, by_account);
		for (size_t i = 0; i < job->r->n; i++)
			if (t[i].account && t[i].result == DELIVERY_OK &&
				deliver_account(job, tx, t[i].account, e) < 0)
				return -1;
		if (put_records(job, tx, results, e) < 0)
			return -1;
	}
	answer_put(job, results);
	return job->answer.failed ? err_set(e, ERR_TEMP, "out of memory in an intent") : 0;
}

static int answer_get(struct deliver_job *job, err *e)
{
	struct delivery *d = job->d;
	struct rd r = rd_of(buf_slice(&job->answer));
	uint8_t version = rd_u8(&r);
	slice id = rd_raw(&r, sizeof d->ret_queue_id);
	uint64_t accounts = rd_var(&r), records = rd_var(&r);
	if (r.bad || version != ANSWER_VERSION || r.n != (d->n + 1) / 2)
		return err_set(e, ERR_CONFLICT, "the question was asked before, with other recipients");
	for (size_t i = 0; i < d->n; i++)
		d->recipients[i].ret_result = (enum delivery_result)(r.p[i / 2] >> (i % 2 * 4) & 15);
	memcpy(d->ret_queue_id, id.p, id.n);
	d->ret_accounts = accounts;
	d->ret_remote = records;
	return 0;
}

int delivery_deliver(struct store *s, struct mailbox_codec *c, struct delivery *d, err *e)
{
	struct deliver_job job = {.d = d, .answer = BUF_INIT(LIMIT_BATCH_ANSWER)};
	struct buf summary = BUF_INIT(2 * LIMIT_SUMMARY);
	struct store_intent intent = {.run = run, .arg = &job, .answer = &job.answer};
	if (d->n == 0 || d->n > LIMIT_RECIPIENTS)
		return err_set(e, ERR_LIMIT, "a message for %zu recipients", d->n);
	memcpy(intent.batch, d->batch, sizeof intent.batch);
	int rc = mailbox_codec_pack(c, d->summary, &summary, e);
	if (rc == 0) {
		job.stored_summary = buf_slice(&summary);
		rc = store_commit_intent(s, &intent);
		if (rc < 0 && e)
			*e = intent.error;
	}
	if (rc == 0)
		rc = answer_get(&job, e);
	if (rc == 0)
		d->ret_repeated = intent.repeated;
	buf_free(&summary);
	buf_free(&job.answer);
	return rc;
}

/*
 * The deliver intent: first everybody is judged (reads only), then the blob, the messages in ascending order
 * of accounts, and the queue records are written.
 */
#include "delivery/delivery_int.h"
#include "delivery/resolve.h"
#include "limits.h"
#include "mailbox/address.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"
#include "mailbox/tx.h"
#include "queue/event.h"
#include "queue/queue.h"
#include "queue/retry.h"
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
	bool *local; /* by recipient: somebody here has it */
	uint8_t queue_id[16];
	int64_t now_us; /* the queue's clock; one for all: recipients of a lane make one parcel */
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
	if (mailbox_tx_close(m, e) < 0 || account_tx_added(&a, MAILBOX_INBOX, entry.uid, entry.uid, e) < 0)
		return -1;
	job->accounts++;
	return account_tx_close(&a, e);
}

/* ---- queue records ---- */

struct record {
	slice address, via;
	size_t original;
	enum delivery_result result;
	enum queue_state state;
	bool here; /* done here: lane 0 */
	bool expanded;
};

/* What stands in the row of a recipient that cannot have it now, or ever. */
static const struct refusal_row {
	uint16_t code;
	uint8_t status[3];
	slice reply;
} refusals[] = {
	[DELIVERY_OK] = {0, {0}, SLICE_INIT("")},
	[DELIVERY_UNKNOWN] = {550, {5, 1, 1}, SLICE_INIT("There is no such address")},
	[DELIVERY_RELAY] = {550, {5, 7, 1}, SLICE_INIT("Relaying is not allowed")},
	[DELIVERY_OVER_QUOTA] = {452, {4, 2, 2}, SLICE_INIT("The mailbox is full")},
	[DELIVERY_DISABLED] = {550, {5, 2, 1}, SLICE_INIT("The mailbox is switched off")},
	[DELIVERY_LOOP] = {554, {5, 4, 6}, SLICE_INIT("Aliases or forwards go in a circle")},
	[DELIVERY_TEMP] = {451, {4, 3, 0}, SLICE_INIT("Try again later")},
};

void delivery_refusal(enum delivery_result result, struct queue_recipient *r)
{
	const struct refusal_row *k = &refusals[result];
	r->code = k->code;
	memcpy(r->status, k->status, sizeof r->status);
	r->last_reply = k->reply;
}

bool delivery_may_wait(enum delivery_result result)
{
	return result == DELIVERY_OVER_QUOTA || result == DELIVERY_TEMP || result == DELIVERY_OK;
}

static void message_of(const struct deliver_job *job, struct queue_message *ret)
{
	const struct delivery *d = job->d;
	*ret = (struct queue_message){
		.sender = d->sender,
		.envelope_id = d->envelope_id,
		.ret = d->ret,
		.flags = d->flags,
		.priority = d->priority,
		.blob = job->blob,
		.size = d->content.size,
		.account = d->account,
		.recipients = job->records,
		.open = job->records,
		.arrival_us = job->now_us,
		.by_us = d->by_us,
		.start_us = d->release_us > job->now_us ? d->release_us : job->now_us,
	};
}

/* A record for the sender of mail: to be sent, to be tried again here, or (done) to be reported. */
static int put_record(struct deliver_job *job, struct store_tx *tx, const struct record *r, err *e)
{
	const struct delivery_recipient *rcpt = &job->d->recipients[r->original];
	struct address_canonical canonical;
	struct queue_message m;
	slice local, domain;
	struct queue_recipient q = {
		.address = r->address,
		.original = rcpt->original,
		.via = r->via,
		.notify = rcpt->notify,
		.state = r->state,
		.due_us = job->now_us,
	};
	if (r->expanded)
		q.flags |= QUEUE_EXPANDED;
	delivery_refusal(r->result, &q);
	message_of(job, &m);
	if (q.state != QUEUE_WAITING && !retry_reports(&m, &q, q.state, false))
		return 0;
	if (q.state == QUEUE_WAITING && job->d->release_us > q.due_us)
		q.due_us = job->d->release_us;
	q.rank = queue_rank(job->d->priority, false);
	if (!r->here && address_split(r->address, &local, &domain) &&
		address_canonical(local, domain, &canonical))
		q.domain = canonical.domain;
	else
		q.domain = slice_skip(r->address, (size_t)(slice_rfind_c(r->address, '@') + 1));
	return queue_tx_put(tx, job->queue_id, r->here ? 0 : queue_lane(q.domain), job->records++,
		job->d->account, &q, e);
}

/* The recipient's own address, when nothing of it was a target. */
static int own_record(struct deliver_job *job, struct store_tx *tx, size_t i, enum delivery_result result,
	enum queue_state state, bool expanded, err *e)
{
	const struct delivery_recipient *rcpt = &job->d->recipients[i];
	slice address = resolve_address_text(store_tx_scratch(tx), rcpt->localpart, rcpt->domain);
	if (!address.p)
		return err_set(e, ERR_TEMP, "out of memory in an intent");
	struct record r = {address, {"", 0}, i, result, state, true, expanded};
	return put_record(job, tx, &r, e);
}

static enum queue_state state_of(enum delivery_result result)
{
	return delivery_may_wait(result) ? QUEUE_WAITING : QUEUE_FAILED;
}

static int put_message(struct deliver_job *job, struct store_tx *tx, err *e)
{
	struct queue_message m;
	if (!job->blob && content_tx_blob(tx, &job->d->content, &job->blob, e) < 0)
		return -1;
	message_of(job, &m);
	return queue_tx_add(tx, job->queue_id, &m, e);
}

/* Targets elsewhere, and local ones that did not take it when their recipient is OK by others. */
static int put_targets(
	struct deliver_job *job, struct store_tx *tx, const enum delivery_result *results, bool later, err *e)
{
	for (size_t i = 0; i < job->r->n; i++) {
		const struct target *t = &job->r->targets[i];
		struct record r = {t->address, t->via, t->original, t->result, state_of(t->result),
			t->account != 0 || t->result != DELIVERY_OK, true};
		bool elsewhere = t->account == 0 && t->result == DELIVERY_OK;
		bool wanted = t->result != DELIVERY_OK && results[t->original] == DELIVERY_OK;
		int rc = 0;
		if (elsewhere || wanted)
			rc = put_record(job, tx, &r, e);
		else if (later && t->account && t->result == DELIVERY_OK && !job->local[t->original]) {
			job->local[t->original] = true;
			rc = own_record(job, tx, t->original, DELIVERY_OK, QUEUE_WAITING, true, e);
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* later: everything waits. Else who wanted to hear of success gets a record for it. */
static int put_records(
	struct deliver_job *job, struct store_tx *tx, enum delivery_result *results, bool later, err *e)
{
	const struct delivery *d = job->d;
	if (put_targets(job, tx, results, later, e) < 0)
		return -1;
	for (size_t i = 0; i < d->n; i++) {
		bool refused = results[i] != DELIVERY_OK && !d->each_answered;
		bool told = results[i] == DELIVERY_OK && !later && d->recipients[i].notify & NOTIFY_SUCCESS &&
			    job->local[i];
		int rc = 0;
		if (refused)
			rc = own_record(job, tx, i, results[i], state_of(results[i]), false, e);
		else if (told)
			rc = own_record(job, tx, i, DELIVERY_OK, QUEUE_DELIVERED, true, e);
		if (rc < 0)
			return -1;
		if (refused)
			results[i] = DELIVERY_OK;
	}
	return job->records ? put_message(job, tx, e) : 0;
}

/* Of a row of the queue (struct delivery). */
static int put_rest(struct deliver_job *job, struct store_tx *tx, enum delivery_result *results, err *e)
{
	bool elsewhere = false;
	for (size_t i = 0; i < job->r->n; i++) {
		const struct target *t = &job->r->targets[i];
		if (t->result == DELIVERY_OK)
			elsewhere |= t->account == 0;
		else if (t->account && delivery_may_wait(t->result)) {
			results[t->original] = t->result; /* those who have it by now get no second copy */
			return 0;
		}
	}
	if (!elsewhere || (job->d->expanded && job->local[0]))
		return 0;
	store_tx_queue_id(tx, job->queue_id);
	for (size_t i = 0; i < job->r->n; i++) {
		const struct target *t = &job->r->targets[i];
		struct record r = {t->address, t->via, t->original, DELIVERY_OK, QUEUE_WAITING, false, false};
		if (t->account == 0 && t->result == DELIVERY_OK && put_record(job, tx, &r, e) < 0)
			return -1;
	}
	return put_message(job, tx, e);
}

static int put_event(const struct deliver_job *job, struct store_tx *tx, err *e)
{
	struct buf b = BUF_INIT(8192);
	buf_add(&b, buf_slice(job->d->event));
	event_number(&b, FIELD_MAILBOXES, job->accounts);
	event_number(&b, FIELD_WAITING, job->records);
	int rc = event_tx_put(tx, job->queue_id, &b, e);
	buf_free(&b);
	return rc;
}

/* ---- the intent ---- */

static int deliver_accounts(struct deliver_job *job, struct store_tx *tx, err *e)
{
	struct target *t = job->r->targets;
	if (job->r->n > 1)
		qsort(t, job->r->n, sizeof *t, by_account);
	for (size_t i = 0; i < job->r->n; i++)
		if (t[i].account && t[i].result == DELIVERY_OK) {
			if (deliver_account(job, tx, t[i].account, e) < 0)
				return -1;
			job->local[t[i].original] = true;
		}
	return 0;
}

static int run_job(struct deliver_job *job, struct store_tx *tx, enum delivery_result **ret_results, err *e)
{
	struct delivery *d = job->d;
	struct arena *scratch = store_tx_scratch(tx);
	enum delivery_result *results = arena_new_n(scratch, enum delivery_result, d->n);
	bool any, later;
	job->now_us = d->clock ? queue_clock_now(d->clock) : store_tx_now_us(tx);
	later = d->release_us > job->now_us;
	job->r = arena_new_1(scratch, struct resolve);
	job->local = arena_new_n(scratch, bool, d->n);
	if (!results || !job->r || !job->local)
		return err_set(e, ERR_TEMP, "out of memory in an intent");
	job->r->view = view_tx(tx);
	job->r->arena = scratch;
	job->r->size = d->content.size;
	job->r->may_relay = d->account != 0 || d->relay;
	job->r->delivered_to = d->delivered_to;
	job->r->n_delivered_to = d->n_delivered_to;
	job->blob = d->blob;
	memcpy(job->queue_id, d->queue_id, sizeof job->queue_id);
	if (is_zero(job->queue_id))
		store_tx_queue_id(tx, job->queue_id);
	if (judge(job, results, &any, e) < 0)
		return -1;
	*ret_results = results;
	if (!any)
		return 0;
	if (!later && deliver_accounts(job, tx, e) < 0)
		return -1;
	if ((d->queued ? put_rest(job, tx, results, e) : put_records(job, tx, results, later, e)) < 0)
		return -1;
	return d->event ? put_event(job, tx, e) : 0;
}

int delivery_tx(struct store_tx *tx, struct delivery *d, slice stored_summary, err *e)
{
	struct deliver_job job = {.d = d, .stored_summary = stored_summary};
	enum delivery_result *results;
	if (run_job(&job, tx, &results, e) < 0)
		return -1;
	for (size_t i = 0; i < d->n; i++)
		d->recipients[i].ret_result = results[i];
	memcpy(d->ret_queue_id, job.queue_id, sizeof d->ret_queue_id);
	d->ret_accounts = job.accounts;
	d->ret_remote = job.records;
	d->ret_local = false;
	for (size_t i = 0; i < d->n; i++)
		d->ret_local |= job.local && job.local[i];
	return 0;
}

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
	enum delivery_result *results;
	if (run_job(job, tx, &results, e) < 0)
		return -1;
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

static int never_asked(struct store_tx *tx, void *arg, err *e)
{
	(void)tx;
	(void)arg;
	return err_set(e, ERR_MISSING, "this question was not asked before");
}

int delivery_again(struct store *s, struct delivery *d, err *e)
{
	struct deliver_job job = {.d = d, .answer = BUF_INIT(LIMIT_BATCH_ANSWER)};
	struct store_intent intent = {.run = never_asked, .answer = &job.answer};
	memcpy(intent.batch, d->batch, sizeof intent.batch);
	int rc = is_zero(d->batch) ? -1 : store_commit_intent(s, &intent);
	int found = rc == 0 && answer_get(&job, e) == 0;
	buf_free(&job.answer);
	d->ret_repeated = found;
	return found;
}

/* One parcel's way out: from the store to the outbound role, and its results back into the store. */
#include "base/encode.h"
#include "base/hash.h"
#include "base/log.h"
#include "limits.h"
#include "mailbox/address.h"
#include "queue/route.h"
#include "roles/backend/queue.h"
#include "roles/common/transmit.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define TRANSMIT_MS UINT64_C(7200000) /* the outbound role bounds each step; this one is for its death */
#define PEER_MS     30000
#define AGAIN_MS    5000
#define ARENA       (4u << 20)
#define FOUND_MAX   (4 * TRANSMIT_RECIPIENTS) /* those of a parcel that are looked at for one job */

struct send { /* what is sent, and what came back */
	struct send_job *j;
	struct arena *arena;
	struct queue_message m;
	struct queue_found *rows; /* those that go now */
	size_t n;
	slice domain;
	bool ours, there;
	uint32_t route_id;
	struct store_blob blob;
	struct buf job;
	char *bytes; /* the content, when it goes inline */
	int file;    /* or as a file */
	uint64_t in_memory;
	struct transmit_result result;
	struct channel_answer hold;
};

/* ---- what goes ---- */

static bool keep(struct arena *a, slice *s)
{
	*s = arena_copy(a, *s);
	return s->p != NULL;
}

/*
 * Of the parcel's recipients those that can go in one transaction: of one domain (two may share a lane) and
 * with the same field in front, as many as a job holds.
 */
static void choose(struct send *s, struct queue_found *all, size_t n)
{
	const struct queue_found *first = NULL;
	size_t bytes = 0;
	s->rows = all;
	s->n = 0;
	for (size_t i = 0; i < n; i++) {
		const struct queue_recipient *r = &all[i].r;
		struct transmit_recipient t = {r->address, r->original, r->notify};
		if (!first)
			first = &all[i];
		bytes += transmit_recipient_bytes(&t);
		if (s->n == TRANSMIT_RECIPIENTS || bytes > TRANSMIT_JOB_MAX / 2 ||
			!slice_eq(r->domain, first->r.domain) || !slice_eq(r->via, first->r.via))
			continue;
		struct queue_found chosen = all[i];
		s->rows[s->n++] = chosen; /* never ahead of what is looked at */
	}
	if (s->n)
		s->domain = s->rows[0].r.domain;
}

static slice canonical_sender(struct send *s)
{
	struct address_canonical a;
	slice local, domain;
	struct buf b = BUF_INIT(1024);
	if (!address_split(s->m.sender, &local, &domain) || !address_canonical(local, domain, &a))
		return s->m.sender;
	buf_add(&b, a.local);
	buf_add_c(&b, '@');
	buf_add(&b, a.domain);
	slice copy = b.failed ? s->m.sender : arena_copy(s->arena, buf_slice(&b));
	buf_free(&b);
	return copy.p ? copy : s->m.sender;
}

static int find(struct send *s, err *e)
{
	struct backend *b = s->j->q->b;
	struct store_snap snap;
	struct queue_found *all;
	struct domain_row domain;
	size_t n;
	if (store_snap_begin(b->store, &snap, e) < 0)
		return -1;
	int rc = queue_get(&snap, s->j->p.id, &s->m, e);
	s->there = rc == 1;
	if (s->there) {
		rc = keep(s->arena, &s->m.sender) && keep(s->arena, &s->m.envelope_id)
			     ? queue_parcel_recipients(&snap, s->arena, &s->j->p, FOUND_MAX, &all, &n, e)
			     : err_set(e, ERR_TEMP, "no memory");
		if (rc == 0)
			choose(s, all, n);
		if (rc == 0 && s->n) {
			rc = domain_lookup(view_snap(&snap), s->domain, &domain, e);
			s->ours = rc == 1 && domain.enabled;
		}
		if (rc >= 0 && s->n && !s->ours && !s->j->dead &&
			store_blob_find(&snap, s->m.blob, &s->blob, e) != 1)
			rc = err_set(e, ERR_CORRUPT, "the content of a queued message is not there");
	}
	store_snap_end(&snap);
	return rc < 0 ? -1 : 0;
}

/* ---- the question ---- */

static void route_of(struct send *s, struct transmit_route *ret)
{
	const struct routes *all = s->j->q->b->routes;
	const struct route *r = all ? routes_pick(all, s->domain, canonical_sender(s), s->m.account) : NULL;
	*ret = (struct transmit_route){.id = 0};
	if (!r)
		return;
	s->route_id = r->id;
	back_route_job(r, ret);
}

/* Rounded up: with mode R less than 1 is no time at all (RFC 2852 4.1.2). */
static int64_t by_seconds(const struct send *s)
{
	int64_t left = s->m.by_us - queue_clock_now(&s->j->q->clock);
	return left > 0 ? (left + 999999) / 1000000 : left / 1000000;
}

/* It was not to arrive after a time, and that has come. */
static bool too_late(const struct send *s)
{
	return s->m.by_us && s->m.flags & QUEUE_BY_RETURN && by_seconds(s) < 1;
}

static int make_job(struct send *s, err *e)
{
	const struct queue_message *m = &s->m;
	struct transmit_job job = {
		.domain = s->domain,
		.sender = m->sender,
		.envelope_id = m->envelope_id,
		.ret = (uint8_t)m->ret,
		.flags = m->flags & (QUEUE_8BIT | QUEUE_BINARY | QUEUE_SMTPUTF8 | QUEUE_TLS_ONLY),
		.needs = 255,
		.priority = m->priority,
		.has_by = m->by_us != 0,
		.by_mode = m->flags & QUEUE_BY_RETURN ? 'R' : 'N',
		.by_trace = m->flags & QUEUE_BY_TRACE,
		.recipients = arena_new_n(s->arena, struct transmit_recipient, s->n),
		.n = s->n,
	};
	struct buf head = BUF_INIT(2048);
	if (!job.recipients)
		return err_set(e, ERR_TEMP, "no memory");
	if (job.has_by)
		job.by_seconds = by_seconds(s);
	memcpy(job.id, s->j->p.id, sizeof job.id);
	for (size_t i = 0; i < s->n; i++)
		job.recipients[i] = (struct transmit_recipient){
			s->rows[i].r.address, s->rows[i].r.original, s->rows[i].r.notify};
	/* Who forwards says so: a message that comes back shows that it went in a circle. */
	if (s->rows[0].r.via.n) {
		buf_addz(&head, "Delivered-To: ");
		buf_add(&head, s->rows[0].r.via);
		buf_addz(&head, "\r\n");
		job.head = buf_slice(&head);
	}
	route_of(s, &job.route);
	transmit_job_encode(&s->job, &job);
	int rc = head.failed || s->job.failed ? err_set(e, ERR_LIMIT, "the envelope is too long to be sent")
					      : 0;
	buf_free(&head);
	return rc;
}

/* Waits for its share of what messages may take in memory on their way out. */
static int reserve(struct send *s, uint64_t n, err *e)
{
	struct back_queue *q = s->j->q;
	while (q->in_memory > 0 && q->in_memory + n > LIMIT_TRANSMIT_MEMORY)
		if (fiber_signal_wait(&q->memory_free, FOREVER) < 0)
			return err_set(e, ERR_CANCELED, "the program ends");
	q->in_memory += n;
	s->in_memory = n;
	return 0;
}

static void unreserve(struct send *s)
{
	struct back_queue *q = s->j->q;
	q->in_memory -= s->in_memory;
	if (s->in_memory)
		fiber_signal_all(&q->memory_free);
	s->in_memory = 0;
}

static int write_all(int fd, slice b)
{
	while (b.n) {
		ssize_t n = write(fd, b.p, b.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		b = slice_skip(b, (size_t)n);
	}
	return 0;
}

/* Inline, as a sealed memory file, or as the store's own file of a large message. */
static int content(struct send *s, struct msg_transmit *m, err *e)
{
	m->body_size = s->blob.length;
	m->body_file = store_blob_fd(&s->blob);
	m->place = 2;
	if (m->body_file >= 0)
		return 0;
	if (reserve(s, s->blob.length, e) < 0)
		return -1;
	s->bytes = malloc(s->blob.length ? s->blob.length : 1);
	if (!s->bytes)
		return err_set(e, ERR_TEMP, "no memory");
	if (store_blob_read(&s->blob, 0, s->bytes, s->blob.length, e) < 0)
		return -1;
	slice all = slice_make(s->bytes, s->blob.length);
	m->place = 0;
	m->body = all;
	if (all.n <= LIMIT_CHANNEL_INLINE - 4096 && s->job.n + all.n < LIMIT_CHANNEL_MESSAGE - 4096)
		return 0;
	s->file = content_file_new();
	if (s->file < 0 || write_all(s->file, all) < 0 || content_file_seal(s->file) < 0)
		return err_sys(e, ERR_TEMP, "a memory file for a message");
	m->place = 1;
	m->body = (slice){"", 0};
	m->body_file = s->file;
	return 0;
}

/* 0: s->result; -1 ERR_CLOSED: the role died, nobody knows; -1 else: nothing was tried. */
static int ask(struct send *s, err *e)
{
	struct msg_transmit m = {.body_file = -1};
	struct msg_transmit_reply reply;
	struct channel *c = role_peer_wait(s->j->q->b->role, ROLE_OUTBOUND, loop_now() + PEER_MS);
	if (!c)
		return err_set(e, ERR_TEMP, "the outbound role is not there");
	if (make_job(s, e) < 0 || content(s, &m, e) < 0)
		return -1;
	c = role_peer_wait(s->j->q->b->role, ROLE_OUTBOUND, loop_now() + PEER_MS); /* it may have gone */
	if (!c)
		return err_set(e, ERR_TEMP, "the outbound role is not there");
	m.job = buf_slice(&s->job);
	int rc = ask_transmit(c, &m, &reply, &s->hold, loop_now() + TRANSMIT_MS, e);
	if (s->file >= 0)
		close(s->file);
	s->file = -1;
	free(s->bytes);
	s->bytes = NULL;
	unreserve(s);
	if (rc < 0)
		return -1;
	if (transmit_result_decode(reply.result, s->arena, &s->result, e) < 0)
		return -1;
	return s->result.n == s->n ? 0 : err_set(e, ERR_CORRUPT, "a result for other recipients");
}

/* ---- the results ---- */

static void one_try(const struct send *s, size_t i, struct retry_try *t)
{
	const struct transmit_outcome_row *o = &s->result.rows[i];
	*t = (struct retry_try){.code = o->code,
		.reply = o->text,
		.host = s->result.host,
		.own = o->own,
		.dsn_passed = o->dsn_passed};
	memcpy(t->status, o->status, sizeof t->status);
	if (o->outcome == TRANSMIT_SENT) {
		t->outcome = RETRY_SENT;
		return;
	}
	if (s->result.reach == TRANSMIT_BUSY) {
		t->outcome = RETRY_NO_TRY;
		return;
	}
	t->refusal = refusal_classify(o->code, o->status, o->text, s->result.host);
	t->outcome = o->outcome == TRANSMIT_REFUSED ? RETRY_REFUSED : RETRY_LATER;
	if (!o->code || o->own || s->result.reach != TRANSMIT_TALKED)
		return; /* our own finding is no wording to be read between the lines */
	if (t->refusal.kind == REFUSAL_GIVE_UP)
		t->outcome = RETRY_REFUSED;
	else if (t->refusal.kind != REFUSAL_ALARM)
		t->outcome = RETRY_LATER;
}

/* What the try says about the destination. */
static void judge(struct send *s, const struct settle_row *rows)
{
	struct send_job *j = s->j;
	bool slow = false;
	if (s->result.host.n)
		j->gate = queue_lane(s->result.host);
	for (size_t i = 0; i < s->n; i++)
		slow |= rows[i].t.outcome == RETRY_LATER && rows[i].t.refusal.kind == REFUSAL_SLOW;
	static const enum schedule_outcome by_reach[] = {
		[TRANSMIT_TALKED] = SCHEDULE_OK,
		[TRANSMIT_UNREACHABLE] = SCHEDULE_UNREACHABLE,
		[TRANSMIT_BUSY] = SCHEDULE_NONE,
		[TRANSMIT_NO_TRY] = SCHEDULE_NONE,
	};
	j->outcome = s->result.reach < COUNT_OF(by_reach) ? by_reach[s->result.reach] : SCHEDULE_NONE;
	if (slow)
		j->outcome = SCHEDULE_SLOW;
}

static const char *word_of(const struct settle_row *row)
{
	if (row->t.outcome == RETRY_SENT)
		return "sent";
	return row->ret.state == QUEUE_FAILED ? "failed" : "deferred";
}

static void log_row(const struct send *s, const struct settle_row *row, const struct queue_recipient *r)
{
	const struct back_queue *q = s->j->q;
	char id[27], status[16] = "";
	struct buf b = BUF_INIT(16);
	int64_t age = queue_clock_now(&q->clock) - s->m.arrival_us;
	base32_id(s->j->p.id, id);
	if (row->t.status[0])
		buf_addf(&b, "%u.%u.%u", row->t.status[0], row->t.status[1], row->t.status[2]);
	if (!b.failed && b.n < sizeof status && b.n)
		memcpy(status, b.p, b.n);
	buf_free(&b);
	log_event(row->t.refusal.kind == REFUSAL_ALARM && row->t.outcome != RETRY_SENT ? LOG_WARN : LOG_INFO,
		"delivery", F_STR("queue_id", id), F_SLICE("from", s->m.sender), F_SLICE("to", r->address),
		F_STR("status", word_of(row)), F_SLICE("host", s->result.host), F_SLICE("ip", s->result.ip),
		F_SLICE("tls", s->result.tls), F_U64("verified", s->result.verified),
		F_U64("code", row->t.code), F_STR("dsn", status), F_SLICE("reply", row->t.reply),
		F_U64("attempt", row->ret_attempts), F_U64("route", s->route_id),
		F_I64("delay_ms", age / 1000),
		F_STR("reason", row->t.refusal.reason ? row->t.refusal.reason : ""),
		F_STR("advice", row->t.refusal.advice ? row->t.refusal.advice : ""));
}

static void count(struct back_queue *q, const struct settle_row *row)
{
	if (row->t.outcome == RETRY_SENT)
		q->sent++;
	else if (row->ret.state == QUEUE_FAILED)
		q->failed++;
	else
		q->deferred++;
}

/* The result must get into the store: when it does not go now it goes later; a store that stays broken ends
 * us. */
static void settle(struct send *s, struct settle_row *rows)
{
	struct send_job *j = s->j;
	struct back_queue *q = j->q;
	const struct retry_policy policy = q->policy; /* a reload changes it */
	struct settle w = {.parcel = j->p,
		.lease = back_lease_leave(j),
		.policy = &policy,
		.clock = &q->clock,
		.ip = s->result.ip,
		.tls = s->result.tls,
		.verified = s->result.verified,
		.route = s->route_id,
		.rows = rows,
		.n = rows ? s->n : 0};
	err e = {0};
	while (delivery_settle(q->b->store, &w, &e) < 0) {
		log_event(LOG_ERROR, "queue_result_not_stored", F_ERR(&e));
		if (fiber_sleep(AGAIN_MS) < 0)
			return;
	}
	j->more = w.ret_more && (rows || s->n == 0 || s->ours); /* else out of memory: later */
	for (size_t i = 0; i < w.n; i++) {
		if (!rows[i].ret_known || rows[i].t.outcome == RETRY_NO_TRY)
			continue;
		count(q, &rows[i]);
		log_row(s, &rows[i], &s->rows[i].r);
	}
}

static void log_doubt(void *arg, const uint8_t id[16], slice address)
{
	char text[27];
	(void)arg;
	base32_id(id, text);
	log_event(LOG_WARN, "possible_duplicate", F_STR("queue_id", text), F_SLICE("recipient", address),
		F_STR("why", "it was under way when the outbound role went, or the server went without an "
			     "answer"));
}

static void doubt(struct send *s)
{
	err e = {0};
	if (queue_doubt(s->j->q->b->store, &s->j->p, log_doubt, NULL, &e) < 0)
		log_event(LOG_WARN, "queue_doubt_not_stored", F_ERR(&e));
}

static bool any_unknown(const struct transmit_result *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->rows[i].outcome == TRANSMIT_UNKNOWN)
			return true;
	return false;
}

static void results(struct send *s, int rc, const err *e)
{
	struct settle_row *rows = arena_new_n(s->arena, struct settle_row, s->n);
	if (rc < 0 && e->kind == ERR_CLOSED)
		doubt(s);
	else if (rc == 0 && any_unknown(&s->result))
		doubt(s);
	if (rc < 0)
		log_event(LOG_WARN, "transmit_failed", F_ERR(e));
	for (size_t i = 0; rows && i < s->n; i++) {
		rows[i] = (struct settle_row){.n = s->rows[i].n, .t = {.outcome = RETRY_NO_TRY}};
		if (rc == 0)
			one_try(s, i, &rows[i].t);
		else if (e->kind == ERR_CORRUPT || e->kind == ERR_LIMIT) /* in the end the sender is told */
			rows[i].t = (struct retry_try){
				.outcome = RETRY_LATER, .status = {4, 3, 0}, .reply = slice_of(e->text)};
	}
	if (rc == 0 && rows)
		judge(s, rows);
	settle(s, rows);
}

/* Its destination rests, or its time is over: all that waits for it is put off, or given up, without asking.
 */
static void put_off(struct send *s)
{
	static const slice rests = SLICE_INIT("The servers of this domain could not be reached lately"),
			   over = SLICE_INIT("It could not be delivered by the time that was asked for");
	bool late = too_late(s);
	slice why = late ? over : rests;
	struct settle_row *rows = arena_new_n(s->arena, struct settle_row, s->n);
	for (size_t i = 0; rows && i < s->n; i++) {
		const struct queue_recipient *r = &s->rows[i].r;
		rows[i] = (struct settle_row){.n = s->rows[i].n,
			.t = {.outcome = RETRY_LATER,
				.status = {4, 4, late ? 7 : 1},
				.refusal = {REFUSAL_RETRY, late ? "expired" : "unreachable", NULL},
				.host = r->host,
				.reply = r->attempts && r->last_reply.n ? r->last_reply : why}};
	}
	settle(s, rows);
}

void back_send(struct send_job *j)
{
	struct send *s = calloc(1, sizeof *s);
	err e = {0};
	if (!s)
		return;
	*s = (struct send){.j = j, .arena = arena_new(ARENA), .file = -1, .job = BUF_INIT(TRANSMIT_JOB_MAX)};
	int rc = s->arena ? find(s, &e) : err_set(&e, ERR_TEMP, "no memory");
	if (rc < 0) {
		char id[27];
		base32_id(j->p.id, id);
		log_event(LOG_ERROR, "queue_message_not_read", F_STR("queue_id", id), F_ERR(&e));
		if (s->arena && s->n)
			results(s, rc, &e);
	} else if (!s->there || s->n == 0) {
		settle(s, NULL);
	} else if (s->ours) {
		if (queue_rehome(j->q->b->store, &j->q->clock, &j->p, s->domain, &e) < 0)
			log_event(LOG_ERROR, "queue_rehome_failed", F_ERR(&e));
		settle(s, NULL);
	} else if (j->dead || too_late(s)) {
		put_off(s);
	} else {
		results(s, ask(s, &e), &e);
	}
	if (s->file >= 0)
		close(s->file);
	free(s->bytes);
	unreserve(s);
	channel_answer_free(&s->hold);
	store_blob_release(&s->blob);
	buf_free(&s->job);
	arena_free(s->arena);
	free(s);
}

/* ---- lane 0 ---- */

void back_here(struct send_job *j)
{
	struct back_queue *q = j->q;
	const struct retry_policy policy = q->policy; /* a reload changes it */
	struct here h = {
		.parcel = j->p, .policy = &policy, .clock = &q->clock, .host = q->b->role->settings->host};
	char id[27];
	err e = {0};
	back_make_id(q->b, h.report_id[0]);
	back_make_id(q->b, h.report_id[1]);
	base32_id(j->p.id, id);
	while (delivery_here(q->b->store, q->b->loops[0].codec, &h, &e) < 0) {
		log_event(LOG_ERROR, "queue_here_failed", F_STR("queue_id", id), F_ERR(&e));
		if (fiber_sleep(AGAIN_MS) < 0)
			return;
	}
	j->more = h.ret_more;
	q->sent += h.ret_delivered;
	q->deferred += h.ret_deferred;
	q->failed += h.ret_failed;
	q->reports += h.ret_reports;
	q->unreported += h.ret_unreported;
	if (h.ret_delivered + h.ret_deferred + h.ret_failed)
		log_event(LOG_INFO, "delivered_here", F_STR("queue_id", id),
			F_U64("delivered", h.ret_delivered), F_U64("deferred", h.ret_deferred),
			F_U64("failed", h.ret_failed));
	if (h.ret_reports)
		log_event(LOG_INFO, "sender_told", F_STR("queue_id", id), F_U64("reports", h.ret_reports));
	if (h.ret_unreported)
		log_event(LOG_WARN, "sender_not_told", F_STR("queue_id", id),
			F_STR("why", "neither the sender nor postmaster has a mailbox here"));
}

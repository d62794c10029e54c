#include "base/clock.h"
#include "base/log.h"
#include "delivery/delivery.h"
#include "limits.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/summary.h"
#include "queue/event.h"
#include "roles/backend/backend.h"
#include "roles/common/envelope.h"
#include <stdlib.h>
#include <unistd.h>

#define HEADER_LOOK 65536 /* From stands within this of a submission's beginning */

enum place { PLACE_INLINE, PLACE_MEMORY, PLACE_SPOOL };

struct intake { /* a message on its way in, with what must be given back at the end */
	struct backend *b;
	struct msg_deliver m;
	slice envelope, summary, body;
	bool envelope_mapped, summary_mapped, body_mapped;
	struct arena *arena;
	struct envelope env;
	struct delivery d;
	struct buf results, event;
	slice been[LIMIT_DELIVERED_TO];
};

static void close_file(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void intake_end(struct intake *in)
{
	if (in->envelope_mapped)
		content_file_unmap(in->envelope);
	if (in->summary_mapped)
		content_file_unmap(in->summary);
	if (in->body_mapped)
		content_file_unmap(in->body);
	close_file(in->m.envelope_file);
	close_file(in->m.summary_file);
	close_file(in->m.body_file);
	store_big_drop(in->d.content.big);
	arena_free(in->arena);
	buf_free(&in->results);
	buf_free(&in->event);
	free(in);
}

/* A part that came inline, or as a sealed memory file of the size that was said. */
static int part(slice given, uint32_t size, int file, size_t max, slice *ret, bool *ret_mapped, err *e)
{
	if (size > max)
		return err_set(e, ERR_LIMIT, "a part of a message is too long");
	if (file < 0) {
		*ret = given;
		return given.n == size ? 0 : err_set(e, ERR_CORRUPT, "a part of another size than was said");
	}
	*ret = content_file_map(file, size);
	*ret_mapped = ret->p != NULL;
	return *ret_mapped ? 0 : err_set(e, ERR_CORRUPT, "not a sealed file of the size that was said");
}

static int body(struct intake *in, err *e)
{
	const struct msg_deliver *m = &in->m;

	if (m->body_size > in->b->role->settings->limit_message + HEADER_LOOK)
		return err_set(e, ERR_LIMIT, "the message is too large");
	in->d.content.size = (uint32_t)m->body_size;
	if (m->place == PLACE_SPOOL)
		return store_big_finish(in->b->store, m->body_file, m->body_size, &in->d.content.big, e);
	if (m->body_size > LIMIT_BLOB_INLINE)
		return err_set(e, ERR_LIMIT, "a large message must come as a file");
	if (part(m->body, (uint32_t)m->body_size, m->place == PLACE_MEMORY ? m->body_file : -1,
		    LIMIT_BLOB_INLINE, &in->body, &in->body_mapped, e) < 0)
		return -1;
	in->d.content.bytes = in->body;
	return 0;
}

/* The first bytes of the message, wherever it lies. */
static slice beginning(struct intake *in)
{
	if (in->m.place != PLACE_SPOOL)
		return slice_sub(in->body, 0, HEADER_LOOK);
	char *p = arena_new_n(in->arena, char, HEADER_LOOK);
	ssize_t n = p ? pread(in->m.body_file, p, HEADER_LOOK, 0) : -1;

	return slice_make(p, n > 0 ? (size_t)n : 0);
}

/* 0 when every address in the text belongs to the account; where: for the sentence. */
static int addresses_belong(struct intake *in, slice text, const char *where, err *e)
{
	struct mail_address_scan scan;
	struct mail_address a = {0};
	struct store_snap snap;
	int rc = 1;

	if (store_snap_begin(in->b->store, &snap, e) < 0)
		return -1;
	mail_address_begin(&scan, text, in->arena);
	while (rc == 1 && mail_address_next(&scan, &a))
		if (a.kind == MAIL_ADDRESS_MAILBOX)
			rc = delivery_sender_allowed(&snap, in->d.account, a.local, a.domain, e);
	store_snap_end(&snap);
	if (rc == 0)
		return err_set(e, ERR_DENIED,
			"The %s address %" SLICE_FMT "@%" SLICE_FMT " does not belong to this account", where,
			SLICE_ARG(slice_sub(a.local, 0, 60)), SLICE_ARG(slice_sub(a.domain, 0, 80)));
	return rc < 0 ? -1 : 0;
}

/*
 * What is submitted is sent in the account's own name, in the envelope and in every From field: the
 * frontend's word is not taken for it. A header that goes on behind what is looked at could hide one there.
 */
static int check_from(struct intake *in, err *e)
{
	slice look = beginning(in);
	struct mail_header_scan scan = mail_header_begin(look);
	struct mail_field f;

	if (in->d.account == 0)
		return 0;
	if (addresses_belong(in, in->d.sender, "sender", e) < 0)
		return -1;
	while (mail_header_next(&scan, &f))
		if (slice_ieq(f.name, S("From")) && addresses_belong(in, f.value, "From", e) < 0)
			return -1;
	if (scan.pos >= look.n && in->m.body_size > look.n)
		return err_set(e, ERR_DENIED, "The message's header is longer than %d bytes", HEADER_LOOK);
	return 0;
}

static int recipients(struct intake *in, err *e)
{
	if (envelope_decode(in->envelope, in->arena, &in->env, e) < 0)
		return -1;
	in->d.recipients = arena_new_n(in->arena, struct delivery_recipient, in->env.n ? in->env.n : 1);
	if (!in->d.recipients || in->env.n == 0)
		return err_set(e, ERR_CORRUPT, "a message for nobody");
	for (size_t i = 0; i < in->env.n; i++) {
		const struct envelope_recipient *r = &in->env.recipients[i];

		in->d.recipients[i] = (struct delivery_recipient){.localpart = r->local,
			.domain = r->domain,
			.original = r->original,
			.notify = r->notify};
	}
	in->d.n = in->env.n;
	in->d.sender = in->env.sender;
	in->d.envelope_id = in->env.id;
	in->d.ret = (enum queue_ret)in->env.ret;
	return 0;
}

/* When it goes, by when, how urgently. The clock of the queue is not the wall's: see queue/clock.h. */
static void timing(struct intake *in)
{
	const struct envelope *v = &in->env;
	const struct settings *c = in->b->role->settings;
	const struct queue_clock *clock = back_queue_clock(in->b);

	in->d.clock = clock;
	in->d.priority = v->priority;
	in->d.flags = v->flags & (QUEUE_8BIT | QUEUE_BINARY | QUEUE_SMTPUTF8 | QUEUE_TLS_ONLY);
	if (v->has_by) {
		in->d.by_us = queue_clock_from_wall(clock, v->by_deadline_s * 1000000);
		in->d.flags |= (uint8_t)((v->by_mode == 'R' ? QUEUE_BY_RETURN : 0) |
					 (v->by_trace ? QUEUE_BY_TRACE : 0));
	}
	if (in->d.account == 0)
		return;
	if (c->queue_undo)
		in->d.release_us = queue_clock_now(clock) + (int64_t)c->queue_undo * 1000;
	if (v->release_s) {
		int64_t release = queue_clock_from_wall(clock, v->release_s * 1000000);
		int64_t latest = queue_clock_now(clock) + (int64_t)c->queue_future * 1000;

		in->d.release_us = release < latest ? release : latest;
	}
}

/* What `trace` shows of its coming. */
static int event(struct intake *in, err *e)
{
	const struct envelope *v = &in->env;
	struct buf to = BUF_INIT(2048);

	in->event = BUF_INIT(8192);
	for (size_t i = 0; i < v->n && to.n < 500; i++) {
		if (i)
			buf_add_c(&to, ' ');
		mail_local_write(&to, v->recipients[i].local);
		if (v->recipients[i].domain.n) {
			buf_add_c(&to, '@');
			buf_add(&to, v->recipients[i].domain);
		}
	}
	event_begin(&in->event, EVENT_RECEIVED, clock_wall_us());
	event_text(&in->event, FIELD_SENDER, v->sender.n ? v->sender : S("<>"));
	event_text(&in->event, FIELD_RECIPIENTS, buf_slice(&to));
	event_text(&in->event, FIELD_CLIENT, v->trace.ip);
	event_text(&in->event, FIELD_CLIENT_NAME, v->trace.name);
	event_text(&in->event, FIELD_HELO, v->trace.helo);
	event_text(&in->event, FIELD_PROTOCOL, v->trace.protocol);
	event_text(&in->event, FIELD_TLS, v->trace.tls);
	event_text(&in->event, FIELD_USER, v->trace.user);
	event_number(&in->event, FIELD_SIZE, in->m.body_size);
	struct mail_field id;
	if (mail_header_find(beginning(in), S("Message-ID"), &id))
		event_text(&in->event, FIELD_MESSAGE_ID, slice_sub(slice_trim(id.value), 0, 300));
	int rc = to.failed || in->event.failed ? err_set(e, ERR_TEMP, "no memory") : 0;
	buf_free(&to);
	in->d.event = &in->event;
	return rc;
}

static int results(struct intake *in, err *e)
{
	in->results = BUF_INIT(LIMIT_ENVELOPE_RECIPIENTS);
	for (size_t i = 0; i < in->d.n; i++)
		buf_add_c(&in->results, (char)in->d.recipients[i].ret_result);
	return in->results.failed ? err_set(e, ERR_TEMP, "no memory") : 0;
}

static int deliver(struct channel_request *q, struct intake *in, err *e)
{
	struct backend *b = in->b;
	const struct msg_deliver *m = &in->m;
	size_t arena =
		LIMIT_ENVELOPE_RECIPIENTS * sizeof(struct delivery_recipient) * 2 + 2 * HEADER_LOOK + 65536;

	in->arena = arena_new(arena);
	if (!in->arena)
		return err_set(e, ERR_TEMP, "no memory");
	if (m->batch.n != sizeof in->d.batch)
		return err_set(e, ERR_CORRUPT, "a message without an id");
	memcpy(in->d.batch, m->batch.p, sizeof in->d.batch);
	memcpy(in->d.queue_id, m->batch.p, sizeof in->d.queue_id);
	if (part(m->envelope, m->envelope_size, m->envelope_file, LIMIT_BLOB_INLINE * 16, &in->envelope,
		    &in->envelope_mapped, e) < 0 ||
		recipients(in, e) < 0)
		return -1;
	/* A handle dies with the backend that gave it; what it had committed by then is answered all the
	 * same. */
	if (!back_submitter(b, channel_request_channel(q), m->handle, &in->d.account))
		return delivery_again(b->store, &in->d, e) == 1
			       ? results(in, e)
			       : err_set(e, ERR_TEMP, "the session is not known; log in again");
	if (part(m->summary, m->summary_size, m->summary_file, LIMIT_SUMMARY_TRANSFER, &in->summary,
		    &in->summary_mapped, e) < 0 ||
		mail_summary_verify(in->summary, m->body_size, e) < 0 || body(in, e) < 0 ||
		check_from(in, e) < 0 || event(in, e) < 0)
		return -1;
	timing(in);
	in->d.delivered_to = in->been;
	in->d.n_delivered_to = delivery_delivered_to(beginning(in), in->arena, in->been);
	in->d.summary = in->summary;
	in->d.each_answered = m->each != 0;
	if (delivery_deliver(b->store, b->loops[0].codec, &in->d, e) < 0)
		return -1;
	return results(in, e);
}

void back_on_deliver(struct channel_request *q, void *arg)
{
	struct intake *in = calloc(1, sizeof *in);
	err e = {0};

	if (!in) {
		channel_answer_error(q, ERR_TEMP, "no memory");
		return;
	}
	in->b = backend_of(arg);
	in->m.envelope_file = in->m.summary_file = in->m.body_file = -1;
	if (!msg_deliver_take(q, &in->m)) {
		intake_end(in);
		return;
	}
	if (deliver(q, in, &e) < 0) {
		if (e.kind != ERR_DENIED)
			log_event(LOG_ERROR, "delivery_failed", F_ERR(&e));
		channel_answer_error(q, e.kind, e.text);
	} else {
		if (in->d.ret_repeated)
			log_event(LOG_WARN, "possible_duplicate_prevented", F_U64("recipients", in->d.n));
		in->b->delivered++;
		msg_deliver_answer(
			q, &(struct msg_deliver_reply){.queue_id = slice_make(in->d.ret_queue_id, 16),
				   .results = buf_slice(&in->results)});
	}
	intake_end(in);
}

void back_on_spool(struct channel_request *q, void *arg)
{
	struct backend *b = backend_of(arg);
	struct msg_spool m;
	err e = {0};

	if (!msg_spool_take(q, &m))
		return;
	int fd = m.size > b->role->settings->limit_message + HEADER_LOOK
			 ? err_set(&e, ERR_LIMIT, "the message is too large")
			 : store_spool_new(b->store, &e);
	if (fd < 0) {
		channel_answer_error(q, e.kind, e.text);
		return;
	}
	msg_spool_answer(q, &(struct msg_spool_reply){.file = fd});
	close(fd);
}

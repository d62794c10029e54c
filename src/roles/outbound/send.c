/* One transaction: what the server can take of the message, and what it said of each recipient. */
#include "base/encode.h"
#include "queue/row.h"
#include "roles/outbound/outbound.h"

_Static_assert(TRANSMIT_STAGE_LAST == SMTP_AT_END, "results name the stages of the client");
_Static_assert((int)RET_FULL == SMTP_RET_FULL && (int)RET_HDRS == SMTP_RET_HDRS, "the same numbers");
_Static_assert((int)NOTIFY_NEVER == SMTP_NOTIFY_NEVER && (int)NOTIFY_SUCCESS == SMTP_NOTIFY_SUCCESS &&
		       (int)NOTIFY_FAILURE == SMTP_NOTIFY_FAILURE && (int)NOTIFY_DELAY == SMTP_NOTIFY_DELAY,
	"the same numbers");

static enum transmit_outcome outcome_of(const struct smtp_reply *r)
{
	if (r->unknown)
		return TRANSMIT_UNKNOWN;
	return r->code == 0 || r->code / 100 == 4 ? TRANSMIT_RETRY
	       : r->code / 100 == 2               ? TRANSMIT_SENT
						  : TRANSMIT_REFUSED;
}

static void set_row(
	struct transmit_outcome_row *row, enum transmit_outcome outcome, const struct smtp_reply *r)
{
	row->outcome = (uint8_t)outcome;
	row->stage = r->stage;
	row->code = r->code;
	row->own = r->own;
	memcpy(row->status, r->status, sizeof row->status);
}

void out_outcome_all(struct out_sending *s, enum transmit_outcome outcome, const struct smtp_reply *r)
{
	slice text = arena_copy(s->arena, slice_of(r->text));

	for (size_t i = 0; i < s->result.n; i++) {
		struct transmit_outcome_row *row = &s->result.rows[i];

		if (row->outcome)
			continue;
		set_row(row, outcome, r);
		row->text = text.p ? text : S("");
	}
}

/*
 * The recipients of this transaction. A local part beyond ASCII needs SMTPUTF8 and has no other form
 * (RFC 6531 3.2): for a server without it the address does not exist. (Domains are A-labels by now.)
 */
static void pick(struct out_sending *s, uint32_t ext, bool *ret_utf8)
{
	bool able = ext & SMTP_EXT_SMTPUTF8, sender_utf8 = !ascii_only(s->job.sender);
	struct smtp_reply no;

	*ret_utf8 = sender_utf8;
	s->n = 0;
	for (size_t i = 0; i < s->job.n; i++) {
		const struct transmit_recipient *r = &s->job.recipients[i];
		bool utf8 = !ascii_only(r->address);

		if (s->result.rows[i].outcome)
			continue;
		if (!able && (utf8 || sender_utf8)) {
			out_reply(&no, SMTP_AT_RCPT, 550, 6, 7,
				"the next mail server cannot take addresses in UTF-8");
			set_row(&s->result.rows[i], TRANSMIT_REFUSED, &no);
			s->result.rows[i].text = S("the next mail server cannot take addresses in UTF-8");
			continue;
		}
		*ret_utf8 |= utf8;
		s->places[s->n] = i;
		s->rcpts[s->n++] = (struct smtp_client_rcpt){
			.address = r->address, .original = r->original, .notify = r->notify};
	}
}

/* Head fields are ours and ASCII, but for an address in one. */
static slice plain_head(struct out_sending *s)
{
	slice head = arena_copy(s->arena, s->job.head);
	char *p = (char *)(uintptr_t)head.p;

	for (size_t i = 0; p && i < head.n; i++)
		if ((unsigned char)p[i] > 126)
			p[i] = '?';
	return head;
}

/*
 * What of the content this server can take. 8-bit header fields of a message that did not come as SMTPUTF8
 * are an old habit; they go as 8-bit content does. -1: *ret is the reason.
 */
static int fit(struct out_sending *s, uint32_t ext, struct smtp_client_message *m, struct smtp_reply *ret)
{
	const uint32_t binary = SMTP_EXT_BINARYMIME | SMTP_EXT_CHUNKING;
	struct out_content *c = &s->content;
	bool needs_utf8 = c->header_utf8 && (s->job.flags & QUEUE_SMTPUTF8);
	bool eight = c->eight_bit || c->header_utf8;
	err e = {0};

	m->head = s->job.head;
	m->content = c->body;
	m->body = c->binary ? SMTP_BODY_BINARYMIME : eight ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT;
	m->smtputf8 |= needs_utf8;
	if ((!c->binary || (ext & binary) == binary) && (!eight || ext & SMTP_EXT_8BITMIME) &&
		(!needs_utf8 || ext & SMTP_EXT_SMTPUTF8) && (ext & SMTP_EXT_SMTPUTF8 || ascii_only(m->head)))
		return 0;
	if (out_content_convert(s->o, c, &e) < 0) {
		bool never = e.kind == ERR_LIMIT;

		out_reply(ret, SMTP_AT_DATA, never ? 554 : 0, 6, 5,
			"the message cannot be converted for this server: %s", e.text);
		return -1;
	}
	m->head = plain_head(s);
	m->content = buf_slice(&c->seven);
	m->body = SMTP_BODY_7BIT;
	m->smtputf8 = m->smtputf8 && !needs_utf8;
	return 0;
}

/* Nothing was said of any recipient: another server, or a new connection, may do. */
static bool is_unsaid(const struct out_sending *s)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct smtp_reply *r = &s->rcpts[i].reply;

		if (r->unknown || (r->code != 0 && (r->code != 421 || r->stage > SMTP_AT_RCPT)))
			return false;
	}
	return true;
}

/*
 * What the sender made a condition and this server cannot promise; another of the domain's may (RFC 8689
 * 4.2.1 tries them in turn). BY=;R is not relayed to who knows no DELIVERBY (RFC 2852 4.1.4.1).
 */
static bool lacks(const struct transmit_job *j, uint32_t ext, struct smtp_reply *ret)
{
	if (j->flags & QUEUE_TLS_ONLY && !(ext & SMTP_EXT_REQUIRETLS))
		out_reply(ret, SMTP_AT_MAIL, 550, 7, 30,
			"the message may only go over TLS all the way (REQUIRETLS), which the next mail "
			"server does not promise");
	else if (j->has_by && j->by_mode == 'R' && !(ext & SMTP_EXT_DELIVERBY))
		out_reply(ret, SMTP_AT_MAIL, 550, 3, 3,
			"the message must come back when it is late (BY=R), which the next mail server does "
			"not promise");
	else
		return false;
	return true;
}

static void note_peer(struct out_sending *s, struct out_conn *c)
{
	const char *tls = smtp_client_tls_info(c->client, &s->result.verified);

	memcpy(s->host, c->peer, sizeof s->host);
	memcpy(s->ip, c->ip, sizeof s->ip);
	s->tls[0] = 0;
	strncat(s->tls, tls ? tls : "", sizeof s->tls - 1);
	s->result.port = c->port;
	s->talked = true;
}

enum out_sent out_send(struct out_sending *s, struct out_conn *c)
{
	const struct transmit_job *j = &s->job;
	uint32_t ext = smtp_client_extensions(c->client);
	bool utf8;
	struct smtp_reply no;

	note_peer(s, c);
	if (lacks(j, ext, &s->useless))
		return OUT_SENT_NEXT;
	pick(s, ext, &utf8);
	struct smtp_client_message m = {.sender = j->sender,
		.envelope_id = j->envelope_id,
		.ret = (enum smtp_ret)j->ret,
		.smtputf8 = utf8,
		.require_tls = j->flags & QUEUE_TLS_ONLY,
		.has_by = j->has_by,
		.by_seconds = j->by_seconds,
		.by_mode = j->by_mode,
		.by_trace = j->by_trace,
		.priority = j->priority,
		.rcpts = s->rcpts,
		.n = s->n};
	if (s->n == 0)
		return OUT_SENT_DONE;
	if (fit(s, ext, &m, &no) < 0) {
		out_outcome_all(s, outcome_of(&no), &no);
		return OUT_SENT_DONE;
	}
	m.size = m.head.n + m.content.n;
	s->work.amid = true;
	int rc = smtp_client_send(c->client, &m);
	s->work.amid = false;
	if (is_unsaid(s)) {
		s->useless = s->rcpts[0].reply;
		return c->reused && !fiber_canceled() ? OUT_SENT_STALE : OUT_SENT_NEXT;
	}
	(void)rc; /* the pool looks for itself whether the connection is of use */
	for (size_t i = 0; i < s->n; i++) {
		struct transmit_outcome_row *row = &s->result.rows[s->places[i]];
		const struct smtp_reply *r = &s->rcpts[i].reply;

		set_row(row, outcome_of(r), r);
		row->text = slice_of(r->text);
		row->dsn_passed = row->outcome == TRANSMIT_SENT && (ext & SMTP_EXT_DSN);
	}
	return OUT_SENT_DONE;
}

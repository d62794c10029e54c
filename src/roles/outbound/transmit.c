/* A message of the backend: the ways it may go, one server after the other, and the answer. */
#include "base/encode.h"
#include "base/hash.h"
#include "base/log.h"
#include "mail/address.h"
#include "queue/route.h"
#include "queue/row.h"
#include "roles/outbound/outbound.h"
#include <stdlib.h>

#define ARENA     (4u << 20) /* DNS answers, addresses, texts of one message */
#define WORK_MS   3600000    /* RFC 5321 4.5.3.2 allows a slow server some 40 minutes */
#define SLOW_BYTE 1          /* and a message a millisecond a byte, 1 KB/s */

enum tried { TRIED_DONE, TRIED_NEXT };

/* ---- what becomes of it ---- */

static void busy(struct out_sending *s, const char *why)
{
	struct smtp_reply r;

	out_reply(&r, SMTP_AT_CONNECT, 0, 0, 0, "%s", why);
	out_outcome_all(s, TRANSMIT_RETRY, &r);
	s->result.reach = TRANSMIT_BUSY;
}

/* RFC 8689 5: a server that cannot do what REQUIRETLS asks is no server for this message. */
static bool is_tls_lack(const struct out_sending *s, enum out_reached r, const struct smtp_reply *reply)
{
	return (s->job.flags & QUEUE_TLS_ONLY) && reply->code / 100 != 4 &&
	       (r == OUT_TLS_FAILED || (r == OUT_REFUSED && reply->stage == SMTP_AT_STARTTLS));
}

/* Keeps why a server was of no use; a reason that may pass counts more than one that lasts. */
static void note(struct out_sending *s, enum out_reached r, struct smtp_reply *reply)
{
	bool lack = is_tls_lack(s, r, reply);
	/* a log-in that is refused and TLS that fails are for the owner to mend: the mail waits for it */
	bool soft = !lack && (r == OUT_AUTH_FAILED || r == OUT_TLS_FAILED || reply->code / 100 != 5);

	if (r == OUT_OPEN || (r != OUT_NOT_REACHED && (reply->code || reply->stage > SMTP_AT_BANNER)))
		s->talked = true;
	if (s->soft && !soft)
		return;
	if (lack) {
		reply->code = 550;
		memcpy(reply->status, (uint8_t[3]){5, 7, 30}, 3);
	}
	s->soft |= soft;
	s->reply = *reply;
}

static void note_host(struct out_sending *s, slice name, uint16_t port, const char *ip)
{
	memset(s->host, 0, sizeof s->host);
	memcpy(s->host, name.p, name.n < sizeof s->host ? name.n : sizeof s->host - 1);
	memcpy(s->ip, ip, sizeof s->ip);
	s->tls[0] = 0;
	s->result.port = port;
	s->result.verified = false;
}

/* ---- one server ---- */

static bool may_go_on(const struct out_sending *s)
{
	return s->tries > 0 && loop_now() - s->began < OUT_TRY_MS && !fiber_canceled();
}

/* Address after address, with a place that is given back. */
static enum tried knock(struct out_sending *s, struct out_want *want, struct out_server *server)
{
	struct smtp_reply *reply = arena_new_1(s->arena, struct smtp_reply);
	bool answered = false;

	while (reply && want->n > 0 && may_go_on(s)) {
		struct out_want now = *want;
		struct out_conn *c;
		size_t used = 0;
		char ip[46];

		now.n = now.n < s->tries ? now.n : s->tries;
		enum out_reached r = out_connect(s->o, &now, server, &c, &used, reply, ip);
		want->v += used;
		want->n -= used;
		s->tries -= used;
		answered |= r != OUT_NOT_REACHED;
		note_host(s, want->name, want->port, ip);
		if (r == OUT_OURSELVES) {
			s->talked = true;
			out_outcome_all(s, TRANSMIT_REFUSED, reply);
			out_pool_leave(s->o->pool, server);
			return TRIED_DONE;
		}
		if (r != OUT_OPEN) {
			note(s, r, reply);
			if (r == OUT_AUTH_FAILED)
				break;
			continue;
		}
		if (out_send(s, c) == OUT_SENT_DONE) {
			out_pool_give(s->o->pool, c);
			return TRIED_DONE;
		}
		note(s, OUT_OPEN, &s->useless);
		server = out_pool_renew(c);
	}
	if (!answered && want->n == 0 && !fiber_canceled())
		out_server_down(server, loop_now() + OUT_DOWN_MS);
	out_pool_leave(s->o->pool, server);
	return TRIED_NEXT;
}

static bool get_secret(struct out_sending *s, const struct out_way *way, struct out_want *want, char *room)
{
	const struct transmit_route *r = &s->job.route;
	struct smtp_reply no;
	err e;

	if (!way->relay || r->user.n == 0)
		return true;
	if (out_secret(s->o, r->id, room, &want->secret.n, &e) < 0) {
		out_reply(&no, SMTP_AT_CONNECT, 0, 0, 0, "the password of the smart host is not at hand: %s",
			e.text);
		note(s, OUT_NOT_REACHED, &no);
		return false;
	}
	want->secret.p = room;
	want->user = r->user;
	want->mechanism = r->mechanism;
	want->clear_ok = r->flags & ROUTE_CLEAR_OK;
	return true;
}

static enum tried connect_and_send(
	struct out_sending *s, const struct out_way *way, slice host, struct out_server *server)
{
	struct out_want want = {.name = host, .port = way->port, .kind = way->kind};
	struct smtp_reply no;
	AUTO_FREE char *secret = way->relay ? malloc(LIMIT_SECRET) : NULL;

	want.v = out_way_addresses(s->o, way, host, s->arena, &want.n, &no);
	if (!want.v)
		note(s, OUT_NOT_REACHED, &no);
	if (!want.v || (way->relay && !secret) || !get_secret(s, way, &want, secret)) {
		out_pool_leave(s->o->pool, server);
		return TRIED_NEXT;
	}
	s->result.reach = TRANSMIT_UNREACHABLE; /* until somebody talks */
	enum tried t = knock(s, &want, server);
	if (secret)
		explicit_bzero(secret, LIMIT_SECRET);
	return t;
}

static enum tried try_host(struct out_sending *s, const struct out_way *way, slice host)
{
	struct out_server *server = NULL;
	struct out_conn *c = NULL;
	enum out_got got = out_pool_take(s->o->pool, host, way->port, &way->kind,
		s->o->role->settings->queue_host_concurrency, loop_now() + OUT_WAIT_MS, &server, &c);

	if (got == OUT_BUSY || got == OUT_CANCELED) {
		note_host(s, host, way->port, (char[46]){0});
		busy(s, got == OUT_BUSY ? "all connections to the server are in use" : "given up");
		return TRIED_DONE;
	}
	if (got == OUT_CONNECTION) {
		enum out_sent sent = out_send(s, c);

		if (sent == OUT_SENT_DONE) {
			out_pool_give(s->o->pool, c);
			return TRIED_DONE;
		}
		server = out_pool_renew(c);
		if (sent == OUT_SENT_NEXT) { /* cancelled, or it is not for this message */
			note(s, OUT_OPEN, &s->useless);
			out_pool_leave(s->o->pool, server);
			return TRIED_NEXT;
		}
		s->talked = false;
	}
	return connect_and_send(s, way, host, server);
}

/* ---- the ways ---- */

static enum tried go(struct out_sending *s, const struct out_way *way)
{
	bool down[LIMIT_MX_HOSTS] = {0};

	s->result.relayed = way->relay;
	s->tries = OUT_TRIES;
	s->soft = false;
	for (size_t i = 0; i < way->n; i++)
		down[i] = way->n > 1 && out_pool_is_down(s->o->pool, way->hosts[i].name, way->port);
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < way->n; i++)
			if (down[i] == (round == 1) && may_go_on(s) &&
				try_host(s, way, way->hosts[i].name) == TRIED_DONE)
				return TRIED_DONE;
	return TRIED_NEXT;
}

/* A whole net that cannot reach port 25 has failures with every domain; one dead domain has them alone. */
static void note_direct(struct out_sending *s)
{
	struct outbound *o = s->o;
	uint64_t domain = hash_seeded(s->job.domain);

	if (s->talked) {
		o->direct_missed = 0;
		o->direct_closed_until = 0;
		return;
	}
	if (s->result.reach != TRANSMIT_UNREACHABLE || fiber_canceled())
		return;
	o->direct_missed += o->direct_missed == 0 || o->direct_last != domain;
	o->direct_last = domain;
	if (o->direct_missed < OUT_CLOSED_AFTER)
		return;
	if (o->direct_closed_until < loop_now())
		log_event(LOG_WARN, "direct_unreachable", F_U64("domains", o->direct_missed),
			F_STR("why", "no server can be reached; where a route says so, mail takes the smart "
				     "host for the next 10 minutes"));
	o->direct_closed_until = loop_now() + OUT_CLOSED_MS;
}

static enum tried go_direct(struct out_sending *s)
{
	struct out_way way;
	struct smtp_reply no;

	if (!out_way_direct(s->o, &s->job, s->arena, &way, &no)) {
		note(s, OUT_NOT_REACHED, &no);
		s->talked = false;
		return TRIED_NEXT;
	}
	enum tried t = go(s, &way);
	note_direct(s);
	return t;
}

static enum tried go_relay(struct out_sending *s)
{
	struct out_way way;
	struct smtp_reply no;

	if (out_way_relay(&s->job, s->arena, &way, &no))
		return go(s, &way);
	note(s, OUT_NOT_REACHED, &no);
	return TRIED_NEXT;
}

static void run(struct out_sending *s)
{
	const struct transmit_route *r = &s->job.route;
	bool relay = r->host.n > 0, direct = !relay || (r->flags & ROUTE_FALLBACK);
	enum tried t = TRIED_NEXT;

	s->result.reach = TRANSMIT_NO_TRY;
	if (relay && s->o->direct_closed_until > loop_now())
		direct = false;
	if (direct)
		t = go_direct(s);
	/* the smart host helps where servers cannot be reached, not where the DNS says there is none */
	if (relay && t == TRIED_NEXT && !s->talked && (!direct || s->result.reach == TRANSMIT_UNREACHABLE))
		t = go_relay(s);
	if (t == TRIED_NEXT && fiber_canceled() && !s->work.overdue)
		busy(s, "given up");
	if (t == TRIED_NEXT)
		out_outcome_all(s, s->reply.code / 100 == 5 && !s->soft ? TRANSMIT_REFUSED : TRANSMIT_RETRY,
			&s->reply);
	if (s->talked && s->result.reach != TRANSMIT_BUSY)
		s->result.reach = TRANSMIT_TALKED;
}

/* ---- from the question to the answer ---- */

/* Domains as A-labels: every server takes these. */
static int plain_domains(struct out_sending *s, err *e)
{
	struct transmit_job *j = &s->job;

	for (size_t i = 0; i <= j->n; i++) {
		slice *address = i < j->n ? &j->recipients[i].address : &j->sender, made;
		ptrdiff_t at = slice_rfind_c(*address, '@');
		slice domain = at < 0 ? S("") : slice_skip(*address, (size_t)at + 1);

		if (ascii_only(domain))
			continue;
		if (mail_domain_canonical(s->arena, domain, &domain, e) < 0)
			return -1;
		made = arena_fmt(s->arena, "%.*s%.*s", (int)at + 1, address->p, (int)domain.n, domain.p);
		if (!made.p)
			return err_set(e, ERR_TEMP, "no memory for an address");
		*address = made;
	}
	return 0;
}

static int begin(struct out_sending *s, const struct msg_transmit *m, err *e)
{
	if (out_content_take(m, &s->content, e) < 0)
		return -1;
	s->arena = arena_new(ARENA);
	if (!s->arena)
		return err_set(e, ERR_TEMP, "no memory for a message");
	if (transmit_job_decode(m->job, s->arena, &s->job, e) < 0 || plain_domains(s, e) < 0)
		return -1;
	if (s->job.n == 0)
		return err_set(e, ERR_CORRUPT, "a message for nobody");
	s->result.n = s->job.n;
	s->result.rows = arena_new_n(s->arena, struct transmit_outcome_row, s->job.n);
	s->places = arena_new_n(s->arena, size_t, s->job.n);
	s->rcpts = calloc(s->job.n, sizeof *s->rcpts);
	if (!s->result.rows || !s->places || !s->rcpts)
		return err_set(e, ERR_TEMP, "no memory for a message");
	s->began = loop_now();
	return 0;
}

static void tell(struct out_sending *s)
{
	const struct transmit_result *r = &s->result;
	size_t counts[TRANSMIT_UNKNOWN + 1] = {0};
	slice text = S("");
	char id[27];

	base32_id(s->job.id, id);
	for (size_t i = 0; i < r->n; i++) {
		counts[r->rows[i].outcome]++;
		if (r->rows[i].outcome != TRANSMIT_SENT && text.n == 0)
			text = r->rows[i].text;
	}
	s->o->sent += counts[TRANSMIT_SENT];
	s->o->deferred += counts[TRANSMIT_RETRY] + counts[TRANSMIT_UNKNOWN];
	s->o->failed += counts[TRANSMIT_REFUSED];
	log_event(r->reach == TRANSMIT_BUSY ? LOG_DEBUG : LOG_INFO, "delivery_attempt", F_STR("queue_id", id),
		F_SLICE("domain", s->job.domain), F_STR("host", s->host), F_STR("ip", s->ip),
		F_STR("tls", s->tls), F_U64("verified", r->verified), F_U64("relayed", r->relayed),
		F_U64("sent", counts[TRANSMIT_SENT]), F_U64("deferred", counts[TRANSMIT_RETRY]),
		F_U64("refused", counts[TRANSMIT_REFUSED]), F_U64("unknown", counts[TRANSMIT_UNKNOWN]),
		F_U64("ms", loop_now() - s->began), F_SLICE("text", text));
}

/* The backend is gone and will send it again: whoever got it may get it twice. */
static void tell_lost(const struct out_sending *s)
{
	char id[27];

	base32_id(s->job.id, id);
	for (size_t i = 0; i < s->result.n; i++)
		if (s->result.rows[i].outcome == TRANSMIT_SENT ||
			s->result.rows[i].outcome == TRANSMIT_UNKNOWN)
			log_event(LOG_WARN, "result_lost", F_STR("queue_id", id),
				F_SLICE("recipient", s->job.recipients[i].address));
}

static void answer(struct channel_request *q, struct out_sending *s)
{
	struct buf out = BUF_INIT(TRANSMIT_RESULT_MAX);

	s->result.host = slice_of(s->host);
	s->result.ip = slice_of(s->ip);
	s->result.tls = slice_of(s->tls);
	tell(s);
	if (!channel_is_open(channel_request_channel(q)))
		tell_lost(s);
	transmit_result_encode(&out, &s->result);
	if (out.failed)
		channel_answer_error(q, ERR_TEMP, "no memory for a result");
	else
		msg_transmit_answer(q, &(struct msg_transmit_reply){.result = buf_slice(&out)});
	buf_free(&out);
}

static void transmit(struct channel_request *q, struct out_sending *s, const struct msg_transmit *m)
{
	err e = {0};

	if (begin(s, m, &e) < 0) {
		channel_answer_error(q, e.kind, e.text);
		return;
	}
	if (out_work_begin(s->o, &s->work, s->began + WORK_MS + SLOW_BYTE * s->content.body.n)) {
		out_content_look(&s->content, s->job.needs);
		run(s);
		out_work_end(s->o, &s->work);
	} else {
		busy(s, "the server is being shut down");
	}
	answer(q, s);
}

void out_on_transmit(struct channel_request *q, void *arg)
{
	struct msg_transmit m;

	if (!msg_transmit_take(q, &m))
		return;
	struct out_sending *s = calloc(1, sizeof *s);

	if (!s) {
		channel_fd_drop(&m.body_file);
		channel_answer_error(q, ERR_TEMP, "no memory for a message");
		return;
	}
	s->o = ((struct role_run *)arg)->state;
	transmit(q, s, &m);
	out_content_end(s->o, &s->content);
	arena_free(s->arena);
	free(s->rcpts);
	free(s);
}

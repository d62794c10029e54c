#include "base/clock.h"
#include "base/encode.h"
#include "base/hash.h"
#include "base/log.h"
#include "dns/dns.h"
#include "limits.h"
#include "mail/submit.h"
#include "queue/row.h"
#include "roles/common/envelope.h"
#include "roles/frontend/frontend.h"
#include "smtp/received.h"
#include <errno.h>
#include <unistd.h>

#define ASK_MS     30000
#define DELIVER_MS 120000 /* a group may wait for a slow disk */
#define NAME_MS    1500   /* the client's name is nice to have; nobody waits long for it */
#define RETURN_MS  30000  /* how long a dead backend may take to come back before we answer 451 */

struct front_session { /* ctx of the ops */
	struct conn *c;
	struct front_content content;
	struct mail_submit submit; /* of the message under way, on a submission port */
	uint8_t handle[16];        /* of the submitter; has_handle */
	bool has_handle;
	uint8_t queue_id[16]; /* of the message under way */
	bool has_id;
	char user[LIMIT_SMTP_USER + 1], name[256];
	struct front_login who;
	struct front_scram scram;
	struct smtp_session smtp;
};

static struct channel *backend(const struct front_session *s)
{
	return role_peer(s->c->f->role, ROLE_BACKEND);
}

static slice handle_of(const struct front_session *s)
{
	return s->has_handle ? slice_make(s->handle, sizeof s->handle) : (slice){"", 0};
}

static int on_starttls(void *ctx, struct stream *io, err *e)
{
	struct front_session *s = ctx;

	return front_start_tls(s->c, io, e);
}

/* The backend redeems the ticket once and gives a handle that stands for the account until the session ends.
 */
static int redeem(struct front_session *s, const struct front_login *who, err *e)
{
	struct msg_submitter m = {
		.protocol = (uint8_t)s->c->port->protocol, .ticket = slice_make(who->ticket, 16)};
	struct msg_submitter_reply reply;
	struct channel_answer hold;

	if (ask_submitter(backend(s), &m, &reply, &hold, loop_now() + ASK_MS, e) < 0)
		return -1;
	s->has_handle = reply.handle.n == sizeof s->handle;
	if (s->has_handle)
		memcpy(s->handle, reply.handle.p, sizeof s->handle);
	channel_answer_free(&hold);
	return s->has_handle ? 0 : err_set(e, ERR_TEMP, "no handle");
}

/* The log-in has been good; the backend must know it, too. */
static enum smtp_login_verdict enter(
	struct front_session *s, const struct front_login *who, slice user, err *e)
{
	if (redeem(s, who, e) < 0) {
		log_event(LOG_WARN, "login_unfinished", F_STR("address", s->c->address), F_ERR(e));
		e->text[0] = 0;
		return SMTP_LOGIN_TEMP;
	}
	memcpy(s->user, user.p, user.n);
	s->user[user.n] = 0;
	return SMTP_LOGIN_OK;
}

static enum smtp_login_verdict on_scram_login(void *ctx, err *e)
{
	struct front_session *s = ctx;

	return enter(s, &s->who, slice_make(s->scram.name, s->scram.name_n), e);
}

static enum smtp_login_verdict on_login(void *ctx, const struct smtp_login *login, err *e)
{
	struct front_session *s = ctx;
	char text[201];

	enum front_verdict v = front_login(s->c, login->user, login->secret, login->authzid, &s->who, text);
	if (v == FRONT_OK)
		return enter(s, &s->who, login->user, e);
	if (text[0])
		err_set_at(e, ERR_DENIED, 0, ERR_WHERE, "%s", text);
	return v == FRONT_BAD ? SMTP_LOGIN_BAD : SMTP_LOGIN_TEMP;
}

static enum smtp_verdict on_sender(void *ctx, const struct smtp_envelope *env, err *e)
{
	struct front_session *s = ctx;
	struct msg_sender_check m = {
		.handle = handle_of(s), .local = env->sender_local, .domain = env->sender.domain};
	struct msg_sender_check_reply reply;
	struct channel_answer hold;

	s->has_id = false;
	if (!s->has_handle || env->sender.kind != MAIL_PATH_IS_MAILBOX)
		return SMTP_OK;
	if (ask_sender_check(backend(s), &m, &reply, &hold, loop_now() + ASK_MS, e) < 0) {
		e->text[0] = 0;
		return SMTP_TEMP;
	}
	channel_answer_free(&hold);
	if (reply.allowed)
		return SMTP_OK;
	err_set_at(e, ERR_DENIED, 0, ERR_WHERE,
		"%.64s may not send as that address: it belongs neither to this account nor to an alias of "
		"it",
		s->user);
	return SMTP_SENDER;
}

static enum smtp_verdict on_recipient(
	void *ctx, const struct smtp_envelope *env, const struct smtp_recipient *r, err *e)
{
	struct front_session *s = ctx;
	struct msg_recipient m = {
		.handle = handle_of(s), .local = r->local, .domain = r->path.domain, .size = env->size};
	struct msg_recipient_reply reply;
	struct channel_answer hold;

	if (ask_recipient(backend(s), &m, &reply, &hold, loop_now() + ASK_MS, e) < 0) {
		e->text[0] = 0;
		return SMTP_TEMP;
	}
	if (!s->has_id && reply.queue_id.n == sizeof s->queue_id) {
		memcpy(s->queue_id, reply.queue_id.p, sizeof s->queue_id);
		s->has_id = true;
	}
	enum smtp_verdict v = reply.verdict < SMTP_VERDICT_COUNT && reply.verdict > 0
				      ? (enum smtp_verdict)reply.verdict
				      : SMTP_TEMP;
	channel_answer_free(&hold);
	return v;
}

static slice id_text(const struct front_session *s, char text[27])
{
	base32_id(s->queue_id, text);
	return slice_make(text, 26);
}

/* Clients hand in what is to be finished here (RFC 6409 8); what servers and local programs send stays as it
 * is. */
static bool is_submission(const struct front_session *s)
{
	return s->c->port->protocol == PROTOCOL_SUBMISSION || s->c->port->protocol == PROTOCOL_SUBMISSIONS;
}

/* The right side of a Message-ID made here: our name when it is one that nobody else has. */
static slice id_domain(const struct front_session *s, const struct smtp_envelope *env)
{
	slice host = s->c->host->name, domain = env->sender.domain;

	return slice_find_c(host, '.') >= 0 || domain.n == 0 || !ascii_only(domain) ? host : domain;
}

/*
 * Return-Path (RFC 5321 4.4) and our Received field stand in front of what the client sends. What goes on to
 * other servers loses the first again on its way out.
 */
static int on_begin(void *ctx, const struct smtp_envelope *env, err *e)
{
	struct front_session *s = ctx;
	struct smtp_envelope shown = *env;
	struct buf head = BUF_INIT(8192);
	struct mail_date now = {clock_wall_s(), 0};
	char id[27];

	if (!s->has_id)
		return err_set(e, ERR_TEMP, "no id for the message");
	if (front_content_begin(s->c->f, &s->content, env->size, e) < 0)
		return -1;
	if (is_submission(s)) {
		mail_submit_begin(&s->submit, id_text(s, id), id_domain(s, env), now);
		shown.trace.hidden =
			env->trace.authenticated && s->c->f->role->settings->submission_hide_client;
	}
	buf_addz(&head, "Return-Path: <");
	if (env->sender.kind == MAIL_PATH_IS_MAILBOX)
		mail_path_write(&head, &env->sender);
	buf_addz(&head, ">\r\n");
	smtp_received_format(&head, &shown, id_text(s, id), now);
	int rc = head.failed ? err_set(e, ERR_TEMP, "no memory")
			     : front_content_write(&s->content, buf_slice(&head), e);
	buf_free(&head);
	if (rc < 0) /* neither end nor abort is called then */
		front_content_end(&s->content);
	return rc;
}

static int on_write(void *ctx, slice bytes, err *e)
{
	struct front_session *s = ctx;

	if (!is_submission(s))
		return front_content_write(&s->content, bytes, e);
	while (bytes.n) {
		slice piece = mail_submit_next(&s->submit, &bytes);
		if (piece.n && front_content_write(&s->content, piece, e) < 0)
			return -1;
	}
	return 0;
}

static int write_rest(struct front_session *s, err *e)
{
	slice rest = is_submission(s) ? mail_submit_end(&s->submit) : (slice){0};

	return rest.n ? front_content_write(&s->content, rest, e) : 0;
}

static void on_abort(void *ctx, const struct smtp_envelope *env, const char *why)
{
	struct front_session *s = ctx;
	char id[27];

	log_event(LOG_INFO, "message_refused", F_SLICE("queue_id", id_text(s, id)),
		F_STR("address", s->c->address), F_U64("recipients", env->n), F_U64("size", s->content.size),
		F_STR("why", why));
	front_content_end(&s->content);
	s->has_id = false;
}

static void encode_envelope(
	struct buf *out, const struct front_session *s, const struct smtp_envelope *env, struct arena *a)
{
	struct buf sender = BUF_INIT(LIMIT_MAIL_PATH + 64);
	struct envelope v = {
		.id = env->id,
		.ret = (uint8_t)env->ret,
		.flags = (uint8_t)((env->body == SMTP_BODY_8BITMIME ? QUEUE_8BIT : 0) |
				   (env->body == SMTP_BODY_BINARYMIME ? QUEUE_BINARY : 0) |
				   (env->smtputf8 ? QUEUE_SMTPUTF8 : 0) |
				   (env->require_tls ? QUEUE_TLS_ONLY : 0)),
		.release_s = env->release_s,
		.has_by = env->by_mode != 0,
		.by_mode = env->by_mode,
		.by_trace = env->by_trace,
		.by_deadline_s = env->by_deadline_s,
		.priority = env->priority,
		.trace = {.ip = env->trace.address,
			.name = env->trace.name,
			.helo = env->trace.helo,
			.tls = env->trace.tls,
			.protocol = smtp_protocol_name(&env->trace),
			.user = slice_of(s->user)},
		.n = env->n,
		.recipients = arena_new_n(a, struct envelope_recipient, env->n ? env->n : 1),
	};

	if (!v.recipients) {
		out->failed = true;
		return;
	}
	if (env->sender.kind == MAIL_PATH_IS_MAILBOX)
		mail_path_write(&sender, &env->sender);
	v.sender = buf_slice(&sender);
	for (size_t i = 0; i < env->n; i++) {
		const struct smtp_recipient *r = &env->recipients[i];

		v.recipients[i] =
			(struct envelope_recipient){r->local, r->path.domain, r->original, r->notify};
	}
	envelope_encode(out, &v);
	buf_free(&sender);
}

/* A part of the question that may be too long for it travels as a sealed memory file. -1: none needed. */
static int as_file(slice bytes, size_t max, slice *ret_inline)
{
	*ret_inline = bytes.n <= max ? bytes : (slice){"", 0};
	if (bytes.n <= max)
		return -1;
	int fd = content_file_new();
	for (slice rest = bytes; fd >= 0 && rest.n > 0;) {
		ssize_t n = write(fd, rest.p, rest.n);

		if (n <= 0) {
			close(fd);
			return -2;
		}
		rest = slice_skip(rest, (size_t)n);
	}
	return fd >= 0 && content_file_seal(fd) == 0 ? fd : -2;
}

/*
 * When the backend dies under the question it may have been committed or not: the same question under the
 * same id goes to its successor, which knows.
 */
static int deliver(struct front_session *s, const struct msg_deliver *m, struct msg_deliver_reply *ret,
	struct channel_answer *hold, err *e)
{
	uint64_t until = loop_now() + DELIVER_MS;
	struct channel *asked = backend(s);

	for (;;) {
		if (ask_deliver(asked, m, ret, hold, until, e) == 0)
			return 0;
		if (e->kind != ERR_CLOSED)
			break;
		log_event(LOG_WARN, "deliver_again", F_STR("why", e->text));
		uint64_t back = loop_now() + RETURN_MS;
		asked = role_peer_wait(s->c->f->role, ROLE_BACKEND, back < until ? back : until);
		if (!asked)
			break;
	}
	if (e->kind == ERR_CLOSED || e->kind == ERR_TIMEOUT || e->kind == ERR_CANCELED) {
		e->kind = ERR_TEMP;
		e->text[0] = 0;
	}
	return -1;
}

static void log_message(
	const struct front_session *s, const struct smtp_envelope *env, const char *id, size_t taken)
{
	struct buf from = BUF_INIT(600), to = BUF_INIT(600);

	if (env->sender.kind == MAIL_PATH_IS_MAILBOX)
		mail_path_write(&from, &env->sender);
	for (size_t i = 0; i < env->n && to.n < 400; i++) {
		if (i)
			buf_add_c(&to, ',');
		mail_path_write(&to, &env->recipients[i].path);
	}
	log_event(LOG_INFO, "message_received", F_STR("queue_id", id), F_SLICE("from", buf_slice(&from)),
		F_SLICE("to", buf_slice(&to)), F_U64("recipients", env->n), F_U64("taken", taken),
		F_U64("size", s->content.size), F_STR("address", s->c->address),
		F_SLICE("helo", env->trace.helo), F_SLICE("protocol", smtp_protocol_name(&env->trace)),
		F_SLICE("tls", env->trace.tls), F_STR("user", s->user));
	buf_free(&from);
	buf_free(&to);
}

static int take_results(struct smtp_envelope *env, slice results, size_t *ret_taken, err *e)
{
	if (results.n != env->n)
		return err_set(e, ERR_TEMP, "an answer of a wrong length");
	for (size_t i = 0; i < env->n; i++) {
		uint8_t v = (uint8_t)results.p[i];

		env->recipients[i].result = v > 0 && v < SMTP_VERDICT_COUNT ? v : SMTP_TEMP;
		*ret_taken += v == SMTP_OK;
	}
	return 0;
}

static int send_message(
	struct front_session *s, struct smtp_envelope *env, slice summary, slice envelope, err *e)
{
	struct front_content *c = &s->content;
	struct msg_deliver m = {
		.batch = slice_make(s->queue_id, sizeof s->queue_id),
		.handle = handle_of(s),
		.envelope_size = (uint32_t)envelope.n,
		.summary_size = (uint32_t)summary.n,
		.body_size = c->size,
		.each = s->c->port->protocol == PROTOCOL_LMTP,
		.place = c->spooled     ? 2
			 : c->file >= 0 ? 1
					: 0,
		.body = c->file >= 0 ? (slice){"", 0} : buf_slice(&c->memory),
		.body_file = c->file,
	};
	struct msg_deliver_reply reply = {0};
	struct channel_answer hold = {0};
	size_t taken = 0;

	m.envelope_file = as_file(envelope, 14336, &m.envelope);
	m.summary_file = as_file(summary, 14336, &m.summary);
	int rc = m.envelope_file == -2 || m.summary_file == -2 ? err_set(e, ERR_TEMP, "no memory for a file")
							       : deliver(s, &m, &reply, &hold, e);
	if (rc == 0)
		rc = take_results(env, reply.results, &taken, e);
	if (rc == 0) {
		char id[27];

		id_text(s, id);
		log_message(s, env, id, taken);
		s->c->f->messages++;
	}
	channel_answer_free(&hold);
	if (m.envelope_file >= 0)
		close(m.envelope_file);
	if (m.summary_file >= 0)
		close(m.summary_file);
	return rc;
}

static int on_end(void *ctx, struct smtp_envelope *env, struct smtp_receipt *ret, err *e)
{
	struct front_session *s = ctx;
	struct buf summary = BUF_INIT(LIMIT_SUMMARY_TRANSFER), envelope = BUF_INIT(16777216);
	struct arena *a = arena_new(LIMIT_ENVELOPE_RECIPIENTS * sizeof(struct envelope_recipient) + 4096);
	int rc = -1;

	if (!a)
		err_set(e, ERR_TEMP, "no memory");
	else if (write_rest(s, e) < 0)
		rc = -1;
	else if (s->content.file >= 0 && !s->content.spooled && content_file_seal(s->content.file) < 0)
		err_sys(e, ERR_TEMP, "memory file");
	else if (mail_summary_finish(s->content.builder, &summary, e) == 0)
		rc = 0;
	if (rc == 0)
		encode_envelope(&envelope, s, env, a);
	if (rc == 0 && (envelope.failed || summary.failed))
		rc = err_set(e, ERR_TEMP, "no memory");
	if (rc == 0)
		rc = send_message(s, env, buf_slice(&summary), buf_slice(&envelope), e);
	if (rc == 0)
		id_text(s, ret->queue_id);
	else
		log_event(LOG_WARN, "message_failed", F_STR("address", s->c->address), F_ERR(e));
	if (rc < 0 && e->kind != ERR_DENIED)
		e->text[0] = 0; /* what went wrong inside is not the client's business */
	front_content_end(&s->content);
	arena_free(a);
	buf_free(&summary);
	buf_free(&envelope);
	s->has_id = false;
	return rc;
}

static bool on_draining(void *ctx)
{
	return ((struct front_session *)ctx)->c->f->role->draining;
}

static const struct smtp_server_ops ops = {
	.starttls = on_starttls,
	.login = on_login,
	.scram_login = on_scram_login,
	.sender = on_sender,
	.recipient = on_recipient,
	.message_begin = on_begin,
	.message_write = on_write,
	.message_end = on_end,
	.message_abort = on_abort,
	.draining = on_draining,
};

void front_smtp_config(const struct frontend *f, struct front_port *p)
{
	static const enum smtp_kind kinds[PROTOCOL_COUNT] = {
		[PROTOCOL_SMTP] = SMTP_MX,
		[PROTOCOL_SUBMISSION] = SMTP_SUBMISSION,
		[PROTOCOL_SUBMISSIONS] = SMTP_SUBMISSIONS,
		[PROTOCOL_LMTP] = SMTP_LMTP,
	};
	const struct settings *c = f->role->settings;

	p->smtp = smtp_config_default(kinds[p->protocol], f->host->name);
	p->smtp.max_message = c->limit_message;
	p->smtp.max_recipients = (uint32_t)c->limit_recipients;
	p->smtp.max_errors = (uint32_t)c->limit_errors;
	p->smtp.max_hops = (uint32_t)c->limit_hops;
	p->smtp.future_s = (uint32_t)(c->queue_future / 1000);
	p->smtp.timeout_ms = c->timeout_smtp;
}

static void end_submitter(struct front_session *s)
{
	struct msg_submitter_end m = {.handle = handle_of(s)};
	struct msg_submitter_end_reply reply;
	struct channel_answer hold;

	if (s->has_handle && !fiber_canceled() &&
		ask_submitter_end(backend(s), &m, &reply, &hold, loop_now() + ASK_MS, NULL) == 0)
		channel_answer_free(&hold);
}

void front_smtp(struct conn *c)
{
	struct front_session *s = calloc(1, sizeof *s);
	struct smtp_config config = c->port->smtp;

	if (!s)
		return;
	config.host = c->host->name;
	config.auth_plain = c->loopback && c->f->role->settings->auth_loopback_cleartext;
	s->c = c;
	s->content.file = -1;
	s->smtp = (struct smtp_session){
		.config = &config, .ops = &ops, .ctx = s, .io = c->io, .address = slice_of(c->address)};
	if (!c->loopback && c->address[0] && c->port->protocol == PROTOCOL_SMTP &&
		dns_client_name(
			role_peer(c->f->role, ROLE_RESOLVER), c->address, loop_now() + NAME_MS, s->name))
		s->smtp.name = slice_of(s->name);
	s->scram = (struct front_scram){.c = c, .who = &s->who};
	s->smtp.scram = &front_scram_ops;
	s->smtp.scram_ctx = &s->scram;
	c->smtp = &s->smtp;
	enum smtp_end end = smtp_session_run(&s->smtp);
	c->smtp = NULL;
	if (end != SMTP_END_QUIT || s->smtp.messages == 0)
		log_event(LOG_DEBUG, "smtp_end", F_STR("address", c->address), F_U64("end", end),
			F_U64("messages", s->smtp.messages), F_U64("errors", s->smtp.errors));
	front_content_end(&s->content);
	end_submitter(s);
	free(s);
}

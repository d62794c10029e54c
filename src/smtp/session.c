#include "smtp/session.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "limits.h"
#include "smtp/parse.h"
#include "smtp/session_int.h"
#include <assert.h>
#include <errno.h>

struct smtp_config smtp_config_default(enum smtp_kind kind, slice host)
{
	bool submission = kind == SMTP_SUBMISSION || kind == SMTP_SUBMISSIONS;

	return (struct smtp_config){
		.kind = kind,
		.host = host,
		.max_message = 50000000,
		.max_recipients = LIMIT_RECIPIENTS,
		.max_hops = 100, /* RFC 5321 6.3 */
		.max_errors = 20,
		.timeout_ms = 300000, /* RFC 5321 4.5.3.2.7 */
		.starttls = kind == SMTP_MX || kind == SMTP_SUBMISSION,
		.auth = submission,
		.auth_required = submission,
		.bare_lines = kind != SMTP_MX,
	};
}

/* ---- ends and resets ---- */

/* The last word was said already. */
static void close_with(struct smtp_session *s, enum smtp_end end)
{
	if (!s->done)
		s->end = (uint8_t)end;
	s->done = true;
}

void smtp_session_end(struct smtp_session *s, enum smtp_end end)
{
	if (s->done)
		return;
	if (end == SMTP_END_ERRORS)
		smtp_reply(s, 421, "4.7.0", "Too many errors; goodbye");
	else if (end == SMTP_END_TIMEOUT)
		smtp_reply(s, 421, "4.4.2", "Nothing heard for too long; goodbye");
	else if (end == SMTP_END_DRAIN)
		smtp_reply(s, 421, "4.3.2", "%" SLICE_FMT " is going down; try again later",
			SLICE_ARG(s->config->host));
	close_with(s, end);
}

void smtp_session_lost(struct smtp_session *s, ssize_t rc)
{
	smtp_session_end(s, rc == -ETIMEDOUT   ? SMTP_END_TIMEOUT
			    : rc == -ECANCELED ? SMTP_END_DRAIN
					       : SMTP_END_GONE);
}

void smtp_transaction_reset(struct smtp_session *s)
{
	smtp_intake_abort(s, "the message was given up by the client");
	s->envelope = (struct smtp_envelope){0};
	s->intake = (struct smtp_intake){0};
	s->recipients_cap = 0;
	s->rcpt_failed = false;
	arena_reset(s->arena);
	if (s->stage > SMTP_STAGE_READY && s->stage != SMTP_STAGE_SHUT)
		s->stage = SMTP_STAGE_READY;
}

bool smtp_session_idle(const struct smtp_session *s)
{
	return !s->busy && (s->stage & (SMTP_STAGE_START | SMTP_STAGE_READY | SMTP_STAGE_SHUT));
}

const char *smtp_text(const err *e, const char *standard)
{
	bool for_people = e->kind == ERR_DENIED || e->kind == ERR_LIMIT || e->kind == ERR_QUOTA ||
			  e->kind == ERR_SYNTAX;

	return for_people && e->text[0] ? e->text : standard;
}

/* ---- greetings ---- */

static bool is_lmtp(const struct smtp_session *s)
{
	return s->config->kind == SMTP_LMTP;
}

static bool has_tls(const struct smtp_session *s)
{
	return stream_is_tls(s->io);
}

static void greet(struct smtp_session *s)
{
	err e = {0};

	if (s->ops->welcome && s->ops->welcome(s->ctx, &e) < 0) {
		if (e.kind != ERR_DENIED) {
			smtp_reply(s, 421, "4.7.0", "%s", e.text[0] ? e.text : "Not now; try again later");
			smtp_session_end(s, SMTP_END_REFUSED);
			return;
		}
		s->stage = SMTP_STAGE_SHUT; /* RFC 5321 3.1: the client says QUIT */
		smtp_reply(s, 554, "5.7.1", "%s", e.text[0] ? e.text : "No service for you here");
		return;
	}
	smtp_reply(s, 220, NULL, "%" SLICE_FMT " %s Posthouse; %s begins, HELP explains",
		SLICE_ARG(s->config->host), is_lmtp(s) ? "LMTP" : "ESMTP", is_lmtp(s) ? "LHLO" : "EHLO");
}

static bool hello_keep(struct smtp_session *s, slice name)
{
	static_assert(sizeof s->helo > LIMIT_MAIL_DOMAIN, "the name fits");
	if (!smtp_helo_valid(name)) {
		smtp_wrong(s, 501, "5.5.4", "Expected the name of your host, such as %s client.example.com",
			is_lmtp(s) ? "LHLO" : "EHLO");
		return false;
	}
	smtp_transaction_reset(s);
	memcpy(s->helo, name.p, name.n);
	s->helo_n = (uint8_t)name.n;
	s->stage = SMTP_STAGE_READY;
	return true;
}

static void cmd_helo(struct smtp_session *s, slice args)
{
	if (!hello_keep(s, args))
		return;
	s->extended = false;
	smtp_reply(s, 250, NULL, "%" SLICE_FMT " greets %" SLICE_FMT, SLICE_ARG(s->config->host),
		SLICE_ARG(args));
}

static void cmd_ehlo(struct smtp_session *s, slice args)
{
	const struct smtp_config *c = s->config;
	struct buf text = BUF_INIT(1000);

	if (!hello_keep(s, args))
		return;
	s->extended = true;
	buf_addf(&text, "%" SLICE_FMT " greets %" SLICE_FMT "\nPIPELINING\nSIZE %llu\n8BITMIME\nSMTPUTF8\n",
		SLICE_ARG(c->host), SLICE_ARG(args), (unsigned long long)c->max_message);
	buf_addz(&text, "ENHANCEDSTATUSCODES\nCHUNKING\nBINARYMIME\nDSN\n");
	smtp_extensions_write(s, &text);
	if (c->starttls && !has_tls(s))
		buf_addz(&text, "STARTTLS\n");
	if (c->auth && !s->authenticated && (has_tls(s) || c->auth_plain)) {
		buf_addz(&text, "AUTH ");
		smtp_auth_names(s, &text);
		buf_add_c(&text, '\n');
	}
	buf_addf(&text, "LIMITS RCPTMAX=%u", c->max_recipients);
	if (c->max_messages)
		buf_addf(&text, " MAILMAX=%u", c->max_messages);
	buf_addz(&text, "\nHELP");
	if (text.failed)
		smtp_reply(s, 451, "4.3.0", "Short of memory; try again later");
	else
		smtp_reply(s, 250, NULL, "%.*s", (int)text.n, text.p);
	buf_free(&text);
}

static void cmd_starttls(struct smtp_session *s, slice args)
{
	err e = {0};

	(void)args;
	if (has_tls(s)) {
		smtp_wrong(s, 503, "5.5.1", "This connection has TLS already");
		return;
	}
	if (!s->config->starttls) {
		smtp_wrong(s, 502, "5.5.1", "TLS is not offered here");
		return;
	}
	if (stream_buffered(s->io) > 0) { /* they would be taken for words said under TLS: RFC 3207 4.2 */
		smtp_wrong(s, 501, "5.5.1", "Nothing may follow STARTTLS before its answer; goodbye");
		smtp_session_end(s, SMTP_END_TLS);
		return;
	}
	smtp_reply(s, 220, "2.0.0", "Go ahead with TLS");
	if (s->done || stream_flush(s->io) < 0) {
		smtp_session_end(s, SMTP_END_GONE);
		return;
	}
	stream_timeout(s->io, s->config->timeout_ms);
	if (s->ops->starttls(s->ctx, s->io, &e) < 0) {
		smtp_session_end(s, SMTP_END_TLS);
		return;
	}
	smtp_transaction_reset(s); /* nothing said before counts: RFC 3207 4.2 */
	s->stage = SMTP_STAGE_START;
	s->extended = s->authenticated = false;
	s->helo_n = 0;
}

/* ---- envelope ---- */

/* The reply to an argument that could not be parsed; usage: what was expected. */
static void reply_fault(
	struct smtp_session *s, enum smtp_fault f, const char *address, const char *usage, const err *e)
{
	switch (f) {
	case SMTP_FAULT_ADDRESS:
		smtp_wrong(s, 501, address, "%s\nExpected %s", e->text, usage);
		break;
	case SMTP_FAULT_PARAM:
		smtp_wrong(s, 555, "5.5.4", "%s", e->text);
		break;
	case SMTP_FAULT_UTF8:
		smtp_wrong(s, 553, "5.6.7", "%s", e->text);
		break;
	case SMTP_FAULT_MEMORY:
		smtp_reply(s, 452, "4.3.1", "%s", e->text);
		break;
	case SMTP_FAULT_NONE:
	case SMTP_FAULT_WORD:
	case SMTP_FAULT_VALUE:
		smtp_wrong(s, 501, "5.5.4", "%s\nExpected %s", e->text, usage);
		break;
	}
}

static void reply_verdict(
	struct smtp_session *s, enum smtp_verdict v, const struct mail_path *path, const err *e)
{
	const struct smtp_answer *a = smtp_answer_address(v);
	struct buf shown = BUF_INIT(LIMIT_MAIL_PATH * 2);

	mail_path_write(&shown, path);
	smtp_reply(s, a->code, a->status, "<%" SLICE_FMT "> %s", SLICE_ARG(buf_slice(&shown)),
		e->text[0] ? e->text : a->text);
	buf_free(&shown);
}

static void trace_fill(const struct smtp_session *s, struct smtp_trace *t)
{
	const char *tls = stream_tls_info(s->io);

	*t = (struct smtp_trace){
		.helo = slice_make(s->helo, s->helo_n),
		.address = s->address,
		.name = s->name,
		.host = s->config->host,
		.tls = slice_of(tls),
		.extended = s->extended,
		.lmtp = is_lmtp(s),
		.authenticated = s->authenticated,
	};
}

/* May a message be sent now at all? False: replied. */
static bool mail_allowed(struct smtp_session *s)
{
	const struct smtp_config *c = s->config;

	if (c->auth_required && !s->authenticated) {
		if (!has_tls(s) && !c->auth_plain)
			smtp_wrong(s, 530, "5.7.0", "STARTTLS comes first, then AUTH");
		else
			smtp_wrong(s, 530, "5.7.0", "Log in first: AUTH");
		return false;
	}
	if (c->max_messages && s->transactions >= c->max_messages) {
		smtp_reply(s, 452, "4.5.3", "No more than %u messages a connection; connect again",
			c->max_messages);
		return false;
	}
	return true;
}

static void cmd_mail(struct smtp_session *s, slice args)
{
	struct smtp_envelope *env = &s->envelope;
	bool lowered = false;
	err e = {0};

	if (!mail_allowed(s))
		return;
	smtp_transaction_reset(s);
	enum smtp_fault f = smtp_mail_parse(args, s->arena, env, &e);
	if (f) {
		reply_fault(s, f, "5.1.7", "MAIL FROM:<you@example.com>", &e);
		return;
	}
	if (!smtp_extensions_settle(s, &lowered)) {
		smtp_transaction_reset(s);
		return;
	}
	trace_fill(s, &env->trace);
	env->trace.utf8 = env->smtputf8;
	enum smtp_verdict v = SMTP_TOO_BIG;
	if (env->size <= s->config->max_message)
		v = s->ops->sender(s->ctx, env, &e);
	if (v != SMTP_OK) {
		reply_verdict(s, v, &env->sender, &e);
		smtp_transaction_reset(s);
		return;
	}
	s->stage = SMTP_STAGE_MAIL;
	s->transactions++;
	struct buf shown = BUF_INIT(LIMIT_MAIL_PATH * 2);
	mail_path_write(&shown, &env->sender);
	if (lowered) /* X.3.6 (RFC 6710): the text begins with the priority it has now */
		smtp_reply(s, 250, "2.3.6", "0 is the priority of mail from who is not logged in");
	else
		smtp_reply(s, 250, "2.1.0", "<%" SLICE_FMT "> Sender ok", SLICE_ARG(buf_slice(&shown)));
	buf_free(&shown);
}

static bool recipient_add(struct smtp_session *s, const struct smtp_recipient *r)
{
	struct smtp_envelope *env = &s->envelope;

	if (env->n == s->recipients_cap) {
		uint32_t cap = s->recipients_cap ? s->recipients_cap * 2 : 4;
		struct smtp_recipient *list = arena_new_n(s->arena, struct smtp_recipient, cap);
		if (!list)
			return false;
		if (env->n)
			memcpy(list, env->recipients, env->n * sizeof *list);
		env->recipients = list;
		s->recipients_cap = cap;
	}
	env->recipients[env->n++] = *r;
	return true;
}

static void cmd_rcpt(struct smtp_session *s, slice args)
{
	struct smtp_recipient r;
	err e = {0};

	if (s->envelope.n >= s->config->max_recipients) {
		smtp_reply(s, 452, "4.5.3", "No more than %u recipients a message; send the rest in another",
			s->config->max_recipients);
		return;
	}
	enum smtp_fault f = smtp_rcpt_parse(args, s->envelope.smtputf8, s->arena, &r, &e);
	if (f) {
		s->rcpt_failed = true;
		reply_fault(s, f, "5.1.3", "RCPT TO:<friend@example.com>", &e);
		return;
	}
	enum smtp_verdict v = s->ops->recipient(s->ctx, &s->envelope, &r, &e);
	if (v == SMTP_OK && !recipient_add(s, &r))
		v = SMTP_NO_ROOM;
	reply_verdict(s, v, &r.path, &e);
	if (v == SMTP_OK) {
		s->recipients++;
		s->stage = SMTP_STAGE_RCPT;
		return;
	}
	s->rcpt_failed = true;
	if (++s->refused > LIMIT_SMTP_REFUSED)
		smtp_session_end(s, SMTP_END_ERRORS);
}

/* ---- the small ones ---- */

static void cmd_rset(struct smtp_session *s, slice args)
{
	(void)args;
	smtp_transaction_reset(s);
	smtp_reply(s, 250, "2.0.0", "Forgotten");
}

static void cmd_noop(struct smtp_session *s, slice args)
{
	(void)args;
	smtp_reply(s, 250, "2.0.0", "Ok");
}

static void cmd_vrfy(struct smtp_session *s, slice args)
{
	(void)args;
	smtp_reply(s, 252, "2.1.5", "Addresses are not told; send a message and see");
}

static void cmd_expn(struct smtp_session *s, slice args)
{
	(void)args;
	smtp_wrong(s, 502, "5.5.1", "Lists are not told here");
}

static void cmd_quit(struct smtp_session *s, slice args)
{
	(void)args;
	smtp_transaction_reset(s);
	smtp_reply(s, 221, "2.0.0", "%" SLICE_FMT " says goodbye", SLICE_ARG(s->config->host));
	smtp_session_end(s, SMTP_END_QUIT);
}

/* ---- the verbs ---- */

enum {
	START = SMTP_STAGE_START,
	READY = SMTP_STAGE_READY,
	MAIL = SMTP_STAGE_MAIL,
	RCPT = SMTP_STAGE_RCPT,
	BDAT = SMTP_STAGE_BDAT,
	OPEN = START | READY | MAIL | RCPT | BDAT,
	ANY = OPEN | SMTP_STAGE_SHUT,
};
enum verb_args { NONE, FREE, NEEDED };
enum verb_where { SMTP = 1, LMTP = 2, BOTH = 3 };
enum verb_flush { GATHER, FLUSH }; /* RFC 2920 3.2: replies that must not wait for the next command's */

struct verb {
	slice name;
	void (*run)(struct smtp_session *s, slice args);
	uint8_t stages, args, where, flush;
	const char *usage;
};

static void cmd_help(struct smtp_session *s, slice args);

/* clang-format off */
static const struct verb verbs[] = {
	/* name                   run             allowed in           args    where  reply    usage */
	{SLICE_INIT("HELO"),     cmd_helo,        OPEN,                NEEDED, SMTP,  GATHER,  "HELO client.example.com"},
	{SLICE_INIT("EHLO"),     cmd_ehlo,        OPEN,                NEEDED, SMTP,  FLUSH,   "EHLO client.example.com"},
	{SLICE_INIT("LHLO"),     cmd_ehlo,        OPEN,                NEEDED, LMTP,  FLUSH,   "LHLO client.example.com"},
	{SLICE_INIT("STARTTLS"), cmd_starttls,    START | READY,       NONE,   BOTH,  FLUSH,   "STARTTLS"},
	{SLICE_INIT("AUTH"),     smtp_auth_run,   READY,               NEEDED, BOTH,  GATHER,  "AUTH mechanism [initial-response]"},
	{SLICE_INIT("MAIL"),     cmd_mail,        READY,               NEEDED, BOTH,  GATHER,  "MAIL FROM:<you@example.com> [SIZE= BODY= SMTPUTF8 RET= ENVID= AUTH= HOLDFOR= HOLDUNTIL= BY= MT-PRIORITY= REQUIRETLS]"},
	{SLICE_INIT("RCPT"),     cmd_rcpt,        MAIL | RCPT,         NEEDED, BOTH,  GATHER,  "RCPT TO:<friend@example.com> [NOTIFY= ORCPT=]"},
	{SLICE_INIT("DATA"),     smtp_data_run,   MAIL | RCPT | BDAT,  NONE,   BOTH,  GATHER,  "DATA"},
	{SLICE_INIT("BDAT"),     smtp_bdat_run,   OPEN,                FREE,   BOTH,  GATHER,  "BDAT octets [LAST]"},
	{SLICE_INIT("RSET"),     cmd_rset,        OPEN,                NONE,   BOTH,  GATHER,  "RSET"},
	{SLICE_INIT("NOOP"),     cmd_noop,        OPEN,                FREE,   BOTH,  FLUSH,   "NOOP"},
	{SLICE_INIT("VRFY"),     cmd_vrfy,        OPEN,                NEEDED, BOTH,  FLUSH,   "VRFY friend"},
	{SLICE_INIT("EXPN"),     cmd_expn,        OPEN,                NEEDED, BOTH,  FLUSH,   "EXPN list"},
	{SLICE_INIT("HELP"),     cmd_help,        OPEN,                FREE,   BOTH,  FLUSH,   "HELP [command]"},
	{SLICE_INIT("QUIT"),     cmd_quit,        ANY,                 NONE,   BOTH,  FLUSH,   "QUIT"},
};
/* clang-format on */

static const struct verb *verb_find(slice name)
{
	for (size_t i = 0; i < COUNT_OF(verbs); i++)
		if (slice_ieq(name, verbs[i].name))
			return &verbs[i];
	return NULL;
}

static void cmd_help(struct smtp_session *s, slice args)
{
	unsigned where = is_lmtp(s) ? LMTP : SMTP;
	const struct verb *v = verb_find(args);
	struct buf text = BUF_INIT(1000);

	if (v && (v->where & where)) {
		smtp_reply(s, 214, "2.0.0", "%s", v->usage);
		return;
	}
	buf_addz(&text, "Commands:");
	for (size_t i = 0; i < COUNT_OF(verbs); i++)
		if (verbs[i].where & where)
			buf_addf(&text, " %s", verbs[i].name.p);
	buf_addz(&text,
		"\nHELP and a command shows how it is written.\n"
		"A message: MAIL FROM:<you>, RCPT TO:<friend>, DATA, the text, a line with just a dot.");
	smtp_reply(s, 214, "2.0.0", "%.*s", (int)text.n, text.p);
	buf_free(&text);
}

/* ---- the session ---- */

static void reply_order(struct smtp_session *s)
{
	if (s->stage == SMTP_STAGE_SHUT)
		smtp_wrong(s, 503, "5.5.1", "No service here; only QUIT is left");
	else if (s->stage == SMTP_STAGE_START)
		smtp_wrong(s, 503, "5.5.1", "Say %s first", is_lmtp(s) ? "LHLO" : "EHLO");
	else if (s->stage == SMTP_STAGE_READY)
		smtp_wrong(s, 503, "5.5.1", "No message is under way: MAIL FROM comes first");
	else
		smtp_wrong(s, 503, "5.5.1", "Not inside a message; RSET forgets the one under way");
}

/* Words that only a browser tricked into speaking to us would say; the rest of what it sends is not for us.
 */
static bool is_http(slice verb)
{
	return slice_ieq(verb, S("GET")) || slice_ieq(verb, S("POST")) || slice_ieq(verb, S("PUT")) ||
	       slice_ieq(verb, S("CONNECT")) || slice_ieq(verb, S("OPTIONS"));
}

static void reply_unknown(struct smtp_session *s, slice verb)
{
	slice shown = slice_sub(verb, 0, utf8_cut(verb, 20));

	if (is_http(verb)) {
		smtp_reply(s, 421, "4.7.0", "This is a mail server and speaks SMTP, not HTTP");
		close_with(s, SMTP_END_ERRORS);
		return;
	}
	if (verb.n == 0)
		smtp_wrong(s, 500, "5.5.2", "An empty line; expected a command");
	else
		smtp_wrong(s, 500, "5.5.2", "No command is called \"%" SLICE_FMT "\"; HELP lists them",
			SLICE_ARG(shown));
}

static void dispatch(struct smtp_session *s, const struct smtp_line *line, size_t length)
{
	const struct verb *v = verb_find(line->verb);

	if (!v)
		reply_unknown(s, line->verb);
	else if (!(v->where & (is_lmtp(s) ? LMTP : SMTP)))
		smtp_wrong(s, 500, "5.5.1", is_lmtp(s) ? "This is LMTP: say LHLO" : "This is SMTP: say EHLO");
	else if (length > LIMIT_SMTP_LINE && v->run != smtp_auth_run && v->run != smtp_bdat_run)
		smtp_wrong(s, 500, "5.5.2", "The line is longer than %d octets", LIMIT_SMTP_LINE);
	else if (!(v->stages & s->stage))
		reply_order(s);
	else if ((v->args == NONE && line->args.n) || (v->args == NEEDED && !line->args.n))
		smtp_wrong(s, 501, "5.5.4", "Expected %s", v->usage);
	else
		v->run(s, line->args);
	if (v && v->flush == FLUSH && !s->done && stream_flush(s->io) < 0)
		smtp_session_end(s, SMTP_END_GONE);
}

/* One command. */
static void step(struct smtp_session *s)
{
	struct smtp_line line;
	slice text;
	err e = {0};

	stream_timeout(s->io, s->config->timeout_ms);
	s->busy = false;
	ssize_t rc = stream_read_line(s->io, LIMIT_SMTP_AUTH, &text, NULL);
	s->busy = true;
	if (rc == -EMSGSIZE)
		smtp_wrong(s, 500, "5.5.2", "The line is longer than %d octets", LIMIT_SMTP_LINE);
	else if (rc < 0)
		smtp_session_lost(s, rc);
	else if (s->ops->draining && s->ops->draining(s->ctx))
		smtp_session_end(s, SMTP_END_DRAIN);
	else if (smtp_line_parse(text, &line, &e) < 0)
		smtp_wrong(s, 500, "5.5.2", "%s", e.text);
	else
		dispatch(s, &line, text.n + 2);
	if (s->errors > s->config->max_errors)
		smtp_session_end(s, SMTP_END_ERRORS);
}

enum smtp_end smtp_session_run(struct smtp_session *s)
{
	const struct smtp_config *c = s->config;
	size_t lists = (size_t)c->max_recipients + c->max_errors + LIMIT_SMTP_REFUSED;

	assert(c->max_recipients <= LIMIT_SMTP_RECIPIENTS);
	s->stage = SMTP_STAGE_START;
	s->end = SMTP_END_GONE;
	s->busy = true;
	s->arena = arena_new(65536 + lists * LIMIT_SMTP_RECIPIENT);
	if (!s->arena)
		return SMTP_END_GONE;
	stream_timeout(s->io, c->timeout_ms);
	greet(s);
	while (!s->done)
		step(s);
	smtp_transaction_reset(s);
	arena_free(s->arena);
	s->arena = NULL;
	stream_timeout(s->io, LIMIT_CLOSE_MS);
	stream_flush(s->io);
	return (enum smtp_end)s->end;
}

#include "pop3/login.h"
#include "base/encode.h"
#include "io/loop.h"
#include "limits.h"
#include "pop3/capability.h"
#include "pop3/text.h"
#include <errno.h>
#include <stdio.h>

struct login {
	struct stream *io;
	const struct pop3_login_config *config;
	const struct pop3_login_ops *ops;
	void *ctx;
	uint32_t errors;
	uint64_t until; /* log-in must be done */
	bool done, handed_over;
	bool utf8; /* asked for; back to false at STLS */
	enum pop3_language language;
	size_t user_n; /* 0: no USER yet */
	char user[LIMIT_POP3_USER];
};

typedef int command_fn(struct login *s, slice args);

/* A stranger may neither be silent for long nor keep a connection by talking. */
static void set_deadline(struct login *s)
{
	uint64_t now = loop_now(), left = s->until > now ? s->until - now : 1;

	stream_timeout(s->io, left < s->config->timeout_ms ? left : s->config->timeout_ms);
}

static int say(struct login *s, const char *text)
{
	return pop3_say(s->io, s->language, text);
}

static int refuse(struct login *s, const char *text)
{
	s->errors++;
	return say(s, text);
}

static bool passwords_allowed(const struct login *s)
{
	return stream_is_tls(s->io) || s->config->allow_cleartext;
}

static bool binds(const struct login *s)
{
	return s->config->scram && sasl_scram_binds(s->config->scram, s->config->scram_ctx);
}

static int cmd_capa(struct login *s, slice args)
{
	(void)args;
	return pop3_capabilities(s->io, (struct pop3_capable){
						.stls = s->ops->starttls && !stream_is_tls(s->io),
						.passwords = passwords_allowed(s),
						.scram = s->config->scram != NULL,
						.scram_plus = binds(s),
					});
}

static int cmd_quit(struct login *s, slice args)
{
	(void)args;
	s->done = true;
	return say(s, "+OK Goodbye");
}

static int cmd_noop(struct login *s, slice args)
{
	(void)args;
	return say(s, "+OK");
}

static int cmd_lang(struct login *s, slice args)
{
	int rc = pop3_lang(s->io, &s->language, args);

	s->errors += rc == 0;
	return rc < 0 ? rc : 0;
}

/* Names and passwords are UTF-8 in any case; it decides how the session shows messages. */
static int cmd_utf8(struct login *s, slice args)
{
	if (slice_trim(args).n > 0)
		return refuse(s, "-ERR UTF8 takes no argument");
	s->utf8 = true;
	return say(s, "+OK UTF-8 it is");
}

/* R-SEC-5: nothing may lie in the buffer behind STLS; what was injected is never read as commands. */
static int cmd_stls(struct login *s, slice args)
{
	(void)args;
	if (stream_is_tls(s->io))
		return refuse(s, "-ERR TLS is on already");
	if (!s->ops->starttls)
		return refuse(s, "-ERR TLS is not available");
	if (stream_buffered(s->io) > 0) {
		s->done = true;
		return say(s, "-ERR Nothing may be sent behind STLS before the handshake");
	}
	s->user_n = 0;
	s->utf8 = false;
	if (say(s, "+OK Begin TLS") < 0 || stream_flush(s->io) < 0 || s->ops->starttls(s->ctx, s->io) < 0)
		return -EPROTO;
	return 0;
}

/* What a log-in has come to: rc 0, or -1 and why not. */
static int conclude(struct login *s, int rc, err e)
{
	if (rc < 0) {
		if (e.kind == ERR_DENIED)
			return refuse(s, "-ERR [AUTH] The name or the password is wrong");
		return refuse(s, "-ERR [SYS/TEMP] Log-in is not possible now; try again in a minute");
	}
	uint8_t options = (uint8_t)((s->utf8 ? POP3_OPTION_UTF8 : 0u) |
				    (s->language == POP3_CHINESE ? POP3_OPTION_CHINESE : 0u));
	if (s->ops->handoff(s->ctx, s->io, options, &e) < 0)
		return refuse(s, "-ERR [SYS/TEMP] The mailbox is not available now; try again in a minute");
	s->handed_over = s->done = true;
	return 0;
}

static int try_login(struct login *s, const struct pop3_credentials *c)
{
	err e = {0};
	int rc = s->ops->login(s->ctx, c, &e);

	return conclude(s, rc, e);
}

static int cmd_user(struct login *s, slice args)
{
	if (!passwords_allowed(s))
		return refuse(s, "-ERR Use STLS first: a password must not travel in the clear");
	if (args.n == 0 || args.n > sizeof s->user)
		return refuse(s, "-ERR USER needs a name: USER alice");
	memcpy(s->user, args.p, args.n);
	s->user_n = args.n;
	return say(s, "+OK Now the password: PASS ...");
}

/* The password is all behind the first blank, blanks included (RFC 1939 7). */
static int cmd_pass(struct login *s, slice args)
{
	struct pop3_credentials c = {.user = slice_make(s->user, s->user_n)};
	char secret[LIMIT_SECRET];

	if (!passwords_allowed(s))
		return refuse(s, "-ERR Use STLS first: a password must not travel in the clear");
	if (s->user_n == 0)
		return refuse(s, "-ERR USER comes before PASS");
	if (args.n > sizeof secret) /* a line may be longer here: AUTH's initial response */
		return refuse(s, "-ERR [AUTH] The name or the password is wrong");
	memcpy(secret, args.p, args.n); /* args lies in the line buffer, which the next read may change */
	c.secret = slice_make(secret, args.n);
	int rc = try_login(s, &c);
	explicit_bzero(secret, sizeof secret);
	s->user_n = 0;
	return rc;
}

/* One question of an exchange, in base64. 1: there is an answer in `out`; 0: answered already; negative
 * errno.
 */
static int ask(struct login *s, slice challenge, struct buf *out)
{
	struct buf text = BUF_INIT(LIMIT_POP3_AUTH);
	slice line;

	buf_addz(&text, "+ ");
	base64_encode(&text, challenge);
	buf_addz(&text, "\r\n");
	int rc = text.failed ? -ENOMEM : stream_write(s->io, buf_slice(&text));
	buf_free(&text);
	if (rc < 0)
		return rc;
	ssize_t n = stream_read_line(s->io, LIMIT_POP3_AUTH, &line, NULL);
	if (n < 0 && n != -EMSGSIZE)
		return (int)n;
	buf_reset(out);
	if (n == -EMSGSIZE)
		rc = refuse(s, "-ERR That line is too long");
	else if (slice_eq(line, S("*")))
		rc = refuse(s, "-ERR Cancelled");
	else if (base64_decode(out, line))
		return 1;
	else
		rc = refuse(s, "-ERR That is not base64");
	return rc < 0 ? rc : 0;
}

/* authzid NUL authcid NUL password (RFC 4616). */
static int auth_plain(struct login *s, const slice *initial)
{
	struct buf raw = BUF_INIT(LIMIT_POP3_AUTH);
	struct pop3_credentials c;
	int rc = 1;
	slice rest;

	if (initial)
		buf_add(&raw, *initial);
	else
		rc = ask(s, S(""), &raw);
	if (rc > 0) {
		rest = buf_slice(&raw);
		bool good = slice_cut(&rest, 0, &c.authzid) && slice_cut(&rest, 0, &c.user) && c.user.n > 0 &&
			    slice_find_c(rest, 0) < 0;
		c.secret = rest;
		rc = good ? try_login(s, &c)
			  : refuse(s, "-ERR That is no PLAIN message: base64 of NUL name NUL password");
	}
	if (raw.p)
		explicit_bzero(raw.p, raw.cap);
	buf_free(&raw);
	return rc;
}

struct scram_ask {
	struct login *s;
	struct buf answer;
	int rc; /* of the last ask */
};

static bool scram_ask(void *arg, slice challenge, slice *ret)
{
	struct scram_ask *a = arg;

	a->rc = ask(a->s, challenge, &a->answer);
	*ret = buf_slice(&a->answer);
	return a->rc > 0;
}

static int scram(struct login *s, const slice *initial, bool plus)
{
	struct scram_ask a = {.s = s, .answer = BUF_INIT(LIMIT_POP3_AUTH), .rc = 1};
	struct sasl_scram x = {s->config->scram, s->config->scram_ctx, plus, scram_ask, &a};
	char text[sizeof((err *)0)->text + 8];
	err e = {0};
	int rc = sasl_scram_run(&x, initial, &e);

	buf_free(&a.answer);
	if (rc < 0 && e.kind == ERR_CANCELED && a.rc <= 0)
		return a.rc;
	if (rc == 0 || e.kind != ERR_SYNTAX)
		return conclude(s, rc, e);
	(void)snprintf(text, sizeof text, "-ERR %s", e.text);
	return refuse(s, text);
}

static int auth_scram(struct login *s, const slice *initial)
{
	return scram(s, initial, false);
}

static int auth_scram_plus(struct login *s, const slice *initial)
{
	return scram(s, initial, true);
}

static const struct mechanism {
	slice name;
	int (*run)(struct login *s, const slice *initial);
} mechanisms[] = {
	{SLICE_INIT("SCRAM-SHA-256-PLUS"), auth_scram_plus},
	{SLICE_INIT("SCRAM-SHA-256"), auth_scram},
	{SLICE_INIT("PLAIN"), auth_plain},
};

static bool available(const struct login *s, const struct mechanism *m)
{
	if (m->run == auth_plain)
		return passwords_allowed(s);
	return passwords_allowed(s) && (m->run == auth_scram_plus ? binds(s) : s->config->scram != NULL);
}

/* AUTH alone is an old way to ask which there are. */
static int list_mechanisms(struct login *s)
{
	(void)say(s, "+OK");
	for (size_t i = 0; i < COUNT_OF(mechanisms); i++)
		if (available(s, &mechanisms[i]))
			(void)say(s, mechanisms[i].name.p);
	return say(s, ".");
}

/* With an initial response, "=" an empty one (RFC 5034 4), or without. */
static int run_mechanism(struct login *s, const struct mechanism *m, slice initial)
{
	struct buf raw = BUF_INIT(LIMIT_POP3_AUTH);
	slice message;
	int rc;

	if (initial.n == 0)
		return m->run(s, NULL);
	if (slice_eq(initial, S("=")) || base64_decode(&raw, initial)) {
		message = raw.n ? buf_slice(&raw) : (slice){"", 0};
		rc = m->run(s, &message);
	} else {
		rc = refuse(s, "-ERR That is not base64");
	}
	if (raw.p)
		explicit_bzero(raw.p, raw.cap);
	buf_free(&raw);
	return rc;
}

static int cmd_auth(struct login *s, slice args)
{
	slice name;

	if (args.n == 0)
		return list_mechanisms(s);
	if (!passwords_allowed(s))
		return refuse(s, "-ERR Use STLS first: a password must not travel in the clear");
	if (slice_word(&args, &name))
		for (size_t i = 0; i < COUNT_OF(mechanisms); i++)
			if (slice_ieq(name, mechanisms[i].name) && available(s, &mechanisms[i]))
				return run_mechanism(s, &mechanisms[i], slice_trim(args));
	return refuse(s, "-ERR That mechanism is not offered; AUTH alone tells which are");
}

static const struct {
	slice name;
	command_fn *run;
} commands[] = {
	{SLICE_INIT("CAPA"), cmd_capa},
	{SLICE_INIT("STLS"), cmd_stls},
	{SLICE_INIT("USER"), cmd_user},
	{SLICE_INIT("PASS"), cmd_pass},
	{SLICE_INIT("AUTH"), cmd_auth},
	{SLICE_INIT("UTF8"), cmd_utf8},
	{SLICE_INIT("LANG"), cmd_lang},
	{SLICE_INIT("NOOP"), cmd_noop},
	{SLICE_INIT("QUIT"), cmd_quit},
};

static int one_command(struct login *s, slice line)
{
	slice args = line, verb;

	if (!slice_word(&args, &verb))
		return refuse(s, "-ERR An empty line is no command");
	if (args.n > 0)
		args = slice_skip(args, 1);
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		if (slice_ieq(verb, commands[i].name))
			return commands[i].run(s, args);
	return refuse(
		s, "-ERR Not a command before log-in: CAPA, STLS, USER, PASS, AUTH, UTF8, LANG or QUIT");
}

bool pop3_login_run(struct stream *io, const struct pop3_login_config *config,
	const struct pop3_login_ops *ops, void *ctx)
{
	struct login s = {.io = io, .config = config, .ops = ops, .ctx = ctx};

	s.until = loop_now() + LIMIT_POP3_LOGIN_MS;
	set_deadline(&s);
	if (stream_printf(io, "+OK %" SLICE_FMT " POP3 server ready\r\n", SLICE_ARG(config->host)) < 0)
		return false;
	while (!s.done) {
		slice line;

		set_deadline(&s);
		ssize_t n = stream_read_line(io, LIMIT_POP3_AUTH, &line, NULL);
		set_deadline(&s);
		if (n == -ETIMEDOUT || n == -ECANCELED) {
			say(&s, n == -ETIMEDOUT ? "-ERR Silent for too long; closing"
						: "-ERR [SYS/TEMP] Going down; come back soon");
			stream_flush(io);
			break;
		}
		int rc = n == -EMSGSIZE ? refuse(&s, "-ERR That line is too long")
			 : n < 0        ? (int)n
					: one_command(&s, line);
		if (rc < 0)
			break;
		if (s.errors > config->errors_max) {
			say(&s, "-ERR Too many errors; closing");
			break;
		}
	}
	if (!s.handed_over)
		stream_flush(io);
	return s.handed_over;
}

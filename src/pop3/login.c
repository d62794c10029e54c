#include "pop3/login.h"
#include "base/encode.h"
#include "io/loop.h"
#include "limits.h"
#include "pop3/capability.h"
#include <errno.h>

struct login {
	struct stream *io;
	const struct pop3_login_config *config;
	const struct pop3_login_ops *ops;
	void *ctx;
	uint32_t errors;
	uint64_t until; /* log-in must be done */
	bool done, handed_over;
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
	stream_write(s->io, slice_of(text));
	return stream_write(s->io, S("\r\n"));
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

static int cmd_capa(struct login *s, slice args)
{
	(void)args;
	return pop3_capabilities(
		s->io, s->ops->starttls && !stream_is_tls(s->io), passwords_allowed(s), false);
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
	if (say(s, "+OK Begin TLS") < 0 || stream_flush(s->io) < 0 || s->ops->starttls(s->ctx, s->io) < 0)
		return -EPROTO;
	return 0;
}

static int try_login(struct login *s, const struct pop3_credentials *c)
{
	err e = {0};

	if (s->ops->login(s->ctx, c, &e) < 0) {
		if (e.kind == ERR_DENIED)
			return refuse(s, "-ERR [AUTH] The name or the password is wrong");
		return refuse(s, "-ERR [SYS/TEMP] Log-in is not possible now; try again in a minute");
	}
	if (s->ops->handoff(s->ctx, s->io, &e) < 0)
		return refuse(s, "-ERR [SYS/TEMP] The mailbox is not available now; try again in a minute");
	s->handed_over = s->done = true;
	return 0;
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

/* authzid NUL authcid NUL password (RFC 4616). */
static int plain(struct login *s, slice text)
{
	struct buf raw = BUF_INIT(LIMIT_POP3_AUTH);
	struct pop3_credentials c;
	slice rest;
	int rc;

	bool good = base64_decode(&raw, text);
	rest = buf_slice(&raw);
	good = good && slice_cut(&rest, 0, &c.authzid) && slice_cut(&rest, 0, &c.user) && c.user.n > 0 &&
	       slice_find_c(rest, 0) < 0;
	c.secret = rest;
	rc = good ? try_login(s, &c)
		  : refuse(s, "-ERR That is no PLAIN message: base64 of NUL name NUL password");
	if (raw.p)
		explicit_bzero(raw.p, raw.n);
	buf_free(&raw);
	return rc;
}

static int cmd_auth(struct login *s, slice args)
{
	slice mechanism, initial = args, line;

	if (args.n == 0) { /* an old way to ask which there are */
		say(s, "+OK");
		if (passwords_allowed(s))
			say(s, "PLAIN");
		return say(s, ".");
	}
	if (!slice_word(&initial, &mechanism) || !slice_ieq(mechanism, S("PLAIN")))
		return refuse(s, "-ERR That mechanism is not offered; PLAIN is");
	if (!passwords_allowed(s))
		return refuse(s, "-ERR Use STLS first: a password must not travel in the clear");
	initial = slice_trim(initial);
	if (initial.n > 0)
		return plain(s, slice_eq(initial, S("=")) ? (slice){"", 0} : initial);
	if (say(s, "+ ") < 0)
		return stream_error(s->io);
	ssize_t n = stream_read_line(s->io, LIMIT_POP3_AUTH, &line, NULL);
	if (n == -EMSGSIZE)
		return refuse(s, "-ERR That line is too long");
	if (n < 0)
		return (int)n;
	if (slice_eq(line, S("*")))
		return refuse(s, "-ERR Cancelled");
	return plain(s, line);
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
	return refuse(s, "-ERR Not a command before log-in: CAPA, STLS, USER, PASS, AUTH or QUIT");
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

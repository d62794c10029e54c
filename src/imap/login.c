#include "imap/login.h"
#include "base/encode.h"
#include "imap/args.h"
#include "imap/capability.h"
#include "io/loop.h"
#include "limits.h"
#include <errno.h>

struct login {
	struct stream *io;
	const struct imap_login_config *config;
	const struct imap_login_ops *ops;
	void *ctx;
	struct arena *arena;
	uint64_t until; /* loop_now() by which a login must have been good */
	uint32_t errors;
	bool handed_off, done;
	slice tag;
};

typedef int login_fn(struct login *l, struct imap_args *args);

/* ---- answers ---- */

static int reply(struct login *l, const char *what, const char *text)
{
	return stream_printf(l->io, "%.*s %s %s\r\n", (int)l->tag.n, l->tag.n ? l->tag.p : "", what, text);
}

static int bad(struct login *l, const char *text)
{
	l->errors++;
	if (l->tag.n == 0)
		l->tag = S("*");
	return reply(l, "BAD", text);
}

static int bye(struct login *l, const char *text)
{
	l->done = true;
	return stream_printf(l->io, "* BYE %s\r\n", text);
}

static bool tls_binds(const struct login *l)
{
	return l->config->scram && sasl_scram_binds(l->config->scram, l->config->scram_ctx);
}

static struct imap_capable capable(const struct login *l)
{
	bool tls = stream_is_tls(l->io);

	return (struct imap_capable){
		.starttls = !tls && l->ops->starttls,
		.login = tls || l->config->allow_cleartext,
		.scram = l->config->scram != NULL,
		.scram_plus = tls_binds(l),
	};
}

static int capability_line(struct login *l, const char *before, const char *after)
{
	struct buf out = BUF_INIT(1024);

	buf_addz(&out, before);
	imap_capability_login(&out, capable(l));
	buf_addz(&out, after);
	int rc = stream_write(l->io, buf_slice(&out));
	buf_free(&out);
	return rc;
}

/* Silence and the whole time before login are both bounded. */
static bool set_deadline(struct login *l)
{
	uint64_t now = loop_now();

	if (now >= l->until)
		return false;
	uint64_t left = l->until - now;
	stream_timeout(l->io, left < LIMIT_IMAP_LOGIN_WAIT_MS ? left : LIMIT_IMAP_LOGIN_WAIT_MS);
	return true;
}

/* ---- the commands ---- */

static int cmd_capability(struct login *l, struct imap_args *args)
{
	if (!imap_take_end(args))
		return bad(l, args->why);
	int rc = capability_line(l, "* CAPABILITY ", "\r\n");
	return rc < 0 ? rc : reply(l, "OK", "these hold before login");
}

static int cmd_noop(struct login *l, struct imap_args *args)
{
	return imap_take_end(args) ? reply(l, "OK", "nothing happened") : bad(l, args->why);
}

static int cmd_logout(struct login *l, struct imap_args *args)
{
	if (!imap_take_end(args))
		return bad(l, args->why);
	int rc = bye(l, "see you");
	return rc < 0 ? rc : reply(l, "OK", "logged out");
}

static int cmd_id(struct login *l, struct imap_args *args)
{
	if (!imap_take_id(args))
		return bad(l, args->why);
	int rc = stream_write(l->io, S("* ID (\"name\" \"Posthouse\")\r\n"));
	return rc < 0 ? rc : reply(l, "OK", "pleased to meet you");
}

static int cmd_starttls(struct login *l, struct imap_args *args)
{
	if (!imap_take_end(args))
		return bad(l, args->why);
	if (stream_is_tls(l->io))
		return bad(l, "TLS is on already");
	if (!l->ops->starttls)
		return bad(l, "TLS is not offered here");
	/* What came behind the command in clear would be read as if it came through TLS (R-SEC-5). */
	if (stream_buffered(l->io) > 0) {
		int rc = bad(l, "nothing may follow STARTTLS before the handshake");
		return rc < 0 ? rc : bye(l, "start again, please");
	}
	int rc = reply(l, "OK", "begin TLS now");
	if (rc == 0)
		rc = stream_flush(l->io);
	return rc < 0 ? rc : l->ops->starttls(l->ctx, l->io);
}

/* What a log-in has come to: rc 0, or -1 and why not. */
static int conclude(struct login *l, int rc, err e)
{
	if (rc == 0) {
		if (l->ops->handoff(l->ctx, l->io, l->tag, &e) == 0) {
			l->handed_off = l->done = true;
			return 0;
		}
		e.kind = ERR_TEMP;
	}
	if (e.kind == ERR_CLOSED || e.kind == ERR_CANCELED)
		return bye(l, "[UNAVAILABLE] try again later");
	if (e.kind != ERR_DENIED && e.kind != ERR_CONFLICT)
		return reply(l, "NO", "[UNAVAILABLE] logging in is not possible now, try again later");
	l->errors++;
	if (e.kind == ERR_CONFLICT)
		return reply(l, "NO", "[AUTHORIZATIONFAILED] you may not log in as somebody else");
	return reply(l, "NO", "[AUTHENTICATIONFAILED] the name or the password is wrong");
}

static int judge(struct login *l, const struct imap_credentials *c)
{
	err e = {0};
	int rc = l->ops->login(l->ctx, c, &e);

	return conclude(l, rc, e);
}

static bool refuse_cleartext(struct login *l, int *ret_rc)
{
	if (capable(l).login)
		return false;
	l->errors++;
	*ret_rc = reply(l, "NO",
		"[PRIVACYREQUIRED] passwords are taken only over TLS: STARTTLS first, or use port 993");
	return true;
}

static int cmd_login(struct login *l, struct imap_args *args)
{
	struct imap_credentials c = {.mechanism = "LOGIN command"};
	int rc;

	if (refuse_cleartext(l, &rc))
		return rc;
	if (!imap_take_sp(args) || !imap_take_astring(args, &c.user) || !imap_take_sp(args) ||
		!imap_take_astring(args, &c.secret) || !imap_take_end(args))
		return bad(l, args->why);
	return judge(l, &c);
}

/* One answer of a SASL exchange, decoded. 1: there; 0: answered already (cancelled or wrong); negative errno.
 */
static int decode(struct login *l, slice text, slice *ret)
{
	struct buf plain = BUF_INIT(LIMIT_IMAP_LOGIN_LINE);
	int rc = 1;

	if (slice_eq(text, S("*"))) {
		rc = reply(l, "BAD", "cancelled");
	} else if (slice_eq(text, S("="))) {
		*ret = S("");
	} else if (!base64_decode(&plain, text) || plain.failed) {
		rc = bad(l, "that is not base64");
	} else if (plain.n == 0) {
		*ret = S("");
	} else {
		*ret = arena_copy(l->arena, buf_slice(&plain));
		if (!ret->p)
			rc = bad(l, "that is too long");
	}
	if (plain.p)
		explicit_bzero(plain.p, plain.cap);
	buf_free(&plain);
	return rc;
}

static int ask(struct login *l, const char *challenge, slice *ret)
{
	slice line;
	int rc = stream_printf(l->io, "+ %s\r\n", challenge);

	if (rc < 0)
		return rc;
	ssize_t n = stream_read_line(l->io, LIMIT_IMAP_LOGIN_LINE, &line, NULL);
	if (n == -EMSGSIZE)
		return bad(l, "that line is too long");
	return n < 0 ? (int)n : decode(l, line, ret);
}

static int sasl_plain(struct login *l, const slice *initial)
{
	struct imap_credentials c = {.mechanism = "PLAIN"};
	slice message = S("");
	int rc = initial ? decode(l, *initial, &message) : ask(l, "", &message);

	if (rc <= 0)
		return rc;
	if (!slice_cut(&message, 0, &c.authzid) || !slice_cut(&message, 0, &c.user) ||
		slice_find_c(message, 0) >= 0)
		return bad(l, "PLAIN wants NUL, name, NUL, password");
	c.secret = message;
	return judge(l, &c);
}

static int sasl_login(struct login *l, const slice *initial)
{
	struct imap_credentials c = {.mechanism = "LOGIN"};
	int rc = initial ? decode(l, *initial, &c.user) : ask(l, "VXNlcm5hbWU6", &c.user);

	if (rc > 0)
		rc = ask(l, "UGFzc3dvcmQ6", &c.secret);
	return rc <= 0 ? rc : judge(l, &c);
}

struct scram_ask {
	struct login *l;
	int rc; /* what ask said when it failed */
};

static bool scram_ask(void *arg, slice challenge, slice *ret)
{
	struct scram_ask *a = arg;
	struct buf text = BUF_INIT(LIMIT_IMAP_LOGIN_LINE);

	base64_encode(&text, challenge);
	buf_add_c(&text, 0);
	a->rc = text.failed ? -ENOMEM : ask(a->l, text.p, ret);
	buf_free(&text);
	return a->rc > 0;
}

static int scram(struct login *l, const slice *initial, bool plus)
{
	struct scram_ask a = {.l = l, .rc = 1};
	struct sasl_scram s = {l->config->scram, l->config->scram_ctx, plus, scram_ask, &a};
	slice message;
	err e = {0};

	if (initial) {
		int rc = decode(l, *initial, &message);

		if (rc <= 0)
			return rc;
	}
	int rc = sasl_scram_run(&s, initial ? &message : NULL, &e);
	if (rc < 0 && e.kind == ERR_CANCELED && a.rc <= 0)
		return a.rc;
	return rc < 0 && e.kind == ERR_SYNTAX ? bad(l, e.text) : conclude(l, rc, e);
}

static int sasl_scram(struct login *l, const slice *initial)
{
	return scram(l, initial, false);
}

static int sasl_scram_plus(struct login *l, const slice *initial)
{
	return scram(l, initial, true);
}

typedef int mechanism_fn(struct login *l, const slice *initial);

static const struct {
	slice name;
	mechanism_fn *run;
} mechanisms[] = {
	{SLICE_INIT("SCRAM-SHA-256"), sasl_scram},
	{SLICE_INIT("SCRAM-SHA-256-PLUS"), sasl_scram_plus},
	{SLICE_INIT("PLAIN"), sasl_plain},
	{SLICE_INIT("LOGIN"), sasl_login},
};

static bool may_use(const struct login *l, mechanism_fn *run)
{
	return run == sasl_scram ? l->config->scram != NULL : run != sasl_scram_plus || tls_binds(l);
}

static int cmd_authenticate(struct login *l, struct imap_args *args)
{
	slice name, initial = {NULL, 0};
	int rc;

	if (refuse_cleartext(l, &rc))
		return rc;
	if (!imap_take_sp(args) || !imap_take_atom(args, &name))
		return bad(l, args->why);
	if (!imap_args_at_end(args) && (!imap_take_sp(args) || !imap_take_atom(args, &initial)))
		return bad(l, args->why);
	if (!imap_take_end(args))
		return bad(l, args->why);
	for (size_t i = 0; i < COUNT_OF(mechanisms); i++) {
		if (slice_ieq(name, mechanisms[i].name) && may_use(l, mechanisms[i].run))
			return mechanisms[i].run(l, initial.p ? &initial : NULL);
	}
	l->errors++;
	return reply(l, "NO", "[CANNOT] that mechanism is not known here");
}

static const struct {
	slice verb;
	login_fn *run;
} verbs[] = {
	{SLICE_INIT("CAPABILITY"), cmd_capability},
	{SLICE_INIT("NOOP"), cmd_noop},
	{SLICE_INIT("LOGOUT"), cmd_logout},
	{SLICE_INIT("ID"), cmd_id},
	{SLICE_INIT("STARTTLS"), cmd_starttls},
	{SLICE_INIT("LOGIN"), cmd_login},
	{SLICE_INIT("AUTHENTICATE"), cmd_authenticate},
};

/* ---- the session ---- */

static int run_command(struct login *l, const struct imap_command *c)
{
	struct imap_args args = imap_args_of(c, l->arena);

	l->tag = c->tag;
	if (c->tag.n == 0)
		return bad(l, "a command begins with a tag, such as: a1 NOOP");
	for (size_t i = 0; i < COUNT_OF(verbs); i++) {
		if (slice_ieq(c->verb, verbs[i].verb))
			return verbs[i].run(l, &args);
	}
	return bad(l, "that command is not known, or not allowed before login");
}

static int one_command(struct login *l)
{
	struct imap_reader reader = {.io = l->io, .limits = &imap_limits_login, .arena = l->arena};
	struct imap_command c;
	err e = {0};

	arena_reset(l->arena);
	if (!set_deadline(l))
		return bye(l, "too long without a login");
	int rc = imap_command_read(&reader, &c, &e);
	if (rc == 0)
		return run_command(l, &c);
	if (rc == -1) {
		l->tag = c.tag;
		return bad(l, e.text);
	}
	return e.kind == ERR_CLOSED ? -EPIPE : bye(l, e.text);
}

enum imap_login_end imap_login_run(struct stream *io, const struct imap_login_config *config,
	const struct imap_login_ops *ops, void *ctx)
{
	struct login l = {.io = io, .config = config, .ops = ops, .ctx = ctx};
	struct buf greeting = BUF_INIT(1024);

	l.until = loop_now() + LIMIT_IMAP_LOGIN_MS;
	l.arena = arena_new(LIMIT_IMAP_LOGIN_ARENA);
	if (!l.arena) {
		(void)stream_write(io, S("* BYE [UNAVAILABLE] no memory\r\n"));
		return IMAP_LOGIN_ENDED;
	}
	arena_secret(l.arena);
	buf_addf(&greeting, "] %.*s Posthouse is ready\r\n", (int)config->host.n,
		config->host.n ? config->host.p : "");
	buf_add_c(&greeting, 0);
	(void)set_deadline(&l);
	int rc = capability_line(&l, "* OK [CAPABILITY ", greeting.p ? greeting.p : "] ready\r\n");
	buf_free(&greeting);
	while (rc >= 0 && !l.done) {
		rc = one_command(&l);
		if (rc >= 0 && !l.done && l.errors >= config->errors_max)
			rc = bye(&l, "too many errors");
	}
	if (rc == -ETIMEDOUT)
		(void)bye(&l, "too long without an answer");
	arena_free(l.arena);
	return l.handed_off ? IMAP_LOGIN_HANDED_OFF : IMAP_LOGIN_ENDED;
}

/* AUTH: RFC 4954 with SCRAM-SHA-256 (RFC 7677), PLAIN (RFC 4616) and LOGIN. Secrets lie in buffers that are
 * wiped before they go. */
#include "base/cleanup.h"
#include "base/encode.h"
#include "limits.h"
#include "smtp/session_int.h"
#include <errno.h>

struct sasl {
	struct smtp_login login;
	struct buf user, secret; /* decoded; PLAIN's message stands whole in secret */
	bool proven;             /* SCRAM: the exchange itself has judged */
};

/* The line lies in the stream's buffer, which is ours until the next read. */
static void wipe_line(slice line)
{
	if (line.n)
		explicit_bzero((char *)(uintptr_t)line.p, line.n);
}

static void buf_wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_free(b);
}

/* base64 into out, which never grows by moving: no copy is left behind. False: replied. */
static bool decode(struct smtp_session *s, slice text, struct buf *out)
{
	out->max = LIMIT_SMTP_AUTH;
	bool ok = buf_room(out, text.n / 4 * 3 + 4) && base64_decode(out, text);
	wipe_line(text);
	if (!ok)
		smtp_wrong(s, 501, "5.5.2", "That is not base64; start again with AUTH");
	return ok;
}

/* One question and its answer. False: replied, or the session has ended. */
static bool ask(struct smtp_session *s, const char *prompt, struct buf *out)
{
	slice line;

	smtp_reply(s, 334, NULL, "%s", prompt);
	ssize_t rc = s->done ? -EPIPE : stream_read_line(s->io, LIMIT_SMTP_AUTH, &line, NULL);
	if (rc == -EMSGSIZE)
		smtp_wrong(s, 500, "5.5.6", "The line is longer than %d octets", LIMIT_SMTP_AUTH);
	else if (rc < 0)
		smtp_session_lost(s, rc);
	else if (slice_eq(line, S("*")))
		smtp_wrong(s, 501, "5.7.0", "Log-in given up, as you wished");
	else
		return decode(s, line, out);
	return false;
}

/* The initial response where there is one ("=": an empty one), else the answer to the prompt. */
static bool first(struct smtp_session *s, slice initial, const char *prompt, struct buf *out)
{
	if (initial.n == 0)
		return ask(s, prompt, out);
	return decode(s, slice_eq(initial, S("=")) ? (slice){0} : initial, out);
}

static bool plain_run(struct smtp_session *s, slice initial, struct sasl *q)
{
	slice rest;

	if (!first(s, initial, "", &q->secret))
		return false;
	rest = buf_slice(&q->secret);
	if (slice_cut(&rest, 0, &q->login.authzid) && slice_cut(&rest, 0, &q->login.user) &&
		slice_find_c(rest, 0) < 0) {
		q->login.secret = rest;
		return true;
	}
	smtp_wrong(s, 501, "5.5.2", "PLAIN is [authzid] NUL user NUL password, in base64 (RFC 4616)");
	return false;
}

static bool login_run(struct smtp_session *s, slice initial, struct sasl *q)
{
	if (!first(s, initial, "VXNlcm5hbWU6", &q->user) || !ask(s, "UGFzc3dvcmQ6", &q->secret))
		return false;
	q->login.user = buf_slice(&q->user);
	q->login.secret = buf_slice(&q->secret);
	return true;
}

/* What a log-in has come to. */
static void conclude(struct smtp_session *s, enum smtp_login_verdict v, const err *e)
{
	if (v == SMTP_LOGIN_OK) {
		s->authenticated = true;
		smtp_reply(s, 235, "2.7.0", "Welcome");
		return;
	}
	if (v != SMTP_LOGIN_BAD) {
		smtp_reply(s, 454, "4.7.0", "%s",
			e->text[0] ? e->text : "Log-ins cannot be checked now; try again later");
		return;
	}
	smtp_wrong(s, 535, "5.7.8", "%s", e->text[0] ? e->text : "Wrong user name or password");
	if (++s->logins_failed >= LIMIT_SMTP_LOGINS)
		smtp_session_end(s, SMTP_END_ERRORS);
}

struct scram_ask {
	struct smtp_session *s;
	struct buf *answer;
	bool replied; /* ask has said why it failed */
};

static bool scram_ask(void *arg, slice challenge, slice *ret)
{
	struct scram_ask *a = arg;
	struct buf text = BUF_INIT(LIMIT_SMTP_AUTH);

	base64_encode(&text, challenge);
	buf_add_c(&text, 0);
	buf_reset(a->answer);
	bool ok = !text.failed && ask(a->s, text.p, a->answer);
	a->replied = !text.failed && !ok;
	buf_free(&text);
	*ret = buf_slice(a->answer);
	return ok;
}

/* All but the verdict of the protocol's other half; false: replied. */
static bool scram(struct smtp_session *s, slice initial, struct sasl *q, bool plus)
{
	struct scram_ask a = {s, &q->secret, false};
	struct sasl_scram x = {s->scram, s->scram_ctx, plus, scram_ask, &a};
	slice message = {0};
	err e = {0};

	if (initial.n && !decode(s, slice_eq(initial, S("=")) ? (slice){0} : initial, &q->user))
		return false;
	message = buf_slice(&q->user);
	if (sasl_scram_run(&x, initial.n ? &message : NULL, &e) == 0) {
		q->proven = true;
		return true;
	}
	if (e.kind == ERR_SYNTAX)
		smtp_wrong(s, 501, "5.5.2", "%s", e.text);
	else if (!a.replied)
		conclude(s, e.kind == ERR_DENIED ? SMTP_LOGIN_BAD : SMTP_LOGIN_TEMP, &e);
	return false;
}

static bool scram_run(struct smtp_session *s, slice initial, struct sasl *q)
{
	return scram(s, initial, q, false);
}

static bool scram_plus_run(struct smtp_session *s, slice initial, struct sasl *q)
{
	return scram(s, initial, q, true);
}

static const struct mechanism {
	slice name;
	bool (*run)(struct smtp_session *s, slice initial, struct sasl *q); /* false: replied */
} mechanisms[] = {
	{SLICE_INIT("SCRAM-SHA-256-PLUS"), scram_plus_run},
	{SLICE_INIT("SCRAM-SHA-256"), scram_run},
	{SLICE_INIT("PLAIN"), plain_run},
	{SLICE_INIT("LOGIN"), login_run},
};

/* What cannot be right is not asked for: limits of the question to `auth`. */
static bool askable(const struct smtp_login *l)
{
	return l->user.n && l->user.n <= LIMIT_SMTP_USER && l->authzid.n <= LIMIT_SMTP_USER && l->secret.n &&
	       l->secret.n <= LIMIT_SMTP_SECRET && !memchr(l->user.p, 0, l->user.n) &&
	       !memchr(l->secret.p, 0, l->secret.n) && utf8_valid(l->user) && utf8_valid(l->authzid);
}

static void login(struct smtp_session *s, const struct sasl *q)
{
	err e = {0};
	enum smtp_login_verdict v = SMTP_LOGIN_BAD;

	if (q->proven)
		v = s->ops->scram_login(s->ctx, &e);
	else if (askable(&q->login))
		v = s->ops->login(s->ctx, &q->login, &e);
	conclude(s, v, &e);
}

static bool available(const struct smtp_session *s, const struct mechanism *m)
{
	if (m->run == scram_plus_run)
		return s->scram && sasl_scram_binds(s->scram, s->scram_ctx);
	return m->run != scram_run || s->scram;
}

static const struct mechanism *mechanism_find(const struct smtp_session *s, slice name)
{
	for (size_t i = 0; i < COUNT_OF(mechanisms); i++)
		if (slice_ieq(name, mechanisms[i].name) && available(s, &mechanisms[i]))
			return &mechanisms[i];
	return NULL;
}

void smtp_auth_names(const struct smtp_session *s, struct buf *out)
{
	const char *blank = "";

	for (size_t i = 0; i < COUNT_OF(mechanisms); i++)
		if (available(s, &mechanisms[i])) {
			buf_addz(out, blank);
			buf_add(out, mechanisms[i].name);
			blank = " ";
		}
}

static void unknown(struct smtp_session *s)
{
	struct buf names = BUF_INIT(200);

	smtp_auth_names(s, &names);
	smtp_wrong(s, 504, "5.5.4", "Mechanisms known here: %" SLICE_FMT, SLICE_ARG(buf_slice(&names)));
	buf_free(&names);
}

/* False: replied. */
static bool auth_allowed(struct smtp_session *s, const struct mechanism *m, slice rest)
{
	if (!s->config->auth)
		smtp_wrong(
			s, 502, "5.5.1", "No log-ins at this port; programs that send mail use 465 or 587");
	else if (s->authenticated)
		smtp_wrong(s, 503, "5.5.1", "Logged in already");
	else if (!stream_is_tls(s->io) && !s->config->auth_plain)
		smtp_wrong(s, 538, "5.7.11", "Not in clear text: STARTTLS comes first, or use port 465");
	else if (rest.n)
		smtp_wrong(s, 501, "5.5.4", "Too many words; expected AUTH PLAIN [initial-response]");
	else if (!m)
		unknown(s);
	else
		return true;
	return false;
}

void smtp_auth_run(struct smtp_session *s, slice args)
{
	slice name = {0}, initial = {0};
	struct sasl q = {0};

	slice_word(&args, &name);
	slice_word(&args, &initial);
	const struct mechanism *m = mechanism_find(s, name);
	if (!auth_allowed(s, m, args)) {
		wipe_line(initial); /* what is refused may hold a password all the same */
		return;
	}
	if (m->run(s, initial, &q)) { /* from here on the line may be gone */
		q.login.mechanism = m->name;
		login(s, &q);
	}
	buf_wipe(&q.user);
	buf_wipe(&q.secret);
}

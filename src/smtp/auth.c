/* AUTH: RFC 4954 with PLAIN (RFC 4616) and LOGIN. Secrets lie in buffers that are wiped before they go. */
#include "base/cleanup.h"
#include "base/encode.h"
#include "limits.h"
#include "smtp/session_int.h"
#include <errno.h>

struct sasl {
	struct smtp_login login;
	struct buf user, secret; /* decoded; PLAIN's message stands whole in secret */
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

static const struct mechanism {
	slice name;
	bool (*run)(struct smtp_session *s, slice initial, struct sasl *q); /* false: replied */
} mechanisms[] = {
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

static void login(struct smtp_session *s, const struct smtp_login *l)
{
	err e = {0};
	enum smtp_login_verdict v = askable(l) ? s->ops->login(s->ctx, l, &e) : SMTP_LOGIN_BAD;

	if (v == SMTP_LOGIN_OK) {
		s->authenticated = true;
		smtp_reply(s, 235, "2.7.0", "Welcome");
		return;
	}
	if (v != SMTP_LOGIN_BAD) {
		smtp_reply(s, 454, "4.7.0", "%s",
			e.text[0] ? e.text : "Log-ins cannot be checked now; try again later");
		return;
	}
	smtp_wrong(s, 535, "5.7.8", "%s", e.text[0] ? e.text : "Wrong user name or password");
	if (++s->logins_failed >= LIMIT_SMTP_LOGINS)
		smtp_session_end(s, SMTP_END_ERRORS);
}

static const struct mechanism *mechanism_find(slice name)
{
	for (size_t i = 0; i < COUNT_OF(mechanisms); i++)
		if (slice_ieq(name, mechanisms[i].name))
			return &mechanisms[i];
	return NULL;
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
		smtp_wrong(s, 504, "5.5.4", "Mechanisms known here: PLAIN LOGIN");
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
	const struct mechanism *m = mechanism_find(name);
	if (!auth_allowed(s, m, args)) {
		wipe_line(initial); /* what is refused may hold a password all the same */
		return;
	}
	if (m->run(s, initial, &q)) { /* from here on the line may be gone */
		q.login.mechanism = m->name;
		login(s, &q.login);
	}
	buf_wipe(&q.user);
	buf_wipe(&q.secret);
}

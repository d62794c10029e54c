#include "fake_server.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "smtp/received.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const verdict_names[SMTP_VERDICT_COUNT] = {
	[SMTP_OK] = "ok",
	[SMTP_UNKNOWN] = "unknown",
	[SMTP_RELAY] = "relay",
	[SMTP_FULL] = "full",
	[SMTP_DISABLED] = "disabled",
	[SMTP_LOOP] = "loop",
	[SMTP_TEMP] = "temp",
	[SMTP_SENDER] = "sender",
	[SMTP_REFUSED] = "refused",
	[SMTP_TOO_BIG] = "too-big",
	[SMTP_NO_ROOM] = "no-room",
	[SMTP_NO_MAIL] = "no-mail",
};

static void address_of(const struct mail_path *path, char *out, size_t n)
{
	struct buf b = BUF_INIT(1024);

	mail_path_write(&b, path);
	snprintf(out, n, "%.*s", (int)b.n, b.n ? b.p : "");
	buf_free(&b);
}

static enum smtp_verdict rule(const struct fake_rule *rules, size_t n, const struct mail_path *path, err *e)
{
	char address[320];

	address_of(path, address, sizeof address);
	for (size_t i = 0; i < n; i++)
		if (slice_ieq(slice_of(rules[i].address), slice_of(address))) {
			if (e && rules[i].text[0])
				err_set_at(e, ERR_DENIED, 0, ERR_WHERE, "%s", rules[i].text);
			return rules[i].verdict;
		}
	return SMTP_OK;
}

/* ---- ops ---- */

static int on_welcome(void *ctx, err *e)
{
	const struct fake_world *w = ctx;
	return w->welcome ? err_set(e, w->welcome, "%s", w->fail_text) : 0;
}

static int on_starttls(void *ctx, struct stream *io, err *e)
{
	struct fake_world *w = ctx;

	const char *why;

	w->tls++;
	if (w->tls_context && stream_start_tls(io, w->tls_context, true, &why) < 0)
		return err_set(e, ERR_CLOSED, "%s", why);
	return w->tls_fails ? err_set(e, ERR_CLOSED, "no handshake") : 0;
}

static bool is(slice s, const char *z)
{
	return slice_eq(s, slice_of(z));
}

static enum smtp_login_verdict on_login(void *ctx, const struct smtp_login *login, err *e)
{
	const struct fake_world *w = ctx;

	(void)e;
	fiber_yield();
	if (w->login_temp)
		return SMTP_LOGIN_TEMP;
	bool ok = w->user[0] && is(login->user, w->user) && is(login->secret, w->secret) &&
		  is(login->authzid, w->authzid);
	return ok ? SMTP_LOGIN_OK : SMTP_LOGIN_BAD;
}

static enum smtp_login_verdict on_scram_login(void *ctx, err *e)
{
	const struct fake_world *w = ctx;

	(void)e;
	return strcmp(w->scram.name, "user") == 0 ? SMTP_LOGIN_OK : SMTP_LOGIN_BAD;
}

static enum smtp_verdict on_sender(void *ctx, const struct smtp_envelope *env, err *e)
{
	const struct fake_world *w = ctx;
	fiber_yield();
	return rule(w->at_rcpt, w->at_rcpt_n, &env->sender, e);
}

static enum smtp_verdict on_recipient(
	void *ctx, const struct smtp_envelope *env, const struct smtp_recipient *r, err *e)
{
	const struct fake_world *w = ctx;

	(void)env;
	fiber_yield();
	return rule(w->at_rcpt, w->at_rcpt_n, &r->path, e);
}

static int on_begin(void *ctx, const struct smtp_envelope *env, err *e)
{
	struct fake_world *w = ctx;

	assert(!w->open && env->n > 0);
	if (w->begin_fails)
		return err_set(e, w->begin_fails, "%s", w->fail_text);
	w->begins++;
	w->open = true;
	buf_reset(&w->message);
	buf_reset(&w->received);
	smtp_received_format(
		&w->received, env, S("0123456789abcdefghjkmnpqrs"), (struct mail_date){1767225600, 0});
	return 0;
}

static int on_write(void *ctx, slice bytes, err *e)
{
	struct fake_world *w = ctx;

	assert(w->open && bytes.n > 0);
	if (w->write_fails)
		return err_set(e, w->write_fails, "%s", w->fail_text);
	buf_add(&w->message, bytes);
	assert(!w->message.failed && w->message.n <= w->config.max_message);
	return 0;
}

static void print_envelope(struct buf *out, const struct smtp_envelope *env)
{
	static const char *const bodies[] = {"7BIT", "8BITMIME", "BINARYMIME"}, *const rets[] = {
											"", "FULL", "HDRS"};
	char address[320];

	buf_reset(out);
	address_of(&env->sender, address, sizeof address);
	buf_addf(out, "from=<%s> local=%.*s size=%llu body=%s utf8=%d ret=%s id=%.*s auth=%.*s", address,
		(int)env->sender_local.n, env->sender_local.n ? env->sender_local.p : "",
		(unsigned long long)env->size, bodies[env->body], env->smtputf8, rets[env->ret],
		(int)env->id.n, env->id.n ? env->id.p : "", (int)env->auth.n, env->auth.n ? env->auth.p : "");
	if (env->release_s)
		buf_addf(out, " release=%lld", (long long)(env->release_s - clock_wall_s()));
	if (env->by_mode)
		buf_addf(out, " by=%lld;%c%s", (long long)(env->by_deadline_s - clock_wall_s()), env->by_mode,
			env->by_trace ? "T" : "");
	if (env->has_priority)
		buf_addf(out, " priority=%d", env->priority);
	if (env->require_tls)
		buf_addz(out, " tls-only");
	for (size_t i = 0; i < env->n; i++) {
		const struct smtp_recipient *r = &env->recipients[i];
		address_of(&r->path, address, sizeof address);
		buf_addf(out, " to=<%s> notify=%u orcpt=%.*s", address, r->notify, (int)r->original.n,
			r->original.n ? r->original.p : "");
	}
}

static int on_end(void *ctx, struct smtp_envelope *env, struct smtp_receipt *ret, err *e)
{
	struct fake_world *w = ctx;
	bool any = false;

	assert(w->open);
	w->open = false;
	w->ends++;
	fiber_yield();
	if (w->end_fails)
		return err_set(e, w->end_fails, "%s", w->fail_text);
	for (size_t i = 0; i < env->n; i++) {
		env->recipients[i].result =
			(uint8_t)rule(w->at_end, w->at_end_n, &env->recipients[i].path, NULL);
		any |= env->recipients[i].result == SMTP_OK;
	}
	w->messages += any;
	print_envelope(&w->envelope, env);
	snprintf(ret->queue_id, sizeof ret->queue_id, "0123456789abcdefghjkmnpqrs");
	return 0;
}

static void on_abort(void *ctx, const struct smtp_envelope *env, const char *why)
{
	struct fake_world *w = ctx;

	assert(w->open && env->n > 0);
	w->open = false;
	w->aborts++;
	snprintf(w->abort_why, sizeof w->abort_why, "%s", why);
}

static bool on_draining(void *ctx)
{
	return ((const struct fake_world *)ctx)->draining;
}

static const struct smtp_server_ops ops = {
	.welcome = on_welcome,
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

/* ---- the world ---- */

struct fake_world *fake_world_new(void)
{
	struct fake_world *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->config = smtp_config_default(SMTP_MX, S("mx.example.test"));
	w->message.max = 1u << 28;
	w->envelope.max = 1u << 24;
	w->received.max = 8192;
	return w;
}

void fake_world_free(struct fake_world *w)
{
	assert(!w->open);
	buf_free(&w->message);
	buf_free(&w->envelope);
	buf_free(&w->received);
	free(w);
}

void fake_world_serve(struct fake_world *w, struct stream *io)
{
	w->session = (struct smtp_session){.config = &w->config,
		.ops = &ops,
		.ctx = w,
		.io = io,
		.address = w->config.kind == SMTP_LMTP ? (slice){0} : S("192.0.2.7"),
		.scram = w->scram_on ? &scram_world_ops : NULL,
		.scram_ctx = &w->scram};
	w->end = smtp_session_run(&w->session);
	assert(!w->open);
	assert(w->begins == w->ends + w->aborts);
}

/* ---- directives ---- */

static void copy(char *to, size_t n, slice from)
{
	snprintf(to, n, "%.*s", (int)from.n, from.n ? from.p : "");
}

static bool set_kind(struct fake_world *w, slice name)
{
	static const char *const names[] = {"mx", "submission", "submissions", "lmtp"};

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (is(name, names[i])) {
			w->config = smtp_config_default((enum smtp_kind)i, w->config.host);
			return true;
		}
	return false;
}

static bool set_option(struct fake_world *w, slice name, slice value)
{
	struct smtp_config *c = &w->config;
	const struct {
		const char *name;
		uint64_t *u64;
		uint32_t *u32;
		bool *flag;
	} options[] = {
		{"max-message", &c->max_message, NULL, NULL},
		{"timeout", &c->timeout_ms, NULL, NULL},
		{"max-recipients", NULL, &c->max_recipients, NULL},
		{"max-messages", NULL, &c->max_messages, NULL},
		{"max-hops", NULL, &c->max_hops, NULL},
		{"max-errors", NULL, &c->max_errors, NULL},
		{"future", NULL, &c->future_s, NULL},
		{"starttls", NULL, NULL, &c->starttls},
		{"auth", NULL, NULL, &c->auth},
		{"auth-plain", NULL, NULL, &c->auth_plain},
		{"auth-required", NULL, NULL, &c->auth_required},
		{"bare-lines", NULL, NULL, &c->bare_lines},
	};
	uint64_t v;

	if (!slice_to_u64(value, UINT32_MAX, &v))
		return false;
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		if (!is(name, options[i].name))
			continue;
		if (options[i].u64)
			*options[i].u64 = v;
		else if (options[i].u32)
			*options[i].u32 = (uint32_t)v;
		else
			*options[i].flag = v != 0;
		return true;
	}
	return false;
}

static bool add_rule(struct fake_rule *rules, size_t *n, slice address, slice name, slice text)
{
	struct fake_rule *r = &rules[*n];

	if (*n == 16)
		return false;
	copy(r->address, sizeof r->address, address);
	copy(r->text, sizeof r->text, text);
	for (size_t i = 0; i < SMTP_VERDICT_COUNT; i++)
		if (verdict_names[i] && is(name, verdict_names[i])) {
			r->verdict = (enum smtp_verdict)i;
			++*n;
			return true;
		}
	return false;
}

/* "@ fail begin LIMIT text" */
static bool set_failure(struct fake_world *w, slice what, slice kind, slice text)
{
	enum err_kind *places[] = {&w->welcome, &w->begin_fails, &w->write_fails, &w->end_fails};
	static const char *const names[] = {"welcome", "begin", "write", "end"};

	copy(w->fail_text, sizeof w->fail_text, text);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (!is(what, names[i]))
			continue;
		*places[i] = ERR_NONE;
		for (int k = ERR_SYNTAX; k <= ERR_CANCELED; k++)
			if (slice_ieq(kind, slice_of(err_kind_name((enum err_kind)k))))
				*places[i] = (enum err_kind)k;
		return *places[i] != ERR_NONE || is(kind, "none");
	}
	return false;
}

static enum talk_result same(bool ok, const char *what, slice is_so)
{
	if (!ok)
		fprintf(stderr, "%s is: %" SLICE_FMT "\n", what, SLICE_ARG(is_so));
	return ok ? TALK_OK : TALK_FAILED;
}

static enum talk_result check_message(const struct fake_world *w, slice rest)
{
	struct buf want = BUF_INIT(65536);
	bool ok = talk_unescape(rest, &want) && slice_eq(buf_slice(&want), buf_slice(&w->message));

	buf_free(&want);
	return same(ok, "message", buf_slice(&w->message));
}

static enum talk_result check(const struct fake_world *w, slice word, slice rest)
{
	static const char *const ends[] = {"quit", "gone", "timeout", "errors", "drain", "refused", "tls"};
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {{"messages", w->messages}, {"aborts", w->aborts}, {"begins", w->begins},
		{"size", w->message.n}, {"logins-failed", w->session.logins_failed}, {"tls-starts", w->tls}};
	char text[32];

	for (size_t i = 0; i < COUNT_OF(counts); i++)
		if (is(word, counts[i].name)) {
			snprintf(text, sizeof text, "%llu", (unsigned long long)counts[i].value);
			return same(is(rest, text), counts[i].name, slice_of(text));
		}
	if (is(word, "message"))
		return check_message(w, rest);
	if (is(word, "envelope"))
		return same(talk_match(rest, buf_slice(&w->envelope)), "envelope", buf_slice(&w->envelope));
	if (is(word, "received"))
		return same(talk_match(rest, buf_slice(&w->received)), "received", buf_slice(&w->received));
	if (is(word, "why"))
		return same(talk_match(rest, slice_of(w->abort_why)), "why", slice_of(w->abort_why));
	if (is(word, "end"))
		return same(is(rest, ends[w->end]), "end", slice_of(ends[w->end]));
	return TALK_UNKNOWN;
}

static enum talk_result directive(void *world, slice word, slice rest)
{
	struct fake_world *w = world;
	slice all = rest, a = {0}, b = {0};
	bool ok;

	slice_word(&rest, &a);
	slice_word(&rest, &b);
	rest = slice_trim(rest);
	if (is(word, "kind"))
		ok = set_kind(w, a);
	else if (is(word, "option"))
		ok = set_option(w, a, b);
	else if (is(word, "rcpt"))
		ok = add_rule(w->at_rcpt, &w->at_rcpt_n, a, b, rest);
	else if (is(word, "deliver"))
		ok = add_rule(w->at_end, &w->at_end_n, a, b, rest);
	else if (is(word, "fail"))
		ok = set_failure(w, a, b, rest);
	else if (is(word, "scram"))
		ok = w->scram_on = true;
	else if (is(word, "bound"))
		ok = w->scram.bound = true;
	else if (is(word, "scram-busy"))
		ok = w->scram.busy = true;
	else if (is(word, "login-temp"))
		ok = w->login_temp = true;
	else if (is(word, "tls-fails"))
		ok = w->tls_fails = true;
	else if (is(word, "drain"))
		ok = w->draining = true;
	else if (is(word, "login")) {
		copy(w->user, sizeof w->user, a);
		copy(w->secret, sizeof w->secret, b);
		copy(w->authzid, sizeof w->authzid, rest);
		ok = true;
	} else
		return check(w, word, all);
	return ok ? TALK_OK : TALK_UNKNOWN;
}

static void *begin(void)
{
	return fake_world_new();
}

static void serve(void *world, struct stream *io)
{
	fake_world_serve(world, io);
}

static void end(void *world)
{
	fake_world_free(world);
}

const struct talk_server fake_talk_server = {
	.name = "smtp",
	.begin = begin,
	.directive = directive,
	.serve = serve,
	.end = end,
};

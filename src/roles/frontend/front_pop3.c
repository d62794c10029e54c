#include "pop3/login.h"
#include "roles/frontend/frontend.h"
#include <errno.h>

struct front_pop3 {
	struct conn *c;
	struct front_login who;
	struct front_scram scram;
};

static int on_starttls(void *ctx, struct stream *io)
{
	struct front_pop3 *s = ctx;
	err e;

	return front_start_tls(s->c, io, &e) < 0 ? -EPROTO : 0;
}

static int on_login(void *ctx, const struct pop3_credentials *c, err *e)
{
	struct front_pop3 *s = ctx;
	char text[201];

	enum front_verdict v = front_login(s->c, c->user, c->secret, c->authzid, &s->who, text);
	return v == FRONT_OK ? 0 : err_set(e, v == FRONT_BAD ? ERR_DENIED : ERR_TEMP, "%s", text);
}

static int on_handoff(void *ctx, struct stream *io, uint8_t options, err *e)
{
	struct front_pop3 *s = ctx;

	(void)io; /* it is the connection's */
	if (front_hand_over(s->c, &s->who, (slice){"", 0}, options, e) < 0)
		return -1;
	return 0;
}

void front_pop3(struct conn *c)
{
	static const struct pop3_login_ops ops = {
		.starttls = on_starttls, .login = on_login, .handoff = on_handoff};
	const struct settings *settings = c->f->role->settings;
	struct front_pop3 s = {.c = c, .scram = {.c = c, .who = &s.who}};
	struct pop3_login_config config = {
		.host = c->host->name,
		.allow_cleartext = c->loopback && settings->auth_loopback_cleartext,
		.errors_max = (uint32_t)settings->limit_errors,
		.scram = &front_scram_ops,
		.scram_ctx = &s.scram,
		.timeout_ms = settings->timeout_pop3,
	};

	if (pop3_login_run(c->io, &config, &ops, &s))
		c->io = NULL;
}

#include "imap/login.h"
#include "roles/frontend/frontend.h"
#include <errno.h>

struct front_imap {
	struct conn *c;
	struct front_login who;
	struct front_scram scram;
};

static int on_starttls(void *ctx, struct stream *io)
{
	struct front_imap *s = ctx;
	err e;

	return front_start_tls(s->c, io, &e) < 0 ? -EPROTO : 0;
}

static int on_login(void *ctx, const struct imap_credentials *c, err *e)
{
	struct front_imap *s = ctx;
	char text[201];

	switch (front_login(s->c, c->user, c->secret, c->authzid, &s->who, text)) {
	case FRONT_OK:
		return 0;
	case FRONT_BAD:
		return err_set(e, ERR_DENIED, "%s", text);
	case FRONT_TEMP:
		break;
	}
	return err_set(e, ERR_TEMP, "%s", text);
}

static int on_handoff(void *ctx, struct stream *io, slice tag, err *e)
{
	struct front_imap *s = ctx;

	(void)io; /* it is the connection's */
	if (front_hand_over(s->c, &s->who, tag, 0, e) < 0)
		return -1;
	return 0;
}

void front_imap(struct conn *c)
{
	static const struct imap_login_ops ops = {
		.starttls = on_starttls, .login = on_login, .handoff = on_handoff};
	const struct settings *settings = c->f->role->settings;
	struct front_imap s = {.c = c, .scram = {.c = c, .who = &s.who}};
	struct imap_login_config config = {
		.host = c->host->name,
		.allow_cleartext = c->loopback && settings->auth_loopback_cleartext,
		.errors_max = (uint32_t)settings->limit_errors,
		.scram = &front_scram_ops,
		.scram_ctx = &s.scram,
	};

	if (imap_login_run(c->io, &config, &ops, &s) == IMAP_LOGIN_HANDED_OFF)
		c->io = NULL;
}

/*
 * The extensions of MAIL whose meaning hangs on the session and the time of day: FUTURERELEASE (RFC 4865),
 * DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710) and REQUIRETLS (RFC 8689): what EHLO says of them, and whether
 * what a client asks for can be had.
 */
#include "base/clock.h"
#include "limits.h"
#include "mail/date.h"
#include "smtp/session_int.h"

/* Only who may hold mail back on our disk: RFC 4865 is an extension of submission. */
static bool offers_hold(const struct smtp_config *c)
{
	return c->future_s && (c->kind == SMTP_SUBMISSION || c->kind == SMTP_SUBMISSIONS);
}

void smtp_extensions_write(const struct smtp_session *s, struct buf *out)
{
	const struct smtp_config *c = s->config;

	if (offers_hold(c)) {
		buf_addf(out, "FUTURERELEASE %u ", c->future_s);
		mail_date_rfc3339_write(out, (struct mail_date){clock_wall_s() + c->future_s, 0});
		buf_add_c(out, '\n');
	}
	buf_addf(out, "DELIVERBY %d\nMT-PRIORITY MIXER\n", LIMIT_SMTP_BY_MIN);
	if (stream_is_tls(s->io))
		buf_addz(out, "REQUIRETLS\n");
}

static bool hold_settle(struct smtp_session *s, struct smtp_envelope *env, int64_t now)
{
	const struct smtp_config *c = s->config;

	if (env->hold == SMTP_HOLD_NONE)
		return true;
	if (!offers_hold(c)) {
		smtp_wrong(
			s, 555, "5.5.4", "Mail is not held back here: HOLDFOR and HOLDUNTIL are not known");
		return false;
	}
	env->release_s = env->hold == SMTP_HOLD_FOR ? now + env->hold_s : env->hold_s;
	if (env->release_s <= now) {
		smtp_wrong(s, 501, "5.5.4", "HOLDUNTIL= names a moment that is over");
		return false;
	}
	if (env->release_s > now + c->future_s) {
		smtp_wrong(s, 501, "5.5.4", "No message is held back for more than %u seconds", c->future_s);
		return false;
	}
	return true;
}

static bool by_settle(struct smtp_session *s, struct smtp_envelope *env, int64_t now)
{
	if (!env->by_mode)
		return true;
	if (env->by_mode == 'R' && env->by_s < LIMIT_SMTP_BY_MIN) {
		smtp_wrong(s, 555, "5.5.4", "Delivery within less than %d seconds cannot be promised",
			LIMIT_SMTP_BY_MIN);
		return false;
	}
	env->by_deadline_s = now + env->by_s;
	if (env->by_mode == 'R' && env->by_deadline_s <= env->release_s) {
		smtp_wrong(s, 501, "5.5.4", "The message would have to be returned before it is released");
		return false;
	}
	return true;
}

/* RFC 8689 4.1: who asks for TLS all the way must have come by it. */
static bool tls_settle(struct smtp_session *s, const struct smtp_envelope *env)
{
	if (!env->require_tls || stream_is_tls(s->io))
		return true;
	smtp_wrong(s, 530, "5.7.10", "REQUIRETLS can be asked for only over TLS: STARTTLS comes first");
	return false;
}

bool smtp_extensions_settle(struct smtp_session *s, bool *ret_lowered)
{
	struct smtp_envelope *env = &s->envelope;
	int64_t now = clock_wall_s();

	if (!tls_settle(s, env) || !hold_settle(s, env, now) || !by_settle(s, env, now))
		return false;
	*ret_lowered = false;
	if (env->priority && !s->authenticated && s->config->kind != SMTP_LMTP) {
		env->priority = 0;
		*ret_lowered = true;
	}
	return true;
}

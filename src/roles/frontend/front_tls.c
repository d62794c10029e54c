#include "base/log.h"
#include "roles/frontend/frontend.h"
#include <errno.h>

#define SIGN_MS      10000
#define HANDSHAKE_MS 30000

/* The key lives in `auth`: the text to be signed goes there, whole. Parks in the middle of OpenSSL's state
 * machine. */
static int sign(void *arg, uint32_t key, uint16_t scheme, slice text, struct buf *ret_signature)
{
	struct frontend *f = arg;
	struct msg_sign m = {.key = key, .scheme = scheme, .text = text};
	struct msg_sign_reply reply;
	struct channel_answer hold;
	err e;

	if (ask_sign(role_peer(f->role, ROLE_AUTH), &m, &reply, &hold, loop_now() + SIGN_MS, &e) < 0) {
		if (e.kind == ERR_CANCELED)
			return -ECANCELED;
		log_event(LOG_WARN, "sign_failed", F_ERR(&e));
		return -EIO;
	}
	buf_add(ret_signature, reply.signature);
	channel_answer_free(&hold);
	return ret_signature->failed ? -ENOMEM : 0;
}

static void use_ticket_keys(const struct frontend *f)
{
	if (f->tls && f->ticket_keys_n > 0)
		tls_context_ticket_keys(
			f->tls, f->ticket_keys[0], f->ticket_keys_n > 1 ? f->ticket_keys[1] : NULL);
}

void front_ticket_keys(struct channel_request *q, void *arg)
{
	struct frontend *f = ((struct role_run *)arg)->state;
	struct msg_ticket_keys m;

	if (!msg_ticket_keys_take(q, &m))
		return;
	if (m.now.n != TLS_TICKET_KEY || (m.before.n != 0 && m.before.n != TLS_TICKET_KEY)) {
		channel_answer_error(q, ERR_CORRUPT, "ticket keys of a wrong size");
		return;
	}
	memcpy(f->ticket_keys[0], m.now.p, TLS_TICKET_KEY);
	if (m.before.n)
		memcpy(f->ticket_keys[1], m.before.p, TLS_TICKET_KEY);
	f->ticket_keys_n = m.before.n ? 2 : 1;
	use_ticket_keys(f);
	msg_ticket_keys_answer(q, &(struct msg_ticket_keys_reply){0});
}

void front_certificate(struct channel_request *q, void *arg)
{
	struct role_run *r = arg;
	struct frontend *f = r->state;
	struct msg_certificate m;
	err e = {0};

	if (!msg_certificate_take(q, &m))
		return;
	struct tls_context *next = tls_server_context_new(m.chain, m.key, sign, f, &e);
	if (!next) {
		channel_answer_error(q, e.kind, e.text);
		return;
	}
	tls_context_free(f->tls); /* connections that use it hold it */
	f->tls = next;
	use_ticket_keys(f);
	msg_certificate_answer(q, &(struct msg_certificate_reply){0});
}

int front_start_tls(struct conn *c, struct stream *io, err *e)
{
	const char *why;

	if (!c->f->tls)
		return err_set(e, ERR_TEMP, "no certificate yet");
	stream_timeout(io, HANDSHAKE_MS);
	int rc = stream_start_tls(io, c->f->tls, true, &why);
	if (rc == 0)
		return 0;
	log_event(LOG_INFO, "tls_failed", F_STR("address", c->address), F_STR("why", why));
	return err_set(e, ERR_CLOSED, "TLS handshake: %s", why);
}

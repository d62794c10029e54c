/* SCRAM log-ins: the frontend speaks the protocol, `auth` holds the verifiers and judges the proof. */
#include "base/log.h"
#include "roles/frontend/frontend.h"

#define ASK_MS 30000 /* the answer waits up to 5 s for an address that guesses */

static bool on_binding(void *ctx, slice name, struct buf *ret)
{
	const struct front_scram *f = ctx;
	uint8_t data[TLS_BINDING];
	size_t n;

	if (!stream_tls_binding(f->c->io, name, data, &n))
		return false;
	buf_add(ret, slice_make(data, n));
	return true;
}

static int on_first(void *ctx, slice name, slice authzid, slice nonce, struct buf *ret, err *e)
{
	struct front_scram *f = ctx;
	struct msg_scram_first m = {.protocol = (uint8_t)f->c->port->protocol,
		.address = slice_make(f->c->ip, sizeof f->c->ip),
		.name = name,
		.as = authzid,
		.nonce = nonce};
	struct msg_scram_first_reply reply;
	struct channel_answer hold;

	f->name_n = name.n < sizeof f->name ? name.n : sizeof f->name;
	memcpy(f->name, name.p, f->name_n);
	if (ask_scram_first(role_peer(f->c->f->role, ROLE_AUTH), &m, &reply, &hold, loop_now() + ASK_MS, e) <
		0)
		return -1;
	bool good = reply.verdict == FRONT_OK && reply.exchange.n == sizeof f->exchange;
	if (good) {
		memcpy(f->exchange, reply.exchange.p, sizeof f->exchange);
		buf_add(ret, reply.server_first);
	}
	channel_answer_free(&hold);
	return good ? 0 : err_set(e, ERR_TEMP, "too many log-ins at once");
}

static int on_proof(void *ctx, slice bare, const struct sasl_scram_final *final,
	uint8_t ret_signature[SASL_SCRAM_KEY], err *e)
{
	struct front_scram *f = ctx;
	struct msg_scram_final m = {.protocol = (uint8_t)f->c->port->protocol,
		.exchange = slice_make(f->exchange, sizeof f->exchange),
		.bare = bare,
		.unproven = final->unproven,
		.proof = slice_make(final->proof, sizeof final->proof)};
	struct msg_scram_final_reply reply;
	struct channel_answer hold;

	if (ask_scram_final(role_peer(f->c->f->role, ROLE_AUTH), &m, &reply, &hold, loop_now() + ASK_MS, e) <
		0) {
		log_event(LOG_WARN, "login_unjudged", F_STR("address", f->c->address),
			F_SLICE("name", slice_make(f->name, f->name_n)), F_ERR(e));
		return -1;
	}
	bool good = reply.verdict == FRONT_OK && reply.ticket.n == sizeof f->who->ticket &&
		    reply.signature.n == SASL_SCRAM_KEY;
	if (good) {
		f->who->account = reply.account;
		memcpy(f->who->ticket, reply.ticket.p, sizeof f->who->ticket);
		memcpy(ret_signature, reply.signature.p, SASL_SCRAM_KEY);
	} else {
		(void)err_set(e, reply.verdict == FRONT_BAD ? ERR_DENIED : ERR_TEMP, "%.*s",
			(int)reply.text.n, reply.text.n ? reply.text.p : "");
	}
	f->c->f->logins += good;
	f->c->f->logins_failed += !good && e->kind == ERR_DENIED;
	log_event(LOG_INFO, good ? "login" : "login_failed",
		F_STR("protocol", settings_protocols[f->c->port->protocol].word),
		F_STR("address", f->c->address), F_SLICE("name", slice_make(f->name, f->name_n)),
		F_STR("tls", stream_is_tls(f->c->io) ? stream_tls_info(f->c->io) : ""));
	channel_answer_free(&hold);
	return good ? 0 : -1;
}

const struct sasl_scram_ops front_scram_ops = {on_binding, on_first, on_proof};

/* SCRAM log-ins: the two questions of a frontend (auth/scram.h). */
#include "auth/scram.h"
#include "base/log.h"
#include "roles/auth/auth_role.h"

void auth_on_scram_first(struct channel_request *q, void *arg)
{
	struct auth_role *a = ((struct role_run *)arg)->state;
	struct msg_scram_first m;
	struct msg_account_lookup_reply who = {0};
	struct verifier_scram v;
	struct scram_exchange x = {.session = auth_frontend_of(q)};
	struct buf text = BUF_INIT(400);
	uint8_t id[SCRAM_EXCHANGE_SIZE];
	err e = {0};

	if (!msg_scram_first_take(q, &m))
		return;
	if (m.address.n != sizeof x.address) {
		channel_offense(channel_request_channel(q), "a login without an address");
		return;
	}
	x.protocol = m.protocol;
	x.other = m.as.n > 0 && !slice_ieq(m.as, m.name);
	x.name = m.name;
	memcpy(x.address, m.address.p, sizeof x.address);
	bool good = auth_look_up(a, m.name, &who, &e) == 0 &&
		    secret_scram(a->credentials, who.found ? who.account : 0, m.name, &v, &e) >= 0;
	if (good) {
		scram_server_first(&v, m.nonce, &text);
		x.server_first = buf_slice(&text);
		good = !text.failed && scram_exchange_begin(a->exchanges, &x, auth_is_loopback(x.address),
					       loop_now(), id, &e) == 0;
	}
	if (good) {
		msg_scram_first_answer(q, &(struct msg_scram_first_reply){.verdict = VERDICT_OK,
						  .exchange = slice_make(id, sizeof id),
						  .server_first = x.server_first});
	} else {
		log_event(LOG_NOTICE, "login_later", F_SLICE("name", m.name), F_ERR(&e));
		msg_scram_first_answer(q, &(struct msg_scram_first_reply){.verdict = VERDICT_LATER});
	}
	explicit_bzero(&v, sizeof v);
	buf_free(&text);
}

/* VERDICT_OK: the proof is right and the account may log in; *ret_account is which. */
static enum verdict judge(struct auth_role *a, const struct scram_exchange *x,
	const struct msg_scram_final *m, uint32_t *ret_account, uint8_t signature[HASH_SIZE], err *e)
{
	struct msg_account_lookup_reply who = {0};
	struct verifier_scram v;
	int there;

	if (auth_look_up(a, x->name, &who, e) < 0)
		return VERDICT_LATER;
	there = secret_scram(a->credentials, who.found ? who.account : 0, x->name, &v, e);
	if (there < 0)
		return VERDICT_LATER;
	bool good = scram_proves(
		&v, m->bare, x->server_first, m->unproven, (const uint8_t *)m->proof.p, signature);
	explicit_bzero(&v, sizeof v);
	*ret_account = who.account;
	return good && there && who.found && who.enabled && !x->other ? VERDICT_OK : VERDICT_BAD;
}

static void say(struct channel_request *q, enum verdict v, const char *text)
{
	msg_scram_final_answer(
		q, &(struct msg_scram_final_reply){.verdict = (uint8_t)v, .text = slice_of(text)});
}

/* A wrong proof is a wrong password: it counts and waits as one. */
static void finish(struct auth_role *a, struct channel_request *q, const struct scram_exchange *x,
	const struct msg_scram_final *m)
{
	uint8_t signature[HASH_SIZE], ticket[TICKET_SIZE];
	uint32_t account;
	err e = {0};

	if (!auth_may_try(a, x->address)) {
		a->failed++;
		say(q, VERDICT_LATER, AUTH_TOO_MANY);
		return;
	}
	enum verdict v = judge(a, x, m, &account, signature, &e);
	if (v == VERDICT_OK && ticket_make(a->tickets, account, m->protocol, auth_frontend_of(q), loop_now(),
				       ticket, &e) < 0)
		v = VERDICT_LATER;
	if (v == VERDICT_BAD) {
		a->failed++;
		guess_failed(a->guesses, x->address, loop_now());
	} else if (v == VERDICT_LATER) {
		log_event(LOG_NOTICE, "login_later", F_SLICE("name", x->name), F_ERR(&e));
	}
	if (v != VERDICT_OK) {
		say(q, v, "");
		return;
	}
	a->logins++;
	guess_good(a->guesses, x->address, loop_now());
	secret_good_address(a->credentials, x->address);
	msg_scram_final_answer(q, &(struct msg_scram_final_reply){.verdict = VERDICT_OK,
					  .account = account,
					  .ticket = slice_make(ticket, sizeof ticket),
					  .signature = slice_make(signature, sizeof signature)});
}

void auth_on_scram_final(struct channel_request *q, void *arg)
{
	struct auth_role *a = ((struct role_run *)arg)->state;
	struct msg_scram_final m;
	struct scram_exchange x;
	err e = {0};

	if (!msg_scram_final_take(q, &m))
		return;
	if (m.exchange.n != SCRAM_EXCHANGE_SIZE || m.proof.n != HASH_SIZE) {
		channel_offense(channel_request_channel(q), "a SCRAM proof of a wrong size");
		return;
	}
	if (scram_exchange_take(a->exchanges, (const uint8_t *)m.exchange.p, m.protocol, auth_frontend_of(q),
		    loop_now(), &x, &e) < 0) {
		say(q, VERDICT_LATER, "The log-in took too long; begin again");
		return;
	}
	finish(a, q, &x, &m);
	scram_exchange_end(&x);
}

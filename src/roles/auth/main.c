/*
 * The auth role: passwords and private keys. It has its own folder and no network, and tells nobody more than
 * yes, no or later. A frontend that asks gets a one-time ticket; only the backend can turn it into an
 * account.
 */
#include "base/log.h"
#include "io/tls.h"
#include "roles/auth/auth_role.h"

#define ASK_MS  20000
#define WORKERS 2 /* hashes at once: 19 MiB each */

int auth_look_up(struct auth_role *a, slice name, struct msg_account_lookup_reply *ret, err *e)
{
	struct msg_account_lookup m = {.name = name};
	struct channel_answer hold;

	if (ask_account_lookup(role_peer(a->role, ROLE_BACKEND), &m, ret, &hold, loop_now() + ASK_MS, e) < 0)
		return -1;
	channel_answer_free(&hold);
	return 0;
}

uint64_t auth_frontend_of(const struct channel_request *q)
{
	uint8_t instance;

	channel_peer(channel_request_channel(q), &instance);
	return instance;
}

bool auth_is_loopback(const uint8_t address[16])
{
	static const uint8_t six[16] = {[15] = 1}, mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(address, six, 16) == 0 || (memcmp(address, mapped, 12) == 0 && address[12] == 127);
}

bool auth_may_try(struct auth_role *a, const uint8_t address[16])
{
	uint32_t wait = auth_is_loopback(address) ? 0 : guess_delay(a->guesses, address, loop_now());

	return wait != GUESS_REFUSE && (wait == 0 || fiber_sleep(wait) == 0);
}

static void say(struct channel_request *q, enum verdict v, const char *text)
{
	msg_login_answer(q, &(struct msg_login_reply){.verdict = (uint8_t)v, .text = slice_of(text)});
}

/*
 * The same work and the same answer for a name that is unknown, an account that is switched off and a wrong
 * password: a stranger learns nothing from text or time.
 */
static void on_login(struct channel_request *q, void *arg)
{
	struct auth_role *a = ((struct role_run *)arg)->state;
	struct msg_login m;
	struct msg_account_lookup_reply who = {0};
	uint8_t ticket[TICKET_SIZE];
	err e = {0};

	if (!msg_login_take(q, &m))
		return;
	if (m.address.n != sizeof((struct secret_question *)0)->address) {
		channel_offense(channel_request_channel(q), "a login without an address");
		return;
	}
	if (m.as.n > 0 && !slice_ieq(m.as, m.name)) { /* nobody may act as somebody else yet */
		a->failed++;
		say(q, VERDICT_BAD, "");
		return;
	}
	if (auth_look_up(a, m.name, &who, &e) < 0) {
		say(q, VERDICT_LATER, "");
		return;
	}
	struct secret_question c = {.account = who.found ? who.account : 0,
		.epoch = who.epoch,
		.name = m.name,
		.secret = m.secret};
	memcpy(c.address, m.address.p, sizeof c.address);
	if (!auth_may_try(a, c.address)) {
		a->failed++;
		say(q, VERDICT_LATER, AUTH_TOO_MANY);
		return;
	}
	int rc = secret_check(a->credentials, &c, &e);
	if (rc < 0 && e.kind != ERR_DENIED) {
		log_event(LOG_NOTICE, "login_later", F_SLICE("name", m.name), F_ERR(&e));
		say(q, VERDICT_LATER, "");
	} else if (rc < 0 || !who.enabled) {
		a->failed++;
		guess_failed(a->guesses, c.address, loop_now());
		say(q, VERDICT_BAD, "");
	} else if (ticket_make(a->tickets, who.account, m.protocol, auth_frontend_of(q), loop_now(), ticket,
			   &e) < 0) {
		say(q, VERDICT_LATER, "");
	} else {
		a->logins++;
		guess_good(a->guesses, c.address, loop_now());
		msg_login_answer(q, &(struct msg_login_reply){.verdict = VERDICT_OK,
					    .account = who.account,
					    .ticket = slice_make(ticket, sizeof ticket)});
	}
}

static void on_ticket(struct channel_request *q, void *arg)
{
	struct auth_role *a = ((struct role_run *)arg)->state;
	struct msg_ticket m;
	uint32_t account = 0;
	err e;

	if (!msg_ticket_take(q, &m))
		return;
	bool good =
		m.ticket.n == TICKET_SIZE && ticket_redeem(a->tickets, (const uint8_t *)m.ticket.p,
						     m.protocol, m.frontend, loop_now(), &account, &e) == 0;
	msg_ticket_answer(q, &(struct msg_ticket_reply){.good = good, .account = account});
}

static void on_secret_set(struct channel_request *q, void *arg)
{
	struct auth_role *a = ((struct role_run *)arg)->state;
	struct msg_secret_set m;
	err e = {0};

	if (!msg_secret_set_take(q, &m))
		return;
	if (secret_set(a->credentials, m.account, m.secret, &e) < 0)
		channel_answer_error(q, e.kind, e.text);
	else
		msg_secret_set_answer(q, &(struct msg_secret_set_reply){0});
}

static void on_secret_remove(struct channel_request *q, void *arg)
{
	struct auth_role *a = ((struct role_run *)arg)->state;
	struct msg_secret_remove m;
	err e = {0};

	if (!msg_secret_remove_take(q, &m))
		return;
	if (secret_remove(a->credentials, m.account, &e) < 0)
		channel_answer_error(q, e.kind, e.text);
	else
		msg_secret_remove_answer(q, &(struct msg_secret_remove_reply){0});
}

static void handlers(channel_handler **table)
{
	table[MESSAGE_KEY] = auth_on_key;
	table[MESSAGE_SIGN] = auth_on_sign;
	table[MESSAGE_LOGIN] = on_login;
	table[MESSAGE_SCRAM_FIRST] = auth_on_scram_first;
	table[MESSAGE_SCRAM_FINAL] = auth_on_scram_final;
	table[MESSAGE_TICKET] = on_ticket;
	table[MESSAGE_SECRET_SET] = on_secret_set;
	table[MESSAGE_SECRET_REMOVE] = on_secret_remove;
	table[MESSAGE_RELAY_SECRET_SET] = auth_on_relay_secret_set;
	table[MESSAGE_RELAY_SECRET_REMOVE] = auth_on_relay_secret_remove;
	table[MESSAGE_RELAY_SECRET] = auth_on_relay_secret;
}

/* OpenSSL reads no file of its own later: it is set up, without its config, while it still could. */
static int prepare(struct role_run *r, err *e)
{
	(void)r;
	return tls_library_init(e);
}

static void on_peer(struct role_run *r, enum role peer, uint8_t instance, bool up)
{
	if (peer == ROLE_FRONTEND && up)
		auth_ticket_keys_give(r, instance);
}

static int start(struct role_run *r, err *e)
{
	struct auth_role *a = r->state;

	a->role = r;
	a->tickets = tickets_new();
	a->guesses = guesses_new();
	a->exchanges = scram_exchanges_new();
	if (!a->tickets || !a->guesses || !a->exchanges)
		return err_set(e, ERR_TEMP, "no memory");
	a->credentials =
		credentials_open(".", WORKERS, e); /* the sandbox made the folder the working directory */
	return a->credentials ? auth_ticket_keys_start(a, e) : -1;
}

static void status(struct role_run *r, struct buf *json)
{
	const struct auth_role *a = r->state;

	buf_addf(json, ",\"logins\":%llu,\"failed\":%llu,\"signatures\":%llu", (unsigned long long)a->logins,
		(unsigned long long)a->failed, (unsigned long long)a->signs);
}

static void end(struct role_run *r)
{
	struct auth_role *a = r->state;

	credentials_close(a->credentials);
	tickets_free(a->tickets);
	guesses_free(a->guesses);
	scram_exchanges_free(a->exchanges);
	key_free(a->key);
}

int main(int argc, char **argv)
{
	static struct auth_role state;
	static const struct role_ops ops = {
		.role = ROLE_AUTH,
		.sandbox = &auth_sandbox,
		.workers = WORKERS,
		.prepare = prepare,
		.peer = on_peer,
		.start = start,
		.handlers = handlers,
		.status = status,
		.end = end,
	};

	return role_main(argc, argv, &ops, &state);
}

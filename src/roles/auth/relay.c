/* The secrets of log-ins at smart hosts. The table of messages lets the backend set them and outbound ask. */
#include "auth/relay.h"
#include "roles/auth/auth_role.h"

static struct credentials *credentials_of(void *arg)
{
	return ((struct auth_role *)((struct role_run *)arg)->state)->credentials;
}

void auth_on_relay_secret_set(struct channel_request *q, void *arg)
{
	struct msg_relay_secret_set m;
	err e = {0};

	if (!msg_relay_secret_set_take(q, &m))
		return;
	int rc = relay_secret_set(credentials_of(arg), m.route, m.secret, &e);
	if (m.secret.n)
		explicit_bzero((char *)(uintptr_t)m.secret.p, m.secret.n);
	if (rc < 0)
		channel_answer_error(q, e.kind, e.text);
	else
		msg_relay_secret_set_answer(q, &(struct msg_relay_secret_set_reply){0});
}

void auth_on_relay_secret_remove(struct channel_request *q, void *arg)
{
	struct msg_relay_secret_remove m;
	err e = {0};

	if (!msg_relay_secret_remove_take(q, &m))
		return;
	if (relay_secret_remove(credentials_of(arg), m.route, &e) < 0)
		channel_answer_error(q, e.kind, e.text);
	else
		msg_relay_secret_remove_answer(q, &(struct msg_relay_secret_remove_reply){0});
}

void auth_on_relay_secret(struct channel_request *q, void *arg)
{
	struct msg_relay_secret m;
	struct buf secret = BUF_INIT(LIMIT_SECRET);
	err e = {0};

	if (!msg_relay_secret_take(q, &m))
		return;
	if (!buf_room(&secret, LIMIT_SECRET))
		channel_answer_error(q, ERR_TEMP, "no memory");
	else if (relay_secret_get(credentials_of(arg), m.route, &secret, &e) < 0)
		channel_answer_error(q, e.kind, e.text);
	else
		msg_relay_secret_answer(q, &(struct msg_relay_secret_reply){.secret = buf_slice(&secret)});
	if (secret.p)
		explicit_bzero(secret.p, secret.cap);
	buf_free(&secret);
}

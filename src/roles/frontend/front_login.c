#include "base/log.h"
#include "roles/frontend/frontend.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOGIN_MS   60000 /* a hash may wait in auth's queue */
#define SESSION_MS 30000

enum front_verdict front_login(
	struct conn *c, slice name, slice secret, slice as, struct front_login *ret, char text[201])
{
	struct msg_login m = {.protocol = (uint8_t)c->port->protocol,
		.address = slice_make(c->ip, sizeof c->ip),
		.name = name,
		.secret = secret,
		.as = as};
	struct msg_login_reply reply;
	struct channel_answer hold;
	err e;

	text[0] = 0;
	if (ask_login(role_peer(c->f->role, ROLE_AUTH), &m, &reply, &hold, loop_now() + LOGIN_MS, &e) < 0) {
		if (e.kind == ERR_LIMIT) /* a name or a secret longer than any can be */
			return FRONT_BAD;
		log_event(LOG_WARN, "login_unjudged", F_STR("address", c->address), F_SLICE("name", name),
			F_ERR(&e));
		snprintf(text, 201, "%s", "Passwords cannot be checked just now; try again in a minute");
		return FRONT_TEMP;
	}
	enum front_verdict v = reply.verdict == 1 ? FRONT_OK : reply.verdict == 2 ? FRONT_BAD : FRONT_TEMP;
	if (reply.text.n < 200) {
		memcpy(text, reply.text.p, reply.text.n);
		text[reply.text.n] = 0;
	}
	if (v == FRONT_OK && reply.ticket.n == sizeof ret->ticket) {
		ret->account = reply.account;
		memcpy(ret->ticket, reply.ticket.p, sizeof ret->ticket);
		c->f->logins++;
	} else if (v == FRONT_OK) {
		v = FRONT_TEMP;
	} else {
		c->f->logins_failed += v == FRONT_BAD;
	}
	log_event(LOG_INFO, v == FRONT_OK ? "login" : "login_failed",
		F_STR("protocol", settings_protocols[c->port->protocol].word), F_STR("address", c->address),
		F_SLICE("name", name), F_STR("tls", stream_is_tls(c->io) ? stream_tls_info(c->io) : ""));
	channel_answer_free(&hold);
	return v;
}

/* What was read ahead goes along, at most one buffer full. */
static slice read_ahead(struct stream *io)
{
	slice have = {0};

	return stream_buffered(io) > 0 && stream_fill(io, &have) == 0 ? have : (slice){"", 0};
}

int front_hand_over(struct conn *c, const struct front_login *who, slice tag, uint8_t options, err *e)
{
	bool tls = stream_is_tls(c->io);
	int pair[2] = {-1, -1};
	struct msg_session_reply reply = {0};
	struct channel_answer hold = {0};
	slice rest;

	if (stream_flush(c->io) < 0)
		return err_set(e, ERR_CLOSED, "the client is gone");
	rest = read_ahead(c->io);
	if (tls && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return err_sys(e, ERR_TEMP, "socketpair");
	struct msg_session m = {
		.protocol = (uint8_t)c->port->protocol,
		.ticket = slice_make(who->ticket, sizeof who->ticket),
		.tag = tag,
		.rest = rest,
		.peer = slice_of(c->address),
		.tls = tls ? slice_of(stream_tls_info(c->io)) : (slice){"", 0},
		.options = options,
		.socket = tls ? pair[1] : stream_fd(c->io),
	};
	int rc = ask_session(
		role_peer(c->f->role, ROLE_BACKEND), &m, &reply, &hold, loop_now() + SESSION_MS, e);
	if (rc == 0)
		channel_answer_free(&hold);
	if (pair[1] >= 0)
		close(pair[1]);
	if (rc == 0 && !reply.taken)
		rc = err_set(e, ERR_TEMP, "the mailbox is not available");
	if (rc < 0) {
		if (pair[0] >= 0)
			close(pair[0]);
		return -1;
	}
	stream_consume(c->io, rest.n);
	if (!tls) {
		stream_free(c->io); /* our copy of the descriptor; no shutdown: the connection lives on in the
				       backend */
		return 0;
	}
	struct stream *inner = stream_new(pair[0]);
	if (inner) {
		c->relaying = true;
		stream_relay(c->io, inner);
		stream_free(inner);
	}
	stream_close(c->io);
	return 0;
}

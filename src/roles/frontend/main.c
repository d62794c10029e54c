#include "base/log.h"
#include "limits.h"
#include "roles/frontend/frontend.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define DRAIN_MS    4000
#define FULL_LOG_MS 10000 /* between two lines that say so */
/* Not for connections: the other way of relays, and answers to the supervisor. */
#define FIBERS_KEPT (LIMIT_FIBERS / 3)

typedef void conn_fn(struct conn *c);
static conn_fn *const talks[PROTOCOL_COUNT] = {
	[PROTOCOL_SMTP] = front_smtp,
	[PROTOCOL_SUBMISSION] = front_smtp,
	[PROTOCOL_SUBMISSIONS] = front_smtp,
	[PROTOCOL_LMTP] = front_smtp,
	[PROTOCOL_IMAP] = front_imap,
	[PROTOCOL_IMAPS] = front_imap,
	[PROTOCOL_POP3] = front_pop3,
	[PROTOCOL_POP3S] = front_pop3,
};

static void name_peer(struct conn *c)
{
	struct sockaddr_storage a = {0};
	socklen_t n = sizeof a;
	int on = 1;

	c->ip[15] = 1;
	if (getpeername(c->fd, (struct sockaddr *)&a, &n) < 0)
		return;
	if (a.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a;

		inet_ntop(AF_INET, &v4->sin_addr, c->address, sizeof c->address);
		c->ip[10] = c->ip[11] = 0xff;
		memcpy(c->ip + 12, &v4->sin_addr, 4);
		c->loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	} else if (a.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a;

		memcpy(c->ip, &v6->sin6_addr, 16);
		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
			inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], c->address, sizeof c->address);
			c->loopback = v6->sin6_addr.s6_addr[12] == 127;
		} else {
			inet_ntop(AF_INET6, &v6->sin6_addr, c->address, sizeof c->address);
			c->loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
		}
	} else {
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on,
		sizeof on); /* replies go out whole: nothing to wait for */
}

static void port_unref(struct front_port *p)
{
	if (p->closed && p->connections == 0)
		free(p);
}

static void host_unref(struct front_host *h)
{
	if (--h->users == 0)
		free(h);
}

static void conn_fiber(void *arg)
{
	struct conn *c = arg;
	struct frontend *f = c->f;
	err e;

	name_peer(c);
	c->io = stream_new(c->fd);
	if (c->io && (!settings_protocols[c->port->protocol].tls || front_start_tls(c, c->io, &e) == 0))
		talks[c->port->protocol](c);
	stream_close(c->io); /* NULL when the session was handed over */
	if (c->next)
		c->next->prev = c->prev;
	if (c->prev)
		c->prev->next = c->next;
	else
		f->conns = c->next;
	f->conns_n--;
	c->port->connections--;
	port_unref(c->port);
	host_unref(c->host);
	free(c);
	fiber_signal_all(&f->emptied);
}

static void on_accept(void *arg, int fd)
{
	struct front_port *p = arg;
	struct frontend *f = p->f;
	bool room = fiber_count() < LIMIT_FIBERS - FIBERS_KEPT;
	struct conn *c = f->role->draining || !room ? NULL : calloc(1, sizeof *c);

	if (c) {
		*c = (struct conn){.f = f, .port = p, .host = f->host, .fd = fd, .next = f->conns};
		c->fiber = fiber_start(settings_protocols[p->protocol].word, conn_fiber, c);
	}
	if (!c || !c->fiber) {
		if (!f->role->draining && loop_now() >= f->full_until) {
			log_event(LOG_WARN, "too_many_connections", F_U64("connections", f->conns_n));
			f->full_until = loop_now() + FULL_LOG_MS;
		}
		close(fd);
		free(c);
		return;
	}
	f->host->users++;
	if (f->conns)
		f->conns->prev = c;
	f->conns = c;
	f->conns_n++;
	f->accepted++;
	p->connections++;
}

static void on_listen(struct channel_request *q, void *arg)
{
	struct frontend *f = ((struct role_run *)arg)->state;
	struct msg_listen m;

	if (!msg_listen_take(q, &m))
		return;
	struct front_port *p = m.protocol < PROTOCOL_COUNT && m.socket >= 0 && f->ports_n < PORTS_MAX
				       ? calloc(1, sizeof *p)
				       : NULL;
	if (!p) {
		if (m.socket >= 0)
			close(m.socket);
		channel_answer_error(q, ERR_LIMIT, "cannot take this listener");
		return;
	}
	*p = (struct front_port){.f = f, .id = m.id, .protocol = (enum settings_protocol)m.protocol};
	front_smtp_config(f, p);
	p->listener = listener_new(m.socket, on_accept, p);
	if (!p->listener) {
		free(p);
		channel_answer_error(q, ERR_TEMP, "no memory");
		return;
	}
	f->ports[f->ports_n++] = p;
	msg_listen_answer(q, &(struct msg_listen_reply){0});
}

static void close_port(struct frontend *f, size_t i)
{
	struct front_port *p = f->ports[i];

	listener_free(p->listener);
	f->ports[i] = f->ports[--f->ports_n];
	p->closed = true;
	port_unref(p);
}

static void on_unlisten(struct channel_request *q, void *arg)
{
	struct frontend *f = ((struct role_run *)arg)->state;
	struct msg_unlisten m;

	if (!msg_unlisten_take(q, &m))
		return;
	for (size_t i = 0; i < f->ports_n; i++)
		if (f->ports[i]->id == m.id) {
			close_port(f, i);
			break;
		}
	msg_unlisten_answer(q, &(struct msg_unlisten_reply){0});
}

/* false: no memory; the old name stays. */
static bool note_host(struct frontend *f)
{
	slice host = slice_sub(f->role->settings->host, 0, sizeof f->host->text);
	struct front_host *h = calloc(1, sizeof *h);

	if (!h)
		return false;
	if (host.n)
		memcpy(h->text, host.p, host.n);
	h->name = slice_make(h->text, host.n);
	h->users = 1;
	if (f->host)
		host_unref(f->host);
	f->host = h;
	return true;
}

static void reload(struct role_run *r, const struct settings *before)
{
	struct frontend *f = r->state;

	(void)before;
	if (!note_host(f))
		log_event(LOG_ERROR, "host_not_taken", F_STR("why", "no memory"));
	for (size_t i = 0; i < f->ports_n; i++)
		front_smtp_config(f, f->ports[i]);
}

static void handlers(channel_handler **table)
{
	table[MESSAGE_LISTEN] = on_listen;
	table[MESSAGE_UNLISTEN] = on_unlisten;
	table[MESSAGE_CERTIFICATE] = front_certificate;
	table[MESSAGE_TICKET_KEYS] = front_ticket_keys;
}

static int prepare(struct role_run *r, err *e)
{
	(void)r;
	return tls_library_init(e);
}

static int start(struct role_run *r, err *e)
{
	struct frontend *f = r->state;

	f->role = r;
	return note_host(f) ? 0 : err_set(e, ERR_TEMP, "no memory");
}

/*
 * No new connections; sessions that wait for a command hear 421 or BYE now, those amid a message get their
 * time.
 */
static void drain(struct role_run *r)
{
	struct frontend *f = r->state;
	uint64_t until = loop_now() + DRAIN_MS;

	while (f->ports_n > 0)
		close_port(f, f->ports_n - 1);
	for (struct conn *c = f->conns; c; c = c->next)
		if (!c->relaying && (!c->smtp || smtp_session_idle(c->smtp)))
			fiber_cancel(c->fiber);
	for (;;) {
		size_t busy = 0;

		for (const struct conn *c = f->conns; c; c = c->next)
			busy += !c->relaying; /* the backend ends those it holds */
		if (busy == 0 || fiber_signal_wait(&f->emptied, until) < 0)
			break;
	}
}

static void status(struct role_run *r, struct buf *json)
{
	const struct frontend *f = r->state;

	buf_addf(json,
		",\"connections\":%zu,\"accepted\":%llu,\"messages\":%llu,\"logins\":%llu,\"logins_failed\":%"
		"llu",
		f->conns_n, (unsigned long long)f->accepted, (unsigned long long)f->messages,
		(unsigned long long)f->logins, (unsigned long long)f->logins_failed);
}

int main(int argc, char **argv)
{
	static struct frontend state;
	static const struct role_ops ops = {
		.role = ROLE_FRONTEND,
		.sandbox = &frontend_sandbox,
		.prepare = prepare,
		.start = start,
		.handlers = handlers,
		.reload = reload,
		.drain = drain,
		.status = status,
	};

	return role_main(argc, argv, &ops, &state);
}

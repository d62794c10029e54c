#include "base/log.h"
#include "roles/supervisor/supervisor_int.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define OUR_KEY 1 /* the key of the machine's own certificate */

/* Who talks to whom. */
static const uint32_t neighbours[ROLE_COUNT] = {
	[ROLE_FRONTEND] = 1u << ROLE_BACKEND | 1u << ROLE_AUTH | 1u << ROLE_RESOLVER,
	[ROLE_BACKEND] = 1u << ROLE_FRONTEND | 1u << ROLE_AUTH | 1u << ROLE_OUTBOUND,
	[ROLE_AUTH] = 1u << ROLE_FRONTEND | 1u << ROLE_BACKEND | 1u << ROLE_OUTBOUND,
	[ROLE_RESOLVER] = 1u << ROLE_FRONTEND | 1u << ROLE_OUTBOUND,
	[ROLE_OUTBOUND] = 1u << ROLE_BACKEND | 1u << ROLE_AUTH | 1u << ROLE_RESOLVER,
};

static int give_end(struct child *to, const struct child *of, int fd, err *e)
{
	struct msg_peer m = {.role = (uint8_t)of->role, .instance = of->instance, .channel = fd};
	struct msg_peer_reply reply;
	struct channel_answer hold;

	if (ask_peer(to->channel, &m, &reply, &hold, loop_now() + START_MS, e) < 0)
		return -1;
	channel_answer_free(&hold);
	return 0;
}

static int join(struct child *a, struct child *b, err *e)
{
	int pair[2];

	if (channel_pair(pair) < 0)
		return err_sys(e, ERR_IO, "socketpair");
	int rc = give_end(a, b, pair[0], e);
	if (rc == 0)
		rc = give_end(b, a, pair[1], e);
	close(pair[0]);
	close(pair[1]);
	return rc;
}

int supervisor_give_port(struct child *frontend, const struct port *p, err *e)
{
	struct msg_listen m = {.id = p->id, .protocol = (uint8_t)p->at.protocol, .socket = p->fd};
	struct msg_listen_reply reply;
	struct channel_answer hold;

	if (ask_listen(frontend->channel, &m, &reply, &hold, loop_now() + START_MS, e) < 0)
		return -1;
	channel_answer_free(&hold);
	return 0;
}

int supervisor_give_chain(struct child *frontend, err *e)
{
	struct supervisor *s = frontend->s;
	struct msg_certificate m = {.chain = slice_make(s->chain, s->chain_n), .key = OUR_KEY};
	struct msg_certificate_reply reply;
	struct channel_answer hold;

	if (ask_certificate(frontend->channel, &m, &reply, &hold, loop_now() + START_MS, e) < 0)
		return -1;
	channel_answer_free(&hold);
	return 0;
}

static int open_path(slice path, err *e)
{
	char text[PATH_MAX];

	snprintf(text, sizeof text, "%.*s", (int)(path.n < sizeof text ? path.n : 0), path.p);
	int fd = open(text, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? err_sys(e, ERR_IO, "cannot read \"%s\"", text) : fd;
}

static int read_chain(const struct settings *settings, char to[CHAIN_MAX], size_t *ret_n, err *e)
{
	AUTO_FD fd = open_path(settings->tls_certificate, e);
	size_t n = 0;

	if (fd < 0)
		return -1;
	while (n < CHAIN_MAX) {
		ssize_t got = read(fd, to + n, CHAIN_MAX - n);
		if (got < 0)
			return err_sys(e, ERR_IO, "cannot read the certificate file");
		if (got == 0)
			break;
		n += (size_t)got;
	}
	if (n == 0 || n == CHAIN_MAX)
		return err_set(
			e, ERR_LIMIT, "the certificate file is empty or longer than %d bytes", CHAIN_MAX);
	*ret_n = n;
	return 0;
}

int supervisor_load_key(struct supervisor *s, const struct settings *settings, err *e)
{
	struct child *auth = supervisor_child(s, ROLE_AUTH, 0);
	bool own = settings->tls_certificate.n > 0;
	AUTO_FD file = own ? open_path(settings->tls_key, e) : -1;
	char *chain = own ? malloc(CHAIN_MAX) : NULL;
	size_t chain_n = 0;
	struct msg_key m = {.key = OUR_KEY, .file = file};
	struct msg_key_reply reply;
	struct channel_answer hold;
	int rc = !own       ? 0
		 : file < 0 ? -1
		 : chain    ? read_chain(settings, chain, &chain_n, e)
			    : err_set(e, ERR_TEMP, "no memory");

	supervisor_note_hosts(s, settings);
	m.hosts = slice_of(s->hosts);
	m.chain = slice_make(chain, chain_n);
	if (rc == 0)
		rc = ask_key(auth->channel, &m, &reply, &hold, loop_now() + START_MS, e);
	if (rc == 0) { /* auth has the key, so from now on the chain is this one */
		slice now = own ? m.chain : reply.chain;

		memcpy(s->chain, now.p, now.n);
		s->chain_n = now.n;
		channel_answer_free(&hold);
	}
	free(chain);
	if (rc < 0)
		return -1;
	if (!own && !s->self_signed)
		log_event(LOG_NOTICE, "certificate_self_signed",
			F_STR("why", "the settings name no certificate; mail clients will ask whether to "
				     "trust this one"));
	s->self_signed = !own;
	s->chain_ready = s->chain_n > 0;
	fiber_signal_all(&s->changed);
	return 0;
}

/* A frontend needs the certificate before it may greet, and then its listeners. */
static int wire_frontend(struct child *c, err *e)
{
	struct supervisor *s = c->s;

	while (!s->chain_ready)
		if (s->stopping || !c->channel || fiber_signal_wait(&s->changed, loop_now() + START_MS) < 0)
			return err_set(e, ERR_TIMEOUT, "auth has no certificate for us");
	if (supervisor_give_chain(c, e) < 0)
		return -1;
	for (size_t i = 0; i < s->ports_n; i++)
		if (supervisor_give_port(c, &s->ports[i], e) < 0)
			return -1;
	return 0;
}

static void note_ready(struct supervisor *s)
{
	if (s->ready)
		return;
	for (size_t i = 0; i < s->children_n; i++)
		if (!s->children[i].wired)
			return;
	s->ready = true;
	log_event(LOG_NOTICE, "ready", F_U64("roles", s->children_n), F_U64("ports", s->ports_n),
		F_U64("ms", loop_now() - s->started_ms));
	if (s->options->ready_fd >= 0 && write(s->options->ready_fd, "r", 1) != 1)
		log_event(LOG_WARN, "ready_unheard", F_U64("fd", s->options->ready_fd));
}

/* Frontends that were up before this auth have the chain of a key that may have died with the one before. */
static int wire_auth(struct child *c, err *e)
{
	struct supervisor *s = c->s;
	int rc = supervisor_load_key(s, s->config.settings, e);

	for (size_t i = 0; i < s->children_n && rc == 0; i++) {
		struct child *f = &s->children[i];

		if (f->role == ROLE_FRONTEND && f->up && supervisor_give_chain(f, e) < 0 && f->up)
			rc = -1;
	}
	return rc;
}

int supervisor_wire(struct child *c, err *e)
{
	struct supervisor *s = c->s;

	if (c->role == ROLE_AUTH && wire_auth(c, e) < 0)
		return -1;
	/* From here on others may be joined to it. Whoever came up second makes the pair, so nobody makes it
	 * twice. */
	c->up = true;
	c->order = ++s->orders;
	for (size_t i = 0; i < s->children_n; i++) {
		struct child *other = &s->children[i];
		uint64_t order = other->order;
		err lost;

		if (other == c || !other->up || order > c->order ||
			!(neighbours[c->role] & 1u << other->role))
			continue;
		if (join(c, other, &lost) < 0 && c->up && other->up && other->order == order) {
			*e = lost;
			return -1;
		}
	}
	if (c->role == ROLE_FRONTEND && wire_frontend(c, e) < 0)
		return -1;
	if (supervisor_catch_up(c, e) < 0)
		return -1;
	c->wired = true;
	fiber_signal_all(&s->changed);
	note_ready(s);
	return 0;
}

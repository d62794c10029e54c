#include "io/dial.h"
#include "io/loop_int.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct attempt { /* lives until libuv has let go of its handle */
	uv_poll_t poll;
	struct fiber *fiber; /* NULL: nobody waits any more */
	uint64_t until;
	size_t which;
	int fd;
	bool ready;
};

struct dialing {
	const struct dial *d;
	struct attempt *open[DIAL_MAX];
	size_t open_n;
	size_t next; /* the next address to be tried */
	uint64_t next_at;
	size_t failed; /* the last that did */
	int error;
};

bool dial_address_parse(const char *text, struct dial_address *ret)
{
	uint8_t ip[16] = {0};
	uint8_t family = inet_pton(AF_INET, text, ip) == 1 ? 4 : inet_pton(AF_INET6, text, ip) == 1 ? 6 : 0;

	if (family == 0)
		return false;
	ret->family = family;
	memcpy(ret->ip, ip, sizeof ip);
	return true;
}

void dial_address_text(const struct dial_address *v, char ret[46])
{
	inet_ntop(v->family == 4 ? AF_INET : AF_INET6, v->ip, ret, 46);
}

bool dial_address_is_own(const struct dial_address *v)
{
	static const uint8_t zero[16], mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *ip = v->ip;

	if (v->family == 6) {
		if (ip[0] == 0xff)
			return true;
		/* ::, ::1, and the old "compatible" form of IPv4 */
		if (memcmp(ip, zero, 12) != 0 && memcmp(ip, mapped, 12) != 0)
			return false;
		if (memcmp(ip, zero, 15) == 0 && ip[15] <= 1)
			return true;
		ip += 12;
	}
	return ip[0] == 127 || ip[0] == 0 || ip[0] >> 4 == 14 || memcmp(ip, "\377\377\377\377", 4) == 0;
}

static socklen_t fill(const struct dial_address *v, uint16_t port, union address *ret)
{
	memset(ret, 0, sizeof *ret);
	if (v->family == 4) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(port);
		memcpy(&ret->v4.sin_addr, v->ip, 4);
		return sizeof ret->v4;
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(port);
	memcpy(&ret->v6.sin6_addr, v->ip, 16);
	return sizeof ret->v6;
}

/* The port is chosen at connect, by the whole of both ends: a source address has more than 28,000 of them. */
static int bind_source(int fd, const struct dial_address *source)
{
	union address a;
	socklen_t n = fill(source, 0, &a);
	int on = 1;

	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	return bind(fd, &a.any, n);
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

/* Gives the descriptor out, or closes it with the rest. */
static int attempt_end(struct attempt *t, bool keep)
{
	int fd = t->fd;

	t->fiber = NULL;
	uv_close((uv_handle_t *)&t->poll, on_closed);
	if (!keep)
		close(fd);
	return keep ? fd : -1;
}

static void on_ready(uv_poll_t *h, int status, int events)
{
	struct attempt *t = h->data;

	(void)status;
	(void)events;
	uv_poll_stop(h);
	t->ready = true;
	if (t->fiber)
		fiber_wake(t->fiber);
}

static int connect_to(const struct dial *d, const struct dial_address *to, int *ret_fd)
{
	const struct dial_address *source = to->family == 4 ? d->source4 : d->source6;
	AUTO_FD fd =
		socket(to->family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	union address a;
	socklen_t n = fill(to, to->port, &a);
	int on = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (source && bind_source(fd, source) < 0)
		return -errno;
	if (connect(fd, &a.any, n) < 0 && errno != EINPROGRESS)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static void note(struct dialing *s, size_t which, int error)
{
	s->failed = which;
	s->error = error;
}

static void begin(struct dialing *s)
{
	size_t which = s->next++;
	struct attempt *t = calloc(1, sizeof *t);
	int fd = -1, rc = t ? connect_to(s->d, &s->d->v[which], &fd) : -ENOMEM;

	s->next_at = loop_now() + s->d->stagger_ms;
	if (rc == 0 && (uv_poll_init(&loop_self()->uv, &t->poll, fd) < 0))
		rc = -ENOMEM;
	if (rc < 0) {
		note(s, which, -rc);
		s->next_at = 0;
		if (fd >= 0)
			close(fd);
		free(t);
		return;
	}
	t->poll.data = t;
	t->fd = fd;
	t->which = which;
	t->fiber = fiber_self();
	t->until = loop_now() + s->d->each_ms;
	uv_poll_start(&t->poll, UV_WRITABLE, on_ready);
	s->open[s->open_n++] = t;
}

/* What became of those under way. True: one is connected, and it is the last of open[]. */
static bool look(struct dialing *s)
{
	for (size_t i = 0; i < s->open_n;) {
		struct attempt *t = s->open[i];
		int error = 0;
		socklen_t n = sizeof error;

		if (t->ready && (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0))
			error = errno;
		if (t->ready && error == 0) {
			s->open[i] = s->open[s->open_n - 1];
			s->open[s->open_n - 1] = t;
			return true;
		}
		if (!t->ready && loop_now() < t->until) {
			i++;
			continue;
		}
		note(s, t->which, t->ready ? error : ETIMEDOUT);
		if (t->ready) /* a clear no: the next one need not wait */
			s->next_at = 0;
		attempt_end(t, false);
		s->open[i] = s->open[--s->open_n];
	}
	return false;
}

static uint64_t wait_until(const struct dialing *s, size_t n)
{
	uint64_t until = s->d->deadline;

	if (s->next < n && s->next_at < until)
		until = s->next_at;
	for (size_t i = 0; i < s->open_n; i++)
		if (s->open[i]->until < until)
			until = s->open[i]->until;
	return until;
}

static int run(struct dialing *s, int *ret_fd, size_t *ret_which)
{
	size_t n = s->d->n < DIAL_MAX ? s->d->n : DIAL_MAX;

	for (;;) {
		if (look(s)) {
			struct attempt *t = s->open[--s->open_n];

			*ret_which = t->which;
			*ret_fd = attempt_end(t, true);
			return 0;
		}
		if (loop_now() >= s->d->deadline)
			return -ETIMEDOUT;
		if (s->next < n && loop_now() >= s->next_at) {
			begin(s);
			continue;
		}
		if (s->open_n == 0 && s->next == n)
			return -ENOTCONN;
		if (fiber_park(wait_until(s, n)) == -ECANCELED)
			return -ECANCELED;
	}
}

int dial(const struct dial *d, int *ret_fd, size_t *ret_which, err *e)
{
	struct dialing s = {.d = d};
	int fd = -1;
	size_t which = 0;
	char text[46] = "nobody";
	int rc = run(&s, &fd, &which);

	while (s.open_n > 0)
		attempt_end(s.open[--s.open_n], false);
	if (rc == 0) {
		*ret_fd = fd;
		*ret_which = which;
		return 0;
	}
	if (rc == -ECANCELED)
		return err_set(e, ERR_CANCELED, "cancelled");
	if (d->n > 0)
		dial_address_text(&d->v[s.failed], text);
	if (s.error == EMFILE || s.error == ENFILE || s.error == ENOMEM || s.error == ENOBUFS)
		return err_set(e, ERR_TEMP, "no room for one more connection: %s", err_sys_text(s.error));
	if (rc == -ETIMEDOUT || s.error == ETIMEDOUT)
		return err_set(e, ERR_TIMEOUT, "%s does not answer", text);
	return err_set(e, ERR_IO, "connecting to %s: %s", text, err_sys_text(s.error));
}

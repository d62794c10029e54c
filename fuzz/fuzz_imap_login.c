/* The whole IMAP session before login over a socket pair: what strangers can say to it. */
#include "imap/login.h"
#include "io/loop.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_starttls(void *ctx, struct stream *io)
{
	(void)ctx;
	(void)io;
	return -EPROTO;
}

static int on_login(void *ctx, const struct imap_credentials *c, err *e)
{
	(void)ctx;
	if (c->user.n == 0)
		return err_set(e, ERR_DENIED, "no");
	return c->user.p[0] == 'a' ? 0 : err_set(e, c->user.p[0] == 't' ? ERR_TEMP : ERR_DENIED, "no");
}

static int on_handoff(void *ctx, struct stream *io, slice tag, err *e)
{
	(void)ctx;
	(void)io;
	if (tag.n == 0)
		abort();
	return err_set(e, ERR_TEMP, "no");
}

static void serve(void *arg)
{
	static const struct imap_login_ops ops = {on_starttls, on_login, on_handoff};
	struct imap_login_config config = {S("fuzz"), true, 50};
	struct stream *io = arg;

	if (imap_login_run(io, &config, &ops, NULL) != IMAP_LOGIN_ENDED)
		abort();
	stream_close(io);
}

struct player {
	int fd;
	const uint8_t *data;
	size_t size;
};

static void play(void *arg)
{
	struct player *p = arg;
	char drop[4096];

	while (p->size > 0) {
		ssize_t n = send(p->fd, p->data, p->size < 500 ? p->size : 500, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break;
		if (n > 0)
			p->data += n, p->size -= (size_t)n;
		while (recv(p->fd, drop, sizeof drop, MSG_DONTWAIT) > 0)
			;
		fiber_yield();
	}
	shutdown(p->fd, SHUT_WR);
	close(p->fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct loop *l = loop_new("fuzz");
	uint8_t *copy = malloc(size ? size : 1);
	int fd[2];

	memcpy(copy, data, size);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		abort();
	struct player p = {fd[1], copy, size};
	struct stream *io = stream_new(fd[0]);
	if (!io || !fiber_start("serve", serve, io) || !fiber_start("play", play, &p))
		abort();
	loop_run(l);
	loop_free(l);
	free(copy);
	return 0;
}

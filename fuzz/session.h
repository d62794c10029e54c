/* Plays fuzzed bytes as a client: the session serves one end of a socket pair, whatever it answers is
 * dropped. */
#pragma once
#include "io/loop.h"
#include "io/stream.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fuzz_player {
	int fd;
	const uint8_t *data;
	size_t size;
};

static void fuzz_play(void *arg)
{
	struct fuzz_player *p = arg;
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

/* serve gets the stream and closes it. The input is copied to a block of its size: an over-read is seen. */
static int fuzz_session(const uint8_t *data, size_t size, fiber_fn *serve)
{
	struct loop *l = loop_new("fuzz");
	uint8_t *copy = malloc(size ? size : 1);
	int fd[2];

	if (!l || !copy || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		abort();
	memcpy(copy, data, size);
	struct fuzz_player p = {fd[1], copy, size};
	struct stream *io = stream_new(fd[0]);
	if (!io || !fiber_start("serve", serve, io) || !fiber_start("play", fuzz_play, &p))
		abort();
	loop_run(l);
	loop_free(l);
	free(copy);
	return 0;
}

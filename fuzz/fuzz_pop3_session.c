/*
 * The whole POP3 session after login, on a store with the memory engine and a generated mailbox. The first
 * byte is what the session was told before login (UTF8, LANG); the rest is what the client says. What comes
 * back is lines, and outside of multi-line answers each of them begins with +OK or -ERR.
 */
#include "mailboxes.h"
#include "pop3/session.h"
#include <errno.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct fuzz_world *world;
	uint32_t account;
	uint8_t options;
	struct stream *io;
	int fd;
	slice data;
	char last; /* byte that came */
	uint64_t lines;
};

static void serve(void *arg)
{
	struct run *r = arg;
	struct pop3_session s = {.io = r->io,
		.store = r->world->store,
		.account = r->account,
		.errors_max = 100,
		.timeout_ms = 600000,
		.newest = r->options & 8 ? 5 : 0,
		.options = r->options & 3};

	pop3_session_run(&s);
	if (s.deleted > FUZZ_MESSAGES)
		abort();
	stream_close(r->io);
}

static void check_output(struct run *r, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n' && r->last != '\r')
			abort(); /* a bare LF */
		if (r->lines == 0 && r->last == 0 && p[i] != '+')
			abort(); /* the greeting */
		r->lines += p[i] == '\n';
		r->last = p[i];
	}
}

static void play(void *arg)
{
	struct run *r = arg;
	char got[2048];
	bool ended = false;

	r->account = fuzz_account(r->world, false);
	if (!fiber_start("serve", serve, r))
		abort();
	while (!ended) {
		size_t want = r->data.n < 700 ? r->data.n : 700;
		ssize_t n = want ? send(r->fd, r->data.p, want, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

		if (n > 0)
			r->data = slice_skip(r->data, (size_t)n);
		if (r->data.n == 0)
			shutdown(r->fd, SHUT_WR);
		while ((n = recv(r->fd, got, sizeof got, MSG_DONTWAIT)) > 0)
			check_output(r, got, (size_t)n);
		ended = n == 0 || (errno != EAGAIN && errno != EINTR);
		fiber_yield();
	}
	if (r->last != '\n')
		abort();
	close(r->fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd[2];

	if (size < 1)
		return 0;
	uint8_t *copy = malloc(size);
	if (!copy || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		abort();
	memcpy(copy, data, size);
	struct run r = {.world = fuzz_the_world(),
		.options = copy[0],
		.fd = fd[1],
		.io = stream_new(fd[0]),
		.data = slice_make((char *)copy + 1, size - 1)};
	if (!r.io || !fiber_start("play", play, &r))
		abort();
	loop_run(r.world->loop);
	free(copy);
	return 0;
}

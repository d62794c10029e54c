/*
 * The whole IMAP session after login, on a store with the memory engine and a generated mailbox. The first
 * byte is how much is sent at once, the rest is what the client says; FUZZ_SWITCH in it lets a second session
 * of the same account say what follows. What comes back is lines; literals are as long as they say; nobody is
 * disconnected without BYE. After COMPRESS the player speaks deflate, too.
 */
#include "imap/session.h"
#include "imap_commands.h"
#include "mailboxes.h"
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct check {         /* of the output */
	uint64_t skip; /* bytes of a literal to come */
	size_t n;
	char line[64]; /* the line's end */
	char head[8];  /* its beginning */
	size_t head_n;
	bool bye, deflate;
};

struct side {
	struct run *run;
	struct stream *io;
	int fd;
	bool ended, shut;
	struct check check;
	bool compressed;
	z_stream in, out;
};

struct run {
	struct fuzz_world *world;
	uint32_t account;
	slice data;
	size_t step;
	struct side side[2];
	unsigned sides;
};

static void serve(void *arg)
{
	static const struct imap_session_config config = {
		.message_max = 3 << 20, .silence_ms = 1800000, .errors_max = 100};
	struct side *side = arg;
	struct run *r = side->run;

	struct imap_start start = {.io = side->io,
		.store = r->world->store,
		.codec = r->world->codec,
		.watch_loop = r->world->watch_loop,
		.account = r->account,
		.tag = S("t"),
		.config = &config};
	imap_session_run(&start);
	stream_close(side->io);
}

/* ---- what comes back ---- */

static void line_done(struct check *c)
{
	static const slice compressed = SLICE_INIT("compressed from here on");
	uint64_t size;

	if (c->n == 0 || c->line[c->n - 1] != '\r')
		abort();
	c->n--;
	slice line = slice_make(c->line, c->n);
	c->bye |= c->head_n >= 5 && memcmp(c->head, "* BYE", 5) == 0;
	c->deflate |= slice_find(line, compressed) >= 0;
	size_t at = c->n;
	while (at > 0 && c->line[at - 1] != '{')
		at--;
	if (at > 0 && c->line[c->n - 1] == '}' &&
		slice_to_u64(slice_make(c->line + at, c->n - 1 - at), UINT64_MAX, &size))
		c->skip = size;
	c->n = c->head_n = 0;
}

/* Returns how many bytes were looked at: all, or up to the line that turns compression on. */
static size_t check_output(struct check *c, const char *p, size_t n)
{
	bool before = c->deflate;

	for (size_t i = 0; i < n; i++) {
		if (c->skip > 0) {
			c->skip--; /* a literal8 may hold anything */
			continue;
		}
		if (p[i] == 0)
			abort();
		if (p[i] == '\n') {
			line_done(c);
			if (c->deflate && !before)
				return i + 1;
			continue;
		}
		if (c->head_n < sizeof c->head)
			c->head[c->head_n++] = p[i];
		if (c->n == sizeof c->line) {
			memmove(c->line, c->line + 1, sizeof c->line - 1);
			c->n--;
		}
		c->line[c->n++] = p[i];
	}
	return n;
}

static void check_deflated(struct side *s, const char *p, size_t n)
{
	char plain[2048];

	s->in.next_in = (Bytef *)(uintptr_t)p;
	s->in.avail_in = (uInt)n;
	do {
		s->in.next_out = (Bytef *)plain;
		s->in.avail_out = sizeof plain;
		int rc = inflate(&s->in, Z_SYNC_FLUSH);
		if (rc != Z_OK && rc != Z_BUF_ERROR)
			abort();
		check_output(&s->check, plain, sizeof plain - s->in.avail_out);
	} while (s->in.avail_out == 0);
}

/* Whether anything came. */
static bool hear(struct side *s)
{
	char got[2048];
	ssize_t n;
	bool any = false;

	while ((n = recv(s->fd, got, sizeof got, MSG_DONTWAIT)) > 0) {
		size_t seen = s->compressed ? 0 : check_output(&s->check, got, (size_t)n);

		any = true;
		if (s->check.deflate && !s->compressed) {
			s->compressed = true;
			if (inflateInit2(&s->in, -15) != Z_OK ||
				deflateInit2(&s->out, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
				abort();
		}
		if (seen < (size_t)n)
			check_deflated(s, got + seen, (size_t)n - seen);
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		s->ended = true;
	return any;
}

/* ---- what is said ---- */

/* How much of the rest may go out before something must be waited for. */
static size_t until_stop(slice rest, bool *ret_stops)
{
	static const slice compress = SLICE_INIT("COMPRESS DEFLATE\r\n");
	ptrdiff_t at = slice_find(rest, compress);
	ptrdiff_t other = slice_find_c(rest, FUZZ_SWITCH);

	*ret_stops = true;
	if (at >= 0 && (other < 0 || at < other))
		return (size_t)at + compress.n;
	*ret_stops = other >= 0;
	return other >= 0 ? (size_t)other : rest.n;
}

static size_t say(struct side *s, slice what)
{
	char packed[4096];

	if (!s->compressed) {
		ssize_t n = send(s->fd, what.p, what.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		return n > 0 ? (size_t)n : s->ended ? what.n : 0;
	}
	what = slice_sub(what, 0, 1000);
	s->out.next_in = (Bytef *)(uintptr_t)what.p;
	s->out.avail_in = (uInt)what.n;
	s->out.next_out = (Bytef *)packed;
	s->out.avail_out = sizeof packed;
	if (deflate(&s->out, Z_SYNC_FLUSH) != Z_OK || s->out.avail_in > 0)
		abort();
	for (size_t at = 0, end = sizeof packed - s->out.avail_out; at < end && !s->ended;) {
		ssize_t n = send(s->fd, packed + at, end - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		(void)hear(s);
		fiber_yield();
	}
	return what.n;
}

/* Until the session has read all and been quiet for some turns: what follows then comes behind it. */
static void settle(struct run *r, struct side *s)
{
	int unread;

	for (unsigned quiet = 0; quiet < 4 && !s->ended; quiet++) {
		for (unsigned i = 0; i < r->sides; i++)
			if (hear(&r->side[i]))
				quiet = 0;
		if (ioctl(s->fd, TIOCOUTQ, &unread) == 0 && unread > 0)
			quiet = 0;
		fiber_yield();
	}
}

static void finish(struct run *r)
{
	for (bool open = true; open;) {
		open = false;
		for (unsigned i = 0; i < r->sides; i++) {
			struct side *s = &r->side[i];

			if (!s->shut && !s->ended)
				shutdown(s->fd, SHUT_WR);
			s->shut = true;
			(void)hear(s);
			open |= !s->ended;
		}
		fiber_yield();
	}
}

static void talk(struct run *r)
{
	unsigned at = 0;

	while (r->data.n > 0 && !r->side[at].ended) {
		struct side *s = &r->side[at];
		bool stops;
		size_t run = until_stop(r->data, &stops), n = run < r->step ? run : r->step, said = 0;

		if (n > 0)
			said = say(s, slice_sub(r->data, 0, n));
		r->data = slice_skip(r->data, said);
		for (unsigned i = 0; i < r->sides; i++)
			(void)hear(&r->side[i]);
		fiber_yield();
		if (s->ended && !s->check.bye && !s->compressed)
			abort(); /* disconnected without a word */
		if (!stops || said < run)
			continue;
		settle(r, s);
		if (r->data.n > 0 && r->data.p[0] == FUZZ_SWITCH) {
			r->data = slice_skip(r->data, 1);
			at = (at + 1) % r->sides;
		}
	}
	finish(r);
}

static void play(void *arg)
{
	struct run *r = arg;

	r->account = fuzz_account(r->world, true);
	for (unsigned i = 0; i < r->sides; i++)
		if (!fiber_start("serve", serve, &r->side[i]))
			abort();
	talk(r);
	for (unsigned i = 0; i < r->sides; i++) {
		struct side *s = &r->side[i];

		close(s->fd);
		if (s->compressed) {
			inflateEnd(&s->in);
			deflateEnd(&s->out);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	uint8_t *copy = malloc(size);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	struct run r = {.world = fuzz_the_world(), .data = slice_make((char *)copy + 1, size - 1)};
	r.step = 1 + copy[0] * (size_t)16;
	r.sides = memchr(copy + 1, FUZZ_SWITCH, size - 1) ? 2 : 1;
	for (unsigned i = 0; i < r.sides; i++) {
		int fd[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
			abort();
		r.side[i] = (struct side){.run = &r, .fd = fd[1], .io = stream_new(fd[0])};
		if (!r.side[i].io)
			abort();
	}
	if (!fiber_start("play", play, &r))
		abort();
	loop_run(r.world->loop);
	free(copy);
	return 0;
}

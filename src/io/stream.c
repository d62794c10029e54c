#include "io/stream.h"
#include "base/buf.h"
#include "io/codec.h"
#include "io/loop_int.h"
#include "io/tls.h"
#include "limits.h"
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_GATHER 32768   /* written out when this much is gathered */
#define OUT_MAX    1048576 /* one write call's copy is cut into pieces long before this */
#define DIRECT_MIN 16384   /* a write this large goes out without being copied first */
#define FAIR_BYTES                                                                                           \
	262144 /* read without a wait; then the loop's other fibers run, and the deadline counts             \
		*/
#define RELAY_WRITE_MS 300000 /* a relay's end that takes nothing for so long is gone */

struct stream {
	struct fdwatch *watch;
	struct tls *tls;
	struct stream_codec *codec;
	char *coded; /* as `in`: what was read and is not decoded yet */
	uint32_t coded_at, coded_n;
	bool unflushed; /* the codec holds output back */
	char *in;       /* LIMIT_STREAM_BUFFER bytes while it holds any, else NULL */
	char *unread;
	uint32_t in_at, in_n; /* unread bytes are in[in_at .. in_at + in_n) */
	uint32_t unread_n;
	int fd;
	int error;
	bool drained;   /* the last read got less than it asked for: wait before the next */
	bool is_socket; /* recv and send instead of read and write */
	bool woken, waiting;
	bool ended;        /* the peer will send nothing more; it may still read */
	bool writing;      /* a fiber is amid a write: one that only reads must not flush */
	bool write_failed; /* the error came of a write: there may be something left to read */
	struct buf out;
	struct fiber_signal written;
	uint64_t timeout_at;
	uint64_t write_ms; /* of a relay: the deadline of each wait to write, whatever timeout_at says */
	uint32_t unwaited; /* bytes read since the last wait */
	struct fiber *waiter;
};

struct stream *stream_new(int fd)
{
	struct stream *s = calloc(1, sizeof *s);
	int type;
	socklen_t n = sizeof type;

	if (s)
		s->watch = fdwatch_new(fd);
	if (!s || !s->watch) {
		free(s);
		close(fd);
		return NULL;
	}
	s->fd = fd;
	s->is_socket = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0;
	s->timeout_at = FOREVER;
	s->out.max = OUT_MAX;
	return s;
}

static void give_input(struct stream *s)
{
	if (s->in && s->in_n == 0) {
		loop_buffer_give(s->in);
		s->in = NULL;
		s->in_at = 0;
	}
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	tls_free(s->tls);
	if (s->codec)
		s->codec->free(s->codec);
	if (s->coded)
		loop_buffer_give(s->coded);
	fdwatch_free(s->watch);
	if (s->fd >= 0)
		close(s->fd);
	if (s->in)
		loop_buffer_give(s->in);
	free(s->unread);
	buf_free(&s->out);
	free(s);
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}

int stream_error(const struct stream *s)
{
	return s->error;
}

void stream_timeout(struct stream *s, uint64_t ms)
{
	s->timeout_at = ms ? loop_now() + ms : FOREVER;
}

static int fail(struct stream *s, int error)
{
	bool lasting =
		error != -ETIMEDOUT && error != -ECANCELED; /* a last word may still be said after these */

	if (!s->error && lasting)
		s->error = error;
	return error;
}

/* TLS says what it waits for; the callers here know -EAGAIN and a direction. */
static ssize_t tls_result(ssize_t rc, bool *ret_for_write)
{
	if (rc != TLS_WANT_READ && rc != TLS_WANT_WRITE)
		return rc;
	*ret_for_write = rc == TLS_WANT_WRITE;
	return -EAGAIN;
}

static ssize_t read_raw(struct stream *s, void *p, size_t n, bool *ret_for_write)
{
	*ret_for_write = false;
	if (s->tls)
		return tls_result(tls_read(s->tls, p, n), ret_for_write);
	ssize_t got = s->is_socket ? recv(s->fd, p, n, 0) : read(s->fd, p, n);

	if (got == 0)
		return -ENODATA;
	return got < 0 ? -errno : got;
}

/* Of what was read before. 0: nothing more comes of it. */
static ssize_t decode(struct stream *s, void *p, size_t n)
{
	slice in = slice_make(s->coded ? s->coded + s->coded_at : NULL, s->coded_n);
	ssize_t got = s->codec->decode(s->codec, &in, p, n);

	s->coded_at += s->coded_n - (uint32_t)in.n;
	s->coded_n = (uint32_t)in.n;
	if (s->coded && s->coded_n == 0) {
		loop_buffer_give(s->coded);
		s->coded = NULL;
		s->coded_at = 0;
	}
	return got;
}

/* One attempt; -EAGAIN when the descriptor must be waited for (*ret_for_write says for what). */
static ssize_t try_read(struct stream *s, void *p, size_t n, bool *ret_for_write)
{
	ssize_t got = 0;

	if (!s->codec)
		return read_raw(s, p, n, ret_for_write);
	while ((got = decode(s, p, n)) == 0) {
		if (!(s->coded = loop_buffer_take()))
			return -ENOMEM;
		got = read_raw(s, s->coded, LIMIT_STREAM_BUFFER, ret_for_write);
		if (got <= 0) {
			loop_buffer_give(s->coded);
			s->coded = NULL;
			return got;
		}
		s->coded_n = (uint32_t)got;
	}
	return got;
}

static ssize_t try_write(struct stream *s, const void *p, size_t n, bool *ret_for_write)
{
	*ret_for_write = true;
	if (s->tls)
		return tls_result(tls_write(s->tls, p, n), ret_for_write);
	ssize_t put = s->is_socket ? send(s->fd, p, n, MSG_NOSIGNAL) : write(s->fd, p, n);

	return put < 0 ? -errno : put;
}

static int wait_ready(struct stream *s, bool for_write)
{
	uint64_t until = for_write && s->write_ms ? loop_now() + s->write_ms : s->timeout_at;
	int rc = fdwatch_wait(s->watch, for_write, until);

	s->unwaited = 0;
	return rc < 0 ? fail(s, rc) : 0;
}

/* A peer that sends faster than we read never lets us wait: others must run all the same, and its time ends,
 * too. */
static int be_fair(struct stream *s)
{
	if (s->unwaited < FAIR_BYTES)
		return 0;
	s->unwaited = 0;
	int rc = fiber_yield();

	if (rc == 0 && loop_now() >= s->timeout_at)
		rc = -ETIMEDOUT;
	return rc < 0 ? fail(s, rc) : 0;
}

/* Everything, or an error. */
static int write_all(struct stream *s, slice b)
{
	int rc = 0;

	s->writing = true;
	while (b.n > 0 && rc == 0) {
		bool for_write;
		ssize_t put = try_write(s, b.p, b.n, &for_write);

		if (put > 0)
			b = slice_skip(b, (size_t)put);
		else if (put == -EAGAIN)
			rc = wait_ready(s, for_write);
		else if (put != -EINTR) {
			rc = fail(s, put == 0 ? -EPIPE : (int)put);
			s->write_failed = s->error == rc;
		}
	}
	s->writing = false;
	fiber_signal_one(&s->written);
	return rc;
}

/* Waits until no other fiber is amid a write. */
static int turn_to_write(struct stream *s)
{
	int rc = 0;

	while (s->writing && rc == 0)
		rc = fiber_signal_wait(&s->written, s->timeout_at);
	return rc < 0 ? fail(s, rc) : s->error;
}

#define ENCODE_STEP 32768

/* In pieces, each of which is on its way before another fiber could have the codec. */
static int write_encoded(struct stream *s, slice b, bool flush)
{
	int rc = 0;

	do {
		slice piece = slice_sub(b, 0, ENCODE_STEP);
		struct buf out = BUF_INIT(2 * ENCODE_STEP);

		b = slice_skip(b, piece.n);
		s->unflushed = !flush || b.n > 0;
		rc = s->codec->encode(s->codec, piece, !s->unflushed, &out);
		if (rc < 0 || out.failed)
			rc = fail(s, rc < 0 ? rc : -ENOMEM);
		else
			rc = write_all(s, buf_slice(&out));
		buf_free(&out);
	} while (rc == 0 && b.n > 0);
	return rc;
}

static int write_out(struct stream *s, slice b, bool flush)
{
	return s->codec ? write_encoded(s, b, flush) : write_all(s, b);
}

static int push(struct stream *s, bool flush)
{
	int rc = turn_to_write(s);

	if (rc < 0)
		return rc;
	if (s->out.failed)
		return fail(s, -ENOMEM);
	if (s->out.n == 0 && !(flush && s->unflushed))
		return 0;
	struct buf out = s->out; /* another fiber may gather anew meanwhile */

	s->out = BUF_INIT(OUT_MAX);
	rc = write_out(s, buf_slice(&out), flush);
	buf_free(&out);
	return rc;
}

int stream_flush(struct stream *s)
{
	return push(s, true);
}

int stream_write(struct stream *s, slice b)
{
	int rc = 0;

	if (s->error)
		return s->error;
	if (b.n >= DIRECT_MIN) {
		rc = push(s, false);
		return rc < 0 ? rc : write_out(s, b, false);
	}
	buf_add(&s->out, b);
	if (s->out.n >= OUT_GATHER || s->out.failed)
		rc = push(s, false);
	return rc;
}

int stream_printf(struct stream *s, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof text)
		return fail(s, -EMSGSIZE);
	return stream_write(s, slice_make(text, (size_t)n));
}

/* Reads once into the buffer behind what is there. Flushes before it parks. */
static int fill(struct stream *s)
{
	if (s->unread) { /* what was handed over with the session comes first */
		free(s->in);
		s->in = s->unread; /* LIMIT_STREAM_BUFFER bytes as well */
		s->in_at = 0;
		s->in_n = s->unread_n;
		s->unread = NULL;
		return 0;
	}
	if (s->ended || (s->error && !s->write_failed))
		return s->error ? s->error : -ENODATA;
	int fair = be_fair(s);
	if (fair < 0)
		return fair;
	for (;;) {
		bool for_write = false;

		if (!s->drained || s->write_failed || (s->tls && tls_pending(s->tls))) {
			if (!s->in && !(s->in = loop_buffer_take()))
				return fail(s, -ENOMEM);
			if (s->in_at > 0 && s->in_at + s->in_n == LIMIT_STREAM_BUFFER) {
				memmove(s->in, s->in + s->in_at, s->in_n);
				s->in_at = 0;
			}
			size_t room = LIMIT_STREAM_BUFFER - s->in_at - s->in_n;
			if (room == 0)
				return -EMSGSIZE;
			ssize_t got = try_read(s, s->in + s->in_at + s->in_n, room, &for_write);

			if (got > 0) {
				s->in_n += (uint32_t)got;
				s->unwaited += (uint32_t)got;
				s->drained = !s->tls && !s->codec && (size_t)got < room;
				return 0;
			}
			if (got == -EINTR)
				continue;
			if (got != -EAGAIN) {
				give_input(s);
				s->write_failed = false;
				s->ended = got == -ENODATA;
				return s->ended ? -ENODATA : fail(s, (int)got);
			}
		}
		give_input(s);
		int rc = s->writing ? 0 : stream_flush(s);
		if (rc == 0)
			rc = wait_ready(s, for_write);
		if (rc < 0)
			return rc;
		s->drained = false;
	}
}

size_t stream_buffered(struct stream *s)
{
	return s->in_n + s->unread_n + s->coded_n + (s->tls && tls_pending(s->tls) ? 1 : 0);
}

int stream_fill(struct stream *s, slice *ret_have)
{
	while (s->in_n == 0) {
		int rc = fill(s);
		if (rc < 0)
			return rc;
	}
	*ret_have = slice_make(s->in + s->in_at, s->in_n);
	return 0;
}

int stream_fill_more(struct stream *s, slice *ret_have)
{
	int rc = fill(s);

	if (rc < 0)
		return rc;
	*ret_have = slice_make(s->in + s->in_at, s->in_n);
	return 0;
}

void stream_consume(struct stream *s, size_t n)
{
	assert(n <= s->in_n);
	s->in_at += (uint32_t)n;
	s->in_n -= (uint32_t)n;
	if (s->in_n == 0)
		s->in_at = 0;
}

int stream_read_exact(struct stream *s, void *p, size_t n)
{
	char *to = p;

	while (n > 0) {
		slice have;
		int rc = stream_fill(s, &have);

		if (rc < 0)
			return rc;
		size_t take = have.n < n ? have.n : n;
		memcpy(to, have.p, take);
		stream_consume(s, take);
		to += take;
		n -= take;
	}
	return 0;
}

static int skip_to_lf(struct stream *s)
{
	for (;;) {
		slice have;
		int rc = stream_fill(s, &have);

		if (rc < 0)
			return rc;
		ptrdiff_t at = slice_find_c(have, '\n');
		stream_consume(s, at < 0 ? have.n : (size_t)at + 1);
		if (at >= 0)
			return -EMSGSIZE;
	}
}

ssize_t stream_read_line(struct stream *s, size_t max, slice *ret_line, bool *ret_bare)
{
	size_t seen = 0;

	assert(max <= LIMIT_STREAM_BUFFER);
	for (;;) {
		slice have = slice_make(s->in + s->in_at, s->in_n);
		ptrdiff_t at = have.n > seen ? slice_find_c(slice_skip(have, seen), '\n') : -1;

		if (at >= 0) {
			size_t end = seen + (size_t)at, n = end;

			if (end + 1 > max) {
				stream_consume(s, end + 1);
				return -EMSGSIZE;
			}
			bool crlf = n > 0 && have.p[n - 1] == '\r';
			*ret_line = slice_make(have.p, crlf ? n - 1 : n);
			if (ret_bare)
				*ret_bare = !crlf;
			stream_consume(s, end + 1); /* the bytes stay in place until the next read */
			return (ssize_t)ret_line->n;
		}
		seen = have.n;
		if (seen >= max)
			return skip_to_lf(s);
		int rc = fill(s);
		if (rc < 0)
			return rc;
	}
}

/* Whether bytes come of what was read before: 1, 0; a negative errno. The codec then rests. */
static int read_decoded(struct stream *s)
{
	if (!s->in && !(s->in = loop_buffer_take()))
		return fail(s, -ENOMEM);
	ssize_t got = decode(s, s->in, LIMIT_STREAM_BUFFER);
	if (got > 0)
		s->in_n = (uint32_t)got;
	give_input(s);
	if (got == 0 && !s->writing && !s->unflushed)
		s->codec->rest(s->codec);
	return got != 0; /* an error is there for the next read */
}

int stream_wait(struct stream *s)
{
	int rc = s->writing ? 0 : stream_flush(s);

	if (rc < 0)
		return rc;
	if (s->in_n > 0 || s->unread || (s->tls && tls_pending(s->tls)))
		return 1;
	if (s->codec && (rc = read_decoded(s)) != 0)
		return rc;
	if (s->woken) {
		s->woken = false;
		return 0;
	}
	give_input(s);
	fiber_trim_stack();
	s->waiting = true;
	s->waiter = fiber_self();
	rc = fdwatch_wait(s->watch, false, s->timeout_at);
	s->waiting = false;
	if (rc < 0)
		return fail(s, rc);
	s->drained = false;
	if (s->woken) {
		s->woken = false;
		return 0;
	}
	return 1;
}

void stream_wake(struct stream *s)
{
	s->woken = true;
	if (s->waiting)
		fiber_wake(s->waiter);
}

bool stream_waiting(const struct stream *s)
{
	return s->waiting;
}

/*
 * Closing a socket with unread input sends a reset, which may overtake our last words: what the client still
 * sends is read and dropped, for a while.
 */
static void linger(struct stream *s)
{
	char drop[2048];
	ssize_t n = -EAGAIN;
	bool pending = s->in_n > 0 ||
		       (s->is_socket && !s->ended && recv(s->fd, drop, 1, MSG_PEEK | MSG_DONTWAIT) > 0);

	while (pending && !s->error && n != 0) {
		n = recv(s->fd, drop, sizeof drop, MSG_DONTWAIT);
		if (n > 0)
			s->unwaited += (uint32_t)n;
		if (n < 0 ? errno != EAGAIN || wait_ready(s, false) < 0 : be_fair(s) < 0)
			break;
	}
}

void stream_close(struct stream *s)
{
	if (!s)
		return;
	stream_timeout(s, LIMIT_CLOSE_MS);
	if (stream_flush(s) == 0 && s->tls) {
		bool for_write = false;

		while (tls_result(tls_shutdown(s->tls), &for_write) == -EAGAIN && for_write &&
			wait_ready(s, true) == 0)
			;
	}
	if (s->is_socket)
		shutdown(s->fd, SHUT_WR);
	linger(s);
	stream_free(s);
}

int stream_start_codec(struct stream *s, struct stream_codec *c)
{
	int rc = stream_flush(s);

	assert(!s->codec && !s->unread);
	s->codec = c;
	if (s->in_n > 0) { /* what came behind the command that starts it */
		s->coded = s->in;
		s->coded_at = s->in_at;
		s->coded_n = s->in_n;
		s->in = NULL;
		s->in_at = s->in_n = 0;
	}
	s->drained = false;
	return rc;
}

static int handshake(struct stream *s, const char **ret_why)
{
	for (;;) {
		bool for_write = false;
		int rc = (int)tls_result(tls_handshake(s->tls), &for_write);

		if (rc == -EAGAIN)
			rc = wait_ready(s, for_write);
		else if (rc == 0)
			break;
		if (rc < 0) {
			*ret_why = rc == -ETIMEDOUT ? "the handshake took too long" : tls_why(s->tls);
			return fail(s, rc);
		}
	}
	s->drained = false;
	fiber_trim_stack();
	return 0;
}

static int begin_tls(struct stream *s, struct tls_context *ctx, bool server, const char **ret_why)
{
	int rc = stream_flush(s);

	*ret_why = "the connection is gone";
	if (rc < 0)
		return rc;
	assert(s->in_n == 0 && !s->tls);
	give_input(s);
	s->tls = tls_new(ctx, s->fd, server);
	return s->tls ? 0 : fail(s, -ENOMEM);
}

int stream_start_tls(struct stream *s, struct tls_context *ctx, bool server, const char **ret_why)
{
	int rc = begin_tls(s, ctx, server, ret_why);

	return rc < 0 ? rc : handshake(s, ret_why);
}

int stream_start_tls_client(struct stream *s, struct tls_context *ctx, slice host, const char **ret_why)
{
	int rc = begin_tls(s, ctx, false, ret_why);

	if (rc < 0)
		return rc;
	if (host.n && tls_client_name(s->tls, host) < 0) {
		*ret_why = "the server's name cannot be one";
		return fail(s, -EPROTO);
	}
	return handshake(s, ret_why);
}

bool stream_tls_verified(const struct stream *s, const char **ret_why)
{
	*ret_why = "there is no TLS";
	return s->tls && tls_verified(s->tls, ret_why);
}

bool stream_tls_binding(const struct stream *s, slice name, uint8_t *ret, size_t *ret_n)
{
	return s->tls && tls_binding(s->tls, name, ret, ret_n);
}

bool stream_is_tls(const struct stream *s)
{
	return s->tls != NULL;
}

const char *stream_tls_info(const struct stream *s)
{
	return s->tls ? tls_info(s->tls) : NULL;
}

int stream_detach(struct stream *s, slice *ret_rest)
{
	if (s->tls || s->codec || s->out.n > 0 || s->unread)
		return -1;
	int fd = s->fd;

	fdwatch_free(s->watch);
	s->watch = NULL;
	s->fd = -1;
	*ret_rest = slice_make(s->in_n ? s->in + s->in_at : NULL, s->in_n);
	return fd;
}

int stream_unread(struct stream *s, slice bytes)
{
	if (bytes.n == 0)
		return 0;
	if (bytes.n > LIMIT_STREAM_BUFFER || s->unread || s->in_n > 0)
		return -EINVAL;
	s->unread = malloc(LIMIT_STREAM_BUFFER);
	if (!s->unread)
		return -ENOMEM;
	memcpy(s->unread, bytes.p, bytes.n);
	s->unread_n = (uint32_t)bytes.n;
	return 0;
}

struct relay {
	struct stream *from, *to;
	struct fiber *self, *other;
	bool done;
};

/* One direction. The end of one direction is passed on as a shutdown; an error ends both. */
static int relay_way(struct stream *from, struct stream *to)
{
	for (;;) {
		slice have;

		if (from->in_n == 0 && !(from->tls && tls_pending(from->tls))) {
			int rc = stream_flush(to);
			if (rc == 0)
				rc = stream_wait(from);
			if (rc < 0)
				return rc;
		}
		int rc = stream_fill(from, &have);
		if (rc == 0)
			rc = stream_write(to, have);
		if (rc < 0)
			return rc;
		stream_consume(from, have.n);
	}
}

static void relay_fiber(void *arg)
{
	struct relay *r = arg;

	relay_way(r->from, r->to);
	stream_flush(r->to);
	if (r->to->is_socket)
		shutdown(r->to->fd, r->to->tls ? SHUT_RDWR : SHUT_WR);
	r->done = true;
	fiber_wake(r->other);
}

void stream_relay(struct stream *a, struct stream *b)
{
	struct relay back = {.from = b, .to = a, .other = fiber_self()};

	stream_timeout(a, 0);
	stream_timeout(b, 0);
	a->write_ms = b->write_ms = RELAY_WRITE_MS;
	back.self = fiber_start("relay", relay_fiber, &back);
	if (!back.self)
		return;
	relay_way(a, b);
	stream_flush(b);
	shutdown(b->fd, SHUT_WR);
	if (!back.done && (fiber_canceled() || !a->ended)) /* done: that fiber is no more */
		fiber_cancel(back.self);
	fiber_park_firmly(&back.done);
	a->write_ms = b->write_ms = 0;
}

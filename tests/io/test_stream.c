/* Streams over socket pairs: lines in all chunkings, limits, deadlines, half-closed peers, waking, relaying.
 */
#include "io/loop.h"
#include "io/stream.h"
#include "limits.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
	struct stream *a, *b;
};

static struct pair pair_open(void)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	struct pair p = {stream_new(fd[0]), stream_new(fd[1])};
	assert_true(p.a && p.b);
	return p;
}

static void run(fiber_fn *fn)
{
	struct loop *l = loop_new("test");

	assert_non_null(fiber_start("test", fn, NULL));
	loop_run(l);
	loop_free(l);
}

struct sender {
	struct stream *io;
	slice text;
	size_t cut; /* 0: byte by byte */
	bool done;
};

static void sends(void *arg)
{
	struct sender *s = arg;

	for (size_t at = 0; at < s->text.n;) {
		size_t n = s->cut == 0 ? 1 : at == 0 ? s->cut : s->text.n - at;

		stream_write(s->io, slice_sub(s->text, at, n));
		stream_flush(s->io);
		at += n;
		fiber_yield();
	}
	stream_close(s->io);
	s->done = true;
}

static void expect_line(struct stream *io, size_t max, const char *want, bool want_bare)
{
	slice line;
	bool bare;

	assert_int_equal(stream_read_line(io, max, &line, &bare), (ssize_t)strlen(want));
	assert_true(slice_eq(line, slice_of(want)));
	assert_int_equal(bare, want_bare);
}

static void lines_in_chunks(void *arg)
{
	const slice text = S("EHLO a\r\nbare\n\r\n\nx\ry\r\nthis line is too long for anybody\r\nlast");

	(void)arg;
	for (size_t cut = 0; cut < text.n; cut++) {
		struct pair p = pair_open();
		struct sender s = {p.a, text, cut, false};
		slice line;

		assert_non_null(fiber_start("sender", sends, &s));
		expect_line(p.b, 20, "EHLO a", false);
		expect_line(p.b, 20, "bare", true);
		expect_line(p.b, 20, "", false);
		expect_line(p.b, 20, "", true);
		expect_line(p.b, 20, "x\ry", false);
		assert_int_equal(stream_read_line(p.b, 20, &line, NULL), -EMSGSIZE);
		assert_int_equal(stream_read_line(p.b, 20, &line, NULL), -ENODATA);
		assert_int_equal(stream_buffered(p.b), 4); /* what has no line end stays to be seen */
		stream_free(p.b);
		while (!s.done)
			fiber_yield();
	}
}

static void test_lines(void **state)
{
	(void)state;
	run(lines_in_chunks);
}

/* A line of many megabytes is skipped in bounded memory, and the next one is read. */
static void endless(void *arg)
{
	struct stream *io = arg;
	char block[4096];

	memset(block, 'a', sizeof block);
	for (int i = 0; i < 2000; i++)
		stream_write(io, slice_make(block, sizeof block));
	stream_write(io, S("\r\nnext\r\n"));
	stream_close(io);
}

static void skips(void *arg)
{
	struct pair p = pair_open();
	slice line;

	(void)arg;
	assert_non_null(fiber_start("endless", endless, p.a));
	assert_int_equal(stream_read_line(p.b, LIMIT_STREAM_BUFFER, &line, NULL), -EMSGSIZE);
	expect_line(p.b, 100, "next", false);
	stream_free(p.b);
}

static void test_skip(void **state)
{
	(void)state;
	run(skips);
}

static void times_out(void *arg)
{
	struct pair p = pair_open();
	slice line;

	(void)arg;
	stream_timeout(p.b, 10);
	assert_int_equal(stream_read_line(p.b, 100, &line, NULL), -ETIMEDOUT);
	assert_int_equal(
		stream_write(p.b, S("421 too slow\r\n")), 0); /* the last word goes out all the same */
	assert_int_equal(stream_flush(p.b), 0);
	expect_line(p.a, 100, "421 too slow", false);
	stream_free(p.a);
	stream_timeout(p.b, 0);
	assert_int_equal(stream_read_line(p.b, 100, &line, NULL), -ENODATA);
	stream_free(p.b);
}

static void test_timeout(void **state)
{
	(void)state;
	run(times_out);
}

/* The peer shuts its sending side and still reads the answer. */
static void half_closed(void *arg)
{
	struct pair p = pair_open();
	slice line;

	(void)arg;
	assert_int_equal(stream_write(p.a, S("QUIT\r\n")), 0);
	assert_int_equal(stream_flush(p.a), 0);
	shutdown(stream_fd(p.a), SHUT_WR);
	expect_line(p.b, 100, "QUIT", false);
	assert_int_equal(stream_read_line(p.b, 100, &line, NULL), -ENODATA);
	assert_int_equal(stream_write(p.b, S("221 bye\r\n")), 0);
	stream_close(p.b);
	expect_line(p.a, 100, "221 bye", false);
	stream_free(p.a);
}

static void test_half(void **state)
{
	(void)state;
	run(half_closed);
}

struct idler {
	struct stream *io;
	int woken, input;
	bool done;
};

static void idles(void *arg)
{
	struct idler *s = arg;
	int rc;

	while ((rc = stream_wait(s->io)) >= 0) {
		if (rc == 0) {
			s->woken++;
		} else {
			slice have;

			if (stream_fill(s->io, &have) < 0)
				break;
			s->input += (int)have.n;
			stream_consume(s->io, have.n);
		}
	}
	s->done = true;
}

static void wakes(void *arg)
{
	struct pair p = pair_open();
	struct idler s = {.io = p.b};

	(void)arg;
	assert_non_null(fiber_start("idler", idles, &s));
	fiber_sleep(5);
	assert_true(stream_waiting(p.b));
	stream_wake(p.b);
	fiber_sleep(5);
	assert_int_equal(s.woken, 1);
	stream_write(p.a, S("DONE\r\n"));
	stream_flush(p.a);
	fiber_sleep(5);
	assert_int_equal(s.input, 6);
	stream_free(p.a);
	while (!s.done)
		fiber_sleep(1);
	stream_free(p.b);
}

static void test_wake(void **state)
{
	(void)state;
	run(wakes);
}

/* What was read ahead goes with a session that is handed on. */
static void hands_on(void *arg)
{
	struct pair p = pair_open();
	slice rest;

	(void)arg;
	stream_write(p.a, S("LOGIN\r\nSELECT\r\nNOOP\r\n"));
	stream_flush(p.a);
	expect_line(p.b, 100, "LOGIN", false);
	int fd = stream_detach(p.b, &rest);
	assert_true(fd >= 0 && slice_eq(rest, S("SELECT\r\nNOOP\r\n")));
	struct stream *next = stream_new(fd);
	assert_int_equal(stream_unread(next, rest), 0);
	stream_free(p.b);
	expect_line(next, 100, "SELECT", false);
	expect_line(next, 100, "NOOP", false);
	stream_free(next);
	stream_free(p.a);
}

static void test_hand_on(void **state)
{
	(void)state;
	run(hands_on);
}

struct relayed {
	struct stream *a, *b;
	bool done;
};

static void relays(void *arg)
{
	struct relayed *r = arg;

	stream_relay(r->a, r->b);
	stream_free(r->a);
	stream_free(r->b);
	r->done = true;
}

static void echoes(void *arg)
{
	struct stream *io = arg;
	slice have;

	while (stream_fill(io, &have) == 0) {
		stream_write(io, have);
		stream_consume(io, have.n);
	}
	stream_close(io);
}

struct feeder {
	struct stream *io;
	size_t n;
};

static void feeds(void *arg)
{
	const struct feeder *f = arg;
	char block[4096];

	for (size_t i = 0; i < sizeof block; i++)
		block[i] = (char)i;
	for (size_t i = 0; i < f->n; i++)
		stream_write(f->io, slice_make(block, sizeof block));
	stream_flush(f->io);
	shutdown(stream_fd(f->io), SHUT_WR);
}

/* 4 MiB through a relay and back, more than any socket buffer holds: back-pressure both ways, nothing lost.
 */
static void relay_all(void *arg)
{
	struct pair client = pair_open(), server = pair_open();
	struct relayed r = {client.b, server.a, false};
	struct feeder f = {client.a, 1024};
	size_t got = 0;
	slice have;

	(void)arg;
	assert_non_null(fiber_start("relay", relays, &r));
	assert_non_null(fiber_start("echo", echoes, server.b));
	assert_non_null(fiber_start("feed", feeds, &f));
	while (stream_fill(client.a, &have) == 0) {
		for (size_t i = 0; i < have.n; i++)
			assert_int_equal((uint8_t)have.p[i], (got + i) & 255);
		got += have.n;
		stream_consume(client.a, have.n);
	}
	assert_int_equal(got, 1024 * 4096);
	while (!r.done)
		fiber_sleep(1);
	stream_free(client.a);
}

struct bystander {
	bool canceled, ended;
};

static void stands_by(void *arg)
{
	struct bystander *b = arg;

	fiber_sleep(50);
	b->canceled = fiber_canceled();
	b->ended = true;
}

/* One way of a relay has ended before the other is cancelled: a fiber that has its stack by now is not meant.
 */
static void relay_ended(void *arg)
{
	struct pair client = pair_open(), server = pair_open();
	struct relayed r = {client.b, server.a, false};
	struct bystander other = {false, false};

	(void)arg;
	struct fiber *f = fiber_start("relay", relays, &r);
	assert_non_null(f);
	fiber_sleep(5);
	stream_close(server.b);
	fiber_sleep(5);
	assert_non_null(fiber_start("bystander", stands_by, &other));
	fiber_sleep(5);
	fiber_cancel(f);
	while (!r.done || !other.ended)
		fiber_sleep(5);
	assert_false(other.canceled);
	stream_close(client.a);
}

static void test_relay_ended(void **state)
{
	(void)state;
	run(relay_ended);
}

static void ticks(void *arg)
{
	unsigned *n = arg;

	while (*n < 1000000 && fiber_yield() == 0)
		++*n;
}

/* A peer that is always faster than we are: others run, and its time ends. */
static void floods(void *arg)
{
	int fd = open("/dev/random", O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* never has nothing to read */
	struct stream *s = stream_new(fd);
	unsigned n = 0;
	slice have;
	int rc;

	(void)arg;
	if (!s) {
		print_message("skipped: no endless descriptor here\n");
		return;
	}
	struct fiber *f = fiber_start("ticks", ticks, &n);
	assert_non_null(f);
	stream_timeout(s, 100);
	while ((rc = stream_fill(s, &have)) == 0)
		stream_consume(s, have.n);
	assert_int_equal(rc, -ETIMEDOUT);
	assert_true(n > 1);
	n = 1000000;
	stream_free(s);
}

static void test_flood(void **state)
{
	(void)state;
	run(floods);
}

static void test_relay(void **state)
{
	(void)state;
	run(relay_all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_skip),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_half),
		cmocka_unit_test(test_wake),
		cmocka_unit_test(test_hand_on),
		cmocka_unit_test(test_relay),
		cmocka_unit_test(test_relay_ended),
		cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The codec of COMPRESS, alone and in a stream. */
#include "base/cleanup.h"
#include "imap/compress.h"
#include "io/codec.h"
#include "io/loop.h"
#include "io/stream.h"
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

static void put(struct stream_codec *c, slice in, bool flush, struct buf *out)
{
	assert_int_equal(c->encode(c, in, flush, out), 0);
}

/* Decodes `in` in pieces of `step`, `room` bytes at a time. */
static void get(struct stream_codec *c, slice in, size_t step, size_t room, struct buf *out)
{
	char p[4096];

	for (; in.n > 0; in = slice_skip(in, step)) {
		slice piece = slice_sub(in, 0, step);
		ssize_t n;

		while ((n = c->decode(c, &piece, p, room)) > 0)
			buf_add(out, slice_make(p, (size_t)n));
		assert_int_equal(n, 0);
		assert_int_equal(piece.n, 0);
	}
}

static void test_all_chunkings(void **state)
{
	static const size_t steps[] = {1, 2, 3, 7, 100, 100000}, rooms[] = {1, 5, 4096};
	struct buf text = BUF_INIT(1 << 20);

	(void)state;
	for (unsigned i = 0; i < 3000; i++)
		buf_addf(&text, "* %u FETCH (UID %u FLAGS (\\Seen))\r\n", i, i * i);
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		for (size_t k = 0; k < COUNT_OF(rooms); k++) {
			struct stream_codec *c = imap_deflate_new();
			struct buf coded = BUF_INIT(1 << 20), plain = BUF_INIT(1 << 20);
			slice rest = buf_slice(&text);

			assert_non_null(c);
			for (unsigned n = 0; rest.n > 0; n++, rest = slice_skip(rest, steps[i] * 50)) {
				put(c, slice_sub(rest, 0, steps[i] * 50), n % 7 == 0, &coded);
				if (n % 7 == 0 && n % 3 == 0)
					c->rest(c); /* a new encoder goes on behind a flush */
			}
			put(c, (slice){NULL, 0}, true, &coded);
			get(c, buf_slice(&coded), steps[i], rooms[k], &plain);
			assert_true(slice_eq(buf_slice(&text), buf_slice(&plain)));
			buf_free(&coded);
			buf_free(&plain);
			c->free(c);
		}
	}
	buf_free(&text);
}

static void test_broken(void **state)
{
	struct stream_codec *c = imap_deflate_new();
	slice in = S("\xff\xff\xff\xff");
	char p[100];

	(void)state;
	assert_int_equal(c->decode(c, &in, p, sizeof p), -EPROTO);
	c->free(c);
	c = imap_deflate_new(); /* the client ends it: an empty last block */
	in = S("\x03\x00");
	assert_int_equal(c->decode(c, &in, p, sizeof p), -ENODATA);
	c->free(c);
}

static size_t held(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void test_memory(void **state)
{
	size_t before = held();
	struct stream_codec *c = imap_deflate_new();
	struct buf out = BUF_INIT(4096), plain = BUF_INIT(4096);

	(void)state;
	put(c, S("hello hello hello"), true, &out);
	get(c, buf_slice(&out), 1000, 1000, &plain);
	size_t busy = held() - before;
	c->rest(c);
	size_t resting = held() - before;
	printf("busy %zu, resting %zu bytes\n", busy, resting);
	if (before > 0) { /* not where the allocator is another one */
		assert_in_range(busy, 1, 112 << 10);
		assert_in_range(resting, 1, 52 << 10);
	}
	buf_free(&out);
	buf_free(&plain);
	c->free(c);
}

/* ---- in a stream ---- */

struct ends {
	struct stream *a, *b;
	bool done;
};

static void echo(void *arg)
{
	struct ends *e = arg;
	slice line;

	assert_int_equal(stream_start_codec(e->b, imap_deflate_new()), 0);
	for (;;) {
		int rc = stream_wait(e->b);

		if (rc == 0) {
			assert_int_equal(stream_write(e->b, S("woken\r\n")), 0);
			continue;
		}
		if (rc < 0 || stream_read_line(e->b, 8192, &line, NULL) < 0)
			break;
		assert_int_equal(stream_write(e->b, line), 0);
		assert_int_equal(stream_write(e->b, S("\r\n")), 0);
	}
	e->done = true;
}

static void expect(struct ends *e, slice wanted)
{
	slice line;

	assert_true(stream_read_line(e->a, 8192, &line, NULL) >= 0);
	assert_true(slice_eq(line, wanted));
}

static void talk(void *arg)
{
	struct ends *e = arg;
	char *big = malloc(300000);

	stream_timeout(e->a, 10000);
	stream_timeout(e->b, 10000);
	assert_int_equal(stream_start_codec(e->a, imap_deflate_new()), 0);
	assert_non_null(fiber_start("echo", echo, e));
	assert_int_equal(stream_write(e->a, S("one\r\ntwo\r\n")), 0);
	expect(e, S("one"));
	expect(e, S("two"));
	stream_wake(e->b);
	expect(e, S("woken"));
	for (unsigned i = 0; i < 300000; i++) /* what does not compress well, in lines */
		big[i] = i % 1000 == 999 ? '\n' : (char)('a' + i * 2654435761u % 4294967291u % 26);
	assert_int_equal(stream_write(e->a, slice_make(big, 300000)), 0);
	for (unsigned i = 0; i < 300; i++)
		expect(e, slice_make(big + i * 1000, 999));
	free(big);
	stream_close(e->a);
	while (!e->done)
		assert_int_equal(fiber_sleep(1), 0);
	stream_close(e->b);
	loop_stop(loop_self());
}

static void test_stream(void **state)
{
	struct loop *l = loop_new("test");
	struct ends e = {0};
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	e.a = stream_new(pair[0]);
	e.b = stream_new(pair[1]);
	assert_non_null(fiber_start("talk", talk, &e));
	loop_run(l);
	loop_free(l);
	assert_true(e.done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_chunkings),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Messages as POP3 sends them, in every chunking. */
#include "io/loop.h"
#include "pop3/dotwriter.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const struct {
	const char *in;
	uint64_t lines;
	const char *out;
} cases[] = {
	{"A: b\r\n\r\nbody\r\n", UINT64_MAX, "A: b\r\n\r\nbody\r\n.\r\n"},
	{"A: b\r\n\r\n.\r\n..\r\n.x\r\n", UINT64_MAX, "A: b\r\n\r\n..\r\n...\r\n..x\r\n.\r\n"},
	{"A: b\r\n\r\nno line end", UINT64_MAX, "A: b\r\n\r\nno line end\r\n.\r\n"},
	{"A: b\n\nbare\n.dot\n", UINT64_MAX, "A: b\r\n\r\nbare\r\n..dot\r\n.\r\n"},
	{"A: b\r\n\r\nx\ry\r\nz\r", UINT64_MAX, "A: b\r\n\r\nx\ry\r\nz\r\n.\r\n"},
	{"", UINT64_MAX, ".\r\n"},
	{"A: b\r\nC: d\r\n\r\none\r\ntwo\r\nthree\r\n", 0, "A: b\r\nC: d\r\n\r\n.\r\n"},
	{"A: b\r\nC: d\r\n\r\none\r\ntwo\r\nthree\r\n", 2, "A: b\r\nC: d\r\n\r\none\r\ntwo\r\n.\r\n"},
	{"A: b\r\n\r\none\r\n", 9, "A: b\r\n\r\none\r\n.\r\n"},
	{"A: b\r\nno body", 3, "A: b\r\nno body\r\n.\r\n"},
	{".A: b\r\n\r\n", 1, "..A: b\r\n\r\n.\r\n"},
	{"A: b\n\n\n\nx\n", 2, "A: b\r\n\r\n\r\n\r\n.\r\n"},
};

struct play {
	const char *in;
	uint64_t lines;
	size_t cut;
	char out[256];
};

static void plays(void *arg)
{
	struct play *p = arg;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	struct stream *io = stream_new(fd[0]);
	struct pop3_dotwriter w = {.io = io, .lines = p->lines};
	slice in = slice_of(p->in);

	for (size_t at = 0; at < in.n;) {
		size_t n = p->cut == 0 ? 1 : at == 0 && p->cut < in.n ? p->cut : in.n - at;

		assert_int_equal(pop3_dotwriter_feed(&w, slice_sub(in, at, n)), 0);
		at += n;
	}
	assert_int_equal(pop3_dotwriter_end(&w), 0);
	stream_close(io);
	ssize_t got = read(fd[1], p->out, sizeof p->out - 1);
	p->out[got > 0 ? got : 0] = 0;
	close(fd[1]);
}

static void test_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t cut = 0; cut <= strlen(cases[i].in); cut++) {
			struct play p = {cases[i].in, cases[i].lines, cut, ""};
			struct loop *l = loop_new("test");

			assert_non_null(fiber_start("play", plays, &p));
			loop_run(l);
			loop_free(l);
			assert_string_equal(p.out, cases[i].out);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

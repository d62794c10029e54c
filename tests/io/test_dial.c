/* Connecting out, to listeners of this test on loopback: good ones, closed ones and one that never answers.
 */
#include "base/cleanup.h"
#include "io/dial.h"
#include "io/loop.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

struct place {
	int good, full, fill[4];
	struct dial_address to_good, to_full, to_closed;
};

static int listen_on(const char *ip, int backlog, struct dial_address *ret)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, ip, &a.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	assert_true(dial_address_parse(ip, ret));
	ret->port = ntohs(a.sin_port);
	return fd;
}

/* A listener whose queue is full does not answer: its connections wait as those to a dead host do. */
static void make_full(struct place *p)
{
	p->full = listen_on("127.0.0.3", 0, &p->to_full);
	for (size_t i = 0; i < COUNT_OF(p->fill); i++) {
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(p->to_full.port)};

		memcpy(&a.sin_addr, p->to_full.ip, 4);
		p->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(p->fill[i], (struct sockaddr *)&a, sizeof a) < 0)
			continue;
	}
}

struct got {
	int rc, fd;
	size_t which;
	uint64_t ms;
	err e;
};

static struct got go(const struct dial_address *v, size_t n, const struct dial_address *source)
{
	struct dial d = {.v = v,
		.n = n,
		.source4 = source,
		.stagger_ms = 60,
		.each_ms = 200,
		.deadline = loop_now() + 1000};
	struct got g = {.fd = -1, .which = 99};
	uint64_t at = loop_now();

	g.rc = dial(&d, &g.fd, &g.which, &g.e);
	fiber_yield();
	g.ms = loop_now() - at;
	return g;
}

static void good(struct place *p)
{
	struct got g = go(&p->to_good, 1, NULL);
	struct dial_address source;
	struct sockaddr_in from;
	socklen_t n = sizeof from;

	assert_int_equal(g.rc, 0);
	assert_int_equal(g.which, 0);
	assert_int_equal(write(g.fd, "x", 1), 1);
	close(g.fd);

	assert_true(dial_address_parse("127.0.0.77", &source));
	g = go(&p->to_good, 1, &source);
	assert_int_equal(g.rc, 0);
	assert_int_equal(getsockname(g.fd, (struct sockaddr *)&from, &n), 0);
	assert_int_equal(ntohl(from.sin_addr.s_addr), 0x7f00004d);
	close(g.fd);
	assert_true(dial_address_parse("192.0.2.77", &source)); /* not ours */
	g = go(&p->to_good, 1, &source);
	assert_int_equal(g.rc, -1);
	assert_int_equal(g.e.kind, ERR_IO);
}

static void order(struct place *p)
{
	struct dial_address closed_good[] = {p->to_closed, p->to_closed, p->to_good},
			    full_good[] = {p->to_full, p->to_good}, none[] = {p->to_closed, p->to_full};
	struct got g = go(closed_good, 3, NULL);

	assert_int_equal(g.rc, 0);
	assert_int_equal(g.which, 2);
	assert_true(g.ms < 60); /* a refusal is not waited for */
	close(g.fd);
	g = go(full_good, 2, NULL);
	assert_int_equal(g.rc, 0);
	assert_int_equal(g.which, 1);
	assert_true(g.ms >= 60 && g.ms < 200);
	close(g.fd);
	g = go(none, 1, NULL);
	assert_int_equal(g.rc, -1);
	assert_int_equal(g.e.kind, ERR_IO);
	assert_non_null(strstr(g.e.text, "127.0.0.2"));
	g = go(none, 2, NULL);
	assert_int_equal(g.rc, -1);
	assert_int_equal(g.e.kind, ERR_TIMEOUT);
	assert_true(g.ms >= 200 && g.ms < 600);
	assert_non_null(strstr(g.e.text, "127.0.0.3"));
	g = go(none, 0, NULL);
	assert_int_equal(g.rc, -1);
}

static void deadline(struct place *p)
{
	struct dial d = {
		.v = &p->to_full, .n = 1, .stagger_ms = 60, .each_ms = 5000, .deadline = loop_now() + 50};
	size_t which;
	int fd;
	err e;

	assert_int_equal(dial(&d, &fd, &which, &e), -1);
	assert_int_equal(e.kind, ERR_TIMEOUT);
}

struct hasty {
	struct place *p;
	struct got got;
	bool done;
};

static void dial_and_leave(void *arg)
{
	struct hasty *h = arg;

	h->got = go(&h->p->to_full, 1, NULL);
	h->done = true;
}

static void all(void *arg)
{
	struct place *p = arg;
	struct hasty h = {.p = p};

	good(p);
	order(p);
	deadline(p);
	struct fiber *f = fiber_start("hasty", dial_and_leave, &h);
	fiber_sleep(10);
	assert_false(h.done);
	fiber_cancel(f);
	fiber_sleep(10);
	assert_true(h.done);
	assert_int_equal(h.got.rc, -1);
	assert_int_equal(h.got.e.kind, ERR_CANCELED);
	loop_stop(loop_self());
}

static void test_dial(void **state)
{
	struct loop *l = loop_new("test");
	struct place p;

	(void)state;
	p.good = listen_on("127.0.0.1", 20, &p.to_good);
	close(listen_on("127.0.0.2", -1, &p.to_closed));
	make_full(&p);
	assert_non_null(fiber_start("all", all, &p));
	loop_run(l);
	loop_run(l);
	loop_free(l);
	close(p.good);
	close(p.full);
	for (size_t i = 0; i < COUNT_OF(p.fill); i++)
		close(p.fill[i]);
}

static void test_own(void **state)
{
	static const struct {
		const char *text;
		bool own;
	} cases[] = {
		{"127.0.0.1", true},
		{"127.255.0.9", true},
		{"0.0.0.0", true},
		{"0.1.2.3", true},
		{"224.0.0.1", true},
		{"239.255.255.255", true},
		{"255.255.255.255", true},
		{"126.255.255.255", false},
		{"128.0.0.1", false},
		{"192.0.2.1", false},
		{"10.0.0.1", false},
		{"240.0.0.1", false},
		{"::", true},
		{"::1", true},
		{"::127.0.0.1", true},
		{"::ffff:127.0.0.1", true},
		{"::ffff:0.0.0.0", true},
		{"::ffff:192.0.2.1", false},
		{"ff02::1", true},
		{"2001:db8::1", false},
		{"2001:db8::7f00:1", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct dial_address a;

		assert_true(dial_address_parse(cases[i].text, &a));
		if (dial_address_is_own(&a) != cases[i].own)
			print_error("%s\n", cases[i].text);
		assert_int_equal(dial_address_is_own(&a), cases[i].own);
	}
	struct dial_address a;
	assert_false(dial_address_parse("mail.example", &a));
	assert_false(dial_address_parse("", &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_dial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

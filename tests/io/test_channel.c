/* Questions and answers between two ends of a channel, descriptors, credits, offenses. */
#include "io/channel.h"
#include "io/loop.h"
#include "io/messages.h"
#include "limits.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct ends {
	struct channel *front, *back;
	unsigned answered, closed, offenses;
	uint64_t slow_ms;
};

static void on_recipient(struct channel_request *r, void *arg)
{
	struct ends *e = arg;
	struct msg_recipient m;

	if (!msg_recipient_take(r, &m))
		return;
	if (e->slow_ms)
		fiber_sleep(e->slow_ms);
	if (slice_eq(m.local, S("bad"))) {
		channel_answer_error(r, ERR_MISSING, "no such person");
		return;
	}
	e->answered++;
	struct msg_recipient_reply a = {.verdict = (uint8_t)m.size, .queue_id = slice_sub(m.local, 0, 16)};
	msg_recipient_answer(r, &a);
}

static void on_spool(struct channel_request *r, void *arg)
{
	struct msg_spool m;
	int fd = content_file_new();

	(void)arg;
	if (!msg_spool_take(r, &m))
		return;
	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(content_file_seal(fd), 0);
	msg_spool_answer(r, &(struct msg_spool_reply){.file = fd});
	close(fd);
}

static void closed(void *arg, struct channel *c, const char *why, bool offense)
{
	struct ends *e = arg;

	(void)why;
	e->closed++;
	e->offenses += offense;
	if (c == e->front)
		e->front = NULL;
	else
		e->back = NULL;
}

static void open_ends(struct ends *e)
{
	static channel_handler *table[MESSAGE_COUNT] = {
		[MESSAGE_RECIPIENT] = on_recipient, [MESSAGE_SPOOL] = on_spool};
	int fd[2];

	assert_int_equal(channel_pair(fd), 0);
	e->front = channel_new(
		fd[0], &(struct channel_config){ROLE_FRONTEND, ROLE_BACKEND, 0, table, e, closed});
	e->back = channel_new(
		fd[1], &(struct channel_config){ROLE_BACKEND, ROLE_FRONTEND, 0, table, e, closed});
}

static void close_ends(struct ends *e)
{
	channel_close(e->front, "done");
	channel_close(e->back, "done");
	while (e->closed < 2)
		fiber_sleep(1);
}

static int ask(struct ends *e, uint32_t account, slice local, err *why)
{
	struct msg_recipient m = {.size = account, .local = local, .domain = S("example.test")};
	struct msg_recipient_reply r;
	struct channel_answer hold;
	int rc = ask_recipient(e->front, &m, &r, &hold, loop_now() + 60000, why);

	if (rc == 0) {
		assert_int_equal(r.verdict, account & 255);
		assert_true(slice_eq(r.queue_id, local));
		channel_answer_free(&hold);
	}
	return rc;
}

static void talks(void *arg)
{
	struct ends e = {0};
	struct msg_spool_reply spool;
	struct channel_answer hold;
	err why;

	(void)arg;
	open_ends(&e);
	assert_int_equal(ask(&e, 7, S("alice"), &why), 0);
	assert_int_equal(ask(&e, 7, S("bad"), &why), -1);
	assert_int_equal(why.kind, ERR_MISSING);
	assert_string_equal(why.text, "no such person");
	assert_int_equal(
		ask_spool(e.front, &(struct msg_spool){5}, &spool, &hold, loop_now() + 5000, &why), 0);
	slice map = content_file_map(spool.file, 5);
	assert_true(slice_eq(map, S("hello")));
	content_file_unmap(map);
	assert_null(content_file_map(spool.file, 4).p); /* another size than was said */
	assert_int_equal(write(spool.file, "x", 1), -1);
	close(spool.file);
	channel_answer_free(&hold);
	close_ends(&e);
	assert_int_equal(e.offenses, 0);
}

struct asker {
	struct ends *e;
	unsigned *left;
};

static void asks_much(void *arg)
{
	struct asker *a = arg;
	err why;

	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(ask(a->e, i, S("someone"), &why), 0);
	--*a->left;
}

/* More askers than credits: all get their answer. */
static void crowds(void *arg)
{
	struct ends e = {.slow_ms = 2};
	unsigned left = 3 * LIMIT_CHANNEL_CREDITS;
	struct asker a = {&e, &left};

	(void)arg;
	open_ends(&e);
	for (unsigned i = 0; i < 3 * LIMIT_CHANNEL_CREDITS; i++)
		assert_non_null(fiber_start("asker", asks_much, &a));
	while (left > 0)
		fiber_sleep(5);
	assert_int_equal(e.answered, 9 * LIMIT_CHANNEL_CREDITS);
	close_ends(&e);
	assert_int_equal(e.offenses, 0);
}

/* The backend may not ask for a recipient: the frontend ends the channel and says so. */
static void offends(void *arg)
{
	struct ends e = {0};
	struct msg_recipient m = {.local = S("x"), .domain = S("y")};
	struct msg_recipient_reply r;
	struct channel_answer hold;
	err why;

	(void)arg;
	open_ends(&e);
	assert_int_equal(ask_recipient(e.back, &m, &r, &hold, loop_now() + 5000, &why), -1);
	assert_int_equal(why.kind, ERR_CLOSED);
	while (e.closed < 2)
		fiber_sleep(1);
	assert_int_equal(e.offenses, 1);
}

/* Bytes that no sender makes: each ends the channel, none more. */
static void garbles(void *arg)
{
	static const struct {
		const char *bytes;
		size_t n;
	} frames[] = {{"x", 1}, {"\0\0\0\0\0\0\0\1", 8}, {"\xff\xff\0\0\0\0\0\1", 8},
		{"\0\x10\0\0\0\0\0\1zz", 10}, {"\0\0\0\1\0\0\0\1", 8}};

	(void)arg;
	for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
		static channel_handler *table[MESSAGE_COUNT] = {[MESSAGE_RECIPIENT] = on_recipient};
		struct ends e = {0};
		int fd[2];

		assert_int_equal(channel_pair(fd), 0);
		e.back = channel_new(
			fd[1], &(struct channel_config){ROLE_BACKEND, ROLE_FRONTEND, 0, table, &e, closed});
		assert_int_equal(send(fd[0], frames[i].bytes, frames[i].n, 0), frames[i].n);
		while (e.closed < 1)
			fiber_sleep(1);
		assert_int_equal(e.offenses, 1);
		close(fd[0]);
	}
}

static void gives_up(void *arg)
{
	struct asker *a = arg;
	struct msg_recipient m = {.local = S("someone"), .domain = S("example.test")};
	struct msg_recipient_reply r;
	struct channel_answer hold;
	err why;

	for (int i = 0; i < 3; i++)
		if (ask_recipient(a->e->front, &m, &r, &hold, loop_now() + 20, &why) == 0)
			channel_answer_free(&hold);
		else
			assert_int_equal(why.kind, ERR_TIMEOUT);
	--*a->left;
}

/* Who does not wait for slow answers asks no more than it has credits for: it is no offender. */
static void leaves(void *arg)
{
	struct ends e = {.slow_ms = 300};
	unsigned left = 3 * LIMIT_CHANNEL_CREDITS;
	struct asker a = {&e, &left};
	err why;

	(void)arg;
	open_ends(&e);
	for (unsigned i = 0; i < 3 * LIMIT_CHANNEL_CREDITS; i++)
		assert_non_null(fiber_start("asker", gives_up, &a));
	while (left > 0)
		fiber_sleep(5);
	e.slow_ms = 0;
	assert_int_equal(ask(&e, 7, S("alice"), &why), 0); /* the credits come back */
	fiber_sleep(600);                                  /* the last slow answers */
	close_ends(&e);
	assert_int_equal(e.offenses, 0);
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void on_session(struct channel_request *r, void *arg)
{
	struct msg_session m;

	(void)arg;
	assert_false(msg_session_take(r, &m));
	assert_int_equal(m.socket, -1);
}

/* A descriptor in a message that is broken behind it is closed. */
static void drops(void *arg)
{
	static channel_handler *table[MESSAGE_COUNT] = {[MESSAGE_SESSION] = on_session};
	static const char body[] = "\0\0\0\0\0\0\0\1"
				   "\1\0\0\0\0\0\0\1 and more";
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char frame[sizeof body - 1];
	struct iovec v = {frame, sizeof frame};
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	struct ends e = {0};
	int fd[2];

	(void)arg;
	assert_int_equal(channel_pair(fd), 0);
	memcpy(frame, body, sizeof frame);
	frame[1] = MESSAGE_SESSION;
	*CMSG_FIRSTHDR(&m) = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd[0], sizeof(int));
	e.back = channel_new(
		fd[1], &(struct channel_config){ROLE_BACKEND, ROLE_FRONTEND, 0, table, &e, closed});
	unsigned before = open_descriptors();
	assert_int_equal(sendmsg(fd[0], &m, 0), sizeof frame);
	while (e.closed < 1)
		fiber_sleep(1);
	assert_int_equal(e.offenses, 1);
	assert_int_equal(open_descriptors(), before - 1); /* the channel's own */
	close(fd[0]);
}

static void run(fiber_fn *fn)
{
	struct loop *l = loop_new("test");

	assert_non_null(fiber_start("test", fn, NULL));
	loop_run(l);
	loop_free(l);
}

static void test_talk(void **state)
{
	(void)state;
	run(talks);
}

static void test_crowd(void **state)
{
	(void)state;
	run(crowds);
}

static void test_offense(void **state)
{
	(void)state;
	run(offends);
}

static void test_leave(void **state)
{
	(void)state;
	run(leaves);
}

static void test_drop(void **state)
{
	(void)state;
	run(drops);
}

static void test_garbage(void **state)
{
	(void)state;
	run(garbles);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_talk),
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_offense),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_leave),
		cmocka_unit_test(test_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

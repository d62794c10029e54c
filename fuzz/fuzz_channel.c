/* Frames of another role, which may have fallen into wrong hands: whatever they hold, the channel ends or
 * answers. */
#include "io/channel.h"
#include "io/loop.h"
#include "io/messages.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TAKES(name)                                                                                          \
	static void on_##name(struct channel_request *r, void *arg)                                          \
	{                                                                                                    \
		struct msg_##name m;                                                                         \
		(void)arg;                                                                                   \
		if (msg_##name##_take(r, &m))                                                                \
			msg_##name##_answer(r, &(struct msg_##name##_reply){0});                             \
	}
TAKES(recipient)
TAKES(sender_check)
TAKES(submitter)
TAKES(submitter_end)

static void on_deliver(struct channel_request *r, void *arg)
{
	struct msg_deliver m = {.envelope_file = -1, .summary_file = -1, .body_file = -1};

	(void)arg;
	if (msg_deliver_take(r, &m))
		msg_deliver_answer(r, &(struct msg_deliver_reply){.results = m.envelope});
	const int fds[] = {m.envelope_file, m.summary_file, m.body_file};
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

struct talk {
	const uint8_t *data;
	size_t size;
	bool closed;
};

static void on_closed(void *arg, struct channel *c, const char *why, bool offense)
{
	(void)c;
	(void)why;
	(void)offense;
	((struct talk *)arg)->closed = true;
}

/* The input is a row of frames, each with its length in two bytes ahead. */
static void play(void *arg)
{
	static channel_handler *table[MESSAGE_COUNT] = {
		[MESSAGE_RECIPIENT] = on_recipient,
		[MESSAGE_SENDER_CHECK] = on_sender_check,
		[MESSAGE_SUBMITTER] = on_submitter,
		[MESSAGE_SUBMITTER_END] = on_submitter_end,
		[MESSAGE_DELIVER] = on_deliver,
	};
	struct talk *t = arg;
	int fd[2];

	if (channel_pair(fd) < 0)
		abort();
	struct channel *c = channel_new(
		fd[1], &(struct channel_config){ROLE_BACKEND, ROLE_FRONTEND, 0, table, t, on_closed});
	while (t->size >= 2 && !t->closed) {
		size_t n = (size_t)(t->data[0] << 8 | t->data[1]);

		t->data += 2, t->size -= 2;
		n = n < t->size ? n : t->size;
		if (send(fd[0], t->data, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		t->data += n, t->size -= n;
		fiber_sleep(0);
		fiber_yield();
	}
	close(fd[0]);
	if (!t->closed)
		channel_close(c, "done");
	while (!t->closed)
		fiber_sleep(1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct loop *l = loop_new("fuzz");

	memcpy(copy, data, size);
	struct talk t = {copy, size, false};
	if (!fiber_start("play", play, &t))
		abort();
	loop_run(l);
	loop_free(l);
	free(copy);
	return 0;
}

/*
 * The SMTP client in the hands of a stranger: everything the server says comes from the input. The first byte
 * chooses the configuration, the second the message, the third how much arrives at once; a byte 0xFE in what
 * follows waits until the client has said something. Whatever is said: every recipient gets a reply that fits
 * its stage, texts are clean, secrets stay inside, and nothing is certain that is not.
 */
#include "base/encode.h"
#include "io/loop.h"
#include "io/tls.h"
#include "limits.h"
#include "smtp/client.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(what)                                                                                           \
	do {                                                                                                 \
		if (!(what))                                                                                 \
			abort();                                                                             \
	} while (0)

#define SAID_MAX 65536

struct run {
	struct stream *io;
	int fd;
	const uint8_t *data;
	size_t size, step;
	uint8_t config, message;
	bool spoken; /* the client has said something since the last look */
	char said[SAID_MAX];
	size_t said_n;
};

static void check_reply(const struct smtp_reply *r)
{
	size_t n = strnlen(r->text, sizeof r->text);

	must(n < sizeof r->text && utf8_valid(slice_make(r->text, n)));
	for (size_t i = 0; i < n; i++)
		must((unsigned char)r->text[i] >= ' ' && r->text[i] != 0x7f);
	must(r->code == 0 ? n > 0 : r->code >= 200 && r->code < 600);
	must(r->stage <= SMTP_AT_END);
	must(!r->unknown || (r->code == 0 && r->stage == SMTP_AT_END));
	must(r->status[0] == 0 || r->status[0] == r->code / 100);
}

static void on_dialogue(void *arg, bool out, slice line)
{
	(void)arg;
	must(line.n <= LIMIT_SMTP_CLIENT_LINE);
	must(!out || (slice_find(line, S("pencil")) < 0 && slice_find(line, S("cGVuY2ls")) < 0));
}

static void send_message(struct run *r, struct smtp_client *c)
{
	uint8_t f = r->message;
	struct smtp_client_rcpt rcpts[3] = {{.address = S("a@b.example"), .notify = SMTP_NOTIFY_NEVER},
		{.address = S("c@d.example"), .original = S("utf-8;\xC3\xA4@d.example")},
		{.address = f & 1 ? S("\xC3\xA4@d.example") : S("\"a b\"@d.example")}};
	struct smtp_client_message m = {.sender = f & 2 ? S("s@t.example") : S(""),
		.envelope_id = S("id"),
		.ret = SMTP_RET_FULL,
		.body = f & 4 ? SMTP_BODY_BINARYMIME : SMTP_BODY_8BITMIME,
		.smtputf8 = f & 8,
		.has_by = true,
		.by_mode = 'N',
		.by_seconds = -5,
		.priority = 4,
		.head = S("X: y\r\n"),
		.content = f & 16 ? S("") : S("\r\n.\n..\r\nQUIT"),
		.size = 20,
		.rcpts = rcpts,
		.n = 1 + (f >> 5) % 3};
	uint32_t before = smtp_client_transactions(c);
	int rc = smtp_client_send(c, &m);

	for (size_t i = 0; i < m.n; i++) {
		const struct smtp_reply *reply = &rcpts[i].reply;

		check_reply(reply);
		must(reply->code == 0 || reply->code / 100 != 3);
		must(reply->code / 100 != 2 || reply->stage == SMTP_AT_END);
		must(reply->code || rc < 0);
	}
	must(smtp_client_transactions(c) - before <= 1);
	must(rc == 0 || !smtp_client_usable(c));
}

static void client(void *arg)
{
	struct run *r = arg;
	struct smtp_client_config config = {.host = S("client.example"),
		.lmtp = r->config & 1,
		.clear_ok = true,
		.dialogue = on_dialogue,
		.banner_ms = 1000,
		.command_ms = 1000,
		.data_ms = 1000,
		.block_ms = 1000,
		.end_ms = 1000};
	struct smtp_client *c;
	struct smtp_reply reply;
	enum smtp_open opened;
	bool verified;

	if (r->config & 2) {
		config.user = S("user");
		config.secret = S("pencil");
		config.mechanism = (enum smtp_client_mechanism)(r->config >> 2 & 3);
	}
	opened = smtp_client_open(r->io, &config, &c, &reply);
	check_reply(&reply);
	must((opened == SMTP_OPEN_OK) == (c != NULL));
	if (!c)
		return;
	must(smtp_client_tls_info(c, &verified) == NULL && !verified);
	for (int i = 0; i < 3 && smtp_client_usable(c); i++)
		send_message(r, c);
	if (smtp_client_usable(c))
		(void)smtp_client_reset(c);
	if (r->config & 16)
		smtp_client_drop(c);
	else
		smtp_client_quit(c);
}

static bool look(struct run *r)
{
	char got[4096];
	ssize_t n;

	while ((n = recv(r->fd, got, sizeof got, MSG_DONTWAIT)) > 0) {
		size_t take = (size_t)n < SAID_MAX - r->said_n ? (size_t)n : SAID_MAX - r->said_n;

		r->spoken = true;
		memcpy(r->said + r->said_n, got, take);
		r->said_n += take;
	}
	return n == 0 || (errno != EAGAIN && errno != EINTR);
}

/* Every line the client says ends in CRLF, and no bare one is in it. */
static void check_said(const struct run *r)
{
	bool raw = r->message & 4;

	for (size_t i = 0; i < r->said_n && !raw; i++)
		must(r->said[i] != '\n' || (i > 0 && r->said[i - 1] == '\r'));
	for (size_t i = 0; i + 1 < r->said_n && !raw; i++)
		must(r->said[i] != '\r' || r->said[i + 1] == '\n');
}

static void play(void *arg)
{
	struct run *r = arg;
	bool ended = false;

	while (r->size > 0 && !ended) {
		const uint8_t *wait = memchr(r->data, 0xFE, r->size);
		size_t want = wait ? (size_t)(wait - r->data) : r->size;
		ssize_t n;

		ended = look(r);
		if (want == 0) { /* the client's turn; it may have nothing to say */
			r->spoken = false;
			for (int i = 0; i < 8 && !r->spoken && !ended; i++) {
				fiber_yield();
				ended = look(r);
			}
			r->data++, r->size--;
			continue;
		}
		n = send(r->fd, r->data, want < r->step ? want : r->step, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0)
			r->data += n, r->size -= (size_t)n;
		fiber_yield();
	}
	shutdown(r->fd, SHUT_WR);
	while (!look(r))
		fiber_yield();
	close(r->fd);
	check_said(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd[2];

	if (size < 3)
		return 0;
	struct run *r = calloc(1, sizeof *r);
	uint8_t *copy = malloc(size);
	struct loop *l = loop_new("fuzz");
	if (!r || !copy || !l || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		abort();
	memcpy(copy, data, size);
	r->config = copy[0];
	r->message = copy[1];
	r->step = 1 + copy[2] * (size_t)16;
	r->data = copy + 3;
	r->size = size - 3;
	r->fd = fd[1];
	r->io = stream_new(fd[0]);
	if (!r->io || !fiber_start("client", client, r) || !fiber_start("server", play, r))
		abort();
	loop_run(l);
	loop_free(l);
	free(copy);
	free(r);
	return 0;
}

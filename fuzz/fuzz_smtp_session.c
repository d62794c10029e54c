/*
 * A whole SMTP or LMTP session over a socket pair. The first byte chooses the listener and its settings, the
 * second how much arrives at once. Whatever is said: calls come in their order, content is clean, limits
 * hold.
 */
#include "io/loop.h"
#include "limits.h"
#include "smtp/received.h"
#include "smtp/session.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct smtp_config config;
	uint64_t written;
	bool open, binary, cr; /* cr: the last byte written was a CR */
};

#define must(what)                                                                                           \
	do {                                                                                                 \
		if (!(what))                                                                                 \
			abort();                                                                             \
	} while (0)

static int on_starttls(void *ctx, struct stream *io, err *e)
{
	(void)ctx;
	(void)io;
	(void)e;
	return 0;
}

static enum smtp_login_verdict on_login(void *ctx, const struct smtp_login *l, err *e)
{
	(void)ctx;
	(void)e;
	must(l->user.n > 0 && l->user.n <= LIMIT_SMTP_USER && l->secret.n > 0 &&
		l->secret.n <= LIMIT_SMTP_SECRET);
	return l->user.p[0] == 'a' ? SMTP_LOGIN_OK : l->user.p[0] == 't' ? SMTP_LOGIN_TEMP : SMTP_LOGIN_BAD;
}

/* The verdict lies in the first letter of the local part. */
static enum smtp_verdict judge(slice local, err *e)
{
	unsigned v = local.n ? (unsigned char)local.p[0] % 32 : 0;

	if (v == 0 || v >= SMTP_VERDICT_COUNT)
		return SMTP_OK;
	if (v % 2)
		err_set_at(e, ERR_DENIED, 0, ERR_WHERE, "no: %.*s", (int)local.n, local.p);
	return (enum smtp_verdict)v;
}

static enum smtp_verdict on_sender(void *ctx, const struct smtp_envelope *env, err *e)
{
	const struct world *w = ctx;

	must(!w->open && env->n == 0 && env->size <= w->config.max_message);
	must(env->priority >= -9 && env->priority <= 9 && (env->by_mode != 'R' || env->by_s > 0));
	must(!env->require_tls &&
		(!env->release_s || w->config.kind == SMTP_SUBMISSION || w->config.kind == SMTP_SUBMISSIONS));
	return judge(env->sender_local, e);
}

static enum smtp_verdict on_recipient(
	void *ctx, const struct smtp_envelope *env, const struct smtp_recipient *r, err *e)
{
	const struct world *w = ctx;

	must(!w->open && env->n < w->config.max_recipients && r->path.kind != MAIL_PATH_IS_INVALID);
	must(!r->path.utf8 || env->smtputf8);
	return judge(r->local, e);
}

static int on_begin(void *ctx, const struct smtp_envelope *env, err *e)
{
	struct world *w = ctx;
	struct buf received = BUF_INIT(4096);

	must(!w->open && env->n > 0 && env->n <= w->config.max_recipients);
	smtp_received_format(&received, env, S("id"), (struct mail_date){0, 0});
	must(!received.failed && slice_ends(buf_slice(&received), S("\r\n")));
	must(slice_find(buf_slice(&received), S("\r\n\r\n")) < 0);
	buf_free(&received);
	if (env->recipients[0].notify == SMTP_NOTIFY_DELAY)
		return err_set(e, ERR_TEMP, "not now");
	w->open = true;
	w->cr = false;
	w->written = 0;
	w->binary = env->body == SMTP_BODY_BINARYMIME;
	return 0;
}

static int on_write(void *ctx, slice bytes, err *e)
{
	struct world *w = ctx;

	(void)e;
	must(w->open && bytes.n > 0 && bytes.n <= LIMIT_STREAM_BUFFER);
	w->written += bytes.n;
	must(w->written <= w->config.max_message);
	for (size_t i = 0; i < bytes.n && !w->binary; i++) {
		must(bytes.p[i] != 0);
		must((bytes.p[i] == '\n') == w->cr);
		w->cr = bytes.p[i] == '\r';
	}
	return 0;
}

static int on_end(void *ctx, struct smtp_envelope *env, struct smtp_receipt *ret, err *e)
{
	struct world *w = ctx;

	must(w->open && !w->cr);
	w->open = false;
	if (env->ret == SMTP_RET_HDRS)
		return err_set(e, ERR_DENIED, "no");
	for (size_t i = 0; i < env->n; i++)
		env->recipients[i].result = env->recipients[i].notify ? SMTP_FULL : SMTP_OK;
	memcpy(ret->queue_id, "id", 3);
	return 0;
}

static void on_abort(void *ctx, const struct smtp_envelope *env, const char *why)
{
	struct world *w = ctx;

	must(w->open && env->n > 0 && why[0]);
	w->open = false;
}

struct run {
	struct world world;
	struct stream *io;
	int fd;
	const uint8_t *data;
	size_t size, step;
};

static void serve(void *arg)
{
	static const struct smtp_server_ops ops = {
		.starttls = on_starttls,
		.login = on_login,
		.sender = on_sender,
		.recipient = on_recipient,
		.message_begin = on_begin,
		.message_write = on_write,
		.message_end = on_end,
		.message_abort = on_abort,
	};
	struct run *r = arg;
	struct smtp_session s = {.config = &r->world.config, .ops = &ops, .ctx = &r->world, .io = r->io};

	smtp_session_run(&s);
	must(!r->world.open);
	stream_close(r->io);
}

/* Every line that comes back is a reply line within its limit. */
static void check_reply(const char *p, size_t n, size_t *line)
{
	for (size_t i = 0; i < n; i++, ++*line) {
		must(*line < LIMIT_SMTP_REPLY);
		if (*line < 3)
			must(ascii_is_digit(p[i]));
		if (*line == 3)
			must(p[i] == ' ' || p[i] == '-');
		must(p[i] == '\r' || p[i] == '\n' || (unsigned char)p[i] >= ' ');
		if (p[i] == '\n')
			*line = SIZE_MAX; /* the next one is byte 0 */
	}
}

static void play(void *arg)
{
	struct run *r = arg;
	char got[4096];
	size_t line = 0;
	ssize_t n;
	bool ended = false;

	while (!ended) {
		size_t want = r->size < r->step ? r->size : r->step;
		n = want ? send(r->fd, r->data, want, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
		if (n > 0)
			r->data += n, r->size -= (size_t)n;
		if (r->size == 0)
			shutdown(r->fd, SHUT_WR);
		while ((n = recv(r->fd, got, sizeof got, MSG_DONTWAIT)) > 0)
			check_reply(got, (size_t)n, &line);
		ended = n == 0 || (errno != EAGAIN && errno != EINTR);
		fiber_yield();
	}
	close(r->fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd[2];

	if (size < 2)
		return 0;
	uint8_t *copy = malloc(size);
	struct loop *l = loop_new("fuzz");
	if (!copy || !l || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		abort();
	memcpy(copy, data, size);

	struct run r = {.fd = fd[1], .io = stream_new(fd[0]), .data = copy + 2, .size = size - 2};
	r.step = 1 + copy[1] * (size_t)16;
	r.world.config = smtp_config_default((enum smtp_kind)(copy[0] & 3), S("fuzz.example"));
	r.world.config.auth_plain = copy[0] & 4;
	r.world.config.bare_lines = copy[0] & 8;
	r.world.config.max_message = copy[0] & 16 ? 100 : 100000;
	r.world.config.max_recipients = copy[0] & 32 ? 2 : 100;
	r.world.config.max_hops = 3;
	r.world.config.future_s = 86400;
	r.world.config.starttls = copy[0] & 64;
	if (!r.io || !fiber_start("serve", serve, &r) || !fiber_start("play", play, &r))
		abort();
	loop_run(l);
	loop_free(l);
	free(copy);
	return 0;
}

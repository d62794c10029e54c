/*
 * A session that waits: IDLE (RFC 2177, RFC 9051 6.3.13), and between commands the client that said NOTIFY
 * (RFC 5465), which listens all the time. While it waits it holds its struct and its view, nothing else.
 */
#include "imap/notify.h"
#include "io/loop.h"
#include "limits.h"
#include <errno.h>

int imap_news(struct imap_session *s, bool expunges)
{
	int rc = imap_box_news(s, expunges);

	return rc == 0 ? imap_notify_news(s) : rc;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void give_back(struct imap_session *s)
{
	arena_free(s->arena);
	s->arena = NULL;
	buf_free(&s->out);
}

/*
 * Tells what happens until the client says something: 0. Between news, now and then a line that keeps NAT
 * routers and firewalls from forgetting the connection. patience_ms: silence after which memory is given
 * back.
 */
static int listen(struct imap_session *s, bool expunges, uint64_t patience_ms)
{
	uint64_t every = s->config->keepalive_ms, now = loop_now(), end = now + s->config->silence_ms;
	uint64_t patience = now + patience_ms, line = every ? now + every : end;

	for (;;) {
		uint64_t sent = s->sent;

		stream_timeout(s->io, end > now ? end - now : 1);
		s->progress_at = now;
		int rc = imap_news(s, expunges);
		if (rc == 0 && every && now >= line && s->sent == sent && s->out.n == 0)
			buf_addz(&s->out, "* OK Still here\r\n");
		if (rc == 0)
			rc = imap_send(s);
		if (rc == 0 && s->done)
			rc = -ECONNABORTED; /* BYE was said */
		if (rc < 0)
			return rc;
		now = loop_now();
		if (every && s->sent != sent)
			line = now + every;
		if (!s->arena || now >= patience)
			give_back(s);
		uint64_t until = sooner(end, sooner(line, s->arena ? patience : end));
		stream_timeout(s->io, until > now ? until - now : 1);
		rc = stream_wait(s->io);
		now = loop_now();
		if (rc > 0)
			return 0;
		if (rc < 0 && (rc != -ETIMEDOUT || now >= end))
			return rc;
	}
}

/* Waits for input where nothing may be told. */
static int wait_silently(struct imap_session *s, uint64_t patience_ms)
{
	slice have;

	stream_timeout(s->io, patience_ms);
	int rc = stream_fill(s->io, &have);
	if (rc == -ETIMEDOUT) {
		give_back(s);
		stream_timeout(s->io, s->config->silence_ms - patience_ms);
		do
			rc = stream_wait(s->io);
		while (rc == 0); /* a change: told after the next command */
	}
	return rc < 0 ? rc : 0;
}

int imap_wait(struct imap_session *s, uint64_t patience_ms)
{
	int rc = !imap_notify_listens(s)      ? wait_silently(s, patience_ms)
		 : stream_buffered(s->io) > 0 ? 0
					      : listen(s, imap_notify_expunges(s), patience_ms);

	if (!s->arena && !(s->arena = arena_new(LIMIT_IMAP_ARENA)))
		return -ENOMEM;
	stream_timeout(s->io, s->config->silence_ms);
	return rc;
}

int imap_cmd_idle(struct imap_session *s, struct imap_args *a)
{
	slice line;

	if (!imap_take_end(a))
		return imap_bad_args(s, a);
	/* While it idles nothing of the command is needed but its tag. */
	char tag[LIMIT_IMAP_TAG];
	size_t tag_n = s->command.tag.n;

	memcpy(tag, s->command.tag.p, tag_n);
	buf_addz(&s->out, "+ idling\r\n");
	arena_free(s->arena);
	s->arena = NULL;
	int rc = listen(s, true, 0);
	if (rc < 0)
		return rc;
	stream_timeout(s->io, s->config->silence_ms);
	s->arena = arena_new(LIMIT_IMAP_ARENA);
	if (!s->arena)
		return -ENOMEM;
	s->command = (struct imap_command){.tag = arena_copy(s->arena, slice_make(tag, tag_n))};
	ssize_t n = stream_read_line(s->io, LIMIT_IMAP_LOGIN_LINE, &line, NULL);
	if (n < 0 && n != -EMSGSIZE)
		return (int)n;
	if (n < 0 || !slice_ieq(slice_trim(line), S("DONE")))
		return imap_answer(s, IMAP_BAD, "only DONE ends IDLE");
	return imap_answer(s, IMAP_OK, "idled");
}

#include "scripted_server.h"
#include "../talk_runner.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define LINE 16000

static int fail(struct scripted *s, const char *what, slice detail)
{
	if (!s->failed[0])
		snprintf(s->failed, sizeof s->failed, "%s%.*s", what, (int)(detail.n < 200 ? detail.n : 200),
			detail.n ? detail.p : "");
	return -1;
}

static int put(struct scripted *s, struct stream *io, slice bytes)
{
	size_t step = s->bytes ? 1 : bytes.n;

	for (; bytes.n; bytes = slice_skip(bytes, step)) {
		if (stream_write(io, slice_sub(bytes, 0, step)) < 0 || stream_flush(io) < 0)
			return -1; /* the client has gone: what it thinks of it is looked at elsewhere */
		if (s->bytes)
			fiber_yield();
	}
	return 0;
}

static int say(struct scripted *s, struct stream *io, slice text, bool crlf, uint64_t times, bool last)
{
	struct buf out = BUF_INIT(1 << 28);
	int rc = 0;

	for (uint64_t i = 0; i < times; i++) {
		if (!talk_unescape(text, &out))
			rc = fail(s, "a bad escape: ", text);
		if (crlf)
			buf_add(&out, S("\r\n"));
	}
	if (last && s->cut)
		buf_truncate(&out, s->cut < out.n ? s->cut : out.n);
	if (rc == 0)
		rc = put(s, io, buf_slice(&out));
	buf_free(&out);
	return rc;
}

static int hear(struct scripted *s, struct stream *io, slice pattern)
{
	slice line;
	bool bare;
	ssize_t rc = stream_read_line(io, LINE, &line, &bare);

	if (rc < 0)
		return rc == -ENODATA ? fail(s, "the client closed before: ", pattern)
				      : fail(s, "nothing came for: ", pattern);
	if (bare)
		return fail(s, "a line that ends in LF alone: ", line);
	return talk_match(pattern, line) ? 0 : fail(s, "the client said: ", line);
}

static int exchange(struct scripted *s, struct stream *io, const char *heard, const char *said)
{
	return hear(s, io, slice_of(heard)) < 0 ? -1 : say(s, io, slice_of(said), true, 1, false);
}

static int extensions(struct scripted *s, struct stream *io, const char *verb, slice list)
{
	slice name;
	char line[256];

	if (hear(s, io, slice_of(verb)) < 0 || say(s, io, S("250-mx.example.test"), true, 1, false) < 0)
		return -1;
	while (list.n) {
		if (!slice_cut(&list, ',', &name)) {
			name = list;
			list.n = 0;
		}
		snprintf(line, sizeof line, "250-%.*s", (int)name.n, name.p);
		if (say(s, io, slice_of(line), true, 1, false) < 0)
			return -1;
	}
	return say(s, io, S("250 HELP"), true, 1, false);
}

/* Reads content up to its end; the end is not given back. */
static int read_data(struct scripted *s, struct stream *io, struct buf *ret)
{
	slice have;

	buf_addz(ret, "\r\n");
	while (!slice_ends(buf_slice(ret), S("\r\n.\r\n"))) {
		if (stream_fill(io, &have) < 0)
			return fail(s, "the content has no end", S(""));
		slice nl = have;
		ptrdiff_t at = slice_find_c(have, '\n');
		nl.n = at < 0 ? have.n : (size_t)at + 1;
		buf_add(ret, nl);
		stream_consume(io, nl.n);
	}
	buf_truncate(ret, ret->n - 3);
	buf_consume(ret, 2);
	s->content_read = true;
	return 0;
}

static int read_bdat(struct scripted *s, struct stream *io, struct buf *ret)
{
	slice line, word = {0}, size = {0};
	uint64_t n;

	if (stream_read_line(io, LINE, &line, NULL) < 0)
		return fail(s, "no BDAT came", S(""));
	slice rest = line;
	if (!slice_word(&rest, &word) || !slice_eq(word, S("BDAT")) || !slice_word(&rest, &size) ||
		!slice_to_u64(size, 1 << 28, &n) || !slice_eq(slice_trim(rest), S("LAST")))
		return fail(s, "not BDAT n LAST: ", line);
	char *to = buf_room(ret, n ? n : 1);
	if (!to || stream_read_exact(io, to, n) < 0)
		return fail(s, "BDAT is too short", S(""));
	buf_grow(ret, n);
	s->content_read = true;
	return 0;
}

static int content(struct scripted *s, struct stream *io, char kind, slice text)
{
	struct buf got = BUF_INIT(1 << 28), want = BUF_INIT(1 << 28);
	bool any = kind == '#' || kind == '%';
	int rc = kind == 'B' || kind == '%' ? read_bdat(s, io, &got) : read_data(s, io, &got);

	talk_unescape(text, &want);
	if (rc == 0 && !any && !slice_eq(buf_slice(&got), buf_slice(&want)))
		rc = fail(s, "the content was: ", buf_slice(&got));
	buf_free(&got);
	buf_free(&want);
	return rc;
}

static int greet(struct scripted *s, struct stream *io, char kind, slice list)
{
	if (kind != 'E' && say(s, io, S("220 mx.example.test ESMTP"), true, 1, false) < 0)
		return -1;
	return extensions(s, io, kind == 'L' ? "LHLO client.example.test" : "EHLO client.example.test", list);
}

static int handshake(struct scripted *s, struct stream *io)
{
	const char *why;

	return stream_start_tls(io, s->tls, true, &why) < 0 ? fail(s, "TLS: ", slice_of(why)) : 0;
}

/* 0: go on, 1: the end. */
static int step(struct scripted *s, struct stream *io, slice line, bool last)
{
	char kind = line.p[0];
	slice rest = line, head = {0};
	uint64_t times = 1;

	if (kind == 'X')
		return 1;
	if (kind == 'W')
		return shutdown(stream_fd(io), SHUT_WR);
	if (kind == 'M')
		return exchange(s, io, "MAIL FROM:<*>*", "250 2.1.0 ok");
	if (kind == 'R')
		return exchange(s, io, "RCPT TO:<*>*", "250 2.1.5 ok");
	if (kind == 'T')
		return handshake(s, io);
	if (kind == '#' || kind == '%')
		return content(s, io, kind, S(""));
	if (!slice_cut(&rest, ' ', &head))
		head = line, rest = S("");
	if (kind == 'C')
		return hear(s, io, rest);
	if (kind == 'D' || kind == 'B')
		return content(s, io, kind, rest);
	if (kind == 'H' || kind == 'L' || kind == 'E')
		return greet(s, io, kind, rest);
	if (kind == 'P' && slice_to_u64(rest, 10000, &times))
		return fiber_sleep(times);
	if (kind != 'S' || (head.n > 2 && !slice_to_u64(slice_sub(head, 2, head.n - 3), 1 << 24, &times)))
		return fail(s, "not a step: ", line);
	return say(s, io, rest, head.p[head.n - 1] == ':', times, last);
}

/* Whatever still comes must be QUIT, once. */
static void finish(struct scripted *s, struct stream *io)
{
	slice line;

	while (stream_read_line(io, LINE, &line, NULL) >= 0) {
		if (s->quit || !slice_eq(line, S("QUIT")))
			fail(s, "after the script the client said: ", line);
		s->quit = true;
		put(s, io, S("221 bye\r\n"));
	}
}

void scripted_serve(struct scripted *s, struct stream *io)
{
	slice text = slice_of(s->script), line;
	int rc = 0;

	while (rc == 0 && text.n) {
		if (!slice_cut(&text, '\n', &line)) {
			line = text;
			text.n = 0;
		}
		if (line.n == 0)
			continue;
		s->played++;
		rc = step(s, io, line, s->played == s->steps);
		if (s->played == s->steps)
			rc = 1;
	}
	if (rc == 0)
		finish(s, io);
	stream_free(io);
}

unsigned scripted_steps(const char *script)
{
	unsigned n = 0;

	for (const char *p = script; *p; p++)
		n += *p != '\n' && (p == script || p[-1] == '\n');
	return n;
}

#include "talk_runner.h"
#include "base/clock.h"
#include "base/encode.h"
#include "io/loop.h"
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WALL_US      1767225600000000 /* 2026-01-01, so that dates in answers are known */
#define LINE_MAX_    16384
#define SETTLE_TURNS 16  /* turns of the loop in which the server hears all that was said */
#define TURN_US      300 /* those that yield have their turn again and again for 250 before the poll has its */
#define PATIENCE_S   60  /* a run that hangs ends the program by SIGALRM */

struct talk {
	const struct talk_server *server;
	void *world;
	const char *path;
	slice text;
	unsigned line;
	bool bytes;        /* byte by byte */
	struct stream *io; /* the client's end; NULL before the first line */
	struct stream *server_io;
	struct fiber *client, *serving;
	bool served;     /* the session has ended; its fiber is gone */
	struct buf said; /* not yet sent */
	uint64_t clock;  /* the fake one, 0: free */
	bool failed;
};

bool talk_unescape(slice in, struct buf *out)
{
	static const char names[] = "rnt0\\", bytes[] = "\r\n\t\0\\";

	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] != '\\') {
			buf_add_c(out, in.p[i]);
			continue;
		}
		if (++i == in.n)
			return false;
		const char *at = memchr(names, in.p[i], sizeof names - 1);
		if (at)
			buf_add_c(out, bytes[at - names]);
		else if (in.p[i] != 'x' || in.n - i < 3 || !hex_decode(out, slice_sub(in, i + 1, 2)))
			return false;
		else
			i += 2;
	}
	return !out->failed;
}

bool talk_match(slice pattern, slice text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, back = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			back = t;
		} else if (p < pattern.n && pattern.p[p] == text.p[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++back;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static void fail(struct talk *t, const char *what, slice detail)
{
	fprintf(stderr, "%s:%u: %s%s%" SLICE_FMT "\n", t->path, t->line, t->bytes ? "(byte by byte) " : "",
		what, SLICE_ARG(detail));
	t->failed = true;
}

/* ---- the two ends ---- */

static void serve(void *arg)
{
	struct talk *t = arg;

	t->server->serve(t->world, t->server_io);
	stream_close(t->server_io);
	t->served = true;
	fiber_wake(t->client);
}

static void start(struct talk *t)
{
	int pair[2];

	if (t->io)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	t->io = stream_new(pair[0]);
	t->server_io = stream_new(pair[1]);
	t->client = fiber_self();
	t->serving = fiber_start(t->server->name, serve, t);
	if (!t->io || !t->server_io || !t->serving)
		abort();
}

/* What was said goes out. Errors are left to the next read: the server may have closed in the middle. */
static void send_said(struct talk *t)
{
	slice said = buf_slice(&t->said);

	if (said.n == 0)
		return;
	start(t);
	size_t step = t->bytes ? 1 : said.n;
	for (; said.n; said = slice_skip(said, step)) {
		if (stream_write(t->io, slice_sub(said, 0, step)) < 0 || stream_flush(t->io) < 0)
			break;
		fiber_yield();
	}
	buf_reset(&t->said);
}

static void hear(struct talk *t, slice pattern, bool skip)
{
	slice line;
	bool bare;

	send_said(t);
	start(t);
	do {
		ssize_t rc = stream_read_line(t->io, LINE_MAX_, &line, &bare);
		if (rc < 0) {
			fail(t, "expected a line, but: ",
				slice_of(rc == -ENODATA ? "closed" : strerror((int)-rc)));
			return;
		}
	} while (skip && !talk_match(pattern, line));
	if (bare)
		fail(t, "a line that ends in LF alone: ", line);
	else if (!talk_match(pattern, line))
		fail(t, "the server said: ", line);
}

/* ---- directives ---- */

struct nap {
	struct fiber *waker;
	bool sleeps, over;
};

static void nap(void *arg)
{
	struct nap *n = arg;

	n->sleeps = true;
	fiber_sleep(1);
	n->over = true;
	fiber_wake(n->waker);
}

/*
 * The loop's timer is set for the nearest deadline, so a fiber that sleeps for a moment makes it look at the
 * clock again.
 */
static void jump(struct talk *t, uint64_t ms)
{
	struct nap n = {.waker = fiber_self()};

	for (int i = 0; i < SETTLE_TURNS; i++) {
		uint64_t from = clock_span_us();

		while (clock_span_us() - from < TURN_US)
			fiber_yield();
	}
	t->clock = (t->clock ? t->clock : loop_now()) + ms;
	if (!fiber_start("clock", nap, &n))
		abort();
	while (!n.sleeps) /* then the clock is put before the loop can look for timers */
		fiber_yield();
	clock_fake(t->clock, WALL_US + (int64_t)ms * 1000);
	fiber_park_firmly(&n.over);
}

static void closed(struct talk *t)
{
	slice line;
	ssize_t rc = stream_read_line(t->io, LINE_MAX_, &line, NULL);

	if (rc >= 0)
		fail(t, "expected the end, but the server said: ", line);
}

static bool own_directive(struct talk *t, slice word, slice rest)
{
	uint64_t ms;

	if (slice_eq(word, S("whole")))
		return true;
	if (slice_eq(word, S("clock")) && slice_to_u64(rest, UINT32_MAX, &ms)) {
		send_said(t);
		start(t);
		jump(t, ms);
		return true;
	}
	bool eof = slice_eq(word, S("eof")), cancel = slice_eq(word, S("cancel"));
	if (!eof && !cancel && !slice_eq(word, S("closed")))
		return false;
	send_said(t);
	start(t);
	if (eof)
		shutdown(stream_fd(t->io), SHUT_WR);
	else if (cancel && !t->served)
		fiber_cancel(t->serving);
	else
		closed(t);
	return true;
}

static void directive(struct talk *t, slice rest)
{
	slice word = {0};

	slice_word(&rest, &word);
	rest = slice_trim(rest);
	if (own_directive(t, word, rest))
		return;
	send_said(t);
	enum talk_result r = t->server->directive(t->world, word, rest);
	if (r != TALK_OK)
		fail(t, r == TALK_UNKNOWN ? "no such directive: " : "not so: ", word);
}

/* ---- a file ---- */

static void say(struct talk *t, slice text, bool crlf, uint64_t times)
{
	for (uint64_t i = 0; i < times; i++) {
		if (!talk_unescape(text, &t->said))
			fail(t, "a bad escape: ", text);
		if (crlf)
			buf_add(&t->said, S("\r\n"));
	}
}

static void play_line(struct talk *t, slice line)
{
	slice rest = line, head;
	uint64_t times;

	if (line.n == 0 || line.p[0] == '#')
		return;
	if (slice_starts(line, S("@ ")))
		directive(t, slice_skip(line, 2));
	else if (slice_starts(line, S("C: ")) || slice_eq(line, S("C:")))
		say(t, slice_skip(line, 3), true, 1);
	else if (slice_starts(line, S("C> ")))
		say(t, slice_skip(line, 3), false, 1);
	else if (slice_starts(line, S("C*")) && slice_cut(&rest, ' ', &head) && head.n > 3 &&
		 slice_to_u64(slice_sub(head, 2, head.n - 3), 10000000, &times))
		say(t, rest, head.p[head.n - 1] == ':', times);
	else if (slice_starts(line, S("S: ")) || slice_starts(line, S("S~ ")))
		hear(t, slice_skip(line, 3), line.p[1] == '~');
	else
		fail(t, "not a line of a talk: ", line);
}

static void play(void *arg)
{
	struct talk *t = arg;
	slice text = t->text, line;

	while (!t->failed && slice_cut(&text, '\n', &line)) {
		t->line++;
		play_line(t, line);
	}
	send_said(t);
	stream_free(t->io);
	if (t->serving)
		fiber_park_firmly(&t->served);
}

static bool run_once(const struct talk_server *server, const char *path, slice text, bool bytes)
{
	struct talk t = {
		.server = server, .path = path, .text = text, .bytes = bytes, .said = BUF_INIT(1 << 28)};
	struct loop *l = loop_new("talk");

	clock_fake(0, WALL_US);
	t.world = server->begin();
	if (!l || !t.world || !fiber_start("client", play, &t))
		abort();
	alarm(PATIENCE_S);
	loop_run(l);
	alarm(0);
	server->end(t.world);
	loop_free(l);
	buf_free(&t.said);
	clock_fake(0, 0);
	return !t.failed;
}

static slice read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *p = NULL;
	size_t size = 0;
	ssize_t n = f ? getdelim(&p, &size, 0, f) : -1; /* talks hold no NUL: all of it */

	if (f)
		fclose(f);
	return (slice){n < 0 ? NULL : p, n < 0 ? 0 : (size_t)n};
}

int talk_run_all(const char *folder, const char *prefix, const struct talk_server *server)
{
	char pattern[512];
	glob_t found;
	int failed = 0;

	snprintf(pattern, sizeof pattern, "%s/%s*.talk", folder, prefix);
	if (glob(pattern, 0, NULL, &found) != 0) {
		fprintf(stderr, "no talk matches %s\n", pattern);
		return -1;
	}
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i];
		slice text = read_file(path);
		bool ok = text.p && run_once(server, path, text, false);

		if (ok && slice_find(text, S("@ whole\n")) < 0)
			ok = run_once(server, path, text, true);
		printf("%s %s\n", ok ? "ok  " : "FAIL", strrchr(path, '/') + 1);
		fflush(stdout);
		failed += !ok;
		free((void *)(uintptr_t)text.p);
	}
	globfree(&found);
	return failed;
}

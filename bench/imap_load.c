/*
 * A client that costs little, for bench/run_imap: it looks only at the end of what it receives, and never
 * parses. Passwords are the same for all. It is a measuring tool: what a server answers wrongly ends it.
 *
 *     imap_load fill HOST PORT PASSWORD USER MESSAGES        the messages 1..n of bench/run_imap, by APPEND
 *     imap_load steps HOST PORT PASSWORD USER                commands from standard input, one JSON line
 * each; OPEN: a new connection imap_load storm HOST PORT PASSWORD SESSIONS MESSAGES SECONDS PATTERN USER...
 *                                                            letters: n NOOP, b a body, e 50 envelopes, s
 * STORE imap_load append HOST PORT PASSWORD SESSIONS MESSAGES SIZE USER... imap_load hold HOST PORT PASSWORD
 * SESSIONS COMMAND USER...  SELECT and COMMAND, until standard input ends imap_load pop3 HOST PORT PASSWORD
 * MESSAGES WINDOW USER      RETR of so many, WINDOW commands ahead
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TAG     "zq7x" /* begins no line of a message */
#define IN_SIZE (1 << 20)
#define TAIL    4096 /* more than the longest last line: that of LOGIN names all capabilities */

static const char *host, *password;
static int port;
static char in[IN_SIZE + TAIL];

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

/* ---- text ---- */

struct text {
	char *p;
	size_t n, cap;
};

static void say(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *t, const char *fmt, ...)
{
	va_list ap;

	if (t->cap - t->n < 8192) {
		t->cap = 2 * t->cap + 65536;
		t->p = realloc(t->p, t->cap);
		if (!t->p)
			err(1, "memory");
	}
	va_start(ap, fmt);
	int n = vsnprintf(t->p + t->n, t->cap - t->n, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->cap - t->n)
		errx(1, "a line too long");
	t->n += (size_t)n;
}

/* ---- one connection, blocking ---- */

static int dial(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		errx(64, "not an address: %s", host);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) < 0)
		err(1, "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

static void put(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t rc = send(fd, p, n, MSG_NOSIGNAL);

		if (rc < 0)
			err(1, "the server closed a connection");
		p += rc;
		n -= (size_t)rc;
	}
}

/* Does what was received end with the answer to the command? BAD and NO end the run. */
static bool answered(const char *p, size_t n)
{
	const char *tail = n > TAIL ? p + n - TAIL : p, *line;
	size_t left = n - (size_t)(tail - p);

	if (n < 2 || p[n - 2] != '\r' || p[n - 1] != '\n')
		return false;
	line = left > 2 ? memrchr(tail, '\n', left - 1) : NULL;
	line = line ? line + 1 : tail;
	if ((size_t)(p + n - line) < sizeof TAG + 3 || memcmp(line, TAG " ", sizeof TAG) != 0)
		return false;
	if (memcmp(line + sizeof TAG, "OK", 2) != 0)
		errx(1, "the server says: %.*s", (int)(p + n - line), line);
	return true;
}

/* Reads until the answer has come. Returns the bytes. */
static uint64_t hear(int fd)
{
	size_t kept = 0;
	uint64_t all = 0;

	for (;;) {
		ssize_t n = recv(fd, in + kept, IN_SIZE, 0);

		if (n <= 0)
			errx(1, "the server closed a connection");
		all += (uint64_t)n;
		kept += (size_t)n;
		if (answered(in, kept))
			return all;
		if (kept > TAIL) {
			memmove(in, in + kept - TAIL, TAIL);
			kept = TAIL;
		}
	}
}

static uint64_t ask(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static uint64_t ask(int fd, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof line)
		errx(1, "a line too long");
	put(fd, line, (size_t)n);
	return hear(fd);
}

static void greeting(int fd)
{
	size_t n = 0;

	do {
		ssize_t got = recv(fd, in + n, IN_SIZE - n, 0);

		if (got <= 0)
			errx(1, "no greeting");
		n += (size_t)got;
	} while (in[n - 1] != '\n');
}

static int log_in(const char *user)
{
	int fd = dial();

	greeting(fd);
	ask(fd, TAG " LOGIN \"%s\" \"%s\"\r\n", user, password);
	return fd;
}

/* ---- messages ---- */

static uint32_t mix(uint64_t n)
{
	n = (n + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
	n = (n ^ n >> 27) * 0x94d049bb133111ebu;
	return (uint32_t)(n >> 32);
}

static void words(struct text *t, uint32_t seed, size_t bytes, const char *eol)
{
	static const char *const list[] = {"meeting", "the", "quarterly", "report", "of", "a", "delivery",
		"please", "find", "attached", "and", "invoice", "with", "regards", "to", "project",
		"tomorrow", "we", "is", "schedule", "in", "budget", "customer", "for", "server", "update",
		"on", "review", "draft", "team"};
	size_t from = t->n, line = t->n;

	while (t->n - from < bytes) {
		seed = seed * 1664525 + 1013904223;
		say(t, "%s ", list[seed >> 16 & 0xffff ? (seed >> 16) % (sizeof list / sizeof *list) : 0]);
		if (t->n - line > 66) {
			say(t, "%s", eol);
			line = t->n;
		}
	}
	say(t, "\r\n");
}

static void base64(struct text *t, uint32_t seed, size_t bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t n = 0; n < bytes; n += 76) {
		char line[77];

		for (int i = 0; i < 76; i++) {
			seed = seed * 1664525 + 1013904223;
			line[i] = digits[seed >> 26];
		}
		line[76] = 0;
		say(t, "%s\r\n", line);
	}
}

static void header(struct text *t, uint32_t n)
{
	static const char *const subjects[] = {"Quarterly report", "Re: Quarterly report", "Lunch on Friday",
		"=?UTF-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=", "[list] patch review", "Re: [list] patch review",
		"Invoice", "=?UTF-8?B?5Lya6K6u6YCa55+l?="};
	uint32_t r = mix(n), root = n - n % 10;

	say(t,
		"Return-Path: <sender%u@example.org>\r\nReceived: from mx.example.org (mx.example.org "
		"[192.0.2.%u])\r\n"
		"\tby mail.example.test with ESMTPS id %08X for <alice@example.test>;\r\n"
		"\tTue, %u Mar 2026 %02u:%02u:%02u +0000\r\n",
		r % 997, r % 250, r, 1 + n % 28, n % 24, n % 60, r % 60);
	say(t,
		"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; "
		"s=s1;\r\n\tt=17725%05u; "
		"h=From:To:Subject:Date:Message-ID:MIME-Version:Content-Type;\r\n\tbh=",
		n % 100000);
	base64(t, r, 76);
	say(t, "\tb=");
	base64(t, r + 1, 300);
	say(t, "From: \"Sender Number %u\" <sender%u@example.org>\r\nTo: Alice <alice@example.test>%s\r\n",
		r % 997, r % 997,
		n % 3 ? ""
		      : ", Bob Example <bob@example.test>,\r\n\t\"Carol, of Sales\" <carol@example.net>");
	if (n % 4 == 0)
		say(t, "Cc: staff@example.test\r\n");
	say(t, "Subject: %s %u\r\nDate: Tue, %02u Mar 2026 %02u:%02u:%02u +0100\r\n", subjects[r % 8], n / 10,
		1 + n % 28, n % 24, n % 60, r % 60);
	say(t, "Message-ID: <%u.%08x@example.org>\r\n", n, mix(n));
	if (n % 10)
		say(t,
			"In-Reply-To: <%u.%08x@example.org>\r\nReferences: <%u.%08x@example.org> "
			"<%u.%08x@example.org>\r\n",
			n - 1, mix(n - 1), root, mix(root), n - 1, mix(n - 1));
	say(t, "X-Mailer: Example Mail 16.0\r\nMIME-Version: 1.0\r\n");
}

/* About 8 KiB on the average: 6 of 10 plain text, 3 of 10 with HTML beside it, 1 of 10 with an attachment. */
static void message(struct text *t, uint32_t n)
{
	uint32_t r = mix(n ^ 0x5bd1e995), kind = r % 10;

	header(t, n);
	if (kind < 6) {
		say(t, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
		words(t, r, 1000 + r / 10 % 6000, "\r\n");
	} else if (kind < 9) {
		say(t,
			"Content-Type: multipart/alternative; boundary=\"b%08x\"\r\n\r\n--b%08x\r\n"
			"Content-Type: text/plain; charset=utf-8\r\n\r\n",
			r, r);
		words(t, r, 1000 + r / 10 % 4000, "\r\n");
		say(t, "\r\n--b%08x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>", r);
		words(t, r, 2000 + r / 10 % 8000, "<br>\r\n");
		say(t, "</p></body></html>\r\n--b%08x--\r\n", r);
	} else {
		say(t,
			"Content-Type: multipart/mixed; boundary=\"b%08x\"\r\n\r\n--b%08x\r\n"
			"Content-Type: text/plain; charset=utf-8\r\n\r\n",
			r, r);
		words(t, r, 500 + r / 10 % 2000, "\r\n");
		say(t,
			"\r\n--b%08x\r\nContent-Type: application/pdf; name=\"report %u.pdf\"\r\n"
			"Content-Disposition: attachment; filename=\"report %u.pdf\"\r\n"
			"Content-Transfer-Encoding: base64\r\n\r\n",
			r, n, n);
		base64(t, r, 8000 + r / 10 % 40000);
		say(t, "--b%08x--\r\n", r);
	}
}

static void fill(int argc, char **argv)
{
	uint32_t last = (uint32_t)number(argv[1]);
	struct text one = {0}, all = {0};
	int fd = log_in(argv[0]);
	uint64_t bytes = 0;

	(void)argc;
	for (uint32_t n = 1; n <= last;) {
		all.n = 0;
		say(&all, TAG " APPEND INBOX");
		for (int i = 0; i < 50 && n <= last; i++, n++) {
			one.n = 0;
			message(&one, n);
			say(&all, " {%zu+}\r\n", one.n);
			for (size_t at = 0; at < one.n; at += 4000)
				say(&all, "%.*s", one.n - at < 4000 ? (int)(one.n - at) : 4000, one.p + at);
			bytes += one.n;
		}
		say(&all, "\r\n");
		put(fd, all.p, all.n);
		hear(fd);
	}
	printf("{\"messages\":%u,\"bytes\":%llu}\n", last, (unsigned long long)bytes);
}

/* ---- steps ---- */

static void steps(int argc, char **argv)
{
	char line[1024];
	int fd = -1;

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof line, stdin)) {
		uint64_t from = now_us(), bytes = 0;

		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, "OPEN") == 0) {
			if (fd >= 0)
				close(fd);
			fd = dial();
			greeting(fd);
		} else if (strcmp(line, "LOGIN") == 0) {
			bytes = ask(fd, TAG " LOGIN \"%s\" \"%s\"\r\n", argv[0], password);
		} else {
			bytes = ask(fd, TAG " %s\r\n", line);
		}
		printf("{\"ms\":%.3f,\"bytes\":%llu}\n", (double)(now_us() - from) / 1e3,
			(unsigned long long)bytes);
	}
}

/* ---- many sessions ---- */

struct session {
	int fd;
	uint32_t at;
	size_t n;
	uint64_t since;
	char in[65536 + TAIL];
};

struct many {
	int epoll, n;
	struct session *of;
	uint32_t *times;
	size_t done, cap;
};

static void many_open(struct many *m, int n, char **users, int users_n)
{
	m->epoll = epoll_create1(EPOLL_CLOEXEC);
	m->n = n;
	m->of = calloc((size_t)n, sizeof *m->of);
	m->cap = 1 << 22;
	m->times = calloc(m->cap, sizeof *m->times);
	if (m->epoll < 0 || !m->of || !m->times)
		err(1, "cannot begin");
	for (int i = 0; i < n; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &m->of[i]};

		m->of[i].fd = log_in(users[i % users_n]);
		if (epoll_ctl(m->epoll, EPOLL_CTL_ADD, m->of[i].fd, &e) < 0)
			err(1, "epoll_ctl");
	}
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void many_print(struct many *m, uint64_t from)
{
	double seconds = (double)(now_us() - from) / 1e6;
	size_t n = m->done < m->cap ? m->done : m->cap;

	qsort(m->times, n, sizeof *m->times, by_size);
	printf("{\"rate\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n", (double)m->done / seconds,
		n ? m->times[n / 2] / 1e3 : 0, n ? m->times[n * 99 / 100] / 1e3 : 0);
}

/* The answer of one session, as far as it has come. True: it is whole. */
static bool listen_to(struct many *m, struct session *s)
{
	ssize_t n = recv(s->fd, s->in + s->n, sizeof s->in - s->n, 0);

	if (n <= 0)
		errx(1, "the server closed a connection");
	s->n += (size_t)n;
	if (answered(s->in, s->n)) {
		s->n = 0;
		if (m->done < m->cap)
			m->times[m->done] = (uint32_t)(now_us() - s->since);
		m->done++;
		return true;
	}
	if (s->n > TAIL) {
		memmove(s->in, s->in + s->n - TAIL, TAIL);
		s->n = TAIL;
	}
	return false;
}

static void storm_next(struct session *s, const char *pattern, uint32_t messages)
{
	char line[128];
	uint32_t r = mix((uint64_t)s->fd << 32 | s->at), one = r % messages + 1;
	int n = 0;

	switch (pattern[s->at++ % strlen(pattern)]) {
	case 'n':
		n = snprintf(line, sizeof line, TAG " NOOP\r\n");
		break;
	case 'b':
		n = snprintf(line, sizeof line, TAG " FETCH %u BODY.PEEK[]\r\n", one);
		break;
	case 'e':
		one = messages > 50 ? r % (messages - 50) + 1 : 1;
		n = snprintf(line, sizeof line, TAG " FETCH %u:%u ENVELOPE\r\n", one, one + 49);
		break;
	case 's':
		n = snprintf(line, sizeof line, TAG " STORE %u %cFLAGS.SILENT (\\Flagged)\r\n", one,
			r & 1 << 30 ? '+' : '-');
		break;
	default:
		errx(64, "a pattern has the letters n, b, e and s");
	}
	s->since = now_us();
	put(s->fd, line, (size_t)n);
}

static void storm(int argc, char **argv)
{
	struct many m = {0};
	struct epoll_event events[64];
	uint32_t messages = (uint32_t)number(argv[1]);
	uint64_t until, from;

	many_open(&m, (int)number(argv[0]), argv + 4, argc - 4);
	for (int i = 0; i < m.n; i++) {
		ask(m.of[i].fd, TAG " SELECT INBOX\r\n");
		m.of[i].at = (uint32_t)i; /* not all the same at once */
	}
	from = now_us();
	until = from + number(argv[2]) * 1000000;
	for (int i = 0; i < m.n; i++)
		storm_next(&m.of[i], argv[3], messages);
	while (now_us() < until) {
		int n = epoll_wait(m.epoll, events, 64, 1000);

		for (int i = 0; i < n; i++)
			if (listen_to(&m, events[i].data.ptr))
				storm_next(events[i].data.ptr, argv[3], messages);
	}
	many_print(&m, from);
}

static void append(int argc, char **argv)
{
	struct many m = {0};
	struct epoll_event events[64];
	struct text t = {0}, text = {0};
	uint64_t begun = 0, all = number(argv[1]), size = number(argv[2]), from;

	many_open(&m, (int)number(argv[0]), argv + 3, argc - 3);
	header(&text, 1);
	say(&text, "\r\n");
	words(&text, 1, size > text.n ? size - text.n : 0, "\r\n");
	say(&t, TAG " APPEND INBOX {%zu+}\r\n", text.n);
	for (size_t at = 0; at < text.n; at += 4000)
		say(&t, "%.*s", text.n - at < 4000 ? (int)(text.n - at) : 4000, text.p + at);
	say(&t, "\r\n");
	from = now_us();
	for (int i = 0; i < m.n && begun < all; i++, begun++) {
		m.of[i].since = now_us();
		put(m.of[i].fd, t.p, t.n);
	}
	while (m.done < all) {
		int n = epoll_wait(m.epoll, events, 64, -1);

		for (int i = 0; i < n; i++) {
			struct session *s = events[i].data.ptr;

			if (!listen_to(&m, s) || begun >= all)
				continue;
			begun++;
			s->since = now_us();
			put(s->fd, t.p, t.n);
		}
	}
	many_print(&m, from);
}

static void hold(int argc, char **argv)
{
	int n = (int)number(argv[0]);
	char c;

	for (int i = 0; i < n; i++) {
		int fd = log_in(argv[2 + i % (argc - 2)]);

		ask(fd, TAG " SELECT INBOX\r\n");
		ask(fd, TAG " %s\r\n", argv[1]);
	}
	printf("{\"held\":%d}\n", n);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
}

/* ---- POP3 ---- */

static void pop3_want(int fd, const char *fmt, const char *what)
{
	char line[512];

	put(fd, line, (size_t)snprintf(line, sizeof line, fmt, what));
	greeting(fd);
	if (in[0] != '+')
		errx(1, "the server says: %.40s", in);
}

/* Ends of messages in what came; `kept` bytes of the end are seen again. */
static uint32_t ends(size_t n, size_t *kept)
{
	const char *p = in, *end = in + n;
	uint32_t found = 0;

	while ((p = memmem(p, (size_t)(end - p), "\r\n.\r\n", 5))) {
		found++;
		p += 3; /* the CRLF may belong to the next, if that were empty */
	}
	*kept = n < 4 ? n : 4;
	memmove(in, end - *kept, *kept);
	return found;
}

static void pop3(int argc, char **argv)
{
	uint32_t all = (uint32_t)number(argv[0]), window = (uint32_t)number(argv[1]), sent = 0, got = 0;
	struct text t = {0};
	uint64_t from, bytes = 0;
	size_t kept = 0;
	int fd = dial();

	(void)argc;
	greeting(fd);
	from = now_us();
	pop3_want(fd, "USER %s\r\n", argv[2]);
	pop3_want(fd, "PASS %s\r\n", password);
	pop3_want(fd, "STAT%s\r\n", "");
	uint64_t ready = now_us();
	while (got < all) {
		t.n = 0;
		while (sent < all && sent - got < window)
			say(&t, "RETR %u\r\n", ++sent);
		put(fd, t.p, t.n);
		ssize_t n = recv(fd, in + kept, IN_SIZE, 0);

		if (n <= 0)
			errx(1, "the server closed a connection");
		bytes += (uint64_t)n;
		got += ends(kept + (size_t)n, &kept);
	}
	printf("{\"login_ms\":%.3f,\"rate\":%.1f,\"mb_s\":%.1f}\n", (double)(ready - from) / 1e3,
		all / ((double)(now_us() - ready) / 1e6), (double)bytes / (double)(now_us() - ready));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(int argc, char **argv);
		int least;
	} modes[] = {{"fill", fill, 2}, {"steps", steps, 1}, {"storm", storm, 5}, {"append", append, 4},
		{"hold", hold, 3}, {"pop3", pop3, 3}};

	for (size_t i = 0; argc > 5 && i < sizeof modes / sizeof *modes; i++) {
		if (strcmp(argv[1], modes[i].name) != 0 || argc - 5 < modes[i].least)
			continue;
		host = argv[2];
		port = (int)number(argv[3]);
		password = argv[4];
		modes[i].run(argc - 5, argv + 5);
		return 0;
	}
	errx(64, "imap_load fill|steps|storm|append|hold|pop3 HOST PORT PASSWORD ...");
}

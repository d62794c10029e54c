/*
 * A mail server that swallows: it takes every message as fast as one thread and epoll can, keeps nothing but
 * counts, and prints one JSON object a line: when it listens, at the first message, and at the end (after -m
 * messages, at TERM, or when standard input ends). Times are seconds of the monotonic clock.
 *
 *     sink [-k] [-m MESSAGES] PREFIX HOSTS PORT     listens at PREFIX1, PREFIX2, ... like 127.0.3.1
 *
 * It offers PIPELINING, SIZE, 8BITMIME and with -k CHUNKING. It is a measuring tool: a client that speaks
 * wrongly ends it.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IN_SIZE  262144
#define OUT_SIZE 16384

struct sink {
	int epoll, signals;
	bool chunking, ending;
	uint64_t most, messages, recipients, connections, octets;
	double began, first, last;
};

struct conn {
	bool listens, data, last_chunk, over;
	int fd;
	uint64_t chunk; /* octets of BDAT still to come */
	uint32_t rcpts;
	size_t in_n, out_n;
	char in[IN_SIZE], out[OUT_SIZE];
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_state(const struct sink *s, const char *event)
{
	printf("{\"event\":\"%s\",\"now\":%.6f,\"messages\":%llu,\"recipients\":%llu,\"connections\":%llu,"
	       "\"octets\":%llu,\"first_connection\":%.6f,\"first\":%.6f,\"last\":%.6f}\n",
		event, now(), (unsigned long long)s->messages, (unsigned long long)s->recipients,
		(unsigned long long)s->connections, (unsigned long long)s->octets, s->began, s->first,
		s->last);
	fflush(stdout);
}

static void reply(struct conn *c, const char *text)
{
	size_t n = strlen(text);

	if (c->out_n + n + 2 > OUT_SIZE)
		errx(1, "too many commands at once");
	memcpy(c->out + c->out_n, text, n);
	memcpy(c->out + c->out_n + n, "\r\n", 2);
	c->out_n += n + 2;
}

static void taken(struct sink *s, struct conn *c)
{
	s->last = now();
	if (s->messages++ == 0) {
		s->first = s->last;
		print_state(s, "first");
	}
	s->recipients += c->rcpts;
	s->ending = s->ending || s->messages == s->most;
	c->rcpts = 0;
	reply(c, "250 2.0.0 taken");
}

static size_t take_chunk(struct sink *s, struct conn *c, size_t n)
{
	size_t part = n < c->chunk ? n : (size_t)c->chunk;

	c->chunk -= part;
	if (c->chunk == 0) {
		c->data = false;
		if (c->last_chunk)
			taken(s, c);
		else
			reply(c, "250 on");
		c->last_chunk = false;
	}
	return part;
}

static void on_line(struct sink *s, struct conn *c, char *line)
{
	if (!strncasecmp(line, "EHLO", 4)) {
		reply(c, s->chunking ? "250-sink\r\n250-PIPELINING\r\n250-SIZE 60000000\r\n250-CHUNKING\r\n"
				       "250 8BITMIME"
				     : "250-sink\r\n250-PIPELINING\r\n250-SIZE 60000000\r\n250 8BITMIME");
	} else if (!strncasecmp(line, "MAIL", 4) || !strncasecmp(line, "RSET", 4)) {
		c->rcpts = 0;
		reply(c, "250 ok");
	} else if (!strncasecmp(line, "RCPT", 4)) {
		c->rcpts++;
		reply(c, "250 ok");
	} else if (!strcasecmp(line, "DATA")) {
		c->data = true;
		reply(c, "354 go");
	} else if (!strncasecmp(line, "BDAT ", 5)) {
		char *end;

		c->chunk = strtoull(line + 5, &end, 10);
		c->last_chunk = !strcasecmp(end, " LAST");
		c->data = true;
		if (c->chunk == 0)
			take_chunk(s, c, 0);
	} else if (!strncasecmp(line, "QUIT", 4)) {
		reply(c, "221 bye");
		c->over = true;
	} else {
		reply(c, "500 what?");
	}
}

/* How many octets of p were used up; what is left is looked at again when more has come. */
static size_t take_data(struct sink *s, struct conn *c, char *p, size_t n)
{
	char *end = memmem(p, n, "\r\n.\r\n", 5);

	if (n >= 3 && !memcmp(p, ".\r\n", 3))
		end = p - 2;
	if (!end) /* a dot may follow on the last line end */
		return n > 4 ? n - 4 : 0;
	c->data = false;
	taken(s, c);
	return (size_t)(end - p) + 5;
}

static size_t take(struct sink *s, struct conn *c, char *p, size_t n)
{
	if (c->data)
		return c->chunk > 0 || c->last_chunk ? take_chunk(s, c, n) : take_data(s, c, p, n);
	char *lf = memchr(p, '\n', n);
	if (!lf)
		return 0;
	*lf = 0;
	if (lf > p && lf[-1] == '\r')
		lf[-1] = 0;
	on_line(s, c, p);
	return (size_t)(lf - p) + 1;
}

static void conn_close(struct conn *c)
{
	close(c->fd);
	free(c);
}

static bool flush(struct conn *c)
{
	ssize_t n = c->out_n ? send(c->fd, c->out, c->out_n, MSG_NOSIGNAL) : 0;

	if (n < 0 || (size_t)n != c->out_n) /* a few lines always fit */
		return false;
	c->out_n = 0;
	return true;
}

static void conn_read(struct sink *s, struct conn *c)
{
	for (;;) {
		ssize_t n = recv(c->fd, c->in + c->in_n, IN_SIZE - c->in_n, 0);
		size_t at = 0, used;

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			conn_close(c);
			return;
		}
		s->octets += (uint64_t)n;
		c->in_n += (size_t)n;
		while (at < c->in_n && !c->over && (used = take(s, c, c->in + at, c->in_n - at)) > 0)
			at += used;
		c->in_n -= at;
		memmove(c->in, c->in + at, c->in_n);
		if (c->in_n == IN_SIZE)
			errx(1, "a line that does not end");
		if (!flush(c) || c->over) {
			conn_close(c);
			return;
		}
	}
}

static void add(const struct sink *s, struct conn *c)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};

	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
		err(1, "epoll_ctl");
}

static void conn_accept(struct sink *s, const struct conn *listener)
{
	int fd, on = 1;

	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = malloc(sizeof *c);

		if (!c)
			err(1, "memory");
		memset(c, 0, offsetof(struct conn, in));
		c->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (s->connections++ == 0)
			s->began = now();
		reply(c, "220 sink ESMTP");
		if (!flush(c)) {
			conn_close(c);
			continue;
		}
		add(s, c);
	}
}

static void listen_at(struct sink *s, const char *prefix, int host, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct conn *c = calloc(1, sizeof *c);
	char name[64];
	int on = 1;

	snprintf(name, sizeof name, "%s%d", prefix, host);
	if (!c || inet_pton(AF_INET, name, &a.sin_addr) != 1)
		errx(64, "not an address: %s", name);
	c->listens = true;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (c->fd < 0 || bind(c->fd, (const struct sockaddr *)&a, sizeof a) < 0 || listen(c->fd, 1024) < 0)
		err(1, "%s:%d", name, port);
	add(s, c);
}

static void watch_end(struct sink *s)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (s->signals < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->signals, &e) < 0)
		err(1, "signals");
	epoll_ctl(s->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &e); /* a file is no pipe: it does not end */
}

int main(int argc, char **argv)
{
	struct sink s = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
	struct rlimit files = {65536, 65536};
	struct epoll_event events[256];
	int o;

	while ((o = getopt(argc, argv, "km:")) != -1)
		if (o == 'k')
			s.chunking = true;
		else if (o == 'm')
			s.most = strtoull(optarg, NULL, 10);
		else
			return 64;
	if (argc - optind != 3)
		errx(64, "sink [-k] [-m MESSAGES] PREFIX HOSTS PORT");
	setrlimit(RLIMIT_NOFILE, &files);
	watch_end(&s);
	for (int i = 1; i <= (int)strtol(argv[optind + 1], NULL, 10); i++)
		listen_at(&s, argv[optind], i, (int)strtol(argv[optind + 2], NULL, 10));
	print_state(&s, "listening");
	while (!s.ending) {
		int n = epoll_wait(s.epoll, events, 256, -1);

		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			if (!c)
				s.ending = true;
			else if (c->listens)
				conn_accept(&s, c);
			else
				conn_read(&s, c);
		}
	}
	print_state(&s, "end");
	return 0;
}

/*
 * A load generator for mail servers: one thread, epoll, as many connections as asked for. It prints one JSON
 * object.
 *
 *     load smtp HOST PORT TO...      messages in: rate, and milliseconds from MAIL to the final reply
 *     load imap HOST PORT USER...    a command again and again: rate and milliseconds
 *     load idle HOST PORT USER...    sessions in IDLE until standard input ends
 *     load pop3 HOST PORT USER...    everything is fetched: messages and octets a second
 *
 * Recipients and users are taken in turn. It is a measuring tool: what a server answers wrongly ends it.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IN_SIZE  65536
#define OUT_SIZE 1024
#define TAG      "zq7x" /* begins no line of a message */

struct load;
struct conn;
typedef void on_line(struct conn *c, char *line, size_t n);

struct conn {
	struct load *l;
	SSL *ssl;
	on_line *next; /* who takes the next line */
	char *in;
	size_t in_n, out_n, out_at, body_at;
	bool has_body, connecting, handshaking, over, secure;
	int fd, number;
	uint32_t sent, left, have; /* messages of this session; of the POP3 list */
	uint64_t since;
	char out[OUT_SIZE];
};

struct load {
	/* asked for */
	const char *host, *password, *command, *mailbox, *user, *from, *parameters;
	char **who;
	int who_n, port, sessions;
	uint64_t messages, size, seconds;
	bool one, starttls, tls, pipeline;
	on_line *greeting;
	/* the state */
	SSL_CTX *ctx;
	char *body;
	size_t body_n;
	int epoll, open, ready;
	uint32_t *times; /* microseconds */
	size_t times_n, times_cap;
	uint64_t begun, done, octets, began_us, end_us;
	bool ending;
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void note_time(struct load *l, uint64_t since)
{
	if (l->times_n == l->times_cap) {
		l->times_cap = l->times_cap ? l->times_cap * 2 : 65536;
		l->times = reallocarray(l->times, l->times_cap, sizeof *l->times);
		if (!l->times)
			err(1, "memory");
	}
	l->times[l->times_n++] = (uint32_t)(now_us() - since);
}

/* ---- connections ---- */

static void watch(struct conn *c, int op)
{
	bool out = c->connecting || c->out_at < c->out_n || c->has_body;
	struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0u), .data.ptr = c};

	if (epoll_ctl(c->l->epoll, op, c->fd, &e) < 0)
		err(1, "epoll_ctl");
}

static void conn_open(struct conn *c)
{
	struct load *l = c->l;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->port)};
	int on = 1;

	if (inet_pton(AF_INET, l->host, &a.sin_addr) != 1)
		errx(64, "not an address: %s", l->host);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		err(1, "socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(c->fd, (const struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS)
		err(1, "connect");
	c->connecting = true;
	c->over = c->secure = c->has_body = false;
	c->in_n = c->out_n = c->out_at = 0;
	c->sent = 0;
	c->next = l->greeting;
	l->open++;
	watch(c, EPOLL_CTL_ADD);
}

static void conn_close(struct conn *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	c->handshaking = false;
	close(c->fd);
	c->fd = -1;
	c->l->open--;
}

static void conn_tls(struct conn *c)
{
	c->ssl = SSL_new(c->l->ctx);
	if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1)
		errx(1, "no memory for TLS");
	SSL_set_connect_state(c->ssl);
	c->handshaking = true;
}

/* Lines to be sent, CRLF added; after them the message when body is set. */
static void say(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct conn *c, const char *fmt, ...)
{
	va_list ap;

	if (c->out_at == c->out_n)
		c->out_at = c->out_n = 0;
	va_start(ap, fmt);
	int n = vsnprintf(c->out + c->out_n, sizeof c->out - c->out_n, fmt, ap);
	va_end(ap);
	if (n < 0 || c->out_n + (size_t)n + 2 > sizeof c->out)
		errx(1, "a line too long");
	c->out_n += (size_t)n;
	memcpy(c->out + c->out_n, "\r\n", 2);
	c->out_n += 2;
}

static ssize_t put(struct conn *c, const char *p, size_t n)
{
	if (!c->ssl)
		return send(c->fd, p, n, MSG_NOSIGNAL);
	int rc = SSL_write(c->ssl, p, (int)n);
	if (rc > 0)
		return rc;
	rc = SSL_get_error(c->ssl, rc);
	errno = rc == SSL_ERROR_WANT_READ || rc == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
	return -1;
}

static ssize_t get(struct conn *c, char *p, size_t n)
{
	if (!c->ssl)
		return recv(c->fd, p, n, 0);
	int rc = SSL_read(c->ssl, p, (int)n);
	if (rc > 0)
		return rc;
	rc = SSL_get_error(c->ssl, rc);
	if (rc == SSL_ERROR_ZERO_RETURN)
		return 0;
	errno = rc == SSL_ERROR_WANT_READ || rc == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
	return -1;
}

static void flush(struct conn *c)
{
	while (c->out_at < c->out_n || c->has_body) {
		bool head = c->out_at < c->out_n;
		const char *p = head ? c->out + c->out_at : c->l->body + c->body_at;
		ssize_t n = put(c, p, head ? c->out_n - c->out_at : c->l->body_n - c->body_at);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			err(1, "the server closed a connection");
		*(head ? &c->out_at : &c->body_at) += (size_t)n;
		c->has_body = c->has_body && c->body_at < c->l->body_n;
	}
}

static void take_lines(struct conn *c)
{
	char *p = c->in, *end = c->in + c->in_n, *lf;

	while (!c->over && !c->handshaking && (lf = memchr(p, '\n', (size_t)(end - p)))) {
		size_t n = (size_t)(lf - p);

		if (n > 0 && p[n - 1] == '\r')
			n--;
		p[n] = 0;
		c->next(c, p, n);
		p = lf + 1;
	}
	c->in_n = (size_t)(end - p);
	memmove(c->in, p, c->in_n);
	if (c->in_n == IN_SIZE) /* a line of a message longer than we care for */
		c->in_n = 0;
}

static bool handshake(struct conn *c)
{
	int rc = SSL_do_handshake(c->ssl);

	if (rc == 1) {
		c->handshaking = false;
		c->secure = true;
		if (!c->l->tls)
			c->l->greeting(c, NULL, 0);
		return true;
	}
	rc = SSL_get_error(c->ssl, rc);
	if (rc != SSL_ERROR_WANT_READ && rc != SSL_ERROR_WANT_WRITE)
		errx(1, "a TLS handshake failed");
	return false;
}

static void pull(struct conn *c)
{
	while (!c->over) {
		if (c->handshaking && !handshake(c))
			return;
		flush(c);
		ssize_t n = get(c, c->in + c->in_n, IN_SIZE - c->in_n);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			errx(1, "the server closed connection %d", c->number);
		c->in_n += (size_t)n;
		c->l->octets += (uint64_t)n;
		take_lines(c);
	}
}

static void conn_run(struct conn *c)
{
	if (c->connecting) {
		int error = 0;
		socklen_t n = sizeof error;

		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n);
		if (error)
			errx(1, "cannot connect: %s", strerror(error));
		c->connecting = false;
		if (c->l->tls)
			conn_tls(c);
	}
	pull(c);
	if (!c->over) {
		watch(c, EPOLL_CTL_MOD);
		return;
	}
	conn_close(c);
	if (!c->l->ending)
		conn_open(c);
}

static void want(const char *line, const char *start)
{
	if (strncmp(line, start, strlen(start)) != 0)
		errx(1, "the server says: %s (wanted %s)", line, start);
}

static const char *whose(const struct conn *c, uint64_t n)
{
	return c->l->who[n % (uint64_t)c->l->who_n];
}

/* ---- SMTP ---- */

static on_line smtp_mail, smtp_rcpt, smtp_data, smtp_reply, smtp_bye, smtp_hello, smtp_logged_in;
static void smtp_login(struct conn *c);

static bool last_line(const char *line)
{
	return isdigit((unsigned char)line[0]) && strlen(line) > 3 && line[3] != '-';
}

/* The next message, or the end of the session. */
static void smtp_next(struct conn *c)
{
	struct load *l = c->l;

	if (l->begun >= l->messages || (l->one && c->sent > 0)) {
		l->ending = l->begun >= l->messages;
		say(c, "QUIT");
		c->next = smtp_bye;
		return;
	}
	l->begun++;
	c->sent++;
	c->since = now_us();
	say(c, "MAIL FROM:<%s>%s%s", l->from, *l->parameters ? " " : "", l->parameters);
	if (l->pipeline) {
		say(c, "RCPT TO:<%s>", whose(c, l->begun));
		say(c, "DATA");
	}
	c->next = smtp_mail;
}

static void smtp_greeting(struct conn *c, char *line, size_t n)
{
	(void)n;
	if (line && !last_line(line))
		return;
	if (line)
		want(line, "220");
	say(c, "EHLO load.example");
	c->next = smtp_hello;
}

static void smtp_tls(struct conn *c, char *line, size_t n)
{
	(void)n;
	want(line, "220");
	conn_tls(c);
}

static void smtp_hello(struct conn *c, char *line, size_t n)
{
	(void)n;
	want(line, "250");
	if (!last_line(line))
		return;
	if (c->l->starttls && !c->secure) {
		say(c, "STARTTLS");
		c->next = smtp_tls;
	} else if (c->l->user) {
		smtp_login(c);
	} else {
		smtp_next(c);
	}
}

static void smtp_login(struct conn *c)
{
	char plain[256];
	unsigned char text[400];
	int n = snprintf(plain, sizeof plain, "%c%s%c%s", 0, c->l->user, 0, c->l->password);

	if (n < 0 || (size_t)n >= sizeof plain)
		errx(64, "name and password are too long");
	EVP_EncodeBlock(text, (const unsigned char *)plain, n);
	say(c, "AUTH PLAIN %s", (const char *)text);
	c->next = smtp_logged_in;
}

static void smtp_logged_in(struct conn *c, char *line, size_t n)
{
	(void)n;
	want(line, "235");
	smtp_next(c);
}

static void smtp_mail(struct conn *c, char *line, size_t n)
{
	(void)n;
	want(line, "250");
	if (!c->l->pipeline)
		say(c, "RCPT TO:<%s>", whose(c, c->l->begun));
	c->next = smtp_rcpt;
}

static void smtp_rcpt(struct conn *c, char *line, size_t n)
{
	(void)n;
	want(line, "250");
	if (!c->l->pipeline)
		say(c, "DATA");
	c->next = smtp_data;
}

static void smtp_data(struct conn *c, char *line, size_t n)
{
	(void)n;
	want(line, "354");
	say(c, "Message-ID: <%llu.%d@load.example>", (unsigned long long)c->since, c->number);
	c->body_at = 0;
	c->has_body = true;
	c->next = smtp_reply;
}

static void smtp_reply(struct conn *c, char *line, size_t n)
{
	(void)n;
	want(line, "250");
	note_time(c->l, c->since);
	c->l->done++;
	smtp_next(c);
}

static void smtp_bye(struct conn *c, char *line, size_t n)
{
	(void)n;
	want(line, "221");
	c->over = true;
}

static void make_body(struct load *l)
{
	char head[512];
	int head_n = snprintf(head, sizeof head,
		"From: %s\r\nTo: someone@example.test\r\nSubject: load\r\n"
		"Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=us-ascii\r\n\r\n",
		l->from);
	size_t n = (size_t)head_n;

	if (head_n < 0 || n >= sizeof head)
		errx(64, "the sender is too long");
	l->body = malloc(l->size + n + 100);
	if (!l->body)
		err(1, "memory");
	memcpy(l->body, head, n);
	while (n < l->size) {
		size_t line = l->size - n < 76 ? l->size - n : 76;

		for (size_t i = 0; i < line; i++)
			l->body[n + i] = (char)('a' + (n * 7 + i * i) % 26);
		n += line;
		memcpy(l->body + n, "\r\n", 2);
		n += 2;
	}
	memcpy(l->body + n, ".\r\n", 3);
	l->body_n = n + 3;
}

/* ---- IMAP ---- */

static on_line imap_select, imap_ready, imap_answer, imap_idling;

static void imap_greeting(struct conn *c, char *line, size_t n)
{
	(void)n;
	if (line)
		want(line, "* OK");
	say(c, TAG " LOGIN %s \"%s\"", whose(c, (uint64_t)c->number), c->l->password);
	c->next = imap_select;
}

static bool imap_tagged(const char *line)
{
	if (strncmp(line, TAG " ", sizeof TAG) != 0)
		return false;
	want(line, TAG " OK");
	return true;
}

static void imap_select(struct conn *c, char *line, size_t n)
{
	(void)n;
	if (!imap_tagged(line))
		return;
	say(c, TAG " SELECT %s", c->l->mailbox);
	c->next = imap_ready;
}

static void imap_ask(struct conn *c)
{
	c->since = now_us();
	say(c, TAG " %s", c->l->command);
	c->next = imap_answer;
}

static void imap_ready(struct conn *c, char *line, size_t n)
{
	struct load *l = c->l;

	(void)n;
	if (!imap_tagged(line))
		return;
	if (++l->ready == l->sessions) {
		l->began_us = now_us();
		l->end_us = l->began_us + l->seconds * 1000000;
		l->octets = 0;
	}
	if (l->command) {
		imap_ask(c);
	} else {
		say(c, TAG " IDLE");
		c->next = imap_idling;
	}
}

static void imap_answer(struct conn *c, char *line, size_t n)
{
	struct load *l = c->l;

	(void)n;
	if (!imap_tagged(line))
		return;
	if (l->ready == l->sessions && c->since >= l->began_us) {
		note_time(l, c->since);
		l->done++;
		l->ending = now_us() >= l->end_us;
	}
	if (l->ending)
		c->over = true;
	else
		imap_ask(c);
}

static void imap_idling(struct conn *c, char *line, size_t n)
{
	(void)n;
	if (line[0] != '+' || c->left)
		return;
	c->left = 1;
	if (++c->l->done == (uint64_t)c->l->sessions) {
		printf("{\"idle\":%d}\n", c->l->sessions);
		fflush(stdout);
	}
}

/* ---- POP3 ---- */

static on_line pop3_user, pop3_pass, pop3_stat, pop3_message, pop3_start;

static void pop3_greeting(struct conn *c, char *line, size_t n)
{
	(void)n;
	if (line)
		want(line, "+OK");
	say(c, "USER %s", whose(c, (uint64_t)c->number));
	c->next = pop3_user;
}

static void pop3_user(struct conn *c, char *line, size_t n)
{
	(void)n;
	want(line, "+OK");
	say(c, "PASS %s", c->l->password);
	c->next = pop3_pass;
}

static void pop3_pass(struct conn *c, char *line, size_t n)
{
	(void)n;
	want(line, "+OK");
	say(c, "STAT");
	c->next = pop3_stat;
}

static void pop3_next(struct conn *c)
{
	if (c->have == c->left) {
		c->over = true;
		c->l->ending = true;
		return;
	}
	c->since = now_us();
	say(c, "RETR %u", ++c->have);
	c->next = pop3_start;
}

static void pop3_stat(struct conn *c, char *line, size_t n)
{
	(void)n;
	want(line, "+OK");
	c->left = (uint32_t)strtoul(line + 4, NULL, 10);
	c->have = 0;
	pop3_next(c);
}

static void pop3_start(struct conn *c, char *line, size_t n)
{
	(void)n;
	want(line, "+OK");
	c->next = pop3_message;
}

static void pop3_message(struct conn *c, char *line, size_t n)
{
	if (n != 1 || line[0] != '.')
		return;
	note_time(c->l, c->since);
	c->l->done++;
	pop3_next(c);
}

/* ---- the run ---- */

static void run(struct load *l, bool until_input_ends)
{
	struct conn *conns = calloc((size_t)l->sessions, sizeof *conns);
	struct epoll_event events[256], input = {.events = EPOLLIN, .data.ptr = NULL};

	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!conns || l->epoll < 0)
		err(1, "cannot begin");
	if (until_input_ends && epoll_ctl(l->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0)
		err(1, "standard input must be a pipe");
	l->began_us = now_us();
	for (int i = 0; i < l->sessions; i++) {
		conns[i] = (struct conn){.l = l, .number = i, .in = malloc(IN_SIZE)};
		if (!conns[i].in)
			err(1, "memory");
		conn_open(&conns[i]);
	}
	while (l->open > 0) {
		int n = epoll_wait(l->epoll, events, 256, -1);

		for (int i = 0; i < n; i++) {
			if (!events[i].data.ptr)
				return;
			conn_run(events[i].data.ptr);
		}
	}
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double part_ms(const struct load *l, double part)
{
	size_t at = (size_t)((double)l->times_n * part);

	return l->times_n ? l->times[at < l->times_n ? at : l->times_n - 1] / 1000.0 : 0;
}

static void print_result(struct load *l)
{
	double s = (double)(now_us() - l->began_us) / 1e6;

	qsort(l->times, l->times_n, sizeof *l->times, by_size);
	printf("{\"done\":%llu,\"seconds\":%.3f,\"rate\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%."
	       "3f,"
	       "\"mb_s\":%.1f}\n",
		(unsigned long long)l->done, s, (double)l->done / s, part_ms(l, 0.5), part_ms(l, 0.99),
		part_ms(l, 1), (double)l->octets / s / 1e6);
}

static void usage(void)
{
	fprintf(stderr, "load smtp|imap|idle|pop3 HOST PORT [options] NAME...\n"
			"  -c N sessions  -m N messages  -s N octets  -1 one message a session  -p pipelined "
			"envelopes\n"
			"  -t STARTTLS  -T implicit TLS  -w PASSWORD  -b MAILBOX  -x COMMAND  -d SECONDS\n"
			"  -a USER logs in  -f SENDER  -o PARAMETERS of MAIL\n");
	exit(64);
}

static void options(struct load *l, int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "c:m:s:1ptTw:b:x:d:a:f:o:")) != -1) {
		switch (o) {
		case 'c':
			l->sessions = (int)strtol(optarg, NULL, 10);
			break;
		case 'm':
			l->messages = strtoull(optarg, NULL, 10);
			break;
		case 's':
			l->size = strtoull(optarg, NULL, 10);
			break;
		case 'd':
			l->seconds = strtoull(optarg, NULL, 10);
			break;
		case '1':
			l->one = true;
			break;
		case 'p':
			l->pipeline = true;
			break;
		case 't':
			l->starttls = true;
			break;
		case 'T':
			l->tls = true;
			break;
		case 'w':
			l->password = optarg;
			break;
		case 'a':
			l->user = optarg;
			break;
		case 'f':
			l->from = optarg;
			break;
		case 'o':
			l->parameters = optarg;
			break;
		case 'b':
			l->mailbox = optarg;
			break;
		case 'x':
			l->command = optarg;
			break;
		default:
			usage();
		}
	}
	l->who = argv + optind;
	l->who_n = argc - optind;
	if (l->who_n < 1 || l->sessions < 1 || l->size < 1)
		usage();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		on_line *greeting;
	} modes[] = {{"smtp", smtp_greeting}, {"imap", imap_greeting}, {"idle", imap_greeting},
		{"pop3", pop3_greeting}};
	struct load l = {.sessions = 1,
		.messages = 1000,
		.size = 4096,
		.seconds = 3,
		.password = "",
		.from = "load@sender.example",
		.parameters = "",
		.mailbox = "INBOX"};
	struct rlimit files = {65536, 65536};
	const char *mode = argc > 4 ? argv[1] : "";

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		if (!strcmp(mode, modes[i].name))
			l.greeting = modes[i].greeting;
	if (!l.greeting)
		usage();
	l.host = argv[2];
	l.port = (int)strtol(argv[3], NULL, 10);
	options(&l, argc - 3, argv + 3);
	if (!strcmp(mode, "imap") && !l.command)
		l.command = "NOOP";
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	l.ctx = SSL_CTX_new(TLS_client_method());
	if (!l.ctx)
		errx(1, "no memory for TLS");
	make_body(&l);
	run(&l, !strcmp(mode, "idle"));
	print_result(&l);
	return 0;
}

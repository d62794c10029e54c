/*
 * IMAP on a mailbox of many messages (2 KiB each): bench_imap [MESSAGES [COMMAND]], the one command (or
 * QRESYNC, for what a client that comes back pays) or a choice. The session runs on a fiber of this thread,
 * its client is a thread that reads what comes. Times are best of five, and so is the session's CPU time.
 */
#include "imap/session.h"
#include "io/loop.h"
#include "mail/summary.h"
#include "mailbox/account.h"
#include "mailbox/write.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct bench {
	char dir[64];
	struct store *store;
	struct mailbox_codec *codec;
	uint32_t account, messages;
	const char *only;
	int fds[2];
	clockid_t cpu; /* of the thread that has the session */
};

static void must(int rc, const err *e)
{
	if (rc < 0) {
		fprintf(stderr, "%s\n", e->text);
		exit(1);
	}
}

static double clock_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now(void)
{
	return clock_s(CLOCK_MONOTONIC);
}

/* ---- the mailbox ---- */

#define BATCH 100

static void fill(struct bench *b)
{
	static char texts[BATCH][2100];
	static struct append_message batch[BATCH];
	struct buf summaries[BATCH];
	err e = {0};

	for (uint32_t i = 0; i < b->messages; i += BATCH) {
		for (uint32_t k = 0; k < BATCH; k++) {
			uint32_t n = i + k;
			int len = snprintf(texts[k], sizeof texts[k],
				"Received: from a.example by mx.example.test with ESMTP id %u; Thu, 1 Jan "
				"2026 00:00:00 +0000\r\n"
				"From: \"Sender Number %u\" <sender%u@example.org>\r\nTo: Alice "
				"<alice@example.test>\r\n"
				"Subject: message number %u of the bench\r\nDate: Thu, 01 Jan 2026 "
				"%02u:%02u:00 +0000\r\n"
				"Message-ID: <%u.%u@example.org>\r\nMIME-Version: 1.0\r\n"
				"Content-Type: text/plain; charset=utf-8\r\n\r\n",
				n, n % 997, n % 997, n, n % 24, n % 60, n, n * 7);
			while (len < 2000)
				len += snprintf(texts[k] + len, sizeof texts[k] - (size_t)len,
					"The quick brown fox jumps over the lazy dog, line after line.\r\n");
			slice text = slice_make(texts[k], (size_t)len);
			summaries[k] = BUF_INIT(1 << 20);
			must(mail_summary_make(text, &summaries[k], &e), &e);
			batch[k] =
				(struct append_message){.content = {.bytes = text, .size = (uint32_t)text.n},
					.summary = buf_slice(&summaries[k])};
		}
		struct append a = {
			.account = b->account, .mailbox = MAILBOX_INBOX, .messages = batch, .n = BATCH};
		must(mailbox_append(b->store, b->codec, &a, &e), &e);
		for (uint32_t k = 0; k < BATCH; k++)
			buf_free(&summaries[k]);
	}
}

/* ---- the client ---- */

static void put(int fd, const char *text)
{
	size_t n = strlen(text);

	while (n > 0) {
		ssize_t put = send(fd, text, n, MSG_NOSIGNAL);
		if (put <= 0)
			exit(1);
		text += put;
		n -= (size_t)put;
	}
}

/* Reads until the answer to tag "a" has come, which is the last line. Returns the bytes. */
static uint64_t hear(int fd)
{
	static char got[(1 << 20) + 1024];
	size_t kept = 0; /* the end of what came before: the answer may come in pieces */
	uint64_t all = 0;

	for (;;) {
		ssize_t n = recv(fd, got + kept, 1 << 20, 0);
		if (n <= 0)
			exit(1);
		all += (uint64_t)n;
		slice s = slice_make(got, kept + (size_t)n);
		slice end = slice_skip(s, s.n > 600 ? s.n - 600 : 0);
		if (slice_ends(s, S("\r\n")) &&
			(slice_find(end, S("\r\na OK")) >= 0 || slice_starts(end, S("a OK"))))
			return all;
		kept = end.n;
		memmove(got, end.p, end.n);
	}
}

static void measure(const struct bench *b, const char *what)
{
	int fd = b->fds[1];
	char line[256];
	double best = 1e9, best_cpu = 1e9;
	uint64_t bytes = 0;

	snprintf(line, sizeof line, "a %s\r\n", what);
	for (int i = 0; i < 5; i++) {
		double from = now(), cpu = clock_s(b->cpu);
		put(fd, line);
		bytes = hear(fd);
		if (now() - from < best)
			best = now() - from;
		if (clock_s(b->cpu) - cpu < best_cpu)
			best_cpu = clock_s(b->cpu) - cpu;
	}
	printf("%-40s %9.2f ms %9.2f ms CPU %9.1f MB/s\n", what, best * 1e3, best_cpu * 1e3,
		(double)bytes / best / 1e6);
}

static void many(int fd, uint32_t messages, const char *what, uint32_t times)
{
	char line[128];
	double from = now();

	for (uint32_t i = 0; i < times; i++) {
		snprintf(line, sizeof line, "a UID FETCH %u %s\r\n", i * 7919 % messages + 1, what);
		put(fd, line);
		hear(fd);
	}
	printf("UID FETCH n %-28s %9.0f /s (1 session)\n", what, times / (now() - from));
}

/* What a client that comes back pays: ten changes since its last visit, and, of another life, all. */
static void resync(struct bench *b, int fd)
{
	struct store_snap snap = {0};
	struct mailbox_row row;
	err e = {0};
	char line[128];

	put(fd, "a ENABLE QRESYNC\r\n");
	hear(fd);
	for (int i = 0; i < 10; i++) {
		snprintf(line, sizeof line, "a UID STORE %d +FLAGS.SILENT (\\Answered)\r\n", 1 + i * 97);
		put(fd, line);
		hear(fd);
	}
	must(store_snap_begin(b->store, &snap, &e), &e);
	must(mailbox_get(&snap, b->account, MAILBOX_INBOX, &row, &e), &e);
	uint32_t validity = row.uidvalidity;
	unsigned long long modseq = row.highest_modseq;
	store_snap_end(&snap);
	snprintf(line, sizeof line, "SELECT INBOX (QRESYNC (%u %llu))", validity, modseq - 10);
	measure(b, line);
	snprintf(line, sizeof line, "UID FETCH 1:* FLAGS (CHANGEDSINCE %llu VANISHED)", modseq - 10);
	measure(b, line);
	snprintf(line, sizeof line, "SELECT INBOX (QRESYNC (%u %llu))", validity, modseq + 1000000);
	measure(b, line);
}

static void *client(void *arg)
{
	struct bench *b = arg;
	int fd = b->fds[1];

	hear(fd);
	measure(b, "SELECT INBOX");
	if (b->only && strcmp(b->only, "QRESYNC") == 0) {
		resync(b, fd);
	} else if (b->only) {
		measure(b, b->only);
	}
	if (b->only) {
		put(fd, "a LOGOUT\r\n");
		hear(fd);
		return NULL;
	}
	measure(b, "NOOP");
	measure(b, "FETCH 1:* FLAGS");
	resync(b, fd);
	measure(b, "FETCH 1:* (UID FLAGS RFC822.SIZE)");
	measure(b, "FETCH 1:* ENVELOPE");
	measure(b, "FETCH 1:* BODYSTRUCTURE");
	measure(b, "FETCH 1:* INTERNALDATE");
	measure(b, "FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]");
	measure(b, "FETCH 1:* BODY.PEEK[]");
	measure(b, "STORE 1:* +FLAGS.SILENT (\\Flagged)");
	measure(b, "STORE 1:* FLAGS.SILENT ()");
	measure(b, "SEARCH UNSEEN");
	measure(b, "SEARCH SINCE 1-Jan-2020");
	measure(b, "SEARCH SUBJECT \"number 4711 \"");
	measure(b, "SEARCH TEXT rarissimum");
	measure(b, "SORT (REVERSE DATE) UTF-8 ALL");
	measure(b, "SORT (SUBJECT) UTF-8 ALL");
	measure(b, "THREAD REFERENCES UTF-8 ALL");
	measure(b, "COPY 1:10000 Archive");
	many(fd, b->messages, "BODY.PEEK[]", 20000);
	many(fd, b->messages, "FLAGS", 20000);
	put(fd, "a LOGOUT\r\n");
	hear(fd);
	return NULL;
}

static void serve(void *arg)
{
	static const struct imap_session_config config = {
		.message_max = 50 << 20, .silence_ms = 1800000, .errors_max = 20};
	struct bench *b = arg;
	uint32_t domain;
	err e = {0};

	must(domain_add(b->store, S("example.test"), &domain, &e), &e);
	must(account_add(b->store, S("alice"), S("example.test"), NULL, &b->account, &e), &e);
	double from = now();
	fill(b);
	printf("%-40s %9.0f /s\n", "filling", b->messages / (now() - from));

	pthread_t thread;
	struct stream *io = stream_new(b->fds[0]);
	if (!io || pthread_getcpuclockid(pthread_self(), &b->cpu) != 0 ||
		pthread_create(&thread, NULL, client, b) != 0)
		exit(1);
	struct imap_start start = {.io = io,
		.store = b->store,
		.codec = b->codec,
		.account = b->account,
		.tag = S("a"),
		.config = &config};
	imap_session_run(&start);
	stream_close(io);
	pthread_join(thread, NULL);
}

static void remove_files(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *x;
	char path[512];

	while (d && (x = readdir(d))) {
		if (x->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, x->d_name);
		if (unlink(path) < 0)
			remove_files(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	struct bench b = {.dir = "/tmp/posthouse-bench-XXXXXX", .messages = 100000};
	struct loop *l = loop_new("bench");
	err e = {0};

	if (argc > 1 && !slice_to_u32(slice_of(argv[1]), 10000000, &b.messages))
		return 1;
	b.only = argc > 2 ? argv[2] : NULL;
	b.messages = (b.messages + BATCH - 1) / BATCH * BATCH;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!l || !mkdtemp(b.dir) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b.fds) < 0)
		return 1;
	if (fcntl(b.fds[0], F_SETFL, O_NONBLOCK) < 0)
		return 1;
	struct store_config c = {.dir = b.dir, .engine = &kv_lmdb};
	must(store_open(&c, &b.store, &e), &e);
	must(store_start(b.store, &e), &e);
	b.codec = mailbox_codec_new();
	if (!b.codec || !fiber_start("bench", serve, &b))
		return 1;
	loop_run(l);
	store_close(b.store);
	mailbox_codec_free(b.codec);
	loop_free(l);
	remove_files(b.dir);
	return 0;
}

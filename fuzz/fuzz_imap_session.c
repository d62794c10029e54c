/*
 * The whole IMAP session after login over a socket pair, on a store with the memory engine. Each input gets
 * an account of its own with a few messages. What comes back is lines; literals are as long as they say.
 */
#include "imap/session.h"
#include "io/loop.h"
#include "mail/summary.h"
#include "mailbox/account.h"
#include "mailbox/write.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world { /* one a process: opening a store for each input would be all the time there is */
	char dir[64];
	struct store *store;
	struct mailbox_codec *codec;
	unsigned inputs;
};

struct run {
	struct world *world;
	uint32_t account;
	struct stream *io;
	int fd;
	const uint8_t *data;
	size_t size, step;
};

static void must(int rc)
{
	if (rc < 0)
		abort();
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

static struct world *the_world(void)
{
	static struct world w;
	err e = {0};

	if (w.store)
		return &w;
	/* In memory where there is such a folder: nothing here tests that it is durable. */
	snprintf(w.dir, sizeof w.dir, "/dev/shm/posthouse-fuzz-XXXXXX");
	if (!mkdtemp(w.dir)) {
		snprintf(w.dir, sizeof w.dir, "/tmp/posthouse-fuzz-XXXXXX");
		if (!mkdtemp(w.dir))
			abort();
	}
	struct store_config c = {
		.dir = w.dir, .engine = &kv_memory, .volume_bytes = 256 << 20, .step_bytes = 1 << 20};
	must(store_open(&c, &w.store, &e));
	must(store_start(w.store, &e));
	remove_files(w.dir); /* what is open stays open; nothing is left behind, whatever happens */
	w.codec = mailbox_codec_new();
	return &w;
}

static const char *const messages[] = {
	"From: a@b\r\nSubject: =?utf-8?q?=C3=A4?=\r\n\r\nhello\r\n",
	"From: \"A\\\"\" <a@b>, c@d\r\nTo: g: x@y, z@w;\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n"
	"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
	"base64\r\n\r\nYWIA/w==\r\n"
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nside\r\n--b--\r\n",
	"\r\n",
};

static void fill(struct run *r)
{
	struct world *w = r->world;
	char name[32];
	uint32_t domain;
	err e = {0};

	if (w->inputs == 0)
		must(domain_add(w->store, S("fuzz.test"), &domain, &e));
	snprintf(name, sizeof name, "u%u", w->inputs++);
	must(account_add(w->store, slice_of(name), S("fuzz.test"), NULL, &r->account, &e));
	struct append_message m[COUNT_OF(messages)];
	struct buf summaries[COUNT_OF(messages)];
	for (size_t i = 0; i < COUNT_OF(messages); i++) {
		slice text = slice_of(messages[i]);

		summaries[i] = BUF_INIT(1 << 20);
		must(mail_summary_make(text, &summaries[i], &e));
		m[i] = (struct append_message){.content = {.bytes = text, .size = (uint32_t)text.n},
			.summary = buf_slice(&summaries[i]),
			.flags = (uint8_t)i};
	}
	struct append a = {
		.account = r->account, .mailbox = MAILBOX_INBOX, .messages = m, .n = COUNT_OF(messages)};
	must(mailbox_append(w->store, w->codec, &a, &e));
	for (size_t i = 0; i < COUNT_OF(messages); i++)
		buf_free(&summaries[i]);
}

static void serve(void *arg)
{
	static const struct imap_session_config config = {
		.message_max = 3 << 20, .silence_ms = 1800000, .errors_max = 100};
	struct run *r = arg;

	fill(r);
	struct imap_start start = {.io = r->io,
		.store = r->world->store,
		.codec = r->world->codec,
		.account = r->account,
		.tag = S("t"),
		.config = &config};
	imap_session_run(&start);
	stream_close(r->io);
}

struct check {         /* of the output */
	uint64_t skip; /* bytes of a literal to come */
	size_t n;
	char line[64]; /* the line's end */
};

static void check_output(struct check *c, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (c->skip > 0) {
			c->skip--; /* a literal8 may hold anything */
			continue;
		}
		if (p[i] == 0)
			abort();
		if (p[i] != '\n') {
			if (c->n == sizeof c->line) {
				memmove(c->line, c->line + 1, sizeof c->line - 1);
				c->n--;
			}
			c->line[c->n++] = p[i];
			continue;
		}
		if (c->n == 0 || c->line[c->n - 1] != '\r')
			abort();
		c->n--;
		size_t at = c->n;
		while (at > 0 && c->line[at - 1] != '{')
			at--;
		uint64_t size;
		if (at > 0 && c->line[c->n - 1] == '}' &&
			slice_to_u64(slice_make(c->line + at, c->n - 1 - at), UINT64_MAX, &size))
			c->skip = size;
		c->n = 0;
	}
}

static void play(void *arg)
{
	struct run *r = arg;
	struct check check = {0};
	char got[4096];
	bool ended = false;

	while (!ended) {
		size_t want = r->size < r->step ? r->size : r->step;
		ssize_t n = want ? send(r->fd, r->data, want, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

		if (n > 0)
			r->data += n, r->size -= (size_t)n;
		if (r->size == 0)
			shutdown(r->fd, SHUT_WR);
		while ((n = recv(r->fd, got, sizeof got, MSG_DONTWAIT)) > 0)
			check_output(&check, got, (size_t)n);
		ended = n == 0 || (errno != EAGAIN && errno != EINTR);
		fiber_yield();
	}
	close(r->fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd[2];

	if (size < 1)
		return 0;
	struct loop *l = loop_new("fuzz");
	uint8_t *copy = malloc(size);
	if (!copy || !l || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		abort();
	memcpy(copy, data, size);
	struct run r = {.world = the_world(),
		.fd = fd[1],
		.io = stream_new(fd[0]),
		.data = copy + 1,
		.size = size - 1};
	r.step = 1 + copy[0] * (size_t)16;
	if (!r.io || !fiber_start("serve", serve, &r) || !fiber_start("play", play, &r))
		abort();
	loop_run(l);
	loop_free(l);
	free(copy);
	return 0;
}

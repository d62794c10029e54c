/*
 * The large mailbox: bench_large [--dir FOLDER] [MESSAGES [FOLDERS]], 1,000,000 and 9,850 (with their
 * parents: 10,000) unless said.
 *
 * One loop thread has the session that works and another that says NOOP all the time; for each command are
 * told how long it took, the longest NOOP meanwhile, the longest that anybody held the loop, the longest
 * group of the commit thread and by how much anonymous memory grew at its peak. At the end, on what an
 * EXPUNGE of every second message left, 50 sessions and what they cost together, at rest and while they hear
 * of changes one after the other.
 *
 * With --dir the filled store stays there and serves the next run, which works on a copy.
 */
#include "base/clock.h"
#include "imap/session.h"
#include "io/loop.h"
#include "mail/summary.h"
#include "mailbox/account.h"
#include "mailbox/write.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SESSIONS 50
#define FILLERS  8
#define BATCH    100

struct bench {
	char dir[512];
	struct store *store;
	struct mailbox_codec *codec;
	struct watchers *watchers;
	struct watch_loop *watch;
	struct loop *loop;
	uint32_t account, messages, folders, next, next_folder;
	unsigned sessions; /* under way */
	_Atomic uint64_t held_us, noop_us, anon, anon_peak;
	char held_by[64];
	atomic_bool end, quiet;
};

struct seat { /* a session and its client's end */
	struct bench *b;
	struct loop_message start;
	int server, client;
};

static void must(int rc, const err *e)
{
	if (rc < 0) {
		fprintf(stderr, "%s\n", e->text);
		exit(1);
	}
}

static void keep_max(_Atomic uint64_t *to, uint64_t v)
{
	uint64_t now = atomic_load(to);

	while (v > now && !atomic_compare_exchange_weak(to, &now, v))
		;
}

/* ---- filling ---- */

static int text_of(char *to, size_t max, uint32_t n)
{
	return snprintf(to, max,
		"Received: from a.example by mx.example.test with ESMTP id %u; Thu, 1 Jan 2026 00:00:00 "
		"+0000\r\nFrom: \"Sender Number %u\" <sender%u@example.org>\r\nTo: Alice "
		"<alice@example.test>\r\nSubject: %smessage number %u of the bench\r\nDate: Thu, 01 Jan 2026 "
		"%02u:%02u:%02u +0000\r\nMessage-ID: <%u@example.org>\r\n%s%u%s\r\n\r\nA short text.\r\n",
		n, n % 997, n % 997, n % 10 ? "Re: " : "", n / 10, n % 24, n / 24 % 60, n / 1440 % 60, n,
		n % 10 ? "References: <" : "X-Nothing: ", n - n % 10, n % 10 ? "@example.org>" : "");
}

static void fill_batch(struct bench *b, uint32_t first)
{
	char(*texts)[1200] = malloc(BATCH * sizeof *texts);
	struct append_message *batch = calloc(BATCH, sizeof *batch);
	struct buf *summaries = calloc(BATCH, sizeof *summaries);
	err e = {0};

	if (!texts || !batch || !summaries)
		exit(1);
	for (uint32_t k = 0; k < BATCH; k++) {
		slice text = slice_make(texts[k], (size_t)text_of(texts[k], sizeof texts[k], first + k));

		summaries[k] = BUF_INIT(1 << 20);
		must(mail_summary_make(text, &summaries[k], &e), &e);
		batch[k] = (struct append_message){.content = {.bytes = text, .size = (uint32_t)text.n},
			.summary = buf_slice(&summaries[k]),
			.flags = (first + k) % 3 ? FLAG_SEEN : 0};
	}
	struct append a = {.account = b->account, .mailbox = MAILBOX_INBOX, .messages = batch, .n = BATCH};
	must(mailbox_append(b->store, b->codec, &a, &e), &e);
	for (uint32_t k = 0; k < BATCH; k++)
		buf_free(&summaries[k]);
	free(summaries);
	free(batch);
	free(texts);
}

/* One of several, so that many intents are one group. */
static void filler(void *arg)
{
	struct bench *b = arg;
	char name[64];
	err e = {0};

	while (b->next < b->messages) {
		uint32_t first = b->next;

		b->next += BATCH;
		fill_batch(b, first);
	}
	while (b->next_folder < b->folders) {
		uint32_t n = b->next_folder++, id, validity;

		snprintf(name, sizeof name, "projects %u/customer %u/folder %u", n % 10, n % 100, n);
		must(mailbox_create(b->store, b->account, 0, slice_of(name), USE_NONE, &id, &validity, &e),
			&e);
	}
	b->sessions--;
}

static void fill(void *arg)
{
	struct bench *b = arg;
	uint32_t domain;
	err e = {0};

	must(domain_add(b->store, S("example.test"), &domain, &e), &e);
	must(account_add(b->store, S("alice"), S("example.test"), NULL, &b->account, &e), &e);
	for (b->sessions = 0; b->sessions < FILLERS; b->sessions++)
		if (!fiber_start("fill", filler, b))
			exit(1);
}

/* ---- what is measured ---- */

static void seer(void *arg)
{
	struct bench *b = arg;
	const char *name;

	while (!atomic_load(&b->end) && fiber_sleep(5) == 0) {
		uint64_t us = loop_longest_us(b->loop, &name);

		keep_max(&b->held_us, us);
	}
}

static void *memory_thread(void *arg)
{
	struct bench *b = arg;
	char line[256];

	while (!atomic_load(&b->end)) {
		FILE *f = fopen("/proc/self/status", "re");
		unsigned long long kib;

		while (f && fgets(line, sizeof line, f)) {
			if (sscanf(line, "RssAnon: %llu kB", &kib) != 1)
				continue;
			atomic_store(&b->anon, kib);
			keep_max(&b->anon_peak, kib);
		}
		if (f)
			fclose(f);
		poll(NULL, 0, 4);
	}
	return NULL;
}

/* ---- sessions and clients ---- */

static void serve(void *arg)
{
	static const struct imap_session_config config = {
		.message_max = 50 << 20, .silence_ms = 1800000, .errors_max = 20};
	struct seat *seat = arg;
	struct bench *b = seat->b;
	struct stream *io = stream_new(seat->server);
	struct imap_start start = {.io = io,
		.store = b->store,
		.codec = b->codec,
		.watch_loop = b->watch,
		.account = b->account,
		.tag = S("a"),
		.config = &config};

	if (!io)
		exit(1);
	imap_session_run(&start);
	stream_close(io);
}

static void begin(struct loop_message *m)
{
	struct seat *seat = (void *)((char *)m - offsetof(struct seat, start));

	if (!fiber_start("imap", serve, seat))
		exit(1);
}

static void put(int fd, const char *text)
{
	for (size_t n = strlen(text); n > 0;) {
		ssize_t put = send(fd, text, n, MSG_NOSIGNAL);

		if (put <= 0)
			exit(1);
		text += put;
		n -= (size_t)put;
	}
}

/* Reads until the answer to tag "a" has come, which is the last line. Returns the bytes. */
static uint64_t hear(int fd, bool show)
{
	static _Thread_local char got[(1 << 16) + 8] = "\r\n";
	size_t kept = 2; /* the end of what came before: a line's begin may come in pieces */
	uint64_t all = 0;
	bool begun = false;

	memcpy(got, "\r\n", 2);
	for (;;) {
		ssize_t n = recv(fd, got + kept, 1 << 16, 0);

		if (n <= 0)
			exit(1);
		all += (uint64_t)n;
		slice s = slice_make(got, kept + (size_t)n);
		ptrdiff_t at = begun ? 0 : slice_find(s, S("\r\na "));
		if (!begun && at >= 0) {
			slice answer = slice_skip(s, (size_t)at + 2);

			begun = true;
			if (show && !slice_starts(answer, S("a OK")))
				printf("    %.*s", (int)answer.n, answer.p);
		}
		if (begun && slice_ends(s, S("\r\n")))
			return all;
		kept = s.n < 4 ? s.n : 4;
		memmove(got, s.p + s.n - kept, kept);
	}
}

static void sit(struct bench *b, struct seat *ret)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ||
		fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0)
		exit(1);
	*ret = (struct seat){.b = b, .start.run = begin, .server = fds[0], .client = fds[1]};
	loop_post(b->loop, &ret->start);
	hear(ret->client, false);
}

static void leave(struct seat *seat)
{
	put(seat->client, "a LOGOUT\r\n");
	hear(seat->client, false);
	close(seat->client);
}

/* The other session of the loop. */
static void *noop_thread(void *arg)
{
	struct bench *b = arg;
	struct seat seat;

	sit(b, &seat);
	put(seat.client, "a SELECT Drafts\r\n");
	hear(seat.client, false);
	while (!atomic_load(&b->end)) {
		if (!atomic_load(&b->quiet)) {
			uint64_t from = clock_span_us();

			put(seat.client, "a NOOP\r\n");
			hear(seat.client, false);
			keep_max(&b->noop_us, clock_span_us() - from);
		}
		poll(NULL, 0, 1);
	}
	leave(&seat);
	return NULL;
}

struct measured {
	uint64_t at, anon;
};

static struct measured measure_begin(struct bench *b)
{
	poll(NULL, 0, 30); /* what the one before left is in */
	atomic_store(&b->noop_us, 0);
	atomic_store(&b->held_us, 0);
	(void)store_longest_group_us(b->store);
	atomic_store(&b->anon_peak, atomic_load(&b->anon));
	return (struct measured){clock_span_us(), atomic_load(&b->anon)};
}

static void measure_end(struct bench *b, const char *what, const struct measured *m, uint64_t bytes)
{
	double ms = (double)(clock_span_us() - m->at) / 1e3;

	poll(NULL, 0, 20);
	int shown = (int)strcspn(what, "\r");
	printf("%-52.*s %10.1f ms %7.1f %7.1f %7.1f %8.1f %8.1f\n", shown < 52 ? shown : 52, what, ms,
		(double)atomic_load(&b->noop_us) / 1e3, (double)atomic_load(&b->held_us) / 1e3,
		(double)store_longest_group_us(b->store) / 1e3,
		((double)atomic_load(&b->anon_peak) - (double)m->anon) / 1024, (double)bytes / 1e6);
}

static void measure(struct bench *b, const struct seat *seat, const char *what)
{
	char line[512];
	struct measured m = measure_begin(b);

	snprintf(line, sizeof line, "a %s\r\n", what);
	put(seat->client, line);
	uint64_t bytes = hear(seat->client, true);
	measure_end(b, what, &m, bytes);
}

/* ---- the run ---- */

/* A STATUS for each folder, one after the other. */
static void all_status(struct bench *b, const struct seat *seat)
{
	struct measured m = measure_begin(b);
	uint64_t bytes = 0;
	char line[160];

	for (uint32_t n = 0; n < b->folders; n++) {
		snprintf(line, sizeof line,
			"a STATUS \"projects %u/customer %u/folder %u\" (MESSAGES UNSEEN UIDNEXT)\r\n",
			n % 10, n % 100, n);
		put(seat->client, line);
		bytes += hear(seat->client, true);
	}
	measure_end(b, "STATUS of each folder", &m, bytes);
}

/* Every second message gets \Deleted: the gaps that make a set of ranges long. */
static void delete_half(struct bench *b, const struct seat *seat)
{
	struct measured m = measure_begin(b);
	char *line = malloc(70000);

	if (!line)
		exit(1);
	for (uint32_t uid = 1; uid <= b->messages;) {
		int n = snprintf(line, 100, "a UID STORE %u", uid);

		for (uid += 2; n < 60000 && uid <= b->messages; uid += 2)
			n += snprintf(line + n, 20, ",%u", uid);
		snprintf(line + n, 60, " +FLAGS.SILENT (\\Deleted)\r\n");
		put(seat->client, line);
		hear(seat->client, true);
	}
	free(line);
	measure_end(b, "UID STORE 1,3,5... +FLAGS.SILENT (\\Deleted)", &m, 0);
}

static const char *const reads[] = {"SELECT INBOX", "SELECT INBOX", "FETCH 1:* FLAGS",
	"FETCH 1:* (UID FLAGS RFC822.SIZE)", "FETCH 1:* ENVELOPE", "FETCH 1:* BODY.PEEK[]", "SEARCH UNSEEN",
	"UID SEARCH RETURN (ALL) UNSEEN", "SEARCH SUBJECT \"number 4711 \"", "SEARCH FROM sender500@",
	"SEARCH OR FROM sender500@ SUBJECT \"number 4711 \"", "SEARCH RETURN (SAVE COUNT) SEEN",
	"SORT (REVERSE DATE) UTF-8 ALL", "SORT (SUBJECT) UTF-8 ALL", "SORT (FROM SUBJECT) UTF-8 UNSEEN",
	"THREAD REFERENCES UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL", "LIST \"\" *", "LSUB \"\" *",
	"LIST \"\" * RETURN (STATUS (MESSAGES UNSEEN UIDNEXT SIZE))",
	"LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %"};

static const char *const writes[] = {"STORE 1:* +FLAGS.SILENT (\\Flagged)", "STORE 1:* +FLAGS (\\Answered)",
	"STORE 1:* +FLAGS.SILENT ($New)", "COPY 1:* Archive"};

static const char *const later[] = {"STATUS INBOX (DELETED DELETED-STORAGE)", "EXPUNGE", "NOOP",
	"SELECT INBOX", "FETCH 1:* FLAGS", "SEARCH SEEN", "UID SEARCH RETURN (ALL) ALL",
	"STORE 1:* +FLAGS.SILENT (\\Draft)", "STORE $ -FLAGS.SILENT ($New)"};

static const char *const last[] = {"COPY 1:* Sent", "MOVE 1:* Trash", "DELETE \"projects 0\"",
	"DELETE Archive", "SELECT Trash", "STORE 1:* +FLAGS.SILENT (\\Deleted)", "CLOSE"};

static void measure_all(struct bench *b, const struct seat *seat, const char *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		measure(b, seat, v[i]);
}

/* A client that comes back after the EXPUNGE: VANISHED of half of all. */
static void resync(struct bench *b, uint64_t modseq, uint32_t validity)
{
	struct seat seat;
	char line[128];

	sit(b, &seat);
	put(seat.client, "a ENABLE QRESYNC\r\n");
	hear(seat.client, true);
	snprintf(line, sizeof line, "SELECT INBOX (QRESYNC (%u %llu))", validity, (unsigned long long)modseq);
	measure(b, &seat, line);
	leave(&seat);
}

static double anon_mib(struct bench *b)
{
	poll(NULL, 0, 100);
	return (double)atomic_load(&b->anon) / 1024;
}

static void say_all(struct bench *b, const struct seat *seats, const char *what, bool together)
{
	char line[512];
	struct measured m = measure_begin(b);

	snprintf(line, sizeof line, "a %s\r\n", what);
	for (int i = 0; together && i < SESSIONS; i++)
		put(seats[i].client, line);
	for (int i = 0; i < SESSIONS; i++) {
		if (!together)
			put(seats[i].client, line);
		hear(seats[i].client, true);
	}
	snprintf(line, sizeof line, "%d sessions, %s: %s", SESSIONS, together ? "at once" : "in turn", what);
	measure_end(b, line, &m, 0);
	printf("    anonymous memory now %.1f MiB\n", anon_mib(b));
}

/* Fifty sessions in the fragmented mailbox, while another changes it. */
static void many(struct bench *b, const struct seat *other)
{
	struct seat *seats = calloc(SESSIONS, sizeof *seats);
	char line[200];

	if (!seats)
		exit(1);
	double before = anon_mib(b);
	for (int i = 0; i < SESSIONS; i++)
		sit(b, &seats[i]);
	printf("    anonymous memory before %.1f MiB, with %d sessions more %.1f MiB\n", before, SESSIONS,
		anon_mib(b));
	say_all(b, seats, "SELECT INBOX", false);
	for (int round = 0; round < 2; round++) {
		snprintf(line, sizeof line, "UID STORE %u:%u +FLAGS.SILENT (\\Deleted)", b->messages / 4,
			b->messages / 4 + 20000);
		measure(b, other, line);
		measure(b, other, "EXPUNGE");
		measure(b, other, "APPEND INBOX {30+}\r\nSubject: one more\r\n\r\nA text.\r\n");
		say_all(b, seats, "NOOP", round > 0);
	}
	measure(b, other, "UID STORE 1:* +FLAGS.SILENT (\\Flagged)");
	measure(b, other, "UID STORE 1:* -FLAGS.SILENT (\\Flagged)");
	say_all(b, seats, "NOOP", true);
	say_all(b, seats, "SEARCH SUBJECT \"number 4711 \"", true);
	for (int i = 0; i < SESSIONS; i++)
		leave(&seats[i]);
	free(seats);
}

static void run(struct bench *b)
{
	struct store_snap snap = {0};
	struct mailbox_row row;
	struct seat seat;
	err e = {0};

	printf("%-52s %13s %7s %7s %7s %8s %8s\n", "", "time", "NOOP ms", "held ms", "group", "mem MiB",
		"sent MB");
	sit(b, &seat);
	measure_all(b, &seat, reads, COUNT_OF(reads));
	all_status(b, &seat);
	measure(b, &seat, "SELECT INBOX");
	measure_all(b, &seat, writes, COUNT_OF(writes));
	delete_half(b, &seat);
	must(store_snap_begin(b->store, &snap, &e), &e);
	must(mailbox_get(&snap, b->account, MAILBOX_INBOX, &row, &e), &e);
	store_snap_end(&snap);
	measure_all(b, &seat, later, COUNT_OF(later));
	resync(b, row.highest_modseq, row.uidvalidity);
	many(b, &seat);
	measure_all(b, &seat, last, COUNT_OF(last));
	leave(&seat);
}

static void *client_thread(void *arg)
{
	struct bench *b = arg;
	pthread_t noop, memory;

	if (pthread_create(&memory, NULL, memory_thread, b) != 0 ||
		pthread_create(&noop, NULL, noop_thread, b) != 0)
		exit(1);
	run(b);
	atomic_store(&b->end, true);
	pthread_join(noop, NULL);
	pthread_join(memory, NULL);
	return NULL;
}

static void find_account(void *arg)
{
	struct bench *b = arg;
	struct store_snap snap = {0};
	struct account_row row;
	err e = {0};

	must(store_snap_begin(b->store, &snap, &e), &e);
	b->account = account_find(&snap, S("alice"), S("example.test"), &row, &e) == 1 ? row.id : 0;
	store_snap_end(&snap);
}

static void command(const char *program, const char *a, const char *from, const char *to)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execlp(program, program, a, from, to, (char *)NULL);
		_exit(1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		exit(1);
}

static void open_store(struct bench *b)
{
	struct store_config c = {.dir = b->dir, .engine = &kv_lmdb, .on_group = watchers_on_group};
	err e = {0};

	b->watchers = watchers_new();
	b->loop = loop_new("bench");
	if (!b->watchers || !b->loop)
		exit(1);
	c.arg = b->watchers;
	must(store_open(&c, &b->store, &e), &e);
	b->watch = watchers_add_loop(b->watchers, b->loop);
	b->codec = mailbox_codec_new();
	if (!b->watch || !b->codec)
		exit(1);
	must(store_start(b->store, &e), &e);
}

static void close_store(struct bench *b)
{
	store_close(b->store);
	watchers_free(b->watchers);
	mailbox_codec_free(b->codec);
	loop_free(b->loop);
}

static void filled(struct bench *b)
{
	open_store(b);
	find_account(b);
	if (b->account == 0) {
		uint64_t from = clock_span_us();

		if (!fiber_start("fill", fill, b))
			exit(1);
		loop_run(b->loop);
		printf("filled with %u messages and %u folders in %.1f s\n", b->messages, b->folders,
			(double)(clock_span_us() - from) / 1e6);
	}
	close_store(b);
}

int main(int argc, char **argv)
{
	struct bench *b = calloc(1, sizeof *b);
	char stays[256] = "", scratch[64] = "/tmp/posthouse-bench-XXXXXX";
	pthread_t client;
	int at = 1;

	if (!b)
		return 1;
	b->messages = 1000000;
	b->folders = 9850; /* with their parents and the special ones nearly LIMIT_MAILBOXES */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 2 && strcmp(argv[1], "--dir") == 0) {
		snprintf(stays, sizeof stays, "%s", argv[2]);
		at = 3;
	}
	if (argc > at && !slice_to_u32(slice_of(argv[at]), 10000000, &b->messages))
		return 1;
	if (argc > at + 1 && !slice_to_u32(slice_of(argv[at + 1]), 9900, &b->folders))
		return 1;
	b->messages = (b->messages + BATCH - 1) / BATCH * BATCH;
	if (!mkdtemp(scratch) || (stays[0] && mkdir(stays, 0700) < 0 && access(stays, W_OK) < 0))
		return 1;
	snprintf(b->dir, sizeof b->dir, "%s%s", stays[0] ? stays : scratch, stays[0] ? "" : "/store");
	if (!stays[0] && mkdir(b->dir, 0700) < 0)
		return 1;
	filled(b);
	if (stays[0]) {
		snprintf(b->dir, sizeof b->dir, "%s/store", scratch);
		command("cp", "-a", stays, b->dir);
	}
	open_store(b);
	find_account(b);
	if (!fiber_start("seer", seer, b) || pthread_create(&client, NULL, client_thread, b) != 0)
		return 1;
	loop_run(b->loop);
	pthread_join(client, NULL);
	close_store(b);
	command("rm", "-rf", "--", scratch);
	free(b);
	return 0;
}

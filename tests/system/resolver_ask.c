/*
 * Starts the resolver role as the supervisor does and asks it as the frontend does.
 *
 *     resolver_ask PROGRAM [resolver.SETTING=VALUE]... < questions
 *
 * A question is a line "NAME TYPE-NUMBER" or "CLIENT ADDRESS"; the answer is a line "STATUS secure|insecure
 * TTL N" and N lines of hexadecimal rdata, or "NAME the.name" or "NONE". A line begins with "+" when it may
 * not wait for the answer to the one before: all such are asked at once. Status: as enum dns_status;
 * milliseconds stand last.
 */
#include "base/clock.h"
#include "base/encode.h"
#include "base/settings.h"
#include "dns/dns.h"
#include "io/loop.h"
#include "limits.h"
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct ask {
	struct channel *supervisor, *resolver;
	unsigned under_way;
	struct fiber_signal done;
	int exit_code;
};

struct question {
	struct ask *ask;
	char line[512];
};

static void fail(const char *what)
{
	fprintf(stderr, "resolver_ask: %s\n", what);
	exit(2);
}

static void put_answer(const struct dns_answer *r, uint64_t ms)
{
	printf("%u %s %u %zu %llu\n", (unsigned)r->status, r->secure ? "secure" : "insecure", r->ttl, r->n,
		(unsigned long long)ms);
	for (size_t i = 0; i < r->n; i++) {
		for (size_t k = 0; k < r->records[i].n; k++)
			printf("%02x", (uint8_t)r->records[i].p[k]);
		printf("\n");
	}
	fflush(stdout);
}

static void ask_one(struct ask *k, const char *line)
{
	struct arena *a = arena_new(1 << 20);
	slice rest = slice_of(line), name, word;
	uint64_t type = 0, began = clock_boot_ms();
	struct dns_answer answer;

	if (!slice_word(&rest, &name) || !slice_word(&rest, &word))
		fail("a question is two words");
	if (slice_eq(name, S("CLIENT"))) {
		char address[64], out[256];

		snprintf(address, sizeof address, "%.*s", (int)word.n, word.p);
		if (dns_client_name(k->resolver, address, loop_now() + 20000, out))
			printf("NAME %s\n", out);
		else
			printf("NONE\n");
		fflush(stdout);
	} else {
		if (!slice_to_u64(word, 65535, &type))
			fail("no type");
		dns_ask(k->resolver, name, (enum dns_type)type, loop_now() + 20000, a, &answer);
		put_answer(&answer, clock_boot_ms() - began);
	}
	arena_free(a);
}

static void at_once(void *arg)
{
	struct question *q = arg;

	ask_one(q->ask, q->line + 1);
	q->ask->under_way--;
	fiber_signal_all(&q->ask->done);
	free(q);
}

static void introduce(struct ask *k)
{
	static channel_handler *const none[MESSAGE_COUNT];
	int pair[2];
	struct msg_peer_reply reply;
	struct channel_answer hold;
	err e = {0};

	if (channel_pair(pair) < 0)
		fail("no pair");
	k->resolver = channel_new(
		pair[0], &(struct channel_config){ROLE_FRONTEND, ROLE_RESOLVER, 0, none, k, NULL});
	struct msg_peer m = {.role = ROLE_FRONTEND, .instance = 0, .channel = pair[1]};
	if (ask_peer(k->supervisor, &m, &reply, &hold, loop_now() + 20000, &e) < 0)
		fail(e.text);
	channel_answer_free(&hold);
	close(pair[1]);
}

static void ask_all(void *arg)
{
	struct ask *k = arg;
	char line[512];

	introduce(k);
	while (fgets(line, sizeof line, stdin)) { /* blocks the loop: nothing else is to be done meanwhile */
		line[strcspn(line, "\n")] = 0;
		if (line[0] != '+') {
			ask_one(k, line);
			continue;
		}
		struct question *q = calloc(1, sizeof *q);

		q->ask = k;
		memcpy(q->line, line, sizeof line);
		k->under_way++;
		if (!fiber_start("question", at_once, q))
			fail("no fiber");
	}
	while (k->under_way > 0)
		fiber_signal_wait(&k->done, FOREVER);
	channel_close(k->resolver, "done");
	channel_close(k->supervisor, "done");
	loop_stop(loop_self());
}

static struct settings *settings_of(char **words)
{
	struct settings *s = settings_new();
	err e = {0};

	for (; s && *words; words++) {
		slice word = slice_of(*words);
		ptrdiff_t dot = slice_find_c(word, '.'), equals = slice_find_c(word, '=');

		if (dot < 0 || equals < dot)
			fail("block.word=value is expected");
		const struct setting *row = setting_find(slice_sub(word, 0, (size_t)dot),
			slice_sub(word, (size_t)dot + 1, (size_t)(equals - dot) - 1));
		if (!row || setting_parse(row, slice_skip(word, (size_t)equals + 1), s, &e) < 0)
			fail(row ? e.text : "no such setting");
	}
	return s;
}

/* On descriptors 3, 4 and 5: the channel, the settings, an empty folder. */
static pid_t start(const char *program, const struct settings *s, int channel)
{
	char home[] = "/tmp/resolver-ask-XXXXXX";
	posix_spawn_file_actions_t acts;
	char *argv[] = {(char *)(uintptr_t)program, NULL};
	pid_t pid;
	err e = {0};

	if (!mkdtemp(home))
		fail("no folder");
	int from[3] = {channel, settings_seal(s, &e), open(home, O_PATH | O_DIRECTORY | O_CLOEXEC)};
	posix_spawn_file_actions_init(&acts);
	for (int i = 0; i < 3; i++) {
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 32);
		posix_spawn_file_actions_adddup2(&acts, from[i], 3 + i);
	}
	if (posix_spawn(&pid, program, &acts, NULL, argv, environ) != 0)
		fail("the role does not start");
	posix_spawn_file_actions_destroy(&acts);
	for (int i = 0; i < 3; i++)
		close(from[i]);
	close(channel);
	rmdir(home);
	return pid;
}

static void supervisor_end(void *arg, struct channel *c, const char *why, bool offense)
{
	struct ask *k = arg;

	(void)c;
	if (offense || strcmp(why, "done") != 0) {
		fprintf(stderr, "resolver_ask: the channel ended: %s\n", why);
		k->exit_code = 3;
		loop_stop(loop_self());
	}
}

int main(int argc, char **argv)
{
	static channel_handler *const none[MESSAGE_COUNT];
	struct ask k = {0};
	int pair[2], status = 0;

	if (argc < 2)
		fail("name the program");
	signal(SIGPIPE, SIG_IGN);
	struct settings *s = settings_of(argv + 2);
	if (!s || channel_pair(pair) < 0)
		fail("no memory");
	struct loop *l = loop_new("ask");
	k.supervisor = channel_new(pair[0],
		&(struct channel_config){ROLE_SUPERVISOR, ROLE_RESOLVER, 0, none, &k, supervisor_end});
	pid_t pid = start(argv[1], s, pair[1]);
	if (!fiber_start("ask", ask_all, &k))
		fail("no fiber");
	loop_run(l);
	loop_free(l);
	settings_free(s);
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "resolver_ask: the role ended with status %x\n", (unsigned)status);
		return 4;
	}
	return k.exit_code;
}

/*
 * posthouse store: work on the store while no post house runs. The keeper does it (roles/keeper/keeper.h);
 * here it is started, and what it says is shown.
 */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "roles/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#define KEEPER_FD_STORE 3 /* as in roles/keeper/keeper.h, which wants the store's rooms */

struct keeper_talk {
	struct cli *c;
	bool bar;       /* on a terminal */
	bool bar_shown; /* and there is something to wipe */
	json_t *result, *error;
	long long findings;
};

/* ---- what it says ---- */

#define BAR 30

static void bar_wipe(struct keeper_talk *t)
{
	if (t->bar_shown)
		fputs("\r\033[K", stderr);
	t->bar_shown = false;
}

static void on_progress(struct keeper_talk *t, const json_t *p)
{
	long long done = cli_number(p, "done"), total = cli_number(p, "total");

	if (!t->bar)
		return;
	bar_wipe(t);
	if (total > 0) {
		int full = (int)(done < total ? done * BAR / total : BAR);

		fprintf(stderr, "%-6s [%.*s%.*s] %3lld %%", cli_text(p, "what"), full,
			"##############################", BAR - full, "                              ",
			done < total ? done * 100 / total : 100);
	} else {
		fprintf(stderr, "%-6s %lld", cli_text(p, "what"), done);
	}
	fflush(stderr);
	t->bar_shown = true;
}

static void on_finding(struct keeper_talk *t, const json_t *f)
{
	struct buf text = BUF_INIT(4096);

	t->findings++;
	if (t->c->json)
		return;
	bar_wipe(t);
	cli_text_add(&text, cli_text(f, "text"));
	buf_add_c(&text, 0);
	printf("! %-8s %s\n", cli_text(f, "kind"), text.failed ? "?" : text.p);
	buf_free(&text);
}

static void on_line(struct keeper_talk *t, json_t *line)
{
	json_t *v;

	if (t->c->json && !json_object_get(line, "error"))
		cli_show_json(line);
	if ((v = json_object_get(line, "progress")))
		on_progress(t, v);
	else if ((v = json_object_get(line, "finding")))
		on_finding(t, v);
	else if ((v = json_object_get(line, "result")))
		t->result = json_incref(v);
	else if ((v = json_object_get(line, "error")))
		t->error = json_incref(v);
}

static void listen_to(struct keeper_talk *t, int fd)
{
	FILE *in = fdopen(fd, "r");
	AUTO_FREE char *line = NULL;
	size_t cap = 0;

	if (!in) {
		close(fd);
		return;
	}
	while (getline(&line, &cap, in) > 0) {
		json_t *o = json_loads(line, 0, NULL);

		if (o)
			on_line(t, o);
		json_decref(o);
	}
	fclose(in);
	bar_wipe(t);
}

/* ---- starting it ---- */

static int spawn(const char *path, char *const argv[], int store, int out, pid_t *ret, err *e)
{
	posix_spawn_file_actions_t acts;

	posix_spawn_file_actions_init(&acts);
	posix_spawn_file_actions_adddup2(&acts, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&acts, store, KEEPER_FD_STORE);
	int rc = posix_spawn(ret, path, &acts, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&acts);
	if (rc == 0)
		return 0;
	errno = rc;
	return err_sys(e, ERR_IO, "cannot start \"%s\"", path);
}

/* Runs it to its end. Its wait status in *ret. */
static int run(struct keeper_talk *t, const char *job, int store, int *ret, err *e)
{
	char path[SUPERVISOR_LIBEXEC + 8], libexec[SUPERVISOR_LIBEXEC], map[40], name[16], option[16] = "";
	int pipes[2];
	pid_t pid;

	if (supervisor_find_libexec(libexec, e) < 0)
		return -1;
	snprintf(path, sizeof path, "%skeeper", libexec);
	snprintf(name, sizeof name, "%s", job);
	snprintf(map, sizeof map, "--map=%llu", (unsigned long long)t->c->config.settings->store_map);
	if (cli_has(t->c, OPT_QUICK) || cli_has(t->c, OPT_REBUILD))
		snprintf(option, sizeof option, "%s", cli_has(t->c, OPT_QUICK) ? "--quick" : "--rebuild");
	char *argv[] = {path, name, map, *option ? option : NULL, NULL};
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_sys(e, ERR_IO, "pipe");
	int rc = spawn(path, argv, store, pipes[1], &pid, e);
	close(pipes[1]);
	if (rc < 0) {
		close(pipes[0]);
		return -1;
	}
	listen_to(t, pipes[0]);
	while (waitpid(pid, ret, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, ERR_IO, "waiting for the keeper");
	return 0;
}

/* 0 with *ret, or an exit code. */
static int open_store(struct cli *c, int *ret)
{
	slice dir = c->config.settings->data_dir;
	char path[4200];

	snprintf(path, sizeof path, "%" SLICE_FMT "/store", SLICE_ARG(dir));
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret >= 0)
		return 0;
	if (errno == ENOENT)
		return cli_fail(c, EX_NOINPUT, "missing", "there is no store at \"%s\"", path);
	return cli_fail(c, errno == EACCES ? EX_NOPERM : EX_OSERR, "denied", "cannot open \"%s\": %s", path,
		err_sys_text(errno));
}

/* What its end means. */
static int judge(struct keeper_talk *t, int status)
{
	const char *code = cli_text(t->error, "code");

	if (WIFSIGNALED(status))
		return cli_fail(t->c, EX_SOFTWARE, "corrupt",
			"the keeper was ended by signal %d: the key file is damaged where no checksum shows "
			"it. "
			"Move store/keys/data.mdb away and start the post house: it makes a new one from its "
			"log",
			WTERMSIG(status));
	if (t->error && !strcmp(code, err_kind_name(ERR_EXISTS)))
		return cli_fail(t->c, EX_UNAVAILABLE, code,
			"the store is in use: end the post house first, as with: systemctl stop posthouse");
	if (t->error)
		return cli_fail(t->c, EX_SOFTWARE, code, "%s", cli_text(t->error, "message"));
	if (!t->result)
		return cli_fail(t->c, EX_SOFTWARE, "io", "the keeper ended without a word (exit code %d)",
			WEXITSTATUS(status));
	return WEXITSTATUS(status);
}

static int keep(struct cli *c, const char *job, void (*show)(const json_t *result))
{
	struct keeper_talk t = {.c = c, .bar = !c->json && isatty(STDERR_FILENO)};
	int status = 0, rc = cli_config(c), store = -1;
	err e = {0};

	if (rc == 0)
		rc = open_store(c, &store);
	if (rc != 0)
		return rc;
	rc = run(&t, job, store, &status, &e);
	close(store);
	rc = rc < 0 ? cli_fail(c, EX_OSERR, err_kind_name(e.kind), "%s", e.text) : judge(&t, status);
	if (t.result && !c->json)
		show(t.result);
	json_decref(t.result);
	json_decref(t.error);
	return rc;
}

/* ---- the commands ---- */

static void check_show(const json_t *r)
{
	char size[32];

	cli_size_text((uint64_t)cli_number(r, "bytes"), size);
	printf("%lld messages in %lld mailboxes of %lld accounts, %lld expunged ones kept, %lld in the "
	       "queue\n",
		cli_number(r, "messages"), cli_number(r, "mailboxes"), cli_number(r, "accounts"),
		cli_number(r, "expunged"), cli_number(r, "queued"));
	printf("%lld rows", cli_number(r, "rows"));
	if (json_is_true(json_object_get(r, "quick")))
		printf(" (the messages themselves were not read)");
	else
		printf(", %lld records of the log, %s", cli_number(r, "records"), size);
	if (cli_number(r, "findings"))
		printf(": %lld FOUND AMISS\n", cli_number(r, "findings"));
	else
		printf(": all sound\n");
}

static void stats_show(const json_t *r)
{
	static const char *const folders[] = {"keys", "volumes", "big", "corrupt"};
	const json_t *at = json_object_get(r, "folders"), *volumes = json_object_get(r, "volumes");
	char a[32], b[32];

	cli_size_text((uint64_t)cli_number(r, "bytes"), a);
	printf("format %lld: %lld messages (%s) of %lld accounts, %lld in the queue\n\n",
		cli_number(r, "format"), cli_number(r, "messages"), a, cli_number(r, "accounts"),
		cli_number(r, "queued"));
	printf("%-10s %8s %12s\n", "FOLDER", "FILES", "ON DISK");
	for (size_t i = 0; i < COUNT_OF(folders); i++) {
		const json_t *f = json_object_get(at, folders[i]);

		cli_size_text((uint64_t)cli_number(f, "space"), a);
		printf("%-10s %8lld %12s\n", folders[i], cli_number(f, "files"), a);
	}
	printf("\n%-10s %8s %12s %12s\n", "VOLUME", "BLOBS", "USED", "LIVE");
	for (size_t i = 0; i < json_array_size(volumes); i++) {
		const json_t *v = json_array_get(volumes, i);

		cli_size_text((uint64_t)cli_number(v, "used"), a);
		cli_size_text((uint64_t)cli_number(v, "live"), b);
		printf("%-10lld %8lld %12s %12s%s\n", cli_number(v, "volume"), cli_number(v, "blobs"), a, b,
			json_is_true(json_object_get(v, "active")) ? "  in use" : "");
	}
}

int cli_store_check(struct cli *c)
{
	return keep(c, "check", check_show);
}

static void repair_show(const json_t *r)
{
	if (*cli_text(r, "note"))
		printf("%s\n", cli_text(r, "note"));
	if (cli_number(r, "before"))
		printf("of %lld things found amiss %lld are left\n", cli_number(r, "before"),
			cli_number(r, "findings"));
	check_show(r);
}

int cli_store_repair(struct cli *c)
{
	if (cli_has(c, OPT_REBUILD) && !cli_has(c, OPT_YES)) {
		int rc = cli_confirm(
			c, "Make the key file anew from the log? What a gap of the log held is lost.");

		if (rc != 0)
			return rc;
	}
	return keep(c, "repair", repair_show);
}

int cli_store_stats(struct cli *c)
{
	return keep(c, "stats", stats_show);
}

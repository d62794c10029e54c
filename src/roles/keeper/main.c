#include "base/cleanup.h"
#include "base/clock.h"
#include "io/sandbox.h"
#include "roles/keeper/keeper.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/*
 * What the keeper, which has all mail for a while, may not do: make sockets, leave the store's folder, start
 * programs or threads, signal or look into others, map executable memory. It runs as the folder's owner.
 */
static const struct sandbox keeper_sandbox = {
	.role = "keeper",
	.may = SANDBOX_READ | SANDBOX_WRITE,
	.data_bytes = UINT64_C(8) << 30,
	.files = 1024,
};

static const struct {
	const char *name;
	keeper_job *run;
} jobs[] = {
	{"check", keeper_check},
	{"repair", keeper_repair},
	{"stats", keeper_stats},
};

void keeper_say(const char *key, json_t *value)
{
	json_t *line = json_object();

	if (line && json_object_set_new(line, key, value) == 0) {
		json_dumpf(line, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
	}
	json_decref(line);
}

#define TELL_EVERY_MS 100

void keeper_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct keeper *k = arg;
	uint64_t now = clock_boot_ms();

	if (now - k->told_ms < TELL_EVERY_MS)
		return;
	k->told_ms = now;
	keeper_say("progress", json_pack("{s:s, s:I, s:I}", "what", what, "done", (json_int_t)done, "total",
				       (json_int_t)total));
}

int keeper_fail(const err *e)
{
	keeper_say("error", json_pack("{s:s, s:s}", "code", err_kind_name(e->kind), "message", e->text));
	return e->kind == ERR_EXISTS ? KEEPER_IN_USE : KEEPER_FAILED;
}

static int confine(err *e)
{
	struct stat st;

	if (fstat(KEEPER_FD_STORE, &st) < 0)
		return err_sys(e, ERR_IO, "the store's folder");
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_MISSING, "the store is no folder");
	if (getuid() == 0 && st.st_uid == 0)
		return err_set(
			e, ERR_DENIED, "the store's folder belongs to root: give it to the user it is of");
	const struct sandbox_start at = {
		.home = KEEPER_FD_STORE,
		.uid = getuid() ? getuid() : st.st_uid,
		.gid = getuid() ? getgid() : (gid_t)st.st_uid, /* as the roles have it */
	};
	if (sandbox_enter(&keeper_sandbox, &at, NULL, e) < 0)
		return -1;
	return sandbox_seal(&keeper_sandbox, e);
}

int keeper_open(struct keeper *k, bool rebuild, err *e)
{
	const struct store_config config = {
		.dir = ".", .engine = &kv_lmdb, .map_bytes = k->map_bytes, .rebuild = rebuild};

	return store_open(&config, &k->store, e);
}

static bool take_options(struct keeper *k, int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		slice word = slice_of(argv[i]), name;

		if (slice_eq(word, S("--quick")))
			k->quick = true;
		else if (slice_eq(word, S("--rebuild")))
			k->rebuild = true;
		else if (!slice_cut(&word, '=', &name) || !slice_eq(name, S("--map")) ||
			 !slice_to_u64(word, UINT64_MAX, &k->map_bytes))
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct keeper k = {0};
	keeper_job *run = NULL;
	err e = {0};

	for (size_t i = 0; argc > 1 && i < COUNT_OF(jobs); i++)
		if (!strcmp(jobs[i].name, argv[1]))
			run = jobs[i].run;
	if (!run || !take_options(&k, argc, argv)) {
		fputs("posthouse-keeper is started by posthouse\n", stderr);
		return 64;
	}
	if (confine(&e) < 0 || keeper_open(&k, k.rebuild, &e) < 0)
		return keeper_fail(&e);
	int rc = run(&k);
	store_close(k.store);
	return rc;
}

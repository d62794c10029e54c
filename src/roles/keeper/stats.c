/* posthouse store stats: what the store is made of. */
#include "base/cleanup.h"
#include "mailbox/account.h"
#include "queue/queue.h"
#include "roles/keeper/keeper.h"

#include <dirent.h>
#include <sys/stat.h>

struct stats {
	uint64_t accounts, messages, bytes;
};

static bool add_account(void *arg, const struct account_row *row)
{
	struct stats *s = arg;

	s->accounts++;
	s->messages += row->messages;
	s->bytes += row->used_bytes;
	return true;
}

/* Rows by their first byte, and what they take without the tree around them. */
struct kind {
	uint64_t rows, bytes;
};

static int count_rows(struct check *c, void *state, slice key, slice value, err *e)
{
	struct kind *kinds = state;

	(void)c;
	(void)e;
	kinds[(uint8_t)key.p[0]].rows++;
	kinds[(uint8_t)key.p[0]].bytes += key.n + value.n;
	return 0;
}

static void nothing(void *arg, enum check_what what, const char *text)
{
	(void)arg;
	(void)what;
	(void)text;
}

/* Files of a folder of the store: how many, and the space they take. */
static json_t *folder(const char *name)
{
	DIR *d = opendir(name);
	const struct dirent *ent;
	uint64_t files = 0, size = 0, space = 0;
	struct stat st;

	while (d && (ent = readdir(d))) {
		if (ent->d_name[0] == '.' || fstatat(dirfd(d), ent->d_name, &st, 0) < 0)
			continue;
		files++;
		size += (uint64_t)st.st_size;
		space += (uint64_t)st.st_blocks * 512;
	}
	if (d)
		closedir(d);
	return json_pack("{s:I, s:I, s:I}", "files", (json_int_t)files, "size", (json_int_t)size, "space",
		(json_int_t)space);
}

static json_t *volumes_json(const struct check_volumes *v, const struct store_stats *st)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < v->n; i++) {
		const struct check_volume *x = &v->v[i];
		bool active = x->volume == st->volume;

		if (x->volume == 0)
			continue;
		json_array_append_new(
			list, json_pack("{s:I, s:I, s:I, s:I, s:b}", "volume", (json_int_t)x->volume, "used",
				      (json_int_t)(active ? st->volume_used : x->row_used), "live",
				      (json_int_t)x->live, "blobs", (json_int_t)x->blobs, "active", active));
	}
	return list;
}

static json_t *kinds_json(const struct kind *kinds)
{
	json_t *o = json_object();

	for (unsigned i = 0; o && i < 256; i++) {
		const char name[2] = {(char)i, 0};

		if (kinds[i].rows)
			json_object_set_new(o, i < 128 ? name : "?",
				json_pack("{s:I, s:I}", "rows", (json_int_t)kinds[i].rows, "bytes",
					(json_int_t)kinds[i].bytes));
	}
	return o;
}

static int gather(struct check *c, struct kind *kinds, struct check_volumes *v, struct stats *s,
	struct queue_counters *q, err *e)
{
	struct check_rows tables[] = {
		{'A', count_rows, NULL, kinds},
		{'D', count_rows, NULL, kinds},
		{'E', count_rows, NULL, kinds},
		{'F', count_rows, NULL, kinds},
		{'I', count_rows, NULL, kinds},
		{'N', count_rows, NULL, kinds},
		{'Q', count_rows, NULL, kinds},
		{'R', count_rows, NULL, kinds},
		{'S', count_rows, NULL, kinds},
		{'B', count_rows, NULL, kinds},
		{'B', check_blob_row, NULL, v},
		{'V', count_rows, NULL, kinds},
		{'V', check_volume_row, NULL, v},
	};

	if (check_all_rows(c, tables, COUNT_OF(tables), e) < 0 ||
		account_each(&c->snap, 0, add_account, s, e) < 0)
		return -1;
	return queue_count(&c->snap, q, e);
}

int keeper_stats(struct keeper *k)
{
	struct check c = {.store = k->store, .found = nothing, .progress = keeper_progress, .arg = k};
	struct kind *kinds = calloc(256, sizeof *kinds);
	struct check_volumes v = {0};
	struct queue_counters q = {0};
	struct store_stats st;
	struct stats s = {0};
	err e = {0};
	int rc = kinds ? store_snap_begin(k->store, &c.snap, &e) : err_set(&e, ERR_TEMP, "out of memory");

	if (rc == 0)
		rc = gather(&c, kinds, &v, &s, &q, &e);
	store_snap_end(&c.snap);
	store_stats(k->store, &st);
	if (rc == 0)
		keeper_say("result",
			json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:{s:o, s:o, s:o, s:o}}",
				"format", (json_int_t)store_format(), "accounts", (json_int_t)s.accounts,
				"messages", (json_int_t)s.messages, "bytes", (json_int_t)s.bytes, "queued",
				(json_int_t)q.messages, "keys_used", (json_int_t)st.engine_bytes, "rows",
				kinds_json(kinds), "volumes", volumes_json(&v, &st), "folders", "keys",
				folder("keys"), "volumes", folder("volumes"), "big", folder("big"), "corrupt",
				folder("corrupt")));
	free(v.v);
	free(kinds);
	return rc < 0 ? keeper_fail(&e) : KEEPER_WELL;
}

/* Finding and reading the configuration, and the commands about it. They need no running program. */
#include "cli/cli.h"

#define DEFAULT_PATH "/etc/posthouse/posthouse.conf"

/* --dir without a file in it: data and control socket lie below the folder. */
static int folder_defaults(struct cli *c, const char *folder)
{
	static const struct {
		enum setting_id id;
		const char *below;
	} places[] = {{SETTING_ID_data_dir, "data"}, {SETTING_ID_run_dir, "run"}};
	struct buf report = BUF_INIT(65536);
	char path[1200];
	err e = {0};

	int rc = config_defaults(&c->config, &report);
	buf_free(&report);
	AUTO_FREE char *whole = realpath(folder, NULL);
	if (rc < 0 || !whole)
		return cli_fail(c, EX_CONFIG, "config", "the folder %s cannot be used", folder);
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		snprintf(path, sizeof path, "%s/%s", whole, places[i].below);
		if (setting_parse(&setting_table[places[i].id], slice_of(path), c->config.settings, &e) < 0)
			return cli_fail(c, EX_CONFIG, "config", "%s", e.text);
	}
	return 0;
}

static int path_find(struct cli *c, const char **ret_path, bool *ret_named)
{
	const char *path = c->values[OPT_CONFIG];

	*ret_named = true;
	if (!path && cli_has(c, OPT_DIR)) {
		int n = snprintf(
			c->config_path, sizeof c->config_path, "%s/posthouse.conf", c->values[OPT_DIR]);
		if (n < 0 || (size_t)n >= sizeof c->config_path)
			return cli_fail(c, EX_CONFIG, "config", "the path of --dir is too long");
		path = c->config_path;
		*ret_named = false;
	}
	if (!path)
		path = getenv("POSTHOUSE_CONFIG");
	if (!path || !*path) {
		path = DEFAULT_PATH;
		*ret_named = false;
	}
	*ret_path = path;
	return 0;
}

int cli_config(struct cli *c)
{
	struct buf report = BUF_INIT(65536);
	const char *path = NULL;
	bool named;
	int rc;

	if (c->config.settings)
		return 0;
	rc = path_find(c, &path, &named);
	if (rc != 0)
		return rc;
	if (!named && access(path, F_OK) < 0) { /* no file where one may stand: the defaults hold */
		c->config_path[0] = 0;
		if (cli_has(c, OPT_DIR))
			return folder_defaults(c, c->values[OPT_DIR]);
		rc = config_defaults(&c->config, &report);
	} else {
		if (path != c->config_path)
			snprintf(c->config_path, sizeof c->config_path, "%s", path);
		rc = config_load(path, &c->config, &report);
	}
	buf_add_c(&report, 0);
	if (rc < 0) {
		size_t n = strlen(report.p);
		if (n && report.p[n - 1] == '\n')
			report.p[n - 1] = 0;
		rc = cli_fail(c, EX_CONFIG, "config", "the configuration has mistakes:\n%s", report.p);
	}
	buf_free(&report);
	return rc;
}

int cli_config_check(struct cli *c)
{
	int rc = cli_config(c);

	if (rc != 0)
		return rc;
	if (c->json) {
		json_t *o = json_pack("{s:{s:s}}", "result", "file", c->config_path);
		cli_show_json(o);
		json_decref(o);
	} else if (*c->config_path) {
		printf("%s: no mistakes\n", c->config_path);
	} else {
		printf("there is no configuration file; the defaults hold\n");
	}
	return 0;
}

/* ---- config show ---- */

struct shown {
	struct cli *c;
	json_t *list;
};

static void line_show(struct shown *s, const char *name, struct buf *value, const struct config_origin *at)
{
	char origin[4200] = "default";

	if (at && at->file.n)
		snprintf(origin, sizeof origin, "%.*s:%u", (int)at->file.n, at->file.p, at->line);
	buf_add_c(value, 0);
	if (s->list) {
		json_t *o =
			json_pack("{s:s, s:s, s:s}", "setting", name, "value", value->p, "origin", origin);
		json_array_append_new(s->list, o);
		return;
	}
	int n = printf("%s%s%s", name, value->n > 1 ? " " : "", value->p);
	if (cli_has(s->c, OPT_ORIGIN))
		printf("%*s# %s", n < 40 ? 40 - n : 1, "", origin);
	putchar('\n');
}

static void rows_show(struct shown *s, const struct settings *now, const struct settings *defaults)
{
	bool changed = cli_has(s->c, OPT_CHANGED);

	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *row = &setting_table[i];
		struct buf name = BUF_INIT(256), value = BUF_INIT(65536);
		setting_name(row, &name);
		buf_add_c(&name, 0);
		setting_print(row, now, &value);
		/* A setting without a value has no line of its own in a file. */
		if ((!changed || !setting_equal(row, now, defaults)) && (value.n || s->list))
			line_show(s, name.p, &value, now == defaults ? NULL : &s->c->config.origins[i]);
		buf_free(&name);
		buf_free(&value);
	}
}

static void lists_show(struct shown *s, const struct settings *now, bool defaults)
{
	const struct config *config = &s->c->config;

	for (size_t i = 0; i < now->listens_n; i++) {
		struct buf value = BUF_INIT(256);
		if (cli_has(s->c, OPT_CHANGED) && config->listens_default)
			break;
		settings_listen_print(&now->listens[i], &value);
		line_show(s, "listen", &value,
			defaults || config->listens_default ? NULL : &config->listens[i]);
		buf_free(&value);
	}
	for (size_t i = 0; i < now->domains_n; i++) {
		const struct settings_domain *d = &now->domains[i];
		struct buf value = BUF_INIT(1024);
		buf_add(&value, d->name);
		if (d->catchall.n) {
			buf_addz(&value, " { catchall ");
			buf_add(&value, d->catchall);
			buf_addz(&value, " }");
		}
		line_show(s, "domain", &value, &(struct config_origin){d->file, d->line});
		buf_free(&value);
	}
}

int cli_config_show(struct cli *c)
{
	struct buf report = BUF_INIT(4096);
	struct config defaults = {0};
	struct shown s = {.c = c};
	bool only_defaults = cli_has(c, OPT_DEFAULTS);
	int rc = only_defaults ? 0 : cli_config(c);

	if (rc == 0 && config_defaults(&defaults, &report) < 0)
		rc = cli_fail(c, EX_OSERR, "io", "out of memory");
	buf_free(&report);
	if (rc != 0)
		return rc;
	s.list = c->json ? json_array() : NULL;
	const struct settings *now = only_defaults ? defaults.settings : c->config.settings;
	rows_show(&s, now, defaults.settings);
	lists_show(&s, now, only_defaults);
	if (s.list) {
		json_t *o = json_pack("{s:{s:s, s:o}}", "result", "file", c->config_path, "settings", s.list);
		cli_show_json(o);
		json_decref(o);
	}
	config_free(&defaults);
	return 0;
}

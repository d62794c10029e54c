/* Commands that are one admin method: words and options become parameters, columns print the answer. */
#include "cli/cli.h"

static int option_param(struct cli *c, json_t *params, enum cli_option o, const char *value)
{
	const struct cli_option_info *info = &cli_options[o];
	uint64_t bytes = 0;
	err e = {0};

	switch (info->send) {
	case SEND_NOTHING:
		break;
	case SEND_TEXT:
		json_object_set_new(params, info->param, json_string(value));
		break;
	case SEND_SIZE:
		if (strcmp(value, "none") != 0 && settings_size_parse(slice_of(value), &bytes, &e) < 0)
			return cli_fail(c, EX_USAGE, "usage", "--%s: %s", info->name, e.text);
		json_object_set_new(params, info->param, json_integer((json_int_t)bytes));
		break;
	case SEND_NUMBER:
		if (!slice_to_u64(slice_of(value), INT32_MAX, &bytes))
			return cli_fail(c, EX_USAGE, "usage", "--%s: \"%s\" is no number", info->name, value);
		json_object_set_new(params, info->param, json_integer((json_int_t)bytes));
		break;
	case SEND_SECONDS:
		if (settings_duration_parse(slice_of(value), &bytes, &e) < 0)
			return cli_fail(c, EX_USAGE, "usage", "--%s: %s", info->name, e.text);
		json_object_set_new(params, info->param, json_integer((json_int_t)(bytes / 1000)));
		break;
	case SEND_TRUE:
	case SEND_FALSE:
		if (json_object_get(params, info->param))
			return cli_fail(c, EX_USAGE, "usage", "--%s contradicts another option", info->name);
		json_object_set_new(params, info->param, json_boolean(info->send == SEND_TRUE));
		break;
	case SEND_TEXTS:
	case SEND_EMPTY:
		if (!json_object_get(params, info->param))
			json_object_set_new(params, info->param, json_array());
		if (info->send == SEND_TEXTS)
			json_array_append_new(json_object_get(params, info->param), json_string(value));
		break;
	}
	return 0;
}

/* "alias targets...": the first word is the alias, all others are targets. */
static void words_params(const struct cli *c, json_t *params)
{
	slice names = slice_of(c->command->params ? c->command->params : ""), name;
	unsigned i = 0;

	while (i < c->words_n && slice_word(&names, &name)) {
		char key[32];
		bool many = slice_ends(name, S("..."));
		snprintf(key, sizeof key, "%.*s", (int)(many ? name.n - 3 : name.n), name.p);
		if (!many) {
			json_object_set_new(params, key, json_string(c->words[i++]));
			continue;
		}
		json_t *list = json_array();
		while (i < c->words_n)
			json_array_append_new(list, json_string(c->words[i++]));
		json_object_set_new(params, key, list);
	}
}

int cli_params(struct cli *c, json_t **ret)
{
	json_t *params = json_object();
	int rc = 0;

	words_params(c, params);
	for (unsigned i = 0; i < c->given_n && rc == 0; i++)
		rc = option_param(c, params, c->given[i].option, c->given[i].value);
	if (rc != 0)
		json_decref(params);
	else
		*ret = params;
	return rc;
}

/* Lists come in pages; all of them become one. */
static int rows_fetch(struct cli *c, json_t *params, json_t **ret)
{
	json_t *all = NULL, *page = NULL;
	int rc;

	for (;;) {
		rc = cli_call(c, c->command->method, json_deep_copy(params), &page);
		if (rc != 0)
			break;
		json_t *rows = json_object_get(page, c->command->list), *next = json_object_get(page, "next");
		if (!all)
			all = json_incref(rows);
		else
			json_array_extend(all, rows);
		if (!next)
			break;
		json_object_set(params, "after", next);
		json_decref(page);
		page = NULL;
	}
	json_decref(page);
	json_decref(params);
	if (rc == 0)
		*ret = all;
	else
		json_decref(all);
	return rc;
}

static int rows_command(struct cli *c, json_t *params)
{
	json_t *rows = NULL;
	int rc = rows_fetch(c, params, &rows);

	if (rc != 0)
		return rc;
	if (c->json) {
		json_t *o = json_pack("{s:{s:O}}", "result", c->command->list, rows);
		cli_show_json(o);
		json_decref(o);
	} else {
		cli_show_rows(rows, c->command->columns);
	}
	json_decref(rows);
	return 0;
}

static void done_print(const struct cli *c, const char *verb)
{
	printf("%s", verb);
	for (unsigned i = 0; i < c->words_n && i < c->command->min && (i == 0 || c->command->max == 2); i++)
		printf(" %s", c->words[i]);
	putchar('\n');
}

void cli_result(const struct cli *c, json_t *result)
{
	if (c->json) {
		json_t *o = json_pack("{s:O}", "result", result);
		cli_show_json(o);
		json_decref(o);
	} else if (c->command->done) {
		done_print(c, c->command->done);
	} else {
		cli_show_object(result);
	}
}

int cli_method(struct cli *c)
{
	json_t *params, *result;
	int rc = cli_params(c, &params);

	if (rc != 0)
		return rc;
	if (c->command->list)
		return rows_command(c, params);
	rc = cli_call(c, c->command->method, params, &result);
	if (rc != 0)
		return rc;
	cli_result(c, result);
	json_decref(result);
	return 0;
}

/* A new account needs a password; a changed one gets a new one when it is asked for, or when nothing else is.
 */
static bool wants_password(const struct cli *c)
{
	bool asked = cli_has(c, OPT_GENERATE) || cli_has(c, OPT_PASSWORD_STDIN);

	for (unsigned i = 0; i < c->given_n; i++) {
		if (cli_options[c->given[i].option].send != SEND_NOTHING &&
			strcmp(c->command->verb, "add") != 0)
			return asked;
	}
	return true;
}

int cli_method_account(struct cli *c)
{
	char password[CLI_PASSWORD] = "";
	json_t *params, *result;
	int rc = cli_params(c, &params);

	if (rc == 0 && wants_password(c)) {
		rc = cli_config(c); /* a mistake there is said before a password is typed */
		if (rc == 0)
			rc = cli_password(c, password);
		if (rc == 0)
			json_object_set_new(params, "password", json_string(password));
		else
			json_decref(params);
	}
	if (rc == 0)
		rc = cli_call(c, c->command->method, params, &result);
	if (rc == 0) {
		if (c->json && cli_has(c, OPT_GENERATE))
			json_object_set_new(result, "password", json_string(password));
		cli_result(c, result);
		if (!c->json && cli_has(c, OPT_GENERATE))
			printf("password %s\n", password);
		json_decref(result);
	}
	explicit_bzero(password, sizeof password);
	return rc;
}

/* ---- removal: looked at first, then asked, then done ---- */

static void question_make(const struct cli *c, const json_t *what, char *out, size_t n)
{
	const json_t *messages = json_object_get(what, "messages");
	char count[64] = "";

	if (json_integer_value(messages) > 0)
		snprintf(count, sizeof count, " with its %lld messages",
			(long long)json_integer_value(messages));
	snprintf(out, n, "Remove the %s %.300s%s%.300s%s?", c->command->noun, c->words[0],
		c->words_n > 1 ? " " : "", c->words_n > 1 ? c->words[1] : "", count);
}

static int look_and_ask(struct cli *c, const json_t *params)
{
	char question[800];
	json_t *what = NULL, *dry = json_deep_copy(params);

	json_object_set_new(dry, "dry_run", json_true());
	int rc = cli_call(c, c->command->method, dry, &what);
	if (rc != 0)
		return rc;
	question_make(c, what, question, sizeof question);
	json_decref(what);
	return cli_confirm(c, question);
}

int cli_remove(struct cli *c)
{
	json_t *params, *result;
	int rc = cli_params(c, &params);

	if (rc != 0)
		return rc;
	bool dry = cli_has(c, OPT_DRY_RUN);
	if (!dry && !cli_has(c, OPT_YES)) {
		rc = look_and_ask(c, params);
		if (rc != 0) {
			json_decref(params);
			return rc;
		}
	}
	rc = cli_call(c, c->command->method, params, &result);
	if (rc != 0)
		return rc;
	if (dry && !c->json) {
		printf("this would be removed:\n");
		cli_show_object(result);
	} else {
		cli_result(c, result);
	}
	json_decref(result);
	return 0;
}

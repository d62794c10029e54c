/* route add and route test: a log-in needs a password, a test shows a dialogue. */
#include "cli/cli.h"

/* Words and options as a request, with the password of the log-in when there is one. */
static int route_params(struct cli *c, json_t **ret)
{
	char password[CLI_PASSWORD] = "";
	json_t *params;
	int rc = cli_params(c, &params);

	if (rc != 0)
		return rc;
	if (!cli_has(c, OPT_ROUTE_USER) && cli_has(c, OPT_PASSWORD_STDIN))
		rc = cli_fail(c, EX_USAGE, "usage", "--password-stdin says nothing without --user NAME");
	if (rc == 0 && cli_has(c, OPT_ROUTE_USER)) {
		rc = cli_config(c); /* a mistake there is said before a password is typed */
		if (rc == 0)
			rc = cli_password(c, password);
		if (rc == 0)
			json_object_set_new(params, "password", json_string(password));
		explicit_bzero(password, sizeof password);
	}
	if (rc != 0)
		json_decref(params);
	else
		*ret = params;
	return rc;
}

int cli_route_add(struct cli *c)
{
	json_t *params, *result = NULL;
	int rc = route_params(c, &params);

	if (rc == 0)
		rc = cli_call(c, c->command->method, params, &result);
	if (rc != 0)
		return rc;
	if (c->json)
		cli_result(c, result);
	else /* nobody but the post house knows the number */
		printf("%s %lld: %s by way of %s\n", c->command->done,
			(long long)json_integer_value(json_object_get(result, "id")),
			json_string_value(json_object_get(result, "for")),
			json_string_value(json_object_get(result, "to")));
	json_decref(result);
	return 0;
}

/* A server's words: the terminal sees no control bytes. */
static void text_print(const char *text)
{
	for (; text && *text; text++)
		putchar(((unsigned char)*text < 32 && *text != '\n') || *text == 127 ? '?' : *text);
}

int cli_route_test(struct cli *c)
{
	json_t *params, *result = NULL;
	int rc = route_params(c, &params);

	if (rc == 0)
		rc = cli_call(c, c->command->method, params, &result);
	if (rc != 0)
		return rc;
	bool good = json_is_true(json_object_get(result, "good"));
	if (c->json) {
		cli_result(c, result);
	} else {
		text_print(json_string_value(json_object_get(result, "dialogue")));
		fputs(good ? "good: " : "not good: ", stdout);
		text_print(json_string_value(json_object_get(result, "text")));
		putchar('\n');
	}
	json_decref(result);
	return good ? 0 : 1;
}

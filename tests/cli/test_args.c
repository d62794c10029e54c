/* Words and options of the command line, its tables, and what is printed from them. */
#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Runs the parser on a line of words; output goes nowhere. */
static int parse(const char *line, struct cli *c)
{
	static char text[512];
	static char *argv[80];
	int argc = 0;

	snprintf(text, sizeof text, "posthouse %s", line);
	for (char *p = text; *p;) {
		argv[argc++] = p;
		while (*p && *p != ' ')
			p++;
		while (*p == ' ')
			*p++ = 0;
	}
	argv[argc] = NULL;
	return cli_parse(argc, argv, c);
}

static void test_good(void **state)
{
	(void)state;
	struct cli c;

	assert_int_equal(parse("account add alice@example.test --name Alice --quota=5GB --json", &c), 0);
	assert_string_equal(c.command->method, "account.add");
	assert_int_equal(c.words_n, 1);
	assert_string_equal(c.words[0], "alice@example.test");
	assert_string_equal(c.values[OPT_NAME], "Alice");
	assert_string_equal(c.values[OPT_QUOTA], "5GB");
	assert_true(c.json);

	assert_int_equal(parse("--dir /x domain list", &c), 0); /* options may stand in front */
	assert_string_equal(c.command->method, "domain.list");
	assert_string_equal(c.values[OPT_DIR], "/x");

	assert_int_equal(parse("--config=domain account list --domain a.b", &c), 0);
	assert_string_equal(c.command->method, "account.list");
	assert_string_equal(c.values[OPT_IN_DOMAIN], "a.b");

	assert_int_equal(parse("alias set a@b c@d e@f --owner x --owner y", &c), 0);
	assert_int_equal(c.words_n, 3);
	assert_int_equal(c.given_n, 2);
	assert_string_equal(c.given[0].value, "x");
	assert_string_equal(c.given[1].value, "y");

	assert_int_equal(parse("mailbox remove -n -y alice A/B", &c), 0);
	assert_true(cli_has(&c, OPT_DRY_RUN) && cli_has(&c, OPT_YES));
	assert_int_equal(c.words_n, 2);

	assert_int_equal(parse("mailbox add alice -- --odd", &c), 0);
	assert_string_equal(c.words[1], "--odd");

	assert_int_equal(
		parse("dev --user a:b --user c:d --base-port 20000 --keep --domain x.test --json --dir /t",
			&c),
		0);
	assert_int_equal(c.given_n, 7);
	assert_int_equal(parse("queue hold 01m8 01m9 --domain far.test -n", &c), 0);
	assert_int_equal(c.words_n, 2);
	assert_int_equal(parse("queue drop --all --yes", &c), 0);
	assert_int_equal(parse("trace --since 2d a@b.test --limit 5", &c), 0);
	assert_string_equal(c.values[OPT_SINCE], "2d");
	assert_int_equal(parse("--version", &c), 0);
	assert_string_equal(c.command->noun, "version");
}

static void test_wrong(void **state)
{
	(void)state;
	static const char *const lines[] = {"", "nonsense", "account", "account nonsense", "account add",
		"account add a b", "account add a --quota", "account add a --yes", "account add a --json=1",
		"account list -y", "account list -jn", "account add a --nam x", "alias add a",
		"domain list x", "--bogus account list", "config show --domain x", "queue", "queue show",
		"queue show a b", "queue hold a --yes", "queue list a", "trace", "trace a --domain x"};
	struct cli c;

	for (size_t i = 0; i < COUNT_OF(lines); i++)
		assert_int_equal(parse(lines[i], &c), EX_USAGE);
}

static void test_too_many(void **state)
{
	(void)state;
	char line[512] = "alias add";
	struct cli c;

	for (int i = 0; i < 65; i++)
		memcpy(line + 9 + 2 * i, " a", 3);
	assert_int_equal(parse(line, &c), EX_USAGE);
}

static void test_help(void **state)
{
	(void)state;
	struct cli c;

	assert_int_equal(parse("--help", &c), -1);
	assert_int_equal(parse("account --help", &c), -1);
	assert_int_equal(parse("account add -h", &c), -1); /* without the word that it needs */
}

/* What the tables promise each other. */
static void test_tables(void **state)
{
	(void)state;

	for (size_t i = 0; i < cli_commands_n; i++) {
		const struct cli_command *cmd = &cli_commands[i];
		slice names = slice_of(cmd->params ? cmd->params : ""), name;
		unsigned n = 0;
		while (slice_word(&names, &name))
			n++;
		assert_true(cmd->min <= cmd->max && cmd->max <= CLI_WORDS);
		assert_true(!cmd->method || !cmd->params || n >= cmd->min);
		assert_true(strlen(cmd->help) > 10 && cmd->help[strlen(cmd->help) - 1] == '.');
		assert_true((cmd->options & OPT_COMMON) == 0);
		assert_true(!cmd->list || cmd->columns);
		for (size_t k = 0; k < i; k++) /* rows of a noun stand together, and none twice */
			assert_true(strcmp(cli_commands[k].noun, cmd->noun) != 0 ||
				    (cmd->verb && strcmp(cli_commands[k].verb, cmd->verb) != 0 &&
					    !strcmp(cli_commands[i - 1].noun, cmd->noun)));
		for (int a = 0; a < OPT_COUNT; a++) /* no two options of a command share a name */
			for (int b = 0; b < a; b++)
				if (cmd->options & UINT64_C(1) << a &&
					(cmd->options | OPT_COMMON) & UINT64_C(1) << b)
					assert_true(strcmp(cli_options[a].name, cli_options[b].name) != 0);
	}
	for (int a = 0; a < OPT_COUNT; a++) {
		const struct cli_option_info *o = &cli_options[a];
		assert_true(o->name && o->doc[strlen(o->doc) - 1] == '.');
		assert_true((o->send == SEND_NOTHING) == (o->param == NULL));
	}
}

static void test_texts(void **state)
{
	(void)state;
	char out[32];
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {{0, "0B"}, {999, "999B"}, {1000, "1.0KB"}, {12345, "12.3KB"}, {999999, "999KB"},
		{1500000, "1.5MB"}, {123456789012, "123GB"}};
	static const struct {
		uint64_t s;
		const char *text;
	} times[] = {{0, "0s"}, {59, "59s"}, {61, "1m1s"}, {3600, "1h0m"}, {90000, "1d1h"}};

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		cli_size_text(sizes[i].bytes, out);
		assert_string_equal(out, sizes[i].text);
	}
	for (size_t i = 0; i < COUNT_OF(times); i++) {
		cli_duration_text(times[i].s, out);
		assert_string_equal(out, times[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* From argv to a command with its words and options. */
#include "base/nearest.h"
#include "cli/cli.h"

static const char *noun_at(const void *arg, size_t i)
{
	(void)arg;
	return i < cli_commands_n ? cli_commands[i].noun : NULL;
}

/* Verbs of a noun; rows of other nouns are empty words, which are near to nothing. */
static const char *verb_at(const void *noun, size_t i)
{
	if (i >= cli_commands_n)
		return NULL;
	const struct cli_command *cmd = &cli_commands[i];
	return cmd->verb && !strcmp(cmd->noun, noun) ? cmd->verb : "";
}

static const char *option_at(const void *cmd, size_t i)
{
	if (i >= OPT_COUNT)
		return NULL;
	uint64_t known = ((const struct cli_command *)cmd)->options | OPT_COMMON;
	return known & UINT64_C(1) << i ? cli_options[i].name : "";
}

static int unknown(
	const struct cli *c, const char *what, const char *word, const char *near, const char *help)
{
	if (near)
		return cli_fail(c, EX_USAGE, "usage", "unknown %s \"%s\"; did you mean \"%s%s\"?", what, word,
			word[0] == '-' ? "--" : "", near);
	return cli_fail(c, EX_USAGE, "usage", "unknown %s \"%s\"; see: posthouse %s", what, word, help);
}

/* Finds the command that the first words name; *used of them belong to it. */
static int command_find(struct cli *c, char **words, unsigned n, unsigned *used)
{
	const char *noun = words[0];
	bool known = false;

	for (size_t i = 0; i < cli_commands_n; i++) {
		const struct cli_command *cmd = &cli_commands[i];
		if (strcmp(cmd->noun, noun) != 0)
			continue;
		known = true;
		if (!cmd->verb || (n > 1 && !strcmp(cmd->verb, words[1]))) {
			c->command = cmd;
			*used = cmd->verb ? 2 : 1;
			return 0;
		}
	}
	if (!known)
		return unknown(c, "command", noun, nearest_find(slice_of(noun), noun_at, NULL), "help");
	if (n > 1) {
		char help[64];
		snprintf(help, sizeof help, "help %.40s", noun);
		return unknown(c, "verb", words[1], nearest_find(slice_of(words[1]), verb_at, noun), help);
	}
	cli_help_print(cli_has(c, OPT_HELP) ? stdout : stderr, noun);
	return cli_has(c, OPT_HELP) ? -1 : EX_USAGE;
}

/* Splits "--name=value" and finds the option; with a command only its own options count. */
static int option_find(const struct cli_command *cmd, slice name)
{
	for (int i = 0; i < OPT_COUNT; i++) {
		if (cmd && !((cmd->options | OPT_COMMON) & UINT64_C(1) << i))
			continue;
		if (slice_eq(slice_of(cli_options[i].name), name))
			return i;
	}
	return -1;
}

static int letter_find(char letter)
{
	for (int i = 0; i < OPT_COUNT; i++) {
		if (cli_options[i].letter == letter)
			return i;
	}
	return -1;
}

static bool takes_value(slice name)
{
	int o = option_find(NULL, name);

	return o >= 0 && cli_options[o].arg;
}

static int option_put(struct cli *c, int o, const char *value)
{
	if (c->given_n == CLI_WORDS)
		return cli_fail(c, EX_USAGE, "usage", "more than %d options", CLI_WORDS);
	c->given[c->given_n].option = (enum cli_option)o;
	c->given[c->given_n++].value = value;
	c->values[o] = value;
	return 0;
}

/* One argument that begins with a hyphen; *at moves on when the value is the next argument. */
static int option_take(struct cli *c, int *at)
{
	char *arg = c->argv[*at];
	slice name = slice_skip(slice_of(arg), 2), rest = name, head;
	const char *value = NULL;
	int o;

	if (arg[1] != '-') {
		o = arg[1] && !arg[2] ? letter_find(arg[1]) : -1;
		if (o < 0 || !((c->command->options | OPT_COMMON) & UINT64_C(1) << o))
			return cli_fail(c, EX_USAGE, "usage", "unknown option \"%s\"; see: posthouse help %s",
				arg, c->command->noun);
		return option_put(c, o, "");
	}
	if (slice_cut(&rest, '=', &head))
		name = head, value = rest.p;
	o = option_find(c->command, name);
	if (o < 0)
		return unknown(c, "option", arg, nearest_find(name, option_at, c->command), "help");
	if (!cli_options[o].arg)
		return value ? cli_fail(c, EX_USAGE, "usage", "--%s takes no value", cli_options[o].name)
			     : option_put(c, o, "");
	if (!value) {
		if (*at + 1 >= c->argc)
			return cli_fail(c, EX_USAGE, "usage", "--%s needs a value: --%s %s",
				cli_options[o].name, cli_options[o].name, cli_options[o].arg);
		value = c->argv[++*at];
	}
	return option_put(c, o, value);
}

static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1];
}

/* The words alone, to find the command before its options are known. */
static unsigned words_collect(struct cli *c, char **words)
{
	unsigned n = 0;

	for (int i = 1; i < c->argc; i++) {
		char *arg = c->argv[i];
		if (!strcmp(arg, "--")) {
			while (++i < c->argc && n < 2)
				words[n++] = c->argv[i];
			break;
		}
		if (!is_option(arg)) {
			if (n < 2)
				words[n++] = arg;
			continue;
		}
		c->json |= !strcmp(arg, "--json");
		if (!strcmp(arg, "--help") || !strcmp(arg, "-h"))
			c->values[OPT_HELP] = "";
		i += arg[1] == '-' && takes_value(slice_of(arg + 2));
	}
	return n;
}

static int word_put(struct cli *c, const char *word)
{
	if (c->words_n == CLI_WORDS)
		return cli_fail(c, EX_USAGE, "usage", "more than %d words", CLI_WORDS);
	c->words[c->words_n++] = word;
	return 0;
}

static int command_parse(struct cli *c, unsigned skip)
{
	const struct cli_command *cmd = c->command;
	bool only_words = false;
	int rc = 0;

	for (int i = 1; i < c->argc && rc == 0; i++) {
		char *arg = c->argv[i];
		if (!only_words && !strcmp(arg, "--"))
			only_words = true;
		else if (!only_words && is_option(arg))
			rc = option_take(c, &i);
		else if (skip > 0)
			skip--;
		else
			rc = word_put(c, arg);
	}
	if (rc != 0 || cli_has(c, OPT_HELP))
		return rc;
	if (c->words_n >= cmd->min && c->words_n <= cmd->max)
		return 0;
	cli_usage_print(stderr, cmd);
	if (c->words_n < cmd->min)
		return cli_fail(c, EX_USAGE, "usage", "a word is missing behind \"%s%s%s\"", cmd->noun,
			cmd->verb ? " " : "", cmd->verb ? cmd->verb : "");
	return cli_fail(c, EX_USAGE, "usage", "the word \"%s\" is one too many", c->words[cmd->max]);
}

int cli_parse(int argc, char **argv, struct cli *c)
{
	char *words[2];
	unsigned used = 0;

	*c = (struct cli){.argc = argc, .argv = argv, .socket = -1};
	for (size_t i = 0; i < cli_commands_n; i++) { /* what every finger tries */
		if (argc == 2 && !strcmp(argv[1], "--version") && !strcmp(cli_commands[i].noun, "version")) {
			c->command = &cli_commands[i];
			return 0;
		}
	}
	unsigned n = words_collect(c, words);
	if (n == 0) {
		cli_help_print(cli_has(c, OPT_HELP) ? stdout : stderr, NULL);
		return cli_has(c, OPT_HELP) ? -1 : EX_USAGE;
	}
	int rc = command_find(c, words, n, &used);
	if (rc == 0) {
		c->given_n = 0;
		rc = command_parse(c, used);
	}
	if (rc == 0 && cli_has(c, OPT_HELP)) {
		cli_help_command(stdout, c->command);
		return -1;
	}
	return rc;
}

#include "cli/cli.h"

static void name_print(FILE *to, const struct cli_command *cmd)
{
	fprintf(to, "%s%s%s", cmd->noun, cmd->verb ? " " : "", cmd->verb ? cmd->verb : "");
}

void cli_usage_print(FILE *to, const struct cli_command *cmd)
{
	fputs("usage: posthouse ", to);
	name_print(to, cmd);
	fprintf(to, "%s [OPTION...]%s%s\n", "", *cmd->args ? " " : "", cmd->args);
}

static void options_print(FILE *to, uint64_t mask)
{
	for (int i = 0; i < OPT_COUNT; i++) {
		const struct cli_option_info *o = &cli_options[i];
		char left[64];
		if (!(mask & UINT64_C(1) << i))
			continue;
		snprintf(left, sizeof left, "%c%c%s--%s%s%s", o->letter ? '-' : ' ',
			o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name, o->arg ? " " : "",
			o->arg ? o->arg : "");
		fprintf(to, "  %-26s %s\n", left, o->doc);
	}
}

void cli_help_command(FILE *to, const struct cli_command *cmd)
{
	cli_usage_print(to, cmd);
	fprintf(to, "\n%s\n", cmd->help);
	if (cmd->options) {
		fputs("\nOptions:\n", to);
		options_print(to, cmd->options);
	}
	fputs("\nOptions of every command:\n", to);
	options_print(to, OPT_COMMON);
}

void cli_help_print(FILE *to, const char *noun)
{
	fprintf(to, "usage: posthouse %s%s[OPTION...] [WORD...]\n\n", noun ? noun : "COMMAND",
		noun ? " VERB " : " [VERB] ");
	for (size_t i = 0; i < cli_commands_n; i++) {
		const struct cli_command *cmd = &cli_commands[i];
		char left[80];
		if (noun && strcmp(noun, cmd->noun) != 0)
			continue;
		snprintf(left, sizeof left, "%s%s%s%s%s", cmd->noun, cmd->verb ? " " : "",
			cmd->verb ? cmd->verb : "", *cmd->args ? " " : "", cmd->args);
		fprintf(to, "  %-32s %s\n", left, cmd->help);
	}
	fputs("\nOptions of every command:\n", to);
	options_print(to, OPT_COMMON);
	fputs("\nMore: posthouse help COMMAND, man posthouse, man posthouse.conf\n", to);
}

int cli_help(struct cli *c)
{
	const struct cli_command *found = NULL;
	bool noun = false;

	for (size_t i = 0; i < cli_commands_n && c->words_n; i++) {
		const struct cli_command *cmd = &cli_commands[i];
		if (strcmp(cmd->noun, c->words[0]) != 0)
			continue;
		noun = true;
		if (!cmd->verb || (c->words_n > 1 && !strcmp(cmd->verb, c->words[1])))
			found = cmd;
	}
	if (c->words_n && (!noun || (c->words_n > 1 && !found)))
		return cli_fail(c, EX_USAGE, "usage", "there is no command \"%s%s%s\"; see: posthouse help",
			c->words[0], c->words_n > 1 ? " " : "", c->words_n > 1 ? c->words[1] : "");
	if (found)
		cli_help_command(stdout, found);
	else
		cli_help_print(stdout, c->words_n ? c->words[0] : NULL);
	return 0;
}

/* The completion of bash, made from the tables. */
#include "cli/cli.h"

static void options_add(uint64_t mask)
{
	for (int i = 0; i < OPT_COUNT; i++) {
		if (mask & UINT64_C(1) << i)
			printf(" --%s", cli_options[i].name);
	}
}

static bool first_of_noun(size_t i)
{
	return i == 0 || strcmp(cli_commands[i - 1].noun, cli_commands[i].noun) != 0;
}

static void verbs_case(void)
{
	for (size_t i = 0; i < cli_commands_n; i++) {
		const char *noun = cli_commands[i].noun;
		if (!first_of_noun(i) || !cli_commands[i].verb)
			continue;
		printf("\t\t%s) words=\"", noun);
		for (size_t k = i; k < cli_commands_n && !strcmp(cli_commands[k].noun, noun); k++)
			printf("%s%s", k > i ? " " : "", cli_commands[k].verb);
		printf("\" ;;\n");
	}
}

static void options_case(void)
{
	for (size_t i = 0; i < cli_commands_n; i++) {
		const struct cli_command *cmd = &cli_commands[i];
		printf("\t\"%s %s\") words=\"", cmd->noun, cmd->verb ? cmd->verb : "");
		options_add(cmd->options | OPT_COMMON);
		printf("\" ;;\n");
	}
}

static void values_list(bool files)
{
	const char *bar = "";

	for (int i = 0; i < OPT_COUNT; i++) {
		const struct cli_option_info *o = &cli_options[i];
		bool file = o->arg && (!strcmp(o->arg, "FILE") || !strcmp(o->arg, "DIR"));
		if (o->arg && file == files) {
			printf("%s--%s", bar, o->name);
			bar = "|";
		}
	}
}

int cli_completion(struct cli *c)
{
	if (strcmp(c->words[0], "bash") != 0)
		return cli_fail(
			c, EX_USAGE, "usage", "completion is made for bash only, not for %s", c->words[0]);
	printf("# bash completion of posthouse, made by: posthouse completion bash\n"
	       "_posthouse()\n{\n"
	       "\tlocal now=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} noun= verb= words= "
	       "i skip=\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tif [[ $skip ]]; then skip=; continue; fi\n"
	       "\t\tcase ${COMP_WORDS[i]} in\n"
	       "\t\t");
	values_list(true);
	printf("|");
	values_list(false);
	printf(") skip=1 ;;\n"
	       "\t\t-*) ;;\n"
	       "\t\t*) if [[ -z $noun ]]; then noun=${COMP_WORDS[i]}; elif [[ -z $verb ]]; then "
	       "verb=${COMP_WORDS[i]}; fi ;;\n"
	       "\t\tesac\n"
	       "\tdone\n"
	       "\tcase $before in\n\t");
	values_list(true);
	printf(") COMPREPLY=($(compgen -f -- \"$now\")); return ;;\n\t");
	values_list(false);
	printf(") return ;;\n\tesac\n"
	       "\tif [[ $now == -* ]]; then\n"
	       "\tcase \"$noun $verb\" in\n");
	options_case();
	printf("\t*) words=\"");
	options_add(OPT_COMMON);
	printf("\" ;;\n\tesac\n"
	       "\telif [[ -z $noun ]]; then\n\t\twords=\"");
	for (size_t i = 0; i < cli_commands_n; i++) {
		if (first_of_noun(i))
			printf("%s%s", i ? " " : "", cli_commands[i].noun);
	}
	printf("\"\n\telif [[ -z $verb ]]; then\n\t\tcase $noun in\n");
	verbs_case();
	printf("\t\tcompletion) words=bash ;;\n"
	       "\t\tesac\n"
	       "\tfi\n"
	       "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$now\"))\n"
	       "}\n"
	       "complete -F _posthouse posthouse\n");
	return 0;
}

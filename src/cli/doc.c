/*
 * Makes the documents that come from tables: posthouse-doc completion, or posthouse-doc TEMPLATE, which
 * copies the manual page and puts in the place of a line "@COMMANDS@", "@OPTIONS@", "@SETTINGS@" or
 * "@LISTEN@" what the tables say.
 */
#include "cli/cli.h"

/* Text of a macro's argument or a line: a leading dot or quote would be a request, a backslash an escape. */
static void roff_print(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", stdout);
		else if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
	}
}

/* Lines of at most 78 characters, broken at blanks. */
static void wrapped_print(slice text)
{
	slice word;
	size_t column = 0;

	while (slice_word(&text, &word)) {
		char one[128];
		snprintf(one, sizeof one, "%.*s", (int)word.n, word.p);
		if (column + word.n + 1 > 78) {
			putchar('\n');
			column = 0;
		}
		if (column) {
			putchar(' ');
			column++;
		}
		roff_print(one);
		column += word.n;
	}
	putchar('\n');
}

/* A new sentence on a new line, as mdoc wants it. */
static void sentences_print(const char *text)
{
	slice rest = slice_of(text);

	while (rest.n) {
		ptrdiff_t end = slice_find(rest, S(". "));
		slice one = end < 0 ? rest : slice_sub(rest, 0, (size_t)end + 1);
		wrapped_print(one);
		rest = slice_skip(rest, one.n + (end < 0 ? 0 : 1));
	}
}

static void option_flags(const struct cli_option_info *o)
{
	if (o->letter)
		printf("Fl %c , ", o->letter);
	printf("Fl \\-%s", o->name);
	if (o->arg)
		printf(" Ar %s", o->arg);
}

/* "ADDRESS TARGET...", "[TARGET...]" */
static void args_print(const char *args)
{
	slice rest = slice_of(args), word;

	while (slice_word(&rest, &word)) {
		bool optional = word.p[0] == '[';
		if (optional)
			word = slice_sub(word, 1, slice_ends(word, S("]")) ? word.n - 2 : word.n - 1);
		bool many = slice_ends(word, S("..."));
		if (many)
			word = slice_sub(word, 0, word.n - 3);
		while (word.n && word.p[word.n - 1] == ']')
			word = slice_sub(word, 0, word.n - 1);
		bool literal = word.n && word.p[0] >= 'a' && word.p[0] <= 'z';
		printf(" %s%s %.*s%s", optional ? "Oo " : "", literal ? "Cm" : "Ar", (int)word.n, word.p,
			many ? " ..." : "");
		if (optional)
			printf(" Oc");
	}
}

static void options_list(uint64_t mask)
{
	for (int i = 0; i < OPT_COUNT; i++) {
		if (!(mask & UINT64_C(1) << i))
			continue;
		printf(".It ");
		option_flags(&cli_options[i]);
		putchar('\n');
		sentences_print(cli_options[i].doc);
	}
}

static void commands_print(void)
{
	printf(".Bl -tag -width Ds\n");
	for (size_t i = 0; i < cli_commands_n; i++) {
		const struct cli_command *cmd = &cli_commands[i];
		printf(".It Cm %s", cmd->noun);
		if (cmd->verb)
			printf(" %s", cmd->verb);
		for (int o = 0; o < OPT_COUNT; o++) {
			if (!(cmd->options & UINT64_C(1) << o))
				continue;
			printf(" Oo ");
			option_flags(&cli_options[o]);
			printf(" Oc");
		}
		args_print(cmd->args);
		putchar('\n');
		sentences_print(cmd->help);
		if (cmd->options) {
			printf(".Bl -tag -width Ds -compact\n");
			options_list(cmd->options);
			printf(".El\n");
		}
	}
	printf(".El\n");
}

static void common_print(void)
{
	printf(".Bl -tag -width Ds\n");
	options_list(OPT_COMMON);
	printf(".El\n");
}

static const char *kind_text(enum setting_kind kind)
{
	static const char *const texts[] = {
		[SETTING_HOST] = "NAME",
		[SETTING_MAIL] = "ADDRESS...",
		[SETTING_PATH] = "PATH",
		[SETTING_WORD] = "NAME",
		[SETTING_SERVER] = "ADDRESS",
		[SETTING_BOOL] = "yes|no",
		[SETTING_NUMBER] = "NUMBER",
		[SETTING_SIZE] = "SIZE",
		[SETTING_DURATION] = "TIME",
	};
	return kind == SETTING_CHOICE ? "" : texts[kind];
}

static void value_print(uint64_t v, enum setting_kind kind)
{
	struct buf b = BUF_INIT(64);

	if (kind == SETTING_SIZE)
		settings_size_print(v, &b);
	else if (kind == SETTING_DURATION)
		settings_duration_print(v, &b);
	else
		buf_add_u64(&b, v);
	buf_add_c(&b, 0);
	fputs(b.p, stdout);
	buf_free(&b);
}

static void choices_print(const struct setting *row)
{
	slice rest = slice_of(row->values), word;
	bool first = true;

	while (slice_word(&rest, &word)) {
		printf("%s Cm %.*s", first ? "" : " |", (int)word.n, word.p);
		first = false;
	}
}

static void facts_print(const struct setting *row)
{
	bool ranged =
		row->kind == SETTING_NUMBER || row->kind == SETTING_SIZE || row->kind == SETTING_DURATION;

	if (ranged) {
		printf("From ");
		value_print(row->min, row->kind);
		printf(" to ");
		value_print(row->max, row->kind);
		printf(".\n");
	}
	if (*row->def) {
		printf("The default is\n.Cm ");
		roff_print(row->def);
		printf(" .\n");
	}
	if (row->change == SETTING_RESTART)
		printf("A change takes effect at the next start.\n");
}

static void settings_print(void)
{
	printf(".Bl -tag -width Ds\n");
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *row = &setting_table[i];
		printf(".It Cm %s%s%s", row->block, *row->block ? " " : "", row->word);
		if (row->kind == SETTING_CHOICE)
			choices_print(row);
		else
			args_print(kind_text(row->kind));
		putchar('\n');
		sentences_print(row->doc);
		facts_print(row);
	}
	printf(".El\n");
}

static void listen_print(void)
{
	printf(".Bl -column submissions 9999 \"TLS from the first byte\" -compact\n");
	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		const struct settings_protocol_info *p = &settings_protocols[i];
		printf(".It Cm %s Ta %u Ta %s\n", p->word, p->port,
			p->tls ? "TLS from the first byte" : "TLS when the client asks");
	}
	printf(".El\n");
}

static const struct {
	const char *line;
	void (*print)(void);
} places[] = {
	{"@COMMANDS@\n", commands_print},
	{"@OPTIONS@\n", common_print},
	{"@SETTINGS@\n", settings_print},
	{"@LISTEN@\n", listen_print},
};

int main(int argc, char **argv)
{
	char line[1024];

	if (argc == 2 && !strcmp(argv[1], "completion")) {
		AUTO_FREE struct cli *c = calloc(1, sizeof *c);
		if (!c)
			return EX_OSERR;
		c->words[c->words_n++] = "bash";
		c->socket = -1;
		return cli_completion(c);
	}
	FILE *in = argc == 2 ? fopen(argv[1], "re") : NULL;
	if (!in) {
		fprintf(stderr, "usage: posthouse-doc completion|TEMPLATE\n");
		return EX_USAGE;
	}
	while (fgets(line, sizeof line, in)) {
		size_t i = 0;
		while (i < COUNT_OF(places) && strcmp(places[i].line, line) != 0)
			i++;
		if (i < COUNT_OF(places))
			places[i].print();
		else
			fputs(line, stdout);
	}
	fclose(in);
	return 0;
}

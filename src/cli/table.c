/* The tables of commands and options. */
#include "cli/cli.h"

/* The program that makes manual pages reads the tables and runs nothing. */
#ifdef CLI_TABLE_ONLY
#define RUN(f) .run = NULL
#else
#define RUN(f) .run = f
#endif

/* clang-format off */
const struct cli_option_info cli_options[OPT_COUNT] = {
	[OPT_CONFIG] = {"config", 0, "FILE", SEND_NOTHING, NULL,
		"The configuration file. Without it $POSTHOUSE_CONFIG counts, then /etc/posthouse/posthouse.conf."},
	[OPT_DIR] = {"dir", 0, "DIR", SEND_NOTHING, NULL,
		"The folder of a post house that has its configuration, data and control socket in one place, as dev makes it."},
	[OPT_JSON] = {"json", 0, NULL, SEND_NOTHING, NULL, "Print the answer, or the error, as one JSON object on standard output."},
	[OPT_HELP] = {"help", 'h', NULL, SEND_NOTHING, NULL, "Print what the command does and takes."},
	[OPT_YES] = {"yes", 'y', NULL, SEND_NOTHING, NULL, "Do not ask; needed where there is no terminal to ask on."},
	[OPT_DRY_RUN] = {"dry-run", 'n', NULL, SEND_TRUE, "dry_run", "Only say what would be removed."},
	[OPT_PASSWORD_STDIN] = {"password-stdin", 0, NULL, SEND_NOTHING, NULL, "Read the password from the first line of standard input."},
	[OPT_GENERATE] = {"generate", 0, NULL, SEND_NOTHING, NULL, "Make up a password and print it."},
	[OPT_NAME] = {"name", 0, "TEXT", SEND_TEXT, "name", "The person's name."},
	[OPT_LANGUAGE] = {"language", 0, "TAG", SEND_TEXT, "language", "The person's language, like en or zh-CN."},
	[OPT_QUOTA] = {"quota", 0, "SIZE", SEND_SIZE, "quota", "The most the account may hold, like 5GB; none for no limit."},
	[OPT_ENABLE] = {"enable", 0, NULL, SEND_TRUE, "enabled", "Open it again."},
	[OPT_DISABLE] = {"disable", 0, NULL, SEND_FALSE, "enabled", "Shut it; nothing is removed."},
	[OPT_CATCHALL] = {"catchall", 0, "ADDRESS", SEND_TEXTS, "catchall",
		"Where mail to unknown names of the domain goes; may be repeated."},
	[OPT_NO_CATCHALL] = {"no-catchall", 0, NULL, SEND_EMPTY, "catchall", "Refuse mail to unknown names."},
	[OPT_OWNER] = {"owner", 0, "ACCOUNT", SEND_TEXTS, "owners", "An account that may send as the alias; may be repeated."},
	[OPT_NO_OWNER] = {"no-owner", 0, NULL, SEND_EMPTY, "owners", "No account but a sole target may send as the alias."},
	[OPT_FORWARD] = {"forward", 0, "ADDRESS", SEND_TEXTS, "forward",
		"Send the account's mail on to this address, here or elsewhere; may be repeated."},
	[OPT_NO_FORWARD] = {"no-forward", 0, NULL, SEND_EMPTY, "forward", "Send it on no more."},
	[OPT_KEEP] = {"keep", 0, NULL, SEND_TRUE, "keep", "Keep a copy of what is sent on in the account, as is done at first."},
	[OPT_NO_KEEP] = {"no-keep", 0, NULL, SEND_FALSE, "keep", "Keep no copy of what is sent on."},
	[OPT_USE] = {"use", 0, "USE", SEND_TEXT, "use",
		"What the mailbox is for: drafts sent trash junk archive all flagged important none."},
	[OPT_RENAME] = {"rename", 0, "PATH", SEND_TEXT, "rename", "Give it another name or place; those below it go with it."},
	[OPT_SUBSCRIBE] = {"subscribe", 0, NULL, SEND_TRUE, "subscribed", "Show it in mail programs that list subscribed mailboxes."},
	[OPT_UNSUBSCRIBE] = {"unsubscribe", 0, NULL, SEND_FALSE, "subscribed", "Do not show it there."},
	[OPT_IN_DOMAIN] = {"domain", 0, "DOMAIN", SEND_TEXT, "domain", "Only those of this domain."},
	[OPT_CHANGED] = {"changed", 0, NULL, SEND_NOTHING, NULL, "Only what differs from the defaults."},
	[OPT_DEFAULTS] = {"defaults", 0, NULL, SEND_NOTHING, NULL, "The defaults, whatever the file says."},
	[OPT_ORIGIN] = {"origin", 0, NULL, SEND_NOTHING, NULL, "Behind each value, the file and line that set it, or default."},
	[OPT_DEV_DOMAIN] = {"domain", 0, "DOMAIN", SEND_NOTHING, NULL, "The domain of its accounts; example.test without this."},
	[OPT_DEV_USER] = {"user", 0, "NAME:PASSWORD", SEND_NOTHING, NULL,
		"An account; may be repeated. Without any, alice and bob are made and their passwords printed."},
	[OPT_DEV_BASE_PORT] = {"base-port", 0, "N", SEND_NOTHING, NULL,
		"Each service listens at this plus its standard port: 10000 gives 10025, 10143 and so on."},
	[OPT_DEV_KEEP] = {"keep", 0, NULL, SEND_NOTHING, NULL, "Keep the folder when it ends."},
};

static const struct cli_column domain_columns[] = {
	{"domain", "DOMAIN"}, {"enabled", "ENABLED"}, {"from", "FROM"}, {"created", "CREATED"}, {0}};
static const struct cli_column account_columns[] = {
	{"account", "ACCOUNT"}, {"enabled", "ENABLED"}, {"messages", "MESSAGES"}, {"used", "USED", true},
	{"quota", "QUOTA", true}, {"name", "NAME"}, {0}};
static const struct cli_column alias_columns[] = {{"alias", "ALIAS"}, {"targets", "TARGETS"}, {"owners", "OWNERS"}, {0}};
static const struct cli_column mailbox_columns[] = {
	{"messages", "MESSAGES"}, {"unseen", "UNSEEN"}, {"bytes", "SIZE", true}, {"use", "USE"},
	{"subscribed", "SUBSCRIBED"}, {"mailbox", "MAILBOX"}, {0}};

const struct cli_command cli_commands[] = {
	{.noun = "run", .args = "", RUN(cli_run),
		.help = "Run the post house in the foreground until it is told to end."},
	{.noun = "dev", .args = "", RUN(cli_dev),
		.options = OPT(DEV_DOMAIN) | OPT(DEV_USER) | OPT(DEV_BASE_PORT) | OPT(DEV_KEEP),
		.help = "Run a throw-away post house on high loopback ports, for trying out and for tests."},
	{.noun = "status", .args = "", RUN(cli_status), .method = "status",
		.help = "Show the state of all roles. Exits 0 when all is well, 1 when something is amiss, 2 when it does not run."},
	{.noun = "version", .args = "", RUN(cli_version), .help = "Print the version of this program and of the one that runs."},

	{.noun = "domain", .verb = "list", .args = "", RUN(cli_method), .method = "domain.list", .list = "domains",
		.columns = domain_columns, .help = "List the domains."},
	{.noun = "domain", .verb = "show", .args = "DOMAIN", .params = "domain", .min = 1, .max = 1, RUN(cli_method),
		.method = "domain.show", .help = "Show one domain."},
	{.noun = "domain", .verb = "add", .args = "DOMAIN", .params = "domain", .min = 1, .max = 1, RUN(cli_method),
		.method = "domain.add", .done = "added domain", .options = OPT(CATCHALL), .help = "Take mail for a domain."},
	{.noun = "domain", .verb = "set", .args = "DOMAIN", .params = "domain", .min = 1, .max = 1, RUN(cli_method),
		.method = "domain.set", .done = "changed domain",
		.options = OPT(ENABLE) | OPT(DISABLE) | OPT(CATCHALL) | OPT(NO_CATCHALL), .help = "Change a domain."},
	{.noun = "domain", .verb = "remove", .args = "DOMAIN", .params = "domain", .min = 1, .max = 1, RUN(cli_remove),
		.method = "domain.remove", .done = "removed domain", .options = OPT(YES) | OPT(DRY_RUN),
		.help = "Remove a domain that has no accounts and aliases any more."},

	{.noun = "account", .verb = "list", .args = "", RUN(cli_method), .method = "account.list", .list = "accounts",
		.columns = account_columns, .options = OPT(IN_DOMAIN), .help = "List the accounts."},
	{.noun = "account", .verb = "show", .args = "ACCOUNT", .params = "account", .min = 1, .max = 1, RUN(cli_method),
		.method = "account.show", .help = "Show one account."},
	{.noun = "account", .verb = "add", .args = "ADDRESS", .params = "account", .min = 1, .max = 1,
		RUN(cli_method_account), .method = "account.add", .done = "added account",
		.options = OPT(PASSWORD_STDIN) | OPT(GENERATE) | OPT(NAME) | OPT(LANGUAGE) | OPT(QUOTA) | OPT(DISABLE),
		.help = "Add an account with its standard mailboxes. The password is asked for."},
	{.noun = "account", .verb = "set", .args = "ACCOUNT", .params = "account", .min = 1, .max = 1,
		RUN(cli_method_account), .method = "account.set", .done = "changed account",
		.options = OPT(PASSWORD_STDIN) | OPT(GENERATE) | OPT(NAME) | OPT(LANGUAGE) | OPT(QUOTA) | OPT(ENABLE) | OPT(DISABLE) |
			OPT(FORWARD) | OPT(NO_FORWARD) | OPT(KEEP) | OPT(NO_KEEP),
		.help = "Change an account. Without any option a new password is asked for."},
	{.noun = "account", .verb = "remove", .args = "ACCOUNT", .params = "account", .min = 1, .max = 1, RUN(cli_remove),
		.method = "account.remove", .done = "removed account", .options = OPT(YES) | OPT(DRY_RUN),
		.help = "Remove an account with all its mail."},

	{.noun = "alias", .verb = "list", .args = "", RUN(cli_method), .method = "alias.list", .list = "aliases",
		.columns = alias_columns, .options = OPT(IN_DOMAIN), .help = "List the aliases. @DOMAIN is the catch-all of a domain."},
	{.noun = "alias", .verb = "show", .args = "ADDRESS", .params = "alias", .min = 1, .max = 1, RUN(cli_method),
		.method = "alias.show", .help = "Show one alias."},
	{.noun = "alias", .verb = "add", .args = "ADDRESS TARGET...", .params = "alias targets...", .min = 2, .max = CLI_WORDS,
		RUN(cli_method), .method = "alias.add", .done = "added alias", .options = OPT(OWNER),
		.help = "Add an address whose mail goes to other addresses."},
	{.noun = "alias", .verb = "set", .args = "ADDRESS [TARGET...]", .params = "alias targets...", .min = 1,
		.max = CLI_WORDS, RUN(cli_method), .method = "alias.set", .done = "changed alias",
		.options = OPT(OWNER) | OPT(NO_OWNER), .help = "Replace the targets or the owners of an alias."},
	{.noun = "alias", .verb = "remove", .args = "ADDRESS", .params = "alias", .min = 1, .max = 1, RUN(cli_remove),
		.method = "alias.remove", .done = "removed alias", .options = OPT(YES) | OPT(DRY_RUN), .help = "Remove an alias."},

	{.noun = "mailbox", .verb = "list", .args = "ACCOUNT", .params = "account", .min = 1, .max = 1, RUN(cli_method),
		.method = "mailbox.list", .list = "mailboxes", .columns = mailbox_columns, .help = "List the mailboxes of an account."},
	{.noun = "mailbox", .verb = "show", .args = "ACCOUNT PATH", .params = "account mailbox", .min = 2, .max = 2,
		RUN(cli_method), .method = "mailbox.show", .help = "Show one mailbox. The levels of a path are divided by \"/\"."},
	{.noun = "mailbox", .verb = "add", .args = "ACCOUNT PATH", .params = "account mailbox", .min = 2, .max = 2,
		RUN(cli_method), .method = "mailbox.add", .done = "added mailbox", .options = OPT(USE),
		.help = "Add a mailbox, and those above it that are missing."},
	{.noun = "mailbox", .verb = "set", .args = "ACCOUNT PATH", .params = "account mailbox", .min = 2, .max = 2,
		RUN(cli_method), .method = "mailbox.set", .done = "changed mailbox",
		.options = OPT(USE) | OPT(RENAME) | OPT(SUBSCRIBE) | OPT(UNSUBSCRIBE), .help = "Change or rename a mailbox."},
	{.noun = "mailbox", .verb = "remove", .args = "ACCOUNT PATH", .params = "account mailbox", .min = 2, .max = 2,
		RUN(cli_remove), .method = "mailbox.remove", .done = "removed mailbox", .options = OPT(YES) | OPT(DRY_RUN),
		.help = "Remove a mailbox and the messages that lie in it."},

	{.noun = "config", .verb = "check", .args = "", RUN(cli_config_check),
		.help = "Read the configuration file and report every mistake. Exits 78 when there is one."},
	{.noun = "config", .verb = "show", .args = "", RUN(cli_config_show),
		.options = OPT(CHANGED) | OPT(DEFAULTS) | OPT(ORIGIN),
		.help = "Print the settings as they would be in force, in the form of the file."},

	{.noun = "completion", .args = "bash", .min = 1, .max = 1, RUN(cli_completion),
		.help = "Print the completion of this command line for a shell."},
	{.noun = "help", .args = "[COMMAND [VERB]]", .max = 2, RUN(cli_help), .help = "Print what a command does and takes."},
};
const size_t cli_commands_n = COUNT_OF(cli_commands);
/* clang-format on */

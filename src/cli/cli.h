/*
 * The command line. One table of commands and one of options feed the parser, --help, posthouse(1) and the
 * shell completion; most commands have no code of their own: their words become the parameters of an admin
 * method, and the answer is printed by the columns that stand beside them.
 */
#pragma once
#include "base/config.h"

#include <jansson.h>
#include <stdio.h>
#include <sysexits.h>

enum cli_option {
	OPT_CONFIG,
	OPT_DIR,
	OPT_JSON,
	OPT_HELP,
	OPT_YES,
	OPT_DRY_RUN,
	OPT_PASSWORD_STDIN,
	OPT_GENERATE,
	OPT_NAME,
	OPT_LANGUAGE,
	OPT_QUOTA,
	OPT_ENABLE,
	OPT_DISABLE,
	OPT_CATCHALL,
	OPT_NO_CATCHALL,
	OPT_OWNER,
	OPT_NO_OWNER,
	OPT_FORWARD,
	OPT_NO_FORWARD,
	OPT_KEEP,
	OPT_NO_KEEP,
	OPT_USE,
	OPT_RENAME,
	OPT_SUBSCRIBE,
	OPT_UNSUBSCRIBE,
	OPT_IN_DOMAIN,
	OPT_CHANGED,
	OPT_DEFAULTS,
	OPT_ORIGIN,
	OPT_DEV_DOMAIN,
	OPT_DEV_USER,
	OPT_DEV_BASE_PORT,
	OPT_DEV_KEEP,
	OPT_FOR_DOMAIN,
	OPT_FOR_SENDER,
	OPT_FOR_SENDER_DOMAIN,
	OPT_FOR_ACCOUNT,
	OPT_TLS,
	OPT_ROUTE_USER,
	OPT_MECHANISM,
	OPT_FALLBACK,
	OPT_INSECURE,
	OPT_CLEAR_OK,
	OPT_SOURCE,
	OPT_TO_DOMAIN,
	OPT_SENDER,
	OPT_RECIPIENT,
	OPT_STATE,
	OPT_LIMIT,
	OPT_WHOLE,
	OPT_ALL,
	OPT_REASON,
	OPT_SINCE,
	OPT_QUICK,
	OPT_REBUILD,
	OPT_RIGHTS,
	OPT_COUNT /* at most 64 */
};
#define OPT(name)  (UINT64_C(1) << OPT_##name)
#define OPT_COMMON (OPT(CONFIG) | OPT(DIR) | OPT(JSON) | OPT(HELP))

enum cli_send { /* what an option becomes in the request */
	SEND_NOTHING,
	SEND_TEXT,
	SEND_SIZE, /* 5GB, or none */
	SEND_TRUE,
	SEND_FALSE,
	SEND_TEXTS, /* may be repeated */
	SEND_EMPTY, /* an empty list */
	SEND_NUMBER,
	SEND_SECONDS, /* 2d */
};

struct cli_option_info {
	const char *name; /* without the hyphens */
	char letter;      /* or 0 */
	const char *arg;  /* NULL: takes none */
	enum cli_send send;
	const char *param; /* of the admin method */
	const char *doc;
};
extern const struct cli_option_info cli_options[OPT_COUNT];

struct cli_column {
	const char *key, *title;
	bool size; /* bytes, shown as a size */
};

#define CLI_WORDS 64 /* words behind a command; repeated options */

struct cli;
struct cli_command {
	const char *noun, *verb;   /* verb NULL: a command of one word */
	const char *args;          /* as shown: "ADDRESS TARGET..." */
	const char *params;        /* their names in the request: "alias targets..." */
	unsigned min, max;         /* number of words */
	uint64_t options;          /* OPT() bits besides the common ones */
	int (*run)(struct cli *c); /* returns the exit code */
	const char *method;
	const char *list;                 /* the member of the result that holds the rows */
	const struct cli_column *columns; /* ends with a NULL key */
	const char *done;                 /* "added": said with the first word when it went well */
	const char *help;                 /* a sentence */
};
extern const struct cli_command cli_commands[];
extern const size_t cli_commands_n;

struct cli {
	const struct cli_command *command;
	int argc; /* as main got them */
	char **argv;
	const char *words[CLI_WORDS];
	unsigned words_n;
	const char *values[OPT_COUNT]; /* of the last one given; "" for options without argument */
	struct {
		enum cli_option option;
		const char *value;
	} given[CLI_WORDS]; /* all, in order */
	unsigned given_n;
	bool json;
	struct config config;   /* after cli_config */
	char config_path[4096]; /* "" when only defaults hold */
	int socket;             /* -1: not connected */
};

static inline bool cli_has(const struct cli *c, enum cli_option o)
{
	return c->values[o] != NULL;
}

/* args.c: fills c; 0, an exit code when it already said why, or -1 when help was asked for and printed. */
int cli_parse(int argc, char **argv, struct cli *c);

/* help.c */
void cli_usage_print(FILE *to, const struct cli_command *cmd); /* one line */
void cli_help_print(FILE *to, const char *noun);               /* all, or the verbs of a noun */
void cli_help_command(FILE *to, const struct cli_command *cmd);

/* config.c: finds and reads the file. 0, or an exit code. */
int cli_config(struct cli *c);

/* say.c: an error, on stderr for people and with --json on stdout too. Returns exit_code. */
int cli_fail(const struct cli *c, int exit_code, const char *kind, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * call.c: one question to the running program. Takes params over. 0 with the object of "result" in *ret (the
 * caller's), or an exit code after saying what went wrong.
 */
int cli_call(struct cli *c, const char *method, json_t *params, json_t **ret);
/* The same without a word about it: 0, or EX_UNAVAILABLE etc. and a sentence in e. */
int cli_call_quiet(struct cli *c, const char *method, json_t *params, json_t **ret, err *e);
void cli_disconnect(struct cli *c);

/* when.c: times of answers, "2026-03-01T12:00:00Z", as this machine's clock on the wall has them. */
struct cli_when {
	bool known;
	int64_t unix_s;
	char clock[16]; /* "14:03:07" */
	char day[24];   /* "Tue 24 Nov 2026" */
	char brief[24]; /* "Nov 24 14:03" */
};
struct cli_when cli_when(const json_t *text);

/* show.c */
/* A member of an object; "" and 0 when it is not there. */
const char *cli_text(const json_t *object, const char *key);
long long cli_number(const json_t *object, const char *key);
/* Appends a text of strangers: the terminal sees no control bytes. */
void cli_text_add(struct buf *out, const char *text);
void cli_show_json(json_t *value); /* one line on stdout */
void cli_show_rows(json_t *rows, const struct cli_column *columns);
void cli_show_object(const json_t *object);
void cli_size_text(uint64_t bytes, char out[32]);       /* "12.3 MB" */
void cli_duration_text(uint64_t seconds, char out[32]); /* "3d 4h" */

/* password.c: into out (NUL-terminated, wiped by the caller). 0, or an exit code. */
#define CLI_PASSWORD 1002
int cli_password(struct cli *c, char out[CLI_PASSWORD]);
/* Asks on the terminal. 0: yes; 1: no; EX_USAGE: nobody to ask. It says why. */
int cli_confirm(struct cli *c, const char *question);

/* method.c: the request that words and options make; 0, or an exit code. */
int cli_params(struct cli *c, json_t **ret);
void cli_result(const struct cli *c, json_t *result); /* as JSON, as `done`, or all members */

/* The commands' own code. */
int cli_method(struct cli *c);         /* method.c: all that only call a method */
int cli_method_account(struct cli *c); /* the same with a password */
int cli_remove(struct cli *c);
int cli_route_add(struct cli *c); /* route.c */
int cli_route_test(struct cli *c);
int cli_queue_list(struct cli *c); /* queue.c */
int cli_queue_show(struct cli *c);
int cli_queue_change(struct cli *c);
int cli_queue_shape(struct cli *c);
int cli_trace(struct cli *c);       /* trace.c */
int cli_store_check(struct cli *c); /* store.c */
int cli_store_repair(struct cli *c);
int cli_store_stats(struct cli *c);
int cli_status(struct cli *c);
int cli_version(struct cli *c);
int cli_config_check(struct cli *c);
int cli_config_show(struct cli *c);
int cli_completion(struct cli *c);
int cli_help(struct cli *c);
int cli_run(struct cli *c); /* start.c */
int cli_dev(struct cli *c); /* dev.c */

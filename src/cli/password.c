/* Passwords and questions on the terminal. */
#include "base/hash.h"
#include "cli/cli.h"

#include <signal.h>
#include <termios.h>

static int first_line(struct cli *c, char out[CLI_PASSWORD])
{
	size_t n = 0;
	int ch;

	while ((ch = getchar()) != EOF && ch != '\n') {
		if (n == CLI_PASSWORD - 1)
			return cli_fail(c, EX_DATAERR, "syntax",
				"the password on standard input is longer than %d bytes", CLI_PASSWORD - 2);
		out[n++] = (char)ch;
	}
	if (n > 0 && out[n - 1] == '\r')
		n--;
	out[n] = 0;
	return n ? 0 : cli_fail(c, EX_DATAERR, "syntax", "there is no password on standard input");
}

/* One line without echo. Signals that would leave the terminal dumb wait until it is mended. */
static int ask_once(struct cli *c, const char *prompt, char out[CLI_PASSWORD])
{
	struct termios before, quiet;
	sigset_t held, old;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return cli_fail(c, EX_USAGE, "usage", "no terminal to ask for the password on");
	fputs(prompt, stderr);
	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGTSTP);
	sigprocmask(SIG_BLOCK, &held, &old);
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	int rc = first_line(c, out);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	sigprocmask(SIG_SETMASK, &old, NULL);
	fputc('\n', stderr);
	for (const char *p = out; rc == 0 && *p; p++) {
		if (*p == 3) /* Control-C, which the terminal no longer turns into a signal */
			rc = EX_USAGE;
	}
	return rc;
}

static int ask_twice(struct cli *c, char out[CLI_PASSWORD])
{
	char again[CLI_PASSWORD];
	int rc = ask_once(c, "Password: ", out);

	if (rc == 0)
		rc = ask_once(c, "Once more: ", again);
	if (rc == 0 && strcmp(out, again) != 0)
		rc = cli_fail(c, EX_DATAERR, "syntax", "the two are not the same; nothing was changed");
	explicit_bzero(again, sizeof again);
	return rc;
}

/* 20 letters and digits without those that look alike: 100 bits. */
static void make_up(char out[CLI_PASSWORD])
{
	static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint8_t r[20];
	size_t n = 0;

	random_bytes(r, sizeof r);
	for (size_t i = 0; i < sizeof r; i++) {
		if (i && i % 5 == 0)
			out[n++] = '-';
		out[n++] = letters[r[i] & 31];
	}
	out[n] = 0;
	explicit_bzero(r, sizeof r);
}

int cli_password(struct cli *c, char out[CLI_PASSWORD])
{
	if (cli_has(c, OPT_GENERATE) && cli_has(c, OPT_PASSWORD_STDIN))
		return cli_fail(c, EX_USAGE, "usage", "--generate and --password-stdin exclude each other");
	if (cli_has(c, OPT_GENERATE)) {
		make_up(out);
		return 0;
	}
	if (cli_has(c, OPT_PASSWORD_STDIN))
		return first_line(c, out);
	if (!isatty(STDIN_FILENO))
		return cli_fail(c, EX_USAGE, "usage",
			"there is no terminal to ask for the password on; use --password-stdin%s",
			c->command->options & OPT(GENERATE) ? " or --generate" : "");
	return ask_twice(c, out);
}

int cli_confirm(struct cli *c, const char *question)
{
	char line[16];

	if (!isatty(STDIN_FILENO))
		return cli_fail(c, EX_USAGE, "usage",
			"there is no terminal to ask on; say --yes to do it, or -n to see what would be "
			"done");
	fprintf(stderr, "%s [y/N] ", question);
	if (!fgets(line, sizeof line, stdin))
		line[0] = 0;
	if (line[0] == 'y' || line[0] == 'Y')
		return 0;
	return cli_fail(c, 1, "declined", "nothing was removed");
}

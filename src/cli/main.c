/* posthouse: the command line, and with `run` the supervisor. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
	struct cli c;
	int rc = cli_parse(argc, argv, &c);

	if (rc == 0)
		rc = c.command->run(&c);
	cli_disconnect(&c);
	config_free(&c.config);
	if (rc < 0)
		rc = 0;
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "posthouse: standard output cannot be written\n");
		rc = EX_IOERR;
	}
	return rc;
}

/* posthouse run: this process becomes the supervisor. */
#include "cli/cli.h"
#include "roles/supervisor/supervisor.h"

int cli_run(struct cli *c)
{
	int rc = cli_config(c);

	if (rc != 0)
		return rc;
	struct supervisor_options options = {
		.config_path = *c->config_path ? c->config_path : NULL, .ready_fd = -1};
	return supervisor_run(&c->config, &options);
}

/*
 * The supervisor: reads the config, opens the ports, starts, confines, watches and restarts the roles, hands
 * the ends of their channels round, and passes connections of the control socket on. It parses nothing from
 * the network or the control socket.
 */
#pragma once
#include "base/config.h"
#include <stdbool.h>

struct supervisor_options {
	const char *config_path; /* NULL: defaults of `folder` */
	int ready_fd;            /* gets one byte when every port accepts connections; -1: none */
	bool quiet;              /* errors only, whatever the settings say, until ready (for `dev`) */
};

/*
 * Runs until TERM or INT: drains, ends the roles and returns an exit code (sysexits): 0, 69 (a role does not
 * come up at the first start), 71, 73 (folder, port), 78 (config; report says why). Takes config over.
 * Blocks; one thread.
 */
int supervisor_run(struct config *config, const struct supervisor_options *options);

/*
 * Where the roles' programs are: "<folder of this program>/posthouse-" in the build folder,
 * "…/../libexec/posthouse/posthouse-" when installed; the role's name completes it. 0, -1.
 */
#define SUPERVISOR_LIBEXEC 1152
int supervisor_find_libexec(char ret[SUPERVISOR_LIBEXEC], err *e);

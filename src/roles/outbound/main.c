/* The outbound role: may connect out, holds no files and no mail. It waits until there is mail to be sent. */
#include "roles/common/role.h"

extern const struct sandbox outbound_sandbox;

int main(int argc, char **argv)
{
	static const struct role_ops ops = {.role = ROLE_OUTBOUND, .sandbox = &outbound_sandbox};

	return role_main(argc, argv, &ops, NULL);
}

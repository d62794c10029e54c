/*
 * What the backend, which has all mail, may not do: make a network socket, connect, listen, accept, leave its
 * folder (the store), start programs or processes, signal or look into others, map executable memory. It
 * holds no passwords and no keys.
 */
#include "roles/backend/backend.h"

const struct sandbox backend_sandbox = {
	.role = "backend",
	.may = SANDBOX_CHANNEL | SANDBOX_READ | SANDBOX_WRITE,
	.data_bytes = UINT64_C(8) << 30, /* the LMDB map is shared and read-only: it does not count */
	.files = 65536,
};

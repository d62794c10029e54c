/*
 * What the frontend, which parses the bytes of strangers, may not do: open any file, make a network socket,
 * connect, listen, start programs or processes, signal or look into others, map executable memory. It holds
 * no keys and no stored passwords. It lives in an empty folder.
 */
#include "roles/frontend/frontend.h"

const struct sandbox frontend_sandbox = {
	.role = "frontend",
	.may = SANDBOX_CHANNEL | SANDBOX_ACCEPT |
	       SANDBOX_PAIR,             /* a pair: the stream of a logged-in TLS session */
	.data_bytes = UINT64_C(4) << 30, /* 30,000 stacks are under 2 GiB, and 64 KiB a connection besides */
	.files = 65536,
};

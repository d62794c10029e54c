/*
 * What the auth role, which has the verifiers of secrets and the private keys, may not do: make a socket,
 * connect, accept, leave its folder, start programs or processes, signal or look into others, map executable
 * memory. It never sees mail, and speaks with the other roles only.
 */
#include "io/sandbox.h"

extern const struct sandbox auth_sandbox;

const struct sandbox auth_sandbox = {
	.role = "auth",
	.may = SANDBOX_CHANNEL | SANDBOX_READ | SANDBOX_WRITE,
	.data_bytes = UINT64_C(1) << 30, /* four hashes of 19 MiB, 12,288 sign requests on stacks of 64 KiB */
	.files = 1024,
};

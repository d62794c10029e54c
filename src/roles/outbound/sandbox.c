/*
 * What the outbound role, which talks to strangers' servers, may not do: open files, accept or listen, bind a
 * TCP port (it may choose the address it connects from), start programs or processes, signal or look into
 * others, map executable memory. It gets one message at a time from the backend and has signatures made by
 * auth. It lives in an empty folder.
 */
#include "io/sandbox.h"

extern const struct sandbox outbound_sandbox;

const struct sandbox outbound_sandbox = {
	.role = "outbound",
	.may = SANDBOX_CHANNEL | SANDBOX_CONNECT | SANDBOX_SOURCE,
	.data_bytes = UINT64_C(4) << 30,
	.files = 16384,
};

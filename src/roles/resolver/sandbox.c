/*
 * What the resolver, which parses DNS answers, may not do: open files, accept or listen, bind a TCP port,
 * start programs or processes, signal or look into others, map executable memory. The root's key and
 * resolv.conf were read before. It lives in an empty folder.
 */
#include "io/sandbox.h"

extern const struct sandbox resolver_sandbox;

const struct sandbox resolver_sandbox = {
	.role = "resolver",
	.may = SANDBOX_CHANNEL | SANDBOX_CONNECT |
	       SANDBOX_PAIR, /* a pair: libevent's and libunbound's own bell */
	.data_bytes = UINT64_C(1) << 30,
	.files = 4096,
};

/*
 * What the supervisor may not do, once the ports are open: load modules, mount, trace or read other
 * processes, use io_uring, BPF or keyrings, enter or leave namespaces, gain rights by running a program. As
 * root it keeps five capabilities: to start roles under their ids and roots, to end them, and to open ports
 * at a reload. Its seccomp filter is of forbidden calls, not of allowed ones, since the roles it starts bear
 * it too; each role then puts its own on. It parses nothing that comes from the network or the control
 * socket.
 */
#include "roles/supervisor/supervisor_int.h"
#include <linux/capability.h>

#define CAP(name) (UINT64_C(1) << CAP_##name)

const struct sandbox supervisor_sandbox = {
	.role = "supervisor",
	.may = SANDBOX_PARENT,
	.caps = CAP(SETUID) | CAP(SETGID) | CAP(SYS_CHROOT) | CAP(KILL) | CAP(NET_BIND_SERVICE),
};

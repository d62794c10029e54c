/*
 * A role's confinement as one readable table, and the two steps that put it on.
 *
 * Order in a role (firm): configure libraries, make the loop and the channels; sandbox_enter (limits, root,
 * ids, no_new_privs, Landlock, seccomp); start the named threads on purpose; sandbox_seal (no more threads).
 * A thread that was there before Landlock would stay outside of it, so sandbox_enter refuses when the process
 * has more than one.
 */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Groups of system calls. Every role has the base: memory without execute rights, time, futexes, epoll, its
 * own signals, read, write and close. What no group allows ends the process; opening files answers EACCES
 * instead, because libraries try that as a matter of course.
 */
enum sandbox_may {
	SANDBOX_CHANNEL =
		1 << 0, /* send and receive on passed sockets, descriptors included; make and seal memfds */
	SANDBOX_ACCEPT = 1 << 1,  /* accept on passed listeners, socket options and addresses */
	SANDBOX_PAIR = 1 << 2,    /* make UNIX socket pairs */
	SANDBOX_CONNECT = 1 << 3, /* make IPv4 and IPv6 sockets, bind (UDP), connect */
	SANDBOX_READ = 1 << 4,    /* open and read files of its folder */
	SANDBOX_WRITE = 1 << 5,   /* make, write, rename and remove files of its folder */
	SANDBOX_SOURCE =
		1 << 7, /* with CONNECT: choose the address a TCP connection comes from, not its port */
	SANDBOX_PARENT =
		1
		<< 6, /* supervisor: everything but what no mail server needs; children bear its filter too */
};

struct sandbox {
	const char *role;
	uint32_t may;        /* SANDBOX_* */
	uint64_t data_bytes; /* RLIMIT_DATA; 0: as it is */
	uint64_t files;      /* RLIMIT_NOFILE, at most what the caller may; 0: as it is */
	uint64_t caps;       /* supervisor as root: capabilities kept (1 << CAP_...); roles keep none */
};

#define SANDBOX_PORTS 8

/* What is known only at the start. */
struct sandbox_start {
	/*
	 * The folder the role lives in: its own, or an empty one. It becomes the working directory (paths are
	 * relative from then on, with root and without) and, when started as root, the root directory. Stays
	 * the caller's. -1: none (supervisor).
	 */
	int home;
	uid_t uid; /* taken when started as root; a role is never left as root */
	gid_t gid;
	/* SANDBOX_CONNECT: TCP ports it may connect to (where the kernel can tell); none given: all. */
	uint16_t ports[SANDBOX_PORTS];
	size_t ports_n;
};

/* What stands, for `posthouse status` and for tests. Texts live for ever. */
struct sandbox_status {
	bool rooted;         /* root directory is the home folder */
	bool ids;            /* uid and gid were taken */
	int landlock;        /* ABI used; 0: none */
	bool landlock_net;   /* TCP bind and connect confined */
	bool landlock_scope; /* signals and abstract sockets confined */
	bool seccomp;
	bool sanitizer;       /* a sanitizer build: limits, root and some calls are laxer */
	const char *weakness; /* a sentence, or NULL when everything stands */
};

/*
 * Puts the table on, in the firm order. On failure the process is half confined and must end. ret may be
 * NULL. A kernel without Landlock is no failure: ret says so.
 */
int sandbox_enter(
	const struct sandbox *s, const struct sandbox_start *at, struct sandbox_status *ret, err *e);

/* After the role's threads run: no more threads and processes. Not for SANDBOX_PARENT. */
int sandbox_seal(const struct sandbox *s, err *e);

/* Exit code of a process that made a forbidden system call and could still say so on stderr; others die of
 * SIGSYS. */
#define SANDBOX_EXIT 159

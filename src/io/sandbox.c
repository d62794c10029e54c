#include "io/sandbox.h"
#include "base/cleanup.h"
#include "io/sandbox_calls.h"
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The leak checker stops its own process by ptrace from a clone and reads /proc; ASan's and TSan's shadow
 * memory counts as data. All that a sanitizer build is laxer about hangs on this one constant.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZER true
#endif
#endif
#ifndef SANITIZER
#define SANITIZER false
#endif

static const char calls_sanitizer[] = "ptrace clone wait4 open openat readlink readlinkat getdents "
				      "getdents64 prctl tkill sched_getparam statx";

/* Limits, root, ids */

static int limit_set(int what, uint64_t soft, uint64_t hard, const char *name, err *e)
{
	struct rlimit l = {.rlim_cur = soft, .rlim_max = hard};

	return setrlimit((__rlimit_resource_t)what, &l) == 0 ? 0 : err_sys(e, ERR_IO, "limit %s", name);
}

static int take_limits(const struct sandbox *s, err *e)
{
	struct rlimit files;

	if (limit_set(RLIMIT_CORE, 0, 0, "of core files", e) < 0)
		return -1;
	if (s->data_bytes && !SANITIZER &&
		limit_set(RLIMIT_DATA, s->data_bytes, s->data_bytes, "of memory", e) < 0)
		return -1;
	if (!s->files)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(e, ERR_IO, "limit of open files");
	if (files.rlim_max > s->files)
		files.rlim_max = s->files;
	return limit_set(RLIMIT_NOFILE, files.rlim_max, files.rlim_max, "of open files", e);
}

static int count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = 0;

	if (!d)
		return 1; /* no /proc: nothing to see */
	while (true) {
		const struct dirent *entry = readdir(d);

		if (!entry)
			break;
		n += entry->d_name[0] != '.';
	}
	closedir(d);
	return n;
}

/* Every result of a change of ids is read again: R-SEC-20. */
static int take_ids(uid_t uid, gid_t gid, err *e)
{
	uid_t u[3];
	gid_t g[3];

	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_sys(e, ERR_IO, "taking uid %u, gid %u", uid, gid);
	if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0 ||
		getgroups(0, NULL) != 0 || setuid(0) == 0)
		return err_set(e, ERR_IO, "the ids did not change for good");
	for (int i = 0; i < 3; i++)
		if (u[i] != uid || g[i] != gid)
			return err_set(e, ERR_IO, "the ids did not change for good");
	return 0;
}

static int enter_home(const struct sandbox_start *at, bool root, struct sandbox_status *st, err *e)
{
	if (at->home >= 0 && fchdir(at->home) < 0)
		return err_sys(e, ERR_IO, "entering the role's folder");
	if (!root)
		return 0;
	if (!SANITIZER) {
		if (at->home < 0)
			return err_set(e, ERR_IO, "a role needs a folder of its own");
		if (chroot(".") < 0 || chdir("/") < 0)
			return err_sys(e, ERR_IO, "making the role's folder its root");
		st->rooted = true;
	}
	if (at->uid == 0 || at->gid == 0)
		return err_set(e, ERR_DENIED, "a role may not run as root");
	if (take_ids(at->uid, at->gid, e) < 0)
		return -1;
	st->ids = true;
	return 0;
}

/* The supervisor stays root with these capabilities only; children that it starts get no more. */
static int keep_caps(uint64_t keep, err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	for (int c = 0; c <= CAP_LAST_CAP + 8 && prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		if (!(keep >> c & 1) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 && errno != EPERM)
			return err_sys(e, ERR_IO, "dropping capability %d", c);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(e, ERR_IO, "dropping ambient capabilities");
	if (syscall(SYS_capget, &head, data) < 0)
		return err_sys(e, ERR_IO, "reading capabilities");
	for (int i = 0; i < 2; i++) {
		uint32_t mask = (uint32_t)(keep >> (32 * i));

		data[i].effective &= mask;
		data[i].permitted &= mask;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, data) == 0 ? 0 : err_sys(e, ERR_IO, "dropping capabilities");
}

/* Landlock by raw calls: Debian 12's headers end at ABI 2. */

enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_ALL_1 = (1 << 13) - 1,
	FS_REFER = 1 << 13,     /* ABI 2: rename and link between folders */
	FS_TRUNCATE = 1 << 14,  /* ABI 3 */
	FS_IOCTL_DEV = 1 << 15, /* ABI 5 */
	NET_BIND_TCP = 1 << 0,  /* ABI 4 */
	NET_CONNECT_TCP = 1 << 1,
	SCOPE_ABSTRACT_UNIX = 1 << 0, /* ABI 6 */
	SCOPE_SIGNAL = 1 << 1,
	RULE_PATH = 1,
	RULE_PORT = 2,
};

#define FS_READ (FS_READ_FILE | FS_READ_DIR)
#define FS_WRITE                                                                                             \
	(FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_REFER | FS_TRUNCATE)

struct ruleset {
	uint64_t fs, net, scope;
};

struct rule_path {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

struct rule_port {
	uint64_t access, port;
};

static int rule_add(int rules, int kind, const void *rule, const char *what, err *e)
{
	return syscall(SYS_landlock_add_rule, rules, kind, rule, 0) == 0
		       ? 0
		       : err_sys(e, ERR_IO, "Landlock: %s", what);
}

static int rule_add_folder(int rules, int fd, uint64_t access, err *e)
{
	struct rule_path r = {.access = access, .fd = fd};

	return access && fd >= 0 ? rule_add(rules, RULE_PATH, &r, "the role's folder", e) : 0;
}

static int rules_fill(
	int rules, const struct sandbox *s, const struct sandbox_start *at, const struct ruleset *all, err *e)
{
	uint64_t home = 0;

	if (s->may & SANDBOX_READ)
		home |= FS_READ;
	if (s->may & SANDBOX_WRITE)
		home |= FS_WRITE;
	if (rule_add_folder(rules, at->home, home & all->fs, e) < 0)
		return -1;
	for (size_t i = 0; all->net && i < at->ports_n; i++) {
		struct rule_port r = {.access = NET_CONNECT_TCP, .port = at->ports[i]};

		if (rule_add(rules, RULE_PORT, &r, "a port", e) < 0)
			return -1;
	}
	if (all->net && s->may & SANDBOX_SOURCE) { /* 0: a port of the kernel's choice */
		struct rule_port r = {.access = NET_BIND_TCP, .port = 0};

		if (rule_add(rules, RULE_PORT, &r, "a source address", e) < 0)
			return -1;
	}
	if (SANITIZER) {
		AUTO_FD proc = open("/proc", O_PATH | O_CLOEXEC);

		if (rule_add_folder(rules, proc, FS_READ, e) < 0)
			return -1;
	}
	return 0;
}

static int take_landlock(
	const struct sandbox *s, const struct sandbox_start *at, struct sandbox_status *st, err *e)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
	struct ruleset all = {.fs = FS_ALL_1};
	size_t size = abi < 4 ? 8 : abi < 6 ? 16 : 24;

	if (abi < 1) {
		st->weakness = "the kernel has no Landlock: folders are confined by the root folder and file "
			       "rights only";
		return 0;
	}
	all.fs |= (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) | (abi >= 5 ? FS_IOCTL_DEV : 0);
	all.net = abi < 4 ? 0 : NET_BIND_TCP | NET_CONNECT_TCP;
	if (s->may & SANDBOX_CONNECT && at->ports_n == 0)
		all.net &= ~(uint64_t)NET_CONNECT_TCP;
	all.scope = abi < 6 ? 0 : SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
	AUTO_FD rules = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
	if (rules < 0)
		return err_sys(e, ERR_IO, "Landlock");
	if (rules_fill(rules, s, at, &all, e) < 0)
		return -1;
	if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return err_sys(e, ERR_IO, "Landlock");
	st->landlock = (int)abi;
	st->landlock_net = all.net != 0;
	st->landlock_scope = all.scope != 0;
	return 0;
}

/* seccomp */

static void auto_filter(const scmp_filter_ctx *f)
{
	if (*f)
		seccomp_release(*f);
}

/* One action for a blank-separated list of names. A rule that is there already, or does what the default
 * does, is fine. */
static int add_names(scmp_filter_ctx f, uint32_t action, const char *names)
{
	while (*names) {
		char name[32];
		size_t n = strcspn(names, " ");
		int nr, rc;

		if (n >= sizeof name)
			return -EINVAL;
		memcpy(name, names, n);
		name[n] = '\0';
		names += n + (names[n] == ' ');
		nr = seccomp_syscall_resolve_name(name);
		if (nr < 0)
			continue;
		rc = seccomp_rule_add(f, action, nr, 0);
		if (rc < 0 && rc != -EEXIST)
			return rc;
	}
	return 0;
}

static int add_if(scmp_filter_ctx f, uint32_t action, const char *name, unsigned arg, enum scmp_compare op,
	uint64_t a, uint64_t b)
{
	struct scmp_arg_cmp cmp = {.arg = arg, .op = op, .datum_a = a, .datum_b = b};
	int nr = seccomp_syscall_resolve_name(name), rc;

	if (nr < 0)
		return 0;
	rc = seccomp_rule_add_array(f, action, nr, 1, &cmp);
	return rc == -EEXIST ? 0 : rc;
}

/*
 * Says on stderr which call it was, so that a new library or kernel can be understood from the log. The call
 * was not made; the handler cannot be replaced (see rt_sigaction below) and a blocked SIGSYS kills.
 */
static void on_forbidden(int sig, siginfo_t *info, void *context)
{
	static const char head[] = "sandbox: system call ", tail[] = " is not in the role's table\n";
	char text[sizeof head + sizeof tail + 12];
	char digits[12];
	size_t n = sizeof head - 1, d = 0;
	unsigned nr = (unsigned)info->si_syscall;

	(void)sig, (void)context;
	memcpy(text, head, n);
	do
		digits[d++] = (char)('0' + nr % 10);
	while (nr /= 10);
	while (d)
		text[n++] = digits[--d];
	memcpy(text + n, tail, sizeof tail - 1);
	if (write(2, text, n + sizeof tail - 1) < 0)
		_exit(SANDBOX_EXIT);
	_exit(SANDBOX_EXIT);
}

static int catch_forbidden(err *e)
{
	struct sigaction act = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	return sigaction(SIGSYS, &act, NULL) == 0 ? 0 : err_sys(e, ERR_IO, "SIGSYS");
}

/* What a role may. */
static int fill_allowed(scmp_filter_ctx f, uint32_t may)
{
	int rc = SANITIZER ? add_names(f, SCMP_ACT_ALLOW, calls_sanitizer) : 0;

	for (size_t i = 0; rc == 0 && i < COUNT_OF(call_groups); i++)
		if (may & call_groups[i].may)
			rc = add_names(f, SCMP_ACT_ALLOW, call_groups[i].names);
	for (size_t i = 0; rc == 0 && i < COUNT_OF(calls_if); i++) {
		const struct call_if *c = &calls_if[i];
		uint32_t action = c->refused ? SCMP_ACT_ERRNO((uint32_t)c->refused) : SCMP_ACT_ALLOW;

		if (may & c->may)
			rc = add_if(f, action, c->name, c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->value);
	}
	if (rc == 0) /* abort() and raise() */
		rc = add_if(f, SCMP_ACT_ALLOW, "tgkill", 0, SCMP_CMP_MASKED_EQ, LOW32, (uint64_t)getpid());
	if (rc == 0) /* on_forbidden stays */
		rc = add_if(f, SCMP_ACT_ALLOW, "rt_sigaction", 0, SCMP_CMP_NE, SIGSYS, 0);
	return rc;
}

/* What is answered with an errno, and what ends the process without a word; the rest traps by default. */
static int fill_refused(scmp_filter_ctx f, uint32_t may)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < COUNT_OF(call_groups); i++)
		if (!(may & call_groups[i].may) && call_groups[i].refused)
			rc = add_names(
				f, SCMP_ACT_ERRNO((uint32_t)call_groups[i].refused), call_groups[i].names);
	for (size_t i = 0; rc == 0 && i < COUNT_OF(calls_refused); i++)
		rc = add_names(f, SCMP_ACT_ERRNO((uint32_t)calls_refused[i].refused), calls_refused[i].names);
	if (rc == 0)
		rc = add_names(f, SCMP_ACT_KILL_PROCESS, calls_never);
	if (rc == 0)
		rc = add_names(f, SCMP_ACT_KILL_PROCESS, calls_never_role);
	return rc;
}

static int filter_load(scmp_filter_ctx f, int rc, err *e)
{
	if (rc == 0)
		rc = seccomp_attr_set(
			f, SCMP_FLTATR_CTL_NNP, 0); /* it is set already, prctl is confined by now */
	if (rc == 0)
		rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (rc == 0)
		rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree instead of a list */
	if (rc == 0)
		rc = seccomp_load(f);
	if (rc == 0)
		return 0;
	errno = -rc;
	return err_sys(e, ERR_IO, "seccomp");
}

static int take_seccomp(const struct sandbox *s, struct sandbox_status *st, err *e)
{
	bool parent = s->may & SANDBOX_PARENT;
	AUTO(auto_filter) scmp_filter_ctx f = NULL;
	int rc;

	if (parent && SANITIZER) /* children inherit it, and their leak checkers need ptrace */
		return 0;
	f = seccomp_init(parent ? SCMP_ACT_ALLOW : SCMP_ACT_TRAP);
	if (!f)
		return err_set(e, ERR_TEMP, "out of memory for seccomp");
	if (parent) {
		rc = add_names(f, SCMP_ACT_KILL_PROCESS, calls_never);
	} else {
		if (catch_forbidden(e) < 0)
			return -1;
		rc = fill_allowed(f, s->may | SANDBOX_BASE);
		if (rc == 0)
			rc = fill_refused(f, s->may | SANDBOX_BASE);
	}
	if (filter_load(f, rc, e) < 0)
		return -1;
	st->seccomp = true;
	return 0;
}

int sandbox_enter(const struct sandbox *s, const struct sandbox_start *at, struct sandbox_status *ret, err *e)
{
	struct sandbox_status st = {.sanitizer = SANITIZER};
	bool parent = s->may & SANDBOX_PARENT, root = geteuid() == 0;

	if (!SANITIZER && !parent && count_threads() != 1)
		return err_set(e, ERR_IO, "%s: a thread runs before the sandbox stands", s->role);
	if (take_limits(s, e) < 0)
		return -1;
	umask(077);
	if (!parent && enter_home(at, root, &st, e) < 0)
		return -1;
	if (parent && root && keep_caps(s->caps, e) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, ERR_IO, "no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, ERR_IO, "dumpable");
	if (!parent && take_landlock(s, at, &st, e) < 0)
		return -1;
	if (take_seccomp(s, &st, e) < 0)
		return -1;
	if (ret)
		*ret = st;
	return 0;
}

int sandbox_seal(const struct sandbox *s, err *e)
{
	AUTO(auto_filter) scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int rc;

	if (!f)
		return err_set(e, ERR_TEMP, "out of memory for seccomp");
	if (!SANITIZER && limit_set(RLIMIT_NPROC, 0, 0, "of processes", e) < 0)
		return -1;
	/* EAGAIN: a library that starts a thread late gets an error it knows. The first filter still kills a
	 * fork. */
	rc = add_if(f, SCMP_ACT_ERRNO(EAGAIN), "clone", 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD);
	if (rc == 0)
		rc = add_names(f, SCMP_ACT_KILL_PROCESS, "seccomp");
	(void)s;
	return filter_load(f, rc, e);
}

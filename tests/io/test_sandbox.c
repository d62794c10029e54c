/*
 * Every role's table, put on in a child that then tries one act: what must work works, what must not is
 * refused or ends the child. Once as started by root (own root folder and ids) and once by an ordinary user.
 */
#include "base/cleanup.h"
#include "io/sandbox.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

extern const struct sandbox supervisor_sandbox, frontend_sandbox, backend_sandbox, auth_sandbox,
	resolver_sandbox, outbound_sandbox;

static const struct sandbox *const roles[] = {
	&frontend_sandbox, &backend_sandbox, &auth_sandbox, &resolver_sandbox, &outbound_sandbox};

/* What a child finds: folders, sockets and processes made before. */
struct place {
	char top[64];
	int home, other; /* the role's folder; the one of another role, readable for all */
	int listener, channel[2];
	uint16_t port;
	pid_t parent;
	pid_t parent_thread;
};

typedef int act(const struct place *p); /* 0, or -1 with errno */

static int done(int fd)
{
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int open_system(const struct place *p)
{
	(void)p;
	return done(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int open_proc(const struct place *p)
{
	(void)p;
	return done(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
}

static int open_other(const struct place *p)
{
	return done(openat(p->other, "secret", O_RDONLY | O_CLOEXEC));
}

static int open_up(const struct place *p)
{
	(void)p;
	return done(open("../other/secret", O_RDONLY | O_CLOEXEC));
}

static int write_other(const struct place *p)
{
	return done(openat(p->other, "secret", O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static int rename_other(const struct place *p)
{
	return renameat(p->other, "secret", p->other, "public");
}

static int open_own(const struct place *p)
{
	(void)p;
	return done(open("mine", O_RDONLY | O_CLOEXEC));
}

static int make_own(const struct place *p)
{
	AUTO_FD fd = open("new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char c = 'x';

	(void)p;
	if (fd < 0 || write(fd, &c, 1) != 1 || fdatasync(fd) < 0 || ftruncate(fd, 100) < 0 ||
		fallocate(fd, 0, 0, 200) < 0 || pread(fd, &c, 1, 0) != 1 || mkdir("folder", 0700) < 0)
		return -1;
	if (renameat(AT_FDCWD, "new", AT_FDCWD, "folder/newer") < 0 || link("folder/newer", "newest") < 0)
		return -1;
	return unlink("newest") < 0 || unlink("folder/newer") < 0 ? -1 : rmdir("folder");
}

static int exec_own(const struct place *p)
{
	AUTO_FD fd = open("mine", O_RDONLY | O_CLOEXEC);
	void *m = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	(void)p;
	return m == MAP_FAILED ? -1 : 0;
}

static int symlink_own(const struct place *p)
{
	(void)p;
	return symlink("/etc/passwd", "link");
}

static int fifo_own(const struct place *p)
{
	(void)p;
	return mkfifo("fifo", 0600);
}

static int socket_inet(const struct place *p)
{
	(void)p;
	return done(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int socket_unix(const struct place *p)
{
	(void)p;
	return done(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int socket_packet(const struct place *p)
{
	(void)p;
	return done(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int connect_out(const struct place *p)
{
	struct sockaddr_in a = loopback(p->port);
	AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&a, sizeof a);
}

static int bind_tcp(const struct place *p)
{
	struct sockaddr_in a = loopback(0);
	AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)p;
	return fd < 0 ? -1 : bind(fd, (struct sockaddr *)&a, sizeof a);
}

static int bind_tcp_port(const struct place *p)
{
	struct sockaddr_in a = loopback((uint16_t)(p->port + 1));
	AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -1 : bind(fd, (struct sockaddr *)&a, sizeof a);
}

static int bind_udp(const struct place *p)
{
	struct sockaddr_in a = loopback(0);
	AUTO_FD fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)p;
	return fd < 0 ? -1 : bind(fd, (struct sockaddr *)&a, sizeof a);
}

static int listen_again(const struct place *p)
{
	return listen(p->listener, 1);
}

static int accept_passed(const struct place *p)
{
	return accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) < 0 && errno != EAGAIN ? -1 : 0;
}

static int make_pair(const struct place *p)
{
	int fd[2];

	(void)p;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	close(fd[0]);
	return done(fd[1]);
}

/* A message with a descriptor, there and back, and a sealed memory file. */
static int use_channel(const struct place *p)
{
	char byte = 'x', room[CMSG_SPACE(sizeof(int))] = "";
	struct iovec v = {&byte, 1};
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	AUTO_FD fd = memfd_create("content", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, 4096) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE) < 0 ||
		fcntl(fd, F_GET_SEALS) < 0)
		return -1;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	if (sendmsg(p->channel[0], &m, MSG_NOSIGNAL) != 1 ||
		recvmsg(p->channel[1], &m, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	return mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0;
}

static int use_loop(const struct place *p)
{
	AUTO_FD ep = epoll_create1(EPOLL_CLOEXEC);
	AUTO_FD ev = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event e = {.events = EPOLLIN};
	struct timespec t;
	char bytes[16];

	(void)p;
	if (ep < 0 || ev < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) < 0 || epoll_wait(ep, &e, 1, 10) != 1)
		return -1;
	return clock_gettime(CLOCK_BOOTTIME, &t) < 0 ||
			       syscall(SYS_getrandom, bytes, sizeof bytes, 0) != sizeof bytes
		       ? -1
		       : 0;
}

static int map_exec(const struct place *p)
{
	void *m = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)p;
	return m == MAP_FAILED ? -1 : 0;
}

static int protect_exec(const struct place *p)
{
	void *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)p;
	return m == MAP_FAILED ? 0 : mprotect(m, 4096, PROT_READ | PROT_EXEC);
}

static int do_fork(const struct place *p)
{
	pid_t pid = fork();

	(void)p;
	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : 0;
}

static int do_exec(const struct place *p)
{
	char name[] = "/bin/true", *argv[] = {name, NULL};

	(void)p;
	return execv(name, argv);
}

static int do_ptrace(const struct place *p)
{
	return (int)ptrace(PTRACE_ATTACH, p->parent, NULL, NULL);
}

static int do_read_memory(const struct place *p)
{
	char c;
	struct iovec mine = {&c, 1}, theirs = {&c, 1};

	return process_vm_readv(p->parent, &mine, 1, &theirs, 1, 0) < 0 ? -1 : 0;
}

static int do_kill(const struct place *p)
{
	return kill(p->parent, 0);
}

static int do_tgkill(const struct place *p)
{
	return (int)syscall(SYS_tgkill, p->parent, p->parent_thread, 0);
}

static int do_unshare(const struct place *p)
{
	(void)p;
	return unshare(CLONE_NEWUSER);
}

static int do_setuid(const struct place *p)
{
	(void)p;
	return setuid(0);
}

static int do_chroot(const struct place *p)
{
	(void)p;
	return chroot(".");
}

static int do_io_uring(const struct place *p)
{
	char params[256] = "";

	(void)p;
	return (int)syscall(425, 1, params); /* io_uring_setup, the same number everywhere */
}

static int do_dumpable(const struct place *p)
{
	(void)p;
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int is_dumpable(const struct place *p)
{
	struct rlimit core;

	(void)p;
	errno = EPERM;
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && getrlimit(RLIMIT_CORE, &core) == 0 &&
			       core.rlim_max == 0
		       ? 0
		       : -1;
}

static int replace_handler(const struct place *p)
{
	(void)p;
	return signal(SIGSYS, SIG_IGN) == SIG_ERR ? -1 : 0;
}

static int own_signal(const struct place *p)
{
	(void)p;
	return signal(SIGUSR1, SIG_IGN) == SIG_ERR ? -1 : raise(SIGUSR1);
}

static void *thread_opens(void *arg)
{
	int *ret = arg;

	*ret = open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
	return NULL;
}

static int make_thread(const struct place *p)
{
	pthread_t t;
	int ret = 0, rc = pthread_create(&t, NULL, thread_opens, &ret);

	(void)p;
	if (rc == 0)
		return pthread_join(t, NULL), 0;
	errno = rc;
	return -1;
}

/* Threads started inside see the same walls. */
static int thread_open(const struct place *p)
{
	pthread_t t;
	int ret = 0;

	(void)p;
	if (pthread_create(&t, NULL, thread_opens, &ret) != 0)
		return 0;
	pthread_join(t, NULL);
	errno = ret;
	return ret ? -1 : 0;
}

/* + works, E answers an errno, K ends the process; a column a role in the order of `roles`. */
static const struct trial {
	const char *name;
	act *act;
	const char *expect;
	bool sealed;   /* after sandbox_seal */
	bool landlock; /* only Landlock stands in the way */
} trials[] = {
	{"open a system file", open_system, "EEEEE", false, false},
	{"open own memory", open_proc, "EEEEE", false, false},
	{"open in another role's folder", open_other, "EEEEE", false, true},
	{"open by a path upwards", open_up, "EEEEE", false, true},
	{"truncate another role's file", write_other, "EEEEE", false, true},
	{"rename in another role's folder", rename_other, "KEEKK", false, true},
	{"open an own file", open_own, "E++EE", true, false},
	{"make, sync, rename, remove own files", make_own, "E++EE", true, false},
	{"map an own file as code", exec_own, "EEEEE", true, false},
	{"make a symbolic link", symlink_own, "KKKKK", false, false},
	{"make a fifo", fifo_own, "KKKKK", false, false},
	{"make a TCP socket", socket_inet, "KKK++", true, false},
	{"make a UNIX socket", socket_unix, "KKKKK", false, false},
	{"make a packet socket", socket_packet, "KKKKK", false, false},
	{"connect", connect_out, "KKK++", true, false},
	{"bind TCP", bind_tcp, "KKKE+", false, true},
	{"bind a TCP port", bind_tcp_port, "KKKEE", false, true},
	{"bind UDP", bind_udp, "KKK++", true, false},
	{"listen", listen_again, "KKKKK", false, false},
	{"accept", accept_passed, "+KKKK", true, false},
	{"make a socket pair", make_pair, "+KK+K", true, false},
	{"use a channel", use_channel, "+++++", true, false},
	{"use a loop", use_loop, "+++++", true, false},
	{"map code", map_exec, "EEEEE", false, false},
	{"turn data into code", protect_exec, "EEEEE", false, false},
	{"fork", do_fork, "KKKKK", false, false},
	{"run a program", do_exec, "KKKKK", false, false},
	{"trace a process", do_ptrace, "KKKKK", false, false},
	{"read a process's memory", do_read_memory, "KKKKK", false, false},
	{"signal a process", do_kill, "KKKKK", false, false},
	{"signal a thread of another", do_tgkill, "KKKKK", false, false},
	{"new namespace", do_unshare, "KKKKK", false, false},
	{"become root", do_setuid, "KKKKK", false, false},
	{"change root", do_chroot, "KKKKK", false, false},
	{"io_uring", do_io_uring, "KKKKK", false, false},
	{"become dumpable", do_dumpable, "KKKKK", false, false},
	{"no core, not dumpable", is_dumpable, "+++++", true, false},
	{"catch SIGSYS", replace_handler, "KKKKK", false, false},
	{"signal itself", own_signal, "+++++", true, false},
	{"start a thread", make_thread, "+++++", false, false},
	{"start a thread when sealed", make_thread, "EEEEE", true, false},
	{"a thread opens a system file", thread_open, "EEEEE", false, false},
};

struct outcome {
	char what; /* + E K, or ! for a failure of the sandbox itself */
	int code;
};

static struct outcome outcome_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return (struct outcome){'!', errno};
	if (WIFSIGNALED(status))
		return (struct outcome){WTERMSIG(status) == SIGSYS ? 'K' : '!', WTERMSIG(status)};
	if (WEXITSTATUS(status) == SANDBOX_EXIT)
		return (struct outcome){'K', 0};
	if (WEXITSTATUS(status) == 200)
		return (struct outcome){'!', 200};
	return (struct outcome){WEXITSTATUS(status) ? 'E' : '+', WEXITSTATUS(status)};
}

static void become_nobody(void)
{
	if (geteuid() == 0 &&
		(setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
		_exit(200);
}

static struct outcome try(const struct sandbox *s, const struct place *p, bool as_root, act *a, bool sealed)
{
	struct sandbox_start at = {.home = p->home, .uid = NOBODY, .gid = NOBODY};
	pid_t pid = fork();
	err e;

	if (pid)
		return outcome_of(pid);
	if (!as_root)
		become_nobody();
	if (freopen("/dev/null", "w", stderr) ==
		NULL) /* the handler's word on the forbidden call is expected */
		_exit(200);
	if (sandbox_enter(s, &at, NULL, &e) < 0 || (sealed && sandbox_seal(s, &e) < 0)) {
		printf("%s: %s\n", s->role, e.text);
		(void)fflush(stdout);
		_exit(200);
	}
	errno = 0;
	_exit(a(p) == 0 ? 0 : errno ? errno : 201);
}

static struct sandbox_status status_of(const struct place *p, bool as_root)
{
	struct sandbox_start at = {.home = p->home, .uid = NOBODY, .gid = NOBODY};
	struct sandbox_status st = {0};
	int fd[2];
	pid_t pid;
	err e;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		if (!as_root)
			become_nobody();
		if (sandbox_enter(&backend_sandbox, &at, &st, &e) < 0)
			_exit(200);
		_exit(write(fd[1], &st, sizeof st) == sizeof st ? 0 : 200);
	}
	assert_int_equal(outcome_of(pid).what, '+');
	assert_int_equal(read(fd[0], &st, sizeof st), sizeof st);
	close(fd[0]);
	close(fd[1]);
	return st;
}

static void run_trials(const struct place *p, bool as_root)
{
	struct sandbox_status st = status_of(p, as_root);
	unsigned wrong = 0;

	assert_true(st.sanitizer || st.seccomp);
	if (as_root)
		assert_true(st.ids && (st.sanitizer || st.rooted));
	if (!st.landlock)
		print_message("skipped: kernel (no Landlock): the acts that only it forbids\n");
	if (st.sanitizer)
		print_message("skipped: sanitizer build: acts that must fail\n");
	for (size_t i = 0; i < COUNT_OF(trials); i++)
		for (size_t r = 0; r < COUNT_OF(roles); r++) {
			const struct trial *t = &trials[i];
			struct outcome o;

			if ((t->landlock && !st.landlock) || (st.sanitizer && t->expect[r] != '+'))
				continue;
			if ((t->act == bind_tcp || t->act == bind_tcp_port) && !st.landlock_net)
				continue;
			o = try(roles[r], p, as_root, t->act, t->sealed);
			if (o.what != t->expect[r]) {
				print_error("%s: \"%s\" gave %c (%d), not %c\n", roles[r]->role, t->name,
					o.what, o.code, t->expect[r]);
				wrong++;
			}
		}
	assert_int_equal(wrong, 0);
}

static void test_as_root(void **state)
{
	if (geteuid() != 0) {
		print_message("skipped: not root\n");
		return;
	}
	run_trials(*state, true);
}

static void test_as_user(void **state)
{
	run_trials(*state, false);
}

/* TCP ports are confined where the kernel can. */
static void test_ports(void **state)
{
	const struct place *p = *state;

	if (!status_of(p, false).landlock_net) {
		print_message("skipped: kernel (Landlock knows no ports)\n");
		return;
	}
	for (int allowed = 0; allowed < 2; allowed++) {
		struct sandbox_start at = {.home = p->home, .uid = NOBODY, .gid = NOBODY, .ports_n = 1};
		struct outcome o;
		pid_t pid;

		at.ports[0] = (uint16_t)(allowed ? p->port : p->port ^ 1);
		pid = fork();
		if (pid == 0) {
			if (sandbox_enter(&outbound_sandbox, &at, NULL, NULL) < 0)
				_exit(200);
			_exit(connect_out(p) == 0 ? 0 : errno);
		}
		o = outcome_of(pid);
		assert_int_equal(o.what, allowed ? '+' : 'E');
		if (!allowed)
			assert_int_equal(o.code, EACCES);
	}
}

static void *idle(void *arg)
{
	pause();
	return arg;
}

/* A thread that is there before would stay outside: refused. A role as root: refused. */
static void test_refusals(void **state)
{
	const struct place *p = *state;
	struct sandbox_start at = {.home = p->home, .uid = NOBODY, .gid = NOBODY};
	bool sanitizer = status_of(p, false).sanitizer;
	pid_t pid = fork();

	if (pid == 0) {
		pthread_t t;

		if (pthread_create(&t, NULL, idle, NULL) != 0)
			_exit(200);
		_exit(sandbox_enter(&backend_sandbox, &at, NULL, NULL) < 0 ? 0 : 1);
	}
	if (sanitizer)
		assert_true(outcome_of(pid).what != '!');
	else
		assert_int_equal(outcome_of(pid).what, '+');
	if (geteuid() != 0)
		return;
	pid = fork();
	if (pid == 0) {
		at.uid = 0;
		_exit(sandbox_enter(&backend_sandbox, &at, NULL, NULL) < 0 ? 0 : 1);
	}
	assert_int_equal(outcome_of(pid).what, '+');
}

/* The supervisor still starts a role, which puts its own table on inside the supervisor's; it has few
 * capabilities. */
static int parent_starts(const struct place *p)
{
	pid_t pid = fork();

	if (pid == 0) {
		char name[] = "/bin/true", *argv[] = {name, NULL};

		execv(name, argv);
		_exit(200);
	}
	errno = ECHILD;
	return outcome_of(pid).what == '+' &&
			       try(&backend_sandbox, p, geteuid() == 0, make_own, true).what == '+'
		       ? 0
		       : -1;
}

static int parent_caps(const struct place *p)
{
	(void)p;
	errno = EPERM;
	for (int c = 0; c <= CAP_LAST_CAP; c++)
		if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1 && !(supervisor_sandbox.caps >> c & 1))
			return -1;
	return mknod("/tmp/device", S_IFCHR | 0600, 0x103) < 0 ? 0 : -1; /* root could, with CAP_MKNOD */
}

static void test_supervisor(void **state)
{
	const struct place *p = *state;
	static const struct {
		act *act;
		char expect;
		bool root;
	} cases[] = {{parent_starts, '+', false}, {open_system, '+', false}, {connect_out, '+', false},
		{parent_caps, '+', true}, {do_ptrace, 'K', false}, {do_io_uring, 'K', false},
		{do_unshare, 'K', false}, {do_read_memory, 'K', false}};
	bool sanitizer = status_of(p, false).sanitizer;

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		for (int as_root = 0; as_root < 2; as_root++) {
			struct outcome o;

			if ((as_root || cases[i].root) && geteuid() != 0)
				continue;
			if ((cases[i].root && !as_root) || (sanitizer && cases[i].expect != '+'))
				continue;
			o = try(&supervisor_sandbox, p, as_root, cases[i].act, false);
			if (o.what != cases[i].expect)
				fail_msg("supervisor, case %zu as %s: %c (%d)", i, as_root ? "root" : "user",
					o.what, o.code);
		}
}

static int write_file(int dir, const char *name)
{
	AUTO_FD fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	return fd >= 0 && fchmod(fd, 0666) == 0 && write(fd, "text", 4) == 4 ? 0 : -1;
}

static int setup(void **state)
{
	static struct place p;
	struct sockaddr_in a = loopback(0);
	socklen_t n = sizeof a;
	char path[100];

	(void)snprintf(p.top, sizeof p.top, "/tmp/test-sandbox-XXXXXX");
	if (!mkdtemp(p.top) || chmod(p.top, 0755) < 0)
		return -1;
	(void)snprintf(path, sizeof path, "%s/home", p.top);
	if (mkdir(path, 0755) < 0 || (geteuid() == 0 && chown(path, NOBODY, NOBODY) < 0))
		return -1;
	p.home = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof path, "%s/other", p.top);
	if (mkdir(path, 0777) < 0 || chmod(path, 0777) < 0)
		return -1;
	p.other = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (write_file(p.home, "mine") < 0 || write_file(p.other, "secret") < 0)
		return -1;
	p.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(p.listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(p.listener, 128) < 0 ||
		getsockname(p.listener, (struct sockaddr *)&a, &n) < 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p.channel) < 0)
		return -1;
	p.port = ntohs(a.sin_port);
	p.parent = getpid();
	p.parent_thread = getpid();
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	const struct place *p = *state;

	unlinkat(p->home, "mine", 0);
	unlinkat(p->other, "secret", 0);
	char path[100];
	(void)snprintf(path, sizeof path, "%s/home", p->top);
	rmdir(path);
	(void)snprintf(path, sizeof path, "%s/other", p->top);
	rmdir(path);
	return rmdir(p->top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_root),
		cmocka_unit_test(test_as_user),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_supervisor),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

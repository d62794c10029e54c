/*
 * The system calls of each group (io/sandbox.h), as data. Names that this machine's kernel or libseccomp does
 * not know are skipped: then nobody can make them either. Only io/sandbox.c includes this.
 */
#pragma once
#include "io/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define SANDBOX_BASE (1u << 31) /* every role */

struct call_group {
	uint32_t may;
	int refused; /* errno given to a role without the group; 0: it dies */
	const char *names;
};

static const struct call_group call_groups[] = {
	{SANDBOX_BASE, 0,
		"read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close "
		"close_range dup "
		"fstat newfstatat pipe2 "
		"munmap mremap madvise brk mincore membarrier "
		"futex futex_time64 set_robust_list rseq set_tid_address sched_yield sched_getaffinity "
		"getcpu "
		"nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time getrandom "
		"epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2 poll ppoll select "
		"pselect6 "
		"timerfd_create timerfd_settime timerfd_gettime "
		"rt_sigprocmask rt_sigreturn sigaltstack restart_syscall exit exit_group "
		"getpid gettid getppid getuid geteuid getgid getegid getresuid getresgid getgroups capget "
		"getrlimit getrusage uname sysinfo times "
		/* needed once more by sandbox_seal, which takes it away; a further filter can only forbid
		   more */
		"seccomp"},
	{SANDBOX_CHANNEL, 0,
		"sendmsg recvmsg sendmmsg recvmmsg sendto recvfrom getsockopt setsockopt shutdown "
		"getpeername getsockname "
		"memfd_create ftruncate fallocate"},
	{SANDBOX_ACCEPT, 0,
		"accept accept4 getpeername getsockname getsockopt setsockopt shutdown sendto recvfrom "
		"sendmsg recvmsg"},
	{SANDBOX_CONNECT, 0,
		"connect bind getpeername getsockname getsockopt setsockopt shutdown sendto recvfrom sendmsg "
		"recvmsg "
		"sendmmsg recvmmsg"},
	{SANDBOX_READ, EACCES,
		"open openat openat2 stat lstat statx access faccessat faccessat2 readlink readlinkat "
		"getdents getdents64 "
		"statfs fstatfs getcwd fadvise64 readahead"},
	{SANDBOX_WRITE, 0,
		"fsync fdatasync sync_file_range syncfs msync ftruncate truncate fallocate flock "
		"copy_file_range sendfile "
		"rename renameat renameat2 link linkat unlink unlinkat mkdir mkdirat rmdir fchmod fchmodat "
		"umask "
		"utimensat"},
};

/* Calls whose arguments decide: where (argument & mask) == value they are allowed, or answer the errno. */
struct call_if {
	uint32_t may;
	int refused; /* 0: allowed */
	const char *name;
	unsigned arg;
	uint64_t mask, value;
};

#define LOW32       0xffffffffu /* int arguments: the upper half is whatever the register held */
#define A_THREAD    (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)
#define PR_SET_VMA_ 0x53564d41 /* names of mappings, by the C library and sanitizers */

static const struct call_if calls_if[] = {
	{SANDBOX_BASE, 0, "mmap", 2, PROT_EXEC, 0},
	{SANDBOX_BASE, EACCES, "mmap", 2, PROT_EXEC, PROT_EXEC},
	{SANDBOX_BASE, 0, "mprotect", 2, PROT_EXEC, 0},
	{SANDBOX_BASE, EACCES, "mprotect", 2, PROT_EXEC, PROT_EXEC},
	{SANDBOX_BASE, 0, "clone", 0, A_THREAD, A_THREAD},
	{SANDBOX_BASE, 0, "prlimit64", 0, LOW32, 0}, /* itself */
	{SANDBOX_BASE, 0, "prctl", 0, LOW32, PR_SET_NAME},
	{SANDBOX_BASE, 0, "prctl", 0, LOW32, PR_GET_NAME},
	{SANDBOX_BASE, 0, "prctl", 0, LOW32, PR_GET_DUMPABLE},
	{SANDBOX_BASE, 0, "prctl", 0, LOW32, PR_SET_VMA_},
	{SANDBOX_BASE, 0, "ioctl", 1, LOW32, FIONBIO},
	{SANDBOX_BASE, 0, "ioctl", 1, LOW32, FIONREAD},
	{SANDBOX_BASE, 0, "ioctl", 1, LOW32, FIOCLEX},
	{SANDBOX_BASE, 0, "ioctl", 1, LOW32, TCGETS},
	/* not F_SETOWN, F_SETSIG, F_NOTIFY: they send signals */
	{SANDBOX_BASE, 0, "fcntl", 1, LOW32, F_GETFD},
	{SANDBOX_BASE, 0, "fcntl", 1, LOW32, F_SETFD},
	{SANDBOX_BASE, 0, "fcntl", 1, LOW32, F_GETFL},
	{SANDBOX_BASE, 0, "fcntl", 1, LOW32, F_SETFL},
	{SANDBOX_BASE, 0, "fcntl", 1, LOW32, F_DUPFD},
	{SANDBOX_BASE, 0, "fcntl", 1, LOW32, F_DUPFD_CLOEXEC},
	{SANDBOX_BASE, 0, "fcntl", 1, LOW32, F_GETLK},
	{SANDBOX_BASE, 0, "fcntl", 1, LOW32, F_SETLK},
	{SANDBOX_BASE, 0, "fcntl", 1, LOW32, F_SETLKW},
	{SANDBOX_BASE, 0, "fcntl", 1, LOW32, F_OFD_SETLK},
	{SANDBOX_BASE, 0, "fcntl", 1, LOW32, F_ADD_SEALS},
	{SANDBOX_BASE, 0, "fcntl", 1, LOW32, F_GET_SEALS},
	{SANDBOX_PAIR, 0, "socketpair", 0, LOW32, AF_UNIX},
	{SANDBOX_CONNECT, 0, "socket", 0, LOW32, AF_INET},
	{SANDBOX_CONNECT, 0, "socket", 0, LOW32, AF_INET6},
};

/* Always answer an errno: libraries ask and live with a no. */
static const struct {
	int refused;
	const char *names;
} calls_refused[] = {
	/* its flags lie in memory, out of a filter's sight; the C library then uses clone */
	{ENOSYS, "clone3"},
	{EACCES, "pkey_mprotect"},
	{EPERM, "sched_setaffinity sched_setscheduler setpriority mlock mlock2 mbind set_mempolicy"},
};

/* Nobody's business in a mail server, supervisor and children included: the process ends at once. */
static const char calls_never[] =
	"ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd kcmp "
	"bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register "
	"add_key request_key keyctl init_module finit_module delete_module kexec_load kexec_file_load reboot "
	"mount umount umount2 pivot_root move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr "
	"swapon swapoff acct quotactl quotactl_fd open_by_handle_at name_to_handle_at unshare setns "
	"personality "
	"modify_ldt iopl ioperm lookup_dcookie settimeofday clock_settime adjtimex clock_adjtime stime "
	"sethostname setdomainname syslog vhangup nfsservctl uselib ustat sysfs _sysctl fanotify_init";

/* A role besides: other processes, other programs, other rights. */
static const char calls_never_role[] = "execve execveat fork vfork kill tkill rt_sigqueueinfo "
				       "rt_tgsigqueueinfo pidfd_open pidfd_send_signal "
				       "chroot mknod mknodat chown fchown lchown fchownat symlink symlinkat "
				       "setuid setgid setgroups setresuid setresgid setreuid setregid "
				       "setfsuid setfsgid setsid setpgid capset "
				       "setrlimit inotify_init inotify_init1 listen";

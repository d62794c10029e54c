/*
 * Faults to order, for tests of promise D2. Linked to a test before libc, or preloaded into any program:
 *
 *   LD_PRELOAD=libfault.so FAULT_DIR=/some/folder FAULT_CALL=fdatasync FAULT_NTH=3 FAULT_ERRNO=5 program
 *
 * FAULT_CALL is one name of those below, or `any`; FAULT_ERRNO -1 makes a short write. The calls are made
 * directly, so nothing here depends on what libc does inside.
 */
#undef _FORTIFY_SOURCE /* its inline functions are in the way of ones with the same names */
#include "fault.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static struct {
	pthread_mutex_t lock;
	char dir[256], call[32];
	unsigned nth, seen;
	int error;
	bool lasting;
	const char *fired;
} fault = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void arm(const char *dir, const char *call, unsigned nth, int error, bool lasting)
{
	pthread_mutex_lock(&fault.lock);
	snprintf(fault.dir, sizeof fault.dir, "%s", dir);
	snprintf(fault.call, sizeof fault.call, "%s", call);
	fault.nth = nth;
	fault.seen = 0;
	fault.error = error;
	fault.lasting = lasting;
	fault.fired = NULL;
	pthread_mutex_unlock(&fault.lock);
}

void fault_arm(const char *dir, const char *call, unsigned nth, int error)
{
	arm(dir, call, nth, error, false);
}

void fault_arm_from(const char *dir, const char *call, unsigned nth, int error)
{
	arm(dir, call, nth, error, true);
}

void fault_disarm(void)
{
	pthread_mutex_lock(&fault.lock);
	fault.nth = 0;
	pthread_mutex_unlock(&fault.lock);
}

const char *fault_fired(void)
{
	pthread_mutex_lock(&fault.lock);
	const char *fired = fault.fired;
	pthread_mutex_unlock(&fault.lock);
	return fired;
}

__attribute__((constructor)) static void from_environment(void)
{
	const char *dir = getenv("FAULT_DIR"), *call = getenv("FAULT_CALL"), *nth = getenv("FAULT_NTH"),
		   *error = getenv("FAULT_ERRNO");

	if (dir && nth)
		fault_arm(dir, call ? call : "any", (unsigned)strtoul(nth, NULL, 10),
			error ? (int)strtol(error, NULL, 10) : EIO);
}

/* Does this call fail? The path is that of fd, or fd's with a name behind it. */
static bool fails(const char *call, int fd, const char *name, bool can_be_short, int *ret_error)
{
	char link[64], path[512] = "";
	bool fire = false;

	if (fault.nth == 0)
		return false;
	int saved = errno;
	if (name && name[0] == '/') {
		snprintf(path, sizeof path, "%s", name);
	} else {
		snprintf(link, sizeof link, fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, path, sizeof path - 1);
		path[n > 0 ? n : 0] = 0;
	}
	errno = saved;
	pthread_mutex_lock(&fault.lock);
	bool ours = strncmp(path, fault.dir, strlen(fault.dir)) == 0 &&
		    (strcmp(fault.call, "any") == 0 || strcmp(fault.call, call) == 0) &&
		    (fault.error != FAULT_SHORT || can_be_short);
	if (ours && fault.nth > 0 &&
		(++fault.seen == fault.nth || (fault.lasting && fault.seen > fault.nth))) {
		fire = true;
		fault.fired = call;
		*ret_error = fault.error;
	}
	pthread_mutex_unlock(&fault.lock);
	return fire;
}

/* The call's end when it is to fail. A short write is done by the caller. */
#define FAIL_IF(call, fd, name)                                                                              \
	do {                                                                                                 \
		int error_ = 0;                                                                              \
		if (fails(call, fd, name, false, &error_)) {                                                 \
			errno = error_;                                                                      \
			return -1;                                                                           \
		}                                                                                            \
	} while (0)

static ssize_t half_write(int fd, const void *p, size_t n, off_t at)
{
	n = n > 1 ? n / 2 : n;
	return at < 0 ? syscall(SYS_write, fd, p, n) : syscall(SYS_pwrite64, fd, p, n, at);
}

EXPORT ssize_t write(int fd, const void *p, size_t n)
{
	int error = 0;

	if (fails("write", fd, NULL, true, &error)) {
		if (error == FAULT_SHORT)
			return half_write(fd, p, n, -1);
		errno = error;
		return -1;
	}
	return syscall(SYS_write, fd, p, n);
}

EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	int error = 0;

	if (fails("pwrite", fd, NULL, true, &error)) {
		if (error == FAULT_SHORT)
			return half_write(fd, p, n, at);
		errno = error;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, p, n, at);
}
EXPORT ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t at)
{
	int error = 0;

	if (fails("pwritev", fd, NULL, true, &error)) {
		if (error == FAULT_SHORT)
			return half_write(fd, v->iov_base, v->iov_len, at);
		errno = error;
		return -1;
	}
	return syscall(SYS_pwritev, fd, v, n, at, 0L);
}
EXPORT ssize_t writev(int fd, const struct iovec *v, int n)
{
	int error = 0;

	if (fails("writev", fd, NULL, true, &error)) {
		if (error == FAULT_SHORT)
			return half_write(fd, v->iov_base, v->iov_len, -1);
		errno = error;
		return -1;
	}
	return syscall(SYS_writev, fd, v, n);
}

EXPORT int fsync(int fd)
{
	FAIL_IF("fsync", fd, NULL);
	return (int)syscall(SYS_fsync, fd);
}
EXPORT int fdatasync(int fd)
{
	FAIL_IF("fdatasync", fd, NULL);
	return (int)syscall(SYS_fdatasync, fd);
}
EXPORT int sync_file_range(int fd, off64_t at, off64_t n, unsigned flags)
{
	FAIL_IF("sync_file_range", fd, NULL);
	return (int)syscall(SYS_sync_file_range, fd, at, n, flags);
}
EXPORT int ftruncate64(int fd, off64_t n)
{
	FAIL_IF("ftruncate", fd, NULL);
	return (int)syscall(SYS_ftruncate, fd, n);
}
EXPORT int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
	FAIL_IF("fallocate", fd, NULL);
	return (int)syscall(SYS_fallocate, fd, mode, at, n);
}

static int open_with(int fd, const char *name, int flags, mode_t mode)
{
	FAIL_IF("openat", fd, name);
	return (int)syscall(SYS_openat, fd, name, flags | O_LARGEFILE, mode);
}
static mode_t mode_of(int flags, va_list *ap)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(*ap, mode_t) : 0;
}
EXPORT int openat64(int fd, const char *name, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = mode_of(flags, &ap);
	va_end(ap);
	return open_with(fd, name, flags, mode);
}
EXPORT int open64(const char *name, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = mode_of(flags, &ap);
	va_end(ap);
	return open_with(AT_FDCWD, name, flags, mode);
}

EXPORT int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	FAIL_IF("rename", to_fd, to);
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}
EXPORT int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	FAIL_IF("rename", to_fd, to);
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}
EXPORT int rename(const char *from, const char *to)
{
	FAIL_IF("rename", AT_FDCWD, to);
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
EXPORT int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	FAIL_IF("link", to_fd, to);
	return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}
EXPORT int unlinkat(int fd, const char *name, int flags)
{
	FAIL_IF("unlink", fd, name);
	return (int)syscall(SYS_unlinkat, fd, name, flags);
}
EXPORT int mkdirat(int fd, const char *name, mode_t mode)
{
	FAIL_IF("mkdir", fd, name);
	return (int)syscall(SYS_mkdirat, fd, name, mode);
}

/* Libraries that were built without large-file names (LMDB's package is one). */
#undef pwrite
#undef pwritev
#undef ftruncate
#undef fallocate
#undef open
#undef openat
EXPORT ssize_t plain_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("pwrite");
ssize_t plain_pwrite(int fd, const void *p, size_t n, off_t at)
{
	return pwrite64(fd, p, n, at);
}
EXPORT ssize_t plain_pwritev(int fd, const struct iovec *v, int n, off_t at) __asm__("pwritev");
ssize_t plain_pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	return pwritev64(fd, v, n, at);
}
EXPORT int plain_ftruncate(int fd, off_t n) __asm__("ftruncate");
int plain_ftruncate(int fd, off_t n)
{
	return ftruncate64(fd, n);
}
EXPORT int plain_fallocate(int fd, int mode, off_t at, off_t n) __asm__("fallocate");
int plain_fallocate(int fd, int mode, off_t at, off_t n)
{
	return fallocate64(fd, mode, at, n);
}
EXPORT int plain_open(const char *name, int flags, ...) __asm__("open");
int plain_open(const char *name, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = mode_of(flags, &ap);
	va_end(ap);
	return open_with(AT_FDCWD, name, flags, mode);
}
EXPORT int plain_openat(int fd, const char *name, int flags, ...) __asm__("openat");
int plain_openat(int fd, const char *name, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	mode_t mode = mode_of(flags, &ap);
	va_end(ap);
	return open_with(fd, name, flags, mode);
}
/* What fortified callers without a mode use. */
EXPORT int __openat64_2(int fd, const char *name, int flags);
int __openat64_2(int fd, const char *name, int flags)
{
	return open_with(fd, name, flags, 0);
}
EXPORT int __open64_2(const char *name, int flags);
int __open64_2(const char *name, int flags)
{
	return open_with(AT_FDCWD, name, flags, 0);
}

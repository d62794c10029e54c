/*
 * The model of the disk. Of each file in volumes/ and keys/ the bytes of its last finished sync are kept, as
 * they were when that sync began, and of each folder its names. What a cut leaves: of each file, page by page
 * (4 KiB), the synced bytes, those of now, those of some moment between, or a mixture by sectors (512 bytes);
 * its size then or now; of each name what the folder's last sync saw, or what stands there now.
 */
#undef _FORTIFY_SOURCE /* its inline functions are in the way of ones with the same names */
#include "cut.h"
#include <dirent.h>
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

enum { PAGE = 4096, SECTOR = 512, NAMES = 512, FILES = 4096 };

struct bytes {
	char *p;
	size_t n;
};

struct file {
	ino_t ino;
	struct bytes synced, between; /* between: some moment since */
};

struct name {
	unsigned folder;
	char name[40];
	ino_t ino;
};

static const char *const folders[] = {"volumes", "keys"};

static struct {
	pthread_mutex_t lock;
	char dir[256];
	uint64_t dice;
	struct file files[FILES];
	size_t files_n;
	struct name names[NAMES];
	size_t names_n;
	unsigned nth;
	bool fired;
	void (*fn)(void *);
	void *arg;
} cut = {.lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned roll(unsigned n)
{
	cut.dice = cut.dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(cut.dice >> 33) % n;
}

static void check(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "cut: %s: %s\n", what, strerror(errno));
		abort();
	}
}

/* ---- what is on disk ---- */

static struct bytes read_all(int of)
{
	struct bytes b = {0};
	struct stat st;
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", of); /* it may be open for writing only */
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	check(fd >= 0 && fstat(fd, &st) == 0, "fstat");
	b.p = malloc((size_t)st.st_size + 1);
	check(b.p != NULL, "memory");
	while (b.n < (size_t)st.st_size) {
		ssize_t n = pread(fd, b.p + b.n, (size_t)st.st_size - b.n, (off_t)b.n);

		check(n > 0, "pread");
		b.n += (size_t)n;
	}
	close(fd);
	return b;
}

static struct file *file_of(ino_t ino)
{
	for (size_t i = 0; i < cut.files_n; i++)
		if (cut.files[i].ino == ino)
			return &cut.files[i];
	check(cut.files_n < FILES, "too many files");
	cut.files[cut.files_n] = (struct file){.ino = ino};
	return &cut.files[cut.files_n++];
}

static void set(struct bytes *to, struct bytes b)
{
	free(to->p);
	*to = b;
}

/* The names in a folder now. */
static size_t list(unsigned folder, struct name *ret)
{
	char path[300];
	size_t n = 0;
	const struct dirent *ent;

	snprintf(path, sizeof path, "%s/%s", cut.dir, folders[folder]);
	DIR *d = opendir(path);
	if (!d)
		return 0;
	while ((ent = readdir(d)))
		if (ent->d_name[0] != '.') {
			check(n < NAMES, "too many names");
			ret[n] = (struct name){.folder = folder, .ino = ent->d_ino};
			check(strlen(ent->d_name) < sizeof ret[n].name, "a long name");
			memcpy(ret[n].name, ent->d_name, strlen(ent->d_name));
			n++;
		}
	closedir(d);
	return n;
}

static void names_synced(unsigned folder, const struct name *names, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < cut.names_n; i++)
		if (cut.names[i].folder != folder)
			cut.names[kept++] = cut.names[i];
	check(kept + n <= NAMES, "too many names");
	memcpy(cut.names + kept, names, n * sizeof *names);
	cut.names_n = kept + n;
}

void cut_watch(const char *dir, uint64_t seed)
{
	struct name *names = calloc(NAMES, sizeof *names);

	check(names != NULL, "memory");
	cut_unwatch();
	pthread_mutex_lock(&cut.lock);
	snprintf(cut.dir, sizeof cut.dir, "%s", dir);
	cut.dice = seed;
	for (unsigned f = 0; f < 2; f++) {
		size_t n = list(f, names);

		names_synced(f, names, n);
		for (size_t i = 0; i < n; i++) {
			char path[400];

			snprintf(path, sizeof path, "%s/%s/%s", dir, folders[f], names[i].name);
			int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
			check(fd >= 0, path);
			set(&file_of(names[i].ino)->synced, read_all(fd));
			close(fd);
		}
	}
	pthread_mutex_unlock(&cut.lock);
	free(names);
}

void cut_unwatch(void)
{
	pthread_mutex_lock(&cut.lock);
	for (size_t i = 0; i < cut.files_n; i++) {
		free(cut.files[i].synced.p);
		free(cut.files[i].between.p);
	}
	cut.files_n = cut.names_n = 0;
	cut.dir[0] = 0;
	cut.nth = 0;
	pthread_mutex_unlock(&cut.lock);
}

void cut_at(unsigned nth, void (*fn)(void *), void *arg)
{
	pthread_mutex_lock(&cut.lock);
	cut.nth = nth;
	cut.fn = fn;
	cut.arg = arg;
	cut.fired = false;
	pthread_mutex_unlock(&cut.lock);
}

bool cut_fired(void)
{
	pthread_mutex_lock(&cut.lock);
	bool fired = cut.fired;
	pthread_mutex_unlock(&cut.lock);
	return fired;
}

/* ---- what a cut leaves ---- */

static bool all_zero(const char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static void take(char *to, const struct bytes *from, size_t at, size_t n)
{
	memset(to, 0, n);
	if (at < from->n)
		memcpy(to, from->p + at, from->n - at < n ? from->n - at : n);
}

static void image_file(const char *path, const struct file *f, const struct bytes *now)
{
	const struct bytes *const sources[] = {
		&f->synced, now, f->between.p ? &f->between : now, roll(2) ? &f->synced : now};
	size_t size = roll(2) ? f->synced.n : now->n;
	unsigned mode = roll(6); /* 0: nothing since the sync got there; 1: all did; else a mixture */
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	check(fd >= 0 && syscall(SYS_ftruncate, fd, size) == 0, path);
	for (size_t at = 0; at < size; at += PAGE) {
		char page[PAGE];
		size_t n = size - at < PAGE ? size - at : PAGE;
		unsigned how = mode < 2 ? mode : roll(5);

		if (how < 4)
			take(page, sources[how], at, PAGE);
		else
			for (size_t i = 0; i < PAGE; i += SECTOR)
				take(page + i, sources[roll(2)], at + i, SECTOR);
		if (!all_zero(page, n))
			check(syscall(SYS_pwrite64, fd, page, n, at) == (ssize_t)n, path);
	}
	close(fd);
}

static ino_t find(const struct name *names, size_t n, unsigned folder, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (names[i].folder == folder && strcmp(names[i].name, name) == 0)
			return names[i].ino;
	return 0;
}

static void image_name(const char *to, unsigned folder, const char *name, ino_t synced, ino_t now)
{
	ino_t ino = roll(2) ? synced : now;
	char path[400];

	if (!ino)
		return;
	struct file *f = file_of(ino);
	struct bytes bytes = {0};
	if (ino == now) {
		snprintf(path, sizeof path, "%s/%s/%s", cut.dir, folders[folder], name);
		int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
		check(fd >= 0, path);
		bytes = read_all(fd);
		close(fd);
	}
	snprintf(path, sizeof path, "%s/%s/%s", to, folders[folder], name);
	image_file(path, f, ino == now ? &bytes : &f->synced);
	free(bytes.p);
}

void cut_image(const char *to)
{
	struct name *now = calloc(NAMES, sizeof *now);

	check(now != NULL, "memory");
	for (unsigned f = 0; f < 2; f++) {
		char path[300];
		size_t n = list(f, now);

		snprintf(path, sizeof path, "%s/%s", to, folders[f]);
		check(syscall(SYS_mkdirat, AT_FDCWD, path, 0700) == 0, path);
		for (size_t i = 0; i < n; i++)
			image_name(
				to, f, now[i].name, find(cut.names, cut.names_n, f, now[i].name), now[i].ino);
		for (size_t i = 0; i < cut.names_n; i++)
			if (cut.names[i].folder == f && !find(now, n, f, cut.names[i].name))
				image_name(to, f, cut.names[i].name, cut.names[i].ino, 0);
	}
	free(now);
}

/* ---- the calls ---- */

enum where { ELSEWHERE, INSIDE, WATCHED }; /* INSIDE: in the store, but of no interest */

/* *ret_folder: which of the watched ones. */
static enum where where_is(int fd, const char *name, unsigned *ret_folder)
{
	char link[64], path[512] = "";

	if (!cut.dir[0])
		return ELSEWHERE;
	int saved = errno;
	if (name && name[0] == '/') {
		snprintf(path, sizeof path, "%s", name);
	} else {
		snprintf(link, sizeof link, fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, path, sizeof path - 1);
		path[n > 0 ? n : 0] = 0;
	}
	errno = saved;
	size_t n = strlen(cut.dir);
	if (strncmp(path, cut.dir, n) != 0 || (path[n] && path[n] != '/'))
		return ELSEWHERE;
	if (!path[n])
		return INSIDE;
	for (unsigned f = 0; f < 2; f++)
		if (strncmp(path + n + 1, folders[f], strlen(folders[f])) == 0) {
			*ret_folder = f;
			return WATCHED;
		}
	return INSIDE;
}

/* True: watched, and the lock is held until leave(). */
static bool enter(int fd, const char *name)
{
	unsigned folder;

	if (where_is(fd, name, &folder) != WATCHED)
		return false;
	pthread_mutex_lock(&cut.lock);
	if (cut.nth > 0 && --cut.nth == 0) {
		cut.fn(cut.arg);
		cut.fired = true;
	}
	return true;
}

static void leave(bool entered)
{
	int saved = errno;

	if (entered)
		pthread_mutex_unlock(&cut.lock);
	errno = saved;
}

#define AROUND(fd, name, type, call)                                                                         \
	do {                                                                                                 \
		bool entered_ = enter((fd), (name));                                                         \
		type rc_ = (type)(call);                                                                     \
		leave(entered_);                                                                             \
		return rc_;                                                                                  \
	} while (0)

/* Now and then what stands in a file before a write is kept. The lock is held. */
static void note_write(int fd)
{
	struct stat st;

	if (roll(24) == 0 && fstat(fd, &st) == 0)
		set(&file_of(st.st_ino)->between, read_all(fd));
}

static ssize_t write_at(int fd, const void *p, size_t n, off_t at)
{
	bool entered = enter(fd, NULL);

	if (entered)
		note_write(fd);
	ssize_t rc = syscall(SYS_pwrite64, fd, p, n, at);
	leave(entered);
	return rc;
}

static ssize_t write_v(int fd, const struct iovec *v, int n, off_t at)
{
	bool entered = enter(fd, NULL);

	if (entered)
		note_write(fd);
	ssize_t rc = syscall(SYS_pwritev, fd, v, n, (unsigned long)at, 0);
	leave(entered);
	return rc;
}

/* What stood there when the sync began is on disk when it ends; a while passes between. */
static int sync_fd(int fd, long call)
{
	unsigned folder;
	struct stat st;

	enum where where = where_is(fd, NULL, &folder);

	if (where != WATCHED)
		return where == INSIDE ? 0 : (int)syscall(call, fd);
	enter(fd, NULL);
	check(fstat(fd, &st) == 0, "fstat");
	bool is_folder = S_ISDIR(st.st_mode);
	struct name *names = is_folder ? calloc(NAMES, sizeof *names) : NULL;
	struct bytes bytes = {0};
	size_t n = 0;
	if (is_folder)
		n = list(folder, names);
	else
		bytes = read_all(fd);
	unsigned us = roll(4) == 0 ? roll(400) : 0;
	leave(true);
	if (us)
		usleep(us);
	enter(fd, NULL);
	if (is_folder) {
		names_synced(folder, names, n);
	} else {
		set(&file_of(st.st_ino)->synced, bytes);
		set(&file_of(st.st_ino)->between, (struct bytes){0});
	}
	leave(true);
	free(names);
	return 0;
}

#define EXPORT __attribute__((visibility("default")))

EXPORT ssize_t write(int fd, const void *p, size_t n)
{
	AROUND(fd, NULL, ssize_t, syscall(SYS_write, fd, p, n));
}
EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return write_at(fd, p, n, at);
}
EXPORT ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t at)
{
	return write_v(fd, v, n, at);
}
EXPORT int fsync(int fd)
{
	return sync_fd(fd, SYS_fsync);
}
EXPORT int fdatasync(int fd)
{
	return sync_fd(fd, SYS_fdatasync);
}
EXPORT int sync_file_range(int fd, off64_t at, off64_t n, unsigned flags)
{
	unsigned folder;

	return where_is(fd, NULL, &folder) != ELSEWHERE ? 0
							: (int)syscall(SYS_sync_file_range, fd, at, n, flags);
}
EXPORT int ftruncate64(int fd, off64_t n)
{
	AROUND(fd, NULL, int, syscall(SYS_ftruncate, fd, n));
}
EXPORT int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
	AROUND(fd, NULL, int, syscall(SYS_fallocate, fd, mode, at, n));
}
EXPORT int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	AROUND(from_fd, from, int, syscall(SYS_renameat2, from_fd, from, to_fd, to, 0));
}
EXPORT int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	AROUND(from_fd, from, int, syscall(SYS_renameat2, from_fd, from, to_fd, to, flags));
}
EXPORT int unlinkat(int fd, const char *name, int flags)
{
	AROUND(fd, name, int, syscall(SYS_unlinkat, fd, name, flags));
}

static int open_with(int fd, const char *name, int flags, mode_t mode)
{
	if (!(flags & O_CREAT))
		return (int)syscall(SYS_openat, fd, name, flags | O_LARGEFILE, mode);
	AROUND(fd, name, int, syscall(SYS_openat, fd, name, flags | O_LARGEFILE, mode));
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

/* LMDB's package was built without large-file names. */
#undef pwrite
#undef pwritev
#undef ftruncate
#undef open
EXPORT ssize_t plain_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("pwrite");
ssize_t plain_pwrite(int fd, const void *p, size_t n, off_t at)
{
	return write_at(fd, p, n, at);
}
EXPORT ssize_t plain_pwritev(int fd, const struct iovec *v, int n, off_t at) __asm__("pwritev");
ssize_t plain_pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	return write_v(fd, v, n, at);
}
EXPORT int plain_ftruncate(int fd, off_t n) __asm__("ftruncate");
int plain_ftruncate(int fd, off_t n)
{
	return ftruncate64(fd, n);
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

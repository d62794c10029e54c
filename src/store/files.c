/* Volume files: making them, and the table of open ones that readers of several threads share. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "store/store_int.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILES_IDLE 128 /* open volumes that nobody reads: 128 GiB of mail without a second open() */
/* Zeroes written out at once: a flush of the commit thread waits for at most so much. */
#define ZERO_PIECE  (32u * 1024)
#define ZERO_PIECES 8
#define ZERO_CHUNK  (ZERO_PIECE * ZERO_PIECES)

void volume_name(uint32_t volume, char ret[16])
{
	snprintf(ret, 16, "%08" PRIx32 ".vol", volume);
}

void big_name(uint64_t id, char ret[20])
{
	snprintf(ret, 20, "%016" PRIx64, id);
}

int sync_folder(int fd, const char *name, err *e)
{
	return fsync(fd) == 0 ? 0 : err_sys(e, ERR_IO, "folder \"%s\"", name);
}

int read_exact(int fd, uint64_t offset, void *p, size_t n, err *e)
{
	size_t got = 0;

	while (got < n) {
		ssize_t rc = pread(fd, (char *)p + got, n - got, (off_t)(offset + got));

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc < 0)
			return err_sys(e, ERR_IO, "read of stored data");
		if (rc == 0)
			return err_set(e, ERR_CORRUPT, "stored data ends too early");
		got += (size_t)rc;
	}
	return 0;
}

/* Out of space is no damage: nothing that was there is touched. */
static int zero_failed(err *e)
{
	if (errno == ENOSPC || errno == EDQUOT)
		return err_sys(e, ERR_TEMP, "the disk is full");
	return err_sys(e, ERR_IO, "zero-filling a file ahead of use");
}

static ssize_t write_zeroes(int fd, size_t n, uint64_t at)
{
	static const char zeroes[ZERO_PIECE];
	struct iovec v[ZERO_PIECES];
	int pieces = 0;

	for (size_t left = n; left > 0; left -= v[pieces++].iov_len)
		v[pieces] = (struct iovec){(void *)(uintptr_t)zeroes, left < ZERO_PIECE ? left : ZERO_PIECE};
	return pwritev(fd, v, pieces, (off_t)at);
}

int file_zero(int fd, uint64_t from, uint64_t to, err *e)
{
	const unsigned through =
		SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

	if (from >= to)
		return 0;
	/* Allocation first: what is written later cannot meet a full disk. Not every file system can. */
	if (fallocate(fd, 0, (off_t)from, (off_t)(to - from)) < 0 && errno != EOPNOTSUPP && errno != EINTR)
		return zero_failed(e);
	for (uint64_t at = from; at < to;) {
		size_t n = to - at < ZERO_CHUNK ? (size_t)(to - at) : ZERO_CHUNK;
		ssize_t rc = write_zeroes(fd, n, at);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0 || sync_file_range(fd, (off_t)at, rc, through) < 0)
			return zero_failed(e);
		at += (uint64_t)rc;
	}
	return 0;
}

static int write_head(struct store *s, int fd, uint32_t volume, err *e)
{
	uint8_t head[VOLUME_HEAD];

	volume_head_write(&(struct volume_head){VOLUME_FORMAT, s->id, volume, clock_wall_us()}, head);
	if (pwrite(fd, head, sizeof head, 0) != (ssize_t)sizeof head)
		return err_sys(e, ERR_IO, "head of a new volume");
	return fsync(fd) == 0 ? 0 : err_sys(e, ERR_IO, "new volume");
}

int volume_create(struct store *s, uint32_t volume, uint64_t bytes, err *e)
{
	char name[16];

	volume_name(volume, name);
	AUTO_FD fd = openat(s->volumes_fd, name, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == ENOSPC || errno == EDQUOT ? err_sys(e, ERR_TEMP, "the disk is full")
							  : err_sys(e, ERR_IO, "volume \"%s\"", name);
	if (file_zero(fd, 0, bytes, e) < 0 || write_head(s, fd, volume, e) < 0 ||
		sync_folder(s->volumes_fd, "volumes", e) < 0) {
		unlinkat(s->volumes_fd, name, 0);
		return -1;
	}
	return TAKE_FD(fd);
}

/* ---- the table ---- */

/* Why a file does not open: lack of something passes, anything else is the medium's fault. */
static void open_failed(const char *name, err *e)
{
	bool passes =
		errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOSPC || errno == EDQUOT;

	if (errno == ENOENT)
		(void)err_set(e, ERR_CORRUPT, "stored file \"%s\" is missing", name);
	else
		(void)err_sys(e, passes ? ERR_TEMP : ERR_IO, "stored file \"%s\"", name);
}

/* The caller holds the lock. */
static struct store_file *table_find(struct file_table *t, uint32_t volume)
{
	struct store_file *f = t->bucket[volume % FILE_BUCKETS];

	while (f && f->volume != volume)
		f = f->next;
	return f;
}

/* Closes one idle file, whichever comes first: opening it again is cheap. The caller holds the lock. */
static void table_shrink(struct file_table *t)
{
	for (unsigned i = 0; i < FILE_BUCKETS; i++)
		for (struct store_file **at = &t->bucket[i]; *at; at = &(*at)->next) {
			struct store_file *f = *at;

			if (f->refs > 0)
				continue;
			*at = f->next;
			t->open--;
			close(f->fd);
			free(f);
			return;
		}
}

static struct store_file *table_add(struct store *s, uint32_t volume, int fd)
{
	struct file_table *t = &s->files;
	struct store_file *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	if (t->open >= FILES_IDLE)
		table_shrink(t);
	*f = (struct store_file){
		.store = s, .fd = fd, .volume = volume, .next = t->bucket[volume % FILE_BUCKETS]};
	t->bucket[volume % FILE_BUCKETS] = f;
	t->open++;
	return f;
}

struct store_file *file_get(struct store *s, uint32_t volume, err *e)
{
	struct file_table *t = &s->files;
	char name[16];

	pthread_mutex_lock(&t->lock);
	struct store_file *f = table_find(t, volume);
	if (!f) {
		volume_name(volume, name);
		AUTO_FD fd = openat(s->volumes_fd, name, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			open_failed(name, e);
		else if (!(f = table_add(s, volume, fd)))
			(void)err_set(e, ERR_TEMP, "out of memory");
		else
			(void)TAKE_FD(fd);
	}
	if (f)
		f->refs++;
	pthread_mutex_unlock(&t->lock);
	return f;
}

struct store_file *file_get_big(struct store *s, uint64_t blob, err *e)
{
	char name[20];

	big_name(blob, name);
	AUTO_FD fd = openat(s->big_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		open_failed(name, e);
		return NULL;
	}
	struct store_file *f = calloc(1, sizeof *f);
	if (!f) {
		(void)err_set(e, ERR_TEMP, "out of memory");
		return NULL;
	}
	*f = (struct store_file){.store = s, .fd = TAKE_FD(fd), .refs = 1};
	return f;
}

void file_unref(struct store_file *f)
{
	if (!f)
		return;
	if (f->volume == 0) { /* one reader's own */
		close(f->fd);
		free(f);
		return;
	}
	pthread_mutex_lock(&f->store->files.lock);
	f->refs--;
	pthread_mutex_unlock(&f->store->files.lock);
}

void files_close(struct store *s)
{
	for (unsigned i = 0; i < FILE_BUCKETS; i++)
		while (s->files.bucket[i]) {
			struct store_file *f = s->files.bucket[i];

			s->files.bucket[i] = f->next;
			close(f->fd);
			free(f);
		}
	s->files.open = 0;
}

/*
 * Big blobs: files of their own, complete and synced, name included, before an intent takes them. What the
 * borrower of the spool file does to it later does not matter: its bytes are copied, and the CRC is of the
 * copy.
 */
#include "base/cleanup.h"
#include "base/hash.h"
#include "io/worker.h"
#include "store/store_int.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define COPY_CHUNK 262144u

/* An unnamed file in a folder; where the file system has none, a named one that loses its name at once. */
static int unnamed(int folder_fd, err *e)
{
	int fd = openat(folder_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
		char name[24];

		snprintf(name, sizeof name, "t%016" PRIx64, random_u64());
		fd = openat(folder_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
		if (fd >= 0)
			unlinkat(folder_fd, name, 0);
	}
	if (fd >= 0)
		return fd;
	if (errno == ENOSPC || errno == EDQUOT)
		return err_sys(e, ERR_TEMP, "no room for a spool file");
	return err_sys(e, ERR_IO, "spool file");
}

int store_spool_new(struct store *s, err *e)
{
	return unnamed(s->spool_fd, e);
}

void big_unlink(struct store *s, uint64_t id)
{
	char name[20];

	big_name(id, name);
	unlinkat(s->big_fd, name, 0); /* left over: removed at the next start */
}

struct finish_job {
	struct store_big *big;
	int from_fd, rc;
	err error;
};

static int write_failed(err *e)
{
	if (errno == ENOSPC || errno == EDQUOT)
		return err_sys(e, ERR_TEMP, "no room for a large message");
	return err_sys(e, ERR_IO, "write of a large message");
}

static int copy(struct store_big *b, int from, int to, char chunk[COPY_CHUNK], err *e)
{
	uint64_t at = 0;

	while (at < b->length) {
		size_t n = b->length - at < COPY_CHUNK ? (size_t)(b->length - at) : COPY_CHUNK;

		if (read_exact(from, at, chunk, n, e) < 0)
			return -1;
		for (size_t done = 0; done < n;) {
			ssize_t rc = pwrite(to, chunk + done, n - done, (off_t)(at + done));

			if (rc < 0 && errno == EINTR)
				continue;
			if (rc <= 0)
				return write_failed(e);
			done += (size_t)rc;
		}
		b->crc = crc32c(b->crc, chunk, n);
		at += n;
	}
	return 0;
}

static int finish(struct store_big *b, int from, err *e)
{
	char name[20];
	struct store *s = b->store;

	big_name(b->id, name);
	AUTO_FD fd = openat(s->big_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return write_failed(e);
	char *chunk = malloc(COPY_CHUNK);
	int rc = chunk ? copy(b, from, fd, chunk, e) : err_set(e, ERR_TEMP, "out of memory");
	free(chunk);
	if (rc < 0)
		return -1;
	if (fsync(fd) < 0)
		return err_sys(e, ERR_IO, "sync of a large message");
	return sync_folder(s->big_fd, "big", e);
}

static void on_pool(void *arg)
{
	struct finish_job *j = arg;

	j->rc = finish(j->big, j->from_fd, &j->error);
}

int store_big_finish(struct store *s, int spool_fd, uint64_t length, struct store_big **ret, err *e)
{
	struct store_big *b = calloc(1, sizeof *b);
	struct finish_job j = {.big = b, .from_fd = spool_fd};

	if (!b)
		return err_set(e, ERR_TEMP, "out of memory");
	*b = (struct store_big){.store = s, .length = length, .id = atomic_fetch_add(&s->next_id, 1)};
	if (fiber_self())
		worker_run(on_pool, &j);
	else
		on_pool(&j);
	if (j.rc < 0) {
		store_big_drop(b);
		if (e)
			*e = j.error;
		return -1;
	}
	*ret = b;
	return 0;
}

void store_big_drop(struct store_big *b)
{
	if (!b)
		return;
	if (!b->taken)
		big_unlink(b->store, b->id);
	free(b);
}

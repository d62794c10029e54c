/* Reading blobs. Any loop thread; the commit thread is not asked. */
#include "base/cleanup.h"
#include "base/hash.h"
#include "io/worker.h"
#include "store/store_int.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#define CHECK_HERE 262144u /* bytes whose CRC is made on the fiber; more goes to the pool */

static int find_row(struct store_snap *snap, uint64_t id, struct blob_row *ret, err *e)
{
	uint8_t key[BLOB_KEY];
	slice v;

	blob_key(id, key);
	int rc = store_snap_get(snap, slice_make(key, sizeof key), &v, e);
	if (rc == 1 && !blob_row_decode(v, ret))
		return err_set(e, ERR_CORRUPT, "the row of blob %llu is malformed", (unsigned long long)id);
	return rc;
}

/* The file is missing: right, when the blob was dropped after this snapshot was taken. */
static bool gone_since(struct store *s, uint64_t id)
{
	struct store_snap now;
	struct blob_row row;

	if (store_snap_begin(s, &now, NULL) < 0)
		return false;
	int rc = find_row(&now, id, &row, NULL);
	store_snap_end(&now);
	return rc == 0;
}

int store_blob_find(struct store_snap *snap, uint64_t id, struct store_blob *ret, err *e)
{
	struct store *s = snap->store;
	struct blob_row row;
	int rc = find_row(snap, id, &row, e);

	if (rc != 1)
		return rc;
	err why = {0};
	struct store_file *f = row.volume ? file_get(s, row.volume, &why) : file_get_big(s, id, &why);
	if (!f) {
		if (why.kind == ERR_CORRUPT && gone_since(s, id))
			return 0;
		if (e)
			*e = why;
		return -1;
	}
	*ret = (struct store_blob){
		.file = f, .id = id, .offset = row.offset, .length = row.length, .crc = row.crc};
	return 1;
}

void store_blob_release(struct store_blob *b)
{
	file_unref(b->file);
	*b = (struct store_blob){0};
}

struct read_job {
	const struct store_blob *blob;
	uint64_t from;
	char *p;
	size_t n, got; /* got: bytes that are there already */
	bool check;
	int rc;
	err error;
};

static int check_crc(const struct read_job *j, err *e)
{
	if (crc32c(0, j->p, j->n) == j->blob->crc)
		return 0;
	return err_set(e, ERR_CORRUPT, "blob %llu (volume %u, offset %llu) is damaged",
		(unsigned long long)j->blob->id, j->blob->file->volume, (unsigned long long)j->blob->offset);
}

static void read_rest(void *arg)
{
	struct read_job *j = arg;
	const struct store_blob *b = j->blob;

	j->rc = read_exact(
		b->file->fd, b->offset + j->from + j->got, j->p + j->got, j->n - j->got, &j->error);
	if (j->rc == 0 && j->check)
		j->rc = check_crc(j, &j->error);
}

int store_blob_read(struct store_blob *b, uint64_t from, void *p, size_t n, err *e)
{
	struct read_job j = {.blob = b, .from = from, .p = p, .n = n};

	if (from > b->length || n > b->length - from)
		return err_set(e, ERR_LIMIT, "a read behind the end of a blob");
	j.check = from == 0 && n == b->length;
	while (j.got < n) { /* from the page cache */
		struct iovec v = {j.p + j.got, n - j.got};
		ssize_t rc = preadv2(b->file->fd, &v, 1, (off_t)(b->offset + from + j.got), RWF_NOWAIT);

		if (rc <= 0)
			break;
		j.got += (size_t)rc;
	}
	if (j.got == n && (!j.check || n <= CHECK_HERE))
		return j.check ? check_crc(&j, e) : 0;
	if (fiber_self())
		worker_run(read_rest, &j);
	else
		read_rest(&j);
	if (j.rc < 0 && e)
		*e = j.error;
	return j.rc;
}

/* ---- windows ---- */

#define WINDOW_BYTES 131072u
#define WINDOW_GAP   16384u /* rows and heads between the blobs of two groups */

struct window_job {
	struct store_window *w;
	int fd;
};

static ssize_t window_fill(const struct window_job *j, int flags)
{
	struct iovec v = {j->w->p, WINDOW_BYTES};

	return preadv2(j->fd, &v, 1, (off_t)j->w->from, flags);
}

static void window_wait(void *arg)
{
	struct window_job *j = arg;
	ssize_t got = window_fill(j, 0);

	j->w->n = got > 0 ? (size_t)got : 0;
}

/* Makes it begin where b does. What cannot be read now is the matter of store_blob_read. */
static void window_move(struct store_window *w, const struct store_blob *b)
{
	struct window_job j = {w, b->file->fd};

	if (!w->p && !(w->p = malloc(WINDOW_BYTES)))
		return;
	w->from = b->offset;
	ssize_t got = window_fill(&j, RWF_NOWAIT);
	w->n = got > 0 ? (size_t)got : 0;
	if (w->n < b->length && fiber_self())
		worker_run(window_wait, &j);
}

static bool window_has(const struct store_window *w, const struct store_blob *b)
{
	return w->volume == b->file->volume && b->offset >= w->from && b->offset - w->from <= w->n &&
	       b->length <= w->n - (b->offset - w->from);
}

int store_window_read(struct store_window *w, struct store_blob *b, void *p, err *e)
{
	uint32_t volume = b->file->volume;
	bool follows = volume != 0 && volume == w->volume && b->offset >= w->next &&
		       b->offset - w->next <= WINDOW_GAP && b->length <= WINDOW_BYTES;

	if (follows && !window_has(w, b))
		window_move(w, b);
	bool there = follows && window_has(w, b);
	if (volume != w->volume)
		w->n = 0;
	w->volume = volume;
	w->next = b->offset + b->length;
	if (!there)
		return store_blob_read(b, 0, p, b->length, e);
	if (b->length)
		memcpy(p, w->p + (b->offset - w->from), b->length);
	if (crc32c(0, p, b->length) == b->crc)
		return 0;
	w->n = 0; /* it may have been written since */
	return store_blob_read(b, 0, p, b->length, e);
}

void store_window_reset(struct store_window *w)
{
	free(w->p);
	*w = (struct store_window){0};
}

int store_blob_fd(const struct store_blob *b)
{
	return b->file && b->file->volume == 0 && b->offset == 0 ? b->file->fd : -1;
}

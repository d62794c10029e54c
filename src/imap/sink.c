#include "imap/append.h"
#include "io/worker.h"
#include "limits.h"
#include <errno.h>
#include <unistd.h>

#define SPOOL_CHUNK 262144

struct spool {
	int fd;
	const char *p;
	size_t n;
	int error;
};

static void write_spool(void *arg)
{
	struct spool *w = arg;

	while (w->n > 0) {
		ssize_t put = write(w->fd, w->p, w->n);

		if (put < 0 && errno != EINTR) {
			w->error = errno;
			return;
		}
		if (put > 0) {
			w->p += put;
			w->n -= (size_t)put;
		}
	}
}

static void flush(struct imap_sink *k)
{
	struct spool w = {.fd = k->fd, .p = k->bytes.p, .n = k->bytes.n};

	worker_run(write_spool, &w);
	buf_reset(&k->bytes);
	if (w.error) {
		errno = w.error;
		k->failed = err_sys(&k->why, ERR_IO, "writing a spool file") < 0;
	}
}

void imap_sink_begin(struct imap_session *s, size_t inline_max, struct imap_sink *ret)
{
	*ret = (struct imap_sink){.s = s, .inline_max = inline_max, .fd = -1, .builder = mail_summary_new()};
	ret->bytes = BUF_INIT(LIMIT_BLOB_INLINE + SPOOL_CHUNK + LIMIT_STREAM_BUFFER);
	if (!ret->builder)
		ret->failed = err_set(&ret->why, ERR_TEMP, "no memory") < 0;
}

void imap_sink_feed(struct imap_sink *k, slice piece)
{
	k->size += piece.n;
	if (k->failed)
		return;
	mail_summary_feed(k->builder, piece);
	if (k->fd < 0 && k->size > k->inline_max) {
		k->fd = store_spool_new(k->s->store, &k->why);
		k->failed = k->fd < 0;
	}
	if (!k->failed)
		buf_add(&k->bytes, piece);
	if (k->bytes.failed)
		k->failed = err_set(&k->why, ERR_TEMP, "no memory") < 0;
	if (!k->failed && k->fd >= 0 && k->bytes.n >= SPOOL_CHUNK)
		flush(k);
}

int imap_sink_finish(struct imap_sink *k, struct imap_message *m, err *e)
{
	if (!k->failed && k->fd >= 0 && k->bytes.n > 0)
		flush(k);
	m->content.size = (uint32_t)k->size;
	m->summary = BUF_INIT(LIMIT_MAIL_SUMMARY + 65536);
	if (!k->failed)
		k->failed = mail_summary_finish(k->builder, &m->summary, &k->why) < 0;
	if (!k->failed && k->fd >= 0)
		k->failed = store_big_finish(k->s->store, k->fd, k->size, &m->content.big, &k->why) < 0;
	if (k->failed) {
		*e = k->why;
		return -1;
	}
	if (k->fd < 0) {
		m->bytes = k->bytes;
		k->bytes = (struct buf){0};
		m->content.bytes = buf_slice(&m->bytes);
	}
	return 0;
}

void imap_sink_free(struct imap_sink *k)
{
	mail_summary_free(k->builder);
	buf_free(&k->bytes);
	if (k->fd >= 0)
		close(k->fd);
}

#include "limits.h"
#include "roles/frontend/frontend.h"
#include <errno.h>
#include <unistd.h>

#define SPOOL_MS 30000

static struct mail_summary_builder *builder_take(struct frontend *f)
{
	return f->builders_n > 0 ? f->builders[--f->builders_n] : mail_summary_new();
}

static void builder_give(struct frontend *f, struct mail_summary_builder *b)
{
	if (!b)
		return;
	if (f->builders_n == SPARE_BUILDERS) {
		mail_summary_free(b);
		return;
	}
	mail_summary_reset(b);
	f->builders[f->builders_n++] = b;
}

static int write_file(int fd, slice b, err *e)
{
	while (b.n > 0) {
		ssize_t n = write(fd, b.p, b.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(e, errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT : ERR_IO,
				"the message cannot be kept");
		b = slice_skip(b, (size_t)n);
	}
	return 0;
}

/* From the memory file into the spool file: it is no larger than LIMIT_BLOB_INLINE. */
static int move_content(int from, int to, err *e)
{
	char part[4096];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(from, part, sizeof part, at)) > 0) {
		if (write_file(to, slice_make(part, (size_t)n), e) < 0)
			return -1;
		at += n;
	}
	return n < 0 ? err_sys(e, ERR_IO, "the message cannot be read back") : 0;
}

static int to_memory_file(struct front_content *c, err *e)
{
	c->file = content_file_new();
	if (c->file < 0)
		return err_sys(e, ERR_TEMP, "memory file");
	if (write_file(c->file, buf_slice(&c->memory), e) < 0)
		return -1;
	buf_free(&c->memory);
	return 0;
}

static int to_spool(struct front_content *c, err *e)
{
	struct msg_spool_reply reply;
	struct channel_answer hold;

	if (ask_spool(role_peer(c->f->role, ROLE_BACKEND), &(struct msg_spool){c->size}, &reply, &hold,
		    loop_now() + SPOOL_MS, e) < 0) {
		if (e->kind == ERR_CLOSED || e->kind == ERR_TIMEOUT)
			e->kind = ERR_TEMP;
		return -1;
	}
	channel_answer_free(&hold);
	if (reply.file < 0)
		return err_set(e, ERR_TEMP, "no room for a large message now");
	int rc = c->file >= 0 ? move_content(c->file, reply.file, e)
			      : write_file(reply.file, buf_slice(&c->memory), e);
	if (c->file >= 0)
		close(c->file);
	buf_free(&c->memory);
	c->file = reply.file;
	c->spooled = true;
	return rc;
}

int front_content_begin(struct frontend *f, struct front_content *c, uint64_t announced, err *e)
{
	*c = (struct front_content){.f = f, .memory = BUF_INIT(LIMIT_CHANNEL_INLINE), .file = -1};
	c->builder = builder_take(f);
	if (!c->builder)
		return err_set(e, ERR_TEMP, "no memory");
	if (announced > 0 && announced < LIMIT_CHANNEL_INLINE / 2)
		buf_room(&c->memory, (size_t)announced + 1024);
	return 0;
}

/* Memory files are no part of the role's data limit: all of them together have one of their own. */
static int account(struct front_content *c, uint64_t n, err *e)
{
	if (c->f->in_memory + n > LIMIT_CONTENT_MEMORY)
		return err_set(e, ERR_TEMP, "too many messages come in at once");
	c->f->in_memory += n;
	c->in_memory += n;
	return 0;
}

static void release(struct front_content *c)
{
	c->f->in_memory -= c->in_memory;
	c->in_memory = 0;
}

int front_content_write(struct front_content *c, slice bytes, err *e)
{
	mail_summary_feed(c->builder, bytes);
	c->size += bytes.n;
	if (c->file < 0 && c->size > LIMIT_CHANNEL_INLINE && to_memory_file(c, e) < 0)
		return -1;
	if (!c->spooled && c->size > LIMIT_BLOB_INLINE && to_spool(c, e) < 0)
		return -1;
	if (c->spooled)
		release(c);
	else if (c->file >= 0 && account(c, c->size - c->in_memory, e) < 0)
		return -1;
	if (c->file >= 0)
		return write_file(c->file, bytes, e);
	buf_add(&c->memory, bytes);
	return c->memory.failed ? err_set(e, ERR_TEMP, "no memory") : 0;
}

void front_content_end(struct front_content *c)
{
	if (!c->f)
		return;
	builder_give(c->f, c->builder);
	release(c);
	buf_free(&c->memory);
	if (c->file >= 0)
		close(c->file);
	*c = (struct front_content){.file = -1};
}

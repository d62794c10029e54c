/* The bytes of a message: where they lie, what they need of a server, and how they go without it. */
#include "io/worker.h"
#include "mail/downgrade.h"
#include "roles/outbound/outbound.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum place { PLACE_INLINE, PLACE_MEMORY, PLACE_FILE };

#define WORKER_MIN 262144 /* from here on looking through it would hold up the loop */

/* The file of a large message. It is never made shorter, and it cannot be written to from here. */
static slice map_file(int fd, uint64_t size)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) != O_RDONLY || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		size == 0 || st.st_size < 0 || (uint64_t)st.st_size < size)
		return (slice){0};
	void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return (slice){0};
	madvise(p, size, MADV_WILLNEED);
	return slice_make(p, size);
}

/*
 * Return-Path is for the final delivery; what goes on must not have it (RFC 5321 4.4). Ours stands first in
 * all that the store keeps.
 */
static slice without_return_path(slice body)
{
	static const slice name = SLICE_INIT("Return-Path:");
	slice line, rest = body;

	return slice_starts(body, name) && slice_cut(&rest, '\n', &line) ? rest : body;
}

int out_content_take(const struct msg_transmit *m, struct out_content *ret, err *e)
{
	*ret = (struct out_content){0};
	AUTO_FD fd = m->body_file;

	if (m->place == PLACE_INLINE && fd < 0 && m->body.n == m->body_size) {
		ret->body = without_return_path(m->body);
		return 0;
	}
	if (fd < 0 || m->body.n > 0 || m->place > PLACE_FILE)
		return err_set(e, ERR_CORRUPT, "a message without its content");
	ret->mapped =
		m->place == PLACE_MEMORY ? content_file_map(fd, m->body_size) : map_file(fd, m->body_size);
	if (!ret->mapped.p)
		return err_set(e, ERR_CORRUPT, "the content is not the file it should be");
	ret->body = without_return_path(ret->mapped);
	return 0;
}

static void look(void *arg)
{
	struct out_content *c = arg;
	struct mail_content_needs needs;

	mail_content_look(c->body, &needs);
	c->eight_bit = needs.eight_bit;
	c->header_utf8 = needs.header_utf8;
	c->binary = needs.binary;
}

void out_content_look(struct out_content *c, uint8_t needs)
{
	if (needs != 255) {
		c->eight_bit = needs & 1;
		c->header_utf8 = needs & 2;
		c->binary = needs & 4;
	} else if (c->body.n < WORKER_MIN) {
		look(c);
	} else {
		worker_run(look, c);
	}
}

struct conversion {
	slice body;
	struct buf *out;
	int rc;
	err e;
};

static int take_piece(void *arg, slice piece, err *e)
{
	struct buf *out = arg;

	buf_add(out, piece);
	return out->failed ? err_set(e, ERR_TEMP, "no memory to convert the message") : 0;
}

static void convert(void *arg)
{
	struct conversion *c = arg;

	c->rc = mail_downgrade(c->body, take_piece, c->out, &c->e);
}

int out_content_convert(struct outbound *o, struct out_content *c, err *e)
{
	struct conversion conversion = {.body = c->body, .out = &c->seven};
	/* quoted-printable makes three bytes of one and breaks the line each 76; the rest is header fields */
	size_t most = c->body.n * 4 + 65536;

	if (c->seven.n > 0)
		return 0;
	if (o->converted > 0 && o->converted + most > LIMIT_TRANSMIT_MEMORY)
		return err_set(e, ERR_TEMP, "too many messages to be converted are in memory");
	c->seven = BUF_INIT(most);
	o->converted += most;
	if (c->body.n < WORKER_MIN)
		convert(&conversion);
	else
		worker_run(convert, &conversion);
	if (conversion.rc < 0) {
		*e = conversion.e;
		buf_free(&c->seven);
		c->seven.max = 0;
		o->converted -= most;
	}
	return conversion.rc;
}

void out_content_end(struct outbound *o, struct out_content *c)
{
	o->converted -= c->seven.max;
	buf_free(&c->seven);
	content_file_unmap(c->mapped);
	*c = (struct out_content){0};
}

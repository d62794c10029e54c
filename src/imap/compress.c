/*
 * COMPRESS=DEFLATE (RFC 4978): the codec, and the command that starts it. The session's own stream is coded:
 * TLS, if any, is in another role.
 *
 * Memory: the encoder takes 54 KiB (a window of 8 KiB, hash and block buffers to it) and only while there is
 * something to say: a stream that waits has been flushed, and a new encoder goes on behind the flush as well
 * as the old one. The decoder takes 7 KiB, and 32 KiB more for the client's window once that is used.
 */
#include "imap/compress.h"
#include "imap/session_int.h"
#include "io/codec.h"
#include <errno.h>
#include <stdlib.h>
#define ZLIB_CONST /* input is const */
#include <zlib.h>

#define ENCODE_WINDOW (-13) /* negative: no header around it (RFC 1951) */
#define ENCODE_MEMORY 5
#define DECODE_WINDOW (-15) /* the client may use all of it */

struct deflate {
	struct stream_codec codec;
	z_stream in, out;
	bool out_open;
};

static ssize_t decode(struct stream_codec *c, slice *in, char *p, size_t n)
{
	struct deflate *d = (struct deflate *)(void *)c;
	z_stream *z = &d->in;

	z->next_in = (z_const Bytef *)in->p;
	z->avail_in = (uInt)in->n;
	z->next_out = (Bytef *)p;
	z->avail_out = (uInt)n;
	int rc = inflate(z, Z_SYNC_FLUSH);
	*in = slice_skip(*in, in->n - z->avail_in);
	size_t got = n - z->avail_out;
	if (rc == Z_MEM_ERROR)
		return -ENOMEM;
	if (rc == Z_STREAM_END && got == 0)
		return -ENODATA; /* the client ended it; there is nothing behind */
	return rc == Z_OK || rc == Z_BUF_ERROR || rc == Z_STREAM_END ? (ssize_t)got : -EPROTO;
}

static int encode(struct stream_codec *c, slice in, bool flush, struct buf *out)
{
	struct deflate *d = (struct deflate *)(void *)c;
	z_stream *z = &d->out;

	if (!d->out_open && deflateInit2(z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, ENCODE_WINDOW, ENCODE_MEMORY,
				    Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	d->out_open = true;
	z->next_in = (z_const Bytef *)in.p;
	z->avail_in = (uInt)in.n;
	do { /* until it has room left: then it holds nothing back that it was told to give */
		size_t room = 1024 + (in.n < 16384 ? in.n : 16384);
		char *to = buf_room(out, room);

		if (!to)
			return -ENOMEM;
		z->next_out = (Bytef *)to;
		z->avail_out = (uInt)room;
		int rc = deflate(z, flush ? Z_SYNC_FLUSH : Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_BUF_ERROR)
			return -EPROTO;
		buf_grow(out, room - z->avail_out);
	} while (z->avail_out == 0);
	return 0;
}

static void rest(struct stream_codec *c)
{
	struct deflate *d = (struct deflate *)(void *)c;

	if (d->out_open)
		(void)deflateEnd(&d->out);
	d->out_open = false;
	d->out = (z_stream){.zalloc = d->in.zalloc, .zfree = d->in.zfree, .opaque = d->in.opaque};
}

static void end(struct stream_codec *c)
{
	struct deflate *d = (struct deflate *)(void *)c;

	rest(c);
	(void)inflateEnd(&d->in);
	free(d);
}

struct stream_codec *imap_deflate_new(void)
{
	struct deflate *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	d->codec = (struct stream_codec){.decode = decode, .encode = encode, .rest = rest, .free = end};
	if (inflateInit2(&d->in, DECODE_WINDOW) != Z_OK) {
		free(d);
		return NULL;
	}
	rest(&d->codec);
	return &d->codec;
}

/* ---- the command ---- */

int imap_cmd_compress(struct imap_session *s, struct imap_args *a)
{
	slice how;

	if (!imap_take_sp(a) || !imap_take_atom(a, &how) || !imap_take_end(a))
		return imap_bad_args(s, a);
	if (!slice_ieq(how, S("DEFLATE")))
		return imap_answer(s, IMAP_BAD, "DEFLATE is the only way");
	if (s->compress != IMAP_PLAIN)
		return imap_answer(s, IMAP_NO, "[COMPRESSIONACTIVE] it is compressed already");
	s->compress = IMAP_COMPRESS_NEXT;
	return imap_answer(s, IMAP_OK, "compressed from here on");
}

int imap_compress_start(struct imap_session *s)
{
	struct stream_codec *c = imap_deflate_new();

	s->compress = IMAP_COMPRESSED;
	return c ? stream_start_codec(s->io, c) : -ENOMEM;
}

/*
 * A codec between a stream and its descriptor (or TLS): bytes are coded as they go out and decoded as they
 * come in. For COMPRESS of IMAP (RFC 4978). Its maker lays the struct into one of its own; the stream frees
 * it.
 */
#pragma once
#include "base/buf.h"
#include <sys/types.h>

struct stream_codec {
	/*
	 * Takes coded bytes off *in and puts at most n (> 0) plain ones into p; returns how many. It returns
	 * 0 only when all of *in was taken and nothing is held back. A negative errno: what came is broken.
	 */
	ssize_t (*decode)(struct stream_codec *c, slice *in, char *p, size_t n);
	/* Appends the coded form of `in` to out; flush: so that the peer can decode all there was until now.
	 * 0 or a negative errno. */
	int (*encode)(struct stream_codec *c, slice in, bool flush, struct buf *out);
	/* All was flushed and the stream will wait: memory may be given back. */
	void (*rest)(struct stream_codec *c);
	void (*free)(struct stream_codec *c);
};

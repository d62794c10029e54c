/* COMPRESS=DEFLATE (RFC 4978). */
#pragma once

struct imap_session;
struct stream_codec;

/* NULL: no memory. */
struct stream_codec *imap_deflate_new(void);
/* Behind the command's answer: from here on both ways are compressed. 0 or a negative errno. */
int imap_compress_start(struct imap_session *s);

/*
 * A buffered byte stream over a non-blocking descriptor, with or without TLS. One fiber reads and writes
 * it, or one reads and another writes; reading then never flushes while the writer is amid a write.
 *
 * Every call that may park ends by the stream's deadline. Calls return 0 or a count on success and a negative
 * errno: -ETIMEDOUT, -ECANCELED, -EPIPE/-ECONNRESET (peer gone), -EPROTO (TLS), -EMSGSIZE (a line over its
 * limit). End of input is -ENODATA; writing may go on after it, and after -ETIMEDOUT and -ECANCELED a last
 * word may be written. After any other error but -EMSGSIZE the stream stays in error; when it was a write
 * that failed, what the peer had said before can still be read.
 *
 * Buffers exist only while they hold bytes: a parked connection costs its struct and its trimmed stack.
 */
#pragma once
#include "base/slice.h"
#include "io/fiber.h"
#include <sys/types.h>

struct stream;
struct tls_context;
struct stream_codec;

/* Takes the descriptor over (also on failure). NULL: out of memory. */
MUST_USE struct stream *stream_new(int fd);
void stream_free(struct stream *s); /* closes at once what is not flushed; NULL is fine */
int stream_fd(const struct stream *s);

/* From now: every parking call ends at loop_now() + ms. 0: no deadline. */
void stream_timeout(struct stream *s, uint64_t ms);

/*
 * Line layer: bytes up to LF, returned without CRLF or LF; the slice is valid until the next read call. A
 * line over max bytes (end included): -EMSGSIZE, and the line is skipped to its LF first (bounded memory).
 * bare: set true when the line ended in LF alone (NULL: do not care).
 */
PARKS ssize_t stream_read_line(struct stream *s, size_t max, slice *ret_line, bool *ret_bare);

/* Raw layer: makes at least one byte available and shows what is buffered; stream_consume takes bytes off. */
PARKS int stream_fill(struct stream *s, slice *ret_have);
/* As stream_fill, but waits for more than is buffered now (up to the buffer's size; -EMSGSIZE when that is
 * full). */
PARKS int stream_fill_more(struct stream *s, slice *ret_have);
void stream_consume(struct stream *s, size_t n);
/* Exactly n bytes into p. */
PARKS int stream_read_exact(struct stream *s, void *p, size_t n);
/* What is buffered now, TLS read-ahead included, without waiting. */
size_t stream_buffered(struct stream *s);
/* Output is gathered; it goes out at stream_flush, before a read parks, and when 32 KiB are gathered. */
PARKS int stream_write(struct stream *s, slice bytes);
PARKS int stream_printf(struct stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
PARKS int stream_flush(struct stream *s);
int stream_error(const struct stream *s); /* 0 or the sticky negative errno */

/*
 * IDLE: parks until input is there (returns 1), or stream_wake was called (0), or an error. Gives buffers and
 * stack back.
 */
PARKS int stream_wait(struct stream *s);
void stream_wake(struct stream *s); /* same loop */
/* True while a fiber is parked in stream_wait. */
bool stream_waiting(const struct stream *s);

/* Shuts the sending side down after what was written, tells TLS, and closes. */
PARKS void stream_close(struct stream *s);

/*
 * From now on what goes out is coded and what comes in decoded (io/codec.h), what is read ahead too. Takes
 * the codec over, also on failure. Writes out first what was gathered.
 */
PARKS int stream_start_codec(struct stream *s, struct stream_codec *c);

/* TLS (io/tls.h makes contexts). The handshake parks; `side`: server or client. 0 or negative errno; why: a
 * sentence. */
PARKS int stream_start_tls(struct stream *s, struct tls_context *ctx, bool server, const char **ret_why);
/* A client's, with the peer's name or IP address for SNI and the check (tls_client_name); empty: not known.
 */
PARKS int stream_start_tls_client(
	struct stream *s, struct tls_context *ctx, slice host, const char **ret_why);
bool stream_is_tls(const struct stream *s);
/* tls_verified; without TLS false. */
bool stream_tls_verified(const struct stream *s, const char **ret_why);
/* tls_binding of io/tls.h (TLS_BINDING bytes); without TLS false. */
bool stream_tls_binding(const struct stream *s, slice name, uint8_t *ret, size_t *ret_n);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384" or NULL. Lives as long as the stream. */
const char *stream_tls_info(const struct stream *s);

/*
 * Hands the descriptor out (no TLS, no codec, nothing buffered for output): ret_rest gets what was read ahead
 * (valid until stream_free). Used to pass a logged-in session on. -1 when TLS is on.
 */
int stream_detach(struct stream *s, slice *ret_rest);
/* Puts bytes in front of what will be read next (the rest handed over with a session). -ENOMEM. */
int stream_unread(struct stream *s, slice bytes);

/*
 * Copies both ways between a and b until both have ended or one fails, with back-pressure. Parks. Starts one
 * fiber. Timeout: what the other end decides (no deadline of its own).
 */
PARKS void stream_relay(struct stream *a, struct stream *b);

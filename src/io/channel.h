/*
 * Channels between roles: one SOCK_SEQPACKET pair each. What may be said stands in messages.def; from it come
 * the typed calls ask_NAME, msg_NAME_take and msg_NAME_answer (io/messages.h). A question reads like a call:
 * the fiber parks until the answer comes. Anything outside the table ends the channel and the sender is
 * reported.
 *
 * Nobody blocks in send: questions wait for a credit (LIMIT_CHANNEL_CREDITS under way), the room of answers
 * is bounded by the other side's credits; one flush at the end of a loop's turn sends all that is pending.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "io/fiber.h"

enum role {
	ROLE_SUPERVISOR,
	ROLE_FRONTEND,
	ROLE_BACKEND,
	ROLE_AUTH,
	ROLE_RESOLVER,
	ROLE_OUTBOUND,
	ROLE_COUNT
};
const char *role_name(enum role r);

struct message_rule {
	const char *name;
	uint32_t from, to; /* bits of enum role */
};

#define CHANNEL_FDS_MAX 4
struct channel_fds {
	int fd[CHANNEL_FDS_MAX];
	uint8_t n, taken;
};

struct channel;
struct channel_request;
struct channel_out;
typedef void channel_handler(struct channel_request *r, void *arg);

struct channel_config {
	enum role self, peer;
	uint8_t instance;                 /* of the peer */
	channel_handler *const *handlers; /* by message kind; NULL: we do not take it */
	void *arg;
	/* Called once, on the loop's stack, when the channel has ended, with why; it frees itself after. */
	void (*closed)(void *arg, struct channel *c, const char *why, bool offense);
};

/* Takes fd over. A handler runs on a fiber of its own and may park. NULL: out of memory. */
MUST_USE struct channel *channel_new(int fd, const struct channel_config *config);
/* Ends it: questions under way fail with ERR_CLOSED; closed() is called; the memory goes when the last user
 * has left. */
void channel_close(struct channel *c, const char *why);
/* The peer broke a rule: as channel_close, and closed() is told so. */
void channel_offense(struct channel *c, const char *what);
/* False from the moment it has ended, before closed() is called. NULL: false. */
bool channel_is_open(const struct channel *c);
enum role channel_peer(const struct channel *c, uint8_t *ret_instance);
void *channel_arg(const struct channel *c);

/* A connected SEQPACKET pair, both ends close-on-exec and non-blocking. */
int channel_pair(int ret_fd[2]);

/* ---- used by the generated code ---- */

struct channel_answer { /* what an ask_ function's answer lies in */
	slice body;
	struct channel_fds fds;
	char *block;
};
void channel_answer_free(struct channel_answer *a); /* closes descriptors nobody took; a zeroed one is fine */

struct channel_out *channel_out_new(void);
void channel_out_free(struct channel_out *o);
struct buf *channel_out_buf(struct channel_out *o);
struct channel_fds *channel_out_fds(struct channel_out *o);
/* Takes `out` over. A NULL channel is ERR_CLOSED. An error answer of the other side is returned as that
 * error. */
PARKS int channel_ask(struct channel *c, uint16_t kind, struct channel_out *out, struct channel_answer *hold,
	uint64_t deadline, err *e);
void channel_answer(struct channel_request *r, struct channel_out *out);
void channel_answer_error(struct channel_request *r, enum err_kind kind, const char *text);
slice channel_request_body(const struct channel_request *r);
struct channel_fds *channel_request_fds(struct channel_request *r);
struct channel *channel_request_channel(const struct channel_request *r);

uint8_t channel_fds_add(struct channel_fds *f, int fd); /* a duplicate is sent; the caller keeps its own */
int channel_fds_take(struct channel_fds *f, uint8_t mark);
bool channel_fds_done(const struct channel_fds *f);
void channel_fd_drop(int *fd); /* closes what was taken of a message that turned out broken; -1 then */

/* ---- content in memory files ---- */

/* A memory file for content; write to it, then seal it. -1 with errno. */
int content_file_new(void);
int content_file_seal(int fd);
/* Receipt: a sealed regular memory file of exactly n bytes, mapped read-only. p NULL: it is not. Unmap with
 * n. */
slice content_file_map(int fd, size_t n);
void content_file_unmap(slice s);

#include "io/channel.h"
#include "base/wire.h"
#include "io/loop_int.h"
#include "io/messages.h"
#include "limits.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER        8 /* u16 kind, u16 flags, u32 id */
#define FLAG_ANSWER   1u
#define FLAG_ERROR    2u
#define READ_BATCH    128  /* messages taken in one wake-up before others get their turn */
#define PENDING_SLOTS 256u /* hash of questions under way; a power of two */
#define SEALS         (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct channel_out {
	struct channel_out *next;
	struct buf b;
	struct channel_fds fds;
	bool answer;
};

struct pending { /* a question under way; lies on the asker's stack */
	struct pending *next;
	struct fiber *fiber;
	struct channel_answer *hold;
	uint32_t id;
	uint16_t flags;
	bool done;
};

struct channel_request {
	struct channel *c;
	char *block;
	slice body;
	struct channel_fds fds;
	uint32_t id;
	uint16_t kind;
	bool answered;
};

struct channel {
	struct channel_config config;
	uv_poll_t poll;
	struct loop_tail tail;
	struct channel_out *first, *last;
	struct pending *pending[PENDING_SLOTS];
	struct fiber_signal credit;
	uint32_t next_id;
	unsigned asked, answering,
		users; /* asked: also those whose askers have left, until their answers come */
	unsigned abandoned;
	int fd;
	int watching;
	bool closed, offense, handle_closed, want_write;
	char why[100];
	char *scratch; /* LIMIT_CHANNEL_MESSAGE, one a channel */
};

const char *role_name(enum role r)
{
	static const char *const names[ROLE_COUNT] = {
		"supervisor", "frontend", "backend", "auth", "resolver", "outbound"};

	return r < ROLE_COUNT ? names[r] : "?";
}

/* ---- descriptors ---- */

uint8_t channel_fds_add(struct channel_fds *f, int fd)
{
	if (fd < 0)
		return 0;
	int copy = f->n < CHANNEL_FDS_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;

	if (copy < 0)
		return 0;
	f->fd[f->n++] = copy;
	return 1;
}

int channel_fds_take(struct channel_fds *f, uint8_t mark)
{
	if (mark == 0 || f->taken >= f->n)
		return -1;
	int fd = f->fd[f->taken];

	f->fd[f->taken++] = -1;
	return fd;
}

bool channel_fds_done(const struct channel_fds *f)
{
	return f->taken == f->n;
}

void channel_fd_drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void fds_close(struct channel_fds *f)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->fd[i] >= 0)
			close(f->fd[i]);
	f->n = f->taken = 0;
}

void channel_answer_free(struct channel_answer *a)
{
	fds_close(&a->fds);
	free(a->block);
	*a = (struct channel_answer){0};
}

/* ---- outgoing ---- */

struct channel_out *channel_out_new(void)
{
	struct channel_out *o = calloc(1, sizeof *o);

	if (o) {
		o->b.max = LIMIT_CHANNEL_MESSAGE;
		buf_room(&o->b, 256);
		buf_add(&o->b, slice_make("\0\0\0\0\0\0\0\0", HEADER));
	}
	return o;
}

void channel_out_free(struct channel_out *o)
{
	if (!o)
		return;
	fds_close(&o->fds);
	buf_free(&o->b);
	free(o);
}

struct buf *channel_out_buf(struct channel_out *o)
{
	return &o->b;
}

struct channel_fds *channel_out_fds(struct channel_out *o)
{
	return &o->fds;
}

static ssize_t send_one(int fd, struct channel_out *o)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
	} control;
	struct iovec v = {o->b.p, o->b.n};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

	if (o->fds.n > 0) {
		memset(&control, 0, sizeof control);
		m.msg_control = control.space;
		m.msg_controllen = CMSG_SPACE(o->fds.n * sizeof(int));
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(o->fds.n * sizeof(int));
		memcpy(CMSG_DATA(h), o->fds.fd, o->fds.n * sizeof(int));
	}
	ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

static void on_ready(uv_poll_t *h, int status, int events);

static void watch(struct channel *c)
{
	int want = UV_READABLE | (c->want_write ? UV_WRITABLE : 0);

	if (!c->closed && want != c->watching) {
		uv_poll_start(&c->poll, want, on_ready);
		c->watching = want;
	}
}

static void flush(struct channel *c)
{
	bool had = c->want_write;

	c->want_write = false;
	while (c->first && !c->closed) {
		ssize_t n = send_one(c->fd, c->first);

		if (n == -EAGAIN || n == -ENOBUFS) {
			c->want_write = true;
			break;
		}
		if (n < 0 && n != -EINTR) {
			channel_close(c, "the other side is gone");
			return;
		}
		if (n >= 0) {
			struct channel_out *o = c->first;

			c->first = o->next;
			if (!c->first)
				c->last = NULL;
			channel_out_free(o);
		}
	}
	if (had != c->want_write)
		watch(c);
}

static void on_tail(struct loop_tail *t)
{
	struct channel *c = (struct channel *)(void *)((char *)t - offsetof(struct channel, tail));

	if (!c->want_write)
		flush(c);
}

static void enqueue(struct channel *c, struct channel_out *o, uint16_t kind, uint16_t flags, uint32_t id)
{
	uint8_t *p = (uint8_t *)o->b.p;

	p[0] = (uint8_t)(kind >> 8), p[1] = (uint8_t)kind;
	p[2] = (uint8_t)(flags >> 8), p[3] = (uint8_t)flags;
	be32_put(p + 4, id);
	if (c->last)
		c->last->next = o;
	else
		c->first = o;
	c->last = o;
	loop_at_tail(&c->tail);
}

/* ---- life ---- */

static void release(struct channel *c)
{
	if (c->users == 0 && c->handle_closed) {
		free(c->scratch);
		free(c);
	}
}

static void on_closed(uv_handle_t *h)
{
	struct channel *c = h->data;

	c->handle_closed = true;
	if (c->config.closed)
		c->config.closed(c->config.arg, c, c->why, c->offense);
	release(c);
}

void channel_close(struct channel *c, const char *why)
{
	if (!c || c->closed)
		return;
	c->closed = true;
	strncat(c->why, why, sizeof c->why - 1);
	uv_close((uv_handle_t *)&c->poll, on_closed);
	close(c->fd);
	while (c->first) {
		struct channel_out *o = c->first;

		c->first = o->next;
		channel_out_free(o);
	}
	c->last = NULL;
	for (unsigned i = 0; i < PENDING_SLOTS; i++)
		for (struct pending *p = c->pending[i]; p; p = p->next)
			fiber_wake(p->fiber);
	fiber_signal_all(&c->credit);
}

void channel_offense(struct channel *c, const char *what)
{
	if (c && !c->closed) {
		c->offense = true;
		channel_close(c, what);
	}
}

bool channel_is_open(const struct channel *c)
{
	return c && !c->closed;
}

enum role channel_peer(const struct channel *c, uint8_t *ret_instance)
{
	if (ret_instance)
		*ret_instance = c->config.instance;
	return c->config.peer;
}

void *channel_arg(const struct channel *c)
{
	return c->config.arg;
}

int channel_pair(int ret_fd[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fd) < 0)
		return -1;
	for (int i = 0; i < 2; i++) { /* room for a few of the largest messages */
		int size = 8 * LIMIT_CHANNEL_MESSAGE;

		setsockopt(ret_fd[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	}
	return 0;
}

struct channel *channel_new(int fd, const struct channel_config *config)
{
	struct channel *c = calloc(1, sizeof *c);

	if (c)
		c->scratch = malloc(LIMIT_CHANNEL_MESSAGE + 1);
	if (!c || !c->scratch || uv_poll_init(loop_uv(loop_self()), &c->poll, fd) < 0) {
		if (c)
			free(c->scratch);
		free(c);
		close(fd);
		return NULL;
	}
	c->config = *config;
	c->fd = fd;
	c->poll.data = c;
	c->tail.run = on_tail;
	watch(c);
	return c;
}

/* ---- asking ---- */

static int from_error_answer(struct channel_answer *hold, err *e)
{
	struct rd r = rd_of(hold->body);
	enum err_kind kind = (enum err_kind)rd_u8(&r);
	slice text = rd_bytes(&r, sizeof e->text);

	if (r.bad || kind == ERR_NONE || kind > ERR_CANCELED) {
		kind = ERR_TEMP;
		text = S("the other side failed");
	}
	err_set_at(e, kind, 0, ERR_WHERE, "%" SLICE_FMT, SLICE_ARG(text));
	channel_answer_free(hold);
	return -1;
}

static int no_answer(const struct channel *c, int rc, err *e)
{
	if (c->closed)
		return err_set(e, ERR_CLOSED, "%s ended meanwhile", role_name(c->config.peer));
	if (rc == -ECANCELED)
		return err_set(e, ERR_CANCELED, "cancelled");
	return err_set(e, ERR_TIMEOUT, "%s does not answer", role_name(c->config.peer));
}

static void give_credit(struct channel *c)
{
	c->asked--;
	fiber_signal_one(&c->credit);
}

/*
 * The asker gives up. The other side still works on the question, so the credit comes back with the answer:
 * else slow answers would let us have more questions under way than the other side must bear.
 */
static void leave(struct channel *c, struct pending **at, const struct pending *me)
{
	while (*at && *at != me)
		at = &(*at)->next;
	if (*at)
		*at = me->next;
	c->abandoned++;
}

int channel_ask(struct channel *c, uint16_t kind, struct channel_out *out, struct channel_answer *hold,
	uint64_t deadline, err *e)
{
	int rc = 0;

	*hold = (struct channel_answer){0};
	if (!c || c->closed) {
		channel_out_free(out);
		return err_set(e, ERR_CLOSED, "the other role is not there");
	}
	c->users++;
	while (!c->closed && c->asked >= LIMIT_CHANNEL_CREDITS && rc == 0)
		rc = fiber_signal_wait(&c->credit, deadline);
	if (c->closed || rc < 0) {
		channel_out_free(out);
		rc = no_answer(c, rc, e);
		c->users--;
		release(c);
		return rc;
	}
	struct pending me = {.fiber = fiber_self(), .hold = hold, .id = ++c->next_id}, **at;

	at = &c->pending[me.id & (PENDING_SLOTS - 1)];
	me.next = *at;
	*at = &me;
	c->asked++;
	enqueue(c, out, kind, 0, me.id);
	while (!me.done && !c->closed && rc == 0)
		rc = fiber_park(deadline);
	if (me.done)
		give_credit(c);
	else
		leave(c, at, &me);
	if (me.done)
		rc = me.flags & FLAG_ERROR ? from_error_answer(hold, e) : 0;
	else
		rc = no_answer(c, rc, e);
	c->users--;
	release(c);
	return rc;
}

/* ---- answering ---- */

slice channel_request_body(const struct channel_request *r)
{
	return r->body;
}

struct channel_fds *channel_request_fds(struct channel_request *r)
{
	return &r->fds;
}

struct channel *channel_request_channel(const struct channel_request *r)
{
	return r->c;
}

void channel_answer(struct channel_request *r, struct channel_out *out)
{
	assert(!r->answered);
	r->answered = true;
	if (r->c->closed)
		channel_out_free(out);
	else
		enqueue(r->c, out, r->kind, FLAG_ANSWER, r->id);
}

void channel_answer_error(struct channel_request *r, enum err_kind kind, const char *text)
{
	struct channel_out *out = channel_out_new();

	assert(!r->answered);
	r->answered = true;
	if (!out || r->c->closed) {
		channel_out_free(out);
		return;
	}
	wire_put_u8(&out->b, (uint8_t)kind);
	wire_put_bytes(&out->b, slice_sub(slice_of(text), 0, sizeof((err *)0)->text - 1));
	enqueue(r->c, out, r->kind, FLAG_ANSWER | FLAG_ERROR, r->id);
}

static void request_free(struct channel_request *r)
{
	fds_close(&r->fds);
	free(r->block);
	free(r);
}

static void handle(void *arg)
{
	struct channel_request *r = arg;
	struct channel *c = r->c;

	c->config.handlers[r->kind](r, c->config.arg);
	if (!r->answered)
		channel_answer_error(r, ERR_TEMP, "no answer was made");
	request_free(r);
	c->answering--;
	c->users--;
	release(c);
}

static void take_answer(struct channel *c, uint32_t id, uint16_t flags, slice body, struct channel_fds *fds)
{
	struct pending **at = &c->pending[id & (PENDING_SLOTS - 1)];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	if (!*at) {
		fds_close(fds);
		if (c->abandoned == 0) {
			channel_offense(c, "an answer to nothing");
			return;
		}
		c->abandoned--; /* its asker has given up */
		give_credit(c);
		return;
	}
	struct pending *p = *at;

	*at = p->next;
	p->hold->block = malloc(body.n + 1);
	if (!p->hold->block) {
		fds_close(fds);
		channel_close(c, "out of memory");
		return;
	}
	memcpy(p->hold->block, body.p, body.n);
	p->hold->body = slice_make(p->hold->block, body.n);
	p->hold->fds = *fds;
	p->flags = flags;
	p->done = true;
	fiber_wake(p->fiber);
}

static void take_request(struct channel *c, uint16_t kind, uint32_t id, slice body, struct channel_fds *fds)
{
	const struct message_rule *rule = kind < MESSAGE_COUNT ? &message_rules[kind] : NULL;
	struct channel_request *r = NULL;

	if (!rule || !(rule->from & 1u << c->config.peer) || !(rule->to & 1u << c->config.self) ||
		!c->config.handlers[kind]) {
		fds_close(fds);
		channel_offense(c, "a message it may not send");
		return;
	}
	if (c->answering < 2 * LIMIT_CHANNEL_CREDITS)
		r = calloc(1, sizeof *r);
	if (r)
		r->block = malloc(body.n + 1);
	if (!r || !r->block) {
		free(r);
		fds_close(fds);
		channel_offense(c, "more questions than it has credits");
		return;
	}
	memcpy(r->block, body.p, body.n);
	r->c = c;
	r->body = slice_make(r->block, body.n);
	r->fds = *fds;
	r->id = id;
	r->kind = kind;
	c->answering++;
	c->users++;
	if (!fiber_start(rule->name, handle, r)) {
		channel_answer_error(r, ERR_TEMP, "too much at once");
		request_free(r);
		c->answering--;
		c->users--;
	}
}

static void collect_fds(struct msghdr *m, struct channel_fds *fds)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int got[CHANNEL_FDS_MAX];

		n = n > CHANNEL_FDS_MAX ? CHANNEL_FDS_MAX : n;
		memcpy(got, CMSG_DATA(h), n * sizeof(int));
		for (size_t i = 0; i < n; i++) {
			if (fds->n < CHANNEL_FDS_MAX)
				fds->fd[fds->n++] = got[i];
			else
				close(got[i]);
		}
	}
}

/* One message. False: nothing more now, or the channel has ended. */
static bool read_one(struct channel *c)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
	} control;
	struct iovec v = {c->scratch, LIMIT_CHANNEL_MESSAGE + 1};
	struct msghdr m = {.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof control.space};
	struct channel_fds fds = {0};
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (n <= 0) {
		channel_close(c, "the other side is gone");
		return false;
	}
	collect_fds(&m, &fds);
	if (n < HEADER || n > LIMIT_CHANNEL_MESSAGE || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		fds_close(&fds);
		channel_offense(c, "a frame of a wrong size");
		return false;
	}
	const uint8_t *p = (const uint8_t *)c->scratch;
	uint16_t kind = (uint16_t)(p[0] << 8 | p[1]), flags = (uint16_t)(p[2] << 8 | p[3]);
	uint32_t id = be32_get(p + 4);
	slice body = slice_make(c->scratch + HEADER, (size_t)n - HEADER);

	if (flags & FLAG_ANSWER)
		take_answer(c, id, flags, body, &fds);
	else
		take_request(c, kind, id, body, &fds);
	return !c->closed;
}

static void on_ready(uv_poll_t *h, int status, int events)
{
	struct channel *c = h->data;

	if (status < 0) {
		channel_close(c, "the other side is gone");
		return;
	}
	if (events & UV_WRITABLE)
		flush(c);
	if (!c->closed && (events & UV_READABLE))
		for (int i = 0; i < READ_BATCH && read_one(c); i++)
			;
}

/* ---- content in memory files ---- */

int content_file_new(void)
{
	return memfd_create("content", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

int content_file_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS);
}

slice content_file_map(int fd, size_t n)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		(uint64_t)st.st_size != n || n == 0)
		return (slice){0, 0};
	void *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? (slice){0, 0} : slice_make(p, n);
}

void content_file_unmap(slice s)
{
	if (s.p)
		munmap((void *)(uintptr_t)s.p, s.n);
}

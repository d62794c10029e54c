/* The loop threads and the sessions on them. */
#include "base/log.h"
#include "imap/session.h"
#include "limits.h"
#include "pop3/session.h"
#include "roles/backend/backend.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_MS 3000
#define PEER_MAX 64

struct back_session { /* travels to its loop as a posted message, then lives there */
	struct loop_message message;
	struct back_loop *l;
	struct back_session *next, *prev;
	struct fiber *fiber;
	struct imap_session_config imap;
	uint64_t pop3_timeout;
	uint32_t pop3_newest;
	uint8_t options;
	uint32_t account, errors_max;
	uint8_t protocol;
	int fd;
	char tag[LIMIT_IMAP_TAG + 1], peer[PEER_MAX + 1];
	struct stream *io;
	char *admin;   /* for imap.admin */
	size_t rest_n; /* what the frontend had read ahead stands behind the struct */
	char rest[];
};

static void talk(struct back_session *s)
{
	struct back_loop *l = s->l;

	if (s->protocol == PROTOCOL_IMAP || s->protocol == PROTOCOL_IMAPS) {
		struct imap_start start = {
			.io = s->io,
			.store = l->b->store,
			.codec = l->codec,
			.watch_loop = l->watch,
			.account = s->account,
			.tag = slice_of(s->tag),
			.config = &s->imap,
		};

		imap_session_run(&start);
		stream_close(s->io);
		return;
	}
	struct pop3_session pop3 = {.io = s->io,
		.store = l->b->store,
		.account = s->account,
		.errors_max = s->errors_max,
		.timeout_ms = s->pop3_timeout,
		.newest = s->pop3_newest,
		.options = s->options};

	pop3_session_run(&pop3);
	if (pop3.fetched + pop3.deleted > 0)
		log_event(LOG_INFO, "pop3_session", F_STR("address", s->peer), F_U64("account", s->account),
			F_U64("fetched", pop3.fetched), F_U64("deleted", pop3.deleted));
	stream_close(s->io);
}

static void session_end(struct back_session *s)
{
	struct back_loop *l = s->l;

	if (s->next)
		s->next->prev = s->prev;
	if (s->prev)
		s->prev->next = s->next;
	else
		l->sessions = s->next;
	l->sessions_n--;
	free(s->admin);
	free(s);
}

static void session_fiber(void *arg)
{
	struct back_session *s = arg;

	talk(s);
	session_end(s);
}

/* On the session's loop. The stream is made here: a loop's handles belong to its thread. */
static void session_begin(struct loop_message *m)
{
	struct back_session *s = (struct back_session *)(void *)m;
	struct back_loop *l = s->l;

	s->io = stream_new(s->fd);
	bool good = s->io && !l->draining && stream_unread(s->io, slice_make(s->rest, s->rest_n)) == 0;
	s->fiber = good ? fiber_start(settings_protocols[s->protocol].word, session_fiber, s) : NULL;
	if (!s->fiber) {
		stream_free(s->io);
		free(s->admin);
		free(s);
		return;
	}
	s->next = l->sessions;
	if (l->sessions)
		l->sessions->prev = s;
	l->sessions = s;
	l->sessions_n++;
}

static void put_text(char *to, size_t max, slice from)
{
	size_t n = from.n < max ? from.n : max;

	if (n)
		memcpy(to, from.p, n);
	to[n] = 0;
}

/* Sessions of an account share a loop: its pages are warm there. Correctness never depends on it. */
static struct back_loop *loop_for(struct backend *b, uint32_t account)
{
	return &b->loops[account * 2654435761u % b->loops_n];
}

static bool is_mailbox_protocol(uint8_t p)
{
	return p == PROTOCOL_IMAP || p == PROTOCOL_IMAPS || p == PROTOCOL_POP3 || p == PROTOCOL_POP3S;
}

/* "mailto:" and the first address of `admin`, made fit for a URI (RFC 6068 2). */
static void note_admin(struct back_session *s, const struct slices *admin)
{
	slice address = admin->n ? admin->v[0] : (slice){NULL, 0};
	struct buf uri = BUF_INIT(2048);

	if (address.n == 0)
		return;
	buf_addz(&uri, "mailto:");
	for (size_t i = 0; i < address.n; i++) {
		char c = address.p[i];
		bool plain = ascii_is_alpha(c) || ascii_is_digit(c) || (c && strchr("-._~@+!$*", c));

		if (plain)
			buf_add_c(&uri, c);
		else
			buf_addf(&uri, "%%%02X", (unsigned)(unsigned char)c);
	}
	s->admin = uri.failed ? NULL : malloc(uri.n);
	if (s->admin)
		memcpy(s->admin, uri.p, uri.n);
	s->imap.admin = slice_make(s->admin, s->admin ? uri.n : 0);
	buf_free(&uri);
}

void back_on_session(struct channel_request *q, void *arg)
{
	struct backend *b = backend_of(arg);
	const struct settings *c = b->role->settings;
	struct msg_session m;
	uint32_t account;
	err e = {0};

	if (!msg_session_take(q, &m))
		return;
	if (m.socket < 0 || !is_mailbox_protocol(m.protocol) || b->role->draining ||
		back_redeem(b, channel_request_channel(q), m.ticket, m.protocol, &account, &e) < 0) {
		if (m.socket >= 0)
			close(m.socket);
		log_event(LOG_WARN, "session_refused", F_SLICE("address", m.peer), F_STR("why", e.text));
		channel_answer_error(q, ERR_TEMP, "the session was not taken");
		return;
	}
	struct back_session *s = calloc(1, sizeof *s + m.rest.n);
	if (!s) {
		close(m.socket);
		channel_answer_error(q, ERR_TEMP, "no memory");
		return;
	}
	s->l = loop_for(b, account);
	s->imap = (struct imap_session_config){.message_max = c->limit_message,
		.silence_ms = c->timeout_imap_idle,
		.errors_max = (uint32_t)c->limit_errors,
		.messages_max = (uint32_t)c->limit_imap_messages,
		.keepalive_ms = c->imap_keepalive};
	note_admin(s, &c->admin);
	s->pop3_timeout = c->timeout_pop3;
	s->pop3_newest = (uint32_t)c->pop3_newest;
	s->options = m.options;
	s->errors_max = (uint32_t)c->limit_errors;
	s->account = account;
	s->protocol = m.protocol;
	s->fd = m.socket;
	put_text(s->tag, LIMIT_IMAP_TAG, m.tag);
	put_text(s->peer, PEER_MAX, m.peer);
	s->rest_n = m.rest.n;
	if (m.rest.n)
		memcpy(s->rest, m.rest.p, m.rest.n);
	s->message.run = session_begin;
	b->sessions_total++;
	loop_post(s->l->loop, &s->message);
	msg_session_answer(q, &(struct msg_session_reply){.taken = 1});
}

unsigned back_sessions(const struct backend *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->loops_n; i++)
		n += b->loops[i].sessions_n;
	return n;
}

/* ---- the threads ---- */

struct order { /* posted to a loop */
	struct loop_message message;
	struct back_loop *l;
};

static void drain_here(struct loop_message *m)
{
	struct order *o = (struct order *)(void *)m;

	o->l->draining = true;
	for (struct back_session *s = o->l->sessions; s; s = s->next)
		fiber_cancel(s->fiber);
	free(o);
}

static void stop_here(struct loop_message *m)
{
	struct order *o = (struct order *)(void *)m;

	loop_stop(o->l->loop);
	free(o);
}

static void order_loop(struct back_loop *l, void (*run)(struct loop_message *))
{
	struct order *o = calloc(1, sizeof *o);

	if (!o)
		return;
	o->l = l;
	o->message.run = run;
	loop_post(l->loop, &o->message);
}

void back_loops_drain(struct backend *b)
{
	uint64_t until = loop_now() + DRAIN_MS;

	for (unsigned i = 0; i < b->loops_n; i++)
		order_loop(&b->loops[i], drain_here);
	while (back_sessions(b) > 0 && loop_now() < until && fiber_sleep(5) == 0)
		;
}

static void keep(void *arg)
{
	(void)arg;
	while (fiber_park(FOREVER) == 0)
		;
}

struct thread_start {
	struct back_loop *l;
	pthread_barrier_t *ready;
};

static void *loop_thread(void *arg)
{
	const struct thread_start *t = arg;
	struct back_loop *l = t->l;

	l->loop = loop_new("backend");
	l->keeper = l->loop ? fiber_start("main", keep, l) : NULL;
	if (l->loop)
		role_watch_loop(l->loop);
	pthread_barrier_wait(t->ready);
	if (l->keeper)
		loop_run(l->loop);
	return NULL;
}

/* Started inside the sandbox and before the store's threads: a watcher's loop must be known by then. */
int back_loops_start(struct backend *b, err *e)
{
	uint64_t want = b->role->settings->backend_threads;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = want ? (unsigned)want : cores > 1 ? (unsigned)cores : 1;

	b->loops_n = n > LOOPS_MAX ? LOOPS_MAX : n;
	for (unsigned i = 0; i < b->loops_n; i++) {
		struct back_loop *l = &b->loops[i];

		*l = (struct back_loop){.b = b, .index = i, .codec = mailbox_codec_new()};
		if (!l->codec)
			return err_set(e, ERR_TEMP, "no memory");
		if (i == 0) {
			l->loop = b->role->loop;
		} else {
			pthread_barrier_t ready;
			struct thread_start start = {l, &ready};

			pthread_barrier_init(&ready, NULL, 2);
			if (pthread_create(&l->thread, NULL, loop_thread, &start) != 0)
				return err_set(e, ERR_TEMP, "cannot start a loop thread");
			pthread_barrier_wait(&ready);
			pthread_barrier_destroy(&ready);
			if (!l->keeper)
				return err_set(e, ERR_TEMP, "no memory for a loop");
		}
		l->watch = watchers_add_loop(b->watchers, l->loop);
		if (!l->watch)
			return err_set(e, ERR_TEMP, "no memory for a loop");
	}
	return 0;
}

void back_loops_end(struct backend *b)
{
	for (unsigned i = 1; i < b->loops_n; i++) {
		order_loop(&b->loops[i], stop_here);
		pthread_join(b->loops[i].thread, NULL);
	}
}

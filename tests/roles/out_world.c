#include "out_world.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/wire.h"
#include "io/listen.h"
#include "io/stream.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SERVERS_MAX 32

/* ---- mail servers ---- */

struct talk {
	struct world *w;
	struct world_server *s;
	struct stream *io;
	unsigned messages;
	bool in, full;
};

static bool say(struct talk *t, const char *text)
{
	return stream_printf(t->io, "%s\r\n", text) == 0 && stream_flush(t->io) == 0;
}

static const char *or_good(const char *text, const char *good)
{
	return text ? text : good;
}

static bool say_ehlo(struct talk *t)
{
	slice rest = slice_of(or_good(t->s->ehlo, "PIPELINING;8BITMIME;SIZE;ENHANCEDSTATUSCODES;DSN;")), word;

	stream_printf(t->io, "250-%s\r\n", t->s->ip);
	if ((t->s->tls || t->s->tls_broken) && !stream_is_tls(t->io))
		stream_printf(t->io, "250-STARTTLS\r\n");
	while (slice_cut(&rest, ';', &word))
		stream_printf(t->io, "250-%.*s\r\n", (int)word.n, word.p);
	return say(t, "250 HELP");
}

/* The local part says what becomes of a recipient. */
static const char *rcpt_reply(slice line)
{
	static const struct {
		const char *local, *reply;
	} rules[] = {{"<bad", "550 5.1.1 no such user"}, {"<later", "450 4.2.1 come back later"},
		{"<gone", "421 4.3.2 going down"}};

	for (size_t i = 0; i < COUNT_OF(rules); i++)
		if (slice_find(line, slice_of(rules[i].local)) >= 0)
			return rules[i].reply;
	return "250 2.1.5 fine";
}

static void note_envelope(struct talk *t, slice line, bool first)
{
	size_t n = first ? 0 : strlen(t->s->envelope);

	snprintf(t->s->envelope + n, sizeof t->s->envelope - n, "%.*s\n", (int)line.n, line.p);
}

static bool take_content(struct talk *t)
{
	slice line;
	size_t n = 0;

	if (!say(t, or_good(t->s->data, "354 go on")) || t->s->data)
		return true;
	while (stream_read_line(t->io, 8192, &line, NULL) >= 0) {
		if (slice_eq(line, S("."))) {
			t->s->last_n = n;
			t->s->last[n < sizeof t->s->last ? n : sizeof t->s->last - 1] = 0;
			t->s->messages++;
			t->messages++;
			if (t->s->slow_ms)
				fiber_sleep(t->s->slow_ms);
			if (t->s->close_at_end)
				return false;
			return say(t, or_good(t->s->end, "250 2.0.0 queued as 42"));
		}
		if (n + line.n + 1 < sizeof t->s->last) {
			memcpy(t->s->last + n, line.p, line.n);
			t->s->last[n + line.n] = '\n';
		}
		n += line.n + 1;
	}
	return false;
}

static bool start_tls(struct talk *t)
{
	const char *why;

	if (!say(t, "220 2.0.0 go on") || t->s->tls_broken)
		return false;
	return stream_start_tls(t->io, t->w->tls, true, &why) == 0;
}

static bool command(struct talk *t, slice line)
{
	if (slice_istarts(line, S("EHLO")))
		return say_ehlo(t);
	if (slice_istarts(line, S("STARTTLS")))
		return start_tls(t);
	if (slice_istarts(line, S("AUTH PLAIN "))) {
		t->in = slice_eq(slice_skip(line, 11), S("AHVzZXIAc2VjcmV0")); /* \0user\0secret */
		return say(t, t->in ? "235 2.7.0 welcome" : "535 5.7.8 no");
	}
	if (slice_istarts(line, S("MAIL"))) {
		note_envelope(t, line, true);
		return say(
			t, t->s->login && !t->in ? "530 5.7.0 log in" : or_good(t->s->mail, "250 2.1.0 ok"));
	}
	if (slice_istarts(line, S("RCPT"))) {
		note_envelope(t, line, false);
		const char *reply = rcpt_reply(line);

		t->full |= reply[0] == '2';
		return say(t, reply) && strncmp(reply, "421", 3) != 0;
	}
	if (slice_istarts(line, S("DATA")))
		return t->full ? take_content(t) : say(t, "503 5.5.1 for whom?");
	if (slice_istarts(line, S("RSET"))) {
		t->s->resets++;
		return say(t, "250 2.0.0 ok");
	}
	if (slice_istarts(line, S("QUIT"))) {
		(void)say(t, "221 2.0.0 bye");
		return false;
	}
	return say(t, "500 5.5.1 what?");
}

static void talk(void *arg)
{
	struct talk *t = arg;
	struct world_server *s = t->s;
	slice line;

	s->connections++;
	s->open++;
	s->most = s->open > s->most ? s->open : s->most;
	stream_timeout(t->io, 30000);
	if (s->mute)
		(void)stream_read_line(t->io, 1000, &line, NULL);
	else if (say(t, or_good(s->banner, "220 mail.test ESMTP")) &&
		 slice_starts(slice_of(or_good(s->banner, "220")), S("220")))
		while (stream_read_line(t->io, 4096, &line, NULL) >= 0 && command(t, line) &&
			(s->hang_up_after == 0 || t->messages < s->hang_up_after))
			;
	s->open--;
	stream_close(t->io);
	free(t);
}

static void accepted(void *arg, int fd)
{
	struct world *w = arg;
	struct sockaddr_in a = {0};
	socklen_t n = sizeof a;
	char ip[46];
	struct talk *t = calloc(1, sizeof *t);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	inet_ntop(AF_INET, &a.sin_addr, ip, sizeof ip);
	int on = 1;
	setsockopt(
		fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* answers of a pipeline go out one by one */
	*t = (struct talk){.w = w, .io = stream_new(fd)};
	for (size_t i = 0; i < w->servers_n; i++)
		if (strcmp(w->servers[i].ip, ip) == 0)
			t->s = &w->servers[i];
	assert_non_null(t->s);
	assert_non_null(fiber_start("server", talk, t));
}

/* All on one port, each on its own address; the first finds a free one. */
static struct listener *listen_at(struct world *w, const char *ip)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(w->port)};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	inet_pton(AF_INET, ip, &a.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	w->port = ntohs(a.sin_port);
	return listener_new(fd, accepted, w);
}

/* ---- resolver and auth ---- */

static void on_resolve(struct channel_request *q, void *arg)
{
	struct world *w = arg;
	struct msg_resolve m;
	struct buf b = BUF_INIT(LIMIT_CHANNEL_INLINE);
	bool known = false;

	if (!msg_resolve_take(q, &m))
		return;
	for (size_t i = 0; i < w->zone_n; i++)
		if (slice_eq(m.name, slice_of(w->zone[i].name))) {
			known = true;
			if (w->zone[i].type == (enum dns_type)m.type)
				wire_put_bytes(&b, w->zone[i].rdata);
		}
	enum dns_status status = b.n ? DNS_OK : known ? DNS_NODATA : DNS_NXDOMAIN;
	if (slice_ends(m.name, S("temp.test")))
		status = DNS_TEMP;
	msg_resolve_answer(q, &(struct msg_resolve_reply){.status = (uint8_t)status,
				      .secure = !slice_starts(m.name, S("unproved.")),
				      .ttl = 60,
				      .records = buf_slice(&b)});
	buf_free(&b);
}

static void on_secret(struct channel_request *q, void *arg)
{
	struct world *w = arg;
	struct msg_relay_secret m;

	if (!msg_relay_secret_take(q, &m))
		return;
	w->secrets++;
	if (m.route == 9)
		channel_answer_error(q, ERR_MISSING, "no such secret");
	else
		msg_relay_secret_answer(q, &(struct msg_relay_secret_reply){.secret = S("secret")});
}

/* ---- certificates ---- */

static int sign(void *arg, uint32_t id, uint16_t scheme, slice tbs, struct buf *ret_signature)
{
	const struct world *w = arg;
	err e;

	(void)id;
	return key_tls_sign(w->key, scheme, tbs, ret_signature, &e);
}

static void make_certificate(struct world *w)
{
	const slice names[] = {S("tls.test")};
	struct buf key = BUF_INIT(65536);
	err e;

	w->certificate = BUF_INIT(65536);
	assert_int_equal(tls_library_init(&e), 0);
	assert_int_equal(key_selfsigned_make(names, 1, clock_wall_s(), &key, &w->certificate, &e), 0);
	w->key = key_load(buf_slice(&key), &e);
	assert_non_null(w->key);
	w->tls = tls_server_context_new(buf_slice(&w->certificate), 0, sign, w, &e);
	assert_non_null(w->tls);
	buf_free(&key);
	w->out.roots = content_file_new();
	assert_int_equal(write(w->out.roots, w->certificate.p, w->certificate.n), w->certificate.n);
}

static void free_certificate(struct world *w)
{
	tls_context_free(w->tls);
	tls_context_free(w->out.tls[0]);
	tls_context_free(w->out.tls[1]);
	key_free(w->key);
	buf_free(&w->certificate);
	close(w->out.roots);
}

/* ---- the role ---- */

static void backend_gone(void *arg, struct channel *c, const char *why, bool offense)
{
	(void)c;
	(void)why;
	assert_false(offense);
	out_work_cancel(((struct role_run *)arg)->state, true);
}

static struct channel *join(struct world *w, enum role peer, channel_handler *const *handlers)
{
	static channel_handler *const none[MESSAGE_COUNT];
	int pair[2];

	assert_int_equal(channel_pair(pair), 0);
	w->role.peers[peer][0] =
		channel_new(pair[0], &(struct channel_config){ROLE_OUTBOUND, peer, 0, w->role.table, &w->role,
					     peer == ROLE_BACKEND ? backend_gone : NULL});
	return channel_new(pair[1],
		&(struct channel_config){peer, ROLE_OUTBOUND, 0, handlers ? handlers : none, w, NULL});
}

static void run(void *arg)
{
	struct world *w = arg;

	w->run(w);
	w->done = true;
	channel_close(w->backend, "done");
	out_pool_drain(w->out.pool);
	fiber_sleep(50); /* the goodbyes */
	loop_stop(loop_self());
}

void world_run(struct world *w)
{
	channel_handler *resolver[MESSAGE_COUNT] = {[MESSAGE_RESOLVE] = on_resolve},
			*auth[MESSAGE_COUNT] = {[MESSAGE_RELAY_SECRET] = on_secret};
	struct listener *listeners[SERVERS_MAX];
	struct loop *l = loop_new("test");

	log_setup("outbound", getenv("TEST_LOG") ? LOG_DEBUG : LOG_ERROR, LOG_FORMAT_LOGFMT, false);
	w->arena = arena_new(16u << 20);
	w->role.settings = settings_new();
	w->role.loop = l;
	w->role.state = &w->out;
	w->role.table[MESSAGE_TRANSMIT] = out_on_transmit;
	w->role.table[MESSAGE_ROUTE_TEST] = out_on_route_test;
	w->out = (struct outbound){.role = &w->role, .roots = -1, .pool = out_pool_new()};
	make_certificate(w);
	for (size_t i = 0; i < w->servers_n; i++)
		listeners[i] = listen_at(w, w->servers[i].ip);
	w->role.settings->host = S("me.test");
	w->role.settings->outbound_port = w->port;
	w->role.settings->outbound_connect = 500;
	w->backend = join(w, ROLE_BACKEND, NULL);
	struct channel *ends[] = {join(w, ROLE_RESOLVER, resolver), join(w, ROLE_AUTH, auth)};
	assert_non_null(fiber_start("test", run, w));
	loop_run(l);
	assert_true(w->done);
	for (size_t i = 0; i < w->servers_n; i++)
		listener_free(listeners[i]);
	for (size_t i = 0; i < COUNT_OF(ends); i++)
		channel_close(ends[i], "done");
	loop_run(l);
	struct out_pool_stats stats;
	out_pool_stats(w->out.pool, &stats);
	assert_int_equal(stats.open, 0);
	assert_int_equal(stats.waiting, 0);
	assert_int_equal(w->out.works_n, 0);
	assert_int_equal(w->out.converted, 0);
	free_certificate(w);
	out_pool_free(w->out.pool);
	settings_free(w->role.settings);
	arena_free(w->arena);
	loop_free(l);
}

/* ---- the backend ---- */

struct transmit_job world_job(struct world *w, const char *sender, const char *recipient)
{
	struct transmit_recipient *r = arena_new_1(w->arena, struct transmit_recipient);
	slice address = slice_of(recipient);

	r->address = address;
	return (struct transmit_job){.id = {1},
		.domain = slice_skip(address, (size_t)(slice_rfind_c(address, '@') + 1)),
		.sender = slice_of(sender),
		.needs = 255,
		.recipients = r,
		.n = 1};
}

int world_send(
	struct world *w, const struct transmit_job *j, slice content, struct transmit_result *ret, err *e)
{
	struct buf job = BUF_INIT(TRANSMIT_JOB_MAX);
	struct msg_transmit m = {.body_size = content.n, .body_file = -1};
	struct msg_transmit_reply reply;
	struct channel_answer hold;
	AUTO_FD file = -1;

	transmit_job_encode(&job, j);
	assert_false(job.failed);
	m.job = buf_slice(&job);
	if (content.n <= LIMIT_CHANNEL_INLINE) {
		m.body = content;
	} else {
		file = content_file_new();
		assert_int_equal(write(file, content.p, content.n), content.n);
		assert_int_equal(content_file_seal(file), 0);
		m.place = 1;
		m.body_file = file;
	}
	int rc = ask_transmit(w->backend, &m, &reply, &hold, loop_now() + 60000, e);

	buf_free(&job);
	if (rc < 0)
		return -1;
	rc = transmit_result_decode(arena_copy(w->arena, reply.result), w->arena, ret, e);
	channel_answer_free(&hold);
	return rc;
}

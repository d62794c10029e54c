/* `route test`: goes the way a message would take up to the greeting and the log-in, and shows what was said.
 */
#include "base/log.h"
#include "queue/route.h"
#include "roles/outbound/outbound.h"
#include <stdio.h>
#include <stdlib.h>

#define DIALOGUE_MAX 32000
#define TEXT_MAX     600
#define TEST_MS      120000 /* a person waits */
#define ARENA        (4u << 20)

struct testing {
	struct outbound *o;
	struct out_work work;
	struct transmit_job job;
	struct arena *arena;
	struct buf dialogue;
	struct smtp_reply reply;
	char secret[LIMIT_SECRET];
	char text[TEXT_MAX];
	bool good;
};

static void say(void *arg, bool out, slice line)
{
	struct testing *t = arg;

	if (t->dialogue.n + line.n + 4 > t->dialogue.max)
		return;
	buf_add(&t->dialogue, out ? S("C: ") : S("S: "));
	buf_add(&t->dialogue, line);
	buf_add_c(&t->dialogue, '\n');
}

static void say_own(struct testing *t, const char *host, const char *ip, const char *what)
{
	char line[400];

	snprintf(line, sizeof line, "-- %s%s%s%s: %s\n", host, ip[0] ? " (" : "", ip, ip[0] ? ")" : "", what);
	if (t->dialogue.n + strlen(line) <= t->dialogue.max)
		buf_addz(&t->dialogue, line);
}

static void conclude(struct testing *t, struct out_conn *c)
{
	bool verified;
	const char *tls = smtp_client_tls_info(c->client, &verified);

	t->good = true;
	snprintf(t->text, sizeof t->text, "%s (%s) is ready for mail%s%s%s%s%s", c->peer, c->ip,
		tls ? ", " : ", without TLS", tls ? tls : "",
		tls && verified ? ", its certificate is good" : "",
		tls && !verified ? ", its certificate is not good: " : "",
		tls && !verified ? smtp_client_tls_why(c->client) : "");
}

/* True: one of its addresses greeted us. */
static bool try_host(struct testing *t, const struct out_way *way, slice name)
{
	const struct transmit_route *r = &t->job.route;
	struct out_want want = {
		.name = name, .port = way->port, .kind = way->kind, .dialogue = say, .arg = t};
	char host[256], ip[46] = "";

	snprintf(host, sizeof host, "%.*s", (int)(name.n < 255 ? name.n : 255), name.p);
	want.v = out_way_addresses(t->o, way, name, t->arena, &want.n, &t->reply);
	if (!want.v) {
		say_own(t, host, "", t->reply.text);
		return false;
	}
	if (way->relay && r->user.n) {
		err e;

		want.user = r->user;
		want.secret.p = t->secret;
		want.mechanism = r->mechanism;
		want.clear_ok = r->flags & ROUTE_CLEAR_OK;
		if (out_secret(t->o, r->id, t->secret, &want.secret.n, &e) < 0) {
			out_reply(&t->reply, SMTP_AT_CONNECT, 0, 0, 0, "the password is not at hand: %s",
				e.text);
			say_own(t, host, "", t->reply.text);
			return false;
		}
	}
	while (want.n > 0 && !fiber_canceled()) {
		struct out_conn *c;
		size_t used;

		if (out_connect(t->o, &want, NULL, &c, &used, &t->reply, ip) == OUT_OPEN) {
			conclude(t, c);
			smtp_client_quit(c->client);
			out_conn_free(c);
			return true;
		}
		say_own(t, host, ip, t->reply.text);
		want.v += used;
		want.n -= used;
	}
	return false;
}

static void run(struct testing *t)
{
	struct out_way way;
	bool found = t->job.route.host.n > 0 ? out_way_relay(&t->job, t->arena, &way, &t->reply)
					     : out_way_direct(t->o, &t->job, t->arena, &way, &t->reply);

	for (size_t i = 0; found && !t->good && i < way.n; i++)
		if (try_host(t, &way, way.hosts[i].name))
			return;
	if (t->reply.code)
		snprintf(t->text, sizeof t->text, "%u %s", (unsigned)t->reply.code, t->reply.text);
	else
		snprintf(t->text, sizeof t->text, "%s", t->reply.text);
}

static void test(struct channel_request *q, struct testing *t, slice job)
{
	err e = {0};

	if (transmit_job_decode(job, t->arena, &t->job, &e) < 0) {
		channel_answer_error(q, e.kind, e.text);
		return;
	}
	if (!out_work_begin(t->o, &t->work, loop_now() + TEST_MS)) {
		channel_answer_error(q, ERR_TEMP, "the server is being shut down");
		return;
	}
	run(t);
	out_work_end(t->o, &t->work);
	log_event(LOG_INFO, "route_tested", F_U64("route", t->job.route.id), F_U64("good", t->good),
		F_STR("text", t->text));
	msg_route_test_answer(
		q, &(struct msg_route_test_reply){
			   .good = t->good, .dialogue = buf_slice(&t->dialogue), .text = slice_of(t->text)});
}

void out_on_route_test(struct channel_request *q, void *arg)
{
	struct msg_route_test m;

	if (!msg_route_test_take(q, &m))
		return;
	struct testing *t = calloc(1, sizeof *t);

	if (t)
		t->arena = arena_new(ARENA);
	if (!t || !t->arena) {
		free(t);
		channel_answer_error(q, ERR_TEMP, "no memory for a test");
		return;
	}
	t->o = ((struct role_run *)arg)->state;
	t->dialogue = BUF_INIT(DIALOGUE_MAX);
	test(q, t, m.job);
	explicit_bzero(t->secret, sizeof t->secret);
	buf_free(&t->dialogue);
	arena_free(t->arena);
	free(t);
}

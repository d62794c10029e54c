#include "base/clock.h"
#include "base/log.h"
#include "roles/supervisor/supervisor_int.h"
#include <signal.h>

static void add_role(struct buf *json, struct child *c, bool first)
{
	struct msg_role_status_reply reply = {0};
	struct channel_answer hold = {0};

	buf_addf(json,
		"%s{\"role\":\"%s\",\"instance\":%u,\"pid\":%d,\"up\":%s,\"restarts\":%u,\"uptime_s\":%llu",
		first ? "" : ",", role_name(c->role), c->instance, (int)c->pid, c->up ? "true" : "false",
		c->restarts, (unsigned long long)(c->up ? (clock_boot_ms() - c->started_ms) / 1000 : 0));
	if (c->up && ask_role_status(c->channel, &(struct msg_role_status){0}, &reply, &hold,
			     loop_now() + 2000, NULL) == 0) {
		buf_add_c(json, ',');
		buf_add(json, reply.json);
		channel_answer_free(&hold);
	}
	buf_add_c(json, '}');
}

static void on_supervisor_status(struct channel_request *q, void *arg)
{
	struct supervisor *s = ((struct child *)arg)->s;
	struct msg_supervisor_status m;
	struct buf json = BUF_INIT(49152);

	if (!msg_supervisor_status_take(q, &m))
		return;
	buf_addf(&json,
		"{\"version\":\"%s\",\"pid\":%d,\"uptime_s\":%llu,\"generation\":%llu,\"self_signed\":%s,"
		"\"roles\":[",
		POSTHOUSE_VERSION, (int)getpid(),
		(unsigned long long)((clock_boot_ms() - s->started_ms) / 1000),
		(unsigned long long)s->config.settings->generation, s->self_signed ? "true" : "false");
	for (size_t i = 0; i < s->children_n; i++)
		add_role(&json, &s->children[i], i == 0);
	buf_add_c(&json, ']');
	fiber_census(&json);
	buf_add_c(&json, '}');
	if (json.failed)
		channel_answer_error(q, ERR_LIMIT, "the status is too long");
	else
		msg_supervisor_status_answer(
			q, &(struct msg_supervisor_status_reply){.json = buf_slice(&json)});
	buf_free(&json);
}

/*
 * Whose accusation of whom is believed. Roles that parse the bytes of strangers may be in wrong hands: they
 * cannot have one killed that is trusted more.
 */
static const uint32_t believed[ROLE_COUNT] = {
	[ROLE_FRONTEND] = 1u << ROLE_RESOLVER,
	[ROLE_OUTBOUND] = 1u << ROLE_RESOLVER,
	[ROLE_BACKEND] = 1u << ROLE_FRONTEND | 1u << ROLE_AUTH | 1u << ROLE_OUTBOUND,
	[ROLE_AUTH] = 1u << ROLE_FRONTEND | 1u << ROLE_BACKEND | 1u << ROLE_OUTBOUND,
};

static void on_offense(struct channel_request *q, void *arg)
{
	struct supervisor *s = ((struct child *)arg)->s;
	struct msg_offense m;

	if (!msg_offense_take(q, &m))
		return;
	struct child *c = m.role < ROLE_COUNT ? supervisor_child(s, (enum role)m.role, m.instance) : NULL;
	log_event(LOG_ERROR, "role_offense", F_STR("by", c ? role_name(c->role) : "?"),
		F_STR("to", role_name(((struct child *)arg)->role)), F_SLICE("what", m.text));
	struct child *by = arg;
	/* Their channel is gone: one of the two starts again, and who is not believed is the one. */
	struct child *ends = c && believed[by->role] & 1u << c->role ? c : by;

	if (ends->pid > 0)
		kill(ends->pid, SIGKILL); /* what it may have become must not go on */
	msg_offense_answer(q, &(struct msg_offense_reply){0});
}

void supervisor_handlers(struct supervisor *s)
{
	s->handlers[MESSAGE_SUPERVISOR_STATUS] = on_supervisor_status;
	s->handlers[MESSAGE_OFFENSE] = on_offense;
}

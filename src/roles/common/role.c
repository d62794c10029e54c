#include "roles/common/role.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/worker.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define RETIRE_MS 600000

static void set_log(const struct role_run *r)
{
	log_setup(role_name(r->ops->role), (enum log_level)r->settings->log_level,
		(enum log_format)r->settings->log_format, getenv("JOURNAL_STREAM") != NULL);
}

static void peer_gone(void *arg, struct channel *c, const char *why, bool offense)
{
	struct role_run *r = arg;
	uint8_t instance;
	enum role peer = channel_peer(c, &instance);
	bool ours = r->peers[peer][instance] == c;

	if (ours)
		r->peers[peer][instance] = NULL;
	log_event(offense ? LOG_ERROR : LOG_NOTICE, offense ? "peer_offense" : "peer_gone",
		F_STR("peer", role_name(peer)), F_U64("instance", instance), F_STR("why", why));
	if (ours && r->ops->peer)
		r->ops->peer(r, peer, instance, false);
	fiber_signal_all(&r->peer_changed);
}

/* Tells the supervisor, which ends the offender. On a fiber of its own: the closed callback may not park. */
struct offense {
	struct role_run *r;
	struct msg_offense m;
	char text[100];
};

static void report_offense(void *arg)
{
	struct offense *o = arg;
	struct msg_offense_reply reply;
	struct channel_answer hold;

	o->m.text = slice_of(o->text);
	if (ask_offense(o->r->supervisor, &o->m, &reply, &hold, loop_now() + 5000, NULL) == 0)
		channel_answer_free(&hold);
	free(o);
}

static void peer_closed(void *arg, struct channel *c, const char *why, bool offense)
{
	uint8_t instance;
	enum role peer = channel_peer(c, &instance);

	peer_gone(arg, c, why, offense);
	struct offense *o = offense ? calloc(1, sizeof *o) : NULL;
	if (!o)
		return;
	o->r = arg;
	o->m = (struct msg_offense){.role = (uint8_t)peer, .instance = instance};
	strncat(o->text, why, sizeof o->text - 1);
	if (!fiber_start("offense", report_offense, o))
		free(o);
}

static void on_peer(struct channel_request *q, void *arg)
{
	struct role_run *r = arg;
	struct msg_peer m;

	if (!msg_peer_take(q, &m))
		return;
	if (m.role >= ROLE_COUNT || m.instance >= ROLE_INSTANCES || m.channel < 0) {
		channel_offense(channel_request_channel(q), "bad peer");
		return;
	}
	struct channel_config config = {
		r->ops->role, (enum role)m.role, m.instance, r->table, r, peer_closed};
	struct channel *before = r->peers[m.role][m.instance];

	if (before && r->ops->peer) /* its end may not have been noticed yet: the old one goes first */
		r->ops->peer(r, (enum role)m.role, m.instance, false);
	r->peers[m.role][m.instance] = channel_new(m.channel, &config);
	channel_close(before, "replaced by a new one");
	if (!r->peers[m.role][m.instance]) {
		channel_answer_error(q, ERR_TEMP, "no memory for a channel");
		return;
	}
	if (r->ops->peer)
		r->ops->peer(r, (enum role)m.role, m.instance, true);
	fiber_signal_all(&r->peer_changed);
	msg_peer_answer(q, &(struct msg_peer_reply){0});
}

static void on_config(struct channel_request *q, void *arg)
{
	struct role_run *r = arg;
	struct msg_config m;
	err e;

	if (!msg_config_take(q, &m))
		return;
	settings_free(r->next);
	r->next = NULL;
	int rc = settings_open(m.snapshot, &r->next, &e);
	if (m.snapshot >= 0)
		close(m.snapshot);
	if (rc < 0)
		channel_answer_error(q, e.kind, e.text);
	else
		msg_config_answer(q, &(struct msg_config_reply){0});
}

/*
 * A fiber may have a slice of the old settings in its hands while it is parked, a walk through all domains
 * being the longest. Before it is freed it rests longer than any of them takes.
 */
static void retire(void *arg)
{
	fiber_sleep(RETIRE_MS);
	settings_free(arg);
}

static void on_config_commit(struct channel_request *q, void *arg)
{
	struct role_run *r = arg;
	struct msg_config_commit m;

	if (!msg_config_commit_take(q, &m))
		return;
	if (r->next && r->next->generation == m.generation) {
		struct settings *before = r->settings;

		r->settings = r->next;
		r->next = NULL;
		set_log(r);
		if (r->ops->reload)
			r->ops->reload(r, before);
		if (!fiber_start("retired", retire, before)) /* then it is kept */
			log_event(LOG_WARN, "settings_kept", F_U64("generation", before->generation));
	} else if (m.generation != 0 && m.generation != r->settings->generation) { /* 0: are you there? */
		channel_answer_error(q, ERR_MISSING, "settings that were not announced");
		return;
	}
	msg_config_commit_answer(q, &(struct msg_config_commit_reply){0});
}

static void on_drain(struct channel_request *q, void *arg)
{
	struct role_run *r = arg;
	struct msg_drain m;

	if (!msg_drain_take(q, &m))
		return;
	r->draining = true;
	if (r->ops->drain)
		r->ops->drain(r);
	msg_drain_answer(q, &(struct msg_drain_reply){0});
}

static void on_role_status(struct channel_request *q, void *arg)
{
	struct role_run *r = arg;
	struct msg_role_status m;
	struct buf json = BUF_INIT(16384);
	const char *longest;

	if (!msg_role_status_take(q, &m))
		return;
	buf_addf(&json,
		"\"sandbox\":{\"root\":%s,\"ids\":%s,\"landlock\":%d,\"seccomp\":%s,\"weakness\":%s%s%s},"
		"\"fibers\":%zu",
		r->sandbox.rooted ? "true" : "false", r->sandbox.ids ? "true" : "false", r->sandbox.landlock,
		r->sandbox.seccomp ? "true" : "false", r->sandbox.weakness ? "\"" : "",
		r->sandbox.weakness ? r->sandbox.weakness : "null", r->sandbox.weakness ? "\"" : "",
		fiber_count());
	uint64_t us = loop_longest_us(r->loop, &longest);
	buf_addf(&json, ",\"longest_us\":%llu,\"longest\":\"%s\",\"stalls\":%llu", (unsigned long long)us,
		longest, (unsigned long long)loop_stalls(r->loop));
	fiber_census(&json);
	if (r->ops->status)
		r->ops->status(r, &json);
	if (json.failed)
		channel_answer_error(q, ERR_LIMIT, "the status is too long");
	else
		msg_role_status_answer(q, &(struct msg_role_status_reply){.json = buf_slice(&json)});
	buf_free(&json);
}

static void stalled(const char *name, const char *label, uint64_t us)
{
	log_event(LOG_WARN, "loop_stalled", F_STR("fiber", name), F_STR("at", label), F_U64("ms", us / 1000));
}

void role_watch_loop(struct loop *l)
{
	loop_on_stall(l, stalled);
}

static void supervisor_gone(void *arg, struct channel *c, const char *why, bool offense)
{
	struct role_run *r = arg;

	(void)c;
	(void)why;
	(void)offense;
	r->supervisor = NULL;
	loop_stop(r->loop);
}

struct channel *role_peer_wait(struct role_run *r, enum role peer, uint64_t deadline)
{
	/* One that has ended stands there until the loop has closed its handle. */
	while (!channel_is_open(r->peers[peer][0]) && fiber_signal_wait(&r->peer_changed, deadline) == 0)
		;
	return r->peers[peer][0];
}

/* The loop runs as long as a fiber lives: this one lives until the end. */
static void keep(void *arg)
{
	(void)arg;
	while (fiber_park(FOREVER) == 0)
		;
}

static int begin(struct role_run *r, int argc, char **argv, err *e)
{
	uint64_t instance = 0;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* the terminal's ^C reaches all of us: the supervisor decides */
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM,
		SIG_IGN); /* a service manager may send it to all of us: the supervisor drains in order */
	close_range(ROLE_FD_HOME + 1, ~0u, 0); /* whatever the one who started the supervisor left open */
	if (argc > 1 && !slice_to_u64(slice_of(argv[1]), ROLE_INSTANCES - 1, &instance))
		return err_set(e, ERR_SYNTAX, "started by hand? the supervisor starts this program");
	r->instance = (uint8_t)instance;
	r->started_ms = clock_boot_ms();
	if (settings_open(ROLE_FD_SETTINGS, &r->settings, e) < 0)
		return -1;
	close(ROLE_FD_SETTINGS);
	set_log(r);
	if (r->ops->prepare && r->ops->prepare(r, e) < 0)
		return -1;
	r->loop = loop_new(role_name(r->ops->role));
	if (!r->loop)
		return err_set(e, ERR_TEMP, "no memory for the loop");
	role_watch_loop(r->loop);
	return 0;
}

static int confine(struct role_run *r, err *e)
{
	struct sandbox_start at = {.home = ROLE_FD_HOME, .uid = getuid(), .gid = getgid()};

	if (at.uid == 0) {
		at.uid = (uid_t)(r->settings->role_ids + r->ops->role);
		at.gid = (gid_t)at.uid;
	}
	if (sandbox_enter(r->ops->sandbox, &at, &r->sandbox, e) < 0)
		return -1;
	close(ROLE_FD_HOME);
	if (r->ops->workers > 0)
		worker_start(r->ops->workers);
	if (r->ops->start && r->ops->start(r, e) < 0)
		return -1;
	return sandbox_seal(r->ops->sandbox, e);
}

int role_main(int argc, char **argv, const struct role_ops *ops, void *state)
{
	static struct role_run run; /* lives as long as the process */
	struct role_run *r = &run;
	err e = {0};

	r->ops = ops;
	r->state = state;
	r->table[MESSAGE_PEER] = on_peer;
	r->table[MESSAGE_CONFIG] = on_config;
	r->table[MESSAGE_CONFIG_COMMIT] = on_config_commit;
	r->table[MESSAGE_DRAIN] = on_drain;
	r->table[MESSAGE_ROLE_STATUS] = on_role_status;
	if (ops->handlers)
		ops->handlers(r->table);
	log_setup(role_name(ops->role), LOG_INFO, LOG_FORMAT_LOGFMT, false);
	if (begin(r, argc, argv, &e) < 0 || confine(r, &e) < 0) {
		log_event(LOG_ERROR, "role_failed", F_ERR(&e));
		return 70;
	}
	if (r->sandbox.weakness)
		log_event(LOG_WARN, "sandbox_weak", F_STR("why", r->sandbox.weakness));
	struct channel_config config = {ops->role, ROLE_SUPERVISOR, 0, r->table, r, supervisor_gone};
	r->supervisor = channel_new(ROLE_FD_CHANNEL, &config);
	if (!r->supervisor || !fiber_start("main", keep, r))
		return 71;
	loop_run(r->loop);
	if (ops->end)
		ops->end(r);
	return 0;
}

#include "base/clock.h"
#include "base/log.h"
#include "roles/supervisor/supervisor_int.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS   30000
#define BACKOFF_CALM_MS  60000 /* a role that lived this long starts again without delay */
#define DRAIN_MS         5000
#define END_MS           3000

static int home_of(const struct supervisor *s, enum role role)
{
	return role == ROLE_BACKEND ? s->store_fd : role == ROLE_AUTH ? s->auth_fd : s->empty_fd;
}

static void child_closed(void *arg, struct channel *ch, const char *why, bool offense)
{
	struct child *c = arg;

	if (c->channel == ch)
		c->channel = NULL;
	c->up = c->wired = false;
	if (offense) {
		log_event(LOG_ERROR, "role_offense", F_STR("role", role_name(c->role)), F_STR("why", why));
		if (c->pid > 0)
			kill(c->pid, SIGKILL);
	}
	fiber_signal_all(&c->changed);
	fiber_signal_all(&c->s->changed);
}

/* A descriptor above the ones that the child gets, so that no dup2 treads on another. */
static int high(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 32);

	close(fd);
	return copy;
}

static int spawn(struct child *c, err *e)
{
	struct supervisor *s = c->s;
	int pair[2], settings = settings_seal(s->config.settings, e);
	char path[1280], instance[8];
	posix_spawn_file_actions_t acts;

	c->started_ms = clock_boot_ms();
	if (settings < 0)
		return -1;
	c->generation = s->config.settings->generation;
	settings = high(settings);
	if (channel_pair(pair) < 0) {
		close(settings);
		return err_sys(e, ERR_IO, "socketpair");
	}
	pair[1] = high(pair[1]);
	snprintf(path, sizeof path, "%s%s", s->libexec, role_name(c->role));
	snprintf(instance, sizeof instance, "%u", c->instance);
	char *argv[] = {path, instance, NULL};

	posix_spawn_file_actions_init(&acts);
	posix_spawn_file_actions_adddup2(&acts, pair[1], ROLE_FD_CHANNEL);
	posix_spawn_file_actions_adddup2(&acts, settings, ROLE_FD_SETTINGS);
	posix_spawn_file_actions_adddup2(&acts, home_of(s, c->role), ROLE_FD_HOME);
	int rc = posix_spawn(&c->pid, path, &acts, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&acts);
	close(pair[1]);
	close(settings);
	if (rc != 0) {
		c->pid = 0;
		close(pair[0]);
		errno = rc;
		return err_sys(e, ERR_IO, "cannot start \"%s\"", path);
	}
	struct channel_config config = {ROLE_SUPERVISOR, c->role, c->instance, s->handlers, c, child_closed};

	c->ended = false;
	c->channel = channel_new(pair[0], &config);
	return c->channel ? 0 : err_set(e, ERR_TEMP, "no memory for a channel");
}

/* The first answer shows that the role stands behind its sandbox. */
static int first_question(struct child *c, err *e)
{
	struct msg_config_commit_reply reply;
	struct channel_answer hold;

	if (ask_config_commit(
		    c->channel, &(struct msg_config_commit){0}, &reply, &hold, loop_now() + START_MS, e) < 0)
		return -1;
	channel_answer_free(&hold);
	return 0;
}

static void wait_end(struct child *c)
{
	while (!c->ended && c->pid > 0)
		if (fiber_signal_wait(&c->changed, FOREVER) < 0)
			break;
}

static void log_end(const struct child *c)
{
	bool killed = WIFSIGNALED(c->status);

	log_event(c->s->stopping ? LOG_DEBUG : LOG_WARN, "role_ended", F_STR("role", role_name(c->role)),
		F_U64("instance", c->instance), F_STR("how", killed ? "signal" : "exit"),
		F_I64("code", killed ? WTERMSIG(c->status) : WEXITSTATUS(c->status)));
}

/* Starts the role, again and again, with a growing pause between quick deaths. */
static void keeper(void *arg)
{
	struct child *c = arg;
	uint64_t pause = BACKOFF_FIRST_MS;

	while (!c->s->stopping) {
		err e = {0};

		if (spawn(c, &e) < 0 || first_question(c, &e) < 0 || supervisor_wire(c, &e) < 0) {
			if (!c->s->stopping)
				log_event(LOG_ERROR, "role_start_failed", F_STR("role", role_name(c->role)),
					F_ERR(&e));
			if (c->pid > 0)
				kill(c->pid, SIGKILL);
			if (!c->s->ready && c->restarts >= 2) {
				c->s->exit_code = 69;
				raise(SIGTERM);
			}
		}
		wait_end(c);
		if (c->s->stopping)
			break;
		uint64_t lived = clock_boot_ms() - c->started_ms;
		pause = lived >= BACKOFF_CALM_MS     ? BACKOFF_FIRST_MS
			: pause * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS
						     : pause * 2;
		c->restarts++;
		fiber_sleep(pause / 2);
	}
	wait_end(c);
	c->keeper = NULL;
	fiber_signal_all(&c->s->changed);
}

void supervisor_child_ended(struct supervisor *s, pid_t pid, int status)
{
	for (size_t i = 0; i < s->children_n; i++) {
		struct child *c = &s->children[i];

		if (c->pid != pid)
			continue;
		c->pid = 0;
		c->status = status;
		c->ended = true;
		log_end(c);
		channel_close(c->channel, "the role has ended");
		c->channel = NULL;
		c->up = c->wired = false;
		fiber_signal_all(&c->changed);
	}
}

struct child *supervisor_child(struct supervisor *s, enum role role, uint8_t instance)
{
	for (size_t i = 0; i < s->children_n; i++)
		if (s->children[i].role == role && s->children[i].instance == instance)
			return &s->children[i];
	return NULL;
}

static void add_child(struct supervisor *s, enum role role, uint8_t instance)
{
	s->children[s->children_n++] = (struct child){.s = s, .role = role, .instance = instance};
}

void supervisor_children_start(struct supervisor *s)
{
	uint64_t frontends = s->config.settings->frontend_processes;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	/* Who is needed for the first greeting comes first. */
	add_child(s, ROLE_AUTH, 0);
	for (uint8_t i = 0;
		i < (frontends ? frontends : (uint64_t)(cores > 0 ? cores : 1)) && i < ROLE_INSTANCES; i++)
		add_child(s, ROLE_FRONTEND, i);
	add_child(s, ROLE_BACKEND, 0);
	add_child(s, ROLE_RESOLVER, 0);
	add_child(s, ROLE_OUTBOUND, 0);
	for (size_t i = 0; i < s->children_n; i++)
		s->children[i].keeper = fiber_start("keeper", keeper, &s->children[i]);
}

struct drain_one {
	struct child *c;
	unsigned *left;
	struct fiber_signal *done;
};

static void drain_fiber(void *arg)
{
	struct drain_one *d = arg;
	struct msg_drain_reply reply;
	struct channel_answer hold = {0};

	if (d->c->up && ask_drain(d->c->channel, &(struct msg_drain){0}, &reply, &hold, loop_now() + DRAIN_MS,
				NULL) == 0)
		channel_answer_free(&hold);
	--*d->left;
	fiber_signal_all(d->done);
}

static void drain(struct supervisor *s, enum role role)
{
	struct drain_one all[CHILDREN_MAX];
	struct fiber_signal done = {0};
	unsigned left = 0;

	for (size_t i = 0; i < s->children_n; i++)
		if (s->children[i].role == role) {
			all[i] = (struct drain_one){&s->children[i], &left, &done};
			left++;
			if (!fiber_start("drain", drain_fiber, &all[i]))
				left--;
		}
	while (left > 0)
		fiber_signal_wait(&done, FOREVER);
}

static bool any_left(const struct supervisor *s)
{
	for (size_t i = 0; i < s->children_n; i++)
		if (s->children[i].pid > 0 || s->children[i].keeper)
			return true;
	return false;
}

/* Frontends first: nothing new comes in; then the backend finishes what it has; then all. */
void supervisor_stop(struct supervisor *s)
{
	s->stopping = true;
	fiber_signal_all(&s->changed); /* who waits for something to come up waits in vain */
	drain(s, ROLE_FRONTEND);
	drain(s, ROLE_BACKEND);
	for (size_t i = 0; i < s->children_n; i++) {
		struct child *c = &s->children[i];

		channel_close(c->channel, "the end");
		c->channel = NULL;
		if (c->keeper && c->pid == 0)
			fiber_cancel(c->keeper); /* it sleeps before the next start */
	}
	uint64_t until = loop_now() + END_MS;
	while (any_left(s) && fiber_signal_wait(&s->changed, until) == 0)
		;
	for (size_t i = 0; i < s->children_n; i++)
		if (s->children[i].pid > 0) {
			log_event(LOG_WARN, "role_killed", F_STR("role", role_name(s->children[i].role)));
			kill(s->children[i].pid, SIGKILL);
		}
	until = loop_now() + END_MS;
	while (any_left(s) && fiber_signal_wait(&s->changed, until) == 0)
		;
}

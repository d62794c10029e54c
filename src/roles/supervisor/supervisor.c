#include "roles/supervisor/supervisor.h"
#include "base/clock.h"
#include "base/log.h"
#include "roles/supervisor/supervisor_int.h"
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop_fiber(void *arg)
{
	struct supervisor *s = arg;

	log_event(LOG_NOTICE, "stopping", F_U64("roles", s->children_n));
	supervisor_stop(s);
	loop_stop(s->loop);
}

static void on_stop(uv_signal_t *h, int sig)
{
	struct supervisor *s = h->data;

	(void)sig;
	if (!s->stopper)
		s->stopper = fiber_start("stop", stop_fiber, s);
}

static void reload_fiber(void *arg)
{
	struct supervisor *s = arg;

	supervisor_reload(s);
	s->reloader = NULL;
}

static void on_reload(uv_signal_t *h, int sig)
{
	struct supervisor *s = h->data;

	(void)sig;
	if (!s->reloader && !s->stopping)
		s->reloader = fiber_start("reload", reload_fiber, s);
}

static void on_child(uv_signal_t *h, int sig)
{
	struct supervisor *s = h->data;
	pid_t pid;
	int status;

	(void)sig;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		supervisor_child_ended(s, pid, status);
}

static void watch_signal(struct supervisor *s, uv_signal_t *h, uv_signal_cb cb, int sig)
{
	uv_signal_init(loop_uv(s->loop), h);
	h->data = s;
	uv_signal_start(h, cb, sig);
}

int supervisor_find_libexec(char ret[SUPERVISOR_LIBEXEC], err *e)
{
	static const char *const places[] = {"/posthouse-", "/../libexec/posthouse/posthouse-"};
	char self[1024], probe[1280];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n <= 0)
		return err_sys(e, ERR_IO, "cannot find this program's own file");
	self[n] = 0;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		snprintf(probe, sizeof probe, "%s%sfrontend", self, places[i]);
		if (access(probe, X_OK) == 0) {
			snprintf(ret, SUPERVISOR_LIBEXEC, "%s%s", self, places[i]);
			return 0;
		}
	}
	return err_set(e, ERR_MISSING,
		"the roles' programs (posthouse-frontend and others) are not beside \"%s\"", self);
}

static void find_group(struct supervisor *s)
{
	char name[65], space[4096];
	struct group g, *found = NULL;
	slice want = s->config.settings->control_group;

	s->control_gid = (gid_t)-1;
	snprintf(name, sizeof name, "%.*s", (int)(want.n < 64 ? want.n : 64), want.n ? want.p : "");
	if (want.n > 0 && getgrnam_r(name, &g, space, sizeof space, &found) == 0 && found)
		s->control_gid = found->gr_gid;
}

/* As many as there is room for; never a part of one. */
void supervisor_note_hosts(struct supervisor *s, const struct settings *c)
{
	size_t at = (size_t)snprintf(s->hosts, sizeof s->hosts, "%" SLICE_FMT, SLICE_ARG(c->host));

	for (size_t i = 0; i < c->domains_n; i++) {
		size_t room = sizeof s->hosts - at;
		int n = snprintf(s->hosts + at, room, " mail.%" SLICE_FMT, SLICE_ARG(c->domains[i].name));

		if (n < 0 || (size_t)n >= room) {
			s->hosts[at] = 0;
			break;
		}
		at += (size_t)n;
	}
}

/* Everything that needs rights or may fail for a reason the owner must mend. Returns an exit code. */
static int set_up(struct supervisor *s, err *e)
{
	if (supervisor_find_libexec(s->libexec, e) < 0)
		return 71;
	if (supervisor_folders(s, e) < 0)
		return 73;
	find_group(s);
	if (supervisor_ports_open(s, s->config.settings, e) < 0 || supervisor_control_open(s, e) < 0)
		return e->sys == EACCES || e->sys == EPERM ? 77 : 71;
	struct sandbox_start at = {.home = -1, .uid = geteuid(), .gid = getegid()};
	return sandbox_enter(&supervisor_sandbox, &at, &s->sandbox, e) < 0 ? 71 : 0;
}

static void keep(void *arg)
{
	(void)arg;
	while (fiber_park(FOREVER) == 0)
		;
}

int supervisor_run(struct config *config, const struct supervisor_options *options)
{
	static struct supervisor run; /* lives as long as the process */
	struct supervisor *s = &run;
	err e = {0};

	*s = (struct supervisor){.config = *config, .options = options, .started_ms = clock_boot_ms()};
	*config = (struct config){0};
	s->config.settings->generation = 1;
	signal(SIGPIPE, SIG_IGN);
	log_setup("supervisor", (enum log_level)s->config.settings->log_level,
		(enum log_format)s->config.settings->log_format, getenv("JOURNAL_STREAM") != NULL);
	s->loop = loop_new("supervisor");
	if (!s->loop)
		return 71;
	int rc = set_up(s, &e);
	if (rc != 0) {
		log_event(LOG_ERROR, "start_failed", F_ERR(&e));
		return rc;
	}
	supervisor_handlers(s);
	watch_signal(s, &s->on_term, on_stop, SIGTERM);
	watch_signal(s, &s->on_int, on_stop, SIGINT);
	watch_signal(s, &s->on_hup, on_reload, SIGHUP);
	watch_signal(s, &s->on_child, on_child, SIGCHLD);
	supervisor_children_start(s);
	if (!fiber_start("main", keep, s))
		return 71;
	loop_run(s->loop);
	log_event(LOG_NOTICE, "stopped", F_U64("uptime_s", (clock_boot_ms() - s->started_ms) / 1000));
	return s->exit_code;
}

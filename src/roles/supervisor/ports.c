#include "base/log.h"
#include "io/listen.h"
#include "roles/supervisor/supervisor_int.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG      1024
#define VISITORS_MAX 64 /* of the control socket, until the backend has taken them */

static int bind_unix(slice path, mode_t mode, err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(e, ERR_IO, "socket");
	if (path.n >= sizeof a.sun_path) {
		close(fd);
		return err_set(e, ERR_LIMIT,
			"the path \"%" SLICE_FMT "\" is too long for a socket (at most %zu bytes)",
			SLICE_ARG(path), sizeof a.sun_path - 1);
	}
	memcpy(a.sun_path, path.p, path.n);
	unlink(a.sun_path);
	mode_t before = umask((mode_t)(0777 & ~mode));
	int rc = bind(fd, (const struct sockaddr *)&a, sizeof a);
	umask(before);
	if (rc < 0 || listen(fd, BACKLOG) < 0) {
		err_sys(e, ERR_IO, "cannot listen on \"%s\"", a.sun_path);
		close(fd);
		return -1;
	}
	return fd;
}

static int bind_ip(const struct settings_listen *l, err *e)
{
	bool v6 = l->family != LISTEN_IP4;
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(l->port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(l->port)};
	int on = 1, off = 0;
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 && l->family == LISTEN_ANY) { /* no IPv6 on this machine */
		v6 = false;
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	if (fd < 0)
		return err_sys(e, ERR_IO, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, l->family == LISTEN_ANY ? &off : &on, sizeof on);
	if (l->family == LISTEN_IP6)
		memcpy(&a6.sin6_addr, l->ip, 16);
	if (l->family == LISTEN_IP4)
		memcpy(&a4.sin_addr, l->ip, 4);
	const struct sockaddr *a = v6 ? (const struct sockaddr *)&a6 : (const struct sockaddr *)&a4;
	if (bind(fd, a, v6 ? sizeof a6 : sizeof a4) < 0 || listen(fd, BACKLOG) < 0) {
		struct buf where = BUF_INIT(300);

		settings_listen_print(l, &where);
		buf_add_c(&where, 0);
		err_sys(e, ERR_IO, "cannot listen on %s", where.failed ? "a port" : where.p);
		buf_free(&where);
		close(fd);
		return -1;
	}
	return fd;
}

int supervisor_ports_open(struct supervisor *s, const struct settings *settings, err *e)
{
	size_t before = s->ports_n;

	for (size_t i = 0; i < settings->listens_n; i++) {
		const struct settings_listen *l = &settings->listens[i];
		bool have = false;

		for (size_t k = 0; k < s->ports_n && !have; k++)
			have = settings_listen_equal(&s->ports[k].at, l);
		if (have)
			continue;
		int fd = s->ports_n == PORTS_MAX ? err_set(e, ERR_LIMIT, "more than %d listeners", PORTS_MAX)
			 : l->family == LISTEN_UNIX ? bind_unix(l->path, 0660, e)
						    : bind_ip(l, e);
		if (fd < 0) {
			while (s->ports_n > before)
				close(s->ports[--s->ports_n].fd);
			return -1;
		}
		s->ports[s->ports_n++] = (struct port){++s->next_port, *l, fd};
	}
	return 0;
}

void supervisor_ports_prune(struct supervisor *s, const struct settings *settings)
{
	for (size_t i = 0; i < s->ports_n;) {
		struct port *p = &s->ports[i];
		bool want = false;

		for (size_t k = 0; k < settings->listens_n && !want; k++) {
			want = settings_listen_equal(&settings->listens[k], &p->at);
			if (want)
				p->at = settings->listens[k]; /* its path lies in the new snapshot */
		}
		if (want) {
			i++;
			continue;
		}
		for (size_t k = 0; k < s->children_n; k++) {
			struct msg_unlisten_reply reply;
			struct channel_answer hold = {0};

			if (s->children[k].role == ROLE_FRONTEND && s->children[k].up &&
				ask_unlisten(s->children[k].channel, &(struct msg_unlisten){p->id}, &reply,
					&hold, loop_now() + START_MS, NULL) == 0)
				channel_answer_free(&hold);
		}
		close(p->fd);
		*p = s->ports[--s->ports_n];
	}
}

/* ---- the control socket: credentials decide; the connection goes to the backend unread ---- */

struct visitor {
	struct supervisor *s;
	int fd;
};

static bool in_group(int fd, gid_t wanted)
{
	gid_t groups[256];
	socklen_t n = sizeof groups;

	if (wanted == (gid_t)-1 || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) < 0)
		return false;
	for (size_t i = 0; i < n / sizeof *groups; i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

static void pass_visitor(void *arg)
{
	struct visitor *v = arg;
	struct ucred who;
	socklen_t n = sizeof who;
	struct child *backend = supervisor_child(v->s, ROLE_BACKEND, 0);
	struct msg_control_reply reply;
	struct channel_answer hold = {0};
	err e = {0};

	if (getsockopt(v->fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 && who.uid != 65534) {
		bool allowed = who.uid == 0 || who.uid == geteuid() || who.gid == v->s->control_gid ||
			       in_group(v->fd, v->s->control_gid);
		struct msg_control m = {.uid = who.uid, .allowed = allowed, .socket = v->fd};

		if (backend->up &&
			ask_control(backend->channel, &m, &reply, &hold, loop_now() + 5000, &e) == 0)
			channel_answer_free(&hold);
		else
			log_event(LOG_WARN, "control_refused", F_U64("uid", who.uid), F_STR("error", e.text));
	}
	v->s->visitors--;
	close(v->fd);
	free(v);
}

static void on_visitor(void *arg, int fd)
{
	struct supervisor *s = arg;
	struct visitor *v = s->visitors < VISITORS_MAX ? calloc(1, sizeof *v) : NULL;

	if (v) {
		*v = (struct visitor){arg, fd};
		if (fiber_start("control", pass_visitor, v)) {
			s->visitors++;
			return;
		}
	}
	free(v);
	close(fd);
}

int supervisor_control_open(struct supervisor *s, err *e)
{
	char path[PATH_MAX];
	slice dir = s->config.settings->run_dir;
	int n = snprintf(path, sizeof path, "%" SLICE_FMT "/control.sock", SLICE_ARG(dir));
	int fd = n > 0 && (size_t)n < sizeof path
			 ? bind_unix(slice_of(path), 0666, e)
			 : err_set(e, ERR_LIMIT, "the run folder's path is too long");

	if (fd < 0)
		return -1;
	s->control_open = listener_new(fd, on_visitor, s) != NULL;
	return s->control_open ? 0 : err_set(e, ERR_TEMP, "no memory");
}

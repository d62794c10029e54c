/*
 * posthouse dev: a throw-away post house. It writes a configuration, starts the supervisor as a child and
 * then behaves as any user of the control socket: adds the domain and the accounts, says what is where, and
 * waits for its end.
 */
#include "base/hash.h"
#include "cli/cli.h"
#include "roles/supervisor/supervisor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define USERS_MAX 32
#define READY_MS  30000
#define END_MS    15000

static const enum settings_protocol services[] = {PROTOCOL_SMTP, PROTOCOL_SUBMISSIONS, PROTOCOL_SUBMISSION,
	PROTOCOL_IMAP, PROTOCOL_IMAPS, PROTOCOL_POP3, PROTOCOL_POP3S};

struct dev_user {
	char name[128], password[256];
	bool made_up;
};

struct dev {
	struct cli *c;
	char dir[1024], path[1100];
	const char *domain;
	unsigned base;
	struct dev_user users[USERS_MAX];
	unsigned users_n;
	bool throw_away; /* the folder is ours to remove */
	bool ip6;
	pid_t child;
};

static bool have_loopback6(void)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	AUTO_FD fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a) == 0;
}

static void make_password(char *out)
{
	static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789";

	for (unsigned i = 0; i < 12; i++)
		out[i] = letters[random_u64() % (sizeof letters - 1)];
	out[12] = 0;
}

static int read_users(struct dev *d)
{
	static const char *const people[] = {"alice", "bob"};

	for (unsigned i = 0; i < d->c->given_n; i++) {
		const char *v = d->c->given[i].value, *colon = strchr(v, ':');
		struct dev_user *u = &d->users[d->users_n];

		if (d->c->given[i].option != OPT_DEV_USER)
			continue;
		if (!colon || colon == v || !colon[1] || (size_t)(colon - v) >= sizeof u->name ||
			strlen(colon + 1) >= sizeof u->password || d->users_n == USERS_MAX)
			return cli_fail(d->c, EX_USAGE, "usage",
				"--user wants NAME:PASSWORD, at most %d of them", USERS_MAX);
		snprintf(u->name, sizeof u->name, "%.*s", (int)(colon - v), v);
		snprintf(u->password, sizeof u->password, "%s", colon + 1);
		d->users_n++;
	}
	for (unsigned i = 0;
		d->users_n < COUNT_OF(people) && i < COUNT_OF(people) && (i > 0 || d->users_n == 0); i++) {
		struct dev_user *u = &d->users[d->users_n++];

		snprintf(u->name, sizeof u->name, "%s", people[i]);
		make_password(u->password);
		u->made_up = true;
	}
	return 0;
}

static int read_options(struct dev *d)
{
	const char *base = d->c->values[OPT_DEV_BASE_PORT];
	uint64_t n = 10000;

	if (base && (!slice_to_u64(slice_of(base), 64000, &n) || n < 1))
		return cli_fail(d->c, EX_USAGE, "usage", "--base-port wants a number from 1 to 64000");
	d->base = (unsigned)n;
	d->domain = d->c->values[OPT_DEV_DOMAIN] ? d->c->values[OPT_DEV_DOMAIN] : "example.test";
	d->ip6 = have_loopback6();
	return read_users(d);
}

static int make_folder(struct dev *d)
{
	const char *given = d->c->values[OPT_DIR];

	if (given) {
		if (mkdir(given, 0755) < 0 && errno != EEXIST)
			return cli_fail(d->c, EX_CANTCREAT, "io", "cannot make the folder %s: %s", given,
				err_sys_text(errno));
		char *whole = realpath(given, NULL);
		if (!whole)
			return cli_fail(d->c, EX_CANTCREAT, "io", "the folder %s cannot be used", given);
		snprintf(d->dir, sizeof d->dir, "%s", whole);
		free(whole);
		return 0;
	}
	const char *tmp = getenv("TMPDIR");
	snprintf(d->dir, sizeof d->dir, "%s/posthouse-dev.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(d->dir))
		return cli_fail(
			d->c, EX_CANTCREAT, "io", "cannot make a folder %s: %s", d->dir, err_sys_text(errno));
	d->throw_away = !cli_has(d->c, OPT_DEV_KEEP);
	return 0;
}

/* An existing file is kept as it is: whoever runs dev in a folder twice may have changed it. */
static int write_config(struct dev *d)
{
	snprintf(d->path, sizeof d->path, "%s/posthouse.conf", d->dir);
	int fd = open(d->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return 0;
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!f)
		return cli_fail(
			d->c, EX_CANTCREAT, "io", "cannot write %s: %s", d->path, err_sys_text(errno));
	fprintf(f, "# Made by: posthouse dev\nhost mail.%s\ndata %s/data\nrun %s/run\n", d->domain, d->dir,
		d->dir);
	for (size_t i = 0; i < COUNT_OF(services); i++) {
		const struct settings_protocol_info *p = &settings_protocols[services[i]];

		fprintf(f, "listen %s 127.0.0.1:%u\n", p->word, d->base + p->port);
		if (d->ip6)
			fprintf(f, "listen %s [::1]:%u\n", p->word, d->base + p->port);
	}
	fprintf(f,
		"listen lmtp %s/run/lmtp.sock\nauth {\n\tcleartext-on-loopback yes\n}\nlog {\n\tlevel "
		"notice\n}\n",
		d->dir);
	return fclose(f) == 0 ? 0 : cli_fail(d->c, EX_CANTCREAT, "io", "cannot write %s", d->path);
}

/* The supervisor: a child that ends with us, however we end. */
static int start_child(struct dev *d, int *ret_ready)
{
	int ready[2];
	pid_t parent = getpid();

	if (pipe2(ready, O_CLOEXEC) < 0 || (d->child = fork()) < 0)
		return cli_fail(d->c, EX_OSERR, "io", "cannot start: %s", err_sys_text(errno));
	if (d->child > 0) {
		close(ready[1]);
		*ret_ready = ready[0];
		return 0;
	}
	close(ready[0]);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0); /* the terminal's ^C is for the parent, which passes it on once */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0);
	if (freopen("/dev/null", "w", stdout) == NULL) /* stdout carries the parent's one line */
		_exit(EX_OSERR);
	struct supervisor_options options = {.config_path = d->path, .ready_fd = ready[1]};
	_exit(supervisor_run(&d->c->config, &options));
}

static int wait_ready(struct dev *d, int fd)
{
	struct pollfd p = {fd, POLLIN, 0};
	char byte;
	int status;

	if (poll(&p, 1, READY_MS) == 1 && read(fd, &byte, 1) == 1)
		return 0;
	if (waitpid(d->child, &status, WNOHANG) == d->child ||
		(usleep(200000), waitpid(d->child, &status, WNOHANG) == d->child)) {
		d->child = 0;
		return cli_fail(d->c,
			WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EX_SOFTWARE, "start",
			"the post house did not start; the lines above say why (is another one running on "
			"these ports? see --base-port)");
	}
	return cli_fail(d->c, EX_UNAVAILABLE, "start", "the post house did not come up within %d seconds",
		READY_MS / 1000);
}

static int add(struct dev *d, const char *method, json_t *params)
{
	json_t *result = NULL;
	err e = {0};
	int rc = cli_call_quiet(d->c, method, params, &result, &e);

	json_decref(result);
	if (rc == 0 || e.kind == ERR_EXISTS)
		return 0;
	return cli_fail(d->c, rc, "start", "%s: %s", method, e.text);
}

static int add_people(struct dev *d)
{
	int rc = add(d, "domain.add", json_pack("{s:s}", "domain", d->domain));

	for (unsigned i = 0; i < d->users_n && rc == 0; i++) {
		const struct dev_user *u = &d->users[i];
		char address[400];
		bool whole = strchr(u->name, '@') != NULL;

		snprintf(
			address, sizeof address, "%s%s%s", u->name, whole ? "" : "@", whole ? "" : d->domain);
		rc = add(d, "account.add",
			json_pack("{s:s, s:s, s:b}", "account", address, "password", u->password, "weak", 1));
	}
	return rc;
}

static void say_json(const struct dev *d)
{
	json_t *ports = json_object();
	json_t *o;

	for (size_t i = 0; i < COUNT_OF(services); i++)
		json_object_set_new(ports, settings_protocols[services[i]].word,
			json_integer(d->base + settings_protocols[services[i]].port));
	o = json_pack("{s:s, s:i, s:s, s:s, s:o}", "event", "ready", "pid", (int)getpid(), "dir", d->dir,
		"domain", d->domain, "ports", ports);
	json_t *users = json_array();
	for (unsigned i = 0; i < d->users_n; i++)
		if (d->users[i].made_up)
			json_array_append_new(users, json_pack("{s:s, s:s}", "name", d->users[i].name,
							     "password", d->users[i].password));
	if (json_array_size(users) > 0)
		json_object_set(o, "users", users);
	json_decref(users);
	cli_show_json(o);
	json_decref(o);
	fflush(stdout);
}

static void say_people(const struct dev *d)
{
	printf("Posthouse runs in %s, on 127.0.0.1%s:\n\n", d->dir, d->ip6 ? " and ::1" : "");
	for (size_t i = 0; i < COUNT_OF(services); i++)
		printf("  %-12s port %u%s\n", settings_protocols[services[i]].word,
			d->base + settings_protocols[services[i]].port,
			settings_protocols[services[i]].tls ? "  (TLS, self-signed certificate)" : "");
	printf("\nAccounts of %s:\n\n", d->domain);
	for (unsigned i = 0; i < d->users_n; i++)
		printf("  %-12s password %s\n", d->users[i].name,
			d->users[i].made_up ? d->users[i].password : "as given");
	printf("\nTry, in another terminal:\n\n");
	printf("  swaks --server 127.0.0.1:%u --to %s@%s\n", d->base + 25, d->users[0].name, d->domain);
	printf("  curl -u %s 'imap://127.0.0.1:%u/INBOX;MAILINDEX=1'\n", d->users[0].name, d->base + 143);
	printf("  posthouse status --dir %s\n\n", d->dir);
	printf("Control-C ends it%s.\n", d->throw_away ? " and removes the folder" : "");
	fflush(stdout);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

/* The child drains and ends; one that does not is killed. */
static int end_child(struct dev *d)
{
	int status = 0;

	if (d->child <= 0)
		return 0;
	kill(d->child, SIGTERM);
	for (int ms = 0; ms < END_MS; ms += 10) {
		if (waitpid(d->child, &status, WNOHANG) == d->child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;
		usleep(10000);
	}
	kill(-d->child, SIGKILL);
	waitpid(d->child, &status, 0);
	return EX_SOFTWARE;
}

/* Until INT or TERM, or until the child ends by itself. */
static int wait_end(struct dev *d, const sigset_t *set)
{
	for (;;) {
		int status, sig = sigwaitinfo(set, NULL);

		if (sig == SIGHUP)
			kill(d->child, SIGHUP);
		else if (sig == SIGINT || sig == SIGTERM)
			return 0;
		else if (sig == SIGCHLD && waitpid(d->child, &status, WNOHANG) == d->child) {
			d->child = 0;
			return cli_fail(d->c, EX_SOFTWARE, "ended",
				"the post house ended by itself; the lines above say why");
		}
	}
}

int cli_dev(struct cli *c)
{
	static struct dev d; /* large; there is one */
	sigset_t set;
	int fd = -1, rc;

	d.c = c;
	if ((rc = read_options(&d)) != 0 || (rc = make_folder(&d)) != 0 || (rc = write_config(&d)) != 0)
		return rc;
	c->values[OPT_CONFIG] = d.path;
	c->values[OPT_DIR] = NULL;
	if ((rc = cli_config(c)) != 0)
		return rc;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if ((rc = start_child(&d, &fd)) == 0 && (rc = wait_ready(&d, fd)) == 0 &&
		(rc = add_people(&d)) == 0) {
		cli_disconnect(c);
		if (c->json)
			say_json(&d);
		else
			say_people(&d);
		rc = wait_end(&d, &set);
	}
	int ended = end_child(&d);
	if (d.throw_away)
		nftw(d.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return rc ? rc : ended;
}

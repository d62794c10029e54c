/* The client's end of the control socket. Blocks: this process has nothing else to do. */
#include "admin/frame.h"
#include "base/wire.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define ANSWER_S 120 /* removing a large account may take a while */

void cli_disconnect(struct cli *c)
{
	if (c->socket >= 0)
		close(c->socket);
	c->socket = -1;
}

/* The store holds a lock on its folder while it is open. */
static bool folder_locked(const struct settings *s)
{
	char path[1200];

	snprintf(path, sizeof path, "%.*s/store/lock", (int)s->data_dir.n, s->data_dir.p);
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static int silent(const struct cli *c, const char *path, int sys, err *e)
{
	const struct settings *s = c->config.settings;

	if (sys == EACCES || sys == EPERM)
		return err_set(e, ERR_DENIED,
			"you may not use %s; become root or the owner of the post house, or join the group "
			"%.*s",
			path, (int)s->control_group.n, s->control_group.p);
	if (folder_locked(s))
		return err_set(e, ERR_CLOSED,
			"a program holds the folder %.*s, but nothing answers at %s; is another run folder "
			"set, or is it just starting?",
			(int)s->data_dir.n, s->data_dir.p, path);
	return err_set(e, ERR_CLOSED,
		"no post house runs here (nothing answers at %s); start it with: posthouse run", path);
}

static int dial(struct cli *c, err *e)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	slice dir = c->config.settings->run_dir;
	struct timeval limit = {.tv_sec = ANSWER_S};
	int n = snprintf(to.sun_path, sizeof to.sun_path, "%.*s/control.sock", (int)dir.n, dir.p);

	if (n < 0 || (size_t)n >= sizeof to.sun_path)
		return err_set(e, ERR_LIMIT, "the path of the run folder is too long for a socket");
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, ERR_IO, "cannot make a socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connect(fd, (const struct sockaddr *)&to, sizeof to) < 0)
		return silent(c, to.sun_path, errno, e);
	c->socket = TAKE_FD(fd);
	return 0;
}

static int write_all(int fd, const void *p, size_t n, err *e)
{
	const char *at = p;

	while (n > 0) {
		ssize_t got = send(fd, at, n, MSG_NOSIGNAL);
		if (got <= 0)
			return err_sys(e, ERR_CLOSED, "the post house does not take the question");
		at += got, n -= (size_t)got;
	}
	return 0;
}

static int read_all(int fd, void *p, size_t n, err *e)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = recv(fd, at, n, 0);
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return err_set(
				e, ERR_CLOSED, "the post house closed the connection before it answered");
		if (got < 0 && errno == EAGAIN)
			return err_set(e, ERR_TIMEOUT,
				"no answer within %d seconds; what was asked may still be done", ANSWER_S);
		if (got < 0)
			return err_sys(e, ERR_CLOSED, "the answer cannot be read");
		at += got, n -= (size_t)got;
	}
	return 0;
}

static int ask(int fd, const json_t *request, json_t **ret, err *e)
{
	uint8_t head[ADMIN_FRAME_HEAD];
	uint32_t n;
	char *text = json_dumps(request, JSON_COMPACT);

	if (!text || strlen(text) > ADMIN_FRAME_MAX) {
		free(text);
		return err_set(e, ERR_SYNTAX, "the words are not UTF-8, or too many");
	}
	admin_frame_head_write((uint32_t)strlen(text), head);
	int rc = write_all(fd, head, sizeof head, e);
	if (rc == 0)
		rc = write_all(fd, text, strlen(text), e);
	explicit_bzero(text, strlen(text)); /* it may hold a password */
	free(text);
	if (rc < 0 || read_all(fd, head, sizeof head, e) < 0)
		return -1;
	if (!admin_frame_head_read(head, ADMIN_FRAME_MAX, &n))
		return err_set(e, ERR_IO, "what answers there does not speak this program's language");
	AUTO_FREE char *answer = malloc(n);
	if (!answer)
		return err_set(e, ERR_TEMP, "out of memory");
	if (read_all(fd, answer, n, e) < 0)
		return -1;
	if (admin_json_depth(slice_make(answer, n), ADMIN_JSON_DEPTH))
		*ret = json_loadb(answer, n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(*ret))
		return err_set(e, ERR_IO, "what answers there does not speak this program's language");
	return 0;
}

/* The kinds of errors as the other end writes them, and the exit code of each. */
static const struct {
	enum err_kind kind;
	int exit_code;
} codes[] = {
	{ERR_SYNTAX, EX_DATAERR},
	{ERR_LIMIT, EX_DATAERR},
	{ERR_DENIED, EX_NOPERM},
	{ERR_MISSING, EX_NOUSER},
	{ERR_EXISTS, EX_CANTCREAT},
	{ERR_CONFLICT, EX_DATAERR},
	{ERR_QUOTA, EX_CANTCREAT},
	{ERR_TEMP, EX_TEMPFAIL},
	{ERR_IO, EX_IOERR},
	{ERR_CORRUPT, EX_SOFTWARE},
	{ERR_CLOSED, EX_UNAVAILABLE},
	{ERR_TIMEOUT, EX_TEMPFAIL},
	{ERR_CANCELED, EX_TEMPFAIL},
};

static int exit_code_of(enum err_kind kind)
{
	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		if (codes[i].kind == kind)
			return codes[i].exit_code;
	}
	return EX_SOFTWARE;
}

static int refused(const json_t *error, err *e)
{
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));

	for (size_t i = 0; i < COUNT_OF(codes) && code && message; i++) {
		if (!strcmp(err_kind_name(codes[i].kind), code))
			return err_set(e, codes[i].kind, "%s", message);
	}
	return err_set(e, ERR_CORRUPT, "%s", message ? message : "the post house answered without a reason");
}

int cli_call_quiet(struct cli *c, const char *method, json_t *params, json_t **ret, err *e)
{
	json_t *request = json_pack("{s:s, s:o}", "method", method, "params", params), *answer = NULL;
	int rc = request ? 0 : err_set(e, ERR_TEMP, "out of memory");

	if (rc == 0 && c->socket < 0)
		rc = dial(c, e);
	if (rc == 0)
		rc = ask(c->socket, request, &answer, e);
	json_decref(request);
	json_t *result = json_object_get(answer, "result");
	if (rc == 0 && !json_is_object(result))
		rc = refused(json_object_get(answer, "error"), e);
	if (rc == 0)
		*ret = json_incref(result);
	json_decref(answer);
	return rc < 0 ? exit_code_of(e->kind) : 0;
}

int cli_call(struct cli *c, const char *method, json_t *params, json_t **ret)
{
	err e = {0};
	int rc = cli_config(c);

	if (rc != 0) {
		json_decref(params);
		return rc;
	}
	rc = cli_call_quiet(c, method, params, ret, &e);
	return rc ? cli_fail(c, rc, err_kind_name(e.kind), "%s", e.text) : 0;
}

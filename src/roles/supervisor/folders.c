#include "roles/supervisor/supervisor_int.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A folder of ours: made when missing, never through a link, owned by the role that lives in it and closed to
 * all others, but that our own group may pass through: as root, a role enters it before it takes its own id.
 * Returns its descriptor.
 */
static int folder(int at, const char *name, uid_t owner, mode_t mode, err *e)
{
	if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
		return err_sys(e, ERR_IO, "cannot make the folder \"%s\"", name);
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_sys(e, ERR_IO, "cannot open the folder \"%s\"", name);
	if (fstat(fd, &st) < 0 ||
		(geteuid() == 0 && st.st_uid != owner && fchown(fd, owner, getegid()) < 0) ||
		((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)) {
		err_sys(e, ERR_IO, "cannot give the folder \"%s\" to its role", name);
		close(fd);
		return -1;
	}
	return fd;
}

/* All missing levels of an absolute path. */
static int make_path(slice path, err *e)
{
	char text[PATH_MAX];

	if (path.n == 0 || path.n >= sizeof text)
		return err_set(e, ERR_LIMIT, "the path of a folder is empty or too long");
	memcpy(text, path.p, path.n);
	text[path.n] = 0;
	for (size_t i = 1; i <= path.n; i++)
		if (text[i] == '/' || text[i] == 0) {
			char was = text[i];

			text[i] = 0;
			if (mkdir(text, 0755) < 0 && errno != EEXIST)
				return err_sys(e, ERR_IO, "cannot make the folder \"%s\"", text);
			text[i] = was;
		}
	int fd = open(text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, ERR_IO, "cannot open the folder \"%s\"", text);
	return fd;
}

int supervisor_folders(struct supervisor *s, err *e)
{
	const struct settings *c = s->config.settings;
	uid_t base = geteuid() == 0 ? (uid_t)c->role_ids : geteuid();
	uid_t backend = geteuid() == 0 ? base + ROLE_BACKEND : base,
	      auth = geteuid() == 0 ? base + ROLE_AUTH : base;

	if ((s->data_fd = make_path(c->data_dir, e)) < 0 || (s->run_fd = make_path(c->run_dir, e)) < 0)
		return -1;
	if (flock(s->run_fd, LOCK_EX | LOCK_NB) < 0) /* else its sockets would be taken from the other one */
		return errno == EWOULDBLOCK
			       ? err_set(e, ERR_EXISTS, "another post house runs in \"%" SLICE_FMT "\"",
					 SLICE_ARG(c->run_dir))
			       : err_sys(e, ERR_IO, "cannot lock the run folder");
	s->store_fd = folder(s->data_fd, "store", backend, 0710, e);
	s->auth_fd = folder(s->data_fd, "auth", auth, 0710, e);
	s->empty_fd = folder(s->run_fd, "empty", geteuid(), 0555, e);
	return s->store_fd < 0 || s->auth_fd < 0 || s->empty_fd < 0 ? -1 : 0;
}

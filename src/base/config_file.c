/* The configuration on disk. */
#include "base/config.h"
#include "limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <sys/stat.h>

static int path_open(slice path, int flags, err *e)
{
	char z[LIMIT_CONFIG_WORD * 2];

	if (path.n >= sizeof z || memchr(path.p, 0, path.n))
		return err_set(e, ERR_LIMIT, "the path is too long");
	memcpy(z, path.p, path.n);
	z[path.n] = 0;
	int fd = open(z, flags | O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_sys(e, errno == ENOENT ? ERR_MISSING : ERR_IO, "cannot open %s", z);
	return fd;
}

static int file_read(void *arg, slice path, struct arena *a, slice *ret_text, err *e)
{
	struct stat st;

	(void)arg;
	AUTO_FD fd = path_open(path, 0, e);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return err_sys(e, ERR_IO, "cannot read %" SLICE_FMT, SLICE_ARG(path));
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_IO, "%" SLICE_FMT " is not a regular file", SLICE_ARG(path));
	if (st.st_size > LIMIT_CONFIG_FILE)
		return err_set(e, ERR_LIMIT, "%" SLICE_FMT " is larger than 1 MiB", SLICE_ARG(path));
	size_t size = (size_t)st.st_size, n = 0;
	char *p = arena_new_n(a, char, size + 1);
	if (!p)
		return err_set(e, ERR_LIMIT, "the configuration is too large");
	while (n < size) {
		ssize_t got = read(fd, p + n, size - n);
		if (got < 0)
			return err_sys(e, ERR_IO, "cannot read %" SLICE_FMT, SLICE_ARG(path));
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*ret_text = slice_make(p, n);
	return 0;
}

static int by_bytes(const void *a, const void *b)
{
	return slice_cmp(*(const slice *)a, *(const slice *)b);
}

static int folder_read(
	DIR *d, const char *pattern, slice folder, struct arena *a, slice *ret, size_t max, err *e)
{
	const struct dirent *entry;
	size_t n = 0;

	while ((entry = readdir(d)) != NULL) {
		if (fnmatch(pattern, entry->d_name, FNM_PERIOD) != 0)
			continue;
		if (n == max)
			return err_set(e, ERR_LIMIT, "more than %zu files match", max);
		ret[n] = arena_fmt(a, "%.*s/%s", (int)folder.n, folder.p, entry->d_name);
		if (!ret[n].p)
			return err_set(e, ERR_LIMIT, "the configuration is too large");
		n++;
	}
	qsort(ret, n, sizeof *ret, by_bytes);
	return (int)n;
}

static int files_match(
	void *arg, slice folder, slice pattern, struct arena *a, slice *ret, size_t max, err *e)
{
	(void)arg;
	slice z = arena_copy(a, pattern);
	if (!z.p)
		return err_set(e, ERR_LIMIT, "the configuration is too large");
	err why = {0};
	int fd = path_open(folder, O_DIRECTORY, &why);
	if (fd < 0 && why.kind == ERR_MISSING)
		return 0;
	if (fd < 0)
		return err_set(e, why.kind, "%s", why.text);
	DIR *d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_sys(e, ERR_IO, "cannot read the folder %" SLICE_FMT, SLICE_ARG(folder));
	}
	int n = folder_read(d, z.p, folder, a, ret, max, e);
	closedir(d);
	return n;
}

static int nothing_read(void *arg, slice path, struct arena *a, slice *ret_text, err *e)
{
	(void)arg, (void)path, (void)a, (void)e;
	*ret_text = (slice){0};
	return 0;
}

/* No host in the file: what the system calls itself, when that is a name at all. */
static void host_fill(struct settings *s)
{
	char name[256];

	if (s->host.n)
		return;
	if (gethostname(name, sizeof name) < 0)
		name[0] = 0;
	name[sizeof name - 1] = 0;
	if (setting_parse(&setting_table[SETTING_ID_host], slice_of(name), s, NULL) < 0 || !s->host.n)
		s->host = S("localhost");
}

static int load(const struct config_source *source, slice path, struct config *ret, struct buf *ret_report)
{
	if (config_parse(source, path, ret, ret_report) < 0)
		return -1;
	host_fill(ret->settings);
	return 0;
}

int config_load(const char *path, struct config *ret, struct buf *ret_report)
{
	static const struct config_source files = {.read = file_read, .match = files_match};
	char whole[4096];

	if (path[0] == '/')
		return load(&files, slice_of(path), ret, ret_report);
	if (!getcwd(whole, sizeof whole)) {
		buf_addf(ret_report, "the present folder has no name: %s\n", err_sys_text(errno));
		return -1;
	}
	size_t n = strlen(whole);
	int more = snprintf(whole + n, sizeof whole - n, "/%s", path);
	if (more < 0 || (size_t)more >= sizeof whole - n) {
		buf_addz(ret_report, "the path of the configuration file is too long\n");
		return -1;
	}
	return load(&files, slice_of(whole), ret, ret_report);
}

int config_defaults(struct config *ret, struct buf *ret_report)
{
	static const struct config_source nothing = {.read = nothing_read, .match = files_match};

	return load(&nothing, S("/"), ret, ret_report);
}

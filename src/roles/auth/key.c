/* The TLS key: the owner's file, or one made here and kept in our own folder. It never leaves this process.
 */
#include "auth/key.h"
#include "base/clock.h"
#include "base/log.h"
#include "roles/auth/auth_role.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX     65536
#define SELF_KEY         "self-signed-key.pem"
#define SELF_CERTIFICATE "self-signed-certificate.pem"
#define SELF_NAMES       "self-signed-names"
#define SELF_RENEW_S     (30 * 86400) /* before its 397 days are over */
#define SELF_LIFE_S      (397 * 86400)

static int read_fd(int fd, struct buf *out, err *e)
{
	ssize_t n;
	char *room;

	while ((room = buf_room(out, 4096)) && (n = read(fd, room, 4096)) > 0)
		buf_grow(out, (size_t)n);
	return room && n == 0 ? 0 : err_set(e, ERR_IO, "the file cannot be read or is too long");
}

static int read_ours(const char *name, struct buf *out, err *e)
{
	AUTO_FD fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_sys(e, ERR_MISSING, "cannot open \"%s\"", name) : read_fd(fd, out, e);
}

/* Whole or not at all: a new file, synced, moved to its place, the folder synced. */
static int write_ours(const char *name, slice bytes, err *e)
{
	char part[64];

	snprintf(part, sizeof part, "%s.new", name);
	unlink(part);
	AUTO_FD fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	AUTO_FD dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || dir < 0 || write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n || fsync(fd) < 0 ||
		renameat(AT_FDCWD, part, AT_FDCWD, name) < 0 || fsync(dir) < 0)
		return err_sys(e, ERR_IO, "cannot write \"%s\"", name);
	return 0;
}

static void wipe(struct buf *b)
{
	if (b->p)
		explicit_bzero(b->p, b->cap);
	buf_free(b);
}

/* The one of the last start serves again while it is young and its names are the same. */
static bool load_self(slice hosts, struct buf *key, struct buf *chain)
{
	struct buf names = BUF_INIT(8192); /* read_fd wants 4096 free to see the end */
	struct stat st;
	err e;
	bool good = read_ours(SELF_NAMES, &names, &e) == 0 && slice_eq(buf_slice(&names), hosts) &&
		    read_ours(SELF_KEY, key, &e) == 0 && read_ours(SELF_CERTIFICATE, chain, &e) == 0 &&
		    stat(SELF_CERTIFICATE, &st) == 0 &&
		    clock_wall_s() < (int64_t)st.st_mtime + SELF_LIFE_S - SELF_RENEW_S;

	buf_free(&names);
	if (!good) {
		wipe(key);
		buf_reset(chain);
	}
	return good;
}

static int make_self(slice hosts, struct buf *key, struct buf *chain, err *e)
{
	slice names[LIMIT_SELFSIGNED_NAMES], rest = hosts, word;
	size_t n = 0;

	while (n < LIMIT_SELFSIGNED_NAMES && slice_word(&rest, &word))
		names[n++] = word;
	if (n == 0)
		names[n++] = S("localhost");
	if (key_selfsigned_make(names, n, clock_wall_s(), key, chain, e) < 0 ||
		write_ours(SELF_KEY, buf_slice(key), e) < 0 ||
		write_ours(SELF_CERTIFICATE, buf_slice(chain), e) < 0 || write_ours(SELF_NAMES, hosts, e) < 0)
		return -1;
	log_event(LOG_NOTICE, "certificate_made", F_SLICE("names", hosts));
	return 0;
}

static int load(struct auth_role *a, const struct msg_key *m, struct buf *chain, err *e)
{
	struct buf pem = BUF_INIT(KEY_FILE_MAX);
	int rc = m->file >= 0                       ? read_fd(m->file, &pem, e)
		 : load_self(m->hosts, &pem, chain) ? 0
						    : make_self(m->hosts, &pem, chain, e);
	struct key *key = rc == 0 ? key_load(buf_slice(&pem), e) : NULL;

	wipe(&pem);
	if (!key)
		return -1;
	if (m->file >= 0 && key_matches(key, m->chain, e) < 0) { /* the one in use stays */
		key_free(key);
		return -1;
	}
	key_free(a->key);
	a->key = key;
	a->key_id = m->key;
	return 0;
}

void auth_on_key(struct channel_request *q, void *arg)
{
	struct auth_role *a = ((struct role_run *)arg)->state;
	struct buf chain = BUF_INIT(49152);
	struct msg_key m = {.file = -1};
	err e = {0};

	if (!msg_key_take(q, &m))
		return;
	if (load(a, &m, &chain, &e) < 0)
		channel_answer_error(q, e.kind, e.text);
	else
		msg_key_answer(q, &(struct msg_key_reply){.chain = buf_slice(&chain)});
	if (m.file >= 0)
		close(m.file);
	buf_free(&chain);
}

void auth_on_sign(struct channel_request *q, void *arg)
{
	struct auth_role *a = ((struct role_run *)arg)->state;
	struct buf signature = BUF_INIT(1024);
	struct msg_sign m;
	err e = {0};

	if (!msg_sign_take(q, &m))
		return;
	a->signs++;
	if (!a->key || m.key != a->key_id) {
		channel_answer_error(q, ERR_MISSING, "there is no such key");
		return;
	}
	if (key_tls_sign(a->key, m.scheme, m.text, &signature, &e) < 0) {
		log_event(LOG_WARN, "sign_refused", F_ERR(&e));
		channel_answer_error(q, e.kind, e.text);
	} else {
		msg_sign_answer(q, &(struct msg_sign_reply){.signature = buf_slice(&signature)});
	}
	buf_free(&signature);
}

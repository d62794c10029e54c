/*
 * The client side's TLS contexts. OpenSSL and the roots cost 15 ms and 2 MiB: not before there is mail for
 * the world. What they need of files is open by then, and nothing in them looks for more (tls_library_init).
 */
#include "base/log.h"
#include "io/worker.h"
#include "roles/outbound/outbound.h"
#include <fcntl.h>
#include <stdio.h>

#define ROOTS_MAX (16u << 20)

void out_roots_open(struct outbound *o)
{
	slice path = o->role->settings->outbound_roots;
	char z[LIMIT_CONFIG_WORD + 1];

	snprintf(z, sizeof z, "%.*s", (int)path.n, path.p);
	o->roots = open(z, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (o->roots < 0)
		log_event(LOG_WARN, "no_roots", F_STR("file", z),
			F_STR("why", "no certificate of another server will be good; the file comes with the "
				     "package ca-certificates"));
}

struct making {
	int fd;
	enum tls_check check;
	struct tls_context *made;
	err e;
};

/* On a worker thread: reading and parsing take their time. */
static void make(void *arg)
{
	struct making *m = arg;
	struct buf pem = BUF_INIT(ROOTS_MAX);
	off_t at = 0;
	char *room;

	if (tls_library_init(&m->e) < 0)
		return;
	while (m->fd >= 0 && (room = buf_room(&pem, 65536)) != NULL) {
		ssize_t n = pread(m->fd, room, 65536, at);

		if (n <= 0)
			break;
		buf_grow(&pem, (size_t)n);
		at += n;
	}
	m->made = tls_client_context_new(m->check, buf_slice(&pem), &m->e);
	buf_free(&pem);
}

struct tls_context *out_tls(struct outbound *o, bool demand, err *e)
{
	struct making m = {.fd = o->roots, .check = demand ? TLS_CHECK_DEMAND : TLS_CHECK_REPORT};

	while (o->making_tls && !o->tls[demand])
		if (fiber_signal_wait(&o->tls_made, FOREVER) < 0)
			break;
	if (o->tls[demand])
		return o->tls[demand];
	if (o->making_tls) {
		(void)err_set(e, ERR_CANCELED, "cancelled");
		return NULL;
	}
	o->making_tls = true;
	worker_run(make, &m);
	o->making_tls = false;
	if (!m.made && !demand) { /* a broken file of roots: TLS without knowing with whom */
		log_event(LOG_WARN, "roots_failed", F_ERR(&m.e));
		m.made = tls_client_context_new(TLS_CHECK_REPORT, S(""), &m.e);
	}
	o->tls[demand] = m.made;
	fiber_signal_all(&o->tls_made);
	if (!m.made)
		*e = m.e;
	return m.made;
}

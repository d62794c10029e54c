#include "io/listen.h"
#include "io/loop_int.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_BATCH    64  /* a storm of connections does not starve the ones that are here */
#define ACCEPT_PAUSE_MS 100 /* when descriptors have run out */

struct listener {
	uv_poll_t poll;
	uv_timer_t timer;
	int fd, closing;
	void (*accepted)(void *arg, int fd);
	void *arg;
};

static void on_connection(uv_poll_t *h, int status, int events);

static void on_pause_end(uv_timer_t *h)
{
	struct listener *l = h->data;

	uv_poll_start(&l->poll, UV_READABLE, on_connection);
}

static void on_connection(uv_poll_t *h, int status, int events)
{
	struct listener *l = h->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH && !l->closing; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			l->accepted(l->arg, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			uv_poll_stop(&l->poll);
			uv_timer_start(&l->timer, on_pause_end, ACCEPT_PAUSE_MS, 0);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

struct listener *listener_new(int fd, void (*accepted)(void *arg, int fd), void *arg)
{
	struct listener *l = calloc(1, sizeof *l);

	if (!l || uv_poll_init(loop_uv(loop_self()), &l->poll, fd) < 0) {
		free(l);
		close(fd);
		return NULL;
	}
	l->fd = fd;
	l->accepted = accepted;
	l->arg = arg;
	uv_timer_init(loop_uv(loop_self()), &l->timer);
	l->poll.data = l->timer.data = l;
	uv_poll_start(&l->poll, UV_READABLE, on_connection);
	return l;
}

static void on_listener_closed(uv_handle_t *h)
{
	struct listener *l = h->data;

	if (--l->closing == 0)
		free(l);
}

void listener_free(struct listener *l)
{
	if (!l)
		return;
	l->closing = 2;
	uv_close((uv_handle_t *)&l->poll, on_listener_closed);
	uv_close((uv_handle_t *)&l->timer, on_listener_closed);
	close(l->fd);
}

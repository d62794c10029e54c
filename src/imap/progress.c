/* INPROGRESS (RFC 9585): a command that takes long says how far it is. */
#include "imap/session_int.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "limits.h"

#define BREATH 65536 /* bytes of responses */

int imap_breathe(struct imap_session *s)
{
	if (s->out.n < BREATH && !s->out.failed)
		return 0;
	int rc = imap_send(s);
	return rc < 0 ? rc : fiber_yield();
}

void imap_progress(struct imap_session *s, uint32_t done, uint32_t total)
{
	int64_t every = s->config->progress_ms ? s->config->progress_ms : LIMIT_IMAP_PROGRESS_MS;
	uint64_t now = loop_now();

	/* Not while it waits, where there is no tag, and not amid a line. */
	if (!s->arena || s->command.tag.n == 0 ||
		(s->out.n > 0 && !s->out.failed && s->out.p[s->out.n - 1] != '\n'))
		return;
	if (every > 0 && now - s->progress_at < (uint64_t)every)
		return;
	s->progress_at = now;
	buf_addz(&s->out, "* OK [INPROGRESS (\"");
	buf_add(&s->out, s->command.tag);
	buf_addz(&s->out, "\" ");
	imap_write_u64(&s->out, done);
	buf_add_c(&s->out, ' ');
	imap_write_u64(&s->out, total);
	buf_addz(&s->out, ")] still at work\r\n");
}

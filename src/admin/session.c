/* One connection of the control socket. */
#include "admin/call.h"
#include "admin/frame.h"
#include "limits.h"

#include <errno.h>

/* Reads one frame into *in. 0, or a negative errno. */
static int frame_read(struct admin_session *s, struct buf *in)
{
	uint8_t head[ADMIN_FRAME_HEAD];
	uint32_t n, most = s->allowed ? ADMIN_FRAME_MAX : LIMIT_ADMIN_STRANGER;

	stream_timeout(s->stream, LIMIT_ADMIN_IDLE_MS);
	int rc = stream_read_exact(s->stream, head, sizeof head);
	if (rc < 0)
		return rc;
	if (!admin_frame_head_read(head, most, &n))
		return -EMSGSIZE;
	stream_timeout(s->stream, LIMIT_ADMIN_FRAME_MS);
	while (n > 0) { /* piece by piece: memory follows what was sent, not what was said */
		size_t piece = n < 16384 ? n : 16384;
		char *room = buf_room(in, piece);
		if (!room)
			return -ENOMEM;
		rc = stream_read_exact(s->stream, room, piece);
		if (rc < 0)
			return rc;
		buf_grow(in, piece);
		n -= (uint32_t)piece;
	}
	return 0;
}

static int frame_write(struct admin_session *s, const struct buf *out)
{
	uint8_t head[ADMIN_FRAME_HEAD];

	stream_timeout(s->stream, LIMIT_ADMIN_FRAME_MS);
	admin_frame_head_write((uint32_t)out->n, head);
	int rc = stream_write(s->stream, slice_make(head, sizeof head));
	if (rc == 0)
		rc = stream_write(s->stream, buf_slice(out));
	return rc < 0 ? rc : stream_flush(s->stream);
}

void admin_session_run(struct admin_session *s)
{
	int rc = 0;

	while (rc == 0) {
		struct buf in = BUF_INIT(ADMIN_FRAME_MAX), out = BUF_INIT(ADMIN_FRAME_MAX);

		rc = frame_read(s, &in);
		if (rc == 0) {
			admin_request(s, buf_slice(&in), &out);
			rc = out.failed ? -ENOMEM : frame_write(s, &out);
		}
		if (in.p)
			explicit_bzero(in.p, in.n); /* it may hold a password */
		buf_free(&in);
		buf_free(&out);
	}
}

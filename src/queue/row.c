#include "queue/row.h"
#include "base/wire.h"

enum { QUEUE_VERSION = 1, TEXT_MAX = 4096 };

static slice key(char out[QUEUE_KEY_MAX], char kind, const int64_t *due_us, const uint8_t id[16],
	const uint32_t *recipient)
{
	size_t n = 0;
	out[n++] = 'Q';
	out[n++] = kind;
	if (due_us) {
		be64_put(out + n, *due_us < 0 ? 0 : (uint64_t)*due_us);
		n += 8;
	}
	memcpy(out + n, id, 16);
	n += 16;
	if (recipient) {
		be32_put(out + n, *recipient);
		n += 4;
	}
	return slice_make(out, n);
}

slice queue_key_due(char out[QUEUE_KEY_MAX], int64_t due_us, const uint8_t id[16])
{
	return key(out, 0, &due_us, id, NULL);
}

slice queue_key_message(char out[QUEUE_KEY_MAX], const uint8_t id[16])
{
	return key(out, 1, NULL, id, NULL);
}

slice queue_key_recipient(char out[QUEUE_KEY_MAX], const uint8_t id[16], uint32_t recipient)
{
	return key(out, 2, NULL, id, &recipient);
}

static uint32_t rd_var32(struct rd *r)
{
	uint64_t v = rd_var(r);
	if (v > UINT32_MAX)
		r->bad = true;
	return r->bad ? 0 : (uint32_t)v;
}

void queue_message_encode(struct buf *out, const struct queue_message *m)
{
	wire_put_u8(out, QUEUE_VERSION);
	wire_put_u8(out, (uint8_t)m->ret);
	wire_put_u8(out, m->flags);
	wire_put_bytes(out, m->sender);
	wire_put_bytes(out, m->envelope_id);
	wire_put_var(out, m->blob);
	wire_put_var(out, m->size);
	wire_put_var(out, m->account);
	wire_put_var(out, m->recipients);
	wire_put_u64(out, (uint64_t)m->arrival_us);
}

int queue_message_decode(slice in, struct queue_message *ret, err *e)
{
	struct rd r = rd_of(in);
	struct queue_message m;
	uint8_t version = rd_u8(&r), mode = rd_u8(&r);
	m.flags = rd_u8(&r);
	m.sender = rd_bytes(&r, TEXT_MAX);
	m.envelope_id = rd_bytes(&r, TEXT_MAX);
	m.blob = rd_var(&r);
	m.size = rd_var(&r);
	m.account = rd_var32(&r);
	m.recipients = rd_var32(&r);
	m.arrival_us = (int64_t)rd_u64(&r);
	m.ret = (enum queue_ret)mode;
	if (!rd_done(&r) || version != QUEUE_VERSION || mode > RET_HDRS)
		return err_set(e, ERR_CORRUPT, "a message row of the queue does not decode");
	*ret = m;
	return 0;
}

void queue_recipient_encode(struct buf *out, const struct queue_recipient *q)
{
	wire_put_u8(out, QUEUE_VERSION);
	wire_put_u8(out, (uint8_t)q->state);
	wire_put_u8(out, q->notify);
	wire_put_var(out, q->attempts);
	wire_put_u64(out, (uint64_t)q->due_us);
	wire_put_bytes(out, q->address);
	wire_put_bytes(out, q->original);
	wire_put_bytes(out, q->last_reply);
}

int queue_recipient_decode(slice in, struct queue_recipient *ret, err *e)
{
	struct rd r = rd_of(in);
	struct queue_recipient q;
	uint8_t version = rd_u8(&r), state = rd_u8(&r);
	q.notify = rd_u8(&r);
	q.attempts = rd_var32(&r);
	q.due_us = (int64_t)rd_u64(&r);
	q.address = rd_bytes(&r, TEXT_MAX);
	q.original = rd_bytes(&r, TEXT_MAX);
	q.last_reply = rd_bytes(&r, TEXT_MAX);
	q.state = (enum queue_state)state;
	if (!rd_done(&r) || version != QUEUE_VERSION || state < QUEUE_WAITING || state > QUEUE_HELD)
		return err_set(e, ERR_CORRUPT, "a recipient row of the queue does not decode");
	*ret = q;
	return 0;
}

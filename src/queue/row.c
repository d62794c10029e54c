#include "queue/row.h"
#include "base/hash.h"
#include "base/wire.h"
#include "limits.h"

enum { QUEUE_VERSION = 2, TEXT_MAX = 4096, ID = 16 };

enum kind { K_COUNTERS, K_MESSAGE, K_RECIPIENT, K_PARCEL, K_LEASE, K_CLOCK };

/* ---- keys ---- */

struct key_out {
	char *p;
	size_t n;
};

static struct key_out key(char out[QUEUE_KEY_MAX], enum kind kind)
{
	out[0] = 'Q';
	out[1] = (char)kind;
	return (struct key_out){out, 2};
}

static void add_id(struct key_out *k, const uint8_t id[ID])
{
	memcpy(k->p + k->n, id, ID);
	k->n += ID;
}

static void add_u64(struct key_out *k, uint64_t v)
{
	be64_put(k->p + k->n, v);
	k->n += 8;
}

static slice done(const struct key_out *k)
{
	return slice_make(k->p, k->n);
}

uint64_t queue_lane(slice domain)
{
	/* Fixed: the lane stands in keys. */
	static const uint64_t seed[2] = {UINT64_C(0x706f7374686f7573), UINT64_C(0x65206c616e657320)};
	uint64_t h = domain.n ? hash_keyed(seed, domain) : 0;
	return domain.n && h == 0 ? 1 : h;
}

bool queue_recipient_in(const struct queue_recipient *r, slice domain)
{
	if (r->domain.n)
		return slice_eq(r->domain, domain);
	ptrdiff_t at = slice_rfind_c(r->address, '@');
	return at >= 0 && slice_ieq(slice_skip(r->address, (size_t)at + 1), domain);
}

slice queue_key_counters(char out[QUEUE_KEY_MAX])
{
	struct key_out k = key(out, K_COUNTERS);
	return done(&k);
}

slice queue_key_clock(char out[QUEUE_KEY_MAX])
{
	struct key_out k = key(out, K_CLOCK);
	return done(&k);
}

slice queue_key_messages(char out[QUEUE_KEY_MAX])
{
	struct key_out k = key(out, K_MESSAGE);
	return done(&k);
}

slice queue_key_message(char out[QUEUE_KEY_MAX], const uint8_t id[ID])
{
	struct key_out k = key(out, K_MESSAGE);
	add_id(&k, id);
	return done(&k);
}

slice queue_key_recipients(char out[QUEUE_KEY_MAX], const uint8_t id[ID])
{
	struct key_out k = key(out, K_RECIPIENT);
	add_id(&k, id);
	return done(&k);
}

slice queue_key_recipient(char out[QUEUE_KEY_MAX], const uint8_t id[ID], uint64_t lane, uint32_t recipient)
{
	struct key_out k = key(out, K_RECIPIENT);
	add_id(&k, id);
	add_u64(&k, lane);
	be32_put(k.p + k.n, recipient);
	k.n += 4;
	return done(&k);
}

slice queue_key_parcels(char out[QUEUE_KEY_MAX])
{
	struct key_out k = key(out, K_PARCEL);
	return done(&k);
}

slice queue_key_lane(char out[QUEUE_KEY_MAX], uint64_t lane)
{
	struct key_out k = key(out, K_PARCEL);
	add_u64(&k, lane);
	return done(&k);
}

slice queue_key_lane_rank(char out[QUEUE_KEY_MAX], uint64_t lane, uint8_t rank)
{
	struct key_out k = key(out, K_PARCEL);
	add_u64(&k, lane);
	k.p[k.n++] = (char)rank;
	return done(&k);
}

slice queue_key_parcel(char out[QUEUE_KEY_MAX], const struct parcel *p)
{
	struct key_out k = key(out, K_PARCEL);
	add_u64(&k, p->lane);
	k.p[k.n++] = (char)p->rank;
	add_u64(&k, p->due_us < 0 ? 0 : (uint64_t)p->due_us);
	add_id(&k, p->id);
	return done(&k);
}

slice queue_key_leases(char out[QUEUE_KEY_MAX])
{
	struct key_out k = key(out, K_LEASE);
	return done(&k);
}

slice queue_key_lease(char out[QUEUE_KEY_MAX], uint64_t lease)
{
	struct key_out k = key(out, K_LEASE);
	add_u64(&k, lease);
	return done(&k);
}

static bool is_kind(slice key, enum kind kind, size_t n)
{
	return key.n == n && key.p[0] == 'Q' && key.p[1] == (char)kind;
}

bool queue_key_parcel_read(slice key, struct parcel *ret)
{
	if (!is_kind(key, K_PARCEL, 2 + 8 + 1 + 8 + ID))
		return false;
	*ret = (struct parcel){
		.lane = be64_get(key.p + 2),
		.rank = (uint8_t)key.p[10],
		.due_us = (int64_t)be64_get(key.p + 11),
	};
	memcpy(ret->id, key.p + 19, ID);
	return true;
}

bool queue_key_recipient_read(slice key, uint8_t ret_id[ID], uint64_t *ret_lane, uint32_t *ret_recipient)
{
	if (!is_kind(key, K_RECIPIENT, 2 + ID + 8 + 4))
		return false;
	memcpy(ret_id, key.p + 2, ID);
	*ret_lane = be64_get(key.p + 2 + ID);
	*ret_recipient = be32_get(key.p + 2 + ID + 8);
	return true;
}

bool queue_key_message_read(slice key, uint8_t ret_id[ID])
{
	if (!is_kind(key, K_MESSAGE, 2 + ID))
		return false;
	memcpy(ret_id, key.p + 2, ID);
	return true;
}

/* ---- values ---- */

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
	wire_put_u8(out, (uint8_t)m->priority);
	wire_put_bytes(out, m->sender);
	wire_put_bytes(out, m->envelope_id);
	wire_put_var(out, m->blob);
	wire_put_var(out, m->size);
	wire_put_var(out, m->account);
	wire_put_var(out, m->recipients);
	wire_put_var(out, m->open);
	wire_put_u64(out, (uint64_t)m->arrival_us);
	wire_put_u64(out, (uint64_t)m->by_us);
	if (m->start_us > m->arrival_us)
		wire_put_u64(out, (uint64_t)m->start_us);
}

int queue_message_decode(slice in, struct queue_message *ret, err *e)
{
	struct rd r = rd_of(in);
	struct queue_message m;
	uint8_t version = rd_u8(&r), mode = rd_u8(&r);
	m.flags = rd_u8(&r);
	m.priority = (int8_t)rd_u8(&r);
	m.sender = rd_bytes(&r, TEXT_MAX);
	m.envelope_id = rd_bytes(&r, TEXT_MAX);
	m.blob = rd_var(&r);
	m.size = rd_var(&r);
	m.account = rd_var32(&r);
	m.recipients = rd_var32(&r);
	m.open = rd_var32(&r);
	m.arrival_us = (int64_t)rd_u64(&r);
	m.by_us = (int64_t)rd_u64(&r);
	m.start_us = r.n && !r.bad ? (int64_t)rd_u64(&r) : m.arrival_us;
	m.ret = (enum queue_ret)mode;
	if (!rd_done(&r) || version != QUEUE_VERSION || mode > RET_HDRS || m.priority < -9 ||
		m.priority > 9 || m.open > m.recipients)
		return err_set(e, ERR_CORRUPT, "a message row of the queue does not decode");
	*ret = m;
	return 0;
}

void queue_recipient_encode(struct buf *out, const struct queue_recipient *q)
{
	wire_put_u8(out, QUEUE_VERSION);
	wire_put_u8(out, (uint8_t)q->state);
	wire_put_u8(out, q->notify);
	wire_put_u8(out, q->flags);
	wire_put_u8(out, q->rank);
	wire_put_var(out, q->attempts);
	wire_put_u64(out, (uint64_t)q->due_us);
	wire_put_u64(out, (uint64_t)q->tried_us);
	wire_put_u16(out, q->code);
	wire_put_raw(out, slice_make(q->status, sizeof q->status));
	wire_put_bytes(out, q->address);
	wire_put_bytes(out, q->domain);
	wire_put_bytes(out, q->original);
	wire_put_bytes(out, q->via);
	wire_put_bytes(out, q->host);
	wire_put_bytes(out, q->last_reply);
}

int queue_recipient_decode(slice in, struct queue_recipient *ret, err *e)
{
	struct rd r = rd_of(in);
	struct queue_recipient q;
	uint8_t version = rd_u8(&r), state = rd_u8(&r);
	q.notify = rd_u8(&r);
	q.flags = rd_u8(&r);
	q.rank = rd_u8(&r);
	q.attempts = rd_var32(&r);
	q.due_us = (int64_t)rd_u64(&r);
	q.tried_us = (int64_t)rd_u64(&r);
	q.code = rd_u16(&r);
	slice status = rd_raw(&r, sizeof q.status);
	q.address = rd_bytes(&r, TEXT_MAX);
	q.domain = rd_bytes(&r, TEXT_MAX);
	q.original = rd_bytes(&r, TEXT_MAX);
	q.via = rd_bytes(&r, TEXT_MAX);
	q.host = rd_bytes(&r, TEXT_MAX);
	q.last_reply = rd_bytes(&r, TEXT_MAX);
	q.state = (enum queue_state)state;
	if (!rd_done(&r) || version != QUEUE_VERSION || state < QUEUE_WAITING || state > QUEUE_FAILED)
		return err_set(e, ERR_CORRUPT, "a recipient row of the queue does not decode");
	memcpy(q.status, status.p, sizeof q.status);
	*ret = q;
	return 0;
}

void queue_parcel_encode(struct buf *out, uint32_t account)
{
	wire_put_u8(out, QUEUE_VERSION);
	wire_put_var(out, account);
}

int queue_parcel_decode(slice in, uint32_t *ret_account, err *e)
{
	struct rd r = rd_of(in);
	uint8_t version = rd_u8(&r);
	uint32_t account = rd_var32(&r);
	if (!rd_done(&r) || version != QUEUE_VERSION)
		return err_set(e, ERR_CORRUPT, "a parcel row of the queue does not decode");
	*ret_account = account;
	return 0;
}

void queue_lease_encode(struct buf *out, const struct parcel *v, size_t n)
{
	wire_put_u8(out, QUEUE_VERSION);
	wire_put_var(out, n);
	for (size_t i = 0; i < n; i++) {
		wire_put_u64(out, v[i].lane);
		wire_put_u8(out, v[i].rank);
		wire_put_u64(out, (uint64_t)v[i].due_us);
		wire_put_raw(out, slice_make(v[i].id, ID));
	}
}

int queue_lease_decode(slice in, struct parcel *v, size_t *ret_n, err *e)
{
	struct rd r = rd_of(in);
	uint8_t version = rd_u8(&r);
	uint64_t n = rd_var(&r);
	if (version != QUEUE_VERSION || r.bad || n > LIMIT_LEASE)
		return err_set(e, ERR_CORRUPT, "a lease row of the queue does not decode");
	for (size_t i = 0; i < n; i++) {
		v[i] = (struct parcel){.lane = rd_u64(&r)};
		v[i].rank = rd_u8(&r);
		v[i].due_us = (int64_t)rd_u64(&r);
		slice id = rd_raw(&r, ID);
		if (id.n == ID)
			memcpy(v[i].id, id.p, ID);
	}
	if (!rd_done(&r))
		return err_set(e, ERR_CORRUPT, "a lease row of the queue does not decode");
	*ret_n = (size_t)n;
	return 0;
}

static void two_encode(struct buf *out, uint64_t a, uint64_t b)
{
	wire_put_u8(out, QUEUE_VERSION);
	wire_put_u64(out, a);
	wire_put_u64(out, b);
}

static int two_decode(slice in, uint64_t *ret_a, uint64_t *ret_b, const char *what, err *e)
{
	struct rd r = rd_of(in);
	uint8_t version = rd_u8(&r);
	uint64_t a = rd_u64(&r), b = rd_u64(&r);
	if (!rd_done(&r) || version != QUEUE_VERSION)
		return err_set(e, ERR_CORRUPT, "the %s row of the queue does not decode", what);
	*ret_a = a;
	*ret_b = b;
	return 0;
}

void queue_mark_encode(struct buf *out, const struct queue_mark *m)
{
	two_encode(out, (uint64_t)m->queue_us, (uint64_t)m->wall_us);
}

int queue_mark_decode(slice in, struct queue_mark *ret, err *e)
{
	uint64_t a = 0, b = 0;
	if (two_decode(in, &a, &b, "clock", e) < 0)
		return -1;
	*ret = (struct queue_mark){(int64_t)a, (int64_t)b};
	return 0;
}

void queue_counters_encode(struct buf *out, const struct queue_counters *c)
{
	two_encode(out, c->messages, c->recipients);
}

int queue_counters_decode(slice in, struct queue_counters *ret, err *e)
{
	return two_decode(in, &ret->messages, &ret->recipients, "counter", e);
}

#include "roles/common/envelope.h"
#include "base/encode.h"
#include "base/wire.h"
#include "limits.h"

#define ADDRESS_MAX 600
#define SECONDS_MAX INT64_C(253402300800) /* the year 10000 */

enum { HAS_BY = 1, BY_RETURN = 2, BY_TRACE = 4 };

static void put_text(struct buf *out, slice text)
{
	wire_put_bytes(out, slice_sub(text, 0, utf8_cut(text, ENVELOPE_TEXT)));
}

static void put_trace(struct buf *out, const struct envelope_trace *t)
{
	put_text(out, t->ip);
	put_text(out, t->name);
	put_text(out, t->helo);
	put_text(out, t->tls);
	put_text(out, t->protocol);
	put_text(out, t->user);
}

void envelope_encode(struct buf *out, const struct envelope *e)
{
	wire_put_bytes(out, e->sender);
	wire_put_bytes(out, e->id);
	wire_put_u8(out, e->ret);
	wire_put_u8(out, e->flags);
	wire_put_u64(out, (uint64_t)e->release_s);
	wire_put_u8(out, (uint8_t)(!e->has_by ? 0
					      : HAS_BY | (e->by_mode == 'R' ? BY_RETURN : 0) |
							(e->by_trace ? BY_TRACE : 0)));
	wire_put_u64(out, (uint64_t)(e->has_by ? e->by_deadline_s : 0));
	wire_put_u8(out, (uint8_t)e->priority);
	put_trace(out, &e->trace);
	wire_put_u32(out, (uint32_t)e->n);
	for (size_t i = 0; i < e->n; i++) {
		wire_put_bytes(out, e->recipients[i].local);
		wire_put_bytes(out, e->recipients[i].domain);
		wire_put_bytes(out, e->recipients[i].original);
		wire_put_u8(out, e->recipients[i].notify);
	}
}

static int64_t get_seconds(struct rd *r)
{
	uint64_t v = rd_u64(r);

	if (v > (uint64_t)SECONDS_MAX)
		r->bad = true;
	return r->bad ? 0 : (int64_t)v;
}

static void get_wishes(struct rd *r, struct envelope *v)
{
	v->release_s = get_seconds(r);
	uint8_t by = rd_u8(r);
	v->by_deadline_s = get_seconds(r);
	v->priority = (int8_t)rd_u8(r);
	v->has_by = by & HAS_BY;
	v->by_trace = by & BY_TRACE;
	v->by_mode = (char)(!v->has_by ? 0 : by & BY_RETURN ? 'R' : 'N');
	if (by > (HAS_BY | BY_RETURN | BY_TRACE) || (by && !v->has_by) || v->priority < -9 || v->priority > 9)
		r->bad = true;
}

static void get_trace(struct rd *r, struct envelope_trace *t)
{
	t->ip = rd_bytes(r, ENVELOPE_TEXT);
	t->name = rd_bytes(r, ENVELOPE_TEXT);
	t->helo = rd_bytes(r, ENVELOPE_TEXT);
	t->tls = rd_bytes(r, ENVELOPE_TEXT);
	t->protocol = rd_bytes(r, ENVELOPE_TEXT);
	t->user = rd_bytes(r, ENVELOPE_TEXT);
}

int envelope_decode(slice bytes, struct arena *a, struct envelope *ret, err *e)
{
	struct rd r = rd_of(bytes);
	struct envelope v = {0};

	v.sender = rd_bytes(&r, ADDRESS_MAX);
	v.id = rd_bytes(&r, ADDRESS_MAX);
	v.ret = rd_u8(&r);
	v.flags = rd_u8(&r);
	get_wishes(&r, &v);
	get_trace(&r, &v.trace);
	v.n = rd_u32(&r);
	if (r.bad)
		return err_set(e, ERR_CORRUPT, "a broken envelope");
	if (v.n > LIMIT_ENVELOPE_RECIPIENTS)
		return err_set(e, ERR_LIMIT, "more than %d recipients", LIMIT_ENVELOPE_RECIPIENTS);
	v.recipients = arena_new_n(a, struct envelope_recipient, v.n ? v.n : 1);
	if (!v.recipients)
		return err_set(e, ERR_TEMP, "no memory for an envelope");
	for (size_t i = 0; i < v.n; i++) {
		v.recipients[i].local = rd_bytes(&r, ADDRESS_MAX);
		v.recipients[i].domain = rd_bytes(&r, ADDRESS_MAX);
		v.recipients[i].original = rd_bytes(&r, ADDRESS_MAX);
		v.recipients[i].notify = rd_u8(&r);
	}
	if (!rd_done(&r))
		return err_set(e, ERR_CORRUPT, "a broken envelope");
	*ret = v;
	return 0;
}

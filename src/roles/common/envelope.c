#include "roles/common/envelope.h"
#include "base/wire.h"
#include "limits.h"

#define ADDRESS_MAX 600

void envelope_encode(struct buf *out, const struct envelope *e)
{
	wire_put_bytes(out, e->sender);
	wire_put_bytes(out, e->id);
	wire_put_u8(out, e->ret);
	wire_put_u8(out, e->flags);
	wire_put_u32(out, (uint32_t)e->n);
	for (size_t i = 0; i < e->n; i++) {
		wire_put_bytes(out, e->recipients[i].local);
		wire_put_bytes(out, e->recipients[i].domain);
		wire_put_bytes(out, e->recipients[i].original);
		wire_put_u8(out, e->recipients[i].notify);
	}
}

int envelope_decode(slice bytes, struct arena *a, struct envelope *ret, err *e)
{
	struct rd r = rd_of(bytes);
	struct envelope v = {0};

	v.sender = rd_bytes(&r, ADDRESS_MAX);
	v.id = rd_bytes(&r, ADDRESS_MAX);
	v.ret = rd_u8(&r);
	v.flags = rd_u8(&r);
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

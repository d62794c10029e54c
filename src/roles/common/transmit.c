#include "roles/common/transmit.h"
#include "base/encode.h"
#include "base/wire.h"
#include "limits.h"

/* Bounds of the fields; an encoder that goes past one makes what no decoder takes. */
#define ADDRESS_MAX 600 /* local@domain, quoted, UTF-8: as in roles/common/envelope.c */
#define HEAD_MAX    4096
#define NAME_MAX_   255
#define USER_MAX    320
#define IP_MAX      64
#define TLS_MAX     64

#define ROW_BYTES    (1 + 1 + 2 + 3 + 1 + 2 + TRANSMIT_TEXT)
#define RESULT_BYTES (2 + NAME_MAX_ + 2 + IP_MAX + 2 + 2 + TLS_MAX + 1 + 1 + 1 + 4)
_Static_assert(RESULT_BYTES + TRANSMIT_RECIPIENTS * ROW_BYTES <= TRANSMIT_RESULT_MAX,
	"a result with all texts at their longest fits");

enum { JOB_HAS_BY = 1, JOB_BY_TRACE = 2 };
enum { ROW_DSN_PASSED = 1, ROW_OWN = 2, ROW_BITS = 3 };
enum { RESULT_VERIFIED = 1, RESULT_RELAYED = 2 };

static void put_route(struct buf *out, const struct transmit_route *r)
{
	wire_put_u32(out, r->id);
	wire_put_bytes(out, r->host);
	wire_put_u16(out, r->port);
	wire_put_u8(out, r->tls);
	wire_put_u8(out, r->mechanism);
	wire_put_u8(out, r->flags);
	wire_put_bytes(out, r->user);
	wire_put_bytes(out, r->source);
}

static struct transmit_route take_route(struct rd *r)
{
	struct transmit_route v = {.id = rd_u32(r)};

	v.host = rd_bytes(r, NAME_MAX_);
	v.port = rd_u16(r);
	v.tls = rd_u8(r);
	v.mechanism = rd_u8(r);
	v.flags = rd_u8(r);
	v.user = rd_bytes(r, USER_MAX);
	v.source = rd_bytes(r, IP_MAX);
	return v;
}

static size_t var_bytes(size_t n)
{
	size_t bytes = 1;

	for (; n > 127; n >>= 7)
		bytes++;
	return bytes;
}

size_t transmit_recipient_bytes(const struct transmit_recipient *r)
{
	return var_bytes(r->address.n) + r->address.n + var_bytes(r->original.n) + r->original.n + 1;
}

void transmit_job_encode(struct buf *out, const struct transmit_job *j)
{
	wire_put_raw(out, slice_make(j->id, sizeof j->id));
	wire_put_bytes(out, j->domain);
	wire_put_bytes(out, j->sender);
	wire_put_bytes(out, j->envelope_id);
	wire_put_u8(out, j->ret);
	wire_put_u8(out, j->flags);
	wire_put_u8(out, j->needs);
	wire_put_u8(out, (uint8_t)j->priority);
	wire_put_u8(out, (uint8_t)((j->has_by ? JOB_HAS_BY : 0) | (j->by_trace ? JOB_BY_TRACE : 0)));
	wire_put_u8(out, (uint8_t)j->by_mode);
	wire_put_u64(out, (uint64_t)j->by_seconds);
	wire_put_bytes(out, j->head);
	put_route(out, &j->route);
	wire_put_u32(out, (uint32_t)j->n);
	for (size_t i = 0; i < j->n; i++) {
		wire_put_bytes(out, j->recipients[i].address);
		wire_put_bytes(out, j->recipients[i].original);
		wire_put_u8(out, j->recipients[i].notify);
	}
}

static int broken_job(err *e)
{
	return err_set(e, ERR_CORRUPT, "a broken job to transmit");
}

int transmit_job_decode(slice in, struct arena *a, struct transmit_job *ret, err *e)
{
	struct rd r = rd_of(in);
	struct transmit_job v = {0};
	slice id = rd_raw(&r, sizeof v.id);

	v.domain = rd_bytes(&r, NAME_MAX_ + 2);
	v.sender = rd_bytes(&r, ADDRESS_MAX);
	v.envelope_id = rd_bytes(&r, LIMIT_SMTP_ENVID);
	v.ret = rd_u8(&r);
	v.flags = rd_u8(&r);
	v.needs = rd_u8(&r);
	v.priority = (int8_t)rd_u8(&r);
	uint8_t bits = rd_u8(&r);
	v.by_mode = (char)rd_u8(&r);
	v.by_seconds = (int64_t)rd_u64(&r);
	v.head = rd_bytes(&r, HEAD_MAX);
	v.route = take_route(&r);
	v.n = rd_u32(&r);
	if (r.bad || bits > (JOB_HAS_BY | JOB_BY_TRACE) || v.n > TRANSMIT_RECIPIENTS)
		return broken_job(e);
	memcpy(v.id, id.p, sizeof v.id);
	v.has_by = bits & JOB_HAS_BY;
	v.by_trace = bits & JOB_BY_TRACE;
	v.recipients = arena_new_n(a, struct transmit_recipient, v.n ? v.n : 1);
	if (!v.recipients)
		return err_set(e, ERR_TEMP, "no memory for a job to transmit");
	for (size_t i = 0; i < v.n; i++) {
		v.recipients[i].address = rd_bytes(&r, ADDRESS_MAX);
		v.recipients[i].original = rd_bytes(&r, LIMIT_SMTP_ORCPT);
		v.recipients[i].notify = rd_u8(&r);
	}
	if (!rd_done(&r))
		return broken_job(e);
	*ret = v;
	return 0;
}

void transmit_result_encode(struct buf *out, const struct transmit_result *r)
{
	wire_put_bytes(out, slice_sub(r->host, 0, NAME_MAX_));
	wire_put_bytes(out, r->ip);
	wire_put_u16(out, r->port);
	wire_put_bytes(out, slice_sub(r->tls, 0, TLS_MAX));
	wire_put_u8(out, r->reach);
	wire_put_u8(out, (uint8_t)((r->verified ? RESULT_VERIFIED : 0) | (r->relayed ? RESULT_RELAYED : 0)));
	wire_put_u32(out, (uint32_t)r->n);
	for (size_t i = 0; i < r->n; i++) {
		const struct transmit_outcome_row *row = &r->rows[i];

		wire_put_u8(out, row->outcome);
		wire_put_u8(out, row->stage);
		wire_put_u16(out, row->code);
		wire_put_raw(out, slice_make(row->status, sizeof row->status));
		wire_put_u8(
			out, (uint8_t)((row->dsn_passed ? ROW_DSN_PASSED : 0) | (row->own ? ROW_OWN : 0)));
		wire_put_bytes(out, slice_sub(row->text, 0, utf8_cut(row->text, TRANSMIT_TEXT)));
	}
}

/* It comes from the role that talks with strangers and goes into logs, reports and the store. */
static bool is_clean(slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return utf8_valid(s);
}

static bool take_row(struct rd *r, struct transmit_outcome_row *row)
{
	row->outcome = rd_u8(r);
	row->stage = rd_u8(r);
	row->code = rd_u16(r);
	slice status = rd_raw(r, sizeof row->status);
	uint8_t bits = rd_u8(r);
	row->text = rd_bytes(r, TRANSMIT_TEXT);
	if (r->bad || row->outcome < TRANSMIT_SENT || row->outcome > TRANSMIT_UNKNOWN ||
		row->stage > TRANSMIT_STAGE_LAST || row->code > 599 || (row->code > 0 && row->code < 200) ||
		bits > ROW_BITS || !is_clean(row->text))
		return false;
	memcpy(row->status, status.p, sizeof row->status);
	row->dsn_passed = bits & ROW_DSN_PASSED;
	row->own = bits & ROW_OWN;
	return true;
}

static int broken_result(err *e)
{
	return err_set(e, ERR_CORRUPT, "a broken result of a transmission");
}

int transmit_result_decode(slice in, struct arena *a, struct transmit_result *ret, err *e)
{
	struct rd r = rd_of(in);
	struct transmit_result v = {0};

	v.host = rd_bytes(&r, NAME_MAX_);
	v.ip = rd_bytes(&r, IP_MAX);
	v.port = rd_u16(&r);
	v.tls = rd_bytes(&r, TLS_MAX);
	v.reach = rd_u8(&r);
	uint8_t bits = rd_u8(&r);
	v.n = rd_u32(&r);
	if (r.bad || v.reach > TRANSMIT_NO_TRY || bits > (RESULT_VERIFIED | RESULT_RELAYED) ||
		v.n > TRANSMIT_RECIPIENTS || !is_clean(v.host) || !is_clean(v.ip) || !is_clean(v.tls))
		return broken_result(e);
	v.verified = bits & RESULT_VERIFIED;
	v.relayed = bits & RESULT_RELAYED;
	v.rows = arena_new_n(a, struct transmit_outcome_row, v.n ? v.n : 1);
	if (!v.rows)
		return err_set(e, ERR_TEMP, "no memory for a result");
	for (size_t i = 0; i < v.n; i++)
		if (!take_row(&r, &v.rows[i]))
			return broken_result(e);
	if (!rd_done(&r))
		return broken_result(e);
	*ret = v;
	return 0;
}

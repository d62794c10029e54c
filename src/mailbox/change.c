#include "mailbox/change.h"
#include "mailbox/address.h"
#include "mailbox/keys.h"
#include "mailbox/rights.h"
#include "mailbox/row.h"

bool change_range(struct change *c, uint32_t *ret_first, uint32_t *ret_last)
{
	struct rd r = rd_of(c->ranges);
	if (r.n == 0)
		return false;
	uint64_t first = c->range_end + rd_var(&r);
	uint64_t last = first + rd_var(&r);
	if (r.bad || first == 0 || first > last || last > UINT32_MAX)
		return false;
	c->ranges = slice_make(r.p, r.n);
	c->range_end = (uint32_t)last;
	*ret_first = (uint32_t)first;
	*ret_last = (uint32_t)last;
	return true;
}

slice change_path(const struct change *c)
{
	return c->kind == CHANGE_REMOVED || c->kind == CHANGE_RENAMED ? c->ranges : (slice){0};
}

unsigned change_settings(const struct change *c)
{
	struct rd r = rd_of(c->ranges);
	uint8_t settings = rd_u8(&r);

	if (c->kind != CHANGE_SETTINGS)
		return 0;
	return r.bad ? CHANGE_SUBSCRIBED | CHANGE_USE | CHANGE_SELECT : settings;
}

bool change_concerns(const struct change *c, uint32_t who, bool *ret_saw)
{
	struct rd r = rd_of(c->ranges);
	bool concerns = false, saw = false;

	if (!(rd_u8(&r) & CHANGE_RIGHTS) || c->kind != CHANGE_SETTINGS)
		return false;
	while (r.n > 0 && !r.bad) {
		uint32_t grantee = rd_u32(&r);
		bool looked = rd_u8(&r) != 0;

		if (!r.bad && (grantee == who || grantee == RIGHTS_ANYONE)) {
			concerns = true;
			saw |= looked;
		}
	}
	*ret_saw = saw;
	return concerns;
}

int change_open(struct store_snap *snap, uint32_t account, uint32_t mailbox, uint64_t since,
	struct change_scan *ret, err *e)
{
	struct key prefix = key_kind(account, KEY_CHANGE);
	_Static_assert(sizeof ret->prefix >= 6, "prefix A acc 06 fits");
	memcpy(ret->prefix, prefix.b, prefix.n);
	ret->account = account;
	ret->mailbox = mailbox;
	ret->since = since;
	ret->started = false;
	return store_scan_open(snap, slice_make(ret->prefix, prefix.n), &ret->scan, e);
}

static int decode(slice k, slice v, struct change *ret, err *e)
{
	struct rd r = rd_of(v);
	uint8_t version = rd_u8(&r), kind = rd_u8(&r);
	uint64_t mailbox = rd_var(&r);
	uint32_t at = rd_u32(&r);
	if (r.bad || version != ROW_VERSION || kind < CHANGE_ADDED || kind > CHANGE_METADATA || k.n != 16 ||
		mailbox > UINT32_MAX)
		return err_set(e, ERR_CORRUPT, "a change row does not decode");
	*ret = (struct change){
		.modseq = be64_get(k.p + 6),
		.mailbox = (uint32_t)mailbox,
		.kind = (enum change_kind)kind,
		.at_s = at,
		.ranges = slice_make(r.p, r.n),
	};
	return 0;
}

int change_next(struct change_scan *sc, struct change *ret, err *e)
{
	for (;;) {
		struct key from = key_change(sc->account, sc->since + 1, 0);
		slice k, v;
		int rc = sc->started ? store_scan_next(&sc->scan, &k, &v, e)
				     : store_scan_seek(&sc->scan, KEY_SLICE(from), &k, &v, e);
		sc->started = true;
		if (rc <= 0)
			return rc;
		if (decode(k, v, ret, e) < 0)
			return -1;
		if (sc->mailbox == 0 || ret->mailbox == sc->mailbox)
			return 1;
	}
}

void change_close(struct change_scan *sc)
{
	store_scan_close(&sc->scan);
}

int change_state(struct store_snap *snap, uint32_t account, uint64_t *ret_floor, uint64_t *ret_modseq, err *e)
{
	struct account_row row;
	int rc = account_lookup(view_snap(snap), account, &row, e);
	if (rc <= 0)
		return rc;
	*ret_floor = row.change_floor;
	*ret_modseq = row.modseq;
	return 1;
}

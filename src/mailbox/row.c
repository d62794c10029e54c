#include "mailbox/row.h"

enum { ACCOUNT_ENABLED = 1, ACCOUNT_REMOVED = 2, ACCOUNT_FORWARDS = 4 };
enum { MAILBOX_SUBSCRIBED = 1, MAILBOX_NOSELECT = 2, MAILBOX_REMOVED = 4 };
enum { DOMAIN_ENABLED = 1 };

static uint32_t rd_var32(struct rd *r)
{
	uint64_t v = rd_var(r);
	if (v > UINT32_MAX)
		r->bad = true;
	return r->bad ? 0 : (uint32_t)v;
}

static struct rd row_begin(slice in)
{
	struct rd r = rd_of(in);
	if (rd_u8(&r) != ROW_VERSION)
		r.bad = true;
	return r;
}

static int row_end(const struct rd *r, const char *what, uint64_t id, err *e)
{
	if (rd_done(r))
		return 0;
	return err_set(e, ERR_CORRUPT, "%s row %llu does not decode", what, (unsigned long long)id);
}

void row_account_put(struct buf *out, const struct account_row *r)
{
	wire_put_u8(out, ROW_VERSION);
	wire_put_u8(out, (uint8_t)((r->enabled ? ACCOUNT_ENABLED : 0) | (r->removed ? ACCOUNT_REMOVED : 0) |
				   (r->forwards ? ACCOUNT_FORWARDS : 0)));
	wire_put_var(out, r->domain);
	wire_put_bytes(out, r->localpart);
	wire_put_var(out, r->epoch);
	wire_put_var(out, r->modseq);
	wire_put_var(out, r->quota_bytes);
	wire_put_var(out, r->used_bytes);
	wire_put_var(out, r->messages);
	wire_put_bytes(out, r->language);
	wire_put_bytes(out, r->display_name);
	wire_put_u64(out, (uint64_t)r->created_us);
	wire_put_var(out, r->next_mailbox);
	wire_put_var(out, r->last_uidvalidity);
	wire_put_var(out, r->mailboxes);
	wire_put_var(out, r->removed_mailboxes);
	wire_put_var(out, r->next_message);
	wire_put_var(out, r->change_floor);
	wire_put_var(out, r->changes);
}

int row_account_get(slice in, uint32_t id, struct account_row *ret, err *e)
{
	struct rd r = row_begin(in);
	struct account_row a = {.id = id};
	uint8_t flags = rd_u8(&r);
	a.enabled = flags & ACCOUNT_ENABLED;
	a.removed = flags & ACCOUNT_REMOVED;
	a.forwards = flags & ACCOUNT_FORWARDS;
	a.domain = rd_var32(&r);
	a.localpart = rd_bytes(&r, ROW_MAX);
	a.epoch = rd_var32(&r);
	a.modseq = rd_var(&r);
	a.quota_bytes = rd_var(&r);
	a.used_bytes = rd_var(&r);
	a.messages = rd_var(&r);
	a.language = rd_bytes(&r, ROW_MAX);
	a.display_name = rd_bytes(&r, ROW_MAX);
	a.created_us = (int64_t)rd_u64(&r);
	a.next_mailbox = rd_var32(&r);
	a.last_uidvalidity = rd_var32(&r);
	a.mailboxes = rd_var32(&r);
	a.removed_mailboxes = rd_var32(&r);
	a.next_message = rd_var(&r);
	a.change_floor = rd_var(&r);
	a.changes = rd_var(&r);
	if (row_end(&r, "account", id, e) < 0)
		return -1;
	*ret = a;
	return 0;
}

void row_mailbox_put(struct buf *out, const struct mailbox_row *r)
{
	wire_put_u8(out, ROW_VERSION);
	wire_put_u8(
		out, (uint8_t)((r->subscribed ? MAILBOX_SUBSCRIBED : 0) |
			       (r->noselect ? MAILBOX_NOSELECT : 0) | (r->removed ? MAILBOX_REMOVED : 0)));
	wire_put_u8(out, (uint8_t)r->use);
	wire_put_var(out, r->parent);
	wire_put_bytes(out, r->name);
	wire_put_u32(out, r->uidvalidity);
	wire_put_var(out, r->uidnext);
	wire_put_var(out, r->messages);
	wire_put_var(out, r->unseen);
	wire_put_var(out, r->deleted);
	wire_put_var(out, r->highest_modseq);
	wire_put_var(out, r->bytes);
	wire_put_bytes(out, r->keywords);
}

int row_mailbox_get(slice in, uint32_t account, uint32_t id, struct mailbox_row *ret, err *e)
{
	struct rd r = row_begin(in);
	struct mailbox_row m = {.account = account, .id = id};
	uint8_t flags = rd_u8(&r);
	uint8_t use = rd_u8(&r);
	m.subscribed = flags & MAILBOX_SUBSCRIBED;
	m.noselect = flags & MAILBOX_NOSELECT;
	m.removed = flags & MAILBOX_REMOVED;
	if (use > USE_IMPORTANT)
		r.bad = true;
	m.use = (enum mailbox_use)use;
	m.parent = rd_var32(&r);
	m.name = rd_bytes(&r, ROW_MAX);
	m.uidvalidity = rd_u32(&r);
	m.uidnext = rd_var32(&r);
	m.messages = rd_var32(&r);
	m.unseen = rd_var32(&r);
	m.deleted = rd_var32(&r);
	m.highest_modseq = rd_var(&r);
	m.bytes = rd_var(&r);
	m.keywords = rd_bytes(&r, ROW_MAX);
	if (m.keywords.n && m.keywords.p[m.keywords.n - 1] != 0)
		r.bad = true;
	if (row_end(&r, "mailbox", id, e) < 0)
		return -1;
	*ret = m;
	return 0;
}

void row_message_put(struct buf *out, const struct mailbox_message *m)
{
	static const uint8_t none[16];
	bool has_id = memcmp(m->delivery_id, none, sizeof none) != 0;
	wire_put_u8(out, ROW_VERSION);
	wire_put_u8(out, has_id);
	wire_put_var(out, m->blob);
	wire_put_var(out, m->size);
	wire_put_u64(out, (uint64_t)m->internal_us);
	wire_put_u16(out, (uint16_t)m->internal_zone_min);
	wire_put_u64(out, (uint64_t)m->received_us);
	wire_put_var(out, m->thread);
	if (has_id)
		wire_put_raw(out, slice_make(m->delivery_id, sizeof m->delivery_id));
	wire_put_raw(out, m->places);
}

void row_place_put(struct buf *out, const struct message_place *p)
{
	wire_put_var(out, p->mailbox);
	wire_put_var(out, p->uid);
	wire_put_u64(out, (uint64_t)p->saved_us);
}

int row_message_get(slice in, uint64_t id, struct mailbox_message *ret, err *e)
{
	struct rd r = row_begin(in);
	struct mailbox_message m = {.id = id};
	uint8_t has_id = rd_u8(&r);
	m.blob = rd_var(&r);
	m.size = rd_var32(&r);
	m.internal_us = (int64_t)rd_u64(&r);
	m.internal_zone_min = (int16_t)rd_u16(&r);
	m.received_us = (int64_t)rd_u64(&r);
	m.thread = rd_var(&r);
	if (has_id) {
		slice d = rd_raw(&r, sizeof m.delivery_id);
		if (d.n == sizeof m.delivery_id)
			memcpy(m.delivery_id, d.p, d.n);
	}
	m.places = r.bad ? (slice){0} : rd_raw(&r, r.n);
	if (row_end(&r, "message", id, e) < 0)
		return -1;
	*ret = m;
	return 0;
}

bool mailbox_message_place(struct mailbox_message *m, struct message_place *ret)
{
	struct rd r = rd_of(m->places);
	if (r.n == 0)
		return false;
	struct message_place p;
	p.mailbox = rd_var32(&r);
	p.uid = rd_var32(&r);
	p.saved_us = (int64_t)rd_u64(&r);
	if (r.bad)
		return false;
	m->places = slice_make(r.p, r.n);
	*ret = p;
	return true;
}

void row_due_put(struct buf *out, const struct due_row *r)
{
	wire_put_u8(out, ROW_VERSION);
	wire_put_var(out, r->mailbox);
	wire_put_var(out, r->uid);
	wire_put_u8(out, r->flags);
	wire_put_u64(out, (uint64_t)r->expunged_us);
	wire_put_bytes(out, r->keywords);
}

int row_due_get(slice in, struct due_row *ret, err *e)
{
	struct rd r = row_begin(in);
	struct due_row d;
	d.mailbox = rd_var32(&r);
	d.uid = rd_var32(&r);
	d.flags = rd_u8(&r);
	d.expunged_us = (int64_t)rd_u64(&r);
	d.keywords = rd_bytes(&r, ROW_MAX);
	if (row_end(&r, "expunged message", 0, e) < 0)
		return -1;
	*ret = d;
	return 0;
}

void row_counters_put(struct buf *out, const struct domain_counters *r)
{
	wire_put_u8(out, ROW_VERSION);
	wire_put_var(out, r->next_domain);
	wire_put_var(out, r->next_account);
}

int row_counters_get(slice in, struct domain_counters *ret, err *e)
{
	struct rd r = row_begin(in);
	struct domain_counters c;
	c.next_domain = rd_var32(&r);
	c.next_account = rd_var32(&r);
	if (row_end(&r, "counter", 0, e) < 0)
		return -1;
	*ret = c;
	return 0;
}

void row_domain_put(struct buf *out, const struct domain_row *r)
{
	wire_put_u8(out, ROW_VERSION);
	wire_put_u8(out, r->enabled ? DOMAIN_ENABLED : 0);
	wire_put_bytes(out, r->name);
	wire_put_u64(out, (uint64_t)r->created_us);
	wire_put_var(out, r->postmaster);
}

int row_domain_get(slice in, uint32_t id, struct domain_row *ret, err *e)
{
	struct rd r = row_begin(in);
	struct domain_row d = {.id = id};
	d.enabled = rd_u8(&r) & DOMAIN_ENABLED;
	d.name = rd_bytes(&r, ROW_MAX);
	d.created_us = (int64_t)rd_u64(&r);
	d.postmaster = rd_var32(&r);
	if (row_end(&r, "domain", id, e) < 0)
		return -1;
	*ret = d;
	return 0;
}

void row_address_put(struct buf *out, const struct address_row *r)
{
	wire_put_u8(out, ROW_VERSION);
	wire_put_u8(out, (uint8_t)r->kind);
	wire_put_var(out, r->account);
	wire_put_bytes(out, r->targets);
	wire_put_bytes(out, r->owners);
}

int row_address_get(slice in, struct address_row *ret, err *e)
{
	struct rd r = row_begin(in);
	struct address_row a;
	uint8_t kind = rd_u8(&r);
	if (kind < ADDRESS_ACCOUNT || kind > ADDRESS_LOGIN)
		r.bad = true;
	a.kind = (enum address_kind)kind;
	a.account = rd_var32(&r);
	a.targets = rd_bytes(&r, SIZE_MAX);
	a.owners = rd_bytes(&r, SIZE_MAX);
	if (a.owners.n % 4)
		r.bad = true;
	if (row_end(&r, "address", 0, e) < 0)
		return -1;
	*ret = a;
	return 0;
}

void row_forward_put(struct buf *out, const struct account_forward *r)
{
	wire_put_u8(out, ROW_VERSION);
	wire_put_u8(out, r->keep);
	wire_put_raw(out, r->targets);
}

int row_forward_get(slice in, uint32_t account, struct account_forward *ret, err *e)
{
	struct rd r = row_begin(in);
	struct account_forward f = {.keep = rd_u8(&r) != 0};
	f.targets = rd_raw(&r, r.n);
	if (row_end(&r, "forward", account, e) < 0)
		return -1;
	*ret = f;
	return 0;
}

void row_grant_put(struct buf *out, const struct mailbox_grant *r)
{
	wire_put_u8(out, ROW_VERSION);
	wire_put_var(out, r->rights);
	wire_put_var(out, r->denied);
}

int row_grant_get(slice in, struct mailbox_grant *ret, err *e)
{
	struct rd r = row_begin(in);
	uint32_t rights = rd_var32(&r), denied = rd_var32(&r);
	if (row_end(&r, "rights", ret->grantee, e) < 0)
		return -1;
	ret->rights = rights & RIGHTS_ALL;
	ret->denied = denied & RIGHTS_ALL;
	return 0;
}

void row_follow_put(struct buf *out, const struct mailbox_follow *r)
{
	wire_put_u8(out, ROW_VERSION);
	wire_put_var(out, r->account);
	wire_put_bytes(out, r->path);
}

int row_follow_get(slice in, struct mailbox_follow *ret, err *e)
{
	struct rd r = row_begin(in);
	struct mailbox_follow f = {.account = rd_var32(&r)};
	f.path = rd_bytes(&r, ROW_MAX);
	if (row_end(&r, "subscription", f.account, e) < 0)
		return -1;
	*ret = f;
	return 0;
}

void row_id_put(struct buf *out, uint32_t id)
{
	wire_put_u8(out, ROW_VERSION);
	wire_put_var(out, id);
}

int row_id_get(slice in, uint32_t *ret, err *e)
{
	struct rd r = row_begin(in);
	uint32_t id = rd_var32(&r);
	if (row_end(&r, "name", 0, e) < 0)
		return -1;
	*ret = id;
	return 0;
}

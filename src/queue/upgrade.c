/* Rows as stores up to format 2 have them, when nothing was sent yet: they become today's. */
#include "base/wire.h"
#include "limits.h"
#include "mailbox/address.h"
#include "queue/queue.h"

enum {
	OLD_VERSION = 1,
	OLD_DUE_KEY = 2 + 8 + 16,
	OLD_RECIPIENT_KEY = 2 + 16 + 4,
	OLD_TEXT = 4096,
	STEP = 50
};
enum old_state { OLD_WAITING = 1, OLD_SENT, OLD_FAILED, OLD_HELD };

struct upgrade_job {
	bool more;
};

static int corrupt(err *e)
{
	return err_set(e, ERR_CORRUPT, "an old row of the queue does not decode");
}

/* The first old due row: its key, copied. 1, 0, -1. */
static int first_old(struct store_tx *tx, char key[OLD_DUE_KEY], err *e)
{
	static const char prefix[2] = {'Q', 0};
	struct store_scan sc;
	slice k, v, p = slice_make(prefix, sizeof prefix);
	if (store_tx_scan(tx, p, &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, p, &k, &v, e);
	while (rc == 1 && k.n != OLD_DUE_KEY) /* the counters' key is the prefix itself */
		rc = store_scan_next(&sc, &k, &v, e);
	if (rc == 1)
		memcpy(key, k.p, OLD_DUE_KEY);
	store_scan_close(&sc);
	return rc;
}

static int read_message(slice in, struct arena *a, struct queue_message *ret, err *e)
{
	struct rd r = rd_of(in);
	*ret = (struct queue_message){.ret = RET_UNSET};
	uint8_t version = rd_u8(&r), mode = rd_u8(&r);
	ret->flags = rd_u8(&r);
	ret->sender = arena_copy(a, rd_bytes(&r, OLD_TEXT));
	ret->envelope_id = arena_copy(a, rd_bytes(&r, OLD_TEXT));
	ret->blob = rd_var(&r);
	ret->size = rd_var(&r);
	ret->account = (uint32_t)rd_var(&r);
	ret->recipients = (uint32_t)rd_var(&r);
	ret->arrival_us = (int64_t)rd_u64(&r);
	ret->ret = (enum queue_ret)mode;
	return rd_done(&r) && version == OLD_VERSION && mode <= RET_HDRS ? 0 : corrupt(e);
}

static int read_recipient(
	slice in, struct arena *a, enum old_state *ret_state, struct queue_recipient *ret, err *e)
{
	struct rd r = rd_of(in);
	*ret = (struct queue_recipient){.state = QUEUE_WAITING};
	uint8_t version = rd_u8(&r), state = rd_u8(&r);
	ret->notify = rd_u8(&r);
	ret->attempts = (uint32_t)rd_var(&r);
	ret->due_us = (int64_t)rd_u64(&r);
	ret->address = arena_copy(a, rd_bytes(&r, OLD_TEXT));
	ret->original = arena_copy(a, rd_bytes(&r, OLD_TEXT));
	ret->last_reply = arena_copy(a, rd_bytes(&r, OLD_TEXT));
	*ret_state = (enum old_state)state;
	return rd_done(&r) && version == OLD_VERSION && state >= OLD_WAITING && state <= OLD_HELD
		       ? 0
		       : corrupt(e);
}

/* A remote recipient goes into its domain's lane; one of ours, and one to be reported, into lane 0. */
static int place(struct store_tx *tx, enum old_state state, struct queue_recipient *r,
	struct address_canonical *c, uint64_t *ret_lane, err *e)
{
	struct domain_row d;
	slice local, domain;
	*ret_lane = 0;
	r->state = state == OLD_FAILED ? QUEUE_FAILED : state == OLD_HELD ? QUEUE_HELD : QUEUE_WAITING;
	r->rank = queue_rank(0, r->attempts > 0);
	if (!address_split(r->address, &local, &domain) || !address_canonical(local, domain, c))
		return 0;
	r->domain = c->domain;
	int rc = domain_lookup(view_tx(tx), c->domain, &d, e);
	if (rc == 0 && r->state != QUEUE_FAILED)
		*ret_lane = queue_lane(c->domain);
	return rc < 0 ? -1 : 0;
}

static int upgrade_recipient(
	struct store_tx *tx, const uint8_t id[16], uint32_t n, struct queue_message *m, err *e)
{
	char key[OLD_RECIPIENT_KEY] = {'Q', 2};
	struct arena *a = store_tx_scratch(tx);
	struct address_canonical c;
	struct queue_recipient r;
	enum old_state state;
	uint64_t lane;
	slice k = slice_make(key, sizeof key), v;
	memcpy(key + 2, id, 16);
	be32_put(key + 18, n);
	int rc = store_tx_get(tx, k, &v, e);
	if (rc <= 0)
		return rc;
	if (read_recipient(v, a, &state, &r, e) < 0 || store_tx_del(tx, k, e) < 0)
		return -1;
	if (state == OLD_SENT)
		return 0;
	if (place(tx, state, &r, &c, &lane, e) < 0 || queue_tx_put(tx, id, lane, n, m->account, &r, e) < 0)
		return -1;
	m->open++;
	return 0;
}

static int upgrade_message(struct store_tx *tx, const char due[OLD_DUE_KEY], err *e)
{
	uint8_t id[16];
	char kb[QUEUE_KEY_MAX];
	struct queue_message m;
	slice v;
	memcpy(id, due + 10, sizeof id);
	if (store_tx_del(tx, slice_make(due, OLD_DUE_KEY), e) < 0)
		return -1;
	int rc = store_tx_get(tx, queue_key_message(kb, id), &v, e);
	if (rc <= 0)
		return rc;
	if (read_message(v, store_tx_scratch(tx), &m, e) < 0)
		return -1;
	for (uint32_t n = 0; n < m.recipients && n < LIMIT_EXPANDED; n++)
		if (upgrade_recipient(tx, id, n, &m, e) < 0)
			return -1;
	/* Holds the blob once more (the same row) and counts it; one without recipients goes at once. */
	if (queue_tx_add(tx, id, &m, e) < 0)
		return -1;
	return m.open ? 0 : queue_tx_close(tx, id, &m, e);
}

static int run(struct store_tx *tx, void *arg, err *e)
{
	struct upgrade_job *j = arg;
	char due[OLD_DUE_KEY];
	int rc = 0;
	for (unsigned i = 0; i < STEP; i++) {
		rc = first_old(tx, due, e);
		if (rc <= 0)
			break;
		if (upgrade_message(tx, due, e) < 0)
			return -1;
	}
	j->more = rc == 1;
	return rc < 0 ? -1 : 0;
}

int queue_upgrade(struct store *s, err *e)
{
	struct upgrade_job j = {false};
	return store_commit(s, run, &j, e) < 0 ? -1 : j.more;
}

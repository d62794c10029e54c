/* The write half: what intents do to the queue's rows. */
#include "queue/queue.h"
#include "base/wire.h"
#include "limits.h"
#include "mailbox/keys.h"
#include "mailbox/tx.h"

enum { ROW = 16384 };

static int no_memory(err *e)
{
	return err_set(e, ERR_TEMP, "out of memory in the queue");
}

static int put(struct store_tx *tx, slice key, const struct buf *row, err *e)
{
	return row->failed ? no_memory(e) : store_tx_put(tx, key, buf_slice(row), e);
}

static int count(struct store_tx *tx, int messages, int recipients, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct buf row = BUF_INIT(100);
	struct queue_counters c = {0};
	slice k = queue_key_counters(kb), v;
	int rc = store_tx_get(tx, k, &v, e);
	if (rc == 1)
		rc = queue_counters_decode(v, &c, e);
	if (rc < 0)
		return -1;
	c.messages += (uint64_t)(int64_t)messages;
	c.recipients += (uint64_t)(int64_t)recipients;
	queue_counters_encode(&row, &c);
	rc = put(tx, k, &row, e);
	buf_free(&row);
	return rc;
}

static int message_put(struct store_tx *tx, const uint8_t id[16], const struct queue_message *m, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct buf row = BUF_INIT(ROW);
	queue_message_encode(&row, m);
	int rc = put(tx, queue_key_message(kb, id), &row, e);
	buf_free(&row);
	return rc;
}

/* The queue holds a blob as an account does: account 0, by the last half of the queue id. */
static uint64_t holder_of(const uint8_t id[16])
{
	return be64_get(id + 8);
}

int queue_tx_add(struct store_tx *tx, const uint8_t id[16], const struct queue_message *m, err *e)
{
	if (message_put(tx, id, m, e) < 0 || blob_tx_hold(tx, m->blob, 0, holder_of(id), e) < 0)
		return -1;
	return count(tx, 1, (int)m->open, e);
}

void queue_tx_tell(struct store_tx *tx, uint64_t lane, int64_t due_us)
{
	int64_t s = due_us / 1000000;
	store_tx_note(tx, 0, s <= 0 ? 0 : s > UINT32_MAX ? UINT32_MAX : (uint32_t)s, lane);
}

int queue_tx_parcel_put(struct store_tx *tx, const struct parcel *p, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct buf row = BUF_INIT(64);
	queue_parcel_encode(&row, p->account);
	int rc = put(tx, queue_key_parcel(kb, p), &row, e);
	buf_free(&row);
	queue_tx_tell(tx, p->lane, p->due_us);
	return rc;
}

int queue_tx_put(struct store_tx *tx, const uint8_t id[16], uint64_t lane, uint32_t n, uint32_t account,
	const struct queue_recipient *r, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct buf row = BUF_INIT(ROW);
	queue_recipient_encode(&row, r);
	int rc = put(tx, queue_key_recipient(kb, id, lane, n), &row, e);
	buf_free(&row);
	if (rc < 0 || r->state == QUEUE_HELD)
		return rc;
	struct parcel p = {.lane = lane, .rank = r->rank, .due_us = r->due_us, .account = account};
	memcpy(p.id, id, sizeof p.id);
	return queue_tx_parcel_put(tx, &p, e);
}

/* The row's slices become copies: the store's value goes with the next change. */
static bool keep(struct arena *a, slice *s)
{
	*s = arena_copy(a, *s);
	return s->p != NULL;
}

static bool message_keep(struct arena *a, struct queue_message *m)
{
	return keep(a, &m->sender) && keep(a, &m->envelope_id);
}

static bool recipient_keep(struct arena *a, struct queue_recipient *r)
{
	return keep(a, &r->address) && keep(a, &r->domain) && keep(a, &r->original) && keep(a, &r->via) &&
	       keep(a, &r->host) && keep(a, &r->last_reply);
}

int queue_tx_message(struct store_tx *tx, const uint8_t id[16], struct queue_message *ret, err *e)
{
	char kb[QUEUE_KEY_MAX];
	slice v;
	int rc = store_tx_get(tx, queue_key_message(kb, id), &v, e);
	if (rc <= 0)
		return rc;
	if (queue_message_decode(v, ret, e) < 0)
		return -1;
	return message_keep(store_tx_scratch(tx), ret) ? 1 : no_memory(e);
}

int queue_tx_recipient(struct store_tx *tx, const uint8_t id[16], uint64_t lane, uint32_t n,
	struct queue_recipient *ret, err *e)
{
	char kb[QUEUE_KEY_MAX];
	slice v;
	int rc = store_tx_get(tx, queue_key_recipient(kb, id, lane, n), &v, e);
	if (rc <= 0)
		return rc;
	if (queue_recipient_decode(v, ret, e) < 0)
		return -1;
	return recipient_keep(store_tx_scratch(tx), ret) ? 1 : no_memory(e);
}

int queue_tx_done(
	struct store_tx *tx, const uint8_t id[16], uint64_t lane, uint32_t n, struct queue_message *m, err *e)
{
	char kb[QUEUE_KEY_MAX];
	if (store_tx_del(tx, queue_key_recipient(kb, id, lane, n), e) < 0)
		return -1;
	if (m->open)
		m->open--;
	return count(tx, 0, -1, e);
}

int queue_tx_parcel_del(struct store_tx *tx, const struct parcel *p, err *e)
{
	char kb[QUEUE_KEY_MAX];
	return store_tx_del(tx, queue_key_parcel(kb, p), e);
}

int queue_tx_close(struct store_tx *tx, const uint8_t id[16], const struct queue_message *m, err *e)
{
	char kb[QUEUE_KEY_MAX];
	if (m->open)
		return message_put(tx, id, m, e);
	if (store_tx_del(tx, queue_key_message(kb, id), e) < 0 ||
		blob_tx_unhold(tx, m->blob, 0, holder_of(id), e) < 0)
		return -1;
	return count(tx, -1, 0, e);
}

/* ---- walking recipients ---- */

static bool waits_in(const struct queue_recipient *r, const struct parcel *p)
{
	return r->state == QUEUE_WAITING && r->due_us == p->due_us && r->rank == p->rank;
}

/* Reads on from an open scan. of: only what waits in that parcel; NULL: all. max: stop there. */
static int gather(struct store_scan *sc, slice prefix, const struct parcel *of, struct arena *a, size_t max,
	struct queue_found **ret, size_t *ret_n, err *e)
{
	struct queue_found *v = NULL;
	size_t n = 0, cap = 0;
	uint8_t id[16];
	slice k, val;
	int rc = store_scan_seek(sc, prefix, &k, &val, e);
	for (; rc == 1 && n < max; rc = store_scan_next(sc, &k, &val, e)) {
		if (n == cap) {
			size_t more = cap ? cap * 2 : 4;
			struct queue_found *p = arena_new_n(a, struct queue_found, more);
			if (!p)
				return no_memory(e);
			if (n)
				memcpy(p, v, n * sizeof *v);
			v = p;
			cap = more;
		}
		if (!queue_key_recipient_read(k, id, &v[n].lane, &v[n].n))
			return err_set(e, ERR_CORRUPT, "a key of the queue is malformed");
		if (queue_recipient_decode(val, &v[n].r, e) < 0)
			return -1;
		if (of && !waits_in(&v[n].r, of))
			continue;
		if (!recipient_keep(a, &v[n].r))
			return no_memory(e);
		n++;
	}
	*ret = v;
	*ret_n = n;
	return rc < 0 ? -1 : 0;
}

int queue_tx_recipients(
	struct store_tx *tx, const uint8_t id[16], struct queue_found **ret, size_t *ret_n, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct store_scan sc;
	slice prefix = queue_key_recipients(kb, id);
	if (store_tx_scan(tx, prefix, &sc, e) < 0)
		return -1;
	int rc = gather(&sc, prefix, NULL, store_tx_scratch(tx), LIMIT_QUEUE_ROWS, ret, ret_n, e);
	store_scan_close(&sc);
	return rc;
}

int queue_recipients(struct store_snap *snap, struct arena *a, const uint8_t id[16], uint64_t lane,
	size_t max, struct queue_found **ret, size_t *ret_n, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct store_scan sc;
	slice prefix =
		lane == UINT64_MAX ? queue_key_recipients(kb, id) : queue_key_recipient(kb, id, lane, 0);
	if (lane != UINT64_MAX)
		prefix.n -= 4;
	if (store_scan_open(snap, prefix, &sc, e) < 0)
		return -1;
	int rc = gather(&sc, prefix, NULL, a, max, ret, ret_n, e);
	store_scan_close(&sc);
	return rc;
}

int queue_parcel_recipients(struct store_snap *snap, struct arena *a, const struct parcel *p, size_t max,
	struct queue_found **ret, size_t *ret_n, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct store_scan sc;
	slice prefix = queue_key_recipient(kb, p->id, p->lane, 0);
	prefix.n -= 4;
	if (store_scan_open(snap, prefix, &sc, e) < 0)
		return -1;
	int rc = gather(&sc, prefix, p, a, max, ret, ret_n, e);
	store_scan_close(&sc);
	return rc;
}

int queue_tx_parcel_leave(struct store_tx *tx, const struct parcel *p, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct store_scan sc;
	slice prefix = queue_key_recipient(kb, p->id, p->lane, 0), k, v;
	bool used = false;
	prefix.n -= 4;
	if (store_tx_scan(tx, prefix, &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, prefix, &k, &v, e);
	for (; rc == 1 && !used; rc = store_scan_next(&sc, &k, &v, e)) {
		struct queue_recipient r;
		if (queue_recipient_decode(v, &r, e) < 0) {
			rc = -1;
			break;
		}
		used = r.state != QUEUE_HELD && r.due_us == p->due_us && r.rank == p->rank;
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : used ? 1 : queue_tx_parcel_del(tx, p, e);
}

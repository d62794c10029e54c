/*
 * Leases: what is about to be tried is written down first, so that after a death it is known what may have
 * been delivered without our hearing of it (D4).
 */
#include "base/wire.h"
#include "limits.h"
#include "queue/event.h"
#include "queue/queue.h"

enum { ADOPT_STEP = 8 }; /* leases one intent goes through */

static int put(struct store_tx *tx, slice key, const struct buf *row, err *e)
{
	return row->failed ? err_set(e, ERR_TEMP, "out of memory in the queue")
			   : store_tx_put(tx, key, buf_slice(row), e);
}

struct lease_job {
	const struct queue_clock *clock;
	const struct parcel *v;
	size_t n;
	bool *gone;
	uint64_t lease;
};

static int mark_put(struct store_tx *tx, const struct queue_clock *c, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct buf row = BUF_INIT(100);
	int64_t now = queue_clock_now(c);
	queue_mark_encode(&row, &(struct queue_mark){now, queue_clock_to_wall(c, now)});
	int rc = put(tx, queue_key_clock(kb), &row, e);
	buf_free(&row);
	return rc;
}

static int lease_run(struct store_tx *tx, void *arg, err *e)
{
	struct lease_job *j = arg;
	struct parcel left[LIMIT_LEASE];
	char kb[QUEUE_KEY_MAX];
	size_t n = 0;
	for (size_t i = 0; i < j->n; i++) {
		slice v;
		int rc = store_tx_get(tx, queue_key_parcel(kb, &j->v[i]), &v, e);
		if (rc < 0)
			return -1;
		j->gone[i] = rc == 0;
		if (rc == 1)
			left[n++] = j->v[i];
	}
	j->lease = store_tx_next_id(tx);
	if (n == 0)
		return 0;
	struct buf row = BUF_INIT(LIMIT_LEASE * sizeof *left + 64);
	queue_lease_encode(&row, left, n);
	int rc = put(tx, queue_key_lease(kb, j->lease), &row, e);
	buf_free(&row);
	return rc == 0 ? mark_put(tx, j->clock, e) : -1;
}

int queue_lease(struct store *s, const struct queue_clock *c, const struct parcel *v, size_t n, bool *gone,
	uint64_t *ret_lease, err *e)
{
	struct lease_job j = {c, v, n, gone, 0};
	if (n > LIMIT_LEASE)
		return err_set(e, ERR_LIMIT, "a lease of %zu parcels", n);
	if (store_commit(s, lease_run, &j, e) < 0)
		return -1;
	*ret_lease = j.lease;
	return 0;
}

int queue_tx_lease_end(struct store_tx *tx, uint64_t lease, err *e)
{
	char kb[QUEUE_KEY_MAX];
	return store_tx_del(tx, queue_key_lease(kb, lease), e);
}

static int lease_end_run(struct store_tx *tx, void *arg, err *e)
{
	return queue_tx_lease_end(tx, *(const uint64_t *)arg, e);
}

int queue_lease_end(struct store *s, uint64_t lease, err *e)
{
	return store_commit(s, lease_end_run, &lease, e);
}

static int mark_run(struct store_tx *tx, void *arg, err *e)
{
	return mark_put(tx, arg, e);
}

int queue_mark(struct store *s, const struct queue_clock *c, err *e)
{
	return store_commit(s, mark_run, (void *)(uintptr_t)c, e);
}

/* ---- after a death ---- */

struct adopt_job {
	void (*see)(void *arg, const uint8_t id[16], slice address);
	void *arg;
	const struct parcel *parcel; /* of queue_doubt */
	bool more;
};

/* The recipients of a parcel that is still there may get it twice. */
static int doubt(struct store_tx *tx, const struct adopt_job *j, const struct parcel *p, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct queue_found *all;
	size_t n;
	slice v;
	int rc = store_tx_get(tx, queue_key_parcel(kb, p), &v, e);
	if (rc <= 0)
		return rc;
	if (queue_tx_recipients(tx, p->id, &all, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct queue_recipient *r = &all[i].r;
		if (all[i].lane != p->lane || r->due_us != p->due_us || r->rank != p->rank)
			continue;
		struct buf b = BUF_INIT(2048);
		event_begin(&b, EVENT_DUPLICATE, store_tx_now_us(tx));
		event_text(&b, FIELD_RECIPIENT, r->address);
		rc = event_tx_put(tx, p->id, &b, e);
		buf_free(&b);
		if (rc < 0)
			return -1;
		if (j->see)
			j->see(j->arg, p->id, r->address);
	}
	return 0;
}

/* The first lease into v; 1, 0 none, -1. */
static int first_lease(struct store_tx *tx, uint64_t *ret_lease, struct parcel *v, size_t *ret_n, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct store_scan sc;
	slice prefix = queue_key_leases(kb), k, val;
	if (store_tx_scan(tx, prefix, &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, prefix, &k, &val, e);
	if (rc == 1 && k.n != 10)
		rc = err_set(e, ERR_CORRUPT, "a key of the queue is malformed");
	if (rc == 1) {
		*ret_lease = be64_get(k.p + 2);
		if (queue_lease_decode(val, v, ret_n, e) < 0)
			rc = -1;
	}
	store_scan_close(&sc);
	return rc;
}

static int adopt_run(struct store_tx *tx, void *arg, err *e)
{
	struct adopt_job *j = arg;
	int rc = 1;
	for (unsigned i = 0; i < ADOPT_STEP; i++) {
		struct parcel v[LIMIT_LEASE];
		uint64_t lease;
		size_t n = 0;
		rc = first_lease(tx, &lease, v, &n, e);
		if (rc <= 0)
			break;
		for (size_t k = 0; k < n; k++)
			if (doubt(tx, j, &v[k], e) < 0)
				return -1;
		if (queue_tx_lease_end(tx, lease, e) < 0)
			return -1;
	}
	j->more = rc == 1;
	return rc < 0 ? -1 : 0;
}

int queue_adopt(
	struct store *s, void (*see)(void *arg, const uint8_t id[16], slice address), void *arg, err *e)
{
	struct adopt_job j = {.see = see, .arg = arg};
	return store_commit(s, adopt_run, &j, e) < 0 ? -1 : j.more;
}

static int doubt_run(struct store_tx *tx, void *arg, err *e)
{
	const struct adopt_job *j = arg;
	return doubt(tx, j, j->parcel, e);
}

int queue_doubt(struct store *s, const struct parcel *p,
	void (*see)(void *arg, const uint8_t id[16], slice address), void *arg, err *e)
{
	struct adopt_job j = {see, arg, p, false};
	return store_commit(s, doubt_run, &j, e);
}

/* Reads of the queue on a snapshot. */
#include "base/encode.h"
#include "base/wire.h"
#include "limits.h"
#include "queue/queue.h"

int queue_get(struct store_snap *snap, const uint8_t id[16], struct queue_message *ret, err *e)
{
	char kb[QUEUE_KEY_MAX];
	slice v;
	int rc = store_snap_get(snap, queue_key_message(kb, id), &v, e);
	if (rc <= 0)
		return rc;
	return queue_message_decode(v, ret, e) < 0 ? -1 : 1;
}

int queue_each(struct store_snap *snap, const uint8_t after[16],
	bool (*see)(void *arg, const uint8_t id[16], const struct queue_message *m), void *arg, err *e)
{
	char kb[QUEUE_KEY_MAX], fb[QUEUE_KEY_MAX];
	struct store_scan sc;
	slice prefix = queue_key_messages(kb), from = after ? queue_key_message(fb, after) : prefix, k, v;
	uint8_t id[16];
	if (store_scan_open(snap, prefix, &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, from, &k, &v, e);
	for (; rc == 1; rc = store_scan_next(&sc, &k, &v, e)) {
		struct queue_message m;
		if (!queue_key_message_read(k, id)) {
			rc = err_set(e, ERR_CORRUPT, "a key of the queue is malformed");
			break;
		}
		if (after && memcmp(id, after, sizeof id) == 0)
			continue;
		if (queue_message_decode(v, &m, e) < 0) {
			rc = -1;
			break;
		}
		if (!see(arg, id, &m))
			break;
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : 0;
}

int queue_each_recipient(struct store_snap *snap, const uint8_t from[16],
	bool (*see)(void *arg, const uint8_t id[16], uint64_t lane, const struct queue_recipient *r),
	void *arg, err *e)
{
	static const uint8_t none[16];
	char kb[QUEUE_KEY_MAX], fb[QUEUE_KEY_MAX];
	struct store_scan sc;
	slice prefix = queue_key_recipients(kb, none), start = queue_key_recipients(fb, from ? from : none),
	      k, v;
	uint8_t id[16];
	uint64_t lane;
	uint32_t n;
	prefix.n -= sizeof none; /* all messages' */
	if (store_scan_open(snap, prefix, &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, start, &k, &v, e);
	for (; rc == 1; rc = store_scan_next(&sc, &k, &v, e)) {
		struct queue_recipient r;
		if (!queue_key_recipient_read(k, id, &lane, &n)) {
			rc = err_set(e, ERR_CORRUPT, "a key of the queue is malformed");
			break;
		}
		if (queue_recipient_decode(v, &r, e) < 0) {
			rc = -1;
			break;
		}
		if (!see(arg, id, lane, &r))
			break;
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : 0;
}

int queue_count(struct store_snap *snap, struct queue_counters *ret, err *e)
{
	char kb[QUEUE_KEY_MAX];
	slice v;
	*ret = (struct queue_counters){0};
	int rc = store_snap_get(snap, queue_key_counters(kb), &v, e);
	if (rc <= 0)
		return rc;
	return queue_counters_decode(v, ret, e);
}

int queue_mark_read(struct store_snap *snap, struct queue_mark *ret, err *e)
{
	char kb[QUEUE_KEY_MAX];
	slice v;
	*ret = (struct queue_mark){0};
	int rc = store_snap_get(snap, queue_key_clock(kb), &v, e);
	if (rc <= 0)
		return rc;
	return queue_mark_decode(v, ret, e);
}

/* ---- ids as people type them ---- */

bool queue_id_range(slice prefix, uint8_t low[16], uint8_t high[16])
{
	char text[27];
	if (prefix.n == 0 || prefix.n > 26)
		return false;
	memset(text, '0', 26);
	memcpy(text, prefix.p, prefix.n);
	if (!base32_id_parse(slice_make(text, 26), low))
		return false;
	memset(text + prefix.n, 'z', 26 - prefix.n);
	/* 26 characters hold 130 bits: the first is at most 7. */
	return base32_id_parse(slice_make(text, 26), high);
}

struct found {
	uint8_t high[16], id[16];
	int n;
};

static bool see_found(void *arg, const uint8_t id[16], const struct queue_message *m)
{
	struct found *f = arg;
	(void)m;
	if (memcmp(id, f->high, sizeof f->high) > 0)
		return false;
	if (f->n++ == 0)
		memcpy(f->id, id, sizeof f->id);
	return f->n < 2;
}

int queue_find(struct store_snap *snap, slice prefix, uint8_t ret_id[16], err *e)
{
	struct found f = {.n = 0};
	struct queue_message m;
	uint8_t low[16];
	if (!queue_id_range(prefix, low, f.high))
		return 0;
	int rc = queue_get(snap, low, &m, e);
	if (rc < 0)
		return -1;
	if (rc == 1)
		see_found(&f, low, &m);
	if (f.n < 2 && memcmp(low, f.high, sizeof low) != 0 && queue_each(snap, low, see_found, &f, e) < 0)
		return -1;
	if (f.n)
		memcpy(ret_id, f.id, sizeof f.id);
	return f.n;
}

/* ---- for the schedule ---- */

static void next_due(struct queue_load *l, int64_t due)
{
	if (due < l->ret_next_due)
		l->ret_next_due = due;
}

int queue_load(struct store_snap *snap, struct queue_load *l, err *e)
{
	char kb[QUEUE_KEY_MAX], rb[QUEUE_KEY_MAX];
	struct store_scan sc;
	slice prefix = queue_key_lane(kb, l->lane), k, v;
	l->ret_n = 0;
	l->ret_next_due = INT64_MAX;
	l->ret_skipped = false;
	size_t passed = 0;
	if (store_scan_open(snap, prefix, &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, queue_key_lane_rank(rb, l->lane, l->from_rank), &k, &v, e);
	while (rc == 1) {
		struct parcel p;
		if (!queue_key_parcel_read(k, &p)) {
			rc = err_set(e, ERR_CORRUPT, "a key of the queue is malformed");
			break;
		}
		if (p.due_us > l->now_us || l->ret_n == l->max || passed == LIMIT_QUEUE_PASSED) {
			/* Within a rank they lie by due time: the first one tells, on to the next rank. */
			next_due(l, p.due_us);
			if (p.rank == UINT8_MAX)
				break;
			rc = store_scan_seek(
				&sc, queue_key_lane_rank(rb, l->lane, (uint8_t)(p.rank + 1)), &k, &v, e);
			continue;
		}
		if (queue_parcel_decode(v, &p.account, e) < 0) {
			rc = -1;
			break;
		}
		int take = l->take(l->arg, &p);
		if (take == 1)
			l->ret[l->ret_n++] = p;
		else if (take < 0) {
			passed++;
			l->ret_skipped = true;
			next_due(l, p.due_us);
		}
		rc = store_scan_next(&sc, &k, &v, e);
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : 0;
}

/* The lane's first due time over its ranks; *k stands on its first parcel and then behind its last rank's
 * first. */
static int lane_first(struct store_scan *sc, uint64_t lane, slice *k, slice *v, int64_t *ret_due, err *e)
{
	char rb[QUEUE_KEY_MAX];
	int rc = 1;
	*ret_due = INT64_MAX;
	while (rc == 1) {
		struct parcel p;
		if (!queue_key_parcel_read(*k, &p) || p.rank == UINT8_MAX)
			return err_set(e, ERR_CORRUPT, "a key of the queue is malformed");
		if (p.lane != lane)
			break;
		if (p.due_us < *ret_due)
			*ret_due = p.due_us;
		rc = store_scan_seek(sc, queue_key_lane_rank(rb, lane, (uint8_t)(p.rank + 1)), k, v, e);
	}
	return rc;
}

int queue_look(struct store_snap *snap, struct queue_look *l, err *e)
{
	char kb[QUEUE_KEY_MAX], fb[QUEUE_KEY_MAX];
	struct store_scan sc;
	slice prefix = queue_key_parcels(kb), k, v;
	if (l->has && l->lane == UINT64_MAX)
		return 0;
	if (store_scan_open(snap, prefix, &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, l->has ? queue_key_lane(fb, l->lane + 1) : prefix, &k, &v, e);
	for (unsigned i = 0; rc == 1 && i < LIMIT_QUEUE_LOOK; i++) {
		struct parcel p;
		int64_t due;
		if (!queue_key_parcel_read(k, &p)) {
			rc = err_set(e, ERR_CORRUPT, "a key of the queue is malformed");
			break;
		}
		rc = lane_first(&sc, p.lane, &k, &v, &due, e);
		if (rc < 0)
			break;
		if (!l->see(l->arg, p.lane, due)) {
			rc = 0;
			break;
		}
		l->has = true;
		l->lane = p.lane;
	}
	store_scan_close(&sc);
	return rc;
}

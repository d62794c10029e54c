#include "queue/check.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/wire.h"
#include "mailbox/keys.h"
#include "queue/event.h"
#include "queue/queue.h"
#include <inttypes.h>
#include <stdlib.h>

struct shown { /* an id as people see it */
	char text[27];
};

static struct shown show(const uint8_t id[16])
{
	struct shown s = {.text = ""};

	base32_id(id, s.text);
	return s;
}

/* A value that another row names: 1 there (or damaged, which is found where it stands), 0, -1. */
static int there(struct check *c, slice key, slice *ret, err *e)
{
	err why = {0};
	int rc = store_snap_get(&c->snap, key, ret, &why);

	if (rc < 0 && why.kind == ERR_CORRUPT) {
		*ret = (slice){0};
		return 1;
	}
	if (rc < 0)
		*e = why;
	return rc;
}

/* How many rows a message's recipients have. */
static int count_open(struct check *c, const uint8_t id[16], uint32_t *ret, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct store_scan sc;
	slice k, v;
	uint32_t n = 0;
	int rc;

	if (store_scan_open(&c->snap, queue_key_recipients(kb, id), &sc, e) < 0)
		return -1;
	while ((rc = store_scan_next(&sc, &k, &v, e)) != 0) {
		if (rc < 0 && !sc.damaged)
			break;
		n++;
	}
	store_scan_close(&sc);
	*ret = n;
	return rc;
}

static int see_message(struct check *c, struct queue_check *q, slice key, slice value, err *e)
{
	struct queue_message m;
	uint8_t id[16];
	uint32_t open;
	err why = {0};
	slice v;

	if (!queue_key_message_read(key, id) || queue_message_decode(value, &m, &why) < 0) {
		check_found(c, CHECK_DAMAGED, "a message of the queue: %s", why.text);
		return 0;
	}
	if (q->messages++ == q->cap) {
		size_t cap = q->cap ? 2 * q->cap : 256;
		void *p = realloc(q->holds, cap * sizeof q->holds[0]);

		if (!p)
			return err_set(e, ERR_TEMP, "out of memory");
		q->holds = p;
		q->cap = cap;
	}
	q->holds[q->messages - 1] = (struct queue_hold){m.blob, be64_get(id + 8)};
	struct key holder = key_holder(m.blob, 0, be64_get(id + 8));
	int rc = there(c, KEY_SLICE(holder), &v, e);
	if (rc == 0)
		check_found(c, CHECK_MISSING, "queue: message %s does not hold its content", show(id).text);
	if (rc < 0 || count_open(c, id, &open, e) < 0)
		return -1;
	if (open != m.open)
		check_found(c, CHECK_COUNT, "queue: message %s should have %u recipients open, there are %u",
			show(id).text, m.open, open);
	return 0;
}

static int see_recipient(struct check *c, struct queue_check *q, slice key, slice value, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct queue_recipient r;
	struct parcel p = {0};
	uint32_t n;
	err why = {0};
	slice v;

	if (!queue_key_recipient_read(key, p.id, &p.lane, &n) ||
		queue_recipient_decode(value, &r, &why) < 0) {
		check_found(c, CHECK_DAMAGED, "a recipient of the queue: %s", why.text);
		return 0;
	}
	q->recipients++;
	int rc = there(c, queue_key_message(kb, p.id), &v, e);
	if (rc == 0)
		check_found(c, CHECK_MISSING, "queue: the message %s of <%.*s> is not there", show(p.id).text,
			SLICE_ARG(r.address));
	if (rc <= 0 || r.state == QUEUE_HELD)
		return rc;
	p.rank = r.rank;
	p.due_us = r.due_us;
	rc = there(c, queue_key_parcel(kb, &p), &v, e);
	if (rc == 0)
		check_found(c, CHECK_MISSING, "queue: <%.*s> of message %s would never be tried",
			SLICE_ARG(r.address), show(p.id).text);
	return rc;
}

static int see_parcel(struct check *c, struct queue_check *q, slice key, slice value, err *e)
{
	char kb[QUEUE_KEY_MAX];
	struct parcel p = {0};
	uint32_t account;
	slice v;

	(void)q;
	if (!queue_key_parcel_read(key, &p) || queue_parcel_decode(value, &account, NULL) < 0) {
		check_found(c, CHECK_DAMAGED, "a parcel of the queue is malformed");
		return 0;
	}
	int rc = there(c, queue_key_message(kb, p.id), &v, e);
	if (rc == 0)
		check_found(
			c, CHECK_STRAY, "queue: a parcel of message %s, which is not there", show(p.id).text);
	return rc;
}

static int see_counters(struct check *c, struct queue_check *q, slice key, slice value, err *e)
{
	struct queue_counters row;

	(void)key;
	(void)e;
	if (queue_counters_decode(value, &row, NULL) < 0) {
		check_found(c, CHECK_DAMAGED, "the queue's counters do not decode");
		return 0;
	}
	q->counted_messages = row.messages;
	q->counted_recipients = row.recipients;
	return 0;
}

int check_queue_row(struct check *c, void *arg, slice key, slice value, err *e)
{
	static int (*const see[])(struct check *, struct queue_check *, slice, slice, err *) = {
		see_counters, see_message, see_recipient, see_parcel};
	unsigned kind = key.n > 1 ? (uint8_t)key.p[1] : 255;

	if (kind >= COUNT_OF(see))
		return 0; /* leases, clock, routes: sealed is all they are */
	return see[kind](c, arg, key, value, e) < 0 ? -1 : 0;
}

int check_queue_end(struct check *c, void *arg, err *e)
{
	const struct queue_check *q = arg;

	(void)e;
	if (q->counted_messages != q->messages || q->counted_recipients != q->recipients)
		check_found(c, CHECK_COUNT,
			"queue: counted are %" PRIu64 " messages for %" PRIu64
			" recipients, there are %" PRIu64 " for %" PRIu64,
			q->counted_messages, q->counted_recipients, q->messages, q->recipients);
	return 0;
}

int check_event_row(struct check *c, void *none, slice key, slice value, err *e)
{
	struct event ev;

	(void)none;
	(void)key;
	(void)e;
	if (event_decode(value, &ev, NULL) < 0)
		check_found(c, CHECK_DAMAGED, "an event of a message does not decode");
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct queue_hold *x = a, *y = b;

	return x->blob != y->blob ? (x->blob > y->blob ? 1 : -1)
				  : (x->holder > y->holder) - (x->holder < y->holder);
}

int check_queue_holder_row(struct check *c, void *arg, slice key, slice value, err *e)
{
	struct queue_check *q = arg;

	(void)value;
	(void)e;
	if (key.n != 21 || be32_get(key.p + 9) != 0)
		return 0;
	const struct queue_hold h = {be64_get(key.p + 1), be64_get(key.p + 13)};
	if (!q->sorted && q->messages)
		qsort(q->holds, q->messages, sizeof q->holds[0], compare);
	q->sorted = true;
	if (!q->messages || !bsearch(&h, q->holds, q->messages, sizeof h, compare))
		check_found(c, CHECK_STRAY,
			"blob %" PRIu64 " is held by the queue, and no message there uses it", h.blob);
	return 0;
}

void check_queue_free(struct queue_check *q)
{
	free(q->holds);
	*q = (struct queue_check){0};
}

/* ---- the whole ---- */

static int all_rows(struct check *c, struct mailbox_check *m, struct queue_check *q, err *e)
{
	struct check_volumes volumes = {0};
	const struct check_rows tables[] = {
		{'A', check_account_rows, check_account_rows_end, m},
		{'B', check_blob_row, NULL, &volumes},
		{'B', check_held_row, NULL, m},
		{'D', check_domain_row, NULL, m},
		{'E', check_event_row, NULL, NULL},
		{'F', check_plain_row, NULL, NULL},
		{'I', check_plain_row, NULL, NULL},
		{'N', check_address_row, NULL, m},
		{'Q', check_queue_row, check_queue_end, q},
		{'R', check_holder_row, NULL, m},
		{'R', check_queue_holder_row, NULL, q},
		{'S', check_share_row, NULL, m},
		{'V', check_volume_row, NULL, &volumes},
	};

	if (check_all_rows(c, tables, COUNT_OF(tables), e) == 0)
		return check_log(c, &volumes, e);
	free(volumes.v);
	return -1;
}

int check_whole(struct check *c, struct mailbox_codec *codec, struct check_totals *ret, err *e)
{
	struct mailbox_check *m = mailbox_check_new(codec);
	struct queue_check q = {0};

	if (!m)
		return err_set(e, ERR_TEMP, "out of memory");
	int rc = all_rows(c, m, &q, e);
	mailbox_check_totals(m, &ret->mail);
	ret->queued = q.messages;
	check_queue_free(&q);
	mailbox_check_free(m);
	return rc;
}

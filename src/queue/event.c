#include "queue/event.h"
#include "base/wire.h"
#include "limits.h"

enum { EVENT_VERSION = 1, TEXT = 600, PREFIX = 1, KEY = 1 + 16 + 8, SWEEP_STEP = 1000 };

const char *queue_event_name(enum queue_event k)
{
	static const char *const names[EVENT_COUNT] = {
		[EVENT_RECEIVED] = "received",
		[EVENT_QUEUED] = "queued",
		[EVENT_SENT] = "sent",
		[EVENT_DELIVERED] = "delivered",
		[EVENT_DEFERRED] = "deferred",
		[EVENT_FAILED] = "failed",
		[EVENT_REPORTED] = "reported",
		[EVENT_NOT_REPORTED] = "not_reported",
		[EVENT_HELD] = "held",
		[EVENT_RELEASED] = "released",
		[EVENT_RETRIED] = "retried",
		[EVENT_DROPPED] = "dropped",
		[EVENT_DUPLICATE] = "possible_duplicate",
	};
	return k < EVENT_COUNT && names[k] ? names[k] : "unknown";
}

static const struct field {
	const char *name;
	bool number;
} fields[FIELD_COUNT] = {
	[FIELD_SENDER] = {"sender", false},
	[FIELD_RECIPIENT] = {"recipient", false},
	[FIELD_RECIPIENTS] = {"recipients", false},
	[FIELD_CLIENT] = {"client", false},
	[FIELD_CLIENT_NAME] = {"client_name", false},
	[FIELD_HELO] = {"helo", false},
	[FIELD_PROTOCOL] = {"protocol", false},
	[FIELD_USER] = {"user", false},
	[FIELD_TLS] = {"tls", false},
	[FIELD_HOST] = {"host", false},
	[FIELD_IP] = {"ip", false},
	[FIELD_REPLY] = {"reply", false},
	[FIELD_STATUS] = {"status", false},
	[FIELD_CODE] = {"code", true},
	[FIELD_SIZE] = {"size", true},
	[FIELD_REASON] = {"reason", false},
	[FIELD_REPORT] = {"report", false},
	[FIELD_VIA] = {"via", false},
	[FIELD_NEXT] = {"next", true},
	[FIELD_ATTEMPT] = {"attempt", true},
	[FIELD_MAILBOXES] = {"mailboxes", true},
	[FIELD_WAITING] = {"waiting", true},
	[FIELD_MESSAGE_ID] = {"message_id", false},
	[FIELD_VERIFIED] = {"verified", true},
	[FIELD_ROUTE] = {"route", true},
};

const char *event_field_name(enum event_field f)
{
	return f < FIELD_COUNT ? fields[f].name : NULL;
}

bool event_field_is_number(enum event_field f)
{
	return f < FIELD_COUNT && fields[f].number;
}

void event_begin(struct buf *out, enum queue_event kind, int64_t wall_us)
{
	wire_put_u8(out, EVENT_VERSION);
	wire_put_u8(out, (uint8_t)kind);
	wire_put_u64(out, (uint64_t)wall_us);
}

void event_text(struct buf *out, enum event_field f, slice text)
{
	if (text.n == 0)
		return;
	wire_put_u8(out, (uint8_t)f);
	wire_put_bytes(out, slice_sub(text, 0, TEXT));
}

void event_number(struct buf *out, enum event_field f, uint64_t n)
{
	struct buf text = BUF_INIT(32);
	buf_add_u64(&text, n);
	event_text(out, f, buf_slice(&text));
	buf_free(&text);
}

int event_tx_put(struct store_tx *tx, const uint8_t id[16], const struct buf *event, err *e)
{
	char key[KEY] = {'E'};
	if (event->failed)
		return err_set(e, ERR_TEMP, "out of memory for an event");
	memcpy(key + PREFIX, id, 16);
	be64_put(key + PREFIX + 16, store_tx_next_id(tx));
	return store_tx_put(tx, slice_make(key, sizeof key), buf_slice(event), e);
}

int event_decode(slice in, struct event *ret, err *e)
{
	struct rd r = rd_of(in);
	uint8_t version = rd_u8(&r), kind = rd_u8(&r);
	int64_t at = (int64_t)rd_u64(&r);
	if (r.bad || version != EVENT_VERSION)
		return err_set(e, ERR_CORRUPT, "an event row does not decode");
	*ret = (struct event){(enum queue_event)kind, at, slice_make(r.p, r.n)};
	return 0;
}

bool event_next(struct event *ev, enum event_field *ret, slice *ret_text)
{
	struct rd r = rd_of(ev->fields);
	if (r.n == 0)
		return false;
	*ret = (enum event_field)rd_u8(&r);
	*ret_text = rd_bytes(&r, TEXT);
	ev->fields = r.bad ? (slice){"", 0} : slice_make(r.p, r.n);
	return !r.bad;
}

static slice key_from(char out[KEY], const uint8_t id[16])
{
	memset(out, 0, KEY);
	out[0] = 'E';
	memcpy(out + PREFIX, id, 16);
	return slice_make(out, KEY);
}

int event_walk(struct store_snap *snap, struct event_walk *w, err *e)
{
	char fb[KEY];
	struct store_scan sc;
	slice from = w->after_n ? slice_make(w->after, w->after_n) : key_from(fb, w->low), k, v;
	bool more = false;
	if (store_scan_open(snap, S("E"), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, from, &k, &v, e);
	for (size_t i = 0; rc == 1; rc = store_scan_next(&sc, &k, &v, e)) {
		struct event ev;
		if (k.n != KEY || memcmp(k.p + PREFIX, w->high, 16) > 0)
			break;
		if (w->after_n && slice_cmp(k, slice_make(w->after, w->after_n)) <= 0)
			continue;
		if (i++ == LIMIT_EVENTS_LOOK) {
			more = true;
			break;
		}
		memcpy(w->after, k.p, k.n);
		w->after_n = k.n;
		if (event_decode(v, &ev, e) < 0) {
			rc = -1;
			break;
		}
		if (!w->see(w->arg, (const uint8_t *)k.p + PREFIX, &ev))
			break;
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : more;
}

struct sweep_job {
	uint64_t before_ms;
	bool more;
};

static int sweep_run(struct store_tx *tx, void *arg, err *e)
{
	struct sweep_job *j = arg;
	struct arena *a = store_tx_scratch(tx);
	slice *keys = arena_new_n(a, slice, SWEEP_STEP), k, v;
	size_t n = 0;
	struct store_scan sc;
	if (!keys)
		return err_set(e, ERR_TEMP, "out of memory for old events");
	if (store_tx_scan(tx, S("E"), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, S("E"), &k, &v, e);
	for (; rc == 1 && n < SWEEP_STEP; rc = store_scan_next(&sc, &k, &v, e)) {
		if (k.n != KEY || be64_get(k.p + PREFIX) >> 16 >= j->before_ms)
			break;
		keys[n] = arena_copy(a, k);
		if (!keys[n].p) {
			rc = err_set(e, ERR_TEMP, "out of memory for old events");
			break;
		}
		n++;
	}
	store_scan_close(&sc);
	j->more = n == SWEEP_STEP;
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = store_tx_del(tx, keys[i], e);
	return rc < 0 ? -1 : 0;
}

/* Whether there is anything to do: a look at the first row, so that an idle program writes nothing. */
static int old_there(struct store *s, uint64_t before_ms, err *e)
{
	struct store_snap snap;
	struct store_scan sc;
	slice k, v;
	if (store_snap_begin(s, &snap, e) < 0)
		return -1;
	int rc = store_scan_open(&snap, S("E"), &sc, e);
	if (rc == 0) {
		rc = store_scan_seek(&sc, S("E"), &k, &v, e);
		if (rc == 1)
			rc = k.n == KEY && be64_get(k.p + PREFIX) >> 16 < before_ms;
		store_scan_close(&sc);
	}
	store_snap_end(&snap);
	return rc;
}

int event_sweep(struct store *s, int64_t wall_us, err *e)
{
	struct sweep_job j = {.before_ms = wall_us > 0 ? (uint64_t)wall_us / 1000 : 0};
	int rc = old_there(s, j.before_ms, e);
	if (rc <= 0)
		return rc;
	return store_commit(s, sweep_run, &j, e) < 0 ? -1 : j.more;
}

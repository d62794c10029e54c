/* trace: what became of a message, in and out, from the events. */
#include "admin/frame.h"
#include "admin/queue_int.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/wire.h"
#include "limits.h"
#include "queue/event.h"

#include <arpa/inet.h>

#define TRACE_SINCE    (7 * 86400) /* seconds */
#define TRACE_DEFAULT  100         /* messages */
#define TRACE_MOST     1000
#define TRACE_PREFIX   6
#define TRACE_FIRST_MS 3600000 /* the newest events are looked at first, the steps back grow */
#define TRACE_GROWTH   4

struct trace {
	const struct admin_call *c;
	slice what;
	bool ip;
	uint8_t (*ids)[16]; /* a ring: the last `most` of those found */
	size_t most, found;
	struct event_walk walk;
	uint8_t one[16]; /* written now */
	json_t *events;
	size_t bytes;
	bool cut;
};

/* ---- what is meant ---- */

static bool is_ip(slice s)
{
	char text[64];
	uint8_t bytes[16];

	if (s.n == 0 || s.n >= sizeof text)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

static slice without(slice s, char open, char close)
{
	return s.n >= 2 && s.p[0] == open && s.p[s.n - 1] == close ? slice_sub(s, 1, s.n - 2) : s;
}

static bool fits_ip(const struct trace *t, slice text)
{
	return t->ip && slice_ieq(without(text, '[', ']'), t->what);
}

static bool fits_address(const struct trace *t, slice text)
{
	return !t->ip && slice_ieq(text, t->what);
}

static bool fits_addresses(const struct trace *t, slice text)
{
	slice word;

	while (slice_word(&text, &word)) {
		if (fits_address(t, word))
			return true;
	}
	return false;
}

static bool fits_message_id(const struct trace *t, slice text)
{
	return !t->ip && slice_eq(without(text, '<', '>'), t->what);
}

static bool field_fits(const struct trace *t, enum event_field f, slice text)
{
	static bool (*const fits[FIELD_COUNT])(const struct trace *t, slice text) = {
		[FIELD_CLIENT] = fits_ip,
		[FIELD_IP] = fits_ip,
		[FIELD_SENDER] = fits_address,
		[FIELD_RECIPIENT] = fits_address,
		[FIELD_USER] = fits_address,
		[FIELD_VIA] = fits_address,
		[FIELD_RECIPIENTS] = fits_addresses,
		[FIELD_MESSAGE_ID] = fits_message_id,
	};
	return f < FIELD_COUNT && fits[f] && fits[f](t, text);
}

static bool find_see(void *arg, const uint8_t id[16], const struct event *ev)
{
	struct trace *t = arg;
	struct event at = *ev;
	enum event_field f;
	slice text;

	if (t->found && memcmp(t->ids[(t->found - 1) % t->most], id, 16) == 0)
		return true;
	while (event_next(&at, &f, &text)) {
		if (field_fits(t, f, text)) {
			memcpy(t->ids[t->found++ % t->most], id, 16);
			break;
		}
	}
	return true;
}

static bool prefix_see(void *arg, const uint8_t id[16], const struct event *ev)
{
	struct trace *t = arg;

	(void)ev;
	if (t->found == 0 || memcmp(t->ids[(t->found - 1) % t->most], id, 16) != 0)
		memcpy(t->ids[t->found++ % t->most], id, 16);
	return true;
}

/* ---- walking ---- */

static int walk(struct trace *t, err *e)
{
	struct store_snap snap;
	int rc = 1;

	while (rc == 1) {
		if (store_snap_begin(t->c->store, &snap, e) < 0)
			return -1;
		rc = event_walk(&snap, &t->walk, e);
		store_snap_end(&snap);
		if (rc >= 0 && fiber_yield() < 0)
			return err_set(e, ERR_CANCELED, "the program ends");
	}
	return rc;
}

static void range(struct trace *t, uint64_t from_ms, uint64_t to_ms)
{
	t->walk = (struct event_walk){.see = find_see, .arg = t};
	be64_put(t->walk.low, from_ms << 16);
	memset(t->walk.high, 0xff, sizeof t->walk.high);
	be64_put(t->walk.high, to_ms << 16 | 0xffff);
}

/* The newest `most` messages that fit, oldest first, at the end of ret. */
static int find(
	struct trace *t, uint64_t since_ms, uint64_t now_ms, uint8_t (*ret)[16], size_t *ret_n, err *e)
{
	size_t all = t->most, n = 0;
	uint64_t step = TRACE_FIRST_MS, to = UINT64_MAX >> 16, from = now_ms > step ? now_ms - step : 0;

	for (;; step *= TRACE_GROWTH, to = from - 1, from = from > step ? from - step : 0) {
		if (from < since_ms)
			from = since_ms;
		range(t, from, to);
		t->found = 0;
		t->most = all - n;
		if (walk(t, e) < 0)
			return -1;
		size_t got = t->found < t->most ? t->found : t->most;
		t->cut |= t->found > got;
		n += got;
		for (size_t i = 0; i < got; i++)
			memcpy(ret[all - n + i], t->ids[(t->found - got + i) % t->most], 16);
		if (from <= since_ms || from == 0)
			break;
		if (n == all) {
			t->cut = true;
			break;
		}
	}
	t->most = all;
	*ret_n = n;
	return 0;
}

static int find_prefix(struct trace *t, uint8_t (*ret)[16], size_t *ret_n, err *e)
{
	t->walk = (struct event_walk){.see = prefix_see, .arg = t};
	if (!queue_id_range(t->what, t->walk.low, t->walk.high))
		return err_set(e, ERR_SYNTAX,
			"\"%" SLICE_FMT
			"\" is no id of a message, no address, no Message-ID and no IP address",
			SLICE_ARG(t->what));
	if (walk(t, e) < 0)
		return -1;
	size_t got = t->found < t->most ? t->found : t->most;
	t->cut = t->found > got;
	for (size_t i = 0; i < got; i++)
		memcpy(ret[t->most - got + i], t->ids[(t->found - got + i) % t->most], 16);
	*ret_n = got;
	return 0;
}

/* ---- what is told ---- */

static void field_put(json_t *o, enum event_field f, slice text)
{
	const char *name = event_field_name(f);
	uint64_t n;

	if (!name)
		return;
	if (!event_field_is_number(f))
		queue_put_words(o, name, text);
	else if (slice_to_u64(text, INT64_MAX, &n) && f == FIELD_NEXT)
		admin_put_time(o, name, (int64_t)n);
	else if (slice_to_u64(text, INT64_MAX, &n))
		admin_put_number(o, name, n);
}

static bool tell_see(void *arg, const uint8_t id[16], const struct event *ev)
{
	struct trace *t = arg;
	struct event at = *ev;
	json_t *o = json_object();
	enum event_field f;
	slice text;

	queue_put_id(o, "id", id);
	admin_put_time(o, "time", ev->wall_us);
	admin_put_text(o, "event", slice_of(queue_event_name(ev->kind)));
	while (event_next(&at, &f, &text))
		field_put(o, f, text);
	size_t size = queue_json_size(o) + 1;
	if (t->bytes + size > ADMIN_ANSWER) {
		t->cut = true;
		json_decref(o);
		return false;
	}
	t->bytes += size;
	json_array_append_new(t->events, o);
	return true;
}

/* The newest messages have the room first; they are shown last. */
static int tell(struct trace *t, uint8_t (*ids)[16], size_t n, err *e)
{
	json_t **each = arena_new_n(t->c->arena, json_t *, n + 1), *all = json_array();
	int rc = each ? 0 : err_set(e, ERR_TEMP, "out of memory");
	size_t i = n;

	json_object_set_new(t->c->result, "events", all);
	while (rc == 0 && i > 0 && t->bytes < ADMIN_ANSWER) {
		each[--i] = t->events = json_array();
		t->walk = (struct event_walk){.see = tell_see, .arg = t};
		memcpy(t->walk.low, ids[i], 16);
		memcpy(t->walk.high, ids[i], 16);
		rc = walk(t, e);
	}
	t->cut |= i > 0;
	for (; each && i < n; i++) {
		json_array_extend(all, each[i]);
		json_decref(each[i]);
	}
	return rc;
}

int admin_trace(struct admin_call *c, err *e)
{
	uint64_t limit = admin_param_number(c, "limit", TRACE_DEFAULT),
		 since = admin_param_number(c, "since", TRACE_SINCE), now = (uint64_t)clock_wall_us() / 1000;
	struct trace *t = arena_new_1(c->arena, struct trace);
	slice what = slice_trim(admin_param_text(c, "what"));
	size_t n = 0;

	if (limit == 0 || limit > TRACE_MOST)
		return err_set(e, ERR_SYNTAX, "1 to %d messages can be traced at once", TRACE_MOST);
	uint8_t(*ids)[16] = arena_alloc(c->arena, (size_t)limit, 16, 1);
	if (!t || !ids)
		return err_set(e, ERR_TEMP, "out of memory");
	t->c = c;
	t->most = (size_t)limit;
	t->ids = arena_alloc(c->arena, t->most, 16, 1);
	if (!t->ids)
		return err_set(e, ERR_TEMP, "out of memory");
	t->ip = is_ip(without(what, '[', ']'));
	t->what = t->ip ? without(what, '[', ']') : without(what, '<', '>');
	bool text = t->ip || slice_find_c(what, '@') >= 0 || t->what.n != what.n;
	if (!text && what.n < TRACE_PREFIX)
		return err_set(e, ERR_SYNTAX,
			"write an address, a Message-ID, an IP address, or at least %d characters of an id",
			TRACE_PREFIX);
	int rc = text ? find(t, since < now / 1000 ? now - since * 1000 : 0, now, ids, &n, e)
		      : find_prefix(t, ids, &n, e);
	if (rc == 0)
		rc = tell(t, ids + ((size_t)limit - n), n, e);
	admin_put_bool(c->result, "more", t->cut);
	return rc;
}

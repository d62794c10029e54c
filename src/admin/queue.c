/* queue.list and queue.show */
#include "admin/frame.h"
#include "admin/queue_int.h"
#include "base/encode.h"
#include "limits.h"
#include "mail/decode.h"
#include "mail/header.h"
#include "mailbox/account.h"
#include "queue/retry.h"

#define LIST_DEFAULT    100
#define LIST_RECIPIENTS 20 /* of one message */
#define SHOW_LANES      100
#define SHOW_HEADER     16384 /* bytes of the content that are looked at */
#define SHOW_WORDS      1000  /* bytes of a header field */

static const char *const states[] = {
	[QUEUE_WAITING] = "waiting",
	[QUEUE_HELD] = "held",
	[QUEUE_DELIVERED] = "delivered",
	[QUEUE_RELAYED] = "relayed",
	[QUEUE_FAILED] = "failed",
};

/* ---- what is said of them ---- */

void queue_put_id(json_t *o, const char *name, const uint8_t id[16])
{
	char text[27];

	base32_id(id, text);
	admin_put_text(o, name, slice_make(text, 26));
}

void queue_put_words(json_t *o, const char *name, slice text)
{
	struct buf clean = BUF_INIT(4 * LIMIT_ADMIN_TEXT);

	if (text.n && utf8_valid(text)) {
		admin_put_text(o, name, text);
	} else if (text.n) {
		mail_utf8_clean(&clean, slice_sub(text, 0, LIMIT_ADMIN_TEXT));
		admin_put_text(o, name, buf_slice(&clean));
	}
	buf_free(&clean);
}

void queue_put_time(const struct admin_call *c, json_t *o, const char *name, int64_t queue_us)
{
	const struct admin_session *s = c->session;

	admin_put_time(o, name, queue_clock_to_wall(s->ops->queue_clock(s->ctx), queue_us));
}

void queue_put_lane(const struct admin_call *c, json_t *o, uint64_t lane)
{
	const struct admin_session *s = c->session;
	struct schedule_lane_info info;

	if (s->ops->queue_lane(s->ctx, lane, &info) != 1)
		return;
	admin_put_number(o, "under_way", info.under_way);
	admin_put_number(o, "window", info.window);
	admin_put_number(o, "failures", info.failures);
	if (info.rests_until_us)
		queue_put_time(c, o, "rests_until", info.rests_until_us);
}

size_t queue_json_size(const json_t *o)
{
	return json_dumpb(o, NULL, 0, JSON_COMPACT);
}

static void recipient_put(const struct admin_call *c, json_t *o, const struct queue_recipient *r)
{
	char status[16];

	queue_put_words(o, "address", r->address);
	admin_put_text(o, "state", slice_of(states[r->state]));
	admin_put_number(o, "attempts", r->attempts);
	if (r->state != QUEUE_HELD)
		queue_put_time(c, o, "due", r->due_us);
	if (r->tried_us)
		queue_put_time(c, o, "tried", r->tried_us);
	queue_put_words(o, "host", r->host);
	if (r->code)
		admin_put_number(o, "code", r->code);
	if (r->status[0]) {
		snprintf(status, sizeof status, "%u.%u.%u", r->status[0], r->status[1], r->status[2]);
		admin_put_text(o, "status", slice_of(status));
	}
	queue_put_words(o, "reply", r->last_reply);
	queue_put_words(o, "via", r->via);
}

static int message_put(const struct admin_call *c, struct store_snap *snap, const uint8_t id[16],
	const struct queue_message *m, json_t *o, err *e)
{
	slice account = {0};

	if (m->account && account_address(snap, m->account, c->arena, &account, e) < 0)
		return -1;
	queue_put_id(o, "id", id);
	admin_put_text(o, "sender", (slice){"", 0});
	queue_put_words(o, "sender", m->sender);
	admin_put_number(o, "size", m->size);
	queue_put_words(o, "account", account);
	queue_put_time(c, o, "arrival", m->arrival_us);
	json_object_set_new(o, "priority", json_integer(m->priority));
	return 0;
}

struct members { /* the recipients of one message */
	const struct admin_call *c;
	const struct queue_want *want;
	const uint8_t *id;
	json_t *list;
	size_t most, bytes_most, n, bytes;
	void (*more)(struct members *m, json_t *o, uint64_t lane, const struct queue_recipient *r);
	json_t *lanes;
	uint64_t lane; /* the last one put */
};

static bool members_see(void *arg, const uint8_t id[16], uint64_t lane, const struct queue_recipient *r)
{
	struct members *m = arg;

	if (memcmp(id, m->id, 16) != 0)
		return false;
	if (!queue_want_recipient(m->want, r))
		return true;
	m->n++;
	if (json_array_size(m->list) == m->most || m->bytes > m->bytes_most)
		return true;
	json_t *o = json_object();
	recipient_put(m->c, o, r);
	if (m->more)
		m->more(m, o, lane, r);
	m->bytes += queue_json_size(o) + 1;
	json_array_append_new(m->list, o);
	return true;
}

/* ---- whom a request means ---- */

int queue_want_read(const struct admin_call *c, struct queue_want *ret, err *e)
{
	slice domain = admin_param_text(c, "domain");

	*ret = (struct queue_want){.recipient = admin_param_text(c, "recipient"),
		.sender = admin_param_text(c, "sender"),
		.has_sender = admin_param_has(c, "sender"),
		.states = QUEUE_STATES_ALL};
	if (slice_eq(ret->sender, S("<>")))
		ret->sender.n = 0;
	if (domain.n && !domain_canonical(domain, ret->domain_bytes, &ret->domain))
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is not a domain", SLICE_ARG(domain));
	return 0;
}

bool queue_want_message(const struct queue_want *w, const struct queue_message *m)
{
	return !w->has_sender || slice_ieq(w->sender, m->sender);
}

bool queue_want_recipient(const struct queue_want *w, const struct queue_recipient *r)
{
	return (w->states & 1u << r->state) && (!w->domain.n || queue_recipient_in(r, w->domain)) &&
	       (!w->recipient.n || slice_ieq(w->recipient, r->address) || slice_ieq(w->recipient, r->via));
}

bool queue_want_narrow(const struct queue_want *w)
{
	return w->domain.n || w->recipient.n || w->states != QUEUE_STATES_ALL;
}

int queue_id_find(struct store_snap *snap, slice prefix, uint8_t ret_id[16], err *e)
{
	int rc = queue_find(snap, prefix, ret_id, e);

	if (rc == 0)
		return err_set(e, ERR_MISSING,
			"no message with the id %" SLICE_FMT
			" is in the queue; what became of it: posthouse trace %" SLICE_FMT,
			SLICE_ARG(prefix), SLICE_ARG(prefix));
	if (rc == 2)
		return err_set(e, ERR_CONFLICT,
			"several messages have an id that begins with %" SLICE_FMT "; write more of it",
			SLICE_ARG(prefix));
	return rc < 0 ? -1 : 0;
}

/* ---- list ---- */

#define LIST_BATCH 64 /* messages found before they are written */

struct listing {
	const struct admin_call *c;
	struct queue_want want;
	struct store_snap snap;
	json_t *list;
	size_t limit, bytes, looked, n, most;
	uint8_t at[16], last[16], found[LIST_BATCH][16];
	bool has_at; /* all up to this id was looked at */
	bool end, full;
};

static bool list_step(struct listing *l, const uint8_t id[16])
{
	if (l->has_at && memcmp(id, l->at, sizeof l->at) == 0)
		return true;
	if (l->n == l->most || l->looked >= QUEUE_STEP)
		return false;
	memcpy(l->at, id, sizeof l->at);
	l->has_at = true;
	return true;
}

static bool list_see(void *arg, const uint8_t id[16], const struct queue_message *m)
{
	struct listing *l = arg;

	if (!list_step(l, id)) {
		l->end = false;
		return false;
	}
	l->looked++;
	if (queue_want_message(&l->want, m))
		memcpy(l->found[l->n++], id, sizeof l->at);
	return true;
}

static bool list_see_recipient(
	void *arg, const uint8_t id[16], uint64_t lane, const struct queue_recipient *r)
{
	struct listing *l = arg;
	bool old = l->has_at && memcmp(id, l->at, sizeof l->at) == 0 && l->looked == 0;

	(void)lane;
	if (old) /* where the step before ended */
		return true;
	if (!list_step(l, id)) {
		l->end = false;
		return false;
	}
	l->looked++;
	bool known = l->n && memcmp(l->found[l->n - 1], id, sizeof l->at) == 0;
	if (!known && queue_want_recipient(&l->want, r))
		memcpy(l->found[l->n++], id, sizeof l->at);
	return true;
}

static int list_put(struct listing *l, const uint8_t id[16], err *e)
{
	struct queue_message m;
	int rc = queue_get(&l->snap, id, &m, e);

	if (rc <= 0 || !queue_want_message(&l->want, &m))
		return rc < 0 ? -1 : 0;
	if (json_array_size(l->list) == l->limit) {
		l->full = true;
		return 0;
	}
	json_t *o = json_object(), *recipients = json_array();
	struct members in = {.c = l->c,
		.want = &l->want,
		.id = id,
		.list = recipients,
		.most = LIST_RECIPIENTS,
		.bytes_most = ADMIN_ANSWER};
	rc = message_put(l->c, &l->snap, id, &m, o, e);
	json_object_set_new(o, "recipients", recipients);
	if (rc == 0)
		rc = queue_each_recipient(&l->snap, id, members_see, &in, e);
	admin_put_number(o, "recipients_total", in.n);
	size_t size = queue_json_size(o) + 1;
	if (rc == 0 && l->bytes + size <= ADMIN_ANSWER) {
		json_array_append(l->list, o);
		l->bytes += size;
		memcpy(l->last, id, sizeof l->last);
	} else {
		l->full = true;
	}
	json_decref(o);
	return rc;
}

/* One snapshot's worth. */
static int list_look(struct listing *l, err *e)
{
	size_t room = l->limit + 1 - json_array_size(l->list);
	const uint8_t *at = l->has_at ? l->at : NULL;
	uint8_t from[16];

	l->n = l->looked = 0;
	l->most = room < LIST_BATCH ? room : LIST_BATCH;
	l->end = true;
	if (at)
		memcpy(from, at, sizeof from);
	int rc = queue_want_narrow(&l->want)
			 ? queue_each_recipient(&l->snap, at ? from : NULL, list_see_recipient, l, e)
			 : queue_each(&l->snap, at ? from : NULL, list_see, l, e);
	for (size_t i = 0; rc == 0 && i < l->n && !l->full; i++)
		rc = list_put(l, l->found[i], e);
	return rc;
}

static int list_state(struct queue_want *w, slice state, err *e)
{
	for (unsigned i = 0; i < COUNT_OF(states) && state.n; i++) {
		if (states[i] && slice_ieq(state, slice_of(states[i]))) {
			w->states = 1u << i;
			return 0;
		}
	}
	return state.n == 0 ? 0
			    : err_set(e, ERR_SYNTAX,
				      "\"%" SLICE_FMT
				      "\" is no state: waiting, held, delivered, relayed or failed",
				      SLICE_ARG(state));
}

static int list_begin(struct listing *l, err *e)
{
	const struct admin_call *c = l->c;
	slice after = admin_param_text(c, "after");
	uint64_t limit = admin_param_number(c, "limit", LIST_DEFAULT);

	if (limit == 0 || limit > ADMIN_PAGE)
		return err_set(e, ERR_SYNTAX, "a page has 1 to %d messages", ADMIN_PAGE);
	l->limit = (size_t)limit;
	if (after.n && !base32_id_parse(after, l->at))
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is no id of a message", SLICE_ARG(after));
	l->has_at = after.n > 0;
	if (queue_want_read(c, &l->want, e) < 0)
		return -1;
	return list_state(&l->want, admin_param_text(c, "state"), e);
}

int admin_queue_list(struct admin_call *c, err *e)
{
	struct queue_counters all = {0};
	struct listing *l = arena_new_1(c->arena, struct listing);
	json_t *total = json_object();
	int rc = 0;

	json_object_set_new(c->result, "total", total);
	if (!l)
		return err_set(e, ERR_TEMP, "out of memory");
	l->c = c;
	l->list = json_array();
	json_object_set_new(c->result, "messages", l->list);
	if (list_begin(l, e) < 0)
		return -1;
	while (rc == 0 && !l->end && !l->full) {
		if (store_snap_begin(c->store, &l->snap, e) < 0)
			return -1;
		rc = list_look(l, e);
		if (rc == 0)
			rc = queue_count(&l->snap, &all, e);
		store_snap_end(&l->snap);
		if (fiber_yield() < 0)
			rc = err_set(e, ERR_CANCELED, "the program ends");
	}
	admin_put_number(total, "messages", all.messages);
	admin_put_number(total, "recipients", all.recipients);
	if (l->full && json_array_size(l->list))
		queue_put_id(c->result, "next", l->last);
	return rc;
}

/* ---- show ---- */

static void names_put(json_t *o, const char *name, unsigned bits, const char *const *names, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		if (bits & 1u << i && names[i])
			json_array_append_new(list, json_string(names[i]));
	}
	json_object_set_new(o, name, list);
}

static void show_recipient(struct members *m, json_t *o, uint64_t lane, const struct queue_recipient *r)
{
	static const char *const notify[] = {"never", "success", "failure", "delay"};

	queue_put_words(o, "original", r->original);
	if (r->notify)
		names_put(o, "notify", r->notify, notify, COUNT_OF(notify));
	admin_put_bool(o, "delay_told", r->flags & QUEUE_DELAY_TOLD);
	bool known = json_array_size(m->lanes) && lane == m->lane;
	if (lane == 0 || known || json_array_size(m->lanes) == SHOW_LANES)
		return;
	json_t *one = json_object(); /* they come by lane */
	queue_put_words(one, "domain", r->domain);
	queue_put_lane(m->c, one, lane);
	json_array_append_new(m->lanes, one);
	m->lane = lane;
}

static void show_message(const struct admin_call *c, const struct queue_message *m)
{
	static const char *const flags[] = {
		"8bitmime", "binarymime", "smtputf8", "requiretls", "report", "by-return", "by-trace"};
	const struct settings *s = c->session->ops->settings(c->session->ctx);
	struct retry_policy policy = {.lifetime = (int64_t)s->queue_lifetime * 1000};

	names_put(c->result, "flags", m->flags, flags, COUNT_OF(flags));
	queue_put_words(c->result, "envelope_id", m->envelope_id);
	if (m->ret != RET_UNSET)
		admin_put_text(c->result, "return", m->ret == RET_FULL ? S("full") : S("headers"));
	queue_put_time(c, c->result, "expires", retry_end(&policy, m));
	if (m->by_us)
		queue_put_time(c, c->result, "deliver_by", m->by_us);
}

static int show_rows(struct admin_call *c, struct store_snap *snap, struct store_blob *ret_blob, err *e)
{
	struct queue_want all = {.states = QUEUE_STATES_ALL};
	struct queue_message m;
	uint8_t id[16];
	struct members in = {.c = c,
		.want = &all,
		.id = id,
		.list = json_array(),
		.most = LIMIT_EXPANDED,
		.bytes_most = ADMIN_ANSWER - 2 * SHOW_LANES * 512,
		.more = show_recipient,
		.lanes = json_array()};

	json_object_set_new(c->result, "recipients", in.list);
	json_object_set_new(c->result, "lanes", in.lanes);
	if (queue_id_find(snap, admin_param_text(c, "id"), id, e) < 0)
		return -1;
	int rc = queue_get(snap, id, &m, e);
	if (rc <= 0 || message_put(c, snap, id, &m, c->result, e) < 0)
		return -1;
	show_message(c, &m);
	if (queue_each_recipient(snap, id, members_see, &in, e) < 0)
		return -1;
	admin_put_number(c->result, "recipients_total", in.n);
	return store_blob_find(snap, m.blob, ret_blob, e);
}

static int show_content(struct admin_call *c, struct store_blob *blob, err *e)
{
	static const struct {
		slice field;
		const char *name;
	} fields[] = {
		{SLICE_INIT("Subject"), "subject"},
		{SLICE_INIT("From"), "from"},
		{SLICE_INIT("Message-ID"), "message_id"},
	};
	size_t n = blob->length < SHOW_HEADER ? (size_t)blob->length : SHOW_HEADER;
	char *text = arena_alloc(c->arena, n + 1, 1, 1);
	struct mail_field f;

	if (!text)
		return err_set(e, ERR_TEMP, "out of memory");
	if (store_blob_read(blob, 0, text, n, e) < 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		if (!mail_header_find(slice_make(text, n), fields[i].field, &f))
			continue;
		slice words = mail_words_decoded(c->arena, mail_header_unfolded(c->arena, f.value));
		queue_put_words(c->result, fields[i].name, slice_sub(words, 0, utf8_cut(words, SHOW_WORDS)));
	}
	return 0;
}

int admin_queue_show(struct admin_call *c, err *e)
{
	struct store_snap snap;
	struct store_blob blob;

	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = show_rows(c, &snap, &blob, e);
	store_snap_end(&snap);
	if (rc <= 0)
		return rc;
	rc = show_content(c, &blob, e);
	store_blob_release(&blob);
	return rc;
}

/* queue.* and trace on a store, called as the command line calls them. */
#include "admin/admin.h"
#include "admin/frame.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/wire.h"
#include "limits.h"
#include "mailbox/fixture.h"
#include "mailbox/tx.h"
#include "queue/event.h"
#include "queue/queue.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct world {
	struct fixture *f;
	struct admin_session session;
	struct settings *settings;
	struct queue_clock clock;
	uint64_t woken[16];
	size_t woken_n;
	uint64_t resting; /* the lane of which something is known */
	uint64_t counter; /* of ids */
};

static const struct settings *on_settings(void *ctx)
{
	return ((struct world *)ctx)->settings;
}

static const struct queue_clock *on_queue_clock(void *ctx)
{
	return &((struct world *)ctx)->clock;
}

static void on_queue_wake(void *ctx, uint64_t lane)
{
	struct world *w = ctx;

	if (w->woken_n < COUNT_OF(w->woken))
		w->woken[w->woken_n++] = lane;
}

static int on_queue_lane(void *ctx, uint64_t lane, struct schedule_lane_info *ret)
{
	struct world *w = ctx;

	if (lane != w->resting)
		return 0;
	*ret = (struct schedule_lane_info){
		.lane = lane, .window = 5, .under_way = 2, .rests_until_us = queue_clock_now(&w->clock)};
	return 1;
}

static void on_audit(void *ctx, const char *method, slice subject, uint32_t uid, enum err_kind result)
{
	(void)ctx, (void)method, (void)subject, (void)uid, (void)result;
}

static const struct admin_ops ops = {
	.settings = on_settings,
	.queue_clock = on_queue_clock,
	.queue_wake = on_queue_wake,
	.queue_lane = on_queue_lane,
	.audit = on_audit,
};

static void world_init(struct world *w, struct fixture *f)
{
	*w = (struct world){.f = f, .settings = settings_new(), .resting = 1};
	assert_non_null(w->settings);
	queue_clock_start(&w->clock, 0, 0);
	w->session = (struct admin_session){.store = f->store, .allowed = true, .ops = &ops, .ctx = w};
}

/* Quotes in params are written as '. */
static json_t *call(struct world *w, const char *method, const char *params)
{
	char text[2048];
	struct buf out = BUF_INIT(ADMIN_FRAME_MAX);

	snprintf(text, sizeof text, "%s", params);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	admin_call(&w->session, slice_of(method), slice_of(text), &out);
	assert_false(out.failed);
	json_t *o = json_loadb(out.p, out.n, 0, NULL);
	assert_non_null(o);
	buf_free(&out);
	return o;
}

static json_t *good(struct world *w, const char *method, const char *params)
{
	json_t *o = call(w, method, params), *result = json_object_get(o, "result");

	if (!result)
		fail_msg("%s %s: %s", method, params,
			json_string_value(json_object_get(json_object_get(o, "error"), "message")));
	json_incref(result);
	json_decref(o);
	return result;
}

static void bad(struct world *w, const char *method, const char *params, const char *code)
{
	json_t *o = call(w, method, params);
	const char *got = json_string_value(json_object_get(json_object_get(o, "error"), "code"));

	if (!got)
		fail_msg("%s %s: was done", method, params);
	assert_string_equal(got, code);
	json_decref(o);
}

static long long number(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return (long long)json_integer_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));

	assert_non_null(t);
	return t;
}

static const json_t *at(const json_t *o, const char *list, size_t i)
{
	const json_t *one = json_array_get(json_object_get(o, list), i);

	assert_non_null(one);
	return one;
}

static size_t count(const json_t *o, const char *list)
{
	assert_true(json_is_array(json_object_get(o, list)));
	return json_array_size(json_object_get(o, list));
}

/* What a change did, as "messages/recipients". */
static const char *did(struct world *w, const char *method, const char *params)
{
	static char out[64];
	json_t *o = good(w, method, params);

	snprintf(out, sizeof out, "%lld/%lld", number(o, "messages"), number(o, "recipients"));
	json_decref(o);
	return out;
}

/* ---- rows ---- */

struct letter {
	const char *sender, *content, *reply;
	const char *const *to; /* NULL ends it */
	unsigned copies;       /* so many messages in one intent */
	unsigned minutes_ago, more_recipients;
	enum queue_state state;
	uint32_t account;
	uint8_t id[16]; /* of the last one */
	struct world *w;
};

static int letter_row(struct store_tx *tx, struct letter *l, uint32_t n, slice address, err *e)
{
	ptrdiff_t sign = slice_rfind_c(address, '@');
	slice domain = slice_skip(address, (size_t)sign + 1);
	struct queue_recipient r = {.address = address,
		.domain = domain,
		.state = l->state ? l->state : QUEUE_WAITING,
		.due_us = queue_clock_now(&l->w->clock),
		.rank = queue_rank(0, false),
		.code = l->reply ? 451 : 0,
		.host = l->reply ? S("mx.far.test") : (slice){0},
		.last_reply = slice_of(l->reply)};

	return queue_tx_put(tx, l->id, queue_lane(domain), n, l->account, &r, e);
}

static int letter_add(struct store_tx *tx, struct letter *l, err *e)
{
	struct queue_message m = {.sender = slice_of(l->sender),
		.account = l->account,
		.size = 4321,
		.arrival_us = queue_clock_now(&l->w->clock) - (int64_t)l->minutes_ago * 60000000};
	uint64_t ms = (uint64_t)clock_wall_us() / 1000 - (uint64_t)l->minutes_ago * 60000;

	be64_put(l->id, ms << 16 | 1);
	be64_put(l->id + 8, ++l->w->counter);
	if (store_tx_blob(
		    tx, l->content ? slice_of(l->content) : S("Subject: x\r\n\r\nbody\r\n"), &m.blob, e) < 0)
		return -1;
	for (; l->to && l->to[m.open]; m.open++) {
		if (letter_row(tx, l, m.open, slice_of(l->to[m.open]), e) < 0)
			return -1;
	}
	for (unsigned i = 0; i < l->more_recipients; i++, m.open++) {
		char address[64];
		snprintf(address, sizeof address, "r%05u@far%u.test", i, i % 7);
		if (letter_row(tx, l, m.open, slice_of(address), e) < 0)
			return -1;
	}
	m.recipients = m.open;
	return queue_tx_add(tx, l->id, &m, e);
}

static int letter_run(struct store_tx *tx, void *arg, err *e)
{
	struct letter *l = arg;

	for (unsigned i = 0; i < (l->copies ? l->copies : 1); i++) {
		if (letter_add(tx, l, e) < 0)
			return -1;
	}
	return 0;
}

static const char *add(struct world *w, struct letter l)
{
	static char id[27];
	err e = {0};

	l.w = w;
	if (store_commit(w->f->store, letter_run, &l, &e) < 0)
		fail_msg("%s", e.text);
	base32_id(l.id, id);
	return id;
}

#define TO(...) ((const char *const[]){__VA_ARGS__, NULL})

/* ---- list and show ---- */

static void lists(struct fixture *f)
{
	struct world w;
	char one[27], two[27], params[256];

	world_init(&w, f);
	uint32_t account = make_account(f, "alice", "example.test");
	json_t *o = good(&w, "queue.list", "{}");
	assert_int_equal(count(o, "messages"), 0);
	assert_int_equal(number(json_object_get(o, "total"), "messages"), 0);
	json_decref(o);

	snprintf(two, sizeof two, "%s",
		add(&w, (struct letter){.sender = "alice@example.test",
				.account = account,
				.to = TO("bob@far.test", "carol@near.test"),
				.reply = "4.2.1 not \xff\x01 now"}));
	snprintf(one, sizeof one, "%s",
		add(&w, (struct letter){.sender = "",
				.minutes_ago = 60,
				.more_recipients = 25,
				.state = QUEUE_HELD}));

	o = good(&w, "queue.list", "{}"); /* the oldest first */
	assert_int_equal(count(o, "messages"), 2);
	assert_string_equal(text(at(o, "messages", 0), "id"), one);
	assert_string_equal(text(at(o, "messages", 0), "sender"), "");
	assert_int_equal(count(at(o, "messages", 0), "recipients"), 20);
	assert_int_equal(number(at(o, "messages", 0), "recipients_total"), 25);
	const json_t *m = at(o, "messages", 1), *r = at(m, "recipients", 0);
	if (strcmp(text(r, "address"), "bob@far.test") != 0)
		r = at(m, "recipients", 1);
	assert_string_equal(text(m, "account"), "alice@example.test");
	assert_string_equal(text(r, "state"), "waiting");
	assert_string_equal(text(r, "reply"), "4.2.1 not \xef\xbf\xbd\x01 now");
	assert_int_equal(number(r, "code"), 451);
	assert_int_equal(strlen(text(m, "arrival")), 20);
	assert_int_equal(number(json_object_get(o, "total"), "recipients"), 27);
	assert_null(json_object_get(o, "next"));
	json_decref(o);

	o = good(&w, "queue.list", "{'limit':1}");
	assert_string_equal(text(o, "next"), one);
	json_decref(o);
	snprintf(params, sizeof params, "{'limit':1,'after':'%s'}", one);
	o = good(&w, "queue.list", params);
	assert_string_equal(text(at(o, "messages", 0), "id"), two);
	assert_null(json_object_get(o, "next"));
	json_decref(o);

	static const struct {
		const char *params;
		size_t messages;
		long long recipients; /* of the first */
	} filters[] = {
		{"{'domain':'FAR.test'}", 1, 1},
		{"{'domain':'far3.test'}", 1, 4},
		{"{'domain':'none.test'}", 0, 0},
		{"{'recipient':'Carol@Near.test'}", 1, 1},
		{"{'sender':'ALICE@example.test'}", 1, 2},
		{"{'sender':'<>'}", 1, 25},
		{"{'sender':'<>','domain':'near.test'}", 0, 0},
		{"{'state':'held'}", 1, 25},
		{"{'state':'waiting'}", 1, 2},
		{"{'state':'failed'}", 0, 0},
	};
	for (size_t i = 0; i < COUNT_OF(filters); i++) {
		o = good(&w, "queue.list", filters[i].params);
		assert_int_equal(count(o, "messages"), filters[i].messages);
		if (filters[i].messages)
			assert_int_equal(
				number(at(o, "messages", 0), "recipients_total"), filters[i].recipients);
		json_decref(o);
	}
	bad(&w, "queue.list", "{'limit':0}", "syntax");
	bad(&w, "queue.list", "{'limit':501}", "syntax");
	bad(&w, "queue.list", "{'after':'x'}", "syntax");
	bad(&w, "queue.list", "{'state':'lost'}", "syntax");
	bad(&w, "queue.list", "{'domain':'not a domain'}", "syntax");
	settings_free(w.settings);
}

static void shows(struct fixture *f)
{
	struct world w;
	char params[128];

	world_init(&w, f);
	const char *id = add(&w, (struct letter){.sender = "s@example.test",
					 .content = "From: S <s@example.test>\r\nSubject: "
						    "=?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\nx\r\n",
					 .to = TO("bob@far.test", "eve@far.test")});
	w.resting = queue_lane(S("far.test"));
	snprintf(params, sizeof params, "{'id':'%s'}", id);
	json_t *o = good(&w, "queue.show", params);
	assert_string_equal(text(o, "subject"), "gr\xc3\xbc\xc3\x9f"
						"e");
	assert_string_equal(text(o, "from"), "S <s@example.test>");
	assert_int_equal(count(o, "recipients"), 2);
	assert_int_equal(count(o, "lanes"), 1);
	assert_string_equal(text(at(o, "lanes", 0), "domain"), "far.test");
	assert_int_equal(number(at(o, "lanes", 0), "under_way"), 2);
	assert_non_null(json_object_get(at(o, "lanes", 0), "rests_until"));
	assert_int_equal(strlen(text(o, "expires")), 20);
	json_decref(o);
	snprintf(params, sizeof params, "{'id':'%.20s'}", id);
	json_decref(good(&w, "queue.show", params));
	bad(&w, "queue.show", "{'id':'7zzzzz'}", "missing");
	bad(&w, "queue.show", "{'id':'not an id'}", "missing");
	add(&w, (struct letter){.sender = "s@example.test", .to = TO("bob@far.test")});
	snprintf(params, sizeof params, "{'id':'%.4s'}", id);
	bad(&w, "queue.show", params, "conflict");
	/* More than an answer holds is cut, and the number says so. */
	char reply[500];
	memset(reply, 'r', sizeof reply - 1);
	reply[sizeof reply - 1] = 0;
	id = add(&w, (struct letter){.sender = "s@example.test", .more_recipients = 1990, .reply = reply});
	snprintf(params, sizeof params, "{'id':'%s'}", id);
	o = good(&w, "queue.show", params);
	assert_int_equal(number(o, "recipients_total"), 1990);
	assert_in_range(count(o, "recipients"), 1000, 1989);
	json_decref(o);
	settings_free(w.settings);
}

/* Pages end before an answer is too long, and together they are the whole queue. */
static void long_pages(struct fixture *f)
{
	struct world w;
	char params[128] = "{'limit':500}", reply[500];
	size_t seen = 0, pages = 0;

	world_init(&w, f);
	memset(reply, 'r', sizeof reply - 1);
	reply[sizeof reply - 1] = 0;
	for (int i = 0; i < 6; i++)
		add(&w, (struct letter){.sender = "s@example.test",
				.more_recipients = 20,
				.copies = 20,
				.reply = reply});
	for (bool more = true; more; pages++) {
		json_t *o = good(&w, "queue.list", params);
		assert_true(count(o, "messages") > 0);
		seen += count(o, "messages");
		more = json_object_get(o, "next") != NULL;
		if (more)
			snprintf(params, sizeof params, "{'limit':500,'after':'%s'}", text(o, "next"));
		json_decref(o);
	}
	assert_int_equal(seen, 120);
	assert_true(pages > 1);
	settings_free(w.settings);
}

/* ---- changes ---- */

static void changes(struct fixture *f)
{
	struct world w;
	char one[27], params[256];

	world_init(&w, f);
	snprintf(one, sizeof one, "%s",
		add(&w, (struct letter){
				.sender = "s@example.test", .to = TO("bob@far.test", "eve@near.test")}));
	add(&w, (struct letter){.sender = "t@example.test", .to = TO("bob@far.test")});
	add(&w, (struct letter){.sender = "t@example.test", .to = TO("x@near.test"), .copies = 250});

	bad(&w, "queue.hold", "{}", "syntax");
	bad(&w, "queue.hold", "{'all':true,'domain':'far.test'}", "syntax");
	bad(&w, "queue.hold", "{'domain':'!'}", "syntax");
	/* A wrong id among good ones: nothing is done. */
	snprintf(params, sizeof params, "{'ids':['%s','7zzzzzzz']}", one);
	bad(&w, "queue.hold", params, "missing");
	assert_string_equal(did(&w, "queue.release", "{'all':true}"), "0/0");

	snprintf(params, sizeof params, "{'ids':['%s'],'domain':'far.test'}", one);
	assert_string_equal(did(&w, "queue.hold", params), "1/1");
	assert_string_equal(did(&w, "queue.hold", params), "0/0");
	snprintf(params, sizeof params, "{'ids':['%s']}", one);
	assert_string_equal(did(&w, "queue.hold", params), "1/1"); /* the other recipient */
	assert_string_equal(did(&w, "queue.release", params), "1/2");

	assert_string_equal(did(&w, "queue.hold", "{'domain':'far.test','dry_run':true}"), "2/2");
	assert_string_equal(did(&w, "queue.hold", "{'domain':'far.test'}"), "2/2");
	assert_string_equal(did(&w, "queue.release", "{'sender':'T@example.test'}"), "1/1");
	assert_int_equal(w.woken_n, 0);
	assert_string_equal(did(&w, "queue.retry", "{'ids':[],'sender':'s@example.test'}"), "1/1");
	assert_int_equal(w.woken_n, 2); /* before and after */
	assert_true(w.woken[0] == queue_lane(S("near.test")) && w.woken[1] == w.woken[0]);
	assert_string_equal(did(&w, "queue.retry", "{'all':true}"), "252/252");

	assert_string_equal(did(&w, "queue.bounce", "{'domain':'far.test','reason':'no'}"), "2/2");
	json_t *o = good(&w, "queue.list", "{'state':'failed'}");
	assert_int_equal(count(o, "messages"), 2);
	assert_string_equal(text(at(at(o, "messages", 0), "recipients", 0), "reply"), "no");
	json_decref(o);
	assert_string_equal(did(&w, "queue.drop", "{'all':true,'dry_run':true}"), "251/251");
	assert_string_equal(did(&w, "queue.drop", "{'all':true}"), "251/251");
	o = good(&w, "queue.list", "{}");
	assert_int_equal(number(json_object_get(o, "total"), "messages"), 2); /* those to be reported */
	json_decref(o);
	settings_free(w.settings);
}

/* ---- shape ---- */

static long long age(const json_t *row, size_t i)
{
	return (long long)json_integer_value(json_array_get(json_object_get(row, "ages"), i));
}

static void shapes(struct fixture *f)
{
	struct world w;

	world_init(&w, f);
	w.resting = queue_lane(S("far.test"));
	add(&w, (struct letter){.sender = "s@example.test", .to = TO("bob@far.test"), .copies = 3});
	add(&w, (struct letter){.sender = "s@example.test", .to = TO("bob@far.test"), .minutes_ago = 5});
	add(&w, (struct letter){.sender = "s@example.test", .to = TO("x@near.test"), .minutes_ago = 1300});
	add(&w, (struct letter){.sender = "s@example.test", .to = TO("y@near.test"), .state = QUEUE_HELD});
	add(&w, (struct letter){.sender = "s@example.test", .to = TO("z@third.test"), .minutes_ago = 39});
	json_t *o = good(&w, "queue.shape", "{'limit':2}");
	const json_t *total = json_object_get(o, "total"), *first = at(o, "destinations", 0);
	assert_int_equal(count(o, "minutes"), 9);
	assert_int_equal(number(total, "total"), 6);
	assert_int_equal(number(total, "held"), 1);
	assert_int_equal(age(total, 0), 3);
	assert_int_equal(age(total, 1), 1);
	assert_int_equal(age(total, 3), 1);
	assert_int_equal(age(total, 9), 1);
	assert_int_equal(count(o, "destinations"), 2);
	assert_string_equal(text(first, "domain"), "far.test");
	assert_int_equal(number(first, "total"), 4);
	assert_int_equal(number(first, "window"), 5);
	assert_string_equal(text(at(o, "destinations", 1), "domain"), "near.test");
	assert_int_equal(number(json_object_get(o, "others"), "total"), 1);
	json_decref(o);
	settings_free(w.settings);
}

/* ---- trace ---- */

struct story {
	uint8_t id[16];
	enum queue_event kind;
	struct {
		enum event_field f;
		const char *text;
	} fields[6];
};

static int story_run(struct store_tx *tx, void *arg, err *e)
{
	const struct story *s = arg;
	struct buf b = BUF_INIT(4096);

	event_begin(&b, s->kind, clock_wall_us());
	for (size_t i = 0; i < COUNT_OF(s->fields) && s->fields[i].f; i++)
		event_text(&b, s->fields[i].f, slice_of(s->fields[i].text));
	int rc = event_tx_put(tx, s->id, &b, e);
	buf_free(&b);
	return rc;
}

static const char *tell(struct world *w, unsigned minutes_ago, uint64_t n, struct story s)
{
	static char id[27];
	err e = {0};

	be64_put(s.id, ((uint64_t)clock_wall_us() / 60000000 - minutes_ago) * 60000 << 16);
	be64_put(s.id + 8, n);
	if (store_commit(w->f->store, story_run, &s, &e) < 0)
		fail_msg("%s", e.text);
	base32_id(s.id, id);
	return id;
}

/* The events' names of a trace: "received sent". */
static const char *traced(struct world *w, const char *params)
{
	static char out[2048];
	json_t *o = good(w, "trace", params);
	size_t n = 0;

	out[0] = 0;
	for (size_t i = 0; i < count(o, "events"); i++)
		n += (size_t)snprintf(
			out + n, sizeof out - n, "%s%s", i ? " " : "", text(at(o, "events", i), "event"));
	if (json_is_true(json_object_get(o, "more")))
		snprintf(out + n, sizeof out - n, "+");
	json_decref(o);
	return out;
}

static void traces(struct fixture *f)
{
	struct world w;
	char old[27], params[128];

	world_init(&w, f);
	snprintf(old, sizeof old, "%s",
		tell(&w, 3 * 1440, 1,
			(struct story){.kind = EVENT_RECEIVED,
				.fields = {{FIELD_SENDER, "alice@example.test"},
					{FIELD_RECIPIENTS, "bob@far.test Carol@near.test"},
					{FIELD_CLIENT, "192.0.2.1"},
					{FIELD_MESSAGE_ID, "<abc.1@example.test>"}, {FIELD_SIZE, "4321"}}}));
	tell(&w, 3 * 1440, 1,
		(struct story){.kind = EVENT_DEFERRED,
			.fields = {{FIELD_RECIPIENT, "bob@far.test"}, {FIELD_IP, "2001:db8::1"},
				{FIELD_REPLY, "wait \xfe"}, {FIELD_NEXT, "1700000000000000"}}});
	tell(&w, 0, 2, (struct story){.kind = EVENT_DROPPED, .fields = {{FIELD_RECIPIENT, "bob@far.test"}}});
	tell(&w, 0, 3,
		(struct story){.kind = EVENT_HELD, .fields = {{FIELD_RECIPIENT, "somebody@far.test"}}});

	static const struct {
		const char *params, *events;
	} cases[] = {
		{"{'what':'bob@far.test'}", "received deferred dropped"},
		{"{'what':'BOB@far.test','since':3600}", "dropped"},
		{"{'what':'bob@far.test','limit':1}", "dropped+"},
		{"{'what':'bob@far.test','limit':2}", "received deferred dropped+"}, /* who knows */
		{"{'what':'carol@near.test'}", "received deferred"},
		{"{'what':'ob@far.test'}", ""},
		{"{'what':'<abc.1@example.test>'}", "received deferred"},
		{"{'what':'abc.1@example.test'}", "received deferred"},
		{"{'what':'<ABC.1@example.test>'}", ""},
		{"{'what':'192.0.2.1'}", "received deferred"},
		{"{'what':'[2001:DB8::1]'}", "received deferred"},
		{"{'what':'192.0.2.11'}", ""},
		{"{'what':'192.0.2.1','since':86400}", ""},
		{"{'what':'somebody@far.test','since':9999999999}", "held"},
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_string_equal(traced(&w, cases[i].params), cases[i].events);

	snprintf(params, sizeof params, "{'what':'%s'}", old);
	json_t *o = good(&w, "trace", params);
	assert_int_equal(count(o, "events"), 2);
	assert_int_equal(number(at(o, "events", 0), "size"), 4321);
	assert_string_equal(text(at(o, "events", 0), "id"), old);
	assert_string_equal(text(at(o, "events", 1), "next"), "2023-11-14T22:13:20Z");
	assert_string_equal(text(at(o, "events", 1), "reply"), "wait \xef\xbf\xbd");
	json_decref(o);
	snprintf(params, sizeof params, "{'what':'%.7s'}", old);
	for (char *p = params; *p; p++)
		*p = ascii_upper(*p) == *p || p < params + 9 ? *p : ascii_upper(*p);
	assert_string_equal(traced(&w, params), "received deferred");
	bad(&w, "trace", "{'what':'01m87'}", "syntax");
	bad(&w, "trace", "{'what':'not an id'}", "syntax");
	bad(&w, "trace", "{'what':''}", "syntax");
	bad(&w, "trace", "{'what':'a@b.test','limit':0}", "syntax");
	settings_free(w.settings);
}

/* ---- a long queue ---- */

static unsigned ms_since(uint64_t *from)
{
	uint64_t now = clock_boot_ms(), took = now - *from;

	*from = clock_boot_ms();
	return (unsigned)took;
}

/* The first page does not look at the rest. POSTHOUSE_QUEUE_MESSAGES: how many, to measure. */
static void long_queue(struct fixture *f)
{
	struct world w;
	const char *wanted = getenv("POSTHOUSE_QUEUE_MESSAGES");
	uint64_t n = 50000, from = clock_boot_ms();

	world_init(&w, f);
	if (wanted)
		assert_true(slice_to_u64(slice_of(wanted), 10000000, &n));
	for (uint64_t i = 0; i < n; i += 500)
		add(&w, (struct letter){.sender = "s@example.test", .more_recipients = 1, .copies = 500});
	printf("%llu messages made in %u ms\n", (unsigned long long)w.counter, ms_since(&from));
	json_t *o = good(&w, "queue.list", "{}");
	assert_int_equal(count(o, "messages"), 100);
	assert_int_equal(number(json_object_get(o, "total"), "messages"), w.counter);
	json_decref(o);
	unsigned first = ms_since(&from);
	printf("first page: %u ms\n", first);
	assert_true(
		first < 1000); /* a full look would take longer than any load of the machine, at a million */
	json_decref(good(&w, "queue.list", "{'domain':'none.test'}"));
	printf("a filter that finds nothing: %u ms\n", ms_since(&from));
	o = good(&w, "queue.shape", "{}");
	assert_int_equal(number(json_object_get(o, "total"), "total"), w.counter);
	json_decref(o);
	printf("shape: %u ms\n", ms_since(&from));
	o = good(&w, "queue.hold", "{'all':true}");
	printf("hold: %lld messages in %u ms\n", number(o, "messages"), ms_since(&from));
	if (!json_object_get(o, "next"))
		assert_int_equal(number(o, "messages"), w.counter);
	json_decref(o);
	settings_free(w.settings);
}

#define EACH(name)                                                                                           \
	static void test_##name(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		fixture_each(name, NULL);                                                                    \
	}
EACH(lists)
EACH(shows)
EACH(long_pages)
EACH(changes)
EACH(shapes)
EACH(traces)

static void test_long_queue(void **state)
{
	struct fixture f;

	(void)state;
	fixture_lmdb(&f);
	fixture_run(&f, long_queue, NULL);
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_shows),
		cmocka_unit_test(test_long_pages),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_traces),
		cmocka_unit_test(test_long_queue),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

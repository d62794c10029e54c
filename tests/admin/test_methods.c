/* The admin methods on a store, called as the command line calls them. */
#include "admin/admin.h"
#include "admin/frame.h"
#include "cli/cli.h"
#include "limits.h"
#include "mailbox/fixture.h"
#include "queue/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

struct world {
	struct admin_session session;
	struct settings *settings;
	uint32_t secret_account; /* of the last secret_set */
	char secret[64];
	uint32_t removed;
	uint32_t relay_route; /* of the last relay_secret_set; 0: removed */
	char relay_secret[64];
	unsigned routes_changed;
	bool auth_down;
	unsigned audits;
	char last_audit[128];
};

static int on_secret_set(void *ctx, uint32_t account, slice secret, err *e)
{
	struct world *w = ctx;

	if (w->auth_down)
		return err_set(e, ERR_TEMP, "auth does not answer");
	w->secret_account = account;
	snprintf(w->secret, sizeof w->secret, "%.*s", (int)secret.n, secret.p);
	return 0;
}

static int on_secret_remove(void *ctx, uint32_t account, err *e)
{
	(void)e;
	((struct world *)ctx)->removed = account;
	return 0;
}

static int on_status(void *ctx, struct buf *ret_json, err *e)
{
	(void)ctx, (void)e;
	buf_addz(ret_json, "{\"version\":\"x\",\"roles\":[{\"role\":\"auth\",\"up\":true}]}");
	return 0;
}

static const struct settings *on_settings(void *ctx)
{
	return ((struct world *)ctx)->settings;
}

static void on_audit(void *ctx, const char *method, slice subject, uint32_t uid, enum err_kind result)
{
	struct world *w = ctx;

	w->audits++;
	snprintf(w->last_audit, sizeof w->last_audit, "%s %.*s %u %s", method, (int)subject.n, subject.p, uid,
		err_kind_name(result));
}

static int on_relay_secret_set(void *ctx, uint32_t route, slice secret, err *e)
{
	struct world *w = ctx;

	if (w->auth_down)
		return err_set(e, ERR_TEMP, "auth does not answer");
	w->relay_route = route;
	snprintf(w->relay_secret, sizeof w->relay_secret, "%.*s", (int)secret.n, secret.p);
	return 0;
}

static int on_relay_secret_remove(void *ctx, uint32_t route, err *e)
{
	struct world *w = ctx;

	if (w->auth_down)
		return err_set(e, ERR_TEMP, "auth does not answer");
	if (w->relay_route == route)
		w->relay_route = 0;
	return 0;
}

/* Says what it was given; a host that begins with "bad" is not good. */
static int on_route_test(void *ctx, const struct route *r, struct admin_dialogue *ret, err *e)
{
	struct world *w = ctx;

	if (w->auth_down)
		return err_set(e, ERR_TEMP, "outbound does not answer");
	ret->good = !slice_starts(r->host, S("bad"));
	buf_addf(&ret->lines, "S: 220 %.*s:%u\nC: EHLO x\n", (int)r->host.n, r->host.p, r->port);
	buf_addf(&ret->text, "secret %s of %u", w->relay_route == r->id ? w->relay_secret : "none", r->id);
	return 0;
}

static void on_routes_changed(void *ctx)
{
	((struct world *)ctx)->routes_changed++;
}

static const struct admin_ops ops = {
	.secret_set = on_secret_set,
	.secret_remove = on_secret_remove,
	.relay_secret_set = on_relay_secret_set,
	.relay_secret_remove = on_relay_secret_remove,
	.route_test = on_route_test,
	.routes_changed = on_routes_changed,
	.status = on_status,
	.settings = on_settings,
	.audit = on_audit,
};

static void world_init(struct world *w, struct fixture *f)
{
	*w = (struct world){.settings = settings_new()};
	w->session = (struct admin_session){
		.store = f->store, .uid = 1000, .allowed = true, .ops = &ops, .ctx = w};
	assert_non_null(w->settings);
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

static void done(struct world *w, const char *method, const char *params)
{
	json_decref(good(w, method, params));
}

static void bad(struct world *w, const char *method, const char *params, const char *code)
{
	json_t *o = call(w, method, params), *error = json_object_get(o, "error");

	if (!error)
		fail_msg("%s %s: was done", method, params);
	assert_string_equal(json_string_value(json_object_get(error, "code")), code);
	assert_true(json_string_length(json_object_get(error, "message")) > 10);
	json_decref(o);
}

static const char *text(const json_t *o, const char *key)
{
	const char *t = json_string_value(json_object_get(o, key));

	assert_non_null(t);
	return t;
}

static long long number(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return (long long)json_integer_value(json_object_get(o, key));
}

/* ---- domains ---- */

static void domains(struct fixture *f)
{
	struct world w;
	json_t *o;

	world_init(&w, f);
	bad(&w, "domain.add", "{}", "syntax");
	bad(&w, "domain.add", "{'domain':'not a domain'}", "syntax");
	bad(&w, "domain.add", "{'domain':'a.example','domane':'x'}", "syntax");
	bad(&w, "domain.show", "{'domain':'a.example'}", "missing");
	done(&w, "domain.add", "{'domain':'B.example'}");
	done(&w, "domain.add", "{'domain':'a.example','catchall':['x@a.example','y@b.example']}");
	assert_string_equal(w.last_audit, "domain.add a.example 1000 none");
	bad(&w, "domain.add", "{'domain':'b.EXAMPLE'}", "exists");

	o = good(&w, "domain.list", "{}");
	assert_int_equal(json_array_size(json_object_get(o, "domains")), 2);
	assert_string_equal(text(json_array_get(json_object_get(o, "domains"), 1), "domain"), "b.example");
	assert_null(json_object_get(o, "next"));
	json_decref(o);

	o = good(&w, "domain.show", "{'domain':'a.example'}");
	assert_int_equal(json_array_size(json_object_get(o, "catchall")), 2);
	assert_string_equal(text(o, "from"), "store");
	json_decref(o);
	o = good(&w, "domain.set", "{'domain':'a.example','enabled':false,'catchall':[]}");
	assert_true(json_is_false(json_object_get(o, "enabled")));
	assert_int_equal(json_array_size(json_object_get(o, "catchall")), 0);
	json_decref(o);

	done(&w, "account.add", "{'account':'m@a.example','password':'a long secret'}");
	bad(&w, "domain.remove", "{'domain':'a.example'}", "conflict");
	done(&w, "account.remove", "{'account':'m@a.example'}");
	done(&w, "domain.remove", "{'domain':'a.example','dry_run':true}");
	done(&w, "domain.show", "{'domain':'a.example'}");
	done(&w, "domain.remove", "{'domain':'a.example'}");
	bad(&w, "domain.remove", "{'domain':'a.example'}", "missing");
	settings_free(w.settings);
}

/* ---- what stands in the file cannot be changed through the store ---- */

static void pinned(struct fixture *f)
{
	struct world w;
	err e = {0};
	struct settings_domain file[] = {
		{S("f.example"), S("all@f.example"), S("/etc/p.conf"), 7},
		{S("g.example"), {0}, S("/etc/p.conf"), 9},
	};

	world_init(&w, f);
	w.settings->domains = file, w.settings->domains_n = 2;
	assert_int_equal(admin_apply(f->store, w.settings, &e), 0);
	assert_int_equal(admin_apply(f->store, w.settings, &e), 0); /* again: nothing to do */
	json_t *o = good(&w, "domain.show", "{'domain':'f.example'}");
	assert_string_equal(text(o, "from"), "file");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(o, "catchall"), 0)), "all@f.example");
	json_decref(o);
	bad(&w, "domain.remove", "{'domain':'F.example'}", "denied");
	bad(&w, "domain.set", "{'domain':'f.example','catchall':[]}", "denied");
	done(&w, "domain.set", "{'domain':'g.example','catchall':['x@g.example']}");
	file[0].catchall = S("other@f.example");
	assert_int_equal(admin_apply(f->store, w.settings, &e), 0);
	o = good(&w, "domain.show", "{'domain':'f.example'}");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(o, "catchall"), 0)), "other@f.example");
	json_decref(o);
	settings_free(w.settings);
}

/* ---- accounts ---- */

static void accounts(struct fixture *f)
{
	struct world w;
	json_t *o;

	world_init(&w, f);
	done(&w, "domain.add", "{'domain':'a.example'}");
	done(&w, "domain.add", "{'domain':'b.example'}");
	bad(&w, "account.add", "{'account':'m@a.example'}", "syntax");
	bad(&w, "account.add", "{'account':'m','password':'a long secret'}", "syntax");
	bad(&w, "account.add", "{'account':'m@c.example','password':'a long secret'}", "missing");
	bad(&w, "account.add", "{'account':'m@a.example','password':'short'}", "syntax");
	bad(&w, "account.add", "{'account':'m@a.example','password':'a long\\tsecret'}", "syntax");
	bad(&w, "account.add", "{'account':'m@a.example','password':'a\\u0000 long secret'}", "syntax");
	assert_int_equal(w.secret_account, 0);

	o = good(&w, "account.add",
		"{'account':'m@a.example','password':'a long "
		"secret','name':'M','quota':5000,'language':'de'}");
	uint32_t m = (uint32_t)number(o, "id");
	assert_int_equal(m, w.secret_account);
	assert_string_equal(w.secret, "a long secret");
	assert_string_equal(text(o, "account"), "m@a.example");
	assert_int_equal(number(o, "quota"), 5000);
	assert_int_equal(number(o, "mailboxes"), 6);
	assert_null(json_object_get(o, "password"));
	json_decref(o);
	bad(&w, "account.add", "{'account':'M@A.example','password':'a long secret'}", "exists");
	done(&w, "account.add", "{'account':'w@a.example','password':'x','weak':true}");

	/* The account does not stay when its secret cannot be kept. */
	w.auth_down = true;
	bad(&w, "account.add", "{'account':'n@a.example','password':'a long secret'}", "temporary");
	bad(&w, "account.show", "{'account':'n@a.example'}", "missing");
	w.auth_down = false;

	uint32_t epoch = read_account(f, m).epoch; /* what auth remembers must end with the old password */
	done(&w, "account.set", "{'account':'m','password':'another secret'}"); /* the bare name is enough */
	assert_string_equal(w.secret, "another secret");
	assert_int_equal(w.secret_account, m);
	assert_int_equal(read_account(f, m).epoch, epoch + 1);
	o = good(&w, "account.set", "{'account':'m@a.example','enabled':false,'quota':0}");
	assert_true(json_is_false(json_object_get(o, "enabled")));
	assert_string_equal(text(o, "name"), "M"); /* what was not given stays */
	json_decref(o);

	o = good(&w, "account.set",
		"{'account':'m@a.example','forward':['far@elsewhere.example','w@a.example']}");
	assert_int_equal(json_array_size(json_object_get(o, "forward")), 2);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(o, "forward"), 1)), "w@a.example");
	assert_true(json_is_true(json_object_get(o, "keep")));
	json_decref(o);
	done(&w, "account.set", "{'account':'m@a.example','keep':false}");
	bad(&w, "account.set", "{'account':'m@a.example','forward':['M@a.example']}", "conflict");
	bad(&w, "account.set", "{'account':'m@a.example','forward':['nobody']}", "syntax");
	o = good(&w, "account.show", "{'account':'m@a.example'}"); /* what was refused changed nothing */
	assert_int_equal(json_array_size(json_object_get(o, "forward")), 2);
	assert_true(json_is_false(json_object_get(o, "keep")));
	json_decref(o);
	o = good(&w, "account.set", "{'account':'m@a.example','forward':[]}");
	assert_int_equal(json_array_size(json_object_get(o, "forward")), 0);
	assert_null(json_object_get(o, "keep"));
	json_decref(o);
	bad(&w, "account.set", "{'account':'m@a.example','keep':true}", "missing");

	done(&w, "account.add", "{'account':'m@b.example','password':'a long secret'}");
	bad(&w, "account.show", "{'account':'m'}", "missing"); /* two of them now */

	o = good(&w, "account.list", "{'domain':'b.example'}");
	assert_int_equal(json_array_size(json_object_get(o, "accounts")), 1);
	json_decref(o);
	done(&w, "account.remove", "{'account':'m@b.example','dry_run':true}");
	assert_int_equal(w.removed, 0);
	o = good(&w, "account.show", "{'account':'m@b.example'}");
	done(&w, "account.remove", "{'account':'m@b.example'}");
	assert_int_equal(w.removed, number(o, "id"));
	json_decref(o);
	bad(&w, "account.remove", "{'account':'m@b.example'}", "missing");
	settings_free(w.settings);
}

static void pages(struct fixture *f)
{
	struct world w;
	char params[128];
	size_t seen = 0;
	json_t *o;

	world_init(&w, f);
	done(&w, "domain.add", "{'domain':'a.example'}");
	for (int i = 0; i < 501; i++) {
		snprintf(params, sizeof params, "{'alias':'x%03d@a.example','targets':['y@a.example']}", i);
		done(&w, "alias.add", params);
	}
	snprintf(params, sizeof params, "{}");
	for (int page = 0; page < 2; page++) {
		o = good(&w, "alias.list", params);
		seen += json_array_size(json_object_get(o, "aliases"));
		if (page == 0)
			snprintf(params, sizeof params, "{'after':'%s'}", text(o, "next"));
		else
			assert_null(json_object_get(o, "next"));
		json_decref(o);
	}
	assert_int_equal(seen, 501);
	settings_free(w.settings);
}

/* ---- aliases ---- */

static void aliases(struct fixture *f)
{
	struct world w;
	json_t *o;

	world_init(&w, f);
	done(&w, "domain.add", "{'domain':'a.example'}");
	done(&w, "account.add", "{'account':'m@a.example','password':'a long secret'}");
	bad(&w, "alias.add", "{'alias':'x@a.example'}", "syntax");
	bad(&w, "alias.add", "{'alias':'x@a.example','targets':[]}", "syntax");
	bad(&w, "alias.add", "{'alias':'x@a.example','targets':[1]}", "syntax");
	bad(&w, "alias.add", "{'alias':'x@a.example','targets':'m@a.example'}", "syntax");
	bad(&w, "alias.add", "{'alias':'m@a.example','targets':['m@a.example']}", "exists");
	bad(&w, "alias.add", "{'alias':'x@c.example','targets':['m@a.example']}", "missing");
	bad(&w, "alias.add", "{'alias':'x@a.example','targets':['m@a.example'],'owners':['nobody']}",
		"missing");
	bad(&w, "alias.set", "{'alias':'x@a.example','targets':['m@a.example']}", "missing");
	done(&w, "alias.add",
		"{'alias':'x@a.example','targets':['m@a.example','o@else.example'],'owners':['m']}");
	bad(&w, "alias.add", "{'alias':'x@a.example','targets':['m@a.example']}", "exists");

	o = good(&w, "alias.set", "{'alias':'x@a.example','targets':['p@else.example']}");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(o, "targets"), 0)), "p@else.example");
	assert_int_equal(json_array_size(json_object_get(o, "targets")), 1);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(o, "owners"), 0)), "m@a.example");
	json_decref(o);
	o = good(&w, "alias.set", "{'alias':'x@a.example','owners':[]}");
	assert_int_equal(json_array_size(json_object_get(o, "targets")), 1);
	assert_int_equal(json_array_size(json_object_get(o, "owners")), 0);
	json_decref(o);

	done(&w, "alias.add", "{'alias':'@a.example','targets':['m@a.example']}");
	o = good(&w, "alias.list", "{'domain':'a.example'}");
	assert_int_equal(json_array_size(json_object_get(o, "aliases")), 2);
	assert_string_equal(text(json_array_get(json_object_get(o, "aliases"), 0), "alias"), "@a.example");
	json_decref(o);
	done(&w, "alias.remove", "{'alias':'x@a.example'}");
	bad(&w, "alias.remove", "{'alias':'x@a.example'}", "missing");
	settings_free(w.settings);
}

/* ---- mailboxes ---- */

static void mailboxes(struct fixture *f)
{
	struct world w;
	json_t *o;

	world_init(&w, f);
	done(&w, "domain.add", "{'domain':'a.example'}");
	done(&w, "account.add", "{'account':'m@a.example','password':'a long secret'}");
	bad(&w, "mailbox.add", "{'account':'m','mailbox':'A','use':'nonsense'}", "syntax");
	bad(&w, "mailbox.add", "{'account':'nobody','mailbox':'A'}", "missing");
	o = good(&w, "mailbox.add", "{'account':'m','mailbox':'A/B'}");
	assert_true(json_is_true(json_object_get(o, "subscribed")));
	json_decref(o);
	bad(&w, "mailbox.add", "{'account':'m','mailbox':'A/B'}", "exists");
	o = good(&w, "mailbox.list", "{'account':'m'}");
	assert_int_equal(json_array_size(json_object_get(o, "mailboxes")), 8);
	assert_string_equal(text(json_array_get(json_object_get(o, "mailboxes"), 0), "mailbox"), "INBOX");
	json_decref(o);
	o = good(&w, "mailbox.set",
		"{'account':'m','mailbox':'A/B','rename':'C','use':'archive','subscribed':false}");
	assert_string_equal(text(o, "mailbox"), "C");
	assert_string_equal(text(o, "use"), "archive");
	assert_true(json_is_false(json_object_get(o, "subscribed")));
	json_decref(o);
	bad(&w, "mailbox.show", "{'account':'m','mailbox':'A/B'}", "missing");
	bad(&w, "mailbox.remove", "{'account':'m','mailbox':'INBOX'}", "denied");
	done(&w, "mailbox.remove", "{'account':'m','mailbox':'C','dry_run':true}");
	done(&w, "mailbox.remove", "{'account':'m','mailbox':'C'}");
	bad(&w, "mailbox.remove", "{'account':'m','mailbox':'C'}", "missing");
	settings_free(w.settings);
}

/* ---- who may, what is no request ---- */

static void rights(struct fixture *f)
{
	struct world w;
	char deep[512] = "{'after':";
	json_t *o;

	world_init(&w, f);
	o = good(&w, "status", "");
	assert_string_equal(text(o, "version"), "x");
	assert_true(json_is_object(json_object_get(o, "store")));
	assert_true(json_is_array(json_object_get(o, "admin")));
	json_decref(o);
	bad(&w, "domain.lisst", "{}", "missing");
	bad(&w, "domain.list", "[]", "syntax");
	bad(&w, "domain.list", "{'after':7}", "syntax");
	bad(&w, "domain.list", "{'after':'a','after':'b'}", "syntax");
	bad(&w, "account.list", "{'after':-1}", "syntax");
	bad(&w, "domain.list", "nonsense", "syntax");
	memset(deep + 9, '[', 400);
	bad(&w, "domain.list", deep, "limit");
	assert_int_equal(w.audits, 0);

	w.session.allowed = false;
	w.session.uid = 77;
	for (size_t i = 0; admin_method_at(i); i++) {
		if (!admin_method_at(i)->for_all)
			bad(&w, admin_method_at(i)->name, "{}", "denied");
	}
	assert_int_equal(w.audits, 0);
	done(&w, "version", "{}");
	settings_free(w.settings);
}

/* ---- a connection ---- */

static void frame_put(struct buf *b, const char *json)
{
	uint8_t head[ADMIN_FRAME_HEAD];

	admin_frame_head_write((uint32_t)strlen(json), head);
	buf_add(b, slice_make(head, sizeof head));
	buf_addz(b, json);
}

/* Sends the bytes, ends sending, and returns what came back; the number of answers in *ret_n. */
static slice talk(struct world *w, const struct buf *say, struct buf *heard, unsigned *ret_n)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(write(pair[0], say->p, say->n), (ssize_t)say->n);
	shutdown(pair[0], SHUT_WR);
	w->session.stream = stream_new(pair[1]);
	assert_non_null(w->session.stream);
	admin_session_run(&w->session);
	stream_close(w->session.stream);
	*ret_n = 0;
	for (;;) {
		char *room = buf_room(heard, 65536);
		assert_non_null(room);
		ssize_t got = read(pair[0], room, 65536);
		if (got <= 0)
			break;
		buf_grow(heard, (size_t)got);
	}
	close(pair[0]);
	for (size_t at = 0; at + 4 <= heard->n; (*ret_n)++) {
		uint32_t n;
		assert_true(admin_frame_head_read((const uint8_t *)heard->p + at, ADMIN_FRAME_MAX, &n));
		at += 4 + n;
		assert_true(at <= heard->n);
	}
	return buf_slice(heard);
}

static void sessions(struct fixture *f)
{
	struct world w;
	struct buf say = BUF_INIT(1 << 20), heard = BUF_INIT(1 << 20);
	unsigned n;

	world_init(&w, f);
	frame_put(&say, "{\"method\":\"version\"}");
	frame_put(&say, "{\"method\":\"domain.add\",\"params\":{\"domain\":\"a.example\"}}");
	frame_put(&say, "{\"method\":\"domain.add\",\"params\":[]}");
	frame_put(&say, "{\"method\":7}");
	frame_put(&say, "not json");
	frame_put(&say, "{\"method\":\"domain.list\"}");
	slice got = talk(&w, &say, &heard, &n);
	assert_int_equal(n, 6);
	assert_true(slice_find(got, S("{\"result\":{\"version\":")) >= 0);
	assert_true(slice_find(got, S("\"domain\":\"a.example\",\"enabled\":true")) >= 0);

	/* Half a frame, an empty one, one over the limit: the connection ends without an answer. */
	static const char *const ends[] = {"\0\0\0\x09{}", "\0\0\0\0{}", "\x7f\xff\xff\xff{}", "\0"};
	static const size_t lengths[] = {6, 6, 6, 1};
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		buf_reset(&say), buf_reset(&heard);
		buf_add(&say, slice_make(ends[i], lengths[i]));
		talk(&w, &say, &heard, &n);
		assert_int_equal(n, 0);
	}
	/* Strangers get small frames only. */
	w.session.allowed = false;
	buf_reset(&say), buf_reset(&heard);
	buf_add(&say, slice_make("\0\0\x10\x01", 4));
	for (int i = 0; i < 4097; i++)
		buf_add_c(&say, ' ');
	talk(&w, &say, &heard, &n);
	assert_int_equal(n, 0);
	buf_free(&say);
	buf_free(&heard);
	settings_free(w.settings);
}

/* ---- routes ---- */

static void routes(struct fixture *f)
{
	struct world w;
	json_t *o, *rows;
	char it[64];

	world_init(&w, f);
	done(&w, "domain.add", "{'domain':'a.example'}");
	done(&w, "account.add", "{'account':'m@a.example','password':'a long secret'}");
	static const char *const wrong[] = {"{}", "{'host':''}", "{'host':'-bad-'}", "{'host':'h.example:0'}",
		"{'host':'h.example:65536'}", "{'host':'h.example:x'}", "{'host':'[::1'}", "{'host':'1.2.3'}",
		"{'host':'h.example','tls':'yes'}", "{'host':'h.example','mechanism':'plain'}",
		"{'host':'h.example','user':'u'}", "{'host':'h.example','password':'p'}",
		"{'host':'h.example','user':'u','password':''}",
		"{'host':'h.example','user':'u','password':'p','mechanism':'cram-md5'}",
		"{'host':'h.example','user':'u','password':'p','tls':'none'}",
		"{'host':'h.example','source':'here'}", "{'host':'h.example','domain':'not a domain'}",
		"{'host':'h.example','sender':'nobody'}",
		"{'host':'h.example','domain':'x.example','sender':'a@b.c'}", "{'host':'direct','tls':'may'}",
		"{'host':'direct','fallback':true}"};
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		bad(&w, "route.add", wrong[i], "syntax");
	bad(&w, "route.add", "{'host':'h.example','account':'x@a.example'}", "missing");
	assert_int_equal(w.relay_route + w.routes_changed, 0);

	/* the secret is in auth before the route is there */
	w.auth_down = true;
	bad(&w, "route.add", "{'host':'Relay.example','user':'u','password':'pass word'}", "temporary");
	w.auth_down = false;
	o = good(&w, "route.list", "{}");
	assert_int_equal(json_array_size(json_object_get(o, "routes")), 0);
	json_decref(o);
	o = good(&w, "route.add", "{'host':'Relay.example','user':'u','password':'pass word'}");
	assert_string_equal(text(o, "to"), "relay.example:587");
	assert_string_equal(text(o, "tls"), "starttls");
	assert_string_equal(text(o, "for"), "all");
	assert_string_equal(text(o, "mechanism"), "any");
	assert_null(json_object_get(o, "password"));
	long long first = number(o, "id");
	json_decref(o);
	assert_string_equal(w.last_audit, "route.add Relay.example 1000 none");
	assert_int_equal(w.relay_route, first);
	assert_string_equal(w.relay_secret, "pass word");
	assert_int_equal(w.routes_changed, 1);
	/* a second one of the same kind: its secret goes again */
	bad(&w, "route.add", "{'host':'other.example','user':'u','password':'other'}", "exists");
	assert_int_equal(w.relay_route, 0);
	assert_int_equal(w.routes_changed, 1);

	static const struct {
		const char *params, *is_for, *to, *tls;
	} made[] = {
		{"{'host':'direct','domain':'.Near.example'}", "to .near.example", "direct", NULL},
		{"{'host':'192.0.2.1','sender':'Boss@A.example'}", "from boss@a.example", "192.0.2.1:25",
			"may"},
		{"{'host':'[2001:db8::1]:465','sender_domain':'a.example'}", "from a.example",
			"[2001:db8::1]:465", "implicit"},
		{"{'host':'2001:DB8::2','account':'m@a.example','tls':'implicit'}", "account m@a.example",
			"[2001:db8::2]:465", "implicit"},
		{"{'host':'relay:2525','domain':'far.example','tls':'none','fallback':true}",
			"to far.example", "relay:2525", "none"},
	};
	for (size_t i = 0; i < COUNT_OF(made); i++) {
		o = good(&w, "route.add", made[i].params);
		assert_string_equal(text(o, "for"), made[i].is_for);
		assert_string_equal(text(o, "to"), made[i].to);
		if (made[i].tls)
			assert_string_equal(text(o, "tls"), made[i].tls);
		json_decref(o);
	}
	o = good(&w, "route.list", "{}"); /* in the order in which they are tried */
	rows = json_object_get(o, "routes");
	static const char *const order[] = {"to far.example", "to .near.example", "from boss@a.example",
		"account m@a.example", "from a.example", "all"};
	assert_int_equal(json_array_size(rows), COUNT_OF(order));
	for (size_t i = 0; i < COUNT_OF(order); i++)
		assert_string_equal(text(json_array_get(rows, i), "for"), order[i]);
	assert_null(json_object_get(o, "next"));
	json_decref(o);
	o = good(&w, "route.list", "{'after':5}");
	assert_int_equal(json_array_size(json_object_get(o, "routes")), 1);
	json_decref(o);
	snprintf(it, sizeof it, "{'route':'%lld'}", first);
	o = good(&w, "route.show", it);
	json_decref(o);
	bad(&w, "route.show", "{'route':'77'}", "missing");
	bad(&w, "route.show", "{'route':'x'}", "missing");

	/* trying: as it is, or one that is not there yet, whose secret is kept for so long only */
	w.relay_route = (uint32_t)first;
	o = good(&w, "route.test", it);
	assert_true(json_is_true(json_object_get(o, "good")));
	assert_string_equal(text(o, "dialogue"), "S: 220 relay.example:587\nC: EHLO x\n");
	json_decref(o);
	o = good(&w, "route.test", "{'route':'bad.example','user':'u','password':'p'}");
	assert_true(json_is_false(json_object_get(o, "good")));
	assert_memory_equal(text(o, "text"), "secret p of", 11);
	json_decref(o);
	assert_int_equal(w.relay_route, 0);
	snprintf(it, sizeof it, "{'route':'%lld','tls':'none'}", first);
	bad(&w, "route.test", it, "syntax");
	bad(&w, "route.test", "{'route':'99'}", "missing");
	bad(&w, "route.test", "{'route':'direct'}", "syntax");
	done(&w, "route.test", "{'route':'direct','domain':'near.example'}");

	/* the row goes first */
	unsigned changed = w.routes_changed;
	snprintf(it, sizeof it, "{'route':'%lld','dry_run':true}", first);
	done(&w, "route.remove", it);
	snprintf(it, sizeof it, "{'route':'%lld'}", first);
	assert_int_equal(w.routes_changed, changed);
	w.auth_down = true;
	bad(&w, "route.remove", it, "temporary");
	w.auth_down = false;
	assert_int_equal(w.routes_changed, changed + 1);
	bad(&w, "route.remove", it, "missing");
	settings_free(w.settings);
}

#define EACH(name)                                                                                           \
	static void test_##name(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		fixture_each(name, NULL);                                                                    \
	}
EACH(domains)
EACH(pinned)
EACH(accounts)
EACH(aliases)
EACH(mailboxes)
EACH(rights)
EACH(routes)
EACH(sessions)

/* The engine makes no difference here, and 500 durable changes take their time. */
static void test_pages(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, &kv_memory);
	fixture_run(&f, pages, NULL);
	fixture_free(&f);
}

/* ---- the command line asks only what the methods know ---- */

static const struct admin_method *method_find(const char *name)
{
	const struct admin_method *m;

	for (size_t i = 0; (m = admin_method_at(i)) != NULL; i++) {
		if (!strcmp(m->name, name))
			return m;
	}
	fail_msg("there is no method %s", name);
	return NULL;
}

static const struct admin_param *param_find(const struct admin_method *m, const char *name)
{
	for (const struct admin_param *p = m->params; p->name; p++) {
		if (!strcmp(p->name, name))
			return p;
	}
	fail_msg("%s has no parameter %s", m->name, name);
	return NULL;
}

static void words_hold(const struct cli_command *cmd, const struct admin_method *m)
{
	slice names = slice_of(cmd->params ? cmd->params : ""), name;

	while (slice_word(&names, &name)) {
		char key[64];
		bool many = slice_ends(name, S("..."));
		snprintf(key, sizeof key, "%.*s", (int)(name.n - (many ? 3 : 0)), name.p);
		assert_int_equal(param_find(m, key)->type, many ? ADMIN_TEXTS : ADMIN_TEXT);
	}
}

static void test_command_line(void **state)
{
	(void)state;
	static const enum admin_type types[] = {[SEND_TEXT] = ADMIN_TEXT,
		[SEND_SIZE] = ADMIN_NUMBER,
		[SEND_TRUE] = ADMIN_BOOL,
		[SEND_FALSE] = ADMIN_BOOL,
		[SEND_TEXTS] = ADMIN_TEXTS,
		[SEND_EMPTY] = ADMIN_TEXTS,
		[SEND_NUMBER] = ADMIN_NUMBER,
		[SEND_SECONDS] = ADMIN_NUMBER};

	for (size_t i = 0; i < cli_commands_n; i++) {
		const struct cli_command *cmd = &cli_commands[i];
		if (!cmd->method)
			continue;
		const struct admin_method *m = method_find(cmd->method);
		words_hold(cmd, m);
		for (int o = 0; o < OPT_COUNT; o++) {
			if ((cmd->options & UINT64_C(1) << o) && cli_options[o].send != SEND_NOTHING)
				assert_int_equal(param_find(m, cli_options[o].param)->type,
					types[cli_options[o].send]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_mailboxes),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_command_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The table of methods, and one call from its JSON to its answer. */
#include "admin/call.h"
#include "admin/frame.h"
#include "base/hash.h"
#include "base/nearest.h"
#include "limits.h"
#include "mail/date.h"

#include <stdio.h>

/* ---- methods of the program as a whole ---- */

static int version(struct admin_call *c, err *e)
{
	(void)e;
	admin_put_text(c->result, "version", S(POSTHOUSE_VERSION));
	return 0;
}

static void stats_put(json_t *result, struct store *store)
{
	struct store_stats st;
	json_t *o = json_object();

	store_stats(store, &st);
	admin_put_number(o, "groups", st.groups);
	admin_put_number(o, "intents", st.intents);
	admin_put_number(o, "bytes", st.bytes);
	admin_put_number(o, "volume", st.volume);
	admin_put_number(o, "volume_used", st.volume_used);
	admin_put_number(o, "engine_bytes", st.engine_bytes);
	admin_put_number(o, "epoch", st.epoch);
	admin_put_bool(o, "suspect", st.suspect);
	json_object_set_new(result, "store", o);
}

static void settings_put(json_t *result, const struct settings *s)
{
	json_t *admins = json_array();

	for (size_t i = 0; i < s->admin.n; i++)
		json_array_append_new(admins, json_stringn(s->admin.v[i].p, s->admin.v[i].n));
	admin_put_text(result, "host", s->host);
	json_object_set_new(result, "admin", admins);
}

static int status(struct admin_call *c, err *e)
{
	struct buf json = BUF_INIT(LIMIT_ADMIN_STATUS);
	int rc = c->session->ops->status(c->session->ctx, &json, e);
	json_t *roles = NULL;

	if (rc == 0) {
		if (!json.failed && admin_json_depth(buf_slice(&json), ADMIN_JSON_DEPTH))
			roles = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(roles))
			rc = err_set(e, ERR_IO, "the supervisor's answer cannot be read");
	}
	if (rc == 0) {
		json_object_update(c->result, roles);
		settings_put(c->result, c->session->ops->settings(c->session->ctx));
		stats_put(c->result, c->store);
	}
	json_decref(roles);
	buf_free(&json);
	return rc;
}

/* ---- the table ---- */

#define PARAMS(...) ((const struct admin_param[]){__VA_ARGS__, {0}})
#define TEXT(name)                                                                                           \
	{                                                                                                    \
		name, ADMIN_TEXT, true                                                                       \
	}
#define MAY(name)                                                                                            \
	{                                                                                                    \
		name, ADMIN_TEXT, false                                                                      \
	}
#define FLAG(name)                                                                                           \
	{                                                                                                    \
		name, ADMIN_BOOL, false                                                                      \
	}
#define COUNT(name)                                                                                          \
	{                                                                                                    \
		name, ADMIN_NUMBER, false                                                                    \
	}
#define TEXTS(name, required)                                                                                \
	{                                                                                                    \
		name, ADMIN_TEXTS, required                                                                  \
	}

#define CHANGE TEXTS("ids", false), FLAG("all"), MAY("domain"), MAY("sender"), MAY("after"), FLAG("dry_run")

#define ROUTE                                                                                                \
	MAY("domain"), MAY("sender"), MAY("sender_domain"), MAY("account"), MAY("tls"), MAY("user"),         \
		MAY("password"), MAY("mechanism"), FLAG("fallback"), FLAG("insecure"), FLAG("clear_ok"),     \
		MAY("source")

static const struct row {
	struct admin_method method;
	admin_handler *run;
} rows[] = {
	/* clang-format off */
	{{"version", true, false, (const struct admin_param[]){{0}}}, version},
	{{"status", false, false, (const struct admin_param[]){{0}}}, status},
	{{"domain.list", false, false, PARAMS(MAY("after"))}, admin_domain_list},
	{{"domain.show", false, false, PARAMS(TEXT("domain"))}, admin_domain_show},
	{{"domain.add", false, true, PARAMS(TEXT("domain"), TEXTS("catchall", false))}, admin_domain_add},
	{{"domain.set", false, true, PARAMS(TEXT("domain"), FLAG("enabled"), TEXTS("catchall", false))}, admin_domain_set},
	{{"domain.remove", false, true, PARAMS(TEXT("domain"), FLAG("dry_run"))}, admin_domain_remove},
	{{"account.list", false, false, PARAMS(MAY("domain"), COUNT("after"))}, admin_account_list},
	{{"account.show", false, false, PARAMS(TEXT("account"))}, admin_account_show},
	{{"account.add", false, true, PARAMS(TEXT("account"), TEXT("password"), MAY("name"), MAY("language"),
		COUNT("quota"), FLAG("enabled"), TEXTS("forward", false), FLAG("keep"), FLAG("weak"))}, admin_account_add},
	{{"account.set", false, true, PARAMS(TEXT("account"), MAY("password"), MAY("name"), MAY("language"),
		COUNT("quota"), FLAG("enabled"), TEXTS("forward", false), FLAG("keep"), FLAG("weak"))}, admin_account_set},
	{{"account.remove", false, true, PARAMS(TEXT("account"), FLAG("dry_run"))}, admin_account_remove},
	{{"alias.list", false, false, PARAMS(MAY("domain"), MAY("after"))}, admin_alias_list},
	{{"alias.show", false, false, PARAMS(TEXT("alias"))}, admin_alias_show},
	{{"alias.add", false, true, PARAMS(TEXT("alias"), TEXTS("targets", true), TEXTS("owners", false))}, admin_alias_add},
	{{"alias.set", false, true, PARAMS(TEXT("alias"), TEXTS("targets", false), TEXTS("owners", false))}, admin_alias_set},
	{{"alias.remove", false, true, PARAMS(TEXT("alias"), FLAG("dry_run"))}, admin_alias_remove},
	{{"mailbox.list", false, false, PARAMS(TEXT("account"), COUNT("after"))}, admin_mailbox_list},
	{{"mailbox.show", false, false, PARAMS(TEXT("account"), TEXT("mailbox"))}, admin_mailbox_show},
	{{"mailbox.add", false, true, PARAMS(TEXT("account"), TEXT("mailbox"), MAY("use"))}, admin_mailbox_add},
	{{"mailbox.set", false, true, PARAMS(TEXT("account"), TEXT("mailbox"), MAY("use"), MAY("rename"),
		FLAG("subscribed"))}, admin_mailbox_set},
	{{"mailbox.remove", false, true, PARAMS(TEXT("account"), TEXT("mailbox"), FLAG("dry_run"))}, admin_mailbox_remove},
	{{"mailbox.share", false, true, PARAMS(TEXT("account"), TEXT("mailbox"), TEXT("with"), MAY("rights"))}, admin_mailbox_share},
	{{"mailbox.unshare", false, true, PARAMS(TEXT("account"), TEXT("mailbox"), TEXT("with"))}, admin_mailbox_unshare},
	{{"mailbox.rights", false, false, PARAMS(TEXT("account"), TEXT("mailbox"))}, admin_mailbox_rights},
	{{"route.list", false, false, PARAMS(COUNT("after"))}, admin_route_list},
	{{"route.show", false, false, PARAMS(TEXT("route"))}, admin_route_show},
	{{"route.add", false, true, PARAMS(TEXT("host"), ROUTE)}, admin_route_add},
	{{"route.test", false, true, PARAMS(TEXT("route"), ROUTE)}, admin_route_test},
	{{"route.remove", false, true, PARAMS(TEXT("route"), FLAG("dry_run"))}, admin_route_remove},
	{{"queue.list", false, false, PARAMS(MAY("after"), COUNT("limit"), MAY("domain"), MAY("sender"), MAY("recipient"),
		MAY("state"))}, admin_queue_list},
	{{"queue.show", false, false, PARAMS(TEXT("id"))}, admin_queue_show},
	{{"queue.retry", false, true, PARAMS(CHANGE)}, admin_queue_retry},
	{{"queue.hold", false, true, PARAMS(CHANGE)}, admin_queue_hold},
	{{"queue.release", false, true, PARAMS(CHANGE)}, admin_queue_release},
	{{"queue.drop", false, true, PARAMS(CHANGE)}, admin_queue_drop},
	{{"queue.bounce", false, true, PARAMS(CHANGE, MAY("reason"))}, admin_queue_bounce},
	{{"queue.shape", false, false, PARAMS(COUNT("limit"))}, admin_queue_shape},
	{{"trace", false, false, PARAMS(TEXT("what"), COUNT("since"), COUNT("limit"))}, admin_trace},
	/* clang-format on */
};

const struct admin_method *admin_method_at(size_t i)
{
	return i < COUNT_OF(rows) ? &rows[i].method : NULL;
}

static const char *method_word(const void *arg, size_t i)
{
	(void)arg;
	return i < COUNT_OF(rows) ? rows[i].method.name : NULL;
}

static const char *param_word(const void *arg, size_t i)
{
	return ((const struct admin_param *)arg)[i].name; /* the list ends with a NULL name */
}

/* ---- parameters and results ---- */

slice admin_param_text(const struct admin_call *c, const char *name)
{
	const json_t *v = json_object_get(c->params, name);

	return v ? (slice){json_string_value(v), json_string_length(v)} : (slice){0};
}

bool admin_param_has(const struct admin_call *c, const char *name)
{
	return json_object_get(c->params, name) != NULL;
}

bool admin_param_bool(const struct admin_call *c, const char *name, bool otherwise)
{
	const json_t *v = json_object_get(c->params, name);

	return v ? json_is_true(v) : otherwise;
}

uint64_t admin_param_number(const struct admin_call *c, const char *name, uint64_t otherwise)
{
	const json_t *v = json_object_get(c->params, name);

	return v ? (uint64_t)json_integer_value(v) : otherwise;
}

struct slices admin_param_texts(const struct admin_call *c, const char *name)
{
	const json_t *list = json_object_get(c->params, name);
	size_t n = json_array_size(list);
	slice *v = arena_new_n(c->arena, slice, n + 1);

	for (size_t i = 0; v && i < n; i++) {
		const json_t *one = json_array_get(list, i);
		v[i] = (slice){json_string_value(one), json_string_length(one)};
	}
	return (struct slices){v, v ? n : 0};
}

void admin_put_text(json_t *object, const char *name, slice text)
{
	json_object_set_new(object, name, json_stringn(text.n ? text.p : "", text.n));
}

void admin_put_number(json_t *object, const char *name, uint64_t n)
{
	json_object_set_new(object, name, json_integer((json_int_t)n));
}

void admin_put_bool(json_t *object, const char *name, bool b)
{
	json_object_set_new(object, name, json_boolean(b));
}

void admin_put_time(json_t *object, const char *name, int64_t us)
{
	struct mail_civil t = mail_civil_from_unix(us / 1000000);
	char text[40];
	int n = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", t.year, t.month, t.day, t.hour,
		t.min, t.sec);

	admin_put_text(object, name, slice_make(text, n > 0 ? (size_t)n : 0));
}

int admin_address_split(slice address, slice *ret_local, slice *ret_domain, err *e)
{
	ptrdiff_t at = slice_rfind_c(address, '@');

	if (at <= 0 || (size_t)at + 1 == address.n)
		return err_set(e, ERR_SYNTAX,
			"\"%" SLICE_FMT "\" is not an address; write it like alice@example.com",
			SLICE_ARG(address));
	*ret_local = slice_sub(address, 0, (size_t)at);
	*ret_domain = slice_skip(address, (size_t)at + 1);
	return 0;
}

/* ---- one call ---- */

static const struct row *row_find(slice name)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (slice_eq(slice_of(rows[i].method.name), name))
			return &rows[i];
	}
	return NULL;
}

static bool texts_fit(const json_t *v)
{
	for (size_t i = 0; i < json_array_size(v); i++) {
		if (!json_is_string(json_array_get(v, i)))
			return false;
	}
	return json_is_array(v) && json_array_size(v) <= LIMIT_ADMIN_TEXTS;
}

static bool type_fits(const struct admin_param *p, const json_t *v)
{
	switch (p->type) {
	case ADMIN_TEXT:
		return json_is_string(v) && json_string_length(v) <= LIMIT_ADMIN_TEXT &&
		       !memchr(json_string_value(v), 0, json_string_length(v));
	case ADMIN_BOOL:
		return json_is_boolean(v);
	case ADMIN_NUMBER:
		return json_is_integer(v) && json_integer_value(v) >= 0;
	case ADMIN_TEXTS:
		return texts_fit(v);
	}
	return false;
}

static int params_check(const struct admin_method *m, json_t *params, err *e)
{
	static const char *const types[] = {"a text", "true or false", "a whole number", "a list of texts"};
	const char *name;
	json_t *value;

	json_object_foreach(params, name, value)
	{
		const struct admin_param *p = m->params;
		while (p->name && strcmp(p->name, name) != 0)
			p++;
		if (!p->name) {
			const char *near = nearest_find(slice_of(name), param_word, m->params);
			return err_set(e, ERR_SYNTAX, "%s has no parameter \"%.60s\"%s%s%s", m->name, name,
				near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
		}
		if (!type_fits(p, value))
			return err_set(
				e, ERR_SYNTAX, "\"%s\" must be %s of allowed length", name, types[p->type]);
	}
	for (const struct admin_param *p = m->params; p->name; p++) {
		if (p->required && !json_object_get(params, p->name))
			return err_set(e, ERR_SYNTAX, "%s needs the parameter \"%s\"", m->name, p->name);
	}
	return 0;
}

static int row_run(struct admin_session *s, const struct row *row, json_t *params, json_t *result, err *e)
{
	struct admin_call c = {.session = s, .store = s->store, .params = params, .result = result};

	if (!s->allowed && !row->method.for_all)
		return err_set(e, ERR_DENIED,
			"user %u may not do this; become root or the owner of the data folder, or join the "
			"control group",
			s->uid);
	if (params_check(&row->method, params, e) < 0)
		return -1;
	c.arena = arena_new(LIMIT_ADMIN_ARENA);
	if (!c.arena)
		return err_set(e, ERR_TEMP, "out of memory");
	arena_secret(c.arena);
	int rc = row->run(&c, e);
	arena_free(c.arena);
	if (row->method.changes)
		s->ops->audit(s->ctx, row->method.name,
			row->method.params->name ? admin_param_text(&c, row->method.params->name)
						 : (slice){0},
			s->uid, rc < 0 ? e->kind : ERR_NONE);
	return rc;
}

static int dump_into(const char *p, size_t n, void *out)
{
	buf_add(out, slice_make(p, n));
	return ((struct buf *)out)->failed ? -1 : 0;
}

static void error_answer(const err *e, struct buf *out)
{
	json_t *o = json_pack("{s:{s:s, s:s}}", "error", "code", err_kind_name(e->kind), "message", e->text);

	if (!o || json_dump_callback(o, dump_into, out, JSON_COMPACT) < 0)
		buf_addz(out, "{\"error\":{\"code\":\"io\",\"message\":\"out of memory\"}}");
	json_decref(o);
}

static void answer(json_t *result, int rc, err *e, struct buf *out)
{
	size_t from = out->n;
	json_t *o = NULL;

	if (rc == 0) {
		o = json_pack("{s:O}", "result", result);
		if (!o || json_dump_callback(o, dump_into, out, JSON_COMPACT) < 0)
			rc = err_set(e, ERR_LIMIT, "the answer is too long");
	}
	if (rc < 0) {
		out->failed = false;
		buf_truncate(out, from);
		error_answer(e, out);
	}
	json_decref(o);
}

static int method_run(struct admin_session *s, slice method, json_t *params, json_t *result, err *e)
{
	const struct row *row = row_find(method);

	if (!result || !params)
		return err_set(e, ERR_TEMP, "out of memory");
	if (!row) {
		const char *near = nearest_find(method, method_word, NULL);
		return err_set(e, ERR_MISSING, "there is no method \"%.*s\"%s%s%s",
			(int)(method.n < 60 ? method.n : 60), method.n ? method.p : "",
			near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	}
	return row_run(s, row, params, result, e);
}

/* 0 and an object with one more reference, or -1. */
static int object_load(slice text, json_t **ret, err *e)
{
	json_error_t why;

	if (!admin_json_depth(text, ADMIN_JSON_DEPTH))
		return err_set(e, ERR_LIMIT, "nested more than %d deep", ADMIN_JSON_DEPTH);
	*ret = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);
	if (!*ret)
		return err_set(e, ERR_SYNTAX, "this is not JSON: %s", why.text);
	if (json_is_object(*ret))
		return 0;
	json_decref(*ret);
	*ret = NULL;
	return err_set(e, ERR_SYNTAX, "a JSON object is needed");
}

/* Secrets do not stay in freed memory: jansson copies them, so its strings are wiped before they go. */
static void params_wipe(json_t *params)
{
	json_t *password = json_object_get(params, "password");

	if (json_is_string(password))
		explicit_bzero((char *)(uintptr_t)json_string_value(password), json_string_length(password));
}

void admin_call(struct admin_session *s, slice method, slice params, struct buf *out)
{
	err e = {0};
	json_t *object = NULL, *result = json_object();
	int rc = 0;

	if (params.n)
		rc = object_load(params, &object, &e);
	else
		object = json_object();
	if (rc == 0)
		rc = method_run(s, method, object, result, &e);
	answer(result, rc, &e, out);
	params_wipe(object);
	json_decref(object);
	json_decref(result);
}

void admin_request(struct admin_session *s, slice text, struct buf *out)
{
	err e = {0};
	json_t *request = NULL, *params = NULL, *result = json_object();
	int rc = object_load(text, &request, &e);
	const json_t *method = json_object_get(request, "method"),
		     *given = json_object_get(request, "params");

	if (rc == 0 && (!json_is_string(method) || (given && !json_is_object(given))))
		rc = err_set(&e, ERR_SYNTAX, "a request is {\"method\": \"...\", \"params\": {...}}");
	if (rc == 0) {
		params = given ? json_incref((json_t *)(uintptr_t)given) : json_object();
		rc = method_run(s, (slice){json_string_value(method), json_string_length(method)}, params,
			result, &e);
	}
	answer(result, rc, &e, out);
	params_wipe(params);
	json_decref(params);
	json_decref(request);
	json_decref(result);
}

void admin_prepare(void)
{
	json_object_seed((size_t)random_u64() | 1);
}

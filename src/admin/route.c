/* route.* */
#include "queue/route.h"
#include "admin/call.h"
#include "limits.h"

static const slice tls_words[] = {
	SLICE_INIT("none"), SLICE_INIT("may"), SLICE_INIT("starttls"), SLICE_INIT("implicit")};
static const slice mechanism_words[] = {
	SLICE_INIT("any"), SLICE_INIT("plain"), SLICE_INIT("login"), SLICE_INIT("scram-sha-256")};

/* What a route may be for: its parameter, and how it is said; in the order of enum route_match. */
static const struct {
	const char *param, *match, *said;
} fors[] = {
	{"domain", "domain", "to "},
	{"sender", "sender", "from "},
	{"account", "account", "account "},
	{"sender_domain", "sender_domain", "from "},
	{NULL, "default", "all"},
};

/* ---- what is answered ---- */

static slice where_to(struct arena *a, const struct route *r)
{
	bool six = slice_find_c(r->host, ':') >= 0;

	if (r->flags & ROUTE_DIRECT)
		return S("direct");
	return arena_fmt(a, "%s%.*s%s:%u", six ? "[" : "", SLICE_ARG(r->host), six ? "]" : "", r->port);
}

static void route_put(struct arena *a, const struct route *r, json_t *to)
{
	bool smart = !(r->flags & ROUTE_DIRECT);

	admin_put_number(to, "id", r->id);
	admin_put_text(to, "for", arena_fmt(a, "%s%" SLICE_FMT, fors[r->match].said, SLICE_ARG(r->value)));
	admin_put_text(to, "to", where_to(a, r));
	admin_put_text(to, "match", slice_of(fors[r->match].match));
	admin_put_text(to, "value", r->value);
	if (smart) {
		admin_put_text(to, "host", r->host);
		admin_put_number(to, "port", r->port);
		admin_put_text(to, "tls", tls_words[r->tls]);
		admin_put_bool(to, "fallback", r->flags & ROUTE_FALLBACK);
		admin_put_bool(to, "insecure", r->flags & ROUTE_UNVERIFIED);
	}
	if (r->user.n) {
		admin_put_text(to, "user", r->user);
		admin_put_text(to, "mechanism", mechanism_words[r->mechanism]);
		admin_put_bool(to, "clear_ok", r->flags & ROUTE_CLEAR_OK);
	}
	if (r->source.n)
		admin_put_text(to, "source", r->source);
	if (r->created_us)
		admin_put_time(to, "created", r->created_us);
}

/* NULL: err. */
static struct routes *load(struct admin_call *c, err *e)
{
	struct store_snap snap;
	struct routes *all;

	if (store_snap_begin(c->store, &snap, e) < 0)
		return NULL;
	all = routes_load(&snap, e);
	store_snap_end(&snap);
	return all;
}

static const struct route *find(const struct routes *all, slice word, err *e)
{
	uint32_t id = 0;
	const struct route *r = slice_to_u32(word, UINT32_MAX, &id) ? routes_by_id(all, id) : NULL;

	if (!r)
		(void)err_set(e, ERR_MISSING,
			"there is no route \"%" SLICE_FMT "\"; see: posthouse route list", SLICE_ARG(word));
	return r;
}

int admin_route_list(struct admin_call *c, err *e)
{
	struct routes *all = load(c, e);
	size_t from = (size_t)admin_param_number(c, "after", 0);
	json_t *list = json_array();
	const struct route *r;

	if (!all) {
		json_decref(list);
		return -1;
	}
	for (size_t i = from; i - from < ADMIN_PAGE && (r = routes_at(all, i)); i++) {
		json_t *one = json_object();
		route_put(c->arena, r, one);
		json_array_append_new(list, one);
	}
	if (routes_at(all, from + ADMIN_PAGE))
		admin_put_number(c->result, "next", from + ADMIN_PAGE);
	json_object_set_new(c->result, "routes", list);
	routes_free(all);
	return 0;
}

int admin_route_show(struct admin_call *c, err *e)
{
	struct routes *all = load(c, e);
	const struct route *r = all ? find(all, admin_param_text(c, "route"), e) : NULL;

	if (r)
		route_put(c->arena, r, c->result);
	routes_free(all);
	return r ? 0 : -1;
}

/* ---- what is asked ---- */

static int word_find(const slice *words, size_t n, slice word, const char *what, uint32_t *ret, err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_ieq(words[i], word)) {
			*ret = (uint32_t)i;
			return 0;
		}
	}
	return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is no %s; it is one of%s", SLICE_ARG(word), what,
		words == tls_words ? ": none, may, starttls, implicit"
				   : ": any, plain, login, scram-sha-256");
}

/* "relay.example.com:587", "[2001:db8::1]:587", either without a port, or "direct". */
static int host_take(slice text, struct route *r, bool *ret_port, err *e)
{
	ptrdiff_t colon = slice_rfind_c(text, ':');
	bool bracket = slice_starts(text, S("[")), one = colon >= 0 && slice_find_c(text, ':') == colon;
	uint32_t port = 0;

	*ret_port = false;
	if (slice_ieq(text, S("direct"))) {
		r->flags |= ROUTE_DIRECT;
		return 0;
	}
	r->host = text;
	if (!(bracket ? colon > slice_rfind_c(text, ']') : one))
		return 0;
	if (!slice_to_u32(slice_skip(text, (size_t)colon + 1), 65535, &port) || port == 0)
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is not a port: a number from 1 to 65535",
			SLICE_ARG(slice_skip(text, (size_t)colon + 1)));
	r->host = slice_sub(text, 0, (size_t)colon);
	r->port = (uint16_t)port;
	*ret_port = true;
	return 0;
}

static int account_take(struct admin_call *c, struct route *r, err *e)
{
	struct store_snap snap;
	struct account_row row;
	slice login = r->value;

	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = account_by_login(&snap, login, &row, e);
	if (rc == 1) {
		r->account = row.id;
		rc = account_address(&snap, row.id, c->arena, &r->value, e);
	}
	store_snap_end(&snap);
	if (rc == 0)
		return err_set(e, ERR_MISSING, "there is no account \"%" SLICE_FMT "\"", SLICE_ARG(login));
	return rc < 0 ? -1 : 0;
}

static int for_take(struct admin_call *c, struct route *r, err *e)
{
	r->match = ROUTE_DEFAULT;
	for (size_t i = 0; i < COUNT_OF(fors); i++) {
		if (!fors[i].param || !admin_param_has(c, fors[i].param))
			continue;
		if (r->match != ROUTE_DEFAULT)
			return err_set(e, ERR_SYNTAX,
				"a route is for one thing: a domain, a sender, a "
				"sender's domain or an account");
		r->match = (enum route_match)i;
		r->value = admin_param_text(c, fors[i].param);
	}
	return r->match == ROUTE_ACCOUNT ? account_take(c, r, e) : 0;
}

static void flag_take(const struct admin_call *c, const char *name, enum route_flag flag, struct route *r)
{
	if (admin_param_bool(c, name, false))
		r->flags = (uint8_t)(r->flags | flag);
}

/* With a log-in never without TLS unless it is asked for; port 465 speaks TLS from the first byte (RFC
 * 8314 3.3). */
static int tls_take(const struct admin_call *c, bool has_port, struct route *r, err *e)
{
	uint32_t tls = r->user.n ? ROUTE_TLS_STARTTLS : ROUTE_TLS_MAY;

	if (r->flags & ROUTE_DIRECT)
		return admin_param_has(c, "tls")
			       ? err_set(e, ERR_SYNTAX, "a direct route has no smart host to speak TLS with")
			       : 0;
	if (has_port && r->port == 465)
		tls = ROUTE_TLS_IMPLICIT;
	if (admin_param_has(c, "tls") && word_find(tls_words, COUNT_OF(tls_words), admin_param_text(c, "tls"),
						 "way to use TLS", &tls, e) < 0)
		return -1;
	r->tls = (enum route_tls)tls;
	if (!has_port)
		r->port = tls == ROUTE_TLS_IMPLICIT ? 465 : r->user.n ? 587 : 25;
	return 0;
}

/* The route that the parameters describe, canonical. */
static int route_take(struct admin_call *c, slice host, struct route *ret, err *e)
{
	struct route r = {.user = admin_param_text(c, "user"), .source = admin_param_text(c, "source")};
	uint32_t mechanism = ROUTE_MECH_ANY;
	bool has_port;

	if (host_take(host, &r, &has_port, e) < 0 || for_take(c, &r, e) < 0)
		return -1;
	flag_take(c, "fallback", ROUTE_FALLBACK, &r);
	flag_take(c, "insecure", ROUTE_UNVERIFIED, &r);
	flag_take(c, "clear_ok", ROUTE_CLEAR_OK, &r);
	if (tls_take(c, has_port, &r, e) < 0)
		return -1;
	if (admin_param_has(c, "mechanism") &&
		word_find(mechanism_words, COUNT_OF(mechanism_words), admin_param_text(c, "mechanism"),
			"way to log in", &mechanism, e) < 0)
		return -1;
	r.mechanism = (enum route_mechanism)mechanism;
	slice secret = admin_param_text(c, "password");
	if (r.user.n == 0 && admin_param_has(c, "password"))
		return err_set(e, ERR_SYNTAX, "a password says nothing without a user name");
	if (r.user.n && (secret.n == 0 || secret.n > LIMIT_PASSWORD))
		return err_set(
			e, ERR_SYNTAX, "the user name needs its password, of 1 to %d bytes", LIMIT_PASSWORD);
	return route_canonical(c->arena, &r, ret, e);
}

/* ---- changes ---- */

/* An id, and under it the secret that a log-in needs. */
static int id_and_secret(struct admin_call *c, struct route *r, err *e)
{
	const struct admin_session *s = c->session;

	if (route_id_new(c->store, &r->id, e) < 0)
		return -1;
	return r->user.n ? s->ops->relay_secret_set(s->ctx, r->id, admin_param_text(c, "password"), e) : 0;
}

/* What goes wrong here is no harm: nothing uses the secret of an id that is given out once. */
static void secret_forget(const struct admin_call *c, const struct route *r)
{
	const struct admin_session *s = c->session;
	err ignored;

	if (r->user.n)
		(void)s->ops->relay_secret_remove(s->ctx, r->id, &ignored);
}

/* The secret first: a route without one would have its mail refused. */
int admin_route_add(struct admin_call *c, err *e)
{
	const struct admin_session *s = c->session;
	struct route r;

	if (route_take(c, admin_param_text(c, "host"), &r, e) < 0 || id_and_secret(c, &r, e) < 0)
		return -1;
	if (route_add(c->store, &r, e) < 0) {
		secret_forget(c, &r);
		return -1;
	}
	s->ops->routes_changed(s->ctx);
	route_put(c->arena, &r, c->result);
	return 0;
}

int admin_route_remove(struct admin_call *c, err *e)
{
	const struct admin_session *s = c->session;
	uint32_t id = 0;

	if (admin_route_show(c, e) < 0)
		return -1;
	if (admin_param_bool(c, "dry_run", false))
		return 0;
	(void)slice_to_u32(admin_param_text(c, "route"), UINT32_MAX, &id); /* it was found by it */
	if (route_remove(c->store, id, e) < 0)
		return -1;
	s->ops->routes_changed(s->ctx);
	if (!json_object_get(c->result, "user") || s->ops->relay_secret_remove(s->ctx, id, e) == 0)
		return 0;
	char why[sizeof e->text];
	memcpy(why, e->text, sizeof why);
	return err_set(e, e->kind, "the route is gone, but its password is still kept: %.120s", why);
}

/* ---- trying it ---- */

static int ask(struct admin_call *c, const struct route *r, err *e)
{
	const struct admin_session *s = c->session;
	struct admin_dialogue t = {.lines = BUF_INIT(LIMIT_ADMIN_DIALOGUE), .text = BUF_INIT(1024)};

	if (r->flags & ROUTE_DIRECT && r->match != ROUTE_RECIPIENT_DOMAIN)
		return err_set(
			e, ERR_SYNTAX, "a direct route can be tried when it is for one recipient domain");
	int rc = s->ops->route_test(s->ctx, r, &t, e);
	if (rc == 0) {
		admin_put_bool(c->result, "good", t.good);
		admin_put_text(c->result, "text", buf_slice(&t.text));
		admin_put_text(c->result, "dialogue", buf_slice(&t.lines));
	}
	buf_free(&t.lines);
	buf_free(&t.text);
	return rc;
}

/* One that is not added yet: its secret is kept for the length of the test. */
static int ask_new(struct admin_call *c, slice host, err *e)
{
	struct route r;

	if (route_take(c, host, &r, e) < 0 || (r.user.n && id_and_secret(c, &r, e) < 0))
		return -1;
	int rc = ask(c, &r, e);
	secret_forget(c, &r);
	return rc;
}

int admin_route_test(struct admin_call *c, err *e)
{
	slice word = admin_param_text(c, "route");
	uint32_t id;

	if (!slice_to_u32(word, UINT32_MAX, &id))
		return ask_new(c, word, e);
	if (json_object_size(c->params) > 1)
		return err_set(e, ERR_SYNTAX, "a route that is there is tried as it is, without options");
	struct routes *all = load(c, e);
	const struct route *r = all ? find(all, word, e) : NULL;
	int rc = r ? ask(c, r, e) : -1;
	routes_free(all);
	return rc;
}

#include "queue/route.h"
#include "base/wire.h"
#include "limits.h"
#include "mail/address.h"

#include <arpa/inet.h>

#define VERSION 1
#define KEY_MAX 6
#define ADDRESS 320 /* local part, "@" and domain */

static slice row_key(char out[KEY_MAX], uint32_t id)
{
	memcpy(out, "Q\x07", 2);
	be32_put(out + 2, id);
	return slice_make(out, KEY_MAX);
}

/* ---- rows ---- */

void route_encode(struct buf *out, const struct route *r)
{
	wire_put_u8(out, VERSION);
	wire_put_u8(out, (uint8_t)r->match);
	wire_put_u8(out, r->flags);
	wire_put_u8(out, (uint8_t)r->tls);
	wire_put_u8(out, (uint8_t)r->mechanism);
	wire_put_u16(out, r->port);
	wire_put_u32(out, r->account);
	wire_put_u64(out, (uint64_t)r->created_us);
	wire_put_bytes(out, r->value);
	wire_put_bytes(out, r->host);
	wire_put_bytes(out, r->user);
	wire_put_bytes(out, r->source);
}

int route_decode(slice in, uint32_t id, struct route *ret, err *e)
{
	struct rd rd = rd_of(in);
	uint8_t version = rd_u8(&rd), match = rd_u8(&rd), flags = rd_u8(&rd), tls = rd_u8(&rd),
		mechanism = rd_u8(&rd);
	struct route r = {.id = id, .flags = flags};

	r.port = rd_u16(&rd);
	r.account = rd_u32(&rd);
	r.created_us = (int64_t)rd_u64(&rd);
	r.value = rd_bytes(&rd, ADDRESS);
	r.host = rd_bytes(&rd, LIMIT_MAIL_DOMAIN);
	r.user = rd_bytes(&rd, ADDRESS);
	r.source = rd_bytes(&rd, INET6_ADDRSTRLEN);
	if (!rd_done(&rd) || version != VERSION || match > ROUTE_DEFAULT || tls > ROUTE_TLS_IMPLICIT ||
		mechanism > ROUTE_MECH_SCRAM_SHA_256)
		return err_set(e, ERR_CORRUPT, "the row of route %u is damaged", id);
	r.match = (enum route_match)match;
	r.tls = (enum route_tls)tls;
	r.mechanism = (enum route_mechanism)mechanism;
	*ret = r;
	return 0;
}

/* ---- what a person asked for ---- */

/* An address of version 4 or 6, without brackets; what it is in its one form. */
static bool ip_canonical(struct arena *a, slice in, slice *ret)
{
	char text[INET6_ADDRSTRLEN + 1] = {0}, out[INET6_ADDRSTRLEN];
	uint8_t bytes[16];

	if (in.n == 0 || in.n >= sizeof text || memchr(in.p, 0, in.n))
		return false;
	memcpy(text, in.p, in.n);
	for (int k = 0; k < 2; k++) {
		int family = k ? AF_INET6 : AF_INET;
		if (inet_pton(family, text, bytes) == 1 && inet_ntop(family, bytes, out, sizeof out)) {
			*ret = arena_copy(a, slice_of(out));
			return ret->p != NULL;
		}
	}
	return false;
}

static int domain_of(struct arena *a, slice in, slice *ret, err *e)
{
	slice name = slice_ends(in, S(".")) ? slice_sub(in, 0, in.n - 1) : in; /* as in a zone file */

	if (mail_domain_parse(name, true) != MAIL_DOMAIN_NAME || mail_domain_canonical(a, name, ret, e) < 0)
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is not a domain", SLICE_ARG(in));
	return 0;
}

static int domain_value(struct arena *a, slice in, slice *ret, err *e)
{
	slice name;
	bool below = slice_starts(in, S("."));

	if (domain_of(a, below ? slice_skip(in, 1) : in, &name, e) < 0)
		return -1;
	*ret = below ? arena_fmt(a, ".%" SLICE_FMT, SLICE_ARG(name)) : name;
	return ret->p ? 0 : err_set(e, ERR_TEMP, "out of memory");
}

static int address_value(struct arena *a, slice in, slice *ret, err *e)
{
	struct mail_path path;
	slice local, domain;

	if (mail_path_parse(in, MAIL_PATH_UTF8 | MAIL_PATH_BARE, &path, NULL, e) < 0 ||
		path.kind != MAIL_PATH_IS_MAILBOX || path.domain_kind != MAIL_DOMAIN_NAME)
		return err_set(e, ERR_SYNTAX,
			"\"%" SLICE_FMT "\" is not an address; write it like alice@example.com",
			SLICE_ARG(in));
	local = mail_path_local(a, &path);
	if (!local.p || mail_local_canonical(a, local, &local, e) < 0 ||
		mail_domain_canonical(a, path.domain, &domain, e) < 0)
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is not an address", SLICE_ARG(in));
	*ret = arena_fmt(a, "%" SLICE_FMT "@%" SLICE_FMT, SLICE_ARG(local), SLICE_ARG(domain));
	return ret->p ? 0 : err_set(e, ERR_TEMP, "out of memory");
}

static int match_canonical(struct arena *a, struct route *r, err *e)
{
	switch (r->match) {
	case ROUTE_RECIPIENT_DOMAIN:
	case ROUTE_SENDER_DOMAIN:
		return domain_value(a, r->value, &r->value, e);
	case ROUTE_SENDER:
		return address_value(a, r->value, &r->value, e);
	case ROUTE_ACCOUNT:
		if (!r->account || r->value.n > ADDRESS)
			return err_set(e, ERR_SYNTAX, "a route for an account needs the account");
		return 0;
	case ROUTE_DEFAULT:
		r->value = (slice){0};
		return 0;
	}
	return err_set(e, ERR_SYNTAX, "a route cannot be for that");
}

/* The last label of a host's name is never a number (RFC 1123 2.1): such a one is a mistyped address. */
static bool is_numeric(slice host)
{
	slice last = slice_skip(host, (size_t)(slice_rfind_c(host, '.') + 1));
	uint64_t n;

	return slice_to_u64(last, UINT64_MAX, &n);
}

static int host_canonical(struct arena *a, struct route *r, err *e)
{
	slice host = r->host;

	if (host.n == 0)
		return err_set(e, ERR_SYNTAX,
			"a route needs the name or the address of a smart host, or the word direct");
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = slice_sub(host, 1, host.n - 2);
	bool ip = ip_canonical(a, host, &r->host);
	if (!ip && (host.n != r->host.n || domain_of(a, host, &host, NULL) < 0 || is_numeric(host)))
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is neither a host's name nor an address",
			SLICE_ARG(r->host));
	if (!ip)
		r->host = host;
	return r->port ? 0 : err_set(e, ERR_SYNTAX, "a port is a number from 1 to 65535");
}

static bool is_text(slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
			return false;
	}
	return true;
}

static int login_check(const struct route *r, err *e)
{
	if (r->user.n > ADDRESS || !is_text(r->user))
		return err_set(
			e, ERR_SYNTAX, "a user name has at most %d bytes, none of them a control", ADDRESS);
	if (r->user.n == 0 && (r->mechanism || r->flags & ROUTE_CLEAR_OK))
		return err_set(e, ERR_SYNTAX, "how to log in says nothing without a user name");
	if (r->user.n && r->tls == ROUTE_TLS_NONE && !(r->flags & ROUTE_CLEAR_OK))
		return err_set(e, ERR_SYNTAX,
			"without TLS everybody on the way can read the password; ask for TLS, or say "
			"clear-ok "
			"for a host on your own net");
	return 0;
}

static int direct_check(const struct route *r, err *e)
{
	if (r->host.n || r->port || r->user.n || r->mechanism || (r->flags & ~ROUTE_DIRECT))
		return err_set(e, ERR_SYNTAX,
			"a direct route has no smart host: no port, user, fallback or certificate");
	return 0;
}

int route_canonical(struct arena *a, const struct route *in, struct route *ret, err *e)
{
	struct route r = *in;

	if (match_canonical(a, &r, e) < 0)
		return -1;
	if (r.flags & ROUTE_DIRECT ? direct_check(&r, e) < 0
				   : host_canonical(a, &r, e) < 0 || login_check(&r, e) < 0)
		return -1;
	if (r.source.n && !ip_canonical(a, in->source, &r.source))
		return err_set(e, ERR_SYNTAX,
			"the source \"%" SLICE_FMT
			"\" is not an IP address; write it like 192.0.2.1 or 2001:db8::1",
			SLICE_ARG(in->source));
	*ret = r;
	return 0;
}

/* ---- all of them ---- */

struct routes {
	struct arena *arena;
	struct route *v; /* in the order in which they are tried */
	size_t n;
};

static bool below_of(slice value)
{
	return slice_starts(value, S("."));
}

/* Matches in their order; whole names before those of everything below, the longer of these first; oldest
 * first. */
static int order(const void *pa, const void *pb)
{
	const struct route *a = pa, *b = pb;

	if (a->match != b->match)
		return a->match < b->match ? -1 : 1;
	if (below_of(a->value) != below_of(b->value))
		return below_of(a->value) ? 1 : -1;
	if (below_of(a->value) && a->value.n != b->value.n)
		return a->value.n > b->value.n ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

/* Calls see for each row, until it returns something other than 0. */
static int each(
	struct store_scan *sc, int (*see)(void *arg, const struct route *r, err *e), void *arg, err *e)
{
	slice key, value;
	int rc = 0, more = store_scan_seek(sc, S("Q\x07"), &key, &value, e);

	for (; more == 1 && rc == 0; more = store_scan_next(sc, &key, &value, e)) {
		struct route r;
		if (key.n != KEY_MAX) /* the last id */
			continue;
		if (route_decode(value, be32_get(key.p + 2), &r, e) < 0)
			return -1;
		rc = see(arg, &r, e);
	}
	return more < 0 ? -1 : rc;
}

static bool copy(struct arena *a, slice *s)
{
	*s = arena_copy(a, *s);
	return s->p != NULL;
}

static int collect(void *arg, const struct route *r, err *e)
{
	struct routes *all = arg;
	struct route *one = &all->v[all->n];

	if (all->n == LIMIT_ROUTES)
		return err_set(e, ERR_LIMIT, "there are more than %d routes", LIMIT_ROUTES);
	*one = *r;
	if (!copy(all->arena, &one->value) || !copy(all->arena, &one->host) ||
		!copy(all->arena, &one->user) || !copy(all->arena, &one->source))
		return err_set(e, ERR_TEMP, "out of memory");
	all->n++;
	return 0;
}

struct routes *routes_load(struct store_snap *snap, err *e)
{
	struct routes *r = calloc(1, sizeof *r);
	struct store_scan sc;
	int rc = -1;

	if (r) {
		r->arena = arena_new((size_t)LIMIT_ROUTES * (ROUTE_ENCODED_MAX + sizeof(struct route)));
		r->v = r->arena ? arena_new_n(r->arena, struct route, LIMIT_ROUTES) : NULL;
	}
	if (!r || !r->v) {
		routes_free(r);
		err_set(e, ERR_TEMP, "out of memory");
		return NULL;
	}
	if (store_scan_open(snap, S("Q\x07"), &sc, e) == 0) {
		rc = each(&sc, collect, r, e);
		store_scan_close(&sc);
	}
	if (rc < 0) {
		routes_free(r);
		return NULL;
	}
	qsort(r->v, r->n, sizeof *r->v, order);
	return r;
}

void routes_free(struct routes *r)
{
	if (r)
		arena_free(r->arena);
	free(r);
}

const struct route *routes_at(const struct routes *r, size_t i)
{
	return i < r->n ? &r->v[i] : NULL;
}

const struct route *routes_by_id(const struct routes *r, uint32_t id)
{
	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].id == id)
			return &r->v[i];
	}
	return NULL;
}

static bool domain_matches(slice value, slice domain)
{
	if (below_of(value) && (slice_ends(domain, value)))
		return true;
	return slice_eq(below_of(value) ? slice_skip(value, 1) : value, domain);
}

static bool holds_for(const struct route *r, slice recipient_domain, slice sender, uint32_t account)
{
	ptrdiff_t at = slice_rfind_c(sender, '@');

	switch (r->match) {
	case ROUTE_RECIPIENT_DOMAIN:
		return domain_matches(r->value, recipient_domain);
	case ROUTE_SENDER:
		return sender.n && slice_eq(r->value, sender);
	case ROUTE_ACCOUNT:
		return sender.n && account && r->account == account;
	case ROUTE_SENDER_DOMAIN:
		return at >= 0 && domain_matches(r->value, slice_skip(sender, (size_t)at + 1));
	case ROUTE_DEFAULT:
		break;
	}
	return true;
}

const struct route *routes_pick(
	const struct routes *r, slice recipient_domain, slice sender, uint32_t account)
{
	for (size_t i = 0; i < r->n; i++) {
		if (holds_for(&r->v[i], recipient_domain, sender, account))
			return &r->v[i];
	}
	return NULL;
}

/* ---- changes ---- */

static int tx_last_id(struct store_tx *tx, uint32_t *ret, err *e)
{
	slice value;
	int rc = store_tx_get(tx, S("Q\x07"), &value, e);

	if (rc == 1 && value.n != 4)
		return err_set(e, ERR_CORRUPT, "the row of the last route's id is damaged");
	*ret = rc == 1 ? be32_get(value.p) : 0;
	return rc < 0 ? -1 : 0;
}

static int id_intent(struct store_tx *tx, void *arg, err *e)
{
	uint32_t last, *id = arg;
	char value[4];

	if (tx_last_id(tx, &last, e) < 0)
		return -1;
	if (last == UINT32_MAX)
		return err_set(e, ERR_LIMIT, "the ids of routes are used up");
	*id = last + 1;
	be32_put(value, *id);
	return store_tx_put(tx, S("Q\x07"), slice_make(value, sizeof value), e);
}

int route_id_new(struct store *s, uint32_t *ret_id, err *e)
{
	uint32_t id;

	if (store_commit(s, id_intent, &id, e) < 0)
		return -1;
	*ret_id = id;
	return 0;
}

struct adding {
	struct route route;
	size_t there;
};

static int compare(void *arg, const struct route *r, err *e)
{
	struct adding *a = arg;
	bool same = r->match == a->route.match &&
		    (r->match == ROUTE_ACCOUNT ? r->account == a->route.account
					       : slice_eq(r->value, a->route.value));

	if (same)
		return err_set(e, ERR_EXISTS,
			"route %u is for the same already; remove it first with: posthouse route remove %u",
			r->id, r->id);
	if (r->id == a->route.id)
		return err_set(e, ERR_EXISTS, "there is a route %u already", r->id);
	if (++a->there == LIMIT_ROUTES)
		return err_set(
			e, ERR_LIMIT, "there are %d routes already, the most there may be", LIMIT_ROUTES);
	return 0;
}

static int add_intent(struct store_tx *tx, void *arg, err *e)
{
	struct adding *a = arg;
	struct buf value = BUF_INIT(ROUTE_ENCODED_MAX);
	struct store_scan sc;
	char kb[KEY_MAX];

	a->there = 0;
	if (store_tx_scan(tx, S("Q\x07"), &sc, e) < 0)
		return -1;
	int rc = each(&sc, compare, a, e);
	store_scan_close(&sc);
	if (rc < 0)
		return -1;
	a->route.created_us = store_tx_now_us(tx);
	route_encode(&value, &a->route);
	rc = value.failed ? err_set(e, ERR_TEMP, "out of memory")
			  : store_tx_put(tx, row_key(kb, a->route.id), buf_slice(&value), e);
	buf_free(&value);
	return rc;
}

int route_add(struct store *s, const struct route *r, err *e)
{
	struct arena *arena = arena_new(65536);
	struct adding a;

	if (!arena)
		return err_set(e, ERR_TEMP, "out of memory");
	int rc = route_canonical(arena, r, &a.route, e);
	if (rc == 0)
		rc = store_commit(s, add_intent, &a, e);
	arena_free(arena);
	return rc;
}

static int remove_intent(struct store_tx *tx, void *arg, err *e)
{
	uint32_t id = *(const uint32_t *)arg;
	char kb[KEY_MAX];
	slice value;
	int rc = store_tx_get(tx, row_key(kb, id), &value, e);

	if (rc == 0)
		return err_set(e, ERR_MISSING, "there is no route %u; see: posthouse route list", id);
	return rc < 0 ? -1 : store_tx_del(tx, row_key(kb, id), e);
}

int route_remove(struct store *s, uint32_t id, err *e)
{
	return store_commit(s, remove_intent, &id, e);
}

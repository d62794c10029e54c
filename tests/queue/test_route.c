/* Routes: what a person may ask for, how they are kept, and which one a message takes. */
#include "limits.h"
#include "mailbox/fixture.h"
#include "queue/route.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static slice z(const char *text)
{
	return slice_of(text);
}

static struct route smart(enum route_match match, const char *value, const char *host)
{
	return (struct route){
		.match = match, .value = z(value), .host = z(host), .port = 587, .tls = ROUTE_TLS_STARTTLS};
}

/* ---- rows ---- */

static void there_and_back(void **state)
{
	(void)state;
	struct route r = smart(ROUTE_SENDER, "a@example.test", "relay.example.test"), got;
	struct buf b = BUF_INIT(ROUTE_ENCODED_MAX);
	err e;

	r.account = 7;
	r.flags = ROUTE_FALLBACK | ROUTE_UNVERIFIED;
	r.mechanism = ROUTE_MECH_LOGIN;
	r.user = S("somebody");
	r.source = S("192.0.2.1");
	r.created_us = INT64_C(1767225600000000);
	route_encode(&b, &r);
	assert_int_equal(route_decode(buf_slice(&b), 9, &got, &e), 0);
	assert_true(got.id == 9 && got.match == r.match && got.flags == r.flags && got.tls == r.tls);
	assert_true(got.mechanism == r.mechanism && got.port == 587 && got.account == 7);
	assert_true(slice_eq(got.value, r.value) && slice_eq(got.host, r.host));
	assert_true(slice_eq(got.user, r.user) && slice_eq(got.source, r.source));
	assert_int_equal(got.created_us, r.created_us);
	for (size_t n = 0; n < b.n; n++) { /* cut anywhere */
		char *cut = malloc(n ? n : 1);
		memcpy(cut, b.p, n);
		assert_int_equal(route_decode(slice_make(cut, n), 9, &got, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		free(cut);
	}
	static const struct {
		size_t at;
		char byte;
	} bad[] = {{0, 2}, {0, 0}, {1, ROUTE_DEFAULT + 1}, {3, ROUTE_TLS_IMPLICIT + 1},
		{4, ROUTE_MECH_SCRAM_SHA_256 + 1}, {19, 127}};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char was = b.p[bad[i].at];
		b.p[bad[i].at] = bad[i].byte;
		assert_int_equal(route_decode(buf_slice(&b), 9, &got, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		b.p[bad[i].at] = was;
	}
	buf_add_c(&b, 0); /* one byte too many */
	assert_int_equal(route_decode(buf_slice(&b), 9, &got, &e), -1);
	buf_free(&b);
}

/* ---- what a person may ask for ---- */

static void canonical_forms(void **state)
{
	(void)state;
	static const struct {
		enum route_match match;
		const char *value, *want, *host, *want_host, *source, *want_source;
	} rows[] = {
		{ROUTE_RECIPIENT_DOMAIN, "Example.TEST", "example.test", "Relay.Example.Test",
			"relay.example.test", "192.0.2.1", "192.0.2.1"},
		{ROUTE_RECIPIENT_DOMAIN, ".Example.TEST", ".example.test", "192.0.2.7", "192.0.2.7",
			"2001:DB8:0::1", "2001:db8::1"},
		{ROUTE_SENDER_DOMAIN,
			"b\xc3\xbc"
			"cher.test",
			"xn--bcher-kva.test", "[2001:DB8::7]", "2001:db8::7", "", ""},
		{ROUTE_SENDER, "Alice+x@EXAMPLE.test", "alice+x@example.test", "localhost", "localhost", "",
			""},
		{ROUTE_SENDER, "<Alice@example.test>", "alice@example.test", "relay", "relay", "", ""},
		{ROUTE_DEFAULT, "anything", "",
			"b\xc3\xbc"
			"cher.test",
			"xn--bcher-kva.test", "", ""},
	};
	struct arena *a = arena_new(65536);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct route r = smart(rows[i].match, rows[i].value, rows[i].host), got;
		err e = {0};
		r.source = z(rows[i].source);
		if (route_canonical(a, &r, &got, &e) < 0)
			fail_msg("%zu: %s", i, e.text);
		if (!slice_eq(got.value, z(rows[i].want)) || !slice_eq(got.host, z(rows[i].want_host)) ||
			!slice_eq(got.source, z(rows[i].want_source)))
			fail_msg("%zu: \"%.*s\" \"%.*s\" \"%.*s\"", i, (int)got.value.n, got.value.p,
				(int)got.host.n, got.host.p, (int)got.source.n, got.source.p);
	}
	arena_free(a);
}

static void refused(struct arena *a, struct route r, const char *word)
{
	struct route got;
	err e = {0};

	assert_int_equal(route_canonical(a, &r, &got, &e), -1);
	assert_int_equal(e.kind, ERR_SYNTAX);
	if (!strstr(e.text, word))
		fail_msg("\"%s\" does not speak of \"%s\"", e.text, word);
}

static void mistakes(void **state)
{
	(void)state;
	struct arena *a = arena_new(1 << 20);
	static const char *const hosts[] = {"", "-bad-.test", "two words", "a..b", "relay.test:25",
		"[relay.test]", "[192.0.2.1", "1.2.3.4.5.", "a\nb", "@", "300.1.1.1 "};
	static const char *const domains[] = {
		"", ".", "..", "a b", "x@example.test", "[192.0.2.1]", "-x.test"};
	static const char *const addresses[] = {"", "alice", "@example.test", "alice@", "a b@example.test",
		"alice@[192.0.2.1]", "<>", "alice@example.test more"};
	static const char *const sources[] = {
		"localhost", "192.0.2", "192.0.2.1:25", "[2001:db8::1]", "::g", "0x7f.1", "192.0.2.1 "};
	struct route good = smart(ROUTE_DEFAULT, "", "relay.test"), r;

	for (size_t i = 0; i < COUNT_OF(hosts); i++)
		refused(a, smart(ROUTE_DEFAULT, "", hosts[i]), "host");
	for (size_t i = 0; i < COUNT_OF(domains); i++) {
		refused(a, smart(ROUTE_RECIPIENT_DOMAIN, domains[i], "relay.test"), "domain");
		refused(a, smart(ROUTE_SENDER_DOMAIN, domains[i], "relay.test"), "domain");
	}
	for (size_t i = 0; i < COUNT_OF(addresses); i++)
		refused(a, smart(ROUTE_SENDER, addresses[i], "relay.test"), "address");
	for (size_t i = 0; i < COUNT_OF(sources); i++) {
		r = good;
		r.source = z(sources[i]);
		refused(a, r, "IP address");
	}
	refused(a, smart(ROUTE_ACCOUNT, "alice@example.test", "relay.test"), "account");
	r = good;
	r.port = 0;
	refused(a, r, "65535");
	r = good;
	r.mechanism = ROUTE_MECH_PLAIN;
	refused(a, r, "user");
	r = good;
	r.flags = ROUTE_CLEAR_OK;
	refused(a, r, "user");
	r = good;
	r.user = S("bell\a");
	refused(a, r, "user");
	r = good;
	r.user = S("somebody");
	r.tls = ROUTE_TLS_NONE;
	refused(a, r, "TLS");
	r.flags = ROUTE_CLEAR_OK;
	assert_int_equal(route_canonical(a, &r, &r, NULL), 0);
	/* straight there is no smart host to say anything of */
	r = (struct route){
		.match = ROUTE_RECIPIENT_DOMAIN, .value = S("example.test"), .flags = ROUTE_DIRECT};
	assert_int_equal(route_canonical(a, &r, &r, NULL), 0);
	r.port = 25;
	refused(a, r, "direct");
	r.port = 0;
	r.flags = ROUTE_DIRECT | ROUTE_FALLBACK;
	refused(a, r, "direct");
	r.flags = ROUTE_DIRECT;
	r.host = S("relay.test");
	refused(a, r, "direct");
	arena_free(a);
}

/* ---- in the store ---- */

static struct routes *load(struct fixture *f)
{
	struct store_snap s = {0};
	err e = {0};

	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	struct routes *r = routes_load(&s, &e);
	store_snap_end(&s);
	if (!r)
		fail_msg("%s", e.text);
	return r;
}

static uint32_t add(struct fixture *f, struct route r)
{
	err e = {0};

	if (route_id_new(f->store, &r.id, &e) < 0 || route_add(f->store, &r, &e) < 0)
		fail_msg("%s", e.text);
	return r.id;
}

static void adding_and_removing(struct fixture *f)
{
	struct routes *none = load(f);
	struct route r = smart(ROUTE_DEFAULT, "", "Relay.Test");
	err e = {0};

	assert_null(routes_at(none, 0));
	assert_null(routes_pick(none, S("example.test"), S("a@b.test"), 1));
	routes_free(none);
	r.user = S("somebody");
	uint32_t first = add(f, r);
	assert_int_equal(first, 1);
	struct routes *all = load(f);
	const struct route *got = routes_by_id(all, first);
	assert_non_null(got);
	assert_ptr_equal(got, routes_at(all, 0));
	assert_null(routes_at(all, 1));
	assert_true(slice_eq(got->host, S("relay.test")) && slice_eq(got->user, r.user));
	assert_true(got->created_us > 0);
	routes_free(all);
	/* the same once more, in other words: refused, and the id is lost */
	assert_int_equal(route_id_new(f->store, &r.id, &e), 0);
	assert_int_equal(r.id, 2);
	assert_int_equal(route_add(f->store, &r, &e), -1);
	assert_int_equal(e.kind, ERR_EXISTS);
	assert_non_null(strstr(e.text, "route remove 1"));
	/* what is wrong is refused before anything is written */
	r.port = 0;
	assert_int_equal(route_add(f->store, &r, &e), -1);
	assert_int_equal(e.kind, ERR_SYNTAX);
	assert_int_equal(route_remove(f->store, first, &e), 0);
	assert_int_equal(route_remove(f->store, first, &e), -1);
	assert_int_equal(e.kind, ERR_MISSING);
	/* ids are not used again */
	assert_int_equal(add(f, smart(ROUTE_DEFAULT, "", "relay.test")), 3);
	assert_int_equal(add(f, smart(ROUTE_RECIPIENT_DOMAIN, "EXAMPLE.test", "relay.test")), 4);
	r = smart(ROUTE_RECIPIENT_DOMAIN, "example.TEST.", "other.test");
	assert_int_equal(route_id_new(f->store, &r.id, &e), 0);
	assert_int_equal(route_add(f->store, &r, &e), -1);
	assert_int_equal(e.kind, ERR_EXISTS);
	r.match = ROUTE_SENDER_DOMAIN; /* the same value, but of senders */
	assert_int_equal(route_add(f->store, &r, &e), 0);
	assert_int_equal(route_add(f->store, &r, &e), -1);
}

static void there_is_a_limit(struct fixture *f)
{
	struct route r;
	char name[40];
	err e = {0};

	for (int i = 0; i < LIMIT_ROUTES; i++) {
		snprintf(name, sizeof name, "d%d.test", i);
		add(f, smart(ROUTE_RECIPIENT_DOMAIN, name, "relay.test"));
	}
	r = smart(ROUTE_DEFAULT, "", "relay.test");
	assert_int_equal(route_id_new(f->store, &r.id, &e), 0);
	assert_int_equal(route_add(f->store, &r, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	struct routes *all = load(f);
	assert_non_null(routes_at(all, LIMIT_ROUTES - 1));
	assert_null(routes_at(all, LIMIT_ROUTES));
	const struct route *got = routes_pick(all, S("d777.test"), S(""), 0);
	assert_true(got && slice_eq(got->value, S("d777.test")));
	routes_free(all);
}

static void which_one(struct fixture *f)
{
	/* added in the opposite order of what counts */
	static const struct {
		enum route_match match;
		const char *value;
		uint32_t account;
	} made[] = {
		{ROUTE_DEFAULT, "", 0},                               /* 1 */
		{ROUTE_SENDER_DOMAIN, ".sender.test", 0},             /* 2 */
		{ROUTE_SENDER_DOMAIN, "sender.test", 0},              /* 3 */
		{ROUTE_ACCOUNT, "alice@sender.test", 7},              /* 4 */
		{ROUTE_SENDER, "boss@sender.test", 0},                /* 5 */
		{ROUTE_RECIPIENT_DOMAIN, ".example.test", 0},         /* 6 */
		{ROUTE_RECIPIENT_DOMAIN, ".deep.example.test", 0},    /* 7 */
		{ROUTE_RECIPIENT_DOMAIN, "one.deep.example.test", 0}, /* 8 */
		{ROUTE_RECIPIENT_DOMAIN,
			"b\xc3\xbc"
			"cher.test",
			0}, /* 9 */
	};
	static const struct {
		const char *domain, *sender;
		uint32_t account, want;
	} asked[] = {
		{"elsewhere.test", "x@other.test", 0, 1},
		{"elsewhere.test", "", 0, 1},
		{"elsewhere.test", "x@sender.test", 0, 3},
		{"elsewhere.test", "x@sub.sender.test", 0, 2},
		{"elsewhere.test", "x@notsender.test", 0, 1},
		{"elsewhere.test", "x@sender.test", 7, 4},
		{"elsewhere.test", "x@sender.test", 8, 3},
		{"elsewhere.test", "boss@sender.test", 7, 5},
		{"elsewhere.test", "boss@sub.sender.test", 7, 4},
		{"elsewhere.test", "", 7, 1}, /* a bounce has no sender's route */
		{"example.test", "boss@sender.test", 7, 6},
		{"a.example.test", "", 0, 6},
		{"notexample.test", "", 0, 1},
		{"deep.example.test", "", 0, 7},
		{"two.deep.example.test", "", 0, 7},
		{"one.deep.example.test", "", 0, 8},
		{"x.one.deep.example.test", "", 0, 7},
		{"xn--bcher-kva.test", "", 0, 9},
	};

	for (size_t i = 0; i < COUNT_OF(made); i++) {
		struct route r = smart(made[i].match, made[i].value, "relay.test");
		r.account = made[i].account;
		assert_int_equal(add(f, r), i + 1);
	}
	struct routes *all = load(f);
	for (size_t i = 0; i < COUNT_OF(asked); i++) {
		const struct route *r =
			routes_pick(all, z(asked[i].domain), z(asked[i].sender), asked[i].account);
		if (!r || r->id != asked[i].want)
			fail_msg("%zu: route %u, wanted %u", i, r ? r->id : 0, asked[i].want);
	}
	/* in the order in which they are tried */
	static const uint32_t order[] = {8, 9, 7, 6, 5, 4, 3, 2, 1};
	for (size_t i = 0; i < COUNT_OF(order); i++)
		assert_int_equal(routes_at(all, i)->id, order[i]);
	routes_free(all);
	/* without the default the rest goes straight */
	err e;
	assert_int_equal(route_remove(f->store, 1, &e), 0);
	all = load(f);
	assert_null(routes_pick(all, S("elsewhere.test"), S("x@other.test"), 0));
	routes_free(all);
}

static int damage(struct store_tx *tx, void *arg, err *e)
{
	(void)arg;
	return store_tx_put(tx, S("Q\x07\0\0\0\x01"), S("nonsense"), e);
}

static void a_damaged_row(struct fixture *f)
{
	struct store_snap s = {0};
	err e = {0};

	assert_int_equal(store_commit(f->store, damage, NULL, &e), 0);
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_null(routes_load(&s, &e));
	store_snap_end(&s);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(route_remove(f->store, 1, &e), 0); /* that is the way out */
}

#define ON_STORE(name)                                                                                       \
	static void name##_on_store(void **state)                                                            \
	{                                                                                                    \
		(void)state;                                                                                 \
		fixture_each(name, NULL);                                                                    \
	}
ON_STORE(adding_and_removing)
ON_STORE(which_one)
ON_STORE(a_damaged_row)

/* The engine makes no difference here, and so many durable changes take their time. */
static void there_is_a_limit_on_store(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, &kv_memory);
	fixture_run(&f, there_is_a_limit, NULL);
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(canonical_forms),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(adding_and_removing_on_store),
		cmocka_unit_test(there_is_a_limit_on_store),
		cmocka_unit_test(which_one_on_store),
		cmocka_unit_test(a_damaged_row_on_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

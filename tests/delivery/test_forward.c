/* Forwards of accounts, and what stops mail that goes round. */
#include "delivery/resolve.h"
#include "limits.h"
#include "mailbox/fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { PEOPLE = 3 };
static const char *const names[PEOPLE] = {"alice", "bob", "carol"};

struct town { /* example.test: alice, bob, carol */
	struct fixture *f;
	uint32_t person[PEOPLE];
};

static size_t words(const char *text, slice *ret)
{
	slice in = slice_of(text);
	size_t n = 0;
	while (slice_word(&in, &ret[n]))
		n++;
	return n;
}

static void alias(struct fixture *f, const char *name, const char *targets)
{
	slice t[LIMIT_ALIAS_TARGETS];
	err e = {0};
	if (alias_set(f->store, slice_of(name), S("example.test"), t, words(targets, t), NULL, 0, &e) < 0)
		fail_msg("%s: %s", name, e.text);
}

static void forward(struct town *t, int person, bool keep, const char *targets)
{
	slice list[LIMIT_ALIAS_TARGETS];
	struct account_settings set = {.has_forward = true,
		.forward = list,
		.n_forward = words(targets, list),
		.has_keep = true,
		.keep = keep};
	err e = {0};
	if (account_set(t->f->store, t->person[person], &set, &e) < 0)
		fail_msg("%s: %s", names[person], e.text);
}

static struct town build(struct fixture *f)
{
	struct town t = {.f = f};
	for (size_t i = 0; i < PEOPLE; i++)
		t.person[i] = make_account(f, names[i], "example.test");
	return t;
}

/*
 * Where mail for an address goes: "ok alice far@elsewhere.test(alice@example.test)": the result, then each
 * target, with what is amiss with it, and by whom it is sent outside.
 */
static const char *where(struct town *t, const char *address, const char *delivered_to, bool may_relay)
{
	static const char *const results[] = {
		"?", "ok", "unknown", "relay", "quota", "disabled", "loop", "temp"};
	slice been[LIMIT_DELIVERED_TO], domain = slice_of(address), local;
	struct store_snap s = {0};
	struct resolve *r = arena_new_1(t->f->arena, struct resolve);
	struct buf b = BUF_INIT(100000);
	enum delivery_result result;
	err e = {0};
	assert_true(slice_cut(&domain, '@', &local));
	assert_int_equal(store_snap_begin(t->f->store, &s, &e), 0);
	r->view = view_snap(&s);
	r->arena = t->f->arena;
	r->size = 10;
	r->may_relay = may_relay;
	r->delivered_to = been;
	r->n_delivered_to = words(delivered_to, been);
	assert_int_equal(resolve_recipient(r, local, domain, 0, &result, &e), 0);
	store_snap_end(&s);
	buf_addz(&b, results[result]);
	for (size_t i = 0; i < r->n; i++) {
		const struct target *x = &r->targets[i];
		buf_add_c(&b, ' ');
		for (size_t k = 0; k < PEOPLE; k++)
			if (x->account == t->person[k])
				buf_addz(&b, names[k]);
		if (x->account == 0)
			buf_add(&b, x->address);
		if (x->result != DELIVERY_OK)
			buf_addf(&b, ":%s", results[x->result]);
		if (x->via.n)
			buf_addf(&b, "(%.*s)", (int)x->via.n, x->via.p);
	}
	slice copy = arena_copy(t->f->arena, buf_slice(&b));
	buf_free(&b);
	return copy.p;
}

static void ways(struct fixture *f)
{
	struct town t = build(f);
	forward(&t, 0, true, "far@elsewhere.test");
	assert_string_equal(where(&t, "alice@example.test", "", false),
		"ok alice far@elsewhere.test(alice@example.test)");
	assert_string_equal(where(&t, "Alice+tag@EXAMPLE.test", "", false),
		"ok alice far@elsewhere.test(alice@example.test)");
	/* The outside is reached only so. */
	assert_string_equal(where(&t, "far@elsewhere.test", "", false), "relay");
	assert_string_equal(where(&t, "far@elsewhere.test", "", true), "ok far@elsewhere.test");
	forward(&t, 0, false, "far@elsewhere.test bob@example.test gone@example.test");
	assert_string_equal(where(&t, "alice@example.test", "", false),
		"ok far@elsewhere.test(alice@example.test) bob "
		"gone@example.test:unknown(alice@example.test)");
	/* By an alias to an account: who sent it outside last is named. An address by two ways counts once.
	 */
	alias(f, "team", "alice@example.test far@elsewhere.test x@elsewhere.test");
	forward(&t, 0, true, "far@elsewhere.test");
	assert_string_equal(where(&t, "team@example.test", "", false),
		"ok alice far@elsewhere.test(team@example.test) x@elsewhere.test(team@example.test)");
	alias(f, "a b", "alice@example.test"); /* quoted in a field */
	alias(f, "spaced", "far@elsewhere.test");
	forward(&t, 0, false, "spaced@example.test");
	assert_string_equal(
		where(&t, "a b@example.test", "", false), "ok far@elsewhere.test(spaced@example.test)");
	/* A catch-all sends under the name that was written. */
	alias(f, "", "far@elsewhere.test");
	assert_string_equal(
		where(&t, "Any@example.test", "", false), "ok far@elsewhere.test(any@example.test)");
}

static void who_may(struct fixture *f)
{
	struct town t = build(f);
	struct account_settings off = {.has_enabled = true};
	err e = {0};
	forward(&t, 0, false, "far@elsewhere.test");
	forward(&t, 1, true, "far@elsewhere.test");
	set_quota(f, t.person[0], 5);
	set_quota(f, t.person[1], 5);
	/* Who keeps nothing has room for everything. */
	assert_string_equal(
		where(&t, "alice@example.test", "", false), "ok far@elsewhere.test(alice@example.test)");
	assert_string_equal(where(&t, "bob@example.test", "", false),
		"ok bob:quota far@elsewhere.test(bob@example.test)");
	assert_int_equal(account_set(f->store, t.person[0], &off, &e), 0);
	assert_string_equal(where(&t, "alice@example.test", "", false), "disabled alice:disabled");
	assert_int_equal(domain_set_enabled(f->store, S("example.test"), false, &e), 0);
	assert_string_equal(where(&t, "bob@example.test", "", false), "disabled bob:disabled");
}

static void circles(struct fixture *f)
{
	struct town t = build(f);
	char name[32], target[64];
	forward(&t, 0, false, "bob@example.test");
	forward(&t, 1, false, "alice@example.test");
	assert_string_equal(where(&t, "alice@example.test", "", false), "loop");
	forward(&t, 1, true, "alice@example.test");
	assert_string_equal(where(&t, "alice@example.test", "", false), "ok bob");
	forward(&t, 0, true, "bob@example.test");
	assert_string_equal(where(&t, "bob@example.test", "", false), "ok bob alice");
	alias(f, "team", "alice@example.test carol@example.test");
	forward(&t, 0, false, "team@example.test");
	assert_string_equal(where(&t, "alice@example.test", "", false), "ok carol");
	/* Too far: a forward that leads nowhere takes nothing from who keeps his mail. */
	for (int i = 0; i < LIMIT_ALIAS_DEPTH; i++) {
		snprintf(name, sizeof name, "chain%d", i);
		snprintf(target, sizeof target, "chain%d@example.test", i + 1);
		alias(f, name, target);
	}
	snprintf(name, sizeof name, "chain%d", LIMIT_ALIAS_DEPTH);
	alias(f, name, "alice@example.test");
	forward(&t, 0, true, "far@elsewhere.test");
	assert_string_equal(where(&t, "chain0@example.test", "", false), "loop");
	assert_string_equal(where(&t, "chain1@example.test", "", false), "ok alice");
	assert_string_equal(where(&t, "chain2@example.test", "", false),
		"ok alice far@elsewhere.test(alice@example.test)");
	forward(&t, 0, false, "far@elsewhere.test");
	assert_string_equal(where(&t, "chain1@example.test", "", false), "loop");
}

/* What has been forwarded by an address is not forwarded by it again. */
static void comes_back(struct fixture *f)
{
	struct town t = build(f);
	forward(&t, 0, true, "far@elsewhere.test");
	forward(&t, 1, false, "far@elsewhere.test");
	alias(f, "out", "far@elsewhere.test");
	alias(f, "mixed", "carol@example.test out@example.test");
	assert_string_equal(where(&t, "alice@example.test", "alice@example.test", false), "ok alice");
	assert_string_equal(where(&t, "alice@example.test", "x@y.test bob@example.test", false),
		"ok alice far@elsewhere.test(alice@example.test)");
	assert_string_equal(where(&t, "bob@example.test", "x@y.test bob@example.test", false), "loop");
	assert_string_equal(where(&t, "out@example.test", "out@example.test", false), "loop");
	assert_string_equal(where(&t, "mixed@example.test", "out@example.test", false), "ok carol");
	assert_string_equal(where(&t, "mixed@example.test", "mixed@example.test", false), "loop");
	assert_string_equal(where(&t, "carol@example.test", "carol@example.test", false), "ok carol");
	alias(f, "", "far@elsewhere.test");
	assert_string_equal(where(&t, "Any@example.test", "any@example.test", false), "loop");
	assert_string_equal(where(&t, "other@example.test", "any@example.test", false),
		"ok far@elsewhere.test(other@example.test)");
}

/* The whole intent: copies here, records for the queue. */
static void delivered(struct fixture *f)
{
	struct town t = build(f);
	slice been = S("alice@example.test");
	struct delivery_recipient r = {.localpart = S("alice"), .domain = S("example.test")};
	struct delivery d = {.recipients = &r,
		.n = 1,
		.each_answered = true,
		.content = {.bytes = S("Subject: x\r\n\r\nbody\r\n"), .size = 20},
		.summary = S("summary")};
	err e = {0};
	forward(&t, 0, true, "far@elsewhere.test bob@example.test");
	assert_int_equal(delivery_deliver(f->store, f->codec, &d, &e), 0);
	assert_true(r.ret_result == DELIVERY_OK && d.ret_accounts == 2 && d.ret_remote == 1);
	d.delivered_to = &been;
	d.n_delivered_to = 1;
	assert_int_equal(delivery_deliver(f->store, f->codec, &d, &e), 0);
	assert_true(r.ret_result == DELIVERY_OK && d.ret_accounts == 1 && d.ret_remote == 0);
	forward(&t, 0, false, "far@elsewhere.test bob@example.test");
	assert_int_equal(delivery_deliver(f->store, f->codec, &d, &e), 0);
	assert_true(r.ret_result == DELIVERY_LOOP && d.ret_accounts == 0 && d.ret_remote == 0);
}

static void test_delivered_to(void **state)
{
	slice been[LIMIT_DELIVERED_TO];
	struct arena *a = arena_new(65536);
	struct buf many = BUF_INIT(65536);
	(void)state;
	size_t n = delivery_delivered_to(S("Delivered-To: Alice@Example.TEST\r\n"
					   "X-Delivered-To: b@example.test\r\n"
					   "delivered-to :\r\n <c+d@example.test> \r\n"
					   "Delivered-To: not an address\r\n"
					   "Delivered-To: \"a b\"@example.test\r\n"
					   "Delivered-To:\r\n"
					   "\r\n"
					   "Delivered-To: e@example.test\r\n"),
		a, been);
	assert_int_equal(n, 3);
	assert_true(slice_eq(been[0], S("alice@example.test")));
	assert_true(slice_eq(been[1], S("c+d@example.test")));
	assert_true(slice_eq(been[2], S("\"a b\"@example.test")));
	assert_int_equal(delivery_delivered_to(S(""), a, been), 0);
	for (int i = 0; i < LIMIT_DELIVERED_TO + 10; i++)
		buf_addf(&many, "Delivered-To: u%d@example.test\r\n", i);
	assert_int_equal(delivery_delivered_to(buf_slice(&many), a, been), LIMIT_DELIVERED_TO);
	buf_free(&many);
	arena_free(a);
}

#define EACH(name)                                                                                           \
	static void name##_test(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		fixture_each(name, NULL);                                                                    \
	}
EACH(ways)
EACH(who_may)
EACH(circles)
EACH(comes_back)
EACH(delivered)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ways_test),
		cmocka_unit_test(who_may_test),
		cmocka_unit_test(circles_test),
		cmocka_unit_test(comes_back_test),
		cmocka_unit_test(delivered_test),
		cmocka_unit_test(test_delivered_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

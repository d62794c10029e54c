/* Domains, accounts, log-in names, aliases, who may send as whom. */
#include "mailbox/fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct store_snap snap(struct fixture *f)
{
	struct store_snap s = {0};
	err e;
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	return s;
}

static uint32_t login(struct fixture *f, const char *name)
{
	struct store_snap s = snap(f);
	struct account_row row = {.id = 0};
	err e = {0};
	assert_int_not_equal(account_by_login(&s, slice_of(name), &row, &e), -1);
	store_snap_end(&s);
	return row.id;
}

static bool may_send(struct fixture *f, uint32_t account, const char *local, const char *domain)
{
	struct store_snap s = snap(f);
	err e = {0};
	int rc = account_may_send(&s, account, slice_of(local), slice_of(domain), &e);
	assert_int_not_equal(rc, -1);
	store_snap_end(&s);
	return rc;
}

static bool count_domain(void *arg, const struct domain_row *d)
{
	assert_true(d->name.n > 0);
	++*(int *)arg;
	return true;
}

static bool count_account(void *arg, const struct account_row *a)
{
	assert_false(a->removed);
	++*(int *)arg;
	return true;
}

static bool list_alias(void *arg, const struct alias_row *a)
{
	struct buf *b = arg;
	struct alias_row walk = *a;
	slice target;
	buf_addf(b, "[%.*s", (int)a->localpart.n, a->localpart.p);
	while (alias_target(&walk, &target))
		buf_addf(b, " %.*s", (int)target.n, target.p);
	buf_add_c(b, ']');
	return true;
}

static void domains(struct fixture *f)
{
	uint32_t id = 0, again = 0;
	struct domain_row d;
	int n = 0;
	err e = {0};
	assert_int_equal(domain_add(f->store, S("Example.TEST."), &id, &e), 0);
	assert_int_equal(domain_add(f->store, S("example.test"), &again, &e), -1);
	assert_int_equal(e.kind, ERR_EXISTS);
	assert_int_equal(domain_add(f->store, S("-bad-.test"), &again, &e), -1);
	assert_int_equal(e.kind, ERR_SYNTAX);
	assert_int_equal(domain_add(f->store,
				 S("b\xc3\xbc"
				   "cher.test"),
				 NULL, &e),
		0);
	struct store_snap s = snap(f);
	assert_int_equal(domain_find(&s, S("EXAMPLE.test"), &d, &e), 1);
	assert_true(slice_eq(d.name, S("example.test")) && d.id == id && d.enabled);
	assert_int_equal(domain_find(&s, S("xn--bcher-kva.test"), &d, &e), 1);
	assert_int_equal(domain_get(&s, id, &d, &e), 1);
	assert_int_equal(domain_find(&s, S("other.test"), &d, &e), 0);
	assert_int_equal(domain_each(&s, count_domain, &n, &e), 0);
	assert_int_equal(n, 2);
	store_snap_end(&s);
	assert_int_equal(domain_set_enabled(f->store, S("example.test"), false, &e), 0);
	s = snap(f);
	assert_int_equal(domain_find(&s, S("example.test"), &d, &e), 1);
	assert_false(d.enabled);
	store_snap_end(&s);
	uint32_t alice = make_account(f, "alice", "example.test");
	assert_int_equal(domain_remove(f->store, S("example.test"), &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
	assert_int_equal(account_remove(f->store, alice, &e), 0);
	assert_int_equal(domain_remove(f->store, S("example.test"), &e), 0);
	assert_int_equal(domain_remove(f->store, S("example.test"), &e), -1);
	assert_int_equal(e.kind, ERR_MISSING);
}

static void accounts(struct fixture *f)
{
	err e = {0};
	uint32_t id = 0;
	int n = 0;
	slice address;
	uint32_t alice = make_account(f, "Alice", "example.test");
	uint32_t bob = make_account(f, "bob", "example.test");
	assert_true(alice != bob);
	assert_int_equal(account_add(f->store, S("ALICE"), S("Example.Test"), NULL, &id, &e), -1);
	assert_int_equal(e.kind, ERR_EXISTS);
	assert_int_equal(account_add(f->store, S("x"), S("nowhere.test"), NULL, &id, &e), -1);
	assert_int_equal(e.kind, ERR_MISSING);
	assert_int_equal(account_add(f->store, S("a b"), S("example.test"), NULL, &id, &e), -1);
	assert_int_equal(e.kind, ERR_SYNTAX);
	assert_int_equal(login(f, "alice"), alice);
	assert_int_equal(login(f, "ALICE@example.TEST"), alice);
	assert_int_equal(login(f, "alice@other.test"), 0);
	assert_int_equal(login(f, ""), 0);
	assert_int_equal(login(f, "carol"), 0);

	/* A bare name that two domains have is nobody's. */
	uint32_t other = make_account(f, "alice", "other.test");
	assert_int_equal(login(f, "alice"), 0);
	assert_int_equal(login(f, "alice@other.test"), other);
	assert_int_equal(account_remove(f->store, other, &e), 0);
	assert_int_equal(login(f, "alice"), alice);
	assert_int_equal(login(f, "alice@other.test"), 0);
	assert_int_equal(account_remove(f->store, other, &e), -1);
	assert_int_equal(e.kind, ERR_MISSING);

	struct account_settings set = {.has_enabled = true,
		.has_quota = true,
		.quota_bytes = 1000,
		.has_language = true,
		.language = S("de"),
		.has_display_name = true,
		.display_name = S("Bob B.")};
	uint32_t epoch = read_account(f, bob).epoch;
	assert_int_equal(account_set(f->store, bob, &set, &e), 0);
	struct store_snap s = snap(f);
	struct account_row row;
	assert_int_equal(account_get(&s, bob, &row, &e), 1);
	assert_true(!row.enabled && row.quota_bytes == 1000 && slice_eq(row.language, S("de")));
	assert_true(slice_eq(row.display_name, S("Bob B.")) && row.epoch == epoch + 1);
	assert_int_equal(account_address(&s, alice, f->arena, &address, &e), 1);
	assert_true(slice_eq(address, S("alice@example.test")));
	assert_int_equal(account_each(&s, 0, count_account, &n, &e), 0);
	assert_int_equal(n, 2);
	n = 0;
	assert_int_equal(account_each(&s, alice, count_account, &n, &e), 0);
	assert_int_equal(n, 1);
	store_snap_end(&s);
}

static void aliases(struct fixture *f)
{
	err e = {0};
	uint32_t alice = make_account(f, "alice", "example.test");
	uint32_t bob = make_account(f, "bob", "example.test");
	const slice one[] = {S("alice@example.test")};
	const slice two[] = {S("alice@example.test"), S("far@elsewhere.test")};
	const slice bad[] = {S("no address")};
	slice local = S("team"), domain = S("example.test");
	assert_int_equal(alias_set(f->store, S("sales"), domain, one, 1, NULL, 0, &e), 0);
	assert_int_equal(alias_set(f->store, local, domain, two, 2, &bob, 1, &e), 0);
	assert_int_equal(alias_set(f->store, (slice){0}, domain, one, 1, NULL, 0, &e), 0);
	assert_int_equal(alias_set(f->store, S("bob"), domain, one, 1, NULL, 0, &e), -1);
	assert_int_equal(e.kind, ERR_EXISTS);
	assert_int_equal(alias_set(f->store, S("x"), domain, bad, 1, NULL, 0, &e), -1);
	assert_int_equal(e.kind, ERR_SYNTAX);
	assert_int_equal(alias_set(f->store, S("x"), S("nowhere.test"), one, 1, NULL, 0, &e), -1);
	assert_int_equal(e.kind, ERR_MISSING);

	struct buf b = BUF_INIT(4096);
	struct store_snap s = snap(f);
	struct alias_row row;
	uint32_t owner = 0;
	assert_int_equal(alias_each(&s, domain, list_alias, &b, &e), 0);
	assert_int_equal(alias_find(&s, S("TEAM"), S("Example.test"), &row, &e), 1);
	assert_true(alias_owner(&row, &owner) && owner == bob && !alias_owner(&row, &owner));
	assert_int_equal(alias_find(&s, S("alice"), domain, &row, &e), 0);
	store_snap_end(&s);
	assert_true(slice_eq(buf_slice(&b), S("[ alice@example.test][sales alice@example.test][team "
					      "alice@example.test far@elsewhere.test]")));
	buf_free(&b);

	assert_true(may_send(f, alice, "alice", "example.test"));
	assert_true(may_send(f, alice, "Alice+shop", "EXAMPLE.test"));
	assert_true(may_send(f, alice, "sales", "example.test"));
	assert_false(may_send(f, alice, "team", "example.test"));
	assert_true(may_send(f, bob, "team", "example.test"));
	assert_false(may_send(f, bob, "alice", "example.test"));
	assert_false(may_send(f, bob, "sales", "example.test"));
	assert_false(may_send(f, alice, "far", "elsewhere.test"));

	assert_int_equal(alias_remove(f->store, local, domain, &e), 0);
	assert_int_equal(alias_remove(f->store, local, domain, &e), -1);
	assert_int_equal(e.kind, ERR_MISSING);
	assert_int_equal(alias_remove(f->store, S("alice"), domain, &e), -1);
	assert_int_equal(e.kind, ERR_MISSING);
}

static void domain_test(void **state)
{
	(void)state;
	fixture_each(domains, NULL);
}

static void account_test(void **state)
{
	(void)state;
	fixture_each(accounts, NULL);
}

static void alias_test(void **state)
{
	(void)state;
	fixture_each(aliases, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domain_test),
		cmocka_unit_test(account_test),
		cmocka_unit_test(alias_test),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

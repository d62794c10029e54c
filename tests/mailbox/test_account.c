/* Domains, accounts, log-in names, aliases, who may send as whom. */
#include "limits.h"
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

/* "keep a@b c@d", or "none". */
static const char *forward_text(struct fixture *f, uint32_t account)
{
	struct store_snap s = snap(f);
	struct account_forward fw = {.keep = false};
	struct account_row row = {.id = 0};
	struct buf b = BUF_INIT(100000);
	slice target;
	err e = {0};
	assert_int_equal(account_get(&s, account, &row, &e), 1);
	int rc = account_forward_get(&s, account, &fw, &e);
	assert_int_equal(rc, row.forwards);
	buf_addz(&b, rc == 0 ? "none" : fw.keep ? "keep" : "send");
	while (rc == 1 && account_forward_target(&fw, &target))
		buf_addf(&b, " %.*s", (int)target.n, target.p);
	store_snap_end(&s);
	slice copy = arena_copy(f->arena, buf_slice(&b));
	buf_free(&b);
	return copy.p;
}

static void forwards(struct fixture *f)
{
	const slice domain = S("example.test");
	err e = {0};
	uint32_t alice = make_account(f, "alice", "example.test"),
		 bob = make_account(f, "bob", "example.test"), carol;
	slice targets[LIMIT_ALIAS_TARGETS + 1] = {
		S("Far@elsewhere.test"), S("\"a b\"@example.org"), S("bob@example.test")};
	struct account_settings set = {.has_forward = true, .forward = targets, .n_forward = 2};

	assert_string_equal(forward_text(f, alice), "none");
	assert_int_equal(account_set(f->store, alice, &set, &e), 0);
	assert_string_equal(forward_text(f, alice), "keep Far@elsewhere.test a b@example.org");
	/* What is changed alone leaves the rest, and other settings leave it all. */
	set = (struct account_settings){.has_keep = true};
	assert_int_equal(account_set(f->store, alice, &set, &e), 0);
	assert_string_equal(forward_text(f, alice), "send Far@elsewhere.test a b@example.org");
	set = (struct account_settings){.has_forward = true, .forward = targets + 2, .n_forward = 1};
	assert_int_equal(account_set(f->store, alice, &set, &e), 0);
	set = (struct account_settings){.has_display_name = true, .display_name = S("Alice")};
	assert_int_equal(account_set(f->store, alice, &set, &e), 0);
	append_one(f, alice, MAILBOX_INBOX, "x\r\n", 0); /* writes the account's row */
	assert_string_equal(forward_text(f, alice), "send bob@example.test");
	assert_string_equal(forward_text(f, bob), "none");

	set = (struct account_settings){.has_keep = true, .keep = true};
	assert_int_equal(account_set(f->store, bob, &set, &e), -1);
	assert_int_equal(e.kind, ERR_MISSING);
	targets[0] = S("nobody");
	set = (struct account_settings){.has_forward = true, .forward = targets, .n_forward = 1};
	assert_int_equal(account_set(f->store, bob, &set, &e), -1);
	assert_int_equal(e.kind, ERR_SYNTAX);
	targets[0] = S("BOB+x@Example.TEST");
	assert_int_equal(account_set(f->store, bob, &set, &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
	for (size_t i = 0; i < COUNT_OF(targets); i++)
		targets[i] = S("far@elsewhere.test");
	set.n_forward = LIMIT_ALIAS_TARGETS + 1;
	assert_int_equal(account_set(f->store, bob, &set, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	set.n_forward = LIMIT_ALIAS_TARGETS;
	assert_int_equal(account_set(f->store, bob, &set, &e), 0);
	set.n_forward = 0;
	for (int i = 0; i < 2; i++) { /* none, and none again */
		assert_int_equal(account_set(f->store, bob, &set, &e), 0);
		assert_string_equal(forward_text(f, bob), "none");
	}
	set = (struct account_settings){
		.has_forward = true, .forward = targets, .n_forward = 1, .has_keep = true};
	assert_int_equal(account_add(f->store, S("carol"), domain, &set, &carol, &e), 0);
	assert_string_equal(forward_text(f, carol), "send far@elsewhere.test");
	targets[0] = S("dave@example.test");
	assert_int_equal(account_add(f->store, S("dave"), domain, &set, &carol, &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
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

static void forward_test(void **state)
{
	(void)state;
	fixture_each(forwards, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domain_test),
		cmocka_unit_test(account_test),
		cmocka_unit_test(alias_test),
		cmocka_unit_test(forward_test),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Digests kept beside messages: what was kept is found, in any order; what is gone leaves nothing behind. */
#include "limits.h"
#include "mailbox/digest.h"
#include "mailbox/fixture.h"
#include "mailbox/keys.h"
#include "mailbox/tx.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { MANY = 100 };

static slice record_of(uint64_t message, char z[32])
{
	return slice_make(z, (size_t)snprintf(z, 32, "digest %llu", (unsigned long long)message));
}

static void add(struct mailbox_digests *d, uint64_t message)
{
	char z[32];

	mailbox_digests_add(d, message, record_of(message, z));
}

static int keep(struct fixture *f, struct mailbox_digests *d, err *e)
{
	int rc = mailbox_digests_keep(f->store, d, e);

	buf_reset(&d->records);
	d->n = 0;
	return rc;
}

static bool has(struct mailbox_digest_scan *sc, uint64_t message)
{
	err e = {0};
	char z[32];
	slice got;
	int rc = mailbox_digest_at(sc, message, &got, &e);

	assert_true(rc >= 0);
	if (rc > 0)
		assert_true(slice_eq(got, record_of(message, z)));
	return rc > 0;
}

static unsigned rows(struct fixture *f, uint32_t account)
{
	struct key prefix = key_kind(account, KEY_DIGEST);
	struct store_snap s = {0};
	struct store_scan sc;
	slice k, v;
	err e = {0};
	unsigned n = 0;

	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(store_scan_open(&s, KEY_SLICE(prefix), &sc, &e), 0);
	while (store_scan_next(&sc, &k, &v, &e) > 0)
		n++;
	store_scan_close(&sc);
	store_snap_end(&s);
	return n;
}

static void kept(struct fixture *f)
{
	struct mailbox_digests d = {.secret = {1, 2}, .records = BUF_INIT(1 << 20)};
	struct mailbox_digest_scan sc;
	struct store_snap s = {0};
	uint64_t secret[2];
	err e = {0};

	d.account = make_account(f, "alice", "example.test");
	append_many(f, d.account, MAILBOX_INBOX, MANY); /* messages 1 to MANY */
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(mailbox_digest_secret(&s, d.account, secret, &e), 0);
	store_snap_end(&s);
	for (uint64_t m = 1; m <= MANY; m += 3)
		add(&d, m);
	add(&d, MANY + 7); /* is not there: nothing is kept of it */
	assert_int_equal(keep(f, &d, &e), 0);
	for (uint64_t m = MANY; m > 50; m--) /* beside what is there, and in any order */
		add(&d, m);
	assert_int_equal(keep(f, &d, &e), 0);

	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(mailbox_digest_secret(&s, d.account, secret, &e), 1);
	assert_true(secret[0] == 1 && secret[1] == 2);
	assert_int_equal(mailbox_digest_open(&s, d.account, &sc, &e), 0);
	for (uint64_t m = 0; m < MANY + 10; m++)
		assert_int_equal(has(&sc, m), m <= MANY && (m > 50 || m % 3 == 1));
	for (uint64_t m = MANY + 10; m-- > 0;)
		assert_int_equal(has(&sc, m * 7 % MANY), m * 7 % MANY > 50 || m * 7 % MANY % 3 == 1);
	mailbox_digest_close(&sc);
	store_snap_end(&s);

	d.secret[0] = 9;
	add(&d, 2);
	assert_int_equal(keep(f, &d, &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
	d.account = 999;
	add(&d, 2);
	assert_int_equal(keep(f, &d, &e), -1);
	assert_int_equal(e.kind, ERR_MISSING);
	buf_free(&d.records);
}

static int drop(struct store_tx *tx, void *arg, err *e)
{
	const uint64_t *at = arg;

	return digest_tx_drop(tx, (uint32_t)at[0], at[1], e);
}

/* Message by message, and with the account. */
static void dropped(struct fixture *f)
{
	struct mailbox_digests d = {.secret = {1, 2}, .records = BUF_INIT(1 << 20)};
	struct mailbox_digest_scan sc;
	struct store_snap s = {0};
	struct sweep w = {0};
	err e = {0};
	int rc;

	d.account = make_account(f, "bob", "example.test");
	append_many(f, d.account, MAILBOX_INBOX, MANY);
	for (uint64_t m = 1; m <= MANY; m++)
		add(&d, m);
	assert_int_equal(keep(f, &d, &e), 0);
	for (uint64_t m = 1; m <= MANY; m++) {
		uint64_t at[2] = {d.account, m};

		if (m % 4 != 3 || m == 7)
			assert_int_equal(store_commit(f->store, drop, at, &e), 0);
	}
	assert_int_equal(store_snap_begin(f->store, &s, &e), 0);
	assert_int_equal(mailbox_digest_open(&s, d.account, &sc, &e), 0);
	for (uint64_t m = 1; m <= MANY; m++)
		assert_int_equal(has(&sc, m), m % 4 == 3 && m != 7);
	mailbox_digest_close(&sc);
	store_snap_end(&s);
	assert_int_equal(rows(f, d.account), 1 + MANY / 4 - 1); /* the secret; the row of 7 is gone whole */

	assert_int_equal(account_remove(f->store, d.account, &e), 0);
	while ((rc = mailbox_sweep(f->store, &w, &e)) > 0)
		;
	assert_int_equal(rc, 0);
	assert_int_equal(rows(f, d.account), 0);
	buf_free(&d.records);
}

static void kept_test(void **state)
{
	(void)state;
	fixture_each(kept, NULL);
}

static void dropped_test(void **state)
{
	(void)state;
	fixture_each(dropped, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(kept_test), cmocka_unit_test(dropped_test)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

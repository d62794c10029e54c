/* The check of a whole store finds each kind of wrong that is done to a sound one, and nothing else. */
#include "base/wire.h"
#include "limits.h"
#include "mailbox/fixture.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"
#include "mailbox/view.h"
#include "queue/check.h"
#include "queue/queue.h"
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a sound store ---- */

#define QUEUE_ID "0123456789abcdef"

static int put_queued(struct store_tx *tx, void *arg, err *e)
{
	const uint8_t *id = (const uint8_t *)QUEUE_ID;
	struct queue_message m = {
		.sender = S("alice@example.test"),
		.envelope_id = S(""),
		.recipients = 1,
		.open = 1,
		.arrival_us = 1,
	};
	struct queue_recipient r = {
		.address = S("bob@elsewhere.test"),
		.domain = S("elsewhere.test"),
		.original = S(""),
		.via = S(""),
		.host = S(""),
		.last_reply = S(""),
		.state = QUEUE_WAITING,
		.due_us = 5,
	};

	(void)arg;
	if (store_tx_blob(tx, S("Subject: out\r\n\r\n"), &m.blob, e) < 0 || queue_tx_add(tx, id, &m, e) < 0)
		return -1;
	return queue_tx_put(tx, id, queue_lane(r.domain), 0, 1, &r, e);
}

static void fill(struct fixture *f)
{
	uint32_t alice = make_account(f, "alice", "example.test");
	uint32_t box = make_mailbox(f, alice, "Work/Done");
	struct uidset some = uids_of("2");
	struct expunge x = {.account = alice, .mailbox = box, .uids = &some};
	struct copy copy = {
		.account = alice, .mailbox = box, .to_account = alice, .to_mailbox = MAILBOX_INBOX};
	err e = {0};

	append_one(f, alice, box, "one", FLAG_SEEN);
	append_one(f, alice, box, "two", 0);
	append_one(f, alice, box, "three", FLAG_DELETED);
	assert_int_equal(mailbox_expunge(f->store, &x, &e), 0);
	uidset_free(&x.ret_expunged);
	uidset_free(&some);
	some = uids_of("1");
	copy.uids = &some;
	assert_int_equal(mailbox_copy(f->store, &copy, &e), 0);
	uidset_free(&copy.ret_source);
	uidset_free(&copy.ret_dest);
	uidset_free(&some);
	assert_int_equal(store_commit(f->store, put_queued, NULL, &e), 0);
}

/* ---- what is done to it ---- */

struct wrong {
	const char *name;
	store_run *run;
	const char *kind, *text; /* of the first finding */
};

static int drop(struct store_tx *tx, struct key k, err *e)
{
	slice v;

	assert_int_equal(store_tx_get(tx, KEY_SLICE(k), &v, e), 1); /* else the test would test nothing */
	return store_tx_del(tx, KEY_SLICE(k), e);
}

static int drop_message(struct store_tx *tx, void *arg, err *e)
{
	(void)arg;
	return drop(tx, key_message(1, 1), e);
}

static int drop_holder(struct store_tx *tx, void *arg, err *e)
{
	struct mailbox_message m;
	struct key k = key_message(1, 1);
	slice v;

	(void)arg;
	assert_int_equal(store_tx_get(tx, KEY_SLICE(k), &v, e), 1);
	assert_int_equal(row_message_get(v, 1, &m, e), 0);
	return drop(tx, key_holder(m.blob, 1, 1), e);
}

static int drop_blob(struct store_tx *tx, void *arg, err *e)
{
	struct mailbox_message m;
	struct key k = key_message(1, 1);
	slice v;

	(void)arg;
	assert_int_equal(store_tx_get(tx, KEY_SLICE(k), &v, e), 1);
	assert_int_equal(row_message_get(v, 1, &m, e), 0);
	return store_tx_blob_drop(tx, m.blob, e);
}

static int stray_blob(struct store_tx *tx, void *arg, err *e)
{
	uint64_t blob;

	(void)arg;
	return store_tx_blob(tx, S("nobody's"), &blob, e);
}

static int drop_block(struct store_tx *tx, void *arg, err *e)
{
	(void)arg;
	return drop(tx, key_block(1, MAILBOX_INBOX, 1 / MAILBOX_BLOCK), e);
}

static int drop_due(struct store_tx *tx, void *arg, err *e)
{
	struct key prefix = key_kind(1, KEY_DUE);
	struct key_name k;

	(void)arg;
	assert_int_equal(view_first(view_tx(tx), KEY_SLICE(prefix), &k, e), 1);
	return store_tx_del(tx, KEY_SLICE(k), e);
}

static int drop_name(struct store_tx *tx, void *arg, err *e)
{
	struct key_name k;

	(void)arg;
	key_name(&k, 1, 0, S("Drafts"));
	return store_tx_del(tx, KEY_SLICE(k), e);
}

static int change_account(struct store_tx *tx, void (*change)(struct account_row *), err *e)
{
	struct key k = key_kind(1, KEY_ACCOUNT);
	struct buf out = BUF_INIT(ROW_MAX);
	struct account_row row;
	slice v;

	assert_int_equal(store_tx_get(tx, KEY_SLICE(k), &v, e), 1);
	assert_int_equal(row_account_get(v, 1, &row, e), 0);
	change(&row);
	row_account_put(&out, &row);
	int rc = store_tx_put(tx, KEY_SLICE(k), buf_slice(&out), e);
	buf_free(&out);
	return rc;
}

static void one_more(struct account_row *row)
{
	row->messages++;
}

static void modseq_back(struct account_row *row)
{
	row->modseq = 1;
}

static int miscount(struct store_tx *tx, void *arg, err *e)
{
	(void)arg;
	return change_account(tx, one_more, e);
}

static int turn_back(struct store_tx *tx, void *arg, err *e)
{
	(void)arg;
	return change_account(tx, modseq_back, e);
}

static int drop_account(struct store_tx *tx, void *arg, err *e)
{
	(void)arg;
	return drop(tx, key_kind(1, KEY_ACCOUNT), e);
}

static int break_row(struct store_tx *tx, void *arg, err *e)
{
	struct key k = key_mailbox(1, MAILBOX_INBOX);

	(void)arg;
	return store_tx_put(tx, KEY_SLICE(k), S("\001\002\003"), e);
}

static int unknown_row(struct store_tx *tx, void *arg, err *e)
{
	(void)arg;
	return store_tx_put(tx, S("zebra"), S("x"), e);
}

static int drop_parcel(struct store_tx *tx, void *arg, err *e)
{
	struct parcel p = {.lane = queue_lane(S("elsewhere.test")), .due_us = 5};

	(void)arg;
	memcpy(p.id, QUEUE_ID, sizeof p.id);
	return queue_tx_parcel_del(tx, &p, e);
}

static int drop_recipient(struct store_tx *tx, void *arg, err *e)
{
	char kb[QUEUE_KEY_MAX];

	(void)arg;
	return store_tx_del(tx,
		queue_key_recipient(kb, (const uint8_t *)QUEUE_ID, queue_lane(S("elsewhere.test")), 0), e);
}

static int drop_queued(struct store_tx *tx, void *arg, err *e)
{
	char kb[QUEUE_KEY_MAX];

	(void)arg;
	return store_tx_del(tx, queue_key_message(kb, (const uint8_t *)QUEUE_ID), e);
}

static const struct wrong wrongs[] = {
	{"nothing", NULL, NULL, NULL},
	{"a message's row is gone", drop_message, "missing", "the message of UID 1 is not there"},
	{"its blob is not held", drop_holder, "missing", "message 1 does not hold its blob"},
	{"its blob is gone", drop_blob, "missing", "the content of message 1"},
	{"a blob is nobody's", stray_blob, "stray", "is held by nobody"},
	{"an entry block is gone", drop_block, "missing", "message 1 should be UID 1 of mailbox 1"},
	{"an expunged message waits no more", drop_due, "rule", "1 messages are in no mailbox, and 0 wait"},
	{"a mailbox has no name", drop_name, "rule", "has no name"},
	{"the account counts one too many", miscount, "count", "counted are 3 messages"},
	{"the account's modseq went back", turn_back, "rule", "newer than the account's last"},
	{"the account's row is gone", drop_account, "missing", "account 1 has rows and is not there"},
	{"a mailbox's row does not decode", break_row, "damaged", "does not decode"},
	{"a row of no kind", unknown_row, "stray", "no known kind"},
	{"a parcel is gone", drop_parcel, "missing", "would never be tried"},
	{"a recipient is gone", drop_recipient, "count", "should have 1 recipients open, there are 0"},
	{"a queued message is gone", drop_queued, "count",
		"counted are 1 messages for 1 recipients, there are 0"},
};

/* ---- looking ---- */

struct findings {
	unsigned n;
	bool matched;
	const struct wrong *wrong;
	char text[400]; /* the last one */
};

static void found(void *arg, enum check_what what, const char *text)
{
	struct findings *f = arg;

	f->n++;
	snprintf(f->text, sizeof f->text, "%s: %s", check_what_name(what), text);
	if (f->wrong && f->wrong->kind && !strcmp(check_what_name(what), f->wrong->kind) &&
		strstr(text, f->wrong->text))
		f->matched = true;
}

static void ignore(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)what;
	(void)done;
	(void)total;
}

static void look(struct fixture *f, struct findings *ret)
{
	struct check c = {.store = f->store, .bodies = true, .found = found, .progress = ignore, .arg = ret};
	struct check_totals t = {0};
	err e = {0};

	assert_int_equal(store_snap_begin(f->store, &c.snap, &e), 0);
	assert_int_equal(check_whole(&c, NULL, &t, &e), 0);
	store_snap_end(&c.snap);
	assert_int_equal(c.findings, ret->n);
}

static void one_wrong(struct fixture *f)
{
	const struct wrong *w = f->arg;
	struct findings got = {.wrong = w};
	err e = {0};

	f->damaged = w->run != NULL;
	fill(f);
	if (w->run && store_commit(f->store, w->run, f, &e) < 0)
		fail_msg("%s: %s", w->name, e.text);
	look(f, &got);
	if (w->run ? !got.matched : got.n > 0)
		fail_msg("%s: %u findings, such as: %s", w->name, got.n, got.text);
}

static void test_wrongs(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrongs); i++)
		fixture_each(one_wrong, (void *)(uintptr_t)&wrongs[i]);
}

/* ---- files ---- */

/* Flips one bit of the first such bytes in a file of a folder of the store. */
static void flip(struct fixture *f, const char *file, const char *bytes)
{
	static char all[8 << 20];
	char path[512];

	snprintf(path, sizeof path, "%s/%s", f->dir, file);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	ssize_t n = pread(fd, all, sizeof all, 0);
	assert_true(n > 0);
	char *at = memmem(all, (size_t)n, bytes, strlen(bytes));
	assert_non_null(at);
	at[0] ^= 1;
	assert_int_equal(pwrite(fd, at, 1, at - all), 1);
	close(fd);
}

static void make(struct fixture *f)
{
	uint32_t alice = make_account(f, "alice", "example.test");

	append_one(f, alice, MAILBOX_INBOX, "a text that stands in the log alone", 0);
	append_one(f, alice, MAILBOX_INBOX, "another one, which stays sound", 0);
}

static void look_damaged(struct fixture *f)
{
	static const struct wrong damage = {.kind = "damaged", .text = "blob"};
	struct findings got = {.wrong = &damage};

	f->damaged = true;
	look(f, &got);
	assert_true(got.matched);
}

static void test_flipped_log(void **state)
{
	struct fixture f;

	(void)state;
	fixture_lmdb(&f);
	fixture_run(&f, make, NULL);
	flip(&f, "volumes/00000001.vol", "a text that stands in the log alone");
	fixture_run(&f, look_damaged, NULL);
	fixture_free(&f);
}

static void look_sealed(struct fixture *f)
{
	static const struct wrong damage = {.kind = "damaged", .text = "the value of key"};
	struct findings got = {.wrong = &damage};

	f->damaged = true;
	look(f, &got);
	assert_true(got.matched);
}

static void name_account(struct fixture *f)
{
	const struct account_settings settings = {
		.has_display_name = true, .display_name = S("Alice Liddell the seventh")};
	err e = {0};

	make(f);
	assert_int_equal(account_set(f->store, 1, &settings, &e), 0);
}

static void test_flipped_value(void **state)
{
	struct fixture f;

	(void)state;
	fixture_lmdb(&f);
	fixture_run(&f, name_account, NULL);
	flip(&f, "keys/data.mdb", "Alice Liddell the seventh");
	fixture_run(&f, look_sealed, NULL);
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrongs),
		cmocka_unit_test(test_flipped_log),
		cmocka_unit_test(test_flipped_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

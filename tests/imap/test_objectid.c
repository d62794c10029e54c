#include "base/cleanup.h"
#include "imap/objectid.h"
#include "imap/write.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static slice emailid(struct buf *out, uint32_t account, uint64_t message)
{
	buf_reset(out);
	imap_emailid_write(out, account, message);
	return buf_slice(out);
}

static void test_there_and_back(void **state)
{
	struct buf out = BUF_INIT(IMAP_OBJECTID_MAX);
	uint64_t ids[] = {0, 1, 99, UINT32_MAX, UINT64_MAX}, back = 7;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		slice id = emailid(&out, UINT32_MAX, ids[i]);

		assert_true(imap_objectid_valid(id));
		assert_true(imap_emailid_read(id, UINT32_MAX, &back));
		assert_true(back == ids[i]);
		assert_false(imap_emailid_read(id, 1, &back));
	}
	buf_free(&out);
}

static void test_mailboxid(void **state)
{
	struct buf out = BUF_INIT(IMAP_OBJECTID_MAX);
	struct mailbox_row row = {.account = UINT32_MAX, .id = UINT32_MAX, .uidvalidity = UINT32_MAX};

	(void)state;
	imap_mailboxid_write(&out, &row);
	assert_false(out.failed);
	assert_true(slice_eq(buf_slice(&out), S("F4294967295-4294967295-4294967295")));
	assert_true(imap_objectid_valid(buf_slice(&out)));
	buf_free(&out);
}

static void test_what_is_none(void **state)
{
	static const char *const none[] = {"", "M", "M1", "M1-", "M-1", "M01-1", "M1-01", "M1-x", "F1-1",
		"1-1", "M1-1-1", "M1-18446744073709551616", "M4294967296-1", "m1-1"};
	uint64_t id = 7;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_false(imap_emailid_read(slice_of(none[i]), 1, &id));
	assert_true(id == 7);
	assert_false(imap_objectid_valid(S("")));
	assert_false(imap_objectid_valid(S("a b")));
	assert_false(imap_objectid_valid(S("a\xc3\xa9")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_mailboxid),
		cmocka_unit_test(test_what_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/cleanup.h"
#include "imap/url.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *in, *mailbox, *section;
	uint32_t uidvalidity, uid;
	uint64_t from, count;
	bool has_count;
} good[] = {
	{"/INBOX/;UID=20", "INBOX", "", 0, 20, 0, 0, false},
	{"/a/b;uidvalidity=7/;uid=4294967295", "a/b", "", 7, UINT32_MAX, 0, 0, false},
	{"/a%20%C3%A9/;UID=1/;SECTION=1.2.MIME", "a \xc3\xa9", "1.2.MIME", 0, 1, 0, 0, false},
	{"/a/;UID=1/;SECTION=HEADER.FIELDS%20(X)/;PARTIAL=3.9", "a", "HEADER.FIELDS (X)", 0, 1, 3, 9, true},
	{"/a/;UID=1/;PARTIAL=3", "a", "", 0, 1, 3, 0, false},
	{";UID=5/;SECTION=TEXT", NULL, "TEXT", 0, 5, 0, 0, false},
	{"/;UID=5", NULL, "", 0, 5, 0, 0, false},
};

static const char *const bad[] = {"", "/", "INBOX", "/INBOX", "/INBOX/;UID=", "/INBOX/;UID=0",
	"/INBOX/;UID=1x", "/INBOX/;UID=4294967296", "/INBOX;UIDVALIDITY=0/;UID=1",
	"/INBOX;UIDVALIDITY=/;UID=1", ";UIDVALIDITY=1;UID=1", "imap://h/INBOX/;UID=1", "//h/INBOX/;UID=1",
	"INBOX/;UID=1", "/a%/;UID=1", "/a%2/;UID=1", "/a%zz/;UID=1", "/a%00/;UID=1", "/a%0d/;UID=1",
	"/%ff/;UID=1", "/a/;UID=1/;SECTION=", "/a/;UID=1/;PARTIAL=", "/a/;UID=1/;PARTIAL=1.0",
	"/a/;UID=1/;PARTIAL=.1", "/a/;UID=1/;PARTIAL=99999999999999999999",
	"/a/;UID=1;URLAUTH=anonymous:internal:x"};

static void test_good(void **state)
{
	struct arena *a = arena_new(1 << 16);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct imap_url u;

		assert_true(imap_url_parse(slice_of(good[i].in), a, &u));
		assert_true(slice_eq(u.mailbox, slice_of(good[i].mailbox)));
		assert_true((u.mailbox.p != NULL) == (good[i].mailbox != NULL));
		assert_true(slice_eq(u.section, slice_of(good[i].section)));
		assert_int_equal(u.uidvalidity, good[i].uidvalidity);
		assert_int_equal(u.uid, good[i].uid);
		assert_true(u.from == good[i].from && u.count == good[i].count &&
			    u.has_count == good[i].has_count);
	}
	arena_free(a);
}

static void test_bad(void **state)
{
	struct arena *a = arena_new(1 << 16);
	struct imap_url u = {.uid = 77};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (imap_url_parse(slice_of(bad[i]), a, &u))
			fail_msg("taken: %s", bad[i]);
	}
	assert_int_equal(u.uid, 77);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

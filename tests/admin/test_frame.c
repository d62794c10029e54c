/* Frames and the look at JSON's depth that stands in front of jansson. */
#include "admin/frame.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_head(void **state)
{
	(void)state;
	uint8_t head[4];
	uint32_t n = 7;

	admin_frame_head_write(0x00010203, head);
	assert_memory_equal(head, "\0\1\2\3", 4);
	assert_true(admin_frame_head_read(head, ADMIN_FRAME_MAX, &n));
	assert_int_equal(n, 0x00010203);
	assert_false(admin_frame_head_read(head, 0x00010202, &n));
	assert_false(admin_frame_head_read((const uint8_t *)"\0\0\0\0", ADMIN_FRAME_MAX, &n));
	assert_false(admin_frame_head_read((const uint8_t *)"\xff\xff\xff\xff", ADMIN_FRAME_MAX, &n));
	assert_int_equal(n, 0x00010203);
}

static void test_depth(void **state)
{
	(void)state;

	assert_true(admin_json_depth(S("{\"a\":[1]}"), 2));
	assert_false(admin_json_depth(S("{\"a\":[1]}"), 1));
	assert_true(admin_json_depth(S("\"[[[[[[\""), 1));
	assert_true(admin_json_depth(S("\"\\\"[[[[[[\""), 1));
	assert_false(admin_json_depth(S("\"\\\\\"[["), 1));
	assert_true(admin_json_depth(S("[][][][]"), 1));
	assert_true(admin_json_depth(S("]]]][]"), 1));
	assert_true(admin_json_depth(S("\"\\"), 1));
	assert_true(admin_json_depth(S(""), 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_depth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/encode.h"
#include "base/err.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_set(void **state)
{
	err e = {0};

	(void)state;
	errno = EBADF;
	assert_int_equal(err_set(&e, ERR_LIMIT, "%d of %s", 5, "them"), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_int_equal(e.sys, 0);
	assert_string_equal(e.text, "5 of them");
	assert_int_equal(strncmp(e.where, "tests/base/test_err.c:", 22), 0);
	assert_int_equal(errno, EBADF);
	assert_int_equal(err_set(NULL, ERR_LIMIT, "nobody asks"), -1);
	assert_int_equal(err_sys(NULL, ERR_IO, "nobody asks"), -1);
}

static void test_errno(void **state)
{
	err e = {0};

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_sys(&e, ERR_IO, "file \"%s\"", "x"), -1);
	assert_int_equal(e.sys, ENOENT);
	assert_string_equal(e.text, "file \"x\": No such file or directory");
	assert_string_equal(err_sys_text(EACCES), "Permission denied");
	assert_string_equal(err_sys_text(99999), "unknown error");
	assert_string_equal(err_sys_text(-1), "unknown error");
}

static void test_own_text_again(void **state)
{
	err e;

	(void)state;
	(void)err_set(&e, ERR_IO, "inner");
	(void)err_set(&e, ERR_TEMP, "outer: %s", e.text);
	assert_string_equal(e.text, "outer: inner");
}

/* A sentence that is too long is cut between characters. */
static void test_long(void **state)
{
	char text[300];
	err e;

	(void)state;
	for (size_t lead = 0; lead < 4; lead++) {
		memset(text, 'x', lead);
		for (size_t i = lead; i + 3 < sizeof text; i += 3)
			memcpy(text + i, "\xe2\x82\xac", 4);
		(void)err_set(&e, ERR_SYNTAX, "%s", text);
		assert_true(strlen(e.text) >= sizeof e.text - 4 && strlen(e.text) < sizeof e.text);
		assert_true(utf8_valid(slice_of(e.text)));
	}
}

static void test_names(void **state)
{
	(void)state;
	for (int kind = ERR_NONE; kind <= ERR_CANCELED; kind++) {
		assert_string_not_equal(err_kind_name((enum err_kind)kind), "unknown");
		for (int other = ERR_NONE; other < kind; other++)
			assert_string_not_equal(
				err_kind_name((enum err_kind)kind), err_kind_name((enum err_kind)other));
	}
	assert_string_equal(err_kind_name((enum err_kind)99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_own_text_again),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

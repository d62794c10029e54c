/* Secrets of routes: kept as they are, beside the accounts' verifiers, over a restart. */
#include "auth/credential_int.h"
#include "auth/relay.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct world {
	char folder[64];
	struct credentials *c;
	void (*run)(struct world *w);
};

static void on_fiber(void *arg)
{
	struct world *w = arg;

	w->run(w);
}

/* Each in turn, with the store closed and opened in between. */
static void in_turn(void (*const *runs)(struct world *w), size_t n)
{
	static const char *const names[] = {"data.mdb", "lock.mdb"};
	struct world w = {.folder = "/tmp/test-relay-XXXXXX"};
	char path[100];
	err e;

	assert_non_null(mkdtemp(w.folder));
	for (size_t i = 0; i < n; i++) {
		struct loop *loop = loop_new("test");
		w.c = credentials_open(w.folder, 1, &e);
		w.run = runs[i];
		assert_non_null(w.c);
		assert_non_null(fiber_start("test", on_fiber, &w));
		loop_run(loop);
		credentials_close(w.c);
		loop_free(loop);
	}
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", w.folder, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(w.folder), 0);
}

static void is(struct world *w, uint32_t route, slice want)
{
	struct buf got = BUF_INIT(LIMIT_SECRET);
	err e = {0};

	if (relay_secret_get(w->c, route, &got, &e) < 0)
		fail_msg("%u: %s", route, e.text);
	assert_true(slice_eq(buf_slice(&got), want));
	buf_free(&got);
}

static enum err_kind fails(struct world *w, uint32_t route, size_t room)
{
	struct buf got = BUF_INIT(room);
	err e = {0};

	assert_int_equal(relay_secret_get(w->c, route, &got, &e), -1);
	assert_int_equal(got.n, 0);
	buf_free(&got);
	return e.kind;
}

static void first_start(struct world *w)
{
	static char longest[LIMIT_SECRET + 1];
	err e = {0};

	memset(longest, 'x', sizeof longest);
	assert_int_equal(fails(w, 7, 100), ERR_MISSING);
	assert_int_equal(relay_secret_set(w->c, 7, S("p\0ss w\xc3\xb6rd"), &e), 0);
	is(w, 7, S("p\0ss w\xc3\xb6rd"));
	assert_int_equal(fails(w, 8, 100), ERR_MISSING);
	/* an account of the same number is something else */
	assert_int_equal(secret_set(w->c, 7, S("an account's"), &e), 0);
	is(w, 7, S("p\0ss w\xc3\xb6rd"));
	assert_int_equal(secret_remove(w->c, 7, &e), 0);
	is(w, 7, S("p\0ss w\xc3\xb6rd"));
	/* set again, longest, too long, none */
	assert_int_equal(relay_secret_set(w->c, 7, S("other"), &e), 0);
	is(w, 7, S("other"));
	assert_int_equal(relay_secret_set(w->c, 9, slice_make(longest, LIMIT_SECRET), &e), 0);
	is(w, 9, slice_make(longest, LIMIT_SECRET));
	assert_int_equal(fails(w, 9, LIMIT_SECRET - 1), ERR_TEMP);
	assert_int_equal(relay_secret_set(w->c, 9, slice_make(longest, LIMIT_SECRET + 1), &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_int_equal(relay_secret_set(w->c, 9, S(""), &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	is(w, 9, slice_make(longest, LIMIT_SECRET));
	assert_int_equal(relay_secret_remove(w->c, 9, &e), 0);
	assert_int_equal(relay_secret_remove(w->c, 9, &e), 0);
	assert_int_equal(fails(w, 9, 100), ERR_MISSING);
}

static void second_start(struct world *w)
{
	err e;

	is(w, 7, S("other"));
	assert_int_equal(fails(w, 9, 100), ERR_MISSING);
	/* what is damaged is not sent to anybody */
	static const slice bad[] = {SLICE_INIT("x"), SLICE_INIT("\x01secret\0\0\0\0")};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		assert_int_equal(credentials_write(w->c, CREDENTIAL_RELAY, 7, bad[i], &e), 0);
		assert_int_equal(fails(w, 7, 100), ERR_CORRUPT);
	}
	assert_int_equal(relay_secret_set(w->c, 7, S("mended"), &e), 0);
	is(w, 7, S("mended"));
}

static void kept_over_a_restart(void **state)
{
	static void (*const runs[])(struct world *) = {first_start, second_start};

	(void)state;
	in_turn(runs, COUNT_OF(runs));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(kept_over_a_restart)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

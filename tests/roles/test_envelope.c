/* The envelope between roles: what goes in comes out, and nothing else is taken. */
#include "limits.h"
#include "roles/common/envelope.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct envelope full(struct envelope_recipient *r)
{
	r[0] = (struct envelope_recipient){S("a b"), S("c.example"), S("rfc822;x@y.example"), 4};
	r[1] = (struct envelope_recipient){S("postmaster"), S(""), S(""), 0};
	return (struct envelope){
		.sender = S("you@example.test"),
		.id = S("env"),
		.ret = 2,
		.flags = 12,
		.release_s = 1795532400,
		.has_by = true,
		.by_mode = 'R',
		.by_trace = true,
		.by_deadline_s = 1795539600,
		.priority = -9,
		.trace = {S("192.0.2.7"), S("client.example"), S("[192.0.2.7]"), S("TLSv1.3 x"), S("ESMTPSA"),
			S("you@example.test")},
		.recipients = r,
		.n = 2,
	};
}

static void test_round(void **state)
{
	struct envelope_recipient r[2];
	struct envelope in = full(r), out;
	struct buf b = BUF_INIT(65536), again = BUF_INIT(65536);
	struct arena *a = arena_new(65536);
	err e = {0};

	(void)state;
	envelope_encode(&b, &in);
	assert_int_equal(envelope_decode(buf_slice(&b), a, &out, &e), 0);
	envelope_encode(&again, &out);
	assert_true(slice_eq(buf_slice(&b), buf_slice(&again)) && !b.failed);
	assert_true(out.release_s == in.release_s && out.by_deadline_s == in.by_deadline_s);
	assert_true(out.has_by && out.by_mode == 'R' && out.by_trace && out.priority == -9);
	assert_true(slice_eq(out.trace.ip, in.trace.ip) && slice_eq(out.trace.name, in.trace.name) &&
		    slice_eq(out.trace.helo, in.trace.helo) && slice_eq(out.trace.tls, in.trace.tls) &&
		    slice_eq(out.trace.protocol, in.trace.protocol) &&
		    slice_eq(out.trace.user, in.trace.user));
	assert_true(
		out.n == 2 && slice_eq(out.recipients[0].local, S("a b")) && out.recipients[0].notify == 4);

	/* Cut anywhere, or with a byte too many, it is none. */
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(envelope_decode(slice_sub(buf_slice(&b), 0, n), a, &out, &e), -1);
	buf_add_c(&b, 0);
	assert_int_equal(envelope_decode(buf_slice(&b), a, &out, &e), -1);
	arena_free(a);
	buf_free(&b);
	buf_free(&again);
}

static int round_rc(const struct envelope *in, struct envelope *ret)
{
	struct buf b = BUF_INIT(1 << 20);
	struct arena *a = arena_new(1 << 20);
	err e = {0};

	envelope_encode(&b, in);
	int rc = envelope_decode(buf_slice(&b), a, ret, &e);
	arena_free(a);
	buf_free(&b);
	return rc;
}

static void test_ranges(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct envelope_recipient *r =
		arena_new_n(a, struct envelope_recipient, LIMIT_ENVELOPE_RECIPIENTS + 1);
	char text[400];
	struct envelope in, out;

	(void)state;
	assert_non_null(r);
	in = full(r);
	in.priority = 10;
	assert_int_equal(round_rc(&in, &out), -1);
	in.priority = -10;
	assert_int_equal(round_rc(&in, &out), -1);
	in = full(r);
	in.release_s = -1;
	assert_int_equal(round_rc(&in, &out), -1);
	in = full(r);
	in.by_deadline_s = INT64_MAX;
	assert_int_equal(round_rc(&in, &out), -1);
	in.has_by = false;
	assert_int_equal(round_rc(&in, &out), 0);
	assert_true(!out.has_by && out.by_mode == 0 && out.by_deadline_s == 0);
	in = full(r);
	in.n = LIMIT_ENVELOPE_RECIPIENTS;
	assert_int_equal(round_rc(&in, &out), 0);
	in.n = LIMIT_ENVELOPE_RECIPIENTS + 1;
	assert_int_equal(round_rc(&in, &out), -1);
	/* A text is cut at a character; 299 + 2 bytes become 299. */
	in = full(r);
	memset(text, 'x', sizeof text);
	memcpy(text + 299, "\xc3\xa9", 2);
	in.trace.helo = slice_make(text, 301);
	struct buf b = BUF_INIT(65536);
	envelope_encode(&b, &in);
	assert_int_equal(envelope_decode(buf_slice(&b), a, &out, NULL), 0);
	assert_int_equal(out.trace.helo.n, 299);
	buf_free(&b);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_ranges),
	};
	return cmocka_run_group_tests_name("roles/envelope", tests, NULL, NULL);
}

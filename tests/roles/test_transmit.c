/* Jobs and results as they travel between backend and outbound. */
#include "roles/common/transmit.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct transmit_recipient recipients[] = {
	{SLICE_INIT("ann@example.net"), SLICE_INIT("rfc822;Ann@example.net"), 2 | 8},
	{SLICE_INIT("\"b ob\"@example.net"), {NULL, 0}, 0},
};

static struct transmit_job full_job(void)
{
	return (struct transmit_job){
		.id = {1, 2, 3, [15] = 255},
		.domain = S("example.net"),
		.sender = S("me@example.org"),
		.envelope_id = S("QQ314159"),
		.ret = 2,
		.flags = 5,
		.needs = 255,
		.priority = -9,
		.has_by = true,
		.by_trace = true,
		.by_mode = 'R',
		.by_seconds = -120,
		.head = S("Delivered-To: list@example.org\r\n"),
		.route = {7, S("relay.example"), 587, 2, 1, 8, S("user@relay.example"), S("192.0.2.1")},
		.recipients = recipients,
		.n = COUNT_OF(recipients),
	};
}

static struct transmit_outcome_row rows[] = {
	{1, 8, 250, {2, 0, 0}, true, SLICE_INIT("queued as 1234"), false},
	{3, 6, 550, {5, 1, 1}, false, SLICE_INIT("no such user"), true},
	{4, 8, 0, {0, 0, 0}, false, SLICE_INIT("the connection ended"), false},
};

static struct transmit_result full_result(void)
{
	return (struct transmit_result){
		.host = S("mx.example.net"),
		.ip = S("2001:db8::1"),
		.port = 25,
		.tls = S("TLSv1.3 TLS_AES_256_GCM_SHA384"),
		.verified = true,
		.reach = TRANSMIT_TALKED,
		.relayed = true,
		.rows = rows,
		.n = COUNT_OF(rows),
	};
}

/* A block of exactly these bytes, so that a sanitizer sees a byte read too far. */
static slice exact(slice s)
{
	char *p = malloc(s.n ? s.n : 1);

	assert_non_null(p);
	if (s.n)
		memcpy(p, s.p, s.n);
	return slice_make(p, s.n);
}

static int decode_job(slice s, struct transmit_job *ret)
{
	static struct arena *a;
	slice copy = exact(s);
	err e = {0};

	arena_free(a);
	a = arena_new(1 << 20);
	int rc = transmit_job_decode(copy, a, ret, &e);
	if (rc < 0)
		assert_int_equal(e.kind, ERR_CORRUPT);
	free((void *)(uintptr_t)copy.p);
	return rc;
}

static int decode_result(slice s, struct transmit_result *ret)
{
	static struct arena *a;
	slice copy = exact(s);
	err e = {0};

	arena_free(a);
	a = arena_new(1 << 20);
	int rc = transmit_result_decode(copy, a, ret, &e);
	if (rc < 0)
		assert_int_equal(e.kind, ERR_CORRUPT);
	free((void *)(uintptr_t)copy.p);
	return rc;
}

#define SAME(field) assert_true(slice_eq(got.field, want.field))

static void test_job(void **state)
{
	struct buf b = BUF_INIT(TRANSMIT_JOB_MAX);
	struct transmit_job want = full_job(), got;
	struct arena *a = arena_new(1 << 20);

	(void)state;
	transmit_job_encode(&b, &want);
	assert_false(b.failed);
	assert_int_equal(transmit_job_decode(buf_slice(&b), a, &got, NULL), 0);
	assert_memory_equal(got.id, want.id, sizeof want.id);
	SAME(domain);
	SAME(sender);
	SAME(envelope_id);
	SAME(head);
	SAME(route.host);
	SAME(route.user);
	SAME(route.source);
	assert_int_equal(got.route.id, 7);
	assert_int_equal(got.route.port, 587);
	assert_int_equal(got.route.tls, 2);
	assert_int_equal(got.route.mechanism, 1);
	assert_int_equal(got.route.flags, 8);
	assert_int_equal(got.ret, 2);
	assert_int_equal(got.flags, 5);
	assert_int_equal(got.needs, 255);
	assert_int_equal(got.priority, -9);
	assert_true(got.has_by && got.by_trace);
	assert_int_equal(got.by_mode, 'R');
	assert_int_equal(got.by_seconds, -120);
	assert_int_equal(got.n, want.n);
	for (size_t i = 0; i < got.n; i++) {
		SAME(recipients[i].address);
		SAME(recipients[i].original);
		assert_int_equal(got.recipients[i].notify, want.recipients[i].notify);
	}
	arena_free(a);
	buf_free(&b);
}

static void test_result(void **state)
{
	struct buf b = BUF_INIT(TRANSMIT_RESULT_MAX);
	struct transmit_result want = full_result(), got;
	struct arena *a = arena_new(1 << 20);

	(void)state;
	transmit_result_encode(&b, &want);
	assert_false(b.failed);
	assert_int_equal(transmit_result_decode(buf_slice(&b), a, &got, NULL), 0);
	SAME(host);
	SAME(ip);
	SAME(tls);
	assert_int_equal(got.port, 25);
	assert_true(got.verified && got.relayed);
	assert_int_equal(got.reach, TRANSMIT_TALKED);
	assert_int_equal(got.n, want.n);
	for (size_t i = 0; i < got.n; i++) {
		SAME(rows[i].text);
		assert_int_equal(got.rows[i].outcome, want.rows[i].outcome);
		assert_int_equal(got.rows[i].stage, want.rows[i].stage);
		assert_int_equal(got.rows[i].code, want.rows[i].code);
		assert_int_equal(got.rows[i].dsn_passed, want.rows[i].dsn_passed);
		assert_int_equal(got.rows[i].own, want.rows[i].own);
		assert_memory_equal(got.rows[i].status, want.rows[i].status, 3);
	}
	arena_free(a);
	buf_free(&b);
}

/* Every part of one is none, and neither is one with a byte too many. */
static void test_cut(void **state)
{
	struct buf b = BUF_INIT(TRANSMIT_JOB_MAX);
	struct transmit_job job = full_job();
	struct transmit_result result = full_result();

	(void)state;
	transmit_job_encode(&b, &job);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(decode_job(slice_make(b.p, n), &job), -1);
	buf_add_c(&b, 0);
	assert_int_equal(decode_job(buf_slice(&b), &job), -1);
	buf_reset(&b);
	transmit_result_encode(&b, &result);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(decode_result(slice_make(b.p, n), &result), -1);
	buf_add_c(&b, 0);
	assert_int_equal(decode_result(buf_slice(&b), &result), -1);
	buf_free(&b);
}

/* Any byte changed: refused or not, nothing is read outside and the numbers stay in their bounds. */
static void test_changed(void **state)
{
	struct buf b = BUF_INIT(TRANSMIT_JOB_MAX);
	struct transmit_job job = full_job();
	struct transmit_result result = full_result();

	(void)state;
	transmit_job_encode(&b, &job);
	for (size_t i = 0; i < b.n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			b.p[i] = (char)(b.p[i] ^ (char)(1 << bit));
			if (decode_job(buf_slice(&b), &job) == 0)
				assert_true(job.n <= TRANSMIT_RECIPIENTS);
			b.p[i] = (char)(b.p[i] ^ (char)(1 << bit));
		}
	buf_reset(&b);
	transmit_result_encode(&b, &result);
	for (size_t i = 0; i < b.n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			b.p[i] = (char)(b.p[i] ^ (char)(1 << bit));
			if (decode_result(buf_slice(&b), &result) == 0)
				for (size_t k = 0; k < result.n; k++)
					assert_true(result.rows[k].outcome >= TRANSMIT_SENT &&
						    result.rows[k].outcome <= TRANSMIT_UNKNOWN &&
						    result.rows[k].stage <= TRANSMIT_STAGE_LAST);
			b.p[i] = (char)(b.p[i] ^ (char)(1 << bit));
		}
	buf_free(&b);
}

static void test_limits(void **state)
{
	static struct transmit_outcome_row many[TRANSMIT_RECIPIENTS + 1];
	static struct transmit_recipient crowd[TRANSMIT_RECIPIENTS + 1];
	static char words[1000];
	struct buf b = BUF_INIT(1 << 20);
	struct transmit_result result = full_result();
	struct transmit_job job = full_job();

	(void)state;
	for (size_t i = 0; i + 1 < sizeof words; i += 2)
		memcpy(words + i, "\303\244", 2);
	for (size_t i = 0; i < COUNT_OF(many); i++)
		many[i] = (struct transmit_outcome_row){
			.outcome = TRANSMIT_RETRY, .text = slice_make(words + 1, sizeof words - 1)};
	many[0].text = slice_make(words, sizeof words); /* the others begin amid a character */
	for (size_t i = 1; i < COUNT_OF(many); i++)
		many[i].text = slice_make(words, TRANSMIT_TEXT - 2);
	many[1].text = S("a\303\244"); /* stays whole */
	result.rows = many;
	result.n = TRANSMIT_RECIPIENTS;
	transmit_result_encode(&b, &result);
	assert_true(b.n <= TRANSMIT_RESULT_MAX);
	assert_int_equal(decode_result(buf_slice(&b), &result), 0);
	result = full_result();
	result.rows = many;
	result.n = TRANSMIT_RECIPIENTS + 1;
	buf_reset(&b);
	transmit_result_encode(&b, &result);
	assert_int_equal(decode_result(buf_slice(&b), &result), -1);

	job.recipients = crowd;
	job.n = TRANSMIT_RECIPIENTS + 1;
	buf_reset(&b);
	transmit_job_encode(&b, &job);
	assert_int_equal(decode_job(buf_slice(&b), &job), -1);
	buf_free(&b);
}

static void test_dirty_text(void **state)
{
	static const slice texts[] = {SLICE_INIT("a\nb"), SLICE_INIT("\377"), SLICE_INIT("a\0b"),
		SLICE_INIT("\303"), SLICE_INIT("\177")};
	struct buf b = BUF_INIT(TRANSMIT_RESULT_MAX);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct transmit_outcome_row row = {.outcome = TRANSMIT_SENT, .text = texts[i]};
		struct transmit_result r = {.rows = &row, .n = 1};

		buf_reset(&b);
		transmit_result_encode(&b, &r);
		assert_int_equal(decode_result(buf_slice(&b), &r), -1);
		row.text = S("fine");
		r = (struct transmit_result){.rows = &row, .n = 1, .host = texts[i]};
		buf_reset(&b);
		transmit_result_encode(&b, &r);
		assert_int_equal(decode_result(buf_slice(&b), &r), -1);
	}
	buf_free(&b);
}

static void test_recipient_bytes(void **state)
{
	static char text[300];
	struct transmit_job job = full_job();
	struct buf b = BUF_INIT(TRANSMIT_JOB_MAX);

	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t n = 0; n < sizeof text; n++) {
		struct transmit_recipient r = {slice_make(text, n), slice_make(text, n / 2), 1};

		job.n = 0;
		buf_reset(&b);
		transmit_job_encode(&b, &job);
		size_t without = b.n;
		job.recipients = &r;
		job.n = 1;
		buf_reset(&b);
		transmit_job_encode(&b, &job);
		assert_int_equal(b.n - without, transmit_recipient_bytes(&r));
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job),
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_dirty_text),
		cmocka_unit_test(test_recipient_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

/* Standard error goes into a pipe while a test runs: cmocka prints its own lines afterwards. */
struct capture {
	int saved, in;
	char text[4500]; /* a line and some */
	slice got;
};

static void capture_begin(struct capture *c)
{
	int pipe_fds[2];

	c->saved = dup(STDERR_FILENO);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	c->in = pipe_fds[0];
	assert_true(dup2(pipe_fds[1], STDERR_FILENO) >= 0);
	close(pipe_fds[1]);
	clock_fake(1, 1704067199000042); /* 2023-12-31T23:59:59.000042Z */
}

/* What was written since the last call. */
static slice captured(struct capture *c)
{
	ssize_t n = read(c->in, c->text, sizeof c->text);

	c->got = slice_make(c->text, n > 0 ? (size_t)n : 0);
	return c->got;
}

static void capture_end(struct capture *c)
{
	dup2(c->saved, STDERR_FILENO);
	close(c->saved);
	close(c->in);
	clock_fake(0, 0);
}

static void expect(struct capture *c, const char *want)
{
	slice got = captured(c);

	if (!slice_eq(got, slice_of(want))) {
		capture_end(c);
		print_error("got:  %" SLICE_FMT "want: %s", SLICE_ARG(got), want);
		fail();
	}
}

#define HEAD "time=2023-12-31T23:59:59.000042Z level=info role=test event=it"

static void test_logfmt(void **state)
{
	struct capture c;

	(void)state;
	log_setup("test", LOG_INFO, LOG_FORMAT_LOGFMT, false);
	capture_begin(&c);
	errno = ENOENT;
	log_event(LOG_INFO, "it", F_STR("queue_id", "01arz"), F_SLICE("from", S("a@b")),
		F_U64("size", UINT64_MAX), F_I64("delta", -5), F_STR("none", NULL));
	int after = errno;
	expect(&c, HEAD " queue_id=01arz from=a@b size=18446744073709551615 delta=-5 none=\"\"\n");
	assert_int_equal(after, ENOENT);
	log_event(LOG_INFO, "it");
	expect(&c, HEAD "\n");
	log_event(LOG_DEBUG, "not wanted");
	expect(&c, "");
	log_setup("test", LOG_DEBUG, LOG_FORMAT_LOGFMT, true);
	log_event(LOG_DEBUG, "it");
	expect(&c, "<7>time=2023-12-31T23:59:59.000042Z level=debug role=test event=it\n");
	log_setup(NULL, LOG_ERROR, LOG_FORMAT_LOGFMT, true);
	log_event(LOG_WARN, "not wanted");
	log_event(LOG_ERROR, "it");
	expect(&c, "<3>time=2023-12-31T23:59:59.000042Z level=error event=it\n");
	capture_end(&c);
}

static void test_escapes(void **state)
{
	static const struct {
		slice in;
		const char *logfmt, *json;
	} cases[] = {
		{SLICE_INIT("plain"), "plain", "\"plain\""},
		{SLICE_INIT("two words"), "\"two words\"", "\"two words\""},
		{SLICE_INIT("a=b"), "\"a=b\"", "\"a=b\""},
		{SLICE_INIT("say \"x\\\""), "\"say \\\"x\\\\\\\"\"", "\"say \\\"x\\\\\\\"\""},
		{SLICE_INIT("a\r\nb\tc"), "\"a\\r\\nb\\tc\"", "\"a\\r\\nb\\tc\""},
		{SLICE_INIT("\0\x1b\x7f"), "\"\\u0000\\u001b\\u007f\"", "\"\\u0000\\u001b\\u007f\""},
		{SLICE_INIT("\xc3\xa4\xf0\x9f\x98\x80"), "\"\xc3\xa4\xf0\x9f\x98\x80\"",
			"\"\xc3\xa4\xf0\x9f\x98\x80\""},
		{SLICE_INIT("\xff.\xc3"), "\"\\xff.\\xc3\"", "\"\\ufffd.\\ufffd\""},
		{SLICE_INIT("\xc2\x85"), "\"\\u0085\"", "\"\\u0085\""},
		{SLICE_INIT("\xe2\x80\xa8\xe2\x80\xa9"), "\"\\u2028\\u2029\"", "\"\\u2028\\u2029\""},
		{SLICE_INIT("\xe2\x80\xaa\xe2\x80\xae"), "\"\\u202a\\u202e\"", "\"\\u202a\\u202e\""},
		{SLICE_INIT("\xe2\x81\xa6\xe2\x81\xa9"), "\"\\u2066\\u2069\"", "\"\\u2066\\u2069\""},
		{SLICE_INIT("\xe2\x80\xaf\xe2\x81\xa5"), "\"\xe2\x80\xaf\xe2\x81\xa5\"",
			"\"\xe2\x80\xaf\xe2\x81\xa5\""},
	};
	char want[400];
	struct capture c;

	(void)state;
	capture_begin(&c);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		log_setup("test", LOG_INFO, LOG_FORMAT_LOGFMT, false);
		log_event(LOG_INFO, "it", F_SLICE("v", cases[i].in));
		snprintf(want, sizeof want, HEAD " v=%s\n", cases[i].logfmt);
		expect(&c, want);
		log_setup("test", LOG_INFO, LOG_FORMAT_JSON, false);
		log_event(LOG_INFO, "it", F_SLICE("v", cases[i].in), F_I64("n", -1));
		snprintf(want, sizeof want,
			"{\"time\":\"2023-12-31T23:59:59.000042Z\",\"level\":\"info\",\"role\":\"test\","
			"\"event\":\"it\",\"v\":%s,\"n\":-1}\n",
			cases[i].json);
		expect(&c, want);
	}
	capture_end(&c);
}

/* Whatever bytes come, JSON lines are JSON, one line an event. */
static void test_json_is_json(void **state)
{
	char bytes[256];
	struct capture c;
	json_t *read;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)i;
	capture_begin(&c);
	log_setup("test", LOG_INFO, LOG_FORMAT_JSON, false);
	log_event(LOG_INFO, "it", F_SLICE("all", slice_make(bytes, sizeof bytes)));
	captured(&c);
	capture_end(&c);
	assert_int_equal(slice_find_c(c.got, '\n'), c.got.n - 1);
	read = json_loadb(c.got.p, c.got.n, JSON_ALLOW_NUL, NULL);
	assert_non_null(read);
	assert_string_equal(json_string_value(json_object_get(read, "event")), "it");
	assert_true(json_string_length(json_object_get(read, "all")) >= 256);
	json_decref(read);
}

static void test_limits(void **state)
{
	char field[600], want[1200];
	struct log_field fields[20];
	struct capture c;
	size_t whole = 0;

	(void)state;
	log_setup("test", LOG_INFO, LOG_FORMAT_LOGFMT, false);
	memset(field, 'x', sizeof field);
	memcpy(field + 511, "\xc3\xa4", 2); /* across the cut */
	capture_begin(&c);
	log_event(LOG_INFO, "it", F_SLICE("v", slice_make(field, sizeof field)));
	snprintf(want, sizeof want, HEAD " v=\"%.511s...\"\n", field);
	expect(&c, want);

	/* a line that is full keeps whole fields, says so, and is still one line */
	memset(field, '\n', sizeof field);
	for (size_t i = 0; i < COUNT_OF(fields); i++)
		fields[i] = F_SLICE("v", slice_make(field, 400));
	fields[19] = F_U64("small", 7);
	log_emit(LOG_INFO, "it", fields, COUNT_OF(fields));
	captured(&c);
	capture_end(&c);
	assert_true(c.got.n <= 4096);
	assert_int_equal(slice_find_c(c.got, '\n'), c.got.n - 1);
	assert_true(slice_ends(c.got, S("\\n\" small=7 cut=1\n")));
	for (slice s = c.got; slice_find(s, S(" v=")) >= 0; whole++)
		s = slice_skip(s, (size_t)slice_find(s, S(" v=")) + 3);
	assert_int_equal(whole, 4);
}

/* A full pipe costs lines, never time, and the loss is told; the same with a pipe that would block. */
static void test_drops(void **state)
{
	(void)state;
	log_setup("test", LOG_INFO, LOG_FORMAT_LOGFMT, false);
	for (int blocking = 0; blocking < 2; blocking++) {
		struct capture c;
		size_t lines = 0;

		capture_begin(&c);
		if (blocking)
			fcntl(STDERR_FILENO, F_SETFL, 0);
		for (int i = 0; i < 5000; i++)
			log_event(LOG_INFO, "it");
		for (slice s = captured(&c); s.n; s = captured(&c))
			for (size_t i = 0; i < s.n; i++)
				lines += s.p[i] == '\n';
		log_event(LOG_INFO, "it");
		char want[200];
		snprintf(want, sizeof want, HEAD " dropped=%zu\n", 5000 - lines);
		expect(&c, want);
		log_event(LOG_INFO, "it");
		expect(&c, HEAD "\n");
		capture_end(&c);
		assert_true(lines > 100 && lines < 5000);
	}
}

static void test_dates(void **state)
{
	static const struct {
		int64_t s;
		const char *date;
	} cases[] = {
		{1, "1970-01-01T00:00:01"},
		{951782399, "2000-02-28T23:59:59"},
		{951782400, "2000-02-29T00:00:00"},
		{951868800, "2000-03-01T00:00:00"},
		{1709164800, "2024-02-29T00:00:00"},
		{1735689600, "2025-01-01T00:00:00"},
		{4107542400, "2100-03-01T00:00:00"},
		{4107456000, "2100-02-28T00:00:00"},
		{253402300799, "9999-12-31T23:59:59"},
	};
	char want[200];
	struct capture c;

	(void)state;
	log_setup("test", LOG_INFO, LOG_FORMAT_LOGFMT, false);
	capture_begin(&c);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		clock_fake(1, cases[i].s * 1000000);
		log_event(LOG_INFO, "it");
		snprintf(want, sizeof want, "time=%s.000000Z level=info role=test event=it\n", cases[i].date);
		expect(&c, want);
	}
	capture_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logfmt),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_json_is_json),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_drops),
		cmocka_unit_test(test_dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* cmocka wants these four in front of it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "queue/classify.h"
#include <string.h>

#define MS      "example-com.mail.protection.outlook.com"
#define GOOGLE  "gmail-smtp-in.l.google.com"
#define QQ      "mx3.qq.com"
#define NETEASE "163mx01.mxmail.netease.com"
#define ALI     "mx1.qiye.aliyun.com"
#define YAHOO   "mta7.am0.yahoodns.net"
#define APPLE   "mx01.mail.icloud.com"
#define GMX     "mx00.gmx.net"
#define ANYONE  "mx.example.net"

#define R  REFUSAL_RETRY
#define S_ REFUSAL_SLOW
#define G  REFUSAL_GREY
#define X  REFUSAL_GIVE_UP
#define A  REFUSAL_ALARM

struct real {
	const char *host;
	uint16_t code;
	uint8_t status[3];
	const char *text;
	enum refusal kind;
	const char *reason;
};

/* What servers were seen to say. Behind each where: a provider's own pages, a public tracker, bounces. */
static const struct real texts[] = {
#include "classify_texts.h"
};

static void test_real_texts(void **state)
{
	(void)state;
	static const char *const kinds[] = {"RETRY", "SLOW", "GREY", "GIVE_UP", "ALARM"};
	unsigned bad = 0;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		const struct real *t = &texts[i];
		struct refusal_found f =
			refusal_classify(t->code, t->status, slice_of(t->text), slice_of(t->host));
		if (f.kind == t->kind && strcmp(f.reason, t->reason) == 0)
			continue;
		print_error("%u %u.%u.%u %s: %s \"%s\", want %s \"%s\"\n", (unsigned)t->code, t->status[0],
			t->status[1], t->status[2], t->text, kinds[f.kind], f.reason, kinds[t->kind],
			t->reason);
		bad++;
	}
	assert_int_equal(bad, 0);
	assert_true(COUNT_OF(texts) >= 120);
}

/* Whatever alarms the owner says what to do; what is only slow or grey is never given up. */
static void test_advice(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		const struct real *t = &texts[i];
		struct refusal_found f =
			refusal_classify(t->code, t->status, slice_of(t->text), slice_of(t->host));
		assert_true(f.kind != REFUSAL_ALARM || (f.advice && *f.advice && *f.reason));
		assert_true(f.kind != REFUSAL_GREY || t->code < 500);
	}
}

static void test_defaults(void **state)
{
	(void)state;
	static const uint8_t none[3] = {0};
	static const struct {
		uint16_t code;
		enum refusal kind;
		const char *reason;
	} codes[] = {
		{0, R, ""},
		{421, S_, ""},
		{450, R, ""},
		{451, R, ""},
		{452, R, ""},
		{499, R, ""},
		{500, X, ""},
		{521, X, "null_mx"},
		{523, X, "size"},
		{530, A, "login"},
		{535, A, "login"},
		{550, X, ""},
		{552, X, ""},
		{554, X, ""},
		{556, X, "null_mx"},
		{599, X, ""},
	};
	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		struct refusal_found f = refusal_classify(codes[i].code, none, S(""), S(""));
		assert_int_equal(f.kind, codes[i].kind);
		assert_string_equal(f.reason, codes[i].reason);
	}
	/* a broken connection stays one, whatever the words */
	struct refusal_found f = refusal_classify(0, none, S("blocked using zen.spamhaus.org"), S(""));
	assert_int_equal(f.kind, REFUSAL_RETRY);
	/* every code has an answer */
	for (uint16_t code = 400; code < 600; code++) {
		f = refusal_classify(code, none, S("?"), S("x"));
		assert_true(code < 500 ? f.kind != REFUSAL_GIVE_UP
				       : f.kind == REFUSAL_GIVE_UP || f.kind == REFUSAL_ALARM);
	}
}

/* Addresses in the reply are names, and no words of the server. */
static void test_names_are_no_words(void **state)
{
	(void)state;
	static const uint8_t unknown[3] = {5, 1, 1};
	static const slice replies[] = {
		SLICE_INIT("<spamhaus@example.net>: Recipient address rejected: User unknown"),
		SLICE_INIT("<spf.dkim@virus.example>... User unknown"),
		SLICE_INIT("greylist@example.net no such user"),
		SLICE_INIT("Absorbs nothing"),
	};
	for (size_t i = 0; i < COUNT_OF(replies); i++) {
		struct refusal_found f = refusal_classify(550, unknown, replies[i], S("mx.example.net"));
		assert_int_equal(f.kind, REFUSAL_GIVE_UP);
		assert_string_equal(f.reason, "unknown_user");
	}
	/* but a host suffix is a whole label */
	struct refusal_found f = refusal_classify(
		550, (const uint8_t[3]){0}, S("mailbox unavailable or access denied"), S("notqq.com"));
	assert_int_equal(f.kind, REFUSAL_GIVE_UP);
	f = refusal_classify(
		550, (const uint8_t[3]){0}, S("mailbox unavailable or access denied"), S("mx1.QQ.com."));
	assert_int_equal(f.kind, REFUSAL_RETRY);
}

static void test_bounds(void **state)
{
	(void)state;
	static const uint8_t none[3] = {0};
	char big[5000];
	memset(big, 'a', sizeof big);
	assert_int_equal(
		refusal_classify(550, none, slice_make(big, sizeof big), S("")).kind, REFUSAL_GIVE_UP);
	memset(big, '\xff', sizeof big);
	memcpy(big + 10, " greylisted", 11);
	assert_int_equal(refusal_classify(450, none, slice_make(big, 30), S("")).kind, REFUSAL_GREY);
	assert_int_equal(refusal_classify(450, none, (slice){NULL, 0}, (slice){NULL, 0}).kind, REFUSAL_RETRY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_texts),
		cmocka_unit_test(test_advice),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_names_are_no_words),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

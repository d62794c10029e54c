/* Names of answers, and how the resolver role's answers are taken: a resolver with a table plays it. */
#include "base/wire.h"
#include "dns/dns.h"
#include "io/loop.h"
#include "limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define A253                                                                                                 \
	L63 L63 L63 "\x3d"                                                                                   \
		    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define L63                                                                                                  \
	"\x3f"                                                                                               \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_name_text(void **state)
{
	static const struct {
		slice rdata;
		const char *text; /* NULL: malformed */
		size_t rest;
	} cases[] = {
		{SLICE_INIT("\4Mail\7example\3ORG\0"), "mail.example.org", 0},
		{SLICE_INIT("\1a\0\1b\0"), "a", 3},
		{SLICE_INIT("\4a_-1\0"), "a_-1", 0},
		{SLICE_INIT(""), NULL, 0},
		{SLICE_INIT("\0"), NULL, 0}, /* the root names no host */
		{SLICE_INIT("\4mail"), NULL, 0},
		{SLICE_INIT("\5mail\0"), NULL, 0},
		{SLICE_INIT("\4mail\7exampl"), NULL, 0},
		{SLICE_INIT("\300\014"), NULL, 0}, /* pointers are resolved before */
		{SLICE_INIT("\100abc\0"), NULL, 0},
		{SLICE_INIT("\3a.b\0"), NULL, 0}, /* would read as two labels */
		{SLICE_INIT("\3a b\0"), NULL, 0},
		{SLICE_INIT("\3a\r\n\0"), NULL, 0},
		{SLICE_INIT("\3a\0b\0"), NULL, 0},
		{SLICE_INIT("\2\303\274\0"), NULL, 0},
		{SLICE_INIT("\2a\177\0"), NULL, 0},
		{SLICE_INIT(L63 L63 L63 L63 "\0"), NULL, 0}, /* 257 octets: RFC 1035 3.1 allows 255 */
		{SLICE_INIT(A253 "\1c\0"), NULL, 0},
	};
	char out[256];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		slice in = cases[i].rdata;
		bool good = dns_name_text(&in, out);

		if (good != (cases[i].text != NULL))
			print_error("case %zu\n", i);
		assert_int_equal(good, cases[i].text != NULL);
		if (good)
			assert_string_equal(out, cases[i].text);
		assert_int_equal(in.n, good ? cases[i].rest : cases[i].rdata.n);
	}
	slice longest = S(A253 "\0");
	assert_true(dns_name_text(&longest, out));
	assert_int_equal(strlen(out), 253);
}

static void test_reverse_name(void **state)
{
	static const struct {
		const char *address, *name;
	} cases[] = {
		{"192.0.2.1", "1.2.0.192.in-addr.arpa"},
		{"255.255.255.255", "255.255.255.255.in-addr.arpa"},
		{"2001:db8::567:89ab",
			"b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
		{"::", "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"},
		{"", NULL},
		{"192.0.2", NULL},
		{"192.0.2.256", NULL},
		{"192.0.2.1 ", NULL},
		{"mail.example.org", NULL},
		{"2001:db8::1%eth0", NULL},
	};
	char out[80];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(dns_reverse_name(cases[i].address, out), cases[i].name != NULL);
		if (cases[i].name)
			assert_string_equal(out, cases[i].name);
	}
}

/* ---- a resolver with a table ---- */

struct record {
	const char *name;
	enum dns_type type;
	slice rdata;
};
static const struct record zone[] = {
	{"1.2.0.192.in-addr.arpa", DNS_PTR, SLICE_INIT("\2mx\7example\0")},
	{"mx.example", DNS_A, SLICE_INIT("\300\000\002\002")},
	{"mx.example", DNS_A, SLICE_INIT("\300\000\002\001")},
	/* says it is somebody whose own addresses do not agree */
	{"2.2.0.192.in-addr.arpa", DNS_PTR, SLICE_INIT("\4bank\7example\0")},
	{"bank.example", DNS_A, SLICE_INIT("\300\000\002\007")},
	/* the second name is true; the first is none */
	{"3.2.0.192.in-addr.arpa", DNS_PTR, SLICE_INIT("\3a\nb\7example\0")},
	{"3.2.0.192.in-addr.arpa", DNS_PTR, SLICE_INIT("\4good\7example\0")},
	{"good.example", DNS_A, SLICE_INIT("\300\000\002\003")},
	/* the name that is true comes too late */
	{"4.2.0.192.in-addr.arpa", DNS_PTR, SLICE_INIT("\4bank\7example\0")},
	{"4.2.0.192.in-addr.arpa", DNS_PTR, SLICE_INIT("\4bank\7example\0")},
	{"4.2.0.192.in-addr.arpa", DNS_PTR, SLICE_INIT("\4bank\7example\0")},
	{"4.2.0.192.in-addr.arpa", DNS_PTR, SLICE_INIT("\4bank\7example\0")},
	{"4.2.0.192.in-addr.arpa", DNS_PTR, SLICE_INIT("\4bank\7example\0")},
	{"4.2.0.192.in-addr.arpa", DNS_PTR, SLICE_INIT("\4late\7example\0")},
	{"late.example", DNS_A, SLICE_INIT("\300\000\002\004")},
	/* an address of the wrong length */
	{"5.2.0.192.in-addr.arpa", DNS_PTR, SLICE_INIT("\5short\7example\0")},
	{"short.example", DNS_A, SLICE_INIT("\300\000\002")},
	{"short.example", DNS_A, SLICE_INIT("\300\000\002\005\000")},
	{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", DNS_PTR,
		SLICE_INIT("\2mx\7example\0")},
	{"mx.example", DNS_AAAA, SLICE_INIT("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1")},
};

struct play {
	struct channel *ask, *resolver;
	unsigned questions;
	slice want_name;
};

static void say(struct channel_request *q, uint8_t status, slice records)
{
	msg_resolve_answer(
		q, &(struct msg_resolve_reply){.status = status, .secure = 1, .ttl = 60, .records = records});
}

static void on_resolve(struct channel_request *q, void *arg)
{
	struct play *p = arg;
	struct msg_resolve m;
	struct buf b = BUF_INIT(LIMIT_CHANNEL_INLINE);

	if (!msg_resolve_take(q, &m))
		return;
	p->questions++;
	for (size_t i = 0; i < COUNT_OF(zone); i++)
		if (zone[i].type == (enum dns_type)m.type && slice_eq(m.name, slice_of(zone[i].name)))
			wire_put_bytes(&b, zone[i].rdata);
	for (size_t i = 0; slice_eq(m.name, S("many.example")) && i < LIMIT_DNS_RECORDS + 50; i++)
		wire_put_bytes(&b, S("\1\2\3\4"));
	if (slice_eq(m.name, S("torn.example"))) {
		wire_put_bytes(&b, S("\1\2\3\4"));
		wire_put_u32(&b, 99);
	}
	if (slice_eq(m.name, S("silent.example")))
		fiber_sleep(200);
	if (slice_eq(m.name, S("refused.example")))
		channel_answer_error(q, ERR_TEMP, "no");
	else if (slice_eq(m.name, S("odd.example")))
		say(q, 77, buf_slice(&b));
	else if (slice_eq(m.name, S("bogus.example")))
		say(q, DNS_BOGUS, buf_slice(&b));
	else
		say(q, b.n > 0 ? DNS_OK : DNS_NXDOMAIN, buf_slice(&b));
	buf_free(&b);
}

static struct dns_answer ask(struct channel *c, const char *name, uint64_t ms, struct arena *a)
{
	struct dns_answer answer;

	dns_ask(c, slice_of(name), DNS_A, loop_now() + ms, a, &answer);
	return answer;
}

static void ask_all(void *arg)
{
	struct play *p = arg;
	struct arena *a = arena_new(1 << 20);
	struct dns_answer r = ask(p->ask, "mx.example", 5000, a);

	assert_int_equal(r.status, DNS_OK);
	assert_true(r.secure);
	assert_int_equal(r.ttl, 60);
	assert_int_equal(r.n, 2);
	assert_true(slice_eq(r.records[1], S("\300\000\002\001")));
	assert_int_equal(ask(p->ask, "nobody.example", 5000, a).status, DNS_NXDOMAIN);
	r = ask(p->ask, "many.example", 5000, a);
	assert_int_equal(r.status, DNS_OK);
	assert_int_equal(r.n, LIMIT_DNS_RECORDS);
	static const struct {
		const char *name;
		enum dns_status status;
	} bad[] = {{"torn.example", DNS_TEMP}, {"refused.example", DNS_TEMP}, {"odd.example", DNS_TEMP},
		{"bogus.example", DNS_BOGUS}, {"silent.example", DNS_TEMP}};
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		r = ask(p->ask, bad[i].name, i == 4 ? 50 : 5000, a);
		assert_int_equal(r.status, bad[i].status);
		assert_int_equal(r.n, 0);
	}
	assert_int_equal(ask(NULL, "mx.example", 5000, a).status, DNS_TEMP);
	arena_free(a);
}

static void clients(void *arg)
{
	struct play *p = arg;
	static const struct {
		const char *address, *name; /* NULL: none that leads back */
		unsigned questions;
	} cases[] = {
		{"192.0.2.1", "mx.example", 2},
		{"192.0.2.2", NULL, 2},
		{"192.0.2.3", "good.example", 2},
		{"192.0.2.4", NULL, 1 + LIMIT_DNS_PTR},
		{"192.0.2.5", NULL, 2},
		{"192.0.2.9", NULL, 1},
		{"2001:db8::1", "mx.example", 2},
		{"2001:0db8:0::0001", "mx.example", 2},
		{"local", NULL, 0},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char out[256] = "?";

		p->questions = 0;
		bool good = dns_client_name(p->ask, cases[i].address, loop_now() + 5000, out);
		assert_int_equal(good, cases[i].name != NULL);
		assert_string_equal(out, good ? cases[i].name : "?");
		assert_int_equal(p->questions, cases[i].questions);
	}
}

static void both(void *arg)
{
	struct play *p = arg;

	ask_all(p);
	clients(p);
	channel_close(p->ask, "done");
	loop_stop(loop_self());
}

static void test_asking(void **state)
{
	static channel_handler *const handlers[MESSAGE_COUNT] = {[MESSAGE_RESOLVE] = on_resolve},
				      *const none[MESSAGE_COUNT];
	struct loop *l = loop_new("test");
	struct play p = {0};
	int pair[2];

	(void)state;
	assert_int_equal(channel_pair(pair), 0);
	p.ask = channel_new(
		pair[0], &(struct channel_config){ROLE_FRONTEND, ROLE_RESOLVER, 0, none, &p, NULL});
	p.resolver = channel_new(
		pair[1], &(struct channel_config){ROLE_RESOLVER, ROLE_FRONTEND, 0, handlers, &p, NULL});
	assert_non_null(p.ask);
	assert_non_null(p.resolver);
	assert_non_null(fiber_start("both", both, &p));
	loop_run(l);
	loop_run(l); /* what closing left */
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_text),
		cmocka_unit_test(test_reverse_name),
		cmocka_unit_test(test_asking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

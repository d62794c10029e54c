/* Where mail for a domain goes. A resolver with a table plays the role. */
#include "base/wire.h"
#include "dns/mx.h"
#include "io/loop.h"
#include "limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define L63                                                                                                  \
	"\x3f"                                                                                               \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_record(void **state)
{
	static const struct {
		slice rdata;
		enum dns_mx_kind kind;
		uint16_t preference;
		const char *name;
	} cases[] = {
		{SLICE_INIT("\0\12\2MX\7Example\0"), DNS_MX_HOST, 10, "mx.example"},
		{SLICE_INIT("\1\2\1a\0"), DNS_MX_HOST, 258, "a"},
		{SLICE_INIT("\377\377\4m-x1\0012\3com\0"), DNS_MX_HOST, 65535, "m-x1.2.com"},
		{SLICE_INIT("\0\0\0"), DNS_MX_ROOT, 0, NULL},
		{SLICE_INIT("\0\12\0"), DNS_MX_ROOT, 10, NULL},
		{SLICE_INIT(""), DNS_MX_BROKEN, 0, NULL},
		{SLICE_INIT("\0\12"), DNS_MX_BROKEN, 0, NULL},
		{SLICE_INIT("\0\12\2mx"), DNS_MX_BROKEN, 0, NULL},
		{SLICE_INIT("\0\12\2mx\0\0"), DNS_MX_BROKEN, 0, NULL}, /* a byte behind it */
		{SLICE_INIT("\0\12\0\0"), DNS_MX_BROKEN, 0, NULL},
		{SLICE_INIT("\0\12\4m_x1\0"), DNS_MX_HOST, 10, "m_x1"},
		{SLICE_INIT("\0\12\3-mx\0"), DNS_MX_BROKEN, 0, NULL},
		{SLICE_INIT("\0\12\3mx-\0"), DNS_MX_BROKEN, 0, NULL},
		{SLICE_INIT("\0\12\2mx\3a-\0"), DNS_MX_BROKEN, 0, NULL},
		{SLICE_INIT("\0\12\3192\0010\0012\0011\0"), DNS_MX_BROKEN, 0, NULL}, /* an address */
		{SLICE_INIT("\0\12\3mx*\0"), DNS_MX_BROKEN, 0, NULL},
		{SLICE_INIT("\0\12\300\14"), DNS_MX_BROKEN, 0, NULL},
		{SLICE_INIT("\0\12" L63 L63 L63 L63 "\0"), DNS_MX_BROKEN, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint16_t preference = 0;
		char name[256] = "";
		enum dns_mx_kind kind = dns_mx_record(cases[i].rdata, &preference, name);

		if (kind != cases[i].kind)
			print_error("case %zu\n", i);
		assert_int_equal(kind, cases[i].kind);
		assert_int_equal(preference, cases[i].preference);
		if (cases[i].name)
			assert_string_equal(name, cases[i].name);
	}
}

static void test_literal(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: none */
	} cases[] = {
		{"[192.0.2.1]", "192.0.2.1"},
		{"[IPv6:2001:DB8:0::1]", "2001:db8::1"},
		{"[ipv6:::1]", "::1"},
		{"[2001:db8::1]", NULL},
		{"[IPv6:192.0.2.1]", NULL},
		{"[192.0.2]", NULL},
		{"[]", NULL},
		{"[", NULL},
		{"]", NULL},
		{"", NULL},
		{"192.0.2.1", NULL},
		{"[192.0.2.1", NULL},
		{"[tag:192.0.2.1]", NULL},
		{"[fe80::1%eth0]", NULL},
		{"[1111111111111111111111111111111111111111111111111111111111]", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct dns_address v;
		char text[46];
		bool good = dns_literal_parse(slice_of(cases[i].in), &v);

		assert_int_equal(good, cases[i].out != NULL);
		if (good) {
			dns_address_text(&v, text);
			assert_string_equal(text, cases[i].out);
		}
	}
}

static bool is_order(const struct dns_mx *m, const char *names)
{
	char text[1024] = "";
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s", i ? " " : "",
			(int)m->hosts[i].name.n, m->hosts[i].name.p);
	return strcmp(text, names) == 0;
}

static void test_order(void **state)
{
	static const slice records[] = {SLICE_INIT("\0\24\1c\0"), SLICE_INIT("\0\12\1a\0"),
		SLICE_INIT("\0\36\1d\0"), SLICE_INIT("\0\12\1b\0"), SLICE_INIT("\0\50\1a\0")};
	unsigned first[2] = {0};

	(void)state;
	for (int i = 0; i < 400; i++) {
		struct arena *a = arena_new(1 << 16);
		struct dns_mx m = {0};

		dns_mx_read(records, COUNT_OF(records), S("me.example"), a, &m);
		assert_int_equal(m.status, DNS_OK);
		assert_false(m.loop || m.broken || m.null_mx);
		if (is_order(&m, "a b c d"))
			first[0]++;
		else if (is_order(&m, "b a c d"))
			first[1]++;
		else
			fail();
		arena_free(a);
	}
	assert_true(first[0] > 120 && first[1] > 120); /* 200 each; a chance of 1e-15 to be so far off */
}

static void test_self(void **state)
{
	static const slice records[] = {SLICE_INIT("\0\12\1a\0"), SLICE_INIT("\0\24\1b\0"),
		SLICE_INIT("\0\24\2Me\0"), SLICE_INIT("\0\36\1c\0")};
	static const struct {
		const char *self, *order;
	} cases[] = {{"ME", "a"}, {"a", ""}, {"c", "a [b me]"}, {"x", "a [b me] c"}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct arena *a = arena_new(1 << 16);
		struct dns_mx m = {0};

		dns_mx_read(records, COUNT_OF(records), slice_of(cases[i].self), a, &m);
		assert_int_equal(m.status, DNS_OK);
		assert_int_equal(m.loop, i != 3);
		if (i < 2)
			assert_true(is_order(&m, cases[i].order));
		else
			assert_int_equal(m.n, i == 2 ? 3 : 4);
		arena_free(a);
	}
}

static void test_many(void **state)
{
	char rdata[LIMIT_DNS_RECORDS][16];
	slice records[LIMIT_DNS_RECORDS];
	struct arena *a = arena_new(1 << 16), *small = arena_new(64);
	struct dns_mx m = {0};

	(void)state;
	for (unsigned i = 0; i < LIMIT_DNS_RECORDS; i++) {
		unsigned char *p = (unsigned char *)rdata[i];

		snprintf(rdata[i] + 2, 14, "\4m%03u", i);
		p[0] = 0, p[1] = (unsigned char)(200 - i);
		records[i] = slice_make(rdata[i], 8);
	}
	dns_mx_read(records, LIMIT_DNS_RECORDS, S("me"), a, &m);
	assert_int_equal(m.n, LIMIT_MX_HOSTS);
	for (size_t i = 0; i < m.n; i++)
		assert_int_equal(m.hosts[i].preference, 101 + i); /* the best, whatever place they had */
	dns_mx_read(records, LIMIT_DNS_RECORDS, S("me"), small, &m);
	assert_int_equal(m.status, DNS_TEMP);
	arena_free(a);
	arena_free(small);
}

/* ---- a resolver with a table ---- */

struct record {
	const char *name;
	enum dns_type type;
	slice rdata;
};
static const struct record zone[] = {
	{"mail.test", DNS_MX, SLICE_INIT("\0\24\2m2\4test\0")},
	{"mail.test", DNS_MX, SLICE_INIT("\0\12\2m1\4test\0")},
	{"null.test", DNS_MX, SLICE_INIT("\0\0\0")},
	{"nonull.test", DNS_MX, SLICE_INIT("\0\12\0")},
	{"half.test", DNS_MX, SLICE_INIT("\0\0\0")},
	{"half.test", DNS_MX, SLICE_INIT("\0\5\2m1\4test\0")},
	{"broken.test", DNS_MX, SLICE_INIT("\0\5\3192\0010\0012\0011\0")},
	{"loop.test", DNS_MX, SLICE_INIT("\0\5\2me\4test\0")},
	{"backup.test", DNS_MX, SLICE_INIT("\0\5\2m1\4test\0")},
	{"backup.test", DNS_MX, SLICE_INIT("\0\12\2me\4test\0")},
	{"implicit.test", DNS_A, SLICE_INIT("\300\0\2\1")},
	{"m1.test", DNS_A, SLICE_INIT("\300\0\2\1")},
	{"m1.test", DNS_A, SLICE_INIT("\300\0\2\2")},
	{"m1.test", DNS_A, SLICE_INIT("\300\0\2\3")},
	{"m1.test", DNS_AAAA, SLICE_INIT("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1")},
	{"m1.test", DNS_AAAA, SLICE_INIT("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2")},
	{"odd.test", DNS_A, SLICE_INIT("\300\0\2")},
	{"odd.test", DNS_AAAA, SLICE_INIT("\0\0\0\0\0\0\0\0\0\0\xff\xff\177\0\0\1")},
	{"half4.test", DNS_A, SLICE_INIT("\300\0\2\1")},
};

struct play {
	struct channel *ask, *resolver;
	unsigned asked, most; /* questions under way */
};

static enum dns_status status_of(slice name, enum dns_type type, bool known)
{
	if (slice_ends(name, S("temp.test")) || (slice_eq(name, S("half4.test")) && type == DNS_AAAA))
		return DNS_TEMP;
	if (slice_ends(name, S("bogus.test")))
		return DNS_BOGUS;
	return known || slice_ends(name, S("nodata.test")) ? DNS_NODATA : DNS_NXDOMAIN;
}

static void on_resolve(struct channel_request *q, void *arg)
{
	struct play *p = arg;
	struct msg_resolve m;
	struct buf b = BUF_INIT(LIMIT_CHANNEL_INLINE);
	bool known = false;

	if (!msg_resolve_take(q, &m))
		return;
	p->asked++;
	p->most = p->asked > p->most ? p->asked : p->most;
	fiber_sleep(2);
	for (size_t i = 0; i < COUNT_OF(zone); i++)
		if (slice_eq(m.name, slice_of(zone[i].name))) {
			known = true;
			if (zone[i].type == (enum dns_type)m.type)
				wire_put_bytes(&b, zone[i].rdata);
		}
	enum dns_status status = status_of(m.name, (enum dns_type)m.type, known);
	if (status == DNS_NODATA && b.n > 0)
		status = DNS_OK;
	msg_resolve_answer(q, &(struct msg_resolve_reply){.status = (uint8_t)status,
				      .secure = m.type != DNS_AAAA,
				      .ttl = 60,
				      .records = buf_slice(&b)});
	p->asked--;
	buf_free(&b);
}

static void ways(struct play *p)
{
	static const struct {
		const char *domain, *order;
		enum dns_status status;
		bool null_mx, implicit, literal, loop, broken;
	} cases[] = {
		{"mail.test", "m1.test m2.test", DNS_OK},
		{"null.test", "", DNS_OK, .null_mx = true},
		{"nonull.test", "", DNS_OK, .broken = true},
		{"half.test", "m1.test", DNS_OK},
		{"broken.test", "", DNS_OK, .broken = true},
		{"loop.test", "", DNS_OK, .loop = true},
		{"backup.test", "m1.test", DNS_OK, .loop = true},
		{"implicit.test", "implicit.test", DNS_OK, .implicit = true},
		{"me.test", "", DNS_NXDOMAIN},
		{"nodata.test", "nodata.test", DNS_OK, .implicit = true},
		{"nobody.test", "", DNS_NXDOMAIN},
		{"temp.test", "", DNS_TEMP},
		{"bogus.test", "", DNS_BOGUS},
		{"[192.0.2.1]", "192.0.2.1", DNS_OK, .literal = true},
		{"[IPv6:2001:db8::1]", "2001:db8::1", DNS_OK, .literal = true},
		{"[IPv6:x]", "", DNS_OK, .literal = true, .broken = true},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct arena *a = arena_new(1 << 20);
		struct dns_mx m;

		dns_mx_find(p->ask, slice_of(cases[i].domain), S("Me.test"), loop_now() + 5000, a, &m);
		if (m.status != cases[i].status || !is_order(&m, cases[i].order))
			print_error("%s: %d\n", cases[i].domain, (int)m.status);
		assert_int_equal(m.status, cases[i].status);
		assert_true(is_order(&m, cases[i].order));
		assert_int_equal(m.null_mx, cases[i].null_mx);
		assert_int_equal(m.implicit, cases[i].implicit);
		assert_int_equal(m.literal, cases[i].literal);
		assert_int_equal(m.loop, cases[i].loop);
		assert_int_equal(m.broken, cases[i].broken);
		assert_int_equal(m.secure, !cases[i].literal);
		arena_free(a);
	}
	struct arena *a = arena_new(1 << 20);
	struct dns_mx m;
	dns_mx_find(p->ask, S("nodata.test"), S("nodata.test"), loop_now() + 5000, a, &m);
	assert_true(m.loop && m.n == 0);
	dns_mx_find(NULL, S("mail.test"), S("me.test"), loop_now() + 5000, a, &m);
	assert_int_equal(m.status, DNS_TEMP);
	arena_free(a);
}

static struct dns_addresses find(struct play *p, const char *host, enum dns_families f, struct arena *a)
{
	struct dns_addresses r;

	p->most = 0;
	dns_addresses_find(p->ask, slice_of(host), f, loop_now() + 5000, a, &r);
	return r;
}

static void addresses(struct play *p)
{
	static const struct {
		const char *host;
		enum dns_families families;
		enum dns_status status;
		const char *order; /* of families */
	} cases[] = {
		{"m1.test", DNS_BOTH, DNS_OK, "64644"},
		{"m1.test", DNS_ONLY_4, DNS_OK, "444"},
		{"m1.test", DNS_ONLY_6, DNS_OK, "66"},
		{"implicit.test", DNS_BOTH, DNS_OK, "4"},
		{"implicit.test", DNS_ONLY_6, DNS_NODATA, ""},
		{"half4.test", DNS_BOTH, DNS_OK, "4"},
		{"half4.test", DNS_ONLY_6, DNS_TEMP, ""},
		{"odd.test", DNS_BOTH, DNS_NODATA, ""},
		{"nobody.test", DNS_BOTH, DNS_NXDOMAIN, ""},
		{"nodata.test", DNS_BOTH, DNS_NODATA, ""},
		{"temp.test", DNS_BOTH, DNS_TEMP, ""},
		{"bogus.test", DNS_BOTH, DNS_BOGUS, ""},
		{"192.0.2.9", DNS_BOTH, DNS_OK, "4"},
		{"2001:db8::9", DNS_BOTH, DNS_OK, "6"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct arena *a = arena_new(1 << 20);
		struct dns_addresses r = find(p, cases[i].host, cases[i].families, a);

		if (r.status != cases[i].status)
			print_error("%s: %d\n", cases[i].host, (int)r.status);
		assert_int_equal(r.status, cases[i].status);
		assert_int_equal(r.n, strlen(cases[i].order));
		for (size_t k = 0; k < r.n; k++)
			assert_int_equal(r.v[k].family, cases[i].order[k] - '0');
		arena_free(a);
	}
	struct arena *a = arena_new(1 << 20);
	assert_false(find(p, "m1.test", DNS_BOTH, a).secure); /* one answer was not */
	assert_int_equal(p->most, 2);                         /* asked at the same time */
	assert_true(find(p, "m1.test", DNS_ONLY_4, a).secure);
	assert_int_equal(p->most, 1);
	arena_free(a);
}

struct hasty {
	struct play *p;
	bool done;
};

/* Cancelled while both questions are under way: it comes back, and nothing is left behind. */
static void ask_and_leave(void *arg)
{
	struct hasty *h = arg;
	struct arena *a = arena_new(1 << 20);

	assert_int_equal(find(h->p, "m1.test", DNS_BOTH, a).status, DNS_TEMP);
	arena_free(a);
	h->done = true;
}

static void all(void *arg)
{
	struct play *p = arg;
	struct hasty h = {p, false};

	ways(p);
	addresses(p);
	struct fiber *f = fiber_start("hasty", ask_and_leave, &h);
	fiber_yield();
	fiber_cancel(f);
	fiber_sleep(50);
	assert_true(h.done);
	channel_close(p->ask, "done");
	channel_close(p->resolver, "done");
	fiber_sleep(10);
	loop_stop(loop_self());
}

static void test_finding(void **state)
{
	static channel_handler *const handlers[MESSAGE_COUNT] = {[MESSAGE_RESOLVE] = on_resolve},
				      *const none[MESSAGE_COUNT];
	struct loop *l = loop_new("test");
	struct play p = {0};
	int pair[2];

	(void)state;
	assert_int_equal(channel_pair(pair), 0);
	p.ask = channel_new(
		pair[0], &(struct channel_config){ROLE_OUTBOUND, ROLE_RESOLVER, 0, none, &p, NULL});
	p.resolver = channel_new(
		pair[1], &(struct channel_config){ROLE_RESOLVER, ROLE_OUTBOUND, 0, handlers, &p, NULL});
	assert_non_null(p.ask);
	assert_non_null(p.resolver);
	assert_non_null(fiber_start("all", all, &p));
	loop_run(l);
	loop_run(l); /* what closing left */
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_literal),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_finding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

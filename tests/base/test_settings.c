/* The settings table, values as they are written, and the snapshot on its way to the roles. */
#include "base/hash.h"
#include "base/settings.h"
#include "base/wire.h"
#include "limits.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

static void text_is(struct buf *b, const char *want)
{
	buf_add_c(b, 0);
	assert_false(b->failed);
	assert_string_equal(b->p, want);
	buf_reset(b);
}

static void test_sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
		const char *print;
	} good[] = {
		{"25MB", 25000000, "25MB"},
		{"50MiB", 52428800, "50MiB"},
		{"1024B", 1024, "1KiB"},
		{"1500B", 1500, "1500B"},
		{"1TiB", 1099511627776, "1TiB"},
		{"0", 0, "0B"},
	};
	static const char *const bad[] = {
		"", "MB", "25", "25mb", "25 MB", "-1MB", "1.5MB", "99999999999999TiB", "25MBx"};
	struct buf b = BUF_INIT(64);
	uint64_t v = 7;
	err e;

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_int_equal(settings_size_parse(slice_of(good[i].text), &v, &e), 0);
		assert_int_equal(v, good[i].bytes);
		settings_size_print(v, &b);
		text_is(&b, good[i].print);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		v = 7;
		assert_int_equal(settings_size_parse(slice_of(bad[i]), &v, &e), -1);
		assert_int_equal(v, 7);
	}
	buf_free(&b);
}

static void test_durations(void **state)
{
	(void)state;
	struct buf b = BUF_INIT(64);
	uint64_t v;
	err e;

	assert_int_equal(settings_duration_parse(S("10m"), &v, &e), 0);
	assert_int_equal(v, 600000);
	assert_int_equal(settings_duration_parse(S("90s"), &v, &e), 0);
	settings_duration_print(v, &b);
	text_is(&b, "90s");
	settings_duration_print(86400000, &b);
	text_is(&b, "1d");
	settings_duration_print(1, &b);
	text_is(&b, "1ms");
	assert_int_equal(settings_duration_parse(S("10"), &v, &e), -1);
	assert_int_equal(settings_duration_parse(S("10M"), &v, &e), -1);
	buf_free(&b);
}

static void test_hosts(void **state)
{
	(void)state;
	static const char *const good[] = {
		"localhost", "Mail.Example.COM", "a-b.c0", "1und1.de", "xn--fiqs8s"};
	static const char *const bad[] = {"", ".", "a..b", "a.", "-a.b", "a-.b", "a.b-", "1.2.3.4", "a b",
		"a_b", "0123456789012345678901234567890123456789012345678901234567890123.de"};
	char host[254];

	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(settings_host_check(slice_of(good[i]), host));
	assert_true(settings_host_check(S("Mail.Example.COM"), host));
	assert_string_equal(host, "mail.example.com");
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(settings_host_check(slice_of(bad[i]), host));
	char longest[256];
	memset(longest, 'a', sizeof longest);
	for (size_t i = 63; i < sizeof longest; i += 64)
		longest[i] = '.';
	assert_true(settings_host_check(slice_make(longest, 253), host));
	assert_false(settings_host_check(slice_make(longest, 254), host));
}

static void test_servers(void **state)
{
	(void)state;
	static const struct {
		const char *text, *ip; /* NULL: no address */
		uint16_t port;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1", 0},
		{"192.0.2.1:5353", "192.0.2.1", 5353},
		{"::1", "::1", 0},
		{"2001:db8::1:5353", "2001:db8::1:5353", 0},
		{"[2001:db8::1]:5353", "2001:db8::1", 5353},
		{"[::1]", "::1", 0},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1", 0},
		{"", NULL, 0},
		{"192.0.2.1:", NULL, 0},
		{"192.0.2.1:0", NULL, 0},
		{"192.0.2.1:65536", NULL, 0},
		{"192.0.2.1:5353x", NULL, 0},
		{"192.0.2.1@5353", NULL, 0},
		{"[192.0.2.1]:53", NULL, 0},
		{":53", NULL, 0},
		{"[]:53", NULL, 0},
		{"[::1", NULL, 0},
		{"[::1]53", NULL, 0},
		{"[::1]:", NULL, 0},
		{"localhost:53", NULL, 0},
		{"0000000000000000000000000000000000000000000000::1", NULL, 0},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char ip[46] = "?";
		uint16_t port = 1;
		bool good = settings_server_parse(slice_of(cases[i].text), ip, &port);
		assert_int_equal(good, cases[i].ip != NULL);
		assert_string_equal(ip, good ? cases[i].ip : "?");
		assert_int_equal(port, good ? cases[i].port : 1);
	}
}

static void test_listens(void **state)
{
	(void)state;
	static const struct {
		const char *where, *print;
	} good[] = {
		{"25", "smtp 25"},
		{"*:2525", "smtp 2525"},
		{"127.0.0.1:2525", "smtp 127.0.0.1:2525"},
		{"[::1]:25", "smtp [::1]:25"},
		{"/run/x.sock", "smtp /run/x.sock"},
		{"", "smtp 25"},
	};
	static const char *const bad[] = {"0", "65536", "x", "localhost:25", "::1:25", "1.2.3:25",
		"[1.2.3.4]:25", "1.2.3.4:", ":25", "-1"};
	struct arena *a = arena_new(1 << 16);
	struct buf b = BUF_INIT(256);
	struct settings_listen l;
	err e;

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		assert_int_equal(settings_listen_parse(PROTOCOL_SMTP, slice_of(good[i].where), a, &l, &e), 0);
		settings_listen_print(&l, &b);
		text_is(&b, good[i].print);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(settings_listen_parse(PROTOCOL_SMTP, slice_of(bad[i]), a, &l, &e), -1);
	assert_int_equal(settings_listen_parse(PROTOCOL_LMTP, S("25"), a, &l, &e), -1);
	char path[128];
	memset(path, '/', sizeof path);
	assert_int_equal(settings_listen_parse(PROTOCOL_LMTP, slice_make(path, 107), a, &l, &e), 0);
	assert_int_equal(settings_listen_parse(PROTOCOL_LMTP, slice_make(path, 108), a, &l, &e), -1);
	buf_free(&b);
	arena_free(a);
}

/* Every default must be a value that its own row takes and prints again. */
static void test_defaults_stand(void **state)
{
	(void)state;
	struct settings *s = settings_new();
	struct buf b = BUF_INIT(256);

	assert_non_null(s);
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *row = &setting_table[i];
		setting_print(row, s, &b);
		text_is(&b, row->def);
		assert_true(strlen(row->doc) > 10 && row->doc[strlen(row->doc) - 1] == '.');
		assert_ptr_equal(setting_find(slice_of(row->block), slice_of(row->word)), row);
	}
	assert_int_equal(s->limit_message, 50000000);
	assert_int_equal(s->listens_n, 7);
	buf_free(&b);
	settings_free(s);
}

static void test_ranges(void **state)
{
	(void)state;
	static const struct {
		const char *block, *word, *value;
		bool good;
	} cases[] = {
		{"limits", "message", "64KiB", true},
		{"limits", "message", "65535B", false},
		{"limits", "message", "1GiB", true},
		{"limits", "message", "2GiB", false},
		{"limits", "recipients", "99", false},
		{"limits", "recipients", "100", true},
		{"limits", "recipients", "1e3", false},
		{"log", "level", "debug", true},
		{"log", "level", "loud", false},
		{"log", "level", "", false},
		{"auth", "cleartext-on-loopback", "yes", true},
		{"auth", "cleartext-on-loopback", "maybe", false},
		{"", "data", "/x", true},
		{"", "data", "x", false},
		{"", "data", "", false},
		{"", "host", "", true},
		{"", "host", "a\nb", false},
		{"", "admin", "a@b.example", true},
		{"", "admin", "a@", false},
		{"", "admin", "b.example", false},
		{"timeout", "imap-idle", "29m", false},
		{"resolver", "server", "", true},
		{"resolver", "server", "192.0.2.1:0", false},
		{"resolver", "server", "dns.example", false},
		{"resolver", "server", "[::1]:5353", true},
	};
	struct settings *s = settings_new();
	err e;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct setting *row = setting_find(slice_of(cases[i].block), slice_of(cases[i].word));
		assert_non_null(row);
		e = (err){0};
		assert_int_equal(setting_parse(row, slice_of(cases[i].value), s, &e), cases[i].good ? 0 : -1);
		assert_true(cases[i].good || strlen(e.text) > 5);
	}
	assert_int_equal(s->log_level, 7);
	assert_true(s->auth_loopback_cleartext);
	assert_null(setting_find(S("limits"), S("host")));
	settings_free(s);
}

static struct settings *sample(void)
{
	struct settings *s = settings_new();
	struct settings_listen *l = arena_new_n(s->arena, struct settings_listen, 2);
	struct settings_domain *d = arena_new_1(s->arena, struct settings_domain);

	assert_int_equal(setting_parse(&setting_table[SETTING_ID_host], S("MX.example"), s, NULL), 0);
	assert_int_equal(setting_parse(&setting_table[SETTING_ID_admin], S("a@b.example"), s, NULL), 0);
	assert_int_equal(setting_parse(&setting_table[SETTING_ID_admin], S("c@d.example"), s, NULL), 0);
	assert_int_equal(setting_parse(&setting_table[SETTING_ID_limit_hops], S("33"), s, NULL), 0);
	assert_int_equal(settings_listen_parse(PROTOCOL_IMAPS, S("[::1]:993"), s->arena, &l[0], NULL), 0);
	assert_int_equal(settings_listen_parse(PROTOCOL_LMTP, S("/run/l"), s->arena, &l[1], NULL), 0);
	d[0] = (struct settings_domain){S("example.org"), S("x@example.org"), S("/etc/p.conf"), 17};
	s->listens = l, s->listens_n = 2;
	s->domains = d, s->domains_n = 1;
	s->generation = 9;
	return s;
}

static void same(const struct settings *a, const struct settings *b)
{
	for (size_t i = 0; i < SETTING_COUNT; i++)
		assert_true(setting_equal(&setting_table[i], a, b));
	assert_int_equal(a->generation, b->generation);
	assert_int_equal(a->listens_n, b->listens_n);
	for (size_t i = 0; i < a->listens_n; i++)
		assert_true(settings_listen_equal(&a->listens[i], &b->listens[i]));
	assert_int_equal(a->domains_n, b->domains_n);
	for (size_t i = 0; i < a->domains_n; i++) {
		assert_true(settings_domain_equal(&a->domains[i], &b->domains[i]));
		assert_int_equal(a->domains[i].line, b->domains[i].line);
		assert_true(slice_eq(a->domains[i].file, b->domains[i].file));
	}
}

static void test_round_trip(void **state)
{
	(void)state;
	struct settings *s = sample(), *got = NULL;
	struct buf b = BUF_INIT(65536);
	err e;

	settings_encode(s, &b);
	assert_false(b.failed);
	assert_int_equal(settings_decode(buf_slice(&b), &got, &e), 0);
	same(s, got);
	assert_int_equal(got->admin.n, 2);
	settings_free(got);
	buf_free(&b);
	settings_free(s);
}

/* Any cut, and any changed byte behind a right checksum, is refused or at least stays within the table. */
static void test_decode_damage(void **state)
{
	(void)state;
	struct settings *s = sample(), *got = NULL;
	struct buf b = BUF_INIT(65536);
	err e;

	settings_encode(s, &b);
	size_t n = b.n - 4;
	for (size_t i = 0; i < b.n; i++) {
		assert_int_equal(settings_decode(slice_make(b.p, i), &got, &e), -1);
		b.p[i] = (char)(b.p[i] ^ 0x40);
		assert_int_equal(settings_decode(buf_slice(&b), &got, &e), -1);
		b.p[i] = (char)(b.p[i] ^ 0x40);
	}
	assert_null(got);
	for (size_t i = 0; i < n; i++) {
		struct buf c = BUF_INIT(65536);
		buf_add(&c, slice_make(b.p, n));
		c.p[i] = (char)0xff;
		wire_seal(&c, 0);
		if (settings_decode(buf_slice(&c), &got, &e) == 0) {
			for (size_t k = 0; k < SETTING_COUNT; k++) {
				struct buf text = BUF_INIT(8192);
				setting_print(&setting_table[k], got, &text);
				assert_false(text.failed);
				buf_free(&text);
			}
			settings_free(got);
		}
		for (size_t cut = n; cut-- > n - 8 && i == 0;) {
			struct buf d = BUF_INIT(65536);
			buf_add(&d, slice_make(b.p, cut));
			wire_seal(&d, 0);
			assert_int_equal(settings_decode(buf_slice(&d), &got, &e), -1);
			buf_free(&d);
		}
		buf_free(&c);
	}
	buf_free(&b);
	settings_free(s);
}

static void test_memfd(void **state)
{
	(void)state;
	struct settings *s = sample(), *got = NULL;
	err e;
	AUTO_FD fd = settings_seal(s, &e);

	assert_true(fd >= 0);
	assert_int_equal(settings_open(fd, &got, &e), 0);
	same(s, got);
	settings_free(got);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);

	AUTO_FD open_end =
		memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING); /* could change under the reader */
	struct buf b = BUF_INIT(65536);
	settings_encode(s, &b);
	assert_int_equal(write(open_end, b.p, b.n), (ssize_t)b.n);
	assert_int_equal(settings_open(open_end, &got, &e), -1);
	AUTO_FD file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(settings_open(file, &got, &e), -1);
	assert_int_equal(settings_open(-1, &got, &e), -1);
	buf_free(&b);
	settings_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_listens),
		cmocka_unit_test(test_defaults_stand),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_decode_damage),
		cmocka_unit_test(test_memfd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

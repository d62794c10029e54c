#include "mail/address.h"
#include "support.h"

static bool accepts(slice s, unsigned flags)
{
	struct mail_path path;
	err e;
	char *p = exact_copy(s);
	bool ok = mail_path_parse(slice_make(p, s.n), flags, &path, NULL, &e) == 0;
	if (!ok)
		assert_true(e.kind == ERR_SYNTAX || e.kind == ERR_LIMIT);
	free(p);
	return ok;
}

static void test_forms(void **state)
{
	static const struct {
		const char *in;
		unsigned flags;
		const char *local, *domain, *rest; /* local NULL: refused */
		enum mail_path_kind kind;
	} cases[] = {
		{"<a@b>", 0, "a", "b", "", MAIL_PATH_IS_MAILBOX},
		{"<a.b.c@d.e> SIZE=1", 0, "a.b.c", "d.e", " SIZE=1", MAIL_PATH_IS_MAILBOX},
		{"<a@b>SIZE=1", 0, NULL, NULL, NULL, 0},
		{"<>", MAIL_PATH_NULL, "", "", "", MAIL_PATH_IS_NULL},
		{"<> BODY=8BITMIME", MAIL_PATH_NULL, "", "", " BODY=8BITMIME", MAIL_PATH_IS_NULL},
		{"<>", 0, NULL, NULL, NULL, 0},
		{"< >", MAIL_PATH_NULL, NULL, NULL, NULL, 0},
		{"<PostMaster>", MAIL_PATH_POSTMASTER, "PostMaster", "", "", MAIL_PATH_IS_POSTMASTER},
		{"<postmaster>", 0, NULL, NULL, NULL, 0},
		{"<somebody>", MAIL_PATH_POSTMASTER, NULL, NULL, NULL, 0},
		{"<@relay.example,@other.example:user@final.example>", 0, "user", "final.example", "",
			MAIL_PATH_IS_MAILBOX},
		{"<@relay.example:user@final.example>", 0, "user", "final.example", "", MAIL_PATH_IS_MAILBOX},
		{"<@relay.example user@final.example>", 0, NULL, NULL, NULL, 0},
		{"<@relay.example,user@final.example>", 0, NULL, NULL, NULL, 0},
		{"<@:user@final.example>", 0, NULL, NULL, NULL, 0},
		{"<\"a b\"@c>", 0, "\"a b\"", "c", "", MAIL_PATH_IS_MAILBOX},
		{"<\"a\\\"b\"@c>", 0, "\"a\\\"b\"", "c", "", MAIL_PATH_IS_MAILBOX},
		{"<\"a>b\"@c>", 0, "\"a>b\"", "c", "", MAIL_PATH_IS_MAILBOX},
		{"<\"\"@c>", 0, "\"\"", "c", "", MAIL_PATH_IS_MAILBOX},
		{"<\"a@c>", 0, NULL, NULL, NULL, 0},
		{"<\"a\"b@c>", 0, NULL, NULL, NULL, 0},
		{"<\"a\\\"@c>", 0, NULL, NULL, NULL, 0},
		{"<a@[1.2.3.4]>", 0, "a", "[1.2.3.4]", "", MAIL_PATH_IS_MAILBOX},
		{"<a@[IPv6:::1]>", 0, "a", "[IPv6:::1]", "", MAIL_PATH_IS_MAILBOX},
		{"<a@[ipv6:2001:db8::1]>", 0, "a", "[ipv6:2001:db8::1]", "", MAIL_PATH_IS_MAILBOX},
		{"<a@[1.2.3.256]>", 0, NULL, NULL, NULL, 0},
		{"<a@[1.2.3]>", 0, NULL, NULL, NULL, 0},
		{"<a@[::1]>", 0, NULL, NULL, NULL, 0},
		{"<a@[tag:x]>", 0, NULL, NULL, NULL, 0},
		{"<a@[1.2.3.4>", 0, NULL, NULL, NULL, 0},
		{"<a@b-.c>", 0, NULL, NULL, NULL, 0},
		{"<a@-b.c>", 0, NULL, NULL, NULL, 0},
		{"<a@b.>", 0, NULL, NULL, NULL, 0},
		{"<a@b..c>", 0, NULL, NULL, NULL, 0},
		{"<a@b_c>", 0, NULL, NULL, NULL, 0},
		{"<a..b@c>", 0, NULL, NULL, NULL, 0},
		{"<.a@c>", 0, NULL, NULL, NULL, 0},
		{"<a.@c>", 0, NULL, NULL, NULL, 0},
		{"<a b@c>", 0, NULL, NULL, NULL, 0},
		{"<a@b@c>", 0, NULL, NULL, NULL, 0},
		{"<a@>", 0, NULL, NULL, NULL, 0},
		{"<@b>", 0, NULL, NULL, NULL, 0},
		{"<a@b", 0, NULL, NULL, NULL, 0},
		{"a@b>", 0, NULL, NULL, NULL, 0},
		{"a@b", 0, NULL, NULL, NULL, 0},
		{"", 0, NULL, NULL, NULL, 0},
		{"<", MAIL_PATH_NULL, NULL, NULL, NULL, 0},
		{"a@b", MAIL_PATH_BARE, "a", "b", "", MAIL_PATH_IS_MAILBOX},
		{"a@b x", MAIL_PATH_BARE, "a", "b", " x", MAIL_PATH_IS_MAILBOX},
		{"a@b>", MAIL_PATH_BARE, NULL, NULL, NULL, 0},
		{"", MAIL_PATH_BARE | MAIL_PATH_NULL, NULL, NULL, NULL, 0},
		{"<j\xc3\xb6rg@b>", 0, NULL, NULL, NULL, 0},
		{"<j\xc3\xb6rg@b>", MAIL_PATH_UTF8, "j\xc3\xb6rg", "b", "", MAIL_PATH_IS_MAILBOX},
		{"<\"j \xc3\xb6\"@b>", MAIL_PATH_UTF8, "\"j \xc3\xb6\"", "b", "", MAIL_PATH_IS_MAILBOX},
		{"<j\xc3@b>", MAIL_PATH_UTF8, NULL, NULL, NULL, 0},
		{"<a@b\xc3\xbc"
		 "cher.example>",
			MAIL_PATH_UTF8, "a",
			"b\xc3\xbc"
			"cher.example",
			"", MAIL_PATH_IS_MAILBOX},
		{"<a@b\xc3\xbc"
		 "cher.example>",
			0, NULL, NULL, NULL, 0},
		{"<a@\xe2\x80\xae.example>", MAIL_PATH_UTF8, NULL, NULL, NULL, 0},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct mail_path path = {0};
		slice rest = {0};
		err e;
		int rc = mail_path_parse(slice_of(cases[i].in), cases[i].flags, &path, &rest, &e);
		if ((rc == 0) != (cases[i].local != NULL))
			fail_msg("\"%s\": %s", cases[i].in, rc ? e.text : "accepted");
		if (rc < 0) {
			assert_int_equal(path.kind, MAIL_PATH_IS_INVALID);
			continue;
		}
		assert_int_equal(path.kind, cases[i].kind);
		assert_true(slice_eq(path.local, slice_of(cases[i].local)));
		assert_true(slice_eq(path.domain, slice_of(cases[i].domain)));
		assert_true(slice_eq(rest, slice_of(cases[i].rest)));
		assert_int_equal(path.utf8, strpbrk(cases[i].in, "\xc3\xe2") != NULL);
	}
}

static void test_limits(void **state)
{
	struct buf b = BUF_INIT(4096);
	(void)state;
	for (size_t n = 62; n <= 66; n++) {
		buf_reset(&b);
		buf_add_c(&b, '<');
		for (size_t i = 0; i < n; i++)
			buf_add_c(&b, 'a');
		buf_addz(&b, "@b>");
		assert_int_equal(accepts(buf_slice(&b), 0), n <= 64);
	}
	/* a path of 254 + 2 octets is the longest: 1 + 1 + 252 */
	for (size_t n = 248; n <= 256; n++) {
		buf_reset(&b);
		buf_addz(&b, "<a@");
		for (size_t i = 0; i < n; i++)
			buf_add_c(&b, i % 60 == 59 && i + 1 < n ? '.' : 'x');
		buf_add_c(&b, '>');
		assert_int_equal(accepts(buf_slice(&b), 0), n <= 252);
	}
	for (size_t n = 62; n <= 65; n++) {
		buf_reset(&b);
		buf_addz(&b, "<a@");
		for (size_t i = 0; i < n; i++)
			buf_add_c(&b, 'x');
		buf_addz(&b, ".y>");
		assert_int_equal(accepts(buf_slice(&b), 0), n <= 63);
	}
	buf_free(&b);
}

/* R-SEC-3: every byte in every position of a good path; what may stand there is said by lists, not by the
 * code's table. */
static void test_every_byte(void **state)
{
	static const char letdig[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	static const char atext[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~";
	static const char atext_dot[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~.";
	static const char inner[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";
	static const char good[] = "<abc@def>";
	static const char *const allowed[] = {"<", atext, atext_dot, atext, "@", letdig, inner, letdig, ">"};
	char text[sizeof good];
	(void)state;
	memcpy(text, good, sizeof good);
	for (size_t at = 0; at < COUNT_OF(allowed); at++) {
		for (int c = 0; c < 256; c++) {
			text[at] = (char)c;
			if (accepts(slice_make(text, sizeof good - 1), 0) != (c && strchr(allowed[at], c)))
				fail_msg("byte %d at %zu of %s", c, at, good);
		}
		text[at] = good[at];
	}
}

static void test_local(void **state)
{
	struct arena *a = arena_new(4096);
	struct mail_path path;
	struct buf b = BUF_INIT(512);
	slice user, tag;
	(void)state;
	assert_int_equal(mail_path_parse(S("<\"a\\\"b c\\\\\"@d>"), 0, &path, NULL, NULL), 0);
	assert_true(path.quoted);
	check_slice(mail_path_local(a, &path), S("a\"b c\\"));
	mail_local_write(&b, mail_path_local(a, &path));
	check_slice(buf_slice(&b), S("\"a\\\"b c\\\\\""));
	buf_reset(&b);
	mail_local_write(&b, S("plain.name"));
	check_slice(buf_slice(&b), S("plain.name"));
	buf_reset(&b);
	mail_path_write(&b, &path);
	check_slice(buf_slice(&b), S("\"a\\\"b c\\\\\"@d"));
	mail_local_split(S("user+tag+more"), '+', &user, &tag);
	check_slice(user, S("user"));
	check_slice(tag, S("tag+more"));
	mail_local_split(S("+user"), '+', &user, &tag);
	check_slice(user, S("+user"));
	check_slice(tag, (slice){0});
	mail_local_split(S("user+"), '+', &user, &tag);
	check_slice(user, S("user"));
	check_slice(tag, S(""));
	mail_local_split(S(""), '+', &user, &tag);
	check_slice(tag, (slice){0});
	buf_free(&b);
	arena_free(a);
}

static void test_canonical(void **state)
{
	static const struct {
		const char *in, *canonical, *display;
	} cases[] = {
		{"Example.COM", "example.com", "example.com"},
		{"example.com.", "example.com", "example.com"},
		{"B\xc3\xbc"
		 "cher.example",
			"xn--bcher-kva.example",
			"b\xc3\xbc"
			"cher.example"},
		{"b\xc3\x9c"
		 "CHER.EXAMPLE",
			"xn--bcher-kva.example",
			"b\xc3\xbc"
			"cher.example"},
		{"bu\xcc\x88"
		 "cher.example",
			"xn--bcher-kva.example",
			"b\xc3\xbc"
			"cher.example"},
		{"XN--BCHER-KVA.example", "xn--bcher-kva.example",
			"b\xc3\xbc"
			"cher.example"},
		{"fa\xc3\x9f.de", "xn--fa-hia.de", "fa\xc3\x9f.de"},
		{"\xe4\xbe\x8b\xe5\xad\x90\xe3\x80\x82\xe6\xb5\x8b\xe8\xaf\x95", "xn--fsqu00a.xn--0zwm56d",
			"\xe4\xbe\x8b\xe5\xad\x90.\xe6\xb5\x8b\xe8\xaf\x95"},
		{"[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]", "[ipv6:2001:db8::1]"},
		{"", NULL, NULL},
		{".", NULL, NULL},
		{"a b", NULL, NULL},
		{"\xff\xff", NULL, NULL},
	};
	struct arena *a = arena_new(65536);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		slice got = {0};
		err e;
		int rc = mail_domain_canonical(a, slice_of(cases[i].in), &got, &e);
		assert_int_equal(rc, cases[i].canonical ? 0 : -1);
		check_slice(got, slice_of(cases[i].canonical));
		if (rc < 0)
			continue;
		assert_int_equal(mail_domain_display(a, slice_of(cases[i].in), &got, &e), 0);
		check_slice(got, slice_of(cases[i].display));
	}
	slice one, two;
	assert_int_equal(mail_local_canonical(a, S("J\xc3\x96RG"), &one, NULL), 0);
	assert_int_equal(mail_local_canonical(a, S("jo\xcc\x88rg"), &two, NULL), 0);
	check_slice(one, two);
	assert_int_equal(mail_local_canonical(a, S("Alice.B"), &one, NULL), 0);
	check_slice(one, S("alice.b"));
	assert_int_equal(mail_local_canonical(a, S("\xc3"), &one, NULL), -1);
	arena_free(a);
}

/* ---- vectors ---- */

static bool xml_text(slice *in, slice open, slice close, slice *ret)
{
	ptrdiff_t at = slice_find(*in, open);
	if (at < 0)
		return false;
	slice rest = slice_skip(*in, (size_t)at + open.n);
	ptrdiff_t end = slice_find(rest, close);
	if (end < 0)
		return false;
	*ret = slice_sub(rest, 0, (size_t)end);
	*in = slice_skip(rest, (size_t)end);
	return true;
}

/* XML entities, and the pictures U+2400+n for control characters. */
static void unescape(struct buf *out, slice s)
{
	static const struct {
		const char *name, *text;
	} entities[] = {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#x2400;", ""},
		{"&#xA9;", "\xc2\xa9"}};
	for (size_t i = 0; i < s.n;) {
		bool done = false;
		if (slice_starts(slice_skip(s, i), S("&#x24"))) {
			char hex[3] = {s.p[i + 5], s.p[i + 6], 0};
			buf_add_c(out, (char)strtoul(hex, NULL, 16));
			i += 8;
			continue;
		}
		for (size_t k = 0; k < COUNT_OF(entities) && !done; k++) {
			if (slice_starts(slice_skip(s, i), slice_of(entities[k].name))) {
				buf_addz(out, entities[k].text);
				i += strlen(entities[k].name);
				done = true;
			}
		}
		if (done)
			continue;
		if ((uint8_t)s.p[i] == 0xE2 && (uint8_t)s.p[i + 1] == 0x90) {
			buf_add_c(out, (char)(s.p[i + 2] & 0x3F));
			i += 3;
		} else {
			buf_add_c(out, s.p[i++]);
		}
	}
}

/* The suite judges by RFC 5322; in an envelope only what it calls valid for RFC 5321 may pass. */
static void test_isemail(void **state)
{
	char path[512];
	struct buf file = BUF_INIT(MEGABYTE), address = BUF_INIT(4096);
	size_t cases = 0, bad = 0;
	(void)state;
	if (!vector_path(path, sizeof path, "isemail/tests.xml"))
		skip();
	assert_true(file_read(path, &file));
	slice in = buf_slice(&file), test;
	while (xml_text(&in, S("<test id="), S("</test>"), &test)) {
		slice raw, category, diagnosis, t = test;
		if (!xml_text(&t, S("<address>"), S("</address>"), &raw)) {
			t = test;
			raw = S("");
		}
		assert_true(xml_text(&t, S("<category>"), S("</category>"), &category));
		assert_true(xml_text(&t, S("<diagnosis>"), S("</diagnosis>"), &diagnosis));
		buf_reset(&address);
		unescape(&address, raw);
		bool good = slice_eq(category, S("ISEMAIL_VALID_CATEGORY")) ||
			    slice_eq(category, S("ISEMAIL_DNSWARN")) ||
			    slice_eq(category, S("ISEMAIL_RFC5321"));
		/* "::" for one group: deprecated by RFC 5952, allowed by RFC 4291, which 5321 4.1.3 follows
		 * in sense */
		good |= slice_eq(diagnosis, S("ISEMAIL_RFC5321_IPV6DEPRECATED"));
		cases++;
		if (accepts(buf_slice(&address), MAIL_PATH_BARE) != good) {
			print_error("isemail: \"%.*s\" (%.*s)\n", (int)address.n, address.p, (int)diagnosis.n,
				diagnosis.p);
			bad++;
		}
	}
	assert_true(cases > 150);
	assert_int_equal(bad, 0);
	buf_free(&file);
	buf_free(&address);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_isemail),
	};
	return cmocka_run_group_tests_name("mail/path", tests, NULL, NULL);
}

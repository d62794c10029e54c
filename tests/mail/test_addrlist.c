#include "mail/address.h"
#include "mail/decode.h"
#include "support.h"
#include <jansson.h>

/* One line an address: "name|route|local|domain", absent ones "-"; groups "{name" and "}". */
static void list_text(struct buf *out, slice body, struct arena *a)
{
	struct mail_address_scan scan;
	struct mail_address m;
	mail_address_begin(&scan, body, a);
	while (mail_address_next(&scan, &m)) {
		const slice parts[] = {m.name, m.route, m.local, m.domain};
		if (m.kind == MAIL_ADDRESS_GROUP_END) {
			buf_addz(out, "}\n");
			continue;
		}
		if (m.kind == MAIL_ADDRESS_GROUP) {
			buf_add_c(out, '{');
			buf_add(out, m.name);
			buf_add_c(out, '\n');
			continue;
		}
		for (size_t i = 0; i < 4; i++) {
			if (i)
				buf_add_c(out, '|');
			buf_add(out, parts[i].p ? parts[i] : S("-"));
		}
		buf_add_c(out, '\n');
	}
}

static void test_lists(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", ""},
		{" \r\n ", ""},
		{"a@b", "-|-|a|b\n"},
		{"<a@b>", "-|-|a|b\n"},
		{"John Doe <a@b>", "John Doe|-|a|b\n"},
		{"\"Doe, John\" <a@b>", "Doe, John|-|a|b\n"},
		{"\"Joe \\\"Q\\\" Public\" <a@b>", "Joe \"Q\" Public|-|a|b\n"},
		{"John\r\n Doe\t<a@b>", "John Doe|-|a|b\n"},
		{"\"a\" b \"c\" <x@y>", "a b c|-|x|y\n"},
		{"a@b, c@d", "-|-|a|b\n-|-|c|d\n"},
		{"a@b,, ,c@d,", "-|-|a|b\n-|-|c|d\n"},
		{"a@b (John Doe)", "John Doe|-|a|b\n"},
		{"(John (the) Doe) a@b", "John (the) Doe|-|a|b\n"},
		{"(a\\)b) a@b", "a)b|-|a|b\n"},
		{"<a@b> (John)", "John|-|a|b\n"},
		{"Jim <a@b> (John), c@d", "Jim|-|a|b\n-|-|c|d\n"},
		{"pete(his account)@silly.test(his host)", "his host|-|pete|silly.test\n"},
		{"john . doe @ example . com", "-|-|john.doe|example.com\n"},
		{"\"john doe\"@example.com", "-|-|john doe|example.com\n"},
		{"\"a@b\"@c", "-|-|a@b|c\n"},
		{"<@x,@y:a@b>", "-|@x,@y|a|b\n"},
		{"< a@b >", "-|-|a|b\n"},
		{"a@[1.2.3.4]", "-|-|a|[1.2.3.4]\n"},
		{"a@[IPv6:::1], c@d", "-|-|a|[IPv6:::1]\n-|-|c|d\n"},
		{"Group: a@b, J <c@d>;", "{Group\n-|-|a|b\nJ|-|c|d\n}\n"},
		{"Undisclosed recipients:;", "{Undisclosed recipients\n}\n"},
		{"A:;, B: x@y;, z@w", "{A\n}\n{B\n-|-|x|y\n}\n-|-|z|w\n"},
		{"A: x@y", "{A\n-|-|x|y\n}\n"},
		{"A: x@y (c);", "{A\nc|-|x|y\n}\n"},
		{"\"A: b\" <a@b>", "A: b|-|a|b\n"},
		{"a@b; c@d", "-|-|a|b\n-|-|c|d\n"},
		{"John", "-|-|John|-\n"},
		{"John <>", "John|-||-\n"},
		{"John Doe a@b", "John Doe|-|a|b\n"},
		{"John <a@b", "John|-|a|b\n"},
		{"John <a@b, c@d>", "John|-|a|b\n-|-|c|d\n"},
		{"\"John <a@b", "-|-|John <a@b|-\n"},
		{"=?utf-8?q?J=C3=B6rg?= <a@b>", "=?utf-8?q?J=C3=B6rg?=|-|a|b\n"},
		{"=?utf-8?q?Doe,_J?= <a@b>", "=?utf-8?q?Doe,_J?=|-|a|b\n"},
		{"a@b@c", "-|-|a@b|c\n"},
		{"()<a@b>", "-|-|a|b\n"},
		{"(only a comment)", ""},
		{"(x), a@b", "-|-|a|b\n"},
		{"(unclosed a@b", ""},
		{"J\xc3\xb6rg <j\xc3\xb6@b\xc3\xbc.de>", "J\xc3\xb6rg|-|j\xc3\xb6|b\xc3\xbc.de\n"},
		{"Mr. A. B. <a@b>", "Mr. A. B.|-|a|b\n"},
		{"\\", "-|-|\\|-\n"},
		{"a\\", "-|-|a\\|-\n"},
		{"\"", "-|-||-\n"},
		{"<", "-|-||-\n"},
		{":", "{\n}\n"},
	};
	struct arena *a = arena_new(65536);
	struct buf b = BUF_INIT(4096);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		slice in = slice_of(cases[i].in);
		char *exact = exact_copy(in);
		buf_reset(&b);
		list_text(&b, slice_make(exact, in.n), a);
		if (!slice_eq(buf_slice(&b), slice_of(cases[i].out)))
			fail_msg("%s\n  gives %.*s", cases[i].in, (int)b.n, b.p);
		arena_reset(a);
		free(exact);
	}
	buf_free(&b);
	arena_free(a);
}

/* Any text is walked to its end in linear time: each of these takes minutes where something is quadratic. */
static void test_hostile(void **state)
{
	static const char *const pieces[] = {"(", ")", "\"", "<", ">", "@", ",", ":", ";", "a:", "<@", "=?",
		"=?a?q?", "\\", "[", "a@[", "\"\\", "(\\", "a@b,", "a ", " ", "\n ", "()", "<@a:", "a:b@c;",
		"(),"};
	struct arena *a = arena_new(4 * MEGABYTE);
	(void)state;
	for (size_t i = 0; i < COUNT_OF(pieces); i++) {
		struct buf b = BUF_INIT(2 * MEGABYTE);
		struct mail_address_scan scan;
		struct mail_address m;
		size_t n = 0, groups = 0;
		while (b.n < MEGABYTE)
			buf_addz(&b, pieces[i]);
		mail_address_begin(&scan, buf_slice(&b), a);
		while (mail_address_next(&scan, &m)) {
			n += m.kind != MAIL_ADDRESS_GROUP_END;
			groups += m.kind == MAIL_ADDRESS_GROUP;
			groups -= m.kind == MAIL_ADDRESS_GROUP_END;
		}
		assert_true(n <= 10000);
		assert_int_equal(groups, 0);
		arena_reset(a);
		buf_free(&b);
	}
	arena_free(a);
}

static void expect_address(struct buf *out, json_t *v)
{
	const char *name = json_string_value(json_object_get(v, "name"));
	const char *address = json_string_value(json_object_get(v, "address"));
	buf_addf(out, "%s|%s\n", name ? name : "-", address ? address : "-");
}

static void expect_list(struct buf *out, json_t *v)
{
	size_t i;
	json_t *item, *list = json_object_get(v, "List"), *groups = json_object_get(v, "Group");
	json_array_foreach(list, i, item)
	{
		expect_address(out, item);
	}
	json_array_foreach(groups, i, item)
	{
		size_t k;
		json_t *member;
		const char *name = json_string_value(json_object_get(item, "name"));
		if (name)
			buf_addf(out, "{%s\n", name);
		json_array_foreach(json_object_get(item, "addresses"), k, member)
		{
			expect_address(out, member);
		}
		if (name)
			buf_addz(out, "}\n");
	}
}

static void got_list(struct buf *out, slice body, struct arena *a)
{
	struct mail_address_scan scan;
	struct mail_address m;
	mail_address_begin(&scan, body, a);
	while (mail_address_next(&scan, &m)) {
		if (m.kind == MAIL_ADDRESS_GROUP_END) {
			buf_addz(out, "}\n");
			continue;
		}
		if (m.kind == MAIL_ADDRESS_GROUP)
			buf_add_c(out, '{');
		slice name = m.name.p ? mail_words_decoded(a, m.name) : (slice){0};
		buf_add(out, name.n ? name : S("-"));
		if (m.kind == MAIL_ADDRESS_GROUP) {
			buf_add_c(out, '\n');
			continue;
		}
		buf_add_c(out, '|');
		buf_add(out, m.local.n ? m.local : S("-"));
		if (m.domain.p) {
			buf_add_c(out, '@');
			buf_add(out, m.domain);
		}
		buf_add_c(out, '\n');
	}
}

/* Cases where that parser reads otherwise, each a matter of taste in broken or odd text: comments are put
 * into names there, and text without @ is taken as a name. Counted, so that a change shows. */
enum { OTHER_READINGS = 10 };

static void test_mail_parser(void **state)
{
	char path[512];
	struct arena *a = arena_new(MEGABYTE);
	struct buf want = BUF_INIT(65536), got = BUF_INIT(65536);
	size_t i, differ = 0;
	json_t *all, *item;
	(void)state;
	if (!vector_path(path, sizeof path, "mail-parser/address.json"))
		skip();
	all = json_load_file(path, 0, NULL);
	assert_non_null(all);
	json_array_foreach(all, i, item)
	{
		const char *header = json_string_value(json_object_get(item, "header"));
		buf_reset(&want);
		buf_reset(&got);
		expect_list(&want, json_object_get(item, "expected"));
		got_list(&got, slice_of(header), a);
		if (!slice_eq(buf_slice(&want), buf_slice(&got))) {
			if (getenv("VERBOSE"))
				print_message("---- %s\nwant %.*s\ngot  %.*s\n", header, (int)want.n, want.p,
					(int)got.n, got.p);
			differ++;
		}
		arena_reset(a);
	}
	assert_int_equal(differ, OTHER_READINGS);
	json_decref(all);
	buf_free(&want);
	buf_free(&got);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_mail_parser),
	};
	return cmocka_run_group_tests_name("mail/addrlist", tests, NULL, NULL);
}

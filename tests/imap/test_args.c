/* Arguments, sequence sets, mailbox names and patterns: tables. */
#include "imap/args.h"
#include "imap/name.h"
#include "imap/seqset.h"
#include "imap/write.h"
#include "limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct arena *arena;

static int set_up(void **state)
{
	(void)state;
	arena = arena_new(1 << 20);
	return arena ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static struct imap_part part;
static struct imap_command command;

static struct imap_args args_of(const char *text)
{
	part = (struct imap_part){.text = slice_of(text)};
	command = (struct imap_command){.first = &part};
	return imap_args_of(&command, arena);
}

static void strings(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} table[] = {
		{"\"abc\"", "abc"},
		{"\"\"", ""},
		{"\"a\\\"b\\\\\"", "a\"b\\"},
		{"\"a\\b\"", NULL},
		{"\"abc", NULL},
		{"\"a\\", NULL},
		{"\"a\\\"", NULL},
		{"\"a\rb\"", NULL},
		{"abc", "abc"},
		{"a]b", "a]b"},
		{"(", NULL},
		{"", NULL},
		{"{3}", NULL},
		{"\"\303\244\"", "\303\244"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct imap_args a = args_of(table[i].in);
		slice got;
		bool good = imap_take_astring(&a, &got) && imap_take_end(&a);

		assert_int_equal(good, table[i].out != NULL);
		if (good)
			assert_true(slice_eq(got, slice_of(table[i].out)));
		else
			assert_non_null(a.why);
	}
}

static void literals(void **state)
{
	struct imap_part last = {.text = S(" x")};
	struct imap_part middle = {.text = S(" "), .has_literal = true, .literal = S("two"), .next = &last};
	struct imap_part head = {
		.text = S("a "), .has_literal = true, .literal = S("o\0ne"), .next = &middle};
	struct imap_command c = {.first = &head, .args_at = 1};
	struct imap_args a = imap_args_of(&c, arena);
	slice s;

	(void)state;
	assert_true(imap_take_sp(&a));
	assert_int_equal(imap_args_peek(&a), IMAP_LITERAL);
	assert_false(imap_args_at_end(&a));
	assert_false(imap_take_string(&a, &s)); /* NUL */
	head.literal = S("one");
	a = imap_args_of(&c, arena);
	assert_true(imap_take_sp(&a) && imap_take_astring(&a, &s));
	assert_true(slice_eq(s, S("one")));
	assert_true(imap_take_sp(&a) && imap_take_nstring(&a, &s));
	assert_true(slice_eq(s, S("two")));
	assert_false(imap_args_at_end(&a));
	assert_true(imap_take_sp(&a) && imap_take_atom(&a, &s) && imap_take_end(&a));
	assert_true(slice_eq(s, S("x")));
}

static void ids(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		bool good;
	} table[] = {
		{" NIL", true},
		{" nil ", true},
		{" ()", true},
		{" (\"a\" NIL)", true},
		{" (\"a\" \"b\" \"c\" \"d\")", true},
		{"", false},
		{" (\"a\")", false},
		{" (\"a\" (\"b\"))", false},
		{" ((", false},
		{" \"a\"", false},
		{" (\"a\" \"b\"", false},
		{" NIL x", false},
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct imap_args a = args_of(table[i].in);

		assert_int_equal(imap_take_id(&a), table[i].good);
	}
}

static void numbers(void **state)
{
	uint64_t v;
	struct imap_args a = args_of("4294967295");

	(void)state;
	assert_true(imap_take_number(&a, UINT32_MAX, &v) && v == UINT32_MAX);
	a = args_of("4294967296");
	assert_false(imap_take_number(&a, UINT32_MAX, &v));
	a = args_of("x");
	assert_false(imap_take_number(&a, UINT32_MAX, &v));
}

static const char *uids_text(const struct uidset *s)
{
	static char text[256];
	struct buf b = BUF_INIT(255);

	imap_write_uids(&b, s);
	memcpy(text, b.n ? b.p : "", b.n);
	text[b.n] = 0;
	buf_free(&b);
	return text;
}

static void sets(void **state)
{
	static const struct {
		const char *in, *uids, *seqs; /* messages 3:5,9,20; uids NULL: not a set; seqs: UIDs, "!" when
						 past the end */
	} table[] = {
		{"1", "", "3"},
		{"3", "3", "5"},
		{"*", "20", "20"},
		{"1:*", "3:5,9,20", "3:5,9,20"},
		{"*:1", "3:5,9,20", "3:5,9,20"},
		{"5:4", "4:5", "9,20"},
		{"4:9", "4:5,9", "!9,20"},
		{"6", "", "!"},
		{"6:8", "", "!"},
		{"2,6", "", "!4"},
		{"100:*", "20", "20"},
		{"1,1:2,2", "", "3:4"},
		{"20,9,3", "3,9,20", "!5"},
		{"1:4294967295", "3:5,9,20", "!3:5,9,20"},
		{"0", NULL, NULL},
		{"", NULL, NULL},
		{"1:", NULL, NULL},
		{":1", NULL, NULL},
		{"1,,2", NULL, NULL},
		{"1:2:3", NULL, NULL},
		{"01", NULL, NULL},
		{"4294967296", NULL, NULL},
		{"1,", NULL, NULL},
		{"**", NULL, NULL},
		{"a", NULL, NULL},
	};
	struct uidset have = {0};

	(void)state;
	assert_int_equal(uidset_add_range(&have, 3, 5), 0);
	assert_int_equal(uidset_add(&have, 9), 0);
	assert_int_equal(uidset_add(&have, 20), 0);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct imap_seqset s, again;
		struct uidset uids = {0}, seqs = {0};
		bool good = imap_seqset_parse(slice_of(table[i].in), arena, &s) &&
			    imap_seqset_parse(slice_of(table[i].in), arena, &again);

		assert_int_equal(good, table[i].uids != NULL);
		if (!good)
			continue;
		assert_int_equal(imap_seqset_uids(&s, &have, &uids), 0);
		assert_string_equal(uids_text(&uids), table[i].uids);
		bool past = table[i].seqs[0] == '!';
		assert_int_equal(imap_seqset_seqs(&again, &have, &seqs), past);
		assert_string_equal(uids_text(&seqs), table[i].seqs + past);
		uidset_free(&uids);
		uidset_free(&seqs);
	}
	struct uidset none = {0}, out = {0};
	struct imap_seqset s;

	assert_true(imap_seqset_parse(S("1:*"), arena, &s));
	assert_int_equal(imap_seqset_uids(&s, &none, &out), 0);
	assert_int_equal(uidset_count(&out), 0);
	assert_int_equal(imap_seqset_seqs(&s, &none, &out), 1);
	uidset_free(&have);
}

static void patterns(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool match;
	} table[] = {
		{"*", "a", true},
		{"*", "a/b", true},
		{"%", "a", true},
		{"%", "a/b", false},
		{"%/%", "a/b", true},
		{"%/%", "a/b/c", false},
		{"a/%", "a/b", true},
		{"a/%", "a/", true},
		{"a/*", "a/b/c", true},
		{"a*", "abc", true},
		{"a%c", "abc", true},
		{"a%c", "a/c", false},
		{"*c", "abcabc", true},
		{"*b%", "a/b/c", false},
		{"*b%", "a/b/cb", true},
		{"%b", "bb", true},
		{"%b%b", "abab", true},
		{"%a%/b", "xaya/b", true},
		{"%a/%b/c", "a/b/c", true},
		{"*/c", "a/b/c", true},
		{"*%", "a/b", true},
		{"%*", "a/b", true},
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"inbox", "INBOX", true},
		{"InBoX", "INBOX", true},
		{"in%", "INBOX", true},
		{"inbox/a", "INBOX/a", true},
		{"inbox/A", "INBOX/a", false},
		{"inbox", "inboxes", true},
		{"INBOX", "inbox2", false},
		{"%", "INBOX", true},
		{"a", "A", false},
		{"*a*b*c", "xaxbxcx", false},
		{"*a*b*c", "xaxbxc", true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		bool got = imap_name_match(slice_of(table[i].pattern), slice_of(table[i].path));

		if (strcmp(table[i].path, "inboxes") == 0) /* another mailbox than INBOX: its case counts */
			assert_false(got);
		else if (got != table[i].match)
			fail_msg("%s against %s", table[i].pattern, table[i].path);
	}
	/* a hostile pattern stays cheap */
	char pattern[1000], path[1000];
	for (size_t i = 0; i < sizeof pattern; i++) {
		pattern[i] = i % 2 ? '*' : 'a';
		path[i] = 'a';
	}
	path[999] = 'b';
	pattern[999] = 'c';
	assert_false(imap_name_match(slice_make(pattern, 1000), slice_make(path, 1000)));
}

static void names(void **state)
{
	char longest[LIMIT_IMAP_NAME + 1];
	slice got;
	struct buf out = BUF_INIT(1000);

	(void)state;
	assert_true(imap_name_read(S("a/&AOQ-&-b"), false, arena, &got));
	assert_true(slice_eq(got, S("a/\303\244&b")));
	assert_false(imap_name_read(S("&"), false, arena, &got));
	assert_false(imap_name_read(S("\303\244"), false, arena, &got));
	assert_true(imap_name_read(S("\303\244&"), true, arena, &got));
	assert_false(imap_name_read(S("\377"), true, arena, &got));
	memset(longest, 'a', sizeof longest);
	assert_false(imap_name_read(slice_make(longest, sizeof longest), true, arena, &got));
	imap_name_write(&out, S("\303\244 \"&"), false);
	imap_name_write(&out, S("\303\244 \"&"), true);
	assert_true(slice_eq(buf_slice(&out), S("\"&AOQ- \\\"&-\"\"\303\244 \\\"&\"")));
	buf_free(&out);
	assert_true(slice_eq(imap_name_pattern(S("a/"), S("%"), arena), S("a/%")));
	assert_true(slice_eq(imap_name_pattern(S("a/"), S("/b"), arena), S("/b")));
	assert_null(imap_name_pattern(slice_make(longest, sizeof longest), S("%"), arena).p);
}

static void written(void **state)
{
	struct buf out = BUF_INIT(4000);
	static const struct mailbox_row row = {.keywords = {"$Junk\0x\0", 8}};

	(void)state;
	imap_write_string(&out, S("a\nb\0"), false);
	imap_write_string(&out, S("a\\"), false);
	imap_write_u64(&out, UINT64_MAX);
	imap_write_u64(&out, 0);
	imap_write_flags(&out, FLAG_SEEN | FLAG_DRAFT, 3, &row);
	assert_true(slice_eq(
		buf_slice(&out), S("{4}\r\na\nb?\"a\\\\\"184467440737095516150\\Seen \\Draft $Junk x")));
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings),
		cmocka_unit_test(literals),
		cmocka_unit_test(ids),
		cmocka_unit_test(numbers),
		cmocka_unit_test(sets),
		cmocka_unit_test(patterns),
		cmocka_unit_test(names),
		cmocka_unit_test(written),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

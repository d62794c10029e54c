/* The configuration file: what is taken, what is refused, and in which words. */
#include "base/config.h"
#include "base/nearest.h"
#include "limits.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

struct memory_file {
	const char *path, *text;
};

static int memory_read(void *arg, slice path, struct arena *a, slice *ret_text, err *e)
{
	(void)a;
	for (const struct memory_file *f = arg; f->path; f++) {
		if (slice_eq(slice_of(f->path), path)) {
			*ret_text = slice_of(f->text);
			return 0;
		}
	}
	return err_set(e, ERR_MISSING, "cannot open %" SLICE_FMT, SLICE_ARG(path));
}

static int memory_match(
	void *arg, slice folder, slice pattern, struct arena *a, slice *ret, size_t max, err *e)
{
	size_t n = 0;
	slice glob = arena_fmt(a, "%.*s/%.*s", (int)folder.n, folder.p, (int)pattern.n, pattern.p);

	for (const struct memory_file *f = arg; f->path && glob.p; f++) {
		if (fnmatch(glob.p, f->path, FNM_PATHNAME) == 0) {
			if (n == max)
				return err_set(e, ERR_LIMIT, "too many");
			ret[n++] = slice_of(f->path);
		}
	}
	return (int)n;
}

static int parse_files(const struct memory_file *files, struct config *ret, struct buf *report)
{
	struct config_source source = {memory_read, memory_match, (void *)(uintptr_t)files};

	return config_parse(&source, slice_of(files->path), ret, report);
}

static int parse(const char *text, struct config *ret, struct buf *report)
{
	struct memory_file files[] = {{"/etc/p.conf", text}, {0}};

	return parse_files(files, ret, report);
}

static const char *text_of(struct buf *b)
{
	buf_add_c(b, 0);
	assert_false(b->failed);
	return b->p;
}

static void good(const char *text, struct config *ret)
{
	struct buf report = BUF_INIT(65536);

	if (parse(text, ret, &report) < 0)
		fail_msg("refused: %s", text_of(&report));
	assert_int_equal(report.n, 0);
	buf_free(&report);
}

static void test_good(void **state)
{
	(void)state;
	struct config c;

	good("# the whole\n"
	     "host mail.Example.com   # our name\r\n"
	     "admin a@example.com \"b@example.com\"\n"
	     "data lib; run \"./r un\"\n"
	     "limits { message 25MB; recipients 200 }\n"
	     "limits errors 5\n"
	     "timeout {\n\tsmtp 10s\n\n}\n"
	     "log { format json }\n"
	     "listen smtp 25\n"
	     "listen imaps 127.0.0.1:993\n"
	     "listen lmtp ./sock/l\n"
	     "listen pop3s\n"
	     "domain Example.com {\n catchall postmaster@example.com\n}\n"
	     "domain other.example",
		&c);
	const struct settings *s = c.settings;
	assert_true(slice_eq(s->host, S("mail.example.com")));
	assert_int_equal(s->admin.n, 2);
	assert_true(slice_eq(s->admin.v[1], S("b@example.com")));
	assert_true(slice_eq(s->data_dir, S("/etc/lib")));
	assert_true(slice_eq(s->run_dir, S("/etc/r un")));
	assert_int_equal(s->limit_message, 25000000);
	assert_int_equal(s->limit_recipients, 200);
	assert_int_equal(s->limit_errors, 5);
	assert_int_equal(s->timeout_smtp, 10000);
	assert_int_equal(s->log_format, 1);
	assert_int_equal(s->listens_n, 4);
	assert_int_equal(s->listens[0].family, LISTEN_ANY);
	assert_int_equal(s->listens[1].family, LISTEN_IP4);
	assert_true(slice_eq(s->listens[2].path, S("/etc/sock/l")));
	assert_int_equal(s->listens[3].port, 995);
	assert_int_equal(s->domains_n, 2);
	assert_true(slice_eq(s->domains[0].name, S("example.com")));
	assert_true(slice_eq(s->domains[0].catchall, S("postmaster@example.com")));
	assert_int_equal(s->domains[0].line, 16);
	assert_false(c.listens_default);
	assert_int_equal(c.listens[1].line, 13);
	assert_int_equal(c.origins[SETTING_ID_limit_errors].line, 6);
	assert_true(slice_eq(c.origins[SETTING_ID_limit_errors].file, S("/etc/p.conf")));
	assert_int_equal(c.origins[SETTING_ID_limit_hops].file.n, 0);
	config_free(&c);
}

static void test_empty(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"", "\n\n", "# nothing", "  \t ", ";;;", "\xef\xbb\xbf# mark", "limits { }", "limits {\n}"};
	struct config c;

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		good(texts[i], &c);
		assert_true(c.listens_default);
		assert_int_equal(c.settings->listens_n, 7);
		config_free(&c);
	}
}

static void test_bad(void **state)
{
	(void)state;
	static const struct {
		const char *text, *report; /* the report begins with it */
	} cases[] = {
		{"host a.example\n  recipient 20\n",
			"/etc/p.conf:2:3: unknown word \"recipient\"\n      recipient 20\n      ^~~~~~~~~\n"},
		{"limits {\n\trecipient 20\n}", "/etc/p.conf:2:2: unknown word \"recipient\" in limits; did "
						"you mean \"recipients\"?\n"
						"    \trecipient 20\n    \t^~~~~~~~~\n"},
		{"limit message 5MB", "/etc/p.conf:1:1: unknown word \"limit\"; did you mean \"limits\"?\n"},
		{"hots a.b", "/etc/p.conf:1:1: unknown word \"hots\"; did you mean \"host\"?\n    hots a.b\n "
			     "   ^~~~\n"},
		{"listen imsps 143",
			"/etc/p.conf:1:8: unknown word \"imsps\" in listen; did you mean \"imaps\"?\n"},
		{"host \"\xc3\xa4\xc3\xb6\" x", "/etc/p.conf:1:11: \"host\" takes one value;"},
		{"host \xc3\xa4.example", "/etc/p.conf:1:6: \"\xc3\xa4.example\" is not a host name\n"
					  "    host \xc3\xa4.example\n         ^~~~~~~~~\n"},
		{"limits message 50 MB", "/etc/p.conf:1:19: \"message\" takes one value;"},
		{"limits message 50",
			"/etc/p.conf:1:16: \"50\" has no unit that is known here; write it like 25MB"},
		{"limits message 1KB", "/etc/p.conf:1:16: 1KB is out of range: 64KiB to 1GiB\n"},
		{"limits", "/etc/p.conf:1:1: \"limits\" needs a block"},
		{"limits x { message 5MB }", "/etc/p.conf:1:8: unknown word \"x\" in limits"},
		{"host", "/etc/p.conf:1:1: \"host\" needs a value"},
		{"host { a }", "/etc/p.conf:1:1: \"host\" takes no block"},
		{"host a.example\nhost b.example",
			"/etc/p.conf:2:1: \"host\" stands here a second time; it was set at /etc/p.conf:1\n"},
		{"limits {", "/etc/p.conf:1:1: the block that begins here is not closed\n"},
		{"}", "/etc/p.conf:1:1: this brace closes nothing\n    }\n    ^\n"},
		{"limits\n{ }", "/etc/p.conf:2:1: the brace must stand on the line"},
		{"host \"a.example", "/etc/p.conf:1:6: the quotes are not closed on this line\n"},
		{"host \"a.example\nx\"", "/etc/p.conf:1:6: the quotes are not closed on this line\n"},
		{"host a\"b\"", "/etc/p.conf:1:6: quotes must go round the whole word\n"},
		{"host \"a\"b", "/etc/p.conf:1:6: quotes must go round the whole word\n"},
		{"host a\001b", "/etc/p.conf:1:6: a control character is not allowed here\n    host a?b\n"},
		{"host \"\\", "/etc/p.conf:1:6: "},
		{"host a.example\nhost \xff", "/etc/p.conf:2:1: this line is not UTF-8\n"},
		{"{{{{{{{{{{", "/etc/p.conf:1:1: the brace must stand"},
		{"a{a{a{a{a{a{a{a{a{", "/etc/p.conf:1:18: blocks are nested too deeply"},
		{"listen", "/etc/p.conf:1:1: write: listen SERVICE"},
		{"listen smtp 25 26", "/etc/p.conf:1:1: write: listen SERVICE"},
		{"listen smtp mail:25", "/etc/p.conf:1:13: \"mail\" is no IP address;"},
		{"listen smtp 25\nlisten imap 25",
			"/etc/p.conf:2:13: \"25\" stands here a second time; it was set at /etc/p.conf:1\n"},
		{"domain", "/etc/p.conf:1:1: write: domain NAME"},
		{"domain a..b", "/etc/p.conf:1:8: \"a..b\" is not a domain name"},
		{"domain a.b\ndomain A.b",
			"/etc/p.conf:2:8: \"A.b\" stands here a second time; it was set at /etc/p.conf:1\n"},
		{"domain a.b { catchal x@a.b }",
			"/etc/p.conf:1:14: unknown word \"catchal\" in domain; did you mean \"catchall\"?\n"},
		{"domain a.b { catchall x }", "/etc/p.conf:1:23: \"x\" is not a mail address\n"},
		{"tls certificate c.pem", "/etc/p.conf:1: \"tls certificate\" needs \"tls key\" beside it\n"},
		{"include nowhere.conf", "/etc/p.conf:1:9: cannot open /etc/nowhere.conf\n"},
		{"include *.d/x.conf",
			"/etc/p.conf:1:9: * and ? may stand only in the last part of the path\n"},
		{"include p.conf",
			"/etc/p.conf:1:9: includes are 8 deep here: does a file include itself?\n"},
		{"include", "/etc/p.conf:1:1: write: include FILE"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf report = BUF_INIT(65536);
		struct config c = {0};
		assert_int_equal(parse(cases[i].text, &c, &report), -1);
		assert_null(c.settings);
		const char *got = text_of(&report);
		if (strncmp(got, cases[i].report, strlen(cases[i].report)) != 0)
			fail_msg("text:\n%s\nwant:\n%s\ngot:\n%s", cases[i].text, cases[i].report, got);
		buf_free(&report);
	}
}

/* Every mistake is told at once, up to the limit. */
static void test_many_mistakes(void **state)
{
	(void)state;
	struct buf text = BUF_INIT(65536), report = BUF_INIT(65536);
	struct config c;

	for (int i = 0; i < 25; i++)
		buf_addz(&text, "limits message x\n");
	assert_int_equal(parse(text_of(&text), &c, &report), -1);
	const char *got = text_of(&report);
	size_t n = 0;
	for (const char *at = got; (at = strstr(at, "p.conf:")) != NULL; at++)
		n++;
	assert_in_range(n, LIMIT_CONFIG_ERRORS, 2 * LIMIT_CONFIG_ERRORS);
	assert_non_null(strstr(got, "and 5 more\n"));
	buf_free(&text);
	buf_free(&report);
}

static void test_include(void **state)
{
	(void)state;
	static const struct memory_file files[] = {
		{"/etc/p.conf", "include conf.d/*.conf\ninclude more/x\nhost a.example"},
		{"/etc/conf.d/1.conf", "listen smtp 25\ndata here"},
		{"/etc/conf.d/2.conf", "listen imap 143\ninclude sub/3"},
		{"/etc/conf.d/2.conf~", "nonsense"},
		{"/etc/conf.d/sub/3", "limits hops 50"},
		{"/etc/more/x", "include none*.conf"},
		{0},
	};
	static const struct memory_file wrong[] = {
		{"/etc/p.conf", "include *.inc\n"},
		{"/etc/a.inc", "host a.example"},
		{"/etc/b.inc", "\nhost b.example"},
		{0},
	};
	struct buf report = BUF_INIT(65536);
	struct config c;

	assert_int_equal(parse_files(files, &c, &report), 0);
	assert_int_equal(c.settings->listens_n, 2);
	assert_true(slice_eq(c.settings->data_dir, S("/etc/conf.d/here")));
	assert_true(slice_eq(c.origins[SETTING_ID_limit_hops].file, S("/etc/conf.d/sub/3")));
	assert_int_equal(c.settings->limit_hops, 50);
	config_free(&c);
	assert_int_equal(parse_files(wrong, &c, &report), -1);
	assert_string_equal(text_of(&report),
		"/etc/b.inc:2:1: \"host\" stands here a second time; it was set at /etc/a.inc:1\n"
		"    host b.example\n    ^~~~\n");
	buf_free(&report);
}

static void test_limits(void **state)
{
	(void)state;
	struct buf text = BUF_INIT(2 << 20), report = BUF_INIT(65536);
	struct config c;

	buf_addz(&text, "host \"");
	for (int i = 0; i < LIMIT_CONFIG_WORD + 1; i++)
		buf_add_c(&text, 'a');
	buf_addz(&text, "\"");
	assert_int_equal(parse(text_of(&text), &c, &report), -1);
	assert_non_null(strstr(text_of(&report), "this word is too long"));
	buf_reset(&text), buf_reset(&report);
	buf_addz(&text, "admin");
	for (int i = 0; i < LIMIT_CONFIG_WORDS; i++)
		buf_addz(&text, " a@b.example");
	assert_int_equal(parse(text_of(&text), &c, &report), -1);
	assert_non_null(strstr(text_of(&report), "too many words"));
	buf_reset(&text), buf_reset(&report);
	while (text.n <= LIMIT_CONFIG_FILE)
		buf_addz(&text, "limits message 5MB\n");
	assert_int_equal(parse(text_of(&text), &c, &report), -1);
	assert_non_null(strstr(text_of(&report), "the file is too large"));
	buf_reset(&text), buf_reset(&report);
	for (int i = 0; i < 500000; i++)
		buf_addz(&text, "{\n");
	assert_int_equal(parse(text_of(&text), &c, &report), -1);
	buf_free(&text);
	buf_free(&report);
}

static void change_seen(void *arg, const struct config_change *c)
{
	buf_addf(arg, "%" SLICE_FMT ": %" SLICE_FMT " -> %" SLICE_FMT "%s\n", SLICE_ARG(c->name),
		SLICE_ARG(c->before), SLICE_ARG(c->after), c->restart ? " (restart)" : "");
}

static void test_diff(void **state)
{
	(void)state;
	struct config a, b;
	struct buf seen = BUF_INIT(65536);

	good("host a.example\nlimits message 5MB\nlisten smtp 25\nlisten imap 143\ndomain x.example\ndomain "
	     "y.example",
		&a);
	good("limits message 6MB\nhost a.example\nlisten imap 143\nlisten imap 127.0.0.1:1143\nstore map "
	     "2TiB\nadmin a@x.example\n"
	     "domain x.example { catchall a@x.example }\ndomain z.example",
		&b);
	assert_int_equal(config_diff(a.settings, a.settings, change_seen, &seen), 0);
	assert_int_equal(seen.n, 0);
	assert_int_equal(config_diff(a.settings, b.settings, change_seen, &seen), 8);
	assert_string_equal(text_of(&seen), "admin:  -> a@x.example\n"
					    "limits message: 5MB -> 6MB\n"
					    "store map: 1TiB -> 2TiB (restart)\n"
					    "listen: smtp 25 -> \n"
					    "listen:  -> imap 127.0.0.1:1143\n"
					    "domain: x.example -> x.example catchall a@x.example\n"
					    "domain: y.example -> \n"
					    "domain:  -> z.example\n");
	buf_free(&seen);
	config_free(&a);
	config_free(&b);
}

/* What `config show` prints is a file that says the same. */
static void test_print_parse(void **state)
{
	(void)state;
	struct config a, b;
	struct buf text = BUF_INIT(65536);

	good("host a.example\ndata \"/a b/#c\\\"\"\nrun \"/x{y}\"\nadmin a@b.example c@d.example\nlog level "
	     "debug\nauth cleartext-on-loopback on",
		&a);
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		size_t before = text.n;
		setting_name(&setting_table[i], &text);
		buf_add_c(&text, ' ');
		size_t named = text.n;
		setting_print(&setting_table[i], a.settings, &text);
		if (text.n == named)
			buf_truncate(&text, before);
		else
			buf_add_c(&text, '\n');
	}
	good(text_of(&text), &b);
	for (size_t i = 0; i < SETTING_COUNT; i++)
		assert_true(setting_equal(&setting_table[i], a.settings, b.settings));
	buf_free(&text);
	config_free(&a);
	config_free(&b);
}

static const char *word_at(const void *arg, size_t i)
{
	return ((const char *const *)arg)[i];
}

static void test_nearest(void **state)
{
	(void)state;
	static const char *const words[] = {"add", "list", "remove", "show", "set", NULL};

	assert_string_equal(nearest_find(S("lsit"), word_at, words), "list");
	assert_string_equal(nearest_find(S("REMVE"), word_at, words), "remove");
	assert_string_equal(nearest_find(S("ad"), word_at, words), "add");
	assert_null(nearest_find(S("xyz"), word_at, words));
	assert_null(nearest_find(S(""), word_at, words));
	assert_null(nearest_find(S("an endless word that is far longer than forty"), word_at, words));
}

static void file_put(const char *dir, const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	AUTO_FD fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void test_disk(void **state)
{
	(void)state;
	char dir[] = "/tmp/posthouse-test-XXXXXX", path[256];
	struct buf report = BUF_INIT(65536);
	struct config c;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/conf.d", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	file_put(dir, "p.conf", "include conf.d/*.conf\ninclude gone/*.conf\n");
	file_put(dir, "conf.d/b.conf", "listen imap 143\n");
	file_put(dir, "conf.d/a.conf", "listen smtp 25\n");
	file_put(dir, "conf.d/.hidden.conf", "nonsense\n");
	snprintf(path, sizeof path, "%s/p.conf", dir);
	if (config_load(path, &c, &report) < 0)
		fail_msg("%s", text_of(&report));
	assert_int_equal(c.settings->listens_n, 2);
	assert_int_equal(c.settings->listens[0].protocol, PROTOCOL_SMTP);
	assert_true(c.settings->host.n > 0);
	config_free(&c);
	assert_int_equal(config_load("/nowhere/p.conf", &c, &report), -1);
	assert_string_equal(text_of(&report), "cannot open /nowhere/p.conf: No such file or directory\n");
	buf_reset(&report);
	assert_int_equal(config_load(dir, &c, &report), -1);
	assert_non_null(strstr(text_of(&report), "is not a regular file"));
	buf_reset(&report);
	assert_int_equal(config_defaults(&c, &report), 0);
	config_free(&c);
	static const char *const names[] = {
		"conf.d/a.conf", "conf.d/b.conf", "conf.d/.hidden.conf", "p.conf", "conf.d", ""};
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		assert_int_equal(remove(path), 0);
	}
	buf_free(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_many_mistakes),
		cmocka_unit_test(test_include),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_print_parse),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The command reader over a socket pair, under all chunkings; and the pure pieces it is made of. */
#include "base/buf.h"
#include "imap/command.h"
#include "io/loop.h"
#include "limits.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

static const struct imap_limits small = {.line = 40, .literal = 10, .parts = 3};

struct talk {
	slice input;
	size_t cut; /* the input is sent in two pieces; SIZE_MAX: byte by byte */
	int fds[2];
	struct buf seen;
	struct buf answers;
};

static bool streams_append(const struct imap_command *c)
{
	return slice_ieq(c->verb, S("APPEND")) && (c->parts > 0 || c->first->text.n > c->args_at + 1);
}

static void note_command(struct talk *t, const struct imap_command *c)
{
	buf_addf(&t->seen, "<%.*s %.*s", (int)c->tag.n, c->tag.p, (int)c->verb.n, c->verb.p);
	for (const struct imap_part *p = c->first; p; p = p->next) {
		buf_addf(&t->seen, "|%.*s", (int)p->text.n, p->text.p);
		if (p->has_literal)
			buf_addf(&t->seen, "|%s%.*s", p->binary ? "~" : "=", (int)p->literal.n, p->literal.p);
	}
	buf_add(&t->seen, S(">"));
}

static void server(void *arg)
{
	struct talk *t = arg;
	struct stream *io = stream_new(t->fds[0]);
	struct arena *a = arena_new(65536);
	struct imap_reader r = {.io = io, .limits = &small, .arena = a, .streams = streams_append};
	struct imap_command c;
	int rc = 0;

	while (rc > -2) {
		err e = {0};

		arena_reset(a);
		rc = imap_command_read(&r, &c, &e);
		while (rc == 0 && c.pending.is) {
			char byte;

			buf_addf(&t->seen, "[%u%s]", (unsigned)c.pending.size, c.pending.nonsync ? "+" : "");
			if (!c.pending.nonsync)
				assert_int_equal(stream_write(io, S("+ mine\r\n")), 0);
			for (uint64_t i = 0; i < c.pending.size; i++)
				assert_int_equal(stream_read_exact(io, &byte, 1), 0);
			rc = imap_command_continue(&r, &c, &e);
		}
		if (rc == 0)
			note_command(t, &c);
		else
			buf_addf(&t->seen, "(%d %.*s %s)", rc, (int)c.tag.n, c.tag.n ? c.tag.p : "",
				e.kind == ERR_CLOSED ? "closed" : e.text);
	}
	arena_free(a);
	stream_close(io);
}

static void client(void *arg)
{
	struct talk *t = arg;
	struct stream *io = stream_new(t->fds[1]);
	slice have;

	for (size_t i = 0; i < t->input.n;) {
		size_t n = t->cut == SIZE_MAX ? 1 : i == 0 && t->cut > 0 ? t->cut : t->input.n - i;

		assert_int_equal(stream_write(io, slice_sub(t->input, i, n)), 0);
		assert_int_equal(stream_flush(io), 0);
		i += n;
		fiber_yield();
		fiber_yield();
	}
	shutdown(stream_fd(io), SHUT_WR);
	while (stream_fill(io, &have) == 0) {
		buf_add(&t->answers, have);
		stream_consume(io, have.n);
	}
	stream_free(io);
}

static void talk(struct talk *t)
{
	struct loop *l = loop_new("test");

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, t->fds), 0);
	t->seen = t->answers = BUF_INIT(1 << 20);
	assert_non_null(fiber_start("server", server, t));
	assert_non_null(fiber_start("client", client, t));
	loop_run(l);
	loop_free(l);
	buf_add_c(&t->seen, 0);
	buf_add_c(&t->answers, 0);
}

static const struct {
	const char *input, *seen, *answers;
} cases[] = {
	{"a NOOP\r\nb NOOP\n", "<a NOOP|a NOOP><b NOOP|b NOOP>(-2  closed)", ""},
	{"a LOGIN {3}\r\nbob {4+}\r\nabcd\r\n", "<a LOGIN|a LOGIN |=bob| |=abcd|>(-2  closed)", "+ OK\r\n"},
	{"a X {0}\r\n y\r\n", "<a X|a X |=| y>(-2  closed)", "+ OK\r\n"},
	{"a X ~{2+}\r\nab\r\n", "<a X|a X |~ab|>(-2  closed)", ""},
	/* a quoted string that ends a line is a mistake, not a literal */
	{"a X \"b {3}\r\nc NOOP\r\n", "<a X|a X \"b {3}><c NOOP|c NOOP>(-2  closed)", ""},
	/* refused: not asked for; the client sends its next command */
	{"a X {11}\r\nb NOOP\r\n", "(-1 a the literal is too large)<b NOOP|b NOOP>(-2  closed)", ""},
	/* refused and read over, with what follows it */
	{"a X {11+}\r\n0123456789\n {3+}\r\nxyz more\r\nb NOOP\r\n",
		"(-1 a the literal is too large)<b NOOP|b NOOP>(-2  closed)", ""},
	{"a X {1+}\r\n. {1+}\r\n. {1+}\r\n. {1+}\r\n. {1+}\r\n.\r\nb NOOP\r\n",
		"(-1 a the command has too many literals)<b NOOP|b NOOP>(-2  closed)", ""},
	{"a 56789 123456789 123456789 123456789 123\r\nb NOOP\r\n",
		"(-1 a the command line is too long)<b NOOP|b NOOP>(-2  closed)", ""},
	{"a 56789 123456789 123456789 123456789 123456789 {5+}\r\n\r\n\r\n\r\nb NOOP\r\n",
		"(-1 a the command line is too long)<b NOOP|b NOOP>(-2  closed)", ""},
	{"a X {99999999+}\r\n", "(-2 a the literal is far too large)", ""},
	{"a X {4294967296}\r\nb NOOP\r\n", "(-1 a the literal is too large)<b NOOP|b NOOP>(-2  closed)", ""},
	{"a X {99999999999999999999999}\r\nb NOOP\r\n",
		"(-1 a the literal is too large)<b NOOP|b NOOP>(-2  closed)", ""},
	{"{3+}\r\nabc\r\nb NOOP\r\n",
		"(-1  a command begins with a tag and a word)<b NOOP|b NOOP>(-2  closed)", ""},
	{"a APPEND {1+}\r\nx (\\Seen) {20}\r\n0123456789012345678\n\r\nb NOOP\r\n",
		"[20]<a APPEND|a APPEND |=x| (\\Seen) |><b NOOP|b NOOP>(-2  closed)", "+ mine\r\n"},
	{"a APPEND x {2+}\r\nab {3+}\r\nabc\r\n", "[2+][3+]<a APPEND|a APPEND x | |>(-2  closed)", ""},
	{"\r\n\r\na NOOP\r\n", "< |>< |><a NOOP|a NOOP>(-2  closed)", ""},
	{"+ NOOP\r\n", "< |+ NOOP>(-2  closed)", ""},
	{"a NOOP", "(-2  closed)", ""},
};

static void all_chunkings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t n = strlen(cases[i].input);

		for (size_t cut = 0; cut <= n; cut++) {
			struct talk t = {.input = slice_of(cases[i].input), .cut = cut == n ? SIZE_MAX : cut};

			talk(&t);
			assert_string_equal(t.seen.p, cases[i].seen);
			assert_string_equal(t.answers.p, cases[i].answers);
			buf_free(&t.seen);
			buf_free(&t.answers);
		}
	}
}

static void megabytes_without_an_end(void **state)
{
	struct buf in = BUF_INIT(16 << 20);
	char *p = buf_room(&in, 10 << 20);

	(void)state;
	assert_non_null(p);
	memset(p, '(', 10 << 20);
	buf_grow(&in, 10 << 20);
	buf_addz(&in, "\r\na NOOP\r\n");
	struct talk t = {.input = buf_slice(&in)};
	talk(&t);
	assert_string_equal(t.seen.p, "(-1  the command line is too long)<a NOOP|a NOOP>(-2  closed)");
	buf_free(&t.seen);
	buf_free(&t.answers);
	buf_free(&in);
}

static void announcements(void **state)
{
	static const struct {
		const char *line;
		bool is, nonsync, binary;
		uint64_t size;
		size_t left;
	} table[] = {
		{"a {1}", true, false, false, 1, 2},
		{"a {01}", true, false, false, 1, 2},
		{"a ~{12+}", true, true, true, 12, 2},
		{"{1}", true, false, false, 1, 0},
		{"a {}", false, false, false, 0, 0},
		{"a {+}", false, false, false, 0, 0},
		{"a {-1}", false, false, false, 0, 0},
		{"a {1-}", false, false, false, 0, 0},
		{"a 1}", false, false, false, 0, 0},
		{"a \"{1}", false, false, false, 0, 0},
		{"a \"\\\"\" {1}", true, false, false, 1, 7},
		{"a \"\\\"{1}", false, false, false, 0, 0},
		{"}", false, false, false, 0, 0},
		{"a {18446744073709551616}", true, false, false, UINT64_MAX, 2},
	};
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		slice line = slice_of(table[i].line);
		struct imap_announced a = {0};

		assert_int_equal(imap_literal_announced(&line, &a), table[i].is);
		if (!table[i].is)
			continue;
		assert_int_equal(a.nonsync, table[i].nonsync);
		assert_int_equal(a.binary, table[i].binary);
		assert_true(a.size == table[i].size);
		assert_int_equal(line.n, table[i].left);
	}
}

static void tags(void **state)
{
	char longest[LIMIT_IMAP_TAG + 8];
	slice tag, verb;
	size_t at;

	(void)state;
	memset(longest, 'x', sizeof longest);
	memcpy(longest + LIMIT_IMAP_TAG, " NOOP", 5);
	imap_command_split(slice_make(longest, LIMIT_IMAP_TAG + 5), &tag, &verb, &at);
	assert_int_equal(tag.n, LIMIT_IMAP_TAG);
	assert_true(slice_eq(verb, S("NOOP")));
	longest[LIMIT_IMAP_TAG] = 'x';
	longest[LIMIT_IMAP_TAG + 1] = ' ';
	imap_command_split(slice_make(longest, LIMIT_IMAP_TAG + 5), &tag, &verb, &at);
	assert_int_equal(tag.n, 0);
	assert_int_equal(verb.n, 0);
	imap_command_split(S("a\"b NOOP"), &tag, &verb, &at);
	assert_int_equal(tag.n, 0);
	imap_command_split(S("a   UID   FETCH"), &tag, &verb, &at);
	assert_true(slice_eq(verb, S("UID")));
	assert_int_equal(at, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_chunkings),
		cmocka_unit_test(megabytes_without_an_end),
		cmocka_unit_test(announcements),
		cmocka_unit_test(tags),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

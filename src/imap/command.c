#include "imap/command.h"
#include "base/buf.h"
#include "limits.h"
#include <errno.h>

#define TAIL_MAX 32 /* an announcement is at most "~{18446744073709551615+}" */

const struct imap_limits imap_limits_login = {
	.line = LIMIT_IMAP_LOGIN_LINE, .literal = LIMIT_IMAP_LOGIN_LITERAL, .parts = LIMIT_IMAP_LOGIN_PARTS};
const struct imap_limits imap_limits_session = {
	.line = LIMIT_IMAP_LINE, .literal = LIMIT_IMAP_LITERAL, .parts = LIMIT_IMAP_PARTS};

int imap_stream_error(int rc, err *e)
{
	if (rc == -ETIMEDOUT)
		return err_set(e, ERR_TIMEOUT, "the client said nothing for too long");
	if (rc == -ECANCELED)
		return err_set(e, ERR_CANCELED, "the session is told to end");
	return err_set(e, ERR_CLOSED, "the connection ended");
}

/* ---- pure ---- */

static bool in_quotes(slice s)
{
	bool quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (quoted && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
	}
	return quoted;
}

bool imap_literal_announced(slice *line, struct imap_announced *ret)
{
	struct imap_announced a = {.is = true};
	size_t end = line->n, at;

	if (end < 3 || line->p[end - 1] != '}')
		return false;
	end--;
	if (line->p[end - 1] == '+') {
		a.nonsync = true;
		end--;
	}
	for (at = end; at > 0 && ascii_is_digit(line->p[at - 1]); at--)
		;
	if (at == end || at == 0 || line->p[at - 1] != '{')
		return false;
	/* A number past 64 bits is as impossible as the largest one: both are over every limit. */
	if (!slice_to_u64(slice_sub(*line, at, end - at), UINT64_MAX, &a.size))
		a.size = UINT64_MAX;
	at--;
	if (at > 0 && line->p[at - 1] == '~') {
		a.binary = true;
		at--;
	}
	if (in_quotes(slice_sub(*line, 0, at)))
		return false;
	line->n = at;
	*ret = a;
	return true;
}

static bool tag_char(char c)
{
	return c > ' ' && c < 127 && !strchr("(){%*\"\\+", c);
}

void imap_command_split(slice line, slice *ret_tag, slice *ret_verb, size_t *ret_args_at)
{
	size_t tag_end = 0, verb, end;

	while (tag_end < line.n && tag_char(line.p[tag_end]))
		tag_end++;
	bool good = tag_end > 0 && tag_end <= LIMIT_IMAP_TAG && (tag_end == line.n || line.p[tag_end] == ' ');
	*ret_tag = slice_sub(line, 0, good ? tag_end : 0);
	for (verb = tag_end; verb < line.n && line.p[verb] == ' '; verb++)
		;
	for (end = verb; end < line.n && line.p[end] != ' '; end++)
		;
	*ret_verb = slice_sub(line, verb, good ? end - verb : 0);
	*ret_args_at = end;
}

/* ---- lines ---- */

#define HEAD_MAX (LIMIT_IMAP_TAG + 1) /* a tag and its blank */

struct line {
	slice text; /* in the arena; p == NULL when it was too long */
	slice head; /* its first bytes, always: who sent too much is answered by his tag */
	slice tail; /* its last bytes, always */
	char head_bytes[HEAD_MAX], tail_bytes[TAIL_MAX];
};

static void head_add(struct line *l, slice more)
{
	more = slice_sub(more, 0, HEAD_MAX - l->head.n);
	memcpy(l->head_bytes + l->head.n, more.p, more.n);
	l->head.n += more.n;
}

static void tail_add(struct line *l, slice more)
{
	size_t keep = l->tail.n;

	if (more.n >= TAIL_MAX) {
		more = slice_skip(more, more.n - TAIL_MAX);
		keep = 0;
	} else if (keep + more.n > TAIL_MAX) {
		size_t drop = keep + more.n - TAIL_MAX;

		memmove(l->tail_bytes, l->tail_bytes + drop, keep - drop);
		keep -= drop;
	}
	memcpy(l->tail_bytes + keep, more.p, more.n);
	l->tail = slice_make(l->tail_bytes, keep + more.n);
}

static slice without_cr(slice s)
{
	if (s.n > 0 && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

/* One line of at most max bytes; longer ones are read over. 0 or a negative errno. */
static int read_line(struct imap_reader *r, size_t max, struct line *ret)
{
	struct buf gathered = BUF_INIT(max + 2);
	bool over = false;
	int rc;

	ret->head = slice_make(ret->head_bytes, 0);
	ret->tail = slice_make(ret->tail_bytes, 0);
	ret->text = (slice){NULL, 0};
	for (;;) {
		slice have;

		rc = stream_fill(r->io, &have);
		if (rc < 0)
			break;
		ptrdiff_t at = slice_find_c(have, '\n');
		slice piece = slice_sub(have, 0, at < 0 ? have.n : (size_t)at);

		head_add(ret, piece);
		tail_add(ret, piece);
		if (at >= 0 && gathered.n == 0 && !over &&
			piece.n <= max + 1) { /* the common case: one copy */
			ret->text = arena_copy(r->arena, without_cr(piece));
		} else if (!over) {
			buf_add(&gathered, piece);
			over = gathered.failed;
			if (at >= 0 && !over)
				ret->text = arena_copy(r->arena, without_cr(buf_slice(&gathered)));
		}
		stream_consume(r->io, at < 0 ? have.n : (size_t)at + 1);
		if (at >= 0)
			break;
	}
	ret->tail = without_cr(ret->tail);
	if (ret->text.n > max)
		ret->text = (slice){NULL, 0};
	buf_free(&gathered);
	return rc;
}

/* ---- commands ---- */

static int skip(struct imap_reader *r, uint64_t n)
{
	while (n > 0) {
		slice have;
		int rc = stream_fill(r->io, &have);

		if (rc < 0)
			return rc;
		size_t take = have.n < n ? have.n : (size_t)n;
		stream_consume(r->io, take);
		n -= take;
	}
	return 0;
}

/*
 * The command is bad: reads over what of it the client sends unasked. `a` is the announcement that ended the
 * last line. 0 or -2.
 */
static int drain(struct imap_reader *r, struct imap_announced a, err *e)
{
	uint64_t skipped = 0;

	while (a.is && a.nonsync) {
		struct line l;

		if (a.size > LIMIT_IMAP_SKIP || skipped + a.size > LIMIT_IMAP_SKIP) {
			(void)err_set(e, ERR_LIMIT, "the literal is far too large");
			return -2;
		}
		skipped += a.size;
		int rc = skip(r, a.size);
		if (rc == 0)
			rc = read_line(r, 0, &l);
		if (rc < 0) {
			(void)imap_stream_error(rc, e);
			return -2;
		}
		a = (struct imap_announced){0};
		(void)imap_literal_announced(&l.tail, &a);
		skipped += TAIL_MAX;
	}
	return 0;
}

static int bad(struct imap_reader *r, struct imap_announced a, enum err_kind kind, const char *text, err *e)
{
	int rc = drain(r, a, e);

	return rc < 0 ? rc : err_set(e, kind, "%s", text);
}

static struct imap_part *add_part(struct imap_reader *r, struct imap_command *c)
{
	struct imap_part *p = arena_new_1(r->arena, struct imap_part);

	if (!p)
		return NULL;
	if (c->last)
		c->last->next = p;
	else
		c->first = p;
	c->last = p;
	return p;
}

/* Asks for the literal where the client waits for that, and reads it. */
static int read_literal(struct imap_reader *r, struct imap_announced a, struct imap_part *p, char *to)
{
	int rc = a.nonsync ? 0 : stream_write(r->io, S("+ OK\r\n"));

	if (rc == 0)
		rc = stream_read_exact(r->io, to, (size_t)a.size);
	p->has_literal = true;
	p->binary = a.binary;
	p->literal = slice_make(to, (size_t)a.size);
	return rc;
}

int imap_command_continue(struct imap_reader *r, struct imap_command *c, err *e)
{
	c->pending = (struct imap_announced){0};
	for (;;) {
		struct line l;
		struct imap_announced a = {0};
		bool is_first = !c->first;
		int rc = read_line(r, r->limits->line - c->text_n, &l);

		if (rc < 0) {
			(void)imap_stream_error(rc, e);
			return -2;
		}
		if (!l.text.p) {
			(void)imap_literal_announced(&l.tail, &a);
			if (is_first) {
				imap_command_split(l.head, &c->tag, &c->verb, &c->args_at);
				c->tag = arena_copy(r->arena, c->tag);
				c->verb = (slice){NULL, 0};
			}
			return bad(r, a, ERR_LIMIT, "the command line is too long", e);
		}
		(void)imap_literal_announced(&l.text, &a);
		struct imap_part *p = add_part(r, c);
		if (!p)
			return bad(r, a, ERR_LIMIT, "the command is too large", e);
		p->text = l.text;
		c->text_n += (uint32_t)l.text.n;
		if (is_first)
			imap_command_split(l.text, &c->tag, &c->verb, &c->args_at);
		if (!a.is)
			return 0;
		if (is_first && c->verb.n == 0)
			return bad(r, a, ERR_SYNTAX, "a command begins with a tag and a word", e);
		if (r->streams && r->streams(c)) {
			c->pending = a;
			return 0;
		}
		if (a.size > r->limits->literal)
			return bad(r, a, ERR_LIMIT, "the literal is too large", e);
		if (++c->parts > r->limits->parts)
			return bad(r, a, ERR_LIMIT, "the command has too many literals", e);
		char *to = arena_new_n(r->arena, char, (size_t)a.size + 1);
		if (!to)
			return bad(r, a, ERR_LIMIT, "the command is too large", e);
		rc = read_literal(r, a, p, to);
		if (rc < 0) {
			(void)imap_stream_error(rc, e);
			return -2;
		}
	}
}

int imap_command_read(struct imap_reader *r, struct imap_command *ret, err *e)
{
	*ret = (struct imap_command){0};
	return imap_command_continue(r, ret, e);
}

int imap_command_refuse(struct imap_reader *r, struct imap_command *c, err *e)
{
	struct imap_announced a = c->pending;

	c->pending = (struct imap_announced){0};
	return drain(r, a, e);
}

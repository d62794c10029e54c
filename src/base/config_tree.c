/* From a text to statements: words, quotes, comments, blocks. */
#include "base/config.h"
#include "base/encode.h"
#include "limits.h"

enum token { TOKEN_WORD, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_END, TOKEN_EOF, TOKEN_BAD };

struct lexer {
	slice text;
	size_t at;
	uint32_t line, column;
	struct arena *arena;
	struct config_word word; /* of the last token */
	struct config_mistake *mistake;
};

static int mistake_at(struct config_mistake *m, const struct config_word *w, const char *text)
{
	m->line = w->line, m->column = w->column, m->at = w->at, m->length = w->length;
	size_t n = strlen(text);
	n = n < sizeof m->text ? n : sizeof m->text - 1;
	memcpy(m->text, text, n);
	m->text[n] = 0;
	return -1;
}

static enum token bad(struct lexer *l, const char *text)
{
	if (l->word.length == 0)
		l->word.length = 1;
	mistake_at(l->mistake, &l->word, text);
	return TOKEN_BAD;
}

static bool at_end(const struct lexer *l)
{
	return l->at >= l->text.n;
}

static char peek(const struct lexer *l)
{
	return at_end(l) ? '\n' : l->text.p[l->at];
}

static void step(struct lexer *l)
{
	unsigned char c = (unsigned char)l->text.p[l->at++];

	if (c == '\n')
		l->line++, l->column = 1;
	else if ((c & 0xc0) != 0x80) /* bytes that go on with a character have no column */
		l->column++;
}

static void blanks_skip(struct lexer *l)
{
	while (!at_end(l) && (peek(l) == ' ' || peek(l) == '\t' || peek(l) == '\r'))
		step(l);
	if (!at_end(l) && peek(l) == '#') {
		while (!at_end(l) && peek(l) != '\n')
			step(l);
	}
}

static bool word_ends(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '{' || c == '}' || c == ';' ||
	       c == '"';
}

static bool is_control(char c)
{
	return ((unsigned char)c < 32 && c != '\t') || c == 127;
}

static enum token plain_word(struct lexer *l)
{
	size_t from = l->at;

	while (!at_end(l) && !word_ends(peek(l))) {
		if (is_control(peek(l)))
			return bad(l, "a control character is not allowed here");
		step(l);
	}
	l->word.length = (uint32_t)(l->at - from);
	l->word.text = slice_sub(l->text, from, l->word.length);
	if (l->word.length > LIMIT_CONFIG_WORD)
		return bad(l, "this word is too long (1024 bytes at most)");
	if (!at_end(l) && peek(l) == '"')
		return bad(l, "quotes must go round the whole word");
	return TOKEN_WORD;
}

static enum token quoted_word(struct lexer *l)
{
	size_t from = l->at, n = 0;

	step(l);
	char *p = arena_new_n(l->arena, char, LIMIT_CONFIG_WORD);
	if (!p)
		return bad(l, "the configuration is too large");
	while (!at_end(l) && peek(l) != '"') {
		if (peek(l) == '\n')
			break;
		if (peek(l) == '\\')
			step(l);
		if (is_control(peek(l)))
			return bad(l, "a control character is not allowed here");
		if (n == LIMIT_CONFIG_WORD)
			return bad(l, "this word is too long (1024 bytes at most)");
		p[n++] = peek(l);
		step(l);
	}
	l->word.length = (uint32_t)(l->at - from);
	if (at_end(l) || peek(l) != '"')
		return bad(l, "the quotes are not closed on this line");
	step(l);
	l->word.length++;
	l->word.text = slice_make(p, n);
	if (!at_end(l) && !word_ends(peek(l)))
		return bad(l, "quotes must go round the whole word");
	return TOKEN_WORD;
}

static enum token next_token(struct lexer *l)
{
	blanks_skip(l);
	l->word = (struct config_word){.line = l->line, .column = l->column, .at = (uint32_t)l->at};
	if (at_end(l))
		return TOKEN_EOF;
	switch (peek(l)) {
	case '"':
		return quoted_word(l);
	case '{':
		step(l);
		return TOKEN_OPEN;
	case '}':
		step(l);
		return TOKEN_CLOSE;
	case ';':
	case '\n':
		step(l);
		return TOKEN_END;
	default:
		return plain_word(l);
	}
}

/* ---- statements ---- */

struct builder {
	struct lexer lexer;
	struct arena *arena;
	struct config_node *first, *parent, *now; /* now: the statement under way */
	struct config_node *last[LIMIT_CONFIG_DEPTH + 1];
	unsigned depth;
	struct config_word words[LIMIT_CONFIG_WORDS];
};

static int statement_begin(struct builder *b)
{
	struct config_node *n = arena_new_1(b->arena, struct config_node);

	if (!n)
		return bad(&b->lexer, "the configuration is too large"), -1;
	n->parent = b->parent;
	if (b->last[b->depth])
		b->last[b->depth]->next = n;
	else if (b->parent)
		b->parent->children = n;
	else
		b->first = n;
	b->last[b->depth] = b->now = n;
	return 0;
}

static int statement_word(struct builder *b)
{
	if (!b->now && statement_begin(b) < 0)
		return -1;
	if (b->now->words_n == LIMIT_CONFIG_WORDS)
		return bad(&b->lexer, "too many words in one statement (64 at most)"), -1;
	b->words[b->now->words_n++] = b->lexer.word;
	return 0;
}

static int statement_end(struct builder *b)
{
	if (!b->now)
		return 0;
	b->now->words = arena_new_n(b->arena, struct config_word, b->now->words_n);
	if (!b->now->words)
		return bad(&b->lexer, "the configuration is too large"), -1;
	memcpy(b->now->words, b->words, b->now->words_n * sizeof *b->words);
	b->now = NULL;
	return 0;
}

static int block_open(struct builder *b)
{
	if (!b->now)
		return bad(&b->lexer, "the brace must stand on the line of the word that it belongs to"), -1;
	if (b->depth == LIMIT_CONFIG_DEPTH)
		return bad(&b->lexer, "blocks are nested too deeply (8 at most)"), -1;
	b->now->block = true;
	b->parent = b->now;
	if (statement_end(b) < 0)
		return -1;
	b->last[++b->depth] = NULL;
	return 0;
}

static int block_close(struct builder *b)
{
	if (statement_end(b) < 0)
		return -1;
	if (!b->parent)
		return bad(&b->lexer, "this brace closes nothing"), -1;
	b->parent = b->parent->parent;
	b->depth--;
	return 0;
}

static int token_take(struct builder *b, enum token t)
{
	switch (t) {
	case TOKEN_WORD:
		return statement_word(b);
	case TOKEN_OPEN:
		return block_open(b);
	case TOKEN_CLOSE:
		return block_close(b);
	case TOKEN_END:
	case TOKEN_EOF:
		return statement_end(b);
	case TOKEN_BAD:
		break;
	}
	return -1;
}

/* The first line that is not UTF-8, so that everything printed later is. */
static bool encoding_check(slice text, struct config_mistake *m)
{
	struct config_word w = {.line = 0, .column = 1};
	slice rest = text, line;

	if (utf8_valid(text))
		return true;
	do {
		w.line++;
		w.at = (uint32_t)(rest.p - text.p);
		if (!slice_cut(&rest, '\n', &line))
			line = rest, rest.n = 0;
		w.length = (uint32_t)line.n;
	} while (utf8_valid(line) && rest.n);
	mistake_at(m, &w, "this line is not UTF-8");
	return false;
}

int config_tree(slice text, struct arena *a, struct config_node **ret, struct config_mistake *ret_mistake)
{
	struct builder b = {.arena = a,
		.lexer = {.text = text, .line = 1, .column = 1, .arena = a, .mistake = ret_mistake}};
	enum token t;

	if (text.n > LIMIT_CONFIG_FILE)
		return mistake_at(ret_mistake, &(struct config_word){.line = 1, .column = 1},
			"the file is too large (1 MiB at most)");
	if (!encoding_check(text, ret_mistake))
		return -1;
	if (slice_starts(text, S("\xef\xbb\xbf"))) /* a byte order mark, as some editors write */
		b.lexer.at = 3;
	do {
		t = next_token(&b.lexer);
		if (token_take(&b, t) < 0)
			return -1;
	} while (t != TOKEN_EOF);
	if (b.parent)
		return mistake_at(
			ret_mistake, &b.parent->words[0], "the block that begins here is not closed");
	*ret = b.first;
	return 0;
}

/* From statements to settings. */
#include "base/config.h"
#include "base/nearest.h"
#include "limits.h"

#include <stdarg.h>
#include <stdio.h>

struct reader {
	const struct config_source *source;
	struct arena *scratch;
	struct config *out;
	struct settings *s;
	struct buf *report;
	struct settings_listen *listens;
	struct config_origin *listens_at;
	struct settings_domain *domains;
	size_t listens_n, domains_n, files, errors;
	unsigned depth;
};

struct file {
	slice path, text;
};

typedef int statement_fn(struct reader *r, const struct file *f, const struct config_node *n);

/* ---- mistakes ---- */

static slice line_of(slice text, size_t at)
{
	size_t from = at < text.n ? at : text.n, to = from;

	while (from > 0 && text.p[from - 1] != '\n')
		from--;
	while (to < text.n && text.p[to] != '\n' && text.p[to] != '\r')
		to++;
	return slice_sub(text, from, to > from ? to - from : 0);
}

/* The line, and under it a caret: tabs stay tabs, so that the two line up in every terminal. */
static void caret_print(const struct file *f, size_t at, size_t length, struct buf *out)
{
	slice line = line_of(f->text, at);
	size_t before = line.n ? (size_t)(f->text.p + at - line.p) : 0;

	if (line.n == 0 || line.n > 200)
		return;
	buf_addz(out, "    ");
	for (size_t i = 0; i < line.n; i++)
		buf_add_c(out, (unsigned char)line.p[i] < 32 && line.p[i] != '\t' ? '?' : line.p[i]);
	buf_addz(out, "\n    ");
	for (size_t i = 0; i < line.n && i < before + length; i++) {
		if (((unsigned char)line.p[i] & 0xc0) == 0x80)
			continue;
		if (i < before)
			buf_add_c(out, line.p[i] == '\t' ? '\t' : ' ');
		else
			buf_add_c(out, i == before ? '^' : '~');
	}
	if (before >= line.n)
		buf_add_c(out, '^');
	buf_add_c(out, '\n');
}

static int mistake(struct reader *r, const struct file *f, const struct config_word *w, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int mistake(struct reader *r, const struct file *f, const struct config_word *w, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (++r->errors > LIMIT_CONFIG_ERRORS)
		return -1;
	buf_add(r->report, f->path);
	buf_addf(r->report, ":%u:%u: %s\n", w->line, w->column, text);
	caret_print(f, w->at, w->length, r->report);
	return -1;
}

static void origin_text(const struct config_origin *o, struct buf *out)
{
	buf_add(out, o->file);
	buf_addf(out, ":%u", o->line);
}

static int twice(struct reader *r, const struct file *f, const struct config_word *w,
	const struct config_origin *first)
{
	struct buf where = BUF_INIT(2048);

	origin_text(first, &where);
	mistake(r, f, w, "\"%" SLICE_FMT "\" stands here a second time; it was set at %" SLICE_FMT,
		SLICE_ARG(w->text), SLICE_ARG(buf_slice(&where)));
	buf_free(&where);
	return -1;
}

/* ---- words of a scope ---- */

static const char *const top_words[] = {"include", "listen", "domain"};

/* Words that may begin a statement in a block; "" is the file itself, where the names of blocks are words
 * too. */
static const char *scope_word(const void *arg, size_t i)
{
	const char *block = arg;

	if (!*block) {
		if (i < COUNT_OF(top_words))
			return top_words[i];
		i -= COUNT_OF(top_words);
	}
	for (size_t k = 0; k < SETTING_COUNT; k++) {
		const struct setting *row = &setting_table[k];
		bool here = !strcmp(row->block, block);
		bool opens = !*block && *row->block &&
			     (k == 0 || strcmp(row->block, setting_table[k - 1].block) != 0);
		if ((here || opens) && i-- == 0)
			return here ? row->word : row->block;
	}
	return NULL;
}

static const char *domain_word(const void *arg, size_t i)
{
	(void)arg;
	return i == 0 ? "catchall" : NULL;
}

static int unknown(struct reader *r, const struct file *f, const struct config_word *w,
	nearest_candidate *words, const char *block)
{
	const char *near = nearest_find(w->text, words, block);

	return mistake(r, f, w, "unknown word \"%" SLICE_FMT "\"%s%s%s%s%s", SLICE_ARG(w->text),
		*block ? " in " : "", block, near ? "; did you mean \"" : "", near ? near : "",
		near ? "\"?" : "");
}

/* ---- paths ---- */

static slice folder_of(slice path)
{
	ptrdiff_t slash = slice_rfind_c(path, '/');

	return slash < 0 ? S(".") : slice_sub(path, 0, slash == 0 ? 1 : (size_t)slash);
}

/* Relative paths count from the folder of the file they stand in. */
static slice path_absolute(struct arena *a, const struct file *f, slice path)
{
	slice folder = folder_of(f->path);

	if (path.n == 0 || path.p[0] == '/')
		return path;
	if (slice_starts(path, S("./")))
		path = slice_skip(path, 2);
	return arena_fmt(a, "%.*s%s%.*s", (int)folder.n, folder.p, slice_eq(folder, S("/")) ? "" : "/",
		(int)path.n, path.p);
}

/* ---- statements ---- */

static struct config_origin origin_of(const struct file *f, const struct config_node *n)
{
	return (struct config_origin){f->path, n->words[0].line};
}

static int value_set(
	struct reader *r, const struct file *f, const struct setting *row, const struct config_word *w)
{
	err e = {0};
	slice text = w->text;

	if (row->kind == SETTING_PATH) {
		text = path_absolute(r->scratch, f, text);
		if (!text.p && w->text.n)
			return mistake(r, f, w, "the configuration is too large");
	}
	if (setting_parse(row, text, r->s, &e) < 0)
		return mistake(r, f, w, "%s", e.text);
	return 0;
}

/* words: the setting's own word and its values. */
static int setting_set(struct reader *r, const struct file *f, const struct setting *row,
	const struct config_node *n, const struct config_word *words, size_t words_n)
{
	struct config_origin *at = &r->out->origins[row - setting_table];
	bool list = row->kind == SETTING_MAIL;

	if (n->block)
		return mistake(r, f, &words[0], "\"%s\" takes no block", row->word);
	if (words_n < 2)
		return mistake(r, f, &words[0], "\"%s\" needs a value behind it", row->word);
	if (words_n > 2 && !list)
		return mistake(r, f, &words[2],
			"\"%s\" takes one value; a second statement begins on a new line or after \";\"",
			row->word);
	if (at->file.n && !list)
		return twice(r, f, &words[0], at);
	*at = origin_of(f, n);
	for (size_t i = 1; i < words_n; i++) {
		if (value_set(r, f, row, &words[i]) < 0)
			return -1;
	}
	return 0;
}

static bool is_block(slice word)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (*setting_table[i].block && slice_eq(slice_of(setting_table[i].block), word))
			return true;
	}
	return false;
}

static int block_word(struct reader *r, const struct file *f, const struct config_node *n,
	const struct config_word *block, const struct config_word *words, size_t words_n)
{
	const struct setting *row = setting_find(block->text, words[0].text);

	if (row)
		return setting_set(r, f, row, n, words, words_n);
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (slice_eq(slice_of(setting_table[i].block), block->text))
			return unknown(r, f, &words[0], scope_word, setting_table[i].block);
	}
	return -1;
}

static int block_set(struct reader *r, const struct file *f, const struct config_node *n)
{
	if (n->words_n > 1)
		return block_word(r, f, n, &n->words[0], n->words + 1, n->words_n - 1);
	if (!n->block)
		return mistake(r, f, &n->words[0], "\"%" SLICE_FMT "\" needs a block or a word behind it",
			SLICE_ARG(n->words[0].text));
	for (const struct config_node *c = n->children; c; c = c->next)
		block_word(r, f, c, &n->words[0], c->words, c->words_n);
	return 0;
}

static const char *protocol_word(const void *arg, size_t i)
{
	(void)arg;
	return i < PROTOCOL_COUNT ? settings_protocols[i].word : NULL;
}

static int listen_set(struct reader *r, const struct file *f, const struct config_node *n)
{
	enum settings_protocol protocol;
	struct settings_listen l;
	err e = {0};

	if (n->block || n->words_n < 2 || n->words_n > 3)
		return mistake(
			r, f, &n->words[0], "write: listen SERVICE [ADDRESS:]PORT, or listen lmtp /PATH");
	if (!settings_protocol_find(n->words[1].text, &protocol))
		return unknown(r, f, &n->words[1], protocol_word, "listen");
	if (r->listens_n == LIMIT_SETTINGS_LISTENS)
		return mistake(r, f, &n->words[0], "more than %d listeners", LIMIT_SETTINGS_LISTENS);
	const struct config_word *last = &n->words[n->words_n - 1];
	slice where = n->words_n == 3 ? last->text : (slice){0};
	if (slice_find_c(where, '/') > 0)
		where = path_absolute(r->scratch, f, where);
	if (settings_listen_parse(protocol, where, r->s->arena, &l, &e) < 0)
		return mistake(r, f, last, "%s", e.text);
	for (size_t i = 0; i < r->listens_n; i++) {
		struct settings_listen other = r->listens[i];
		other.protocol = l.protocol;
		if (settings_listen_equal(&other, &l))
			return twice(r, f, last, &r->listens_at[i]);
	}
	r->listens[r->listens_n] = l;
	r->listens_at[r->listens_n++] = origin_of(f, n);
	return 0;
}

static int domain_line(
	struct reader *r, const struct file *f, const struct config_node *n, struct settings_domain *d)
{
	char host[254];
	ptrdiff_t at;

	if (!slice_eq(n->words[0].text, S("catchall")))
		return unknown(r, f, &n->words[0], domain_word, "domain");
	if (n->block || n->words_n != 2)
		return mistake(r, f, &n->words[0], "write: catchall ADDRESS");
	if (d->catchall.n)
		return mistake(r, f, &n->words[0], "\"catchall\" stands here a second time");
	slice text = n->words[1].text;
	at = slice_rfind_c(text, '@');
	if (at <= 0 || at > 64 || !settings_host_check(slice_skip(text, (size_t)at + 1), host))
		return mistake(
			r, f, &n->words[1], "\"%" SLICE_FMT "\" is not a mail address", SLICE_ARG(text));
	d->catchall = arena_copy(r->s->arena, text);
	return d->catchall.p ? 0 : mistake(r, f, &n->words[1], "the configuration is too large");
}

static int domain_set(struct reader *r, const struct file *f, const struct config_node *n)
{
	char host[254];
	const struct config_word *name = &n->words[n->words_n > 1];

	if (n->words_n != 2)
		return mistake(r, f, &n->words[0], "write: domain NAME, and a block if need be");
	if (!settings_host_check(name->text, host))
		return mistake(r, f, name,
			"\"%" SLICE_FMT "\" is not a domain name (write it in its xn-- form)",
			SLICE_ARG(name->text));
	for (size_t i = 0; i < r->domains_n; i++) {
		const struct settings_domain *d = &r->domains[i];
		if (slice_eq(d->name, slice_of(host)))
			return twice(r, f, name, &(struct config_origin){d->file, d->line});
	}
	if (r->domains_n == LIMIT_SETTINGS_DOMAINS)
		return mistake(r, f, name, "more than %d domains", LIMIT_SETTINGS_DOMAINS);
	struct settings_domain *d = &r->domains[r->domains_n];
	*d = (struct settings_domain){arena_copy(r->s->arena, slice_of(host)), {0}, f->path, name->line};
	if (!d->name.p)
		return mistake(r, f, name, "the configuration is too large");
	r->domains_n++;
	for (const struct config_node *c = n->children; c; c = c->next)
		domain_line(r, f, c, d);
	return 0;
}

static int file_read(struct reader *r, slice path, const struct file *from, const struct config_word *w);

static int include_set(struct reader *r, const struct file *f, const struct config_node *n)
{
	slice found[LIMIT_CONFIG_FILES];
	err e = {0};

	if (n->block || n->words_n != 2 || n->words[1].text.n == 0)
		return mistake(r, f, &n->words[0], "write: include FILE, or include FOLDER/*.conf");
	const struct config_word *w = &n->words[1];
	if (r->depth == LIMIT_CONFIG_INCLUDES)
		return mistake(r, f, w, "includes are %d deep here: does a file include itself?",
			LIMIT_CONFIG_INCLUDES);
	slice path = path_absolute(r->scratch, f, w->text);
	if (!path.p)
		return mistake(r, f, w, "the configuration is too large");
	slice folder = folder_of(path), last = slice_skip(path, (size_t)(slice_rfind_c(path, '/') + 1));
	if (slice_find_c(folder, '*') >= 0 || slice_find_c(folder, '?') >= 0)
		return mistake(r, f, w, "* and ? may stand only in the last part of the path");
	if (slice_find_c(last, '*') < 0 && slice_find_c(last, '?') < 0)
		return file_read(r, path, f, w);
	int many = r->source->match(r->source->arg, folder, last, r->scratch, found, COUNT_OF(found), &e);
	if (many < 0)
		return mistake(r, f, w, "%s", e.text);
	for (int i = 0; i < many; i++)
		file_read(r, found[i], f, w);
	return 0;
}

static int statement(struct reader *r, const struct file *f, const struct config_node *n)
{
	static const struct {
		slice word;
		statement_fn *run;
	} tops[] = {
		{SLICE_INIT("include"), include_set},
		{SLICE_INIT("listen"), listen_set},
		{SLICE_INIT("domain"), domain_set},
	};
	const struct config_word *w = &n->words[0];

	for (size_t i = 0; i < COUNT_OF(tops); i++) {
		if (slice_eq(tops[i].word, w->text))
			return tops[i].run(r, f, n);
	}
	if (is_block(w->text))
		return block_set(r, f, n);
	const struct setting *row = setting_find(S(""), w->text);
	if (row)
		return setting_set(r, f, row, n, n->words, n->words_n);
	return unknown(r, f, w, scope_word, "");
}

/* from and w: the include that asks for it; NULL for the first file. */
static int file_read(struct reader *r, slice path, const struct file *from, const struct config_word *w)
{
	struct file f = {0};
	struct config_node *n = NULL;
	struct config_mistake m;
	err e = {0};

	if (++r->files > LIMIT_CONFIG_FILES)
		return from ? mistake(r, from, w, "more than %d files", LIMIT_CONFIG_FILES) : -1;
	f.path = arena_copy(r->s->arena, path);
	bool ok = f.path.p && r->source->read(r->source->arg, path, r->scratch, &f.text, &e) == 0;
	if (!ok && from)
		return mistake(r, from, w, "%s", *e.text ? e.text : "out of memory");
	if (!ok) {
		r->errors++;
		buf_addf(r->report, "%s\n", *e.text ? e.text : "out of memory");
		return -1;
	}
	if (config_tree(f.text, r->scratch, &n, &m) < 0) {
		struct config_word at = {.line = m.line, .column = m.column, .at = m.at, .length = m.length};
		return mistake(r, &f, &at, "%s", m.text);
	}
	r->depth++;
	for (; n; n = n->next)
		statement(r, &f, n);
	r->depth--;
	return 0;
}

/* What no single statement can see. */
static void whole_check(struct reader *r)
{
	const struct config_origin *certificate = &r->out->origins[SETTING_ID_tls_certificate];
	const struct config_origin *key = &r->out->origins[SETTING_ID_tls_key];
	bool has_certificate = r->s->tls_certificate.n > 0, has_key = r->s->tls_key.n > 0;

	if (r->errors || has_certificate == has_key)
		return;
	r->errors++;
	origin_text(has_certificate ? certificate : key, r->report);
	buf_addf(r->report, ": \"tls %s\" needs \"tls %s\" beside it\n",
		has_certificate ? "certificate" : "key", has_certificate ? "key" : "certificate");
}

int config_parse(const struct config_source *source, slice path, struct config *ret, struct buf *ret_report)
{
	struct config out = {.settings = settings_new()};
	struct reader r = {.source = source,
		.scratch = arena_new(LIMIT_CONFIG_ARENA),
		.out = &out,
		.s = out.settings,
		.report = ret_report};

	if (r.s && r.scratch) {
		r.listens = arena_new_n(r.s->arena, struct settings_listen, LIMIT_SETTINGS_LISTENS);
		r.listens_at = arena_new_n(r.s->arena, struct config_origin, LIMIT_SETTINGS_LISTENS);
		r.domains = arena_new_n(r.s->arena, struct settings_domain, LIMIT_SETTINGS_DOMAINS);
	}
	if (!r.s || !r.scratch || !r.listens || !r.listens_at || !r.domains) {
		buf_addz(ret_report, "out of memory\n");
		r.errors++;
	} else {
		file_read(&r, path, NULL, NULL);
		whole_check(&r);
	}
	if (r.errors > LIMIT_CONFIG_ERRORS)
		buf_addf(ret_report, "and %zu more\n", r.errors - LIMIT_CONFIG_ERRORS);
	arena_free(r.scratch);
	if (r.errors) {
		settings_free(r.s);
		return -1;
	}
	out.listens_default = r.listens_n == 0;
	if (!out.listens_default)
		r.s->listens = r.listens, r.s->listens_n = r.listens_n;
	out.listens = r.listens_at;
	r.s->domains = r.domains, r.s->domains_n = r.domains_n;
	*ret = out;
	return 0;
}

void config_free(struct config *c)
{
	settings_free(c->settings);
	*c = (struct config){0};
}

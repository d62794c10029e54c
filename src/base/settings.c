#include "base/settings.h"
#include "limits.h"

#include <assert.h>
#include <stddef.h>

/* clang-format off */
const struct settings_protocol_info settings_protocols[PROTOCOL_COUNT] = {
#define X(name, word, port, tls, standard) [PROTOCOL_##name] = {word, port, tls, standard},
	SETTINGS_PROTOCOLS(X)
#undef X
};

/* The C type that a kind of setting needs. */
enum shape { SHAPE_TEXT, SHAPE_LIST, SHAPE_BOOL, SHAPE_NUMBER };
static const enum shape shapes[] = {
	[SETTING_HOST] = SHAPE_TEXT, [SETTING_MAIL] = SHAPE_LIST, [SETTING_PATH] = SHAPE_TEXT,
	[SETTING_WORD] = SHAPE_TEXT, [SETTING_SERVER] = SHAPE_TEXT, [SETTING_BOOL] = SHAPE_BOOL, [SETTING_NUMBER] = SHAPE_NUMBER,
	[SETTING_SIZE] = SHAPE_NUMBER, [SETTING_DURATION] = SHAPE_NUMBER, [SETTING_CHOICE] = SHAPE_NUMBER,
};

#define IS_TEXT(k)   ((k) == SETTING_HOST || (k) == SETTING_PATH || (k) == SETTING_WORD || (k) == SETTING_SERVER)
#define SHAPE_FOR(k) (IS_TEXT(k) ? SHAPE_TEXT : (k) == SETTING_MAIL ? SHAPE_LIST : (k) == SETTING_BOOL ? SHAPE_BOOL : SHAPE_NUMBER)
#define SHAPE_OF(x)  _Generic((x), slice: SHAPE_TEXT, struct slices: SHAPE_LIST, bool: SHAPE_BOOL, uint64_t: SHAPE_NUMBER)
#define SETTING(field, ctype, kind, block, word, values, min, max, def, change, roles, doc) \
	static_assert(SHAPE_OF((ctype){0}) == SHAPE_FOR(SETTING_##kind), "the type of " #field " does not fit its kind");
#include "base/settings.def"
#undef SETTING

/* The names in the roles column. */
enum {
	SUPERVISOR = SETTING_SUPERVISOR, FRONTEND = SETTING_FRONTEND, BACKEND = SETTING_BACKEND,
	OUTBOUND = SETTING_OUTBOUND, AUTH = SETTING_AUTH, RESOLVER = SETTING_RESOLVER, ALL = SETTING_ALL,
};

const struct setting setting_table[SETTING_COUNT] = {
#define SETTING(field, ctype, kind, block, word, values, min, max, def, change, roles, doc) \
	[SETTING_ID_##field] = {block, word, values, def, doc, SETTING_##kind, SETTING_##change, roles, min, max, \
		offsetof(struct settings, field)},
#include "base/settings.def"
#undef SETTING
};
/* clang-format on */

static void *field_of(struct settings *s, const struct setting *row)
{
	return (char *)s + row->offset;
}

static const void *field_in(const struct settings *s, const struct setting *row)
{
	return (const char *)s + row->offset;
}

void setting_name(const struct setting *row, struct buf *out)
{
	if (*row->block) {
		buf_addz(out, row->block);
		buf_add_c(out, ' ');
	}
	buf_addz(out, row->word);
}

const struct setting *setting_find(slice block, slice word)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *row = &setting_table[i];
		if (slice_eq(slice_of(row->block), block) && slice_eq(slice_of(row->word), word))
			return row;
	}
	return NULL;
}

/* ---- writing ---- */

/* In quotes when the file's grammar needs them. */
static void word_print(slice text, struct buf *out)
{
	bool plain = text.n > 0 && text.p[0] != '#';

	for (size_t i = 0; i < text.n && plain; i++)
		plain = text.p[i] != ' ' && !strchr("{};\"", text.p[i]);
	if (plain) {
		buf_add(out, text);
		return;
	}
	buf_add_c(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_add_c(out, '\\');
		buf_add_c(out, text.p[i]);
	}
	buf_add_c(out, '"');
}

static void choice_print(const struct setting *row, uint64_t v, struct buf *out)
{
	slice rest = slice_of(row->values), word;

	for (uint64_t i = row->min; slice_word(&rest, &word); i++) {
		if (i == v)
			buf_add(out, word);
	}
}

static void number_print(const struct setting *row, uint64_t v, struct buf *out)
{
	if (row->kind == SETTING_CHOICE)
		choice_print(row, v, out);
	else if (row->kind == SETTING_SIZE)
		settings_size_print(v, out);
	else if (row->kind == SETTING_DURATION)
		settings_duration_print(v, out);
	else
		buf_add_u64(out, v);
}

void setting_print(const struct setting *row, const struct settings *s, struct buf *out)
{
	const void *field = field_in(s, row);
	const struct slices *list;

	switch (shapes[row->kind]) {
	case SHAPE_NUMBER:
		number_print(row, *(const uint64_t *)field, out);
		break;
	case SHAPE_BOOL:
		buf_addz(out, *(const bool *)field ? "yes" : "no");
		break;
	case SHAPE_TEXT:
		if (((const slice *)field)->n)
			word_print(*(const slice *)field, out);
		break;
	case SHAPE_LIST:
		list = field;
		for (size_t i = 0; i < list->n; i++) {
			if (i)
				buf_add_c(out, ' ');
			word_print(list->v[i], out);
		}
		break;
	}
}

bool setting_equal(const struct setting *row, const struct settings *a, const struct settings *b)
{
	const void *x = field_in(a, row), *y = field_in(b, row);
	const struct slices *m, *n;

	switch (shapes[row->kind]) {
	case SHAPE_NUMBER:
		return *(const uint64_t *)x == *(const uint64_t *)y;
	case SHAPE_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case SHAPE_TEXT:
		return slice_eq(*(const slice *)x, *(const slice *)y);
	case SHAPE_LIST:
		break;
	}
	m = x, n = y;
	if (m->n != n->n)
		return false;
	for (size_t i = 0; i < m->n; i++) {
		if (!slice_eq(m->v[i], n->v[i]))
			return false;
	}
	return true;
}

/* ---- reading ---- */

static int choice_parse(const struct setting *row, slice text, uint64_t *ret, err *e)
{
	slice rest = slice_of(row->values), word;

	for (uint64_t i = row->min; slice_word(&rest, &word); i++) {
		if (slice_eq(word, text)) {
			*ret = i;
			return 0;
		}
	}
	return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is none of: %s", SLICE_ARG(text), row->values);
}

static int bool_parse(slice text, bool *ret, err *e)
{
	if (slice_eq(text, S("yes")) || slice_eq(text, S("on")) || slice_eq(text, S("true")))
		*ret = true;
	else if (slice_eq(text, S("no")) || slice_eq(text, S("off")) || slice_eq(text, S("false")))
		*ret = false;
	else
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is neither yes nor no", SLICE_ARG(text));
	return 0;
}

static int range_error(const struct setting *row, slice text, err *e)
{
	struct buf low = BUF_INIT(64), high = BUF_INIT(64);

	number_print(row, row->min, &low);
	number_print(row, row->max, &high);
	int rc = err_set(e, ERR_SYNTAX, "%" SLICE_FMT " is out of range: %" SLICE_FMT " to %" SLICE_FMT,
		SLICE_ARG(text), SLICE_ARG(buf_slice(&low)), SLICE_ARG(buf_slice(&high)));
	buf_free(&low);
	buf_free(&high);
	return rc;
}

static int number_parse(const struct setting *row, slice text, uint64_t *ret, err *e)
{
	uint64_t v = 0;

	if (row->kind == SETTING_CHOICE)
		return choice_parse(row, text, ret, e);
	if (row->kind == SETTING_SIZE) {
		if (settings_size_parse(text, &v, e) < 0)
			return -1;
	} else if (row->kind == SETTING_DURATION) {
		if (settings_duration_parse(text, &v, e) < 0)
			return -1;
	} else if (!slice_to_u64(text, UINT64_MAX, &v)) {
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is not a whole number", SLICE_ARG(text));
	}
	if (v < row->min || v > row->max)
		return range_error(row, text, e);
	*ret = v;
	return 0;
}

/* Enough to keep nonsense out; the mail room knows the whole grammar and reads the address again. */
static bool mail_check(slice text, char host[254])
{
	ptrdiff_t at = slice_rfind_c(text, '@');

	return at > 0 && at <= 64 && settings_host_check(slice_skip(text, (size_t)at + 1), host);
}

static int text_check(const struct setting *row, slice text, char host[254], err *e)
{
	char ip[46];
	uint16_t port;

	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.p[i] < 32 || text.p[i] == 127)
			return err_set(e, ERR_SYNTAX, "a control character is not allowed here");
	}
	if (row->kind == SETTING_HOST && !settings_host_check(text, host))
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is not a host name", SLICE_ARG(text));
	if (row->kind == SETTING_MAIL && !mail_check(text, host))
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is not a mail address", SLICE_ARG(text));
	if (row->kind == SETTING_PATH && text.p[0] != '/')
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is not an absolute path", SLICE_ARG(text));
	if (row->kind == SETTING_SERVER && !settings_server_parse(text, ip, &port))
		return err_set(e, ERR_SYNTAX,
			"\"%" SLICE_FMT "\" is no IP address; write 192.0.2.1 or 192.0.2.1:5353",
			SLICE_ARG(text));
	return 0;
}

static int list_add(const struct setting *row, slice text, struct settings *s, err *e)
{
	struct slices *list = field_of(s, row);

	if (list->n >= row->max)
		return err_set(e, ERR_LIMIT, "more than %zu of these", (size_t)row->max);
	slice *v = arena_new_n(s->arena, slice, list->n + 1);
	slice copy = arena_copy(s->arena, text);
	if (!v || !copy.p)
		return err_set(e, ERR_LIMIT, "out of memory");
	for (size_t i = 0; i < list->n; i++)
		v[i] = list->v[i];
	v[list->n] = copy;
	*list = (struct slices){v, list->n + 1};
	return 0;
}

static int text_parse(const struct setting *row, slice text, struct settings *s, err *e)
{
	char host[254];

	if (text.n == 0 && (row->min > 0 || shapes[row->kind] == SHAPE_LIST))
		return err_set(e, ERR_SYNTAX, "it may not be empty");
	if (text.n == 0) {
		*(slice *)field_of(s, row) = (slice){0};
		return 0;
	}
	if (shapes[row->kind] == SHAPE_TEXT && text.n > row->max)
		return err_set(e, ERR_LIMIT, "longer than %zu bytes", (size_t)row->max);
	if (text_check(row, text, host, e) < 0)
		return -1;
	if (shapes[row->kind] == SHAPE_LIST)
		return list_add(row, text, s, e);
	slice copy = arena_copy(s->arena, row->kind == SETTING_HOST ? slice_of(host) : text);
	if (!copy.p)
		return err_set(e, ERR_LIMIT, "out of memory");
	*(slice *)field_of(s, row) = copy;
	return 0;
}

int setting_parse(const struct setting *row, slice text, struct settings *s, err *e)
{
	switch (shapes[row->kind]) {
	case SHAPE_NUMBER:
		return number_parse(row, text, field_of(s, row), e);
	case SHAPE_BOOL:
		return bool_parse(text, field_of(s, row), e);
	case SHAPE_TEXT:
	case SHAPE_LIST:
		break;
	}
	return text_parse(row, text, s, e);
}

/* ---- the snapshot ---- */

static int listens_default(struct settings *s)
{
	struct settings_listen *l = arena_new_n(s->arena, struct settings_listen, PROTOCOL_COUNT);

	if (!l)
		return -1;
	s->listens = l;
	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		if (settings_protocols[i].standard)
			l[s->listens_n++] = (struct settings_listen){
				.protocol = (enum settings_protocol)i, .port = settings_protocols[i].port};
	}
	return 0;
}

struct settings *settings_new(void)
{
	struct arena *a = arena_new(LIMIT_SETTINGS_ARENA);
	if (!a)
		return NULL;
	struct settings *s = arena_new_1(a, struct settings);
	if (!s) {
		arena_free(a);
		return NULL;
	}
	s->arena = a;
	s->generation = 1;
	bool bad = listens_default(s) < 0;
	for (size_t i = 0; i < SETTING_COUNT && !bad; i++) {
		const struct setting *row = &setting_table[i];
		bad = *row->def && setting_parse(row, slice_of(row->def), s, NULL) < 0;
	}
	if (bad) {
		arena_free(a);
		return NULL;
	}
	return s;
}

void settings_free(struct settings *s)
{
	if (s)
		arena_free(s->arena);
}

bool settings_listen_equal(const struct settings_listen *a, const struct settings_listen *b)
{
	return a->protocol == b->protocol && a->family == b->family && a->port == b->port &&
	       !memcmp(a->ip, b->ip, sizeof a->ip) && slice_eq(a->path, b->path);
}

bool settings_domain_equal(const struct settings_domain *a, const struct settings_domain *b)
{
	return slice_eq(a->name, b->name) && slice_eq(a->catchall, b->catchall);
}

/* Answers for people, and for programs. */
#include "cli/cli.h"

void cli_show_json(json_t *value)
{
	json_dumpf(value, stdout, JSON_COMPACT);
	putchar('\n');
}

void cli_size_text(uint64_t bytes, char out[32])
{
	static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
	uint64_t whole = bytes, rest = 0;
	size_t unit = 0;

	while (whole >= 1000 && unit + 1 < COUNT_OF(units)) {
		rest = whole % 1000;
		whole /= 1000;
		unit++;
	}
	if (unit == 0 || whole >= 100)
		snprintf(out, 32, "%llu%s", (unsigned long long)whole, units[unit]);
	else
		snprintf(out, 32, "%llu.%llu%s", (unsigned long long)whole, (unsigned long long)(rest / 100),
			units[unit]);
}

void cli_duration_text(uint64_t seconds, char out[32])
{
	unsigned long long d = seconds / 86400, h = seconds / 3600 % 24, m = seconds / 60 % 60,
			   s = seconds % 60;

	if (d)
		snprintf(out, 32, "%llud%lluh", d, h);
	else if (h)
		snprintf(out, 32, "%lluh%llum", h, m);
	else if (m)
		snprintf(out, 32, "%llum%llus", m, s);
	else
		snprintf(out, 32, "%llus", s);
}

const char *cli_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

long long cli_number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

/* Texts come from the store, where strangers can put what they like (names): the terminal sees no control
 * bytes. */
void cli_text_add(struct buf *out, const char *text)
{
	for (; *text; text++)
		buf_add_c(out, (unsigned char)*text < 32 || *text == 127 ? '?' : *text);
}

static void value_text(const json_t *v, bool size, struct buf *out)
{
	char text[32];

	switch (json_typeof(v)) {
	case JSON_STRING:
		cli_text_add(out, json_string_value(v));
		break;
	case JSON_INTEGER:
		snprintf(text, sizeof text, "%lld", (long long)json_integer_value(v));
		if (size)
			cli_size_text((uint64_t)json_integer_value(v), text);
		buf_addz(out, text);
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		buf_addz(out, json_is_true(v) ? "yes" : "no");
		break;
	case JSON_ARRAY:
		for (size_t i = 0; i < json_array_size(v); i++) {
			if (i)
				buf_addz(out, ",");
			if (json_is_string(json_array_get(v, i)))
				cli_text_add(out, json_string_value(json_array_get(v, i)));
		}
		break;
	case JSON_OBJECT:
	case JSON_REAL:
	case JSON_NULL:
		break;
	}
}

/* Every column has a word in every row, so that awk can count them. */
static char *cell(const json_t *row, const struct cli_column *column)
{
	struct buf b = BUF_INIT(65536);
	const json_t *v = json_object_get(row, column->key);
	bool none = column->size && json_integer_value(v) == 0 && !strcmp(column->key, "quota");

	if (v && !none)
		value_text(v, column->size, &b);
	if (b.n == 0)
		buf_add_c(&b, '-');
	buf_add_c(&b, 0);
	return b.p;
}

/* Characters, not bytes: columns line up for most scripts. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void cell_print(const char *text, size_t wide, bool last)
{
	fputs(text, stdout);
	for (size_t n = width(text); n < wide + 2 && !last; n++)
		putchar(' ');
}

void cli_show_rows(json_t *rows, const struct cli_column *columns)
{
	size_t wide[16] = {0}, n = 0;

	for (; n < COUNT_OF(wide) && columns[n].key; n++) {
		wide[n] = strlen(columns[n].title);
		for (size_t i = 0; i < json_array_size(rows); i++) {
			AUTO_FREE char *text = cell(json_array_get(rows, i), &columns[n]);
			if (text && width(text) > wide[n])
				wide[n] = width(text);
		}
	}
	for (size_t k = 0; k < n; k++)
		cell_print(columns[k].title, wide[k], k + 1 == n);
	putchar('\n');
	for (size_t i = 0; i < json_array_size(rows); i++) {
		for (size_t k = 0; k < n; k++) {
			AUTO_FREE char *text = cell(json_array_get(rows, i), &columns[k]);
			cell_print(text ? text : "-", wide[k], k + 1 == n);
		}
		putchar('\n');
	}
}

void cli_show_object(const json_t *object)
{
	static const char *const sizes[] = {"used", "quota", "bytes"};
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)object, key, v)
	{
		struct buf b = BUF_INIT(65536);
		bool size = false;
		for (size_t i = 0; i < COUNT_OF(sizes); i++)
			size |= !strcmp(sizes[i], key);
		if (!strcmp(key, "quota") && json_integer_value(v) == 0)
			buf_addz(&b, "none");
		else
			value_text(v, size, &b);
		buf_add_c(&b, 0);
		printf("%-12s %s\n", key, b.n > 1 ? b.p : "-");
		buf_free(&b);
	}
}

#include "base/log.h"
#include "base/buf.h"
#include "base/clock.h"
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define FIELD_MAX 512

/* The sink's state: the one place of the program where settings of the process live outside a struct. */
static struct {
	const char *role;
	enum log_level max;
	enum log_format format;
	bool prefix;
} sink = {"posthouse", LOG_INFO, LOG_FORMAT_LOGFMT, false};
static atomic_ulong dropped;

static const char *const level_names[] = {
        [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_NOTICE] = "notice", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

void log_setup(const char *role, enum log_level max, enum log_format format, bool journal_prefix)
{
	sink.role = role;
	sink.max = max;
	sink.format = format;
	sink.prefix = journal_prefix;
}

bool log_wanted(enum log_level level)
{
	return level <= sink.max;
}

struct line {
	char text[LINE_MAX_BYTES];
	size_t n;
};

static void put(struct line *l, slice s)
{
	size_t room = sizeof l->text - 2 - l->n; /* one for the line end, one for a closing quote */

	s.n = s.n < room ? s.n : room;
	if (s.n)
		memcpy(l->text + l->n, s.p, s.n);
	l->n += s.n;
}

/* Length of a valid UTF-8 sequence at the head that is safe to show: no controls, no bidi, no line separators. */
static size_t safe_length(slice s)
{
	const uint8_t *p = (const uint8_t *)s.p;

	if (p[0] >= 0x20 && p[0] < 0x7f)
		return 1;
	size_t n = (p[0] & 0xe0) == 0xc0 && p[0] >= 0xc3 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;
	if (p[0] == 0xc2 && s.n > 1 && p[1] >= 0xa0)
		n = 2; /* c2 80..9f are controls */
	if (n == 0 || n > s.n || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	        (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	if (p[0] == 0xe2 && p[1] == 0x80 && ((p[2] >= 0xa8 && p[2] <= 0xae) || (p[2] >= 0x8b && p[2] <= 0x8f)))
		return 0; /* U+2028..202E, U+200B..200F */
	if (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)
		return 0; /* U+2066..2069 */
	return n;
}

static void put_quoted(struct line *l, slice s)
{
	bool json = sink.format == LOG_FORMAT_JSON;

	s = slice_sub(s, 0, FIELD_MAX);
	put(l, S("\""));
	while (s.n > 0) {
		size_t n = safe_length(s);
		char hex[8];

		if (n == 1 && (s.p[0] == '"' || s.p[0] == '\\')) {
			put(l, S("\\"));
			put(l, slice_sub(s, 0, 1));
		} else if (n > 0) {
			put(l, slice_sub(s, 0, n));
		} else {
			n = 1;
			put(l, slice_make(hex, (size_t)snprintf(hex, sizeof hex, json ? "\\u%04x" : "\\x%02x",
			                                (unsigned)(uint8_t)s.p[0])));
		}
		s = slice_skip(s, n);
	}
	if (l->n < sizeof l->text - 1)
		l->text[l->n++] = '"';
}

static bool is_plain(slice s)
{
	if (s.n == 0 || s.n > FIELD_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == '\\' || s.p[i] >= 0x7f)
			return false;
	return true;
}

static void put_field(struct line *l, const struct log_field *f)
{
	char number[24];
	bool json = sink.format == LOG_FORMAT_JSON;

	put(l, json ? S(",\"") : S(" "));
	put(l, slice_of(f->name));
	put(l, json ? S("\":") : S("="));
	if (f->type == LOG_FIELD_SLICE) {
		if (!json && is_plain(f->text))
			put(l, f->text);
		else
			put_quoted(l, f->text);
		return;
	}
	int n = f->type == LOG_FIELD_U64 ? snprintf(number, sizeof number, "%llu", (unsigned long long)f->num)
	                                 : snprintf(number, sizeof number, "%lld", (long long)f->num);
	put(l, slice_make(number, (size_t)n));
}

/* Days since 1970 to a civil date (proleptic Gregorian). */
static void put_time(struct line *l)
{
	int64_t us = clock_wall_us(), s = us / 1000000, days = s / 86400, rest = s % 86400;
	int64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153, d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9;
	char text[48];
	int n = snprintf(text, sizeof text, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lld.%03lldZ",
	        (long long)(yoe + era * 400 + (m <= 2)), (long long)m, (long long)d, (long long)(rest / 3600),
	        (long long)(rest / 60 % 60), (long long)(rest % 60), (long long)(us % 1000000 / 1000));

	put(l, slice_make(text, (size_t)n));
}

void log_emit(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
	struct line l;
	bool json = sink.format == LOG_FORMAT_JSON;
	char prefix[8];
	unsigned long lost = atomic_load_explicit(&dropped, memory_order_relaxed);

	l.n = 0;
	if (sink.prefix)
		put(&l, slice_make(prefix, (size_t)snprintf(prefix, sizeof prefix, "<%d>", (int)level)));
	put(&l, json ? S("{\"time\":\"") : S("time="));
	put_time(&l);
	put(&l, json ? S("\",\"level\":\"") : S(" level="));
	put(&l, slice_of(level_names[level]));
	put(&l, json ? S("\",\"role\":\"") : S(" role="));
	put(&l, slice_of(sink.role));
	put(&l, json ? S("\",\"event\":\"") : S(" event="));
	put(&l, slice_of(event));
	put(&l, json ? S("\"") : S(""));
	for (size_t i = 0; i < n; i++)
		put_field(&l, &fields[i]);
	if (lost > 0)
		put_field(&l, &F_U64("dropped", lost));
	if (json)
		put(&l, S("}"));
	l.text[l.n++] = '\n';
	if (write(STDERR_FILENO, l.text, l.n) == (ssize_t)l.n)
		atomic_fetch_sub_explicit(&dropped, lost, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
}

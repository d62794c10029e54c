#include "base/log.h"
#include "base/clock.h"
#include "base/encode.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 4096, /* PIPE_BUF: lines of several writers on one pipe do not mix */
	FIELD_MAX_BYTES = 512,
	TAIL_BYTES = 64, /* kept free for " cut=true dropped=N" and the end of the line */
};

/* Mutable by design: what log_setup said, and the lines lost since the last one that was written. */
static _Atomic(const char *) log_role;
static _Atomic(enum log_level) log_max = LOG_INFO;
static _Atomic(enum log_format) log_format = LOG_FORMAT_LOGFMT;
static _Atomic bool log_journal;
static _Atomic uint64_t log_dropped;

void log_setup(const char *role, enum log_level max, enum log_format format, bool journal_prefix)
{
	atomic_store(&log_role, role);
	atomic_store(&log_max, max);
	atomic_store(&log_format, format);
	atomic_store(&log_journal, journal_prefix);
}

bool log_wanted(enum log_level level)
{
	return level <= atomic_load_explicit(&log_max, memory_order_relaxed);
}

static const char *level_name(enum log_level level)
{
	static const char *const names[] = {
		[LOG_ERROR] = "error",
		[LOG_WARN] = "warn",
		[LOG_NOTICE] = "notice",
		[LOG_INFO] = "info",
		[LOG_DEBUG] = "debug",
	};

	return level >= LOG_ERROR && level <= LOG_DEBUG ? names[level] : "error";
}

/* A line under construction. It grows to LINE_MAX_BYTES - TAIL_BYTES; `full` says that something did not fit.
 */
struct line {
	size_t n, limit;
	bool json, full;
	char p[LINE_MAX_BYTES];
};

static void put(struct line *l, slice s)
{
	if (l->full || s.n > l->limit - l->n) {
		l->full = true;
		return;
	}
	memcpy(l->p + l->n, s.p, s.n);
	l->n += s.n;
}

/* For short things of known length. */
__attribute__((format(printf, 2, 3))) static void putf(struct line *l, const char *fmt, ...)
{
	char text[64];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	assert(n >= 0 && (size_t)n < sizeof text);
	put(l, slice_make(text, (size_t)n));
}

/* What must not reach a terminal or a reader of lines as it is: controls, line separators, bidi marks. */
static bool is_hostile(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static bool is_plain(char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static size_t put_escaped(struct line *l, slice s)
{
	uint32_t c;
	size_t n = utf8_next(s, &c);

	if (n == 0 && l->json) /* JSON has no bytes, only characters */
		put(l, S("\\ufffd"));
	else if (n == 0)
		putf(l, "\\x%02x", (unsigned)(uint8_t)s.p[0]);
	else if (c == '"' || c == '\\')
		putf(l, "\\%c", (int)c);
	else if (c == '\n' || c == '\r' || c == '\t')
		putf(l, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
	else if (is_hostile(c))
		putf(l, "\\u%04x", (unsigned)c);
	else
		put(l, slice_sub(s, 0, n));
	return n ? n : 1;
}

static void put_value(struct line *l, slice s)
{
	size_t keep = utf8_cut(s, FIELD_MAX_BYTES);
	bool cut = keep < s.n, bare = !l->json && s.n > 0 && !cut;

	for (size_t i = 0; bare && i < s.n; i++)
		bare = is_plain(s.p[i]) && s.p[i] != ' ' && s.p[i] != '=';
	if (bare) {
		put(l, s);
		return;
	}
	put(l, S("\""));
	for (s = slice_sub(s, 0, keep); s.n;) {
		size_t n = 0;

		while (n < s.n && is_plain(s.p[n]))
			n++;
		if (n)
			put(l, slice_sub(s, 0, n));
		else
			n = put_escaped(l, s);
		s = slice_skip(s, n);
	}
	put(l, cut ? S("...\"") : S("\""));
}

static void put_name(struct line *l, const char *name)
{
	put(l, l->json ? S(",\"") : S(" "));
	put(l, slice_of(name));
	put(l, l->json ? S("\":") : S("="));
}

/* A field goes in whole or not at all: half an escape would spoil the line. False when it did not fit. */
static bool put_field(struct line *l, const struct log_field *f)
{
	size_t start = l->n;
	bool fits;

	put_name(l, f->name);
	if (f->type == LOG_FIELD_U64)
		putf(l, "%" PRIu64, f->num);
	else if (f->type == LOG_FIELD_I64)
		putf(l, "%" PRId64, (int64_t)f->num);
	else
		put_value(l, f->text);
	fits = !l->full;
	if (!fits)
		l->n = start;
	l->full = false;
	return fits;
}

/* RFC 3339 in UTC. Days to a date by eras of 400 years that begin in March, so that a leap day ends a year.
 */
static void put_time(struct line *l, int64_t us)
{
	uint64_t s = us > 0 ? (uint64_t)us / 1000000 : 0, day = s / 86400 + 719468;
	uint64_t era_day = day % 146097;
	uint64_t year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
	uint64_t year_day = era_day - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * year_day + 2) / 153; /* 0 is March */
	uint64_t month_day = year_day - (153 * month + 2) / 5 + 1;

	year += day / 146097 * 400 + (month >= 10);
	month += month < 10 ? 3 : (uint64_t)-9;
	putf(l, "%04" PRIu64 "-%02" PRIu64 "-%02" PRIu64 "T", year, month, month_day);
	putf(l, "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%06" PRIu64 "Z", s / 3600 % 24, s / 60 % 60,
		s % 60, us > 0 ? (uint64_t)us % 1000000 : 0);
}

/* A full pipe must not stop the loop, and it may be one that others made: it is asked, not changed. */
static bool write_line(const struct line *l)
{
	struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&fd, 1, 0) != 1 || !(fd.revents & POLLOUT))
		return false;
	return write(STDERR_FILENO, l->p, l->n) == (ssize_t)l->n;
}

void log_emit(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
	const char *role = atomic_load_explicit(&log_role, memory_order_relaxed);
	struct line l;
	uint64_t dropped;
	bool cut = false;
	int saved = errno;

	l.n = 0;
	l.limit = sizeof l.p - TAIL_BYTES;
	l.full = false;
	l.json = atomic_load_explicit(&log_format, memory_order_relaxed) == LOG_FORMAT_JSON;
	if (atomic_load_explicit(&log_journal, memory_order_relaxed))
		putf(&l, "<%d>", (int)level);
	put(&l, l.json ? S("{\"time\":\"") : S("time="));
	put_time(&l, clock_wall_us());
	if (l.json)
		put(&l, S("\""));
	put_field(&l, &F_STR("level", level_name(level)));
	if (role)
		put_field(&l, &F_STR("role", role));
	put_field(&l, &F_STR("event", event));
	for (size_t i = 0; i < n; i++)
		cut |= !put_field(&l, &fields[i]);
	l.limit = sizeof l.p;
	if (cut)
		put_field(&l, &F_U64("cut", 1));
	dropped = atomic_exchange(&log_dropped, 0);
	if (dropped)
		put_field(&l, &F_U64("dropped", dropped));
	put(&l, l.json ? S("}\n") : S("\n"));
	if (!write_line(&l))
		atomic_fetch_add(&log_dropped, dropped + 1);
	errno = saved;
}

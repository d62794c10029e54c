#include "base/err.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {
	[ERR_NONE] = "none",
	[ERR_SYNTAX] = "syntax",
	[ERR_LIMIT] = "limit",
	[ERR_DENIED] = "denied",
	[ERR_MISSING] = "missing",
	[ERR_EXISTS] = "exists",
	[ERR_CONFLICT] = "conflict",
	[ERR_QUOTA] = "quota",
	[ERR_TEMP] = "temporary",
	[ERR_IO] = "io",
	[ERR_CORRUPT] = "corrupt",
	[ERR_CLOSED] = "closed",
	[ERR_TIMEOUT] = "timeout",
	[ERR_CANCELED] = "canceled",
	[ERR_NOPERM] = "noperm",
};

/* The compiler names files from the build folder: "../src/io/tls.c:7" is shown as "src/io/tls.c:7". */
static const char *where_shown(const char *where)
{
	while (where && strncmp(where, "../", 3) == 0)
		where += 3;
	return where;
}

/* Formatted aside: the arguments may hold e->text, when a caller puts its own words in front of it. */
__attribute__((format(printf, 5, 0))) static void err_fill(err *e, enum err_kind kind, int sys,
	const char *where, const char *fmt, va_list args, const char *tail)
{
	char text[sizeof e->text + 8] = "";
	size_t n;
	int got = vsnprintf(text, sizeof text, fmt, args);

	n = got < 0 ? 0 : (size_t)got < sizeof text ? (size_t)got : sizeof text - 1;
	if (tail && n < sizeof text - 1)
		snprintf(text + n, sizeof text - n, ": %s", tail);
	n = utf8_cut(slice_of(text), sizeof e->text - 1);
	memcpy(e->text, text, n);
	e->text[n] = '\0';
	e->kind = kind;
	e->sys = sys;
	e->where = where_shown(where);
}

void err_set_at(err *e, enum err_kind kind, int sys, const char *where, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (!e)
		return;
	va_start(args, fmt);
	err_fill(e, kind, sys, where, fmt, args, NULL);
	va_end(args);
	errno = saved;
}

void err_set_errno(err *e, enum err_kind kind, const char *where, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (!e)
		return;
	va_start(args, fmt);
	err_fill(e, kind, saved, where, fmt, args, err_sys_text(saved));
	va_end(args);
	errno = saved;
}

const char *err_kind_name(enum err_kind kind)
{
	const char *name = (size_t)kind < COUNT_OF(kind_names) ? kind_names[kind] : NULL;

	return name ? name : "unknown";
}

const char *err_sys_text(int sys)
{
	const char *text = strerrordesc_np(sys);

	return text ? text : "unknown error";
}

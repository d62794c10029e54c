#include "base/err.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void put(err *e, enum err_kind kind, int sys, const char *where, const char *fmt, va_list ap)
{
	e->kind = kind;
	e->sys = sys;
	e->where = where;
	vsnprintf(e->text, sizeof e->text, fmt, ap);
}

void err_set_at(err *e, enum err_kind kind, int sys, const char *where, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return;
	va_start(ap, fmt);
	put(e, kind, sys, where, fmt, ap);
	va_end(ap);
}

void err_set_errno(err *e, enum err_kind kind, const char *where, const char *fmt, ...)
{
	int sys = errno;
	va_list ap;

	if (!e)
		return;
	va_start(ap, fmt);
	put(e, kind, sys, where, fmt, ap);
	va_end(ap);
	size_t n = strlen(e->text);
	snprintf(e->text + n, sizeof e->text - n, ": %s", err_sys_text(sys));
}

const char *err_kind_name(enum err_kind kind)
{
	static const char *const names[] = {
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
	};

	return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}

const char *err_sys_text(int sys)
{
	const char *text = strerrordesc_np(sys); /* constant strings: safe with threads */

	return text ? text : "unknown error";
}

#include "cli/cli.h"

#include <stdarg.h>

int cli_fail(const struct cli *c, int exit_code, const char *kind, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fflush(stdout);
	fprintf(stderr, "posthouse: %s\n", text);
	if (c && c->json) {
		json_t *o = json_pack("{s:{s:s, s:s}}", "error", "code", kind, "message", text);
		if (o)
			cli_show_json(o);
		json_decref(o);
	}
	return exit_code;
}

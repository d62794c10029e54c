/* Times as people read them. */
#include "cli/cli.h"

#include <time.h>

struct cli_when cli_when(const json_t *text)
{
	struct cli_when w = {.known = false};
	const char *iso = json_string_value(text);
	struct tm t = {0};
	int year, month;

	if (!iso || sscanf(iso, "%4d-%2d-%2dT%2d:%2d:%2dZ", &year, &month, &t.tm_mday, &t.tm_hour, &t.tm_min,
			    &t.tm_sec) != 6)
		return w;
	t.tm_year = year - 1900;
	t.tm_mon = month - 1;
	w.unix_s = timegm(&t);
	time_t at = (time_t)w.unix_s;
	w.known = localtime_r(&at, &t) && strftime(w.clock, sizeof w.clock, "%H:%M:%S", &t) &&
		  strftime(w.day, sizeof w.day, "%a %d %b %Y", &t) &&
		  strftime(w.brief, sizeof w.brief, "%b %d %H:%M", &t);
	return w;
}

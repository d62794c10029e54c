/* How single values are written: sizes, durations, host names, listeners. */
#include "base/settings.h"
#include "limits.h"

#include <arpa/inet.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first, for printing. Decimal units as disks are sold, binary ones with the i (IEC 80000-13). */
static const struct unit sizes[] = {
	{"TiB", 1ull << 40},
	{"TB", 1000000000000},
	{"GiB", 1 << 30},
	{"GB", 1000000000},
	{"MiB", 1 << 20},
	{"MB", 1000000},
	{"KiB", 1 << 10},
	{"KB", 1000},
	{"B", 1},
};

static const struct unit durations[] = {
	{"y", 31536000000},
	{"w", 604800000},
	{"d", 86400000},
	{"h", 3600000},
	{"m", 60000},
	{"s", 1000},
	{"ms", 1},
};

static int unit_parse(
	slice text, const struct unit *units, size_t n, uint64_t *ret, const char *example, err *e)
{
	size_t digits = 0;
	uint64_t v;

	while (digits < text.n && ascii_is_digit(text.p[digits]))
		digits++;
	if (!slice_to_u64(slice_sub(text, 0, digits), UINT64_MAX, &v))
		return err_set(e, ERR_SYNTAX,
			"\"%" SLICE_FMT "\" does not begin with a number; write it like %s", SLICE_ARG(text),
			example);
	slice name = slice_skip(text, digits);
	for (size_t i = 0; i < n; i++) {
		if (!slice_eq(slice_of(units[i].name), name))
			continue;
		if (v > UINT64_MAX / units[i].factor)
			return err_set(e, ERR_SYNTAX, "%" SLICE_FMT " is too large", SLICE_ARG(text));
		*ret = v * units[i].factor;
		return 0;
	}
	if (name.n == 0 && v == 0) {
		*ret = 0;
		return 0;
	}
	return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" has no unit that is known here; write it like %s",
		SLICE_ARG(text), example);
}

static void unit_print(uint64_t v, const struct unit *units, size_t n, struct buf *out)
{
	size_t i = 0;

	while (i + 1 < n && (v == 0 || v % units[i].factor))
		i++;
	buf_add_u64(out, v / units[i].factor);
	buf_addz(out, units[i].name);
}

int settings_size_parse(slice text, uint64_t *ret_bytes, err *e)
{
	return unit_parse(
		text, sizes, COUNT_OF(sizes), ret_bytes, "25MB (B KB MB GB TB, or KiB MiB GiB TiB)", e);
}

int settings_duration_parse(slice text, uint64_t *ret_ms, err *e)
{
	return unit_parse(text, durations, COUNT_OF(durations), ret_ms, "10m (ms s m h d w y)", e);
}

void settings_size_print(uint64_t bytes, struct buf *out)
{
	unit_print(bytes, sizes, COUNT_OF(sizes), out);
}

void settings_duration_print(uint64_t ms, struct buf *out)
{
	if (ms == 0)
		buf_addz(out, "0s");
	else
		unit_print(ms, durations, COUNT_OF(durations), out);
}

bool settings_host_check(slice text, char ret[254])
{
	size_t label = 0;
	bool digits = true; /* the last label: all digits would look like an IPv4 address */

	if (text.n == 0 || text.n > 253)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = ascii_lower(text.p[i]);
		if (c == '.') {
			if (label == 0 || text.p[i - 1] == '-')
				return false;
			label = 0, digits = true;
		} else {
			if (!ascii_is_alpha(c) && !ascii_is_digit(c) && (c != '-' || label == 0))
				return false;
			if (++label > 63)
				return false;
			digits &= ascii_is_digit(c);
		}
		ret[i] = c;
	}
	ret[text.n] = 0;
	return label > 0 && !digits && ret[text.n - 1] != '-';
}

bool settings_server_parse(slice text, char ret_ip[46], uint16_t *ret_port)
{
	char z[INET6_ADDRSTRLEN];
	uint8_t ip[16];
	uint64_t port = 0;
	bool bracket = text.n > 0 && text.p[0] == '[';
	ptrdiff_t colon = slice_find_c(text, ':');
	bool six = bracket || (colon >= 0 && slice_rfind_c(text, ':') != colon);
	ptrdiff_t end = bracket ? slice_find_c(text, ']') : six ? -1 : colon;
	slice address = end < 0 ? text : slice_sub(text, 0, (size_t)end), rest = slice_skip(text, address.n);

	if (bracket) {
		if (end < 0)
			return false;
		address = slice_skip(address, 1);
		rest = slice_skip(rest, 1);
	}
	if (rest.n > 0 && (rest.p[0] != ':' || !slice_to_u64(slice_skip(rest, 1), 65535, &port) || port == 0))
		return false;
	if (address.n == 0 || address.n >= sizeof z || memchr(address.p, 0, address.n))
		return false;
	memcpy(z, address.p, address.n);
	z[address.n] = 0;
	if (inet_pton(six ? AF_INET6 : AF_INET, z, ip) != 1)
		return false;
	memcpy(ret_ip, z, sizeof z);
	*ret_port = (uint16_t)port;
	return true;
}

/* ---- listeners ---- */

bool settings_protocol_find(slice word, enum settings_protocol *ret)
{
	for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
		if (slice_eq(slice_of(settings_protocols[i].word), word)) {
			*ret = (enum settings_protocol)i;
			return true;
		}
	}
	return false;
}

static int ip_parse(slice text, struct settings_listen *l, err *e)
{
	char z[INET6_ADDRSTRLEN];
	bool six = text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';

	if (slice_eq(text, S("*"))) {
		l->family = LISTEN_ANY;
		return 0;
	}
	if (six)
		text = slice_sub(text, 1, text.n - 2);
	if (text.n < sizeof z && !memchr(text.p, 0, text.n)) {
		memcpy(z, text.p, text.n);
		z[text.n] = 0;
		l->family = six ? LISTEN_IP6 : LISTEN_IP4;
		if (inet_pton(six ? AF_INET6 : AF_INET, z, l->ip) == 1)
			return 0;
	}
	return err_set(e, ERR_SYNTAX,
		"\"%" SLICE_FMT
		"\" is no IP address; write 127.0.0.1:25, [::1]:25 or *:25 (names are not looked up)",
		SLICE_ARG(text));
}

int settings_listen_parse(
	enum settings_protocol protocol, slice where, struct arena *a, struct settings_listen *ret, err *e)
{
	struct settings_listen l = {.protocol = protocol};
	uint64_t port;

	if (where.n == 0) {
		l.port = settings_protocols[protocol].port;
		*ret = l;
		return 0;
	}
	if (where.p[0] == '/') {
		if (where.n > LIMIT_SOCKET_PATH || memchr(where.p, 0, where.n))
			return err_set(
				e, ERR_LIMIT, "the path of a socket is at most %d bytes", LIMIT_SOCKET_PATH);
		l.family = LISTEN_UNIX;
		l.path = arena_copy(a, where);
		if (!l.path.p)
			return err_set(e, ERR_LIMIT, "out of memory");
		*ret = l;
		return 0;
	}
	ptrdiff_t colon = slice_rfind_c(where, ':');
	slice number = slice_skip(where, (size_t)(colon + 1));
	if (!slice_to_u64(number, 65535, &port) || port == 0)
		return err_set(e, ERR_SYNTAX, "\"%" SLICE_FMT "\" is no port number (1 to 65535)",
			SLICE_ARG(number));
	l.port = (uint16_t)port;
	if (colon >= 0 && ip_parse(slice_sub(where, 0, (size_t)colon), &l, e) < 0)
		return -1;
	if (l.protocol == PROTOCOL_LMTP && l.port == 25) /* RFC 2033 section 5 */
		return err_set(e, ERR_SYNTAX, "LMTP must not stand on port 25");
	*ret = l;
	return 0;
}

void settings_listen_print(const struct settings_listen *l, struct buf *out)
{
	char ip[INET6_ADDRSTRLEN] = "";

	buf_addz(out, settings_protocols[l->protocol].word);
	buf_add_c(out, ' ');
	if (l->family == LISTEN_UNIX) {
		buf_add(out, l->path);
		return;
	}
	if (l->family == LISTEN_IP4 && inet_ntop(AF_INET, l->ip, ip, sizeof ip))
		buf_addf(out, "%s:", ip);
	else if (l->family == LISTEN_IP6 && inet_ntop(AF_INET6, l->ip, ip, sizeof ip))
		buf_addf(out, "[%s]:", ip);
	buf_add_u64(out, l->port);
}

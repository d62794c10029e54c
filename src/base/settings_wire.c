/* The snapshot on its way to the roles. */
#include "base/hash.h"
#include "base/settings.h"
#include "base/wire.h"
#include "limits.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAGIC 0x50485331u /* "PHS1" */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Two programs whose tables differ do not understand each other's snapshots. */
static uint32_t table_print(void)
{
	uint32_t crc = 0;

	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *row = &setting_table[i];
		uint8_t kind = (uint8_t)row->kind;
		crc = crc32c(crc, row->block, strlen(row->block) + 1);
		crc = crc32c(crc, row->word, strlen(row->word) + 1);
		crc = crc32c(crc, &kind, 1);
	}
	return crc;
}

static void value_encode(const struct setting *row, const struct settings *s, struct buf *out)
{
	const char *field = (const char *)s + row->offset;
	const struct slices *list;

	switch (row->kind) {
	case SETTING_HOST:
	case SETTING_PATH:
	case SETTING_WORD:
	case SETTING_SERVER:
		wire_put_bytes(out, *(const slice *)(const void *)field);
		break;
	case SETTING_MAIL:
		list = (const void *)field;
		wire_put_u16(out, (uint16_t)list->n);
		for (size_t i = 0; i < list->n; i++)
			wire_put_bytes(out, list->v[i]);
		break;
	case SETTING_BOOL:
		wire_put_u8(out, *(const bool *)(const void *)field);
		break;
	case SETTING_NUMBER:
	case SETTING_SIZE:
	case SETTING_DURATION:
	case SETTING_CHOICE:
		wire_put_u64(out, *(const uint64_t *)(const void *)field);
		break;
	}
}

void settings_encode(const struct settings *s, struct buf *out)
{
	size_t from = out->n;

	wire_put_u32(out, MAGIC);
	wire_put_u32(out, table_print());
	wire_put_u64(out, s->generation);
	for (size_t i = 0; i < SETTING_COUNT; i++)
		value_encode(&setting_table[i], s, out);
	wire_put_u16(out, (uint16_t)s->listens_n);
	for (size_t i = 0; i < s->listens_n; i++) {
		const struct settings_listen *l = &s->listens[i];
		wire_put_u8(out, (uint8_t)l->protocol);
		wire_put_u8(out, (uint8_t)l->family);
		wire_put_u16(out, l->port);
		wire_put_raw(out, slice_make(l->ip, sizeof l->ip));
		wire_put_bytes(out, l->path);
	}
	wire_put_u16(out, (uint16_t)s->domains_n);
	for (size_t i = 0; i < s->domains_n; i++) {
		const struct settings_domain *d = &s->domains[i];
		wire_put_bytes(out, d->name);
		wire_put_bytes(out, d->catchall);
		wire_put_bytes(out, d->file);
		wire_put_u32(out, d->line);
	}
	wire_seal(out, from);
}

static bool value_decode(const struct setting *row, struct rd *r, struct settings *s)
{
	char *field = (char *)s + row->offset;
	uint64_t v;
	uint16_t n;
	slice text;

	switch (row->kind) {
	case SETTING_HOST:
	case SETTING_PATH:
	case SETTING_WORD:
	case SETTING_SERVER:
		text = rd_bytes(r, LIMIT_CONFIG_WORD);
		return !r->bad && setting_parse(row, text, s, NULL) == 0;
	case SETTING_MAIL:
		*(struct slices *)(void *)field = (struct slices){0};
		n = rd_u16(r);
		for (uint16_t i = 0; i < n; i++) {
			text = rd_bytes(r, LIMIT_CONFIG_WORD);
			if (r->bad || setting_parse(row, text, s, NULL) < 0)
				return false;
		}
		return true;
	case SETTING_BOOL:
		v = rd_u8(r);
		*(bool *)(void *)field = v == 1;
		return v <= 1;
	case SETTING_NUMBER:
	case SETTING_SIZE:
	case SETTING_DURATION:
	case SETTING_CHOICE:
		v = rd_u64(r);
		*(uint64_t *)(void *)field = v;
		return v >= row->min && v <= row->max;
	}
	return false;
}

static bool listen_decode(struct rd *r, struct arena *a, struct settings_listen *ret)
{
	uint8_t protocol = rd_u8(r), family = rd_u8(r);
	uint16_t port = rd_u16(r);
	slice ip = rd_raw(r, sizeof ret->ip), path = rd_bytes(r, LIMIT_SOCKET_PATH);

	if (r->bad || protocol >= PROTOCOL_COUNT || family > LISTEN_UNIX ||
		(family == LISTEN_UNIX) != (path.n > 0) || (family == LISTEN_UNIX) != (port == 0))
		return false;
	*ret = (struct settings_listen){.protocol = (enum settings_protocol)protocol,
		.family = (enum listen_family)family,
		.port = port,
		.path = arena_copy(a, path)};
	memcpy(ret->ip, ip.p, sizeof ret->ip);
	return ret->path.p && (path.n == 0 || path.p[0] == '/');
}

static bool listens_decode(struct rd *r, struct settings *s)
{
	uint16_t n = rd_u16(r);
	struct settings_listen *l =
		n <= LIMIT_SETTINGS_LISTENS ? arena_new_n(s->arena, struct settings_listen, n + 1u) : NULL;

	if (!l)
		return false;
	for (uint16_t i = 0; i < n; i++) {
		if (!listen_decode(r, s->arena, &l[i]))
			return false;
	}
	s->listens = l, s->listens_n = n;
	return true;
}

static bool domains_decode(struct rd *r, struct settings *s)
{
	uint16_t n = rd_u16(r);
	struct settings_domain *d =
		n <= LIMIT_SETTINGS_DOMAINS ? arena_new_n(s->arena, struct settings_domain, n + 1u) : NULL;

	if (!d)
		return false;
	for (uint16_t i = 0; i < n; i++) {
		slice name = rd_bytes(r, 255), catchall = rd_bytes(r, 320),
		      file = rd_bytes(r, LIMIT_CONFIG_WORD);
		d[i] = (struct settings_domain){arena_copy(s->arena, name), arena_copy(s->arena, catchall),
			arena_copy(s->arena, file), rd_u32(r)};
		if (r->bad || !name.n || !d[i].name.p || !d[i].catchall.p || !d[i].file.p)
			return false;
	}
	s->domains = d, s->domains_n = n;
	return true;
}

int settings_decode(slice bytes, struct settings **ret, err *e)
{
	if (!wire_unseal(&bytes))
		return err_set(e, ERR_CORRUPT, "the settings are damaged");
	struct rd r = rd_of(bytes);
	if (rd_u32(&r) != MAGIC || rd_u32(&r) != table_print())
		return err_set(e, ERR_CORRUPT, "the settings come from another version of the program");
	struct settings *s = settings_new();
	if (!s)
		return err_set(e, ERR_LIMIT, "out of memory");
	s->generation = rd_u64(&r);
	const char *bad = NULL;
	for (size_t i = 0; i < SETTING_COUNT && !bad; i++) {
		if (!value_decode(&setting_table[i], &r, s))
			bad = setting_table[i].word;
	}
	if (!bad && !listens_decode(&r, s))
		bad = "listen";
	if (!bad && !domains_decode(&r, s))
		bad = "domain";
	if (!bad && !rd_done(&r))
		bad = "the end";
	if (bad) {
		settings_free(s);
		return err_set(e, ERR_CORRUPT, "the settings are wrong at \"%s\"", bad);
	}
	*ret = s;
	return 0;
}

int settings_seal(const struct settings *s, err *e)
{
	struct buf b = BUF_INIT(LIMIT_SETTINGS_BYTES);
	AUTO_FD fd = memfd_create("settings", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_sys(e, ERR_IO, "memory file for the settings");
	settings_encode(s, &b);
	bool whole = !b.failed;
	for (size_t at = 0; whole && at < b.n;) {
		ssize_t got = write(fd, b.p + at, b.n - at);
		whole = got > 0;
		at += whole ? (size_t)got : 0;
	}
	buf_free(&b);
	if (!whole || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return err_set(e, ERR_IO, "the settings do not fit into a memory file");
	return TAKE_FD(fd);
}

int settings_open(int fd, struct settings **ret, err *e)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(
			e, ERR_CORRUPT, "the settings came in a descriptor that is no sealed memory file");
	if (st.st_size <= 0 || st.st_size > LIMIT_SETTINGS_BYTES)
		return err_set(e, ERR_LIMIT, "settings of %lld bytes", (long long)st.st_size);
	size_t n = (size_t)st.st_size;
	AUTO_FREE char *p = malloc(n);
	if (!p)
		return err_set(e, ERR_LIMIT, "out of memory");
	for (size_t at = 0; at < n;) {
		ssize_t got = pread(fd, p + at, n - at, (off_t)at);
		if (got <= 0)
			return err_sys(e, ERR_IO, "reading the settings");
		at += (size_t)got;
	}
	return settings_decode(slice_make(p, n), ret, e);
}

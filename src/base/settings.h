/*
 * The settings as an immutable snapshot. The supervisor reads the file (base/config.h), serialises the
 * snapshot into a sealed memfd and gives it to every role; each role decodes it, which checks every value
 * again.
 *
 * Nothing here parks. Functions that read or write text are pure.
 */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

struct slices {
	const slice *v;
	size_t n;
};

/* What `listen` may name: word, standard port, TLS from the first byte, among the listeners of an empty file.
 */
#define SETTINGS_PROTOCOLS(X)                                                                                \
	X(SMTP, "smtp", 25, false, true)                                                                     \
	X(SUBMISSION, "submission", 587, false, true)                                                        \
	X(SUBMISSIONS, "submissions", 465, true, true)                                                       \
	X(LMTP, "lmtp", 24, false, false)                                                                    \
	X(IMAP, "imap", 143, false, true)                                                                    \
	X(IMAPS, "imaps", 993, true, true)                                                                   \
	X(POP3, "pop3", 110, false, true)                                                                    \
	X(POP3S, "pop3s", 995, true, true)

/* clang-format off */
enum settings_protocol {
#define X(name, word, port, tls, standard) PROTOCOL_##name,
	SETTINGS_PROTOCOLS(X)
#undef X
	PROTOCOL_COUNT
};
/* clang-format on */

struct settings_protocol_info {
	const char *word;
	uint16_t port; /* the standard one */
	bool tls;      /* from the first byte */
	bool standard; /* one of the listeners when the file names none */
};
extern const struct settings_protocol_info settings_protocols[PROTOCOL_COUNT];

enum listen_family {
	LISTEN_ANY,
	LISTEN_IP4,
	LISTEN_IP6,
	LISTEN_UNIX
}; /* ANY: every address, both families */

struct settings_listen {
	enum settings_protocol protocol;
	enum listen_family family;
	uint8_t ip[16]; /* the first 4 for IP4 */
	uint16_t port;  /* 0 with UNIX */
	slice path;     /* of UNIX */
};

struct settings_domain { /* `domain example.com { ... }` in the file: pinned there, the store cannot change it
			  */
	slice name;
	slice catchall; /* an address, or empty */
	slice file;     /* where it stands */
	uint32_t line;
};

struct settings {
	uint64_t generation; /* 1 at start, one more at each reload */
#define SETTING(field, ctype, kind, block, word, values, min, max, def, change, roles, doc) ctype field;
#include "base/settings.def"
#undef SETTING
	const struct settings_listen *listens;
	size_t listens_n;
	const struct settings_domain *domains;
	size_t domains_n;
	struct arena *arena; /* holds all of it, this struct too */
};

enum setting_kind {       /* how it is written */
	SETTING_HOST,     /* a host name, lower case */
	SETTING_MAIL,     /* a list of mail addresses */
	SETTING_PATH,     /* an absolute path; in the file a relative one counts from the file's folder */
	SETTING_WORD,     /* any word without control characters */
	SETTING_SERVER,   /* an IP address: 192.0.2.1, 192.0.2.1:5353, 2001:db8::1, [2001:db8::1]:5353 */
	SETTING_BOOL,     /* yes or no */
	SETTING_NUMBER,   /* decimal */
	SETTING_SIZE,     /* bytes: 50MB, 1GiB */
	SETTING_DURATION, /* milliseconds: 10m, 30d */
	SETTING_CHOICE,   /* one of `values` */
};

enum setting_change { SETTING_RELOAD, SETTING_RESTART };

enum setting_role {
	SETTING_SUPERVISOR = 1,
	SETTING_FRONTEND = 2,
	SETTING_BACKEND = 4,
	SETTING_OUTBOUND = 8,
	SETTING_AUTH = 16,
	SETTING_RESOLVER = 32,
	SETTING_ALL = 63,
};

enum setting_id {
#define SETTING(field, ctype, kind, block, word, values, min, max, def, change, roles, doc)                  \
	SETTING_ID_##field,
#include "base/settings.def"
#undef SETTING
	SETTING_COUNT
};

struct setting {
	const char *block, *word, *values, *def, *doc;
	enum setting_kind kind;
	enum setting_change change;
	unsigned roles;
	uint64_t min, max;
	size_t offset; /* of the field in struct settings */
};
extern const struct setting setting_table[SETTING_COUNT];

/* "limits message", or "host": as it is written on one line of the file. */
void setting_name(const struct setting *row, struct buf *out);
/* Finds a row; NULL when there is none. */
const struct setting *setting_find(slice block, slice word);
/* Reads one value (for a list: each call adds one) into *s; memory comes from s->arena. 0 or -1 with a
 * sentence. */
MUST_USE int setting_parse(const struct setting *row, slice text, struct settings *s, err *e);
/* The value as it would be written in the file; nothing for an empty text or list. */
void setting_print(const struct setting *row, const struct settings *s, struct buf *out);
bool setting_equal(const struct setting *row, const struct settings *a, const struct settings *b);

/* All defaults, the standard listeners, no domain. NULL: out of memory. */
struct settings *settings_new(void);
void settings_free(struct settings *s); /* NULL is fine */

/* Values of text, for those who read other words in the same spelling. 0 or -1. */
MUST_USE int settings_size_parse(slice text, uint64_t *ret_bytes, err *e);
MUST_USE int settings_duration_parse(slice text, uint64_t *ret_ms, err *e);
void settings_size_print(uint64_t bytes, struct buf *out);
void settings_duration_print(uint64_t ms, struct buf *out);
/*
 * A host name of at most 253 bytes: letters, digits, hyphens and dots, no label over 63. Written into ret in
 * lower case (254 bytes with the NUL).
 */
bool settings_host_check(slice text, char ret[254]);

/* An address of kind SETTING_SERVER in its parts; port 0: none was said. ret_ip: without the brackets. */
bool settings_server_parse(slice text, char ret_ip[46], uint16_t *ret_port);

bool settings_protocol_find(slice word, enum settings_protocol *ret);
/*
 * "25", "127.0.0.1:2525", "[::1]:25", "*:25", "/run/x.sock": what follows the service in `listen`; nothing:
 * its standard port. The path is copied into the arena.
 */
MUST_USE int settings_listen_parse(
	enum settings_protocol protocol, slice where, struct arena *a, struct settings_listen *ret, err *e);
void settings_listen_print(const struct settings_listen *l, struct buf *out);
bool settings_listen_equal(const struct settings_listen *a, const struct settings_listen *b);
bool settings_domain_equal(
	const struct settings_domain *a, const struct settings_domain *b); /* the place aside */

/* ---- between roles ---- */

/* Appends the snapshot; look at out->failed. */
void settings_encode(const struct settings *s, struct buf *out);
/* Checks form, table and every value. 0, or -1 with ERR_CORRUPT or ERR_LIMIT. *ret is freed with
 * settings_free. */
MUST_USE int settings_decode(slice bytes, struct settings **ret, err *e);
/* A sealed memfd (close-on-exec) with the encoded snapshot; -1 on error. */
MUST_USE int settings_seal(const struct settings *s, err *e);
/* Checks type, size and seals of a received descriptor, then decodes. The descriptor stays the caller's. */
MUST_USE int settings_open(int fd, struct settings **ret, err *e);

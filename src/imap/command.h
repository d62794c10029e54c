/*
 * Reading commands off the wire (RFC 9051 2.2, 4.3): lines with literals in between. The reader only gathers;
 * what the bytes mean is decided afterwards on memory (imap/args.h), so nothing here knows a command.
 *
 * After any error the stream stands at the next command: a refused synchronising literal is not asked for, a
 * non-synchronising one (RFC 7888) is read over together with the rest of its command.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "io/stream.h"

struct imap_limits {
	uint32_t line;    /* text of one command, all its lines together */
	uint32_t literal; /* one literal */
	uint32_t parts;   /* literals a command */
};
extern const struct imap_limits imap_limits_login, imap_limits_session;

struct imap_part { /* text without the literal's announcement, then the literal */
	slice text;
	bool has_literal, binary; /* binary: literal8, "~{n}" */
	slice literal;
	struct imap_part *next;
};

struct imap_announced { /* a literal not read yet */
	bool is, nonsync, binary;
	uint64_t size;
};

struct imap_command {
	slice tag, verb; /* of the first line; empty when it has none. The verb as written */
	struct imap_part *first;
	size_t args_at;                /* where the arguments begin in first->text (at the blank, if any) */
	struct imap_announced pending; /* set when `streams` said so: the command ends here for now */
	struct imap_part *last;
	uint32_t parts, text_n;
};

struct imap_reader {
	struct stream *io;
	const struct imap_limits *limits;
	struct arena *arena; /* the command lies in it; the caller resets it */
	/* Whether this literal is left to the caller. NULL: never. */
	bool (*streams)(const struct imap_command *c);
};

/*
 * Reads one command. 0: it is there. -1: e is ERR_SYNTAX or ERR_LIMIT with a sentence for the client,
 * ret->tag may be empty; the stream is in step. -2: the connection is to end: e is ERR_CLOSED, ERR_TIMEOUT,
 * ERR_CANCELED, or ERR_LIMIT when the client must be told goodbye.
 */
PARKS int imap_command_read(struct imap_reader *r, struct imap_command *ret, err *e);
/* Goes on behind a pending literal that the caller has consumed: appends what follows to the command. As
 * above. */
PARKS int imap_command_continue(struct imap_reader *r, struct imap_command *c, err *e);
/* Reads over a pending literal that the caller refuses and the rest of the command. 0 or -2. */
PARKS int imap_command_refuse(struct imap_reader *r, struct imap_command *c, err *e);

/* The announcement at the end of a line: "{n}", "{n+}", "~{n}"; *line loses it. Inside a quoted string there
 * is none. */
bool imap_literal_announced(slice *line, struct imap_announced *ret);
/* Cuts tag and verb off a first line. The tag is empty when it is not one. */
void imap_command_split(slice line, slice *ret_tag, slice *ret_verb, size_t *ret_args_at);
/* A stream's negative errno as an error. */
int imap_stream_error(int rc, err *e);

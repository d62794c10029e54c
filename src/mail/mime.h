/*
 * The MIME structure of a message (RFC 2045, 2046), found while its bytes go by in any chunking. Never
 * recursive, one pass, memory bounded by the limits named here whatever comes.
 *
 * An entity is a header and a body. Part 0 is the message itself; a multipart's children are its parts; a
 * message/rfc822 part has one child, the message inside (its header, its body). A multipart without a
 * boundary or without a single part is shown as text/plain; a multipart or message that stands deeper than
 * LIMIT_MAIL_DEPTH, and a message that is itself base64 or quoted-printable, as application/octet-stream.
 * Past LIMIT_MAIL_PARTS boundaries count as text.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "mail/decode.h"
#include "mail/param.h"

enum mail_part_kind {
	MAIL_PART_LEAF,
	MAIL_PART_TEXT, /* text/...: a leaf */
	MAIL_PART_MULTIPART,
	MAIL_PART_MESSAGE, /* message/rfc822, message/global */
};

/* Fields of a message's header, unfolded, else raw. p == NULL: absent; n == 0: there, but empty. Repeated
 * address fields are joined by commas, of the others the first counts. */
struct mail_envelope {
	slice date, subject, from, sender, reply_to, to, cc, bcc, in_reply_to, message_id, references;
};

#define MAIL_NONE UINT32_MAX /* no such part */

struct mail_mime_part {
	enum mail_part_kind kind;
	enum mail_encoding encoding;
	uint32_t parent, child, next;    /* indices: first child, next sibling; MAIL_NONE */
	uint32_t depth;                  /* 0 for part 0 */
	uint64_t header_off, header_len; /* with the empty line */
	uint64_t body_off, body_len;     /* without the line end before a boundary */
	uint64_t lines;                  /* line ends in the body */
	struct mail_value type;          /* always filled: defaults stand where the message says nothing */
	struct mail_value disposition;   /* type.p == NULL: none */
	slice id, description, encoding_text, md5, language, location; /* p == NULL: absent */
	const struct mail_envelope *envelope; /* of part 0 and of a message part's child, else NULL */
};

enum mail_mime_note {
	MAIL_NOTE_8BIT_BODY = 1,   /* a byte over 127 in a body */
	MAIL_NOTE_8BIT_HEADER = 2, /* in a header */
	MAIL_NOTE_NUL = 4,         /* a NUL somewhere */
	MAIL_NOTE_CUT_TEXT = 8,    /* header text was left out or cut: LIMIT_MAIL_TEXT */
	MAIL_NOTE_CUT_PARTS = 16,  /* LIMIT_MAIL_PARTS or LIMIT_MAIL_DEPTH was met */
	MAIL_NOTE_MIME = 32,       /* part 0 has a MIME-Version field */
};

/* Called with body bytes of leaves as they come. The line end before a boundary may be among them. */
struct mail_mime_sink {
	void (*body)(void *arg, uint32_t part, slice bytes);
	void (*part)(void *arg, uint32_t part); /* a leaf's header is complete, its body begins */
	void *arg;
};

struct mail_mime;

struct mail_mime *mail_mime_new(const struct mail_mime_sink *sink); /* sink may be NULL; NULL: no memory */
void mail_mime_free(struct mail_mime *m);
void mail_mime_reset(struct mail_mime *m); /* for the next message; memory is kept */
void mail_mime_feed(struct mail_mime *m, slice bytes);
/* The end of the message. -1: ERR_TEMP (no memory on the way). */
int mail_mime_finish(struct mail_mime *m, err *e);
/* After finish. Valid until reset or free. */
const struct mail_mime_part *mail_mime_parts(const struct mail_mime *m, uint32_t *ret_n);
uint64_t mail_mime_size(const struct mail_mime *m);
unsigned mail_mime_notes(const struct mail_mime *m); /* enum mail_mime_note */

/* APPEND and its relatives: what the files that read messages off the wire share. */
#pragma once
#include "imap/session_int.h"
#include "mail/date.h"

/*
 * A message as it comes in, in pieces: its summary is made on the way; the bytes are gathered in memory, past
 * some size in a spool file of the store.
 */
struct imap_sink {
	struct imap_session *s;
	struct mail_summary_builder *builder;
	struct buf bytes;
	size_t inline_max; /* bytes that may stay in memory */
	uint64_t size;
	int fd;
	bool failed; /* of ours; pieces are then only counted */
	err why;
};

struct imap_message {
	struct imap_flags flags;
	bool has_date;
	struct mail_date date;
	struct content content;
	struct buf bytes, summary;
};

struct imap_append {
	struct imap_session *s;
	struct imap_args *a;
	struct imap_place place;
	uint32_t mailbox, replaces;
	struct imap_message *messages;
	size_t n, held; /* held: bytes of them in memory */
};

void imap_sink_begin(struct imap_session *s, size_t inline_max, struct imap_sink *ret);
PARKS void imap_sink_feed(struct imap_sink *k, slice piece);
/* The message is whole: content, bytes and summary go to m. 0, -1. */
PARKS int imap_sink_finish(struct imap_sink *k, struct imap_message *m, err *e);
void imap_sink_free(struct imap_sink *k);

/*
 * These return 0; 1: the answer is set and what follows of the command is to be read over; a negative errno:
 * the connection ended.
 */
/* Answers with what the arguments lack. 1. */
int imap_append_bad(struct imap_append *ap);
/* Whether the message that comes next, or a piece of it, is the literal just announced. */
bool imap_append_at_literal(const struct imap_append *ap);
/* Reads the literal just announced into the sink, and the line behind it. */
PARKS int imap_append_literal(struct imap_append *ap, struct imap_sink *k);
/* "(~{n}...)" behind UTF8 (RFC 6855 4): the same in parentheses. */
PARKS int imap_append_utf8(struct imap_append *ap, struct imap_sink *k);
/* CATENATE's list of parts (RFC 4469), from its parenthesis on. */
PARKS int imap_take_catenate(struct imap_append *ap, struct imap_sink *k);
/* Reads a short literal just announced, and the line behind it. */
PARKS int imap_append_argument(struct imap_append *ap, slice *ret);

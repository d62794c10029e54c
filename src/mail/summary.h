/*
 * The summary of a message: one record made while the message comes in and stored beside it, so that IMAP,
 * JMAP and search need not read the message again: envelope, part table, sizes, preview, and the ENVELOPE,
 * BODYSTRUCTURE and BODY replies ready to send.
 *
 * Format 1 (big-endian): u8 version, u8 zero, u16 parts, u32 flags, u32 size of the message, u32 length of
 * each section; then the sections in order: ENVELOPE, BODYSTRUCTURE, BODY, preview, part table, envelope
 * table, text. The rows of both tables have a fixed size (summary_int.h); strings and the envelopes' fields
 * lie in the text section.
 */
#pragma once
#include "mail/imaptext.h"
#include "mail/mime.h"

enum mail_summary_flag { /* the first byte's are enum mail_mime_note */
	MAIL_SUMMARY_ATTACHMENT = 256,
	MAIL_SUMMARY_CUT = 512, /* a reply text was shortened to keep the record under LIMIT_MAIL_SUMMARY */
};

/* ---- making one ---- */

struct mail_summary_builder;

struct mail_summary_builder *mail_summary_new(
	void); /* NULL: no memory. Holds at most about 2 MiB, mostly far less */
void mail_summary_free(struct mail_summary_builder *b);
void mail_summary_reset(struct mail_summary_builder *b); /* for the next message */
/* The message's bytes in order, exactly those that will be stored, in any chunking. Never fails, never parks.
 */
void mail_summary_feed(struct mail_summary_builder *b, slice bytes);
/* Appends the record to out (out->max should leave LIMIT_MAIL_SUMMARY). -1: ERR_TEMP, ERR_LIMIT (over 4 GiB).
 */
int mail_summary_finish(struct mail_summary_builder *b, struct buf *out, err *e);
/* All at once. */
int mail_summary_make(slice message, struct buf *out, err *e);

/* ---- reading one ---- */

struct mail_summary { /* a view; slices lie in the record */
	uint32_t flags, size, parts;
	slice envelope, bodystructure, body; /* IMAP text, parentheses included */
	slice preview;                       /* UTF-8, at most LIMIT_MAIL_PREVIEW characters, one line */
	slice part_table, envelope_table, text;
};

struct mail_part {
	enum mail_part_kind kind;
	enum mail_encoding encoding;
	bool attachment; /* Content-Disposition attachment, or a file name on something that is not text */
	uint32_t parent, child, next; /* MAIL_NONE: none */
	uint32_t header_off, header_len, body_off, body_len, lines;
	slice type, subtype; /* lower case */
	slice charset;       /* as written; empty: none */
	slice name;          /* file name, UTF-8; empty: none */
	slice id;            /* Content-ID as written; empty: none */
};

/* Opens a record in constant time: version and section bounds are checked. -1: ERR_CORRUPT. */
int mail_summary_open(slice record, struct mail_summary *ret, err *e);

/*
 * The front of a record: its first bytes up to and with the ENVELOPE reply. front: how many they are, 0 for
 * what is no record; front_open: opens a record of which only these are there, envelope, flags and size.
 */
size_t mail_summary_front(slice record);
int mail_summary_front_open(slice front, struct mail_summary *ret, err *e);

/* Full check of a record from a less trusted role: every offset against the message's length, the tree's
 * links, every text's form. What passes makes no function here read past its bounds and no reply break the
 * protocol. */
int mail_summary_verify(slice record, uint64_t message_len, err *e);

/* -1: no such part, or a damaged record. */
int mail_summary_part(const struct mail_summary *s, uint32_t index, struct mail_part *ret);
/* The envelope fields of part 0 or of a message part's child. -1: that part has none. */
int mail_summary_envelope(const struct mail_summary *s, uint32_t index, struct mail_envelope *ret);

/* The part an IMAP section number path (1.2.3; n = 0: part 0) means. -1: ERR_MISSING, no such part. */
int mail_summary_find(
	const struct mail_summary *s, const uint32_t *path, size_t n, uint32_t *ret_index, err *e);

enum mail_section { MAIL_SECTION_ALL, MAIL_SECTION_HEADER, MAIL_SECTION_TEXT, MAIL_SECTION_MIME };

/* Where a section lies in the message: BODY[path], [path.HEADER], [path.TEXT], [path.MIME]. HEADER with the
 * empty line. -1: ERR_MISSING: no such part, HEADER or TEXT of what is no message, MIME without a path. */
int mail_summary_section(const struct mail_summary *s, const uint32_t *path, size_t n,
	enum mail_section section, uint32_t *ret_off, uint32_t *ret_len, err *e);

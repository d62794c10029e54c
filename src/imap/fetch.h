/* What a FETCH asks for (RFC 9051 6.4.5), parsed. */
#pragma once
#include "imap/args.h"
#include "imap/condstore.h"
#include "imap/partial.h"
#include "imap/session_int.h"

enum fetch_item {
	FETCH_UID = 1,
	FETCH_FLAGS = 2,
	FETCH_INTERNALDATE = 4,
	FETCH_SIZE = 8,
	FETCH_ENVELOPE = 16,
	FETCH_BODY = 32,
	FETCH_BODYSTRUCTURE = 64,
	FETCH_MODSEQ = 128,   /* RFC 7162 */
	FETCH_PREVIEW = 256,  /* RFC 8970 */
	FETCH_SAVEDATE = 512, /* RFC 8514 */
	FETCH_EMAILID = 1024, /* RFC 8474 */
	FETCH_THREADID = 2048,
};

enum fetch_kind {
	FETCH_RAW,        /* as it stands: BODY[...], RFC822... */
	FETCH_FIELDS,     /* HEADER.FIELDS */
	FETCH_FIELDS_NOT, /* HEADER.FIELDS.NOT */
	FETCH_BINARY,     /* BINARY[...]: transfer encoding undone (RFC 3516) */
	FETCH_BINARY_SIZE,
};

struct fetch_section {
	enum fetch_kind kind;
	enum mail_section section;
	uint32_t *path; /* part numbers */
	size_t path_n;
	slice *fields;
	size_t fields_n;
	bool partial;
	uint64_t from;
	uint32_t count;
	slice label; /* as the response says it: `BODY[1.MIME]<0>` */
	struct fetch_section *next;
};

struct fetch {
	unsigned items; /* enum fetch_item */
	bool sets_seen;
	struct fetch_section *sections;
	struct imap_changedsince since;
	struct imap_partial partial; /* RFC 9394 3.4; of UID FETCH */
	bool unknown_cte;            /* met on the way */
	struct store_window window;  /* over whole messages */
};

/* The items, and the modifiers behind them. */
bool imap_take_fetch(struct imap_args *a, struct fetch *ret);
/* The items alone: one, or a list in parentheses. */
bool imap_take_fetch_items(struct imap_args *a, struct fetch *ret);
/* Writes the responses for messages of the view; sets \Seen where the items do so. 0, -1. */
PARKS int imap_fetch_messages(struct imap_session *s, struct fetch *f, const struct uidset *uids, err *e);
/* PREVIEW's modifiers, if any, behind the word. */
bool imap_take_preview(struct imap_args *a);
/* Those of `items` that belong to extensions, each with a blank before it. */
void imap_fetch_more(struct imap_session *s, const struct imap_item *item, unsigned items);
/* What must be loaded of each message. */
unsigned imap_fetch_needs(const struct fetch *f);

/*
 * Writes "label value" of one section into s->out, what is long straight to the stream. 0, or -1 with a part
 * of it written.
 */
PARKS int imap_fetch_section(struct imap_session *s, struct fetch *f, const struct fetch_section *sec,
	struct imap_item *item, err *e);

#include "base/encode.h"
#include "imap/search.h"
#include "limits.h"
#include "mail/decode.h"
#include "mail/header.h"

#define CHUNK    65536  /* bytes read at a time */
#define WINDOW   262144 /* decoded bytes looked through at a time */
#define OVERLAP  4096 /* bytes of a window that are looked at again with the next: a match over its border */
#define TEXT_MAX 4194304

/* ---- pieces of text ---- */

static bool contains(slice utf8, slice needle)
{
	struct buf folded = BUF_INIT(TEXT_MAX);

	if (needle.n == 0)
		return true;
	mail_fold(&folded, utf8);
	bool found = slice_find(buf_slice(&folded), needle) >= 0;
	buf_free(&folded);
	return found;
}

static bool field_contains(slice unfolded, slice needle)
{
	struct buf utf8 = BUF_INIT(TEXT_MAX);

	if (needle.n == 0)
		return true;
	mail_words_decode(&utf8, unfolded);
	bool found = contains(buf_slice(&utf8), needle);
	buf_free(&utf8);
	return found;
}

/* A region of the message into memory, its head when it is long. p == NULL: e. The caller frees. */
static char *read_head(struct imap_item *item, uint64_t off, uint64_t len, size_t *ret_n, err *e)
{
	if (off > item->blob.length || len > item->blob.length - off) {
		(void)err_set(e, ERR_CORRUPT, "a summary points past its message");
		return NULL;
	}
	size_t n = len < LIMIT_IMAP_HEADER ? (size_t)len : LIMIT_IMAP_HEADER;
	char *p = malloc(n + 1);

	if (!p) {
		(void)err_set(e, ERR_TEMP, "no memory");
	} else if (n > 0 && store_blob_read(&item->blob, off, p, n, e) < 0) {
		free(p);
		return NULL;
	}
	*ret_n = n;
	return p;
}

/* A quick look at the whole header at once: false is certain, true has to be looked at field by field. */
static bool may_contain(slice header, slice needle)
{
	struct buf joined = BUF_INIT(LIMIT_IMAP_HEADER + 16);
	bool may = !ascii_only(header) || slice_find(header, S("=?")) >= 0;

	if (!may) {
		mail_header_unfold(&joined, header);
		may = joined.failed || contains(buf_slice(&joined), needle);
	}
	buf_free(&joined);
	return may;
}

/* name empty: any field, its name too. */
static int header_contains(
	struct imap_item *item, const struct mail_part *part, slice name, slice needle, err *e)
{
	size_t n;
	AUTO_FREE char *header = read_head(item, part->header_off, part->header_len, &n, e);
	struct mail_field field;
	bool found = false;

	if (!header)
		return -1;
	if (name.n == 0 && !may_contain(slice_make(header, n), needle))
		return 0;
	struct mail_header_scan scan = mail_header_begin(slice_make(header, n));
	while (!found && mail_header_next(&scan, &field)) {
		struct buf line = BUF_INIT(LIMIT_IMAP_HEADER + 16);

		if (name.n > 0 && !slice_ieq(name, field.name))
			continue;
		mail_header_unfold(&line, name.n > 0 ? field.value : field.whole);
		found = field_contains(buf_slice(&line), needle);
		buf_free(&line);
	}
	return found;
}

/* ---- bodies ---- */

struct window {
	struct buf plain; /* decoded, not looked through yet, with the overlap in front */
	slice charset, needle;
};

static bool look(struct window *w, bool last)
{
	struct buf utf8 = BUF_INIT(TEXT_MAX);
	size_t n = w->plain.n;

	if (!last) { /* cut between lines, so that no character is */
		ptrdiff_t at = slice_rfind_c(buf_slice(&w->plain), '\n');
		n = at > OVERLAP ? (size_t)at + 1 : n;
	}
	(void)mail_charset_to_utf8(&utf8, w->charset, slice_sub(buf_slice(&w->plain), 0, n));
	bool found = contains(buf_slice(&utf8), w->needle);
	buf_free(&utf8);
	buf_consume(&w->plain, n > OVERLAP ? n - OVERLAP : 0);
	return found;
}

static int part_contains(struct imap_item *item, const struct mail_part *part, slice needle, err *e)
{
	AUTO_FREE char *chunk = malloc(CHUNK);
	struct window w = {
		.plain = BUF_INIT(2 * WINDOW + 2 * CHUNK), .charset = part->charset, .needle = needle};
	struct mail_decoder d = {.encoding = part->encoding};
	uint64_t at = part->body_off, left = part->body_len;
	int rc = 0;

	if (!chunk)
		return err_set(e, ERR_TEMP, "no memory");
	if (at > item->blob.length || left > item->blob.length - at)
		return err_set(e, ERR_CORRUPT, "a summary points past its message");
	while (rc == 0 && left > 0) {
		size_t n = left < CHUNK ? (size_t)left : CHUNK;

		rc = store_blob_read(&item->blob, at, chunk, n, e);
		if (rc < 0)
			break;
		mail_decoder_feed(&d, &w.plain, slice_make(chunk, n));
		at += n;
		left -= n;
		if (left == 0)
			mail_decoder_finish(&d, &w.plain);
		if (left == 0 || w.plain.n >= WINDOW)
			rc = look(&w, left == 0);
	}
	buf_free(&w.plain);
	return rc;
}

/*
 * TEXT also looks at the header of the message itself; headers of messages inside belong to the body. File
 * names may be in pieces there (RFC 2231): the summary has them whole.
 */
static int body_contains(struct imap_item *item, slice needle, bool with_header, err *e)
{
	struct mail_part part;
	int rc = 0;

	if (needle.n == 0)
		return 1;
	for (uint32_t i = 0; rc == 0 && i < item->summary.parts; i++) {
		if (mail_summary_part(&item->summary, i, &part) < 0)
			return err_set(e, ERR_CORRUPT, "a summary is damaged");
		if (i > 0 || with_header)
			rc = contains(part.name, needle) ? 1 : header_contains(item, &part, S(""), needle, e);
		if (rc == 0 && part.kind == MAIL_PART_TEXT)
			rc = part_contains(item, &part, needle, e);
	}
	return rc;
}

/* ---- one key ---- */

static const struct {
	slice name;
	size_t at; /* in struct mail_envelope */
} envelope_fields[] = {
	{SLICE_INIT("subject"), offsetof(struct mail_envelope, subject)},
	{SLICE_INIT("from"), offsetof(struct mail_envelope, from)},
	{SLICE_INIT("to"), offsetof(struct mail_envelope, to)},
	{SLICE_INIT("cc"), offsetof(struct mail_envelope, cc)},
	{SLICE_INIT("bcc"), offsetof(struct mail_envelope, bcc)},
	{SLICE_INIT("message-id"), offsetof(struct mail_envelope, message_id)},
	{SLICE_INIT("in-reply-to"), offsetof(struct mail_envelope, in_reply_to)},
	{SLICE_INIT("references"), offsetof(struct mail_envelope, references)},
	{SLICE_INIT("sender"), offsetof(struct mail_envelope, sender)},
	{SLICE_INIT("reply-to"), offsetof(struct mail_envelope, reply_to)},
};

/* The field as the summary has it. False: it does not keep that one whole. */
static bool from_envelope(const struct search_message *m, slice name, slice *ret)
{
	struct mail_envelope v;

	if (m->item->summary.flags & MAIL_NOTE_CUT_TEXT)
		return false;
	for (size_t i = 0; i < COUNT_OF(envelope_fields); i++) {
		if (!slice_ieq(name, envelope_fields[i].name))
			continue;
		if (mail_summary_envelope(&m->item->summary, 0, &v) < 0)
			return false;
		memcpy(ret, (const char *)&v + envelope_fields[i].at, sizeof *ret);
		return true;
	}
	return false;
}

static int match_header(const struct search_node *n, struct search_message *m, err *e)
{
	struct mail_part part;
	slice field;

	if (!(m->loaded & IMAP_NEED_SUMMARY))
		return SEARCH_UNKNOWN;
	if (from_envelope(m, n->name, &field))
		return field.p && field_contains(field, n->text) ? SEARCH_YES : SEARCH_NO;
	if (!(m->loaded & IMAP_NEED_BLOB))
		return SEARCH_UNKNOWN;
	if (mail_summary_part(&m->item->summary, 0, &part) < 0)
		return err_set(e, ERR_CORRUPT, "a summary is damaged");
	if (n->name.n == 0)
		return SEARCH_NO;
	return header_contains(m->item, &part, n->name, n->text, e);
}

static int64_t floor_day(int64_t s)
{
	return s >= 0 ? s / 86400 : -((86399 - s) / 86400);
}

static int compare_day(enum search_op op, int64_t day, int64_t asked)
{
	if (op == SEARCH_BEFORE || op == SEARCH_SENTBEFORE || op == SEARCH_SAVEDBEFORE)
		return day < asked;
	return op == SEARCH_ON || op == SEARCH_SENTON || op == SEARCH_SAVEDON ? day == asked : day >= asked;
}

static int match_sent(const struct search_node *n, struct search_message *m)
{
	const struct mail_digest *d = &m->item->digest;

	if (!(m->loaded & IMAP_NEED_DIGEST))
		return SEARCH_UNKNOWN;
	return d->has_date && compare_day(n->op, floor_day(d->date_s + d->zone_min * 60), n->day);
}

static int match_internal(const struct search_node *n, struct search_message *m)
{
	if (!(m->loaded & IMAP_NEED_MESSAGE))
		return SEARCH_UNKNOWN;
	int64_t s = m->item->message.internal_us / 1000000 + m->item->message.internal_zone_min * 60;
	return compare_day(n->op, floor_day(s), n->day);
}

static int match_older(const struct search_node *n, struct search_message *m)
{
	if (!(m->loaded & IMAP_NEED_MESSAGE))
		return SEARCH_UNKNOWN;
	return m->item->message.internal_us < n->day * 1000000;
}

static int match_saved(const struct search_node *n, struct search_message *m)
{
	if (!(m->loaded & IMAP_NEED_SAVED))
		return SEARCH_UNKNOWN;
	return m->item->saved_us != 0 && compare_day(n->op, floor_day(m->item->saved_us / 1000000), n->day);
}

static int match_keyword(const struct search_node *n, const struct search_message *m)
{
	const struct mailbox_row names = {.keywords = m->keywords};
	int bit = mailbox_keyword_bit(&names, n->name);

	return bit >= 0 && (m->item->entry.keywords >> bit & 1);
}

static int match_body(const struct search_node *n, struct search_message *m, err *e)
{
	if (!(m->loaded & IMAP_NEED_BLOB) || !(m->loaded & IMAP_NEED_SUMMARY))
		return SEARCH_UNKNOWN;
	return body_contains(m->item, n->text, n->op == SEARCH_TEXT, e);
}

static int match_leaf(const struct search_node *n, struct search_message *m, err *e)
{
	const struct mailbox_entry *entry = &m->item->entry;

	switch (n->op) {
	case SEARCH_ALL:
		return SEARCH_YES;
	case SEARCH_FLAGS:
		return (entry->flags & n->flags) != 0;
	case SEARCH_KEYWORD:
		return match_keyword(n, m);
	case SEARCH_UIDS:
		return uidset_has(&n->uids, entry->uid);
	case SEARCH_LARGER:
		return entry->size > n->number;
	case SEARCH_SMALLER:
		return entry->size < n->number;
	case SEARCH_MODSEQ:
		return entry->modseq >= n->number;
	case SEARCH_EMAILID:
		return entry->message == n->number;
	case SEARCH_OLDER:
		return match_older(n, m);
	case SEARCH_SAVEDBEFORE:
	case SEARCH_SAVEDON:
	case SEARCH_SAVEDSINCE:
		return match_saved(n, m);
	case SEARCH_BEFORE:
	case SEARCH_ON:
	case SEARCH_SINCE:
		return match_internal(n, m);
	case SEARCH_SENTBEFORE:
	case SEARCH_SENTON:
	case SEARCH_SENTSINCE:
		return match_sent(n, m);
	case SEARCH_HEADER:
		return match_header(n, m, e);
	case SEARCH_BODY:
	case SEARCH_TEXT:
		return match_body(n, m, e);
	case SEARCH_NONE:
	case SEARCH_AND:
	case SEARCH_OR:
		break;
	}
	return SEARCH_NO;
}

/* The depth is bounded by the parser. What one child decides needs no look at the others. */
static int match(const struct search_node *n, struct search_message *m, err *e)
{
	int decides = n->op == SEARCH_OR ? SEARCH_YES : SEARCH_NO, verdict;

	if (n->op == SEARCH_AND || n->op == SEARCH_OR) {
		verdict = n->op == SEARCH_OR ? SEARCH_NO : SEARCH_YES;
		for (const struct search_node *c = n->child; c && verdict != decides; c = c->next) {
			int v = match(c, m, e);

			if (v < 0)
				return -1;
			if (v == decides || v == SEARCH_UNKNOWN)
				verdict = v;
		}
	} else {
		verdict = match_leaf(n, m, e);
	}
	if (n->negate && (verdict == SEARCH_YES || verdict == SEARCH_NO))
		verdict = !verdict;
	return verdict;
}

int imap_search_match(const struct search *q, struct search_message *m, err *e)
{
	return match(q->root, m, e);
}

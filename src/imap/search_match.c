#include "imap/search_text.h"

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
	slice field;

	if (n->marks && (m->loaded & IMAP_NEED_DIGEST) &&
		!mail_digest_may_have(&m->item->digest, n->marked, n->marks))
		return SEARCH_NO;
	if (!(m->loaded & IMAP_NEED_SUMMARY))
		return SEARCH_UNKNOWN;
	if (from_envelope(m, n->name, &field))
		return field.p && search_text_in_field(m->text, field, n->text) ? SEARCH_YES : SEARCH_NO;
	if (!(m->loaded & IMAP_NEED_BLOB))
		return SEARCH_UNKNOWN;
	if (n->name.n == 0)
		return SEARCH_NO;
	return search_text_header(m->text, m->item, n->name, n->text, e);
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
	return search_text_key(m->text, m->item, n, e);
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

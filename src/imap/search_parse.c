#include "base/clock.h"
#include "imap/condstore.h"
#include "imap/find.h"
#include "imap/objectid.h"
#include "imap/search.h"
#include "limits.h"
#include "mail/date.h"
#include "mail/decode.h"

#define TEXTS_MAX 64 /* keys that read messages */

enum argument {
	NOTHING,
	KEYWORD,
	NUMBER,
	DATE,
	STRING,
	FIELD_AND_STRING,
	UID_SET,
	UID_AFTER,
	UID_BEFORE,
	MODSEQ,
	SECONDS,
	OBJECTID,
	ONE_KEY,
	TWO_KEYS
};

static const struct key {
	slice name;
	enum search_op op;
	enum argument argument;
	bool negate;
	uint8_t flags;
	slice field;
} keys[] = {
	{SLICE_INIT("ALL"), SEARCH_ALL, NOTHING},
	{SLICE_INIT("ANSWERED"), SEARCH_FLAGS, NOTHING, false, FLAG_ANSWERED},
	{SLICE_INIT("DELETED"), SEARCH_FLAGS, NOTHING, false, FLAG_DELETED},
	{SLICE_INIT("DRAFT"), SEARCH_FLAGS, NOTHING, false, FLAG_DRAFT},
	{SLICE_INIT("FLAGGED"), SEARCH_FLAGS, NOTHING, false, FLAG_FLAGGED},
	{SLICE_INIT("SEEN"), SEARCH_FLAGS, NOTHING, false, FLAG_SEEN},
	{SLICE_INIT("UNANSWERED"), SEARCH_FLAGS, NOTHING, true, FLAG_ANSWERED},
	{SLICE_INIT("UNDELETED"), SEARCH_FLAGS, NOTHING, true, FLAG_DELETED},
	{SLICE_INIT("UNDRAFT"), SEARCH_FLAGS, NOTHING, true, FLAG_DRAFT},
	{SLICE_INIT("UNFLAGGED"), SEARCH_FLAGS, NOTHING, true, FLAG_FLAGGED},
	{SLICE_INIT("UNSEEN"), SEARCH_FLAGS, NOTHING, true, FLAG_SEEN},
	{SLICE_INIT("NEW"), SEARCH_NONE, NOTHING},
	{SLICE_INIT("RECENT"), SEARCH_NONE, NOTHING},
	{SLICE_INIT("OLD"), SEARCH_ALL, NOTHING},
	{SLICE_INIT("KEYWORD"), SEARCH_KEYWORD, KEYWORD},
	{SLICE_INIT("UNKEYWORD"), SEARCH_KEYWORD, KEYWORD, true},
	{SLICE_INIT("LARGER"), SEARCH_LARGER, NUMBER},
	{SLICE_INIT("SMALLER"), SEARCH_SMALLER, NUMBER},
	{SLICE_INIT("BEFORE"), SEARCH_BEFORE, DATE},
	{SLICE_INIT("ON"), SEARCH_ON, DATE},
	{SLICE_INIT("SINCE"), SEARCH_SINCE, DATE},
	{SLICE_INIT("OLDER"), SEARCH_OLDER, SECONDS},
	{SLICE_INIT("YOUNGER"), SEARCH_OLDER, SECONDS, true},
	{SLICE_INIT("SAVEDBEFORE"), SEARCH_SAVEDBEFORE, DATE},
	{SLICE_INIT("SAVEDON"), SEARCH_SAVEDON, DATE},
	{SLICE_INIT("SAVEDSINCE"), SEARCH_SAVEDSINCE, DATE},
	{SLICE_INIT("SAVEDATESUPPORTED"), SEARCH_ALL, NOTHING},
	{SLICE_INIT("EMAILID"), SEARCH_EMAILID, OBJECTID},
	{SLICE_INIT("THREADID"), SEARCH_NONE, OBJECTID}, /* no message has one */
	{SLICE_INIT("SENTBEFORE"), SEARCH_SENTBEFORE, DATE},
	{SLICE_INIT("SENTON"), SEARCH_SENTON, DATE},
	{SLICE_INIT("SENTSINCE"), SEARCH_SENTSINCE, DATE},
	{SLICE_INIT("BCC"), SEARCH_HEADER, STRING, false, 0, SLICE_INIT("bcc")},
	{SLICE_INIT("CC"), SEARCH_HEADER, STRING, false, 0, SLICE_INIT("cc")},
	{SLICE_INIT("FROM"), SEARCH_HEADER, STRING, false, 0, SLICE_INIT("from")},
	{SLICE_INIT("SUBJECT"), SEARCH_HEADER, STRING, false, 0, SLICE_INIT("subject")},
	{SLICE_INIT("TO"), SEARCH_HEADER, STRING, false, 0, SLICE_INIT("to")},
	{SLICE_INIT("HEADER"), SEARCH_HEADER, FIELD_AND_STRING},
	{SLICE_INIT("BODY"), SEARCH_BODY, STRING},
	{SLICE_INIT("TEXT"), SEARCH_TEXT, STRING},
	{SLICE_INIT("UID"), SEARCH_UIDS, UID_SET},
	{SLICE_INIT("UIDAFTER"), SEARCH_UIDS, UID_AFTER}, /* RFC 9738 3.2 */
	{SLICE_INIT("UIDBEFORE"), SEARCH_UIDS, UID_BEFORE},
	{SLICE_INIT("MODSEQ"), SEARCH_MODSEQ, MODSEQ},
	{SLICE_INIT("NOT"), SEARCH_AND, ONE_KEY, true},
	{SLICE_INIT("OR"), SEARCH_OR, TWO_KEYS},
};

struct parser {
	struct imap_args *a;
	struct search *q;
	slice charset;
};

static struct search_node *new_node(struct parser *p, enum search_op op)
{
	struct search_node *n = arena_new_1(p->a->arena, struct search_node);

	if (n)
		n->op = op;
	else
		(void)imap_args_fail(p->a, "the command is too large");
	return n;
}

/* To folded UTF-8 in the arena. */
static bool take_text(struct parser *p, slice *ret)
{
	struct buf utf8 = BUF_INIT(4 * LIMIT_IMAP_LITERAL), folded = BUF_INIT(8 * LIMIT_IMAP_LITERAL);
	slice raw;

	if (!imap_take_astring(p->a, &raw))
		return false;
	if (p->charset.n > 0)
		(void)mail_charset_to_utf8(&utf8, p->charset, raw);
	else
		mail_utf8_clean(&utf8, raw);
	mail_fold(&folded, buf_slice(&utf8));
	*ret = arena_copy(p->a->arena, buf_slice(&folded));
	bool good = ret->p && !utf8.failed && !folded.failed;
	buf_free(&utf8);
	buf_free(&folded);
	if (++p->q->texts > TEXTS_MAX)
		return imap_args_fail(p->a, "too many texts to search for");
	return good || imap_args_fail(p->a, "the command is too large");
}

static const slice marked[DIGEST_FIELDS] = {
	[DIGEST_IN_SUBJECT] = SLICE_INIT("subject"),
	[DIGEST_IN_FROM] = SLICE_INIT("from"),
	[DIGEST_IN_TO] = SLICE_INIT("to"),
	[DIGEST_IN_CC] = SLICE_INIT("cc"),
};

/* And what of it the digest can say. */
static bool take_field_text(struct parser *p, struct search_node *n)
{
	if (!take_text(p, &n->text))
		return false;
	for (unsigned i = 0; i < DIGEST_FIELDS; i++) {
		if (!slice_ieq(n->name, marked[i]))
			continue;
		n->marked = (enum mail_digest_field)i;
		n->marks = mail_digest_marks(n->text);
		p->q->needs |= n->marks ? IMAP_NEED_DIGEST : 0;
	}
	return true;
}

static bool take_date(struct imap_args *a, int64_t *ret_day)
{
	slice text;

	if (!imap_take_astring(a, &text))
		return false;
	return mail_date_imap_day_parse(text, ret_day) || imap_args_fail(a, "that is not a date");
}

static bool take_set(struct parser *p, struct search_node *n, bool uids)
{
	n->op = SEARCH_UIDS;
	n->set_is_uids = uids;
	n->next_set = p->q->sets;
	p->q->sets = n;
	if (!imap_take_seqset(p->a, &n->set))
		return false;
	p->q->numbers |= !uids && !n->set.saved;
	return true;
}

/* Above or below one UID; there may be none. */
static bool take_uid_side(struct parser *p, struct search_node *n, bool after)
{
	struct imap_range *r = arena_new_1(p->a->arena, struct imap_range);
	uint32_t uid;

	if (!r)
		return imap_args_fail(p->a, "the command is too large");
	if (!imap_take_u32(p->a, &uid))
		return false;
	if (uid == 0)
		return imap_args_fail(p->a, "no message has the UID 0");
	if (after)
		*r = (struct imap_range){uid == UINT32_MAX ? uid : uid + 1, UINT32_MAX};
	else
		*r = (struct imap_range){1, uid == 1 ? uid : uid - 1};
	n->set = (struct imap_seqset){.ranges = r, .n = uid != (after ? UINT32_MAX : 1)};
	n->set_is_uids = true;
	n->next_set = p->q->sets;
	p->q->sets = n;
	return true;
}

/* MODSEQ ["/flags/name" priv|shared|all] n: there is one a message, whatever is named (RFC 7162 3.1.5). */
static bool take_modseq(struct parser *p, struct search_node *n)
{
	struct imap_args *a = p->a;
	slice entry, type;

	p->q->modseq = true;
	if (imap_args_peek(a) == '"') {
		if (!imap_take_string(a, &entry) || !imap_take_sp(a) || !imap_take_atom(a, &type) ||
			!imap_take_sp(a))
			return false;
		if (!slice_istarts(entry, S("/flags/")) ||
			(!slice_ieq(type, S("all")) && !slice_ieq(type, S("priv")) &&
				!slice_ieq(type, S("shared"))))
			return imap_args_fail(a, "MODSEQ wants an entry like \"/flags/\\\\Seen\" all");
	}
	return imap_take_modseq(a, &n->number);
}

/* So many seconds ago, to the second, counts as older and as younger; the moment is the same for all messages
 * (RFC 5032 2). */
static bool take_seconds(struct parser *p, struct search_node *n)
{
	uint32_t seconds;

	if (!imap_take_u32(p->a, &seconds))
		return false;
	if (seconds == 0)
		return imap_args_fail(p->a, "that is not an interval in seconds");
	n->day = clock_wall_s() - seconds + !n->negate; /* younger is: not before that second */
	return true;
}

static bool take_objectid(struct parser *p, struct search_node *n)
{
	if (!imap_take_astring(p->a, &n->name))
		return false;
	if (!imap_objectid_valid(n->name))
		return imap_args_fail(p->a, "that is not an object id");
	n->next_set = p->q->sets;
	p->q->sets = n;
	return true;
}

static bool take_key(struct parser *p, unsigned depth, struct search_node **ret);

static bool take_children(struct parser *p, unsigned depth, size_t count, struct search_node *n)
{
	struct search_node **tail = &n->child;

	for (size_t i = 0; i < count; i++) {
		if (!imap_take_sp(p->a) || !take_key(p, depth + 1, tail))
			return false;
		tail = &(*tail)->next;
	}
	return true;
}

static bool take_argument(struct parser *p, const struct key *k, unsigned depth, struct search_node *n)
{
	struct imap_args *a = p->a;

	if (k->op >= SEARCH_BEFORE)
		p->q->needs |= k->op <= SEARCH_SINCE        ? IMAP_NEED_MESSAGE
			       : k->op <= SEARCH_SAVEDSINCE ? IMAP_NEED_SAVED
			       : k->op <= SEARCH_SENTSINCE  ? IMAP_NEED_DIGEST
							    : IMAP_NEED_SUMMARY;
	n->negate = k->negate;
	n->flags = k->flags;
	n->name = k->field;
	switch (k->argument) {
	case NOTHING:
		return true;
	case KEYWORD:
		return imap_take_sp(a) && imap_take_atom(a, &n->name);
	case NUMBER:
		return imap_take_sp(a) && imap_take_number(a, INT64_MAX, &n->number);
	case DATE:
		return imap_take_sp(a) && take_date(a, &n->day);
	case STRING:
		if (k->op == SEARCH_HEADER)
			return imap_take_sp(a) && take_field_text(p, n);
		n->next_body = p->q->bodies;
		p->q->bodies = n;
		return imap_take_sp(a) && take_text(p, &n->text);
	case FIELD_AND_STRING:
		return imap_take_sp(a) && imap_take_astring(a, &n->name) && imap_take_sp(a) &&
		       take_field_text(p, n);
	case UID_SET:
		return imap_take_sp(a) && take_set(p, n, true);
	case UID_AFTER:
	case UID_BEFORE:
		return imap_take_sp(a) && take_uid_side(p, n, k->argument == UID_AFTER);
	case MODSEQ:
		return imap_take_sp(a) && take_modseq(p, n);
	case SECONDS:
		return imap_take_sp(a) && take_seconds(p, n);
	case OBJECTID:
		return imap_take_sp(a) && take_objectid(p, n);
	case ONE_KEY:
		return take_children(p, depth, 1, n);
	case TWO_KEYS:
		return take_children(p, depth, 2, n);
	}
	return false;
}

static bool take_group(struct parser *p, unsigned depth, struct search_node *n)
{
	struct search_node **tail = &n->child;

	for (bool first = true; !imap_try_c(p->a, ')'); first = false) {
		if (!first && !imap_take_sp(p->a))
			return false;
		if (!take_key(p, depth + 1, tail))
			return false;
		tail = &(*tail)->next;
	}
	return n->child || imap_args_fail(p->a, "there is nothing in the parentheses");
}

static bool take_key(struct parser *p, unsigned depth, struct search_node **ret)
{
	struct imap_args *a = p->a;
	char c = imap_args_peek(a);
	slice word;

	if (depth > LIMIT_IMAP_DEPTH)
		return imap_args_fail(a, "the search is nested too deeply");
	struct search_node *n = new_node(p, SEARCH_AND);
	if (!n)
		return false;
	*ret = n;
	if (imap_try_c(a, '('))
		return take_group(p, depth, n);
	if (c == '*' || c == '$' || ascii_is_digit(c))
		return take_set(p, n, false);
	if (!imap_take_word(a, &word))
		return imap_args_fail(a, "a search key is missing");
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		if (slice_ieq(word, keys[i].name)) {
			n->op = keys[i].op;
			return take_argument(p, &keys[i], depth, n);
		}
	}
	return imap_args_fail(a, "that search key is not known");
}

/* ---- RETURN and CHARSET ---- */

static const struct {
	slice name;
	unsigned bit;
} returns[] = {
	{SLICE_INIT("MIN"), SEARCH_RETURN_MIN},
	{SLICE_INIT("MAX"), SEARCH_RETURN_MAX},
	{SLICE_INIT("ALL"), SEARCH_RETURN_ALL},
	{SLICE_INIT("COUNT"), SEARCH_RETURN_COUNT},
	{SLICE_INIT("SAVE"), SEARCH_RETURN_SAVE},
	{SLICE_INIT("PARTIAL"), SEARCH_RETURN_PARTIAL},
};

static bool take_returns(struct imap_args *a, struct search *q)
{
	slice word;

	q->extended = true;
	if (!imap_take_sp(a) || !imap_take_c(a, '('))
		return false;
	for (bool first = true; !imap_try_c(a, ')'); first = false) {
		unsigned bit = 0;

		if ((!first && !imap_take_sp(a)) || !imap_take_word(a, &word))
			return false;
		for (size_t i = 0; i < COUNT_OF(returns); i++)
			bit |= slice_ieq(word, returns[i].name) ? returns[i].bit : 0;
		if (bit == 0)
			return imap_args_fail(a, "that RETURN option is not known");
		if (bit == SEARCH_RETURN_PARTIAL && !imap_take_partial(a, &q->partial))
			return false;
		q->returns |= bit;
	}
	if ((q->returns & SEARCH_RETURN_PARTIAL) && (q->returns & SEARCH_RETURN_ALL))
		return imap_args_fail(a, "PARTIAL and ALL exclude each other");
	if (q->returns == 0)
		q->returns = SEARCH_RETURN_ALL;
	return true;
}

/* Whether the next word is this one; it is taken then. */
static bool try_word(struct imap_args *a, slice word)
{
	if (!slice_istarts(a->text, word) || (a->text.n > word.n && a->text.p[word.n] != ' '))
		return false;
	a->text = slice_skip(a->text, word.n);
	return true;
}

static bool take_charset(struct parser *p)
{
	struct buf probe = BUF_INIT(64);

	if (!imap_take_sp(p->a) || !imap_take_astring(p->a, &p->charset) || !imap_take_sp(p->a))
		return false;
	p->q->bad_charset = p->charset.n == 0 || !mail_charset_to_utf8(&probe, p->charset, S("\xe4\xf6"));
	buf_free(&probe);
	return !p->q->bad_charset;
}

static bool take_keys(struct parser *p)
{
	struct imap_args *a = p->a;
	struct search *q = p->q;

	q->root = new_node(p, SEARCH_AND);
	if (!q->root)
		return false;
	struct search_node **tail = &q->root->child;
	do {
		if (q->root->child && !imap_take_sp(a))
			return false;
		if (!take_key(p, 1, tail))
			return false;
		tail = &(*tail)->next;
	} while (!imap_args_at_end(a));
	return imap_take_end(a);
}

bool imap_take_search_returns(struct imap_args *a, struct search *ret)
{
	slice before = a->text;

	if (!imap_take_sp(a))
		return false;
	if (try_word(a, S("RETURN")))
		return take_returns(a, ret);
	a->text = before;
	return true;
}

bool imap_take_search_program(struct imap_args *a, struct search *ret)
{
	struct parser p = {.a = a, .q = ret};

	return take_charset(&p) && take_keys(&p);
}

bool imap_take_search(struct imap_args *a, struct search *ret)
{
	struct parser p = {.a = a, .q = ret};

	if (!imap_take_search_returns(a, ret) || !imap_take_sp(a))
		return false;
	if (try_word(a, S("CHARSET"))) {
		if (a->utf8) /* RFC 6855 3 */
			return imap_args_fail(a, "with UTF8=ACCEPT all is UTF-8: no CHARSET");
		if (!take_charset(&p))
			return false;
	}
	return take_keys(&p);
}

/* Commands on mailboxes as such: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS; arguments they
 * share. */
#include "imap/condstore.h"
#include "imap/name.h"
#include "imap/notify.h"
#include "imap/objectid.h"
#include "imap/quota.h"
#include "imap/session_int.h"

static int no_such_name(struct imap_session *s, const struct imap_place *place)
{
	if (place->others) /* the same whether there is such an account or not */
		return imap_answer(s, IMAP_NO, "[NONEXISTENT] there is no such mailbox");
	return imap_answer(s, IMAP_NO, "[CANNOT] that is not a name for a mailbox");
}

static int done(struct imap_session *s, int rc, const err *e, const char *what)
{
	return rc < 0 ? imap_answer_err(s, e) : imap_answer(s, IMAP_OK, "%s", what);
}

/* What follows is this session's own doing, of which NOTIFY tells nothing. The mailbox's id, 0: none yet. */
static uint32_t own_begin(struct imap_session *s, const struct imap_place *place)
{
	uint32_t id = 0;
	err e = {0};

	if (!imap_notify_listens(s))
		return 0;
	if (imap_place_id(s, place, 0, &id, &e) < 0)
		id = 0;
	imap_notify_own_begin(s, place->account);
	return id;
}

/* CREATE's "(USE (\Drafts))" (RFC 6154 3). */
static bool take_use(struct imap_args *a, enum mailbox_use *ret, bool *ret_unknown)
{
	slice word, name;

	if (!imap_take_sp(a) || !imap_take_c(a, '(') || !imap_take_atom(a, &word))
		return false;
	if (!slice_ieq(word, S("USE")))
		return imap_args_fail(a, "that CREATE parameter is not known");
	if (!imap_take_sp(a) || !imap_take_c(a, '('))
		return false;
	while (!imap_try_c(a, ')')) {
		if (*ret != USE_NONE || *ret_unknown) {
			if (!imap_take_sp(a))
				return false;
			*ret_unknown = true; /* one mailbox, one use */
		}
		if (!imap_take_c(a, '\\') || !imap_take_atom(a, &name))
			return false;
		char *with = arena_new_n(a->arena, char, name.n + 1);
		if (!with)
			return imap_args_fail(a, "the command is too large");
		with[0] = '\\';
		memcpy(with + 1, name.p, name.n);
		*ret = imap_use_of(slice_make(with, name.n + 1));
		*ret_unknown |= *ret == USE_NONE;
	}
	return imap_take_c(a, ')');
}

int imap_cmd_create(struct imap_session *s, struct imap_args *a)
{
	enum mailbox_use use = USE_NONE;
	bool unknown_use = false;
	uint32_t id, uidvalidity;
	err e = {0};
	struct imap_place place;

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &place))
		return imap_bad_args(s, a);
	if (!imap_args_at_end(a) && !take_use(a, &use, &unknown_use))
		return imap_bad_args(s, a);
	if (!imap_take_end(a))
		return imap_bad_args(s, a);
	if (place.others && !place.account)
		return imap_answer(s, IMAP_NO, "[NOPERM] you may not make mailboxes there");
	if (!place.account)
		return no_such_name(s, &place);
	if (use != USE_NONE && place.account != s->account)
		return imap_answer(s, IMAP_NO, "[USEATTR] special uses are the owner's");
	if (unknown_use)
		return imap_answer(
			s, IMAP_NO, "[USEATTR] a mailbox has one special use, of those of RFC 6154");
	(void)own_begin(s, &place);
	if (mailbox_create(s->store, place.account, s->account, place.path, use, &id, &uidvalidity, &e) < 0)
		return imap_answer_err(s, &e);
	imap_notify_own_end(s, id);
	struct buf text = BUF_INIT(IMAP_OBJECTID_MAX);
	struct mailbox_row row = {.account = place.account, .id = id, .uidvalidity = uidvalidity};
	imap_mailboxid_write(&text, &row);
	imap_answer(s, IMAP_OK, "[MAILBOXID (%" SLICE_FMT ")] made", SLICE_ARG(buf_slice(&text)));
	buf_free(&text);
	return 0;
}

int imap_cmd_delete(struct imap_session *s, struct imap_args *a)
{
	err e = {0};
	struct imap_place place;

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &place) || !imap_take_end(a))
		return imap_bad_args(s, a);
	if (!place.account)
		return no_such_name(s, &place);
	uint32_t id = own_begin(s, &place);
	int rc = mailbox_delete(s->store, place.account, s->account, place.path, &e);
	imap_notify_own_end(s, id);
	return done(s, rc, &e, "deleted");
}

int imap_cmd_rename(struct imap_session *s, struct imap_args *a)
{
	struct imap_place from, to;
	err e = {0};

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &from) || !imap_take_sp(a) ||
		!imap_take_mailbox(s, a, &to) || !imap_take_end(a))
		return imap_bad_args(s, a);
	if ((from.others || to.others) && from.account != to.account)
		return imap_answer(s, IMAP_NO, "[CANNOT] a mailbox stays with its owner");
	if (!from.account || !to.account)
		return no_such_name(s, from.account ? &to : &from);
	uint32_t id = own_begin(s, &from);
	int rc = mailbox_rename(s->store, from.account, s->account, from.path, to.path, &e);
	imap_notify_own_end(s, id);
	return done(s, rc, &e, "renamed");
}

static int subscribe(struct imap_session *s, struct imap_args *a, bool on)
{
	err e = {0};
	struct imap_place place;

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &place) || !imap_take_end(a))
		return imap_bad_args(s, a);
	if (place.others && !place.account && !on)
		return imap_answer(s, IMAP_OK, "unsubscribed"); /* its owner is gone, and it with him */
	if (!place.account)
		return no_such_name(s, &place);
	uint32_t id = own_begin(s, &place);
	int rc = place.account == s->account
			 ? mailbox_subscribe(s->store, place.account, place.path, on, &e)
			 : mailbox_follow_set(s->store, s->account, place.account, place.path, on, &e);
	imap_notify_own_end(s, id);
	if (rc < 0 && !on && e.kind == ERR_MISSING)
		rc = 0; /* what is not there is not subscribed either */
	return done(s, rc, &e, on ? "subscribed" : "unsubscribed");
}

int imap_cmd_subscribe(struct imap_session *s, struct imap_args *a)
{
	return subscribe(s, a, true);
}

int imap_cmd_unsubscribe(struct imap_session *s, struct imap_args *a)
{
	return subscribe(s, a, false);
}

/* ---- STATUS ---- */

typedef uint64_t status_value(struct imap_session *s, const struct mailbox_row *row);

#define STATUS_VALUE(name, expression)                                                                       \
	static uint64_t name(struct imap_session *s, const struct mailbox_row *row)                          \
	{                                                                                                    \
		(void)s;                                                                                     \
		(void)row;                                                                                   \
		return (expression);                                                                         \
	}
STATUS_VALUE(no_recent, 0)
STATUS_VALUE(messages, row->messages)
STATUS_VALUE(uidnext, row->uidnext)
STATUS_VALUE(uidvalidity, row->uidvalidity)
STATUS_VALUE(unseen, row->unseen)
STATUS_VALUE(deleted, row->deleted)
STATUS_VALUE(size, row->bytes)
STATUS_VALUE(highest_modseq, row->highest_modseq)
STATUS_VALUE(append_limit, s->config->message_max)

/* What cannot be read ends the session, as no number is true then. */
static uint64_t deleted_storage(struct imap_session *s, const struct mailbox_row *row)
{
	uint64_t bytes = 0;

	if (imap_deleted_storage(s, row, &bytes, NULL) < 0)
		s->out.failed = true;
	return bytes;
}

static const struct {
	slice name;
	status_value *value;
} status_items[] = {
	/* enum imap_status_item */
	{SLICE_INIT("MESSAGES"), messages}, {SLICE_INIT("RECENT"), no_recent},
	{SLICE_INIT("UIDNEXT"), uidnext}, {SLICE_INIT("UIDVALIDITY"), uidvalidity},
	{SLICE_INIT("UNSEEN"), unseen}, {SLICE_INIT("DELETED"), deleted}, {SLICE_INIT("SIZE"), size},
	{SLICE_INIT("HIGHESTMODSEQ"), highest_modseq},    /* RFC 7162 */
	{SLICE_INIT("APPENDLIMIT"), append_limit},        /* RFC 7889 */
	{SLICE_INIT("DELETED-STORAGE"), deleted_storage}, /* RFC 9208 */
	{SLICE_INIT("MAILBOXID"), NULL},                  /* RFC 8474 4.3: no number */
};

static bool take_status_item(struct imap_args *a, unsigned *items)
{
	slice word;

	if (!imap_take_atom(a, &word))
		return false;
	for (size_t i = 0; i < COUNT_OF(status_items); i++) {
		if (slice_ieq(word, status_items[i].name)) {
			*items |= 1u << i;
			return true;
		}
	}
	return imap_args_fail(a, "that STATUS item is not known");
}

bool imap_take_status_items(struct imap_args *a, unsigned *ret)
{
	unsigned items = 0;

	if (!imap_take_c(a, '('))
		return false;
	do {
		if (items && !imap_take_sp(a))
			return false;
		if (!take_status_item(a, &items))
			return false;
	} while (!imap_try_c(a, ')'));
	*ret = items;
	return true;
}

void imap_write_status(struct imap_session *s, slice path, const struct mailbox_row *row, unsigned items)
{
	if (items & IMAP_STATUS_HIGHESTMODSEQ)
		imap_condstore_enable(s);
	imap_status_line(s, path, row, items);
}

void imap_status_line(struct imap_session *s, slice path, const struct mailbox_row *row, unsigned items)
{
	bool blank = false;

	buf_addz(&s->out, "* STATUS ");
	imap_name_write(&s->out, path, s->rev2 || s->utf8);
	buf_addz(&s->out, " (");
	for (size_t i = 0; i < COUNT_OF(status_items); i++) {
		if (!(items & 1u << i))
			continue;
		if (blank)
			buf_add_c(&s->out, ' ');
		buf_add(&s->out, status_items[i].name);
		buf_add_c(&s->out, ' ');
		if (status_items[i].value) {
			imap_write_u64(&s->out, status_items[i].value(s, row));
		} else {
			buf_add_c(&s->out, '(');
			imap_mailboxid_write(&s->out, row);
			buf_add_c(&s->out, ')');
		}
		blank = true;
	}
	buf_addz(&s->out, ")\r\n");
}

int imap_cmd_status(struct imap_session *s, struct imap_args *a)
{
	struct store_snap snap = {0};
	struct mailbox_row row;
	unsigned items;
	err e = {0};
	struct imap_place place;

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &place) || !imap_take_sp(a) ||
		!imap_take_status_items(a, &items) || !imap_take_end(a))
		return imap_bad_args(s, a);
	int rc = store_snap_begin(s->store, &snap, &e);
	if (rc == 0)
		rc = imap_place_find(s, &snap, &place, RIGHT_READ, &row, &e);
	store_snap_end(&snap);
	if (rc > 0 && !row.noselect)
		imap_write_status(s, place.name, &row, items);
	else if (rc > 0)
		rc = 0;
	if (rc < 0)
		return imap_answer_err(s, &e);
	return rc > 0 ? imap_answer(s, IMAP_OK, "as it is now")
		      : imap_answer(s, IMAP_NO, "[NONEXISTENT] there is no such mailbox");
}

/* Commands about the session itself: NOOP, CAPABILITY, ID, ENABLE, NAMESPACE, LOGOUT; and the selected
 * state. */
#include "imap/capability.h"
#include "imap/condstore.h"
#include "imap/name.h"
#include "imap/objectid.h"
#include "imap/session_int.h"
#include "limits.h"
#include <errno.h>

int imap_cmd_noop(struct imap_session *s, struct imap_args *a)
{
	return imap_take_end(a) ? imap_answer(s, IMAP_OK, "nothing more") : imap_bad_args(s, a);
}

int imap_cmd_capability(struct imap_session *s, struct imap_args *a)
{
	if (!imap_take_end(a))
		return imap_bad_args(s, a);
	buf_addz(&s->out, "* CAPABILITY ");
	imap_capability_session(&s->out, s->config->message_max, s->config->messages_max);
	buf_addz(&s->out, "\r\n");
	return imap_answer(s, IMAP_OK, "these hold");
}

int imap_cmd_logout(struct imap_session *s, struct imap_args *a)
{
	if (!imap_take_end(a))
		return imap_bad_args(s, a);
	buf_addz(&s->out, "* BYE see you\r\n");
	s->done = true;
	return imap_answer(s, IMAP_OK, "logged out");
}

int imap_cmd_id(struct imap_session *s, struct imap_args *a)
{
	if (!imap_take_id(a))
		return imap_bad_args(s, a);
	buf_addz(&s->out, "* ID (\"name\" \"Posthouse\" \"version\" \"" POSTHOUSE_VERSION "\")\r\n");
	return imap_answer(s, IMAP_OK, "pleased to meet you");
}

/* ---- ENABLE (RFC 5161) ---- */

static void enable_rev2(struct imap_session *s)
{
	s->rev2 = true;
}

static void enable_qresync(struct imap_session *s)
{
	s->qresync = true;
	imap_condstore_enable(s);
}

static void enable_utf8(struct imap_session *s)
{
	s->utf8 = true;
}

static void enable_uidonly(struct imap_session *s)
{
	s->uidonly = true;
}

static const struct {
	slice name;
	void (*enable)(struct imap_session *s); /* may write, behind ENABLED */
} enableable[] = {
	{SLICE_INIT("IMAP4rev2"), enable_rev2},
	{SLICE_INIT("CONDSTORE"), imap_condstore_enable},
	{SLICE_INIT("QRESYNC"), enable_qresync},
	{SLICE_INIT("UIDONLY"), enable_uidonly},
	{SLICE_INIT("UTF8=ACCEPT"), enable_utf8},
};

int imap_cmd_enable(struct imap_session *s, struct imap_args *a)
{
	unsigned asked = 0;
	slice word;

	do {
		if (!imap_take_sp(a) || !imap_take_atom(a, &word))
			return imap_bad_args(s, a);
		for (size_t i = 0; i < COUNT_OF(enableable); i++)
			asked |= slice_ieq(word, enableable[i].name) ? 1u << i
								     : 0; /* others are passed over: 3.1 */
	} while (!imap_args_at_end(a));
	buf_addz(&s->out, "* ENABLED");
	for (size_t i = 0; i < COUNT_OF(enableable); i++) {
		if (!(asked & 1u << i))
			continue;
		buf_add_c(&s->out, ' ');
		buf_add(&s->out, enableable[i].name);
	}
	buf_addz(&s->out, "\r\n");
	for (size_t i = 0; i < COUNT_OF(enableable); i++) {
		if (asked & 1u << i)
			enableable[i].enable(s);
	}
	return imap_answer(s, IMAP_OK, "enabled what is known");
}

int imap_cmd_namespace(struct imap_session *s, struct imap_args *a)
{
	if (!imap_take_end(a))
		return imap_bad_args(s, a);
	buf_addz(&s->out, "* NAMESPACE ((\"\" \"/\")) ((\"" MAILBOX_OTHERS "/\" \"/\")) NIL\r\n");
	return imap_answer(s, IMAP_OK, "yours, and those of others");
}

/* ---- SELECT, EXAMINE, CLOSE, UNSELECT ---- */

void imap_write_flag_lists(struct imap_session *s, const struct mailbox_row *row)
{
	unsigned count = mailbox_keyword_count(row);
	uint64_t all = count >= 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1;
	struct buf *out = &s->out;

	buf_addz(out, "* FLAGS (");
	imap_write_flags(out, MAILBOX_FLAGS_ALL, all, row);
	buf_addz(out, ")\r\n* OK [PERMANENTFLAGS (");
	if (!s->box.readonly) {
		bool keywords = s->box.rights & RIGHT_WRITE;

		imap_write_flags(out, rights_flags(s->box.rights), keywords ? all : 0, row);
		if (keywords && count < MAILBOX_KEYWORDS_MAX)
			buf_addz(out, " \\*");
	}
	buf_addz(out, ")] these are kept\r\n");
}

static void number_line(struct buf *out, const char *before, uint64_t v, const char *after)
{
	buf_addz(out, before);
	imap_write_u64(out, v);
	buf_addz(out, after);
}

/* What SELECT says of a mailbox that is open; row and the view are of the same moment or nearly so. */
static void describe(struct imap_session *s, slice path, const struct mailbox_row *row, uint32_t first_unseen)
{
	struct buf *out = &s->out;
	uint32_t count = uidset_count(&s->box.uids),
		 uidnext = count ? uidset_uid(&s->box.uids, count) + 1 : 1;

	imap_write_flag_lists(s, row);
	number_line(out, "* ", count, " EXISTS\r\n");
	if (!s->rev2) {
		buf_addz(out, "* 0 RECENT\r\n");
		if (first_unseen && !s->uidonly)
			number_line(out, "* OK [UNSEEN ", first_unseen, "] the first unseen message\r\n");
	}
	number_line(out, "* OK [UIDVALIDITY ", s->box.uidvalidity, "] UIDs are valid\r\n");
	number_line(
		out, "* OK [UIDNEXT ", row->uidnext > uidnext ? row->uidnext : uidnext, "] the next UID\r\n");
	buf_addz(out, "* OK [MAILBOXID (");
	imap_mailboxid_write(out, row);
	buf_addz(out, ")] its id\r\n");
	imap_write_highest(s, s->box.highest, "the highest mod-sequence");
	if (s->rev2) {
		buf_addz(out, "* LIST () \"/\" ");
		imap_name_write(out, path, s->rev2);
		buf_addz(out, "\r\n");
	}
}

static int select_mailbox(struct imap_session *s, struct imap_args *a, bool readonly)
{
	struct store_snap snap = {0};
	struct imap_open_params params = {0};
	struct mailbox_row row;
	struct imap_place place;
	uint32_t first_unseen = 0, id = 0;
	err e = {0};

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &place) ||
		!imap_take_open_params(a, s->qresync, &params) || !imap_take_end(a))
		return imap_bad_args(s, a);
	if (params.has_match && s->uidonly)
		return imap_answer(
			s, IMAP_BAD, "[UIDREQUIRED] UIDONLY is enabled: there are no numbers to match");
	if (s->box.open) {
		imap_box_close(s);
		buf_addz(&s->out, "* OK [CLOSED] the mailbox before is closed\r\n");
	}
	uidset_free(&s->saved);
	if (params.condstore || params.qresync) /* nothing is open: SELECT's own answer says HIGHESTMODSEQ */
		imap_condstore_enable(s);
	int rc = imap_place_id(s, &place, RIGHT_READ, &id, &e);
	if (rc > 0)
		rc = imap_box_open(s, place.account, id, readonly, &first_unseen, &e);
	if (rc > 0 && (rc = store_snap_begin(s->store, &snap, &e)) == 0) {
		rc = mailbox_get(&snap, place.account, id, &row, &e);
		if (rc > 0)
			describe(s, place.name, &row, first_unseen);
	}
	store_snap_end(&snap);
	if (rc > 0 && params.qresync && imap_open_resync(s, &params, &e) < 0)
		rc = -1;
	if (rc > 0)
		return imap_answer(
			s, IMAP_OK, s->box.readonly ? "[READ-ONLY] open for reading" : "[READ-WRITE] open");
	imap_box_close(s);
	return rc < 0 ? imap_answer_err(s, &e)
		      : imap_answer(s, IMAP_NO, "[NONEXISTENT] there is no such mailbox");
}

int imap_cmd_select(struct imap_session *s, struct imap_args *a)
{
	return select_mailbox(s, a, false);
}

int imap_cmd_examine(struct imap_session *s, struct imap_args *a)
{
	return select_mailbox(s, a, true);
}

int imap_cmd_unselect(struct imap_session *s, struct imap_args *a)
{
	if (!imap_take_end(a))
		return imap_bad_args(s, a);
	imap_box_close(s);
	return imap_answer(s, IMAP_OK, "closed");
}

int imap_cmd_close(struct imap_session *s, struct imap_args *a)
{
	err e = {0};
	int rc = 0;

	if (!imap_take_end(a))
		return imap_bad_args(s, a);
	if (!s->box.readonly) {
		struct expunge x = {.account = s->box.account,
			.mailbox = s->box.mailbox,
			.by = s->account,
			.only_deleted = true};

		rc = mailbox_expunge(s->store, &x, &e);
		uidset_free(&x.ret_expunged);
	}
	imap_box_close(s);
	if (rc < 0 && e.kind != ERR_MISSING && e.kind != ERR_NOPERM)
		return imap_answer_err(s, &e);
	return imap_answer(s, IMAP_OK, "closed");
}

/* ACL (RFC 4314): SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS. */
#include "imap/name.h"
#include "imap/others.h"
#include "mailbox/account.h"
#include "mailbox/letters.h"

static void write_quoted_rights(struct buf *out, unsigned rights)
{
	buf_addz(out, " \"");
	rights_write(out, rights);
	buf_add_c(out, '"');
}

void imap_write_myrights(struct imap_session *s, slice name, unsigned rights)
{
	buf_addz(&s->out, "* MYRIGHTS ");
	imap_name_write(&s->out, name, s->rev2 || s->utf8);
	write_quoted_rights(&s->out, rights);
	buf_addz(&s->out, "\r\n");
}

/* ---- arguments ---- */

struct who {
	slice said;
	uint32_t account; /* RIGHTS_ANYONE: anyone */
	bool denied;      /* "-name": the negative entry */
	bool known;
};

static bool take_who(struct imap_args *a, struct who *ret)
{
	slice name;

	if (!imap_take_sp(a) || !imap_take_astring(a, &name))
		return false;
	*ret = (struct who){.said = name, .denied = slice_starts(name, S("-"))};
	return name.n > ret->denied || imap_args_fail(a, "whose rights is not said");
}

/* 0, -1 */
static int find_who(struct store_snap *snap, struct who *w, err *e)
{
	struct account_row row;
	slice name = slice_skip(w->said, w->denied ? 1 : 0);

	w->known = slice_ieq(name, S("anyone"));
	if (w->known)
		return 0;
	int rc = account_by_login(snap, name, &row, e);
	w->known = rc > 0;
	if (rc > 0)
		w->account = row.id;
	return rc < 0 ? -1 : 0;
}

static bool take_rights(struct imap_args *a, enum rights_op *ret_op, unsigned *ret_rights)
{
	slice text;

	if (!imap_take_sp(a) || !imap_take_astring(a, &text))
		return false;
	*ret_op = slice_starts(text, S("+"))   ? RIGHTS_ADD
		  : slice_starts(text, S("-")) ? RIGHTS_REMOVE
					       : RIGHTS_REPLACE;
	if (!rights_read(slice_skip(text, *ret_op == RIGHTS_REPLACE ? 0 : 1), ret_rights))
		return imap_args_fail(a, "the rights are l r s w i p k x t e a");
	return true;
}

static int missing(struct imap_session *s)
{
	return imap_answer(s, IMAP_NO, "[NONEXISTENT] there is no such mailbox");
}

/* The mailbox, for who may administer it, on a snapshot that the caller ends. 1, 0, -1. */
static int find(struct imap_session *s, struct store_snap *snap, const struct imap_place *place,
	struct who *w, struct mailbox_row *ret, err *e)
{
	if (store_snap_begin(s->store, snap, e) < 0)
		return -1;
	int rc = imap_place_find(s, snap, place, RIGHT_ADMIN, ret, e);
	if (rc > 0 && ret->noselect)
		rc = 0;
	return rc > 0 && w && find_who(snap, w, e) < 0 ? -1 : rc;
}

/* ---- SETACL, DELETEACL ---- */

static int change(struct imap_session *s, const struct imap_place *place, struct who *w, enum rights_op op,
	unsigned rights)
{
	struct store_snap snap = {0};
	struct mailbox_row row;
	err e = {0};
	int rc = find(s, &snap, place, w, &row, &e);

	store_snap_end(&snap);
	if (rc == 0)
		return missing(s);
	if (rc > 0 && !w->known)
		return imap_answer(s, IMAP_NO, "there is no account of that name");
	bool owner = rc > 0 && w->account == row.account;
	bool all = rights == RIGHTS_ALL || op == RIGHTS_ADD || (op == RIGHTS_REMOVE && rights == 0);
	if (owner && !w->denied && all)
		return imap_answer(s, IMAP_OK, "the owner has all rights, always");
	if (rc > 0) {
		struct rights_change c = {.account = row.account,
			.mailbox = row.id,
			.by = s->account,
			.grantee = w->account,
			.denied = w->denied,
			.op = op,
			.rights = rights};
		rc = mailbox_rights_change(s->store, &c, &e);
	}
	return rc < 0 ? imap_answer_err(s, &e) : imap_answer(s, IMAP_OK, "it is so");
}

int imap_cmd_setacl(struct imap_session *s, struct imap_args *a)
{
	struct imap_place place;
	struct who w;
	enum rights_op op;
	unsigned rights;

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &place) || !take_who(a, &w) ||
		!take_rights(a, &op, &rights) || !imap_take_end(a))
		return imap_bad_args(s, a);
	return change(s, &place, &w, op, rights);
}

int imap_cmd_deleteacl(struct imap_session *s, struct imap_args *a)
{
	struct imap_place place;
	struct who w;

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &place) || !take_who(a, &w) || !imap_take_end(a))
		return imap_bad_args(s, a);
	return change(s, &place, &w, RIGHTS_REPLACE, 0);
}

/* ---- GETACL ---- */

/* An address in another script than Latin is a literal where quoted strings are ASCII. 0, -1: no memory. */
static int write_entry(struct imap_session *s, slice who, bool denied, unsigned rights)
{
	slice id = denied ? arena_fmt(s->arena, "-%.*s", (int)who.n, who.p) : who;

	if (rights == 0)
		return 0;
	if (!id.p)
		return -1;
	buf_add_c(&s->out, ' ');
	imap_write_string(&s->out, id, s->rev2 || s->utf8);
	write_quoted_rights(&s->out, rights);
	return 0;
}

/* 0, -1 */
static int write_acl(
	struct imap_session *s, struct store_snap *snap, slice name, const struct mailbox_row *row, err *e)
{
	struct mailbox_grant *grants;
	slice who = {NULL, 0};
	size_t n;

	if (mailbox_grants(snap, row->account, row->id, s->arena, &grants, &n, e) < 0 ||
		account_address(snap, row->account, s->arena, &who, e) < 0)
		return -1;
	buf_addz(&s->out, "* ACL ");
	imap_name_write(&s->out, name, s->rev2 || s->utf8);
	if (write_entry(s, who, false, RIGHTS_ALL) < 0)
		return err_set(e, ERR_TEMP, "no memory");
	for (size_t i = 0; i < n; i++) {
		int rc = 1;

		who = S("anyone");
		if (grants[i].grantee != RIGHTS_ANYONE)
			rc = account_address(snap, grants[i].grantee, s->arena, &who, e);
		if (rc < 0)
			return -1;
		if (rc == 0)
			continue; /* removed, and soon swept away */
		if (write_entry(s, who, false, grants[i].rights) < 0 ||
			write_entry(s, who, true, grants[i].denied) < 0)
			return err_set(e, ERR_TEMP, "no memory");
	}
	buf_addz(&s->out, "\r\n");
	return 0;
}

int imap_cmd_getacl(struct imap_session *s, struct imap_args *a)
{
	struct store_snap snap = {0};
	struct imap_place place;
	struct mailbox_row row;
	err e = {0};

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &place) || !imap_take_end(a))
		return imap_bad_args(s, a);
	int rc = find(s, &snap, &place, NULL, &row, &e);
	size_t mark = s->out.n;
	if (rc > 0 && write_acl(s, &snap, place.name, &row, &e) < 0) {
		buf_truncate(&s->out, mark);
		rc = -1;
	}
	store_snap_end(&snap);
	if (rc < 0)
		return imap_answer_err(s, &e);
	return rc > 0 ? imap_answer(s, IMAP_OK, "these rights hold") : missing(s);
}

/* ---- LISTRIGHTS ---- */

int imap_cmd_listrights(struct imap_session *s, struct imap_args *a)
{
	struct store_snap snap = {0};
	struct imap_place place;
	struct mailbox_row row;
	struct who w;
	err e = {0};

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &place) || !take_who(a, &w) || !imap_take_end(a))
		return imap_bad_args(s, a);
	int rc = find(s, &snap, &place, &w, &row, &e);
	store_snap_end(&snap);
	if (rc < 0)
		return imap_answer_err(s, &e);
	if (rc == 0)
		return missing(s);
	if (!w.known)
		return imap_answer(s, IMAP_NO, "there is no account of that name");
	buf_addz(&s->out, "* LISTRIGHTS ");
	imap_name_write(&s->out, place.name, s->rev2 || s->utf8);
	buf_add_c(&s->out, ' ');
	imap_write_string(&s->out, w.said, s->rev2 || s->utf8); /* as it was said: 3.4 */
	if (w.account == row.account) {
		write_quoted_rights(&s->out, w.denied ? 0 : RIGHTS_ALL);
	} else {
		buf_addz(&s->out, " \"\"");
		for (size_t i = 0; i < RIGHTS_LETTERS; i++) {
			buf_add_c(&s->out, ' ');
			buf_add_c(&s->out, rights_letters[i].letter);
		}
	}
	buf_addz(&s->out, "\r\n");
	return imap_answer(s, IMAP_OK, "these can be granted");
}

/* ---- MYRIGHTS ---- */

#define MYRIGHTS_NEED                                                                                        \
	(RIGHT_LOOKUP | RIGHT_READ | RIGHT_INSERT | RIGHT_CREATE | RIGHT_REMOVE |                            \
		RIGHT_ADMIN) /* one of them */

int imap_cmd_myrights(struct imap_session *s, struct imap_args *a)
{
	struct store_snap snap = {0};
	struct imap_place place;
	struct mailbox_row row;
	unsigned rights = 0;
	err e = {0};

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &place) || !imap_take_end(a))
		return imap_bad_args(s, a);
	int rc = store_snap_begin(s->store, &snap, &e);
	if (rc == 0 && place.account)
		rc = mailbox_find(&snap, place.account, place.path, &row, &e);
	if (rc > 0 && mailbox_rights(&snap, row.account, row.id, s->account, &rights, &e) < 0)
		rc = -1;
	store_snap_end(&snap);
	if (rc < 0)
		return imap_answer_err(s, &e);
	if (rc == 0 || row.noselect || !(rights & MYRIGHTS_NEED))
		return missing(s);
	imap_write_myrights(s, place.name, rights);
	return imap_answer(s, IMAP_OK, "these are yours");
}

/*
 * QUOTA (RFC 9208): GETQUOTA, GETQUOTAROOT, SETQUOTA. An account that has a limit is one quota root, named
 * "", and "Other Users/<address>" to those with whom it shares mailboxes; its resource is STORAGE. Limits are
 * set by who runs the post house, not by IMAP.
 */
#include "imap/quota.h"
#include "imap/name.h"
#include "imap/others.h"
#include "imap/session_int.h"
#include "io/fiber.h"

#define UNIT 1024 /* octets of STORAGE: RFC 9208 5.1 */

/* 1 there is a limit, 0 none, -1. */
static int limit_of(struct store_snap *snap, uint32_t account, struct account_row *ret, err *e)
{
	int rc = account_get(snap, account, ret, e);

	if (rc == 0)
		return err_set(e, ERR_MISSING, "the account is gone");
	return rc < 0 ? -1 : ret->quota_bytes > 0;
}

static void write_quota(struct imap_session *s, slice root, const struct account_row *row)
{
	struct buf *out = &s->out;

	buf_addz(out, "* QUOTA ");
	imap_name_write(out, root, s->rev2 || s->utf8);
	buf_addz(out, " (STORAGE ");
	imap_write_u64(out, row->used_bytes / UNIT + (row->used_bytes % UNIT != 0));
	buf_add_c(out, ' ');
	imap_write_u64(out, row->quota_bytes / UNIT);
	buf_addz(out, ")\r\n");
}

/* Whose root it is: one's own, or that of an account that shares something. 1, 0, -1. */
static int find_root(struct imap_session *s, slice wire, slice *ret_root, uint32_t *ret_account, err *e)
{
	struct store_snap snap = {0};
	slice path;

	*ret_account = s->account;
	*ret_root = wire;
	if (wire.n == 0)
		return 1;
	if (!imap_name_read(wire, s->rev2 || s->utf8, s->arena, ret_root))
		return 0;
	int rc = imap_others_read(s, *ret_root, ret_account, &path, e);
	if (rc <= 0 || path.n > 0)
		return rc < 0 ? -1 : 0;
	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	rc = mailbox_shares_any(&snap, *ret_account, s->account, e);
	store_snap_end(&snap);
	return rc;
}

int imap_cmd_getquota(struct imap_session *s, struct imap_args *a)
{
	struct store_snap snap = {0};
	struct account_row row;
	uint32_t account = 0;
	err e = {0};
	slice root;

	if (!imap_take_sp(a) || !imap_take_astring(a, &root) || !imap_take_end(a))
		return imap_bad_args(s, a);
	int rc = find_root(s, root, &root, &account, &e);
	if (rc > 0 && (rc = store_snap_begin(s->store, &snap, &e)) == 0)
		rc = limit_of(&snap, account, &row, &e);
	if (rc > 0)
		write_quota(s, root, &row);
	store_snap_end(&snap);
	if (rc < 0)
		return imap_answer_err(s, &e);
	return rc > 0 ? imap_answer(s, IMAP_OK, "as it is now")
		      : imap_answer(s, IMAP_NO, "[NONEXISTENT] there is no such quota root");
}

int imap_cmd_getquotaroot(struct imap_session *s, struct imap_args *a)
{
	struct store_snap snap = {0};
	struct mailbox_row box;
	struct account_row row;
	struct imap_place place;
	slice root = S("");
	int limited = 0;
	err e = {0};

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &place) || !imap_take_end(a))
		return imap_bad_args(s, a);
	int rc = store_snap_begin(s->store, &snap, &e);
	if (rc == 0)
		rc = imap_place_find(s, &snap, &place, RIGHT_READ, &box, &e);
	if (rc > 0 && (limited = limit_of(&snap, box.account, &row, &e)) < 0)
		rc = -1;
	if (rc > 0 && box.account != s->account)
		rc = imap_others_name(&snap, box.account, (slice){NULL, 0}, s->arena, &root, &e);
	if (rc > 0) {
		buf_addz(&s->out, "* QUOTAROOT ");
		imap_name_write(&s->out, place.name, s->rev2 || s->utf8);
		if (limited) {
			buf_add_c(&s->out, ' ');
			imap_name_write(&s->out, root, s->rev2 || s->utf8);
		}
		buf_addz(&s->out, "\r\n");
	}
	if (rc > 0 && limited)
		write_quota(s, root, &row);
	store_snap_end(&snap);
	if (rc < 0)
		return imap_answer_err(s, &e);
	return rc > 0 ? imap_answer(s, IMAP_OK, "as it is now")
		      : imap_answer(s, IMAP_NO, "[NONEXISTENT] there is no such mailbox");
}

static bool take_limits(struct imap_args *a)
{
	uint64_t limit;
	slice name;

	if (!imap_take_c(a, '('))
		return false;
	for (bool first = true; !imap_try_c(a, ')'); first = false) {
		if ((!first && !imap_take_sp(a)) || !imap_take_atom(a, &name) || !imap_take_sp(a) ||
			!imap_take_number(a, INT64_MAX, &limit))
			return false;
	}
	return true;
}

int imap_cmd_setquota(struct imap_session *s, struct imap_args *a)
{
	slice root;

	if (!imap_take_sp(a) || !imap_take_astring(a, &root) || !imap_take_sp(a) || !take_limits(a) ||
		!imap_take_end(a))
		return imap_bad_args(s, a);
	return imap_answer(s, IMAP_NO, "[NOPERM] who runs the post house sets the limits");
}

#define STEP 16384 /* entries read on one snapshot, some 2 ms */

/* Adds up to STEP entries from *from on, which becomes the next UID, or 0 at the end. */
static int add_deleted(const struct imap_session *s, const struct mailbox_row *row, uint32_t *from,
	uint32_t *left, uint64_t *bytes, err *e)
{
	struct store_snap snap = {0};
	struct mailbox_entry_scan sc;
	const struct mailbox_entry *entry;
	unsigned n = 0;

	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	int rc = mailbox_entry_open(&snap, row->account, row->id, *from, UINT32_MAX, &sc, e);
	if (rc == 0) {
		*from = 0;
		while (*left > 0 && (rc = mailbox_entry_next(&sc, &entry, e)) > 0) {
			if (n++ == STEP) {
				*from = entry->uid;
				break;
			}
			if (entry->flags & FLAG_DELETED) {
				*bytes += entry->size;
				--*left;
			}
		}
		mailbox_entry_close(&sc);
	}
	store_snap_end(&snap);
	return rc < 0 ? -1 : 0;
}

int imap_deleted_storage(const struct imap_session *s, const struct mailbox_row *row, uint64_t *ret, err *e)
{
	uint64_t bytes = 0;
	uint32_t left = row->deleted, from = 1;

	while (left > 0 && from > 0) {
		if (add_deleted(s, row, &from, &left, &bytes, e) < 0)
			return -1;
		if (from > 0 && fiber_yield() < 0)
			return err_set(e, ERR_CANCELED, "the session is told to end");
	}
	*ret = bytes;
	return 0;
}

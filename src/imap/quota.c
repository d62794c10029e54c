/*
 * QUOTA (RFC 9208): GETQUOTA, GETQUOTAROOT, SETQUOTA. An account that has a limit is one quota root, named
 * ""; its resource is STORAGE. Limits are set by who runs the post house, not by IMAP.
 */
#include "imap/quota.h"
#include "imap/name.h"
#include "imap/session_int.h"
#include "io/fiber.h"

#define UNIT 1024 /* octets of STORAGE: RFC 9208 5.1 */

/* 1 there is a limit, 0 none, -1. */
static int limit_of(struct imap_session *s, struct store_snap *snap, struct account_row *ret, err *e)
{
	int rc = account_get(snap, s->account, ret, e);

	if (rc == 0)
		return err_set(e, ERR_MISSING, "the account is gone");
	return rc < 0 ? -1 : ret->quota_bytes > 0;
}

static void write_quota(struct buf *out, const struct account_row *row)
{
	buf_addz(out, "* QUOTA \"\" (STORAGE ");
	imap_write_u64(out, row->used_bytes / UNIT + (row->used_bytes % UNIT != 0));
	buf_add_c(out, ' ');
	imap_write_u64(out, row->quota_bytes / UNIT);
	buf_addz(out, ")\r\n");
}

int imap_cmd_getquota(struct imap_session *s, struct imap_args *a)
{
	struct store_snap snap = {0};
	struct account_row row;
	err e = {0};
	slice root;

	if (!imap_take_sp(a) || !imap_take_astring(a, &root) || !imap_take_end(a))
		return imap_bad_args(s, a);
	int rc = store_snap_begin(s->store, &snap, &e);
	if (rc == 0)
		rc = root.n == 0 ? limit_of(s, &snap, &row, &e) : 0;
	if (rc > 0)
		write_quota(&s->out, &row);
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
	int limited = 0;
	err e = {0};

	if (!imap_take_sp(a) || !imap_take_mailbox(s, a, &place) || !imap_take_end(a))
		return imap_bad_args(s, a);
	int rc = store_snap_begin(s->store, &snap, &e);
	if (rc == 0)
		rc = imap_place_find(s, &snap, &place, &box, &e);
	if (rc > 0 && (limited = limit_of(s, &snap, &row, &e)) < 0)
		rc = -1;
	if (rc > 0) {
		buf_addz(&s->out, "* QUOTAROOT ");
		imap_name_write(&s->out, place.name, s->rev2 || s->utf8);
		buf_addz(&s->out, limited ? " \"\"\r\n" : "\r\n");
	}
	if (rc > 0 && limited)
		write_quota(&s->out, &row);
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

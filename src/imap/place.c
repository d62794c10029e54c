/* Mailbox names: where they lead. */
#include "imap/name.h"
#include "imap/others.h"

/* "INBOX" in this case, alone or as the first level. p == NULL: no memory. */
static slice fold_inbox(struct imap_session *s, slice path)
{
	if (!slice_istarts(path, S("INBOX")) || (path.n > 5 && path.p[5] != MAILBOX_SEPARATOR))
		return path;
	return path.n == 5 ? S("INBOX") : arena_fmt(s->arena, "INBOX%.*s", (int)path.n - 5, path.p + 5);
}

bool imap_take_mailbox(struct imap_session *s, struct imap_args *a, struct imap_place *ret)
{
	slice wire, name;

	if (!imap_take_astring(a, &wire))
		return false;
	*ret = (struct imap_place){0};
	if (!imap_name_read(wire, s->rev2 || s->utf8, s->arena, &name))
		return true;
	*ret = imap_place_of(s, name);
	return true;
}

/* A mailbox of another account; the owner's level alone is none. What cannot be read ends the session. */
static struct imap_place place_of_other(struct imap_session *s, slice name)
{
	struct imap_place place = {.others = true, .name = name};
	uint32_t account;
	slice path;
	int rc = imap_others_read(s, name, &account, &path, NULL);

	if (rc < 0)
		s->out.failed = true;
	if (rc <= 0 || path.n == 0)
		return place;
	path = fold_inbox(s, path);
	if (path.p) {
		place.account = account;
		place.path = path;
	}
	return place;
}

struct imap_place imap_place_of(struct imap_session *s, slice name)
{
	if (slice_starts(name, S(IMAP_OTHERS)) || slice_eq(name, S(MAILBOX_OTHERS)))
		return place_of_other(s, name);
	slice path = fold_inbox(s, name);
	return path.p ? (struct imap_place){.account = s->account, .path = path, .name = path}
		      : (struct imap_place){0};
}

int imap_place_find(struct imap_session *s, struct store_snap *snap, const struct imap_place *place,
	unsigned need, struct mailbox_row *ret, err *e)
{
	unsigned rights;

	if (!place->account)
		return 0;
	int rc = mailbox_find(snap, place->account, place->path, ret, e);
	if (rc <= 0 || place->account == s->account)
		return rc;
	if (mailbox_rights(snap, place->account, ret->id, s->account, &rights, e) < 0)
		return -1;
	if ((rights & need) == need)
		return 1;
	return rights & RIGHT_LOOKUP ? err_set(e, ERR_NOPERM, "the mailbox's owner does not permit that") : 0;
}

int imap_place_id(
	struct imap_session *s, const struct imap_place *place, unsigned need, uint32_t *ret_id, err *e)
{
	struct store_snap snap = {0};
	struct mailbox_row row;

	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	int rc = imap_place_find(s, &snap, place, need, &row, e);
	if (rc > 0 && row.noselect)
		rc = 0;
	if (rc > 0)
		*ret_id = row.id;
	store_snap_end(&snap);
	return rc;
}

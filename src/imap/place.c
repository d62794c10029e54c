/* Mailbox names: where they lead. */
#include "imap/name.h"
#include "imap/session_int.h"

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

struct imap_place imap_place_of(struct imap_session *s, slice name)
{
	slice path = fold_inbox(s, name);

	return path.p ? (struct imap_place){.account = s->account, .path = path, .name = path}
		      : (struct imap_place){0};
}

int imap_place_find(struct imap_session *s, struct store_snap *snap, const struct imap_place *place,
	struct mailbox_row *ret, err *e)
{
	(void)s;
	return place->account ? mailbox_find(snap, place->account, place->path, ret, e) : 0;
}

int imap_place_id(struct imap_session *s, const struct imap_place *place, uint32_t *ret_id, err *e)
{
	struct store_snap snap = {0};
	struct mailbox_row row;

	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	int rc = imap_place_find(s, &snap, place, &row, e);
	if (rc > 0 && row.noselect)
		rc = 0;
	if (rc > 0)
		*ret_id = row.id;
	store_snap_end(&snap);
	return rc;
}

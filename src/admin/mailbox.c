/* mailbox.* */
#include "admin/call.h"
#include "limits.h"
#include "mailbox/account.h"
#include "mailbox/write.h"

static const char *const uses[] = {
	[USE_NONE] = "none",
	[USE_DRAFTS] = "drafts",
	[USE_SENT] = "sent",
	[USE_TRASH] = "trash",
	[USE_JUNK] = "junk",
	[USE_ARCHIVE] = "archive",
	[USE_ALL] = "all",
	[USE_FLAGGED] = "flagged",
	[USE_IMPORTANT] = "important",
};

static int use_parse(slice text, enum mailbox_use *ret, err *e)
{
	for (size_t i = 0; i < COUNT_OF(uses); i++) {
		if (slice_ieq(slice_of(uses[i]), text)) {
			*ret = (enum mailbox_use)i;
			return 0;
		}
	}
	return err_set(e, ERR_SYNTAX,
		"\"%" SLICE_FMT
		"\" is no use of a mailbox: none drafts sent trash junk archive all flagged important",
		SLICE_ARG(text));
}

static void mailbox_put(const struct mailbox_row *m, slice path, json_t *to)
{
	admin_put_text(to, "mailbox", path);
	admin_put_number(to, "id", m->id);
	admin_put_text(to, "use", slice_of(uses[m->use]));
	admin_put_bool(to, "subscribed", m->subscribed);
	admin_put_number(to, "messages", m->messages);
	admin_put_number(to, "unseen", m->unseen);
	admin_put_number(to, "bytes", m->bytes);
	admin_put_number(to, "uidvalidity", m->uidvalidity);
	admin_put_number(to, "uidnext", m->uidnext);
}

static int account_in(struct admin_call *c, struct store_snap *snap, uint32_t *ret, err *e)
{
	return admin_account_of(snap, admin_param_text(c, "account"), ret, e);
}

int admin_mailbox_list(struct admin_call *c, err *e)
{
	struct store_snap snap;
	struct mailbox_item *items = NULL;
	uint32_t account;
	size_t n = 0, from = (size_t)admin_param_number(c, "after", 0);
	json_t *list = json_array();

	json_object_set_new(c->result, "mailboxes", list);
	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = account_in(c, &snap, &account, e);
	if (rc == 0)
		rc = mailbox_list(&snap, account, c->arena, &items, &n, e);
	store_snap_end(&snap);
	for (size_t i = from; rc == 0 && i < n; i++) {
		if (items[i].absent)
			continue;
		if (json_array_size(list) == ADMIN_PAGE) {
			admin_put_number(c->result, "next", i);
			break;
		}
		json_t *one = json_object();
		mailbox_put(&items[i].row, items[i].path, one);
		json_array_append_new(list, one);
	}
	return rc;
}

static int show(struct admin_call *c, slice path, uint32_t *ret_account, err *e)
{
	struct store_snap snap;
	struct mailbox_row m;

	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = account_in(c, &snap, ret_account, e);
	if (rc == 0) {
		rc = mailbox_find(&snap, *ret_account, path, &m, e);
		if (rc == 1)
			mailbox_put(&m, path, c->result);
		rc = rc == 0  ? err_set(e, ERR_MISSING,
					"there is no mailbox \"%" SLICE_FMT "\"; see: posthouse mailbox list",
					SLICE_ARG(path))
		     : rc < 0 ? -1
			      : 0;
	}
	store_snap_end(&snap);
	return rc;
}

int admin_mailbox_show(struct admin_call *c, err *e)
{
	uint32_t account;

	return show(c, admin_param_text(c, "mailbox"), &account, e);
}

int admin_mailbox_add(struct admin_call *c, err *e)
{
	slice path = admin_param_text(c, "mailbox");
	struct store_snap snap;
	enum mailbox_use use = USE_NONE;
	uint32_t account, id, uidvalidity;

	if (admin_param_has(c, "use") && use_parse(admin_param_text(c, "use"), &use, e) < 0)
		return -1;
	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = account_in(c, &snap, &account, e);
	store_snap_end(&snap);
	if (rc < 0 || mailbox_create(c->store, account, 0, path, use, &id, &uidvalidity, e) < 0)
		return -1;
	/* Made for somebody: it should be seen in his mail program. */
	if (mailbox_subscribe(c->store, account, path, true, e) < 0)
		return -1;
	return show(c, path, &account, e);
}

int admin_mailbox_set(struct admin_call *c, err *e)
{
	slice path = admin_param_text(c, "mailbox"), to = admin_param_text(c, "rename");
	enum mailbox_use use = USE_NONE;
	uint32_t account;

	if (admin_param_has(c, "use") && use_parse(admin_param_text(c, "use"), &use, e) < 0)
		return -1;
	if (show(c, path, &account, e) < 0)
		return -1;
	if (admin_param_has(c, "use") && mailbox_set_use(c->store, account, path, use, e) < 0)
		return -1;
	if (admin_param_has(c, "subscribed") &&
		mailbox_subscribe(c->store, account, path, admin_param_bool(c, "subscribed", true), e) < 0)
		return -1;
	if (to.n) {
		if (mailbox_rename(c->store, account, 0, path, to, e) < 0)
			return -1;
		path = to;
	}
	return show(c, path, &account, e);
}

int admin_mailbox_remove(struct admin_call *c, err *e)
{
	slice path = admin_param_text(c, "mailbox");
	uint32_t account;

	if (show(c, path, &account, e) < 0)
		return -1;
	return admin_param_bool(c, "dry_run", false) ? 0 : mailbox_delete(c->store, account, 0, path, e);
}

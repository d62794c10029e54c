/* mailbox.share, mailbox.unshare, mailbox.rights: who else may use a mailbox (RFC 4314). */
#include "admin/call.h"
#include "mailbox/account.h"
#include "mailbox/letters.h"

/* Words for the usual sets; anything else is letters. */
static const struct {
	slice word;
	unsigned rights;
} words[] = {
	{SLICE_INIT("read"), RIGHT_LOOKUP | RIGHT_READ},
	{SLICE_INIT("write"), RIGHT_LOOKUP | RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT |
				      RIGHT_DELETE | RIGHT_EXPUNGE},
	{SLICE_INIT("full"), RIGHTS_ALL},
};

static int rights_in(const struct admin_call *c, unsigned *ret, err *e)
{
	slice text = admin_param_text(c, "rights");

	if (!admin_param_has(c, "rights"))
		text = words[0].word;
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (slice_ieq(text, words[i].word)) {
			*ret = words[i].rights;
			return 0;
		}
	}
	if (text.n > 0 && rights_read(text, ret))
		return 0;
	return err_set(e, ERR_SYNTAX,
		"\"%" SLICE_FMT "\" is no set of rights: read, write, full, or letters of lrswipkxtea",
		SLICE_ARG(text));
}

/* The mailbox, and whose rights are meant. */
static int find(struct admin_call *c, struct store_snap *snap, struct rights_change *ret, err *e)
{
	slice path = admin_param_text(c, "mailbox"), who = admin_param_text(c, "with");
	struct mailbox_row row;

	if (admin_account_of(snap, admin_param_text(c, "account"), &ret->account, e) < 0)
		return -1;
	int rc = mailbox_find(snap, ret->account, path, &row, e);
	if (rc == 0 || (rc > 0 && row.noselect))
		return err_set(e, ERR_MISSING,
			"there is no mailbox \"%" SLICE_FMT "\"; see: posthouse mailbox list",
			SLICE_ARG(path));
	ret->mailbox = row.id;
	if (rc < 0)
		return -1;
	if (!who.n || slice_ieq(who, S("anyone")))
		return 0; /* RIGHTS_ANYONE */
	return admin_account_of(snap, who, &ret->grantee, e);
}

static int change(struct admin_call *c, struct rights_change *change, err *e)
{
	struct store_snap snap;

	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = find(c, &snap, change, e);
	store_snap_end(&snap);
	return rc < 0 ? -1 : mailbox_rights_change(c->store, change, e);
}

int admin_mailbox_share(struct admin_call *c, err *e)
{
	struct rights_change r = {.op = RIGHTS_REPLACE};
	struct buf letters = BUF_INIT(64);

	if (rights_in(c, &r.rights, e) < 0 || change(c, &r, e) < 0)
		return -1;
	rights_write(&letters, r.rights);
	admin_put_text(c->result, "with", admin_param_text(c, "with"));
	admin_put_text(c->result, "rights", buf_slice(&letters));
	buf_free(&letters);
	return 0;
}

int admin_mailbox_unshare(struct admin_call *c, err *e)
{
	struct rights_change r = {.op = RIGHTS_REPLACE};

	return change(c, &r, e);
}

static int entry_put(
	struct admin_call *c, struct store_snap *snap, json_t *list, const struct mailbox_grant *g, err *e)
{
	slice name = S("anyone");
	int rc = g->grantee == RIGHTS_ANYONE ? 1 : account_address(snap, g->grantee, c->arena, &name, e);

	if (rc <= 0)
		return rc; /* removed meanwhile: its grants are being cleared away */
	for (unsigned denied = 0; denied < 2; denied++) {
		unsigned rights = denied ? g->denied : g->rights;
		struct buf letters = BUF_INIT(64);

		if (!rights)
			continue;
		json_t *one = json_object();
		rights_write(&letters, rights);
		admin_put_text(one, "with", name);
		admin_put_text(one, "rights", buf_slice(&letters));
		admin_put_bool(one, "taken", denied);
		json_array_append_new(list, one);
		buf_free(&letters);
	}
	return 0;
}

int admin_mailbox_rights(struct admin_call *c, err *e)
{
	struct rights_change at = {0};
	struct mailbox_grant *grants = NULL;
	struct store_snap snap;
	json_t *list = json_array();
	size_t n = 0;

	json_object_set_new(c->result, "rights", list);
	if (store_snap_begin(c->store, &snap, e) < 0)
		return -1;
	int rc = find(c, &snap, &at, e);
	if (rc == 0)
		rc = mailbox_grants(&snap, at.account, at.mailbox, c->arena, &grants, &n, e);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = entry_put(c, &snap, list, &grants[i], e);
	store_snap_end(&snap);
	return rc;
}

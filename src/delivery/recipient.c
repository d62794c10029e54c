/* The judgement at RCPT time, and who may send as whom. */
#include "delivery/resolve.h"
#include "mailbox/account.h"

enum { RECIPIENT_ARENA = 2 << 20 };

int delivery_recipient(struct store_snap *snap, slice localpart, slice domain, uint64_t size, bool may_relay,
	struct delivery_verdict *ret, err *e)
{
	struct arena *a = arena_new(RECIPIENT_ARENA);
	struct resolve *r = a ? arena_new_1(a, struct resolve) : NULL;
	struct delivery_verdict v = {.result = DELIVERY_UNKNOWN};
	if (!r) {
		arena_free(a);
		return err_set(e, ERR_TEMP, "out of memory");
	}
	r->view = view_snap(snap);
	r->arena = a;
	r->size = size;
	r->may_relay = may_relay;
	int rc = resolve_recipient(r, localpart, domain, 0, &v.result, e);
	size_t accounts = 0;
	for (size_t i = 0; rc == 0 && v.result == DELIVERY_OK && i < r->n; i++) {
		if (r->targets[i].account == 0 || r->targets[i].result != DELIVERY_OK)
			continue;
		v.account = accounts++ ? 0 : r->targets[i].account;
		v.local = true;
	}
	if (accounts != r->n)
		v.account = 0;
	arena_free(a);
	if (rc == 0)
		*ret = v;
	return rc;
}

int delivery_sender_allowed(struct store_snap *snap, uint32_t account, slice localpart, slice domain, err *e)
{
	return account_may_send(snap, account, localpart, domain, e);
}

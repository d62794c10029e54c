#include "mailbox/view.h"

int view_first(struct view v, slice prefix, struct key_name *ret, err *e)
{
	struct store_scan sc;
	slice k = {0}, value;
	if (view_scan(v, prefix, &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, prefix, &k, &value, e);
	if (rc == 1 && k.n > sizeof ret->b)
		rc = err_set(e, ERR_CORRUPT, "a key of %zu bytes", k.n);
	if (rc == 1) {
		memcpy(ret->b, k.p, k.n);
		ret->n = k.n;
	}
	store_scan_close(&sc);
	return rc;
}

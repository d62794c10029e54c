/* Where a message has been, as its Delivered-To fields say. */
#include "delivery/resolve.h"
#include "limits.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mailbox/address.h"

/* p == NULL: no address in it, or no memory. */
static slice canonical(slice value, struct arena *a)
{
	struct address_canonical c;
	struct mail_path path;
	if (mail_path_parse(value, MAIL_PATH_BARE | MAIL_PATH_UTF8, &path, NULL, NULL) < 0 ||
		path.kind != MAIL_PATH_IS_MAILBOX)
		return (slice){0};
	slice local = mail_path_local(a, &path);
	if (!local.p || !address_canonical(local, path.domain, &c))
		return (slice){0};
	return resolve_address_text(a, c.local, c.domain);
}

size_t delivery_delivered_to(slice message, struct arena *a, slice ret[LIMIT_DELIVERED_TO])
{
	struct mail_header_scan scan = mail_header_begin(message);
	struct mail_field f;
	size_t n = 0;
	while (n < LIMIT_DELIVERED_TO && mail_header_next(&scan, &f)) {
		if (!slice_ieq(f.name, S("Delivered-To")))
			continue;
		ret[n] = canonical(mail_header_unfolded(a, f.value), a);
		n += ret[n].p != NULL;
	}
	return n;
}

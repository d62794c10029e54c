/* Addresses: envelope paths, domains, address lists and what is made of them. First byte: flags. */
#include "base/encode.h"
#include "mail/address.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(slice in, unsigned flags, struct arena *a)
{
	struct mail_path path, again;
	struct buf b = BUF_INIT(4096);
	slice rest, canonical, twice;
	if (mail_path_parse(in, flags, &path, &rest, NULL) < 0)
		return;
	/* what is accepted is written and read again as the same */
	buf_add_c(&b, '<');
	mail_path_write(&b, &path);
	buf_add_c(&b, '>');
	if (mail_path_parse(buf_slice(&b), flags, &again, NULL, NULL) < 0 ||
		!slice_eq(path.local, again.local) || !slice_eq(path.domain, again.domain))
		abort();
	slice local = mail_path_local(a, &path);
	if (path.kind == MAIL_PATH_IS_MAILBOX) {
		if (mail_domain_canonical(a, path.domain, &canonical, NULL) < 0 ||
			mail_domain_canonical(a, canonical, &twice, NULL) < 0 || !slice_eq(canonical, twice))
			abort();
		if (mail_domain_display(a, path.domain, &twice, NULL) < 0)
			abort();
		if (mail_local_canonical(a, local, &canonical, NULL) == 0 &&
			(mail_local_canonical(a, canonical, &twice, NULL) < 0 || !slice_eq(canonical, twice)))
			abort();
	}
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *copy = malloc(size);
	memcpy(copy, data + 1, size - 1);
	copy = realloc(copy, size > 1 ? size - 1 : 1);
	slice in = {copy, size - 1};
	struct arena *a = arena_new((size_t)1 << 22);
	check_path(in, data[0] & 15, a);
	mail_domain_parse(in, data[0] & 1);
	struct mail_address_scan scan;
	struct mail_address m;
	size_t n = 0;
	mail_address_begin(&scan, in, a);
	while (mail_address_next(&scan, &m)) {
		if (++n > in.n * 2 + 2)
			abort();
		if (m.name.n + m.local.n + m.domain.n + m.route.n > in.n * 2)
			abort();
	}
	arena_free(a);
	free(copy);
	return 0;
}

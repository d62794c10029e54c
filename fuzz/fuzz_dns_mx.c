/* MX records of strangers: length-prefixed rdata one after the other, as one answer. */
#include "base/wire.h"
#include "dns/mx.h"
#include "limits.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct dns_mx *m, slice self)
{
	if (m->n > LIMIT_MX_HOSTS || (m->null_mx && (m->n > 0 || m->loop || m->broken)) ||
		(m->broken && (m->n > 0 || m->loop)))
		abort();
	if (m->n == 0 && !m->null_mx && !m->broken && !m->loop)
		abort();
	for (size_t i = 0; i < m->n; i++) {
		slice name = m->hosts[i].name;

		if (name.n == 0 || name.n > 253 || slice_ieq(name, self) ||
			(i > 0 && m->hosts[i - 1].preference > m->hosts[i].preference))
			abort();
		for (size_t k = 0; k < name.n; k++)
			if (!ascii_is_digit(name.p[k]) && (name.p[k] < 'a' || name.p[k] > 'z') &&
				name.p[k] != '-' && name.p[k] != '_' && name.p[k] != '.')
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(1 << 20);
	struct rd r = rd_of(slice_make(data, size));
	slice records[LIMIT_DNS_RECORDS];
	struct dns_mx m = {0};
	struct dns_address v;
	size_t n = 0;

	while (r.n > 0 && !r.bad && n < LIMIT_DNS_RECORDS) {
		slice one = rd_bytes(&r, size);

		if (r.bad)
			break;
		char *exact = malloc(one.n ? one.n : 1); /* so that a byte read too far is seen */
		if (one.n)
			memcpy(exact, one.p, one.n);
		records[n++] = slice_make(exact, one.n);
	}
	if (n > 0) {
		dns_mx_read(records, n, S("me"), a, &m);
		check(&m, S("me"));
	}
	for (size_t i = 0; i < n; i++) {
		dns_literal_parse(records[i], &v);
		free((void *)(uintptr_t)records[i].p);
	}
	arena_free(a);
	return 0;
}

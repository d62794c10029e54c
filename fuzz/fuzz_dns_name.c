/* Names in the rdata of strangers, and addresses turned round. */
#include "dns/dns.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Text that is accepted is harmless in logs and headers, and means the labels it was made from. */
static void check_name(slice rdata)
{
	char out[256], again[256];
	slice rest = rdata;

	if (!dns_name_text(&rest, out))
		return;
	size_t used = rdata.n - rest.n, n = strlen(out);
	if (rest.p != rdata.p + used || n == 0 || n > 253 || used != n + 2)
		abort();
	for (size_t i = 0, label = 0; i <= n; i++) {
		if (i == n || out[i] == '.') {
			if (label == 0 || (uint8_t)rdata.p[i - label] != label)
				abort();
			label = 0;
		} else if (out[i] != ascii_lower(rdata.p[i + 1]) || out[i] <= ' ' || out[i] > '~') {
			abort();
		} else {
			label++;
		}
	}
	for (size_t cut = 0; cut < used; cut++) { /* nothing shorter is a name */
		slice part = slice_make(rdata.p, cut);

		if (dns_name_text(&part, again) || part.n != cut)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char reverse[80];
	char *copy = malloc(size + 1);

	memcpy(copy, data, size);
	copy[size] = 0;
	if (dns_reverse_name(copy, reverse) &&
		(strlen(reverse) > 72 || !slice_ends(slice_of(reverse), S(".arpa"))))
		abort();
	char *exact = realloc(copy, size ? size : 1); /* so that a byte read too far is seen */
	check_name(slice_make(exact, size));
	free(exact);
	return 0;
}

/*
 * A record of a volume, as it is and with right checksums put in, so that the inside is reached. Every slice
 * that the reader shows lies in what it was given; what it accepts says how much of it there is.
 */
#include "base/hash.h"
#include "base/wire.h"
#include "store/volume.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void inside(slice whole, slice part)
{
	if (part.n > whole.n || part.p < whole.p || part.p + part.n > whole.p + whole.n)
		abort();
}

static void try(slice in)
{
	struct volume_head v;
	struct record r;
	struct record_blob b;
	struct record_op op;
	uint32_t blobs = 0, ops = 0;

	(void)!volume_head_read(in, &v, NULL);
	if (record_open(in, &r, NULL) < 0)
		return;
	while (record_blob_next(&r, &b)) {
		inside(r.all, b.bytes);
		if (b.bytes.p != r.all.p + b.offset)
			abort();
		blobs++;
	}
	while (record_op_next(&r, &op)) {
		inside(r.all, op.key);
		inside(r.all, op.value);
		ops++;
	}
	if (blobs != r.head.blobs || ops != r.head.ops || r.rest.n != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	if (n > 0)
		memcpy(copy, data, n);
	try(slice_make(copy, n));
	if (n >= RECORD_HEAD) {
		be64_put(copy + 24, n);
		be32_put(copy + 52, crc32c(0, copy + RECORD_HEAD, n - RECORD_HEAD));
		be32_put(copy + 60, crc32c(0, copy, 60));
		try(slice_make(copy, n));
	}
	free(copy);
	return 0;
}

/* A record of secrets as it lies on disk. What is read and written again is the same; damage is always
 * refused. */
#include "auth/record.h"
#include "base/wire.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void try(slice raw)
{
	struct buf again = BUF_INIT(4096);
	struct record r;
	err e;

	if (record_read(raw, &r, &e) == 0) {
		struct record second;

		record_write(&r, &again);
		if (again.failed || record_read(buf_slice(&again), &second, &e) < 0 ||
			memcmp(&r, &second, sizeof r))
			abort();
		if (r.argon.memory_kib > 262144 || r.argon.passes > 16 || !r.argon.passes)
			abort();
	}
	buf_free(&again);
}

/* As it is, and with a right checksum behind it, so that the inside is reached. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf sealed = BUF_INIT(1u << 20);

	try(slice_make(data, n));
	buf_add(&sealed, slice_make(data, n));
	wire_seal(&sealed, 0);
	if (!sealed.failed)
		try(buf_slice(&sealed));
	buf_free(&sealed);
	return 0;
}

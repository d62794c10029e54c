/* CRC32C (Castagnoli) over records, and a seeded hash (SipHash-1-3) for tables that strangers' bytes go into.
 */
#pragma once
#include "base/slice.h"

uint32_t crc32c(uint32_t crc, const void *p, size_t n); /* start with 0; feed the result back to go on */
/* The same on any processor; what crc32c falls back to. */
uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n);
uint64_t hash_keyed(const uint64_t key[2], slice s); /* SipHash-1-3 */
uint64_t hash_seeded(slice s);                       /* seed drawn once a process from getrandom */
/* Bytes from the kernel; never fails (a kernel without them ends the process). */
void random_bytes(void *p, size_t n);
uint64_t random_u64(void);
/* Compares in time that depends on n only. */
bool secret_eq(const void *a, const void *b, size_t n);

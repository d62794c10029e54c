#include "base/hash.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#define POLY 0x82f63b78u /* Castagnoli, reflected */

struct tables {
	uint32_t t[8][256];
	uint64_t seed[2];
	bool hardware;
};

static struct tables tables;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ POLY : c >> 1;
		tables.t[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			tables.t[k][i] = tables.t[k - 1][i] >> 8 ^ tables.t[0][tables.t[k - 1][i] & 255];
	random_bytes(tables.seed, sizeof tables.seed);
#ifdef __x86_64__
	tables.hardware = __builtin_cpu_supports("sse4.2");
#endif
}

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t c = crc;

	for (; n >= 8; p += 8, n -= 8)
		c = _mm_crc32_u64(c, load64(p));
	for (; n > 0; p++, n--)
		c = _mm_crc32_u8((uint32_t)c, *p);
	return (uint32_t)c;
}
#endif

static uint32_t crc_tables(uint32_t c, const uint8_t *p, size_t n)
{
	const uint32_t(*t)[256] = tables.t;

	for (; n >= 8; p += 8, n -= 8) { /* little-endian machines only: x86-64 and arm64 */
		uint64_t v = load64(p) ^ c;

		c = t[7][v & 255] ^ t[6][v >> 8 & 255] ^ t[5][v >> 16 & 255] ^ t[4][v >> 24 & 255] ^
		    t[3][v >> 32 & 255] ^ t[2][v >> 40 & 255] ^ t[1][v >> 48 & 255] ^ t[0][v >> 56];
	}
	for (; n > 0; p++, n--)
		c = c >> 8 ^ t[0][(c ^ *p) & 255];
	return c;
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
	pthread_once(&once, make_tables);
#ifdef __x86_64__
	if (tables.hardware)
		return ~crc_hardware(~crc, p, n);
#endif
	return ~crc_tables(~crc, p, n);
}

static uint64_t rotl(uint64_t v, int k)
{
	return v << k | v >> (64 - k);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
	v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
}

uint64_t hash_seeded(slice s)
{
	pthread_once(&once, make_tables);
	uint64_t k0 = tables.seed[0], k1 = tables.seed[1];
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
	        k1 ^ 0x7465646279746573u};
	const uint8_t *p = (const uint8_t *)s.p;
	uint64_t last = (uint64_t)s.n << 56;
	size_t n = s.n;

	for (; n >= 8; p += 8, n -= 8) {
		uint64_t m = load64(p);

		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	for (size_t i = 0; i < n; i++)
		last |= (uint64_t)p[i] << 8 * i;
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 255;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void random_bytes(void *p, size_t n)
{
	uint8_t *to = p;

	while (n > 0) {
		ssize_t got = getrandom(to, n, 0);

		if (got < 0 && errno != EINTR)
			abort();
		if (got > 0) {
			to += got;
			n -= (size_t)got;
		}
	}
}

uint64_t random_u64(void)
{
	uint64_t v;

	random_bytes(&v, sizeof v);
	return v;
}

bool secret_eq(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < n; i++)
		differ |= (uint8_t)(x[i] ^ y[i]);
	return differ == 0;
}

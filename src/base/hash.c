#include "base/hash.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#ifdef __x86_64__
#include <nmmintrin.h>
#include <wmmintrin.h>
#endif

/*
 * CRC32C, reflected polynomial 0x82F63B78. A table entry is the XOR of the entries of its bits, so eight
 * numbers a table say it all and the compiler makes the tables: entry i of table k is the CRC of the byte i
 * followed by k zero bytes.
 */
#define CRC_E(i, a, b, c, d, e, f, g, h)                                                                     \
	(((i)&1 ? a : 0) ^ ((i)&2 ? b : 0) ^ ((i)&4 ? c : 0) ^ ((i)&8 ? d : 0) ^ ((i)&16 ? e : 0) ^          \
		((i)&32 ? f : 0) ^ ((i)&64 ? g : 0) ^ ((i)&128 ? h : 0))
#define CRC_4(i, ...)                                                                                        \
	CRC_E(i, __VA_ARGS__), CRC_E(i + 1, __VA_ARGS__), CRC_E(i + 2, __VA_ARGS__), CRC_E(i + 3, __VA_ARGS__)
#define CRC_16(i, ...)                                                                                       \
	CRC_4(i, __VA_ARGS__), CRC_4(i + 4, __VA_ARGS__), CRC_4(i + 8, __VA_ARGS__),                         \
		CRC_4(i + 12, __VA_ARGS__)
#define CRC_64(i, ...)                                                                                       \
	CRC_16(i, __VA_ARGS__), CRC_16(i + 16, __VA_ARGS__), CRC_16(i + 32, __VA_ARGS__),                    \
		CRC_16(i + 48, __VA_ARGS__)
#define CRC_TABLE(...)                                                                                       \
	{                                                                                                    \
		CRC_64(0, __VA_ARGS__), CRC_64(64, __VA_ARGS__), CRC_64(128, __VA_ARGS__),                   \
			CRC_64(192, __VA_ARGS__)                                                             \
	}

static const uint32_t crc_table[8][256] = {
	CRC_TABLE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc,
		0x82f63b78),
	CRC_TABLE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604,
		0xfbc3faf9),
	CRC_TABLE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9,
		0x8b277743),
	CRC_TABLE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7,
		0x52a0c93f),
	CRC_TABLE(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae,
		0x6ea2d55c),
	CRC_TABLE(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb,
		0x1c08b7d6),
	CRC_TABLE(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a,
		0xf56e0ef4),
	CRC_TABLE(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32,
		0x34019664),
};

static uint64_t load_le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;

	crc = ~crc;
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t v = load_le64(p) ^ crc;

		crc = 0;
		for (unsigned i = 0; i < 8; i++)
			crc ^= crc_table[7 - i][v >> 8 * i & 255];
	}
	for (; n; p++, n--)
		crc = crc_table[0][(crc ^ *p) & 255] ^ crc >> 8;
	return ~crc;
}

#ifdef __x86_64__
#define CRC_LONG        512u /* bytes of a lane */
#define CRC_SHORT       128u
#define CRC_ROUND(lane) (3 * (size_t)(lane) + 8)

/* What the CRC becomes by zero bytes behind it, as the 8 bytes to be fed in: by is x^(8 * zeroes - 33) mod P.
 */
__attribute__((target("sse4.2,pclmul"))) static uint64_t crc_shift(uint32_t crc, uint32_t by)
{
	return (uint64_t)_mm_cvtsi128_si64(
		_mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi64_si128((long long)by), 0));
}

/*
 * One round: three lanes at once, because the instruction takes three cycles and a new one can begin in each,
 * then 8 bytes, with which the first two lanes come in. by2, by1: shifts of two lanes and 8 bytes, and of
 * one.
 */
__attribute__((target("sse4.2,pclmul"))) static uint32_t crc_round(
	uint32_t crc, const uint8_t *p, size_t lane, uint32_t by2, uint32_t by1)
{
	uint64_t a = crc, b = 0, c = 0;

	for (size_t i = 0; i < lane; i += 8) {
		a = _mm_crc32_u64(a, load_le64(p + i));
		b = _mm_crc32_u64(b, load_le64(p + lane + i));
		c = _mm_crc32_u64(c, load_le64(p + 2 * lane + i));
	}
	uint64_t in = crc_shift((uint32_t)a, by2) ^ crc_shift((uint32_t)b, by1);
	return (uint32_t)_mm_crc32_u64(c, load_le64(p + 3 * lane) ^ in);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc32c_sse(uint32_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;

	crc = ~crc;
	for (; n >= CRC_ROUND(CRC_LONG); p += CRC_ROUND(CRC_LONG), n -= CRC_ROUND(CRC_LONG))
		crc = crc_round(crc, p, CRC_LONG, 0xfe314258, 0xbd6f81f8);
	for (; n >= CRC_ROUND(CRC_SHORT); p += CRC_ROUND(CRC_SHORT), n -= CRC_ROUND(CRC_SHORT))
		crc = crc_round(crc, p, CRC_SHORT, 0xdcb17aa4, 0x6992cea2);
	for (; n >= 8; p += 8, n -= 8)
		crc = (uint32_t)_mm_crc32_u64(crc, load_le64(p));
	for (; n; p++, n--)
		crc = _mm_crc32_u8(crc, *p);
	return ~crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
		return crc32c_sse(crc, p, n);
#endif
	return crc32c_portable(crc, p, n);
}

struct sip {
	uint64_t a, b, c, d;
};

static uint64_t rotl(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static void sip_round(struct sip *s)
{
	s->a += s->b, s->b = rotl(s->b, 13) ^ s->a, s->a = rotl(s->a, 32);
	s->c += s->d, s->d = rotl(s->d, 16) ^ s->c;
	s->a += s->d, s->d = rotl(s->d, 21) ^ s->a;
	s->c += s->b, s->b = rotl(s->b, 17) ^ s->c, s->c = rotl(s->c, 32);
}

uint64_t hash_keyed(const uint64_t key[2], slice in)
{
	struct sip s = {
		key[0] ^ 0x736f6d6570736575,
		key[1] ^ 0x646f72616e646f6d,
		key[0] ^ 0x6c7967656e657261,
		key[1] ^ 0x7465646279746573,
	};
	const uint8_t *p = (const uint8_t *)in.p;
	size_t left = in.n;
	uint64_t last = (uint64_t)in.n << 56;

	for (; left >= 8; p += 8, left -= 8) {
		uint64_t m = load_le64(p);

		s.d ^= m;
		sip_round(&s);
		s.a ^= m;
	}
	for (size_t i = 0; i < left; i++)
		last |= (uint64_t)p[i] << 8 * i;
	s.d ^= last;
	sip_round(&s);
	s.a ^= last;
	s.c ^= 255;
	for (int i = 0; i < 3; i++)
		sip_round(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}

/* Mutable by design: drawn once, then only read. */
static uint64_t seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_draw(void)
{
	random_bytes(seed, sizeof seed);
}

uint64_t hash_seeded(slice s)
{
	pthread_once(&seed_once, seed_draw);
	return hash_keyed(seed, s);
}

void random_bytes(void *p, size_t n)
{
	char *at = p;

	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		at += got;
		n -= (size_t)got;
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

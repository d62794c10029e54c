#include "auth/key.h"
#include "base/wire.h"

#define HEAD_13 "TLS 1.3, server CertificateVerify"

static bool is_tls13(slice t)
{
	const size_t head = 64 + sizeof HEAD_13; /* the NUL counts */

	if (t.n != head + 32 && t.n != head + 48)
		return false;
	for (size_t i = 0; i < 64; i++)
		if (t.p[i] != ' ')
			return false;
	return memcmp(t.p + 64, HEAD_13, sizeof HEAD_13) == 0;
}

static const struct {
	uint16_t curve;
	uint8_t point;
	bool uncompressed; /* begins with 4: RFC 8422 5.4.1 */
} curves[] = {
	{0x001d, 32, false}, /* X25519 */
	{0x0017, 65, true},  /* P-256 */
	{0x0018, 97, true},  /* P-384 */
};

static bool is_tls12(slice t)
{
	struct rd r = rd_of(slice_skip(t, 64));
	uint8_t type = rd_u8(&r);
	uint16_t curve = rd_u16(&r);
	uint8_t n = rd_u8(&r);
	slice point = rd_raw(&r, n);

	if (t.n < 64 || !rd_done(&r) || type != 3)
		return false;
	for (size_t i = 0; i < COUNT_OF(curves); i++)
		if (curves[i].curve == curve)
			return curves[i].point == n && (!curves[i].uncompressed || point.p[0] == 4);
	return false;
}

enum key_text key_text_check(slice text)
{
	return is_tls13(text) ? KEY_TEXT_TLS13 : is_tls12(text) ? KEY_TEXT_TLS12 : KEY_TEXT_BAD;
}

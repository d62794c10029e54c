#include "admin/frame.h"
#include "base/wire.h"

void admin_frame_head_write(uint32_t n, uint8_t ret[ADMIN_FRAME_HEAD])
{
	be32_put(ret, n);
}

bool admin_frame_head_read(const uint8_t head[ADMIN_FRAME_HEAD], uint32_t max, uint32_t *ret_n)
{
	uint32_t n = be32_get(head);

	if (n == 0 || n > max)
		return false;
	*ret_n = n;
	return true;
}

bool admin_json_depth(slice text, unsigned max)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '[' || c == '{') {
			if (++depth > max)
				return false;
		} else if ((c == ']' || c == '}') && depth > 0) {
			depth--;
		}
	}
	return true;
}

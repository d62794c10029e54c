#include "mail/preview.h"
#include "limits.h"
#include "mail/utf8.h"

/* Senders pad previews with these; bidi controls could turn the rest of a list line around. */
static const struct {
	int32_t first, last;
} unseen[] = {{0x00AD, 0x00AD}, {0x034F, 0x034F}, {0x061C, 0x061C}, {0x115F, 0x1160}, {0x17B4, 0x17B5},
	{0x180B, 0x180F}, {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x206F}, {0xFE00, 0xFE0F},
	{0xFEFF, 0xFEFF}};

static bool is_unseen(int32_t c)
{
	for (size_t i = 0; i < sizeof unseen / sizeof *unseen; i++) {
		if (c >= unseen[i].first && c <= unseen[i].last)
			return true;
	}
	return false;
}

static bool is_space(int32_t c)
{
	return c <= ' ' || (c >= 0x7F && c <= 0xA0) || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
	       c == 0x2029 || c == 0x202F || c == 0x3000;
}

void mail_preview(struct buf *out, slice text)
{
	size_t shown = 0, i = 0;
	bool gap = false, line_start = true;
	while (i < text.n && shown < LIMIT_MAIL_PREVIEW) {
		if (line_start && text.p[i] == '>') {
			const char *lf = memchr(text.p + i, '\n', text.n - i);
			i = lf ? (size_t)(lf - text.p) + 1 : text.n;
			gap = true;
			continue;
		}
		line_start = text.p[i] == '\n';
		int32_t c = utf8_take(text, &i);
		if (c < 0 || (c > 127 && is_unseen(c)))
			continue;
		if (is_space(c)) {
			gap = true;
			continue;
		}
		if (gap && shown) {
			buf_add_c(out, ' ');
			if (++shown == LIMIT_MAIL_PREVIEW)
				break;
		}
		gap = false;
		utf8_put(out, (uint32_t)c);
		shown++;
	}
}

#include "imap/name.h"
#include "base/encode.h"
#include "imap/write.h"
#include "limits.h"
#include "mail/text.h"

#define SEPARATOR '/'

bool imap_name_read(slice wire, bool utf8, struct arena *a, slice *ret)
{
	struct buf out = BUF_INIT(LIMIT_IMAP_NAME);
	bool good;

	if (wire.n > LIMIT_IMAP_NAME)
		return false;
	if (utf8) {
		good = utf8_valid(wire) && !memchr(wire.p, 0, wire.n);
		if (good)
			*ret = wire;
		return good;
	}
	good = mail_utf7_read(&out, wire) && !out.failed;
	if (good) {
		slice copy = arena_copy(a, buf_slice(&out));
		good = copy.p != NULL;
		if (good)
			*ret = copy;
	}
	buf_free(&out);
	return good;
}

void imap_name_write(struct buf *out, slice path, bool utf8)
{
	struct buf wire = BUF_INIT(4 * LIMIT_IMAP_NAME);

	if (!utf8 && mail_utf7_write(&wire, path))
		path = buf_slice(&wire);
	imap_write_string(out, path, true);
	buf_free(&wire);
}

static bool same(slice pattern, size_t p, slice path, size_t s, size_t inbox)
{
	return s < inbox ? ascii_upper(pattern.p[p]) == path.p[s] : pattern.p[p] == path.p[s];
}

/*
 * Only the last star, and the last percent behind it, need another try: what stands before them was matched
 * as early as it can be, and a percent cannot move over a '/' that is matched by itself.
 */
bool imap_name_match(slice pattern, slice path)
{
	bool is_inbox = slice_eq(path, S("INBOX")) || slice_starts(path, S("INBOX/"));
	size_t inbox = is_inbox ? 5 : 0, p = 0, s = 0;
	size_t star = SIZE_MAX, star_at = 0, percent = SIZE_MAX, percent_at = 0;

	while (s < path.n || p < pattern.n) {
		char c = p < pattern.n ? pattern.p[p] : 0;

		if (c == '*') {
			star = ++p;
			star_at = s;
			percent = SIZE_MAX;
		} else if (c == '%') {
			percent = ++p;
			percent_at = s;
		} else if (p < pattern.n && s < path.n && same(pattern, p, path, s, inbox)) {
			p++;
			s++;
		} else if (percent != SIZE_MAX && percent_at < path.n && path.p[percent_at] != SEPARATOR) {
			p = percent;
			s = ++percent_at;
		} else if (star != SIZE_MAX && star_at < path.n) {
			p = star;
			s = ++star_at;
			percent = SIZE_MAX;
		} else {
			return false;
		}
	}
	return true;
}

slice imap_name_pattern(slice reference, slice pattern, struct arena *a)
{
	if (reference.n + pattern.n > LIMIT_IMAP_NAME)
		return (slice){NULL, 0};
	if (reference.n == 0 || (pattern.n > 0 && pattern.p[0] == SEPARATOR))
		return pattern;
	return arena_fmt(
		a, "%.*s%.*s", (int)reference.n, reference.p, (int)pattern.n, pattern.n ? pattern.p : "");
}

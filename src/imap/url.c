#include "imap/url.h"
#include "base/encode.h"

static int hex(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(slice in, struct arena *a, slice *ret)
{
	char *to = arena_new_n(a, char, in.n + 1);
	size_t n = 0;

	for (size_t i = 0; to && i < in.n; i++) {
		char c = in.p[i];

		if (c == '%') {
			int high = i + 2 < in.n ? hex(in.p[i + 1]) : -1,
			    low = high >= 0 ? hex(in.p[i + 2]) : -1;
			if (low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if ((unsigned char)c < ' ' || c == 127)
			return false;
		to[n++] = c;
	}
	if (!to)
		return false;
	*ret = slice_make(to, n);
	return utf8_valid(*ret);
}

/* Takes "/;NAME=value" off the end of *in. False: its value is missing or nothing. *ret.p == NULL: it is not
 * there. */
static bool take_tail(slice *in, slice name, slice *ret)
{
	ptrdiff_t at = slice_ifind(*in, name);

	*ret = (slice){NULL, 0};
	if (at < 0)
		return true;
	*ret = slice_skip(*in, (size_t)at + name.n);
	in->n = (size_t)at;
	return ret->n > 0;
}

static bool take_partial(slice text, struct imap_url *ret)
{
	slice from;

	ret->has_count = slice_cut(&text, '.', &from);
	if (!ret->has_count)
		return slice_to_u64(text, INT64_MAX, &ret->from);
	return slice_to_u64(from, INT64_MAX, &ret->from) && slice_to_u64(text, INT64_MAX, &ret->count) &&
	       ret->count > 0;
}

static bool take_nz(slice text, uint32_t *ret)
{
	return slice_to_u32(text, UINT32_MAX, ret) && *ret != 0;
}

bool imap_url_parse(slice in, struct arena *a, struct imap_url *ret)
{
	struct imap_url u = {0};
	slice partial, section, uid, validity;

	if (slice_ifind(in, S(";URLAUTH=")) >= 0 || slice_starts(in, S("//")))
		return false;
	if (!take_tail(&in, S("/;PARTIAL="), &partial) || !take_tail(&in, S("/;SECTION="), &section))
		return false;
	if (slice_istarts(in, S(";UID="))) {
		uid = slice_skip(in, 5);
		in.n = 0;
	} else if (!slice_starts(in, S("/")) || !take_tail(&in, S("/;UID="), &uid) || !uid.p) {
		return false;
	}
	if (!take_tail(&in, S(";UIDVALIDITY="), &validity) || !take_nz(uid, &u.uid) ||
		(validity.p && !take_nz(validity, &u.uidvalidity)) ||
		(partial.p && !take_partial(partial, &u)) || (section.p && !decode(section, a, &u.section)))
		return false;
	if (in.n > 1 && !decode(slice_skip(in, 1), a, &u.mailbox))
		return false;
	if (in.n <= 1 && validity.p)
		return false;
	*ret = u;
	return true;
}

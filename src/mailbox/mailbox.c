/* Mailbox rows on a snapshot: by id, by path, keywords. */
#include "mailbox/mailbox.h"
#include "base/encode.h"
#include "mailbox/folder.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

/* The path in NFC; *path stays as it is when it is that already. */
static bool normalise(struct folder_path *p, slice *path)
{
	UChar in[LIMIT_MAILBOX_PATH], out[LIMIT_MAILBOX_PATH]; /* never more units than bytes */
	UErrorCode code = U_ZERO_ERROR;
	int32_t n = 0;
	const UNormalizer2 *nfc = unorm2_getNFCInstance(&code);
	u_strFromUTF8(in, COUNT_OF(in), &n, path->p, (int32_t)path->n, &code);
	if (U_FAILURE(code))
		return false;
	if (unorm2_isNormalized(nfc, in, n, &code) && U_SUCCESS(code))
		return true;
	n = unorm2_normalize(nfc, in, n, out, COUNT_OF(out), &code);
	u_strToUTF8(p->bytes, sizeof p->bytes, &n, out, n, &code);
	if (U_FAILURE(code))
		return false;
	*path = slice_make(p->bytes, (size_t)n);
	return true;
}

/* Also those of Unicode, and its separators of lines and paragraphs (RFC 6855 3). UTF-8. */
static bool has_control(slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0))
			return true;
		if (c == 0xe2 && (unsigned char)s.p[i + 1] == 0x80 &&
			((unsigned char)s.p[i + 2] & 0xfe) == 0xa8)
			return true;
	}
	return false;
}

int folder_path_parse(slice path, struct folder_path *ret, err *e)
{
	if (path.n > LIMIT_MAILBOX_PATH)
		return err_set(e, ERR_LIMIT, "a mailbox name is at most %d bytes", LIMIT_MAILBOX_PATH);
	if (!utf8_valid(path) || (!ascii_only(path) && !normalise(ret, &path)))
		return err_set(e, ERR_SYNTAX, "a mailbox name must be UTF-8");
	if (path.n && path.p[path.n - 1] == MAILBOX_SEPARATOR)
		path.n--;
	ret->n = 0;
	for (bool more = true; more;) {
		slice level;
		more = slice_cut(&path, MAILBOX_SEPARATOR, &level);
		if (!more)
			level = path;
		if (level.n == 0)
			return err_set(e, ERR_SYNTAX, "a mailbox name has an empty level");
		if (level.n > LIMIT_MAILBOX_NAME || ret->n == LIMIT_MAILBOX_DEPTH)
			return err_set(e, ERR_LIMIT, "a mailbox name is at most %d levels of %d bytes",
				LIMIT_MAILBOX_DEPTH, LIMIT_MAILBOX_NAME);
		if (has_control(level))
			return err_set(e, ERR_SYNTAX, "a mailbox name has a control character");
		ret->level[ret->n++] = level;
	}
	if (slice_ieq(ret->level[0], S("INBOX")))
		ret->level[0] = S("INBOX");
	return 0;
}

int folder_find(struct view v, uint32_t account, const struct folder_path *path, unsigned n, uint32_t *ret,
	unsigned *ret_known, err *e)
{
	struct key_name k;
	uint32_t id = 0;
	slice value;
	for (unsigned i = 0; i < n; i++) {
		key_name(&k, account, id, path->level[i]);
		int rc = view_get(v, KEY_SLICE(k), &value, e);
		if (rc < 0 || (rc == 1 && row_id_get(value, &id, e) < 0))
			return -1;
		if (rc == 0) {
			*ret = id;
			if (ret_known)
				*ret_known = i;
			return 0;
		}
	}
	*ret = id;
	if (ret_known)
		*ret_known = n;
	return 1;
}

int folder_get(struct view v, uint32_t account, uint32_t mailbox, struct mailbox_row *ret, err *e)
{
	struct key k = key_mailbox(account, mailbox);
	slice value;
	int rc = view_get(v, KEY_SLICE(k), &value, e);
	if (rc <= 0)
		return rc;
	return row_mailbox_get(value, account, mailbox, ret, e) < 0 ? -1 : 1;
}

int folder_path_of(struct view v, const struct mailbox_row *row, struct arena *a, slice *ret, err *e)
{
	slice level[LIMIT_MAILBOX_DEPTH];
	size_t n = 0, bytes = 0;
	struct mailbox_row at = *row;

	for (;;) {
		level[n++] = at.name;
		bytes += at.name.n + 1;
		if (at.parent == 0)
			break;
		int rc = n < COUNT_OF(level) ? folder_get(v, row->account, at.parent, &at, e) : 0;
		if (rc <= 0)
			return rc < 0 ? -1 : err_set(e, ERR_CORRUPT, "mailbox %u has no parent", row->id);
	}
	char *p = arena_new_n(a, char, bytes);
	if (!p)
		return err_set(e, ERR_LIMIT, "no room for the path of a mailbox");
	*ret = slice_make(p, bytes - 1);
	while (n-- > 0) {
		memcpy(p, level[n].p, level[n].n);
		p += level[n].n;
		*p++ = n > 0 ? MAILBOX_SEPARATOR : 0;
	}
	return 0;
}

int folder_has_children(struct view v, uint32_t account, uint32_t mailbox, err *e)
{
	struct key_name prefix, child;
	key_name(&prefix, account, mailbox, (slice){0});
	return view_first(v, KEY_SLICE(prefix), &child, e);
}

int mailbox_get(struct store_snap *snap, uint32_t account, uint32_t mailbox, struct mailbox_row *ret, err *e)
{
	struct mailbox_row m;
	int rc = folder_get(view_snap(snap), account, mailbox, &m, e);
	if (rc <= 0 || m.removed)
		return rc < 0 ? -1 : 0;
	*ret = m;
	return 1;
}

int mailbox_find(struct store_snap *snap, uint32_t account, slice path, struct mailbox_row *ret, err *e)
{
	struct folder_path p;
	uint32_t id;
	if (folder_path_parse(path, &p, NULL) < 0)
		return 0;
	int rc = folder_find(view_snap(snap), account, &p, p.n, &id, NULL, e);
	return rc <= 0 ? rc : mailbox_get(snap, account, id, ret, e);
}

/* ---- keywords ---- */

static bool keyword_next(slice *table, slice *ret)
{
	return table->n && slice_cut(table, 0, ret);
}

slice mailbox_keyword_name(const struct mailbox_row *m, unsigned bit)
{
	slice table = m->keywords, name;
	for (unsigned i = 0; keyword_next(&table, &name); i++)
		if (i == bit)
			return name;
	return (slice){0};
}

int mailbox_keyword_bit(const struct mailbox_row *m, slice wanted)
{
	slice table = m->keywords, name;
	for (int i = 0; keyword_next(&table, &name); i++)
		if (slice_ieq(name, wanted))
			return i;
	return -1;
}

unsigned mailbox_keyword_count(const struct mailbox_row *m)
{
	slice table = m->keywords, name;
	unsigned n = 0;
	while (keyword_next(&table, &name))
		n++;
	return n;
}

#include "imap/write.h"
#include "base/cleanup.h"
#include "base/encode.h"

static const struct {
	slice name;
	uint8_t bit;
} flag_names[] = {
	{SLICE_INIT("\\Answered"), FLAG_ANSWERED},
	{SLICE_INIT("\\Flagged"), FLAG_FLAGGED},
	{SLICE_INIT("\\Deleted"), FLAG_DELETED},
	{SLICE_INIT("\\Seen"), FLAG_SEEN},
	{SLICE_INIT("\\Draft"), FLAG_DRAFT},
};

static const slice use_names[] = {
	[USE_NONE] = SLICE_INIT(""),
	[USE_DRAFTS] = SLICE_INIT("\\Drafts"),
	[USE_SENT] = SLICE_INIT("\\Sent"),
	[USE_TRASH] = SLICE_INIT("\\Trash"),
	[USE_JUNK] = SLICE_INIT("\\Junk"),
	[USE_ARCHIVE] = SLICE_INIT("\\Archive"),
	[USE_ALL] = SLICE_INIT("\\All"),
	[USE_FLAGGED] = SLICE_INIT("\\Flagged"),
	[USE_IMPORTANT] = SLICE_INIT("\\Important"),
};

/* QUOTED-CHAR: ASCII (RFC 3501 9); what is UTF-8 too (RFC 9051 9), where the caller says so. */
static bool quotable(slice s, bool utf8)
{
	if (s.n > 1000)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == 0 || s.p[i] == '\r' || s.p[i] == '\n')
			return false;
	}
	return ascii_only(s) || (utf8 && utf8_valid(s));
}

void imap_write_string(struct buf *out, slice s, bool utf8)
{
	if (!quotable(s, utf8)) {
		buf_add_c(out, '{');
		imap_write_u64(out, s.n);
		buf_add(out, S("}\r\n"));
		for (size_t i = 0; i < s.n; i++)
			buf_add_c(out, s.p[i] ? s.p[i] : '?');
		return;
	}
	buf_add_c(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_add_c(out, '\\');
		buf_add_c(out, s.p[i]);
	}
	buf_add_c(out, '"');
}

/* Of every response: straight into the buffer. */
void imap_write_u64(struct buf *out, uint64_t v)
{
	size_t n = 1;

	for (uint64_t left = v; left > 9; left /= 10)
		n++;
	char *p = buf_room(out, n);
	if (!p)
		return;
	for (size_t at = n; at > 0; v /= 10)
		p[--at] = (char)('0' + v % 10);
	buf_grow(out, n);
}

void imap_write_range(struct buf *out, const struct uid_range *r)
{
	imap_write_u64(out, r->first);
	if (r->last != r->first) {
		buf_add_c(out, ':');
		imap_write_u64(out, r->last);
	}
}

void imap_write_uids(struct buf *out, const struct uidset *set)
{
	struct uidset_scan sc = uidset_scan_from(set, 1);
	struct uid_range r;

	for (bool first = true; uidset_scan_next(&sc, &r); first = false) {
		if (!first)
			buf_add_c(out, ',');
		imap_write_range(out, &r);
	}
}

void imap_write_flags(
	struct buf *out, uint8_t flags, uint64_t keywords, const struct mailbox_row *keywords_of)
{
	bool blank = false;

	for (size_t i = 0; i < COUNT_OF(flag_names); i++) {
		if (!(flags & flag_names[i].bit))
			continue;
		if (blank)
			buf_add_c(out, ' ');
		buf_add(out, flag_names[i].name);
		blank = true;
	}
	for (unsigned bit = 0; keywords != 0 && keywords_of; bit++, keywords >>= 1) {
		slice name = keywords & 1 ? mailbox_keyword_name(keywords_of, bit) : (slice){NULL, 0};

		if (name.n == 0)
			continue;
		if (blank)
			buf_add_c(out, ' ');
		buf_add(out, name);
		blank = true;
	}
}

uint8_t imap_flag_bit(slice name)
{
	for (size_t i = 0; i < COUNT_OF(flag_names); i++) {
		if (slice_ieq(name, flag_names[i].name))
			return flag_names[i].bit;
	}
	return 0;
}

slice imap_use_name(enum mailbox_use use)
{
	return (size_t)use < COUNT_OF(use_names) ? use_names[use] : use_names[USE_NONE];
}

enum mailbox_use imap_use_of(slice name)
{
	for (size_t i = 1; i < COUNT_OF(use_names); i++) {
		if (slice_ieq(name, use_names[i]))
			return (enum mailbox_use)i;
	}
	return USE_NONE;
}

const char *imap_error_code(enum err_kind kind)
{
	static const char *const codes[] = {
		[ERR_SYNTAX] = "[CANNOT] ",
		[ERR_LIMIT] = "[LIMIT] ",
		[ERR_DENIED] = "[CANNOT] ",
		[ERR_NOPERM] = "[NOPERM] ",
		[ERR_MISSING] = "[NONEXISTENT] ",
		[ERR_EXISTS] = "[ALREADYEXISTS] ",
		[ERR_QUOTA] = "[OVERQUOTA] ",
		[ERR_TEMP] = "[UNAVAILABLE] ",
		[ERR_IO] = "[SERVERBUG] ",
		[ERR_CORRUPT] = "[CORRUPTION] ",
	};
	return (size_t)kind < COUNT_OF(codes) && codes[kind] ? codes[kind] : "";
}

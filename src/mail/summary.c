/* Reading a summary. The record comes from a less trusted role: every number is checked where it is used. */
#include "base/encode.h"
#include "base/wire.h"
#include "mail/chars.h"
#include "mail/summary_int.h"

int mail_summary_open(slice record, struct mail_summary *ret, err *e)
{
	struct rd r = rd_of(record);
	uint8_t version = rd_u8(&r);
	if (version != SUMMARY_VERSION)
		return err_set(e, ERR_CORRUPT, "message summary of the unknown version %u", version);
	rd_u8(&r);
	struct mail_summary s = {.parts = rd_u16(&r)};
	s.flags = rd_u32(&r);
	s.size = rd_u32(&r);
	slice *sections[SUMMARY_SECTIONS] = {&s.envelope, &s.bodystructure, &s.body, &s.preview,
		&s.part_table, &s.envelope_table, &s.text};
	uint32_t lengths[SUMMARY_SECTIONS];
	for (int i = 0; i < SUMMARY_SECTIONS; i++)
		lengths[i] = rd_u32(&r);
	for (int i = 0; i < SUMMARY_SECTIONS; i++)
		*sections[i] = rd_raw(&r, lengths[i]);
	if (!rd_done(&r) || s.parts == 0 || s.parts > LIMIT_MAIL_PARTS ||
		s.part_table.n != s.parts * (size_t)SUMMARY_PART || s.envelope_table.n % SUMMARY_ENVELOPE)
		return err_set(e, ERR_CORRUPT, "damaged message summary");
	*ret = s;
	return 0;
}

size_t mail_summary_front(slice record)
{
	if (record.n < SUMMARY_HEAD || record.p[0] != SUMMARY_VERSION)
		return 0;
	uint32_t envelope = be32_get(record.p + 12);
	return envelope <= record.n - SUMMARY_HEAD ? SUMMARY_HEAD + (size_t)envelope : 0;
}

int mail_summary_front_open(slice front, struct mail_summary *ret, err *e)
{
	size_t n = mail_summary_front(front);
	if (n == 0)
		return err_set(e, ERR_CORRUPT, "damaged message summary");
	*ret = (struct mail_summary){
		.flags = be32_get(front.p + 4),
		.size = be32_get(front.p + 8),
		.envelope = slice_make(front.p + SUMMARY_HEAD, n - SUMMARY_HEAD),
	};
	return 0;
}

struct row { /* a part's row: what is not in struct mail_part */
	struct mail_part part;
	uint16_t envelope;
};

static uint32_t take_link(struct rd *r)
{
	uint16_t v = rd_u16(r);
	return v == SUMMARY_NO_PART ? MAIL_NONE : v;
}

static int read_row(const struct mail_summary *s, uint32_t index, struct row *ret)
{
	struct row row = {0};
	struct mail_part *p = &row.part;
	if (index >= s->parts)
		return -1;
	struct rd r = rd_of(slice_sub(s->part_table, (size_t)index * SUMMARY_PART, SUMMARY_PART));
	uint8_t kind = rd_u8(&r), encoding = rd_u8(&r), attachment = rd_u8(&r), zero = rd_u8(&r);
	if (kind > MAIL_PART_MESSAGE || encoding > MAIL_ENCODING_OTHER || attachment > 1 || zero)
		return -1;
	p->kind = (enum mail_part_kind)kind;
	p->encoding = (enum mail_encoding)encoding;
	p->attachment = attachment;
	p->parent = take_link(&r);
	p->child = take_link(&r);
	p->next = take_link(&r);
	row.envelope = rd_u16(&r);
	p->header_off = rd_u32(&r);
	p->header_len = rd_u32(&r);
	p->body_off = rd_u32(&r);
	p->body_len = rd_u32(&r);
	p->lines = rd_u32(&r);
	uint32_t off = rd_u32(&r);
	uint8_t type = rd_u8(&r), subtype = rd_u8(&r), charset = rd_u8(&r);
	zero = rd_u8(&r);
	uint16_t name = rd_u16(&r), id = rd_u16(&r);
	struct rd text = rd_of(slice_skip(s->text, off));
	text.bad = off > s->text.n || !rd_done(&r) || zero;
	p->type = rd_raw(&text, type);
	p->subtype = rd_raw(&text, subtype);
	p->charset = rd_raw(&text, charset);
	p->name = rd_raw(&text, name);
	p->id = rd_raw(&text, id);
	if (text.bad || (uint64_t)p->header_off + p->header_len > s->size ||
		(uint64_t)p->body_off + p->body_len > s->size)
		return -1;
	*ret = row;
	return 0;
}

int mail_summary_part(const struct mail_summary *s, uint32_t index, struct mail_part *ret)
{
	struct row row;
	if (read_row(s, index, &row) < 0)
		return -1;
	*ret = row.part;
	return 0;
}

static int read_envelope(const struct mail_summary *s, uint32_t row, struct mail_envelope *ret)
{
	struct mail_envelope v = {0};
	slice *fields = summary_fields(&v);
	if (row >= s->envelope_table.n / SUMMARY_ENVELOPE)
		return -1;
	struct rd r = rd_of(slice_sub(s->envelope_table, (size_t)row * SUMMARY_ENVELOPE, SUMMARY_ENVELOPE));
	uint32_t off = rd_u32(&r);
	struct rd text = rd_of(slice_skip(s->text, off));
	text.bad = off > s->text.n;
	for (int i = 0; i < SUMMARY_FIELDS; i++) {
		uint32_t n = rd_u32(&r);
		if (n == SUMMARY_NO_FIELD)
			continue;
		fields[i] = rd_raw(&text, n);
		if (n == 0)
			fields[i].p = ""; /* there, but empty */
	}
	if (text.bad)
		return -1;
	*ret = v;
	return 0;
}

int mail_summary_envelope(const struct mail_summary *s, uint32_t index, struct mail_envelope *ret)
{
	struct row row;
	if (read_row(s, index, &row) < 0)
		return -1;
	return read_envelope(s, row.envelope, ret);
}

/* ---- section numbers: RFC 3501 6.4.5 ---- */

/* The k-th (from 1) child of a part. */
static int nth_child(const struct mail_summary *s, const struct mail_part *up, uint32_t k, uint32_t *ret)
{
	struct mail_part p;
	uint32_t at = up->child;
	while (--k && at != MAIL_NONE) {
		/* links only lead forward, also in a damaged record */
		if (mail_summary_part(s, at, &p) < 0 || (p.next != MAIL_NONE && p.next <= at))
			return -1;
		at = p.next;
	}
	if (at == MAIL_NONE)
		return -1;
	*ret = at;
	return 0;
}

int mail_summary_find(
	const struct mail_summary *s, const uint32_t *path, size_t n, uint32_t *ret_index, err *e)
{
	uint32_t at = 0;
	bool whole = true; /* `at` is a message's own entity: number 1 means it where it is not a multipart */
	for (size_t i = 0; i < n; i++) {
		struct mail_part p;
		if (mail_summary_part(s, at, &p) < 0)
			return err_set(e, ERR_CORRUPT, "damaged message summary");
		if (!whole && p.kind == MAIL_PART_MESSAGE) {
			at = p.child;
			whole = true;
			if (mail_summary_part(s, at, &p) < 0)
				return err_set(e, ERR_CORRUPT, "damaged message summary");
		}
		if (path[i] == 0)
			return err_set(e, ERR_MISSING, "part numbers begin at 1");
		if (p.kind != MAIL_PART_MULTIPART && !(whole && path[i] == 1))
			return err_set(e, ERR_MISSING, "no such part");
		if (p.kind == MAIL_PART_MULTIPART && nth_child(s, &p, path[i], &at) < 0)
			return err_set(e, ERR_MISSING, "no such part");
		whole = false;
	}
	if (at >= s->parts)
		return err_set(e, ERR_CORRUPT, "damaged message summary");
	*ret_index = at;
	return 0;
}

int mail_summary_section(const struct mail_summary *s, const uint32_t *path, size_t n,
	enum mail_section section, uint32_t *ret_off, uint32_t *ret_len, err *e)
{
	uint32_t index;
	struct mail_part p;
	if (mail_summary_find(s, path, n, &index, e) < 0)
		return -1;
	if (n == 0 && section == MAIL_SECTION_ALL) {
		*ret_off = 0;
		*ret_len = s->size;
		return 0;
	}
	if (n == 0 && section == MAIL_SECTION_MIME)
		return err_set(e, ERR_MISSING, "MIME needs a part number");
	if (mail_summary_part(s, index, &p) < 0)
		return err_set(e, ERR_CORRUPT, "damaged message summary");
	if (n && (section == MAIL_SECTION_HEADER || section == MAIL_SECTION_TEXT)) {
		if (p.kind != MAIL_PART_MESSAGE)
			return err_set(e, ERR_MISSING, "that part is no message");
		if (mail_summary_part(s, p.child, &p) < 0)
			return err_set(e, ERR_CORRUPT, "damaged message summary");
	}
	bool header = section == MAIL_SECTION_HEADER || section == MAIL_SECTION_MIME;
	*ret_off = header ? p.header_off : p.body_off;
	*ret_len = header ? p.header_len : p.body_len;
	return 0;
}

/* ---- the full check ---- */

static bool no_controls(slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((uint8_t)s.p[i] < ' ' || s.p[i] == 127)
			return false;
	}
	return true;
}

/* Header text may hold controls, but nothing that ends a line or a string. */
static bool one_line(slice s)
{
	return s.n == 0 || (!memchr(s.p, '\r', s.n) && !memchr(s.p, '\n', s.n) && !memchr(s.p, 0, s.n));
}

static bool token_like(slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!(mail_char(s.p[i]) & (CH_TOKEN | CH_HIGH)))
			return false;
	}
	return true;
}

/* What a row says without looking at others. */
static bool row_plausible(const struct row *row, size_t envelopes)
{
	const struct mail_part *p = &row->part;
	return (row->envelope == SUMMARY_NO_PART || row->envelope < envelopes) && token_like(p->type) &&
	       token_like(p->subtype) && one_line(p->charset) && utf8_valid(p->name) &&
	       no_controls(p->name) && one_line(p->id) && p->lines <= p->body_len &&
	       p->header_off + p->header_len <= p->body_off;
}

struct tree { /* links seen so far */
	uint8_t linked[LIMIT_MAIL_PARTS];
	uint8_t depth[LIMIT_MAIL_PARTS];
};

/* A link from `from` to `to`: forward, to a part not linked before, with that parent. */
static bool link_valid(
	const struct mail_summary *s, struct tree *t, uint32_t from, uint32_t to, uint32_t parent)
{
	struct row row;
	if (to == MAIL_NONE)
		return true;
	if (to <= from || to >= s->parts || t->linked[to] || read_row(s, to, &row) < 0 ||
		row.part.parent != parent)
		return false;
	t->linked[to] = 1;
	t->depth[to] = (uint8_t)(t->depth[parent] + 1);
	return t->depth[to] <= LIMIT_MAIL_DEPTH;
}

static bool tree_valid(const struct mail_summary *s)
{
	struct tree t = {0};
	t.linked[0] = 1;
	size_t envelopes = s->envelope_table.n / SUMMARY_ENVELOPE;
	for (uint32_t i = 0; i < s->parts; i++) {
		struct row row, child;
		if (!t.linked[i] || read_row(s, i, &row) < 0 || !row_plausible(&row, envelopes))
			return false;
		const struct mail_part *p = &row.part;
		bool inner = p->kind == MAIL_PART_MULTIPART || p->kind == MAIL_PART_MESSAGE;
		if (inner != (p->child != MAIL_NONE) ||
			(i == 0 && (p->parent != MAIL_NONE || p->next != MAIL_NONE)))
			return false;
		if (!link_valid(s, &t, i, p->child, i) || !link_valid(s, &t, i, p->next, p->parent))
			return false;
		if (p->kind == MAIL_PART_MESSAGE &&
			(read_row(s, p->child, &child) < 0 || child.part.next != MAIL_NONE))
			return false;
	}
	return true;
}

static bool envelopes_valid(const struct mail_summary *s)
{
	for (uint32_t i = 0; i < s->envelope_table.n / SUMMARY_ENVELOPE; i++) {
		struct mail_envelope v;
		if (read_envelope(s, i, &v) < 0)
			return false;
		const slice *fields = summary_fields(&v);
		for (int k = 0; k < SUMMARY_FIELDS; k++) {
			if (!one_line(fields[k]))
				return false;
		}
	}
	return true;
}

int mail_summary_verify(slice record, uint64_t message_len, err *e)
{
	struct mail_summary s;
	if (record.n > LIMIT_MAIL_SUMMARY)
		return err_set(e, ERR_LIMIT, "a message summary of %zu bytes", record.n);
	if (mail_summary_open(record, &s, e) < 0)
		return -1;
	if (s.size != message_len)
		return err_set(e, ERR_CORRUPT, "the summary is of a message of %u bytes, not %ju", s.size,
			(uintmax_t)message_len);
	if (!tree_valid(&s))
		return err_set(e, ERR_CORRUPT, "the part table of a message summary does not hold together");
	if (!envelopes_valid(&s))
		return err_set(e, ERR_CORRUPT, "bad envelope in a message summary");
	if (!utf8_valid(s.preview) || !no_controls(s.preview) || s.preview.n > LIMIT_MAIL_PREVIEW * 4)
		return err_set(e, ERR_CORRUPT, "bad preview in a message summary");
	if (!mail_imap_list_check(s.envelope) || !mail_imap_list_check(s.bodystructure) ||
		!mail_imap_list_check(s.body))
		return err_set(e, ERR_CORRUPT, "bad reply text in a message summary");
	return 0;
}

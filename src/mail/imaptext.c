#include "limits.h"
#include "mail/address.h"
#include "mail/chars.h"
#include "mail/imaptext_int.h"

#define QUOTED_MAX 1000 /* longer strings go as literals: clients have line limits */

const struct mail_imap_limits mail_imap_full = {
	LIMIT_MAIL_ADDRESSES, LIMIT_MAIL_FIELD, LIMIT_MAIL_PARAMS, true};

/* ---- strings ---- */

static void add_literal(struct buf *out, slice s)
{
	buf_add_c(out, '{');
	buf_add_u64(out, s.n);
	buf_add(out, S("}\r\n"));
	char *p = buf_room(out, s.n);
	if (!p)
		return;
	for (size_t i = 0; i < s.n; i++)
		p[i] = s.p[i] ? s.p[i] : '?';
	buf_grow(out, s.n);
}

void mail_imap_string(struct buf *out, slice s)
{
	size_t escapes = 0;
	bool plain = s.n <= QUOTED_MAX;
	for (size_t i = 0; plain && i < s.n; i++) {
		char c = s.p[i];
		plain = c >= ' ' && c <= '~';
		escapes += c == '"' || c == '\\';
	}
	char *p = plain ? buf_room(out, s.n + escapes + 2) : NULL;
	if (!plain) {
		add_literal(out, s);
		return;
	}
	if (!p)
		return;
	size_t n = 0;
	p[n++] = '"';
	if (escapes == 0 && s.n) {
		memcpy(p + n, s.p, s.n);
		n += s.n;
	} else {
		for (size_t i = 0; i < s.n; i++) {
			if (s.p[i] == '"' || s.p[i] == '\\')
				p[n++] = '\\';
			p[n++] = s.p[i];
		}
	}
	p[n++] = '"';
	buf_grow(out, n);
}

void mail_imap_nstring(struct buf *out, slice s)
{
	if (s.p)
		mail_imap_string(out, s);
	else
		buf_add(out, S("NIL"));
}

static slice shortened(slice s, const struct mail_imap_limits *limits)
{
	return slice_sub(s, 0, limits->string);
}

/* A blank and the string. */
static void add_nstring(struct buf *out, slice s, const struct mail_imap_limits *limits)
{
	buf_add_c(out, ' ');
	mail_imap_nstring(out, shortened(s, limits));
}

/* ---- envelope ---- */

/* A mailbox always shows a local part and a domain: NIL there would mean a group (RFC 3501 7.4.2). */
static void add_address(struct buf *out, const struct mail_address *a, const struct mail_imap_limits *limits)
{
	static const slice no_local = SLICE_INIT("MISSING_MAILBOX"), no_domain = SLICE_INIT("MISSING_DOMAIN");
	if (a->kind == MAIL_ADDRESS_GROUP_END) {
		buf_add(out, S("(NIL NIL NIL NIL)"));
		return;
	}
	buf_add_c(out, '(');
	if (a->kind == MAIL_ADDRESS_GROUP) {
		buf_add(out, S("NIL NIL"));
		add_nstring(out, a->name.p ? a->name : S(""), limits);
		buf_add(out, S(" NIL)"));
		return;
	}
	mail_imap_nstring(out, shortened(a->name, limits));
	add_nstring(out, a->route, limits);
	add_nstring(out, a->local.n ? a->local : no_local, limits);
	add_nstring(out, a->domain.n ? a->domain : no_domain, limits);
	buf_add_c(out, ')');
}

/* *left: addresses that may still be written. */
static void add_addresses(struct buf *out, slice body, struct arena *scratch,
	const struct mail_imap_limits *limits, uint32_t *left)
{
	struct mail_address_scan scan;
	struct mail_address a;
	bool any = false, in_group = false;
	mail_address_begin(&scan, body, scratch);
	while (*left && !out->failed && mail_address_next(&scan, &a)) {
		if (!any)
			buf_add_c(out, '(');
		any = true;
		in_group = a.kind == MAIL_ADDRESS_GROUP || (in_group && a.kind != MAIL_ADDRESS_GROUP_END);
		add_address(out, &a, limits);
		--*left;
	}
	if (in_group)
		buf_add(out, S("(NIL NIL NIL NIL)"));
	buf_add(out, any ? S(")") : S("NIL"));
	if (arena_used(scratch))
		arena_reset(scratch);
}

void mail_imap_addresses(struct buf *out, slice body, uint32_t max, struct arena *scratch)
{
	add_addresses(out, body, scratch, &mail_imap_full, &max);
}

/* Writes an address list, or once more what stands at from..to where the list is empty. */
static void add_or_repeat(struct buf *out, slice body, size_t from, size_t to, struct arena *scratch,
	const struct mail_imap_limits *limits, uint32_t *left)
{
	size_t start = out->n;
	buf_add_c(out, ' ');
	add_addresses(out, body, scratch, limits, left);
	if (out->failed || !slice_eq(slice_skip(buf_slice(out), start + 1), S("NIL")))
		return;
	buf_truncate(out, start + 1);
	char *p = buf_room(out, to - from); /* the buffer may move: its bytes are named by offset */
	if (!p)
		return;
	memcpy(p, out->p + from, to - from);
	buf_grow(out, to - from);
}

void mail_imap_envelope_within(struct buf *out, const struct mail_envelope *v, struct arena *scratch,
	const struct mail_imap_limits *limits)
{
	const slice lists[] = {v->to, v->cc, v->bcc};
	uint32_t left = limits->addresses;
	buf_add_c(out, '(');
	mail_imap_nstring(out, shortened(v->date, limits));
	add_nstring(out, v->subject, limits);
	buf_add_c(out, ' ');
	size_t from = out->n;
	add_addresses(out, v->from, scratch, limits, &left);
	size_t to = out->n;
	add_or_repeat(out, v->sender, from, to, scratch, limits, &left);
	add_or_repeat(out, v->reply_to, from, to, scratch, limits, &left);
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		buf_add_c(out, ' ');
		add_addresses(out, lists[i], scratch, limits, &left);
	}
	add_nstring(out, v->in_reply_to, limits);
	add_nstring(out, v->message_id, limits);
	buf_add_c(out, ')');
}

void mail_imap_envelope(struct buf *out, const struct mail_envelope *v, struct arena *scratch)
{
	mail_imap_envelope_within(out, v, scratch, &mail_imap_full);
}

/* ---- body structure ---- */

static void add_params(struct buf *out, const struct mail_value *v, const struct mail_imap_limits *limits)
{
	uint32_t n = v->n < limits->params ? v->n : limits->params;
	for (uint32_t i = 0; i < n; i++) {
		buf_add_c(out, i ? ' ' : '(');
		mail_imap_string(out, shortened(v->params[i].name, limits));
		add_nstring(out, v->params[i].value, limits);
	}
	buf_add(out, n ? S(")") : S("NIL"));
}

static void add_language(struct buf *out, slice s, const struct mail_imap_limits *limits)
{
	slice head;
	buf_add_c(out, ' ');
	if (!s.p || slice_find_c(s, ',') < 0) {
		mail_imap_nstring(out, shortened(s, limits));
		return;
	}
	char open = '(';
	for (uint32_t i = 0; i < LIMIT_MAIL_PARAMS && slice_cut(&s, ',', &head); i++) {
		buf_add_c(out, open);
		mail_imap_string(out, shortened(slice_trim(head), limits));
		open = ' ';
	}
	add_nstring(out, slice_trim(s), limits);
	buf_add_c(out, ')');
}

/* What extension data of single and multiple parts have in common: disposition, language, location. */
static void add_extension(
	struct buf *out, const struct mail_mime_part *p, const struct mail_imap_limits *limits)
{
	if (p->disposition.type.p) {
		buf_add(out, S(" ("));
		mail_imap_string(out, shortened(p->disposition.type, limits));
		buf_add_c(out, ' ');
		add_params(out, &p->disposition, limits);
		buf_add_c(out, ')');
	} else {
		buf_add(out, S(" NIL"));
	}
	add_language(out, p->language, limits);
	add_nstring(out, p->location, limits);
}

/* "quoted-printable (comment)" without its comment. */
static slice encoding_word(slice s)
{
	size_t n = 0;
	while (n < s.n && mail_char(s.p[n]) & CH_TOKEN)
		n++;
	return n ? slice_sub(s, 0, n) : S("7bit");
}

static void add_head(struct buf *out, const struct mail_mime_part *p, const struct mail_imap_limits *limits)
{
	buf_add_c(out, '(');
	mail_imap_string(out, shortened(p->type.type, limits));
	add_nstring(out, p->type.subtype, limits);
	buf_add_c(out, ' ');
	add_params(out, &p->type, limits);
	add_nstring(out, p->id, limits);
	add_nstring(out, p->description, limits);
	add_nstring(out, encoding_word(p->encoding_text), limits);
	buf_add_c(out, ' ');
	buf_add_u64(out, p->body_len);
}

static void add_single_end(
	struct buf *out, const struct mail_mime_part *p, bool extended, const struct mail_imap_limits *limits)
{
	if (p->kind != MAIL_PART_LEAF) {
		buf_add_c(out, ' ');
		buf_add_u64(out, p->lines);
	}
	if (extended) {
		add_nstring(out, p->md5, limits);
		add_extension(out, p, limits);
	}
	buf_add_c(out, ')');
}

static void add_multi_end(
	struct buf *out, const struct mail_mime_part *p, bool extended, const struct mail_imap_limits *limits)
{
	add_nstring(out, p->type.subtype, limits);
	if (extended) {
		buf_add_c(out, ' ');
		add_params(out, &p->type, limits);
		add_extension(out, p, limits);
	}
	buf_add_c(out, ')');
}

static void add_message_head(struct buf *out, const struct mail_mime_part *p,
	const struct mail_mime_part *inside, struct arena *scratch, const struct mail_imap_limits *limits)
{
	static const struct mail_envelope none;
	const struct mail_envelope *v = limits->nested && inside->envelope ? inside->envelope : &none;
	add_head(out, p, limits);
	buf_add_c(out, ' ');
	mail_imap_envelope_within(out, v, scratch, limits);
	buf_add_c(out, ' ');
}

void mail_imap_structure_within(struct buf *out, const struct mail_mime *m, bool extended,
	struct arena *scratch, const struct mail_imap_limits *limits)
{
	uint32_t n;
	const struct mail_mime_part *parts = mail_mime_parts(m, &n);
	for (uint32_t i = 0; n && !out->failed;) {
		const struct mail_mime_part *p = &parts[i];
		if (p->child != MAIL_NONE) { /* down */
			if (p->kind == MAIL_PART_MULTIPART)
				buf_add_c(out, '(');
			else
				add_message_head(out, p, &parts[p->child], scratch, limits);
			i = p->child;
			continue;
		}
		add_head(out, p, limits);
		add_single_end(out, p, extended, limits);
		while (p->next == MAIL_NONE) { /* up, as long as this was the last */
			if (p->parent == MAIL_NONE)
				return;
			p = &parts[p->parent];
			if (p->kind == MAIL_PART_MULTIPART)
				add_multi_end(out, p, extended, limits);
			else
				add_single_end(out, p, extended, limits);
		}
		i = p->next;
	}
}

void mail_imap_structure(struct buf *out, const struct mail_mime *m, bool extended, struct arena *scratch)
{
	mail_imap_structure_within(out, m, extended, scratch, &mail_imap_full);
}

/* ---- checking ---- */

static size_t quoted_length(slice s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\' && (++i == s.n || (s.p[i] != '"' && s.p[i] != '\\')))
			return 0;
		if (s.p[i] < ' ' || s.p[i] > '~')
			return 0;
	}
	return 0;
}

static size_t literal_length(slice s)
{
	ptrdiff_t close = slice_find_c(slice_sub(s, 0, 24), '}');
	uint64_t n;
	if (close < 0 || !slice_to_u64(slice_sub(s, 1, (size_t)close - 1), s.n, &n))
		return 0;
	slice rest = slice_skip(s, (size_t)close + 1);
	if (!slice_starts(rest, S("\r\n")) || rest.n - 2 < n || (n && memchr(rest.p + 2, 0, n)))
		return 0;
	return (size_t)close + 1 + 2 + n;
}

/* Length of the string, number or NIL at the head, 0: there is none. */
static size_t atom_length(slice s)
{
	size_t n = 0;
	if (s.p[0] == '"')
		return quoted_length(s);
	if (s.p[0] == '{')
		return literal_length(s);
	if (slice_starts(s, S("NIL")))
		return 3;
	while (n < s.n && n < 20 && ascii_is_digit(s.p[n]))
		n++;
	return n;
}

bool mail_imap_list_check(slice text)
{
	enum {
		FRESH,
		AFTER_ATOM,
		AFTER_LIST
	} at = FRESH; /* FRESH: behind "(" or a blank, an element must follow */
	uint32_t depth = 0;
	for (size_t i = 0; i < text.n;) {
		char c = text.p[i];
		size_t n = 1;
		if (c == '(') {
			if (at == AFTER_ATOM || ++depth > LIMIT_MAIL_LIST_DEPTH) /* lists may touch: ")(" */
				return false;
			at = FRESH;
		} else if (c == ')') {
			if (at == FRESH || depth == 0)
				return false;
			at = AFTER_LIST;
			if (--depth == 0)
				return i + 1 == text.n;
		} else if (c == ' ') {
			if (at == FRESH)
				return false;
			at = FRESH;
		} else {
			n = at == FRESH && depth ? atom_length(slice_skip(text, i)) : 0;
			if (n == 0)
				return false;
			at = AFTER_ATOM;
		}
		i += n;
	}
	return false;
}

/*
 * The scanner walks lines. A line that lies whole in the bytes fed is taken as it stands; only the start of
 * one that is cut by a chunk's end is carried over, and only as much as a boundary or a field name can need.
 * In bodies nothing but lines beginning with a dash is looked at closer.
 */
#include "base/encode.h"
#include "mail/mime_int.h"
#include <stdlib.h>

#define CARRY_MAX 512 /* more than a boundary line or the head of a field can need */

#define KEEP_PARTS 64 /* kept from one message to the next */
#define KEEP_FIELD 16384

enum state { IN_HEADER, IN_BODY, IN_GAP /* before the first and behind the last part of a multipart */ };

struct level { /* an open entity */
	uint32_t part, last_child;
	uint32_t hash;  /* of its boundary */
	slice boundary; /* n == 0: none, or closed */
};

struct mail_mime {
	struct mail_mime_sink sink;
	struct mail_mime_part *parts;
	uint32_t n, cap;
	struct level open[LIMIT_MAIL_DEPTH + 1];
	uint32_t depth;      /* levels open */
	uint32_t boundaries; /* of them with a boundary to look for */
	enum state state;
	bool mid_line; /* inside of a line whose start has been dealt with */
	bool frozen;   /* too many parts: boundaries count as text now */
	bool no_memory;
	unsigned notes;
	uint64_t offset;     /* of the next byte */
	uint64_t line_start; /* of the line under way */
	uint64_t lines;      /* line ends so far */
	uint32_t eol;        /* length of the last line end */
	char last;           /* the byte before */
	char carry[CARRY_MAX];
	size_t carry_n;
	struct mime_fields fields;
	struct arena *text;
};

/* ---- parts ---- */

static uint32_t boundary_hash(slice s)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (uint8_t)s.p[i]) * 16777619u;
	return h;
}

static struct level *top(struct mail_mime *m)
{
	return &m->open[m->depth - 1];
}

/* Opens an entity whose header begins at `off`. False: no room for another. */
static bool open_part(struct mail_mime *m, uint64_t off, bool message)
{
	if (m->n == LIMIT_MAIL_PARTS) {
		m->notes |= MAIL_NOTE_CUT_PARTS;
		return false;
	}
	if (m->n == m->cap) {
		uint32_t cap = m->cap ? m->cap * 2 : 4;
		struct mail_mime_part *more = realloc(m->parts, cap * sizeof *more);
		if (!more) {
			m->no_memory = true;
			return false;
		}
		m->parts = more;
		m->cap = cap;
	}
	uint32_t parent = MAIL_NONE;
	if (m->depth) {
		struct level *up = top(m);
		parent = up->part;
		if (up->last_child == MAIL_NONE)
			m->parts[parent].child = m->n;
		else
			m->parts[up->last_child].next = m->n;
		up->last_child = m->n;
	}
	m->parts[m->n] = (struct mail_mime_part){.parent = parent,
		.child = MAIL_NONE,
		.next = MAIL_NONE,
		.depth = m->depth,
		.header_off = off};
	m->open[m->depth++] = (struct level){.part = m->n++, .last_child = MAIL_NONE};
	m->state = IN_HEADER;
	mime_fields_begin(&m->fields, message);
	return true;
}

static void set_type(struct mail_mime_part *p, slice type, slice subtype)
{
	p->type = (struct mail_value){.type = type, .subtype = subtype};
}

/* The default of RFC 2045 5.2. */
static void set_text_type(struct mail_mime_part *p)
{
	static const struct mail_param ascii = {SLICE_INIT("charset"), SLICE_INIT("us-ascii")};
	set_type(p, S("text"), S("plain"));
	p->type.params = &ascii;
	p->type.n = 1;
}

/* Ends all entities above `depth` at `end`, the last `lines` line ends before it counted. */
static void close_parts(struct mail_mime *m, uint32_t depth, uint64_t end, uint64_t lines)
{
	while (m->depth > depth) {
		struct level *l = top(m);
		struct mail_mime_part *p = &m->parts[l->part];
		if (l->boundary.n)
			m->boundaries--;
		p->body_len = end > p->body_off ? end - p->body_off : 0;
		p->lines = end > p->body_off && lines > p->lines ? lines - p->lines : 0;
		if (p->kind == MAIL_PART_MULTIPART && p->child == MAIL_NONE) {
			p->kind = MAIL_PART_TEXT;
			set_type(p, S("text"), S("plain"));
		}
		m->depth--;
	}
}

/* ---- the end of a header ---- */

static slice boundary_of(struct mail_mime *m, const struct mail_value *type)
{
	slice b = mail_value_param(type, S("boundary"));
	if (!b.p && !mail_value_param_utf8(type, S("boundary"), m->text, &b))
		return (slice){0};
	while (b.n && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
		b.n--;
	return b.n <= LIMIT_MAIL_BOUNDARY ? b : (slice){0};
}

static void set_opaque(struct mail_mime *m, struct mail_mime_part *p)
{
	p->kind = MAIL_PART_LEAF;
	set_type(p, S("application"), S("octet-stream"));
	m->notes |= MAIL_NOTE_CUT_PARTS;
}

static void decide_kind(struct mail_mime *m, struct mail_mime_part *p)
{
	bool identity = p->encoding != MAIL_ENCODING_QP && p->encoding != MAIL_ENCODING_BASE64;
	slice type = p->type.type, sub = p->type.subtype;
	if (slice_ieq(type, S("text"))) {
		p->kind = MAIL_PART_TEXT;
	} else if (slice_ieq(type, S("multipart"))) {
		slice b = boundary_of(m, &p->type);
		if (p->depth == LIMIT_MAIL_DEPTH) {
			set_opaque(m, p);
		} else if (b.n == 0) {
			p->kind = MAIL_PART_TEXT;
			set_type(p, S("text"), S("plain"));
		} else {
			p->kind = MAIL_PART_MULTIPART;
			top(m)->boundary = b;
			top(m)->hash = boundary_hash(b);
			m->boundaries++;
		}
	} else if (slice_ieq(type, S("message")) &&
		   (slice_ieq(sub, S("rfc822")) || slice_ieq(sub, S("global")))) {
		if (!identity)
			set_type(p, S("application"), S("octet-stream"));
		else if (p->depth == LIMIT_MAIL_DEPTH || m->n == LIMIT_MAIL_PARTS)
			set_opaque(m, p);
		else
			p->kind = MAIL_PART_MESSAGE;
	}
}

static bool in_digest(const struct mail_mime *m, const struct mail_mime_part *p)
{
	return p->parent != MAIL_NONE && m->parts[p->parent].kind == MAIL_PART_MULTIPART &&
	       slice_ieq(m->parts[p->parent].type.subtype, S("digest"));
}

static void take_fields(struct mail_mime *m, struct mail_mime_part *p)
{
	const slice *v = m->fields.value;
	mime_fields_end(&m->fields);
	if (!v[F_TYPE].p || !mail_value_parse(v[F_TYPE], true, m->text, &p->type)) {
		if (!v[F_TYPE].p && in_digest(m, p))
			set_type(p, S("message"), S("rfc822"));
		else
			set_text_type(p);
	}
	if (v[F_DISPOSITION].p)
		mail_value_parse(v[F_DISPOSITION], false, m->text, &p->disposition);
	p->encoding_text = v[F_ENCODING];
	p->encoding = mail_encoding_parse(v[F_ENCODING]);
	p->id = v[F_ID];
	p->description = v[F_DESCRIPTION];
	p->md5 = v[F_MD5];
	p->language = v[F_LANGUAGE];
	p->location = v[F_LOCATION];
	if (v[F_MIME_VERSION].p && p->depth == 0)
		m->notes |= MAIL_NOTE_MIME;
	if (m->fields.message)
		p->envelope = mime_fields_envelope(&m->fields);
	if (m->fields.cut || p->type.cut || p->disposition.cut || (m->fields.message && !p->envelope))
		m->notes |= MAIL_NOTE_CUT_TEXT;
}

/* The header under way ends, the body begins at `off`. */
static void end_header(struct mail_mime *m, uint64_t off)
{
	uint32_t index = top(m)->part;
	struct mail_mime_part *p = &m->parts[index];
	p->header_len = off - p->header_off;
	p->body_off = off;
	p->lines = m->lines; /* at the start, until the part is closed */
	take_fields(m, p);
	decide_kind(m, p);
	if (p->kind == MAIL_PART_MESSAGE) {
		if (!open_part(m, off, true))
			m->parts[index].kind = MAIL_PART_LEAF;
		return;
	}
	m->state = p->kind == MAIL_PART_MULTIPART ? IN_GAP : IN_BODY;
	if (m->state == IN_BODY && m->sink.part)
		m->sink.part(m->sink.arg, index);
}

/* ---- lines ---- */

/* Index of the level whose boundary the line (without its end) is, -1: none. */
static int find_boundary(const struct mail_mime *m, slice line, bool *ret_last)
{
	if (line.n < 3 || line.p[0] != '-' || line.p[1] != '-' || m->boundaries == 0 || m->frozen)
		return -1;
	slice b = slice_skip(line, 2);
	while (b.n && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
		b.n--;
	slice open =
		b.n > 2 && b.p[b.n - 1] == '-' && b.p[b.n - 2] == '-' ? slice_sub(b, 0, b.n - 2) : (slice){0};
	if (b.n > LIMIT_MAIL_BOUNDARY + 2)
		return -1;
	uint32_t hash = boundary_hash(b), open_hash = boundary_hash(open);
	for (uint32_t i = m->depth; i-- > 0;) {
		const struct level *l = &m->open[i];
		if (l->boundary.n == 0)
			continue;
		bool whole = l->hash == hash && slice_eq(l->boundary, b);
		if (whole || (open.n && l->hash == open_hash && slice_eq(l->boundary, open))) {
			*ret_last = !whole;
			return (int)i;
		}
	}
	return -1;
}

static void at_boundary(struct mail_mime *m, uint32_t level, bool last, uint64_t line_end)
{
	uint64_t end = m->line_start - m->eol;
	if (m->state == IN_HEADER) {
		/* a header without its empty line: a body would be taken from what is no body */
		struct mail_mime_part *p = &m->parts[top(m)->part];
		take_fields(m, p);
		p->header_len = m->line_start - p->header_off;
		p->body_off = m->line_start;
		p->lines = m->lines;
		p->kind = slice_ieq(p->type.type, S("text")) ? MAIL_PART_TEXT : MAIL_PART_LEAF;
		if (slice_ieq(p->type.type, S("multipart")) || slice_ieq(p->type.type, S("message")))
			set_type(p, S("application"), S("octet-stream"));
	}
	if (!last && m->n == LIMIT_MAIL_PARTS) {
		m->notes |= MAIL_NOTE_CUT_PARTS;
		m->frozen = true;
		m->state = IN_BODY;
		return;
	}
	close_parts(m, level + 1, end, m->lines - (m->eol ? 1 : 0));
	if (last) {
		top(m)->boundary.n = 0;
		m->boundaries--;
		m->state = IN_GAP;
	} else if (!open_part(m, line_end, false)) {
		m->frozen = true;
		m->state = IN_GAP;
	}
}

static void note_header(struct mail_mime *m, slice s)
{
	if (!(m->notes & MAIL_NOTE_8BIT_HEADER) && !ascii_only(s))
		m->notes |= MAIL_NOTE_8BIT_HEADER;
}

static void body_bytes(struct mail_mime *m, slice s)
{
	if (!(m->notes & MAIL_NOTE_8BIT_BODY) && !ascii_only(s))
		m->notes |= MAIL_NOTE_8BIT_BODY;
	if (m->state == IN_BODY && m->sink.body && s.n)
		m->sink.body(m->sink.arg, top(m)->part, s);
}

static uint32_t eol_length(slice line)
{
	if (line.n == 0 || line.p[line.n - 1] != '\n')
		return 0;
	return line.n > 1 && line.p[line.n - 2] == '\r' ? 2 : 1;
}

/* A line from its start; its end is there when `whole` (the end of the message counts as one). */
static void on_line(struct mail_mime *m, slice line, bool whole)
{
	uint32_t eol = eol_length(line);
	slice bare = slice_sub(line, 0, line.n - eol);
	uint64_t line_end = m->line_start + line.n;
	bool last = false;
	/* a longer line could not be told when it comes in pieces, so it never is one */
	int level = whole && line.n <= CARRY_MAX ? find_boundary(m, bare, &last) : -1;
	if (level >= 0) {
		at_boundary(m, (uint32_t)level, last, line_end);
		m->lines += eol > 0;
	} else if (m->state == IN_HEADER) {
		note_header(m, bare);
		m->lines += eol > 0;
		if (whole && bare.n == 0)
			end_header(m, line_end);
		else
			mime_fields_line(&m->fields, bare);
	} else {
		m->lines += eol > 0;
		body_bytes(m, line);
	}
	m->eol = eol;
	m->mid_line = !whole;
	m->line_start = line_end; /* while mid_line: not yet true, set again at the line's end */
}

/* The rest of a line whose start was dealt with, or a piece of it. */
static void on_more(struct mail_mime *m, slice piece)
{
	bool ends = piece.p[piece.n - 1] == '\n';
	if (m->state == IN_HEADER) {
		note_header(m, piece);
		mime_fields_more(&m->fields, ends ? slice_sub(piece, 0, piece.n - 1) : piece);
	} else {
		body_bytes(m, piece);
	}
	if (!ends)
		return;
	char before = piece.n > 1 ? piece.p[piece.n - 2] : m->last;
	m->lines++;
	m->eol = before == '\r' ? 2 : 1;
	m->mid_line = false;
	m->line_start = m->offset + piece.n;
}

/* ---- feeding ---- */

/* Lines of a body up to one that may be a boundary; returns the bytes passed. At the start of a line. */
static size_t body_lines(struct mail_mime *m, slice in)
{
	const char *p = in.p, *end = in.p + in.n;
	bool look = m->boundaries && !m->frozen;
	while (p < end && !(look && *p == '-')) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		if (!lf) {
			m->mid_line = true;
			p = end;
			break;
		}
		m->lines++;
		p = lf + 1;
		m->eol = lf > in.p && lf[-1] == '\r' ? 2 : lf == in.p && m->last == '\r' ? 2 : 1;
	}
	size_t n = (size_t)(p - in.p);
	body_bytes(m, slice_sub(in, 0, n));
	m->line_start = m->offset + n;
	return n;
}

static void pass(struct mail_mime *m, slice *in, size_t n)
{
	m->offset += n;
	m->last = in->p[n - 1];
	*in = slice_skip(*in, n);
}

/* The next line begins (or goes on) in the carry; takes what it needs from *in. */
static void carried_line(struct mail_mime *m, slice *in)
{
	const char *lf = memchr(in->p, '\n', in->n);
	size_t n = lf ? (size_t)(lf - in->p) + 1 : in->n;
	size_t take = n < CARRY_MAX - m->carry_n ? n : CARRY_MAX - m->carry_n;
	memcpy(m->carry + m->carry_n, in->p, take);
	m->carry_n += take;
	bool whole = m->carry[m->carry_n - 1] == '\n';
	if (whole || m->carry_n == CARRY_MAX) {
		slice line = slice_make(m->carry, m->carry_n);
		m->carry_n = 0;
		on_line(m, line, whole);
	}
	pass(m, in, take);
}

void mail_mime_feed(struct mail_mime *m, slice in)
{
	if (m->no_memory || in.n == 0)
		return;
	if (!(m->notes & MAIL_NOTE_NUL) && memchr(in.p, 0, in.n))
		m->notes |= MAIL_NOTE_NUL;
	while (in.n && !m->no_memory) {
		const char *lf;
		if (m->carry_n) {
			carried_line(m, &in);
			continue;
		}
		if (m->mid_line) {
			lf = memchr(in.p, '\n', in.n);
			size_t n = lf ? (size_t)(lf - in.p) + 1 : in.n;
			on_more(m, slice_sub(in, 0, n));
			pass(m, &in, n);
			continue;
		}
		if (m->state != IN_HEADER) {
			size_t n = body_lines(m, in);
			if (n) {
				pass(m, &in, n);
				continue;
			}
		}
		m->line_start = m->offset;
		lf = memchr(in.p, '\n', in.n);
		if (!lf) {
			carried_line(m, &in);
			continue;
		}
		size_t n = (size_t)(lf - in.p) + 1;
		on_line(m, slice_sub(in, 0, n), true);
		pass(m, &in, n);
	}
}

int mail_mime_finish(struct mail_mime *m, err *e)
{
	if (m->carry_n) {
		slice line = slice_make(m->carry, m->carry_n);
		m->carry_n = 0;
		on_line(m, line, true);
	}
	while (m->depth && m->state == IN_HEADER && !m->no_memory)
		end_header(m, m->offset);
	close_parts(m, 0, m->offset, m->lines);
	if (m->no_memory)
		return err_set(e, ERR_TEMP, "no memory for the structure of a message");
	return 0;
}

/* ---- life ---- */

struct mail_mime *mail_mime_new(const struct mail_mime_sink *sink)
{
	struct mail_mime *m = calloc(1, sizeof *m);
	struct arena *text = arena_new(LIMIT_MAIL_TEXT);
	if (!m || !text) {
		free(m);
		arena_free(text);
		return NULL;
	}
	if (sink)
		m->sink = *sink;
	m->text = m->fields.text = text;
	m->fields.raw = BUF_INIT(LIMIT_MAIL_FIELD);
	mail_mime_reset(m);
	return m;
}

void mail_mime_reset(struct mail_mime *m)
{
	if (m->cap > KEEP_PARTS) {
		free(m->parts);
		m->parts = NULL;
		m->cap = 0;
	}
	if (m->fields.raw.cap > KEEP_FIELD)
		buf_free(&m->fields.raw);
	arena_reset(m->text);
	m->n = m->depth = m->boundaries = 0;
	m->mid_line = m->frozen = m->no_memory = false;
	m->notes = 0;
	m->offset = m->line_start = m->lines = 0;
	m->eol = 0;
	m->last = 0;
	m->carry_n = 0;
	open_part(m, 0, true);
}

void mail_mime_free(struct mail_mime *m)
{
	if (!m)
		return;
	buf_free(&m->fields.raw);
	arena_free(m->text);
	free(m->parts);
	free(m);
}

const struct mail_mime_part *mail_mime_parts(const struct mail_mime *m, uint32_t *ret_n)
{
	*ret_n = m->n;
	return m->parts;
}

uint64_t mail_mime_size(const struct mail_mime *m)
{
	return m->offset;
}

unsigned mail_mime_notes(const struct mail_mime *m)
{
	return m->notes;
}

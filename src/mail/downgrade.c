#include "mail/downgrade.h"
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "limits.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/recode.h"
#include "mail/sevenbit.h"

#define PIECE      16384 /* bytes gathered for one call of the sink */
#define STEP       4096  /* bytes of a body re-encoded between two looks at what is gathered */
#define GAP_LINE   900   /* octets of a line between parts before it is cut in two */
#define PIECES_MAX (LIMIT_MAIL_HEADER * 4)

void mail_content_look(slice message, struct mail_content_needs *ret)
{
	struct sevenbit_look look = sevenbit_look(message);
	*ret = (struct mail_content_needs){.binary = look.binary};
	if (!look.high)
		return;
	struct mail_mime *m = mail_mime_new(NULL);
	if (m)
		mail_mime_feed(m, message);
	if (m && mail_mime_finish(m, NULL) == 0) {
		ret->eight_bit = mail_mime_notes(m) & MAIL_NOTE_8BIT_BODY;
		ret->header_utf8 = mail_mime_notes(m) & MAIL_NOTE_8BIT_HEADER;
	} else {
		ret->eight_bit = ret->header_utf8 = true;
	}
	mail_mime_free(m);
}

enum plan {          /* what becomes of a part */
	PLAN_QP = 1, /* its body is re-encoded */
	PLAN_BASE64 = 2,
	PLAN_TYPE = 4, /* the body has bytes over 127 of an encoding nobody named */
	PLAN_MIME = 8, /* a message whose parts change: it must say MIME-Version */
};
#define PLAN_BODY (PLAN_QP | PLAN_BASE64)

struct work {
	slice in;
	const struct mail_mime_part *parts;
	uint32_t n;
	uint8_t *plan; /* enum plan, of each part */
	struct buf out;
	int (*sink)(void *arg, slice piece, err *e);
	void *arg;
};

static int flush(struct work *w, size_t from, err *e)
{
	if (w->out.failed)
		return err_set(e, ERR_TEMP, "no memory to bring a message to 7 bits");
	if (w->out.n <= from)
		return 0;
	int rc = w->sink(w->arg, buf_slice(&w->out), e);
	buf_reset(&w->out);
	return rc < 0 ? -1 : 0;
}

/* Bytes that go as they are. */
static int pass(struct work *w, slice bytes, err *e)
{
	if (bytes.n < PIECE) {
		buf_add(&w->out, bytes);
		return flush(w, PIECE, e);
	}
	if (flush(w, 0, e) < 0)
		return -1;
	return w->sink(w->arg, bytes, e) < 0 ? -1 : 0;
}

static slice body_of(const struct work *w, const struct mail_mime_part *p)
{
	return slice_sub(w->in, p->body_off, p->body_len);
}

static bool is_leaf(const struct mail_mime_part *p)
{
	return p->kind == MAIL_PART_LEAF || p->kind == MAIL_PART_TEXT;
}

/* ---- the plan ---- */

static uint8_t plan_leaf(const struct work *w, const struct mail_mime_part *p)
{
	slice body = body_of(w, p);
	struct sevenbit_look look = sevenbit_look(body);
	if (!look.high && !look.binary)
		return 0;
	if (p->encoding == MAIL_ENCODING_QP)
		return PLAN_QP;
	if (p->encoding == MAIL_ENCODING_BASE64)
		return PLAN_BASE64;
	uint8_t type = look.high ? PLAN_TYPE : 0;
	if (p->kind != MAIL_PART_TEXT || recode_base64_is_shorter(body))
		return PLAN_BASE64 | type;
	return PLAN_QP | type;
}

static void mark_message(struct work *w, uint32_t i)
{
	while (w->parts[i].parent != MAIL_NONE && w->parts[w->parts[i].parent].kind != MAIL_PART_MESSAGE)
		i = w->parts[i].parent;
	w->plan[i] |= PLAN_MIME;
}

/* A boundary is looked for in what stands between parts, so it must pass there unchanged. */
static int check_boundary(const struct mail_mime_part *p, struct arena *scratch, err *e)
{
	slice b = mail_value_param(&p->type, S("boundary"));
	if (!b.p && !mail_value_param_utf8(&p->type, S("boundary"), scratch, &b))
		return 0;
	for (size_t i = 0; i < b.n; i++)
		if ((b.p[i] < 32 || b.p[i] > 126) && b.p[i] != '\t')
			return err_set(e, ERR_LIMIT, "a MIME boundary in the message is not ASCII");
	return 0;
}

static int make_plan(struct work *w, err *e)
{
	struct arena *scratch = arena_new(LIMIT_MAIL_TEXT);
	w->plan = calloc(w->n ? w->n : 1, 1);
	int rc = w->plan && scratch ? 0 : err_set(e, ERR_TEMP, "no memory to bring a message to 7 bits");
	for (uint32_t i = 0; rc == 0 && i < w->n; i++) {
		const struct mail_mime_part *p = &w->parts[i];
		if (is_leaf(p))
			w->plan[i] |= plan_leaf(w, p);
		else if (p->kind == MAIL_PART_MULTIPART)
			rc = check_boundary(p, scratch, e);
		if (w->plan[i] & PLAN_BODY)
			mark_message(w, i);
	}
	arena_free(scratch);
	return rc;
}

/* ---- headers ---- */

static bool is_multipart(slice value)
{
	return slice_istarts(slice_trim(value), S("multipart/"));
}

struct seen { /* fields of one header */
	bool encoding, type, mime;
};

static void add_type(struct work *w, const struct mail_mime_part *p)
{
	buf_addz(&w->out, "Content-Type: text/plain; charset=");
	buf_addz(&w->out, utf8_valid(body_of(w, p)) ? "utf-8\r\n" : "unknown-8bit\r\n");
}

static void add_encoding(struct work *w, uint8_t plan)
{
	buf_addz(&w->out, "Content-Transfer-Encoding: ");
	buf_addz(&w->out, plan & PLAN_QP       ? "quoted-printable\r\n"
			  : plan & PLAN_BASE64 ? "base64\r\n"
					       : "7bit\r\n");
}

static void convert_field(struct work *w, uint32_t i, const struct mail_field *f, struct seen *seen)
{
	const struct mail_mime_part *p = &w->parts[i];
	uint8_t plan = w->plan[i];
	bool wide = p->encoding == MAIL_ENCODING_8BIT || p->encoding == MAIL_ENCODING_BINARY;
	seen->mime |= slice_ieq(f->name, S("mime-version"));
	if (slice_ieq(f->name, S("content-transfer-encoding")) && (plan & PLAN_BODY || wide || !is_leaf(p))) {
		if (!seen->encoding)
			add_encoding(w, plan);
		seen->encoding = true;
	} else if (slice_ieq(f->name, S("content-type")) && !seen->type) {
		seen->type = true;
		/* a multipart that has no parts is the text it holds */
		if (plan & PLAN_BODY && p->kind == MAIL_PART_TEXT && is_multipart(f->value))
			add_type(w, p);
		else
			sevenbit_field(&w->out, f);
	} else {
		sevenbit_field(&w->out, f);
	}
}

static int convert_header(struct work *w, uint32_t i, err *e)
{
	const struct mail_mime_part *p = &w->parts[i];
	slice header = slice_sub(w->in, p->header_off, p->header_len);
	struct mail_header_scan scan = mail_header_begin(header);
	struct mail_field f;
	struct seen seen = {0};
	uint8_t plan = w->plan[i];
	while (mail_header_next(&scan, &f)) {
		convert_field(w, i, &f, &seen);
		if (flush(w, PIECE, e) < 0)
			return -1;
	}
	slice rest = slice_skip(header, scan.pos);
	if (rest.n > 2)
		return err_set(e, ERR_LIMIT, "a header of more than %d bytes", LIMIT_MAIL_HEADER);
	if (plan & PLAN_MIME && !seen.mime)
		buf_addz(&w->out, "MIME-Version: 1.0\r\n");
	if (plan & PLAN_TYPE && !seen.type)
		add_type(w, p);
	if (plan & PLAN_BODY && !seen.encoding)
		add_encoding(w, plan);
	if (rest.n)
		buf_addz(&w->out, "\r\n");
	return flush(w, PIECE, e);
}

/* ---- bodies, and what stands between them ---- */

static int convert_body(struct work *w, uint32_t i, err *e)
{
	const struct mail_mime_part *p = &w->parts[i];
	slice body = body_of(w, p);
	if (!(w->plan[i] & PLAN_BODY))
		return pass(w, body, e);
	void (*feed)(struct recode *, struct buf *, slice) = recode_base64_feed;
	void (*finish)(struct recode *, struct buf *) = recode_base64_finish;
	if (w->plan[i] & PLAN_QP) {
		feed = recode_qp_feed;
		finish = recode_qp_finish;
	}
	bool encoded = p->encoding == MAIL_ENCODING_QP || p->encoding == MAIL_ENCODING_BASE64;
	bool last = p->body_off + p->body_len == w->in.n;
	struct mail_decoder decoder = {.encoding = p->encoding};
	struct buf plain = BUF_INIT(4 * STEP);
	struct recode coder = {0};
	int rc = 0;
	while (rc == 0 && body.n) {
		slice step = slice_sub(body, 0, STEP);
		body = slice_skip(body, step.n);
		buf_reset(&plain);
		if (encoded)
			mail_decoder_feed(&decoder, &plain, step);
		feed(&coder, &w->out, encoded ? buf_slice(&plain) : step);
		w->out.failed |= plain.failed;
		rc = flush(w, PIECE, e);
	}
	buf_reset(&plain);
	if (encoded)
		mail_decoder_finish(&decoder, &plain);
	feed(&coder, &w->out, buf_slice(&plain));
	finish(&coder, &w->out);
	if (last && w->plan[i] & PLAN_BASE64)
		buf_addz(&w->out, "\r\n");
	w->out.failed |= plain.failed;
	buf_free(&plain);
	return rc < 0 ? rc : flush(w, PIECE, e);
}

/* A line that must change is never to become a boundary: what would begin with a dash gets a blank before. */
static void convert_gap_line(struct work *w, slice line, slice end)
{
	struct sevenbit_look look = sevenbit_look(line);
	if (!look.high && !look.binary) {
		buf_add(&w->out, line);
	} else {
		for (size_t i = 0; i < line.n; i++) {
			char c = line.p[i];
			if (i && i % GAP_LINE == 0)
				buf_addz(&w->out, "\r\n");
			if ((i == 0 && c == '-') || (i && i % GAP_LINE == 0))
				buf_add_c(&w->out, ' ');
			buf_add_c(&w->out, c & (char)0x80 ? '?' : c == 0 || c == '\r' ? ' ' : c);
		}
	}
	if (end.n)
		buf_addz(&w->out, "\r\n");
}

static int convert_gap(struct work *w, size_t from, size_t to, err *e)
{
	slice gap = slice_sub(w->in, from, to - from);
	struct sevenbit_look look = sevenbit_look(gap);
	if (!look.high && !look.binary)
		return pass(w, gap, e);
	while (gap.n) {
		const char *lf = memchr(gap.p, '\n', gap.n);
		size_t n = lf ? (size_t)(lf - gap.p) : gap.n, eol = lf ? 1 : 0;
		if (lf && n && gap.p[n - 1] == '\r') {
			n--;
			eol = 2;
		}
		convert_gap_line(w, slice_sub(gap, 0, n), slice_sub(gap, n, eol));
		gap = slice_skip(gap, n + eol);
		if (flush(w, PIECE, e) < 0)
			return -1;
	}
	return 0;
}

static int convert(struct work *w, err *e)
{
	size_t pos = 0;
	for (uint32_t i = 0; i < w->n; i++) {
		const struct mail_mime_part *p = &w->parts[i];
		if (p->header_off > pos && convert_gap(w, pos, p->header_off, e) < 0)
			return -1;
		if (convert_header(w, i, e) < 0)
			return -1;
		pos = p->header_off + p->header_len;
		if (is_leaf(p)) {
			if (convert_body(w, i, e) < 0)
				return -1;
			pos = p->body_off + p->body_len;
		}
	}
	if (pos < w->in.n && convert_gap(w, pos, w->in.n, e) < 0)
		return -1;
	return flush(w, 0, e);
}

int mail_downgrade(slice message, int (*sink)(void *arg, slice piece, err *e), void *arg, err *e)
{
	struct work w = {.in = message, .out = BUF_INIT(PIECES_MAX), .sink = sink, .arg = arg};
	struct mail_mime *m = mail_mime_new(NULL);
	if (!m)
		return err_set(e, ERR_TEMP, "no memory for the structure of a message");
	mail_mime_feed(m, message);
	int rc = mail_mime_finish(m, e);
	if (rc == 0 && mail_mime_notes(m) & (MAIL_NOTE_CUT_PARTS | MAIL_NOTE_CUT_TEXT))
		rc = err_set(e, ERR_LIMIT, "the message's MIME structure is too large to bring it to 7 bits");
	if (rc == 0) {
		w.parts = mail_mime_parts(m, &w.n);
		rc = make_plan(&w, e);
	}
	if (rc == 0)
		rc = convert(&w, e);
	free(w.plan);
	buf_free(&w.out);
	mail_mime_free(m);
	return rc;
}

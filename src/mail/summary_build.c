#include "base/encode.h"
#include "base/wire.h"
#include "mail/imaptext_int.h"
#include "mail/preview.h"
#include "mail/summary_int.h"
#include <stdlib.h>

/* Bytes looked at of the text a preview is made of. HTML begins with much that is not text. */
#define PLAIN_MAX 8192
#define HTML_MAX  49152
#define KEEP_MAX  16384 /* of a buffer, from one message to the next */
#define SLACK     64    /* decoders ask for a little more room than they fill */

struct capture { /* the head of the first text of one kind */
	uint32_t part;
	size_t left; /* bytes still to be looked at */
	slice charset;
	struct mail_decoder decoder;
	struct buf text;
};

struct mail_summary_builder {
	struct mail_mime *mime;
	struct capture plain, html;
	struct buf record, strings, work, work2;
	struct arena *scratch;
};

/* ---- listening to the scanner ---- */

static void capture_begin(struct capture *c, uint32_t index, const struct mail_mime_part *p)
{
	c->part = index;
	c->left = c->text.max - SLACK;
	c->charset = mail_value_param(&p->type, S("charset"));
	c->decoder = (struct mail_decoder){.encoding = p->encoding};
}

static void on_part(void *arg, uint32_t index)
{
	struct mail_summary_builder *b = arg;
	uint32_t n;
	const struct mail_mime_part *p = &mail_mime_parts(b->mime, &n)[index];
	if (p->kind != MAIL_PART_TEXT || slice_ieq(p->disposition.type, S("attachment")))
		return;
	if (b->plain.part == MAIL_NONE && slice_ieq(p->type.subtype, S("plain")))
		capture_begin(&b->plain, index, p);
	else if (b->html.part == MAIL_NONE && slice_ieq(p->type.subtype, S("html")))
		capture_begin(&b->html, index, p);
}

static void capture_feed(struct capture *c, slice bytes)
{
	bytes = slice_sub(bytes, 0, c->left);
	if (bytes.n)
		mail_decoder_feed(&c->decoder, &c->text, bytes);
	c->left -= bytes.n;
}

static void on_body(void *arg, uint32_t index, slice bytes)
{
	struct mail_summary_builder *b = arg;
	if (index == b->plain.part)
		capture_feed(&b->plain, bytes);
	else if (index == b->html.part)
		capture_feed(&b->html, bytes);
}

/* ---- life ---- */

struct mail_summary_builder *mail_summary_new(void)
{
	struct mail_summary_builder *b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	b->mime = mail_mime_new(&(struct mail_mime_sink){.body = on_body, .part = on_part, .arg = b});
	b->scratch = arena_new(LIMIT_MAIL_FIELD * 2);
	if (!b->mime || !b->scratch) {
		mail_summary_free(b);
		return NULL;
	}
	b->plain.text = BUF_INIT(PLAIN_MAX + SLACK);
	b->html.text = BUF_INIT(HTML_MAX + SLACK);
	b->record = BUF_INIT(LIMIT_MAIL_SUMMARY);
	b->strings = BUF_INIT(LIMIT_MAIL_TEXT);
	b->work = BUF_INIT(HTML_MAX * 4);
	b->work2 = BUF_INIT(HTML_MAX * 4);
	b->plain.part = b->html.part = MAIL_NONE;
	return b;
}

/* Empties a buffer; what one large message has made large is given back. */
static void empty(struct buf *b)
{
	if (b->cap > KEEP_MAX)
		buf_free(b);
	else
		buf_reset(b);
}

void mail_summary_reset(struct mail_summary_builder *b)
{
	struct buf *bufs[] = {&b->plain.text, &b->html.text, &b->record, &b->strings, &b->work, &b->work2};
	mail_mime_reset(b->mime);
	for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
		empty(bufs[i]);
	b->plain.part = b->html.part = MAIL_NONE;
}

void mail_summary_free(struct mail_summary_builder *b)
{
	if (!b)
		return;
	mail_mime_free(b->mime);
	buf_free(&b->plain.text);
	buf_free(&b->html.text);
	buf_free(&b->record);
	buf_free(&b->strings);
	buf_free(&b->work);
	buf_free(&b->work2);
	arena_free(b->scratch);
	free(b);
}

void mail_summary_feed(struct mail_summary_builder *b, slice bytes)
{
	mail_mime_feed(b->mime, bytes);
}

/* ---- sections ---- */

struct section {
	size_t start; /* of the record */
	int n;
	size_t from; /* where the present one begins */
};

/* Notes the length of the section that ends here in the head. */
static void end_section(struct buf *record, struct section *s)
{
	if (record->failed)
		return;
	be32_put(record->p + 12 + 4 * s->n, (uint32_t)(record->n - s->from));
	s->n++;
	s->from = record->n;
}

/* The three reply texts, cut down step by step until they leave room for the rest. True: something was cut.
 */
static bool put_replies(struct mail_summary_builder *b, struct section *s)
{
	static const struct mail_imap_limits steps[] = {
		{LIMIT_MAIL_ADDRESSES, LIMIT_MAIL_FIELD, LIMIT_MAIL_PARAMS, true},
		{64, 256, 8, true},
		{16, 64, 2, false},
		{4, 24, 0, false},
	};
	const size_t step_n = sizeof steps / sizeof *steps;
	/* what may come behind: strings, preview, both tables */
	const size_t rest = LIMIT_MAIL_TEXT + LIMIT_MAIL_PREVIEW * 4 +
			    LIMIT_MAIL_PARTS * (SUMMARY_PART + SUMMARY_ENVELOPE);
	const struct section begin = *s;
	uint32_t n;
	const struct mail_mime_part *parts = mail_mime_parts(b->mime, &n);
	static const struct mail_envelope none;
	for (size_t i = 0; i < step_n; i++) {
		b->record.max = LIMIT_MAIL_SUMMARY - rest;
		mail_imap_envelope_within(
			&b->record, parts[0].envelope ? parts[0].envelope : &none, b->scratch, &steps[i]);
		end_section(&b->record, s);
		mail_imap_structure_within(&b->record, b->mime, true, b->scratch, &steps[i]);
		end_section(&b->record, s);
		mail_imap_structure_within(&b->record, b->mime, false, b->scratch, &steps[i]);
		end_section(&b->record, s);
		b->record.max = LIMIT_MAIL_SUMMARY;
		if (!b->record.failed)
			return i > 0;
		b->record.failed = i + 1 == step_n;
		buf_truncate(&b->record, begin.from);
		*s = begin;
	}
	return true;
}

static void put_preview(struct mail_summary_builder *b)
{
	size_t before = b->record.n;
	if (b->plain.part != MAIL_NONE) {
		mail_decoder_finish(&b->plain.decoder, &b->plain.text);
		buf_reset(&b->work);
		mail_charset_to_utf8(&b->work, b->plain.charset, buf_slice(&b->plain.text));
		mail_preview(&b->record, buf_slice(&b->work));
	}
	if (b->record.n == before && b->html.part != MAIL_NONE) {
		mail_decoder_finish(&b->html.decoder, &b->html.text);
		buf_reset(&b->work);
		buf_reset(&b->work2);
		mail_charset_to_utf8(&b->work, b->html.charset, buf_slice(&b->html.text));
		mail_html_text(&b->work2, buf_slice(&b->work));
		mail_preview(&b->record, buf_slice(&b->work2));
	}
}

static void put_link(struct buf *out, uint32_t part)
{
	wire_put_u16(out, part == MAIL_NONE ? SUMMARY_NO_PART : (uint16_t)part);
}

/* Appends a string to the text section; returns the length kept. */
static uint32_t put_text(struct buf *strings, slice s, uint32_t max, bool lower)
{
	size_t room = strings->max - strings->n;
	size_t n = utf8_cut(s, max < room ? max : room);
	char *p = buf_room(strings, n);
	if (!p)
		return 0;
	for (size_t i = 0; i < n; i++)
		p[i] = lower ? ascii_lower(s.p[i]) : s.p[i];
	buf_grow(strings, n);
	return (uint32_t)n;
}

/* A file name in one line, without what would act up where it is shown. */
static slice file_name(struct mail_summary_builder *b, const struct mail_mime_part *p)
{
	slice name = {0}, cleanly = {0};
	if (!mail_value_param_utf8(&p->disposition, S("filename"), b->scratch, &name) &&
		!mail_value_param_utf8(&p->type, S("name"), b->scratch, &name))
		return cleanly;
	buf_reset(&b->work);
	mail_preview(&b->work, name);
	return buf_slice(&b->work);
}

static bool is_attachment(const struct mail_mime_part *p, const struct mail_mime_part *parts, slice name)
{
	if (p->kind == MAIL_PART_MULTIPART)
		return false;
	if (p->disposition.type.p)
		return slice_ieq(p->disposition.type, S("attachment"));
	bool digest = p->parent != MAIL_NONE && slice_ieq(parts[p->parent].type.subtype, S("digest"));
	return (p->kind == MAIL_PART_LEAF && name.n) ||
	       (p->kind == MAIL_PART_MESSAGE && p->parent != MAIL_NONE && !digest);
}

/* The part table; returns flags it found reason for. */
static uint32_t put_parts(struct mail_summary_builder *b)
{
	uint32_t n, flags = 0;
	uint16_t rows = 0;
	struct buf *out = &b->record, *strings = &b->strings;
	const struct mail_mime_part *parts = mail_mime_parts(b->mime, &n);
	for (uint32_t i = 0; i < n; i++) {
		const struct mail_mime_part *p = &parts[i];
		slice name = file_name(b, p);
		bool attachment = is_attachment(p, parts, name);
		flags |= attachment ? MAIL_SUMMARY_ATTACHMENT : 0;
		wire_put_u8(out, (uint8_t)p->kind);
		wire_put_u8(out, (uint8_t)p->encoding);
		wire_put_u8(out, attachment);
		wire_put_u8(out, 0);
		put_link(out, p->parent);
		put_link(out, p->child);
		put_link(out, p->next);
		wire_put_u16(out, p->envelope ? rows++ : SUMMARY_NO_PART);
		wire_put_u32(out, (uint32_t)p->header_off);
		wire_put_u32(out, (uint32_t)p->header_len);
		wire_put_u32(out, (uint32_t)p->body_off);
		wire_put_u32(out, (uint32_t)p->body_len);
		wire_put_u32(out, (uint32_t)p->lines);
		wire_put_u32(out, (uint32_t)strings->n);
		wire_put_u8(out, (uint8_t)put_text(strings, p->type.type, 127, true));
		wire_put_u8(out, (uint8_t)put_text(strings, p->type.subtype, 127, true));
		wire_put_u8(out,
			(uint8_t)put_text(strings, mail_value_param(&p->type, S("charset")), 127, false));
		wire_put_u8(out, 0);
		wire_put_u16(out, (uint16_t)put_text(strings, name, 1024, false));
		wire_put_u16(out, (uint16_t)put_text(strings, p->id, 1024, false));
		if (arena_used(b->scratch))
			arena_reset(b->scratch);
	}
	return flags;
}

static bool put_envelopes(struct mail_summary_builder *b)
{
	uint32_t n;
	bool cut = false;
	const struct mail_mime_part *parts = mail_mime_parts(b->mime, &n);
	for (uint32_t i = 0; i < n; i++) {
		if (!parts[i].envelope)
			continue;
		struct mail_envelope v = *parts[i].envelope;
		const slice *fields = summary_fields(&v);
		wire_put_u32(&b->record, (uint32_t)b->strings.n);
		for (int k = 0; k < SUMMARY_FIELDS; k++) {
			uint32_t kept = fields[k].p
						? put_text(&b->strings, fields[k], LIMIT_MAIL_FIELD, false)
						: SUMMARY_NO_FIELD;
			cut |= fields[k].p && kept < fields[k].n;
			wire_put_u32(&b->record, kept);
		}
	}
	return cut;
}

int mail_summary_finish(struct mail_summary_builder *b, struct buf *out, err *e)
{
	struct buf *record = &b->record;
	struct section s = {0};
	uint32_t parts;
	if (mail_mime_finish(b->mime, e) < 0)
		return -1;
	uint64_t size = mail_mime_size(b->mime);
	if (size > UINT32_MAX)
		return err_set(e, ERR_LIMIT, "the message is larger than 4 GiB");
	mail_mime_parts(b->mime, &parts);
	buf_reset(record);
	buf_reset(&b->strings);
	wire_put_u8(record, SUMMARY_VERSION);
	wire_put_u8(record, 0);
	wire_put_u16(record, (uint16_t)parts);
	for (int i = 0; i < 2 + SUMMARY_SECTIONS; i++)
		wire_put_u32(record, 0);
	s.from = record->n;
	uint32_t flags = mail_mime_notes(b->mime);
	flags |= put_replies(b, &s) ? MAIL_SUMMARY_CUT : 0;
	put_preview(b);
	end_section(record, &s);
	flags |= put_parts(b);
	end_section(record, &s);
	flags |= put_envelopes(b) ? MAIL_NOTE_CUT_TEXT : 0;
	end_section(record, &s);
	buf_add(record, buf_slice(&b->strings));
	end_section(record, &s);
	if (record->failed || b->strings.failed)
		return err_set(e, ERR_TEMP, "no memory for the summary of a message");
	be32_put(record->p + 4, flags);
	be32_put(record->p + 8, (uint32_t)size);
	buf_add(out, buf_slice(record));
	if (out->failed)
		return err_set(e, ERR_TEMP, "no room for the summary of a message");
	return 0;
}

int mail_summary_make(slice message, struct buf *out, err *e)
{
	struct mail_summary_builder *b = mail_summary_new();
	if (!b)
		return err_set(e, ERR_TEMP, "no memory for the summary of a message");
	mail_summary_feed(b, message);
	int rc = mail_summary_finish(b, out, e);
	mail_summary_free(b);
	return rc;
}

#include "base/encode.h"
#include "limits.h"
#include "mail/date.h"
#include "mail/decode.h"
#include "mail/downgrade.h"
#include "mail/dsn_int.h"
#include "mail/header.h"
#include "mail/recode.h"
#include "mail/sevenbit.h"

/* ---- the head of the report ---- */

static bool has_high(slice s)
{
	return !ascii_only(s);
}

/* An address in a header line: no byte may end the line or the brackets. */
static void add_address(struct buf *out, slice address, bool utf8)
{
	for (size_t i = 0; i < address.n; i++) {
		uint8_t c = (uint8_t)address.p[i];
		bool good = c >= 32 && c != 127 && c != '<' && c != '>' && (c < 128 || utf8);
		buf_add_c(out, good ? (char)c : '?');
	}
}

/* Only what is plainly a message id: it is a stranger's. */
static void add_in_reply_to(struct buf *out, slice original)
{
	struct mail_field f;
	if (!mail_header_find(original, S("message-id"), &f))
		return;
	slice id = slice_trim(f.value);
	bool good = id.n > 4 && id.n <= 250 && id.p[0] == '<' && id.p[id.n - 1] == '>';
	for (size_t i = 1; good && i + 1 < id.n; i++)
		good = id.p[i] > 32 && id.p[i] < 127 && id.p[i] != '<' && id.p[i] != '>';
	if (!good)
		return;
	buf_addz(out, "In-Reply-To: ");
	buf_add(out, id);
	buf_addz(out, "\r\nReferences: ");
	buf_add(out, id);
	buf_addz(out, "\r\n");
}

static void add_phrase(struct buf *out, const char *name, slice text)
{
	struct sevenbit_line l = {.out = out, .col = strlen(name)};
	slice word;
	buf_addz(out, name);
	if (has_high(text) || slice_find(text, S("=?")) >= 0)
		sevenbit_encoded(&l, text);
	else
		while (slice_word(&text, &word))
			sevenbit_word(&l, word);
}

static void write_head(const struct mail_dsn *d, slice boundary, struct buf *out)
{
	slice name = slice_of(dsn_sender_name(d));
	struct buf subject = BUF_INIT(4096);
	if (has_high(name)) {
		add_phrase(out, "From:", name);
	} else {
		buf_addz(out, "From: \"");
		buf_add(out, name);
		buf_add_c(out, '"');
	}
	buf_addz(out, "\r\n\t<MAILER-DAEMON@");
	add_address(out, d->host, false);
	buf_addz(out, ">\r\nTo: <");
	add_address(out, d->to, d->utf8 && utf8_valid(d->to));
	buf_addz(out, ">\r\n");
	dsn_subject_write(d, &subject);
	add_phrase(out, "Subject:", buf_slice(&subject));
	buf_addz(out, "\r\nDate: ");
	mail_date_write(out, (struct mail_date){d->now_us / 1000000, 0});
	buf_addz(out, "\r\nMessage-ID: <");
	add_address(out, d->message_id, false);
	buf_add_c(out, '@');
	add_address(out, d->host, false);
	buf_addz(out, ">\r\n");
	add_in_reply_to(out, d->original);
	buf_addz(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		      "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"");
	buf_add(out, boundary);
	buf_addz(out, "\"\r\n");
	out->failed |= subject.failed;
	buf_free(&subject);
}

/* ---- the original ---- */

struct returned {
	const char *type;
	bool eight_bit;
	slice content;
	struct buf own; /* of content, when it is not the original itself */
};

static int gather(void *arg, slice piece, err *e)
{
	struct buf *out = arg;
	buf_add(out, piece);
	return out->failed ? err_set(e, ERR_LIMIT, "the returned message is too large") : 0;
}

/* The whole original. False: it cannot be returned so; then its header is. */
static bool return_whole(const struct mail_dsn *d, size_t max, struct returned *r)
{
	struct mail_content_needs needs;
	mail_content_look(d->original, &needs);
	r->type = "message/rfc822";
	r->content = d->original;
	if (d->utf8 && !needs.binary) {
		r->eight_bit = needs.eight_bit || needs.header_utf8;
		if (needs.header_utf8)
			r->type = "message/global";
	} else if (needs.eight_bit || needs.header_utf8 || needs.binary) {
		r->own = BUF_INIT(max);
		if (mail_downgrade(d->original, gather, &r->own, NULL) < 0) {
			buf_free(&r->own);
			return false;
		}
		r->content = buf_slice(&r->own);
	}
	return true;
}

static void return_header(const struct mail_dsn *d, struct returned *r)
{
	struct mail_header_scan scan = mail_header_begin(d->original);
	struct mail_field f;
	r->own = BUF_INIT(8 * (size_t)LIMIT_DSN_HEADER);
	r->type = "text/rfc822-headers";
	/* fields are whole or not there: the one that passes the limit is the first left out */
	while (mail_header_next(&scan, &f) && scan.pos <= LIMIT_DSN_HEADER) {
		bool keep = d->utf8 && utf8_valid(f.whole) && !sevenbit_look(f.whole).binary;
		if (!keep)
			sevenbit_field(&r->own, &f);
		else
			buf_add(&r->own, f.whole);
		r->eight_bit |= keep && has_high(f.whole);
	}
	if (r->eight_bit)
		r->type = "message/global-headers";
	r->content = buf_slice(&r->own);
}

/* ---- together ---- */

/*
 * "=_", the report's id and a number that follows all those the content has behind the same id: one walk, and
 * nobody can choose a content that holds it. All have one length, so none is the beginning of another.
 */
static bool choose_boundary(const struct mail_dsn *d, slice content, char ret[64])
{
	uint32_t next = 0;
	char stem[48];
	struct buf b = BUF_INIT(sizeof stem);
	buf_addz(&b, "=_");
	for (size_t i = 0; i < d->message_id.n && b.n < 40; i++)
		if (ascii_is_alpha(d->message_id.p[i]) || ascii_is_digit(d->message_id.p[i]))
			buf_add_c(&b, d->message_id.p[i]);
	buf_add_c(&b, '.');
	bool good = !b.failed;
	slice all = buf_slice(&b);
	for (ptrdiff_t at; good && (at = slice_find(content, all)) >= 0;) {
		content = slice_skip(content, (size_t)at + all.n);
		uint8_t four[4];
		struct buf raw = BUF_INIT(sizeof four);
		uint32_t v = 0;
		if (hex_decode(&raw, slice_sub(content, 0, 8)) && raw.n == 4)
			for (size_t i = 0; i < 4; i++)
				v = v << 8 | (uint8_t)raw.p[i];
		buf_free(&raw);
		good = v != UINT32_MAX;
		if (v >= next)
			next = v + 1;
	}
	buf_addf(&b, "%08x", next);
	good = good && !b.failed;
	if (good) {
		memcpy(ret, b.p, b.n);
		ret[b.n] = 0;
	}
	buf_free(&b);
	return good;
}

/* Behind the head the line end in front of the boundary is the empty line that ends it. */
static void begin_part(struct buf *out, slice boundary, const char *head)
{
	buf_addz(out, "\r\n--");
	buf_add(out, boundary);
	buf_addz(out, "\r\n");
	buf_addz(out, head);
}

static void write_parts(const struct mail_dsn *d, slice boundary, const struct returned *r, struct buf *out)
{
	struct buf text = BUF_INIT(MAIL_DSN_MAX), status = BUF_INIT(MAIL_DSN_MAX);
	struct recode coder = {0};
	dsn_text_write(d, &text);
	begin_part(out, boundary,
		"Content-Description: Notification\r\n"
		"Content-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\n");
	recode_base64_feed(&coder, out, buf_slice(&text));
	recode_base64_finish(&coder, out);

	dsn_status_write(d, d->utf8, &status);
	bool global = has_high(buf_slice(&status));
	begin_part(out, boundary, "Content-Description: Delivery report\r\nContent-Type: message/");
	buf_addz(out, global ? "global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
			     : "delivery-status\r\n\r\n");
	buf_add(out, buf_slice(&status));

	begin_part(out, boundary, "Content-Description: Your message\r\nContent-Type: ");
	buf_addz(out, r->type);
	buf_addz(out, r->eight_bit ? "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" : "\r\n\r\n");
	buf_add(out, r->content);
	buf_addz(out, "\r\n--");
	buf_add(out, boundary);
	buf_addz(out, "--\r\n");
	out->failed |= text.failed || status.failed;
	buf_free(&text);
	buf_free(&status);
}

static int write_with(const struct mail_dsn *d, struct returned *r, struct buf *out, err *e)
{
	char boundary[64];
	if (r->own.failed || !choose_boundary(d, r->content, boundary))
		return err_set(e, ERR_TEMP, "no memory for a report");
	write_head(d, slice_of(boundary), out);
	write_parts(d, slice_of(boundary), r, out);
	if (out->failed)
		return err_set(e, ERR_LIMIT, "a report does not fit %zu bytes", out->max);
	return 0;
}

int mail_dsn_write(const struct mail_dsn *d, struct buf *out, err *e)
{
	struct returned r = {0};
	size_t start = out->n;
	int rc = -1;
	if (d->n == 0 || d->n > LIMIT_RECIPIENTS || out->failed)
		return err_set(e, ERR_LIMIT, "a report about %zu recipients", d->n);
	if (d->full && return_whole(d, out->max, &r))
		rc = write_with(d, &r, out, e);
	buf_free(&r.own);
	if (rc == 0)
		return 0;
	buf_truncate(out, start);
	out->failed = false;
	r = (struct returned){0};
	return_header(d, &r);
	rc = write_with(d, &r, out, e);
	buf_free(&r.own);
	return rc;
}

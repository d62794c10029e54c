#include "imap/search_text.h"
#include "base/encode.h"
#include "io/fiber.h"
#include "limits.h"
#include "mail/decode.h"
#include "mail/header.h"

#define SMALL    262144   /* bytes of a message that is read at once */
#define CHUNK    65536    /* of others read at a time */
#define WINDOW   262144   /* decoded bytes made UTF-8 at a time */
#define FULL     524288   /* folded bytes that are looked through before more are added */
#define OVERLAP  4096     /* of them are looked at again with the next: a match over the border */
#define KEPT     1048576  /* memory of a buffer that is kept for the next message */
#define TEXT_MAX 16777216 /* a window in its longest reading; what is past that is not found */
#define BREATH   16777216 /* bytes looked through before others get their turn: some 5 ms */
#define BREAK    ((char)0xFF)

/* ---- memory ---- */

void search_text_free(struct search_text *t)
{
	buf_free(&t->text);
	buf_free(&t->raw);
	buf_free(&t->region);
	buf_free(&t->plain);
	buf_free(&t->utf8);
	buf_free(&t->line);
	store_window_reset(&t->window);
	*t = (struct search_text){0};
}

/* Empty, but for what a long message left. */
static struct buf *fresh(struct buf *b, size_t max)
{
	if (b->cap > KEPT)
		buf_free(b);
	buf_reset(b);
	b->max = max;
	return b;
}

/* ---- reading ---- */

/* The message that is asked about from here on. */
static int begin(struct search_text *t, struct imap_item *item, err *e)
{
	size_t n = item->blob.length <= SMALL ? (size_t)item->blob.length : 0;

	t->has_raw = n > 0;
	t->message = 0;
	t->whole = true;
	t->body = SIZE_MAX; /* not known yet: all of it is that header */
	fresh(&t->text, TEXT_MAX);
	if (n == 0)
		return 0;
	char *p = buf_room(fresh(&t->raw, SMALL), n);
	if (!p)
		return err_set(e, ERR_TEMP, "no memory");
	buf_grow(&t->raw, n);
	return store_window_read(&t->window, &item->blob, p, e);
}

/* A part of the message; valid until the next one. */
static int region(
	struct search_text *t, struct imap_item *item, uint64_t off, uint64_t len, slice *ret, err *e)
{
	uint64_t all = item->blob.length;

	if (off > all || len > all - off)
		return err_set(e, ERR_CORRUPT, "a summary points past its message");
	if (t->has_raw || len == 0) {
		*ret = slice_sub(buf_slice(&t->raw), (size_t)off, (size_t)len);
		return 0;
	}
	char *p = buf_room(fresh(&t->region, LIMIT_IMAP_HEADER), (size_t)len);
	if (!p)
		return err_set(e, ERR_TEMP, "no memory");
	*ret = slice_make(p, (size_t)len);
	return store_blob_read(&item->blob, off, p, (size_t)len, e);
}

static int header_of(
	struct search_text *t, struct imap_item *item, const struct mail_part *part, slice *ret, err *e)
{
	uint32_t n = part->header_len < LIMIT_IMAP_HEADER ? part->header_len : LIMIT_IMAP_HEADER;

	return region(t, item, part->header_off, n, ret, e);
}

/* ---- looking ---- */

static bool has(slice text, slice needle)
{
	return slice_ifind(text, needle) >= 0;
}

static int breathe(struct search_text *t, size_t done, err *e)
{
	t->breath += done;
	if (t->breath < BREATH)
		return 0;
	t->breath = 0;
	return fiber_yield() < 0 ? err_set(e, ERR_CANCELED, "the session is told to end") : 0;
}

static int look(struct search_text *t, const struct search_node *key, err *e)
{
	slice text = slice_skip(buf_slice(&t->text), key->op == SEARCH_BODY ? t->body : 0);

	if (breathe(t, text.n, e) < 0)
		return -1;
	return has(text, key->text);
}

/* All keys look before the text grows too long to be kept. */
static int look_now(struct search_text *t, err *e)
{
	t->whole = false;
	for (struct search_node *key = t->keys; key; key = key->next_body) {
		int rc = key->found ? 1 : look(t, key, e);

		if (rc < 0)
			return -1;
		key->found = rc;
	}
	size_t gone = t->text.n > OVERLAP ? t->text.n - OVERLAP : 0;
	buf_consume(&t->text, gone);
	t->body = t->body > gone ? t->body - gone : 0;
	t->text.failed = false;
	return 0;
}

/* ---- texts into one ---- */

/* ASCII without encoded words or escapes: it is what it says. */
static bool plain_header(slice s)
{
	return ascii_only(s) && slice_find(s, S("=?")) < 0 && slice_find_c(s, '\x1b') < 0;
}

static void add_folded(struct search_text *t, slice utf8)
{
	if (ascii_only(utf8))
		buf_add(&t->text, utf8);
	else
		mail_fold(&t->text, utf8);
}

static int end_piece(struct search_text *t, err *e)
{
	buf_add_c(&t->text, BREAK);
	return t->text.n >= FULL || t->text.failed ? look_now(t, e) : 0;
}

static int add_header(struct search_text *t, struct imap_item *item, const struct mail_part *part, err *e)
{
	struct mail_field field;
	slice header;
	int rc = header_of(t, item, part, &header, e);

	bool plain = rc == 0 && plain_header(header);
	struct mail_header_scan scan = mail_header_begin(header);
	while (rc == 0 && mail_header_next(&scan, &field)) {
		if (plain) {
			mail_header_unfold(&t->text, field.whole);
		} else {
			mail_header_unfold(fresh(&t->line, LIMIT_IMAP_HEADER), field.whole);
			mail_words_decode(fresh(&t->utf8, TEXT_MAX), buf_slice(&t->line));
			add_folded(t, buf_slice(&t->utf8));
		}
		rc = end_piece(t, e);
	}
	return rc;
}

/* What is decoded; if more comes, up to the end of a line, so that no character is cut. */
static int add_plain(struct search_text *t, slice charset, bool last, err *e)
{
	ptrdiff_t line = last ? -1 : slice_rfind_c(buf_slice(&t->plain), '\n');
	size_t n = line >= 0 ? (size_t)line + 1 : t->plain.n;

	fresh(&t->utf8, TEXT_MAX);
	(void)mail_charset_to_utf8(&t->utf8, charset, slice_sub(buf_slice(&t->plain), 0, n));
	add_folded(t, buf_slice(&t->utf8));
	buf_consume(&t->plain, n);
	return t->text.n >= FULL || t->text.failed ? look_now(t, e) : 0;
}

static bool as_it_is(enum mail_encoding encoding)
{
	return encoding != MAIL_ENCODING_QP && encoding != MAIL_ENCODING_BASE64;
}

static int add_body(struct search_text *t, struct imap_item *item, const struct mail_part *part, err *e)
{
	struct mail_decoder d = {.encoding = part->encoding};
	uint64_t at = part->body_off, left = part->body_len;
	uint32_t step = t->has_raw ? SMALL : CHUNK;
	int rc = 0;

	fresh(&t->plain, WINDOW + 2 * SMALL);
	while (rc == 0 && left > 0) {
		uint32_t n = left < step ? (uint32_t)left : step;
		slice bytes;

		if (region(t, item, at, n, &bytes, e) < 0)
			return -1;
		at += n;
		left -= n;
		if (t->has_raw && as_it_is(part->encoding) && mail_charset_is_ascii(part->charset, bytes)) {
			buf_add(&t->text, bytes); /* all of it: no need to decode */
			break;
		}
		mail_decoder_feed(&d, &t->plain, bytes);
		if (left == 0)
			mail_decoder_finish(&d, &t->plain);
		if (left == 0 || t->plain.n >= WINDOW)
			rc = add_plain(t, part->charset, left == 0, e);
		if (left > 0 && rc == 0)
			rc = breathe(t, n, e);
	}
	return rc < 0 ? -1 : end_piece(t, e);
}

/*
 * The header of the message itself is TEXT's only; headers of messages inside belong to the body. File names
 * may be in pieces there (RFC 2231): the summary has them whole.
 */
static int add_message(struct search_text *t, struct imap_item *item, err *e)
{
	struct mail_part part;

	for (uint32_t i = 0; i < item->summary.parts; i++) {
		if (mail_summary_part(&item->summary, i, &part) < 0)
			return err_set(e, ERR_CORRUPT, "a summary is damaged");
		if (part.name.n > 0)
			add_folded(t, part.name);
		if (end_piece(t, e) < 0 || add_header(t, item, &part, e) < 0)
			return -1;
		if (i == 0)
			t->body = t->text.n;
		if (part.kind == MAIL_PART_TEXT && add_body(t, item, &part, e) < 0)
			return -1;
	}
	return t->whole ? 0 : look_now(t, e);
}

int search_text_key(struct search_text *t, struct imap_item *item, const struct search_node *key, err *e)
{
	if (key->text.n == 0)
		return 1;
	if (t->message != item->entry.message) {
		for (struct search_node *k = t->keys; k; k = k->next_body)
			k->found = false;
		if (begin(t, item, e) < 0 || add_message(t, item, e) < 0) {
			t->message = 0;
			return -1;
		}
		t->message = item->entry.message;
	}
	return t->whole ? look(t, key, e) : key->found;
}

/* ---- fields ---- */

bool search_text_in_field(struct search_text *t, slice unfolded, slice needle)
{
	if (needle.n == 0)
		return true;
	if (plain_header(unfolded))
		return has(unfolded, needle);
	mail_words_decode(fresh(&t->utf8, TEXT_MAX), unfolded);
	mail_fold(fresh(&t->line, TEXT_MAX), buf_slice(&t->utf8));
	return has(buf_slice(&t->line), needle);
}

int search_text_header(struct search_text *t, struct imap_item *item, slice name, slice needle, err *e)
{
	struct mail_part part;
	struct mail_field field;
	slice header;
	bool found = false;

	if (mail_summary_part(&item->summary, 0, &part) < 0)
		return err_set(e, ERR_CORRUPT, "a summary is damaged");
	t->has_raw &= t->message == item->entry.message;
	if (header_of(t, item, &part, &header, e) < 0)
		return -1;
	struct mail_header_scan scan = mail_header_begin(header);
	while (!found && mail_header_next(&scan, &field)) {
		if (!slice_ieq(name, field.name))
			continue;
		mail_header_unfold(fresh(&t->plain, LIMIT_IMAP_HEADER), field.value);
		found = search_text_in_field(t, buf_slice(&t->plain), needle);
	}
	return found;
}

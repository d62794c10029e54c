/* Sections of a message: read from its blob in chunks, whole ones that are long go past the response buffer.
 */
#include "imap/fetch.h"
#include "limits.h"
#include "mail/decode.h"
#include "mail/header.h"

#define CHUNK 65536 /* bytes read at a time */

struct region {
	uint64_t from, n;
};

static struct region part_of(const struct fetch_section *sec, struct region all)
{
	if (!sec->partial)
		return all;
	if (sec->from >= all.n)
		return (struct region){all.from, 0};
	all.from += sec->from;
	all.n -= sec->from;
	if (all.n > sec->count)
		all.n = sec->count;
	return all;
}

static void write_label(struct buf *out, const struct fetch_section *sec)
{
	buf_add(out, sec->label);
	buf_add_c(out, ' ');
}

static void write_size(struct buf *out, uint64_t n, bool binary)
{
	buf_addz(out, binary ? "~{" : "{");
	imap_write_u64(out, n);
	buf_addz(out, "}\r\n");
}

/* CHAR8 has no NUL (RFC 9051 4.3.1); its place stays. */
static void mask_nuls(char *p, size_t n)
{
	while (n > 0) {
		char *nul = memchr(p, 0, n);

		if (!nul)
			return;
		*nul = '\x80';
		n -= (size_t)(nul - p) + 1;
		p = nul + 1;
	}
}

/* Short ones into the buffer: many of them share one write. */
static int write_short(
	struct imap_session *s, struct fetch *f, struct imap_item *item, struct region r, err *e)
{
	char *to = buf_room(&s->out, r.n ? (size_t)r.n : 1);
	bool whole = r.from == 0 && r.n == item->blob.length;

	if (!to)
		return err_set(e, ERR_TEMP, "no memory");
	if (whole && store_window_read(&f->window, &item->blob, to, e) < 0)
		return -1;
	if (!whole && r.n > 0 && store_blob_read(&item->blob, r.from, to, (size_t)r.n, e) < 0)
		return -1;
	mask_nuls(to, (size_t)r.n);
	buf_grow(&s->out, (size_t)r.n);
	return 0;
}

static int write_long(struct imap_session *s, struct imap_item *item, struct region r, err *e)
{
	AUTO_FREE char *chunk = malloc(CHUNK);
	int rc = chunk ? imap_send(s) : 0;

	if (!chunk)
		return err_set(e, ERR_TEMP, "no memory");
	while (rc == 0 && r.n > 0) {
		size_t n = r.n < CHUNK ? (size_t)r.n : CHUNK;

		if (store_blob_read(&item->blob, r.from, chunk, n, e) < 0)
			return -1;
		mask_nuls(chunk, n);
		stream_timeout(s->io, s->config->silence_ms);
		rc = stream_write(s->io, slice_make(chunk, n));
		r.from += n;
		r.n -= n;
	}
	return rc < 0 ? imap_stream_error(rc, e) : 0;
}

static int write_raw(struct imap_session *s, struct fetch *f, const struct fetch_section *sec,
	struct imap_item *item, struct region all, err *e)
{
	struct region r = part_of(sec, all);

	write_label(&s->out, sec);
	write_size(&s->out, r.n, false);
	return r.n > CHUNK ? write_long(s, item, r, e) : write_short(s, f, item, r, e);
}

/* ---- HEADER.FIELDS ---- */

static bool wanted(const struct fetch_section *sec, slice name)
{
	for (size_t i = 0; i < sec->fields_n; i++) {
		if (slice_ieq(sec->fields[i], name))
			return sec->kind == FETCH_FIELDS;
	}
	return sec->kind == FETCH_FIELDS_NOT;
}

static int write_fields(struct imap_session *s, const struct fetch_section *sec, struct imap_item *item,
	struct region all, err *e)
{
	size_t n = all.n < LIMIT_IMAP_HEADER ? (size_t)all.n : LIMIT_IMAP_HEADER;
	AUTO_FREE char *header = malloc(n + 1);
	struct buf found = BUF_INIT(n + 2);
	struct mail_field field;

	if (!header)
		return err_set(e, ERR_TEMP, "no memory");
	if (n > 0 && store_blob_read(&item->blob, all.from, header, n, e) < 0)
		return -1;
	struct mail_header_scan scan = mail_header_begin(slice_make(header, n));
	while (mail_header_next(&scan, &field)) {
		if (wanted(sec, field.name))
			buf_add(&found, field.whole);
	}
	buf_add(&found, S("\r\n"));
	struct region r = part_of(sec, (struct region){0, found.n});
	if (found.failed) {
		buf_free(&found);
		return err_set(e, ERR_TEMP, "no memory");
	}
	mask_nuls(found.p, found.n);
	write_label(&s->out, sec);
	write_size(&s->out, r.n, false);
	buf_add(&s->out, slice_sub(buf_slice(&found), r.from, r.n));
	buf_free(&found);
	return 0;
}

/* ---- BINARY ---- */

struct binary {
	struct imap_session *s;
	uint64_t at, size; /* decoded so far */
	struct region want;
	bool nul, write;
};

/* One decoded piece: counted in the first pass, its wanted part written in the second. */
static int decoded(struct binary *b, slice piece)
{
	uint64_t at = b->at, end = b->want.from + b->want.n;
	int rc = 0;

	b->at += piece.n;
	if (!b->write) {
		b->nul |= memchr(piece.p, 0, piece.n) != NULL;
		return 0;
	}
	if (at < b->want.from)
		piece = slice_skip(
			piece, b->want.from - at > piece.n ? piece.n : (size_t)(b->want.from - at));
	if (at < b->want.from)
		at = b->want.from;
	if (at < end) {
		buf_add(&b->s->out, slice_sub(piece, 0, (size_t)(end - at)));
		if (b->s->out.n > CHUNK)
			rc = imap_send(b->s);
	}
	return rc;
}

static int decode(
	struct binary *b, struct imap_item *item, struct region r, enum mail_encoding encoding, err *e)
{
	AUTO_FREE char *chunk = malloc(CHUNK);
	struct buf plain = BUF_INIT(2 * CHUNK);
	struct mail_decoder d = {.encoding = encoding};
	int rc = 0;

	if (!chunk)
		return err_set(e, ERR_TEMP, "no memory");
	b->at = 0;
	do {
		size_t n = r.n < CHUNK ? (size_t)r.n : CHUNK;

		if (n > 0 && store_blob_read(&item->blob, r.from, chunk, n, e) < 0) {
			buf_free(&plain);
			return -1;
		}
		buf_reset(&plain);
		mail_decoder_feed(&d, &plain, slice_make(chunk, n));
		r.from += n;
		r.n -= n;
		if (r.n == 0)
			mail_decoder_finish(&d, &plain);
		if (plain.n > 0)
			rc = decoded(b, buf_slice(&plain));
	} while (rc == 0 && r.n > 0);
	buf_free(&plain);
	return rc < 0 ? imap_stream_error(rc, e) : 0;
}

static int write_binary(struct imap_session *s, struct fetch *f, const struct fetch_section *sec,
	struct imap_item *item, struct region all, err *e)
{
	enum mail_encoding encoding = MAIL_ENCODING_BINARY;
	struct binary b = {.s = s};
	struct mail_part part;
	uint32_t index;

	if (sec->path_n > 0 && mail_summary_find(&item->summary, sec->path, sec->path_n, &index, e) == 0 &&
		mail_summary_part(&item->summary, index, &part) == 0 &&
		(part.kind == MAIL_PART_LEAF || part.kind == MAIL_PART_TEXT))
		encoding = part.encoding;
	if (encoding == MAIL_ENCODING_OTHER) {
		f->unknown_cte = true;
		write_label(&s->out, sec);
		buf_addz(&s->out, sec->kind == FETCH_BINARY_SIZE ? "0" : "NIL");
		return 0;
	}
	if (decode(&b, item, all, encoding, e) < 0)
		return -1;
	b.size = b.at;
	write_label(&s->out, sec);
	if (sec->kind == FETCH_BINARY_SIZE) {
		imap_write_u64(&s->out, b.size);
		return 0;
	}
	b.want = part_of(sec, (struct region){0, b.size});
	b.write = true;
	write_size(&s->out, b.want.n, b.nul);
	return decode(&b, item, all, encoding, e);
}

int imap_fetch_section(struct imap_session *s, struct fetch *f, const struct fetch_section *sec,
	struct imap_item *item, err *e)
{
	struct region all = {0, item->blob.length};
	uint32_t off, len;

	if (sec->path_n > 0 || sec->section != MAIL_SECTION_ALL) {
		err missing = {0};

		if (mail_summary_section(
			    &item->summary, sec->path, sec->path_n, sec->section, &off, &len, &missing) < 0) {
			write_label(&s->out, sec);
			buf_addz(&s->out, sec->kind == FETCH_BINARY_SIZE ? "0" : "NIL");
			return 0;
		}
		all = (struct region){off, len};
	}
	if (all.from > item->blob.length || all.n > item->blob.length - all.from)
		return err_set(e, ERR_CORRUPT, "a summary points past its message");
	if (sec->kind == FETCH_RAW)
		return write_raw(s, f, sec, item, all, e);
	if (sec->kind == FETCH_FIELDS || sec->kind == FETCH_FIELDS_NOT)
		return write_fields(s, sec, item, all, e);
	return write_binary(s, f, sec, item, all, e);
}

/* CATENATE (RFC 4469): a message put together of new text and of what one's own mailboxes hold. */
#include "base/cleanup.h"
#include "imap/append.h"
#include "imap/fetch.h"
#include "imap/url.h"
#include "limits.h"
#include <stdlib.h>

#define CHUNK 65536

struct source {
	struct store_blob blob;
	bool has_blob;
	uint64_t from, n;
};

static void source_free(struct source *src)
{
	if (src->has_blob)
		store_blob_release(&src->blob);
}

/* To the section's place in the message. False: there is none such. */
static bool place_of(struct imap_session *s, slice section, slice record, struct source *src)
{
	struct imap_part part = {.text = arena_fmt(s->arena, "BODY.PEEK[%.*s]", (int)section.n, section.p)};
	struct imap_args a = {.part = &part, .text = part.text, .arena = s->arena};
	struct mail_summary summary;
	struct fetch f = {0};
	uint32_t off, len;
	err e = {0};

	if (!part.text.p || !imap_take_fetch(&a, &f) || !imap_take_end(&a) || f.items || !f.sections ||
		f.sections->next || f.sections->partial || f.sections->kind != FETCH_RAW)
		return false;
	if (mail_summary_open(record, &summary, &e) < 0 ||
		mail_summary_section(&summary, f.sections->path, f.sections->path_n, f.sections->section,
			&off, &len, &e) < 0)
		return false;
	if (off > src->blob.length || len > src->blob.length - off)
		return false;
	src->from = off;
	src->n = len;
	return true;
}

static int narrow_section(struct imap_session *s, struct store_snap *snap, uint32_t account, uint64_t message,
	slice section, struct source *src, err *e)
{
	struct arena *scratch = arena_new(LIMIT_IMAP_WALK_ARENA);
	slice record;
	int rc = scratch ? mailbox_summary_get(snap, s->codec, account, message, scratch, &record, e)
			 : err_set(e, ERR_TEMP, "no memory");

	if (rc > 0)
		rc = place_of(s, section, record, src);
	arena_free(scratch);
	return rc;
}

static void narrow_partial(const struct imap_url *u, struct source *src)
{
	uint64_t skip = u->from < src->n ? u->from : src->n;

	src->from += skip;
	src->n -= skip;
	if (u->has_count && src->n > u->count)
		src->n = u->count;
}

/* 1 found, 0 the URL means nothing here, -1. */
static int find_in(
	struct imap_session *s, struct store_snap *snap, const struct imap_url *u, struct source *src, err *e)
{
	struct mailbox_row row;
	struct mailbox_entry entry;
	struct mailbox_message message;
	int rc;

	if (u->mailbox.p) {
		const struct imap_place place = imap_place_of(s, u->mailbox);

		rc = imap_place_find(s, snap, &place, RIGHT_READ, &row, e);
	} else
		rc = s->box.open ? imap_box_row(s, snap, &row, e) : 0;
	if (rc <= 0 || row.noselect || (u->uidvalidity && u->uidvalidity != row.uidvalidity))
		return rc < 0 ? -1 : 0;
	rc = mailbox_entry_get(snap, row.account, row.id, u->uid, &entry, e);
	if (rc > 0)
		rc = mailbox_message_get(snap, row.account, entry.message, &message, e);
	if (rc > 0)
		rc = store_blob_find(snap, message.blob, &src->blob, e);
	if (rc <= 0)
		return rc;
	src->has_blob = true;
	src->n = src->blob.length;
	return u->section.n ? narrow_section(s, snap, row.account, entry.message, u->section, src, e) : 1;
}

static int find(struct imap_session *s, const struct imap_url *u, struct source *src, err *e)
{
	struct store_snap snap = {0};

	if (store_snap_begin(s->store, &snap, e) < 0)
		return -1;
	int rc = find_in(s, &snap, u, src, e);
	store_snap_end(&snap);
	return rc;
}

static int feed(struct source *src, struct imap_sink *k, err *e)
{
	AUTO_FREE char *chunk = malloc(CHUNK);

	if (!chunk)
		return err_set(e, ERR_TEMP, "no memory");
	while (src->n > 0) {
		size_t n = src->n < CHUNK ? (size_t)src->n : CHUNK;

		if (store_blob_read(&src->blob, src->from, chunk, n, e) < 0)
			return -1;
		imap_sink_feed(k, slice_make(chunk, n));
		src->from += n;
		src->n -= n;
	}
	return 0;
}

/* The code names the URL; only what may stand there. */
static int bad_url(struct imap_session *s, slice url)
{
	bool plain = url.n > 0 && url.n < 300;

	for (size_t i = 0; i < url.n; i++)
		plain &= url.p[i] > ' ' && url.p[i] < 127 && url.p[i] != ']';
	if (plain)
		(void)imap_answer(
			s, IMAP_NO, "[BADURL %" SLICE_FMT "] it means no message here", SLICE_ARG(url));
	else
		(void)imap_answer(s, IMAP_NO, "a URL of the list means no message here");
	return 1;
}

static int add_url(struct imap_append *ap, slice text, struct imap_sink *k)
{
	struct imap_session *s = ap->s;
	struct source src = {0};
	struct imap_url url;
	err e = {0};

	if (!imap_url_parse(text, s->arena, &url))
		return bad_url(s, text);
	int rc = find(s, &url, &src, &e);
	if (rc == 0) {
		rc = bad_url(s, text);
	} else if (rc > 0) {
		narrow_partial(&url, &src);
		if (src.n > s->config->message_max - k->size) {
			(void)imap_answer(s, IMAP_NO, "[TOOBIG] the message is too large");
			rc = 1;
		} else {
			rc = feed(&src, k, &e);
		}
	}
	source_free(&src);
	if (rc < 0) {
		rc = imap_answer_err(s, &e);
		return rc < 0 ? rc : 1;
	}
	return rc;
}

static int add_part(struct imap_append *ap, struct imap_sink *k)
{
	struct imap_args *a = ap->a;
	slice word, url;
	int rc = 0;

	if (!imap_take_atom(a, &word) || !imap_take_sp(a))
		return imap_append_bad(ap);
	if (slice_ieq(word, S("TEXT"))) {
		if (imap_append_at_literal(ap))
			return imap_append_literal(ap, k);
		imap_args_fail(a, "TEXT wants a literal");
		return imap_append_bad(ap);
	}
	if (slice_ieq(word, S("UTF8"))) /* RFC 6855 4 */
		return imap_append_utf8(ap, k);
	if (!slice_ieq(word, S("URL"))) {
		imap_args_fail(a, "a part is URL, TEXT or UTF8");
		return imap_append_bad(ap);
	}
	if (imap_append_at_literal(ap))
		rc = imap_append_argument(ap, &url);
	else if (!imap_take_astring(a, &url))
		rc = imap_append_bad(ap);
	return rc == 0 ? add_url(ap, url, k) : rc;
}

int imap_take_catenate(struct imap_append *ap, struct imap_sink *k)
{
	struct imap_args *a = ap->a;
	int rc;

	if (!imap_take_c(a, '('))
		return imap_append_bad(ap);
	do {
		rc = add_part(ap, k);
		if (rc != 0)
			return rc;
	} while (imap_args_peek(a) == ' ' && imap_take_sp(a));
	return imap_take_c(a, ')') ? 0 : imap_append_bad(ap);
}

/* Messages inside an intent: rows, places, blobs, and the summary's packing. */
#include "limits.h"
#include "mail/summary.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"
#include "mailbox/tx.h"
#include <stdlib.h>
#include <zstd.h>

enum {
	PACK_PLAIN = 0,
	PACK_ZSTD = 1,
	PACK_FRONT = 2,  /* u16 length of the front, the front plain, then the rest, packed with it for
			    dictionary */
	PACK_LEVEL = -1, /* no Huffman tables: a sixth larger than level 1, unpacked four times as fast */
	PACK_MIN = 128,  /* below this zstd's frame eats the gain */
};

/* ---- summaries ---- */

struct mailbox_codec {
	ZSTD_CCtx *c;
	ZSTD_DCtx *d;
};

struct mailbox_codec *mailbox_codec_new(void)
{
	struct mailbox_codec *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->c = ZSTD_createCCtx();
	c->d = ZSTD_createDCtx();
	if (!c->c || !c->d) {
		mailbox_codec_free(c);
		return NULL;
	}
	return c;
}

void mailbox_codec_free(struct mailbox_codec *c)
{
	if (!c)
		return;
	ZSTD_freeCCtx(c->c);
	ZSTD_freeDCtx(c->d);
	free(c);
}

/* With the front as it is: what FETCH asks for of every message lies there, and is sent from the map. */
static bool pack_with_front(struct mailbox_codec *c, slice plain, struct buf *buf)
{
	slice front = slice_sub(plain, 0, mail_summary_front(plain));
	slice rest = slice_skip(plain, front.n);
	size_t bound = ZSTD_compressBound(rest.n);
	if (front.n == 0 || front.n > UINT16_MAX || rest.n < PACK_MIN)
		return false;
	buf_reset(buf);
	wire_put_u8(buf, ROW_VERSION);
	wire_put_u8(buf, PACK_FRONT);
	wire_put_u16(buf, (uint16_t)front.n);
	wire_put_raw(buf, front);
	char *room = buf_room(buf, bound);
	size_t n = room ? ZSTD_compress_usingDict(
				  c->c, room, bound, rest.p, rest.n, front.p, front.n, PACK_LEVEL)
			: 0;
	if (!room || ZSTD_isError(n) || n >= rest.n)
		return false;
	buf_grow(buf, n);
	return true;
}

int mailbox_codec_pack(struct mailbox_codec *c, slice plain, struct buf *buf, err *e)
{
	if (plain.n > LIMIT_SUMMARY)
		return err_set(e, ERR_LIMIT, "a message summary of %zu bytes", plain.n);
	if (pack_with_front(c, plain, buf))
		return 0;
	buf_reset(buf);
	wire_put_u8(buf, ROW_VERSION);
	wire_put_u8(buf, PACK_PLAIN);
	size_t head = buf->n;
	if (plain.n >= PACK_MIN) {
		char *room = buf_room(buf, ZSTD_compressBound(plain.n));
		size_t n = room ? ZSTD_compressCCtx(c->c, room, ZSTD_compressBound(plain.n), plain.p, plain.n,
					  PACK_LEVEL)
				: 0;
		if (room && !ZSTD_isError(n) && n < plain.n) {
			buf_grow(buf, n);
			buf->p[head - 1] = PACK_ZSTD;
			return 0;
		}
	}
	wire_put_raw(buf, plain);
	return buf->failed ? err_set(e, ERR_TEMP, "out of memory") : 0;
}

struct packed {
	uint8_t pack;
	slice front, body;
};

static int open_packed(uint64_t message, slice stored, struct packed *ret, err *e)
{
	struct rd r = rd_of(stored);
	uint8_t version = rd_u8(&r);
	ret->pack = rd_u8(&r);
	ret->front = rd_raw(&r, ret->pack == PACK_FRONT ? rd_u16(&r) : 0);
	ret->body = slice_make(r.p, r.n);
	if (r.bad || version != ROW_VERSION || ret->pack > PACK_FRONT)
		return err_set(e, ERR_CORRUPT, "summary %llu does not decode", (unsigned long long)message);
	return 0;
}

static int unpack(
	struct mailbox_codec *c, uint64_t message, slice stored, struct arena *a, slice *ret, err *e)
{
	struct packed in;
	if (open_packed(message, stored, &in, e) < 0)
		return -1;
	if (in.pack == PACK_PLAIN) {
		slice copy = arena_copy(a, in.body);
		if (!copy.p)
			return err_set(e, ERR_LIMIT, "no room for a message summary");
		*ret = copy;
		return 1;
	}
	unsigned long long n = ZSTD_getFrameContentSize(in.body.p, in.body.n);
	if (n > LIMIT_SUMMARY - in.front.n)
		return err_set(e, ERR_CORRUPT, "summary %llu does not decode", (unsigned long long)message);
	char *plain = arena_alloc(a, in.front.n + (size_t)n + 1, 1, 8);
	if (!plain)
		return err_set(e, ERR_LIMIT, "no room for a message summary");
	if (in.front.n)
		memcpy(plain, in.front.p, in.front.n);
	if (ZSTD_decompress_usingDict(
		    c->d, plain + in.front.n, (size_t)n, in.body.p, in.body.n, plain, in.front.n) != n)
		return err_set(e, ERR_CORRUPT, "summary %llu does not decode", (unsigned long long)message);
	*ret = slice_make(plain, in.front.n + (size_t)n);
	return 1;
}

int mailbox_summary_get(struct store_snap *snap, struct mailbox_codec *c, uint32_t account, uint64_t message,
	struct arena *a, slice *ret, err *e)
{
	struct key k = key_summary(account, message);
	slice v;
	int rc = store_snap_get(snap, KEY_SLICE(k), &v, e);
	return rc <= 0 ? rc : unpack(c, message, v, a, ret, e);
}

int mailbox_summary_open(struct store_snap *snap, uint32_t account, struct mailbox_summary_scan *ret, err *e)
{
	struct key prefix = key_kind(account, KEY_SUMMARY);
	_Static_assert(sizeof ret->prefix >= 6, "prefix A acc 05 fits");
	memcpy(ret->prefix, prefix.b, prefix.n);
	ret->account = account;
	ret->last = 0;
	return store_scan_open(snap, slice_make(ret->prefix, prefix.n), &ret->scan, e);
}

#define STEP_MAX 8 /* ids further on than this are sought, not stepped to */

/* The row as it is stored. 1, 0, -1. */
static int row_at(struct mailbox_summary_scan *sc, uint64_t message, slice *ret, err *e)
{
	struct key want = key_summary(sc->account, message);
	slice k = {0};
	int rc = 0;
	if (sc->last && message > sc->last && message - sc->last <= STEP_MAX)
		rc = store_scan_next(&sc->scan, &k, ret, e);
	if (rc == 0 || (rc > 0 && !slice_eq(k, KEY_SLICE(want))))
		rc = store_scan_seek(&sc->scan, KEY_SLICE(want), &k, ret, e);
	bool there = rc > 0 && slice_eq(k, KEY_SLICE(want));
	sc->last = there ? message : 0;
	return rc < 0 ? -1 : there;
}

int mailbox_summary_at(struct mailbox_summary_scan *sc, struct mailbox_codec *c, uint64_t message,
	struct arena *a, slice *ret, err *e)
{
	slice v;
	int rc = row_at(sc, message, &v, e);
	return rc <= 0 ? rc : unpack(c, message, v, a, ret, e);
}

int mailbox_summary_front_at(struct mailbox_summary_scan *sc, struct mailbox_codec *c, uint64_t message,
	struct arena *a, slice *ret, err *e)
{
	struct packed in;
	slice v;
	int rc = row_at(sc, message, &v, e);
	if (rc <= 0)
		return rc;
	if (open_packed(message, v, &in, e) < 0)
		return -1;
	if (in.pack != PACK_FRONT)
		return unpack(c, message, v, a, ret, e);
	*ret = in.front;
	return 1;
}

void mailbox_summary_close(struct mailbox_summary_scan *sc)
{
	store_scan_close(&sc->scan);
}

/* ---- reading ---- */

int mailbox_message_get(
	struct store_snap *snap, uint32_t account, uint64_t message, struct mailbox_message *ret, err *e)
{
	struct key k = key_message(account, message);
	slice v;
	int rc = store_snap_get(snap, KEY_SLICE(k), &v, e);
	if (rc <= 0)
		return rc;
	return row_message_get(v, message, ret, e) < 0 ? -1 : 1;
}

/* A message's row, in the scratch arena; it must be there. */
static int load(struct account_tx *a, uint64_t message, struct mailbox_message *ret, err *e)
{
	struct key k = key_message(a->id, message);
	slice v;
	int rc = store_tx_get(a->tx, KEY_SLICE(k), &v, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(
			e, ERR_CORRUPT, "message %llu has an entry and no row", (unsigned long long)message);
	return row_message_get(v, message, ret, e);
}

/* ---- writing ---- */

int content_tx_blob(struct store_tx *tx, const struct content *c, uint64_t *ret_blob, err *e)
{
	return c->big ? store_tx_blob_file(tx, c->big, ret_blob, e)
		      : store_tx_blob(tx, c->bytes, ret_blob, e);
}

uint64_t message_tx_next(const struct account_tx *a)
{
	return a->row.next_message;
}

int message_tx_add(struct account_tx *a, const struct message_new *n, uint32_t mailbox, uint32_t uid, err *e)
{
	uint64_t id = a->row.next_message++;
	int64_t now = store_tx_now_us(a->tx);
	struct message_place place = {mailbox, uid, now};
	struct mailbox_message m = {
		.blob = n->blob,
		.size = n->size,
		.internal_us = n->internal_us ? n->internal_us : now,
		.internal_zone_min = n->internal_zone_min,
		.received_us = n->received_us ? n->received_us : now,
		.thread = n->thread ? n->thread : id,
	};
	if (n->delivery_id)
		memcpy(m.delivery_id, n->delivery_id, sizeof m.delivery_id);
	struct key k = key_message(a->id, id);
	buf_reset(&a->out);
	row_message_put(&a->out, &m);
	row_place_put(&a->out, &place);
	if (account_tx_put(a, KEY_SLICE(k), e) < 0)
		return -1;
	if (n->stored_summary.p) {
		k = key_summary(a->id, id);
		if (store_tx_put(a->tx, KEY_SLICE(k), n->stored_summary, e) < 0)
			return -1;
	}
	if (blob_tx_hold(a->tx, n->blob, a->id, id, e) < 0)
		return -1;
	a->row.used_bytes += n->size;
	a->row.messages++;
	a->dirty = true;
	return 0;
}

/*
 * Writes the message's row anew with the place `without` left out and `with` added (NULL: none). *ret_n:
 * places then. The row's slices are the store's: they are read before the put.
 */
static int rewrite(struct account_tx *a, const struct mailbox_message *m, const struct message_place *without,
	const struct message_place *with, unsigned *ret_n, err *e)
{
	struct mailbox_message head = *m, walk = *m;
	struct message_place p;
	struct key k = key_message(a->id, m->id);
	bool taken = false;
	unsigned n = 0;
	head.places = (slice){0};
	buf_reset(&a->out);
	row_message_put(&a->out, &head);
	while (mailbox_message_place(&walk, &p)) {
		if (!taken && without && p.mailbox == without->mailbox && p.uid == without->uid) {
			taken = true;
			continue;
		}
		row_place_put(&a->out, &p);
		n++;
	}
	if (without && !taken)
		return err_set(
			e, ERR_CORRUPT, "message %llu does not know its entry", (unsigned long long)m->id);
	if (with) {
		row_place_put(&a->out, with);
		n++;
	}
	*ret_n = n;
	return account_tx_put(a, KEY_SLICE(k), e);
}

int message_tx_link(
	struct account_tx *a, uint64_t message, uint32_t mailbox, uint32_t uid, bool *ret_full, err *e)
{
	struct mailbox_message m, walk;
	struct message_place place = {mailbox, uid, store_tx_now_us(a->tx)}, p;
	unsigned n = 0;
	if (load(a, message, &m, e) < 0)
		return -1;
	for (walk = m; mailbox_message_place(&walk, &p);)
		n++;
	*ret_full = n >= LIMIT_MESSAGE_ENTRIES;
	return *ret_full ? 0 : rewrite(a, &m, NULL, &place, &n, e);
}

int message_tx_move(struct account_tx *a, uint64_t message, const struct message_place *from,
	const struct message_place *to, err *e)
{
	struct mailbox_message m;
	unsigned n;
	return load(a, message, &m, e) < 0 ? -1 : rewrite(a, &m, from, to, &n, e);
}

int message_tx_unlink(
	struct account_tx *a, const struct mailbox_row *box, const struct mailbox_entry *entry, err *e)
{
	struct message_place place = {.mailbox = box->id, .uid = entry->uid};
	struct mailbox_message m;
	unsigned n;
	if (load(a, entry->message, &m, e) < 0 || rewrite(a, &m, &place, NULL, &n, e) < 0)
		return -1;
	if (n)
		return 0;
	char names[LIMIT_KEYWORDS_BYTES];
	struct due_row due = {box->id, entry->uid, entry->flags, store_tx_now_us(a->tx), {names, 0}};
	for (unsigned bit = 0; bit < MAILBOX_KEYWORDS_MAX; bit++) {
		slice name = entry->keywords >> bit & 1 ? mailbox_keyword_name(box, bit) : (slice){0};
		if (name.n == 0 || due.keywords.n + name.n + 1 > sizeof names)
			continue;
		memcpy(names + due.keywords.n, name.p, name.n);
		names[due.keywords.n + name.n] = 0;
		due.keywords.n += name.n + 1;
	}
	struct key k = key_due(a->id, due.expunged_us + LIMIT_EXPUNGED_DAYS * INT64_C(86400000000), m.id);
	a->row.used_bytes -= m.size < a->row.used_bytes ? m.size : a->row.used_bytes;
	a->row.messages -= a->row.messages > 0;
	a->dirty = true;
	buf_reset(&a->out);
	row_due_put(&a->out, &due);
	return account_tx_put(a, KEY_SLICE(k), e);
}

int message_tx_clone(struct account_tx *from, uint64_t message, struct account_tx *to, uint32_t mailbox,
	uint32_t uid, err *e)
{
	struct mailbox_message m;
	slice v;
	if (load(from, message, &m, e) < 0 || account_tx_room(to, m.size, e) < 0)
		return -1;
	struct message_new n = {
		.blob = m.blob,
		.size = m.size,
		.internal_us = m.internal_us,
		.internal_zone_min = m.internal_zone_min,
		.received_us = m.received_us,
		.thread = from == to ? m.thread : 0,
	};
	struct key k = key_summary(from->id, message);
	struct buf summary = BUF_INIT(2 * LIMIT_SUMMARY);
	int rc = store_tx_get(from->tx, KEY_SLICE(k), &v, e);
	if (rc == 1) {
		buf_add(&summary, v); /* the view ends with the first put */
		n.stored_summary = buf_slice(&summary);
		if (summary.failed)
			rc = err_set(e, ERR_TEMP, "out of memory in an intent");
	}
	if (rc >= 0)
		rc = message_tx_add(to, &n, mailbox, uid, e);
	buf_free(&summary);
	return rc < 0 ? -1 : 0;
}

int blob_tx_hold(struct store_tx *tx, uint64_t blob, uint32_t account, uint64_t message, err *e)
{
	static const char version = ROW_VERSION;
	struct key k = key_holder(blob, account, message);
	return store_tx_put(tx, KEY_SLICE(k), slice_make(&version, 1), e);
}

int blob_tx_unhold(struct store_tx *tx, uint64_t blob, uint32_t account, uint64_t message, err *e)
{
	struct key holder = key_holder(blob, account, message), prefix = key_holders(blob);
	struct key_name other;
	if (store_tx_del(tx, KEY_SLICE(holder), e) < 0)
		return -1;
	int rc = view_first(view_tx(tx), KEY_SLICE(prefix), &other, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	/* A blob that is lost already must not keep its message for ever. */
	err why = {0};
	if (store_tx_blob_drop(tx, blob, &why) == 0 || why.kind == ERR_MISSING)
		return 0;
	if (e)
		*e = why;
	return -1;
}

int message_tx_drop(struct account_tx *a, uint64_t message, err *e)
{
	struct key key = key_message(a->id, message);
	struct mailbox_message m;
	slice v;
	int rc = store_tx_get(a->tx, KEY_SLICE(key), &v, e);
	if (rc <= 0)
		return rc;
	if (row_message_get(v, message, &m, e) < 0)
		return -1;
	if (store_tx_del(a->tx, KEY_SLICE(key), e) < 0)
		return -1;
	key = key_summary(a->id, message);
	if (store_tx_del(a->tx, KEY_SLICE(key), e) < 0 || digest_tx_drop(a->tx, a->id, message, e) < 0)
		return -1;
	return blob_tx_unhold(a->tx, m.blob, a->id, message, e);
}

#include "mailbox/entry.h"
#include "base/wire.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"
#include <limits.h>

enum { ENTRY_KEYWORDS = 128, HEAD = 9 };

static uint8_t *put_var(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

/* NULL at the end of the bytes or past 64 bits; a NULL p goes through. */
static inline const uint8_t *get_var(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;
	if (!p)
		return NULL;
	for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
		uint8_t c = *p++;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80) {
			if (shift == 63 && c > 1)
				return NULL;
			*ret = v;
			return p;
		}
	}
	return NULL;
}

size_t entry_block_encode(const struct entry_block *b, uint8_t out[ENTRY_BLOCK_MAX])
{
	uint64_t bitmap = 0;
	uint64_t modseq = b->n ? b->e[0].modseq : 0;
	uint64_t message = b->n ? b->e[0].message : 0;
	uint8_t *p = out + HEAD;
	p = put_var(p, modseq);
	p = put_var(p, message);
	for (unsigned i = 0; i < b->n; i++) {
		const struct mailbox_entry *x = &b->e[i];
		bitmap |= UINT64_C(1) << (x->uid % MAILBOX_BLOCK);
		*p++ = (uint8_t)(x->flags | (x->keywords ? ENTRY_KEYWORDS : 0));
		if (x->keywords)
			p = put_var(p, x->keywords);
		p = put_var(p, zigzag((int64_t)(x->modseq - modseq)));
		p = put_var(p, zigzag((int64_t)(x->message - message)));
		p = put_var(p, x->size);
	}
	out[0] = ROW_VERSION;
	be64_put(out + 1, bitmap);
	return (size_t)(p - out);
}

int entry_block_bitmap(slice in, uint64_t *ret, err *e)
{
	if (in.n < HEAD || (uint8_t)in.p[0] != ROW_VERSION)
		return err_set(e, ERR_CORRUPT, "an entry block does not decode");
	*ret = be64_get(in.p + 1);
	return 0;
}

int entry_block_decode(slice in, uint32_t number, struct entry_block *ret, err *e)
{
	uint64_t bitmap, modseq = 0, message = 0;
	if (entry_block_bitmap(in, &bitmap, e) < 0)
		return -1;
	const uint8_t *p = (const uint8_t *)in.p + HEAD, *end = (const uint8_t *)in.p + in.n;
	p = get_var(p, end, &modseq);
	p = get_var(p, end, &message);
	unsigned n = 0;
	for (uint64_t left = bitmap; left && p && p < end; left &= left - 1) {
		struct mailbox_entry *x = &ret->e[n++];
		uint64_t dm = 0, dn = 0, size = 0;
		uint8_t flags = *p++;
		x->uid = number * MAILBOX_BLOCK + (uint32_t)__builtin_ctzll(left);
		x->flags = flags & MAILBOX_FLAGS_ALL;
		x->keywords = 0;
		if (flags & ENTRY_KEYWORDS)
			p = get_var(p, end, &x->keywords);
		p = get_var(p, end, &dm);
		p = get_var(p, end, &dn);
		p = get_var(p, end, &size);
		x->modseq = modseq + (uint64_t)unzigzag(dm);
		x->message = message + (uint64_t)unzigzag(dn);
		x->size = (uint32_t)size;
	}
	if (!p || p != end || n != (unsigned)__builtin_popcountll(bitmap))
		return err_set(e, ERR_CORRUPT, "entry block %u does not decode", number);
	ret->number = number;
	ret->n = n;
	return 0;
}

struct mailbox_entry *entry_block_find(struct entry_block *b, uint32_t uid)
{
	unsigned low = 0, high = b->n;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		if (b->e[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < b->n && b->e[low].uid == uid ? &b->e[low] : NULL;
}

/* ---- reads on a snapshot ---- */

static uint32_t block_number(slice key)
{
	return key.n >= 4 ? be32_get(key.p + key.n - 4) : 0;
}

/* UIDs of one block above after_uid. */
static int add_block(uint32_t number, uint64_t bitmap, uint32_t after_uid, struct uidset *add_to)
{
	uint32_t first = number * MAILBOX_BLOCK;
	if (after_uid >= first && after_uid - first < MAILBOX_BLOCK)
		bitmap &= after_uid - first == 63 ? 0 : ~UINT64_C(0) << (after_uid - first + 1);
	while (bitmap) {
		unsigned at = (unsigned)__builtin_ctzll(bitmap);
		uint64_t gaps = ~(bitmap >> at);
		unsigned run = gaps ? (unsigned)__builtin_ctzll(gaps) : MAILBOX_BLOCK;
		if (uidset_add_range(add_to, first + at, first + at + run - 1) < 0)
			return -1;
		bitmap = at + run >= MAILBOX_BLOCK ? 0 : bitmap & ~UINT64_C(0) << (at + run);
	}
	return 0;
}

int mailbox_uids_some(struct store_snap *snap, uint32_t account, uint32_t mailbox, unsigned blocks,
	uint32_t *after_uid, struct uidset *add_to, err *e)
{
	struct key prefix = key_blocks(account, mailbox);
	struct key from = key_block(account, mailbox, *after_uid / MAILBOX_BLOCK);
	struct store_scan sc;
	uint32_t after = *after_uid;
	slice k, v;
	if (store_scan_open(snap, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(from), &k, &v, e);
	for (; rc == 1 && blocks > 0; blocks--) {
		uint64_t bitmap;
		uint32_t number = block_number(k);
		if (entry_block_bitmap(v, &bitmap, e) < 0) {
			rc = -1;
			break;
		}
		if (add_block(number, bitmap, after, add_to) < 0) {
			rc = err_set(e, ERR_TEMP, "out of memory");
			break;
		}
		after = number * MAILBOX_BLOCK + (MAILBOX_BLOCK - 1);
		rc = store_scan_next(&sc, &k, &v, e);
	}
	store_scan_close(&sc);
	if (rc >= 0)
		*after_uid = rc == 1 ? after : UINT32_MAX;
	return rc < 0 ? -1 : 0;
}

int mailbox_uids(struct store_snap *snap, uint32_t account, uint32_t mailbox, uint32_t after_uid,
	struct uidset *add_to, err *e)
{
	return mailbox_uids_some(snap, account, mailbox, UINT_MAX, &after_uid, add_to, e);
}

int mailbox_entry_open(struct store_snap *snap, uint32_t account, uint32_t mailbox, uint32_t uid_from,
	uint32_t uid_to, struct mailbox_entry_scan *ret, err *e)
{
	struct key prefix = key_blocks(account, mailbox);
	_Static_assert(sizeof ret->prefix >= 10, "prefix A acc 03 mailbox fits");
	memcpy(ret->prefix, prefix.b, prefix.n);
	ret->account = account;
	ret->mailbox = mailbox;
	ret->from = uid_from;
	ret->to = uid_to;
	ret->n = ret->at = 0;
	ret->started = false;
	ret->done = uid_from > uid_to;
	return store_scan_open(snap, slice_make(ret->prefix, prefix.n), &ret->scan, e);
}

/* Decodes the scan's present row; 1, or 0 past the end. */
static int load(struct mailbox_entry_scan *sc, int rc, slice k, slice v, err *e)
{
	struct entry_block b;
	sc->n = sc->at = 0;
	if (rc < 0)
		return -1;
	if (rc == 0 || block_number(k) > sc->to / MAILBOX_BLOCK) {
		sc->done = true;
		return 0;
	}
	if (entry_block_decode(v, block_number(k), &b, e) < 0)
		return -1;
	memcpy(sc->entries, b.e, b.n * sizeof b.e[0]);
	sc->n = b.n;
	return 1;
}

static int seek_block(struct mailbox_entry_scan *sc, uint32_t uid, err *e)
{
	struct key from = key_block(sc->account, sc->mailbox, uid / MAILBOX_BLOCK);
	slice k, v;
	sc->started = true;
	return load(sc, store_scan_seek(&sc->scan, KEY_SLICE(from), &k, &v, e), k, v, e);
}

int mailbox_entry_next(struct mailbox_entry_scan *sc, const struct mailbox_entry **ret, err *e)
{
	while (!sc->done) {
		while (sc->at < sc->n) {
			const struct mailbox_entry *x = &sc->entries[sc->at++];
			if (x->uid > sc->to)
				break;
			if (x->uid < sc->from)
				continue;
			*ret = x;
			return 1;
		}
		slice k, v;
		int rc = sc->started ? load(sc, store_scan_next(&sc->scan, &k, &v, e), k, v, e)
				     : seek_block(sc, sc->from, e);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int mailbox_entry_seek(struct mailbox_entry_scan *sc, uint32_t uid, const struct mailbox_entry **ret, err *e)
{
	if (uid > sc->from)
		sc->from = uid;
	if (sc->from > sc->to)
		sc->done = true;
	if (sc->at > 0 && sc->entries[sc->at - 1].uid >= sc->from)
		sc->at--; /* the one that showed the caller the end of what it wanted before */
	bool here = sc->at < sc->n && sc->entries[sc->n - 1].uid >= sc->from;
	if (!here && !sc->done && seek_block(sc, sc->from, e) < 0)
		return -1;
	return mailbox_entry_next(sc, ret, e);
}

void mailbox_entry_close(struct mailbox_entry_scan *sc)
{
	store_scan_close(&sc->scan);
}

int mailbox_entry_get(struct store_snap *snap, uint32_t account, uint32_t mailbox, uint32_t uid,
	struct mailbox_entry *ret, err *e)
{
	struct key k = key_block(account, mailbox, uid / MAILBOX_BLOCK);
	struct entry_block b;
	slice v;
	int rc = store_snap_get(snap, KEY_SLICE(k), &v, e);
	if (rc <= 0)
		return rc;
	if (entry_block_decode(v, uid / MAILBOX_BLOCK, &b, e) < 0)
		return -1;
	const struct mailbox_entry *x = entry_block_find(&b, uid);
	if (!x)
		return 0;
	*ret = *x;
	return 1;
}

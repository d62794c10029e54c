/* Accounts and mailboxes inside an intent. */
#include "mailbox/tx.h"
#include "limits.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"

enum {
	CHANGE_ROW_RANGES = 1500, /* bytes of ranges in one change row: below half a page */
	PRUNE_EVERY = 32,         /* modseqs between two looks at old change rows */
	PRUNE_STEP = 64,          /* rows a look removes: twice what comes */
};

static int no_memory(err *e)
{
	return err_set(e, ERR_TEMP, "out of memory in an intent");
}

int account_tx_open(struct store_tx *tx, uint32_t id, struct account_tx *ret, err *e)
{
	struct key k = key_kind(id, KEY_ACCOUNT);
	slice v;
	*ret = (struct account_tx){.tx = tx, .id = id, .out = BUF_INIT(LIMIT_SUMMARY + ROW_MAX)};
	int rc = store_tx_get(tx, KEY_SLICE(k), &v, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_MISSING, "there is no account %u", id);
	v = arena_copy(store_tx_scratch(tx), v);
	if (!v.p)
		return no_memory(e);
	if (row_account_get(v, id, &ret->row, e) < 0)
		return -1;
	if (ret->row.removed)
		return err_set(e, ERR_MISSING, "account %u was removed", id);
	return 0;
}

uint64_t account_tx_modseq(struct account_tx *a)
{
	if (!a->modseq) {
		a->modseq = ++a->row.modseq;
		a->dirty = true;
	}
	return a->modseq;
}

void account_tx_free(struct account_tx *a)
{
	buf_free(&a->out);
}

int account_tx_put(struct account_tx *a, slice key, err *e)
{
	if (a->out.failed)
		return no_memory(e);
	return store_tx_put(a->tx, key, buf_slice(&a->out), e);
}

int account_tx_room(const struct account_tx *a, uint64_t bytes, err *e)
{
	uint64_t quota = a->row.quota_bytes;
	if (quota == 0 || (a->row.used_bytes <= quota && bytes <= quota - a->row.used_bytes))
		return 0;
	return err_set(
		e, ERR_QUOTA, "the account is over its quota of %llu bytes", (unsigned long long)quota);
}

/* ---- change rows ---- */

static int change_row(struct account_tx *a, uint32_t mailbox, enum change_kind kind, slice ranges, err *e)
{
	if (a->changes == UINT16_MAX)
		return err_set(e, ERR_LIMIT, "one intent changes too much");
	struct key k = key_change(a->id, account_tx_modseq(a), a->changes++);
	buf_reset(&a->out);
	wire_put_u8(&a->out, ROW_VERSION);
	wire_put_u8(&a->out, (uint8_t)kind);
	wire_put_var(&a->out, mailbox);
	wire_put_u32(&a->out, (uint32_t)(store_tx_now_us(a->tx) / 1000000));
	wire_put_raw(&a->out, ranges);
	a->row.changes++;
	a->dirty = true;
	return account_tx_put(a, KEY_SLICE(k), e);
}

int account_tx_change(
	struct account_tx *a, uint32_t mailbox, enum change_kind kind, const struct uidset *uids, err *e)
{
	struct buf ranges = BUF_INIT(CHANGE_ROW_RANGES + 16);
	uint32_t last = 0;
	int rc = 0;
	static const struct uidset none;
	struct uidset_scan sc = uidset_scan_from(uids ? uids : &none, 1);
	struct uid_range r;
	while (rc == 0 && uidset_scan_next(&sc, &r)) {
		if (ranges.n >= CHANGE_ROW_RANGES) {
			rc = change_row(a, mailbox, kind, buf_slice(&ranges), e);
			buf_reset(&ranges);
			last = 0;
		}
		wire_put_var(&ranges, r.first - last);
		wire_put_var(&ranges, r.last - r.first);
		last = r.last;
	}
	if (rc == 0 && ranges.failed)
		rc = no_memory(e);
	if (rc == 0)
		rc = change_row(a, mailbox, kind, buf_slice(&ranges), e);
	buf_free(&ranges);
	if (rc == 0)
		store_tx_note(a->tx, a->id, mailbox, a->modseq);
	return rc;
}

int account_tx_change_raw(
	struct account_tx *a, uint32_t mailbox, enum change_kind kind, slice payload, err *e)
{
	if (change_row(a, mailbox, kind, payload, e) < 0)
		return -1;
	store_tx_note(a->tx, a->id, mailbox, a->modseq);
	return 0;
}

int account_tx_added(struct account_tx *a, uint32_t mailbox, uint32_t first, uint32_t last, err *e)
{
	struct buf range = BUF_INIT(16);

	wire_put_var(&range, first);
	wire_put_var(&range, last - first);
	int rc = range.failed ? no_memory(e)
			      : account_tx_change_raw(a, mailbox, CHANGE_ADDED, buf_slice(&range), e);
	buf_free(&range);
	return rc;
}

int account_tx_settings(struct account_tx *a, uint32_t mailbox, enum change_setting what, err *e)
{
	const char byte = (char)what;
	return account_tx_change_raw(a, mailbox, CHANGE_SETTINGS, slice_make(&byte, 1), e);
}

/* Seconds at which the change of that row was made; 0 for a row that cannot be read. */
static int64_t change_time(slice row)
{
	struct rd r = rd_of(row);
	rd_u8(&r), rd_u8(&r), rd_var(&r);
	return rd_u32(&r);
}

/* Removes a few change rows that are too old or too many; what they told is before change_floor then. */
static int prune(struct account_tx *a, err *e)
{
	struct key prefix = key_kind(a->id, KEY_CHANGE);
	int64_t oldest = store_tx_now_us(a->tx) / 1000000 - (int64_t)LIMIT_CHANGE_DAYS * 86400;
	for (unsigned i = 0; i < PRUNE_STEP && a->row.changes; i++) {
		struct key_name k;
		slice v = {0};
		int rc = view_first(view_tx(a->tx), KEY_SLICE(prefix), &k, e);
		if (rc == 1)
			rc = store_tx_get(a->tx, KEY_SLICE(k), &v, e);
		if (rc <= 0)
			return rc;
		uint64_t modseq = be64_get(k.b + prefix.n);
		bool due = a->row.changes > LIMIT_CHANGES || change_time(v) < oldest;
		if (!due || modseq == a->modseq)
			return 0;
		if (store_tx_del(a->tx, KEY_SLICE(k), e) < 0)
			return -1;
		a->row.changes--;
		a->row.change_floor = modseq;
	}
	return 0;
}

int account_tx_close(struct account_tx *a, err *e)
{
	if (!a->dirty)
		return 0;
	if (a->modseq && a->modseq % PRUNE_EVERY == 0 && prune(a, e) < 0)
		return -1;
	struct key k = key_kind(a->id, KEY_ACCOUNT);
	buf_reset(&a->out);
	row_account_put(&a->out, &a->row);
	a->dirty = false;
	return account_tx_put(a, KEY_SLICE(k), e);
}

/* ---- a mailbox ---- */

int mailbox_tx_open(struct account_tx *a, uint32_t mailbox, bool any, struct mailbox_tx **ret, err *e)
{
	struct key k = key_mailbox(a->id, mailbox);
	struct arena *scratch = store_tx_scratch(a->tx);
	slice v;
	int rc = store_tx_get(a->tx, KEY_SLICE(k), &v, e);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_MISSING, "there is no such mailbox");
	v = arena_copy(scratch, v);
	struct mailbox_tx *m = arena_new_1(scratch, struct mailbox_tx);
	if (!v.p || !m)
		return no_memory(e);
	m->a = a;
	if (row_mailbox_get(v, a->id, mailbox, &m->row, e) < 0)
		return -1;
	if (!any && (m->row.removed || m->row.noselect))
		return err_set(e, ERR_MISSING, "there is no such mailbox");
	*ret = m;
	return 0;
}

int mailbox_tx_flush(struct mailbox_tx *m, err *e)
{
	uint8_t bytes[ENTRY_BLOCK_MAX];
	if (!m->block_dirty)
		return 0;
	struct key k = key_block(m->a->id, m->row.id, m->block.number);
	m->block_dirty = false;
	if (m->block.n == 0)
		return store_tx_del(m->a->tx, KEY_SLICE(k), e);
	size_t n = entry_block_encode(&m->block, bytes);
	return store_tx_put(m->a->tx, KEY_SLICE(k), slice_make(bytes, n), e);
}

int mailbox_tx_block(struct mailbox_tx *m, uint32_t number, err *e)
{
	if (m->block_there && m->block.number == number)
		return 0;
	if (mailbox_tx_flush(m, e) < 0)
		return -1;
	struct key k = key_block(m->a->id, m->row.id, number);
	slice v;
	m->block_there = false;
	int rc = store_tx_get(m->a->tx, KEY_SLICE(k), &v, e);
	if (rc < 0)
		return -1;
	if (rc == 1 && entry_block_decode(v, number, &m->block, e) < 0)
		return -1;
	if (rc == 0) {
		m->block.number = number;
		m->block.n = 0;
	}
	m->block_there = true;
	return 0;
}

int mailbox_tx_next_block(struct mailbox_tx *m, uint32_t number, uint32_t *ret, err *e)
{
	struct key prefix = key_blocks(m->a->id, m->row.id);
	struct key from = key_block(m->a->id, m->row.id, number);
	struct store_scan sc;
	slice k, v;
	if (mailbox_tx_flush(m, e) < 0 || store_tx_scan(m->a->tx, KEY_SLICE(prefix), &sc, e) < 0)
		return -1;
	int rc = store_scan_seek(&sc, KEY_SLICE(from), &k, &v, e);
	if (rc == 1)
		*ret = be32_get(k.p + k.n - 4);
	store_scan_close(&sc);
	return rc;
}

int mailbox_tx_close(struct mailbox_tx *m, err *e)
{
	if (mailbox_tx_flush(m, e) < 0)
		return -1;
	if (!m->dirty)
		return 0;
	struct key k = key_mailbox(m->a->id, m->row.id);
	buf_reset(&m->a->out);
	row_mailbox_put(&m->a->out, &m->row);
	m->dirty = false;
	return account_tx_put(m->a, KEY_SLICE(k), e);
}

static int keyword_add(struct mailbox_tx *m, slice name, err *e)
{
	slice old = m->row.keywords;
	if (name.n == 0 || name.n > LIMIT_KEYWORD || memchr(name.p, 0, name.n))
		return err_set(e, ERR_SYNTAX, "not a keyword");
	if (mailbox_keyword_count(&m->row) >= MAILBOX_KEYWORDS_MAX ||
		old.n + name.n + 1 > LIMIT_KEYWORDS_BYTES)
		return err_set(e, ERR_LIMIT, "the mailbox has as many keywords as it can hold");
	char *p = arena_new_n(store_tx_scratch(m->a->tx), char, old.n + name.n + 1);
	if (!p)
		return no_memory(e);
	if (old.n)
		memcpy(p, old.p, old.n);
	memcpy(p + old.n, name.p, name.n);
	m->row.keywords = slice_make(p, old.n + name.n + 1);
	m->dirty = true;
	return 0;
}

int mailbox_tx_keywords(
	struct mailbox_tx *m, const slice *names, size_t n, bool add, uint64_t *ret_bits, err *e)
{
	uint64_t bits = 0;
	for (size_t i = 0; i < n; i++) {
		int bit = mailbox_keyword_bit(&m->row, names[i]);
		if (bit < 0 && !add)
			continue;
		if (bit < 0) {
			bit = (int)mailbox_keyword_count(&m->row);
			if (keyword_add(m, names[i], e) < 0)
				return -1;
		}
		bits |= UINT64_C(1) << bit;
	}
	*ret_bits = bits;
	return 0;
}

static void count(struct mailbox_row *r, const struct mailbox_entry *x, bool in)
{
	uint32_t one = in ? 1 : UINT32_MAX;
	r->messages += one;
	if (!(x->flags & FLAG_SEEN))
		r->unseen += one;
	if (x->flags & FLAG_DELETED)
		r->deleted += one;
	r->bytes += in ? x->size : UINT64_C(0) - x->size;
}

int mailbox_tx_add(struct mailbox_tx *m, struct mailbox_entry *entry, err *e)
{
	uint32_t uid = m->row.uidnext;
	if (uid == UINT32_MAX)
		return err_set(e, ERR_LIMIT, "the mailbox has no UIDs left");
	if (mailbox_tx_block(m, uid / MAILBOX_BLOCK, e) < 0)
		return -1;
	if (m->block.n == MAILBOX_BLOCK || (m->block.n && m->block.e[m->block.n - 1].uid >= uid))
		return err_set(e, ERR_CORRUPT, "mailbox %u holds UIDs over its UIDNEXT", m->row.id);
	entry->uid = uid;
	entry->modseq = account_tx_modseq(m->a);
	m->block.e[m->block.n++] = *entry;
	m->block_dirty = m->dirty = true;
	m->row.uidnext = uid + 1;
	m->row.highest_modseq = entry->modseq;
	count(&m->row, entry, true);
	return 0;
}

void mailbox_tx_set_flags(struct mailbox_tx *m, struct mailbox_entry *entry, uint8_t flags, uint64_t keywords)
{
	count(&m->row, entry, false);
	entry->flags = flags;
	entry->keywords = keywords;
	entry->modseq = account_tx_modseq(m->a);
	count(&m->row, entry, true);
	m->row.highest_modseq = entry->modseq;
	m->block_dirty = m->dirty = true;
}

void mailbox_tx_take_out(struct mailbox_tx *m, const struct mailbox_entry *entry)
{
	size_t at = (size_t)(entry - m->block.e);
	count(&m->row, entry, false);
	memmove(&m->block.e[at], &m->block.e[at + 1], (m->block.n - at - 1) * sizeof *entry);
	m->block.n--;
	m->row.highest_modseq = account_tx_modseq(m->a);
	m->block_dirty = m->dirty = true;
}

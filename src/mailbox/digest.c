#include "mailbox/digest.h"
#include "mailbox/keys.h"
#include "mailbox/row.h"
#include "mailbox/tx.h"

enum { SECRET = 16 };

/* ---- rows: u8 version, then of each digest u8 place, u16 length, bytes ---- */

static int row_read(slice v, slice records[MAILBOX_DIGESTS], err *e)
{
	const uint8_t *p = (const uint8_t *)v.p, *end = p + v.n;
	slice found[MAILBOX_DIGESTS] = {{NULL, 0}};
	bool good = v.n > 0 && *p++ == ROW_VERSION;

	while (good && p < end) {
		size_t left = (size_t)(end - p), n = left >= 3 ? (size_t)p[1] << 8 | p[2] : 0;

		good = left >= 3 && p[0] < MAILBOX_DIGESTS && n <= left - 3;
		if (good) {
			found[p[0]] = slice_make(p + 3, n);
			p += 3 + n;
		}
	}
	if (!good)
		return err_set(e, ERR_CORRUPT, "a row of digests does not decode");
	memcpy(records, found, sizeof found);
	return 0;
}

static int row_put(
	struct store_tx *tx, slice key, const slice records[MAILBOX_DIGESTS], struct buf *out, err *e)
{
	buf_reset(out);
	wire_put_u8(out, ROW_VERSION);
	for (unsigned i = 0; i < MAILBOX_DIGESTS; i++) {
		if (records[i].n == 0)
			continue;
		wire_put_u8(out, (uint8_t)i);
		wire_put_u16(out, (uint16_t)records[i].n);
		wire_put_raw(out, records[i]);
	}
	if (out->failed)
		return err_set(e, ERR_TEMP, "out of memory in an intent");
	return out->n > 1 ? store_tx_put(tx, key, buf_slice(out), e) : store_tx_del(tx, key, e);
}

static bool secret_read(slice v, uint64_t ret[2])
{
	if (v.n != 1 + SECRET || (uint8_t)v.p[0] != ROW_VERSION)
		return false;
	ret[0] = be64_get(v.p + 1);
	ret[1] = be64_get(v.p + 9);
	return true;
}

/* ---- reading ---- */

int mailbox_digest_secret(struct store_snap *snap, uint32_t account, uint64_t ret[2], err *e)
{
	struct key k = key_kind(account, KEY_DIGEST);
	slice v;
	int rc = store_snap_get(snap, KEY_SLICE(k), &v, e);

	if (rc > 0 && !secret_read(v, ret))
		return err_set(e, ERR_CORRUPT, "the secret of account %u's digests does not decode", account);
	return rc;
}

int mailbox_digest_open(struct store_snap *snap, uint32_t account, struct mailbox_digest_scan *ret, err *e)
{
	struct key prefix = key_kind(account, KEY_DIGEST);

	memcpy(ret->prefix, prefix.b, prefix.n);
	ret->account = account;
	ret->any = ret->there = false;
	return store_scan_open(snap, slice_make(ret->prefix, prefix.n), &ret->scan, e);
}

/* Messages come in the order of their ids mostly: then the row after the last one is the next. */
static int go_to(struct mailbox_digest_scan *sc, uint64_t number, err *e)
{
	struct key want = key_digests(sc->account, number);
	slice k = {0}, v;
	int rc = 0;

	if (sc->there && number == sc->number + 1)
		rc = store_scan_next(&sc->scan, &k, &v, e);
	if (rc == 0 || (rc > 0 && !slice_eq(k, KEY_SLICE(want))))
		rc = store_scan_seek(&sc->scan, KEY_SLICE(want), &k, &v, e);
	sc->there = rc > 0 && slice_eq(k, KEY_SLICE(want));
	sc->number = number;
	sc->any = true;
	if (rc < 0 || (sc->there && row_read(v, sc->records, e) < 0)) {
		sc->there = false;
		return -1;
	}
	return 0;
}

int mailbox_digest_at(struct mailbox_digest_scan *sc, uint64_t message, slice *ret, err *e)
{
	uint64_t number = message / MAILBOX_DIGESTS;
	err why = {0};

	if ((!sc->any || sc->number != number) && go_to(sc, number, &why) < 0 && why.kind != ERR_CORRUPT) {
		*e = why;
		return -1;
	}
	slice found = sc->there ? sc->records[message % MAILBOX_DIGESTS] : (slice){NULL, 0};
	if (found.n == 0)
		return 0;
	*ret = found;
	return 1;
}

void mailbox_digest_close(struct mailbox_digest_scan *sc)
{
	store_scan_close(&sc->scan);
}

/* ---- writing ---- */

void mailbox_digests_add(struct mailbox_digests *d, uint64_t message, slice record)
{
	wire_put_u64(&d->records, message);
	wire_put_u16(&d->records, (uint16_t)record.n);
	wire_put_raw(&d->records, record);
	d->n++;
}

static int keep_secret(struct store_tx *tx, const struct mailbox_digests *d, err *e)
{
	struct key k = key_kind(d->account, KEY_DIGEST);
	uint8_t row[1 + SECRET] = {ROW_VERSION};
	uint64_t there[2];
	slice v;
	int rc = store_tx_get(tx, KEY_SLICE(k), &v, e);

	if (rc < 0)
		return -1;
	if (rc > 0)
		return secret_read(v, there) && memcmp(there, d->secret, sizeof there) == 0
			       ? 0
			       : err_set(e, ERR_CONFLICT, "the digests' secret is another one");
	be64_put(row + 1, d->secret[0]);
	be64_put(row + 9, d->secret[1]);
	return store_tx_put(tx, KEY_SLICE(k), slice_make(row, sizeof row), e);
}

struct row { /* under work */
	uint64_t number;
	bool open;
	slice records[MAILBOX_DIGESTS];
	struct buf old, out; /* what was there: a view into the store ends with the next put */
};

static int row_open(struct store_tx *tx, uint32_t account, uint64_t number, struct row *row, err *e)
{
	struct key k = key_digests(account, number);
	err why = {0};
	slice v = {0};
	int rc = store_tx_get(tx, KEY_SLICE(k), &v, &why);

	memset(row->records, 0, sizeof row->records);
	row->number = number;
	row->open = true;
	buf_reset(&row->old);
	if (rc > 0)
		buf_add(&row->old, v);
	if (rc > 0 && !row->old.failed && row_read(buf_slice(&row->old), row->records, &why) < 0)
		rc = -1;
	if (rc < 0 && why.kind == ERR_CORRUPT)
		rc = 0; /* written anew */
	if (row->old.failed)
		return err_set(e, ERR_TEMP, "out of memory in an intent");
	if (rc < 0)
		*e = why;
	return rc < 0 ? -1 : 0;
}

static int row_close(struct store_tx *tx, uint32_t account, struct row *row, err *e)
{
	struct key k = key_digests(account, row->number);

	if (!row->open)
		return 0;
	row->open = false;
	return row_put(tx, KEY_SLICE(k), row->records, &row->out, e);
}

static int keep_one(
	struct store_tx *tx, uint32_t account, struct row *row, uint64_t message, slice record, err *e)
{
	struct key k = key_message(account, message);
	slice v;
	int rc = store_tx_get(tx, KEY_SLICE(k), &v, e);

	if (rc <= 0)
		return rc;
	if (!row->open || row->number != message / MAILBOX_DIGESTS) {
		if (row_close(tx, account, row, e) < 0 ||
			row_open(tx, account, message / MAILBOX_DIGESTS, row, e) < 0)
			return -1;
	}
	row->records[message % MAILBOX_DIGESTS] = record;
	return 0;
}

static int keep(struct store_tx *tx, void *arg, err *e)
{
	const struct mailbox_digests *d = arg;
	struct rd r = rd_of(buf_slice(&d->records));
	struct row row = {.old = BUF_INIT(ROW_MAX), .out = BUF_INIT(ROW_MAX)};
	struct key k = key_kind(d->account, KEY_ACCOUNT);
	slice v;
	int rc = store_tx_get(tx, KEY_SLICE(k), &v, e);

	if (rc == 0)
		rc = err_set(e, ERR_MISSING, "there is no account %u", d->account);
	if (rc > 0)
		rc = keep_secret(tx, d, e);
	while (rc >= 0 && r.n > 0) {
		uint64_t message = rd_u64(&r);
		slice record = rd_raw(&r, rd_u16(&r));

		rc = r.bad ? err_set(e, ERR_CORRUPT, "digests to keep do not decode")
			   : keep_one(tx, d->account, &row, message, record, e);
	}
	if (rc >= 0)
		rc = row_close(tx, d->account, &row, e);
	buf_free(&row.old);
	buf_free(&row.out);
	return rc < 0 ? -1 : 0;
}

int mailbox_digests_keep(struct store *s, const struct mailbox_digests *d, err *e)
{
	if (d->records.failed)
		return err_set(e, ERR_TEMP, "out of memory");
	struct mailbox_digests copy = *d;

	return store_commit(s, keep, &copy, e);
}

int digest_tx_drop(struct store_tx *tx, uint32_t account, uint64_t message, err *e)
{
	uint64_t number = message / MAILBOX_DIGESTS;
	struct row row = {.old = BUF_INIT(ROW_MAX), .out = BUF_INIT(ROW_MAX)};
	int rc = row_open(tx, account, number, &row, e);

	if (rc == 0 && row.records[message % MAILBOX_DIGESTS].n > 0) {
		row.records[message % MAILBOX_DIGESTS] = (slice){NULL, 0};
		rc = row_close(tx, account, &row, e);
	}
	buf_free(&row.old);
	buf_free(&row.out);
	return rc;
}

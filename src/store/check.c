#include "store/check.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/wire.h"
#include "store/store_int.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define TELL_ROWS 16384
#define CHUNK     ((size_t)1 << 20)

const char *check_what_name(enum check_what w)
{
	static const char *const names[] = {
		[CHECK_DAMAGED] = "damaged",
		[CHECK_MISSING] = "missing",
		[CHECK_STRAY] = "stray",
		[CHECK_COUNT] = "count",
		[CHECK_RULE] = "rule",
	};

	return names[w];
}

void check_found(struct check *c, enum check_what what, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	c->findings++;
	c->found(c->arg, what, text);
}

/* ---- rows ---- */

struct tables {
	const struct check_rows *t;
	size_t n;
};

static int one_row(struct check *c, const struct tables *all, slice key, slice value, err *e)
{
	bool known = false;
	err why = {0};

	if (unseal(key, &value, &why) < 0) {
		check_found(c, CHECK_DAMAGED, "%s", why.text);
		return 0;
	}
	for (size_t i = 0; i < all->n; i++) {
		const struct check_rows *t = &all->t[i];

		if (t->first != key.p[0])
			continue;
		known = true;
		if (t->row(c, t->state, key, value, e) < 0)
			return -1;
	}
	if (!known)
		check_found(c, CHECK_STRAY, "a row of no known kind (its key begins with the byte %u)",
			(unsigned)(uint8_t)key.p[0]);
	return 0;
}

static int end_of(struct check *c, const struct tables *all, char first, err *e)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->t[i].first == first && all->t[i].end && all->t[i].end(c, all->t[i].state, e) < 0)
			return -1;
	return 0;
}

/* A damaged page of the engine shows as keys that do not ascend. */
static int walk(struct check *c, struct kv_cursor *cursor, const struct tables *all, err *e)
{
	const struct kv_engine *engine = c->store->engine;
	char last[KV_KEY_MAX];
	size_t last_n = 0;
	slice key, value;
	int rc = engine->seek(cursor, S(""), &key, &value, e);

	for (; rc == 1; rc = engine->next(cursor, &key, &value, e)) {
		if (key.n == 0 || key.n > KV_KEY_MAX ||
			(last_n && slice_cmp(key, slice_make(last, last_n)) <= 0))
			return err_set(
				e, ERR_CORRUPT, "the key file's tree is damaged: its keys do not ascend");
		if (last_n && last[0] != key.p[0] && end_of(c, all, last[0], e) < 0)
			return -1;
		memcpy(last, key.p, key.n);
		last_n = key.n;
		if (one_row(c, all, key, value, e) < 0)
			return -1;
		if (++c->rows % TELL_ROWS == 0)
			c->progress(c->arg, "rows", c->rows, 0);
	}
	if (rc == 0 && last_n)
		rc = end_of(c, all, last[0], e);
	return rc;
}

int check_all_rows(struct check *c, const struct check_rows *tables, size_t n, err *e)
{
	const struct kv_engine *engine = c->store->engine;
	struct kv_cursor *cursor;

	if (engine->cursor_open(c->snap.txn, &cursor, e) < 0)
		return -1;
	int rc = walk(c, cursor, &(struct tables){tables, n}, e);
	engine->cursor_close(cursor);
	return rc;
}

int check_plain_row(struct check *c, void *state, slice key, slice value, err *e)
{
	(void)c;
	(void)state;
	(void)key;
	(void)value;
	(void)e;
	return 0;
}

/* ---- what the rows say of the volumes ---- */

static struct check_volume *volume_of(struct check_volumes *v, uint32_t volume, err *e)
{
	for (size_t i = v->n; i-- > 0;) /* ids of blobs ascend, and mostly so do their volumes */
		if (v->v[i].volume == volume)
			return &v->v[i];
	if (v->n == v->cap) {
		size_t cap = v->cap ? 2 * v->cap : 16;
		void *p = realloc(v->v, cap * sizeof v->v[0]);

		if (!p) {
			(void)err_set(e, ERR_TEMP, "out of memory");
			return NULL;
		}
		v->v = p;
		v->cap = cap;
	}
	v->v[v->n] = (struct check_volume){.volume = volume};
	return &v->v[v->n++];
}

int check_blob_row(struct check *c, void *state, slice key, slice value, err *e)
{
	struct blob_row b;

	if (key.n != BLOB_KEY || !blob_row_decode(value, &b)) {
		check_found(c, CHECK_DAMAGED, "a blob's row is malformed");
		return 0;
	}
	uint64_t id = be64_get(key.p + 1);
	if (id >= c->store->state.next_id)
		check_found(c, CHECK_RULE, "blob %" PRIu64 " has an id that was not given out yet", id);
	c->blobs++;
	struct check_volume *v = volume_of(state, b.volume, e);
	if (!v)
		return -1;
	v->blobs++;
	v->live += b.length;
	if (b.volume && b.offset + b.length > v->used)
		v->used = b.offset + b.length;
	return 0;
}

int check_volume_row(struct check *c, void *state, slice key, slice value, err *e)
{
	struct volume_row row;

	if (key.n != VOLUME_KEY || !volume_row_decode(value, &row)) {
		check_found(c, CHECK_DAMAGED, "a volume's row is malformed");
		return 0;
	}
	struct check_volume *v = volume_of(state, be32_get(key.p + 1), e);
	if (!v)
		return -1;
	v->row = true;
	v->row_used = row.used;
	v->row_live = row.live;
	return 0;
}

/* ---- the log ---- */

struct reader {
	struct check *c;
	struct check_volume *v;
	int fd;
	uint64_t end; /* where the log ends in this volume */
	char *bytes;
	size_t cap;
};

/* The record's blobs against their rows. */
static int record_blobs(struct reader *r, struct record rec, uint64_t at, err *e)
{
	struct record_blob b;

	while (record_blob_next(&rec, &b)) {
		uint8_t key[BLOB_KEY];
		struct blob_row row;
		slice v;

		blob_key(b.id, key);
		int rc = store_snap_get(&r->c->snap, slice_make(key, sizeof key), &v, e);
		if (rc < 0 && e->kind != ERR_CORRUPT) /* that was found already */
			return -1;
		if (rc == 1 && blob_row_decode(v, &row) && row.volume == r->v->volume &&
			row.offset == at + b.offset) {
			r->v->seen++;
			if (row.length != b.bytes.n || row.crc != b.crc) /* the record's own CRC is good */
				check_found(r->c, CHECK_DAMAGED,
					"blob %" PRIu64 " (volume %" PRIu32 ", offset %" PRIu64
					") is damaged",
					b.id, row.volume, row.offset);
		}
	}
	return 0;
}

/* 1: a record was read and judged, *ret_next is where the next one begins; 0: there is none here. */
static int record_here(struct reader *r, uint64_t at, uint64_t *ret_next, err *e)
{
	uint8_t head[RECORD_HEAD];
	struct record_head h;
	struct record rec;

	if (at + RECORD_HEAD > r->end)
		return 0;
	if (read_exact(r->fd, at, head, sizeof head, e) < 0)
		return -1;
	if (record_head_read(slice_make(head, sizeof head), &h) != 1 || h.store != r->c->store->id ||
		h.volume != r->v->volume || h.length > r->end - at)
		return 0;
	if (h.length > r->cap) {
		char *p = realloc(r->bytes, (size_t)h.length);

		if (!p)
			return err_set(e, ERR_TEMP, "out of memory");
		r->bytes = p;
		r->cap = (size_t)h.length;
	}
	if (read_exact(r->fd, at, r->bytes, (size_t)h.length, e) < 0)
		return -1;
	if (record_open(slice_make(r->bytes, (size_t)h.length), &rec, NULL) < 0)
		return 0;
	r->c->records++;
	r->c->bytes += h.length;
	*ret_next = at + record_space(h.length);
	return record_blobs(r, rec, at, e) < 0 ? -1 : 1;
}

/* Calls see for the row of each blob in that volume; 0: of those in files of their own. 0, -1. */
static int each_blob(struct check *c, uint32_t volume,
	int (*see)(void *arg, uint64_t id, const struct blob_row *b, err *e), void *arg, err *e)
{
	struct store_scan sc;
	slice key, value;
	int rc;

	if (store_scan_open(&c->snap, S("B"), &sc, e) < 0)
		return -1;
	while ((rc = store_scan_next(&sc, &key, &value, e)) != 0) {
		struct blob_row b;

		if (rc < 0 && sc.damaged)
			continue; /* found where it stands */
		if (rc < 0)
			break;
		if (key.n == BLOB_KEY && blob_row_decode(value, &b) && b.volume == volume &&
			(rc = see(arg, be64_get(key.p + 1), &b, e)) < 0)
			break;
	}
	store_scan_close(&sc);
	return rc < 0 ? -1 : 0;
}

/* Names a blob that does not lie where its row says, as the walk over the log did not see it. */
static int name_lost(void *arg, uint64_t id, const struct blob_row *b, err *e)
{
	struct reader *r = arg;
	AUTO_FREE char *p = malloc(b->length ? (size_t)b->length : 1);

	if (!p)
		return err_set(e, ERR_TEMP, "out of memory");
	if (r->fd < 0 || read_exact(r->fd, b->offset, p, (size_t)b->length, NULL) < 0 ||
		crc32c(0, p, (size_t)b->length) != b->crc)
		check_found(r->c, CHECK_DAMAGED,
			"blob %" PRIu64 " (volume %" PRIu32 ", offset %" PRIu64 ") is damaged", id, b->volume,
			b->offset);
	return 0;
}

static int records(struct reader *r, uint64_t done, uint64_t total, err *e)
{
	uint64_t at = VOLUME_HEAD, bad = 0, bad_end = 0, told = at;

	while (at < r->end) {
		uint64_t next;
		int rc = record_here(r, at, &next, e);

		if (rc < 0)
			return -1;
		if (rc == 0) { /* sector by sector to where the next one is */
			bad = bad ? bad : at;
			next = bad_end = at + VOLUME_SECTOR;
		} else if (bad) {
			check_found(r->c, CHECK_DAMAGED,
				"volume %" PRIu32 " is damaged between %" PRIu64 " and %" PRIu64,
				r->v->volume, bad, at);
			bad = 0;
		}
		at = next;
		if (at - told > 16 * CHUNK) {
			r->c->progress(r->c->arg, "log", done + at, total);
			told = at;
		}
	}
	if (bad)
		check_found(r->c, CHECK_DAMAGED,
			"volume %" PRIu32 " is damaged between %" PRIu64 " and %" PRIu64, r->v->volume, bad,
			bad_end);
	return r->v->seen == r->v->blobs ? 0 : each_blob(r->c, r->v->volume, name_lost, r, e);
}

static int one_volume(struct check *c, struct check_volume *v, uint64_t done, uint64_t total, err *e)
{
	struct store *s = c->store;
	bool active = v->volume == s->state.volume;
	struct reader r = {.c = c, .v = v, .end = active ? s->state.end : v->row_used};
	uint64_t live = active ? s->state.live : v->row_live;
	char name[16];

	if (!active && !v->row) {
		check_found(c, CHECK_MISSING, "volume %" PRIu32 " has %" PRIu64 " blobs and no row",
			v->volume, v->blobs);
		r.end = v->used;
	} else if (live != v->live) {
		check_found(c, CHECK_COUNT,
			"volume %" PRIu32 " should hold %" PRIu64 " bytes of blobs, they are %" PRIu64,
			v->volume, live, v->live);
	}
	volume_name(v->volume, name);
	AUTO_FD fd = openat(s->volumes_fd, name, O_RDONLY | O_CLOEXEC);
	r.fd = fd;
	if (fd < 0) {
		if (v->blobs)
			check_found(c, CHECK_MISSING,
				"volume %" PRIu32 " is gone, and %" PRIu64 " blobs with it", v->volume,
				v->blobs);
		return v->blobs ? each_blob(c, v->volume, name_lost, &r, e) : 0;
	}
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	int rc = c->bodies ? records(&r, done, total, e) : 0;
	free(r.bytes);
	return rc;
}

struct big_reader {
	struct check *c;
	char *chunk;
};

static int one_big(void *arg, uint64_t id, const struct blob_row *b, err *e)
{
	struct check *c = ((struct big_reader *)arg)->c;
	char *chunk = ((struct big_reader *)arg)->chunk;
	char name[20];
	struct stat st;
	uint32_t crc = 0;

	big_name(id, name);
	AUTO_FD fd = openat(c->store->big_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size < b->length) {
		check_found(c, CHECK_MISSING, "the file of blob %" PRIu64 " is gone or too short", id);
		return 0;
	}
	for (uint64_t at = 0; c->bodies && at < b->length;) {
		size_t n = b->length - at < CHUNK ? (size_t)(b->length - at) : CHUNK;

		if (read_exact(fd, at, chunk, n, e) < 0)
			return -1;
		crc = crc32c(crc, chunk, n);
		at += n;
		c->bytes += n;
	}
	if (c->bodies && crc != b->crc)
		check_found(c, CHECK_DAMAGED, "blob %" PRIu64 " (a file of its own) is damaged", id);
	return 0;
}

static int big_blobs(struct check *c, err *e)
{
	AUTO_FREE char *chunk = malloc(CHUNK);
	struct big_reader r = {c, chunk};

	return chunk ? each_blob(c, 0, one_big, &r, e) : err_set(e, ERR_TEMP, "out of memory");
}

int check_log(struct check *c, struct check_volumes *v, err *e)
{
	uint64_t done = 0, total = 0, before = c->findings;
	bool big = false;
	int rc = volume_of(v, c->store->state.volume, e) ? 0 : -1;

	for (size_t i = 0; i < v->n; i++)
		total += v->v[i].volume == c->store->state.volume ? c->store->state.end : v->v[i].row_used;
	for (size_t i = 0; i < v->n && rc == 0; i++) {
		if (v->v[i].volume == 0) {
			big = true;
			continue;
		}
		rc = one_volume(c, &v->v[i], done, total, e);
		done += v->v[i].volume == c->store->state.volume ? c->store->state.end : v->v[i].row_used;
	}
	if (rc == 0 && big)
		rc = big_blobs(c, e);
	c->log_findings = c->findings - before;
	free(v->v);
	*v = (struct check_volumes){0};
	return rc;
}

/*
 * What happens at open, after the engine was put back to its checkpoint. The engine's state row says after
 * which record of the log it stands. Records behind that are replayed: none after a close, those since the
 * checkpoint after a crash, the whole log after the loss of the key file.
 *
 * Where the next record should be and none is: if no later one follows, the log ends here and what is left of
 * a torn group is cut. If one follows, the place between is damage: copied to corrupt/, reported, passed
 * over.
 */
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/wire.h"
#include "store/store_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define CHUNK         ((size_t)1 << 20)
#define QUIET         CHUNK /* so many zeroes end the search for what follows in the last volume */
#define APPLY_AT_ONCE 1000  /* records an engine commit while replaying */
#define APPLY_BYTES   ((uint64_t)16 << 20)
#define FIRST_FILL    ((uint64_t)256 << 10)

struct replay {
	struct store *s;
	struct kv_txn *txn; /* of the engine, while records are applied */
	uint32_t applied;   /* in it */
	uint64_t applied_bytes;
	bool found;            /* record is the next one already */
	uint32_t volume, last; /* where we are; the highest one there is */
	uint64_t offset, size;
	uint64_t sequence;
	int fd;
	struct record record; /* found last */
	char *bytes;          /* its bytes */
	char *chunk;          /* CHUNK bytes to read into */
	size_t cap;
};

/* ---- looking at volumes ---- */

int highest_volume(struct store *s, uint32_t *ret, err *e)
{
	int fd = dup(s->volumes_fd);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *ent;
	uint32_t highest = 0;

	if (!d)
		return err_sys(e, ERR_IO, "folder \"volumes\"");
	rewinddir(d);
	while ((ent = readdir(d))) {
		char name[16], *end;
		unsigned long long n = strtoull(ent->d_name, &end, 16);

		if (n == 0 || n > UINT32_MAX || end != ent->d_name + 8)
			continue;
		volume_name((uint32_t)n, name);
		if (strcmp(name, ent->d_name) == 0 && n > highest)
			highest = (uint32_t)n;
	}
	closedir(d);
	*ret = highest;
	return 0;
}

/* 1: moved there, 0: not there or no volume of this store, -1: I/O error, or one of a newer program. */
static int go_to(struct replay *r, uint32_t volume, uint64_t offset, err *e)
{
	uint8_t head[VOLUME_HEAD];
	struct volume_head h;
	struct stat st;
	char name[16];
	err why = {0};

	volume_name(volume, name);
	AUTO_FD fd = openat(r->s->volumes_fd, name, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, ERR_IO, "volume \"%s\"", name);
	if (fstat(fd, &st) < 0)
		return err_sys(e, ERR_IO, "volume \"%s\"", name);
	if (read_exact(fd, 0, head, sizeof head, &why) < 0 ||
		volume_head_read(slice_make(head, sizeof head), &h, &why) < 0) {
		if (why.kind == ERR_CORRUPT)
			return 0;
		*e = why;
		return -1;
	}
	if (h.volume != volume || (r->s->id && h.store != r->s->id))
		return 0;
	r->s->id = h.store;
	if (r->fd >= 0)
		close(r->fd);
	r->fd = TAKE_FD(fd);
	r->volume = volume;
	r->offset = offset;
	r->size = (uint64_t)st.st_size;
	return 1;
}

/* 1: a sound record of this store at `at` with a sequence of at least `least`; it is in r->record. 0: none.
 */
static int record_at(struct replay *r, uint64_t at, uint64_t least, err *e)
{
	uint8_t head[RECORD_HEAD];
	struct record_head h;

	if (r->size < RECORD_HEAD || at > r->size - RECORD_HEAD)
		return 0;
	if (read_exact(r->fd, at, head, sizeof head, e) < 0)
		return -1;
	if (record_head_read(slice_make(head, sizeof head), &h) != 1 || h.store != r->s->id ||
		h.volume != r->volume || h.sequence < least || h.length > r->size - at)
		return 0;
	if (h.length > r->cap) {
		char *p = realloc(r->bytes, (size_t)h.length);

		if (!p)
			return err_set(
				e, ERR_TEMP, "out of memory for a record of %" PRIu64 " bytes", h.length);
		r->bytes = p;
		r->cap = (size_t)h.length;
	}
	if (read_exact(r->fd, at, r->bytes, (size_t)h.length, e) < 0)
		return -1;
	return record_open(slice_make(r->bytes, (size_t)h.length), &r->record, NULL) == 0 ? 1 : 0;
}

static bool all_zero(const char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/*
 * Looks from `at` on, sector by sector, for a record with a greater sequence. 1: it is in r->record and
 * *ret_at says where; 0: none, and *ret_quiet says from where on all looked at is zero.
 */
static int search(struct replay *r, uint64_t at, uint64_t *ret_at, uint64_t *ret_quiet, err *e)
{
	uint64_t quiet = at;

	while (at < r->size && (r->volume < r->last || at < quiet + QUIET)) {
		size_t n = r->size - at < CHUNK ? (size_t)(r->size - at) : CHUNK;

		if (read_exact(r->fd, at, r->chunk, n, e) < 0)
			return -1;
		for (size_t i = 0; i < n; i += VOLUME_SECTOR) {
			struct record_head h;
			slice sector = slice_sub(slice_make(r->chunk, n), i, VOLUME_SECTOR);

			if (all_zero(sector.p, sector.n))
				continue;
			quiet = at + i + sector.n;
			if (record_head_read(sector, &h) != 1)
				continue;
			int rc = record_at(r, at + i, r->sequence + 1, e);
			if (rc < 0)
				return -1;
			if (rc == 1) {
				*ret_at = at + i;
				return 1;
			}
		}
		at += n;
	}
	*ret_quiet = quiet;
	return 0;
}

/* ---- damage ---- */

/* Keeps a copy of from..to of the present volume for a person to look at. */
static int keep_copy(struct replay *r, uint64_t from, uint64_t to, err *e)
{
	struct store *s = r->s;
	char name[64];

	snprintf(name, sizeof name, "corrupt/%08" PRIx32 "-%" PRIu64 ".bin", r->volume, from);
	if (mkdirat(s->dir_fd, "corrupt", 0700) < 0 && errno != EEXIST)
		return err_sys(e, ERR_IO, "folder \"corrupt\"");
	AUTO_FD fd = openat(s->dir_fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, ERR_IO, "copy of a damaged place");
	for (uint64_t at = from; at < to;) {
		size_t n = to - at < CHUNK ? (size_t)(to - at) : CHUNK;

		if (read_exact(r->fd, at, r->chunk, n, e) < 0)
			return -1;
		if (write(fd, r->chunk, n) != (ssize_t)n)
			return err_sys(e, ERR_IO, "copy of a damaged place");
		at += n;
	}
	if (fsync(fd) < 0)
		return err_sys(e, ERR_IO, "copy of a damaged place");
	s->report.corrupt++;
	REPORT(s, "volume %" PRIu32 " is damaged between %" PRIu64 " and %" PRIu64 "; a copy is in %s",
		r->volume, from, to, name);
	return 0;
}

/* ---- replaying ---- */

static int apply_end(struct replay *r, err *e)
{
	struct kv_txn *t = r->txn;
	uint64_t bytes = r->applied_bytes;

	r->txn = NULL;
	r->applied = 0;
	r->applied_bytes = 0;
	if (!t)
		return 0;
	if (r->s->engine->commit(t, e) < 0)
		return -1;
	return checkpoint_replayed(r->s, bytes, e);
}

/* Writes the ops of r->record into the engine. */
static int apply(struct replay *r, err *e)
{
	const struct kv_engine *engine = r->s->engine;
	struct record rec = r->record;
	struct record_op op;

	if (!r->txn && engine->begin(r->s->kv, true, &r->txn, e) < 0)
		return -1;
	while (record_op_next(&rec, &op)) {
		int rc = op.kind == RECORD_PUT ? engine->put(r->txn, op.key, op.value, e)
					       : engine->del(r->txn, op.key, e);

		if (rc < 0)
			return -1;
	}
	r->sequence = rec.head.sequence;
	r->s->report.replayed++;
	r->applied_bytes += rec.head.length;
	if (++r->applied >= APPLY_AT_ONCE || r->applied_bytes >= APPLY_BYTES)
		return apply_end(r, e);
	return 0;
}

/* Finds a record in a volume behind that one, of which no more is known from offset on. 1: r stands on it; 0:
 * none. */
static int find_later(struct replay *r, uint32_t volume, uint64_t offset, err *e)
{
	uint64_t at, quiet;
	int rc;

	for (uint32_t v = volume + 1; v <= r->last; v++) {
		if ((rc = go_to(r, v, VOLUME_HEAD, e)) < 0)
			return -1;
		if (rc == 0)
			continue;
		if ((rc = search(r, VOLUME_HEAD, &at, &quiet, e)) < 0)
			return -1;
		if (rc == 1) {
			r->s->report.corrupt++;
			REPORT(r->s,
				"records are missing between volume %" PRIu32 " offset %" PRIu64
				" and volume %" PRIu32,
				volume, offset, v);
			r->offset = at;
			return 1;
		}
	}
	return 0;
}

/* Finds a record behind a gap, here or in a later volume. 1: r stands on it; 0: the log ends at r's place. */
static int find_behind_gap(struct replay *r, uint64_t *ret_quiet, err *e)
{
	const uint32_t volume = r->volume;
	const uint64_t offset = r->offset;
	uint64_t at;
	int rc = search(r, r->offset, &at, ret_quiet, e);

	if (rc < 0)
		return -1;
	if (rc == 1) {
		if (keep_copy(r, r->offset, at, e) < 0)
			return -1;
		r->offset = at;
		return 1;
	}
	if ((rc = find_later(r, volume, offset, e)) != 0)
		return rc;
	if (go_to(r, volume, offset, e) != 1)
		return err_set(e, ERR_IO, "volume %" PRIu32 " cannot be read again", volume);
	return 0;
}

/* The record that follows the last one. 1: r stands on it, 0: the log ends. */
static int find_next(struct replay *r, uint64_t *ret_quiet, err *e)
{
	if (r->found) {
		r->found = false;
		return 1;
	}
	int rc = record_at(r, r->offset, r->sequence + 1, e);
	if (rc < 0 || (rc == 1 && r->record.head.sequence == r->sequence + 1))
		return rc;
	if (r->volume < r->last) { /* the usual end of a full volume */
		const uint32_t volume = r->volume;
		const uint64_t offset = r->offset;

		if ((rc = go_to(r, volume + 1, VOLUME_HEAD, e)) < 0)
			return -1;
		if (rc == 1) {
			rc = record_at(r, r->offset, r->sequence + 1, e);
			if (rc < 0 || (rc == 1 && r->record.head.sequence == r->sequence + 1))
				return rc;
			if (go_to(r, volume, offset, e) != 1)
				return err_set(e, ERR_IO, "volume %" PRIu32 " cannot be read again", volume);
		}
	}
	return find_behind_gap(r, ret_quiet, e);
}

static int replay(struct replay *r, uint64_t *ret_quiet, err *e)
{
	int rc;

	*ret_quiet = r->offset;
	while ((rc = find_next(r, ret_quiet, e)) == 1) {
		if (apply(r, e) < 0) {
			if (r->txn)
				r->s->engine->abort(r->txn);
			r->txn = NULL;
			return -1;
		}
		r->offset += record_space(r->record.head.length);
		*ret_quiet = r->offset;
	}
	if (apply_end(r, e) < 0)
		return -1;
	return rc;
}

/* Zeroes over what a torn group left, so that nobody ever takes it for something. */
static int cut(struct replay *r, uint64_t quiet, err *e)
{
	if (quiet <= r->offset)
		return 0;
	if (file_zero(r->fd, r->offset, quiet, e) < 0)
		return -1;
	if (fdatasync(r->fd) < 0)
		return err_sys(e, ERR_IO, "cut of a torn record");
	r->s->report.cut = true;
	if (r->s->report.corrupt == 0)
		REPORT(r->s,
			"a torn record at the end of volume %" PRIu32
			" was cut; it was acknowledged to nobody",
			r->volume);
	return 0;
}

/* ---- the state at open ---- */

/* Format (0: no row) and state row. *ret_state false: there is none, or a damaged one. */
static int read_rows(struct store *s, unsigned *ret_format, bool *ret_state, err *e)
{
	struct kv_txn *t;
	slice v;

	if (s->engine->begin(s->kv, false, &t, e) < 0)
		return -1;
	int rc = s->engine->get(t, FORMAT_KEY, &v, e);
	*ret_format = 0;
	if (rc == 1 && unseal(FORMAT_KEY, &v, NULL) == 0 && v.n >= FORMAT_VALUE) {
		unsigned format = (unsigned)(uint8_t)v.p[0] << 8 | (uint8_t)v.p[1];

		*ret_format = format;
		s->id = be64_get(v.p + 2);
		if (format > STORE_FORMAT)
			rc = err_set(e, ERR_DENIED,
				"the store has format %u and this program knows formats up to %d; start the "
				"newer program "
				"that wrote it, or restore a backup made before the upgrade",
				format, STORE_FORMAT);
	}
	if (rc >= 0)
		rc = s->engine->get(t, STATE_KEY, &v, e);
	*ret_state = rc == 1 && state_decode(v, &s->state);
	s->engine->abort(t);
	return rc < 0 ? -1 : 0;
}

/* The active volume is of no use any more (lost, cut short, head damaged): the next group begins a new one.
 */
static int new_volume(struct replay *r, uint64_t *ret_filled, err *e)
{
	struct store *s = r->s;
	uint32_t volume = (r->last > s->state.volume ? r->last : s->state.volume) + 1;

	if (s->report.made)
		volume = 1; /* otherwise never a number that B rows may still name */
	if (!s->id)
		random_bytes(&s->id, sizeof s->id);
	int fd = volume_create(s, volume, FIRST_FILL, e);
	if (fd < 0)
		return -1;
	close(fd);
	s->state.volume = volume;
	s->state.end = VOLUME_HEAD;
	s->state.live = 0;
	*ret_filled = FIRST_FILL;
	return 0;
}

/* Volumes behind the active one were made ahead of use and hold nothing. */
static void drop_later_volumes(struct replay *r)
{
	char name[16];

	for (uint32_t v = r->s->state.volume + 1; v <= r->last; v++) {
		volume_name(v, name);
		unlinkat(r->s->volumes_fd, name, 0);
	}
}

/* A crash while the very first volume was made: it has no head, and nothing behind it either. */
static bool never_begun(struct replay *r)
{
	char name[16], bytes[VOLUME_HEAD + VOLUME_SECTOR] = {0};

	volume_name(1, name);
	AUTO_FD fd = openat(r->s->volumes_fd, name, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && r->last == 1 && pread(fd, bytes, sizeof bytes, 0) >= 0 &&
	       all_zero(bytes, sizeof bytes);
}

/* The volume where the log should go on is of no use, and no later one holds a record. */
static int begin_anew(struct replay *r, bool format, uint64_t *ret_filled, err *e)
{
	struct store *s = r->s;

	s->report.made = !format && r->last == 0;
	if (!s->report.made) {
		s->report.corrupt++;
		REPORT(s,
			"volume %" PRIu32
			" is missing, cut short or damaged at its head; a new one was begun",
			s->state.volume);
	}
	return new_volume(r, ret_filled, e);
}

static int recover(struct replay *r, uint64_t *ret_filled, err *e)
{
	struct store *s = r->s;
	unsigned format;
	bool state;
	uint64_t quiet;

	if (read_rows(s, &format, &state, e) < 0 || highest_volume(s, &r->last, e) < 0)
		return -1;
	if (!state)
		s->state = (struct store_state){.volume = 1, .end = VOLUME_HEAD, .next_id = 1};
	s->new_format = format != STORE_FORMAT;
	r->sequence = s->state.sequence;
	int rc = go_to(r, s->state.volume, s->state.end, e);
	if (rc < 0)
		return -1;
	if (rc == 0 && !format && never_begun(r))
		r->last = 0;
	if (rc == 0 && !state && r->last > 0)
		return err_set(e, ERR_CORRUPT,
			"the key file is lost and the log does not begin with volume 1: restore a backup");
	if (rc == 0 || r->size < r->offset) {
		rc = find_later(r, s->state.volume, s->state.end, e);
		if (rc <= 0)
			return rc < 0 ? -1 : begin_anew(r, format != 0, ret_filled, e);
		r->found = true;
	}
	if (replay(r, &quiet, e) < 0 || cut(r, quiet, e) < 0)
		return -1;
	if (s->report.replayed > 0 && (read_rows(s, &format, &state, e) < 0 || !state))
		return err_set(e, ERR_CORRUPT, "the replayed log holds no state");
	s->new_format = format != STORE_FORMAT;
	s->state.volume = r->volume;
	s->state.end = r->offset;
	drop_later_volumes(r);
	*ret_filled = r->size > r->offset ? r->size : r->offset;
	return 0;
}

int store_recover(struct store *s, uint64_t *ret_filled, err *e)
{
	struct replay r = {.s = s, .fd = -1, .chunk = malloc(CHUNK)};
	int rc = r.chunk ? recover(&r, ret_filled, e) : err_set(e, ERR_TEMP, "out of memory");

	if (r.fd >= 0)
		close(r.fd);
	free(r.bytes);
	free(r.chunk);
	atomic_store(&s->next_id, s->state.next_id);
	return rc;
}

/* ---- leftovers ---- */

static bool big_has_row(struct store_snap *snap, uint64_t id)
{
	uint8_t key[BLOB_KEY];
	slice v;

	blob_key(id, key);
	/* a damaged row counts as one: the file is all that is left */
	return store_snap_get(snap, slice_make(key, sizeof key), &v, NULL) != 0;
}

/* Calls unlink for each name that `keep` does not want. */
static int sweep(int folder_fd, struct store_snap *snap, uint32_t *count, err *e)
{
	int fd = dup(folder_fd);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *ent;

	if (!d)
		return err_sys(e, ERR_IO, "a folder of the store");
	rewinddir(d);
	while ((ent = readdir(d))) {
		char *end;
		uint64_t id = strtoull(ent->d_name, &end, 16);

		if (ent->d_name[0] == '.' ||
			(snap && end == ent->d_name + 16 && !*end && big_has_row(snap, id)))
			continue;
		if (unlinkat(folder_fd, ent->d_name, 0) == 0)
			++*count;
	}
	closedir(d);
	return 0;
}

int recover_leftovers(struct store *s, err *e)
{
	struct store_snap snap;
	uint32_t spooled = 0;

	if (store_snap_begin(s, &snap, e) < 0)
		return -1;
	int rc = sweep(s->big_fd, &snap, &s->report.orphans, e);
	store_snap_end(&snap);
	return rc < 0 ? -1 : sweep(s->spool_fd, NULL, &spooled, e);
}

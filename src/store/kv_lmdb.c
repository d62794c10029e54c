#include "base/cleanup.h"
#include "store/kv.h"
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_DEFAULT ((uint64_t)1 << 40)
#define SPARE_TXNS                                                                                           \
	64 /* snapshots are never held across a park, so about as many as threads are in use at once */
#define SPARE_CURSORS 4
#define READERS       510

struct kv_cursor {
	struct kv_txn *txn;
	MDB_cursor *c;
	struct kv_cursor *next_spare;
};

struct kv_txn {
	struct kv *kv;
	MDB_txn *txn;
	struct kv_cursor *spare; /* of a snapshot: kept over its renewals */
	unsigned spare_n;
	MDB_cursor
		*writer; /* of the write transaction: ascending keys mostly fall in the page it stands on */
	bool write;
	struct kv_txn *next;
};

struct kv {
	MDB_env *env;
	MDB_dbi dbi;
	pthread_mutex_t lock; /* of the pool */
	struct kv_txn *pool;
	unsigned pool_n;
};

static int fail(err *e, int rc, const char *what)
{
	switch (rc) {
	case MDB_MAP_FULL:
		return err_set(e, ERR_LIMIT,
			"%s: the key file has reached its map size; raise it in the settings", what);
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
		return err_set(e, ERR_CORRUPT, "%s: the key file is damaged (%s)", what, mdb_strerror(rc));
	case MDB_VERSION_MISMATCH:
		return err_set(e, ERR_DENIED, "%s: the key file was made by another version of LMDB", what);
	case ENOMEM:
		return err_set(e, ERR_TEMP, "%s: out of memory", what);
	default:
		if (rc > 0) {
			errno = rc;
			return err_sys(e, ERR_IO, "%s", what);
		}
		return err_set(e, ERR_IO, "%s: %s", what, mdb_strerror(rc));
	}
}

static MDB_val val(slice s)
{
	return (MDB_val){s.n, (void *)(uintptr_t)s.p};
}

static slice from_val(MDB_val v)
{
	return slice_make(v.mv_data, v.mv_size);
}

static void txn_free(struct kv_txn *t)
{
	while (t->spare) {
		struct kv_cursor *c = t->spare;

		t->spare = c->next_spare;
		mdb_cursor_close(c->c);
		free(c);
	}
	if (t->txn)
		mdb_txn_abort(t->txn);
	free(t);
}

static void kv_close(struct kv *k)
{
	if (!k)
		return;
	while (k->pool) {
		struct kv_txn *t = k->pool;

		k->pool = t->next;
		txn_free(t);
	}
	if (k->env)
		mdb_env_close(k->env);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* LMDB does not sync the names of the files it makes. */
static int sync_folder(const char *dir, err *e)
{
	AUTO_FD fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(e, ERR_IO, "folder \"%s\"", dir);
	return 0;
}

/* The store's lock keeps others away. What a crash left in LMDB's own, readers and mutexes, is of no use. */
static void drop_lock_file(const char *dir)
{
	AUTO_FD fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		unlinkat(fd, "lock.mdb", 0);
}

static int kv_open(const char *dir, uint64_t map_bytes, struct kv **ret, err *e)
{
	struct kv *k = calloc(1, sizeof *k);
	MDB_txn *txn = NULL;
	int rc, dead;

	if (!k)
		return err_set(e, ERR_TEMP, "out of memory");
	pthread_mutex_init(&k->lock, NULL);
	drop_lock_file(dir);
	rc = mdb_env_create(&k->env);
	if (rc == 0)
		rc = mdb_env_set_mapsize(k->env, map_bytes ? map_bytes : MAP_DEFAULT);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(k->env, READERS);
	if (rc == 0) /* never MDB_WRITEMAP: a stray pointer must not reach the file */
		/* With read-ahead: walks go by ascending keys, which mostly lie in ascending pages. */
		rc = mdb_env_open(k->env, dir, MDB_NOTLS | MDB_NOSYNC, 0600);
	if (rc == 0)
		rc = mdb_reader_check(k->env, &dead); /* slots of a process that was killed pin old pages */
	if (rc == 0)
		rc = mdb_txn_begin(k->env, NULL, MDB_RDONLY, &txn);
	if (rc == 0)
		rc = mdb_dbi_open(txn, NULL, 0, &k->dbi);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else if (txn)
		mdb_txn_abort(txn);
	if (rc != 0) {
		fail(e, rc, dir);
		kv_close(k);
		return -1;
	}
	if (sync_folder(dir, e) < 0) {
		kv_close(k);
		return -1;
	}
	*ret = k;
	return 0;
}

static int begin_write(struct kv *k, struct kv_txn *t, err *e)
{
	int rc = mdb_txn_begin(k->env, NULL, 0, &t->txn);

	if (rc == 0)
		rc = mdb_cursor_open(t->txn, k->dbi, &t->writer);
	return rc == 0 ? 0 : fail(e, rc, "begin of a write transaction");
}

static struct kv_txn *pool_take(struct kv *k)
{
	pthread_mutex_lock(&k->lock);
	struct kv_txn *t = k->pool;
	if (t) {
		k->pool = t->next;
		k->pool_n--;
	}
	pthread_mutex_unlock(&k->lock);
	return t;
}

static int kv_begin(struct kv *k, bool write, struct kv_txn **ret, err *e)
{
	struct kv_txn *t = write ? NULL : pool_take(k);
	int rc;

	if (t) {
		rc = mdb_txn_renew(t->txn);
		if (rc != 0) {
			txn_free(t);
			return fail(e, rc, "renewal of a snapshot");
		}
		*ret = t;
		return 0;
	}
	t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ERR_TEMP, "out of memory");
	t->kv = k;
	t->write = write;
	if (write) {
		if (begin_write(k, t, e) < 0) {
			txn_free(t);
			return -1;
		}
	} else {
		rc = mdb_txn_begin(k->env, NULL, MDB_RDONLY, &t->txn);
		if (rc != 0) {
			txn_free(t);
			return fail(e, rc, "begin of a snapshot");
		}
	}
	*ret = t;
	return 0;
}

static int kv_get(struct kv_txn *t, slice key, slice *ret_value, err *e)
{
	MDB_val k = val(key), v;
	int rc = mdb_get(t->txn, t->kv->dbi, &k, &v);

	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return fail(e, rc, "read of a key");
	*ret_value = from_val(v);
	return 1;
}

static int kv_put(struct kv_txn *t, slice key, slice value, err *e)
{
	MDB_val k = val(key), v = val(value);

	if (key.n == 0 || key.n > KV_KEY_MAX)
		return err_set(
			e, ERR_LIMIT, "a key has %zu bytes, at most %d are possible", key.n, KV_KEY_MAX);
	int rc = mdb_cursor_put(t->writer, &k, &v, 0);
	return rc == 0 ? 0 : fail(e, rc, "write of a key");
}

static int kv_del(struct kv_txn *t, slice key, err *e)
{
	MDB_val k = val(key);
	int rc = mdb_del(t->txn, t->kv->dbi, &k, NULL);

	return rc == 0 || rc == MDB_NOTFOUND ? 0 : fail(e, rc, "removal of a key");
}

static int kv_commit(struct kv_txn *t, err *e)
{
	mdb_cursor_close(t->writer);
	t->writer = NULL;
	int rc = mdb_txn_commit(t->txn);
	t->txn = NULL;
	txn_free(t);
	return rc == 0 ? 0 : fail(e, rc, "commit of the key file");
}

static void kv_abort(struct kv_txn *t)
{
	struct kv *k = t->kv;

	if (t->write) {
		if (t->writer)
			mdb_cursor_close(t->writer);
		txn_free(t);
		return;
	}
	mdb_txn_reset(t->txn);
	pthread_mutex_lock(&k->lock);
	bool kept = k->pool_n < SPARE_TXNS;
	if (kept) {
		t->next = k->pool;
		k->pool = t;
		k->pool_n++;
	}
	pthread_mutex_unlock(&k->lock);
	if (!kept)
		txn_free(t);
}

static int kv_cursor_open(struct kv_txn *t, struct kv_cursor **ret, err *e)
{
	struct kv_cursor *c = t->spare;
	int rc;

	if (c) {
		rc = mdb_cursor_renew(t->txn, c->c);
		if (rc != 0)
			return fail(e, rc, "renewal of a cursor");
		t->spare = c->next_spare;
		t->spare_n--;
		*ret = c;
		return 0;
	}
	c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ERR_TEMP, "out of memory");
	c->txn = t;
	rc = mdb_cursor_open(t->txn, t->kv->dbi, &c->c);
	if (rc != 0) {
		free(c);
		return fail(e, rc, "begin of a scan");
	}
	*ret = c;
	return 0;
}

static void kv_cursor_close(struct kv_cursor *c)
{
	struct kv_txn *t = c->txn;

	if (!t->write && t->spare_n < SPARE_CURSORS) {
		c->next_spare = t->spare;
		t->spare = c;
		t->spare_n++;
		return;
	}
	mdb_cursor_close(c->c);
	free(c);
}

static int step(struct kv_cursor *c, MDB_cursor_op op, MDB_val *k, slice *ret_key, slice *ret_value, err *e)
{
	MDB_val v;
	int rc = mdb_cursor_get(c->c, k, &v, op);

	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return fail(e, rc, "read of the next key");
	*ret_key = from_val(*k);
	*ret_value = from_val(v);
	return 1;
}

static int kv_seek(struct kv_cursor *c, slice key, slice *ret_key, slice *ret_value, err *e)
{
	MDB_val k = val(key);

	return step(c, key.n ? MDB_SET_RANGE : MDB_FIRST, &k, ret_key, ret_value, e);
}

static int kv_seek_before(struct kv_cursor *c, slice key, slice *ret_key, slice *ret_value, err *e)
{
	MDB_val k = val(key);
	slice ignored_key, ignored_value;
	int rc = step(c, key.n ? MDB_SET_RANGE : MDB_FIRST, &k, &ignored_key, &ignored_value, e);

	if (rc < 0)
		return -1;
	return step(c, rc == 0 ? MDB_LAST : MDB_PREV, &k, ret_key, ret_value, e);
}

static int kv_next(struct kv_cursor *c, slice *ret_key, slice *ret_value, err *e)
{
	MDB_val k;

	return step(c, MDB_NEXT, &k, ret_key, ret_value, e);
}

static int kv_prev(struct kv_cursor *c, slice *ret_key, slice *ret_value, err *e)
{
	MDB_val k;

	return step(c, MDB_PREV, &k, ret_key, ret_value, e);
}

static uint64_t kv_used(struct kv *k)
{
	MDB_envinfo info;
	MDB_stat stat;

	mdb_env_info(k->env, &info);
	mdb_env_stat(k->env, &stat);
	return (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
}

/* ---- marks: the two meta pages ---- */

/*
 * A meta page names the roots of the tree and of the list of free pages; LMDB goes by the one of the two with
 * the higher transaction. All of it lies in the first sector of the page (data format 1, 64 bits):
 */
#define META_SECTOR  512
#define META_MAGIC   16  /* u32 0xBEEFC0DE, u32 version */
#define META_PSIZE   40  /* u32 */
#define META_LAST_PG 136 /* u64 */
#define META_TXNID   144 /* u64 */
#define PSIZE_MIN    512
#define PSIZE_MAX    32768
_Static_assert(sizeof(size_t) == 8 && KV_MARK_BYTES == 8 + 2 * META_SECTOR, "the layout above");

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof x);
	return x;
}

static uint64_t u64_at(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof x);
	return x;
}

static bool is_meta(const uint8_t *page)
{
	return u32_at(page + META_MAGIC) == 0xBEEFC0DE && u32_at(page + META_MAGIC + 4) == 1;
}

/* The page that LMDB would go by; NULL: one of the two is damaged. */
static const uint8_t *newer_meta(const uint8_t pages[2 * META_SECTOR])
{
	const uint8_t *a = pages, *b = pages + META_SECTOR;

	if (!is_meta(a) || !is_meta(b))
		return NULL;
	return u64_at(a + META_TXNID) < u64_at(b + META_TXNID) ? b : a;
}

/* 1: read; 0: the file is too short. */
static int read_metas(int fd, uint32_t psize, uint8_t ret[2 * META_SECTOR], err *e)
{
	for (unsigned i = 0; i < 2; i++) {
		ssize_t n = pread(fd, ret + i * META_SECTOR, META_SECTOR, (off_t)(i * psize));

		if (n < 0)
			return err_sys(e, ERR_IO, "read of the key file");
		if (n < META_SECTOR)
			return 0;
	}
	return 1;
}

static int kv_mark(struct kv *k, struct kv_mark *ret, err *e)
{
	struct kv_mark m = {0};
	MDB_envinfo info;
	MDB_stat stat;
	int fd, rc;

	mdb_env_info(k->env, &info);
	mdb_env_stat(k->env, &stat);
	rc = mdb_env_get_fd(k->env, &fd);
	if (rc != 0)
		return fail(e, rc, "descriptor of the key file");
	memcpy(m.bytes, &stat.ms_psize, 4);
	rc = read_metas(fd, stat.ms_psize, m.bytes + 8, e);
	if (rc < 0)
		return -1;
	const uint8_t *meta = rc == 1 ? newer_meta(m.bytes + 8) : NULL;
	if (!meta || u32_at(m.bytes + 8 + META_PSIZE) != stat.ms_psize ||
		u64_at(meta + META_TXNID) != info.me_last_txnid ||
		u64_at(meta + META_LAST_PG) != info.me_last_pgno)
		return err_set(e, ERR_IO, "the key file does not show the state that LMDB has");
	m.file_bytes = (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize;
	*ret = m;
	return 0;
}

static int kv_restore(int fd, const struct kv_mark *m, err *e)
{
	uint32_t psize = u32_at(m->bytes);
	const uint8_t *want = newer_meta(m->bytes + 8);
	uint8_t has[2 * META_SECTOR];
	struct stat st;

	if (!want || psize < PSIZE_MIN || psize > PSIZE_MAX)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_sys(e, ERR_IO, "key file");
	if ((uint64_t)st.st_size < m->file_bytes)
		return 0; /* LMDB would read behind the file's end */
	int rc = read_metas(fd, psize, has, e);
	if (rc <= 0)
		return rc;
	/* The file was synced after the marked commit: one that knows less was put there by somebody else. */
	const uint8_t *newest = newer_meta(has);
	if (!newest || u32_at(has + META_PSIZE) != psize ||
		u64_at(newest + META_TXNID) < u64_at(want + META_TXNID))
		return 0;
	if (memcmp(has, m->bytes + 8, sizeof has) == 0)
		return 1;
	for (unsigned i = 0; i < 2; i++)
		if (pwrite(fd, m->bytes + 8 + i * META_SECTOR, META_SECTOR, (off_t)(i * psize)) !=
			META_SECTOR)
			return err_sys(e, ERR_IO, "restoring the key file's checkpoint");
	return fdatasync(fd) == 0 ? 1 : err_sys(e, ERR_IO, "restoring the key file's checkpoint");
}

/* ---- letting mapped pages go ---- */

/*
 * LMDB tells nobody where its map lies (me_mapaddr is only of maps with a fixed address). But keys lie in
 * leaf pages, and a page begins with its number. NULL: the tree is empty, or nothing is as it should be.
 */
static void *find_map(struct kv *k, const MDB_envinfo *info, uintptr_t psize)
{
	struct kv_txn *t;
	MDB_cursor *c;
	MDB_val key, value;
	uint64_t number;
	void *map = NULL;
	err e;

	if (psize > (uintptr_t)sysconf(_SC_PAGESIZE)) /* pages need not begin at multiples of their size */
		return NULL;
	if (kv_begin(k, false, &t, &e) < 0)
		return NULL;
	if (mdb_cursor_open(t->txn, k->dbi, &c) == 0) {
		if (mdb_cursor_get(c, &key, &value, MDB_FIRST) == 0) {
			uint8_t *page = (uint8_t *)key.mv_data - (uintptr_t)key.mv_data % psize;

			memcpy(&number, page, sizeof number);
			if (number <= info->me_last_pgno && is_meta(page - number * psize))
				map = page - number * psize;
		}
		mdb_cursor_close(c);
	}
	kv_abort(t);
	return map;
}

/* The map is shared and only read: nothing is lost, and what is read again comes from the page cache. */
static void kv_rest(struct kv *k)
{
	MDB_envinfo info;
	MDB_stat stat;

	mdb_env_info(k->env, &info);
	mdb_env_stat(k->env, &stat);
	void *map = find_map(k, &info, stat.ms_psize);
	if (map)
		(void)madvise(map, (info.me_last_pgno + 1) * stat.ms_psize, MADV_DONTNEED);
}

const struct kv_engine kv_lmdb = {
	.name = "lmdb",
	.open = kv_open,
	.close = kv_close,
	.begin = kv_begin,
	.get = kv_get,
	.put = kv_put,
	.del = kv_del,
	.commit = kv_commit,
	.abort = kv_abort,
	.cursor_open = kv_cursor_open,
	.cursor_close = kv_cursor_close,
	.seek = kv_seek,
	.seek_before = kv_seek_before,
	.next = kv_next,
	.prev = kv_prev,
	.file = "data.mdb",
	.used = kv_used,
	.rest = kv_rest,
	.mark = kv_mark,
	.restore = kv_restore,
};

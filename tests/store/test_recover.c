/* What a crash, a lost file or a flipped bit leaves, and what the next open makes of it. */
#include "store_test.h"

struct row {
	char key[16], value[64];
	uint64_t blob;
	char text[600];
	size_t n;
};

static int run_row(struct store_tx *tx, void *arg, err *e)
{
	struct row *r = arg;
	char id[16];

	if (store_tx_blob(tx, slice_make(r->text, r->n), &r->blob, e) < 0)
		return -1;
	for (int i = 0; i < 8; i++)
		id[i] = (char)(r->blob >> (56 - 8 * i));
	if (store_tx_put(tx, S("Yblob"), slice_make(id, 8), e) < 0) /* of the last one */
		return -1;
	return store_tx_put(tx, slice_of(r->key), slice_of(r->value), e);
}

static void row_init(struct row *r, unsigned n)
{
	memset(r, 0, sizeof *r);
	snprintf(r->key, sizeof r->key, "X%03u", n);
	snprintf(r->value, sizeof r->value, "the value of row %u", n);
	r->n = 40 + n * 53 % 500;
	memset(r->text, (int)('a' + n % 26), r->n);
}

struct write_job {
	struct store *s;
	unsigned from, to;
};
static void write_rows(void *arg)
{
	struct write_job *j = arg;
	struct row *r = malloc(sizeof *r);

	for (unsigned i = j->from; i < j->to; i++) {
		row_init(r, i);
		must(store_commit(j->s, run_row, r, &must_e));
	}
	free(r);
}

/* A store with rows from..to added by a run of its own. Returns the state at its end. */
static struct store_state add_rows(const struct store_config *c, unsigned from, unsigned to)
{
	struct write_job j = {test_start(c), from, to};

	test_on_fiber(write_rows, &j);
	struct store_state st = j.s->state;
	store_close(j.s);
	return st;
}

/* Rows 0..n are there with their blobs, later ones are not. `except`: one that is gone; -1: none. */
static void check_rows(struct store *s, int n, int except)
{
	struct store_snap snap;
	struct store_scan sc;
	struct row want;
	slice k, v;
	int i = 0;

	must(store_snap_begin(s, &snap, &must_e));
	must(store_scan_open(&snap, S("X"), &sc, &must_e));
	while (store_scan_next(&sc, &k, &v, NULL) == 1) {
		i += i == except;
		row_init(&want, (unsigned)i++);
		assert_true(slice_eq(k, slice_of(want.key)));
		assert_true(slice_eq(v, slice_of(want.value)));
	}
	i += i == except;
	assert_int_equal(i, n);
	store_scan_close(&sc);
	must(store_scan_open(&snap, S("B"), &sc, &must_e));
	for (i = 0; store_scan_next(&sc, &k, &v, NULL) == 1; i++) {
		struct store_blob b;
		char got[600];
		uint64_t id = 0;

		i += i == except;
		for (int at = 1; at < 9; at++)
			id = id << 8 | (uint8_t)k.p[at];
		assert_int_equal(store_blob_find(&snap, id, &b, NULL), 1);
		row_init(&want, (unsigned)i);
		assert_int_equal(b.length, want.n);
		must(store_blob_read(&b, 0, got, want.n, &must_e));
		assert_memory_equal(got, want.text, want.n);
		store_blob_release(&b);
	}
	store_scan_close(&sc);
	store_snap_end(&snap);
	i += i == except;
	assert_int_equal(i, n);
}

static int open_volume(const struct test_dir *d, uint32_t volume)
{
	char path[128], name[16];

	volume_name(volume, name);
	snprintf(path, sizeof path, "%s/volumes/%s", d->path, name);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static char *read_file(int fd, size_t *ret)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	char *p = malloc((size_t)st.st_size);
	must(read_exact(fd, 0, p, (size_t)st.st_size, &must_e));
	*ret = (size_t)st.st_size;
	return p;
}

static void put_back(int fd, const char *p, uint64_t from, uint64_t n)
{
	assert_int_equal(pwrite(fd, p + from, n, (off_t)from), n);
}

/* ---- the key file is as of some group before: replay ---- */

static void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	size_t n;

	assert_true(in >= 0 && out >= 0);
	char *p = read_file(in, &n);
	assert_int_equal(write(out, p, n), n);
	free(p);
	close(in);
	close(out);
}

static void test_replay(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_lmdb);
	char keys[128], kept[128], mark[128], kept_mark[128];

	(void)state;
	snprintf(keys, sizeof keys, "%s/keys/data.mdb", d.path);
	snprintf(kept, sizeof kept, "%s/kept", d.path);
	snprintf(mark, sizeof mark, "%s/keys/checkpoint", d.path);
	snprintf(kept_mark, sizeof kept_mark, "%s/kept_mark", d.path);
	add_rows(&c, 0, 5);
	copy_file(keys, kept);
	copy_file(mark, kept_mark);
	struct store_state st = add_rows(&c, 5, 9);
	copy_file(kept, keys);
	copy_file(kept_mark, mark);
	struct store *s = test_open(&c);
	assert_int_equal(s->report.replayed, 5); /* four groups and the epoch's own */
	assert_int_equal(s->report.corrupt, 0);
	assert_int_equal(s->state.epoch, st.epoch + 1);
	assert_int_equal(s->state.sequence, st.sequence + 1);
	assert_true(atomic_load(&s->next_id) >= st.next_id);
	check_rows(s, 9, -1);
	store_close(s);
	assert_int_equal(unlink(keys), 0); /* all of it from the log, over several volumes */
	s = test_open(&c);
	assert_true(s->report.replayed > 9);
	assert_int_equal(s->report.corrupt, 0);
	assert_int_equal(s->state.epoch, st.epoch + 2);
	check_rows(s, 9, -1);
	store_close(s);
	test_dir_free(&d);
}

static void test_replay_volumes(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_memory);

	(void)state;
	c.volume_bytes = 8192;
	struct store_state st = add_rows(&c, 0, 60);
	assert_true(st.volume > 4);
	for (int i = 0; i < 3; i++) {
		struct store *s = test_open(&c);

		assert_int_equal(s->report.corrupt, 0);
		assert_false(s->report.cut);
		assert_int_equal(s->state.epoch, 2 + i);
		check_rows(s, 60, -1);
		store_close(s);
	}
	test_dir_free(&d);
}

/* ---- a torn group: the last record cut at every byte, and with every byte changed ---- */

/*
 * The memory engine replays all; the last record is the group of row 4, which must be there exactly when the
 * record is whole. Every open adds a record (the epoch), so the volume is put back each time.
 */
static void torn(void (*tear)(int fd, uint64_t at, uint64_t end), unsigned step)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_memory);
	struct store_state before = add_rows(&c, 0, 4);
	size_t size;

	int fd = open_volume(&d, 1);
	before.end += VOLUME_SECTOR; /* of the next run: its epoch */
	struct store_state after = add_rows(&c, 4, 5);
	char *whole = read_file(fd, &size);
	struct record_head h;
	assert_int_equal(record_head_read(slice_make(whole + before.end, RECORD_HEAD), &h), 1);
	assert_int_equal(h.sequence, after.sequence);
	for (uint64_t at = before.end; at < before.end + h.length; at += step) {
		put_back(fd, whole, before.end, size - before.end);
		tear(fd, at, before.end + h.length);
		struct store *s = test_open(&c);
		assert_int_equal(s->report.corrupt, 0);
		assert_true(s->report.cut || at == before.end);
		check_rows(s, 4, -1);
		assert_int_equal(s->state.sequence, after.sequence); /* the epoch's record took its place */
		store_close(s);
		s = test_open(&c); /* and what was cut does not come back */
		assert_false(s->report.cut);
		check_rows(s, 4, -1);
		store_close(s);
	}
	put_back(fd, whole, before.end, size - before.end);
	struct store *s = test_open(&c);
	check_rows(s, 5, -1);
	store_close(s);
	free(whole);
	close(fd);
	test_dir_free(&d);
}

static void tear_cut(int fd, uint64_t at, uint64_t end)
{
	static const char zero[4096];

	assert_true(end - at <= sizeof zero);
	assert_int_equal(pwrite(fd, zero, end - at, (off_t)at), end - at);
}
static void tear_flip(int fd, uint64_t at, uint64_t end)
{
	char c;

	(void)end;
	assert_int_equal(pread(fd, &c, 1, (off_t)at), 1);
	c ^= 0x20;
	assert_int_equal(pwrite(fd, &c, 1, (off_t)at), 1);
}
/* The first sectors never reached the disk, the rest did. */
static void tear_hole(int fd, uint64_t at, uint64_t end)
{
	static const char zero[4096];

	(void)end;
	uint64_t from = at & ~(uint64_t)511;
	assert_int_equal(pwrite(fd, zero, 512, (off_t)from), 512);
}
static void test_cut(void **state)
{
	(void)state;
	torn(tear_cut, 1);
}
static void test_flip(void **state)
{
	(void)state;
	torn(tear_flip, 1);
}
static void test_hole(void **state)
{
	(void)state;
	torn(tear_hole, 512);
}

/* ---- damage in the middle: isolated, copied, reported; the rest is there ---- */

static void test_middle(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_memory);
	char path[128];

	(void)state;
	struct store_state before = add_rows(&c, 0, 3);
	before.end += VOLUME_SECTOR;
	add_rows(&c, 3, 7);
	int fd = open_volume(&d, 1);
	tear_flip(fd, before.end + 90, 0);
	struct store *s = test_open(&c);
	assert_int_equal(s->report.corrupt, 1);
	assert_non_null(strstr(s->report.text, "corrupt/00000001-"));
	check_rows(s, 7, 3);
	store_close(s);
	snprintf(path, sizeof path, "%s/corrupt/00000001-%" PRIu64 ".bin", d.path, before.end);
	int copy = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(copy >= 0);
	size_t n;
	char *got = read_file(copy, &n);
	assert_true(n >= VOLUME_SECTOR && n % VOLUME_SECTOR == 0);
	free(got);
	close(copy);
	close(fd);
	test_dir_free(&d);
}

static void test_middle_volume(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_memory);

	(void)state;
	c.volume_bytes = 8192;
	struct store_state st = add_rows(&c, 0, 60);
	int fd = open_volume(&d, 2);
	tear_flip(fd, 100, 0); /* its head: the whole volume is passed over */
	struct store *s = test_open(&c);
	assert_true(s->report.corrupt > 0);
	assert_int_equal(s->state.volume, st.volume + (st.end >= c.volume_bytes));
	store_close(s);
	close(fd);
	test_dir_free(&d);
}

/* The engine knows more than the log holds: what is there stays readable, and new groups go into a new
 * volume. */
static void test_lost_volume(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_lmdb);
	char path[128];

	(void)state;
	add_rows(&c, 0, 3);
	snprintf(path, sizeof path, "%s/volumes/00000001.vol", d.path);
	assert_int_equal(unlink(path), 0);
	struct write_job j = {test_start(&c), 3, 4};
	assert_int_equal(j.s->report.corrupt, 1);
	test_on_fiber(write_rows, &j);
	struct store_snap snap;
	struct store_blob b;
	slice v;
	err e = {0};
	must(store_snap_begin(j.s, &snap, &must_e));
	assert_int_equal(store_snap_get(&snap, S("X001"), &v, &e), 1);
	assert_int_equal(store_snap_get(&snap, S("X003"), &v, &e), 1);
	assert_int_equal(store_blob_find(&snap, 1, &b, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	store_snap_end(&snap);
	store_close(j.s);
	struct store *s = test_open(&c);
	assert_int_equal(s->report.corrupt, 0);
	store_close(s);
	test_dir_free(&d);
}

/* A crash while the store was made: half a volume, no key file. And a key file that is no longer one. */
static void test_half_made(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_lmdb);
	char path[128];
	err e = {0};

	(void)state;
	snprintf(path, sizeof path, "%s/volumes", d.path);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/volumes/00000001.vol", d.path);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, 5000) == 0);
	struct store *s = test_open(&c);
	assert_true(s->report.made);
	store_close(s);
	add_rows(&c, 0, 3);
	snprintf(path, sizeof path, "%s/keys/data.mdb", d.path);
	int keys = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(keys, "scribbled over", 14, 16), 14);
	assert_int_equal(pwrite(keys, "scribbled over", 14, 4096 + 16), 14);
	close(keys);
	s = test_open(&c);
	assert_int_equal(s->report.corrupt, 1);
	assert_non_null(strstr(s->report.text, "key file"));
	check_rows(s, 3, -1);
	store_close(s);
	assert_int_equal(unlink(path), 0); /* both gone: nothing may be made up */
	snprintf(path, sizeof path, "%s/volumes/00000002.vol", d.path);
	char first[128];
	snprintf(first, sizeof first, "%s/volumes/00000001.vol", d.path);
	assert_int_equal(rename(first, path), 0);
	assert_int_equal(store_open(&c, &s, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	close(fd);
	test_dir_free(&d);
}

/* ---- the rest of what open does ---- */

static void put_raw(struct store *s, slice key, slice value)
{
	char bytes[64];
	struct kv_txn *w;
	uint32_t seal = seal_of(key, value);

	memcpy(bytes, value.p, value.n);
	for (int i = 0; i < 4; i++)
		bytes[value.n + (size_t)i] = (char)(seal >> (24 - 8 * i));
	must(s->engine->begin(s->kv, true, &w, &must_e));
	must(s->engine->put(w, key, slice_make(bytes, value.n + 4), &must_e));
	must(s->engine->commit(w, &must_e));
}

static void test_newer_format(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_lmdb);
	err e = {0};

	(void)state;
	struct store *s = test_open(&c);
	assert_true(s->report.made);
	char newer[10] = "\0\0"
			 "12345678";
	newer[1] = STORE_FORMAT + 1;
	put_raw(s, FORMAT_KEY, slice_make(newer, sizeof newer));
	store_close(s);
	assert_int_equal(store_open(&c, &s, &e), -1);
	assert_int_equal(e.kind, ERR_DENIED);
	char word[32];
	snprintf(word, sizeof word, "format %d", STORE_FORMAT + 1);
	assert_non_null(strstr(e.text, word));
	test_dir_free(&d);
}

static void test_lock(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_lmdb);
	struct store *s = test_open(&c), *other;
	err e = {0};

	(void)state;
	assert_int_equal(store_open(&c, &other, &e), -1);
	assert_int_equal(e.kind, ERR_EXISTS);
	store_close(s);
	s = test_open(&c);
	assert_false(s->report.made);
	store_close(s);
	test_dir_free(&d);
}

/* ---- the checkpoint of the key file ---- */

struct paths {
	char keys[128], mark[128], kept_keys[128], kept_mark[128];
};

static struct paths paths_of(const struct test_dir *d)
{
	struct paths p;

	snprintf(p.keys, sizeof p.keys, "%s/keys/data.mdb", d->path);
	snprintf(p.mark, sizeof p.mark, "%s/keys/checkpoint", d->path);
	snprintf(p.kept_keys, sizeof p.kept_keys, "%s/kept_keys", d->path);
	snprintf(p.kept_mark, sizeof p.kept_mark, "%s/kept_mark", d->path);
	return p;
}

/* The key file is made anew: all rows are there, the old file is kept. */
static void check_made_anew(const struct store_config *c, int rows)
{
	struct store *s = test_open(c);

	assert_int_equal(s->report.corrupt, 1);
	assert_non_null(strstr(s->report.text, "key file was damaged"));
	assert_true(s->report.replayed > (unsigned)rows);
	check_rows(s, rows, -1);
	store_close(s);
	s = test_open(c);
	assert_int_equal(s->report.corrupt, 0);
	assert_int_equal(s->report.replayed, 0);
	check_rows(s, rows, -1);
	store_close(s);
}

static void test_checkpoint_damaged(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_lmdb);
	struct paths p = paths_of(&d);

	(void)state;
	add_rows(&c, 0, 3);
	copy_file(p.keys, p.kept_keys);
	add_rows(&c, 3, 6);
	int fd = open(p.mark, O_RDWR | O_CLOEXEC);
	tear_flip(fd, 100, 0);
	close(fd);
	check_made_anew(&c, 6);
	copy_file(p.kept_keys, p.keys); /* an older key file than the checkpoint's */
	check_made_anew(&c, 6);
	assert_int_equal(truncate(p.keys, 3 * 4096), 0);
	check_made_anew(&c, 6);
	assert_int_equal(unlink(p.mark), 0);
	check_made_anew(&c, 6);
	test_dir_free(&d);
}

static unsigned format_of(struct store *s)
{
	struct store_snap snap;
	slice v;

	must(store_snap_begin(s, &snap, &must_e));
	assert_int_equal(store_snap_get(&snap, FORMAT_KEY, &v, NULL), 1);
	unsigned format = (unsigned)(uint8_t)v.p[0] << 8 | (uint8_t)v.p[1];
	store_snap_end(&snap);
	return format;
}

/* A store of format 1 knew no checkpoints: its key file is right as it is. */
static void test_upgrade(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_lmdb);
	struct paths p = paths_of(&d);
	char one[10] = {0, 1};

	(void)state;
	add_rows(&c, 0, 3);
	struct store *s = test_open(&c);
	for (int i = 0; i < 8; i++)
		one[2 + i] = (char)(s->id >> (56 - 8 * i));
	put_raw(s, FORMAT_KEY, slice_make(one, sizeof one));
	store_close(s);
	assert_int_equal(unlink(p.mark), 0);
	s = test_open(&c);
	assert_int_equal(s->report.corrupt, 0);
	assert_int_equal(s->report.replayed, 0);
	assert_int_equal(format_of(s), STORE_FORMAT);
	check_rows(s, 3, -1);
	store_close(s);
	assert_int_equal(unlink(p.mark), 0); /* now it is worth nothing without */
	check_made_anew(&c, 3);
	s = test_open(&c);
	assert_int_equal(format_of(s), STORE_FORMAT);
	store_close(s);
	test_dir_free(&d);
}

/* The volume in which the checkpoint stands is lost: what later ones hold is there nevertheless. */
static void test_checkpoint_volume_lost(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_lmdb);
	struct paths p = paths_of(&d);
	char path[128];

	(void)state;
	c.volume_bytes = 8192;
	struct store_state before = add_rows(&c, 0, 3);
	copy_file(p.keys, p.kept_keys);
	copy_file(p.mark, p.kept_mark);
	assert_int_equal(before.volume, 1);
	struct store_state after = add_rows(&c, 3, 40);
	assert_true(after.volume > 3);
	copy_file(p.kept_keys, p.keys);
	copy_file(p.kept_mark, p.mark);
	snprintf(path, sizeof path, "%s/volumes/00000001.vol", d.path);
	assert_int_equal(unlink(path), 0);
	struct store *s = test_open(&c);
	struct store_snap snap;
	slice v;
	assert_int_equal(s->report.corrupt, 1);
	assert_non_null(strstr(s->report.text, "records are missing"));
	assert_true(s->state.sequence > after.sequence);
	must(store_snap_begin(s, &snap, &must_e));
	assert_int_equal(store_snap_get(&snap, S("X002"), &v, NULL), 1);
	assert_int_equal(store_snap_get(&snap, S("X003"), &v, NULL), 0);
	assert_int_equal(store_snap_get(&snap, S("X039"), &v, NULL), 1);
	store_snap_end(&snap);
	store_close(s);
	s = test_open(&c);
	assert_int_equal(s->report.corrupt, 0);
	store_close(s);
	test_dir_free(&d);
}

static int run_big(struct store_tx *tx, void *arg, err *e)
{
	uint64_t id;

	return store_tx_blob_file(tx, arg, &id, e);
}
static void write_big(void *arg)
{
	struct store *s = arg;
	struct store_big *kept, *orphan;
	int fd = -1;

	must(fd = store_spool_new(s, &must_e));
	assert_int_equal(pwrite(fd, "large", 5, 0), 5);
	must(store_big_finish(s, fd, 5, &kept, &must_e));
	must(store_big_finish(s, fd, 5, &orphan, &must_e));
	must(store_commit(s, run_big, kept, &must_e));
	store_big_drop(kept);
	free(orphan); /* as a crash would: no drop */
	close(fd);
}
static void test_leftovers(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_lmdb);
	struct store *s = test_start(&c);

	(void)state;
	test_on_fiber(write_big, s);
	int fd = openat(s->spool_fd, "left", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	store_close(s);
	s = test_open(&c);
	assert_int_equal(s->report.orphans, 1);
	assert_int_equal(faccessat(s->big_fd, "0000000000000001", F_OK, 0), 0);
	assert_int_equal(faccessat(s->big_fd, "0000000000000002", F_OK, 0), -1);
	assert_int_equal(faccessat(s->spool_fd, "left", F_OK, 0), -1);
	store_close(s);
	test_dir_free(&d);
}

static void test_epochs(void **state)
{
	struct test_dir d = test_dir_new();
	struct store_config c = test_config(&d, &kv_lmdb);

	(void)state;
	for (unsigned i = 1; i < 5; i++) {
		struct store *s = test_open(&c);
		struct store_stats st;

		store_stats(s, &st);
		assert_int_equal(st.epoch, i);
		store_close(s);
	}
	test_dir_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_replay_volumes),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_flip),
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_middle),
		cmocka_unit_test(test_middle_volume),
		cmocka_unit_test(test_lost_volume),
		cmocka_unit_test(test_half_made),
		cmocka_unit_test(test_newer_format),
		cmocka_unit_test(test_checkpoint_damaged),
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_checkpoint_volume_lost),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_leftovers),
		cmocka_unit_test(test_epochs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "store_test.h"

/* A record in memory, as it would stand in a volume. */
static struct buf written(struct record_out *o, struct record_head *h)
{
	struct buf b = BUF_INIT(1 << 20);

	must(record_out_finish(o, h, &must_e));
	for (uint32_t i = 0; i < o->iov_n; i++)
		buf_add(&b, slice_make(o->iov[i].iov_base, o->iov[i].iov_len));
	assert_false(b.failed);
	return b;
}

static struct buf sample(void)
{
	struct record_out o = {0};
	struct record_head h = {.volume = 3, .store = 77, .sequence = 12, .intents = 2, .time_us = 5};
	uint64_t at;

	record_out_reset(&o);
	must(record_out_blob(&o, 9, S("a blob"), crc32c(0, "a blob", 6), &at, &must_e));
	assert_int_equal(at, RECORD_HEAD + RECORD_BLOB);
	must(record_out_blob(&o, 10, S(""), 0, &at, &must_e));
	must(record_out_blob(&o, 11, S("12345678"), crc32c(0, "12345678", 8), &at, &must_e));
	record_out_op(&o, RECORD_PUT, S("key"), S("value"));
	record_out_op(&o, RECORD_DEL, S("gone"), (slice){0});
	record_out_op(&o, RECORD_PUT, S("empty"), S(""));
	struct buf b = written(&o, &h);
	record_out_free(&o);
	return b;
}

static void test_round(void **state)
{
	struct buf b = sample();
	struct record r;
	struct record_blob blob;
	struct record_op op;

	(void)state;
	assert_int_equal(b.n % VOLUME_SECTOR, 0);
	must(record_open(buf_slice(&b), &r, &must_e));
	assert_int_equal(r.head.sequence, 12);
	assert_int_equal(r.head.volume, 3);
	assert_int_equal(r.head.store, 77);
	assert_int_equal(r.head.intents, 2);
	assert_int_equal(r.head.time_us, 5);
	struct record again = r; /* ops without reading the blobs */
	assert_true(record_blob_next(&r, &blob));
	assert_int_equal(blob.id, 9);
	assert_true(slice_eq(blob.bytes, S("a blob")));
	assert_ptr_equal(blob.bytes.p, b.p + blob.offset);
	assert_int_equal(blob.crc, crc32c(0, "a blob", 6));
	assert_true(record_blob_next(&r, &blob) && blob.bytes.n == 0);
	assert_true(record_blob_next(&r, &blob) && slice_eq(blob.bytes, S("12345678")));
	assert_false(record_blob_next(&r, &blob));
	for (int i = 0; i < 2; i++) {
		struct record *from = i ? &again : &r;

		assert_true(record_op_next(from, &op));
		assert_true(op.kind == RECORD_PUT && slice_eq(op.key, S("key")) &&
			    slice_eq(op.value, S("value")));
		assert_true(record_op_next(from, &op));
		assert_true(op.kind == RECORD_DEL && slice_eq(op.key, S("gone")));
		assert_true(record_op_next(from, &op));
		assert_true(slice_eq(op.key, S("empty")) && op.value.n == 0);
		assert_false(record_op_next(from, &op));
	}
	buf_free(&b);
}

static void test_undo(void **state)
{
	struct record_out o = {0};
	struct record_head h = {.volume = 1, .store = 1, .sequence = 1};
	struct record r;
	struct record_blob blob;
	uint64_t at;

	(void)state;
	record_out_reset(&o);
	must(record_out_blob(&o, 1, S("kept"), 0, &at, &must_e));
	uint64_t bytes = o.blob_bytes;
	must(record_out_blob(&o, 2, S("undone"), 0, &at, &must_e));
	record_out_undo(&o, 1, bytes);
	must(record_out_blob(&o, 3, S("kept too"), 0, &at, &must_e));
	assert_int_equal(at, RECORD_HEAD + bytes + RECORD_BLOB);
	struct buf b = written(&o, &h);
	must(record_open(buf_slice(&b), &r, &must_e));
	assert_true(record_blob_next(&r, &blob) && blob.id == 1);
	assert_true(record_blob_next(&r, &blob) && blob.id == 3 && blob.offset == at);
	assert_false(record_blob_next(&r, &blob));
	buf_free(&b);
	record_out_free(&o);
}

/* Every cut is found; so is every changed byte of what counts. The copy is as long as what is read, for ASan.
 */
static void test_damage(void **state)
{
	struct buf b = sample();
	struct record r;
	struct record_head h;

	(void)state;
	assert_int_equal(record_head_read(buf_slice(&b), &h), 1);
	for (size_t n = 0; n < h.length; n++) {
		char *cut = malloc(n ? n : 1);

		memcpy(cut, b.p, n);
		assert_int_equal(record_open(slice_make(cut, n), &r, NULL), -1);
		free(cut);
	}
	for (size_t n = 0; n < h.length; n++)
		for (int bit = 0; bit < 8; bit++) {
			b.p[n] = (char)(b.p[n] ^ 1 << bit);
			assert_int_equal(record_open(buf_slice(&b), &r, NULL), -1);
			b.p[n] = (char)(b.p[n] ^ 1 << bit);
		}
	must(record_open(buf_slice(&b), &r, &must_e));
	buf_free(&b);
}

static void test_zero_head(void **state)
{
	static const char zero[RECORD_HEAD], other[RECORD_HEAD] = "something";
	struct record_head h;

	(void)state;
	assert_int_equal(record_head_read(slice_make(zero, sizeof zero), &h), 0);
	assert_int_equal(record_head_read(slice_make(other, sizeof other), &h), -1);
	assert_int_equal(record_head_read(slice_make(zero, 10), &h), -1);
}

/* Sound checksums over parts that do not fit: a writer's mistake must not become a reader's. */
static void test_counts(void **state)
{
	(void)state;
	for (uint32_t extra = 1; extra < 3; extra++) {
		struct record_out o = {0};
		struct record_head h = {.volume = 1, .store = 1, .sequence = 1};
		struct record r;
		err e;

		record_out_reset(&o);
		record_out_op(&o, RECORD_PUT, S("key"), S("value"));
		o.ops += extra == 1 ? 1 : UINT32_MAX;
		struct buf b = written(&o, &h);
		assert_int_equal(record_open(buf_slice(&b), &r, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		buf_free(&b);
		record_out_free(&o);
	}
}

static void test_volume_head(void **state)
{
	struct volume_head h = {VOLUME_FORMAT, 0x1122334455667788, 5, 99}, got;
	uint8_t bytes[VOLUME_HEAD];
	err e;

	(void)state;
	volume_head_write(&h, bytes);
	must(volume_head_read(slice_make(bytes, sizeof bytes), &got, &must_e));
	assert_int_equal(got.store, h.store);
	assert_int_equal(got.volume, 5);
	assert_int_equal(got.made_us, 99);
	assert_int_equal(volume_head_read(slice_make(bytes, VOLUME_HEAD - 1), &got, &e), -1);
	for (size_t i = 0; i < VOLUME_HEAD; i++) {
		bytes[i] ^= 1;
		assert_int_equal(volume_head_read(slice_make(bytes, sizeof bytes), &got, &e), -1);
		bytes[i] ^= 1;
	}
	h.format = VOLUME_FORMAT + 1;
	volume_head_write(&h, bytes);
	assert_int_equal(volume_head_read(slice_make(bytes, sizeof bytes), &got, &e), -1);
	assert_int_equal(e.kind, ERR_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_undo),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_zero_head),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_volume_head),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

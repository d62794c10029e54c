/* Entry blocks: what is written is read; what is damaged is refused. */
#include "mailbox/entry.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return *state >> 11;
}

static void fill(struct entry_block *b, uint64_t *r, bool wild)
{
	b->number = (uint32_t)(next_random(r) % (UINT32_MAX / MAILBOX_BLOCK));
	b->n = 0;
	uint64_t modseq = next_random(r), message = next_random(r);
	for (unsigned i = 0; i < MAILBOX_BLOCK; i++) {
		if (next_random(r) % 3 == 0)
			continue;
		struct mailbox_entry *x = &b->e[b->n++];
		*x = (struct mailbox_entry){.uid = b->number * MAILBOX_BLOCK + i,
			.flags = (uint8_t)(next_random(r) & MAILBOX_FLAGS_ALL),
			.keywords = next_random(r) % 4 ? 0 : next_random(r) << 11,
			.modseq = wild ? next_random(r) << 10 : modseq + i,
			.message = wild ? next_random(r) << 10 : message + i,
			.size = (uint32_t)next_random(r)};
	}
}

static void there_and_back(void **state)
{
	(void)state;
	uint64_t r = 7;
	for (int i = 0; i < 2000; i++) {
		static struct entry_block a, b;
		uint8_t bytes[ENTRY_BLOCK_MAX];
		uint64_t bitmap;
		err e;
		fill(&a, &r, i % 2);
		size_t n = entry_block_encode(&a, bytes);
		assert_true(n <= sizeof bytes);
		assert_int_equal(entry_block_decode(slice_make(bytes, n), a.number, &b, &e), 0);
		assert_int_equal(b.n, a.n);
		assert_int_equal(entry_block_bitmap(slice_make(bytes, n), &bitmap, &e), 0);
		for (unsigned j = 0; j < a.n; j++) {
			assert_int_equal(a.e[j].uid, b.e[j].uid);
			assert_int_equal(a.e[j].flags, b.e[j].flags);
			assert_true(a.e[j].keywords == b.e[j].keywords && a.e[j].modseq == b.e[j].modseq);
			assert_true(a.e[j].message == b.e[j].message && a.e[j].size == b.e[j].size);
			assert_true(bitmap >> a.e[j].uid % MAILBOX_BLOCK & 1);
			assert_ptr_equal(entry_block_find(&b, a.e[j].uid), &b.e[j]);
		}
		assert_int_equal(__builtin_popcountll(bitmap), (int)a.n);
	}
}

static void worst_case_fits(void **state)
{
	(void)state;
	static struct entry_block a;
	a.n = MAILBOX_BLOCK;
	uint8_t bytes[ENTRY_BLOCK_MAX];
	for (unsigned i = 0; i < MAILBOX_BLOCK; i++)
		a.e[i] = (struct mailbox_entry){.uid = i,
			.flags = MAILBOX_FLAGS_ALL,
			.keywords = UINT64_MAX,
			.modseq = i % 2 ? 0 : INT64_MAX,
			.message = i % 2 ? 0 : INT64_MAX,
			.size = UINT32_MAX};
	assert_true(entry_block_encode(&a, bytes) <= sizeof bytes);
}

/* Every cut and every flipped byte either fails or gives a block that holds its invariants. */
static void damaged(void **state)
{
	(void)state;
	uint64_t r = 3;
	static struct entry_block a, b;
	uint8_t bytes[ENTRY_BLOCK_MAX];
	err e;
	fill(&a, &r, false);
	size_t n = entry_block_encode(&a, bytes);
	for (size_t i = 0; i < n; i++) {
		char *cut = malloc(i ? i : 1); /* exact, so that a sanitizer sees a read behind it */
		memcpy(cut, bytes, i);
		assert_int_equal(entry_block_decode(slice_make(cut, i), a.number, &b, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		free(cut);
		for (int bit = 0; bit < 8; bit++) {
			bytes[i] ^= (uint8_t)(1 << bit);
			if (entry_block_decode(slice_make(bytes, n), a.number, &b, &e) == 0)
				assert_true(b.n <= MAILBOX_BLOCK);
			bytes[i] ^= (uint8_t)(1 << bit);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(worst_case_fits),
		cmocka_unit_test(damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

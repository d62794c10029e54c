/* UID sets against a plain bitmap. */
#include "base/slice.h"
#include "mailbox/uidset.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { UNIVERSE = 300 };

static unsigned next_random(unsigned *state)
{
	*state = *state * 1103515245u + 12345u;
	return *state >> 16;
}

static void compare(const struct uidset *s, const bool *bits)
{
	uint32_t count = 0;
	for (uint32_t uid = 1; uid < UNIVERSE; uid++) {
		assert_int_equal(uidset_has(s, uid), bits[uid]);
		uint32_t next = uid;
		while (next < UNIVERSE && !bits[next])
			next++;
		assert_int_equal(uidset_next(s, uid), next < UNIVERSE ? next : 0);
		count += bits[uid];
		assert_int_equal(uidset_rank(s, uid), count);
		assert_int_equal(uidset_seq(s, uid), bits[uid] ? count : 0);
		if (bits[uid])
			assert_int_equal(uidset_uid(s, count), uid);
	}
	assert_int_equal(uidset_count(s), count);
	assert_int_equal(uidset_uid(s, count + 1), 0);
	assert_int_equal(uidset_uid(s, 0), 0);
	for (uint32_t i = 1; i < s->n; i++)
		assert_true(s->ranges[i].first > s->ranges[i - 1].last + 1);
}

static void against_bitmap(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 20; seed++) {
		unsigned r = seed;
		struct uidset s = {0};
		bool bits[UNIVERSE] = {false};
		for (int step = 0; step < 400; step++) {
			uint32_t a = 1 + next_random(&r) % (UNIVERSE - 1);
			uint32_t b = a + next_random(&r) % 20;
			if (b >= UNIVERSE)
				b = UNIVERSE - 1;
			switch (next_random(&r) % 4) {
			case 0:
				assert_int_equal(uidset_add(&s, a), 0);
				bits[a] = true;
				break;
			case 1:
				assert_int_equal(uidset_add_range(&s, a, b), 0);
				memset(bits + a, true, b - a + 1);
				break;
			case 2:
				assert_int_equal(uidset_remove(&s, a), bits[a]);
				bits[a] = false;
				break;
			default:
				assert_int_equal(uidset_remove_range(&s, a, b), 0);
				memset(bits + a, false, b - a + 1);
				break;
			}
			if (step % 5 == 0)
				compare(&s, bits);
		}
		compare(&s, bits);
		uidset_free(&s);
	}
}

static void common_and_minus(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		unsigned r = seed;
		struct uidset a = {0}, b = {0}, both = {0}, left = {0};
		bool in_both[UNIVERSE] = {false}, in_a[UNIVERSE] = {false};
		for (unsigned i = 0; i < seed % 40; i++) {
			uint32_t first = 1 + next_random(&r) % (UNIVERSE - 20), n = next_random(&r) % 20;
			assert_int_equal(uidset_add_range(i % 2 ? &a : &b, first, first + n), 0);
		}
		for (uint32_t uid = 1; uid < UNIVERSE; uid++) {
			in_both[uid] = uidset_has(&a, uid) && uidset_has(&b, uid);
			in_a[uid] = uidset_has(&a, uid) && !uidset_has(&b, uid);
		}
		assert_int_equal(uidset_common(&a, &b, &both), 0);
		assert_int_equal(uidset_minus(&a, &b, &left), 0);
		compare(&both, in_both);
		compare(&left, in_a);
		uidset_free(&a);
		uidset_free(&b);
		uidset_free(&both);
		uidset_free(&left);
	}
	struct uidset all = {0}, end = {0}, got = {0};
	assert_int_equal(uidset_add_range(&all, 1, UINT32_MAX), 0);
	assert_int_equal(uidset_add(&end, UINT32_MAX), 0);
	assert_int_equal(uidset_minus(&all, &end, &got), 0);
	assert_int_equal(uidset_uid(&got, uidset_count(&got)), UINT32_MAX - 1);
	uidset_free(&got);
	assert_int_equal(uidset_common(&all, &end, &got), 0);
	assert_int_equal(uidset_uid(&got, 1), UINT32_MAX);
	uidset_free(&got);
	assert_int_equal(uidset_minus(&all, &all, &got), 0);
	assert_int_equal(uidset_count(&got), 0);
	uidset_free(&got);
	uidset_free(&end);
	uidset_free(&all);
}

static void edges(void **state)
{
	(void)state;
	struct uidset s = {0};
	assert_int_equal(uidset_count(&s), 0);
	assert_int_equal(uidset_next(&s, 1), 0);
	assert_int_equal(uidset_add_range(&s, 1, UINT32_MAX), 0);
	assert_int_equal(uidset_count(&s), UINT32_MAX);
	assert_int_equal(uidset_uid(&s, UINT32_MAX), UINT32_MAX);
	assert_int_equal(uidset_remove(&s, 1), 1);
	assert_int_equal(uidset_remove(&s, UINT32_MAX), 1);
	assert_int_equal(uidset_seq(&s, UINT32_MAX - 1), UINT32_MAX - 2);
	assert_int_equal(uidset_add(&s, UINT32_MAX), 0);
	assert_int_equal(s.n, 1);
	uidset_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(against_bitmap),
		cmocka_unit_test(common_and_minus), cmocka_unit_test(edges)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

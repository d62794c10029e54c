/* UID sets against a plain bitmap. */
#include "base/slice.h"
#include "mailbox/uidset.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { UNIVERSE = 300, LARGE = 12000 };

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
	struct uidset_scan up = uidset_scan_from(s, 1), down = uidset_scan_end(s);
	struct uid_range r;
	uint32_t last = 0, ranges = 0;
	for (count = 0; uidset_scan_next(&up, &r); ranges++) {
		assert_true(ranges == 0 || r.first > last + 1);
		assert_true(r.first <= r.last);
		assert_int_equal(r.before, count);
		count += r.last - r.first + 1;
		last = r.last;
	}
	assert_int_equal(ranges, s->n);
	for (; uidset_scan_prev(&down, &r); ranges--)
		assert_true(r.last <= last);
	assert_int_equal(ranges, 0);
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

/* ---- many chunks, shared by several sets ---- */

struct pair {
	struct uidset s;
	bool bits[LARGE];
};

static void compare_large(const struct pair *p)
{
	struct uidset_scan sc = uidset_scan_from(&p->s, 1);
	struct uid_range r;
	uint32_t count = 0, ranges = 0, uid = 1;
	for (; uidset_scan_next(&sc, &r); ranges++) {
		for (; uid < r.first; uid++)
			assert_false(p->bits[uid]);
		assert_int_equal(r.before, count);
		for (; uid <= r.last; uid++)
			assert_true(p->bits[uid]);
		count += r.last - r.first + 1;
		assert_true(uid == LARGE || !p->bits[uid]);
		assert_int_equal(uidset_uid(&p->s, count), r.last);
		assert_int_equal(uidset_seq(&p->s, r.first), r.before + 1);
		assert_int_equal(uidset_rank(&p->s, r.last), count);
		assert_int_equal(uidset_next(&p->s, r.first), r.first);
	}
	for (; uid < LARGE; uid++)
		assert_false(p->bits[uid]);
	assert_int_equal(ranges, p->s.n);
	assert_int_equal(uidset_count(&p->s), count);
	sc = uidset_scan_end(&p->s);
	for (uid = LARGE; uidset_scan_prev(&sc, &r); ranges--) {
		assert_true(r.last < uid);
		uid = r.first;
	}
	assert_int_equal(ranges, 0);
}

static uint32_t some(unsigned *r, uint32_t max)
{
	return (next_random(r) << 16 | next_random(r)) % max;
}

/* A set of a kind: fragmented all over, few ranges, or a stretch. */
static void another(struct pair *p, unsigned *r)
{
	unsigned kind = next_random(r) % 4;
	uint32_t from = 1 + some(r, LARGE / 2), to = from + some(r, LARGE / 2), step = 2 + some(r, 5);
	memset(p->bits, 0, sizeof p->bits);
	uidset_free(&p->s);
	for (uint32_t i = 0; kind < 2 && i < 5; i++) {
		uint32_t uid = 1 + some(r, LARGE - 10), n = some(r, 10);
		assert_int_equal(uidset_add_range(&p->s, uid, uid + n), 0);
		memset(p->bits + uid, true, n + 1);
	}
	for (uint32_t uid = from; kind == 2 && uid < to; uid += step) {
		assert_int_equal(uidset_add(&p->s, uid), 0);
		p->bits[uid] = true;
	}
	if (kind == 3) {
		assert_int_equal(uidset_add_range(&p->s, from, to), 0);
		memset(p->bits + from, true, to - from + 1);
	}
}

static void change_one(struct pair *p, unsigned *r)
{
	uint32_t uid = 1 + some(r, LARGE - 1), to = uid + some(r, next_random(r) % 8 ? 6 : 3000);
	to = to < LARGE ? to : LARGE - 1;
	bool add = next_random(r) % 2;
	assert_int_equal(add ? uidset_add_range(&p->s, uid, to) : uidset_remove_range(&p->s, uid, to), 0);
	memset(p->bits + uid, add, to - uid + 1);
}

static void with_other(struct pair *p, const struct pair *o, unsigned *r)
{
	struct uidset ret = {0};
	unsigned kind = next_random(r) % 5;
	uint32_t from = 1 + some(r, LARGE / 2), to = from + some(r, LARGE / 2);
	if (kind == 0)
		assert_int_equal(uidset_merge(&p->s, &o->s), 0);
	else if (kind == 1)
		assert_int_equal(uidset_subtract(&p->s, &o->s), 0);
	else if (kind == 2)
		assert_int_equal(uidset_add_between(&p->s, &o->s, from, to), 0);
	else if (kind == 3)
		assert_int_equal(uidset_common(&p->s, &o->s, &ret), 0);
	else
		assert_int_equal(uidset_minus(&p->s, &o->s, &ret), 0);
	for (uint32_t uid = 1; uid < LARGE; uid++) {
		bool a = p->bits[uid], b = o->bits[uid];
		p->bits[uid] = kind == 0   ? a || b
			       : kind == 2 ? a || (b && uid >= from && uid <= to)
			       : kind == 3 ? a && b
					   : a && !b;
	}
	if (kind >= 3) {
		uidset_free(&p->s);
		p->s = ret;
	}
}

/* Sets that share chunks, changed in turn: what one does is not seen in another. */
static void shared(void **state)
{
	(void)state;
	enum { SETS = 5 };
	struct pair *p = calloc(SETS + 1, sizeof *p), *one_more = p + SETS;
	assert_non_null(p);
	for (unsigned seed = 1; seed <= 12; seed++) {
		unsigned r = seed * 77;
		for (uint32_t uid = 1; uid < LARGE; uid += 2) {
			assert_int_equal(uidset_add(&p[0].s, uid), 0);
			p[0].bits[uid] = true;
		}
		for (int step = 0; step < 600; step++) {
			struct pair *x = &p[some(&r, SETS)];
			const struct pair *y = &p[some(&r, SETS)];
			unsigned what = next_random(&r) % 40;
			if (what == 0 && x != y) {
				uidset_free(&x->s);
				uidset_share(&y->s, &x->s);
				assert_true(uidset_is_shared(&x->s, &y->s));
				memcpy(x->bits, y->bits, sizeof x->bits);
			} else if (what < 3 && x != y) {
				with_other(x, y, &r);
			} else if (what < 6) {
				another(one_more, &r);
				with_other(x, one_more, &r);
			} else {
				change_one(x, &r);
			}
			if (step % 20 == 0)
				for (int i = 0; i < SETS; i++)
					compare_large(&p[i]);
		}
		for (int i = 0; i < SETS; i++) {
			compare_large(&p[i]);
			uidset_free(&p[i].s);
			memset(p[i].bits, 0, sizeof p[i].bits);
		}
	}
	uidset_free(&one_more->s);
	free(p);
}

/* Taken out from either end or in the middle, one by one, a set ends empty and right on the way. */
static void shrinks(void **state)
{
	(void)state;
	for (int way = 0; way < 3; way++) {
		struct pair *p = calloc(1, sizeof *p);
		assert_non_null(p);
		for (uint32_t uid = 2; uid < LARGE; uid += 2) {
			assert_int_equal(uidset_add(&p->s, uid), 0);
			p->bits[uid] = true;
		}
		for (uint32_t n = uidset_count(&p->s); n > 0; n--) {
			uint32_t uid = uidset_uid(&p->s, way == 0 ? 1 : way == 1 ? n : (n + 1) / 2);
			assert_int_equal(uidset_remove(&p->s, uid), 1);
			p->bits[uid] = false;
			if (n % 500 == 0)
				compare_large(p);
		}
		assert_null(p->s.root);
		free(p);
	}
}

static void edges_of_sharing(void **state)
{
	(void)state;
	struct uidset a = {0}, b = {0}, none = {0};
	uidset_share(&none, &b);
	assert_int_equal(uidset_count(&b), 0);
	assert_int_equal(uidset_merge(&b, &none), 0);
	assert_int_equal(uidset_subtract(&b, &none), 0);
	assert_int_equal(uidset_add_between(&b, &none, 1, UINT32_MAX), 0);
	assert_int_equal(uidset_add_range(&a, 1, UINT32_MAX), 0);
	assert_int_equal(uidset_merge(&b, &a), 0);
	assert_true(uidset_is_shared(&a, &b));
	assert_int_equal(uidset_subtract(&b, &a), 0);
	assert_int_equal(uidset_count(&b), 0);
	assert_int_equal(uidset_count(&a), UINT32_MAX);
	assert_int_equal(uidset_add_between(&b, &a, UINT32_MAX, UINT32_MAX), 0);
	assert_int_equal(uidset_uid(&b, 1), UINT32_MAX);
	assert_int_equal(uidset_add(&b, 1), 0);
	assert_int_equal(uidset_subtract(&a, &b), 0);
	assert_int_equal(uidset_uid(&a, 1), 2);
	assert_int_equal(uidset_uid(&a, uidset_count(&a)), UINT32_MAX - 1);
	assert_int_equal(uidset_merge(&a, &b), 0);
	assert_int_equal(a.n, 1);
	assert_int_equal(uidset_count(&a), UINT32_MAX);
	assert_int_equal(uidset_remove_range(&a, 0, UINT32_MAX), 0);
	assert_null(a.root);
	uidset_free(&a);
	uidset_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(against_bitmap),
		cmocka_unit_test(common_and_minus), cmocka_unit_test(edges), cmocka_unit_test(shared),
		cmocka_unit_test(shrinks), cmocka_unit_test(edges_of_sharing)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

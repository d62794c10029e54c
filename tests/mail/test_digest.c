/* Digests: what is made of an envelope, its bounds, and records that are damaged. */
#include "mail/digest.h"
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include "base/cleanup.h"
#include "base/hash.h"

static const uint64_t key[2] = {0x0123456789abcdef, 42};

struct made {
	struct mail_digest_room room;
	struct arena *arena;
	struct buf record;
	struct mail_digest d;
};

static void make(struct made *m, const struct mail_envelope *v)
{
	err e = {0};

	*m = (struct made){.arena = arena_new(1 << 20), .record = BUF_INIT(MAIL_DIGEST_MAX)};
	assert_non_null(m->arena);
	assert_int_equal(mail_digest_make(&m->room, v, true, key, m->arena, &m->record, &e), 0);
	assert_int_equal(mail_digest_read(buf_slice(&m->record), &m->d, &e), 0);
}

static void done(struct made *m)
{
	mail_digest_room_free(&m->room);
	buf_free(&m->record);
	arena_free(m->arena);
}

static void is(slice got, const char *want)
{
	if (!slice_eq(got, slice_of(want)))
		fail_msg("\"%.*s\", not \"%s\"", (int)got.n, got.p, want);
}

static void test_all_there(void **state)
{
	const struct mail_envelope v = {
		.date = S("Thu, 1 Jan 1970 01:00:01 +0200"),
		.subject = S("Re: [x] =?utf-8?q?caf=C3=A9?= plan"),
		.from = S("\"Bob B.\" <bob@example.org>, eve@example.org"),
		.to = S("team: ann@example.org;"),
		.cc = S("=?utf-8?q?J=C3=B6rg?= <j@example.org>"),
		.message_id = S("nonsense <\"a\\ b\"@x> <b@x>"),
		.references = S("<1@x> <bad> <2@x>"),
		.in_reply_to = S("<3@x>"),
	};
	struct made m;

	(void)state;
	make(&m, &v);
	assert_true(m.d.has_date && m.d.reply && !m.d.parents_cut && m.d.cut == 0);
	assert_int_equal(m.d.date_s, -3599);
	assert_int_equal(m.d.zone_min, 120);
	is(m.d.texts[DIGEST_SUBJECT], "CAFE\xcc\x81 PLAN");
	is(m.d.texts[DIGEST_FROM], "BOB");
	is(m.d.texts[DIGEST_DISPLAYFROM], "BOB B.");
	is(m.d.texts[DIGEST_TO], "TEAM");
	is(m.d.texts[DIGEST_DISPLAYTO], "TEAM");
	is(m.d.texts[DIGEST_CC], "J");
	assert_true(m.d.subject == mail_digest_hash(key, S("CAFE\xcc\x81 PLAN")));
	assert_true(m.d.id == hash_keyed(key, S("a b@x")));
	assert_int_equal(m.d.parents.n, 16);
	assert_true(mail_digest_parent(&m.d, 0) == hash_keyed(key, S("1@x")));
	assert_true(mail_digest_parent(&m.d, 1) == hash_keyed(key, S("2@x")));
	done(&m);
}

static void test_nothing_there(void **state)
{
	const struct mail_envelope v = {.date = S("no date"), .in_reply_to = S("<1@x> <2@x>")};
	struct made m;

	(void)state;
	make(&m, &v);
	assert_true(!m.d.has_date && !m.d.reply && m.d.subject == 0 && m.d.id == 0 && m.d.cut == 0);
	assert_int_equal(m.d.parents.n, 8); /* the first of In-Reply-To */
	for (unsigned i = 0; i < DIGEST_TEXTS; i++)
		assert_int_equal(m.d.texts[i].n, 0);
	done(&m);
}

/* Longest texts and many parents: it never is longer than it may be, and says what is missing. */
static void test_bounds(void **state)
{
	struct buf subject = BUF_INIT(10000), from = BUF_INIT(10000), refs = BUF_INIT(10000);
	struct made m;

	(void)state;
	for (int i = 0; i < 300; i++)
		buf_addz(&subject, "\xc3\xb8");
	for (int i = 0; i < 100; i++)
		buf_addz(&from, "f");
	buf_addz(&from, "@example.org");
	for (unsigned n = 0; n < 80; n++) {
		struct mail_envelope v = {.date = S("1 Jan 2026 00:00 +0000"),
			.message_id = S("<me@x>"),
			.references = buf_slice(&refs)};

		make(&m, &v);
		if (!m.d.parents_cut)
			assert_int_equal(m.d.parents.n, n * 8);
		assert_true(m.d.parents_cut == (n > 52));
		done(&m);
		v.subject = buf_slice(&subject);
		v.from = v.to = v.cc = buf_slice(&from);
		make(&m, &v);
		assert_true(m.record.n <= MAIL_DIGEST_MAX && m.d.parents_cut == (n > 5));
		assert_int_equal(m.d.cut, (1 << DIGEST_TEXTS) - 1);
		assert_int_equal(m.d.texts[DIGEST_SUBJECT].n, 168); /* whole characters */
		assert_true(m.d.subject == mail_digest_hash(key, mail_digest_text(&m.room, &v, DIGEST_SUBJECT,
									 m.arena, NULL)));
		assert_int_equal(m.d.texts[DIGEST_FROM].n, 40);
		done(&m);
		buf_addf(&refs, " <%u@x>", n);
	}
	buf_free(&subject);
	buf_free(&from);
	buf_free(&refs);
}

static void test_damaged(void **state)
{
	const struct mail_envelope v = {.date = S("1 Jan 2026 00:00 +0000"),
		.subject = S("a subject"),
		.message_id = S("<1@x>"),
		.references = S("<2@x>")};
	struct mail_digest d;
	struct made m;
	err e = {0};

	(void)state;
	make(&m, &v);
	for (size_t n = 0; n < m.record.n; n++) {
		slice head = slice_sub(buf_slice(&m.record), 0, n);
		AUTO_FREE char *exact = malloc(n + 1);

		assert_non_null(exact);
		memcpy(exact, head.p, n);
		assert_int_equal(mail_digest_read(slice_make(exact, n), &d, &e), -1);
	}
	buf_add_c(&m.record, 0);
	assert_int_equal(mail_digest_read(buf_slice(&m.record), &d, &e), -1);
	buf_truncate(&m.record, m.record.n - 1);
	for (size_t i = 0; i < m.record.n; i++) { /* any byte wrong: no read past the end */
		for (int bit = 0; bit < 8; bit++) {
			m.record.p[i] = (char)(m.record.p[i] ^ 1 << bit);
			if (mail_digest_read(buf_slice(&m.record), &d, &e) == 0)
				assert_true(d.texts[DIGEST_SUBJECT].n <= m.record.n);
			m.record.p[i] = (char)(m.record.p[i] ^ 1 << bit);
		}
	}
	done(&m);
}

static bool may(const struct made *m, enum mail_digest_field which, const char *folded)
{
	return mail_digest_may_have(&m->d, which, mail_digest_marks(slice_of(folded)));
}

/* What is in a field is never denied, in whatever form it came; what is not mostly is. */
static void test_marks(void **state)
{
	struct mail_envelope v = {.subject = S("Re: [x] =?utf-8?q?caf=C3=A9?= plan"),
		.from = S("\"Bob B.\" <bob@example.org>, eve@example.org"),
		.to = S("\x1b$B$3$s\x1b(B <a@example.org>")};
	struct made m;

	(void)state;
	make(&m, &v);
	assert_true(may(&m, DIGEST_IN_SUBJECT, "RE: [X] CAFE\xcc\x81 PLAN"));
	assert_true(may(&m, DIGEST_IN_SUBJECT, "E"));
	assert_true(may(&m, DIGEST_IN_FROM, ">, EVE@EXAMPLE"));
	assert_true(may(&m, DIGEST_IN_TO, "\xe3\x81\x93\xe3\x82\x93 <A@"));
	assert_false(may(&m, DIGEST_IN_SUBJECT, "ZWETSCHGENDATSCHI"));
	assert_false(may(&m, DIGEST_IN_TO, "ZWETSCHGENDATSCHI"));
	assert_false(may(&m, DIGEST_IN_CC, "AT"));
	assert_true(mail_digest_marks(S("Ab")) == mail_digest_marks(S("aB")));
	buf_reset(&m.record);
	err e = {0};
	assert_int_equal(mail_digest_make(&m.room, &v, false, key, m.arena, &m.record, &e), 0);
	assert_int_equal(mail_digest_read(buf_slice(&m.record), &m.d, &e), 0);
	assert_true(may(&m, DIGEST_IN_CC, "ANYTHING")); /* the envelope has not all of it */
	done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_there),
		cmocka_unit_test(test_nothing_there),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

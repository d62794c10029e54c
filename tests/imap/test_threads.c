/* Threads: RFC 5256 3, its examples and what is between them, and a naive model of REFERENCES. */
#include "imap/threads.h"
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include "base/wire.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "mail/digest.h"
#include <stdio.h>

struct mail { /* date: minutes */
	const char *id, *references, *in_reply_to, *subject;
	int date;
};

static int never_full(void *arg)
{
	(void)arg;
	return 0;
}

static void build(struct threads *t, const struct mail *m, size_t n, bool references, struct buf *out)
{
	err e = {0};

	for (size_t i = 0; i < n; i++) {
		static const uint64_t key[2] = {1, 2};
		struct mail_digest_room room = {0};
		struct thread_of x = {.number = (uint32_t)i + 1, .date = m[i].date * 60};
		const struct mail_envelope v = {
			.subject = slice_of(m[i].subject ? m[i].subject : ""),
			.message_id = slice_of(m[i].id),
			.references = slice_of(m[i].references),
			.in_reply_to = slice_of(m[i].in_reply_to),
		};

		x.subject =
			mail_digest_hash(key, mail_digest_text(&room, &v, DIGEST_SUBJECT, NULL, &x.reply));
		if (references)
			assert_int_equal(mail_digest_ids(&room, &v, key, &x.id, &x.parents), 0);
		assert_int_equal(threads_add(t, &x, &e), 0);
		mail_digest_room_free(&room);
	}
	assert_int_equal(references ? threads_references(t, &e) : threads_ordered(t, &e), 0);
	for (uint32_t c = n ? t->nodes[THREAD_ROOT].child : 0; c; c = t->nodes[c].next)
		threads_write(t, c, out, never_full, NULL);
}

static void check(const struct mail *m, size_t n, bool references, const char *want, size_t line)
{
	struct threads t = {0};
	struct buf out = BUF_INIT(1 << 20);

	build(&t, m, n, references, &out);
	if (!slice_eq(buf_slice(&out), slice_of(want)))
		fail_msg("case %zu: %.*s, not %s", line, (int)out.n, out.p, want);
	buf_free(&out);
	threads_free(&t);
}

#define MAX 8

static void test_references(void **state)
{
	static const struct {
		struct mail m[MAX];
		const char *want;
	} cases[] = {
		{{{0}}, ""},
		{{{"<1@x>", NULL, NULL, "a", 1}}, "(1)"},
		/* a chain, and a thread of two branches */
		{{{"<1@x>", NULL, NULL, "a", 1}, {"<2@x>", "<1@x>", NULL, "Re: a", 2},
			 {"<3@x>", "<1@x> <2@x>", NULL, "Re: a", 3}},
			"(1 2 3)"},
		{{{"<1@x>", NULL, NULL, "a", 1}, {"<2@x>", "<1@x>", NULL, "b", 2},
			 {"<3@x>", "<1@x> <2@x>", NULL, "c", 3}, {"<4@x>", "<1@x>", NULL, "d", 4}},
			"(1 (2 3)(4))"},
		/* In-Reply-To only where References has no valid id; its first id counts */
		{{{"<1@x>", NULL, NULL, "a", 1}, {"<2@x>", NULL, "<1@x> <9@x>", "b", 2}}, "(1 2)"},
		{{{"<1@x>", NULL, NULL, "a", 1}, {"<2@x>", "none here", "\"x\" <1@x>", "b", 2}}, "(1 2)"},
		{{{"<1@x>", NULL, NULL, "a", 1}, {"<2@x>", "<8@x>", "<1@x>", "b", 2}}, "(1)(2)"},
		/* quotes and blanks do not count, case does */
		{{{"<\"1\"@x>", NULL, NULL, "a", 1}, {"<2@x>", "<1@ x>", NULL, "b", 2},
			 {"<3@x>", "<1@X>", NULL, "c", 3}},
			"(1 2)(3)"},
		/* no id, a bad one, one twice: each its own */
		{{{NULL, NULL, NULL, "a", 1}, {"bare@x", NULL, NULL, "b", 2}, {"<c>", NULL, NULL, "c", 3},
			 {"<d@x>", NULL, NULL, "d", 4}, {"<d@x>", NULL, NULL, "e", 5},
			 {"<f@x>", "<d@x>", NULL, "f", 6}},
			"(1)(2)(3)(4 6)(5)"},
		/* the parent comes after its child */
		{{{"<2@x>", "<1@x>", NULL, "b", 2}, {"<1@x>", NULL, NULL, "a", 1}}, "(2 1)"},
		/* dummies: one with a child gives way, one with several stays */
		{{{"<2@x>", "<1@x>", NULL, "b", 2}}, "(1)"},
		{{{"<2@x>", "<1@x>", NULL, "b", 2}, {"<3@x>", "<1@x>", NULL, "c", 3}}, "((1)(2))"},
		{{{"<4@x>", "<1@x> <2@x> <3@x>", NULL, "b", 2}, {"<5@x>", "<1@x> <2@x>", NULL, "c", 3}},
			"((1)(2))"},
		{{{"<1@x>", NULL, NULL, "a", 1}, {"<4@x>", "<1@x> <2@x>", NULL, "b", 3},
			 {"<5@x>", "<1@x> <2@x>", NULL, "c", 2}},
			"(1 (3)(2))"},
		/* loops: a message below itself, two below each other, three */
		{{{"<1@x>", "<1@x>", NULL, "a", 1}}, "(1)"},
		{{{"<1@x>", "<2@x>", NULL, "a", 1}, {"<2@x>", "<1@x>", NULL, "b", 2}}, "(2 1)"},
		{{{"<1@x>", "<2@x> <3@x> <2@x>", NULL, "a", 1}, {"<3@x>", "<1@x>", NULL, "b", 2}}, "(1 2)"},
		/* a truncated References before is put right: 1.B */
		{{{"<3@x>", "<1@x> <2@x>", NULL, "c", 3}, {"<2@x>", NULL, NULL, "b", 2},
			 {"<1@x>", NULL, NULL, "a", 1}},
			"(3)(2 1)"},
		/* step 5: subjects bring threads together */
		{{{"<1@x>", NULL, NULL, "a", 1}, {"<2@x>", NULL, NULL, "Re: A", 2}}, "(1 2)"},
		{{{"<1@x>", NULL, NULL, "Re: a", 1}, {"<2@x>", NULL, NULL, "a", 2}}, "(2 1)"},
		{{{"<1@x>", NULL, NULL, "a", 1}, {"<2@x>", NULL, NULL, "a", 2}}, "((1)(2))"},
		{{{"<1@x>", NULL, NULL, "Re: a", 1}, {"<2@x>", NULL, NULL, "Re: a", 2},
			 {"<3@x>", NULL, NULL, "[l] a (fwd)", 3}},
			"((1)(2)(3))"},
		{{{"<1@x>", NULL, NULL, "", 1}, {"<2@x>", NULL, NULL, "Re:", 2}}, "(1)(2)"},
		{{{"<1@x>", "<0@x>", NULL, "a", 1}, {"<2@x>", "<0@x>", NULL, "a", 2},
			 {"<3@x>", NULL, NULL, "a", 0}},
			"((3)(1)(2))"},
		{{{"<1@x>", "<0@x>", NULL, "a", 1}, {"<2@x>", "<0@x>", NULL, "a", 2},
			 {"<3@x>", "<9@x>", NULL, "a", 3}, {"<4@x>", "<9@x>", NULL, "a", 4}},
			"((1)(2)(3)(4))"},
		/* dates decide, then numbers */
		{{{"<1@x>", NULL, NULL, "a", 5}, {"<2@x>", NULL, NULL, "b", 4},
			 {"<3@x>", NULL, NULL, "c", 4}},
			"(2)(3)(1)"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		size_t n = 0;

		while (n < MAX && cases[i].m[n].subject)
			n++;
		check(cases[i].m, n, true, cases[i].want, i);
	}
}

static void test_ordered(void **state)
{
	static const struct mail some[] = {
		{NULL, NULL, NULL, "b", 5},
		{NULL, NULL, NULL, "a", 4},
		{NULL, NULL, NULL, "Re: B", 1},
		{NULL, NULL, NULL, "[x] a (fwd)", 3},
		{NULL, NULL, NULL, "b", 2},
		{NULL, NULL, NULL, "c", 2},
		{NULL, NULL, NULL, "", 9},
		{NULL, NULL, NULL, "re:", 8},
	};
	(void)state;
	check(some, 0, false, "", 0);
	check(some, COUNT_OF(some), false, "(3 (5)(1))(6)(4 2)(8 7)", 1);
}

/* ---- a model: the RFC's words, with no care for time ---- */

enum { M = 24, NODES = 200 };

struct model {
	int parent[NODES], message[NODES], n; /* parent -1: none */
	char ids[NODES][8];
	int dates[M], subjects[M], replies[M]; /* subject 0: empty */
	int messages;
};

static int model_node(struct model *w, const char *id)
{
	for (int i = 0; i < w->n; i++) {
		if (w->ids[i][0] && strcmp(w->ids[i], id) == 0)
			return i;
	}
	snprintf(w->ids[w->n], sizeof w->ids[0], "%s", id);
	w->parent[w->n] = w->message[w->n] = -1;
	return w->n++;
}

static bool model_above(const struct model *w, int up, int at)
{
	for (; at >= 0; at = w->parent[at]) {
		if (at == up)
			return true;
	}
	return false;
}

static int model_key(const struct model *w, int node)
{
	int best = -1;

	if (w->message[node] >= 0)
		return w->dates[w->message[node]] * 1000 + w->message[node];
	for (int i = 0; i < w->n; i++) {
		if (w->parent[i] == node && (best < 0 || model_key(w, i) < best))
			best = model_key(w, i);
	}
	return best;
}

static int model_children(const struct model *w, int node, int *ret)
{
	int n = 0;

	for (int i = 0; i < w->n; i++) {
		if (w->parent[i] == node)
			ret[n++] = i;
	}
	for (int i = 1; i < n; i++) {
		for (int k = i; k > 0 && model_key(w, ret[k]) < model_key(w, ret[k - 1]); k--) {
			int x = ret[k];

			ret[k] = ret[k - 1];
			ret[k - 1] = x;
		}
	}
	return n;
}

#define GONE (-2)

static bool model_prune_one(struct model *w)
{
	int kids[NODES];

	for (int i = 0; i < w->n; i++) {
		if (w->parent[i] == GONE || w->message[i] >= 0)
			continue;
		int n = model_children(w, i, kids);
		if (n > 1 && w->parent[i] == -1)
			continue;
		for (int k = 0; k < n; k++)
			w->parent[kids[k]] = w->parent[i];
		w->parent[i] = GONE;
		return true;
	}
	return false;
}

static int model_first(const struct model *w, int node)
{
	int kids[NODES];

	if (w->message[node] >= 0)
		return w->message[node];
	return model_children(w, node, kids) > 0 ? w->message[kids[0]] : -1;
}

static bool model_reply(const struct model *w, int node)
{
	return w->message[node] >= 0 && w->replies[w->message[node]];
}

static void model_subjects(struct model *w)
{
	int roots[NODES], n = model_children(w, -1, roots), table[16];

	for (int i = 0; i < 16; i++)
		table[i] = -1;
	for (int i = 0; i < n; i++) {
		int s = w->subjects[model_first(w, roots[i])], t = table[s];
		if (s == 0)
			continue;
		if (t < 0 ||
			(w->message[t] >= 0 && (w->message[roots[i]] < 0 ||
						       (model_reply(w, t) && !model_reply(w, roots[i])))))
			table[s] = roots[i];
	}
	for (int i = 0; i < n; i++) {
		int s = w->subjects[model_first(w, roots[i])], t = table[s], at = roots[i], kids[NODES];
		if (s == 0 || t == at)
			continue;
		if (w->message[at] < 0 && w->message[t] < 0) {
			int k = model_children(w, at, kids);
			while (k-- > 0)
				w->parent[kids[k]] = t;
			w->parent[at] = GONE;
		} else if (w->message[t] < 0 || (model_reply(w, at) && !model_reply(w, t))) {
			w->parent[at] = t;
		} else {
			int dummy = w->n++;
			w->parent[dummy] = w->message[dummy] = -1;
			w->ids[dummy][0] = 0;
			w->parent[at] = w->parent[t] = dummy;
			table[s] = dummy;
		}
	}
}

static void model_write(const struct model *w, int node, struct buf *out)
{
	int kids[NODES], n = model_children(w, node, kids);

	if (w->message[node] >= 0)
		buf_addf(out, n ? "%d " : "%d", w->message[node] + 1);
	for (int i = 0; i < n; i++) {
		if (n > 1)
			buf_add_c(out, '(');
		model_write(w, kids[i], out);
		if (n > 1)
			buf_add_c(out, ')');
	}
}

static uint32_t rnd(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 12) % below;
}

static void test_model(void **state)
{
	static const char *const subjects[] = {"", "a", "b", "c", "d", "e", "f", "g"};
	uint32_t seed = 1;
	(void)state;
	for (int round = 0; round < 20000; round++) {
		static struct model w;
		struct mail m[M];
		char text[M][3][64], subject[M][16];
		int n = 1 + (int)rnd(&seed, M - 1), ids = 1 + (int)rnd(&seed, 30);

		memset(&w, 0, sizeof w);
		for (int i = 0; i < n; i++) {
			int refs = (int)rnd(&seed, 4), last = -1, node;
			char id[8];

			text[i][1][0] = 0;
			for (int k = 0; k < refs; k++) {
				snprintf(id, sizeof id, "%u@x", rnd(&seed, (uint32_t)ids));
				size_t used = strlen(text[i][1]);
				snprintf(text[i][1] + used, sizeof text[i][1] - used, " <%s>", id);
				node = model_node(&w, id);
				if (last >= 0 && w.parent[node] < 0 && !model_above(&w, node, last))
					w.parent[node] = last;
				last = node;
			}
			snprintf(id, sizeof id, "%u@x", rnd(&seed, (uint32_t)ids));
			snprintf(text[i][0], sizeof text[i][0], "<%s>", id);
			node = model_node(&w, id);
			if (w.message[node] >= 0) {
				node = w.n++;
				w.ids[node][0] = 0;
			}
			w.message[node] = i;
			if (last < 0 || w.parent[node] != last || w.message[node] < 0) {
				w.parent[node] = -1;
				if (last >= 0 && !model_above(&w, node, last))
					w.parent[node] = last;
			}
			w.dates[i] = (int)rnd(&seed, 10);
			w.subjects[i] = (int)rnd(&seed, COUNT_OF(subjects));
			w.replies[i] = (int)rnd(&seed, 2);
			snprintf(subject[i], sizeof subject[i], "%s%s", w.replies[i] ? "Re: " : "",
				subjects[w.subjects[i]]);
			m[i] = (struct mail){text[i][0], text[i][1], NULL, subject[i], w.dates[i]};
		}
		while (model_prune_one(&w))
			;
		model_subjects(&w);
		struct buf want = BUF_INIT(10000);
		int roots[NODES], count = model_children(&w, -1, roots);
		for (int i = 0; i < count; i++) {
			buf_add_c(&want, '(');
			model_write(&w, roots[i], &want);
			buf_add_c(&want, ')');
		}
		buf_add_c(&want, 0);
		check(m, (size_t)n, true, want.p, (size_t)round);
		buf_free(&want);
	}
}

/* ---- many ---- */

static void add_many(struct threads *t, uint32_t n, int kind)
{
	err e = {0};

	for (uint32_t i = 0; i < n; i++) {
		uint32_t me = kind == 1 ? n - i : i, up = kind == 2 ? 0 : me - 1;
		struct thread_of m = {.number = i + 1, .date = i, .id = me + UINT64_C(1)};
		uint8_t ref[8];

		be64_put(ref, up + UINT64_C(1));
		if (i > 0 || kind == 1)
			m.parents = slice_make(ref, sizeof ref);
		assert_int_equal(threads_add(t, &m, &e), 0);
	}
	assert_int_equal(threads_references(t, &e), 0);
}

/* One chain, the same from its end, one parent of all: 200,000 deep or wide. The test's time limit judges. */
static void test_many(void **state)
{
	enum { N = 200000 };
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct threads t = {0};
		struct buf out = BUF_INIT(16 << 20);
		size_t open = 0;

		add_many(&t, N, kind);
		threads_write(&t, t.nodes[THREAD_ROOT].child, &out, never_full, NULL);
		for (size_t i = 0; i < out.n; i++)
			open += out.p[i] == '(';
		assert_int_equal(open, kind == 2 ? N : 1);
		assert_int_equal(t.nodes[t.nodes[THREAD_ROOT].child].next, 0);
		buf_free(&out);
		threads_free(&t);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_references),
	cmocka_unit_test(test_ordered),
	cmocka_unit_test(test_model),
	cmocka_unit_test(test_many),
};

static void run(void *arg)
{
	*(int *)arg = cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	struct loop *l = loop_new("test");
	int rc = 1;

	if (!l || !fiber_start("test", run, &rc))
		return 1;
	loop_run(l);
	loop_free(l);
	return rc;
}

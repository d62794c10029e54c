/* The texts of SCRAM and whole exchanges without a protocol around them. */
#include "../scram_world.h"
#include "limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define N "rOprNGfwEbeRWgbNEkqO"

static void test_first(void **state)
{
	static const struct {
		const char *text, *binding_name, *authzid, *name, *bare;
		char flag;
	} good[] = {
		{"n,,n=user,r=" N, "", "", "user", "n=user,r=" N, 'n'},
		{"y,a=b=2Cc,n=a=3Db,r=x,x=1,z=a=b", "", "b=2Cc", "a=3Db", "n=a=3Db,r=x,x=1,z=a=b", 'y'},
		{"p=tls-exporter,,n=u,r=!~", "tls-exporter", "", "u", "n=u,r=!~", 'p'},
	};
	static const char *const wrong[] = {
		"",
		"n",
		"n,",
		"n,,",
		"nn,,n=u,r=x",
		"N,,n=u,r=x",
		"p,,n=u,r=x",
		"p=,,n=u,r=x",
		"p=a b,,n=u,r=x",
		",,n=u,r=x",
		"n,b,n=u,r=x",
		"n,a=,n=u,r=x",
		"n,,n=,r=x",
		"n,,r=x,n=u",
		"n,,n=u",
		"n,,n=u,r=",
		"n,,n=u,r=a b",
		"n,,n=u,r=\x7f",
		"n,,m=x,n=u,r=x",
		"n,,n=u,r=x,",
		"n,,n=u,r=x,,",
		"n,,n=u,r=x,1=x",
		"n,,n=u,r=x,xx",
		"n,,n=u,r=x,x=",
	};
	struct sasl_scram_first f;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		const char *why = sasl_scram_first_parse(slice_of(good[i].text), &f);

		if (why)
			fail_msg("%s: %s", good[i].text, why);
		assert_int_equal(f.binding, good[i].flag);
		assert_true(slice_eq(f.binding_name, slice_of(good[i].binding_name)));
		assert_true(slice_eq(f.authzid, slice_of(good[i].authzid)));
		assert_true(slice_eq(f.name, slice_of(good[i].name)));
		assert_true(slice_eq(f.bare, slice_of(good[i].bare)));
		assert_int_equal(f.gs2.n + f.bare.n, strlen(good[i].text));
	}
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		if (!sasl_scram_first_parse(slice_of(wrong[i]), &f))
			fail_msg("taken: %s", wrong[i]);
}

static void test_lengths(void **state)
{
	struct buf b = BUF_INIT(2 * LIMIT_SCRAM_MESSAGE);
	struct sasl_scram_first f;

	(void)state;
	buf_addz(&b, "n,,n=u,r=");
	for (size_t i = 0; i < LIMIT_SCRAM_NONCE; i++)
		buf_add_c(&b, 'r');
	assert_null(sasl_scram_first_parse(buf_slice(&b), &f));
	buf_add_c(&b, 'r');
	assert_non_null(sasl_scram_first_parse(buf_slice(&b), &f));
	buf_truncate(&b, b.n - 1);
	buf_addz(&b, ",x=");
	while (b.n < LIMIT_SCRAM_MESSAGE)
		buf_add_c(&b, 'x');
	assert_null(sasl_scram_first_parse(buf_slice(&b), &f));
	buf_add_c(&b, 'x');
	assert_non_null(sasl_scram_first_parse(buf_slice(&b), &f));
	buf_free(&b);
}

static void test_names(void **state)
{
	char name[LIMIT_SASL_NAME], many[LIMIT_SASL_NAME + 1];
	size_t n;

	(void)state;
	assert_true(sasl_scram_name(S("a=2Cb=3Dc=2c"), name, &n));
	assert_true(slice_eq(slice_make(name, n), S("a,b=c,")));
	assert_true(sasl_scram_name(S("\xe7\x8e\x8b"), name, &n));
	assert_true(sasl_scram_name(S(""), name, &n));
	assert_int_equal(n, 0);
	assert_false(sasl_scram_name(S("a="), name, &n));
	assert_false(sasl_scram_name(S("a=2"), name, &n));
	assert_false(sasl_scram_name(S("a=20"), name, &n));
	assert_false(sasl_scram_name(S("a\0b"), name, &n));
	assert_false(sasl_scram_name(S("\xff"), name, &n));
	memset(many, 'a', sizeof many);
	assert_true(sasl_scram_name(slice_make(many, LIMIT_SASL_NAME), name, &n));
	assert_false(sasl_scram_name(slice_make(many, sizeof many), name, &n));
}

static void test_final(void **state)
{
	static const char *const wrong[] = {
		"",
		"c=biws,r=x",
		"r=x,c=biws,p=" SCRAM_PROOF,
		"c=,r=x,p=" SCRAM_PROOF,
		"c=biws,r=,p=" SCRAM_PROOF,
		"c=biws,r=x,p=",
		"c=biws,r=x,p=AAAA",
		"c=biws,r=x,p=" SCRAM_PROOF "AAAA",
		"c=biws,r=x,p=" SCRAM_PROOF ",x=1",
		"c=biws,r=x,1=2,p=" SCRAM_PROOF,
		"c=biws,r=x,,p=" SCRAM_PROOF,
		"p=" SCRAM_PROOF,
	};
	struct sasl_scram_final f;

	(void)state;
	assert_null(sasl_scram_final_parse(S(SCRAM_UNPROVEN ",x=1,p=" SCRAM_PROOF), &f));
	assert_true(slice_eq(f.unproven, S(SCRAM_UNPROVEN ",x=1")));
	assert_true(slice_eq(f.binding, S("biws")));
	assert_int_equal(f.proof[0], 0x74);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		if (!sasl_scram_final_parse(slice_of(wrong[i]), &f))
			fail_msg("taken: %s", wrong[i]);
}

/* ---- exchanges ---- */

struct play {
	const char *const *says; /* the client's, one after the other; NULL: it cancels */
	const char *heard[8];
	unsigned n;
	struct buf kept[8];
};

static bool ask(void *arg, slice challenge, slice *ret)
{
	struct play *p = arg;

	p->kept[p->n] = BUF_INIT(1000);
	buf_add(&p->kept[p->n], challenge);
	buf_add_c(&p->kept[p->n], 0);
	p->heard[p->n] = p->kept[p->n].p;
	*ret = slice_of(p->says[p->n]);
	return p->says[p->n++] != NULL;
}

/* The error's kind, ERR_NONE when the log-in was good. */
static enum err_kind play(
	struct scram_world *w, bool plus, const char *initial, const char *const *says, struct play *p)
{
	slice first = slice_of(initial);
	struct sasl_scram s = {&scram_world_ops, w, plus, ask, p};
	err e = {0};

	*p = (struct play){.says = says};
	if (sasl_scram_run(&s, initial ? &first : NULL, &e) == 0)
		return ERR_NONE;
	return e.kind;
}

static void forget(struct play *p)
{
	for (unsigned i = 0; i < p->n; i++)
		buf_free(&p->kept[i]);
}

static void test_exchange(void **state)
{
	static const char *const good[] = {SCRAM_UNPROVEN ",p=" SCRAM_PROOF, ""};
	static const char *const late[] = {SCRAM_CLIENT_FIRST, SCRAM_UNPROVEN ",p=" SCRAM_PROOF, ""};
	static const char *const more[] = {SCRAM_UNPROVEN ",p=" SCRAM_PROOF, "x"};
	static const char *const cancel[] = {SCRAM_UNPROVEN ",p=" SCRAM_PROOF, NULL};
	static const char *const wrong[] = {SCRAM_UNPROVEN ",p=AA"
							   "zbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="};
	struct scram_world w = {.bound = false};
	struct play p;

	(void)state;
	assert_int_equal(play(&w, false, SCRAM_CLIENT_FIRST, good, &p), ERR_NONE);
	assert_string_equal(p.heard[0], SCRAM_SERVER_FIRST);
	assert_string_equal(p.heard[1], SCRAM_SERVER_FINAL);
	assert_string_equal(w.name, "user");
	forget(&p);
	assert_int_equal(play(&w, false, NULL, late, &p), ERR_NONE);
	assert_string_equal(p.heard[0], "");
	forget(&p);
	assert_int_equal(play(&w, false, SCRAM_CLIENT_FIRST, more, &p), ERR_SYNTAX);
	forget(&p);
	assert_int_equal(play(&w, false, SCRAM_CLIENT_FIRST, cancel, &p), ERR_CANCELED);
	forget(&p);
	assert_int_equal(play(&w, false, SCRAM_CLIENT_FIRST, wrong, &p), ERR_DENIED);
	assert_int_equal(p.n, 1); /* no signature for who has not proved */
	forget(&p);
	w.busy = true;
	assert_int_equal(play(&w, false, SCRAM_CLIENT_FIRST, good, &p), ERR_TEMP);
	forget(&p);
}

/* RFC 5802 6: the three flags against what was offered and chosen. */
static void test_flags(void **state)
{
	static const char *const none[] = {NULL, NULL};
	static const struct {
		bool bound, plus;
		const char *head;
		enum err_kind kind; /* CANCELED: it was let through to the second step */
	} cases[] = {
		{false, false, "n,,", ERR_CANCELED},
		{false, false, "y,,", ERR_CANCELED},
		{false, false, "p=tls-exporter,,", ERR_SYNTAX},
		{false, true, "p=tls-exporter,,", ERR_SYNTAX},
		{true, false, "n,,", ERR_CANCELED},
		{true, false, "y,,", ERR_SYNTAX},
		{true, false, "p=tls-exporter,,", ERR_SYNTAX},
		{true, true, "n,,", ERR_SYNTAX},
		{true, true, "y,,", ERR_SYNTAX},
		{true, true, "p=tls-exporter,,", ERR_CANCELED},
		{true, true, "p=tls-unique,,", ERR_SYNTAX},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct scram_world w = {.bound = cases[i].bound};
		struct play p;
		char text[100];

		(void)snprintf(text, sizeof text, "%sn=user,r=%s", cases[i].head, N);
		if (play(&w, cases[i].plus, text, none, &p) != cases[i].kind)
			fail_msg("case %zu", i);
		forget(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_final),
		cmocka_unit_test(test_exchange),
		cmocka_unit_test(test_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SCRAM in `auth`: the numbers of RFC 7677, the table of exchanges, and salts of users who are none. */
#include "auth/credential.h"
#include "auth/scram.h"
#include "base/encode.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "limits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define NONCE "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

static void decode(const char *text, uint8_t *to, size_t n)
{
	struct buf raw = BUF_INIT(64);

	assert_true(base64_decode(&raw, slice_of(text)));
	assert_int_equal(raw.n, n);
	memcpy(to, raw.p, n);
	buf_free(&raw);
}

/* RFC 7677 3 */
static void test_vector(void **state)
{
	struct verifier_scram v = {.iterations = 4096};
	uint8_t proof[HASH_SIZE], signature[HASH_SIZE], wanted[HASH_SIZE];
	slice bare = S("n=user,r=rOprNGfwEbeRWgbNEkqO"),
	      server = S("r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), unproven = S("c=biws,r=" NONCE);

	(void)state;
	decode("W22ZaJ0SNY7soEsUEjb6gQ==", v.salt, SALT_SIZE);
	decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", proof, HASH_SIZE);
	decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", wanted, HASH_SIZE);
	assert_true(scram_derive(S("pencil"), &v));
	assert_true(scram_proves(&v, bare, server, unproven, proof, signature));
	assert_memory_equal(signature, wanted, HASH_SIZE);
	for (size_t bit = 0; bit < 8 * HASH_SIZE; bit++) {
		proof[bit / 8] = (uint8_t)(proof[bit / 8] ^ (1u << bit % 8));
		assert_false(scram_proves(&v, bare, server, unproven, proof, signature));
		proof[bit / 8] = (uint8_t)(proof[bit / 8] ^ (1u << bit % 8));
	}
	assert_false(scram_proves(&v, bare, server, S("c=eSws,r=" NONCE), proof, signature));
	assert_false(
		scram_proves(&v, S("n=usar,r=rOprNGfwEbeRWgbNEkqO"), server, unproven, proof, signature));
}

static void test_server_first(void **state)
{
	struct verifier_scram v = {.iterations = 10000};
	struct buf a = BUF_INIT(400), b = BUF_INIT(400);

	(void)state;
	scram_server_first(&v, S("abc"), &a);
	scram_server_first(&v, S("abc"), &b);
	assert_true(slice_starts(buf_slice(&a), S("r=abc")));
	assert_true(slice_ends(buf_slice(&a), S(",s=AAAAAAAAAAAAAAAAAAAAAA==,i=10000")));
	assert_int_equal(a.n, strlen("r=abc,s=AAAAAAAAAAAAAAAAAAAAAA==,i=10000") + 24);
	assert_false(slice_eq(buf_slice(&a), buf_slice(&b)));
	buf_free(&a);
	buf_free(&b);
}

static int begin(struct scram_exchanges *x, uint8_t net, bool local, uint64_t now, uint8_t id[16])
{
	struct scram_exchange g = {
		.session = 3, .protocol = 5, .name = S("alice"), .server_first = S("r=x,s=y,i=1")};
	err e;

	g.address[0] = 0x20;
	g.address[7] = net; /* the last byte of a /64 */
	g.address[15] = (uint8_t)now;
	return scram_exchange_begin(x, &g, local, now, id, &e);
}

static void test_exchanges(void **state)
{
	struct scram_exchanges *x = scram_exchanges_new();
	struct scram_exchange got;
	uint8_t id[16], other[16];
	err e;

	(void)state;
	assert_int_equal(begin(x, 1, false, 100, id), 0);
	assert_int_equal(scram_exchange_take(x, id, 5, 3, 200, &got, &e), 0);
	assert_true(slice_eq(got.name, S("alice")));
	assert_true(slice_eq(got.server_first, S("r=x,s=y,i=1")));
	scram_exchange_end(&got);
	assert_int_equal(scram_exchange_take(x, id, 5, 3, 200, &got, &e), -1); /* once */
	assert_int_equal(e.kind, ERR_DENIED);
	assert_int_equal(begin(x, 1, false, 100, id), 0); /* another protocol, another frontend: used up */
	assert_int_equal(scram_exchange_take(x, id, 6, 3, 200, &got, &e), -1);
	assert_int_equal(scram_exchange_take(x, id, 5, 3, 200, &got, &e), -1);
	assert_int_equal(begin(x, 1, false, 100, id), 0);
	assert_int_equal(scram_exchange_take(x, id, 5, 4, 200, &got, &e), -1);
	assert_int_equal(begin(x, 1, false, 100, id), 0); /* too late */
	assert_int_equal(scram_exchange_take(x, id, 5, 3, 100 + SCRAM_EXCHANGE_TTL_MS, &got, &e), -1);
	/* so many of one network, then no more; others and this machine may; time makes room */
	uint64_t now = 1000000;
	for (unsigned i = 0; i < LIMIT_SCRAM_OF_ONE; i++)
		assert_int_equal(begin(x, 2, false, now, id), 0);
	assert_int_equal(begin(x, 2, false, now, other), -1);
	assert_int_equal(begin(x, 3, false, now, other), 0);
	for (unsigned i = LIMIT_SCRAM_OF_ONE + 1; i < LIMIT_SCRAM_EXCHANGES; i++)
		assert_int_equal(begin(x, 2, true, now, other), 0);
	assert_int_equal(begin(x, 9, true, now, other), -1);
	assert_int_equal(scram_exchange_take(x, id, 5, 3, now, &got, &e), 0);
	scram_exchange_end(&got);
	assert_int_equal(begin(x, 9, true, now, other), 0);
	assert_int_equal(begin(x, 2, false, now + SCRAM_EXCHANGE_TTL_MS, other), 0);
	scram_exchanges_free(x);
}

/* ---- the store ---- */

struct on_fiber {
	struct loop *loop;
	void (*run)(const char *dir);
	const char *dir;
};

static void fiber_main(void *arg)
{
	struct on_fiber *o = arg;

	o->run(o->dir);
	loop_stop(o->loop);
}

static struct credentials *open_store(const char *dir)
{
	err e;
	struct credentials *c = credentials_open(dir, 1, &e);

	assert_non_null(c);
	return c;
}

static void salts(const char *dir)
{
	struct credentials *c = open_store(dir);
	struct verifier_scram real, a, b;
	err e;

	assert_int_equal(secret_set(c, 7, S("pencil"), &e), 0);
	assert_int_equal(secret_scram(c, 7, S("alice"), &real, &e), 1);
	assert_int_equal(secret_scram(c, 0, S("nobody"), &a, &e), 0);
	assert_int_equal(a.iterations, real.iterations);
	assert_int_equal(secret_scram(c, 0, S("Nobody"), &b, &e), 0);
	assert_memory_equal(a.salt, b.salt, SALT_SIZE);
	assert_int_equal(secret_scram(c, 8, S("nobody"), &b, &e), 0); /* an account without a password */
	assert_memory_equal(a.salt, b.salt, SALT_SIZE);
	assert_int_equal(secret_scram(c, 0, S("nobody2"), &b, &e), 0);
	assert_memory_not_equal(a.salt, b.salt, SALT_SIZE);
	credentials_close(c);
	c = open_store(dir); /* a restart changes nothing that can be seen */
	assert_int_equal(secret_scram(c, 0, S("nobody"), &b, &e), 0);
	assert_memory_equal(a.salt, b.salt, SALT_SIZE);
	assert_int_equal(secret_scram(c, 7, S("alice"), &b, &e), 1);
	assert_memory_equal(&real, &b, sizeof b);
	credentials_close(c);
}

static void test_salts(void **state)
{
	char dir[] = "/tmp/posthouse-scram-XXXXXX", path[64];
	struct on_fiber o = {.loop = loop_new("test"), .run = salts};

	(void)state;
	o.dir = mkdtemp(dir);
	assert_non_null(o.dir);
	assert_non_null(fiber_start("test", fiber_main, &o));
	loop_run(o.loop);
	loop_free(o.loop);
	(void)snprintf(path, sizeof path, "%s/data.mdb", dir);
	unlink(path);
	(void)snprintf(path, sizeof path, "%s/lock.mdb", dir);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_server_first),
		cmocka_unit_test(test_exchanges),
		cmocka_unit_test(test_salts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

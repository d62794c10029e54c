/* Records, verifiers against published numbers, checks on the worker pool, the line for a hash, the memories.
 */
#include "auth/credential.h"
#include "auth/memory.h"
#include "auth/record.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/wire.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/worker.h"
#include "limits.h"
#include <argon2.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

static struct record sample(void)
{
	struct record r = {
		.argon = {.memory_kib = 64, .passes = 1, .lanes = 1}, .scram = {.iterations = 4096}};

	memset(r.argon.salt, 1, sizeof r.argon.salt);
	memset(r.argon.hash, 2, sizeof r.argon.hash);
	memset(r.scram.salt, 3, sizeof r.scram.salt);
	return r;
}

static void test_record(void **state)
{
	struct record r = sample(), got;
	struct buf b = BUF_INIT(1024);
	err e;

	(void)state;
	record_write(&r, &b);
	assert_int_equal(record_read(buf_slice(&b), &got, &e), 0);
	assert_memory_equal(&r, &got, sizeof r);
	for (size_t n = 0; n < b.n; n++) /* cut anywhere, any bit turned: refused */
		assert_int_equal(record_read(slice_sub(buf_slice(&b), 0, n), &got, &e), -1);
	for (size_t i = 0; i < b.n * 8; i++) {
		b.p[i / 8] = (char)(b.p[i / 8] ^ (1 << i % 8));
		assert_int_equal(record_read(buf_slice(&b), &got, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		b.p[i / 8] = (char)(b.p[i / 8] ^ (1 << i % 8));
	}
	buf_free(&b);
}

static void test_record_costs(void **state)
{
	static const struct {
		uint32_t memory, passes, lanes, iterations;
		bool good;
	} cases[] = {{19456, 2, 1, 10000, true}, {19456, 2, 1, 0, true}, {262144, 16, 4, 1000000, true},
		{262145, 2, 1, 0, false}, {19456, 17, 1, 0, false}, {19456, 2, 5, 0, false},
		{19456, 0, 1, 0, false}, {19456, 2, 0, 0, false}, {7, 1, 1, 0, false},
		{UINT32_MAX, 1, 1, 0, false}, {19456, 2, 1, 4095, false}, {19456, 2, 1, 1000001, false}};
	struct buf b = BUF_INIT(1024);
	err e;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct record r = sample(), got;

		r.argon.memory_kib = cases[i].memory;
		r.argon.passes = cases[i].passes;
		r.argon.lanes = cases[i].lanes;
		r.scram.iterations = cases[i].iterations;
		buf_reset(&b);
		record_write(&r, &b);
		assert_int_equal(record_read(buf_slice(&b), &got, &e), cases[i].good ? 0 : -1);
	}
	buf_free(&b);
}

/* The exchange of RFC 7677, section 3: our keys must give its proof and its server signature. */
static void test_scram(void **state)
{
	static const char auth[] =
		"n=user,r=rOprNGfwEbeRWgbNEkqO,"
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
	struct verifier_scram v = {.iterations = 4096};
	struct buf salt = BUF_INIT(64), proof = BUF_INIT(64), signature = BUF_INIT(64);
	uint8_t mac[EVP_MAX_MD_SIZE], key[32], stored[32];
	unsigned n;

	(void)state;
	assert_true(base64_decode(&salt, S("W22ZaJ0SNY7soEsUEjb6gQ==")));
	assert_true(base64_decode(&proof, S("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")));
	assert_true(base64_decode(&signature, S("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
	memcpy(v.salt, salt.p, SALT_SIZE);
	assert_true(scram_derive(S("pencil"), &v));
	HMAC(EVP_sha256(), v.server_key, 32, (const uint8_t *)auth, sizeof auth - 1, mac, &n);
	assert_memory_equal(mac, signature.p, 32);
	HMAC(EVP_sha256(), v.stored_key, 32, (const uint8_t *)auth, sizeof auth - 1, mac, &n);
	for (int i = 0; i < 32;
		i++) /* the proof is the client's key under this mask; its hash is the stored key */
		key[i] = (uint8_t)(mac[i] ^ (uint8_t)proof.p[i]);
	EVP_Digest(key, 32, stored, &n, EVP_sha256(), NULL);
	assert_memory_equal(stored, v.stored_key, 32);
	buf_free(&salt);
	buf_free(&proof);
	buf_free(&signature);
}

/* The same hash as the library's plain call gives. */
static void test_argon(void **state)
{
	struct record r = sample();

	(void)state;
	r.argon.passes = 2;
	memcpy(r.argon.salt, "somesalt16bytes!", SALT_SIZE);
	assert_int_equal(
		argon2id_hash_raw(2, 64, 1, "password", 8, "somesalt16bytes!", 16, r.argon.hash, HASH_SIZE),
		0);
	assert_int_equal(record_check(&r, S("password")), 1);
	assert_int_equal(record_check(&r, S("passwore")), 0);
	assert_int_equal(record_check(&r, S("password\0")), 0);
	r.argon.salt[0]++;
	assert_int_equal(record_check(&r, S("password")), 0);
}

static void test_memory(void **state)
{
	struct memory *m = memory_new(64);
	uint8_t tag[TAG_SIZE] = {1}, other[TAG_SIZE] = {2};

	(void)state;
	assert_false(memory_has(m, tag, 1));
	memory_add(m, tag, 1000, 500);
	assert_true(memory_has(m, tag, 1499));
	assert_false(memory_has(m, tag, 1500));
	assert_false(memory_has(m, other, 1001));
	for (uint32_t i = 0; i < 10000;
		i++) { /* bounded, and a flood of short ones does not push the longest out */
		uint8_t t[TAG_SIZE];

		be32_put(t, i * 2654435761u);
		memset(t + 4, (int)i, sizeof t - 4);
		memory_add(m, t, 1000, 100);
	}
	assert_true(memory_has(m, tag, 1499));
	memory_free(m);
}

/* What follows runs on fibers, in one folder a test. */
struct world {
	char folder[64];
	struct credentials *c;
	struct loop *loop;
	int failures;
};

#define CHECK(w, cond)                                                                                       \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			print_error("%s:%d: %s\n", __FILE__, __LINE__, #cond);                               \
			(w)->failures++;                                                                     \
		}                                                                                            \
	} while (0)

static void world_open(struct world *w)
{
	err e;

	w->loop = loop_new("test");
	(void)snprintf(w->folder, sizeof w->folder, "/tmp/test-credential-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	w->c = credentials_open(w->folder, 2, &e);
	if (!w->c)
		fail_msg("%s", e.text);
}

static void world_close(struct world *w)
{
	static const char *const names[] = {"data.mdb", "lock.mdb"};
	char path[100];

	credentials_close(w->c);
	loop_free(w->loop);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", w->folder, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(w->folder), 0);
	assert_int_equal(w->failures, 0);
}

static struct secret_question question(uint32_t account, slice secret)
{
	return (struct secret_question){.account = account,
		.epoch = 1,
		.name = S("x@example.org"),
		.secret = secret,
		.address = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
}

static int check(struct world *w, uint32_t account, slice secret, err *e)
{
	struct secret_question q = question(account, secret);

	return secret_check(w->c, &q, e);
}

static uint64_t hashed(const struct world *w)
{
	struct credentials_stats s;

	credentials_stats(w->c, &s);
	return s.hashed;
}

static void talk(void *arg)
{
	struct world *w = arg;
	struct secret_question q;
	uint64_t n;
	err e = {0};

	CHECK(w, secret_exists(w->c, 7, &e) == 0);
	CHECK(w, secret_set(w->c, 7, S("correct horse"), &e) == 0);
	CHECK(w, secret_exists(w->c, 7, &e) == 1);
	CHECK(w, check(w, 7, S("correct horse"), &e) == 0 && hashed(w) == 1);
	CHECK(w, check(w, 7, S("correct horse"), &e) == 0 && hashed(w) == 1); /* remembered */
	q = question(7, S("correct horse"));
	q.epoch = 2; /* the account's epoch ends the memory */
	CHECK(w, secret_check(w->c, &q, &e) == 0 && hashed(w) == 2);
	CHECK(w, check(w, 7, S("wrong"), &e) == -1 && e.kind == ERR_DENIED && hashed(w) == 3);
	CHECK(w, check(w, 7, S("wrong"), &e) == -1 && e.kind == ERR_DENIED &&
			 hashed(w) == 3); /* the same again */
	CHECK(w, check(w, 7, S("wrong2"), &e) == -1 && hashed(w) == 4);
	CHECK(w, check(w, 8, S("correct horse"), &e) == -1 && hashed(w) == 5); /* another account */
	CHECK(w, check(w, 0, S("correct horse"), &e) == -1 && hashed(w) == 6); /* nobody costs a hash, once */
	CHECK(w, check(w, 0, S("correct horse"), &e) == -1 && hashed(w) == 6);
	q = question(0, S("correct horse"));
	q.name = S("y@example.org"); /* another unknown name is another question */
	CHECK(w, secret_check(w->c, &q, &e) == -1 && hashed(w) == 7);
	CHECK(w, check(w, 7, S(""), &e) == -1 && e.kind == ERR_DENIED);
	CHECK(w, check(w, 7, S("correct horse\0"), &e) == -1 && e.kind == ERR_DENIED);

	n = hashed(w);
	CHECK(w, secret_set(w->c, 7, S("new one"), &e) ==
			 0); /* a new record ends the memory of the old one at once */
	CHECK(w, check(w, 7, S("correct horse"), &e) == -1 && hashed(w) == n + 1);
	CHECK(w, check(w, 7, S("new one"), &e) == 0 && hashed(w) == n + 2);
	CHECK(w, secret_set(w->c, 7, S("correct horse"), &e) == 0); /* and of the refusals */
	CHECK(w, check(w, 7, S("correct horse"), &e) == 0);
	CHECK(w, secret_remove(w->c, 7, &e) == 0 && secret_remove(w->c, 7, &e) == 0);
	CHECK(w, secret_exists(w->c, 7, &e) == 0);
	CHECK(w, check(w, 7, S("correct horse"), &e) == -1 && e.kind == ERR_DENIED);
	CHECK(w, secret_set(w->c, 7, S(""), &e) == -1 && e.kind == ERR_LIMIT);
}

static void test_talk(void **state)
{
	struct world w = {0};

	(void)state;
	world_open(&w);
	assert_non_null(fiber_start("talk", talk, &w));
	loop_run(w.loop);
	world_close(&w);
}

static void reopen(void *arg)
{
	struct world *w = arg;
	err e;

	if (secret_exists(w->c, 1, &e) == 0)
		CHECK(w, secret_set(w->c, 1, S("kept"), &e) == 0);
	else
		CHECK(w, check(w, 1, S("kept"), &e) == 0 && check(w, 1, S("else"), &e) == -1);
}

static void test_reopen(void **state)
{
	struct world w = {0};
	err e;

	(void)state;
	world_open(&w);
	for (int i = 0; i < 2; i++) {
		assert_non_null(fiber_start("reopen", reopen, &w));
		loop_run(w.loop);
		credentials_close(w.c);
		w.c = credentials_open(w.folder, 2, &e);
		assert_non_null(w.c);
		loop_free(w.loop);
		w.loop = loop_new("test");
	}
	assert_null(credentials_open("/nowhere/at/all", 1, &e));
	world_close(&w);
}

/* Many at once: the line is bounded, the rest is told to come later, known addresses go first. */
#define MANY 100

struct asker {
	struct world *w;
	int i, rc;
	bool known;
	err e;
	unsigned place; /* in the order of answers */
	unsigned *order;
};

static void ask_one(void *arg)
{
	struct asker *a = arg;
	char secret[32];
	int n = snprintf(secret, sizeof secret, "guess %d", a->i);
	struct secret_question q = question(5, slice_make(secret, (size_t)n));

	if (!a->known)
		q.address[15] = 77;
	a->rc = secret_check(a->w->c, &q, &a->e);
	a->place = (*a->order)++;
}

static void make_known(void *arg)
{
	struct world *w = arg;
	err e;

	CHECK(w, secret_set(w->c, 5, S("right"), &e) == 0);
	CHECK(w, check(w, 5, S("right"), &e) == 0);
}

static void test_line(void **state)
{
	struct world w = {0};
	struct asker *a = calloc(MANY, sizeof *a);
	unsigned order = 0, denied = 0, later = 0, known_last = 0, strangers_before = 0;

	(void)state;
	clock_fake(1000000, 1); /* nobody waits too long, however slow the machine */
	world_open(&w);
	assert_non_null(fiber_start("known", make_known, &w));
	loop_run(w.loop);
	for (int i = 0; i < MANY; i++) { /* strangers first, then six known ones */
		a[i] = (struct asker){.w = &w, .i = i, .known = i >= MANY - 6, .order = &order};
		assert_non_null(fiber_start("ask", ask_one, &a[i]));
	}
	loop_run(w.loop);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(a[i].rc, -1);
		denied += a[i].e.kind == ERR_DENIED;
		later += a[i].e.kind == ERR_TEMP;
		if (a[i].known) {
			assert_int_equal(a[i].e.kind, ERR_DENIED);
			known_last = a[i].place > known_last ? a[i].place : known_last;
		}
	}
	for (int i = 0; i < MANY - 6; i++)
		strangers_before += a[i].e.kind == ERR_DENIED && a[i].place < known_last;
	assert_int_equal(later, MANY - 6 - 2 - LIMIT_HASH_QUEUE);
	assert_int_equal(denied, 6 + 2 + LIMIT_HASH_QUEUE);
	assert_true(
		strangers_before <= 4); /* those whose hash was under way, and the one that ended beside */
	free(a);
	clock_fake(0, 0);
	world_close(&w);
}

static void ask_same(void *arg)
{
	struct asker *a = arg;

	a->rc = check(a->w, 5, S("the same wrong one"), &a->e);
}

static void cancel_second(void *arg)
{
	struct fiber **f = arg;

	fiber_cancel(*f);
}

/* The same secret many times at once costs no more hashes than there are threads; a cancelled asker leaves
 * the line. */
static void test_same(void **state)
{
	struct world w = {0};
	struct asker *a = calloc(20, sizeof *a);
	struct fiber *f[20];
	struct credentials_stats s;

	(void)state;
	world_open(&w);
	assert_non_null(fiber_start("known", make_known, &w));
	loop_run(w.loop);
	credentials_stats(w.c, &s);
	for (int i = 0; i < 20; i++) {
		a[i] = (struct asker){.w = &w};
		f[i] = fiber_start("ask", ask_same, &a[i]);
		assert_non_null(f[i]);
	}
	assert_non_null(fiber_start("cancel", cancel_second, &f[9]));
	loop_run(w.loop);
	for (int i = 0; i < 20; i++)
		assert_int_equal(a[i].e.kind, i == 9 ? ERR_CANCELED : ERR_DENIED);
	assert_true(hashed(&w) <= s.hashed + 2);
	credentials_stats(w.c, &s);
	assert_int_equal(s.running + s.waiting, 0);
	free(a);
	world_close(&w);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

#define ROUNDS 8

static uint64_t time_one(struct world *w, uint32_t account, char kind, int round)
{
	char secret[] = {kind, (char)('a' + round), '\0'};
	uint64_t from = now_us();
	err e;

	CHECK(w, check(w, account, slice_of(secret), &e) == -1);
	return now_us() - from;
}

/* The least of some rounds, the kinds in turn, so that a busy machine does not decide. */
static void time_it(void *arg)
{
	static const uint32_t accounts[] = {5, 0, 6}; /* wrong password, no such user, no secret */
	uint64_t least[] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
	struct world *w = arg;
	err e;

	CHECK(w, secret_set(w->c, 5, S("right"), &e) == 0);
	for (int r = 0; r < ROUNDS; r++)
		for (size_t k = 0; k < COUNT_OF(accounts); k++) {
			uint64_t took = time_one(w, accounts[k], (char)('1' + k), r);

			least[k] = took < least[k] ? took : least[k];
		}
	print_message("wrong %llu us, unknown %llu us, without a secret %llu us\n",
		(unsigned long long)least[0], (unsigned long long)least[1], (unsigned long long)least[2]);
	for (size_t k = 1; k < COUNT_OF(accounts); k++)
		CHECK(w, least[k] > least[0] / 2 && least[k] < least[0] * 2);
}

static void test_same_time(void **state)
{
	struct world w = {0};

	(void)state;
	world_open(&w);
	assert_non_null(fiber_start("time", time_it, &w));
	loop_run(w.loop);
	world_close(&w);
}

static int setup(void **state)
{
	struct loop *l = loop_new("start");

	(void)state;
	worker_start(2);
	loop_free(l);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_record_costs),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_argon),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_talk),
		cmocka_unit_test(test_reopen),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_same_time),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

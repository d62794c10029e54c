/* What a TLS key signs, and above all what it refuses to sign. */
#include "auth/key.h"
#include "base/clock.h"
#include "base/wire.h"
#include "io/tls.h"
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEAD_13 "TLS 1.3, server CertificateVerify"

static void text_13(struct buf *b, size_t hash)
{
	buf_reset(b);
	for (int i = 0; i < 64; i++)
		buf_add_c(b, ' ');
	buf_add(b, slice_make(HEAD_13, sizeof HEAD_13));
	for (size_t i = 0; i < hash; i++)
		buf_add_c(b, (char)i);
}

static void text_12(struct buf *b, uint16_t curve, size_t point, uint8_t first)
{
	buf_reset(b);
	for (int i = 0; i < 64; i++)
		buf_add_c(b, (char)(i * 7));
	wire_put_u8(b, 3);
	wire_put_u16(b, curve);
	wire_put_u8(b, (uint8_t)point);
	for (size_t i = 0; i < point; i++)
		wire_put_u8(b, i ? (uint8_t)i : first);
}

static void test_good(void **state)
{
	struct buf b = BUF_INIT(1024);

	(void)state;
	text_13(&b, 32);
	assert_int_equal(key_text_check(buf_slice(&b)), KEY_TEXT_TLS13);
	text_13(&b, 48);
	assert_int_equal(key_text_check(buf_slice(&b)), KEY_TEXT_TLS13);
	text_12(&b, 0x001d, 32, 9);
	assert_int_equal(key_text_check(buf_slice(&b)), KEY_TEXT_TLS12);
	text_12(&b, 0x0017, 65, 4);
	assert_int_equal(key_text_check(buf_slice(&b)), KEY_TEXT_TLS12);
	text_12(&b, 0x0018, 97, 4);
	assert_int_equal(key_text_check(buf_slice(&b)), KEY_TEXT_TLS12);
	buf_free(&b);
}

/* Every byte of the fixed part matters, every length but the right one is refused. */
static void test_bad_13(void **state)
{
	struct buf b = BUF_INIT(1024);

	(void)state;
	for (size_t n = 0; n < 100; n++)
		if (n != 32 && n != 48) {
			text_13(&b, n);
			assert_int_equal(key_text_check(buf_slice(&b)), KEY_TEXT_BAD);
		}
	for (size_t at = 0; at < 64 + sizeof HEAD_13; at++)
		for (int c = 0; c < 256; c++) {
			text_13(&b, 32);
			if (b.p[at] == (char)c)
				continue;
			b.p[at] = (char)c;
			assert_int_equal(key_text_check(buf_slice(&b)), KEY_TEXT_BAD);
		}
	text_13(&b, 32);
	memcpy(b.p + 64, "TLS 1.3, client CertificateVerify", 33); /* a client's is not ours to sign */
	assert_int_equal(key_text_check(buf_slice(&b)), KEY_TEXT_BAD);
	buf_free(&b);
}

static void test_bad_12(void **state)
{
	static const struct {
		uint16_t curve;
		size_t point;
		uint8_t first;
	} cases[] = {{0x001d, 31, 9}, {0x001d, 33, 9}, {0x0017, 65, 2}, {0x0017, 33, 4}, {0x0017, 64, 4},
		{0x0018, 65, 4}, {0x0019, 133, 4}, {0x001e, 56, 9}, {0x0016, 65, 4}, {0, 32, 4},
		{0x0100, 32, 4}};
	struct buf b = BUF_INIT(1024);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		text_12(&b, cases[i].curve, cases[i].point, cases[i].first);
		assert_int_equal(key_text_check(buf_slice(&b)), KEY_TEXT_BAD);
	}
	text_12(&b, 0x0017, 65, 4);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(key_text_check(slice_sub(buf_slice(&b), 0, n)), KEY_TEXT_BAD);
	buf_add_c(&b, 'x'); /* nothing may follow */
	assert_int_equal(key_text_check(buf_slice(&b)), KEY_TEXT_BAD);
	for (int type = 0; type < 256; type++)
		if (type != 3) {
			text_12(&b, 0x0017, 65, 4);
			b.p[64] = (char)type;
			assert_int_equal(key_text_check(buf_slice(&b)), KEY_TEXT_BAD);
		}
	buf_free(&b);
}

static struct key *make(EVP_PKEY *p)
{
	BIO *pem = BIO_new(BIO_s_mem());
	struct key *k;
	char *text;
	long n;
	err e;

	PEM_write_bio_PKCS8PrivateKey(pem, p, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(pem, &text);
	k = key_load(slice_make(text, (size_t)n), &e);
	BIO_free(pem);
	EVP_PKEY_free(p);
	return k;
}

/* Kind of key x scheme x text: exactly the pairs of RFC 8446 4.2.3 and RFC 8422 5.4 are signed. */
static void test_schemes(void **state)
{
	static const uint16_t schemes[] = {0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806, 0x0403, 0x0503,
		0x0603, 0x0807, 0x0808, 0x0201, 0x0203, 0x0809, 0, 0xffff};
	static const char good_12[4][17] = {
		"######..........", "......##........", "......##........", ".........#......"};
	static const char good_13[4][17] = {
		"...###..........", "......#.........", ".......#........", ".........#......"};
	struct key *keys[4] = {make(EVP_RSA_gen(2048)), make(EVP_EC_gen("P-256")), make(EVP_EC_gen("P-384")),
		make(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"))};
	struct buf text = BUF_INIT(1024), sig = BUF_INIT(1024);
	err e;

	(void)state;
	for (int v = 0; v < 2; v++)
		for (size_t k = 0; k < 4; k++)
			for (size_t s = 0; s < COUNT_OF(schemes); s++) {
				bool good = (v ? good_13 : good_12)[k][s] == '#';
				int rc;

				if (v)
					text_13(&text, 48);
				else
					text_12(&text, 0x0017, 65, 4);
				buf_reset(&sig);
				rc = key_tls_sign(keys[k], schemes[s], buf_slice(&text), &sig, &e);
				assert_int_equal(rc, good ? 0 : -1);
				assert_int_equal(sig.n > 0, good);
				if (!good)
					assert_int_equal(e.kind, ERR_DENIED);
				text.p[64]++; /* the same, one byte off */
				assert_int_equal(
					key_tls_sign(keys[k], schemes[s], buf_slice(&text), &sig, &e), -1);
				assert_int_equal(e.kind, ERR_DENIED);
			}
	for (size_t k = 0; k < 4; k++)
		key_free(keys[k]);
	buf_free(&text);
	buf_free(&sig);
}

static void test_load(void **state)
{
	static const char locked[] =
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFc=\n-----END ENCRYPTED PRIVATE KEY-----\n";
	struct key *k;
	err e;

	(void)state;
	assert_null(key_load(S(""), &e));
	assert_null(key_load(S("rubbish"), &e));
	assert_null(key_load(slice_of(locked), &e));
	assert_null(make(EVP_RSA_gen(1024)));
	assert_null(make(EVP_EC_gen("P-521")));
	assert_null(make(EVP_PKEY_Q_keygen(NULL, NULL, "X25519")));
	k = make(EVP_RSA_gen(3072));
	assert_non_null(k);
	key_free(k);
}

static void test_selfsigned(void **state)
{
	const slice names[] = {S("mail.example.org"), S("127.0.0.1"), S("::1"), S("*.example.org")};
	const slice bad[] = {S(""), S("a b"), S("a,DNS:evil.test"), S("x\0y"), S("\xff")};
	struct buf key = BUF_INIT(4096), cert = BUF_INIT(8192), other = BUF_INIT(4096),
		   cert2 = BUF_INIT(8192);
	int64_t now = clock_wall_s();
	struct key *k;
	BIO *in;
	X509 *x;
	int days, seconds;
	err e;

	(void)state;
	assert_int_equal(key_selfsigned_make(names, COUNT_OF(names), now, &key, &cert, &e), 0);
	k = key_load(buf_slice(&key), &e);
	assert_non_null(k);
	assert_int_equal(key_matches(k, buf_slice(&cert), &e), 0);
	assert_int_equal(key_matches(k, S("nothing"), &e), -1);
	assert_int_equal(key_selfsigned_make(names, 1, now, &other, &cert2, &e), 0);
	assert_int_equal(key_matches(k, buf_slice(&cert2), &e), -1);
	assert_string_equal(e.text, "the first certificate belongs to another key");

	in = BIO_new_mem_buf(cert.p, (int)cert.n);
	x = PEM_read_bio_X509(in, NULL, NULL, NULL);
	assert_int_equal(X509_check_host(x, "mail.example.org", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "imap.example.org", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "example.org", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "127.0.0.2", 0), 0);
	assert_int_equal(X509_check_ca(x), 0);
	assert_int_equal(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(x), X509_get0_notAfter(x)), 1);
	assert_int_equal(days, 397);
	assert_true(X509_cmp_current_time(X509_get0_notBefore(x)) < 0);
	X509_free(x);
	BIO_free(in);

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(key_selfsigned_make(&bad[i], 1, now, &other, &cert2, &e), -1);
	assert_int_equal(key_selfsigned_make(names, 0, now, &other, &cert2, &e), -1);
	key_free(k);
	buf_free(&key);
	buf_free(&cert);
	buf_free(&other);
	buf_free(&cert2);
}

static int setup(void **state)
{
	(void)state;
	return tls_library_init(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad_13),
		cmocka_unit_test(test_bad_12),
		cmocka_unit_test(test_schemes),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_selfsigned),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

#include "auth/credential.h"
#include "auth/credential_int.h"
#include "auth/memory.h"
#include "auth/record.h"
#include "base/hash.h"
#include "base/wire.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/worker.h"
#include "limits.h"
#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#define RECENT_MS                                                                                            \
	600000 /* design: 10 minutes; for wrong ones too: a device with an old password asks for ever */
#define ADDRESS_MS 86400000            /* an address of a good log-in is served first for a day */
#define WAIT_MS    10000               /* the longest wait for a hash; clients give up soon after */
#define MAP_BYTES  (UINT64_C(4) << 30) /* sparse; a record has some 250 bytes */
#define VERSION    1

/* One in the line for a hash. Lives on its fiber's stack. */
struct waiter {
	struct waiter *next;
	struct fiber *fiber;
	bool granted;
};

struct line {
	struct waiter *first;
	unsigned n, max;
};

struct credentials {
	MDB_env *env;
	MDB_dbi dbi;
	unsigned threads, running;
	struct line known, others; /* known: addresses with a recent good log-in; they go first */
	struct memory *good, *bad, *addresses;
	uint8_t boot_key[32];
	uint8_t salt_key[32]; /* of this installation, for ever: makes the salts of users who are none */
	struct record dummy;  /* what an unknown user's secret is compared with */
	struct credentials_stats stats;
};

static int lmdb_error(err *e, int rc, const char *what)
{
	return err_set(e, rc == MDB_MAP_FULL ? ERR_QUOTA : ERR_IO, "store of secrets: %s: %s", what,
		mdb_strerror(rc));
}

static MDB_val key_of(uint8_t room[5], uint8_t kind, uint32_t id)
{
	room[0] = kind;
	be32_put(room + 1, id);
	return (MDB_val){5, room};
}

/* Opening */

static int check_version(struct credentials *c, MDB_txn *t, err *e)
{
	uint8_t version = VERSION;
	MDB_val key = {1, (void *)(uintptr_t) "F"}, value = {1, &version};
	int rc = mdb_get(t, c->dbi, &key, &value);

	if (rc == MDB_NOTFOUND)
		rc = mdb_put(t, c->dbi, &key, &value, 0);
	else if (rc == 0 && (value.mv_size != 1 || *(const uint8_t *)value.mv_data != VERSION))
		return err_set(e, ERR_CORRUPT,
			"the store of secrets was written by a newer version of this program");
	return rc == 0 ? 0 : lmdb_error(e, rc, "version");
}

static int load_salt_key(struct credentials *c, MDB_txn *t, err *e)
{
	MDB_val key = {1, (void *)(uintptr_t) "S"}, value;
	int rc = mdb_get(t, c->dbi, &key, &value);

	if (rc == MDB_NOTFOUND) {
		random_bytes(c->salt_key, sizeof c->salt_key);
		value = (MDB_val){sizeof c->salt_key, c->salt_key};
		rc = mdb_put(t, c->dbi, &key, &value, 0);
	} else if (rc == 0 && value.mv_size == sizeof c->salt_key) {
		memcpy(c->salt_key, value.mv_data, sizeof c->salt_key);
	} else if (rc == 0) {
		return err_set(e, ERR_CORRUPT, "the store of secrets has a key of a wrong size");
	}
	return rc == 0 ? 0 : lmdb_error(e, rc, "salt key");
}

static int open_store(struct credentials *c, const char *folder, err *e)
{
	MDB_txn *t = NULL;
	int rc = mdb_env_create(&c->env);

	if (rc == 0)
		rc = mdb_env_set_mapsize(c->env, MAP_BYTES);
	if (rc == 0)
		rc = mdb_env_open(c->env, folder, MDB_NOTLS, 0600);
	if (rc == 0)
		rc = mdb_txn_begin(c->env, NULL, 0, &t);
	if (rc == 0)
		rc = mdb_dbi_open(t, NULL, 0, &c->dbi);
	if (rc != 0) {
		if (t)
			mdb_txn_abort(t);
		return lmdb_error(e, rc, "opening");
	}
	if (check_version(c, t, e) < 0 || load_salt_key(c, t, e) < 0) {
		mdb_txn_abort(t);
		return -1;
	}
	rc = mdb_txn_commit(t);
	return rc == 0 ? 0 : lmdb_error(e, rc, "opening");
}

struct credentials *credentials_open(const char *folder, unsigned threads, err *e)
{
	struct credentials *c = calloc(1, sizeof *c);

	assert(threads >= 1 && threads <= LIMIT_HASH_THREADS);
	if (!c)
		goto no_memory;
	c->threads = threads;
	c->known.max = LIMIT_HASH_KNOWN;
	c->others.max = LIMIT_HASH_QUEUE;
	c->good = memory_new(LIMIT_RECENT);
	c->bad = memory_new(LIMIT_RECENT);
	c->addresses = memory_new(LIMIT_RECENT);
	random_bytes(c->boot_key, sizeof c->boot_key);
	if (!c->good || !c->bad || !c->addresses)
		goto no_memory;
	record_decoy(&c->dummy);
	if (open_store(c, folder, e) == 0)
		return c;
	credentials_close(c);
	return NULL;
no_memory:
	credentials_close(c);
	(void)err_set(e, ERR_TEMP, "out of memory for the store of secrets");
	return NULL;
}

void credentials_close(struct credentials *c)
{
	if (!c)
		return;
	assert(!c->running);
	if (c->env)
		mdb_env_close(c->env);
	memory_free(c->good);
	memory_free(c->bad);
	memory_free(c->addresses);
	explicit_bzero(c, sizeof *c);
	free(c);
}

/* Reading and writing records */

int credentials_read(struct credentials *c, enum credential_row kind, uint32_t id,
	int (*take)(slice value, void *arg, err *e), void *arg, err *e)
{
	uint8_t room[5];
	MDB_val key = key_of(room, (uint8_t)kind, id), value;
	MDB_txn *t;
	int rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &t), ret_rc;

	if (rc != 0)
		return lmdb_error(e, rc, "reading");
	rc = mdb_get(t, c->dbi, &key, &value);
	ret_rc = rc == MDB_NOTFOUND                                           ? 0
		 : rc != 0                                                    ? lmdb_error(e, rc, "reading")
		 : take(slice_make(value.mv_data, value.mv_size), arg, e) < 0 ? -1
									      : 1;
	mdb_txn_abort(t);
	return ret_rc;
}

static int take_record(slice value, void *arg, err *e)
{
	return record_read(value, arg, e);
}

/* 1 there, 0 not there, -1. */
static int load(struct credentials *c, uint32_t account, struct record *ret, err *e)
{
	return credentials_read(c, CREDENTIAL_ACCOUNT, account, take_record, ret, e);
}

/* A write and its flush, whole on a worker: LMDB's write transaction belongs to one thread. */
struct store_job {
	struct credentials *c;
	enum credential_row kind;
	uint32_t id;
	slice value; /* of an account: its secret; n 0: remove */
	int rc;
};

static int write_row(const struct store_job *j, slice row)
{
	uint8_t room[5];
	MDB_val key = key_of(room, (uint8_t)j->kind, j->id), value = {row.n, (void *)(uintptr_t)row.p};
	MDB_txn *t;
	int rc = mdb_txn_begin(j->c->env, NULL, 0, &t);

	if (rc != 0)
		return rc;
	rc = row.n ? mdb_put(t, j->c->dbi, &key, &value, 0) : mdb_del(t, j->c->dbi, &key, NULL);
	if (rc == 0)
		return mdb_txn_commit(t);
	mdb_txn_abort(t);
	return !row.n && rc == MDB_NOTFOUND ? 0 : rc;
}

static void store_on_worker(void *arg)
{
	struct store_job *j = arg;
	struct buf out = BUF_INIT(LIMIT_CREDENTIAL);
	struct record r;

	if (!j->value.n || j->kind != CREDENTIAL_ACCOUNT) {
		j->rc = write_row(j, j->value);
		return;
	}
	if (record_make(j->value, &r) < 0) {
		j->rc = ENOMEM;
		return;
	}
	record_write(&r, &out);
	j->rc = out.failed ? ENOMEM : write_row(j, buf_slice(&out));
	explicit_bzero(&r, sizeof r);
	buf_free(&out);
}

/* The line for a hash */

static void line_add(struct line *l, struct waiter *w)
{
	struct waiter **at = &l->first;

	while (*at)
		at = &(*at)->next;
	*at = w;
	l->n++;
}

static void line_remove(struct line *l, const struct waiter *w)
{
	for (struct waiter **at = &l->first; *at; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			l->n--;
			return;
		}
}

/* Ends this hash, and hands its thread on to the next in line. */
static void turn_end(struct credentials *c)
{
	struct line *l = c->known.first ? &c->known : &c->others;
	struct waiter *w = l->first;

	if (!w) {
		c->running--;
		return;
	}
	l->first = w->next;
	l->n--;
	w->granted = true;
	fiber_wake(w->fiber);
}

/* Waits for a thread to hash on. 0, then turn_end is owed; or -1. */
PARKS static int turn_wait(struct credentials *c, struct line *l, err *e)
{
	struct waiter w = {.fiber = fiber_self()};
	uint64_t deadline = loop_now() + WAIT_MS;
	int rc = 0;

	if (c->running < c->threads) {
		c->running++;
		return 0;
	}
	if (l->n >= l->max) {
		c->stats.refused_busy++;
		return err_set(e, ERR_TEMP, "too many log-ins at once, try again in a minute");
	}
	line_add(l, &w);
	while (!w.granted && rc == 0)
		rc = fiber_park(deadline);
	if (w.granted && !fiber_canceled())
		return 0;
	if (w.granted)
		turn_end(c);
	else
		line_remove(l, &w);
	if (rc == -ETIMEDOUT) {
		c->stats.refused_busy++;
		return err_set(e, ERR_TEMP, "too many log-ins at once, try again in a minute");
	}
	return err_set(e, ERR_CANCELED, "cancelled");
}

/* Setting */

int credentials_write(struct credentials *c, enum credential_row kind, uint32_t id, slice value, err *e)
{
	struct store_job j = {.c = c, .kind = kind, .id = id, .value = value};

	if (turn_wait(c, &c->known, e) < 0)
		return -1;
	worker_run(store_on_worker, &j);
	turn_end(c);
	return j.rc == 0 ? 0 : lmdb_error(e, j.rc, "writing");
}

int secret_set(struct credentials *c, uint32_t account, slice secret, err *e)
{
	if (secret.n == 0 || secret.n > LIMIT_SECRET)
		return err_set(e, ERR_LIMIT, "a password has 1 to %d bytes", LIMIT_SECRET);
	return credentials_write(c, CREDENTIAL_ACCOUNT, account, secret, e);
}

int secret_remove(struct credentials *c, uint32_t account, err *e)
{
	return credentials_write(c, CREDENTIAL_ACCOUNT, account, (slice){0}, e);
}

int secret_exists(struct credentials *c, uint32_t account, err *e)
{
	struct record r;

	return load(c, account, &r, e);
}

/* Checking */

/*
 * A keyed hash of everything that the answer depends on: the account (or, of an unknown one, the name), its
 * epoch, the record as it stands (by its salt) and the secret. Lengths come first, so that no two questions
 * share a text.
 */
static void tag_of(const struct credentials *c, const struct secret_question *q, const struct record *r,
	uint8_t ret[TAG_SIZE])
{
	uint8_t head[16 + SALT_SIZE], mac[EVP_MAX_MD_SIZE], name[32];
	unsigned n;

	HMAC(EVP_sha256(), c->boot_key, sizeof c->boot_key, (const uint8_t *)q->name.p,
		q->account ? 0 : q->name.n, name, &n);
	be32_put(head, q->account);
	be32_put(head + 4, q->epoch);
	memcpy(head + 8, name, 8);
	memcpy(head + 16, r->argon.salt, SALT_SIZE);
	/* the head's hash keys the secret's */
	HMAC(EVP_sha256(), c->boot_key, sizeof c->boot_key, head, sizeof head, mac, &n);
	HMAC(EVP_sha256(), mac, (int)n, (const uint8_t *)q->secret.p, q->secret.n, mac, &n);
	memcpy(ret, mac, TAG_SIZE);
	explicit_bzero(mac, sizeof mac);
}

static void address_tag(const struct credentials *c, const uint8_t address[16], uint8_t ret[TAG_SIZE])
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned n;

	HMAC(EVP_sha256(), c->boot_key, sizeof c->boot_key, address, 16, mac, &n);
	memcpy(ret, mac, TAG_SIZE);
}

struct check_job {
	const struct record *record;
	slice secret;
	int rc;
};

static void check_on_worker(void *arg)
{
	struct check_job *j = arg;

	j->rc = record_check(j->record, j->secret);
}

static int denied(err *e)
{
	return err_set(e, ERR_DENIED, "wrong name or password");
}

/* What the memory of recent secrets knows: true, and *ret is the answer. */
static bool recall(struct credentials *c, const uint8_t tag[TAG_SIZE], int *ret, err *e)
{
	if (memory_has(c->good, tag, loop_now())) {
		c->stats.remembered_good++;
		*ret = 0;
		return true;
	}
	if (memory_has(c->bad, tag, loop_now())) {
		c->stats.remembered_bad++;
		*ret = denied(e);
		return true;
	}
	return false;
}

static int hash_and_compare(struct credentials *c, const struct secret_question *q, const struct record *r,
	const uint8_t tag[TAG_SIZE], err *e)
{
	struct check_job j = {.record = r, .secret = q->secret};
	uint8_t address[TAG_SIZE];
	int rc;

	address_tag(c, q->address, address);
	if (turn_wait(c, memory_has(c->addresses, address, loop_now()) ? &c->known : &c->others, e) < 0)
		return -1;
	if (recall(c, tag, &rc, e)) { /* somebody asked the same while we waited */
		turn_end(c);
		return rc;
	}
	c->stats.hashed++;
	worker_run(check_on_worker, &j);
	turn_end(c);
	if (j.rc < 0)
		return err_set(e, ERR_TEMP, "out of memory for a password check");
	memory_add(j.rc ? c->good : c->bad, tag, loop_now(), RECENT_MS);
	if (!j.rc)
		return denied(e);
	memory_add(c->addresses, address, loop_now(), ADDRESS_MS);
	return 0;
}

int secret_check(struct credentials *c, const struct secret_question *q, err *e)
{
	struct record r;
	uint8_t tag[TAG_SIZE];
	int there = q->account ? load(c, q->account, &r, e) : 0, rc;

	if (there < 0)
		return -1;
	if (q->secret.n == 0 || q->secret.n > LIMIT_SECRET) /* says nothing about the account */
		return denied(e);
	if (!there)
		r = c->dummy;
	tag_of(c, q, &r, tag);
	return recall(c, tag, &rc, e) ? rc : hash_and_compare(c, q, &r, tag, e);
}

static void fake_salt(const struct credentials *c, slice name, uint8_t salt[SALT_SIZE])
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	char folded[LIMIT_SASL_NAME];
	size_t most = name.n < sizeof folded ? name.n : sizeof folded;
	unsigned n;

	for (size_t i = 0; i < most; i++)
		folded[i] = ascii_lower(name.p[i]);
	HMAC(EVP_sha256(), c->salt_key, sizeof c->salt_key, (const uint8_t *)folded, most, mac, &n);
	memcpy(salt, mac, SALT_SIZE);
}

int secret_scram(struct credentials *c, uint32_t account, slice name, struct verifier_scram *ret, err *e)
{
	struct record r;
	struct verifier_scram fake = c->dummy.scram;
	int there = load(c, account, &r, e);

	if (there < 0)
		return -1;
	fake_salt(c, name, fake.salt);
	there = there && r.scram.iterations;
	*ret = there ? r.scram : fake;
	explicit_bzero(&r, sizeof r);
	return there;
}

void secret_good_address(struct credentials *c, const uint8_t address[16])
{
	uint8_t tag[TAG_SIZE];

	address_tag(c, address, tag);
	memory_add(c->addresses, tag, loop_now(), ADDRESS_MS);
}

void credentials_stats(const struct credentials *c, struct credentials_stats *ret)
{
	*ret = c->stats;
	ret->running = c->running;
	ret->waiting = c->known.n + c->others.n;
}

#include "fixture.h"
#include "io/fiber.h"
#include "limits.h"
#include "queue/check.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

void fixture_init(struct fixture *f, const struct kv_engine *engine)
{
	const char *tmp = getenv("TMPDIR");
	*f = (struct fixture){.engine = engine};
	assert_true(snprintf(f->dir, sizeof f->dir, "%s/posthouse-test-XXXXXX", tmp ? tmp : "/tmp") <
		    (int)sizeof f->dir);
	assert_non_null(mkdtemp(f->dir));
}

struct start {
	struct fixture *f;
	fixture_fn *fn;
};

static void on_fiber(void *arg)
{
	struct start *s = arg;
	s->fn(s->f);
}

/* ---- the oracle: whatever a test did, everything fits together ---- */

static void found(void *arg, enum check_what what, const char *text)
{
	(void)arg;
	print_error("check: %s: %s\n", check_what_name(what), text);
}

static void ignore(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)what;
	(void)done;
	(void)total;
}

static void check_store(struct fixture *f)
{
	struct check c = {.store = f->store, .bodies = true, .found = found, .progress = ignore};
	struct check_totals t = {0};
	err e = {0};

	assert_int_equal(store_snap_begin(f->store, &c.snap, &e), 0);
	if (check_whole(&c, NULL, &t, &e) < 0) /* the summaries of tests are none */
		fail_msg("check: %s (%s)", e.text, e.where);
	store_snap_end(&c.snap);
	assert_int_equal(c.findings, 0);
}

void fixture_run(struct fixture *f, fixture_fn *fn, void *arg)
{
	struct start start = {f, fn};
	err e = {0};
	struct loop *l = loop_new("test");
	assert_non_null(l);
	f->arg = arg;
	f->watchers = watchers_new();
	f->watch_loop = watchers_add_loop(f->watchers, l);
	f->codec = mailbox_codec_new();
	f->arena = arena_new(8 << 20);
	struct store_config c = {.dir = f->dir,
		.engine = f->engine,
		.map_bytes = UINT64_C(1) << 30,
		.volume_bytes = 64 << 20,
		.step_bytes = 1 << 20,
		.on_group = watchers_on_group,
		.arg = f->watchers};
	if (store_open(&c, &f->store, &e) < 0 || store_start(f->store, &e) < 0)
		fail_msg("store: %s (%s)", e.text, e.where);
	assert_non_null(fiber_start("test", on_fiber, &start));
	loop_run(l);
	if (!f->damaged)
		check_store(f);
	store_close(f->store);
	loop_free(l);
	watchers_free(f->watchers);
	mailbox_codec_free(f->codec);
	arena_free(f->arena);
}

static void remove_dir(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *x;
	char path[512];
	while (d && (x = readdir(d))) {
		if (x->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, x->d_name);
		if (unlink(path) < 0)
			remove_dir(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

void fixture_free(struct fixture *f)
{
	remove_dir(f->dir);
}

void fixture_each(fixture_fn *fn, void *arg)
{
	static const struct kv_engine *const engines[] = {&kv_memory, &kv_lmdb};
	for (size_t i = 0; i < COUNT_OF(engines); i++) {
		struct fixture f;
		fixture_init(&f, engines[i]);
		fixture_run(&f, fn, arg);
		fixture_free(&f);
	}
}

void fixture_lmdb(struct fixture *f)
{
	fixture_init(f, &kv_lmdb);
}

/* ---- short words ---- */

#define MUST(call)                                                                                           \
	do {                                                                                                 \
		err e_ = {0}, *e = &e_;                                                                      \
		if ((call) < 0)                                                                              \
			fail_msg("%s: %s (%s)", #call, e_.text, e_.where);                                   \
	} while (0)

uint32_t make_account(struct fixture *f, const char *localpart, const char *domain)
{
	uint32_t id = 0;
	err ignored;
	(void)!domain_add(f->store, slice_of(domain), NULL, &ignored);
	MUST(account_add(f->store, slice_of(localpart), slice_of(domain), NULL, &id, e));
	assert_int_not_equal(id, 0);
	return id;
}

uint32_t make_mailbox(struct fixture *f, uint32_t account, const char *path)
{
	uint32_t id = 0;
	MUST(mailbox_create(f->store, account, 0, slice_of(path), USE_NONE, &id, NULL, e));
	return id;
}

uint32_t append_one(struct fixture *f, uint32_t account, uint32_t mailbox, const char *text, uint8_t flags)
{
	struct append_message m = {
		.content = {.bytes = slice_of(text), .size = (uint32_t)strlen(text)},
		.summary = slice_of(text),
		.flags = flags,
	};
	struct append a = {.account = account, .mailbox = mailbox, .messages = &m, .n = 1};
	MUST(mailbox_append(f->store, f->codec, &a, e));
	return m.ret_uid;
}

void append_many(struct fixture *f, uint32_t account, uint32_t mailbox, unsigned n)
{
	struct append_message *m = calloc(LIMIT_APPEND_MESSAGES, sizeof *m);
	assert_non_null(m);
	for (unsigned i = 0; i < LIMIT_APPEND_MESSAGES; i++)
		m[i].content = (struct content){.bytes = S("x"), .size = 1};
	while (n) {
		struct append a = {.account = account,
			.mailbox = mailbox,
			.messages = m,
			.n = n < LIMIT_APPEND_MESSAGES ? n : LIMIT_APPEND_MESSAGES};
		MUST(mailbox_append(f->store, f->codec, &a, e));
		n -= (unsigned)a.n;
	}
	free(m);
}

void set_quota(struct fixture *f, uint32_t account, uint64_t bytes)
{
	struct account_settings set = {.has_quota = true, .quota_bytes = bytes};
	MUST(account_set(f->store, account, &set, e));
}

static struct store_snap snap(struct fixture *f)
{
	struct store_snap s = {0};
	MUST(store_snap_begin(f->store, &s, e));
	return s;
}

struct account_row read_account(struct fixture *f, uint32_t account)
{
	struct store_snap s = snap(f);
	struct account_row row = {.id = 0};
	MUST(account_get(&s, account, &row, e));
	store_snap_end(&s);
	return row;
}

bool read_mailbox(struct fixture *f, uint32_t account, uint32_t mailbox, struct mailbox_row *ret)
{
	struct store_snap s = snap(f);
	int rc = 0;
	MUST(rc = mailbox_get(&s, account, mailbox, ret, e));
	store_snap_end(&s);
	return rc == 1;
}

bool read_path(struct fixture *f, uint32_t account, const char *path, struct mailbox_row *ret)
{
	struct store_snap s = snap(f);
	int rc = 0;
	MUST(rc = mailbox_find(&s, account, slice_of(path), ret, e));
	store_snap_end(&s);
	return rc == 1;
}

bool read_entry(
	struct fixture *f, uint32_t account, uint32_t mailbox, uint32_t uid, struct mailbox_entry *ret)
{
	struct store_snap s = snap(f);
	int rc = 0;
	MUST(rc = mailbox_entry_get(&s, account, mailbox, uid, ret, e));
	store_snap_end(&s);
	return rc == 1;
}

bool read_message(struct fixture *f, uint32_t account, uint64_t message, struct mailbox_message *ret)
{
	struct store_snap s = snap(f);
	int rc = 0;
	MUST(rc = mailbox_message_get(&s, account, message, ret, e));
	store_snap_end(&s);
	return rc == 1;
}

bool blob_there(struct fixture *f, uint64_t blob)
{
	struct store_snap s = snap(f);
	struct store_blob b = {0};
	int rc = 0;
	MUST(rc = store_blob_find(&s, blob, &b, e));
	store_snap_end(&s);
	if (rc == 1)
		store_blob_release(&b);
	return rc == 1;
}

const char *uid_text(struct fixture *f, uint32_t account, uint32_t mailbox)
{
	struct store_snap s = snap(f);
	struct uidset set = {0};
	MUST(mailbox_uids(&s, account, mailbox, 0, &set, e));
	store_snap_end(&s);
	const char *text = set_text(f, &set);
	uidset_free(&set);
	return text;
}

struct uidset uids_of(const char *text)
{
	struct uidset s = {0};
	slice in = slice_of(text), part;
	while (in.n) {
		uint32_t first = 0, last = 0;
		slice head;
		if (!slice_cut(&in, ',', &part)) {
			part = in;
			in = (slice){0};
		}
		if (!slice_cut(&part, ':', &head))
			head = part;
		assert_true(slice_to_u32(head, UINT32_MAX, &first));
		assert_true(slice_to_u32(part, UINT32_MAX, &last));
		assert_int_equal(uidset_add_range(&s, first, last), 0);
	}
	return s;
}

const char *set_text(struct fixture *f, const struct uidset *s)
{
	struct buf b = BUF_INIT(1 << 20);
	struct uidset_scan sc = uidset_scan_from(s, 1);
	struct uid_range r;
	while (uidset_scan_next(&sc, &r)) {
		buf_addf(&b, "%s%u", b.n ? "," : "", r.first);
		if (r.last != r.first)
			buf_addf(&b, ":%u", r.last);
	}
	slice copy = arena_copy(f->arena, buf_slice(&b));
	buf_free(&b);
	assert_non_null(copy.p);
	return copy.p;
}

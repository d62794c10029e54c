/*
 * Talks with IMAP sessions: test_talk FOLDER PREFIX. "imap-login-" talks have a made-up world behind the
 * session before login; the others log in the same way and go on to a session on a real store.
 *
 * Directives: @ scram, @ bound and @ scram-busy (scram_world.h), @ tls, @ cleartext, @ no-starttls, @ errors
 * N, @ limit N (APPENDLIMIT), @ progress (INPROGRESS often), @ admin, @ messages-max N, @
 * backend-down, @ quota N (bytes), @
 * messages N PATH (N small messages), @ deliver PATH FLAGS (one message, behind the session's back), @
 * expunge PATH UID,
 * @ flag PATH UID FLAGS, @ remove-mailbox PATH, @ create PATH, @ rename PATH PATH, @ subscribe PATH, @
 * unsubscribe PATH, @ keepalive MS, @ notify-rows N, @ metadata PATH NAME
 * VALUE (PATH -: of the account), @ metadata-of ACCOUNT PATH NAME VALUE, @ lmdb; @ other PATH RIGHTS (bob
 * shares that mailbox of his, made with a message in it; nothing more: he takes all back), @ other-gone
 * (bob's account is removed), @ bob WHAT... (the same in his mailboxes),
 * @ accounts N (other1 to otherN).
 */
#include "imap/login.h"
#include "imap/session.h"
#include "io/loop.h"
#include "mail/summary.h"
#include "mailbox/account.h"
#include "mailbox/metadata.h"
#include "mailbox/rights.h"
#include "mailbox/write.h"
#include "scram_world.h"
#include "talk_runner.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct world {
	char dir[64];
	const struct kv_engine *engine;
	struct store *store;
	struct watchers *watchers;
	struct watch_loop *watch_loop;
	struct mailbox_codec *codec;
	uint32_t account, bob;
	bool starttls, backend_down;
	char said_user[256], said_secret[256], said_authzid[256];
	struct imap_login_config login;
	struct scram_world scram;
	struct imap_session_config session;
	unsigned delivered;
};

static void die(const char *what, const err *e)
{
	fprintf(stderr, "%s: %s\n", what, e->text);
	abort();
}

/* ---- the store ---- */

static void open_store(struct world *w)
{
	err e = {0};

	if (w->store)
		return;
	snprintf(w->dir, sizeof w->dir, "/tmp/posthouse-imap-XXXXXX");
	if (!mkdtemp(w->dir))
		abort();
	w->watchers = watchers_new();
	w->watch_loop = watchers_add_loop(w->watchers, loop_self());
	w->codec = mailbox_codec_new();
	struct store_config c = {.dir = w->dir,
		.engine = w->engine,
		.map_bytes = UINT64_C(1) << 28,
		.volume_bytes = 64 << 20,
		.step_bytes = 1 << 20,
		.on_group = watchers_on_group,
		.arg = w->watchers};
	if (store_open(&c, &w->store, &e) < 0 || store_start(w->store, &e) < 0)
		die("store", &e);
	uint32_t domain;
	if (domain_add(w->store, S("example.test"), &domain, &e) < 0 ||
		account_add(w->store, S("alice"), S("example.test"), NULL, &w->account, &e) < 0)
		die("account", &e);
}

static struct mailbox_row find(struct world *w, slice path)
{
	struct store_snap snap = {0};
	struct mailbox_row row = {0};
	err e = {0};

	open_store(w);
	if (store_snap_begin(w->store, &snap, &e) < 0 || mailbox_find(&snap, w->account, path, &row, &e) <= 0)
		die("mailbox", &e);
	store_snap_end(&snap);
	return row;
}

static void deliver(struct world *w, slice path, slice text, uint8_t flags)
{
	struct buf summary = BUF_INIT(1 << 20);
	err e = {0};

	if (mail_summary_make(text, &summary, &e) < 0)
		die("summary", &e);
	struct append_message m = {.content = {.bytes = text, .size = (uint32_t)text.n},
		.summary = buf_slice(&summary),
		.flags = flags,
		.internal_us = INT64_C(1767225600000000)};
	struct append a = {.account = w->account, .mailbox = find(w, path).id, .messages = &m, .n = 1};
	if (mailbox_append(w->store, w->codec, &a, &e) < 0)
		die("append", &e);
	buf_free(&summary);
}

static void deliver_numbered(struct world *w, slice path)
{
	char text[400];
	unsigned n = ++w->delivered;

	int len = snprintf(text, sizeof text,
		"From: Bob <bob@example.test>\r\nTo: alice@example.test\r\nSubject: number %u\r\n"
		"Date: Thu, 01 Jan 2026 00:00:%02u +0000\r\nMessage-ID: <m%u@example.test>\r\n\r\nbody "
		"%u\r\n",
		n, n % 60, n, n);
	deliver(w, path, slice_make(text, (size_t)len), 0);
}

/* Bob's mailbox of that path, made with a message where it is not there, and what Alice may do in it. */
static enum talk_result other(struct world *w, slice path, slice letters)
{
	static const char right[] = "lrswipkxtea"; /* in the order of their bits */
	struct rights_change c = {.op = RIGHTS_REPLACE};
	struct mailbox_row row;
	uint32_t alice;
	err e = {0};

	open_store(w);
	alice = w->account;
	if (!w->bob && account_add(w->store, S("bob"), S("example.test"), NULL, &w->bob, &e) < 0)
		die("bob", &e);
	w->account = w->bob; /* what follows is his */
	(void)mailbox_create(w->store, w->bob, 0, path, USE_NONE, NULL, NULL, NULL);
	row = find(w, path);
	if (row.messages == 0)
		deliver_numbered(w, path);
	w->account = alice;
	letters = slice_trim(letters);
	for (unsigned i = 0; right[i]; i++)
		c.rights |= slice_find_c(letters, right[i]) >= 0 ? 1u << i : 0;
	c.account = w->bob;
	c.mailbox = row.id;
	c.grantee = alice;
	return mailbox_rights_change(w->store, &c, &e) < 0 ? TALK_FAILED : TALK_OK;
}

static uint8_t flags_of(slice text)
{
	uint8_t flags = 0;

	flags |= slice_find(text, S("seen")) >= 0 ? FLAG_SEEN : 0;
	flags |= slice_find(text, S("deleted")) >= 0 ? FLAG_DELETED : 0;
	flags |= slice_find(text, S("flagged")) >= 0 ? FLAG_FLAGGED : 0;
	return flags;
}

static void expunge(struct world *w, slice path, uint32_t uid)
{
	struct uidset uids = {0};
	err e = {0};
	struct expunge x = {.account = w->account, .mailbox = find(w, path).id, .uids = &uids};

	(void)uidset_add(&uids, uid);
	if (mailbox_expunge(w->store, &x, &e) < 0)
		die("expunge", &e);
	uidset_free(&uids);
	uidset_free(&x.ret_expunged);
}

static void flag(struct world *w, slice path, uint32_t uid, uint8_t flags)
{
	struct uidset uids = {0};
	err e = {0};
	struct store_flags x = {.account = w->account,
		.mailbox = find(w, path).id,
		.uids = &uids,
		.op = FLAGS_ADD,
		.flags = flags,
		.unchangedsince = UINT64_MAX};

	(void)uidset_add(&uids, uid);
	if (mailbox_store_flags(w->store, &x, &e) < 0)
		die("store", &e);
	uidset_free(&uids);
	uidset_free(&x.ret_changed);
	uidset_free(&x.ret_modified);
}

/* ---- what the session before login asks ---- */

static int op_starttls(void *ctx, struct stream *io)
{
	(void)ctx;
	return stream_write(io, S("(handshake)\r\n")) < 0 ? -1 : stream_flush(io);
}

static void keep(char *to, slice s)
{
	size_t n = s.n < 255 ? s.n : 255;

	if (n > 0)
		memcpy(to, s.p, n);
	to[n] = 0;
}

static int op_login(void *ctx, const struct imap_credentials *c, err *e)
{
	struct world *w = ctx;

	keep(w->said_user, c->user);
	keep(w->said_secret, c->secret);
	keep(w->said_authzid, c->authzid);
	if (c->authzid.n > 0 && !slice_eq(c->authzid, c->user))
		return err_set(e, ERR_CONFLICT, "not as somebody else");
	if (slice_eq(c->user, S("slow")))
		return err_set(e, ERR_TEMP, "too busy");
	if (!slice_eq(c->user, S("alice")) || !slice_eq(c->secret, S("wonder land")))
		return err_set(e, ERR_DENIED, "wrong");
	return 0;
}

static int op_handoff(void *ctx, struct stream *io, slice tag, err *e)
{
	struct world *w = ctx;

	if (w->backend_down)
		return err_set(e, ERR_TEMP, "the backend starts again");
	open_store(w);
	struct imap_start start = {.io = io,
		.store = w->store,
		.codec = w->codec,
		.watch_loop = w->watch_loop,
		.account = w->account,
		.tag = tag,
		.config = &w->session};
	imap_session_run(&start);
	return 0;
}

/* ---- the runner's side ---- */

static void *begin(void)
{
	struct world *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->engine = &kv_memory;
	w->starttls = true;
	w->login = (struct imap_login_config){
		.host = S("mx.example.test"), .allow_cleartext = true, .errors_max = 5};
	w->session =
		(struct imap_session_config){.message_max = 5 << 20, .silence_ms = 1800000, .errors_max = 20};
	return w;
}

static bool take_number(slice *rest, uint32_t *ret)
{
	slice word;

	return slice_word(rest, &word) && slice_to_u32(word, UINT32_MAX, ret);
}

static enum talk_result set_metadata(struct world *w, uint32_t who, slice rest)
{
	struct metadata m = {0};
	slice path, name;
	err e = {0};

	if (!slice_word(&rest, &path) || !slice_word(&rest, &name))
		return TALK_FAILED;
	m.who = slice_starts(name, S("/shared")) ? METADATA_SHARED : who;
	m.name = name;
	m.value = slice_trim(rest).n ? slice_trim(rest) : (slice){0};
	struct metadata_set set = {.account = w->account,
		.mailbox = slice_eq(path, S("-")) ? 0 : find(w, path).id,
		.values = &m,
		.n = 1};
	if (mailbox_metadata_set(w->store, &set, &e) < 0)
		fprintf(stderr, "%s\n", e.text);
	return e.kind ? TALK_FAILED : TALK_OK;
}

/* What another session does to a mailbox as such. */
static enum talk_result folder_directive(struct world *w, slice word, slice path, slice rest)
{
	err e = {0};

	open_store(w);
	int rc = slice_eq(word, S("create"))
			 ? mailbox_create(w->store, w->account, 0, path, USE_NONE, NULL, NULL, &e)
		 : slice_eq(word, S("rename"))
			 ? mailbox_rename(w->store, w->account, 0, path, rest, &e)
			 : mailbox_subscribe(w->store, w->account, path, slice_eq(word, S("subscribe")), &e);

	if (rc < 0)
		fprintf(stderr, "%s\n", e.text);
	return rc < 0 ? TALK_FAILED : TALK_OK;
}

static enum talk_result add_accounts(struct world *w, uint32_t n)
{
	err e = {0};

	open_store(w);
	for (uint32_t i = 1; i <= n; i++) {
		uint32_t id;
		char name[16];

		int len = snprintf(name, sizeof name, "other%u", i);
		if (account_add(w->store, slice_make(name, (size_t)len), S("example.test"), NULL, &id, &e) <
			0)
			die("account", &e);
	}
	return TALK_OK;
}

static enum talk_result store_directive(struct world *w, slice word, slice rest)
{
	slice path;
	uint32_t n;

	if (slice_eq(word, S("bob")) && slice_word(&rest, &word)) {
		uint32_t alice = w->account;

		w->account = w->bob;
		enum talk_result result = store_directive(w, word, rest);
		w->account = alice;
		return result;
	}
	if (slice_eq(word, S("messages")) && take_number(&rest, &n) && slice_word(&rest, &path)) {
		find(w, path);
		while (n-- > 0)
			deliver_numbered(w, path);
		return TALK_OK;
	}
	if (slice_eq(word, S("accounts")) && take_number(&rest, &n))
		return add_accounts(w, n);
	if (slice_eq(word, S("quota")) && take_number(&rest, &n)) {
		const struct account_settings limit = {.has_quota = true, .quota_bytes = n};
		err e = {0};

		open_store(w);
		return account_set(w->store, w->account, &limit, &e) < 0 ? TALK_FAILED : TALK_OK;
	}
	if (slice_eq(word, S("metadata")))
		return set_metadata(w, w->account, rest);
	if (slice_eq(word, S("metadata-of")) && take_number(&rest, &n))
		return set_metadata(w, n, rest);
	if (slice_eq(word, S("other-gone")))
		return account_remove(w->store, w->bob, NULL) < 0 ? TALK_FAILED : TALK_OK;
	if (!slice_word(&rest, &path))
		return TALK_UNKNOWN;
	if (slice_eq(word, S("deliver"))) {
		struct buf text = BUF_INIT(1 << 20);

		find(w, path);
		if (!talk_unescape(slice_trim(rest), &text))
			return TALK_FAILED;
		deliver(w, path, buf_slice(&text), 0);
		buf_free(&text);
		return TALK_OK;
	}
	if (slice_eq(word, S("other")))
		return other(w, path, rest);
	if (slice_eq(word, S("create")) || slice_eq(word, S("subscribe")) ||
		slice_eq(word, S("unsubscribe")) || slice_eq(word, S("rename")))
		return folder_directive(w, word, path, slice_trim(rest));
	if (slice_eq(word, S("remove-mailbox"))) {
		err e = {0};
		return mailbox_delete(w->store, w->account, 0, path, &e) < 0 ? TALK_FAILED : TALK_OK;
	}
	if (!take_number(&rest, &n))
		return TALK_UNKNOWN;
	if (slice_eq(word, S("expunge")))
		expunge(w, path, n);
	else if (slice_eq(word, S("flag")))
		flag(w, path, n, flags_of(rest));
	else
		return TALK_UNKNOWN;
	return TALK_OK;
}

static enum talk_result directive(void *world, slice word, slice rest)
{
	struct world *w = world;
	slice expected;
	uint32_t n;

	if (slice_eq(word, S("no-cleartext")))
		w->login.allow_cleartext = false;
	else if (slice_eq(word, S("no-starttls")))
		w->starttls = false;
	else if (slice_eq(word, S("scram")))
		w->login.scram = &scram_world_ops, w->login.scram_ctx = &w->scram;
	else if (slice_eq(word, S("bound")))
		w->scram.bound = true;
	else if (slice_eq(word, S("scram-busy")))
		w->scram.busy = true;
	else if (slice_eq(word, S("backend-down")))
		w->backend_down = true;
	else if (slice_eq(word, S("lmdb")))
		w->engine = &kv_lmdb;
	else if (slice_eq(word, S("limit")) && take_number(&rest, &n))
		w->session.message_max = n;
	else if (slice_eq(word, S("errors")) && take_number(&rest, &n))
		w->login.errors_max = w->session.errors_max = n;
	else if (slice_eq(word, S("keepalive")) && take_number(&rest, &n))
		w->session.keepalive_ms = n;
	else if (slice_eq(word, S("notify-rows")) && take_number(&rest, &n))
		w->session.notify_rows = n;
	else if (slice_eq(word, S("progress")))
		w->session.progress_ms = -1;
	else if (slice_eq(word, S("messages-max")) && take_number(&rest, &n))
		w->session.messages_max = n;
	else if (slice_eq(word, S("admin")))
		w->session.admin = S("mailto:post@example.test");
	else if (slice_eq(word, S("user")))
		return slice_eq(slice_of(w->said_user), rest) ? TALK_OK : TALK_FAILED;
	else if (slice_eq(word, S("secret")))
		return slice_eq(slice_of(w->said_secret), rest) ? TALK_OK : TALK_FAILED;
	else if (slice_eq(word, S("authzid")) && slice_word(&rest, &expected))
		return slice_eq(slice_of(w->said_authzid), expected) ? TALK_OK : TALK_FAILED;
	else
		return store_directive(w, word, rest);
	return TALK_OK;
}

static void serve(void *world, struct stream *io)
{
	struct world *w = world;
	struct imap_login_ops ops = {
		.starttls = w->starttls ? op_starttls : NULL, .login = op_login, .handoff = op_handoff};

	(void)imap_login_run(io, &w->login, &ops, w);
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

static void end(void *world)
{
	struct world *w = world;

	if (w->store) {
		store_close(w->store);
		watchers_free(w->watchers);
		mailbox_codec_free(w->codec);
		remove_dir(w->dir);
	}
	free(w);
}

static const struct talk_server server = {
	.name = "imap", .begin = begin, .directive = directive, .serve = serve, .end = end};

int main(int argc, char **argv)
{
	return argc == 3 && talk_run_all(argv[1], argv[2], &server) == 0 ? 0 : 1;
}

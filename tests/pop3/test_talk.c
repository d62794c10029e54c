/* Plays tests/talk/pop3-login-*.talk (before login, with a made-up world) and pop3-session-*.talk (a real
 * INBOX). */
#include "../mailbox/fixture.h"
#include "../scram_world.h"
#include "../talk_runner.h"
#include "mail/summary.h"
#include "pop3/login.h"
#include "pop3/session.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct world {
	struct pop3_login_config config;
	bool no_tls, temp, refuse_session;
	struct scram_world scram;
	char user[64], secret[64], authzid[64];
	unsigned handed;
	struct stream *io;
	/* session talks: messages given by `@ message TEXT` */
	char *messages[8];
	size_t n;
	unsigned left; /* after the session */
	uint32_t newest;
	uint8_t options;
};

static void *login_begin(void)
{
	struct world *w = calloc(1, sizeof *w);

	if (w)
		w->config = (struct pop3_login_config){S("mail.example.test"), true, 20, 600000};
	return w;
}

static void world_end(void *arg)
{
	struct world *w = arg;

	for (size_t i = 0; i < w->n; i++)
		free(w->messages[i]);
	free(w);
}

static enum talk_result login_directive(void *arg, slice word, slice rest)
{
	struct world *w = arg;
	uint32_t n;

	if (slice_eq(word, S("login"))) {
		slice user, secret;

		if (!slice_word(&rest, &user) || !slice_word(&rest, &secret))
			return TALK_FAILED;
		snprintf(w->user, sizeof w->user, "%.*s", (int)user.n, user.p);
		snprintf(w->secret, sizeof w->secret, "%.*s", (int)secret.n, secret.p);
	} else if (slice_eq(word, S("needs-tls"))) {
		w->config.allow_cleartext = false;
	} else if (slice_eq(word, S("scram"))) {
		w->config.scram = &scram_world_ops;
		w->config.scram_ctx = &w->scram;
	} else if (slice_eq(word, S("bound"))) {
		w->scram.bound = true;
	} else if (slice_eq(word, S("scram-busy"))) {
		w->scram.busy = true;
	} else if (slice_eq(word, S("no-tls"))) {
		w->no_tls = true;
	} else if (slice_eq(word, S("temp"))) {
		w->temp = true;
	} else if (slice_eq(word, S("refuse-session"))) {
		w->refuse_session = true;
	} else if (slice_eq(word, S("errors")) && slice_to_u32(rest, 1000, &n)) {
		w->config.errors_max = n;
	} else if (slice_eq(word, S("authzid"))) {
		return slice_eq(rest, slice_of(w->authzid)) ? TALK_OK : TALK_FAILED;
	} else {
		return TALK_UNKNOWN;
	}
	return TALK_OK;
}

static int on_starttls(void *ctx, struct stream *io)
{
	(void)ctx;
	(void)io;
	return -EPROTO; /* a handshake is played in tests/io/test_tls.c */
}

static int on_login(void *ctx, const struct pop3_credentials *c, err *e)
{
	struct world *w = ctx;

	if (w->temp)
		return err_set(e, ERR_TEMP, "not now");
	snprintf(w->authzid, sizeof w->authzid, "%.*s", (int)c->authzid.n, c->authzid.n ? c->authzid.p : "");
	return slice_eq(c->user, slice_of(w->user)) && slice_eq(c->secret, slice_of(w->secret))
		       ? 0
		       : err_set(e, ERR_DENIED, "no");
}

static int on_handoff(void *ctx, struct stream *io, uint8_t options, err *e)
{
	struct world *w = ctx;
	slice line;

	if (w->refuse_session)
		return err_set(e, ERR_TEMP, "not now");
	w->handed++;
	stream_printf(io, "+OK handed over with %u\r\n", options);
	while (stream_read_line(io, 512, &line, NULL) >= 0) /* what is said from here on is the session's */
		stream_printf(io, "+OK session heard %.*s\r\n", (int)line.n, line.p);
	stream_flush(io);
	return 0;
}

static void login_serve(void *arg, struct stream *io)
{
	struct world *w = arg;
	struct pop3_login_ops ops = {w->no_tls ? NULL : on_starttls, on_login, on_handoff};

	pop3_login_run(io, &w->config, &ops, w);
}

/* ---- sessions ---- */

static enum talk_result session_directive(void *arg, slice word, slice rest)
{
	struct world *w = arg;
	struct buf text = BUF_INIT(65536);
	uint32_t n;

	if (slice_eq(word, S("newest")) && slice_to_u32(rest, 1000, &n)) {
		w->newest = n;
		return TALK_OK;
	}
	if (slice_eq(word, S("options")) && slice_to_u32(rest, 3, &n)) {
		w->options = (uint8_t)n;
		return TALK_OK;
	}
	if (!slice_eq(word, S("message")) || w->n == sizeof w->messages / sizeof *w->messages ||
		!talk_unescape(rest, &text))
		return TALK_UNKNOWN;
	buf_add_c(&text, 0);
	w->messages[w->n++] = text.p;
	return TALK_OK;
}

/* The store lives as long as the talk, on the runner's own loop. */
static void session_serve(void *arg, struct stream *io)
{
	struct world *w = arg;
	struct fixture f;
	struct mailbox_row row;
	err e = {0};

	fixture_init(&f, &kv_memory);
	struct store_config c = {
		.dir = f.dir, .engine = &kv_memory, .volume_bytes = 64 << 20, .step_bytes = 1 << 20};
	f.arena = arena_new(8 << 20);
	f.codec = mailbox_codec_new();
	if (store_open(&c, &f.store, &e) < 0 || store_start(f.store, &e) < 0) {
		fprintf(stderr, "store: %s\n", e.text);
		abort();
	}
	uint32_t account = make_account(&f, "alice", "example.test");
	for (size_t i = 0; i < w->n; i++)
		append_one(&f, account, MAILBOX_INBOX, w->messages[i], 0);
	struct pop3_session s = {.io = io,
		.store = f.store,
		.account = account,
		.errors_max = 5,
		.timeout_ms = 600000,
		.newest = w->newest,
		.options = w->options};
	pop3_session_run(&s);
	w->left = read_mailbox(&f, account, MAILBOX_INBOX, &row) ? row.messages : 99;
	stream_printf(io, "left %u\r\n", w->left);
	stream_flush(io);
	store_close(f.store);
	mailbox_codec_free(f.codec);
	arena_free(f.arena);
	fixture_free(&f);
}

int main(int argc, char **argv)
{
	static const struct talk_server login = {
		"pop3 login", login_begin, login_directive, login_serve, world_end};
	static const struct talk_server session = {
		"pop3 session", login_begin, session_directive, session_serve, world_end};

	if (argc != 2)
		return 64;
	return talk_run_all(argv[1], "pop3-login-", &login) == 0 &&
			       talk_run_all(argv[1], "pop3-session-", &session) == 0
		       ? 0
		       : 1;
}

/* The whole IMAP session before login over a socket pair: what strangers can say to it. */
#include "imap/login.h"
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_starttls(void *ctx, struct stream *io)
{
	(void)ctx;
	(void)io;
	return -EPROTO;
}

static int on_login(void *ctx, const struct imap_credentials *c, err *e)
{
	(void)ctx;
	if (c->user.n == 0)
		return err_set(e, ERR_DENIED, "no");
	return c->user.p[0] == 'a' ? 0 : err_set(e, c->user.p[0] == 't' ? ERR_TEMP : ERR_DENIED, "no");
}

static int on_handoff(void *ctx, struct stream *io, slice tag, err *e)
{
	(void)ctx;
	(void)io;
	if (tag.n == 0)
		abort();
	return err_set(e, ERR_TEMP, "no");
}

static void serve(void *arg)
{
	static const struct imap_login_ops ops = {on_starttls, on_login, on_handoff};
	struct imap_login_config config = {S("fuzz"), true, 50};
	struct stream *io = arg;

	if (imap_login_run(io, &config, &ops, NULL) != IMAP_LOGIN_ENDED)
		abort();
	stream_close(io);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_session(data, size, serve);
}

/* The whole POP3 session before login over a socket pair: what strangers can say to it. */
#include "pop3/login.h"
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_starttls(void *ctx, struct stream *io)
{
	(void)ctx;
	(void)io;
	return -EPROTO;
}

static int on_login(void *ctx, const struct pop3_credentials *c, err *e)
{
	(void)ctx;
	if (c->user.n == 0)
		abort();
	return c->user.p[0] == 'a' ? 0 : err_set(e, c->user.p[0] == 't' ? ERR_TEMP : ERR_DENIED, "no");
}

static int on_handoff(void *ctx, struct stream *io, uint8_t options, err *e)
{
	(void)ctx;
	(void)io;
	if (options > 3)
		abort();
	return err_set(e, ERR_TEMP, "no");
}

static void serve(void *arg)
{
	static const struct pop3_login_ops ops = {on_starttls, on_login, on_handoff};
	struct pop3_login_config config = {S("fuzz"), true, 50, 1000};
	struct stream *io = arg;

	pop3_login_run(io, &config, &ops, NULL);
	stream_close(io);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_session(data, size, serve);
}

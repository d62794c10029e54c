#include "smtp/client.h"
#include "io/loop.h"
#include "io/tls.h"
#include "limits.h"
#include "smtp/client_int.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define QUIT_MS     2000
#define COMMAND_MAX 4096 /* bytes of a command: an address, ORCPT and ENVID in xtext, the rest small */

/* ---- what breaks ---- */

static const char *const stage_texts[] = {
	[SMTP_AT_CONNECT] = "while connecting",
	[SMTP_AT_BANNER] = "before its greeting",
	[SMTP_AT_EHLO] = "at EHLO",
	[SMTP_AT_STARTTLS] = "at STARTTLS",
	[SMTP_AT_AUTH] = "at the log-in",
	[SMTP_AT_MAIL] = "at MAIL",
	[SMTP_AT_RCPT] = "at RCPT",
	[SMTP_AT_DATA] = "at DATA",
	[SMTP_AT_END] = "after the message was sent",
};

int smtp_client_break(
	struct smtp_client *c, enum smtp_stage_out stage, const char *why, struct smtp_reply *ret)
{
	size_t n = 0;

	c->broken = true;
	smtp_reply_clear(ret, stage);
	smtp_reply_join(ret, &n, slice_of(why));
	smtp_reply_join(ret, &n, slice_of(stage_texts[stage]));
	return -1;
}

int smtp_client_lost(struct smtp_client *c, enum smtp_stage_out stage, int error, struct smtp_reply *ret)
{
	const char *why;

	switch (error) {
	case -ENODATA:
	case -ECONNRESET:
	case -EPIPE:
		why = "the server closed the connection";
		break;
	case -ETIMEDOUT:
		why = "the server took too long";
		break;
	case -ECANCELED:
		why = "given up";
		break;
	case -EPROTO:
		why = "TLS broke";
		break;
	case -EMSGSIZE:
		why = "the server sent a line without end";
		break;
	default:
		why = "the connection broke";
	}
	return smtp_client_break(c, stage, why, ret);
}

/* ---- saying and hearing ---- */

uint32_t smtp_client_ms(uint32_t configured, uint32_t standard)
{
	uint32_t ms = configured ? configured : standard;

	return ms < LIMIT_SMTP_CLIENT_STEP_MS ? ms : LIMIT_SMTP_CLIENT_STEP_MS;
}

static void show(const struct smtp_client *c, bool out, slice line)
{
	if (c->config->dialogue)
		c->config->dialogue(c->config->arg, out, line);
}

int smtp_client_say(struct smtp_client *c, slice line, const char *shown)
{
	int rc;

	show(c, true, shown ? slice_of(shown) : line);
	rc = stream_write(c->io, line);
	return rc < 0 ? rc : stream_write(c->io, S("\r\n"));
}

/* A line without its end, which may be LF alone; it stays until the next read. */
static int read_line(struct smtp_client *c, slice *ret)
{
	size_t seen = 0;
	slice have;
	int rc = stream_fill(c->io, &have);

	while (rc == 0) {
		const char *lf = memchr(have.p + seen, '\n', have.n - seen);
		size_t n = lf ? (size_t)(lf - have.p) : have.n;

		if (n >= LIMIT_SMTP_CLIENT_LINE)
			return -EMSGSIZE;
		if (lf) {
			stream_consume(c->io, n + 1);
			*ret = slice_sub(have, 0, n && lf[-1] == '\r' ? n - 1 : n);
			return 0;
		}
		seen = have.n;
		rc = stream_fill_more(c->io, &have);
	}
	return rc;
}

/* One reply has ms, and no more than is left of the step. */
static void set_deadline(struct smtp_client *c, uint32_t ms)
{
	uint64_t now = loop_now(), left = c->until > now ? c->until - now : 1;

	stream_timeout(c->io, c->until && left < ms ? left : ms);
}

int smtp_client_hear(struct smtp_client *c, enum smtp_stage_out stage, uint32_t ms, smtp_client_line_fn *each,
	void *arg, struct smtp_reply *ret)
{
	size_t text_n = 0, bytes = 0;
	uint16_t code = 0;
	int last = 0;

	set_deadline(c, ms);
	smtp_reply_clear(ret, stage);
	for (unsigned lines = 0; !last; lines++) {
		uint8_t status[3];
		slice line, text;
		int rc = read_line(c, &line);

		if (rc < 0)
			return smtp_client_lost(c, stage, rc, ret);
		show(c, false, line);
		bytes += line.n + 2;
		if (lines == LIMIT_SMTP_CLIENT_LINES || bytes > LIMIT_SMTP_CLIENT_BYTES)
			return smtp_client_break(c, stage, "the server sent an answer without end", ret);
		last = smtp_reply_line(line, &code, &text);
		if (last < 0)
			return smtp_client_break(c, stage, "the server's answer was not SMTP", ret);
		if (each)
			each(arg, lines, text);
		if (smtp_reply_status(&text, code, status) && !ret->status[0])
			memcpy(ret->status, status, sizeof status);
		smtp_reply_join(ret, &text_n, text);
	}
	ret->code = code;
	c->closing |= code == 421;
	return 0;
}

bool smtp_client_spoken(const struct smtp_client *c)
{
	char byte;
	slice have;

	if (stream_buffered(c->io) > 0)
		return true;
	if (recv(stream_fd(c->io), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return false;
	if (!stream_is_tls(c->io))
		return true;
	stream_timeout(c->io, 1); /* a session ticket is nothing that was said */
	return stream_fill(c->io, &have) != -ETIMEDOUT;
}

int smtp_client_ask(struct smtp_client *c, enum smtp_stage_out stage, slice line, const char *shown,
	smtp_client_line_fn *each, void *arg, struct smtp_reply *ret)
{
	if (stream_buffered(c->io) > 0)
		return smtp_client_break(c, stage, "the server spoke before it was asked", ret);
	(void)smtp_client_say(c, line, shown); /* what fails shows when the reply is read */
	return smtp_client_hear(
		c, stage, smtp_client_ms(c->config->command_ms, SMTP_MS_COMMAND), each, arg, ret);
}

/* ---- EHLO ---- */

static const struct {
	slice name;
	enum smtp_extension bit;
} extensions[] = {
	{SLICE_INIT("PIPELINING"), SMTP_EXT_PIPELINING},
	{SLICE_INIT("SIZE"), SMTP_EXT_SIZE},
	{SLICE_INIT("STARTTLS"), SMTP_EXT_STARTTLS},
	{SLICE_INIT("8BITMIME"), SMTP_EXT_8BITMIME},
	{SLICE_INIT("BINARYMIME"), SMTP_EXT_BINARYMIME},
	{SLICE_INIT("CHUNKING"), SMTP_EXT_CHUNKING},
	{SLICE_INIT("SMTPUTF8"), SMTP_EXT_SMTPUTF8},
	{SLICE_INIT("DSN"), SMTP_EXT_DSN},
	{SLICE_INIT("DELIVERBY"), SMTP_EXT_DELIVERBY},
	{SLICE_INIT("MT-PRIORITY"), SMTP_EXT_MT_PRIORITY},
	{SLICE_INIT("REQUIRETLS"), SMTP_EXT_REQUIRETLS},
	{SLICE_INIT("ENHANCEDSTATUSCODES"), SMTP_EXT_ENHANCED},
	{SLICE_INIT("AUTH"), SMTP_EXT_AUTH},
};

static void see_extension(void *arg, unsigned index, slice text)
{
	struct smtp_client *c = arg;
	slice word;

	if (index == 0 || !slice_word(&text, &word))
		return;
	if (slice_istarts(word, S("AUTH="))) { /* as old Exchange and Outlook had it */
		c->mechanisms |= smtp_client_mechanisms(slice_skip(word, 5));
		word = S("AUTH");
	}
	for (size_t i = 0; i < COUNT_OF(extensions); i++) {
		if (!slice_ieq(word, extensions[i].name))
			continue;
		c->extensions |= extensions[i].bit;
		if (extensions[i].bit == SMTP_EXT_AUTH)
			c->mechanisms |= smtp_client_mechanisms(text);
		else if (extensions[i].bit == SMTP_EXT_SIZE)
			(void)slice_to_u64(slice_trim(text), UINT64_MAX, &c->max_size);
	}
}

static int hello(struct smtp_client *c, slice verb, smtp_client_line_fn *each, struct smtp_reply *reply)
{
	buf_reset(&c->line);
	buf_add(&c->line, verb);
	buf_add_c(&c->line, ' ');
	buf_add(&c->line, c->config->host);
	if (c->line.failed)
		return smtp_client_break(c, SMTP_AT_EHLO, "our own name is too long", reply);
	return smtp_client_ask(c, SMTP_AT_EHLO, buf_slice(&c->line), NULL, each, c, reply);
}

static bool needs_esmtp(const struct smtp_client_config *g, bool tls)
{
	return g->lmtp || g->user.n || (g->tls == SMTP_TLS_MUST && !tls);
}

/* What an earlier EHLO said is forgotten. */
static enum smtp_open greet(struct smtp_client *c, struct smtp_reply *reply)
{
	bool tls = stream_is_tls(c->io);

	c->extensions = c->mechanisms = 0;
	c->max_size = 0;
	if (hello(c, c->config->lmtp ? S("LHLO") : S("EHLO"), see_extension, reply) < 0)
		return SMTP_OPEN_BROKEN;
	if (reply->code / 100 != 2) {
		c->extensions = c->mechanisms = 0; /* lines of a refusal offer nothing */
		if (reply->code / 100 == 5 && !needs_esmtp(c->config, tls) &&
			hello(c, S("HELO"), NULL, reply) < 0)
			return SMTP_OPEN_BROKEN;
	}
	if (reply->code / 100 == 3) {
		smtp_client_break(c, SMTP_AT_EHLO, "the server's answer made no sense", reply);
		return SMTP_OPEN_BROKEN;
	}
	return reply->code / 100 == 2 ? SMTP_OPEN_OK : SMTP_OPEN_REFUSED;
}

/* ---- TLS ---- */

static enum smtp_open secure(struct smtp_client *c, struct smtp_reply *reply)
{
	const char *why;
	int rc;

	c->broken = true; /* unless it succeeds: nothing may be said in the clear any more */
	stream_timeout(c->io, smtp_client_ms(c->config->banner_ms, SMTP_MS_BANNER));
	rc = stream_start_tls_client(c->io, c->config->tls_context, c->config->peer, &why);
	if (rc < 0) {
		size_t n = 0;

		smtp_reply_clear(reply, SMTP_AT_STARTTLS);
		smtp_reply_join(reply, &n, S("TLS failed:"));
		smtp_reply_join(reply, &n, slice_of(why));
		return rc == -ECANCELED ? SMTP_OPEN_BROKEN : SMTP_OPEN_TLS;
	}
	c->broken = false;
	c->tls_good = stream_tls_verified(c->io, &c->tls_why);
	return SMTP_OPEN_OK;
}

static enum smtp_open starttls(struct smtp_client *c, struct smtp_reply *reply)
{
	enum smtp_open opened;

	if (!(c->extensions & SMTP_EXT_STARTTLS)) {
		size_t n = 0;

		if (c->config->tls == SMTP_TLS_MAY)
			return SMTP_OPEN_OK;
		smtp_reply_clear(reply, SMTP_AT_STARTTLS);
		smtp_reply_join(reply, &n, S("TLS is demanded, but the server does not offer STARTTLS"));
		return SMTP_OPEN_REFUSED;
	}
	if (smtp_client_ask(c, SMTP_AT_STARTTLS, S("STARTTLS"), NULL, NULL, NULL, reply) < 0)
		return SMTP_OPEN_BROKEN;
	if (reply->code != 220)
		return SMTP_OPEN_TLS;
	if (stream_buffered(c->io) > 0) { /* R-SEC-5: whoever put it there wants it taken for the server's */
		smtp_client_break(c, SMTP_AT_STARTTLS, "something was slipped in before TLS began", reply);
		return SMTP_OPEN_TLS;
	}
	opened = secure(c, reply);
	return opened == SMTP_OPEN_OK ? greet(c, reply) : opened;
}

/* ---- opening ---- */

static enum smtp_open banner(struct smtp_client *c, struct smtp_reply *reply)
{
	if (smtp_client_hear(c, SMTP_AT_BANNER, smtp_client_ms(c->config->banner_ms, SMTP_MS_BANNER), NULL,
		    NULL, reply) < 0)
		return SMTP_OPEN_BROKEN;
	if (reply->code / 100 > 3)
		return SMTP_OPEN_REFUSED;
	if (reply->code == 220)
		return SMTP_OPEN_OK;
	smtp_client_break(c, SMTP_AT_BANNER, "the server's greeting made no sense", reply);
	return SMTP_OPEN_BROKEN;
}

static enum smtp_open open_steps(struct smtp_client *c, struct smtp_reply *reply)
{
	const struct smtp_client_config *g = c->config;
	enum smtp_open opened = SMTP_OPEN_OK;

	if (g->tls == SMTP_TLS_IMPLICIT)
		opened = secure(c, reply);
	if (opened == SMTP_OPEN_OK)
		opened = banner(c, reply);
	if (opened == SMTP_OPEN_OK)
		opened = greet(c, reply);
	if (opened == SMTP_OPEN_OK && (g->tls == SMTP_TLS_MAY || g->tls == SMTP_TLS_MUST))
		opened = starttls(c, reply);
	if (opened == SMTP_OPEN_OK && g->user.n)
		opened = smtp_client_login(c, reply);
	return opened;
}

enum smtp_open smtp_client_open(struct stream *io, const struct smtp_client_config *config,
	struct smtp_client **ret, struct smtp_reply *reply)
{
	struct smtp_client *c = calloc(1, sizeof *c);
	enum smtp_open opened;

	*ret = NULL;
	smtp_reply_clear(reply, SMTP_AT_CONNECT);
	if (!c) {
		size_t n = 0;

		smtp_reply_join(reply, &n, S("out of memory"));
		stream_free(io);
		return SMTP_OPEN_BROKEN;
	}
	c->io = io;
	c->config = config;
	c->line = BUF_INIT(COMMAND_MAX);
	c->tls_why = "there is no TLS";
	opened = open_steps(c, reply);
	if (opened == SMTP_OPEN_OK)
		*ret = c;
	else
		smtp_client_quit(c);
	return opened;
}

/* ---- the rest of its life ---- */

void smtp_client_drop(struct smtp_client *c)
{
	if (!c)
		return;
	stream_free(c->io);
	buf_free(&c->line);
	free(c);
}

void smtp_client_quit(struct smtp_client *c)
{
	struct smtp_reply reply;

	if (!c)
		return;
	if (!c->broken && !stream_error(c->io)) {
		c->until = 0;
		(void)smtp_client_say(c, S("QUIT"), NULL);
		(void)smtp_client_hear(c, SMTP_AT_EHLO, QUIT_MS, NULL, NULL, &reply);
	}
	if (!c->broken) {
		stream_close(c->io);
		c->io = NULL;
	}
	smtp_client_drop(c);
}

uint32_t smtp_client_extensions(const struct smtp_client *c)
{
	return c->extensions;
}

uint64_t smtp_client_max_size(const struct smtp_client *c)
{
	return c->max_size;
}

const char *smtp_client_tls_info(const struct smtp_client *c, bool *ret_verified)
{
	*ret_verified = c->tls_good;
	return stream_tls_info(c->io);
}

const char *smtp_client_tls_why(const struct smtp_client *c)
{
	return c->tls_why;
}

uint32_t smtp_client_transactions(const struct smtp_client *c)
{
	return c->transactions;
}

bool smtp_client_usable(const struct smtp_client *c)
{
	return !c->broken && !c->closing && !smtp_client_spoken(c);
}

int smtp_client_reset(struct smtp_client *c)
{
	struct smtp_reply reply;

	if (!smtp_client_usable(c)) {
		c->broken = true;
		return -1;
	}
	if (smtp_client_ask(c, SMTP_AT_MAIL, S("RSET"), NULL, NULL, NULL, &reply) < 0 ||
		reply.code / 100 != 2) {
		c->broken |= reply.code / 100 != 2;
		return -1;
	}
	c->reset = false;
	return 0;
}

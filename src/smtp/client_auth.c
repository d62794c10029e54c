/* The log-in: RFC 4954 with SCRAM-SHA-256, PLAIN (RFC 4616) and LOGIN. */
#include "base/encode.h"
#include "io/worker.h"
#include "limits.h"
#include "smtp/client_int.h"
#include "smtp/scram.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <sys/socket.h>

#define BIT(mechanism) (1u << (mechanism))
#define WORDS_MAX      16384 /* bytes of one exchange's text, which is wiped */
/* RFC 4954 4: a line with an initial response must fit into a command line, RFC 5321 4.5.3.1.4 */
#define COMMAND_MAX 510

static const struct {
	slice name;
	enum smtp_client_mechanism mechanism;
} names[] = {/* the best first */
	{SLICE_INIT("SCRAM-SHA-256"), SMTP_MECH_SCRAM_SHA_256}, {SLICE_INIT("PLAIN"), SMTP_MECH_PLAIN},
	{SLICE_INIT("LOGIN"), SMTP_MECH_LOGIN}};

uint32_t smtp_client_mechanisms(slice words)
{
	uint32_t bits = 0;
	slice word;

	while (slice_word(&words, &word))
		for (size_t i = 0; i < COUNT_OF(names); i++)
			if (slice_ieq(word, names[i].name))
				bits |= BIT(names[i].mechanism);
	return bits;
}

static bool loopback(const struct smtp_client *c)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_storage room;
	} peer;
	socklen_t n = sizeof peer;

	if (getpeername(stream_fd(c->io), &peer.any, &n) < 0)
		return false;
	if (peer.any.sa_family == AF_UNIX)
		return true;
	if (peer.any.sa_family == AF_INET)
		return ntohl(peer.v4.sin_addr.s_addr) >> 24 == 127;
	if (peer.any.sa_family != AF_INET6)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&peer.v6.sin6_addr) ||
	       (IN6_IS_ADDR_V4MAPPED(&peer.v6.sin6_addr) && peer.v6.sin6_addr.s6_addr[12] == 127);
}

/* No log-in can be had: what the server thinks of it does not matter. */
static enum smtp_open refuse(struct smtp_reply *reply, const char *why)
{
	size_t n = 0;

	smtp_reply_clear(reply, SMTP_AT_AUTH);
	smtp_reply_join(reply, &n, slice_of(why));
	return SMTP_OPEN_AUTH;
}

/* One exchange. Its texts hold secrets: they lie in buffers that never move and are wiped. */
struct login {
	struct smtp_client *c;
	struct smtp_reply *reply;
	struct buf line, raw, challenge;
};

static bool login_begin(struct login *l)
{
	l->line = BUF_INIT(WORDS_MAX);
	l->raw = l->challenge = BUF_INIT(LIMIT_SMTP_CLIENT_LINE);
	return buf_room(&l->line, WORDS_MAX);
}

static void wipe(struct buf *b)
{
	if (b->p)
		OPENSSL_cleanse(b->p, b->cap);
	buf_free(b);
}

static enum smtp_open login_end(struct login *l, enum smtp_open opened)
{
	wipe(&l->line);
	buf_free(&l->raw);
	buf_free(&l->challenge);
	return opened;
}

static void see_line(void *arg, unsigned index, slice text)
{
	struct login *l = arg;

	if (index == 0) {
		buf_reset(&l->raw);
		buf_add(&l->raw, text);
	}
}

/* What a 334 holds; empty when that is no base64. */
static slice challenge(struct login *l)
{
	buf_reset(&l->challenge);
	return base64_decode(&l->challenge, buf_slice(&l->raw)) ? buf_slice(&l->challenge) : S("");
}

/* The line gathered goes out. OK: the server wants to hear more (334) or is content (235). */
static enum smtp_open step(struct login *l, const char *shown)
{
	if (l->line.failed)
		return refuse(l->reply, "the log-in name or the secret is too long");
	if (smtp_client_ask(l->c, SMTP_AT_AUTH, buf_slice(&l->line), shown, see_line, l, l->reply) < 0)
		return SMTP_OPEN_BROKEN;
	buf_reset(&l->line);
	if (l->reply->code != 235 && l->reply->code != 334)
		return l->reply->code / 100 > 3 ? SMTP_OPEN_AUTH
						: (smtp_client_break(l->c, SMTP_AT_AUTH,
							   "the server's answer made no sense", l->reply),
							  SMTP_OPEN_BROKEN);
	return SMTP_OPEN_OK;
}

/* Ends an exchange that cannot go on, RFC 4954 4, and says why. */
static enum smtp_open give_up(struct login *l, const char *why)
{
	buf_reset(&l->line);
	buf_add_c(&l->line, '*');
	if (l->reply->code == 334 && step(l, NULL) == SMTP_OPEN_BROKEN)
		return SMTP_OPEN_BROKEN;
	return refuse(l->reply, why);
}

/* Sends text in base64 as the answer to a 334. */
static enum smtp_open answer(struct login *l, slice text)
{
	if (l->reply->code != 334)
		return give_up(l, "the server ended the log-in before it had all");
	base64_encode(&l->line, text);
	return step(l, "****");
}

static enum smtp_open accepted(struct login *l)
{
	return l->reply->code == 235 ? SMTP_OPEN_OK
				     : give_up(l, "the server asks for more than a log-in needs");
}

/* "AUTH name initial-response", in two lines when it would be too long for one. */
static enum smtp_open begin(struct login *l, slice name, slice text)
{
	size_t n = S("AUTH ").n + name.n + 1 + (text.n + 2) / 3 * 4;
	char shown[64];
	enum smtp_open opened;

	(void)snprintf(shown, sizeof shown, "AUTH %.*s ****", (int)name.n, name.p);
	buf_addz(&l->line, "AUTH ");
	buf_add(&l->line, name);
	if (n > COMMAND_MAX) {
		opened = step(l, NULL);
		return opened == SMTP_OPEN_OK ? answer(l, text) : opened;
	}
	buf_add_c(&l->line, ' ');
	base64_encode(&l->line, text);
	return step(l, shown);
}

static enum smtp_open plain(struct login *l)
{
	const struct smtp_client_config *g = l->c->config;
	enum smtp_open opened = SMTP_OPEN_AUTH;
	struct buf text = BUF_INIT(WORDS_MAX);

	if (buf_room(&text, g->user.n + g->secret.n + 2)) {
		buf_add_c(&text, 0);
		buf_add(&text, g->user);
		buf_add_c(&text, 0);
		buf_add(&text, g->secret);
		opened = begin(l, S("PLAIN"), buf_slice(&text));
	}
	wipe(&text);
	return opened == SMTP_OPEN_OK ? accepted(l) : opened;
}

static enum smtp_open login(struct login *l)
{
	enum smtp_open opened;

	buf_addz(&l->line, "AUTH LOGIN");
	opened = step(l, NULL);
	if (opened == SMTP_OPEN_OK)
		opened = answer(l, l->c->config->user);
	if (opened == SMTP_OPEN_OK)
		opened = answer(l, l->c->config->secret);
	return opened == SMTP_OPEN_OK ? accepted(l) : opened;
}

static enum smtp_open scram_steps(struct login *l, struct smtp_scram *s)
{
	struct buf text = BUF_INIT(SCRAM_MESSAGE);
	enum smtp_open opened = SMTP_OPEN_AUTH;
	const char *why;

	if (smtp_scram_first(s, l->c->config->user, &text))
		opened = begin(l, S("SCRAM-SHA-256"), buf_slice(&text));
	buf_free(&text);
	if (opened != SMTP_OPEN_OK)
		return opened;
	why = smtp_scram_server_first(s, challenge(l));
	if (why)
		return give_up(l, why);
	worker_run(smtp_scram_derive, s);
	opened = smtp_scram_final(s, &text) ? answer(l, buf_slice(&text)) : give_up(l, "out of memory");
	wipe(&text);
	if (opened != SMTP_OPEN_OK)
		return opened;
	if (l->reply->code != 334 || !smtp_scram_verify(s, challenge(l)))
		return give_up(l, "the server did not prove that it knows the password");
	opened = step(l, ""); /* an empty line: RFC 4954 4 */
	return opened == SMTP_OPEN_OK ? accepted(l) : opened;
}

static enum smtp_open scram(struct login *l)
{
	struct smtp_scram s;
	enum smtp_open opened;

	smtp_scram_begin(&s, l->c->config->secret, NULL);
	opened = scram_steps(l, &s);
	smtp_scram_end(&s);
	return opened;
}

static enum smtp_open try_mechanism(
	struct smtp_client *c, enum smtp_client_mechanism mechanism, struct smtp_reply *reply)
{
	struct login l = {.c = c, .reply = reply};

	if (!login_begin(&l))
		return login_end(&l, refuse(reply, "out of memory"));
	if (mechanism == SMTP_MECH_SCRAM_SHA_256)
		return login_end(&l, scram(&l));
	return login_end(&l, mechanism == SMTP_MECH_PLAIN ? plain(&l) : login(&l));
}

enum smtp_open smtp_client_login(struct smtp_client *c, struct smtp_reply *reply)
{
	const struct smtp_client_config *g = c->config;
	uint32_t wanted = g->mechanism == SMTP_MECH_ANY ? ~0u : BIT(g->mechanism);
	enum smtp_open opened;

	if (!stream_is_tls(c->io) && !(g->clear_ok && loopback(c)))
		return refuse(reply, "the log-in would go out without TLS");
	if (g->user.n > LIMIT_SMTP_USER || g->secret.n > LIMIT_SMTP_SECRET ||
		memchr(g->user.p, 0, g->user.n) || (g->secret.n && memchr(g->secret.p, 0, g->secret.n)))
		return refuse(reply, "the log-in name or the secret is too long, or has a NUL in it");
	opened = refuse(reply, "the server offers no log-in that we can use");
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (!(c->mechanisms & wanted & BIT(names[i].mechanism)))
			continue;
		opened = try_mechanism(c, names[i].mechanism, reply);
		/* 504: offered but not meant, RFC 4954 4; a refused password is not tried in other clothes */
		if (opened != SMTP_OPEN_AUTH || reply->code != 504)
			break;
	}
	return opened;
}

/* From the addresses of a server to a connection that is ready for mail. */
#include "base/log.h"
#include "io/stream.h"
#include "roles/outbound/outbound.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void out_reply(struct smtp_reply *r, enum smtp_stage_out stage, uint16_t code, uint8_t subject,
	uint8_t detail, const char *fmt, ...)
{
	va_list ap;

	*r = (struct smtp_reply){.code = code, .stage = (uint8_t)stage, .own = code != 0};
	if (code)
		memcpy(r->status, (uint8_t[3]){(uint8_t)(code / 100), subject, detail}, 3);
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof r->text, fmt, ap);
	va_end(ap);
}

/* The name a server greets with is the first word after its 220. */
static void note_greeting(void *arg, bool out, slice line)
{
	struct out_conn *c = arg;
	slice word;

	if (c->dialogue)
		c->dialogue(c->arg, out, line);
	if (out || c->greeting[0] || !slice_starts(line, S("220")))
		return;
	line = slice_skip(line, 4);
	if (!slice_word(&line, &word) || word.n >= sizeof c->greeting)
		word = S("?");
	memcpy(c->greeting, word.p, word.n);
}

static void copy_text(char *to, size_t size, slice s)
{
	snprintf(to, size, "%.*s", (int)(s.n < size ? s.n : size - 1), s.n ? s.p : "");
}

static bool make_conn(struct outbound *o, const struct out_want *want, struct out_server *server,
	enum smtp_client_tls tls, struct out_conn **ret, err *e)
{
	const struct settings *s = o->role->settings;
	struct out_conn *c = calloc(1, sizeof *c);
	uint32_t ms = (uint32_t)s->outbound_timeout;

	if (!c) {
		(void)err_set(e, ERR_TEMP, "out of memory");
		return false;
	}
	c->server = server;
	c->kind = want->kind;
	c->port = want->port;
	c->dialogue = want->dialogue;
	c->arg = want->arg;
	copy_text(c->host, sizeof c->host, s->host);
	copy_text(c->peer, sizeof c->peer, want->name);
	c->config = (struct smtp_client_config){.host = slice_of(c->host),
		.peer = slice_of(c->peer),
		.tls = tls,
		.user = want->user,
		.secret = want->secret,
		.mechanism = (enum smtp_client_mechanism)want->mechanism,
		.clear_ok = want->clear_ok,
		.banner_ms = ms,
		.command_ms = ms,
		.data_ms = ms,
		.block_ms = ms,
		.end_ms = ms,
		.dialogue = note_greeting,
		.arg = c};
	if (tls != SMTP_TLS_NONE || want->user.n > 0) { /* a log-in may need OpenSSL's hashes, too */
		c->config.tls_context = out_tls(o, want->kind.demand, e);
		if (!c->config.tls_context) {
			out_conn_free(c);
			return false;
		}
	}
	*ret = c;
	return true;
}

static void source_of(slice setting, uint8_t family, struct dial_address *v, const struct dial_address **ret)
{
	char ip[46];
	uint16_t port;

	*ret = NULL;
	if (setting.n && settings_server_parse(setting, ip, &port) && dial_address_parse(ip, v) &&
		v->family == family)
		*ret = v;
}

static int dial_one(struct outbound *o, const struct out_want *want, int *ret_fd, size_t *ret_which, err *e)
{
	const struct settings *s = o->role->settings;
	slice own = slice_of(want->kind.source);
	struct dial_address four, six;
	struct dial d = {.v = want->v,
		.n = want->n,
		.stagger_ms = OUT_STAGGER_MS,
		.each_ms = s->outbound_connect,
		.deadline = loop_now() + s->outbound_connect + want->n * OUT_STAGGER_MS};

	source_of(own.n ? own : s->outbound_source4, 4, &four, &d.source4);
	source_of(own.n ? own : s->outbound_source6, 6, &six, &d.source6);
	return dial(&d, ret_fd, ret_which, e);
}

/* One connection to the first address that answers, and the greeting. */
static enum out_reached attempt(struct outbound *o, const struct out_want *want, struct out_server *server,
	enum smtp_client_tls tls, struct out_conn **ret, size_t *ret_which, struct smtp_reply *reply,
	char *ip)
{
	static const enum out_reached reached[] = {[SMTP_OPEN_OK] = OUT_OPEN,
		[SMTP_OPEN_REFUSED] = OUT_REFUSED,
		[SMTP_OPEN_TLS] = OUT_TLS_FAILED,
		[SMTP_OPEN_AUTH] = OUT_AUTH_FAILED,
		[SMTP_OPEN_BROKEN] = OUT_BROKEN};
	struct out_conn *c;
	int fd;
	err e = {0};

	*ret_which = want->n ? want->n - 1 : 0;
	if (!make_conn(o, want, server, tls, &c, &e)) {
		out_reply(reply, SMTP_AT_CONNECT, 0, 0, 0, "%s", e.text);
		return OUT_NOT_REACHED;
	}
	if (dial_one(o, want, &fd, ret_which, &e) < 0) {
		out_reply(reply, SMTP_AT_CONNECT, 0, 0, 0, "%s", e.text);
		out_conn_free(c);
		return OUT_NOT_REACHED;
	}
	dial_address_text(&want->v[*ret_which], c->ip);
	memcpy(ip, c->ip, sizeof c->ip);
	struct stream *io = stream_new(fd);
	if (!io) {
		out_reply(reply, SMTP_AT_CONNECT, 0, 0, 0, "out of memory");
		out_conn_free(c);
		return OUT_NOT_REACHED;
	}
	enum smtp_open opened = smtp_client_open(io, &c->config, &c->client, reply);
	bool ourselves = want->kind.direct && slice_ieq(slice_of(c->greeting), slice_of(c->host));
	c->config.user = c->config.secret = S(""); /* they are gone by the next message */
	c->config.dialogue = NULL;
	if (opened == SMTP_OPEN_OK && !ourselves) {
		*ret = c;
		return OUT_OPEN;
	}
	smtp_client_drop(c->client);
	out_conn_free(c);
	return ourselves ? OUT_OURSELVES : reached[opened];
}

enum out_reached out_connect(struct outbound *o, const struct out_want *want, struct out_server *server,
	struct out_conn **ret, size_t *ret_used, struct smtp_reply *reply, char *ip)
{
	enum smtp_client_tls tls = (enum smtp_client_tls)want->kind.tls;
	struct out_want again = *want;
	size_t which, more;

	ip[0] = 0;
	enum out_reached r = attempt(o, want, server, tls, ret, &which, reply, ip);
	*ret_used = which + 1;
	/* RFC 7435: no TLS is better than no mail, where nobody asked for TLS. A log-in does ask. */
	if (r == OUT_TLS_FAILED && tls == SMTP_TLS_MAY && want->user.n == 0 && !fiber_canceled()) {
		log_event(LOG_INFO, "tls_given_up", F_SLICE("host", want->name), F_STR("ip", ip),
			F_STR("why", reply->text));
		again.v = &want->v[which];
		again.n = 1;
		r = attempt(o, &again, server, SMTP_TLS_NONE, ret, &more, reply, ip);
	}
	if (r == OUT_OURSELVES)
		out_reply(reply, SMTP_AT_BANNER, 554, 4, 6, "mail for %.*s (%s) loops back to this server",
			(int)(want->name.n < 255 ? want->name.n : 255), want->name.p, ip);
	return r;
}

/*
 * The resolver role: DNS with DNSSEC validation and a cache, by libunbound. It opens DNS sockets and nothing
 * else; what it needs of files (the root's key, resolv.conf) it reads before its sandbox stands. libunbound
 * works on a thread of its own and rings on a descriptor; its set-up goes deep, so it runs on the main stack,
 * never on a fiber.
 */
#include "base/log.h"
#include "base/wire.h"
#include "dns/dns.h"
#include "io/loop_int.h"
#include "limits.h"
#include "roles/common/role.h"
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>

extern const struct sandbox resolver_sandbox;

#define QUERY_MS 8000

struct resolver {
	struct ub_ctx *ub;
	uv_poll_t poll;
	unsigned asked;
	uint64_t queries, failed;
	bool trusted; /* has a trust anchor: answers are validated */
};

struct question {
	struct fiber *fiber;
	struct resolver *resolver;
	struct ub_result *result;
	int error;
	bool done, left; /* left: the asker has given up, the callback frees it */
};

static void on_answer(void *arg, int error, struct ub_result *result)
{
	struct question *k = arg;

	k->resolver->asked--;
	if (k->left) {
		ub_resolve_free(result);
		free(k);
		return;
	}
	k->error = error;
	k->result = result;
	k->done = true;
	fiber_wake(k->fiber);
}

static void on_bell(uv_poll_t *h, int status, int events)
{
	struct resolver *s = h->data;

	(void)status;
	(void)events;
	ub_process(s->ub);
}

static enum dns_status status_of(const struct question *k)
{
	const struct ub_result *r = k->result;

	if (k->error != 0 || !r)
		return DNS_TEMP;
	if (r->bogus)
		return DNS_BOGUS;
	if (r->havedata)
		return DNS_OK;
	return r->nxdomain ? DNS_NXDOMAIN : r->rcode == 0 ? DNS_NODATA : DNS_TEMP;
}

static void answer(struct channel_request *q, const struct question *k)
{
	struct buf records = BUF_INIT(LIMIT_CHANNEL_INLINE);
	const struct ub_result *r = k->result;
	enum dns_status status = status_of(k);

	for (int i = 0; status == DNS_OK && r->data[i] && i < LIMIT_DNS_RECORDS; i++) {
		slice one = slice_make(r->data[i], (size_t)r->len[i]);

		if (records.n + one.n + 4 > records.max)
			break;
		wire_put_bytes(&records, one);
	}
	msg_resolve_answer(q, &(struct msg_resolve_reply){.status = (uint8_t)status,
				      .secure = r && r->secure,
				      .ttl = r && r->ttl > 0 ? (uint32_t)r->ttl : 0,
				      .records = buf_slice(&records)});
	buf_free(&records);
}

static void on_resolve(struct channel_request *q, void *arg)
{
	struct resolver *s = ((struct role_run *)arg)->state;
	struct msg_resolve m;
	char name[256];

	if (!msg_resolve_take(q, &m))
		return;
	struct question *k = s->asked < LIMIT_DNS_ASKED ? calloc(1, sizeof *k) : NULL;
	snprintf(name, sizeof name, "%.*s", (int)m.name.n, m.name.p);
	if (!k) {
		channel_answer_error(q, ERR_TEMP, "too many questions at once");
		return;
	}
	k->fiber = fiber_self();
	k->resolver = s;
	s->queries++;
	s->asked++;
	if (ub_resolve_async(s->ub, name, m.type, 1, k, on_answer, NULL) != 0) {
		s->asked--;
		free(k);
		channel_answer_error(q, ERR_TEMP, "the question cannot be asked");
		return;
	}
	uint64_t until = loop_now() + QUERY_MS;
	while (!k->done && fiber_park(until) == 0)
		;
	if (!k->done) {
		k->left = true;
		s->failed++;
		msg_resolve_answer(q, &(struct msg_resolve_reply){.status = DNS_TEMP});
		return;
	}
	answer(q, k);
	ub_resolve_free(k->result);
	free(k);
}

/* libunbound would read a file of trust anchors at the first question only, behind the sandbox. */
static bool trust(struct ub_ctx *ub, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[4096];
	bool good = false;

	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		if (line[0] && !strchr("; \t", line[0]))
			good = ub_ctx_add_ta(ub, line) == 0 || good;
	}
	if (f)
		fclose(f);
	return good;
}

/* All questions go to the one server that the settings name, or to those of resolv.conf. */
static int choose_servers(struct ub_ctx *ub, const struct settings *settings, err *e)
{
	char ip[46], server[64];
	uint16_t port;

	if (settings->resolver_server.n == 0) {
		if (ub_ctx_resolvconf(ub, NULL) != 0)
			log_event(LOG_NOTICE, "resolver_alone",
				F_STR("why", "no resolv.conf: the root servers are asked"));
		return 0;
	}
	if (!settings_server_parse(settings->resolver_server, ip, &port))
		return err_set(e, ERR_SYNTAX, "\"resolver server\" is no address");
	snprintf(server, sizeof server, "%s@%u", ip, port ? port : 53u);
	/* a server on this machine was named by its owner: it is no trap */
	if (ub_ctx_set_option(ub, "do-not-query-localhost:", "no") != 0 || ub_ctx_set_fwd(ub, server) != 0)
		return err_set(e, ERR_TEMP, "libunbound does not take the server %s", server);
	return 0;
}

static int prepare(struct role_run *r, err *e)
{
	struct resolver *s = r->state;
	char anchor[LIMIT_CONFIG_WORD + 1];

	s->ub = ub_ctx_create();
	if (!s->ub)
		return err_set(e, ERR_TEMP, "libunbound cannot start");
	ub_ctx_debuglevel(s->ub, 0);
	ub_ctx_set_option(s->ub, "module-config:", "validator iterator");
	ub_ctx_set_option(s->ub, "msg-cache-size:", "4m");
	ub_ctx_set_option(s->ub, "rrset-cache-size:", "8m");
	snprintf(anchor, sizeof anchor, "%.*s", (int)r->settings->resolver_trust_anchor.n,
		r->settings->resolver_trust_anchor.p);
	s->trusted = trust(s->ub, anchor);
	if (choose_servers(s->ub, r->settings, e) < 0)
		return -1;
	ub_ctx_hosts(s->ub, NULL);
	if (!s->trusted)
		log_event(LOG_WARN, "dnssec_off",
			F_STR("why", "no trust anchor in the file; the root's comes with the package "
				     "dns-root-data"),
			F_STR("file", anchor));
	return ub_ctx_async(s->ub, 1) == 0 ? 0 : err_set(e, ERR_TEMP, "libunbound cannot use threads");
}

static void on_first(void *arg, int error, struct ub_result *result)
{
	(void)arg;
	(void)error;
	ub_resolve_free(result);
}

/* A first question starts libunbound's thread, now that the sandbox stands and before threads are sealed off.
 */
static int start(struct role_run *r, err *e)
{
	struct resolver *s = r->state;

	if (ub_resolve_async(s->ub, "localhost", 1, 1, NULL, on_first, NULL) != 0)
		return err_set(e, ERR_TEMP, "libunbound cannot start its thread");
	uv_poll_init(loop_uv(r->loop), &s->poll, ub_fd(s->ub));
	s->poll.data = s;
	return uv_poll_start(&s->poll, UV_READABLE, on_bell) == 0 ? 0 : err_set(e, ERR_IO, "no poll");
}

static void handlers(channel_handler **table)
{
	table[MESSAGE_RESOLVE] = on_resolve;
}

static void status(struct role_run *r, struct buf *json)
{
	const struct resolver *s = r->state;

	buf_addf(json, ",\"queries\":%llu,\"unanswered\":%llu,\"dnssec\":%s", (unsigned long long)s->queries,
		(unsigned long long)s->failed, s->trusted ? "true" : "false");
}

int main(int argc, char **argv)
{
	static struct resolver state;
	static const struct role_ops ops = {
		.role = ROLE_RESOLVER,
		.sandbox = &resolver_sandbox,
		.prepare = prepare,
		.start = start,
		.handlers = handlers,
		.status = status,
	};

	return role_main(argc, argv, &ops, &state);
}

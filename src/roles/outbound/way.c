/* Where a message goes: the servers of its domain, or a route's smart host. */
#include "queue/route.h"
#include "queue/row.h"
#include "roles/outbound/outbound.h"
#include <stdio.h>

/* The resolver takes only so many questions at once; a crowd of messages waits here instead of failing there.
 */
static bool dns_begin(struct outbound *o)
{
	while (o->resolving >= OUT_DNS_ASKERS)
		if (fiber_signal_wait(&o->resolved, FOREVER) < 0)
			return false;
	o->resolving++;
	return true;
}

static void dns_end(struct outbound *o)
{
	o->resolving--;
	fiber_signal_one(&o->resolved);
}

static struct channel *resolver(struct outbound *o)
{
	return role_peer_wait(o->role, ROLE_RESOLVER, loop_now() + OUT_DNS_MS);
}

static bool no_way(const struct transmit_job *j, const struct dns_mx *mx, struct smtp_reply *r)
{
	int n = (int)(j->domain.n < 255 ? j->domain.n : 255);
	const char *d = j->domain.p;

	if (mx->null_mx)
		out_reply(r, SMTP_AT_CONNECT, 556, 1, 10, "the domain %.*s takes no mail", n, d);
	else if (mx->loop)
		out_reply(r, SMTP_AT_CONNECT, 554, 4, 6, "mail for %.*s loops back to this server", n, d);
	else if (mx->broken && mx->literal)
		out_reply(r, SMTP_AT_CONNECT, 550, 1, 2, "%.*s is no address", n, d);
	else if (mx->broken)
		out_reply(r, SMTP_AT_CONNECT, 550, 1, 2,
			"the MX records of %.*s name no host that could take mail", n, d);
	else if (mx->status == DNS_NXDOMAIN)
		out_reply(r, SMTP_AT_CONNECT, 550, 1, 2, "there is no domain %.*s", n, d);
	else if (mx->status == DNS_BOGUS)
		out_reply(r, SMTP_AT_CONNECT, 0, 0, 0, "the DNS answers for %.*s fail their DNSSEC check", n,
			d);
	else
		out_reply(r, SMTP_AT_CONNECT, 0, 0, 0, "the DNS gives no answer for %.*s", n, d);
	return false;
}

bool out_way_direct(struct outbound *o, const struct transmit_job *j, struct arena *a, struct out_way *ret,
	struct smtp_reply *reply)
{
	bool tls_only = j->flags & QUEUE_TLS_ONLY;
	struct dns_mx mx = {.status = DNS_TEMP};

	*ret = (struct out_way){.port = (uint16_t)o->role->settings->outbound_port, .domain = j->domain};
	ret->kind = (struct out_kind){
		.tls = tls_only ? SMTP_TLS_MUST : SMTP_TLS_MAY, .demand = tls_only, .direct = true};
	if (!dns_begin(o))
		return no_way(j, &mx, reply);
	dns_mx_find(resolver(o), j->domain, o->role->settings->host, loop_now() + OUT_DNS_MS, a, &mx);
	dns_end(o);
	if (mx.status != DNS_OK || mx.n == 0)
		return no_way(j, &mx, reply);
	/* RFC 8689 4.2.1: a good certificate proves nothing where anybody may have named the server. */
	if (tls_only && !mx.secure && !mx.literal) {
		out_reply(reply, SMTP_AT_CONNECT, 550, 7, 30,
			"the message may only go over TLS all the way (REQUIRETLS), and the DNS does not "
			"prove "
			"(DNSSEC) which server takes the mail for %.*s",
			(int)(j->domain.n < 255 ? j->domain.n : 255), j->domain.p);
		return false;
	}
	ret->implicit = mx.implicit;
	ret->hosts = mx.hosts;
	ret->n = mx.n;
	return true;
}

bool out_way_relay(
	const struct transmit_job *j, struct arena *a, struct out_way *ret, struct smtp_reply *reply)
{
	static const uint8_t tls[] = {[ROUTE_TLS_NONE] = SMTP_TLS_NONE,
		[ROUTE_TLS_MAY] = SMTP_TLS_MAY,
		[ROUTE_TLS_STARTTLS] = SMTP_TLS_MUST,
		[ROUTE_TLS_IMPLICIT] = SMTP_TLS_IMPLICIT};
	const struct transmit_route *r = &j->route;
	bool tls_only = j->flags & QUEUE_TLS_ONLY;

	*ret = (struct out_way){.relay = true, .port = r->port, .domain = j->domain, .n = 1};
	ret->hosts = arena_new_1(a, struct dns_mx_host);
	if (!ret->hosts || r->tls >= COUNT_OF(tls) || r->port == 0) {
		out_reply(reply, SMTP_AT_CONNECT, 0, 0, 0, "a route that cannot be followed");
		return false;
	}
	ret->hosts[0].name = r->host;
	ret->kind.tls = tls[r->tls];
	ret->kind.route = r->id;
	/* A password goes to nobody whose certificate is not good, opportunistic TLS or not. */
	ret->kind.demand = !(r->flags & ROUTE_UNVERIFIED) &&
			   (r->tls > ROUTE_TLS_MAY || (r->tls == ROUTE_TLS_MAY && r->user.n > 0));
	if (tls_only) {
		ret->kind.demand = true;
		if (ret->kind.tls != SMTP_TLS_IMPLICIT)
			ret->kind.tls = SMTP_TLS_MUST;
	}
	snprintf(ret->kind.source, sizeof ret->kind.source, "%.*s",
		(int)(r->source.n < sizeof ret->kind.source ? r->source.n : 0),
		r->source.n ? r->source.p : "");
	return true;
}

static enum dns_families families(const struct outbound *o, const struct out_way *w)
{
	static const enum dns_families by_setting[] = {DNS_BOTH, DNS_ONLY_4, DNS_ONLY_6};
	struct dial_address source;

	if (w->kind.source[0] && dial_address_parse(w->kind.source, &source))
		return source.family == 4 ? DNS_ONLY_4 : DNS_ONLY_6;
	return by_setting[o->role->settings->outbound_ip % COUNT_OF(by_setting)];
}

/*
 * A stranger's MX that names an address of this machine would have us knock at our own doors from inside: not
 * where mail is meant to go. With a port of one's own choice it is a test, and a route says what its owner
 * means.
 */
static bool is_forbidden(const struct out_way *w, const struct dial_address *v)
{
	return !w->relay && w->port == 25 && dial_address_is_own(v);
}

static void no_address(const struct dns_addresses *found, const struct out_way *w, slice host, bool forbidden,
	struct smtp_reply *r)
{
	int n = (int)(host.n < 255 ? host.n : 255);

	if (forbidden)
		out_reply(r, SMTP_AT_CONNECT, 554, 4, 6,
			"%.*s, which takes the mail, has an address of this machine itself", n, host.p);
	else if (found->status == DNS_BOGUS)
		out_reply(r, SMTP_AT_CONNECT, 0, 0, 0, "the addresses of %.*s fail their DNSSEC check", n,
			host.p);
	else if (found->status == DNS_TEMP || w->relay)
		out_reply(r, SMTP_AT_CONNECT, 0, 0, 0, "the DNS gives no address of %.*s", n, host.p);
	else if (w->implicit)
		out_reply(r, SMTP_AT_CONNECT, 550, 1, 2, "the domain %.*s has no mail server", n, host.p);
	else
		out_reply(r, SMTP_AT_CONNECT, 550, 4, 4, "the mail server %.*s has no address", n, host.p);
}

const struct dial_address *out_way_addresses(struct outbound *o, const struct out_way *w, slice host,
	struct arena *a, size_t *ret_n, struct smtp_reply *reply)
{
	struct dns_addresses found = {.status = DNS_TEMP};
	enum dns_families want = families(o, w);
	size_t n = 0, forbidden = 0;

	if (dns_begin(o)) {
		dns_addresses_find(resolver(o), host, want, loop_now() + OUT_DNS_MS, a, &found);
		dns_end(o);
	}
	struct dial_address *v = arena_new_n(a, struct dial_address, found.n ? found.n : 1);
	for (size_t i = 0; v && i < found.n; i++) {
		struct dial_address one = {.family = found.v[i].family, .port = w->port};

		memcpy(one.ip, found.v[i].ip, sizeof one.ip);
		if (is_forbidden(w, &one))
			forbidden++;
		else if (want == DNS_BOTH || (want == DNS_ONLY_4) == (one.family == 4))
			v[n++] = one;
	}
	if (n == 0) {
		no_address(&found, w, host, forbidden > 0, reply);
		return NULL;
	}
	*ret_n = n;
	return v;
}

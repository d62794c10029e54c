#include "dns/dns.h"
#include "base/wire.h"
#include "limits.h"
#include <arpa/inet.h>
#include <stdio.h>

void dns_ask(struct channel *resolver, slice name, enum dns_type type, uint64_t deadline, struct arena *a,
	struct dns_answer *ret)
{
	struct msg_resolve m = {.name = name, .type = (uint16_t)type};
	struct msg_resolve_reply reply;
	struct channel_answer hold;

	*ret = (struct dns_answer){.status = DNS_TEMP};
	if (ask_resolve(resolver, &m, &reply, &hold, deadline, NULL) < 0)
		return;
	struct rd r = rd_of(reply.records);
	slice *records = arena_new_n(a, slice, LIMIT_DNS_RECORDS);
	size_t n = 0;

	while (records && r.n > 0 && !r.bad && n < LIMIT_DNS_RECORDS) {
		slice one = arena_copy(a, rd_bytes(&r, LIMIT_CHANNEL_INLINE));

		if (!one.p)
			break;
		records[n++] = one;
	}
	if (records && !r.bad && reply.status <= DNS_BOGUS)
		*ret = (struct dns_answer){
			(enum dns_status)reply.status, reply.secure != 0, reply.ttl, records, n};
	channel_answer_free(&hold);
}

bool dns_name_text(slice *rdata, char out[256])
{
	size_t n = 0;
	slice in = *rdata;

	for (;;) {
		if (in.n == 0)
			return false;
		uint8_t label = (uint8_t)in.p[0];
		if (label == 0)
			break;
		/* 255 octets with their lengths (RFC 1035 3.1) are 253 of text */
		if (label > 63 || in.n < 1u + label || n + (n > 0) + label > 253)
			return false;
		if (n > 0)
			out[n++] = '.';
		for (size_t i = 1; i <= label; i++) {
			char c = ascii_lower(in.p[i]);

			/* no host has such a name; it would go into logs and headers */
			if (c <= ' ' || c == '.' || c > '~')
				return false;
			out[n++] = c;
		}
		in = slice_skip(in, 1u + label);
	}
	if (n == 0)
		return false;
	out[n] = 0;
	*rdata = slice_skip(in, 1);
	return true;
}

bool dns_reverse_name(const char *address, char out[80])
{
	uint8_t a[16];
	size_t n = 0;

	if (inet_pton(AF_INET, address, a) == 1) {
		snprintf(out, 80, "%u.%u.%u.%u.in-addr.arpa", a[3], a[2], a[1], a[0]);
		return true;
	}
	if (inet_pton(AF_INET6, address, a) != 1)
		return false;
	for (int i = 15; i >= 0; i--)
		n += (size_t)snprintf(out + n, 80 - n, "%x.%x.", a[i] & 15u, a[i] >> 4);
	snprintf(out + n, 80 - n, "ip6.arpa");
	return true;
}

static bool leads_back(
	struct channel *resolver, const char *name, const char *address, uint64_t deadline, struct arena *a)
{
	struct dns_answer answer;
	uint8_t want[16];
	bool v4 = inet_pton(AF_INET, address, want) == 1;

	if (!v4 && inet_pton(AF_INET6, address, want) != 1)
		return false;
	dns_ask(resolver, slice_of(name), v4 ? DNS_A : DNS_AAAA, deadline, a, &answer);
	for (size_t i = 0; i < answer.n; i++)
		if (slice_eq(answer.records[i], slice_make(want, v4 ? 4 : 16)))
			return true;
	return false;
}

bool dns_client_name(struct channel *resolver, const char *address, uint64_t deadline, char out[256])
{
	struct dns_answer answer;
	char reverse[80], name[256];
	struct arena *a = arena_new(4 * LIMIT_CHANNEL_MESSAGE);
	bool found = false;

	if (a && dns_reverse_name(address, reverse)) {
		dns_ask(resolver, slice_of(reverse), DNS_PTR, deadline, a, &answer);
		for (size_t i = 0; i < answer.n && i < LIMIT_DNS_PTR && !found; i++)
			found = dns_name_text(&answer.records[i], name) &&
				leads_back(resolver, name, address, deadline, a);
	}
	arena_free(a);
	if (found)
		snprintf(out, 256, "%s", name);
	return found;
}

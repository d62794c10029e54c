/*
 * Where mail for a domain goes: RFC 5321 5.1, RFC 7505 (null MX). Asks through the resolver role.
 */
#pragma once
#include "dns/dns.h"

struct dns_mx_host {
	slice name; /* lower case, no final dot; of a literal: the address */
	uint16_t preference;
};

struct dns_mx {
	enum dns_status status; /* OK: hosts are there; NXDOMAIN: no such domain; TEMP, BOGUS: try later */
	bool null_mx;           /* "MX 0 .": takes no mail, 556 5.1.10 */
	bool implicit;          /* no MX, the domain's own address counts */
	bool literal;           /* [192.0.2.1], [IPv6:...] */
	bool secure;            /* DNSSEC proved the MX answer (kept for DANE) */
	bool loop; /* we stand among them: those at our preference and after are cut off; none left: a loop,
		      554 5.4.6 */
	struct dns_mx_host *hosts; /* by preference, equal ones shuffled; at most LIMIT_MX_HOSTS */
	size_t n;
};

/*
 * domain: A-labels, or an address literal with its brackets. self: our host name. MX rdata that is broken or
 * names an address instead of a host is passed over. A CNAME is the resolver's to follow.
 */
PARKS void dns_mx_find(struct channel *resolver, slice domain, slice self, uint64_t deadline, struct arena *a,
	struct dns_mx *ret);

struct dns_address {
	uint8_t family; /* 4 or 6 */
	uint8_t ip[16];
};
struct dns_addresses {
	enum dns_status status; /* OK: at least one */
	bool secure;            /* both answers were */
	struct dns_address *v;  /* alternating families, v6 first (RFC 8305 4), each family shuffled */
	size_t n;               /* at most LIMIT_MX_ADDRESSES */
};
/* A and AAAA of a host, asked at the same time; or the address itself when the name is one. */
PARKS void dns_addresses_find(
	struct channel *resolver, slice host, uint64_t deadline, struct arena *a, struct dns_addresses *ret);

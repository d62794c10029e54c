/*
 * Where mail for a domain goes: RFC 5321 5.1, RFC 7505 (null MX). Asks through the resolver role.
 */
#pragma once
#include "dns/dns.h"

struct dns_mx_host {
	slice name; /* lower case, no final dot; of a literal: the address */
	uint16_t preference;
};

/*
 * status OK with hosts: try them in their order. OK without: the mail can never go, and one of null_mx, loop
 * and broken says why. NXDOMAIN: no such domain. TEMP, BOGUS: try later. There is no other status: where the
 * domain has no MX its own address counts (implicit).
 */
struct dns_mx {
	enum dns_status status;
	bool null_mx;  /* "MX 0 ." alone: takes no mail, 556 5.1.10 */
	bool implicit; /* no MX, the domain's own address counts */
	bool literal;  /* [192.0.2.1], [IPv6:...] */
	bool secure;   /* DNSSEC proved the MX answer (kept for DANE) */
	bool loop;   /* we stand among them: those at our preference and after are cut off; none left: a loop,
			554 5.4.6 */
	bool broken; /* there are MX, or a literal, and none names a host: 550 5.1.2 */
	struct dns_mx_host *hosts; /* by preference, equal ones shuffled, each once; at most LIMIT_MX_HOSTS */
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
	bool secure;            /* all answers were */
	struct dns_address *v;  /* alternating families, v6 first (RFC 8305 4), each family shuffled */
	size_t n;               /* at most LIMIT_MX_ADDRESSES */
};

enum dns_families { DNS_BOTH, DNS_ONLY_4, DNS_ONLY_6 };

/*
 * A and AAAA of a host, asked at the same time, or one of them; or the address itself when the name is one.
 * An AAAA that is an IPv4 address in disguise (::ffff:a.b.c.d) is passed over. Without any address: TEMP or
 * BOGUS when an answer was so, else NODATA or NXDOMAIN.
 */
PARKS void dns_addresses_find(struct channel *resolver, slice host, enum dns_families families,
	uint64_t deadline, struct arena *a, struct dns_addresses *ret);

/* ---- the pure parts ---- */

enum dns_mx_kind { DNS_MX_BROKEN, DNS_MX_HOST, DNS_MX_ROOT };
/* What one record's rdata names; the name, in lower case, only of a HOST: labels of letters, digits and inner
 * hyphens (RFC 1123 2.1) or underscores, the last one not of digits alone. */
enum dns_mx_kind dns_mx_record(slice rdata, uint16_t *ret_preference, char ret_name[256]);
/* All records of an answer: sets the hosts, null_mx, loop and broken; TEMP without memory. */
void dns_mx_read(const slice *records, size_t n, slice self, struct arena *a, struct dns_mx *ret);
/* "[192.0.2.1]", "[IPv6:2001:db8::1]". False: no literal of an address. */
bool dns_literal_parse(slice text, struct dns_address *ret);
/* The address in text, canonical. */
void dns_address_text(const struct dns_address *v, char ret[46]);

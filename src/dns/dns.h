/*
 * Asking the resolver role. Answers carry whether DNSSEC proved them; a bogus one is an error, never an
 * answer. At most LIMIT_DNS_RECORDS records are taken (R-SEC-25).
 */
#pragma once
#include "base/arena.h"
#include "base/cleanup.h"
#include "io/channel.h"
#include "io/messages.h"

enum dns_status {
	DNS_OK,       /* records are there */
	DNS_NODATA,   /* the name exists, without this type */
	DNS_NXDOMAIN, /* the name does not exist */
	DNS_TEMP,     /* no answer in time, or SERVFAIL: try later */
	DNS_BOGUS,    /* DNSSEC says it is forged */
};

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52
};

struct dns_answer {
	enum dns_status status;
	bool secure; /* proved by DNSSEC */
	uint32_t ttl;
	slice *records; /* raw rdata, in the arena */
	size_t n;
};

/* Never fails otherwise than by its status; a resolver that is not there is DNS_TEMP. */
PARKS void dns_ask(struct channel *resolver, slice name, enum dns_type type, uint64_t deadline,
	struct arena *a, struct dns_answer *ret);

/* A domain name in an rdata (no compression) as text without the final dot, lower case; *rdata becomes the
 * rest. False: malformed, or the root. */
bool dns_name_text(slice *rdata, char out[256]);

/* "4.3.2.1.in-addr.arpa" of an address in text; false when it is none. */
bool dns_reverse_name(const char *address, char out[80]);

/*
 * The name of a client: the first PTR name whose own addresses contain the address (RFC 8601 2.7.3 "iprev").
 * False: none such.
 */
PARKS bool dns_client_name(struct channel *resolver, const char *address, uint64_t deadline, char out[256]);

/*
 * Connecting out: the addresses of one host one shortly after the other, and the first that answers is taken
 * (RFC 8305 5). One slow or dead address delays by `stagger_ms`, not by its time-out.
 */
#pragma once
#include "base/err.h"
#include "io/fiber.h"
#include <stddef.h>
#include <stdint.h>

#define DIAL_MAX 8 /* addresses of one call; more are not tried */

struct dial_address {
	uint8_t family; /* 4 or 6 */
	uint8_t ip[16]; /* the first four of family 4 */
	uint16_t port;
};

struct dial {
	const struct dial_address *v; /* in the order to be tried */
	size_t n;
	const struct dial_address *source4, *source6; /* to connect from; NULL: the system's choice */
	uint64_t stagger_ms; /* between two attempts; a refusal starts the next one at once */
	uint64_t each_ms;    /* for one address */
	uint64_t deadline;   /* for all of it */
};

/*
 * *ret_fd: a connected TCP socket, non-blocking and close-on-exec, without delay of small writes. *ret_which:
 * its place in v. -1: nobody answered (ERR_IO, ERR_TIMEOUT: the sentence names the last address that failed
 * and why), ERR_CANCELED, ERR_TEMP (no descriptors or memory).
 */
MUST_USE PARKS int dial(const struct dial *d, int *ret_fd, size_t *ret_which, err *e);

/* "192.0.2.1" or "2001:db8::1"; false: neither. The port is left as it is. */
bool dial_address_parse(const char *text, struct dial_address *ret);
void dial_address_text(const struct dial_address *v, char ret[46]);
/*
 * An address of this machine itself or of no single machine: loopback, unspecified ("this network"),
 * multicast, broadcast; also as an IPv4 address within IPv6.
 */
bool dial_address_is_own(const struct dial_address *v);

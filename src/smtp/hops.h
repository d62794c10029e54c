/*
 * Counts the Received fields in the header section of content that comes in pieces (RFC 5321 6.3: loop
 * detection). Pure, any chunking, no cost once the empty line has passed.
 */
#pragma once
#include "base/slice.h"
#include <stdint.h>

struct smtp_hops {
	uint32_t count;
	uint8_t matched; /* bytes of "received:" matched on this line, or a state of hops.c */
};

/* A zeroed struct is ready. */
void smtp_hops_feed(struct smtp_hops *h, slice piece);

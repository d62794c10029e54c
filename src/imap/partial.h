/* PARTIAL (RFC 9394): a page of a result, counted from its begin or its end. Pure. */
#pragma once
#include "imap/args.h"
#include "mailbox/uidset.h"

struct imap_partial {
	bool is, from_end;
	uint32_t first, last; /* first <= last */
	slice range;          /* as it was asked for */
};

/* "1:100" or "-1:-100". False: a->why. */
bool imap_take_partial(struct imap_args *a, struct imap_partial *ret);
/* The places (from 0, `to` not among them) it means among n. */
void imap_partial_places(const struct imap_partial *p, uint32_t n, uint32_t *ret_from, uint32_t *ret_to);
/* Those members of a set. 0, -1 out of memory. */
int imap_partial_of(const struct imap_partial *p, const struct uidset *of, struct uidset *add_to);

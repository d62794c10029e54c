/* What an address means here: one step of resolving, on a snapshot or in an intent. */
#pragma once
#include "mailbox/account.h"
#include "mailbox/view.h"

enum address_found_kind {
	FOUND_REMOTE, /* the domain is not ours */
	FOUND_NOBODY, /* our domain, nobody has the address */
	FOUND_ACCOUNT,
	FOUND_ALIAS, /* targets: var length and bytes each, "local@domain" with local unquoted */
};
struct address_found {
	enum address_found_kind kind;
	struct domain_row domain; /* when it is ours; its slice is gone (valid as below) */
	uint32_t account;
	slice targets, owners;
	slice row; /* local part of the row that was found, in the canonical address: empty for a catch-all */
};
/*
 * Canonical forms of both halves, for keys and for comparing. False: not an address (also when local or
 * domain is too long). An empty localpart stays empty.
 */
struct address_canonical {
	char local_bytes[256], domain_bytes[256];
	slice local, domain;
};
bool address_canonical(slice localpart, slice domain, struct address_canonical *ret);
/* Cuts "local@domain" at the last '@'. */
bool address_split(slice address, slice *ret_local, slice *ret_domain);

/*
 * The exact address, else without its +tag, else postmaster's account, else the domain's catch-all. An empty
 * domain with "postmaster" is that of the first domain (RFC 5321 4.5.1). Slices are valid as those of
 * view_get. 0 or -1.
 */
int address_lookup(struct view v, const struct address_canonical *a, struct address_found *ret, err *e);
/* The next target off a list of them. */
bool address_target(slice *targets, slice *ret);
/* Adds to such a list what a person wrote, its local part unquoted. -1 ERR_SYNTAX: no address. */
int address_target_put(struct buf *out, slice address, err *e);

int domain_lookup(struct view v, slice canonical, struct domain_row *ret, err *e); /* 1, 0, -1 */
int account_lookup(struct view v, uint32_t id, struct account_row *ret, err *e);   /* also a removed one */

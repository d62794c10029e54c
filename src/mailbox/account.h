/*
 * Domains, accounts, aliases and catch-alls. Reads are on a snapshot and return 1 found, 0 not there, -1
 * error; changes park for one intent.
 *
 * Domains are compared in canonical form (lower case A-labels, no last dot); localparts with ASCII case
 * folded (UTF-8 beyond ASCII byte by byte, NFC). Slices that reads return lie in the snapshot.
 */
#pragma once
#include "mailbox/mailbox.h"

struct domain_row {
	uint32_t id;
	slice name; /* canonical */
	bool enabled;
	int64_t created_us;
	uint32_t postmaster; /* account for postmaster@ when that is no address of its own: its first; 0: none
			      */
};

struct account_row {
	uint32_t id, domain;
	slice localpart; /* as canonical: lower case */
	bool enabled;
	bool removed;         /* deleted, being cleared away; no read shows it */
	bool forwards;        /* its mail goes elsewhere (too): account_forward_get tells */
	uint32_t epoch;       /* +1 whenever what `auth` remembers of it must end */
	uint64_t modseq;      /* last one given out */
	uint64_t quota_bytes; /* 0: none */
	uint64_t used_bytes;  /* sum of sizes of its messages; a message in two mailboxes counts once */
	uint64_t messages;
	slice language;     /* BCP 47 tag or empty */
	slice display_name; /* UTF-8 or empty */
	int64_t created_us;
	/* counters, of no use outside the room */
	uint32_t next_mailbox, last_uidvalidity, mailboxes, removed_mailboxes;
	uint64_t next_message, change_floor, changes;
};

struct alias_row {
	slice domain, localpart; /* empty localpart: the domain's catch-all */
	slice targets, owners;   /* alias_target and alias_owner walk them */
};

struct account_forward {
	bool keep;     /* a copy stays here */
	slice targets; /* account_forward_target walks them */
};

/* ---- reads ---- */

/* Canonical form of a domain into out (at least 256 bytes). False: not a domain name. */
bool domain_canonical(slice in, char out[256], slice *ret);

int domain_find(struct store_snap *snap, slice name, struct domain_row *ret, err *e);
int domain_get(struct store_snap *snap, uint32_t id, struct domain_row *ret, err *e);
/* Calls see for each domain in name order until it returns false. 0 or -1. */
int domain_each(
	struct store_snap *snap, bool (*see)(void *arg, const struct domain_row *), void *arg, err *e);

int account_get(struct store_snap *snap, uint32_t id, struct account_row *ret, err *e);
/* By primary address; +tag and aliases do not count here. */
int account_find(struct store_snap *snap, slice localpart, slice domain, struct account_row *ret, err *e);
/*
 * By what a person types at log-in: "alice@example.test", or "alice" when just one account has that name.
 * Disabled accounts are found too: look at enabled.
 */
int account_by_login(struct store_snap *snap, slice login, struct account_row *ret, err *e);
/* The account's address "localpart@domain" into the arena. 1, 0, -1. */
int account_address(struct store_snap *snap, uint32_t id, struct arena *a, slice *ret, err *e);
int account_forward_get(struct store_snap *snap, uint32_t id, struct account_forward *ret, err *e);
bool account_forward_target(
	struct account_forward *f, slice *ret_address); /* takes the next off, false at the end */
/* Accounts in id order, after the id `after`; until see returns false. 0 or -1. */
int account_each(struct store_snap *snap, uint32_t after, bool (*see)(void *arg, const struct account_row *),
	void *arg, err *e);

int alias_find(struct store_snap *snap, slice localpart, slice domain, struct alias_row *ret, err *e);
/* All aliases of a domain (catch-all first), by localpart; until see returns false. 0 or -1. */
int alias_each(struct store_snap *snap, slice domain, bool (*see)(void *arg, const struct alias_row *),
	void *arg, err *e);
bool alias_target(struct alias_row *a, slice *ret_address); /* takes the next off, false at the end */
bool alias_owner(struct alias_row *a, uint32_t *ret_account);

/* May this account send with this address as its sender (envelope or From)? Its own, with any +tag; an alias
 * that points to it alone, or that names it as owner. 1 yes, 0 no, -1 error. */
int account_may_send(struct store_snap *snap, uint32_t account, slice localpart, slice domain, err *e);

/* ---- changes; all take effect for new questions at once ---- */

PARKS int domain_add(struct store *s, slice name, uint32_t *ret_id, err *e); /* ERR_EXISTS, ERR_SYNTAX */
/* ERR_CONFLICT while it has accounts or aliases. */
PARKS int domain_remove(struct store *s, slice name, err *e);
PARKS int domain_set_enabled(struct store *s, slice name, bool enabled, err *e);

struct account_settings {
	bool has_enabled, enabled;
	bool has_quota;
	uint64_t quota_bytes;
	bool has_language, has_display_name;
	slice language, display_name;
	bool new_epoch; /* ends what `auth` remembers */
	/*
	 * Where its mail goes: up to LIMIT_ALIAS_TARGETS addresses "local@domain", here or elsewhere; none
	 * ends it. keep: a copy stays here; without has_keep as it was before, true where nothing was.
	 */
	bool has_forward, has_keep, keep;
	const slice *forward;
	size_t n_forward;
};
/*
 * Adds an account with INBOX, Drafts, Sent, Trash, Junk and Archive (special uses, subscribed). ERR_MISSING:
 * no such domain; ERR_EXISTS: an account or alias has the address; ERR_SYNTAX. settings may be NULL.
 */
PARKS int account_add(struct store *s, slice localpart, slice domain, const struct account_settings *settings,
	uint32_t *ret_id, err *e);
/* ERR_MISSING also for has_keep where nothing is forwarded; ERR_CONFLICT: a forward to itself; ERR_SYNTAX,
 * ERR_LIMIT. */
PARKS int account_set(struct store *s, uint32_t id, const struct account_settings *settings, err *e);
/* Its address is free at once; mailboxes, messages and blobs are cleared away by mailbox_sweep. */
PARKS int account_remove(struct store *s, uint32_t id, err *e);

/*
 * Sets (or replaces) an alias; empty localpart: the catch-all. Targets are 1 to LIMIT_ALIAS_TARGETS addresses
 * "local@domain", here or elsewhere. owners: accounts that may send as it besides a sole target.
 * ERR_EXISTS: an account has the address; ERR_MISSING: no such domain; ERR_SYNTAX: a target is no address.
 */
PARKS int alias_set(struct store *s, slice localpart, slice domain, const slice *targets, size_t n_targets,
	const uint32_t *owners, size_t n_owners, err *e);
PARKS int alias_remove(struct store *s, slice localpart, slice domain, err *e); /* ERR_MISSING */
